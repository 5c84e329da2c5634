#include <morsel/morsel.hpp>

double sum_in_second_unit() {
  xt::xarray<double> values = xt::zeros<double>({4, 6});
  for (std::size_t i = 0; i < values.size(); ++i) values.flat(i) = static_cast<double>(i);
  return morsel::sum(morsel::from_array(values, {.chunks = {3, 3}}) + morsel::from_array(values)).item();
}
