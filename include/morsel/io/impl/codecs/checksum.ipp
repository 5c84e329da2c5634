#pragma once

#if MORSEL_HAVE_DEFLATE
#include <libdeflate.h>
#endif

#include <array>
#include <bit>
#include <morsel/io/impl/codecs/byte_codec.hpp>

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#include <nmmintrin.h>
#endif

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// CRC-32C of all values of a byte, and of such bytes followed by 1 to 7 zeros.
struct Crc32cTables {
  std::array<std::array<std::uint32_t, 256>, 8> t{};
  constexpr Crc32cTables() {
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t crc = i;
      for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
      t[0][i] = crc;
    }
    for (std::size_t k = 1; k < 8; ++k)
      for (std::size_t i = 0; i < 256; ++i) t[k][i] = t[k - 1][i] >> 8 ^ t[0][t[k - 1][i] & 0xff];
  }
};

/// Eight bytes a step.
inline std::uint32_t crc32c_by_table(std::span<const std::byte> bytes) {
  static constexpr Crc32cTables tables;
  std::uint32_t crc = 0xffffffffu;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    const std::uint32_t low = load_le32(at) ^ crc, high = load_le32(at + 4);
    crc = tables.t[7][low & 0xff] ^ tables.t[6][low >> 8 & 0xff] ^ tables.t[5][low >> 16 & 0xff] ^
          tables.t[4][low >> 24] ^ tables.t[3][high & 0xff] ^ tables.t[2][high >> 8 & 0xff] ^
          tables.t[1][high >> 16 & 0xff] ^ tables.t[0][high >> 24];
  }
  for (; left > 0; --left, ++at)
    crc = crc >> 8 ^ tables.t[0][(crc ^ std::to_integer<std::uint32_t>(*at)) & 0xff];
  return ~crc;
}

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
/// The processor's own instruction.
__attribute__((target("sse4.2"))) inline std::uint32_t crc32c_by_instruction(
    std::span<const std::byte> bytes) {
  std::uint64_t crc = 0xffffffffu;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    crc = _mm_crc32_u64(crc, word);
  }
  auto last = static_cast<std::uint32_t>(crc);
  for (; left > 0; --left, ++at) last = _mm_crc32_u8(last, std::to_integer<std::uint8_t>(*at));
  return ~last;
}
#endif

/// **Source**: RFC 3720, appendix B.4 (Castagnoli's polynomial, reflected).
inline std::uint32_t crc32c(std::span<const std::byte> bytes) {
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  if (has_instruction) return crc32c_by_instruction(bytes);
#endif
  return crc32c_by_table(bytes);
}

/// Fletcher's sum over big-endian words of 16 bits, as HDF5 has it: an odd last byte is the high one.
/// **Source**: HDF5 File Format Specification, filter 3.
inline std::uint32_t fletcher32(std::span<const std::byte> bytes) {
  std::uint32_t sum1 = 0, sum2 = 0;
  const auto fold = [](std::uint32_t sum) { return (sum & 0xffff) + (sum >> 16); };
  std::size_t at = 0, words = bytes.size() / 2;
  while (words > 0) {
    // As many words as the sums can take without running over.
    std::size_t run = std::min<std::size_t>(words, 360);
    words -= run;
    for (; run > 0; --run, at += 2) {
      sum1 += std::to_integer<std::uint32_t>(bytes[at]) << 8 | std::to_integer<std::uint32_t>(bytes[at + 1]);
      sum2 += sum1;
    }
    sum1 = fold(sum1);
    sum2 = fold(sum2);
  }
  if (at < bytes.size()) {
    sum1 += std::to_integer<std::uint32_t>(bytes[at]) << 8;
    sum2 += sum1;
    sum1 = fold(sum1);
    sum2 = fold(sum2);
  }
  return fold(sum2) << 16 | fold(sum1);
}

/// **Source**: Bob Jenkins, lookup3.c (public domain), the hash of a string of bytes.
inline std::uint32_t jenkins_lookup3(std::span<const std::byte> prefix, std::span<const std::byte> bytes,
                                     std::uint32_t initial) {
  const std::size_t total = prefix.size() + bytes.size();
  std::uint32_t a = 0xdeadbeef + static_cast<std::uint32_t>(total) + initial, b = a, c = a;
  if (total == 0) return c;
  const auto byte_at = [&](std::size_t i) {
    return i < prefix.size() ? prefix[i] : bytes[i - prefix.size()];
  };
  std::size_t at = 0;
  const auto add_twelve = [&] {  // what is left, zeros behind it
    std::array<std::byte, 12> block{};
    const std::size_t count = std::min<std::size_t>(12, total - at);
    if (at >= prefix.size())
      std::memcpy(block.data(), bytes.data() + (at - prefix.size()), count);
    else
      for (std::size_t i = 0; i < count; ++i) block[i] = byte_at(at + i);
    a += load_le32(block.data());
    b += load_le32(block.data() + 4);
    c += load_le32(block.data() + 8);
    at += count;
  };
  while (total - at > 12) {
    add_twelve();
    a -= c, a ^= std::rotl(c, 4), c += b;
    b -= a, b ^= std::rotl(a, 6), a += c;
    c -= b, c ^= std::rotl(b, 8), b += a;
    a -= c, a ^= std::rotl(c, 16), c += b;
    b -= a, b ^= std::rotl(a, 19), a += c;
    c -= b, c ^= std::rotl(b, 4), b += a;
  }
  add_twelve();
  c ^= b, c -= std::rotl(b, 14);
  a ^= c, a -= std::rotl(c, 11);
  b ^= a, b -= std::rotl(a, 25);
  c ^= b, c -= std::rotl(b, 16);
  a ^= c, a -= std::rotl(c, 4);
  b ^= a, b -= std::rotl(a, 14);
  c ^= b, c -= std::rotl(b, 24);
  return c;
}

/// Four bytes, little-endian, before or after the bytes that they are a checksum of.
class ChecksumCodec : public ByteCodec {
 public:
  enum class Kind { crc32, crc32c, adler32, fletcher32, jenkins_lookup3 };

  ChecksumCodec(const CodecInfo& info, const std::string& doing) : ByteCodec(info) {
    CodecConfig config(info, doing);
    const std::size_t dot = info.name.find('.');
    const std::string id = dot == std::string::npos ? info.name : info.name.substr(dot + 1);
    kind_ = id == "crc32"        ? Kind::crc32
            : id == "crc32c"     ? Kind::crc32c
            : id == "adler32"    ? Kind::adler32
            : id == "fletcher32" ? Kind::fletcher32
                                 : Kind::jenkins_lookup3;
    if (kind_ == Kind::crc32 || kind_ == Kind::adler32 || (kind_ == Kind::crc32c && id != info.name)) {
      const std::string otherwise = kind_ == Kind::crc32c ? "end" : "start";
      const std::string location = config.text("location", otherwise);
      if (location != "start" && location != "end")
        config.wrong("location", "\"start\" or \"end\"", nlohmann::json(location));
      is_at_start_ = location == "start";
    }
    if (kind_ == Kind::jenkins_lookup3) {
      initial_ = static_cast<std::uint32_t>(
          config.integer("initval", 0, 0, std::numeric_limits<std::uint32_t>::max()));
      read_prefix(config);
    }
    config.finish();
  }
  ChecksumCodec prepare(const DecodedSpec&) const { return *this; }
  std::size_t max_encoded_bytes(std::size_t n) const { return saturating_sum(n, 4); }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    if (in.size() < 4) too_short(4, in.size());
    const std::span<const std::byte> payload = in.subspan(is_at_start_ ? 4 : 0, in.size() - 4);
    if (payload.size() > out.size())
      corrupt("too many decoded bytes; expected at most " + std::to_string(out.size()) + ", got " +
              std::to_string(payload.size()));
    const std::uint32_t stored = load_le32(is_at_start_ ? in.data() : in.data() + payload.size());
    const std::uint32_t computed = checksum(payload);
    // HDF5 before 1.6.3 stored its sum with the bytes of each half swapped.
    const std::uint32_t swapped = (computed & 0x00ff00ffu) << 8 | (computed >> 8 & 0x00ff00ffu);
    if (stored != computed && !(kind_ == Kind::fletcher32 && stored == swapped))
      corrupt("wrong checksum of " + std::to_string(payload.size()) + " bytes; expected " + hex(stored) +
              ", got " + hex(computed));
    copy_bytes(out.data(), payload.data(), payload.size());
    return payload.size();
  }

  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    if (out.size() < 4 || out.size() - 4 < in.size()) encode_failed("no room");
    copy_bytes(out.data() + (is_at_start_ ? 4 : 0), in.data(), in.size());
    store_le32(checksum(in), is_at_start_ ? out.data() : out.data() + in.size());
    return in.size() + 4;
  }

 private:
  static std::string hex(std::uint32_t value) {
    std::string text = "0x00000000";
    for (std::size_t i = 9; i > 1; --i, value >>= 4) text[i] = "0123456789abcdef"[value & 15];
    return text;
  }
  std::uint32_t checksum(std::span<const std::byte> bytes) const {
    switch (kind_) {
      case Kind::crc32c:
        return crc32c(bytes);
      case Kind::fletcher32:
        return fletcher32(bytes);
      case Kind::jenkins_lookup3:
        return jenkins_lookup3(prefix_, bytes, initial_);
#if MORSEL_HAVE_DEFLATE
      // Null would mean the initial value.
      case Kind::crc32:
        return bytes.empty() ? 0 : libdeflate_crc32(0, bytes.data(), bytes.size());
      case Kind::adler32:
        return bytes.empty() ? 1 : libdeflate_adler32(1, bytes.data(), bytes.size());
#endif
      default:
        return 0;
    }
  }
  /// A list of bytes, or text whose bytes count.
  void read_prefix(CodecConfig& config) {
    const nlohmann::json* prefix = config.find("prefix");
    if (!prefix) return;
    if (prefix->is_string()) {
      const auto text = prefix->get<std::string>();
      const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
      prefix_.assign(bytes.begin(), bytes.end());
      return;
    }
    if (!prefix->is_array()) config.wrong("prefix", "a list of bytes", *prefix);
    for (const nlohmann::json& byte : *prefix) {
      if (!byte.is_number_unsigned() || byte.get<std::uint64_t>() > 255)
        config.wrong("prefix", "numbers from 0 to 255", byte);
      prefix_.push_back(static_cast<std::byte>(byte.get<std::uint64_t>()));
    }
  }

  Kind kind_ = Kind::crc32c;
  bool is_at_start_ = false;
  std::uint32_t initial_ = 0;
  std::vector<std::byte> prefix_;
};

inline std::vector<CodecDefinition> checksum_codecs() {
  std::vector<std::string> names = {"crc32c", "fletcher32", "jenkins_lookup3"};
#if MORSEL_HAVE_DEFLATE
  names.insert(names.end(), {"crc32", "adler32"});
#endif
  for (std::size_t i = 0, n = names.size(); i < n; ++i) names.push_back("numcodecs." + names[i]);
  names.emplace_back("hdf5.fletcher32");
  return {byte_codec<ChecksumCodec>(std::move(names))};
}

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI
