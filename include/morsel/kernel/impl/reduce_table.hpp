// The table of reduction loops that each instruction set fills: built-in types only, shared with the
// instruction-set files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <morsel/base/config.hpp>

namespace morsel::inline MORSEL_ABI {
namespace detail {

/// What is done to the elements; several reductions may share a fold (sum and mean). The nan-forms follow
/// their plain forms from `nan_sum` on and exist for floating-point and complex elements only.
enum class Fold : std::uint8_t {
  sum,       ///< integers: 64 bits, wrapping; others: double lanes
  wide_sum,  ///< integers: 128 bits
  prod,
  moments,
  min,
  max,
  argmin,
  argmax,
  any,
  all,
  count_nonzero,
  nan_sum,
  nan_prod,
  nan_moments,
  nan_min,
  nan_max,
  nan_argmin,
  nan_argmax,
  count
};
inline constexpr int fold_count = static_cast<int>(Fold::count);
inline constexpr int fold_types = 14;  ///< the numeric dtypes in the order of morsel::Type

// ---- states: plain memory, no padding
// ---------------------------------------------------------------------------- Integer sums, products, any,
// all, counts: one std::int64_t or std::uint64_t. Sums and products of floating-point elements: one double.
// Minima: one Wide value.

struct ComplexValue {
  double re, im;
};
struct WideSum {
  std::uint64_t low, high;  ///< two's complement
};
/// A sum or product of the elements that are not NaN, and their number.
struct CountedValue {
  double value;
  std::int64_t count;
};
struct CountedComplex {
  double re, im;
  std::int64_t count;
};
struct Moments {
  std::int64_t count;
  double mean;
  double m2;  ///< sum of squared deviations from the mean
};
struct ComplexMoments {
  std::int64_t count;
  double re, im;
  double m2;
};
/// index -1: nothing seen yet.
template <class Wide>
struct Extreme {
  Wide value;
  std::int64_t index;
};

/// Blocks that one call of `blocks` may take.
inline constexpr std::size_t max_tree_blocks = 64;

/// One fold over one dtype. Null where the pair does not exist.
struct FoldLoops {
  void (*run)(void* state, const void* x, std::size_t n, std::int64_t first_index);
  /// `count` (a power of two, at most max_tree_blocks) blocks of 512, merged by the tree, into a fresh state.
  /// Only for folds with fixed blocks.
  void (*blocks)(void* state, const void* x, std::size_t count);
  void (*rows)(void* states, const void* x, std::ptrdiff_t row_stride_bytes, std::size_t rows,
               std::size_t columns, std::int64_t first_index, std::int64_t index_step);
  void (*merge)(void* left, const void* right, std::size_t n);
  /// Reducer::absorb_leaves, or null.
  void (*leaves)(void* states, const void* x, std::ptrdiff_t leaf_stride_bytes,
                 std::ptrdiff_t row_stride_bytes, std::size_t rows, std::size_t count,
                 std::size_t columns) = nullptr;
};

/// Bins with edges[i] <= x < edges[i + 1], the last one closed. NaN and what lies outside is not counted.
///
/// Uniform bins have an estimate: u = x * scale + offset, clamped to [low, high], is 2^32 + 1 + the position
/// of x in bins, so that the bits of u from bin_shift up are the number of the bin plus one (0: below, bins +
/// 1: above or NaN). Rounding is monotonic, so how far u of each edge is from the edge's own number bounds
/// the error everywhere: only where u is within `guard` of an edge has x to be compared with it.
struct HistogramBins {
  const double* edges;  ///< bins + 1
  std::int64_t bins;
  std::uint32_t guard;  ///< in units of the last place of u, a power of two; 0: no estimate, search the edges
  double scale, offset, low, high;
};
inline constexpr int bin_shift = 20;
inline constexpr double bin_base = 0x1p32;
inline constexpr std::int64_t max_estimated_bins = std::int64_t{1} << 30;

/// Few bins: one table that counts pairs of neighbouring elements needs half as many increments. It outlives
/// the pieces of a leaf, because emptying it costs as much as a few thousand elements.
inline constexpr std::size_t max_paired_slots = 130;
struct PairTable {
  std::uint64_t elements;  ///< of this leaf, counted here or not
  std::uint64_t pairs;     ///< in `count`, at most 65535
  std::uint16_t count[max_paired_slots * max_paired_slots];
};

struct HistogramLoops {
  void (*run)(std::int64_t* counts, const void* x, std::size_t n, const HistogramBins& bins);
  /// Null where the instruction set or the dtype has no use for pairs. `table` is all zero when a leaf
  /// begins, and again after `settle`, which adds what it holds to `counts`.
  void (*run_paired)(std::int64_t* counts, PairTable& table, const void* x, std::size_t n,
                     const HistogramBins& bins);
  void (*settle)(std::int64_t* counts, PairTable& table, const HistogramBins& bins);
};

struct ReduceTable {
  FoldLoops fold[fold_count][fold_types];
  HistogramLoops histogram[fold_types];
};

// Each writes the loops its instruction set has and leaves the others alone.
void fill_reduce_table_baseline(ReduceTable& table);
void fill_reduce_table_avx2(ReduceTable& table);
void fill_reduce_table_avx512(ReduceTable& table);

}  // namespace detail
}  // namespace morsel::inline MORSEL_ABI
