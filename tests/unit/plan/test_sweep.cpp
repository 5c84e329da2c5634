// Stages that read a common source: which chunks they share, for how long.
#include <catch2/catch.hpp>
#include <support/evaluate.hpp>

namespace {

using namespace morsel;
using test::Counted;
using test::plan_of;
using test::reduced;
using test::smallest_budget;

std::vector<std::vector<Edge>> sharing_programs() {
  const Edge x = Counted::make({120, 90}, {16, 20}).edge;
  return {{x, permute_dims(x, {1, 0})},
          {reduced(Reduction::sum, rechunk(x, ChunkSpec({7, -1})), {1})},
          {morsel::apply(Op::add, {x, flip(x, {0})})},
          {reduced(Reduction::sum, x, {0}), slice(x, parse_slice("::2")), flip(x, {1})},
          {concat({x, flip(x, {1})}, 0), reduced(Reduction::max, x)}};
}

}  // namespace

TEST_CASE("a sweep books every unit of its stages once", "[plan][sweep]") {
  for (const auto& edges : sharing_programs())
    for (const std::size_t budget : {smallest_budget(edges), smallest_budget(edges) * 2, 64 * MiB}) {
      const Plan plan = plan_of(edges, budget);
      std::set<int> seen;
      for (const Sweep& sweep : plan.sweeps) {
        for (const int stage : sweep.stages) CHECK(seen.insert(stage).second);
        if (sweep.order.empty()) continue;
        std::map<std::pair<int, Index>, int> times;
        for (const Sweep::Unit& unit : sweep.order) ++times[{unit.stage, unit.number}];
        std::size_t units = 0;
        for (const int stage : sweep.stages)
          units += static_cast<std::size_t>(plan.stages[static_cast<std::size_t>(stage)].units.count());
        CHECK(times.size() == units);
        CHECK(sweep.order.size() == units);
      }
      CHECK(seen.size() == plan.stages.size());
    }
}

TEST_CASE("uses of shared chunks are counted exactly, and what they hold stays within the plan",
          "[plan][sweep]") {
  for (const auto& edges : sharing_programs())
    for (const std::size_t budget : {smallest_budget(edges), smallest_budget(edges) * 2, 64 * MiB}) {
      const Plan plan = plan_of(edges, budget);
      for (const Sweep& sweep : plan.sweeps) {
        if (sweep.chunks.empty()) continue;
        REQUIRE(sweep.need_begin.size() == sweep.order.size() + 1);
        std::vector<Index> uses(sweep.chunks.size(), 0), first(sweep.chunks.size(), -1);
        std::vector<Index> last(sweep.chunks.size(), -1);
        for (std::size_t task = 0; task < sweep.order.size(); ++task)
          for (std::size_t k = sweep.need_begin[task]; k < sweep.need_begin[task + 1]; ++k) {
            const auto chunk = static_cast<std::size_t>(sweep.needs[k]);
            ++uses[chunk];
            if (first[chunk] < 0) first[chunk] = static_cast<Index>(task);
            last[chunk] = static_cast<Index>(task);
          }
        std::size_t most = 0;
        for (std::size_t c = 0; c < sweep.chunks.size(); ++c) {
          CHECK(uses[c] == sweep.chunks[c].uses);
          CHECK(first[c] == sweep.chunks[c].first);
        }
        for (std::size_t task = 0; task < sweep.order.size(); ++task) {
          std::size_t held = 0;
          for (std::size_t c = 0; c < sweep.chunks.size(); ++c)
            if (first[c] <= static_cast<Index>(task) && static_cast<Index>(task) <= last[c])
              held += sweep.chunks[c].bytes;
          most = std::max(most, held);
        }
        CHECK(most <= sweep.shared_bytes);
      }
    }
}

TEST_CASE("with room enough every chunk is read once; with less some are read again", "[plan][sweep]") {
  for (const auto& edges : sharing_programs()) {
    CHECK(plan_of(edges, 64 * MiB).prediction.requests == 8 * 5);
    CHECK(plan_of(edges, smallest_budget(edges)).prediction.requests >= 8 * 5);
  }
}
