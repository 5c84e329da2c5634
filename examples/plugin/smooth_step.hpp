// A kernel: one template that runs on lazy arrays, on xtensor arrays and on numbers.
#pragma once

#include <morsel/morsel.hpp>

namespace plugin {

/// 0 below `lo`, 1 above `hi`, and 3u^2 - 2u^3 between. A plain loop body: the compiler makes vectors of it.
/// Compiled with -ffp-contract=off it gives the same bits on every machine.
struct SmoothStep {
  float lo, hi;
  float operator()(float x) const {
    float u = (x - lo) / (hi - lo);
    u = u < 0 ? 0 : u > 1 ? 1 : u;
    return u * u * (3 - 2 * u);
  }
};

template <morsel::ArrayLike A>
auto smooth_step(const A& x, float lo, float hi) {
  return morsel::map(SmoothStep{lo, hi}, x);
}

}  // namespace plugin
