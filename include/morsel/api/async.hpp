// A computation that runs in the background.
#pragma once

#include <functional>
#include <memory>
#include <morsel/api/evaluate.hpp>
#include <utility>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// Refuses a run on another thread from inside a run's task: it could wait for memory that the task's run
/// holds.
void require_outside_tasks(const char* doing);

/// Work on a thread of its own. The last handle cancels it and waits.
class AsyncRun {
 public:
  AsyncRun(std::function<void(const ComputeOptions&)> work, const ComputeOptions& options);
  bool is_done() const;
  void wait() const;
  /// Rethrows what the work threw.
  void finish() const;
  void cancel() const;
  Progress progress() const;

 private:
  struct State;
  struct Handle;
  std::shared_ptr<Handle> handle_;
};

}  // namespace detail

/// A result on its way. Copies refer to the same run; the last one to go cancels it and waits for it to end.
/// Where a function that a run calls lets it go, nobody waits: the run ends soon, on its own.
template <class R>
class AsyncResult {
 public:
  AsyncResult(std::shared_ptr<R> value, detail::AsyncRun run)
      : value_(std::move(value)), run_(std::move(run)) {}

  bool is_done() const { return run_.is_done(); }
  /// Returns when the run has ended, in whatever way.
  void wait() const { run_.wait(); }
  /// Waits; the result. **Fails**: as compute does.
  const R& get() const& {
    run_.finish();
    return *value_;
  }
  R get() && {
    run_.finish();
    return std::move(*value_);
  }
  /// Asks the run to stop within milliseconds; get() then fails with cancelled.
  void cancel() const { run_.cancel(); }
  Progress progress() const { return run_.progress(); }

 private:
  std::shared_ptr<R> value_;
  detail::AsyncRun run_;
};

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/async.ipp>
#endif
