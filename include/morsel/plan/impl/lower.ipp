#pragma once

#include <algorithm>
#include <bit>
#include <morsel/base/bytes.hpp>
#include <morsel/plan/cost.hpp>
#include <morsel/plan/form.hpp>
#include <morsel/plan/impl/cut.ipp>
#include <morsel/plan/impl/predict.ipp>
#include <morsel/plan/impl/targets.ipp>
#include <morsel/plan/lower.hpp>
#include <morsel/plan/sweep.hpp>
#include <optional>
#include <set>
#include <utility>

namespace morsel::inline MORSEL_ABI {
namespace detail {

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

/// Arrays whose chunks are cut that are noted one by one.
inline constexpr std::size_t most_noted = 8;

MORSEL_INLINE void cut_stage(Stage& stage, Cutter& cutter, std::size_t wish,
                             const std::vector<Target>& targets, const std::vector<Result>& results,
                             const std::stop_token& stop) {
  cutter.cut(wish);
  size_stage(stage, targets, results, stop);
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
  std::size_t held = cost::run_bytes;  // by the run, and by sources and sinks themselves
  for (const PlannedSource& source : plan.sources) held += source.source.spec().held_bytes;
  for (const Target& target : targets)
    if (const auto* sink = std::get_if<SinkTarget>(&target)) held += sink->sink.spec().held_bytes;
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
  std::set<int> cut_data;  // several ports may read one source
  for (const Stage& stage : plan.stages)
    for (const Port& port : stage.ports) {
      if (!port.shared || port.result >= 0 || port.source.spec().reads_regions) continue;
      if (!cut_data.insert(port.data).second || cut_data.size() > most_noted) continue;
      plan.notes.push_back("chunks_cut: the work cuts through the native chunks of " + port.name + ", " +
                           to_string(port.grid.chunk_shape()) +
                           "; they are kept for their other parts while there is room, whole multiples of "
                           "them need less memory");
    }
  if (cut_data.size() > most_noted)
    plan.notes.push_back("chunks_cut: and of " + std::to_string(cut_data.size() - most_noted) +
                         " more arrays");
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
