#pragma once

#include <unistd.h>

#include <chrono>
#include <morsel/api/save.hpp>
#include <morsel/graph/hash.hpp>
#include <morsel/io/zarr.hpp>
#include <mutex>
#include <unordered_set>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE std::string fingerprint(const AnyLazyArray& array) {
  Hasher hasher;
  hasher.add(array.edge());
  std::string text = to_string(hasher.hash());
  std::unordered_set<const Node*> seen;
  std::vector<Edge> open{array.edge()};
  // What only this process knows: functions, memory. Their nodes are remembered, so that no other one ever
  // has the address of one of them.
  bool user_code = false;
  static std::mutex mutex;
  static std::vector<std::weak_ptr<const void>> remembered;
  const auto remember = [&](std::shared_ptr<const void> code) {
    const std::lock_guard lock(mutex);
    remembered.push_back(std::move(code));
    user_code = true;
  };
  while (!open.empty()) {
    const Edge value = std::move(open.back());
    open.pop_back();
    if (!seen.insert(value.node.get()).second) continue;
    const auto& payload = value.node->payload;
    if (const auto* call = std::get_if<ElementwiseNode>(&payload); call && call->user) remember(call->user);
    if (std::holds_alternative<MapChunksNode>(payload)) remember(value.node);
    if (const auto* reduce = std::get_if<ReduceNode>(&payload);
        reduce && reduce->reducer->order() == MergeOrder::sequential)
      remember(reduce->reducer);
    if (const auto* source = std::get_if<SourceNode>(&payload))
      for (const std::string_view kind : {"function#", "memory:", "memory_store#", "spill:"})
        user_code |= source->source.identity().starts_with(kind);
    for (Edge& input : inputs_of(*value.node)) open.push_back(std::move(input));
  }
  if (user_code) {
    static const std::string process =
        std::to_string(::getpid()) + "@" +
        std::to_string(std::chrono::system_clock::now().time_since_epoch().count());
    text += " in process " + process;
  }
  return text;
}

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

/// The format that a path names: by its ending, or by that of a container above it.
MORSEL_INLINE std::shared_ptr<const Format> format_for(const std::string& path) {
  std::shared_ptr<const Format> chosen;
  std::size_t longest = 0;
  std::string writable;
  for (std::size_t end = path.size(); !chosen && end != std::string::npos && end != 0;
       end = path.rfind('/', end - 1)) {
    const std::string_view part = std::string_view(path).substr(0, end);
    for (const auto& format : formats())
      for (const std::string& ending : format->endings) {
        // Only containers have something inside.
        if (!has_ending(part, ending) || ending.size() <= longest || (end != path.size() && !format->list))
          continue;
        longest = ending.size();
        chosen = format;
      }
  }
  if (chosen && chosen->create) return chosen;
  for (const auto& format : formats())
    for (const std::string& ending : format->endings)
      if (format->create) writable += (writable.empty() ? "" : ", ") + ending;
  fail(Errc::unsupported,
       "save '" + path + "': " +
           (chosen ? "writing a " + chosen->title + " is not supported by this build" +
                         (chosen->component.empty() || chosen->open
                              ? ""
                              : ", or the " + chosen->component + " component is not enabled")
                   : "the ending names no format") +
           "; expected a name that ends in " + writable + ", got '" + path + "'");
}

/// The box that a slice of an array means; every axis is a range of step 1.
MORSEL_INLINE Region region_of(const std::string& text, const Shape& shape, const std::string& doing) {
  const SliceItems items = parse_slice(text);
  Region region = Region::of(shape);
  std::size_t axis = 0, plain = 0;
  for (const SliceItem& item : items)
    plain += item.kind == SliceItem::Kind::slice || item.kind == SliceItem::Kind::integer;
  for (const SliceItem& item : items) {
    if (item.kind == SliceItem::Kind::ellipsis) {
      axis += shape.size() - std::min(plain, shape.size());
      continue;
    }
    if (item.kind == SliceItem::Kind::newaxis || axis >= shape.size())
      fail(Errc::invalid_argument, doing + ": the region does not fit the array; expected at most " +
                                       std::to_string(shape.size()) + " ranges, got '" + text + "'");
    SliceItem range = item;
    if (item.kind == SliceItem::Kind::integer) {
      range.kind = SliceItem::Kind::slice;
      if (*item.start != -1) range.stop = *item.start + 1;
    }
    const ResolvedSlice found = resolve(range, shape[axis]);
    if (found.step != 1)
      fail(Errc::invalid_argument,
           doing + ": a region with a step; expected ranges of step 1, got '" + text + "'");
    region.lo[axis] = found.start;
    region.hi[axis] = found.start + found.count;
    ++axis;
  }
  return region;
}

/// Lengths of chunks as they were named, one per axis; empty if they are left to choose.
MORSEL_INLINE Shape asked_lengths(const ChunkSpec& spec, const Shape& shape) {
  std::vector<AxisChunks> asked;
  if (spec.axes())
    asked = *spec.axes();
  else if (spec.all())
    asked.assign(shape.size(), *spec.all());
  Shape lengths;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (asked[i].kind != AxisChunks::Kind::length || asked[i].first != 0 || asked.size() != shape.size())
      return {};
    lengths.push_back(asked[i].length < 0 ? shape[i] : asked[i].length);
  }
  return lengths;
}

MORSEL_INLINE AnyChunkSink sink_for(const Saving& saving, const SaveOptions& options, bool with_others,
                                    const std::shared_ptr<WriteBatch>& batch) {
  const AnyLazyArray& array = saving.array;
  const std::string doing = "save '" + saving.path + "'";
  const std::shared_ptr<const Format> format = saving.store ? nullptr : format_for(saving.path);
  NewArray made;
  made.dtype = array.dtype();
  const Grid native = array.grid();
  const std::size_t item = array.dtype().item_bytes();
  made.grid = resolve_chunks(options.chunks, array.shape(), item, &native);
  made.asked_for_chunks = !options.chunks.is_default();
  bool uniform = true;
  for (std::size_t i = 0; i < made.grid.rank(); ++i) uniform &= made.grid.axis(i).is_uniform();
  // Chunks that no file has: those of a view, of pieces joined.
  if (!uniform && !made.asked_for_chunks) made.grid = resolve_chunks("auto", array.shape(), item, nullptr);
  if (!options.shards.is_default())
    made.shards = resolve_chunks(options.shards, array.shape(), item, &made.grid);
  made.chunk_shape = asked_lengths(options.chunks, array.shape());
  made.shard_shape = asked_lengths(options.shards, array.shape());
  made.dims = array.dims();
  made.attributes = array.attrs();
  made.codec = options.codec;
  made.overwrite = options.overwrite;
  made.resume = options.resume;
  made.with_others = with_others;
  made.batch = batch;
  if (made.resume || format == nullptr || format->list) made.fingerprint = morsel::fingerprint(array);
  made.options = options.options;
  if (!options.region.empty() || options.append) {
    if (!options.region.empty() && options.append)
      fail(Errc::invalid_argument, doing + ": a region and append; expected one of them, got both");
    if (options.overwrite || options.resume)
      fail(Errc::invalid_argument, doing +
                                       ": writing into an array that is there; expected neither overwrite "
                                       "nor resume (do it again), got one");
    const OpenedArray there = saving.store ? open_zarr(saving.store, saving.path) : open_path(saving.path);
    const Shape shape = there.view.shape;
    if (options.append) {
      made.append_axis =
          static_cast<int>(find_axis(*options.append, there.source.spec().dims, shape.size(), doing));
      made.region = Region::of(array.shape());
      const std::size_t a = static_cast<std::size_t>(made.append_axis);
      if (array.ndim() != shape.size())
        fail(Errc::shape_mismatch, doing + ": the array does not fit; expected the rank of " +
                                       to_string(shape) + ", got " + to_string(array.shape()));
      made.region->lo[a] += shape[a], made.region->hi[a] += shape[a];
    } else {
      made.region = region_of(options.region, shape, doing);
    }
  }
  if (saving.store) return create_zarr(saving.store, "", saving.path, made);
  return format->create(saving.path, made);
}

/// Refuses a target that one of the values is read from.
MORSEL_INLINE void refuse_own_source(const std::vector<Edge>& values, const AnyChunkSink& sink,
                                     const std::string& path) {
  std::unordered_set<const Node*> seen;
  for (const Edge& value : values)
    for_each_node(value.node, seen, [&](const NodePtr& node) {
      if (const auto* source = std::get_if<SourceNode>(&node->payload))
        if (writes_onto(sink, source->source))
          fail(Errc::invalid_argument, "save '" + path +
                                           "': the array is read from this file; expected another target, "
                                           "got one of its own sources");
    });
}

}  // namespace detail

MORSEL_INLINE SavePlan plan_save(const SaveOptions& options, const std::vector<Saving>& savings) {
  SavePlan plan;
  for (const Saving& saving : savings) plan.values.push_back(saving.array.edge());
  const std::shared_ptr<WriteBatch> batch =
      options.batch ? options.batch : std::make_shared<WriteBatch>(WriteBatch::Ends::with_its_arrays);
  for (const Saving& saving : savings) {
    AnyChunkSink sink = detail::sink_for(saving, options, savings.size() > 1, batch);
    detail::refuse_own_source(plan.values, sink, saving.path);
    for (const Target& earlier : plan.targets)
      if (overlap(std::get<SinkTarget>(earlier).sink, sink))
        fail(Errc::invalid_argument, "save '" + saving.path +
                                         "': two arrays go to one place, or one into the other; expected "
                                         "different paths, got '" +
                                         saving.path + "' again");
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

MORSEL_INLINE void save(const SaveOptions& options, const std::vector<Saving>& savings) {
  const SavePlan plan = plan_save(options, savings);
  evaluate(plan.values, plan.targets, plan.run);
}

MORSEL_INLINE Explanation explain_save(const AnyLazyArray& array, const std::string& path,
                                       const SaveOptions& options) {
  const SavePlan plan = plan_save(options, {Saving{array, path}});
  return explain_plan(plan.values, plan.targets, plan.run);
}

MORSEL_INLINE void save(const AnyLazyArray& array, const AnyStore& store, const std::string& path,
                        const SaveOptions& options) {
  save(options, {Saving{array, store, path}});
}

MORSEL_INLINE void save(const AnyLazyArray& array, const std::string& path, const SaveOptions& options) {
  save(options, {Saving{array, path}});
}

}  // namespace morsel::inline MORSEL_ABI
