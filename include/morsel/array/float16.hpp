// IEEE binary16: storage is 16 bits, every operation computes in float and rounds back at once.
#pragma once

#include <bit>
#include <compare>
#include <cstdint>
#include <morsel/base/config.hpp>

namespace morsel::inline MORSEL_ABI {

/// Bits of the binary16 nearest to a float (ties to even; overflow to infinity; NaN stays NaN, payload kept
/// at the top, quiet).
constexpr std::uint16_t float_to_half_bits(float value) {
  const std::uint32_t f = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (f >> 16) & 0x8000u;
  const std::uint32_t magnitude = f & 0x7fffffffu;
  if (magnitude >= 0x7f800000u) {
    if (magnitude == 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7c00u);
    return static_cast<std::uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x1ffu));
  }
  if (magnitude >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);
  if (magnitude >= 0x38800000u) {
    const std::uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
    return static_cast<std::uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
  }
  if (magnitude < 0x33000000u) return static_cast<std::uint16_t>(sign);
  const std::uint32_t exponent = magnitude >> 23;
  const std::uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
  const std::uint32_t shift = 126u - exponent;  // 14 .. 24
  const std::uint32_t half = mantissa >> shift;
  const std::uint32_t rest = mantissa & ((1u << shift) - 1u);
  const std::uint32_t middle = 1u << (shift - 1);
  const std::uint32_t up = rest > middle || (rest == middle && (half & 1u));
  return static_cast<std::uint16_t>(sign | (half + up));
}

/// The float with the value of a binary16 (exact; NaN payloads kept).
constexpr float half_bits_to_float(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1fu;
  std::uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (mantissa << 13));
  if (mantissa == 0) return std::bit_cast<float>(sign);
  std::uint32_t e = 113;
  while (!(mantissa & 0x400u)) mantissa <<= 1, --e;
  return std::bit_cast<float>(sign | (e << 23) | ((mantissa & 0x3ffu) << 13));
}

/// A 16-bit floating-point number.
struct float16 {
  std::uint16_t bits = 0;

  float16() = default;
  constexpr explicit(false) float16(float value) : bits(float_to_half_bits(value)) {}
  static constexpr float16 from_bits(std::uint16_t bits) {
    float16 h;
    h.bits = bits;
    return h;
  }
  constexpr operator float() const {
    return half_bits_to_float(bits);
  }  // NOLINT(google-explicit-constructor)

  friend constexpr float16 operator+(float16 a, float16 b) { return float(a) + float(b); }
  friend constexpr float16 operator-(float16 a, float16 b) { return float(a) - float(b); }
  friend constexpr float16 operator*(float16 a, float16 b) { return float(a) * float(b); }
  friend constexpr float16 operator/(float16 a, float16 b) { return float(a) / float(b); }
  friend constexpr float16 operator-(float16 a) {
    return from_bits(static_cast<std::uint16_t>(a.bits ^ 0x8000u));
  }
  friend constexpr bool operator==(float16 a, float16 b) { return float(a) == float(b); }
  friend constexpr std::partial_ordering operator<=>(float16 a, float16 b) { return float(a) <=> float(b); }
};
static_assert(sizeof(float16) == 2);

/// The binary16 nearest to a double, rounded once: a float between the two would round twice, so that one is
/// rounded to odd.
constexpr float16 half_of(double value) {
  const float nearest = static_cast<float>(value);
  const double back = nearest;
  if (back == value || value != value) return nearest;
  std::uint32_t bits = std::bit_cast<std::uint32_t>(nearest);
  if ((back < 0 ? -back : back) > (value < 0 ? -value : value)) --bits;
  return std::bit_cast<float>(bits | 1u);
}

}  // namespace morsel::inline MORSEL_ABI
