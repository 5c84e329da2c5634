// Where tests find their data, and a directory of their own to write into.
#pragma once

#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace test {

/// The value of an environment variable, or `otherwise`.
inline std::string environment(const char* name, const std::string& otherwise = "") {
  const char* value = std::getenv(name);
  return value && *value ? value : otherwise;
}

/// The root of the project's sources.
inline std::filesystem::path source_dir() { return environment("MORSEL_SOURCE_DIR", MORSEL_SOURCE_DIR); }

/// Small files that belong to the project: tests/data.
inline std::filesystem::path data_dir() { return source_dir() / "tests" / "data"; }

/// The collection of files written by other software; empty if it is not on this machine.
inline std::filesystem::path conformance_dir() {
  const std::filesystem::path dir = environment("MORSEL_CONFORMANCE_DIR", MORSEL_CONFORMANCE_DIR);
  return std::filesystem::exists(dir / "expected.json") ? dir : std::filesystem::path();
}

/// A fresh directory, removed with everything in it when the object goes.
class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "morsel-test-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("cannot make a temporary directory " + name);
    path_ = name;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace test
