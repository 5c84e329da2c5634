// Beside OpenMP: many of the program's own threads compute at once; they share one pool and one budget.
//
//   omp thread 0 ─ compute ─┐
//   omp thread 1 ─ compute ─┼─► Workspace: one ledger, one pool; whoever does not fit waits its turn
//   omp thread 2 ─ compute ─┘
#include <atomic>
#include <cmath>
#include <iostream>
#include <morsel/morsel.hpp>

int main() {
  morsel::save(
      morsel::from_function<double>({64, 100000}, [](morsel::Index i, morsel::Index) { return double(i); }),
      "rows.npy");
  const auto a = morsel::open<double>("rows.npy");
  const morsel::Workspace workspace({.memory = "32MiB", .threads = 2});

  // Each OpenMP thread runs on itself ({.threads = 1}); the workspace bounds all of them together.
  double total = 0;
  std::atomic<int> failures{0};
#pragma omp parallel for reduction(+ : total) schedule(dynamic)
  for (int row = 0; row < 64; ++row) {
    try {  // an exception must not leave an OpenMP region
      total += morsel::mean(a[row]).item({.threads = 1, .workspace = workspace});
    } catch (const morsel::Error&) {
      ++failures;
    }
  }
  std::cout << "sum of 64 means: " << total << ", most granted at once: " << workspace.peak_granted_bytes()
            << " of " << workspace.memory_bytes() << " bytes\n";
  return failures == 0 && std::abs(total - 63 * 32) < 1e-9 &&
                 workspace.peak_granted_bytes() <= workspace.memory_bytes() && workspace.granted_bytes() == 0
             ? 0
             : 1;
}
