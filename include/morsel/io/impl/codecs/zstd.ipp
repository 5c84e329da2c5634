#pragma once

#if MORSEL_HAVE_ZSTD
#if defined(ZSTD_STATIC_LINKING_ONLY)
#include <zstd.h>
#else
#define ZSTD_STATIC_LINKING_ONLY  // sizes of contexts
#include <zstd.h>
#undef ZSTD_STATIC_LINKING_ONLY
#endif
#endif

#include <memory>
#include <morsel/io/impl/codecs/byte_codec.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

#if MORSEL_HAVE_ZSTD

struct FreeZstd {
  void operator()(ZSTD_CCtx* c) const { ZSTD_freeCCtx(c); }
  void operator()(ZSTD_DCtx* d) const { ZSTD_freeDCtx(d); }
};

/// What a compressor takes for `bytes` or fewer in one piece: 0.5 to 3.5 MiB up to level 5; above, up to 17
/// times the bytes. What malloc adds is in it.
inline std::size_t zstd_encoder_bytes(int level, std::size_t bytes) {
  std::size_t most = 0;
  // The library has other parameters for each of these sizes.
  for (const std::size_t n : {std::size_t{16} << 10, std::size_t{128} << 10, std::size_t{256} << 10, bytes})
    most = std::max(most, ZSTD_estimateCCtxSize_usingCParams(
                              ZSTD_getCParams(level, std::max<std::size_t>(1, std::min(n, bytes)), 0)));
  return most + 4096;
}
inline std::size_t zstd_decoder_bytes() { return ZSTD_estimateDCtxSize() + 4096; }

/// The decompressor of this thread: 94 KiB, whatever the frames say, because they decode into one piece.
inline ZSTD_DCtx* thread_zstd_decoder() {
  thread_local std::unique_ptr<ZSTD_DCtx, FreeZstd> context;
  if (!context) context.reset(ZSTD_createDCtx());
  if (!context) throw std::bad_alloc();
  return context.get();
}

/// Frames of Zstandard, one or several, and skippable ones. **Source**: RFC 8878.
class ZstdCodec : public ByteCodec {
 public:
  ZstdCodec(const CodecInfo& info, const std::string& doing) : ByteCodec(info) {
    CodecConfig config(info, doing);
    const auto level =
        config.integer("level", 0, std::numeric_limits<int>::min(), std::numeric_limits<int>::max());
    level_ = std::clamp(static_cast<int>(level), ZSTD_minCLevel(), ZSTD_maxCLevel());
    has_checksum_ = config.boolean("checksum", false);
    config.finish();
  }
  ZstdCodec prepare(const DecodedSpec& spec) const {
    ZstdCodec prepared = *this;
    prepared.bytes_ = spec.bytes;
    return prepared;
  }
  CodecMemory library_memory() const { return {zstd_decoder_bytes(), zstd_encoder_bytes(level_, bytes_)}; }

  std::size_t max_encoded_bytes(std::size_t n) const {
    return saturating_sum(saturating_sum(n, n >> 8), 512);  // not less than ZSTD_compressBound
  }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    std::byte nowhere{};
    std::size_t done = 0, at = 0;
    if (in.empty()) too_short(9, 0);
    while (at < in.size()) {
      const std::span<const std::byte> rest = in.subspan(at);
      if (rest.size() < 8) too_short(at + 8, in.size());
      const std::uint32_t magic = load_le32(rest.data());
      const bool is_skippable = (magic & 0xfffffff0u) == 0x184d2a50u;
      // The library may know the formats before 0.8, too, which nobody stores arrays in.
      if (!is_skippable && magic != 0xfd2fb528u)
        corrupt("no frame at byte " + std::to_string(at) + "; expected the magic number 0xfd2fb528, got " +
                std::to_string(magic));
      const std::size_t frame_bytes = ZSTD_findFrameCompressedSize(rest.data(), rest.size());
      if (ZSTD_isError(frame_bytes))
        corrupt("frame at byte " + std::to_string(at) + " damaged or cut short; expected its end within " +
                std::to_string(in.size()) + " bytes, got " + ZSTD_getErrorName(frame_bytes));
      if (!is_skippable) {
        const std::size_t written =
            ZSTD_decompressDCtx(thread_zstd_decoder(), not_null(out.data(), nowhere) + done,
                                out.size() - done, rest.data(), frame_bytes);
        if (ZSTD_isError(written))
          corrupt("frame at byte " + std::to_string(at) + " damaged; expected at most " +
                  std::to_string(out.size() - done) + " decoded bytes, got " + ZSTD_getErrorName(written));
        done += written;
      }
      at += frame_bytes;
    }
    return done;
  }

  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    // Kept per thread only while it is small.
    thread_local std::unique_ptr<ZSTD_CCtx, FreeZstd> context;
    if (!context) context.reset(ZSTD_createCCtx());
    if (!context) throw std::bad_alloc();
    ZSTD_CCtx_reset(context.get(), ZSTD_reset_session_and_parameters);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level_);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, has_checksum_ ? 1 : 0);
    const std::byte nothing{};
    const std::size_t written =
        ZSTD_compress2(context.get(), out.data(), out.size(), not_null(in.data(), nothing), in.size());
    if (ZSTD_sizeof_CCtx(context.get()) > (std::size_t{8} << 20)) context.reset();
    if (ZSTD_isError(written)) encode_failed(ZSTD_getErrorName(written));
    return written;
  }

 private:
  int level_ = 0;
  std::size_t bytes_ = 0;  // of a chunk
  bool has_checksum_ = false;
};

inline std::vector<CodecDefinition> zstd_codecs() {
  return {byte_codec<ZstdCodec>({"zstd", "numcodecs.zstd", "hdf5.zstd"})};
}

#else

inline std::vector<CodecDefinition> zstd_codecs() { return {}; }

#endif

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI
