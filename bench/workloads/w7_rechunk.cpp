// W7: 4 GB of float32 from chunks of (1000, 100, 100) to chunks of (10, 1000, 1000), store to store, blosc
// with lz4. Beside a loop that makes ten target chunks in a pass: 400 MB of them, and a part of every source
// chunk.
#include <blosc.h>
#include <sys/mman.h>

#include "zarr_data.hpp"

using namespace workload;

namespace {

constexpr morsel::Index side = 1000, edge = 100, depth = 10;

/// A file mapped for reading.
class Mapped {
 public:
  explicit Mapped(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (file < 0 || ::fstat(file, &status) != 0) morsel::fail(morsel::Errc::io_error, "reading " + path);
    bytes_ = static_cast<std::size_t>(status.st_size);
    data_ = ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, file, 0);
    ::close(file);
    if (data_ == MAP_FAILED) morsel::fail(morsel::Errc::io_error, "mapping " + path);
  }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  ~Mapped() { ::munmap(data_, bytes_); }
  const void* data() const { return data_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

void write_file(const std::string& path, const char* data, std::size_t bytes) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0 || ::write(file, data, bytes) != static_cast<ssize_t>(bytes))
    morsel::fail(morsel::Errc::io_error, "writing " + path);
  ::close(file);
}

/// `planes`: of all; `group`: planes that are held at a time.
void rechunk_by_hand(const std::vector<std::string>& files, const std::string& folder, morsel::Index planes,
                     morsel::Index group) {
  std::filesystem::create_directories(folder);
  const std::size_t plane = side * side, target = depth * plane;
  std::vector<float> held(static_cast<std::size_t>(group) * plane);
  for (morsel::Index z = 0; z < planes; z += group) {
    std::atomic<morsel::Index> next{0};
    on_two_threads([&](std::size_t) {
      std::vector<float> part(static_cast<std::size_t>(group * edge * edge));
      for (morsel::Index n; (n = next++) < 100;) {
        const Mapped frame(files[static_cast<std::size_t>(n)]);
        if (blosc_getitem(frame.data(), static_cast<int>(z * edge * edge), static_cast<int>(part.size()),
                          part.data()) <= 0)
          morsel::fail(morsel::Errc::corrupt_data, "decompressing a chunk");
        const float* from = part.data();
        for (morsel::Index k = 0; k < group; ++k)
          for (morsel::Index row = 0; row < edge; ++row, from += edge)
            std::memcpy(
                &held[static_cast<std::size_t>((k * side + n / 10 * edge + row) * side + n % 10 * edge)],
                from, edge * sizeof(float));
      }
    });
    next = 0;
    on_two_threads([&](std::size_t) {
      std::vector<char> frame(target * sizeof(float) + BLOSC_MAX_OVERHEAD);
      for (morsel::Index n; (n = next++) < group / depth;) {
        const int bytes = blosc_compress_ctx(5, BLOSC_SHUFFLE, sizeof(float), target * sizeof(float),
                                             &held[static_cast<std::size_t>(n) * target], frame.data(),
                                             frame.size(), "lz4", 0, 1);
        if (bytes <= 0) morsel::fail(morsel::Errc::internal_error, "compressing a chunk");
        write_file(folder + "/" + std::to_string(z / depth + n), frame.data(),
                   static_cast<std::size_t>(bytes));
      }
    });
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings = read_settings(argc, argv, 4'000'000'000);
  return guarded([&] {
    const morsel::Index planes = std::max<morsel::Index>(
        side, static_cast<morsel::Index>(settings.size_bytes / 4'000'000) / side * side);
    const std::string path = store_of(settings, "w4-40MB", {planes, side, side},
                                      {.chunks = {side, edge, edge}, .codec = "blosc-lz4:5:shuffle"});
    const std::vector<std::string> files = chunk_files(path, {planes / side, 10, 10});
    const auto a = morsel::open<float>(path)["0:1000"];
    const std::string by_hand = settings.folder + "/w7-by-hand", target = settings.folder + "/w7.zarr";
    const auto remove = [&] {
      std::filesystem::remove_all(by_hand);
      std::filesystem::remove_all(target);
    };
    struct Case {
      const char* name;
      std::size_t memory;
      double goal;
    };
    for (const Case& c : {Case{"512 MiB", 512 * morsel::MiB, 1.2}, Case{"128 MiB", 128 * morsel::MiB, 0},
                          Case{"2 GiB", 2048 * morsel::MiB, 0}}) {
      morsel::RunReport report;
      const morsel::SaveOptions how{.chunks = {depth, side, side},
                                    .codec = "blosc-lz4:5:shuffle",
                                    .memory = c.memory,
                                    .threads = 2,
                                    .report = &report};
      Times loop, ours;
      for (int round = 0; round <= settings.repeats; ++round) {
        remove();
        const Time by_loop = time_of([&] { rechunk_by_hand(files, by_hand, side, 10 * depth); });
        const Time by_us = time_of([&] { morsel::save(a, target, how); });
        if (round > 0) loop.push_back(by_loop), ours.push_back(by_us);
      }
      print({std::string("W7-") + std::to_string(c.memory / morsel::MiB),
             std::string("rechunk of Zarr, budget ") + c.name, "x loop", ratios(ours, loop), c.goal, loop,
             ours},
            settings);
      std::fprintf(stderr, "%s: %lld requests, %.0f MB read, %.0f MB decoded, peak %.0f MB\n", c.name,
                   static_cast<long long>(report.requests), 1e-6 * static_cast<double>(report.bytes_read),
                   1e-6 * static_cast<double>(report.bytes_decoded),
                   1e-6 * static_cast<double>(report.peak_bytes));
    }
    remove();
  });
}
