// W6: HDF5. Mean of float32 in chunks of 4 MB, shuffle and deflate 4, beside two threads that read a chunk
// under one lock (H5Dread_chunk), inflate it with libdeflate and add it up; mean of a contiguous dataset
// beside a loop of pread; opening a dataset of 40,000 chunks and reading a slice of it; and writing such
// chunks from a raw file, beside H5Dwrite, which is what h5py calls.
#include <fcntl.h>
#include <hdf5.h>
#include <libdeflate.h>
#include <sys/mman.h>

#include <morsel/ext/hdf5.hpp>
#include <mutex>

#include "zarr_data.hpp"

using namespace workload;

namespace {

constexpr morsel::Index edge = 1000;
constexpr std::size_t plane = static_cast<std::size_t>(edge * edge);

void require(bool good, const char* what) {
  if (!good) morsel::fail(morsel::Errc::io_error, std::string("HDF5: ") + what);
}

/// An identifier of libhdf5, closed at the end.
struct Id {
  hid_t id;
  herr_t (*close)(hid_t);
  Id(hid_t made, herr_t (*closes)(hid_t)) : id(made), close(closes) { require(id >= 0, "no identifier"); }
  Id(const Id&) = delete;
  Id& operator=(const Id&) = delete;
  ~Id() { close(id); }
  operator hid_t() const { return id; }  // NOLINT(google-explicit-constructor)
};

WORKLOAD_CLONES void unshuffle(const char* from, float* to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t bits = 0;
    for (std::size_t b = 0; b < 4; ++b)
      bits |= static_cast<std::uint32_t>(static_cast<unsigned char>(from[b * count + i])) << 8 * b;
    std::memcpy(to + i, &bits, sizeof bits);
  }
}

/// Smooth values with four random bits at the end, as a raw file: shuffle and deflate make a quarter of it.
std::string raw_file(const Settings& settings, morsel::Index planes) {
  const std::string path = settings.folder + "/w6-raw-" + std::to_string(planes * edge * edge);
  struct stat status;
  const auto bytes = static_cast<off_t>(static_cast<std::size_t>(planes) * plane * sizeof(float));
  if (::stat(path.c_str(), &status) == 0 && status.st_size == bytes) return path;
  const std::string part = path + ".part";
  const int file = ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  std::vector<float> values(plane);
  std::uint64_t state = 1;
  for (morsel::Index i = 0; i < planes; ++i) {
    for (std::size_t n = 0; n < plane; ++n) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      values[n] = 300.0f + static_cast<float>(i % 50) + 0.125f * static_cast<float>(n / edge) +
                  0.0625f * static_cast<float>(n % edge) + 0.0078125f * static_cast<float>(state >> 60);
    }
    const std::size_t n = plane * sizeof(float);
    require(::write(file, values.data(), n) == static_cast<ssize_t>(n), "making the raw file");
  }
  ::close(file);
  ::rename(part.c_str(), path.c_str());
  return path;
}

struct Mapping {
  const float* values;
  std::size_t bytes;
  Mapping(const std::string& path, std::size_t length) : values(nullptr), bytes(length) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    void* at = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file, 0);
    ::close(file);
    require(at != MAP_FAILED, "mapping the raw file");
    values = static_cast<const float*>(at);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { ::munmap(const_cast<float*>(values), bytes); }
};

/// What h5py does with create_dataset(..., compression="gzip", compression_opts=4, shuffle=True)[...] = a; or
/// a contiguous dataset.
void write_by_library(const std::string& path, const float* values, morsel::Index planes, bool is_chunked) {
  const hsize_t extents[3] = {static_cast<hsize_t>(planes), edge, edge}, chunk[3] = {1, edge, edge};
  const Id file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose);
  const Id create(H5Pcreate(H5P_DATASET_CREATE), H5Pclose),
      space(H5Screate_simple(3, extents, nullptr), H5Sclose);
  if (is_chunked) H5Pset_chunk(create, 3, chunk), H5Pset_shuffle(create), H5Pset_deflate(create, 4);
  const Id dataset(H5Dcreate2(file, "v", H5T_NATIVE_FLOAT, space, H5P_DEFAULT, create, H5P_DEFAULT),
                   H5Dclose);
  require(H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0, "writing");
}

/// The mean by two threads that take the next chunk.
double mean_by_loop(const std::string& path, morsel::Index planes) {
  const Id file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  const Id dataset(H5Dopen2(file, "v", H5P_DEFAULT), H5Dclose);
  std::mutex lock;
  std::atomic<morsel::Index> next{0};
  double part[2] = {};
  on_two_threads([&](std::size_t thread) {
    std::vector<char> stored, shuffled(plane * sizeof(float));
    std::vector<float> values(plane);
    libdeflate_decompressor* const inflater = libdeflate_alloc_decompressor();
    for (morsel::Index i; (i = next++) < planes;) {
      const hsize_t at[3] = {static_cast<hsize_t>(i), 0, 0};
      hsize_t bytes = 0;
      std::uint32_t mask = 0;
      {
        const std::lock_guard guard(lock);
        require(H5Dget_chunk_storage_size(dataset, at, &bytes) >= 0, "looking up a chunk");
        if (stored.size() < bytes) stored.resize(bytes);
        require(H5Dread_chunk(dataset, H5P_DEFAULT, at, &mask, stored.data()) >= 0, "reading a chunk");
      }
      require(libdeflate_zlib_decompress(inflater, stored.data(), bytes, shuffled.data(), shuffled.size(),
                                         nullptr) == LIBDEFLATE_SUCCESS,
              "inflating a chunk");
      unshuffle(shuffled.data(), values.data(), plane);
      part[thread] += sum_block(values.data(), plane);
    }
    libdeflate_free_decompressor(inflater);
  });
  return (part[0] + part[1]) / (static_cast<double>(planes) * static_cast<double>(plane));
}

/// The mean of raw elements at an offset of a file.
double mean_of_raw(const std::string& path, haddr_t offset, std::size_t count) {
  double part[2] = {};
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  on_two_threads([&](std::size_t k) {
    const std::size_t begin = k * (count / 2), end = k ? count : count / 2, block = std::size_t{1} << 18;
    std::vector<float> buffer(block);
    for (std::size_t at = begin; at < end; at += block) {
      const std::size_t n = std::min(block, end - at);
      require(
          ::pread(file, buffer.data(), n * sizeof(float), static_cast<off_t>(offset + at * sizeof(float))) ==
              static_cast<ssize_t>(n * sizeof(float)),
          "reading elements");
      part[k] += sum_block(buffer.data(), n);
    }
  });
  ::close(file);
  return (part[0] + part[1]) / static_cast<double>(count);
}

void require_same(double a, double b, const char* what) {
  if (std::fabs(a - b) > 1e-3)
    morsel::fail(morsel::Errc::internal_error, std::string(what) + ": the means differ");
}

void open_many_chunks(const Settings& settings) {
  constexpr morsel::Index rows = 200, columns = 200, side = 16;  // 40,000 chunks
  const std::string path = settings.folder + "/w6-40000.h5";
  const morsel::Shape shape{rows * side, columns * side};
  const auto a = morsel::from_function<float>(
      shape, [](morsel::Index i, morsel::Index j) { return static_cast<float>(i + j); });
  morsel::save(a, path + "/v", {.chunks = {side, side}, .overwrite = true});
  std::vector<double> milliseconds;
  Times times;
  for (int i = 0; i < 2 + settings.repeats; ++i) {
    ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);  // a file that nobody has open
    double value = 0;
    const Time time = time_of([&] {
      const auto opened = morsel::open<float>(path + "/v");
      const xt::xarray<float> slice = opened["1000:1010, 2000:2100"].compute({.threads = 2});
      value = static_cast<double>(slice(9, 99));
    });
    if (value != 1009 + 2099) morsel::fail(morsel::Errc::internal_error, "W6-open: a wrong element");
    if (i < 2) continue;
    times.push_back(time);
    milliseconds.push_back(1e3 * time.seconds);
  }
  print({"W6-open", "open HDF5 of 40,000 chunks and read a slice", "ms", milliseconds, 20, {}, times},
        settings);
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings = read_settings(argc, argv, 1'000'000'000);
  return guarded([&] {
    morsel::hdf5::enable();
    const morsel::Index planes =
        std::max<morsel::Index>(4, static_cast<morsel::Index>(settings.size_bytes / 4'000'000));
    const std::size_t count = static_cast<std::size_t>(planes) * plane;
    const std::string raw = raw_file(settings, planes), name = settings.folder + "/w6-";
    const Mapping values(raw, count * sizeof(float));
    const morsel::ComputeOptions options{.memory = 256 * morsel::MiB, .threads = 2};
    const auto source = morsel::memmap<float>(raw, {.shape = {planes, edge, edge}});
    const morsel::SaveOptions how{.chunks = {1, edge, edge},
                                  .codec = "shuffle+deflate:4",
                                  .overwrite = true,
                                  .memory = 256 * morsel::MiB,
                                  .threads = 2};

    std::vector<Times> times =
        interleaved(std::max(1, settings.repeats / 3),
                    {[&] { write_by_library(name + "library.h5", values.values, planes, true); },
                     [&] { morsel::save(source, name + "morsel.h5/v", how); }});
    print({"W6-write", "write HDF5, shuffle and deflate 4", "x H5Dwrite", ratios(times[1], times[0]), 1 / 1.8,
           times[0], times[1]},
          settings);

    const std::string path = name + "library.h5";
    const auto a = morsel::open<float>(path + "/v");
    double loop_mean = 0, mean = 0;
    times =
        interleaved(settings.repeats, {[&] { loop_mean = mean_by_loop(path, planes); },
                                       [&] { mean = static_cast<double>(morsel::mean(a).item(options)); }});
    require_same(mean, loop_mean, "W6");
    require_same(static_cast<double>(morsel::mean(morsel::open<float>(name + "morsel.h5/v")).item(options)),
                 loop_mean, "W6-write");
    print({"W6", "mean of HDF5, shuffle and deflate 4, chunks of 4 MB", "x loop", ratios(times[1], times[0]),
           1.10, times[0], times[1]},
          settings);

    const std::string contiguous = name + "contiguous.h5";
    write_by_library(contiguous, values.values, planes, false);
    haddr_t offset = 0;
    {
      const Id file(H5Fopen(contiguous.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
      const Id dataset(H5Dopen2(file, "v", H5P_DEFAULT), H5Dclose);
      offset = H5Dget_offset(dataset);
    }
    const auto b = morsel::open<float>(contiguous + "/v");
    times =
        interleaved(settings.repeats, {[&] { loop_mean = mean_of_raw(contiguous, offset, count); },
                                       [&] { mean = static_cast<double>(morsel::mean(b).item(options)); }});
    require_same(mean, loop_mean, "W6-contiguous");
    print({"W6-contiguous", "mean of a contiguous HDF5 dataset", "x loop", ratios(times[1], times[0]), 1.15,
           times[0], times[1]},
          settings);

    open_many_chunks(settings);
    std::remove((name + "morsel.h5").c_str());
    std::remove(contiguous.c_str());
    if (settings.clean) std::remove(raw.c_str()), std::remove(path.c_str());
  });
}
