#include "arrays.hpp"
//
#include <algorithm>
#include <catch2/catch.hpp>
#include <mutex>
#include <set>

#include <support/failure.hpp>

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
