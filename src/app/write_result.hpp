// Where a result goes: a .npy file, a .csv file, or the terminal.
#pragma once

#include <string>

#include "session.hpp"

namespace morsel::app {

enum class Existing : std::uint8_t { refuse, replace };

/// True for a name that ends in .npy.
bool is_npy(const std::string& path);

/// Runs (or explains) `value` into `path` by its ending, or prints it if `path` is empty or "-". Files appear
/// whole or not at all. **Fails**: unsupported for other endings; already_exists; invalid_argument for a
/// directory.
void write_result(Session& session, const Edge& value, const std::string& path, Existing existing);

}  // namespace morsel::app
