#pragma once

#include <chrono>
#include <morsel/api/evaluate.hpp>
#include <morsel/base/warning.hpp>
#include <morsel/exec/pool.hpp>
#include <morsel/exec/sweep_job.hpp>
#include <morsel/graph/pass.hpp>
#include <morsel/plan/lower.hpp>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

namespace morsel::inline MORSEL_ABI {
namespace detail {

/// Memory taken from the run whose task calls, or nothing.
class Nested {
 public:
  Nested(SweepJob* job, std::size_t bytes) : job_(job), bytes_(bytes) {
    if (job_ && !job_->reserve(bytes_))
      fail(Errc::budget_too_small,
           "computing inside a task: no room left in the outer run's budget; expected " +
               std::to_string(bytes_) + " bytes free, raise the outer run's memory or compute outside");
  }
  ~Nested() {
    if (job_) job_->give_back(bytes_);
  }
  Nested(const Nested&) = delete;
  Nested& operator=(const Nested&) = delete;

 private:
  SweepJob* job_;
  std::size_t bytes_;
};

/// What a run reads and writes.
MORSEL_INLINE std::vector<std::string> files_of(const Plan& plan, const std::vector<Target>& targets) {
  std::vector<std::string> files;
  const auto add = [&](const std::vector<std::string>& more) {
    files.insert(files.end(), more.begin(), more.end());
  };
  for (const PlannedSource& source : plan.sources) add(source.source.files());
  for (const Target& target : targets)
    if (const auto* sink = std::get_if<SinkTarget>(&target)) add(sink->sink.files());
  return files;
}

MORSEL_INLINE std::vector<Target> targets_or_memory(const std::vector<Edge>& values,
                                                    const std::vector<Target>& targets) {
  std::vector<Target> all = targets;
  for (std::size_t i = all.size(); i < values.size(); ++i)
    all.push_back(MemoryTarget{BufferView{nullptr, values[i].dtype().item_bytes(), values[i].shape(),
                                          Dims(values[i].shape().size(), 0)}});
  return all;
}

/// The plan within what loaded arrays leave; says so where that is too little.
MORSEL_INLINE Plan lower_beside(std::size_t held_bytes, const Graph& graph,
                                const std::vector<Target>& targets, const Limits& limits) {
  try {
    return lower(graph, targets, limits);
  } catch (const Error& error) {
    if (error.code() != Errc::budget_too_small || held_bytes == 0) throw;
    throw error.during("beside " + std::to_string(held_bytes) + " bytes that loaded arrays hold");
  }
}

}  // namespace detail

MORSEL_INLINE RunReport evaluate(const std::vector<Edge>& values, const std::vector<Target>& targets,
                                 const ComputeOptions& options) {
  using namespace detail;
  const auto begin = std::chrono::steady_clock::now();
  if (values.empty()) return {};
  if (options.threads < 0)
    fail(Errc::invalid_argument,
         "computing: negative thread count; expected >= 0, got " + std::to_string(options.threads));
  const Graph graph = optimise(trace(values, options.stop), options.skip_passes);
  SweepJob* const outer = current_job();
  const Workspace& workspace = options.workspace ? *options.workspace : Workspace::process();
  const bool own_limit = !options.memory.is_default() && !options.workspace;
  Limits limits;
  limits.threads = outer ? 1 : options.threads > 0 ? options.threads : workspace.threads();
  const std::size_t held = workspace.held_bytes();
  const std::size_t available = workspace.memory_bytes() - held;
  limits.memory_bytes = options.memory.is_default() ? available
                        : own_limit                 ? options.memory.count()
                                                    : std::min(options.memory.count(), available);
  limits.predict = false;
  Plan plan = lower_beside(own_limit ? 0 : held, graph, targets, limits);
  if (!options.trace.empty()) check_trace_path(options.trace, files_of(plan, targets));

  // A run takes what it can use, not all there is; what it gets is what it is proven against.
  // A budget of its own is all there for the run: what it leaves free, computing inside its tasks may take.
  std::size_t granted =
      own_limit && !outer ? limits.memory_bytes : std::min(plan.ideal_bytes, limits.memory_bytes);
  std::optional<Grant> grant;
  if (outer)
    granted = plan.smallest_bytes;
  else if (!own_limit) {
    grant.emplace(workspace.state(), plan.smallest_bytes, granted, options.stop);
    granted = grant->bytes();
  }
  std::optional<Nested> nested(std::in_place, outer, granted);
  if (granted < plan.peak_bytes || plan.fixed_bytes > granted ||
      granted < std::min(plan.ideal_bytes, limits.memory_bytes)) {
    limits.memory_bytes = granted;
    plan = lower(graph, targets, limits);
  }
  plan.budget_bytes = granted;
  for (const std::string& note : plan.notes)
    warn(note.substr(0, note.find(':')), note.substr(std::min(note.size(), note.find(':') + 2)));

  RunOptions run_options;
  run_options.threads = plan.threads;
  run_options.progress = options.progress;
  run_options.trace = options.trace;
  run_options.stop = options.stop;
  run_options.on_partial = options.on_partial;
  run_options.partial_period = options.partial_period;
  run_options.shuffle_seed = options.shuffle_seed;
  const std::chrono::duration<double> planning = std::chrono::steady_clock::now() - begin;
  RunReport report;
  try {
    Progress last;
    report = run(plan, targets, run_options, &last);
    // What the last report's callback computes finds the memory free.
    nested.reset();
    grant.reset();
    if (options.progress) options.progress(last);
  } catch (...) {
    rethrow_user_error("computing");
  }
  report.plan_seconds = planning.count();
  report.budget_bytes = own_limit || !options.memory.is_default() ? options.memory.count() : granted;
  if (options.report) *options.report = report;
  return report;
}

MORSEL_INLINE Explanation explain_plan(const std::vector<Edge>& values, const std::vector<Target>& targets,
                                       const ComputeOptions& options) {
  const Graph graph = optimise(trace(values, options.stop), options.skip_passes);
  const Workspace& workspace = options.workspace ? *options.workspace : Workspace::process();
  Limits limits;
  limits.threads = options.threads > 0 ? options.threads : workspace.threads();
  const std::size_t held = options.memory.is_default() ? workspace.held_bytes() : 0;
  limits.memory_bytes =
      options.memory.is_default() ? workspace.memory_bytes() - held : options.memory.count();
  return Explanation(detail::lower_beside(held, graph, detail::targets_or_memory(values, targets), limits));
}

namespace detail {

/// Nodes below some values, inputs before users, numbered.
MORSEL_INLINE std::vector<NodePtr> number_nodes(const std::vector<Edge>& values,
                                                std::unordered_map<const Node*, int>& numbers) {
  std::vector<NodePtr> order;
  std::unordered_set<const Node*> seen;
  for (const Edge& e : values)
    for_each_node(e.node, seen, [&](const NodePtr& node) {
      numbers.emplace(node.get(), static_cast<int>(order.size()));
      order.push_back(node);
    });
  return order;
}

MORSEL_INLINE const char* kind_of(const Node& node) {
  static constexpr const char* kinds[] = {"source",  "constant", "elementwise", "reduce",
                                          "rechunk", "concat",   "map_chunks"};
  return kinds[node.payload.index()];
}

}  // namespace detail

MORSEL_INLINE std::string graph_json(const std::vector<Edge>& values) {
  std::unordered_map<const Node*, int> numbers;
  const std::vector<NodePtr> order = detail::number_nodes(values, numbers);
  const auto dims = [](const Dims& d) { return std::vector<Index>(d.begin(), d.end()); };
  nlohmann::json nodes = nlohmann::json::array(), outputs = nlohmann::json::array();
  for (const NodePtr& node : order) {
    nlohmann::json inputs = nlohmann::json::array();
    for (const Edge& e : inputs_of(*node))
      inputs.push_back({{"node", numbers[e.node.get()]},
                        {"shape", dims(e.shape())},
                        {"view", !e.view.is_identity(e.node->shape())}});
    nodes.push_back({{"id", numbers[node.get()]},
                     {"kind", detail::kind_of(*node)},
                     {"name", node->name},
                     {"dtype", node->dtype.name()},
                     {"shape", dims(node->shape())},
                     {"chunks", dims(node->grid.counts())},
                     {"inputs", inputs}});
  }
  for (const Edge& e : values)
    outputs.push_back({{"node", numbers[e.node.get()]}, {"shape", dims(e.shape())}});
  return nlohmann::json{{"nodes", nodes}, {"outputs", outputs}}.dump(
      2, ' ', false, nlohmann::json::error_handler_t::replace);
}

MORSEL_INLINE std::string graph_dot(const std::vector<Edge>& values) {
  std::unordered_map<const Node*, int> numbers;
  const std::vector<NodePtr> order = detail::number_nodes(values, numbers);
  std::string dot =
      "digraph graph_of_values {\n  node [shape=box, style=rounded, fontname=\"sans-serif\", fontsize=10];\n";
  const auto escaped = [](const std::string& text) {
    std::string out;
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    return out;
  };
  for (const NodePtr& node : order) {
    const int n = numbers[node.get()];
    dot += "  n" + std::to_string(n) + " [label=\"" + escaped(node->name) + "\\n" +
           escaped(node->dtype.name()) + " " + to_string(node->shape()) + "\"];\n";
    for (const Edge& e : inputs_of(*node))
      dot +=
          "  n" + std::to_string(numbers[e.node.get()]) + " -> n" + std::to_string(n) +
          (e.view.is_identity(e.node->shape()) ? ""
                                               : " [style=dashed, label=\"" + to_string(e.shape()) + "\"]") +
          ";\n";
  }
  return dot + "}\n";
}

}  // namespace morsel::inline MORSEL_ABI
