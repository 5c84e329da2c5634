// Threads that wait between runs, and the memory ledger behind Workspace.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <morsel/exec/workspace.hpp>
#include <mutex>
#include <set>
#include <stop_token>
#include <utility>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// Counts the forks that led to this process: what belongs to the parent's threads has another number.
unsigned fork_generation();

/// A number for the calling thread that no other thread ever has.
std::uint64_t this_thread_number();

/// Which thread a run is for: the one that takes its results, when the run has a thread of its own. A stream
/// holds its grant while that thread goes on, so what the thread asks for meanwhile must not wait for memory:
/// it might be that of the stream.
struct RunClient {
  std::atomic<std::uint64_t> thread{this_thread_number()};
  bool is_stream = false;
};
/// The client of the runs of this thread; null: the thread itself.
std::shared_ptr<RunClient>& current_client();

/// The ledger: bytes granted, and who is next. Runs are served strictly in the order they came, but for those
/// of threads that hold streams.
struct Workspace::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t limit = 0, granted = 0, peak = 0;
  std::size_t held = 0;  ///< of `granted`: not given back by itself
  int threads = 1;
  std::uint64_t next_ticket = 0, serving = 0;
  std::set<std::uint64_t> given_up;
  std::vector<const RunClient*> streams;  ///< that have a grant
  bool holds_stream(std::uint64_t thread) const {
    return std::any_of(streams.begin(), streams.end(),
                       [&](const RunClient* s) { return s->thread == thread; });
  }
  std::atomic<unsigned> generation{fork_generation()};
  /// In a forked child the ledger begins anew: the runs that held it are the parent's.
  void begin_anew_after_fork();
  std::unique_lock<std::mutex> lock() {
    if (generation.load(std::memory_order_acquire) != fork_generation()) begin_anew_after_fork();
    return std::unique_lock(mutex);
  }
  void advance() {
    while (given_up.erase(serving)) ++serving;
  }
};

/// Memory that one run may use, or that a loaded array holds; given back on destruction.
class Grant {
 public:
  enum class Kind : std::uint8_t {
    run,     ///< given back when the run ends: others wait for it
    holding  ///< kept for as long as somebody likes: nobody waits for it
  };
  /// Waits until it is this run's turn and `least` bytes are free; takes up to `wish`. A run for a thread
  /// that holds a stream does not wait. **Fails**: budget_too_small if the workspace can never give that
  /// much beside what is held, or not while the stream is held; cancelled.
  Grant(std::shared_ptr<Workspace::State> state, std::size_t least, std::size_t wish, std::stop_token stop,
        Kind kind = Kind::run);
  Grant(const Grant&) = delete;
  Grant& operator=(const Grant&) = delete;
  ~Grant();
  std::size_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<Workspace::State> state_;
  std::shared_ptr<RunClient> stream_;  // whose grant this is, if it is a stream's
  std::size_t bytes_ = 0;
  Kind kind_;
  unsigned generation_ = 0;
};

/// Something threads can take part in until it is over.
class Job {
 public:
  virtual ~Job() = default;
  virtual void take_part() = 0;
};

/// Process-wide threads of two kinds: workers compute, lanes block in reads. Started when first asked for,
/// they wait between jobs; a forked child starts anew.
class ThreadPool {
 public:
  enum class Kind : std::uint8_t { worker, lane };
  static ThreadPool& process();
  /// Lets `count` threads take part in `job`, as soon as they are free. False if none will: all are busy and
  /// the system starts no more.
  bool post(Kind kind, int count, const std::shared_ptr<Job>& job);

 private:
  void work(Kind kind);
  bool start(Kind kind);
  void before_fork();
  void after_fork(bool child);

  std::mutex* mutex_ = new std::mutex;
  std::condition_variable* changed_ = new std::condition_variable;
  std::deque<std::pair<Kind, std::shared_ptr<Job>>>* jobs_ =
      new std::deque<std::pair<Kind, std::shared_ptr<Job>>>;
  int idle_[2] = {0, 0}, total_[2] = {0, 0};
};

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/exec/impl/workspace.ipp>
#endif
