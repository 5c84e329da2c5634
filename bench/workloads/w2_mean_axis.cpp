// W2: mean over axis 0 of 1000 x 1000 x 1000 float32, sums in float64.
#include "workload.hpp"

using namespace workload;

namespace {

WORKLOAD_CLONES void add_row(double* __restrict sum, const float* __restrict x, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) sum[i] += static_cast<double>(x[i]);
}

/// Each thread takes half the columns, 64 Ki at a time: the sums stay in L2.
void loop(const std::string& path, std::size_t rows, std::size_t columns, float* out) {
  on_two_threads([&](std::size_t k) {
    const std::size_t strip = 65536;
    std::vector<double> sum(strip);
    std::vector<float> row(strip);
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    for (std::size_t begin = k * (columns / 2); begin < (k ? columns : columns / 2); begin += strip) {
      const std::size_t n = std::min(strip, (k ? columns : columns / 2) - begin);
      std::fill(sum.begin(), sum.end(), 0.0);
      for (std::size_t r = 0; r < rows; ++r) {
        if (::pread(file, row.data(), n * 4, static_cast<off_t>((r * columns + begin) * 4)) !=
            static_cast<ssize_t>(n * 4))
          std::abort();
        add_row(sum.data(), row.data(), n);
      }
      for (std::size_t i = 0; i < n; ++i)
        out[begin + i] = static_cast<float>(sum[i] / static_cast<double>(rows));
    }
    ::close(file);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings = read_settings(argc, argv, std::size_t{4} * 1000 * 1000 * 1000);
  return guarded([&] {
    // A smaller size has fewer rows.
    const std::size_t columns = 1000 * 1000,
                      rows = std::max<std::size_t>(1, settings.size_bytes / 4 / columns);
    const std::string path = random_file<float>(settings, "f32", rows * columns);
    const auto a = morsel::memmap<float>(path, {.shape = {static_cast<morsel::Index>(rows), 1000, 1000}});
    const morsel::ComputeOptions options{.memory = 256 * morsel::MiB, .threads = 2};
    std::vector<float> by_loop(columns), by_morsel(columns);
    const auto times = interleaved(
        settings.repeats, {[&] { loop(path, rows, columns, by_loop.data()); },
                           [&] { morsel::mean(a, 0).compute_into(std::span<float>(by_morsel), options); }});
    for (std::size_t i = 0; i < columns; ++i)
      if (std::abs(by_loop[i] - by_morsel[i]) > 1e-6f)
        require_close(static_cast<double>(by_morsel[i]), static_cast<double>(by_loop[i]), "mean");
    print({"W2", "mean over axis 0 of 1000 x 1000 x 1000 float32", "x loop", ratios(times[1], times[0]), 1.25,
           times[0], times[1]},
          settings);
    if (settings.clean) std::remove(path.c_str());
  });
}
