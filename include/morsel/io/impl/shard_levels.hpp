// Shards as reader and writer take them apart, level by level. For bodies alone.
#pragma once

#include <morsel/io/impl/codec_chain.ipp>
#include <morsel/io/shard.hpp>
#include <optional>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI::detail {

/// The shards that a codec list makes, if nothing but transposes comes before them and nothing behind, so
/// that they can be read and written inner chunk by inner chunk. Then `codecs` becomes those of the inner
/// chunks, `shape` their shape, and `order`, which says which axis of the array each axis of `shape` is, what
/// it is behind the transposes.
inline std::optional<ShardFormat> take_shards(std::vector<CodecInfo>& codecs, Shape& shape,
                                              std::vector<std::size_t>& order, const std::string& doing) {
  std::size_t at = 0;
  while (at < codecs.size() && codecs[at].name == "transpose") ++at;
  if (at + 1 != codecs.size() || codecs[at].name != "sharding_indexed") return std::nullopt;
  for (std::size_t i = 0; i < at; ++i) {
    const std::vector<std::size_t> turned = transpose_order(codecs[i], order.size(), doing);
    shape = permuted(shape, turned);
    order = permuted(order, turned);
  }
  ShardFormat format(codecs[at], shape, doing);
  shape = format.inner_shape();
  codecs = format.inner_codecs();
  return format;
}

}  // namespace morsel::inline MORSEL_ABI::detail
