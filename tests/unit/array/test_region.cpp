#include <catch2/catch.hpp>
#include <morsel/array/region.hpp>

using namespace morsel;

TEST_CASE("a region knows its shape, size and what it contains", "[array]") {
  const Region r{{1, 2}, {4, 6}};
  CHECK(r.shape() == Shape{3, 4});
  CHECK(r.size() == 12);
  CHECK(r.contains(r));
  CHECK(r.contains({{1, 2}, {2, 3}}));
  CHECK_FALSE(r.contains({{0, 2}, {2, 3}}));
  CHECK_FALSE(r.contains({{1, 2}, {5, 3}}));
  CHECK(Region::of({2, 3}) == Region{{0, 0}, {2, 3}});
  CHECK(Region::of({}).size() == 1);
  CHECK(Region{{3}, {1}}.size() == 0);
  CHECK(Region{{3, 3}, {1, 1}}.size() == 0);
}

TEST_CASE("regions intersect and join", "[array]") {
  const Region a{{0, 0}, {4, 4}}, b{{2, 3}, {6, 9}}, c{{5, 5}, {6, 6}};
  CHECK(intersect(a, b) == Region{{2, 3}, {4, 4}});
  CHECK(intersect(a, c).size() == 0);
  CHECK(hull(a, c) == Region{{0, 0}, {6, 6}});
  CHECK(hull(a, b) == Region{{0, 0}, {6, 9}});
}

TEST_CASE("regions print as slices", "[array]") {
  CHECK(to_string(Region{{0, 5}, {10, 6}}) == "[0:10, 5:6]");
  CHECK(to_string(Region{}) == "[]");
}
