// Zarr arrays of strings of variable length: described and printed, never chunks of a lazy array.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "json_writer.hpp"
#include "open_source.hpp"
#include "session.hpp"

namespace morsel::app {

class StringArray {
 public:
  /// The array at a path; nothing if its elements are of another kind. **Fails**: as find_format;
  /// unsupported for codecs around the strings that are not read.
  static std::optional<StringArray> open(const std::string& path);

  const std::string& format() const;  ///< "zarr_v2", "zarr_v3"
  Shape shape() const;
  bool is_text() const;  ///< UTF-8; else bytes
  /// As write_array; `nbytes` is null.
  void write(JsonWriter& json, Detail detail) const;
  /// One element. Keeps the chunks that it has read last. **Fails**: corrupt_data, io_error; unsupported for
  /// chunks larger than `most_bytes`.
  std::string element(const Dims& index, std::size_t most_bytes) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Prints a part of the array ("" and "-"), or writes it to a .csv file. **Fails**: unsupported for other
/// targets.
void write_strings(Session& session, const StringArray& array, const std::string& slice,
                   const std::string& out);

}  // namespace morsel::app
