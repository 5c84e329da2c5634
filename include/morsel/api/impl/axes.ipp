#pragma once

#include <algorithm>
#include <morsel/api/axes.hpp>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE Index find_axis(const AxisName& axis, const std::vector<std::string>& dims, std::size_t rank,
                              std::string_view doing) {
  if (!axis.is_named) return normalize_axis(axis.number, static_cast<int>(rank), std::string(doing).c_str());
  const auto found = std::find(dims.begin(), dims.end(), axis.name);
  if (found == dims.end() || axis.name.empty()) {
    std::string names;
    for (const std::string& name : dims)
      if (!name.empty()) names += (names.empty() ? "'" : ", '") + name + "'";
    fail(Errc::invalid_argument, std::string(doing) + ": no dimension of that name; expected " +
                                     (names.empty() ? "a number, for the dimensions have no names" : names) +
                                     ", got '" + axis.name + "'");
  }
  return found - dims.begin();
}

MORSEL_INLINE std::vector<Index> find_axes(const Axes& axes, const std::vector<std::string>& dims,
                                           std::size_t rank, std::string_view doing) {
  if (axes.all()) return all_axes(rank);
  std::vector<Index> numbers;
  for (const AxisName& axis : axes.list()) numbers.push_back(find_axis(axis, dims, rank, doing));
  return numbers;
}

}  // namespace morsel::inline MORSEL_ABI
