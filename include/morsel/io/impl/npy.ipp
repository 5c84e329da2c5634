#pragma once

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <morsel/base/bytes.hpp>
#include <morsel/io/npy.hpp>
#include <optional>
#include <set>
#include <string_view>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// A value of a Python literal. Dictionaries keep keys and values in turn.
struct PyValue {
  enum class Kind { none, boolean, integer, string, tuple, list, dict };
  Kind kind = Kind::none;
  bool boolean = false;
  Index integer = 0;
  std::string string;
  std::vector<PyValue> items;
};

/// Reads the Python literals that stand in .npy headers of either Python: strings with prefixes and escapes,
/// integers with an L, tuples, lists, dictionaries, trailing commas. Text is UTF-8.
class PyReader {
 public:
  PyReader(std::string_view text, const std::string& doing) : text_(text), doing_(doing) {}

  PyValue read_all() {
    PyValue value = read(0);
    skip_space();
    if (at_ != text_.size()) refuse("text after the dictionary");
    return value;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    fail(Errc::corrupt_data,
         doing_ + ": damaged header, " + what + " at position " + std::to_string(at_) +
             "; expected a Python dictionary with 'descr', 'fortran_order' and 'shape', got " +
             quoted(text_.substr(0, 80)));
  }
  static std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text)
      out += static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7f ? '?' : c;
    return out + "\"";
  }
  void skip_space() {
    while (at_ < text_.size() && std::strchr(" \t\n\r\f", text_[at_]) && text_[at_] != '\0') ++at_;
  }
  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take_word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    const char next = at_ + word.size() < text_.size() ? text_[at_ + word.size()] : ' ';
    if ((next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z') || (next >= '0' && next <= '9') ||
        next == '_')
      return false;
    at_ += word.size();
    return true;
  }

  PyValue read(int depth) {
    if (depth > 64) refuse("nesting deeper than 64");
    const char c = peek();
    PyValue value;
    if (c == '{' || c == '(' || c == '[') return read_items(c, depth);
    if ((c >= '0' && c <= '9') || c == '-' || c == '+') return read_integer();
    if ((value.boolean = take_word("True")) || take_word("False")) {
      value.kind = PyValue::Kind::boolean;
      return value;
    }
    if (take_word("None")) return value;
    value.kind = PyValue::Kind::string;
    value.string = read_string();
    return value;
  }

  PyValue read_items(char open, int depth) {
    const char close = open == '{' ? '}' : open == '(' ? ')' : ']';
    PyValue value;
    value.kind = open == '{' ? PyValue::Kind::dict : open == '(' ? PyValue::Kind::tuple : PyValue::Kind::list;
    ++at_;
    bool comma = true;
    while (peek() != close) {
      if (at_ == text_.size()) refuse("a bracket is not closed");
      if (!comma) refuse("a comma is missing");
      value.items.push_back(read(depth + 1));
      if (open == '{') {
        if (peek() != ':') refuse("a colon is missing");
        ++at_;
        value.items.push_back(read(depth + 1));
      }
      comma = peek() == ',';
      if (comma) ++at_;
    }
    ++at_;
    if (value.kind == PyValue::Kind::tuple && !comma && value.items.size() == 1) {
      PyValue inner = std::move(value.items[0]);  // "(5)" is a bracketed 5
      return inner;
    }
    return value;
  }

  PyValue read_integer() {
    PyValue value;
    value.kind = PyValue::Kind::integer;
    if (text_[at_] == '+') ++at_;
    const char* begin = text_.data() + at_;
    const char* end = text_.data() + text_.size();
    const auto [stop, error] = std::from_chars(begin, end, value.integer);
    if (error == std::errc::result_out_of_range) refuse("an integer beyond 63 bits");
    if (error != std::errc() || stop == begin) refuse("an integer is not understood");
    at_ += static_cast<std::size_t>(stop - begin);
    if (at_ < text_.size() && (text_[at_] == 'L' || text_[at_] == 'l')) ++at_;
    if (at_ < text_.size() && !std::strchr(" \t\n\r\f,)]}:", text_[at_]))
      refuse("an integer is not understood");
    return value;
  }

  std::uint32_t read_digits(std::size_t most, int base, std::size_t least) {
    const char* begin = text_.data() + at_;
    const char* end = begin + std::min(most, text_.size() - at_);
    std::uint32_t code = 0;
    const auto [stop, error] = std::from_chars(begin, end, code, base);
    if (error != std::errc() || static_cast<std::size_t>(stop - begin) < least) refuse("a character escape");
    at_ += static_cast<std::size_t>(stop - begin);
    return code;
  }

  std::string read_string() {
    bool raw = false;
    for (; at_ < text_.size() && text_[at_] != '\0' && std::strchr("uUbBrR", text_[at_]); ++at_)
      raw |= text_[at_] == 'r' || text_[at_] == 'R';
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '\'' && quote != '"') refuse("a value is not understood");
    ++at_;
    std::string out;
    for (;;) {
      if (at_ >= text_.size() || text_[at_] == '\n') refuse("a string is not closed");
      const char c = text_[at_++];
      if (c == quote) return out;
      if (c != '\\' || raw) {
        out += c;
        continue;
      }
      const char escape = at_ < text_.size() ? text_[at_++] : '\0';
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
        case 'a':
          out += '\a';
          break;
        case 'b':
          out += '\b';
          break;
        case 'f':
          out += '\f';
          break;
        case 'v':
          out += '\v';
          break;
        case '\\':
        case '\'':
        case '"':
          out += escape;
          break;
        case 'x':
          append_utf8(out, read_digits(2, 16, 2));
          break;
        case 'u':
          append_utf8(out, read_digits(4, 16, 4));
          break;
        case 'U':
          append_utf8(out, read_digits(8, 16, 8));
          break;
        default:
          if (escape < '0' || escape > '7') refuse("an unknown escape");
          --at_;
          append_utf8(out, read_digits(3, 8, 1));
      }
    }
  }

  void append_utf8(std::string& out, std::uint32_t code) const {
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) refuse("a character escape");
    const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
    if (code < 0x80) return put(code);
    if (code < 0x800) return put(0xc0 | code >> 6), put(0x80 | (code & 0x3f));
    if (code < 0x10000)
      return put(0xe0 | code >> 12), put(0x80 | (code >> 6 & 0x3f)), put(0x80 | (code & 0x3f));
    put(0xf0 | code >> 18), put(0x80 | (code >> 12 & 0x3f)), put(0x80 | (code >> 6 & 0x3f)),
        put(0x80 | (code & 0x3f));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  const std::string& doing_;
};

/// A type as it is stored: with mends, because members of one record may differ in byte order.
struct StoredType {
  DType dtype;
  Shape shape;
  std::vector<Mend> mends;
};

/// Turns the 'descr' of a header into a type.
class DescrReader {
 public:
  explicit DescrReader(const std::string& doing) : doing_(doing) {}

  StoredType read(const PyValue& descr) {
    using Kind = PyValue::Kind;
    if (descr.kind == Kind::string) return read_plain(descr.string);
    if (descr.kind == Kind::list) return read_record(descr);
    if (descr.kind == Kind::tuple && descr.items.size() == 2) {
      StoredType type = read(descr.items[0]);
      const Shape outer = read_shape(descr.items[1]);
      Shape shape = outer;
      for (const Index n : type.shape) shape.push_back(n);
      type.shape = shape;
      return type;
    }
    refuse("a dtype is neither a string nor a list");
  }

  Shape read_shape(const PyValue& value) const {
    using Kind = PyValue::Kind;
    if (value.kind == Kind::integer) return Shape{extent(value)};
    if (value.kind != Kind::tuple && value.kind != Kind::list) refuse("a shape is not a tuple");
    if (value.items.size() > static_cast<std::size_t>(max_rank))
      fail(Errc::unsupported,
           doing_ + ": too many axes; expected at most 32, got " + std::to_string(value.items.size()));
    Shape shape;
    for (const PyValue& item : value.items) shape.push_back(extent(item));
    return shape;
  }

  [[noreturn]] void refuse(const std::string& what) const {
    fail(Errc::corrupt_data,
         doing_ + ": damaged header, " + what +
             "; expected a dictionary with 'descr', 'fortran_order' and 'shape' as NumPy writes it");
  }

 private:
  Index extent(const PyValue& value) const {
    if (value.kind != PyValue::Kind::integer || value.integer < 0)
      refuse("an extent is not a non-negative integer");
    return value.integer;
  }

  StoredType read_plain(const std::string& text) const {
    bool big = false;
    StoredType type;
    try {
      type.dtype = parse_dtype(text, &big);
    } catch (const Error& error) {
      throw error.code() == Errc::syntax_error ? Error(Errc::corrupt_data, error.what()).during(doing_)
                                               : error.during(doing_);
    }
    if (type.dtype.is_record()) refuse("a string names a record");
    type.mends = mends_of(type.dtype, big != (std::endian::native == std::endian::big));
    return type;
  }

  StoredType read_record(const PyValue& descr) {
    using Kind = PyValue::Kind;
    std::vector<Field> fields;
    std::vector<Mend> mends;
    std::set<std::string> names;
    Index offset = 0;
    for (std::size_t number = 0; number < descr.items.size(); ++number) {
      const PyValue& item = descr.items[number];
      if (item.kind != Kind::tuple || item.items.size() < 2 || item.items.size() > 3)
        refuse("a field is not a tuple of two or three");
      const PyValue& name = item.items[0];  // or (title, name)
      const bool titled = name.kind == Kind::tuple && name.items.size() == 2;
      const PyValue& plain = titled ? name.items[1] : name;
      if (plain.kind != Kind::string) refuse("the name of a field is not a string");
      StoredType type = read(item.items[1]);
      Field field;
      field.name = plain.string.empty() ? "f" + std::to_string(number) : plain.string;
      field.shape = item.items.size() == 3 ? read_shape(item.items[2]) : Shape();
      for (const Index n : type.shape) field.shape.push_back(n);
      field.dtype = type.dtype;
      field.offset_bytes = static_cast<std::size_t>(offset);
      const Index count = size_of(field.shape), item_bytes = static_cast<Index>(field.dtype.item_bytes());
      offset = checked_add(offset, checked_mul(count, item_bytes, "record bytes"), "record bytes");
      if (plain.string.empty() && !field.dtype.is_numeric() && !field.dtype.is_record() &&
          field.dtype.name()[0] == 'V')
        continue;  // padding
      if (!names.insert(field.name).second) refuse("two fields are named '" + field.name + "'");
      if (++total_fields_ > 4096)
        fail(Errc::unsupported, doing_ + ": too many fields; expected at most 4096, got more");
      append_repeated(mends, type.mends, field.offset_bytes, count, item_bytes);
      fields.push_back(std::move(field));
    }
    if (offset == 0) refuse("a record has no bytes");
    try {
      return {DType::record(std::move(fields), static_cast<std::size_t>(offset)), {}, std::move(mends)};
    } catch (const Error& error) {
      throw error.during(doing_);
    }
  }

  /// The mends of `count` elements one after another.
  void append_repeated(std::vector<Mend>& mends, const std::vector<Mend>& of_one, std::size_t offset,
                       Index count, Index item_bytes) const {
    if (of_one.empty() || count == 0) return;
    Mend whole = of_one[0];
    if (of_one.size() == 1 && whole.offset_bytes == 0 &&
        whole.unit_bytes * whole.count == static_cast<std::size_t>(item_bytes)) {
      whole.offset_bytes = offset;
      whole.count *= static_cast<std::size_t>(count);
      mends.push_back(whole);
      return;
    }
    constexpr Index most = Index{1} << 16;
    if (count > most / static_cast<Index>(of_one.size()) - static_cast<Index>(mends.size()))
      fail(Errc::unsupported, doing_ + ": too many members of other byte order or bool; expected at most " +
                                  std::to_string(most) + " per element, got more");
    for (Index i = 0; i < count; ++i)
      for (Mend mend : of_one) {
        mend.offset_bytes += offset + static_cast<std::size_t>(i * item_bytes);
        mends.push_back(mend);
      }
  }

  const std::string& doing_;
  int total_fields_ = 0;
};

MORSEL_INLINE std::string utf8_of_latin1(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80)
      out += c;
    else
      out += static_cast<char>(0xc0 | byte >> 6), out += static_cast<char>(0x80 | (byte & 0x3f));
  }
  return out;
}

/// The latin-1 form of UTF-8 text, or nothing if it has none.
MORSEL_INLINE std::optional<std::string> latin1_of_utf8(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      out += text[i];
    } else if ((byte == 0xc2 || byte == 0xc3) && i + 1 < text.size()) {
      out += static_cast<char>((byte & 3) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3f));
    } else {
      return std::nullopt;
    }
  }
  return out;
}

/// The type that NumPy can name for the stored bytes of `dtype`.
MORSEL_INLINE DType numpy_storage(const DType& dtype) {
  if (dtype.is_numeric()) return dtype;
  if (dtype.is_record()) {
    std::vector<Field> fields = dtype.fields();
    for (Field& field : fields) field.dtype = numpy_storage(field.dtype);
    return DType::record(std::move(fields), dtype.item_bytes());
  }
  const std::string name = dtype.name(), text = dtype.numpy();
  if (text != name) return dtype;  // NumPy's strings begin with the byte order
  const std::size_t bytes = dtype.item_bytes();
  const std::string_view complex = "complex_";
  if (name.substr(0, complex.size()) == complex && bytes % 2 == 0) {
    const std::string part = name.substr(complex.size());
    const DType half = numpy_storage(DType::carried(part, bytes / 2));
    return DType::record({{"re", half, 0, {}}, {"im", half, bytes / 2, {}}}, bytes);
  }
  if (bytes == 1) return name.substr(0, 3) == "int" ? Type::int8 : Type::uint8;
  if (bytes == 2) return Type::uint16;
  if (bytes == 4) return Type::uint32;
  if (bytes == 8) return Type::uint64;
  fail(Errc::unsupported,
       "writing .npy: NumPy has no such type; expected a type of NumPy or one of 1, 2, 4 or 8 bytes, "
       "got " +
           name + " of " + std::to_string(bytes) + " bytes");
}

}  // namespace detail

MORSEL_INLINE RawLayout NpyHeader::layout(Index offset) const {
  return RawLayout::contiguous(dtype, fortran_order ? reversed(shape) : shape, offset, mends);
}

MORSEL_INLINE View NpyHeader::view() const {
  if (!fortran_order) return View::identity(shape);
  return reversing_view(reversed(shape), shape.size());
}

MORSEL_INLINE std::size_t npy_header_bytes(std::span<const std::byte> prefix, const std::string& doing) {
  const auto at = [&](std::size_t i) { return std::to_integer<std::size_t>(prefix[i]); };
  static constexpr unsigned char magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
  if (prefix.size() < 10 || std::memcmp(prefix.data(), magic, sizeof magic) != 0)
    fail(Errc::corrupt_data,
         doing + ": not a .npy file; expected the magic \\x93NUMPY and at least 10 bytes, got " +
             (prefix.size() < 10 ? std::to_string(prefix.size()) + " bytes" : "another beginning"));
  const std::size_t major = at(6), minor = at(7);
  if (major < 1 || major > 3 || minor != 0)
    fail(Errc::unsupported, doing + ": unknown version of the format; expected 1.0, 2.0 or 3.0, got " +
                                std::to_string(major) + "." + std::to_string(minor));
  if (major == 1) return 10 + (at(8) | at(9) << 8);
  if (prefix.size() < npy_prefix_bytes)
    fail(Errc::corrupt_data, doing + ": the file ends in the header; expected at least 12 bytes, got " +
                                 std::to_string(prefix.size()));
  const std::size_t length = at(8) | at(9) << 8 | at(10) << 16 | at(11) << 24;
  if (length > MiB)
    fail(Errc::unsupported, doing + ": an absurd header; expected at most " + std::to_string(MiB) +
                                " bytes, got " + std::to_string(length));
  return 12 + length;
}

MORSEL_INLINE NpyHeader parse_npy_header(std::span<const std::byte> bytes, const std::string& doing) {
  using detail::PyValue;
  const std::size_t end = npy_header_bytes(bytes, doing);
  if (end > bytes.size())
    fail(Errc::corrupt_data, doing + ": the file ends in the header; expected at least " +
                                 std::to_string(end) + " bytes, got " + std::to_string(bytes.size()));
  const bool one = bytes[6] == std::byte{1}, three = bytes[6] == std::byte{3};
  const std::size_t begin = one ? 10 : 12;
  std::string text(reinterpret_cast<const char*>(bytes.data()) + begin, end - begin);
  if (!three) text = detail::utf8_of_latin1(text);

  const PyValue header = detail::PyReader(text, doing).read_all();
  detail::DescrReader reader(doing);
  if (header.kind != PyValue::Kind::dict) reader.refuse("it is not a dictionary");
  const PyValue *descr = nullptr, *order = nullptr, *shape = nullptr;
  for (std::size_t i = 0; i + 1 < header.items.size(); i += 2) {
    const PyValue& key = header.items[i];
    const PyValue** slot = key.kind != PyValue::Kind::string ? nullptr
                           : key.string == "descr"           ? &descr
                           : key.string == "fortran_order"   ? &order
                           : key.string == "shape"           ? &shape
                                                             : nullptr;
    if (!slot)
      reader.refuse("an unknown key" + (key.string.empty() ? "" : " '" + key.string.substr(0, 40) + "'"));
    if (*slot) reader.refuse("the key '" + key.string + "' stands there twice");
    *slot = &header.items[i + 1];
  }
  if (!descr || !order || !shape)
    reader.refuse(std::string("the key '") +
                  (!descr   ? "descr"
                   : !order ? "fortran_order"
                            : "shape") +
                  "' is missing");
  if (order->kind != PyValue::Kind::boolean) reader.refuse("fortran_order is neither True nor False");
  if (shape->kind != PyValue::Kind::tuple) reader.refuse("the shape is not a tuple");

  NpyHeader result;
  try {
    detail::StoredType type = reader.read(*descr);
    if (!type.shape.empty())
      fail(Errc::unsupported,
           doing + ": elements that are arrays themselves; expected a plain type or a record");
    result.dtype = std::move(type.dtype);
    result.mends = std::move(type.mends);
    result.shape = reader.read_shape(*shape);
    result.data_bytes =
        checked_mul(size_of(result.shape), static_cast<Index>(result.dtype.item_bytes()), "array bytes");
    c_strides(result.shape, static_cast<Index>(result.dtype.item_bytes()));  // an empty array has strides too
  } catch (const Error& error) {
    if (std::string_view(error.what()).substr(0, doing.size()) == doing) throw;
    throw Error(Errc::corrupt_data, error.what()).during(doing);  // sizes and shapes that cannot be
  }
  result.fortran_order = order->boolean;
  result.data_offset = static_cast<Index>(end);
  return result;
}

MORSEL_INLINE std::string make_npy_header(const DType& dtype, const Shape& shape, ElementOrder order) {
  const DType stored = detail::numpy_storage(dtype);
  std::string descr = stored.numpy();
  if constexpr (std::endian::native == std::endian::big)
    for (std::size_t i = 1; i < descr.size(); ++i)
      if (descr[i - 1] == '\'' && descr[i] == '<') descr[i] = '>';
  const bool fortran = order == ElementOrder::F && shape.size() > 1;
  std::string text = "{'descr': " + (stored.is_record() ? descr : "'" + descr + "'") +
                     ", 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': " + to_string(shape) +
                     ", }";
  // NumPy leaves room for the growing extent to become 21 digits long.
  if (!shape.empty()) {
    const std::size_t digits = std::to_string(fortran ? shape.back() : shape[0]).size();
    text += std::string(21 - std::min<std::size_t>(21, digits), ' ');
  }
  const std::optional<std::string> latin1 = detail::latin1_of_utf8(text);
  for (int version = latin1 ? 1 : 3;; ++version) {
    const std::string& body = version == 3 ? text : *latin1;
    const std::size_t lead = version == 1 ? 10 : 12;
    const std::size_t padding = 64 - (lead + body.size() + 1) % 64;
    const std::size_t length = body.size() + padding + 1;
    if (version == 1 && length > 65535) continue;
    if (length > MiB)
      fail(Errc::unsupported, "writing .npy: the header is too long; expected at most " +
                                  std::to_string(MiB) + " bytes, got " + std::to_string(length));
    std::string out = "\x93NUMPY";
    out += static_cast<char>(version);
    out += '\0';
    for (std::size_t i = 8; i < lead; ++i) out += static_cast<char>(length >> 8 * (i - 8) & 0xff);
    return out + body + std::string(padding, ' ') + "\n";
  }
}

namespace detail {

MORSEL_INLINE void keep_bool_bytes(NpyHeader& header) {
  header.mends.erase(std::remove_if(header.mends.begin(), header.mends.end(),
                                    [](const Mend& mend) { return mend.kind == Mend::Kind::boolean; }),
                     header.mends.end());
}

/// Refuses a header that promises more than there is.
MORSEL_INLINE void check_npy_size(const NpyHeader& header, Index file_bytes, const std::string& doing) {
  if (header.data_bytes <= file_bytes - header.data_offset) return;
  fail(Errc::corrupt_data, doing + ": the file is shorter than its header says; expected " +
                               std::to_string(header.data_bytes) + " bytes of " + header.dtype.name() + " " +
                               to_string(header.shape) + " after the header, got " +
                               std::to_string(file_bytes - header.data_offset));
}

}  // namespace detail

MORSEL_INLINE OpenedArray open_npy(const std::string& path, const NpyOptions& options) {
  const std::string doing = "opening '" + path + "'";
  File file(path);
  const Index file_bytes = file.size_bytes();
  std::vector<std::byte> bytes(static_cast<std::size_t>(std::min<Index>(file_bytes, 4096)));
  file.read(0, bytes);
  const std::size_t header_bytes =
      npy_header_bytes(std::span(bytes).first(std::min(bytes.size(), npy_prefix_bytes)), doing);
  if (static_cast<std::uint64_t>(header_bytes) > static_cast<std::uint64_t>(file_bytes))
    fail(Errc::corrupt_data, doing + ": the file ends in the header; expected at least " +
                                 std::to_string(header_bytes) + " bytes, got " + std::to_string(file_bytes));
  if (header_bytes > bytes.size()) {
    bytes.resize(header_bytes);
    file.read(0, bytes);
  }
  NpyHeader header = parse_npy_header(bytes, doing);
  if (options.keep_bool_bytes) detail::keep_bool_bytes(header);
  detail::check_npy_size(header, file_bytes, doing);
  RawSourceOptions source;
  source.format = "npy";
  source.identity = "npy:" + file.path() + (options.keep_bool_bytes ? "?bool_bytes" : "");
  source.order = header.fortran_order ? "F" : "C";
  source.access = options.access;
  source.drop_cache = options.drop_cache;
  RawLayout layout = header.layout(header.data_offset);
  return {RawSource(std::move(file), std::move(layout), std::move(source)), header.view()};
}

}  // namespace morsel::inline MORSEL_ABI
