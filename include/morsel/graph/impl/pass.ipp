#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <morsel/graph/build.hpp>
#include <morsel/graph/hash.hpp>
#include <morsel/graph/pass.hpp>
#include <unordered_map>

namespace morsel::inline MORSEL_ABI {
namespace detail {

/// Rewrites a graph bottom-up, each node once: `rewrite` gets an edge whose inputs are rewritten already.
class Rewriter {
 public:
  template <class F>
  Edge edge(const Edge& e, F&& rewrite) {
    return rewrite(Edge{node(e.node, rewrite), e.view});
  }

 private:
  template <class F>
  NodePtr node(const NodePtr& n, F& rewrite) {
    if (const auto it = done_.find(n.get()); it != done_.end()) return it->second;
    NodePtr result = n;
    const auto mend = [&](std::vector<Edge>& inputs) {
      bool changed = false;
      for (Edge& e : inputs) {
        Edge mended = edge(e, rewrite);
        changed |= mended.node != e.node || mended.view.maps.size() != e.view.maps.size() ||
                   !same_view(mended.view, e.view);
        e = std::move(mended);
      }
      return changed;
    };
    Node copy = *n;
    bool changed = false;
    if (auto* e = std::get_if<ElementwiseNode>(&copy.payload)) changed = mend(e->inputs);
    if (auto* c = std::get_if<ConcatNode>(&copy.payload)) changed = mend(c->inputs);
    if (auto* m = std::get_if<MapChunksNode>(&copy.payload)) changed = mend(m->inputs);
    if (auto* r = std::get_if<RechunkNode>(&copy.payload)) {
      std::vector<Edge> one{r->input};
      changed = mend(one);
      r->input = one[0];
    }
    if (auto* r = std::get_if<ReduceNode>(&copy.payload)) {
      std::vector<Edge> one{r->input};
      changed = mend(one);
      r->input = one[0];
      changed |= mend(r->parameters);
    }
    if (changed) result = std::make_shared<const Node>(std::move(copy));
    done_.emplace(n.get(), result);
    kept_.push_back(n);
    return result;
  }
  static bool same_view(const View& a, const View& b) {
    if (a.shape != b.shape || a.maps.size() != b.maps.size()) return false;
    for (std::size_t i = 0; i < a.maps.size(); ++i)
      if (a.maps[i].kind != b.maps[i].kind || a.maps[i].axis != b.maps[i].axis ||
          a.maps[i].offset != b.maps[i].offset || a.maps[i].stride != b.maps[i].stride ||
          a.maps[i].indices != b.maps[i].indices)
        return false;
    return true;
  }
  std::unordered_map<const Node*, NodePtr> done_;
  std::vector<NodePtr> kept_;
};

MORSEL_INLINE Graph fold_rechunk(Graph graph) {
  Rewriter rewriter;
  for (Edge& output : graph.outputs)
    output = rewriter.edge(output, [](Edge e) {
      while (const auto* r = std::get_if<RechunkNode>(&e.node->payload))
        e = Edge{r->input.node, compose(e.view, r->input.view)};
      return e;
    });
  return graph;
}

/// Elements of the view per element of the node beneath that it can show at most once each: false if it
/// repeats.
MORSEL_INLINE bool repeats_elements(const View& view) {
  for (std::size_t axis = 0; axis < view.rank(); ++axis) {
    if (view.shape[axis] <= 1) continue;
    bool driven = false;
    for (const AxisMap& map : view.maps)
      driven |= map.kind != AxisMap::Kind::constant && map.axis == static_cast<int>(axis);
    if (!driven) return true;
  }
  return false;
}

/// The part of a reduction that a view of it shows: slices with steps on kept axes move to the input.
MORSEL_INLINE Edge push_through_reduce(const Edge& e, const ReduceNode& r) {
  if (r.per_chunk || r.raw_states) return e;
  const std::size_t in_rank = r.input.shape().size();
  // Output axis of each kept input axis.
  std::vector<int> out_of(in_rank, -1);
  int out = 0;
  for (std::size_t a = 0; a < in_rank; ++a) {
    const bool reduced = std::find(r.axes.begin(), r.axes.end(), static_cast<int>(a)) != r.axes.end();
    if (!reduced) out_of[a] = out++;
    if (reduced && r.keepdims) ++out;
  }
  View restriction = View::identity(r.input.shape());
  View rest = e.view;
  bool restricts = false;
  for (std::size_t a = 0; a < in_rank; ++a) {
    if (out_of[a] < 0) continue;
    AxisMap& map = rest.maps[static_cast<std::size_t>(out_of[a])];
    const Index extent = r.input.shape()[a];
    if (map.kind == AxisMap::Kind::gather) continue;
    Index start = map.offset, step = 1, count = 1;
    if (map.kind == AxisMap::Kind::affine) {
      const Index n = e.view.shape[static_cast<std::size_t>(map.axis)];
      if (n == 0) continue;
      const Index last = map.offset + (n - 1) * map.stride;
      step = std::max<Index>(1, std::abs(map.stride));
      start = std::min(map.offset, last);
      count = map.stride == 0 ? 1 : n;
    }
    if (start == 0 && step == 1 && count == extent) continue;
    restricts = true;
    restriction.shape[a] = count;
    restriction.maps[a] = AxisMap::affine(static_cast<int>(a), start, step);
    if (map.kind == AxisMap::Kind::constant)
      map.offset = 0;
    else
      map = AxisMap::affine(map.axis, map.stride < 0 ? count - 1 : 0,
                            map.stride < 0    ? -1
                            : map.stride == 0 ? 0
                                              : 1);
  }
  if (!restricts) return e;
  Node node = *e.node;
  ReduceNode& pushed = std::get<ReduceNode>(node.payload);
  pushed.leaves = map_grid(restriction, r.leaves);
  pushed.input = Edge{r.input.node, compose(restriction, r.input.view)};
  std::vector<AxisGrid> axes;
  for (std::size_t a = 0; a < in_rank; ++a) {
    const bool kept = out_of[a] >= 0;
    if (kept) axes.push_back(pushed.leaves.axis(a));
    if (!kept && r.keepdims) axes.push_back(AxisGrid::regular(1, 1));
  }
  for (std::size_t a = axes.size(); a < e.node->grid.rank(); ++a) axes.push_back(e.node->grid.axis(a));
  node.grid = Grid(std::move(axes));
  node.hash = hash_of(node);
  return Edge{std::make_shared<const Node>(std::move(node)), rest};
}

/// What pushing has given already: an expression of n nodes may be reached along 2^n ways.
class PushedViews {
 public:
  const Edge* find(const Edge& e) const {
    const auto it = done_.find(e.node.get());
    if (it == done_.end()) return nullptr;
    for (const auto& [view, pushed] : it->second)
      if (same(view, e.view)) return &pushed;
    return nullptr;
  }
  void keep(const Edge& e, const Edge& pushed) {
    done_[e.node.get()].emplace_back(e.view, pushed);
    nodes_.push_back(e.node);
  }

 private:
  static bool same(const View& a, const View& b) {
    return a.shape == b.shape && std::equal(a.maps.begin(), a.maps.end(), b.maps.begin(), b.maps.end(),
                                            [](const AxisMap& x, const AxisMap& y) {
                                              return x.kind == y.kind && x.axis == y.axis &&
                                                     x.offset == y.offset && x.stride == y.stride &&
                                                     (x.indices == y.indices ||
                                                      (x.indices && y.indices && *x.indices == *y.indices));
                                            });
  }
  std::unordered_map<const Node*, std::vector<std::pair<View, Edge>>> done_;
  std::vector<NodePtr> nodes_;
};

MORSEL_INLINE Edge push_view(Edge e, PushedViews& done);

MORSEL_INLINE Edge push_through_elementwise(const Edge& e, const ElementwiseNode& call, PushedViews& done) {
  Node node = *e.node;
  auto& pushed = std::get<ElementwiseNode>(node.payload);
  for (std::size_t i = 0; i < call.inputs.size(); ++i)
    pushed.inputs[i] = push_view(Edge{call.inputs[i].node, compose(e.view, call.inputs[i].view)}, done);
  node.grid = map_grid(e.view, e.node->grid);
  node.hash = hash_of(node);
  const Shape shape = e.view.shape;
  return Edge{std::make_shared<const Node>(std::move(node)), View::identity(shape)};
}

/// Operands of a concat that the view does not touch go; if one is left the concat goes too.
MORSEL_INLINE Edge push_through_concat(const Edge& e, const ConcatNode& c, PushedViews& done) {
  if (size_of(e.view.shape) == 0) return e;
  const AxisMap& map = e.view.maps[static_cast<std::size_t>(c.axis)];
  if (map.kind == AxisMap::Kind::gather) return e;
  const Region touched = beneath(e.view, Region::of(e.view.shape));
  const std::size_t axis = static_cast<std::size_t>(c.axis);
  std::vector<Edge> left;
  Index begin = 0, first = 0;
  for (const Edge& input : c.inputs) {
    const Index end = begin + input.shape()[axis];
    if (end > touched.lo[axis] && begin < touched.hi[axis]) {
      if (left.empty()) first = begin;
      left.push_back(input);
    }
    begin = end;
  }
  if (left.size() == c.inputs.size() && left.size() != 1) return e;
  View view = e.view;
  view.maps[axis].offset -= first;
  if (left.size() == 1) return push_view(Edge{left[0].node, compose(view, left[0].view)}, done);
  return Edge{concat(left, c.axis).node, view};
}

MORSEL_INLINE Edge push_view(Edge e, PushedViews& done) {
  if (e.view.is_identity(e.node->shape())) return e;
  if (const Edge* known = done.find(e)) return *known;
  Edge pushed = e;
  if (const auto* call = std::get_if<ElementwiseNode>(&e.node->payload)) {
    if (!repeats_elements(e.view)) pushed = push_through_elementwise(e, *call, done);
  } else if (const auto* r = std::get_if<RechunkNode>(&e.node->payload)) {
    pushed = push_view(Edge{r->input.node, compose(e.view, r->input.view)}, done);
  } else if (const auto* c = std::get_if<ConcatNode>(&e.node->payload)) {
    pushed = push_through_concat(e, *c, done);
  } else if (const auto* reduction = std::get_if<ReduceNode>(&e.node->payload)) {
    pushed = push_through_reduce(e, *reduction);
  }
  done.keep(e, pushed);
  return pushed;
}

MORSEL_INLINE Graph push_views(Graph graph) {
  Rewriter rewriter;
  PushedViews done;
  for (Edge& output : graph.outputs)
    output = rewriter.edge(output, [&](Edge e) { return push_view(std::move(e), done); });
  return graph;
}

MORSEL_INLINE Graph share_nodes(Graph graph) {
  Rewriter rewriter;
  std::map<Hash, NodePtr> first;
  for (Edge& output : graph.outputs)
    output = rewriter.edge(output, [&](Edge e) {
      const auto [it, fresh] = first.emplace(e.node->hash, e.node);
      if (!fresh && it->second->dtype == e.node->dtype && it->second->shape() == e.node->shape())
        e.node = it->second;
      return e;
    });
  graph.share = true;
  return graph;
}

MORSEL_INLINE Graph turn_on_fuse(Graph graph) {
  graph.fuse = true;
  return graph;
}
MORSEL_INLINE Graph turn_on_super(Graph graph) {
  graph.super_instructions = true;
  return graph;
}

}  // namespace detail

MORSEL_INLINE const std::vector<Pass>& default_passes() {
  static const std::vector<Pass> passes{
      {"fold_rechunk", "rechunk nodes become views", detail::fold_rechunk},
      {"push_views", "views move to the sources", detail::push_views},
      {"share", "equal values become one", detail::share_nodes},
      {"fuse", "elementwise regions become one program", detail::turn_on_fuse},
      {"super", "pairs of operations become one kernel", detail::turn_on_super},
  };
  return passes;
}

MORSEL_INLINE Graph trace(const std::vector<Edge>& outputs) {
  Graph graph;
  graph.outputs = outputs;
  for (const Edge& output : outputs) graph.grids.push_back(output.grid());
  graph.fuse = graph.share = graph.super_instructions = false;
  return graph;
}

MORSEL_INLINE Graph optimise(Graph graph, const std::vector<std::string>& skip) {
  for (const std::string& name : skip)
    if (std::none_of(default_passes().begin(), default_passes().end(),
                     [&](const Pass& p) { return p.name == name; })) {
      std::string known;
      for (const Pass& pass : default_passes()) known += (known.empty() ? "" : ", ") + std::string(pass.name);
      fail(Errc::invalid_argument,
           "skipping a pass: no such pass; expected one of " + known + ", got '" + name + "'");
    }
  for (const Pass& pass : default_passes()) {
    const bool skipped = std::find(skip.begin(), skip.end(), pass.name) != skip.end();
    const auto begin = std::chrono::steady_clock::now();
    if (!skipped) {
      const std::vector<Edge> before = graph.outputs;
      graph = pass.run(std::move(graph));
      for (std::size_t i = 0; i < before.size(); ++i)
        if (graph.outputs[i].shape() != before[i].shape() || !(graph.outputs[i].dtype() == before[i].dtype()))
          fail(Errc::internal_error,
               std::string("pass ") + pass.name + ": changed a value; expected shape " +
                   to_string(before[i].shape()) + " and dtype " + before[i].dtype().name() + ", got " +
                   to_string(graph.outputs[i].shape()) + " and " + graph.outputs[i].dtype().name());
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    graph.times.push_back({pass.name, took.count(), skipped});
  }
  return graph;
}

}  // namespace morsel::inline MORSEL_ABI
