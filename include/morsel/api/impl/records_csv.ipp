#pragma once

#include <charconv>
#include <morsel/api/records.hpp>
#include <morsel/io/impl/text_file.hpp>

namespace morsel::inline MORSEL_ABI {
namespace detail {

/// Appends a column's element in a row to a line.
using CellWriter = std::function<void(const std::byte* row, std::string& line)>;

MORSEL_INLINE void append_text(std::string& line, const std::string& text, const std::string& separator) {
  const bool is_plain = text.find_first_of("\"\r\n") == std::string::npos &&
                        text.find(separator) == std::string::npos && (text.empty() || text.front() != ' ') &&
                        (text.empty() || text.back() != ' ');
  if (is_plain) {
    line += text;
    return;
  }
  line += '"';
  for (const char c : text) line += c == '"' ? std::string("\"\"") : std::string(1, c);
  line += '"';
}

template <class T>
void append_number(const std::byte* element, std::string& line) {
  T value;
  std::memcpy(static_cast<void*>(&value), element, sizeof value);
  char digits[64];
  std::to_chars_result end{};
  if constexpr (std::is_same_v<T, bool>)
    end = std::to_chars(digits, digits + sizeof digits, static_cast<int>(value));
  else if constexpr (std::is_same_v<T, float16>)
    end = std::to_chars(digits, digits + sizeof digits, static_cast<float>(value));
  else
    end = std::to_chars(digits, digits + sizeof digits, value);
  line.append(digits, end.ptr);
}

/// UTF-32 as UTF-8, up to the zeros at the end; what is no character becomes U+FFFD.
MORSEL_INLINE std::string utf8_of(const std::byte* element, std::size_t bytes) {
  std::string text;
  std::size_t count = bytes / 4;
  const auto unit = [&](std::size_t i) {
    char32_t c;
    std::memcpy(&c, element + 4 * i, 4);
    return c;
  };
  while (count > 0 && unit(count - 1) == 0) --count;
  for (std::size_t i = 0; i < count; ++i) {
    char32_t c = unit(i);
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) c = 0xfffd;
    const auto put = [&](char32_t bits) { text += static_cast<char>(static_cast<unsigned char>(bits)); };
    if (c < 0x80) {
      put(c);
    } else if (c < 0x800) {
      put(0xc0 | (c >> 6)), put(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
      put(0xe0 | (c >> 12)), put(0x80 | ((c >> 6) & 0x3f)), put(0x80 | (c & 0x3f));
    } else {
      put(0xf0 | (c >> 18)), put(0x80 | ((c >> 12) & 0x3f)), put(0x80 | ((c >> 6) & 0x3f)),
          put(0x80 | (c & 0x3f));
    }
  }
  return text;
}

MORSEL_INLINE CellWriter cell_writer(const Field& field, const std::string& separator,
                                     const std::string& doing) {
  const DType& dtype = field.dtype;
  const std::size_t at = field.offset_bytes, bytes = dtype.item_bytes();
  const std::string name = dtype.name();
  if (field.shape.empty() && dtype.is_numeric() && !is_complex(dtype.type()))
    return visit_type(dtype.type(), [at]<class T>() -> CellWriter {
      if constexpr (is_complex(type_of<T>))
        return {};
      else
        return [at](const std::byte* row, std::string& line) { append_number<T>(row + at, line); };
    });
  if (field.shape.empty() && is_time(dtype))
    return [at](const std::byte* row, std::string& line) { append_number<std::int64_t>(row + at, line); };
  if (field.shape.empty() && name.starts_with('S'))
    return [at, bytes, separator](const std::byte* row, std::string& line) {
      std::string text(reinterpret_cast<const char*>(row + at), bytes);
      while (!text.empty() && text.back() == '\0') text.pop_back();
      append_text(line, text, separator);
    };
  if (field.shape.empty() && name.starts_with('U'))
    return [at, bytes, separator](const std::byte* row, std::string& line) {
      append_text(line, utf8_of(row + at, bytes), separator);
    };
  fail(Errc::unsupported, doing + ": column '" + field.name +
                              "' is no text; expected numbers, strings or times, got " + name +
                              (field.shape.empty() ? "" : " arrays of " + to_string(field.shape)) +
                              " (leave it out with fields)");
}

}  // namespace detail

MORSEL_INLINE Index save_csv(const Records& records, const std::string& path, const CsvOptions& options) {
  const std::string doing = "save '" + path + "'";
  if (options.separator.empty() || options.separator.find_first_of("\"\r\n") != std::string::npos)
    fail(Errc::invalid_argument,
         doing + ": no separator; expected some characters, no quotes or ends of lines, got '" +
             options.separator + "'");
  std::vector<detail::CellWriter> cells;
  std::string head;
  for (const Field& field : records.dtype().fields()) {
    cells.push_back(detail::cell_writer(field, options.separator, doing));
    if (cells.size() > 1) head += options.separator;
    detail::append_text(head, field.name, options.separator);
  }
  detail::TextFile file(
      path, options.overwrite ? detail::TextFile::Existing::replace : detail::TextFile::Existing::refuse);
  file.text() += head + "\n";
  Index rows = 0;
  records.for_each(
      [&](const RecordBlock& block) {
        for (Index row = 0; row < block.size(); ++row) {
          for (std::size_t i = 0; i < cells.size(); ++i) {
            if (i > 0) file.text() += options.separator;
            cells[i](block.row(row), file.text());
          }
          file.text() += '\n';
          file.flush_if_long();
        }
        rows += block.size();
      },
      options.run);
  file.commit();
  return rows;
}

}  // namespace morsel::inline MORSEL_ABI
