// Watching a run and stopping it: progress, the value so far, a stop token, a computation in the background.
//
//   mean [##########..............] 42%  1.7 GiB  900 MiB/s  3 s left
#include <atomic>
#include <iostream>
#include <morsel/morsel.hpp>

int main() {
  const auto a = morsel::from_function<double>({40000000}, [](morsel::Index i) { return double(i % 7); },
                                               {.chunks = 100000});

  // A bar on a terminal, and the mean so far ten times a second.
  std::atomic<int> partials{0};
  const double mean = morsel::mean(a).item({.progress = morsel::progress_bar(),
                                            .on_partial = [&](const morsel::Partial&) { ++partials; },
                                            .partial_period = std::chrono::milliseconds(1)});
  std::cout << "mean " << mean << " after " << partials << " values so far\n";

  // A token stops a run: here a value that it meets asks for that.
  std::stop_source stop;
  const auto stop_at_six = morsel::map(
      [&stop](double v) {
        if (v == 6) stop.request_stop();
        return v;
      },
      a);
  bool cancelled = false;
  try {
    morsel::sum(stop_at_six).item({.stop = stop.get_token()});
  } catch (const morsel::Error& error) {
    cancelled = error.code() == morsel::Errc::cancelled;
    std::cout << error.what() << "\n";
  }

  // In the background.
  const auto later = morsel::max(a).compute_async();
  while (!later.is_done()) later.wait();
  std::cout << "max " << later.get()() << "\n";
  return mean > 2.99 && mean < 3.01 && partials > 0 && cancelled && later.get()() == 6 ? 0 : 1;
}
