#pragma once

#include <condition_variable>
#include <exception>
#include <morsel/api/async.hpp>
#include <morsel/api/impl/run_thread.ipp>
#include <morsel/exec/sweep_job.hpp>
#include <mutex>

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
  mutable std::mutex mutex;
  mutable std::condition_variable ended;
  bool done = false;
  std::exception_ptr error;
  Progress progress;
  std::shared_ptr<RunClient> client = std::make_shared<RunClient>();

  void work(const std::function<void(const ComputeOptions&)>& function, const ComputeOptions& options) {
    current_client() = client;
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

struct AsyncRun::Handle {
  std::shared_ptr<State> state;
  RunThread thread;

  ~Handle() {
    if (thread.is_here()) state->stop.request_stop();
  }
  State& here(const char* doing) const {
    thread.require_here(doing);
    return *state;
  }
};

MORSEL_INLINE AsyncRun::AsyncRun(std::function<void(const ComputeOptions&)> work,
                                 const ComputeOptions& options) {
  require_outside_tasks("compute_async");
  const auto state = std::make_shared<State>();
  handle_.reset(
      new Handle{state, RunThread([state, work = std::move(work), options] { state->work(work, options); })});
}

MORSEL_INLINE bool AsyncRun::is_done() const {
  const State& state = handle_->here("asking whether a run is done");
  const std::lock_guard lock(state.mutex);
  return state.done;
}

MORSEL_INLINE void AsyncRun::wait() const {
  const State& state = handle_->here("waiting for a run");
  std::unique_lock lock(state.mutex);
  state.ended.wait(lock, [&] { return state.done; });
}

MORSEL_INLINE void AsyncRun::finish() const {
  wait();
  if (handle_->state->error) std::rethrow_exception(handle_->state->error);
}

MORSEL_INLINE void AsyncRun::cancel() const {
  if (handle_->thread.is_here()) handle_->state->stop.request_stop();
}

MORSEL_INLINE Progress AsyncRun::progress() const {
  const State& state = handle_->here("asking for the progress of a run");
  const std::lock_guard lock(state.mutex);
  return state.progress;
}

}  // namespace detail
}  // namespace morsel::inline MORSEL_ABI
