// What a run tells: progress that only grows, a trace that parses.
#include <catch2/catch.hpp>
#include <fstream>
#include <morsel/exec/progress.hpp>
#include <nlohmann/json.hpp>
#include <support/evaluate.hpp>
#include <support/failure.hpp>
#include <support/paths.hpp>

namespace {

using namespace morsel;
using test::Counted;
using test::reduced;
using test::value_of;

}  // namespace

TEST_CASE("progress only grows and ends with one final report", "[exec][progress]") {
  test::TestSourceOptions slow;
  slow.delay = std::chrono::milliseconds(2);
  const Counted a = Counted::make({4000}, {20}, slow);
  const Edge e = morsel::apply(Op::subtract, {a.edge, reduced(Reduction::mean, a.edge, {0}, true)});
  for (const int threads : {1, 4}) {
    std::vector<Progress> seen;
    value_of(e, {.memory = 2 * MiB, .threads = threads, .progress = [&](const Progress& p) {
                   seen.push_back(p);
                 }});
    INFO("threads " << threads);
    REQUIRE(seen.size() >= 2);
    for (std::size_t i = 0; i < seen.size(); ++i) {
      CHECK(seen[i].finished == (i + 1 == seen.size()));
      CHECK(seen[i].done <= seen[i].total);
      CHECK(seen[i].passes == 2);
      CHECK(seen[i].booked_bytes <= 2 * MiB);
      if (i == 0) continue;
      CHECK(seen[i].done >= seen[i - 1].done);
      CHECK(seen[i].pass >= seen[i - 1].pass);
      CHECK(seen[i].bytes_read >= seen[i - 1].bytes_read);
      CHECK(seen[i].bytes_done >= seen[i - 1].bytes_done);
      CHECK(seen[i].seconds >= seen[i - 1].seconds);
    }
    CHECK(seen.back().done == seen.back().total);
  }
}

TEST_CASE("a run that fails has no final report", "[exec][progress]") {
  test::TestSourceOptions damaged;
  damaged.forbidden = {7};
  const Counted a = Counted::make({100}, {10}, damaged);
  int finals = 0;
  CHECK(morsel_test::failure_of([&] {
          value_of(a.edge, {.threads = 2, .progress = [&](const Progress& p) { finals += p.finished; }});
        }) != "");
  CHECK(finals == 0);
}

TEST_CASE("a trace parses, and spans of one thread do not overlap", "[exec][trace]") {
  const test::TempDir dir;
  const Counted a = Counted::make({2000}, {10});
  const std::string path = (dir / "run.json").string();
  value_of(reduced(Reduction::sum, a.edge), {.memory = 4 * MiB, .threads = 3, .trace = path});
  const nlohmann::json trace = nlohmann::json::parse(std::ifstream(path));
  REQUIRE(!trace.at("traceEvents").empty());
  std::map<int, std::vector<std::pair<double, double>>> spans;
  for (const auto& event : trace.at("traceEvents")) {
    CHECK(event.at("ph") == "X");
    CHECK(event.at("dur").get<double>() >= 0);
    // Lanes share one number.
    if (event.at("tid") != 1000)
      spans[event.at("tid").get<int>()].emplace_back(event.at("ts").get<double>(),
                                                     event.at("dur").get<double>());
  }
  for (auto& [thread, list] : spans) {
    std::sort(list.begin(), list.end());
    for (std::size_t i = 1; i < list.size(); ++i)
      CHECK(list[i - 1].first + list[i - 1].second <= list[i].first + 1e-3);
  }
}
