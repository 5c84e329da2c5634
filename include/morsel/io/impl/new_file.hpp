// A file that grows under a hidden name and takes its own at the end. For the bodies of sinks alone.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <morsel/base/error.hpp>
#include <morsel/io/file.hpp>
#include <string>
#include <utility>

namespace morsel::inline MORSEL_ABI::detail {

/// Makes a file of a new hidden name in a directory: its descriptor and path. **Fails**: io_error and the
/// like.
inline std::pair<int, std::string> make_temporary(const std::string& directory, const std::string& doing) {
  static std::atomic<unsigned> serial{0};
  for (int tries = 0;; ++tries) {
    const auto now =
        static_cast<unsigned long long>(std::chrono::steady_clock::now().time_since_epoch().count());
    char name[64];
    std::snprintf(name, sizeof name, "/.morsel-%ld-%u-%llx.tmp", static_cast<long>(::getpid()), ++serial,
                  now);
    std::string path = (directory == "/" ? "" : directory) + name;
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) return {fd, std::move(path)};
    if (tries > 100 || (errno != EEXIST && errno != EINTR)) fail_errno(errno, doing);
  }
}

/// Gives a file its name, where nothing may be. **Fails**: already_exists.
inline void give_new_name(const std::string& temporary, const std::string& path, const std::string& doing) {
  const char *from = temporary.c_str(), *to = path.c_str();
  const auto refuse_existing = [&] {
    fail(Errc::already_exists,
         doing + ": the file came into being meanwhile; expected no file of that name, got one");
  };
  int result = -1;
  errno = EINVAL;
#if defined(RENAME_NOREPLACE)
  result = ::renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
#endif
  if (result != 0 && (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
    // A hard link fails in the same way where the name is taken.
    result = ::link(from, to);
    if (result == 0) {
      ::unlink(from);
    } else if (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS) {  // no links here either
      if (::access(to, F_OK) == 0) refuse_existing();
      result = ::rename(from, to);
    }
  }
  if (result != 0 && errno == EEXIST) refuse_existing();
  if (result != 0) fail_errno(errno, doing);
}

/// A file's path taken apart, after a look at where it goes.
struct FileTarget {
  std::string path, directory;  ///< canonical
  bool exists = false;
  struct stat status {};  ///< if it exists
};

/// **Fails**: invalid_argument for what is no path of a file, or is something else than a file; not_found or
/// io_error for a directory that is absent or not writable.
inline FileTarget file_target(const std::string& path, const std::string& doing) {
  if (path.empty() || path.back() == '/' || path.find('\0') != std::string::npos)
    fail(Errc::invalid_argument, doing + ": not the path of a file; expected a name without NUL, got '" +
                                     std::string(path.c_str()) + "'");
  FileTarget target;
  target.path = canonical_path(path);
  const std::size_t slash = target.path.rfind('/');
  target.directory = slash == 0 ? "/" : target.path.substr(0, slash);
  struct stat& s = target.status;
  if (::stat(target.directory.c_str(), &s) != 0 || !S_ISDIR(s.st_mode))
    fail(Errc::not_found,
         doing + ": no such directory; expected a directory that exists, got '" + target.directory + "'");
  if (::access(target.directory.c_str(), W_OK | X_OK) != 0)
    fail_errno(errno, doing + ": cannot create files in '" + target.directory + "'");
  target.exists = ::stat(target.path.c_str(), &s) == 0;
  if (target.exists && !S_ISREG(s.st_mode))
    fail(Errc::invalid_argument, doing +
                                     ": the target is no regular file; expected a file or nothing, got a " +
                                     (S_ISDIR(s.st_mode) ? "directory" : "device, pipe or socket"));
  return target;
}

}  // namespace morsel::inline MORSEL_ABI::detail
