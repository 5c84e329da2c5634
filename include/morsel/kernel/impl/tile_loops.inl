// The tile kernels. Included once per instruction set, inside a namespace of its own, after tile_table.hpp
// and <sleef.h>; MORSEL_TILE_LEVEL is 0 (baseline), 1 (AVX2) or 2 (AVX-512). In the instruction-set files
// that namespace is unnamed on its inside, so nothing here leaks out of them: only built-in types, raw
// pointers, templates and static members.
//
// Every floating-point operation is rounded once and none is contracted, so that all levels give the same
// bits. Contraction is off by pragma as well as by flag, for programs that use the headers alone.

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

using Size = __SIZE_TYPE__;

// ---- element types
// -----------------------------------------------------------------------------------------------

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

// ---- float16
// ----------------------------------------------------------------------------------------------------- The
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

// ---- conversions
// -------------------------------------------------------------------------------------------------

template <class To, class F>
inline To truncate(F x) {
  constexpr F low = static_cast<F>(Integer<To>::min);
  // 2^digits, one above the largest value: exact where the value itself is not.
  constexpr F limit = static_cast<F>(Integer<To>::max / 2 + 1) * F(2);
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
  static To at(Half x) { return truncate<To>(half_to_float(x.bits)); }
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
template <>
struct Convert<Half> {
  template <class From>
  // Integers beyond 2^24, which float would round, are infinite in binary16 anyway.
  static Half at(From x) {
    return {float_to_half(static_cast<float>(x))};
  }
  static Half at(Half x) { return x; }
  static Half at(double x) { return {float_to_half(round_to_odd(x))}; }
  static Half at(Complex<float> x) { return at(x.re); }
  static Half at(Complex<double> x) { return at(x.re); }
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

// ---- loops
// -------------------------------------------------------------------------------------------------------

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

// ---- operations on one element
// -----------------------------------------------------------------------------------

struct Negative {
  template <class T>
  static T at(T a) {
    return static_cast<T>(0 - static_cast<typename Integer<T>::Arithmetic>(a));
  }
  static float at(float a) { return -a; }
  static double at(double a) { return -a; }
  template <class R>
  static Complex<R> at(Complex<R> a) {
    return {-a.re, -a.im};
  }
};
struct Abs {
  template <class T>
  static T at(T a) {
    return a < 0 ? Negative::at(a) : a;
  }
  static float at(float a) { return magnitude(a); }
  static double at(double a) { return magnitude(a); }
};
struct Add {
  template <class T>
  static T at(T a, T b) {
    using W = typename Integer<T>::Arithmetic;
    return static_cast<T>(static_cast<W>(a) + static_cast<W>(b));
  }
  static bool at(bool a, bool b) { return a | b; }
  static float at(float a, float b) { return a + b; }
  static double at(double a, double b) { return a + b; }
  template <class R>
  static Complex<R> at(Complex<R> a, Complex<R> b) {
    return {a.re + b.re, a.im + b.im};
  }
};
struct Subtract {
  template <class T>
  static T at(T a, T b) {
    using W = typename Integer<T>::Arithmetic;
    return static_cast<T>(static_cast<W>(a) - static_cast<W>(b));
  }
  static float at(float a, float b) { return a - b; }
  static double at(double a, double b) { return a - b; }
  template <class R>
  static Complex<R> at(Complex<R> a, Complex<R> b) {
    return {a.re - b.re, a.im - b.im};
  }
};
struct Multiply {
  template <class T>
  static T at(T a, T b) {
    using W = typename Integer<T>::Arithmetic;
    return static_cast<T>(static_cast<W>(a) * static_cast<W>(b));
  }
  static bool at(bool a, bool b) { return a & b; }
  static float at(float a, float b) { return a * b; }
  static double at(double a, double b) { return a * b; }
  template <class R>
  static Complex<R> at(Complex<R> a, Complex<R> b) {
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
  }
};
struct Square {
  template <class T>
  static T at(T a) {
    return Multiply::at(a, a);
  }
};
struct Divide {
  static float at(float a, float b) { return a / b; }
  static double at(double a, double b) { return a / b; }
  // Smith's method: no overflow where the quotient has none.
  template <class R>
  static Complex<R> at(Complex<R> a, Complex<R> b) {
    const R br = magnitude(b.re), bi = magnitude(b.im);
    if (br >= bi) {
      if (br == 0 && bi == 0) return {a.re / br, a.im / br};
      const R ratio = b.im / b.re, scale = R(1) / (b.re + b.im * ratio);
      return {(a.re + a.im * ratio) * scale, (a.im - a.re * ratio) * scale};
    }
    const R ratio = b.re / b.im, scale = R(1) / (b.im + b.re * ratio);
    return {(a.re * ratio + a.im) * scale, (a.im * ratio - a.re) * scale};
  }
};
struct Reciprocal {
  // 1 / a truncated; of zero: zero.
  template <class T>
  static T at(T a) {
    return a == T(1) ? T(1) : Integer<T>::is_signed && a == static_cast<T>(-1) ? a : T(0);
  }
  static float at(float a) { return 1.0f / a; }
  static double at(double a) { return 1.0 / a; }
  template <class R>
  static Complex<R> at(Complex<R> a) {
    if (magnitude(a.im) <= magnitude(a.re)) {
      const R ratio = a.im / a.re, divisor = a.re + a.im * ratio;
      return {R(1) / divisor, -ratio / divisor};
    }
    const R ratio = a.re / a.im, divisor = a.re * ratio + a.im;
    return {ratio / divisor, R(-1) / divisor};
  }
};
struct Sign {
  template <class T>
  static T at(T a) {
    return static_cast<T>((a > 0) - (a < 0));
  }
  static float at(float a) { return a > 0 ? 1.0f : a < 0 ? -1.0f : a == 0 ? 0.0f : a; }
  static double at(double a) { return a > 0 ? 1.0 : a < 0 ? -1.0 : a == 0 ? 0.0 : a; }
};

// Rounding functions without an instruction for them: adding and subtracting 2^mantissa_bits rounds to even.
template <class T>
struct Rounding {
  static constexpr T big = sizeof(T) == 8 ? T(0x1p52) : T(0x1p23);
  static T even(T a) {
    const T m = magnitude(a), r = (m + big) - big;
    return m < big ? with_sign_of(r, a) : a + T(0);
  }
  static T down(T a) {
    const T r = even(a);
    return with_sign_of(r > a ? r - T(1) : r, a);
  }
  static T up(T a) {
    const T r = even(a);
    return with_sign_of(r < a ? r + T(1) : r, a);
  }
};
struct Floor {
  template <class T>
  static T at(T a) {
#if defined(__SSE4_1__)
    return sizeof(T) == 4 ? T(__builtin_floorf(float(a))) : T(__builtin_floor(a));
#else
    return Rounding<T>::down(a);
#endif
  }
};
struct Ceil {
  template <class T>
  static T at(T a) {
#if defined(__SSE4_1__)
    return sizeof(T) == 4 ? T(__builtin_ceilf(float(a))) : T(__builtin_ceil(a));
#else
    return Rounding<T>::up(a);
#endif
  }
};
struct Trunc {
  template <class T>
  static T at(T a) {
#if defined(__SSE4_1__)
    return sizeof(T) == 4 ? T(__builtin_truncf(float(a))) : T(__builtin_trunc(a));
#else
    const T m = magnitude(a), r = Rounding<T>::even(m);
    return with_sign_of(r > m ? r - T(1) : r, a);
#endif
  }
};
struct Round {
  template <class T>
  static T at(T a) {
#if defined(__SSE4_1__)
    return sizeof(T) == 4 ? T(__builtin_rintf(float(a))) : T(__builtin_rint(a));
#else
    return Rounding<T>::even(a);
#endif
  }
  template <class R>
  static Complex<R> at(Complex<R> a) {
    return {at(a.re), at(a.im)};
  }
};

struct IsNan {
  template <class T>
  static bool at(T a) {
    return is_nan(a);
  }
  template <class R>
  static bool at(Complex<R> a) {
    return is_nan(a.re) | is_nan(a.im);
  }
};
struct IsInf {
  template <class T>
  static bool at(T a) {
    return is_infinite(a);
  }
  template <class R>
  static bool at(Complex<R> a) {
    return is_infinite(a.re) | is_infinite(a.im);
  }
};
struct IsFinite {
  template <class T>
  static bool at(T a) {
    return is_finite(a);
  }
  template <class R>
  static bool at(Complex<R> a) {
    return is_finite(a.re) & is_finite(a.im);
  }
};
struct SignBit {
  template <class T>
  static bool at(T a) {
    return a < 0;
  }
  static bool at(Half a) { return (a.bits >> 15) != 0; }
  static bool at(float a) { return (bits_of(a) >> 31) != 0; }
  static bool at(double a) { return (bits_of(a) >> 63) != 0; }
};
struct LogicalNot {
  template <class T>
  static bool at(T a) {
    return !is_true(a);
  }
};
struct LogicalAnd {
  template <class T>
  static bool at(T a, T b) {
    return is_true(a) & is_true(b);
  }
};
struct LogicalOr {
  template <class T>
  static bool at(T a, T b) {
    return is_true(a) | is_true(b);
  }
};
struct LogicalXor {
  template <class T>
  static bool at(T a, T b) {
    return is_true(a) ^ is_true(b);
  }
};
struct BitwiseInvert {
  template <class T>
  static T at(T a) {
    return static_cast<T>(~a);
  }
  static bool at(bool a) { return !a; }
};
struct BitwiseAnd {
  template <class T>
  static T at(T a, T b) {
    return static_cast<T>(a & b);
  }
};
struct BitwiseOr {
  template <class T>
  static T at(T a, T b) {
    return static_cast<T>(a | b);
  }
};
struct BitwiseXor {
  template <class T>
  static T at(T a, T b) {
    return static_cast<T>(a ^ b);
  }
};
struct ShiftLeft {
  template <class T>
  static T at(T a, T b) {
    using U = typename Integer<T>::Unsigned;
    using W = typename Integer<T>::Arithmetic;
    constexpr unsigned width = 8 * sizeof(T);
    const U by = static_cast<U>(b);
    const T shifted = static_cast<T>(static_cast<W>(a) << (by & (width - 1)));
    return by < width ? shifted : T(0);
  }
};
struct ShiftRight {
  template <class T>
  static T at(T a, T b) {
    using U = typename Integer<T>::Unsigned;
    constexpr unsigned width = 8 * sizeof(T);
    const U by = static_cast<U>(b);
    const T shifted = static_cast<T>(a >> (by & (width - 1)));
    return by < width ? shifted : a < 0 ? static_cast<T>(-1) : T(0);
  }
};
struct Conj {
  template <class R>
  static Complex<R> at(Complex<R> a) {
    return {a.re, -a.im};
  }
};
struct Real {
  template <class R>
  static R at(Complex<R> a) {
    return a.re;
  }
};
struct Imag {
  template <class R>
  static R at(Complex<R> a) {
    return a.im;
  }
};
struct AngleOfReal {
  template <class T>
  static T at(T a) {
    return is_nan(a) ? a : SignBit::at(a) ? T(3.14159265358979323846) : T(0);
  }
};

// ---- comparisons
// -------------------------------------------------------------------------------------------------

// Complex numbers compare by real part, then imaginary, as in NumPy; a NaN anywhere makes them unordered.
struct Equal {
  template <class T>
  static bool at(T a, T b) {
    return a == b;
  }
  template <class R>
  static bool at(Complex<R> a, Complex<R> b) {
    return (a.re == b.re) & (a.im == b.im);
  }
  static bool at(__INT64_TYPE__ a, __UINT64_TYPE__ b) {
    return (a >= 0) & (static_cast<__UINT64_TYPE__>(a) == b);
  }
  static bool at(__UINT64_TYPE__ a, __INT64_TYPE__ b) { return at(b, a); }
};
struct NotEqual {
  template <class T>
  static bool at(T a, T b) {
    return a != b;
  }
  template <class R>
  static bool at(Complex<R> a, Complex<R> b) {
    return (a.re != b.re) | (a.im != b.im);
  }
  static bool at(__INT64_TYPE__ a, __UINT64_TYPE__ b) { return !Equal::at(a, b); }
  static bool at(__UINT64_TYPE__ a, __INT64_TYPE__ b) { return !Equal::at(b, a); }
};
struct Less {
  template <class T>
  static bool at(T a, T b) {
    return a < b;
  }
  template <class R>
  static bool at(Complex<R> a, Complex<R> b) {
    return ((a.re < b.re) & !is_nan(a.im) & !is_nan(b.im)) | ((a.re == b.re) & (a.im < b.im));
  }
  static bool at(__INT64_TYPE__ a, __UINT64_TYPE__ b) {
    return (a < 0) | (static_cast<__UINT64_TYPE__>(a) < b);
  }
  static bool at(__UINT64_TYPE__ a, __INT64_TYPE__ b) {
    return (b >= 0) & (a < static_cast<__UINT64_TYPE__>(b));
  }
};
struct LessEqual {
  template <class T>
  static bool at(T a, T b) {
    return a <= b;
  }
  template <class R>
  static bool at(Complex<R> a, Complex<R> b) {
    return ((a.re < b.re) & !is_nan(a.im) & !is_nan(b.im)) | ((a.re == b.re) & (a.im <= b.im));
  }
  static bool at(__INT64_TYPE__ a, __UINT64_TYPE__ b) { return !Less::at(b, a); }
  static bool at(__UINT64_TYPE__ a, __INT64_TYPE__ b) { return !Less::at(b, a); }
};
struct Greater {
  template <class A, class B>
  static bool at(A a, B b) {
    return Less::at(b, a);
  }
};
struct GreaterEqual {
  template <class A, class B>
  static bool at(A a, B b) {
    return LessEqual::at(b, a);
  }
};

struct Maximum {
  template <class T>
  static T at(T a, T b) {
    return a > b ? a : b;
  }
  static bool at(bool a, bool b) { return a | b; }
  static float at(float a, float b) { return of_floats(a, b); }
  static double at(double a, double b) { return of_floats(a, b); }
  // Equal numbers differ at most in the sign of zero: -0 < +0. Unordered: the sum is a NaN.
  template <class T>
  static T of_floats(T a, T b) {
    const T larger = a > b ? a : b;
    const T same = from_bits<T>(bits_of(a) & bits_of(b));
    const T ordered = a == b ? same : larger;
    return (is_nan(a) | is_nan(b)) ? a + b : ordered;
  }
  template <class R>
  static Complex<R> at(Complex<R> a, Complex<R> b) {
    return IsNan::at(a) || LessEqual::at(b, a) ? a : b;
  }
};
struct Minimum {
  template <class T>
  static T at(T a, T b) {
    return a < b ? a : b;
  }
  static bool at(bool a, bool b) { return a & b; }
  static float at(float a, float b) { return of_floats(a, b); }
  static double at(double a, double b) { return of_floats(a, b); }
  template <class T>
  static T of_floats(T a, T b) {
    const T smaller = a < b ? a : b;
    const T same = from_bits<T>(bits_of(a) | bits_of(b));
    const T ordered = a == b ? same : smaller;
    return (is_nan(a) | is_nan(b)) ? a + b : ordered;
  }
  template <class R>
  static Complex<R> at(Complex<R> a, Complex<R> b) {
    return IsNan::at(a) || LessEqual::at(a, b) ? a : b;
  }
};
struct Clip {
  template <class T>
  static T at(T x, T low, T high) {
    return Minimum::at(Maximum::at(x, low), high);
  }
};
struct Where {
  template <class T>
  static T at(bool condition, T a, T b) {
    return condition ? a : b;
  }
};

// ---- functions of real numbers
// -----------------------------------------------------------------------------------

struct CopySign {
  template <class T>
  static T at(T a, T b) {
    return with_sign_of(a, b);
  }
};
template <class T>
struct Vector;
#if MORSEL_TILE_LEVEL == 2
template <>
struct Vector<double> {
  typedef __m512d Type;
};
template <>
struct Vector<float> {
  typedef __m512 Type;
};
#define MORSEL_TILE_SLEEF_D(NAME, ULP) Sleef_cinz_##NAME##d8_##ULP##avx512fnofma
#define MORSEL_TILE_SLEEF_F(NAME, ULP) Sleef_cinz_##NAME##f16_##ULP##avx512fnofma
#elif MORSEL_TILE_LEVEL == 1
template <>
struct Vector<double> {
  typedef __m256d Type;
};
template <>
struct Vector<float> {
  typedef __m256 Type;
};
#define MORSEL_TILE_SLEEF_D(NAME, ULP) Sleef_cinz_##NAME##d4_##ULP##avx
#define MORSEL_TILE_SLEEF_F(NAME, ULP) Sleef_cinz_##NAME##f8_##ULP##avx
#elif defined(__SSE2__)
template <>
struct Vector<double> {
  typedef __m128d Type;
};
template <>
struct Vector<float> {
  typedef __m128 Type;
};
#define MORSEL_TILE_SLEEF_D(NAME, ULP) Sleef_cinz_##NAME##d2_##ULP##sse2
#define MORSEL_TILE_SLEEF_F(NAME, ULP) Sleef_cinz_##NAME##f4_##ULP##sse2
#else
template <>
struct Vector<double> {
  typedef double Type;
};
template <>
struct Vector<float> {
  typedef float Type;
};
#define MORSEL_TILE_SLEEF_D(NAME, ULP) Sleef_cinz_##NAME##d1_##ULP##purec
#define MORSEL_TILE_SLEEF_F(NAME, ULP) Sleef_cinz_##NAME##f1_##ULP##purec
#endif

// A SLEEF function on a vector, and on one element with the same bits.
#define MORSEL_TILE_FUNCTION1(TYPE, NAME, ULP)                                                               \
  struct TYPE {                                                                                              \
    static Vector<double>::Type vector(Vector<double>::Type x) { return MORSEL_TILE_SLEEF_D(NAME, ULP)(x); } \
    static Vector<float>::Type vector(Vector<float>::Type x) { return MORSEL_TILE_SLEEF_F(NAME, ULP)(x); }   \
    static double one(double x) { return Sleef_cinz_##NAME##d1_##ULP##purec(x); }                            \
    static float one(float x) { return Sleef_cinz_##NAME##f1_##ULP##purec(x); }                              \
  };
#define MORSEL_TILE_FUNCTION2(TYPE, NAME, ULP)                                                 \
  struct TYPE {                                                                                \
    static Vector<double>::Type vector(Vector<double>::Type x, Vector<double>::Type y) {       \
      return MORSEL_TILE_SLEEF_D(NAME, ULP)(x, y);                                             \
    }                                                                                          \
    static Vector<float>::Type vector(Vector<float>::Type x, Vector<float>::Type y) {          \
      return MORSEL_TILE_SLEEF_F(NAME, ULP)(x, y);                                             \
    }                                                                                          \
    static double one(double x, double y) { return Sleef_cinz_##NAME##d1_##ULP##purec(x, y); } \
    static float one(float x, float y) { return Sleef_cinz_##NAME##f1_##ULP##purec(x, y); }    \
  };
MORSEL_TILE_FUNCTION1(Cbrt, cbrt, u10)
MORSEL_TILE_FUNCTION1(Exp, exp, u10)
MORSEL_TILE_FUNCTION1(Exp2, exp2, u10)
MORSEL_TILE_FUNCTION1(Expm1, expm1, u10)
MORSEL_TILE_FUNCTION1(Log, log, u10)
MORSEL_TILE_FUNCTION1(Log2, log2, u10)
MORSEL_TILE_FUNCTION1(Log10, log10, u10)
MORSEL_TILE_FUNCTION1(Log1p, log1p, u10)
MORSEL_TILE_FUNCTION1(Sin, sin, u10)
MORSEL_TILE_FUNCTION1(Cos, cos, u10)
MORSEL_TILE_FUNCTION1(Tan, tan, u10)
MORSEL_TILE_FUNCTION1(Asin, asin, u10)
MORSEL_TILE_FUNCTION1(Acos, acos, u10)
MORSEL_TILE_FUNCTION1(Atan, atan, u10)
MORSEL_TILE_FUNCTION1(Sinh, sinh, u10)
MORSEL_TILE_FUNCTION1(Cosh, cosh, u10)
MORSEL_TILE_FUNCTION1(Tanh, tanh, u10)
MORSEL_TILE_FUNCTION1(Asinh, asinh, u10)
MORSEL_TILE_FUNCTION1(Acosh, acosh, u10)
MORSEL_TILE_FUNCTION1(Atanh, atanh, u10)
MORSEL_TILE_FUNCTION2(Atan2, atan2, u10)
MORSEL_TILE_FUNCTION2(Hypot, hypot, u05)
MORSEL_TILE_FUNCTION2(Pow, pow, u10)
#undef MORSEL_TILE_FUNCTION1
#undef MORSEL_TILE_FUNCTION2
#undef MORSEL_TILE_SLEEF_D
#undef MORSEL_TILE_SLEEF_F

struct Sqrt {
#if MORSEL_TILE_LEVEL == 2
  static __m512d vector(__m512d x) { return _mm512_maskz_sqrt_pd(0xff, x); }
  static __m512 vector(__m512 x) { return _mm512_maskz_sqrt_ps(0xffff, x); }
#elif MORSEL_TILE_LEVEL == 1
  static __m256d vector(__m256d x) { return _mm256_sqrt_pd(x); }
  static __m256 vector(__m256 x) { return _mm256_sqrt_ps(x); }
#elif defined(__SSE2__)
  static __m128d vector(__m128d x) { return _mm_sqrt_pd(x); }
  static __m128 vector(__m128 x) { return _mm_sqrt_ps(x); }
#else
  static double vector(double x) { return one(x); }
  static float vector(float x) { return one(x); }
#endif
  static double one(double x) { return __builtin_sqrt(x); }
  static float one(float x) { return __builtin_sqrtf(x); }
};

// Functions over a tile, whole vectors at a time; the last partial vector goes through a padded copy.
template <class F, class T>
void apply1(Size n, T* o, const T* a) {
  typedef typename Vector<T>::Type V;
  constexpr Size lanes = sizeof(V) / sizeof(T);
  Size i = 0;
  for (; i + lanes <= n; i += lanes) {
    V x;
    __builtin_memcpy(&x, a + i, sizeof x);
    x = F::vector(x);
    __builtin_memcpy(o + i, &x, sizeof x);
  }
  if (i < n) {
    V x{};
    __builtin_memcpy(&x, a + i, (n - i) * sizeof(T));
    x = F::vector(x);
    __builtin_memcpy(o + i, &x, (n - i) * sizeof(T));
  }
}
template <class F, class T>
void apply2(Size n, T* o, const T* a, const T* b) {
  typedef typename Vector<T>::Type V;
  constexpr Size lanes = sizeof(V) / sizeof(T);
  Size i = 0;
  for (; i + lanes <= n; i += lanes) {
    V x, y;
    __builtin_memcpy(&x, a + i, sizeof x);
    __builtin_memcpy(&y, b + i, sizeof y);
    x = F::vector(x, y);
    __builtin_memcpy(o + i, &x, sizeof x);
  }
  if (i < n) {
    V x{}, y{};
    __builtin_memcpy(&x, a + i, (n - i) * sizeof(T));
    __builtin_memcpy(&y, b + i, (n - i) * sizeof(T));
    x = F::vector(x, y);
    __builtin_memcpy(o + i, &x, (n - i) * sizeof(T));
  }
}

// Where SLEEF's range ends before the function does: `needed` is cheap and true there, `at` gives the value.
template <class F, class T>
struct Repair {
  static constexpr bool exists = false;
};
template <class T>
struct Repair<Log1p, T> {
  static constexpr bool exists = true;
  static bool needed(T x, T) { return x > (sizeof(T) == 8 ? T(1e300) : T(1e37f)); }
  static T at(T x, T) { return Log::one(x); }
};
template <class T>
struct HyperbolicRepair {
  static constexpr bool exists = true;
  static bool needed(T x, T) { return magnitude(x) > (sizeof(T) == 8 ? T(700) : T(86)); }
  static T at(T x, T result) {
    const T e = Exp::one(magnitude(x) * T(0.5));
    return with_sign_of((T(0.5) * e) * e, result);
  }
};
template <class T>
struct Repair<Sinh, T> : HyperbolicRepair<T> {};
template <class T>
struct Repair<Cosh, T> : HyperbolicRepair<T> {};
template <class T>
struct Repair<Asinh, T> {
  static constexpr bool exists = true;
  static bool needed(T x, T) { return magnitude(x) > (sizeof(T) == 8 ? T(1e150) : T(1e18f)); }
  static T at(T x, T) { return with_sign_of(Log::one(magnitude(x)) + T(0.693147180559945309417), x); }
};
template <class T>
struct Repair<Acosh, T> {
  static constexpr bool exists = true;
  static bool needed(T x, T) { return x > (sizeof(T) == 8 ? T(1e150) : T(1e18f)); }
  static T at(T x, T) { return Log::one(x) + T(0.693147180559945309417); }
};

template <class F, class T>
void real_function(Size n, T* o, const T* a) {
  apply1<F>(n, o, a);
  if constexpr (Repair<F, T>::exists) {
    bool any = false;
    for (Size i = 0; i < n; ++i) any |= Repair<F, T>::needed(a[i], o[i]);
    if (any)
      for (Size i = 0; i < n; ++i)
        if (Repair<F, T>::needed(a[i], o[i])) o[i] = Repair<F, T>::at(a[i], o[i]);
  }
}
template <class F, class T>
void function1(Size n, void* out, const void* const* in, const void*) {
  real_function<F>(n, static_cast<T*>(out), static_cast<const T*>(in[0]));
}
template <class F, class T>
void function2(Size n, void* out, const void* const* in, const void*) {
  apply2<F>(n, static_cast<T*>(out), static_cast<const T*>(in[0]), static_cast<const T*>(in[1]));
}
// SLEEF's pow is infinite a little below the largest number: there the square of the root is taken.
template <class T>
void pow_of_floats(Size n, void* out, const void* const* in, const void*) {
  T* o = static_cast<T*>(out);
  const T* a = static_cast<const T*>(in[0]);
  const T* b = static_cast<const T*>(in[1]);
  apply2<Pow>(n, o, a, b);
  bool any = false;
  for (Size i = 0; i < n; ++i) any |= is_infinite(o[i]);
  if (!any) return;
  for (Size i = 0; i < n; ++i)
    if (is_infinite(o[i]) && is_finite(a[i]) && a[i] != 0 && is_finite(b[i])) {
      const T root = Pow::one(magnitude(a[i]), b[i] * T(0.5));
      o[i] = with_sign_of(root * root, o[i]);
    }
}

inline constexpr Size tile = 256;

// max(a, b) + log1p(exp(-|a - b|)): within 4 ulp of the larger of the two terms.
template <class T>
void log_add_exp(Size n, void* out, const void* const* in, const void*) {
  T* o = static_cast<T*>(out);
  const T* a = static_cast<const T*>(in[0]);
  const T* b = static_cast<const T*>(in[1]);
  if (n == 0 || n > tile) return;
  T t[tile], u[tile];
  for (Size i = 0; i < n; ++i) t[i] = -magnitude(a[i] - b[i]);
  apply1<Exp>(n, u, t);
  apply1<Log1p>(n, t, u);
  for (Size i = 0; i < n; ++i) {
    const T larger = a[i] > b[i] ? a[i] : b[i];
    // Equal infinities have no difference.
    o[i] = a[i] == b[i]                    ? a[i] + T(0.693147180559945309417)
           : (is_nan(a[i]) | is_nan(b[i])) ? a[i] + b[i]
                                           : larger + t[i];
  }
}

#if MORSEL_TILE_LEVEL == 0
struct FloorDivide {
  template <class T>
  static T at(T a, T b) {
    if (b == 0) return T(0);
    if constexpr (Integer<T>::is_signed) {
      if (b == static_cast<T>(-1)) return Negative::at(a);
      const T q = static_cast<T>(a / b);
      return static_cast<T>(q - ((a % b != 0) & ((a < 0) != (b < 0))));
    } else {
      return static_cast<T>(a / b);
    }
  }
  static float at(float a, float b) { return of_floats(a, b, __builtin_fmodf(a, b)); }
  static double at(double a, double b) { return of_floats(a, b, __builtin_fmod(a, b)); }
  // NumPy's npy_divmod: the quotient that belongs to the exact remainder.
  template <class T>
  static T of_floats(T a, T b, T mod) {
    if (b == 0) return a / b;
    T quotient = (a - mod) / b;
    if (mod != 0 && (b < 0) != (mod < 0)) quotient -= T(1);
    if (quotient == 0) return with_sign_of(T(0), a / b);
    T floored = Rounding<T>::down(quotient);
    if (quotient - floored > T(0.5)) floored += T(1);
    return floored;
  }
};
struct Remainder {
  template <class T>
  static T at(T a, T b) {
    if (b == 0) return T(0);
    if constexpr (Integer<T>::is_signed) {
      if (b == static_cast<T>(-1)) return T(0);
      const T r = static_cast<T>(a % b);
      return r != 0 && (r < 0) != (b < 0) ? static_cast<T>(r + b) : r;
    } else {
      return static_cast<T>(a % b);
    }
  }
  static float at(float a, float b) { return of_floats(b, __builtin_fmodf(a, b)); }
  static double at(double a, double b) { return of_floats(b, __builtin_fmod(a, b)); }
  template <class T>
  static T of_floats(T b, T mod) {
    if (b == 0) return mod;
    if (mod == 0) return with_sign_of(T(0), b);
    return (b < 0) != (mod < 0) ? mod + b : mod;
  }
};
// Powers of integers wrap. **Requires**: exponent >= 0, checked by the caller.
struct IntegerPow {
  template <class T>
  static T at(T base, T exponent) {
    using W = typename Integer<T>::Arithmetic;
    W result = 1, factor = static_cast<W>(base);
    for (typename Integer<T>::Unsigned e = static_cast<typename Integer<T>::Unsigned>(exponent); e != 0;
         e >>= 1) {
      if (e & 1) result *= factor;
      factor *= factor;
    }
    return static_cast<T>(result);
  }
};
// The next number from a towards b, on the bits of any binary format.
template <class Bits>
inline Bits next_bits(Bits a, Bits b, Bits sign, Bits infinity, Bits quiet) {
  const Bits a_magnitude = a & static_cast<Bits>(~sign), b_magnitude = b & static_cast<Bits>(~sign);
  if (a_magnitude > infinity) return static_cast<Bits>(a | quiet);
  if (b_magnitude > infinity) return static_cast<Bits>(b | quiet);
  if (a == b || (a_magnitude == 0 && b_magnitude == 0)) return b;
  if (a_magnitude == 0) return static_cast<Bits>((b & sign) | 1);
  const bool same_sign = ((a ^ b) & sign) == 0;
  return static_cast<Bits>(same_sign && a_magnitude < b_magnitude ? a + 1 : a - 1);
}
struct NextAfter {
  static Half at(Half a, Half b) {
    return {next_bits<__UINT16_TYPE__>(a.bits, b.bits, 0x8000u, 0x7c00u, 0x0200u)};
  }
  static float at(float a, float b) {
    return from_bits<float>(next_bits(bits_of(a), bits_of(b), 0x80000000u, 0x7f800000u, 0x00400000u));
  }
  static double at(double a, double b) {
    using B = Float<double>::Bits;
    return from_bits<double>(next_bits<B>(bits_of(a), bits_of(b), B{1} << 63, B{0x7ff} << 52, B{1} << 51));
  }
};
#endif

// ---- super-instructions
// ------------------------------------------------------------------------------------------

struct MultiplyAdd {
  template <class T>
  static T at(T a, T b, T c) {
    return Add::at(Multiply::at(a, b), c);
  }
};
struct MultiplySubtract {
  template <class T>
  static T at(T a, T b, T c) {
    return Subtract::at(Multiply::at(a, b), c);
  }
};
struct SubtractMultiplied {
  template <class T>
  static T at(T a, T b, T c) {
    return Subtract::at(a, Multiply::at(b, c));
  }
};
struct MultiplyBothAdd {
  template <class T>
  static T at(T a, T b, T c, T d) {
    return Add::at(Multiply::at(a, b), Multiply::at(c, d));
  }
};
struct AddMultiply {
  template <class T>
  static T at(T a, T b, T c) {
    return Multiply::at(Add::at(a, b), c);
  }
};
struct SubtractMultiply {
  template <class T>
  static T at(T a, T b, T c) {
    return Multiply::at(Subtract::at(a, b), c);
  }
};
struct SubtractDivide {
  template <class T>
  static T at(T a, T b, T c) {
    return Divide::at(Subtract::at(a, b), c);
  }
};
struct SubtractSquare {
  template <class T>
  static T at(T a, T b) {
    return Square::at(Subtract::at(a, b));
  }
};
template <class Comparison>
struct Select {
  template <class T>
  static T at(T a, T b, T c, T d) {
    return Comparison::at(a, b) ? c : d;
  }
};
template <class To>
struct CastScaleOffset {
  template <class From>
  static To at(From a, To scale, To offset) {
    return Convert<To>::at(a) * scale + offset;
  }
};

// ---- float16 kernels: float kernels between conversions
// ----------------------------------------------------------

template <class = void>
__attribute__((noinline)) void halves_to_floats(Size n, float* out, const void* in) {
  map1<Convert<float>, float, Half>(n, out, &in, nullptr);
}
template <class = void>
__attribute__((noinline)) void floats_to_halves(Size n, void* out, const float* in) {
  const void* argument = in;
  map1<Convert<Half>, Half, float>(n, out, &argument, nullptr);
}

template <TileFn Kernel, int Arity, bool ToBool>
void on_half(Size n, void* out, const void* const* in, const void* state) {
  if (n == 0 || n > tile) return;
  float buffers[Arity][tile];
  const void* arguments[Arity];
  for (int k = 0; k < Arity; ++k) {
    halves_to_floats(n, buffers[k], in[k]);
    arguments[k] = buffers[k];
  }
  if constexpr (ToBool) {
    Kernel(n, out, arguments, state);
  } else {
    float results[tile];
    Kernel(n, results, arguments, state);
    floats_to_halves(n, out, results);
  }
}

// ---- the table
// ---------------------------------------------------------------------------------------------------

inline constexpr int at_op(Op op) { return static_cast<int>(op); }

template <class To>
void fill_casts_to(TileFn (&cast)[tile_type_count][tile_type_count], int to) {
  cast[b1][to] = map1<Convert<To>, To, bool>;
  cast[i8][to] = map1<Convert<To>, To, __INT8_TYPE__>;
  cast[i16][to] = map1<Convert<To>, To, __INT16_TYPE__>;
  cast[i32][to] = map1<Convert<To>, To, __INT32_TYPE__>;
  cast[i64][to] = map1<Convert<To>, To, __INT64_TYPE__>;
  cast[u8][to] = map1<Convert<To>, To, __UINT8_TYPE__>;
  cast[u16][to] = map1<Convert<To>, To, __UINT16_TYPE__>;
  cast[u32][to] = map1<Convert<To>, To, __UINT32_TYPE__>;
  cast[u64][to] = map1<Convert<To>, To, __UINT64_TYPE__>;
  cast[f16][to] = map1<Convert<To>, To, Half>;
  cast[f32][to] = map1<Convert<To>, To, float>;
  cast[f64][to] = map1<Convert<To>, To, double>;
  cast[c64][to] = map1<Convert<To>, To, Complex<float>>;
  cast[c128][to] = map1<Convert<To>, To, Complex<double>>;
}

template <class To>
void fill_cast_scale_offset(TileFn (&table)[tile_type_count][tile_type_count], int to) {
  table[i8][to] = map3<CastScaleOffset<To>, To, __INT8_TYPE__, To>;
  table[i16][to] = map3<CastScaleOffset<To>, To, __INT16_TYPE__, To>;
  table[i32][to] = map3<CastScaleOffset<To>, To, __INT32_TYPE__, To>;
  table[u8][to] = map3<CastScaleOffset<To>, To, __UINT8_TYPE__, To>;
  table[u16][to] = map3<CastScaleOffset<To>, To, __UINT16_TYPE__, To>;
  table[u32][to] = map3<CastScaleOffset<To>, To, __UINT32_TYPE__, To>;
  table[f16][to] = map3<CastScaleOffset<To>, To, Half, To>;
}

template <int Bytes>
void fill_copies(TileTable& t, int k) {
  const Op copies[] = {Op::positive, Op::conj, Op::real};
  for (const Op op : copies) t.op[at_op(op)][k] = copy<Bytes>;
  t.op[at_op(Op::imag)][k] = zero<Bytes>;
  t.op[at_op(Op::where)][k] = map3<Where, typename Raw<Bytes>::Type, bool, typename Raw<Bytes>::Type>;
  t.cast[k][k] = copy<Bytes>;
}

template <class T>
void fill_comparisons(TileTable& t, int k) {
  t.op[at_op(Op::equal)][k] = map2<Equal, bool, T>;
  t.op[at_op(Op::not_equal)][k] = map2<NotEqual, bool, T>;
  t.op[at_op(Op::less)][k] = map2<Less, bool, T>;
  t.op[at_op(Op::less_equal)][k] = map2<LessEqual, bool, T>;
  t.op[at_op(Op::greater)][k] = map2<Greater, bool, T>;
  t.op[at_op(Op::greater_equal)][k] = map2<GreaterEqual, bool, T>;
}

template <class T>
void fill_logical(TileTable& t, int k) {
  t.op[at_op(Op::logical_not)][k] = map1<LogicalNot, bool, T>;
  t.op[at_op(Op::logical_and)][k] = map2<LogicalAnd, bool, T>;
  t.op[at_op(Op::logical_or)][k] = map2<LogicalOr, bool, T>;
  t.op[at_op(Op::logical_xor)][k] = map2<LogicalXor, bool, T>;
}

template <class T>
void fill_order(TileTable& t, int k) {
  t.op[at_op(Op::maximum)][k] = map2<Maximum, T, T>;
  t.op[at_op(Op::minimum)][k] = map2<Minimum, T, T>;
  t.op[at_op(Op::clip)][k] = map3<Clip, T, T>;
}

template <class T>
void fill_bitwise(TileTable& t, int k) {
  t.op[at_op(Op::bitwise_invert)][k] = map1<BitwiseInvert, T, T>;
  t.op[at_op(Op::bitwise_and)][k] = map2<BitwiseAnd, T, T>;
  t.op[at_op(Op::bitwise_or)][k] = map2<BitwiseOr, T, T>;
  t.op[at_op(Op::bitwise_xor)][k] = map2<BitwiseXor, T, T>;
}

template <class T>
void fill_arithmetic(TileTable& t, int k) {
  t.op[at_op(Op::negative)][k] = map1<Negative, T, T>;
  t.op[at_op(Op::square)][k] = map1<Square, T, T>;
  t.op[at_op(Op::add)][k] = map2<Add, T, T>;
  t.op[at_op(Op::subtract)][k] = map2<Subtract, T, T>;
  t.op[at_op(Op::multiply)][k] = map2<Multiply, T, T>;
}

template <class T>
void fill_multiply_pairs(TileTable& t, int k) {
  t.super[static_cast<int>(Super::multiply_add)][k] = map3<MultiplyAdd, T, T>;
  t.super[static_cast<int>(Super::multiply_subtract)][k] = map3<MultiplySubtract, T, T>;
  t.super[static_cast<int>(Super::subtract_multiplied)][k] = map3<SubtractMultiplied, T, T>;
  t.super[static_cast<int>(Super::multiply_both_add)][k] = map4<MultiplyBothAdd, T, T>;
  t.super[static_cast<int>(Super::add_multiply)][k] = map3<AddMultiply, T, T>;
  t.super[static_cast<int>(Super::subtract_multiply)][k] = map3<SubtractMultiply, T, T>;
  t.super[static_cast<int>(Super::subtract_square)][k] = map2<SubtractSquare, T, T>;
}

template <class T>
void fill_selects(TileTable& t, int k) {
  t.super[static_cast<int>(Super::select_equal)][k] = map4<Select<Equal>, T, T>;
  t.super[static_cast<int>(Super::select_not_equal)][k] = map4<Select<NotEqual>, T, T>;
  t.super[static_cast<int>(Super::select_less)][k] = map4<Select<Less>, T, T>;
  t.super[static_cast<int>(Super::select_less_equal)][k] = map4<Select<LessEqual>, T, T>;
}

template <class T>
void fill_integer(TileTable& t, int k) {
  fill_copies<sizeof(T)>(t, k);
  fill_arithmetic<T>(t, k);
  fill_comparisons<T>(t, k);
  fill_logical<T>(t, k);
  fill_order<T>(t, k);
  fill_bitwise<T>(t, k);
  fill_selects<T>(t, k);
  const Op copies[] = {Op::floor, Op::ceil, Op::trunc, Op::round};
  for (const Op op : copies) t.op[at_op(op)][k] = copy<sizeof(T)>;
  if constexpr (Integer<T>::is_signed) {
    t.op[at_op(Op::abs)][k] = map1<Abs, T, T>;
    t.op[at_op(Op::signbit)][k] = map1<SignBit, bool, T>;
  } else {
    t.op[at_op(Op::abs)][k] = copy<sizeof(T)>;
    t.op[at_op(Op::signbit)][k] = constant_bool<false>;
  }
  t.op[at_op(Op::reciprocal)][k] = map1<Reciprocal, T, T>;
  t.op[at_op(Op::sign)][k] = map1<Sign, T, T>;
  t.op[at_op(Op::isnan)][k] = constant_bool<false>;
  t.op[at_op(Op::isinf)][k] = constant_bool<false>;
  t.op[at_op(Op::isfinite)][k] = constant_bool<true>;
  t.op[at_op(Op::bitwise_left_shift)][k] = map2<ShiftLeft, T, T>;
  t.op[at_op(Op::bitwise_right_shift)][k] = map2<ShiftRight, T, T>;
#if MORSEL_TILE_LEVEL == 0
  t.op[at_op(Op::floor_divide)][k] = map2<FloorDivide, T, T>;
  t.op[at_op(Op::remainder)][k] = map2<Remainder, T, T>;
  t.op[at_op(Op::pow)][k] = map2<IntegerPow, T, T>;
#endif
}

template <class T>
void fill_functions(TileTable& t, int k) {
  t.op[at_op(Op::sqrt)][k] = function1<Sqrt, T>;
  t.op[at_op(Op::cbrt)][k] = function1<Cbrt, T>;
  t.op[at_op(Op::exp)][k] = function1<Exp, T>;
  t.op[at_op(Op::exp2)][k] = function1<Exp2, T>;
  t.op[at_op(Op::expm1)][k] = function1<Expm1, T>;
  t.op[at_op(Op::log)][k] = function1<Log, T>;
  t.op[at_op(Op::log2)][k] = function1<Log2, T>;
  t.op[at_op(Op::log10)][k] = function1<Log10, T>;
  t.op[at_op(Op::log1p)][k] = function1<Log1p, T>;
  t.op[at_op(Op::sin)][k] = function1<Sin, T>;
  t.op[at_op(Op::cos)][k] = function1<Cos, T>;
  t.op[at_op(Op::tan)][k] = function1<Tan, T>;
  t.op[at_op(Op::asin)][k] = function1<Asin, T>;
  t.op[at_op(Op::acos)][k] = function1<Acos, T>;
  t.op[at_op(Op::atan)][k] = function1<Atan, T>;
  t.op[at_op(Op::sinh)][k] = function1<Sinh, T>;
  t.op[at_op(Op::cosh)][k] = function1<Cosh, T>;
  t.op[at_op(Op::tanh)][k] = function1<Tanh, T>;
  t.op[at_op(Op::asinh)][k] = function1<Asinh, T>;
  t.op[at_op(Op::acosh)][k] = function1<Acosh, T>;
  t.op[at_op(Op::atanh)][k] = function1<Atanh, T>;
  t.op[at_op(Op::atan2)][k] = function2<Atan2, T>;
  t.op[at_op(Op::hypot)][k] = function2<Hypot, T>;
  t.op[at_op(Op::pow)][k] = pow_of_floats<T>;
  t.op[at_op(Op::logaddexp)][k] = log_add_exp<T>;
}

template <class T>
void fill_float(TileTable& t, int k) {
  fill_copies<sizeof(T)>(t, k);
  fill_arithmetic<T>(t, k);
  fill_comparisons<T>(t, k);
  fill_logical<T>(t, k);
  fill_order<T>(t, k);
  fill_multiply_pairs<T>(t, k);
  fill_selects<T>(t, k);
  fill_functions<T>(t, k);
  t.super[static_cast<int>(Super::subtract_divide)][k] = map3<SubtractDivide, T, T>;
  t.op[at_op(Op::abs)][k] = map1<Abs, T, T>;
  t.op[at_op(Op::reciprocal)][k] = map1<Reciprocal, T, T>;
  t.op[at_op(Op::sign)][k] = map1<Sign, T, T>;
  t.op[at_op(Op::divide)][k] = map2<Divide, T, T>;
  t.op[at_op(Op::floor)][k] = map1<Floor, T, T>;
  t.op[at_op(Op::ceil)][k] = map1<Ceil, T, T>;
  t.op[at_op(Op::trunc)][k] = map1<Trunc, T, T>;
  t.op[at_op(Op::round)][k] = map1<Round, T, T>;
  t.op[at_op(Op::isnan)][k] = map1<IsNan, bool, T>;
  t.op[at_op(Op::isinf)][k] = map1<IsInf, bool, T>;
  t.op[at_op(Op::isfinite)][k] = map1<IsFinite, bool, T>;
  t.op[at_op(Op::signbit)][k] = map1<SignBit, bool, T>;
  t.op[at_op(Op::angle)][k] = map1<AngleOfReal, T, T>;
  t.op[at_op(Op::copysign)][k] = map2<CopySign, T, T>;
#if MORSEL_TILE_LEVEL == 0
  t.op[at_op(Op::floor_divide)][k] = map2<FloorDivide, T, T>;
  t.op[at_op(Op::remainder)][k] = map2<Remainder, T, T>;
  t.op[at_op(Op::nextafter)][k] = map2<NextAfter, T, T>;
#endif
}

// float16: through float, but for those on bits alone.
template <class = void>
void fill_half(TileTable& t) {
  fill_copies<2>(t, f16);
  fill_logical<Half>(t, f16);
  t.op[at_op(Op::signbit)][f16] = map1<SignBit, bool, Half>;
  t.op[at_op(Op::negative)][f16] = on_half<map1<Negative, float, float>, 1, false>;
  t.op[at_op(Op::square)][f16] = on_half<map1<Square, float, float>, 1, false>;
  t.op[at_op(Op::reciprocal)][f16] = on_half<map1<Reciprocal, float, float>, 1, false>;
  t.op[at_op(Op::sign)][f16] = on_half<map1<Sign, float, float>, 1, false>;
  t.op[at_op(Op::abs)][f16] = on_half<map1<Abs, float, float>, 1, false>;
  t.op[at_op(Op::floor)][f16] = on_half<map1<Floor, float, float>, 1, false>;
  t.op[at_op(Op::ceil)][f16] = on_half<map1<Ceil, float, float>, 1, false>;
  t.op[at_op(Op::trunc)][f16] = on_half<map1<Trunc, float, float>, 1, false>;
  t.op[at_op(Op::round)][f16] = on_half<map1<Round, float, float>, 1, false>;
  t.op[at_op(Op::angle)][f16] = on_half<map1<AngleOfReal, float, float>, 1, false>;
  t.op[at_op(Op::sqrt)][f16] = on_half<function1<Sqrt, float>, 1, false>;
  t.op[at_op(Op::cbrt)][f16] = on_half<function1<Cbrt, float>, 1, false>;
  t.op[at_op(Op::exp)][f16] = on_half<function1<Exp, float>, 1, false>;
  t.op[at_op(Op::exp2)][f16] = on_half<function1<Exp2, float>, 1, false>;
  t.op[at_op(Op::expm1)][f16] = on_half<function1<Expm1, float>, 1, false>;
  t.op[at_op(Op::log)][f16] = on_half<function1<Log, float>, 1, false>;
  t.op[at_op(Op::log2)][f16] = on_half<function1<Log2, float>, 1, false>;
  t.op[at_op(Op::log10)][f16] = on_half<function1<Log10, float>, 1, false>;
  t.op[at_op(Op::log1p)][f16] = on_half<function1<Log1p, float>, 1, false>;
  t.op[at_op(Op::sin)][f16] = on_half<function1<Sin, float>, 1, false>;
  t.op[at_op(Op::cos)][f16] = on_half<function1<Cos, float>, 1, false>;
  t.op[at_op(Op::tan)][f16] = on_half<function1<Tan, float>, 1, false>;
  t.op[at_op(Op::asin)][f16] = on_half<function1<Asin, float>, 1, false>;
  t.op[at_op(Op::acos)][f16] = on_half<function1<Acos, float>, 1, false>;
  t.op[at_op(Op::atan)][f16] = on_half<function1<Atan, float>, 1, false>;
  t.op[at_op(Op::sinh)][f16] = on_half<function1<Sinh, float>, 1, false>;
  t.op[at_op(Op::cosh)][f16] = on_half<function1<Cosh, float>, 1, false>;
  t.op[at_op(Op::tanh)][f16] = on_half<function1<Tanh, float>, 1, false>;
  t.op[at_op(Op::asinh)][f16] = on_half<function1<Asinh, float>, 1, false>;
  t.op[at_op(Op::acosh)][f16] = on_half<function1<Acosh, float>, 1, false>;
  t.op[at_op(Op::atanh)][f16] = on_half<function1<Atanh, float>, 1, false>;
  t.op[at_op(Op::isnan)][f16] = on_half<map1<IsNan, bool, float>, 1, true>;
  t.op[at_op(Op::isinf)][f16] = on_half<map1<IsInf, bool, float>, 1, true>;
  t.op[at_op(Op::isfinite)][f16] = on_half<map1<IsFinite, bool, float>, 1, true>;
  t.op[at_op(Op::add)][f16] = on_half<map2<Add, float, float>, 2, false>;
  t.op[at_op(Op::subtract)][f16] = on_half<map2<Subtract, float, float>, 2, false>;
  t.op[at_op(Op::multiply)][f16] = on_half<map2<Multiply, float, float>, 2, false>;
  t.op[at_op(Op::divide)][f16] = on_half<map2<Divide, float, float>, 2, false>;
  t.op[at_op(Op::maximum)][f16] = on_half<map2<Maximum, float, float>, 2, false>;
  t.op[at_op(Op::minimum)][f16] = on_half<map2<Minimum, float, float>, 2, false>;
  t.op[at_op(Op::copysign)][f16] = on_half<map2<CopySign, float, float>, 2, false>;
  t.op[at_op(Op::atan2)][f16] = on_half<function2<Atan2, float>, 2, false>;
  t.op[at_op(Op::hypot)][f16] = on_half<function2<Hypot, float>, 2, false>;
  t.op[at_op(Op::pow)][f16] = on_half<pow_of_floats<float>, 2, false>;
  t.op[at_op(Op::logaddexp)][f16] = on_half<log_add_exp<float>, 2, false>;
  t.op[at_op(Op::equal)][f16] = on_half<map2<Equal, bool, float>, 2, true>;
  t.op[at_op(Op::not_equal)][f16] = on_half<map2<NotEqual, bool, float>, 2, true>;
  t.op[at_op(Op::less)][f16] = on_half<map2<Less, bool, float>, 2, true>;
  t.op[at_op(Op::less_equal)][f16] = on_half<map2<LessEqual, bool, float>, 2, true>;
  t.op[at_op(Op::greater)][f16] = on_half<map2<Greater, bool, float>, 2, true>;
  t.op[at_op(Op::greater_equal)][f16] = on_half<map2<GreaterEqual, bool, float>, 2, true>;
  t.op[at_op(Op::clip)][f16] = on_half<map3<Clip, float, float>, 3, false>;
#if MORSEL_TILE_LEVEL == 0
  t.op[at_op(Op::floor_divide)][f16] = on_half<map2<FloorDivide, float, float>, 2, false>;
  t.op[at_op(Op::remainder)][f16] = on_half<map2<Remainder, float, float>, 2, false>;
  t.op[at_op(Op::nextafter)][f16] = map2<NextAfter, Half, Half>;
#endif
}

template <class R>
void fill_complex(TileTable& t, int k) {
  using Z = Complex<R>;
  fill_arithmetic<Z>(t, k);
  fill_comparisons<Z>(t, k);
  fill_logical<Z>(t, k);
  fill_order<Z>(t, k);
  t.op[at_op(Op::positive)][k] = copy<sizeof(Z)>;
  t.op[at_op(Op::where)][k] = map3<Where, typename Raw<sizeof(Z)>::Type, bool, typename Raw<sizeof(Z)>::Type>;
  t.cast[k][k] = copy<sizeof(Z)>;
  t.op[at_op(Op::conj)][k] = map1<Conj, Z, Z>;
  t.op[at_op(Op::real)][k] = map1<Real, R, Z>;
  t.op[at_op(Op::imag)][k] = map1<Imag, R, Z>;
  t.op[at_op(Op::reciprocal)][k] = map1<Reciprocal, Z, Z>;
  t.op[at_op(Op::divide)][k] = map2<Divide, Z, Z>;
  t.op[at_op(Op::round)][k] = map1<Round, Z, Z>;
  t.op[at_op(Op::isnan)][k] = map1<IsNan, bool, Z>;
  t.op[at_op(Op::isinf)][k] = map1<IsInf, bool, Z>;
  t.op[at_op(Op::isfinite)][k] = map1<IsFinite, bool, Z>;
}

template <class = void>
void fill_bool(TileTable& t) {
  fill_copies<1>(t, b1);
  fill_comparisons<bool>(t, b1);
  fill_logical<bool>(t, b1);
  fill_order<bool>(t, b1);
  fill_bitwise<bool>(t, b1);
  const Op copies[] = {Op::abs, Op::floor, Op::ceil, Op::trunc};
  for (const Op op : copies) t.op[at_op(op)][b1] = copy<1>;
  t.op[at_op(Op::add)][b1] = map2<Add, bool, bool>;
  t.op[at_op(Op::multiply)][b1] = map2<Multiply, bool, bool>;
  t.op[at_op(Op::isnan)][b1] = constant_bool<false>;
  t.op[at_op(Op::isinf)][b1] = constant_bool<false>;
  t.op[at_op(Op::isfinite)][b1] = constant_bool<true>;
  t.op[at_op(Op::signbit)][b1] = constant_bool<false>;
}

template <class A, class B>
void fill_mixed_comparisons(TileFn (&compare)[6]) {
  compare[0] = map2<Equal, bool, A, B>;
  compare[1] = map2<NotEqual, bool, A, B>;
  compare[2] = map2<Less, bool, A, B>;
  compare[3] = map2<LessEqual, bool, A, B>;
  compare[4] = map2<Greater, bool, A, B>;
  compare[5] = map2<GreaterEqual, bool, A, B>;
}

template <class = void>
void fill_table(TileTable& t) {
  fill_casts_to<bool>(t.cast, b1);
  fill_casts_to<__INT8_TYPE__>(t.cast, i8);
  fill_casts_to<__INT16_TYPE__>(t.cast, i16);
  fill_casts_to<__INT32_TYPE__>(t.cast, i32);
  fill_casts_to<__INT64_TYPE__>(t.cast, i64);
  fill_casts_to<__UINT8_TYPE__>(t.cast, u8);
  fill_casts_to<__UINT16_TYPE__>(t.cast, u16);
  fill_casts_to<__UINT32_TYPE__>(t.cast, u32);
  fill_casts_to<__UINT64_TYPE__>(t.cast, u64);
  fill_casts_to<Half>(t.cast, f16);
  fill_casts_to<float>(t.cast, f32);
  fill_casts_to<double>(t.cast, f64);
  fill_casts_to<Complex<float>>(t.cast, c64);
  fill_casts_to<Complex<double>>(t.cast, c128);
  fill_cast_scale_offset<float>(t.cast_scale_offset, f32);
  fill_cast_scale_offset<double>(t.cast_scale_offset, f64);
  // After the conversions: those from a type to itself are copies.
  fill_bool(t);
  fill_integer<__INT8_TYPE__>(t, i8);
  fill_integer<__INT16_TYPE__>(t, i16);
  fill_integer<__INT32_TYPE__>(t, i32);
  fill_integer<__INT64_TYPE__>(t, i64);
  fill_integer<__UINT8_TYPE__>(t, u8);
  fill_integer<__UINT16_TYPE__>(t, u16);
  fill_integer<__UINT32_TYPE__>(t, u32);
  fill_integer<__UINT64_TYPE__>(t, u64);
  fill_half(t);
  fill_float<float>(t, f32);
  fill_float<double>(t, f64);
  fill_complex<float>(t, c64);
  fill_complex<double>(t, c128);
  fill_mixed_comparisons<__INT64_TYPE__, __UINT64_TYPE__>(t.compare_i64_u64);
  fill_mixed_comparisons<__UINT64_TYPE__, __INT64_TYPE__>(t.compare_u64_i64);
}

#if defined(__clang__)
#pragma float_control(pop)
#pragma clang diagnostic pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif
