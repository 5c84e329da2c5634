#pragma once

#include <algorithm>
#include <bit>
#include <morsel/kernel/leaf.hpp>
#include <morsel/plan/cost.hpp>
#include <morsel/plan/lower.hpp>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE Index PortNeed::Axis::locate(Index i) const {
  if (segments.empty()) return i - lo;
  const auto next = std::upper_bound(segments.begin(), segments.end(), i,
                                     [](Index p, const Segment& s) { return p < s.lo; });
  return std::prev(next)->before + i - std::prev(next)->lo;
}

MORSEL_INLINE Shape PortNeed::shape() const {
  Shape s(axes.size());
  for (std::size_t i = 0; i < s.size(); ++i) s[i] = axes[i].length();
  return s;
}

MORSEL_INLINE Region PortNeed::hull() const {
  Region r{Dims(axes.size()), Dims(axes.size())};
  for (std::size_t i = 0; i < axes.size(); ++i) {
    r.lo[i] = axes[i].lo;
    r.hi[i] = axes[i].hi;
  }
  return r;
}

namespace detail {

MORSEL_INLINE std::vector<PortNeed>::const_iterator need_from(const std::vector<PortNeed>& needs, int port) {
  return std::lower_bound(needs.begin(), needs.end(), port,
                          [](const PortNeed& need, int p) { return need.port < p; });
}

}  // namespace detail

MORSEL_INLINE std::size_t StepLayout::find(std::size_t port) const {
  const auto at = detail::need_from(needs, static_cast<int>(port));
  if (at == needs.end() || at->port != static_cast<int>(port)) return needs.size();
  return static_cast<std::size_t>(at - needs.begin());
}

namespace detail {

inline constexpr std::size_t memory_alignment = 64;

MORSEL_INLINE bool is_reduced(const ReduceGroup& group, std::size_t axis) {
  return std::find(group.axes.begin(), group.axes.end(), static_cast<int>(axis)) != group.axes.end();
}

MORSEL_INLINE std::vector<std::size_t> unit_axes(const Stage& stage) {
  std::vector<std::size_t> axes;
  for (const bool reduced : {false, true})
    for (std::size_t i = 0; i < stage.shape.size(); ++i)
      if ((stage.groups.size() == 1 && !stage.in_order && is_reduced(stage.groups[0], i)) == reduced)
        axes.push_back(i);
  return axes;
}

MORSEL_INLINE Region unit_region(const Stage& stage, const std::vector<std::size_t>& axes, Index number) {
  Dims position(axes.size());
  for (std::size_t k = axes.size(); k-- > 0;) {
    const Index count = stage.units.axis(axes[k]).count();
    position[axes[k]] = number % count;
    number /= count;
  }
  return stage.units.region(position);
}

MORSEL_INLINE Dims chunk_at(const Grid& grid, const Region& region) {
  Dims position(region.rank());
  for (std::size_t i = 0; i < position.size(); ++i) position[i] = grid.axis(i).chunk_of(region.lo[i]);
  return position;
}

MORSEL_INLINE bool needs_table(const Port& port, const AxisMap& map) {
  if (map.kind == AxisMap::Kind::gather) return true;
  return map.kind == AxisMap::Kind::affine && std::abs(map.stride) > 1 && port.kind == Port::Kind::source &&
         !port.source.spec().lends;
}
MORSEL_INLINE std::optional<ChunkCut> chunk_cut(const Stage& stage, const Port& port) {
  if (port.kind != Port::Kind::source) return {};
  const std::vector<std::size_t>& axes = port.source.spec().part_axes;
  const auto slowest = std::find_if(axes.begin(), axes.end(),
                                    [&](std::size_t axis) { return port.grid.axis(axis).longest() > 1; });
  if (slowest == axes.end()) return {};
  std::optional<ChunkCut> cut;
  for (const Stream& stream : stage.expression.streams) {
    if (&stage.ports[static_cast<std::size_t>(stream.port)] != &port) continue;
    const AxisMap& map = stream.view.maps[*slowest];
    if (cut || map.kind != AxisMap::Kind::affine || std::abs(map.stride) != 1) return {};
    cut = {*slowest, static_cast<std::size_t>(map.axis)};
  }
  return cut;
}

/// Bytes that are cheaper to read along than to skip.
inline constexpr Index gap_bytes = 16384;

/// May reading positions p and q (p < q) of an axis leave out what lies between?
MORSEL_INLINE bool splits(const Port& port, std::size_t axis, Index p, Index q) {
  if (port.kind != Port::Kind::source || q <= p + 1) return false;
  const ArraySpec& spec = port.source.spec();
  if (spec.lends) return false;
  if (!spec.reads_regions) return spec.grid.axis(axis).chunk_of(q) - spec.grid.axis(axis).chunk_of(p) > 1;
  Index row_bytes = static_cast<Index>(port.dtype.item_bytes());
  for (std::size_t i = axis + 1; i < port.shape.size(); ++i) row_bytes *= std::max<Index>(port.shape[i], 1);
  return (q - p) > gap_bytes / std::max<Index>(row_bytes, 1) + 1;
}

MORSEL_INLINE PortNeed::Axis axis_need(const Port& port, std::size_t axis, const AxisMap& map,
                                       const Region& box) {
  PortNeed::Axis need;
  if (map.kind == AxisMap::Kind::constant) {
    need.lo = map.offset;
    need.hi = map.offset + 1;
    return need;
  }
  const Index lo = box.lo[static_cast<std::size_t>(map.axis)],
              hi = box.hi[static_cast<std::size_t>(map.axis)];
  const auto add = [&](Index p) {
    if (need.segments.empty()) {
      need.segments.push_back({p, p + 1, 0});
    } else if (auto& last = need.segments.back(); p >= last.hi) {
      if (splits(port, axis, last.hi - 1, p))
        need.segments.push_back({p, p + 1, 0});
      else
        last.hi = p + 1;
    }
  };
  if (map.kind == AxisMap::Kind::affine) {
    const Index a = map.offset + map.stride * lo, b = map.offset + map.stride * (hi - 1);
    need.lo = std::min(a, b);
    need.hi = std::max(a, b) + 1;
    const Index step = std::abs(map.stride);
    if (step <= 1 || !splits(port, axis, need.lo, need.lo + step)) return need;
    for (Index p = need.lo; p < need.hi; p += step) add(p);
  } else {
    std::vector<Index> positions(map.indices->begin() + lo, map.indices->begin() + hi);
    std::sort(positions.begin(), positions.end());
    need.lo = positions.front();
    need.hi = positions.back() + 1;
    for (const Index p : positions) add(p);
  }
  if (need.segments.size() == 1) need.segments.clear();
  return need;
}

MORSEL_INLINE void unite(PortNeed::Axis& into, const PortNeed::Axis& more) {
  if (!into.segments.empty() || !more.segments.empty()) {
    std::vector<PortNeed::Axis::Segment> all = into.segments;
    if (all.empty()) all.push_back({into.lo, into.hi, 0});
    if (more.segments.empty())
      all.push_back({more.lo, more.hi, 0});
    else
      all.insert(all.end(), more.segments.begin(), more.segments.end());
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.lo < b.lo; });
    into.segments.clear();
    for (const auto& s : all) {
      if (!into.segments.empty() && s.lo <= into.segments.back().hi)
        into.segments.back().hi = std::max(into.segments.back().hi, s.hi);
      else
        into.segments.push_back(s);
    }
    if (into.segments.size() == 1) into.segments.clear();
  }
  into.lo = std::min(into.lo, more.lo);
  into.hi = std::max(into.hi, more.hi);
}

MORSEL_INLINE void add_needs(const Stage& stage, const Expression& expression, const Region& box,
                             StepLayout& layout) {
  std::vector<PortNeed>& needs = layout.needs;
  for (const Stream& stream : expression.streams) {
    const Port& port = stage.ports[static_cast<std::size_t>(stream.port)];
    const bool is_last = needs.empty() || needs.back().port < stream.port;
    auto at = is_last ? needs.end() : needs.begin() + (need_from(needs, stream.port) - needs.begin());
    const bool is_new = at == needs.end() || at->port != stream.port;
    if (is_new) {
      at = needs.insert(at, PortNeed());
      at->port = stream.port;
    }
    PortNeed& need = *at;
    for (const AxisMap& map : stream.view.maps)
      if (needs_table(port, map))
        layout.table_bytes += aligned(static_cast<std::size_t>(box.hi[static_cast<std::size_t>(map.axis)] -
                                                               box.lo[static_cast<std::size_t>(map.axis)]) *
                                      sizeof(Index));
    if (port.kind == Port::Kind::result) continue;
    if (is_new) need.axes.resize(stream.view.maps.size());
    for (std::size_t i = 0; i < stream.view.maps.size(); ++i) {
      PortNeed::Axis axis = axis_need(port, i, stream.view.maps[i], box);
      if (is_new)
        need.axes[i] = std::move(axis);
      else
        unite(need.axes[i], axis);
    }
  }
}

/// The boxes that the segments of a need make, each with its place in the compacted array.
template <class F>
void for_each_segment_box(const PortNeed& need, F&& f) {
  Region counts{Dims(need.axes.size(), 0), Dims(need.axes.size())};
  for (std::size_t i = 0; i < need.axes.size(); ++i)
    counts.hi[i] = std::max<Index>(1, static_cast<Index>(need.axes[i].segments.size()));
  for_each_position(counts, [&](const Dims& at) {
    Region box{Dims(need.axes.size()), Dims(need.axes.size())};
    for (std::size_t i = 0; i < need.axes.size(); ++i) {
      const auto& axis = need.axes[i];
      box.lo[i] = axis.segments.empty() ? axis.lo : axis.segments[static_cast<std::size_t>(at[i])].lo;
      box.hi[i] = axis.segments.empty() ? axis.hi : axis.segments[static_cast<std::size_t>(at[i])].hi;
    }
    f(static_cast<const Region&>(box));
  });
}

/// The region's box inside the compacted array of a need.
MORSEL_INLINE Region compacted(const PortNeed& need, const Region& region) {
  Region r = region;
  for (std::size_t i = 0; i < need.axes.size(); ++i) {
    r.lo[i] = need.axes[i].locate(region.lo[i]);
    r.hi[i] = r.lo[i] + region.hi[i] - region.lo[i];
  }
  return r;
}

/// Do the elements of `part` lie together, in C order, in an array of `shape`?
MORSEL_INLINE bool is_contiguous_part(const Region& part, const Shape& shape) {
  bool whole = true;  // of all axes after the current one
  for (std::size_t i = shape.size(); i-- > 0;) {
    const Index n = part.hi[i] - part.lo[i];
    if (!whole && n != 1) return false;
    whole &= n == shape[i];
  }
  return true;
}

/// Largest box that is given to a sink at once, of a step: a declared chunk where steps join them.
MORSEL_INLINE Shape written_part(const Stage& stage, const Shape& step) {
  Shape part = step;
  if (stage.joined_chunks > 0 && stage.may_join)
    for (std::size_t i = 0; i < part.size(); ++i) part[i] = std::min(part[i], stage.grid.axis(i).longest());
  return part;
}

/// The needs of the ports, and the bytes of the tables that gather.
MORSEL_INLINE StepLayout find_needs(const Stage& stage, const Region& box) {
  StepLayout layout;
  add_needs(stage, stage.expression, box, layout);
  // A port refers to lower ones alone: from the last one down, each is complete when its turn comes.
  for (std::size_t left = layout.needs.size(); left > 0;) {
    const int number = layout.needs[left - 1].port;
    const Port& port = stage.ports[static_cast<std::size_t>(number)];
    if (port.kind == Port::Kind::concat) {
      for_each_joined(port, layout.needs[left - 1].hull(),
                      [&](std::size_t k, const Region&, const Region& part) {
                        add_needs(stage, port.parts[k], part, layout);
                      });
    } else if (port.kind == Port::Kind::expression || port.kind == Port::Kind::map_chunks) {
      const Region hull = layout.needs[left - 1].hull();
      for (const Expression& part : port.parts) add_needs(stage, part, hull, layout);
    }
    left = static_cast<std::size_t>(need_from(layout.needs, number) - layout.needs.begin());
  }
  for (PortNeed& need : layout.needs)
    for (PortNeed::Axis& axis : need.axes) {
      Index before = 0;
      for (auto& segment : axis.segments) {
        segment.before = before;
        before += segment.hi - segment.lo;
      }
    }
  return layout;
}

}  // namespace detail

MORSEL_INLINE StepLayout lay_out(const Stage& stage, const Region& box) {
  using namespace detail;
  StepLayout layout = find_needs(stage, box);
  std::size_t at = 0;
  const auto take = [&](std::size_t bytes) {
    const std::size_t offset = at;
    at += aligned(bytes);
    return offset;
  };
  for (std::size_t number = 0; number < layout.needs.size(); ++number) {
    PortNeed& need = layout.needs[number];
    const Port& port = stage.ports[static_cast<std::size_t>(need.port)];
    if (port.kind == Port::Kind::result) continue;
    const std::size_t item = port.dtype.item_bytes();
    if (port.kind != Port::Kind::source) {
      std::size_t bytes = static_cast<std::size_t>(need.hull().size()) * item;
      need.offset = take(bytes);
      // The inputs of a map_chunks function are handed over as arrays of their own.
      if (port.kind == Port::Kind::map_chunks) {
        for (const Expression& part : port.parts)
          take(static_cast<std::size_t>(need.hull().size()) * part.outputs[0].dtype.item_bytes());
        take(port.call->scratch_bytes_per_chunk);
      }
      continue;
    }
    const ArraySpec& spec = port.source.spec();
    if (spec.lends) {
      layout.decoded_bytes += static_cast<std::size_t>(need.hull().size()) * item;
      continue;
    }
    const Shape shape = need.shape();
    if (port.shared) {
      for_each_segment_box(need, [&](const Region& segment) {
        for_each_position(port.grid.overlapping(segment), [&](const Dims& chunk) {
          const Region whole = port.grid.region(chunk);
          FetchItem f;
          f.port = need.port;
          f.need = number;
          f.chunk = chunk;
          f.region = intersect(segment, whole);
          f.shared = true;
          const FetchCost cost = port.source.cost(chunk_at(spec.grid, whole), whole);
          layout.shared_room = std::max(layout.shared_room, cost.encoded_bytes);
          // It is decoded into memory of its own.
          layout.scratch_bytes = std::max(layout.scratch_bytes, cost.scratch_bytes);
          layout.fetches.push_back(std::move(f));
        });
      });
      // One chunk is used where it lies; several are put together.
      const bool single = !layout.fetches.empty() && layout.fetches.back().region == need.hull();
      if (!single)
        need.offset =
            port.into_store >= 0 ? PortNeed::in_store : take(static_cast<std::size_t>(size_of(shape)) * item);
      continue;
    }
    const bool in_store = port.into_store >= 0;
    need.offset = in_store ? PortNeed::in_store : take(static_cast<std::size_t>(size_of(shape)) * item);
    const std::size_t first_fetch = layout.fetches.size();
    const Dims strides = c_strides(shape, static_cast<Index>(item));
    for_each_segment_box(need, [&](const Region& segment) {
      const auto fetch = [&](const Dims& chunk, const Region& region) {
        FetchItem f;
        f.port = need.port;
        f.need = number;
        f.chunk = chunk;
        f.region = region;
        const FetchCost cost = port.source.cost(chunk, region);
        f.encoded_bytes = cost.encoded_bytes;
        f.in_place = cost.in_place;
        const Region place = compacted(need, region);
        const bool contiguous = is_contiguous_part(place, shape);
        f.placed = cost.in_place && contiguous && !in_store;
        f.scratch_bytes = cost.scratch_bytes + (contiguous && !in_store ? 0 : cost.strided_scratch_bytes);
        if (f.placed) {
          f.encoded_offset = need.offset;
          for (std::size_t i = 0; i < shape.size(); ++i)
            f.encoded_offset += static_cast<std::size_t>(place.lo[i] * strides[i]);
        }
        layout.scratch_bytes = std::max(layout.scratch_bytes, f.scratch_bytes);
        layout.decoded_bytes += static_cast<std::size_t>(region.size()) * item;
        layout.fetches.push_back(std::move(f));
      };
      if (spec.reads_regions) return fetch(chunk_at(spec.grid, segment), segment);
      const Grid& files = spec.shards ? *spec.shards : spec.grid;
      for_each_position(files.overlapping(segment), [&](const Dims& file) {
        const Region part = intersect(segment, files.region(file));
        fetch(chunk_at(spec.grid, part), part);
      });
    });
    // Encoded bytes wait side by side, so that reading and decoding go on apart; where that would take much
    // more than the elements, one after another has the room.
    std::size_t encoded_bytes = 0;
    for (std::size_t i = first_fetch; i < layout.fetches.size(); ++i)
      if (!layout.fetches[i].placed) encoded_bytes += aligned(layout.fetches[i].encoded_bytes);
    const bool at_once =
        spec.does_io && layout.fetches.size() - first_fetch > 1 &&
        encoded_bytes > cost::encoded_bytes + 2 * static_cast<std::size_t>(size_of(shape)) * item;
    for (std::size_t i = first_fetch; i < layout.fetches.size(); ++i) {
      FetchItem& f = layout.fetches[i];
      if (f.placed) continue;
      f.at_once = at_once;
      if (at_once)
        layout.shared_room = std::max(layout.shared_room, f.encoded_bytes);
      else
        f.encoded_offset = take(f.encoded_bytes);
    }
  }
  layout.shared_offset = take(layout.shared_room);
  for (FetchItem& f : layout.fetches)
    if (f.at_once) f.encoded_offset = layout.shared_offset;
  layout.scratch_offset = take(layout.scratch_bytes);
  layout.table_offset = take(layout.table_bytes);
  layout.total_bytes = at;
  return layout;
}

namespace detail {

/// Output elements per task of a group: the kept extents of the largest unit.
MORSEL_INLINE Index kept_elements(const Stage& stage, const ReduceGroup& group, const Shape& unit) {
  Index n = 1;
  for (std::size_t i = 0; i < stage.shape.size(); ++i)
    if (std::find(group.axes.begin(), group.axes.end(), static_cast<int>(i)) == group.axes.end())
      n *= unit[i];
  return n;
}

MORSEL_INLINE Index leaves_per_unit(const Stage& stage, const ReduceGroup& group) {
  Index n = 1;
  for (const int axis : group.axes) {
    const std::size_t a = static_cast<std::size_t>(axis);
    const AxisGrid &units = stage.units.axis(a), &leaves = stage.grid.axis(a);
    if (units.count() == 0) return 0;
    n *= std::max<Index>(
        1, ceil_div(leaves.count(), units.count()) + (leaves.is_regular() ? 0 : leaves.count()));
  }
  return n;
}

/// Bytes of one set of states for n output elements: the arrays of all folds, one after another.
MORSEL_INLINE std::size_t state_set_bytes(const ReduceGroup& group, Index n) {
  std::size_t bytes = 0;
  for (const StageFold& fold : group.folds)
    bytes += aligned(static_cast<std::size_t>(n) * fold.reducer->state_bytes());
  return bytes;
}

/// Carry slots a task needs beside the leaf's own states.
MORSEL_INLINE std::size_t carry_slots(Index leaves) {
  return leaves <= 1 ? 1
                     : 2 * static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(leaves))) + 2;
}

MORSEL_INLINE std::size_t expression_workspace_bytes(const Expression& e) {
  std::size_t bytes = aligned(e.program.workspace_bytes()) + memory_alignment;
  for (std::size_t i = 0; i < e.streams.size(); ++i) bytes += tile_size * 16;
  bytes += e.outputs.size() * tile_size * 16;
  return aligned(bytes);
}

}  // namespace detail

MORSEL_INLINE TaskLayout lay_out_task(const Stage& stage, const std::vector<Target>* targets,
                                      const std::vector<Result>& results) {
  using namespace detail;
  TaskLayout layout;
  std::size_t at = 0;
  const auto take = [&](std::size_t bytes) {
    const std::size_t offset = at;
    at += aligned(bytes);
    return offset;
  };
  layout.workspace_offset = at;
  take(expression_workspace_bytes(stage.expression));
  std::size_t nested = 0;
  for (const Port& port : stage.ports)
    for (const Expression& part : port.parts) nested = std::max(nested, expression_workspace_bytes(part));
  layout.nested_workspace_offset = take(nested);
  const Shape unit = stage.units.chunk_shape(), step = stage.steps.chunk_shape();
  std::size_t leaf_bytes = 0;
  for (const ReduceGroup& group : stage.groups) {
    const Index n = kept_elements(stage, group, unit);
    layout.group_offset.push_back(at);
    take(state_set_bytes(group, n) * (1 + carry_slots(leaves_per_unit(stage, group))));
    std::size_t bytes = 0;
    for (const StageFold& fold : group.folds) {
      bytes += aligned(group.trailing ? LeafRuns::workspace_bytes(*fold.reducer)
                                      : LeafRows::workspace_bytes(*fold.reducer, LeafRows::max_columns));
      // Values of a program, or gathered ones, wait here for the leaf: a block of runs or of rows.
      bytes += aligned((group.trailing ? 2 * run_block : row_block * LeafRows::max_columns) * 16);
    }
    // Finished values of a spilled result pass through memory.
    for (const StageFold& fold : group.folds)
      for (const Finish& finish : fold.finishes) {
        const Result& result = results[static_cast<std::size_t>(finish.result)];
        if (result.spilled)
          bytes += aligned(static_cast<std::size_t>(n * size_of(finish.reducer->result_shape())) *
                           result.dtype.item_bytes());
      }
    leaf_bytes = std::max(leaf_bytes, bytes);
  }
  layout.leaf_workspace_offset = take(leaf_bytes);
  layout.output_offset = at;
  for (const ResultStore& store : stage.stores) {
    const int output = results[static_cast<std::size_t>(store.result)].output;
    const Target* target = targets && output >= 0 && static_cast<std::size_t>(output) < targets->size()
                               ? &(*targets)[static_cast<std::size_t>(output)]
                               : nullptr;
    const bool to_memory = !target || std::holds_alternative<MemoryTarget>(*target);
    std::size_t bytes = 0;
    if (!to_memory || results[static_cast<std::size_t>(store.result)].spilled) {
      const std::size_t item =
          stage.expression.outputs[static_cast<std::size_t>(store.output)].dtype.item_bytes();
      Index n = 1;
      for (const Index extent : step) n *= extent;
      bytes = aligned(static_cast<std::size_t>(n) * item);
      if (target)
        if (const auto* sink = std::get_if<SinkTarget>(target)) {
          const Shape part = written_part(stage, step);
          if (!is_contiguous_part(Region::of(part), step))
            bytes += aligned(static_cast<std::size_t>(size_of(part)) * item);
          bytes += aligned(sink->sink.scratch_bytes(Region::of(part)));
        }
    }
    layout.store_offset.push_back(take(bytes));
  }
  layout.step_offset = at;
  layout.total_bytes = at;
  return layout;
}

}  // namespace morsel::inline MORSEL_ABI
