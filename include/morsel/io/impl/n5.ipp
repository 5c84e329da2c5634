#pragma once

#include <algorithm>
#include <morsel/io/impl/zarr_dtype.ipp>
#include <morsel/io/impl/zarr_grid.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// N5's compression as a list with the registry's codec, as JSON text; "[]" for raw blocks.
/// **Source**: the N5 specification, 4.0.0, and the attributes of its compressions.
MORSEL_INLINE std::string n5_codecs(const JsonObject& compression, const std::string& type) {
  const auto number = [&](const char* name, Index otherwise, Index lo, Index hi) {
    const JsonValue* value = compression.find(name);
    const Index n = value ? value->integer().value_or(otherwise) : otherwise;
    // Settings are for writers: what N5 has as "default" (-1) and other libraries' ranges do not matter.
    return std::to_string(n < lo || n > hi ? otherwise : n);
  };
  const auto codec = [](const std::string& name, const std::string& configuration) {
    return "[{\"name\":" + json_string(name) + ",\"configuration\":{" + configuration + "}}]";
  };
  if (type == "raw") return "[]";
  if (type == "gzip") {
    const JsonValue* zlib = compression.find("useZlib");
    return codec(zlib && zlib->is_true() ? "numcodecs.zlib" : "gzip",
                 "\"level\":" + number("level", 6, 0, 9));
  }
  if (type == "bzip2") return codec("numcodecs.bz2", "\"level\":" + number("blockSize", 9, 1, 9));
  if (type == "xz") return codec("numcodecs.lzma", "\"format\":1,\"preset\":" + number("preset", 6, 0, 9));
  if (type == "lz4") return codec("n5.lz4", "\"blockSize\":" + number("blockSize", 65536, 64, 32 << 20));
  if (type == "zstd")
    return codec("zstd", "\"level\":" + number("level", 3, -131072, 22) + ",\"checksum\":false");
  if (type == "blosc") {
    const JsonValue* name = compression.find("cname");
    return codec("numcodecs.blosc",
                 "\"cname\":" + json_string(name ? name->string().value_or("lz4") : "lz4") + ",\"clevel\":" +
                     number("clevel", 5, 0, 9) + ",\"shuffle\":" + number("shuffle", 1, 0, 2) +
                     ",\"blocksize\":" + number("blocksize", 0, 0, 2147483647));
  }
  return codec("n5." + type, "");
}

}  // namespace detail

MORSEL_INLINE ZarrArray parse_n5(std::string_view attributes_json, const std::string& doing,
                                 RefusedArray* refused) {
  const detail::JsonDocument json(attributes_json, doing);
  const detail::JsonObject document(json.root(), doing);
  const auto reversed = [](Shape shape) {
    std::reverse(shape.data(), shape.data() + shape.size());
    return shape;
  };
  const Shape dimensions = detail::read_lengths(document, "dimensions", 0);
  if (dimensions.empty()) document.wrong("dimensions", "at least one axis", document.at("dimensions"));
  const detail::JsonValue type = document.at("dataType");
  const std::string name = type.string().value_or("");
  if (refused) *refused = {reversed(dimensions), name};
  ZarrArray array;
  array.format = "n5";
  array.chunk_shape = reversed(detail::read_chunk_lengths(document, "blockSize", dimensions));
  array.grid = Grid::regular(reversed(dimensions), array.chunk_shape);
  array.keys = {ChunkKeys::Style::n5, '/'};
  if (name == "string" || name == "object")
    fail(Errc::unsupported, doing + ": elements of data type '" + name +
                                "' have a variable length; expected a type of fixed size");
  bool is_known = false;
  for (const Type t : {Type::int8, Type::int16, Type::int32, Type::int64, Type::uint8, Type::uint16,
                       Type::uint32, Type::uint64, Type::float32, Type::float64})
    if (name == name_of(t)) {
      array.dtype = t;
      is_known = true;
    }
  if (!is_known) document.wrong("dataType", "an integer type, float32 or float64", type);

  std::string codecs;
  if (const detail::JsonValue* compression = document.find("compression")) {
    const detail::JsonObject object(*compression, doing);
    const auto kind = compression->is_object() ? object.at("type").string() : std::nullopt;
    if (!kind) document.wrong("compression", "an object with a \"type\"", *compression);
    codecs = detail::n5_codecs(object, *kind);
  } else {
    const detail::JsonValue* kind = document.find("compressionType");  // before version 2
    if (!kind) document.at("compression");
    if (!kind->is_string()) document.wrong("compressionType", "a string", *kind);
    codecs = detail::n5_codecs(detail::JsonObject(detail::JsonValue("{}"), doing), *kind->string());
  }
  array.codecs = {{"n5.block", "{\"codecs\":" + codecs + "}"}};
  array.fill.resize(array.dtype.item_bytes());
  for (const detail::JsonMember& member : document.members()) {
    bool is_own = false;
    for (const char* own : {"n5", "dimensions", "blockSize", "dataType", "compression", "compressionType"})
      is_own |= member.name == own;
    if (!is_own) array.attributes.emplace_back(member.name, member.value.compact());
  }
  detail::check_sizes(array, doing);
  return array;
}

}  // namespace morsel::inline MORSEL_ABI
