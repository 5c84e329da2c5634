#pragma once

#include <sys/mman.h>
#include <atomic>
#include <cfenv>
#include <cstdio>
#include <cstring>
#include <deque>
#include <exception>
#include <morsel/base/bytes.hpp>
#include <morsel/base/warning.hpp>
#include <morsel/exec/perform.hpp>
#include <morsel/exec/pool.hpp>
#include <morsel/exec/run.hpp>
#include <morsel/exec/sweep_job.hpp>
#include <morsel/exec/trace.hpp>
#include <utility>

namespace morsel::inline MORSEL_ABI {
namespace detail {

/// From here on memory goes straight back to the system; the C library keeps less for the next run, whose
/// pages need not be made anew.
inline constexpr std::size_t own_pages_bytes = MiB;
/// One workspace of at most this waits for the next run that needs as much: of many small runs, each would
/// have its pages made anew.
inline constexpr std::size_t idle_bytes = 16 * MiB;

/// The workspace that waits, or null. Its first bytes hold its size.
MORSEL_INLINE std::atomic<std::byte*>& idle_memory() {
  static std::atomic<std::byte*> idle{nullptr};
  return idle;
}

MORSEL_INLINE std::byte* take_idle_memory(std::size_t bytes) {
  std::byte* p = idle_memory().exchange(nullptr);
  std::size_t have = 0;
  if (p) std::memcpy(&have, p, sizeof have);
  if (have == bytes) return p;
  if (p) ::munmap(p, have);
  return nullptr;
}

MORSEL_INLINE void leave_idle_memory(std::byte* p, std::size_t bytes) {
  std::memcpy(p, &bytes, sizeof bytes);
  p = idle_memory().exchange(p);
  if (!p) return;
  std::memcpy(&bytes, p, sizeof bytes);
  ::munmap(p, bytes);
}

/// Runs under way, nested ones among them.
MORSEL_INLINE std::atomic<int>& active_runs() {
  static std::atomic<int> count{0};
  return count;
}

/// What waits is in no budget: it is let go before a run that does not take it at once, and is not left
/// beside one that goes on.
class ActiveRun {
 public:
  explicit ActiveRun(std::size_t workspace_bytes) {
    active_runs().fetch_add(1);
    if (std::byte* idle = take_idle_memory(workspace_bytes)) leave_idle_memory(idle, workspace_bytes);
  }
  ~ActiveRun() { active_runs().fetch_sub(1); }
  ActiveRun(const ActiveRun&) = delete;
  ActiveRun& operator=(const ActiveRun&) = delete;
};

MORSEL_INLINE std::byte* take_memory(std::size_t bytes) {
  if (bytes == 0) bytes = 64;
  if (bytes < own_pages_bytes) return static_cast<std::byte*>(::operator new (bytes, std::align_val_t{64}));
  if (std::byte* idle = take_idle_memory(bytes)) return idle;
  void* p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED)
    fail(Errc::io_error, "running a plan: the system gives no memory; expected " + format_bytes(bytes) +
                             " within the budget");
  if (bytes >= 4 * MiB) ::madvise(p, bytes, MADV_HUGEPAGE);
  return static_cast<std::byte*>(p);
}

MORSEL_INLINE void give_memory(std::byte* p, std::size_t bytes) {
  if (!p) return;
  if (bytes == 0) bytes = 64;
  if (bytes < own_pages_bytes)
    ::operator delete (p, std::align_val_t{64});
  else
    ::munmap(p, bytes);
}

/// Of a run that is over: may wait for the next one.
MORSEL_INLINE void retire_memory(std::byte* p, std::size_t bytes) {
  if (bytes < own_pages_bytes || bytes > idle_bytes || active_runs().load() > 1) return give_memory(p, bytes);
  leave_idle_memory(p, bytes);
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

MORSEL_INLINE SweepJob*& current_job() {
  thread_local SweepJob* job = nullptr;
  // In a forked child the job is the parent's: its other threads are not here.
  if (job && job->generation != fork_generation()) job = nullptr;
  return job;
}

// ---- RunState
// -------------------------------------------------------------------------------------------------

MORSEL_INLINE Progress RunState::snapshot(bool finished, const std::string& what, int pass) const {
  Progress progress;
  progress.what = what;
  progress.pass = pass;
  progress.passes = plan.passes;
  progress.done = counters.units.load();
  progress.total = total_units;
  progress.bytes_read = counters.bytes_read.load();
  progress.bytes_done = counters.bytes_decoded.load();
  progress.booked_bytes = booked.load();
  progress.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (progress.done > 0 && progress.total > 0)
    progress.seconds_left = progress.seconds * static_cast<double>(progress.total - progress.done) /
                            static_cast<double>(progress.done);
  progress.finished = finished;
  return progress;
}

MORSEL_INLINE std::exception_ptr RunState::report(const std::string& what, int pass) {
  if (!options.progress) return nullptr;
  const std::unique_lock lock(progress_mutex, std::try_to_lock);
  if (!lock) return nullptr;
  const auto now = std::chrono::steady_clock::now();
  if (now - last_report < std::chrono::milliseconds(100)) return nullptr;
  last_report = now;
  try {
    options.progress(snapshot(false, what, pass));
  } catch (...) {
    return std::current_exception();
  }
  return nullptr;
}

// ---- SweepJob
// -------------------------------------------------------------------------------------------------

MORSEL_INLINE SweepJob::SweepJob(RunState& run, const Sweep& sweep, const std::vector<StageRun*>& stages)
    : run_(run), sweep_(sweep), stages_(stages), random_(static_cast<unsigned>(run.options.shuffle_seed)) {
  for (const StageRun* stage : stages) {
    total_ += stage->stage.units.count();
    axes_.push_back(unit_axes(stage->stage));
    std::size_t bytes = 0;
    for (const ReduceGroup& group : stage->stage.groups) bytes += node_bytes_per_task(stage->stage, group);
    node_bytes_.push_back(bytes);
    bool ordered = false;
    for (const ResultStore& store : stage->stage.stores) {
      const int output = run.plan.results[static_cast<std::size_t>(store.result)].output;
      const auto* visitor =
          output < 0 ? nullptr : std::get_if<VisitTarget>(&run.targets[static_cast<std::size_t>(output)]);
      ordered |= visitor && visitor->ordered;
    }
    ordered_.push_back(ordered);
  }
  window_.entries.resize(sweep.chunks.size());
  for (std::size_t i = 0; i < sweep.chunks.size(); ++i) window_.entries[i].uses = sweep.chunks[i].uses;
  most_in_flight_ = run.options.threads == 1 ? 1 : static_cast<std::size_t>(run.options.threads) + lane_count;
  lanes_on_ = run.options.threads > 1;
}

MORSEL_INLINE SweepJob::~SweepJob() {
  for (std::byte* memory : free_) give_memory(memory, sweep_.task_bytes);
}

MORSEL_INLINE bool SweepJob::stopping() const { return failure_ || run_.options.stop.stop_requested(); }

MORSEL_INLINE bool SweepJob::reserve(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (run_.booked + bytes > run_.budget) return false;
  run_.book(bytes);
  reserved_ += bytes;
  return true;
}
MORSEL_INLINE void SweepJob::give_back(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  run_.booked -= bytes;
  reserved_ -= bytes;
  changed_.notify_all();
}

/// Books the next unit of the plan's order if its memory fits; null if not.
MORSEL_INLINE std::unique_ptr<Task> SweepJob::book() {
  if (next_ >= total_ || stopping() || in_flight_ >= most_in_flight_) return nullptr;
  const std::size_t place = static_cast<std::size_t>(next_);
  const Sweep::Unit unit = sweep_.order.empty() ? Sweep::Unit{0, next_} : sweep_.order[place];
  const std::size_t index = static_cast<std::size_t>(unit.stage);
  StageRun& stage = *stages_[index];
  std::size_t bytes = node_bytes_[index];
  if (!sweep_.needs.empty())
    for (std::size_t k = sweep_.need_begin[place]; k < sweep_.need_begin[place + 1]; ++k) {
      const SharedChunk& chunk = sweep_.chunks[static_cast<std::size_t>(sweep_.needs[k])];
      if (chunk.first == next_) bytes += chunk.bytes;
    }
  std::byte* memory = nullptr;
  if (!free_.empty() && run_.booked + bytes <= run_.budget) {
    memory = free_.back();
    free_.pop_back();
  } else {
    // Free memory is the first victim; one piece stays for this task.
    while (free_.size() > 1 && run_.booked + bytes > run_.budget) {
      give_memory(free_.back(), sweep_.task_bytes);
      free_.pop_back();
      run_.booked -= sweep_.task_bytes;
    }
    const std::size_t more = free_.empty() ? sweep_.task_bytes : 0;
    if (run_.booked + bytes + more > run_.budget) {
      if (in_flight_ == 0 && reserved_ == 0)
        fail(Errc::internal_error, "running '" + stage.stage.name +
                                       "': the planned peak was too low; expected " +
                                       std::to_string(bytes + more) + " bytes free, got " +
                                       std::to_string(run_.budget - run_.booked));
      return nullptr;
    }
    if (free_.empty()) {
      memory = take_memory(sweep_.task_bytes);
      run_.book(sweep_.task_bytes);
    } else {
      memory = free_.back();
      free_.pop_back();
    }
  }
  run_.book(bytes);
  try {
    if (!sweep_.needs.empty())
      for (std::size_t k = sweep_.need_begin[place]; k < sweep_.need_begin[place + 1]; ++k) {
        const SharedChunk& chunk = sweep_.chunks[static_cast<std::size_t>(sweep_.needs[k])];
        if (chunk.first == next_)
          window_.entries[static_cast<std::size_t>(sweep_.needs[k])].memory = take_memory(chunk.bytes);
      }
    auto task = std::make_unique<Task>(stage, memory);
    task->memory = memory;
    task->stage_index = index;
    task->begin(next_, unit_region(stage.stage, axes_[index], unit.number), &sweep_, &window_);
    ++in_flight_;
    ++next_;
    return task;
  } catch (...) {
    free_.push_back(memory);  // the run fails; what else was booked goes with it
    throw;
  }
}

/// The unit at `place` is done with its shared chunks. **Requires**: the lock.
MORSEL_INLINE void SweepJob::release_chunks(Index place) {
  if (sweep_.needs.empty()) return;
  for (std::size_t k = sweep_.need_begin[static_cast<std::size_t>(place)];
       k < sweep_.need_begin[static_cast<std::size_t>(place) + 1]; ++k) {
    const std::size_t number = static_cast<std::size_t>(sweep_.needs[k]);
    SharedWindow::Entry& entry = window_.entries[number];
    if (--entry.uses > 0) continue;
    give_memory(entry.memory, sweep_.chunks[number].bytes);
    entry.memory = nullptr;
    run_.booked -= sweep_.chunks[number].bytes;
  }
}

/// A thread in a job: counted, and known as the job's, lanes too: a source's fetch may compute something.
/// What escapes it ends the run, since a task may be lost.
class SweepJob::Participant {
 public:
  explicit Participant(SweepJob& job) : job_(job), outer_(current_job()) {
    ++job_.participants_;
    current_job() = &job_;
  }
  Participant(const Participant&) = delete;
  Participant& operator=(const Participant&) = delete;
  ~Participant() {
    current_job() = outer_;
    const std::lock_guard lock(job_.mutex_);
    --job_.participants_;
    job_.changed_.notify_all();
  }

 private:
  SweepJob& job_;
  SweepJob* outer_;
};

MORSEL_INLINE void SweepJob::take_part() { join(&SweepJob::work); }
MORSEL_INLINE void SweepJob::read() { join(&SweepJob::read_for_others); }

MORSEL_INLINE void SweepJob::join(void (SweepJob::*part)(std::unique_lock<std::mutex>&)) {
  try {
    std::unique_lock lock(mutex_);
    if (closed_) return;
    const Participant participant(*this);
    std::unique_lock inner(std::move(lock));  // let go before the participant leaves
    (this->*part)(inner);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    note_failure(next_, std::current_exception());
    closed_ = true;
    changed_.notify_all();
  }
}

MORSEL_INLINE void SweepJob::work(std::unique_lock<std::mutex>& lock) {
  const DefaultFloatingPoint floating_point;
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
}

MORSEL_INLINE void SweepJob::note_failure(Index unit_number, std::exception_ptr error) {
  // Every unit before a failing one is booked already, so the first error in plan order is found whatever the
  // timing.
  if (!failure_ || unit_number < failed_unit_) {
    failure_ = error;
    failed_unit_ = unit_number;
  }
}

MORSEL_INLINE void SweepJob::process(std::unique_ptr<Task> task, int thread) {
  const Index place = task->place();
  const Stage& stage = task->stage().stage;
  try {
    for (;;) {
      {
        const std::lock_guard lock(mutex_);
        if ((failure_ && place > failed_unit_) || run_.options.stop.stop_requested())
          return release(std::move(task), 0);
      }
      const auto begin = run_.trace.now();
      const Task::Fetch fetched =
          task->fetch(lanes_on_ ? FetchMode::cached_only : FetchMode::wait, run_.options.stop);
      if (task->read_shared || fetched != Task::Fetch::done) {
        const std::lock_guard lock(mutex_);
        if (task->read_shared) {
          task->read_shared = false;
          std::move(parked_.begin(), parked_.end(), std::back_inserter(ready_));
          parked_.clear();
          changed_.notify_all();
        }
        if (fetched == Task::Fetch::wait_for_chunk) {
          (task->may_go_on() ? ready_ : parked_).push_back(std::move(task));
          changed_.notify_all();
          return;
        }
        if (fetched == Task::Fetch::would_block) {
          waiting_.push_back(std::move(task));
          if (!lanes_posted_) {
            lanes_posted_ = true;
            // Where the system gives no thread for it, workers read themselves.
            lanes_on_ = ThreadPool::process().post(ThreadPool::Kind::lane, lane_count,
                                                   std::make_shared<LaneJob>(shared_from_this()));
          }
          if (!lanes_on_) {
            std::move(waiting_.begin(), waiting_.end(), std::back_inserter(ready_));
            waiting_.clear();
          }
          changed_.notify_all();
          return;
        }
      }
      const auto middle = run_.trace.now();
      const bool more = task->compute(run_.options.stop);
      run_.trace.add("fetch", stage.name, thread, place, begin, middle);
      run_.trace.add("compute", stage.name, thread, place, middle, run_.trace.now());
      if (task->holds_visit()) return deliver_in_order(std::move(task));
      if (!more) break;
    }
    const std::ptrdiff_t waiting = task->finish();
    const std::lock_guard lock(mutex_);
    ++finished_;
    release(std::move(task), waiting);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    note_failure(place, std::current_exception());
    std::move(parked_.begin(), parked_.end(), std::back_inserter(ready_));
    parked_.clear();
    if (task)
      release(std::move(task), 0);
    else
      closed_ = true;  // it is lost, and would be waited for
  }
  if (const std::exception_ptr error = run_.report(stage.name, stage.pass)) {
    const std::lock_guard lock(mutex_);
    note_failure(place, error);
  }
  partial();
}

/// Takes back a task's memory. **Requires**: the lock.
MORSEL_INLINE void SweepJob::release(std::unique_ptr<Task> task, std::ptrdiff_t waiting_bytes) {
  free_.push_back(task->memory);
  const Index place = task->place();
  // States that now wait in the trees take the place of those that were booked for it.
  run_.booked += static_cast<std::size_t>(waiting_bytes) - node_bytes_[task->stage_index];
  task.reset();
  release_chunks(place);
  --in_flight_;
  changed_.notify_all();
}

MORSEL_INLINE void SweepJob::deliver_in_order(std::unique_ptr<Task> task) {
  std::unique_lock lock(mutex_);
  held_[task->place()] = std::move(task);
  if (delivering_) return;
  delivering_ = true;
  const auto skip_others = [&] {
    if (!sweep_.order.empty())
      while (
          next_delivery_ < total_ &&
          !ordered_[static_cast<std::size_t>(sweep_.order[static_cast<std::size_t>(next_delivery_)].stage)])
        ++next_delivery_;
  };
  for (skip_others(); !held_.empty() && held_.begin()->first == next_delivery_; skip_others()) {
    std::unique_ptr<Task> next = std::move(held_.begin()->second);
    held_.erase(held_.begin());
    const Index number = next->place();
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
    if (error)
      note_failure(number, error);
    else
      ++finished_;
    release(std::move(next), waiting);
    lock.unlock();  // the callback may compute something itself
    error = run_.report(stages_[0]->stage.name, stages_[0]->stage.pass);
    lock.lock();
    if (error) note_failure(number, error);
  }
  delivering_ = false;
}

MORSEL_INLINE void SweepJob::read_for_others(std::unique_lock<std::mutex>& lock) {
  while (!closed_) {
    if (waiting_.empty()) {
      changed_.wait_for(lock, std::chrono::milliseconds(50));
      continue;
    }
    std::unique_ptr<Task> task = std::move(waiting_.front());
    waiting_.pop_front();
    const bool drop = stopping() && (!failure_ || task->place() > failed_unit_);
    if (drop) {
      release(std::move(task), 0);
      continue;
    }
    lock.unlock();
    std::exception_ptr error;
    const auto begin = run_.trace.now();
    Task::Fetch fetched = Task::Fetch::done;
    try {
      fetched = task->fetch(FetchMode::wait, run_.options.stop);
    } catch (...) {
      error = std::current_exception();
    }
    run_.trace.add("read", task->stage().stage.name, -1, task->place(), begin, run_.trace.now());
    lock.lock();
    if (error) {
      note_failure(task->place(), error);
      release(std::move(task), 0);
      std::move(parked_.begin(), parked_.end(), std::back_inserter(ready_));
      parked_.clear();
    } else {
      if (task->read_shared) {
        task->read_shared = false;
        std::move(parked_.begin(), parked_.end(), std::back_inserter(ready_));
        parked_.clear();
      }
      (fetched == Task::Fetch::wait_for_chunk && !task->may_go_on() ? parked_ : ready_)
          .push_back(std::move(task));
    }
    changed_.notify_all();
  }
}

MORSEL_INLINE void SweepJob::partial() {
  if (!run_.options.on_partial) return;
  std::unique_lock lock(run_.partial_mutex, std::try_to_lock);
  if (!lock) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - run_.last_partial < run_.options.partial_period) return;
  run_.last_partial = now;
  for (StageRun* stage : stages_) {
    // Values so far are a courtesy: without room for them they are left out.
    const std::size_t bytes = stage->partial_bytes();
    if (!reserve(bytes)) continue;
    try {
      stage->report_partials(run_.options.on_partial);
    } catch (...) {
      const std::lock_guard failing(mutex_);
      note_failure(next_, std::current_exception());
    }
    give_back(bytes);
  }
}

MORSEL_INLINE void SweepJob::finish(bool ends_run) {
  std::unique_lock lock(mutex_);
  closed_ = true;
  changed_.notify_all();
  changed_.wait(lock, [&] { return participants_ == 0; });
  ready_.clear();
  waiting_.clear();
  held_.clear();
  for (std::byte* memory : free_) {
    if (ends_run)
      retire_memory(memory, sweep_.task_bytes);
    else
      give_memory(memory, sweep_.task_bytes);
    run_.booked -= sweep_.task_bytes;
  }
  free_.clear();
  for (std::size_t i = 0; i < window_.entries.size(); ++i)
    if (window_.entries[i].memory) {
      give_memory(window_.entries[i].memory, sweep_.chunks[i].bytes);
      window_.entries[i].memory = nullptr;
      run_.booked -= sweep_.chunks[i].bytes;
    }
  // A helper that still holds the job must not be the one that ends the error's life.
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  // A request to stop may have dropped units that were booked already.
  if (finished_ == total_) return;
  const std::string doing = "running '" + stages_[0]->stage.name + "': ";
  if (run_.options.stop.stop_requested()) fail(Errc::cancelled, doing + "cancelled");
  fail(Errc::internal_error, doing + "units were lost; expected " + std::to_string(total_) +
                                 " to finish, got " + std::to_string(finished_));
}

/// Sources must be what they were when the graph was made.
MORSEL_INLINE void check_versions(const Plan& plan, const char* when) {
  for (const PlannedSource& source : plan.sources) {
    const std::string now = source.source.version();
    if (now != source.version)
      fail(Errc::source_changed, std::string("reading ") + source.source.identity() + ": changed " + when +
                                     "; expected version " + source.version + ", got " + now);
  }
}

}  // namespace detail

MORSEL_INLINE RunReport run(const Plan& plan, const std::vector<Target>& targets, const RunOptions& options,
                            Progress* last) {
  using namespace detail;
  check_versions(plan, "since it was opened");
  const ActiveRun active(plan.sweeps.size() == 1 ? plan.sweeps[0].task_bytes : 0);
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
  for (std::size_t i = 0; i < plan.results.size(); ++i) {
    if (plan.results[i].output >= 0) continue;
    if (plan.results[i].spilled)
      plan.results[i].spill->create();
    else
      results.memory[i] = take_memory(plan.results[i].bytes);
  }
  for (const Stage& stage : plan.stages) state.total_units += stage.units.count();

  for (const Sweep& sweep : plan.sweeps) {
    std::vector<std::unique_ptr<StageRun>> owned;
    std::vector<StageRun*> stages;
    Index units = 0;
    for (const int number : sweep.stages) {
      const Stage& stage = plan.stages[static_cast<std::size_t>(number)];
      if (options.stop.stop_requested()) fail(Errc::cancelled, "running '" + stage.name + "': cancelled");
      owned.push_back(std::make_unique<StageRun>(plan, stage, targets, results.memory, state.counters));
      owned.back()->finish_empty();
      if (options.on_partial) owned.back()->track_partials();
      stages.push_back(owned.back().get());
      units += stage.units.count();
    }
    if (units == 0) continue;
    // Several stages without an order of their own run one after another.
    std::vector<Sweep> parts;
    if (sweep.order.empty() && sweep.stages.size() > 1) {
      for (const int number : sweep.stages) {
        Sweep part;
        part.stages = {number};
        part.task_bytes = sweep.task_bytes;
        parts.push_back(part);
      }
    }
    const auto run_sweep = [&](const Sweep& one, const std::vector<StageRun*>& its_stages) {
      Index count = 0;
      for (const StageRun* stage : its_stages) count += stage->stage.units.count();
      if (count == 0) return;
      const auto job = std::make_shared<SweepJob>(state, one, its_stages);
      const Index helpers = std::min<Index>(plan.threads - 1, count - 1);
      if (helpers > 0) ThreadPool::process().post(ThreadPool::Kind::worker, static_cast<int>(helpers), job);
      job->take_part();
      job->finish(plan.sweeps.size() == 1 && parts.empty());
    };
    if (parts.empty())
      run_sweep(sweep, stages);
    else
      for (std::size_t i = 0; i < parts.size(); ++i) run_sweep(parts[i], {stages[i]});
  }
  check_versions(plan, "while it was read");
  std::vector<AnyChunkSink> sinks;
  for (const Target& target : targets)
    if (const auto* sink = std::get_if<SinkTarget>(&target)) sinks.push_back(sink->sink);
  for (AnyChunkSink& sink : sinks) sink.commit();
  for (AnyChunkSink& sink : sinks) sink.settle();
  if (last) *last = state.snapshot(true, plan.stages.empty() ? "" : plan.stages.back().name, plan.passes - 1);
  // The results are there: a trace that cannot be written does not take them back.
  try {
    state.trace.write(options.trace);
  } catch (const std::exception& error) {
    warn("no_trace", error.what());
  }

  RunReport report;
  report.budget_bytes = plan.budget_bytes;
  report.peak_bytes = state.peak;
  report.bytes_read = state.counters.bytes_read;
  report.bytes_decoded = state.counters.bytes_decoded;
  report.requests = state.counters.requests;
  report.chunks_read = plan.prediction.chunks;
  report.chunks_missing = state.counters.missing;
  report.units = state.counters.units;
  report.threads = plan.threads;
  report.run_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - state.begin).count();
  return report;
}

}  // namespace morsel::inline MORSEL_ABI
