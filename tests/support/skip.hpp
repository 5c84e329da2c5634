// Leaves a test case that cannot run here, and counts it as skipped instead of passed.
#pragma once

#include <catch2/catch.hpp>

namespace test {

/// Test cases left by MORSEL_SKIP so far; main.cpp reports it.
inline int& skipped_cases() {
  static int count = 0;
  return count;
}

}  // namespace test

/// Only at the level of the test case itself, not inside a SECTION or a loop over generators.
#define MORSEL_SKIP(reason)      \
  do {                           \
    ++test::skipped_cases();     \
    WARN("skipped: " << reason); \
    SUCCEED("skipped");          \
    return;                      \
  } while (false)
