#include "arrays.hpp"
//
#include <catch2/catch.hpp>
#include <complex>
#include <limits>

#include <support/failure.hpp>

using namespace morsel;
using morsel_test::contains;
using morsel_test::counting;
using morsel_test::failure_of;
using morsel_test::text_of;
using morsel_test::text_of_elements;

TEST_CASE("parts of a reduction merge to the whole", "[api][partial]") {
  const auto a = counting<double>({7, 3}, {2, 2});
  const auto whole = [&](auto&& reduce) { return text_of(reduce(a)); };
  const auto merged = [&](auto&& reduce) {
    auto left = partial(reduce(a["0:3"]));
    left.merge(partial(reduce(a["3:"])));
    return text_of_elements(left.finish());
  };
  const auto check = [&](auto&& reduce) { CHECK(merged(reduce) == whole(reduce)); };
  check([](const auto& x) { return sum(x); });
  check([](const auto& x) { return mean(x, 0); });
  check([](const auto& x) { return stddev(x, 0, {.ddof = 1}); });
  check([](const auto& x) { return min(x, 0, {.keepdims = true}); });
  check([](const auto& x) { return max(x); });
  check([](const auto& x) { return prod(x + 1); });
  check([](const auto& x) { return any(x > 3); });
  check([](const auto& x) { return count_nonzero(x, 0); });
  check([](const auto& x) { return histogram(x, 4, {0, 21}); });
  check([](const auto& x) { return histogram(x, {0, 2, 7, 30}); });
  check([](const auto& x) { return var(x, 0); });
  check([](const auto& x) { return all(x < 20); });
  check([](const auto& x) { return all(x < 21, 0); });
}

TEST_CASE("parts of a reduction that skips NaN merge to the whole", "[api][partial]") {
  // Columns: no NaN, NaN in the left part, NaN in the right part.
  const auto counted = counting<double>({7, 3}, {2, 2});
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto a = where(counted == 1 || counted == 20, nan, 10 - counted);
  const auto check = [&](auto&& reduce) {
    auto left = partial(reduce(a["0:3"]));
    left.merge(partial(reduce(a["3:"])));
    CHECK(text_of_elements(left.finish()) == text_of(reduce(a)));
    CHECK_FALSE(contains(text_of_elements(left.finish()), "nan"));
  };
  check([](const auto& x) { return nansum(x, 0); });
  check([](const auto& x) { return nanprod(x, 0); });
  check([](const auto& x) { return nanmean(x, 0); });
  check([](const auto& x) { return nanvar(x, 0); });
  check([](const auto& x) { return nanstddev(x, 0, {.ddof = 1}); });
  check([](const auto& x) { return nanmin(x, 0); });
  check([](const auto& x) { return nanmax(x, 0); });
  check([](const auto& x) { return nanargmin(x, 0); });
  check([](const auto& x) { return nanargmax(x, 0); });
}

TEST_CASE("merged positions are those in the whole array", "[api][partial]") {
  const auto a = map([](int i) { return (i * 5) % 7; }, counting<int>({9, 4}, {2, 3}));
  const auto check = [&](const auto& x, auto&& reduce) {
    for (const char* const cut : {"1", "4", "8"}) {
      auto left = partial(reduce(x[std::string(":") + cut]));
      const auto right = partial(reduce(x[std::string(cut) + ":"]));
      left.merge(decltype(left)::from_bytes(right.to_bytes(), reduce(x)));
      CHECK(text_of_elements(left.finish()) == text_of(reduce(x)));
    }
  };
  check(a, [](const auto& x) { return argmin(x); });
  check(a, [](const auto& x) { return argmax(x); });
  check(a, [](const auto& x) { return argmin(x, 0); });
  check(a, [](const auto& x) { return argmax(x, 0, {.keepdims = true}); });
  check(a * std::complex<float>(0, 1), [](const auto& x) { return argmax(x, 0); });
  check(where(a == 3, std::numeric_limits<double>::quiet_NaN(), a.as<double>()),
        [](const auto& x) { return argmin(x); });
  auto none = PartialState<std::int64_t>(argmax(a));
  none.merge(partial(argmax(a)));
  CHECK(text_of_elements(none.finish()) == text_of(argmax(a)));
}

TEST_CASE("partial results travel as bytes", "[api][partial]") {
  const auto a = counting<float>({6, 3}, {2, 2});
  const auto sent = partial(mean(a["4:"], 0)).to_bytes();
  auto received = PartialState<float>::from_bytes(sent, mean(a, 0));
  CHECK(received.count() == 2);
  auto all = partial(mean(a["0:4"], 0));
  all.merge(received);
  CHECK(all.count() == 6);
  CHECK(text_of_elements(all.finish()) == text_of(mean(a, 0)));
  PartialState<float> nothing(mean(a, 0));
  CHECK(nothing.count() == 0);
  nothing.merge(all);
  CHECK(text_of_elements(nothing.finish()) == text_of(mean(a, 0)));

  CHECK(contains(failure_of([&] { PartialState<float>::from_bytes(sent, sum(a, 0)); }),
                 "invalid_argument: reading a partial result: of another reduction; expected sum"));
  CHECK(
      contains(failure_of([&] { PartialState<float>::from_bytes(sent, mean(a, 1)); }), "invalid_argument: "));
  for (std::size_t cut = 0; cut < sent.size(); ++cut) {
    const std::span<const std::byte> part(sent.data(), cut);
    CHECK(failure_of([&] { PartialState<float>::from_bytes(part, mean(a, 0)); }).rfind("corrupt_data: ", 0) ==
          0);
  }
  auto longer = sent;
  longer.push_back(std::byte{0});
  CHECK(failure_of([&] { PartialState<float>::from_bytes(longer, mean(a, 0)); }).rfind("corrupt_data: ", 0) ==
        0);
  auto flipped = sent;
  flipped.back() ^= std::byte{1};
  CHECK(failure_of([&] {
          PartialState<float>::from_bytes(flipped, mean(a, 0));
        }).rfind("corrupt_data: ", 0) == 0);
}

TEST_CASE("partial results of different reductions do not merge", "[api][partial]") {
  const auto a = counting<float>({6});
  auto total = partial(sum(a));
  CHECK(contains(failure_of([&] { total.merge(partial(prod(a))); }),
                 "invalid_argument: merging partial results: of different reductions"));
  CHECK(contains(failure_of([&] { partial(a); }), "invalid_argument: partial: not a reduction"));
  CHECK(contains(failure_of([&] { partial(histogram(a, 3)); }), "unsupported: partial: the range of"));
  CHECK(contains(failure_of([&] { PartialState<float>(min(a)).finish(); }), "of nothing has no value"));
  CHECK(PartialState<float>(sum(a)).finish()() == 0);
}

TEST_CASE("a user's states merge if they are plain memory", "[api][partial]") {
  const auto combiner = combiner_from(
      0.0, [](double& s, float v) { s += v; }, [](double& s, const double& t) { s += t; },
      [](const double& s) { return s; });
  const auto a = counting<float>({10}, 3);
  auto left = partial(reduce_with(combiner, a["0:4"], all_axes, {}, "total"));
  left.merge(partial(reduce_with(combiner, a["4:"], all_axes, {}, "total")));
  CHECK(left.finish()() == 45);
}

namespace {
struct Above {
  double limit = 0;
  std::int64_t closed = 0, count = 0;
  void absorb(std::span<const double> x) {
    for (const double v : x) count += v > limit || (closed != 0 && v == limit);
  }
  void merge(const Above& right) { count += right.count; }
  std::int64_t finish() const { return count; }
};
}  // namespace

TEST_CASE("partial results of other edges, ranges or prototypes do not merge and are not read",
          "[api][partial]") {
  const auto a = arange<double>(30);
  const auto refused = [](const auto& mine, const auto& other) {
    auto left = partial(mine);
    const auto right = partial(other);
    CHECK(failure_of([&] { left.merge(right); }).rfind("invalid_argument: merging partial results: ", 0) ==
          0);
    CHECK(failure_of([&] {
            decltype(left)::from_bytes(right.to_bytes(), mine);
          }).rfind("invalid_argument: reading a partial result: ", 0) == 0);
  };
  const auto taken = [](const auto& mine, const auto& other) {
    auto left = partial(mine);
    const auto right = decltype(left)::from_bytes(partial(other).to_bytes(), mine);
    left.merge(right).merge(partial(other));
  };
  refused(histogram(a, std::vector<double>{0, 1, 2}), histogram(a, std::vector<double>{0, 10, 20}));
  refused(histogram(a, 4, {0, 1000000}), histogram(a, 4, {0, 1000001}));
  refused(reduce_with(Above{5, 1}, a), reduce_with(Above{20, 1}, a));
  refused(reduce_with(Above{5, 1}, a), reduce_with(Above{5, 0}, a));
  const auto scaled = [&](double by) {
    return reduce_with(combiner_from(
                           0.0, [by](double& s, double v) { s += v * by; },
                           [](double& s, double r) { s += r; }, [](double s) { return s; }),
                       a);
  };
  refused(scaled(1), scaled(2));
  taken(histogram(a, 4, {0, 1000000}), histogram(a + 1, 4, {0, 1000000}));
  taken(reduce_with(Above{5, 1}, a), reduce_with(Above{5, 1}, a + 1));
  taken(scaled(2), scaled(2));
}
