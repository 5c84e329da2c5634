// A computed result whose element type is known at run time.
#pragma once

#include <cstring>
#include <memory>
#include <morsel/api/xtensor.hpp>
#include <morsel/array/buffer.hpp>
#include <morsel/array/dtype.hpp>
#include <span>
#include <vector>

namespace morsel::inline MORSEL_ABI {

namespace detail {
[[noreturn]] void fail_allocation(const Shape& shape, Index bytes);
}

/// Elements in C order with dtype and shape; owns its memory, copies share it.
class AnyArray {
 public:
  AnyArray(DType dtype, Shape shape);

  const DType& dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  std::size_t ndim() const { return shape_.size(); }
  Index size() const { return size_of(shape_); }
  std::size_t nbytes() const { return static_cast<std::size_t>(size()) * dtype_.item_bytes(); }
  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  BufferView view() const { return BufferView::c_order(data_.get(), shape_, dtype_.item_bytes()); }

  /// The elements in place. **Fails**: dtype_mismatch if they are not of T.
  template <Element T>
  std::span<const T> elements() const {
    require(type_of<T>);
    return {reinterpret_cast<const T*>(data_.get()), static_cast<std::size_t>(size())};
  }
  /// A copy as an xtensor array. **Fails**: dtype_mismatch if the elements are not of T.
  template <Element T>
  xt::xarray<T> to() const {
    const std::span<const T> from = elements<T>();
    auto out = xt::xarray<T>::from_shape(std::vector<std::size_t>(shape_.begin(), shape_.end()));
    if (!from.empty()) std::memcpy(static_cast<void*>(out.data()), from.data(), from.size_bytes());
    return out;
  }

 private:
  void require(Type type) const;

  DType dtype_;
  Shape shape_;
  std::shared_ptr<std::byte[]> data_;
};

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/any_array.ipp>
#endif
