// Tables of text, streamed.
#pragma once

#include <string>

#include "session.hpp"
#include "write_result.hpp"

namespace morsel::app {

/// Writes `value` as comma-separated text: up to two axes a table like NumPy's savetxt (one axis: a line per
/// element), a record's fields as columns under their names; more axes one line per element, its indices
/// before it. True if it ran, false if it was explained.
bool write_csv(Session& session, const Edge& value, const std::string& path, Existing existing);

}  // namespace morsel::app
