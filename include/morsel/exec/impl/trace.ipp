#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <morsel/exec/trace.hpp>
#include <morsel/io/chunk_sink.hpp>
#include <morsel/io/file.hpp>
#include <nlohmann/json.hpp>

namespace morsel::inline MORSEL_ABI {
namespace detail {

MORSEL_INLINE std::string writing_trace(const std::string& path) {
  return "writing the trace '" + path + "'";
}

MORSEL_INLINE void write_whole(const std::string& path, const std::string& text) {
  std::string temporary = path + ".XXXXXX";
  const int fd = ::mkstemp(temporary.data());
  if (fd < 0) fail_errno(errno, writing_trace(path));
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ::fchmod(fd, 0666 & ~mask);
  int error = 0;
  for (std::size_t done = 0; error == 0 && done < text.size();) {
    const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
    if (n >= 0)
      done += static_cast<std::size_t>(n);
    else if (errno != EINTR)
      error = errno;
  }
  if (::close(fd) != 0 && error == 0) error = errno;
  if (error == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error == 0) return;
  ::unlink(temporary.c_str());
  fail_errno(error, writing_trace(path));
}

}  // namespace detail

MORSEL_INLINE void check_trace_path(const std::string& path, const std::vector<std::string>& files) {
  using namespace detail;
  const auto id_of = [](const std::string& file, struct stat& status) {
    return ::stat(file.c_str(), &status) == 0;
  };
  struct stat mine {};
  const bool exists = id_of(path, mine);
  if (exists && S_ISDIR(mine.st_mode)) fail_errno(EISDIR, writing_trace(path));
  if (exists && !S_ISREG(mine.st_mode))
    fail(Errc::invalid_argument,
         writing_trace(path) + ": not a regular file; expected a file's name, got a device, pipe or socket");
  const std::string canonical = canonical_path(path);
  for (const std::string& file : files) {
    struct stat other {};
    if (lies_in(canonical, file) ||
        (exists && id_of(file, other) && other.st_dev == mine.st_dev && other.st_ino == mine.st_ino))
      fail(Errc::invalid_argument,
           writing_trace(path) + ": the run reads or writes there; expected a file of its own, got one of " +
               file);
  }
  const std::string folder = std::filesystem::path(path).parent_path().string();
  if (::access(folder.empty() ? "." : folder.c_str(), W_OK | X_OK) != 0)
    fail_errno(errno, writing_trace(path));
}

MORSEL_INLINE void TraceLog::add(const char* what, const std::string& name, int thread, Index unit,
                                 Time begin, Time end) {
  if (!on_) return;
  const auto microseconds = [&](auto d) { return std::chrono::duration<double, std::micro>(d).count(); };
  const std::lock_guard lock(mutex_);
  if (events_.size() >= most_events) {
    ++dropped_;
    return;
  }
  events_.push_back({what, name, thread, unit, microseconds(begin - start_), microseconds(end - begin)});
}

MORSEL_INLINE void TraceLog::write(const std::string& path) const {
  if (!on_) return;
  std::string text = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[";
  bool first = true;
  for (const Event& e : events_) {
    const nlohmann::json event{{"name", e.name + " " + e.what},
                               {"cat", e.what},
                               {"ph", "X"},
                               {"pid", 1},
                               {"tid", e.thread < 0 ? 1000 : e.thread},
                               {"ts", e.begin},
                               {"dur", e.duration},
                               {"args", {{"unit", e.unit}}}};
    text += first ? "\n" : ",\n";
    text += event.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    first = false;
  }
  text += "\n],\"otherData\":{\"dropped\":" + std::to_string(dropped_) + "}}\n";
  detail::write_whole(path, text);
}

}  // namespace morsel::inline MORSEL_ABI
