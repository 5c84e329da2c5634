#pragma once

#include <morsel/io/impl/codecs/elements.hpp>

namespace morsel::inline MORSEL_ABI::detail {

/// Bytes 0 of all elements, then bytes 1, and so on; N bytes to an element.
template <std::size_t N>
void shuffle_bytes(const std::byte* __restrict from, std::byte* __restrict to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t b = 0; b < N; ++b) to[b * count + i] = from[i * N + b];
}
template <std::size_t N>
void unshuffle_bytes(const std::byte* __restrict from, std::byte* __restrict to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t b = 0; b < N; ++b) to[i * N + b] = from[b * count + i];
}

/// Bytes sorted by their place within elements. Bytes behind the last whole element stay as they are, as in
/// HDF5 (numcodecs refuses them). **Source**: numcodecs, `shuffle`.
class ShuffleCodec {
 public:
  ShuffleCodec(std::string name, std::size_t item_bytes) : name_(std::move(name)), item_bytes_(item_bytes) {}
  std::string_view name() const { return name_; }
  ShuffleCodec prepare(const DecodedSpec& spec) const {
    ShuffleCodec codec = *this;
    codec.spec_ = spec;
    return codec;
  }
  std::size_t max_encoded_bytes(std::size_t n) const { return n; }
  std::size_t scratch_bytes() const { return 0; }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    check_decode_sizes(name_, in.size(), spec_.is_array ? spec_.bytes : std::min(in.size(), spec_.bytes),
                       out.size(), in.size());
    const std::size_t count = whole_items(in, out);
    switch (item_bytes_) {
      case 2:
        unshuffle_bytes<2>(in.data(), out.data(), count);
        break;
      case 4:
        unshuffle_bytes<4>(in.data(), out.data(), count);
        break;
      case 8:
        unshuffle_bytes<8>(in.data(), out.data(), count);
        break;
      default:
        if (count > 0) move_bytes(in.data(), 1, count, out.data(), item_bytes_, 1, count);
    }
    return in.size();
  }
  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    check_encode_sizes(name_, in.size(), in.size(), out.size(), in.size());
    const std::size_t count = whole_items(in, out);
    switch (item_bytes_) {
      case 2:
        shuffle_bytes<2>(in.data(), out.data(), count);
        break;
      case 4:
        shuffle_bytes<4>(in.data(), out.data(), count);
        break;
      case 8:
        shuffle_bytes<8>(in.data(), out.data(), count);
        break;
      default:
        if (count > 0) move_bytes(in.data(), item_bytes_, 1, out.data(), 1, count, count);
    }
    return in.size();
  }

 private:
  /// Copies what is not shuffled; how many elements are left to do.
  std::size_t whole_items(std::span<const std::byte> in, std::span<std::byte> out) const {
    const std::size_t count = item_bytes_ > 1 ? in.size() / item_bytes_ : 0;
    const std::size_t done = count * item_bytes_;
    if (in.size() > done) std::memcpy(out.data() + done, in.data() + done, in.size() - done);
    return count;
  }
  /// Bytes of `count` elements: byte b of element i is at i * step + b * byte_step.
  void move_bytes(const std::byte* from, std::size_t from_step, std::size_t from_byte, std::byte* to,
                  std::size_t to_step, std::size_t to_byte, std::size_t count) const {
    const Shape shape{static_cast<Index>(count), static_cast<Index>(item_bytes_)};
    copy_elements({const_cast<std::byte*>(from),
                   1,
                   shape,
                   {static_cast<Index>(from_step), static_cast<Index>(from_byte)}},
                  {to, 1, shape, {static_cast<Index>(to_step), static_cast<Index>(to_byte)}});
  }
  std::string name_;
  std::size_t item_bytes_;
  DecodedSpec spec_;
};

inline std::vector<CodecDefinition> shuffle_codecs() {
  const auto make = [](const CodecInfo& info, const std::string& doing) -> AnyCodec {
    CodecConfig config(info, doing);
    const auto item_bytes = config.integer("elementsize", 4, 0, std::numeric_limits<std::int32_t>::max());
    config.finish();
    return ShuffleCodec(info.name, static_cast<std::size_t>(item_bytes));
  };
  return {{{"numcodecs.shuffle", "shuffle", "hdf5.shuffle"}, CodecKind::bytes_to_bytes, make}};
}

}  // namespace morsel::inline MORSEL_ABI::detail
