#pragma once

#include <charconv>
#include <cmath>
#include <morsel/io/attributes_json.hpp>
#include <nlohmann/json.hpp>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE std::string quote_non_finite(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  bool in_string = false;
  for (std::size_t i = 0; i < json.size();) {
    if (in_string) {
      if (json[i] == '\\' && i + 1 < json.size())
        out += json[i++];
      else if (json[i] == '"')
        in_string = false;
      out += json[i++];
      continue;
    }
    std::size_t length = 0;
    for (const std::string_view word :
         {std::string_view("NaN"), std::string_view("-Infinity"), std::string_view("Infinity")})
      if (json.compare(i, word.size(), word) == 0) length = word.size();
    if (length > 0) {
      out += '"';
      out += json.substr(i, length);
      out += '"';
      i += length;
      continue;
    }
    in_string = json[i] == '"';
    out += json[i++];
  }
  return out;
}

MORSEL_INLINE Attributes parse_attributes(std::string_view json_object, std::string_view doing) {
  using Json = nlohmann::ordered_json;
  const std::string text = quote_non_finite(json_object);
  Json parsed;
  try {
    // dump() recurses: a bound on the depth keeps hostile text from overflowing the stack.
    const Json::parser_callback_t bounded = [&](int depth, Json::parse_event_t, Json&) {
      if (depth > 256)
        fail(Errc::corrupt_data,
             std::string(doing) + ": JSON nested too deeply; expected at most 256 levels, got more");
      return true;
    };
    parsed = Json::parse(text, bounded);
  } catch (const Json::exception& e) {
    fail(Errc::corrupt_data, std::string(doing) + ": not JSON; expected an object, got " + e.what());
  }
  if (!parsed.is_object())
    fail(Errc::corrupt_data,
         std::string(doing) + ": wrong kind of JSON; expected an object, got " + parsed.type_name());
  Attributes attributes;
  for (const auto& item : parsed.items())
    attributes.emplace_back(item.key(), item.value().dump(-1, ' ', false, Json::error_handler_t::replace));
  return attributes;
}

MORSEL_INLINE std::string json_string(std::string_view text) {
  return nlohmann::json(std::string(text)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

namespace detail {

template <class T>
std::string json_number_of(T value) {
  if (!std::isfinite(value))
    return std::isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
  char digits[64];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
  std::string number(digits, end);
  if (number.find_first_of(".e") == std::string::npos) number += ".0";
  return number;
}

}  // namespace detail

MORSEL_INLINE std::string json_number(float value) { return detail::json_number_of(value); }
MORSEL_INLINE std::string json_number(double value) { return detail::json_number_of(value); }

MORSEL_INLINE std::string to_json(const Attributes& attributes, int indent) {
  if (attributes.empty()) return "{}";
  std::string text = "{";
  if (indent < 0) {
    for (std::size_t i = 0; i < attributes.size(); ++i)
      text += (i ? ", " : "") + json_string(attributes[i].first) + ": " + attributes[i].second;
    return text + "}";
  }
  const std::string margin(static_cast<std::size_t>(indent), ' ');
  for (std::size_t i = 0; i < attributes.size(); ++i)
    text += (i ? ",\n" : "\n") + margin + json_string(attributes[i].first) + ": " + attributes[i].second;
  return text + "\n}";
}

MORSEL_INLINE std::optional<std::string> find_attribute(const Attributes& attributes, std::string_view name) {
  for (std::size_t i = 0; i < attributes.size(); ++i)
    if (attributes[i].first == name) return attributes[i].second;
  return std::nullopt;
}

}  // namespace morsel::inline MORSEL_ABI
