// One template for xtensor arrays and lazy arrays: the free functions take both.
//
//   rms(xt::xarray<float>)  computes at once        rms(LazyArray<float>)  makes a graph
#include <cmath>
#include <iostream>
#include <morsel/morsel.hpp>

template <class A>
auto rms(const A& a) {
  return morsel::sqrt(morsel::mean(a * a, {0}));
}

int main() {
  xt::xarray<double> small = xt::ones<double>({3, 4});
  small *= 5.0;
  const auto eager = rms(small);  // an xt::xarray<double>

  morsel::save(morsel::full<double>({3000, 4}, 5), "large.npy");
  const auto lazy = rms(morsel::open<double>("large.npy"));  // a LazyArray<double>
  const xt::xarray<double> computed = lazy.compute();

  // Back and forth: arrays in memory are lent to the graph, results land in memory of one's own.
  const auto borrowed = morsel::borrow(small);
  xt::xarray<double> out = xt::zeros<double>({3, 4});
  (borrowed + 1.0).compute_into(out);

  std::cout << "eager " << eager(0) << ", lazy " << computed(3) << ", borrowed plus one " << out(2, 3)
            << "\n";
  return eager(0) == 5 && computed(3) == 5 && out(2, 3) == 6 ? 0 : 1;
}
