// Operators build a graph; the run fuses it into one pass over tiles in the L1 cache, without temporaries.
//
//   a ─┐
//      ├─► sqrt(a·a + b·b) ─► mean ─► number
//   b ─┘
#include <cmath>
#include <iostream>
#include <morsel/morsel.hpp>

int main() {
  const auto a = morsel::linspace<double>(0, 1, 1000000);
  const auto b = 1.0 - a;  // numbers mix in; so do arrays of other types, promoted as NumPy does

  const auto length = morsel::sqrt(a * a + b * b);
  const auto clipped = morsel::where(length > 0.9, 0.9, length);
  const auto rounded = morsel::astype<std::int32_t>(clipped * 100.0);

  std::cout << clipped << "\n";  // still nothing computed
  const double mean = morsel::mean(clipped).item();
  std::cout << "mean " << mean << ", largest rounded " << morsel::max(rounded).item() << "\n";

  double expected = 0;  // the loop one would write by hand
  for (int i = 0; i < 1000000; ++i) {
    const double x = i * (1.0 / 999999), y = 1 - x;
    expected += std::min(0.9, std::sqrt(x * x + y * y));
  }
  return std::abs(mean - expected / 1000000) < 1e-9 && morsel::max(rounded).item() == 90 ? 0 : 1;
}
