#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <morsel/io/file.hpp>
#include <morsel/io/file_store.hpp>
#include <morsel/io/impl/fnv.hpp>
#include <morsel/io/store_key.hpp>
#if defined(__linux__)
#include <sys/syscall.h>
#if defined(SYS_openat2)
#include <linux/openat2.h>
#endif
#endif
#include <utility>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// Starts the name of every temporary file; no key may have a segment that starts so.
inline constexpr std::string_view temporary_prefix = ".morsel-tmp-";

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int close() {
    const int result = ::close(fd_);
    fd_ = -1;
    return result;
  }

 private:
  int fd_;
};

MORSEL_INLINE void check_file_key(std::string_view key, std::string_view doing) {
  check_key(key, doing);
  if (key.compare(0, temporary_prefix.size(), temporary_prefix) == 0 ||
      key.find("/" + std::string(temporary_prefix)) != std::string_view::npos)
    fail(Errc::invalid_argument, std::string(doing) + " '" + std::string(key) +
                                     "': reserved name; expected no segment that starts with '" +
                                     std::string(temporary_prefix) + "', got one");
}

/// openat that never leaves the directory `root` (path `root_path`), symbolic links included. -1 and errno as
/// openat; EXDEV if a link leads out.
MORSEL_INLINE int open_beneath(int root, const std::string& root_path, const std::string& key, int flags) {
#if defined(SYS_openat2)
  struct open_how how = {};
  how.flags = static_cast<std::uint64_t>(flags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  for (int attempt = 0; attempt < 16; ++attempt) {
    const long fd = ::syscall(SYS_openat2, root, key.c_str(), &how, sizeof how);
    if (fd >= 0) return static_cast<int>(fd);
    // EAGAIN: something was renamed meanwhile. EXDEV: an absolute link, which may still lead inside.
    if (errno == EAGAIN || errno == EINTR) continue;
    if (errno != ENOSYS && errno != EPERM && errno != EXDEV) return -1;
    break;
  }
#endif
  const std::string path = root_path + "/" + key;
  char* real = ::realpath(path.c_str(), nullptr);
  if (real == nullptr) return -1;
  const std::string resolved = real;
  std::free(real);
  const std::string inside = root_path == "/" ? root_path : root_path + "/";
  if (resolved != root_path && resolved.compare(0, inside.size(), inside) != 0) {
    errno = EXDEV;
    return -1;
  }
  int fd;
  do fd = ::open(resolved.c_str(), flags | O_NOFOLLOW);
  while (fd < 0 && errno == EINTR);
  return fd;
}

[[noreturn]] MORSEL_INLINE void fail_store(int error, const char* doing, const std::string& root,
                                           std::string_view key) {
  std::string what = std::string(doing) + " '" + root + "/" + std::string(key) + "'";
  if (error == EXDEV)
    fail(Errc::invalid_argument, what + ": a symbolic link leads out of the store; expected a path below '" +
                                     root + "', got one outside");
  fail_errno(error, std::move(what));
}

MORSEL_INLINE bool is_absent(int error) { return error == ENOENT || error == ENOTDIR || error == EISDIR; }

MORSEL_INLINE Descriptor open_store_root(const std::string& root) {
  return Descriptor(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/// A path without symbolic links in one call; -1 and errno as openat2, ELOOP also where there is none.
MORSEL_INLINE int open_without_links(const std::string& path, int flags) {
#if defined(SYS_openat2)
  struct open_how how = {};
  how.flags = static_cast<std::uint64_t>(flags);
  how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const long fd = ::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how);
  if (fd >= 0 || is_absent(errno)) return static_cast<int>(fd);
#else
  static_cast<void>(path), static_cast<void>(flags);
#endif
  errno = ELOOP;
  return -1;
}

/// The regular file of a key, open for reading, and its size; none if there is no such file.
MORSEL_INLINE Descriptor open_value(const std::string& root_path, std::string_view key, Index* size_bytes) {
  // O_NONBLOCK: opening a pipe must not wait for a writer.
  constexpr int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  // The root's path is canonical: what has no links lies below it.
  Descriptor file(open_without_links(root_path + "/" + std::string(key), flags));
  if (!file && errno == ELOOP) {
    const Descriptor root = open_store_root(root_path);
    if (!root) {
      if (is_absent(errno)) return Descriptor();
      fail_errno(errno, "opening store '" + root_path + "'");
    }
    file = Descriptor(open_beneath(root.fd(), root_path, std::string(key), flags));
  }
  if (!file) {
    if (is_absent(errno)) return file;
    fail_store(errno, "reading", root_path, key);
  }
  struct stat status;
  if (::fstat(file.fd(), &status) != 0) fail_store(errno, "reading", root_path, key);
  if (!S_ISREG(status.st_mode)) return Descriptor();
  *size_bytes = static_cast<Index>(status.st_size);
  return file;
}

/// Writes the entries of a directory (a descriptor or AT_FDCWD, and a path from there) to the disk.
MORSEL_INLINE bool flush_directory(int at, const char* path) {
  const Descriptor directory(::openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return directory && ::fsync(directory.fd()) == 0;
}

/// Opens the directory that holds `key`, creating what is missing on the way; `fsync`: on the disk, too.
MORSEL_INLINE Descriptor open_parent(const std::string& root_path, std::string_view key, bool fsync) {
  Descriptor root = open_store_root(root_path);
  if (!root && errno == ENOENT) {
    for (std::size_t end = 1; end <= root_path.size(); ++end) {
      end = std::min(root_path.find('/', end), root_path.size());
      const std::string part = root_path.substr(0, end);
      if (::mkdir(part.c_str(), 0777) == 0) {
        const std::string above = part.substr(0, std::max<std::size_t>(1, part.rfind('/')));
        if (fsync && !flush_directory(AT_FDCWD, above.c_str()))
          fail_errno(errno, "flushing directory '" + above + "'");
      } else if (errno != EEXIST) {
        const int error = errno;
        struct stat status;
        // mkdir of an existing directory may say EROFS or EACCES before it says EEXIST.
        if (::stat(part.c_str(), &status) != 0) fail_errno(error, "creating directory '" + part + "'");
      }
    }
    root = open_store_root(root_path);
  }
  if (!root) fail_errno(errno, "opening store '" + root_path + "'");
  const std::size_t slash = key.rfind('/');
  if (slash == std::string_view::npos) return root;
  const std::string directory(key.substr(0, slash));
  constexpr int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  Descriptor parent(open_beneath(root.fd(), root_path, directory, flags));
  if (parent) return parent;
  if (errno != ENOENT) fail_store(errno, "creating directory", root_path, directory);
  for (std::size_t begin = 0; begin < directory.size();) {
    const std::size_t end = std::min(directory.find('/', begin), directory.size());
    const std::string so_far = directory.substr(0, end), segment = directory.substr(begin, end - begin);
    Descriptor next(open_beneath(root.fd(), root_path, so_far, flags));
    if (!next) {
      if (errno != ENOENT) fail_store(errno, "creating directory", root_path, so_far);
      const int above = parent ? parent.fd() : root.fd();
      const bool made = ::mkdirat(above, segment.c_str(), 0777) == 0;
      if (!made && errno != EEXIST) fail_store(errno, "creating directory", root_path, so_far);
      if (made && fsync && !flush_directory(above, "."))
        fail_store(errno, "flushing the directory of", root_path, so_far);
      next = Descriptor(open_beneath(root.fd(), root_path, so_far, flags));
      if (!next) fail_store(errno, "creating directory", root_path, so_far);
    }
    parent = std::move(next);
    begin = end + 1;
  }
  return parent;
}

MORSEL_INLINE std::string temporary_name() {
  static std::atomic<std::uint64_t> serial{0};
  struct timespec now = {};
  ::clock_gettime(CLOCK_REALTIME, &now);
  char name[96];
  std::snprintf(name, sizeof name, "%s%ld-%llx-%llx", std::string(temporary_prefix).c_str(),
                static_cast<long>(::getpid()),
                static_cast<unsigned long long>(now.tv_sec) * 1000000000ull +
                    static_cast<unsigned long long>(now.tv_nsec),
                static_cast<unsigned long long>(serial.fetch_add(1, std::memory_order_relaxed)));
  return name;
}

}  // namespace detail

MORSEL_INLINE FileStore::FileStore(const std::string& root, const FileStoreOptions& options)
    : root_(canonical_path(root)), options_(options) {
  struct stat status;
  if (::stat(root_.c_str(), &status) == 0 && !S_ISDIR(status.st_mode))
    fail(Errc::invalid_argument,
         "opening store '" + root + "': not a directory; expected a directory, got a file");
}

MORSEL_INLINE void FileStore::get(std::span<GetRequest> requests, std::stop_token stop) const {
  constexpr std::size_t piece_bytes = std::size_t{4} << 20;  // how much is read between two looks at `stop`
  detail::Descriptor file;
  std::string_view open_key;
  Index size_bytes = 0;
  for (GetRequest& request : requests) {
    detail::check_file_key(request.key, "reading");
    request.found = false;
    request.filled_bytes = 0;
    // Ranges of one value often come one after another: they share a descriptor.
    if (!file || open_key != request.key) {
      file = detail::open_value(root_, request.key, &size_bytes);
      open_key = request.key;
      if (!file) continue;
    }
    const ByteRange range = resolve_range(request.range, size_bytes, request.room.size(), request.key);
    const auto length = static_cast<std::size_t>(range.length);
    for (std::size_t done = 0; done < length;) {
      if (stop.stop_requested())
        fail(Errc::cancelled, "reading '" + root_ + "/" + std::string(request.key) + "': cancelled");
      const ssize_t n = ::pread(file.fd(), request.room.data() + done, std::min(length - done, piece_bytes),
                                static_cast<off_t>(range.offset) + static_cast<off_t>(done));
      if (n < 0) {
        if (errno == EINTR) continue;
        detail::fail_store(errno, "reading", root_, request.key);
      }
      if (n == 0)
        fail(Errc::source_changed, "reading '" + root_ + "/" + std::string(request.key) +
                                       "': the file shrank while it was read; expected " +
                                       std::to_string(length) + " bytes at " + std::to_string(range.offset) +
                                       ", got " + std::to_string(done));
      done += static_cast<std::size_t>(n);
    }
    request.found = true;
    request.filled_bytes = length;
  }
}

MORSEL_INLINE std::optional<Index> FileStore::size(std::string_view key) const {
  detail::check_file_key(key, "asking for the size of");
  const detail::Descriptor root = detail::open_store_root(root_);
  if (!root) {
    if (detail::is_absent(errno)) return std::nullopt;
    fail_errno(errno, "opening store '" + root_ + "'");
  }
  const detail::Descriptor file(detail::open_beneath(root.fd(), root_, std::string(key), O_PATH | O_CLOEXEC));
  struct stat status;
  if (!file || ::fstat(file.fd(), &status) != 0) {
    if (detail::is_absent(errno)) return std::nullopt;
    detail::fail_store(errno, "asking for the size of", root_, key);
  }
  if (!S_ISREG(status.st_mode)) return std::nullopt;
  return static_cast<Index>(status.st_size);
}

MORSEL_INLINE std::optional<std::uint64_t> FileStore::stamp(std::string_view key) const {
  detail::check_file_key(key, "looking at");
  struct stat status;
  struct timespec now;
  if (::stat((root_ + "/" + std::string(key)).c_str(), &status) != 0 || !S_ISREG(status.st_mode) ||
      ::clock_gettime(CLOCK_REALTIME, &now) != 0)
    return std::nullopt;
  constexpr std::int64_t coarsest_seconds = 2;  // of file systems' times
  if (now.tv_sec - status.st_mtim.tv_sec <= coarsest_seconds ||
      now.tv_sec - status.st_ctim.tv_sec <= coarsest_seconds)
    return std::nullopt;
  std::uint64_t hash = detail::fnv_start;
  for (const std::int64_t part :
       {static_cast<std::int64_t>(status.st_size), static_cast<std::int64_t>(status.st_mtim.tv_sec),
        static_cast<std::int64_t>(status.st_mtim.tv_nsec), static_cast<std::int64_t>(status.st_ctim.tv_sec),
        static_cast<std::int64_t>(status.st_ctim.tv_nsec), static_cast<std::int64_t>(status.st_ino),
        static_cast<std::int64_t>(status.st_dev)})
    hash = detail::fnv_add(hash, static_cast<std::uint64_t>(part));
  return hash;
}

MORSEL_INLINE void FileStore::put(std::string_view key, std::span<const std::byte> value) const {
  detail::check_file_key(key, "writing");
  const detail::Descriptor parent = detail::open_parent(root_, key, options_.fsync);
  std::string temporary;
  detail::Descriptor file;
  for (int attempt = 0; !file; ++attempt) {
    temporary = detail::temporary_name();
    file = detail::Descriptor(
        ::openat(parent.fd(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
    if (!file && errno != EEXIST && errno != EINTR) detail::fail_store(errno, "writing", root_, key);
    if (!file && attempt == 100) detail::fail_store(EEXIST, "writing", root_, key);
  }
  const auto give_up = [&](int error, const char* what) {
    ::unlinkat(parent.fd(), temporary.c_str(), 0);
    if (error == EISDIR || error == ENOTEMPTY || error == EEXIST)
      fail(Errc::already_exists, "writing '" + root_ + "/" + std::string(key) +
                                     "': a directory is there; expected a file or nothing, got a directory");
    detail::fail_store(error, what, root_, key);
  };
  for (std::size_t done = 0; done < value.size();) {
    const ssize_t n =
        ::write(file.fd(), value.data() + done, std::min(value.size() - done, std::size_t{1} << 30));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) give_up(n < 0 ? errno : EIO, "writing");
    done += static_cast<std::size_t>(n);
  }
  if (options_.fsync && ::fsync(file.fd()) != 0) give_up(errno, "flushing");
  // A network file system may report a full disk only here.
  if (file.close() != 0 && errno != EINTR) give_up(errno, "writing");
  const std::size_t slash = key.rfind('/');
  const std::string name(slash == std::string_view::npos ? key : key.substr(slash + 1));
  if (::renameat(parent.fd(), temporary.c_str(), parent.fd(), name.c_str()) != 0) give_up(errno, "writing");
  if (options_.fsync && !detail::flush_directory(parent.fd(), "."))
    detail::fail_store(errno, "flushing the directory of", root_, key);
}

MORSEL_INLINE void FileStore::erase(std::string_view key) const {
  detail::check_file_key(key, "erasing");
  const detail::Descriptor root = detail::open_store_root(root_);
  if (!root) {
    if (detail::is_absent(errno)) return;
    fail_errno(errno, "opening store '" + root_ + "'");
  }
  const std::size_t slash = key.rfind('/');
  const std::string directory(slash == std::string_view::npos ? std::string_view(".") : key.substr(0, slash));
  const std::string name(slash == std::string_view::npos ? key : key.substr(slash + 1));
  const detail::Descriptor parent(
      detail::open_beneath(root.fd(), root_, directory, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!parent) {
    if (detail::is_absent(errno)) return;
    detail::fail_store(errno, "erasing", root_, key);
  }
  if (::unlinkat(parent.fd(), name.c_str(), 0) == 0) {
    if (options_.fsync && !detail::flush_directory(parent.fd(), "."))
      detail::fail_store(errno, "flushing the directory of", root_, key);
  } else if (!detail::is_absent(errno)) {
    detail::fail_store(errno, "erasing", root_, key);
  }
}

MORSEL_INLINE void FileStore::list(std::string_view prefix,
                                   const std::function<void(std::string_view)>& visit) const {
  const std::string directory(check_prefix(prefix));
  const detail::Descriptor root = detail::open_store_root(root_);
  if (!root) {
    if (detail::is_absent(errno)) return;
    fail_errno(errno, "opening store '" + root_ + "'");
  }
  const int fd = detail::open_beneath(root.fd(), root_, directory.empty() ? "." : directory,
                                      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    if (detail::is_absent(errno)) return;
    detail::fail_store(errno, "listing", root_, directory);
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(fd), &::closedir);
  if (!entries) {
    const int error = errno;
    ::close(fd);
    detail::fail_store(error, "listing", root_, directory);
  }
  std::vector<std::string> keys;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(entries.get());
    if (entry == nullptr) {
      if (errno != 0) detail::fail_store(errno, "listing", root_, directory);
      break;
    }
    const std::string_view name = entry->d_name;
    if (name == "." || name == ".." ||
        name.compare(0, detail::temporary_prefix.size(), detail::temporary_prefix) == 0)
      continue;
    bool is_directory = entry->d_type == DT_DIR;
    if (entry->d_type == DT_UNKNOWN || entry->d_type == DT_LNK) {
      struct stat status;
      if (::fstatat(fd, entry->d_name, &status, 0) != 0) continue;  // a dangling link or just removed
      is_directory = S_ISDIR(status.st_mode);
    }
    std::string key = directory.empty() ? std::string() : directory + "/";
    key += name;
    if (is_directory) key += '/';
    keys.push_back(std::move(key));
  }
  std::sort(keys.begin(), keys.end());
  for (const std::string& key : keys) visit(key);
}

}  // namespace morsel::inline MORSEL_ABI
