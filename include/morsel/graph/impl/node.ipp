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

MORSEL_INLINE Node::~Node() {
  if (std::holds_alternative<SourceNode>(payload) || std::holds_alternative<ConstantNode>(payload)) return;
  thread_local std::vector<Payload>* dropped = nullptr;
  try {
    if (dropped) {
      dropped->push_back(std::move(payload));
      return;
    }
    std::vector<Payload> open;
    open.push_back(std::move(payload));
    dropped = &open;
    while (!open.empty()) {
      const Payload last = std::move(open.back());
      open.pop_back();  // before `last` goes: what it alone held comes to the list
    }
  } catch (...) {
    // No memory for the list: what is left goes by recursion.
  }
  dropped = nullptr;
}

MORSEL_INLINE std::vector<Edge> inputs_of(const Node& node) {
  std::vector<Edge> inputs;
  for_each_input(node, [&](const Edge& e) { inputs.push_back(e); });
  return inputs;
}

}  // namespace morsel::inline MORSEL_ABI
