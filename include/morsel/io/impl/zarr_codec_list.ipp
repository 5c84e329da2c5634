// Named things of Zarr v3 documents, and lists of codecs.
#pragma once

#include <algorithm>
#include <morsel/io/codec_registry.hpp>
#include <morsel/io/impl/json_text.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// A named thing of a v3 document: "name" or {"name", "configuration", "must_understand"}.
struct Extension {
  std::string name;
  JsonValue configuration{std::string_view("{}")};
  bool must_understand = true;
};

MORSEL_INLINE Extension read_extension(JsonValue value, std::string_view what, const std::string& doing) {
  Extension extension;
  const auto refuse = [&] {
    fail(Errc::corrupt_data, doing + ": bad '" + std::string(what) +
                                 "'; expected a name or an object with a name, got " + value.shown());
  };
  if (const auto name = value.string()) {
    extension.name = *name;
  } else {
    for (const JsonMember& member : value.members()) {
      if (member.name == "name" && member.value.is_string())
        extension.name = *member.value.string();
      else if (member.name == "configuration" && member.value.is_object())
        extension.configuration = member.value;
      else if (member.name == "configuration" && member.value.is_null())
        continue;
      else if (member.name == "must_understand" && (member.value.is_true() || member.value.is_false()))
        extension.must_understand = member.value.is_true();
      else
        refuse();
    }
  }
  if (extension.name.empty()) refuse();
  return extension;
}

/// One that is always needed. **Fails**: corrupt_data if it says that it need not be understood.
MORSEL_INLINE Extension read_needed_extension(JsonValue value, std::string_view what,
                                              const std::string& doing) {
  Extension extension = read_extension(value, what, doing);
  if (!extension.must_understand)
    fail(Errc::corrupt_data, doing + ": bad '" + std::string(what) +
                                 "'; expected one that must be understood, got \"must_understand\": false");
  return extension;
}

/// The registry's name of a codec that has been called otherwise: by URIs before names were settled.
MORSEL_INLINE std::string registry_name(const std::string& name) {
  static constexpr std::pair<std::string_view, std::string_view> others[] = {
      {"endian", "bytes"},
      {"https://codec.zarrs.dev/array_to_array/bitround", "bitround"},
      {"https://codec.zarrs.dev/array_to_array/squeeze", "zarrs.squeeze"},
      {"https://codec.zarrs.dev/array_to_bytes/vlen", "zarrs.vlen"},
      {"https://codec.zarrs.dev/array_to_bytes/vlen_v2", "zarrs.vlen_v2"},
      {"https://codec.zarrs.dev/array_to_bytes/zfp", "zfp"},
      {"https://codec.zarrs.dev/array_to_bytes/zfpy", "numcodecs.zfpy"},
      {"https://codec.zarrs.dev/array_to_bytes/pcodec", "numcodecs.pcodec"},
      {"https://codec.zarrs.dev/bytes_to_bytes/bz2", "numcodecs.bz2"},
      {"https://codec.zarrs.dev/bytes_to_bytes/gdeflate", "zarrs.gdeflate"},
      {"https://codec.zarrs.dev/bytes_to_bytes/fletcher32", "numcodecs.fletcher32"},
      {"https://codec.zarrs.dev/bytes_to_bytes/shuffle", "numcodecs.shuffle"},
      {"https://codec.zarrs.dev/bytes_to_bytes/zlib", "numcodecs.zlib"},
      {"https://codec.zarrs.dev/bytes_to_bytes/adler32", "numcodecs.adler32"},
  };
  for (const auto& [other, registered] : others)
    if (name == other) return std::string(registered);
  for (const std::string_view prefix : {"https://zarr.dev/numcodecs/", "https://numcodecs.dev/"})
    if (name.starts_with(prefix)) return "numcodecs." + name.substr(prefix.size());
  // "https://purl.org/zarr/spec/codec/gzip/1.0"
  constexpr std::string_view purl = "https://purl.org/zarr/spec/codec/";
  if (name.starts_with(purl)) return name.substr(purl.size(), name.find('/', purl.size()) - purl.size());
  return name;
}

MORSEL_INLINE std::vector<CodecInfo> read_codecs(JsonValue list, const std::string& doing) {
  if (!list.is_array())
    fail(Errc::corrupt_data, doing + ": bad 'codecs'; expected a list, got " + list.shown());
  std::vector<CodecInfo> codecs;
  list.for_each_element([&](JsonValue element) {
    const Extension extension = read_extension(element, "codecs", doing);
    CodecInfo codec{registry_name(extension.name), extension.configuration.compact()};
    if (!extension.must_understand) {
      const std::vector<std::string> known = codec_names();
      if (!std::binary_search(known.begin(), known.end(), codec.name)) return true;
    }
    codecs.push_back(std::move(codec));
    if (codecs.size() > 64)
      fail(Errc::unsupported, doing + ": bad 'codecs'; expected at most 64 codecs, got " + list.shown());
    return true;
  });
  return codecs;
}

}  // namespace detail

MORSEL_INLINE std::vector<CodecInfo> parse_zarr_codecs(std::string_view json_list, const std::string& doing) {
  const detail::JsonDocument document("{\"codecs\":" + std::string(json_list) + "}", doing);
  return detail::read_codecs(document.root().members().front().value, doing);
}

}  // namespace morsel::inline MORSEL_ABI
