// Single numbers of a codec's configuration, spelled as Zarr v3 spells fill values. For the bodies of codecs
// alone.
#pragma once

#include <charconv>
#include <morsel/io/impl/codecs/elements.hpp>
#include <utility>

namespace morsel::inline MORSEL_ABI::detail {

/// The bits that a text "0x..." with two digits for each byte gives, the highest first.
template <class U>
std::optional<U> bits_of_hex(const std::string& text) {
  U bits = 0;
  if (text.size() != 2 + 2 * sizeof(U) || !text.starts_with("0x")) return std::nullopt;
  const auto [stop, error] = std::from_chars(text.data() + 2, text.data() + text.size(), bits, 16);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return bits;
}

/// A real number. Texts of numbers are read like numbers. **Fails**: corrupt_data, naming the member.
/// **Source**: Zarr v3, fill value.
template <class T>
T scalar_of(const CodecConfig& config, const char* name, nlohmann::json value) {
  const nlohmann::json given = value;
  if (value.is_string()) {
    const std::string text = value.get<std::string>();
    if constexpr (is_float_v<T>) {
      const double infinity = std::numeric_limits<double>::infinity();
      if (text == "NaN") return cast_like_numpy<T>(std::numeric_limits<double>::quiet_NaN());
      if (text == "Infinity" || text == "-Infinity")
        return cast_like_numpy<T>(text[0] == '-' ? -infinity : infinity);
      if constexpr (std::is_same_v<T, float16>) {
        if (const auto bits = bits_of_hex<std::uint16_t>(text)) return float16::from_bits(*bits);
      } else if constexpr (std::is_same_v<T, float>) {
        if (const auto bits = bits_of_hex<std::uint32_t>(text)) return std::bit_cast<float>(*bits);
      } else {
        if (const auto bits = bits_of_hex<std::uint64_t>(text)) return std::bit_cast<double>(*bits);
      }
    }
    value = nlohmann::json::parse(text, nullptr, false);
  }
  if (value.is_number()) {
    if constexpr (is_float_v<T>) {
      return cast_like_numpy<T>(value.get<double>());
    } else if (value.is_number_unsigned()) {
      if (std::in_range<T>(value.get<std::uint64_t>())) return static_cast<T>(value.get<std::uint64_t>());
    } else if (value.is_number_integer()) {
      if (std::in_range<T>(value.get<std::int64_t>())) return static_cast<T>(value.get<std::int64_t>());
    } else {
      const T whole = cast_like_numpy<T>(value.get<double>());
      if (static_cast<double>(whole) == value.get<double>()) return whole;
    }
  }
  config.wrong(name, "a number that " + std::string(name_of(type_of<T>)) + " holds", given);
}

}  // namespace morsel::inline MORSEL_ABI::detail
