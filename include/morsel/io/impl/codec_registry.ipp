#pragma once

#include <algorithm>
#include <map>
#include <morsel/base/error.hpp>
#include <morsel/io/codec_registry.hpp>
#include <morsel/io/impl/codecs/bitshuffle.ipp>
#include <morsel/io/impl/codecs/blosc.ipp>
#include <morsel/io/impl/codecs/bytes.ipp>
#include <morsel/io/impl/codecs/bz2.ipp>
#include <morsel/io/impl/codecs/cast.ipp>
#include <morsel/io/impl/codecs/checksum.ipp>
#include <morsel/io/impl/codecs/deflate.ipp>
#include <morsel/io/impl/codecs/delta.ipp>
#include <morsel/io/impl/codecs/lz4.ipp>
#include <morsel/io/impl/codecs/lzf.ipp>
#include <morsel/io/impl/codecs/lzma.ipp>
#include <morsel/io/impl/codecs/n5_block.ipp>
#include <morsel/io/impl/codecs/nbit.ipp>
#include <morsel/io/impl/codecs/packbits.ipp>
#include <morsel/io/impl/codecs/scale.ipp>
#include <morsel/io/impl/codecs/scaleoffset.ipp>
#include <morsel/io/impl/codecs/shuffle.ipp>
#include <morsel/io/impl/codecs/szip.ipp>
#include <morsel/io/impl/codecs/transpose.ipp>
#include <morsel/io/impl/codecs/zfp.ipp>
#include <morsel/io/impl/codecs/zstd.ipp>
#include <mutex>

namespace morsel::inline MORSEL_ABI {

namespace detail {

std::vector<CodecDefinition> sharding_codecs();  // with the shards

/// The codecs that every build with their libraries has.
MORSEL_INLINE std::vector<CodecDefinition> core_codecs() {
  std::vector<CodecDefinition> codecs;
  const auto add = [&](std::vector<CodecDefinition> more) {
    for (CodecDefinition& definition : more) codecs.push_back(std::move(definition));
  };
  add(bitshuffle_codecs());
  add(blosc_codecs());
  add(bytes_codecs());
  add(bz2_codecs());
  add(cast_codecs());
  add(checksum_codecs());
  add(deflate_codecs());
  add(delta_codecs());
  add(lz4_codecs());
  add(lzf_codecs());
  add(lzma_codecs());
  add(n5_block_codecs());
  add(nbit_codecs());
  add(packbits_codecs());
  add(scale_codecs());
  add(scaleoffset_codecs());
  add(sharding_codecs());
  add(shuffle_codecs());
  add(szip_codecs());
  add(transpose_codecs());
#if MORSEL_HAVE_ZFP
  add(zfp_codecs());
#endif
  add(zstd_codecs());
  return codecs;
}

/// Why a codec that exists elsewhere is not here: a library, or a reason.
MORSEL_INLINE std::string why_no_codec(const std::string& name) {
  std::string id = name;
  for (const std::string_view prefix : {"numcodecs.", "zarrs.", "n5.", "hdf5."})
    if (id.starts_with(prefix)) id = id.substr(prefix.size());
  const auto is_any = [&](std::initializer_list<std::string_view> ids) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  };
#if !MORSEL_HAVE_DEFLATE
  if (is_any({"gzip", "zlib", "deflate", "crc32", "adler32"}))
    return "needs libdeflate, which this build is without";
#endif
#if !MORSEL_HAVE_ZSTD
  if (id == "zstd") return "needs libzstd, which this build is without";
#endif
#if !MORSEL_HAVE_BLOSC
  if (id == "blosc") return "needs c-blosc, which this build is without";
#endif
#if !MORSEL_HAVE_LZ4
  if (id == "lz4") return "needs liblz4, which this build is without";
#endif
#if !MORSEL_HAVE_AEC
  if (id == "szip") return "needs libaec, which this build is without";
#endif
#if !MORSEL_HAVE_BZIP2
  if (is_any({"bz2", "bzip2"})) return "needs libbz2, which this build is without";
#endif
#if !MORSEL_HAVE_LZMA
  if (id == "lzma") return "needs liblzma, which this build is without";
#endif
  if (is_any({"pcodec", "gdeflate"})) return "a codec without a C library that Morsel could use";
  if (is_any({"zfp", "zfpy"})) return "a build without libzfp; expected MORSEL_WITH_ZFP=ON";
  if (is_any({"vlen-utf8", "vlen-bytes", "vlen-array", "vlen", "vlen_v2", "n5_varlen"}))
    return "strings and lists of variable length, which are not elements of an array";
  if (is_any({"optional"})) return "a codec for elements that may be missing, which no dtype here has";
  if (is_any({"base64", "categorize"})) return "a codec for text, which Morsel does not keep in arrays";
  if (is_any({"conditional", "pad", "offset", "singleton_dim", "jpeg", "jpegxl", "jpeg2k", "lzw", "arrow-ipc",
              "nanovdb", "label_multiset", "n5_label_multiset"}))
    return "a codec that Morsel does not implement";
  if (is_any({"json", "json2", "msgpack2", "pickle", "msgpack"}))
    return "a codec for objects, which have no fixed size";
  return "a codec that this build does not have";
}

struct CodecTable {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<const CodecDefinition>> by_name;
  void add(CodecDefinition definition) {
    const auto shared = std::make_shared<const CodecDefinition>(std::move(definition));
    for (const std::string& name : shared->names) by_name[name] = shared;
  }
  CodecTable() {
    for (CodecDefinition& definition : core_codecs()) add(std::move(definition));
  }
};
MORSEL_INLINE CodecTable& codec_table() {
  static CodecTable table;
  return table;
}

}  // namespace detail

MORSEL_INLINE void register_codec(CodecDefinition definition) {
  detail::CodecTable& table = detail::codec_table();
  const std::lock_guard lock(table.mutex);
  table.add(std::move(definition));
}

MORSEL_INLINE std::shared_ptr<const CodecDefinition> find_codec(const std::string& name,
                                                                const std::string& doing) {
  detail::CodecTable& table = detail::codec_table();
  {
    const std::lock_guard lock(table.mutex);
    if (const auto it = table.by_name.find(name); it != table.by_name.end()) return it->second;
  }
  fail(Errc::unsupported, doing + ": codec '" + name + "': " + detail::why_no_codec(name));
}

MORSEL_INLINE std::vector<std::string> codec_names() {
  detail::CodecTable& table = detail::codec_table();
  const std::lock_guard lock(table.mutex);
  std::vector<std::string> names;
  for (const auto& [name, definition] : table.by_name) names.push_back(name);
  return names;
}

}  // namespace morsel::inline MORSEL_ABI

// Needs what is above.
#include <morsel/io/shard.hpp>
