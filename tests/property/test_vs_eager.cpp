// Lazy equals eager: random programs on random sources, evaluated with random threads, budgets, orders,
// optimiser passes and SIMD levels, against the oracle. Bit for bit.
//
// MORSEL_PROPERTY_CASES sets the number of cases, MORSEL_TEST_SEED the first seed.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <map>
#include <morsel/api/evaluate.hpp>
#include <morsel/graph/pass.hpp>
#include <morsel/kernel/simd.hpp>
#include <morsel/plan/cost.hpp>
#include <morsel/plan/lower.hpp>
#include <mutex>
#include <optional>
#include <support/random_program.hpp>
#include <support/seed.hpp>
#include <support/test_sink.hpp>

namespace {

using namespace morsel;
using test::Eager;
using test::Program;
using test::Random;
using test::Whole;

int case_count(int usual) {
  const std::string text = test::environment("MORSEL_PROPERTY_CASES");
  return text.empty() ? test::effort(usual) : std::atoi(text.c_str());
}

struct LevelGuard {
  SimdLevel level = simd_level();
  ~LevelGuard() { set_simd_level(level); }
};

/// The value of every output, or the error that computing it gives.
struct Expected {
  std::vector<Whole> values;
  std::optional<Errc> error;
};

Expected expected_of(const Program& program) {
  Expected expected;
  Eager eager;
  eager.known = program.known;
  try {
    for (const Edge& e : program.outputs) expected.values.push_back(eager(e));
  } catch (const Error& error) {
    expected.error = error.code();
  }
  return expected;
}

/// Where one output goes, and what arrived there.
struct Arrival {
  Target target;
  std::string how;
  Whole values;
  std::vector<std::byte> memory;
  BufferView strided;
  std::shared_ptr<test::SinkLog> log;
  struct Visits {
    std::mutex mutex;
    std::map<Index, int> chunks;
    std::vector<Index> order;
    int wrong = 0;
  };
  std::shared_ptr<Visits> visits;
  Grid grid;
  bool ordered = false;

  Arrival(const Edge& e, Random& random, bool simple)
      : values(test::detail::empty_of(e.dtype(), e.shape())), grid(e.grid()) {
    const std::size_t item = e.dtype().item_bytes();
    const Index kind = simple ? 0 : random.below(7);
    if (kind <= 2) {
      how = "memory";
      target = MemoryTarget{values.view()};
    } else if (kind == 3) {
      // The caller's memory: axes reversed, every second element, the first axis backwards, not aligned.
      how = "strided memory";
      Dims strides(e.shape().size());
      Index step = 2 * static_cast<Index>(item);
      for (std::size_t i = 0; i < strides.size(); ++i) {
        strides[i] = step;
        step *= std::max<Index>(1, e.shape()[i]);
      }
      memory.assign(static_cast<std::size_t>(step) + 1, std::byte{0x11});
      strided = BufferView{memory.data() + 1, item, e.shape(), strides};
      if (!strides.empty() && e.shape()[0] > 0) {
        strided.data += (e.shape()[0] - 1) * strides[0];
        strided.strides[0] = -strides[0];
      }
      target = MemoryTarget{strided};
    } else if (kind == 4) {
      how = "sink";
      log = std::make_shared<test::SinkLog>();
      test::TestSinkOptions o;
      o.regions = random.chance(0.5);
      o.grid = grid;
      if (random.chance(0.7)) {
        std::vector<AxisGrid> axes;
        for (const Index n : e.shape())
          axes.push_back(
              AxisGrid::regular(n, random.between(std::max<Index>(1, n / 20), std::max<Index>(1, n))));
        o.grid = Grid(std::move(axes));
      }
      if (random.chance(0.5)) o.scratch_bytes = 777;
      how += o.regions ? " of regions" : " of chunks";
      target = SinkTarget{test::TestSink(e.dtype(), std::move(o), log)};
    } else {
      ordered = kind == 5;
      how = ordered ? "ordered visits" : "visits";
      visits = std::make_shared<Visits>();
      target = VisitTarget{[this](const Region& region, const BufferView& got) {
                             const std::lock_guard lock(visits->mutex);
                             const Region chunks = grid.overlapping(region);
                             if (chunks.size() != 1 || grid.region(chunks.lo) != region ||
                                 got.shape != region.shape() || !got.is_c_order())
                               ++visits->wrong;
                             ++visits->chunks[grid.number(chunks.lo)];
                             visits->order.push_back(grid.number(chunks.lo));
                             copy_elements(got, values.view().part(Region::of(values.shape), region));
                           },
                           ordered};
    }
  }
  Arrival(const Arrival&) = delete;

  /// "" if everything came once and is what was expected.
  std::string judge(const Whole& want) {
    if (!memory.empty()) copy_elements(strided, values.view());
    if (log) {
      if (log->commits != 1)
        return "the sink was committed " + std::to_string(log->commits.load()) + " times";
      if (log->wrong != 0) return "the sink got regions it does not take";
      for (const int n : log->writes)
        if (n != 1) return "the sink got an element " + std::to_string(n) + " times";
      return test::difference(want, log->values);
    }
    if (visits) {
      if (visits->wrong) return "visits of regions that are not declared chunks";
      if (static_cast<Index>(visits->chunks.size()) != grid.count())
        return "visits of " + std::to_string(visits->chunks.size()) + " chunks of " +
               std::to_string(grid.count());
      for (const auto& [chunk, count] : visits->chunks)
        if (count != 1) return "chunk visited " + std::to_string(count) + " times";
      if (ordered && !std::is_sorted(visits->order.begin(), visits->order.end()))
        return "visits out of order";
    }
    return test::difference(want, values);
  }
};

/// Evaluates `program` once in a random way; "" or what is wrong.
std::string try_once(const Program& program, const Expected& expected, std::uint64_t seed, std::string& how) {
  Random random(seed * 1000003);
  LevelGuard guard;
  std::vector<std::unique_ptr<Arrival>> arrivals;
  std::vector<Target> targets;
  const bool simple = random.chance(0.4);
  for (const Edge& e : program.outputs) {
    arrivals.push_back(std::make_unique<Arrival>(e, random, simple));
    targets.push_back(arrivals.back()->target);
    how += arrivals.back()->how + "; ";
  }
  ComputeOptions options;
  static const std::vector<int> threads{1, 1, 2, 3, 8, 17};
  options.threads = random.of(threads);
  options.shuffle_seed = random.chance(0.5) ? random.bits() | 1 : 0;
  for (const Pass& pass : default_passes())
    if (random.chance(0.15)) options.skip_passes.emplace_back(pass.name);
  set_simd_level(static_cast<SimdLevel>(random.below(static_cast<Index>(best_simd_level()) + 1)));
  how += "threads " + std::to_string(options.threads) + ", shuffle " + std::to_string(options.shuffle_seed) +
         ", simd " + std::string(name_of(simd_level()));
  for (const std::string& pass : options.skip_passes) how += ", without " + pass;

  Limits limits;
  limits.threads = options.threads;
  limits.memory_bytes = std::size_t{1} << 40;
  const std::size_t smallest =
      lower(optimise(trace(program.outputs), options.skip_passes), targets, limits).smallest_bytes;
  static const std::vector<double> factors{1, 1.01, 1.1, 1.5, 2, 4, 0};
  const double factor = random.of(factors);
  const auto budget =
      factor == 0 ? 1 * GiB : static_cast<std::size_t>(static_cast<double>(smallest) * factor);
  options.memory = budget;
  how += ", budget " + std::to_string(budget) + " of smallest " + std::to_string(smallest);
  if (random.chance(0.3)) {
    for (const auto& log : program.logs) log->clear();
    ComputeOptions less = options;
    less.memory = smallest - 1;
    try {
      evaluate(program.outputs, targets, less);
      return "one byte below the smallest budget was accepted";
    } catch (const Error& error) {
      if (error.code() != Errc::budget_too_small)
        return std::string("below the smallest budget: ") + error.what();
      if (std::string(error.what()).find(std::to_string(smallest)) == std::string::npos)
        return std::string("the refusal does not name the smallest budget: ") + error.what();
    }
    for (const auto& log : program.logs)
      if (log->fetches + log->decodes != 0) return "read before the refusal";
  }
  try {
    limits.memory_bytes = budget;
    const Plan plan = lower(optimise(trace(program.outputs), options.skip_passes), targets, limits);
    const RunReport report = evaluate(program.outputs, targets, options);
    if (report.peak_bytes > budget) return "peak " + std::to_string(report.peak_bytes) + " above the budget";
    if (options.threads == 1 && options.shuffle_seed == 0 && report.peak_bytes > plan.peak_bytes)
      return "peak " + std::to_string(report.peak_bytes) + " of one thread above the predicted " +
             std::to_string(plan.peak_bytes);
    const bool exact = plan.prediction.exact;
    if (exact && report.requests != plan.prediction.requests)
      return std::to_string(report.requests) + " requests, predicted " +
             std::to_string(plan.prediction.requests);
    if (exact && report.bytes_decoded != plan.prediction.decoded_bytes)
      return std::to_string(report.bytes_decoded) + " bytes decoded, predicted " +
             std::to_string(plan.prediction.decoded_bytes);
  } catch (const Error& error) {
    if (expected.error && error.code() == *expected.error) return {};
    return std::string("error ") + std::string(name_of(error.code())) + ": " + error.what();
  }
  // An error in elements that no output shows is the oracle's alone.
  if (expected.error) return {};
  for (std::size_t i = 0; i < arrivals.size(); ++i)
    if (const std::string wrong = arrivals[i]->judge(expected.values[i]); !wrong.empty())
      return "output " + std::to_string(i) + " (" + arrivals[i]->how + "): " + wrong;
  return {};
}

}  // namespace

TEST_CASE("random programs have the eager value bit for bit, however they are run", "[property]") {
  const std::uint64_t first = test::first_seed();
  const int cases = case_count(800);
  const bool print = !test::environment("MORSEL_PROPERTY_PRINT").empty();
  int failures = 0;
  for (int i = 0; i < cases; ++i) {
    const std::uint64_t seed = first + static_cast<std::uint64_t>(i);
    test::ProgramOptions options;
    if (seed % 10 == 0) options = {60000, 6, true, true};
    if (seed % 10 == 1) options = {2000, 25, true, true};
    const Program program = test::random_program(seed, options);
    if (print)
      std::fprintf(stderr, "seed %llu:\n%s", static_cast<unsigned long long>(seed), program.text().c_str());
    const Expected expected = expected_of(program);
    for (std::uint64_t run = 0; run < 2; ++run) {
      std::string how;
      const std::string wrong = try_once(program, expected, seed * 2 + run, how);
      if (wrong.empty()) continue;
      ++failures;
      UNSCOPED_INFO("seed " << seed << ", run " << run << ":\n"
                            << program.text() << "  " << how << "\n  => " << wrong);
    }
    if (failures > 5) break;
  }
  CHECK(failures == 0);
}
