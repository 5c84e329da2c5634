// Results to files, chunk by chunk and inside the budget: whole under their name, or not there at all.
#pragma once

#include <morsel/api/axes.hpp>
#include <morsel/api/operand.hpp>
#include <morsel/io/format.hpp>
#include <morsel/io/store.hpp>

namespace morsel::inline MORSEL_ABI {

struct SaveOptions {
  ChunkSpec chunks = {};   ///< of the file, for formats that have chunks; default: the array's
  ChunkSpec shards = {};   ///< whole chunks that are stored together as one value; default: none
  std::string codec = {};  ///< "zstd:3", "blosc-lz4:5:shuffle", "none"; default: the format's
  bool overwrite = false;  ///< replace what is there; otherwise it is refused
  /// Finishes a save that was interrupted, if its plan was the same; chunks that are there are kept.
  bool resume = false;
  /// Writes into an array that is there: a slice such as "10:20, :" whose shape is the array's.
  std::string region = {};
  std::optional<AxisName> append = {};  ///< extends an array that is there along this axis
  FormatOptions options = {};           ///< of the format, by name
  /// What the arrays are written with, to appear with it; null: with the other arrays of the same call.
  std::shared_ptr<WriteBatch> batch = {};
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

  /// Into a store.
  template <ArrayLike A>
  Saving(const A& what, AnyStore into, std::string where)
      : array(detail::lazy_of(what)), path(std::move(where)), store(std::move(into)) {}

  AnyLazyArray array;
  std::string path;
  AnyStore store = {};
};

/// What save runs: values[i] goes to targets[i] of evaluate() and explain_plan().
struct SavePlan {
  std::vector<Edge> values;
  std::vector<Target> targets;
  ComputeOptions run;
};
/// Checks options and targets. Nothing is written. **Fails**: as save.
SavePlan plan_save(const SaveOptions& options, const std::vector<Saving>& savings);

/// Writes an array to a file or into a container ("out.zarr/group/a", "out.h5/group/a"); the ending decides
/// the format. Zarr arrays appear chunk by chunk: what a killed or failed save leaves opens, and can be
/// resumed. Files appear whole.
/// **Fails**: already_exists; unsupported for an ending that no format writes; invalid_argument for a target
/// that the array itself is read from; io_error; what compute fails with. Then the target is as it was
/// before.
void save(const AnyLazyArray& array, const std::string& path, const SaveOptions& options = {});

template <EagerArray X>
void save(const X& array, const std::string& path, const SaveOptions& options = {}) {
  save(detail::lazy_reference(array), path, options);
}

/// Writes an array into a store, as a Zarr array at a path ("" for the root).
void save(const AnyLazyArray& array, const AnyStore& store, const std::string& path,
          const SaveOptions& options = {});

/// Names the values of an array: equal texts, equal values. Sources count with what they hold now, functions
/// of a user's own only within one process. By this a resumed save knows that it makes the same array.
std::string fingerprint(const AnyLazyArray& array);

/// What save would do: the plan with the file as its target. Nothing is read or written.
Explanation explain_save(const AnyLazyArray& array, const std::string& path, const SaveOptions& options = {});

/// Several arrays in one run: save({.overwrite = true}, {{a, "a.npy"}, {mean(a), "mean.npy"}}).
void save(const SaveOptions& options, const std::vector<Saving>& savings);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/save.ipp>
#endif
