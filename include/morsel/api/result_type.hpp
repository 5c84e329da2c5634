// The element types that operations and reductions give, at compile time: the same rules as resolve_op and
// make_reducer have at run time, and tested to be equal.
#pragma once

#include <morsel/array/promote.hpp>
#include <morsel/kernel/op_list.hpp>
#include <morsel/kernel/reducer.hpp>

namespace morsel::inline MORSEL_ABI {

/// The dtype of `op` on operands of these dtypes (`b`, `c`: those that there are); `carried` where the
/// operation is not defined for them.
constexpr Type operation_result(Op op, int arity, Type a, Type b = Type::bool_, Type c = Type::bool_) {
  if (op == Op::where) return promote(b, c);
  Type t = a;
  if (arity > 1) t = promote(t, b);
  if (arity > 2) t = promote(t, c);
  const Type without_bool = is_bool(t) ? Type::int8 : t;
  switch (op) {
    case Op::negative:
    case Op::positive:
    case Op::sign:
    case Op::subtract:
      return is_bool(t) ? Type::carried : t;
    case Op::square:
    case Op::reciprocal:
    case Op::conj:
    case Op::pow:
      return without_bool;
    case Op::abs:
    case Op::real:
    case Op::imag:
      return real_of(t);
    case Op::sqrt:
    case Op::exp:
    case Op::exp2:
    case Op::expm1:
    case Op::log:
    case Op::log2:
    case Op::log10:
    case Op::log1p:
    case Op::sin:
    case Op::cos:
    case Op::tan:
    case Op::asin:
    case Op::acos:
    case Op::atan:
    case Op::sinh:
    case Op::cosh:
    case Op::tanh:
    case Op::asinh:
    case Op::acosh:
    case Op::atanh:
      return float_result(t);
    case Op::cbrt:
      return is_complex(t) ? Type::carried : float_result(t);
    case Op::atan2:
    case Op::hypot:
    case Op::logaddexp:
    case Op::copysign:
    case Op::nextafter:
      return is_complex(t) ? Type::carried : promote(float_result(a), float_result(b));
    case Op::floor:
    case Op::ceil:
    case Op::trunc:
      return is_complex(t) ? Type::carried : t;
    case Op::round:
      return is_bool(t) ? Type::float16 : t;
    case Op::isnan:
    case Op::isinf:
    case Op::isfinite:
    case Op::logical_not:
    case Op::logical_and:
    case Op::logical_or:
    case Op::logical_xor:
    case Op::equal:
    case Op::not_equal:
    case Op::less:
    case Op::less_equal:
    case Op::greater:
    case Op::greater_equal:
      return Type::bool_;
    case Op::signbit:
      return is_complex(t) ? Type::carried : Type::bool_;
    case Op::bitwise_invert:
    case Op::bitwise_and:
    case Op::bitwise_or:
    case Op::bitwise_xor:
      return is_bool(t) || is_integer(t) ? t : Type::carried;
    case Op::bitwise_left_shift:
    case Op::bitwise_right_shift:
      return is_bool(t) || is_integer(t) ? without_bool : Type::carried;
    case Op::angle:
      return is_bool(t) ? Type::float64 : real_of(float_result(t));
    case Op::add:
    case Op::multiply:
    case Op::maximum:
    case Op::minimum:
    case Op::clip:
      return t;
    case Op::divide:
      return is_bool(t) || is_integer(t) ? Type::float64 : t;
    case Op::floor_divide:
    case Op::remainder:
      return is_complex(t) ? Type::carried : without_bool;
    case Op::where:
      break;
  }
  return Type::carried;
}

/// An operand as promotion sees it: an array, or a scalar of a kind.
struct OperandType {
  bool is_scalar = false;
  Type type = Type::bool_;
  WeakKind kind = WeakKind::boolean;
};

/// The dtype of `op` on arrays and scalars. **Requires**: one array at least.
template <int arity>
constexpr Type operation_result(Op op, const OperandType (&operands)[arity]) {
  const int first = op == Op::where ? 1 : 0;
  bool any_type = false, any_scalar = false;
  Type common = Type::bool_;
  WeakKind kind = WeakKind::boolean;
  for (int i = first; i < arity; ++i) {
    if (operands[i].is_scalar) {
      any_scalar = true;
      kind = kind < operands[i].kind ? operands[i].kind : kind;
    } else {
      common = any_type ? promote(common, operands[i].type) : operands[i].type;
      any_type = true;
    }
  }
  if (any_scalar) common = promote_weak(common, kind);
  Type types[3] = {Type::bool_, Type::bool_, Type::bool_};
  for (int i = 0; i < arity; ++i) types[i] = operands[i].is_scalar && i >= first ? common : operands[i].type;
  return operation_result(op, arity, types[0], types[1], types[2]);
}

/// The dtype of a reduction of values of dtype `t`; `carried` where it is not defined.
constexpr Type reduction_result(Reduction reduction, Type t) {
  switch (reduction) {
    case Reduction::sum:
    case Reduction::prod:
      return is_unsigned_integer(t) ? Type::uint64 : is_bool(t) || is_integer(t) ? Type::int64 : t;
    case Reduction::mean:
      return is_bool(t) || is_integer(t) ? Type::float64 : t;
    case Reduction::var:
    case Reduction::stddev:
      return is_bool(t) || is_integer(t) ? Type::float64 : real_of(t);
    case Reduction::min:
    case Reduction::max:
      return t;
    case Reduction::argmin:
    case Reduction::argmax:
    case Reduction::count_nonzero:
      return Type::int64;
    case Reduction::histogram:
      return is_complex(t) ? Type::carried : Type::int64;
    case Reduction::any:
    case Reduction::all:
      return Type::bool_;
  }
  return Type::carried;
}

}  // namespace morsel::inline MORSEL_ABI
