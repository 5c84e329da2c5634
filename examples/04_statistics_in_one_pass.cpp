// Several results of one array: computed together, the array is read once.
//
//             ┌─► mean, stddev
//   a (once) ─┼─► min, max
//             └─► histogram
#include <iostream>
#include <morsel/morsel.hpp>

int main() {
  morsel::save(morsel::arange<std::int32_t>(1000000) % 1000, "counts.npy");
  const auto a = morsel::open<std::int32_t>("counts.npy");

  morsel::RunReport report;
  const auto [mean, sd, lo, hi, bins] =
      morsel::compute({.memory = "16MiB", .report = &report}, morsel::mean(a), morsel::stddev(a),
                      morsel::min(a), morsel::max(a), morsel::histogram(a, 10, {0, 1000}));

  std::cout << "mean " << mean() << "  stddev " << sd() << "  min " << lo() << "  max " << hi() << "\n"
            << "histogram:";
  for (const auto count : bins) std::cout << " " << count;
  std::cout << "\nread " << report.bytes_read << " bytes of a file of " << a.nbytes() << "; peak "
            << report.peak_bytes << " of a budget of " << report.budget_bytes << "\n";

  const bool once = report.bytes_read >= a.nbytes() && report.bytes_read < a.nbytes() + 4096;
  return once && mean() == 499.5 && lo() == 0 && hi() == 999 && bins(9) == 100000 &&
                 report.peak_bytes <= report.budget_bytes
             ? 0
             : 1;
}
