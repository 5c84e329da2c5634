#pragma once

#if MORSEL_HAVE_LZ4
#include <lz4.h>
#endif

#include <bit>
#include <morsel/io/impl/codecs/filter_parameters.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

#if MORSEL_HAVE_LZ4

constexpr std::size_t lz4_bound(std::size_t n) { return saturating_sum(saturating_sum(n, n / 255), 16); }

/// One raw block behind the number of its decoded bytes, 4 bytes little-endian. Compressing takes 16 KiB of
/// stack.
class Lz4Codec : public ByteCodec {
 public:
  Lz4Codec(const CodecInfo& info, const std::string& doing) : ByteCodec(info) {
    CodecConfig config(info, doing);
    const auto acceleration =
        config.integer("acceleration", 1, std::numeric_limits<int>::min(), std::numeric_limits<int>::max());
    acceleration_ = static_cast<int>(std::clamp<std::int64_t>(acceleration, 1, 65537));
    config.finish();
  }
  Lz4Codec prepare(const DecodedSpec& spec) const {
    check_decoded_bytes(spec.bytes, LZ4_MAX_INPUT_SIZE);
    return *this;
  }
  std::size_t max_encoded_bytes(std::size_t n) const { return saturating_sum(lz4_bound(n), 4); }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    if (in.size() < 4) too_short(4, in.size());
    const std::size_t bytes = load_le32(in.data());
    if (bytes > out.size() || bytes > LZ4_MAX_INPUT_SIZE)
      corrupt("too many decoded bytes; expected at most " + std::to_string(out.size()) + ", got " +
              std::to_string(bytes));
    if (in.size() - 4 > std::numeric_limits<int>::max())
      corrupt("block too long; expected at most 2147483647 bytes, got " + std::to_string(in.size() - 4));
    char nowhere = 0;
    const int got = LZ4_decompress_safe(reinterpret_cast<const char*>(in.data()) + 4,
                                        not_null(reinterpret_cast<char*>(out.data()), nowhere),
                                        static_cast<int>(in.size() - 4), static_cast<int>(bytes));
    if (got < 0 || static_cast<std::size_t>(got) != bytes)
      corrupt("block damaged or cut short; expected " + std::to_string(bytes) + " decoded bytes, got " +
              (got < 0 ? "an error" : std::to_string(got)));
    return bytes;
  }

  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    if (in.size() > LZ4_MAX_INPUT_SIZE || out.size() < 4) encode_failed("no room");
    store_le32(static_cast<std::uint32_t>(in.size()), out.data());
    const char nothing = 0;
    const int room = static_cast<int>(std::min<std::size_t>(out.size() - 4, std::numeric_limits<int>::max()));
    const int written = LZ4_compress_fast(not_null(reinterpret_cast<const char*>(in.data()), nothing),
                                          reinterpret_cast<char*>(out.data()) + 4,
                                          static_cast<int>(in.size()), room, acceleration_);
    if (written <= 0) encode_failed("no room; expected more than " + std::to_string(out.size()) + " bytes");
    return 4 + static_cast<std::size_t>(written);
  }

 private:
  int acceleration_ = 1;
};

/// The 32-bit hash of the xxHash family. **Source**: its specification, version 0.1.1.
inline std::uint32_t xxh32(std::span<const std::byte> bytes, std::uint32_t seed) {
  constexpr std::uint32_t p1 = 0x9e3779b1, p2 = 0x85ebca77, p3 = 0xc2b2ae3d, p4 = 0x27d4eb2f, p5 = 0x165667b1;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint32_t hash = seed + p5;
  if (left >= 16) {
    std::uint32_t lanes[] = {seed + p1 + p2, seed + p2, seed, seed - p1};
    for (; left >= 16; left -= 16)
      for (std::uint32_t& lane : lanes) {
        lane = std::rotl(lane + load_le32(at) * p2, 13) * p1;
        at += 4;
      }
    hash =
        std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) + std::rotl(lanes[3], 18);
  }
  hash += static_cast<std::uint32_t>(bytes.size());
  for (; left >= 4; left -= 4, at += 4) hash = std::rotl(hash + load_le32(at) * p3, 17) * p4;
  for (; left > 0; --left, ++at) hash = std::rotl(hash + std::to_integer<std::uint32_t>(*at) * p5, 11) * p1;
  hash = (hash ^ hash >> 15) * p2;
  hash = (hash ^ hash >> 13) * p3;
  return hash ^ hash >> 16;
}

/// The blocks of lz4-java's block streams, which N5 stores: each behind a header of 21 bytes (magic, method
/// and size class, stored bytes, decoded bytes, checksum), the last one empty.
class Lz4BlocksCodec : public ByteCodec {
 public:
  Lz4BlocksCodec(const CodecInfo& info, const std::string& doing) : ByteCodec(info) {
    CodecConfig config(info, doing);
    block_bytes_ = static_cast<std::size_t>(config.integer("blockSize", 65536, 64, 32 << 20));
    config.finish();
  }
  Lz4BlocksCodec prepare(const DecodedSpec&) const { return *this; }

  std::size_t max_encoded_bytes(std::size_t n) const {
    // A block that would grow is stored; the library wants its own bound for the last one.
    const std::size_t blocks = n / block_bytes_ + 2;
    const std::size_t headers = blocks > (std::numeric_limits<std::size_t>::max() >> 5)
                                    ? std::numeric_limits<std::size_t>::max()
                                    : blocks * header_bytes;
    return saturating_sum(saturating_sum(n, headers), lz4_bound(block_bytes_) - block_bytes_);
  }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    std::size_t at = 0, done = 0;
    do {
      if (in.size() - at < header_bytes) too_short(at + header_bytes, in.size());
      const std::byte* header = in.data() + at;
      const std::string place = "block at byte " + std::to_string(at);
      if (std::memcmp(header, magic, 8) != 0)
        corrupt(place + ": expected the magic 'LZ4Block', got other bytes");
      const unsigned method = std::to_integer<unsigned>(header[8]) & 0xf0u;
      const std::size_t stored = load_le32(header + 9), bytes = load_le32(header + 13);
      at += header_bytes;
      if (stored > in.size() - at) too_short(at + stored, in.size());
      if (bytes > out.size() - done)
        corrupt(place + ": too many decoded bytes; expected at most " + std::to_string(out.size() - done) +
                ", got " + std::to_string(bytes));
      const std::span<std::byte> to = out.subspan(done, bytes);
      if (method == stored_method) {
        if (stored != bytes)
          corrupt(place + ": expected " + std::to_string(bytes) + " stored bytes, got " +
                  std::to_string(stored));
        copy_bytes(to.data(), in.data() + at, bytes);
      } else if (method == lz4_method && bytes > 0) {
        if (stored > LZ4_MAX_INPUT_SIZE || bytes > LZ4_MAX_INPUT_SIZE)
          corrupt(place + ": expected at most 2113929216 bytes, got " +
                  std::to_string(std::max(stored, bytes)));
        const int got = LZ4_decompress_safe(reinterpret_cast<const char*>(in.data()) + at,
                                            reinterpret_cast<char*>(to.data()), static_cast<int>(stored),
                                            static_cast<int>(bytes));
        if (got < 0 || static_cast<std::size_t>(got) != bytes)
          corrupt(place + " is damaged; expected " + std::to_string(bytes) + " decoded bytes, got " +
                  (got < 0 ? "an error" : std::to_string(got)));
      } else {
        corrupt(place + ": unknown method; expected 0x10 or 0x20, got " + std::to_string(method));
      }
      const std::uint32_t expected = load_le32(header + 17), got = bytes > 0 ? checksum(to) : expected;
      if (got != expected)
        corrupt(place + ": wrong checksum; expected " + std::to_string(expected) + ", got " +
                std::to_string(got));
      at += stored;
      done += bytes;
    } while (at < in.size());
    return done;
  }

  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    const auto size_class =
        static_cast<unsigned>(std::max(0, static_cast<int>(std::bit_width(block_bytes_ - 1)) - 10));
    std::size_t at = 0;
    const auto put_header = [&](unsigned method, std::size_t stored, std::size_t bytes, std::uint32_t sum) {
      std::byte* header = out.data() + at;
      std::memcpy(header, magic, 8);
      header[8] = static_cast<std::byte>(method | size_class);
      store_le32(static_cast<std::uint32_t>(stored), header + 9);
      store_le32(static_cast<std::uint32_t>(bytes), header + 13);
      store_le32(sum, header + 17);
      at += header_bytes + stored;
    };
    if (out.size() < max_encoded_bytes(in.size())) encode_failed("no room");
    for (std::size_t from = 0; from < in.size(); from += block_bytes_) {
      const std::span<const std::byte> block = in.subspan(from, std::min(block_bytes_, in.size() - from));
      const std::size_t room = std::min(out.size() - at - header_bytes, lz4_bound(block_bytes_));
      std::byte* const to = out.data() + at + header_bytes;
      const int written =
          LZ4_compress_default(reinterpret_cast<const char*>(block.data()), reinterpret_cast<char*>(to),
                               static_cast<int>(block.size()), static_cast<int>(room));
      const bool shrinks = written > 0 && static_cast<std::size_t>(written) < block.size();
      if (!shrinks) copy_bytes(to, block.data(), block.size());
      put_header(shrinks ? lz4_method : stored_method,
                 shrinks ? static_cast<std::size_t>(written) : block.size(), block.size(), checksum(block));
    }
    put_header(stored_method, 0, 0, 0);
    return at;
  }

 private:
  static constexpr char magic[] = "LZ4Block";
  static constexpr std::size_t header_bytes = 21;
  static constexpr unsigned stored_method = 0x10, lz4_method = 0x20;
  /// lz4-java keeps 28 bits of it.
  static std::uint32_t checksum(std::span<const std::byte> bytes) {
    return xxh32(bytes, 0x9747b28c) & 0x0fffffffu;
  }
  std::size_t block_bytes_ = 0;
};

/// The decoded bytes (64 bits), the bytes of a block (32 bits), and blocks, each behind its stored bytes (32
/// bits), all big-endian; a block that did not shrink is stored. **Source**: HDF5's registered filter 32004.
class Lz4FilterCodec : public FilterCodec {
 public:
  Lz4FilterCodec(const CodecInfo& info, const std::string& doing) : FilterCodec(info) {
    const std::vector<std::uint32_t> numbers = filter_parameters(info, doing);
    if (!numbers.empty() && numbers[0] > 0) block_bytes_ = numbers[0];
  }
  Lz4FilterCodec prepare(const DecodedSpec&) const { return *this; }
  std::size_t max_encoded_bytes(std::size_t n) const {
    return saturating_sum(saturating_sum(n, n / 255), 4 * (n / block_bytes_ + 2) + 64);
  }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    if (in.size() < 12) too_short(12, in.size());
    const std::uint64_t decoded = load_be64(in.data());
    check_room(static_cast<std::size_t>(std::min<std::uint64_t>(decoded, SIZE_MAX)), out.size());
    const auto bytes = static_cast<std::size_t>(decoded);
    const std::size_t block_bytes = load_be32(in.data() + 8);
    if (block_bytes == 0 && bytes > 0) corrupt("bad header; expected blocks of some bytes, got 0");
    std::size_t at = 12;
    for (std::size_t done = 0; done < bytes;) {
      const std::size_t block = std::min(block_bytes, bytes - done);
      if (in.size() - at < 4) too_short(at + 4, in.size());
      const std::size_t stored = load_be32(in.data() + at);
      at += 4;
      if (stored > in.size() - at) too_short(at + stored, in.size());
      if (stored == block) {
        std::memcpy(out.data() + done, in.data() + at, block);
      } else {
        const int got = stored > LZ4_MAX_INPUT_SIZE || block > LZ4_MAX_INPUT_SIZE
                            ? -1
                            : LZ4_decompress_safe(reinterpret_cast<const char*>(in.data()) + at,
                                                  reinterpret_cast<char*>(out.data()) + done,
                                                  static_cast<int>(stored), static_cast<int>(block));
        if (got < 0 || static_cast<std::size_t>(got) != block)
          corrupt("block at byte " + std::to_string(at) + " is damaged; expected " + std::to_string(block) +
                  " decoded bytes, got " + (got < 0 ? "an error" : std::to_string(got)));
      }
      at += stored;
      done += block;
    }
    return bytes;
  }
  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    if (out.size() < max_encoded_bytes(in.size())) encode_failed("no room");
    const std::size_t block_bytes =
        std::min({block_bytes_, in.size(), static_cast<std::size_t>(LZ4_MAX_INPUT_SIZE)});
    store_be64(in.size(), out.data());
    store_be32(static_cast<std::uint32_t>(block_bytes), out.data() + 8);
    std::size_t at = 12;
    for (std::size_t done = 0; done < in.size();) {
      const std::span<const std::byte> block = in.subspan(done, std::min(block_bytes, in.size() - done));
      std::byte* const to = out.data() + at + 4;
      const std::size_t room = std::min(block.size(), out.size() - at - 4);
      const int written =
          LZ4_compress_default(reinterpret_cast<const char*>(block.data()), reinterpret_cast<char*>(to),
                               static_cast<int>(block.size()), static_cast<int>(room));
      const bool shrinks = written > 0 && static_cast<std::size_t>(written) < block.size();
      if (!shrinks) copy_bytes(to, block.data(), block.size());
      const std::size_t stored = shrinks ? static_cast<std::size_t>(written) : block.size();
      store_be32(static_cast<std::uint32_t>(stored), out.data() + at);
      at += 4 + stored;
      done += block.size();
    }
    return at;
  }

 private:
  std::size_t block_bytes_ = std::size_t{1} << 30;
};

inline std::vector<CodecDefinition> lz4_codecs() {
  return {byte_codec<Lz4Codec>({"lz4", "numcodecs.lz4"}), byte_codec<Lz4BlocksCodec>({"n5.lz4"}),
          byte_codec<Lz4FilterCodec>({"hdf5.lz4"})};
}

#else

inline std::vector<CodecDefinition> lz4_codecs() { return {}; }

#endif

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI
