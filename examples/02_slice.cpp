// A slice reads what it shows: NumPy's index syntax, no copy of the array, only the chunks it needs.
//
//   ┌──┬──┬──┬──┐
//   │  │▓▓│  │  │   a["100:150, ::2"] touches one of four row chunks
//   └──┴──┴──┴──┘
#include <iostream>
#include <morsel/morsel.hpp>

int main() {
  morsel::save(morsel::from_function<double>(
                   {400, 1000}, [](morsel::Index i, morsel::Index j) { return double(1000 * i + j); }),
               "table.npy");
  const auto a = morsel::open<double>("table.npy", {.chunks = {100, -1}});

  // The same slice three ways.
  const auto text = a["100:150, ::2"];
  const auto calls = a.view(morsel::range(100, 150), morsel::range(morsel::_, morsel::_, 2));
  const auto xtensor = a.view(xt::range(100, 150), xt::range(0, 1000, 2));

  morsel::RunReport report;
  const xt::xarray<double> part = text.compute({.report = &report});
  std::cout << part.shape(0) << " x " << part.shape(1) << " elements from " << report.chunks_read << " of "
            << a.grid().count() << " chunks, " << report.bytes_read << " of " << a.nbytes() << " bytes\n";

  const bool same = part == calls.compute() && part == xtensor.compute();
  const bool right = part(0, 1) == 100002 && a[-1].compute()(999) == 399999 &&
                     a["::-1, 5"].compute()(0) == 399005 && a["None, ..., 0"].ndim() == 2;
  return same && right && report.chunks_read == 1 && report.bytes_read < a.nbytes() / 4 ? 0 : 1;
}
