// Linked with -Ofast, which adds start-up code that sets denormal numbers to zero in this thread and those it
// starts. The library's results must not change. This file looks at bits only: its own arithmetic would be
// affected.
#include <bit>
#include <cstdint>
#include <cstdio>
#include <morsel/morsel.hpp>
#include <vector>

int main() {
  int wrong = 0;
  const auto expect = [&](const char* what, double got, std::uint64_t bits) {
    if (std::bit_cast<std::uint64_t>(got) == bits) return;
    std::printf("%s: expected the bits %llx, got %llx\n", what, static_cast<unsigned long long>(bits),
                static_cast<unsigned long long>(std::bit_cast<std::uint64_t>(got)));
    ++wrong;
  };
#if defined(__x86_64__)
  if ((__builtin_ia32_stmxcsr() & 0x8040) != 0x8040) {
    std::printf("this program was not linked with -Ofast: denormals are on\n");
    return 1;
  }
#endif
  // 1000 elements of 3 * 2^-1074.
  xt::xarray<double> smallest = xt::zeros<double>({1000});
  for (auto& value : smallest) value = std::bit_cast<double>(std::uint64_t{3});
  const auto a = morsel::from_array(smallest, {.chunks = {100}});
  for (const int threads : {1, 4}) {
    expect("sum of denormals", morsel::sum(a).compute({.threads = threads})(), 3000);
    expect("product with 2", morsel::max(a * 2.0).compute({.threads = threads})(), 6);
    expect("a function of denormals", morsel::max(morsel::sin(a)).compute({.threads = threads})(), 3);
    const auto spread = morsel::where(morsel::arange<double>(1000) < 500.0, a * 2.0, a * 0.0);
    expect("deviation of denormals",
           morsel::max(morsel::abs(spread - morsel::mean(spread))).compute({.threads = threads})(), 3);
    const xt::xarray<double> halves = (a * 0.5).compute({.threads = threads});
    expect("product with 0.5, rounded to even", halves(999), 2);
  }
  if (!wrong) std::printf("denormals survive in a program linked with -Ofast\n");
  return wrong;
}
