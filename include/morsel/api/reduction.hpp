// Reductions: sum, mean, stddev, min, argmax, histogram, ... over any axes, and a user's own combiners.
//
// f(a, axes = all_axes, options = {}): axes a number, a name, or a list {0, "lat"}. Reductions over the same
// array that are computed together read it once. xtensor arrays are reduced at once and give an xt::xarray.
#pragma once

#include <morsel/api/operand.hpp>
#include <morsel/kernel/combiner.hpp>

namespace morsel::inline MORSEL_ABI {

struct ReduceOptions {
  bool keepdims = false;  ///< reduced axes stay, with extent 1
  double ddof = 0;        ///< var, stddev: the divisor is n - ddof
};

/// A built-in reduction of values whose dtype is known at run time. **Fails**: dtype_mismatch; out_of_range;
/// invalid_argument for an axis named twice, or an empty set where there is no result for it (min, max,
/// argmin, argmax).
AnyLazyArray reduction(Reduction which, const AnyLazyArray& array, const Axes& axes,
                       const ReduceOptions& options, const ReductionOptions& details = {});

/// A range of values [lo, hi].
struct ValueRange {
  double lo = 0, hi = 0;
};

/// Counts of values in uniform bins, over all axes; values outside are left out, the last bin is closed.
AnyLazyArray histogram_of(const AnyLazyArray& array, Index bins, const ValueRange* range);
AnyLazyArray histogram_of(const AnyLazyArray& array, std::vector<double> edges);

/// A combiner's reduction. **Fails**: as reduction().
AnyLazyArray reduction_with(ReducerPtr reducer, const AnyLazyArray& array, const Axes& axes,
                            const ReduceOptions& options);

namespace detail {

template <Reduction which, bool skip_nan, class A>
auto reduce_call(const A& a, const Axes& axes, const ReduceOptions& options) {
  ReductionOptions details;
  details.skip_nan = skip_nan;
  details.ddof = options.ddof;
  return in_kind<reduction_result(which, joint_type<A>()), A>(
      reduction(which, handle<A>(a), axes, options, details));
}

template <class A>
auto histogram_result(AnyLazyArray counts) {
  static_assert(!is_complex(joint_type<A>()), "morsel: histogram takes real numbers");
  return in_kind<Type::int64, A>(std::move(counts));
}

}  // namespace detail

#define MORSEL_REDUCTION(NAME, WHICH, SKIP_NAN)                                     \
  template <ArrayLike A>                                                            \
  auto NAME(const A& a, const Axes& axes = {}, const ReduceOptions& options = {}) { \
    return detail::reduce_call<Reduction::WHICH, SKIP_NAN>(a, axes, options);       \
  }
MORSEL_REDUCTION(sum, sum, false)
MORSEL_REDUCTION(prod, prod, false)
MORSEL_REDUCTION(mean, mean, false)
MORSEL_REDUCTION(var, var, false)
MORSEL_REDUCTION(stddev, stddev, false)
MORSEL_REDUCTION(min, min, false)
MORSEL_REDUCTION(max, max, false)
MORSEL_REDUCTION(argmin, argmin, false)
MORSEL_REDUCTION(argmax, argmax, false)
MORSEL_REDUCTION(any, any, false)
MORSEL_REDUCTION(all, all, false)
MORSEL_REDUCTION(count_nonzero, count_nonzero, false)
MORSEL_REDUCTION(nansum, sum, true)
MORSEL_REDUCTION(nanprod, prod, true)
MORSEL_REDUCTION(nanmean, mean, true)
MORSEL_REDUCTION(nanvar, var, true)
MORSEL_REDUCTION(nanstddev, stddev, true)
MORSEL_REDUCTION(nanmin, min, true)
MORSEL_REDUCTION(nanmax, max, true)
MORSEL_REDUCTION(nanargmin, argmin, true)
MORSEL_REDUCTION(nanargmax, argmax, true)
#undef MORSEL_REDUCTION

/// Counts per bin of all values: histogram(a, 64, {0, 1}) is one pass; without a range the least and greatest
/// value are found first; edges give bins of any widths.
template <ArrayLike A>
auto histogram(const A& a, Index bins, const ValueRange& range) {
  return detail::histogram_result<A>(histogram_of(detail::handle<A>(a), bins, &range));
}
template <ArrayLike A>
auto histogram(const A& a, Index bins) {
  return detail::histogram_result<A>(histogram_of(detail::handle<A>(a), bins, nullptr));
}
template <ArrayLike A>
auto histogram(const A& a, std::vector<double> edges) {
  return detail::histogram_result<A>(histogram_of(detail::handle<A>(a), std::move(edges)));
}

/// A user's own reduction: a type with absorb, merge and finish, or combiner_from(identity, absorb, merge,
/// finish). See kernel/combiner.hpp for its laws. A finish() that gives std::array<R, N> adds an axis of N at
/// the end.
template <class C, ArrayLike A>
auto reduce_with(C combiner, const A& a, const Axes& axes = {}, const ReduceOptions& options = {},
                 std::string name = "reduce_with") {
  using T = element_t<type_of<typename A::value_type>>;
  static_assert(Combiner<C, T>, "morsel: not a combiner of these elements; see kernel/combiner.hpp");
  using R = typename detail::FinishOf<std::remove_cvref_t<decltype(std::declval<const C&>().finish())>>::Item;
  ReducerPtr reducer = make_reducer_from<T>(std::move(combiner), std::move(name));
  return detail::in_kind<type_of<R>, A>(
      reduction_with(std::move(reducer), detail::handle<A>(a), axes, options));
}

/// The reduction's value for each chunk of its input: per_chunk(mean(a)) has one element per chunk along
/// reduced axes.
/// **Fails**: invalid_argument unless `reduced` is what a reduction gave, unsliced.
AnyLazyArray per_chunk(const AnyLazyArray& reduced);
template <class T>
LazyArray<T> per_chunk(const LazyArray<T>& reduced) {
  return LazyArray<T>(per_chunk(reduced.any()));
}

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/reduction.ipp>
#endif
