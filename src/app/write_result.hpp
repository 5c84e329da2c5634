// Where a result goes: a .npy file, a .csv file, or the terminal.
#pragma once

#include <morsel/api/any_lazy_array.hpp>
#include <string>

#include "json_writer.hpp"
#include "session.hpp"

namespace morsel::app {

enum class Existing : std::uint8_t { refuse, replace };

/// True for a name that ends in .npy.
bool is_npy(const std::string& path);

/// True for a name that ends in .csv.
bool is_csv(const std::string& path);

/// True for a path that is an array in a chunked container, by its ending or that of a part above.
bool is_in_container(const std::string& path);

/// Runs (or explains) `value` into `path` by its ending, or prints it if `path` is empty or "-". Files appear
/// whole or not at all; a chunked array grows chunk by chunk, at a path where nothing is yet. **Fails**:
/// unsupported for other endings; already_exists; invalid_argument for a directory.
void write_result(Session& session, const AnyLazyArray& value, const std::string& path, Existing existing);

/// What --json says of an array that was written: members of the object that is open.
void write_written(JsonWriter& json, const std::string& path, const Edge& value);

/// The error of a target that is there. `expected`: what would do.
[[noreturn]] void refuse_existing(const std::string& path, const std::string& expected);

}  // namespace morsel::app
