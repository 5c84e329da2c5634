#pragma once

#include <algorithm>
#include <morsel/api/reduction.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// Names after a reduction of `axes`; axes that the result has at its end have none.
MORSEL_INLINE std::vector<std::string> dims_of_reduction(const AnyLazyArray& array,
                                                         const std::vector<Index>& axes, bool keepdims,
                                                         std::size_t rank) {
  if (array.dims().empty()) return {};
  std::vector<std::string> names;
  const auto extent = static_cast<Index>(array.ndim());
  for (Index i = 0; i < extent; ++i) {
    const bool reduced =
        std::any_of(axes.begin(), axes.end(), [&](Index a) { return a == i || a + extent == i; });
    if (!reduced || keepdims) names.push_back(array.dims()[static_cast<std::size_t>(i)]);
  }
  names.resize(rank);
  return names;
}

}  // namespace detail

MORSEL_INLINE AnyLazyArray reduction_with(ReducerPtr reducer, const AnyLazyArray& array, const Axes& axes,
                                          const ReduceOptions& options) {
  const std::vector<Index> numbers = find_axes(axes, array.dims(), array.ndim(), reducer->name());
  const Edge edge = reduce(std::move(reducer), array.edge(), numbers, options.keepdims);
  return AnyLazyArray(edge, detail::dims_of_reduction(array, numbers, options.keepdims, edge.shape().size()))
      .with_coordinate_axes(array.coordinate_axes());
}

MORSEL_INLINE AnyLazyArray reduction(Reduction which, const AnyLazyArray& array, const Axes& axes,
                                     const ReduceOptions& options, const ReductionOptions& details) {
  if (!array.dtype().is_numeric())
    fail(Errc::dtype_mismatch, std::string(name_of(which)) + ": " + array.dtype().name() +
                                   " is not a numeric dtype; expected numbers, got " + array.dtype().name());
  ReductionOptions all = details;
  all.ddof = options.ddof;
  return reduction_with(make_reducer(which, array.dtype().type(), all), array, axes, options);
}

MORSEL_INLINE AnyLazyArray histogram_of(const AnyLazyArray& array, Index bins, const ValueRange* range) {
  if (!range) return AnyLazyArray(histogram_over_data_range(array.edge(), bins));
  ReductionOptions details;
  details.bins = bins;
  details.lo = range->lo;
  details.hi = range->hi;
  return reduction(Reduction::histogram, array, {}, {}, details);
}

MORSEL_INLINE AnyLazyArray histogram_of(const AnyLazyArray& array, std::vector<double> edges) {
  ReductionOptions details;
  details.edges = std::move(edges);
  return reduction(Reduction::histogram, array, {}, {}, details);
}

MORSEL_INLINE AnyLazyArray per_chunk(const AnyLazyArray& reduced) {
  const Edge edge = per_chunk(reduced.edge());
  const auto& call = std::get<ReduceNode>(edge.node->payload);
  if (reduced.dims().empty()) return AnyLazyArray(edge);
  // Names of the kept axes; those of reduced ones are known if they were kept with extent 1.
  std::vector<std::string> names(edge.shape().size());
  std::size_t next = 0;
  for (std::size_t i = 0; i < call.input.shape().size(); ++i) {
    const bool gone =
        std::binary_search(call.axes.begin(), call.axes.end(), static_cast<int>(i)) && !call.keepdims;
    if (!gone) names[i] = reduced.dims()[next++];
  }
  return AnyLazyArray(edge, std::move(names));
}

}  // namespace morsel::inline MORSEL_ABI
