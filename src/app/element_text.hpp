// Elements of any dtype as text for people, for CSV and for JSON.
#pragma once

#include <cstddef>
#include <morsel/array/dtype.hpp>
#include <string>

#include "json_writer.hpp"

namespace morsel::app {

enum class TextStyle : std::uint8_t {
  shown,  ///< as Python prints: True, 1.0, (1+2j), 'text', (1, 2.5)
  csv     ///< 1, 1.0, 1+2j, text in quotes where needed
};

/// One element as text. Floats have the shortest digits that read back in their own dtype. Types without a
/// reading are hexadecimal digits of their bytes.
void append_element(std::string& out, const DType& dtype, const std::byte* element, TextStyle style);

/// Text in quotes as Python prints it, or as a cell of CSV.
void append_quoted(std::string& out, std::string_view text, TextStyle style);

/// One element as JSON: complex numbers as [re, im], records as objects, times as ISO 8601, bytes as text.
void write_element(JsonWriter& json, const DType& dtype, const std::byte* element);

/// A dtype in JSON: NumPy's type string, for records a list of [name, dtype] or [name, dtype, shape], else
/// its name.
void write_dtype(JsonWriter& json, const DType& dtype);

}  // namespace morsel::app
