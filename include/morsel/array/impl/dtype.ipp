#pragma once

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <morsel/array/buffer.hpp>
#include <morsel/array/dtype.hpp>

namespace morsel::inline MORSEL_ABI {

struct DType::Carried {
  std::string name;
  std::vector<Field> fields;
  bool is_record = false;
};

namespace detail {

struct NamedType {
  const char* name;
  std::size_t item_bytes;
  std::size_t swap_bytes;
};

/// Carried types that NumPy has no string for: names of the Zarr v3 registry and of ml_dtypes.
MORSEL_INLINE const NamedType* find_named_type(std::string_view name) {
  static constexpr NamedType table[] = {
      {"bfloat16", 2, 2},
      {"float8_e3m4", 1, 1},
      {"float8_e4m3", 1, 1},
      {"float8_e4m3fn", 1, 1},
      {"float8_e4m3b11fnuz", 1, 1},
      {"float8_e4m3fnuz", 1, 1},
      {"float8_e5m2", 1, 1},
      {"float8_e5m2fnuz", 1, 1},
      {"float8_e8m0fnu", 1, 1},
      {"float6_e2m3fn", 1, 1},
      {"float6_e3m2fn", 1, 1},
      {"float4_e2m1fn", 1, 1},
      {"int2", 1, 1},
      {"int4", 1, 1},
      {"uint2", 1, 1},
      {"uint4", 1, 1},
      {"complex_bfloat16", 4, 2},
      {"complex_float16", 4, 2},
      {"complex_float8_e3m4", 2, 1},
      {"complex_float8_e4m3", 2, 1},
      {"complex_float8_e4m3fn", 2, 1},
      {"complex_float8_e4m3b11fnuz", 2, 1},
      {"complex_float8_e4m3fnuz", 2, 1},
      {"complex_float8_e5m2", 2, 1},
      {"complex_float8_e5m2fnuz", 2, 1},
      {"complex_float8_e8m0fnu", 2, 1},
      {"complex_float6_e2m3fn", 2, 1},
      {"complex_float6_e3m2fn", 2, 1},
      {"complex_float4_e2m1fn", 2, 1},
  };
  for (const NamedType& entry : table)
    if (name == entry.name) return &entry;
  return nullptr;
}

/// The letter of a carried type that NumPy can name (S, U, V, M, m, f, c), else 0; what follows the letter
/// goes to
/// `*number`.
MORSEL_INLINE char numpy_kind(std::string_view name, std::size_t* number) {
  if (name.size() < 2 || std::string_view("SUVMmfc").find(name[0]) == std::string_view::npos) return 0;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + 1, end, *number);
  if (error != std::errc()) return 0;
  if (name[0] == 'M' || name[0] == 'm') return *number == 8 && (stop == end || *stop == '[') ? name[0] : '\0';
  return stop == end ? name[0] : '\0';
}

/// A string as Python's repr writes it.
MORSEL_INLINE std::string python_string(std::string_view text) {
  const bool doubled = text.find('\'') != text.npos && text.find('"') == text.npos;
  const char quote = doubled ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == quote || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      const char* digits = "0123456789abcdef";
      out += "\\x";
      out += digits[byte >> 4];
      out += digits[byte & 15];
    } else {
      out += c;
    }
  }
  return out + quote;
}

MORSEL_INLINE std::size_t field_bytes(const Field& field) {
  return static_cast<std::size_t>(
      checked_mul(size_of(field.shape), static_cast<Index>(field.dtype.item_bytes()), "field bytes"));
}

/// Fields in the order of their offsets, equal ones in the order of the list. (std::stable_sort of
/// libstdc++ 12 warns with clang.)
MORSEL_INLINE std::vector<const Field*> by_offset(const std::vector<Field>& fields) {
  std::vector<const Field*> sorted;
  for (const Field& field : fields) sorted.push_back(&field);
  std::sort(sorted.begin(), sorted.end(), [](const Field* a, const Field* b) {
    return a->offset_bytes != b->offset_bytes ? a->offset_bytes < b->offset_bytes : a < b;
  });
  return sorted;
}

/// Reads NumPy type strings and record lists.
struct DTypeReader {
  std::string_view text;
  std::size_t at = 0;
  char order = 0;  ///< '<' or '>' once a type with byte order was read
  int depth = 0;   ///< of records in records

  [[noreturn]] void refuse(const std::string& what = "not understood") const {
    fail(Errc::syntax_error,
         "reading a dtype: " + what +
             "; expected a NumPy type string such as '<f4', a name such as 'float32' or a list of "
             "fields, got '" +
             std::string(text) + "'");
  }

  void skip_space() {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r'))
      ++at;
  }
  char peek() {
    skip_space();
    return at < text.size() ? text[at] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at;
    return true;
  }
  char open() {
    if (take('(')) return ')';
    if (take('[')) return ']';
    refuse("a bracket is missing");
  }
  void close(char bracket) {
    if (!take(bracket)) refuse("a bracket or comma is missing");
  }

  void append_utf8(std::string& out, std::uint32_t code) const {
    const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
    if (code < 0x80) {
      put(code);
    } else if (code < 0x800) {
      put(0xc0 | code >> 6), put(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
      put(0xe0 | code >> 12), put(0x80 | (code >> 6 & 0x3f)), put(0x80 | (code & 0x3f));
    } else if (code < 0x110000) {
      put(0xf0 | code >> 18), put(0x80 | (code >> 12 & 0x3f)), put(0x80 | (code >> 6 & 0x3f)),
          put(0x80 | (code & 0x3f));
    } else {
      refuse("a character escape is out of range");
    }
  }
  std::uint32_t read_hex(std::size_t digits) {
    std::uint32_t value = 0;
    if (at + digits > text.size()) refuse("a character escape is cut off");
    const auto [stop, error] = std::from_chars(text.data() + at, text.data() + at + digits, value, 16);
    if (error != std::errc() || stop != text.data() + at + digits)
      refuse("a character escape is not hexadecimal");
    at += digits;
    return value;
  }
  std::string read_string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') refuse("a quoted string is missing");
    ++at;
    std::string out;
    while (at < text.size() && text[at] != quote) {
      const char c = text[at++];
      if (c != '\\') {
        out += c;
        continue;
      }
      const char escape = at < text.size() ? text[at++] : '\0';
      switch (escape) {
        case 'n':
          out += '\n';
          break;
        case 't':
          out += '\t';
          break;
        case 'r':
          out += '\r';
          break;
        case 'b':
          out += '\b';
          break;
        case 'f':
          out += '\f';
          break;
        case '\\':
        case '/':
        case '\'':
        case '"':
          out += escape;
          break;
        case 'x':
          append_utf8(out, read_hex(2));
          break;
        case 'U':
          append_utf8(out, read_hex(8));
          break;
        case 'u': {
          std::uint32_t code = read_hex(4);
          if (code >= 0xd800 && code < 0xdc00 && text.substr(at, 2) == "\\u") {
            at += 2;
            const std::uint32_t low = read_hex(4);
            if (low < 0xdc00 || low >= 0xe000) refuse("a character escape is half a pair");
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
          }
          append_utf8(out, code);
          break;
        }
        default:
          refuse("an escape is unknown");
      }
    }
    if (at == text.size()) refuse("a string is not closed");
    ++at;
    return out;
  }

  Index read_integer() {
    skip_space();
    Index value = 0;
    const auto [stop, error] = std::from_chars(text.data() + at, text.data() + text.size(), value);
    if (error != std::errc() || value < 0) refuse("an extent is not a number");
    at = static_cast<std::size_t>(stop - text.data());
    return value;
  }
  Shape read_shape() {
    if (peek() >= '0' && peek() <= '9') return Shape{read_integer()};
    Shape shape;
    const char bracket = open();
    while (peek() != bracket) {
      shape.push_back(read_integer());
      if (!take(',')) break;
    }
    close(bracket);
    return shape;
  }

  void note_order(char seen) {
    if (seen == '=') seen = std::endian::native == std::endian::big ? '>' : '<';
    if (order != 0 && order != seen)
      fail(Errc::unsupported,
           "reading a dtype: fields of different byte order; expected all little or all big, got " +
               std::string(text));
    order = seen;
  }

  /// ('name', type) or ('name', type, shape) after another, in one pair of brackets.
  DType read_record() {
    if (++depth > 64) refuse("records are nested too deeply");
    std::vector<Field> fields;
    std::size_t offset = 0;
    read_fields(fields, offset);
    --depth;
    if (offset == 0) refuse("a record has no bytes");
    return DType::record(std::move(fields), offset);
  }
  void read_fields(std::vector<Field>& fields, std::size_t& offset) {
    const char bracket = open();
    for (std::size_t number = 0; peek() != bracket; ++number) {
      const char end = open();
      Field field;
      if (peek() == '(' || peek() == '[') {  // (title, name)
        const char inner = open();
        read_string();
        if (!take(',')) refuse("a title has no name");
        field.name = read_string();
        close(inner);
      } else {
        field.name = read_string();
      }
      if (!take(',')) refuse("a field has no type");
      field.dtype = peek() == '[' || peek() == '(' ? read_record() : read_plain(read_string());
      if (take(',') && peek() != end) {
        field.shape = read_shape();
        take(',');
      }
      close(end);
      field.offset_bytes = offset;
      offset = static_cast<std::size_t>(
          checked_add(static_cast<Index>(offset), static_cast<Index>(field_bytes(field)), "record bytes"));
      const bool is_padding = field.name.empty() && !field.dtype.is_numeric() && !field.dtype.is_record() &&
                              field.dtype.name()[0] == 'V';
      if (field.name.empty()) field.name = "f" + std::to_string(number);
      if (!is_padding) fields.push_back(std::move(field));
      if (!take(',')) break;
    }
    close(bracket);
  }

  /// A type string without fields.
  DType read_plain(std::string_view name) {
    if (const NamedType* named = find_named_type(name)) {
      if (named->swap_bytes > 1) note_order('=');
      return DType::carried(std::string(name), named->item_bytes);
    }
    for (int i = 0; i < numeric_type_count; ++i)
      if (name == name_of(static_cast<Type>(i))) {
        if (DType(static_cast<Type>(i)).swap_bytes() > 1) note_order('=');
        return static_cast<Type>(i);
      }
    if (name == "object") name = "O";
    if (name == "float128") name = "f16";
    if (name == "complex256") name = "c32";
    std::string spelled;
    for (const auto& [longer, shorter] : {std::pair("datetime64", "M8"), std::pair("timedelta64", "m8")})
      if (name.substr(0, std::strlen(longer)) == longer) {
        spelled = shorter + std::string(name.substr(std::strlen(longer)));
        name = spelled;
      }
    char seen = '=';
    if (!name.empty() && std::string_view("<>|=").find(name[0]) != std::string_view::npos) {
      seen = name[0] == '|' ? '=' : name[0];
      name.remove_prefix(1);
    }
    const DType dtype = read_code(name);
    if (dtype.swap_bytes() > 1) note_order(seen);
    return dtype;
  }

  /// "f4", "S5", "M8[ns]", "d": a type string without byte order.
  DType read_code(std::string_view code) const {
    if (code.empty()) refuse();
    static constexpr std::pair<const char*, Type> codes[] = {
        {"b1", Type::bool_},       {"?", Type::bool_},     {"i1", Type::int8},      {"b", Type::int8},
        {"i2", Type::int16},       {"h", Type::int16},     {"i4", Type::int32},     {"i", Type::int32},
        {"i8", Type::int64},       {"l", Type::int64},     {"q", Type::int64},      {"u1", Type::uint8},
        {"B", Type::uint8},        {"u2", Type::uint16},   {"H", Type::uint16},     {"u4", Type::uint32},
        {"I", Type::uint32},       {"u8", Type::uint64},   {"L", Type::uint64},     {"Q", Type::uint64},
        {"f2", Type::float16},     {"e", Type::float16},   {"f4", Type::float32},   {"f", Type::float32},
        {"f8", Type::float64},     {"d", Type::float64},   {"c8", Type::complex64}, {"F", Type::complex64},
        {"c16", Type::complex128}, {"D", Type::complex128}};
    for (const auto& [text_code, type] : codes)
      if (code == text_code) return type;
    if (code == "O" || code == "O4" || code == "O8")
      fail(Errc::unsupported,
           "reading a dtype: object arrays hold Python objects; expected elements of a fixed size, got '" +
               std::string(text) + "'");
    if (code[0] == 'T')
      fail(Errc::unsupported,
           "reading a dtype: strings of variable length are no array elements; expected a fixed size such as "
           "'S16', "
           "got '" +
               std::string(text) + "'");
    if (code[0] == 'M' || code[0] == 'm') return read_time(code);
    std::size_t number = 0;
    const char kind = numpy_kind(code, &number);
    if (number > std::size_t{1} << 40) refuse("the size is absurd");
    if ((kind == 'S' || kind == 'V' || kind == 'U') && number > 0)
      return DType::carried(std::string(1, kind) + std::to_string(number), kind == 'U' ? 4 * number : number);
    if ((kind == 'S' || kind == 'V' || kind == 'U') || code == "S" || code == "V" || code == "U")
      fail(Errc::unsupported, "reading a dtype: elements of no bytes; expected a size of at least 1, got '" +
                                  std::string(text) + "'");
    if ((kind == 'f' && (number == 12 || number == 16)) || (kind == 'c' && (number == 24 || number == 32)))
      return DType::carried(std::string(code), number);
    refuse();
  }

  /// "M8[ns]", "m8[10ms]", "M8".
  DType read_time(std::string_view code) const {
    std::string name(code.substr(0, 2));
    if (name != "M8" && name != "m8") refuse();
    std::string_view unit = code.substr(2);
    if (!unit.empty()) {
      if (unit.size() < 3 || unit.front() != '[' || unit.back() != ']')
        refuse("a time unit is not in brackets");
      unit = unit.substr(1, unit.size() - 2);
      std::uint32_t multiple = 1;
      const auto [stop, error] = std::from_chars(unit.data(), unit.data() + unit.size(), multiple);
      if (error == std::errc::result_out_of_range || multiple == 0 || multiple > 0x7fffffffu)
        refuse("a time unit's multiple is out of range");
      unit.remove_prefix(static_cast<std::size_t>(stop - unit.data()));
      if (unit == "\xce\xbcs" || unit == "\xc2\xb5s") unit = "us";
      bool known = false;
      for (const char* u : {"Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as", "generic"})
        known |= unit == u;
      if (!known) refuse("a time unit is unknown");
      if (unit != "generic")
        name += "[" + (multiple == 1 ? "" : std::to_string(multiple)) + std::string(unit) + "]";
    }
    return DType::carried(std::move(name), 8);
  }
};

}  // namespace detail

MORSEL_INLINE std::string_view name_of(Type type) {
  switch (type) {
    case Type::bool_:
      return "bool";
    case Type::int8:
      return "int8";
    case Type::int16:
      return "int16";
    case Type::int32:
      return "int32";
    case Type::int64:
      return "int64";
    case Type::uint8:
      return "uint8";
    case Type::uint16:
      return "uint16";
    case Type::uint32:
      return "uint32";
    case Type::uint64:
      return "uint64";
    case Type::float16:
      return "float16";
    case Type::float32:
      return "float32";
    case Type::float64:
      return "float64";
    case Type::complex64:
      return "complex64";
    case Type::complex128:
      return "complex128";
    case Type::carried:
      return "carried";
  }
  return "unknown";
}

MORSEL_INLINE DType DType::carried(std::string name, std::size_t item_bytes) {
  std::size_t number = 0;
  const char kind = detail::numpy_kind(name, &number);
  const std::size_t expected = kind == 0                    ? item_bytes
                               : kind == 'U'                ? 4 * number
                               : kind == 'M' || kind == 'm' ? 8
                                                            : number;
  if (item_bytes == 0 || item_bytes != expected || name.empty())
    fail(Errc::invalid_argument, "dtype '" + name + "': impossible size; expected " +
                                     (expected == 0 ? "at least 1" : std::to_string(expected)) +
                                     " bytes, got " + std::to_string(item_bytes));
  DType dtype;
  dtype.type_ = Type::carried;
  dtype.item_bytes_ = item_bytes;
  dtype.carried_ = std::make_shared<const Carried>(Carried{std::move(name), {}, false});
  return dtype;
}

MORSEL_INLINE DType DType::record(std::vector<Field> fields, std::size_t item_bytes) {
  if (item_bytes == 0)
    fail(Errc::invalid_argument, "record dtype: no bytes; expected an item of at least 1 byte, got 0");
  std::size_t end = 0;
  for (const Field* field : detail::by_offset(fields)) {
    const std::size_t bytes = detail::field_bytes(*field);
    if (field->offset_bytes < end)
      fail(Errc::unsupported, "record dtype: field '" + field->name +
                                  "' overlaps another; expected an offset of at least " +
                                  std::to_string(end) + ", got " + std::to_string(field->offset_bytes));
    if (field->offset_bytes > item_bytes || bytes > item_bytes - field->offset_bytes)
      fail(Errc::invalid_argument,
           "record dtype: field '" + field->name + "' ends outside the item; expected at most " +
               std::to_string(item_bytes) + " bytes, got offset " + std::to_string(field->offset_bytes) +
               " and " + std::to_string(bytes) + " bytes");
    end = field->offset_bytes + bytes;
  }
  std::vector<std::string_view> names;
  for (const Field& field : fields) names.push_back(field.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end())
    fail(Errc::invalid_argument, "record dtype: two fields have one name; expected different names, got '" +
                                     std::string(*twice) + "' twice");
  DType dtype;
  dtype.type_ = Type::carried;
  dtype.item_bytes_ = item_bytes;
  dtype.carried_ = std::make_shared<const Carried>(Carried{{}, std::move(fields), true});
  return dtype;
}

MORSEL_INLINE bool DType::is_record() const { return carried_ && carried_->is_record; }

MORSEL_INLINE const std::vector<Field>& DType::fields() const {
  static const std::vector<Field> none;
  return carried_ ? carried_->fields : none;
}

MORSEL_INLINE std::string DType::name() const {
  if (!carried_) return std::string(name_of(type_));
  if (!carried_->is_record) return carried_->name;
  std::string text = "record[";
  for (std::size_t i = 0; i < fields().size(); ++i) {
    const Field& field = fields()[i];
    text += (i ? ", " : "") + field.name + ": " + field.dtype.name();
    if (!field.shape.empty()) text += " " + to_string(field.shape);
  }
  return text + "]";
}

MORSEL_INLINE std::string DType::numpy() const {
  if (!carried_) {
    const char kind = is_bool(type_)               ? 'b'
                      : is_signed_integer(type_)   ? 'i'
                      : is_unsigned_integer(type_) ? 'u'
                      : is_floating(type_)         ? 'f'
                                                   : 'c';
    return (item_bytes_ == 1 ? "|" : "<") + std::string(1, kind) + std::to_string(item_bytes_);
  }
  if (!carried_->is_record) {
    std::size_t number = 0;
    const char kind = detail::numpy_kind(carried_->name, &number);
    return (kind == 0 ? "" : kind == 'S' || kind == 'V' ? "|" : "<") + carried_->name;
  }
  std::string text;
  std::size_t end = 0;
  const auto add = [&](const std::string& tuple) { text += (text.empty() ? "(" : ", (") + tuple + ")"; };
  const auto pad_to = [&](std::size_t offset) {
    if (offset > end) add("'', '|V" + std::to_string(offset - end) + "'");
    end = offset;
  };
  for (const Field* field : detail::by_offset(fields())) {
    pad_to(field->offset_bytes);
    const std::string type = field->dtype.numpy();
    add(detail::python_string(field->name) + ", " + (field->dtype.is_record() ? type : "'" + type + "'") +
        (field->shape.empty() ? "" : ", " + to_string(field->shape)));
    end += detail::field_bytes(*field);
  }
  pad_to(item_bytes_);
  return "[" + text + "]";
}

MORSEL_INLINE std::size_t DType::swap_bytes() const {
  if (!carried_) return is_complex(type_) ? item_bytes_ / 2 : item_bytes_;
  if (carried_->is_record) return 1;
  if (const detail::NamedType* named = detail::find_named_type(carried_->name)) return named->swap_bytes;
  std::size_t number = 0;
  switch (detail::numpy_kind(carried_->name, &number)) {
    case 'U':
      return 4;
    case 'M':
    case 'm':
      return 8;
    case 'f':
      return item_bytes_;
    case 'c':
      return item_bytes_ / 2;
    default:
      return 1;
  }
}

MORSEL_INLINE bool operator==(const DType& a, const DType& b) {
  if (a.type_ != b.type_ || a.item_bytes_ != b.item_bytes_) return false;
  if (a.carried_ == b.carried_) return true;
  if (a.carried_->is_record != b.carried_->is_record || a.carried_->name != b.carried_->name) return false;
  const std::vector<Field>&x = a.fields(), &y = b.fields();
  if (x.size() != y.size()) return false;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (x[i].name != y[i].name || x[i].offset_bytes != y[i].offset_bytes || !(x[i].shape == y[i].shape) ||
        !(x[i].dtype == y[i].dtype))
      return false;
  return true;
}

MORSEL_INLINE DType parse_dtype(std::string_view text, bool* big_endian) {
  detail::DTypeReader reader{text};
  DType dtype;
  if (reader.peek() == '[') {
    dtype = reader.read_record();
    if (reader.peek() != '\0') reader.refuse("text after the list");
  } else {
    std::string_view name = text.substr(reader.at);
    while (!name.empty() && (name.back() == ' ' || name.back() == '\n' || name.back() == '\t'))
      name.remove_suffix(1);
    dtype = reader.read_plain(name);
  }
  if (big_endian) *big_endian = reader.order == '>';
  return dtype;
}

MORSEL_INLINE void swap_elements(const DType& dtype, void* data, std::size_t count) {
  if (!dtype.is_record()) {
    const std::size_t unit = dtype.swap_bytes();
    if (unit > 1) swap_bytes(data, count * (dtype.item_bytes() / unit), unit);
    return;
  }
  auto* bytes = static_cast<std::byte*>(data);
  for (const Field& field : dtype.fields()) {
    if (!field.dtype.is_record() && field.dtype.swap_bytes() == 1) continue;
    const auto repeats = static_cast<std::size_t>(size_of(field.shape));
    for (std::size_t i = 0; i < count; ++i)
      swap_elements(field.dtype, bytes + i * dtype.item_bytes() + field.offset_bytes, repeats);
  }
}

}  // namespace morsel::inline MORSEL_ABI
