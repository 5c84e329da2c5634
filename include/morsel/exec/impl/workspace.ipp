#pragma once

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <morsel/exec/pool.hpp>
#include <morsel/exec/workspace.hpp>
#include <string>
#include <thread>

namespace morsel::inline MORSEL_ABI {
namespace detail {

/// First line of a small file, or nothing.
MORSEL_INLINE std::string read_line(const std::string& path) {
  std::string line;
  if (std::FILE* file = std::fopen(path.c_str(), "r")) {
    char text[512];
    if (std::fgets(text, sizeof text, file)) line = text;
    std::fclose(file);
  }
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  return line;
}

/// The process's folder below `mount` for a version-1 controller, or for version 2 (empty name).
MORSEL_INLINE std::string cgroup_folder(const std::string& controller) {
  std::FILE* file = std::fopen("/proc/self/cgroup", "r");
  if (!file) return {};
  std::string found;
  char text[4096];
  while (std::fgets(text, sizeof text, file)) {
    const std::string line(text);
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string names = line.substr(first + 1, second - first - 1);
    bool matches = controller.empty() ? names.empty() : false;
    if (!controller.empty())
      for (std::size_t at = 0; at <= names.size();) {
        const auto comma = std::min(names.find(',', at), names.size());
        matches |= names.substr(at, comma - at) == controller;
        at = comma + 1;
      }
    if (!matches) continue;
    found = line.substr(second + 1);
    while (!found.empty() && found.back() == '\n') found.pop_back();
  }
  std::fclose(file);
  return found;
}

/// Walks from the process's cgroup to the root and gives the smallest headroom (limit less usage).
MORSEL_INLINE std::size_t cgroup_headroom() {
  std::size_t headroom = ~std::size_t{0};
  const auto walk = [&](const std::string& mount, std::string folder, const char* limit, const char* usage,
                        const char* stat) {
    for (;;) {
      const std::string base = mount + folder;
      const std::string text = read_line(base + "/" + limit);
      if (!text.empty() && text != "max") {
        const unsigned long long most = std::strtoull(text.c_str(), nullptr, 10);
        unsigned long long used = std::strtoull(read_line(base + "/" + usage).c_str(), nullptr, 10);
        // Page cache that can be dropped is not in the way.
        if (std::FILE* file = std::fopen((base + "/" + stat).c_str(), "r")) {
          char line[256];
          while (std::fgets(line, sizeof line, file)) {
            unsigned long long value = 0;
            if (std::sscanf(line, "inactive_file %llu", &value) == 1 ||
                std::sscanf(line, "total_inactive_file %llu", &value) == 1) {
              used = used > value ? used - value : 0;
              break;
            }
          }
          std::fclose(file);
        }
        if (most < (1ull << 60)) headroom = std::min<std::size_t>(headroom, most > used ? most - used : 0);
      }
      if (folder.empty() || folder == "/") break;
      folder.erase(folder.find_last_of('/'));
    }
  };
  walk("/sys/fs/cgroup", cgroup_folder(""), "memory.max", "memory.current", "memory.stat");
  walk("/sys/fs/cgroup/memory", cgroup_folder("memory"), "memory.limit_in_bytes", "memory.usage_in_bytes",
       "memory.stat");
  return headroom;
}

MORSEL_INLINE double cgroup_cpus() {
  double most = 1e9;
  const auto walk = [&](const std::string& mount, std::string folder, bool second) {
    for (;;) {
      const std::string base = mount + folder;
      double quota = -1, period = 100000;
      if (second) {
        const std::string text = read_line(base + "/cpu.max");
        if (!text.empty() && text.rfind("max", 0) != 0) std::sscanf(text.c_str(), "%lf %lf", &quota, &period);
      } else {
        const std::string q = read_line(base + "/cpu.cfs_quota_us"),
                          p = read_line(base + "/cpu.cfs_period_us");
        if (!q.empty()) quota = std::atof(q.c_str());
        if (!p.empty()) period = std::atof(p.c_str());
      }
      if (quota > 0 && period > 0) most = std::min(most, quota / period);
      if (folder.empty() || folder == "/") break;
      folder.erase(folder.find_last_of('/'));
    }
  };
  walk("/sys/fs/cgroup", cgroup_folder(""), true);
  walk("/sys/fs/cgroup/cpu", cgroup_folder("cpu"), false);
  return most;
}

}  // namespace detail

MORSEL_INLINE int available_threads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set)
                                                          : static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  const double quota = detail::cgroup_cpus();
  if (quota < cores) cores = std::max(1, static_cast<int>(quota + 0.999));
  return std::max(1, cores);
}

MORSEL_INLINE std::size_t available_memory_bytes() {
  std::size_t available =
      static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  if (std::FILE* file = std::fopen("/proc/meminfo", "r")) {
    char line[256];
    unsigned long long kib = 0;
    while (std::fgets(line, sizeof line, file))
      if (std::sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
        available = std::min<std::size_t>(available, kib * 1024);
    std::fclose(file);
  }
  return std::min(available, detail::cgroup_headroom());
}

namespace detail {

/// What MORSEL_MEMORY says, or half of what the process may still use.
MORSEL_INLINE std::size_t default_memory_bytes() {
  const char* text = std::getenv("MORSEL_MEMORY");
  if (!text || !*text) return std::max(available_memory_bytes() / 2, 64 * MiB);
  try {
    const std::size_t bytes = parse_bytes(text);
    if (bytes == 0)
      fail(Errc::invalid_argument,
           "no memory at all; expected a byte size such as 256MiB, got '" + std::string(text) + "'");
    return bytes;
  } catch (const Error& error) {
    throw error.during("reading MORSEL_MEMORY");
  }
}

}  // namespace detail

namespace detail {

struct ForkState {
  std::atomic<unsigned> generation{0};
  std::mutex* mutex = new std::mutex;  ///< of those that begin anew
};
MORSEL_INLINE ForkState& fork_state() {
  static ForkState* state = [] {
    auto* made = new ForkState;
    pthread_atfork(nullptr, nullptr, [] {
      ForkState& child = fork_state();
      child.mutex = new std::mutex;
      ++child.generation;
    });
    return made;
  }();
  return *state;
}

}  // namespace detail

MORSEL_INLINE unsigned fork_generation() {
  return detail::fork_state().generation.load(std::memory_order_acquire);
}

MORSEL_INLINE std::uint64_t this_thread_number() {
  static std::atomic<std::uint64_t> last{0};
  thread_local const std::uint64_t number = ++last;
  return number;
}

MORSEL_INLINE std::shared_ptr<RunClient>& current_client() {
  thread_local std::shared_ptr<RunClient> client;
  return client;
}

MORSEL_INLINE Workspace::Workspace(const WorkspaceOptions& options) : state_(std::make_shared<State>()) {
  const char* threads = std::getenv("MORSEL_THREADS");
  state_->limit = options.memory.is_default() ? detail::default_memory_bytes() : options.memory.count();
  state_->threads = options.threads;
  if (options.threads == 0 && threads && *threads) {
    char* end = nullptr;
    const long n = std::strtol(threads, &end, 10);
    if (*end != 0 || n < 1 || n > 4096)
      fail(Errc::invalid_argument, "reading MORSEL_THREADS: not a thread count; expected 1 to 4096, got '" +
                                       std::string(threads) + "'");
    state_->threads = static_cast<int>(n);
  }
  if (options.threads < 0)
    fail(Errc::invalid_argument,
         "making a workspace: negative thread count; expected >= 0, got " + std::to_string(options.threads));
  if (state_->threads == 0) state_->threads = available_threads();
}

MORSEL_INLINE Workspace& Workspace::process() {
  static Workspace workspace{WorkspaceOptions{}};
  return workspace;
}

MORSEL_INLINE std::size_t Workspace::memory_bytes() const { return state_->limit; }
MORSEL_INLINE int Workspace::threads() const { return state_->threads; }
MORSEL_INLINE std::size_t Workspace::granted_bytes() const {
  const auto lock = state_->lock();
  return state_->granted;
}
MORSEL_INLINE std::size_t Workspace::peak_granted_bytes() const {
  const auto lock = state_->lock();
  return state_->peak;
}
MORSEL_INLINE std::size_t Workspace::held_bytes() const {
  const auto lock = state_->lock();
  return state_->held;
}

MORSEL_INLINE void Workspace::State::begin_anew_after_fork() {
  const std::lock_guard forked(*detail::fork_state().mutex);
  if (generation == fork_generation()) return;
  // The mutex may have been locked by a thread that is not here.
  new (&mutex) std::mutex;
  new (&changed) std::condition_variable;
  granted = peak = held = 0;
  next_ticket = serving = 0;
  new (&given_up) std::set<std::uint64_t>;
  new (&streams) std::vector<const RunClient*>;
  generation.store(fork_generation(), std::memory_order_release);
}

MORSEL_INLINE Grant::Grant(std::shared_ptr<Workspace::State> state, std::size_t least, std::size_t wish,
                           std::stop_token stop, Kind kind)
    : state_(std::move(state)), kind_(kind) {
  std::unique_lock lock = state_->lock();
  generation_ = state_->generation;
  const auto can_ever_be_given = [&] { return least <= state_->limit - state_->held; };
  const auto refuse = [&] {
    fail(Errc::budget_too_small,
         "asking for memory: the workspace is too small; expected at least " + std::to_string(least) +
             " bytes, got " + std::to_string(state_->limit) +
             (state_->held == 0
                  ? std::string()
                  : ", of which loaded arrays hold " + std::to_string(state_->held) + " (release some)"));
  };
  if (!can_ever_be_given()) refuse();
  const std::shared_ptr<RunClient> client = current_client();
  const std::uint64_t ticket = state_->next_ticket++;
  // Those behind must not wait for a ticket that never comes.
  const auto leave_queue = [&] {
    state_->given_up.insert(ticket);
    state_->advance();
    state_->changed.notify_all();
  };
  std::stop_callback wake(stop, [this] { state_->changed.notify_all(); });
  for (;;) {
    const std::size_t free = state_->limit - state_->granted;
    const bool must_not_wait = state_->holds_stream(client ? client->thread.load() : this_thread_number());
    if (free >= least && (must_not_wait || state_->serving == ticket)) break;
    if (!can_ever_be_given()) {
      leave_queue();
      refuse();
    }
    if (stop.stop_requested() || must_not_wait) {
      leave_queue();
      if (stop.stop_requested()) fail(Errc::cancelled, "waiting for memory: cancelled");
      fail(Errc::budget_too_small,
           "asking for memory while this thread holds a stream: the workspace has too little left, and "
           "waiting for more might never end; expected at least " +
               std::to_string(least) + " bytes, got " + std::to_string(free) +
               "; give the stream less memory, or compute after it");
    }
    state_->changed.wait_for(lock, std::chrono::milliseconds(100));
  }
  bytes_ = std::max(std::min(wish, state_->limit - state_->granted), least);
  if (client && client->is_stream && kind_ == Kind::run) {
    state_->streams.push_back(client.get());
    stream_ = client;
  }
  state_->granted += bytes_;
  if (kind_ == Kind::holding) state_->held += bytes_;
  state_->peak = std::max(state_->peak, state_->granted);
  leave_queue();
}

MORSEL_INLINE Grant::~Grant() {
  const auto lock = state_->lock();
  if (generation_ != state_->generation) return;  // forgotten by the fork
  state_->granted -= bytes_;
  if (kind_ == Kind::holding) state_->held -= bytes_;
  std::erase(state_->streams, stream_.get());
  state_->changed.notify_all();
}

// ---- pool
// -----------------------------------------------------------------------------------------------------

MORSEL_INLINE ThreadPool& ThreadPool::process() {
  // Never destroyed: workers may outlive static objects of the program.
  static ThreadPool* pool = [] {
    auto* p = new ThreadPool;
    pthread_atfork([] { ThreadPool::process().before_fork(); },
                   [] { ThreadPool::process().after_fork(false); },
                   [] { ThreadPool::process().after_fork(true); });
    return p;
  }();
  return *pool;
}

MORSEL_INLINE void ThreadPool::before_fork() { mutex_->lock(); }
MORSEL_INLINE void ThreadPool::after_fork(bool child) {
  if (!child) return mutex_->unlock();
  // The child has no workers; it starts with a fresh pool. The old objects are left alone: their state is the
  // parent's.
  mutex_ = new std::mutex;
  changed_ = new std::condition_variable;
  jobs_ = new std::deque<std::pair<Kind, std::shared_ptr<Job>>>;
  idle_[0] = idle_[1] = total_[0] = total_[1] = 0;
}

MORSEL_INLINE bool ThreadPool::post(Kind kind, int count, const std::shared_ptr<Job>& job) {
  const std::lock_guard lock(*mutex_);
  for (int i = 0; i < count; ++i) jobs_->emplace_back(kind, job);
  const int k = static_cast<int>(kind);
  int waiting = 0;
  for (const auto& [other, j] : *jobs_) waiting += other == kind;
  while (idle_[k] < waiting && start(kind)) {
  }
  changed_->notify_all();
  return waiting - idle_[k] < count;
}

MORSEL_INLINE bool ThreadPool::start(Kind kind) {
  struct Entry {
    ThreadPool* pool;
    Kind kind;
  };
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes,
                            kind == Kind::worker ? std::size_t{1} << 20 : std::size_t{256} << 10);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  auto* entry = new Entry{this, kind};
  pthread_t thread;
  const int failed = pthread_create(
      &thread, &attributes,
      [](void* raw) -> void* {
        Entry* e = static_cast<Entry*>(raw);
        const Entry copy = *e;
        delete e;
        copy.pool->work(copy.kind);
        return nullptr;
      },
      entry);
  pthread_attr_destroy(&attributes);
  if (failed) {
    delete entry;
    return false;
  }
  ++total_[static_cast<int>(kind)];
  ++idle_[static_cast<int>(kind)];
  return true;
}

MORSEL_INLINE void ThreadPool::work(Kind kind) {
  const int k = static_cast<int>(kind);
  std::unique_lock lock(*mutex_);
  for (;;) {
    const auto job =
        std::find_if(jobs_->begin(), jobs_->end(), [&](const auto& j) { return j.first == kind; });
    if (job == jobs_->end()) {
      changed_->wait(lock);
      continue;
    }
    const std::shared_ptr<Job> mine = job->second;
    jobs_->erase(job);
    --idle_[k];
    lock.unlock();
    mine->take_part();
    lock.lock();
    ++idle_[k];
  }
}

}  // namespace morsel::inline MORSEL_ABI
