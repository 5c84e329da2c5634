#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <morsel/base/bytes.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// A decimal number as people write it, read the same in every locale: digits, perhaps a point and an
/// exponent.
struct DecimalReader {
  std::string_view text;
  std::size_t at = 0;
  std::uint64_t digits = 0;  ///< all digits as one integer
  int exponent = 0;          ///< of ten
  bool is_exact = true;      ///< false if digits were dropped

  bool read_digits(bool fraction) {
    const std::size_t begin = at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
      const auto digit = static_cast<std::uint64_t>(text[at] - '0');
      if (digits > (std::numeric_limits<std::uint64_t>::max() - digit) / 10) {
        is_exact = false;
        exponent += !fraction;
      } else {
        digits = 10 * digits + digit;
        exponent -= fraction;
      }
    }
    return at > begin;
  }
  bool read() {
    bool some = read_digits(false);
    if (at < text.size() && text[at] == '.') {
      ++at;
      some |= read_digits(true);
    }
    return some && read_exponent();
  }
  /// "e3" and "e-3"; a letter e without digits is no exponent and no unit.
  bool read_exponent() {
    if (at == text.size() || (text[at] != 'e' && text[at] != 'E')) return true;
    ++at;
    const bool negative = at < text.size() && text[at] == '-';
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    int value = 0;
    const std::size_t begin = at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at)
      if (value < 10000) value = 10 * value + (text[at] - '0');
    exponent += negative ? -value : value;
    return at > begin;
  }
};

/// The factor of a unit such as "", "b", "kib", "MB"; 0 if it is none.
MORSEL_INLINE std::uint64_t factor_of_unit(std::string_view text) {
  std::string unit;
  for (const char c : text) unit += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (unit.empty() || unit == "b" || unit == "byte" || unit == "bytes") return 1;
  const std::size_t power = std::string_view("kmgtp").find(unit[0]);
  const std::string rest = unit.substr(1);
  if (power == std::string_view::npos) return 0;
  if (rest.empty() || rest == "i" || rest == "ib") return std::uint64_t{1} << (10 * (power + 1));
  if (rest != "b") return 0;
  std::uint64_t factor = 1000;
  for (std::size_t i = 0; i < power; ++i) factor *= 1000;
  return factor;
}

}  // namespace detail

MORSEL_INLINE std::size_t parse_bytes(std::string_view text) {
  const auto overflows = [&] {
    fail(Errc::overflow,
         "reading a byte size: too large; expected below 2^63, got '" + std::string(text) + "'");
  };
  constexpr std::string_view space = " \t";
  detail::DecimalReader number{text.substr(std::min(text.find_first_not_of(space), text.size()))};
  const bool is_number = number.read();
  std::string_view unit =
      number.text.substr(std::min(number.text.find_first_not_of(space, number.at), number.text.size()));
  unit = unit.substr(0, unit.find_last_not_of(space) + 1);
  const std::uint64_t factor = detail::factor_of_unit(unit);
  if (!is_number || factor == 0)
    fail(Errc::syntax_error,
         "reading a byte size: not understood; expected a number and a unit such as 256MiB, got '" +
             std::string(text) + "'");
  if (number.exponent == 0 && number.is_exact) {
    std::uint64_t bytes;
    if (__builtin_mul_overflow(number.digits, factor, &bytes) || bytes >> 63) overflows();
    return static_cast<std::size_t>(bytes);
  }
  const double scale = std::pow(10.0, std::abs(number.exponent));
  const auto digits = static_cast<double>(number.digits);
  const double bytes = (number.exponent < 0 ? digits / scale : digits * scale) * static_cast<double>(factor);
  if (number.digits != 0 && !(bytes < 9223372036854775807.0)) overflows();
  return number.digits == 0 ? 0 : static_cast<std::size_t>(std::round(bytes));
}

MORSEL_INLINE std::string format_bytes(std::size_t bytes) {
  static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  while (value >= 1023.5 && unit < 6) value /= 1024, ++unit;
  char text[48];
  if (unit == 0)
    std::snprintf(text, sizeof text, "%zu B", bytes);
  else
    std::snprintf(text, sizeof text, "%.*f %s",
                  value < 9.995   ? 2
                  : value < 99.95 ? 1
                                  : 0,
                  value, units[unit]);
  return text;
}

}  // namespace morsel::inline MORSEL_ABI
