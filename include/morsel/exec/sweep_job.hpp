// The scheduler of one sweep: books units in the plan's order, runs booked units in any order.
//
//   book (in order, memory fits) -> fetch -> would block? -> lane reads -> ready -> compute -> next step ...
//   -> finish
//
// Booked units are a prefix of the order and need nothing more to finish, so a unit that does not fit now
// fits when those before it are done: no deadlock, and never a byte above the budget.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <morsel/exec/perform.hpp>
#include <morsel/exec/pool.hpp>
#include <morsel/exec/run.hpp>
#include <morsel/exec/trace.hpp>
#include <mutex>
#include <random>

namespace morsel::inline MORSEL_ABI::detail {

/// What the sweeps of one run share.
struct RunState {
  RunState(const Plan& p, const std::vector<Target>& t, const RunOptions& o)
      : plan(p), targets(t), options(o), trace(!o.trace.empty()) {}

  const Plan& plan;
  const std::vector<Target>& targets;
  const RunOptions& options;
  Counters counters;
  TraceLog trace;
  std::size_t budget = 0, peak = 0;
  std::atomic<std::size_t> booked{0};  ///< changed under the stage's lock only
  Index total_units = 0;
  std::atomic<int> threads_seen{0};
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now(), last_report = begin,
                                        last_partial = begin;
  std::mutex progress_mutex, partial_mutex;

  /// Enters bytes into the ledger; the one place where the law is checked.
  void book(std::size_t bytes) {
    booked += bytes;
    if (booked > budget)
      fail(Errc::internal_error, "booking memory: above the budget; expected at most " +
                                     std::to_string(budget) + ", got " + std::to_string(booked.load()));
    peak = std::max(peak, booked.load());
  }
  Progress snapshot(bool finished, const std::string& what, int pass) const;
  /// Tells the callback, at most ten times a second; what it throws comes back.
  std::exception_ptr report(const std::string& what, int pass);
};

/// Runs the units of a sweep with any number of threads.
class SweepJob : public Job, public std::enable_shared_from_this<SweepJob> {
 public:
  static constexpr int lane_count = 4;

  SweepJob(RunState& run, const Sweep& sweep, const std::vector<StageRun*>& stages);
  MORSEL_INLINE ~SweepJob() override;
  MORSEL_INLINE void take_part() override;
  /// A lane: blocks in reads for tasks whose data is not cached.
  void read();
  /// Waits until all threads have left; throws the first error in plan order. `ends_run`: nothing of the run
  /// comes after it.
  void finish(bool ends_run);
  /// Memory for a nested evaluation inside one of this job's tasks.
  bool reserve(std::size_t bytes);
  void give_back(std::size_t bytes);
  const unsigned generation = fork_generation();

 private:
  class Participant;
  void join(void (SweepJob::*part)(std::unique_lock<std::mutex>&));
  void work(std::unique_lock<std::mutex>& lock);
  void read_for_others(std::unique_lock<std::mutex>& lock);
  bool stopping() const;
  void release_chunks(Index place);
  std::unique_ptr<Task> book();
  void process(std::unique_ptr<Task> task, int thread);
  void release(std::unique_ptr<Task> task, std::ptrdiff_t waiting_bytes);
  void deliver_in_order(std::unique_ptr<Task> task);
  void note_failure(Index unit_number, std::exception_ptr error);
  void partial();

  RunState& run_;
  const Sweep& sweep_;
  std::vector<StageRun*> stages_;
  std::vector<std::vector<std::size_t>> axes_;  // per stage: of the unit grid, outermost first
  std::vector<std::size_t> node_bytes_;         // per stage: states that a task may hand to the trees
  std::vector<bool> ordered_;                   // per stage: has an ordered visitor
  SharedWindow window_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Index next_ = 0, total_ = 0, finished_ = 0, next_delivery_ = 0, failed_unit_ = 0;
  std::size_t in_flight_ = 0, most_in_flight_ = 1, reserved_ = 0;
  int participants_ = 0;
  bool closed_ = false, lanes_posted_ = false, delivering_ = false;
  std::atomic<bool> lanes_on_{false};
  std::exception_ptr failure_;
  std::deque<std::unique_ptr<Task>> ready_, waiting_, parked_;
  std::map<Index, std::unique_ptr<Task>> held_;
  std::vector<std::byte*> free_;
  std::minstd_rand random_;
};

class LaneJob : public Job {
 public:
  explicit LaneJob(std::shared_ptr<SweepJob> sweep) : sweep_(std::move(sweep)) {}
  void take_part() override { sweep_->read(); }

 private:
  std::shared_ptr<SweepJob> sweep_;
};

/// The job whose task runs on this thread, or null.
SweepJob*& current_job();

}  // namespace morsel::inline MORSEL_ABI::detail

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/exec/impl/run.ipp>
#endif
