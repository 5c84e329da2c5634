// The loops of the reductions, included once per instruction set into a namespace of its own: raw pointers
// and built-in types only, and the same bits from each.
//
// Before inclusion: <morsel/kernel/impl/reduce_table.hpp> and MORSEL_VECTOR_BYTES (16, 32 or 64); undefined
// at the end. Instruction-set files put it into an unnamed namespace, so that no symbol can leak.
//
//   1. elements          reading, widening, NaN, truth
//   2. lanes             sums and squares of one block in 16 lanes, folded 8-4-2-1
//   3. fixed blocks      sum, prod, moments and their nan-forms
//   4. exact folds       integer sums, any, all, counts
//   5. extremes          min, max, argmin, argmax
//   6. histogram
//   7. the table

// Contraction is off by pragma as well as by flag, for programs that use the headers alone.
#if defined(__clang__)
#pragma float_control(push)
#pragma STDC FP_CONTRACT OFF
#pragma clang diagnostic push
// Truth values are combined without branches so that loops become vectors.
#pragma clang diagnostic ignored "-Wbitwise-instead-of-logical"
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off")
#endif

using Size = std::size_t;
using Int = std::int64_t;
using Word = std::uint64_t;
__extension__ typedef unsigned __int128 Word128;
__extension__ typedef __int128 Int128;

// ---- 1. elements ------------------------------------------------------------------------------

struct Half {
  std::uint16_t bits;
};
template <class F>
struct Pair {
  F re, im;
};

template <class T>
inline T get(const void* x, Size i) {
  T value;
  __builtin_memcpy(&value, static_cast<const char*>(x) + i * sizeof(T), sizeof(T));
  return value;
}

inline const void* row_of(const void* x, std::ptrdiff_t stride, Size r) {
  return static_cast<const char*>(x) + stride * static_cast<std::ptrdiff_t>(r);
}

// Exact. Multiplying by 2^112 rebiases normal and subnormal numbers alike.
inline float to_float(Half h) {
  const std::uint32_t magnitude = static_cast<std::uint32_t>(h.bits & 0x7fffu) << 13;
  const float scaled = __builtin_bit_cast(float, magnitude) * 0x1p112f;
  std::uint32_t bits = __builtin_bit_cast(std::uint32_t, scaled);
  bits |= magnitude >= 0x0f800000u ? 0x7f800000u : 0u;
  bits |= static_cast<std::uint32_t>(h.bits & 0x8000u) << 16;
  return __builtin_bit_cast(float, bits);
}

// Widened: what a state of min, max and arg* holds. Every element type converts without loss.
template <class T>
struct WideOf {
  using type = Int;
};
template <>
struct WideOf<std::uint8_t> {
  using type = Word;
};
template <>
struct WideOf<std::uint16_t> {
  using type = Word;
};
template <>
struct WideOf<std::uint32_t> {
  using type = Word;
};
template <>
struct WideOf<std::uint64_t> {
  using type = Word;
};
template <>
struct WideOf<Half> {
  using type = double;
};
template <>
struct WideOf<float> {
  using type = double;
};
template <>
struct WideOf<double> {
  using type = double;
};
template <class F>
struct WideOf<Pair<F>> {
  using type = ComplexValue;
};
template <class T>
using Wide = typename WideOf<T>::type;

template <class T>
inline Wide<T> widen(T v) {
  return static_cast<Wide<T>>(v);
}
inline double widen(Half v) { return static_cast<double>(to_float(v)); }
inline ComplexValue widen(Pair<float> v) {
  return ComplexValue{static_cast<double>(v.re), static_cast<double>(v.im)};
}
inline ComplexValue widen(Pair<double> v) { return ComplexValue{v.re, v.im}; }

template <class T>
inline bool is_nan(T v) {
  return v != v;
}
inline bool is_nan(Half v) { return (v.bits & 0x7fffu) > 0x7c00u; }
inline bool is_nan(ComplexValue v) { return v.re != v.re || v.im != v.im; }
template <class F>
inline bool is_nan(Pair<F> v) {
  return v.re != v.re || v.im != v.im;
}

template <class T>
inline bool is_true(T v) {
  return v != T(0);
}
inline bool is_true(Half v) { return (v.bits & 0x7fffu) != 0; }
template <class F>
inline bool is_true(Pair<F> v) {
  return v.re != F(0) || v.im != F(0);
}

// How the elements of a block are seen by the lanes: `width` doubles per element. `direct` elements are read
// by the lanes; others are converted into a buffer first.
template <class T>
struct Elements {
  static constexpr int width = 1;
  static constexpr bool direct = false;
  using Scalar = double;
};
template <>
struct Elements<float> {
  static constexpr int width = 1;
  static constexpr bool direct = true;
  using Scalar = float;
};
template <>
struct Elements<double> {
  static constexpr int width = 1;
  static constexpr bool direct = true;
  using Scalar = double;
};
template <class F>
struct Elements<Pair<F>> {
  static constexpr int width = 2;
  static constexpr bool direct = true;
  using Scalar = F;
};

inline void put(double* out, double v) { out[0] = v; }
inline void put(double* out, ComplexValue v) { out[0] = v.re, out[1] = v.im; }

inline double as_double(Int v) { return static_cast<double>(v); }
inline double as_double(Word v) { return static_cast<double>(v); }
inline double as_double(double v) { return v; }
inline ComplexValue as_double(ComplexValue v) { return v; }

// The element as one or two doubles.
template <class T>
inline void spread(double* out, T v) {
  put(out, as_double(widen(v)));
}
inline void spread(double* out, std::int8_t v) { out[0] = v; }
inline void spread(double* out, std::int16_t v) { out[0] = v; }
inline void spread(double* out, std::int32_t v) { out[0] = v; }
inline void spread(double* out, std::uint8_t v) { out[0] = v; }
inline void spread(double* out, std::uint16_t v) { out[0] = v; }

// ---- 2. lanes ---------------------------------------------------------------------------------

inline constexpr Size block = 512;
inline constexpr Size lanes = 16;
inline constexpr Size row_block_rows = 64;
inline constexpr int vector_doubles = MORSEL_VECTOR_BYTES / 8;

typedef double Doubles __attribute__((vector_size(MORSEL_VECTOR_BYTES)));
typedef Int Longs __attribute__((vector_size(MORSEL_VECTOR_BYTES)));
typedef float HalfFloats __attribute__((vector_size(MORSEL_VECTOR_BYTES / 2)));

inline Doubles load(const double* x) {
  Doubles v;
  __builtin_memcpy(&v, x, sizeof v);
  return v;
}
inline Doubles load(const float* x) {
#if MORSEL_VECTOR_BYTES == 64
  return _mm512_cvtps_pd(_mm256_loadu_ps(x));
#elif MORSEL_VECTOR_BYTES == 32
  return _mm256_cvtps_pd(_mm_loadu_ps(x));
#else
  HalfFloats v;
  __builtin_memcpy(&v, x, sizeof v);
  return __builtin_convertvector(v, Doubles);
#endif
}

struct Add {
  static constexpr double identity = 0.0;
  static Doubles apply(Doubles a, Doubles b) { return a + b; }
  static double apply(double a, double b) { return a + b; }
};
struct Multiply {
  static constexpr double identity = 1.0;
  static Doubles apply(Doubles a, Doubles b) { return a * b; }
  static double apply(double a, double b) { return a * b; }
};

// out[0..width) = the 16 lanes of a block folded 8-4-2-1. Halving an array of interleaved pairs halves both
// parts.
template <class Op, int width>
inline void fold_lanes(Doubles* acc, double* out) {
  int vectors = static_cast<int>(lanes) * width / vector_doubles;
  while (vectors > 1) {
    vectors /= 2;
    for (int i = 0; i < vectors; ++i) acc[i] = Op::apply(acc[i], acc[i + vectors]);
  }
  double rest[vector_doubles];
  __builtin_memcpy(rest, acc, sizeof rest);
  for (int half = vector_doubles / 2; half >= width; half /= 2)
    for (int i = 0; i < half; ++i) rest[i] = Op::apply(rest[i], rest[i + half]);
  for (int i = 0; i < width; ++i) out[i] = rest[i];
}

// out[k * width ...] = Op over block k of `together` blocks of n elements each (n = 512 unless together = 1).
// With `squares`, over (x - mean)^2 instead; mean[k * width ...] is the mean of block k.
template <class Op, int width, int together, bool squares, class S>
inline void fold_blocks(const S* x, Size n, const double* mean, double* out) {
  constexpr int vectors = static_cast<int>(lanes) * width / vector_doubles;
  Doubles acc[together][vectors];
  Doubles shift[together];
  for (int k = 0; k < together; ++k) {
    for (int v = 0; v < vectors; ++v) acc[k][v] = Doubles{} + Op::identity;
    double pattern[vector_doubles];
    for (int i = 0; i < vector_doubles; ++i) pattern[i] = squares ? mean[k * width + i % width] : 0.0;
    __builtin_memcpy(&shift[k], pattern, sizeof pattern);
  }
  const Size full = n / lanes * lanes;
  for (Size i = 0; i < full; i += lanes)
    for (int k = 0; k < together; ++k)
      for (int v = 0; v < vectors; ++v) {
        Doubles value =
            load(x + (static_cast<Size>(k) * block + i) * width + static_cast<Size>(v * vector_doubles));
        if constexpr (squares) {
          value = value - shift[k];
          value = value * value;
        }
        acc[k][v] = Op::apply(acc[k][v], value);
      }
  if (together == 1 && full < n) {
    double tail[lanes * width];
    __builtin_memcpy(tail, acc[0], sizeof tail);
    for (Size i = 0; i < (n - full) * width; ++i) {
      double value = static_cast<double>(get<S>(x, full * width + i));
      if constexpr (squares) {
        value = value - mean[i % width];
        value = value * value;
      }
      tail[i] = Op::apply(tail[i], value);
    }
    __builtin_memcpy(acc[0], tail, sizeof tail);
  }
  for (int k = 0; k < together; ++k) fold_lanes<Op, width>(acc[k], out + k * width);
}

// Complex products have no vector form: 16 lanes of pairs. Lanes without elements take no part, since
// infinity times one is NaN in its imaginary part.
// The barrier keeps GCC from making fmaddsub of the pair, which it does even with contraction off.
inline ComplexValue multiply(ComplexValue a, ComplexValue b) {
#if defined(__GNUC__) && !defined(__clang__)
  return ComplexValue{__builtin_assoc_barrier(a.re * b.re) - __builtin_assoc_barrier(a.im * b.im),
                      __builtin_assoc_barrier(a.re * b.im) + __builtin_assoc_barrier(a.im * b.re)};
#else
  return ComplexValue{a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
#endif
}
inline void multiply_pairs(const double* x, Size n, double* out) {
  ComplexValue lane[lanes] = {ComplexValue{1.0, 0.0}};
  const Size used = n < lanes ? n : lanes;
  for (Size i = 0; i < used; ++i) lane[i] = ComplexValue{x[2 * i], x[2 * i + 1]};
  for (Size i = lanes; i < n; ++i)
    lane[i % lanes] = multiply(lane[i % lanes], ComplexValue{x[2 * i], x[2 * i + 1]});
  for (Size half = lanes / 2; half >= 1; half /= 2)
    for (Size i = 0; i < half && i + half < used; ++i) lane[i] = multiply(lane[i], lane[i + half]);
  out[0] = lane[0].re, out[1] = lane[0].im;
}

// Blocks that are summed side by side to hide the latency of additions: as many as leave registers free.
template <int width>
inline constexpr int side_by_side = MORSEL_VECTOR_BYTES == 64   ? 4 / width
                                    : MORSEL_VECTOR_BYTES == 32 ? 2 / width
                                                                : 1;

// ---- 3. fixed blocks --------------------------------------------------------------------------

template <int width>
struct SumState;
template <>
struct SumState<1> {
  using type = double;
};
template <>
struct SumState<2> {
  using type = ComplexValue;
};
template <int width>
struct CountedState;
template <>
struct CountedState<1> {
  using type = CountedValue;
};
template <>
struct CountedState<2> {
  using type = CountedComplex;
};
template <int width>
struct MomentsState;
template <>
struct MomentsState<1> {
  using type = Moments;
};
template <>
struct MomentsState<2> {
  using type = ComplexMoments;
};

inline void make(double& s, const double* v, Int) { s = v[0]; }
inline void make(ComplexValue& s, const double* v, Int) { s = ComplexValue{v[0], v[1]}; }
inline void make(CountedValue& s, const double* v, Int count) { s = CountedValue{v[0], count}; }
inline void make(CountedComplex& s, const double* v, Int count) { s = CountedComplex{v[0], v[1], count}; }
inline void make(Moments& s, Int count, const double* mean, const double* m2) {
  s = Moments{count, mean[0], m2[0]};
}
inline void make(ComplexMoments& s, Int count, const double* mean, const double* m2) {
  s = ComplexMoments{count, mean[0], mean[1], m2[0] + m2[1]};
}

template <class Op>
inline void combine(double& a, const double& b) {
  a = Op::apply(a, b);
}
template <class Op>
inline void combine(ComplexValue& a, const ComplexValue& b) {
  if constexpr (Op::identity == 0.0)
    a = ComplexValue{a.re + b.re, a.im + b.im};
  else
    a = multiply(a, b);
}
template <class Op>
inline void combine(CountedValue& a, const CountedValue& b) {
  a = CountedValue{Op::apply(a.value, b.value), a.count + b.count};
}
template <class Op>
inline void combine(CountedComplex& a, const CountedComplex& b) {
  ComplexValue v{a.re, a.im};
  combine<Op>(v, ComplexValue{b.re, b.im});
  a = CountedComplex{v.re, v.im, a.count + b.count};
}

// Chan, Golub, LeVeque (1979), with the operands in this order and every operation rounded.
inline void merge_moments(Moments& a, const Moments& b) {
  if (b.count == 0) return;
  if (a.count == 0) {
    a = b;
    return;
  }
  const double na = static_cast<double>(a.count), nb = static_cast<double>(b.count);
  const double share = nb / (na + nb);
  const double delta = b.mean - a.mean;
  const double square = delta * delta;
  a = Moments{a.count + b.count, a.mean + delta * share, (a.m2 + b.m2) + square * (na * share)};
}
inline void merge_moments(ComplexMoments& a, const ComplexMoments& b) {
  if (b.count == 0) return;
  if (a.count == 0) {
    a = b;
    return;
  }
  const double na = static_cast<double>(a.count), nb = static_cast<double>(b.count);
  const double share = nb / (na + nb);
  const double re = b.re - a.re, im = b.im - a.im;
  const double square = re * re + im * im;
  a = ComplexMoments{a.count + b.count, a.re + re * share, a.im + im * share,
                     (a.m2 + b.m2) + square * (na * share)};
}

inline constexpr double no_shift[2] = {0.0, 0.0};

// Converts n <= 512 elements and takes `shift` (width doubles) from them; with `skip`, NaN becomes `instead`
// in all parts. Returns how many are not NaN.
template <class T, bool skip>
inline Int stage(const void* x, Size n, const double* shift, double instead, double* out) {
  constexpr int width = Elements<T>::width;
  Int count = 0;
  Size whole = 0;
  if constexpr (skip && Elements<T>::direct && width == 1) {
    Longs seen = {};
    const Doubles other = Doubles{} + instead, shifts = Doubles{} + *shift;
    whole = n / vector_doubles * vector_doubles;
    for (Size i = 0; i < whole; i += vector_doubles) {
      const Doubles v = load(static_cast<const typename Elements<T>::Scalar*>(x) + i);
      const Longs number = v == v;
      seen -= number;
      const Doubles kept = number ? v - shifts : other;
      __builtin_memcpy(out + i, &kept, sizeof kept);
    }
    for (int k = 0; k < vector_doubles; ++k) count += seen[k];
  }
  for (Size i = whole; i < n; ++i) {
    const T v = get<T>(x, i);
    spread(out + i * width, v);
    for (int w = 0; w < width; ++w) out[i * width + w] -= shift[w];
    if constexpr (skip) {
      const bool nan = is_nan(v);
      for (int w = 0; w < width; ++w) out[i * width + w] = nan ? instead : out[i * width + w];
      count += !nan;
    }
  }
  return skip ? count : static_cast<Int>(n);
}

// Sum or product of one block of n <= 512 elements.
template <class Op, class T, bool skip>
inline Int fold_block(const void* x, Size n, double* out) {
  constexpr int width = Elements<T>::width;
  constexpr bool pairs_product = width == 2 && Op::identity != 0.0;
  if constexpr (Elements<T>::direct && !skip && !pairs_product) {
    fold_blocks<Op, width, 1, false>(static_cast<const typename Elements<T>::Scalar*>(x), n, nullptr, out);
    return static_cast<Int>(n);
  } else {
    double staged[block * width];
    const Int count = stage<T, skip>(x, n, no_shift, Op::identity, staged);
    if constexpr (pairs_product) {
      if constexpr (skip)
        for (Size i = 0; i < n; ++i)
          if (is_nan(get<T>(x, i))) staged[2 * i + 1] = 0.0;
      multiply_pairs(staged, n, out);
    } else {
      fold_blocks<Op, width, 1, false>(static_cast<const double*>(staged), n, nullptr, out);
    }
    return count;
  }
}

// Merges states[0..count) by the binary tree into states[0]; count is a power of two.
template <class State, class Merge>
inline void merge_tree(State* states, Size count, Merge&& merge) {
  for (; count > 1; count /= 2)
    for (Size i = 0; i < count / 2; ++i) {
      State left = states[2 * i];
      merge(left, states[2 * i + 1]);
      states[i] = left;
    }
}

// Columns are taken in groups whose accumulators stay in L1.
inline constexpr Size group = 32;

// One row of a group as doubles.
template <class T, bool whole>
inline void spread_row(const void* row, Size some, double* value) {
  constexpr int width = Elements<T>::width;
  const Size columns = whole ? group : some;
  if constexpr (Elements<T>::direct)
    for (Size i = 0; i < columns * width; ++i)
      value[i] = static_cast<double>(get<typename Elements<T>::Scalar>(row, i));
  else
    for (Size c = 0; c < columns; ++c) spread(value + c, get<T>(row, c));
}

// Puts `real` (and an imaginary part of 0) in the place of NaN, and counts the others.
template <int width, bool whole>
inline void skip_row(double* value, Size some, double real, double* count) {
  const Size columns = whole ? group : some;
  if constexpr (whole && width == 1) {
    const Doubles one = Doubles{} + 1.0, none = {}, other = Doubles{} + real;
    for (Size c = 0; c < group; c += vector_doubles) {
      const Doubles v = load(value + c), seen = load(count + c) + (v == v ? one : none);
      const Doubles kept = v == v ? v : other;
      __builtin_memcpy(count + c, &seen, sizeof seen);
      __builtin_memcpy(value + c, &kept, sizeof kept);
    }
    return;
  }
  for (Size c = 0; c < columns; ++c) {
    bool number = value[c * width] == value[c * width];
    if constexpr (width == 2) number &= value[2 * c + 1] == value[2 * c + 1];
    count[c] += number ? 1.0 : 0.0;
    value[c * width] = number ? value[c * width] : real;
    if constexpr (width == 2) value[2 * c + 1] = number ? value[2 * c + 1] : 0.0;
  }
}

template <class Op, class T, bool skip>
struct BlockFold {
  static constexpr int width = Elements<T>::width;
  using State = typename SumState<width>::type;
  using Counted = typename CountedState<width>::type;

  template <class S>
  static void run_into(S& state, const void* x, Size n) {
    double value[width];
    const Int count = fold_block<Op, T, skip>(x, n, value);
    make(state, value, count);
  }
  template <class S>
  static void blocks_into(S& state, const void* x, Size count) {
    S states[max_tree_blocks];
    states[0] = state;
    constexpr int together = side_by_side<width>;
    if constexpr (Elements<T>::direct && !skip && (width == 1 || Op::identity == 0.0) && together > 1) {
      if (count >= static_cast<Size>(together)) {
        double value[together * width];
        for (Size b = 0; b < count; b += together) {
          fold_blocks<Op, width, together, false>(
              static_cast<const typename Elements<T>::Scalar*>(x) + b * block * width, block, nullptr, value);
          for (int k = 0; k < together; ++k) make(states[b + static_cast<Size>(k)], value + k * width, 0);
        }
        merge_tree(states, count, combine_states<S>);
        state = states[0];
        return;
      }
    }
    for (Size b = 0; b < count; ++b)
      run_into(states[b], static_cast<const char*>(x) + b * block * sizeof(T), block);
    merge_tree(states, count, combine_states<S>);
    state = states[0];
  }
  template <class S>
  static void combine_states(S& a, const S& b) {
    combine<Op>(a, b);
  }

  template <class S>
  static void rows_into(S* states, const void* x, std::ptrdiff_t stride, Size rows, Size columns) {
    for (Size first = 0; first < columns; first += group) {
      const Size some = columns - first < group ? columns - first : group;
      double acc[group * width], count[group] = {};
      for (Size i = 0; i < group * width; ++i)
        acc[i] = width == 2 && i % 2 == 1 && Op::identity != 0.0 ? 0.0 : Op::identity;
      const void* corner = static_cast<const char*>(x) + first * sizeof(T);
      if (some == group)
        add_rows<true>(acc, count, corner, stride, rows, group);
      else
        add_rows<false>(acc, count, corner, stride, rows, some);
      for (Size c = 0; c < some; ++c) make(states[first + c], acc + c * width, static_cast<Int>(count[c]));
    }
  }
  template <bool whole>
  static void add_rows(double* acc, double* count, const void* x, std::ptrdiff_t stride, Size rows,
                       Size some) {
    const Size columns = whole ? group : some;
    for (Size r = 0; r < rows; ++r) {
      double value[group * width];
      spread_row<T, whole>(row_of(x, stride, r), columns, value);
      if constexpr (skip) skip_row<width, whole>(value, columns, Op::identity, count);
      if constexpr (width == 2 && Op::identity != 0.0) {
        for (Size c = 0; c < columns; ++c) {
          const ComplexValue v{value[2 * c], value[2 * c + 1]};
          const ComplexValue p = r == 0 ? v : multiply(ComplexValue{acc[2 * c], acc[2 * c + 1]}, v);
          acc[2 * c] = p.re, acc[2 * c + 1] = p.im;
        }
      } else {
        for (Size i = 0; i < columns * width; ++i) acc[i] = Op::apply(acc[i], value[i]);
      }
    }
  }

  // The states of nan-forms are counted.
  static void run(void* state, const void* x, Size n, Int) {
    if constexpr (skip)
      run_into(*static_cast<Counted*>(state), x, n);
    else
      run_into(*static_cast<State*>(state), x, n);
  }
  static void blocks(void* state, const void* x, Size count) {
    if constexpr (skip)
      blocks_into(*static_cast<Counted*>(state), x, count);
    else
      blocks_into(*static_cast<State*>(state), x, count);
  }
  static void rows(void* states, const void* x, std::ptrdiff_t stride, Size rows, Size columns, Int, Int) {
    if constexpr (skip)
      rows_into(static_cast<Counted*>(states), x, stride, rows, columns);
    else
      rows_into(static_cast<State*>(states), x, stride, rows, columns);
  }
  static void merge(void* left, const void* right, Size n) {
    if constexpr (skip)
      for (Size i = 0; i < n; ++i)
        combine<Op>(static_cast<Counted*>(left)[i], static_cast<const Counted*>(right)[i]);
    else
      for (Size i = 0; i < n; ++i)
        combine<Op>(static_cast<State*>(left)[i], static_cast<const State*>(right)[i]);
  }
};

template <class T, bool skip>
struct MomentsFold {
  static constexpr int width = Elements<T>::width;
  using State = typename MomentsState<width>::type;

  static void one_block(State& state, const void* x, Size n) {
    double mean[width], m2[width];
    if constexpr (Elements<T>::direct && !skip) {
      const auto* scalars = static_cast<const typename Elements<T>::Scalar*>(x);
      fold_blocks<Add, width, 1, false>(scalars, n, nullptr, mean);
      for (int w = 0; w < width; ++w) mean[w] = mean[w] / static_cast<double>(n);
      fold_blocks<Add, width, 1, true>(scalars, n, mean, m2);
      make(state, static_cast<Int>(n), mean, m2);
    } else {
      double staged[block * width];
      const double* values = staged;
      const Int count = stage<T, skip>(x, n, no_shift, 0.0, staged);
      if (count == 0) {
        state = State{};
        return;
      }
      fold_blocks<Add, width, 1, false>(values, n, nullptr, mean);
      for (int w = 0; w < width; ++w) mean[w] = mean[w] / static_cast<double>(count);
      if constexpr (skip) {
        stage<T, skip>(x, n, mean, 0.0, staged);
        fold_blocks<Add, width, 1, true>(values, n, no_shift, m2);
      } else {
        fold_blocks<Add, width, 1, true>(values, n, mean, m2);
      }
      make(state, count, mean, m2);
    }
  }

  static void run(void* state, const void* x, Size n, Int) {
    if (n == 0)
      *static_cast<State*>(state) = State{};
    else
      one_block(*static_cast<State*>(state), x, n);
  }

  static void blocks(void* state, const void* x, Size count) {
    State states[max_tree_blocks];
    states[0] = *static_cast<State*>(state);
    constexpr int together = side_by_side<width>;
    if constexpr (Elements<T>::direct && !skip && together > 1) {
      if (count >= static_cast<Size>(together)) {
        double mean[together * width], m2[together * width];
        for (Size b = 0; b < count; b += together) {
          const auto* scalars = static_cast<const typename Elements<T>::Scalar*>(x) + b * block * width;
          fold_blocks<Add, width, together, false>(scalars, block, nullptr, mean);
          for (int i = 0; i < together * width; ++i) mean[i] = mean[i] / static_cast<double>(block);
          fold_blocks<Add, width, together, true>(scalars, block, mean, m2);
          for (int k = 0; k < together; ++k)
            make(states[b + static_cast<Size>(k)], static_cast<Int>(block), mean + k * width, m2 + k * width);
        }
        merge_tree(states, count, merge_one);
        *static_cast<State*>(state) = states[0];
        return;
      }
    }
    for (Size b = 0; b < count; ++b)
      one_block(states[b], static_cast<const char*>(x) + b * block * sizeof(T), block);
    merge_tree(states, count, merge_one);
    *static_cast<State*>(state) = states[0];
  }
  static void merge_one(State& a, const State& b) { merge_moments(a, b); }

  static void rows(void* states, const void* x, std::ptrdiff_t stride, Size rows, Size columns, Int, Int) {
    for (Size first = 0; first < columns; first += group) {
      const Size some = columns - first < group ? columns - first : group;
      const void* corner = static_cast<const char*>(x) + first * sizeof(T);
      State* out = static_cast<State*>(states) + first;
      if (rows == 0)
        for (Size c = 0; c < some; ++c) out[c] = State{};
      else if (some == group)
        group_rows<true>(out, corner, stride, rows, group);
      else
        group_rows<false>(out, corner, stride, rows, some);
    }
  }
  template <bool whole>
  static void group_rows(State* states, const void* x, std::ptrdiff_t stride, Size rows, Size some) {
    const Size columns = whole ? group : some;
    double mean[group * width] = {}, m2[group * width] = {}, count[group] = {};
    for (Size r = 0; r < rows; ++r) {
      double value[group * width];
      spread_row<T, whole>(row_of(x, stride, r), columns, value);
      if constexpr (skip) skip_row<width, whole>(value, columns, 0.0, count);
      for (Size i = 0; i < columns * width; ++i) mean[i] += value[i];
    }
    for (Size c = 0; c < columns; ++c) {
      if constexpr (!skip) count[c] = static_cast<double>(rows);
      for (int w = 0; w < width; ++w) mean[c * width + w] = mean[c * width + w] / count[c];
    }
    for (Size r = 0; r < rows; ++r) {
      double value[group * width];
      spread_row<T, whole>(row_of(x, stride, r), columns, value);
      if constexpr (skip && whole && width == 1) {
        const Doubles none = {};
        for (Size c = 0; c < group; c += vector_doubles) {
          const Doubles v = load(value + c), d = v == v ? v - load(mean + c) : none;
          const Doubles sum = load(m2 + c) + d * d;
          __builtin_memcpy(m2 + c, &sum, sizeof sum);
        }
        continue;
      }
      for (Size c = 0; c < columns; ++c) {
        bool number = true;
        if constexpr (skip)
          for (int w = 0; w < width; ++w) number &= value[c * width + w] == value[c * width + w];
        for (int w = 0; w < width; ++w) {
          const double d = number ? value[c * width + w] - mean[c * width + w] : 0.0;
          m2[c * width + w] += d * d;
        }
      }
    }
    for (Size c = 0; c < columns; ++c)
      if (count[c] == 0)
        states[c] = State{};
      else
        make(states[c], static_cast<Int>(count[c]), mean + c * width, m2 + c * width);
  }

  static void merge(void* left, const void* right, Size n) {
    for (Size i = 0; i < n; ++i)
      merge_moments(static_cast<State*>(left)[i], static_cast<const State*>(right)[i]);
  }
};

// ---- 4. exact folds ---------------------------------------------------------------------------

// Folds whose state is one 64-bit word and whose parts may be put together in any order.
template <class Step, class T>
struct WordFold {
  static void run(void* state, const void* x, Size n, Int) {
    Word acc = Step::identity;
    for (Size i = 0; i < n; ++i) acc = Step::combine(acc, Step::of(get<T>(x, i)));
    Word* s = static_cast<Word*>(state);
    *s = Step::combine(*s, acc);
  }
  static void rows(void* states, const void* x, std::ptrdiff_t stride, Size rows, Size columns, Int, Int) {
    Word* s = static_cast<Word*>(states);
    for (Size r = 0; r < rows; ++r) {
      const void* row = row_of(x, stride, r);
      for (Size c = 0; c < columns; ++c) s[c] = Step::combine(s[c], Step::of(get<T>(row, c)));
    }
  }
  static void merge(void* left, const void* right, Size n) {
    Word* a = static_cast<Word*>(left);
    const Word* b = static_cast<const Word*>(right);
    for (Size i = 0; i < n; ++i) a[i] = Step::combine(a[i], b[i]);
  }
};

struct SumStep {
  static constexpr Word identity = 0;
  static Word combine(Word a, Word b) { return a + b; }
  template <class T>
  static Word of(T v) {
    return static_cast<Word>(static_cast<Wide<T>>(v));
  }
};
struct ProdStep : SumStep {
  static constexpr Word identity = 1;
  static Word combine(Word a, Word b) { return a * b; }
};
struct CountStep {
  static constexpr Word identity = 0;
  static Word combine(Word a, Word b) { return a + b; }
  template <class T>
  static Word of(T v) {
    return is_true(v) ? 1 : 0;
  }
};
struct AnyStep : CountStep {
  static Word combine(Word a, Word b) { return a | b; }
};
struct AllStep : CountStep {
  static constexpr Word identity = 1;
  static Word combine(Word a, Word b) { return a & b; }
};

inline void add(WideSum& s, Word128 v) {
  const Word128 sum = ((static_cast<Word128>(s.high) << 64) | s.low) + v;
  s = WideSum{static_cast<Word>(sum), static_cast<Word>(sum >> 64)};
}

// 128-bit sums of 32- and 64-bit integers.
template <class T>
struct WideFold {
  static void run(void* state, const void* x, Size n, Int) {
    WideSum& s = *static_cast<WideSum*>(state);
    const char* p = static_cast<const char*>(x);
    // Partial sums of 2^24 elements stay inside 64 bits.
    for (Size first = 0; first < n; first += Size(1) << 24) {
      const Size some = n - first < (Size(1) << 24) ? n - first : Size(1) << 24;
      const char* from = p + first * sizeof(T);
      if constexpr (sizeof(T) < 8) {
        Wide<T> sum = 0;
        for (Size i = 0; i < some; ++i) sum += get<T>(from, i);
        add(s, static_cast<Word128>(static_cast<Int128>(sum)));
      } else {
        // Flipping the sign bit makes an unsigned number that is 2^63 too large.
        constexpr bool is_signed = T(-1) < T(0);
        constexpr Word flip = is_signed ? Word(1) << 63 : 0;
        Word low = 0, high = 0;
        for (Size i = 0; i < some; ++i) {
          const Word v = get<Word>(from, i) ^ flip;
          low += v & 0xffffffffu;
          high += v >> 32;
        }
        Word128 sum = (static_cast<Word128>(high) << 32) + low;
        sum -= static_cast<Word128>(flip) * some;
        add(s, sum);
      }
    }
  }
  static void rows(void* states, const void* x, std::ptrdiff_t stride, Size rows, Size columns, Int, Int) {
    WideSum* s = static_cast<WideSum*>(states);
    if constexpr (sizeof(T) < 8) {
      for (Size first_row = 0; first_row < rows; first_row += Size(1) << 24) {
        const Size some_rows = rows - first_row < (Size(1) << 24) ? rows - first_row : Size(1) << 24;
        for (Size first = 0; first < columns; first += group) {
          const Size some = columns - first < group ? columns - first : group;
          const void* corner = static_cast<const char*>(row_of(x, stride, first_row)) + first * sizeof(T);
          Wide<T> sum[group] = {};
          if (some == group)
            for (Size r = 0; r < some_rows; ++r)
              for (Size c = 0; c < group; ++c) sum[c] += get<T>(row_of(corner, stride, r), c);
          else
            for (Size r = 0; r < some_rows; ++r)
              for (Size c = 0; c < some; ++c) sum[c] += get<T>(row_of(corner, stride, r), c);
          for (Size c = 0; c < some; ++c)
            add(s[first + c], static_cast<Word128>(static_cast<Int128>(sum[c])));
        }
      }
    } else {
      for (Size r = 0; r < rows; ++r) {
        const void* row = row_of(x, stride, r);
        for (Size c = 0; c < columns; ++c)
          add(s[c], static_cast<Word128>(static_cast<Int128>(get<T>(row, c))));
      }
    }
  }
  static void merge(void* left, const void* right, Size n) {
    WideSum* a = static_cast<WideSum*>(left);
    const WideSum* b = static_cast<const WideSum*>(right);
    for (Size i = 0; i < n; ++i) add(a[i], (static_cast<Word128>(b[i].high) << 64) | b[i].low);
  }
};

// ---- 5. extremes ------------------------------------------------------------------------------

// Orders for min and max: total on numbers, -0 < +0; complex by real, then imaginary part.
inline bool less(Int a, Int b) { return a < b; }
inline bool less(Word a, Word b) { return a < b; }
inline bool less(double a, double b) {
  return a < b || (a == b && __builtin_signbit(a) != 0 && __builtin_signbit(b) == 0);
}
// The order of argmin and argmax: zeros are equal.
inline bool before(Int a, Int b) { return a < b; }
inline bool before(Word a, Word b) { return a < b; }
inline bool before(double a, double b) { return a < b; }
inline bool before(ComplexValue a, ComplexValue b) { return a.re < b.re || (a.re == b.re && a.im < b.im); }
// Signs of zeros decide last, so that min and argmin agree.
inline bool less(ComplexValue a, ComplexValue b) {
  if (before(a, b) || before(b, a)) return before(a, b);
  return less(a.re, b.re) || (!less(b.re, a.re) && less(a.im, b.im));
}

inline double quiet(double) { return __builtin_nan(""); }
inline ComplexValue quiet(ComplexValue) { return ComplexValue{__builtin_nan(""), __builtin_nan("")}; }
inline Int quiet(Int v) { return v; }
inline Word quiet(Word v) { return v; }

// a or b. NaN wins; with `skip` it loses, and then stands for "nothing seen yet". Which NaN would depend on
// the order, so all parts become NaN.
template <bool max, bool skip, class V>
inline V better(V a, V b) {
  if (is_nan(a)) return skip ? b : quiet(a);
  if (is_nan(b)) return skip ? a : quiet(b);
  return (max ? less(a, b) : less(b, a)) ? b : a;
}
template <bool max, bool skip>
inline double better(double a, double b) {
  const bool nan = skip ? a != a : b != b;
  const bool beyond = max ? a < b : b < a;
  const bool zero = (a == b) & ((__builtin_bit_cast(Int, b) < 0) != max);
  return (nan | beyond | zero) ? b : a;
}

// The extreme of n >= 1 elements.
template <bool max, bool skip, class T>
inline Wide<T> extreme_of(const void* x, Size n, T*) {
  T acc = get<T>(x, 0);
  for (Size i = 1; i < n; ++i) {
    const T v = get<T>(x, i);
    acc = (max ? acc < v : v < acc) ? v : acc;
  }
  return widen(acc);
}
template <bool max, bool skip, class F>
inline ComplexValue extreme_of(const void* x, Size n, Pair<F>*) {
  ComplexValue acc = widen(get<Pair<F>>(x, 0));
  for (Size i = 1; i < n; ++i) acc = better<max, skip>(acc, widen(get<Pair<F>>(x, i)));
  return is_nan(acc) ? quiet(acc) : acc;
}
// As sign-and-magnitude numbers halves order like their values; NaN gets the key that wins, or loses.
template <bool max, bool skip>
inline double extreme_of(const void* x, Size n, Half*) {
  constexpr std::int16_t last = max ? 32767 : -32768, first = max ? -32768 : 32767;
  std::int16_t acc = first;
  for (Size i = 0; i < n; ++i) {
    const std::uint16_t bits = get<std::uint16_t>(x, i);
    const std::int16_t number = static_cast<std::int16_t>(bits ^ ((bits & 0x8000u) ? 0x7fffu : 0u));
    const std::int16_t key = (bits & 0x7fffu) > 0x7c00u ? (skip ? first : last) : number;
    acc = (max ? acc < key : key < acc) ? key : acc;
  }
  if (acc == first || acc == last) return __builtin_nan("");
  const std::uint16_t bits = static_cast<std::uint16_t>(acc);
  return widen(Half{static_cast<std::uint16_t>(bits ^ ((bits & 0x8000u) ? 0x7fffu : 0u))});
}

template <class F>
struct FloatVector;
template <>
struct FloatVector<float> {
  typedef float Values __attribute__((vector_size(MORSEL_VECTOR_BYTES)));
  typedef std::int32_t Bits __attribute__((vector_size(MORSEL_VECTOR_BYTES)));
  using Bit = std::int32_t;
};
template <>
struct FloatVector<double> {
  typedef double Values __attribute__((vector_size(MORSEL_VECTOR_BYTES)));
  typedef std::int64_t Bits __attribute__((vector_size(MORSEL_VECTOR_BYTES)));
  using Bit = std::int64_t;
};

// A comparison with NaN is false, so that NaN is passed over. What is left open is looked up only when it
// matters: was there a NaN (the sum of all elements is NaN then), was there a number at all (if the extreme
// is infinite), was there a zero of the sign that wins (if it is zero).
template <bool max, bool skip, class F>
inline double float_extreme(const void* x, Size n) {
  using Values = typename FloatVector<F>::Values;
  constexpr Size width = MORSEL_VECTOR_BYTES / sizeof(F);
  constexpr int unroll = 4;
  const F worst = max ? -__builtin_inff() : __builtin_inff();
  double acc = skip ? __builtin_nan("") : static_cast<double>(worst);
  Size i = 0;
  if (n >= unroll * width) {
    Values best[unroll], sum[unroll];
    for (int k = 0; k < unroll; ++k) {
      best[k] = Values{} + worst;
      sum[k] = Values{};
    }
    for (; i + unroll * width <= n; i += unroll * width)
      for (int k = 0; k < unroll; ++k) {
        Values v;
        __builtin_memcpy(&v, static_cast<const char*>(x) + (i + static_cast<Size>(k) * width) * sizeof(F),
                         sizeof v);
        if constexpr (max)
          best[k] = v > best[k] ? v : best[k];
        else
          best[k] = v < best[k] ? v : best[k];
        if constexpr (!skip) sum[k] += v;
      }
    for (int k = 1; k < unroll; ++k) {
      best[0] = (max ? best[k] > best[0] : best[k] < best[0]) ? best[k] : best[0];
      sum[0] += sum[k];
    }
    F value[width], sums[width];
    __builtin_memcpy(value, &best[0], sizeof value);
    __builtin_memcpy(sums, &sum[0], sizeof sums);
    F extreme = value[0], total = sums[0];
    for (Size k = 1; k < width; ++k) {
      extreme = (max ? value[k] > extreme : value[k] < extreme) ? value[k] : extreme;
      total += sums[k];
    }
    Size seen = 0;
    if (!skip && total != total)
      for (Size k = 0; k < i; ++k) seen += is_nan(get<F>(x, k)) ? 1 : 0;
    if (skip && extreme == worst)
      for (Size k = 0; k < i; ++k) seen += is_nan(get<F>(x, k)) ? 0 : 1;
    if (!skip && seen != 0) return __builtin_nan("");
    if (!skip || extreme != worst || seen != 0) {
      acc = static_cast<double>(extreme);
      if (extreme == 0) {
        Size winning = 0;
        for (Size k = 0; k < i; ++k) {
          const F v = get<F>(x, k);
          winning += ((v == 0) & ((__builtin_bit_cast(typename FloatVector<F>::Bit, v) < 0) != max)) ? 1 : 0;
        }
        acc = (winning != 0) != max ? -0.0 : 0.0;
      }
    }
  }
  for (; i < n; ++i) acc = better<max, skip>(acc, static_cast<double>(get<F>(x, i)));
  return acc;
}
template <bool max, bool skip>
inline double extreme_of(const void* x, Size n, float*) {
  return float_extreme<max, skip, float>(x, n);
}
template <bool max, bool skip>
inline double extreme_of(const void* x, Size n, double*) {
  return float_extreme<max, skip, double>(x, n);
}

// The same column by column for 4 vectors of columns. Where something is left open the group is done again,
// slowly.
template <class F>
inline constexpr Size float_columns = 4 * MORSEL_VECTOR_BYTES / sizeof(F);

template <bool max, bool skip, class F>
inline void float_rows(double* states, const void* x, std::ptrdiff_t stride, Size rows) {
  using Values = typename FloatVector<F>::Values;
  constexpr Size width = MORSEL_VECTOR_BYTES / sizeof(F), columns = float_columns<F>;
  const F worst = max ? -__builtin_inff() : __builtin_inff();
  Values best[4], sum[4];
  for (int k = 0; k < 4; ++k) {
    best[k] = Values{} + worst;
    sum[k] = Values{};
  }
  for (Size r = 0; r < rows; ++r) {
    const char* row = static_cast<const char*>(row_of(x, stride, r));
    for (int k = 0; k < 4; ++k) {
      Values v;
      __builtin_memcpy(&v, row + static_cast<Size>(k) * sizeof v, sizeof v);
      if constexpr (max)
        best[k] = v > best[k] ? v : best[k];
      else
        best[k] = v < best[k] ? v : best[k];
      if constexpr (!skip) sum[k] += v;
    }
  }
  F value[4 * width], total[4 * width];
  __builtin_memcpy(value, best, sizeof value);
  __builtin_memcpy(total, sum, sizeof total);
  Size open = 0;
  for (Size c = 0; c < columns; ++c)
    open += ((value[c] == 0) | (skip ? value[c] == worst : total[c] != total[c])) ? 1 : 0;
  if (open == 0) {
    for (Size c = 0; c < columns; ++c)
      states[c] = better<max, skip>(states[c], static_cast<double>(value[c]));
    return;
  }
  for (Size r = 0; r < rows; ++r) {
    const void* row = row_of(x, stride, r);
    for (Size c = 0; c < columns; ++c)
      states[c] = better<max, skip>(states[c], static_cast<double>(get<F>(row, c)));
  }
}

template <bool max, bool skip, class T>
struct ExtremeFold {
  using V = Wide<T>;
  static void run(void* state, const void* x, Size n, Int) {
    if (n == 0) return;
    V& s = *static_cast<V*>(state);
    s = better<max, skip>(s, extreme_of<max, skip>(x, n, static_cast<T*>(nullptr)));
  }
  static void rows(void* states, const void* x, std::ptrdiff_t stride, Size rows, Size columns, Int, Int) {
    V* s = static_cast<V*>(states);
    Size done = 0;
    if constexpr (Elements<T>::direct && Elements<T>::width == 1)
      for (constexpr Size some = float_columns<T>; done + some <= columns; done += some)
        float_rows<max, skip, T>(s + done, static_cast<const char*>(x) + done * sizeof(T), stride, rows);
    for (Size r = 0; r < rows; ++r) {
      const void* row = row_of(x, stride, r);
      for (Size c = done; c < columns; ++c) s[c] = better<max, skip>(s[c], widen(get<T>(row, c)));
    }
  }
  static void merge(void* left, const void* right, Size n) {
    V* a = static_cast<V*>(left);
    const V* b = static_cast<const V*>(right);
    for (Size i = 0; i < n; ++i) a[i] = better<max, skip>(a[i], b[i]);
  }
};

template <Size bytes>
struct RowOf;
template <>
struct RowOf<1> {
  using type = std::int8_t;
};
template <>
struct RowOf<2> {
  using type = std::int16_t;
};
template <>
struct RowOf<4> {
  using type = std::int32_t;
};
template <>
struct RowOf<8> {
  using type = std::int64_t;
};

template <bool max, bool skip, class T>
struct ArgFold {
  using V = Wide<T>;
  using State = Extreme<V>;

  static void take(State& a, const State& b) {
    if (b.index < 0) return;
    bool wins;
    if (a.index < 0) {
      wins = true;
    } else if (is_nan(a.value) || is_nan(b.value)) {
      wins = is_nan(b.value) && (!is_nan(a.value) || b.index < a.index);
    } else {
      const bool better = max ? before(a.value, b.value) : before(b.value, a.value);
      const bool worse = max ? before(b.value, a.value) : before(a.value, b.value);
      wins = better || (!worse && b.index < a.index);
    }
    if (wins) a = b;
  }
  // One form for all complex NaN, as better() has it.
  static State state_of(T element, Int index) {
    const V value = widen(element);
    return State{is_nan(value) ? quiet(value) : value, index};
  }
  static void step(State& s, T element, Int index) {
    if (skip && is_nan(element)) return;
    take(s, state_of(element, index));
  }
  static bool equal(V a, V b) { return !before(a, b) && !before(b, a) && !is_nan(a) && !is_nan(b); }

  // The extreme of a piece first, vectorised; then, if it is any better, the place where it is.
  static void run(void* state, const void* x, Size n, Int first_index) {
    State& s = *static_cast<State*>(state);
    constexpr Size piece = 1024;
    for (Size first = 0; first < n; first += piece) {
      const Size some = n - first < piece ? n - first : piece;
      const void* from = static_cast<const char*>(x) + first * sizeof(T);
      const V value = extreme_of<max, skip>(from, some, static_cast<T*>(nullptr));
      if (skip && is_nan(value)) continue;
      const Int index = first_index + static_cast<Int>(first);
      State after = s;
      take(after, State{value, index});
      if (after.index != index) continue;
      Size at = 0;
      if (is_nan(value))
        while (!is_nan(get<T>(from, at))) ++at;
      else
        while (!equal(widen(get<T>(from, at)), value)) ++at;
      take(s, state_of(get<T>(from, at), index + static_cast<Int>(at)));
    }
  }
  static void rows(void* states, const void* x, std::ptrdiff_t stride, Size rows, Size columns,
                   Int first_index, Int index_step) {
    State* s = static_cast<State*>(states);
    Size done = 0;
    if constexpr (Elements<T>::width == 1 && !__is_same(T, Half))
      if (index_step > 0)
        for (; done + group <= columns; done += group)
          for (Size r = 0; r < rows; r += row_block_rows)
            group_rows(s + done, static_cast<const char*>(row_of(x, stride, r)) + done * sizeof(T), stride,
                       rows - r < row_block_rows ? rows - r : row_block_rows,
                       first_index + static_cast<Int>(r) * index_step, index_step);
    for (Size r = 0; r < rows; ++r) {
      const void* row = row_of(x, stride, r);
      const Int index = first_index + static_cast<Int>(r) * index_step;
      for (Size c = done; c < columns; ++c) step(s[c], get<T>(row, c), index);
    }
  }
  // At most 64 rows, so that the number of a row fits the narrowest element: values and row numbers go side
  // by side.
  static void group_rows(State* states, const void* x, std::ptrdiff_t stride, Size rows, Int first_index,
                         Int index_step) {
    using Row = typename RowOf<sizeof(T)>::type;
    T best[group];
    Row at[group] = {};
    for (Size c = 0; c < group; ++c) best[c] = get<T>(x, c);
    for (Size r = 1; r < rows; ++r) {
      const void* row = row_of(x, stride, r);
      for (Size c = 0; c < group; ++c) {
        const T v = get<T>(row, c);
        // A number beats NaN if NaN is skipped; the first NaN beats all numbers if not.
        bool wins = max ? best[c] < v : v < best[c];
        wins |= skip ? (is_nan(best[c]) & !is_nan(v)) : (is_nan(v) & !is_nan(best[c]));
        best[c] = wins ? v : best[c];
        at[c] = wins ? static_cast<Row>(r) : at[c];
      }
    }
    for (Size c = 0; c < group; ++c)
      step(states[c], best[c], first_index + static_cast<Int>(at[c]) * index_step);
  }
  static void merge(void* left, const void* right, Size n) {
    for (Size i = 0; i < n; ++i) take(static_cast<State*>(left)[i], static_cast<const State*>(right)[i]);
  }
};

// ---- 6. histogram -----------------------------------------------------------------------------

// Slots count what lies below (0), in bin i (i + 1), and above or NaN (bins + 1).

// The slot of x by searching the edges.
inline std::uint32_t searched_slot(double x, const HistogramBins& bins) {
  const double* edges = bins.edges;
  if (x < edges[0]) return 0;
  if (!(x <= edges[bins.bins])) return static_cast<std::uint32_t>(bins.bins + 1);
  Int low = 0, high = bins.bins;  // the bin is in [low, high)
  while (high - low > 1) {
    const Int middle = low + (high - low) / 2;
    if (x < edges[middle])
      high = middle;
    else
      low = middle;
  }
  return static_cast<std::uint32_t>(low + 1);
}

inline constexpr Word bin_unit = Word(1) << bin_shift;

// The slot of x by the estimate.
inline std::uint32_t estimated_slot(double x, const HistogramBins& bins) {
  double u = x * bins.scale + bins.offset;
  u = u < bins.high ? u : bins.high;
  u = u > bins.low ? u : bins.low;
  const Word bits = __builtin_bit_cast(Word, u);
  if (((bits + bins.guard) & (bin_unit - 1)) >= 2 * bins.guard)
    return static_cast<std::uint32_t>(bits >> bin_shift);
  // Near an edge: compare with it.
  if (x < bins.edges[0]) return 0;
  if (!(x <= bins.edges[bins.bins])) return static_cast<std::uint32_t>(bins.bins + 1);
  const Int edge = static_cast<Int>(static_cast<std::uint32_t>((bits + bin_unit / 2) >> bin_shift)) - 1;
  const Int slot = x < bins.edges[edge] ? edge : edge + 1;
  return static_cast<std::uint32_t>(slot < bins.bins ? slot : bins.bins);
}

inline constexpr Size slot_batch = 64;

#if MORSEL_VECTOR_BYTES == 64
struct SlotConstants {
  explicit SlotConstants(const HistogramBins& bins)
      : scale(_mm512_set1_pd(bins.scale)),
        offset(_mm512_set1_pd(bins.offset)),
        low(_mm512_set1_pd(bins.low)),
        high(_mm512_set1_pd(bins.high)),
        guard(_mm512_set1_epi64(bins.guard)),
        far(_mm512_set1_epi64(static_cast<Int>(bin_unit - 2 * bins.guard))) {}
  __m512d scale, offset, low, high;
  __m512i guard, far;
};

// The slots of 8 elements in the low halves of 8 words; near[k] set where an edge is near.
inline __m512i eight_slots(__m512d x, const SlotConstants& c, __mmask8& near) {
  __m512d u = _mm512_fmadd_pd(x, c.scale, c.offset);
  u = _mm512_max_pd(_mm512_min_pd(u, c.high), c.low);  // NaN: high
  const __m512i bits = _mm512_castpd_si512(u);
  near = static_cast<__mmask8>(near | _mm512_testn_epi64_mask(_mm512_add_epi64(bits, c.guard), c.far));
  return _mm512_srli_epi64(bits, bin_shift);
}
// The same with a look at the edge next to each element.
inline __m512i eight_exact_slots(__m512d x, const SlotConstants& c, const HistogramBins& bins) {
  __m512d u = _mm512_fmadd_pd(x, c.scale, c.offset);
  u = _mm512_max_pd(_mm512_min_pd(u, c.high), c.low);
  const __m512i last = _mm512_set1_epi64(bins.bins);
  const __m512i up = _mm512_srli_epi64(
      _mm512_add_epi64(_mm512_castpd_si512(u), _mm512_set1_epi64(static_cast<Int>(bin_unit / 2))), bin_shift);
  __m512i edge = _mm512_sub_epi64(_mm512_and_epi64(up, _mm512_set1_epi64(0xffffffff)), _mm512_set1_epi64(1));
  edge = _mm512_min_epi64(edge, last);
  const __mmask8 below_edge = _mm512_cmp_pd_mask(x, _mm512_i64gather_pd(edge, bins.edges, 8), _CMP_LT_OQ);
  const __m512i one = _mm512_set1_epi64(1);
  __m512i slot = _mm512_add_epi64(edge, one);
  slot = _mm512_mask_sub_epi64(slot, below_edge, slot, one);
  slot = _mm512_min_epi64(slot, last);
  const __mmask8 below = _mm512_cmp_pd_mask(x, _mm512_set1_pd(bins.edges[0]), _CMP_LT_OQ);
  const __mmask8 above = _mm512_cmp_pd_mask(x, _mm512_set1_pd(bins.edges[bins.bins]), _CMP_NLE_UQ);
  slot = _mm512_mask_mov_epi64(slot, below, _mm512_setzero_si512());
  return _mm512_mask_mov_epi64(slot, above, _mm512_add_epi64(last, one));
}

template <class S>
inline void slots_of_batch(const S* x, const SlotConstants& c, const HistogramBins& bins,
                           std::uint32_t* out) {
  __mmask8 near = 0;
  for (Size i = 0; i < slot_batch; i += 8)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i),
                        _mm512_cvtepi64_epi32(eight_slots(load(x + i), c, near)));
  if (__builtin_expect(near != 0, 0))
    for (Size i = 0; i < slot_batch; i += 8)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i),
                          _mm512_cvtepi64_epi32(eight_exact_slots(load(x + i), c, bins)));
}
#elif MORSEL_VECTOR_BYTES == 32
struct SlotConstants {
  explicit SlotConstants(const HistogramBins& bins)
      : scale(_mm256_set1_pd(bins.scale)),
        offset(_mm256_set1_pd(bins.offset)),
        low(_mm256_set1_pd(bins.low)),
        high(_mm256_set1_pd(bins.high)),
        guard(_mm256_set1_epi32(static_cast<int>(bins.guard))),
        far(_mm256_set1_epi32(static_cast<int>(bin_unit - 2 * bins.guard))) {}
  __m256d scale, offset, low, high;
  __m256i guard, far;
};

inline __m256d slot_bits(__m256d x, const SlotConstants& c) {
  const __m256d u = _mm256_add_pd(_mm256_mul_pd(x, c.scale), c.offset);
  return _mm256_max_pd(_mm256_min_pd(u, c.high), c.low);  // NaN: high
}

template <class S>
inline void slots_of_batch(const S* x, const SlotConstants& c, const HistogramBins& bins,
                           std::uint32_t* out) {
  __m256i near = _mm256_setzero_si256();
  for (Size i = 0; i < slot_batch; i += 8) {
    const __m256d a = slot_bits(load(x + i), c), b = slot_bits(load(x + i + 4), c);
    // Words 0 2 4 6 of the pair: lanes 0 1 4 5 2 3 6 7, which the order of counting does not mind.
    const __m256i low =
        _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castpd_ps(a), _mm256_castpd_ps(b), 0x88));
    near = _mm256_or_si256(near, _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_add_epi32(low, c.guard), c.far),
                                                    _mm256_setzero_si256()));
    const __m256i up = _mm256_srli_epi64(_mm256_castpd_si256(a), bin_shift);
    const __m256i vp = _mm256_srli_epi64(_mm256_castpd_si256(b), bin_shift);
    _mm256_storeu_si256(
        reinterpret_cast<__m256i*>(out + i),
        _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(up), _mm256_castsi256_ps(vp), 0x88)));
  }
  if (__builtin_expect(_mm256_movemask_epi8(near) != 0, 0))
    for (Size i = 0; i < slot_batch; ++i) out[i] = estimated_slot(static_cast<double>(get<S>(x, i)), bins);
}
#else
struct SlotConstants {
  explicit SlotConstants(const HistogramBins&) {}
};
template <class S>
inline void slots_of_batch(const S* x, const SlotConstants&, const HistogramBins& bins, std::uint32_t* out) {
  for (Size i = 0; i < slot_batch; ++i) out[i] = estimated_slot(static_cast<double>(get<S>(x, i)), bins);
}
#endif

// Neighbouring elements go to different tables, so that equal ones do not wait for each other's increment.
inline constexpr Size slot_tables = 4;
inline constexpr Size max_tabled_slots = 2050;

// Tallies n elements into tables[max_tabled_slots * k + slot]. The slots of one batch are computed while the
// increments of the last one are under way.
template <class S>
inline void tally(const S* x, Size n, const HistogramBins& bins, std::uint32_t* tables) {
  const SlotConstants constants(bins);
  std::uint32_t slots[2][slot_batch];
  const Size batches = n / slot_batch;
  if (batches != 0) slots_of_batch(x, constants, bins, slots[0]);
  for (Size b = 0; b < batches; ++b) {
    if (b + 1 < batches) slots_of_batch(x + (b + 1) * slot_batch, constants, bins, slots[(b + 1) % 2]);
    const std::uint32_t* now = slots[b % 2];
    for (Size i = 0; i < slot_batch; i += slot_tables)
      for (Size k = 0; k < slot_tables; ++k) ++tables[max_tabled_slots * k + now[i + k]];
  }
  for (Size i = batches * slot_batch; i < n; ++i)
    ++tables[max_tabled_slots * (i % slot_tables) + estimated_slot(static_cast<double>(get<S>(x, i)), bins)];
}

#if MORSEL_VECTOR_BYTES == 64
template <class S>
inline void slots_of_pairs(const S* x, const SlotConstants& c, const HistogramBins& bins, __m512i side,
                           std::uint16_t* out) {
  __mmask8 near = 0;
  __m512i slot[4];
  for (int v = 0; v < 4; ++v) slot[v] = eight_slots(load(x + 8 * v), c, near);
  if (__builtin_expect(near != 0, 0))
    for (int v = 0; v < 4; ++v) slot[v] = eight_exact_slots(load(x + 8 * v), c, bins);
  // Only the low 32 bits of each word are the slot; 16 of the sum are kept.
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                   _mm512_cvtepi64_epi16(_mm512_add_epi64(_mm512_mul_epu32(slot[0], side), slot[1])));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 8),
                   _mm512_cvtepi64_epi16(_mm512_add_epi64(_mm512_mul_epu32(slot[2], side), slot[3])));
}

// Tallies n elements, a multiple of 32 and not 0, in pairs.
template <class S>
inline void tally_pairs(const S* x, Size n, const HistogramBins& bins, std::uint16_t* table) {
  const SlotConstants constants(bins);
  const __m512i sides = _mm512_set1_epi64(bins.bins + 2);
  std::uint16_t pairs[2][16];
  slots_of_pairs(x, constants, bins, sides, pairs[0]);
  for (Size i = 0; i < n; i += 32) {
    if (i + 32 < n) slots_of_pairs(x + i + 32, constants, bins, sides, pairs[(i / 32 + 1) % 2]);
    const std::uint16_t* now = pairs[i / 32 % 2];
    for (int k = 0; k < 16; ++k) ++table[now[k]];
  }
}

// Each count belongs to the bin of its row and to the bin of its column.
inline void empty_pairs(Int* counts, PairTable& table, const HistogramBins& bins) {
  if (table.pairs == 0) return;
  const Size side = static_cast<Size>(bins.bins) + 2;
  std::uint32_t columns[max_paired_slots] = {};
  for (Size first = 0; first < side; ++first) {
    const std::uint16_t* row = table.count + first * side;
    std::uint32_t sum = 0;
    for (Size second = 0; second < side; ++second) {
      sum += row[second];
      columns[second] += row[second];
    }
    if (first != 0 && first + 1 < side) counts[first - 1] += sum;
  }
  for (Size bin = 0; bin + 2 < side; ++bin) counts[bin] += columns[bin + 1];
  __builtin_memset(table.count, 0, side * side * sizeof(std::uint16_t));
  table.pairs = 0;
}
#endif

template <class T>
struct HistogramFold {
  using S = typename Elements<T>::Scalar;

  // Each value of 8 bits is counted, and looked up once.
  static void run_bytes(Int* counts, const void* x, Size n, const HistogramBins& bins) {
    std::uint32_t seen[4][256];
    for (Size first = 0; first < n; first += Size(1) << 30) {
      const Size some = n - first < (Size(1) << 30) ? n - first : Size(1) << 30;
      __builtin_memset(seen, 0, sizeof seen);
      for (Size i = 0; i < some; ++i) ++seen[i % 4][get<std::uint8_t>(x, first + i)];
      for (int v = 0; v < 256; ++v) {
        const std::uint8_t bits = static_cast<std::uint8_t>(v);
        const Int count = Int(seen[0][v]) + Int(seen[1][v]) + Int(seen[2][v]) + Int(seen[3][v]);
        double value;
        spread(&value, get<T>(&bits, 0));
        const std::uint32_t slot = searched_slot(value, bins);
        if (count != 0 && slot != 0 && static_cast<Int>(slot) <= bins.bins) counts[slot - 1] += count;
      }
    }
  }

  // Straight into the counts.
  static void run_single(Int* counts, const void* x, Size n, const HistogramBins& bins) {
    Size done = 0;
    if constexpr (Elements<T>::direct) {
      if (bins.guard != 0 && n >= slot_batch) {
        const SlotConstants constants(bins);
        std::uint32_t slots[slot_batch];
        for (; done + slot_batch <= n; done += slot_batch) {
          slots_of_batch(static_cast<const S*>(x) + done, constants, bins, slots);
          for (const std::uint32_t slot : slots)
            if (slot != 0 && static_cast<Int>(slot) <= bins.bins) ++counts[slot - 1];
        }
      }
    }
    for (Size i = done; i < n; ++i) {
      double value;
      spread(&value, get<T>(x, i));
      const std::uint32_t slot = bins.guard != 0 ? estimated_slot(value, bins) : searched_slot(value, bins);
      if (slot != 0 && static_cast<Int>(slot) <= bins.bins) ++counts[slot - 1];
    }
  }

  static void run_tables(Int* counts, const void* x, Size n, const HistogramBins& bins) {
    std::uint32_t tables[slot_tables * max_tabled_slots];
    const Size slots = static_cast<Size>(bins.bins) + 2;
    for (Size k = 0; k < slot_tables; ++k)
      __builtin_memset(tables + max_tabled_slots * k, 0, slots * sizeof(std::uint32_t));
    if constexpr (Elements<T>::direct) {
      tally(static_cast<const S*>(x), n, bins, tables);
    } else {
      double staged[block];
      for (Size first = 0; first < n; first += block) {
        const Size some = n - first < block ? n - first : block;
        stage<T, false>(static_cast<const char*>(x) + first * sizeof(T), some, no_shift, 0.0, staged);
        tally(static_cast<const double*>(staged), some, bins, tables);
      }
    }
    for (Size bin = 0; bin + 2 < slots; ++bin) {
      std::uint32_t sum = 0;
      for (Size k = 0; k < slot_tables; ++k) sum += tables[max_tabled_slots * k + bin + 1];
      counts[bin] += sum;
    }
  }

  static void run(Int* counts, const void* x, Size n, const HistogramBins& bins) {
    const Size slots = static_cast<Size>(bins.bins) + 2;
    if constexpr (sizeof(T) == 1) {
      if (n >= 512) return run_bytes(counts, x, n, bins);
    }
    if (bins.guard == 0 || slots > max_tabled_slots || n < 4 * slots) return run_single(counts, x, n, bins);
    const char* from = static_cast<const char*>(x);
    for (; n != 0;) {
      const Size some = n < (Size(1) << 30) ? n : Size(1) << 30;
      run_tables(counts, from, some, bins);
      from += some * sizeof(T), n -= some;
    }
  }

#if MORSEL_VECTOR_BYTES == 64
  static void run_paired(Int* counts, PairTable& table, const void* x, Size n, const HistogramBins& bins) {
    table.elements += n;
    // A leaf that ends soon does not pay for emptying the table.
    if (table.elements <= (Size(1) << 14) || n < 256) return run(counts, x, n, bins);
    const char* from = static_cast<const char*>(x);
    while (n >= 32) {
      if (table.pairs + 16 > 65535) empty_pairs(counts, table, bins);
      const Size room = 2 * static_cast<Size>(65535 - table.pairs);
      const Size some = (n < room ? n : room) / 32 * 32;
      tally_pairs(reinterpret_cast<const S*>(from), some, bins, table.count);
      table.pairs += some / 2;
      from += some * sizeof(T), n -= some;
    }
    run_single(counts, from, n, bins);
  }
  static void settle(Int* counts, PairTable& table, const HistogramBins& bins) {
    empty_pairs(counts, table, bins);
    table.elements = 0;
  }
#endif
};

template <class T>
inline HistogramLoops histogram_loops() {
#if MORSEL_VECTOR_BYTES == 64
  if constexpr (Elements<T>::direct)
    return HistogramLoops{&HistogramFold<T>::run, &HistogramFold<T>::run_paired, &HistogramFold<T>::settle};
#endif
  return HistogramLoops{&HistogramFold<T>::run, nullptr, nullptr};
}

// ---- 7. the table -----------------------------------------------------------------------------

template <class Fold>
inline FoldLoops exact() {
  return FoldLoops{&Fold::run, nullptr, &Fold::rows, &Fold::merge};
}
template <class Fold>
inline FoldLoops fixed() {
  return FoldLoops{&Fold::run, &Fold::blocks, &Fold::rows, &Fold::merge};
}
inline FoldLoops& entry(ReduceTable& table, Fold fold, int type) {
  return table.fold[static_cast<int>(fold)][type];
}

template <class T>
inline void fill_common(ReduceTable& table, int type) {
  entry(table, Fold::moments, type) = fixed<MomentsFold<T, false>>();
  entry(table, Fold::min, type) = exact<ExtremeFold<false, false, T>>();
  entry(table, Fold::max, type) = exact<ExtremeFold<true, false, T>>();
  entry(table, Fold::argmin, type) = exact<ArgFold<false, false, T>>();
  entry(table, Fold::argmax, type) = exact<ArgFold<true, false, T>>();
  entry(table, Fold::any, type) = exact<WordFold<AnyStep, T>>();
  entry(table, Fold::all, type) = exact<WordFold<AllStep, T>>();
  entry(table, Fold::count_nonzero, type) = exact<WordFold<CountStep, T>>();
}
template <class T>
inline void fill_integer(ReduceTable& table, int type) {
  fill_common<T>(table, type);
  entry(table, Fold::sum, type) = exact<WordFold<SumStep, T>>();
  entry(table, Fold::prod, type) = exact<WordFold<ProdStep, T>>();
  if constexpr (sizeof(T) >= 4) entry(table, Fold::wide_sum, type) = exact<WideFold<T>>();
  table.histogram[type] = histogram_loops<T>();
}
template <class T>
inline void fill_floating(ReduceTable& table, int type) {
  fill_common<T>(table, type);
  entry(table, Fold::sum, type) = fixed<BlockFold<Add, T, false>>();
  entry(table, Fold::nan_sum, type) = fixed<BlockFold<Add, T, true>>();
  entry(table, Fold::prod, type) = fixed<BlockFold<Multiply, T, false>>();
  entry(table, Fold::nan_prod, type) = fixed<BlockFold<Multiply, T, true>>();
  entry(table, Fold::nan_moments, type) = fixed<MomentsFold<T, true>>();
  entry(table, Fold::nan_min, type) = exact<ExtremeFold<false, true, T>>();
  entry(table, Fold::nan_max, type) = exact<ExtremeFold<true, true, T>>();
  entry(table, Fold::nan_argmin, type) = exact<ArgFold<false, true, T>>();
  entry(table, Fold::nan_argmax, type) = exact<ArgFold<true, true, T>>();
  if constexpr (Elements<T>::width == 1) table.histogram[type] = histogram_loops<T>();
}

inline void fill_table(ReduceTable& table) {
  fill_integer<std::uint8_t>(table, 0);  // bool: 0 or 1
  fill_integer<std::int8_t>(table, 1);
  fill_integer<std::int16_t>(table, 2);
  fill_integer<std::int32_t>(table, 3);
  fill_integer<std::int64_t>(table, 4);
  fill_integer<std::uint8_t>(table, 5);
  fill_integer<std::uint16_t>(table, 6);
  fill_integer<std::uint32_t>(table, 7);
  fill_integer<std::uint64_t>(table, 8);
  fill_floating<Half>(table, 9);
  fill_floating<float>(table, 10);
  fill_floating<double>(table, 11);
  fill_floating<Pair<float>>(table, 12);
  fill_floating<Pair<double>>(table, 13);
}

#undef MORSEL_VECTOR_BYTES

#if defined(__clang__)
#pragma float_control(pop)
#pragma clang diagnostic pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif
