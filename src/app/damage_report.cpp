#include "damage_report.hpp"

#include <signal.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <morsel/ext/all.hpp>

namespace morsel::app {

// A sanitizer reports crashes itself.
#if defined(__SANITIZE_ADDRESS__)
#define MORSEL_REPORTS_CRASHES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MORSEL_REPORTS_CRASHES 0
#endif
#endif

#if MORSEL_HAVE_HDF5 && !defined(MORSEL_REPORTS_CRASHES)

namespace {

void print(const char* text) {
  const ssize_t ignored = ::write(STDERR_FILENO, text, std::strlen(text));
  (void)ignored;
}

// Calls nothing but what a handler may.
void on_crash(int signal) {
  if (const char* doing = hdf5::doing_in_libhdf5()) {
    print("morsel: ");
    print(doing);
    print(": libhdf5 crashed; expected a file that it can read, got one that is damaged\n");
    ::_exit(1);
  }
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

}  // namespace

void report_crashes_in_libhdf5() {
  // A stack of its own: recursion without an end leaves none.
  static char stack[64 * 1024];
  stack_t alternate{};
  alternate.ss_sp = stack;
  alternate.ss_size = sizeof stack;
  ::sigaltstack(&alternate, nullptr);
  struct sigaction action {};
  action.sa_handler = on_crash;
  action.sa_flags = SA_ONSTACK;
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGABRT}) ::sigaction(signal, &action, nullptr);
}

#else

void report_crashes_in_libhdf5() {}

#endif

}  // namespace morsel::app
