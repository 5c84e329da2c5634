#pragma once

#include <condition_variable>
#include <exception>
#include <morsel/api/stream.hpp>
#include <mutex>
#include <thread>

namespace morsel::inline MORSEL_ABI {
namespace detail {

// One slot. The run's threads wait their turn to fill it and then until it is empty again; the consumer waits
// until it is full or the run has ended.
struct ChunkStream::State {
  std::stop_source stop;
  std::mutex mutex;
  std::condition_variable changed;
  bool full = false;
  bool handed = false;  // the consumer holds the slot
  bool ended = false;
  bool abandoned = false;
  Region region;
  BufferView values;
  std::exception_ptr error;
  std::thread thread;

  ~State() {
    {
      const std::lock_guard lock(mutex);
      abandoned = true;
    }
    stop.request_stop();
    changed.notify_all();
    if (thread.joinable()) thread.join();
  }

  void hand_over(const Region& where, const BufferView& what) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return !full || abandoned; });
    if (abandoned) fail(Errc::cancelled, "stream: the loop was left; expected it to run to the end");
    region = where;
    values = what;
    full = true;
    handed = false;
    changed.notify_all();
    // The caller's memory goes when this returns, so a slot that was handed over is waited for even when
    // abandoned: abandoning gives it back.
    changed.wait(lock, [&] { return !full || abandoned; });
    if (abandoned) fail(Errc::cancelled, "stream: the loop was left; expected it to run to the end");
  }

  void work(const Edge& value, ComputeOptions options, bool ordered) {
    std::exception_ptr thrown;
    try {
      const std::stop_callback forward(options.stop, [this] { stop.request_stop(); });
      options.stop = stop.get_token();
      const auto visit = [this](const Region& where, const BufferView& what) { hand_over(where, what); };
      std::vector<Target> targets;
      targets.emplace_back(VisitTarget{visit, ordered});
      evaluate({value}, targets, options);
    } catch (...) {
      thrown = std::current_exception();
    }
    const std::lock_guard lock(mutex);
    error = std::move(thrown);
    ended = true;
    changed.notify_all();
  }
};

MORSEL_INLINE ChunkStream::ChunkStream(const Edge& value, const StreamOptions& options)
    : state_(std::make_shared<State>()) {
  require_outside_tasks("stream");
  ComputeOptions run;
  // A share of the workspace, whatever the plan would like: the loop's body may have to compute in what is
  // left.
  run.workspace = options.workspace ? *options.workspace : Workspace::process();
  run.memory = options.memory.is_default() ? Bytes(run.workspace->memory_bytes() / 2) : options.memory;
  run.threads = options.threads;
  run.progress = options.progress;
  run.trace = options.trace;
  run.stop = options.stop;
  run.skip_passes = options.skip_passes;
  run.report = options.report;
  State* state = state_.get();  // outlives the thread: it joins
  state->thread =
      std::thread([state, value, run, ordered = options.ordered] { state->work(value, run, ordered); });
}

MORSEL_INLINE bool ChunkStream::next() {
  State& state = *state_;
  std::unique_lock lock(state.mutex);
  if (state.handed) {
    state.full = state.handed = false;
    state.changed.notify_all();
  }
  state.changed.wait(lock, [&] { return state.full || state.ended; });
  if (state.full) {
    state.handed = true;
    return true;
  }
  if (state.error) std::rethrow_exception(state.error);
  return false;
}

MORSEL_INLINE const Region& ChunkStream::region() const { return state_->region; }
MORSEL_INLINE const BufferView& ChunkStream::values() const { return state_->values; }

MORSEL_INLINE void visit_chunks(const Edge& value,
                                std::function<void(const Region&, const BufferView&)> visit,
                                const ComputeOptions& options) {
  std::vector<Target> targets;
  targets.emplace_back(VisitTarget{std::move(visit), false});
  evaluate({value}, targets, options);
}

}  // namespace detail
}  // namespace morsel::inline MORSEL_ABI
