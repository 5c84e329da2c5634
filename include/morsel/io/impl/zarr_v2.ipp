#pragma once

#include <morsel/io/impl/raw_source.ipp>
#include <morsel/io/impl/zarr_v3.ipp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// Codecs of numcodecs that make bytes of arrays by themselves.
MORSEL_INLINE bool makes_bytes(std::string_view name) {
  return name == "numcodecs.zfpy" || name == "numcodecs.pcodec";
}

/// Reads .zarray and .zattrs.
class ZarrV2Reader {
 public:
  ZarrV2Reader(JsonValue zarray, const std::string& doing) : document_(zarray, doing), doing_(doing) {}

  ZarrArray read(JsonValue zattrs, RefusedArray* refused) {
    if (document_.at("zarr_format").integer() != 2)
      document_.wrong("zarr_format", "2", document_.at("zarr_format"));
    const Shape shape = read_lengths(document_, "shape", 0);
    const JsonValue dtype_text = document_.at("dtype");
    if (refused) *refused = {shape, dtype_text.string().value_or(dtype_text.shown())};
    ZarrArray array;
    array.format = "zarr_v2";
    const std::vector<CodecInfo> steps = read_steps();
    bool big_endian = false;
    array.dtype = read_dtype(dtype_text, steps, big_endian, array.mends);
    array.chunk_shape = read_chunk_lengths(document_, "chunks", shape);
    array.grid = Grid::regular(shape, array.chunk_shape);
    array.keys = read_keys();
    array.codecs = read_chain(shape.size(), steps, big_endian);
    const JsonValue* fill = document_.find("fill_value");
    array.fill =
        read_fill(array.dtype, fill ? *fill : JsonValue("null"), FillReader{doing_, true, big_endian});
    mend_elements(array.mends, array.fill.data(), 1, array.dtype.item_bytes());
    array.attributes = attributes_of(zattrs);
    array.dims = read_dims(zattrs, shape.size());
    check_sizes(array, doing_);
    return array;
  }

 private:
  /// `mends`: of records whose members differ in byte order; such a record is not `big_endian`.
  DType read_dtype(JsonValue text, const std::vector<CodecInfo>& steps, bool& big_endian,
                   std::vector<Mend>& mends) const {
    if (!text.is_string() && !text.is_array()) document_.wrong("dtype", "a NumPy dtype", text);
    const std::string spelled = text.string().value_or(std::string(text.text()));
    if (spelled == "|O" || spelled == "O") {
      const std::string codec = steps.empty() ? "none" : "'" + steps.front().name + "'";
      fail(Errc::unsupported, doing_ + ": elements of dtype '|O' have a variable length (object codec " +
                                  codec + "); expected a type of fixed size");
    }
    DType dtype;
    try {
      const bool mixed = text.is_array() && spelled.find("\"<") != std::string::npos &&
                         spelled.find("\">") != std::string::npos;
      std::string little = spelled;
      for (std::size_t at = 0; mixed && (at = little.find("\">", at)) != std::string::npos; ++at)
        little[at + 1] = '<';
      dtype = parse_dtype(little, &big_endian);
      if (mixed) collect_mends(text, dtype, 0, mends);
    } catch (const Error& e) {
      const bool is_refused = e.code() == Errc::unsupported || e.code() == Errc::overflow;
      throw Error(is_refused ? e.code() : Errc::corrupt_data, doing_ + ": " + e.what());
    }
    check_item_bytes(dtype, doing_);
    return dtype;
  }

  /// The repairs of a record's members, each in its own byte order.
  static void collect_mends(JsonValue fields, const DType& record, std::size_t offset,
                            std::vector<Mend>& mends) {
    fields.for_each_element([&](JsonValue member) {
      std::vector<JsonValue> items;
      member.for_each_element([&](JsonValue item) {
        items.push_back(item);
        return true;
      });
      const std::string name = items.empty() ? "" : items[0].string().value_or("");
      for (const Field& field : record.fields()) {
        if (items.size() < 2 || field.name != name) continue;
        const auto count = static_cast<std::size_t>(size_of(field.shape));
        const std::optional<std::string> type = items[1].string();
        const bool swapped = type && (type->front() == '>') != (std::endian::native == std::endian::big) &&
                             (type->front() == '>' || type->front() == '<');
        if (type) append_mends(field.dtype, swapped, offset + field.offset_bytes, count, mends);
        for (std::size_t i = 0; !type && i < count; ++i)
          collect_mends(items[1], field.dtype, offset + field.offset_bytes + i * field.dtype.item_bytes(),
                        mends);
      }
      return mends.size() < (std::size_t{1} << 16);
    });
  }

  ChunkKeys read_keys() const {
    ChunkKeys keys{ChunkKeys::Style::v2, '.'};
    const JsonValue* value = document_.find("dimension_separator");
    if (!value || value->is_null()) return keys;
    const std::string separator = value->string().value_or("");
    if (separator != "." && separator != "/")
      document_.wrong("dimension_separator", "\".\" or \"/\"", *value);
    keys.separator = separator[0];
    return keys;
  }

  /// Filters, then the compressor, in the registry's names.
  std::vector<CodecInfo> read_steps() const {
    std::vector<CodecInfo> steps;
    if (const JsonValue* filters = document_.find("filters"); filters && !filters->is_null()) {
      if (!filters->is_array()) document_.wrong("filters", "a list of codecs or null", *filters);
      filters->for_each_element([&](JsonValue filter) {
        steps.push_back(read_step("filters", filter));
        if (steps.size() > 64) document_.wrong("filters", "at most 64 codecs", *filters);
        return true;
      });
    }
    if (const JsonValue* compressor = document_.find("compressor"); compressor && !compressor->is_null())
      steps.push_back(read_step("compressor", *compressor));
    return steps;
  }
  CodecInfo read_step(const char* where, JsonValue value) const {
    CodecInfo step;
    std::string configuration;
    for (const JsonMember& member : value.members()) {
      if (member.name == "id" && member.value.is_string())
        step.name = "numcodecs." + *member.value.string();
      else
        configuration +=
            (configuration.empty() ? "" : ",") + json_string(member.name) + ":" + member.value.compact();
    }
    if (step.name.empty()) document_.wrong(where, "codecs with an \"id\"", value);
    step.configuration = "{" + configuration + "}";
    return step;
  }

  /// Elements in chunk order -> bytes -> filters -> compressor. A codec that makes bytes of arrays takes the
  /// place of "bytes"; what comes before it then works on arrays.
  std::vector<CodecInfo> read_chain(std::size_t rank, const std::vector<CodecInfo>& steps,
                                    bool big_endian) const {
    std::vector<CodecInfo> chain;
    if (const JsonValue* order = document_.find("order")) {
      const std::string text = order->string().value_or("");
      if (text != "C" && text != "F") document_.wrong("order", "\"C\" or \"F\"", *order);
      if (text == "F" && rank > 1) {
        std::string axes;
        for (std::size_t i = rank; i-- > 0;) axes += std::to_string(i) + (i ? "," : "");
        chain.push_back({"transpose", "{\"order\":[" + axes + "]}"});
      }
    }
    bool has_own = false;
    for (const CodecInfo& step : steps) has_own |= makes_bytes(step.name);
    if (has_own && big_endian)
      fail(Errc::unsupported, doing_ + ": codec '" + steps.back().name +
                                  "' with big-endian elements; expected elements in little-endian order");
    if (!has_own)
      chain.push_back({"bytes", std::string("{\"endian\":\"") + (big_endian ? "big" : "little") + "\"}"});
    chain.insert(chain.end(), steps.begin(), steps.end());
    return chain;
  }

  /// The names that xarray keeps in an attribute; none if they do not fit.
  static std::vector<std::string> read_dims(JsonValue zattrs, std::size_t rank) {
    std::vector<std::string> dims;
    for (const JsonMember& member : zattrs.members()) {
      if (member.name != "_ARRAY_DIMENSIONS" || !member.value.is_array()) continue;
      bool fits = true;
      member.value.for_each_element([&](JsonValue name) {
        fits &= name.is_string() && dims.size() < rank;
        if (fits) dims.push_back(*name.string());
        return fits;
      });
      if (!fits || dims.size() != rank) dims.clear();
    }
    return dims;
  }

  JsonObject document_;
  std::string doing_;
};

// ------------------------------------------------------------------------------------------------- writing

MORSEL_INLINE std::string v2_dtype_json(const DType& dtype, bool big_endian) {
  if (!dtype.is_record()) {
    std::string text = dtype.numpy();
    if (text.empty() || std::string_view("<|").find(text[0]) == std::string_view::npos)
      fail(Errc::unsupported, "writing Zarr v2: NumPy has no name for dtype " + dtype.name());
    if (text[0] == '<' && big_endian) text[0] = '>';
    return json_string(text);
  }
  std::string fields;
  std::size_t end = 0;
  const auto add = [&](const std::string& field) { fields += (fields.empty() ? "[" : ",[") + field + "]"; };
  const auto pad_to = [&](std::size_t offset) {
    if (offset > end) add("\"\",\"|V" + std::to_string(offset - end) + "\"");
  };
  std::vector<const Field*> in_order;
  for (const Field& field : dtype.fields()) in_order.push_back(&field);
  std::sort(in_order.begin(), in_order.end(),
            [](const Field* a, const Field* b) { return a->offset_bytes < b->offset_bytes; });
  for (const Field* field : in_order) {
    pad_to(field->offset_bytes);
    std::string text = json_string(field->name) + "," + v2_dtype_json(field->dtype, big_endian);
    if (!field->shape.empty()) text += "," + json_list(field->shape);
    add(text);
    end = field->offset_bytes + static_cast<std::size_t>(size_of(field->shape)) * field->dtype.item_bytes();
  }
  pad_to(dtype.item_bytes());
  return "[" + fields + "]";
}

/// A codec as an object of numcodecs. **Fails**: unsupported for those that it does not have.
MORSEL_INLINE std::string v2_codec_json(const CodecInfo& codec) {
  const std::string doing = "writing Zarr v2: codec '" + codec.name + "'";
  const JsonDocument document(codec.configuration.empty() ? "{}" : codec.configuration, doing);
  std::string id = codec.name, members;
  const auto add = [&](const std::string& name, const std::string& value) {
    members += "," + json_string(name) + ":" + value;
  };
  constexpr std::string_view prefix = "numcodecs.";
  if (codec.name.starts_with(prefix)) {
    id = codec.name.substr(prefix.size());
    for (const JsonMember& member : document.root().members()) add(member.name, member.value.compact());
  } else if (codec.name == "gzip" || codec.name == "zstd") {
    for (const JsonMember& member : document.root().members())
      if (member.name != "checksum" || member.value.is_true()) add(member.name, member.value.compact());
  } else if (codec.name == "blosc") {
    // The size of a type is left out: numcodecs takes the elements'.
    for (const JsonMember& member : document.root().members()) {
      const std::string text = member.value.string().value_or("");
      if (member.name == "shuffle")
        add("shuffle", text == "noshuffle" ? "0" : text == "bitshuffle" ? "2" : "1");
      else if (member.name != "typesize")
        add(member.name, member.value.compact());
    }
  } else if (codec.name == "crc32c") {
    add("location", "\"end\"");
  } else {
    fail(Errc::unsupported, doing + ": the format has no such codec; expected one of numcodecs");
  }
  return "{\"id\":" + json_string(id) + members + "}";
}

/// A chain taken apart into what .zarray says of it.
struct V2Chain {
  bool is_f_order = false, big_endian = false;
  std::string filters = "null", compressor = "null";

  V2Chain(const std::vector<CodecInfo>& codecs, std::size_t rank) {
    std::size_t at = 0;
    if (at < codecs.size() && codecs[at].name == "transpose") {
      is_f_order = reverses_axes(codecs[at], rank);
      ++at;
    }
    std::vector<std::string> steps;
    bool has_bytes = false, has_arrays = false;
    for (; at < codecs.size(); ++at) {
      if (codecs[at].name == "bytes" && !has_bytes) {
        has_bytes = true;
        has_arrays = !steps.empty();
        const JsonDocument document(codecs[at].configuration.empty() ? "{}" : codecs[at].configuration,
                                    "writing Zarr v2: codec 'bytes'");
        for (const JsonMember& member : document.root().members())
          big_endian |= member.name == "endian" && member.value.string() == "big";
        continue;
      }
      has_bytes |= makes_bytes(codecs[at].name);
      steps.push_back(v2_codec_json(codecs[at]));
    }
    if (!has_bytes)
      fail(Errc::unsupported, "writing Zarr v2: no codec makes bytes of arrays; expected 'bytes'");
    if (has_arrays && big_endian)
      fail(Errc::unsupported,
           "writing Zarr v2: filters before big-endian bytes; expected little-endian bytes");
    if (steps.empty()) return;
    compressor = steps.back();
    steps.pop_back();
    if (!steps.empty()) filters = json_list(steps, [](const std::string& step) { return step; });
  }

  /// **Fails**: unsupported unless the axes are reversed or stay as they are.
  static bool reverses_axes(const CodecInfo& transpose, std::size_t rank) {
    const JsonDocument document(transpose.configuration, "writing Zarr v2: codec 'transpose'");
    const JsonObject object(document.root(), "writing Zarr v2: codec 'transpose'");
    const JsonValue order = object.at("order");
    if (order.string() == "F") return rank > 1;
    if (order.string() == "C") return false;
    const Shape axes = read_lengths(object, "order", 0);
    bool same = axes.size() == rank, reversed = same;
    for (std::size_t i = 0; i < axes.size() && i < rank; ++i) {
      same &= axes[i] == static_cast<Index>(i);
      reversed &= axes[i] == static_cast<Index>(rank - 1 - i);
    }
    if (!same && !reversed)
      fail(Errc::unsupported,
           "writing Zarr v2: the format has no such order of axes; expected C or F order, got " +
               transpose.configuration);
    return reversed && !same;
  }
};

}  // namespace detail

MORSEL_INLINE ZarrArray parse_zarr_v2(std::string_view zarray, std::string_view zattrs,
                                      const std::string& doing, RefusedArray* refused) {
  const detail::JsonDocument document(zarray, doing);
  const detail::JsonDocument attributes(zattrs.empty() ? "{}" : zattrs, doing + " (.zattrs)");
  return detail::ZarrV2Reader(document.root(), doing).read(attributes.root(), refused);
}

MORSEL_INLINE ZarrV2Documents zarr_v2_json(const ZarrArray& array) {
  if (array.keys.style != ChunkKeys::Style::v2)
    fail(Errc::unsupported, "writing Zarr v2: chunk keys of another format; expected those of Zarr v2");
  if (!array.chunk_lengths.empty() || array.is_bounded)
    fail(Errc::unsupported, "writing Zarr v2: chunks of differing shape; expected a regular grid");
  detail::check_fill(array, "writing Zarr v2");
  const detail::V2Chain chain(array.codecs, array.grid.rank());
  std::vector<std::byte> fill = array.fill;
  fill.resize(array.dtype.item_bytes());
  ZarrV2Documents documents;
  documents.zarray = "{\n  \"zarr_format\": 2,\n  \"shape\": " + detail::json_list(array.grid.shape()) +
                     ",\n  \"chunks\": " + detail::json_list(array.chunk_shape) +
                     ",\n  \"dtype\": " + detail::v2_dtype_json(array.dtype, chain.big_endian) +
                     ",\n  \"compressor\": " + chain.compressor +
                     ",\n  \"fill_value\": " + detail::fill_json(array.dtype, fill, chain.big_endian) +
                     ",\n  \"order\": \"" + (chain.is_f_order ? "F" : "C") + "\"" +
                     ",\n  \"filters\": " + chain.filters + ",\n  \"dimension_separator\": \"" +
                     std::string(1, array.keys.separator) + "\"\n}\n";
  Attributes attributes;
  for (const auto& attribute : array.attributes)
    if (attribute.first != "_ARRAY_DIMENSIONS" || array.dims.empty()) attributes.push_back(attribute);
  if (!array.dims.empty())
    attributes.emplace_back("_ARRAY_DIMENSIONS", detail::json_list(array.dims, [](const std::string& name) {
                              return json_string(name);
                            }));
  documents.zattrs = to_json(attributes, 2) + "\n";
  return documents;
}

}  // namespace morsel::inline MORSEL_ABI
