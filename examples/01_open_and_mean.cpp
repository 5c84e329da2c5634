// A file, its mean, a number. Opening reads the header only; item() reads the file once, chunk by chunk.
//
//   temperature.npy ──► mean ──► 12.5
#include <iostream>
#include <morsel/morsel.hpp>

int main() {
  // Something to open: 365 days of a map, written chunk by chunk.
  const auto made = morsel::from_function<float>(
      {365, 90, 180}, [](morsel::Index day, morsel::Index, morsel::Index) { return day % 2 ? 15.f : 10.f; });
  morsel::save(made["0:364"], "temperature.npy");

  const auto a = morsel::open<float>("temperature.npy");
  std::cout << a << "\n";  // shape, chunks and bytes: known without reading

  const double mean = morsel::mean(a).item();
  std::cout << "mean of all elements: " << mean << "\n";

  const xt::xarray<float> first_day = a[0].compute();  // results are xtensor arrays
  const xt::xarray<float> per_day = morsel::mean(a, {1, 2}).compute();
  std::cout << "mean of day 0: " << per_day(0) << ", of day 1: " << per_day(1) << "\n";
  return mean == 12.5 && first_day(3, 4) == 10 && per_day.size() == 364 && per_day(1) == 15 ? 0 : 1;
}
