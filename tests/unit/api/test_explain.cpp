#include "arrays.hpp"
//
#include <catch2/catch.hpp>
#include <sstream>

using namespace morsel;
using morsel_test::counting;

namespace {

template <class X>
std::string printed(const X& x) {
  std::ostringstream out;
  out << x;
  return out.str();
}
bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("arrays, shapes, grids and types print", "[api][print]") {
  const auto a = counting<float>({3, 4}, {2, 4});
  CHECK(printed(a) == "LazyArray<float32>(shape=(3, 4), chunks=((2, 1), (4,)), 48 B)");
  CHECK(printed(a.any()) == printed(a));
  CHECK(printed(a.shape()) == "(3, 4)");
  CHECK(printed(a.grid()) == "((2, 1), (4,))");
  CHECK(printed(a.dtype()) == "float32");
  CHECK(printed(Region::of({3, 4})) == "[0:3, 0:4]");
}

TEST_CASE("explain says what a run would do, and nothing runs", "[api][explain]") {
  bool ran = false;
  const auto a = map(
      [&ran](float v) {
        ran = true;
        return v;
      },
      counting<float>({100, 10}, {7, 3}));
  const Explanation plan = explain(sum(a), {.memory = "16MiB"});
  CHECK(printed(plan) == plan.text());
  CHECK(has(plan.text(), "sum"));
  CHECK(plan.json().front() == '{');
  CHECK(has(plan.dot(), "digraph"));
  CHECK(has(plan.svg(), "<svg"));
  const Explanation several = explain({.memory = "16MiB"}, min(a), max(a));
  CHECK(has(several.text(), "min"));
  CHECK(has(several.text(), "max"));
  CHECK(has(graph(sum(a)).dot(), "digraph"));
  CHECK(has(graph(min(a), max(a)).json(), "max"));
  CHECK_FALSE(ran);
}
