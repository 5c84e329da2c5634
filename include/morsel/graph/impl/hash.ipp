#pragma once

#include <morsel/graph/hash.hpp>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE void Hasher::add(const View& view) {
  add(view.shape);
  for (const AxisMap& map : view.maps) {
    add(static_cast<std::uint64_t>(map.kind));
    add(static_cast<std::uint64_t>(map.axis));
    add(static_cast<std::uint64_t>(map.offset));
    add(static_cast<std::uint64_t>(map.stride));
    if (map.indices)
      for (const Index i : *map.indices) add(static_cast<std::uint64_t>(i));
  }
}

MORSEL_INLINE void Hasher::add(const Grid& grid) {
  add(grid.shape());
  for (std::size_t i = 0; i < grid.rank(); ++i) {
    const AxisGrid& axis = grid.axis(i);
    add(static_cast<std::uint64_t>(axis.count()));
    if (axis.count() < 2) continue;
    if (axis.is_regular()) {
      add(static_cast<std::uint64_t>(axis.end(0)));
      add(static_cast<std::uint64_t>(axis.end(1)));
    } else {
      for (Index k = 0; k < axis.count(); ++k) add(static_cast<std::uint64_t>(axis.end(k)));
    }
  }
}

MORSEL_INLINE NodeView::NodeView(const Node* n, View v) : node(n), view(std::move(v)) {
  Hasher h;
  h.add(reinterpret_cast<std::uintptr_t>(node));
  h.add(view);
  hash = h.hash().lo;
}

MORSEL_INLINE Hash hash_of(const Node& node) {
  Hasher h;
  h.add(node.payload.index());
  h.add(node.dtype.name());
  h.add(node.shape());
  if (const auto* source = std::get_if<SourceNode>(&node.payload)) {
    h.add(source->source.identity());
    h.add(source->version);
  } else if (const auto* constant = std::get_if<ConstantNode>(&node.payload)) {
    h.add(std::string_view(reinterpret_cast<const char*>(constant->element.data()), node.dtype.item_bytes()));
  } else if (const auto* call = std::get_if<ElementwiseNode>(&node.payload)) {
    h.add(static_cast<std::uint64_t>(call->kind));
    if (call->kind == ElementwiseNode::Kind::op) h.add(static_cast<std::uint64_t>(call->op));
    if (call->user) {
      h.add(reinterpret_cast<std::uintptr_t>(call->user.get()));
    }
    for (const Edge& e : call->inputs) h.add(e);
  } else if (const auto* reduce = std::get_if<ReduceNode>(&node.payload)) {
    h.add(reduce->reducer->name());
    h.add(reduce->reducer->state_name());
    // A user's combiner and a data-dependent one are equal only to themselves.
    if (reduce->reducer->order() == MergeOrder::sequential)
      h.add(reinterpret_cast<std::uintptr_t>(reduce->reducer.get()));
    h.add(reduce->input);
    for (const int axis : reduce->axes) h.add(static_cast<std::uint64_t>(axis));
    h.add(static_cast<std::uint64_t>(reduce->keepdims) | static_cast<std::uint64_t>(reduce->per_chunk) << 1 |
          static_cast<std::uint64_t>(reduce->raw_states) << 2 |
          static_cast<std::uint64_t>(reduce->trailing) << 3 |
          static_cast<std::uint64_t>(reduce->run_begin) << 4);
    h.add(reduce->leaves);
    for (const Edge& e : reduce->parameters) h.add(e);
  } else if (const auto* rechunked = std::get_if<RechunkNode>(&node.payload)) {
    h.add(rechunked->input);
    h.add(node.grid);
  } else if (const auto* joined = std::get_if<ConcatNode>(&node.payload)) {
    h.add(static_cast<std::uint64_t>(joined->axis));
    for (const Edge& e : joined->inputs) h.add(e);
  } else if (const auto* map = std::get_if<MapChunksNode>(&node.payload)) {
    h.add(reinterpret_cast<std::uintptr_t>(&node));  // a user's function is equal only to itself
    for (const Edge& e : map->inputs) h.add(e);
    h.add(node.grid);
  }
  return h.hash();
}

}  // namespace morsel::inline MORSEL_ABI
