#include "interrupt.hpp"

#include <pthread.h>
#include <unistd.h>

namespace morsel::app {
namespace {

bool is_ignored(int signal) {
  struct sigaction action;
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

// A thread that waits for the signals, instead of a handler: requesting a stop takes locks and runs
// callbacks.
Interrupt::Interrupt() {
  sigemptyset(&signals_);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP})
    if (!is_ignored(signal)) sigaddset(&signals_, signal);
  sigaddset(&signals_, SIGUSR2);  // the destructor's own
  pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  watcher_ = std::thread([this] {
    for (;;) {
      int signal = 0;
      if (sigwait(&signals_, &signal) != 0 || signal == SIGUSR2) {
        if (done_) return;
        continue;
      }
      if (signal_ != 0) ::_exit(exit_code());
      signal_ = signal;
      stop_.request_stop();
    }
  });
}

Interrupt::~Interrupt() {
  done_ = true;
  pthread_kill(watcher_.native_handle(), SIGUSR2);
  watcher_.join();
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace morsel::app
