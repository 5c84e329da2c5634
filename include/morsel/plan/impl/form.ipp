#pragma once

#include <algorithm>
#include <map>
#include <morsel/base/sort_stably.hpp>
#include <morsel/plan/form.hpp>
#include <set>
#include <unordered_map>

// Forming stages:
//   1. every output of the graph becomes a result, to be made by a store or, for a bare reduction, by a fold
//   2. before a value is entered into a stage, the reductions (and misaligned map_chunks) below it become
//   results of
//      their own: that fixes the value's pass
//   3. folds over one driver share a stage if they share a source; stores join a stage of the same shape
//   4. entering a value walks its nodes: elementwise nodes become steps of the stage's tape, everything else
//   a port
//      and a stream; what would be computed over and over (a broadcast) becomes a nested expression

namespace morsel::inline MORSEL_ABI {
namespace detail {

MORSEL_INLINE bool same_map(const AxisMap& a, const AxisMap& b) {
  return a.kind == b.kind && a.axis == b.axis && a.stride == b.stride && a.offset == b.offset &&
         (a.indices == b.indices || (a.indices && b.indices && *a.indices == *b.indices));
}

MORSEL_INLINE bool same_view(const View& a, const View& b) {
  return a.shape == b.shape &&
         std::equal(a.maps.begin(), a.maps.end(), b.maps.begin(), b.maps.end(), same_map);
}

/// Equal but for constant offsets: boxes of the two move together.
MORSEL_INLINE bool parallel_views(const View& a, const View& b) {
  return std::equal(a.maps.begin(), a.maps.end(), b.maps.begin(), b.maps.end(),
                    [](const AxisMap& x, const AxisMap& y) {
                      return x.kind == y.kind && x.kind != AxisMap::Kind::gather && x.axis == y.axis &&
                             x.stride == y.stride;
                    });
}

MORSEL_INLINE bool repeats(const View& view) {
  for (std::size_t axis = 0; axis < view.rank(); ++axis) {
    if (view.shape[axis] <= 1) continue;
    bool driven = false;
    for (const AxisMap& map : view.maps)
      driven |= map.kind != AxisMap::Kind::constant && map.axis == static_cast<int>(axis) &&
                (map.kind == AxisMap::Kind::gather || map.stride != 0);
    if (!driven) return true;
  }
  return false;
}

/// An expression being built.
struct ExpressionBuild {
  Shape shape;
  int origin = 0;  ///< boxes of expressions with the same origin move together: 0, those of the driver
  View place;      ///< positions of the origin -> positions of this expression
  Tape tape;
  std::vector<Stream> streams;
  struct Value {
    int step = -1, stream = -1;
    DType dtype;
  };
  std::vector<Value> outputs;
  std::unordered_map<const Node*, std::vector<std::pair<View, Value>>> entered;

  Value stream(int port, const View& view, const DType& dtype) {
    Value value{-1, -1, dtype};
    for (std::size_t i = 0; i < streams.size() && value.stream < 0; ++i)
      if (streams[i].port == port && same_view(streams[i].view, view)) value.stream = static_cast<int>(i);
    if (value.stream < 0) {
      value.stream = static_cast<int>(streams.size());
      streams.push_back({port, view});
    }
    if (dtype.is_numeric()) value.step = tape.input(value.stream, dtype.type());
    return value;
  }
  int output(const Value& value) {
    for (std::size_t i = 0; i < outputs.size(); ++i)
      if (outputs[i].step == value.step && outputs[i].stream == value.stream) return static_cast<int>(i);
    outputs.push_back(value);
    return static_cast<int>(outputs.size()) - 1;
  }
  Expression finish(const CompileOptions& options) {
    Expression expression;
    expression.shape = shape;
    expression.streams = streams;
    std::vector<int> steps;
    for (const Value& value : outputs) {
      ExpressionOutput out;
      out.dtype = value.dtype;
      if (value.stream >= 0)
        out.stream = value.stream;
      else {
        out.program_output = static_cast<int>(steps.size());
        steps.push_back(value.step);
      }
      expression.outputs.push_back(out);
    }
    expression.program = TileProgram(tape, steps, options);
    return expression;
  }
};

/// A stage being built.
struct StageBuild {
  Stage stage;
  ExpressionBuild root;
  std::set<const Node*> sources;
  int origins = 1;
  struct KnownPort {
    int number;
    View where;  ///< positions of the origin -> positions of the port it was made for
  };
  std::map<std::pair<const Node*, int>, std::vector<KnownPort>> ports;  // by node and origin
};

class Former {
 public:
  Former(const Graph& graph, const std::vector<Target>& targets, const Limits& limits, Plan& plan)
      : graph_(graph), targets_(targets), plan_(plan) {
    options_.super_instructions = graph.super_instructions && limits.super_instructions;
    fuse_ = graph.fuse && limits.fuse;
    share_ = graph.share && limits.share;
  }

  void form() {
    for (std::size_t i = 0; i < graph_.outputs.size(); ++i) {
      const Edge& e = graph_.outputs[i];
      Result result;
      result.name = e.node->name;
      result.dtype = e.dtype();
      result.shape = e.shape();
      result.output = static_cast<int>(i);
      plan_.results.push_back(result);
      pass_of_result_.push_back(0);
    }
    // Folds first: stores adapt to the drivers of folds, not the other way round.
    for (const bool folds : {true, false})
      for (std::size_t i = 0; i < graph_.outputs.size(); ++i) {
        const Edge e = without_rechunk(graph_.outputs[i]);
        const bool is_fold = std::holds_alternative<ReduceNode>(e.node->payload) &&
                             e.view.is_identity(e.node->shape()) && memory_target(i);
        if (is_fold != folds) continue;
        if (is_fold)
          add_fold(e.node, static_cast<int>(i));
        else
          add_store(e, static_cast<int>(i), i < targets_.size() ? &targets_[i] : nullptr);
      }
    sort_stably(builds_, [](const auto& a, const auto& b) { return a->stage.pass < b->stage.pass; });
    for (auto& build : builds_) {
      build->stage.expression = build->root.finish(options_);
      plan_.stages.push_back(std::move(build->stage));
    }
    for (const Stage& stage : plan_.stages) plan_.passes = std::max(plan_.passes, stage.pass + 1);
  }

 private:
  using Value = ExpressionBuild::Value;

  static Edge without_rechunk(Edge e) {
    while (const auto* r = std::get_if<RechunkNode>(&e.node->payload))
      e = Edge{r->input.node, compose(e.view, r->input.view)};
    return e;
  }
  bool memory_target(std::size_t i) const {
    return i >= targets_.size() || std::holds_alternative<MemoryTarget>(targets_[i]);
  }

  /// What a value needs, found before it is entered into a stage.
  struct Needs {
    std::set<const Node*> sources;
    bool calls_chunks = false;  ///< has map_chunks calls that run inside the stage, on the stage's own chunks
    std::map<const Node*, std::vector<std::pair<View, bool>>> seen;
  };

  // Results that must exist before `e`, seen through `view`, can be evaluated on a driver with `grid`; gives
  // the pass. `at_root`: its values are computed by the stage's own expression, not by a nested one. Must
  // agree with enter_node.
  int prepare(const Edge& e, const View& view, const Grid& grid, Needs& needs, bool at_root = true) {
    const View through = compose(view, e.view);
    const Node& node = *e.node;
    const auto* map = std::get_if<MapChunksNode>(&node.payload);
    const auto* reduction = std::get_if<ReduceNode>(&node.payload);
    if (reduction || (map && !(at_root && inlines(node, through, grid))))
      return pass_of_result_[static_cast<std::size_t>(result_for(e.node))] + 1;
    if (std::holds_alternative<SourceNode>(node.payload)) needs.sources.insert(&node);
    auto& seen = needs.seen[&node];
    for (const auto& [other, root] : seen)
      if (root == at_root && same_view(other, through)) return 0;
    seen.emplace_back(through, at_root);
    needs.calls_chunks |= map != nullptr;
    // Nested expressions are over the positions of the value they give.
    const bool entered =
        std::holds_alternative<RechunkNode>(node.payload) ||
        (std::holds_alternative<ElementwiseNode>(node.payload) && fuse_ && !repeats(through));
    int pass = 0;
    for (const Edge& input : inputs_of(node))
      pass = std::max(pass, prepare(input, entered ? through : View::identity(input.shape()), grid, needs,
                                    at_root && entered));
    return pass;
  }
  static bool inlines(const Node& node, const View& through, const Grid& grid) {
    return through.is_identity(node.shape()) && node.grid == grid;
  }

  int result_for(const NodePtr& node) {
    if (const auto it = result_of_.find(node.get()); it != result_of_.end()) return it->second;
    Result result;
    result.name = node->name;
    result.dtype = node->dtype;
    result.shape = node->shape();
    const int number = static_cast<int>(plan_.results.size());
    plan_.results.push_back(result);
    pass_of_result_.push_back(0);
    result_of_[node.get()] = number;
    kept_.push_back(node);
    if (std::holds_alternative<ReduceNode>(node->payload))
      add_fold(node, number);
    else
      add_store(Edge{node, View::identity(node->shape())}, number, nullptr);
    return number;
  }

  StageBuild& new_stage(const Shape& shape, const Grid& grid, int pass, std::string name) {
    builds_.push_back(std::make_unique<StageBuild>());
    StageBuild& build = *builds_.back();
    build.stage.name = std::move(name);
    build.stage.shape = shape;
    build.stage.grid = grid;
    build.stage.pass = pass;
    build.root.shape = shape;
    build.root.place = View::identity(shape);
    return build;
  }
  static bool meets(const std::set<const Node*>& a, const std::set<const Node*>& b) {
    return std::any_of(a.begin(), a.end(), [&](const Node* n) { return b.count(n) != 0; });
  }

  void add_fold(const NodePtr& node, int result) {
    const auto& r = std::get<ReduceNode>(node->payload);
    Needs needs;
    const View identity = View::identity(r.input.shape());
    int pass = prepare(r.input, identity, r.leaves, needs);
    const std::set<const Node*>& sources = needs.sources;
    std::vector<int> parameters;
    for (const Edge& parameter : r.parameters) {
      // A parameter is any 0-d value; it is stored as a result of its own.
      const int number = value_result(parameter);
      parameters.push_back(number);
      pass = std::max(pass, pass_of_result_[static_cast<std::size_t>(number)] + 1);
    }
    StageBuild* build = nullptr;
    if (share_)
      for (auto& candidate : builds_)
        if (candidate->stage.pass == pass && candidate->stage.shape == r.input.shape() &&
            candidate->stage.grid == r.leaves && meets(candidate->sources, sources))
          build = candidate.get();
    if (!build) build = &new_stage(r.input.shape(), r.leaves, pass, node->name);
    build->sources.insert(sources.begin(), sources.end());
    pass_of_result_[static_cast<std::size_t>(result)] = pass;

    const Value value = enter(*build, build->root, r.input, identity);
    const int output = build->root.output(value);
    ReduceGroup* group = nullptr;
    for (ReduceGroup& g : build->stage.groups)
      if (g.axes == r.axes && g.trailing == r.trailing && g.run_begin == r.run_begin &&
          g.per_chunk == r.per_chunk)
        group = &g;
    if (!group) {
      build->stage.groups.push_back({r.axes, r.trailing, r.run_begin, r.per_chunk, {}});
      group = &build->stage.groups.back();
    }
    const Finish finish{r.reducer, result, r.raw_states};
    if (share_ && parameters.empty() && r.reducer->order() != MergeOrder::sequential)
      for (StageFold& fold : group->folds)
        if (fold.output == output && fold.parameters.empty() &&
            fold.reducer->state_name() == r.reducer->state_name()) {
          fold.finishes.push_back(finish);
          return;
        }
    group->folds.push_back({r.reducer, output, {finish}, parameters, r.bind});
  }

  /// A result that holds the value of any edge.
  int value_result(const Edge& value) {
    const Edge e = without_rechunk(value);
    if (std::holds_alternative<ReduceNode>(e.node->payload) && e.view.is_identity(e.node->shape()))
      return result_for(e.node);
    Result result;
    result.name = e.node->name;
    result.dtype = e.dtype();
    result.shape = e.shape();
    const int number = static_cast<int>(plan_.results.size());
    plan_.results.push_back(result);
    pass_of_result_.push_back(0);
    add_store(e, number, nullptr);
    return number;
  }

  void add_store(const Edge& e, int result, const Target* target) {
    const bool visits = target && std::holds_alternative<VisitTarget>(*target);
    const auto* sink = target ? std::get_if<SinkTarget>(target) : nullptr;
    const bool own_grid = sink && !sink->sink.spec().writes_regions;
    const Grid grid = own_grid ? sink->sink.spec().grid
                      : visits ? graph_.grids[static_cast<std::size_t>(result)]
                               : e.grid();
    Needs needs;
    const View identity = View::identity(e.shape());
    const int pass = prepare(e, identity, grid, needs);
    const std::set<const Node*>& sources = needs.sources;
    StageBuild* build = nullptr;
    const bool strict = visits || own_grid || needs.calls_chunks;
    if (share_)
      for (auto& candidate : builds_)
        if (candidate->stage.pass == pass && candidate->stage.shape == e.shape() &&
            meets(candidate->sources, sources) && (!strict || candidate->stage.grid == grid))
          build = candidate.get();
    if (!build) build = &new_stage(e.shape(), grid, pass, e.node->name);
    build->sources.insert(sources.begin(), sources.end());
    build->stage.whole_chunks |= visits || own_grid;
    build->stage.in_order |= visits && std::get<VisitTarget>(*target).ordered;
    pass_of_result_[static_cast<std::size_t>(result)] = pass;
    const Value value = enter(*build, build->root, e, identity);
    build->stage.stores.push_back({build->root.output(value), result});
  }

  // Enters the value of `e` seen through `view` (positions of the expression -> positions of e).
  Value enter(StageBuild& build, ExpressionBuild& into, const Edge& e, const View& view,
              bool force_inline = false) {
    const View through = compose(view, e.view);
    auto& known = into.entered[e.node.get()];
    for (const auto& [seen_view, value] : known)
      if (same_view(seen_view, through)) return value;
    const Value value = enter_node(build, into, e.node, through, force_inline);
    into.entered[e.node.get()].emplace_back(through, value);
    return value;
  }

  Value enter_node(StageBuild& build, ExpressionBuild& into, const NodePtr& node, const View& through,
                   bool force_inline) {
    kept_.push_back(node);
    if (const auto* constant = std::get_if<ConstantNode>(&node->payload))
      return {into.tape.constant(node->dtype.type(), constant->element.data()), -1, node->dtype};
    if (const auto* r = std::get_if<RechunkNode>(&node->payload))
      return enter(build, into, r->input, through);
    if (const auto* call = std::get_if<ElementwiseNode>(&node->payload)) {
      if (!force_inline && (!fuse_ || repeats(through)))
        return into.stream(nested_port(build, into, node, through), through, node->dtype);
      std::vector<int> args;
      for (const Edge& input : call->inputs) args.push_back(enter(build, into, input, through).step);
      int step = 0;
      switch (call->kind) {
        case ElementwiseNode::Kind::op:
          step = into.tape.apply(call->op, args);
          break;
        case ElementwiseNode::Kind::cast:
          step = into.tape.cast(args[0], node->dtype.type());
          break;
        case ElementwiseNode::Kind::user:
          step = into.tape.user(call->user, args);
          break;
      }
      // Kernels work on equal dtypes; a node's own dtype may have been chosen otherwise (weak scalars).
      step = into.tape.cast(step, node->dtype.type());
      return {step,
              into.tape.steps()[static_cast<std::size_t>(step)].kind == TapeStep::Kind::input
                  ? into.tape.steps()[static_cast<std::size_t>(step)].input
                  : -1,
              node->dtype};
    }
    if (std::holds_alternative<SourceNode>(node->payload))
      return into.stream(source_port(build, into, node, through), through, node->dtype);
    if (std::holds_alternative<ConcatNode>(node->payload))
      return into.stream(concat_port(build, into, node, through), through, node->dtype);
    if (std::holds_alternative<MapChunksNode>(node->payload) && &into == &build.root &&
        inlines(*node, through, build.stage.grid))
      return into.stream(map_port(build, node), through, node->dtype);
    const auto made = result_of_.find(node.get());
    if (made == result_of_.end())
      fail(Errc::internal_error,
           "planning: the result of '" + node->name + "' is not made before it is read");
    return into.stream(result_port(build, into, node, made->second, through), through, node->dtype);
  }

  int add_port(StageBuild& build, Port port) {
    build.stage.ports.push_back(std::move(port));
    return static_cast<int>(build.stage.ports.size()) - 1;
  }
  static Port port_of(Port::Kind kind, const Node& node) {
    Port port;
    port.kind = kind;
    port.name = node.name;
    port.dtype = node.dtype;
    port.shape = node.shape();
    port.grid = node.grid;
    return port;
  }

  /// A port of `node` whose box, widened for one more stream, costs no more than two boxes would; or -1.
  int known_port(const StageBuild& build, const ExpressionBuild& into, const NodePtr& node,
                 const View& through) const {
    const auto it = build.ports.find({node.get(), into.origin});
    if (it == build.ports.end()) return -1;
    const View where = compose(into.place, through);
    for (const StageBuild::KnownPort& port : it->second) {
      if (same_view(port.where, where)) return port.number;
      if (!parallel_views(port.where, where) || size_of(where.shape) == 0) continue;
      Region box = Region::of(where.shape);
      if (into.origin == 0 && build.stage.grid.count() > 0)
        box = build.stage.grid.region(build.stage.grid.count() / 2);
      const Region a = beneath(port.where, box), b = beneath(where, box);
      if (hull(a, b).size() <= a.size() + b.size()) return port.number;
    }
    return -1;
  }
  int new_port(StageBuild& build, const ExpressionBuild& into, const NodePtr& node, const View& through,
               Port port) {
    const int number = add_port(build, std::move(port));
    build.ports[{node.get(), into.origin}].push_back({number, compose(into.place, through)});
    return number;
  }

  int source_port(StageBuild& build, const ExpressionBuild& into, const NodePtr& node, const View& through) {
    if (const int known = known_port(build, into, node, through); known >= 0) return known;
    const auto& source = std::get<SourceNode>(node->payload);
    Port port = port_of(Port::Kind::source, *node);
    port.source = source.source;
    if (!source.source.spec().reads_regions) port.grid = source.source.spec().grid;
    const auto planned = [&](const PlannedSource& s) {
      return s.source.identity() == source.source.identity();
    };
    if (std::none_of(plan_.sources.begin(), plan_.sources.end(), planned))
      plan_.sources.push_back({source.source, source.version});
    return new_port(build, into, node, through, std::move(port));
  }

  Expression part(StageBuild& build, const Edge& e, int origin, View place, bool force_inline = false) {
    ExpressionBuild inner;
    inner.shape = e.shape();
    inner.origin = origin;
    inner.place = std::move(place);
    inner.output(enter(build, inner, e, View::identity(e.shape()), force_inline));
    return inner.finish(options_);
  }

  int nested_port(StageBuild& build, const ExpressionBuild& into, const NodePtr& node, const View& through) {
    if (const int known = known_port(build, into, node, through); known >= 0) return known;
    Port port = port_of(Port::Kind::expression, *node);
    const Edge whole{node, View::identity(node->shape())};
    port.parts.push_back(part(build, whole, into.origin, compose(into.place, through), true));
    return new_port(build, into, node, through, std::move(port));
  }
  int concat_port(StageBuild& build, const ExpressionBuild& into, const NodePtr& node, const View& through) {
    if (const int known = known_port(build, into, node, through); known >= 0) return known;
    const auto& joined = std::get<ConcatNode>(node->payload);
    Port port = port_of(Port::Kind::concat, *node);
    port.axis = joined.axis;
    Index at = 0;
    for (const Edge& input : joined.inputs) {
      port.begins.push_back(at);
      at += input.shape()[static_cast<std::size_t>(joined.axis)];
      port.parts.push_back(part(build, input, build.origins++, View::identity(input.shape())));
    }
    port.begins.push_back(at);
    return new_port(build, into, node, through, std::move(port));
  }
  /// **Requires**: the node is entered by the root, unviewed.
  int map_port(StageBuild& build, const NodePtr& node) {
    const View identity = View::identity(node->shape());
    if (const int known = known_port(build, build.root, node, identity); known >= 0) return known;
    const auto& call = std::get<MapChunksNode>(node->payload);
    Port port = port_of(Port::Kind::map_chunks, *node);
    port.call = std::shared_ptr<const MapChunksNode>(node, &call);
    for (const Edge& input : call.inputs)
      port.parts.push_back(part(build, input, build.root.origin, identity));
    build.stage.whole_chunks = true;
    return new_port(build, build.root, node, identity, std::move(port));
  }
  int result_port(StageBuild& build, const ExpressionBuild& into, const NodePtr& node, int result,
                  const View& through) {
    if (const int known = known_port(build, into, node, through); known >= 0) return known;
    const Result& r = plan_.results[static_cast<std::size_t>(result)];
    Port port;
    port.kind = Port::Kind::result;
    port.name = r.name;
    port.dtype = r.dtype;
    port.shape = r.shape;
    port.grid = Grid::whole(r.shape);
    port.result = result;
    return new_port(build, into, node, through, std::move(port));
  }

  const Graph& graph_;
  const std::vector<Target>& targets_;
  Plan& plan_;
  CompileOptions options_;
  bool fuse_ = true, share_ = true;
  std::vector<std::unique_ptr<StageBuild>> builds_;
  std::unordered_map<const Node*, int> result_of_;
  std::vector<int> pass_of_result_;
  std::vector<NodePtr> kept_;
};

}  // namespace detail

MORSEL_INLINE void form_stages(const Graph& graph, const std::vector<Target>& targets, const Limits& limits,
                               Plan& plan) {
  detail::Former(graph, targets, limits, plan).form();
}

}  // namespace morsel::inline MORSEL_ABI
