#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <morsel/io/file.hpp>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// One file in one state. `users` counts the reads in flight; -1 means that there is no descriptor.
struct OpenFile {
  std::string path;
  FileState state;
  std::atomic<int> users{-1};
  std::atomic<bool> touched{false};
  std::atomic<bool> changed{false};
  std::atomic<bool> can_tell{true};  // false once the kernel refused RWF_NOWAIT
  int fd = -1;                       // written under the pool's mutex, while users is -1
  std::size_t slot = 0;              // place in the pool's list while open, under its mutex

  OpenFile() = default;
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile();
};

/// All open descriptors. Idle ones are closed by second chance: an entry used since the hand passed is spared once.
struct FilePool {
  std::mutex mutex;
  std::unordered_map<std::string, std::weak_ptr<OpenFile>> by_path;
  std::vector<OpenFile*> open;
  std::size_t hand = 0;
  std::size_t limit = 256;
};

/// Never destroyed, so that arrays with static storage may outlive everything else.
MORSEL_INLINE FilePool& file_pool() {
  static FilePool* pool = [] {
    auto* made = new FilePool;
    rlimit most{};
    if (getrlimit(RLIMIT_NOFILE, &most) == 0 && most.rlim_cur != RLIM_INFINITY)
      made->limit = std::max<std::size_t>(4, std::min<std::size_t>(256, most.rlim_cur / 2));
    return made;
  }();
  return *pool;
}

MORSEL_INLINE FileState state_of(const struct stat& s) {
  FileState state;
  state.size_bytes = static_cast<Index>(s.st_size);
  state.mtime_ns = static_cast<Index>(s.st_mtim.tv_sec) * 1000000000 + static_cast<Index>(s.st_mtim.tv_nsec);
  state.device = static_cast<std::uint64_t>(s.st_dev);
  state.inode = static_cast<std::uint64_t>(s.st_ino);
  return state;
}

MORSEL_INLINE std::string describe(const FileState& state) {
  return "size=" + std::to_string(state.size_bytes) + ",mtime_ns=" + std::to_string(state.mtime_ns) +
         ",inode=" + std::to_string(state.device) + ":" + std::to_string(state.inode);
}

[[noreturn]] MORSEL_INLINE void fail_changed(const OpenFile& file, const std::string& now) {
  fail(Errc::source_changed, "reading '" + file.path + "': the file changed since it was opened; expected " +
                                 describe(file.state) + ", got " + now);
}

/// Under the mutex. Closes one idle descriptor; false if all are in use.
MORSEL_INLINE bool close_one_idle(FilePool& pool) {
  for (std::size_t tries = 2 * pool.open.size(); tries > 0; --tries) {
    if (pool.hand >= pool.open.size()) pool.hand = 0;
    OpenFile& file = *pool.open[pool.hand];
    int idle = 0;
    if (file.touched.exchange(false, std::memory_order_relaxed) ||
        !file.users.compare_exchange_strong(idle, -1, std::memory_order_acq_rel)) {
      ++pool.hand;
      continue;
    }
    ::close(file.fd);
    file.fd = -1;
    pool.open[pool.hand] = pool.open.back();
    pool.open[pool.hand]->slot = pool.hand;
    pool.open.pop_back();
    return true;
  }
  return false;
}

/// Under the mutex. A descriptor on `path`, closing idle ones where the limit or the system asks for it.
MORSEL_INLINE int open_descriptor(FilePool& pool, const std::string& path) {
  while (pool.open.size() >= pool.limit && close_one_idle(pool)) {
  }
  for (;;) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0 || (errno != EINTR && errno != EMFILE && errno != ENFILE)) return fd;
    if (errno != EINTR && !close_one_idle(pool)) {
      errno = EMFILE;
      return -1;
    }
  }
}

/// Under the mutex. Hands `fd` to the entry, with one user.
MORSEL_INLINE void adopt_descriptor(FilePool& pool, OpenFile& file, int fd) {
  file.fd = fd;
  file.slot = pool.open.size();
  pool.open.push_back(&file);
  file.touched.store(true, std::memory_order_relaxed);
  file.users.store(1, std::memory_order_release);
}

MORSEL_INLINE OpenFile::~OpenFile() {
  FilePool& pool = file_pool();
  const std::lock_guard lock(pool.mutex);
  const auto known = pool.by_path.find(path);
  if (known != pool.by_path.end() && known->second.expired()) pool.by_path.erase(known);
  if (fd < 0) return;
  ::close(fd);
  pool.open[slot] = pool.open.back();
  pool.open[slot]->slot = slot;
  pool.open.pop_back();
}

/// Keeps the descriptor of a file open for as long as it lives.
class DescriptorUse {
 public:
  explicit DescriptorUse(OpenFile& file) : file_(file) {
    int users = file.users.load(std::memory_order_relaxed);
    while (users >= 0)
      if (file.users.compare_exchange_weak(users, users + 1, std::memory_order_acquire)) {
        if (!file.touched.load(std::memory_order_relaxed)) file.touched.store(true, std::memory_order_relaxed);
        return;
      }
    reopen();
  }
  DescriptorUse(const DescriptorUse&) = delete;
  DescriptorUse& operator=(const DescriptorUse&) = delete;
  ~DescriptorUse() { file_.users.fetch_sub(1, std::memory_order_release); }
  int fd() const { return file_.fd; }

 private:
  void reopen();
  OpenFile& file_;
};

MORSEL_INLINE void DescriptorUse::reopen() {
  FilePool& pool = file_pool();
  const std::lock_guard lock(pool.mutex);
  if (file_.users.load(std::memory_order_acquire) >= 0) {  // another thread was faster; only we may close it
    file_.users.fetch_add(1, std::memory_order_acquire);
    return;
  }
  const int fd = open_descriptor(pool, file_.path);
  if (fd < 0) {
    if (errno == ENOENT || errno == ENOTDIR) fail_changed(file_, "no such file");
    fail_errno(errno, "reopening '" + file_.path + "'");
  }
  struct stat s {};
  if (::fstat(fd, &s) != 0 || !(state_of(s) == file_.state)) {
    ::close(fd);
    file_.changed.store(true, std::memory_order_relaxed);
    fail_changed(file_, describe(state_of(s)));
  }
  adopt_descriptor(pool, file_, fd);
}

}  // namespace detail

MORSEL_INLINE File::File(const std::string& path) {
  using namespace detail;
  const auto doing = [&] { return "opening '" + path + "'"; };
  if (path.empty() || path.find('\0') != std::string::npos)
    fail(Errc::invalid_argument, doing() + ": not a path; expected a file's path, got " +
                                     (path.empty() ? "an empty string" : "one with a NUL character"));
  struct stat s {};
  if (::stat(path.c_str(), &s) != 0) fail_errno(errno, doing());
  if (!S_ISREG(s.st_mode))
    fail(Errc::invalid_argument, doing() + ": not a regular file; expected a file, got " +
                                     (S_ISDIR(s.st_mode) ? "a directory" : "a device, pipe or socket"));
  auto file = std::make_shared<OpenFile>();
  file->path = canonical_path(path);
  file->state = state_of(s);
  std::shared_ptr<OpenFile> replaced;  // destroyed after the lock is released: its destructor takes it
  FilePool& pool = file_pool();
  const std::lock_guard lock(pool.mutex);
  std::weak_ptr<OpenFile>& known = pool.by_path[file->path];
  if ((replaced = known.lock()) && replaced->state == file->state && !replaced->changed) {
    file_ = std::move(replaced);
    std::swap(file, replaced);
    return;
  }
  const int fd = open_descriptor(pool, file->path);
  if (fd < 0) {
    const int reason = errno;
    replaced = std::move(file);
    fail_errno(reason, doing());
  }
  if (::fstat(fd, &s) == 0) file->state = state_of(s);
  adopt_descriptor(pool, *file, fd);
  file->users.store(0, std::memory_order_release);
  known = file;
  file_ = std::move(file);
}

MORSEL_INLINE const std::string& File::path() const { return file_->path; }
MORSEL_INLINE const FileState& File::state() const { return file_->state; }
