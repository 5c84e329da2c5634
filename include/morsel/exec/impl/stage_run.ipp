// Part of perform.ipp: what the tasks of a stage share, and the trees of their states.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <morsel/exec/perform.hpp>

namespace morsel::inline MORSEL_ABI::detail {

MORSEL_INLINE StageRun::StageRun(const Plan& the_plan, const Stage& the_stage,
                                 const std::vector<Target>& the_targets,
                                 const std::vector<std::byte*>& the_results, Counters& the_counters)
    : plan(the_plan), stage(the_stage), targets(the_targets), results(the_results), counters(the_counters) {
  task = lay_out_task(stage, &targets, plan.results);
  for (const Port& port : stage.ports) reads_sources_alone &= port.kind == Port::Kind::source;
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

}  // namespace morsel::inline MORSEL_ABI::detail
