// Results to files, chunk by chunk and inside the budget: whole under their name, or not there at all.
#pragma once

#include <morsel/api/operand.hpp>
#include <morsel/io/format.hpp>

namespace morsel::inline MORSEL_ABI {

struct SaveOptions {
  ChunkSpec chunks = {};       ///< of the file, for formats that have chunks; default: the array's
  std::string codec = {};      ///< "zstd:3", "none"; default: the format's
  bool overwrite = false;      ///< replace what is there; otherwise it is refused
  FormatOptions options = {};  ///< of the format, by name
  Bytes memory = {};
  int threads = 0;
  ProgressCallback progress = {};
  std::string trace = {};
  std::stop_token stop = {};
  std::optional<Workspace> workspace = {};
  std::vector<std::string> skip_passes = {};
  RunReport* report = nullptr;
};

/// An array and where it goes.
struct Saving {
  /// An xtensor array is copied.
  template <ArrayLike A>
  Saving(const A& what, std::string where) : array(detail::lazy_of(what)), path(std::move(where)) {}

  AnyLazyArray array;
  std::string path;
};

/// Writes an array to a file; the ending of the path decides the format.
/// **Fails**: already_exists; unsupported for an ending that no format writes; invalid_argument for a target
/// that the array itself is read from; io_error; what compute fails with. Then the target is as it was
/// before.
void save(const AnyLazyArray& array, const std::string& path, const SaveOptions& options = {});

template <EagerArray X>
void save(const X& array, const std::string& path, const SaveOptions& options = {}) {
  save(detail::lazy_reference(array), path, options);
}

/// What save would do: the plan with the file as its target. Nothing is read or written.
Explanation explain_save(const AnyLazyArray& array, const std::string& path, const SaveOptions& options = {});

/// Several arrays in one run: save({.overwrite = true}, {{a, "a.npy"}, {mean(a), "mean.npy"}}).
void save(const SaveOptions& options, const std::vector<Saving>& savings);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/save.ipp>
#endif
