// What a run tells while it runs.
#pragma once

#include <cstddef>
#include <functional>
#include <morsel/array/buffer.hpp>
#include <string>

namespace morsel::inline MORSEL_ABI {

/// A snapshot. Monotone within a run; never reported from two threads at once.
struct Progress {
  std::string what;              ///< "mean", the name of the value being computed
  int pass = 0, passes = 1;      ///< counted from 0
  Index done = 0, total = 0;     ///< units of work over all passes
  std::size_t bytes_read = 0;    ///< from storage
  std::size_t bytes_done = 0;    ///< elements evaluated, in bytes of the values read
  std::size_t booked_bytes = 0;  ///< of the budget, now
  double seconds = 0;            ///< since the run began
  double seconds_left = -1;      ///< estimate; negative while unknown
  bool finished = false;         ///< the last report of a run that succeeded
};
using ProgressCallback = std::function<void(const Progress&)>;

/// The value so far of a reduction: elements of its result over what has been absorbed. `output`: its number
/// in the call; `done` of `total` chunks. Never called from two threads at once.
struct Partial {
  std::size_t output = 0;
  Index done = 0, total = 0;
  BufferView values;
};
using PartialCallback = std::function<void(const Partial&)>;

/// A bar with rate and time left on stderr; on a terminal it redraws itself, elsewhere it stays silent unless
/// `always`.
ProgressCallback progress_bar(bool always = false);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/exec/impl/progress.ipp>
#endif
