// The pipeline behind every compute, save and explain: trace -> optimise -> lower -> run.
#pragma once

#include <chrono>
#include <memory>
#include <morsel/exec/progress.hpp>
#include <morsel/exec/run.hpp>
#include <morsel/exec/workspace.hpp>
#include <morsel/graph/build.hpp>
#include <morsel/kernel/simd.hpp>
#include <morsel/plan/target.hpp>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// Options of an evaluation; every member has a default that suits.
struct ComputeOptions {
  Bytes memory = {};                ///< budget in bytes for all buffers of this run; 0: the workspace's
  int threads = 0;                  ///< 0: the workspace's; 1 stays on the calling thread
  ProgressCallback progress = {};   ///< see progress_bar()
  std::string trace = {};           ///< file for a Chrome trace of the run (Perfetto reads it)
  std::stop_token stop = {};        ///< cancels within milliseconds
  PartialCallback on_partial = {};  ///< the value so far of reductions, every `partial_period`
  std::chrono::milliseconds partial_period{500};
  std::optional<Workspace> workspace = {};  ///< default: Workspace::process()
  std::vector<std::string> skip_passes =
      {};                          ///< optimiser passes to leave out, by name; the bits do not change
  RunReport* report = nullptr;     ///< filled with what the run did
  std::uint64_t shuffle_seed = 0;  ///< not 0: runs tasks in a random order (for tests)
};

/// Evaluates all values in one run that shares passes over common inputs. values[i] goes to targets[i].
/// **Fails**: budget_too_small naming the smallest that would do, source_changed, cancelled, what sources,
/// sinks and user functions throw. On failure memory targets hold unspecified values, sinks leave nothing
/// behind.
RunReport evaluate(const std::vector<Edge>& values, const std::vector<Target>& targets,
                   const ComputeOptions& options);

/// What a run would do, and pictures of it. Prints with << what text() gives.
class Explanation {
 public:
  explicit Explanation(Plan plan) : plan_(std::make_shared<const Plan>(std::move(plan))) {}
  std::string text() const { return to_text(*plan_); }  ///< table for people
  std::string json() const { return to_json(*plan_); }
  std::string dot() const { return to_dot(*plan_); }  ///< for Graphviz
  std::string svg() const { return to_svg(*plan_); }  ///< drawn without Graphviz

 private:
  std::shared_ptr<const Plan> plan_;
};

/// Plans without running: no data is read. `targets` may be empty (results to memory).
Explanation explain_plan(const std::vector<Edge>& values, const std::vector<Target>& targets,
                         const ComputeOptions& options);

/// The node graph under the values, as JSON and DOT, without planning.
std::string graph_json(const std::vector<Edge>& values);
std::string graph_dot(const std::vector<Edge>& values);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/evaluate.ipp>
#endif
