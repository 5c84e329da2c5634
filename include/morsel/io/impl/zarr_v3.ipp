#pragma once

#include <algorithm>
#include <array>
#include <morsel/io/impl/zarr_dtype.ipp>
#include <morsel/io/impl/zarr_grid.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// Reads an array's zarr.json in the order in which its members depend on each other.
class ZarrV3Reader {
 public:
  ZarrV3Reader(JsonValue root, const std::string& doing) : document_(root, doing), doing_(doing) {}

  ZarrArray read(RefusedArray* refused) {
    check_kind("array");
    const Shape shape = read_lengths(document_, "shape", 0);
    if (refused) *refused = {shape, spelled(document_.at("data_type"))};
    check_members({"zarr_format", "node_type", "shape", "data_type", "chunk_grid", "chunk_key_encoding",
                   "fill_value", "codecs", "attributes", "storage_transformers", "dimension_names"});
    check_transformers();
    ZarrArray array;
    array.format = "zarr_v3";
    array.dtype = DTypeOfV3(doing_).read(document_.at("data_type"));
    read_grid(shape, array);
    array.keys = read_keys();
    array.fill = read_fill(array.dtype, document_.at("fill_value"), FillReader{doing_});
    array.codecs = read_codecs(document_.at("codecs"), doing_);
    if (array.codecs.empty()) document_.wrong("codecs", "at least one codec", document_.at("codecs"));
    // zarr-python says no byte order for records, and means little-endian.
    if (array.dtype.is_record())
      for (CodecInfo& codec : array.codecs)
        if (codec.name == "bytes" && codec.configuration == "{}")
          codec.configuration = "{\"endian\":\"little\"}";
    array.attributes = attributes();
    array.dims = read_dims(shape.size());
    check_sizes(array, doing_);
    return array;
  }

  /// **Fails**: corrupt_data unless the document is one of Zarr v3 and describes an "array" or a "group".
  void check_kind(std::string_view kind) const {
    const JsonValue format = document_.at("zarr_format");
    if (format.integer() != 3) document_.wrong("zarr_format", "3", format);
    const JsonValue node = document_.at("node_type");
    if (node.string() != std::string(kind))
      document_.wrong("node_type", "\"" + std::string(kind) + "\"", node);
  }
  /// Members of other names must say that they need not be understood.
  void check_members(std::initializer_list<std::string_view> known) const {
    for (const JsonMember& member : document_.members()) {
      if (std::find(known.begin(), known.end(), member.name) != known.end()) continue;
      const JsonObject object(member.value, doing_);
      const JsonValue* must = object.find("must_understand");
      if (!must || !must->is_false())
        fail(Errc::unsupported,
             doing_ + ": unknown member '" + member.name +
                 "'; expected only members that Zarr v3 has, or \"must_understand\": false, "
                 "got " +
                 member.value.shown());
    }
  }
  Attributes attributes() const {
    const JsonValue* value = document_.find("attributes");
    if (!value || value->is_null()) return {};
    if (!value->is_object()) document_.wrong("attributes", "an object", *value);
    return attributes_of(*value);
  }

 private:
  static std::string spelled(JsonValue data_type) {
    if (const auto name = data_type.string()) return *name;
    for (const JsonMember& member : data_type.members())
      if (member.name == "name" && member.value.is_string()) return *member.value.string();
    return data_type.shown();
  }

  void check_transformers() const {
    const JsonValue* list = document_.find("storage_transformers");
    if (!list || list->is_null()) return;
    if (!list->is_array()) document_.wrong("storage_transformers", "a list", *list);
    list->for_each_element([&](JsonValue element) {
      const Extension extension = read_extension(element, "storage_transformers", doing_);
      if (extension.must_understand)
        fail(Errc::unsupported, doing_ + ": storage transformer '" + extension.name + "' is not supported");
      return true;
    });
  }

  void read_grid(const Shape& shape, ZarrArray& array) const {
    const Extension grid = read_needed_extension(document_.at("chunk_grid"), "chunk_grid", doing_);
    const JsonObject configuration(grid.configuration, doing_ + ": chunk grid '" + grid.name + "'");
    const auto check_only = [&](std::initializer_list<std::string_view> known) {
      for (const JsonMember& member : configuration.members())
        if (std::find(known.begin(), known.end(), member.name) == known.end())
          fail(Errc::unsupported, configuration.doing() + ": unknown member '" + member.name + "'");
    };
    if (grid.name == "regular" || grid.name == "zarrs.regular_bounded" || grid.name == "regular_bounded") {
      check_only({"chunk_shape"});
      array.chunk_shape = read_chunk_lengths(configuration, "chunk_shape", shape);
      array.grid = Grid::regular(shape, array.chunk_shape);
      array.is_bounded = grid.name != "regular";
      return;
    }
    if (grid.name != "rectilinear")
      fail(Errc::unsupported, doing_ + ": unknown chunk grid '" + grid.name +
                                  "'; expected regular, rectilinear or zarrs.regular_bounded");
    check_only({"kind", "chunk_shapes"});
    if (configuration.at("kind").string() != "inline")
      configuration.wrong("kind", "\"inline\"", configuration.at("kind"));
    const JsonValue list = configuration.at("chunk_shapes");
    std::vector<AxisGrid> axes;
    const std::string expected = std::to_string(shape.size()) + " entries, one per axis";
    list.for_each_element([&](JsonValue axis) {
      if (axes.size() == shape.size()) configuration.wrong("chunk_shapes", expected, list);
      axes.push_back(read_axis(configuration, axis, shape[axes.size()], array));
      return true;
    });
    if (axes.size() != shape.size()) configuration.wrong("chunk_shapes", expected, list);
    bool is_regular = true;
    for (const std::vector<Index>& lengths : array.chunk_lengths) is_regular &= lengths.empty();
    if (is_regular) array.chunk_lengths.clear();
    array.grid = Grid(std::move(axes));
  }

  /// One axis of a rectilinear grid: appends to chunk_shape and chunk_lengths.
  static AxisGrid read_axis(const JsonObject& configuration, JsonValue axis, Index extent, ZarrArray& array) {
    const auto refuse = [&] {
      configuration.wrong("chunk_shapes",
                          "a length, or a list of lengths and [length, count], all at least 1", axis);
    };
    if (const auto length = axis.integer()) {
      if (*length < 1) refuse();
      array.chunk_shape.push_back(*length);
      array.chunk_lengths.emplace_back();
      return AxisGrid::regular(extent, *length);
    }
    if (!axis.is_array()) refuse();
    // Runs of equal length, as far as they overlap the array.
    std::vector<std::array<Index, 2>> runs;
    Index reached = 0, chunks = 0, first = 0;
    axis.for_each_element([&](JsonValue element) {
      Index length = element.integer().value_or(0), count = 1;
      if (element.is_array()) {
        int at = 0;
        element.for_each_element([&](JsonValue part) {
          (at == 0 ? length : count) = part.integer().value_or(0);
          return ++at <= 2;
        });
        if (at != 2) refuse();
      }
      if (length < 1 || count < 1) refuse();
      if (first == 0) first = length;
      if (reached >= extent) return true;
      const Index needed = std::min(count, ceil_div(extent - reached, length));
      reached = length > (extent - reached) / needed ? extent : reached + length * needed;
      chunks += needed;
      if (!runs.empty() && runs.back()[0] == length)
        runs.back()[1] += needed;
      else
        runs.push_back({length, needed});
      if (static_cast<Index>(runs.size()) > max_irregular_chunks) too_many(configuration);
      return true;
    });
    if (first == 0 || reached < extent)
      configuration.wrong("chunk_shapes", "chunks that cover " + std::to_string(extent) + " elements", axis);
    if (runs.size() <= 1) {
      array.chunk_shape.push_back(first);
      array.chunk_lengths.emplace_back();
      return AxisGrid::regular(extent, first);
    }
    if (chunks > max_irregular_chunks) too_many(configuration);
    std::vector<Index> lengths, boundaries{0};
    for (const auto& [length, count] : runs)
      for (Index k = 0; k < count; ++k) {
        lengths.push_back(length);
        boundaries.push_back(length > extent - boundaries.back() ? extent : boundaries.back() + length);
      }
    array.chunk_shape.push_back(*std::max_element(lengths.begin(), lengths.end()));
    array.chunk_lengths.push_back(std::move(lengths));
    return AxisGrid::from_boundaries(std::move(boundaries));
  }
  [[noreturn]] static void too_many(const JsonObject& configuration) {
    fail(Errc::unsupported, configuration.doing() +
                                ": too many chunks of differing length; expected at most " +
                                std::to_string(max_irregular_chunks) + " along an axis, got more");
  }

  ChunkKeys read_keys() const {
    const Extension encoding =
        read_needed_extension(document_.at("chunk_key_encoding"), "chunk_key_encoding", doing_);
    if (encoding.name != "default" && encoding.name != "v2")
      fail(Errc::unsupported,
           doing_ + ": unknown chunk key encoding '" + encoding.name + "'; expected default or v2");
    ChunkKeys keys{encoding.name == "v2" ? ChunkKeys::Style::v2 : ChunkKeys::Style::v3,
                   encoding.name == "v2" ? '.' : '/'};
    const JsonObject configuration(encoding.configuration,
                                   doing_ + ": chunk key encoding '" + encoding.name + "'");
    for (const JsonMember& member : configuration.members()) {
      if (member.name != "separator")
        fail(Errc::unsupported, configuration.doing() + ": unknown member '" + member.name + "'");
      const std::string separator = member.value.string().value_or("");
      if (separator != "/" && separator != ".")
        configuration.wrong("separator", "\"/\" or \".\"", member.value);
      keys.separator = separator[0];
    }
    return keys;
  }

  std::vector<std::string> read_dims(std::size_t rank) const {
    const JsonValue* list = document_.find("dimension_names");
    if (!list || list->is_null()) return {};
    std::vector<std::string> dims;
    bool is_bad = !list->is_array();
    bool is_named = false;
    list->for_each_element([&](JsonValue name) {
      is_bad |= (!name.is_string() && !name.is_null()) || dims.size() == rank;
      if (is_bad) return false;
      dims.push_back(name.string().value_or(""));
      is_named |= !dims.back().empty();
      return true;
    });
    if (is_bad || dims.size() != rank)
      document_.wrong("dimension_names", std::to_string(rank) + " strings or nulls", *list);
    return is_named ? dims : std::vector<std::string>();
  }

  JsonObject document_;
  std::string doing_;
};

/// Elements joined by commas.
template <class List, class F>
std::string json_list(const List& list, F&& text_of) {
  std::string text = "[";
  for (std::size_t i = 0; i < list.size(); ++i) text += (i ? "," : "") + text_of(list[i]);
  return text + "]";
}
MORSEL_INLINE std::string json_list(const Shape& lengths) {
  return json_list(lengths, [](Index n) { return std::to_string(n); });
}

/// Lengths with repeats as [length, count].
MORSEL_INLINE std::string json_runs(const std::vector<Index>& lengths) {
  std::string text = "[";
  for (std::size_t i = 0; i < lengths.size();) {
    std::size_t end = i;
    while (end < lengths.size() && lengths[end] == lengths[i]) ++end;
    const std::string length = std::to_string(lengths[i]);
    text += (i ? "," : "") + (end - i == 1 ? length : "[" + length + "," + std::to_string(end - i) + "]");
    i = end;
  }
  return text + "]";
}

MORSEL_INLINE void check_fill(const ZarrArray& array, const char* doing) {
  if (!array.fill.empty() && array.fill.size() != array.dtype.item_bytes())
    fail(Errc::invalid_argument, std::string(doing) + ": bad fill value; expected " +
                                     std::to_string(array.dtype.item_bytes()) + " bytes, got " +
                                     std::to_string(array.fill.size()));
}

MORSEL_INLINE std::string v3_grid_json(const ZarrArray& array) {
  if (array.chunk_lengths.empty())
    return "{\"name\":\"" + std::string(array.is_bounded ? "zarrs.regular_bounded" : "regular") +
           "\",\"configuration\":{\"chunk_shape\":" + json_list(array.chunk_shape) + "}}";
  if (array.is_bounded)
    fail(Errc::unsupported,
         "writing Zarr v3: no chunk grid has axes of both kinds; expected a rectilinear or a bounded one");
  std::string axes;
  for (std::size_t i = 0; i < array.chunk_shape.size(); ++i) {
    const std::vector<Index>& lengths = array.chunk_lengths[i];
    axes += (i ? "," : "") + (lengths.empty() ? std::to_string(array.chunk_shape[i]) : json_runs(lengths));
  }
  return "{\"name\":\"rectilinear\",\"configuration\":{\"kind\":\"inline\",\"chunk_shapes\":[" + axes + "]}}";
}

MORSEL_INLINE std::string v3_fill_json(const DType& dtype, std::span<const std::byte> element) {
  // Raw bits are a list of numbers, as the core specification has them.
  if (numpy_letter(dtype) == 'V')
    return json_list(element, [](std::byte b) { return std::to_string(std::to_integer<int>(b)); });
  return fill_json(dtype, element, false);
}

}  // namespace detail

MORSEL_INLINE ZarrArray parse_zarr_v3(std::string_view zarr_json, const std::string& doing,
                                      RefusedArray* refused) {
  const detail::JsonDocument document(zarr_json, doing);
  return detail::ZarrV3Reader(document.root(), doing).read(refused);
}

MORSEL_INLINE std::string zarr_v3_fill_json(const DType& dtype, std::span<const std::byte> element) {
  return detail::v3_fill_json(dtype, element);
}

MORSEL_INLINE std::string zarr_v3_json(const ZarrArray& array) {
  using Style = ChunkKeys::Style;
  if (array.keys.style == Style::n5)
    fail(Errc::unsupported, "writing Zarr v3: no name for the chunk keys of N5; expected those of Zarr");
  detail::check_fill(array, "writing Zarr v3");
  std::vector<std::byte> fill = array.fill;
  fill.resize(array.dtype.item_bytes());
  std::vector<std::string> members;
  const auto add = [&](const char* name, const std::string& value) {
    members.push_back("  \"" + std::string(name) + "\": " + value);
  };
  add("zarr_format", "3");
  add("node_type", "\"array\"");
  add("shape", detail::json_list(array.grid.shape()));
  add("data_type", zarr_v3_dtype_json(array.dtype));
  add("chunk_grid", detail::v3_grid_json(array));
  add("chunk_key_encoding", "{\"name\":\"" + std::string(array.keys.style == Style::v2 ? "v2" : "default") +
                                "\",\"configuration\":{\"separator\":\"" +
                                std::string(1, array.keys.separator) + "\"}}");
  add("fill_value", detail::v3_fill_json(array.dtype, fill));
  add("codecs", detail::json_list(array.codecs, [](const CodecInfo& codec) {
        if (codec.name.starts_with("n5.") || codec.name.starts_with("v2."))
          fail(Errc::unsupported, "writing Zarr v3: codec '" + codec.name + "' belongs to another format");
        const bool is_plain = codec.configuration.empty() || codec.configuration == "{}";
        return "{\"name\":" + json_string(codec.name) +
               (is_plain ? "" : ",\"configuration\":" + codec.configuration) + "}";
      }));
  Attributes attributes;
  const std::string names =
      detail::json_list(array.dims, [](const std::string& n) { return json_string(n); });
  for (const auto& attribute : array.attributes) {
    // What dimension_names says is not said twice.
    const bool is_dims = attribute.first == "_ARRAY_DIMENSIONS" && !array.dims.empty() &&
                         detail::JsonValue(attribute.second).compact() == names;
    if (!is_dims) attributes.push_back(attribute);
  }
  add("attributes", to_json(attributes));
  if (!array.dims.empty())
    add("dimension_names", detail::json_list(array.dims, [](const std::string& name) {
          return name.empty() ? std::string("null") : json_string(name);
        }));
  std::string text = "{\n";
  for (std::size_t i = 0; i < members.size(); ++i)
    text += members[i] + (i + 1 < members.size() ? ",\n" : "\n");
  return text + "}\n";
}

}  // namespace morsel::inline MORSEL_ABI
