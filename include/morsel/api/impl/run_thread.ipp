// The thread behind compute_async and stream.
#pragma once

#include <functional>
#include <morsel/exec/pool.hpp>
#include <morsel/exec/sweep_job.hpp>
#include <string>
#include <thread>
#include <utility>

namespace morsel::inline MORSEL_ABI::detail {

/// The thread of a run in the background; it owns what it works on. Destroying this waits for its end, but
/// not inside of a run, which the thread might wait for in turn, and not in a forked child, where the thread
/// is not.
class RunThread {
 public:
  explicit RunThread(std::function<void()> work);
  RunThread(const RunThread&) = delete;
  RunThread& operator=(const RunThread&) = delete;
  ~RunThread();
  /// False in a child forked since.
  bool is_here() const { return generation_ == fork_generation(); }
  /// **Fails**: unsupported in a child forked since.
  void require_here(const char* doing) const;

 private:
  union {
    std::thread thread_;  // not destroyed in a forked child: it could be neither joined nor detached
  };
  unsigned generation_ = fork_generation();
};

MORSEL_INLINE RunThread::RunThread(std::function<void()> work) : thread_(std::move(work)) {}

MORSEL_INLINE RunThread::~RunThread() {
  if (!is_here()) return;
  if (thread_.get_id() == std::this_thread::get_id() || current_job())
    thread_.detach();
  else
    thread_.join();
  thread_.~thread();
}

MORSEL_INLINE void RunThread::require_here(const char* doing) const {
  if (!is_here())
    fail(Errc::unsupported,
         std::string(doing) +
             ": the run is the parent process's; expected a run of this process, got one from before "
             "the fork");
}

}  // namespace morsel::inline MORSEL_ABI::detail
