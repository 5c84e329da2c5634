// W1: sum of a float64 file; and sum, mean, stddev, min, max and histogram of it in one pass.
#include "workload.hpp"

using namespace workload;

namespace {

WORKLOAD_CLONES double sum_block(const double* x, std::size_t n) {
  Lanes s[4] = {};
  std::size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    s[0] += *reinterpret_cast<const Lanes*>(x + i);
    s[1] += *reinterpret_cast<const Lanes*>(x + i + 8);
    s[2] += *reinterpret_cast<const Lanes*>(x + i + 16);
    s[3] += *reinterpret_cast<const Lanes*>(x + i + 24);
  }
  s[0] += s[1];
  s[2] += s[3];
  s[0] += s[2];
  double total = 0;
  for (int lane = 0; lane < 8; ++lane) total += s[0][lane];
  for (; i < n; ++i) total += x[i];
  return total;
}

double loop(const std::string& path, std::size_t count) {
  double part[2] = {};
  on_two_threads([&](std::size_t k) {
    double total = 0;
    read_blocks<double>(path, k * (count / 2), k ? count : count / 2,
                        [&](const double* x, std::size_t n) { total += sum_block(x, n); });
    part[k] = total;
  });
  return part[0] + part[1];
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings = read_settings(argc, argv, std::size_t{4} << 30);
  return guarded([&] {
    const std::size_t count = settings.size_bytes / sizeof(double);
    const std::string path = random_file<double>(settings, "f64", count);
    const auto a = morsel::memmap<double>(path);
    const morsel::ComputeOptions options{.memory = 32 * morsel::MiB, .threads = 2};
    double by_loop = 0, by_morsel = 0, of_six = 0;
    const auto times =
        interleaved(settings.repeats,
                    {[&] { by_loop = loop(path, count); }, [&] { by_morsel = morsel::sum(a).item(options); },
                     [&] {
                       const auto results =
                           morsel::compute(options, morsel::sum(a), morsel::mean(a), morsel::stddev(a),
                                           morsel::min(a), morsel::max(a), morsel::histogram(a, 128, {0, 1}));
                       of_six = std::get<0>(results)();
                       if (xt::sum(std::get<5>(results))() != static_cast<std::int64_t>(count)) std::abort();
                     }});
    require_close(by_morsel, by_loop, "sum");
    if (of_six != by_morsel) std::abort();
    print({"W1", "sum of a float64 file", "x loop", ratios(times[1], times[0]), 1.15, times[0], times[1]},
          settings);
    print({"W1-six", "sum, mean, stddev, min, max and histogram in one pass", "x plain sum",
           ratios(times[2], times[1]), 2.0, times[1], times[2]},
          settings);
    if (settings.clean) std::remove(path.c_str());
  });
}
