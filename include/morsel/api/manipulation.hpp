// Shape and order of axes: views that move no data, and joins. Names as in the Array API standard.
#pragma once

#include <morsel/api/operand.hpp>

namespace morsel::inline MORSEL_ABI {

// For arrays whose dtype is known at run time; the forms below do the same for typed arrays and, at once, for
// xtensor arrays.
AnyLazyArray permute_dims(const AnyLazyArray& array, const std::vector<AxisName>& order);
AnyLazyArray transpose(const AnyLazyArray& array);
AnyLazyArray expand_dims(const AnyLazyArray& array, Index axis);
AnyLazyArray squeeze(const AnyLazyArray& array, const Axes& axes = {});
AnyLazyArray flip(const AnyLazyArray& array, const Axes& axes = {});
AnyLazyArray moveaxis(const AnyLazyArray& array, const Axes& from, const Axes& to);
AnyLazyArray broadcast_to(const AnyLazyArray& array, const Shape& shape);
AnyLazyArray take(const AnyLazyArray& array, const std::vector<Index>& indices, const AxisName& axis);
AnyLazyArray rechunk(const AnyLazyArray& array, const ChunkSpec& chunks);
AnyLazyArray concat(const std::vector<AnyLazyArray>& arrays, const AxisName& axis = 0);
AnyLazyArray stack(const std::vector<AnyLazyArray>& arrays, Index axis = 0);

namespace detail {

/// The result of a call that moves elements of A... and keeps their type.
template <class... A>
auto moved(AnyLazyArray result) {
  return in_kind<joint_type<A...>(), A...>(std::move(result));
}
template <class List>
std::vector<AnyLazyArray> handles(const List& arrays) {
  std::vector<AnyLazyArray> all;
  for (const auto& array : arrays) all.push_back(handle<typename List::value_type>(array));
  return all;
}

}  // namespace detail

/// The axes in another order: permute_dims(a, {2, 0, 1}) or {"lat", "lon", "time"}.
template <ArrayLike A>
auto permute_dims(const A& array, const std::vector<AxisName>& order) {
  return detail::moved<A>(permute_dims(detail::handle<A>(array), order));
}
/// The axes in reverse order, or in a given one (NumPy's name for permute_dims).
template <ArrayLike A>
auto transpose(const A& array) {
  return detail::moved<A>(transpose(detail::handle<A>(array)));
}
template <ArrayLike A>
auto transpose(const A& array, const std::vector<AxisName>& order) {
  return detail::moved<A>(permute_dims(detail::handle<A>(array), order));
}
/// A new axis of extent 1 before axis `axis`.
template <ArrayLike A>
auto expand_dims(const A& array, Index axis) {
  return detail::moved<A>(expand_dims(detail::handle<A>(array), axis));
}
/// Drops axes of extent 1: those given, or all of them.
template <ArrayLike A>
auto squeeze(const A& array, const Axes& axes = {}) {
  return detail::moved<A>(squeeze(detail::handle<A>(array), axes));
}
/// Reverses the order of elements along the axes.
template <ArrayLike A>
auto flip(const A& array, const Axes& axes = {}) {
  return detail::moved<A>(flip(detail::handle<A>(array), axes));
}
/// Moves axes to other places; the others keep their order.
template <ArrayLike A>
auto moveaxis(const A& array, const Axes& from, const Axes& to) {
  return detail::moved<A>(moveaxis(detail::handle<A>(array), from, to));
}
template <ArrayLike A>
auto broadcast_to(const A& array, const Shape& shape) {
  return detail::moved<A>(broadcast_to(detail::handle<A>(array), shape));
}
/// Elements at `indices` along an axis, in that order.
template <ArrayLike A>
auto take(const A& array, const std::vector<Index>& indices, const AxisName& axis) {
  return detail::moved<A>(take(detail::handle<A>(array), indices, axis));
}
/// The same values with other declared chunks.
template <ArrayLike A>
auto rechunk(const A& array, const ChunkSpec& chunks) {
  return detail::moved<A>(rechunk(detail::handle<A>(array), chunks));
}

/// Arrays of one type one after another along an axis. A list of lazy arrays of different types gives an
/// AnyLazyArray of the promoted one; a braced list of xtensor arrays copies them.
template <ArrayLike A>
auto concat(const std::vector<A>& arrays, const AxisName& axis = 0) {
  return detail::moved<A>(concat(detail::handles(arrays), axis));
}
template <ArrayLike A>
auto concat(std::initializer_list<A> arrays, const AxisName& axis = 0) {
  return detail::moved<A>(concat(detail::handles(arrays), axis));
}
/// Two arrays of any dtypes, joined with the promoted one.
template <ArrayLike A, ArrayLike B>
auto concat(const A& a, const B& b, const AxisName& axis = 0) {
  const std::vector<AnyLazyArray> both{detail::handle<A, B>(a), detail::handle<A, B>(b)};
  return detail::moved<A, B>(concat(both, axis));
}
/// Arrays of one shape along a new axis.
template <ArrayLike A>
auto stack(const std::vector<A>& arrays, Index axis = 0) {
  return detail::moved<A>(stack(detail::handles(arrays), axis));
}
template <ArrayLike A>
auto stack(std::initializer_list<A> arrays, Index axis = 0) {
  return detail::moved<A>(stack(detail::handles(arrays), axis));
}

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/manipulation.ipp>
#endif
