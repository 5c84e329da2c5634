// A codec: runs of equal elements as (uint32 count, element).
#pragma once

#include <algorithm>
#include <cstring>
#include <morsel/io/codec.hpp>

namespace plugin {

class RunLength {
 public:
  std::string_view name() const { return "run_length"; }
  /// Called once per array; what holds for all of its chunks is checked here.
  RunLength prepare(const morsel::DecodedSpec& spec) const {
    RunLength prepared;
    prepared.item_bytes_ = spec.dtype.item_bytes();
    return prepared;
  }
  /// No element equals its neighbour: the worst case, and what the budget books.
  std::size_t max_encoded_bytes(std::size_t decoded_bytes) const {
    return decoded_bytes / item_bytes_ * (4 + item_bytes_);
  }
  std::size_t scratch_bytes() const { return 0; }

  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    std::size_t written = 0;
    for (std::size_t at = 0; at < in.size();) {
      std::uint32_t count = 1;
      while (at + count * item_bytes_ < in.size() && count < ~std::uint32_t{0} &&
             std::memcmp(&in[at], &in[at + count * item_bytes_], item_bytes_) == 0)
        ++count;
      std::memcpy(&out[written], &count, 4);
      std::memcpy(&out[written + 4], &in[at], item_bytes_);
      written += 4 + item_bytes_;
      at += count * item_bytes_;
    }
    return written;
  }

  /// A count found in the data is never trusted: it must fit the room that is left.
  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    if (in.size() % (4 + item_bytes_) != 0)
      morsel::fail(morsel::Errc::corrupt_data,
                   "decoding run_length: cut inside a run; expected a multiple of " +
                       std::to_string(4 + item_bytes_) + " bytes, got " + std::to_string(in.size()));
    std::size_t written = 0;
    for (std::size_t at = 0; at < in.size(); at += 4 + item_bytes_) {
      std::uint32_t count = 0;
      std::memcpy(&count, &in[at], 4);
      const std::size_t room = (out.size() - written) / item_bytes_;
      if (count > room)
        morsel::fail(morsel::Errc::corrupt_data, "decoding run_length: a run is too long; expected at most " +
                                                     std::to_string(room) + " elements, got " +
                                                     std::to_string(count));
      for (; count > 0; --count, written += item_bytes_) std::memcpy(&out[written], &in[at + 4], item_bytes_);
    }
    return written;
  }

 private:
  std::size_t item_bytes_ = 1;
};
static_assert(morsel::Codec<RunLength>);

}  // namespace plugin
