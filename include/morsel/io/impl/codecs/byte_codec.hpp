// What the codecs that turn bytes into bytes share. For their bodies alone.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>
#include <morsel/base/error.hpp>
#include <morsel/io/impl/codec_config.hpp>

namespace morsel::inline MORSEL_ABI::detail {

/// A name, and messages that start with it.
class ByteCodec {
 public:
  explicit ByteCodec(const CodecInfo& info) : name_(info.name) {}
  std::string_view name() const { return name_; }
  /// The libraries bring their own memory: see library_memory() of each.
  std::size_t scratch_bytes() const { return 0; }

 protected:
  [[noreturn]] void corrupt(const std::string& what) const {
    fail(Errc::corrupt_data, "decoding " + name_ + ": " + what);
  }
  [[noreturn]] void too_long(std::size_t room_bytes) const {
    corrupt("too many decoded bytes; expected at most " + std::to_string(room_bytes) + ", got more");
  }
  [[noreturn]] void too_short(std::size_t expected_bytes, std::size_t got_bytes) const {
    corrupt("cut short; expected at least " + std::to_string(expected_bytes) + " bytes, got " +
            std::to_string(got_bytes));
  }
  [[noreturn]] void trailing(std::size_t bytes) const {
    corrupt("bytes after the end; expected none, got " + std::to_string(bytes));
  }
  [[noreturn]] void encode_failed(const std::string& why) const {
    fail(Errc::internal_error, "encoding " + name_ + ": " + why);
  }
  void check_decoded_bytes(std::size_t bytes, std::size_t most) const {
    if (bytes > most)
      fail(Errc::unsupported, "preparing codec '" + name_ + "': chunks too large; expected at most " +
                                  std::to_string(most) + " bytes, got " + std::to_string(bytes));
  }

 private:
  std::string name_;
};

template <class C>
CodecDefinition byte_codec(std::vector<std::string> names) {
  return {std::move(names), CodecKind::bytes_to_bytes,
          [](const CodecInfo& info, const std::string& doing) { return AnyCodec(C(info, doing)); }};
}

/// The sum, or the largest number there is: bounds of sizes that cannot be.
constexpr std::size_t saturating_sum(std::size_t a, std::size_t b) {
  return a > std::numeric_limits<std::size_t>::max() - b ? std::numeric_limits<std::size_t>::max() : a + b;
}

inline std::uint32_t load_le32(const std::byte* from) {
  return std::to_integer<std::uint32_t>(from[0]) | std::to_integer<std::uint32_t>(from[1]) << 8 |
         std::to_integer<std::uint32_t>(from[2]) << 16 | std::to_integer<std::uint32_t>(from[3]) << 24;
}
inline void store_le32(std::uint32_t value, std::byte* to) {
  for (int i = 0; i < 4; ++i) to[i] = static_cast<std::byte>(value >> 8 * i);
}
/// memcpy for spans, whose pointers may be null when there is nothing to copy.
inline void copy_bytes(std::byte* to, const std::byte* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}
/// A pointer for libraries that refuse null, also where there is nothing.
template <class T>
T* not_null(T* pointer, T& otherwise) {
  return pointer ? pointer : &otherwise;
}

}  // namespace morsel::inline MORSEL_ABI::detail
