// Several results in one run, which reads what they have in common once.
#pragma once

#include <morsel/api/operand.hpp>
#include <tuple>

namespace morsel::inline MORSEL_ABI {

namespace detail {

template <class T>
xt::xarray<T> room_for(const LazyArray<T>& array) {
  return xarray_of<T>(array.shape());
}
inline AnyArray room_for(const AnyLazyArray& array) { return AnyArray(array.dtype(), array.shape()); }
inline BufferView view_of(AnyArray& room) { return room.view(); }
inline const Edge& edge_of(const AnyLazyArray& array) { return array.edge(); }

/// An operand with its type: an xtensor array's elements where they stand.
template <ArrayLike A>
decltype(auto) as_lazy(const A& a) {
  if constexpr (EagerArray<A>)
    return LazyArray<element_t<type_of<typename A::value_type>>>(lazy_reference(a));
  else if constexpr (AnyLazyLike<A>)
    return AnyLazyArray(a);
  else
    return (a);
}

template <LazyLike... A>
auto compute_lazy(const ComputeOptions& options, const A&... arrays) {
  std::tuple results{room_for(arrays)...};
  const std::vector<BufferView> out =
      std::apply([](auto&... rooms) { return std::vector<BufferView>{view_of(rooms)...}; }, results);
  evaluate_to({edge_of(arrays)...}, out, options);
  return results;
}

}  // namespace detail

/// auto [lo, hi] = compute({.memory = "1GiB"}, min(a), max(a)): an xt::xarray for each LazyArray or xtensor
/// array, an AnyArray for each AnyLazyArray. **Fails**: as evaluate() does.
template <ArrayLike... A>
requires(sizeof...(A) >= 1) auto compute(const ComputeOptions& options, const A&... arrays) {
  return detail::compute_lazy(options, detail::as_lazy(arrays)...);
}
template <ArrayLike... A>
requires(sizeof...(A) >= 1) auto compute(const A&... arrays) { return compute(ComputeOptions{}, arrays...); }

}  // namespace morsel::inline MORSEL_ABI
