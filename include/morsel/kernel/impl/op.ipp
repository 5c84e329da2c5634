#pragma once

#include <morsel/kernel/op.hpp>
#include <string>

namespace morsel::inline MORSEL_ABI {

namespace detail {

struct OpAlias {
  std::string_view alias;
  Op op;
};

inline constexpr OpAlias op_aliases[] = {
    {"absolute", Op::abs},
    {"fabs", Op::abs},
    {"true_divide", Op::divide},
    {"mod", Op::remainder},
    {"power", Op::pow},
    {"float_power", Op::pow},
    {"arcsin", Op::asin},
    {"arccos", Op::acos},
    {"arctan", Op::atan},
    {"arcsinh", Op::asinh},
    {"arccosh", Op::acosh},
    {"arctanh", Op::atanh},
    {"arctan2", Op::atan2},
    {"conjugate", Op::conj},
    {"invert", Op::bitwise_invert},
    {"bitwise_not", Op::bitwise_invert},
    {"left_shift", Op::bitwise_left_shift},
    {"right_shift", Op::bitwise_right_shift},
    {"rint", Op::round},
    {"around", Op::round},
    {"fix", Op::trunc},
};

// How an operation chooses its kernel's dtype from its operands' common one.
enum class OpFamily : std::uint8_t {
  numeric,         // any dtype but bool, which becomes int8
  numeric_bool,    // any dtype, bool too
  no_bool,         // any dtype but bool
  real_numeric,    // real dtypes, bool as int8
  real_any,        // real dtypes
  function,        // float16/32/64 by size, complex as it is
  real_function,   // float16/32/64 by size, complex refused
  division,        // float64 for bool and integers
  integer_bool,    // bool and integers
  shift,           // integers, bool as int8
  predicate,       // any dtype -> bool
  real_predicate,  // real dtypes -> bool
  to_real,         // any dtype -> the type of its parts
  rounding,        // any dtype, bool as float16
  angle,
  comparison,
  select
};

MORSEL_INLINE OpFamily family_of(Op op) {
  switch (op) {
    case Op::negative:
    case Op::positive:
    case Op::sign:
    case Op::subtract:
      return OpFamily::no_bool;
    case Op::square:
    case Op::reciprocal:
    case Op::conj:
    case Op::pow:
      return OpFamily::numeric;
    case Op::abs:
    case Op::real:
    case Op::imag:
      return OpFamily::to_real;
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
      return OpFamily::function;
    case Op::cbrt:
    case Op::atan2:
    case Op::hypot:
    case Op::logaddexp:
    case Op::copysign:
    case Op::nextafter:
      return OpFamily::real_function;
    case Op::floor:
    case Op::ceil:
    case Op::trunc:
      return OpFamily::real_any;
    case Op::round:
      return OpFamily::rounding;
    case Op::isnan:
    case Op::isinf:
    case Op::isfinite:
    case Op::logical_not:
    case Op::logical_and:
    case Op::logical_or:
    case Op::logical_xor:
      return OpFamily::predicate;
    case Op::signbit:
      return OpFamily::real_predicate;
    case Op::bitwise_invert:
    case Op::bitwise_and:
    case Op::bitwise_or:
    case Op::bitwise_xor:
      return OpFamily::integer_bool;
    case Op::bitwise_left_shift:
    case Op::bitwise_right_shift:
      return OpFamily::shift;
    case Op::angle:
      return OpFamily::angle;
    case Op::add:
    case Op::multiply:
    case Op::maximum:
    case Op::minimum:
    case Op::clip:
      return OpFamily::numeric_bool;
    case Op::divide:
      return OpFamily::division;
    case Op::floor_divide:
    case Op::remainder:
      return OpFamily::real_numeric;
    case Op::equal:
    case Op::not_equal:
    case Op::less:
    case Op::less_equal:
    case Op::greater:
    case Op::greater_equal:
      return OpFamily::comparison;
    case Op::where:
      return OpFamily::select;
  }
  return OpFamily::numeric;
}

[[noreturn]] MORSEL_INLINE void refuse_op(Op op, std::span<const Type> operands, const char* expected) {
  std::string got;
  for (const Type t : operands) got += (got.empty() ? "" : ", ") + std::string(name_of(t));
  fail(Errc::dtype_mismatch,
       std::string(name_of(op)) + ": not defined for this dtype; expected " + expected + ", got " + got);
}

MORSEL_INLINE OpTypes same_types(Type in, Type result) { return {{in, in, in}, result}; }

}  // namespace detail

MORSEL_INLINE std::string_view name_of(Op op) {
  switch (op) {
#define MORSEL_OP(NAME, ARITY) \
  case Op::NAME:               \
    return #NAME;
    MORSEL_FOR_EACH_OP(MORSEL_OP)
#undef MORSEL_OP
  }
  return "?";
}

MORSEL_INLINE int arity_of(Op op) {
  switch (op) {
#define MORSEL_OP(NAME, ARITY) \
  case Op::NAME:               \
    return ARITY;
    MORSEL_FOR_EACH_OP(MORSEL_OP)
#undef MORSEL_OP
  }
  return 0;
}

MORSEL_INLINE std::optional<Op> find_op(std::string_view name) {
  for (int i = 0; i < op_count; ++i)
    if (name_of(static_cast<Op>(i)) == name) return static_cast<Op>(i);
  for (const detail::OpAlias& a : detail::op_aliases)
    if (a.alias == name) return a.op;
  return std::nullopt;
}

MORSEL_INLINE OpTypes resolve_op(Op op, std::span<const Type> operands) {
  using detail::OpFamily;
  if (static_cast<int>(operands.size()) != arity_of(op))
    fail(Errc::invalid_argument, std::string(name_of(op)) + ": wrong number of operands; expected " +
                                     std::to_string(arity_of(op)) + ", got " +
                                     std::to_string(operands.size()));
  for (const Type t : operands)
    if (t == Type::carried) detail::refuse_op(op, operands, "one of the fourteen numeric dtypes");
  const OpFamily family = detail::family_of(op);
  if (family == OpFamily::select) {
    const Type t = promote(operands[1], operands[2]);
    return {{Type::bool_, t, t}, t};
  }
  if (family == OpFamily::comparison) {
    const Type a = operands[0], b = operands[1];
    // Promotion would go through float64 and compare neighbours above 2^53 as equal.
    if (is_signed_integer(a) && b == Type::uint64)
      return {{Type::int64, Type::uint64, Type::int64}, Type::bool_};
    if (a == Type::uint64 && is_signed_integer(b))
      return {{Type::uint64, Type::int64, Type::int64}, Type::bool_};
    return detail::same_types(promote(a, b), Type::bool_);
  }
  if (family == OpFamily::real_function && operands.size() == 2) {
    // The narrowest float that holds each operand, not the float of their common integer: atan2(int8, uint8)
    // is float16.
    const Type t = promote(float_result(operands[0]), float_result(operands[1]));
    if (is_complex(t)) detail::refuse_op(op, operands, "real numbers");
    return detail::same_types(t, t);
  }
  Type t = operands[0];
  for (std::size_t i = 1; i < operands.size(); ++i) t = promote(t, operands[i]);
  const Type not_bool = is_bool(t) ? Type::int8 : t;
  switch (family) {
    case OpFamily::numeric:
      return detail::same_types(not_bool, not_bool);
    case OpFamily::numeric_bool:
      return detail::same_types(t, t);
    case OpFamily::no_bool:
      if (is_bool(t)) detail::refuse_op(op, operands, "numbers (use logical_not or logical_xor)");
      return detail::same_types(t, t);
    case OpFamily::real_numeric:
      if (is_complex(t)) detail::refuse_op(op, operands, "real numbers");
      return detail::same_types(not_bool, not_bool);
    case OpFamily::real_any:
      if (is_complex(t)) detail::refuse_op(op, operands, "real numbers");
      return detail::same_types(t, t);
    case OpFamily::function:
      return detail::same_types(float_result(t), float_result(t));
    case OpFamily::real_function:
      if (is_complex(t)) detail::refuse_op(op, operands, "real numbers");
      return detail::same_types(float_result(t), float_result(t));
    case OpFamily::division: {
      const Type d = is_bool(t) || is_integer(t) ? Type::float64 : t;
      return detail::same_types(d, d);
    }
    case OpFamily::integer_bool:
      if (!is_bool(t) && !is_integer(t)) detail::refuse_op(op, operands, "bool or integers");
      return detail::same_types(t, t);
    case OpFamily::shift:
      if (!is_bool(t) && !is_integer(t)) detail::refuse_op(op, operands, "integers");
      return detail::same_types(not_bool, not_bool);
    case OpFamily::predicate:
      return detail::same_types(t, Type::bool_);
    case OpFamily::real_predicate:
      if (is_complex(t)) detail::refuse_op(op, operands, "real numbers");
      return detail::same_types(t, Type::bool_);
    case OpFamily::to_real:
      return detail::same_types(t, real_of(t));
    case OpFamily::rounding: {
      const Type r = is_bool(t) ? Type::float16 : t;
      return detail::same_types(r, r);
    }
    case OpFamily::angle: {
      const Type a = is_bool(t) ? Type::float64 : float_result(t);
      return detail::same_types(a, real_of(a));
    }
    case OpFamily::comparison:
    case OpFamily::select:
      break;
  }
  fail(Errc::internal_error, "resolving an operation: unknown family of " + std::string(name_of(op)));
}

}  // namespace morsel::inline MORSEL_ABI
