// Results on the terminal: all of a small array, the corners of a large one.
#pragma once

#include "json_writer.hpp"
#include "session.hpp"

namespace morsel::app {

/// Prints (or explains) `value`: as NumPy does, or with --json as {"dtype", "shape", "values"}. Of an array
/// of more than 1000 elements only the corners are computed and shown, with a line that says so; as JSON it
/// is refused above 100000.
void print_array(Session& session, const Edge& value);

/// The elements as NumPy prints them. `skipped[i]`: where the row of dots stands on axis i, or -1.
std::string array_text(const Elements& elements, const std::vector<Index>& skipped);

/// The elements as nested JSON lists.
void write_values(JsonWriter& json, const Elements& elements);

}  // namespace morsel::app
