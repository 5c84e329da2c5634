#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <morsel/graph/build.hpp>
#include <morsel/graph/hash.hpp>

namespace morsel::inline MORSEL_ABI {

// ---- nodes
// ---------------------------------------------------------------------------------------------------

namespace detail {

MORSEL_INLINE Edge edge_of(Node made) {
  size_of(made.grid.shape());  // refuses sizes and ranks that cannot be
  const auto node = std::make_shared<Node>(std::move(made));
  node->hash = hash_of(*node);  // of the node where it stays: calls of user functions count as their address
  return {node, View::identity(node->grid.shape())};
}

MORSEL_INLINE std::string text_of(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", value);
  double back = 0;
  for (int digits = 1; digits < 17; ++digits) {
    char shorter[40];
    std::snprintf(shorter, sizeof shorter, "%.*g", digits, value);
    if (std::sscanf(shorter, "%lf", &back) == 1 && back == value) return shorter;
  }
  return text;
}

MORSEL_INLINE std::string text_of(const Scalar& scalar) {
  switch (scalar.kind) {
    case WeakKind::boolean:
      return scalar.integer ? "true" : "false";
    case WeakKind::integer:
      return scalar.is_unsigned ? std::to_string(static_cast<std::uint64_t>(scalar.integer))
                                : std::to_string(scalar.integer);
    case WeakKind::floating:
      return text_of(scalar.number.real());
    case WeakKind::complex:
      return "(" + text_of(scalar.number.real()) + ", " + text_of(scalar.number.imag()) + ")";
  }
  return {};
}

MORSEL_INLINE bool is_integral(const Scalar& scalar) {
  return scalar.kind == WeakKind::boolean || scalar.kind == WeakKind::integer;
}

MORSEL_INLINE bool is_negative(const Scalar& scalar) {
  return is_integral(scalar) ? !scalar.is_unsigned && scalar.integer < 0 : scalar.number.real() < 0;
}

MORSEL_INLINE std::complex<double> number_of(const Scalar& scalar) {
  if (!is_integral(scalar)) return scalar.number;
  return scalar.is_unsigned ? static_cast<double>(static_cast<std::uint64_t>(scalar.integer))
                            : static_cast<double>(scalar.integer);
}

template <class T>
bool store_real(T* out, double value) {
  if constexpr (std::is_same_v<T, float16>) {
    *out = half_of(value);
    return std::isinf(static_cast<float>(*out)) == std::isinf(value);
  } else {
    *out = static_cast<T>(value);
    return std::isinf(*out) == std::isinf(value);
  }
}

template <class T>
bool store(T* out, const Scalar& scalar) {
  if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>) {
    typename T::value_type re{}, im{};
    const std::complex<double> number = number_of(scalar);
    const bool fits = store_real(&re, number.real()) && store_real(&im, number.imag());
    *out = T(re, im);
    return fits;
  } else if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, float16>) {
    if (scalar.kind == WeakKind::complex && scalar.number.imag() != 0) return false;
    // Straight from the integer: one rounding. Below 2^24 the way through double is exact, above 2^16 no
    // float16 is left.
    if (is_integral(scalar) && !std::is_same_v<T, float16>) {
      if (scalar.is_unsigned)
        *out = static_cast<T>(static_cast<std::uint64_t>(scalar.integer));
      else
        *out = static_cast<T>(scalar.integer);
      return true;
    }
    return store_real(out, number_of(scalar).real());
  } else if constexpr (std::is_same_v<T, bool>) {
    const std::complex<double> number = number_of(scalar);
    *out = number != 0.0;
    return number == 0.0 || number == 1.0;
  } else {
    if (is_integral(scalar)) {
      if (scalar.is_unsigned) {
        const auto value = static_cast<std::uint64_t>(scalar.integer);
        *out = static_cast<T>(value);
        return value <= static_cast<std::uint64_t>(std::numeric_limits<T>::max());
      }
      *out = static_cast<T>(scalar.integer);
      if constexpr (std::is_unsigned_v<T>)
        return scalar.integer >= 0 &&
               static_cast<std::uint64_t>(scalar.integer) <= std::numeric_limits<T>::max();
      else
        return scalar.integer >= std::numeric_limits<T>::min() &&
               scalar.integer <= std::numeric_limits<T>::max();
    }
    if (scalar.number.imag() != 0) return false;
    const double value = scalar.number.real();
    const double limit = std::ldexp(1.0, std::numeric_limits<T>::digits);
    const bool in_range = value < limit && value >= (std::is_signed_v<T> ? -limit : 0.0);
    if (!in_range || value != std::trunc(value)) return false;
    *out = static_cast<T>(value);
    return true;
  }
}

/// True if `type` can hold the value; then `element` has it.
MORSEL_INLINE bool try_element(const Scalar& scalar, Type type, std::array<std::byte, 16>& element) {
  element = {};
  return visit_type(type, [&]<class T>() {
    T value{};
    const bool fits = store(&value, scalar);
    std::memcpy(element.data(), &value, sizeof value);
    return fits;
  });
}

}  // namespace detail

// ---- scalars
// ---------------------------------------------------------------------------------------------------

MORSEL_INLINE Scalar Scalar::of(bool v) {
  Scalar s;
  s.kind = WeakKind::boolean;
  s.integer = v;
  return s;
}
MORSEL_INLINE Scalar Scalar::of(std::int64_t v) {
  Scalar s;
  s.integer = v;
  return s;
}
MORSEL_INLINE Scalar Scalar::of(std::uint64_t v) {
  Scalar s;
  s.integer = static_cast<std::int64_t>(v);
  s.is_unsigned = s.integer < 0;
  return s;
}
MORSEL_INLINE Scalar Scalar::of(double v) {
  Scalar s;
  s.kind = WeakKind::floating;
  s.number = v;
  return s;
}
MORSEL_INLINE Scalar Scalar::of(std::complex<double> v) {
  Scalar s;
  s.kind = WeakKind::complex;
  s.number = v;
  return s;
}

MORSEL_INLINE std::array<std::byte, 16> element_of(const Scalar& scalar, Type type) {
  std::array<std::byte, 16> element;
  if (!detail::try_element(scalar, type, element))
    fail(Errc::overflow, "converting a scalar to " + std::string(name_of(type)) +
                             ": the dtype cannot hold it; expected a value of " + std::string(name_of(type)) +
                             ", got " + detail::text_of(scalar));
  return element;
}

// ---- sources
// ---------------------------------------------------------------------------------------------------

namespace detail {

/// If the view shows every element in place and only reorders axes: the view's axis for each axis beneath.
MORSEL_INLINE bool is_permutation(const View& view, const Shape& beneath) {
  if (view.rank() != beneath.size()) return false;
  std::vector<bool> seen(view.rank());
  for (std::size_t i = 0; i < beneath.size(); ++i) {
    const AxisMap& map = view.maps[i];
    if (map.kind != AxisMap::Kind::affine || map.offset != 0 || map.stride != 1) return false;
    const auto axis = static_cast<std::size_t>(map.axis);
    if (seen[axis] || view.shape[axis] != beneath[i]) return false;
    seen[axis] = true;
  }
  return true;
}

}  // namespace detail

MORSEL_INLINE Edge make_source(AnyChunkSource source, const View& view, const ChunkSpec& chunks,
                               std::string name) {
  const ArraySpec& spec = source.spec();
  const Shape shape = spec.shape();
  const Grid* native = spec.has_native_chunks ? &spec.grid : nullptr;
  // Chunks are asked for in the axes of the view; a transpose is undone, anything else is rechunked after the
  // view.
  const bool direct = chunks.is_default() || detail::is_permutation(view, shape);
  ChunkSpec asked = direct ? chunks : ChunkSpec();
  if (direct && chunks.axes() && chunks.axes()->size() == shape.size()) {
    std::vector<AxisChunks> axes;
    for (const AxisMap& map : view.maps) axes.push_back((*chunks.axes())[static_cast<std::size_t>(map.axis)]);
    asked = ChunkSpec(std::move(axes));
  }
  Node node;
  node.name = name.empty() ? spec.format : std::move(name);
  node.dtype = spec.dtype;
  node.grid = resolve_chunks(asked, shape, spec.dtype.item_bytes(), native);
  std::string version = source.version();
  node.payload = SourceNode{std::move(source), std::move(version)};
  const Edge edge = with_view(detail::edge_of(std::move(node)), view);
  return direct ? edge : rechunk(edge, chunks);
}

MORSEL_INLINE Edge make_constant(Type type, const void* element) {
  Node node;
  node.name = "constant";
  node.dtype = type;
  ConstantNode constant;
  std::memcpy(constant.element.data(), element, item_bytes_of(type));
  node.payload = constant;
  return detail::edge_of(std::move(node));
}

// ---- elementwise
// -----------------------------------------------------------------------------------------------

namespace detail {

MORSEL_INLINE Edge broadcast_edge(const Edge& edge, const Shape& shape) {
  return edge.shape() == shape ? edge
                               : Edge{edge.node, compose(broadcast_view(edge.shape(), shape), edge.view)};
}

/// The declared grid of operands that are broadcast to `shape`: per axis, that of the first one that is not
/// stretched.
MORSEL_INLINE Grid grid_over(const std::vector<Edge>& operands, const Shape& shape) {
  std::vector<Grid> grids;
  for (const Edge& edge : operands) grids.push_back(edge.grid());
  std::vector<AxisGrid> axes(shape.size());
  for (std::size_t i = 0; i < shape.size(); ++i) {
    for (const Grid& grid : grids) {
      const std::size_t missing = shape.size() - grid.rank();
      if (i < missing || grid.axis(i - missing).extent() != shape[i]) continue;
      axes[i] = grid.axis(i - missing);
      break;
    }
  }
  return Grid(std::move(axes));
}

MORSEL_INLINE Shape shape_over(const std::vector<Edge>& operands, const std::string& doing) {
  Shape shape;
  for (const Edge& edge : operands) {
    try {
      shape = broadcast_shapes(shape, edge.shape());
    } catch (const Error& error) {
      throw error.during(doing);
    }
  }
  return shape;
}

/// The node of a call on operands that are broadcast here; `grid` where it is not the operands' own.
MORSEL_INLINE Edge elementwise(std::string name, Type result, ElementwiseNode call,
                               const Grid* grid = nullptr) {
  const Shape shape = grid ? grid->shape() : shape_over(call.inputs, name);
  Node node;
  node.grid = grid ? *grid : grid_over(call.inputs, shape);
  for (Edge& input : call.inputs) input = broadcast_edge(input, shape);
  node.name = std::move(name);
  node.dtype = result;
  node.payload = std::move(call);
  return edge_of(std::move(node));
}

MORSEL_INLINE void require_numeric(const Edge& edge, std::string_view doing) {
  if (edge.dtype().is_numeric()) return;
  fail(Errc::dtype_mismatch, std::string(doing) + ": " + edge.dtype().name() +
                                 " is not a numeric dtype; expected numbers" +
                                 (edge.dtype().is_record() ? " (open one field of the record)" : "") +
                                 ", got " + edge.dtype().name());
}

/// The same element everywhere, on the grid of `like`.
MORSEL_INLINE Edge same_everywhere(Type type, const void* element, const Edge& like) {
  Edge constant = make_constant(type, element);
  const Grid grid = like.grid();
  if (is_bool(type)) {
    bool value = false;
    std::memcpy(&value, element, 1);
    const bool inverse = !value;
    constant = make_constant(type, &inverse);
    return elementwise("constant", type, {ElementwiseNode::Kind::op, Op::logical_not, nullptr, {constant}},
                       &grid);
  }
  return elementwise("constant", type, {ElementwiseNode::Kind::op, Op::positive, nullptr, {constant}}, &grid);
}

MORSEL_INLINE bool is_comparison(Op op) { return op >= Op::equal && op <= Op::greater_equal; }
MORSEL_INLINE bool is_logical(Op op) {
  return op == Op::logical_and || op == Op::logical_or || op == Op::logical_xor || op == Op::logical_not;
}

/// The comparison that holds for (y, x) whenever `op` holds for (x, y).
MORSEL_INLINE Op mirrored(Op op) {
  switch (op) {
    case Op::less:
      return Op::greater;
    case Op::less_equal:
      return Op::greater_equal;
    case Op::greater:
      return Op::less;
    case Op::greater_equal:
      return Op::less_equal;
    default:
      return op;
  }
}

/// `input op scalar` for a finite scalar beyond the range of `common`: what real numbers say. Floats still
/// differ from it by being infinite on its side.
MORSEL_INLINE Edge compare_beyond(Op op, const Edge& input, const Scalar& scalar, Type common) {
  const bool below = is_negative(scalar);
  const auto constant = [&](bool value) { return same_everywhere(Type::bool_, &value, input); };
  if (op == Op::equal || op == Op::not_equal) return constant(op == Op::not_equal);
  const bool asks_less = op == Op::less || op == Op::less_equal;
  if (!is_floating(common)) return constant(asks_less != below);
  const Scalar infinity =
      Scalar::of(below ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity());
  const Op exact =
      below ? (asks_less ? Op::less_equal : Op::greater) : (asks_less ? Op::less : Op::greater_equal);
  return apply(exact, {input, infinity});
}

/// pow with a literal exponent; nothing if it is an ordinary one.
MORSEL_INLINE std::optional<Edge> literal_power(const Edge& input, const Scalar& exponent, Type common) {
  if (is_integer(common) && is_integral(exponent) && is_negative(exponent))
    fail(Errc::invalid_argument,
         "pow: negative power of integers; expected an exponent >= 0 or a floating-point base, got " +
             input.dtype().name() + " to the power " + text_of(exponent));
  if (is_bool(common)) return std::nullopt;
  const std::complex<double> n = number_of(exponent);
  if (n.imag() != 0) return std::nullopt;
  if (n.real() == 0) {
    const auto one = element_of(Scalar::of(std::int64_t{1}), common);
    return same_everywhere(common, one.data(), input);
  }
  const Edge base = astype(input, common);
  if (n.real() == 1) return base;
  if (n.real() == 2) return apply(Op::square, {base});
  if (n.real() == 0.5) return apply(Op::sqrt, {base});
  if (n.real() == -1) return apply(Op::reciprocal, {base});
  return std::nullopt;
}

}  // namespace detail

MORSEL_INLINE Edge apply(Op op, const std::vector<Operand>& operands) {
  const std::string name(name_of(op));
  if (operands.size() != static_cast<std::size_t>(arity_of(op)))
    fail(Errc::invalid_argument, name + ": wrong number of operands; expected " +
                                     std::to_string(arity_of(op)) + ", got " +
                                     std::to_string(operands.size()));
  // 1. The common dtype: of all edges, then raised by the kinds of the scalars. A condition takes no part.
  const std::size_t first = op == Op::where ? 1 : 0;
  bool any_edge = false, any_type = false, any_scalar = false;
  Type common{};
  WeakKind weak = WeakKind::boolean;
  for (std::size_t i = 0; i < operands.size(); ++i) {
    if (const Edge* edge = std::get_if<Edge>(&operands[i])) {
      detail::require_numeric(*edge, name);
      any_edge = true;
      if (i < first) continue;
      common = any_type ? promote(common, edge->dtype().type()) : edge->dtype().type();
      any_type = true;
    } else if (i >= first) {
      weak = std::max(weak, std::get<Scalar>(operands[i]).kind);
      any_scalar = true;
    }
  }
  if (!any_edge)
    fail(Errc::invalid_argument, name + ": no array among the operands; expected at least one, got scalars");
  if (any_scalar) common = promote_weak(any_type ? common : Type::bool_, weak);

  // 2. Scalars that the operation treats by their value.
  if (any_scalar && operands.size() == 2) {
    const bool scalar_first = std::holds_alternative<Scalar>(operands[0]);
    const Edge& edge = std::get<Edge>(operands[scalar_first ? 1 : 0]);
    const Scalar& scalar = std::get<Scalar>(operands[scalar_first ? 0 : 1]);
    std::array<std::byte, 16> element;
    if (detail::is_comparison(op) && !is_complex(common) && !detail::try_element(scalar, common, element))
      return detail::compare_beyond(scalar_first ? detail::mirrored(op) : op, edge, scalar, common);
    if (op == Op::pow && !scalar_first)
      if (auto power = detail::literal_power(edge, scalar, common)) return *power;
  }

  // 3. Scalars become constants of the dtype that the kernel takes at their place.
  std::vector<Type> types;
  for (std::size_t i = 0; i < operands.size(); ++i) {
    const Edge* edge = std::get_if<Edge>(&operands[i]);
    types.push_back(edge ? edge->dtype().type() : i < first || detail::is_logical(op) ? Type::bool_ : common);
  }
  OpTypes resolved = resolve_op(op, types);
  ElementwiseNode call;
  call.op = op;
  for (std::size_t i = 0; i < operands.size(); ++i) {
    if (const Edge* edge = std::get_if<Edge>(&operands[i])) {
      call.inputs.push_back(*edge);
      continue;
    }
    Scalar scalar = std::get<Scalar>(operands[i]);
    if (types[i] == Type::bool_ && scalar.kind != WeakKind::boolean)
      scalar = Scalar::of(detail::number_of(scalar) != 0.0);
    else
      types[i] = resolved.in[i];
    try {
      const auto element = element_of(scalar, types[i]);
      call.inputs.push_back(make_constant(types[i], element.data()));
    } catch (const Error& error) {
      throw error.during(name);
    }
  }
  resolved = resolve_op(op, types);
  return detail::elementwise(name, resolved.result, std::move(call));
}

MORSEL_INLINE Edge astype(const Edge& input, Type to) {
  if (input.dtype() == DType(to)) return input;
  detail::require_numeric(input, "astype");
  if (to == Type::carried)
    fail(Errc::dtype_mismatch,
         "astype: not a numeric dtype; expected one of the fourteen numeric dtypes, got carried");
  if (is_complex(input.dtype().type()) && !is_complex(to) && !is_bool(to))
    fail(Errc::dtype_mismatch, "astype: " + std::string(name_of(to)) +
                                   " has no imaginary part; expected real(x), imag(x) or abs(x) first, got " +
                                   input.dtype().name());
  ElementwiseNode call;
  call.kind = ElementwiseNode::Kind::cast;
  call.inputs = {input};
  return detail::elementwise("astype", to, std::move(call));
}

MORSEL_INLINE Edge map_elements(std::shared_ptr<const UserKernel> kernel, const std::vector<Edge>& inputs) {
  const std::string name = kernel->name.empty() ? "map" : kernel->name;
  if (inputs.size() != kernel->in.size() || inputs.empty())
    fail(Errc::invalid_argument, name + ": wrong number of arrays; expected " +
                                     std::to_string(kernel->in.size()) + " (at least one), got " +
                                     std::to_string(inputs.size()));
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].dtype() != DType(kernel->in[i]))
      fail(Errc::dtype_mismatch, name + ": array " + std::to_string(i) + " has another dtype; expected " +
                                     std::string(name_of(kernel->in[i])) + ", got " +
                                     inputs[i].dtype().name());
  ElementwiseNode call;
  call.kind = ElementwiseNode::Kind::user;
  const Type result = kernel->result;
  call.user = std::move(kernel);
  call.inputs = inputs;
  return detail::elementwise(name, result, std::move(call));
}

// ---- reductions
// ------------------------------------------------------------------------------------------------

namespace detail {

MORSEL_INLINE std::vector<int> sorted_axes(const std::vector<Index>& axes, std::size_t rank,
                                           const std::string& doing) {
  std::vector<int> normal;
  for (const Index axis : axes) normal.push_back(normalize_axis(axis, static_cast<int>(rank), doing.c_str()));
  std::sort(normal.begin(), normal.end());
  const auto twice = std::adjacent_find(normal.begin(), normal.end());
  if (twice != normal.end())
    fail(Errc::invalid_argument, doing + ": an axis is named twice; expected each axis once, got axis " +
                                     std::to_string(*twice) + " twice");
  return normal;
}

/// Which of the two orders of summation holds: a matter of axes and shape alone. Axes of extent 1 do not
/// count.
MORSEL_INLINE void fix_order(ReduceNode& call) {
  const Shape& shape = call.input.shape();
  bool any_longer = false, run_ended = false;
  call.trailing = true;
  call.run_begin = 0;
  for (int axis = static_cast<int>(shape.size()) - 1; axis >= 0 && !run_ended; --axis) {
    if (shape[static_cast<std::size_t>(axis)] == 1) continue;
    if (std::binary_search(call.axes.begin(), call.axes.end(), axis))
      call.run_begin = axis;
    else if (any_longer)
      run_ended = true;
    else
      call.trailing = false, call.run_begin = static_cast<int>(shape.size()), run_ended = true;
    any_longer = true;
  }
}

MORSEL_INLINE Edge reduce_edge(ReduceNode call) {
  fix_order(call);
  std::vector<AxisGrid> axes;
  std::size_t next = 0;
  for (std::size_t i = 0; i < call.input.shape().size(); ++i) {
    const bool reduced = next < call.axes.size() && call.axes[next] == static_cast<int>(i);
    if (reduced) ++next;
    if (!reduced)
      axes.push_back(call.leaves.axis(i));
    else if (call.per_chunk)
      axes.push_back(AxisGrid::regular(call.leaves.axis(i).count(), 1));
    else if (call.keepdims)
      axes.push_back(AxisGrid::regular(1, 1));
  }
  Node node;
  if (call.raw_states) {
    const std::size_t bytes = call.reducer->state_bytes();
    node.dtype = DType::carried("V" + std::to_string(bytes), bytes);
  } else {
    node.dtype = call.reducer->result();
    for (const Index n : call.reducer->result_shape())
      axes.push_back(AxisGrid::regular(n, std::max<Index>(n, 1)));
  }
  node.name = call.reducer->name();
  node.grid = Grid(std::move(axes));
  node.payload = std::move(call);
  return edge_of(std::move(node));
}

MORSEL_INLINE const ReduceNode& reduction_of(const Edge& edge, const char* doing) {
  const auto* call = std::get_if<ReduceNode>(&edge.node->payload);
  if (!call || !edge.view.is_identity(edge.node->shape()))
    fail(Errc::invalid_argument, std::string(doing) +
                                     ": not a reduction; expected the result of sum, mean, ... itself, got " +
                                     (call ? "a view of " : "") + edge.node->name);
  return *call;
}

}  // namespace detail

MORSEL_INLINE Edge reduce(ReducerPtr reducer, const Edge& input, std::vector<Index> axes, bool keepdims) {
  const std::string name = reducer->name();
  detail::require_numeric(input, name);
  if (input.dtype().type() != reducer->input())
    fail(Errc::dtype_mismatch, name + ": the array has another dtype; expected " +
                                   std::string(name_of(reducer->input())) + ", got " + input.dtype().name());
  ReduceNode call;
  call.axes = detail::sorted_axes(axes, input.shape().size(), name);
  if (reducer->refuses_empty()) {
    Index inside = 1, outside = 1;
    for (std::size_t i = 0; i < input.shape().size(); ++i)
      (std::binary_search(call.axes.begin(), call.axes.end(), static_cast<int>(i)) ? inside : outside) *=
          std::min<Index>(input.shape()[i], 1);
    if (inside == 0 && outside != 0)
      fail(Errc::invalid_argument,
           name + ": nothing to reduce; expected at least one element along the reduced axes, got shape " +
               to_string(input.shape()));
  }
  call.reducer = std::move(reducer);
  call.input = input;
  call.keepdims = keepdims;
  call.leaves = input.grid();
  return detail::reduce_edge(std::move(call));
}

MORSEL_INLINE Edge histogram_over_data_range(const Edge& input, Index bins) {
  detail::require_numeric(input, "histogram");
  const Type type = input.dtype().type();
  const auto reducer_over = [type, bins](double lo, double hi) {
    ReductionOptions options;
    options.bins = bins;
    options.lo = lo;
    options.hi = hi;
    return make_reducer(Reduction::histogram, type, options);
  };
  const std::vector<Index> axes = all_axes(input.shape().size());
  const Edge unit = reduce(reducer_over(0, 1), input, axes, false);
  if (size_of(input.shape()) == 0) return unit;
  ReduceNode call = std::get<ReduceNode>(unit.node->payload);
  call.parameters = {astype(reduce(make_reducer(Reduction::min, type), input, axes, false), Type::float64),
                     astype(reduce(make_reducer(Reduction::max, type), input, axes, false), Type::float64)};
  call.bind = [reducer_over](const std::vector<double>& range) {
    double lo = range[0], hi = range[1];
    if (!std::isfinite(lo) || !std::isfinite(hi))
      fail(Errc::invalid_argument,
           "histogram: the data's own range is not finite; expected finite values or an explicit {lo, hi}, "
           "got [" +
               detail::text_of(lo) + ", " + detail::text_of(hi) + "]");
    if (lo == hi) {
      lo -= 0.5;
      hi += 0.5;
    }
    return reducer_over(lo, hi);
  };
  return detail::reduce_edge(std::move(call));
}

MORSEL_INLINE Edge per_chunk(const Edge& reduction) {
  ReduceNode call = detail::reduction_of(reduction, "per_chunk");
  call.per_chunk = true;
  return detail::reduce_edge(std::move(call));
}

MORSEL_INLINE Edge raw_states(const Edge& reduction) {
  ReduceNode call = detail::reduction_of(reduction, "partial");
  if (!call.reducer->is_trivial())
    fail(Errc::unsupported, "partial: the states of " + call.reducer->name() +
                                " own memory; expected a combiner whose state is trivially copyable");
  if (!call.parameters.empty())
    fail(Errc::unsupported,
         "partial: the range of " + call.reducer->name() +
             " depends on the data; expected a histogram with an explicit {lo, hi} or edges");
  call.raw_states = true;
  return detail::reduce_edge(std::move(call));
}

// ---- structure
// -------------------------------------------------------------------------------------------------

MORSEL_INLINE Edge rechunk(const Edge& input, const ChunkSpec& chunks) {
  const Grid native = input.grid();
  Node node;
  node.grid = resolve_chunks(chunks, input.shape(), input.dtype().item_bytes(), &native);
  if (node.grid == native) return input;
  node.name = "rechunk";
  node.dtype = input.dtype();
  node.payload = RechunkNode{input};
  return detail::edge_of(std::move(node));
}

namespace detail {

/// Partitions one after another: regular again if they continue each other, else a list.
MORSEL_INLINE AxisGrid append(const std::vector<AxisGrid>& parts) {
  Index extent = 0, step = 0;
  bool continues = true;
  std::vector<const AxisGrid*> filled;
  for (const AxisGrid& part : parts) {
    extent = checked_add(extent, part.extent(), "concat");
    if (part.extent() > 0) filled.push_back(&part);
  }
  for (std::size_t i = 0; i < filled.size() && continues; ++i) {
    const AxisGrid& part = *filled[i];
    if (step == 0) step = part.length(0);
    const bool last = i + 1 == filled.size();
    continues = part.is_uniform() &&
                (part.length(0) == step || (last && part.count() == 1 && part.length(0) < step)) &&
                (last || part.extent() % step == 0);
  }
  if (continues) return AxisGrid::regular(extent, std::max<Index>(step, 1));
  std::vector<Index> boundaries{0};
  for (const AxisGrid* part : filled) {
    const Index before = boundaries.back();
    for (Index k = 0; k < part->count(); ++k) boundaries.push_back(before + part->end(k));
  }
  return AxisGrid::from_boundaries(std::move(boundaries));
}

}  // namespace detail

MORSEL_INLINE Edge concat(const std::vector<Edge>& inputs, Index axis) {
  if (inputs.empty()) fail(Errc::invalid_argument, "concat: no arrays; expected at least one, got none");
  const std::size_t rank = inputs[0].shape().size();
  if (rank == 0)
    fail(Errc::invalid_argument,
         "concat: 0-d arrays cannot be joined; expected at least one axis (use stack), got shape ()");
  const auto at = static_cast<std::size_t>(normalize_axis(axis, static_cast<int>(rank), "concat"));
  // 1. Shapes agree but for the axis.
  for (std::size_t k = 1; k < inputs.size(); ++k) {
    bool fits = inputs[k].shape().size() == rank;
    for (std::size_t i = 0; fits && i < rank; ++i)
      fits = i == at || inputs[k].shape()[i] == inputs[0].shape()[i];
    if (!fits)
      fail(Errc::shape_mismatch, "concat: array " + std::to_string(k) +
                                     " does not fit; expected the extents of " +
                                     to_string(inputs[0].shape()) + " except along axis " +
                                     std::to_string(at) + ", got " + to_string(inputs[k].shape()));
  }
  // 2. One dtype: promoted numbers, or equal carried ones.
  ConcatNode call;
  call.axis = static_cast<int>(at);
  Node node;
  node.dtype = inputs[0].dtype();
  for (std::size_t k = 1; k < inputs.size(); ++k) {
    const DType& other = inputs[k].dtype();
    if (node.dtype.is_numeric() && other.is_numeric())
      node.dtype = promote(node.dtype.type(), other.type());
    else if (node.dtype != other)
      fail(Errc::dtype_mismatch, "concat: array " + std::to_string(k) + " has another dtype; expected " +
                                     node.dtype.name() + ", got " + other.name());
  }
  // 3. Grids one after another.
  std::vector<AxisGrid> joined, axes;
  for (const Edge& input : inputs) {
    call.inputs.push_back(node.dtype.is_numeric() ? astype(input, node.dtype.type()) : input);
    joined.push_back(input.grid().axis(at));
  }
  if (inputs.size() == 1) return inputs[0];
  const Grid grid = inputs[0].grid();
  for (std::size_t i = 0; i < rank; ++i) axes.push_back(i == at ? detail::append(joined) : grid.axis(i));
  node.name = "concat";
  node.grid = Grid(std::move(axes));
  node.payload = std::move(call);
  return detail::edge_of(std::move(node));
}

MORSEL_INLINE Edge stack(const std::vector<Edge>& inputs, Index axis) {
  if (inputs.empty()) fail(Errc::invalid_argument, "stack: no arrays; expected at least one, got none");
  const auto rank = static_cast<int>(inputs[0].shape().size());
  const Index at = normalize_axis(axis, rank + 1, "stack");
  std::vector<Edge> expanded;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    if (inputs[k].shape() != inputs[0].shape())
      fail(Errc::shape_mismatch, "stack: array " + std::to_string(k) + " has another shape; expected " +
                                     to_string(inputs[0].shape()) + ", got " + to_string(inputs[k].shape()));
    expanded.push_back(expand_dims(inputs[k], at));
  }
  return concat(expanded, at);
}

MORSEL_INLINE Edge map_chunks(std::string name, MapChunksNode call, const DType& result) {
  if (name.empty()) name = "map_chunks";
  if (call.inputs.empty())
    fail(Errc::invalid_argument, name + ": no arrays; expected at least one, got none");
  const Shape shape = detail::shape_over(call.inputs, name);
  Node node;
  node.grid = detail::grid_over(call.inputs, shape);
  for (Edge& input : call.inputs) input = detail::broadcast_edge(input, shape);
  node.name = std::move(name);
  node.dtype = result;
  node.payload = std::move(call);
  return detail::edge_of(std::move(node));
}

// ---- views
// -----------------------------------------------------------------------------------------------------

MORSEL_INLINE Edge with_view(const Edge& input, const View& view) {
  return {input.node, compose(view, input.view)};
}

MORSEL_INLINE Edge slice(const Edge& input, const SliceItems& items) {
  return with_view(input, slice_view(input.shape(), items));
}

MORSEL_INLINE Edge permute_dims(const Edge& input, const std::vector<Index>& order) {
  return with_view(input, permute_view(input.shape(), order));
}

MORSEL_INLINE Edge expand_dims(const Edge& input, Index axis) {
  return with_view(input, expand_view(input.shape(), axis));
}

MORSEL_INLINE Edge squeeze(const Edge& input, const std::vector<Index>& axes) {
  return with_view(input, squeeze_view(input.shape(), axes));
}

MORSEL_INLINE Edge flip(const Edge& input, const std::vector<Index>& axes) {
  return with_view(input, flip_view(input.shape(), axes));
}

MORSEL_INLINE Edge moveaxis(const Edge& input, const std::vector<Index>& from, const std::vector<Index>& to) {
  const auto rank = static_cast<int>(input.shape().size());
  if (from.size() != to.size())
    fail(Errc::invalid_argument,
         "moveaxis: lists of different length; expected as many targets as axes, got " +
             std::to_string(from.size()) + " and " + std::to_string(to.size()));
  detail::sorted_axes(from, input.shape().size(), "moveaxis");
  detail::sorted_axes(to, input.shape().size(), "moveaxis");
  std::vector<Index> order(input.shape().size(), -1);
  std::vector<bool> moved(order.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    const int source = normalize_axis(from[i], rank, "moveaxis");
    order[static_cast<std::size_t>(normalize_axis(to[i], rank, "moveaxis"))] = source;
    moved[static_cast<std::size_t>(source)] = true;
  }
  Index next = 0;
  for (Index& axis : order) {
    if (axis >= 0) continue;
    while (moved[static_cast<std::size_t>(next)]) ++next;
    axis = next++;
  }
  return permute_dims(input, order);
}

MORSEL_INLINE Edge broadcast_to(const Edge& input, const Shape& shape) {
  size_of(shape);
  return with_view(input, broadcast_view(input.shape(), shape));
}

MORSEL_INLINE Edge take(const Edge& input, const std::vector<Index>& indices, Index axis) {
  return with_view(input, take_view(input.shape(), indices, axis));
}

}  // namespace morsel::inline MORSEL_ABI
