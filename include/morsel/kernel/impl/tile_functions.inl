// Part of tile_loops.inl: functions of real numbers, whole vectors at a time.

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

// A function on a vector, if the library has those, and on one element with the same bits.
#if MORSEL_HAVE_SLEEF
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
#else
#define MORSEL_TILE_FUNCTION1(TYPE, NAME, ULP)                   \
  struct TYPE {                                                  \
    static double one(double x) { return __builtin_##NAME(x); }  \
    static float one(float x) { return __builtin_##NAME##f(x); } \
  };
#define MORSEL_TILE_FUNCTION2(TYPE, NAME, ULP)                               \
  struct TYPE {                                                              \
    static double one(double x, double y) { return __builtin_##NAME(x, y); } \
    static float one(float x, float y) { return __builtin_##NAME##f(x, y); } \
  };
#endif
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

// Functions over a tile, whole vectors at a time where they can; the last partial vector goes through a
// padded copy.
template <class F, class T>
void apply1(Size n, T* o, const T* a) {
  typedef typename Vector<T>::Type V;
  if constexpr (!requires(V v) { F::vector(v); }) {
    for (Size i = 0; i < n; ++i) o[i] = F::one(a[i]);
  } else {
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
}
template <class F, class T>
void apply2(Size n, T* o, const T* a, const T* b) {
  typedef typename Vector<T>::Type V;
  if constexpr (!requires(V v) { F::vector(v, v); }) {
    for (Size i = 0; i < n; ++i) o[i] = F::one(a[i], b[i]);
  } else {
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
}

// Where SLEEF's range ends before the function does: `needed` is cheap and true there, `at` gives the value.
template <class F, class T>
struct Repair {
  static constexpr bool exists = false;
};
template <>
struct Repair<Exp, double> {
  static constexpr bool exists = true;
  static bool needed(double x, double) { return x > 709.7 && x < 709.8; }
  static double at(double x, double) { return Exp::one(x - 1) * 2.71828182845904523536; }
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
__attribute__((noinline)) void real_function(Size n, T* o, const T* a) {
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
inline float large_power(float a, float b) {
  return static_cast<float>(Pow::one(static_cast<double>(a), static_cast<double>(b)));
}
inline double large_power(double a, double b) {
  if (b == 1) return a;
  const double root = Pow::one(a, b * 0.5);
  return root * root;
}
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
    if (is_infinite(o[i]) && is_finite(a[i]) && a[i] != 0 && is_finite(b[i]))
      o[i] = with_sign_of(large_power(magnitude(a[i]), b[i]), o[i]);
}

// max(a, b) + log1p(exp(-|a - b|)): within 4 ulp of the larger of the two terms.
template <class T>
void log_add_exp(Size n, void* out, const void* const* in, const void*) {
  T* o = static_cast<T*>(out);
  const T* a = static_cast<const T*>(in[0]);
  const T* b = static_cast<const T*>(in[1]);
  check_length(n);
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
