#pragma once

#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <morsel/base/bytes.hpp>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE std::size_t parse_bytes(std::string_view text) {
  const auto refuse = [&]() -> std::size_t {
    fail(Errc::syntax_error,
         "reading a byte size: not understood; expected a number and a unit such as 256MiB, got '" +
             std::string(text) + "'");
  };
  const std::string copy(text);
  if (copy.empty() || (!std::isdigit(static_cast<unsigned char>(copy[0])) && copy[0] != '.')) return refuse();
  if (copy.size() > 1 && (copy[1] == 'x' || copy[1] == 'X')) return refuse();
  char* end = nullptr;
  const double number = std::strtod(copy.c_str(), &end);
  std::string unit;
  for (; *end; ++end)
    if (!std::isspace(static_cast<unsigned char>(*end)))
      unit += static_cast<char>(std::tolower(static_cast<unsigned char>(*end)));
  double factor = 1;
  if (!unit.empty() && unit != "b") {
    const std::string letters = "kmgtp";
    const auto power = letters.find(unit[0]);
    if (power == std::string::npos) return refuse();
    const std::string rest = unit.substr(1);
    if (rest.empty() || rest == "ib" || rest == "i")
      factor = std::ldexp(1.0, 10 * static_cast<int>(power + 1));
    else if (rest == "b")
      factor = std::pow(1000.0, static_cast<double>(power + 1));
    else
      return refuse();
  }
  const double bytes = number * factor;
  if (!(bytes < 9.2e18))
    fail(Errc::overflow, "reading a byte size: too large; expected below 2^63, got '" + copy + "'");
  return static_cast<std::size_t>(bytes);
}

MORSEL_INLINE std::string format_bytes(std::size_t bytes) {
  static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  while (value >= 1024 && unit < 6) value /= 1024, ++unit;
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
