#include "arrays.hpp"
//
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include <support/failure.hpp>

using namespace morsel;
using morsel_test::contains;
using morsel_test::counting;
using morsel_test::failure_of;
using morsel_test::text_of;
using morsel_test::text_of_elements;

namespace {

const double nan_value = std::numeric_limits<double>::quiet_NaN();

LazyArray<double> with_nans() {
  return from_array(std::vector<double>{1, nan_value, 3, nan_value, nan_value, 6}, {2, 3},
                    {.chunks = {1, 2}});
}

/// The geometric mean as a combiner type.
struct GeometricMean {
  double log_sum = 0;
  std::int64_t count = 0;
  void absorb(std::span<const float> x) {
    for (const float v : x) log_sum += std::log(v), ++count;
  }
  void merge(const GeometricMean& right) { log_sum += right.log_sum, count += right.count; }
  double finish() const { return std::exp(log_sum / static_cast<double>(count)); }
};

}  // namespace

TEST_CASE("reductions have NumPy's values and types", "[api][reduction]") {
  const auto a = counting<int>({2, 3}, {1, 2});
  static_assert(std::is_same_v<decltype(sum(a)), LazyArray<std::int64_t>>);
  static_assert(std::is_same_v<decltype(mean(a)), LazyArray<double>>);
  static_assert(std::is_same_v<decltype(max(a)), LazyArray<int>>);
  static_assert(std::is_same_v<decltype(argmax(a)), LazyArray<std::int64_t>>);
  static_assert(std::is_same_v<decltype(sum(counting<std::uint8_t>({2}))), LazyArray<std::uint64_t>>);
  static_assert(std::is_same_v<decltype(var(counting<float>({2}))), LazyArray<float>>);
  CHECK(text_of(sum(a)) == "(): 15");
  CHECK(text_of(sum(a, 0)) == "(3,): 3 5 7");
  CHECK(text_of(sum(a, {1})) == "(2,): 3 12");
  CHECK(text_of(sum(a, {-1, 0})) == "(): 15");
  CHECK(text_of(sum(a, all_axes, {.keepdims = true})) == "(1, 1): 15");
  CHECK(text_of(sum(a, 1, {.keepdims = true})) == "(2, 1): 3 12");
  CHECK(text_of(sum(a, std::vector<Index>{})) == text_of(a));
  CHECK(text_of(prod(a + 1, 1)) == "(2,): 6 120");
  CHECK(text_of(mean(a, 0)) == "(3,): 1.5 2.5 3.5");
  CHECK(text_of(var(a, 1)) == "(2,): 0.666666667 0.666666667");
  CHECK(text_of(var(a, 1, {.ddof = 1})) == "(2,): 1 1");
  CHECK(text_of(stddev(a, 1, {.ddof = 1})) == "(2,): 1 1");
  CHECK(text_of(min(a, 0)) == "(3,): 0 1 2");
  CHECK(text_of(max(a, 1)) == "(2,): 2 5");
  CHECK(text_of(argmin(a)) == "(): 0");
  CHECK(text_of(argmax(a, 1)) == "(2,): 2 2");
  CHECK(text_of(argmax(a)) == "(): 5");
  CHECK(text_of(any(a > 2, 1)) == "(2,): 0 1");
  CHECK(text_of(all(a > 2, 1)) == "(2,): 0 1");
  CHECK(text_of(count_nonzero(a)) == "(): 5");
}

TEST_CASE("plain reductions carry NaN on, the nan-forms skip it", "[api][reduction]") {
  const auto a = with_nans();
  CHECK(text_of(sum(a, 1)) == "(2,): nan nan");
  CHECK(text_of(nansum(a, 1)) == "(2,): 4 6");
  CHECK(text_of(nanprod(a, 1)) == "(2,): 3 6");
  CHECK(text_of(nanmean(a, 0)) == "(3,): 1 nan 4.5");
  CHECK(text_of(nanvar(a, 1)) == "(2,): 1 0");
  CHECK(text_of(nanstddev(a, 1)) == "(2,): 1 0");
  CHECK(text_of(nanmin(a, 1)) == "(2,): 1 6");
  CHECK(text_of(nanmax(a, 1)) == "(2,): 3 6");
  CHECK(text_of(nanargmin(a, 1)) == "(2,): 0 2");
  CHECK(text_of(nanargmax(a, 1)) == "(2,): 2 2");
  CHECK(text_of(min(a, 1)) == "(2,): nan nan");
  CHECK(text_of(argmax(a, 1)) == "(2,): 1 0");
}

TEST_CASE("axes may be named", "[api][reduction]") {
  const auto a = counting<float>({2, 3, 4}).with_dims({"time", "lat", "lon"});
  CHECK(text_of(mean(a, "time")) == text_of(mean(a, 0)));
  CHECK(text_of(mean(a, {0, "lat"})) == text_of(mean(a, {0, 1})));
  CHECK(contains(failure_of([&] { mean(a, "x"); }), "expected 'time', 'lat', 'lon', got 'x'"));
  CHECK(contains(failure_of([&] { mean(a, {"lat", 1}); }), "an axis is named twice"));
}

TEST_CASE("histograms count values in bins", "[api][reduction]") {
  const auto a = counting<float>({10}, 3);
  CHECK(text_of(histogram(a, 3, {0, 9})) == "(3,): 3 3 4");
  CHECK(text_of(histogram(a, 2, {2, 4})) == "(2,): 1 2");
  CHECK(text_of(histogram(a, 3)) == "(3,): 3 3 4");
  CHECK(text_of(histogram(a, {0.0, 1.0, 5.0, 20.0})) == "(3,): 1 4 5");
  CHECK(text_of(histogram(counting<int>({4}) * 0 + 5, 2)) == "(2,): 0 4");  // one value: [4.5, 5.5]
  CHECK(text_of(histogram(a["0:0"], 2)) == "(2,): 0 0");
  CHECK(contains(failure_of([&] { histogram(a / 0, 2).compute(); }), "range is not finite"));
  CHECK(contains(failure_of([&] { histogram(a, 0, {0, 1}); }), "invalid_argument"));
  CHECK(contains(failure_of([&] { histogram(a, 2, {1, 0}); }), "invalid_argument"));
  CHECK(text_of_elements(morsel::histogram(xt::xarray<float>{0.1f, 0.9f}, 2, {0, 1})) == "(2,): 1 1");
}

TEST_CASE("a histogram beside reductions along other axes counts every value", "[api][reduction]") {
  // Each leaf of the histogram has room of its own for its counts; the other folds must not leave theirs in
  // it.
  const auto a = counting<double>({90, 70}, {70, 11});
  for (const int threads : {1, 2}) {
    const auto [columns, all, rows, total] = compute(ComputeOptions{.threads = threads}, sum(a, 0),
                                                     histogram(a, 7, {0, 6300}), sum(a, 1), stddev(a));
    CHECK(text_of_elements(all) == "(7,): 900 900 900 900 900 900 900");
    CHECK(xt::allclose(xt::eval(columns), sum(a, 0).compute()));
    CHECK(xt::allclose(xt::eval(rows), sum(a, 1).compute()));
    CHECK(total() == stddev(a).item());
  }
}

TEST_CASE("a user's own combiner reduces", "[api][reduction]") {
  const auto a = counting<float>({4, 3}, {2, 2}) + 1;
  const auto expected = [](std::initializer_list<double> x) {
    double logs = 0;
    for (const double v : x) logs += std::log(v);
    return std::exp(logs / static_cast<double>(x.size()));
  };
  const auto g = reduce_with(GeometricMean{}, a, 1);
  static_assert(std::is_same_v<decltype(g), const LazyArray<double>>);
  const xt::xarray<double> r = g.compute();
  CHECK(r(0) == Approx(expected({1, 2, 3})));
  CHECK(r(3) == Approx(expected({10, 11, 12})));
  const auto squares =
      reduce_with(combiner_from(
                      0.0, [](double& s, float v) { s += double(v) * v; },
                      [](double& s, const double& t) { s += t; }, [](const double& s) { return s; }),
                  a);
  CHECK(squares.item() == 650);
  CHECK(reduce_with(GeometricMean{}, xt::xarray<float>{2, 8})() == Approx(4));
}

TEST_CASE("per_chunk gives the reduction of every chunk", "[api][reduction]") {
  const auto a = counting<int>({3, 4}, {2, 2});
  CHECK(text_of(per_chunk(sum(a))) == "(2, 2): 10 18 17 21");
  CHECK(text_of(per_chunk(max(a, 0))) == "(2, 4): 4 5 6 7 8 9 10 11");
  CHECK(text_of(sum(per_chunk(sum(a)))) == text_of(sum(a)));
  CHECK(text_of(per_chunk(mean(a))["1"]) == "(2,): 8.5 10.5");
  CHECK(contains(failure_of([&] { per_chunk(a); }), "invalid_argument: per_chunk: not a reduction"));
}

TEST_CASE("a reduction of nothing has NumPy's value or is refused", "[api][reduction]") {
  const auto a = counting<float>({3, 0});
  CHECK(text_of(sum(a)) == "(): 0");
  CHECK(text_of(prod(a, 1)) == "(3,): 1 1 1");
  CHECK(text_of(any(a > 0)) == "(): 0");
  CHECK(text_of(all(a > 0)) == "(): 1");
  CHECK(text_of(mean(a, 1)) == "(3,): nan nan nan");
  CHECK(text_of(min(a, 0)) == "(0,):");
  CHECK(contains(failure_of([&] { min(a); }), "invalid_argument: min: nothing to reduce"));
  CHECK(contains(failure_of([&] { argmax(a, 1); }), "invalid_argument: argmax: nothing to reduce"));
}

TEST_CASE("xtensor arrays are reduced at once", "[api][reduction]") {
  const xt::xarray<std::int8_t> x{{100, 100}, {100, 27}};
  static_assert(std::is_same_v<decltype(morsel::sum(x)), xt::xarray<std::int64_t>>);
  CHECK(morsel::sum(x)() == 327);
  CHECK(text_of_elements(morsel::max(x, 0)) == "(2,): 100 100");
  CHECK(text_of_elements(morsel::mean(x, {1}, {.keepdims = true})) == "(2, 1): 100 63.5");
  CHECK(text_of_elements(morsel::sum(xt::xtensor<float, 1>{1, 2} * 2)) == "(): 6");
}
