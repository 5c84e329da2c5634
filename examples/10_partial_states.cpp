// Partial results across processes: each computes a part, sends its state as bytes, and states merge.
//
//   child 0: partial(stddev(a["0:500"])) ── bytes ─┐
//   child 1: partial(stddev(a["500:"]))  ── bytes ─┴─ merge ─ finish
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <iostream>
#include <iterator>
#include <morsel/morsel.hpp>

int main() {
  morsel::save(morsel::from_function<double>({1000, 200},
                                             [](morsel::Index i, morsel::Index j) { return i + 0.01 * j; }),
               "data.npy");
  const auto a = morsel::open<double>("data.npy");
  const char* slices[] = {"0:500", "500:"};

  pid_t children[2];
  for (int k = 0; k < 2; ++k) {
    children[k] = fork();
    if (children[k] == 0) {
      const std::vector<std::byte> bytes = morsel::partial(morsel::stddev(a[slices[k]])).to_bytes();
      std::ofstream("part" + std::to_string(k), std::ios::binary)
          .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
      _exit(0);
    }
  }

  morsel::PartialState<double> state(morsel::stddev(a));  // has seen nothing: the identity
  for (int k = 0; k < 2; ++k) {
    int status = 1;
    waitpid(children[k], &status, 0);
    if (status != 0) return 1;
    std::ifstream in("part" + std::to_string(k), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    state.merge(morsel::PartialState<double>::from_bytes(std::as_bytes(std::span(text)), morsel::stddev(a)));
  }
  const double merged = state.finish()(), whole = morsel::stddev(a).item();
  std::cout << "stddev of " << state.count() << " elements: " << merged << " merged, " << whole
            << " at once\n";
  return state.count() == 200000 && std::abs(merged - whole) < 1e-10 ? 0 : 1;
}
