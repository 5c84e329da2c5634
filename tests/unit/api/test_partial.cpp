#include "arrays.hpp"
//
#include <catch2/catch.hpp>

#include "support/failure.hpp"

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
  CHECK(contains(failure_of([&] { partial(argmax(a)); }), "unsupported: partial: argmax"));
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
