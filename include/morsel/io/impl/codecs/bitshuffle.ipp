#pragma once

#if MORSEL_HAVE_LZ4
#include <lz4.h>
#endif
#include <morsel/io/impl/codecs/filter_parameters.hpp>
#include <morsel/io/impl/codecs/lz4.ipp>
#include <morsel/io/impl/codecs/zstd.ipp>

namespace morsel::inline MORSEL_ABI::detail {

/// The transpose of 8 x 8 bits. **Source**: H. S. Warren, Hacker's Delight, 7-3.
inline std::uint64_t transposed_bits(std::uint64_t x) {
  std::uint64_t t = (x ^ x >> 7) & 0x00aa00aa00aa00aau;
  x ^= t ^ t << 7;
  t = (x ^ x >> 14) & 0x0000cccc0000ccccu;
  x ^= t ^ t << 14;
  t = (x ^ x >> 28) & 0x00000000f0f0f0f0u;
  return x ^ t ^ t << 28;
}

/// Elements of `item_bytes` from planes of their bits: bit k of byte b of all elements, eight to a byte, for
/// (b, k) in order. **Requires**: `count` is a multiple of 8.
inline void unshuffle_bits(const std::byte* from, std::byte* to, std::size_t count, std::size_t item_bytes) {
  const std::size_t plane_bytes = count / 8;
  for (std::size_t b = 0; b < item_bytes; ++b) {
    const std::byte* planes = from + 8 * b * plane_bytes;
    for (std::size_t j = 0; j < plane_bytes; ++j) {
      std::uint64_t x = 0;
      for (std::size_t k = 0; k < 8; ++k)
        x |= std::to_integer<std::uint64_t>(planes[k * plane_bytes + j]) << 8 * k;
      x = transposed_bits(x);
      std::byte* items = to + 8 * j * item_bytes + b;
      for (std::size_t i = 0; i < 8; ++i) items[i * item_bytes] = static_cast<std::byte>(x >> 8 * i);
    }
  }
}

/// The other way around.
inline void shuffle_bits(const std::byte* from, std::byte* to, std::size_t count, std::size_t item_bytes) {
  const std::size_t plane_bytes = count / 8;
  for (std::size_t b = 0; b < item_bytes; ++b) {
    std::byte* planes = to + 8 * b * plane_bytes;
    for (std::size_t j = 0; j < plane_bytes; ++j) {
      const std::byte* items = from + 8 * j * item_bytes + b;
      std::uint64_t x = 0;
      for (std::size_t i = 0; i < 8; ++i) x |= std::to_integer<std::uint64_t>(items[i * item_bytes]) << 8 * i;
      x = transposed_bits(x);
      for (std::size_t k = 0; k < 8; ++k) planes[k * plane_bytes + j] = static_cast<std::byte>(x >> 8 * k);
    }
  }
}

/// Planes of bits, block by block, each block perhaps compressed. **Source**: bitshuffle 0.5, filter 32008:
/// cd_values are version, version, element bytes, block elements (0: chosen), compressor (0 none, 2 LZ4, 3
/// zstd). Compressed data begin with their decoded bytes (64 bits) and block bytes (32 bits), each block with
/// its stored bytes (32 bits), all big-endian. The last elements, fewer than 8, are not shuffled.
class BitshuffleCodec : public FilterCodec {
 public:
  BitshuffleCodec(const CodecInfo& info, const std::string& doing) : FilterCodec(info) {
    const std::vector<std::uint32_t> numbers = filter_parameters(info, doing, 3);
    item_bytes_ = numbers[2];
    compressor_ = numbers.size() > 4 ? numbers[4] : 0;
    level_ = numbers.size() > 5 ? static_cast<int>(std::min(numbers[5], 22u)) : 3;
    block_items_ = numbers.size() > 3 ? numbers[3] : 0;
    if (item_bytes_ == 0 || block_items_ % 8 != 0)
      fail(Errc::corrupt_data,
           doing + ": codec '" + info.name +
               "': expected elements of at least one byte in blocks of a multiple of 8, got " +
               std::to_string(item_bytes_) + " bytes in blocks of " + std::to_string(block_items_));
    if (block_items_ == 0) block_items_ = std::max<std::size_t>(128, 8192 / item_bytes_ / 8 * 8);
#if MORSEL_HAVE_LZ4
    constexpr bool has_lz4 = true;
#else
    constexpr bool has_lz4 = false;
#endif
#if MORSEL_HAVE_ZSTD
    constexpr bool has_zstd = true;
#else
    constexpr bool has_zstd = false;
#endif
    const char* missing = compressor_ == 0 || (compressor_ == 2 && has_lz4) || (compressor_ == 3 && has_zstd)
                              ? nullptr
                          : compressor_ == 2 ? "needs liblz4, which this build is without"
                          : compressor_ == 3 ? "needs libzstd, which this build is without"
                                             : "an unknown compressor; expected 0, 2 (LZ4) or 3 (zstd)";
    if (missing)
      fail(Errc::unsupported,
           doing + ": codec '" + info.name + "', compressor " + std::to_string(compressor_) + ": " + missing);
  }
  BitshuffleCodec prepare(const DecodedSpec& spec) const {
    BitshuffleCodec codec = *this;
    codec.scratch_bytes_ =
        compressor_ == 0 ? 0
                         : round_up(std::min(saturating_sum(spec.bytes, 64),
                                             std::max<std::size_t>(block_items_ * item_bytes_, 1 << 16)),
                                    64);
    return codec;
  }
  std::size_t scratch_bytes() const { return scratch_bytes_; }
  CodecMemory library_memory() const {
#if MORSEL_HAVE_ZSTD
    if (compressor_ == 3)
      return {zstd_decoder_bytes(), zstd_encoder_bytes(level_, block_items_ * item_bytes_)};
#endif
    return {};
  }
  std::size_t max_encoded_bytes(std::size_t n) const {
    const std::size_t blocks = n / (block_items_ * item_bytes_) + 2;
    return saturating_sum(saturating_sum(n, n / 128), 128 * blocks);
  }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out,
                     std::span<std::byte> scratch) const {
    std::size_t bytes = in.size(), block_bytes = block_items_ * item_bytes_, at = 0;
    if (compressor_ != 0) {
      if (in.size() < 12) too_short(12, in.size());
      const std::uint64_t decoded = load_be64(in.data());
      check_room(static_cast<std::size_t>(std::min<std::uint64_t>(decoded, SIZE_MAX)), out.size());
      bytes = static_cast<std::size_t>(decoded);
      block_bytes = load_be32(in.data() + 8);
      at = 12;
      if (block_bytes == 0 || block_bytes % (8 * item_bytes_) != 0)
        corrupt("bad header; expected blocks of a multiple of " + std::to_string(8 * item_bytes_) +
                " bytes, got " + std::to_string(block_bytes));
    }
    check_room(bytes, out.size());
    std::size_t done = 0;
    const std::size_t whole = bytes / (8 * item_bytes_) * (8 * item_bytes_);
    while (done < whole) {
      const std::size_t block = std::min(block_bytes, whole - done);
      const std::span<const std::byte> planes =
          compressor_ == 0 ? in.subspan(done, block) : decompressed(in, at, block, scratch);
      unshuffle_bits(planes.data(), out.data() + done, block / item_bytes_, item_bytes_);
      done += block;
    }
    if (compressor_ == 0) at = done;
    if (in.size() - at < bytes - done) too_short(at + (bytes - done), in.size());
    copy_bytes(out.data() + done, in.data() + at, bytes - done);
    at += bytes - done;
    if (at < in.size()) trailing(in.size() - at);
    return bytes;
  }

  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out,
                     std::span<std::byte> scratch) const {
    if (out.size() < max_encoded_bytes(in.size())) encode_failed("no room");
    const std::size_t block_bytes = block_items_ * item_bytes_;
    std::size_t at = 0, done = 0;
    if (compressor_ != 0) {
      store_be64(in.size(), out.data());
      store_be32(static_cast<std::uint32_t>(block_bytes), out.data() + 8);
      at = 12;
    }
    const std::size_t whole = in.size() / (8 * item_bytes_) * (8 * item_bytes_);
    while (done < whole) {
      const std::size_t block = std::min(block_bytes, whole - done);
      std::byte* const planes = compressor_ == 0 ? out.data() + at : scratch.data();
      shuffle_bits(in.data() + done, planes, block / item_bytes_, item_bytes_);
      at += compressor_ == 0 ? block : compress(scratch.first(block), out.subspan(at));
      done += block;
    }
    copy_bytes(out.data() + at, in.data() + done, in.size() - done);
    return at + (in.size() - done);
  }

 private:
  /// A block behind its stored bytes; how much that is.
  std::size_t compress([[maybe_unused]] std::span<const std::byte> block, std::span<std::byte> out) const {
    std::size_t stored = 0;
    [[maybe_unused]] const std::span<std::byte> room = out.subspan(4);
#if MORSEL_HAVE_LZ4
    if (compressor_ == 2) {
      const std::size_t most = std::min<std::size_t>(room.size(), LZ4_COMPRESSBOUND(block.size()));
      stored = static_cast<std::size_t>(LZ4_compress_default(
          reinterpret_cast<const char*>(block.data()), reinterpret_cast<char*>(room.data()),
          static_cast<int>(block.size()), static_cast<int>(most)));
    }
#endif
#if MORSEL_HAVE_ZSTD
    if (compressor_ == 3) {
      thread_local std::unique_ptr<ZSTD_CCtx, FreeZstd> context(ZSTD_createCCtx());
      if (!context) throw std::bad_alloc();
      stored = ZSTD_compressCCtx(context.get(), room.data(), room.size(), block.data(), block.size(), level_);
      if (ZSTD_isError(stored)) stored = 0;
    }
#endif
    if (stored == 0) encode_failed("a block does not fit its room");
    store_be32(static_cast<std::uint32_t>(stored), out.data());
    return 4 + stored;
  }

  std::span<const std::byte> decompressed(std::span<const std::byte> in, std::size_t& at, std::size_t bytes,
                                          std::span<std::byte> scratch) const {
    if (in.size() - at < 4) too_short(at + 4, in.size());
    const std::size_t stored = load_be32(in.data() + at);
    at += 4;
    if (stored > in.size() - at) too_short(at + stored, in.size());
    if (bytes > scratch.size())
      corrupt("bad header; expected blocks of at most " + std::to_string(scratch.size()) + " bytes, got " +
              std::to_string(bytes));
    std::size_t got = 0;
#if MORSEL_HAVE_LZ4
    if (compressor_ == 2 && stored <= LZ4_MAX_INPUT_SIZE && bytes <= LZ4_MAX_INPUT_SIZE) {
      const int n = LZ4_decompress_safe(reinterpret_cast<const char*>(in.data()) + at,
                                        reinterpret_cast<char*>(scratch.data()), static_cast<int>(stored),
                                        static_cast<int>(bytes));
      got = n < 0 ? 0 : static_cast<std::size_t>(n);
    }
#endif
#if MORSEL_HAVE_ZSTD
    if (compressor_ == 3) {
      got = ZSTD_decompressDCtx(thread_zstd_decoder(), scratch.data(), bytes, in.data() + at, stored);
      if (ZSTD_isError(got)) got = 0;
    }
#endif
    if (got != bytes)
      corrupt("block at byte " + std::to_string(at) + " is damaged; expected " + std::to_string(bytes) +
              " decoded bytes, got " + (got == 0 ? "an error" : std::to_string(got)));
    at += stored;
    return scratch.first(bytes);
  }

  std::size_t item_bytes_ = 1, block_items_ = 0, scratch_bytes_ = 0;
  std::uint32_t compressor_ = 0;
  int level_ = 3;
};

inline std::vector<CodecDefinition> bitshuffle_codecs() {
  return {byte_codec<BitshuffleCodec>({"hdf5.bitshuffle"})};
}

}  // namespace morsel::inline MORSEL_ABI::detail
