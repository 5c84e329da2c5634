// A combiner: log(sum(exp(x))) without overflow, from the largest value and the sum of exp(x - largest).
#pragma once

#include <cmath>
#include <limits>
#include <morsel/kernel/combiner.hpp>

namespace plugin {

struct LogSumExp {
  double largest = -std::numeric_limits<double>::infinity();
  double sum = 0;

  void absorb(std::span<const float> values) {
    for (const float value : values) add(value, 1);
  }
  void merge(const LogSumExp& right) { add(right.largest, right.sum); }
  double finish() const { return largest + std::log(sum); }

 private:
  /// Merging with the identity, on either side, must change nothing: it has no element.
  void add(double other, double other_sum) {
    if (other_sum == 0) return;
    if (sum == 0 || other == largest) {
      largest = other;
      sum += other_sum;
    } else if (other > largest) {
      sum = sum * std::exp(largest - other) + other_sum;
      largest = other;
    } else {
      sum += other_sum * std::exp(other - largest);
    }
  }
};
static_assert(morsel::Combiner<LogSumExp, float>);

}  // namespace plugin
