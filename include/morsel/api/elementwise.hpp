// Functions that go element by element, under the names of the Array API standard, and NumPy's aliases.
//
// sqrt(a), where(c, x, y), atan2(y, x), ...: one function for every operation in kernel/op_list.hpp. Operands
// are lazy arrays, xtensor arrays and C++ numbers, broadcast against each other; dtypes promote as in
// NumPy 2.
#pragma once

#include <morsel/api/operand.hpp>

namespace morsel::inline MORSEL_ABI {

// With xtensor operands alone these bind const references: where argument-dependent lookup finds xtensor's
// own function of that name too, one of them is always the better match.
#define MORSEL_FUNCTION_1(NAME)       \
  template <ArrayLike A>              \
  auto NAME(const A& a) {             \
    return detail::call<Op::NAME>(a); \
  }
#define MORSEL_FUNCTION_2(NAME)                                    \
  template <class A, class B>                                      \
  requires LazyCall<A, B>                                          \
  auto NAME(A&& a, B&& b) { return detail::call<Op::NAME>(a, b); } \
  template <class A, class B>                                      \
  requires EagerCall<A, B>                                         \
  auto NAME(const A& a, const B& b) { return detail::call<Op::NAME>(a, b); }
#define MORSEL_FUNCTION_3(NAME)                                              \
  template <class A, class B, class C>                                       \
  requires LazyCall<A, B, C>                                                 \
  auto NAME(A&& a, B&& b, C&& c) { return detail::call<Op::NAME>(a, b, c); } \
  template <class A, class B, class C>                                       \
  requires EagerCall<A, B, C>                                                \
  auto NAME(const A& a, const B& b, const C& c) { return detail::call<Op::NAME>(a, b, c); }
#define MORSEL_FUNCTION(NAME, ARITY) MORSEL_FUNCTION_##ARITY(NAME)
MORSEL_FOR_EACH_OP(MORSEL_FUNCTION)
#undef MORSEL_FUNCTION
#undef MORSEL_FUNCTION_1
#undef MORSEL_FUNCTION_2
#undef MORSEL_FUNCTION_3

// NumPy's other names.
template <ArrayLike A>
auto absolute(const A& a) {
  return detail::call<Op::abs>(a);
}
template <class A, class B>
requires(LazyCall<A, B> || EagerCall<A, B>) auto power(const A& a, const B& b) {
  return detail::call<Op::pow>(a, b);
}

/// The values converted to T when they are computed. An xtensor array is converted at once.
template <Element T, ArrayLike A>
auto astype(const A& a) {
  using R = element_t<type_of<T>>;
  if constexpr (EagerArray<A>)
    return detail::lazy_reference(a).template as<R>().compute();
  else
    return AnyLazyArray(a).template as<R>();
}

}  // namespace morsel::inline MORSEL_ABI
