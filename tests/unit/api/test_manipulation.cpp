#include "arrays.hpp"
//
#include <catch2/catch.hpp>

#include <support/failure.hpp>

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

TEST_CASE("arrays of unknown dtype are joined two by two", "[api][manipulation]") {
  const auto a = counting<std::int16_t>({2});
  const AnyLazyArray any = a, other = counting<float>({1});
  static_assert(std::is_same_v<decltype(concat(any, other)), AnyLazyArray>);
  CHECK(text_of(concat(any, other).as<float>()) == "(3,): 0 1 0");
  CHECK(concat(any, other).dtype() == DType(Type::float32));
  CHECK(concat(a, other).dtype() == DType(Type::float32));
  CHECK(text_of(concat(any, a, -1).as<int>()) == "(4,): 0 1 0 1");
  CHECK(text_of(concat({any, other}).as<int>()) == "(3,): 0 1 0");
  CHECK(text_of(stack({any, any}).as<int>()) == "(2, 2): 0 1 0 1");
  CHECK(contains(failure_of([&] { concat(any, other, 1); }), "out_of_range"));
}

TEST_CASE("xtensor arrays are moved at once, by the same template", "[api][manipulation]") {
  const xt::xarray<int> x{{0, 1, 2}, {3, 4, 5}};
  const xt::xtensor<int, 2, xt::layout_type::column_major> columns = x;
  const auto a = from_array(x, {.chunks = {1, 2}});
  const auto check = [&](auto&& move) {
    static_assert(std::is_same_v<decltype(move(x)), xt::xarray<int>>);
    static_assert(std::is_same_v<decltype(move(x + 0)), xt::xarray<int>>);
    static_assert(std::is_same_v<decltype(move(a)), LazyArray<int>>);
    static_assert(std::is_same_v<decltype(move(a.any())), AnyLazyArray>);
    CHECK(text_of_elements(move(x)) == text_of(move(a)));
    CHECK(text_of_elements(move(x + 0)) == text_of(move(a)));
    CHECK(text_of_elements(move(columns)) == text_of(move(a)));
    CHECK(text_of(move(a.any()).template as<int>()) == text_of(move(a)));
  };
  check([](const auto& v) { return morsel::transpose(v); });
  check([](const auto& v) { return morsel::transpose(v, {1, 0}); });
  check([](const auto& v) { return morsel::permute_dims(v, {1, 0}); });
  check([](const auto& v) { return morsel::expand_dims(v, 1); });
  check([](const auto& v) { return morsel::squeeze(morsel::expand_dims(v, 0)); });
  check([](const auto& v) { return morsel::squeeze(morsel::take(v, {1}, 0), 0); });
  check([](const auto& v) { return morsel::flip(v); });
  check([](const auto& v) { return morsel::flip(v, {1}); });
  check([](const auto& v) { return morsel::moveaxis(v, 0, 1); });
  check([](const auto& v) { return morsel::broadcast_to(v, {2, 2, 3}); });
  check([](const auto& v) { return morsel::take(v, {2, 0, 2}, 1); });
  check([](const auto& v) { return morsel::rechunk(v, 1); });
  check([](const auto& v) { return morsel::concat({v, v}, 1); });
  check([](const auto& v) { return morsel::concat(v, v); });
  check([](const auto& v) { return morsel::concat(std::vector(3, v)); });
  check([](const auto& v) { return morsel::stack({v, v}, 1); });
  check([](const auto& v) { return morsel::stack(std::vector(3, v)); });

  const auto joined = morsel::concat(x, xt::xarray<float>{{6.5f, 7.5f, 8.5f}, {9.5f, 0.5f, 1.5f}});
  static_assert(std::is_same_v<decltype(joined), const xt::xarray<double>>);
  CHECK(text_of_elements(joined) == "(4, 3): 0 1 2 3 4 5 6.5 7.5 8.5 9.5 0.5 1.5");
  CHECK(text_of(morsel::concat(a, x)) == "(4, 3): 0 1 2 3 4 5 0 1 2 3 4 5");
  CHECK(contains(failure_of([&] { morsel::flip(x, "lat"); }), "lat"));
}

TEST_CASE("rechunk changes the grid and no value", "[api][manipulation]") {
  const auto a = counting<int>({5, 4}, {2, 3});
  for (const char* chunks : {"1,1", "5,4", "3,-1", "(1,4),2", "auto"}) {
    const auto b = a.rechunk(chunks);
    CHECK(text_of(b) == text_of(a));
    CHECK(morsel::rechunk(a, chunks).grid() == b.grid());
    CHECK(morsel::rechunk(a.any(), chunks).grid() == b.grid());
    CHECK(text_of(b + a) == text_of(a * 2));
  }
  CHECK(a.rechunk({3, -1}).chunks() == std::vector<std::vector<Index>>{{3, 2}, {4}});
  CHECK(text_of(per_chunk(sum(a.rechunk(4)))) == "(2, 1): 120 70");
}
