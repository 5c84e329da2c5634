#pragma once

#include <morsel/io/codec.hpp>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE DecodedSpec DecodedSpec::array(const DType& dtype, const Shape& shape) {
  const Index bytes = checked_mul(size_of(shape), static_cast<Index>(dtype.item_bytes()), "chunk bytes");
  return {dtype, shape, static_cast<std::size_t>(bytes), true};
}

MORSEL_INLINE DecodedSpec DecodedSpec::byte_string(std::size_t most_bytes) {
  return {Type::uint8, {static_cast<Index>(most_bytes)}, most_bytes, false};
}

}  // namespace morsel::inline MORSEL_ABI
