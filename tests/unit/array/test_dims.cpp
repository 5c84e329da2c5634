#include <catch2/catch.hpp>
#include <limits>
#include <morsel/array/dims.hpp>

using namespace morsel;

namespace {

constexpr Index most = std::numeric_limits<Index>::max();

Errc code_of_size(const Shape& shape) {
  try {
    size_of(shape);
  } catch (const Error& error) {
    return error.code();
  }
  return Errc::internal_error;
}

}  // namespace

TEST_CASE("the size of a shape is the product of its extents", "[array]") {
  CHECK(size_of({}) == 1);
  CHECK(size_of({5}) == 5);
  CHECK(size_of({2, 3, 4}) == 24);
  CHECK(size_of({2, 0, 4}) == 0);
  CHECK(size_of({most}) == most);
  CHECK(size_of({most, 1, 1}) == most);
  CHECK(size_of({most, most, 0}) == 0);
  CHECK(size_of({0, most, most}) == 0);
  CHECK(size_of(Shape(32, 1)) == 1);
}

TEST_CASE("shapes that are too large, too deep or negative are refused", "[array]") {
  CHECK(code_of_size({most, 2}) == Errc::overflow);
  CHECK(code_of_size({Index{1} << 32, Index{1} << 31}) == Errc::overflow);
  CHECK(code_of_size({3, -1}) == Errc::invalid_argument);
  CHECK(code_of_size({0, -1}) == Errc::invalid_argument);
  CHECK(code_of_size(Shape(33, 1)) == Errc::invalid_argument);
}

TEST_CASE("C-order strides are bytes to the next element of each axis", "[array]") {
  CHECK(c_strides({}, 8) == Dims{});
  CHECK(c_strides({5}, 8) == Dims{8});
  CHECK(c_strides({2, 3, 4}, 2) == Dims{24, 8, 2});
  CHECK(c_strides({2, 0, 4}, 1) == Dims{4, 4, 1});
  CHECK_THROWS_AS(c_strides({2, most}, 8), Error);
}

TEST_CASE("shapes print as NumPy's", "[array]") {
  CHECK(to_string(Shape{}) == "()");
  CHECK(to_string(Shape{3}) == "(3,)");
  CHECK(to_string(Shape{100, 512, 512}) == "(100, 512, 512)");
  CHECK(to_string(Dims{-1, 0}) == "(-1, 0)");
}

TEST_CASE("shapes broadcast as NumPy's", "[array]") {
  struct Case {
    Shape a, b, result;
  };
  const Case table[] = {
      {{}, {}, {}},
      {{}, {3}, {3}},
      {{3}, {1}, {3}},
      {{2, 3}, {3}, {2, 3}},
      {{2, 1}, {1, 3}, {2, 3}},
      {{2, 1, 4}, {3, 1}, {2, 3, 4}},
      {{1}, {0}, {0}},
      {{0}, {1}, {0}},
      {{0, 1}, {5}, {0, 5}},
      {{1, 1, 1}, {1}, {1, 1, 1}},
  };
  for (const Case& c : table) {
    CHECK(to_string(broadcast_shapes(c.a, c.b)) == to_string(c.result));
    CHECK(to_string(broadcast_shapes(c.b, c.a)) == to_string(c.result));
  }
  for (const auto& [a, b] :
       {std::pair(Shape{2}, Shape{3}), std::pair(Shape{0}, Shape{2}), std::pair(Shape{2, 3}, Shape{2, 1, 2})})
    try {
      broadcast_shapes(a, b);
      FAIL("not refused");
    } catch (const Error& error) {
      CHECK(error.code() == Errc::shape_mismatch);
      CHECK(std::string(error.what()).find(to_string(a)) != std::string::npos);
      CHECK(std::string(error.what()).find(to_string(b)) != std::string::npos);
    }
}

TEST_CASE("negative axes count from the end", "[array]") {
  CHECK(normalize_axis(0, 3, "x") == 0);
  CHECK(normalize_axis(2, 3, "x") == 2);
  CHECK(normalize_axis(-1, 3, "x") == 2);
  CHECK(normalize_axis(-3, 3, "x") == 0);
  const std::pair<Index, int> refused[] = {{3, 3}, {-4, 3}, {0, 0}, {-1, 0}, {most, 2}, {-most - 1, 2}};
  for (const auto& [axis, rank] : refused) try {
      normalize_axis(axis, rank, "reducing");
      FAIL("not refused");
    } catch (const Error& error) {
      CHECK(error.code() == Errc::out_of_range);
      CHECK(std::string(error.what()).rfind("reducing: ", 0) == 0);
      CHECK(std::string(error.what())
                .find("got " + std::string(rank == 0 ? "axis " : "") + std::to_string(axis)) !=
            std::string::npos);
    }
}
