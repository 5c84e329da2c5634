#include <catch2/catch.hpp>
#include <support/seed.hpp>

#include "elements.hpp"

using namespace morsel;

namespace {

using Real = long double;

struct Function1 {
  Op op;
  Real (*exact)(Real);
};
struct Function2 {
  Op op;
  Real (*exact)(Real, Real);
};
const Function1 functions1[] = {
    {Op::sqrt, [](Real x) { return std::sqrt(x); }},   {Op::cbrt, [](Real x) { return std::cbrt(x); }},
    {Op::exp, [](Real x) { return std::exp(x); }},     {Op::exp2, [](Real x) { return std::exp2(x); }},
    {Op::expm1, [](Real x) { return std::expm1(x); }}, {Op::log, [](Real x) { return std::log(x); }},
    {Op::log2, [](Real x) { return std::log2(x); }},   {Op::log10, [](Real x) { return std::log10(x); }},
    {Op::log1p, [](Real x) { return std::log1p(x); }}, {Op::sin, [](Real x) { return std::sin(x); }},
    {Op::cos, [](Real x) { return std::cos(x); }},     {Op::tan, [](Real x) { return std::tan(x); }},
    {Op::asin, [](Real x) { return std::asin(x); }},   {Op::acos, [](Real x) { return std::acos(x); }},
    {Op::atan, [](Real x) { return std::atan(x); }},   {Op::sinh, [](Real x) { return std::sinh(x); }},
    {Op::cosh, [](Real x) { return std::cosh(x); }},   {Op::tanh, [](Real x) { return std::tanh(x); }},
    {Op::asinh, [](Real x) { return std::asinh(x); }}, {Op::acosh, [](Real x) { return std::acosh(x); }},
    {Op::atanh, [](Real x) { return std::atanh(x); }},
};
const Function2 functions2[] = {
    {Op::pow, [](Real x, Real y) { return std::pow(x, y); }},
    {Op::atan2, [](Real x, Real y) { return std::atan2(x, y); }},
    {Op::hypot, [](Real x, Real y) { return std::hypot(x, y); }},
    {Op::logaddexp,
     [](Real x, Real y) {
       if (x == y) return x + std::log(Real(2));
       if (std::isnan(x) || std::isnan(y)) return x + y;
       return std::max(x, y) + std::log1p(std::exp(-std::fabs(x - y)));
     }},
};

// Numbers around the places where functions overflow, underflow, or change method.
template <class T>
test::Elements edges() {
  std::vector<T> values;
  for (const double x : {709.78,
                         709.782712893384,
                         710.4758,
                         710.47586007,
                         88.72,
                         88.7228394,
                         89.41,
                         89.4159851,
                         127.999,
                         1023.999,
                         1024.0,
                         128.0,
                         -708.4,
                         -745.1,
                         -1074.0,
                         -149.0,
                         -87.3,
                         -103.9,
                         700.0,
                         86.0,
                         1e154,
                         1e150,
                         1e18,
                         1e19,
                         1e300,
                         1e37,
                         1e38,
                         1e307,
                         1.0,
                         -1.0,
                         0.5,
                         22.0,
                         1e-8,
                         1e-160,
                         3.14159265358979,
                         1.5707963267948966,
                         1e15,
                         1e22})
    for (const double sign : {1.0, -1.0})
      for (const double factor : {1.0, 1 + 1e-15, 1 - 1e-15, 1 + 1e-7, 1 - 1e-7})
        values.push_back(static_cast<T>(sign * x * factor));
  test::Elements e(type_of<T>, values.size());
  for (std::size_t i = 0; i < values.size(); ++i) e.set(i, values[i]);
  return e;
}

test::Elements join(test::Elements a, const test::Elements& b) {
  a.bytes.insert(a.bytes.end(), b.bytes.begin(), b.bytes.end());
  return a;
}

template <class T>
void check_functions() {
  std::mt19937_64 random(test::first_seed());
  const test::Elements x = join(edges<T>(), test::random_elements(type_of<T>, 20000, random));
  for (const Function1& f : functions1) {
    const test::Elements got = test::apply(f.op, {x});
    double worst = 0;
    std::size_t at = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double error = test::ulps(got.get<T>(i), f.exact(x.real(i)));
      if (error > worst) worst = error, at = i;
    }
    INFO(name_of(f.op) << "(" << test::text(x, at) << ") = " << test::text(got, at) << ", exactly "
                       << static_cast<double>(f.exact(x.real(at))));
    CHECK(worst <= (f.op == Op::sqrt ? 0.5 : 4));
  }
  const std::size_t n = x.size();
  test::Elements y = test::random_elements(type_of<T>, n, random);
  for (const Function2& f : functions2) {
    const test::Elements got = test::apply(f.op, {x, y});
    double worst = 0;
    std::size_t at = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const Real exact = f.exact(x.real(i), y.real(i));
      double error = test::ulps(got.get<T>(i), exact);
      // The sum of a large term and a small logarithm may cancel: measured in places of the larger term.
      if (f.op == Op::logaddexp && std::isfinite(static_cast<double>(exact))) {
        const Real scale = std::max(std::fabs(x.real(i)), std::fabs(y.real(i))) + 1;
        error = std::min(error, static_cast<double>(std::fabs(static_cast<Real>(got.get<T>(i)) - exact) /
                                                    (scale * std::numeric_limits<T>::epsilon())));
      }
      if (error > worst) worst = error, at = i;
    }
    INFO(name_of(f.op) << "(" << test::text(x, at) << ", " << test::text(y, at)
                       << ") = " << test::text(got, at) << ", exactly "
                       << static_cast<double>(f.exact(x.real(at), y.real(at))));
    CHECK(worst <= 4);
  }
}

using ComplexReal = std::complex<Real>;
struct ComplexFunction {
  Op op;
  ComplexReal (*exact)(ComplexReal);
};
const ComplexFunction complex_functions[] = {
    {Op::sqrt, [](ComplexReal z) { return std::sqrt(z); }},
    {Op::exp, [](ComplexReal z) { return std::exp(z); }},
    {Op::log, [](ComplexReal z) { return std::log(z); }},
    {Op::log2, [](ComplexReal z) { return std::log(z) / std::log(Real(2)); }},
    {Op::log10, [](ComplexReal z) { return std::log(z) / std::log(Real(10)); }},
    {Op::log1p,
     [](ComplexReal z) {
       const Real x = z.real(), y = z.imag();
       const Real re = std::hypot(x, y) < 0.5L ? 0.5L * std::log1p(x * (x + 2) + y * y)
                                               : std::log(ComplexReal(1 + x, y)).real();
       return ComplexReal(re, std::atan2(y, 1 + x));
     }},
    {Op::expm1,
     [](ComplexReal z) {
       const Real s = std::sin(z.imag() / 2);
       return ComplexReal(std::expm1(z.real()) * std::cos(z.imag()) - 2 * s * s,
                          std::exp(z.real()) * std::sin(z.imag()));
     }},
    {Op::sin, [](ComplexReal z) { return std::sin(z); }},
    {Op::cos, [](ComplexReal z) { return std::cos(z); }},
    {Op::tan, [](ComplexReal z) { return std::tan(z); }},
    {Op::sinh, [](ComplexReal z) { return std::sinh(z); }},
    {Op::cosh, [](ComplexReal z) { return std::cosh(z); }},
    {Op::tanh, [](ComplexReal z) { return std::tanh(z); }},
    {Op::asin, [](ComplexReal z) { return std::asin(z); }},
    {Op::acos, [](ComplexReal z) { return std::acos(z); }},
    {Op::atan, [](ComplexReal z) { return std::atan(z); }},
    {Op::asinh, [](ComplexReal z) { return std::asinh(z); }},
    {Op::acosh, [](ComplexReal z) { return std::acosh(z); }},
    {Op::atanh, [](ComplexReal z) { return std::atanh(z); }},
};

template <class R>
void check_complex_functions() {
  using Z = std::complex<R>;
  std::mt19937_64 random(test::first_seed());
  std::vector<Z> values;
  const R parts[] = {0,           R(-0.0),  1,    -1,      R(0.5), R(-2),
                     R(1e-5),     R(-1e-5), R(3), R(20.5), R(-40), R(1) + std::numeric_limits<R>::epsilon(),
                     R(0.7071067)};
  for (const R x : parts)
    for (const R y : parts) values.emplace_back(x, y);
  const auto real = [&] {
    const double e = std::uniform_real_distribution<double>(-12, 4)(random);
    return static_cast<R>(std::exp(e) * (random() & 1 ? 1 : -1));
  };
  for (int i = 0; i < 5000; ++i) values.emplace_back(real(), real());
  // The unit circle, where the logarithm's real part vanishes.
  for (int i = 0; i < 500; ++i) {
    const double t = std::uniform_real_distribution<double>(-3.14, 3.14)(random);
    values.emplace_back(static_cast<R>(std::cos(t)), static_cast<R>(std::sin(t)));
  }
  test::Elements z(type_of<Z>, values.size());
  for (std::size_t i = 0; i < values.size(); ++i) z.set(i, values[i]);
  for (const ComplexFunction& f : complex_functions) {
    const test::Elements got = test::apply(f.op, {z});
    double worst = 0;
    std::size_t at = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const ComplexReal exact = f.exact(ComplexReal(values[i].real(), values[i].imag()));
      const Real modulus = std::abs(exact);
      double error;
      if (!std::isfinite(static_cast<R>(modulus))) {
        error = std::isfinite(got.real(i)) && std::isfinite(got.imag(i)) ? 1e30 : 0;
      } else {
        const Real distance = std::hypot(got.real(i) - exact.real(), got.imag(i) - exact.imag());
        error =
            distance == 0 ? 0 : static_cast<double>(distance / (modulus * std::numeric_limits<R>::epsilon()));
        if (std::isnan(error)) error = 1e30;
      }
      // Signed zeros choose the side of a branch cut.
      if (exact.imag() == 0 && got.imag(i) == 0 && std::signbit(exact.imag()) != std::signbit(got.imag(i)))
        error = 2e30;
      if (error > worst) worst = error, at = i;
    }
    INFO(name_of(f.op) << test::text(z, at) << " = " << test::text(got, at));
    CHECK(worst <= 4);
  }
}

}  // namespace

TEST_CASE("functions of real numbers are within 4 ulp, up to overflow and down to subnormals", "[kernel]") {
  check_functions<double>();
  check_functions<float>();
}

TEST_CASE("functions of complex numbers are within 4 eps of the modulus, with the C library's branch cuts",
          "[kernel]") {
  check_complex_functions<double>();
  check_complex_functions<float>();
}

TEST_CASE("complex square roots, logarithms and absolute values survive huge and tiny parts", "[kernel]") {
  const double big = 1.7e308, small = 5e-324;
  const std::complex<double> rows[] = {{big, big},  {-big, big},       {0, -big},    {small, small},
                                       {-small, 0}, {3e-310, -1e-312}, {big, small}, {1e200, -1e-200},
                                       {0, 0},      {-0.0, -0.0}};
  test::Elements z(Type::complex128, std::size(rows));
  for (std::size_t i = 0; i < std::size(rows); ++i) z.set(i, rows[i]);
  const test::Elements root = test::apply(Op::sqrt, {z}), log = test::apply(Op::log, {z}),
                       abs = test::apply(Op::abs, {z}), sign = test::apply(Op::sign, {z});
  for (std::size_t i = 0; i < std::size(rows); ++i) {
    INFO(rows[i].real() << " " << rows[i].imag());
    const ComplexReal wide(rows[i].real(), rows[i].imag());
    const ComplexReal exact_root = std::sqrt(wide), exact_log = std::log(wide);
    CHECK(test::ulps(root.get<std::complex<double>>(i).real(), exact_root.real()) <= 4);
    CHECK(test::ulps(root.get<std::complex<double>>(i).imag(), exact_root.imag()) <= 4);
    CHECK(test::ulps(abs.get<double>(i), std::abs(wide)) <= 4);
    if (rows[i] == 0.0) continue;
    const Real distance = std::abs(ComplexReal(log.real(i), log.imag(i)) - exact_log);
    CHECK(distance <= 8 * 0x1p-52L * std::abs(exact_log));
    const Real length = std::abs(ComplexReal(sign.real(i), sign.imag(i)));
    CHECK(std::fabs(length - 1) < 1e-15L);
  }
  CHECK(log.real(8) == -std::numeric_limits<Real>::infinity());
}

TEST_CASE("logical tests, signs and parts of numbers are exact", "[kernel]") {
  test::Elements x(Type::float64, 6);
  const double values[] = {0.0, -0.0, -2.5, std::nan(""), std::numeric_limits<double>::infinity(), 4.0};
  for (std::size_t i = 0; i < 6; ++i) x.set(i, values[i]);
  const test::Elements sign = test::apply(Op::sign, {x}), truth = test::apply(Op::logical_not, {x}),
                       minus = test::apply(Op::signbit, {x}), angle = test::apply(Op::angle, {x});
  CHECK(sign.get<double>(0) == 0);
  CHECK(!std::signbit(sign.get<double>(1)));
  CHECK(sign.get<double>(2) == -1);
  CHECK(std::isnan(sign.get<double>(3)));
  CHECK(sign.get<double>(4) == 1);
  const bool no[] = {true, true, false, false, false, false},
             negative[] = {false, true, true, false, false, false};
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK(truth.get<bool>(i) == no[i]);
    if (i != 3) CHECK(minus.get<bool>(i) == negative[i]);
  }
  CHECK(angle.get<double>(2) == std::acos(-1.0));
  CHECK(angle.get<double>(5) == 0);
}
