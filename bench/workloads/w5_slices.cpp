// W5: one element, and one plane z[i], of float32 in a Zarr store, blosc with lz4, in chunks of 4 MB and 40
// MB. Beside loops over mapped files and blosc_getitem.
#include <blosc.h>
#include <sys/mman.h>

#include "zarr_data.hpp"

using namespace workload;

namespace {

constexpr morsel::Index edge = 100;

/// Elements [begin, begin + count) of a chunk's file.
void getitem(const std::string& path, morsel::Index begin, morsel::Index count, float* to) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (file < 0 || ::fstat(file, &status) != 0) morsel::fail(morsel::Errc::io_error, "reading " + path);
  void* frame = ::mmap(nullptr, static_cast<std::size_t>(status.st_size), PROT_READ, MAP_SHARED, file, 0);
  ::close(file);
  if (frame == MAP_FAILED) morsel::fail(morsel::Errc::io_error, "mapping " + path);
  if (blosc_getitem(frame, static_cast<int>(begin), static_cast<int>(count), to) <= 0)
    morsel::fail(morsel::Errc::corrupt_data, "decompressing " + path);
  ::munmap(frame, static_cast<std::size_t>(status.st_size));
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings = read_settings(argc, argv, 4'000'000'000);
  return guarded([&] {
    const morsel::Index planes = std::max<morsel::Index>(
        10 * edge, static_cast<morsel::Index>(settings.size_bytes / 4'000'000) / (10 * edge) * (10 * edge));
    const morsel::ComputeOptions one{.threads = 1}, two{.threads = 2};
    for (const morsel::Index depth : {edge, 10 * edge}) {
      const morsel::SaveOptions how{.chunks = {depth, edge, edge}, .codec = "blosc-lz4:5:shuffle"};
      const std::string path =
          store_of(settings, depth == edge ? "w4-4MB" : "w4-40MB", {planes, 1000, 1000}, how);
      const std::vector<std::string> files = chunk_files(path, {planes / depth, 10, 10});
      const auto a = morsel::open<float>(path);
      const std::string size = depth == edge ? "4" : "40";

      // Elements here and there, the same ones for both.
      constexpr int points = 64;
      float loop_sum = 0, sum = 0;
      const auto place = [&](int n) {
        const std::uint64_t mixed = static_cast<std::uint64_t>(n + 1) * 11400714819323198485u;
        return morsel::Dims{static_cast<morsel::Index>(mixed >> 20) % planes,
                            static_cast<morsel::Index>(mixed >> 34) % 1000,
                            static_cast<morsel::Index>(mixed >> 48) % 1000};
      };
      std::vector<Times> times =
          interleaved(settings.repeats,
                      {[&] {
                         loop_sum = 0;
                         for (int n = 0; n < points; ++n) {
                           const morsel::Dims at = place(n);
                           const morsel::Index file = (at[0] / depth * 10 + at[1] / edge) * 10 + at[2] / edge;
                           float value = 0;
                           getitem(files[static_cast<std::size_t>(file)],
                                   (at[0] % depth * edge + at[1] % edge) * edge + at[2] % edge, 1, &value);
                           loop_sum += value;
                         }
                       },
                       [&] {
                         sum = 0;
                         for (int n = 0; n < points; ++n) {
                           const morsel::Dims at = place(n);
                           sum += a.view(at[0], at[1], at[2]).item(one);
                         }
                       }});
      if (sum != loop_sum) morsel::fail(morsel::Errc::internal_error, "W5: the elements differ");
      print({"W5-point" + size, "one element, chunks of " + size + " MB", "x loop",
             ratios(times[1], times[0]), 1.3, times[0], times[1]},
            settings);

      std::vector<float> loop_plane(1000 * 1000), plane(1000 * 1000);
      const morsel::Index z = planes / 2 + 7;
      times = interleaved(
          settings.repeats,
          {[&] {
             std::atomic<morsel::Index> next{0};
             on_two_threads([&](std::size_t) {
               std::vector<float> part(edge * edge);
               for (morsel::Index n; (n = next++) < 100;) {
                 getitem(files[static_cast<std::size_t>(z / depth * 100 + n)], z % depth * edge * edge,
                         edge * edge, part.data());
                 for (morsel::Index row = 0; row < edge; ++row)
                   std::memcpy(
                       &loop_plane[static_cast<std::size_t>((n / 10 * edge + row) * 1000 + n % 10 * edge)],
                       &part[static_cast<std::size_t>(row * edge)], edge * sizeof(float));
               }
             });
           },
           [&] { a[z].compute_into(std::span<float>(plane), two); }});
      if (plane != loop_plane) morsel::fail(morsel::Errc::internal_error, "W5: the planes differ");
      print({"W5-plane" + size, "one plane, chunks of " + size + " MB", "x loop", ratios(times[1], times[0]),
             1.3, times[0], times[1]},
            settings);
    }
  });
}
