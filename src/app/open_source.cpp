#include "open_source.hpp"

#include <algorithm>
#include <morsel/io/attributes_json.hpp>

#include "element_text.hpp"

namespace morsel::app {

std::string source_path(const std::string& source, const std::string& dataset) {
  if (dataset.empty()) return source;
  std::string path = source;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path + (dataset[0] == '/' ? "" : "/") + dataset;
}

OpenedEdge open_edge(const std::string& path, Values values, const ChunkSpec& chunks) {
  OpenedArray opened = open_path(path);
  const ArraySpec& spec = opened.source.spec();
  if (values == Values::as_stored && (spec.format == "npy" || spec.format == "npz"))
    opened = open_path(path, {{"keep_bool_bytes", "1"}});
  OpenedEdge result;
  result.dims = names_through(opened.view, opened.source.spec().dims);
  result.attributes = opened.source.spec().attributes;
  result.edge = make_source(std::move(opened.source), opened.view, chunks, path);
  return result;
}

AnyLazyArray named_array(const OpenedEdge& opened) {
  std::vector<std::string> names = opened.dims;
  std::sort(names.begin(), names.end());
  names.erase(std::remove(names.begin(), names.end(), ""), names.end());
  const bool is_unique = std::adjacent_find(names.begin(), names.end()) == names.end();
  return AnyLazyArray(opened.edge, is_unique ? opened.dims : std::vector<std::string>(), opened.attributes);
}

std::vector<std::string> names_through(const View& view, const std::vector<std::string>& beneath) {
  std::vector<std::string> names(view.rank());
  if (beneath.empty()) return {};
  for (std::size_t i = 0; i < view.maps.size() && i < beneath.size(); ++i)
    if (view.maps[i].kind != AxisMap::Kind::constant)
      names[static_cast<std::size_t>(view.maps[i].axis)] = beneath[i];
  return names;
}

namespace {

void write_chunks(JsonWriter& json, const Grid& grid) {
  json.begin_array();
  for (std::size_t i = 0; i < grid.rank(); ++i) {
    const AxisGrid& axis = grid.axis(i);
    if (axis.is_uniform() || axis.count() > 100000) {
      json.integer(axis.longest());
      continue;
    }
    json.begin_array();
    for (Index k = 0; k < axis.count(); ++k) json.integer(axis.length(k));
    json.end_array();
  }
  json.end_array();
}

/// The native grid in the axes of the array. A grid of a view with constant axes has fewer of them.
Grid native_grid(const OpenedArray& array) { return map_grid(array.view, array.source.spec().grid); }

}  // namespace

void write_array(JsonWriter& json, const OpenedArray& array, Detail detail) {
  const ArraySpec& spec = array.source.spec();
  json.key("dtype");
  write_dtype(json, spec.dtype);
  json.key("shape").dims(array.view.shape);
  json.key("chunks");
  const bool is_identity = array.view.is_identity(spec.shape());
  if (!spec.stored_chunks.empty() && is_identity)
    json.dims(spec.stored_chunks);
  else if (spec.has_native_chunks)
    write_chunks(json, native_grid(array));
  else
    json.null();
  const Index nbytes =
      checked_mul(size_of(array.view.shape), static_cast<Index>(spec.dtype.item_bytes()), "array bytes");
  if (detail == Detail::brief) {
    json.key("nbytes").integer(nbytes);
    return;
  }
  json.key("shards");
  if (spec.shards)
    json.dims(spec.stored_shards.empty() ? spec.shards->chunk_shape() : spec.stored_shards);
  else
    json.null();
  json.key("dims");
  const std::vector<std::string> names = names_through(array.view, spec.dims);
  if (names.empty()) {
    json.null();
  } else {
    json.begin_array();
    for (const std::string& name : names) name.empty() ? json.null() : json.string(name);
    json.end_array();
  }
  json.key("order");
  if (spec.order.empty())
    json.null();
  else
    json.string(spec.order);
  json.key("fill_value");
  if (spec.fill.size() == spec.dtype.item_bytes() && !spec.fill.empty())
    write_element(json, spec.dtype, spec.fill.data());
  else
    json.null();
  json.key("codecs").begin_array();
  for (const CodecInfo& codec : spec.codecs) {
    json.begin_object().key("name").string(codec.name);
    if (!codec.configuration.empty() && codec.configuration != "{}")
      json.key("configuration").raw(quote_non_finite(codec.configuration));
    json.end_object();
  }
  json.end_array();
  json.key("attributes").raw(quote_non_finite(to_json(spec.attributes)));
  json.key("nbytes").integer(nbytes);
  json.key("stored_bytes");
  if (spec.stored_bytes)
    json.integer(*spec.stored_bytes);
  else
    json.null();
}

}  // namespace morsel::app
