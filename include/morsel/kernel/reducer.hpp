// A reduction as the engine sees it: states per output element that absorb blocks, merge and finish.
//
// The rule that makes bits independent of threads, budget and instruction set (one leaf = the reduced
// elements in one declared chunk, C order of the logical axes):
//   trailing axes reduced:  runs -> blocks of 512 -> 16 lanes, folded 8-4-2-1      block_of_run
//   otherwise:              rows -> blocks of 64, added serially per column         block_of_rows
//   blocks merge by binary counter inside a leaf, leaves by the binary tree over chunk index      merge
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <morsel/array/promote.hpp>
#include <span>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

inline constexpr std::size_t run_block = 512;  ///< elements in a block when trailing axes are reduced
inline constexpr std::size_t row_block = 64;   ///< rows in a block otherwise

/// How values may be put together without changing the result's bits.
enum class MergeOrder : std::uint8_t {
  any,        ///< exact: any order, any segments (integers, min/max, counts, histograms)
  blocks,     ///< floating-point sums: fixed blocks, fixed tree
  sequential  ///< a user's combiner: each leaf absorbs its elements in order, leaves merge by the fixed tree
};

/// An immutable reduction over values of one dtype. A *state* is `state_bytes()` bytes per output element (a
/// multiple of 8, 16-byte aligned when the array of states is), plain memory unless `destroy` says otherwise.
class Reducer {
 public:
  virtual ~Reducer() = default;
  virtual std::string name() const = 0;        ///< "sum", "stddev(ddof=1)": for explain and errors
  virtual std::string state_name() const = 0;  ///< equal names have equal states: sum and mean share one
  /// What states mean beyond their name, as bytes: those of reducers whose bytes differ do not merge.
  virtual std::string parameters() const { return state_name(); }
  virtual Type input() const = 0;
  virtual MergeOrder order() const = 0;
  /// True if `first_index` matters: argmin, argmax.
  virtual bool needs_index() const { return false; }
  /// Adds `by` to the positions that states hold: they follow `by` elements of another state.
  virtual void shift_index(void* states, std::size_t n, Index by) const { (void)states, (void)n, (void)by; }
  virtual std::size_t state_bytes() const = 0;
  /// dtype and extra trailing shape of the result per output element (histogram: (bins,)).
  virtual Type result() const = 0;
  virtual Shape result_shape() const { return {}; }
  /// True if an empty set of elements has no result (min, max, arg*): refused when the node is made.
  virtual bool refuses_empty() const { return false; }

  /// states[0..n) = identity of merge.
  virtual void init(void* states, std::size_t n) const = 0;
  /// Absorbs x[0..n), contiguous, into one state that is freshly initialised (order `blocks`: n <= 512) or
  /// not (orders `any` and `sequential`: any n). `first_index`: flat position of x[0] along the reduced axes,
  /// consecutive after it.
  virtual void absorb_run(void* state, const void* x, std::size_t n, Index first_index) const = 0;
  /// Absorbs `count` whole blocks of 512, merged by the tree, into a fresh state: what absorb_run and merge
  /// give, in one call. **Requires**: order `blocks`; `count` a power of two, at most 64.
  MORSEL_INLINE virtual void absorb_blocks(void* state, const void* x, std::size_t count) const;
  /// Bytes (all zero at first) that a leaf may keep beside its state to absorb runs faster; 0: none. Order
  /// `any` only.
  virtual std::size_t scratch_bytes() const { return 0; }
  /// absorb_run that may leave a part in `scratch`; `settle` puts it into the state and makes scratch zero
  /// again.
  virtual void absorb_run_beside(void* state, void* scratch, const void* x, std::size_t n,
                                 Index first_index) const {
    (void)scratch;
    absorb_run(state, x, n, first_index);
  }
  virtual void settle(void* state, void* scratch) const { (void)state, (void)scratch; }
  /// Absorbs `rows` rows (order `blocks`: at most 64, into fresh states) of `columns` contiguous elements,
  /// `row_stride_bytes` apart, row after row, into states[0..columns). Row r has flat position
  /// first_index + r * index_step.
  virtual void absorb_rows(void* states, const void* x, std::ptrdiff_t row_stride_bytes, std::size_t rows,
                           std::size_t columns, Index first_index, Index index_step) const = 0;
  /// Absorbs `count` leaves of `rows` rows each, `leaf_stride_bytes` apart, each into a fresh state of its
  /// own, and merges them by the tree into states[0..columns), raw memory: what init, absorb_rows and merge
  /// give, in one call. False if it was not done. **Requires**: order `blocks`; count 2, 4 or 8; rows at
  /// most 64.
  virtual bool absorb_leaves(void* states, const void* x, std::ptrdiff_t leaf_stride_bytes,
                             std::ptrdiff_t row_stride_bytes, std::size_t rows, std::size_t count,
                             std::size_t columns) const {
    (void)states, (void)x, (void)leaf_stride_bytes, (void)row_stride_bytes, (void)rows, (void)count,
        (void)columns;
    return false;
  }
  /// left[i] = merge(left[i], right[i]); right is left in a destroyable state.
  virtual void merge(void* left, void* right, std::size_t n) const = 0;
  /// out: n results, contiguous, C order with result_shape() innermost. `count`: elements reduced per output
  /// element.
  virtual void finish(const void* states, std::size_t n, Index count, void* out) const = 0;
  /// Ends the life of states that own memory (a user's combiner).
  virtual void destroy(void* states, std::size_t n) const { (void)states, (void)n; }
  /// True if states are plain memory: relocate is memcpy, and they may be forgotten without destroy.
  virtual bool is_trivial() const { return true; }
  /// Moves n states into raw memory and ends the life of the old ones.
  virtual void relocate(void* to, void* from, std::size_t n) const {
    std::memcpy(to, from, n * state_bytes());
  }
  /// State to bytes and back, for partial results that travel. Little-endian, without padding surprises.
  virtual void to_bytes(const void* states, std::size_t n, std::vector<std::byte>& out) const = 0;
  /// `states` is raw memory. **Fails**: corrupt_data if the bytes are not n states of this reducer.
  virtual void from_bytes(std::span<const std::byte> bytes, void* states, std::size_t n) const = 0;

  /// Absorbs `count` elements that all equal x[0] (a missing chunk) into a fresh state, or says false if it
  /// cannot do so with the same bits; the engine then fills a buffer.
  virtual bool absorb_constant(void* state, const void* x, Index count, Index first_index) const {
    (void)state, (void)x, (void)count, (void)first_index;
    return false;
  }
};
using ReducerPtr = std::shared_ptr<const Reducer>;

enum class Reduction : std::uint8_t {
  sum,
  prod,
  mean,
  var,
  stddev,
  min,
  max,
  argmin,
  argmax,
  any,
  all,
  count_nonzero,
  histogram
};
std::string_view name_of(Reduction reduction);

/// Parameters of the built-in reductions.
struct ReductionOptions {
  bool skip_nan =
      false;        ///< the nan-forms: nansum, nanmean, nanvar, nanstddev, nanmin, nanmax, nanargmin, ...
  double ddof = 0;  ///< var, stddev: divisor n - ddof
  Index bins = 0;   ///< histogram: uniform bins over [lo, hi]
  double lo = 0, hi = 0;
  std::vector<double> edges = {};  ///< histogram: edges in place of bins, lo, hi
};

/// The reducer of a built-in reduction over values of `input`. Result dtypes and accumulators as the
/// contracts have them. **Fails**: dtype_mismatch (min of complex follows NumPy: lexicographic; histogram of
/// complex is refused); invalid_argument (bins < 1, lo >= hi, edges not increasing).
ReducerPtr make_reducer(Reduction reduction, Type input, const ReductionOptions& options = {});

/// States on their way up a binary tree over consecutive leaves (or blocks): the carry stack of a binary
/// counter.
///
/// push(states) of leaf 0, then of leaf 1, ...; equal-sized neighbours merge at once. `fold` merges what is
/// left, the odd ones promoted. Memory: arrays of n states, given by the caller; k of them serve fewer than
/// 2^k leaves. States stay where they were merged: after the copy of a leaf, nothing is copied but once into
/// `out`.
class CarryStack {
 public:
  CarryStack(const Reducer& reducer, std::size_t n);
  /// Takes states of the next leaf and ends their life. `slot(i)` gives the memory of array i, always the
  /// same.
  template <class Slot>
  void push(void* states, Slot&& slot);
  /// Merges everything into `out` (raw memory); identity if nothing was pushed. The stack is empty
  /// afterwards.
  template <class Slot>
  void fold(void* out, Slot&& slot);
  /// Ends the life of all states held: for a run that stops early.
  template <class Slot>
  void clear(Slot&& slot);
  Index count() const { return count_; }

 private:
  const Reducer* reducer_;
  std::size_t n_;
  Index count_ = 0;
  std::uint8_t place_[63];  ///< which array holds a level
};

}  // namespace morsel::inline MORSEL_ABI

#include <morsel/kernel/impl/carry_stack.hpp>
#if defined(MORSEL_HEADER_ONLY)
#include <morsel/kernel/impl/reducer.ipp>
#endif
