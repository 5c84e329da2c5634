// A program of a user: two translation units, so that a definition that lacks `inline` is found out.
#include <cstdio>
#include <morsel/morsel.hpp>

double sum_in_second_unit();

int main() {
  xt::xarray<double> values = xt::zeros<double>({4, 6});
  for (std::size_t i = 0; i < values.size(); ++i) values.flat(i) = static_cast<double>(i);
  const auto a = morsel::from_array(values, {.chunks = {2, 4}});
  const double sum = morsel::sum(a * 2.0).item();
  const double other = sum_in_second_unit();
  std::printf("sum %g, in the other unit %g\n", sum, other);
  if (sum != 552 || other != 552) return 1;
  try {
    morsel::open<float>("/nonexistent/data.zarr");
  } catch (const morsel::Error& error) {
    std::printf("%s\n", error.what());
    return error.code() == morsel::Errc::not_found ? 0 : 1;
  }
  return 1;
}
