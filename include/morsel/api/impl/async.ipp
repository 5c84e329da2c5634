#pragma once

#include <condition_variable>
#include <exception>
#include <morsel/api/async.hpp>
#include <morsel/exec/sweep_job.hpp>
#include <mutex>
#include <thread>

namespace morsel::inline MORSEL_ABI {
namespace detail {

MORSEL_INLINE void require_outside_tasks(const char* doing) {
  if (current_job())
    fail(Errc::unsupported,
         std::string(doing) +
             ": called by a function that a run calls; expected compute there, got a run on another thread");
}

struct AsyncRun::State {
  std::stop_source stop;
  std::thread thread;
  mutable std::mutex mutex;
  mutable std::condition_variable ended;
  bool done = false;
  std::exception_ptr error;
  Progress progress;

  ~State() {
    stop.request_stop();
    if (!thread.joinable()) return;
    // A callback of the run may hold the last handle.
    if (thread.get_id() == std::this_thread::get_id())
      thread.detach();
    else
      thread.join();
  }
  void work(const std::function<void(const ComputeOptions&)>& function, ComputeOptions options) {
    std::exception_ptr thrown;
    try {
      const std::stop_callback forward(options.stop, [this] { stop.request_stop(); });
      ComputeOptions inner = options;
      inner.stop = stop.get_token();
      inner.progress = [this, &options](const Progress& now) {
        {
          const std::lock_guard lock(mutex);
          progress = now;
        }
        if (options.progress) options.progress(now);
      };
      function(inner);
    } catch (...) {
      thrown = std::current_exception();
    }
    const std::lock_guard lock(mutex);
    error = std::move(thrown);
    done = true;
    ended.notify_all();
  }
};

MORSEL_INLINE AsyncRun::AsyncRun(std::function<void(const ComputeOptions&)> work,
                                 const ComputeOptions& options)
    : state_(std::make_shared<State>()) {
  require_outside_tasks("compute_async");
  State* state = state_.get();  // outlives the thread: it joins
  state->thread = std::thread([state, work = std::move(work), options] { state->work(work, options); });
}

MORSEL_INLINE bool AsyncRun::is_done() const {
  const std::lock_guard lock(state_->mutex);
  return state_->done;
}

MORSEL_INLINE void AsyncRun::wait() const {
  std::unique_lock lock(state_->mutex);
  state_->ended.wait(lock, [&] { return state_->done; });
}

MORSEL_INLINE void AsyncRun::finish() const {
  wait();
  if (state_->error) std::rethrow_exception(state_->error);
}

MORSEL_INLINE void AsyncRun::cancel() const { state_->stop.request_stop(); }

MORSEL_INLINE Progress AsyncRun::progress() const {
  const std::lock_guard lock(state_->mutex);
  return state_->progress;
}

}  // namespace detail
}  // namespace morsel::inline MORSEL_ABI
