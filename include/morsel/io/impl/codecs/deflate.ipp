#pragma once

#if MORSEL_HAVE_DEFLATE
#include <libdeflate.h>
#endif

#include <memory>
#include <morsel/io/impl/codecs/byte_codec.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

#if MORSEL_HAVE_DEFLATE

struct FreeDeflate {
  void operator()(libdeflate_compressor* c) const { libdeflate_free_compressor(c); }
  void operator()(libdeflate_decompressor* d) const { libdeflate_free_decompressor(d); }
};

/// The decompressor of this thread: 12 KiB.
inline libdeflate_decompressor* thread_inflater() {
  thread_local std::unique_ptr<libdeflate_decompressor, FreeDeflate> decompressor;
  if (!decompressor) decompressor.reset(libdeflate_alloc_decompressor());
  if (!decompressor) throw std::bad_alloc();
  return decompressor.get();
}

/// The compressor of this thread, for the level that it used last.
inline libdeflate_compressor* thread_deflater(int level) {
  thread_local std::unique_ptr<libdeflate_compressor, FreeDeflate> compressor;
  thread_local int level_of_compressor = -1;
  if (!compressor || level != level_of_compressor) {
    compressor.reset();
    compressor.reset(libdeflate_alloc_compressor(level));
    if (!compressor) throw std::bad_alloc();
    level_of_compressor = level;
  }
  return compressor.get();
}

/// gzip members, one or several, or one zlib stream. **Source**: RFC 1950, 1951, 1952.
class DeflateCodec : public ByteCodec {
 public:
  DeflateCodec(const CodecInfo& info, const std::string& doing)
      : ByteCodec(info), is_gzip_(info.name.ends_with("gzip")) {
    CodecConfig config(info, doing);
    const auto level = config.integer("level", is_gzip_ && info.name == "gzip" ? 5 : 1, -1, 9);
    level_ = level < 0 ? 6 : static_cast<int>(level);
    config.finish();
  }
  DeflateCodec prepare(const DecodedSpec&) const { return *this; }
  /// libdeflate has no function for it; its structures have one size per kind of level.
  CodecMemory library_memory() const {
    constexpr std::size_t kib = 1024;
    return {12 * kib, level_ == 0 ? 8 * kib : level_ == 1 ? 200 * kib : 660 * kib};
  }

  std::size_t max_encoded_bytes(std::size_t n) const {
    // The library's own bound would wrap around.
    if (n > std::numeric_limits<std::size_t>::max() / 2) return std::numeric_limits<std::size_t>::max();
    return is_gzip_ ? libdeflate_gzip_compress_bound(nullptr, n) : libdeflate_zlib_compress_bound(nullptr, n);
  }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    const std::size_t least = is_gzip_ ? 18 : 6;
    if (in.size() < least) too_short(least, in.size());
    std::byte nowhere{};
    std::size_t done = 0, at = 0;
    do {
      std::size_t read = 0, written = 0;
      const auto decompress = is_gzip_ ? libdeflate_gzip_decompress_ex : libdeflate_zlib_decompress_ex;
      const libdeflate_result result =
          decompress(thread_inflater(), in.data() + at, in.size() - at, not_null(out.data(), nowhere) + done,
                     out.size() - done, &read, &written);
      if (result == LIBDEFLATE_INSUFFICIENT_SPACE) too_long(out.size());
      if (result != LIBDEFLATE_SUCCESS)
        corrupt(std::string("damaged or cut short; expected a whole ") +
                (is_gzip_ ? "gzip member" : "zlib stream") + " with the right checksum from byte " +
                std::to_string(at) + " of " + std::to_string(in.size()) + ", got something else");
      at += read;
      done += written;
    } while (is_gzip_ && at < in.size() && in[at] != std::byte{0});
    // Zeros may follow the last member, as padding to the blocks of a tape.
    while (is_gzip_ && at < in.size() && in[at] == std::byte{0}) ++at;
    if (at < in.size()) trailing(in.size() - at);
    return done;
  }

  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    const std::byte nothing{};
    const auto compress = is_gzip_ ? libdeflate_gzip_compress : libdeflate_zlib_compress;
    const std::size_t written =
        compress(thread_deflater(level_), not_null(in.data(), nothing), in.size(), out.data(), out.size());
    if (written == 0) encode_failed("no room; expected more than " + std::to_string(out.size()) + " bytes");
    return written;
  }

 private:
  bool is_gzip_;
  int level_ = 0;
};

inline std::vector<CodecDefinition> deflate_codecs() {
  return {byte_codec<DeflateCodec>({"gzip", "numcodecs.gzip", "zlib", "numcodecs.zlib", "hdf5.deflate"})};
}

#else

inline std::vector<CodecDefinition> deflate_codecs() { return {}; }

#endif

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI
