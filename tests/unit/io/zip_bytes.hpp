// Zip archives and deflate streams, byte by byte, for the tests of their readers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "files.hpp"

namespace test {

inline std::uint32_t crc_of(const ByteVector& bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const std::byte b : bytes) {
    crc ^= std::to_integer<std::uint32_t>(b);
    for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc;
}

/// A deflate encoder: stored and fixed-code blocks in turn, matches at a few distances up to the whole
/// window.
class Deflater {
 public:
  static ByteVector encode(const ByteVector& data, std::size_t block_bytes) {
    Deflater out;
    for (std::size_t begin = 0, number = 0; begin == 0 || begin < data.size(); ++number) {
      std::size_t bytes = std::min(block_bytes, data.size() - begin);
      const bool is_stored = number % 5 == 1;
      if (is_stored) bytes = std::min<std::size_t>(bytes, 65535);
      out.bits(begin + bytes == data.size(), 1);
      out.bits(is_stored ? 0 : 1, 2);
      if (is_stored)
        out.stored(data, begin, bytes);
      else
        out.fixed(data, begin, bytes);
      begin += bytes;
      if (data.empty()) break;
    }
    if (out.filled_ > 0) out.bits(0, 8 - out.filled_);
    return out.bytes_;
  }

 private:
  void bits(std::uint32_t value, int count) {
    current_ |= std::uint64_t{value} << filled_;
    for (filled_ += count; filled_ >= 8; filled_ -= 8, current_ >>= 8)
      bytes_.push_back(static_cast<std::byte>(current_ & 0xff));
  }
  void code(std::uint32_t value, int count) {  // Huffman codes start with their highest bit
    std::uint32_t turned = 0;
    for (int i = 0; i < count; ++i) turned |= (value >> i & 1) << (count - 1 - i);
    bits(turned, count);
  }
  void stored(const ByteVector& data, std::size_t begin, std::size_t count) {
    if (filled_ > 0) bits(0, 8 - filled_);
    bits(static_cast<std::uint32_t>(count), 16);
    bits(static_cast<std::uint32_t>(~count & 0xffff), 16);
    bytes_.insert(bytes_.end(), data.begin() + static_cast<std::ptrdiff_t>(begin),
                  data.begin() + static_cast<std::ptrdiff_t>(begin + count));
  }
  void symbol(std::uint32_t s) {
    if (s < 144) return code(0x30 + s, 8);
    if (s < 256) return code(0x190 + s - 144, 9);
    if (s < 280) return code(s - 256, 7);
    code(0xc0 + s - 280, 8);
  }
  void fixed(const ByteVector& data, std::size_t begin, std::size_t count) {
    struct Distance {
      std::size_t distance;
      std::uint32_t code;
      std::uint32_t extra;
      int extra_bits;
    };
    static constexpr Distance distances[] = {
        {32768, 29, 8191, 13}, {8193, 26, 0, 12}, {4, 3, 0, 0}, {1, 0, 0, 0}};
    for (std::size_t at = begin; at < begin + count;) {
      std::size_t length = 0;
      Distance best{};
      for (const Distance& d : distances) {
        std::size_t n = 0;
        while (d.distance <= at && n < 258 && at + n < begin + count &&
               data[at + n] == data[at + n - d.distance])
          ++n;
        if (n > length) length = n, best = d;
      }
      if (length == 258) {
        symbol(285);
      } else if (length >= 3 && length <= 10) {
        symbol(static_cast<std::uint32_t>(254 + length));
      } else if (length >= 11) {  // code 265 + ...: use the group that starts at 11, 12 with one extra bit
        length = std::min<std::size_t>(length, 12);
        symbol(265);
        bits(static_cast<std::uint32_t>(length - 11), 1);
      } else {
        symbol(std::to_integer<std::uint32_t>(data[at++]));
        continue;
      }
      code(best.code, 5);
      bits(best.extra, best.extra_bits);
      at += length;
    }
    symbol(256);
  }

  ByteVector bytes_;
  std::uint64_t current_ = 0;
  int filled_ = 0;
};

struct ZipEntry {
  std::string name;
  ByteVector bytes;
  int method = 0;
  std::size_t block_bytes = 50'000;
  std::uint32_t flags = 0;  // 8: sizes and checksum follow the data, the local header has none
  std::uint32_t mode = 0;   // of Unix
};

inline void put(ByteVector& out, std::uint64_t value, int count) {
  for (int i = 0; i < count; ++i) out.push_back(static_cast<std::byte>(value >> 8 * i));
}
inline void put(ByteVector& out, const ByteVector& bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

/// A zip archive. With `zip64` every size and offset stands in the extra fields.
inline ByteVector zip_of(const std::vector<ZipEntry>& members, bool zip64 = false,
                         const std::string& before = "", const std::string& comment = "") {
  ByteVector out, directory;
  put(out, bytes_of(before));
  for (const ZipEntry& m : members) {
    const ByteVector packed = m.method == 8 ? Deflater::encode(m.bytes, m.block_bytes) : m.bytes;
    const std::uint64_t offset = out.size() - before.size();
    const auto common = [&](ByteVector& to, bool central) {
      put(to, central ? 0x02014b50 : 0x04034b50, 4);
      if (central) put(to, m.mode != 0 ? 0x32d : 45, 2);
      const bool is_late = !central && (m.flags & 8) != 0;
      put(to, 45, 2), put(to, m.flags, 2), put(to, static_cast<std::uint64_t>(m.method), 2), put(to, 0, 4);
      put(to, is_late ? 0 : crc_of(m.bytes), 4);
      put(to, zip64 ? 0xffffffff : is_late ? 0 : packed.size(), 4);
      put(to, zip64 ? 0xffffffff : is_late ? 0 : m.bytes.size(), 4);
      put(to, m.name.size(), 2), put(to, zip64 ? (central ? 28 : 20) : 0, 2);
      if (central)
        put(to, 0, 2), put(to, 0, 2), put(to, 0, 2), put(to, std::uint64_t{m.mode} << 16, 4),
            put(to, zip64 ? 0xffffffff : offset, 4);
      put(to, bytes_of(m.name));
      if (!zip64) return;
      put(to, 1, 2), put(to, central ? 24 : 16, 2), put(to, is_late ? 0 : m.bytes.size(), 8),
          put(to, is_late ? 0 : packed.size(), 8);
      if (central) put(to, offset, 8);
    };
    common(out, false);
    put(out, packed);
    if (m.flags & 8) {
      put(out, 0x08074b50, 4), put(out, crc_of(m.bytes), 4);
      put(out, packed.size(), zip64 ? 8 : 4), put(out, m.bytes.size(), zip64 ? 8 : 4);
    }
    common(directory, true);
  }
  const std::uint64_t begin = out.size() - before.size(), end = begin + directory.size();
  put(out, directory);
  if (zip64) {
    put(out, 0x06064b50, 4), put(out, 44, 8), put(out, 45, 2), put(out, 45, 2), put(out, 0, 8);
    put(out, members.size(), 8), put(out, members.size(), 8), put(out, directory.size(), 8),
        put(out, begin, 8);
    put(out, 0x07064b50, 4), put(out, 0, 4), put(out, end + before.size(), 8), put(out, 1, 4);
  }
  put(out, 0x06054b50, 4), put(out, 0, 4);
  put(out, zip64 ? 0xffff : members.size(), 2), put(out, zip64 ? 0xffff : members.size(), 2);
  put(out, zip64 ? 0xffffffff : directory.size(), 4), put(out, zip64 ? 0xffffffff : begin, 4);
  put(out, comment.size(), 2), put(out, bytes_of(comment));
  return out;
}

}  // namespace test
