#include "functions.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <morsel/api/map.hpp>
#include <morsel/io/generated.hpp>
#include <optional>

#include "scalar.hpp"

namespace morsel::app {
namespace {

/// "x|a, axis=None, *, ddof|correction=0": names with aliases, defaults, and named-only ones after the star.
std::vector<Parameter> parameters_of(std::string_view text) {
  std::vector<Parameter> out;
  bool named_only = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    std::string_view item = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    if (item == "*") {
      named_only = true;
      continue;
    }
    Parameter parameter;
    parameter.named_only = named_only;
    if (const std::size_t equals = item.find('='); equals != std::string_view::npos) {
      parameter.otherwise = item.substr(equals + 1);
      item = item.substr(0, equals);
    }
    bool first = true;
    while (!item.empty()) {
      const std::size_t bar = std::min(item.find('|'), item.size());
      if (first)
        parameter.name = item.substr(0, bar);
      else
        parameter.aliases.emplace_back(item.substr(0, bar));
      first = false;
      item.remove_prefix(std::min(bar + 1, item.size()));
    }
    out.push_back(std::move(parameter));
  }
  return out;
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end > 0) out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

// ---- shorthands for the operations used below
// ---------------------------------------------------------------------

Scalar literal(std::int64_t value) { return Scalar::of(value); }
Scalar literal(double value) { return Scalar::of(value); }

Type type_of_edge(const Edge& edge) { return edge.dtype().type(); }

bool is_inexact(Type type) { return is_floating(type) || is_complex(type); }

/// `op` on operands of which none need be an array: then the numbers are 0-d arrays, as for NumPy's
/// functions.
Edge elementwise(Op op, std::vector<Operand> operands) {
  const bool any_array = std::any_of(operands.begin(), operands.end(), [](const Operand& operand) {
    return std::holds_alternative<Edge>(operand);
  });
  if (!any_array)
    for (Operand& operand : operands) operand = array_of(std::get<Scalar>(operand));
  return morsel::apply(op, operands);
}

Edge arange(Index begin, Index end) {
  return make_source(arange_source(Type::int64, begin, end, 1),
                     View::identity({std::max<Index>(end - begin, 0)}), {}, "arange");
}

Edge filled(const Shape& shape, Type type, const void* element) {
  return make_source(full_source(type, shape, element), View::identity(shape), {}, "full");
}

Edge filled(const Shape& shape, Type type, const Scalar& value) {
  const auto element = element_of(value, type);
  return filled(shape, type, element.data());
}

Shape shape_of(const std::vector<Index>& extents) {
  Shape shape(extents.begin(), extents.end());
  size_of(shape);
  return shape;
}

Type dtype_or(const Arguments& args, std::size_t i, Type otherwise) {
  return args.given(i) && !args.value(i).is_none() ? args.dtype(i) : otherwise;
}

/// Argument `i` as an array, in the dtype that argument `dtype` asks for, if it does.
Edge array_as(const Arguments& args, std::size_t i, std::size_t dtype) {
  return args.given(dtype) && !args.value(dtype).is_none() ? args.array(i, args.dtype(dtype)) : args.array(i);
}

/// The array converted as `dtype` asks, if it does.
Edge converted(const Arguments& args, std::size_t i, const Edge& edge) {
  return args.given(i) && !args.value(i).is_none() ? astype(edge, args.dtype(i)) : edge;
}

int axis_or_only(const Arguments& args, std::size_t i, const Edge& edge, const char* doing) {
  const auto rank = static_cast<int>(edge.shape().size());
  if (args.given(i) && !args.value(i).is_none()) return normalize_axis(args.integer(i), rank, doing);
  if (rank != 1)
    fail(Errc::invalid_argument, std::string(doing) +
                                     ": without axis the array would be flattened, which is not supported; " +
                                     "expected axis=, got an array of shape " + to_string(edge.shape()));
  return 0;
}

/// Complex numbers rounded to `decimals`, each part as a number of its own: infinities and signs of zero
/// stay.
template <class T>
Edge round_parts(const Edge& edge, Index decimals) {
  T scale{};
  const auto element =
      element_of(literal(std::pow(10.0, static_cast<double>(std::abs(decimals)))), type_of<T>);
  std::memcpy(&scale, element.data(), sizeof scale);
  const auto rounded = [scale, decimals](T part) {
    return decimals > 0 ? std::nearbyint(part * scale) / scale : std::nearbyint(part / scale) * scale;
  };
  const auto kernel = [rounded](const std::complex<T>& z) {
    return std::complex<T>(rounded(z.real()), rounded(z.imag()));
  };
  return map_elements(std::make_shared<const UserKernel>(make_user_kernel<std::complex<T>>("round", kernel)),
                      {edge});
}

/// start:stop:step on one axis.
Edge slice_axis(const Edge& edge, int axis, std::optional<Index> start, std::optional<Index> stop) {
  SliceItems items(edge.shape().size());
  items[static_cast<std::size_t>(axis)].start = start;
  items[static_cast<std::size_t>(axis)].stop = stop;
  return slice(edge, items);
}

Edge swap_axes(const Edge& edge, Index first, Index second, const char* doing) {
  const auto rank = static_cast<int>(edge.shape().size());
  std::vector<Index> order = all_axes(edge.shape().size());
  std::swap(order[static_cast<std::size_t>(normalize_axis(first, rank, doing))],
            order[static_cast<std::size_t>(normalize_axis(second, rank, doing))]);
  return permute_dims(edge, order);
}

/// Indices for `take` are kept in memory; more than this many are surely a mistake.
constexpr Index max_indices = Index{1} << 24;

Edge take_pattern(const Edge& edge, int axis, Index count, const char* doing,
                  const std::function<Index(Index)>& index_at) {
  if (count > max_indices)
    fail(Errc::unsupported, std::string(doing) + ": too many indices; expected at most " +
                                std::to_string(max_indices) + ", got " + std::to_string(count));
  std::vector<Index> indices(static_cast<std::size_t>(count));
  for (Index k = 0; k < count; ++k) indices[static_cast<std::size_t>(k)] = index_at(k);
  return take(edge, indices, axis);
}

// ---- building the table
// -------------------------------------------------------------------------------------------

class Table {
 public:
  void group(const char* name) { group_ = name; }

  void add(const char* names, const char* parameters, const char* summary,
           std::function<Value(const Arguments&)> call) {
    std::vector<std::string> all = words(names);
    Function function;
    function.group = group_;
    function.name = all.front();
    function.aliases.assign(all.begin() + 1, all.end());
    function.parameters = parameters_of(parameters);
    function.summary = summary;
    function.call = std::move(call);
    functions.push_back(std::move(function));
  }

  /// An elementwise operation of the kernel.
  void add(Op op, const char* names, const char* summary, const char* parameters = nullptr) {
    static constexpr const char* usual[] = {"", "x", "x1, x2", "condition, x, y"};
    const int arity = arity_of(op);
    add(names, parameters ? parameters : usual[arity], summary, [op, arity](const Arguments& args) -> Value {
      std::vector<Operand> operands;
      for (int i = 0; i < arity; ++i) operands.push_back(args.operand(static_cast<std::size_t>(i)));
      return elementwise(op, std::move(operands));
    });
  }

  /// A reduction, with dtype where NumPy has it and ddof for spreads.
  void add(Reduction reduction, bool skip_nan, const char* names, const char* summary) {
    const bool has_dtype = reduction == Reduction::sum || reduction == Reduction::prod ||
                           reduction == Reduction::mean || reduction == Reduction::var ||
                           reduction == Reduction::stddev;
    const bool has_ddof = reduction == Reduction::var || reduction == Reduction::stddev;
    const char* parameters = has_ddof    ? "x|a, axis=None, dtype=None, *, keepdims=False, ddof|correction=0"
                             : has_dtype ? "x|a, axis=None, dtype=None, *, keepdims=False"
                                         : "x|a, axis=None, *, keepdims=False";
    add(names, parameters, summary, [=](const Arguments& args) -> Value {
      const std::size_t keepdims = has_dtype ? 3 : 2;
      const Edge given = args.array(0);
      const Edge input = has_dtype ? converted(args, 2, given) : given;
      ReductionOptions options;
      options.skip_nan = skip_nan;
      if (has_ddof && args.given(4)) options.ddof = args.number(4);
      if (!input.dtype().is_numeric())
        fail(Errc::dtype_mismatch, std::string(name_of(reduction)) + ": " + input.dtype().name() +
                                       " is not a numeric dtype; expected numbers");
      const Edge result =
          reduce(make_reducer(reduction, type_of_edge(input), options), input,
                 args.axes(1, input.shape().size()), args.given(keepdims) && args.flag(keepdims));
      // sum(i8, dtype='i1') stays in the dtype asked for, wrapped.
      return has_dtype && !has_ddof ? Value(converted(args, 2, result)) : Value(result);
    });
  }

  void let_spread() { functions.back().spreads = true; }

  std::vector<Function> functions;

 private:
  std::string group_;
};

void add_elementwise(Table& t) {
  t.group("Arithmetic");
  t.add(Op::add, "add", "x1 + x2");
  t.add(Op::subtract, "subtract", "x1 - x2");
  t.add(Op::multiply, "multiply", "x1 * x2");
  t.add(Op::divide, "divide true_divide", "x1 / x2; of integers a float64");
  t.add(Op::floor_divide, "floor_divide", "x1 // x2, rounded down; integers by 0 give 0");
  t.add(Op::remainder, "remainder mod", "x1 % x2, with the sign of x2; integers by 0 give 0");
  t.add(Op::pow, "pow power", "x1 ** x2");
  t.add("float_power", "x1, x2", "x1 ** x2, at least in float64", [](const Arguments& args) -> Value {
    const auto wide = [](const Edge& edge) {
      return astype(edge, is_complex(type_of_edge(edge)) ? Type::complex128 : Type::float64);
    };
    return elementwise(Op::pow, {wide(args.array(0)), wide(args.array(1))});
  });
  t.add(Op::negative, "negative", "-x");
  t.add(Op::positive, "positive", "+x");
  t.add(Op::abs, "abs absolute", "absolute value; modulus of complex numbers");
  t.add("fabs", "x", "absolute value as a float", [](const Arguments& args) -> Value {
    const Edge x = args.array(0);
    if (x.dtype().is_numeric() && is_complex(type_of_edge(x))) args.refuse(0, "real numbers");
    return elementwise(Op::abs, {x.dtype().is_numeric() ? astype(x, float_result(type_of_edge(x))) : x});
  });
  t.add(Op::square, "square", "x * x");
  t.add(Op::reciprocal, "reciprocal", "1 / x");
  t.add(Op::sign, "sign", "-1, 0 or 1; x / |x| of complex numbers");
  t.add(Op::maximum, "maximum", "the larger one, elementwise; NaN wins");
  t.add(Op::minimum, "minimum", "the smaller one, elementwise; NaN wins");
  const auto extremum = [](Op op) {
    return [op](const Arguments& args) -> Value {
      // The other one where one is NaN: NaN is then left only where both are.
      const Operand x = args.operand(0), y = args.operand(1);
      const Edge chosen = elementwise(op, {x, y});
      if (!is_inexact(type_of_edge(chosen))) return chosen;
      const Edge y_if_x_is_nan = elementwise(Op::where, {elementwise(Op::isnan, {x}), y, chosen});
      return astype(elementwise(Op::where, {elementwise(Op::isnan, {y}), x, y_if_x_is_nan}),
                    type_of_edge(chosen));
    };
  };
  t.add("fmax", "x1, x2", "the larger one, elementwise; numbers win over NaN", extremum(Op::maximum));
  t.add("fmin", "x1, x2", "the smaller one, elementwise; numbers win over NaN", extremum(Op::minimum));
  t.add("clip", "x|a, min|a_min=None, max|a_max=None", "x kept between min and max; None is no limit",
        [](const Arguments& args) -> Value {
          const bool low = args.given(1) && !args.value(1).is_none(),
                     high = args.given(2) && !args.value(2).is_none();
          if (low && high) return elementwise(Op::clip, {args.operand(0), args.operand(1), args.operand(2)});
          if (low) return elementwise(Op::maximum, {args.operand(0), args.operand(1)});
          if (high) return elementwise(Op::minimum, {args.operand(0), args.operand(2)});
          return args.array(0);
        });

  t.group("Rounding");
  t.add(Op::floor, "floor", "rounded down");
  t.add(Op::ceil, "ceil", "rounded up");
  t.add(Op::trunc, "trunc fix", "rounded towards zero");
  t.add("round around", "x|a, decimals=0", "rounded to so many decimals, halves to even",
        [](const Arguments& args) -> Value {
          const Edge x = args.array(0);
          const Index decimals = args.given(1) ? args.integer(1) : 0;
          if (decimals == 0) return elementwise(Op::round, {x});
          if (decimals < -308 || decimals > 308) args.refuse(1, "between -308 and 308 decimals");
          const bool is_whole = x.dtype().is_numeric() && !is_inexact(type_of_edge(x));
          if (is_whole && decimals > 0) return x;
          if (x.dtype() == DType(Type::complex64)) return round_parts<float>(x, decimals);
          if (x.dtype() == DType(Type::complex128)) return round_parts<double>(x, decimals);
          const Scalar scale = literal(std::pow(10.0, static_cast<double>(std::abs(decimals))));
          const auto rounded = [&](const Edge& part) {
            const Edge scaled = elementwise(decimals > 0 ? Op::multiply : Op::divide, {part, scale});
            return elementwise(decimals > 0 ? Op::divide : Op::multiply,
                               {elementwise(Op::round, {scaled}), scale});
          };
          const Edge result = rounded(x);
          return is_whole ? astype(result, type_of_edge(x)) : result;
        });
  t.add("rint", "x", "rounded to the nearest integer, halves to even, as a float",
        [](const Arguments& args) -> Value {
          const Edge x = args.array(0);
          return elementwise(Op::round,
                             {x.dtype().is_numeric() ? astype(x, float_result(type_of_edge(x))) : x});
        });

  t.group("Powers, exponentials, logarithms");
  t.add(Op::sqrt, "sqrt", "square root");
  t.add(Op::cbrt, "cbrt", "cube root");
  t.add(Op::hypot, "hypot", "sqrt(x1 * x1 + x2 * x2) without overflow");
  t.add(Op::exp, "exp", "e ** x");
  t.add(Op::exp2, "exp2", "2 ** x");
  t.add(Op::expm1, "expm1", "exp(x) - 1, accurate near 0");
  t.add(Op::log, "log", "natural logarithm");
  t.add(Op::log2, "log2", "logarithm to base 2");
  t.add(Op::log10, "log10", "logarithm to base 10");
  t.add(Op::log1p, "log1p", "log(1 + x), accurate near 0");
  t.add(Op::logaddexp, "logaddexp", "log(exp(x1) + exp(x2)) without overflow");

  t.group("Trigonometry (radians)");
  t.add(Op::sin, "sin", "sine");
  t.add(Op::cos, "cos", "cosine");
  t.add(Op::tan, "tan", "tangent");
  t.add(Op::asin, "asin arcsin", "inverse sine");
  t.add(Op::acos, "acos arccos", "inverse cosine");
  t.add(Op::atan, "atan arctan", "inverse tangent");
  t.add(Op::atan2, "atan2 arctan2", "angle of the point (x2, x1)");
  t.add(Op::sinh, "sinh", "hyperbolic sine");
  t.add(Op::cosh, "cosh", "hyperbolic cosine");
  t.add(Op::tanh, "tanh", "hyperbolic tangent");
  t.add(Op::asinh, "asinh arcsinh", "inverse hyperbolic sine");
  t.add(Op::acosh, "acosh arccosh", "inverse hyperbolic cosine");
  t.add(Op::atanh, "atanh arctanh", "inverse hyperbolic tangent");
  const auto scaled = [](double factor) {
    return [factor](const Arguments& args) -> Value {
      const Edge x = args.array(0);
      return elementwise(Op::multiply, {x.dtype().is_numeric() ? astype(x, float_result(type_of_edge(x))) : x,
                                        literal(factor)});
    };
  };
  constexpr double pi = 3.14159265358979323846;
  t.add("radians deg2rad", "x", "degrees to radians", scaled(pi / 180));
  t.add("degrees rad2deg", "x", "radians to degrees", scaled(180 / pi));

  t.group("Complex numbers");
  t.add(Op::real, "real", "real part");
  t.add(Op::imag, "imag", "imaginary part");
  t.add(Op::conj, "conj conjugate", "complex conjugate");
  t.add(Op::angle, "angle", "angle in the complex plane, radians");

  t.group("Comparisons and tests");
  t.add(Op::equal, "equal", "x1 == x2");
  t.add(Op::not_equal, "not_equal", "x1 != x2");
  t.add(Op::less, "less", "x1 < x2");
  t.add(Op::less_equal, "less_equal", "x1 <= x2");
  t.add(Op::greater, "greater", "x1 > x2");
  t.add(Op::greater_equal, "greater_equal", "x1 >= x2");
  t.add(Op::isnan, "isnan", "True where x is NaN");
  t.add(Op::isinf, "isinf", "True where x is infinite");
  t.add(Op::isfinite, "isfinite", "True where x is neither NaN nor infinite");
  t.add(Op::signbit, "signbit", "True where the sign bit is set");
  t.add(
      "isclose", "a, b, rtol=1e-05, atol=1e-08, equal_nan=False", "|a - b| <= atol + rtol * |b|",
      [](const Arguments& args) -> Value {
        const Edge a = args.array(0), given = args.array(1);
        const Edge b = given.dtype().is_numeric()
                           ? astype(given, promote_weak(type_of_edge(given), WeakKind::floating))
                           : given;
        const double rtol = args.given(2) ? args.number(2) : 1e-5,
                     atol = args.given(3) ? args.number(3) : 1e-8;
        const Edge limit = elementwise(
            Op::add, {elementwise(Op::multiply, {elementwise(Op::abs, {b}), literal(rtol)}), literal(atol)});
        const Edge near =
            elementwise(Op::less_equal, {elementwise(Op::abs, {elementwise(Op::subtract, {a, b})}), limit});
        Edge result =
            elementwise(Op::bitwise_or, {elementwise(Op::bitwise_and, {near, elementwise(Op::isfinite, {b})}),
                                         elementwise(Op::equal, {a, b})});
        if (args.given(4) && args.flag(4))
          result = elementwise(Op::bitwise_or,
                               {result, elementwise(Op::bitwise_and, {elementwise(Op::isnan, {a}),
                                                                      elementwise(Op::isnan, {b})})});
        return result;
      });

  t.group("Logic and bits");
  t.add(Op::logical_and, "logical_and", "True where both are not 0");
  t.add(Op::logical_or, "logical_or", "True where one is not 0");
  t.add(Op::logical_xor, "logical_xor", "True where exactly one is not 0");
  t.add(Op::logical_not, "logical_not", "True where x is 0");
  t.add(Op::bitwise_and, "bitwise_and", "x1 & x2");
  t.add(Op::bitwise_or, "bitwise_or", "x1 | x2");
  t.add(Op::bitwise_xor, "bitwise_xor", "x1 ^ x2");
  t.add(Op::bitwise_invert, "bitwise_invert invert bitwise_not", "~x");
  t.add(Op::bitwise_left_shift, "bitwise_left_shift left_shift", "x1 << x2");
  t.add(Op::bitwise_right_shift, "bitwise_right_shift right_shift", "x1 >> x2");

  t.group("Choice and sign");
  t.add(Op::where, "where", "x where the condition holds, else y");
  t.add(Op::copysign, "copysign", "x1 with the sign of x2");
  t.add(Op::nextafter, "nextafter", "the float after x1 towards x2");
  t.add("nan_to_num", "x, copy=True, nan=0.0, posinf=None, neginf=None",
        "NaN and infinities replaced, these by the largest floats unless given",
        [](const Arguments& args) -> Value {
          const Edge x = args.array(0);
          if (!x.dtype().is_numeric() || !is_inexact(type_of_edge(x))) return x;
          if (is_complex(type_of_edge(x)))
            fail(Errc::dtype_mismatch,
                 "nan_to_num: not for complex numbers; expected real(x) and imag(x) apart, got " +
                     x.dtype().name());
          const auto largest = [&](bool negative) {
            const double value = type_of_edge(x) == Type::float16 ? 65504
                                 : type_of_edge(x) == Type::float32
                                     ? static_cast<double>(std::numeric_limits<float>::max())
                                     : std::numeric_limits<double>::max();
            return negative ? -value : value;
          };
          const auto or_largest = [&](std::size_t i, bool negative) {
            return literal(args.given(i) && !args.value(i).is_none() ? args.number(i) : largest(negative));
          };
          const double infinity = std::numeric_limits<double>::infinity();
          Edge out = elementwise(Op::where,
                                 {elementwise(Op::equal, {x, literal(infinity)}), or_largest(3, false), x});
          out = elementwise(Op::where,
                            {elementwise(Op::equal, {x, literal(-infinity)}), or_largest(4, true), out});
          return elementwise(
              Op::where, {elementwise(Op::isnan, {x}), literal(args.given(2) ? args.number(2) : 0.0), out});
        });
}

void add_reductions(Table& t) {
  t.group("Reductions (axis: a number, a tuple, or None for all)");
  t.add(Reduction::sum, false, "sum", "sum; integers in 64 bits");
  t.add(Reduction::prod, false, "prod", "product");
  t.add(Reduction::mean, false, "mean average", "arithmetic mean");
  t.add(Reduction::var, false, "var", "variance, divisor n - ddof");
  t.add(Reduction::stddev, false, "stddev std", "standard deviation, divisor n - ddof");
  t.add(Reduction::min, false, "min amin", "smallest value; NaN wins");
  t.add(Reduction::max, false, "max amax", "largest value; NaN wins");
  t.add("ptp", "x|a, axis=None, *, keepdims=False", "max - min", [](const Arguments& args) -> Value {
    const Edge x = args.array(0);
    if (!x.dtype().is_numeric()) args.refuse(0, "numbers");
    const auto extreme = [&](Reduction reduction) {
      return reduce(make_reducer(reduction, type_of_edge(x)), x, args.axes(1, x.shape().size()),
                    args.given(2) && args.flag(2));
    };
    return elementwise(Op::subtract, {extreme(Reduction::max), extreme(Reduction::min)});
  });
  t.add(Reduction::argmin, false, "argmin", "index of the smallest value, flat over the reduced axes");
  t.add(Reduction::argmax, false, "argmax", "index of the largest value, flat over the reduced axes");
  t.add(Reduction::any, false, "any", "True if one is not 0");
  t.add(Reduction::all, false, "all", "True if none is 0");
  t.add(Reduction::count_nonzero, false, "count_nonzero", "how many are not 0");
  t.add(Reduction::sum, true, "nansum", "sum without NaN");
  t.add(Reduction::prod, true, "nanprod", "product without NaN");
  t.add(Reduction::mean, true, "nanmean", "mean without NaN");
  t.add(Reduction::var, true, "nanvar", "variance without NaN");
  t.add(Reduction::stddev, true, "nanstddev nanstd", "standard deviation without NaN");
  t.add(Reduction::min, true, "nanmin", "smallest value without NaN");
  t.add(Reduction::max, true, "nanmax", "largest value without NaN");
  t.add(Reduction::argmin, true, "nanargmin", "index of the smallest value without NaN");
  t.add(Reduction::argmax, true, "nanargmax", "index of the largest value without NaN");
  t.add("histogram", "x|a, bins=10, range=None",
        "counts of all values in equal bins over range (lo, hi), else over the data's own; or between the "
        "edges in bins",
        [](const Arguments& args) -> Value {
          const Edge x = args.array(0);
          if (!x.dtype().is_numeric()) args.refuse(0, "numbers");
          ReductionOptions options;
          if (args.given(1) && args.value(1).sequence()) {
            for (const Value& edge : args.value(1).sequence()->items) {
              const Scalar* number = edge.scalar();
              if (!number || number->kind == WeakKind::complex)
                args.refuse(1, "a number of bins or a list of edges");
              options.edges.push_back(real_of(*number));
            }
            if (options.edges.size() < 2) args.refuse(1, "a number of bins or a list of at least two edges");
          } else {
            options.bins = args.given(1) ? args.integer(1) : 10;
            if (options.bins < 1) args.refuse(1, "at least one bin");
            if (!args.given(2) || args.value(2).is_none()) return histogram_over_data_range(x, options.bins);
            const Sequence* range = args.value(2).sequence();
            if (!range || range->items.size() != 2) args.refuse(2, "(lo, hi)");
            const auto bound = [&](std::size_t i) {
              const Scalar* number = range->items[i].scalar();
              if (!number || number->kind == WeakKind::complex) args.refuse(2, "(lo, hi)");
              return real_of(*number);
            };
            options.lo = bound(0);
            options.hi = bound(1);
            if (options.lo == options.hi) {  // as NumPy
              options.lo -= 0.5;
              options.hi += 0.5;
            }
          }
          return reduce(make_reducer(Reduction::histogram, type_of_edge(x), options), x,
                        all_axes(x.shape().size()), false);
        });
  t.add("vecdot", "x1, x2, axis=-1", "sum(conj(x1) * x2) along an axis", [](const Arguments& args) -> Value {
    const Edge product = elementwise(Op::multiply, {elementwise(Op::conj, {args.array(0)}), args.array(1)});
    const Index axis = args.given(2) ? args.integer(2) : -1;
    if (axis >= 0) args.refuse(2, "an axis counted from the end, such as -1");
    const Edge sum = reduce(make_reducer(Reduction::sum, type_of_edge(product)), product, {axis}, false);
    return astype(sum, type_of_edge(product));
  });
}

void add_views(Table& t) {
  t.group("Axes and shapes");
  t.add("permute_dims transpose", "x|a, axes=None", "axes in another order, reversed by default",
        [](const Arguments& args) -> Value {
          const Edge x = args.array(0);
          std::vector<Index> order = all_axes(x.shape().size());
          if (args.given(1) && !args.value(1).is_none())
            order = args.integers(1);
          else
            std::reverse(order.begin(), order.end());
          return permute_dims(x, order);
        });
  t.let_spread();
  t.add("matrix_transpose", "x", "the last two axes swapped",
        [](const Arguments& args) -> Value { return swap_axes(args.array(0), -1, -2, "matrix_transpose"); });
  t.add("swapaxes", "x|a, axis1, axis2", "two axes swapped", [](const Arguments& args) -> Value {
    return swap_axes(args.array(0), args.integer(1), args.integer(2), "swapaxes");
  });
  t.add("moveaxis", "x|a, source, destination", "axes moved elsewhere, the others in order",
        [](const Arguments& args) -> Value {
          return moveaxis(args.array(0), args.integers(1), args.integers(2));
        });
  t.add("expand_dims", "x|a, axis=0", "new axes of extent 1", [](const Arguments& args) -> Value {
    Edge x = args.array(0);
    std::vector<Index> axes = args.given(1) ? args.integers(1) : std::vector<Index>{0};
    const auto rank = static_cast<int>(x.shape().size() + axes.size());
    for (Index& axis : axes) axis = normalize_axis(axis, rank, "expand_dims");
    std::sort(axes.begin(), axes.end());
    if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) args.refuse(1, "each axis once");
    for (const Index axis : axes) x = expand_dims(x, axis);
    return x;
  });
  t.add("squeeze", "x|a, axis=None", "axes of extent 1 dropped", [](const Arguments& args) -> Value {
    const Edge x = args.array(0);
    std::vector<Index> axes;
    if (args.given(1) && !args.value(1).is_none())
      axes = args.integers(1);
    else
      for (std::size_t i = 0; i < x.shape().size(); ++i)
        if (x.shape()[i] == 1) axes.push_back(static_cast<Index>(i));
    return squeeze(x, axes);
  });
  t.add("flip", "x|m, axis=None", "elements in reversed order along axes",
        [](const Arguments& args) -> Value {
          const Edge x = args.array(0);
          return flip(x, args.axes(1, x.shape().size()));
        });
  t.add("roll", "x|a, shift, axis=None", "elements moved along axes, around the end",
        [](const Arguments& args) -> Value {
          Edge x = args.array(0);
          const std::vector<Index> shifts = args.integers(1);
          std::vector<Index> axes = args.given(2) && !args.value(2).is_none()
                                        ? args.integers(2)
                                        : std::vector<Index>{axis_or_only(args, 2, x, "roll")};
          if (shifts.size() != 1 && axes.size() != 1 && shifts.size() != axes.size())
            args.refuse(1, "as many shifts as axes");
          for (std::size_t i = 0; i < std::max(shifts.size(), axes.size()); ++i) {
            const int axis =
                normalize_axis(axes[axes.size() == 1 ? 0 : i], static_cast<int>(x.shape().size()), "roll");
            const Index extent = x.shape()[static_cast<std::size_t>(axis)],
                        shift = shifts[shifts.size() == 1 ? 0 : i];
            if (extent == 0) continue;
            const Index split = (extent - shift % extent) % extent;
            if (split != 0)
              x = concat({slice_axis(x, axis, split, std::nullopt), slice_axis(x, axis, std::nullopt, split)},
                         axis);
          }
          return x;
        });
  t.add(
      "broadcast_to", "x|array, shape", "repeated to a shape by broadcasting",
      [](const Arguments& args) -> Value { return broadcast_to(args.array(0), shape_of(args.integers(1))); });
  t.add("concat concatenate", "arrays, axis=0", "arrays one after another along an axis",
        [](const Arguments& args) -> Value {
          const std::vector<Edge> arrays = args.arrays(0);
          if (args.given(1) && args.value(1).is_none())
            return concat(arrays, axis_or_only(args, 1, arrays[0], "concat"));
          return concat(arrays, args.given(1) ? args.integer(1) : 0);
        });
  t.add("stack", "arrays, axis=0", "arrays side by side along a new axis",
        [](const Arguments& args) -> Value {
          return stack(args.arrays(0), args.given(1) ? args.integer(1) : 0);
        });
  t.add("hstack", "tup", "arrays one after another along axis 1 (1-D: axis 0)",
        [](const Arguments& args) -> Value {
          std::vector<Edge> arrays = args.arrays(0);
          for (Edge& array : arrays)
            if (array.shape().empty()) array = expand_dims(array, 0);
          return concat(arrays, arrays[0].shape().size() == 1 ? 0 : 1);
        });
  t.add("vstack", "tup", "arrays one after another along axis 0, 1-D ones as rows",
        [](const Arguments& args) -> Value {
          std::vector<Edge> arrays = args.arrays(0);
          for (Edge& array : arrays)
            while (array.shape().size() < 2) array = expand_dims(array, 0);
          return concat(arrays, 0);
        });
  t.add("take", "x|a, indices, axis=None", "the elements at the given indices of an axis",
        [](const Arguments& args) -> Value {
          const Edge x = args.array(0);
          const int axis = axis_or_only(args, 2, x, "take");
          const Edge taken = take(x, args.integers(1), axis);
          return args.value(1).scalar() ? squeeze(taken, {axis}) : taken;
        });
  t.add("repeat", "x|a, repeats, axis=None", "each element of an axis repeated so many times",
        [](const Arguments& args) -> Value {
          Edge x = args.array(0);
          if (x.shape().empty()) x = expand_dims(x, 0);  // as NumPy: a 0-d array has one element to repeat
          const int axis = axis_or_only(args, 2, x, "repeat");
          const Index times = args.integer(1);
          if (times < 0) args.refuse(1, "a number >= 0");
          const Index count = checked_mul(x.shape()[static_cast<std::size_t>(axis)], times, "repeat: extent");
          return take_pattern(x, axis, count, "repeat", [times](Index k) { return k / times; });
        });
  t.add("tile", "x|A, repetitions|reps", "the whole array repeated along axes",
        [](const Arguments& args) -> Value {
          Edge x = args.array(0);
          std::vector<Index> times = args.integers(1);
          while (x.shape().size() < times.size()) x = expand_dims(x, 0);
          times.insert(times.begin(), x.shape().size() - times.size(), 1);
          for (std::size_t i = 0; i < times.size(); ++i) {
            if (times[i] < 0) args.refuse(1, "numbers >= 0");
            if (times[i] == 1) continue;
            const Index extent = x.shape()[i];
            x = take_pattern(x, static_cast<int>(i), checked_mul(extent, times[i], "tile: extent"), "tile",
                             [extent](Index k) { return k % extent; });
          }
          return x;
        });
  t.add("diff", "x|a, n=1, axis=-1", "differences of neighbours along an axis, n times",
        [](const Arguments& args) -> Value {
          Edge x = args.array(0);
          const Index times = args.given(1) ? args.integer(1) : 1;
          if (times < 0 || times > 100) args.refuse(1, "a number from 0 to 100");
          const int axis = normalize_axis(args.given(2) ? args.integer(2) : -1,
                                          static_cast<int>(x.shape().size()), "diff");
          for (Index k = 0; k < times; ++k) {
            const bool is_bool_array = x.dtype() == DType(Type::bool_);
            x = elementwise(is_bool_array ? Op::not_equal : Op::subtract,
                            {slice_axis(x, axis, 1, std::nullopt), slice_axis(x, axis, std::nullopt, -1)});
          }
          return x;
        });
  const auto triangle = [](Op keeps) {
    return [keeps](const Arguments& args) -> Value {
      const Edge x = args.array(0);
      const std::size_t rank = x.shape().size();
      if (rank < 2) args.refuse(0, "an array of at least two axes");
      const Index shift = args.given(1) ? args.integer(1) : 0;
      const Edge rows = expand_dims(arange(0, x.shape()[rank - 2]), 1);
      const Edge columns = elementwise(
          Op::subtract, {arange(0, x.shape()[rank - 1]), literal(static_cast<std::int64_t>(shift))});
      return elementwise(Op::where, {elementwise(keeps, {rows, columns}), x,
                                     filled({}, type_of_edge(x), literal(std::int64_t{0}))});
    };
  };
  t.add("tril", "x|m, k=0", "0 above the k-th diagonal of the last two axes", triangle(Op::greater_equal));
  t.add("triu", "x|m, k=0", "0 below the k-th diagonal of the last two axes", triangle(Op::less_equal));
  t.add("rechunk", "x, chunks", "the same values in other chunks: 100, (100, -1), 'auto', '64MiB'",
        [](const Arguments& args) -> Value { return rechunk(args.array(0), args.chunks(1)); });
}

void add_creation(Table& t) {
  t.group("Conversion and creation");
  t.add("astype", "x|a, dtype, copy=True",
        "the values in another dtype: 'f4', 'int16', bool; floats saturate in integers",
        [](const Arguments& args) -> Value { return args.array(0, args.dtype(1)); });
  t.add("asarray array", "x|a|object, dtype=None", "an array of a number or of nested lists of numbers",
        [](const Arguments& args) -> Value { return array_as(args, 0, 1); });
  const auto constant = [](std::int64_t value) {
    return [value](const Arguments& args) -> Value {
      return filled(shape_of(args.integers(0)), dtype_or(args, 1, Type::float64), literal(value));
    };
  };
  t.add("zeros empty", "shape, dtype='float64'", "an array of zeros", constant(0));
  t.add("ones", "shape, dtype='float64'", "an array of ones", constant(1));
  t.add("full", "shape, fill_value, dtype=None", "an array of copies of one value",
        [](const Arguments& args) -> Value {
          return broadcast_to(array_as(args, 1, 2), shape_of(args.integers(0)));
        });
  const auto constant_like = [](std::int64_t value) {
    return [value](const Arguments& args) -> Value {
      const Edge x = args.array(0);
      if (!x.dtype().is_numeric() && !args.given(1)) args.refuse(0, "numbers");
      return filled(x.shape(), dtype_or(args, 1, type_of_edge(x)), literal(value));
    };
  };
  t.add("zeros_like empty_like", "x|a, dtype=None", "zeros of the shape and dtype of x", constant_like(0));
  t.add("ones_like", "x|a, dtype=None", "ones of the shape and dtype of x", constant_like(1));
  t.add("full_like", "x|a, fill_value, dtype=None", "copies of one value in the shape and dtype of x",
        [](const Arguments& args) -> Value {
          const Edge x = args.array(0);
          if (!x.dtype().is_numeric() && !args.given(2)) args.refuse(0, "numbers");
          return broadcast_to(args.array(1, dtype_or(args, 2, type_of_edge(x))), x.shape());
        });
  t.add("arange", "start, stop=None, step=1, dtype=None", "start, start + step, ... below stop",
        [](const Arguments& args) -> Value {
          const bool has_stop = args.given(1) && !args.value(1).is_none();
          const auto is_whole = [&](std::size_t i) {
            return !args.given(i) || args.value(i).is_none() ||
                   (args.value(i).scalar() && args.value(i).scalar()->kind <= WeakKind::integer);
          };
          AnyChunkSource source;
          if (is_whole(0) && is_whole(1) && is_whole(2)) {
            const Index start = has_stop ? args.integer(0) : 0, stop = args.integer(has_stop ? 1 : 0);
            source = arange_source(dtype_or(args, 3, Type::int64), start, stop,
                                   args.given(2) ? args.integer(2) : 1);
          } else {
            const double start = has_stop ? args.number(0) : 0.0, stop = args.number(has_stop ? 1 : 0);
            source = arange_source(dtype_or(args, 3, Type::float64), start, stop,
                                   args.given(2) ? args.number(2) : 1.0);
          }
          const View view = View::identity(source.spec().shape());
          return make_source(std::move(source), view, {}, "arange");
        });
  t.add("linspace", "start, stop, num=50, endpoint=True, *, dtype=None",
        "num values at equal distances from start to stop", [](const Arguments& args) -> Value {
          const Index count = args.given(2) ? args.integer(2) : 50;
          if (count < 0) args.refuse(2, "a number >= 0");
          const bool closed = !args.given(3) || args.flag(3);
          AnyChunkSource source =
              linspace_source(dtype_or(args, 4, Type::float64), args.number(0), args.number(1), count,
                              closed ? Endpoint::included : Endpoint::excluded);
          const View view = View::identity(source.spec().shape());
          return make_source(std::move(source), view, {}, "linspace");
        });
  t.add("eye", "n|N, m|M=None, k=0, dtype='float64'", "ones on the k-th diagonal, else zeros",
        [](const Arguments& args) -> Value {
          const Index rows = args.integer(0),
                      columns = args.given(1) && !args.value(1).is_none() ? args.integer(1) : rows;
          if (rows < 0 || columns < 0) args.refuse(0, "extents >= 0");
          const Edge row = expand_dims(arange(0, rows), 1);
          const Edge column = elementwise(
              Op::subtract,
              {arange(0, columns), literal(static_cast<std::int64_t>(args.given(2) ? args.integer(2) : 0))});
          return astype(elementwise(Op::equal, {row, column}), dtype_or(args, 3, Type::float64));
        });
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

const std::vector<Function>& functions() {
  static const std::vector<Function> table = [] {
    Table t;
    add_elementwise(t);
    add_reductions(t);
    add_views(t);
    add_creation(t);
    return std::move(t.functions);
  }();
  return table;
}

const Function* find_function(std::string_view name) {
  for (const Function& function : functions())
    if (function.name == name ||
        std::find(function.aliases.begin(), function.aliases.end(), name) != function.aliases.end())
      return &function;
  return nullptr;
}

std::string similar_functions(std::string_view name) {
  if (name.size() > 64) return {};
  std::vector<std::pair<std::size_t, std::string>> found;
  const std::size_t most = name.size() <= 3 ? 1 : 2;
  for (const Function& function : functions()) {
    std::size_t least = edit_distance(name, function.name);
    std::string closest = function.name;
    for (const std::string& alias : function.aliases)
      if (const std::size_t distance = edit_distance(name, alias); distance < least) {
        least = distance;
        closest = alias;
      }
    if (least <= most) found.emplace_back(least, closest);
  }
  std::sort(found.begin(), found.end());
  if (found.size() > 3) found.resize(3);
  std::string out;
  for (std::size_t i = 0; i < found.size(); ++i)
    out += (i == 0 ? "'" : i + 1 == found.size() ? " or '" : ", '") + found[i].second + "'";
  return out;
}

std::string signature(const Function& function) {
  std::string out = function.name + "(";
  bool starred = false;
  for (std::size_t i = 0; i < function.parameters.size(); ++i) {
    const Parameter& parameter = function.parameters[i];
    if (i > 0) out += ", ";
    if (parameter.named_only && !starred) {
      out += "*, ";
      starred = true;
    }
    out += parameter.name;
    if (!parameter.otherwise.empty()) out += "=" + parameter.otherwise;
  }
  return out + ")";
}

std::string functions_table() {
  std::string out, group;
  for (const Function& function : functions()) {
    if (function.group != group) {
      if (!group.empty()) out += "\n";
      group = function.group;
      out += "### " + group + "\n\n| function | also | gives |\n|---|---|---|\n";
    }
    std::string aliases;
    for (const std::string& alias : function.aliases)
      aliases += (aliases.empty() ? "`" : ", `") + alias + "`";
    std::string summary = function.summary;
    for (std::size_t at = 0; (at = summary.find('|', at)) != std::string::npos; at += 2)
      summary.insert(at, "\\");
    out += "| `" + signature(function) + "` | " + aliases + " | " + summary + " |\n";
  }
  return out;
}

Type numeric_dtype(std::string_view name) {
  static constexpr struct {
    std::string_view name;
    Type type;
  } python[] = {{"bool", Type::bool_},     {"bool_", Type::bool_},        {"int", Type::int64},
                {"float", Type::float64},  {"complex", Type::complex128}, {"half", Type::float16},
                {"single", Type::float32}, {"double", Type::float64},     {"intp", Type::int64},
                {"uint", Type::uint64},    {"int_", Type::int64},         {"byte", Type::int8},
                {"ubyte", Type::uint8},    {"cdouble", Type::complex128}, {"csingle", Type::complex64}};
  for (const auto& row : python)
    if (row.name == name) return row.type;
  const DType dtype = parse_dtype(name);
  if (!dtype.is_numeric())
    fail(Errc::dtype_mismatch, "dtype '" + std::string(name) +
                                   "': not a numeric dtype; expected one such as bool, int16, uint8, " +
                                   "float32 or complex64");
  return dtype.type();
}

}  // namespace morsel::app
