#include <catch2/catch.hpp>
#include <morsel/kernel/map.hpp>

#include "elements.hpp"

using namespace morsel;

namespace {

template <class T>
test::Elements elements(const std::vector<T>& values) {
  test::Elements e(type_of<T>, values.size());
  for (std::size_t i = 0; i < values.size(); ++i) e.set<T>(i, values[i]);
  return e;
}

// Runs a kernel over whole arrays, converting the arrays to what it takes.
test::Elements run(const UserKernel& kernel, const std::vector<test::Elements>& in) {
  Tape tape;
  std::vector<int> args;
  for (std::size_t i = 0; i < in.size(); ++i) args.push_back(tape.input(static_cast<int>(i), in[i].type));
  const int step = tape.user(std::make_shared<const UserKernel>(kernel), args);
  return test::run_program(TileProgram(tape, {step}), in, in[0].size())[0];
}

float twice(float v) { return 2 * v; }

struct Affine {
  double scale, offset;
  double operator()(double v) const { return v * scale + offset; }
};

}  // namespace

TEST_CASE("a user's function becomes a kernel of the dtypes it takes and gives", "[kernel]") {
  const UserKernel square = make_user_kernel<float>("square", [](float v) { return v * v; });
  CHECK(square.in == std::vector<Type>{Type::float32});
  CHECK(square.result == Type::float32);
  std::vector<float> many(600);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<float>(i);
  const test::Elements squares = run(square, {elements(many)});
  for (std::size_t i = 0; i < many.size(); ++i) REQUIRE(squares.get<float>(i) == many[i] * many[i]);

  CHECK(make_user_kernel<int>("half", [](int v) { return 0.5 * v; }).result == Type::float64);
  CHECK(make_user_kernel<double>("sign", [](double v) { return v > 0; }).result == Type::bool_);
  CHECK(run(make_user_kernel<float>("twice", twice), {elements<float>({3})}).get<float>(0) == 6);
  CHECK(run(make_user_kernel<double>("affine", Affine{2, 1}), {elements<double>({3})}).get<double>(0) == 7);
}

TEST_CASE("a user's function takes several arrays of any dtypes, bool, float16 and complex among them",
          "[kernel]") {
  const auto select = [](bool c, float16 x, std::complex<float> z) {
    return c ? z : std::complex<float>(x, 0);
  };
  const UserKernel kernel = make_user_kernel<bool, float16, std::complex<float>>("select", select);
  CHECK(kernel.in == std::vector<Type>{Type::bool_, Type::float16, Type::complex64});
  CHECK(kernel.result == Type::complex64);
  const test::Elements got = run(kernel, {elements<bool>({true, false}), elements<float16>({1.5f, 2.5f}),
                                          elements<std::complex<float>>({{3, 4}, {5, 6}})});
  CHECK(got.get<std::complex<float>>(0) == std::complex<float>(3, 4));
  CHECK(got.get<std::complex<float>>(1) == std::complex<float>(2.5f, 0));
  const UserKernel half =
      make_user_kernel<float16, float16>("sum", [](float16 a, float16 b) { return a + b; });
  CHECK(half.result == Type::float16);
  CHECK(float(run(half, {elements<float16>({1.5f}), elements<float16>({2.0f})}).get<float16>(0)) == 3.5f);
}

TEST_CASE("arrays of other dtypes are converted to what the function takes", "[kernel]") {
  const UserKernel kernel = make_user_kernel<double, std::int64_t>(
      "mix", [](double x, std::int64_t n) { return x * static_cast<double>(n); });
  const test::Elements got = run(kernel, {elements<std::int16_t>({3}), elements<std::uint8_t>({200})});
  CHECK(got.get<double>(0) == 600);
}

TEST_CASE("a user's kernel runs beside built-in operations and is not merged with its twin", "[kernel]") {
  int calls = 0;
  auto kernel = std::make_shared<const UserKernel>(make_user_kernel<float>("counted", [&calls](float v) {
    ++calls;
    return v + 1;
  }));
  Tape tape;
  const int x = tape.input(0, Type::float32);
  const int once = tape.user(kernel, {x}), again = tape.user(kernel, {x});
  CHECK(once != again);
  const TileProgram program(tape, {tape.apply(Op::multiply, {once, again})});
  const test::Elements got = test::run_program(program, {elements<float>({1, 2, 3})}, 3)[0];
  CHECK(got.get<float>(2) == 16);
  CHECK(calls == 6);
  CHECK(program.to_string() == "r0 = counted(in0)\nr1 = counted(in0)\nout0 = multiply(r0, r1)\n");
}

TEST_CASE("a user's function gives the same bits on every instruction set", "[kernel]") {
  // A multiplication and an addition that are contracted into one give other bits than the two.
  const auto f = [](double x, double y) { return std::sqrt(x * y + x) - y * y; };
  const UserKernel kernel = make_user_kernel<double, double>("f", f);
  std::vector<double> x(1000), y(1000), expected(1000);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = 1.0 / static_cast<double>(i + 3);
    y[i] = 1.1 * static_cast<double>(i % 17) + 0.3;
    const volatile double product = x[i] * y[i], square = y[i] * y[i];
    expected[i] = std::sqrt(product + x[i]) - square;
  }
  const test::LevelGuard guard;
  for (const SimdLevel level : test::simd_levels()) {
    set_simd_level(level);
    CAPTURE(name_of(level));
    CHECK(run(kernel, {elements(x), elements(y)}).bytes == elements(expected).bytes);
  }
}

TEST_CASE("exceptions of a user's function come out as they are", "[kernel]") {
  const UserKernel kernel = make_user_kernel<float>("strict", [](float v) -> float {
    if (v < 0) throw std::domain_error("negative");
    return v;
  });
  CHECK_THROWS_AS(run(kernel, {elements<float>({1, -1})}), std::domain_error);
}

TEST_CASE("a wrong number of arrays is refused by the kernel's name", "[kernel]") {
  const auto kernel =
      std::make_shared<const UserKernel>(make_user_kernel<float>("alone", [](float v) { return v; }));
  Tape tape;
  const int x = tape.input(0, Type::float32);
  CHECK_THROWS_WITH(tape.user(kernel, {x, x}), Catch::Contains("alone: wrong number of arrays; expected 1"));
}
