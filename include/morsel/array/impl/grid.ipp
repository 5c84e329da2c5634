#pragma once

#include <morsel/array/grid.hpp>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE AxisGrid AxisGrid::regular(Index extent, Index step, Index first) {
  if (extent < 0 || step < 1 || first < 0)
    fail(Errc::invalid_argument,
         "chunk grid: impossible partition; expected extent >= 0 and chunk >= 1, got extent " +
             std::to_string(extent) + " and chunk " + std::to_string(step));
  AxisGrid grid;
  grid.extent_ = extent;
  grid.step_ = std::min(step, std::max<Index>(extent, 1));
  grid.first_ = first > 0 ? std::min(first, std::max<Index>(extent, 1)) : grid.step_;
  if (grid.first_ > grid.step_ && grid.first_ < extent) {
    // A first piece longer than the step is an irregular partition.
    std::vector<Index> boundaries{0};
    for (Index b = grid.first_; b < extent; b += grid.step_) boundaries.push_back(b);
    boundaries.push_back(extent);
    return from_boundaries(std::move(boundaries));
  }
  grid.count_ = extent == 0 ? 0 : extent <= grid.first_ ? 1 : 1 + ceil_div(extent - grid.first_, grid.step_);
  return grid;
}

MORSEL_INLINE AxisGrid AxisGrid::from_boundaries(std::vector<Index> boundaries) {
  const std::size_t n = boundaries.size();
  if (n == 0 || boundaries.front() != 0) fail(Errc::internal_error, "chunk grid: boundaries must start at 0");
  if (n == 1) return regular(0, 1);
  bool regular_tail = true;
  for (std::size_t i = 1; i < n; ++i) {
    if (boundaries[i] <= boundaries[i - 1])
      fail(Errc::internal_error, "chunk grid: boundaries must increase");
    if (i >= 2 && i + 1 < n)
      regular_tail &= boundaries[i] - boundaries[i - 1] == boundaries[2] - boundaries[1];
  }
  const Index first = boundaries[1];
  if (n == 2) return regular(boundaries.back(), first);
  const Index step = n == 3 ? std::max(first, boundaries[2] - boundaries[1]) : boundaries[2] - boundaries[1];
  if (regular_tail && first <= step && boundaries[n - 1] - boundaries[n - 2] <= step)
    return regular(boundaries.back(), step, first);
  AxisGrid grid;
  grid.extent_ = boundaries.back();
  grid.count_ = static_cast<Index>(n) - 1;
  grid.boundaries_ = std::make_shared<const std::vector<Index>>(std::move(boundaries));
  return grid;
}

MORSEL_INLINE AxisGrid AxisGrid::from_lengths(const std::vector<Index>& lengths) {
  std::vector<Index> boundaries{0};
  for (const Index n : lengths) {
    if (n < 0)
      fail(Errc::invalid_argument,
           "chunk grid: negative chunk length; expected > 0, got " + std::to_string(n));
    if (n > 0) boundaries.push_back(checked_add(boundaries.back(), n, "chunk lengths"));
  }
  return from_boundaries(std::move(boundaries));
}

MORSEL_INLINE Index AxisGrid::irregular_chunk_of(Index position) const {
  const auto it = std::upper_bound(boundaries_->begin(), boundaries_->end(), position);
  return static_cast<Index>(it - boundaries_->begin()) - 1;
}

MORSEL_INLINE Index AxisGrid::longest() const {
  if (count_ == 0) return 0;
  if (!boundaries_) return count_ == 1 ? extent_ : count_ == 2 ? std::max(first_, extent_ - first_) : step_;
  Index most = 0;
  for (Index k = 0; k < count_; ++k) most = std::max(most, length(k));
  return most;
}

MORSEL_INLINE bool operator==(const AxisGrid& a, const AxisGrid& b) {
  if (a.extent_ != b.extent_ || a.count_ != b.count_) return false;
  if (!a.boundaries_ && !b.boundaries_)
    return a.count_ <= 1 || (a.first_ == b.first_ && (a.count_ == 2 || a.step_ == b.step_));
  for (Index k = 0; k < a.count_; ++k)
    if (a.begin(k) != b.begin(k)) return false;
  return true;
}

MORSEL_INLINE Grid Grid::whole(const Shape& shape) {
  std::vector<AxisGrid> axes;
  for (const Index n : shape) axes.push_back(AxisGrid::regular(n, std::max<Index>(n, 1)));
  return Grid(std::move(axes));
}

MORSEL_INLINE Grid Grid::regular(const Shape& shape, const Shape& chunk) {
  if (shape.size() != chunk.size())
    fail(Errc::invalid_argument, "chunk grid: rank differs; expected " + std::to_string(shape.size()) +
                                     " chunk lengths, got " + to_string(chunk));
  std::vector<AxisGrid> axes;
  for (std::size_t i = 0; i < shape.size(); ++i) axes.push_back(AxisGrid::regular(shape[i], chunk[i]));
  return Grid(std::move(axes));
}

MORSEL_INLINE Shape Grid::shape() const {
  Shape s(axes_.size());
  for (std::size_t i = 0; i < s.size(); ++i) s[i] = axes_[i].extent();
  return s;
}

MORSEL_INLINE Dims Grid::counts() const {
  Dims c(axes_.size());
  for (std::size_t i = 0; i < c.size(); ++i) c[i] = axes_[i].count();
  return c;
}

MORSEL_INLINE Index Grid::count() const {
  Index n = 1;
  for (const AxisGrid& axis : axes_)
    if (axis.count() == 0) return 0;
  for (const AxisGrid& axis : axes_) n = checked_mul(n, axis.count(), "chunk count");
  return n;
}

MORSEL_INLINE Shape Grid::chunk_shape() const {
  Shape s(axes_.size());
  for (std::size_t i = 0; i < s.size(); ++i) s[i] = axes_[i].longest();
  return s;
}

MORSEL_INLINE Region Grid::region(const Dims& position) const {
  Region r{Dims(axes_.size()), Dims(axes_.size())};
  for (std::size_t i = 0; i < axes_.size(); ++i) {
    r.lo[i] = axes_[i].begin(position[i]);
    r.hi[i] = axes_[i].end(position[i]);
  }
  return r;
}

MORSEL_INLINE Dims Grid::position(Index number) const {
  Dims p(axes_.size());
  for (std::size_t i = axes_.size(); i-- > 0;) {
    p[i] = number % axes_[i].count();
    number /= axes_[i].count();
  }
  return p;
}

MORSEL_INLINE Index Grid::number(const Dims& position) const {
  Index n = 0;
  for (std::size_t i = 0; i < axes_.size(); ++i) n = n * axes_[i].count() + position[i];
  return n;
}

MORSEL_INLINE Region Grid::overlapping(const Region& box) const {
  Region r{Dims(axes_.size()), Dims(axes_.size())};
  for (std::size_t i = 0; i < axes_.size(); ++i) {
    r.lo[i] = axes_[i].chunk_of(box.lo[i]);
    r.hi[i] = axes_[i].chunk_of(box.hi[i] - 1) + 1;
  }
  return r;
}

MORSEL_INLINE std::string to_string(const Grid& grid) {
  std::string text = "(";
  for (std::size_t i = 0; i < grid.rank(); ++i) {
    const AxisGrid& axis = grid.axis(i);
    text += i ? ", (" : "(";
    for (Index k = 0; k < axis.count(); ++k) {
      if (axis.count() > 6 && k == 3) {
        text += ", ... " + std::to_string(axis.count() - 4) + " more";
        k = axis.count() - 1;
      }
      text += (k ? ", " : "") + std::to_string(axis.length(k));
    }
    text += axis.count() == 1 ? ",)" : ")";
  }
  return text + (grid.rank() == 1 ? ",)" : ")");
}

}  // namespace morsel::inline MORSEL_ABI
