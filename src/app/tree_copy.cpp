#include "tree_copy.hpp"

#include <morsel/io/container.hpp>

#include "write_result.hpp"

namespace morsel::app {

void TreeCopy::open_source() {
  for (ContainerEntry& entry : contents_of(source_)) {
    if (entry.kind == Member::Kind::group)
      groups_.push_back({std::move(entry.path), std::move(entry.attributes)});
    else
      paths_.push_back(std::move(entry.path));
  }
  for (const std::string& path : paths_) {
    const std::string inside = source_.inside.empty() ? path
                               : path.empty()         ? source_.inside
                                                      : source_.inside + "/" + path;
    try {
      OpenedArray opened = source_.format->open(source_.place, inside, {});
      const StorageArguments storage = storage_for(opened.view.shape.size());
      ArrayCopy one;
      one.path = path;
      ways_.push_back(ways_of(opened, storage));
      one.opened.dims = names_through(opened.view, opened.source.spec().dims);
      one.opened.attributes = opened.source.spec().attributes;
      one.opened.edge = make_source(std::move(opened.source), opened.view, {}, path);
      arrays_.push_back(std::move(one));
    } catch (const Error& error) {
      if (error.code() != Errc::unsupported) throw error.during("copying '" + path + "'");
      if (!arguments_.skip_unsupported)
        throw error.during("copying '" + path + "' (--skip-unsupported leaves such arrays out)");
      skipped_.push_back({path, error.what()});
    }
  }
}

/// Lengths per axis are of arrays with as many axes; others keep what they have.
StorageArguments TreeCopy::storage_for(std::size_t rank) const {
  StorageArguments storage = arguments_.storage;
  for (std::string* text : {&storage.chunks, &storage.shards}) {
    if (text->empty() || *text == "none") continue;
    const ChunkSpec spec = ChunkSpec::parse(*text);
    if (spec.axes() && spec.axes()->size() != rank) text->clear();
  }
  return storage;
}

void TreeCopy::explain() {
  if (!session_.json) {
    for (const ArrayCopy& one : arrays_) {
      if (one.is_done) continue;
      session_.out << one.path << "\n";
      session_.run(one.plan.values, one.plan.targets);
      session_.out << "\n";
    }
    for (const Skipped& one : skipped_) session_.out << "skipped " << one.path << ": " << one.why << "\n";
    return;
  }
  JsonWriter json;
  json.begin_object().key("arrays").begin_array();
  for (const ArrayCopy& one : arrays_) {
    if (one.is_done) continue;
    json.begin_object().key("path").string(one.path).key("plan");
    json.raw(explain_plan(one.plan.values, one.plan.targets, session_.options()).json());
    json.end_object();
  }
  json.end_array();
  write_skipped(json);
  json.end_object();
  session_.out << json.text() << "\n";
}

void TreeCopy::write_skipped(JsonWriter& json) const {
  json.key("skipped").begin_array();
  for (const Skipped& one : skipped_)
    json.begin_object().key("path").string(one.path).key("error").string(one.why).end_object();
  json.end_array();
}

void TreeCopy::report() {
  if (!session_.json) {
    for (const Skipped& one : skipped_)
      session_.out << "skipped " << one.path << ": " << one_line(one.why) << "\n";
    return;
  }
  JsonWriter json;
  json.begin_object().key("path").string(arguments_.target);
  json.key("groups").integer(static_cast<Index>(groups_.size()));
  json.key("arrays").begin_array();
  for (const ArrayCopy& one : arrays_) {
    json.begin_object();
    write_written(json, one.path, one.opened.edge);
    json.end_object();
  }
  json.end_array();
  write_skipped(json);
  json.end_object();
  session_.out << json.text() << "\n";
}

}  // namespace morsel::app
