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

TEST_CASE("axes are reordered, added, dropped, reversed and repeated", "[api][manipulation]") {
  const auto a = counting<int>({2, 3}, {1, 2});
  CHECK(text_of(transpose(a)) == "(3, 2): 0 3 1 4 2 5");
  CHECK(text_of(permute_dims(a, {-1, 0})) == text_of(transpose(a)));
  CHECK(text_of(moveaxis(a, 0, 1)) == text_of(transpose(a)));
  CHECK(text_of(expand_dims(a, 0)) == "(1, 2, 3): 0 1 2 3 4 5");
  CHECK(text_of(expand_dims(a, -1)) == "(2, 3, 1): 0 1 2 3 4 5");
  CHECK(text_of(squeeze(a["1:2"])) == "(3,): 3 4 5");
  CHECK(text_of(squeeze(a["1:2, 0:1"], 1)) == "(1,): 3");
  CHECK(text_of(flip(a)) == "(2, 3): 5 4 3 2 1 0");
  CHECK(text_of(flip(a, 1)) == "(2, 3): 2 1 0 5 4 3");
  CHECK(text_of(broadcast_to(a["0"], {2, 3})) == "(2, 3): 0 1 2 0 1 2");
  CHECK(text_of(take(a, {2, 0, -1, 0}, 1)) == "(2, 4): 2 0 2 0 5 3 5 3");
  CHECK(text_of(transpose(flip(a, 0))["1:, ::-1"]) == "(2, 2): 1 4 2 5");
  CHECK(contains(failure_of([&] { squeeze(a, 0); }), "not of extent 1; expected 1, got 2"));
  CHECK(contains(failure_of([&] { permute_dims(a, {0, 0}); }), "named twice"));
  CHECK(contains(failure_of([&] { take(a, {3}, 1); }), "out_of_range"));
  CHECK(contains(failure_of([&] { broadcast_to(a, {2, 4}); }), "shape_mismatch"));
}

TEST_CASE("arrays are joined along old and new axes", "[api][manipulation]") {
  const auto a = counting<int>({2, 2}), b = a + 10;
  static_assert(std::is_same_v<decltype(concat({a, b})), LazyArray<int>>);
  static_assert(std::is_same_v<decltype(stack({a, b})), LazyArray<int>>);
  CHECK(text_of(concat({a, b})) == "(4, 2): 0 1 2 3 10 11 12 13");
  CHECK(text_of(concat({a, b}, 1)) == "(2, 4): 0 1 10 11 2 3 12 13");
  CHECK(text_of(stack({a, b})) == "(2, 2, 2): 0 1 2 3 10 11 12 13");
  CHECK(text_of(stack({a, b}, -1)) == "(2, 2, 2): 0 10 1 11 2 12 3 13");
  const auto joined = concat({a, counting<float>({1, 2})});
  static_assert(std::is_same_v<decltype(joined), const AnyLazyArray>);
  CHECK(text_of(joined.as<double>()) == "(3, 2): 0 1 2 3 0 1");
  CHECK(joined.dtype() == DType(Type::float64));
  CHECK(text_of(sum(concat({a, b})["1:3"], 0)) == "(2,): 12 14");
  CHECK(text_of(concat(std::vector<LazyArray<int>>(3, a["0"]))) == "(6,): 0 1 0 1 0 1");
  CHECK(contains(failure_of([&] { concat({a, b["0"]}); }), "shape_mismatch: concat"));
}

TEST_CASE("rechunk changes the grid and no value", "[api][manipulation]") {
  const auto a = counting<int>({5, 4}, {2, 3});
  for (const char* chunks : {"1,1", "5,4", "3,-1", "(1,4),2", "auto"}) {
    const auto b = a.rechunk(chunks);
    CHECK(text_of(b) == text_of(a));
    CHECK(text_of(b + a) == text_of(a * 2));
  }
  CHECK(a.rechunk({3, -1}).chunks() == std::vector<std::vector<Index>>{{3, 2}, {4}});
  CHECK(text_of(per_chunk(sum(a.rechunk(4)))) == "(2, 1): 120 70");
}
