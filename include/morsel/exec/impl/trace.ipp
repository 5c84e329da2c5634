#pragma once

#include <cstdio>
#include <cstring>
#include <morsel/exec/trace.hpp>
#include <nlohmann/json.hpp>

namespace morsel::inline MORSEL_ABI {

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
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (!file) fail_errno(errno, "writing the trace '" + path + "'");
  std::fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[", file);
  bool first = true;
  for (const Event& e : events_) {
    nlohmann::json event{{"name", e.name + " " + e.what},
                         {"cat", e.what},
                         {"ph", "X"},
                         {"pid", 1},
                         {"tid", e.thread < 0 ? 1000 : e.thread},
                         {"ts", e.begin},
                         {"dur", e.duration},
                         {"args", {{"unit", e.unit}}}};
    std::fprintf(file, "%s\n%s", first ? "" : ",", event.dump().c_str());
    first = false;
  }
  std::fprintf(file, "\n],\"otherData\":{\"dropped\":%zu}}\n", dropped_);
  if (std::fclose(file) != 0) fail_errno(errno, "writing the trace '" + path + "'");
}

}  // namespace morsel::inline MORSEL_ABI
