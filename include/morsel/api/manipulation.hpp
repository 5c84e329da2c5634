// Shape and order of axes: views that move no data, and joins. Names as in the Array API standard.
#pragma once

#include <morsel/api/operand.hpp>

namespace morsel::inline MORSEL_ABI {

// For arrays whose dtype is known at run time; the typed forms below do the same.
AnyLazyArray permute_dims(const AnyLazyArray& array, const std::vector<AxisName>& order);
AnyLazyArray expand_dims(const AnyLazyArray& array, Index axis);
AnyLazyArray squeeze(const AnyLazyArray& array, const Axes& axes = {});
AnyLazyArray flip(const AnyLazyArray& array, const Axes& axes = {});
AnyLazyArray moveaxis(const AnyLazyArray& array, const Axes& from, const Axes& to);
AnyLazyArray broadcast_to(const AnyLazyArray& array, const Shape& shape);
AnyLazyArray take(const AnyLazyArray& array, const std::vector<Index>& indices, const AxisName& axis);
AnyLazyArray concat(const std::vector<AnyLazyArray>& arrays, const AxisName& axis = 0);
AnyLazyArray stack(const std::vector<AnyLazyArray>& arrays, Index axis = 0);

/// The axes in another order: permute_dims(a, {2, 0, 1}) or {"lat", "lon", "time"}.
template <class T>
LazyArray<T> permute_dims(const LazyArray<T>& array, const std::vector<AxisName>& order) {
  return LazyArray<T>(permute_dims(array.any(), order));
}
/// The axes in reverse order, or in a given one (NumPy's name for permute_dims).
template <LazyLike A>
A transpose(const A& array) {
  std::vector<AxisName> order;
  for (std::size_t i = array.ndim(); i-- > 0;) order.emplace_back(i);
  return permute_dims(array, order);
}
template <LazyLike A>
A transpose(const A& array, const std::vector<AxisName>& order) {
  return permute_dims(array, order);
}
/// A new axis of extent 1 before axis `axis`.
template <class T>
LazyArray<T> expand_dims(const LazyArray<T>& array, Index axis) {
  return LazyArray<T>(expand_dims(array.any(), axis));
}
/// Drops axes of extent 1: those given, or all of them.
template <class T>
LazyArray<T> squeeze(const LazyArray<T>& array, const Axes& axes = {}) {
  return LazyArray<T>(squeeze(array.any(), axes));
}
/// Reverses the order of elements along the axes.
template <class T>
LazyArray<T> flip(const LazyArray<T>& array, const Axes& axes = {}) {
  return LazyArray<T>(flip(array.any(), axes));
}
/// Moves axes to other places; the others keep their order.
template <class T>
LazyArray<T> moveaxis(const LazyArray<T>& array, const Axes& from, const Axes& to) {
  return LazyArray<T>(moveaxis(array.any(), from, to));
}
template <class T>
LazyArray<T> broadcast_to(const LazyArray<T>& array, const Shape& shape) {
  return LazyArray<T>(broadcast_to(array.any(), shape));
}
/// Elements at `indices` along an axis, in that order.
template <class T>
LazyArray<T> take(const LazyArray<T>& array, const std::vector<Index>& indices, const AxisName& axis) {
  return LazyArray<T>(take(array.any(), indices, axis));
}
/// Arrays one after another along an axis; arrays of different types give an AnyLazyArray of the promoted
/// one.
template <class T>
LazyArray<T> concat(const std::vector<LazyArray<T>>& arrays, const AxisName& axis = 0) {
  return LazyArray<T>(concat(std::vector<AnyLazyArray>(arrays.begin(), arrays.end()), axis));
}
/// Arrays of one shape along a new axis.
template <class T>
LazyArray<T> stack(const std::vector<LazyArray<T>>& arrays, Index axis = 0) {
  return LazyArray<T>(stack(std::vector<AnyLazyArray>(arrays.begin(), arrays.end()), axis));
}

template <class T>
LazyArray<T> concat(std::initializer_list<LazyArray<T>> arrays, const AxisName& axis = 0) {
  return LazyArray<T>(concat(std::vector<AnyLazyArray>(arrays.begin(), arrays.end()), axis));
}
template <class T>
LazyArray<T> stack(std::initializer_list<LazyArray<T>> arrays, Index axis = 0) {
  return LazyArray<T>(stack(std::vector<AnyLazyArray>(arrays.begin(), arrays.end()), axis));
}

/// Two arrays of any dtypes, joined with the promoted one.
template <class T, class U>
LazyArray<promote_t<T, U>> concat(const LazyArray<T>& a, const LazyArray<U>& b, const AxisName& axis = 0) {
  return LazyArray<promote_t<T, U>>(concat(std::vector<AnyLazyArray>{a.any(), b.any()}, axis));
}

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/manipulation.ipp>
#endif
