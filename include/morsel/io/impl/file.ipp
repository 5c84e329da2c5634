#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
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

/// All open descriptors. Idle ones are closed by second chance: an entry used since the hand passed is spared
/// once.
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
        if (!file.touched.load(std::memory_order_relaxed))
          file.touched.store(true, std::memory_order_relaxed);
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
  if (path.empty())
    fail(Errc::invalid_argument, "opening a file: no path; expected one, got an empty string");
  if (path.find('\0') != std::string::npos)
    fail(Errc::invalid_argument,
         "opening '" + std::string(path.c_str()) +
             "': not a path; expected text without NUL, got a NUL character after this");
  struct stat s {};
  if (::stat(path.c_str(), &s) != 0) fail_errno(errno, doing());
  if (!S_ISREG(s.st_mode))
    fail(Errc::invalid_argument, doing() + ": not a regular file; expected a file, got " +
                                     (S_ISDIR(s.st_mode) ? "a directory" : "a device, pipe or socket"));
  auto file = std::make_shared<OpenFile>();
  file->path = canonical_path(path);
  file->state = state_of(s);
  std::shared_ptr<OpenFile>
      shared;  // like `file` destroyed after the lock is released: the destructor takes it
  FilePool& pool = file_pool();
  const std::lock_guard lock(pool.mutex);
  std::weak_ptr<OpenFile>& known = pool.by_path[file->path];
  if ((shared = known.lock()) && shared->state == file->state && !shared->changed) {
    file_ = std::move(shared);
    return;
  }
  const int fd = open_descriptor(pool, file->path);
  if (fd < 0) fail_errno(errno, doing());
  if (::fstat(fd, &s) == 0) file->state = state_of(s);
  adopt_descriptor(pool, *file, fd);
  file->users.store(0, std::memory_order_release);
  known = file;
  file_ = std::move(file);
}

MORSEL_INLINE const std::string& File::path() const { return file_->path; }
MORSEL_INLINE const FileState& File::state() const { return file_->state; }

namespace detail {

/// Refuses what `read` found at `offset` instead of `wanted` bytes.
[[noreturn]] MORSEL_INLINE void fail_short_read(const OpenFile& file, int fd, Index offset,
                                                std::size_t wanted, std::size_t got) {
  struct stat s {};
  if (::fstat(fd, &s) == 0 && state_of(s).size_bytes != file.state.size_bytes)
    fail_changed(file, describe(state_of(s)));
  fail(Errc::corrupt_data, "reading '" + file.path + "' at offset " + std::to_string(offset) +
                               ": the file ends early; expected " + std::to_string(wanted) + " bytes, got " +
                               std::to_string(got));
}

/// One read without waiting: bytes read, or -1 for "would block", or -2 if the kernel cannot tell.
MORSEL_INLINE ssize_t read_cached(int fd, void* data, std::size_t bytes, off_t offset) {
#if defined(RWF_NOWAIT)
  iovec piece{data, bytes};
  const ssize_t got = ::preadv2(fd, &piece, 1, offset, RWF_NOWAIT);
  if (got >= 0) return got;
  return errno == EAGAIN || errno == EINTR ? -1 : -2;
#else
  (void)fd, (void)data, (void)bytes, (void)offset;
  return -2;
#endif
}

}  // namespace detail

MORSEL_INLINE bool File::read(Index offset, std::span<std::byte> room, FetchMode mode,
                              const std::stop_token& stop) const {
  using namespace detail;
  if (room.empty()) return true;
  OpenFile& file = *file_;
  require_unchanged();
  if (offset < 0 || room.size() > static_cast<std::uint64_t>(INT64_MAX - offset))
    fail(Errc::out_of_range, "reading '" + file.path + "': position outside the file; expected 0 to " +
                                 std::to_string(file.state.size_bytes) + ", got " + std::to_string(offset));
  constexpr std::size_t most = std::size_t{4} << 20;  // so that a stop request is seen within milliseconds
  const DescriptorUse use(file);
  std::size_t done = 0;
  bool ask = mode == FetchMode::cached_only && file.can_tell.load(std::memory_order_relaxed);
  while (done < room.size()) {
    if (stop.stop_requested()) fail(Errc::cancelled, "reading '" + file.path + "': stopped on request");
    const std::size_t want = std::min(most, room.size() - done);
    const off_t at = static_cast<off_t>(offset) + static_cast<off_t>(done);
    ssize_t got = -2;
    if (ask) {
      got = read_cached(use.fd(), room.data() + done, want, at);
      if (got == -1) return false;
      if (got == -2) {
        file.can_tell.store(false, std::memory_order_relaxed);
        ask = false;
      }
    }
    if (got == -2) got = ::pread(use.fd(), room.data() + done, want, at);
    if (got < 0) {
      if (errno == EINTR) continue;
      fail(Errc::io_error, "reading '" + file.path + "' at offset " + std::to_string(offset) + ": " +
                               std::strerror(errno) + "; expected " + std::to_string(room.size()) +
                               " bytes, got " + std::to_string(done));
    }
    if (got == 0) fail_short_read(file, use.fd(), offset, room.size(), done);
    done += static_cast<std::size_t>(got);
  }
  return true;
}

MORSEL_INLINE std::string File::version() const {
  using namespace detail;
  struct stat s {};
  if (::stat(file_->path.c_str(), &s) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return "no such file";
    fail_errno(errno, "looking at '" + file_->path + "'");
  }
  const FileState now = state_of(s);
  if (!(now == file_->state)) file_->changed.store(true, std::memory_order_relaxed);
  return describe(now);
}

MORSEL_INLINE void File::require_unchanged() const {
  if (file_->changed.load(std::memory_order_relaxed)) detail::fail_changed(*file_, version());
}

MORSEL_INLINE std::shared_ptr<std::byte> File::map() const {
  const std::size_t bytes = static_cast<std::size_t>(size_bytes());
  if (bytes == 0) return nullptr;
  const detail::DescriptorUse use(*file_);
  void* start = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, use.fd(), 0);
  if (start == MAP_FAILED) fail_errno(errno, "mapping '" + path() + "'");
  return {static_cast<std::byte*>(start), [bytes](std::byte* p) { ::munmap(p, bytes); }};
}

MORSEL_INLINE void File::drop_cache(Index offset, Index length) const {
  if (length <= 0 || file_->users.load(std::memory_order_relaxed) < 0) return;
  try {
    const detail::DescriptorUse use(*file_);
    ::posix_fadvise(use.fd(), static_cast<off_t>(offset), static_cast<off_t>(length), POSIX_FADV_DONTNEED);
  } catch (const Error&) {  // the next read reports it
  }
}

MORSEL_INLINE std::string canonical_path(const std::string& path) {
  if (char* real = ::realpath(path.c_str(), nullptr)) {
    std::string text(real);
    std::free(real);
    return text;
  }
  std::size_t end = path.size();
  while (end > 1 && path[end - 1] == '/') --end;
  const std::size_t slash = path.rfind('/', end - 1);
  if (end == 0 || (slash == 0 && end == 1)) return path.empty() ? canonical_path(".") : path;
  const std::string parent = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  const std::string name = path.substr(slash == std::string::npos ? 0 : slash + 1,
                                       end - (slash == std::string::npos ? 0 : slash + 1));
  std::string start = canonical_path(parent);
  if (name == ".") return start;
  if (name == "..") return start.substr(0, std::max<std::size_t>(start.rfind('/'), 1));
  return start.back() == '/' ? start + name : start + "/" + name;
}

MORSEL_INLINE std::size_t open_file_count() {
  detail::FilePool& pool = detail::file_pool();
  const std::lock_guard lock(pool.mutex);
  return pool.open.size();
}

MORSEL_INLINE std::size_t open_file_limit() { return detail::file_pool().limit; }

}  // namespace morsel::inline MORSEL_ABI
