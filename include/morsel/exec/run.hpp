// Runs a plan: books memory in the plan's order, dispatches, combines. The only stage with state.
#pragma once

#include <chrono>
#include <functional>
#include <morsel/exec/progress.hpp>
#include <morsel/exec/workspace.hpp>
#include <morsel/plan/plan.hpp>
#include <morsel/plan/target.hpp>
#include <stop_token>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

struct RunOptions {
  int threads = 1;
  ProgressCallback progress;
  std::string trace;
  std::stop_token stop;
  PartialCallback on_partial;
  std::chrono::milliseconds partial_period{500};
  std::uint64_t shuffle_seed = 0;
};

/// What a run did.
struct RunReport {
  std::size_t budget_bytes = 0, peak_bytes = 0;  ///< of the ledger
  std::size_t bytes_read = 0;                    ///< from storage
  std::size_t bytes_decoded = 0;                 ///< elements produced by sources
  Index requests = 0;                            ///< reads issued
  Index chunks_read = 0;                         ///< source chunks touched, each once per pass
  Index chunks_missing = 0;                      ///< reads that found no chunk
  Index units = 0;
  int threads = 1;
  double plan_seconds = 0, run_seconds = 0;
};

/// Runs `plan` within plan.budget_bytes; targets[i] takes output i. Sinks are committed at the end. The last
/// report of progress is not made but handed to `last`: whoever holds the run's memory gives it back first.
RunReport run(const Plan& plan, const std::vector<Target>& targets, const RunOptions& options,
              Progress* last = nullptr);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/exec/sweep_job.hpp>  // brings the body
#endif
