// The first include is morsel's: what is tested is that xtensor works behind it, in C++20.
#include "arrays.hpp"
//
#include <morsel/morsel.hpp>
//
#include <catch2/catch.hpp>

namespace {

const xt::xarray<double> x{{1, 2, 3}, {4, 5, 6}};

template <class X>
bool equal(const X& a, std::initializer_list<double> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

}  // namespace

TEST_CASE("xtensor's own reducers work behind morsel's header", "[api][xtensor]") {
  const xt::xarray<double> sums = xt::sum(x, {0}, xt::evaluation_strategy::immediate);
  CHECK(equal(sums, {5, 7, 9}));
  const auto rows = xt::sum(x, {1}, xt::evaluation_strategy::immediate);
  CHECK(rows.dimension() == 1);
  CHECK(equal(rows, {6, 15}));
  const auto all = xt::sum(x, xt::evaluation_strategy::immediate);
  CHECK(all() == 21);
  const xt::xarray<double> most = xt::amax(x, {0}, xt::keep_dims | xt::evaluation_strategy::immediate);
  CHECK(most.shape() == xt::xarray<double>::shape_type{1, 3});
  CHECK(equal(most, {4, 5, 6}));
  const xt::xarray<double> variance = xt::variance(x, {1});
  CHECK(variance(0) == Approx(2.0 / 3));
  CHECK(variance(1) == Approx(2.0 / 3));
}

TEST_CASE("xtensor's pad and tile work behind morsel's header", "[api][xtensor]") {
  const xt::xarray<double> padded = xt::pad(x, 1);
  CHECK(padded.shape() == xt::xarray<double>::shape_type{4, 5});
  CHECK(padded(1, 1) == 1);
  CHECK(padded(0, 0) == 0);
  const xt::xarray<double> tiled = xt::tile(x, 2);
  CHECK(tiled.size() == 12);
}

TEST_CASE("functions that both libraries have can be called without their namespace", "[api][xtensor]") {
  using namespace morsel;
  xt::xarray<double> y = x;
  const auto check = [&](const xt::xarray<double>& a, const xt::xarray<double>& b) { CHECK(a == b); };
  check(flip(x), morsel::flip(y));  // xtensor 0.24 writes through its flip(y)
  check(flip(x, 1), flip(y, 1));
  check(transpose(x), transpose(y));
  check(squeeze(x), squeeze(y));
}
