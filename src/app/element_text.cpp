#include "element_text.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <complex>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>

namespace morsel::app {
namespace {

template <class T>
T load(const std::byte* element) {
  T value;
  std::memcpy(&value, element, sizeof value);
  return value;
}

template <class F>
void append_float(std::string& out, F value) {
  if (std::isnan(value)) {
    out += "nan";
    return;
  }
  if (std::isinf(value)) {
    out += value < 0 ? "-inf" : "inf";
    return;
  }
  char digits[48];
  const auto end = std::to_chars(digits, digits + sizeof digits, value);
  const std::string_view text(digits, static_cast<std::size_t>(end.ptr - digits));
  out += text;
  if (text.find_first_of(".e") == std::string_view::npos) out += ".0";
}

/// The fewest digits that read back as the same float16: the shortest of those decimals that lie in its
/// interval.
void append_half(std::string& out, float16 value) {
  const auto wide = static_cast<float>(value);
  if (!std::isfinite(wide)) return append_float(out, wide);
  for (int digits = 1; digits <= 5; ++digits) {
    char text[32];
    std::snprintf(text, sizeof text, "%.*g", digits, static_cast<double>(wide));
    float back = 0;
    std::from_chars(text, text + std::strlen(text), back);
    if (float16(back).bits != value.bits && digits < 5) continue;
    return append_float(out, back);
  }
}

template <class F>
void append_complex(std::string& out, std::complex<F> value, TextStyle style) {
  if (style == TextStyle::shown) out += '(';
  append_float(out, value.real());
  if (!std::signbit(value.imag()) || std::isnan(value.imag())) out += '+';
  append_float(out, value.imag());
  out += style == TextStyle::shown ? "j)" : "j";
}

void append_number(std::string& out, Type type, const std::byte* element, TextStyle style) {
  switch (type) {
    case Type::bool_: {
      const bool value = *element != std::byte{0};
      out += style == TextStyle::csv ? (value ? "1" : "0") : (value ? "True" : "False");
      return;
    }
    case Type::float16:
      return append_half(out, load<float16>(element));
    case Type::float32:
      return append_float(out, load<float>(element));
    case Type::float64:
      return append_float(out, load<double>(element));
    case Type::complex64:
      return append_complex(out, load<std::complex<float>>(element), style);
    case Type::complex128:
      return append_complex(out, load<std::complex<double>>(element), style);
    case Type::carried:
      return;
    default:
      visit_type(type, [&]<class T>() {
        if constexpr (std::is_integral_v<T>) out += std::to_string(load<T>(element));
      });
  }
}

// ---- types that are only carried
// ----------------------------------------------------------------------------------

bool has_prefix(std::string_view name, std::string_view prefix) {
  return name.size() > prefix.size() && name.substr(0, prefix.size()) == prefix;
}

bool is_text_of(const DType& dtype, char kind) {
  const std::string name = dtype.name();
  return name.size() > 1 && name[0] == kind && name.find_first_not_of("0123456789", 1) == std::string::npos;
}

void append_utf8(std::string& out, std::uint32_t code) {
  if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) code = 0xFFFD;
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 63));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 63));
    out += static_cast<char>(0x80 | (code & 63));
  } else {
    out += static_cast<char>(0xF0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 63));
    out += static_cast<char>(0x80 | ((code >> 6) & 63));
    out += static_cast<char>(0x80 | (code & 63));
  }
}

/// The text of an S or U element without the padding at its end; nothing for other types.
std::optional<std::string> text_of(const DType& dtype, const std::byte* element) {
  if (is_text_of(dtype, 'S')) {
    std::string text(reinterpret_cast<const char*>(element), dtype.item_bytes());
    text.erase(text.find_last_not_of('\0') + 1);
    return text;
  }
  if (is_text_of(dtype, 'U')) {
    std::size_t count = dtype.item_bytes() / 4;
    while (count > 0 && load<std::uint32_t>(element + 4 * (count - 1)) == 0) --count;
    std::string text;
    for (std::size_t i = 0; i < count; ++i) append_utf8(text, load<std::uint32_t>(element + 4 * i));
    return text;
  }
  return std::nullopt;
}

/// Year, month, day of a day counted from 1970-01-01 in the proleptic Gregorian calendar.
struct Date {
  std::int64_t year;
  int month, day;
};
Date date_of(std::int64_t days) {
  // Eras of 400 years that begin on 1 March, so that leap days come last.
  const std::int64_t shifted = days + 719468, era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
  const std::int64_t day_of_era = shifted - era * 146097;
  const std::int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t month_index = (5 * day_of_year + 2) / 153;
  const int month = static_cast<int>(month_index < 10 ? month_index + 3 : month_index - 9);
  return {year_of_era + era * 400 + (month <= 2), month,
          static_cast<int>(day_of_year - (153 * month_index + 2) / 5 + 1)};
}

/// ISO 8601 for M8[unit], "5 ns" for m8[unit], "NaT"; nothing for other types and units.
std::optional<std::string> time_of(const DType& dtype, const std::byte* element) {
  const std::string name = dtype.name();
  const bool is_date = has_prefix(name, "M8[");
  if (!is_date && !has_prefix(name, "m8[")) return std::nullopt;
  const std::string unit_text = name.substr(3, name.size() - 4);
  const std::size_t digits = unit_text.find_first_not_of("0123456789");
  if (digits == std::string::npos) return std::nullopt;
  const std::int64_t multiple = digits == 0 ? 1 : std::strtoll(unit_text.c_str(), nullptr, 10);
  const std::string unit = unit_text.substr(digits);
  const auto count = load<std::int64_t>(element);
  if (count == INT64_MIN) return "NaT";
  std::int64_t value;
  if (__builtin_mul_overflow(count, multiple, &value)) return std::nullopt;
  if (!is_date) return std::to_string(value) + " " + unit;

  const auto floor_div = [](std::int64_t a, std::int64_t b) { return a / b - (a % b < 0); };
  char text[80];
  if (unit == "Y" || unit == "M") {
    if (value > INT64_MAX - 1970 * 12) return std::nullopt;
    const std::int64_t months = unit == "M" ? value : 0,
                       year = 1970 + (unit == "Y" ? value : floor_div(months, 12));
    if (unit == "Y")
      std::snprintf(text, sizeof text, "%04lld", static_cast<long long>(year));
    else
      std::snprintf(text, sizeof text, "%04lld-%02d", static_cast<long long>(year),
                    static_cast<int>(months - floor_div(months, 12) * 12 + 1));
    return text;
  }
  static constexpr struct {
    const char* unit;
    std::int64_t per_day;
    int decimals;  ///< of a second; negative: fewer parts than seconds
  } units[] = {
      {"D", 1, -3},        {"h", 24, -2},          {"m", 1440, -1},           {"s", 86400, 0},
      {"ms", 86400000, 3}, {"us", 86400000000, 6}, {"ns", 86400000000000, 9}, {"ps", 86400000000000000, 12}};
  std::int64_t per_day = 0;
  int decimals = 0;
  if (unit == "W") {
    if (__builtin_mul_overflow(value, std::int64_t{7}, &value)) return std::nullopt;
    per_day = 1;
    decimals = -3;
  }
  for (const auto& row : units)
    if (unit == row.unit) {
      per_day = row.per_day;
      decimals = row.decimals;
    }
  if (per_day == 0) return std::nullopt;
  const std::int64_t day = floor_div(value, per_day);
  std::int64_t rest = value - day * per_day;
  if (day > INT64_MAX / 4 || day < INT64_MIN / 4) return std::nullopt;
  const Date date = date_of(day);
  int length = std::snprintf(text, sizeof text, "%04lld-%02d-%02d", static_cast<long long>(date.year),
                             date.month, date.day);
  if (decimals == -3) return text;
  const std::int64_t per_second = std::max<std::int64_t>(per_day / 86400, 1);
  const std::int64_t fraction = decimals > 0 ? rest % per_second : 0;
  const std::int64_t seconds = decimals >= 0 ? rest / per_second : rest * (86400 / per_day);
  length += std::snprintf(text + length, sizeof text - static_cast<std::size_t>(length), "T%02d",
                          static_cast<int>(seconds / 3600));
  if (decimals >= -1)
    length += std::snprintf(text + length, sizeof text - static_cast<std::size_t>(length), ":%02d",
                            static_cast<int>(seconds / 60 % 60));
  if (decimals >= 0)
    std::snprintf(text + length, sizeof text - static_cast<std::size_t>(length), ":%02d",
                  static_cast<int>(seconds % 60));
  std::string out(text);
  if (decimals > 0) {
    const std::string digits_of_fraction = std::to_string(fraction);
    out += '.' + std::string(static_cast<std::size_t>(decimals) - digits_of_fraction.size(), '0') +
           digits_of_fraction;
  }
  return out;
}

/// bfloat16 and integers of fewer than 8 bits as numbers; nothing for other types.
std::optional<double> small_number(const DType& dtype, const std::byte* element) {
  const std::string name = dtype.name();
  if (name == "bfloat16" && dtype.item_bytes() == 2)
    return std::bit_cast<float>(static_cast<std::uint32_t>(load<std::uint16_t>(element)) << 16);
  if (dtype.item_bytes() == 1 && (name == "int2" || name == "int4")) return load<std::int8_t>(element);
  if (dtype.item_bytes() == 1 && (name == "uint2" || name == "uint4")) return load<std::uint8_t>(element);
  return std::nullopt;
}

std::string hexadecimal(const DType& dtype, const std::byte* element) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out = "0x";
  for (std::size_t i = 0; i < dtype.item_bytes(); ++i) {
    out += digits[std::to_integer<unsigned>(element[i]) >> 4];
    out += digits[std::to_integer<unsigned>(element[i]) & 15];
  }
  return out;
}

/// Calls visit(item) for each element of a field's sub-array in C order, with brackets around each of its
/// axes.
template <class Visit, class Open, class Next, class Close>
void walk_field(const Field& field, const std::byte* data, Visit&& visit, Open&& open, Next&& next,
                Close&& close, std::size_t axis = 0) {
  if (axis == field.shape.size()) return visit(data);
  Index below = 1;
  for (std::size_t i = axis + 1; i < field.shape.size(); ++i) below *= field.shape[i];
  open();
  for (Index k = 0; k < field.shape[axis]; ++k) {
    if (k > 0) next();
    walk_field(field, data + static_cast<std::size_t>(k * below) * field.dtype.item_bytes(), visit, open,
               next, close, axis + 1);
  }
  close();
}

}  // namespace

void append_quoted(std::string& out, std::string_view text, TextStyle style) {
  if (style == TextStyle::csv) {
    if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
      out += text;
      return;
    }
    out += '"';
    for (const char c : text) out.append(c == '"' ? 2 : 1, c);
    out += '"';
    return;
  }
  out += '\'';
  for (const char c : text) {
    if (c == '\\' || c == '\'') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      char code[8];
      std::snprintf(code, sizeof code, "\\x%02x", static_cast<unsigned char>(c));
      out += code;
    } else {
      out += c;
    }
  }
  out += '\'';
}

void append_element(std::string& out, const DType& dtype, const std::byte* element, TextStyle style) {
  if (dtype.is_numeric()) return append_number(out, dtype.type(), element, style);
  if (dtype.is_record()) {
    std::string inner;
    inner += '(';
    for (std::size_t i = 0; i < dtype.fields().size(); ++i) {
      const Field& field = dtype.fields()[i];
      if (i > 0) inner += ", ";
      walk_field(
          field, element + field.offset_bytes,
          [&](const std::byte* item) { append_element(inner, field.dtype, item, TextStyle::shown); },
          [&] { inner += '['; }, [&] { inner += ", "; }, [&] { inner += ']'; });
    }
    inner += ')';
    if (style == TextStyle::csv)
      append_quoted(out, inner, style);
    else
      out += inner;
    return;
  }
  if (const auto text = text_of(dtype, element)) {
    if (style == TextStyle::shown && is_text_of(dtype, 'S')) out += 'b';
    return append_quoted(out, *text, style);
  }
  if (const auto time = time_of(dtype, element)) {
    out += *time;
  } else if (const auto number = small_number(dtype, element)) {
    if (dtype.name() == "bfloat16")
      append_float(out, static_cast<float>(*number));
    else
      out += std::to_string(static_cast<int>(*number));
  } else {
    out += hexadecimal(dtype, element);
  }
}

void write_element(JsonWriter& json, const DType& dtype, const std::byte* element) {
  if (dtype.is_record()) {
    json.begin_object();
    for (const Field& field : dtype.fields()) {
      json.key(field.name);
      walk_field(
          field, element + field.offset_bytes,
          [&](const std::byte* item) { write_element(json, field.dtype, item); }, [&] { json.begin_array(); },
          [] {}, [&] { json.end_array(); });
    }
    json.end_object();
    return;
  }
  switch (dtype.type()) {
    case Type::bool_:
      json.boolean(*element != std::byte{0});
      return;
    case Type::complex64: {
      const auto value = load<std::complex<float>>(element);
      json.begin_array().number(value.real()).number(value.imag()).end_array();
      return;
    }
    case Type::complex128: {
      const auto value = load<std::complex<double>>(element);
      json.begin_array().number(value.real()).number(value.imag()).end_array();
      return;
    }
    case Type::float16:
      json.number(static_cast<float>(load<float16>(element)));
      return;
    case Type::float32:
      json.number(load<float>(element));
      return;
    case Type::float64:
      json.number(load<double>(element));
      return;
    case Type::carried:
      break;
    default: {
      std::string digits;
      append_number(digits, dtype.type(), element, TextStyle::shown);
      json.raw(digits);
      return;
    }
  }
  if (const auto text = text_of(dtype, element))
    json.string(*text);
  else if (const auto time = time_of(dtype, element))
    json.string(*time);
  else if (const auto number = small_number(dtype, element))
    dtype.name() == "bfloat16" ? json.number(*number) : json.integer(static_cast<std::int64_t>(*number));
  else
    json.string(hexadecimal(dtype, element));
}

void write_dtype(JsonWriter& json, const DType& dtype) {
  if (!dtype.is_record()) {
    json.string(dtype.numpy());
    return;
  }
  json.begin_array();
  for (const Field& field : dtype.fields()) {
    json.begin_array().string(field.name);
    write_dtype(json, field.dtype);
    if (!field.shape.empty()) json.dims(field.shape);
    json.end_array();
  }
  json.end_array();
}

}  // namespace morsel::app
