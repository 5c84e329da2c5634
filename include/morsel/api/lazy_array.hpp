// A handle on an array of T that is computed when it is asked for: what most programs hold.
#pragma once

#include <morsel/api/any_lazy_array.hpp>
#include <morsel/api/async.hpp>
#include <morsel/api/xtensor.hpp>
#include <new>
#include <span>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// Room for a result, not initialised. **Fails**: budget_too_small if there is not as much memory.
template <class T>
xt::xarray<T> xarray_of(const Shape& shape) {
  const Index bytes = checked_mul(size_of(shape), static_cast<Index>(sizeof(T)), "result bytes");
  try {
    return xt::xarray<T>::from_shape(typename xt::xarray<T>::shape_type(shape.begin(), shape.end()));
  } catch (const std::bad_alloc&) {
    fail_allocation(shape, bytes);
  }
}

template <class T>
BufferView view_of(xt::xarray<T>& array) {
  return BufferView::c_order(array.data(), Shape(array.shape().begin(), array.shape().end()), sizeof(T));
}

// Containers have memory with strides; the base is xcontainer for owners and adaptors alike.
template <class X>
concept XtContainer = std::is_base_of_v<xt::xcontainer<std::remove_cvref_t<X>>, std::remove_cvref_t<X>>;

/// The elements of a container where they stand. xtensor counts strides in elements.
template <XtContainer X>
BufferView view_of_container(X& container) {
  using T = typename std::remove_cvref_t<X>::value_type;
  BufferView view;
  view.data = reinterpret_cast<std::byte*>(const_cast<T*>(container.data() + container.data_offset()));
  view.item_bytes = sizeof(T);
  view.shape.assign(container.shape().begin(), container.shape().end());
  for (const auto stride : container.strides())
    view.strides.push_back(static_cast<Index>(stride) * static_cast<Index>(sizeof(T)));
  return view;
}

}  // namespace detail

/// An array of T that is computed when it is asked for. Immutable, cheap to copy; const members may be
/// called from any thread. See AnyLazyArray for names and attributes.
template <class T>
class LazyArray {
  static_assert(Element<T>, "morsel: not an element type; expected one of the fourteen numeric types");
  static_assert(std::is_same_v<T, element_t<type_of<T>>>,
                "morsel: expected the fixed-width type of that size");

 public:
  using value_type = T;

  /// The array with its element type known. **Fails**: dtype_mismatch.
  explicit LazyArray(AnyLazyArray array) : any_(std::move(array)) {
    if (any_.dtype() != DType(type_of<T>)) detail::fail_other_dtype(any_, type_of<T>);
  }
  explicit LazyArray(Edge edge) : LazyArray(AnyLazyArray(std::move(edge))) {}
  operator const AnyLazyArray&() const { return any_; }  // NOLINT(google-explicit-constructor)
  /// The same handle with the element type forgotten.
  const AnyLazyArray& any() const { return any_; }

  const Shape& shape() const { return any_.shape(); }
  std::size_t ndim() const { return any_.ndim(); }
  Index size() const { return any_.size(); }
  std::size_t nbytes() const { return any_.nbytes(); }
  const DType& dtype() const { return any_.dtype(); }
  Grid grid() const { return any_.grid(); }
  std::vector<std::vector<Index>> chunks() const { return any_.chunks(); }
  const std::vector<std::string>& dims() const { return any_.dims(); }
  const Attributes& attrs() const { return any_.attrs(); }
  const Edge& edge() const { return any_.edge(); }

  LazyArray with_dims(std::vector<std::string> dims) const {
    return LazyArray(any_.with_dims(std::move(dims)));
  }
  LazyArray with_attrs(Attributes attrs) const { return LazyArray(any_.with_attrs(std::move(attrs))); }

  LazyArray operator[](std::string_view items) const { return LazyArray(any_[items]); }
  template <std::integral I>
  LazyArray operator[](I index) const {
    return LazyArray(any_[index]);
  }
  LazyArray operator[](const SliceItem& item) const { return LazyArray(any_[item]); }
  template <class... I>
  LazyArray view(const I&... items) const {
    return LazyArray(any_.view(items...));
  }
  LazyArray slice(const SliceItems& items) const { return LazyArray(any_.slice(items)); }
  LazyArray rechunk(const ChunkSpec& chunks) const { return LazyArray(any_.rechunk(chunks)); }
  template <Element R>
  LazyArray<element_t<type_of<R>>> as() const {
    return any_.template as<R>();
  }

  /// The result: the caller's memory, outside the budget.
  xt::xarray<T> compute(const ComputeOptions& options = {}) const {
    auto out = detail::xarray_of<T>(shape());
    any_.compute_into(detail::view_of(out), options);
    return out;
  }
  /// The value of an array of one element. **Fails**: invalid_argument for any other.
  T item(const ComputeOptions& options = {}) const {
    detail::require_one_element(any_);
    T value{};
    any_.compute_into(BufferView::c_order(&value, shape(), sizeof(T)), options);
    return value;
  }
  /// Writes the elements in C order. **Fails**: shape_mismatch if the span is not as long as the array.
  void compute_into(std::span<T> out, const ComputeOptions& options = {}) const {
    detail::require_elements(any_, out.size());
    any_.compute_into(BufferView::c_order(out.data(), shape(), sizeof(T)), options);
  }
  /// Writes to memory with one stride per axis, counted in elements.
  void compute_into(T* out, const Dims& strides, const ComputeOptions& options = {}) const {
    any_.compute_into(detail::strided_view(out, shape(), strides, sizeof(T)), options);
  }
  /// Writes into an xtensor container of the array's shape, in its own layout.
  template <detail::XtContainer X>
  void compute_into(X& out, const ComputeOptions& options = {}) const {
    static_assert(std::is_same_v<typename X::value_type, T>,
                  "morsel: compute_into takes a container of the same type");
    any_.compute_into(detail::view_of_container(out), options);
  }
  AsyncResult<xt::xarray<T>> compute_async(const ComputeOptions& options = {}) const {
    auto out = std::make_shared<xt::xarray<T>>(detail::xarray_of<T>(shape()));
    detail::AsyncRun run(
        [any = any_, out](const ComputeOptions& run_options) {
          any.compute_into(detail::view_of(*out), run_options);
        },
        options);
    return {std::move(out), std::move(run)};
  }

 private:
  AnyLazyArray any_;
};

template <class T>
std::string to_string(const LazyArray<T>& array) {
  return to_string(array.any());
}
template <class T>
std::string describe(const LazyArray<T>& array) {
  return describe(array.any());
}

template <Element T>
LazyArray<element_t<type_of<T>>> AnyLazyArray::as() const {
  return LazyArray<element_t<type_of<T>>>(astype(type_of<T>));
}

template <class F>
decltype(auto) AnyLazyArray::visit(F&& f) const {
  if (!dtype().is_numeric())
    fail(
        Errc::dtype_mismatch,
        "visiting an array: not numeric; expected one of the fourteen numeric dtypes, got " + dtype().name());
  return visit_type(dtype().type(), [&]<class T>() -> decltype(auto) { return f(LazyArray<T>(*this)); });
}

#if !defined(MORSEL_HEADER_ONLY)
#define MORSEL_EXTERN(NAME, CPP) extern template class LazyArray<CPP>;
MORSEL_FOR_EACH_NUMERIC(MORSEL_EXTERN)
#undef MORSEL_EXTERN
#endif

}  // namespace morsel::inline MORSEL_ABI
