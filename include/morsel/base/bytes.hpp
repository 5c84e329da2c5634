// Byte counts as people write them: 256 * MiB, "256MiB", "1.5 GB".
#pragma once

#include <concepts>
#include <cstddef>
#include <morsel/base/error.hpp>
#include <string>
#include <string_view>

namespace morsel::inline MORSEL_ABI {

inline constexpr std::size_t KiB = std::size_t{1} << 10;
inline constexpr std::size_t MiB = std::size_t{1} << 20;
inline constexpr std::size_t GiB = std::size_t{1} << 30;
inline constexpr std::size_t TiB = std::size_t{1} << 40;

/// Bytes written as text: a number, to the nearest byte, with an optional unit B (byte, bytes), K, KB, KiB,
/// M, ... T, TiB (case-insensitive; KB, MB, ... are powers of 1000, all others of 1024). **Fails**:
/// syntax_error; overflow.
std::size_t parse_bytes(std::string_view text);

/// "4.00 MiB", "999 B": three significant digits, binary units.
std::string format_bytes(std::size_t bytes);

/// A byte count that converts from an integer or from text, for option aggregates.
class Bytes {
 public:
  constexpr Bytes() = default;
  template <std::integral I>
  constexpr Bytes(I count) : count_(static_cast<std::size_t>(count)) {  // NOLINT(google-explicit-constructor)
    if (count < I{0})
      fail(Errc::invalid_argument,
           "a byte size: negative; expected at least 0, got " + std::to_string(count));
  }
  Bytes(const char* text) : count_(parse_bytes(text)) {}         // NOLINT(google-explicit-constructor)
  Bytes(std::string_view text) : count_(parse_bytes(text)) {}    // NOLINT(google-explicit-constructor)
  Bytes(const std::string& text) : count_(parse_bytes(text)) {}  // NOLINT(google-explicit-constructor)
  constexpr std::size_t count() const { return count_; }
  constexpr bool is_default() const { return count_ == 0; }

 private:
  std::size_t count_ = 0;
};

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/base/impl/bytes.ipp>
#endif
