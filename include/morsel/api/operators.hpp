// Operators on lazy arrays. `a + b` is a LazyArray, no proxy; comparisons give LazyArray<bool>; `/` on
// integers gives float64, `%` floors as in Python.
#pragma once

#include <morsel/api/elementwise.hpp>

namespace morsel::inline MORSEL_ABI {

// The parameters are those of xtensor's operators, so that the constraint decides when one side is an xtensor
// array.
#define MORSEL_BINARY_OPERATOR(SIGN, OP) \
  template <class A, class B>            \
  requires LazyCall<A, B>                \
  auto operator SIGN(A&& a, B&& b) { return detail::call<Op::OP>(a, b); }
MORSEL_BINARY_OPERATOR(+, add)
MORSEL_BINARY_OPERATOR(-, subtract)
MORSEL_BINARY_OPERATOR(*, multiply)
MORSEL_BINARY_OPERATOR(/, divide)
MORSEL_BINARY_OPERATOR(%, remainder)
MORSEL_BINARY_OPERATOR(&, bitwise_and)
MORSEL_BINARY_OPERATOR(|, bitwise_or)
MORSEL_BINARY_OPERATOR(^, bitwise_xor)
MORSEL_BINARY_OPERATOR(<<, bitwise_left_shift)
MORSEL_BINARY_OPERATOR(>>, bitwise_right_shift)
MORSEL_BINARY_OPERATOR(==, equal)
MORSEL_BINARY_OPERATOR(!=, not_equal)
MORSEL_BINARY_OPERATOR(<, less)
MORSEL_BINARY_OPERATOR(<=, less_equal)
MORSEL_BINARY_OPERATOR(>, greater)
MORSEL_BINARY_OPERATOR(>=, greater_equal)
MORSEL_BINARY_OPERATOR(&&, logical_and)
MORSEL_BINARY_OPERATOR(||, logical_or)
#undef MORSEL_BINARY_OPERATOR

#define MORSEL_UNARY_OPERATOR(SIGN, OP) \
  template <LazyLike A>                 \
  auto operator SIGN(const A& a) {      \
    return detail::call<Op::OP>(a);     \
  }
MORSEL_UNARY_OPERATOR(+, positive)
MORSEL_UNARY_OPERATOR(-, negative)
MORSEL_UNARY_OPERATOR(~, bitwise_invert)
MORSEL_UNARY_OPERATOR(!, logical_not)
#undef MORSEL_UNARY_OPERATOR

}  // namespace morsel::inline MORSEL_ABI
