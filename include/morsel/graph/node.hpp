// What must be computed: immutable nodes, and edges that see a node through a view.
//
// Slicing, transposing, broadcasting make no node: they compose views on the edge. Nodes know dtype and
// declared grid; nothing here touches data.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <morsel/array/chunk_spec.hpp>
#include <morsel/array/view.hpp>
#include <morsel/io/chunk_source.hpp>
#include <morsel/kernel/reducer.hpp>
#include <morsel/kernel/tape.hpp>
#include <string>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

namespace morsel::inline MORSEL_ABI {

struct Node;
using NodePtr = std::shared_ptr<const Node>;

/// A value: a node seen through a view. Cheap to copy.
struct Edge {
  NodePtr node;
  View view;
  const Shape& shape() const { return view.shape; }
  const DType& dtype() const;
  /// The declared grid as seen through the view.
  Grid grid() const;
};

/// 128 bits that name a value: equal hashes, equal values. Sources count with identity and version; a user's
/// function counts as itself only within one process.
struct Hash {
  std::uint64_t hi = 0, lo = 0;
  friend bool operator==(const Hash&, const Hash&) = default;
  friend auto operator<=>(const Hash&, const Hash&) = default;
};
std::string to_string(const Hash& hash);

/// Reads chunks from outside the graph.
struct SourceNode {
  AnyChunkSource source;
  std::string version;  ///< as it was when the node was made; checked again around every run
};

/// One element, the same everywhere; 0-d.
struct ConstantNode {
  std::array<std::byte, 16> element{};
};

/// out[i] = op(inputs[0][i], ...): inputs are broadcast to the node's shape by their views.
struct ElementwiseNode {
  enum class Kind : std::uint8_t { op, cast, user };
  Kind kind = Kind::op;
  Op op{};
  std::shared_ptr<const UserKernel> user;
  std::vector<Edge> inputs;
};

/// Reduces axes of its input. The leaves are the chunks of `leaves`, the input's declared grid when the node
/// was made.
struct ReduceNode {
  ReducerPtr reducer;
  Edge input;
  std::vector<int> axes;  ///< sorted, of the input
  bool keepdims = false;
  bool per_chunk = false;   ///< one result per chunk instead of one per array
  bool raw_states = false;  ///< gives the unfinished states as bytes, for partial()
  Grid leaves;
  /// Fixed by axes and declared shape when the node was made (axes of extent 1 do not count): true if the
  /// trailing axes are reduced; they begin at axis `run_begin`.
  bool trailing = true;
  int run_begin = 0;
  /// Values that the reducer needs first (a histogram's range): 0-d float64 inputs, then `bind` makes the
  /// reducer.
  std::vector<Edge> parameters;
  std::function<ReducerPtr(const std::vector<double>&)> bind;
};

/// The same values with another declared grid.
struct RechunkNode {
  Edge input;
};

/// Inputs one after another along an axis.
struct ConcatNode {
  std::vector<Edge> inputs;
  int axis = 0;
};

/// What a map_chunks function is told of the chunk it computes.
struct ChunkInfo {
  Dims position;  ///< in the grid
  Region region;  ///< in the output array
  Index number = 0, count = 0;
};

/// Calls a user's function once per chunk of the node's grid with the inputs' elements of that chunk, C
/// order. Inputs are broadcast to the node's shape by their views.
struct MapChunksNode {
  std::function<void(const ChunkInfo&, const std::vector<BufferView>&, const BufferView&)> function;
  std::vector<Edge> inputs;
  std::size_t scratch_bytes_per_chunk = 0;  ///< what the function itself allocates, as the user declares it
};

struct Node {
  using Payload = std::variant<SourceNode, ConstantNode, ElementwiseNode, ReduceNode, RechunkNode, ConcatNode,
                               MapChunksNode>;
  std::string name;  ///< "add", "mean", the file: for explain and errors
  DType dtype;
  Grid grid;  ///< declared; its shape is the node's
  Hash hash;
  Payload payload;

  Node() = default;
  Node(const Node&) = default;
  Node(Node&&) = default;
  Node& operator=(const Node&) = default;
  Node& operator=(Node&&) = default;
  /// Gives up what is below one node after another: a chain of any length needs no stack.
  ~Node();
  Shape shape() const { return grid.shape(); }
};

/// The edges a node reads, in order.
std::vector<Edge> inputs_of(const Node& node);

/// Calls f with every edge the node reads, in the order of inputs_of.
template <class F>
void for_each_input(const Node& node, F&& f) {
  const auto all = [&](const std::vector<Edge>& edges) {
    for (const Edge& e : edges) f(e);
  };
  if (const auto* call = std::get_if<ElementwiseNode>(&node.payload)) all(call->inputs);
  if (const auto* joined = std::get_if<ConcatNode>(&node.payload)) all(joined->inputs);
  if (const auto* call = std::get_if<MapChunksNode>(&node.payload)) all(call->inputs);
  if (const auto* rechunked = std::get_if<RechunkNode>(&node.payload)) f(rechunked->input);
  if (const auto* reduction = std::get_if<ReduceNode>(&node.payload)) {
    f(reduction->input);
    all(reduction->parameters);
  }
}

/// Calls f(const NodePtr&) once for every node at or below `top` that is not in `seen`, inputs before the
/// nodes that read them. Needs no stack, however deep the graph.
template <class F>
void for_each_node(const NodePtr& top, std::unordered_set<const Node*>& seen, F&& f) {
  struct Open {
    const NodePtr* node;
    std::vector<const NodePtr*> inputs;  // those to come, the next one last
  };
  std::vector<Open> open;
  const auto enter = [&](const NodePtr& node) {
    if (!seen.insert(node.get()).second) return;
    open.push_back({&node, {}});
    for_each_input(*node, [&](const Edge& e) { open.back().inputs.push_back(&e.node); });
    std::reverse(open.back().inputs.begin(), open.back().inputs.end());
  };
  enter(top);
  while (!open.empty()) {
    if (open.back().inputs.empty()) {
      f(*open.back().node);
      open.pop_back();
      continue;
    }
    const NodePtr& next = *open.back().inputs.back();
    open.back().inputs.pop_back();
    enter(next);
  }
}

inline const DType& Edge::dtype() const { return node->dtype; }

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/graph/impl/node.ipp>
#endif
