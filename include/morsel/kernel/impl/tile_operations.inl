// Part of tile_loops.inl: operations on one element.

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
    return {rounded(a.re * b.re) - rounded(a.im * b.im), rounded(a.re * b.im) + rounded(a.im * b.re)};
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
      return {(a.re + rounded(a.im * ratio)) * scale, (a.im - rounded(a.re * ratio)) * scale};
    }
    const R ratio = b.re / b.im, scale = R(1) / (b.im + b.re * ratio);
    return {(rounded(a.re * ratio) + a.im) * scale, (rounded(a.im * ratio) - a.re) * scale};
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
// By masks: GCC makes no vectors of a choice by bool.
struct Where {
  template <class T>
  static T at(__UINT8_TYPE__ condition, T a, T b) {
    const T mask = static_cast<T>(T(0) - T(condition != 0));
    return static_cast<T>((a & mask) | (b & ~mask));
  }
  static Wide at(__UINT8_TYPE__ condition, Wide a, Wide b) {
    return {at(condition, a.low, b.low), at(condition, a.high, b.high)};
  }
};

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
    W result = 1, factor = static_cast<W>(static_cast<typename Integer<T>::Unsigned>(base));
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
