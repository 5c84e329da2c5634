// on_partial: the value so far of reductions.
#include "arrays.hpp"
//
#include <catch2/catch.hpp>
#include <chrono>
#include <cstring>

#include <support/failure.hpp>

using namespace morsel;
using morsel_test::counting;
using morsel_test::failure_of;

namespace {

struct Report {
  std::size_t output;
  Index done, total;
  std::vector<double> values;
};

/// Every report of a run on one thread, with a callback after every task.
std::vector<Report> reports_of(const std::vector<LazyArray<double>>& reductions,
                               std::chrono::milliseconds period = {}, int threads = 1) {
  std::vector<Report> reports;
  const auto note = [&](const Partial& partial) {
    Report report{partial.output, partial.done, partial.total, {}};
    report.values.resize(static_cast<std::size_t>(size_of(partial.values.shape)));
    std::memcpy(report.values.data(), partial.values.data, report.values.size() * sizeof(double));
    reports.push_back(std::move(report));
  };
  const ComputeOptions options{
      .memory = "64MiB", .threads = threads, .on_partial = note, .partial_period = period};
  if (reductions.size() == 1)
    reductions[0].compute(options);
  else
    compute(options, reductions[0], reductions[1]);
  return reports;
}

const Index length = 1 << 22, chunk = 1 << 14;

}  // namespace

TEST_CASE("values so far are those of the part absorbed so far", "[api][partial]") {
  const auto ones = from_function<double>({length}, [](Index) { return 1.0; }, {.chunks = chunk});
  const auto reports = reports_of({sum(ones)});
  REQUIRE(reports.size() > 1);
  for (std::size_t i = 0; i < reports.size(); ++i) {
    CHECK(reports[i].output == 0);
    CHECK(reports[i].total == length / chunk);
    CHECK(reports[i].values == std::vector<double>{static_cast<double>(reports[i].done * chunk)});
    if (i > 0) CHECK(reports[i].done > reports[i - 1].done);
  }
}

TEST_CASE("the last value so far is the result", "[api][partial]") {
  const auto a = from_function<double>({length}, [](Index i) { return static_cast<double>(i % 1000); },
                                       {.chunks = chunk});
  const auto reports = reports_of({mean(a), max(a)});
  REQUIRE(reports.size() >= 2);
  for (const std::size_t output : {0u, 1u}) {
    const Report& last = reports[reports.size() - 2 + output];
    CHECK(last.output == output);
    CHECK(last.done == last.total);
    CHECK(last.values == std::vector<double>{output == 0 ? mean(a).item() : max(a).item()});
  }
}

TEST_CASE("values so far of a mean are finished, not sums", "[api][partial]") {
  const auto sevens = from_function<double>(
      {64, length / 64}, [](Index i, Index) { return 7.0 * static_cast<double>(i); }, {.chunks = {64, 256}});
  for (const Report& report : reports_of({mean(sevens, 1)}))
    for (std::size_t row = 0; row < 64; ++row) CHECK(report.values[row] == 7.0 * static_cast<double>(row));
}

TEST_CASE("a long period gives no value so far", "[api][partial]") {
  const auto ones = from_function<double>({length}, [](Index) { return 1.0; }, {.chunks = chunk});
  CHECK(reports_of({sum(ones)}, std::chrono::hours(24)).empty());
  CHECK(reports_of({sum(ones)}, std::chrono::hours(24), 3).empty());
}

TEST_CASE("an error of the callback ends the run", "[api][partial]") {
  const auto ones = from_function<double>({length}, [](Index) { return 1.0; }, {.chunks = chunk});
  CHECK(failure_of([&] {
          sum(ones).item({.on_partial = [](const Partial&) { throw std::runtime_error("no"); },
                          .partial_period = std::chrono::milliseconds(0)});
        }).rfind("user_error: ", 0) == 0);
}
