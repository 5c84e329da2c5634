// What the workloads over Zarr have in common: the data, and the files of chunks for loops written by hand.
#pragma once

#include <atomic>
#include <filesystem>
#include <numeric>

#include "workload.hpp"

namespace workload {

WORKLOAD_CLONES inline double sum_block(const float* x, std::size_t n) {
  typedef float Floats __attribute__((vector_size(32), aligned(4), may_alias));
  Lanes s[2] = {};
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    s[0] += __builtin_convertvector(*reinterpret_cast<const Floats*>(x + i), Lanes);
    s[1] += __builtin_convertvector(*reinterpret_cast<const Floats*>(x + i + 8), Lanes);
  }
  double total = 0;
  for (int lane = 0; lane < 8; ++lane) total += s[0][lane] + s[1][lane];
  for (; i < n; ++i) total += static_cast<double>(x[i]);
  return total;
}

/// A file's bytes, into `room` that grows as needed; how many there are.
inline std::size_t read_file(const std::string& path, std::vector<char>& room) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (file < 0 || ::fstat(file, &status) != 0) morsel::fail(morsel::Errc::io_error, "reading " + path);
  if (room.size() < static_cast<std::size_t>(status.st_size))
    room.resize(static_cast<std::size_t>(status.st_size));
  if (::pread(file, room.data(), static_cast<std::size_t>(status.st_size), 0) != status.st_size)
    morsel::fail(morsel::Errc::io_error, "reading " + path + ": short read");
  ::close(file);
  return static_cast<std::size_t>(status.st_size);
}

/// The files of the chunks of an array, C order.
inline std::vector<std::string> chunk_files(const std::string& path, const morsel::Dims& counts) {
  std::vector<std::string> files;
  for (morsel::Index i = 0; i < counts[0]; ++i)
    for (morsel::Index j = 0; j < counts[1]; ++j)
      for (morsel::Index k = 0; k < counts[2]; ++k)
        files.push_back(path + "/c/" + std::to_string(i) + "/" + std::to_string(j) + "/" + std::to_string(k));
  return files;
}

/// Smooth values with some noise in the low bits: what measurements look like to a compressor.
inline std::string store_of(const Settings& settings, const std::string& name, const morsel::Shape& shape,
                            const morsel::SaveOptions& how) {
  const std::string path =
      settings.folder + "/" + name + "-" + std::to_string(morsel::size_of(shape)) + ".zarr";
  struct stat status;
  if (::stat((path + "/.morsel-save").c_str(), &status) != 0 &&
      ::stat((path + "/zarr.json").c_str(), &status) == 0)
    return path;
  const auto a = morsel::from_function<float>(shape, [](morsel::Index i, morsel::Index j, morsel::Index k) {
    const std::uint64_t noise = static_cast<std::uint64_t>(i * 1000000 + j * 1000 + k) * 6364136223846793005u;
    const float smooth = 300.0f + static_cast<float>(i % 50) + 0.125f * static_cast<float>(j) +
                         0.0625f * static_cast<float>(k);
    return smooth + 0.0078125f * static_cast<float>(noise >> 61);
  });
  morsel::SaveOptions options = how;
  options.overwrite = true;
  morsel::save(a, path, options);
  return path;
}

}  // namespace workload
