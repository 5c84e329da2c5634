#include "scalar.hpp"

#include <charconv>
#include <cmath>
#include <limits>

namespace morsel::app {
namespace {

using Integer = __int128;  // holds what any one operation on two 64-bit integers gives, ** and << aside
using Complex = std::complex<double>;

bool is_integral(const Scalar& s) { return s.kind == WeakKind::boolean || s.kind == WeakKind::integer; }

Integer integer_of(const Scalar& s) {
  return s.is_unsigned ? static_cast<Integer>(static_cast<std::uint64_t>(s.integer))
                       : static_cast<Integer>(s.integer);
}

Complex complex_of(const Scalar& s) { return is_integral(s) ? Complex(real_of(s)) : s.number; }

[[noreturn]] void refuse_overflow(std::string_view op) {
  fail(Errc::overflow, std::string(op) +
                           " of integers: the result needs more than 64 bits; expected one between " +
                           "-9223372036854775808 and 18446744073709551615 (write 2.0 for a float)");
}

Scalar integer_scalar(std::string_view op, Integer value) {
  if (value >= std::numeric_limits<std::int64_t>::min() && value <= std::numeric_limits<std::int64_t>::max())
    return Scalar::of(static_cast<std::int64_t>(value));
  if (value > 0 && value <= std::numeric_limits<std::uint64_t>::max())
    return Scalar::of(static_cast<std::uint64_t>(value));
  refuse_overflow(op);
}

[[noreturn]] void refuse_zero(std::string_view op) {
  fail(Errc::invalid_argument,
       std::string(op) + " of numbers: division by zero; expected a divisor other than 0");
}

[[noreturn]] void refuse_kind(std::string_view op, const Scalar& left, const Scalar& right,
                              const char* expected) {
  fail(Errc::dtype_mismatch, std::string(op) + " of numbers: not defined for them; expected " + expected +
                                 ", got " + to_string(left) + " and " + to_string(right));
}

/// left / right, correctly rounded.
double quotient(Integer left, Integer right) {
  const bool negative = (left < 0) != (right < 0);
  auto numerator = static_cast<unsigned __int128>(left < 0 ? -left : left);
  const auto denominator = static_cast<unsigned __int128>(right < 0 ? -right : right);
  int shift = 0;
  while (numerator != 0 && shift < 126 && (numerator >> 126) == 0) {
    numerator <<= 1;
    ++shift;
  }
  // At least 62 bits of quotient; a remainder counts as a last bit, so that the one rounding knows of it.
  unsigned __int128 bits = numerator / denominator;
  if (numerator % denominator != 0) bits |= 1;
  const double value = std::ldexp(static_cast<double>(bits), -shift);
  return negative ? -value : value;
}

Integer floor_quotient(Integer left, Integer right) {
  const Integer q = left / right;
  return q - (left % right != 0 && (left < 0) != (right < 0));
}

/// CPython's float divmod.
void float_divmod(double left, double right, double& floor, double& mod) {
  mod = std::fmod(left, right);
  double div = (left - mod) / right;
  if (mod != 0) {
    if ((right < 0) != (mod < 0)) {
      mod += right;
      div -= 1;
    }
  } else {
    mod = std::copysign(0.0, right);
  }
  if (div != 0) {
    floor = std::floor(div);
    if (div - floor > 0.5) floor += 1;
  } else {
    floor = std::copysign(0.0, left / right);
  }
}

Scalar integer_power(Integer base, Integer exponent) {
  if (exponent < 0) {
    if (base == 0) refuse_zero("**");
    return Scalar::of(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  if (base == 0 || base == 1) return Scalar::of(static_cast<std::int64_t>(exponent == 0 ? 1 : base));
  if (base == -1) return Scalar::of(std::int64_t{exponent % 2 == 0 ? 1 : -1});
  Integer result = 1;
  for (Integer i = 0; i < exponent; ++i) {
    result *= base;
    if (result > std::numeric_limits<std::uint64_t>::max() ||
        result < std::numeric_limits<std::int64_t>::min())
      refuse_overflow("**");
  }
  return integer_scalar("**", result);
}

Scalar float_power(double base, double exponent) {
  if (base == 0 && exponent < 0) refuse_zero("**");
  if (base < 0 && std::isfinite(base) && std::isfinite(exponent) && exponent != std::floor(exponent))
    return Scalar::of(std::pow(Complex(base), Complex(exponent)));
  const double value = std::pow(base, exponent);
  if (std::isinf(value) && std::isfinite(base) && std::isfinite(exponent))
    fail(Errc::overflow, "** of floats: the result is too large; expected one below 1.8e308, got " +
                             to_string(Scalar::of(base)) + " ** " + to_string(Scalar::of(exponent)));
  return Scalar::of(value);
}

Complex complex_quotient(Complex a, Complex b) {
  if (b == Complex(0)) refuse_zero("/");
  // Smith's method, as CPython.
  if (std::fabs(b.real()) >= std::fabs(b.imag())) {
    const double ratio = b.imag() / b.real(), denominator = b.real() + b.imag() * ratio;
    return {(a.real() + a.imag() * ratio) / denominator, (a.imag() - a.real() * ratio) / denominator};
  }
  const double ratio = b.real() / b.imag(), denominator = b.real() * ratio + b.imag();
  return {(a.real() * ratio + a.imag()) / denominator, (a.imag() * ratio - a.real()) / denominator};
}

/// -1, 0, 1; 2 if one of them is NaN. Exact between integers and floats.
int compare(const Scalar& left, const Scalar& right) {
  if (is_integral(left) && is_integral(right)) {
    const Integer a = integer_of(left), b = integer_of(right);
    return a < b ? -1 : a > b;
  }
  static_assert(std::numeric_limits<long double>::digits >= 64, "integers and floats compare in long double");
  const auto wide = [](const Scalar& s) {
    return is_integral(s) ? static_cast<long double>(integer_of(s))
                          : static_cast<long double>(s.number.real());
  };
  const long double a = wide(left), b = wide(right);
  return a < b ? -1 : a > b ? 1 : a == b ? 0 : 2;
}

Scalar fold_comparison(std::string_view op, const Scalar& left, const Scalar& right) {
  if (left.kind == WeakKind::complex || right.kind == WeakKind::complex) {
    if (op != "==" && op != "!=") refuse_kind(op, left, right, "real numbers");
    return Scalar::of((complex_of(left) == complex_of(right)) == (op == "=="));
  }
  const int order = compare(left, right);
  if (op == "<") return Scalar::of(order == -1);
  if (op == "<=") return Scalar::of(order == -1 || order == 0);
  if (op == ">") return Scalar::of(order == 1);
  if (op == ">=") return Scalar::of(order == 1 || order == 0);
  return Scalar::of((order == 0) == (op == "=="));
}

Scalar fold_integers(std::string_view op, const Scalar& left, const Scalar& right) {
  const Integer a = integer_of(left), b = integer_of(right);
  if (op == "+") return integer_scalar(op, a + b);
  if (op == "-") return integer_scalar(op, a - b);
  if (op == "*") {
    Integer product;
    if (__builtin_mul_overflow(a, b, &product)) refuse_overflow(op);
    return integer_scalar(op, product);
  }
  if (op == "/" || op == "//" || op == "%") {
    if (b == 0) refuse_zero(op);
    if (op == "/") return Scalar::of(quotient(a, b));
    const Integer q = floor_quotient(a, b);
    return integer_scalar(op, op == "//" ? q : a - q * b);
  }
  if (op == "**") return integer_power(a, b);
  if (op == "<<" || op == ">>") {
    if (b < 0)
      fail(Errc::invalid_argument,
           std::string(op) + " of integers: a negative shift; expected one >= 0, got " + to_string(right));
    if (op == ">>") return integer_scalar(op, b > 126 ? (a < 0 ? -1 : 0) : a >> static_cast<int>(b));
    if (a == 0) return Scalar::of(std::int64_t{0});
    if (b > 64) refuse_overflow(op);
    return integer_scalar(op, a * (Integer{1} << static_cast<int>(b)));
  }
  const bool both_bool = left.kind == WeakKind::boolean && right.kind == WeakKind::boolean;
  const Integer bits = op == "&" ? a & b : op == "|" ? a | b : a ^ b;
  return both_bool ? Scalar::of(bits != 0) : integer_scalar(op, bits);
}

Scalar fold_floats(std::string_view op, double a, double b) {
  if (op == "+") return Scalar::of(a + b);
  if (op == "-") return Scalar::of(a - b);
  if (op == "*") return Scalar::of(a * b);
  if (op == "**") return float_power(a, b);
  if (b == 0) refuse_zero(op);
  if (op == "/") return Scalar::of(a / b);
  double floor, mod;
  float_divmod(a, b, floor, mod);
  return Scalar::of(op == "//" ? floor : mod);
}

Scalar fold_complex(std::string_view op, Complex a, Complex b) {
  if (op == "+") return Scalar::of(a + b);
  if (op == "-") return Scalar::of(a - b);
  if (op == "*")
    return Scalar::of(
        Complex(a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()));
  if (op == "/") return Scalar::of(complex_quotient(a, b));
  if (b == Complex(0)) return Scalar::of(Complex(1));
  if (a == Complex(0)) {
    if (b.imag() != 0 || b.real() < 0) refuse_zero(op);
    return Scalar::of(Complex(0));
  }
  return Scalar::of(std::pow(a, b));
}

void append(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "nan";
  } else if (std::isinf(value)) {
    out += value < 0 ? "-inf" : "inf";
  } else {
    char digits[40];
    const auto end = std::to_chars(digits, digits + sizeof digits, value);
    out.append(digits, end.ptr);
  }
}

}  // namespace

double real_of(const Scalar& s) {
  if (!is_integral(s)) return s.number.real();
  return s.is_unsigned ? static_cast<double>(static_cast<std::uint64_t>(s.integer))
                       : static_cast<double>(s.integer);
}

Scalar fold(std::string_view op, const Scalar& value) {
  if (op == "~") {
    if (!is_integral(value))
      fail(Errc::dtype_mismatch,
           "~ of a number: not an integer; expected an integer or a bool, got " + to_string(value));
    return integer_scalar(op, ~integer_of(value));
  }
  if (is_integral(value)) return integer_scalar(op, op == "-" ? -integer_of(value) : integer_of(value));
  const Complex number = op == "-" ? -value.number : value.number;
  return value.kind == WeakKind::floating ? Scalar::of(number.real()) : Scalar::of(number);
}

Scalar fold(std::string_view op, const Scalar& left, const Scalar& right) {
  if (op == "<" || op == "<=" || op == ">" || op == ">=" || op == "==" || op == "!=")
    return fold_comparison(op, left, right);
  if (is_integral(left) && is_integral(right)) return fold_integers(op, left, right);
  if (op == "&" || op == "|" || op == "^" || op == "<<" || op == ">>")
    refuse_kind(op, left, right, "integers or bools");
  if (left.kind == WeakKind::complex || right.kind == WeakKind::complex) {
    if (op == "//" || op == "%") refuse_kind(op, left, right, "real numbers");
    return fold_complex(op, complex_of(left), complex_of(right));
  }
  return fold_floats(op, real_of(left), real_of(right));
}

std::string to_string(const Scalar& scalar) {
  std::string out;
  switch (scalar.kind) {
    case WeakKind::boolean:
      return scalar.integer ? "True" : "False";
    case WeakKind::integer:
      return scalar.is_unsigned ? std::to_string(static_cast<std::uint64_t>(scalar.integer))
                                : std::to_string(scalar.integer);
    case WeakKind::floating:
      append(out, scalar.number.real());
      if (out.find_first_of(".en") == std::string::npos) out += ".0";
      return out;
    case WeakKind::complex:
      out = "(";
      append(out, scalar.number.real());
      if (!std::signbit(scalar.number.imag()) || std::isnan(scalar.number.imag())) out += '+';
      append(out, scalar.number.imag());
      return out + "j)";
  }
  return out;
}

}  // namespace morsel::app
