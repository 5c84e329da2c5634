// How repeated expressions become stages: what grows with their size, and not with the ways through them.
#include <catch2/catch.hpp>
#include <support/evaluate.hpp>
#include <support/failure.hpp>

namespace {

using namespace morsel;
using morsel_test::contains;
using morsel_test::failure_of;
using test::Counted;
using test::plan_of;
using test::reduced;
using test::value_of;
using test::Whole;

Edge part(const Edge& e, const char* text) { return slice(e, parse_slice(text)); }
Edge plus(const Edge& a, const Edge& b) { return morsel::apply(Op::add, {a, b}); }
Edge times(double a, const Edge& b) { return morsel::apply(Op::multiply, {Scalar::of(a), b}); }
Edge minus(const Edge& a, const Edge& b) { return morsel::apply(Op::subtract, {a, b}); }
Edge roll(const Edge& x, Index by, Index axis) {
  const Index n = x.shape()[static_cast<std::size_t>(axis)];
  SliceItems tail, head;
  for (Index i = 0; i < axis; ++i) {
    tail.push_back(range(morsel::_, morsel::_));
    head.push_back(range(morsel::_, morsel::_));
  }
  const Index cut = ((n - by) % n + n) % n;
  tail.push_back(range(cut, morsel::_));
  head.push_back(range(morsel::_, cut));
  return concat({slice(x, tail), slice(x, head)}, axis);
}
/// x + 0.1 * (left + right - 2 x) on a ring.
Edge heat(Edge x, int steps, Index by) {
  for (int i = 0; i < steps; ++i)
    x = plus(x, times(0.1, minus(plus(roll(x, by, 0), roll(x, -by, 0)), times(2.0, x))));
  return x;
}
std::vector<double> heat(std::vector<double> x, int steps, std::size_t by) {
  const std::size_t n = x.size();
  for (int i = 0; i < steps; ++i) {
    std::vector<double> next(n);
    for (std::size_t k = 0; k < n; ++k)
      next[k] = x[k] + 0.1 * ((x[(k + n - by) % n] + x[(k + by) % n]) - 2.0 * x[k]);
    x = std::move(next);
  }
  return x;
}
/// 0, 1, 4, 9, ... modulo a prime: no symmetry that would hide a wrong neighbour.
Edge uneven(const Counted& counted) {
  const Edge x = counted.edge;
  return morsel::apply(Op::remainder, {morsel::apply(Op::multiply, {x, x}), Scalar::of(std::int64_t{1009})});
}
std::vector<double> uneven(std::size_t n) {
  std::vector<double> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<double>(i * i % 1009);
  return values;
}
bool equal(const Whole& a, const std::vector<double>& b) {
  return a.bytes.size() == b.size() * sizeof(double) &&
         std::memcmp(a.bytes.data(), b.data(), a.bytes.size()) == 0;
}
std::size_t ports_of(const Plan& plan) {
  std::size_t n = 0;
  for (const Stage& stage : plan.stages) n += stage.ports.size();
  return n;
}

}  // namespace

TEST_CASE("a stencil on a ring needs ports by its steps, not by the ways through them", "[plan][form]") {
  const auto [by, steps] = GENERATE(table<Index, int>({{1, 6}, {1, 20}, {3, 20}, {40, 6}}));
  CAPTURE(by, steps);
  const Counted counted = Counted::make({1000}, {100});
  const Edge x = heat(uneven(counted), steps, by);
  CHECK(ports_of(plan_of({x})) < static_cast<std::size_t>(20 * steps * steps));
  const std::vector<double> expected = heat(uneven(1000), steps, static_cast<std::size_t>(by));
  CHECK(equal(value_of(x), expected));
  if (steps > 6) return;
  for (const std::vector<std::string>& skip :
       {std::vector<std::string>{"push_views"}, {"share"}, {"fuse"}, {"push_views", "share", "super"}})
    CHECK(equal(value_of(x, {.skip_passes = skip}), expected));
  const std::size_t least = test::smallest_budget({x});
  CHECK(equal(value_of(x, {.memory = Bytes(least), .threads = 1}), expected));
}

TEST_CASE("a stencil on a torus gives the values of its loops", "[plan][form]") {
  constexpr std::size_t rows = 30, columns = 40;
  const Counted counted = Counted::make({rows, columns}, {7, 40});
  Edge x = uneven(counted);
  std::vector<double> values = uneven(rows * columns);
  for (int step = 0; step < 4; ++step) {
    const Edge sum = plus(plus(roll(x, 1, 0), roll(x, -1, 0)), plus(roll(x, 1, 1), roll(x, -2, 1)));
    x = plus(x, times(0.125, minus(sum, times(4.0, x))));
    std::vector<double> next(values.size());
    const auto at = [&](std::size_t i, std::size_t j) { return values[(i % rows) * columns + j % columns]; };
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j)
        next[i * columns + j] =
            at(i, j) +
            0.125 * (((at(i + rows - 1, j) + at(i + 1, j)) + (at(i, j + columns - 1) + at(i, j + 2))) -
                     4.0 * at(i, j));
    values = std::move(next);
  }
  CHECK(equal(value_of(x), values));
  CHECK(equal(value_of(x, {.skip_passes = {"push_views"}}), values));
}

TEST_CASE("a join of parts of one source reads those parts and nothing between", "[plan][form]") {
  const Counted counted = Counted::make({100}, {10});
  const Edge& x = counted.edge;
  struct Case {
    std::vector<const char*> parts;
    std::set<Index> touched;
  };
  const Case cases[] = {{{"0:10", "20:30"}, {0, 2}},
                        {{"0:10", "10:20", "30:35"}, {0, 1, 3}},
                        {{"95:", ":5"}, {0, 9}},
                        {{"50:60", "20:30", "50:60"}, {2, 5}}};
  for (const Case& c : cases) {
    std::vector<Edge> parts;
    std::vector<double> expected;
    for (const char* text : c.parts) {
      parts.push_back(part(x, text));
      const Whole w = value_of(parts.back());
      for (std::size_t i = 0; i < w.bytes.size() / sizeof(double); ++i)
        expected.push_back(test::element<double>(w, i));
    }
    counted.log->clear();
    CHECK(equal(value_of(concat(parts, 0)), expected));
    CHECK(counted.log->touched() == c.touched);
    CHECK(counted.log->most_reads_of_a_chunk() == 1);
  }
}

TEST_CASE("the chunks of a source that is also joined are read once", "[plan][form]") {
  const Counted counted = Counted::make({100}, {10});
  const Edge x = counted.edge;
  const Whole sum = value_of(plus(x, roll(x, 1, 0)), {.threads = 1});
  CHECK(test::element<double>(sum, 0) == 99);
  CHECK(test::element<double>(sum, 50) == 99);
  CHECK(counted.log->most_reads_of_a_chunk() == 1);
}

TEST_CASE("a chain of any length is planned and computed without recursion", "[plan][form]") {
  Edge x = Counted::make({8}, {8}).edge;
  for (int i = 0; i < 20'000; ++i) x = plus(x, times(1.0, x));
  CHECK(std::isinf(test::element<double>(value_of(x), 1)));
  Edge nested = Counted::make({8}, {8}).edge;
  for (int i = 0; i < 300; ++i) nested = minus(nested, reduced(Reduction::min, nested));
  CHECK(test::element<double>(value_of(nested), 7) == 7);
  Edge joined = Counted::make({8}, {8}).edge;
  for (int i = 0; i < 100; ++i) joined = plus(roll(joined, 1, 0), times(0.0, joined));
  CHECK(test::element<double>(value_of(joined), 7) == 3);
}

TEST_CASE("ways through a graph that cannot be shared are refused, not followed for ever", "[plan][form]") {
  Edge x = Counted::make({1000}, {1000}).edge;
  for (int i = 0; i < 20; ++i)
    x = plus(concat({take(x, {1, 0, 2}, 0), part(x, "3:")}, 0), take(x, std::vector<Index>(1000, 1), 0));
  CHECK(contains(
      failure_of([&] { plan_of({x}); }),
      "unsupported: planning 'add': too many inputs and nested expressions that one pass over an array reads "
      "along several ways; expected at most 8192 further ways, got more"));
}

TEST_CASE("of many joined arrays a step looks at those that it needs", "[plan][form]") {
  // More than any limit on ways to read, and quadratic work would take minutes.
  std::vector<Edge> parts;
  for (int i = 0; i < 20'000; ++i) parts.push_back(Counted::make({3}, {3}).edge);
  const Edge joined = concat(parts, 0);
  const Plan plan = plan_of({joined});
  REQUIRE(plan.stages.size() == 1);
  const Stage& stage = plan.stages[0];
  CHECK(stage.ports.size() == 20'001);
  const Region box{{30'001}, {30'008}};
  const StepLayout layout = lay_out(stage, box);
  CHECK(layout.needs.size() == 4);  // the join, and three arrays
  CHECK(layout.fetches.size() == 3);
  CHECK(contains(to_text(plan), "... 19977 more\n"));
  CHECK(plan.notes.empty());  // no chunk is cut, none is kept
  CHECK(to_dot(plan).size() < 10'000);
  CHECK(test::element<double>(value_of(reduced(Reduction::sum, joined))) == 20'000 * 3);
}

TEST_CASE("chunks of joined arrays are kept only where steps cut them", "[plan][form]") {
  const auto cut = [](const Edge& e) { return contains(to_text(plan_of({e})), "chunks_cut"); };
  // Chunks too long for several to make a step.
  const Index n = 40'000;
  const Edge a = Counted::make({6, n}, {3, n}).edge, b = Counted::make({6, n}, {2, n}).edge;
  const Edge joined = concat({a, b}, 0);
  CHECK_FALSE(cut(joined));
  CHECK_FALSE(cut(plus(joined, times(2.0, part(joined, "::1")))));
  CHECK_FALSE(cut(concat({joined, Counted::make({6, n}, {6, n / 2}).edge}, 0)));
  CHECK_FALSE(cut(part(joined, "3:8")));
  // Steps of two that begin at 1.
  CHECK(cut(reduced(Reduction::sum, rechunk(part(joined, "1:"), ChunkSpec({2, n})))));
  CHECK(cut(plus(joined, flip(joined, {0}))));  // each chunk twice
}

TEST_CASE("planning gives up when it is asked to stop", "[plan]") {
  const Edge x = Counted::make({100}, {10}).edge;
  Graph graph = optimise(trace({plus(x, x)}));
  std::stop_source stop;
  graph.stop = stop.get_token();
  stop.request_stop();
  Limits limits;
  limits.memory_bytes = std::size_t{1} << 30;
  CHECK(failure_of([&] { lower(graph, {}, limits); }) == "cancelled: planning: cancelled");
}
