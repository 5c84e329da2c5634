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

/// The same of texts, one per element in C order.
std::string array_text(std::vector<std::string> texts, const Shape& shape, const std::vector<Index>& skipped);

/// More elements than these are shown by their corners, or refused as JSON.
inline constexpr Index most_shown = 1000, most_json = 100000;
/// The indices of an axis that are shown of a large array, and where the row of dots stands (-1: all are).
/// `axes_behind`: this axis and those after it, of `rank`.
std::vector<Index> corner_indices(Index extent, std::size_t rank, std::size_t axes_behind, Index& skipped);

/// The elements as nested JSON lists.
void write_values(JsonWriter& json, const Elements& elements);

}  // namespace morsel::app
