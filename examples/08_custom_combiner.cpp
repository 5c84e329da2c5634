// A reduction of one's own: absorb elements, merge with its like, finish.
//
//   chunk ─absorb─► state ─┐
//   chunk ─absorb─► state ─┴merge─► state ─finish─► value
#include <cmath>
#include <iostream>
#include <morsel/morsel.hpp>

// A copy of the prototype is the identity. Trivially copyable states also travel: see 10_partial_states.cpp.
struct GeometricMean {
  double log_sum = 0;
  std::int64_t count = 0;
  void absorb(std::span<const float> values) {
    for (const float v : values) log_sum += std::log(double{v}), ++count;
  }
  void merge(const GeometricMean& right) { log_sum += right.log_sum, count += right.count; }
  double finish() const { return std::exp(log_sum / static_cast<double>(count)); }
};

int main() {
  const auto a = morsel::from_function<float>(
      {1000, 64}, [](morsel::Index i, morsel::Index) { return i % 2 ? 4.f : 1.f; }, {.chunks = {100, 64}});

  const double all = morsel::reduce_with(GeometricMean{}, a).item();
  const xt::xarray<double> columns = morsel::reduce_with(GeometricMean{}, a, {0}).compute();

  // The same from functions: identity, absorb, merge, finish.
  const auto norm = morsel::combiner_from(
      0.0, [](double& s, float v) { s += double(v) * v; }, [](double& s, double right) { s += right; },
      [](double s) { return std::sqrt(s); });
  const double length = morsel::reduce_with(norm, a).item();

  std::cout << "geometric mean " << all << " (columns: " << columns.size() << "), norm " << length << "\n";
  return std::abs(all - 2) < 1e-9 && columns.size() == 64 && std::abs(columns(7) - 2) < 1e-9 &&
                 std::abs(length * length - 64000 * 8.5) < 1e-6
             ? 0
             : 1;
}
