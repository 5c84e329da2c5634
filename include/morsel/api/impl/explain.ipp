#pragma once

#include <morsel/api/explain.hpp>
#include <ostream>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE Explanation explain(const std::vector<AnyLazyArray>& arrays, const ComputeOptions& options) {
  std::vector<Edge> values;
  for (const AnyLazyArray& array : arrays) values.push_back(array.edge());
  return explain_plan(values, {}, options);
}

MORSEL_INLINE std::ostream& operator<<(std::ostream& out, const AnyLazyArray& array) {
  return out << to_string(array);
}
MORSEL_INLINE std::ostream& operator<<(std::ostream& out, const Explanation& explanation) {
  return out << explanation.text();
}
MORSEL_INLINE std::ostream& operator<<(std::ostream& out, const Dims& dims) { return out << to_string(dims); }
MORSEL_INLINE std::ostream& operator<<(std::ostream& out, const Grid& grid) { return out << to_string(grid); }
MORSEL_INLINE std::ostream& operator<<(std::ostream& out, const DType& dtype) { return out << dtype.name(); }
MORSEL_INLINE std::ostream& operator<<(std::ostream& out, const Region& region) {
  return out << to_string(region);
}

}  // namespace morsel::inline MORSEL_ABI
