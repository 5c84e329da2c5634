#include "arrays.hpp"
//
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <type_traits>

#include <support/failure.hpp>

using namespace morsel;
using morsel_test::contains;
using morsel_test::counting;
using morsel_test::failure_of;
using morsel_test::text_of;
using morsel_test::text_of_elements;

namespace {

template <class T>
LazyArray<T> row(std::vector<T> values) {
  const Shape shape{static_cast<Index>(values.size())};
  return from_array(std::move(values), shape, {.chunks = 2});
}
LazyArray<bool> flags(std::initializer_list<int> values) { return row(std::vector<int>(values)) != 0; }

template <class A>
constexpr Type type_in() {
  return type_of<typename A::value_type>;
}
template <class A, class B>
constexpr bool is_lazy_of = std::is_same_v<A, LazyArray<B>>;

const float nan_value = std::numeric_limits<float>::quiet_NaN();
const float infinity = std::numeric_limits<float>::infinity();

}  // namespace

TEST_CASE("element types of mixed operands are known at compile time", "[api][elementwise]") {
  const auto f = counting<float>({3});
  const auto i = counting<int>({3});
  const auto u = counting<std::uint8_t>({3});
  const auto b = f > 1;
  static_assert(is_lazy_of<decltype(f + i), double>);
  static_assert(is_lazy_of<decltype(f + 1.0), float>);
  static_assert(is_lazy_of<decltype(1 + f), float>);
  static_assert(is_lazy_of<decltype(i + 1.5), double>);
  static_assert(is_lazy_of<decltype(u + 1), std::uint8_t>);
  static_assert(is_lazy_of<decltype(u + i), int>);
  static_assert(is_lazy_of<decltype(i / i), double>);
  static_assert(is_lazy_of<decltype(f > 1), bool>);
  static_assert(is_lazy_of<decltype(b + 1), std::int64_t>);
  static_assert(is_lazy_of<decltype(b & b), bool>);
  static_assert(is_lazy_of<decltype(!b), bool>);
  static_assert(is_lazy_of<decltype(f * std::complex<float>(0, 1)), std::complex<float>>);
  static_assert(is_lazy_of<decltype(morsel::abs(f * std::complex<double>(0, 1))), float>);
  static_assert(is_lazy_of<decltype(morsel::sqrt(u)), float16>);
  static_assert(is_lazy_of<decltype(where(b, f, 0.0)), float>);
  static_assert(is_lazy_of<decltype(where(b, i, 0.5)), double>);
  static_assert(is_lazy_of<decltype(where(b, 1, 2)), std::int64_t>);
  static_assert(is_lazy_of<decltype(clip(u, 0, 5)), std::uint8_t>);
  static_assert(is_lazy_of<decltype(i == 1), bool>);
  static_assert(is_lazy_of<decltype(morsel::pow(i, 2)), int>);
  static_assert(is_lazy_of<decltype(power(i, 2.0)), double>);
  static_assert(is_lazy_of<decltype(absolute(i)), int>);
  static_assert(is_lazy_of<decltype(u << 1), std::uint8_t>);
  static_assert(is_lazy_of<decltype(astype<double>(f)), double>);
  static_assert(std::is_same_v<decltype(f.any() + f), AnyLazyArray>);
  static_assert(!std::is_convertible_v<LazyArray<bool>, bool>);
  CHECK((f.any() + i).dtype() == DType(Type::float64));
}

TEST_CASE("operators compute what they say", "[api][elementwise]") {
  const auto a = row<int>({7, -7, 5, 0}), b = row<int>({2, 2, -3, 0});
  CHECK(text_of(a + b) == "(4,): 9 -5 2 0");
  CHECK(text_of(a - b) == "(4,): 5 -9 8 0");
  CHECK(text_of(a * b) == "(4,): 14 -14 -15 0");
  CHECK(text_of((a / b)["0:3"]) == "(3,): 3.5 -3.5 -1.66666667");
  CHECK(text_of(floor_divide(a, b)) == "(4,): 3 -4 -2 0");
  CHECK(text_of(a % b) == "(4,): 1 1 -1 0");
  CHECK(text_of(-a) == "(4,): -7 7 -5 0");
  CHECK(text_of(+a) == text_of(a));
  CHECK(text_of(~a) == "(4,): -8 6 -6 -1");
  CHECK(text_of(a & 3) == "(4,): 3 1 1 0");
  CHECK(text_of(a | b) == "(4,): 7 -5 -3 0");
  CHECK(text_of(a ^ b) == "(4,): 5 -5 -8 0");
  CHECK(text_of(a << 2) == "(4,): 28 -28 20 0");
  CHECK(text_of(a >> 1) == "(4,): 3 -4 2 0");
  CHECK(text_of(a == b) == "(4,): 0 0 0 1");
  CHECK(text_of(a != b) == "(4,): 1 1 1 0");
  CHECK(text_of(a < b) == "(4,): 0 1 0 0");
  CHECK(text_of(a <= 0) == "(4,): 0 1 0 1");
  CHECK(text_of(0 < a) == "(4,): 1 0 1 0");
  CHECK(text_of(a >= b) == "(4,): 1 0 1 1");
  CHECK(text_of(a && b) == "(4,): 1 1 1 0");
  CHECK(text_of(a || false) == "(4,): 1 1 1 0");
  CHECK(text_of(!flags({1, 0})) == "(2,): 0 1");
  CHECK(text_of(10 - a) == "(4,): 3 17 5 10");
}

TEST_CASE("functions compute what they say", "[api][elementwise]") {
  const auto a = row<double>({0.25, 4, 9, 2.5});
  CHECK(text_of(morsel::sqrt(a)) == "(4,): 0.5 2 3 1.58113883");
  CHECK(text_of(morsel::floor(a)) == "(4,): 0 4 9 2");
  CHECK(text_of(morsel::round(a)) == "(4,): 0 4 9 2");
  CHECK(text_of(morsel::pow(a, 2)) == "(4,): 0.0625 16 81 6.25");
  CHECK(text_of(morsel::pow(a, 0)) == "(4,): 1 1 1 1");
  CHECK(text_of(morsel::pow(a, 0.5)) == text_of(morsel::sqrt(a)));
  CHECK(text_of(morsel::pow(a, -1)) == "(4,): 4 0.25 0.111111111 0.4");
  CHECK(text_of(morsel::pow(2, row<double>({0, 1, 3}))) == "(3,): 1 2 8");
  CHECK(text_of(clip(a, 1, 4)) == "(4,): 1 4 4 2.5");
  CHECK(text_of(where(a > 3, a, -1)) == "(4,): -1 4 9 -1");
  CHECK(text_of(where(flags({1, 0, 1, 0}), row<std::int8_t>({1, 2, 3, 4}), 0)) == "(4,): 1 0 3 0");
  CHECK(text_of(maximum(a, 3)) == "(4,): 3 4 9 3");
  CHECK(text_of(minimum(a, row<int>({1}))) == "(4,): 0.25 1 1 1");
  CHECK(text_of(morsel::atan2(row<double>({0}), 1)) == "(1,): 0");
  CHECK(text_of(morsel::hypot(row<float>({3}), row<float>({4}))) == "(1,): 5");
  CHECK(text_of(morsel::isnan(row<float>({1, nan_value}))) == "(2,): 0 1");
  CHECK(text_of(morsel::real(row<float>({3}) * std::complex<float>(2, 1))) == "(1,): 6");
  CHECK(text_of(morsel::imag(row<float>({3}) * std::complex<float>(2, 1))) == "(1,): 3");
  CHECK(text_of(astype<int>(row<float>({2.9f, -2.9f, nan_value, 1e20f}))) == "(4,): 2 -2 0 2147483647");
}

TEST_CASE("comparisons with scalars beyond the dtype are exact", "[api][elementwise]") {
  const auto bytes = row<std::uint8_t>({0, 255});
  CHECK(text_of(bytes < 300) == "(2,): 1 1");
  CHECK(text_of(bytes >= 300) == "(2,): 0 0");
  CHECK(text_of(bytes != 300) == "(2,): 1 1");
  CHECK(text_of(bytes == -1) == "(2,): 0 0");
  CHECK(text_of(bytes > -1) == "(2,): 1 1");
  CHECK(text_of(-1 < bytes) == "(2,): 1 1");
  CHECK(text_of(300 <= bytes) == "(2,): 0 0");
  const auto longs = row<std::int64_t>({std::numeric_limits<std::int64_t>::max()});
  CHECK(text_of(longs < std::numeric_limits<std::uint64_t>::max()) == "(1,): 1");
  CHECK(text_of(longs == std::numeric_limits<std::uint64_t>::max()) == "(1,): 0");
  CHECK(text_of(row<std::uint64_t>({0}) > std::int64_t{-5}) == "(1,): 1");
  const auto floats = row<float>({3e38f, infinity, -infinity, nan_value});
  CHECK(text_of(floats < 1e300) == "(4,): 1 0 1 0");
  CHECK(text_of(floats <= 1e300) == "(4,): 1 0 1 0");
  CHECK(text_of(floats > 1e300) == "(4,): 0 1 0 0");
  CHECK(text_of(floats == 1e300) == "(4,): 0 0 0 0");
  CHECK(text_of(floats != 1e300) == "(4,): 1 1 1 1");
  CHECK(text_of(floats > -1e300) == "(4,): 1 1 0 0");
  CHECK(text_of(floats <= -1e300) == "(4,): 0 0 1 0");
  CHECK(contains(failure_of([&] { bytes + 300; }), "overflow: add"));
}

TEST_CASE("operands broadcast", "[api][elementwise]") {
  const auto column = counting<int>({3, 1}), line = counting<int>({2});
  CHECK(text_of(column * 10 + line) == "(3, 2): 0 1 10 11 20 21");
  CHECK(text_of(counting<int>({2, 3}, 2) - mean(counting<int>({2, 3}), 1, {.keepdims = true})) ==
        "(2, 3): -1 0 1 -1 0 1");
  CHECK(contains(failure_of([&] { counting<int>({3}) + line; }), "shape_mismatch: add"));
}

TEST_CASE("xtensor arrays take part in lazy calls", "[api][elementwise]") {
  const auto a = counting<float>({3}, 2);
  const xt::xarray<float> x{1, 2, 3};
  const xt::xtensor<double, 1> y{10, 20, 30};
  static_assert(is_lazy_of<decltype(a + x), float>);
  static_assert(is_lazy_of<decltype(x + a), float>);
  static_assert(is_lazy_of<decltype(y * a), double>);
  static_assert(is_lazy_of<decltype((x + x) * a), float>);
  static_assert(is_lazy_of<decltype(xt::xarray<float>(x) * a), float>);
  static_assert(is_lazy_of<decltype(x == a), bool>);
  static_assert(is_lazy_of<decltype(where(x > 1, a, 0)), float>);
  CHECK(text_of(a + x) == "(3,): 1 3 5");
  CHECK(text_of(y * a) == "(3,): 0 20 60");
  CHECK(text_of((x + x) * a) == "(3,): 0 4 12");
  CHECK(text_of(where(x > 1, a, 0)) == "(3,): 0 1 2");
  // The graph holds a copy: the caller's array may go.
  auto sum_with_temporary = [&] { return a + xt::xarray<float>{5, 5, 5}; }();
  CHECK(text_of(sum_with_temporary) == "(3,): 5 6 7");
}

namespace {

template <class A>
auto root_mean_square(const A& a) {
  using morsel::mean;
  using morsel::sqrt;
  return sqrt(mean(a * a, {0}));
}
template <class T>
T hypotenuse(T a, T b) {
  using morsel::sqrt;
  using std::sqrt;
  return sqrt(a * a + b * b);
}

}  // namespace

TEST_CASE("one template runs on lazy arrays, xtensor arrays and numbers", "[api][elementwise]") {
  const xt::xarray<double> x{{1, 2}, {7, 2}};
  CHECK(text_of(root_mean_square(from_array(x))) == "(2,): 5 2");
  CHECK(text_of_elements(xt::xarray<double>(root_mean_square(x))) == "(2,): 5 2");
  CHECK(hypotenuse(3.0, 4.0) == 5.0);
  CHECK(text_of(hypotenuse(row<float>({3}), row<float>({4}))) == "(1,): 5");
  CHECK(hypotenuse(std::complex<double>(3), std::complex<double>(4)) == std::complex<double>(5));

  // Qualified, it is morsel that computes, in its own precision and types.
  static_assert(std::is_same_v<decltype(morsel::sqrt(x)), xt::xarray<double>>);
  const xt::xarray<std::uint8_t> bytes{200, 100};
  CHECK(morsel::sum(bytes)() == 300);
  CHECK(text_of_elements(morsel::pow(bytes, 1)) == "(2,): 200 100");
  CHECK(text_of_elements(morsel::add(x, bytes)) == "(2, 2): 201 102 207 102");
  CHECK(text_of_elements(morsel::where(x > 1.5, x, 0)) == "(2, 2): 0 2 7 2");
  CHECK(text_of_elements(morsel::mean(x * 2, 1)) == "(2,): 3 9");
  CHECK(text_of_elements(morsel::astype<int>(x + 0.7)) == "(2, 2): 1 2 7 2");
  const xt::xarray<double, xt::layout_type::column_major> columns = x;
  CHECK(text_of_elements(morsel::negative(columns)) == "(2, 2): -1 -2 -7 -2");
}

TEST_CASE("untyped arrays compute as typed ones do", "[api][elementwise]") {
  const AnyLazyArray a = row<std::int16_t>({1, 2, 3}), b = row<float>({0.5, 1, 2});
  const AnyLazyArray c = where(a > 1, a * b + 1, -1);
  CHECK(c.dtype() == DType(Type::float32));
  CHECK(text_of_elements(c.compute().to<float>()) == "(3,): -1 3 7");
  CHECK(contains(failure_of([&] { a& b; }), "dtype_mismatch: bitwise_and"));
  CHECK(text_of(LazyArray<std::int64_t>(sum(a))) == "(): 6");
}
