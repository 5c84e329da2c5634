// Unfinished reductions: computed here, sent as bytes, merged there, finished anywhere.
#pragma once

#include <morsel/api/reduction.hpp>
#include <span>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// The states of a reduction's output elements, and which reduction it is.
class PartialStates {
 public:
  /// **Fails**: invalid_argument unless `reduced` is what a reduction gave; unsupported for states that own
  /// memory and for a histogram whose range is that of the data.
  explicit PartialStates(const AnyLazyArray& reduced);
  /// Computes the states of the array's elements.
  void compute(const AnyLazyArray& reduced, const ComputeOptions& options);
  void merge(const PartialStates& right);
  /// `out` has room for the result's elements in C order.
  void finish(void* out) const;
  std::vector<std::byte> to_bytes() const;
  void from_bytes(std::span<const std::byte> bytes);
  const Shape& shape() const { return shape_; }
  Index count() const { return count_; }

 private:
  std::string described() const;
  std::uint64_t parameters_digest() const;
  [[noreturn]] void fail_parameters(const char* doing) const;

  ReducerPtr reducer_;
  Shape shape_;             // of the result, result_shape() at its end
  Index states_count_ = 0;  // output elements
  Index count_ = 0;         // elements absorbed into each of them
  std::vector<std::byte> states_;
};

}  // namespace detail

/// A reduction that is not finished: states that merge. Merging left with right is absorbing right's elements
/// after left's; floating-point results depend on that order as every sum does, and argmin and argmax count
/// positions in it: those of the whole array where its parts follow each other along the first reduced axis.
///
/// PartialState<T>(reduction) has seen no element; partial(reduction) has seen the array's.
template <class T>
class PartialState {
 public:
  /// The identity of merge. **Fails**: invalid_argument unless `reduced` is what a reduction gave, unsliced.
  explicit PartialState(const LazyArray<T>& reduced) : states_(reduced.any()) {}
  PartialState(const LazyArray<T>& reduced, const ComputeOptions& options) : states_(reduced.any()) {
    states_.compute(reduced.any(), options);
  }
  /// States that to_bytes gave, of the same reduction: its name, dtype, result shape and parameters (edges,
  /// range, a combiner's prototype) are compared.
  /// **Fails**: corrupt_data; invalid_argument for another reduction.
  static PartialState from_bytes(std::span<const std::byte> bytes, const LazyArray<T>& reduced) {
    PartialState state(reduced);
    state.states_.from_bytes(bytes);
    return state;
  }
  std::vector<std::byte> to_bytes() const { return states_.to_bytes(); }

  /// Elements absorbed into each element of the result.
  Index count() const { return states_.count(); }
  const Shape& shape() const { return states_.shape(); }
  /// **Fails**: invalid_argument for another reduction.
  PartialState& merge(const PartialState& right) {
    states_.merge(right.states_);
    return *this;
  }
  /// The value over all that was absorbed. **Fails**: invalid_argument where there is none (min of nothing).
  xt::xarray<T> finish() const {
    auto out = detail::xarray_of<T>(states_.shape());
    states_.finish(out.data());
    return out;
  }

 private:
  detail::PartialStates states_;
};

/// The unfinished value of a reduction: auto p = partial(mean(a)); send(p.to_bytes()).
/// **Fails**: as PartialState; unsupported for states that own memory, and for a histogram without a range:
/// parts would have bins of their own.
template <class T>
PartialState<T> partial(const LazyArray<T>& reduced, const ComputeOptions& options = {}) {
  return PartialState<T>(reduced, options);
}

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/partial.ipp>
#endif
