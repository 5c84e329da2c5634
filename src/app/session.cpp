#include "session.hpp"

#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>

namespace morsel::app {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

int thread_count(const std::string& text) {
  int count = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), count);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size() || count < 1 || count > 4096)
    throw UsageError("--threads " + text + ": not a number of threads; expected 1 to 4096, got " + text);
  return count;
}

}  // namespace

std::string one_line(std::string text) {
  for (std::size_t i = 0; i < text.size(); ++i)
    if (static_cast<unsigned char>(text[i]) < 0x20 || text[i] == 0x7F) text[i] = ' ';
  return text;
}

void Output::flush() {
  std::size_t done = 0;
  while (done < text_.size()) {
    const ssize_t n = ::write(STDOUT_FILENO, text_.data() + done, text_.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EPIPE) break;
    if (n < 0) fail_errno(errno, "writing to standard output");
    done += static_cast<std::size_t>(n);
  }
  text_.clear();
}

void Session::clear_progress() {
  if (!bar_on_terminal_) return;
  std::fputs("\r\033[K", stderr);
  bar_on_terminal_ = false;
}

ProgressCallback Session::progress_callback() {
  // Long enough that most commands are over before a bar would only flicker.
  constexpr double patience_seconds = 0.5;
  const std::string asked = environment("MORSEL_PROGRESS");
  const bool always = progress ? *progress : !asked.empty() && asked != "0";
  const bool never = progress ? !*progress : asked == "0";
  const bool is_terminal = ::isatty(STDERR_FILENO) == 1;
  if (never || (!always && !is_terminal)) return {};
  return [this, always, is_terminal, bar = progress_bar(always), shown = false](const Progress& now) mutable {
    if (!always && !shown && (now.finished || now.seconds < patience_seconds)) return;
    shown = true;
    bar(now);
    bar_on_terminal_ = is_terminal && !now.finished;
  };
}

ComputeOptions Session::options() {
  ComputeOptions options;
  if (!memory.empty()) {
    try {
      options.memory = parse_bytes(memory);
    } catch (const Error& error) {
      throw UsageError("--memory " + memory + ": " + error.what());
    }
    if (options.memory.count() == 0)
      throw UsageError("--memory " + memory +
                       ": no memory at all; expected a byte size such as 256MiB, got 0");
  }
  if (!threads.empty()) options.threads = thread_count(threads);
  options.progress = progress_callback();
  options.trace = trace.empty() ? environment("MORSEL_TRACE") : trace;
  options.stop = stop;
  return options;
}

bool Session::run(const std::vector<Edge>& values, const std::vector<Target>& targets) {
  if (stop.stop_requested()) fail(Errc::cancelled, "interrupted before the run");
  if (!explain) {
    evaluate(values, targets, options());
    return true;
  }
  const Explanation explanation = explain_plan(values, targets, options());
  const std::string text = json ? explanation.json() : explanation.text();
  out << text;
  if (text.empty() || text.back() != '\n') out << "\n";
  return false;
}

Elements::Elements(const Edge& edge) : dtype(edge.dtype()), shape(edge.shape()) {
  const Index size = checked_mul(size_of(shape), static_cast<Index>(dtype.item_bytes()), "result bytes");
  bytes.resize(static_cast<std::size_t>(size) + 1);  // never null, also when there is nothing
}

}  // namespace morsel::app
