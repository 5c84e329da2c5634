#pragma once

#include <algorithm>
#include <bit>
#include <morsel/base/bytes.hpp>
#include <morsel/base/sort_stably.hpp>
#include <morsel/kernel/leaf.hpp>
#include <morsel/plan/cost.hpp>
#include <morsel/plan/form.hpp>
#include <morsel/plan/lower.hpp>
#include <morsel/plan/sweep.hpp>
#include <optional>
#include <tuple>
#include <utility>

namespace morsel::inline MORSEL_ABI {
namespace detail {

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

/// Chooses the ports whose chunks are decoded where a store wants the elements: those that the store takes as
/// they are.
MORSEL_INLINE void place_in_stores(Stage& stage, const std::vector<Target>& targets,
                                   const std::vector<Result>& results) {
  if (!stage.groups.empty()) return;
  stage.may_join = std::none_of(stage.ports.begin(), stage.ports.end(),
                                [](const Port& port) { return port.kind == Port::Kind::map_chunks; });
  for (const ResultStore& store : stage.stores) {
    const int output = results[static_cast<std::size_t>(store.result)].output;
    stage.may_join &= output < 0 || static_cast<std::size_t>(output) >= targets.size() ||
                      !std::holds_alternative<VisitTarget>(targets[static_cast<std::size_t>(output)]);
  }
  for (std::size_t i = 0; i < stage.stores.size(); ++i) {
    const ResultStore& store = stage.stores[i];
    const ExpressionOutput& output = stage.expression.outputs[static_cast<std::size_t>(store.output)];
    if (output.stream < 0) continue;
    const Stream& stream = stage.expression.streams[static_cast<std::size_t>(output.stream)];
    Port& port = stage.ports[static_cast<std::size_t>(stream.port)];
    if (port.kind != Port::Kind::source || port.source.spec().lends || port.source.spec().reads_regions ||
        port.into_store >= 0 || stream.view.maps.size() != stage.shape.size())
      continue;
    bool as_it_is = true;
    for (std::size_t a = 0; a < stream.view.maps.size(); ++a) {
      const AxisMap& map = stream.view.maps[a];
      as_it_is &= map.kind == AxisMap::Kind::affine && map.axis == static_cast<int>(a) && map.stride == 1;
    }
    // Other streams of the port would widen what it needs.
    int streams = 0;
    for (const Stream& other : stage.expression.streams) streams += other.port == stream.port;
    for (const Port& other : stage.ports)
      for (const Expression& part : other.parts)
        for (const Stream& inner : part.streams) streams += inner.port == stream.port;
    const int target = results[static_cast<std::size_t>(store.result)].output;
    const auto* memory = target >= 0 && static_cast<std::size_t>(target) < targets.size()
                             ? std::get_if<MemoryTarget>(&targets[static_cast<std::size_t>(target)])
                             : nullptr;
    const bool aligned_there =
        !memory || !memory->values.data || memory->values.is_aligned(alignment_of(port.dtype.type()));
    if (as_it_is && streams == 1 && aligned_there) port.into_store = static_cast<int>(i);
  }
}

/// True if inner steps are of one size and what they need does not depend on where they are.
MORSEL_INLINE bool steps_are_alike(const Stage& stage) {
  const auto regular = [](const Grid& grid) {
    for (std::size_t i = 0; i < grid.rank(); ++i)
      if (!grid.axis(i).is_regular()) return false;
    return true;
  };
  const auto gathers = [](const Expression& expression) {
    for (const Stream& stream : expression.streams)
      for (const AxisMap& map : stream.view.maps)
        if (map.kind == AxisMap::Kind::gather) return true;
    return false;
  };
  if (!regular(stage.steps) || gathers(stage.expression)) return false;
  // Whole chunks are read through this view: inner steps must cut them all alike.
  const auto cuts_alike = [&](const Port& port, const View& view) {
    for (std::size_t a = 0; a < view.maps.size(); ++a) {
      const AxisMap& map = view.maps[a];
      if (map.kind != AxisMap::Kind::affine) continue;
      const AxisGrid& steps = stage.steps.axis(static_cast<std::size_t>(map.axis));
      const AxisGrid& chunks = port.grid.axis(a);
      if (steps.count() <= 2 || chunks.count() <= 1) continue;
      const Index step = steps.length(1) * std::abs(map.stride);
      const Index chunk = chunks.count() > 2 ? chunks.length(1) : chunks.longest();
      // Where step 1 begins, counted from the end of the first chunk.
      const Index first = map.offset + map.stride * (map.stride < 0 ? steps.end(1) - 1 : steps.begin(1));
      const Index at = first - chunks.end(0);
      if (step % chunk != 0 && (chunk % step != 0 || at % step != 0)) return false;
    }
    return true;
  };
  for (const Port& port : stage.ports) {
    if (port.kind == Port::Kind::concat || !regular(port.grid)) return false;
    for (const Expression& part : port.parts) {
      if (gathers(part)) return false;
      for (const Stream& stream : part.streams) {
        const Port& inner = stage.ports[static_cast<std::size_t>(stream.port)];
        if (inner.kind == Port::Kind::source && !inner.source.spec().reads_regions) return false;
      }
    }
  }
  for (const Stream& stream : stage.expression.streams) {
    const Port& port = stage.ports[static_cast<std::size_t>(stream.port)];
    if (port.kind == Port::Kind::source && !port.source.spec().reads_regions &&
        !cuts_alike(port, stream.view))
      return false;
  }
  return true;
}

/// Bytes of the largest step: every step if they may differ, else those at the corners and in the middle.
MORSEL_INLINE std::size_t largest_step(const Stage& stage, const std::stop_token& stop) {
  const Index count = stage.steps.count();
  std::size_t most = 0;
  const auto look = [&](const Dims& position) {
    check_stop(stop);
    most = std::max(most, lay_out(stage, stage.steps.region(position)).total_bytes);
  };
  if (count <= cost::exact_steps || !steps_are_alike(stage)) {
    for (Index i = 0; i < count; ++i) look(stage.steps.position(i));
    return most;
  }
  const Dims counts = stage.steps.counts();
  Dims choices(counts.size()), choice(counts.size(), 0);
  std::vector<std::vector<Index>> candidates(counts.size());
  for (std::size_t i = 0; i < counts.size(); ++i) {
    std::vector<Index> c{0, counts[i] / 2, counts[i] - 1};
    if (counts[i] > 1) c.push_back(1);
    std::sort(c.begin(), c.end());
    c.erase(std::unique(c.begin(), c.end()), c.end());
    candidates[i] = c;
    choices[i] = static_cast<Index>(counts.size() > 5 ? std::min<std::size_t>(c.size(), 2) : c.size());
  }
  for_each_position(Region{choice, choices}, [&](const Dims& at) {
    Dims position(at.size());
    for (std::size_t i = 0; i < at.size(); ++i) position[i] = candidates[i][static_cast<std::size_t>(at[i])];
    look(position);
  });
  return most;
}

MORSEL_INLINE Index units_along(const Stage& stage, const ReduceGroup& group, bool reduced) {
  Index n = 1;
  for (std::size_t i = 0; i < stage.shape.size(); ++i)
    if (is_reduced(group, i) == reduced) n *= stage.units.axis(i).count();
  return n;
}

/// States that a task hands to the tree at most.
MORSEL_INLINE std::size_t node_bytes_per_task(const Stage& stage, const ReduceGroup& group) {
  if (group.per_chunk || units_along(stage, group, true) <= 1) return 0;
  return state_set_bytes(group, kept_elements(stage, group, stage.units.chunk_shape())) *
         carry_slots(leaves_per_unit(stage, group));
}

/// States that wait in the trees while tasks run one after another, strips first.
MORSEL_INLINE std::size_t tree_bytes(const Stage& stage) {
  std::size_t bytes = 0;
  for (const ReduceGroup& group : stage.groups) {
    if (group.per_chunk) continue;
    if (units_along(stage, group, true) <= 1) continue;
    Index leaves = 1;
    for (const int axis : group.axes) leaves *= stage.grid.axis(static_cast<std::size_t>(axis)).count();
    const std::size_t levels =
        static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(leaves))) + 1;
    const Index trees = stage.groups.size() == 1 && !stage.in_order ? 1 : units_along(stage, group, false);
    const std::size_t set = state_set_bytes(group, kept_elements(stage, group, stage.units.chunk_shape()));
    bytes += set * levels * static_cast<std::size_t>(trees) + node_bytes_per_task(stage, group);
  }
  return bytes;
}

MORSEL_INLINE void size_stage(Stage& stage, const std::vector<Target>& targets,
                              const std::vector<Result>& results, const std::stop_token& stop) {
  const TaskLayout task = lay_out_task(stage, &targets, results);
  stage.step_bytes = round_up(task.total_bytes + largest_step(stage, stop), 4096);
  stage.state_bytes = task.leaf_workspace_offset;
  stage.tree_bytes = tree_bytes(stage);
}

/// Bytes of a sweep's lists if no chunk can be kept: one is listed once per reading, at most once per use.
MORSEL_INLINE std::size_t longest_list_bytes(const Sweep& sweep) {
  return sweep.graph_bytes + (sweep.needs.size() - sweep.chunks.size()) * (sizeof(SharedChunk) + 64);
}

/// Declared chunks that steps should join so that parts of native chunks are not short.
MORSEL_INLINE Index most_joined(const Plan& plan) {
  Index most = 1;
  for (const Stage& stage : plan.stages)
    for (const Port& port : stage.ports)
      if (const std::optional<ChunkCut> cut = chunk_cut(stage, port)) {
        Index part =
            std::min(stage.grid.axis(cut->driver_axis).longest(), port.grid.axis(cut->port_axis).longest()) *
            static_cast<Index>(port.dtype.item_bytes());
        for (std::size_t i = 0; i < port.shape.size(); ++i)
          if (i != cut->port_axis) part *= port.grid.axis(i).longest();
        most = std::max(most, ceil_div(2 * static_cast<Index>(cost::part_bytes), std::max<Index>(part, 1)));
      }
  return std::min<Index>(most, 16);
}

MORSEL_INLINE void cut_stage(Stage& stage, Cutter& cutter, std::size_t wish,
                             const std::vector<Target>& targets, const std::vector<Result>& results,
                             const std::stop_token& stop) {
  cutter.cut(wish);
  size_stage(stage, targets, results, stop);
}

/// Chunks of a port's grid that a box touches: per axis, ranges [first, end) in order.
using ChunkRanges = std::vector<std::vector<std::pair<Index, Index>>>;

MORSEL_INLINE ChunkRanges touched_chunks(const Port& port, const PortNeed& need) {
  ChunkRanges touched(need.axes.size());
  for (std::size_t a = 0; a < need.axes.size(); ++a) {
    const PortNeed::Axis& axis = need.axes[a];
    const AxisGrid& grid = port.grid.axis(a);
    const auto add = [&](Index lo, Index hi) {
      const Index first = grid.chunk_of(lo), end = grid.chunk_of(hi - 1) + 1;
      if (!touched[a].empty() && touched[a].back().second >= first)
        touched[a].back().second = std::max(touched[a].back().second, end);
      else
        touched[a].emplace_back(first, end);
    };
    if (axis.segments.empty())
      add(axis.lo, axis.hi);
    else
      for (const auto& segment : axis.segments) add(segment.lo, segment.hi);
  }
  return touched;
}

/// Calls f with every position of the ranges.
template <class F>
void for_each_touched(const ChunkRanges& ranges, F&& f) {
  Dims counts, position(ranges.size());
  for (const auto& axis : ranges) counts.push_back(static_cast<Index>(axis.size()));
  for_each_position(Region::of(counts), [&](const Dims& at) {
    Region box{position, position};
    for (std::size_t a = 0; a < ranges.size(); ++a) {
      box.lo[a] = ranges[a][static_cast<std::size_t>(at[a])].first;
      box.hi[a] = ranges[a][static_cast<std::size_t>(at[a])].second;
    }
    for_each_position(box, f);
  });
}

/// The first byte of a view's elements and the one after the last.
MORSEL_INLINE std::pair<std::uintptr_t, std::uintptr_t> byte_range(const BufferView& view) {
  auto begin = reinterpret_cast<std::uintptr_t>(view.data), end = begin + view.item_bytes;
  for (std::size_t a = 0; a < view.shape.size(); ++a) {
    const Index last = (view.shape[a] - 1) * view.strides[a];
    (last < 0 ? begin : end) += static_cast<std::uintptr_t>(last);
  }
  return {begin, end};
}

/// True if a stream over `from`, the elements `hull` of a port, reads at every position the element of `to`
/// there.
MORSEL_INLINE bool reads_in_place(const View& view, const BufferView& from, const Region& hull,
                                  const BufferView& to) {
  const std::byte* data = from.data;
  Dims strides(to.shape.size(), 0);
  for (std::size_t a = 0; a < view.maps.size(); ++a) {
    const AxisMap& map = view.maps[a];
    if (map.kind == AxisMap::Kind::gather) return false;
    data += (map.offset - hull.lo[a]) * from.strides[a];
    if (map.kind == AxisMap::Kind::affine)
      strides[static_cast<std::size_t>(map.axis)] += map.stride * from.strides[a];
  }
  bool same = data == to.data && from.item_bytes == to.item_bytes;
  for (std::size_t a = 0; a < strides.size(); ++a) same &= to.shape[a] <= 1 || strides[a] == to.strides[a];
  return same;
}

/// Memory that a source lends may be written to where it is read, element by element, or when its reading is
/// over: anything else would read results.
MORSEL_INLINE void refuse_overlaps(const Plan& plan, const std::vector<Target>& targets) {
  for (std::size_t r = 0; r < plan.results.size(); ++r) {
    const int output = plan.results[r].output;
    const auto* target = output < 0 || static_cast<std::size_t>(output) >= targets.size()
                             ? nullptr
                             : std::get_if<MemoryTarget>(&targets[static_cast<std::size_t>(output)]);
    if (!target || !target->values.data || size_of(target->values.shape) == 0) continue;
    const auto stores = [&](const Stage& stage) {
      return std::any_of(stage.stores.begin(), stage.stores.end(),
                         [&](const ResultStore& store) { return store.result == static_cast<int>(r); });
    };
    const auto finishes = [&](const Stage& stage) {
      for (const ReduceGroup& group : stage.groups)
        for (const StageFold& fold : group.folds)
          for (const Finish& finish : fold.finishes)
            if (finish.result == static_cast<int>(r)) return true;
      return false;
    };
    int pass = plan.passes;
    for (const Stage& stage : plan.stages)
      if (stores(stage) || finishes(stage)) pass = std::min(pass, stage.pass);
    const auto [begin, end] = byte_range(target->values);
    for (const Stage& stage : plan.stages) {
      if (size_of(stage.shape) == 0 || stage.pass < pass) continue;
      std::optional<StepLayout> all;
      for (std::size_t p = 0; p < stage.ports.size(); ++p) {
        const Port& port = stage.ports[p];
        if (port.kind != Port::Kind::source || !port.source.spec().lends || port.source.spec().does_io)
          continue;
        if (!all) all = find_needs(stage, Region::of(stage.shape));
        const std::size_t need = all->find(p);
        if (need == all->needs.size()) continue;
        const Region hull = all->needs[need].hull();
        const BufferView from = port.source.lend(hull);
        const auto [from_begin, from_end] = byte_range(from);
        if (from_end <= begin || end <= from_begin) continue;
        bool in_place = stores(stage) && stage.stores.size() == 1 && stage.groups.empty();
        const auto reads = [&](const Stream& stream) { return stream.port == static_cast<int>(p); };
        for (const Stream& stream : stage.expression.streams)
          if (reads(stream)) in_place &= reads_in_place(stream.view, from, hull, target->values);
        for (const Port& other : stage.ports)
          for (const Expression& part : other.parts)
            in_place &= std::none_of(part.streams.begin(), part.streams.end(), reads);
        if (!in_place)
          fail(Errc::invalid_argument,
               "computing into memory: the expression reads it in another order; expected memory of its own, "
               "got that "
               "of '" +
                   port.name + "'");
      }
    }
  }
}

/// Source chunks that the plan touches, each once per pass whatever the ports that read it.
MORSEL_INLINE Index count_chunks(const Plan& plan) {
  struct Reader {
    int pass;
    int data;
    const Port* port;
    ChunkRanges touched;
  };
  std::vector<Reader> readers;
  for (const Stage& stage : plan.stages) {
    if (size_of(stage.shape) == 0) continue;
    const StepLayout all = find_needs(stage, Region::of(stage.shape));
    for (const PortNeed& need : all.needs)
      if (const Port& port = stage.ports[static_cast<std::size_t>(need.port)];
          port.kind == Port::Kind::source)
        readers.push_back({stage.pass, port.data, &port, touched_chunks(port, need)});
  }
  sort_stably(readers, [](const Reader& a, const Reader& b) {
    return std::tie(a.pass, a.data) < std::tie(b.pass, b.data);
  });
  constexpr Index most_marked = Index{1} << 20;
  Index chunks = 0;
  for (std::size_t begin = 0, end = 0; begin < readers.size(); begin = end) {
    const Reader& first = readers[begin];
    const Grid& grid = first.port->grid;
    bool alike = true;
    for (end = begin + 1;
         end < readers.size() && readers[end].pass == first.pass && readers[end].data == first.data; ++end)
      alike &= readers[end].touched == first.touched && readers[end].port->grid == grid;
    if (alike || grid.count() > most_marked) {
      Index most = 0;
      for (std::size_t k = begin; k < end; ++k) {
        Index n = 1;
        for (const auto& axis : readers[k].touched) {
          Index along = 0;
          for (const auto& [lo, hi] : axis) along += hi - lo;
          n *= along;
        }
        most = std::max(most, n);
      }
      chunks += most;
      continue;
    }
    std::vector<bool> marked(static_cast<std::size_t>(grid.count()), false);
    for (std::size_t k = begin; k < end; ++k) {
      const Grid& own = readers[k].port->grid;
      for_each_touched(readers[k].touched, [&](const Dims& position) {
        if (own == grid)
          marked[static_cast<std::size_t>(grid.number(position))] = true;
        else  // cut otherwise: what its chunks overlap
          for_each_position(grid.overlapping(own.region(position)), [&](const Dims& other) {
            marked[static_cast<std::size_t>(grid.number(other))] = true;
          });
      });
    }
    chunks += static_cast<Index>(std::count(marked.begin(), marked.end(), true));
  }
  return chunks;
}

MORSEL_INLINE void predict(Plan& plan, bool requests_too, const std::stop_token& stop) {
  plan.prediction.chunks = count_chunks(plan);
  Index fetches = 0;
  for (const PlannedSource& source : plan.sources) {
    const ArraySpec& spec = source.source.spec();
    plan.prediction.source_bytes += static_cast<std::size_t>(size_of(spec.shape())) * spec.dtype.item_bytes();
    plan.prediction.exact &= !spec.shards;  // what lies together in a shard is not known
  }
  for (const Stage& stage : plan.stages) {
    const Index steps = stage.steps.count();
    const Index looked = requests_too ? std::min<Index>(steps, cost::predicted_steps) : 0;
    plan.prediction.exact &= !requests_too || looked == steps;
    Index requests = 0, regions = 0;
    std::size_t decoded = 0, encoded = 0;
    for (Index i = 0; i < looked; ++i) {
      check_stop(stop);
      const StepLayout layout = lay_out(stage, stage.steps.region(i));
      decoded += layout.decoded_bytes;
      for (const FetchItem& f : layout.fetches) {
        const Port& port = stage.ports[static_cast<std::size_t>(f.port)];
        if (!port.source.spec().does_io || f.shared) continue;
        // How many reads parts take shows when their chunk is looked at.
        plan.prediction.exact &=
            port.source.spec().part_axes.empty() || f.in_place || port.grid.region(f.chunk) == f.region;
        requests += port.source.requests(f.chunk, f.region);
        ++regions;
        encoded += f.encoded_bytes;
      }
    }
    const double scale = looked ? static_cast<double>(steps) / static_cast<double>(looked) : 0;
    if (looked > 0 && steps > looked) {
      requests = static_cast<Index>(static_cast<double>(requests) * scale);
      regions = static_cast<Index>(static_cast<double>(regions) * scale);
      decoded = static_cast<std::size_t>(static_cast<double>(decoded) * scale);
      encoded = static_cast<std::size_t>(static_cast<double>(encoded) * scale);
    }
    plan.prediction.requests += requests;
    fetches += regions;
    plan.prediction.decoded_bytes += decoded;
    plan.prediction.encoded_bytes += encoded;
  }
  if (!requests_too) return;
  for (const Sweep& sweep : plan.sweeps)
    for (const SharedChunk& chunk : sweep.chunks) {
      const Port& port =
          plan.stages[static_cast<std::size_t>(chunk.stage)].ports[static_cast<std::size_t>(chunk.port)];
      plan.prediction.decoded_bytes +=
          static_cast<std::size_t>(chunk.region.size()) * port.dtype.item_bytes();
      if (!port.source.spec().does_io) continue;
      const Dims at = chunk_at(port.source.spec().grid, chunk.region);
      plan.prediction.requests += port.source.requests(at, chunk.region);
      ++fetches;
      plan.prediction.encoded_bytes += port.source.cost(at, chunk.region).encoded_bytes;
    }
  const Prediction& p = plan.prediction;
  if (p.requests > fetches && p.encoded_bytes / static_cast<std::size_t>(p.requests) < cost::short_read_bytes)
    plan.notes.push_back("short_reads: " + std::to_string(p.requests) + " reads for " +
                         std::to_string(p.chunks) + " chunks, " +
                         format_bytes(p.encoded_bytes / static_cast<std::size_t>(p.requests)) +
                         " each on average; chunks that span the last axes are read in one piece");
}

}  // namespace detail

MORSEL_INLINE Plan lower(const Graph& graph, const std::vector<Target>& targets, const Limits& limits) {
  using namespace detail;
  Plan plan;
  plan.budget_bytes = limits.memory_bytes;
  for (const GraphPassTime& time : graph.times)
    plan.pass_times.push_back({time.name, time.seconds, time.skipped});
  form_stages(graph, targets, limits, plan);

  for (const Target& target : targets)
    if (const auto* sink = std::get_if<SinkTarget>(&target))
      for (const PlannedSource& source : plan.sources)
        if (writes_onto(sink->sink, source.source))
          fail(Errc::already_exists,
               "saving: the target is one of the expression's own sources; expected another path, got " +
                   source.source.identity());

  refuse_overlaps(plan, targets);

  std::vector<std::size_t> between;  // results that stages exchange
  for (std::size_t i = 0; i < plan.results.size(); ++i) {
    Result& result = plan.results[i];
    const std::size_t bytes = static_cast<std::size_t>(size_of(result.shape)) * result.dtype.item_bytes();
    const bool to_caller =
        result.output >= 0 &&
        (static_cast<std::size_t>(result.output) >= targets.size() ||
         std::holds_alternative<MemoryTarget>(targets[static_cast<std::size_t>(result.output)]));
    if (to_caller) plan.result_bytes += bytes;
    if (result.output < 0) {
      result.bytes = round_up(bytes, 64);
      between.push_back(i);
    }
  }
  std::sort(between.begin(), between.end(),
            [&](std::size_t a, std::size_t b) { return plan.results[a].bytes > plan.results[b].bytes; });
  // Results that take more than `most` together go to files, the largest first; gives the bytes that stay.
  const auto spill_above = [&](std::size_t most) {
    std::size_t stay = 0;
    for (const std::size_t i : between) stay += plan.results[i].bytes;
    for (const std::size_t i : between) {
      Result& result = plan.results[i];
      result.spilled = stay > most && result.bytes > cost::smallest_spill_bytes;
      if (result.spilled) stay -= result.bytes;
      if (result.spilled && !result.spill)
        result.spill = std::make_shared<SpillFile>(result.dtype, result.shape);
    }
    for (Stage& stage : plan.stages)
      for (Port& port : stage.ports)
        if (port.result >= 0) {
          const Result& result = plan.results[static_cast<std::size_t>(port.result)];
          port.kind = result.spilled ? Port::Kind::source : Port::Kind::result;
          port.source = result.spilled ? spill_source(result.spill) : AnyChunkSource();
        }
    return stay;
  };
  for (Stage& stage : plan.stages) place_in_stores(stage, targets, plan.results);
  std::size_t results = spill_above(0);

  // Cuts every stage for a wished step, then shares chunks in what is left of `room`.
  struct Need {
    std::size_t task = 0;  // one more task in flight
    std::size_t rest = 0;  // trees, shared chunks, their description
    Index reads = 0, rereads = 0;
    const Stage* widest = nullptr;
    std::size_t total() const { return task + rest; }
  };
  const auto cut_all = [&](std::size_t wish, std::size_t room) {
    for (Stage& stage : plan.stages) {
      for (Port& port : stage.ports) port.shared = false;
      Cutter cutter(stage);
      cut_stage(stage, cutter, wish, targets, plan.results, graph.stop);
    }
    form_sweeps(plan);
    for (Sweep& sweep : plan.sweeps) {
      sweep.task_bytes = 0;
      for (const int s : sweep.stages) {
        Stage& stage = plan.stages[static_cast<std::size_t>(s)];
        size_stage(stage, targets, plan.results, graph.stop);  // once more: shared ports lie elsewhere
        sweep.task_bytes = std::max(sweep.task_bytes, stage.step_bytes);
      }
    }
    const auto share = [&](std::size_t lists) {
      Need most;
      std::size_t lists_bytes = 0;
      for (Sweep& sweep : plan.sweeps) {
        Need need;
        need.task = sweep.task_bytes;
        for (const int s : sweep.stages) {
          const Stage& stage = plan.stages[static_cast<std::size_t>(s)];
          if (!need.widest || stage.step_bytes > need.widest->step_bytes) need.widest = &stage;
          need.rest += stage.tree_bytes;
        }
        Index reads = 0, rereads = 0;
        const std::size_t taken = need.total() + lists;
        if (!share_chunks(plan, sweep, room > taken ? room - taken : 0, reads, rereads, graph.stop))
          need.rest += room;
        need.rest += sweep.shared_bytes;
        most.reads += reads;
        most.rereads += rereads;
        lists_bytes += sweep.graph_bytes;
        if (!most.widest || need.total() > most.total())
          most.task = need.task, most.rest = need.rest, most.widest = need.widest;
      }
      most.rest += lists_bytes;
      return most;
    };
    Need need = share(0);
    if (need.total() > room) {
      // The lists of chunks take room too, those of all sweeps at once, and the longer the more is read
      // again.
      std::size_t lists = 0;
      for (const Sweep& sweep : plan.sweeps) lists += longest_list_bytes(sweep);
      if (lists != 0) need = share(lists);
    }
    return need;
  };
  // The smallest room: a task's own chunks and nothing kept for later.
  const auto smallest = [&] {
    std::size_t most = 0, lists = 0;
    cut_all(cost::smallest_step_bytes, ~std::size_t{0} / 4);
    for (const Sweep& sweep : plan.sweeps) {
      std::size_t trees = 0, own = 0;
      for (const int s : sweep.stages) trees += plan.stages[static_cast<std::size_t>(s)].tree_bytes;
      for (std::size_t i = 0; i + 1 < sweep.need_begin.size(); ++i) {
        std::size_t bytes = 0;
        for (std::size_t k = sweep.need_begin[i]; k < sweep.need_begin[i + 1]; ++k)
          bytes += sweep.chunks[static_cast<std::size_t>(sweep.needs[k])].bytes;
        own = std::max(own, bytes);
      }
      most = std::max(most, sweep.task_bytes + trees + own);
      lists += longest_list_bytes(sweep);
    }
    return most + lists;
  };
  std::size_t held = cost::run_bytes;  // by the run and by the sources themselves
  for (const PlannedSource& source : plan.sources) held += source.source.spec().held_bytes;
  const auto join = [&](Index chunks) {
    for (Stage& stage : plan.stages) stage.joined_chunks = chunks;
  };
  const std::size_t smallest_whole = smallest();
  std::size_t smallest_parts = ~std::size_t{0};
  const bool has_parts = std::any_of(plan.stages.begin(), plan.stages.end(), [](const Stage& stage) {
    return std::any_of(stage.ports.begin(), stage.ports.end(),
                       [&](const Port& port) { return port.shared && chunk_cut(stage, port); });
  });
  if (has_parts) {
    join(1);
    smallest_parts = smallest();
    join(0);
  }
  plan.smallest_bytes = round_up(held + results + std::min(smallest_whole, smallest_parts), 4096);
  if (limits.memory_bytes < plan.smallest_bytes) {
    const Stage& stage =
        *std::max_element(plan.stages.begin(), plan.stages.end(), [](const Stage& a, const Stage& b) {
          return a.step_bytes + a.tree_bytes < b.step_bytes + b.tree_bytes;
        });
    const std::string chunk =
        stage.steps.count() > 0 ? to_string(stage.steps.region(Index{0})) : to_string(stage.shape);
    fail(Errc::budget_too_small,
         "planning '" + stage.name + "': step " + chunk +
             " does not fit the memory budget; expected at least " + std::to_string(plan.smallest_bytes) +
             " bytes (" + format_bytes(plan.smallest_bytes) + "), got " +
             std::to_string(limits.memory_bytes) + " bytes (" + format_bytes(limits.memory_bytes) + ")");
  }

  // Results stay in memory while they take no more than a quarter.
  if (limits.memory_bytes >= plan.smallest_bytes * 2) results = spill_above(limits.memory_bytes / 4);
  const std::size_t base = held + results;
  for (const std::size_t i : between)
    if (plan.results[i].spilled)
      plan.notes.push_back("spill: " + plan.results[i].name + " " + to_string(plan.results[i].shape) + ", " +
                           format_bytes(plan.results[i].bytes) + ", waits in a file between passes");

  // The largest steps with which every thread has a task of its own and one more is on its way.
  plan.threads = std::max(1, limits.threads);
  const auto fixed = [&](int threads) {
    return base + static_cast<std::size_t>(threads - 1) * cost::thread_bytes;
  };
  while (plan.threads > 1 && fixed(plan.threads) - base > limits.memory_bytes / 4) --plan.threads;
  Need need;
  // The largest steps for all threads, smaller ones, then fewer threads; chunks that are needed again are
  // kept while there is room.
  const auto fit_steps = [&] {
    for (std::size_t wish = cost::step_bytes;; wish /= 2) {
      const std::size_t room = limits.memory_bytes - std::min(limits.memory_bytes, fixed(plan.threads));
      const std::size_t parallel = static_cast<std::size_t>(plan.threads);
      need = cut_all(wish, room / 100 * cost::sequential_percent);
      if (plan.ideal_bytes == 0) {
        const Need free = need.rereads == 0 ? need : cut_all(wish, ~std::size_t{0} / 4);
        plan.ideal_bytes =
            round_up(fixed(plan.threads) +
                         (free.rest + free.task * (parallel + 1)) / cost::sequential_percent * 100 + 4096,
                     4096);
        if (need.rereads != 0) need = cut_all(wish, room / 100 * cost::sequential_percent);
      }
      if (need.rest + need.task * (parallel + 1) <= room / 100 * cost::sequential_percent &&
          need.rereads == 0)
        break;
      if (wish / 2 < cost::smallest_step_bytes) {
        while (plan.threads > 1 &&
               fixed(plan.threads) + need.rest + need.task * static_cast<std::size_t>(plan.threads) >
                   limits.memory_bytes)
          --plan.threads;
        need = cut_all(wish, limits.memory_bytes - std::min(limits.memory_bytes, fixed(plan.threads)));
        break;
      }
    }
  };
  // Native chunks in parts, which every task reads for itself: as many threads as there is room for, each
  // with as many declared chunks at a time, so long as there is work for all. Gives false if there is no
  // room.
  const auto fit_parts = [&] {
    const auto cut = [&](Index chunks, int threads) {
      join(chunks);
      const std::size_t room = limits.memory_bytes - std::min(limits.memory_bytes, fixed(threads));
      need = cut_all(cost::step_bytes, room);
      Index fewest = std::numeric_limits<Index>::max();
      for (const Stage& stage : plan.stages) fewest = std::min(fewest, stage.units.count());
      const auto fits = [&](int n) {
        return need.rereads == 0 && (chunks == 1 || fewest >= 4 * n) &&
               fixed(n) + need.rest + need.task * static_cast<std::size_t>(n) <= limits.memory_bytes;
      };
      while (threads > 0 && !fits(threads)) --threads;
      return threads;
    };
    int most_threads = 0;
    Index best = 0;
    for (Index chunks = most_joined(plan); chunks > 0 && most_threads < plan.threads;
         chunks -= std::max<Index>(1, chunks / 3))
      if (const int threads = cut(chunks, plan.threads); threads > most_threads)
        most_threads = threads, best = chunks;
    if (most_threads == 0 || cut(best, most_threads) < most_threads) return false;
    plan.threads = most_threads;
    plan.ideal_bytes = std::max(
        plan.ideal_bytes,
        round_up(fixed(most_threads) + need.rest + need.task * static_cast<std::size_t>(most_threads), 4096));
    return true;
  };
  const int all_threads = plan.threads;
  const bool fits_whole = limits.memory_bytes >= round_up(held + results + smallest_whole, 4096);
  if (fits_whole) fit_steps();
  if (has_parts && (need.rereads > 0 || !fits_whole)) {
    const int whole_threads = std::exchange(plan.threads, all_threads);
    if (!fit_parts()) {
      join(fits_whole ? 0 : 1);
      plan.threads = fits_whole ? whole_threads : all_threads;
      fit_steps();
    }
  }
  for (const Stage& stage : plan.stages)
    if (stage.joined_chunks > 0 && stage.may_join && !stage.stores.empty())
      plan.notes.push_back(
          "parts: chunks of which the budget cannot hold as many as are needed are read in parts, " +
          std::to_string(stage.joined_chunks) + (stage.joined_chunks == 1 ? " chunk" : " chunks") + " of '" +
          stage.name + "' at a time");
  if (plan.threads < limits.threads)
    plan.notes.push_back("fewer_threads: " + std::to_string(plan.threads) + " of " +
                         std::to_string(limits.threads) + " threads run, the budget has no room for more");
  if (need.rereads > 0)
    plan.notes.push_back(
        "rereads: " + std::to_string(need.rereads) + " of " + std::to_string(need.reads) +
        " chunk reads repeat an earlier one, the budget cannot keep all chunks that are needed again");
  for (const Stage& stage : plan.stages)
    for (const Port& port : stage.ports) {
      if (!port.shared || port.result >= 0 || port.source.spec().reads_regions) continue;
      const std::string note = "chunks_cut: the work cuts through the native chunks of " + port.name + ", " +
                               to_string(port.grid.chunk_shape()) +
                               "; they are kept for their other parts while there is room, whole multiples " +
                               "of them need less memory";
      // Several ports may read one source.
      if (std::find(plan.notes.begin(), plan.notes.end(), note) == plan.notes.end())
        plan.notes.push_back(note);
    }
  plan.fixed_bytes = fixed(plan.threads);
  for (const Sweep& sweep : plan.sweeps) plan.fixed_bytes += sweep.graph_bytes;
  std::size_t most = 0;
  for (const Sweep& sweep : plan.sweeps) {
    std::size_t bytes = sweep.task_bytes + sweep.shared_bytes;
    for (const int s : sweep.stages) bytes += plan.stages[static_cast<std::size_t>(s)].tree_bytes;
    most = std::max(most, bytes);
  }
  plan.peak_bytes = plan.fixed_bytes + most;
  plan.ideal_bytes = std::max(plan.ideal_bytes, plan.peak_bytes);
  if (plan.peak_bytes > limits.memory_bytes)
    fail(Errc::internal_error, "planning: peak above the budget; expected at most " +
                                   std::to_string(limits.memory_bytes) + ", got " +
                                   std::to_string(plan.peak_bytes));
  predict(plan, limits.predict, graph.stop);
  return plan;
}

}  // namespace morsel::inline MORSEL_ABI
