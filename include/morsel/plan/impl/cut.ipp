// Part of lower.ipp: how a stage is cut into units and steps of a wished size.
#pragma once

#include <algorithm>
#include <bit>
#include <morsel/kernel/leaf.hpp>
#include <morsel/plan/cost.hpp>
#include <morsel/plan/lower.hpp>
#include <utility>

namespace morsel::inline MORSEL_ABI::detail {

/// Groups of `factor` neighbouring chunks.
MORSEL_INLINE AxisGrid coarsen(const AxisGrid& axis, Index factor) {
  if (factor <= 1 || axis.count() <= 1) return axis;
  if (factor >= axis.count()) return AxisGrid::regular(axis.extent(), axis.extent());
  if (axis.is_regular()) {
    // Keep group k = chunks [k * factor, (k + 1) * factor) even if the first chunk is short.
    const Index step = axis.length(1) * factor;
    return AxisGrid::regular(axis.extent(), axis.count() == 2 ? axis.extent() : step, axis.begin(factor));
  }
  std::vector<Index> boundaries;
  for (Index k = 0; k < axis.count(); k += factor) boundaries.push_back(axis.begin(k));
  boundaries.push_back(axis.extent());
  return AxisGrid::from_boundaries(std::move(boundaries));
}

/// Pieces of at most `step` elements inside each chunk.
MORSEL_INLINE AxisGrid refine(const AxisGrid& axis, Index step) {
  step = std::max<Index>(step, 1);
  if (axis.count() == 0 || axis.longest() <= step) return axis;
  if (axis.count() == 1) return AxisGrid::regular(axis.extent(), step);
  if (axis.is_uniform()) {
    const Index c = axis.length(0);
    if (c % step == 0) return AxisGrid::regular(axis.extent(), step);
    // The largest divisor of the chunk not far below the wish keeps the grid regular.
    for (Index d = step; d > step / 2; --d)
      if (c % d == 0) return AxisGrid::regular(axis.extent(), d);
  }
  std::vector<Index> boundaries;
  for (Index k = 0; k < axis.count(); ++k)
    for (Index b = axis.begin(k); b < axis.end(k); b += step) boundaries.push_back(b);
  boundaries.push_back(axis.extent());
  return AxisGrid::from_boundaries(std::move(boundaries));
}

/// One stage's cut for a wished step size.
class Cutter {
 public:
  explicit Cutter(Stage& stage) : stage_(stage), rank_(stage.shape.size()) {
    if (stage.grid.count() > 0) {
      const Region sample = stage.grid.region(stage.grid.count() / 2);
      const Index n = std::max<Index>(1, sample.size());
      const Index bytes = static_cast<Index>(lay_out(stage, sample).decoded_bytes);
      element_bytes_ = std::max<Index>(1, ceil_div(bytes, n));
    }
    for (const ExpressionOutput& output : stage.expression.outputs)
      element_bytes_ = std::max<Index>(element_bytes_, static_cast<Index>(output.dtype.item_bytes()));
    fine_ = !stage.whole_chunks;
    for (const Port& port : stage.ports)
      if (port.kind == Port::Kind::source)
        fine_ &= port.source.spec().reads_regions || port.source.spec().lends;
  }

  void cut(std::size_t step_bytes) {
    wish_ = std::max<Index>(1, static_cast<Index>(step_bytes) / element_bytes_);
    unit_wish_ = std::max<Index>(
        wish_, static_cast<Index>(std::min<std::size_t>(cost::unit_bytes, 8 * step_bytes)) / element_bytes_);
    // Where the budget is small, no step is larger than it must be.
    constexpr Index widening = cost::strip_rows * cost::strip_bytes / cost::step_bytes;
    wide_wish_ = step_bytes < cost::step_bytes / 8 ? wish_ : widening * wish_;
    if (size_of(stage_.shape) == 0) {
      // Nothing to read; reductions over nothing still have results.
      stage_.units = stage_.steps = stage_.grid;
    } else if (stage_.groups.size() == 1 && !stage_.whole_chunks && !stage_.groups[0].per_chunk) {
      cut_group(stage_.groups[0]);
    } else if (stage_.groups.empty() && fine_) {
      cut_freely();
    } else {
      stage_.units = stage_.steps = stage_.grid;
      if (stage_.joined_chunks > 0 && stage_.may_join)
        join_chunks();
      else if (stage_.groups.empty() && !stage_.whole_chunks)
        coarsen_units();
    }
  }

 private:
  std::vector<AxisGrid> axes_of(const Grid& grid) const {
    std::vector<AxisGrid> axes;
    for (std::size_t i = 0; i < rank_; ++i) axes.push_back(grid.axis(i));
    return axes;
  }

  /// Stores only, chunks must be read whole: several small chunks make a task.
  void coarsen_units() {
    std::vector<AxisGrid> axes = axes_of(stage_.grid);
    Index have = 1;
    for (const Index n : stage_.grid.chunk_shape()) have *= n;
    for (std::size_t i = rank_; i-- > 0 && have < wish_;) {
      const Index factor = std::min(axes[i].count(), wish_ / std::max<Index>(have, 1));
      if (factor <= 1) break;
      axes[i] = coarsen(axes[i], factor);
      have *= factor;
      if (axes[i].count() > 1) break;
    }
    stage_.units = Grid(std::move(axes));
    stage_.steps = stage_.units;
  }

  /// Stores only, chunks are read in parts: steps of several declared chunks along the axis that cuts them,
  /// so that the parts are long.
  void join_chunks() {
    for (const Port& port : stage_.ports)
      if (const std::optional<ChunkCut> cut = chunk_cut(stage_, port)) {
        std::vector<AxisGrid> axes = axes_of(stage_.grid);
        AxisGrid& along = axes[cut->driver_axis];
        along = coarsen(along, stage_.joined_chunks);
        stage_.units = stage_.steps = Grid(std::move(axes));
        return;
      }
  }

  /// Stores only, any region can be read: boxes whose inner runs are long on every side that reads or writes.
  void cut_freely() {
    Shape box(rank_, 1);
    const auto volume = [&] {
      Index n = 1;
      for (const Index b : box) n *= b;
      return n;
    };
    if (rank_ > 0) {
      // The axis that is innermost for the output, and those innermost for sources that are seen transposed.
      std::vector<std::size_t> inner{rank_ - 1};
      for (const Stream& stream : stage_.expression.streams)
        if (!stream.view.maps.empty() &&
            stage_.ports[static_cast<std::size_t>(stream.port)].kind == Port::Kind::source) {
          const AxisMap& last = stream.view.maps.back();
          const std::size_t axis = static_cast<std::size_t>(last.axis);
          if (last.kind == AxisMap::Kind::affine && stage_.shape[axis] > 1 &&
              std::find(inner.begin(), inner.end(), axis) == inner.end())
            inner.push_back(axis);
        }
      if (inner.size() > 1) {
        const Index side = std::max<Index>(
            1, std::min<Index>(1024, static_cast<Index>(std::bit_floor(static_cast<std::uint64_t>(
                                         inner.size() == 2 ? isqrt(wish_) : wish_ / 64 + 1)))));
        for (const std::size_t axis : inner) box[axis] = std::min(stage_.shape[axis], side);
      }
      for (std::size_t i = rank_; i-- > 0;) {
        const Index room = wish_ / std::max<Index>(1, volume() / box[i]);
        const Index extent = std::max(box[i], std::min(stage_.shape[i], std::max<Index>(1, room)));
        box[i] = extent;
        if (extent < stage_.shape[i]) break;
      }
    }
    stage_.steps = stage_.units = Grid::regular(stage_.shape, box);
  }
  static Index isqrt(Index n) {
    Index r = 1;
    while ((r + 1) * (r + 1) <= n) ++r;
    return r;
  }

  /// One group of reductions: kept axes are cut into strips, reduced axes into runs of leaves or, where a
  /// leaf is too large, into pieces of one leaf.
  void cut_group(const ReduceGroup& group) {
    std::vector<AxisGrid> units = axes_of(stage_.grid), steps = units;
    Index leaf = 1, kept = 1;
    for (std::size_t i = 0; i < rank_; ++i)
      (is_reduced(group, i) ? leaf : kept) *= is_reduced(group, i) ? units[i].longest() : stage_.shape[i];
    bool pieces = false;
    const Index wish = fine_ && !group.trailing ? wide_wish_ : wish_;
    if (fine_) {
      Index columns = std::clamp<Index>(wish / leaf, 1, kept);
      const Index fewest =
          group.trailing || rank_ == 0 ? 1 : std::min<Index>(stage_.shape[rank_ - 1], LeafRows::max_columns);
      // Long runs to read, of as many rows as merge at once.
      if (!group.trailing) columns = std::min(columns, std::max<Index>(1, wish / cost::strip_rows));
      if (columns < fewest) columns = fewest;
      pieces = leaf * columns > wish && leaf > 1;
      // Strips grow from the last kept axis outwards.
      Index room = columns;
      for (std::size_t i = rank_; i-- > 0;) {
        if (is_reduced(group, i)) continue;
        const Index extent = std::max<Index>(1, std::min(stage_.shape[i], room));
        units[i] = steps[i] = AxisGrid::regular(stage_.shape[i], extent);
        room = extent == stage_.shape[i] ? room / extent : 1;
      }
      kept = 1;
      for (std::size_t i = 0; i < rank_; ++i)
        if (!is_reduced(group, i)) kept *= units[i].longest();
      if (pieces) cut_leaf(group, kept, steps, wish);
    } else {
      kept = 1;
      for (std::size_t i = 0; i < rank_; ++i)
        if (!is_reduced(group, i)) kept *= units[i].longest();
    }
    if (!pieces) {
      Index have = leaf * kept;
      // A native chunk alone is decoded where its leaf lies together; several make rows that are short.
      if (fine_ || have * element_bytes_ < static_cast<Index>(cost::lone_chunk_bytes))
        merge_leaves(group, steps, have, wish);
      units_from_steps(group, steps, units);
      // A strip is one unit where there are many of them: states need not wait for each other in a tree.
      Index strips = 1;
      for (std::size_t i = 0; i < rank_; ++i)
        if (!is_reduced(group, i)) strips *= units[i].count();
      const Index leaves_whole = size_of(stage_.shape) / std::max<Index>(1, cost::fewest_units);
      merge_leaves(group, units, have,
                   strips >= cost::fewest_units ? std::max(unit_wish_, leaves_whole) : unit_wish_);
    }
    stage_.units = Grid(std::move(units));
    stage_.steps = Grid(std::move(steps));
  }
  void units_from_steps(const ReduceGroup& group, const std::vector<AxisGrid>& steps,
                        std::vector<AxisGrid>& units) const {
    for (std::size_t i = 0; i < rank_; ++i)
      if (is_reduced(group, i)) units[i] = steps[i];
  }
  /// Joins runs of consecutive leaves until about `wish` elements: along the last reduced axis, and only once
  /// that is whole along the one before.
  void merge_leaves(const ReduceGroup& group, std::vector<AxisGrid>& axes, Index& have, Index wish) const {
    for (std::size_t i = rank_; i-- > 0;) {
      if (!is_reduced(group, i)) continue;
      const Index factor = static_cast<Index>(
          std::bit_floor(static_cast<std::uint64_t>(std::max<Index>(1, wish / std::max<Index>(have, 1)))));
      if (factor > 1) {
        const Index joined = std::min(factor, axes[i].count());
        axes[i] = coarsen(axes[i], joined);
        have *= joined;
      }
      if (axes[i].count() > 1) return;
    }
  }
  /// A leaf of `kept` columns is more than a step: pieces in C order of the reduced axes.
  void cut_leaf(const ReduceGroup& group, Index kept, std::vector<AxisGrid>& steps, Index wish) const {
    Index room = std::max<Index>(1, wish / kept);
    if (!group.trailing)
      room = std::max<Index>(static_cast<Index>(row_block),
                             room / static_cast<Index>(row_block) * static_cast<Index>(row_block));
    for (std::size_t i = rank_; i-- > 0;) {
      if (!is_reduced(group, i)) continue;
      Index extent = std::min(steps[i].longest(), room);
      // Whole blocks where possible: a cut block waits in a buffer.
      if (extent < steps[i].longest() && extent >= static_cast<Index>(run_block))
        extent = extent / static_cast<Index>(run_block) * static_cast<Index>(run_block);
      const bool whole = extent == steps[i].longest();
      steps[i] = refine(steps[i], extent);
      room = whole ? std::max<Index>(1, room / extent) : 1;
    }
  }

  Stage& stage_;
  std::size_t rank_;
  Index element_bytes_ = 1, wish_ = 1, wide_wish_ = 1, unit_wish_ = 1;
  bool fine_ = true;
};

}  // namespace morsel::inline MORSEL_ABI::detail
