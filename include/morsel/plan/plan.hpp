// In what order, with how much memory: the finished decision, before any data is read.
#pragma once

#include <morsel/plan/stage.hpp>
#include <morsel/plan/target.hpp>

namespace morsel::inline MORSEL_ABI {

/// What a plan may use.
struct Limits {
  std::size_t memory_bytes = 0;
  int threads = 1;
  bool fuse = true;                ///< one program per elementwise region of the graph
  bool share = true;               ///< folds with equal states share them, equal subexpressions are computed once
  bool super_instructions = true;
};

/// A source of the plan and its version when the graph was made.
struct PlannedSource {
  AnyChunkSource source;
  std::string version;
};

/// What a run will read, known before it starts. Requests and decoded bytes are exact, encoded bytes a bound.
struct Prediction {
  Index requests = 0;
  Index chunks = 0;                ///< source chunks touched, counted once per pass
  std::size_t decoded_bytes = 0;
  std::size_t encoded_bytes = 0;
  std::size_t source_bytes = 0;    ///< of the whole arrays behind the sources
};

struct PassTime {
  std::string name;
  double seconds = 0;
  bool skipped = false;
};

struct Plan {
  std::vector<Stage> stages;       ///< in order of passes
  std::vector<Result> results;     ///< the caller's outputs first
  std::vector<PlannedSource> sources;
  int passes = 1;
  int threads = 1;                 ///< that run; fewer than asked for if memory is short
  std::size_t budget_bytes = 0;
  std::size_t fixed_bytes = 0;     ///< per thread and per plan, held throughout
  std::size_t peak_bytes = 0;      ///< of the ledger when tasks run one after another
  std::size_t ideal_bytes = 0;     ///< with which all threads and reads overlap fully
  std::size_t smallest_bytes = 0;  ///< smallest budget that any plan for this graph can do with
  std::size_t result_bytes = 0;    ///< handed to the caller, outside the budget
  Prediction prediction;
  std::vector<PassTime> pass_times;
  std::vector<std::string> notes;  ///< what the planner wants the reader to know: re-reads, spills, fewer threads
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
