// The eager oracle: the value of any edge, element by element, with whole arrays in memory.
//
// It knows nothing of passes, plans and runs. Views are followed index by index; operations go through the
// kernels one node at a time; reductions follow the fixed tree of contracts §1 literally: leaf by leaf, block
// by block.
#pragma once

#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <morsel/graph/node.hpp>
#include <morsel/io/read_region.hpp>
#include <morsel/kernel/reducer.hpp>
#include <morsel/kernel/tape.hpp>
#include <string>
#include <support/test_source.hpp>
#include <unordered_map>

namespace test {

namespace detail {

using namespace morsel;

inline std::size_t flat(const Dims& position, const Shape& shape) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < shape.size(); ++i)
    at = at * static_cast<std::size_t>(shape[i]) + static_cast<std::size_t>(position[i]);
  return at;
}

inline Whole empty_of(const DType& dtype, const Shape& shape) {
  Whole w{dtype, shape, {}};
  w.bytes.resize(static_cast<std::size_t>(size_of(shape)) * dtype.item_bytes());
  return w;
}

inline Whole run_tape(const Tape& tape, int step, const std::vector<Whole>& in, const Shape& shape) {
  const TileProgram program(tape, {step}, CompileOptions{false});
  Whole out = empty_of(program.outputs()[0], shape);
  std::vector<std::byte> memory(program.workspace_bytes() + 64);
  std::byte* workspace = memory.data() + (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64);
  program.prepare(workspace);
  const std::size_t n = static_cast<std::size_t>(size_of(shape));
  for (std::size_t at = 0; at < n; at += tile_size) {
    std::vector<const void*> inputs;
    for (const Whole& w : in) inputs.push_back(w.bytes.data() + at * w.item());
    void* to = out.data() + at * out.item();
    program.run(std::min(tile_size, n - at), inputs.data(), &to, workspace);
  }
  return out;
}

/// States of one output element that the reference owns: aligned memory that ends their life.
class States {
 public:
  explicit States(const Reducer& reducer)
      : reducer_(&reducer), memory_((reducer.state_bytes() + 63) / 64 * 64 / 8 + 8) {
    reducer.init(at(), 1);
  }
  States(States&& other) noexcept : reducer_(other.reducer_), memory_(other.memory_.size()) {
    reducer_->relocate(at(), other.at(), 1);
    other.reducer_ = nullptr;
  }
  States& operator=(States&&) = delete;
  ~States() {
    if (reducer_) reducer_->destroy(at(), 1);
  }
  void* at() { return memory_.data() + (reinterpret_cast<std::uintptr_t>(memory_.data()) % 16 == 8); }

 private:
  const Reducer* reducer_;
  std::vector<std::uint64_t> memory_;
};

/// Neighbours merge, level by level; an odd last one is promoted.
inline States merge_tree(const Reducer& reducer, std::vector<States> nodes) {
  while (nodes.size() > 1) {
    std::vector<States> up;
    for (std::size_t i = 0; i < nodes.size(); i += 2) {
      if (i + 1 < nodes.size()) reducer.merge(nodes[i].at(), nodes[i + 1].at(), 1);
      up.push_back(std::move(nodes[i]));
    }
    nodes = std::move(up);
  }
  if (nodes.empty()) return States(reducer);
  return std::move(nodes[0]);
}

}  // namespace detail

class Eager {
 public:
  /// Values of sources that the test knows itself, by identity; other sources are read chunk by chunk.
  std::map<std::string, std::shared_ptr<const Whole>> known;

  Whole operator()(const morsel::Edge& edge) {
    using namespace detail;
    const Whole& beneath = node(edge.node);
    Whole out = empty_of(edge.dtype(), edge.shape());
    std::size_t at = 0;
    for_each_position(Region::of(edge.shape()), [&](const Dims& position) {
      Dims index(beneath.shape.size());
      for (std::size_t i = 0; i < index.size(); ++i) index[i] = edge.view.maps[i].at(position);
      std::memcpy(out.data() + at++ * out.item(),
                  beneath.bytes.data() + flat(index, beneath.shape) * out.item(), out.item());
    });
    return out;
  }

 private:
  const Whole& node(const morsel::NodePtr& n) {
    const auto it = done_.find(n.get());
    if (it != done_.end()) return it->second;
    Whole value = make(*n);
    kept_.push_back(n);
    return done_.emplace(n.get(), std::move(value)).first->second;
  }

  Whole make(const morsel::Node& n) {
    using namespace detail;
    if (const auto* source = std::get_if<SourceNode>(&n.payload)) {
      if (const auto it = known.find(source->source.identity()); it != known.end()) return *it->second;
      Whole w = empty_of(n.dtype, n.shape());
      read_region(source->source, Region::of(w.shape), w.view(), {});
      return w;
    }
    if (const auto* constant = std::get_if<ConstantNode>(&n.payload)) {
      Whole w = empty_of(n.dtype, {});
      std::memcpy(w.data(), constant->element.data(), w.item());
      return w;
    }
    if (const auto* call = std::get_if<ElementwiseNode>(&n.payload)) return elementwise(n, *call);
    if (const auto* call = std::get_if<ReduceNode>(&n.payload)) return reduce(n, *call);
    if (const auto* call = std::get_if<RechunkNode>(&n.payload)) return (*this)(call->input);
    if (const auto* call = std::get_if<ConcatNode>(&n.payload)) return concat(n, *call);
    return map_chunks(n, std::get<MapChunksNode>(n.payload));
  }

  Whole elementwise(const morsel::Node& n, const morsel::ElementwiseNode& call) {
    using namespace detail;
    Tape tape;
    std::vector<Whole> in;
    std::vector<int> args;
    for (const Edge& input : call.inputs) {
      in.push_back((*this)(input));
      args.push_back(tape.input(static_cast<int>(args.size()), in.back().dtype.type()));
    }
    int step = args[0];
    if (call.kind == ElementwiseNode::Kind::op) step = tape.apply(call.op, args);
    if (call.kind == ElementwiseNode::Kind::user) step = tape.user(call.user, args);
    step = tape.cast(step, n.dtype.type());
    return run_tape(tape, step, in, n.shape());
  }

  Whole reduce(const morsel::Node& n, const morsel::ReduceNode& call) {
    using namespace detail;
    const Whole x = (*this)(call.input);
    ReducerPtr reducer = call.reducer;
    if (call.bind) {
      std::vector<double> values;
      for (const Edge& parameter : call.parameters) {
        const Whole w = (*this)(parameter);
        values.push_back(0);
        std::memcpy(&values.back(), w.bytes.data(), sizeof(double));
      }
      reducer = call.bind(values);
    }
    const std::size_t rank = x.shape.size();
    std::vector<bool> reduced(rank, false);
    for (const int axis : call.axes) reduced[static_cast<std::size_t>(axis)] = true;
    Region kept = Region::of(x.shape), leaves{Dims(rank, 0), Dims(rank, 1)};
    Dims flat_steps(rank, 0);
    Index step = 1, reduced_size = 1;
    for (std::size_t i = rank; i-- > 0;)
      if (reduced[i]) {
        kept.hi[i] = 1;
        leaves.hi[i] = call.leaves.axis(i).count();
        flat_steps[i] = step;
        step *= x.shape[i];
        reduced_size *= x.shape[i];
      }
    Whole out = empty_of(n.dtype, n.shape());
    std::size_t item = out.item();
    if (!call.raw_states)
      for (const Index extent : reducer->result_shape()) item *= static_cast<std::size_t>(extent);
    const auto put = [&](const Dims& at, const Dims& leaf, States& states, Index count) {
      Dims position;
      for (std::size_t i = 0; i < rank; ++i) {
        if (!reduced[i]) position.push_back(at[i]);
        if (reduced[i] && (call.keepdims || call.per_chunk)) position.push_back(call.per_chunk ? leaf[i] : 0);
      }
      Shape outer = out.shape;
      while (outer.size() > position.size()) outer.pop_back();
      std::byte* to = out.data() + flat(position, outer) * item;
      std::vector<std::uint64_t> room(item / 8 + 1);
      if (call.raw_states)
        std::memcpy(to, states.at(), item);
      else {
        reducer->finish(states.at(), 1, count, room.data());
        std::memcpy(to, room.data(), item);
      }
    };
    for_each_position(kept, [&](const Dims& at) {
      std::vector<States> nodes;
      for_each_position(leaves, [&](const Dims& leaf) {
        Region box{at, at};
        for (std::size_t i = 0; i < rank; ++i) {
          box.hi[i] = at[i] + 1;
          if (!reduced[i]) continue;
          box.lo[i] = call.leaves.axis(i).begin(leaf[i]);
          box.hi[i] = call.leaves.axis(i).end(leaf[i]);
        }
        nodes.push_back(leaf_of(*reducer, call, x, box, flat_steps));
        if (call.per_chunk) {
          put(at, leaf, nodes.back(), box.size());
          nodes.clear();
        }
      });
      if (call.per_chunk) return;
      States root = merge_tree(*reducer, std::move(nodes));
      put(at, {}, root, reduced_size);
    });
    return out;
  }

  /// The state of one leaf of one output element.
  detail::States leaf_of(const morsel::Reducer& reducer, const morsel::ReduceNode& call, const Whole& x,
                         const morsel::Region& box, const morsel::Dims& flat_steps) {
    using namespace detail;
    const bool blocked = reducer.order() == MergeOrder::blocks;
    const std::size_t length = call.trailing ? run_block : row_block;
    Index run =
        1;  // elements after which a block ends early: a run over the trailing axes, or the whole leaf
    for (std::size_t i = 0; i < box.rank(); ++i)
      if (!call.trailing || static_cast<int>(i) >= call.run_begin) run *= box.hi[i] - box.lo[i];
    std::vector<States> blocks;
    States whole(reducer);
    std::vector<std::byte> block;
    Index in_run = 0;
    const auto end_block = [&] {
      if (block.empty()) return;
      const std::size_t n = block.size() / x.item();
      std::vector<std::uint64_t> aligned(block.size() / 8 + 2);
      std::memcpy(aligned.data(), block.data(), block.size());
      States states(reducer);
      if (call.trailing)
        reducer.absorb_run(states.at(), aligned.data(), n, 0);
      else
        reducer.absorb_rows(states.at(), aligned.data(), static_cast<std::ptrdiff_t>(x.item()), n, 1, 0, 1);
      blocks.push_back(std::move(states));
      block.clear();
    };
    for_each_position(box, [&](const Dims& at) {
      const std::byte* element = x.bytes.data() + flat(at, x.shape) * x.item();
      if (!blocked) {
        Index index = 0;
        for (std::size_t i = 0; i < at.size(); ++i) index += at[i] * flat_steps[i];
        std::uint64_t aligned[2] = {0, 0};
        std::memcpy(aligned, element, x.item());
        if (call.trailing)
          reducer.absorb_run(whole.at(), aligned, 1, index);
        else
          reducer.absorb_rows(whole.at(), aligned, static_cast<std::ptrdiff_t>(x.item()), 1, 1, index, 1);
        return;
      }
      block.insert(block.end(), element, element + x.item());
      if (++in_run == run || block.size() == length * x.item()) end_block();
      if (in_run == run) in_run = 0;
    });
    if (!blocked) return whole;
    return merge_tree(reducer, std::move(blocks));
  }

  Whole concat(const morsel::Node& n, const morsel::ConcatNode& call) {
    using namespace detail;
    Whole out = empty_of(n.dtype, n.shape());
    Region part = Region::of(out.shape);
    const auto axis = static_cast<std::size_t>(call.axis);
    Index at = 0;
    for (const Edge& input : call.inputs) {
      const Whole w = (*this)(input);
      part.lo[axis] = at;
      part.hi[axis] = at += w.shape[axis];
      std::size_t k = 0;
      for_each_position(part, [&](const Dims& position) {
        std::memcpy(out.data() + flat(position, out.shape) * out.item(), w.bytes.data() + k++ * out.item(),
                    out.item());
      });
    }
    return out;
  }

  Whole map_chunks(const morsel::Node& n, const morsel::MapChunksNode& call) {
    using namespace detail;
    Whole out = empty_of(n.dtype, n.shape());
    std::vector<Whole> in;
    for (const Edge& input : call.inputs) in.push_back((*this)(input));
    for (Index number = 0; number < n.grid.count(); ++number) {
      ChunkInfo info;
      info.position = n.grid.position(number);
      info.region = n.grid.region(number);
      info.number = number;
      info.count = n.grid.count();
      std::vector<std::vector<std::byte>> rooms;
      std::vector<BufferView> inputs;
      for (const Whole& w : in) {
        rooms.emplace_back(static_cast<std::size_t>(info.region.size()) * w.item());
        inputs.push_back(BufferView::c_order(rooms.back().data(), info.region.shape(), w.item()));
        copy_elements(w.view().part(Region::of(w.shape), info.region), inputs.back());
      }
      std::vector<std::byte> result(static_cast<std::size_t>(info.region.size()) * out.item());
      const BufferView to = BufferView::c_order(result.data(), info.region.shape(), out.item());
      call.function(info, inputs, to);
      copy_elements(to, out.view().part(Region::of(out.shape), info.region));
    }
    return out;
  }

  std::unordered_map<const morsel::Node*, Whole> done_;
  std::vector<morsel::NodePtr> kept_;
};

// ---- comparing
// -------------------------------------------------------------------------------------------------------

inline std::string element_text(const morsel::DType& dtype, const std::byte* at) {
  char text[120];
  if (!dtype.is_numeric()) {
    std::string hex;
    for (std::size_t i = 0; i < dtype.item_bytes(); ++i) {
      std::snprintf(text, sizeof text, "%02x", std::to_integer<unsigned>(at[i]));
      hex += text;
    }
    return hex;
  }
  return morsel::visit_type(dtype.type(), [&]<class T>() -> std::string {
    T v;
    std::memcpy(static_cast<void*>(&v), at, sizeof v);
    if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>)
      std::snprintf(text, sizeof text, "(%.17g, %.17g)", static_cast<double>(v.real()),
                    static_cast<double>(v.imag()));
    else if constexpr (std::is_integral_v<T>)
      std::snprintf(text, sizeof text, "%s", std::to_string(v).c_str());
    else
      std::snprintf(
          text, sizeof text, "%.17g",
          static_cast<double>(static_cast<std::conditional_t<std::is_same_v<T, double>, double, float>>(v)));
    return text;
  });
}

/// Equal bytes, but that every NaN equals every NaN.
inline bool same_element(const morsel::DType& dtype, const std::byte* a, const std::byte* b) {
  if (std::memcmp(a, b, dtype.item_bytes()) == 0) return true;
  if (!dtype.is_numeric()) return false;
  return morsel::visit_type(dtype.type(), [&]<class T>() {
    T x, y;
    std::memcpy(static_cast<void*>(&x), a, sizeof x);
    std::memcpy(static_cast<void*>(&y), b, sizeof y);
    const auto same = [](auto u, auto v) { return (u != u && v != v) || std::memcmp(&u, &v, sizeof u) == 0; };
    if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>)
      return same(x.real(), y.real()) && same(x.imag(), y.imag());
    else if constexpr (std::is_same_v<T, morsel::float16>)
      return same(static_cast<float>(x), static_cast<float>(y));
    else
      return same(x, y);
  });
}

/// "" if `got` holds the elements of `want`, else the first that differs.
inline std::string difference(const Whole& want, const Whole& got) {
  if (want.shape != got.shape || !(want.dtype == got.dtype))
    return "expected " + want.dtype.name() + morsel::to_string(want.shape) + ", got " + got.dtype.name() +
           morsel::to_string(got.shape);
  std::size_t at = 0, wrong = 0;
  std::string first;
  morsel::for_each_position(morsel::Region::of(want.shape), [&](const morsel::Dims& position) {
    const std::byte *a = want.bytes.data() + at * want.item(), *b = got.bytes.data() + at * want.item();
    ++at;
    if (same_element(want.dtype, a, b)) return;
    if (wrong++ == 0)
      first = "at " + morsel::to_string(position) + ": expected " + element_text(want.dtype, a) + ", got " +
              element_text(want.dtype, b);
  });
  if (wrong == 0) return {};
  return std::to_string(wrong) + " of " + std::to_string(at) + " elements differ, first " + first;
}

}  // namespace test
