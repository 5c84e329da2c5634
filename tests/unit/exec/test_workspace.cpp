// Runs side by side: grants, many threads at once, runs inside runs, forked children.
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <morsel/exec/pool.hpp>
#include <optional>
#include <support/evaluate.hpp>
#include <support/failure.hpp>
#include <support/paths.hpp>
#include <support/skip.hpp>
#include <thread>

namespace {

using namespace morsel;
using morsel_test::contains;
using morsel_test::failure_of;
using test::Counted;
using test::reduced;
using test::value_of;

std::vector<Edge> some_values() {
  const Counted a = Counted::make({96, 80}, {17, 23});
  const Edge x = a.edge;
  return {reduced(Reduction::sum, x, {0}),
          morsel::apply(Op::subtract, {x, reduced(Reduction::mean, x, {0}, true)}), permute_dims(x, {1, 0}),
          reduced(Reduction::stddev, flip(x, {1}), {1})};
}

/// `run` calls its argument with 0 to 15, in sixteen threads.
void compute_in_sixteen(const std::function<void(const std::function<void(std::size_t)>&)>& run) {
  const std::vector<Edge> values = some_values();
  std::vector<test::Whole> want;
  std::size_t largest = 0;
  for (const Edge& e : values) {
    want.push_back(test::Eager()(e));
    largest = std::max(largest, test::smallest_budget({e}, 2));
  }
  for (const double factor : {1.0, 1.5}) {
    INFO(factor << " x the largest need");
    const auto bytes = static_cast<std::size_t>(factor * static_cast<double>(largest));
    Workspace workspace({.memory = bytes, .threads = 2});
    std::atomic<int> wrong{0}, done{0};
    run([&](std::size_t k) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        const std::size_t n = (i + k) % values.size();
        try {
          if (test::difference(want[n], value_of(values[n], {.workspace = workspace})) != "") ++wrong;
        } catch (...) {
          ++wrong;
        }
        ++done;
      }
    });
    CHECK(done == 16 * static_cast<int>(values.size()));
    CHECK(wrong == 0);
    CHECK(workspace.granted_bytes() == 0);
    CHECK(workspace.peak_granted_bytes() <= bytes);
  }
}

}  // namespace

TEST_CASE("sixteen threads computing at once in one workspace get the values of one", "[exec][workspace]") {
  compute_in_sixteen([](const std::function<void(std::size_t)>& work) {
    std::vector<std::thread> threads;
    for (std::size_t k = 0; k < 16; ++k) threads.emplace_back(work, k);
    for (std::thread& t : threads) t.join();
  });
}

TEST_CASE("sixteen OpenMP threads computing at once get the values of one", "[exec][workspace]") {
#if defined(_OPENMP)
  compute_in_sixteen([](const std::function<void(std::size_t)>& work) {
#pragma omp parallel for num_threads(16) schedule(static, 1)
    for (int k = 0; k < 16; ++k) work(static_cast<std::size_t>(k));
  });
#else
  MORSEL_SKIP("built without OpenMP");
#endif
}

TEST_CASE("a run that waits for memory can be cancelled, and those behind it go on", "[exec][workspace]") {
  const Counted a = Counted::make({200}, {10});
  const Edge e = reduced(Reduction::sum, a.edge);
  Workspace workspace({.memory = test::smallest_budget({e}), .threads = 1});
  std::atomic<bool> inside{false}, leave{false};
  test::TestSourceOptions holding;
  holding.on_read = [&](Index) {
    inside = true;
    while (!leave) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  const Counted held = Counted::make({200}, {10}, holding);
  std::thread first([&] { value_of(reduced(Reduction::sum, held.edge), {.workspace = workspace}); });
  while (!inside) std::this_thread::yield();
  std::stop_source stop;
  std::string second_failure;
  std::thread second([&] {
    second_failure = failure_of([&] { value_of(e, {.stop = stop.get_token(), .workspace = workspace}); });
  });
  double third_value = 0;
  std::thread third([&] { third_value = test::element<double>(value_of(e, {.workspace = workspace})); });
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  stop.request_stop();
  second.join();
  leave = true;
  first.join();
  third.join();
  CHECK(contains(second_failure, "cancelled"));
  CHECK(third_value == 19900);
  CHECK(workspace.granted_bytes() == 0);
}

TEST_CASE("a workspace that is too small for any plan refuses before a read", "[exec][workspace]") {
  const Counted a = Counted::make({200}, {10});
  const std::size_t smallest = test::smallest_budget({a.edge});
  const std::string failure =
      failure_of([&] { value_of(a.edge, {.workspace = Workspace({.memory = smallest - 1, .threads = 1})}); });
  CHECK(contains(failure, "budget_too_small"));
  CHECK(contains(failure, std::to_string(smallest)));
  CHECK(a.log->fetches == 0);
}

TEST_CASE("computing inside a task gives the value or a clear refusal, never a hang", "[exec][nested]") {
  const Counted outer = Counted::make({120}, {10}), inner = Counted::make({50}, {7});
  const Edge sum = reduced(Reduction::sum, inner.edge);
  MapChunksNode call;
  call.inputs = {outer.edge};
  call.function = [&](const ChunkInfo&, const std::vector<BufferView>& in, const BufferView& out) {
    const double s = test::element<double>(value_of(sum));
    for (std::size_t i = 0; i < out.size_bytes() / 8; ++i) {
      double v;
      std::memcpy(&v, in[0].data + 8 * i, 8);
      v += s;
      std::memcpy(out.data + 8 * i, &v, 8);
    }
  };
  const Edge nested = map_chunks("nested", std::move(call), Type::float64);
  const std::size_t smallest = test::smallest_budget({nested});
  for (const int threads : {1, 2, 4})
    for (const std::size_t budget : {smallest, smallest * 2, 64 * MiB}) {
      INFO("threads " << threads << ", budget " << budget);
      test::Whole got;
      const std::string failure =
          failure_of([&] { got = value_of(nested, {.memory = budget, .threads = threads}); });
      if (failure.empty())
        for (std::size_t i = 0; i < 120; ++i)
          CHECK(test::element<double>(got, i) == static_cast<double>(i) + 1225);
      else
        CHECK(contains(failure, "budget_too_small: computing inside a task"));
    }
}

TEST_CASE("a source whose fetch computes does so inside the run that reads it", "[exec][nested]") {
  const Counted inner = Counted::make({40}, {10});
  const Edge needed = reduced(Reduction::sum, inner.edge);
  std::optional<Workspace> workspace;
  std::atomic<int> computed{0}, refused{0};
  test::TestSourceOptions options;
  options.blocks = true;  // the lanes fetch
  options.on_read = [&](Index) {
    try {
      computed += test::element<double>(value_of(needed, {.workspace = *workspace})) == 780;
    } catch (const Error& error) {
      if (error.code() != Errc::budget_too_small) throw;
      ++refused;
    }
  };
  const Counted outer = Counted::make({4000}, {100}, options);
  const Edge e = reduced(Reduction::sum, outer.edge);
  const std::size_t all = 16 * MiB, own = test::plan_of({e}, all, 2).ideal_bytes;
  for (const bool room_beside : {true, false}) {
    workspace.emplace(WorkspaceOptions{.memory = all, .threads = 2});
    std::optional<Grant> rest;
    if (!room_beside) rest.emplace(workspace->state(), all - own, all - own, std::stop_token());
    computed = refused = 0;
    CHECK(test::element<double>(value_of(e, {.workspace = *workspace})) == 4000.0 * 3999 / 2);
    CHECK(computed + refused == 40);
    rest.reset();
    CHECK(workspace->granted_bytes() == 0);
  }
}

TEST_CASE("a child forked after a computation computes too", "[exec][fork]") {
  if (test::environment("MORSEL_SANITIZER") == "thread")
    MORSEL_SKIP("the thread sanitizer does not follow forks of programs with threads");
  const Counted a = Counted::make({400}, {10});
  const Edge e = reduced(Reduction::sum, a.edge);
  CHECK(test::element<double>(value_of(e, {.threads = 4})) == 79800);
  for (int round = 0; round < 5; ++round) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      alarm(30);
      int status = 1;
      try {
        status = test::element<double>(value_of(e, {.threads = 4})) == 79800 ? 0 : 2;
      } catch (...) {
      }
      _exit(status);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK(test::element<double>(value_of(e, {.threads = 4})) == 79800);
  }
}

TEST_CASE("a child forked while a run holds all of a workspace computes in it", "[exec][fork]") {
  if (test::environment("MORSEL_SANITIZER") == "thread")
    MORSEL_SKIP("the thread sanitizer does not follow forks of programs with threads");
  std::atomic<bool> inside{false}, leave{false};
  test::TestSourceOptions holding;
  holding.on_read = [&](Index) {
    inside = true;
    while (!leave) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  const Counted held = Counted::make({200}, {10}, holding), free = Counted::make({200}, {10});
  const Edge e = reduced(Reduction::sum, free.edge);
  Workspace workspace({.memory = test::smallest_budget({e}), .threads = 1});
  std::thread first([&] { value_of(reduced(Reduction::sum, held.edge), {.workspace = workspace}); });
  while (!inside) std::this_thread::yield();
  const pid_t child = fork();
  if (child == 0) {
    alarm(30);
    int status = 1;
    try {
      status = test::element<double>(value_of(e, {.workspace = workspace})) == 19900 ? 0 : 2;
    } catch (...) {
    }
    _exit(status);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  leave = true;
  first.join();
  CHECK(workspace.granted_bytes() == 0);
}

TEST_CASE("a run with a budget of its own lends what it leaves free to computing inside its tasks",
          "[exec][nested]") {
  const Counted outer = Counted::make({120}, {10}), inner = Counted::make({50}, {7});
  const Edge sum = reduced(Reduction::sum, inner.edge);
  std::atomic<int> values{0}, refusals{0};
  MapChunksNode call;
  call.inputs = {outer.edge};
  call.function = [&](const ChunkInfo&, const std::vector<BufferView>& in, const BufferView& out) {
    const std::string failure = failure_of([&] { values += test::element<double>(value_of(sum)) == 1225; });
    refusals += contains(failure, "budget_too_small: computing inside a task");
    copy_elements(in[0], out);
  };
  const Edge nested = map_chunks("nested", std::move(call), Type::float64);
  const std::size_t smallest = test::smallest_budget({nested}), room = test::smallest_budget({sum});
  for (const int threads : {1, 3}) {
    values = refusals = 0;
    RunReport report;
    value_of(nested, {.memory = smallest + static_cast<std::size_t>(threads) * (room + 2 * MiB),
                      .threads = threads,
                      .report = &report});
    CHECK(values + refusals == 12);
    CHECK(values > 0);
    if (threads == 1) CHECK(values == 12);
    CHECK(report.peak_bytes <= report.budget_bytes);
  }
}

TEST_CASE("a workspace has as many threads as the process may run on", "[exec][workspace]") {
  cpu_set_t before, one;
  REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &before)) {
      CPU_SET(cpu, &one);
      break;
    }
  REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  const int alone = available_threads();
  REQUIRE(sched_setaffinity(0, sizeof before, &before) == 0);
  CHECK(alone == 1);
  CHECK(available_threads() >= 1);
  CHECK(available_threads() <= CPU_COUNT(&before));
}
