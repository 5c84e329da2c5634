#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <morsel/kernel/impl/reduce_table.hpp>
#include <morsel/kernel/reducer.hpp>
#include <morsel/kernel/simd.hpp>

namespace morsel::inline MORSEL_ABI {
namespace detail {

namespace reduce_baseline {
#define MORSEL_VECTOR_BYTES 16
#include <morsel/kernel/impl/reduce_loops.inl>
}  // namespace reduce_baseline

MORSEL_INLINE void fill_reduce_table_baseline(ReduceTable& table) { reduce_baseline::fill_table(table); }

/// The loops of a level; one that this build lacks has those of the level below. A table is filled when its
/// level is first in force: the code that fills it is that level's own.
MORSEL_INLINE const ReduceTable& reduce_table(SimdLevel level) {
#if !defined(MORSEL_HEADER_ONLY) && defined(MORSEL_HAVE_AVX512)
  if (level == SimdLevel::avx512) {
    static const ReduceTable table = [] {
      ReduceTable made = reduce_table(SimdLevel::avx2);
      fill_reduce_table_avx512(made);
      return made;
    }();
    return table;
  }
#endif
#if !defined(MORSEL_HEADER_ONLY) && defined(MORSEL_HAVE_AVX2)
  if (level != SimdLevel::baseline) {
    static const ReduceTable table = [] {
      ReduceTable made = reduce_table(SimdLevel::baseline);
      fill_reduce_table_avx2(made);
      return made;
    }();
    return table;
  }
#endif
  static_cast<void>(level);
  static const ReduceTable table = [] {
    ReduceTable made = {};
    fill_reduce_table_baseline(made);
    return made;
  }();
  return table;
}

// ---- numbers ----------------------------------------------------------------------------------

/// sum / count, correctly rounded.
MORSEL_INLINE double divide_wide(std::uint64_t low, std::uint64_t high, Index count) {
  __extension__ typedef unsigned __int128 Word128;
  Word128 magnitude = (static_cast<Word128>(high) << 64) | low;
  const bool negative = (high >> 63) != 0;
  if (negative) magnitude = -magnitude;
  if (magnitude == 0) return 0.0;
  // At least 64 quotient bits, the last of them sticky: the conversion below then rounds as the exact
  // quotient would.
  int shift = 0;
  while (!(magnitude >> 127)) magnitude <<= 1, ++shift;
  const Word128 divisor = static_cast<std::uint64_t>(count);
  Word128 quotient = magnitude / divisor;
  if (magnitude % divisor != 0) quotient |= 1u;
  const double value = std::ldexp(static_cast<double>(quotient), -shift);
  return negative ? -value : value;
}

// ---- what a reduction is made of --------------------------------------------------------------

MORSEL_INLINE bool is_inexact(Type t) { return is_floating(t) || is_complex(t); }

MORSEL_INLINE bool is_extreme(Fold f) {
  return f == Fold::min || f == Fold::max || f == Fold::nan_min || f == Fold::nan_max;
}
MORSEL_INLINE bool is_arg(Fold f) {
  return f == Fold::argmin || f == Fold::argmax || f == Fold::nan_argmin || f == Fold::nan_argmax;
}
MORSEL_INLINE bool is_moments(Fold f) { return f == Fold::moments || f == Fold::nan_moments; }
MORSEL_INLINE bool is_maximum(Fold f) { return f == Fold::max || f == Fold::nan_max; }

MORSEL_INLINE std::string_view name_of(Fold fold) {
  constexpr std::string_view names[] = {"sum",           "wide_sum",   "prod",      "moments",     "min",
                                        "max",           "argmin",     "argmax",    "any",         "all",
                                        "count_nonzero", "nan_sum",    "nan_prod",  "nan_moments", "nan_min",
                                        "nan_max",       "nan_argmin", "nan_argmax"};
  return names[static_cast<int>(fold)];
}

MORSEL_INLINE Fold fold_of(Reduction reduction, Type input, bool skip_nan) {
  const bool skip = skip_nan && is_inexact(input);
  switch (reduction) {
    case Reduction::sum:
      return skip ? Fold::nan_sum : Fold::sum;
    case Reduction::prod:
      return skip ? Fold::nan_prod : Fold::prod;
    case Reduction::mean:
      if (skip) return Fold::nan_sum;
      return is_integer(input) && item_bytes_of(input) >= 4 ? Fold::wide_sum : Fold::sum;
    case Reduction::var:
    case Reduction::stddev:
      return skip ? Fold::nan_moments : Fold::moments;
    case Reduction::min:
      return skip ? Fold::nan_min : Fold::min;
    case Reduction::max:
      return skip ? Fold::nan_max : Fold::max;
    case Reduction::argmin:
      return skip ? Fold::nan_argmin : Fold::argmin;
    case Reduction::argmax:
      return skip ? Fold::nan_argmax : Fold::argmax;
    case Reduction::any:
      return Fold::any;
    case Reduction::all:
      return Fold::all;
    case Reduction::count_nonzero:
      return Fold::count_nonzero;
    case Reduction::histogram:
      break;
  }
  fail(Errc::internal_error, "choosing a fold: histogram has none");
}

MORSEL_INLINE std::size_t state_bytes_of(Fold fold, Type input) {
  const bool complex = is_complex(input);
  const std::size_t wide = complex ? sizeof(ComplexValue) : 8;
  if (is_extreme(fold)) return wide;
  if (is_arg(fold)) return wide + 8;
  if (is_moments(fold)) return complex ? sizeof(ComplexMoments) : sizeof(Moments);
  switch (fold) {
    case Fold::sum:
    case Fold::prod:
      return wide;
    case Fold::wide_sum:
      return sizeof(WideSum);
    case Fold::nan_sum:
    case Fold::nan_prod:
      return complex ? sizeof(CountedComplex) : sizeof(CountedValue);
    default:
      return 8;
  }
}

/// The identity of merge as `state_bytes_of` bytes.
MORSEL_INLINE void identity_of(Fold fold, Type input, std::byte* out) {
  std::memset(out, 0, state_bytes_of(fold, input));
  const auto put = [&](std::size_t word, auto value) {
    static_assert(sizeof value == 8);
    std::memcpy(out + 8 * word, &value, 8);
  };
  const double infinity = std::numeric_limits<double>::infinity(),
               nan = std::numeric_limits<double>::quiet_NaN();
  if (is_arg(fold)) {
    put(is_complex(input) ? 2 : 1, std::int64_t{-1});
  } else if (is_extreme(fold)) {
    const bool max = is_maximum(fold);
    if (is_inexact(input)) {
      const double value = fold == Fold::nan_min || fold == Fold::nan_max ? nan : max ? -infinity : infinity;
      put(0, value);
      if (is_complex(input)) put(1, value);
    } else if (is_signed_integer(input)) {
      put(0, max ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max());
    } else {
      put(0, max ? std::uint64_t{0} : std::numeric_limits<std::uint64_t>::max());
    }
  } else if (fold == Fold::prod || fold == Fold::nan_prod) {
    if (is_inexact(input))
      put(0, 1.0);
    else
      put(0, std::uint64_t{1});
  } else if (fold == Fold::all) {
    put(0, std::uint64_t{1});
  }
}

MORSEL_INLINE Type result_of(Reduction reduction, Type input) {
  switch (reduction) {
    case Reduction::sum:
    case Reduction::prod:
      if (is_unsigned_integer(input)) return Type::uint64;
      return is_inexact(input) ? input : Type::int64;
    case Reduction::mean:
      return is_inexact(input) ? input : Type::float64;
    case Reduction::var:
    case Reduction::stddev:
      return is_inexact(input) ? real_of(input) : Type::float64;
    case Reduction::min:
    case Reduction::max:
      return input;
    case Reduction::any:
    case Reduction::all:
      return Type::bool_;
    case Reduction::argmin:
    case Reduction::argmax:
    case Reduction::count_nonzero:
    case Reduction::histogram:
      return Type::int64;
  }
  return input;
}

/// Writes one real or complex number as element `i` of `out`, rounded once.
MORSEL_INLINE void write_number(Type type, void* out, std::size_t i, double re, double im = 0) {
  switch (type) {
    case Type::float16:
      static_cast<float16*>(out)[i] = half_of(re);
      break;
    case Type::float32:
      static_cast<float*>(out)[i] = static_cast<float>(re);
      break;
    case Type::float64:
      static_cast<double*>(out)[i] = re;
      break;
    case Type::complex64:
      static_cast<std::complex<float>*>(out)[i] = {static_cast<float>(re), static_cast<float>(im)};
      break;
    case Type::complex128:
      static_cast<std::complex<double>*>(out)[i] = {re, im};
      break;
    default:
      fail(Errc::internal_error, "finishing a reduction: result is not a floating-point dtype");
  }
}

// ---- states as bytes --------------------------------------------------------------------------
//
// u64 digest of (state name, n, payload), then the payload: the states as they are, little-endian words.

MORSEL_INLINE std::uint64_t mix(std::uint64_t digest, std::uint64_t word) {
  digest = (digest ^ word) * 0x9e3779b97f4a7c15u;
  return digest ^ (digest >> 29);
}
MORSEL_INLINE std::uint64_t digest_of(std::string_view name, std::span<const std::byte> payload) {
  std::uint64_t digest = 0x6d6f7273656c0001u;
  for (const char c : name) digest = mix(digest, static_cast<unsigned char>(c));
  digest = mix(digest, payload.size());
  for (std::size_t i = 0; i + 8 <= payload.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, payload.data() + i, 8);
    digest = mix(digest, word);
  }
  for (std::size_t i = payload.size() / 8 * 8; i < payload.size(); ++i)
    digest = mix(digest, static_cast<std::uint64_t>(payload[i]));
  return digest;
}
MORSEL_INLINE void append_sealed(std::string_view name, const void* payload, std::size_t bytes,
                                 std::vector<std::byte>& out) {
  static_assert(std::endian::native == std::endian::little, "states travel as little-endian words");
  const auto* from = static_cast<const std::byte*>(payload);
  const std::uint64_t digest = digest_of(name, {from, bytes});
  const std::size_t at = out.size();
  out.resize(at + 8 + bytes);
  std::memcpy(out.data() + at, &digest, 8);
  if (bytes) std::memcpy(out.data() + at + 8, from, bytes);
}
MORSEL_INLINE std::span<const std::byte> open_sealed(std::string_view name,
                                                     std::span<const std::byte> bytes) {
  std::uint64_t digest = 0;
  if (bytes.size() >= 8) std::memcpy(&digest, bytes.data(), 8);
  if (bytes.size() < 8 || digest != digest_of(name, bytes.subspan(8)))
    fail(Errc::corrupt_data,
         "reading states of '" + std::string(name) +
             "': digest does not match; expected bytes written by to_bytes of the same reduction, got " +
             std::to_string(bytes.size()) + " bytes of something else");
  return bytes.subspan(8);
}
MORSEL_INLINE void read_sealed(std::string_view name, std::span<const std::byte> bytes, void* states,
                               std::size_t state_bytes, std::size_t n) {
  if (bytes.size() != 8 + n * state_bytes)
    fail(Errc::corrupt_data, "reading states of '" + std::string(name) + "': wrong size; expected " +
                                 std::to_string(8 + n * state_bytes) + " bytes for " + std::to_string(n) +
                                 " states, got " + std::to_string(bytes.size()));
  const std::span<const std::byte> payload = open_sealed(name, bytes);
  if (!payload.empty()) std::memcpy(states, payload.data(), payload.size());
}

// ---- the reducers -----------------------------------------------------------------------------

MORSEL_INLINE std::uint64_t next_combiner_number() {
  static std::atomic<std::uint64_t> number{0};
  return ++number;
}

/// Every built-in reduction but histogram.
class FoldReducer final : public Reducer {
 public:
  FoldReducer(Reduction reduction, Type input, const ReductionOptions& options)
      : reduction_(reduction),
        input_(input),
        fold_(fold_of(reduction, input, options.skip_nan)),
        skip_nan_(options.skip_nan),
        ddof_(options.ddof),
        state_bytes_(state_bytes_of(fold_, input)),
        state_name_(std::string(name_of(fold_)) + "/" + std::string(morsel::name_of(input))) {
    identity_of(fold_, input, identity_);
  }

  std::string name() const override {
    std::string text = (skip_nan_ ? "nan" : "") + std::string(morsel::name_of(reduction_));
    if (is_moments(fold_)) {
      // The shortest text that tells this ddof from any other: names count in hashes.
      char number[40];
      text += "(ddof=" + std::string(number, std::to_chars(number, number + sizeof number, ddof_).ptr) + ")";
    }
    return text;
  }
  std::string state_name() const override { return state_name_; }
  Type input() const override { return input_; }
  MergeOrder order() const override { return loops().blocks ? MergeOrder::blocks : MergeOrder::any; }
  bool needs_index() const override { return is_arg(fold_); }
  MORSEL_INLINE void shift_index(void* states, std::size_t n, Index by) const override;
  std::size_t state_bytes() const override { return state_bytes_; }
  Type result() const override { return result_of(reduction_, input_); }
  bool refuses_empty() const override { return is_arg(fold_) || is_extreme(fold_); }

  void init(void* states, std::size_t n) const override {
    auto* out = static_cast<std::byte*>(states);
    if (n == 0) return;
    std::memcpy(out, identity_, state_bytes_);
    for (std::size_t done = 1; done < n; done *= 2)
      std::memcpy(out + done * state_bytes_, out, std::min(done, n - done) * state_bytes_);
  }
  void absorb_run(void* state, const void* x, std::size_t n, Index first_index) const override {
    loops().run(state, x, n, first_index);
  }
  void absorb_blocks(void* state, const void* x, std::size_t count) const override {
    if (loops().blocks)
      loops().blocks(state, x, count);
    else
      Reducer::absorb_blocks(state, x, count);
  }
  void absorb_rows(void* states, const void* x, std::ptrdiff_t row_stride_bytes, std::size_t rows,
                   std::size_t columns, Index first_index, Index index_step) const override {
    loops().rows(states, x, row_stride_bytes, rows, columns, first_index, index_step);
  }
  bool absorb_leaves(void* states, const void* x, std::ptrdiff_t leaf_stride_bytes,
                     std::ptrdiff_t row_stride_bytes, std::size_t rows, std::size_t count,
                     std::size_t columns) const override {
    if (!loops().leaves) return false;
    loops().leaves(states, x, leaf_stride_bytes, row_stride_bytes, rows, count, columns);
    return true;
  }
  void merge(void* left, void* right, std::size_t n) const override { loops().merge(left, right, n); }
  MORSEL_INLINE void finish(const void* states, std::size_t n, Index count, void* out) const override;
  void to_bytes(const void* states, std::size_t n, std::vector<std::byte>& out) const override {
    append_sealed(state_name_, states, n * state_bytes_, out);
  }
  void from_bytes(std::span<const std::byte> bytes, void* states, std::size_t n) const override {
    read_sealed(state_name_, bytes, states, state_bytes_, n);
  }
  MORSEL_INLINE bool absorb_constant(void* state, const void* x, Index count,
                                     Index first_index) const override;

 private:
  const FoldLoops& loops() const {
    return reduce_table(simd_level()).fold[static_cast<int>(fold_)][static_cast<int>(input_)];
  }

  Reduction reduction_;
  Type input_;
  Fold fold_;
  bool skip_nan_;
  double ddof_;
  std::size_t state_bytes_;
  std::string state_name_;
  alignas(16) std::byte identity_[32];
};

template <class State>
State state_at(const void* states, std::size_t i) {
  State state;
  std::memcpy(&state, static_cast<const std::byte*>(states) + i * sizeof(State), sizeof(State));
  return state;
}

MORSEL_INLINE void FoldReducer::finish(const void* states, std::size_t n, Index count, void* out) const {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Type type = result();
  const bool complex = is_complex(input_), inexact = is_inexact(input_);
  for (std::size_t i = 0; i < n; ++i) {
    if (is_moments(fold_)) {
      std::int64_t seen;
      double m2;
      if (complex) {
        const auto s = state_at<ComplexMoments>(states, i);
        seen = s.count, m2 = s.m2;
      } else {
        const auto s = state_at<Moments>(states, i);
        seen = s.count, m2 = s.m2;
      }
      const double divisor = static_cast<double>(seen) - ddof_;
      const double var = divisor > 0 ? m2 / divisor : nan;
      write_number(type, out, i, reduction_ == Reduction::stddev ? std::sqrt(var) : var);
    } else if (is_extreme(fold_)) {
      if (complex) {
        const auto s = state_at<ComplexValue>(states, i);
        write_number(type, out, i, s.re, s.im);
      } else if (inexact) {
        write_number(type, out, i, state_at<double>(states, i));
      } else {
        std::memcpy(static_cast<std::byte*>(out) + i * item_bytes_of(type),
                    static_cast<const std::byte*>(states) + i * 8, item_bytes_of(type));
      }
    } else if (is_arg(fold_)) {
      const std::int64_t index = complex   ? state_at<Extreme<ComplexValue>>(states, i).index
                                 : inexact ? state_at<Extreme<double>>(states, i).index
                                           : state_at<Extreme<std::int64_t>>(states, i).index;
      if (index < 0)
        fail(Errc::invalid_argument,
             name() + ": all-NaN slice; expected at least one number, got " + std::to_string(count) + " NaN");
      static_cast<std::int64_t*>(out)[i] = index;
    } else if (fold_ == Fold::any || fold_ == Fold::all) {
      static_cast<bool*>(out)[i] = state_at<std::uint64_t>(states, i) != 0;
    } else if (fold_ == Fold::wide_sum) {
      const auto s = state_at<WideSum>(states, i);
      write_number(type, out, i, count == 0 ? nan : divide_wide(s.low, s.high, count));
    } else if (!inexact || fold_ == Fold::count_nonzero) {
      const auto word = state_at<std::uint64_t>(states, i);
      if (reduction_ != Reduction::mean) {
        static_cast<std::uint64_t*>(out)[i] = word;
      } else {
        // A sum of elements of at most 16 bits fits 64.
        const std::uint64_t high = !is_unsigned_integer(input_) && (word >> 63) ? ~std::uint64_t{0} : 0;
        write_number(type, out, i, count == 0 ? nan : divide_wide(word, high, count));
      }
    } else {
      ComplexValue value{0, 0};
      std::int64_t seen = count;
      if (fold_ == Fold::nan_sum || fold_ == Fold::nan_prod) {
        if (complex) {
          const auto s = state_at<CountedComplex>(states, i);
          value = {s.re, s.im}, seen = s.count;
        } else {
          const auto s = state_at<CountedValue>(states, i);
          value.re = s.value, seen = s.count;
        }
      } else if (complex) {
        value = state_at<ComplexValue>(states, i);
      } else {
        value.re = state_at<double>(states, i);
      }
      if (reduction_ == Reduction::mean) {
        const double divisor = static_cast<double>(seen);
        value = seen == 0 ? ComplexValue{nan, nan} : ComplexValue{value.re / divisor, value.im / divisor};
      }
      write_number(type, out, i, value.re, value.im);
    }
  }
}

MORSEL_INLINE void FoldReducer::shift_index(void* states, std::size_t n, Index by) const {
  if (!is_arg(fold_)) return;
  // An Extreme ends with its index; negative: nothing seen yet.
  for (std::size_t i = 0; i < n; ++i) {
    std::int64_t index;
    std::byte* place = static_cast<std::byte*>(states) + (i + 1) * state_bytes_ - sizeof index;
    std::memcpy(&index, place, sizeof index);
    if (index >= 0)  // states that travelled may hold anything: no signed overflow
      index = static_cast<std::int64_t>(static_cast<std::uint64_t>(index) + static_cast<std::uint64_t>(by));
    std::memcpy(place, &index, sizeof index);
  }
}

/// True if count times the value, and every partial sum, is exact in double.
MORSEL_INLINE bool sums_exactly(double value, Index count) {
  if (value == 0) return true;
  if (!std::isfinite(value)) return true;  // stays what it is, or NaN
  int exponent;
  const double fraction = std::frexp(value, &exponent);
  // value = odd * 2^k: partial sums are multiples of 2^k below count * |value|.
  const auto mantissa = static_cast<std::uint64_t>(std::fabs(std::ldexp(fraction, 53)));
  const int bits = 53 - std::countr_zero(mantissa);
  const int count_bits = 64 - std::countl_zero(static_cast<std::uint64_t>(count));
  return bits + count_bits <= 53 && exponent + count_bits <= 1023;
}

MORSEL_INLINE bool FoldReducer::absorb_constant(void* state, const void* x, Index count,
                                                Index first_index) const {
  if (count == 0) return true;
  if (is_arg(fold_) || is_extreme(fold_) || fold_ == Fold::any || fold_ == Fold::all) {
    loops().run(state, x, 1, first_index);
    return true;
  }
  if (fold_ == Fold::count_nonzero || (fold_ == Fold::sum && !is_inexact(input_))) {
    std::uint64_t one = 0, total;
    loops().run(&one, x, 1, 0);
    std::memcpy(&total, state, 8);
    total += one * static_cast<std::uint64_t>(count);
    std::memcpy(state, &total, 8);
    return true;
  }
  if (fold_ == Fold::wide_sum) {
    __extension__ typedef unsigned __int128 Word128;
    WideSum one{0, 0};
    loops().run(&one, x, 1, 0);
    const Word128 total =
        ((static_cast<Word128>(one.high) << 64) | one.low) * static_cast<std::uint64_t>(count);
    const WideSum many{static_cast<std::uint64_t>(total), static_cast<std::uint64_t>(total >> 64)};
    loops().merge(state, &many, 1);
    return true;
  }
  if (!is_inexact(input_) && fold_ == Fold::prod) {
    std::uint64_t base = 1, power = 1, total;
    loops().run(&base, x, 1, 0);
    for (auto e = static_cast<std::uint64_t>(count); e != 0; e >>= 1, base *= base)
      if (e & 1) power *= base;
    std::memcpy(&total, state, 8);
    total *= power;
    std::memcpy(state, &total, 8);
    return true;
  }
  // Fixed blocks: only if no partial result is ever rounded.
  const int width = is_complex(input_) ? 2 : 1;
  double value[2] = {0, 0};
  ReducerPtr probe = std::make_shared<FoldReducer>(Reduction::sum, input_, ReductionOptions{});
  alignas(16) double sum[2] = {0, 0};
  probe->absorb_run(sum, x, 1, 0);
  if (!is_inexact(input_)) {
    const auto word = state_at<std::uint64_t>(sum, 0);
    value[0] = is_unsigned_integer(input_) ? static_cast<double>(word)
                                           : static_cast<double>(static_cast<std::int64_t>(word));
  } else {
    value[0] = sum[0], value[1] = sum[1];
  }
  const bool nan = value[0] != value[0] || value[1] != value[1];
  for (int w = 0; w < width; ++w)
    if (!sums_exactly(value[w], count)) return false;
  if (fold_ == Fold::sum || fold_ == Fold::nan_sum) {
    const bool counted = fold_ == Fold::nan_sum;
    const std::int64_t seen = counted && nan ? 0 : count;
    double total[2];
    for (int w = 0; w < width; ++w) total[w] = counted && nan ? 0.0 : value[w] * static_cast<double>(count);
    std::memcpy(state, total, 8 * static_cast<std::size_t>(width));
    if (counted) std::memcpy(static_cast<std::byte*>(state) + 8 * width, &seen, 8);
    return true;
  }
  if (is_moments(fold_)) {
    const bool none = fold_ == Fold::nan_moments && nan;
    if (!none && !(std::isfinite(value[0]) && std::isfinite(value[1]))) return false;
    const std::int64_t seen = none ? 0 : count;
    const double zero = 0;
    std::memcpy(state, &seen, 8);
    for (int w = 0; w < width; ++w) {
      const double mean = none ? 0.0 : value[w];
      std::memcpy(static_cast<std::byte*>(state) + 8 + 8 * w, &mean, 8);
    }
    std::memcpy(static_cast<std::byte*>(state) + 8 + 8 * width, &zero, 8);
    return true;
  }
  return false;
}

/// A node holds the edges of its bins, outside of any budget.
inline constexpr Index max_histogram_bins = Index{1} << 28;

class HistogramReducer final : public Reducer {
 public:
  HistogramReducer(Type input, const ReductionOptions& options);
  std::string name() const override { return name_; }
  std::string state_name() const override { return state_name_; }
  Type input() const override { return input_; }
  MergeOrder order() const override { return MergeOrder::any; }
  std::size_t state_bytes() const override { return static_cast<std::size_t>(bins_.bins) * 8; }
  Type result() const override { return Type::int64; }
  Shape result_shape() const override { return {bins_.bins}; }

  void init(void* states, std::size_t n) const override { std::memset(states, 0, n * state_bytes()); }
  void absorb_run(void* state, const void* x, std::size_t n, Index) const override {
    reduce_table(simd_level())
        .histogram[static_cast<int>(input_)]
        .run(static_cast<std::int64_t*>(state), x, n, bins_);
  }
  std::size_t scratch_bytes() const override {
    const bool numbers = input_ == Type::float32 || input_ == Type::float64;
    return numbers && bins_.guard != 0 && bins_.bins + 2 <= static_cast<Index>(max_paired_slots)
               ? sizeof(PairTable)
               : 0;
  }
  void absorb_run_beside(void* state, void* scratch, const void* x, std::size_t n, Index) const override {
    const HistogramLoops& loops = reduce_table(simd_level()).histogram[static_cast<int>(input_)];
    auto* counts = static_cast<std::int64_t*>(state);
    if (loops.run_paired)
      loops.run_paired(counts, *static_cast<PairTable*>(scratch), x, n, bins_);
    else
      loops.run(counts, x, n, bins_);
  }
  void settle(void* state, void* scratch) const override {
    const HistogramLoops& loops = reduce_table(simd_level()).histogram[static_cast<int>(input_)];
    if (loops.settle)
      loops.settle(static_cast<std::int64_t*>(state), *static_cast<PairTable*>(scratch), bins_);
  }
  void absorb_rows(void* states, const void* x, std::ptrdiff_t row_stride_bytes, std::size_t rows,
                   std::size_t columns, Index, Index) const override {
    const auto run = reduce_table(simd_level()).histogram[static_cast<int>(input_)].run;
    const auto* from = static_cast<const std::byte*>(x);
    auto* counts = static_cast<std::int64_t*>(states);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t c = 0; c < columns; ++c)
        run(counts + static_cast<Index>(c) * bins_.bins,
            from + static_cast<std::ptrdiff_t>(r) * row_stride_bytes +
                static_cast<std::ptrdiff_t>(c * item_bytes_of(input_)),
            1, bins_);
  }
  void merge(void* left, void* right, std::size_t n) const override {
    auto* a = static_cast<std::int64_t*>(left);
    const auto* b = static_cast<const std::int64_t*>(right);
    for (std::size_t i = 0; i < n * static_cast<std::size_t>(bins_.bins); ++i) a[i] += b[i];
  }
  void finish(const void* states, std::size_t n, Index, void* out) const override {
    std::memcpy(out, states, n * state_bytes());
  }
  void to_bytes(const void* states, std::size_t n, std::vector<std::byte>& out) const override {
    append_sealed(state_name_, states, n * state_bytes(), out);
  }
  void from_bytes(std::span<const std::byte> bytes, void* states, std::size_t n) const override {
    read_sealed(state_name_, bytes, states, state_bytes(), n);
  }
  bool absorb_constant(void* state, const void* x, Index count, Index) const override {
    std::vector<std::int64_t> one(static_cast<std::size_t>(bins_.bins));
    absorb_run(one.data(), x, 1, 0);
    auto* counts = static_cast<std::int64_t*>(state);
    for (std::size_t i = 0; i < one.size(); ++i) counts[i] += one[i] * count;
    return true;
  }

 private:
  Type input_;
  std::vector<double> edges_;
  HistogramBins bins_{};
  std::string name_, state_name_;
};

#if defined(__clang__)
#pragma float_control(push)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off")
#endif

/// numpy.linspace(lo, hi, bins + 1) in the dtype that numpy.histogram gives the edges for elements of
/// `input`.
MORSEL_INLINE std::vector<double> uniform_edges(Type input, Index bins, double lo, double hi) {
  std::vector<double> edges(static_cast<std::size_t>(bins) + 1);
  const double divisions = static_cast<double>(bins), delta = hi - lo, step = delta / divisions;
  for (Index i = 0; i <= bins; ++i) {
    const double at = static_cast<double>(i);
    const double offset = step == 0 ? at / divisions * delta : at * step;
    double edge = i == bins ? hi : offset + lo;
    if (input == Type::float32) edge = static_cast<double>(static_cast<float>(edge));
    if (input == Type::float16) edge = static_cast<double>(float(half_of(edge)));
    edges[static_cast<std::size_t>(i)] = edge;
  }
  return edges;
}

/// Finds the estimate of HistogramBins, if its error leaves anything to gain.
MORSEL_INLINE void estimate_bins(HistogramBins& bins) {
  if (bins.bins > max_estimated_bins) return;
  const double first = bins.edges[0], count = static_cast<double>(bins.bins);
  const double scale = count / (bins.edges[bins.bins] - first);
  const double offset = (bin_base + 1) - first * scale;
  if (!std::isfinite(scale) || !std::isfinite(offset)) return;
  std::uint64_t error = 0;
  for (Index i = 0; i <= bins.bins; ++i) {
    const std::uint64_t exact = (static_cast<std::uint64_t>(i) + 1) << bin_shift;
    // Some instruction sets fuse, some do not.
    for (const double u : {bins.edges[i] * scale + offset, std::fma(bins.edges[i], scale, offset)}) {
      if (!(u >= bin_base && u < 2 * bin_base)) return;
      const std::uint64_t position = std::bit_cast<std::uint64_t>(u) & ((std::uint64_t{1} << 52) - 1);
      const std::uint64_t off = position > exact ? position - exact : exact - position;
      if (off > error) error = off;
    }
  }
  std::uint32_t guard = 2;
  while (guard <= error) guard *= 2;
  if (guard > (1u << (bin_shift - 4))) return;
  bins.guard = guard;
  bins.scale = scale, bins.offset = offset;
  bins.low = bin_base + 0.5, bins.high = bin_base + 1.5 + count;
}

#if defined(__clang__)
#pragma float_control(pop)
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif

MORSEL_INLINE HistogramReducer::HistogramReducer(Type input, const ReductionOptions& options)
    : input_(input) {
  if (is_complex(input))
    fail(Errc::dtype_mismatch, "histogram: complex numbers have no order; expected a real dtype, got " +
                                   std::string(morsel::name_of(input)));
  char text[120];
  if (options.edges.empty()) {
    std::snprintf(text, sizeof text, "bins=%lld, range %.17g to %.17g", static_cast<long long>(options.bins),
                  options.lo, options.hi);
    if (options.bins < 1)
      fail(Errc::invalid_argument, "histogram: no bins; expected bins >= 1, got " + std::string(text));
    if (!(options.lo < options.hi) || !std::isfinite(options.hi - options.lo))
      fail(Errc::invalid_argument,
           "histogram: empty or infinite range; expected finite lo < hi, got " + std::string(text));
    if (options.bins > max_histogram_bins)
      fail(Errc::invalid_argument, "histogram: too many bins; expected at most " +
                                       std::to_string(max_histogram_bins) + ", got " + std::string(text));
    edges_ = uniform_edges(input, options.bins, options.lo, options.hi);
    for (std::size_t i = 0; i + 1 < edges_.size(); ++i)
      if (!(edges_[i] < edges_[i + 1]))
        fail(Errc::invalid_argument, "histogram: bins narrower than the numbers of " +
                                         std::string(morsel::name_of(input)) +
                                         " in this range; expected distinct edges, got " + std::string(text));
    std::snprintf(text, sizeof text, "histogram(bins=%lld, %g..%g)", static_cast<long long>(options.bins),
                  options.lo, options.hi);
  } else {
    edges_ = options.edges;
    if (edges_.size() < 2)
      fail(Errc::invalid_argument, "histogram: too few edges; expected at least 2, got 1");
    for (std::size_t i = 0; i < edges_.size(); ++i)
      if (!(i == 0 || edges_[i - 1] <= edges_[i]) || edges_[i] != edges_[i]) {
        std::snprintf(text, sizeof text, "edge %zu is %.17g after %.17g", i, edges_[i],
                      i ? edges_[i - 1] : edges_[i]);
        fail(Errc::invalid_argument,
             "histogram: edges decrease; expected increasing numbers, got " + std::string(text));
      }
    std::snprintf(text, sizeof text, "histogram(%zu edges)", edges_.size());
  }
  name_ = text;
  bins_ = HistogramBins{edges_.data(), static_cast<Index>(edges_.size()) - 1, 0, 0, 0, 0, 0};
  estimate_bins(bins_);
  state_name_ = "histogram/" + std::string(morsel::name_of(input));
  if (options.edges.empty()) {
    std::snprintf(text, sizeof text, "/%lld/%a/%a", static_cast<long long>(options.bins), options.lo,
                  options.hi);
    state_name_ += text;
  } else {
    for (const double edge : edges_) {
      std::snprintf(text, sizeof text, "/%a", edge);
      state_name_ += text;
    }
  }
}

}  // namespace detail

MORSEL_INLINE std::string_view name_of(Reduction reduction) {
  constexpr std::string_view names[] = {"sum",    "prod",   "mean", "var", "stddev",        "min",      "max",
                                        "argmin", "argmax", "any",  "all", "count_nonzero", "histogram"};
  return names[static_cast<int>(reduction)];
}

MORSEL_INLINE void Reducer::absorb_blocks(void* state, const void* x, std::size_t count) const {
  const auto* from = static_cast<const std::byte*>(x);
  const std::size_t step = run_block * item_bytes_of(input());
  if (count == 1) return absorb_run(state, x, run_block, 0);
  absorb_blocks(state, x, count / 2);
  std::vector<std::byte> right(state_bytes() + 16);
  void* aligned = right.data() + (16 - reinterpret_cast<std::uintptr_t>(right.data()) % 16) % 16;
  init(aligned, 1);
  absorb_blocks(aligned, from + count / 2 * step, count / 2);
  merge(state, aligned, 1);
  destroy(aligned, 1);
}

MORSEL_INLINE ReducerPtr make_reducer(Reduction reduction, Type input, const ReductionOptions& options) {
  if (input == Type::carried)
    fail(Errc::dtype_mismatch,
         std::string(name_of(reduction)) + ": carried elements are not numbers; expected a numeric dtype");
  if (reduction == Reduction::histogram) return std::make_shared<detail::HistogramReducer>(input, options);
  return std::make_shared<detail::FoldReducer>(reduction, input, options);
}

}  // namespace morsel::inline MORSEL_ABI
