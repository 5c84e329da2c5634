#pragma once

#include <cinttypes>
#include <cstdio>
#include <morsel/graph/node.hpp>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE Grid Edge::grid() const {
  return view.is_identity(node->grid.shape()) ? node->grid : map_grid(view, node->grid);
}

MORSEL_INLINE std::string to_string(const Hash& hash) {
  char text[33];
  std::snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64, hash.hi, hash.lo);
  return text;
}

MORSEL_INLINE std::vector<Edge> inputs_of(const Node& node) {
  if (const auto* call = std::get_if<ElementwiseNode>(&node.payload)) return call->inputs;
  if (const auto* call = std::get_if<ConcatNode>(&node.payload)) return call->inputs;
  if (const auto* call = std::get_if<MapChunksNode>(&node.payload)) return call->inputs;
  if (const auto* call = std::get_if<RechunkNode>(&node.payload)) return {call->input};
  if (const auto* call = std::get_if<ReduceNode>(&node.payload)) {
    std::vector<Edge> inputs{call->input};
    inputs.insert(inputs.end(), call->parameters.begin(), call->parameters.end());
    return inputs;
  }
  return {};
}

}  // namespace morsel::inline MORSEL_ABI
