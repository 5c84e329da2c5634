// JSON text piece by piece: keys in the order they are written, integers in full, floats shortest, NaN as a
// string.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <morsel/array/dims.hpp>

namespace morsel::app {

class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);

  JsonWriter& null() { return raw("null"); }
  JsonWriter& boolean(bool value) { return raw(value ? "true" : "false"); }
  JsonWriter& integer(std::int64_t value) { return raw(std::to_string(value)); }
  JsonWriter& integer(std::uint64_t value) { return raw(std::to_string(value)); }
  /// Shortest digits that read back as `value`; NaN and infinities as "NaN", "Infinity", "-Infinity".
  JsonWriter& number(double value);
  JsonWriter& string(std::string_view text);
  JsonWriter& dims(const Dims& dims);
  /// JSON text as it is.
  JsonWriter& raw(std::string_view json);

  const std::string& text() const { return text_; }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void separate();

  std::string text_;
  std::vector<bool> filled_;  ///< per open bracket: does it hold anything yet?
  bool after_key_ = false;
};

}  // namespace morsel::app
