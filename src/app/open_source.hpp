// A path on the command line as an array, and what its storage says of it.
#pragma once

#include <morsel/api/any_lazy_array.hpp>
#include <morsel/io/format.hpp>
#include <string>

#include "json_writer.hpp"

namespace morsel::app {

/// SRC, with --dataset appended.
std::string source_path(const std::string& source, const std::string& dataset);

/// The array at a path, as an edge of its own chunks (or of those asked for).
struct OpenedEdge {
  Edge edge;
  std::vector<std::string> dims;  ///< names of the axes of `edge`, or empty
  Attributes attributes;
};
/// The values of an array to compute with, or its stored bytes for a copy that must equal the file: elements
/// of bool that are neither 0 nor 1 stay what they are.
enum class Values : std::uint8_t { computed_with, as_stored };
OpenedEdge open_edge(const std::string& path, Values values = Values::computed_with,
                     const ChunkSpec& chunks = {});

/// The same with names and attributes. Names of which one comes twice are left out: no axis could be found
/// by them.
AnyLazyArray named_array(const OpenedEdge& opened);

/// Names of a view's axes, from those of the array beneath; empty if there are none.
std::vector<std::string> names_through(const View& view, const std::vector<std::string>& beneath);

/// dtype, shape, chunks, ..., as members of the JSON object that is open. `brief`: dtype, shape, chunks and
/// nbytes.
enum class Detail : std::uint8_t { brief, full };
void write_array(JsonWriter& json, const OpenedArray& array, Detail detail);

}  // namespace morsel::app
