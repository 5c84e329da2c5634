// What a run tells: progress that only grows, a trace that parses.
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <morsel/base/warning.hpp>
#include <morsel/exec/progress.hpp>
#include <morsel/io/generated.hpp>
#include <nlohmann/json.hpp>
#include <stdexcept>
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

TEST_CASE("a trace that cannot be written after the run is a warning that names it", "[exec][trace]") {
  std::vector<std::string> warnings;
  WarningHandler former = set_warning_handler([&](std::string_view name, std::string_view message) {
    warnings.push_back(std::string(name) + ": " + std::string(message));
  });
  const test::TempDir dir;
  std::filesystem::create_directory(dir / "gone");
  test::TestSourceOptions options;
  options.on_read = [&](Index) { std::filesystem::remove_all(dir / "gone"); };
  const Counted a = Counted::make({20}, {10}, options);
  CHECK(test::element<double>(value_of(reduced(Reduction::sum, a.edge),
                                       {.trace = (dir / "gone" / "run.json").string()})) == 190);
  set_warning_handler(std::move(former));
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].rfind("no_trace: writing the trace '" + (dir / "gone" / "run.json").string(), 0) == 0);
}

TEST_CASE("a progress callback that throws ends the run with its error, and nothing else",
          "[exec][progress]") {
  test::TestSourceOptions slow;
  slow.delay = std::chrono::milliseconds(1);
  const Counted a = Counted::make({3000}, {10}, slow);
  const auto throws = [](const Progress&) { throw std::runtime_error("no more"); };
  for (const int threads : {1, 2, 4})
    for (const bool visits : {false, true}) {
      INFO("threads " << threads << ", ordered visits " << visits);
      const std::string failure = morsel_test::failure_of([&] {
        const ComputeOptions options{.memory = 8 * MiB, .threads = threads, .progress = throws};
        if (visits)
          evaluate({a.edge}, {VisitTarget{[](const Region&, const BufferView&) {}, true}}, options);
        else
          value_of(reduced(Reduction::sum, a.edge), options);
      });
      CHECK(morsel_test::contains(failure, "got 'no more'"));
      // Nothing of that run is left on this thread.
      CHECK(test::element<double>(value_of(reduced(Reduction::sum, a.edge), {.threads = threads})) ==
            2999.0 * 1500);
    }
}

TEST_CASE("a progress callback may compute", "[exec][progress]") {
  test::TestSourceOptions slow;
  slow.delay = std::chrono::milliseconds(1);
  const Counted a = Counted::make({3000}, {10}, slow), small = Counted::make({50}, {10});
  for (const int threads : {1, 3}) {
    int reports = 0, right = 0;
    evaluate({a.edge}, {VisitTarget{[](const Region&, const BufferView&) {}, true}},
             {.memory = 32 * MiB, .threads = threads, .progress = [&](const Progress&) {
                ++reports;
                right += test::element<double>(value_of(reduced(Reduction::sum, small.edge))) == 1225;
              }});
    CHECK(reports > 0);
    CHECK(right == reports);
  }
}

TEST_CASE("the last report finds the memory of the run free", "[exec][progress]") {
  const Counted a = Counted::make({3000}, {10});
  const Edge sum = reduced(Reduction::sum, a.edge);
  const Workspace workspace({.memory = test::smallest_budget({sum}, 2), .threads = 2});
  double again = 0;
  const ComputeOptions options{.progress =
                                   [&](const Progress& p) {
                                     if (p.finished)
                                       again = test::element<double>(value_of(sum, {.workspace = workspace}));
                                   },
                               .workspace = workspace};
  CHECK(test::element<double>(value_of(sum, options)) == 2999.0 * 1500);
  CHECK(again == 2999.0 * 1500);
}

TEST_CASE("values reported so far are those of the chunks so far", "[exec][partial]") {
  // Means of ones: any number of chunks gives one, none gives zero.
  const std::uint8_t one = 1;
  const Edge ones = morsel::astype(make_source(full_source(Type::uint8, {512, 3000}, &one),
                                               View::identity({512, 3000}), ChunkSpec({1, 3000}), "ones"),
                                   Type::float64);
  for (const int threads : {1, 6})
    for (const std::uint64_t seed : {1, 2}) {
      long reports = 0, wrong = 0;
      Index last = 0;
      value_of(reduced(Reduction::mean, ones, {0}), {.memory = 256 * MiB,
                                                     .threads = threads,
                                                     .on_partial =
                                                         [&](const Partial& p) {
                                                           ++reports;
                                                           last = p.done;
                                                           CHECK(p.done <= p.total);
                                                           for (std::size_t i = 0; i < 3000; ++i) {
                                                             double v;
                                                             std::memcpy(&v, p.values.data + 8 * i, 8);
                                                             wrong += v != 0 && v != 1;
                                                           }
                                                         },
                                                     .partial_period = std::chrono::milliseconds(0),
                                                     .shuffle_seed = seed});
      CHECK(reports > 0);
      CHECK(wrong == 0);
      CHECK(last > 0);
    }
}

TEST_CASE("a reduction that has no value yet does not end a run that reports partial values",
          "[exec][partial]") {
  const Counted a = Counted::make({4000}, {100});
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Edge late = morsel::apply(
      Op::where, {morsel::apply(Op::less, {a.edge, Scalar::of(3500.0)}), Scalar::of(nan), a.edge});
  morsel::ReductionOptions options;
  options.skip_nan = true;
  const Edge e = morsel::reduce(morsel::make_reducer(Reduction::argmax, Type::float64, options), late,
                                morsel::all_axes(1), false);
  // A count beside it shows what it has, whatever the other one cannot show.
  int reports = 0, counted = 0;
  const std::vector<test::Whole> got = test::values_of({e, reduced(Reduction::count_nonzero, a.edge)},
                                                       {.memory = 8 * MiB,
                                                        .threads = 1,
                                                        .on_partial =
                                                            [&](const Partial& p) {
                                                              if (p.output == 0) return;
                                                              ++reports;
                                                              std::int64_t count;
                                                              std::memcpy(&count, p.values.data, 8);
                                                              counted += count > 0;
                                                            },
                                                        .partial_period = std::chrono::milliseconds(0)});
  CHECK(test::element<std::int64_t>(got[0]) == 3999);
  CHECK(test::element<std::int64_t>(got[1]) == 3999);
  CHECK(reports > 0);
  CHECK(counted == reports);
}
