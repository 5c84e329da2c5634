// Ctrl-C, termination and a terminal that closes as a stop request.
#pragma once

#include <atomic>
#include <csignal>
#include <stop_token>
#include <thread>

namespace morsel::app {

/// While it lives, SIGINT, SIGTERM and SIGHUP request a stop; a second one ends the process at once. A signal
/// that was ignored when the process started stays ignored. **Requires**: made before other threads, which
/// inherit the signal mask.
class Interrupt {
 public:
  Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  ~Interrupt();

  std::stop_token token() const { return stop_.get_token(); }
  /// The signal that came, or 0.
  int signal() const { return signal_; }
  /// 128 + the signal, as shells have it.
  int exit_code() const { return 128 + signal_; }

 private:
  std::stop_source stop_;
  std::atomic<int> signal_{0};
  std::atomic<bool> done_{false};
  sigset_t signals_, before_;
  std::thread watcher_;
};

}  // namespace morsel::app
