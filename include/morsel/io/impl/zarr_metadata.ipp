#pragma once

#include <morsel/io/impl/n5.ipp>
#include <morsel/io/impl/zarr_dtype.ipp>
#include <morsel/io/impl/zarr_v2.ipp>
#include <morsel/io/impl/zarr_v3.ipp>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE std::string ChunkKeys::key(const Dims& chunk) const {
  if (chunk.empty()) return style == Style::v3 ? "c" : "0";
  std::string key = style == Style::v3 ? "c" : "";
  for (std::size_t i = 0; i < chunk.size(); ++i) {
    if (!key.empty()) key += separator;
    key += std::to_string(chunk[style == Style::n5 ? chunk.size() - 1 - i : i]);
  }
  return key;
}

MORSEL_INLINE Shape ZarrArray::stored_shape(const Dims& chunk) const {
  Shape shape = chunk_shape;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i < chunk_lengths.size() && !chunk_lengths[i].empty())
      shape[i] = chunk_lengths[i][static_cast<std::size_t>(chunk[i])];
    else if (is_bounded)
      shape[i] = grid.axis(i).length(chunk[i]);
  }
  return shape;
}

}  // namespace morsel::inline MORSEL_ABI
