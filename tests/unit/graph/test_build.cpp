#include <catch2/catch.hpp>
#include <cstring>
#include <limits>
#include <morsel/graph/build.hpp>
#include <morsel/io/generated.hpp>
#include <morsel/io/memory_source.hpp>

#include <support/failure.hpp>

using namespace morsel;
using morsel_test::contains;
using morsel_test::failure_of;

namespace {

const std::byte zero_element[64] = {};

Edge array(const DType& dtype, const Shape& shape, const ChunkSpec& chunks = {}) {
  return make_source(full_source(dtype, shape, zero_element), View::identity(shape), chunks, "a");
}
Edge array(Type type) { return array(DType(type), {4}); }

std::string type_name(const Edge& edge) { return edge.dtype().name(); }
std::string shape_and_grid(const Edge& edge) {
  return to_string(edge.shape()) + " " + to_string(edge.grid());
}

template <class T>
T value_of(const std::array<std::byte, 16>& element) {
  T value;
  std::memcpy(&value, element.data(), sizeof value);
  return value;
}

const ReduceNode& reduction_of(const Edge& edge) { return std::get<ReduceNode>(edge.node->payload); }
const ElementwiseNode& call_of(const Edge& edge) { return std::get<ElementwiseNode>(edge.node->payload); }

Edge sum_of(const Edge& edge, std::vector<Index> axes, bool keepdims = false) {
  return reduce(make_reducer(Reduction::sum, edge.dtype().type()), edge, std::move(axes), keepdims);
}

const Scalar huge_integer = Scalar::of(std::numeric_limits<std::uint64_t>::max());

}  // namespace

TEST_CASE("operations on arrays promote their dtypes as NumPy 2 does", "[graph][build]") {
  struct Case {
    Op op;
    Type a, b;
    const char* result;
  };
  const Case table[] = {
      {Op::add, Type::int32, Type::float32, "float64"},
      {Op::add, Type::int16, Type::float32, "float32"},
      {Op::add, Type::int64, Type::uint64, "float64"},
      {Op::add, Type::bool_, Type::bool_, "bool"},
      {Op::add, Type::bool_, Type::uint8, "uint8"},
      {Op::multiply, Type::float64, Type::complex64, "complex128"},
      {Op::multiply, Type::float16, Type::complex64, "complex64"},
      {Op::subtract, Type::uint8, Type::int8, "int16"},
      {Op::divide, Type::int8, Type::int8, "float64"},
      {Op::divide, Type::float32, Type::int8, "float32"},
      {Op::floor_divide, Type::int8, Type::uint16, "int32"},
      {Op::atan2, Type::int8, Type::int8, "float16"},
      {Op::less, Type::int64, Type::uint64, "bool"},
      {Op::logical_and, Type::float32, Type::int8, "bool"},
      {Op::bitwise_or, Type::int8, Type::uint8, "int16"},
      {Op::maximum, Type::float16, Type::int16, "float32"},
  };
  for (const Case& c : table) {
    CAPTURE(name_of(c.op), name_of(c.a), name_of(c.b));
    CHECK(type_name(morsel::apply(c.op, {array(c.a), array(c.b)})) == c.result);
  }
}

TEST_CASE("a scalar's kind may raise the dtype, never its width", "[graph][build]") {
  const Scalar one = Scalar::of(std::int64_t{1}), half = Scalar::of(0.5), yes = Scalar::of(true),
               i = Scalar::of(std::complex<double>(0, 1));
  struct Case {
    Op op;
    Type type;
    Scalar scalar;
    const char* result;
  };
  const Case table[] = {
      {Op::add, Type::uint8, one, "uint8"},          {Op::add, Type::bool_, one, "int64"},
      {Op::add, Type::int8, half, "float64"},        {Op::add, Type::float16, half, "float16"},
      {Op::add, Type::float32, i, "complex64"},      {Op::add, Type::int32, i, "complex128"},
      {Op::add, Type::bool_, yes, "bool"},           {Op::add, Type::int16, yes, "int16"},
      {Op::multiply, Type::float32, one, "float32"}, {Op::divide, Type::uint8, one, "float64"},
      {Op::atan2, Type::int8, one, "float16"},       {Op::less, Type::int8, half, "bool"},
      {Op::pow, Type::int32, half, "float64"},       {Op::pow, Type::bool_, one, "int64"},
      {Op::remainder, Type::int16, half, "float64"},
  };
  for (const Case& c : table) {
    CAPTURE(name_of(c.op), name_of(c.type));
    CHECK(type_name(morsel::apply(c.op, {array(c.type), c.scalar})) == c.result);
    if (c.op != Op::pow) CHECK(type_name(morsel::apply(c.op, {c.scalar, array(c.type)})) == c.result);
  }
  // The condition takes no part; two scalars give their own default dtype.
  CHECK(type_name(morsel::apply(Op::where, {array(Type::float64), array(Type::int8), one})) == "int8");
  CHECK(type_name(morsel::apply(Op::where, {array(Type::bool_), one, one})) == "int64");
  CHECK(type_name(morsel::apply(Op::where, {array(Type::bool_), one, half})) == "float64");
  CHECK(type_name(morsel::apply(Op::where, {array(Type::bool_), yes, yes})) == "bool");
  CHECK(type_name(morsel::apply(Op::clip, {array(Type::uint8), one, one})) == "uint8");
  CHECK(type_name(morsel::apply(Op::clip, {array(Type::int32), array(Type::float32), one})) == "float64");
}

TEST_CASE("a scalar that the dtype cannot hold is refused", "[graph][build]") {
  struct Case {
    Type type;
    Scalar scalar;
    bool fits;
  };
  const double top = std::numeric_limits<float>::max();
  const Case table[] = {
      {Type::uint8, Scalar::of(std::int64_t{255}), true},
      {Type::uint8, Scalar::of(std::int64_t{256}), false},
      {Type::uint8, Scalar::of(std::int64_t{-1}), false},
      {Type::int8, Scalar::of(std::int64_t{-128}), true},
      {Type::int8, Scalar::of(std::int64_t{128}), false},
      {Type::int64, huge_integer, false},
      {Type::uint64, huge_integer, true},
      {Type::uint64, Scalar::of(std::int64_t{-1}), false},
      {Type::float32, huge_integer, true},
      {Type::float16, Scalar::of(std::int64_t{65504}), true},
      {Type::float16, Scalar::of(std::int64_t{65519}), true},
      {Type::float16, Scalar::of(std::int64_t{65520}), false},
      {Type::float16, Scalar::of(1e5), false},
      {Type::float32, Scalar::of(top), true},
      {Type::float32, Scalar::of(1e39), false},
      {Type::float32, Scalar::of(std::numeric_limits<double>::infinity()), true},
      {Type::float32, Scalar::of(std::numeric_limits<double>::quiet_NaN()), true},
      {Type::complex64, Scalar::of(std::complex<double>(0, 1e39)), false},
      {Type::complex64, Scalar::of(std::complex<double>(1, 2)), true},
      {Type::float64, Scalar::of(std::complex<double>(1, 2)), false},
      {Type::int32, Scalar::of(2.0), true},
      {Type::int32, Scalar::of(2.5), false},
      {Type::int32, Scalar::of(2147483648.0), false},
      {Type::int64, Scalar::of(9223372036854775808.0), false},
      {Type::uint64, Scalar::of(18446744073709551616.0), false},
      {Type::uint8, Scalar::of(std::numeric_limits<double>::quiet_NaN()), false},
      {Type::bool_, Scalar::of(std::int64_t{1}), true},
      {Type::bool_, Scalar::of(std::int64_t{2}), false},
  };
  for (const Case& c : table) {
    const std::string failure = failure_of([&] { element_of(c.scalar, c.type); });
    CAPTURE(name_of(c.type), failure);
    CHECK(failure.empty() == c.fits);
    if (!c.fits) CHECK(failure.rfind("overflow: ", 0) == 0);
  }
  const std::string failure = failure_of([] {
    morsel::apply(Op::add, {array(Type::uint8), Scalar::of(std::int64_t{300})});
  });
  CHECK(failure ==
        "overflow: add: converting a scalar to uint8: the dtype cannot hold it; expected a value of uint8, "
        "got 300");
}

TEST_CASE("elements of scalars are rounded once", "[graph][build]") {
  CHECK(value_of<float>(element_of(Scalar::of(0.1), Type::float32)) == 0.1f);
  // Halfway in float16 after a rounding to float, above it before.
  CHECK(value_of<float16>(element_of(Scalar::of(1.0 + 0x1p-11 + 0x1p-40), Type::float16)).bits == 0x3c01);
  CHECK(value_of<float16>(element_of(Scalar::of(1.0 + 0x1p-11), Type::float16)).bits == 0x3c00);
  CHECK(value_of<float>(element_of(Scalar::of((std::int64_t{1} << 53) + (std::int64_t{1} << 29) + 1),
                                   Type::float32)) == 0x1p53f + 0x1p30f);
  CHECK(value_of<double>(element_of(huge_integer, Type::float64)) == 0x1p64);
  CHECK(value_of<std::uint64_t>(element_of(huge_integer, Type::uint64)) ==
        std::numeric_limits<std::uint64_t>::max());
  CHECK(value_of<std::int8_t>(element_of(Scalar::of(std::int64_t{-7}), Type::int8)) == -7);
  CHECK(value_of<std::complex<float>>(element_of(Scalar::of(std::int64_t{3}), Type::complex64)) ==
        std::complex<float>(3, 0));
}

TEST_CASE("comparisons with a scalar out of range are decided without it", "[graph][build]") {
  // An integer dtype: a constant on the array's own grid. A float dtype: compared with infinity.
  const Edge bytes = array(DType(Type::uint8), {4, 6}, {3, 2});
  for (const Op op : {Op::less, Op::less_equal, Op::greater, Op::greater_equal, Op::equal, Op::not_equal}) {
    const Edge result = morsel::apply(op, {bytes, Scalar::of(std::int64_t{300})});
    CHECK(type_name(result) == "bool");
    CHECK(result.grid() == bytes.grid());
    CHECK(result.node->name == "constant");
  }
  const Edge halves = array(Type::float16);
  CHECK(morsel::apply(Op::less_equal, {halves, Scalar::of(1e6)}).node->name == "less");
  CHECK(morsel::apply(Op::greater, {halves, Scalar::of(1e6)}).node->name == "greater_equal");
  CHECK(morsel::apply(Op::less, {halves, Scalar::of(-1e6)}).node->name == "less_equal");
  CHECK(morsel::apply(Op::greater_equal, {halves, Scalar::of(-1e6)}).node->name == "greater");
  CHECK(morsel::apply(Op::greater, {Scalar::of(1e6), halves}).node->name == "less");
  CHECK(morsel::apply(Op::equal, {halves, Scalar::of(1e6)}).node->name == "constant");
}

TEST_CASE("literal powers become cheaper operations", "[graph][build]") {
  const Edge f = array(Type::float32), i = array(Type::int16);
  CHECK(morsel::apply(Op::pow, {f, Scalar::of(std::int64_t{2})}).node->name == "square");
  CHECK(morsel::apply(Op::pow, {f, Scalar::of(2.0)}).node->name == "square");
  CHECK(morsel::apply(Op::pow, {f, Scalar::of(0.5)}).node->name == "sqrt");
  CHECK(morsel::apply(Op::pow, {f, Scalar::of(-1.0)}).node->name == "reciprocal");
  CHECK(morsel::apply(Op::pow, {f, Scalar::of(1.0)}).node == f.node);
  CHECK(morsel::apply(Op::pow, {f, Scalar::of(std::int64_t{0})}).node->name == "constant");
  CHECK(morsel::apply(Op::pow, {f, Scalar::of(3.0)}).node->name == "pow");
  CHECK(morsel::apply(Op::pow, {i, Scalar::of(std::int64_t{2})}).node->name == "square");
  CHECK(type_name(morsel::apply(Op::pow, {i, Scalar::of(std::int64_t{2})})) == "int16");
  CHECK(type_name(morsel::apply(Op::pow, {i, Scalar::of(2.0)})) == "float64");
  CHECK(failure_of([&] {
          morsel::apply(Op::pow, {i, Scalar::of(std::int64_t{-1})});
        }) ==
        "invalid_argument: pow: negative power of integers; expected an exponent >= 0 or a floating-point "
        "base, got int16 "
        "to the power -1");
  CHECK(contains(failure_of([&] {
                   morsel::apply(Op::pow, {array(Type::uint8), Scalar::of(std::int64_t{-2})});
                 }),
                 "invalid_argument: pow: negative power"));
  CHECK(morsel::apply(Op::pow, {Scalar::of(std::int64_t{2}), f}).node->name == "pow");
}

TEST_CASE("an elementwise node has the grid of the first operand with the longest extent, axis by axis",
          "[graph][build]") {
  const DType f(Type::float32);
  struct Case {
    Edge a, b;
    const char* expected;
  };
  const Case table[] = {
      {array(f, {6, 4}, {4, 2}), array(f, {6, 4}, {3, 4}), "(6, 4) ((4, 2), (2, 2))"},
      {array(f, {1, 4}, {1, 2}), array(f, {6, 4}, {3, 4}), "(6, 4) ((3, 3), (2, 2))"},
      {array(f, {4}, {3}), array(f, {6, 1}, {4, 1}), "(6, 4) ((4, 2), (3, 1))"},
      {array(f, {}), array(f, {5}, {2}), "(5,) ((2, 2, 1),)"},
      {array(f, {1}), array(f, {0}), "(0,) ((),)"},
      {array(f, {1, 1}), array(f, {1}), "(1, 1) ((1,), (1,))"},
  };
  for (const Case& c : table) CHECK(shape_and_grid(morsel::apply(Op::add, {c.a, c.b})) == c.expected);
  const Edge product = morsel::apply(Op::multiply, {array(f, {6, 4}, {4, 2}), Scalar::of(2.0)});
  CHECK(shape_and_grid(product) == "(6, 4) ((4, 2), (2, 2))");
  for (const Edge& input : call_of(product).inputs) CHECK(input.shape() == product.shape());
  CHECK(
      failure_of([&] {
        morsel::apply(Op::add, {array(f, {3}), array(f, {4})});
      }) ==
      "shape_mismatch: add: broadcasting: shapes do not fit; expected equal extents or 1, got (3,) and (4,)");
}

TEST_CASE("what operations refuse says what they expected", "[graph][build]") {
  const DType record =
      DType::record({{"x", DType(Type::int32), 0, {}}, {"y", DType(Type::float32), 4, {}}}, 8);
  CHECK(contains(failure_of([&] {
                   morsel::apply(Op::add, {array(record, {2}), Scalar::of(1.0)});
                 }),
                 "dtype_mismatch: add: "));
  CHECK(contains(failure_of([&] { astype(array(record, {2}), Type::int8); }), "dtype_mismatch: astype: "));
  CHECK(contains(failure_of([&] { sum_of(array(DType::carried("S5", 5), {2}), {0}); }), "dtype_mismatch: "));
  CHECK(failure_of([&] {
          morsel::apply(Op::add, {Scalar::of(1.0), Scalar::of(1.0)});
        }) == "invalid_argument: add: no array among the operands; expected at least one, got scalars");
  CHECK(contains(failure_of([&] { morsel::apply(Op::add, {array(Type::int8)}); }), "expected 2, got 1"));
  CHECK(contains(failure_of([&] {
                   morsel::apply(Op::bitwise_and, {array(Type::float32), array(Type::int8)});
                 }),
                 "dtype_mismatch: bitwise_and"));
  CHECK(failure_of([&] { astype(array(Type::complex64), Type::float32); }) ==
        "dtype_mismatch: astype: float32 has no imaginary part; expected real(x), imag(x) or abs(x) first, "
        "got complex64");
}

TEST_CASE("a cast to the same dtype is the array itself", "[graph][build]") {
  const Edge a = array(Type::int16);
  CHECK(astype(a, Type::int16).node == a.node);
  CHECK(type_name(astype(a, Type::float16)) == "float16");
  CHECK(type_name(astype(array(Type::complex64), Type::bool_)) == "bool");
}

TEST_CASE("reductions drop or keep axes and carry the grid of the kept ones", "[graph][build]") {
  const Edge a = array(DType(Type::float32), {5, 6, 7}, {2, 3, 4});
  struct Case {
    std::vector<Index> axes;
    bool keepdims;
    const char* expected;
  };
  const Case table[] = {
      {{0, 1, 2}, false, "() ()"},
      {{0, 1, 2}, true, "(1, 1, 1) ((1,), (1,), (1,))"},
      {{1}, false, "(5, 7) ((2, 2, 1), (4, 3))"},
      {{-1}, true, "(5, 6, 1) ((2, 2, 1), (3, 3), (1,))"},
      {{2, 0}, false, "(6,) ((3, 3),)"},
      {{}, false, "(5, 6, 7) ((2, 2, 1), (3, 3), (4, 3))"},
  };
  for (const Case& c : table) CHECK(shape_and_grid(sum_of(a, c.axes, c.keepdims)) == c.expected);
  CHECK(reduction_of(sum_of(a, {2, 0})).axes == std::vector<int>{0, 2});
  CHECK(reduction_of(sum_of(a, {1})).leaves == a.grid());
  CHECK(failure_of([&] {
          sum_of(a, {1, -2});
        }) == "invalid_argument: sum: an axis is named twice; expected each axis once, got axis 1 twice");
  CHECK(contains(failure_of([&] { sum_of(a, {3}); }),
                 "out_of_range: sum: axis out of range; expected -3 to 2, got 3"));
  CHECK(all_axes(3) == std::vector<Index>{0, 1, 2});
}

TEST_CASE("a reduction of nothing is refused only where it has no value", "[graph][build]") {
  const auto least = [](const Shape& shape, std::vector<Index> axes) {
    return [=] {
      const Edge a = array(DType(Type::float32), shape);
      reduce(make_reducer(Reduction::min, Type::float32), a, axes, false);
    };
  };
  CHECK(failure_of(least({0}, {0})) ==
        "invalid_argument: min: nothing to reduce; expected at least one element along the reduced axes, got "
        "shape (0,)");
  CHECK(contains(failure_of(least({3, 0}, {1})), "nothing to reduce"));
  CHECK(failure_of(least({0, 3}, {1})).empty());  // no element of the result lacks a value
  CHECK(failure_of(least({0, 3}, {})).empty());
  CHECK(failure_of([] { sum_of(array(DType(Type::float32), {0}), {0}); }).empty());
}

TEST_CASE("the order of summation follows from axes and shape alone", "[graph][build]") {
  struct Case {
    Shape shape;
    std::vector<Index> axes;
    bool trailing;
    int run_begin;
  };
  const Case table[] = {
      {{4, 5, 6}, {0, 1, 2}, true, 0}, {{4, 5, 6}, {2}, true, 2},    {{4, 5, 6}, {0, 2}, true, 2},
      {{4, 5, 6}, {1, 2}, true, 1},    {{4, 5, 6}, {0}, false, 3},   {{4, 5, 6}, {0, 1}, false, 3},
      {{4, 5, 1}, {1}, true, 1},       {{4, 1, 6}, {0, 2}, true, 0}, {{1, 1}, {0}, true, 0},
      {{4, 1}, {1}, false, 2},
  };
  for (const Case& c : table) {
    const ReduceNode node = reduction_of(sum_of(array(DType(Type::float64), c.shape), c.axes));
    CAPTURE(to_string(c.shape), c.axes);
    CHECK(node.trailing == c.trailing);
    CHECK(node.run_begin == c.run_begin);
  }
}

TEST_CASE("per_chunk has one element per chunk along reduced axes", "[graph][build]") {
  const Edge a = array(DType(Type::int32), {5, 6}, {2, 3});
  CHECK(shape_and_grid(per_chunk(sum_of(a, {0, 1}))) == "(3, 2) ((1, 1, 1), (1, 1))");
  CHECK(shape_and_grid(per_chunk(sum_of(a, {0}))) == "(3, 6) ((1, 1, 1), (3, 3))");
  CHECK(shape_and_grid(per_chunk(sum_of(a, {0}, true))) == "(3, 6) ((1, 1, 1), (3, 3))");
  CHECK(type_name(per_chunk(sum_of(a, {0}))) == "int64");
  CHECK(contains(failure_of([&] { per_chunk(a); }), "invalid_argument: per_chunk: not a reduction"));
  CHECK(contains(failure_of([&] { per_chunk(slice(sum_of(a, {0}), parse_slice("::2"))); }),
                 "got a view of sum"));
}

TEST_CASE("a histogram adds an axis of bins", "[graph][build]") {
  const Edge a = array(DType(Type::float32), {5, 6}, {2, 3});
  ReductionOptions options;
  options.bins = 8;
  options.hi = 1;
  const auto histogram = make_reducer(Reduction::histogram, Type::float32, options);
  CHECK(shape_and_grid(reduce(histogram, a, {0, 1}, false)) == "(8,) ((8,),)");
  CHECK(shape_and_grid(reduce(histogram, a, {1}, false)) == "(5, 8) ((2, 2, 1), (8,))");
  CHECK(shape_and_grid(per_chunk(reduce(histogram, a, {0, 1}, false))) ==
        "(3, 2, 8) ((1, 1, 1), (1, 1), (8,))");

  const Edge ranged = histogram_over_data_range(a, 8);
  CHECK(shape_and_grid(ranged) == "(8,) ((8,),)");
  CHECK(type_name(ranged) == "int64");
  const ReduceNode& node = reduction_of(ranged);
  REQUIRE(node.parameters.size() == 2);
  for (const Edge& parameter : node.parameters)
    CHECK(type_name(parameter) + to_string(parameter.shape()) == "float64()");
  CHECK(node.bind({0, 4})->result_shape() == Shape{8});
  CHECK(node.bind({2, 2})->name() == make_reducer(Reduction::histogram, Type::float32,
                                                  [] {
                                                    ReductionOptions wide;
                                                    wide.bins = 8, wide.lo = 1.5, wide.hi = 2.5;
                                                    return wide;
                                                  }())
                                         ->name());
  CHECK(contains(failure_of([&] {
                   node.bind({std::numeric_limits<double>::quiet_NaN(), 1});
                 }),
                 "invalid_argument: histogram: the data's own range is not finite"));
  CHECK(reduction_of(histogram_over_data_range(array(DType(Type::float32), {0}), 3)).parameters.empty());
}

TEST_CASE("raw states are bytes, one state per output element", "[graph][build]") {
  const Edge reduced = sum_of(array(DType(Type::float32), {5, 6}, {2, 3}), {0});
  const Edge raw = raw_states(reduced);
  const std::size_t bytes = reduction_of(reduced).reducer->state_bytes();
  CHECK(type_name(raw) == "V" + std::to_string(bytes));
  CHECK(raw.dtype().item_bytes() == bytes);
  CHECK(shape_and_grid(raw) == "(6,) ((3, 3),)");
  CHECK(contains(failure_of([&] { raw_states(histogram_over_data_range(array(Type::float32), 4)); }),
                 "unsupported: partial: the range of"));
}

TEST_CASE("rechunk keeps values and replaces the grid", "[graph][build]") {
  const Edge a = array(DType(Type::int32), {6, 4}, {4, 2});
  CHECK(shape_and_grid(rechunk(a, {2, -1})) == "(6, 4) ((2, 2, 2), (4,))");
  CHECK(rechunk(a, {4, 2}).node == a.node);
  CHECK(rechunk(a, {}).node == a.node);
  CHECK(shape_and_grid(rechunk(array(DType::carried("S5", 5), {6}, {4}), 3)) == "(6,) ((3, 3),)");
  CHECK(contains(failure_of([&] { rechunk(a, {2}); }), "expected 2, got 1"));
}

TEST_CASE("concat joins grids and promotes dtypes", "[graph][build]") {
  const DType i(Type::int32), l(Type::int64), u(Type::uint64), s = DType::carried("S5", 5);
  const Edge joined = concat({array(i, {4, 3}, {2, 3}), array(l, {5, 3}, {2, 1})}, 0);
  CHECK(shape_and_grid(joined) == "(9, 3) ((2, 2, 2, 2, 1), (3,))");
  CHECK(joined.grid().axis(0).is_regular());
  CHECK(type_name(joined) == "int64");
  CHECK(shape_and_grid(concat({array(i, {3, 2}), array(i, {4, 2}, {3, 2})}, 0)) ==
        "(7, 2) ((3, 3, 1), (2,))");
  CHECK(shape_and_grid(concat({array(i, {3}, {2}), array(i, {0}), array(i, {3}, {2})}, -1)) ==
        "(6,) ((2, 1, 2, 1),)");
  CHECK(type_name(concat({array(l, {1}), array(u, {1})}, 0)) == "float64");
  CHECK(type_name(concat({array(s, {1}), array(s, {2})}, 0)) == "S5");
  CHECK(concat({joined}, 0).node == joined.node);
  CHECK(contains(failure_of([&] {
                   concat({array(s, {1}), array(i, {2})}, 0);
                 }),
                 "dtype_mismatch: concat: array 1"));
  CHECK(failure_of([&] {
          concat({array(i, {2, 3}), array(i, {2, 4})}, 0);
        }) ==
        "shape_mismatch: concat: array 1 does not fit; expected the extents of (2, 3) except along axis 0, "
        "got (2, 4)");
  CHECK(contains(failure_of([&] { concat({array(i, {}), array(i, {})}, 0); }), "0-d"));
  CHECK(contains(failure_of([&] { concat(std::vector<Edge>{}, 0); }), "no arrays"));
  CHECK(contains(failure_of([&] { concat({joined}, 2); }), "out_of_range: concat"));
  CHECK(shape_and_grid(stack({array(i, {4}, {3}), array(i, {4})}, -1)) == "(4, 2) ((3, 1), (1, 1))");
  CHECK(shape_and_grid(stack({array(i, {}), array(i, {})}, 0)) == "(2,) ((1, 1),)");
  CHECK(contains(failure_of([&] {
                   stack({array(i, {4}), array(i, {3})}, 0);
                 }),
                 "shape_mismatch: stack: array 1 has another shape; expected (4,), got (3,)"));
}

TEST_CASE("views make no node", "[graph][build]") {
  const Edge a = array(DType(Type::int32), {4, 6, 8}, {2, 3, 8});
  struct Case {
    Edge edge;
    const char* expected;
  };
  const Case table[] = {
      {slice(a, parse_slice("1, ::-2, None, 3:")), "(3, 1, 5) ((2, 1), (1,), (5,))"},
      {permute_dims(a, {2, 0, 1}), "(8, 4, 6) ((8,), (2, 2), (3, 3))"},
      {moveaxis(a, {0}, {-1}), "(6, 8, 4) ((3, 3), (8,), (2, 2))"},
      {moveaxis(a, {2, 0}, {0, 1}), "(8, 4, 6) ((8,), (2, 2), (3, 3))"},
      {moveaxis(a, {-1}, {0}), "(8, 4, 6) ((8,), (2, 2), (3, 3))"},
      {expand_dims(a, -1), "(4, 6, 8, 1) ((2, 2), (3, 3), (8,), (1,))"},
      {squeeze(slice(a, parse_slice("1:2")), {0}), "(6, 8) ((3, 3), (8,))"},
      {flip(a, {0, 1}), "(4, 6, 8) ((2, 2), (3, 3), (8,))"},
      {broadcast_to(slice(a, parse_slice("0, 0, 0")), {2, 2}), "(2, 2) ((2,), (2,))"},
      {take(a, {5, 0, -1}, 1), "(4, 3, 8) ((2, 2), (3,), (8,))"},
  };
  for (const Case& c : table) {
    CHECK(c.edge.node == a.node);
    CHECK(shape_and_grid(c.edge) == c.expected);
  }
  CHECK(contains(failure_of([&] {
                   moveaxis(a, {0, 1}, {0});
                 }),
                 "invalid_argument: moveaxis: lists of different length"));
  CHECK(contains(failure_of([&] { moveaxis(a, {0, 0}, {0, 1}); }), "named twice"));
}

TEST_CASE("chunks are asked for in the axes that the view shows", "[graph][build]") {
  const Shape stored{6, 4};
  const View transposed = permute_view(stored, {1, 0});
  const auto source = [&] { return full_source(DType(Type::int16), stored, zero_element); };
  CHECK(shape_and_grid(make_source(source(), transposed, {3, 5}, "a")) == "(4, 6) ((3, 1), (5, 1))");
  CHECK(shape_and_grid(make_source(source(), transposed, 2, "a")) == "(4, 6) ((2, 2), (2, 2, 2))");
  CHECK(shape_and_grid(make_source(source(), slice_view(stored, parse_slice("1:, 2")), {2}, "a")) ==
        "(5,) ((2, 2, 1),)");
  CHECK(make_source(source(), transposed, {}, "").node->name == source().spec().format);
  CHECK(contains(failure_of([&] { make_source(source(), transposed, {3}, "a"); }), "expected 2, got 1"));
}

TEST_CASE("equal calls have equal hashes, different ones have different", "[graph][build]") {
  const auto source = full_source(DType(Type::float32), {4, 4}, zero_element);
  const auto made = [&](const ChunkSpec& chunks) {
    return make_source(source, View::identity({4, 4}), chunks, "a");
  };
  const Edge a = made({2, 2});
  const auto plus = [](const Edge& e, double x) { return morsel::apply(Op::add, {e, Scalar::of(x)}); };
  CHECK(a.node->hash == made({2, 2}).node->hash);
  CHECK(plus(a, 1).node->hash == plus(a, 1).node->hash);
  CHECK(sum_of(a, {0}).node->hash == sum_of(a, {-2}).node->hash);
  const std::vector<Edge> different = {
      a,
      plus(a, 1),
      plus(a, 2),
      morsel::apply(Op::multiply, {a, Scalar::of(1.0)}),
      plus(flip(a, {0}), 1),
      astype(a, Type::float64),
      sum_of(a, {0}),
      sum_of(a, {1}),
      sum_of(a, {0}, true),
      sum_of(made({4, 2}), {0}),
      reduce(make_reducer(Reduction::mean, Type::float32), a, {0}, false),
      per_chunk(sum_of(a, {0})),
      raw_states(sum_of(a, {0})),
      concat({a, a}, 0),
      concat({a, a}, 1),
  };
  for (std::size_t i = 0; i < different.size(); ++i)
    for (std::size_t k = 0; k < i; ++k) {
      CAPTURE(i, k);
      CHECK(different[i].node->hash != different[k].node->hash);
    }
  const auto call = [&] {
    MapChunksNode node;
    node.inputs = {a};
    node.function = [](const ChunkInfo&, const std::vector<BufferView>&, const BufferView&) {};
    return map_chunks("f", node, DType(Type::float32));
  };
  const Edge one = call(), two = call();
  CHECK(one.node->hash != two.node->hash);
  CHECK(to_string(Hash{1, 0xabcdef}) == "00000000000000010000000000abcdef");
}

TEST_CASE("inputs of a node are in order, parameters last", "[graph][build]") {
  const Edge a = array(DType(Type::float32), {4}, {2}), b = array(DType(Type::float32), {4}, {1});
  const auto nodes = [](const Edge& edge) {
    std::vector<const Node*> list;
    for (const Edge& input : inputs_of(*edge.node)) list.push_back(input.node.get());
    return list;
  };
  CHECK(nodes(a).empty());
  CHECK(nodes(morsel::apply(Op::subtract, {b, a})) == std::vector<const Node*>{b.node.get(), a.node.get()});
  CHECK(nodes(concat({a, b}, 0)) == std::vector<const Node*>{a.node.get(), b.node.get()});
  CHECK(nodes(rechunk(a, 4)) == std::vector<const Node*>{a.node.get()});
  CHECK(nodes(histogram_over_data_range(a, 3)).size() == 3);
  CHECK(nodes(histogram_over_data_range(a, 3))[0] == a.node.get());
}

TEST_CASE("map_elements and map_chunks check what they are given", "[graph][build]") {
  auto kernel = std::make_shared<UserKernel>();
  kernel->name = "f";
  kernel->in = {Type::float32};
  kernel->result = Type::int8;
  const Edge a = array(DType(Type::float32), {4}, {3});
  const Edge mapped = map_elements(kernel, {a});
  CHECK(type_name(mapped) == "int8");
  CHECK(shape_and_grid(mapped) == "(4,) ((3, 1),)");
  CHECK(contains(failure_of([&] { map_elements(kernel, {array(Type::float64)}); }),
                 "dtype_mismatch: f: array 0 has another dtype; expected float32, got float64"));
  CHECK(contains(failure_of([&] {
                   map_elements(kernel, {a, a});
                 }),
                 "invalid_argument: f: wrong number of arrays"));
  CHECK(contains(failure_of([&] { map_chunks("", {}, DType(Type::int8)); }),
                 "invalid_argument: map_chunks: no arrays"));
}
