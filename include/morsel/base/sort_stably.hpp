// A stable sort. That of libstdc++ 12 uses a deprecated function, about which clang warns in every file that
// calls it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <morsel/base/config.hpp>
#include <utility>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// Sorts by `less`; what is equal stays in its order. **Cost**: n log n comparisons, one index and one move
/// each.
template <class T, class Less>
void sort_stably(std::vector<T>& values, Less less) {
  std::vector<std::size_t> order(values.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (less(values[a], values[b])) return true;
    if (less(values[b], values[a])) return false;
    return a < b;
  });
  std::vector<T> sorted;
  sorted.reserve(values.size());
  for (const std::size_t i : order) sorted.push_back(std::move(values[i]));
  values = std::move(sorted);
}

}  // namespace morsel::inline MORSEL_ABI
