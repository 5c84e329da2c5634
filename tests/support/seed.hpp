// Seeds of randomised tests: fixed by default, changed from outside for longer runs.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <support/paths.hpp>

namespace test {

/// The first seed: MORSEL_TEST_SEED, or 1. A failing test prints the seed it used.
inline std::uint64_t first_seed() {
  return std::strtoull(environment("MORSEL_TEST_SEED", "1").c_str(), nullptr, 10);
}

/// How many random cases to try: `usual` times MORSEL_TEST_EFFORT (1 by default; tests/full.sh raises it).
inline int effort(int usual) {
  const double factor = std::strtod(environment("MORSEL_TEST_EFFORT", "1").c_str(), nullptr);
  const double count = usual * (factor > 0 ? factor : 1);
  return count < 1 ? 1 : static_cast<int>(count);
}

}  // namespace test
