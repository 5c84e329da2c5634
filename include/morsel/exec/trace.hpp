// Spans of a run as Chrome trace JSON, which Perfetto and chrome://tracing open.
#pragma once

#include <chrono>
#include <morsel/base/checked.hpp>
#include <mutex>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// Refuses to write a trace onto what a run reads or writes, given as canonical paths of files or of
/// directories of files, and where no file can be written. **Fails**: invalid_argument, io_error, not_found.
void check_trace_path(const std::string& path, const std::vector<std::string>& files);

/// Collects spans while on; at most `most_events`, later ones are counted and dropped.
class TraceLog {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::size_t most_events = 200000;

  explicit TraceLog(bool on) : on_(on) {
    if (on_) start_ = std::chrono::steady_clock::now();
  }
  Time now() const { return on_ ? std::chrono::steady_clock::now() : Time{}; }
  /// `thread`: -1 for a read lane.
  void add(const char* what, const std::string& name, int thread, Index unit, Time begin, Time end);
  /// The file appears whole. **Fails**: io_error.
  void write(const std::string& path) const;

 private:
  struct Event {
    const char* what;
    std::string name;
    int thread;
    Index unit;
    double begin, duration;  // microseconds
  };
  bool on_;
  Time start_;
  std::mutex mutex_;
  std::vector<Event> events_;
  std::size_t dropped_ = 0;
};

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/exec/impl/trace.ipp>
#endif
