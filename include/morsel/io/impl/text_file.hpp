// A text file that appears whole. For the bodies of writers alone.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <morsel/base/error.hpp>
#include <string>

namespace morsel::inline MORSEL_ABI::detail {

/// A text file that grows under a hidden temporary name and takes its own in commit().
class TextFile {
 public:
  enum class Existing : std::uint8_t { refuse, replace };

  TextFile(const std::string& path, Existing existing) : path_(path), existing_(existing) {
    const std::size_t slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "" : path.substr(0, slash + 1);
    struct stat status;
    if (::stat(path.c_str(), &status) == 0) {
      if (!S_ISREG(status.st_mode))
        fail(Errc::invalid_argument,
             doing() + ": not a regular file; expected a file's name, got a directory or device");
      if (existing == Existing::refuse)
        fail(Errc::already_exists, doing() + ": it exists; expected a new name, or to overwrite");
    }
    temporary_ = directory + "." + path.substr(directory.size()) + ".XXXXXX";
    file_ = ::mkstemp(temporary_.data());
    if (file_ < 0) fail_errno(errno, doing());
    const mode_t mask = ::umask(0);
    ::umask(mask);
    ::fchmod(file_, 0666 & ~mask);
  }
  TextFile(const TextFile&) = delete;
  TextFile& operator=(const TextFile&) = delete;
  ~TextFile() {
    if (file_ >= 0) ::close(file_);
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
  }

  std::string& text() { return text_; }
  void flush_if_long() {
    if (text_.size() >= flush_bytes) flush();
  }
  void commit() {
    flush();
    const int file = file_;
    file_ = -1;
    if (::close(file) != 0) fail_errno(errno, doing());
    if (existing_ == Existing::refuse) {
      // A link does not replace what has come into being meanwhile.
      if (::link(temporary_.c_str(), path_.c_str()) != 0) fail_errno(errno, doing());
      return;  // the destructor removes the other name
    }
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_errno(errno, doing());
    temporary_.clear();
  }

 private:
  static constexpr std::size_t flush_bytes = std::size_t{1} << 18;

  std::string doing() const { return "writing '" + path_ + "'"; }
  void flush() {
    std::size_t done = 0;
    while (done < text_.size()) {
      const ssize_t n = ::write(file_, text_.data() + done, text_.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail_errno(errno, doing());
      done += static_cast<std::size_t>(n);
    }
    text_.clear();
  }

  std::string path_, temporary_, text_;
  Existing existing_;
  int file_ = -1;
};

}  // namespace morsel::inline MORSEL_ABI::detail
