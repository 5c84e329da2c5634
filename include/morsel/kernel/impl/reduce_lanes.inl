// Reduction loops: sums, products and squares of one block in 16 lanes, folded 8-4-2-1. Part of
// reduce_loops.inl.

inline constexpr Size block = 512;
inline constexpr Size lanes = 16;
inline constexpr Size row_block_rows = 64;
inline constexpr int vector_doubles = MORSEL_VECTOR_BYTES / 8;

typedef double Doubles __attribute__((vector_size(MORSEL_VECTOR_BYTES)));
typedef Int Longs __attribute__((vector_size(MORSEL_VECTOR_BYTES)));
typedef float HalfFloats __attribute__((vector_size(MORSEL_VECTOR_BYTES / 2)));

inline Doubles load(const double* x) {
  Doubles v;
  __builtin_memcpy(&v, static_cast<const void*>(x), sizeof v);  // at any address
  return v;
}
inline Doubles load(const float* x) {
#if MORSEL_VECTOR_BYTES == 64
  return _mm512_cvtps_pd(_mm256_loadu_ps(x));
#elif MORSEL_VECTOR_BYTES == 32
  return _mm256_cvtps_pd(_mm_loadu_ps(x));
#else
  HalfFloats v;
  __builtin_memcpy(&v, static_cast<const void*>(x), sizeof v);  // at any address
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
