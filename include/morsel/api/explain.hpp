// What a run would do, without running it; the graph; and how arrays print.
#pragma once

#include <iosfwd>
#include <morsel/api/operand.hpp>

namespace morsel::inline MORSEL_ABI {

/// The plan for computing arrays to memory: chunks, bytes, passes, peak, predicted I/O. Prints with <<;
/// .json(), .dot() and .svg() say the same. **Fails**: as compute would before it reads.
Explanation explain(const std::vector<AnyLazyArray>& arrays, const ComputeOptions& options = {});
inline Explanation explain(const AnyLazyArray& array, const ComputeOptions& options = {}) {
  return explain(std::vector<AnyLazyArray>{array}, options);
}
/// Several arrays that are computed together, options first.
template <LazyLike... A>
requires(sizeof...(A) >= 2) Explanation explain(const ComputeOptions& options, const A&... arrays) {
  return explain(std::vector<AnyLazyArray>{arrays...}, options);
}

/// A read-only view of the nodes under some arrays, as they were made: no pass has run.
class GraphView {
 public:
  explicit GraphView(std::vector<Edge> values) : values_(std::move(values)) {}
  const std::vector<Edge>& values() const { return values_; }
  std::string json() const { return graph_json(values_); }
  std::string dot() const { return graph_dot(values_); }

 private:
  std::vector<Edge> values_;
};

inline GraphView graph(const AnyLazyArray& array) { return GraphView({array.edge()}); }
template <LazyLike... A>
requires(sizeof...(A) >= 2) GraphView graph(const A&... arrays) {
  return GraphView({AnyLazyArray(arrays).edge()...});
}

// One line each; describe(a) gives more of an array.
std::ostream& operator<<(std::ostream& out, const AnyLazyArray& array);
std::ostream& operator<<(std::ostream& out, const Explanation& explanation);
std::ostream& operator<<(std::ostream& out, const Dims& dims);
std::ostream& operator<<(std::ostream& out, const Grid& grid);
std::ostream& operator<<(std::ostream& out, const DType& dtype);
std::ostream& operator<<(std::ostream& out, const Region& region);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/explain.ipp>
#endif
