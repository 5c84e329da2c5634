// Results larger than memory: chunks handed over one after another, or in parallel, inside the budget.
//
//   for (auto&& block : stream(e)) ...        the run computes ahead while the loop's body works
#include <atomic>
#include <iostream>
#include <morsel/morsel.hpp>

int main() {
  const auto a = morsel::arange<float>(0, 4000000, 1, {.chunks = 250000});
  const auto e = a * 2.0f;

  // In order, one at a time; leaving the loop cancels the rest.
  morsel::Index blocks = 0;
  double total = 0;
  for (auto&& block : morsel::stream(e, {.memory = "8MiB"})) {
    if (block.region.lo[0] >= 2000000) break;
    for (const float v : block.values) total += v;
    ++blocks;
  }
  std::cout << blocks << " blocks, sum " << total << "\n";

  // From several threads at once, in any order.
  std::atomic<morsel::Index> elements{0};
  morsel::for_each_chunk(
      e, [&](const auto& block) { elements += static_cast<morsel::Index>(block.values.size()); },
      {.memory = "8MiB"});
  std::cout << elements << " elements in " << e.grid().count() << " chunks\n";

  // One value per chunk is a lazy array like any other.
  const xt::xarray<float> means = morsel::per_chunk(morsel::mean(e)).compute();
  std::cout << "mean of the last chunk: " << means(15) << "\n";
  return blocks == 8 && total == 1999999.0 * 2000000 && elements == 4000000 && means.size() == 16 ? 0 : 1;
}
