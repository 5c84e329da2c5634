// Part of tile_loops.inl: functions of complex numbers.

// By real functions over the split parts of a tile. Numbers with an infinite or NaN part go one by one to the
// C library, which has the values that C's Annex G asks for.

template <class R>
struct Parts {
  R re[tile], im[tile];
};
template <class R>
void split(Size n, Parts<R>& parts, const Complex<R>* z) {
  for (Size i = 0; i < n; ++i) {
    parts.re[i] = z[i].re;
    parts.im[i] = z[i].im;
  }
}

inline constexpr double pi_half = 1.57079632679489661923, log_of_2 = 0.693147180559945309417,
                        log2_of_e = 1.44269504088896340736, log10_of_e = 0.434294481903251827651;

// e to the power x, times `factor`, where the power alone may overflow.
template <class R>
inline R scaled_exp(R x, R factor) {
  if (factor == 0) return factor;
  const R root = Exp::one(x * R(0.5));
  return (factor * root) * root;
}
template <class R>
struct Huge {
  // Beyond it exp, sinh and cosh may overflow.
  static constexpr R exponent = sizeof(R) == 8 ? R(700) : R(86);
};

template <class R>
__attribute__((noinline)) void modulus(Size n, R* o, const Parts<R>& z) {
  apply2<Hypot>(n, o, z.re, z.im);
}

struct ComplexExp {
  template <class R>
  static void run(Size n, Parts<R>& o, const Parts<R>& z) {
    R e[tile];
    real_function<Exp>(n, e, z.re);
    real_function<Cos>(n, o.re, z.im);
    real_function<Sin>(n, o.im, z.im);
    for (Size i = 0; i < n; ++i) {
      if (z.re[i] > Huge<R>::exponent) {
        o.re[i] = scaled_exp(z.re[i], o.re[i]);
        o.im[i] = scaled_exp(z.re[i], o.im[i]);
      } else {
        o.re[i] *= e[i];
        o.im[i] *= e[i];
      }
    }
  }
  static double _Complex special(double _Complex z) { return __builtin_cexp(z); }
};
struct ComplexExp2 {
  template <class R>
  static void run(Size n, Parts<R>& o, const Parts<R>& z) {
    R e[tile], angle[tile];
    for (Size i = 0; i < n; ++i) angle[i] = z.im[i] * R(log_of_2);
    real_function<Exp2>(n, e, z.re);
    real_function<Cos>(n, o.re, angle);
    real_function<Sin>(n, o.im, angle);
    for (Size i = 0; i < n; ++i) {
      if (z.re[i] > Huge<R>::exponent) {
        const R root = Exp2::one(z.re[i] * R(0.5));
        o.re[i] = o.re[i] == 0 ? o.re[i] : (o.re[i] * root) * root;
        o.im[i] = o.im[i] == 0 ? o.im[i] : (o.im[i] * root) * root;
      } else {
        o.re[i] *= e[i];
        o.im[i] *= e[i];
      }
    }
  }
  static double _Complex special(double _Complex z) { return __builtin_cexp(z * log_of_2); }
};
struct ComplexExpm1 {
  // exp(x) cos y - 1 = expm1(x) cos y - 2 sin(y / 2)^2 without cancellation at small z.
  template <class R>
  static void run(Size n, Parts<R>& o, const Parts<R>& z) {
    R e[tile], half[tile], c[tile];
    ComplexExp::run(n, o, z);
    for (Size i = 0; i < n; ++i) c[i] = z.im[i] * R(0.5);
    real_function<Sin>(n, half, c);
    real_function<Cos>(n, c, z.im);
    real_function<Expm1>(n, e, z.re);
    for (Size i = 0; i < n; ++i)
      if (!(z.re[i] > Huge<R>::exponent)) o.re[i] = e[i] * c[i] - R(2) * half[i] * half[i];
  }
  static double _Complex special(double _Complex z) { return __builtin_cexp(z) - 1.0; }
};

struct ComplexLog {
  template <class R>
  static void run(Size n, Parts<R>& o, const Parts<R>& z) {
    constexpr R huge = sizeof(R) == 8 ? R(0x1p1000) : R(0x1p120f),
                tiny = sizeof(R) == 8 ? R(0x1p-900) : R(0x1p-100f);
    constexpr R down = sizeof(R) == 8 ? R(0x1p-100) : R(0x1p-20f),
                up = sizeof(R) == 8 ? R(0x1p200) : R(0x1p60f);
    constexpr R log_down = R((sizeof(R) == 8 ? -100 : -20) * log_of_2),
                log_up = R((sizeof(R) == 8 ? 200 : 60) * log_of_2);
    Parts<R> scaled;
    R shift[tile], length[tile], near_one[tile];
    for (Size i = 0; i < n; ++i) {
      const R a = magnitude(z.re[i]), b = magnitude(z.im[i]);
      const R larger = a > b ? a : b, smaller = a > b ? b : a;
      const R scale = larger > huge ? down : larger < tiny ? up : R(1);
      shift[i] = larger > huge ? log_down : larger < tiny ? log_up : R(0);
      scaled.re[i] = z.re[i] * scale;
      scaled.im[i] = z.im[i] * scale;
      near_one[i] =
          larger > R(0.5) && larger < R(2) ? (larger - R(1)) * (larger + R(1)) + smaller * smaller : R(1);
    }
    modulus(n, length, scaled);
    real_function<Log>(n, o.re, length);
    real_function<Log1p>(n, length, near_one);
    apply2<Atan2>(n, o.im, z.im, z.re);
    for (Size i = 0; i < n; ++i) {
      const bool is_near_one = near_one[i] > R(-0.75) && near_one[i] < R(1);
      o.re[i] = is_near_one ? R(0.5) * length[i] : o.re[i] - shift[i];
    }
  }
  static double _Complex special(double _Complex z) { return __builtin_clog(z); }
};
struct ComplexLog2 {
  template <class R>
  static void run(Size n, Parts<R>& o, const Parts<R>& z) {
    ComplexLog::run(n, o, z);
    for (Size i = 0; i < n; ++i) {
      o.re[i] *= R(log2_of_e);
      o.im[i] *= R(log2_of_e);
    }
  }
  static double _Complex special(double _Complex z) { return __builtin_clog(z) * log2_of_e; }
};
struct ComplexLog10 {
  template <class R>
  static void run(Size n, Parts<R>& o, const Parts<R>& z) {
    ComplexLog::run(n, o, z);
    for (Size i = 0; i < n; ++i) {
      o.re[i] *= R(log10_of_e);
      o.im[i] *= R(log10_of_e);
    }
  }
  static double _Complex special(double _Complex z) { return __builtin_clog(z) * log10_of_e; }
};
struct ComplexLog1p {
  template <class R>
  static void run(Size n, Parts<R>& o, const Parts<R>& z) {
    Parts<R> shifted;
    R near_one[tile], length[tile];
    for (Size i = 0; i < n; ++i) {
      shifted.re[i] = R(1) + z.re[i];
      shifted.im[i] = z.im[i];
      const R a = magnitude(z.re[i]), b = magnitude(z.im[i]);
      near_one[i] = a < R(2) && b < R(2) ? z.re[i] * (R(2) + z.re[i]) + z.im[i] * z.im[i] : R(-1);
    }
    ComplexLog::run(n, o, shifted);
    real_function<Log1p>(n, length, near_one);
    for (Size i = 0; i < n; ++i)
      if (near_one[i] > R(-0.75) && near_one[i] < R(2)) o.re[i] = R(0.5) * length[i];
  }
  static double _Complex special(double _Complex z) { return __builtin_clog(1.0 + z); }
};

struct ComplexSqrt {
  template <class R>
  static void run(Size n, Parts<R>& o, const Parts<R>& z) {
    constexpr R huge = sizeof(R) == 8 ? R(0x1p1000) : R(0x1p120f),
                tiny = sizeof(R) == 8 ? R(0x1p-900) : R(0x1p-90f);
    constexpr R up = sizeof(R) == 8 ? R(0x1p108) : R(0x1p48f),
                up_back = sizeof(R) == 8 ? R(0x1p-54) : R(0x1p-24f);
    Parts<R> scaled;
    R length[tile], back[tile], root[tile];
    for (Size i = 0; i < n; ++i) {
      const R a = magnitude(z.re[i]), b = magnitude(z.im[i]), larger = a > b ? a : b;
      const R scale = larger > huge ? R(0x1p-4) : larger < tiny ? up : R(1);
      back[i] = larger > huge ? R(4) : larger < tiny ? up_back : R(1);
      scaled.re[i] = a * scale;
      scaled.im[i] = z.im[i] * scale;
    }
    modulus(n, length, scaled);
    for (Size i = 0; i < n; ++i) length[i] = (scaled.re[i] + length[i]) * R(0.5);
    apply1<Sqrt>(n, root, length);
    for (Size i = 0; i < n; ++i) {
      const R large = root[i], small = large == 0 ? R(0) : magnitude(scaled.im[i]) / (R(2) * large);
      const bool is_left = SignBit::at(z.re[i]);
      o.re[i] = (is_left ? small : large) * back[i];
      o.im[i] = with_sign_of((is_left ? large : small) * back[i], z.im[i]);
    }
  }
  static double _Complex special(double _Complex z) { return __builtin_csqrt(z); }
};

// cosh(x) c and sinh(x) s, where the hyperbolic factor alone may overflow.
template <class R>
void times_hyperbolic(Size n, R* c, R* s, const R* x) {
  R cosh[tile], sinh[tile];
  real_function<Cosh>(n, cosh, x);
  real_function<Sinh>(n, sinh, x);
  for (Size i = 0; i < n; ++i) {
    if (magnitude(x[i]) > Huge<R>::exponent) {
      c[i] = scaled_exp(magnitude(x[i]), R(0.5) * c[i]);
      s[i] = scaled_exp(magnitude(x[i]), with_sign_of(R(0.5), x[i]) * s[i]);
    } else {
      c[i] *= cosh[i];
      s[i] *= sinh[i];
    }
  }
}
struct ComplexSin {
  template <class R>
  static void run(Size n, Parts<R>& o, const Parts<R>& z) {
    real_function<Sin>(n, o.re, z.re);
    real_function<Cos>(n, o.im, z.re);
    times_hyperbolic(n, o.re, o.im, z.im);
  }
  static double _Complex special(double _Complex z) { return __builtin_csin(z); }
};
struct ComplexCos {
  template <class R>
  static void run(Size n, Parts<R>& o, const Parts<R>& z) {
    real_function<Cos>(n, o.re, z.re);
    real_function<Sin>(n, o.im, z.re);
    times_hyperbolic(n, o.re, o.im, z.im);
    for (Size i = 0; i < n; ++i) o.im[i] = -o.im[i];
  }
  static double _Complex special(double _Complex z) { return __builtin_ccos(z); }
};
struct ComplexSinh {
  template <class R>
  static void run(Size n, Parts<R>& o, const Parts<R>& z) {
    real_function<Sin>(n, o.im, z.im);
    real_function<Cos>(n, o.re, z.im);
    times_hyperbolic(n, o.im, o.re, z.re);
  }
  static double _Complex special(double _Complex z) { return __builtin_csinh(z); }
};
struct ComplexCosh {
  template <class R>
  static void run(Size n, Parts<R>& o, const Parts<R>& z) {
    real_function<Cos>(n, o.re, z.im);
    real_function<Sin>(n, o.im, z.im);
    times_hyperbolic(n, o.re, o.im, z.re);
  }
  static double _Complex special(double _Complex z) { return __builtin_ccosh(z); }
};

// Source: W. Kahan, Branch cuts for complex elementary functions, 1987: tanh, atanh, asin, acos, acosh.
struct ComplexTanh {
  template <class R>
  static void run(Size n, Parts<R>& o, const Parts<R>& z) {
    R t[tile], s[tile], e[tile], sine[tile], cosine[tile];
    for (Size i = 0; i < n; ++i) e[i] = R(-2) * magnitude(z.re[i]);
    real_function<Tan>(n, t, z.im);
    real_function<Sinh>(n, s, z.re);
    real_function<Exp>(n, sine, e);
    for (Size i = 0; i < n; ++i) e[i] = sine[i];
    real_function<Sin>(n, sine, z.im);
    real_function<Cos>(n, cosine, z.im);
    for (Size i = 0; i < n; ++i) {
      if (magnitude(z.re[i]) > R(20)) {
        o.re[i] = with_sign_of(R(1), z.re[i]);
        o.im[i] = R(4) * sine[i] * cosine[i] * e[i];
      } else {
        const R beta = R(1) + t[i] * t[i], rho = Sqrt::one(R(1) + s[i] * s[i]);
        const R divisor = R(1) + beta * (s[i] * s[i]);
        o.re[i] = (beta * rho) * s[i] / divisor;
        o.im[i] = t[i] / divisor;
      }
    }
  }
  static double _Complex special(double _Complex z) { return __builtin_ctanh(z); }
};
struct ComplexAtanh {
  template <class R>
  static void run(Size n, Parts<R>& o, const Parts<R>& z) {
    constexpr R theta = sizeof(R) == 8 ? R(0x1p510) : R(0x1p62f), rho = R(1) / theta;
    R t[tile], a[tile], b[tile];
    for (Size i = 0; i < n; ++i) {
      const R x = magnitude(z.re[i]), y = magnitude(z.im[i]) + rho, left = R(1) - x;
      t[i] = R(4) * x / (left * left + y * y);
      a[i] = left * (R(1) + x) - y * y;
      b[i] = R(2) * z.im[i];
    }
    real_function<Log1p>(n, o.re, t);
    apply2<Atan2>(n, o.im, b, a);
    for (Size i = 0; i < n; ++i) {
      const R x = magnitude(z.re[i]), y = magnitude(z.im[i]);
      R re = R(0.25) * o.re[i], im = R(0.5) * o.im[i];
      if (x > theta || y > theta) {
        re = Reciprocal::at(Complex<R>{x, y}).re;
        im = with_sign_of(R(pi_half), z.im[i]);
      } else if (x == R(1)) {
        re = Log::one(Sqrt::one(Sqrt::one(R(4) + y * y)) / Sqrt::one(y + rho));
        im = R(0.5) * (R(pi_half) + Atan::one((y + rho) * R(0.5)));
        if (y == 0) {  // the pole
          re = Float<R>::infinity;
          im = R(0);
        }
        im = with_sign_of(im, z.im[i]);
      }
      o.re[i] = with_sign_of(re, z.re[i]);
      o.im[i] = im;
    }
  }
  static double _Complex special(double _Complex z) { return __builtin_catanh(z); }
};
// sqrt(1 - z) and sqrt(1 + z).
template <class R>
void roots_beside_one(Size n, Parts<R>& minus, Parts<R>& plus, const Parts<R>& z) {
  Parts<R> t;
  for (Size i = 0; i < n; ++i) {
    t.re[i] = R(1) - z.re[i];
    t.im[i] = -z.im[i];
  }
  ComplexSqrt::run(n, minus, t);
  for (Size i = 0; i < n; ++i) {
    t.re[i] = R(1) + z.re[i];
    t.im[i] = z.im[i];
  }
  ComplexSqrt::run(n, plus, t);
}
struct ComplexAsin {
  template <class R>
  static void run(Size n, Parts<R>& o, const Parts<R>& z) {
    Parts<R> a, b;
    R t[tile];
    roots_beside_one(n, a, b, z);
    for (Size i = 0; i < n; ++i) t[i] = a.re[i] * b.re[i] - a.im[i] * b.im[i];
    apply2<Atan2>(n, o.re, z.re, t);
    for (Size i = 0; i < n; ++i) t[i] = a.re[i] * b.im[i] - a.im[i] * b.re[i];
    real_function<Asinh>(n, o.im, t);
  }
  static double _Complex special(double _Complex z) { return __builtin_casin(z); }
};
struct ComplexAcos {
  template <class R>
  static void run(Size n, Parts<R>& o, const Parts<R>& z) {
    Parts<R> a, b;
    R t[tile];
    roots_beside_one(n, a, b, z);
    apply2<Atan2>(n, o.re, a.re, b.re);
    for (Size i = 0; i < n; ++i) {
      o.re[i] *= R(2);
      t[i] = b.re[i] * a.im[i] - b.im[i] * a.re[i];
    }
    real_function<Asinh>(n, o.im, t);
  }
  static double _Complex special(double _Complex z) { return __builtin_cacos(z); }
};
struct ComplexAcosh {
  template <class R>
  static void run(Size n, Parts<R>& o, const Parts<R>& z) {
    Parts<R> t, a, b;
    R u[tile];
    for (Size i = 0; i < n; ++i) {
      t.re[i] = z.re[i] - R(1);
      t.im[i] = z.im[i];
    }
    ComplexSqrt::run(n, a, t);
    for (Size i = 0; i < n; ++i) t.re[i] = z.re[i] + R(1);
    ComplexSqrt::run(n, b, t);
    for (Size i = 0; i < n; ++i) u[i] = a.re[i] * b.re[i] + a.im[i] * b.im[i];
    real_function<Asinh>(n, o.re, u);
    apply2<Atan2>(n, o.im, a.im, b.re);
    for (Size i = 0; i < n; ++i) o.im[i] *= R(2);
  }
  static double _Complex special(double _Complex z) { return __builtin_cacosh(z); }
};
// f(z) = -i g(i z): tan of tanh, asinh of asin, atan of atanh.
template <class G>
struct Rotated {
  template <class R>
  static void run(Size n, Parts<R>& o, const Parts<R>& z) {
    Parts<R> turned;
    for (Size i = 0; i < n; ++i) {
      turned.re[i] = -z.im[i];
      turned.im[i] = z.re[i];
    }
    G::run(n, o, turned);
    for (Size i = 0; i < n; ++i) {
      const R re = o.re[i];
      o.re[i] = o.im[i];
      o.im[i] = -re;
    }
  }
};
struct ComplexTan : Rotated<ComplexTanh> {
  static double _Complex special(double _Complex z) { return __builtin_ctan(z); }
};
struct ComplexAsinh : Rotated<ComplexAsin> {
  static double _Complex special(double _Complex z) { return __builtin_casinh(z); }
};
struct ComplexAtan : Rotated<ComplexAtanh> {
  static double _Complex special(double _Complex z) { return __builtin_catan(z); }
};

template <class R>
inline double _Complex widen(Complex<R> z) {
  double _Complex w;
  __real__ w = static_cast<double>(z.re);
  __imag__ w = static_cast<double>(z.im);
  return w;
}
template <class R>
inline Complex<R> narrow(double _Complex w) {
  return {static_cast<R>(__real__ w), static_cast<R>(__imag__ w)};
}

template <class F, class R>
void complex_function(Size n, void* out, const void* const* in, const void*) {
  check_length(n);
  Complex<R>* o = static_cast<Complex<R>*>(out);
  const Complex<R>* a = static_cast<const Complex<R>*>(in[0]);
  Parts<R> z, result;
  split(n, z, a);
  F::run(n, result, z);
  for (Size i = 0; i < n; ++i) o[i] = {result.re[i], result.im[i]};
  bool any = false;
  for (Size i = 0; i < n; ++i) any |= !IsFinite::at(a[i]);
  if (any)
    for (Size i = 0; i < n; ++i)
      if (!IsFinite::at(a[i])) o[i] = narrow<R>(F::special(widen(a[i])));
}

// Small integer powers by multiplication, as NumPy has them; all others exp(b log a), whose error grows with
// |b log a|.
template <class R>
inline Complex<R> complex_power(Complex<R> a, int n) {
  if (n == 3) return Multiply::at(a, Multiply::at(a, a));
  Complex<R> result{R(1), R(0)}, factor = a;
  for (unsigned e = static_cast<unsigned>(n < 0 ? -n : n);;) {
    if (e & 1) result = Multiply::at(result, factor);
    e >>= 1;
    if (e == 0) break;
    factor = Multiply::at(factor, factor);
  }
  return n < 0 ? Divide::at(Complex<R>{R(1), R(0)}, result) : result;
}
template <class R>
void complex_pow(Size n, void* out, const void* const* in, const void*) {
  check_length(n);
  Complex<R>* o = static_cast<Complex<R>*>(out);
  const Complex<R>* a = static_cast<const Complex<R>*>(in[0]);
  const Complex<R>* b = static_cast<const Complex<R>*>(in[1]);
  Parts<R> z, w;
  split(n, z, a);
  ComplexLog::run(n, w, z);
  for (Size i = 0; i < n; ++i) {
    const Complex<R> exponent = Multiply::at(b[i], Complex<R>{w.re[i], w.im[i]});
    z.re[i] = exponent.re;
    z.im[i] = exponent.im;
  }
  ComplexExp::run(n, w, z);
  for (Size i = 0; i < n; ++i) {
    const R power = b[i].re;
    if (power == 0 && b[i].im == 0) {
      o[i] = {R(1), R(0)};
    } else if (a[i].re == 0 && a[i].im == 0) {
      o[i] = power > 0 ? Complex<R>{R(0), R(0)} : Complex<R>{Float<R>::nan, Float<R>::nan};
    } else if (b[i].im == 0 && power > R(-100) && power < R(100) &&
               static_cast<R>(static_cast<int>(power)) == power) {
      o[i] = power == 1 ? a[i] : complex_power(a[i], static_cast<int>(power));
    } else if (!IsFinite::at(a[i]) || !IsFinite::at(b[i])) {
      o[i] = narrow<R>(__builtin_cpow(widen(a[i]), widen(b[i])));
    } else {
      o[i] = {w.re[i], w.im[i]};
    }
  }
}

template <class R>
void complex_abs(Size n, void* out, const void* const* in, const void*) {
  check_length(n);
  Parts<R> z;
  split(n, z, static_cast<const Complex<R>*>(in[0]));
  modulus(n, static_cast<R*>(out), z);
}
template <class R>
void complex_angle(Size n, void* out, const void* const* in, const void*) {
  check_length(n);
  Parts<R> z;
  split(n, z, static_cast<const Complex<R>*>(in[0]));
  apply2<Atan2>(n, static_cast<R*>(out), z.im, z.re);
}
// z / |z|; along an axis from one infinite part; NaN from two, and from NaN.
template <class R>
void complex_sign(Size n, void* out, const void* const* in, const void*) {
  check_length(n);
  Complex<R>* o = static_cast<Complex<R>*>(out);
  const Complex<R>* a = static_cast<const Complex<R>*>(in[0]);
  constexpr R tiny = sizeof(R) == 8 ? R(0x1p-1000) : R(0x1p-100f),
              up = sizeof(R) == 8 ? R(0x1p200) : R(0x1p60f);
  Parts<R> z;
  R length[tile];
  split(n, z, a);
  modulus(n, length, z);
  for (Size i = 0; i < n; ++i) {
    const R x = a[i].re, y = a[i].im;
    if (IsNan::at(a[i]) || (is_infinite(x) && is_infinite(y))) {
      o[i] = {Float<R>::nan, Float<R>::nan};
    } else if (is_infinite(x) || is_infinite(y)) {
      o[i] = {is_infinite(x) ? Sign::at(x) : R(0), is_infinite(y) ? Sign::at(y) : R(0)};
    } else if (length[i] == 0) {
      o[i] = {R(0), R(0)};
    } else if (is_infinite(length[i]) || length[i] < tiny) {
      // |z| overflows or has lost places, its parts have not.
      const R scale = length[i] < tiny ? up : R(0.25), scaled = Hypot::one(x * scale, y * scale);
      o[i] = {x * scale / scaled, y * scale / scaled};
    } else {
      o[i] = {x / length[i], y / length[i]};
    }
  }
}
