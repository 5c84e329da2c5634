#include "json_writer.hpp"

#include <charconv>
#include <cmath>
#include <morsel/io/attributes_json.hpp>

namespace morsel::app {

void JsonWriter::separate() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (filled_.empty()) return;
  if (filled_.back()) text_ += ", ";
  filled_.back() = true;
}

JsonWriter& JsonWriter::open(char bracket) {
  separate();
  text_ += bracket;
  filled_.push_back(false);
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  filled_.pop_back();
  text_ += bracket;
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  text_ += json_string(name);
  text_ += ": ";
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::raw(std::string_view json) {
  separate();
  text_ += json;
  return *this;
}

JsonWriter& JsonWriter::number(double value) {
  if (std::isnan(value)) return raw("\"NaN\"");
  if (std::isinf(value)) return raw(value < 0 ? "\"-Infinity\"" : "\"Infinity\"");
  char digits[40];
  const auto end = std::to_chars(digits, digits + sizeof digits, value);
  std::string token(digits, end.ptr);
  // A float stays a float for readers that tell 1 from 1.0.
  if (token.find_first_of(".e") == std::string::npos) token += ".0";
  return raw(token);
}

JsonWriter& JsonWriter::string(std::string_view text) { return raw(json_string(text)); }

JsonWriter& JsonWriter::dims(const Dims& dims) {
  begin_array();
  for (const Index n : dims) integer(n);
  return end_array();
}

}  // namespace morsel::app
