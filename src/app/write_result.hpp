// Where a result goes: a .npy file, a .csv file, or the terminal.
#pragma once

#include <memory>
#include <morsel/api/any_lazy_array.hpp>
#include <morsel/io/format.hpp>
#include <string>

#include "json_writer.hpp"
#include "session.hpp"

namespace morsel::app {

enum class Existing : std::uint8_t { refuse, replace };

/// True for a name that ends in .npy.
bool is_npy(const std::string& path);

/// True for a name that ends in .csv.
bool is_csv(const std::string& path);

/// The format of a path that is an array in a chunked container, by its ending or that of a part above; null
/// for others.
std::shared_ptr<const Format> container_format(const std::string& path);
inline bool is_in_container(const std::string& path) { return container_format(path) != nullptr; }
/// True for a path in a container that is one file, which appears whole.
inline bool is_in_one_file(const std::string& path) {
  const std::shared_ptr<const Format> format = container_format(path);
  return format && format->is_one_file;
}

/// Runs (or explains) `value` into `path` by its ending, or prints it if `path` is empty or "-". Files appear
/// whole or not at all; a chunked array grows chunk by chunk, at a path where nothing is yet. **Fails**:
/// unsupported for other endings; already_exists; invalid_argument for a directory.
void write_result(Session& session, const AnyLazyArray& value, const std::string& path, Existing existing);

/// What --json says of an array that was written: members of the object that is open.
void write_written(JsonWriter& json, const std::string& path, const Edge& value);

/// The error of a target that is there. `expected`: what would do.
[[noreturn]] void refuse_existing(const std::string& path, const std::string& expected);

}  // namespace morsel::app
