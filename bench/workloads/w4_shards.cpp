// W4 in shards: float32 in Zarr v3, inner chunks of 32^3 in shards of 256^3, zstd. The sum of all; every
// inner chunk alone, in random order; reading all and encoding it again. Beside loops over shard files and
// libzstd.
#include <zstd.h>

#include "zarr_data.hpp"

using namespace workload;

namespace {

constexpr morsel::Index shard_edge = 256, edge = 32, across = shard_edge / edge;
constexpr std::size_t inner = edge * edge * edge, per_shard = across * across * across;

/// A shard's file with its index, which stands at its end: offset and length per inner chunk, and a checksum.
struct Shard {
  explicit Shard(const std::string& path) : file(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat status;
    constexpr std::size_t index_bytes = per_shard * 16 + 4;
    if (file < 0 || ::fstat(file, &status) != 0 ||
        ::pread(file, index, per_shard * 16, status.st_size - static_cast<off_t>(index_bytes)) !=
            static_cast<ssize_t>(per_shard * 16))
      morsel::fail(morsel::Errc::io_error, "reading " + path);
    bytes = static_cast<std::size_t>(status.st_size);
  }
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;
  ~Shard() { ::close(file); }
  int file;
  std::size_t bytes = 0;
  std::uint64_t index[2 * per_shard];
};

void decompress(ZSTD_DCtx* context, float* values, const char* stored, std::size_t bytes) {
  if (ZSTD_decompressDCtx(context, values, inner * sizeof(float), stored, bytes) != inner * sizeof(float))
    morsel::fail(morsel::Errc::corrupt_data, "decompressing an inner chunk");
}

void read(int file, char* room, std::size_t bytes, std::uint64_t offset) {
  if (::pread(file, room, bytes, static_cast<off_t>(offset)) != static_cast<ssize_t>(bytes))
    morsel::fail(morsel::Errc::io_error, "reading a shard: short read");
}

/// f(thread, values, file, number in it) for every inner chunk, two threads that take the next shard.
template <class F>
void each_inner(const std::vector<std::string>& files, F&& f) {
  std::atomic<std::size_t> next{0};
  on_two_threads([&](std::size_t thread) {
    ZSTD_DCtx* context = ZSTD_createDCtx();
    std::vector<char> stored(2 * inner * sizeof(float));
    std::vector<float> values(inner);
    for (std::size_t n; (n = next++) < files.size();) {
      const Shard shard(files[n]);
      for (std::size_t k = 0; k < per_shard; ++k) {
        const std::size_t bytes = shard.index[2 * k + 1];
        read(shard.file, stored.data(), bytes, shard.index[2 * k]);
        decompress(context, values.data(), stored.data(), bytes);
        f(thread, values.data(), n, k);
      }
    }
    ZSTD_freeDCtx(context);
  });
}

/// Numbers 0 to n - 1 in an order that has none.
std::vector<std::size_t> shuffled(std::size_t n) {
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::uint64_t state = 7;
  for (std::size_t i = n; i > 1; --i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    std::swap(order[i - 1], order[(state >> 33) % i]);
  }
  return order;
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings = read_settings(argc, argv, std::size_t{1} << 30);
  return guarded([&] {
    const morsel::Index shards =
        std::max<morsel::Index>(1, static_cast<morsel::Index>(settings.size_bytes >> 28));
    const morsel::Shape shape{shards * shard_edge, 2 * shard_edge, 2 * shard_edge};
    const morsel::SaveOptions how{
        .chunks = {edge, edge, edge}, .shards = {shard_edge, shard_edge, shard_edge}, .codec = "zstd:3"};
    const std::string path = store_of(settings, "shards", shape, how);
    const std::vector<std::string> files = chunk_files(path, {shards, 2, 2});
    const auto a = morsel::open<float>(path);
    const morsel::ComputeOptions two{.threads = 2};
    const double count = static_cast<double>(a.size());

    double loop_mean = 0, mean = 0;
    std::vector<Times> times = interleaved(
        settings.repeats, {[&] {
                             double part[2] = {};
                             each_inner(files, [&](std::size_t t, const float* x, std::size_t, std::size_t) {
                               part[t] += sum_block(x, inner);
                             });
                             loop_mean = (part[0] + part[1]) / count;
                           },
                           [&] { mean = static_cast<double>(morsel::mean(a).item(two)); }});
    if (std::fabs(mean - loop_mean) > 1e-3)
      morsel::fail(morsel::Errc::internal_error, "shards: the means differ");
    print({"W4-shards", "mean of Zarr in shards, zstd, 32^3 in 256^3", "x loop", ratios(times[1], times[0]),
           1.10, times[0], times[1]},
          settings);

    std::vector<float> all(static_cast<std::size_t>(a.size())), by_hand(all.size());
    const auto place = [&](std::size_t file, std::size_t k) {
      const auto f = static_cast<morsel::Index>(file), n = static_cast<morsel::Index>(k);
      return morsel::Dims{f / 4 * shard_edge + n / (across * across) * edge,
                          f / 2 % 2 * shard_edge + n / across % across * edge,
                          f % 2 * shard_edge + n % across * edge};
    };
    const auto scatter = [&](const float* values, const morsel::Dims& at) {
      for (morsel::Index i = 0; i < edge; ++i)
        for (morsel::Index j = 0; j < edge; ++j)
          std::memcpy(
              &by_hand[static_cast<std::size_t>(((at[0] + i) * shape[1] + at[1] + j) * shape[2] + at[2])],
              values + (i * edge + j) * edge, edge * sizeof(float));
    };
    times = interleaved(settings.repeats, {[&] {
                                             each_inner(files,
                                                        [&](std::size_t, const float* x, std::size_t file,
                                                            std::size_t k) { scatter(x, place(file, k)); });
                                           },
                                           [&] { a.compute_into(std::span<float>(all), two); }});
    if (all != by_hand) morsel::fail(morsel::Errc::internal_error, "shards: the arrays differ");
    print({"W4-shards-read", "Zarr in shards read into memory", "x loop", ratios(times[1], times[0]), 1.10,
           times[0], times[1]},
          settings);

    // One inner chunk after another, two threads that take the next; the loop keeps files and indices.
    const std::vector<std::size_t> order = shuffled(files.size() * per_shard);
    const morsel::ComputeOptions one{.threads = 1};
    times = interleaved(settings.repeats,
                        {[&] {
                           std::vector<std::unique_ptr<Shard>> open;
                           for (const std::string& file : files)
                             open.push_back(std::make_unique<Shard>(file));
                           std::atomic<std::size_t> next{0};
                           on_two_threads([&](std::size_t) {
                             ZSTD_DCtx* context = ZSTD_createDCtx();
                             std::vector<char> stored(2 * inner * sizeof(float));
                             std::vector<float> values(inner);
                             for (std::size_t n; (n = next++) < order.size();) {
                               const Shard& shard = *open[order[n] / per_shard];
                               const std::size_t k = order[n] % per_shard, bytes = shard.index[2 * k + 1];
                               read(shard.file, stored.data(), bytes, shard.index[2 * k]);
                               decompress(context, values.data(), stored.data(), bytes);
                             }
                             ZSTD_freeDCtx(context);
                           });
                         },
                         [&] {
                           std::atomic<std::size_t> next{0};
                           on_two_threads([&](std::size_t) {
                             std::vector<float> values(inner);
                             for (std::size_t n; (n = next++) < order.size();) {
                               const morsel::Dims at = place(order[n] / per_shard, order[n] % per_shard);
                               a.view(morsel::range(at[0], at[0] + edge), morsel::range(at[1], at[1] + edge),
                                      morsel::range(at[2], at[2] + edge))
                                   .compute_into(std::span<float>(values), one);
                             }
                           });
                         }});
    print({"W4-shards-random", "every inner chunk alone, at random", "x loop", ratios(times[1], times[0]),
           1.10, times[0], times[1]},
          settings);

    const std::string target = settings.folder + "/shards-again.zarr";
    Times again;
    for (int round = 0; round <= settings.repeats; ++round) {
      std::filesystem::remove_all(target);
      morsel::SaveOptions options = how;
      options.threads = 2;
      const Time time = time_of([&] { morsel::save(a, target, options); });
      if (round > 0) again.push_back(time);
    }
    std::filesystem::remove_all(target);
    print({"W4-shards-again", "Zarr in shards read and encoded again", "x reading", ratios(again, times[0]),
           0, times[0], again},
          settings);
  });
}
