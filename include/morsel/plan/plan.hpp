// In what order, with how much memory: the finished decision, before any data is read.
#pragma once

#include <morsel/plan/stage.hpp>
#include <morsel/plan/target.hpp>

namespace morsel::inline MORSEL_ABI {

/// What a plan may use.
struct Limits {
  std::size_t memory_bytes = 0;
  int threads = 1;
  bool fuse = true;   ///< one program per elementwise region of the graph
  bool share = true;  ///< folds with equal states share them, equal subexpressions are computed once
  bool super_instructions = true;
  bool predict = true;  ///< fill requests and bytes of the prediction; a run does without
};

/// A source of the plan and its version when the graph was made.
struct PlannedSource {
  AnyChunkSource source;
  std::string version;
};

/// What a run will read, known before it starts. Requests and decoded bytes are exact, encoded bytes a bound.
struct Prediction {
  bool exact = true;  ///< false: a stage has more than cost::predicted_steps steps, some stand for all
  Index requests = 0;
  Index chunks = 0;  ///< source chunks touched, counted once per pass
  std::size_t decoded_bytes = 0;
  std::size_t encoded_bytes = 0;
  std::size_t source_bytes = 0;  ///< of the whole arrays behind the sources
};

/// A source chunk that several tasks need: read once, kept until the last of them is done.
struct SharedChunk {
  int stage = 0, port = 0;  ///< one of the ports that read it
  Dims chunk;
  Region region;          ///< the part that is needed
  std::size_t bytes = 0;  ///< of its elements
  Index uses = 0;         ///< tasks that need it
  Index first = 0;        ///< place of the first of them in the order
};

/// Stages that run side by side: one, or several that share reads.
struct Sweep {
  std::vector<int> stages;
  struct Unit {
    std::int32_t stage = 0;  ///< index into `stages`
    Index number = 0;
  };
  std::vector<Unit> order;  ///< tasks in booking order; empty: all units of the only stage
  std::vector<SharedChunk> chunks;
  std::vector<std::size_t> need_begin;  ///< task i needs chunks needs[need_begin[i] .. need_begin[i + 1])
  std::vector<std::int32_t> needs;
  std::size_t task_bytes = 0;    ///< memory of a task
  std::size_t shared_bytes = 0;  ///< most that shared chunks hold when tasks run one after another
  std::size_t graph_bytes = 0;   ///< of this description
};

struct PassTime {
  std::string name;
  double seconds = 0;
  bool skipped = false;
};

struct Plan {
  std::vector<Stage> stages;    ///< in order of passes
  std::vector<Sweep> sweeps;    ///< in running order
  std::vector<Result> results;  ///< the caller's outputs first
  std::vector<PlannedSource> sources;
  int passes = 1;
  int threads = 1;  ///< that run; fewer than asked for if memory is short
  std::size_t budget_bytes = 0;
  std::size_t fixed_bytes = 0;     ///< per thread and per plan, held throughout
  std::size_t peak_bytes = 0;      ///< of the ledger when tasks run one after another
  std::size_t ideal_bytes = 0;     ///< with which all threads and reads overlap fully
  std::size_t smallest_bytes = 0;  ///< smallest budget that any plan for this graph can do with
  std::size_t result_bytes = 0;    ///< handed to the caller, outside the budget
  Prediction prediction;
  std::vector<PassTime> pass_times;
  std::vector<std::string>
      notes;  ///< what the planner wants the reader to know: re-reads, spills, fewer threads
};

/// How explain shows it.
std::string to_text(const Plan& plan);
std::string to_json(const Plan& plan);
std::string to_dot(const Plan& plan);
std::string to_svg(const Plan& plan);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/plan/impl/describe.ipp>
#endif
