// W4: mean of float32 in a Zarr store, blosc with lz4, in chunks of 4 MB and 40 MB; mean and stddev together;
// and an array in shards, zstd, whole. Beside loops that read a chunk, decompress it and add it up, on two
// threads.
#include <blosc.h>

#include "zarr_data.hpp"

using namespace workload;

namespace {

constexpr morsel::Index edge = 100;

WORKLOAD_CLONES void moments_block(const float* x, std::size_t n, double shift, double& sum,
                                   double& squares) {
  typedef float Floats __attribute__((vector_size(32), aligned(4), may_alias));
  Lanes s[2] = {}, q[2] = {};
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (std::size_t k = 0; k < 2; ++k) {
      const Lanes d = __builtin_convertvector(*reinterpret_cast<const Floats*>(x + i + 8 * k), Lanes) - shift;
      s[k] += d;
      q[k] += d * d;
    }
  for (int lane = 0; lane < 8; ++lane) sum += s[0][lane] + s[1][lane], squares += q[0][lane] + q[1][lane];
  for (; i < n; ++i) {
    const double d = static_cast<double>(x[i]) - shift;
    sum += d, squares += d * d;
  }
}

/// f(values, count) for every chunk of a blosc array, two threads that take the next one.
template <class F>
void each_chunk(const std::string& path, const morsel::Dims& counts, std::size_t chunk, F&& f) {
  const std::vector<std::string> files = chunk_files(path, counts);
  std::atomic<std::size_t> next{0};
  on_two_threads([&](std::size_t thread) {
    std::vector<char> stored;
    std::vector<float> values(chunk);
    for (std::size_t n; (n = next++) < files.size();) {
      read_file(files[n], stored);
      if (blosc_decompress_ctx(stored.data(), values.data(), chunk * sizeof(float), 1) <= 0)
        morsel::fail(morsel::Errc::corrupt_data, "decompressing " + files[n]);
      f(thread, values.data(), chunk);
    }
  });
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings = read_settings(argc, argv, 4'000'000'000);
  return guarded([&] {
    const morsel::Index planes = std::max<morsel::Index>(
        edge, static_cast<morsel::Index>(settings.size_bytes / 4'000'000) / edge * edge);
    const double count = static_cast<double>(planes) * 1e6;
    const morsel::ComputeOptions options{.memory = 256 * morsel::MiB, .threads = 2};
    for (const morsel::Index depth : {edge, 10 * edge}) {
      if (planes < depth) continue;
      const morsel::SaveOptions how{.chunks = {depth, edge, edge}, .codec = "blosc-lz4:5:shuffle"};
      const std::string path =
          store_of(settings, depth == edge ? "w4-4MB" : "w4-40MB", {planes, 1000, 1000}, how);
      const morsel::Dims counts{planes / depth, 1000 / edge, 1000 / edge};
      const std::size_t chunk = static_cast<std::size_t>(depth * edge * edge);
      const auto a = morsel::open<float>(path);
      double loop_mean = 0, mean = 0;
      const std::vector<Times> times = interleaved(
          settings.repeats,
          {[&] {
             double part[2] = {};
             each_chunk(path, counts, chunk,
                        [&](std::size_t t, const float* x, std::size_t n) { part[t] += sum_block(x, n); });
             loop_mean = (part[0] + part[1]) / count;
           },
           [&] { mean = static_cast<double>(morsel::mean(a).item(options)); },
           [&] {
             double sum[2] = {}, squares[2] = {};
             each_chunk(path, counts, chunk, [&](std::size_t t, const float* x, std::size_t n) {
               moments_block(x, n, 400, sum[t], squares[t]);
             });
           },
           [&] { morsel::compute(options, morsel::mean(a), morsel::stddev(a)); }});
      if (std::fabs(mean - loop_mean) > 1e-3)
        morsel::fail(morsel::Errc::internal_error, "W4: the means differ");
      const std::string label = depth == edge ? "4 MB" : "40 MB";
      print({"W4-" + std::string(depth == edge ? "4" : "40"), "mean of Zarr, blosc-lz4, chunks of " + label,
             "x loop", ratios(times[1], times[0]), 1.10, times[0], times[1]},
            settings);
      print(
          {"W4-std" + std::string(depth == edge ? "4" : "40"), "mean and stddev together, chunks of " + label,
           "x loop", ratios(times[3], times[2]), 1.15, times[2], times[3]},
          settings);
    }
  });
}
