// Results to files: written chunk by chunk inside the budget, whole under their name or not there at all.
//
//   a ──► (a - mean) / stddev ──► scaled.npy        no array is ever in memory
#include <iostream>
#include <morsel/morsel.hpp>

int main() {
  morsel::save(
      morsel::from_function<float>({2000, 500}, [](morsel::Index i, morsel::Index) { return float(i); }),
      "raw.npy");
  const auto a = morsel::open<float>("raw.npy");

  // Two passes: the first for mean and stddev, the second to write.
  morsel::RunReport report;
  const auto scaled = (a - morsel::mean(a)) / morsel::stddev(a);
  morsel::save(scaled, "scaled.npy", {.memory = "1MiB", .report = &report});
  std::cout << "wrote " << scaled.nbytes() << " bytes; peak " << report.peak_bytes << " of a budget of "
            << report.budget_bytes << "\n";

  try {
    morsel::save(a, "scaled.npy");
    return 1;
  } catch (const morsel::Error& error) {
    std::cout << error.what() << "\n";  // an existing file is kept unless {.overwrite = true}
  }
  // Several files from one reading.
  morsel::save({.overwrite = true}, {{a + 1.0f, "plus.npy"}, {morsel::mean(a, {1}), "mean.npy"}});

  const auto back = morsel::open<float>("scaled.npy");
  const double spread = morsel::stddev(back).item();
  return spread > 0.999 && spread < 1.001 && report.peak_bytes <= report.budget_bytes &&
                 morsel::open<float>("plus.npy")["0, 0"].item() == 1 &&
                 morsel::open<float>("mean.npy").size() == 2000
             ? 0
             : 1;
}
