#pragma once

#include <algorithm>
#include <array>
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

MORSEL_INLINE Task::Task(StageRun& stage, std::byte* memory) : run_(stage), memory_(memory) {}
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
    written_before_ = is_written();
    layout_ = written_before_ ? StepLayout() : lay_out(stage, box_);
    if (run_.task.step_offset + layout_.total_bytes > stage.step_bytes)
      fail(Errc::internal_error, "running '" + stage.name + "': step " + to_string(box_) +
                                     " needs more memory than planned; expected at most " +
                                     std::to_string(stage.step_bytes) + ", got " +
                                     std::to_string(run_.task.step_offset + layout_.total_bytes));
    fetch_states_.assign(layout_.fetches.size(), Fetched::State::filled);
    shared_of_.assign(layout_.fetches.size(), -1);
    if (!written_before_) open_ports();
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
    if (!f.at_once) continue;
    if (got.state == Fetched::State::missing)
      fill_absent(fetched_);
    else
      decode_fetched(f);
  }
  return Fetch::done;
}

/// A shared chunk: the first task that gets here reads and decodes it for all.
MORSEL_INLINE Task::Fetch Task::fetch_shared(std::size_t number, FetchMode mode,
                                             const std::stop_token& stop) {
  const FetchItem& f = layout_.fetches[number];
  const Port& port = run_.stage.ports[static_cast<std::size_t>(f.port)];
  int found = -1;
  const std::size_t place = static_cast<std::size_t>(unit_number_);
  for (std::size_t k = sweep_->need_begin[place]; k < sweep_->need_begin[place + 1] && found < 0; ++k) {
    const SharedChunk& chunk = sweep_->chunks[static_cast<std::size_t>(sweep_->needs[k])];
    const Port& other =
        run_.plan.stages[static_cast<std::size_t>(chunk.stage)].ports[static_cast<std::size_t>(chunk.port)];
    if (chunk.chunk == f.chunk && other.data == port.data && other.grid == port.grid)
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

/// Where the elements of a port will stand when the step is decoded; ports of one shared chunk come later.
MORSEL_INLINE void Task::open_ports() {
  const Stage& stage = run_.stage;
  std::byte* step = memory_ + run_.task.step_offset;
  views_.assign(layout_.needs.size(), BufferView());
  for (std::size_t n = 0; n < views_.size(); ++n) {
    const PortNeed& need = layout_.needs[n];
    const Port& port = stage.ports[static_cast<std::size_t>(need.port)];
    if (port.kind == Port::Kind::result) {
      views_[n] = run_.result_view(port.result);
    } else if (port.kind == Port::Kind::source && port.source.spec().lends) {
      views_[n] = port.source.lend(need.hull());
    } else if (need.offset == PortNeed::in_store) {
      views_[n] = place_of_store(static_cast<std::size_t>(port.into_store));
    } else if (need.offset != PortNeed::npos) {
      views_[n] = BufferView::c_order(step + need.offset,
                                      port.kind == Port::Kind::source ? need.shape() : need.hull().shape(),
                                      port.dtype.item_bytes());
    }
  }
}

MORSEL_INLINE void Task::decode_fetched(const FetchItem& f) {
  const Port& port = run_.stage.ports[static_cast<std::size_t>(f.port)];
  std::byte* step = memory_ + run_.task.step_offset;
  const BufferView out = place_of(f);
  const std::span<std::byte> encoded{step + f.encoded_offset, f.encoded_bytes};
  const std::span<std::byte> scratch{step + layout_.scratch_offset, f.scratch_bytes};
  if (f.in_place) {
    const BufferView values = BufferView::c_order(encoded.data(), f.region.shape(), port.dtype.item_bytes());
    port.source.decode(f.chunk, f.region, encoded, values, scratch);
    if (!f.placed) copy_elements(values, out);
  } else {
    port.source.decode(f.chunk, f.region, encoded, out, scratch);
  }
}

MORSEL_INLINE void Task::decode(const std::stop_token& stop) {
  const Stage& stage = run_.stage;
  table_at_ = run_.task.step_offset + layout_.table_offset;
  for (std::size_t i = 0; i < layout_.fetches.size(); ++i) {
    // The part of the one shared chunk.
    const FetchItem& f = layout_.fetches[i];
    if (!f.shared || layout_.needs[f.need].offset != PortNeed::npos) continue;
    const SharedChunk& chunk = sweep_->chunks[static_cast<std::size_t>(shared_of_[i])];
    views_[f.need] = BufferView::c_order(window_->entries[static_cast<std::size_t>(shared_of_[i])].memory,
                                         chunk.region.shape(),
                                         stage.ports[static_cast<std::size_t>(f.port)].dtype.item_bytes())
                         .part(chunk.region, f.region);
  }
  // Reductions take chunks that are not there as one value, so that no memory is filled.
  const bool may_stay_absent = stage.stores.empty() && run_.reads_sources_alone;
  absent_ = false;
  for (std::size_t i = 0; i < layout_.fetches.size(); ++i) {
    if (stop.stop_requested()) return;
    const FetchItem& f = layout_.fetches[i];
    const Port& port = stage.ports[static_cast<std::size_t>(f.port)];
    if (f.shared && layout_.needs[f.need].offset == PortNeed::npos) continue;
    if (f.at_once) continue;
    if (f.shared) {
      const SharedChunk& chunk = sweep_->chunks[static_cast<std::size_t>(shared_of_[i])];
      copy_elements(BufferView::c_order(window_->entries[static_cast<std::size_t>(shared_of_[i])].memory,
                                        chunk.region.shape(), port.dtype.item_bytes())
                        .part(chunk.region, f.region),
                    place_of(f));
      continue;
    }
    if (fetch_states_[i] == Fetched::State::missing) {
      absent_ = may_stay_absent;
      if (!may_stay_absent) fill_absent(i);
      continue;
    }
    decode_fetched(f);
  }
  run_.counters.bytes_decoded.fetch_add(layout_.decoded_bytes, std::memory_order_relaxed);
}

/// Where the elements of a fetch belong in the port's array.
MORSEL_INLINE BufferView Task::place_of(const FetchItem& f) const {
  const PortNeed& need = layout_.needs[f.need];
  Region place = f.region;
  for (std::size_t a = 0; a < place.lo.size(); ++a) {
    place.lo[a] = need.axes[a].locate(f.region.lo[a]);
    place.hi[a] = place.lo[a] + f.region.hi[a] - f.region.lo[a];
  }
  return views_[f.need].part(Region::of(views_[f.need].shape), place);
}

/// The value of chunks that are not there: one element.
MORSEL_INLINE const std::byte* Task::fill_of(const Port& port) {
  alignas(16) static constexpr std::array<std::byte, 16> zero{};
  const std::vector<std::byte>& fill = port.source.spec().fill;
  if (!fill.empty()) return fill.data();
  if (port.dtype.item_bytes() <= zero.size()) return zero.data();
  long_zero_.assign(port.dtype.item_bytes(), std::byte{0});
  return long_zero_.data();
}

MORSEL_INLINE void Task::fill_absent(std::size_t fetch) {
  const FetchItem& f = layout_.fetches[fetch];
  fill_elements(place_of(f), fill_of(run_.stage.ports[static_cast<std::size_t>(f.port)]));
  fetch_states_[fetch] = Fetched::State::filled;
}

MORSEL_INLINE Task::Access Task::access(const Stream& stream, const Region& box) {
  const Port& port = run_.stage.ports[static_cast<std::size_t>(stream.port)];
  const View& view = stream.view;
  const std::size_t number = layout_.find(static_cast<std::size_t>(stream.port));
  const BufferView& values = views_[number];
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
  std::vector<Access> streams;
  for (const Stream& stream : expression.streams) streams.push_back(access(stream, box));
  const Shape shape = box.shape();
  // Streams passed on: plain copies.
  for (std::size_t k = 0; k < expression.outputs.size(); ++k) {
    if (expression.outputs[k].stream < 0 || !outputs[k].data) continue;
    const Access& from = streams[static_cast<std::size_t>(expression.outputs[k].stream)];
    if (std::all_of(from.tables.begin(), from.tables.end(), [](const Index* t) { return !t; })) {
      BufferView view{const_cast<std::byte*>(from.base), from.item, shape, from.strides};
      if (view.data != outputs[k].data) copy_elements(view, outputs[k]);  // else it was decoded there
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
  const std::size_t workspace = run_.task.nested_workspace_offset;
  for (std::size_t n = 0; n < views_.size(); ++n) {
    const PortNeed& need = layout_.needs[n];
    const Port& port = stage.ports[static_cast<std::size_t>(need.port)];
    if (port.parts.empty()) continue;
    const Region hull = need.hull();
    if (port.kind == Port::Kind::expression) {
      run_expression(port.parts[0], workspace, hull, {views_[n]});
    } else if (port.kind == Port::Kind::concat) {
      for_each_joined(port, hull, [&](std::size_t k, const Region& place, const Region& part) {
        run_expression(port.parts[k], workspace, part, {views_[n].part(hull, place)});
      });
    } else {
      std::vector<BufferView> inputs;
      std::byte* at = views_[n].data + aligned(views_[n].size_bytes());
      for (std::size_t k = 0; k < port.parts.size(); ++k) {
        inputs.push_back(BufferView::c_order(at, hull.shape(), port.parts[k].outputs[0].dtype.item_bytes()));
        at += aligned(inputs.back().size_bytes());
        run_expression(port.parts[k], workspace, hull, {inputs.back()});
      }
      ChunkInfo info;
      info.region = hull;
      info.position = port.grid.overlapping(hull).lo;
      info.number = port.grid.number(info.position);
      info.count = port.grid.count();
      try {
        port.call->function(info, inputs, views_[n]);
      } catch (...) {
        rethrow_user_error("computing chunk " + to_string(info.position) + " of '" + port.name + "'");
      }
    }
  }
}

/// Where a store wants the elements of the step: in the caller's memory, or in the task's.
MORSEL_INLINE BufferView Task::place_of_store(std::size_t number) const {
  const Stage& stage = run_.stage;
  const ResultStore& store = stage.stores[number];
  const Result& result = run_.plan.results[static_cast<std::size_t>(store.result)];
  const bool to_memory =
      result.output < 0
          ? !result.spilled
          : std::holds_alternative<MemoryTarget>(run_.targets[static_cast<std::size_t>(result.output)]);
  if (to_memory) return run_.result_view(store.result).part(Region::of(stage.shape), box_);
  return BufferView::c_order(memory_ + run_.task.store_offset[number], box_.shape(),
                             result.dtype.item_bytes());
}

MORSEL_INLINE void Task::store_outputs() {
  const Stage& stage = run_.stage;
  if (stage.stores.empty()) return;
  std::vector<BufferView> outputs(stage.expression.outputs.size());
  std::vector<const ResultStore*> first(outputs.size(), nullptr);
  for (std::size_t i = 0; i < stage.stores.size(); ++i) {
    const ResultStore& store = stage.stores[i];
    const std::size_t k = static_cast<std::size_t>(store.output);
    if (!first[k]) {
      first[k] = &store;
      outputs[k] = place_of_store(i);
    }
  }
  run_expression(stage.expression, run_.task.workspace_offset, box_, outputs);
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

/// Gives a sink the values of the step, one declared chunk after another where several are joined.
MORSEL_INLINE void Task::write_chunks(AnyChunkSink sink, const BufferView& values) {
  const Stage& stage = run_.stage;
  std::byte* scratch = values.data + aligned(values.size_bytes());
  const Shape part = written_part(stage, box_.shape());
  if (part == box_.shape()) {
    sink.write(box_, values, {scratch, sink.scratch_bytes(box_)}, {});
    return;
  }
  for_each_position(stage.grid.overlapping(box_), [&](const Dims& chunk) {
    const Region region = intersect(stage.grid.region(chunk), box_);
    if (sink.has(region)) return;
    BufferView chunk_values = values.part(box_, region);
    std::byte* rest = scratch;
    if (!chunk_values.is_c_order()) {
      const BufferView copy = BufferView::c_order(scratch, region.shape(), values.item_bytes);
      copy_elements(chunk_values, copy);
      chunk_values = copy;
      rest += aligned(copy.size_bytes());
    }
    sink.write(region, chunk_values, {rest, sink.scratch_bytes(region)}, {});
  });
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
      write_chunks(std::get<SinkTarget>(target).sink, place);
    }
  }
  holds_visit_ = false;
}

MORSEL_INLINE bool Task::compute(const std::stop_token& stop) {
  stop_ = stop;
  if (written_before_) return next_step();
  decode(stop);
  if (stop.stop_requested()) fail(Errc::cancelled, "running '" + run_.stage.name + "': cancelled");
  try {
    evaluate_ports();
    store_outputs();
    reduce_step();
  } catch (...) {
    rethrow_user_error("computing '" + run_.stage.name + "' at " + to_string(box_));
  }
  for (const PortNeed& need : layout_.needs)
    if (const Port& port = run_.stage.ports[static_cast<std::size_t>(need.port)];
        port.kind == Port::Kind::source)
      port.source.release(need.hull());
  return next_step();
}

/// True if all that the step would make stands in its sinks already.
MORSEL_INLINE bool Task::is_written() const {
  const Stage& stage = run_.stage;
  if (stage.stores.empty() || !stage.groups.empty()) return false;
  for (const ResultStore& store : stage.stores) {
    const int output = run_.plan.results[static_cast<std::size_t>(store.result)].output;
    const auto* sink =
        output < 0 ? nullptr : std::get_if<SinkTarget>(&run_.targets[static_cast<std::size_t>(output)]);
    if (!sink) return false;
    bool has_all = true;
    if (written_part(stage, box_.shape()) == box_.shape())
      has_all = sink->sink.has(box_);
    else
      for_each_position(stage.grid.overlapping(box_), [&](const Dims& chunk) {
        has_all = has_all && sink->sink.has(intersect(stage.grid.region(chunk), box_));
      });
    if (!has_all) return false;
  }
  return true;
}

/// Goes to the next step; false: there is none.
MORSEL_INLINE bool Task::next_step() {
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

}  // namespace morsel::inline MORSEL_ABI::detail

// The rest of it, which needs what is above.
// clang-format off
#include <morsel/exec/impl/stage_run.ipp>
#include <morsel/exec/impl/reduce_step.ipp>
// clang-format on
