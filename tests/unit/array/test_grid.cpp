#include <algorithm>
#include <catch2/catch.hpp>
#include <limits>
#include <morsel/array/grid.hpp>
#include <random>

using namespace morsel;

namespace {

using Random = std::mt19937;

Index below(Random& random, Index n) { return static_cast<Index>(random() % static_cast<std::uint64_t>(n)); }

/// Boundaries of random pieces, and the axis grid made from them in one of the ways to make one.
struct RandomAxis {
  std::vector<Index> boundaries{0};
  AxisGrid grid;

  RandomAxis(Random& random, Index extent) {
    const Index step = below(random, std::max<Index>(extent, 1)) + 1;
    const Index first = random() % 2 ? below(random, std::max<Index>(extent, 1)) + 1 : 0;
    const int kind = extent == 0 ? 0 : static_cast<int>(random() % 3);
    if (kind == 0) {
      grid = AxisGrid::regular(extent, step, first);
      for (Index b = first > 0 ? first : step; b < extent; b += step) boundaries.push_back(b);
    } else {
      for (Index b = 1; b < extent; ++b)
        if (random() % 3 == 0) boundaries.push_back(b);
    }
    if (extent > 0) boundaries.push_back(extent);
    if (kind == 1) grid = AxisGrid::from_boundaries(boundaries);
    if (kind == 2) {
      std::vector<Index> lengths;
      for (std::size_t i = 1; i < boundaries.size(); ++i) {
        lengths.push_back(boundaries[i] - boundaries[i - 1]);
        if (random() % 4 == 0) lengths.push_back(0);
      }
      grid = AxisGrid::from_lengths(lengths);
    }
  }
};

}  // namespace

TEST_CASE("an axis grid is the partition it was made from", "[array]") {
  Random random(1);
  for (int round = 0; round < 3000; ++round) {
    const Index extent = below(random, 30);
    const RandomAxis axis(random, extent);
    const AxisGrid& grid = axis.grid;
    REQUIRE(grid.extent() == extent);
    REQUIRE(grid.count() == static_cast<Index>(axis.boundaries.size()) - 1);
    Index longest = 0;
    bool uniform = true;
    for (Index k = 0; k < grid.count(); ++k) {
      const Index begin = axis.boundaries[static_cast<std::size_t>(k)];
      const Index end = axis.boundaries[static_cast<std::size_t>(k) + 1];
      REQUIRE(grid.begin(k) == begin);
      REQUIRE(grid.end(k) == end);
      REQUIRE(grid.length(k) == end - begin);
      for (Index p = begin; p < end; ++p) REQUIRE(grid.chunk_of(p) == k);
      longest = std::max(longest, end - begin);
      uniform &= k + 1 == grid.count() ? end - begin <= grid.length(0) : end - begin == grid.length(0);
    }
    REQUIRE(grid.longest() == longest);
    if (grid.is_uniform()) REQUIRE(uniform);
  }
}

TEST_CASE("axis grids are equal if they cut alike, however they were made", "[array]") {
  Random random(2);
  int equal = 0;
  for (int round = 0; round < 20000; ++round) {
    const Index extent = below(random, 7);
    const RandomAxis a(random, extent), b(random, extent);
    REQUIRE((a.grid == b.grid) == (a.boundaries == b.boundaries));
    equal += a.grid == b.grid;
  }
  CHECK(equal > 1000);
  CHECK_FALSE(AxisGrid::regular(10, 4) == AxisGrid::regular(11, 4));
}

TEST_CASE("regular lists of boundaries are kept in constant space", "[array]") {
  CHECK(AxisGrid::from_lengths({4, 4, 2}).is_regular());
  CHECK(AxisGrid::from_lengths({2, 4, 4, 1}).is_regular());
  CHECK(AxisGrid::from_lengths({4, 2}).is_regular());
  CHECK(AxisGrid::from_lengths({2, 4}).is_regular());
  CHECK_FALSE(AxisGrid::from_lengths({2, 4, 3, 1}).is_regular());
  CHECK_FALSE(AxisGrid::from_lengths({4, 2, 2}).is_regular());
  CHECK(AxisGrid::from_lengths({4, 4, 2}).is_uniform());
  CHECK_FALSE(AxisGrid::from_lengths({2, 4, 4}).is_uniform());
  CHECK(AxisGrid::regular(std::numeric_limits<Index>::max(), 1).count() == std::numeric_limits<Index>::max());
  CHECK(AxisGrid::regular(5, std::numeric_limits<Index>::max()).count() == 1);
}

TEST_CASE("impossible axis grids are refused", "[array]") {
  CHECK_THROWS_AS(AxisGrid::regular(10, 0), Error);
  CHECK_THROWS_AS(AxisGrid::regular(10, -1), Error);
  CHECK_THROWS_AS(AxisGrid::regular(-1, 1), Error);
  CHECK_THROWS_AS(AxisGrid::regular(10, 2, -1), Error);
  CHECK_THROWS_AS(AxisGrid::from_lengths({3, -1}), Error);
  CHECK_THROWS_AS(AxisGrid::from_lengths({std::numeric_limits<Index>::max(), 1}), Error);
  CHECK_THROWS_AS(AxisGrid::from_boundaries({}), Error);
  CHECK_THROWS_AS(AxisGrid::from_boundaries({1, 2}), Error);
  CHECK_THROWS_AS(AxisGrid::from_boundaries({0, 2, 2}), Error);
  CHECK_THROWS_AS(Grid::regular({10, 10}, {5}), Error);
  CHECK_THROWS_AS(Grid::regular({10}, {0}), Error);
}

TEST_CASE("chunks are disjoint, cover the array, and are found by position, number and region", "[array]") {
  Random random(3);
  for (int round = 0; round < 600; ++round) {
    Shape shape(static_cast<std::size_t>(below(random, 4)));
    for (Index& n : shape) n = below(random, 9);
    std::vector<AxisGrid> axes;
    for (const Index n : shape) axes.push_back(RandomAxis(random, n).grid);
    const Grid grid(axes);
    REQUIRE(grid.shape() == shape);
    REQUIRE(grid.count() == Region::of(grid.counts()).size());

    const Dims strides = c_strides(shape, 1);
    const auto flat = [&](const Dims& position) {
      Index at = 0;
      for (std::size_t i = 0; i < position.size(); ++i) at += position[i] * strides[i];
      return static_cast<std::size_t>(at);
    };
    std::vector<Index> owner(static_cast<std::size_t>(size_of(shape)), -1);
    Index number = 0;
    Shape largest(shape.size(), 0);
    for_each_position(Region::of(grid.counts()), [&](const Dims& position) {
      REQUIRE(grid.number(position) == number);
      REQUIRE(grid.position(number) == position);
      const Region region = grid.region(position);
      REQUIRE(region == grid.region(number));
      REQUIRE(Region::of(shape).contains(region));
      for (std::size_t i = 0; i < shape.size(); ++i)
        largest[i] = std::max(largest[i], region.hi[i] - region.lo[i]);
      for_each_position(region, [&](const Dims& element) {
        REQUIRE(owner[flat(element)] == -1);
        owner[flat(element)] = number;
      });
      ++number;
    });
    REQUIRE(number == grid.count());
    REQUIRE(std::count(owner.begin(), owner.end(), -1) == 0);
    if (number > 0) REQUIRE(grid.chunk_shape() == largest);

    if (size_of(shape) == 0) continue;
    Region box = Region::of(shape);
    for (std::size_t i = 0; i < shape.size(); ++i) {
      box.lo[i] = below(random, shape[i]);
      box.hi[i] = box.lo[i] + 1 + below(random, shape[i] - box.lo[i]);
    }
    std::vector<Index> touched, listed;
    for_each_position(box, [&](const Dims& element) { touched.push_back(owner[flat(element)]); });
    std::sort(touched.begin(), touched.end());
    touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
    for_each_position(grid.overlapping(box),
                      [&](const Dims& position) { listed.push_back(grid.number(position)); });
    REQUIRE(listed == touched);
  }
}

TEST_CASE("a 0-d grid has one chunk and an empty axis none", "[array]") {
  const Grid scalar = Grid::whole({});
  CHECK(scalar.count() == 1);
  CHECK(scalar.region(0) == Region{});
  const Grid empty = Grid::whole({3, 0});
  CHECK(empty.count() == 0);
  CHECK(empty.counts() == Dims{1, 0});
  CHECK(empty.shape() == Shape{3, 0});
  CHECK(Grid::whole({3, 4}).count() == 1);
}

TEST_CASE("grids print as dask's chunks, long lists shortened", "[array]") {
  CHECK(to_string(Grid::regular({10, 6}, {4, 3})) == "((4, 4, 2), (3, 3))");
  CHECK(to_string(Grid::whole({5})) == "((5,),)");
  CHECK(to_string(Grid::whole({})) == "()");
  CHECK(to_string(Grid::whole({0, 2})) == "((), (2,))");
  CHECK(to_string(Grid::regular({100}, {7})) == "((7, 7, 7, ... 11 more, 2),)");
}

TEST_CASE("the number of chunks overflows with an error, not in silence", "[array]") {
  const Index n = Index{1} << 40;
  CHECK_THROWS_AS(Grid::regular({n, n}, {1, 1}).count(), Error);
  CHECK(Grid::regular({n, n, 0}, {1, 1, 1}).count() == 0);
}

TEST_CASE("positions of a box are visited in C order", "[array]") {
  std::vector<Dims> seen;
  for_each_position({{1, 5}, {3, 7}}, [&](const Dims& position) { seen.push_back(position); });
  CHECK(seen == std::vector<Dims>{{1, 5}, {1, 6}, {2, 5}, {2, 6}});
  int count = 0;
  for_each_position({{1, 5}, {3, 5}}, [&](const Dims&) { ++count; });
  CHECK(count == 0);
  for_each_position({}, [&](const Dims&) { ++count; });
  CHECK(count == 1);
}
