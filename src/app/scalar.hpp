// Arithmetic on literals alone, in Python's semantics: 2 * pi, 7 // -2, 2 ** 10, 1 / 3.
#pragma once

#include <morsel/api/evaluate.hpp>
#include <string>
#include <string_view>

namespace morsel::app {

/// `op` one of - + ~ on a literal. **Fails**: overflow beyond 64 bits; dtype_mismatch (~ of a float).
Scalar fold(std::string_view op, const Scalar& value);

/// `op` one of + - * / // % ** & | ^ << >> < <= > >= == != on literals. Integers are exact; a result that
/// needs more than 64 bits is refused rather than wrapped. **Fails**: overflow; invalid_argument (division by
/// zero, negative shift); dtype_mismatch (& of a float, < of a complex).
Scalar fold(std::string_view op, const Scalar& left, const Scalar& right);

/// The value of a real literal, also of one above 2^63.
double real_of(const Scalar& scalar);

/// The value as Python prints it: True, 12, 0.5, 1e+22, (1+2j).
std::string to_string(const Scalar& scalar);

}  // namespace morsel::app
