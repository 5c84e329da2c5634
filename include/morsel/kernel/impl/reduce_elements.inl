// Reduction loops: reading elements, widening them, NaN, truth. Part of reduce_loops.inl.

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
