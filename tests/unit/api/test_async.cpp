#include "arrays.hpp"
//
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include <support/failure.hpp>

using namespace morsel;
using morsel_test::counting;
using morsel_test::failure_of;
using morsel_test::text_of_elements;

TEST_CASE("a background computation is waited for and read", "[api][async]") {
  auto result = (counting<int>({3, 2}, 1) + 1).compute_async({.threads = 2});
  result.wait();
  CHECK(result.is_done());
  CHECK(text_of_elements(result.get()) == "(3, 2): 1 2 3 4 5 6");
  CHECK(text_of_elements(counting<int>({2}).compute_async().get()) == "(2,): 0 1");
  CHECK(text_of_elements(counting<int>({2}).any().compute_async().get().to<int>()) == "(2,): 0 1");
}

TEST_CASE("a background computation is cancelled by request, by token and by letting go", "[api][async]") {
  std::atomic<std::int64_t> computed{0};
  const auto slow = map_chunks<std::int8_t>(
      [&computed](const ChunkInfo&, auto& out, const auto& x) {
        ++computed;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        out = x;
      },
      zeros<std::int8_t>({100000, 1000}, {.chunks = {1, 1000}}));
  auto asked = slow.compute_async();
  asked.cancel();
  CHECK(failure_of([&] { asked.get(); }).rfind("cancelled: ", 0) == 0);
  std::stop_source stop;
  auto told = slow.compute_async({.stop = stop.get_token()});
  stop.request_stop();
  CHECK(failure_of([&] { told.get(); }).rfind("cancelled: ", 0) == 0);
  { auto dropped = slow.compute_async({.threads = 2}); }
  CHECK(computed < 100000);
}

TEST_CASE("errors and progress of a background computation reach its handle", "[api][async]") {
  const auto failing =
      map([](int v) { return v < 5 ? v : throw std::runtime_error("five"); }, counting<int>({10}, 1));
  const auto run = failing.compute_async();
  CHECK(failure_of([&] { run.get(); }).rfind("user_error: ", 0) == 0);
  std::atomic<int> reports{0};
  const auto good = counting<int>({10}, 1).compute_async({.progress = [&](const Progress&) { ++reports; }});
  good.wait();
  CHECK(good.progress().finished);
  CHECK(good.progress().done == good.progress().total);
  CHECK(reports > 0);
}

TEST_CASE("a background computation whose last handle goes in its own callback ends by itself",
          "[api][async]") {
  const auto a = map([](double v) { return v; }, zeros<double>({100000}, {.chunks = 10}));
  const auto total = sum(a);
  using Result = decltype(total.compute_async());
  for (const int threads : {1, 3})
    for (int round = 0; round < 3; ++round) {
      const auto held = std::make_shared<std::optional<Result>>();
      std::atomic<bool> set{false}, gone{false}, ended{false};
      // Lives as long as the run does.
      std::shared_ptr<void> life(nullptr, [&ended](void*) { ended = true; });
      auto progress = [&set, &gone, held, life](const Progress&) {
        while (!set) std::this_thread::yield();
        if (gone) return;
        held->reset();
        gone = true;
      };
      *held = total.compute_async({.threads = threads, .progress = std::move(progress)});
      set = true;
      while (!gone) std::this_thread::yield();
      CHECK_FALSE(held->has_value());
      life.reset();
      while (!ended) std::this_thread::yield();
    }
}
