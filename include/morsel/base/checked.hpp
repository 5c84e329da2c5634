// Arithmetic on sizes that cannot overflow in silence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <morsel/base/error.hpp>

namespace morsel::inline MORSEL_ABI {

/// Positions and extents are signed 64-bit everywhere.
using Index = std::int64_t;

/// a * b. **Fails**: overflow, naming `what`.
inline Index checked_mul(Index a, Index b, const char* what = "size") {
  Index result;
  if (__builtin_mul_overflow(a, b, &result))
    fail(Errc::overflow, std::string(what) + " overflows; expected a product below 2^63, got " +
                             std::to_string(a) + " x " + std::to_string(b));
  return result;
}

/// a + b. **Fails**: overflow, naming `what`.
inline Index checked_add(Index a, Index b, const char* what = "size") {
  Index result;
  if (__builtin_add_overflow(a, b, &result))
    fail(Errc::overflow, std::string(what) + " overflows; expected a sum below 2^63, got " +
                             std::to_string(a) + " + " + std::to_string(b));
  return result;
}

/// ceil(a / b) for a >= 0, b > 0.
constexpr Index ceil_div(Index a, Index b) { return a / b + (a % b != 0); }

/// The smallest multiple of `step` that is at least `value`.
constexpr std::size_t round_up(std::size_t value, std::size_t step) {
  return (value + step - 1) / step * step;
}

}  // namespace morsel::inline MORSEL_ABI
