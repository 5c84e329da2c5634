// Bits of a stream, the highest of each byte first. For the bodies of codecs alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <morsel/base/config.hpp>
#include <span>

namespace morsel::inline MORSEL_ABI::detail {

/// **Requires**: no more bits are read than there are; at most 56 at once.
class BitReader {
 public:
  explicit BitReader(std::span<const std::byte> bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}
  std::uint64_t read(unsigned bits) {
    while (held_ < bits) {
      word_ = word_ << 8 | (at_ < end_ ? std::to_integer<std::uint64_t>(*at_++) : 0);
      held_ += 8;
    }
    held_ -= bits;
    return word_ >> held_ & ((std::uint64_t{1} << bits) - 1);
  }

 private:
  const std::byte *at_, *end_;
  std::uint64_t word_ = 0;
  unsigned held_ = 0;
};

}  // namespace morsel::inline MORSEL_ABI::detail
