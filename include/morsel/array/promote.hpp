// NumPy 2's promotion (NEP 50) over the fourteen numeric dtypes: one table, at compile time and at run time.
#pragma once

#include <morsel/array/dtype.hpp>

namespace morsel::inline MORSEL_ABI {

/// A scalar whose kind may raise a result's kind but never its width: C++ arithmetic values and literals.
enum class WeakKind : std::uint8_t { boolean, integer, floating, complex };

/// The dtype of `a op b` for arithmetic, as NumPy 2 has it: int32+float32 -> float64, int64+uint64 ->
/// float64.
constexpr Type promote(Type a, Type b) {
  if (a == b) return a;
  if (a > b) {
    const Type t = a;
    a = b;
    b = t;
  }
  if (is_bool(a)) return b;
  const auto bytes = [](Type t) { return item_bytes_of(t); };
  const auto signed_of = [](std::size_t n) {
    return n == 1 ? Type::int8 : n == 2 ? Type::int16 : n == 4 ? Type::int32 : Type::int64;
  };
  // The narrowest float that holds every value of a type (float64 for 64-bit integers by convention).
  const auto float_for = [&](Type t) {
    if (is_floating(t)) return t;
    if (t == Type::complex64) return Type::float32;
    if (t == Type::complex128) return Type::float64;
    return bytes(t) == 1 ? Type::float16 : bytes(t) == 2 ? Type::float32 : Type::float64;
  };
  const auto wider = [](Type x, Type y) { return x > y ? x : y; };
  if (is_integer(a) && is_integer(b)) {
    if (is_signed_integer(a) == is_signed_integer(b)) return wider(a, b);
    // a is signed (lower enumerator), b unsigned.
    if (bytes(a) > bytes(b)) return a;
    return bytes(b) == 8 ? Type::float64 : signed_of(2 * bytes(b));
  }
  const Type real = wider(float_for(a), float_for(b));
  if (is_complex(b)) return real == Type::float64 ? Type::complex128 : Type::complex64;
  return real;
}

/// The dtype of `a op scalar` for a weak scalar.
constexpr Type promote_weak(Type a, WeakKind kind) {
  switch (kind) {
    case WeakKind::boolean:
      return a;
    case WeakKind::integer:
      return is_bool(a) ? Type::int64 : a;
    case WeakKind::floating:
      return is_bool(a) || is_integer(a) ? Type::float64 : a;
    case WeakKind::complex:
      return is_complex(a)                              ? a
             : a == Type::float16 || a == Type::float32 ? Type::complex64
                                                        : Type::complex128;
  }
  return a;
}

/// The float type that functions such as sqrt and exp give for `a`: int8 -> float16, int16 -> float32, wider
/// -> float64, floats and complex unchanged.
constexpr Type float_result(Type a) {
  if (is_floating(a) || is_complex(a)) return a;
  return item_bytes_of(a) == 1 ? Type::float16 : item_bytes_of(a) == 2 ? Type::float32 : Type::float64;
}

/// The type of the parts of a complex type; any other type is its own.
constexpr Type real_of(Type a) {
  return a == Type::complex64 ? Type::float32 : a == Type::complex128 ? Type::float64 : a;
}

namespace detail {
template <Type>
struct CppOf;
#define MORSEL_CPP_OF(NAME, CPP) \
  template <>                    \
  struct CppOf<Type::NAME> {     \
    using type = CPP;            \
  };
MORSEL_FOR_EACH_NUMERIC(MORSEL_CPP_OF)
#undef MORSEL_CPP_OF
}  // namespace detail

/// The C++ element type of a numeric dtype.
template <Type type>
using element_t = typename detail::CppOf<type>::type;

/// The element type of `A op B`; not std::common_type.
template <Element A, Element B>
using promote_t = element_t<promote(type_of<A>, type_of<B>)>;

}  // namespace morsel::inline MORSEL_ABI
