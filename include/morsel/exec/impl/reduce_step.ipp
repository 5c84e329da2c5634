// Part of perform.ipp: the reductions of a step, leaf by leaf.
#pragma once

#include <bit>
#include <memory>
#include <morsel/exec/perform.hpp>

namespace morsel::inline MORSEL_ABI::detail {

MORSEL_INLINE void Task::reduce_step() {
  const Stage& stage = run_.stage;
  for (std::size_t g = 0; g < stage.groups.size(); ++g) {
    const ReduceGroup& group = stage.groups[g];
    GroupState& state = *groups_[g];
    // Leaves: reduced axes by chunk, kept axes whole.
    Region chunks = stage.grid.overlapping(box_);
    for (std::size_t i = 0; i < stage.shape.size(); ++i)
      if (!is_reduced(group, i)) chunks.lo[i] = 0, chunks.hi[i] = 1;
    Walk walk = begin_walk(g);
    Index bundled = 0;
    for_each_position(chunks, [&](const Dims& at) {
      if (bundled > 0) {
        --bundled;
        return;
      }
      Region leaf = box_;
      Index number = 0;
      for (const int axis : group.axes) {
        const std::size_t a = static_cast<std::size_t>(axis);
        leaf.lo[a] = stage.grid.axis(a).begin(at[a]);
        leaf.hi[a] = stage.grid.axis(a).end(at[a]);
        number = number * stage.grid.axis(a).count() + at[a];
      }
      const Region part = intersect(leaf, box_);
      const bool fresh = !state.in_leaf;
      if (!state.in_leaf) {
        if (state.free.empty()) fail(Errc::internal_error, "reducing: more states than planned");
        state.current = state.free.back();
        state.free.pop_back();
        state.in_leaf = true;
        std::fill(state.begun.begin(), state.begun.end(), 0);
      }
      const bool taken = absent_ && take_absent(g, walk, fresh && part == leaf ? part : Region());
      int level = 0;
      if (!absent_ && walk.bundles && part == leaf &&
          (level = bundle_level(g, walk, at, chunks, part, number)) > 0) {
        place_walk(g, walk, part, state.set(state.current));
        reduce_leaves(g, walk, Index{1} << level);
        bundled = (Index{1} << level) - 1;
        end_leaves(g, level, number >> level);
        return;
      }
      if (!taken) reduce_box(g, walk, part, leaf, state.set(state.current));
      bool ends = true;
      for (const int axis : group.axes)
        ends &= part.hi[static_cast<std::size_t>(axis)] == leaf.hi[static_cast<std::size_t>(axis)];
      if (!ends) return;
      if (!group.per_chunk) return end_leaves(g, 0, number);
      run_.finish_states(g, state.strip, state.set(state.current), state.kept, &at);
      end_current(g);
    });
  }
}

/// A leaf none of whose chunks is there, into its states: one value, as often as the leaf has elements.
/// False: the leaf has values, or the folds cannot do it with the same bits; then what is missing is filled
/// in.
MORSEL_INLINE bool Task::take_absent(std::size_t g, Walk& walk, const Region& leaf) {
  const Stage& stage = run_.stage;
  const ReduceGroup& group = stage.groups[g];
  const Expression& expression = stage.expression;
  GroupState& state = *groups_[g];
  const auto fill_all = [&] {
    for (std::size_t i = 0; i < layout_.fetches.size(); ++i)
      if (fetch_states_[i] == Fetched::State::missing) fill_absent(i);
    absent_ = false;
    return false;
  };
  if (walk.user_code) return fill_all();
  bool whole = leaf.rank() == box_.rank();
  for (std::size_t a = 0; whole && a < leaf.rank(); ++a)
    whole = is_reduced(group, a) || (leaf.lo[a] == state.strip.lo[a] && leaf.hi[a] == state.strip.hi[a]);
  for (const Stream& stream : expression.streams) {
    if (!whole) break;
    const Port& port = stage.ports[static_cast<std::size_t>(stream.port)];
    whole = port.kind == Port::Kind::source && !port.source.spec().lends;
    Region hull{Dims(stream.view.maps.size()), Dims(stream.view.maps.size())};
    for (std::size_t a = 0; a < stream.view.maps.size(); ++a) {
      const PortNeed::Axis axis = axis_need(port, a, stream.view.maps[a], leaf);
      hull.lo[a] = axis.lo, hull.hi[a] = axis.hi;
    }
    for (std::size_t i = 0; whole && i < layout_.fetches.size(); ++i)
      if (layout_.fetches[i].port == stream.port && intersect(layout_.fetches[i].region, hull).size() != 0)
        whole = fetch_states_[i] == Fetched::State::missing;
  }
  if (!whole) return fill_all();

  // The element that each fold sees.
  for (std::size_t i = 0; i < expression.streams.size(); ++i) {
    walk.bases[i] = fill_of(stage.ports[static_cast<std::size_t>(expression.streams[i].port)]);
    walk.steps[i] = 0;
    walk.inner_tables[i] = nullptr;
  }
  std::fill(walk.to.begin(), walk.to.end(), nullptr);
  for (std::size_t f = 0; f < group.folds.size(); ++f) {
    const ExpressionOutput& output = expression.outputs[static_cast<std::size_t>(group.folds[f].output)];
    if (output.stream >= 0) {
      walk.values[f] = walk.bases[static_cast<std::size_t>(output.stream)];
      continue;
    }
    walk.values[f] = walk.room + walk.room_of[f] * walk.room_bytes;
    walk.to[static_cast<std::size_t>(output.program_output)] = const_cast<std::byte*>(walk.values[f]);
  }
  if (walk.any_program)
    walk.evaluator->row(1, walk.bases.data(), walk.steps.data(), walk.inner_tables.data(), walk.to.data());

  Index count = 1, first_index = 0;
  for (std::size_t a = 0; a < stage.shape.size(); ++a) {
    if (is_reduced(group, a)) count *= leaf.hi[a] - leaf.lo[a];
    first_index += state.index_steps[a] * leaf.lo[a];
  }
  std::byte* states = state.set(state.current);
  for (std::size_t f = 0; f < group.folds.size(); ++f) {
    const Reducer& reducer = *run_.reducers[g][f];
    reducer.init(states, 1);
    if (!reducer.absorb_constant(states, walk.values[f], count, first_index)) return fill_all();
    const std::size_t bytes = reducer.state_bytes();
    for (Index k = 1; k < state.kept; ++k)
      std::memcpy(states + static_cast<std::size_t>(k) * bytes, states, bytes);
    state.begun[f] = state.kept;
    states += aligned(static_cast<std::size_t>(state.kept) * bytes);
  }
  return true;
}

MORSEL_INLINE void Task::go_on() const {
  if (stop_.stop_requested()) fail(Errc::cancelled, "running '" + run_.stage.name + "': cancelled");
}

/// Ends the life of the states of the leaf under way.
MORSEL_INLINE void Task::end_current(std::size_t g) {
  GroupState& state = *groups_[g];
  std::byte* at = state.set(state.current);
  for (std::size_t f = 0; f < run_.reducers[g].size(); ++f) {
    const Reducer& reducer = *run_.reducers[g][f];
    if (!reducer.is_trivial()) reducer.destroy(at, static_cast<std::size_t>(state.begun[f]));
    at += aligned(static_cast<std::size_t>(state.kept) * reducer.state_bytes());
  }
  state.in_leaf = false;
  state.free.push_back(state.current);
}

/// How many leaves from this one on can be reduced side by side, as a power of two: they are one subtree of
/// the tree, alike, whole in the step and of one block each.
MORSEL_INLINE int Task::bundle_level(std::size_t g, Walk& walk, const Dims& at, const Region& chunks,
                                     const Region& leaf, Index number) {
  const Stage& stage = run_.stage;
  const ReduceGroup& group = stage.groups[g];
  if (group.axes.empty()) return 0;
  const std::size_t a = static_cast<std::size_t>(group.axes.back());
  const AxisGrid& grid = stage.grid.axis(a);
  const Index length = leaf.hi[a] - leaf.lo[a];
  const auto fits = [&](Index count) {
    if (number % count != 0 || at[a] + count > chunks.hi[a] || grid.end(at[a] + count - 1) > box_.hi[a])
      return false;
    for (Index k = 1; k < count; ++k)
      if (grid.length(at[a] + k) != length) return false;
    return true;
  };
  int level = 0;
  while (level < 3 && fits(Index{2} << level)) ++level;
  if (level == 0) return 0;
  place_walk(g, walk, leaf, nullptr);
  if (!is_one_block(walk)) return 0;
  for (std::size_t i = 0; i < walk.streams.size(); ++i)
    walk.leaf_steps[i] = walk.streams[i].strides[a] * length;
  walk.leaf_steps[walk.streams.size() + 1] = groups_[g]->index_steps[a] * length;
  return level;
}

MORSEL_INLINE void Task::end_leaves(std::size_t g, int level, Index index) {
  GroupState& state = *groups_[g];
  state.stack.push_back({level, index, state.current});
  state.in_leaf = false;
  while (state.stack.size() >= 2) {
    const GroupState::Entry top = state.stack.back();
    GroupState::Entry& below = state.stack[state.stack.size() - 2];
    if (top.level != below.level || !(top.index & 1) || below.index + 1 != top.index) break;
    state.stack.pop_back();
    state.free.push_back(top.set);
    run_.merge_states(g, state.set(below.set), state.set(top.set), state.kept);
    ++below.level;
    below.index >>= 1;
  }
}

MORSEL_INLINE std::ptrdiff_t Task::finish() {
  std::ptrdiff_t change = 0;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    GroupState& state = *groups_[g];
    if (run_.stage.groups[g].per_chunk || state.stack.empty()) continue;
    const auto& last = state.stack.back();
    const Index leaves = run_.leaf_count(g);
    const bool all = state.stack.front().index == 0 && ((last.index + 1) << last.level) >= leaves;
    if (all) {
      // Every leaf of the strip was here: what is left on the stack merges from the right, odd ones promoted.
      while (state.stack.size() > 1) {
        const auto top = state.stack.back();
        state.stack.pop_back();
        run_.merge_states(g, state.set(state.stack.back().set), state.set(top.set), state.kept);
      }
      std::byte* states = state.set(state.stack.back().set);
      run_.finish_states(g, state.strip, states, state.kept, nullptr);
      run_.note_finished(g, state.strip_number);
      run_.destroy_states(g, states, state.kept);
    } else {
      while (!state.stack.empty()) {
        const GroupState::Entry entry = state.stack.back();
        state.stack.pop_back();
        change += run_.put(g, state.strip, state.strip_number, entry.level, entry.index, state.set(entry.set),
                           state.kept);
      }
    }
    state.stack.clear();
  }
  run_.counters.units.fetch_add(1, std::memory_order_relaxed);
  return change;
}

MORSEL_INLINE Task::Walk Task::begin_walk(std::size_t g) {
  const Stage& stage = run_.stage;
  const ReduceGroup& group = stage.groups[g];
  const Expression& expression = stage.expression;
  // Groups share the workspace of leaves; their leaves are whole in the step.
  if (stage.groups.size() > 1) open_leaf_workspace(g);
  Walk walk;
  table_at_ = run_.task.step_offset + layout_.table_offset;
  for (const Stream& stream : expression.streams) {
    walk.streams.push_back(access(stream, box_));
    for (const Index* table : walk.streams.back().tables) walk.tables |= table != nullptr;
  }
  walk.bundles = !group.trailing && !group.per_chunk && !walk.tables;
  for (std::size_t f = 0; f < group.folds.size(); ++f) {
    const MergeOrder order = run_.reducers[g][f]->order();
    walk.bundles &=
        (order == MergeOrder::any || order == MergeOrder::blocks) && run_.reducers[g][f]->is_trivial();
    const ExpressionOutput& output = expression.outputs[static_cast<std::size_t>(group.folds[f].output)];
    walk.needs_index |= run_.reducers[g][f]->needs_index();
    walk.user_code |=
        run_.reducers[g][f]->order() == MergeOrder::sequential || !run_.reducers[g][f]->is_trivial();
    walk.direct &= output.stream >= 0;
    walk.any_program |= output.program_output >= 0;
    walk.room_of.push_back(f);
    for (std::size_t e = 0; e < f; ++e)
      if (group.folds[e].output == group.folds[f].output) {
        walk.room_of[f] = e;
        break;
      }
  }
  walk.room = memory_ + run_.task.leaf_workspace_offset;
  for (const ReducerPtr& reducer : run_.reducers[g]) {
    walk.scratch.push_back(walk.room);
    walk.room += aligned(group.trailing ? LeafRuns::workspace_bytes(*reducer)
                                        : LeafRows::workspace_bytes(*reducer, LeafRows::max_columns));
  }
  walk.room_bytes = aligned((group.trailing ? 2 * run_block : row_block * LeafRows::max_columns) * 16);
  if (walk.any_program)
    walk.evaluator = std::make_unique<Evaluator>(expression, memory_ + run_.task.workspace_offset, &stop_);
  const std::size_t s = walk.streams.size();
  walk.start = walk.leaf_steps = Nest::Offsets(s + 2, 0);
  walk.bases.resize(s);
  walk.steps.assign(s, 0);
  walk.inner_tables.assign(s, nullptr);
  walk.to.assign(expression.program.outputs().size(), nullptr);
  walk.values.resize(group.folds.size());
  walk.states.resize(group.folds.size());
  walk.done.assign(group.folds.size(), false);
  return walk;
}

/// Lays the nest of a leaf's part of the step. Operands: the streams, then the state offset, then the flat
/// position along the reduced axes.
MORSEL_INLINE void Task::lay_nest(std::size_t g, Walk& walk, const Region& box) {
  const Stage& stage = run_.stage;
  const ReduceGroup& group = stage.groups[g];
  const GroupState& state = *groups_[g];
  const std::size_t s = walk.streams.size();
  walk.shape = box.shape();
  walk.nest.axes.clear();
  for (std::size_t a = 0; a < walk.shape.size(); ++a) {
    Nest::Axis axis;
    axis.extent = walk.shape[a];
    axis.reduced = is_reduced(group, a);
    for (const Access& stream : walk.streams) {
      axis.steps.push_back(stream.strides[a]);
      axis.tables.push_back(stream.tables[a] ? stream.tables[a] + (box.lo[a] - box_.lo[a]) : nullptr);
    }
    axis.steps.push_back(state.kept_steps[a]);
    axis.steps.push_back(walk.needs_index ? state.index_steps[a] : 0);
    axis.tables.resize(s + 2, nullptr);
    walk.nest.add(std::move(axis));
  }
  walk.inner = walk.nest.axes.empty() ? nullptr : &walk.nest.axes.back();
  if (walk.inner && walk.inner->reduced != group.trailing) walk.inner = nullptr;
  walk.kept.clear();
  walk.reduced.clear();
  for (const Nest::Axis& axis : walk.nest.axes)
    if (&axis != walk.inner) (axis.reduced ? walk.reduced : walk.kept).push_back(&axis);
  walk.rows = nullptr;
  if (!group.trailing && !walk.reduced.empty()) {
    walk.rows = walk.reduced.back();
    walk.reduced.pop_back();
  }
  walk.contiguous = walk.direct;
  for (const StageFold& fold : group.folds) {
    if (!walk.contiguous) break;
    const std::size_t i =
        static_cast<std::size_t>(stage.expression.outputs[static_cast<std::size_t>(fold.output)].stream);
    walk.contiguous = !walk.inner || (!walk.inner->tables[i] &&
                                      walk.inner->steps[i] == static_cast<Index>(walk.streams[i].item));
  }
}

/// Values of n elements of a row that begins at `at`, for every fold: straight from memory or into its room.
MORSEL_INLINE void Task::bring(std::size_t g, Walk& walk, const Nest::Offsets& at, std::size_t begin,
                               std::size_t n, std::size_t room_offset, bool copies) {
  const ReduceGroup& group = run_.stage.groups[g];
  const Expression& expression = run_.stage.expression;
  const Nest::Axis* inner = walk.inner;
  if (walk.any_program) {
    for (std::size_t i = 0; i < walk.streams.size(); ++i) {
      walk.steps[i] = inner ? inner->steps[i] : 0;
      walk.inner_tables[i] = inner && inner->tables[i] ? inner->tables[i] + begin : nullptr;
      walk.bases[i] = walk.streams[i].base + at[i] +
                      (walk.inner_tables[i] ? 0 : walk.steps[i] * static_cast<Index>(begin));
    }
    std::fill(walk.to.begin(), walk.to.end(), nullptr);
    for (std::size_t f = 0; f < group.folds.size(); ++f) {
      const int output = expression.outputs[static_cast<std::size_t>(group.folds[f].output)].program_output;
      if (output < 0) continue;
      const std::size_t item = item_bytes_of(run_.reducers[g][f]->input());
      walk.values[f] = walk.room + walk.room_of[f] * walk.room_bytes + room_offset * item;
      walk.to[static_cast<std::size_t>(output)] = const_cast<std::byte*>(walk.values[f]);
    }
    walk.evaluator->row(n, walk.bases.data(), walk.steps.data(), walk.inner_tables.data(), walk.to.data());
  }
  for (std::size_t f = 0; f < group.folds.size(); ++f) {
    const int stream = expression.outputs[static_cast<std::size_t>(group.folds[f].output)].stream;
    if (stream < 0) continue;
    const std::size_t i = static_cast<std::size_t>(stream);
    const std::size_t item = walk.streams[i].item;
    const Index step = inner ? inner->steps[i] : 0;
    const Index* table = inner ? inner->tables[i] : nullptr;
    const std::byte* from = walk.streams[i].base + at[i] + (table ? 0 : step * static_cast<Index>(begin));
    if (!copies && !table && (n == 1 || step == static_cast<Index>(item))) {
      walk.values[f] = from;
      continue;
    }
    walk.values[f] = walk.room + walk.room_of[f] * walk.room_bytes + room_offset * item;
    if (walk.room_of[f] == f)
      gather(item, n, from, step, table ? table + begin : nullptr, const_cast<std::byte*>(walk.values[f]));
  }
}

/// Sets the walk to a leaf's part of the step, and to the leaf's states.
MORSEL_INLINE void Task::place_walk(std::size_t g, Walk& walk, const Region& box, std::byte* states) {
  const Stage& stage = run_.stage;
  const ReduceGroup& group = stage.groups[g];
  const GroupState& state = *groups_[g];
  const std::size_t s = walk.streams.size(), rank = stage.shape.size();
  bool same = !walk.tables && walk.shape.size() == rank && !(rank > 0 && walk.nest.axes.empty());
  for (std::size_t a = 0; same && a < rank; ++a) same = box.hi[a] - box.lo[a] == walk.shape[a];
  if (!same) lay_nest(g, walk, box);
  std::fill(walk.start.begin(), walk.start.end(), 0);
  for (std::size_t a = 0; a < rank; ++a) {
    const Index offset = box.lo[a] - box_.lo[a];
    for (std::size_t i = 0; i < s; ++i)
      if (!walk.streams[i].tables[a])
        walk.start[i] += walk.streams[i].strides[a] * offset;
      else if (walk.shape[a] == 1)  // the nest leaves the axis out, and its table with it
        walk.start[i] += walk.streams[i].tables[a][offset];
    if (!is_reduced(group, a)) walk.start[s] += state.kept_steps[a] * (box.lo[a] - state.strip.lo[a]);
    walk.start[s + 1] += state.index_steps[a] * box.lo[a];
  }
  for (std::size_t f = 0; states && f < group.folds.size(); ++f) {
    walk.states[f] = states;
    states += aligned(static_cast<std::size_t>(state.kept) * run_.reducers[g][f]->state_bytes());
  }
}

/// Walks the part of a leaf that is in the step and feeds the folds of a group.
///   trailing:  kept elements one after another; for each its runs, in pieces of whole blocks where possible
///   otherwise: strips of up to 256 neighbouring kept elements; for each its rows
MORSEL_INLINE void Task::reduce_box(std::size_t g, Walk& walk, const Region& box, const Region& leaf,
                                    std::byte* states) {
  const ReduceGroup& group = run_.stage.groups[g];
  place_walk(g, walk, box, states);
  bool begins = true, ends = true, run_ends = true;
  for (const int axis : group.axes) {
    const std::size_t a = static_cast<std::size_t>(axis);
    begins &= box.lo[a] == leaf.lo[a];
    ends &= box.hi[a] == leaf.hi[a];
    if (axis >= group.run_begin) run_ends &= box.hi[a] == leaf.hi[a];
  }
  if (group.trailing)
    reduce_runs(g, walk, begins, ends, run_ends);
  else if (begins && ends && !walk.user_code && is_one_block(walk))
    reduce_leaves(g, walk, 1);
  else
    reduce_rows(g, walk, begins, ends);
}

MORSEL_INLINE void Task::reduce_runs(std::size_t g, Walk& walk, bool begins, bool ends, bool run_ends) {
  const ReduceGroup& group = run_.stage.groups[g];
  GroupState& state = *groups_[g];
  const std::size_t s = walk.streams.size();
  const Nest::Axis* inner = walk.inner;
  // The nest may have joined leading reduced axes with the runs.
  Index run_elements = 1;
  for (std::size_t a = static_cast<std::size_t>(group.run_begin); a < walk.shape.size(); ++a)
    run_elements *= walk.shape[a];
  const std::size_t n = inner ? static_cast<std::size_t>(inner->extent) : 1;
  const std::size_t piece_limit = !walk.contiguous                             ? run_block
                                  : group.folds.size() == 1 && !walk.user_code ? n
                                                                               : 2048;
  const Index index_step = walk.needs_index && inner ? inner->steps[s + 1] : 1;
  if (begins && ends && walk.contiguous && walk.reduced.empty() && n <= run_block &&
      run_elements == static_cast<Index>(n) && index_step == 1) {
    // A leaf of one block: its state is the block's.
    for_each_offset(walk.kept, walk.start, [&](const Nest::Offsets& at) {
      for (std::size_t f = 0; f < group.folds.size(); ++f) {
        const Reducer& reducer = *run_.reducers[g][f];
        std::byte* to = walk.states[f] + static_cast<std::size_t>(at[s]) * reducer.state_bytes();
        const std::size_t i = static_cast<std::size_t>(
            run_.stage.expression.outputs[static_cast<std::size_t>(group.folds[f].output)].stream);
        reducer.init(to, 1);
        ++state.begun[f];
        reducer.absorb_run(to, walk.streams[i].base + at[i], n, at[s + 1]);
      }
    });
    return;
  }
  for_each_offset(walk.kept, walk.start, [&](const Nest::Offsets& kept_at) {
    if (begins)
      for (std::size_t f = 0; f < state.runs.size(); ++f) {
        state.runs[f].begin(walk.states[f] +
                            static_cast<std::size_t>(kept_at[s]) * run_.reducers[g][f]->state_bytes());
        ++state.begun[f];
      }
    Index in_run = 0;
    for_each_offset(walk.reduced, kept_at, [&](const Nest::Offsets& at) {
      std::size_t begin = 0;
      while (begin < n) {
        std::size_t m = std::min(piece_limit, n - begin);
        m = std::min(m, static_cast<std::size_t>(run_elements - in_run));
        if (index_step != 1) m = 1;
        if (walk.user_code) go_on();
        bring(g, walk, at, begin, m, 0, false);
        for (std::size_t f = 0; f < state.runs.size(); ++f)
          state.runs[f].absorb(walk.values[f], m, at[s + 1] + static_cast<Index>(begin) * index_step);
        begin += m;
        in_run += static_cast<Index>(m);
        if (in_run == run_elements) {
          in_run = 0;
          if (run_ends)
            for (LeafRuns& run : state.runs) run.end_run();
        }
      }
    });
    if (ends)
      for (LeafRuns& run : state.runs) run.finish();
  });
}

MORSEL_INLINE bool Task::is_one_block(const Walk& walk) const {
  return walk.reduced.empty() && (!walk.rows || walk.rows->extent <= static_cast<Index>(row_block));
}

/// Reduces `count` neighbouring leaves of one block of rows each, whole in the step and walk.leaf_steps
/// apart, into the states of their common node of the tree: a few columns at a time, so that leaves merge in
/// L1.
/// **Requires**: is_one_block; trivial states; count is a power of two, at most 8, and 1 unless walk.bundles.
MORSEL_INLINE void Task::reduce_leaves(std::size_t g, Walk& walk, Index count) {
  const ReduceGroup& group = run_.stage.groups[g];
  const Expression& expression = run_.stage.expression;
  const std::size_t s = walk.streams.size(), folds = group.folds.size();
  const Nest::Axis *inner = walk.inner, *rows = walk.rows;
  const std::size_t columns = inner ? static_cast<std::size_t>(inner->extent) : 1;
  const std::size_t row_count = rows ? static_cast<std::size_t>(rows->extent) : 1;
  const Index index_step = rows ? rows->steps[s + 1] : 0;
  const bool in_place = walk.contiguous && !walk.tables;
  const std::size_t most = LeafRows::max_columns * (in_place && count == 1 && row_count <= 8 ? 4 : 1);
  const auto stream_of = [&](std::size_t f) {
    return static_cast<std::size_t>(
        expression.outputs[static_cast<std::size_t>(group.folds[f].output)].stream);
  };
  for_each_offset(walk.kept, walk.start, [&](const Nest::Offsets& kept_at) {
    bool all = true;
    for (std::size_t f = 0; f < folds; ++f) {
      // One call for all leaves and columns, where the reducer has it.
      const Reducer& reducer = *run_.reducers[g][f];
      walk.done[f] = false;
      if (in_place && count > 1) {
        const std::size_t i = stream_of(f);
        walk.done[f] = reducer.absorb_leaves(
            walk.states[f] + static_cast<std::size_t>(kept_at[s]) * reducer.state_bytes(),
            walk.streams[i].base + kept_at[i], walk.leaf_steps[i], rows ? rows->steps[i] : 0, row_count,
            static_cast<std::size_t>(count), columns);
      }
      all &= walk.done[f];
    }
    if (all) return;
    for (std::size_t begin = 0; begin < columns; begin += most) {
      const std::size_t width = std::min(most, columns - begin);
      const Index first_state = kept_at[s] + (inner ? inner->steps[s] * static_cast<Index>(begin) : 0);
      for (Index leaf = 0; leaf < count; ++leaf) {
        walk.row_at = kept_at;
        for (std::size_t i = 0; i < walk.row_at.size(); ++i) walk.row_at[i] += walk.leaf_steps[i] * leaf;
        const Index first_index = walk.row_at[s + 1];
        if (!in_place) {
          const Nest::Offsets leaf_at = walk.row_at;
          for (std::size_t r = 0; r < row_count; ++r) {
            if (rows)
              for (std::size_t i = 0; i < leaf_at.size(); ++i)
                walk.row_at[i] = leaf_at[i] + (rows->tables[i] ? rows->tables[i][r]
                                                               : rows->steps[i] * static_cast<Index>(r));
            bring(g, walk, walk.row_at, begin, width, r * width, true);
          }
        }
        for (std::size_t f = 0; f < folds; ++f) {
          if (walk.done[f]) continue;
          const Reducer& reducer = *run_.reducers[g][f];
          const std::size_t item = item_bytes_of(reducer.input()), state_bytes = reducer.state_bytes();
          std::byte* const node = walk.states[f] + static_cast<std::size_t>(first_state) * state_bytes;
          const std::byte* x = walk.room + walk.room_of[f] * walk.room_bytes;
          std::ptrdiff_t stride = static_cast<std::ptrdiff_t>(width * item);
          if (in_place) {
            const std::size_t i = stream_of(f);
            x = walk.streams[i].base + walk.row_at[i] + begin * item;
            stride = rows ? rows->steps[i] : 0;
          }
          const bool merges = reducer.order() != MergeOrder::any;
          // As many subtrees wait as the leaf's number has bits; the first one is the node's own memory.
          const std::size_t waiting =
              static_cast<std::size_t>(std::popcount(static_cast<std::uint64_t>(leaf)));
          const auto place = [&](std::size_t subtrees) {
            return subtrees == 0
                       ? node
                       : walk.scratch[f] + (subtrees - 1) * aligned(LeafRows::max_columns * state_bytes);
          };
          std::byte* const states = place(merges ? waiting : 0);
          if (merges || leaf == 0) reducer.init(states, width);
          reducer.absorb_rows(states, x, stride, row_count, width, first_index, index_step);
          if (!merges) continue;
          std::size_t top = waiting;
          for (Index bits = leaf; bits & 1; bits >>= 1, --top)
            reducer.merge(place(top - 1), place(top), width);
        }
      }
    }
  });
}

MORSEL_INLINE void Task::reduce_rows(std::size_t g, Walk& walk, bool begins, bool ends) {
  const ReduceGroup& group = run_.stage.groups[g];
  GroupState& state = *groups_[g];
  const std::size_t s = walk.streams.size();
  const Nest::Axis *inner = walk.inner, *rows = walk.rows;
  const std::size_t columns = inner ? static_cast<std::size_t>(inner->extent) : 1;
  bool row_tables = false;
  if (rows)
    for (const Index* table : rows->tables) row_tables |= table != nullptr;
  for_each_offset(walk.kept, walk.start, [&](const Nest::Offsets& kept_at) {
    for (std::size_t begin = 0; begin < columns; begin += LeafRows::max_columns) {
      const std::size_t width = std::min(LeafRows::max_columns, columns - begin);
      const Index first_state = kept_at[s] + (inner ? inner->steps[s] * static_cast<Index>(begin) : 0);
      if (begins)
        for (std::size_t f = 0; f < state.rows.size(); ++f) {
          state.rows[f].begin(
              walk.states[f] + static_cast<std::size_t>(first_state) * run_.reducers[g][f]->state_bytes(),
              width);
          state.begun[f] += static_cast<Index>(width);
        }
      if (walk.contiguous && rows && !row_tables && !walk.user_code) {
        // Rows straight from memory, the last reduced axis at once.
        for_each_offset(walk.reduced, kept_at, [&](const Nest::Offsets& at) {
          for (std::size_t f = 0; f < state.rows.size(); ++f) {
            const std::size_t i = static_cast<std::size_t>(
                run_.stage.expression.outputs[static_cast<std::size_t>(group.folds[f].output)].stream);
            state.rows[f].absorb(
                walk.streams[i].base + at[i] + static_cast<Index>(begin * walk.streams[i].item),
                rows->steps[i], static_cast<std::size_t>(rows->extent), at[s + 1], rows->steps[s + 1]);
          }
        });
      } else {
        // Rows are brought into the room first, as many as it holds of one last reduced axis.
        const std::size_t total = rows ? static_cast<std::size_t>(rows->extent) : 1;
        const std::size_t block = std::max<std::size_t>(
            1,
            std::min<std::size_t>(row_block, 4096 / LeafRows::max_columns * (LeafRows::max_columns / width)));
        for_each_offset(walk.reduced, kept_at, [&](const Nest::Offsets& at) {
          walk.row_at = at;
          for (std::size_t r = 0; r < total; r += block) {
            const std::size_t count = std::min(block, total - r);
            if (walk.user_code) go_on();
            for (std::size_t k = 0; k < count; ++k) {
              for (std::size_t i = 0; i < at.size(); ++i)
                walk.row_at[i] = at[i] + (!rows             ? 0
                                          : rows->tables[i] ? rows->tables[i][r + k]
                                                            : rows->steps[i] * static_cast<Index>(r + k));
              bring(g, walk, walk.row_at, begin, width, k * width, true);
            }
            for (std::size_t f = 0; f < state.rows.size(); ++f) {
              const std::size_t item = item_bytes_of(run_.reducers[g][f]->input());
              state.rows[f].absorb(walk.room + walk.room_of[f] * walk.room_bytes,
                                   static_cast<std::ptrdiff_t>(width * item), count,
                                   at[s + 1] + (rows ? rows->steps[s + 1] * static_cast<Index>(r) : 0),
                                   rows ? rows->steps[s + 1] : 0);
            }
          }
        });
      }
      if (ends)
        for (LeafRows& leaf_rows : state.rows) leaf_rows.finish();
    }
  });
}

}  // namespace morsel::inline MORSEL_ABI::detail
