#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <morsel/exec/perform.hpp>
#include <thread>

namespace morsel::inline MORSEL_ABI::detail {

// ---- small pieces
// ---------------------------------------------------------------------------------------------

template <class T>
void gather_strided(std::size_t n, const std::byte* from, std::ptrdiff_t stride, std::byte* to) {
  T* out = reinterpret_cast<T*>(to);
  for (std::size_t i = 0; i < n; ++i)
    std::memcpy(out + i, from + static_cast<std::ptrdiff_t>(i) * stride, sizeof(T));
}
template <class T>
void scatter_strided(std::size_t n, const std::byte* from, std::byte* to, std::ptrdiff_t stride) {
  const T* in = reinterpret_cast<const T*>(from);
  for (std::size_t i = 0; i < n; ++i)
    std::memcpy(to + static_cast<std::ptrdiff_t>(i) * stride, in + i, sizeof(T));
}
template <class T>
void gather_table(std::size_t n, const std::byte* from, const Index* offsets, std::byte* to) {
  T* out = reinterpret_cast<T*>(to);
  for (std::size_t i = 0; i < n; ++i) std::memcpy(out + i, from + offsets[i], sizeof(T));
}
struct Item16 {
  std::uint64_t a, b;
};

MORSEL_INLINE void gather(std::size_t item, std::size_t n, const std::byte* from, std::ptrdiff_t stride,
                          const Index* table, std::byte* to) {
  if (table) {
    switch (item) {
      case 1:
        return gather_table<std::uint8_t>(n, from, table, to);
      case 2:
        return gather_table<std::uint16_t>(n, from, table, to);
      case 4:
        return gather_table<std::uint32_t>(n, from, table, to);
      case 8:
        return gather_table<std::uint64_t>(n, from, table, to);
      case 16:
        return gather_table<Item16>(n, from, table, to);
      default:
        for (std::size_t i = 0; i < n; ++i) std::memcpy(to + i * item, from + table[i], item);
        return;
    }
  }
  switch (item) {
    case 1:
      return gather_strided<std::uint8_t>(n, from, stride, to);
    case 2:
      return gather_strided<std::uint16_t>(n, from, stride, to);
    case 4:
      return gather_strided<std::uint32_t>(n, from, stride, to);
    case 8:
      return gather_strided<std::uint64_t>(n, from, stride, to);
    case 16:
      return gather_strided<Item16>(n, from, stride, to);
    default:
      for (std::size_t i = 0; i < n; ++i)
        std::memcpy(to + i * item, from + static_cast<std::ptrdiff_t>(i) * stride, item);
  }
}

MORSEL_INLINE void scatter(std::size_t item, std::size_t n, const std::byte* from, std::byte* to,
                           std::ptrdiff_t stride) {
  switch (item) {
    case 1:
      return scatter_strided<std::uint8_t>(n, from, to, stride);
    case 2:
      return scatter_strided<std::uint16_t>(n, from, to, stride);
    case 4:
      return scatter_strided<std::uint32_t>(n, from, to, stride);
    case 8:
      return scatter_strided<std::uint64_t>(n, from, to, stride);
    case 16:
      return scatter_strided<Item16>(n, from, to, stride);
    default:
      for (std::size_t i = 0; i < n; ++i)
        std::memcpy(to + static_cast<std::ptrdiff_t>(i) * stride, from + i * item, item);
  }
}

/// Where the elements of a stream lie, for positions relative to a box.
struct Task::Access {
  const std::byte* base = nullptr;
  std::size_t item = 0;
  Dims strides;                      // bytes per axis of the box
  std::vector<const Index*> tables;  // per axis: byte offsets in place of a stride, or null
};

/// Loops over a box with several operands: extents, class and step of every operand per axis; axes of extent
/// 1 are dropped, neighbours joined where all operands allow.
struct Nest {
  using Offsets = InlineVector<Index, 8>;
  struct Axis {
    Index extent = 1;
    bool reduced = false;
    Offsets steps;                         // per operand
    InlineVector<const Index*, 8> tables;  // per operand
  };
  std::vector<Axis> axes;

  void add(Axis axis) {
    if (axis.extent == 1) return;
    if (!axes.empty()) {
      Axis& outer = axes.back();
      bool joins = outer.reduced == axis.reduced;
      for (std::size_t i = 0; joins && i < axis.steps.size(); ++i)
        joins = !outer.tables[i] && !axis.tables[i] && outer.steps[i] == axis.steps[i] * axis.extent;
      if (joins) {
        outer.extent *= axis.extent;
        outer.steps = axis.steps;
        return;
      }
    }
    axes.push_back(std::move(axis));
  }
};

/// Visits the positions of some axes of a nest in C order: f(offsets), one per operand.
template <class F>
void for_each_offset(const std::vector<const Nest::Axis*>& axes, const Nest::Offsets& offsets, F&& f) {
  if (axes.empty()) return f(offsets);
  const std::size_t operands = offsets.size();
  Nest::Offsets at(axes.size(), 0), now = offsets;
  for (const Nest::Axis* axis : axes)
    for (std::size_t i = 0; i < operands; ++i)
      if (axis->tables[i]) now[i] += axis->tables[i][0];
  for (;;) {
    f(static_cast<const Nest::Offsets&>(now));
    std::size_t a = axes.size();
    for (;;) {
      if (a == 0) return;
      --a;
      const Nest::Axis& axis = *axes[a];
      const Index from = at[a], to = from + 1 < axis.extent ? from + 1 : 0;
      for (std::size_t i = 0; i < operands; ++i)
        now[i] += axis.tables[i] ? axis.tables[i][to] - axis.tables[i][from] : axis.steps[i] * (to - from);
      at[a] = to;
      if (to != 0) break;
    }
  }
}

/// Runs an expression's program over rows, tile by tile.
class Evaluator {
 public:
  Evaluator(const Expression& expression, std::byte* workspace, const std::stop_token* stop)
      : expression_(expression), workspace_(workspace), stop_(stop) {
    std::byte* at = workspace + aligned(expression.program.workspace_bytes());
    for (std::size_t i = 0; i < expression.streams.size(); ++i, at += tile_size * 16)
      registers_.push_back(at);
    for (std::size_t i = 0; i < expression.outputs.size(); ++i, at += tile_size * 16)
      out_registers_.push_back(at);
    in_.resize(expression.streams.size());
    out_.resize(expression.program.outputs().size());
    expression.program.prepare(workspace);
  }
  std::byte* out_register(std::size_t output) const { return out_registers_[output]; }

  /// Computes n elements of a row. bases[i], steps[i], tables[i] describe stream i (for streams the program
  /// uses); to[k] receives program output k, contiguous, or null.
  void row(std::size_t n, const std::byte* const* bases, const Index* steps, const Index* const* tables,
           std::byte* const* to) {
    const TileProgram& program = expression_.program;
    for (std::size_t s = 0; s < n; s += tile_size) {
      if (stop_->stop_requested()) fail(Errc::cancelled, "evaluating an expression: cancelled");
      const std::size_t m = std::min(tile_size, n - s);
      for (std::size_t i = 0; i < in_.size(); ++i) {
        if (!program_uses(i)) continue;
        const std::size_t item = item_bytes_of(program.inputs()[i]);
        const Index* table = tables[i];
        const std::byte* from = bases[i] + (table ? 0 : static_cast<Index>(s) * steps[i]);
        if (!table && steps[i] == static_cast<Index>(item)) {
          in_[i] = from;
        } else {
          if (table || steps[i] != 0 || s == 0)
            gather(item, m, from, steps[i], table ? table + s : nullptr, registers_[i]);
          in_[i] = registers_[i];
        }
      }
      for (std::size_t k = 0; k < out_.size(); ++k)
        out_[k] = to[k] ? to[k] + s * item_bytes_of(program.outputs()[k]) : nullptr;
      program.run(m, in_.data(), out_.data(), workspace_);
    }
  }
  bool program_uses(std::size_t stream) const {
    return stream < expression_.program.input_count() && expression_.program.uses_input(stream);
  }

 private:
  const Expression& expression_;
  std::byte* workspace_;
  const std::stop_token* stop_;  // a user's kernel may take long
  std::vector<std::byte*> registers_, out_registers_;
  std::vector<const void*> in_;
  std::vector<void*> out_;
};

/// The current step as one group walks it. Leaves differ in where they begin and, at the edges, in their
/// extents; all else is found out once.
struct Task::Walk {
  std::vector<Access> streams;
  bool needs_index = false, tables = false;
  bool user_code = false;  // a fold may take long
  bool any_program = false;
  bool direct = true;                // every fold takes a stream as it is
  bool bundles = false;              // neighbouring leaves may be reduced side by side
  std::vector<std::size_t> room_of;  // folds that share an expression output share its values
  std::byte* room = nullptr;         // per fold, for gathered or computed values
  std::size_t room_bytes = 0;
  std::unique_ptr<Evaluator> evaluator;
  // The nest of the last leaf, for the next one of that shape.
  Shape shape;
  Nest nest;
  const Nest::Axis* inner = nullptr;  // the run, or the neighbouring columns; null: single elements
  std::vector<const Nest::Axis*> kept, reduced;
  const Nest::Axis* rows = nullptr;  // last reduced axis outside `inner`, when rows are walked
  bool contiguous = false;           // runs or columns lie in memory as the folds take them
  // Scratch.
  Nest::Offsets start, row_at, leaf_steps;
  std::vector<const std::byte*> bases, values;
  std::vector<Index> steps;
  std::vector<const Index*> inner_tables;
  std::vector<std::byte*> to, states, scratch;
  std::vector<bool> done;
};

// ---- StageRun
// -------------------------------------------------------------------------------------------------

MORSEL_INLINE StageRun::StageRun(const Plan& the_plan, const Stage& the_stage,
                                 const std::vector<Target>& the_targets,
                                 const std::vector<std::byte*>& the_results, Counters& the_counters)
    : plan(the_plan), stage(the_stage), targets(the_targets), results(the_results), counters(the_counters) {
  task = lay_out_task(stage, &targets, plan.results);
  std::size_t at = task.workspace_offset;
  workspace_offset.push_back(at);
  at += expression_workspace_bytes(stage.expression);
  for (const Port& port : stage.ports)
    for (const Expression& part : port.parts) {
      workspace_offset.push_back(at);
      at += expression_workspace_bytes(part);
    }
  for (const ReduceGroup& group : stage.groups) {
    reducers.emplace_back();
    finishers.emplace_back();
    for (const StageFold& fold : group.folds) {
      ReducerPtr reducer = fold.reducer;
      finishers.back().emplace_back();
      if (fold.bind) {
        std::vector<double> values;
        for (const int result : fold.parameters) {
          double value;  // 0-d results are never spilled
          std::memcpy(&value, result_view(result).data, sizeof value);
          values.push_back(value);
        }
        reducer = fold.bind(values);
        if (reducer->state_bytes() != fold.reducer->state_bytes())
          fail(Errc::internal_error,
               "binding " + reducer->name() + ": its states differ from the planned ones");
      }
      reducers.back().push_back(reducer);
      for (const Finish& finish : fold.finishes)
        finishers.back().back().push_back(fold.bind ? reducer : finish.reducer);
    }
  }
}

MORSEL_INLINE StageRun::~StageRun() {
  for (auto& [key, tree] : trees_)
    for (auto& [place, node] : tree.waiting) {
      destroy_states(key.first, node.states, tree.kept);
      ::operator delete (node.states, std::align_val_t{64});
    }
}

MORSEL_INLINE BufferView StageRun::result_view(int result) const {
  const Result& r = plan.results[static_cast<std::size_t>(result)];
  if (r.output >= 0)
    if (const auto* memory = std::get_if<MemoryTarget>(&targets[static_cast<std::size_t>(r.output)]))
      return memory->values;
  return BufferView::c_order(results[static_cast<std::size_t>(result)], r.shape, r.dtype.item_bytes());
}

MORSEL_INLINE Index StageRun::leaf_count(std::size_t group) const {
  Index n = 1;
  for (const int axis : stage.groups[group].axes)
    n *= stage.grid.axis(static_cast<std::size_t>(axis)).count();
  return n;
}

MORSEL_INLINE void StageRun::destroy_states(std::size_t group, std::byte* states, Index kept) const {
  for (const ReducerPtr& reducer : reducers[group]) {
    if (!reducer->is_trivial()) reducer->destroy(states, static_cast<std::size_t>(kept));
    states += aligned(static_cast<std::size_t>(kept) * reducer->state_bytes());
  }
}

MORSEL_INLINE void StageRun::merge_states(std::size_t group, std::byte* left, std::byte* right,
                                          Index kept) const {
  const std::size_t n = static_cast<std::size_t>(kept);
  for (std::size_t f = 0; f < reducers[group].size(); ++f) {
    const Reducer& reducer = *reducers[group][f];
    const std::size_t bytes = aligned(n * reducer.state_bytes());
    try {
      reducer.merge(left, right, n);
    } catch (...) {
      for (; f < reducers[group].size(); ++f) {
        reducers[group][f]->destroy(right, n);
        right += aligned(n * reducers[group][f]->state_bytes());
      }
      throw;
    }
    if (!reducer.is_trivial()) reducer.destroy(right, n);
    left += bytes;
    right += bytes;
  }
}

MORSEL_INLINE void StageRun::move_states(std::size_t group, std::byte* from, std::byte* to,
                                         Index kept) const {
  const std::size_t n = static_cast<std::size_t>(kept);
  std::byte* const begin = to;
  for (std::size_t f = 0; f < reducers[group].size(); ++f) {
    const Reducer& reducer = *reducers[group][f];
    const std::size_t bytes = aligned(n * reducer.state_bytes());
    try {
      reducer.relocate(to, from, n);
    } catch (...) {
      to = begin;
      for (std::size_t moved = 0; moved < f; ++moved) {
        reducers[group][moved]->destroy(to, n);
        to += aligned(n * reducers[group][moved]->state_bytes());
      }
      for (; f < reducers[group].size(); ++f) {
        reducers[group][f]->destroy(from, n);
        from += aligned(n * reducers[group][f]->state_bytes());
      }
      throw;
    }
    from += bytes;
    to += bytes;
  }
}

/// Memory of one set of states, and their lives.
class StageRun::States {
 public:
  States(const StageRun& run, std::size_t group, Index kept) : run_(run), group_(group), kept_(kept) {}
  States(const States&) = delete;
  States& operator=(const States&) = delete;
  ~States() {
    if (alive) run_.destroy_states(group_, memory, kept_);
    if (memory) ::operator delete (memory, std::align_val_t{64});
  }
  std::byte* memory = nullptr;
  bool alive = false;

 private:
  const StageRun& run_;
  std::size_t group_;
  Index kept_;
};

MORSEL_INLINE std::ptrdiff_t StageRun::put(std::size_t group, const Region& strip, Index strip_number,
                                           int level, Index index, std::byte* states, Index kept) {
  const std::size_t bytes = state_set_bytes(stage.groups[group], kept);
  const Index leaves = leaf_count(group);
  States node(*this, group, kept);
  try {
    node.memory = static_cast<std::byte*>(::operator new (bytes, std::align_val_t{64}));
  } catch (...) {
    destroy_states(group, states, kept);
    throw;
  }
  move_states(group, states, node.memory, kept);
  node.alive = true;
  std::ptrdiff_t change = static_cast<std::ptrdiff_t>(bytes);
  Index leaves_here = std::min(leaves, (index + 1) << level) - (index << level);
  Index elements = tracks_partials_ ? elements_of(group, index << level, leaves_here) : 0;
  std::unique_lock lock(mutex_);
  Tree& tree = trees_[{group, strip_number}];
  tree.kept = kept;
  for (;;) {
    const Index count = (leaves + (Index{1} << level) - 1) >> level;
    if (count == 1) break;
    if (index == count - 1 && !(index & 1)) {  // an odd one is promoted
      ++level;
      index >>= 1;
      continue;
    }
    const auto sibling = tree.waiting.find({level, index ^ 1});
    if (sibling == tree.waiting.end()) {
      tree.waiting[{level, index}] = {node.memory, leaves_here, elements};
      node.memory = nullptr;
      node.alive = false;
      return change;
    }
    States other(*this, group, kept);
    other.memory = sibling->second.states;
    other.alive = true;
    leaves_here += sibling->second.leaves;
    elements += sibling->second.elements;
    tree.waiting.erase(sibling);
    lock.unlock();  // large states merge side by side
    if (index & 1) std::swap(node.memory, other.memory);
    other.alive = false;  // merging ends the right ones' lives
    merge_states(group, node.memory, other.memory, kept);
    change -= static_cast<std::ptrdiff_t>(bytes);
    ++level;
    index >>= 1;
    lock.lock();
  }
  lock.unlock();
  finish_states(group, strip, node.memory, kept, nullptr);
  change -= static_cast<std::ptrdiff_t>(bytes);
  lock.lock();
  trees_.erase({group, strip_number});
  if (tracks_partials_) finished_strips_[group][static_cast<std::size_t>(strip_number)] = true;
  return change;
}

MORSEL_INLINE void StageRun::note_finished(std::size_t group, Index strip_number) {
  if (!tracks_partials_) return;
  const std::lock_guard lock(mutex_);
  finished_strips_[group][static_cast<std::size_t>(strip_number)] = true;
}

MORSEL_INLINE void StageRun::track_partials() {
  tracks_partials_ = true;
  for (const ReduceGroup& group : stage.groups)
    finished_strips_.emplace_back(static_cast<std::size_t>(units_along(stage, group, false)), false);
}

MORSEL_INLINE Index StageRun::elements_of(std::size_t group, Index first_leaf, Index leaves) const {
  const std::vector<int>& axes = stage.groups[group].axes;
  Index elements = 0;
  for (Index leaf = first_leaf; leaf < first_leaf + leaves; ++leaf) {
    Index rest = leaf, product = 1;
    for (std::size_t k = axes.size(); k-- > 0;) {
      const AxisGrid& grid = stage.grid.axis(static_cast<std::size_t>(axes[k]));
      product *= grid.length(rest % grid.count());
      rest /= grid.count();
    }
    elements += product;
  }
  return elements;
}

MORSEL_INLINE Region StageRun::strip_of(std::size_t group, Index number) const {
  Region strip = Region::of(stage.shape);
  for (std::size_t i = stage.shape.size(); i-- > 0;) {
    if (is_reduced(stage.groups[group], i)) continue;
    const AxisGrid& grid = stage.units.axis(i);
    strip.lo[i] = grid.begin(number % grid.count());
    strip.hi[i] = grid.end(number % grid.count());
    number /= grid.count();
  }
  return strip;
}

MORSEL_INLINE void StageRun::finish_states(std::size_t group_number, const Region& strip,
                                           const std::byte* states, Index kept, const Dims* leaf_position,
                                           const std::vector<BufferView>* snapshot, Index elements) {
  const ReduceGroup& group = stage.groups[group_number];
  Index count = 1;
  for (const int axis : group.axes) {
    const std::size_t a = static_cast<std::size_t>(axis);
    count *= leaf_position ? stage.grid.axis(a).length((*leaf_position)[a]) : stage.shape[a];
  }
  if (elements >= 0) count = elements;
  for (std::size_t f = 0; f < group.folds.size(); ++f) {
    const StageFold& fold = group.folds[f];
    const std::size_t state = reducers[group_number][f]->state_bytes();
    for (std::size_t k = 0; k < fold.finishes.size(); ++k) {
      const Reducer& reducer = *finishers[group_number][f][k];
      const Finish& finish = fold.finishes[k];
      const Result& result = plan.results[static_cast<std::size_t>(finish.result)];
      // A spilled result is written strip by strip.
      Region spilled = Region::of(result.shape);
      std::vector<std::uint64_t> waiting;
      BufferView to;
      if (snapshot) {
        to = (*snapshot)[static_cast<std::size_t>(finish.result)];
        if (!to.data) continue;
      } else if (result.spilled) {
        const bool whole_rank =
            result.shape.size() - (finish.raw ? 0 : reducer.result_shape().size()) == stage.shape.size();
        std::size_t axis = 0;
        for (std::size_t i = 0; i < stage.shape.size(); ++i) {
          if (is_reduced(group, i)) {
            if (whole_rank && leaf_position)
              spilled.lo[axis] = (*leaf_position)[i], spilled.hi[axis] = (*leaf_position)[i] + 1;
            axis += whole_rank ? 1 : 0;
            continue;
          }
          spilled.lo[axis] = strip.lo[i];
          spilled.hi[axis] = strip.hi[i];
          ++axis;
        }
        waiting.resize(static_cast<std::size_t>(spilled.size()) * result.dtype.item_bytes() / 8 + 1);
        to = BufferView::c_order(waiting.data(), spilled.shape(), result.dtype.item_bytes());
        for (std::size_t i = 0; i < to.strides.size(); ++i) to.data -= spilled.lo[i] * to.strides[i];
      } else {
        to = result_view(finish.result);
      }
      // The result's axes: kept ones in order, reduced ones gone, kept as 1 or numbered by chunk, then the
      // reducer's own.
      const std::size_t own = finish.raw ? 0 : reducer.result_shape().size();
      const std::size_t result_rank = to.shape.size() - own;
      const bool keeps_rank = result_rank == stage.shape.size();
      Index per = 1;
      for (std::size_t i = result_rank; i < to.shape.size(); ++i) per *= to.shape[i];
      std::vector<Index> steps;  // of the result, per kept axis
      std::vector<Index> extents;
      std::byte* base = to.data;
      std::size_t out = 0;
      for (std::size_t i = 0; i < stage.shape.size(); ++i) {
        if (is_reduced(group, i)) {
          if (keeps_rank) {
            if (leaf_position) base += to.strides[out] * (*leaf_position)[i];
            ++out;
          }
          continue;
        }
        base += to.strides[out] * strip.lo[i];
        steps.push_back(to.strides[out]);
        extents.push_back(strip.hi[i] - strip.lo[i]);
        ++out;
      }
      const Index item = static_cast<Index>(to.item_bytes);
      Index expected = item;
      bool inner_contiguous = true;
      for (std::size_t i = to.shape.size(); i-- > result_rank; expected *= to.shape[i])
        inner_contiguous &= to.strides[i] == expected || to.shape[i] == 1;
      Region rows{Dims(extents.size(), 0), Dims(extents.size())};
      for (std::size_t i = 0; i < extents.size(); ++i) rows.hi[i] = extents[i];
      const bool run = inner_contiguous && !extents.empty() && steps.back() == item * per;
      Index row = 1;
      if (run) {
        row = extents.back();
        rows.hi[extents.size() - 1] = 1;
      }
      std::vector<std::byte> room(inner_contiguous ? 0 : static_cast<std::size_t>(per * item));
      Index done = 0;
      for_each_position(rows, [&](const Dims& at) {
        std::byte* place = base;
        for (std::size_t i = 0; i < extents.size(); ++i) place += steps[i] * at[i];
        const std::byte* from = states + static_cast<std::size_t>(done) * state;
        std::byte* direct = inner_contiguous ? place : room.data();
        if (finish.raw)
          std::memcpy(direct, from, static_cast<std::size_t>(row) * state);
        else if (reinterpret_cast<std::uintptr_t>(direct) % 8 != 0) {
          // The caller's memory may be anywhere; kernels write aligned elements.
          const Index bytes = per * item, most = std::max<Index>(1, 4096 / bytes);
          std::vector<std::uint64_t> aligned_room(static_cast<std::size_t>(std::min(row, most) * bytes + 7) /
                                                  8);
          for (Index i = 0; i < row; i += most) {
            const Index n = std::min(most, row - i);
            reducer.finish(from + static_cast<std::size_t>(i) * state, static_cast<std::size_t>(n), count,
                           aligned_room.data());
            std::memcpy(direct + i * bytes, aligned_room.data(), static_cast<std::size_t>(n * bytes));
          }
        } else
          reducer.finish(from, static_cast<std::size_t>(row), count, direct);
        if (!inner_contiguous) {
          BufferView part{place, to.item_bytes, {}, {}};
          for (std::size_t i = result_rank; i < to.shape.size(); ++i) {
            part.shape.push_back(to.shape[i]);
            part.strides.push_back(to.strides[i]);
          }
          copy_elements(BufferView::c_order(room.data(), part.shape, to.item_bytes), part);
        }
        done += row;
      });
      if (result.spilled && !snapshot)
        result.spill->write(spilled,
                            BufferView::c_order(waiting.data(), spilled.shape(), result.dtype.item_bytes()));
    }
    states += aligned(static_cast<std::size_t>(kept) * state);
  }
}

MORSEL_INLINE std::size_t StageRun::partial_bytes() const {
  std::size_t bytes = 0;
  for (const ReduceGroup& group : stage.groups) {
    for (const StageFold& fold : group.folds)
      for (const Finish& finish : fold.finishes) {
        const Result& result = plan.results[static_cast<std::size_t>(finish.result)];
        if (result.output >= 0)
          bytes += static_cast<std::size_t>(size_of(result.shape)) * result.dtype.item_bytes() + 64;
      }
    bytes +=
        most_partial_nodes * state_set_bytes(group, kept_elements(stage, group, stage.units.chunk_shape()));
  }
  return bytes;
}

MORSEL_INLINE void StageRun::report_partials(const PartialCallback& callback) {
  for (std::size_t g = 0; g < stage.groups.size(); ++g) {
    const ReduceGroup& group = stage.groups[g];
    bool trivial = !group.per_chunk;
    for (const ReducerPtr& reducer : reducers[g])
      trivial &= reducer->is_trivial() && reducer->order() != MergeOrder::sequential;
    if (!trivial) continue;
    std::vector<std::vector<std::byte>> values(plan.results.size());
    std::vector<BufferView> snapshot(plan.results.size());
    for (const StageFold& fold : group.folds)
      for (const Finish& finish : fold.finishes) {
        const std::size_t r = static_cast<std::size_t>(finish.result);
        const Result& result = plan.results[r];
        if (result.output < 0 || finish.raw ||
            !std::holds_alternative<MemoryTarget>(targets[static_cast<std::size_t>(result.output)]))
          continue;
        values[r].assign(static_cast<std::size_t>(size_of(result.shape)) * result.dtype.item_bytes() + 16,
                         std::byte{0});
        snapshot[r] = BufferView::c_order(values[r].data(), result.shape, result.dtype.item_bytes());
      }
    // Copies of the states that wait, one strip after another; merging happens outside the lock.
    std::map<Index, Index> leaves_of;  // per strip
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [key, tree] : trees_)
        if (key.first == g) leaves_of[key.second] = 0;
    }
    for (auto& [number, leaves] : leaves_of) {
      std::vector<std::unique_ptr<States>> copies;
      Index kept = 1, elements = 0;
      {
        const std::lock_guard lock(mutex_);
        const auto it = trees_.find({g, number});
        if (it == trees_.end()) continue;  // finished meanwhile
        const Tree& tree = it->second;
        if (tree.waiting.size() > most_partial_nodes) continue;  // no memory was set aside for so many
        kept = tree.kept;
        const std::size_t bytes = state_set_bytes(group, kept);
        // In leaf order, whatever the level.
        std::vector<std::pair<Index, const std::byte*>> nodes;
        for (const auto& [place, node] : tree.waiting) {
          nodes.emplace_back(place.second << place.first, node.states);
          elements += node.elements;
          leaves += node.leaves;
        }
        std::sort(nodes.begin(), nodes.end());
        for (const auto& [first, states] : nodes) {
          copies.push_back(std::make_unique<States>(*this, g, kept));
          copies.back()->memory = static_cast<std::byte*>(::operator new (bytes, std::align_val_t{64}));
          std::memcpy(copies.back()->memory, states, bytes);
        }
      }
      if (copies.empty()) continue;
      for (std::size_t i = 1; i < copies.size(); ++i)
        merge_states(g, copies[0]->memory, copies[i]->memory, kept);
      for (std::size_t r = 0; r < snapshot.size(); ++r) {
        if (!snapshot[r].data) continue;
        std::vector<BufferView> one(snapshot.size());
        one[r] = snapshot[r];
        try {
          finish_states(g, strip_of(g, number), copies[0]->memory, kept, nullptr, &one, elements);
        } catch (const Error& error) {
          // What is there so far has no value (argmax of NaNs alone): nothing to show yet.
          if (error.code() != Errc::invalid_argument) throw;
        }
      }
    }
    // Taken last: a strip that has left the trees is among these.
    std::vector<bool> finished;
    {
      const std::lock_guard lock(mutex_);
      finished = finished_strips_[g];
    }
    Index done = 0;
    for (std::size_t strip = 0; strip < finished.size(); ++strip)
      if (finished[strip]) leaves_of[static_cast<Index>(strip)] = leaf_count(g);
    for (const auto& [number, leaves] : leaves_of) done += leaves;
    if (done == 0) continue;
    Index strips_total = units_along(stage, group, false);
    for (const StageFold& fold : group.folds)
      for (const Finish& finish : fold.finishes) {
        const std::size_t r = static_cast<std::size_t>(finish.result);
        if (!snapshot[r].data) continue;
        const BufferView target = result_view(finish.result);
        for (std::size_t number = 0; number < finished.size(); ++number) {
          if (!finished[number]) continue;
          const Region strip = strip_of(g, static_cast<Index>(number));
          Region place = Region::of(target.shape);
          const bool whole_rank =
              target.shape.size() - finish.reducer->result_shape().size() == stage.shape.size();
          std::size_t axis = 0;
          for (std::size_t i = 0; i < stage.shape.size(); ++i) {
            if (is_reduced(group, i)) {
              axis += whole_rank ? 1 : 0;
              continue;
            }
            place.lo[axis] = strip.lo[i];
            place.hi[axis] = strip.hi[i];
            ++axis;
          }
          const Region whole = Region::of(target.shape);
          copy_elements(target.part(whole, place), snapshot[r].part(whole, place));
        }
        callback({static_cast<std::size_t>(plan.results[r].output), done, leaf_count(g) * strips_total,
                  snapshot[r]});
      }
  }
}

MORSEL_INLINE void StageRun::finish_empty() {
  for (std::size_t g = 0; g < stage.groups.size(); ++g) {
    const ReduceGroup& group = stage.groups[g];
    const Shape whole = stage.shape;
    Region kept_box = Region::of(whole);
    bool any_reduced_empty = false;
    for (std::size_t i = 0; i < whole.size(); ++i)
      if (is_reduced(group, i)) any_reduced_empty |= whole[i] == 0;
    if (!any_reduced_empty || group.per_chunk) continue;
    // Row after row of the kept axes, so that memory stays small.
    Region rows = kept_box;
    Index row = 1;
    for (std::size_t i = 0; i < whole.size(); ++i)
      if (is_reduced(group, i)) rows.lo[i] = 0, rows.hi[i] = 1;
    if (rows.size() == 0) continue;
    for_each_position(rows, [&](const Dims& at) {
      Region strip{at, at};
      for (std::size_t i = 0; i < whole.size(); ++i) strip.hi[i] = at[i] + 1;
      std::vector<std::uint64_t> states(state_set_bytes(group, row) / 8 + 16);
      auto* place =
          reinterpret_cast<std::byte*>((reinterpret_cast<std::uintptr_t>(states.data()) + 63) / 64 * 64);
      std::size_t begun = 0;
      const auto end = [&] {
        std::byte* s = place;
        for (std::size_t f = 0; f < begun; s += aligned(reducers[g][f++]->state_bytes()))
          reducers[g][f]->destroy(s, 1);
      };
      try {
        std::byte* s = place;
        for (; begun < reducers[g].size(); s += aligned(reducers[g][begun++]->state_bytes()))
          reducers[g][begun]->init(s, 1);
        finish_states(g, strip, place, 1, nullptr);
      } catch (...) {
        end();
        throw;
      }
      end();
    });
  }
}

// ---- Task
// -----------------------------------------------------------------------------------------------------

/// A group's states inside a task: sets of states, those that hold nodes of the tree on a stack, the rest
/// free.
struct Task::GroupState {
  std::byte* memory = nullptr;
  std::size_t set_bytes = 0;
  Index kept = 1;  // output elements of this unit
  Region strip;    // the unit's box; kept axes matter
  Index strip_number = 0;
  std::vector<std::size_t> free;
  struct Entry {
    int level;
    Index index;
    std::size_t set;
  };
  std::vector<Entry> stack;
  std::size_t current = 0;  // set of the leaf under way
  bool in_leaf = false;
  std::vector<Index> begun;  // per fold: states of it that live
  std::vector<LeafRuns> runs;
  std::vector<LeafRows> rows;
  Dims kept_steps;   // state offset per axis of the driver
  Dims index_steps;  // flat position along the reduced axes
  std::byte* set(std::size_t k) const { return memory + k * set_bytes; }
};

MORSEL_INLINE Task::Task(StageRun& stage, std::byte* memory) : run_(stage), memory_(memory) {
  port_views_.resize(stage.stage.ports.size());
}
MORSEL_INLINE Task::~Task() {
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if (!groups_[g]) continue;
    for (const auto& entry : groups_[g]->stack)
      run_.destroy_states(g, groups_[g]->set(entry.set), groups_[g]->kept);
    if (groups_[g]->in_leaf) end_current(g);
  }
}

MORSEL_INLINE void Task::begin(Index place, const Region& unit, const Sweep* sweep, SharedWindow* window) {
  unit_number_ = place;
  sweep_ = sweep;
  window_ = window;
  unit_ = unit;
  const Stage& stage = run_.stage;
  steps_ = stage.steps.overlapping(unit);
  at_ = steps_.lo;
  fetched_ = 0;
  begun_ = false;
  holds_visit_ = false;
  groups_.clear();
  for (std::size_t g = 0; g < stage.groups.size(); ++g) {
    const ReduceGroup& group = stage.groups[g];
    auto state = std::make_unique<GroupState>();
    state->memory = memory_ + run_.task.group_offset[g];
    state->strip = unit;
    state->kept_steps = Dims(stage.shape.size(), 0);
    state->index_steps = Dims(stage.shape.size(), 0);
    Index flat = 1;
    for (std::size_t i = stage.shape.size(); i-- > 0;) {
      if (is_reduced(group, i)) {
        state->index_steps[i] = flat;
        flat *= stage.shape[i];
      } else {
        state->kept_steps[i] = state->kept;
        state->kept *= unit.hi[i] - unit.lo[i];
      }
    }
    state->set_bytes = state_set_bytes(group, state->kept);
    const std::size_t sets = 1 + carry_slots(leaves_per_unit(stage, group));
    for (std::size_t k = sets; k-- > 0;) state->free.push_back(k);
    Index strip_number = 0;
    for (std::size_t i = 0; i < stage.shape.size(); ++i)
      if (!is_reduced(group, i))
        strip_number = strip_number * stage.units.axis(i).count() + stage.units.axis(i).chunk_of(unit.lo[i]);
    state->strip_number = strip_number;
    state->begun.assign(run_.reducers[g].size(), 0);
    groups_.push_back(std::move(state));
    open_leaf_workspace(g);
  }
}

/// Leaf workspaces of a group as nothing has been absorbed yet.
MORSEL_INLINE void Task::open_leaf_workspace(std::size_t g) {
  GroupState& state = *groups_[g];
  state.runs.clear();
  state.rows.clear();
  std::byte* leaf = memory_ + run_.task.leaf_workspace_offset;
  for (const ReducerPtr& reducer : run_.reducers[g])
    if (run_.stage.groups[g].trailing) {
      state.runs.emplace_back(*reducer, leaf);
      leaf += aligned(LeafRuns::workspace_bytes(*reducer));
    } else {
      state.rows.emplace_back(*reducer, LeafRows::max_columns, leaf);
      leaf += aligned(LeafRows::workspace_bytes(*reducer, LeafRows::max_columns));
    }
}

/// One fetch; errors that may pass are tried again, twice, 50 ms and 100 ms later.
MORSEL_INLINE Fetched fetch_with_retry(const AnyChunkSource& source, const Dims& chunk, const Region& region,
                                       std::span<std::byte> room, FetchMode mode,
                                       const std::stop_token& stop) {
  for (int attempt = 0;; ++attempt) {
    try {
      return source.fetch(chunk, region, room, mode, stop);
    } catch (const Error& error) {
      if (!error.is_transient() || attempt == 2 || stop.stop_requested()) throw;
      std::this_thread::sleep_for(std::chrono::milliseconds(50 << attempt));
    }
  }
}

MORSEL_INLINE Task::Fetch Task::fetch(FetchMode mode, const std::stop_token& stop) {
  const Stage& stage = run_.stage;
  if (!begun_) {
    box_ = intersect(stage.steps.region(at_), unit_);
    layout_ = lay_out(stage, box_);
    if (run_.task.step_offset + layout_.total_bytes > stage.step_bytes)
      fail(Errc::internal_error, "running '" + stage.name + "': step " + to_string(box_) +
                                     " needs more memory than planned; expected at most " +
                                     std::to_string(stage.step_bytes) + ", got " +
                                     std::to_string(run_.task.step_offset + layout_.total_bytes));
    fetch_states_.assign(layout_.fetches.size(), Fetched::State::filled);
    shared_of_.assign(layout_.fetches.size(), -1);
    begun_ = true;
  }
  std::byte* step = memory_ + run_.task.step_offset;
  for (; fetched_ < layout_.fetches.size(); ++fetched_) {
    if (stop.stop_requested()) fail(Errc::cancelled, "reading for '" + stage.name + "': cancelled");
    FetchItem& f = layout_.fetches[fetched_];
    if (f.shared) {
      const Fetch got = fetch_shared(fetched_, mode, stop);
      if (got != Fetch::done) return got;
      continue;
    }
    const Port& port = stage.ports[static_cast<std::size_t>(f.port)];
    if (!port.source.spec().does_io) continue;
    const Fetched got = fetch_with_retry(port.source, f.chunk, f.region,
                                         {step + f.encoded_offset, f.encoded_bytes}, mode, stop);
    if (got.state == Fetched::State::would_block) return Fetch::would_block;
    fetch_states_[fetched_] = got.state;
    f.encoded_bytes = std::min(f.encoded_bytes, got.encoded_bytes);
    run_.counters.count(got);
  }
  return Fetch::done;
}

/// A shared chunk: the first task that gets here reads and decodes it for all.
MORSEL_INLINE Task::Fetch Task::fetch_shared(std::size_t number, FetchMode mode,
                                             const std::stop_token& stop) {
  const FetchItem& f = layout_.fetches[number];
  const Port& port = run_.stage.ports[static_cast<std::size_t>(f.port)];
  const std::string identity = port.source.identity();
  int found = -1;
  const std::size_t place = static_cast<std::size_t>(unit_number_);
  for (std::size_t k = sweep_->need_begin[place]; k < sweep_->need_begin[place + 1] && found < 0; ++k) {
    const SharedChunk& chunk = sweep_->chunks[static_cast<std::size_t>(sweep_->needs[k])];
    const Port& other =
        run_.plan.stages[static_cast<std::size_t>(chunk.stage)].ports[static_cast<std::size_t>(chunk.port)];
    if (chunk.chunk == f.chunk && other.source.identity() == identity && other.grid == port.grid)
      found = sweep_->needs[k];
  }
  if (found < 0) fail(Errc::internal_error, "reading a shared chunk: it is not in the plan");
  shared_of_[number] = found;
  const SharedChunk& chunk = sweep_->chunks[static_cast<std::size_t>(found)];
  SharedWindow::Entry& entry = window_->entries[static_cast<std::size_t>(found)];
  {
    const std::lock_guard lock(window_->mutex);
    if (entry.state == SharedWindow::State::ready) return Fetch::done;
    if (entry.state == SharedWindow::State::reading) {
      awaited_ = found;
      return Fetch::wait_for_chunk;
    }
    entry.state = SharedWindow::State::reading;
  }
  const auto leave = [&](SharedWindow::State state) {
    const std::lock_guard lock(window_->mutex);
    entry.state = state;
    read_shared = true;
  };
  try {
    const ArraySpec& spec = port.source.spec();
    const Dims at = chunk_at(spec.grid, chunk.region);
    const BufferView out = BufferView::c_order(entry.memory, chunk.region.shape(), port.dtype.item_bytes());
    const FetchCost cost = port.source.cost(at, chunk.region);
    std::byte* step = memory_ + run_.task.step_offset;
    const std::span<std::byte> scratch{step + layout_.scratch_offset, cost.scratch_bytes};
    std::span<std::byte> encoded{cost.in_place ? entry.memory : step + layout_.shared_offset,
                                 cost.encoded_bytes};
    Fetched::State state = Fetched::State::filled;
    if (spec.does_io) {
      const Fetched got = fetch_with_retry(port.source, at, chunk.region, encoded, mode, stop);
      if (got.state == Fetched::State::would_block) {
        leave(SharedWindow::State::absent);
        return Fetch::would_block;
      }
      state = got.state;
      encoded = encoded.first(std::min(encoded.size(), got.encoded_bytes));
      run_.counters.count(got);
    }
    if (state == Fetched::State::missing) {
      const std::vector<std::byte> zero(port.dtype.item_bytes());
      fill_elements(out, spec.fill.empty() ? zero.data() : spec.fill.data());
    } else {
      port.source.decode(at, chunk.region, encoded, out, scratch);
    }
    run_.counters.bytes_decoded.fetch_add(out.size_bytes(), std::memory_order_relaxed);
    leave(SharedWindow::State::ready);
  } catch (...) {
    leave(SharedWindow::State::absent);
    throw;
  }
  return Fetch::done;
}

MORSEL_INLINE bool Task::may_go_on() {
  const std::lock_guard lock(window_->mutex);
  return window_->entries[static_cast<std::size_t>(awaited_)].state != SharedWindow::State::reading;
}

MORSEL_INLINE void Task::decode(const std::stop_token& stop) {
  const Stage& stage = run_.stage;
  std::byte* step = memory_ + run_.task.step_offset;
  table_at_ = run_.task.step_offset + layout_.table_offset;
  for (std::size_t p = 0; p < stage.ports.size(); ++p) {
    const Port& port = stage.ports[p];
    const PortNeed& need = layout_.needs[p];
    if (!need.needed) continue;
    if (port.kind == Port::Kind::result) {
      port_views_[p] = run_.result_view(port.result);
    } else if (port.kind == Port::Kind::source && port.source.spec().lends) {
      port_views_[p] = port.source.lend(need.hull());
    } else if (layout_.port_offset[p] == StepLayout::npos) {
      // The part of the one shared chunk.
      for (std::size_t i = 0; i < layout_.fetches.size(); ++i)
        if (layout_.fetches[i].port == static_cast<int>(p)) {
          const SharedChunk& chunk = sweep_->chunks[static_cast<std::size_t>(shared_of_[i])];
          port_views_[p] =
              BufferView::c_order(window_->entries[static_cast<std::size_t>(shared_of_[i])].memory,
                                  chunk.region.shape(), port.dtype.item_bytes())
                  .part(chunk.region, layout_.fetches[i].region);
        }
    } else {
      port_views_[p] = BufferView::c_order(
          step + layout_.port_offset[p], port.kind == Port::Kind::source ? need.shape() : need.hull().shape(),
          port.dtype.item_bytes());
    }
  }
  for (std::size_t i = 0; i < layout_.fetches.size(); ++i) {
    if (stop.stop_requested()) return;
    const FetchItem& f = layout_.fetches[i];
    const std::size_t p = static_cast<std::size_t>(f.port);
    const Port& port = stage.ports[p];
    const PortNeed& need = layout_.needs[p];
    if (f.shared && layout_.port_offset[p] == StepLayout::npos) continue;
    Region place = f.region;
    for (std::size_t a = 0; a < place.lo.size(); ++a) {
      place.lo[a] = need.axes[a].locate(f.region.lo[a]);
      place.hi[a] = place.lo[a] + f.region.hi[a] - f.region.lo[a];
    }
    const BufferView out = port_views_[p].part(Region::of(port_views_[p].shape), place);
    if (f.shared) {
      const SharedChunk& chunk = sweep_->chunks[static_cast<std::size_t>(shared_of_[i])];
      copy_elements(BufferView::c_order(window_->entries[static_cast<std::size_t>(shared_of_[i])].memory,
                                        chunk.region.shape(), port.dtype.item_bytes())
                        .part(chunk.region, f.region),
                    out);
      continue;
    }
    if (fetch_states_[i] == Fetched::State::missing) {
      std::vector<std::byte> zero(port.dtype.item_bytes());
      const auto& fill = port.source.spec().fill;
      fill_elements(out, fill.empty() ? zero.data() : fill.data());
      continue;
    }
    const std::span<std::byte> encoded{step + f.encoded_offset, f.encoded_bytes};
    const std::span<std::byte> scratch{step + layout_.scratch_offset, f.scratch_bytes};
    if (f.in_place) {
      const BufferView values =
          BufferView::c_order(encoded.data(), f.region.shape(), port.dtype.item_bytes());
      port.source.decode(f.chunk, f.region, encoded, values, scratch);
      if (!f.placed) copy_elements(values, out);
    } else {
      port.source.decode(f.chunk, f.region, encoded, out, scratch);
    }
  }
  run_.counters.bytes_decoded.fetch_add(layout_.decoded_bytes, std::memory_order_relaxed);
}

MORSEL_INLINE Task::Access Task::access(const Port& port, std::size_t number, const View& view,
                                        const Region& box) {
  const BufferView& values = port_views_[number];
  const PortNeed& need = layout_.needs[number];
  const bool whole = port.kind == Port::Kind::result;
  Access access;
  access.base = values.data;
  access.item = port.dtype.item_bytes();
  access.strides = Dims(box.rank(), 0);
  access.tables.assign(box.rank(), nullptr);
  const auto locate = [&](std::size_t axis, Index position) {
    return whole ? position : need.axes[axis].locate(position);
  };
  const bool lent = port.kind == Port::Kind::source && port.source.spec().lends;
  for (std::size_t i = 0; i < view.maps.size(); ++i) {
    const AxisMap& map = view.maps[i];
    const Index stride = values.strides[i];
    if (map.kind == AxisMap::Kind::constant) {
      access.base += locate(i, map.offset) * stride;
      continue;
    }
    const std::size_t axis = static_cast<std::size_t>(map.axis);
    const bool affine = map.kind == AxisMap::Kind::affine && (whole || lent || need.axes[i].segments.empty());
    if (affine) {
      access.base += locate(i, map.offset + map.stride * box.lo[axis]) * stride;
      if (!access.tables[axis])
        access.strides[axis] += map.stride * stride;
      else
        fail(Errc::internal_error, "viewing a port: two maps drive one axis");
      continue;
    }
    const Index n = box.hi[axis] - box.lo[axis];
    const auto offset_of = [&](Index x) {
      const Index position = map.kind == AxisMap::Kind::gather
                                 ? (*map.indices)[static_cast<std::size_t>(box.lo[axis] + x)]
                                 : map.offset + map.stride * (box.lo[axis] + x);
      return locate(i, position) * stride;
    };
    if (n == 1) {  // loops leave out axes of extent 1, and their tables with them
      access.base += offset_of(0);
      continue;
    }
    // Byte offsets, one per position; room was planned.
    auto* table = reinterpret_cast<Index*>(memory_ + table_at_);
    table_at_ += aligned(static_cast<std::size_t>(n) * sizeof(Index));
    for (Index x = 0; x < n; ++x) table[x] = offset_of(x);
    access.tables[axis] = table;
  }
  return access;
}

MORSEL_INLINE void Task::run_expression(const Expression& expression, std::size_t workspace,
                                        const Region& box, const std::vector<BufferView>& outputs) {
  const Stage& stage = run_.stage;
  std::vector<Access> streams;
  for (const Stream& stream : expression.streams) {
    const std::size_t p = static_cast<std::size_t>(stream.port);
    streams.push_back(access(stage.ports[p], p, stream.view, box));
  }
  const Shape shape = box.shape();
  // Streams passed on: plain copies.
  for (std::size_t k = 0; k < expression.outputs.size(); ++k) {
    if (expression.outputs[k].stream < 0 || !outputs[k].data) continue;
    const Access& from = streams[static_cast<std::size_t>(expression.outputs[k].stream)];
    if (std::all_of(from.tables.begin(), from.tables.end(), [](const Index* t) { return !t; })) {
      BufferView view{const_cast<std::byte*>(from.base), from.item, shape, from.strides};
      copy_elements(view, outputs[k]);
      continue;
    }
    Nest nest;
    for (std::size_t a = 0; a < shape.size(); ++a)
      nest.add({shape[a], false, {from.strides[a], outputs[k].strides[a]}, {from.tables[a], nullptr}});
    std::vector<const Nest::Axis*> outer;
    for (std::size_t a = 0; a + 1 < nest.axes.size(); ++a) outer.push_back(&nest.axes[a]);
    const Nest::Axis* inner = nest.axes.empty() ? nullptr : &nest.axes.back();
    for_each_offset(outer, Nest::Offsets{0, 0}, [&](const Nest::Offsets& at) {
      const std::size_t n = inner ? static_cast<std::size_t>(inner->extent) : 1;
      for (std::size_t i = 0; i < n; ++i) {
        const Index x = static_cast<Index>(i);
        const Index source = !inner ? 0 : inner->tables[0] ? inner->tables[0][x] : inner->steps[0] * x;
        std::memcpy(outputs[k].data + at[1] + (inner ? inner->steps[1] * x : 0), from.base + at[0] + source,
                    from.item);
      }
    });
  }
  const std::size_t program_outputs = expression.program.outputs().size();
  if (program_outputs == 0) return;
  std::vector<const BufferView*> to(program_outputs, nullptr);
  std::vector<std::size_t> output_of(program_outputs, 0);
  bool wanted = false;
  for (std::size_t k = 0; k < expression.outputs.size(); ++k)
    if (expression.outputs[k].program_output >= 0 && outputs[k].data) {
      to[static_cast<std::size_t>(expression.outputs[k].program_output)] = &outputs[k];
      output_of[static_cast<std::size_t>(expression.outputs[k].program_output)] = k;
      wanted = true;
    }
  if (!wanted) return;
  Evaluator evaluator(expression, memory_ + workspace, &stop_);
  Nest nest;
  for (std::size_t a = 0; a < shape.size(); ++a) {
    Nest::Axis axis{shape[a], false, {}, {}};
    for (const Access& s : streams) axis.steps.push_back(s.strides[a]), axis.tables.push_back(s.tables[a]);
    for (const BufferView* view : to)
      axis.steps.push_back(view ? view->strides[a] : 0), axis.tables.push_back(nullptr);
    nest.add(std::move(axis));
  }
  std::vector<const Nest::Axis*> outer;
  for (std::size_t a = 0; a + 1 < nest.axes.size(); ++a) outer.push_back(&nest.axes[a]);
  const std::size_t s = streams.size();
  const std::size_t n = nest.axes.empty() ? 1 : static_cast<std::size_t>(nest.axes.back().extent);
  std::vector<const std::byte*> bases(s);
  std::vector<Index> steps(s, 0);
  std::vector<const Index*> tables(s, nullptr);
  std::vector<std::byte*> rows(program_outputs);
  if (!nest.axes.empty())
    for (std::size_t i = 0; i < s; ++i)
      steps[i] = nest.axes.back().steps[i], tables[i] = nest.axes.back().tables[i];
  bool direct = true;
  for (std::size_t k = 0; k < program_outputs; ++k)
    // Kernels write aligned elements; the caller's memory may be anywhere.
    direct &= !to[k] ||
              (to[k]->is_aligned(alignment_of(expression.program.outputs()[k])) &&
               (nest.axes.empty() || nest.axes.back().steps[s + k] == static_cast<Index>(to[k]->item_bytes)));
  for_each_offset(outer, Nest::Offsets(s + program_outputs, 0), [&](const Nest::Offsets& at) {
    for (std::size_t i = 0; i < s; ++i) bases[i] = streams[i].base + at[i];
    if (direct) {
      for (std::size_t k = 0; k < program_outputs; ++k) rows[k] = to[k] ? to[k]->data + at[s + k] : nullptr;
      evaluator.row(n, bases.data(), steps.data(), tables.data(), rows.data());
      return;
    }
    for (std::size_t begin = 0; begin < n; begin += tile_size) {
      const std::size_t m = std::min(tile_size, n - begin);
      std::vector<const std::byte*> shifted(bases);
      std::vector<const Index*> shifted_tables(tables);
      for (std::size_t i = 0; i < s; ++i) {
        if (tables[i])
          shifted_tables[i] += begin;
        else
          shifted[i] += static_cast<Index>(begin) * steps[i];
      }
      for (std::size_t k = 0; k < program_outputs; ++k)
        rows[k] = to[k] ? evaluator.out_register(output_of[k]) : nullptr;
      evaluator.row(m, shifted.data(), steps.data(), shifted_tables.data(), rows.data());
      for (std::size_t k = 0; k < program_outputs; ++k)
        if (to[k]) {
          const Index step = nest.axes.empty() ? 0 : nest.axes.back().steps[s + k];
          scatter(to[k]->item_bytes, m, rows[k], to[k]->data + at[s + k] + static_cast<Index>(begin) * step,
                  step);
        }
    }
  });
}

MORSEL_INLINE void Task::evaluate_ports() {
  const Stage& stage = run_.stage;
  std::size_t part_number = 1;
  for (std::size_t p = 0; p < stage.ports.size(); ++p) {
    const Port& port = stage.ports[p];
    const std::size_t first = part_number;
    part_number += port.parts.size();
    if (!layout_.needs[p].needed || port.parts.empty()) continue;
    const Region hull = layout_.needs[p].hull();
    if (port.kind == Port::Kind::expression) {
      run_expression(port.parts[0], run_.workspace_offset[first], hull, {port_views_[p]});
    } else if (port.kind == Port::Kind::concat) {
      const std::size_t axis = static_cast<std::size_t>(port.axis);
      for (std::size_t k = 0; k < port.parts.size(); ++k) {
        Region part = hull;
        part.lo[axis] = std::max(hull.lo[axis], port.begins[k]);
        part.hi[axis] = std::min(hull.hi[axis], port.begins[k + 1]);
        if (part.hi[axis] <= part.lo[axis]) continue;
        const BufferView place = port_views_[p].part(hull, part);
        part.lo[axis] -= port.begins[k];
        part.hi[axis] -= port.begins[k];
        run_expression(port.parts[k], run_.workspace_offset[first + k], part, {place});
      }
    } else {
      std::vector<BufferView> inputs;
      std::byte* at = port_views_[p].data + aligned(port_views_[p].size_bytes());
      for (std::size_t k = 0; k < port.parts.size(); ++k) {
        inputs.push_back(BufferView::c_order(at, hull.shape(), port.parts[k].outputs[0].dtype.item_bytes()));
        at += aligned(inputs.back().size_bytes());
        run_expression(port.parts[k], run_.workspace_offset[first + k], hull, {inputs.back()});
      }
      ChunkInfo info;
      info.region = hull;
      info.position = port.grid.overlapping(hull).lo;
      info.number = port.grid.number(info.position);
      info.count = port.grid.count();
      try {
        port.call->function(info, inputs, port_views_[p]);
      } catch (...) {
        rethrow_user_error("computing chunk " + to_string(info.position) + " of '" + port.name + "'");
      }
    }
  }
}

MORSEL_INLINE void Task::store_outputs() {
  const Stage& stage = run_.stage;
  if (stage.stores.empty()) return;
  std::vector<BufferView> outputs(stage.expression.outputs.size());
  std::vector<const ResultStore*> first(outputs.size(), nullptr);
  for (std::size_t i = 0; i < stage.stores.size(); ++i) {
    const ResultStore& store = stage.stores[i];
    const std::size_t k = static_cast<std::size_t>(store.output);
    const Result& result = run_.plan.results[static_cast<std::size_t>(store.result)];
    const bool to_memory =
        result.output < 0
            ? !result.spilled
            : std::holds_alternative<MemoryTarget>(run_.targets[static_cast<std::size_t>(result.output)]);
    BufferView place = to_memory ? run_.result_view(store.result).part(Region::of(stage.shape), box_)
                                 : BufferView::c_order(memory_ + run_.task.store_offset[i], box_.shape(),
                                                       result.dtype.item_bytes());
    if (!first[k]) {
      first[k] = &store;
      outputs[k] = place;
    }
  }
  run_expression(stage.expression, run_.workspace_offset[0], box_, outputs);
  for (std::size_t i = 0; i < stage.stores.size(); ++i) {
    const ResultStore& store = stage.stores[i];
    const std::size_t k = static_cast<std::size_t>(store.output);
    const Result& result = run_.plan.results[static_cast<std::size_t>(store.result)];
    const Target* target =
        result.output < 0 ? nullptr : &run_.targets[static_cast<std::size_t>(result.output)];
    if (target ? std::holds_alternative<MemoryTarget>(*target) : !result.spilled) {
      if (first[k] != &store)
        copy_elements(outputs[k], run_.result_view(store.result).part(Region::of(stage.shape), box_));
    } else {
      const BufferView place =
          BufferView::c_order(memory_ + run_.task.store_offset[i], box_.shape(), result.dtype.item_bytes());
      if (first[k] != &store) copy_elements(outputs[k], place);
      if (!target) continue;
      if (const auto* visitor = std::get_if<VisitTarget>(target); visitor && visitor->ordered)
        holds_visit_ = true;
    }
  }
  if (!holds_visit_) deliver();
}

MORSEL_INLINE void Task::deliver() {
  const Stage& stage = run_.stage;
  for (std::size_t i = 0; i < stage.stores.size(); ++i) {
    const ResultStore& store = stage.stores[i];
    const Result& result = run_.plan.results[static_cast<std::size_t>(store.result)];
    if (result.output < 0) {
      if (result.spilled)
        result.spill->write(box_, BufferView::c_order(memory_ + run_.task.store_offset[i], box_.shape(),
                                                      result.dtype.item_bytes()));
      continue;
    }
    const Target& target = run_.targets[static_cast<std::size_t>(result.output)];
    if (std::holds_alternative<MemoryTarget>(target)) continue;
    const BufferView place =
        BufferView::c_order(memory_ + run_.task.store_offset[i], box_.shape(), result.dtype.item_bytes());
    if (const auto* visitor = std::get_if<VisitTarget>(&target)) {
      visitor->visit(box_, place);
    } else {
      AnyChunkSink sink = std::get<SinkTarget>(target).sink;
      std::byte* scratch = place.data + aligned(place.size_bytes());
      sink.write(box_, place, {scratch, sink.scratch_bytes(box_)}, {});
    }
  }
  holds_visit_ = false;
}

MORSEL_INLINE bool Task::compute(const std::stop_token& stop) {
  stop_ = stop;
  decode(stop);
  if (stop.stop_requested()) fail(Errc::cancelled, "running '" + run_.stage.name + "': cancelled");
  try {
    evaluate_ports();
    store_outputs();
    reduce_step();
  } catch (...) {
    rethrow_user_error("computing '" + run_.stage.name + "' at " + to_string(box_));
  }
  for (std::size_t p = 0; p < run_.stage.ports.size(); ++p)
    if (run_.stage.ports[p].kind == Port::Kind::source && layout_.needs[p].needed)
      run_.stage.ports[p].source.release(layout_.needs[p].hull());
  begun_ = false;
  fetched_ = 0;
  std::size_t a = at_.size();
  for (;;) {
    if (a == 0) return false;
    --a;
    if (++at_[a] < steps_.hi[a]) return true;
    at_[a] = steps_.lo[a];
  }
}

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
      if (!state.in_leaf) {
        if (state.free.empty()) fail(Errc::internal_error, "reducing: more states than planned");
        state.current = state.free.back();
        state.free.pop_back();
        state.in_leaf = true;
        std::fill(state.begun.begin(), state.begun.end(), 0);
      }
      int level = 0;
      if (walk.bundles && part == leaf && (level = bundle_level(g, walk, at, chunks, part, number)) > 0) {
        place_walk(g, walk, part, state.set(state.current));
        reduce_leaves(g, walk, Index{1} << level);
        bundled = (Index{1} << level) - 1;
        end_leaves(g, level, number >> level);
        return;
      }
      reduce_box(g, walk, part, leaf, state.set(state.current));
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
    const std::size_t p = static_cast<std::size_t>(stream.port);
    walk.streams.push_back(access(stage.ports[p], p, stream.view, box_));
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
    walk.evaluator = std::make_unique<Evaluator>(expression, memory_ + run_.workspace_offset[0], &stop_);
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
