// A map from the indices of one array to those of another: slices, steps, flips, integer indices, new axes,
// transposes, broadcasts and takes, composed into one.
#pragma once

#include <memory>
#include <morsel/array/grid.hpp>
#include <morsel/array/slice.hpp>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// Where the index on one axis of the array beneath comes from.
struct AxisMap {
  enum class Kind : std::uint8_t { constant, affine, gather };
  Kind kind = Kind::constant;
  int axis = 0;                                       ///< affine, gather: the axis of the view that drives it
  Index offset = 0;                                   ///< constant: the index; affine: the index at 0
  Index stride = 0;                                   ///< affine: step per element, may be negative
  std::shared_ptr<const std::vector<Index>> indices;  ///< gather: the index for each position

  static AxisMap constant(Index index) { return {Kind::constant, 0, index, 0, nullptr}; }
  static AxisMap affine(int axis, Index offset, Index stride) {
    return {Kind::affine, axis, offset, stride, nullptr};
  }
  /// Gathers are equal if their indices are.
  friend bool operator==(const AxisMap& a, const AxisMap& b) {
    return a.kind == b.kind && a.axis == b.axis && a.offset == b.offset && a.stride == b.stride &&
           (a.indices == b.indices || (a.indices && b.indices && *a.indices == *b.indices));
  }
  Index at(const Dims& position) const {
    switch (kind) {
      case Kind::constant:
        return offset;
      case Kind::affine:
        return offset + stride * position[static_cast<std::size_t>(axis)];
      case Kind::gather:
        return (*indices)[static_cast<std::size_t>(position[static_cast<std::size_t>(axis)])];
    }
    return 0;
  }
};

/// A view: its own shape, and for each axis of the array beneath where the index comes from. An axis of the
/// view that no map names is broadcast. Views share nothing mutable; composing is O(rank + indices).
struct View {
  Shape shape;
  std::vector<AxisMap> maps;

  static View identity(const Shape& shape);
  bool is_identity(const Shape& beneath) const;
  std::size_t rank() const { return shape.size(); }
  friend bool operator==(const View&, const View&) = default;
};

/// The view that applies `outer` to what `inner` shows: result.maps refer to the array beneath `inner`.
View compose(const View& outer, const View& inner);

/// Views of an array of `shape`. All **Fail** with a message that names the shape.
View slice_view(const Shape& shape, const SliceItems& items);            ///< out_of_range, invalid_argument
View permute_view(const Shape& shape, const std::vector<Index>& order);  ///< invalid_argument
View expand_view(const Shape& shape, Index axis);
View squeeze_view(const Shape& shape,
                  const std::vector<Index>& axes);  ///< invalid_argument if an extent is not 1
View flip_view(const Shape& shape, const std::vector<Index>& axes);
View broadcast_view(const Shape& shape, const Shape& to);                           ///< shape_mismatch
View take_view(const Shape& shape, const std::vector<Index>& indices, Index axis);  ///< out_of_range

/// The smallest box beneath that holds what `region` of the view shows. **Requires**: a non-empty region.
Region beneath(const View& view, const Region& region);

/// The grid of a view of an array with grid `grid`: boundaries mapped through slices and permutations; a
/// broadcast axis is one chunk, a gather axis has pieces of the longest chunk's length.
Grid map_grid(const View& view, const Grid& grid);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/array/impl/view.ipp>
#endif
