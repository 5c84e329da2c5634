// Partitions of an axis, and their product: how an array is cut into chunks. Never materialised.
#pragma once

#include <memory>
#include <morsel/array/region.hpp>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// A partition of [0, extent) into consecutive pieces, none empty; extent 0 has no pieces.
///
/// Regular: the first piece ends at `first`, later ones are `step` long, the last may be short. Irregular:
/// any list of boundaries. **Cost**: chunk_of is O(1) regular, O(log count) irregular.
class AxisGrid {
 public:
  AxisGrid() = default;
  /// Pieces of `step` elements, the last one shorter; the first one `first` long if that is given.
  static AxisGrid regular(Index extent, Index step, Index first = 0);
  /// Boundaries 0 = b0 < b1 < ... < bn = extent (without repeats).
  static AxisGrid from_boundaries(std::vector<Index> boundaries);
  /// Piece lengths, each > 0 (zeros are dropped).
  static AxisGrid from_lengths(const std::vector<Index>& lengths);

  Index extent() const { return extent_; }
  Index count() const { return count_; }
  bool is_regular() const { return !boundaries_; }
  /// True if every piece but the last has the length of the first.
  bool is_uniform() const { return !boundaries_ && (first_ == step_ || count_ <= 1); }
  Index chunk_of(Index position) const {
    return boundaries_         ? irregular_chunk_of(position)
           : position < first_ ? 0
                               : 1 + (position - first_) / step_;
  }
  Index begin(Index chunk) const {
    return boundaries_  ? (*boundaries_)[static_cast<std::size_t>(chunk)]
           : chunk == 0 ? 0
                        : first_ + (chunk - 1) * step_;
  }
  Index end(Index chunk) const { return chunk + 1 == count_ ? extent_ : begin(chunk + 1); }
  Index length(Index chunk) const { return end(chunk) - begin(chunk); }
  /// The longest piece.
  Index longest() const;
  friend bool operator==(const AxisGrid& a, const AxisGrid& b);

 private:
  Index irregular_chunk_of(Index position) const;

  Index extent_ = 0, step_ = 1, first_ = 1, count_ = 0;
  std::shared_ptr<const std::vector<Index>> boundaries_;
};

/// The product of one partition per axis. Chunks are numbered in C order of their grid position; 0-d has one
/// chunk.
class Grid {
 public:
  Grid() = default;
  explicit Grid(std::vector<AxisGrid> axes) : axes_(std::move(axes)) {}
  /// One chunk that is the whole array.
  static Grid whole(const Shape& shape);
  /// Chunks of the given lengths, those at the edges shorter.
  static Grid regular(const Shape& shape, const Shape& chunk);

  std::size_t rank() const { return axes_.size(); }
  const AxisGrid& axis(std::size_t i) const { return axes_[i]; }
  Shape shape() const;
  /// Chunks along each axis.
  Dims counts() const;
  /// Number of chunks.
  Index count() const;
  /// Extents of the largest chunk.
  Shape chunk_shape() const;
  /// The box of the chunk at a grid position, or with a number in C order.
  Region region(const Dims& position) const;
  Region region(Index number) const { return region(position(number)); }
  Dims position(Index number) const;
  Index number(const Dims& position) const;
  /// Grid positions [lo, hi) of the chunks that overlap a non-empty box.
  Region overlapping(const Region& box) const;
  friend bool operator==(const Grid&, const Grid&) = default;

 private:
  std::vector<AxisGrid> axes_;
};

/// "((4, 4, 2), (3, 3))" as dask writes it, long lists shortened.
std::string to_string(const Grid& grid);

/// Calls f(position) for each position of the box in C order.
template <class F>
void for_each_position(const Region& box, F&& f) {
  if (box.size() == 0) return;
  Dims at = box.lo;
  for (;;) {
    f(static_cast<const Dims&>(at));
    std::size_t i = at.size();
    for (;;) {
      if (i == 0) return;
      --i;
      if (++at[i] < box.hi[i]) break;
      at[i] = box.lo[i];
    }
  }
}

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/array/impl/grid.ipp>
#endif
