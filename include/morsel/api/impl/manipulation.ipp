#pragma once

#include <algorithm>
#include <morsel/api/coordinates.hpp>
#include <morsel/api/manipulation.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// A view of an array: its attributes stay, its names are those given.
MORSEL_INLINE AnyLazyArray renamed(const AnyLazyArray& array, Edge edge, std::vector<std::string> dims) {
  return AnyLazyArray(std::move(edge), std::move(dims), array.attrs());
}

/// A view that has the elements along each named axis in their order: coordinates stay, too.
MORSEL_INLINE AnyLazyArray reordered(const AnyLazyArray& array, Edge edge, std::vector<std::string> dims) {
  return renamed(array, std::move(edge), std::move(dims)).with_coordinate_axes(array.coordinate_axes());
}

}  // namespace detail

MORSEL_INLINE AnyLazyArray permute_dims(const AnyLazyArray& array, const std::vector<AxisName>& order) {
  std::vector<Index> numbers;
  std::vector<std::string> dims;
  for (const AxisName& axis : order)
    numbers.push_back(find_axis(axis, array.dims(), array.ndim(), "permute_dims"));
  Edge edge = permute_dims(array.edge(), numbers);
  for (const Index i : numbers)
    if (!array.dims().empty()) dims.push_back(array.dims()[static_cast<std::size_t>(i)]);
  return detail::reordered(array, std::move(edge), std::move(dims));
}

MORSEL_INLINE AnyLazyArray transpose(const AnyLazyArray& array) {
  std::vector<AxisName> order;
  for (std::size_t i = array.ndim(); i-- > 0;) order.emplace_back(i);
  return permute_dims(array, order);
}

MORSEL_INLINE AnyLazyArray expand_dims(const AnyLazyArray& array, Index axis) {
  Edge edge = expand_dims(array.edge(), axis);
  std::vector<std::string> dims = array.dims();
  if (!dims.empty())
    dims.insert(dims.begin() + normalize_axis(axis, static_cast<int>(array.ndim()) + 1, "expand_dims"),
                std::string());
  return detail::reordered(array, std::move(edge), std::move(dims));
}

MORSEL_INLINE AnyLazyArray squeeze(const AnyLazyArray& array, const Axes& axes) {
  std::vector<Index> numbers;
  if (axes.all()) {
    for (std::size_t i = 0; i < array.ndim(); ++i)
      if (array.shape()[i] == 1) numbers.push_back(static_cast<Index>(i));
  } else {
    numbers = find_axes(axes, array.dims(), array.ndim(), "squeeze");
  }
  Edge edge = squeeze(array.edge(), numbers);
  std::vector<std::string> dims;
  for (std::size_t i = 0; i < array.dims().size(); ++i)
    if (std::find(numbers.begin(), numbers.end(), static_cast<Index>(i)) == numbers.end())
      dims.push_back(array.dims()[i]);
  return detail::reordered(array, std::move(edge), std::move(dims));
}

MORSEL_INLINE AnyLazyArray flip(const AnyLazyArray& array, const Axes& axes) {
  const std::vector<Index> numbers = find_axes(axes, array.dims(), array.ndim(), "flip");
  SliceItems items(array.ndim());
  for (const Index i : numbers)
    items[static_cast<std::size_t>(normalize_axis(i, static_cast<int>(array.ndim()), "flip"))].step = -1;
  return detail::renamed(array, flip(array.edge(), numbers), array.dims())
      .with_coordinate_axes(detail::sliced_axes(array.coordinate_axes(), array.dims(), array.shape(), items));
}

MORSEL_INLINE AnyLazyArray moveaxis(const AnyLazyArray& array, const Axes& from, const Axes& to) {
  const std::vector<Index> sources = find_axes(from, array.dims(), array.ndim(), "moveaxis");
  const std::vector<Index> targets = find_axes(to, array.dims(), array.ndim(), "moveaxis");
  Edge edge = moveaxis(array.edge(), sources, targets);
  // The names move as the axes did: the edge's view was permuted in the same way.
  std::vector<std::string> dims;
  if (!array.dims().empty()) {
    const auto rank = static_cast<int>(array.ndim());
    dims.resize(array.ndim());
    std::vector<bool> moved(array.ndim()), taken(array.ndim());
    for (std::size_t k = 0; k < sources.size(); ++k) {
      const auto source = static_cast<std::size_t>(normalize_axis(sources[k], rank, "moveaxis"));
      const auto target = static_cast<std::size_t>(normalize_axis(targets[k], rank, "moveaxis"));
      dims[target] = array.dims()[source];
      moved[source] = taken[target] = true;
    }
    std::size_t next = 0;
    for (std::size_t i = 0; i < dims.size(); ++i) {
      if (taken[i]) continue;
      while (moved[next]) ++next;
      dims[i] = array.dims()[next++];
    }
  }
  return detail::reordered(array, std::move(edge), std::move(dims));
}

MORSEL_INLINE AnyLazyArray broadcast_to(const AnyLazyArray& array, const Shape& shape) {
  Edge edge = broadcast_to(array.edge(), shape);
  std::vector<std::string> dims = array.dims();
  if (!dims.empty()) dims.insert(dims.begin(), shape.size() - array.ndim(), std::string());
  return detail::renamed(array, std::move(edge), std::move(dims));
}

MORSEL_INLINE AnyLazyArray take(const AnyLazyArray& array, const std::vector<Index>& indices,
                                const AxisName& axis) {
  const Index number = find_axis(axis, array.dims(), array.ndim(), "take");
  return detail::renamed(array, take(array.edge(), indices, number), array.dims());
}

MORSEL_INLINE AnyLazyArray rechunk(const AnyLazyArray& array, const ChunkSpec& chunks) {
  return array.rechunk(chunks);
}

MORSEL_INLINE AnyLazyArray concat(const std::vector<AnyLazyArray>& arrays, const AxisName& axis) {
  std::vector<Edge> edges;
  std::vector<detail::NamedShape> names;
  for (const AnyLazyArray& array : arrays) {
    edges.push_back(array.edge());
    names.push_back({&array.dims(), array.ndim()});
  }
  const Index number = arrays.empty() ? 0 : find_axis(axis, arrays[0].dims(), arrays[0].ndim(), "concat");
  Edge edge = concat(edges, number);
  return AnyLazyArray(std::move(edge), detail::dims_of_operands(names, "concat"));
}

MORSEL_INLINE AnyLazyArray stack(const std::vector<AnyLazyArray>& arrays, Index axis) {
  std::vector<Edge> edges;
  std::vector<detail::NamedShape> names;
  for (const AnyLazyArray& array : arrays) {
    edges.push_back(array.edge());
    names.push_back({&array.dims(), array.ndim()});
  }
  Edge edge = stack(edges, axis);
  std::vector<std::string> dims = detail::dims_of_operands(names, "stack");
  if (!dims.empty())
    dims.insert(dims.begin() + normalize_axis(axis, static_cast<int>(edge.shape().size()), "stack"),
                std::string());
  return AnyLazyArray(std::move(edge), std::move(dims));
}

}  // namespace morsel::inline MORSEL_ABI
