// Graphs that are reached along very many ways, and very deep ones.
#include <catch2/catch.hpp>
#include <morsel/graph/pass.hpp>
#include <support/evaluate.hpp>
#include <support/failure.hpp>
#include <unordered_set>

namespace {

using namespace morsel;
using morsel_test::failure_of;
using test::Counted;

Edge part(const Edge& e, const char* text) { return slice(e, parse_slice(text)); }
Edge plus(const Edge& a, const Edge& b) { return morsel::apply(Op::add, {a, b}); }

std::size_t nodes_below(const std::vector<Edge>& edges) {
  std::unordered_set<const Node*> seen;
  for (const Edge& e : edges) for_each_node(e.node, seen, [](const NodePtr&) {});
  return seen.size();
}
std::size_t nodes_after(const Edge& e, const std::vector<std::string>& skip = {}) {
  return nodes_below(optimise(trace({e}), skip).outputs);
}

}  // namespace

TEST_CASE("a stencil of many levels has one node for each part of a level that is seen", "[graph][pass]") {
  Edge x = Counted::make({400}, {100}).edge;
  for (int i = 0; i < 30; ++i) x = morsel::apply(Op::subtract, {part(x, "1:"), part(x, ":-1")});
  CHECK(nodes_after(x) == 30 * 31 / 2 + 1);
  CHECK(nodes_after(x, {"share"}) == 30 * 31 / 2 + 1);
  CHECK(nodes_after(x, {"push_views"}) == 31);
}

TEST_CASE("halves of halves are not seen through ever more views", "[graph][pass]") {
  Edge x = Counted::make({1 << 14}, {1 << 14}).edge;
  for (int i = 0; i < 14; ++i) x = plus(part(x, "::2"), part(x, "1::2"));
  CHECK(nodes_after(x) < 14 * 2 * static_cast<std::size_t>(most_views));
  CHECK(test::element<double>(test::value_of(x)) == 16384.0 * 16383.0 / 2);
}

TEST_CASE("every node is visited once, inputs first", "[graph]") {
  const Edge a = Counted::make({4}, {2}).edge;
  Edge x = plus(a, a);
  for (int i = 0; i < 40; ++i) x = plus(x, part(x, "::-1"));
  std::unordered_set<const Node*> seen, done;
  bool in_order = true;
  for_each_node(x.node, seen, [&](const NodePtr& node) {
    for (const Edge& input : inputs_of(*node)) in_order &= done.count(input.node.get()) != 0;
    CHECK(done.insert(node.get()).second);
  });
  CHECK(in_order);
  CHECK(done.size() == 42);
}

TEST_CASE("a chain of any length is optimised and given up without recursion", "[graph][pass]") {
  constexpr int length = 100'000;
  Edge x = Counted::make({8}, {8}).edge;
  for (int i = 0; i < length; ++i) x = plus(i % 2 ? x : part(x, "::-1"), x);
  const std::weak_ptr<const Node> top = x.node;
  {
    const Graph graph = optimise(trace({x}));
    CHECK(nodes_below(graph.outputs) <= 2 * length + 1);
  }
  x = {};
  CHECK(top.expired());
}

TEST_CASE("passes give up when they are asked to stop", "[graph][pass]") {
  const Edge x = Counted::make({4}, {2}).edge;
  std::stop_source stop;
  const auto run = [&] { optimise(trace({plus(x, x)}, stop.get_token())); };
  CHECK(failure_of(run).empty());
  stop.request_stop();
  CHECK(failure_of(run) == "cancelled: planning: cancelled");
}
