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

}  // namespace detail

/// auto [lo, hi] = compute({.memory = "1GiB"}, min(a), max(a)): an xt::xarray for each LazyArray, an AnyArray
/// for each AnyLazyArray. **Fails**: as evaluate() does.
template <LazyLike... A>
requires(sizeof...(A) >= 1) auto compute(const ComputeOptions& options, const A&... arrays) {
  std::tuple results{detail::room_for(arrays)...};
  const std::vector<BufferView> out =
      std::apply([](auto&... rooms) { return std::vector<BufferView>{detail::view_of(rooms)...}; }, results);
  detail::evaluate_to({detail::edge_of(arrays)...}, out, options);
  return results;
}
template <LazyLike... A>
requires(sizeof...(A) >= 1) auto compute(const A&... arrays) { return compute(ComputeOptions{}, arrays...); }

}  // namespace morsel::inline MORSEL_ABI
