#pragma once

#include <morsel/api/any_array.hpp>
#include <morsel/base/bytes.hpp>
#include <new>

namespace morsel::inline MORSEL_ABI {

namespace detail {

MORSEL_INLINE void fail_allocation(const Shape& shape, Index bytes) {
  fail(Errc::budget_too_small, "computing to memory: the result of shape " + to_string(shape) +
                                   " does not fit in what the system gives; expected room for " +
                                   format_bytes(static_cast<std::size_t>(bytes)) +
                                   " (save or stream it), got none");
}

}  // namespace detail

MORSEL_INLINE AnyArray::AnyArray(DType dtype, Shape shape)
    : dtype_(std::move(dtype)), shape_(std::move(shape)) {
  const Index bytes = checked_mul(size_of(shape_), static_cast<Index>(dtype_.item_bytes()), "result bytes");
  try {
    data_ = std::shared_ptr<std::byte[]>(new std::byte[static_cast<std::size_t>(bytes)]);
  } catch (const std::bad_alloc&) {
    detail::fail_allocation(shape_, bytes);
  }
}

MORSEL_INLINE void AnyArray::require(Type type) const {
  if (dtype_ != DType(type))
    fail(Errc::dtype_mismatch, "reading a result: its elements have another dtype; expected " +
                                   dtype_.name() + ", got a request for " + std::string(name_of(type)));
}

}  // namespace morsel::inline MORSEL_ABI
