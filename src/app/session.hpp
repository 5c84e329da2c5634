// What all subcommands share: the common options, Ctrl-C, standard output, running or explaining.
#pragma once

#include <morsel/api/evaluate.hpp>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace morsel::app {

/// A wrong call of the command: exit code 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The text with blanks for control characters: what comes from outside, on one line of a terminal.
std::string one_line(std::string text);

/// Text for standard output, written at once at the end, so that a failure leaves no half of it.
class Output {
 public:
  Output& operator<<(std::string_view text) {
    text_ += text;
    return *this;
  }
  /// Writes what there is. A reader that has gone away is no failure. **Fails**: io_error.
  void flush();

 private:
  std::string text_;
};

/// Options that every subcommand has, and what they mean.
class Session {
 public:
  std::string memory, threads, trace, dataset;
  std::optional<bool> progress;
  bool json = false;
  bool explain = false;  ///< show the plan instead of running it
  int exit_code = 0;     ///< of the command if it succeeds
  int failure_code = 1;  ///< of the command if it fails, wrong usage and interruption aside
  std::stop_token stop;
  std::string left_behind = "nothing was written";  ///< by a run that is interrupted, for the message
  Output out;

  /// **Fails**: UsageError for a byte size or a number of threads that is none.
  ComputeOptions options();

  /// Takes an unfinished progress bar off the terminal, so that a message stands alone.
  void clear_progress();

  /// Evaluates the values, or prints the plan if that is what was asked for. True if it ran.
  bool run(const std::vector<Edge>& values, const std::vector<Target>& targets);

 private:
  ProgressCallback progress_callback();

  bool bar_on_terminal_ = false;
};

/// Elements in memory, C order.
struct Elements {
  DType dtype;
  Shape shape;
  std::vector<std::byte> bytes;

  explicit Elements(const Edge& edge);
  BufferView view() { return BufferView::c_order(bytes.data(), shape, dtype.item_bytes()); }
  Index size() const { return size_of(shape); }
  const std::byte* element(Index i) const {
    return bytes.data() + static_cast<std::size_t>(i) * dtype.item_bytes();
  }
};

}  // namespace morsel::app
