// Attributes from and to JSON text.
#pragma once

#include <morsel/array/attributes.hpp>
#include <morsel/base/error.hpp>
#include <optional>
#include <string_view>

namespace morsel::inline MORSEL_ABI {

/// The members of a JSON object, in file order. `doing` starts the message. Bare NaN, Infinity and -Infinity,
/// which Python's json writes, become strings. **Fails**: corrupt_data (not JSON, not an object, nested
/// deeper than 256).
Attributes parse_attributes(std::string_view json_object, std::string_view doing);

/// A JSON object with the members in their order. `indent` < 0: on one line.
std::string to_json(const Attributes& attributes, int indent = -1);

/// The JSON text of an attribute, if it is there.
std::optional<std::string> find_attribute(const Attributes& attributes, std::string_view name);

/// JSON text without the spellings JSON does not have: bare NaN, Infinity, -Infinity outside strings become
/// strings.
std::string quote_non_finite(std::string_view json);

/// `text` as a JSON string, quotes included; bytes that are not UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

/// The shortest digits that give the number back, with a point or an exponent; "NaN", "Infinity" and
/// "-Infinity" as strings.
std::string json_number(float value);
std::string json_number(double value);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/attributes_json.ipp>
#endif
