// How graphs become stages, steps and budgets.
#include <catch2/catch.hpp>
#include <morsel/io/generated.hpp>
#include <morsel/kernel/map.hpp>
#include <morsel/plan/cost.hpp>
#include <set>
#include <support/evaluate.hpp>
#include <support/failure.hpp>
#include <support/random_program.hpp>
#include <support/seed.hpp>

namespace {

using namespace morsel;
using morsel_test::contains;
using morsel_test::failure_of;
using test::Counted;
using test::plan_of;
using test::reduced;
using test::smallest_budget;

Edge sqrt_of_square(const Edge& x) { return morsel::apply(Op::sqrt, {morsel::apply(Op::multiply, {x, x})}); }
Edge minus_mean(const Edge& x, const std::vector<Index>& axes) {
  return morsel::apply(Op::subtract, {x, reduced(Reduction::mean, x, axes, true)});
}
bool has_note(const Plan& plan, const std::string& text) {
  return std::any_of(plan.notes.begin(), plan.notes.end(),
                     [&](const std::string& note) { return contains(note, text); });
}
/// Every element of the stage's shape lies in exactly one step.
bool steps_cover(const Stage& stage) {
  Index elements = 0;
  for_each_position(Region::of(stage.steps.counts()),
                    [&](const Dims& at) { elements += stage.steps.region(at).size(); });
  return elements == size_of(stage.shape) && stage.steps.shape() == stage.shape;
}

}  // namespace

TEST_CASE("an elementwise region is one stage, reductions over it join it", "[plan]") {
  const Edge x = Counted::make({400, 300}, {50, 60}).edge;
  const Edge e = sqrt_of_square(x);
  CHECK(plan_of({e}).stages.size() == 1);
  const Plan three = plan_of({e, reduced(Reduction::sum, e), reduced(Reduction::max, e, {1})});
  CHECK(three.passes == 1);
  CHECK(three.stages.size() == 1);
  CHECK(three.stages[0].stores.size() == 1);
  CHECK(three.stages[0].groups.size() == 2);
  CHECK(three.prediction.requests == 40);
}

TEST_CASE("what needs a finished reduction takes another pass, and says how it reads again", "[plan]") {
  const Edge x = Counted::make({400, 300}, {50, 60}).edge;
  const Plan one = plan_of({minus_mean(x, {0})});
  CHECK(one.passes == 2);
  CHECK(one.prediction.requests == 80);
  CHECK(contains(to_text(one), "(again: pass 1 reads it too)"));
  const Edge deviations =
      morsel::apply(Op::divide, {minus_mean(x, {0}), reduced(Reduction::stddev, x, {0}, true)});
  CHECK(plan_of({deviations}).passes == 2);
  CHECK(plan_of({minus_mean(minus_mean(x, {0}), {1})}).passes == 3);
}

TEST_CASE("folds with equal states share them", "[plan]") {
  const Edge x = Counted::make({400, 300}, {50, 60}).edge;
  const auto folds = [](const Plan& plan) {
    std::size_t count = 0;
    for (const Stage& stage : plan.stages)
      for (const ReduceGroup& group : stage.groups) count += group.folds.size();
    return count;
  };
  const std::vector<Edge> edges{reduced(Reduction::var, x), reduced(Reduction::stddev, x),
                                reduced(Reduction::mean, x)};
  CHECK(folds(plan_of(edges)) < folds(plan_of(edges, std::size_t{1} << 40, 1, {}, {"share"})));
}

TEST_CASE("steps cover the array once, and declared chunks stay as they are", "[plan]") {
  const Counted sources[] = {Counted::make({3000, 500}, {3000, 500}), Counted::make({3000, 500}, {7, 500}),
                             Counted::make({1500000}, {64}), Counted::make({3, 5}, {1, 1})};
  for (const Counted& c : sources)
    for (const Edge& e : {c.edge, reduced(Reduction::sum, c.edge), reduced(Reduction::sum, c.edge, {0})}) {
      const Plan plan = plan_of({e}, 256 * MiB, 1);
      const Plan parallel = plan_of({e}, 256 * MiB, 8);
      REQUIRE(plan.stages.size() == parallel.stages.size());
      for (std::size_t i = 0; i < plan.stages.size(); ++i) {
        CHECK(steps_cover(plan.stages[i]));
        CHECK(plan.stages[i].grid == parallel.stages[i].grid);
      }
    }
}

TEST_CASE("no step needs more memory than its stage was given", "[plan]") {
  const std::uint64_t first = test::first_seed() + 4200000;
  for (int i = 0; i < test::effort(200); ++i) {
    const test::Program program =
        test::random_program(first + static_cast<std::uint64_t>(i), {3000, 12, true, true});
    const std::size_t smallest = smallest_budget(program.outputs, 2);
    for (const std::size_t budget : {smallest, smallest * 3, 64 * MiB + smallest}) {
      const Plan plan = plan_of(program.outputs, budget, 2);
      INFO("seed " << first + static_cast<std::uint64_t>(i) << ", budget " << budget << "\n"
                   << program.text());
      CHECK(plan.peak_bytes <= budget);
      CHECK(plan.fixed_bytes <= plan.peak_bytes);
      CHECK(plan.smallest_bytes == smallest);
      for (const Stage& stage : plan.stages) {
        const TaskLayout task = lay_out_task(stage, nullptr, plan.results);
        CHECK(steps_cover(stage));
        std::size_t most = 0;
        for_each_position(Region::of(stage.steps.counts()), [&](const Dims& at) {
          most = std::max(most, task.step_offset + lay_out(stage, stage.steps.region(at)).total_bytes);
        });
        CHECK(most <= stage.step_bytes);
      }
    }
  }
}

TEST_CASE("the parts of a step's memory do not overlap", "[plan]") {
  const std::uint64_t first = test::first_seed() + 4300000;
  for (int i = 0; i < test::effort(200); ++i) {
    const test::Program program =
        test::random_program(first + static_cast<std::uint64_t>(i), {2000, 10, true, true});
    const Plan plan = plan_of(program.outputs);
    for (const Stage& stage : plan.stages)
      for_each_position(Region::of(stage.steps.counts()), [&](const Dims& at) {
        const StepLayout layout = lay_out(stage, stage.steps.region(at));
        std::vector<std::pair<std::size_t, std::size_t>> parts;  // begin, end
        const auto add = [&](std::size_t begin, std::size_t bytes) {
          if (bytes > 0) parts.emplace_back(begin, begin + bytes);
        };
        for (const PortNeed& need : layout.needs)
          if (need.offset < PortNeed::in_store)
            add(need.offset, static_cast<std::size_t>(size_of(need.shape())) *
                                 stage.ports[static_cast<std::size_t>(need.port)].dtype.item_bytes());
        // Placed reads lie in their port's array on purpose, and what is decoded at once shares one room.
        for (const FetchItem& f : layout.fetches)
          if (!f.placed && !f.shared && !f.at_once) add(f.encoded_offset, f.encoded_bytes);
        add(layout.shared_offset, layout.shared_room);
        add(layout.scratch_offset, layout.scratch_bytes);
        add(layout.table_offset, layout.table_bytes);
        std::sort(parts.begin(), parts.end());
        bool apart = true;
        for (std::size_t k = 1; k < parts.size(); ++k) apart &= parts[k - 1].second <= parts[k].first;
        INFO("seed " << first + static_cast<std::uint64_t>(i) << " " << stage.name << "\n" << program.text());
        CHECK(apart);
        CHECK((parts.empty() || parts.back().second <= layout.total_bytes));
      });
  }
}

TEST_CASE("the smallest budget is exact: it is accepted, and one byte less is refused by name", "[plan]") {
  const Edge x = Counted::make({640, 480}, {100, 110}).edge;
  for (const Edge& e : {x, minus_mean(x, {0}), permute_dims(x, {1, 0}), rechunk(x, ChunkSpec({7, -1})),
                        reduced(Reduction::sum, x)})
    for (const int threads : {1, 4}) {
      const std::size_t smallest = smallest_budget({e}, threads);
      CHECK(plan_of({e}, smallest, threads).peak_bytes <= smallest);
      const std::string refusal = failure_of([&] { plan_of({e}, smallest - 1, threads); });
      CHECK(contains(refusal, "budget_too_small"));
      CHECK(contains(refusal, std::to_string(smallest)));
    }
}

TEST_CASE("a smaller budget makes smaller steps or fewer threads, and the plan says which", "[plan]") {
  const Edge x = Counted::make({4096, 512}, {64, 512}).edge;
  const Edge e = sqrt_of_square(x);
  const std::size_t smallest = smallest_budget({e}, 8);
  const Plan roomy = plan_of({e}, 256 * MiB, 8), tight = plan_of({e}, smallest, 8);
  CHECK(roomy.threads == 8);
  CHECK(tight.threads < 8);
  CHECK(has_note(tight, "thread"));
  CHECK(tight.stages[0].step_bytes <= roomy.stages[0].step_bytes);
}

TEST_CASE("results between passes go to a file when the budget has no room for them", "[plan]") {
  // The mean over axis 1 of the second pass's input has as many elements as there are rows.
  const Edge x = Counted::make({60000, 20}, {500, 20}).edge;
  const Edge rows = reduced(Reduction::mean, x, {1}, true);
  const Edge e = morsel::apply(Op::subtract, {x, rows});
  const auto spilled = [](const Plan& plan) {
    return std::any_of(plan.results.begin(), plan.results.end(), [](const Result& r) { return r.spilled; });
  };
  CHECK_FALSE(spilled(plan_of({e}, 256 * MiB)));
  const Plan tight = plan_of({e}, smallest_budget({e}));
  CHECK(spilled(tight));
  CHECK(has_note(tight, "spill"));
}

TEST_CASE("plans do not vary: the same graph gives the same text, whenever it is planned", "[plan]") {
  const std::uint64_t first = test::first_seed() + 4400000;
  for (int i = 0; i < test::effort(50); ++i) {
    const test::Program program =
        test::random_program(first + static_cast<std::uint64_t>(i), {3000, 12, true, true});
    const auto text = [&] {
      Plan plan = plan_of(program.outputs, 32 * MiB, 3);
      plan.pass_times.clear();
      return to_json(plan);
    };
    CHECK(text() == text());
  }
}

TEST_CASE("very many chunks are planned in little memory", "[plan]") {
  const std::uint8_t one = 1;
  const Index chunks = 1'000'000'000;
  const Edge e = make_source(full_source(Type::uint8, {chunks * 8}, &one), View::identity({chunks * 8}),
                             ChunkSpec(8), "ones");
  const Plan plan = plan_of({reduced(Reduction::sum, e)}, 8 * MiB, 2);
  CHECK(plan.peak_bytes <= 8 * MiB);
  CHECK(plan.sweeps.size() == 1);
  CHECK(plan.sweeps[0].order.empty());
}

TEST_CASE("the largest of very many unequal steps is found", "[plan]") {
  const Index rows = 2'000'000;
  const std::uint8_t one = 1;
  const Edge a =
      make_source(full_source(Type::uint8, {rows}, &one), View::identity({rows}), ChunkSpec(-1), "ones");
  // 5,000 chunks; the indices of one of them lie far apart.
  std::vector<Index> indices(500'000);
  for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<Index>(i);
  for (std::size_t i = 0; i < 100; ++i) indices[123'400 + i] = static_cast<Index>(i) * 1500;
  const Edge taken = rechunk(take(a, indices, 0), ChunkSpec({100}));
  const Edge joined =
      rechunk(concat({slice(a, parse_slice("0:100000")), slice(a, parse_slice("0:1000000:100")),
                      slice(a, parse_slice("0:390000"))},
                     0),
              ChunkSpec({100}));
  for (const Edge& e : {taken, joined}) {
    const Edge sums = per_chunk(reduced(Reduction::sum, e));
    const test::Whole got = test::value_of(sums, {.memory = 64 * MiB, .threads = 2});
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < got.bytes.size() / 8; ++i) total += test::element<std::uint64_t>(got, i);
    CHECK(total == 500'000);
  }
}

TEST_CASE("steps that do not line up with chunks that are read whole are looked at one by one", "[plan]") {
  // Some steps lie inside a chunk and some across two; those at the ends and in the middle lie inside.
  const Edge a = Counted::make({12'300'000}, {100'000}).edge;
  const Edge sums = per_chunk(reduced(Reduction::sum, rechunk(a, ChunkSpec({3000}))));
  const test::Whole got = test::value_of(sums, {.memory = 64 * MiB, .threads = 1});
  double total = 0;
  for (std::size_t i = 0; i < got.bytes.size() / 8; ++i) total += test::element<double>(got, i);
  CHECK(total == 12'299'999.0 * 6'150'000);
}
