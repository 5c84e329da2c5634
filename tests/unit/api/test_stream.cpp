#include "arrays.hpp"
//
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include <support/failure.hpp>
#include <support/paths.hpp>
#include <support/skip.hpp>

using namespace morsel;
using morsel_test::contains;
using morsel_test::counting;
using morsel_test::failure_of;
using morsel_test::text_of;
using morsel_test::text_of_elements;

TEST_CASE("stream hands over chunk after chunk in order", "[api][stream]") {
  const auto a = counting<int>({3, 4}, {2, 2});
  std::vector<std::string> seen;
  for (auto&& block : stream(a * 2))
    seen.push_back(to_string(block.region) + " " + text_of_elements(block.values));
  CHECK(seen == std::vector<std::string>{"[0:2, 0:2] (2, 2): 0 2 8 10", "[0:2, 2:4] (2, 2): 4 6 12 14",
                                         "[2:3, 0:2] (1, 2): 16 18", "[2:3, 2:4] (1, 2): 20 22"});
}

TEST_CASE("an unordered stream hands over every chunk once", "[api][stream]") {
  const auto a = counting<int>({100, 10}, {7, 3});
  std::set<std::string> regions;
  Index total = 0, count = 0;
  for (auto&& block : stream(a + 1, {.threads = 3, .ordered = false})) {
    regions.insert(to_string(block.region));
    for (const int v : block.values) total += v;
    ++count;
  }
  CHECK(count == a.grid().count());
  CHECK(static_cast<Index>(regions.size()) == count);
  CHECK(total == 1000 * 1001 / 2);
}

TEST_CASE("leaving the loop ends the run", "[api][stream]") {
  std::atomic<int> computed{0};
  const auto a = map(
      [&computed](int v) {
        ++computed;
        return v;
      },
      counting<int>({1000}, 1));
  for (int repeat = 0; repeat < 20; ++repeat) {
    for (auto&& block : stream(a, {.memory = 256 * KiB, .threads = 2})) {
      CHECK(block.values(0) == block.region.lo[0]);
      if (block.region.lo[0] == 3) break;
    }
  }
  { const auto never_read = stream(a); }
  CHECK(computed < 20 * 1000);
}

TEST_CASE("the body of a stream's loop can compute", "[api][stream]") {
  const auto a = counting<int>({6}, 2);
  std::string text;
  for (auto&& block : stream(a))
    text += std::to_string(sum(a + static_cast<int>(block.region.lo[0])).item()) + " ";
  CHECK(text == "15 27 39 ");
}

TEST_CASE("a task is refused runs on other threads", "[api][stream]") {
  const auto a = counting<int>({6}, 2);
  const auto streaming = map_chunks<int>(
      [&](const ChunkInfo&, auto& out, const auto& x) {
        for (auto&& block : stream(a)) out = x + block.values(0);
      },
      a);
  CHECK(contains(failure_of([&] { streaming.compute(); }),
                 "unsupported: stream: called by a function that a run calls"));
  const auto background = map_chunks<int>(
      [&](const ChunkInfo&, auto& out, const auto& x) { out = x + a.compute_async().get()(0); }, a);
  CHECK(contains(failure_of([&] { background.compute(); }),
                 "unsupported: compute_async: called by a function"));
}

TEST_CASE("errors of a run come out of the loop", "[api][stream]") {
  const auto a =
      map([](int v) { return v < 5 ? v : throw std::runtime_error("five"); }, counting<int>({10}, 1));
  int seen = 0;
  const std::string failure = failure_of([&] {
    for (auto&& block : stream(a)) seen += block.values(0) == seen;
  });
  CHECK(seen <= 5);
  CHECK(failure.rfind("user_error: ", 0) == 0);
  std::stop_source stop;
  stop.request_stop();
  CHECK(failure_of([&] {
          for (auto&& block : stream(counting<int>({10}, 1), {.stop = stop.get_token()}))
            seen += block.values(0);
        }).rfind("cancelled: ", 0) == 0);
}

TEST_CASE("xtensor arrays are streamed as lazy ones are", "[api][stream]") {
  const xt::xarray<int> x{{1, 2}, {3, 4}};
  std::string text;
  for (auto&& block : stream(x)) text += text_of_elements(block.values);
  for (auto&& block : stream(x * 2)) text += text_of_elements(block.values);
  CHECK(text == "(2, 2): 1 2 3 4(2, 2): 2 4 6 8");
  int total = 0;
  for_each_chunk(x, [&](const Block<int>& block) { total += block.values(1, 1); });
  CHECK(total == 4);
}

TEST_CASE("an array of unknown dtype is streamed through visit", "[api][stream]") {
  const AnyLazyArray any = counting<float>({4}, 2);
  std::string text;
  any.visit([&](const auto& a) {
    for (auto&& block : stream(a)) text += a.dtype().name() + to_string(block.region);
  });
  CHECK(text == "float32[0:2]float32[2:4]");
}

TEST_CASE("an empty array streams nothing", "[api][stream]") {
  int count = 0;
  for (auto&& block : stream(counting<int>({0, 3}))) count += 1 + static_cast<int>(block.region.rank());
  CHECK(count == 0);
}

TEST_CASE("for_each_chunk visits every chunk, from several threads", "[api][stream]") {
  const auto a = counting<int>({50, 4}, {3, 4});
  std::mutex mutex;
  std::vector<Index> rows;
  Index total = 0;
  for_each_chunk(a,
                 [&](const Block<int>& block) {
                   Index sum = 0;
                   for (const int v : block.values) sum += v;
                   const std::lock_guard lock(mutex);
                   rows.push_back(block.region.lo[0]);
                   total += sum;
                 },
                 {.threads = 3});
  std::sort(rows.begin(), rows.end());
  CHECK(rows.size() == 17);
  CHECK(rows.back() == 48);
  CHECK(total == 199 * 200 / 2);
  CHECK(failure_of([&] {
          for_each_chunk(a, [](const auto&) { throw std::runtime_error("no"); });
        }).rfind("user_error", 0) == 0);
}

TEST_CASE("a loop over a stream that computes takes what is left of the workspace, past those who wait",
          "[api][stream]") {
  const Workspace workspace({.memory = 8 * MiB, .threads = 2});
  const auto a = map([](double v) { return v; }, zeros<double>({1 << 20}, {.chunks = 100000}));
  const auto copied = map_chunks<double>([](const ChunkInfo&, auto& out, const auto& x) { out = x; },
                                         zeros<double>({1 << 20}, {.chunks = 330000}));
  std::atomic<bool> in_loop{false}, waits{false};
  std::thread other([&] {
    while (!in_loop) std::this_thread::yield();
    waits = true;
    CHECK(sum(copied).item({.workspace = workspace}) == 0);  // more than the stream leaves
  });
  int blocks = 0;
  for (auto&& block : stream(a, {.workspace = workspace})) {
    static_cast<void>(block);
    in_loop = true;
    while (!waits) std::this_thread::yield();
    if (blocks++ == 0) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    CHECK(sum(a["0:10"]).item({.threads = 1, .workspace = workspace}) == 0);
    CHECK(sum(a["0:10"]).compute_async({.threads = 1, .workspace = workspace}).get()() == 0);
  }
  other.join();
  CHECK(blocks == 11);
  CHECK(workspace.granted_bytes() == 0);
}

TEST_CASE("what does not fit beside the streams of a thread is refused at once", "[api][stream]") {
  const auto big = map([](double v) { return v; }, zeros<double>({600, 1000}, {.chunks = {100, 1000}}));
  const Workspace workspace({.memory = 4 * MiB, .threads = 2});
  const auto third = [&](auto&& in_body) {
    return failure_of([&] {
      auto one = stream(big, {.workspace = workspace}), two = stream(big + 1.0, {.workspace = workspace});
      auto next = two.begin();
      for (auto&& block : one) {
        static_cast<void>(block);
        in_body();
        ++next;
      }
    });
  };
  const std::string refused = "budget_too_small: asking for memory while this thread holds a stream: ";
  CHECK(third([&] { sum(big).item({.workspace = workspace}); }).rfind(refused, 0) == 0);
  CHECK(third([&] {
          for (auto&& block : stream(big * 2.0, {.workspace = workspace})) static_cast<void>(block);
        }).rfind(refused, 0) == 0);
  CHECK(workspace.granted_bytes() == 0);
  // After the loops all of it is there.
  CHECK(sum(big).item({.workspace = workspace}) == 0);
}

TEST_CASE("a stream that its own callback lets go ends, and nothing with it", "[api][stream]") {
  const auto a = map([](double v) { return v; }, zeros<double>({100000}, {.chunks = 1}));
  using Stream = decltype(stream(a));
  for (const int threads : {1, 3}) {
    std::atomic<bool> set{false}, gone{false};
    std::unique_ptr<Stream> held;
    held = std::make_unique<Stream>(stream(a, {.threads = threads, .progress = [&](const Progress&) {
                                                 while (!set) std::this_thread::yield();
                                                 held.reset();
                                                 gone = true;
                                               }}));
    auto taken = held->begin();
    set = true;
    // A report is made while the loop waits for the next chunk.
    CHECK(failure_of([&] {
            for (;;) ++taken;
          }).rfind("cancelled: ", 0) == 0);
    while (!gone) std::this_thread::yield();
    CHECK(held == nullptr);
  }
}

TEST_CASE("a forked child lets go of streams and runs that are its parent's", "[api][stream]") {
  if (test::environment("MORSEL_SANITIZER") == "thread")
    MORSEL_SKIP("the thread sanitizer does not follow forks of programs with threads");
  const auto a = map([](double v) { return v; }, zeros<double>({2000, 100}, {.chunks = {1, 100}}));
  pid_t child = -1;
  std::string used;
  {
    auto streamed = stream(a);
    auto run = sum(a).compute_async();
    auto block = streamed.begin();
    child = fork();
    if (child == 0) {
      alarm(20);
      run.cancel();
      used = failure_of([&] { run.get(); }) + failure_of([&] { ++block; });
    }
  }
  if (child == 0)
    _exit(contains(used, "unsupported: waiting for a run") && contains(used, "unsupported: taking") ? 0 : 1);
  REQUIRE(child > 0);
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}
