// What the workloads have in common: files, interleaved timing, peak memory, one line of JSON per result.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <exception>
#include <functional>
#include <morsel/morsel.hpp>
#include <string>
#include <thread>
#include <vector>

// The hand-written loops are compiled for the instruction sets that Morsel's kernels choose from.
#if defined(__x86_64__) && defined(__gnu_linux__)
#define WORKLOAD_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WORKLOAD_CLONES
#endif

namespace workload {

/// Eight doubles side by side; lowered to what the processor has.
typedef double Lanes __attribute__((vector_size(64), aligned(8), may_alias));

/// Options that every workload takes: --size BYTES (of the input), --repeats N, --clean.
struct Settings {
  std::string folder;
  std::size_t size_bytes = 0;
  int repeats = 9;
  bool clean = false;
};

inline Settings read_settings(int argc, char** argv, std::size_t size_bytes) {
  Settings settings;
  const char* folder = std::getenv("MORSEL_BENCH_DIR");
  settings.folder = folder && *folder ? folder : "/tmp/morsel-bench";
  settings.size_bytes = size_bytes;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    const auto value = [&] {
      const long long n = i + 1 < argc ? std::atoll(argv[++i]) : 0;
      if (n <= 0) {
        std::fprintf(stderr, "%s: bad value of %s; expected a positive number\n", argv[0], option.c_str());
        std::exit(2);
      }
      return n;
    };
    if (option == "--size")
      settings.size_bytes = static_cast<std::size_t>(value());
    else if (option == "--repeats")
      settings.repeats = static_cast<int>(value());
    else if (option == "--clean")
      settings.clean = true;
    else {
      std::fprintf(stderr, "usage: %s [--size BYTES] [--repeats N] [--clean]\n", argv[0]);
      std::exit(2);
    }
  }
  ::mkdir(settings.folder.c_str(), 0777);
  return settings;
}

/// Ends the program where an exception would.
template <class F>
int guarded(F&& f) {
  try {
    f();
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}

/// A file of uniform random T in [0, 1), made unless it is there with the right size.
template <class T>
std::string random_file(const Settings& settings, const std::string& name, std::size_t count) {
  const std::string path = settings.folder + "/" + name + "-" + std::to_string(count);
  struct stat status;
  if (::stat(path.c_str(), &status) == 0 && static_cast<std::size_t>(status.st_size) == count * sizeof(T))
    return path;
  const std::string temporary = path + ".part";
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) morsel::fail(morsel::Errc::io_error, "making " + temporary + ": " + std::strerror(errno));
  std::vector<T> block(1 << 18);
  std::uint64_t state = 1;
  for (std::size_t done = 0; done < count;) {
    for (T& x : block) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      x = static_cast<T>(static_cast<double>(state >> 40) * 0x1p-24);
    }
    const std::size_t bytes = std::min(block.size(), count - done) * sizeof(T);
    if (::write(file, block.data(), bytes) != static_cast<ssize_t>(bytes))
      morsel::fail(morsel::Errc::io_error, "writing " + temporary + ": " + std::strerror(errno));
    done += bytes / sizeof(T);
  }
  ::close(file);
  ::rename(temporary.c_str(), path.c_str());
  return path;
}

/// Runs f(part) on two threads; the one that calls is the second.
template <class F>
void on_two_threads(F&& f) {
  std::thread other([&] { f(0); });
  f(1);
  other.join();
}

/// Reads [begin, end) of a file in blocks of 1 MiB into one buffer and calls f(values, count) for each.
template <class T, class F>
void read_blocks(const std::string& path, std::size_t begin, std::size_t end, F&& f) {
  const std::size_t block = (1 << 20) / sizeof(T);
  std::vector<T> buffer(block);
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  for (std::size_t at = begin; at < end; at += block) {
    const std::size_t n = std::min(block, end - at);
    if (::pread(file, buffer.data(), n * sizeof(T), static_cast<off_t>(at * sizeof(T))) !=
        static_cast<ssize_t>(n * sizeof(T))) {
      std::fprintf(stderr, "reading %s: short read\n", path.c_str());
      std::abort();
    }
    f(static_cast<const T*>(buffer.data()), n);
  }
  ::close(file);
}

/// How long f took: on the clock, and in the processor's time of all threads.
struct Time {
  double seconds = 0, cpu_seconds = 0;
};
inline Time time_of(const std::function<void()>& f) {
  const auto cpu = [] {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
  };
  const double cpu_begin = cpu();
  const auto begin = std::chrono::steady_clock::now();
  f();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return {seconds, cpu() - cpu_begin};
}

/// Times of one candidate, by round.
using Times = std::vector<Time>;

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/// Runs all candidates once to warm up, then in turn, `repeats` rounds, every other round backwards; gives
/// times by candidate and round.
inline std::vector<Times> interleaved(int repeats, const std::vector<std::function<void()>>& candidates) {
  std::vector<Times> times(candidates.size());
  for (const auto& candidate : candidates) candidate();
  for (int round = 0; round < repeats; ++round)
    for (std::size_t k = 0; k < candidates.size(); ++k) {
      const std::size_t which = round % 2 ? candidates.size() - 1 - k : k;
      times[which].push_back(time_of(candidates[which]));
    }
  return times;
}

/// One result: a number with a goal it should not exceed.
struct Line {
  std::string workload;        ///< short and stable: "W1"
  std::string what;            ///< for the table
  std::string unit;            ///< of values and goal: "x loop", "us/chunk", "MiB"
  std::vector<double> values;  ///< per round; the median counts
  double goal = 0;
  Times loop, morsel;
};

inline void print(const Line& line, const Settings& settings) {
  const auto text = [](double v) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%.6g", v);
    return std::string(buffer);
  };
  const auto times = [&](const char* name, const Times& of) {
    std::vector<double> seconds, cpu;
    for (const Time& t : of) seconds.push_back(t.seconds), cpu.push_back(t.cpu_seconds);
    if (of.empty()) return std::string();
    return std::string(", \"") + name + "_seconds\": " + text(median(seconds)) + ", \"" + name +
           "_cpu_seconds\": " + text(median(cpu));
  };
  std::string json = "{\"workload\": \"" + line.workload + "\", \"what\": \"" + line.what +
                     "\", \"unit\": \"" + line.unit + "\", \"median\": " + text(median(line.values)) +
                     ", \"goal\": " + text(line.goal) + times("loop", line.loop) +
                     times("morsel", line.morsel) +
                     ", \"input_bytes\": " + std::to_string(settings.size_bytes) + ", \"values\": [";
  for (std::size_t i = 0; i < line.values.size(); ++i) json += (i ? ", " : "") + text(line.values[i]);
  std::puts((json + "]}").c_str());
  std::fflush(stdout);
}

/// A ratio per round: what against the loop of the same round.
inline std::vector<double> ratios(const Times& what, const Times& loop) {
  std::vector<double> r;
  for (std::size_t i = 0; i < what.size(); ++i) r.push_back(what[i].seconds / loop[i].seconds);
  return r;
}

/// Ends the program if the two ways of computing differ by more than summation order explains.
inline void require_close(double morsel, double loop, const char* what) {
  if (std::abs(morsel - loop) <= 1e-9 * std::max(1.0, std::abs(loop))) return;
  std::fprintf(stderr, "%s: Morsel and the loop disagree: %.17g and %.17g\n", what, morsel, loop);
  std::exit(1);
}

/// kB of a line of /proc/self/status, or -1.
inline long status_kib(const char* key) {
  std::FILE* file = std::fopen("/proc/self/status", "r");
  if (!file) return -1;
  char line[256];
  long kib = -1;
  const std::size_t length = std::strlen(key);
  while (std::fgets(line, sizeof line, file))
    if (std::strncmp(line, key, length) == 0 && line[length] == ':') kib = std::atol(line + length + 1);
  std::fclose(file);
  return kib;
}

}  // namespace workload
