#pragma once

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <morsel/io/attributes_json.hpp>
#include <morsel/io/file_store.hpp>
#include <morsel/io/impl/codec_config.hpp>
#include <morsel/io/impl/option_reader.hpp>
#include <morsel/io/impl/zarr_codec_list.ipp>
#include <morsel/io/impl/zarr_dtype.ipp>
#include <morsel/io/reference_store.hpp>
#include <morsel/io/zarr.hpp>
#include <morsel/io/zarr_hierarchy.hpp>
#include <morsel/io/zarr_sink.hpp>
#include <morsel/io/zarr_source.hpp>
#include <morsel/io/zip_store.hpp>
#include <nlohmann/json.hpp>
#include <tuple>

namespace morsel::inline MORSEL_ABI {

namespace detail {

struct StoreAt {
  AnyStore store;
  std::string prefix;  // of the hierarchy's root in the store
};

MORSEL_INLINE StoreAt store_at(const Place& place) {
  if (place.is_directory) return {FileStore(place.path), ""};
  if (place.has_magic("PK")) {
    ZipStore zip(place.path);
    std::string root = zip.nested_root();
    return {std::move(zip), std::move(root)};
  }
  return {ReferenceStore(place.path), ""};
}

MORSEL_INLINE int asked_zarr_format(const FormatOptions& options, const std::string& doing) {
  OptionReader reader(options, doing);
  reader.take("keep_bool_bytes", {"0", "1"});  // bool is 0 or 1 either way
  const std::optional<std::string> format = reader.take("zarr_format", {"2", "3"});
  reader.finish();
  return format ? (*format)[0] - '0' : 0;
}

MORSEL_INLINE std::string names_of(const std::vector<Member>& members) {
  std::string text;
  for (std::size_t i = 0; i < members.size() && i < 8; ++i) text += (i == 0 ? "" : ", ") + members[i].path;
  if (members.size() > 8) text += " and " + std::to_string(members.size() - 8) + " more";
  return members.empty() ? "nothing" : text;
}

MORSEL_INLINE OpenedArray open_node(const StoreAt& at, const std::string& path, const FormatOptions& options,
                                    const std::string& place) {
  const std::string doing = "open '" + place + "'";
  ZarrHierarchyOptions how;
  how.zarr_format = asked_zarr_format(options, doing);
  const ZarrHierarchy hierarchy(at.store, at.prefix, how);
  const std::optional<ZarrNode> node = hierarchy.find(path);
  // An archive of a folder: the path may name that folder.
  const std::string folder = at.prefix.empty() ? "" : at.prefix + "/";
  if (!node && !folder.empty() && (path + "/").starts_with(folder))
    return open_node(at, path.size() < folder.size() ? "" : path.substr(folder.size()), options, place);
  if (!node) {
    std::string above = path;
    for (;;) {
      const std::size_t slash = above.rfind('/');
      above = slash == std::string::npos ? "" : above.substr(0, slash);
      if (above.empty() || hierarchy.find(above)) break;
    }
    fail(Errc::not_found, doing + ": no array or group at '" + path + "'; expected one of those in '" +
                              above + "': " + names_of(hierarchy.children(above)) + ", got '" + path + "'");
  }
  if (!node->refused.empty()) fail(node->refused_code, node->refused);
  if (!node->array)
    fail(Errc::not_found, doing + ": a group; expected an array in it: " +
                              names_of(hierarchy.children(path)) + ", got the group");
  std::vector<std::string> documents;
  if (node->format == "zarr_v3")
    documents = {hierarchy.key(path, "zarr.json")};
  else if (node->format == "zarr_v2")
    documents = {hierarchy.key(path, ".zarray"), hierarchy.key(path, ".zattrs")};
  else
    documents = {hierarchy.key(path, "attributes.json")};
  std::string key = hierarchy.key(path, "");
  while (!key.empty() && key.back() == '/') key.pop_back();
  ZarrSource source(at.store, key, *node->array, std::move(documents), doing);
  const View view = View::identity(source.spec().shape());
  return {std::move(source), view};
}

/// `path` up to the container's own name, and what follows inside: the first part that ends in one of the
/// endings, else the longest directory that is a hierarchy, else all of it.
MORSEL_INLINE std::pair<std::string, std::string> split_target(const std::string& path) {
  const auto is_named = [](std::string_view part) { return ends_with_ignoring_case(part, ".zarr"); };
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string prefix = path.substr(0, end);
    if (is_named(prefix)) {
      std::string inside = end == std::string::npos ? "" : path.substr(end + 1);
      return {prefix, tidy_path(inside, "a path inside of a hierarchy")};
    }
    if (end == std::string::npos) return {path, ""};
  }
}

MORSEL_INLINE std::string json_of(const std::vector<CodecInfo>& codecs) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const CodecInfo& codec : codecs) {
    nlohmann::ordered_json one{{"name", codec.name}};
    nlohmann::ordered_json configuration = nlohmann::ordered_json::parse(codec.configuration);
    if (!configuration.empty()) one["configuration"] = std::move(configuration);
    list.push_back(std::move(one));
  }
  return list.dump();
}

/// Codec from bytes to bytes by a short name, with level and shuffle.
MORSEL_INLINE CodecInfo short_codec(std::string_view text, std::size_t item_bytes, int zarr_format) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(':', begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  const std::string given(text);
  const auto wrong = [&](const std::string& expected) {
    fail(Errc::syntax_error,
         "reading codec '" + given + "': not understood; expected " + expected + ", got '" + given + "'");
  };
  std::string name = parts[0], compressor;
  if (name.starts_with("blosc-")) {
    compressor = name.substr(6);
    name = "blosc";
  }
  std::optional<int> level;
  std::string shuffle;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    int number = 0;
    const char* end = parts[i].data() + parts[i].size();
    if (const auto [stop, error] = std::from_chars(parts[i].data(), end, number);
        error == std::errc() && stop == end && !level)
      level = number;
    else if (name == "blosc" &&
             (parts[i] == "shuffle" || parts[i] == "bitshuffle" || parts[i] == "noshuffle"))
      shuffle = parts[i];
    else if (name == "blosc" && compressor.empty() && !parts[i].empty())
      compressor = parts[i];
    else
      wrong("NAME[:LEVEL], for blosc also :COMPRESSOR and :shuffle, :bitshuffle or :noshuffle");
  }
  const int most = name == "zstd" ? 22 : name == "lz4" ? 65537 : 9;
  if (level && (*level > most || *level < (name == "zstd" ? -100 : 0)))
    wrong("a level up to " + std::to_string(most));
  const bool v2 = zarr_format == 2;
  nlohmann::ordered_json c = nlohmann::ordered_json::object();
  std::string registered = name;
  if (name == "blosc") {
    if (shuffle.empty()) shuffle = item_bytes > 1 ? "shuffle" : "noshuffle";
    c["cname"] = compressor.empty() ? "lz4" : compressor;
    c["clevel"] = level.value_or(5);
    if (v2)
      c["shuffle"] = shuffle == "noshuffle" ? 0 : shuffle == "shuffle" ? 1 : 2;
    else
      c["shuffle"] = shuffle;
    if (!v2) c["typesize"] = std::clamp<std::size_t>(item_bytes, 1, 255);
    c["blocksize"] = 0;
  } else if (name == "zstd") {
    c["level"] = level.value_or(3);
    if (!v2) c["checksum"] = false;
  } else if (name == "gzip") {
    c["level"] = level.value_or(6);
  } else if (name == "zlib" || name == "bz2") {
    registered = "numcodecs." + name;
    c["level"] = level.value_or(name == "zlib" ? 6 : 9);
  } else if (name == "lz4") {
    registered = "numcodecs.lz4";
    c["acceleration"] = level.value_or(1);
  } else if (name == "lzma") {
    registered = "numcodecs.lzma";
    c["format"] = 1;
    c["check"] = -1;
    c["preset"] = level.value_or(6);
    c["filters"] = nullptr;
  } else if (name == "crc32c" && !level) {
  } else if ((name == "crc32" || name == "adler32" || name == "fletcher32") && !level) {
    registered = "numcodecs." + name;
  } else {
    wrong(
        "none, zstd, blosc, blosc-lz4, blosc-zstd, gzip, zlib, lz4, bz2, lzma or crc32c, with :LEVEL where "
        "there are some");
  }
  if (v2 && !registered.starts_with("numcodecs.")) registered = "numcodecs." + registered;
  return {registered, c.dump()};
}

MORSEL_INLINE std::vector<std::byte> fill_of_text(const std::string& text, const DType& dtype,
                                                  const std::string& doing) {
  if (text.empty()) return std::vector<std::byte>(dtype.item_bytes());
  // A word such as NaN need not be quoted.
  const bool word = text[0] != '"' &&
                    (std::isalpha(static_cast<unsigned char>(text[0])) || text == "-Infinity") &&
                    text != "true" && text != "false" && text != "null";
  const JsonDocument document("{\"fill_value\":" + (word ? json_string(text) : text) + "}", doing);
  return read_fill(dtype, document.root().members().front().value, FillReader{doing});
}

/// Is the text of a zarr.json that of an array?
MORSEL_INLINE bool is_array_document(const std::string& text) {
  const auto document = nlohmann::json::parse(quote_non_finite(text), nullptr, false);
  return document.is_object() && document.value("node_type", "") == "array";
}

/// The Zarr version in which a node is written: the one asked for, else that of the groups above it, else 3.
/// **Fails**: invalid_argument if the groups above are of another version, or are no Zarr groups: readers
/// would see one of the two alone.
MORSEL_INLINE int format_to_write(const AnyStore& store, const std::string& path,
                                  const std::optional<std::string>& asked, const std::string& doing) {
  std::optional<int> above;
  for (std::size_t end = path.empty() ? std::string::npos : 0; end != std::string::npos;) {
    const std::string group = path.substr(0, end);
    const auto refuse = [&](const std::string& what) {
      fail(Errc::invalid_argument, doing + ": " + what +
                                       " is in its way; expected groups of Zarr above it, got '" +
                                       (group.empty() ? "/" : group) + "'");
    };
    if (const auto text = get_text(store, joined(group, "zarr.json"))) {
      if (is_array_document(*text)) refuse("an array");
      above = 3;
    } else if (store.size(joined(group, ".zarray"))) {
      refuse("an array");
    } else if (store.size(joined(group, ".zgroup"))) {
      above = 2;
    } else if (store.size(joined(group, "attributes.json"))) {
      refuse("an N5 container");
    }
    end = path.find('/', end == 0 ? 0 : end + 1);
  }
  const int format = asked ? (*asked)[0] - '0' : above.value_or(3);
  if (format == 3 && (path.starts_with("__") || path.find("/__") != std::string::npos))
    fail(Errc::invalid_argument,
         doing +
             ": names that start with '__' are reserved in Zarr version 3, no reader would list it; "
             "expected another name, or version 2, got '" +
             path + "'");
  if (above && *above != format)
    fail(Errc::invalid_argument,
         doing + ": the groups above it are of another version of Zarr; expected zarr_format " +
             std::to_string(*above) + ", got " + std::to_string(format));
  return format;
}

inline bool is_registered(const std::string& name) {
  const std::vector<std::string> names = codec_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace detail

MORSEL_INLINE std::vector<CodecInfo> zarr_codecs(std::string_view text, const DType& dtype, int zarr_format) {
  if (!text.empty() && text[0] == '[') {
    return parse_zarr_codecs(text, "reading codecs");
  }
  std::vector<CodecInfo> codecs{
      {"bytes", dtype.swap_bytes() > 1 || dtype.is_record() ? R"({"endian":"little"})" : "{}"}};
  std::string chosen(text);
  if (chosen.empty()) {
    // Shuffled bytes of numbers compress better and faster.
    const bool blosc = dtype.is_numeric() && dtype.item_bytes() > 1 && detail::is_registered("blosc");
    chosen = blosc                           ? "blosc-zstd:3:shuffle"
             : detail::is_registered("zstd") ? "zstd:3"
             : detail::is_registered("gzip") ? "gzip:5"
                                             : "none";
  }
  if (chosen == "none") return codecs;
  for (std::size_t begin = 0; begin <= chosen.size();) {
    const std::size_t end = std::min(chosen.find('+', begin), chosen.size());
    codecs.push_back(detail::short_codec(std::string_view(chosen).substr(begin, end - begin),
                                         dtype.item_bytes(), zarr_format));
    begin = end + 1;
  }
  return codecs;
}

MORSEL_INLINE std::vector<CodecInfo> zarr_v3_codecs(std::vector<CodecInfo> codecs, const DType& dtype) {
  for (CodecInfo& codec : codecs) {
    constexpr std::string_view prefix = "numcodecs.";
    if (!codec.name.starts_with(prefix)) continue;
    const std::string name = codec.name.substr(prefix.size());
    const auto old = nlohmann::ordered_json::parse(codec.configuration, nullptr, false);
    if (!old.is_object()) continue;
    nlohmann::ordered_json made = nlohmann::ordered_json::object();
    if (name == "zstd") {
      made["level"] = old.value("level", 0);
      made["checksum"] = old.value("checksum", false);
    } else if (name == "gzip") {
      made["level"] = old.value("level", 1);
    } else if (name == "blosc") {
      const int shuffle = old.value("shuffle", 1);
      const std::size_t item = std::clamp<std::size_t>(dtype.item_bytes(), 1, 255);
      made["cname"] = old.value("cname", "lz4");
      made["clevel"] = old.value("clevel", 5);
      // -1: bits of single bytes, bytes of larger elements.
      made["shuffle"] = shuffle == 0                                   ? "noshuffle"
                        : shuffle == 2 || (shuffle == -1 && item == 1) ? "bitshuffle"
                                                                       : "shuffle";
      made["typesize"] = item;
      made["blocksize"] = old.value("blocksize", 0);
    } else {
      continue;
    }
    codec = {name, made.dump()};
  }
  return codecs;
}

MORSEL_INLINE std::string to_json(const std::vector<CodecInfo>& codecs) { return detail::json_of(codecs); }

MORSEL_INLINE ZarrHierarchy zarr_hierarchy(const Place& place) {
  const detail::StoreAt at = detail::store_at(place);
  return ZarrHierarchy(at.store, at.prefix);
}

MORSEL_INLINE ZarrTarget zarr_target(const std::string& path, const FormatOptions& options) {
  ZarrTarget target;
  std::tie(target.root, target.path) = detail::split_target(path);
  const std::string doing = "save '" + path + "'";
  detail::OptionReader reader(options, doing);
  const std::optional<std::string> asked = reader.take("zarr_format", {"2", "3"});
  target.zarr_format = detail::format_to_write(FileStore(target.root), target.path, asked, doing);
  return target;
}

MORSEL_INLINE void create_zarr_group(const AnyStore& store, std::string_view path,
                                     const Attributes& attributes, const FormatOptions& options) {
  const std::string inside = tidy_path(path, "a path inside of a hierarchy");
  const std::string doing = "make group '" + store.identity() + (inside.empty() ? "" : "/" + inside) + "'";
  detail::OptionReader reader(options, doing);
  const std::optional<std::string> asked = reader.take("zarr_format", {"2", "3"});
  reader.finish();
  const int format = detail::format_to_write(store, inside, asked, doing);
  for (const std::string_view name : {"zarr.json", ".zarray", "attributes.json"}) {
    const auto text = get_text(store, detail::joined(inside, std::string(name)));
    if (text && (name != "zarr.json" || detail::is_array_document(*text)))
      fail(Errc::already_exists, doing + ": an array is there; expected a group or nothing, got '" +
                                     std::string(name) + "' of an array");
  }
  detail::make_groups(store, inside, format);
  detail::put_group(store, inside, attributes, format);
}

MORSEL_INLINE OpenedArray open_zarr(const AnyStore& store, std::string_view path,
                                    const FormatOptions& options) {
  const std::string inside(path);
  return detail::open_node({store, ""}, inside, options,
                           inside.empty() ? store.identity() : store.identity() + "/" + inside);
}

MORSEL_INLINE AnyChunkSink create_zarr(const AnyStore& store, const std::string& given_root,
                                       std::string_view path, const NewArray& made) {
  const std::string inside = tidy_path(path, "a path inside of a hierarchy");
  // A store of files is a directory, however it was given.
  const std::string root = !given_root.empty()                     ? given_root
                           : store.identity().starts_with("file:") ? store.identity().substr(5)
                                                                   : "";
  const std::string doing =
      "save '" + (root.empty() ? store.identity() : root) + (inside.empty() ? "" : "/" + inside) + "'";
  detail::OptionReader options(made.options, doing);
  const int format = detail::format_to_write(store, inside, options.take("zarr_format", {"2", "3"}), doing);
  const std::optional<std::string> fill = options.take("fill_value");
  const bool is_f = options.take("order", {"C", "F"}).value_or("C") == "F";
  const std::optional<std::string> separator = options.take("separator", {".", "/"});
  ZarrSinkOptions sink;
  sink.omit_empty_chunks = options.take("empty_chunks", {"omit", "write"}).value_or("omit") == "omit";
  sink.consolidate = options.take("consolidate", {"0", "1"}).value_or("0") == "1";
  const bool fsync = options.take("fsync", {"0", "1"}).value_or("0") == "1";
  options.finish();
  sink.overwrite = made.overwrite;
  sink.resume = made.resume;
  sink.fingerprint = made.fingerprint;
  sink.with_others = made.with_others;
  sink.fsync = fsync;
  AnyStore target = fsync && !root.empty() ? AnyStore(FileStore(root, {.fsync = true})) : store;

  if (made.region) {
    ZarrHierarchyOptions how;
    const std::optional<ZarrNode> node = ZarrHierarchy(target, "", how).find(inside);
    if (!node || !node->array)
      fail(Errc::not_found, doing + ": no array to write a region of; expected one, got " +
                                (node ? node->refused.empty() ? "a group" : node->refused : "nothing"));
    ZarrArray array = *node->array;
    if (array.dtype != made.dtype)
      fail(Errc::dtype_mismatch, doing + ": the array's elements are of another type; expected " +
                                     array.dtype.name() + ", got " + made.dtype.name());
    const Region& region = *made.region;
    const Shape old = array.grid.shape();
    bool fits = region.rank() == old.size();
    Shape grown = old;
    for (std::size_t i = 0; fits && i < old.size(); ++i) {
      const bool appends = static_cast<int>(i) == made.append_axis;
      fits = region.lo[i] >= 0 && region.hi[i] - region.lo[i] == made.grid.axis(i).extent() &&
             (appends                 ? region.lo[i] == old[i]
              : made.append_axis >= 0 ? region.lo[i] == 0 && region.hi[i] == old[i]
                                      : region.hi[i] <= old[i]);
      if (appends) grown[i] = region.hi[i];
    }
    if (!fits)
      fail(Errc::shape_mismatch, doing + ": the region does not fit; expected a region of " + to_string(old) +
                                     " with the shape " + to_string(made.grid.shape()) + ", got " +
                                     to_string(region));
    if (grown != old) array.grid = Grid::regular(grown, array.chunk_shape);
    sink.origin = region.lo;
    sink.appends = made.append_axis >= 0;
    sink.documents = node->documents_text;
    return ZarrSink(std::move(target), root, inside, array, made.grid.shape(), sink);
  }

  ZarrArray array;
  array.format = format == 2 ? "zarr_v2" : "zarr_v3";
  array.dtype = made.dtype;
  array.dims = made.dims;
  array.attributes = made.attributes;
  array.keys = {format == 2 ? ChunkKeys::Style::v2 : ChunkKeys::Style::v3, separator     ? (*separator)[0]
                                                                           : format == 2 ? '.'
                                                                                         : '/'};
  const Shape shape = made.grid.shape();
  Shape chunk = made.grid.chunk_shape();
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const AxisGrid& axis = made.grid.axis(i);
    chunk[i] = std::max<Index>(1, made.chunk_shape.empty() ? chunk[i] : made.chunk_shape[i]);
    if (axis.is_uniform()) continue;
    if (made.asked_for_chunks)
      fail(Errc::unsupported, doing + ": chunks of unequal lengths along axis " + std::to_string(i) +
                                  "; expected equal ones, got " + to_string(made.grid));
  }
  std::vector<CodecInfo> codecs = zarr_codecs(made.codec, made.dtype, format);
  if (is_f && shape.size() > 1) {
    nlohmann::json order = nlohmann::json::array();
    for (std::size_t i = shape.size(); i-- > 0;) order.push_back(i);
    codecs.insert(codecs.begin(), {"transpose", nlohmann::json{{"order", order}}.dump()});
  }
  Shape outer = chunk;
  if (made.shards) {
    if (format == 2) fail(Errc::unsupported, doing + ": shards in Zarr version 2; expected version 3, got 2");
    nlohmann::ordered_json config = nlohmann::ordered_json::object();
    nlohmann::json inner = nlohmann::json::array();
    for (std::size_t i = 0; i < shape.size(); ++i) {
      inner.push_back(chunk[i]);
      outer[i] =
          std::max<Index>(1, made.shard_shape.empty() ? made.shards->axis(i).longest() : made.shard_shape[i]);
      // A shard that ends with the array holds whole chunks all the same.
      if (outer[i] == shape[i]) outer[i] = ceil_div(outer[i], chunk[i]) * chunk[i];
      if (outer[i] % chunk[i] != 0 || !made.shards->axis(i).is_uniform())
        fail(Errc::invalid_argument, doing + ": shards must hold whole chunks; expected multiples of " +
                                         to_string(chunk) + ", got " + to_string(made.shards->chunk_shape()));
    }
    config["chunk_shape"] = inner;
    config["codecs"] = nlohmann::json::parse(detail::json_of(codecs));
    config["index_codecs"] =
        nlohmann::json::parse(R"([{"name":"bytes","configuration":{"endian":"little"}},{"name":"crc32c"}])");
    config["index_location"] = "end";
    codecs = {{"sharding_indexed", config.dump()}};
  }
  array.codecs = codecs;
  array.chunk_shape = outer;
  array.grid = Grid::regular(shape, outer);
  array.fill = detail::fill_of_text(fill.value_or(""), made.dtype, doing);
  return ZarrSink(std::move(target), root, inside, array, shape, sink);
}

namespace detail {

MORSEL_INLINE std::vector<Format> zarr_formats() {
  const auto finish = [](Format& format) {
    format.open = [](const Place& place, const std::string& inside, const FormatOptions& options) {
      return open_node(store_at(place), inside, options,
                       inside.empty() ? place.path : place.path + "/" + inside);
    };
    format.list = [](const Place& place, const std::string& inside) -> std::optional<std::vector<Member>> {
      const StoreAt at = store_at(place);
      const ZarrHierarchy hierarchy(at.store, at.prefix);
      std::optional<ZarrNode> node = hierarchy.find(inside, ZarrDocuments::consolidated);
      if (!node && !at.prefix.empty() && inside == at.prefix) return hierarchy.children("");
      if (!node)
        fail(Errc::not_found, "listing '" + place.path + "': no array or group at '" + inside +
                                  "'; expected one of: " + names_of(hierarchy.children("")) + ", got '" +
                                  inside + "'");
      if (node->kind == Member::Kind::array) return std::nullopt;
      return hierarchy.children(inside);
    };
    format.attributes = [](const Place& place, const std::string& inside) {
      const StoreAt at = store_at(place);
      const std::optional<ZarrNode> node = ZarrHierarchy(at.store, at.prefix).find(inside);
      return node ? node->attributes : Attributes();
    };
  };
  std::vector<Format> formats;
  Format zarr;
  zarr.name = "zarr";
  zarr.title = "Zarr hierarchy";
  zarr.endings = {".zarr", ".zarr.zip"};
  zarr.recognises = [](const Place& place) {
    if (place.is_directory)
      return place.holds("zarr.json") || place.holds(".zarray") || place.holds(".zgroup") ||
             place.holds(".zmetadata");
    if (!place.has_magic("PK\x03\x04")) return false;
    for (const std::string_view first : {"zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"})
      if (place.has_magic(first, 30)) return true;
    try {
      const ZipStore zip(place.path);
      const std::string root = zip.nested_root();
      for (const std::string_view name : {"zarr.json", ".zarray", ".zgroup", ".zmetadata"})
        if (zip.size(root.empty() ? std::string(name) : root + "/" + std::string(name))) return true;
    } catch (const Error&) {
      // Not one that Zarr could be read from.
    }
    return false;
  };
  finish(zarr);
  zarr.create = [](const std::string& path, const NewArray& made) {
    const auto [root, inside] = split_target(path);
    if (ends_with_ignoring_case(root, ".zip"))
      fail(Errc::unsupported,
           "save '" + path +
               "': writing into zip archives is not supported; expected a directory, got an archive");
    return create_zarr(FileStore(root), root, inside, made);
  };
  zarr.create_group = [](const std::string& path, const Attributes& attributes, const FormatOptions& options,
                         const std::shared_ptr<WriteBatch>&) {
    const auto [root, inside] = split_target(path);
    if (ends_with_ignoring_case(root, ".zip"))
      fail(Errc::unsupported,
           "make group '" + path +
               "': writing into zip archives is not supported; expected a directory, got an archive");
    create_zarr_group(FileStore(root), inside, attributes, options);
  };
  formats.push_back(std::move(zarr));

  Format references;
  references.name = "kerchunk";
  references.title = "kerchunk reference document";
  references.recognises = [](const Place& place) {
    return !place.is_directory && is_reference_document(place.head);
  };
  finish(references);
  formats.push_back(std::move(references));

  Format n5;
  n5.name = "n5";
  n5.title = "N5 container";
  n5.endings = {".n5"};
  n5.recognises = [](const Place& place) { return place.is_directory && place.holds("attributes.json"); };
  finish(n5);
  formats.push_back(std::move(n5));
  return formats;
}

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI
