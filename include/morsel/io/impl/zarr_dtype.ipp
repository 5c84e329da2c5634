// Data types and fill values of Zarr, both ways.
#pragma once

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <morsel/io/impl/json_text.hpp>
#include <morsel/io/impl/zarr_codec_list.ipp>
#include <morsel/io/zarr_metadata.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// Elements larger than this are refused: each array keeps one as its fill value.
inline constexpr std::size_t max_item_bytes = std::size_t{1} << 24;

// ------------------------------------------------------------------------------------------------- numbers

/// How a binary floating point format spends its bits. **Source**: the data types of the Zarr v3 registry.
struct FloatLayout {
  /// What the highest codes mean: as IEEE 754 has it; all ones NaN and no infinity; no -0, its code NaN; all
  /// finite; powers of two alone.
  enum class Specials : std::uint8_t { ieee, all_ones_nan, minus_zero_nan, finite, powers };
  const char* name;
  int bits, exponent_bits, mantissa_bits, bias;
  Specials specials;

  std::size_t bytes() const { return static_cast<std::size_t>(bits + 7) / 8; }
  std::uint64_t infinity() const { return ((std::uint64_t{1} << exponent_bits) - 1) << mantissa_bits; }
  std::uint64_t sign() const { return std::uint64_t{1} << (bits - 1); }
  std::uint64_t nan() const {
    switch (specials) {
      case Specials::ieee:
        return infinity() | std::uint64_t{1} << (mantissa_bits - 1);
      case Specials::all_ones_nan:
        return sign() - 1;
      case Specials::minus_zero_nan:
        return sign();
      case Specials::powers:
        return 0xff;
      case Specials::finite:
        break;
    }
    return 0;
  }
  bool has_nan() const { return specials != Specials::finite; }
  bool is_nan(std::uint64_t code) const {
    if (specials == Specials::ieee) return (code & (sign() - 1)) > infinity();
    if (specials == Specials::all_ones_nan) return (code & (sign() - 1)) == sign() - 1;
    return has_nan() && code == nan();
  }
  /// The largest finite code without a sign.
  std::uint64_t largest() const {
    return specials == Specials::ieee ? infinity() - 1
                                      : sign() - (specials == Specials::all_ones_nan ? 2 : 1);
  }
};

MORSEL_INLINE const FloatLayout* find_float_layout(std::string_view name) {
  using Specials = FloatLayout::Specials;
  static constexpr FloatLayout layouts[] = {
      {"float16", 16, 5, 10, 15, Specials::ieee},
      {"float32", 32, 8, 23, 127, Specials::ieee},
      {"float64", 64, 11, 52, 1023, Specials::ieee},
      {"bfloat16", 16, 8, 7, 127, Specials::ieee},
      {"float8_e3m4", 8, 3, 4, 3, Specials::ieee},
      {"float8_e4m3", 8, 4, 3, 7, Specials::ieee},
      {"float8_e5m2", 8, 5, 2, 15, Specials::ieee},
      {"float8_e4m3fn", 8, 4, 3, 7, Specials::all_ones_nan},
      {"float8_e4m3b11fnuz", 8, 4, 3, 11, Specials::minus_zero_nan},
      {"float8_e4m3fnuz", 8, 4, 3, 8, Specials::minus_zero_nan},
      {"float8_e5m2fnuz", 8, 5, 2, 16, Specials::minus_zero_nan},
      {"float8_e8m0fnu", 8, 8, 0, 127, Specials::powers},
      {"float6_e2m3fn", 6, 2, 3, 1, Specials::finite},
      {"float6_e3m2fn", 6, 3, 2, 3, Specials::finite},
      {"float4_e2m1fn", 4, 2, 1, 1, Specials::finite},
  };
  for (const FloatLayout& layout : layouts)
    if (name == layout.name) return &layout;
  return nullptr;
}

/// The code nearest to a value, ties to even, rounded once; nothing if the format has no code for it: NaN or
/// infinity where there is none, numbers beyond the largest where that does not mean infinity, zero and what
/// is no power of two where there are powers alone.
MORSEL_INLINE std::optional<std::uint64_t> float_code(double value, const FloatLayout& layout) {
  if (std::isnan(value)) return layout.has_nan() ? std::optional(layout.nan()) : std::nullopt;
  if (layout.bits == 64) return std::bit_cast<std::uint64_t>(value);
  const bool is_ieee = layout.specials == FloatLayout::Specials::ieee;
  const std::uint64_t sign = std::signbit(value) ? layout.sign() : 0;
  const double size = std::fabs(value);
  if (std::isinf(size)) return is_ieee ? std::optional(sign | layout.infinity()) : std::nullopt;
  int exponent = 0;
  const double fraction = std::frexp(size, &exponent);  // in [1/2, 1)
  --exponent;
  if (layout.specials == FloatLayout::Specials::powers) {
    if (sign || fraction != 0.5 || exponent < -127 || exponent > 127) return std::nullopt;
    return static_cast<std::uint64_t>(exponent + 127);
  }
  const int lowest = 1 - layout.bias;  // of a normal number
  const int at = size == 0 ? lowest : std::max(exponent, lowest);
  // The scaling is exact: the result is below 2^(mantissa bits + 1), and what falls below 1 keeps its bits.
  const double scaled = std::ldexp(size, layout.mantissa_bits - at);
  double whole = std::floor(scaled);
  const double rest = scaled - whole;
  if (rest > 0.5 || (rest == 0.5 && std::fmod(whole, 2.0) != 0)) whole += 1;
  const std::uint64_t code =
      (static_cast<std::uint64_t>(at - lowest) << layout.mantissa_bits) + static_cast<std::uint64_t>(whole);
  if (code > layout.largest()) return is_ieee ? std::optional(sign | layout.infinity()) : std::nullopt;
  if (code == 0 && layout.specials == FloatLayout::Specials::minus_zero_nan) return 0;
  return sign | code;
}

/// The value of a code; exact for every layout.
MORSEL_INLINE double float_value(std::uint64_t code, const FloatLayout& layout) {
  if (layout.bits == 64) return std::bit_cast<double>(code);
  if (layout.is_nan(code)) return std::numeric_limits<double>::quiet_NaN();
  if (layout.specials == FloatLayout::Specials::powers) return std::ldexp(1.0, static_cast<int>(code) - 127);
  const double sign = code & layout.sign() ? -1.0 : 1.0;
  const std::uint64_t size = code & (layout.sign() - 1);
  if (layout.specials == FloatLayout::Specials::ieee && size == layout.infinity())
    return sign * std::numeric_limits<double>::infinity();
  const auto exponent = static_cast<int>(size >> layout.mantissa_bits);
  const std::uint64_t one = std::uint64_t{1} << layout.mantissa_bits;
  const std::uint64_t mantissa = (size & (one - 1)) + (exponent > 0 ? one : 0);
  return sign * std::ldexp(static_cast<double>(mantissa),
                           std::max(exponent, 1) - layout.bias - layout.mantissa_bits);
}

/// Bits and signedness of an integer dtype, numeric or carried ("int4").
struct IntegerLayout {
  int bits = 0;
  bool is_signed = false;
};
MORSEL_INLINE std::optional<IntegerLayout> find_integer_layout(const DType& dtype) {
  if (is_integer(dtype.type()))
    return IntegerLayout{static_cast<int>(dtype.item_bytes()) * 8, is_signed_integer(dtype.type())};
  if (dtype.is_numeric() || dtype.is_record()) return std::nullopt;
  const std::string name = dtype.name();
  if (name == "int2" || name == "int4") return IntegerLayout{name == "int2" ? 2 : 4, true};
  if (name == "uint2" || name == "uint4") return IntegerLayout{name == "uint2" ? 2 : 4, false};
  return std::nullopt;
}

/// The floating point format of an element, and how many of them it has (2: complex); nothing for others.
struct FloatElements {
  const FloatLayout* layout = nullptr;
  int count = 0;
};
MORSEL_INLINE FloatElements find_float_elements(const DType& dtype) {
  if (dtype.type() == Type::complex64) return {find_float_layout("float32"), 2};
  if (dtype.type() == Type::complex128) return {find_float_layout("float64"), 2};
  if (dtype.is_record()) return {};
  const std::string name = dtype.name();
  constexpr std::string_view complex = "complex_";
  const bool is_pair = name.starts_with(complex);
  const FloatLayout* layout =
      find_float_layout(is_pair ? std::string_view(name).substr(complex.size()) : name);
  return {layout, layout ? is_pair ? 2 : 1 : 0};
}

/// The letter of a carried NumPy type: S, U, V, M or m; 0 for others.
MORSEL_INLINE char numpy_letter(const DType& dtype) {
  if (dtype.is_numeric() || dtype.is_record()) return 0;
  const std::string name = dtype.name();
  if (name.size() < 2 || std::string_view("SUVMm").find(name[0]) == std::string_view::npos) return 0;
  const bool is_time = name[0] == 'M' || name[0] == 'm';
  return is_time ? name[1] == '8' ? name[0] : '\0' : name[1] >= '0' && name[1] <= '9' ? name[0] : '\0';
}

/// `bytes` low bytes of a number, in native byte order.
MORSEL_INLINE void put_native(std::byte* out, std::uint64_t code, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) {
    const std::size_t at = std::endian::native == std::endian::little ? i : bytes - 1 - i;
    out[at] = static_cast<std::byte>(code >> (8 * i));
  }
}
MORSEL_INLINE std::uint64_t get_native(const std::byte* in, std::size_t bytes) {
  std::uint64_t code = 0;
  for (std::size_t i = 0; i < bytes; ++i) {
    const std::size_t at = std::endian::native == std::endian::little ? i : bytes - 1 - i;
    code |= std::to_integer<std::uint64_t>(in[at]) << (8 * i);
  }
  return code;
}

// -------------------------------------------------------------------------------------------------- base64

/// Strict: the standard alphabet, padded, nothing else. Nothing for other text.
MORSEL_INLINE std::optional<std::vector<std::byte>> bytes_of_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::vector<std::byte> out;
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::uint32_t group = 0;
    int padding = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const char c = text[i + k];
      std::uint32_t digit = 0;
      if (c >= 'A' && c <= 'Z')
        digit = static_cast<std::uint32_t>(c - 'A');
      else if (c >= 'a' && c <= 'z')
        digit = static_cast<std::uint32_t>(c - 'a') + 26;
      else if (c >= '0' && c <= '9')
        digit = static_cast<std::uint32_t>(c - '0') + 52;
      else if (c == '+' || c == '/')
        digit = c == '+' ? 62 : 63;
      else if (c == '=' && i + 4 == text.size() && k >= 2)
        ++padding;
      else
        return std::nullopt;
      if (padding > 0 && c != '=') return std::nullopt;
      group = group << 6 | digit;
    }
    for (int k = 0; k < 3 - padding; ++k) out.push_back(static_cast<std::byte>(group >> (16 - 8 * k)));
  }
  return out;
}

MORSEL_INLINE std::string base64_of_bytes(std::span<const std::byte> bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? std::to_integer<std::uint32_t>(bytes[i + k]) : 0);
    for (std::size_t k = 0; k < 4; ++k)
      out += i + k <= bytes.size() ? digits[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

// --------------------------------------------------------------------------------------------- fill values

/// Reads fill values of one document into elements.
struct FillReader {
  std::string doing;
  bool is_v2 = false;
  bool is_big_endian = false;  ///< v2: byte order of records' raw bytes

  [[noreturn]] void wrong(const DType& dtype, const std::string& expected, JsonValue got) const {
    fail(Errc::corrupt_data, doing + ": bad 'fill_value' for " + dtype.name() + "; expected " + expected +
                                 ", got " + got.shown());
  }

  void read(const DType& dtype, JsonValue value, std::byte* out) const {
    std::memset(out, 0, dtype.item_bytes());
    if (is_v2 && value.is_null()) return;
    if (is_bool(dtype.type())) return read_bool(dtype, value, out);
    if (const auto integer = find_integer_layout(dtype)) return read_integer(dtype, *integer, value, out);
    if (const FloatElements floats = find_float_elements(dtype); floats.count > 0)
      return read_floats(dtype, floats, value, out);
    if (dtype.is_record()) return read_record(dtype, value, out);
    switch (numpy_letter(dtype)) {
      case 'M':
      case 'm':
        return read_time(dtype, value, out);
      case 'U':
        return read_text(dtype, value, out);
      case 'S':
      case 'V':
        return read_bytes(dtype, value, out);
      default:
        fail(Errc::unsupported, doing + ": fill values of " + dtype.name() + " are not understood");
    }
  }

  /// Numbers that v2 documents write as strings stand for themselves, as NumPy reads them.
  static std::optional<nlohmann::json> number(JsonValue value, bool also_quoted) {
    if (value.is_number()) return nlohmann::json::parse(value.text().begin(), value.text().end());
    if (!also_quoted || !value.is_string()) return std::nullopt;
    const nlohmann::json inner = nlohmann::json::parse(*value.string(), nullptr, false);
    return inner.is_number() ? std::optional(inner) : std::nullopt;
  }

  void read_bool(const DType& dtype, JsonValue value, std::byte* out) const {
    bool is_set = value.is_true();
    if (!is_set && !value.is_false()) {
      const auto n = is_v2 ? number(value, false) : std::nullopt;
      if (!n || (*n != 0 && *n != 1)) wrong(dtype, "true or false", value);
      is_set = *n == 1;
    }
    *out = static_cast<std::byte>(is_set ? 1 : 0);
  }

  void read_integer(const DType& dtype, IntegerLayout layout, JsonValue value, std::byte* out) const {
    const std::uint64_t half = std::uint64_t{1} << (layout.bits - 1);
    const std::uint64_t highest = layout.is_signed ? half - 1 : half - 1 + half;
    const auto refuse = [&] {
      wrong(dtype,
            "an integer from " + (layout.is_signed ? "-" + std::to_string(half) : std::string("0")) + " to " +
                std::to_string(highest),
            value);
    };
    const auto n = number(value, is_v2);
    if (!n) refuse();
    bool is_negative = false;
    std::uint64_t size = 0;
    if (n->is_number_unsigned()) {
      size = n->get<std::uint64_t>();
    } else if (n->is_number_integer()) {
      is_negative = true;
      size = std::uint64_t{0} - static_cast<std::uint64_t>(n->get<std::int64_t>());
    } else {
      // "-1.0": exact below 2^53, where a double holds every integer.
      const auto real = n->get<double>();
      if (real != std::floor(real) || std::fabs(real) >= 9007199254740992.0) refuse();
      is_negative = real < 0;
      size = static_cast<std::uint64_t>(std::fabs(real));
    }
    const bool wraps = is_v2 && !layout.is_signed;
    if (is_negative ? size > (layout.is_signed || wraps ? half : 0) : size > highest) refuse();
    put_native(out, is_negative ? std::uint64_t{0} - size : size, dtype.item_bytes());
  }

  void read_floats(const DType& dtype, const FloatElements& floats, JsonValue value, std::byte* out) const {
    const std::size_t bytes = dtype.item_bytes() / static_cast<std::size_t>(floats.count);
    if (floats.count == 1) return put_native(out, read_float(dtype, *floats.layout, value), bytes);
    if (is_v2 && !value.is_array()) return put_native(out, read_float(dtype, *floats.layout, value), bytes);
    std::size_t i = 0;
    value.for_each_element([&](JsonValue part) {
      if (i < 2) put_native(out + i * bytes, read_float(dtype, *floats.layout, part), bytes);
      return ++i <= 2;
    });
    if (i != 2) wrong(dtype, "[real, imaginary]", value);
  }

  std::uint64_t read_float(const DType& dtype, const FloatLayout& layout, JsonValue value) const {
    std::optional<std::uint64_t> code;
    const auto text = value.string();
    if (text && text->starts_with("0x")) {
      const std::size_t digits = 2 * layout.bytes();
      std::uint64_t bits = 0;
      const char* end = text->data() + text->size();
      const auto [stop, error] = std::from_chars(text->data() + 2, end, bits, 16);
      if (text->size() != digits + 2 || error != std::errc() || stop != end ||
          (layout.bits < 64 && bits >> layout.bits != 0))
        wrong(dtype, "\"0x\" and " + std::to_string(digits) + " hexadecimal digits", value);
      return bits;
    }
    if (const auto n = number(value, is_v2))
      code = float_code(n->get<double>(), layout);
    else if (text && *text == "NaN")
      code = float_code(std::numeric_limits<double>::quiet_NaN(), layout);
    else if (text && (*text == "Infinity" || *text == "-Infinity"))
      code = float_code((text->front() == '-' ? -1 : 1) * std::numeric_limits<double>::infinity(), layout);
    else
      wrong(dtype, "a number, \"NaN\", \"Infinity\", \"-Infinity\" or \"0x...\"", value);
    if (!code) wrong(dtype, "a value that the type can hold", value);
    return *code;
  }

  void read_time(const DType& dtype, JsonValue value, std::byte* out) const {
    if (value.string() == "NaT") return put_native(out, std::uint64_t{1} << 63, 8);
    if (!number(value, is_v2)) wrong(dtype, "an integer or \"NaT\"", value);
    read_integer(Type::int64, {64, true}, value, out);
  }

  static bool stands_for_nothing(JsonValue value) {
    return value.text() == "0" || value.text() == "0.0" || value.text() == "\"\"";
  }

  void read_text(const DType& dtype, JsonValue value, std::byte* out) const {
    if (is_v2 && stands_for_nothing(value)) return;
    const auto text = value.string();
    const std::size_t most = dtype.item_bytes() / 4;
    const auto refuse = [&] {
      wrong(dtype, "a string of at most " + std::to_string(most) + " characters", value);
    };
    if (!text) refuse();
    std::size_t count = 0;
    for (std::size_t i = 0; i < text->size(); ++count) {
      // The document was checked to be UTF-8.
      const auto lead = static_cast<unsigned char>((*text)[i]);
      const std::size_t more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
      std::uint32_t code = more == 0 ? lead : lead & (0x3fu >> more);
      for (std::size_t k = 1; k <= more && i + k < text->size(); ++k)
        code = code << 6 | (static_cast<unsigned char>((*text)[i + k]) & 0x3fu);
      i += more + 1;
      if (count == most) refuse();
      put_native(out + 4 * count, code, 4);
    }
  }

  /// Raw bytes of an element. Strings may leave out the zeros at their end.
  void read_bytes(const DType& dtype, JsonValue value, std::byte* out) const {
    const bool is_string = numpy_letter(dtype) == 'S';
    if ((is_v2 || is_string) && stands_for_nothing(value)) return;
    std::optional<std::vector<std::byte>> bytes;
    if (const auto text = value.string()) {
      bytes = bytes_of_base64(*text);
    } else if (!is_v2 && value.is_array()) {
      bytes.emplace();
      value.for_each_element([&](JsonValue part) {
        const auto n = part.integer();
        if (!n || *n < 0 || *n > 255 || bytes->size() == dtype.item_bytes()) bytes.reset();
        if (bytes) bytes->push_back(static_cast<std::byte>(*n));
        return bytes.has_value();
      });
    }
    if (!bytes || (is_string ? bytes->size() > dtype.item_bytes() : bytes->size() != dtype.item_bytes()))
      wrong(dtype,
            std::string(is_v2 ? "base64" : "base64 or a list of numbers") + " of " +
                (is_string ? "at most " : "") + std::to_string(dtype.item_bytes()) + " bytes",
            value);
    std::copy(bytes->begin(), bytes->end(), out);
  }

  void read_record(const DType& dtype, JsonValue value, std::byte* out) const {
    if (is_v2 && stands_for_nothing(value)) return;
    if (!is_v2 && value.is_object()) {
      const JsonObject object(value, doing + ": bad 'fill_value' for " + dtype.name());
      for (const Field& field : dtype.fields())
        read(field.dtype, object.at(field.name), out + field.offset_bytes);
      if (object.members().size() != dtype.fields().size())
        wrong(dtype, "a value for each of " + std::to_string(dtype.fields().size()) + " fields", value);
      return;
    }
    const auto text = value.string();
    const auto bytes = text ? bytes_of_base64(*text) : std::nullopt;
    if (!bytes || bytes->size() != dtype.item_bytes())
      wrong(dtype,
            std::string(is_v2 ? "" : "an object or ") + "base64 of " + std::to_string(dtype.item_bytes()) +
                " bytes",
            value);
    std::copy(bytes->begin(), bytes->end(), out);
    if (is_big_endian != (std::endian::native == std::endian::big)) swap_elements(dtype, out, 1);
  }
};

MORSEL_INLINE std::vector<std::byte> read_fill(const DType& dtype, JsonValue value,
                                               const FillReader& reader) {
  std::vector<std::byte> fill(dtype.item_bytes());
  reader.read(dtype, value, fill.data());
  return fill;
}

/// A finite double that reads back the same, always with a fraction or exponent.
MORSEL_INLINE std::string double_text(double value) {
  char room[40];
  const auto [end, error] = std::to_chars(room, room + sizeof room, value);
  std::string text(room, end);
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

MORSEL_INLINE std::string float_json(std::uint64_t code, const FloatLayout& layout) {
  if (layout.is_nan(code)) {
    if (code == layout.nan()) return "\"NaN\"";
    std::string digits;
    for (std::size_t i = 2 * layout.bytes(); i-- > 0;) digits += "0123456789abcdef"[code >> (4 * i) & 15];
    return "\"0x" + digits + "\"";
  }
  const double value = float_value(code, layout);
  if (std::isinf(value)) return value < 0 ? "\"-Infinity\"" : "\"Infinity\"";
  return double_text(value);
}

/// An element as the JSON of a fill value; bytes and records in base64, in the byte order asked for.
MORSEL_INLINE std::string fill_json(const DType& dtype, std::span<const std::byte> element, bool big_endian) {
  const std::byte* at = element.data();
  if (is_bool(dtype.type())) return *at != std::byte{0} ? "true" : "false";
  const char letter = numpy_letter(dtype);
  if (const auto integer = find_integer_layout(dtype); integer || letter == 'M' || letter == 'm') {
    const std::size_t bytes = dtype.item_bytes();
    const std::uint64_t code = get_native(at, bytes);
    if (integer && !integer->is_signed) return std::to_string(code);
    const std::uint64_t sign = std::uint64_t{1} << (8 * bytes - 1);
    return std::to_string(static_cast<std::int64_t>((code ^ sign) - sign));
  }
  if (const FloatElements floats = find_float_elements(dtype); floats.count > 0) {
    const std::size_t bytes = dtype.item_bytes() / static_cast<std::size_t>(floats.count);
    const std::string first = float_json(get_native(at, bytes), *floats.layout);
    if (floats.count == 1) return first;
    return "[" + first + "," + float_json(get_native(at + bytes, bytes), *floats.layout) + "]";
  }
  if (letter == 'U') {
    std::string text;
    std::size_t count = dtype.item_bytes() / 4;
    while (count > 0 && get_native(at + 4 * (count - 1), 4) == 0) --count;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t code = get_native(at + 4 * i, 4);
      if (code < 0x80) {
        text += static_cast<char>(code);
      } else {
        const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
        text += static_cast<char>((0xff00 >> (more + 1) & 0xff) | (code >> (6 * more) & 0x3f));
        for (int k = more - 1; k >= 0; --k) text += static_cast<char>(0x80 | (code >> (6 * k) & 0x3f));
      }
    }
    return json_string(text);
  }
  std::vector<std::byte> bytes(element.begin(), element.end());
  if (dtype.is_record() && big_endian != (std::endian::native == std::endian::big))
    swap_elements(dtype, bytes.data(), 1);
  return "\"" + base64_of_bytes(bytes) + "\"";
}

// ----------------------------------------------------------------------------------------- v3 data types

class DTypeOfV3 {
 public:
  explicit DTypeOfV3(std::string doing) : doing_(std::move(doing)) {}

  DType read(JsonValue value, int depth = 0) const {
    if (depth > 32)
      fail(Errc::unsupported, doing_ + ": data types nested too deeply; expected at most 32 levels");
    const Extension extension = read_needed_extension(value, "data_type", doing_);
    const std::string& name = extension.name;
    for (int t = 0; t < numeric_type_count; ++t)
      if (name == name_of(static_cast<Type>(t))) return static_cast<Type>(t);
    if (name == "complex_float32") return Type::complex64;
    if (name == "complex_float64") return Type::complex128;
    if (name == "int2" || name == "int4" || name == "uint2" || name == "uint4")
      return DType::carried(name, 1);
    constexpr std::string_view complex = "complex_";
    const bool is_pair = name.starts_with(complex);
    if (const FloatLayout* layout = find_float_layout(is_pair ? name.substr(complex.size()) : name))
      return DType::carried(name, layout->bytes() * (is_pair ? 2 : 1));
    if (name.size() > 1 && name[0] == 'r' && name.find_first_not_of("0123456789", 1) == name.npos)
      return raw_bits(name);
    const JsonObject configuration(extension.configuration, doing_ + ": data type '" + name + "'");
    if (name == "numpy.datetime64" || name == "numpy.timedelta64") return time(name, configuration);
    if (name == "fixed_length_utf32") {
      const std::size_t bytes = length(configuration);
      if (bytes % 4 != 0)
        configuration.wrong("length_bytes", "a multiple of 4", configuration.at("length_bytes"));
      return DType::carried("U" + std::to_string(bytes / 4), bytes);
    }
    if (name == "null_terminated_bytes" || name == "raw_bytes") {
      const std::size_t bytes = length(configuration);
      return DType::carried((name[0] == 'n' ? "S" : "V") + std::to_string(bytes), bytes);
    }
    if (name == "struct" || name == "structured") return record(configuration, depth);
    for (const char* variable :
         {"string", "bytes", "variable_length_bytes", "variable_length_utf8", "binary"})
      if (name == variable)
        fail(Errc::unsupported, doing_ + ": elements of data type '" + name +
                                    "' have a variable length; expected a type of fixed size");
    if (name == "optional" || name == "zarrs.optional")
      fail(Errc::unsupported, doing_ + ": elements of data type '" + name +
                                  "' may be missing; expected a type whose elements all have a value");
    fail(Errc::unsupported, doing_ + ": unknown data type '" + name + "'");
  }

 private:
  DType raw_bits(const std::string& name) const {
    std::size_t bits = 0;
    const auto [stop, error] = std::from_chars(name.data() + 1, name.data() + name.size(), bits);
    if (error != std::errc() || bits == 0 || bits % 8 != 0 || bits / 8 > max_item_bytes)
      fail(Errc::unsupported, doing_ + ": data type '" + name + "'; expected a multiple of 8 bits, at most " +
                                  std::to_string(8 * max_item_bytes));
    return DType::carried("V" + std::to_string(bits / 8), bits / 8);
  }
  static std::size_t length(const JsonObject& configuration) {
    const JsonValue value = configuration.at("length_bytes");
    const auto bytes = value.integer();
    if (!bytes || *bytes < 1 || *bytes > static_cast<Index>(max_item_bytes))
      configuration.wrong("length_bytes", "a number from 1 to " + std::to_string(max_item_bytes), value);
    return static_cast<std::size_t>(*bytes);
  }
  static DType time(const std::string& name, const JsonObject& configuration) {
    const JsonValue unit = configuration.at("unit");
    const JsonValue* scale = configuration.find("scale_factor");
    const Index factor = scale ? scale->integer().value_or(0) : 1;
    if (factor < 1 || factor > 2147483647)
      configuration.wrong("scale_factor", "a number from 1 to 2147483647", *scale);
    const std::string text = unit.string().value_or("");
    for (const char* known : {"Y", "M", "W", "D", "h", "m", "s", "ms", "us", "\xce\xbcs", "\xc2\xb5s", "ns",
                              "ps", "fs", "as", "generic"})
      if (text == known) {
        const std::string count = factor == 1 ? "" : std::to_string(factor);
        return parse_dtype((name == "numpy.datetime64" ? "M8[" : "m8[") + count + text + "]");
      }
    configuration.wrong("unit", "a unit of time that NumPy has", unit);
  }
  DType record(const JsonObject& configuration, int depth) const {
    const JsonValue list = configuration.at("fields");
    std::vector<Field> fields;
    std::size_t offset = 0;
    list.for_each_element([&](JsonValue field_text) {
      Field field;
      JsonValue type;
      if (field_text.is_array()) {  // [name, data type], as "structured" has it
        int at = 0;
        field_text.for_each_element([&](JsonValue part) {
          if (at == 0) field.name = part.string().value_or("");
          if (at == 1) type = part;
          return ++at < 4;
        });
        if (at != 2) type = {};
      } else {
        const JsonObject object(field_text, configuration.doing());
        if (const JsonValue* name = object.find("name")) field.name = name->string().value_or("");
        if (const JsonValue* found = object.find("data_type")) type = *found;
      }
      if (field.name.empty() || type.text().empty())
        configuration.wrong("fields", "a name and a data type for each field", field_text);
      field.dtype = read(type, depth + 1);
      field.offset_bytes = offset;
      offset += field.dtype.item_bytes();
      if (offset > max_item_bytes)
        fail(Errc::unsupported, configuration.doing() + ": too large; expected at most " +
                                    std::to_string(max_item_bytes) + " bytes, got more");
      for (const Field& other : fields)
        if (other.name == field.name) configuration.wrong("fields", "different names", list);
      fields.push_back(std::move(field));
      if (fields.size() > 4096) configuration.wrong("fields", "at most 4096 fields", list);
      return true;
    });
    if (fields.empty()) configuration.wrong("fields", "a list of at least one field", list);
    return DType::record(std::move(fields), offset);
  }

  std::string doing_;
};

/// The size of an item is bounded for what parse_dtype gives, too.
MORSEL_INLINE void check_item_bytes(const DType& dtype, const std::string& doing) {
  if (dtype.item_bytes() > max_item_bytes)
    fail(Errc::unsupported, doing + ": elements are too large; expected at most " +
                                std::to_string(max_item_bytes) + " bytes, got " +
                                std::to_string(dtype.item_bytes()));
}

}  // namespace detail

MORSEL_INLINE DType parse_zarr_v3_dtype(std::string_view data_type, const std::string& doing) {
  const detail::JsonDocument document("{\"data_type\":" + std::string(data_type) + "}", doing);
  return detail::DTypeOfV3(doing).read(document.root().members().front().value);
}

MORSEL_INLINE std::string zarr_v3_dtype_json(const DType& dtype) {
  const auto refuse = [&](const std::string& what) {
    fail(Errc::unsupported, "writing Zarr v3: no name for dtype " + dtype.name() + what);
  };
  if (dtype.is_numeric()) return "\"" + dtype.name() + "\"";
  if (dtype.is_record()) {
    // "structured" and not its successor "struct", which fewer readers know.
    std::string fields;
    std::size_t end = 0;
    for (const Field& field : dtype.fields()) {
      if (!field.shape.empty()) refuse("; expected fields without a shape of their own");
      if (field.offset_bytes != end) refuse("; expected fields without gaps, in the order of the list");
      end += field.dtype.item_bytes();
      fields += (fields.empty() ? "[" : ",[") + json_string(field.name) + "," +
                zarr_v3_dtype_json(field.dtype) + "]";
    }
    if (end != dtype.item_bytes() || fields.empty()) refuse("; expected fields without gaps");
    return "{\"name\":\"structured\",\"configuration\":{\"fields\":[" + fields + "]}}";
  }
  const std::string name = dtype.name();
  const auto with_length = [&](const char* called) {
    return "{\"name\":\"" + std::string(called) +
           "\",\"configuration\":{\"length_bytes\":" + std::to_string(dtype.item_bytes()) + "}}";
  };
  switch (detail::numpy_letter(dtype)) {
    case 'S':
      return with_length("null_terminated_bytes");
    case 'U':
      return with_length("fixed_length_utf32");
    case 'V':
      return "\"r" + std::to_string(8 * dtype.item_bytes()) + "\"";
    case 'M':
    case 'm': {
      std::string unit = name.size() > 4 ? name.substr(3, name.size() - 4) : "generic";
      const std::size_t digits = std::min(unit.find_first_not_of("0123456789"), unit.size());
      const std::string factor = digits > 0 ? unit.substr(0, digits) : "1";
      return "{\"name\":\"numpy." + std::string(name[0] == 'M' ? "datetime64" : "timedelta64") +
             "\",\"configuration\":{\"unit\":\"" + unit.substr(digits) + "\",\"scale_factor\":" + factor +
             "}}";
    }
    default:
      break;
  }
  if (!detail::find_integer_layout(dtype) && detail::find_float_elements(dtype).count == 0) refuse("");
  return "\"" + name + "\"";
}

}  // namespace morsel::inline MORSEL_ABI
