#pragma once

#include <cfenv>
#include <cstdio>
#include <deque>
#include <exception>
#include <morsel/base/bytes.hpp>
#include <morsel/exec/perform.hpp>
#include <morsel/exec/pool.hpp>
#include <morsel/exec/run.hpp>
#include <morsel/exec/stage_job.hpp>
#include <morsel/exec/trace.hpp>
#include <sys/mman.h>

namespace morsel::inline MORSEL_ABI {
namespace detail {

MORSEL_INLINE std::byte* take_memory(std::size_t bytes) {
  if (bytes == 0) bytes = 64;
  if (bytes < 128 * KiB) return static_cast<std::byte*>(::operator new(bytes, std::align_val_t{64}));
  void* p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED)
    fail(Errc::io_error, "running a plan: the system gives no memory; expected " + format_bytes(bytes) + " within the budget");
  if (bytes >= 4 * MiB) ::madvise(p, bytes, MADV_HUGEPAGE);
  return static_cast<std::byte*>(p);
}

MORSEL_INLINE void give_memory(std::byte* p, std::size_t bytes) {
  if (!p) return;
  if (bytes == 0) bytes = 64;
  if (bytes < 128 * KiB)
    ::operator delete(p, std::align_val_t{64});
  else
    ::munmap(p, bytes);
}

/// Default rounding, no traps, denormals on, whatever the program's start-up chose; put back on leaving.
class DefaultFloatingPoint {
 public:
  DefaultFloatingPoint() {
    std::fegetenv(&saved_);
    std::fesetenv(FE_DFL_ENV);
  }
  ~DefaultFloatingPoint() { std::fesetenv(&saved_); }
  DefaultFloatingPoint(const DefaultFloatingPoint&) = delete;
  DefaultFloatingPoint& operator=(const DefaultFloatingPoint&) = delete;

 private:
  std::fenv_t saved_;
};

MORSEL_INLINE StageJob*& current_job() {
  thread_local StageJob* job = nullptr;
  return job;
}

// ---- RunState -------------------------------------------------------------------------------------------------

MORSEL_INLINE void RunState::report(bool finished, const std::string& what, int pass) {
  if (!options.progress) return;
  std::unique_lock lock(progress_mutex, std::defer_lock);
  if (finished)
    lock.lock();
  else if (!lock.try_lock())
    return;
  const auto now = std::chrono::steady_clock::now();
  if (!finished && now - last_report < std::chrono::milliseconds(100)) return;
  last_report = now;
  Progress progress;
  progress.what = what;
  progress.pass = pass;
  progress.passes = plan.passes;
  progress.done = counters.units.load();
  progress.total = total_units;
  progress.bytes_read = counters.bytes_read.load();
  progress.bytes_done = counters.bytes_decoded.load();
  progress.booked_bytes = booked.load();
  progress.seconds = std::chrono::duration<double>(now - begin).count();
  if (progress.done > 0 && progress.total > 0)
    progress.seconds_left = progress.seconds * static_cast<double>(progress.total - progress.done) / static_cast<double>(progress.done);
  progress.finished = finished;
  options.progress(progress);
}

// ---- StageJob -------------------------------------------------------------------------------------------------

MORSEL_INLINE StageJob::StageJob(RunState& run, StageRun& stage) : run_(run), stage_(stage), random_(run.options.shuffle_seed) {
  total_ = stage.stage.units.count();
  // Units in order: kept axes of the (first) group outermost, so that a strip is finished before the next begins.
  const std::size_t rank = stage.stage.shape.size();
  for (const bool reduced : {false, true})
    for (std::size_t i = 0; i < rank; ++i)
      if ((stage.stage.groups.size() == 1 && is_reduced(stage.stage.groups[0], i)) == reduced) order_.push_back(i);
  if (stage.stage.groups.size() == 1)
    for (const ReduceGroup& group : stage.stage.groups) node_bytes_ += node_bytes_per_task(stage.stage, group);
  else
    for (const ReduceGroup& group : stage.stage.groups) node_bytes_ += node_bytes_per_task(stage.stage, group);
  most_in_flight_ = run.options.threads == 1 ? 1 : static_cast<std::size_t>(run.options.threads) + lane_count;
  lanes_on_ = run.options.threads > 1;
  for (const Store& store : stage.stage.stores) {
    const int output = run.plan.results[static_cast<std::size_t>(store.result)].output;
    if (output >= 0)
      if (const auto* visitor = std::get_if<VisitTarget>(&run.targets[static_cast<std::size_t>(output)])) ordered_ |= visitor->ordered;
  }
}

MORSEL_INLINE StageJob::~StageJob() {
  for (std::byte* memory : free_) give_memory(memory, stage_bytes_);
}

MORSEL_INLINE Region StageJob::unit(Index number) const {
  const Grid& units = stage_.stage.units;
  Dims position(units.rank());
  for (std::size_t k = order_.size(); k-- > 0;) {
    const Index count = units.axis(order_[k]).count();
    position[order_[k]] = number % count;
    number /= count;
  }
  return units.region(position);
}

MORSEL_INLINE bool StageJob::stopping() const { return failure_ || run_.options.stop.stop_requested(); }

MORSEL_INLINE bool StageJob::reserve(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (run_.booked + bytes > run_.budget) return false;
  run_.book(bytes);
  return true;
}
MORSEL_INLINE void StageJob::give_back(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  run_.booked -= bytes;
  changed_.notify_all();
}

/// Books the next unit of the plan's order if its memory fits; null if not.
MORSEL_INLINE std::unique_ptr<Task> StageJob::book() {
  if (next_ >= total_ || stopping() || in_flight_ >= most_in_flight_) return nullptr;
  stage_bytes_ = stage_.stage.step_bytes;
  std::byte* memory = nullptr;
  if (!free_.empty() && run_.booked + node_bytes_ <= run_.budget) {
    memory = free_.back();
    free_.pop_back();
  } else {
    // Free memory is the first victim.
    while (!free_.empty() && run_.booked + stage_bytes_ + node_bytes_ > run_.budget) {
      give_memory(free_.back(), stage_bytes_);
      free_.pop_back();
      run_.booked -= stage_bytes_;
    }
    if (run_.booked + stage_bytes_ + node_bytes_ > run_.budget) {
      if (in_flight_ == 0)
        fail(Errc::internal_error, "running '" + stage_.stage.name + "': the planned peak was too low; expected " +
                                       std::to_string(stage_bytes_ + node_bytes_) + " bytes free, got " +
                                       std::to_string(run_.budget - run_.booked));
      return nullptr;
    }
    memory = take_memory(stage_bytes_);
    run_.book(stage_bytes_);
  }
  run_.book(node_bytes_);
  ++in_flight_;
  auto task = std::make_unique<Task>(stage_, memory);
  task->memory = memory;
  task->begin(next_, unit(next_));
  ++next_;
  return task;
}

MORSEL_INLINE void StageJob::take_part() {
  std::unique_lock lock(mutex_);
  if (closed_) return;
  ++participants_;
  const DefaultFloatingPoint floating_point;
  StageJob* const outer = current_job();
  current_job() = this;
  const int thread = run_.threads_seen.fetch_add(1);
  while (!closed_) {
    std::unique_ptr<Task> task;
    try {
      if (run_.options.shuffle_seed != 0)
        while (auto more = book()) ready_.push_back(std::move(more));
      if (!ready_.empty()) {
        const std::size_t k = run_.options.shuffle_seed != 0 ? random_() % ready_.size() : 0;
        task = std::move(ready_[k]);
        ready_.erase(ready_.begin() + static_cast<std::ptrdiff_t>(k));
      } else {
        task = book();
      }
    } catch (...) {
      note_failure(next_, std::current_exception());
    }
    // After a failure the units between will not come: values held for an ordered visitor are let go.
    if (stopping() && !delivering_)
      while (!held_.empty()) {
        release(std::move(held_.begin()->second), 0);
        held_.erase(held_.begin());
      }
    if (!task) {
      if (in_flight_ == 0 && (next_ >= total_ || stopping())) {
        closed_ = true;
        changed_.notify_all();
        break;
      }
      changed_.wait_for(lock, std::chrono::milliseconds(50));
      continue;
    }
    lock.unlock();
    process(std::move(task), thread);
    lock.lock();
  }
  current_job() = outer;
  --participants_;
  changed_.notify_all();
}

MORSEL_INLINE void StageJob::note_failure(Index unit_number, std::exception_ptr error) {
  // Every unit before a failing one is booked already, so the first error in plan order is found whatever the timing.
  if (!failure_ || unit_number < failed_unit_) {
    failure_ = error;
    failed_unit_ = unit_number;
  }
}

MORSEL_INLINE void StageJob::process(std::unique_ptr<Task> task, int thread) {
  const Index number = task->unit_number();
  try {
    for (;;) {
      {
        const std::lock_guard lock(mutex_);
        if ((failure_ && number > failed_unit_) || run_.options.stop.stop_requested()) return release(std::move(task), 0);
      }
      const auto begin = run_.trace.now();
      if (!task->fetch(lanes_on_ ? FetchMode::cached_only : FetchMode::wait, run_.options.stop)) {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(task));
        if (!lanes_posted_) {
          lanes_posted_ = true;
          ThreadPool::process().post(ThreadPool::Kind::lane, lane_count, std::make_shared<LaneJob>(shared_from_this()));
        }
        changed_.notify_all();
        return;
      }
      const auto middle = run_.trace.now();
      const bool more = task->compute(run_.options.stop);
      run_.trace.add("fetch", stage_.stage.name, thread, number, begin, middle);
      run_.trace.add("compute", stage_.stage.name, thread, number, middle, run_.trace.now());
      if (task->holds_visit()) return deliver_in_order(std::move(task));
      if (!more) break;
    }
    const std::ptrdiff_t waiting = task->finish();
    const std::lock_guard lock(mutex_);
    release(std::move(task), waiting);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    note_failure(number, std::current_exception());
    if (task) release(std::move(task), 0);
  }
  run_.report(false, stage_.stage.name, stage_.stage.pass);
  partial();
}

/// Takes back a task's memory. **Requires**: the lock.
MORSEL_INLINE void StageJob::release(std::unique_ptr<Task> task, std::ptrdiff_t waiting_bytes) {
  free_.push_back(task->memory);
  task.reset();
  run_.booked -= node_bytes_;
  if (waiting_bytes > 0)
    run_.book(static_cast<std::size_t>(waiting_bytes));
  else
    run_.booked -= static_cast<std::size_t>(-waiting_bytes);
  --in_flight_;
  changed_.notify_all();
}

MORSEL_INLINE void StageJob::deliver_in_order(std::unique_ptr<Task> task) {
  std::unique_lock lock(mutex_);
  held_[task->unit_number()] = std::move(task);
  if (delivering_) return;
  delivering_ = true;
  while (!held_.empty() && held_.begin()->first == next_delivery_) {
    std::unique_ptr<Task> next = std::move(held_.begin()->second);
    held_.erase(held_.begin());
    const Index number = next->unit_number();
    ++next_delivery_;
    if (stopping()) {
      release(std::move(next), 0);
      continue;
    }
    lock.unlock();
    std::ptrdiff_t waiting = 0;
    std::exception_ptr error;
    try {
      next->deliver();
      waiting = next->finish();
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (error) note_failure(number, error);
    release(std::move(next), waiting);
    run_.report(false, stage_.stage.name, stage_.stage.pass);
  }
  delivering_ = false;
}

MORSEL_INLINE void StageJob::read() {
  std::unique_lock lock(mutex_);
  if (closed_) return;
  ++participants_;
  while (!closed_) {
    if (waiting_.empty()) {
      changed_.wait_for(lock, std::chrono::milliseconds(50));
      continue;
    }
    std::unique_ptr<Task> task = std::move(waiting_.front());
    waiting_.pop_front();
    const bool drop = stopping() && (!failure_ || task->unit_number() > failed_unit_);
    if (drop) {
      release(std::move(task), 0);
      continue;
    }
    lock.unlock();
    std::exception_ptr error;
    const auto begin = run_.trace.now();
    try {
      task->fetch(FetchMode::wait, run_.options.stop);
    } catch (...) {
      error = std::current_exception();
    }
    run_.trace.add("read", stage_.stage.name, -1, task->unit_number(), begin, run_.trace.now());
    lock.lock();
    if (error) {
      note_failure(task->unit_number(), error);
      release(std::move(task), 0);
    } else {
      ready_.push_back(std::move(task));
    }
    changed_.notify_all();
  }
  --participants_;
  changed_.notify_all();
}

MORSEL_INLINE void StageJob::partial() {
  if (!run_.options.on_partial || stage_.stage.groups.empty()) return;
  std::unique_lock lock(run_.partial_mutex, std::try_to_lock);
  if (!lock) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - run_.last_partial < run_.options.partial_period) return;
  run_.last_partial = now;
  stage_.report_partials(run_.options.on_partial, total_);
}

MORSEL_INLINE void StageJob::finish() {
  std::unique_lock lock(mutex_);
  closed_ = true;
  changed_.notify_all();
  changed_.wait(lock, [&] { return participants_ == 0; });
  ready_.clear();
  waiting_.clear();
  held_.clear();
  for (std::byte* memory : free_) {
    give_memory(memory, stage_bytes_);
    run_.booked -= stage_bytes_;
  }
  free_.clear();
  if (failure_) std::rethrow_exception(failure_);
  if (run_.options.stop.stop_requested() && next_ < total_) fail(Errc::cancelled, "running '" + stage_.stage.name + "': cancelled");
}

/// Sources must be what they were when the graph was made.
MORSEL_INLINE void check_versions(const Plan& plan, const char* when) {
  for (const PlannedSource& source : plan.sources) {
    const std::string now = source.source.version();
    if (now != source.version)
      fail(Errc::source_changed, std::string("reading ") + source.source.identity() + ": changed " + when + "; expected version " +
                                     source.version + ", got " + now);
  }
}

}  // namespace detail

MORSEL_INLINE RunReport run(const Plan& plan, const std::vector<Target>& targets, const RunOptions& options) {
  using namespace detail;
  check_versions(plan, "since it was opened");
  RunState state(plan, targets, options);
  state.budget = plan.budget_bytes;
  state.book(plan.fixed_bytes);
  struct Results {
    const Plan& plan;
    std::vector<std::byte*> memory;
    ~Results() {
      for (std::size_t i = 0; i < memory.size(); ++i) give_memory(memory[i], plan.results[i].bytes);
    }
  } results{plan, std::vector<std::byte*>(plan.results.size(), nullptr)};
  for (std::size_t i = 0; i < plan.results.size(); ++i)
    if (plan.results[i].output < 0) results.memory[i] = take_memory(plan.results[i].bytes);
  for (const Stage& stage : plan.stages) state.total_units += stage.units.count();

  for (const Stage& stage : plan.stages) {
    if (options.stop.stop_requested()) fail(Errc::cancelled, "running '" + stage.name + "': cancelled");
    StageRun stage_run(plan, stage, targets, results.memory, state.counters);
    stage_run.finish_empty();
    if (stage.units.count() == 0) continue;
    const auto job = std::make_shared<StageJob>(state, stage_run);
    const Index helpers = std::min<Index>(plan.threads - 1, stage.units.count() - 1);
    if (helpers > 0) ThreadPool::process().post(ThreadPool::Kind::worker, static_cast<int>(helpers), job);
    job->take_part();
    job->finish();
  }
  check_versions(plan, "while it was read");
  for (const Target& target : targets)
    if (const auto* sink = std::get_if<SinkTarget>(&target)) {
      AnyChunkSink handle = sink->sink;
      handle.commit();
    }
  state.report(true, plan.stages.empty() ? "" : plan.stages.back().name, plan.passes - 1);
  state.trace.write(options.trace);

  RunReport report;
  report.budget_bytes = plan.budget_bytes;
  report.peak_bytes = state.peak;
  report.bytes_read = state.counters.bytes_read;
  report.bytes_decoded = state.counters.bytes_decoded;
  report.requests = state.counters.requests;
  report.chunks_read = plan.prediction.chunks - state.counters.missing;
  report.chunks_missing = state.counters.missing;
  report.units = state.counters.units;
  report.threads = plan.threads;
  report.run_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - state.begin).count();
  return report;
}

}  // namespace morsel::inline MORSEL_ABI
