#pragma once

#include <algorithm>
#include <morsel/array/view.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// Past this many boundaries an irregular image of a regular axis is replaced by a regular one of like
/// pieces.
inline constexpr Index most_boundaries = 1'000'000;

/// An affine map over an axis of `extent`; where at most one element is shown the stride says nothing and
/// becomes 1, so that huge steps cannot overflow when views are composed.
MORSEL_INLINE AxisMap affine_over(Index extent, int axis, Index offset, Index stride) {
  return AxisMap::affine(axis, extent == 0 ? 0 : offset, extent <= 1 ? 1 : stride);
}

MORSEL_INLINE AxisMap compose_gather(const View& outer, const AxisMap& over,
                                     const std::vector<Index>& indices) {
  if (over.kind == AxisMap::Kind::constant)
    return AxisMap::constant(indices[static_cast<std::size_t>(over.offset)]);
  std::vector<Index> picked;
  if (over.kind == AxisMap::Kind::affine) {
    const Index count = outer.shape[static_cast<std::size_t>(over.axis)];
    picked.reserve(static_cast<std::size_t>(count));
    for (Index i = 0; i < count; ++i)
      picked.push_back(indices[static_cast<std::size_t>(over.offset + i * over.stride)]);
  } else {
    picked.reserve(over.indices->size());
    for (const Index i : *over.indices) picked.push_back(indices[static_cast<std::size_t>(i)]);
  }
  AxisMap map;
  map.kind = AxisMap::Kind::gather;
  map.axis = over.axis;
  map.indices = std::make_shared<const std::vector<Index>>(std::move(picked));
  return map;
}

MORSEL_INLINE AxisMap compose_affine(const View& outer, const AxisMap& over, Index offset, Index stride) {
  switch (over.kind) {
    case AxisMap::Kind::constant:
      return AxisMap::constant(offset + stride * over.offset);
    case AxisMap::Kind::affine: {
      const Index extent = outer.shape[static_cast<std::size_t>(over.axis)];
      if (extent == 0) return affine_over(0, over.axis, 0, 1);
      return affine_over(extent, over.axis, offset + stride * over.offset,
                         extent == 1 ? 1 : stride * over.stride);
    }
    case AxisMap::Kind::gather:
      break;
  }
  std::vector<Index> moved;
  moved.reserve(over.indices->size());
  for (const Index i : *over.indices) moved.push_back(offset + stride * i);
  AxisMap map;
  map.kind = AxisMap::Kind::gather;
  map.axis = over.axis;
  map.indices = std::make_shared<const std::vector<Index>>(std::move(moved));
  return map;
}

/// The partition read from the other end.
MORSEL_INLINE AxisGrid reversed(const AxisGrid& grid) {
  const Index count = grid.count();
  if (count <= 1) return grid;
  if (grid.is_regular()) return AxisGrid::regular(grid.extent(), grid.longest(), grid.length(count - 1));
  std::vector<Index> boundaries;
  boundaries.reserve(static_cast<std::size_t>(count) + 1);
  for (Index k = count; k > 0; --k) boundaries.push_back(grid.extent() - grid.end(k - 1));
  boundaries.push_back(grid.extent());
  return AxisGrid::from_boundaries(std::move(boundaries));
}

/// The partition of positions 0 .. count - 1 that show elements offset, offset + step, ... of an axis, step >
/// 0.
///
/// A boundary b of the axis lies before the first position p with offset + p * step >= b.
MORSEL_INLINE AxisGrid strided_grid(const AxisGrid& grid, Index offset, Index step, Index count) {
  const Index first_chunk = grid.chunk_of(offset);
  const Index last_chunk = grid.chunk_of(offset + (count - 1) * step);
  if (first_chunk == last_chunk) return AxisGrid::regular(count, count);
  const auto image = [&](Index boundary) { return ceil_div(boundary - offset, step); };
  const Index touched = last_chunk - first_chunk + 1;
  if (grid.is_regular() && touched > 3) {
    const Index length = grid.length(first_chunk + 1);  // neither the first nor the last chunk of the axis
    if (step >= length) return AxisGrid::regular(count, 1);
    const Index first = image(grid.begin(first_chunk + 1));
    if (length % step == 0) return AxisGrid::regular(count, length / step, first);
    if (touched > most_boundaries) return AxisGrid::regular(count, length / step);
  }
  std::vector<Index> boundaries{0};
  for (Index k = first_chunk + 1; k <= last_chunk; ++k) {
    const Index boundary = image(grid.begin(k));
    if (boundary > boundaries.back()) boundaries.push_back(boundary);
  }
  boundaries.push_back(count);
  return AxisGrid::from_boundaries(std::move(boundaries));
}

MORSEL_INLINE AxisGrid affine_grid(const AxisGrid& grid, const AxisMap& map, Index count) {
  if (count <= 1 || map.stride == 0) return AxisGrid::regular(count, std::max<Index>(count, 1));
  if (map.stride == 1 && count == grid.extent()) return grid;
  if (map.stride > 0) return strided_grid(grid, map.offset, map.stride, count);
  return reversed(strided_grid(grid, map.offset + (count - 1) * map.stride, -map.stride, count));
}

MORSEL_INLINE std::vector<bool> named_axes(const Shape& shape, const std::vector<Index>& axes,
                                           const char* doing) {
  std::vector<bool> named(shape.size());
  const std::string place = std::string(doing) + " of shape " + to_string(shape);
  for (const Index axis : axes) {
    const auto i =
        static_cast<std::size_t>(normalize_axis(axis, static_cast<int>(shape.size()), place.c_str()));
    if (named[i])
      fail(Errc::invalid_argument, place + ": an axis is named twice; expected different axes, got axis " +
                                       std::to_string(i) + " twice");
    named[i] = true;
  }
  return named;
}

MORSEL_INLINE void check_rank(std::size_t rank, const char* doing, const Shape& shape) {
  if (rank > static_cast<std::size_t>(max_rank))
    fail(Errc::invalid_argument, std::string(doing) + " of shape " + to_string(shape) +
                                     ": too many axes; expected at most 32, got " + std::to_string(rank));
}

}  // namespace detail

MORSEL_INLINE View View::identity(const Shape& shape) {
  View view{shape, {}};
  view.maps.reserve(shape.size());
  for (std::size_t i = 0; i < shape.size(); ++i)
    view.maps.push_back(AxisMap::affine(static_cast<int>(i), 0, 1));
  return view;
}

MORSEL_INLINE bool View::is_identity(const Shape& beneath) const {
  if (!(shape == beneath) || maps.size() != shape.size()) return false;
  for (std::size_t i = 0; i < maps.size(); ++i) {
    const AxisMap& map = maps[i];
    if (map.kind != AxisMap::Kind::affine || map.axis != static_cast<int>(i)) return false;
    if (shape[i] > 0 && map.offset != 0) return false;
    if (shape[i] > 1 && map.stride != 1) return false;
  }
  return true;
}

MORSEL_INLINE View compose(const View& outer, const View& inner) {
  View view{outer.shape, {}};
  view.maps.reserve(inner.maps.size());
  for (const AxisMap& map : inner.maps) {
    if (map.kind == AxisMap::Kind::constant) {
      view.maps.push_back(map);
      continue;
    }
    const AxisMap& over = outer.maps[static_cast<std::size_t>(map.axis)];
    view.maps.push_back(map.kind == AxisMap::Kind::affine
                            ? detail::compose_affine(outer, over, map.offset, map.stride)
                            : detail::compose_gather(outer, over, *map.indices));
  }
  return view;
}

MORSEL_INLINE View slice_view(const Shape& shape, const SliceItems& items) {
  const auto place = [&] { return "slicing [" + to_string(items) + "] of shape " + to_string(shape); };
  std::size_t consumed = 0, ellipses = 0;
  for (const SliceItem& item : items) {
    consumed += item.kind == SliceItem::Kind::integer || item.kind == SliceItem::Kind::slice;
    ellipses += item.kind == SliceItem::Kind::ellipsis;
  }
  if (ellipses > 1)
    fail(Errc::invalid_argument,
         place() + ": several ellipses; expected at most one '...', got " + std::to_string(ellipses));
  if (consumed > shape.size())
    fail(Errc::invalid_argument, place() + ": too many indices; expected at most " +
                                     std::to_string(shape.size()) + ", got " + std::to_string(consumed));
  View view;
  const auto keep = [&](Index extent, Index offset, Index stride) {
    view.maps.push_back(detail::affine_over(extent, static_cast<int>(view.shape.size()), offset, stride));
    view.shape.push_back(extent);
  };
  const auto keep_whole = [&](std::size_t count) {
    while (count-- > 0) keep(shape[view.maps.size()], 0, 1);
  };
  for (const SliceItem& item : items) {
    const std::size_t axis = view.maps.size();
    switch (item.kind) {
      case SliceItem::Kind::integer: {
        const Index extent = shape[axis];
        const Index given = item.start.value_or(0);
        const Index index = given < 0 ? given + extent : given;
        if (index < 0 || index >= extent)
          fail(Errc::out_of_range,
               place() + ": index outside axis " + std::to_string(axis) + "; expected " +
                   (extent == 0 ? "no index, for the extent is 0"
                                : std::to_string(-extent) + " to " + std::to_string(extent - 1)) +
                   ", got " + std::to_string(given));
        view.maps.push_back(AxisMap::constant(index));
        break;
      }
      case SliceItem::Kind::slice: {
        if (item.step == Index{0})
          fail(Errc::invalid_argument, place() +
                                           ": a step of zero; expected a step other than 0, got 0 on axis " +
                                           std::to_string(axis));
        const ResolvedSlice part = resolve(item, shape[axis]);
        keep(part.count, part.start, part.step);
        break;
      }
      case SliceItem::Kind::ellipsis:
        keep_whole(shape.size() - consumed);
        break;
      case SliceItem::Kind::newaxis:
        view.shape.push_back(1);
        break;
    }
  }
  keep_whole(shape.size() - view.maps.size());
  detail::check_rank(view.rank(), "slicing", shape);
  return view;
}

MORSEL_INLINE View permute_view(const Shape& shape, const std::vector<Index>& order) {
  if (order.size() != shape.size())
    fail(Errc::invalid_argument, "permuting the axes of shape " + to_string(shape) +
                                     ": wrong number of axes; expected " + std::to_string(shape.size()) +
                                     ", got " + std::to_string(order.size()));
  detail::named_axes(shape, order, "permuting the axes");
  View view{Shape(shape.size()), std::vector<AxisMap>(shape.size())};
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto axis =
        static_cast<std::size_t>(order[i] < 0 ? order[i] + static_cast<Index>(shape.size()) : order[i]);
    view.shape[i] = shape[axis];
    view.maps[axis] = AxisMap::affine(static_cast<int>(i), 0, 1);
  }
  return view;
}

MORSEL_INLINE View expand_view(const Shape& shape, Index axis) {
  detail::check_rank(shape.size() + 1, "adding an axis", shape);
  const std::string place = "adding an axis to shape " + to_string(shape);
  const int at = normalize_axis(axis, static_cast<int>(shape.size()) + 1, place.c_str());
  View view = View::identity(shape);
  view.shape.insert(static_cast<std::size_t>(at), 1);
  for (AxisMap& map : view.maps) map.axis += map.axis >= at;
  return view;
}

MORSEL_INLINE View squeeze_view(const Shape& shape, const std::vector<Index>& axes) {
  const std::vector<bool> dropped = detail::named_axes(shape, axes, "squeezing axes");
  View view;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (!dropped[i]) {
      view.maps.push_back(AxisMap::affine(static_cast<int>(view.shape.size()), 0, 1));
      view.shape.push_back(shape[i]);
      continue;
    }
    if (shape[i] != 1)
      fail(Errc::invalid_argument, "squeezing axes of shape " + to_string(shape) + ": axis " +
                                       std::to_string(i) + " is not of extent 1; expected 1, got " +
                                       std::to_string(shape[i]));
    view.maps.push_back(AxisMap::constant(0));
  }
  return view;
}

MORSEL_INLINE View flip_view(const Shape& shape, const std::vector<Index>& axes) {
  const std::vector<bool> flipped = detail::named_axes(shape, axes, "flipping axes");
  View view = View::identity(shape);
  for (std::size_t i = 0; i < shape.size(); ++i)
    if (flipped[i] && shape[i] > 1) view.maps[i] = AxisMap::affine(static_cast<int>(i), shape[i] - 1, -1);
  return view;
}

MORSEL_INLINE View broadcast_view(const Shape& shape, const Shape& to) {
  detail::check_rank(to.size(), "broadcasting", shape);
  size_of(to);
  bool fits = shape.size() <= to.size();
  const std::size_t added = fits ? to.size() - shape.size() : 0;
  for (std::size_t i = 0; fits && i < shape.size(); ++i) fits = shape[i] == 1 || shape[i] == to[i + added];
  if (!fits)
    fail(Errc::shape_mismatch, "broadcasting: shape " + to_string(shape) +
                                   " does not fit; expected trailing extents equal to " + to_string(to) +
                                   " or 1, got " + to_string(shape));
  View view{to, {}};
  for (std::size_t i = 0; i < shape.size(); ++i)
    view.maps.push_back(shape[i] == to[i + added] ? AxisMap::affine(static_cast<int>(i + added), 0, 1)
                                                  : AxisMap::constant(0));
  return view;
}

MORSEL_INLINE View take_view(const Shape& shape, const std::vector<Index>& indices, Index axis) {
  const std::string place = "taking elements of shape " + to_string(shape);
  const int at = normalize_axis(axis, static_cast<int>(shape.size()), place.c_str());
  const Index extent = shape[static_cast<std::size_t>(at)];
  std::vector<Index> checked;
  checked.reserve(indices.size());
  for (const Index given : indices) {
    const Index index = given < 0 ? given + extent : given;
    if (index < 0 || index >= extent)
      fail(Errc::out_of_range,
           place + ": index outside axis " + std::to_string(at) + "; expected " +
               (extent == 0 ? "no index, for the extent is 0"
                            : std::to_string(-extent) + " to " + std::to_string(extent - 1)) +
               ", got " + std::to_string(given));
    checked.push_back(index);
  }
  View view = View::identity(shape);
  view.shape[static_cast<std::size_t>(at)] = static_cast<Index>(checked.size());
  AxisMap& map = view.maps[static_cast<std::size_t>(at)];
  map = AxisMap{AxisMap::Kind::gather, at, 0, 0,
                std::make_shared<const std::vector<Index>>(std::move(checked))};
  return view;
}

MORSEL_INLINE Region beneath(const View& view, const Region& region) {
  Region box{Dims(view.maps.size()), Dims(view.maps.size())};
  for (std::size_t i = 0; i < view.maps.size(); ++i) {
    const AxisMap& map = view.maps[i];
    Index low = map.offset, high = map.offset;
    if (map.kind != AxisMap::Kind::constant) {
      const auto axis = static_cast<std::size_t>(map.axis);
      if (map.kind == AxisMap::Kind::affine) {
        const Index a = map.offset + map.stride * region.lo[axis];
        const Index b = map.offset + map.stride * (region.hi[axis] - 1);
        low = std::min(a, b);
        high = std::max(a, b);
      } else {
        const auto first = map.indices->begin() + region.lo[axis];
        const auto last = map.indices->begin() + region.hi[axis];
        const auto [least, most] = std::minmax_element(first, last);
        low = *least;
        high = *most;
      }
    }
    box.lo[i] = low;
    box.hi[i] = high + 1;
  }
  return box;
}

MORSEL_INLINE Grid map_grid(const View& view, const Grid& grid) {
  std::vector<AxisGrid> axes;
  for (const Index n : view.shape) axes.push_back(AxisGrid::regular(n, std::max<Index>(n, 1)));
  for (std::size_t i = 0; i < view.maps.size(); ++i) {
    const AxisMap& map = view.maps[i];
    if (map.kind == AxisMap::Kind::constant) continue;
    const auto axis = static_cast<std::size_t>(map.axis);
    const Index count = view.shape[axis];
    axes[axis] = map.kind == AxisMap::Kind::affine
                     ? detail::affine_grid(grid.axis(i), map, count)
                     : AxisGrid::regular(count, std::max<Index>(grid.axis(i).longest(), 1));
  }
  return Grid(std::move(axes));
}

}  // namespace morsel::inline MORSEL_ABI
