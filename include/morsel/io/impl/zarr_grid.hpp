// Shapes and chunk grids of metadata documents. For the bodies of metadata readers alone.
#pragma once

#include <morsel/io/impl/json_text.hpp>
#include <morsel/io/zarr_metadata.hpp>

namespace morsel::inline MORSEL_ABI::detail {

/// Chunks of differing length along one axis are kept as a list; there may be this many.
inline constexpr Index max_irregular_chunks = Index{1} << 20;

/// A list of lengths, one per axis, each at least `least`.
inline Shape read_lengths(const JsonObject& object, std::string_view name, Index least) {
  const JsonValue list = object.at(name);
  Shape lengths;
  bool is_bad = !list.is_array();
  list.for_each_element([&](JsonValue element) {
    const auto n = element.integer();
    is_bad |= !n || *n < least;
    if (lengths.size() == static_cast<std::size_t>(max_rank))
      object.wrong(name, "at most " + std::to_string(max_rank) + " axes", list);
    if (!is_bad) lengths.push_back(*n);
    return !is_bad;
  });
  if (is_bad) object.wrong(name, "a list of integers from " + std::to_string(least) + " to 2^63 - 1", list);
  return lengths;
}

/// The same for chunks: as many as axes. A length of 0 is 1 where the axis is empty: some writers take the
/// chunk's length from the array's.
inline Shape read_chunk_lengths(const JsonObject& object, std::string_view name, const Shape& shape) {
  Shape chunk = read_lengths(object, name, 0);
  if (chunk.size() != shape.size())
    object.wrong(name, std::to_string(shape.size()) + " lengths, one per axis", object.at(name));
  for (std::size_t i = 0; i < chunk.size(); ++i) {
    if (chunk[i] == 0 && shape[i] == 0) chunk[i] = 1;
    if (chunk[i] == 0) object.wrong(name, "lengths of at least 1", object.at(name));
  }
  return chunk;
}

/// Checks what nothing else does: that sizes in bytes fit. **Fails**: overflow.
inline void check_sizes(const ZarrArray& array, const std::string& doing) {
  const auto item = static_cast<Index>(array.dtype.item_bytes());
  try {
    checked_mul(size_of(array.grid.shape()), item, "array bytes");
    checked_mul(size_of(array.chunk_shape), item, "chunk bytes");
  } catch (const Error& e) {
    throw e.during(doing);
  }
}

}  // namespace morsel::inline MORSEL_ABI::detail
