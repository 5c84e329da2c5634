#include "arrays.hpp"
//
#include <atomic>
#include <catch2/catch.hpp>

#include <support/failure.hpp>

using namespace morsel;
using morsel_test::contains;
using morsel_test::counting;
using morsel_test::failure_of;
using morsel_test::text_of;
using morsel_test::text_of_elements;

TEST_CASE("map runs a user's function on elements", "[api][map]") {
  const auto a = counting<float>({2, 3}, {1, 2});
  const auto squares = map([](float v) { return v * v; }, a);
  static_assert(std::is_same_v<decltype(squares), const LazyArray<float>>);
  CHECK(text_of(squares) == "(2, 3): 0 1 4 9 16 25");
  const auto larger = map([limit = 2](float v, std::int64_t w) { return v + float(w) > float(limit); }, a,
                          sum(a.as<int>(), 0));
  static_assert(std::is_same_v<decltype(larger), const LazyArray<bool>>);
  CHECK(text_of(larger) == "(2, 3): 1 1 1 1 1 1");
  CHECK(text_of(sum(map([](float v) { return int(v) % 2; }, a))) == "(): 3");
  CHECK(text_of_elements(map([](double v) { return v + 1; }, xt::xarray<double>{1, 2})) == "(2,): 2 3");
  const auto thrower = map([](float v) { return v > 3 ? throw std::runtime_error("too large") : v; }, a);
  const std::string failure = failure_of([&] { thrower.compute(); });
  CAPTURE(failure);
  CHECK(failure.rfind("user_error: ", 0) == 0);
  CHECK(contains(failure, "too large"));
}

TEST_CASE("map_chunks runs a user's function on whole chunks", "[api][map]") {
  const auto a = counting<int>({3, 4}, {2, 2});
  std::atomic<int> calls{0};
  const auto numbered = map_chunks<int>(
      [&](const ChunkInfo& info, auto& out, const auto& x) {
        ++calls;
        out = x * 0 + static_cast<int>(info.number);
      },
      a);
  CHECK(numbered.chunks() == a.chunks());
  CHECK(text_of(numbered) == "(3, 4): 0 0 1 1 0 0 1 1 2 2 3 3");
  CHECK(calls == 4);

  const auto places = map_chunks<std::int64_t>(
      {.name = "places", .memory_factor = 1},
      [](const ChunkInfo& info, const auto& x) -> xt::xarray<std::int64_t> {
        return xt::xarray<std::int64_t>(x * 0 + 100 * info.region.lo[0] + 10 * info.position[1] + info.count);
      },
      a);
  CHECK(text_of(places) == "(3, 4): 4 4 14 14 4 4 14 14 204 204 214 214");
  CHECK(text_of(places["2, 3"]) == "(): 214");

  const auto two =
      map_chunks<double>([](const ChunkInfo&, auto& out, const auto& x, const auto& y) { out = x + y; }, a,
                         counting<double>({4}));
  CHECK(text_of(two) == "(3, 4): 0 2 4 6 4 6 8 10 8 10 12 14");
  const auto wrong = map_chunks<int>(
      [](const ChunkInfo&, const auto&) {
        return xt::xarray<int>{1, 2, 3};
      },
      a);
  CHECK(contains(failure_of([&] { wrong.compute(); }),
                 "the function gave a chunk of another shape; expected (2, 2), got (3,)"));
  const auto thrower = map_chunks<int>(
      [](const ChunkInfo&, const auto&) -> xt::xarray<int> { throw std::runtime_error("no"); }, a);
  CHECK(failure_of([&] { thrower.compute(); }).rfind("user_error: ", 0) == 0);
  CHECK(contains(failure_of([&] {
                   map_chunks<int>(
                       {.memory_factor = -1},
                       [](const ChunkInfo&, const auto& x) { return xt::xarray<int>(x); }, a);
                 }),
                 "impossible memory factor"));
}
