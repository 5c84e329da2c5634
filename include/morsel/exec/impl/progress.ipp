#pragma once

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <morsel/base/bytes.hpp>
#include <morsel/exec/progress.hpp>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE ProgressCallback progress_bar(bool always) {
  const bool terminal = ::isatty(2) == 1;
  if (!terminal && !always) return [](const Progress&) {};
  return [terminal](const Progress& p) {
    constexpr int width = 24;
    const double part = p.finished    ? 1.0
                        : p.total > 0 ? static_cast<double>(p.done) / static_cast<double>(p.total)
                                      : 0.0;
    const int full = static_cast<int>(part * width);
    char bar[width + 1];
    for (int i = 0; i < width; ++i) bar[i] = i < full ? '#' : '.';
    bar[width] = 0;
    const double rate = p.seconds > 0 ? static_cast<double>(p.bytes_done) / p.seconds : 0;
    std::string line = p.what + " [" + bar + "] " + std::to_string(static_cast<int>(part * 100)) + "%  " +
                       format_bytes(p.bytes_done) + "  " + format_bytes(static_cast<std::size_t>(rate)) +
                       "/s";
    if (p.passes > 1) line += "  pass " + std::to_string(p.pass + 1) + "/" + std::to_string(p.passes);
    char time[64];
    if (p.finished)
      std::snprintf(time, sizeof time, "  %.1f s", p.seconds);
    else if (p.seconds_left >= 0)
      std::snprintf(time, sizeof time, "  %.0f s left", p.seconds_left);
    else
      time[0] = 0;
    line += time;
    if (terminal)
      std::fprintf(stderr, "\r\033[K%s%s", line.c_str(), p.finished ? "\n" : "");
    else
      std::fprintf(stderr, "%s\n", line.c_str());
    std::fflush(stderr);
  };
}

}  // namespace morsel::inline MORSEL_ABI
