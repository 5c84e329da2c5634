#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <morsel/base/sort_stably.hpp>
#include <morsel/graph/hash.hpp>
#include <morsel/plan/cost.hpp>
#include <morsel/plan/form.hpp>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>

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

/// Equal but for constant offsets: boxes of the two move together.
MORSEL_INLINE bool parallel_views(const View& a, const View& b) {
  return std::equal(a.maps.begin(), a.maps.end(), b.maps.begin(), b.maps.end(),
                    [](const AxisMap& x, const AxisMap& y) {
                      return x.kind == y.kind && x.kind != AxisMap::Kind::gather && x.axis == y.axis &&
                             x.stride == y.stride;
                    });
}

MORSEL_INLINE bool gathers(const View& view) {
  return std::any_of(view.maps.begin(), view.maps.end(),
                     [](const AxisMap& map) { return map.kind == AxisMap::Kind::gather; });
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

/// Where the positions of an expression, or of a port's array, come from.
struct Placement {
  int origin = 0;      ///< boxes of what has the same origin move together: 0, those of the driver
  View where;          ///< positions of the origin -> positions here
  bool loose = false;  ///< ... which may lie outside: part of a concat
  Region reach;        ///< the positions here that may be asked for
};

/// An expression being built.
struct ExpressionBuild {
  Shape shape;
  Placement place;
  Tape tape;
  std::vector<Stream> streams;
  struct Value {
    int step = -1, stream = -1;
    DType dtype;
  };
  std::vector<Value> outputs;
  std::unordered_map<NodeView, Value, NodeView::Hash> entered;

  Value stream(int port, const View& view, const DType& dtype) {
    Value value{-1, -1, dtype};
    for (std::size_t i = 0; i < streams.size() && value.stream < 0; ++i)
      if (streams[i].port == port && streams[i].view == view) value.stream = static_cast<int>(i);
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
    Placement place;  ///< of the port it was made for
  };
  std::map<std::pair<const Node*, int>, std::vector<KnownPort>> ports;  // by node and origin
  std::unordered_set<const Node*> read;                                 // through ports
  std::size_t read_again = 0;                                           // ports beyond one of each
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
      new_result(*e.node, e.shape(), static_cast<int>(i));
    }
    // Folds first: stores adapt to the drivers of folds, not the other way round.
    for (const bool folds : {true, false})
      for (std::size_t i = 0; i < graph_.outputs.size(); ++i) {
        const Edge e = without_rechunk(graph_.outputs[i]);
        const bool is_fold = is_reduction(e) && memory_target(i);
        if (is_fold != folds) continue;
        make({e, static_cast<int>(i), i < targets_.size() ? &targets_[i] : nullptr, is_fold});
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
  static bool is_reduction(const Edge& e) {
    return std::holds_alternative<ReduceNode>(e.node->payload) && e.view.is_identity(e.node->shape());
  }
  bool memory_target(std::size_t i) const {
    return i >= targets_.size() || std::holds_alternative<MemoryTarget>(targets_[i]);
  }
  int new_result(const Node& node, const Shape& shape, int output) {
    Result result;
    result.name = node.name;
    result.dtype = node.dtype;
    result.shape = shape;
    result.output = output;
    plan_.results.push_back(result);
    pass_of_result_.push_back(0);
    return static_cast<int>(plan_.results.size()) - 1;
  }

  // ---- results, those below first

  /// A value to be made: a bare reduction by a fold, anything else by a store.
  struct Job {
    Edge value;
    int result = -1;  ///< -1: of the value's node, for other stages
    const Target* target = nullptr;
    bool fold = false;
  };
  static Job job_of(const NodePtr& node) {
    return {Edge{node, View::identity(node->shape())}, -1, nullptr,
            std::holds_alternative<ReduceNode>(node->payload)};
  }

  void make(const Job& wanted) {
    std::vector<Job> open{wanted};
    while (!open.empty()) {
      check_stop(graph_.stop);
      Job job = open.back();
      if (job.result < 0 && result_of_.count(job.value.node.get())) {
        open.pop_back();
        continue;
      }
      const Needs needs = needs_of(job);
      if (!needs.missing.empty()) {
        for (std::size_t i = needs.missing.size(); i-- > 0;) open.push_back(job_of(needs.missing[i]));
        continue;
      }
      if (job.result < 0) {
        job.result = new_result(*job.value.node, job.value.shape(), -1);
        result_of_[job.value.node.get()] = job.result;
        kept_.push_back(job.value.node);
      }
      if (job.fold)
        add_fold(job, needs);
      else
        add_store(job, needs);
      open.pop_back();
    }
  }

  /// What a value needs, found before it is entered into a stage.
  struct Needs {
    std::set<const Node*> sources;
    bool calls_chunks = false;  ///< has map_chunks calls that run inside the stage, on the stage's own chunks
    int pass = 0;
    std::vector<NodePtr> missing;  ///< what must be a result first, and is none yet
  };

  Needs needs_of(const Job& job) {
    if (!job.fold) return needs_of(job.value, grid_of(job));
    const auto& r = std::get<ReduceNode>(job.value.node->payload);
    Needs needs = needs_of(r.input, r.leaves);
    for (const Edge& parameter : r.parameters) {
      const Edge e = without_rechunk(parameter);
      const Needs more = is_reduction(e) ? needs_of_reduction(e.node) : needs_of(e, e.grid());
      needs.missing.insert(needs.missing.end(), more.missing.begin(), more.missing.end());
    }
    return needs;
  }
  Needs needs_of_reduction(const NodePtr& node) const {
    Needs needs;
    if (!result_of_.count(node.get())) needs.missing.push_back(node);
    return needs;
  }
  Needs needs_of(const Edge& e, const Grid& grid) {
    for (;;) {
      const std::size_t before = crowded_.size();
      Needs needs = look_below(e, grid);
      if (crowded_.size() == before) return needs;
    }
  }

  // Walks what is below `e`, evaluated on a driver with `grid`. Must agree with enter_node. Notes nodes that
  // are crowded: then the walk has to be done again.
  Needs look_below(const Edge& e, const Grid& grid) {
    struct Open {
      const NodePtr* node;
      View through;
      bool at_root;  // its values are computed by the stage's own expression, not by a nested one
    };
    Needs needs;
    std::unordered_set<NodeView, NodeView::Hash> seen[2];
    std::unordered_map<const Node*, int> views;
    std::unordered_set<const Node*> missing;
    std::vector<Open> open{{&e.node, e.view, true}};
    std::vector<Open> below;
    while (!open.empty()) {
      check_stop(graph_.stop);
      const Open at = std::move(open.back());
      open.pop_back();
      const Node& node = **at.node;
      const auto* map = std::get_if<MapChunksNode>(&node.payload);
      const bool inlined_map = map && at.at_root && inlines(node, at.through, grid);
      if (std::holds_alternative<ReduceNode>(node.payload) || (map && !inlined_map)) {
        if (const auto made = result_of_.find(&node); made != result_of_.end())
          needs.pass = std::max(needs.pass, pass_of_result_[static_cast<std::size_t>(made->second)] + 1);
        else if (missing.insert(&node).second)
          needs.missing.push_back(*at.node);
        continue;
      }
      if (std::holds_alternative<SourceNode>(node.payload)) needs.sources.insert(&node);
      if (!seen[at.at_root].emplace(&node, at.through).second) continue;
      needs.calls_chunks |= map != nullptr;
      const bool call = std::holds_alternative<ElementwiseNode>(node.payload);
      // Nested expressions are over the positions of the value they give.
      const bool entered =
          std::holds_alternative<RechunkNode>(node.payload) || (call && in_line(node, at.through));
      if (call && entered && ++views[&node] > most_views) crowded_.insert(&node);
      below.clear();
      for_each_input(node, [&](const Edge& input) {
        below.push_back(
            {&input.node, entered ? compose(at.through, input.view) : input.view, at.at_root && entered});
      });
      open.insert(open.end(), std::make_move_iterator(below.rbegin()), std::make_move_iterator(below.rend()));
    }
    return needs;
  }
  static bool inlines(const Node& node, const View& through, const Grid& grid) {
    return through.is_identity(node.shape()) && node.grid == grid;
  }
  /// Is an elementwise node computed where it is read, seen through this view?
  bool in_line(const Node& node, const View& through) const {
    return fuse_ && !repeats(through) && !crowded_.count(&node);
  }

  StageBuild& new_stage(const Shape& shape, const Grid& grid, int pass, std::string name) {
    builds_.push_back(std::make_unique<StageBuild>());
    StageBuild& build = *builds_.back();
    build.stage.name = std::move(name);
    build.stage.shape = shape;
    build.stage.grid = grid;
    build.stage.pass = pass;
    build.root.shape = shape;
    build.root.place = {0, View::identity(shape), false, Region::of(shape)};
    return build;
  }
  static bool meets(const std::set<const Node*>& a, const std::set<const Node*>& b) {
    return std::any_of(a.begin(), a.end(), [&](const Node* n) { return b.count(n) != 0; });
  }

  void add_fold(const Job& job, const Needs& needs) {
    const auto& r = std::get<ReduceNode>(job.value.node->payload);
    int pass = needs.pass;
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
            candidate->stage.grid == r.leaves && meets(candidate->sources, needs.sources))
          build = candidate.get();
    if (!build) build = &new_stage(r.input.shape(), r.leaves, pass, job.value.node->name);
    build->sources.insert(needs.sources.begin(), needs.sources.end());
    pass_of_result_[static_cast<std::size_t>(job.result)] = pass;

    const Value value = enter(*build, r.input);
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
    const Finish finish{r.reducer, job.result, r.raw_states};
    if (share_ && parameters.empty() && r.reducer->order() != MergeOrder::sequential)
      for (StageFold& fold : group->folds)
        if (fold.output == output && fold.parameters.empty() &&
            fold.reducer->state_name() == r.reducer->state_name()) {
          fold.finishes.push_back(finish);
          return;
        }
    group->folds.push_back({r.reducer, output, {finish}, parameters, r.bind});
  }

  /// A result that holds the value of any edge. **Requires**: nothing below it is missing.
  int value_result(const Edge& value) {
    const Edge e = without_rechunk(value);
    if (is_reduction(e)) return result_of_.at(e.node.get());
    const Job job{e, new_result(*e.node, e.shape(), -1), nullptr, false};
    add_store(job, needs_of(job));
    return job.result;
  }

  static bool own_grid(const Job& job) {
    const auto* sink = job.target ? std::get_if<SinkTarget>(job.target) : nullptr;
    return sink && !sink->sink.spec().writes_regions;
  }
  static bool visits(const Job& job) {
    return job.target && std::holds_alternative<VisitTarget>(*job.target);
  }
  /// Of the driver that a store wants.
  Grid grid_of(const Job& job) const {
    return own_grid(job) ? std::get<SinkTarget>(*job.target).sink.spec().grid
           : visits(job) ? graph_.grids[static_cast<std::size_t>(job.result)]
                         : job.value.grid();
  }

  void add_store(const Job& job, const Needs& needs) {
    const Edge& e = job.value;
    const Grid grid = grid_of(job);
    StageBuild* build = nullptr;
    const bool strict = visits(job) || own_grid(job) || needs.calls_chunks;
    if (share_)
      for (auto& candidate : builds_)
        if (candidate->stage.pass == needs.pass && candidate->stage.shape == e.shape() &&
            meets(candidate->sources, needs.sources) && (!strict || candidate->stage.grid == grid))
          build = candidate.get();
    if (!build) build = &new_stage(e.shape(), grid, needs.pass, e.node->name);
    build->sources.insert(needs.sources.begin(), needs.sources.end());
    build->stage.whole_chunks |= visits(job) || own_grid(job);
    build->stage.in_order |= visits(job) && std::get<VisitTarget>(*job.target).ordered;
    pass_of_result_[static_cast<std::size_t>(job.result)] = needs.pass;
    const Value value = enter(*build, e);
    build->stage.stores.push_back({build->root.output(value), job.result});
  }

  // ---- values

  /// A port whose parts are being entered, one after another.
  struct PortBuild {
    Port port;
    Placement place;
    std::vector<Edge> values;
    std::vector<std::unique_ptr<ExpressionBuild>> parts;
  };
  /// A value being entered: the node seen through `through` (positions of the expression -> of the node).
  struct Entry {
    ExpressionBuild* into;
    NodePtr node;
    View through;
    bool in_line = false;  // even where it would be a nested expression
    std::unique_ptr<PortBuild> building;
  };

  /// Enters a value into the stage's own expression, and what it needs into nested ones, without recursion:
  /// an entry that needs others waits below them.
  Value enter(StageBuild& build, const Edge& e) {
    std::vector<Entry> open, needed;
    if (const Value* known = find(build.root, e, View::identity(e.shape()), false, open)) return *known;
    for (;;) {
      check_stop(graph_.stop);
      Entry& entry = open.back();
      const NodeView key(entry.node.get(), entry.through);
      const auto known = entry.into->entered.find(key);
      std::optional<Value> value;
      if (known != entry.into->entered.end()) {
        value = known->second;
      } else {
        value = enter_node(build, entry, needed);
        if (value) {
          entry.into->entered.emplace(key, *value);
          kept_.push_back(entry.node);
        }
      }
      if (value) {
        open.pop_back();
        if (open.empty()) return *value;
      }
      while (!needed.empty()) {
        open.push_back(std::move(needed.back()));
        needed.pop_back();
      }
    }
  }
  /// The value of `e` seen through `view`, if it is entered; or what is to be entered.
  static const Value* find(ExpressionBuild& into, const Edge& e, const View& view, bool in_line,
                           std::vector<Entry>& needed) {
    Entry entry{&into, e.node, compose(view, e.view), in_line, nullptr};
    const auto known = into.entered.find(NodeView(e.node.get(), entry.through));
    if (known != into.entered.end()) return &known->second;
    needed.push_back(std::move(entry));
    return nullptr;
  }

  /// The value of an entry; or nothing, and what has to be entered before.
  std::optional<Value> enter_node(StageBuild& build, Entry& entry, std::vector<Entry>& needed) {
    ExpressionBuild& into = *entry.into;
    const Node& node = *entry.node;
    if (const auto* constant = std::get_if<ConstantNode>(&node.payload))
      return Value{into.tape.constant(node.dtype.type(), constant->element.data()), -1, node.dtype};
    const auto* call = std::get_if<ElementwiseNode>(&node.payload);
    if (std::holds_alternative<RechunkNode>(node.payload) ||
        (call && (entry.in_line || in_line(node, entry.through)))) {
      std::vector<Value> inputs;
      for_each_input(node, [&](const Edge& input) {
        if (const Value* known = find(into, input, entry.through, false, needed)) inputs.push_back(*known);
      });
      if (!needed.empty()) return std::nullopt;
      return call ? apply_call(into, node, *call, inputs) : inputs[0];
    }
    const std::optional<int> port = port_of(build, entry, needed);
    if (!port) return std::nullopt;
    return into.stream(*port, entry.through, node.dtype);
  }

  static Value apply_call(ExpressionBuild& into, const Node& node, const ElementwiseNode& call,
                          const std::vector<Value>& inputs) {
    std::vector<int> args;
    for (const Value& input : inputs) args.push_back(input.step);
    int step = 0;
    switch (call.kind) {
      case ElementwiseNode::Kind::op:
        step = into.tape.apply(call.op, args);
        break;
      case ElementwiseNode::Kind::cast:
        step = into.tape.cast(args[0], node.dtype.type());
        break;
      case ElementwiseNode::Kind::user:
        step = into.tape.user(call.user, args);
        break;
    }
    // Kernels work on equal dtypes; a node's own dtype may have been chosen otherwise (weak scalars).
    step = into.tape.cast(step, node.dtype.type());
    const TapeStep& made = into.tape.steps()[static_cast<std::size_t>(step)];
    return {step, made.kind == TapeStep::Kind::input ? made.input : -1, node.dtype};
  }

  // ---- ports

  /// The port that an entry streams from; or nothing, and what has to be entered before.
  std::optional<int> port_of(StageBuild& build, Entry& entry, std::vector<Entry>& needed) {
    if (!entry.building) {
      auto building = std::make_unique<PortBuild>();
      building->place = place_of(build, *entry.into, entry.through, entry.node->shape());
      if (const int known = known_port(build, *entry.node, building->place); known >= 0) return known;
      describe_port(build, entry, *building);
      entry.building = std::move(building);
    }
    PortBuild& building = *entry.building;
    for (std::size_t k = building.port.parts.size(); k < building.parts.size(); ++k) {
      ExpressionBuild& part = *building.parts[k];
      const Edge& value = building.values[k];
      const bool in_line = building.port.kind == Port::Kind::expression;
      const Value* made = find(part, value, View::identity(value.shape()), in_line, needed);
      if (!made) return std::nullopt;
      part.output(*made);
      building.port.parts.push_back(part.finish(options_));
      building.parts[k].reset();
    }
    build.read_again += !build.read.insert(entry.node.get()).second;
    if (build.read_again > cost::most_read_again)
      fail(Errc::unsupported,
           "planning '" + build.stage.name +
               "': too many inputs and nested expressions that one pass over an array reads "
               "along several ways; expected at most " +
               std::to_string(cost::most_read_again) +
               " further ways, got more (parts that are joined again and again are read "
               "so: save or compute a value in between)");
    build.stage.ports.push_back(std::move(building.port));
    const int number = static_cast<int>(build.stage.ports.size()) - 1;
    build.ports[{entry.node.get(), building.place.origin}].push_back({number, std::move(building.place)});
    return number;
  }

  static Placement place_of(StageBuild& build, const ExpressionBuild& into, const View& through,
                            const Shape& shape) {
    Placement place{build.origins, View::identity(shape), false, Region::of(shape)};
    // Indices of a gather outside its list are not known.
    if (into.place.loose && gathers(through))
      ++build.origins;
    else
      place = {into.place.origin, compose(into.place.where, through), into.place.loose, place.reach};
    if (into.place.reach.size() > 0) place.reach = beneath(through, into.place.reach);
    return place;
  }

  static bool has_parts(const Node& node) {
    return !std::holds_alternative<SourceNode>(node.payload) &&
           !std::holds_alternative<ReduceNode>(node.payload);
  }

  /// Computed whole, it still takes next to no room.
  static bool is_small(const Node& node) {
    const Index most =
        static_cast<Index>(cost::small_port_bytes / std::max<std::size_t>(1, node.dtype.item_bytes()));
    return size_of(node.shape()) <= most;
  }

  /// A port that can also be read from this placement at little cost, or -1.
  int known_port(const StageBuild& build, const Node& node, Placement& place) const {
    // What is computed for most positions is computed for all: it serves more readers.
    const Shape shape = node.shape();
    if (has_parts(node))
      for (std::size_t i = 0; i < shape.size(); ++i)
        if (is_small(node) || crowded_.count(&node) ||
            (place.reach.hi[i] - place.reach.lo[i]) * 2 >= shape[i])
          place.reach.lo[i] = 0, place.reach.hi[i] = shape[i];
    const auto it = build.ports.find({&node, place.origin});
    if (it == build.ports.end()) return -1;
    for (const StageBuild::KnownPort& port : it->second)
      if (serves(build, node, port.place, place)) return port.number;
    return -1;
  }
  /// Steps 1 and 2 are a matter of right and wrong, 3 and 4 one of cost.
  bool serves(const StageBuild& build, const Node& node, const Placement& known,
              const Placement& place) const {
    // 1. It can be asked for all positions.
    if (has_parts(node) && !known.reach.contains(place.reach)) return false;
    const bool loose = known.loose || place.loose;
    const bool equal = known.where == place.where;
    if (equal && !loose) return true;
    // 2. No hole between two parts is read along.
    for (std::size_t i = 0; i < place.reach.rank() && !has_parts(node); ++i)
      if (known.reach.hi[i] < place.reach.lo[i] || place.reach.hi[i] < known.reach.lo[i]) return false;
    if (equal || (loose && is_small(node))) return true;
    if (!parallel_views(known.where, place.where) || size_of(place.where.shape) == 0) return false;
    // 3. One box for both is not much more than two; a node with very many readers may cost that of many.
    Region box = Region::of(place.where.shape);
    if (place.origin == 0 && build.stage.grid.count() > 0)
      box = build.stage.grid.region(build.stage.grid.count() / 2);
    const Region a = beneath(known.where, box), b = beneath(place.where, box);
    const bool crowded = crowded_.count(&node) != 0;
    if (hull(a, b).size() > (a.size() + b.size()) * (crowded ? most_views : 1)) return false;
    // 4. Of the parts of a join some boxes see only a piece: only neighbours share a box.
    for (std::size_t i = 0; i < a.rank() && loose && !crowded; ++i)
      if (std::abs(a.lo[i] - b.lo[i]) * 4 > a.hi[i] - a.lo[i]) return false;
    return true;
  }

  /// Everything of a new port but its parts, and what those are.
  void describe_port(StageBuild& build, const Entry& entry, PortBuild& building) {
    const Node& node = *entry.node;
    Port& port = building.port;
    port.name = node.name;
    port.dtype = node.dtype;
    port.shape = node.shape();
    port.grid = node.grid;
    const auto add_part = [&](const Edge& value, Placement place) {
      auto part = std::make_unique<ExpressionBuild>();
      part->shape = value.shape();
      part->place = std::move(place);
      building.values.push_back(value);
      building.parts.push_back(std::move(part));
    };
    if (const auto* source = std::get_if<SourceNode>(&node.payload)) {
      port.kind = Port::Kind::source;
      describe_source(*source, port);
    } else if (std::holds_alternative<ElementwiseNode>(node.payload)) {
      port.kind = Port::Kind::expression;
      add_part(Edge{entry.node, View::identity(node.shape())}, building.place);
    } else if (const auto* joined = std::get_if<ConcatNode>(&node.payload)) {
      port.kind = Port::Kind::concat;
      port.axis = joined->axis;
      const std::size_t axis = static_cast<std::size_t>(joined->axis);
      const Region& reach = building.place.reach;
      Index begin = 0, end = 0;
      for (const Edge& input : joined->inputs) {
        begin = end;
        end += input.shape()[axis];
        // Parts that no position comes from are left out.
        if (reach.size() > 0 && (end <= reach.lo[axis] || begin >= reach.hi[axis])) continue;
        port.begins.push_back(begin);
        add_part(input, place_of_part(build, building.place, axis, begin, input.shape()));
      }
      port.begins.push_back(port.begins.back() + building.values.back().shape()[axis]);
    } else if (const auto* map = std::get_if<MapChunksNode>(&node.payload);
               map && entry.into == &build.root && inlines(node, entry.through, build.stage.grid)) {
      port.kind = Port::Kind::map_chunks;
      port.call = std::shared_ptr<const MapChunksNode>(entry.node, map);
      for (const Edge& input : map->inputs) add_part(input, building.place);
      build.stage.whole_chunks = true;
    } else {
      const auto made = result_of_.find(&node);
      if (made == result_of_.end())
        fail(Errc::internal_error,
             "planning: the result of '" + node.name + "' is not made before it is read");
      port.kind = Port::Kind::result;
      port.result = made->second;
      port.data = -2 - port.result;  // where it is spilled
      port.grid = Grid::whole(node.shape());
    }
  }
  void describe_source(const SourceNode& source, Port& port) {
    port.source = source.source;
    if (!source.source.spec().reads_regions) port.grid = source.source.spec().grid;
    // Two openings of a file that changed in between differ.
    const auto [known, is_new] = data_.emplace(source.source.identity() + '\n' + source.version,
                                               static_cast<int>(plan_.sources.size()));
    if (is_new) plan_.sources.push_back({source.source, source.version});
    port.data = known->second;
  }
  /// Positions of an operand move with those of the concat, so far as they are its own.
  static Placement place_of_part(StageBuild& build, const Placement& joined, std::size_t axis, Index begin,
                                 const Shape& shape) {
    Placement place = joined;
    if (joined.where.maps[axis].kind == AxisMap::Kind::gather) {
      place = {build.origins++, View::identity(shape), false, joined.reach};
    } else {
      place.where.maps[axis].offset -= begin;
      place.loose = true;
    }
    place.reach.lo[axis] = std::max<Index>(0, joined.reach.lo[axis] - begin);
    place.reach.hi[axis] = std::min(shape[axis], joined.reach.hi[axis] - begin);
    return place;
  }

  const Graph& graph_;
  const std::vector<Target>& targets_;
  Plan& plan_;
  CompileOptions options_;
  bool fuse_ = true, share_ = true;
  std::vector<std::unique_ptr<StageBuild>> builds_;
  std::unordered_map<std::string, int> data_;  // by identity and version: numbers of the plan's sources
  std::unordered_map<const Node*, int> result_of_;
  std::unordered_set<const Node*> crowded_;  // computed whole, for they are read through too many views
  std::vector<int> pass_of_result_;
  std::vector<NodePtr> kept_;
};

}  // namespace detail

MORSEL_INLINE void form_stages(const Graph& graph, const std::vector<Target>& targets, const Limits& limits,
                               Plan& plan) {
  detail::Former(graph, targets, limits, plan).form();
}

}  // namespace morsel::inline MORSEL_ABI
