#pragma once

#include <morsel/api/any_array.hpp>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE AnyArray::AnyArray(DType dtype, Shape shape)
    : dtype_(std::move(dtype)), shape_(std::move(shape)) {
  const Index bytes = checked_mul(size_of(shape_), static_cast<Index>(dtype_.item_bytes()), "result bytes");
  data_ = std::shared_ptr<std::byte[]>(new std::byte[static_cast<std::size_t>(bytes)]);
}

MORSEL_INLINE void AnyArray::require(Type type) const {
  if (dtype_ != DType(type))
    fail(Errc::dtype_mismatch, "reading a result: its elements have another dtype; expected " +
                                   dtype_.name() + ", got a request for " + std::string(name_of(type)));
}

}  // namespace morsel::inline MORSEL_ABI
