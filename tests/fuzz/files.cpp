// Any bytes as a .npy, .npz or NetCDF classic file: it opens or is refused with an error, and what opens
// computes or fails with an error. Nothing else may happen.
#include <unistd.h>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <morsel/morsel.hpp>
#include <string>

using namespace morsel;

namespace {

void try_to_sum(const std::string& path) {
  const AnyLazyArray a = open_any(path);
  if (!a.dtype().is_numeric() || a.size() > 1'000'000) return;
  compute({.memory = "16MiB", .threads = 1}, sum(a), max(flip(a, {})));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const std::string folder = "/dev/shm/morsel-fuzz-" + std::to_string(::getpid());
  const bool zip = size > 2 && data[0] == 'P' && data[1] == 'K';
  const bool netcdf = size > 2 && data[0] == 'C' && data[1] == 'D' && data[2] == 'F';
  const std::string path = folder + (zip ? ".npz" : netcdf ? ".nc" : ".npy");
  {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  }
  const auto attempt = [](const std::string& what) {
    try {
      try_to_sum(what);
    } catch (const Error&) {
    }
  };
  if (zip || netcdf) {
    try {
      if (const auto members = list_path(path))
        for (const auto& member : *members) attempt(path + "/" + member.path);
    } catch (const Error&) {
    }
  }
  attempt(path);
  ::unlink(path.c_str());
  return 0;
}
