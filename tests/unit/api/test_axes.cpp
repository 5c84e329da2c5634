#include <catch2/catch.hpp>
#include <morsel/api/axes.hpp>

#include <support/failure.hpp>

using namespace morsel;
using morsel_test::failure_of;

namespace {

const std::vector<std::string> names{"time", "", "lon"};
std::vector<Index> found(const Axes& axes) { return find_axes(axes, names, 3, "sum"); }

}  // namespace

TEST_CASE("axes are numbers, names, lists of both, or all", "[api][axes]") {
  CHECK(found({}) == std::vector<Index>{0, 1, 2});
  CHECK(found(all_axes) == std::vector<Index>{0, 1, 2});
  CHECK(found(0) == std::vector<Index>{0});
  CHECK(found(-1) == std::vector<Index>{2});
  CHECK(found("lon") == std::vector<Index>{2});
  CHECK(found(std::string("time")) == std::vector<Index>{0});
  CHECK(found({0, "lon"}) == std::vector<Index>{0, 2});
  CHECK(found({"lon", "time"}) == std::vector<Index>{2, 0});
  CHECK(found({1}) == std::vector<Index>{1});
  CHECK(found(std::vector<Index>{}) == std::vector<Index>{});
  CHECK(found(std::vector<Index>{1, 0}) == std::vector<Index>{1, 0});
}

TEST_CASE("an unknown axis is refused with those that there are", "[api][axes]") {
  CHECK(failure_of([] { found("lat"); }) ==
        "invalid_argument: sum: no dimension of that name; expected 'time', 'lon', got 'lat'");
  CHECK(failure_of([] { found(""); }) ==
        "invalid_argument: sum: no dimension of that name; expected 'time', 'lon', got ''");
  CHECK(failure_of([] { find_axes("x", {}, 2, "mean"); }) ==
        "invalid_argument: mean: no dimension of that name; expected a number, for the dimensions have no "
        "names, got 'x'");
  CHECK(failure_of([] { found(3); }) == "out_of_range: sum: axis out of range; expected -3 to 2, got 3");
}
