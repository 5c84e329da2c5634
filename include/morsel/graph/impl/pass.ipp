#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <morsel/graph/build.hpp>
#include <morsel/graph/hash.hpp>
#include <morsel/graph/pass.hpp>
#include <unordered_map>
#include <unordered_set>

namespace morsel::inline MORSEL_ABI {
namespace detail {

/// The node with `mend` done to the edges it reads; the node itself if that changes none of them.
template <class F>
NodePtr with_inputs(const NodePtr& n, F&& mend) {
  std::vector<Edge> inputs;
  bool changed = false;
  for_each_input(*n, [&](const Edge& e) {
    inputs.push_back(mend(e));
    changed |= inputs.back().node != e.node || !(inputs.back().view == e.view);
  });
  if (!changed) return n;
  auto copy = std::make_shared<Node>(*n);
  if (auto* call = std::get_if<ElementwiseNode>(&copy->payload)) call->inputs = std::move(inputs);
  if (auto* joined = std::get_if<ConcatNode>(&copy->payload)) joined->inputs = std::move(inputs);
  if (auto* call = std::get_if<MapChunksNode>(&copy->payload)) call->inputs = std::move(inputs);
  if (auto* rechunked = std::get_if<RechunkNode>(&copy->payload)) rechunked->input = std::move(inputs[0]);
  if (auto* reduction = std::get_if<ReduceNode>(&copy->payload)) {
    reduction->input = std::move(inputs[0]);
    reduction->parameters.assign(inputs.begin() + 1, inputs.end());
  }
  return copy;
}

/// Rewrites a graph bottom-up, each node once: `rewrite` gets an edge whose inputs are rewritten already.
class Rewriter {
 public:
  explicit Rewriter(std::stop_token stop) : stop_(std::move(stop)) {}

  template <class F>
  Edge edge(const Edge& output, F&& rewrite) {
    const auto mend = [&](const Edge& e) { return rewrite(Edge{done_.at(e.node.get()), e.view}); };
    for_each_node(output.node, seen_, [&](const NodePtr& n) {
      check_stop(stop_);
      done_.emplace(n.get(), with_inputs(n, mend));
    });
    kept_.push_back(output.node);
    return mend(output);
  }

 private:
  std::stop_token stop_;
  std::unordered_set<const Node*> seen_;
  std::unordered_map<const Node*, NodePtr> done_;
  std::vector<NodePtr> kept_;  // so that no address is used again
};

MORSEL_INLINE Graph fold_rechunk(Graph graph) {
  Rewriter rewriter(graph.stop);
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

/// The part of a reduction that a view of it shows, and a view of that: slices with steps on kept axes move
/// to the input. The edge itself if there are none.
MORSEL_INLINE Edge restrict_reduction(const Edge& e, const ReduceNode& r) {
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
  auto made = std::make_shared<Node>(*e.node);
  Node& node = *made;
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
  return Edge{std::move(made), rest};
}

/// The operands of a concat that the view touches, and a view of those; the edge itself if it is all of them.
MORSEL_INLINE Edge restrict_concat(const Edge& e, const ConcatNode& c) {
  if (size_of(e.view.shape) == 0) return e;
  const std::size_t axis = static_cast<std::size_t>(c.axis);
  if (e.view.maps[axis].kind == AxisMap::Kind::gather) return e;
  const Region touched = beneath(e.view, Region::of(e.view.shape));
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
  const Edge part = concat(left, c.axis);
  return Edge{part.node, compose(view, part.view)};
}

/// Moves views towards the sources: every node is made anew once for each view that it is seen through.
///
/// Goes from the outputs down with the views composed so far, so that what is reached along many ways through
/// equal views is one node. A value is made when what it needs is:
///   elementwise, or a node seen whole            the node over its inputs, seen through the composed views
///   rechunk, part of a reduction or a concat     its input or that part, seen through the rest of the view
///   anything else                                the node seen whole, through the view
/// A node that is seen through more than `most_views` counts among the last: halves of halves of ... are 2^n.
class ViewPusher {
 public:
  explicit ViewPusher(std::stop_token stop) : stop_(std::move(stop)) {}

  Edge push(const Edge& output) {
    kept_.push_back(output.node);
    std::vector<Open> open;
    open.push_back(wanted(output));
    while (!open.empty()) {
      check_stop(stop_);
      const std::size_t at = open.size() - 1;
      if (!done_.count(open[at].key)) {
        if (!open[at].divided) divide(open[at]);
        for (std::size_t i = open[at].needs.size(); i-- > 0;) {
          Open need = wanted(open[at].needs[i]);
          if (!done_.count(need.key)) open.push_back(std::move(need));
        }
        if (open.size() > at + 1) continue;
        done_.emplace(open[at].key, finished(open[at]));
      }
      open.pop_back();
    }
    return value(output);
  }

 private:
  struct Open {
    NodeView key;
    Edge edge;
    bool divided = false, rebuilt = false;
    std::vector<Edge> needs;  // rebuilt: the inputs through the view; else what `edge` is a view of
  };
  static Open wanted(const Edge& e) {
    const Shape shape = e.node->shape();
    const Edge edge{e.node, e.view.is_identity(shape) ? View::identity(shape) : e.view};
    return {NodeView(edge.node.get(), edge.view), edge, false, false, {}};
  }
  Edge value(const Edge& e) const { return done_.at(wanted(e).key); }

  void divide(Open& open) {
    open.divided = true;
    Edge& e = open.edge;
    const Node& node = *e.node;
    const bool whole = e.view.is_identity(node.shape());
    if (whole || (std::holds_alternative<ElementwiseNode>(node.payload) && !repeats_elements(e.view) &&
                  ++views_of_[&node] <= most_views)) {
      open.rebuilt = true;
      for_each_input(node, [&](const Edge& input) {
        open.needs.push_back(whole ? input : Edge{input.node, compose(e.view, input.view)});
      });
      return;
    }
    if (const auto* r = std::get_if<RechunkNode>(&node.payload))
      e = Edge{r->input.node, compose(e.view, r->input.view)};
    if (const auto* c = std::get_if<ConcatNode>(&node.payload)) e = restrict_concat(e, *c);
    if (const auto* r = std::get_if<ReduceNode>(&node.payload)) e = restrict_reduction(e, *r);
    if (e.node.get() == &node) {
      open.needs.push_back(Edge{e.node, View::identity(node.shape())});
    } else {
      kept_.push_back(e.node);
      open.needs.push_back(e);
      e.view = View::identity(e.view.shape);
    }
  }

  Edge finished(const Open& open) const {
    const Edge& e = open.edge;
    if (!open.rebuilt) {
      const Edge under = value(open.needs[0]);
      return Edge{under.node, compose(e.view, under.view)};
    }
    std::size_t next = 0;
    const NodePtr mended = with_inputs(e.node, [&](const Edge&) { return value(open.needs[next++]); });
    if (e.view.is_identity(e.node->shape())) return Edge{mended, e.view};
    auto seen = std::make_shared<Node>(*mended);
    seen->grid = map_grid(e.view, e.node->grid);
    seen->hash = hash_of(*seen);
    return Edge{std::move(seen), View::identity(e.view.shape)};
  }

  std::stop_token stop_;
  std::unordered_map<NodeView, Edge, NodeView::Hash> done_;
  std::unordered_map<const Node*, int> views_of_;
  std::vector<NodePtr> kept_;  // so that no address is used again
};

MORSEL_INLINE Graph push_views(Graph graph) {
  ViewPusher pusher(graph.stop);
  for (Edge& output : graph.outputs) output = pusher.push(output);
  return graph;
}

MORSEL_INLINE Graph share_nodes(Graph graph) {
  Rewriter rewriter(graph.stop);
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

MORSEL_INLINE Graph trace(const std::vector<Edge>& outputs, std::stop_token stop) {
  Graph graph;
  graph.stop = std::move(stop);
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
    detail::check_stop(graph.stop);
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
