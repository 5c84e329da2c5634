// W3: mean(sqrt(a * a + b * b)) of two float64 arrays in files, with operators and through map.
#include "workload.hpp"

using namespace workload;

namespace {

/// The file holds both arrays one after another.
constexpr std::size_t step = 512;

__attribute__((always_inline)) inline double sum_roots(const double* __restrict a, const double* __restrict b,
                                                       std::size_t n) {
  double root[step];
  Lanes s[4] = {};
  double rest = 0;
  for (std::size_t i = 0; i < n; i += step) {
    const std::size_t m = std::min(step, n - i);
    for (std::size_t j = 0; j < m; ++j) root[j] = std::sqrt(a[i + j] * a[i + j] + b[i + j] * b[i + j]);
    std::size_t j = 0;
    for (; j + 32 <= m; j += 32)
      for (std::size_t k = 0; k < 4; ++k) s[k] += *reinterpret_cast<const Lanes*>(root + j + 8 * k);
    for (; j < m; ++j) rest += root[j];
  }
  s[0] += s[1];
  s[2] += s[3];
  s[0] += s[2];
  for (int lane = 0; lane < 8; ++lane) rest += s[0][lane];
  return rest;
}

WORKLOAD_CLONES double sum_block(const double* a, const double* b, std::size_t n) {
  return sum_roots(a, b, n);
}
/// As a user's function is compiled: with the flags of the program.
double sum_block_as_user(const double* a, const double* b, std::size_t n) { return sum_roots(a, b, n); }

double loop(const std::string& path, std::size_t count,
            double (*sum)(const double*, const double*, std::size_t)) {
  double part[2] = {};
  on_two_threads([&](std::size_t k) {
    const std::size_t block = 1 << 15;
    std::vector<double> a(block), b(block);
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    double total = 0;
    for (std::size_t at = k * (count / 2); at < (k ? count : count / 2); at += block) {
      const std::size_t n = std::min(block, (k ? count : count / 2) - at), bytes = n * sizeof(double);
      if (::pread(file, a.data(), bytes, static_cast<off_t>(at * sizeof(double))) !=
          static_cast<ssize_t>(bytes))
        std::abort();
      if (::pread(file, b.data(), bytes, static_cast<off_t>((at + count) * sizeof(double))) !=
          static_cast<ssize_t>(bytes))
        std::abort();
      total += sum(a.data(), b.data(), n);
    }
    ::close(file);
    part[k] = total;
  });
  return (part[0] + part[1]) / static_cast<double>(count);
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings = read_settings(argc, argv, std::size_t{4} << 30);
  return guarded([&] {
    const std::size_t count = settings.size_bytes / sizeof(double) / 2;
    const std::string path = random_file<double>(settings, "f64", 2 * count);
    const auto half = [&](std::size_t k) {
      return morsel::memmap<double>(path, {.shape = {static_cast<morsel::Index>(count)},
                                           .offset = static_cast<morsel::Index>(k * count * sizeof(double))});
    };
    const auto a = half(0), b = half(1);
    const morsel::ComputeOptions options{.memory = 64 * morsel::MiB, .threads = 2};
    double by_loop = 0, by_user_loop = 0, by_operators = 0, by_map = 0;
    const auto times = interleaved(
        settings.repeats, {[&] { by_loop = loop(path, count, sum_block); },
                           [&] { by_operators = morsel::mean(morsel::sqrt(a * a + b * b)).item(options); },
                           [&] {
                             const auto root = morsel::map(
                                 [](double x, double y) { return std::sqrt(x * x + y * y); }, a, b);
                             by_map = morsel::mean(root).item(options);
                           },
                           [&] { by_user_loop = loop(path, count, sum_block_as_user); }});
    require_close(by_operators, by_loop, "mean with operators");
    require_close(by_map, by_loop, "mean through map");
    print({"W3", "mean(sqrt(a * a + b * b)) with operators", "x loop", ratios(times[1], times[0]), 1.5,
           times[0], times[1]},
          settings);
    require_close(by_user_loop, by_loop, "mean by the loop of the program's flags");
    print({"W3-map", "mean(sqrt(a * a + b * b)) through map, loop compiled as its function is", "x loop",
           ratios(times[2], times[3]), 1.1, times[3], times[2]},
          settings);
    print({"W3-map-clones", "mean(sqrt(a * a + b * b)) through map, loop compiled for each instruction set",
           "x loop", ratios(times[2], times[0]), 0, times[0], times[2]},
          settings);
    if (settings.clean) std::remove(path.c_str());
  });
}
