// Part of tile_loops.inl: element types, float16, conversions and the loops around an operation.

struct __attribute__((may_alias)) Half {
  __UINT16_TYPE__ bits;
};
template <class R>
struct __attribute__((may_alias)) Complex {
  R re, im;
};
// An element of a given size, copied and never looked into.
template <int Bytes>
struct Raw;
template <>
struct Raw<1> {
  using Type = __UINT8_TYPE__;
};
template <>
struct Raw<2> {
  using Type = __UINT16_TYPE__;
};
template <>
struct Raw<4> {
  using Type = __UINT32_TYPE__;
};
template <>
struct Raw<8> {
  using Type = __UINT64_TYPE__;
};
struct __attribute__((may_alias)) Wide {
  __UINT64_TYPE__ low, high;
};
template <>
struct Raw<16> {
  using Type = Wide;
};

template <class T>
struct Integer;
#define MORSEL_TILE_INTEGER(T, UNSIGNED, ARITHMETIC, IS_SIGNED, MIN, MAX)                 \
  template <>                                                                             \
  struct Integer<T> {                                                                     \
    using Unsigned = UNSIGNED;                                                            \
    using Arithmetic = ARITHMETIC; /* unsigned and at least int: wraps, never promotes */ \
    static constexpr bool is_signed = IS_SIGNED;                                          \
    static constexpr T min = MIN, max = MAX;                                              \
  };
MORSEL_TILE_INTEGER(__INT8_TYPE__, __UINT8_TYPE__, unsigned, true, -128, 127)
MORSEL_TILE_INTEGER(__INT16_TYPE__, __UINT16_TYPE__, unsigned, true, -32768, 32767)
MORSEL_TILE_INTEGER(__INT32_TYPE__, __UINT32_TYPE__, unsigned, true, -2147483647 - 1, 2147483647)
MORSEL_TILE_INTEGER(__INT64_TYPE__, __UINT64_TYPE__, __UINT64_TYPE__, true, -__INT64_MAX__ - 1, __INT64_MAX__)
MORSEL_TILE_INTEGER(__UINT8_TYPE__, __UINT8_TYPE__, unsigned, false, 0, 255)
MORSEL_TILE_INTEGER(__UINT16_TYPE__, __UINT16_TYPE__, unsigned, false, 0, 65535)
MORSEL_TILE_INTEGER(__UINT32_TYPE__, __UINT32_TYPE__, unsigned, false, 0, 4294967295u)
MORSEL_TILE_INTEGER(__UINT64_TYPE__, __UINT64_TYPE__, __UINT64_TYPE__, false, 0, __UINT64_MAX__)
#undef MORSEL_TILE_INTEGER

template <class T>
struct Float;
template <>
struct Float<float> {
  using Bits = __UINT32_TYPE__;
  static constexpr Bits sign = 0x80000000u;
  static constexpr float infinity = __builtin_inff(), nan = __builtin_nanf("");
};
template <>
struct Float<double> {
  using Bits = __UINT64_TYPE__;
  static constexpr Bits sign = Bits{1} << 63;
  static constexpr double infinity = __builtin_inf(), nan = __builtin_nan("");
};

template <class T>
inline typename Float<T>::Bits bits_of(T x) {
  return __builtin_bit_cast(typename Float<T>::Bits, x);
}
template <class T>
inline T from_bits(typename Float<T>::Bits b) {
  return __builtin_bit_cast(T, b);
}
template <class T>
inline T magnitude(T x) {
  return from_bits<T>(bits_of(x) & ~Float<T>::sign);
}
template <class T>
inline T with_sign_of(T x, T sign) {
  return from_bits<T>((bits_of(x) & ~Float<T>::sign) | (bits_of(sign) & Float<T>::sign));
}
// A product that no sum swallows. GCC 12 makes one vfmaddsub of the two sums of a complex product,
// contraction off or not, wherever FMA instructions are allowed.
template <class T>
inline T rounded(T product) {
#if defined(__GNUC__) && !defined(__clang__) && (defined(__FMA__) || defined(__AVX512F__))
  asm("" : "+x"(product));
#elif defined(__GNUC__) && !defined(__clang__) && defined(__aarch64__)
  asm("" : "+w"(product));
#endif
  return product;
}
template <class T>
inline bool is_nan(T x) {
  return x != x;
}
template <class T>
inline bool is_infinite(T x) {
  return magnitude(x) == Float<T>::infinity;
}
template <class T>
inline bool is_finite(T x) {
  return magnitude(x) < Float<T>::infinity;
}

// The
// same values as float16.hpp, by selections instead of branches so that loops become vectors.

template <class F = float>
inline F half_to_float(__UINT16_TYPE__ h) {
  const __UINT32_TYPE__ shifted = static_cast<__UINT32_TYPE__>(h & 0x7fffu) << 13;
  // Scaling by 2^112 is exact and also makes subnormals normal.
  __UINT32_TYPE__ bits = bits_of(from_bits<float>(shifted) * 0x1p112f);
  bits |= shifted >= 0x0f800000u ? 0x7f800000u : 0u;
  return from_bits<float>(bits | (static_cast<__UINT32_TYPE__>(h & 0x8000u) << 16));
}

template <class F = float>
inline __UINT16_TYPE__ float_to_half(F value) {
  const __UINT32_TYPE__ f = bits_of(value);
  const __UINT32_TYPE__ mag = f & 0x7fffffffu;
  const __UINT32_TYPE__ normal = (mag + 0xfffu + ((mag >> 13) & 1u) - 0x38000000u) >> 13;
  // Adding 0.5 rounds to the grid of binary16's subnormals, 2^-24.
  const __UINT32_TYPE__ subnormal = bits_of(from_bits<float>(mag) + 0.5f) - 0x3f000000u;
  __UINT32_TYPE__ half = mag < 0x38800000u ? subnormal : normal;
  half = mag >= 0x477ff000u ? 0x7c00u : half;
  half = mag > 0x7f800000u ? 0x7e00u | ((mag >> 13) & 0x1ffu) : half;
  return static_cast<__UINT16_TYPE__>(half | ((f >> 16) & 0x8000u));
}

// A double as the float that rounds to the same binary16: rounded to odd, so that the second rounding sees
// every bit.
template <class D = double>
inline float round_to_odd(D d) {
  const float f = static_cast<float>(d);
  const __UINT32_TYPE__ bits = bits_of(f);
  const double back = static_cast<double>(f);
  const bool inexact = back != d && d == d && (bits & 1u) == 0;
  const bool too_large = magnitude(back) > magnitude(d);
  return from_bits<float>(inexact ? (too_large ? bits - 1u : bits + 1u) : bits);
}

template <class To, class F>
inline To truncate(F x) {
  constexpr F low = static_cast<F>(Integer<To>::min);
  // 2^digits, one above the largest value: exact where the value itself is not.
  constexpr To half = Integer<To>::max / 2 + 1;
  constexpr F limit = static_cast<F>(half) * F(2);
  F in_range = x < low ? low : x;
  in_range = in_range < limit ? in_range : F(0);
  const To value = static_cast<To>(in_range);
  return x >= limit ? Integer<To>::max : value;
}

template <class From>
inline bool is_true(From x) {
  return x != 0;
}
template <>
inline bool is_true(Half x) {
  return (x.bits & 0x7fffu) != 0;
}
template <class R>
inline bool is_true(Complex<R> x) {
  return (x.re != 0) | (x.im != 0);
}

template <class To>
struct Convert {  // to integers
  template <class From>
  static To at(From x) {
    return static_cast<To>(x);
  }
  static To at(float x) { return truncate<To>(x); }
  static To at(double x) { return truncate<To>(x); }
  template <class R>
  static To at(Complex<R> x) {
    return truncate<To>(x.re);
  }
};
template <>
struct Convert<bool> {
  template <class From>
  static bool at(From x) {
    return is_true(x);
  }
};
// The float whose nearest binary16 is that of x.
template <class From>
struct ToHalf {
  // Integers beyond 2^24, which float rounds, are infinite in binary16 anyway.
  static float at(From x) { return static_cast<float>(x); }
};
template <>
struct ToHalf<double> {
  static float at(double x) { return round_to_odd(x); }
};
template <class R>
struct ToHalf<Complex<R>> {
  static float at(Complex<R> x) { return ToHalf<R>::at(x.re); }
};
template <>
struct Convert<float> {
  template <class From>
  static float at(From x) {
    return static_cast<float>(x);
  }
  static float at(Half x) { return half_to_float(x.bits); }
  template <class R>
  static float at(Complex<R> x) {
    return static_cast<float>(x.re);
  }
};
template <>
struct Convert<double> {
  template <class From>
  static double at(From x) {
    return static_cast<double>(x);
  }
  static double at(Half x) { return static_cast<double>(half_to_float(x.bits)); }
  template <class R>
  static double at(Complex<R> x) {
    return static_cast<double>(x.re);
  }
};
template <class R>
struct Convert<Complex<R>> {
  template <class From>
  static Complex<R> at(From x) {
    return {Convert<R>::at(x), R(0)};
  }
  template <class S>
  static Complex<R> at(Complex<S> x) {
    return {static_cast<R>(x.re), static_cast<R>(x.im)};
  }
};

template <class F, class R, class A>
void map1(Size n, void* out, const void* const* in, const void*) {
  R* __restrict o = static_cast<R*>(out);
  const A* __restrict a = static_cast<const A*>(in[0]);
  for (Size i = 0; i < n; ++i) o[i] = F::at(a[i]);
}
template <class F, class R, class A, class B = A>
void map2(Size n, void* out, const void* const* in, const void*) {
  R* __restrict o = static_cast<R*>(out);
  const A* __restrict a = static_cast<const A*>(in[0]);
  const B* __restrict b = static_cast<const B*>(in[1]);
  for (Size i = 0; i < n; ++i) o[i] = F::at(a[i], b[i]);
}
template <class F, class R, class A, class B = A, class C = B>
void map3(Size n, void* out, const void* const* in, const void*) {
  R* __restrict o = static_cast<R*>(out);
  const A* __restrict a = static_cast<const A*>(in[0]);
  const B* __restrict b = static_cast<const B*>(in[1]);
  const C* __restrict c = static_cast<const C*>(in[2]);
  for (Size i = 0; i < n; ++i) o[i] = F::at(a[i], b[i], c[i]);
}
template <class F, class R, class A, class B = A, class C = B, class D = C>
void map4(Size n, void* out, const void* const* in, const void*) {
  R* __restrict o = static_cast<R*>(out);
  const A* __restrict a = static_cast<const A*>(in[0]);
  const B* __restrict b = static_cast<const B*>(in[1]);
  const C* __restrict c = static_cast<const C*>(in[2]);
  const D* __restrict d = static_cast<const D*>(in[3]);
  for (Size i = 0; i < n; ++i) o[i] = F::at(a[i], b[i], c[i], d[i]);
}
template <int ItemBytes>
void copy(Size n, void* out, const void* const* in, const void*) {
  __builtin_memcpy(out, in[0], n * ItemBytes);
}
template <int ItemBytes>
void zero(Size n, void* out, const void* const*, const void*) {
  __builtin_memset(out, 0, n * ItemBytes);
}
template <bool Value>
void constant_bool(Size n, void* out, const void* const*, const void*) {
  __builtin_memset(out, Value ? 1 : 0, n);
}

// ==== float16 tiles

// Elements of a tile: the most a kernel with buffers takes at once.
inline constexpr Size tile = 256;
template <class = void>
inline void check_length(Size n) {
  if (n > tile) __builtin_trap();
}

template <class = void>
__attribute__((noinline)) void halves_to_floats(Size n, float* __restrict o, const Half* __restrict a) {
  for (Size i = 0; i < n; ++i) o[i] = half_to_float(a[i].bits);
}
// F16C rounds as float_to_half does, and keeps the same bits of a NaN.
template <class = void>
__attribute__((noinline)) void floats_to_halves(Size n, Half* __restrict o, const float* __restrict a) {
  Size i = 0;
#if MORSEL_TILE_LEVEL == 2
  for (; i + 16 <= n; i += 16) {
    const __m256i h =
        _mm512_maskz_cvtps_ph(0xffff, _mm512_loadu_ps(a + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __builtin_memcpy(o + i, &h, sizeof h);
  }
#elif MORSEL_TILE_LEVEL == 1
  for (; i + 8 <= n; i += 8) {
    const __m128i h = _mm256_cvtps_ph(_mm256_loadu_ps(a + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __builtin_memcpy(o + i, &h, sizeof h);
  }
#endif
  for (; i < n; ++i) o[i] = {float_to_half(a[i])};
}
template <class From>
void to_halves(Size n, void* out, const void* const* in, const void*) {
  Half* o = static_cast<Half*>(out);
  const From* a = static_cast<const From*>(in[0]);
  check_length(n);
  float floats[tile];
  for (Size i = 0; i < n; ++i) floats[i] = ToHalf<From>::at(a[i]);
  floats_to_halves(n, o, floats);
}
template <>
inline void to_halves<float>(Size n, void* out, const void* const* in, const void*) {
  floats_to_halves(n, static_cast<Half*>(out), static_cast<const float*>(in[0]));
}
template <class To>
void from_halves(Size n, void* out, const void* const* in, const void*) {
  check_length(n);
  float floats[tile];
  halves_to_floats(n, floats, static_cast<const Half*>(in[0]));
  const void* argument = floats;
  map1<Convert<To>, To, float>(n, out, &argument, nullptr);
}
template <>
inline void from_halves<float>(Size n, void* out, const void* const* in, const void*) {
  halves_to_floats(n, static_cast<float*>(out), static_cast<const Half*>(in[0]));
}
