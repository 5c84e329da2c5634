#pragma once

#include <morsel/api/save.hpp>
#include <unordered_set>

namespace morsel::inline MORSEL_ABI {

namespace detail {

MORSEL_INLINE bool has_ending(std::string_view path, std::string_view ending) {
  if (path.size() < ending.size()) return false;
  path.remove_prefix(path.size() - ending.size());
  for (std::size_t i = 0; i < ending.size(); ++i) {
    const char c = path[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) != ending[i]) return false;
  }
  return true;
}

MORSEL_INLINE AnyChunkSink sink_for(const AnyLazyArray& array, const std::string& path,
                                    const SaveOptions& options) {
  std::shared_ptr<const Format> chosen;
  std::size_t longest = 0;
  std::string writable, heard_of;
  for (const auto& format : formats()) {
    for (const std::string& ending : format->endings) {
      if (format->create) writable += (writable.empty() ? "" : ", ") + ending;
      if (!has_ending(path, ending) || ending.size() <= longest) continue;
      longest = ending.size();
      chosen = format;
    }
  }
  if (!chosen || !chosen->create)
    fail(Errc::unsupported,
         "save '" + path + "': " +
             (chosen ? "writing a " + chosen->title + " is not supported by this build" +
                           (chosen->component.empty() || chosen->open
                                ? ""
                                : ", or the " + chosen->component + " component is not enabled")
                     : "the ending names no format") +
             "; expected a name that ends in " + writable + ", got '" + path + "'");
  NewArray made;
  made.dtype = array.dtype();
  const Grid native = array.grid();
  made.grid = resolve_chunks(options.chunks, array.shape(), array.dtype().item_bytes(), &native);
  made.asked_for_chunks = !options.chunks.is_default();
  made.dims = array.dims();
  made.attributes = array.attrs();
  made.codec = options.codec;
  made.overwrite = options.overwrite;
  made.options = options.options;
  return chosen->create(path, made);
}

/// Refuses a target that one of the values is read from.
MORSEL_INLINE void refuse_own_source(const std::vector<Edge>& values, const std::string& target,
                                     const std::string& path) {
  std::unordered_set<const Node*> seen;
  std::vector<Edge> open = values;
  while (!open.empty()) {
    const Edge value = std::move(open.back());
    open.pop_back();
    if (!seen.insert(value.node.get()).second) continue;
    if (const auto* source = std::get_if<SourceNode>(&value.node->payload))
      if (source->source.identity() == target)
        fail(Errc::invalid_argument,
             "save '" + path +
                 "': the array is read from this file; expected another target, got one of its own sources");
    for (Edge& input : inputs_of(*value.node)) open.push_back(std::move(input));
  }
}

struct SavePlan {
  std::vector<Edge> values;
  std::vector<Target> targets;
  ComputeOptions run;
};

MORSEL_INLINE SavePlan plan_save(const SaveOptions& options, const std::vector<Saving>& savings) {
  SavePlan plan;
  for (const Saving& saving : savings) plan.values.push_back(saving.array.edge());
  for (const Saving& saving : savings) {
    AnyChunkSink sink = sink_for(saving.array, saving.path, options);
    refuse_own_source(plan.values, sink.identity(), saving.path);
    for (const Target& earlier : plan.targets)
      if (std::get<SinkTarget>(earlier).sink.identity() == sink.identity())
        fail(Errc::invalid_argument, "save '" + saving.path +
                                         "': two arrays go to one file; expected different paths, got '" +
                                         saving.path + "' twice");
    plan.targets.emplace_back(std::in_place_type<SinkTarget>, SinkTarget{std::move(sink)});
  }
  plan.run.memory = options.memory;
  plan.run.threads = options.threads;
  plan.run.progress = options.progress;
  plan.run.trace = options.trace;
  plan.run.stop = options.stop;
  plan.run.workspace = options.workspace;
  plan.run.skip_passes = options.skip_passes;
  plan.run.report = options.report;
  return plan;
}

}  // namespace detail

MORSEL_INLINE void save(const SaveOptions& options, const std::vector<Saving>& savings) {
  const detail::SavePlan plan = detail::plan_save(options, savings);
  evaluate(plan.values, plan.targets, plan.run);
}

MORSEL_INLINE Explanation explain_save(const AnyLazyArray& array, const std::string& path,
                                       const SaveOptions& options) {
  const detail::SavePlan plan = detail::plan_save(options, {Saving{array, path}});
  return explain_plan(plan.values, plan.targets, plan.run);
}

MORSEL_INLINE void save(const AnyLazyArray& array, const std::string& path, const SaveOptions& options) {
  save(options, {Saving{array, path}});
}

}  // namespace morsel::inline MORSEL_ABI
