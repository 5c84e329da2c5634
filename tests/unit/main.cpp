// The main function of every test program. Appends "<program> <passed> <failed> <skipped>" test cases to the
// file that MORSEL_TEST_COUNTS names, from which tests/run.sh makes its last line.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <support/skip.hpp>

namespace {

struct CountCases : Catch::TestEventListenerBase {
  using TestEventListenerBase::TestEventListenerBase;

  void testRunEnded(const Catch::TestRunStats& stats) override {
    const char* path = std::getenv("MORSEL_TEST_COUNTS");
    if (!path || !*path) return;
    const auto& cases = stats.totals.testCases;
    const int skipped = test::skipped_cases();
    if (std::FILE* file = std::fopen(path, "a")) {
      std::fprintf(file, "%s %d %d %d\n", stats.runInfo.name.c_str(),
                   static_cast<int>(cases.passed) - skipped, static_cast<int>(cases.failed), skipped);
      std::fclose(file);
    }
  }
};

}  // namespace

CATCH_REGISTER_LISTENER(CountCases)
