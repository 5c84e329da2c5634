#pragma once

#include <condition_variable>
#include <exception>
#include <morsel/api/impl/run_thread.ipp>
#include <morsel/api/stream.hpp>
#include <mutex>

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
  std::shared_ptr<RunClient> client = std::make_shared<RunClient>();

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
    current_client() = client;
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

struct ChunkStream::Handle {
  std::shared_ptr<State> state;
  RunThread thread;

  ~Handle() {
    if (!thread.is_here()) return;
    {
      const std::lock_guard lock(state->mutex);
      state->abandoned = true;
    }
    state->stop.request_stop();
    state->changed.notify_all();
  }
};

MORSEL_INLINE ChunkStream::ChunkStream(const Edge& value, const StreamOptions& options) {
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
  const auto state = std::make_shared<State>();
  state->client->is_stream = true;
  handle_.reset(new Handle{state, RunThread([state, value, run, ordered = options.ordered] {
                             state->work(value, run, ordered);
                           })});
}

MORSEL_INLINE bool ChunkStream::next() {
  handle_->thread.require_here("taking the next chunk of a stream");
  const std::shared_ptr<State> kept =
      handle_->state;  // a callback of the run may let the handle go meanwhile
  State& state = *kept;
  state.client->thread = this_thread_number();
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

MORSEL_INLINE const Region& ChunkStream::region() const { return handle_->state->region; }
MORSEL_INLINE const BufferView& ChunkStream::values() const { return handle_->state->values; }

MORSEL_INLINE void visit_chunks(const Edge& value,
                                std::function<void(const Region&, const BufferView&)> visit,
                                const ComputeOptions& options) {
  std::vector<Target> targets;
  targets.emplace_back(VisitTarget{std::move(visit), false});
  evaluate({value}, targets, options);
}

}  // namespace detail
}  // namespace morsel::inline MORSEL_ABI
