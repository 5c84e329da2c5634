#include <catch2/catch.hpp>
#include <limits>
#include <morsel/base/checked.hpp>

using namespace morsel;

namespace {

constexpr Index most = std::numeric_limits<Index>::max();
constexpr Index least = std::numeric_limits<Index>::min();

}  // namespace

TEST_CASE("checked products and sums are exact or refused", "[base]") {
  struct Case {
    Index a, b;
    bool product_fits, sum_fits;
  };
  const Case table[] = {
      {0, most, true, true},
      {1, most, true, false},
      {2, most, false, false},
      {3037000499, 3037000499, true, true},
      {3037000500, 3037000500, false, true},
      {-1, most, true, true},
      {-1, least, false, false},
      {1, least, true, true},
      {most, most, false, false},
      {least, least, false, false},
      {Index{1} << 31, Index{1} << 31, true, true},
      {Index{1} << 32, Index{1} << 31, false, true},
  };
  for (const Case& c : table) {
    INFO(c.a << " and " << c.b);
    if (c.product_fits)
      CHECK(checked_mul(c.a, c.b) == c.a * c.b);
    else
      CHECK_THROWS_AS(checked_mul(c.a, c.b), Error);
    if (c.sum_fits)
      CHECK(checked_add(c.a, c.b) == c.a + c.b);
    else
      CHECK_THROWS_AS(checked_add(c.a, c.b), Error);
  }
}

TEST_CASE("an overflow names what overflowed and both numbers", "[base]") {
  try {
    checked_mul(most, 2, "array bytes");
    FAIL("not refused");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::overflow);
    CHECK(std::string(error.what()) ==
          "array bytes overflows; expected a product below 2^63, got 9223372036854775807 x 2");
  }
}

TEST_CASE("divisions round up", "[base]") {
  CHECK(ceil_div(0, 3) == 0);
  CHECK(ceil_div(1, 3) == 1);
  CHECK(ceil_div(3, 3) == 1);
  CHECK(ceil_div(4, 3) == 2);
  CHECK(ceil_div(most, 1) == most);
  CHECK(ceil_div(most, most) == 1);
  CHECK(ceil_div(most, 2) == most / 2 + 1);
  CHECK(round_up(0, 8) == 0);
  CHECK(round_up(1, 8) == 8);
  CHECK(round_up(8, 8) == 8);
  CHECK(round_up(9, 8) == 16);
}
