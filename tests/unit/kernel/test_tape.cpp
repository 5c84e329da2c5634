#include <catch2/catch.hpp>
#include <support/seed.hpp>

#include "elements.hpp"

using namespace morsel;

namespace {

template <class T>
test::Elements elements(const std::vector<T>& values) {
  test::Elements e(type_of<T>, values.size());
  for (std::size_t i = 0; i < values.size(); ++i) e.set<T>(i, values[i]);
  return e;
}

template <class T>
std::vector<T> values(const test::Elements& e) {
  REQUIRE(e.type == type_of<T>);
  std::vector<T> v;
  for (std::size_t i = 0; i < e.size(); ++i) v.push_back(e.get<T>(i));
  return v;
}

template <class T>
int constant(Tape& tape, T value) {
  return tape.constant(type_of<T>, &value);
}

// Exact integer arithmetic in 128 bits, wrapped to T: an independent statement of what the operations mean.
using Wide = __int128;
template <class T>
T wrap(Wide x) {
  return static_cast<T>(static_cast<std::uint64_t>(x));
}
Wide floor_div(Wide a, Wide b) {
  if (b == 0) return 0;
  const Wide q = a / b;
  return q - (a % b != 0 && (a < 0) != (b < 0));
}
template <class T>
T expected_integer(Op op, T a, T b) {
  const Wide x = static_cast<Wide>(a), y = static_cast<Wide>(b);
  constexpr int width = 8 * sizeof(T);
  switch (op) {
    case Op::add:
      return wrap<T>(x + y);
    case Op::subtract:
      return wrap<T>(x - y);
    case Op::multiply:
      return static_cast<T>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
    case Op::floor_divide:
      return wrap<T>(floor_div(x, y));
    case Op::remainder:
      return y == 0 ? T(0) : wrap<T>(x - floor_div(x, y) * y);
    case Op::maximum:
      return a > b ? a : b;
    case Op::minimum:
      return a < b ? a : b;
    case Op::bitwise_and:
      return static_cast<T>(a & b);
    case Op::bitwise_or:
      return static_cast<T>(a | b);
    case Op::bitwise_xor:
      return static_cast<T>(a ^ b);
    case Op::bitwise_left_shift:
      return y < 0 || y >= width ? T(0) : wrap<T>(x * (Wide{1} << y));
    case Op::bitwise_right_shift:
      return y < 0 || y >= width ? static_cast<T>(x < 0 ? -1 : 0) : wrap<T>(floor_div(x, Wide{1} << y));
    case Op::pow: {
      std::uint64_t result = 1, factor = static_cast<std::uint64_t>(a);
      for (Wide e = y; e > 0; e /= 2, factor *= factor)
        if (e % 2) result *= factor;
      return static_cast<T>(result);
    }
    default:
      FAIL("no reference");
      return T(0);
  }
}
template <class T>
T expected_integer(Op op, T a) {
  const Wide x = static_cast<Wide>(a);
  switch (op) {
    case Op::negative:
      return wrap<T>(-x);
    case Op::abs:
      return wrap<T>(x < 0 ? -x : x);
    case Op::square:
      return expected_integer(Op::multiply, a, a);
    case Op::sign:
      return static_cast<T>((x > 0) - (x < 0));
    case Op::reciprocal:
      return x == 0 ? T(0) : wrap<T>(1 / x);
    case Op::bitwise_invert:
      return wrap<T>(-x - 1);
    case Op::floor:
    case Op::ceil:
    case Op::trunc:
    case Op::round:
    case Op::positive:
    case Op::conj:
    case Op::real:
      return a;
    case Op::imag:
      return T(0);
    default:
      FAIL("no reference");
      return T(0);
  }
}

// Builds the same random expression on every call with the same seed.
std::vector<int> random_tape(Tape& tape, std::uint64_t seed, const std::vector<Type>& inputs) {
  std::mt19937_64 random(seed);
  std::vector<int> steps;
  for (std::size_t i = 0; i < inputs.size(); ++i) steps.push_back(tape.input(static_cast<int>(i), inputs[i]));
  steps.push_back(constant(tape, 0.75f));
  steps.push_back(constant(tape, -3.0));
  const Op ops[] = {Op::add,     Op::subtract, Op::multiply,   Op::multiply,  Op::add,
                    Op::divide,  Op::square,   Op::where,      Op::where,     Op::less,
                    Op::greater, Op::equal,    Op::sqrt,       Op::maximum,   Op::minimum,
                    Op::abs,     Op::negative, Op::less_equal, Op::not_equal, Op::greater_equal};
  const int count = 3 + static_cast<int>(random() % 25);
  for (int k = 0; k < count; ++k) {
    const Op op = ops[random() % std::size(ops)];
    std::vector<int> args;
    // Mostly recent steps, so that values are used once and pairs of operations meet.
    for (int a = 0; a < arity_of(op); ++a)
      args.push_back(
          steps[steps.size() - 1 - random() % std::min<std::size_t>(steps.size(), random() % 2 ? 3 : 12)]);
    if (random() % 7 == 0) args[0] = tape.cast(args[0], random() % 2 ? Type::float32 : Type::float64);
    try {
      steps.push_back(tape.apply(op, args));
    } catch (const Error& e) {
      CHECK(e.code() == Errc::dtype_mismatch);
    }
  }
  std::vector<int> outputs;
  for (int k = 0, n = 1 + static_cast<int>(random() % 3); k < n; ++k)
    outputs.push_back(steps[steps.size() - 1 - random() % std::min<std::size_t>(steps.size(), 5)]);
  return outputs;
}

}  // namespace

TEST_CASE("integer operations wrap, floor and never trap", "[kernel]") {
  const test::LevelGuard guard;
  std::mt19937_64 random(test::first_seed());
  const Op binary[] = {Op::add,          Op::subtract,           Op::multiply,
                       Op::floor_divide, Op::remainder,          Op::maximum,
                       Op::minimum,      Op::bitwise_and,        Op::bitwise_or,
                       Op::bitwise_xor,  Op::bitwise_left_shift, Op::bitwise_right_shift,
                       Op::pow};
  const Op unary[] = {Op::negative,       Op::abs,   Op::square, Op::sign,  Op::reciprocal,
                      Op::bitwise_invert, Op::floor, Op::ceil,   Op::trunc, Op::round,
                      Op::positive,       Op::conj,  Op::real,   Op::imag};
  for (const SimdLevel level : test::simd_levels()) {
    set_simd_level(level);
    for (const Type t : test::numeric_types()) {
      if (!is_integer(t)) continue;
      visit_type(t, [&]<class T>() {
        if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
          const test::Elements a = test::random_elements(t, 2000, random);
          for (const Op op : binary) {
            test::Elements b = test::random_elements(t, 2000, random);
            if (op == Op::pow)
              for (std::size_t i = 0; i < b.size(); ++i)
                if (b.get<T>(i) < T(0)) b.set<T>(i, T(5));
            const test::Elements got = test::apply(op, {a, b});
            for (std::size_t i = 0; i < a.size(); ++i)
              if (got.get<T>(i) != expected_integer(op, a.get<T>(i), b.get<T>(i)))
                FAIL_CHECK(name_of(level)
                           << " " << name_of(op) << " " << name_of(t) << " " << test::text(a, i) << " "
                           << test::text(b, i) << " gives " << test::text(got, i));
          }
          for (const Op op : unary) {
            const test::Elements got = test::apply(op, {a});
            for (std::size_t i = 0; i < a.size(); ++i)
              if (got.get<T>(i) != expected_integer(op, a.get<T>(i)))
                FAIL_CHECK(name_of(level)
                           << " " << name_of(op) << " " << name_of(t) << " " << test::text(a, i));
          }
        }
      });
      SUCCEED();
    }
  }
}

TEST_CASE("arithmetic of floats is rounded once, float16 after each operation", "[kernel]") {
  const test::LevelGuard guard;
  std::mt19937_64 random(test::first_seed());
  for (const SimdLevel level : test::simd_levels()) {
    set_simd_level(level);
    const test::Elements a = test::random_elements(Type::float32, 4000, random),
                         b = test::random_elements(Type::float32, 4000, random),
                         h = test::random_elements(Type::float16, 4000, random),
                         k = test::random_elements(Type::float16, 4000, random);
    for (const Op op : {Op::add, Op::subtract, Op::multiply, Op::divide}) {
      const test::Elements got = test::apply(op, {a, b}), half = test::apply(op, {h, k});
      int wrong = 0;
      for (std::size_t i = 0; i < a.size(); ++i) {
        // A double holds sums, products and quotients of floats well enough for one correct rounding.
        const auto exact = [&](double x, double y) {
          return op == Op::add ? x + y : op == Op::subtract ? x - y : op == Op::multiply ? x * y : x / y;
        };
        const float want = static_cast<float>(exact(a.get<float>(i), b.get<float>(i)));
        const float x = h.get<float16>(i), y = k.get<float16>(i);
        const float16 want_half = static_cast<float>(exact(static_cast<double>(x), static_cast<double>(y)));
        wrong += !(got.get<float>(i) == want || (std::isnan(want) && std::isnan(got.get<float>(i))));
        wrong += !(half.get<float16>(i).bits == want_half.bits ||
                   (std::isnan(float(want_half)) && std::isnan(float(half.get<float16>(i)))));
      }
      INFO(name_of(level) << " " << name_of(op));
      CHECK(wrong == 0);
    }
    // Each of two operations on float16 is rounded: 2048 + 1 + 1 stays 2048.
    Tape tape;
    const int x = tape.input(0, Type::float16), one = constant(tape, float16(1.0f));
    const int sum = tape.apply(Op::add, {tape.apply(Op::add, {x, one}), one});
    const test::Elements big = elements<float16>({float16(2048.0f)});
    CHECK(float(test::run_program(TileProgram(tape, {sum}), {big}, 1)[0].get<float16>(0)) == 2048.0f);
  }
}

TEST_CASE("rounding functions give what the C library gives", "[kernel]") {
  const test::LevelGuard guard;
  std::mt19937_64 random(test::first_seed());
  for (const SimdLevel level : test::simd_levels()) {
    set_simd_level(level);
    test::Elements x = test::random_elements(Type::float64, 4000, random);
    for (int i = 0; i < 200; ++i) x.set<double>(static_cast<std::size_t>(i), (i - 100) * 0.25);
    for (int i = 0; i < 20; ++i)
      x.set<double>(static_cast<std::size_t>(200 + i), std::ldexp(1.0, 45 + i) + 0.5);
    test::Elements y(Type::float32, x.size());
    for (std::size_t i = 0; i < x.size(); ++i) y.set(i, static_cast<float>(x.get<double>(i)));
    struct Row {
      Op op;
      double (*of_double)(double);
      float (*of_float)(float);
    };
    const Row rows[] = {{Op::floor, std::floor, std::floor},
                        {Op::ceil, std::ceil, std::ceil},
                        {Op::trunc, std::trunc, std::trunc},
                        {Op::round, std::nearbyint, std::nearbyint}};
    for (const Row& row : rows) {
      test::Elements want(Type::float64, x.size()), want_float(Type::float32, x.size());
      for (std::size_t i = 0; i < x.size(); ++i) {
        want.set(i, row.of_double(x.get<double>(i)));
        want_float.set(i, row.of_float(y.get<float>(i)));
      }
      INFO(name_of(level) << " " << name_of(row.op));
      CHECK(test::same_bits(test::apply(row.op, {x}), want));
      CHECK(test::same_bits(test::apply(row.op, {y}), want_float));
    }
  }
}

TEST_CASE("comparisons of int64 with uint64 are exact", "[kernel]") {
  const std::int64_t min = std::numeric_limits<std::int64_t>::min(),
                     max = std::numeric_limits<std::int64_t>::max();
  const test::Elements a = elements<std::int64_t>({-1, max, max, 0, min, 5});
  const test::Elements b =
      elements<std::uint64_t>({std::numeric_limits<std::uint64_t>::max(), std::uint64_t{1} << 63,
                               static_cast<std::uint64_t>(max), 0, 0, 4});
  const std::vector<bool> less{true, true, false, false, true, false},
      equal{false, false, true, true, false, false};
  CHECK(values<bool>(test::apply(Op::less, {a, b})) == less);
  CHECK(values<bool>(test::apply(Op::greater, {b, a})) == less);
  CHECK(values<bool>(test::apply(Op::equal, {a, b})) == equal);
  CHECK(values<bool>(test::apply(Op::equal, {b, a})) == equal);
  CHECK(values<bool>(test::apply(Op::not_equal, {a, b})) ==
        std::vector<bool>{true, true, false, false, true, true});
  CHECK(values<bool>(test::apply(Op::less_equal, {a, b})) ==
        std::vector<bool>{true, true, true, true, true, false});
  CHECK(values<bool>(test::apply(Op::greater_equal, {a, b})) ==
        std::vector<bool>{false, false, true, true, false, true});
}

TEST_CASE("a negative integer exponent is refused", "[kernel]") {
  const test::Elements a = elements<std::int32_t>({2, 3}), b = elements<std::int32_t>({3, -1});
  CHECK_THROWS_WITH(test::apply(Op::pow, {a, b}), "pow: negative integer exponent; expected >= 0, got -1");
  Tape tape;
  const int x = tape.input(0, Type::int32);
  CHECK_THROWS_WITH(tape.power(x, -1), Catch::Contains("expected an integer >= 0"));
  CHECK_THROWS_AS(tape.power(x, 0.5), Error);
}

TEST_CASE("where and clip copy the bits they choose", "[kernel]") {
  const test::LevelGuard guard;
  for (const SimdLevel level : test::simd_levels()) {
    set_simd_level(level);
    test::Elements a(Type::float32, 100), b(Type::float32, 100), c(Type::bool_, 100);
    for (std::uint32_t i = 0; i < 100; ++i) {
      a.set<std::uint32_t>(i, 0x7f800001u + i);  // signalling NaN
      b.set<std::uint32_t>(i, 0xff812345u + i);
      c.set<bool>(i, i % 3 == 0);
    }
    const test::Elements got = test::apply(Op::where, {c, a, b});
    for (std::uint32_t i = 0; i < 100; ++i)
      CHECK(got.get<std::uint32_t>(i) == (i % 3 == 0 ? 0x7f800001u : 0xff812345u) + i);
  }
  const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  const test::Elements x = elements<float>({-5, 0.5f, 7, nan, -inf, 1}),
                       low = elements<float>({0, 0, 0, 0, 0, nan}),
                       high = elements<float>({1, 1, 1, 1, 1, 2});
  const std::vector<float> clipped = values<float>(test::apply(Op::clip, {x, low, high}));
  CHECK(std::vector<float>(clipped.begin(), clipped.begin() + 3) == std::vector<float>{0, 0.5f, 1});
  CHECK(std::isnan(clipped[3]));
  CHECK(clipped[4] == 0);
  CHECK(std::isnan(clipped[5]));
}

TEST_CASE("equal steps are entered once, and identities not at all", "[kernel]") {
  Tape tape;
  const int a = tape.input(0, Type::float32), b = tape.input(1, Type::float32);
  CHECK(tape.input(0, Type::float32) == a);
  CHECK(tape.apply(Op::add, {a, b}) == tape.apply(Op::add, {a, b}));
  CHECK(tape.apply(Op::add, {a, b}) != tape.apply(Op::add, {b, a}));
  CHECK(constant(tape, 1.0f) == constant(tape, 1.0f));
  CHECK(constant(tape, 0.0f) != constant(tape, -0.0f));
  CHECK(tape.apply(Op::positive, {a}) == a);
  CHECK(tape.apply(Op::real, {a}) == a);
  CHECK(tape.cast(a, Type::float32) == a);
  CHECK(tape.cast(a, Type::float64) == tape.cast(a, Type::float64));
  // A constant is converted when it is entered.
  const int wide = tape.cast(constant(tape, std::int8_t{-3}), Type::float64);
  CHECK(tape.steps()[static_cast<std::size_t>(wide)].kind == TapeStep::Kind::constant);
  CHECK(wide == constant(tape, -3.0));
  CHECK_THROWS_AS(tape.input(0, Type::int8), Error);
  CHECK_THROWS_AS(tape.input(2, Type::carried), Error);
}

TEST_CASE("powers with special exponents are other operations", "[kernel]") {
  Tape tape;
  const int x = tape.input(0, Type::float64), n = tape.input(1, Type::int32);
  CHECK(tape.power(x, 1) == x);
  CHECK(tape.power(x, 2) == tape.apply(Op::square, {x}));
  CHECK(tape.power(x, 0.5) == tape.apply(Op::sqrt, {x}));
  CHECK(tape.power(x, -1) == tape.apply(Op::reciprocal, {x}));
  CHECK(tape.power(x, 0) == constant(tape, 1.0));
  CHECK(tape.power(x, 3) == tape.apply(Op::pow, {x, constant(tape, 3.0)}));
  CHECK(tape.power(n, 2) == tape.apply(Op::square, {n}));
  CHECK(tape.power(n, 0) == constant(tape, std::int32_t{1}));
  CHECK(tape.power(n, 5) == tape.apply(Op::pow, {n, constant(tape, std::int32_t{5})}));
}

TEST_CASE("steps that no output needs cost nothing, and their inputs are not read", "[kernel]") {
  Tape tape;
  const int a = tape.input(0, Type::float32), b = tape.input(1, Type::float32);
  const int sum = tape.apply(Op::add, {a, a});
  tape.apply(Op::exp, {b});
  const TileProgram program(tape, {sum});
  CHECK(program.instruction_count() == 1);
  CHECK(program.uses_input(0));
  CHECK(!program.uses_input(1));
  CHECK(program.workspace_bytes() == 0);
  CHECK(program.to_string() == "out0 = add(in0, in0)\n");
  const test::Elements x = elements<float>({1, 2});
  std::vector<const void*> in{x.bytes.data(), nullptr};
  float result[2];
  void* out[] = {result};
  program.run(2, in.data(), out, nullptr);
  CHECK(result[1] == 4);
}

TEST_CASE("pairs of operations become one instruction", "[kernel]") {
  struct Row {
    const char* text;
    int (*build)(Tape&, int, int, int);
  };
  const Row rows[] = {
      {"out0 = multiply_add(in0, in1, in2)\n",
       [](Tape& t, int a, int b, int c) {
         return t.apply(Op::add, {t.apply(Op::multiply, {a, b}), c});
       }},
      {"out0 = multiply_add(in0, in1, in2)\n",
       [](Tape& t, int a, int b, int c) {
         return t.apply(Op::add, {c, t.apply(Op::multiply, {a, b})});
       }},
      {"out0 = multiply_subtract(in0, in1, in2)\n",
       [](Tape& t, int a, int b, int c) {
         return t.apply(Op::subtract, {t.apply(Op::multiply, {a, b}), c});
       }},
      {"out0 = subtract_multiplied(in2, in0, in1)\n",
       [](Tape& t, int a, int b, int c) {
         return t.apply(Op::subtract, {c, t.apply(Op::multiply, {a, b})});
       }},
      {"out0 = multiply_both_add(in0, in1, in2, in2)\n",
       [](Tape& t, int a, int b, int c) {
         return t.apply(Op::add, {t.apply(Op::multiply, {a, b}), t.apply(Op::square, {c})});
       }},
      {"out0 = subtract_square(in0, in1)\n",
       [](Tape& t, int a, int b, int) {
         return t.apply(Op::square, {t.apply(Op::subtract, {a, b})});
       }},
      {"out0 = subtract_square(in0, in1)\n",
       [](Tape& t, int a, int b, int) {
         const int d = t.apply(Op::subtract, {a, b});
         return t.apply(Op::multiply, {d, d});
       }},
      {"out0 = subtract_divide(in0, in1, in2)\n",
       [](Tape& t, int a, int b, int c) {
         return t.apply(Op::divide, {t.apply(Op::subtract, {a, b}), c});
       }},
      {"out0 = subtract_multiply(in0, in1, in2)\n",
       [](Tape& t, int a, int b, int c) {
         return t.apply(Op::multiply, {c, t.apply(Op::subtract, {a, b})});
       }},
      {"out0 = add_multiply(in0, in1, in2)\n",
       [](Tape& t, int a, int b, int c) {
         return t.apply(Op::multiply, {t.apply(Op::add, {a, b}), c});
       }},
      {"out0 = select_less(in1, in0, in2, in0)\n",
       [](Tape& t, int a, int b, int c) {
         return t.apply(Op::where, {t.apply(Op::greater, {a, b}), c, a});
       }},
  };
  for (const Row& row : rows) {
    Tape tape;
    const int a = tape.input(0, Type::float32), b = tape.input(1, Type::float32),
              c = tape.input(2, Type::float32);
    const int result = row.build(tape, a, b, c);
    CHECK(TileProgram(tape, {result}).to_string() == row.text);
    CHECK(TileProgram(tape, {result}, {.super_instructions = false}).instruction_count() > 1);
  }
  Tape tape;
  const int raw = tape.cast(tape.input(0, Type::uint16), Type::float32);
  const int scaled =
      tape.apply(Op::add, {tape.apply(Op::multiply, {raw, constant(tape, 0.5f)}), constant(tape, -8.0f)});
  CHECK(TileProgram(tape, {scaled}).to_string() == "out0 = cast_scale_offset(in0, 0.5, -8)\n");
  // A product that someone else needs too stays on its own.
  Tape shared;
  const int x = shared.input(0, Type::float32), y = shared.input(1, Type::float32);
  const int product = shared.apply(Op::multiply, {x, y});
  CHECK(TileProgram(shared, {shared.apply(Op::add, {product, x}), product}).instruction_count() == 2);
}

TEST_CASE("random programs give the same bits with and without super-instructions on every level",
          "[kernel]") {
  const test::LevelGuard guard;
  const std::vector<Type> inputs{Type::float32, Type::float64, Type::float32,
                                 Type::int16,   Type::bool_,   Type::float16};
  std::size_t shorter = 0;
  for (int k = 0; k < test::effort(300); ++k) {
    const std::uint64_t seed = test::first_seed() + static_cast<std::uint64_t>(k);
    std::mt19937_64 random(seed);
    std::vector<test::Elements> in;
    const std::size_t n = 1 + random() % 600;
    for (const Type t : inputs) in.push_back(test::random_elements(t, n, random));
    Tape tape;
    const std::vector<int> outputs = random_tape(tape, seed, inputs);
    set_simd_level(SimdLevel::baseline);
    const TileProgram plain(tape, outputs, {.super_instructions = false});
    const std::vector<test::Elements> want = test::run_program(plain, in, n);
    for (const SimdLevel level : test::simd_levels()) {
      set_simd_level(level);
      for (const bool super : {false, true}) {
        const TileProgram program(tape, outputs, {.super_instructions = super});
        shorter += program.instruction_count() < plain.instruction_count();
        const std::vector<test::Elements> got = test::run_program(program, in, n);
        for (std::size_t o = 0; o < outputs.size(); ++o)
          if (!test::same_bits(got[o], want[o]))
            FAIL_CHECK("seed " << seed << " level " << name_of(level) << " output " << o << "\n"
                               << program.to_string() << "without:\n"
                               << plain.to_string());
      }
    }
  }
  CHECK(shorter > 0);
}

TEST_CASE("a program computes what its steps say one by one", "[kernel]") {
  // Every step of a random tape as an output of its own, against each operation run alone on arrays.
  const std::vector<Type> inputs{Type::float32, Type::float64, Type::int8};
  for (int k = 0; k < test::effort(40); ++k) {
    const std::uint64_t seed = test::first_seed() + 1000 + static_cast<std::uint64_t>(k);
    std::mt19937_64 random(seed);
    const std::size_t n = 300;
    std::vector<test::Elements> in;
    for (const Type t : inputs) in.push_back(test::random_elements(t, n, random));
    Tape tape;
    const std::vector<int> outputs = random_tape(tape, seed, inputs);
    std::vector<test::Elements> each;
    for (const TapeStep& s : tape.steps()) {
      std::vector<test::Elements> args;
      for (const int a : s.args) args.push_back(each[static_cast<std::size_t>(a)]);
      if (s.kind == TapeStep::Kind::input) {
        each.push_back(in[static_cast<std::size_t>(s.input)]);
      } else if (s.kind == TapeStep::Kind::constant) {
        test::Elements e(s.type, n);
        for (std::size_t i = 0; i < n; ++i)
          std::memcpy(e.bytes.data() + i * item_bytes_of(s.type), s.constant.data(), item_bytes_of(s.type));
        each.push_back(e);
      } else if (s.kind == TapeStep::Kind::cast) {
        test::Elements e(s.type, n);
        for (std::size_t i = 0; i < n; i += tile_size) {
          const void* arg[] = {args[0].bytes.data() + i * item_bytes_of(args[0].type)};
          cast_kernel(args[0].type, s.type)(std::min(tile_size, n - i),
                                            e.bytes.data() + i * item_bytes_of(s.type), arg, nullptr);
        }
        each.push_back(e);
      } else {
        each.push_back(test::apply(s.op, args));
      }
    }
    const std::vector<test::Elements> got = test::run_program(TileProgram(tape, outputs), in, n);
    for (std::size_t o = 0; o < outputs.size(); ++o)
      CHECK(test::same_bits(got[o], each[static_cast<std::size_t>(outputs[o])]));
  }
}

TEST_CASE("outputs may be inputs, constants, each other, or skipped", "[kernel]") {
  Tape tape;
  const int a = tape.input(0, Type::float32), b = tape.input(1, Type::int16);
  const int root = tape.apply(Op::sqrt, {a}), more = tape.apply(Op::exp, {root}), seven = constant(tape, 7.0);
  const std::vector<int> outputs{b, root, seven, root, more};
  const TileProgram program(tape, outputs);
  CHECK(program.outputs() ==
        std::vector<Type>{Type::int16, Type::float32, Type::float64, Type::float32, Type::float32});
  CHECK(program.forwards_input(0) == 1);
  for (std::size_t k = 1; k < 5; ++k) CHECK(program.forwards_input(k) == -1);
  const test::Elements x = elements<float>({4, 9, 16}), y = elements<std::int16_t>({1, 2, 3});
  const std::vector<test::Elements> all = test::run_program(program, {x, y}, 3);
  CHECK(values<std::int16_t>(all[0]) == std::vector<std::int16_t>{1, 2, 3});
  CHECK(values<float>(all[1]) == std::vector<float>{2, 3, 4});
  CHECK(values<double>(all[2]) == std::vector<double>{7, 7, 7});
  CHECK(values<float>(all[3]) == std::vector<float>{2, 3, 4});
  // Any subset of the outputs gives the same values.
  std::vector<std::byte> memory(program.workspace_bytes() + 64);
  std::byte* workspace = memory.data() + (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64);
  program.prepare(workspace);
  for (unsigned mask = 0; mask < 32; ++mask) {
    std::vector<test::Elements> some;
    for (const test::Elements& e : all) some.emplace_back(e.type, 3);
    const void* in[] = {x.bytes.data(), y.bytes.data()};
    void* out[5];
    for (unsigned k = 0; k < 5; ++k) out[k] = mask >> k & 1 ? some[k].bytes.data() : nullptr;
    program.run(3, in, out, workspace);
    for (unsigned k = 0; k < 5; ++k)
      CHECK(some[k].bytes == (mask >> k & 1 ? all[k].bytes : std::vector<std::byte>(all[k].bytes.size())));
  }
}

TEST_CASE("a program with more than 64 outputs computes and skips each of them", "[kernel]") {
  Tape tape;
  const int x = tape.input(0, Type::float64);
  std::vector<int> outputs;
  int step = x;
  for (int k = 0; k < 100; ++k) outputs.push_back(step = tape.apply(Op::add, {step, constant(tape, 1.0)}));
  const TileProgram program(tape, outputs);
  const test::Elements in = elements<double>({0, 10});
  const std::vector<test::Elements> all = test::run_program(program, {in}, 2);
  for (std::size_t k = 0; k < 100; ++k) CHECK(all[k].get<double>(1) == 11.0 + static_cast<double>(k));
  std::vector<std::byte> memory(program.workspace_bytes() + 64);
  std::byte* workspace = memory.data() + (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64);
  program.prepare(workspace);
  for (const std::size_t only : {std::size_t{5}, std::size_t{63}, std::size_t{70}, std::size_t{99}}) {
    std::vector<void*> out(100, nullptr);
    double result[2] = {};
    out[only] = result;
    const void* args[] = {in.bytes.data()};
    program.run(2, args, out.data(), workspace);
    CHECK(result[0] == 1.0 + static_cast<double>(only));
  }
}

TEST_CASE("a skipped output beyond the 64th that later steps read still has a place", "[kernel]") {
  Tape tape;
  std::vector<int> outputs;
  int step = tape.input(0, Type::float64);
  for (int k = 0; k < 70; ++k) outputs.push_back(step = tape.apply(Op::negative, {step}));
  std::reverse(outputs.begin(), outputs.end());
  const TileProgram program(tape, outputs);
  const test::Elements in = elements<double>({3});
  std::vector<std::byte> memory(program.workspace_bytes() + 64);
  std::byte* workspace = memory.data() + (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64);
  program.prepare(workspace);
  for (std::size_t only = 0; only < outputs.size(); ++only) {
    std::vector<void*> out(outputs.size(), nullptr);
    double result = 0;
    out[only] = &result;
    const void* args[] = {in.bytes.data()};
    program.run(1, args, out.data(), workspace);
    CHECK(result == (only % 2 == 0 ? 3 : -3));
  }
}

TEST_CASE("registers are reused, so that a long chain needs few", "[kernel]") {
  Tape tape;
  int step = tape.input(0, Type::float64);
  for (int k = 0; k < 200; ++k) step = tape.apply(k % 2 ? Op::sin : Op::negative, {step});
  const TileProgram program(tape, {step});
  CHECK(program.instruction_count() == 200);
  CHECK(program.workspace_bytes() == 2 * tile_size * sizeof(double));
}
