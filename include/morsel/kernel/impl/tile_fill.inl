// Part of tile_loops.inl: super-instructions, float16 kernels, and the table of all kernels.

struct MultiplyAdd {
  template <class T>
  static T at(T a, T b, T c) {
    return Add::at(Multiply::at(a, b), c);
  }
};
struct MultiplySubtract {
  template <class T>
  static T at(T a, T b, T c) {
    return Subtract::at(Multiply::at(a, b), c);
  }
};
struct SubtractMultiplied {
  template <class T>
  static T at(T a, T b, T c) {
    return Subtract::at(a, Multiply::at(b, c));
  }
};
struct MultiplyBothAdd {
  template <class T>
  static T at(T a, T b, T c, T d) {
    return Add::at(Multiply::at(a, b), Multiply::at(c, d));
  }
};
struct AddMultiply {
  template <class T>
  static T at(T a, T b, T c) {
    return Multiply::at(Add::at(a, b), c);
  }
};
struct SubtractMultiply {
  template <class T>
  static T at(T a, T b, T c) {
    return Multiply::at(Subtract::at(a, b), c);
  }
};
struct SubtractDivide {
  template <class T>
  static T at(T a, T b, T c) {
    return Divide::at(Subtract::at(a, b), c);
  }
};
struct SubtractSquare {
  template <class T>
  static T at(T a, T b) {
    return Square::at(Subtract::at(a, b));
  }
};
template <class Comparison>
struct Select {
  template <class T>
  static T at(T a, T b, T c, T d) {
    return Comparison::at(a, b) ? c : d;
  }
};
template <class To>
struct CastScaleOffset {
  template <class From>
  static To at(From a, To scale, To offset) {
    return Convert<To>::at(a) * scale + offset;
  }
};

template <TileFn Kernel, int Arity, bool ToBool>
void on_half(Size n, void* out, const void* const* in, const void* state) {
  check_length(n);
  float buffers[Arity][tile];
  const void* arguments[Arity];
  for (int k = 0; k < Arity; ++k) {
    halves_to_floats(n, buffers[k], static_cast<const Half*>(in[k]));
    arguments[k] = buffers[k];
  }
  if constexpr (ToBool) {
    Kernel(n, out, arguments, state);
  } else {
    float results[tile];
    Kernel(n, results, arguments, state);
    floats_to_halves(n, static_cast<Half*>(out), results);
  }
}

inline constexpr int at_op(Op op) { return static_cast<int>(op); }

template <class To>
void fill_casts_to(TileFn (&cast)[tile_type_count][tile_type_count], int to) {
  // A bool is 0 or 1, and loops over bytes become vectors where loops over bool do not.
  cast[b1][to] = map1<Convert<To>, To, __UINT8_TYPE__>;
  cast[i8][to] = map1<Convert<To>, To, __INT8_TYPE__>;
  cast[i16][to] = map1<Convert<To>, To, __INT16_TYPE__>;
  cast[i32][to] = map1<Convert<To>, To, __INT32_TYPE__>;
  cast[i64][to] = map1<Convert<To>, To, __INT64_TYPE__>;
  cast[u8][to] = map1<Convert<To>, To, __UINT8_TYPE__>;
  cast[u16][to] = map1<Convert<To>, To, __UINT16_TYPE__>;
  cast[u32][to] = map1<Convert<To>, To, __UINT32_TYPE__>;
  cast[u64][to] = map1<Convert<To>, To, __UINT64_TYPE__>;
  cast[f16][to] = from_halves<To>;
  cast[f32][to] = map1<Convert<To>, To, float>;
  cast[f64][to] = map1<Convert<To>, To, double>;
  cast[c64][to] = map1<Convert<To>, To, Complex<float>>;
  cast[c128][to] = map1<Convert<To>, To, Complex<double>>;
}

template <class = void>
void fill_casts_to_half(TileFn (&cast)[tile_type_count][tile_type_count]) {
  cast[b1][f16] = to_halves<__UINT8_TYPE__>;
  cast[i8][f16] = to_halves<__INT8_TYPE__>;
  cast[i16][f16] = to_halves<__INT16_TYPE__>;
  cast[i32][f16] = to_halves<__INT32_TYPE__>;
  cast[i64][f16] = to_halves<__INT64_TYPE__>;
  cast[u8][f16] = to_halves<__UINT8_TYPE__>;
  cast[u16][f16] = to_halves<__UINT16_TYPE__>;
  cast[u32][f16] = to_halves<__UINT32_TYPE__>;
  cast[u64][f16] = to_halves<__UINT64_TYPE__>;
  cast[f32][f16] = to_halves<float>;
  cast[f64][f16] = to_halves<double>;
  cast[c64][f16] = to_halves<Complex<float>>;
  cast[c128][f16] = to_halves<Complex<double>>;
}

template <class To>
void fill_cast_scale_offset(TileFn (&table)[tile_type_count][tile_type_count], int to) {
  table[i8][to] = map3<CastScaleOffset<To>, To, __INT8_TYPE__, To>;
  table[i16][to] = map3<CastScaleOffset<To>, To, __INT16_TYPE__, To>;
  table[i32][to] = map3<CastScaleOffset<To>, To, __INT32_TYPE__, To>;
  table[u8][to] = map3<CastScaleOffset<To>, To, __UINT8_TYPE__, To>;
  table[u16][to] = map3<CastScaleOffset<To>, To, __UINT16_TYPE__, To>;
  table[u32][to] = map3<CastScaleOffset<To>, To, __UINT32_TYPE__, To>;
  table[f16][to] = map3<CastScaleOffset<To>, To, Half, To>;
}

template <int Bytes>
void fill_copies(TileTable& t, int k) {
  const Op copies[] = {Op::positive, Op::conj, Op::real};
  for (const Op op : copies) t.op[at_op(op)][k] = copy<Bytes>;
  t.op[at_op(Op::imag)][k] = zero<Bytes>;
  t.op[at_op(Op::where)][k] =
      map3<Where, typename Raw<Bytes>::Type, __UINT8_TYPE__, typename Raw<Bytes>::Type>;
  t.cast[k][k] = copy<Bytes>;
}

template <class T>
void fill_comparisons(TileTable& t, int k) {
  t.op[at_op(Op::equal)][k] = map2<Equal, bool, T>;
  t.op[at_op(Op::not_equal)][k] = map2<NotEqual, bool, T>;
  t.op[at_op(Op::less)][k] = map2<Less, bool, T>;
  t.op[at_op(Op::less_equal)][k] = map2<LessEqual, bool, T>;
  t.op[at_op(Op::greater)][k] = map2<Greater, bool, T>;
  t.op[at_op(Op::greater_equal)][k] = map2<GreaterEqual, bool, T>;
}

template <class T>
void fill_logical(TileTable& t, int k) {
  t.op[at_op(Op::logical_not)][k] = map1<LogicalNot, bool, T>;
  t.op[at_op(Op::logical_and)][k] = map2<LogicalAnd, bool, T>;
  t.op[at_op(Op::logical_or)][k] = map2<LogicalOr, bool, T>;
  t.op[at_op(Op::logical_xor)][k] = map2<LogicalXor, bool, T>;
}

template <class T>
void fill_order(TileTable& t, int k) {
  t.op[at_op(Op::maximum)][k] = map2<Maximum, T, T>;
  t.op[at_op(Op::minimum)][k] = map2<Minimum, T, T>;
  t.op[at_op(Op::clip)][k] = map3<Clip, T, T>;
}

template <class T>
void fill_bitwise(TileTable& t, int k) {
  t.op[at_op(Op::bitwise_invert)][k] = map1<BitwiseInvert, T, T>;
  t.op[at_op(Op::bitwise_and)][k] = map2<BitwiseAnd, T, T>;
  t.op[at_op(Op::bitwise_or)][k] = map2<BitwiseOr, T, T>;
  t.op[at_op(Op::bitwise_xor)][k] = map2<BitwiseXor, T, T>;
}

template <class T>
void fill_arithmetic(TileTable& t, int k) {
  t.op[at_op(Op::negative)][k] = map1<Negative, T, T>;
  t.op[at_op(Op::square)][k] = map1<Square, T, T>;
  t.op[at_op(Op::add)][k] = map2<Add, T, T>;
  t.op[at_op(Op::subtract)][k] = map2<Subtract, T, T>;
  t.op[at_op(Op::multiply)][k] = map2<Multiply, T, T>;
}

template <class T>
void fill_multiply_pairs(TileTable& t, int k) {
  t.super[static_cast<int>(Super::multiply_add)][k] = map3<MultiplyAdd, T, T>;
  t.super[static_cast<int>(Super::multiply_subtract)][k] = map3<MultiplySubtract, T, T>;
  t.super[static_cast<int>(Super::subtract_multiplied)][k] = map3<SubtractMultiplied, T, T>;
  t.super[static_cast<int>(Super::multiply_both_add)][k] = map4<MultiplyBothAdd, T, T>;
  t.super[static_cast<int>(Super::add_multiply)][k] = map3<AddMultiply, T, T>;
  t.super[static_cast<int>(Super::subtract_multiply)][k] = map3<SubtractMultiply, T, T>;
  t.super[static_cast<int>(Super::subtract_square)][k] = map2<SubtractSquare, T, T>;
}

template <class T>
void fill_selects(TileTable& t, int k) {
  t.super[static_cast<int>(Super::select_equal)][k] = map4<Select<Equal>, T, T>;
  t.super[static_cast<int>(Super::select_not_equal)][k] = map4<Select<NotEqual>, T, T>;
  t.super[static_cast<int>(Super::select_less)][k] = map4<Select<Less>, T, T>;
  t.super[static_cast<int>(Super::select_less_equal)][k] = map4<Select<LessEqual>, T, T>;
}

template <class T>
void fill_integer(TileTable& t, int k) {
  fill_copies<sizeof(T)>(t, k);
  fill_arithmetic<T>(t, k);
  fill_comparisons<T>(t, k);
  fill_logical<T>(t, k);
  fill_order<T>(t, k);
  fill_bitwise<T>(t, k);
  fill_selects<T>(t, k);
  const Op copies[] = {Op::floor, Op::ceil, Op::trunc, Op::round};
  for (const Op op : copies) t.op[at_op(op)][k] = copy<sizeof(T)>;
  if constexpr (Integer<T>::is_signed) {
    t.op[at_op(Op::abs)][k] = map1<Abs, T, T>;
    t.op[at_op(Op::signbit)][k] = map1<SignBit, bool, T>;
  } else {
    t.op[at_op(Op::abs)][k] = copy<sizeof(T)>;
    t.op[at_op(Op::signbit)][k] = constant_bool<false>;
  }
  t.op[at_op(Op::reciprocal)][k] = map1<Reciprocal, T, T>;
  t.op[at_op(Op::sign)][k] = map1<Sign, T, T>;
  t.op[at_op(Op::isnan)][k] = constant_bool<false>;
  t.op[at_op(Op::isinf)][k] = constant_bool<false>;
  t.op[at_op(Op::isfinite)][k] = constant_bool<true>;
  t.op[at_op(Op::bitwise_left_shift)][k] = map2<ShiftLeft, T, T>;
  t.op[at_op(Op::bitwise_right_shift)][k] = map2<ShiftRight, T, T>;
#if MORSEL_TILE_LEVEL == 0
  t.op[at_op(Op::floor_divide)][k] = map2<FloorDivide, T, T>;
  t.op[at_op(Op::remainder)][k] = map2<Remainder, T, T>;
  t.op[at_op(Op::pow)][k] = map2<IntegerPow, T, T>;
#endif
}

template <class T>
void fill_functions(TileTable& t, int k) {
  t.op[at_op(Op::sqrt)][k] = function1<Sqrt, T>;
  t.op[at_op(Op::cbrt)][k] = function1<Cbrt, T>;
  t.op[at_op(Op::exp)][k] = function1<Exp, T>;
  t.op[at_op(Op::exp2)][k] = function1<Exp2, T>;
  t.op[at_op(Op::expm1)][k] = function1<Expm1, T>;
  t.op[at_op(Op::log)][k] = function1<Log, T>;
  t.op[at_op(Op::log2)][k] = function1<Log2, T>;
  t.op[at_op(Op::log10)][k] = function1<Log10, T>;
  t.op[at_op(Op::log1p)][k] = function1<Log1p, T>;
  t.op[at_op(Op::sin)][k] = function1<Sin, T>;
  t.op[at_op(Op::cos)][k] = function1<Cos, T>;
  t.op[at_op(Op::tan)][k] = function1<Tan, T>;
  t.op[at_op(Op::asin)][k] = function1<Asin, T>;
  t.op[at_op(Op::acos)][k] = function1<Acos, T>;
  t.op[at_op(Op::atan)][k] = function1<Atan, T>;
  t.op[at_op(Op::sinh)][k] = function1<Sinh, T>;
  t.op[at_op(Op::cosh)][k] = function1<Cosh, T>;
  t.op[at_op(Op::tanh)][k] = function1<Tanh, T>;
  t.op[at_op(Op::asinh)][k] = function1<Asinh, T>;
  t.op[at_op(Op::acosh)][k] = function1<Acosh, T>;
  t.op[at_op(Op::atanh)][k] = function1<Atanh, T>;
  t.op[at_op(Op::atan2)][k] = function2<Atan2, T>;
  t.op[at_op(Op::hypot)][k] = function2<Hypot, T>;
  t.op[at_op(Op::pow)][k] = pow_of_floats<T>;
  t.op[at_op(Op::logaddexp)][k] = log_add_exp<T>;
}

template <class T>
void fill_float(TileTable& t, int k) {
  fill_copies<sizeof(T)>(t, k);
  fill_arithmetic<T>(t, k);
  fill_comparisons<T>(t, k);
  fill_logical<T>(t, k);
  fill_order<T>(t, k);
  fill_multiply_pairs<T>(t, k);
  fill_selects<T>(t, k);
  fill_functions<T>(t, k);
  t.super[static_cast<int>(Super::subtract_divide)][k] = map3<SubtractDivide, T, T>;
  t.op[at_op(Op::abs)][k] = map1<Abs, T, T>;
  t.op[at_op(Op::reciprocal)][k] = map1<Reciprocal, T, T>;
  t.op[at_op(Op::sign)][k] = map1<Sign, T, T>;
  t.op[at_op(Op::divide)][k] = map2<Divide, T, T>;
  t.op[at_op(Op::floor)][k] = map1<Floor, T, T>;
  t.op[at_op(Op::ceil)][k] = map1<Ceil, T, T>;
  t.op[at_op(Op::trunc)][k] = map1<Trunc, T, T>;
  t.op[at_op(Op::round)][k] = map1<Round, T, T>;
  t.op[at_op(Op::isnan)][k] = map1<IsNan, bool, T>;
  t.op[at_op(Op::isinf)][k] = map1<IsInf, bool, T>;
  t.op[at_op(Op::isfinite)][k] = map1<IsFinite, bool, T>;
  t.op[at_op(Op::signbit)][k] = map1<SignBit, bool, T>;
  t.op[at_op(Op::angle)][k] = map1<AngleOfReal, T, T>;
  t.op[at_op(Op::copysign)][k] = map2<CopySign, T, T>;
#if MORSEL_TILE_LEVEL == 0
  t.op[at_op(Op::floor_divide)][k] = map2<FloorDivide, T, T>;
  t.op[at_op(Op::remainder)][k] = map2<Remainder, T, T>;
  t.op[at_op(Op::nextafter)][k] = map2<NextAfter, T, T>;
#endif
}

// float16: through float, but for those on bits alone.
template <class = void>
void fill_half(TileTable& t) {
  fill_copies<2>(t, f16);
  fill_logical<Half>(t, f16);
  t.op[at_op(Op::signbit)][f16] = map1<SignBit, bool, Half>;
  t.op[at_op(Op::negative)][f16] = on_half<map1<Negative, float, float>, 1, false>;
  t.op[at_op(Op::square)][f16] = on_half<map1<Square, float, float>, 1, false>;
  t.op[at_op(Op::reciprocal)][f16] = on_half<map1<Reciprocal, float, float>, 1, false>;
  t.op[at_op(Op::sign)][f16] = on_half<map1<Sign, float, float>, 1, false>;
  t.op[at_op(Op::abs)][f16] = on_half<map1<Abs, float, float>, 1, false>;
  t.op[at_op(Op::floor)][f16] = on_half<map1<Floor, float, float>, 1, false>;
  t.op[at_op(Op::ceil)][f16] = on_half<map1<Ceil, float, float>, 1, false>;
  t.op[at_op(Op::trunc)][f16] = on_half<map1<Trunc, float, float>, 1, false>;
  t.op[at_op(Op::round)][f16] = on_half<map1<Round, float, float>, 1, false>;
  t.op[at_op(Op::angle)][f16] = on_half<map1<AngleOfReal, float, float>, 1, false>;
  t.op[at_op(Op::sqrt)][f16] = on_half<function1<Sqrt, float>, 1, false>;
  t.op[at_op(Op::cbrt)][f16] = on_half<function1<Cbrt, float>, 1, false>;
  t.op[at_op(Op::exp)][f16] = on_half<function1<Exp, float>, 1, false>;
  t.op[at_op(Op::exp2)][f16] = on_half<function1<Exp2, float>, 1, false>;
  t.op[at_op(Op::expm1)][f16] = on_half<function1<Expm1, float>, 1, false>;
  t.op[at_op(Op::log)][f16] = on_half<function1<Log, float>, 1, false>;
  t.op[at_op(Op::log2)][f16] = on_half<function1<Log2, float>, 1, false>;
  t.op[at_op(Op::log10)][f16] = on_half<function1<Log10, float>, 1, false>;
  t.op[at_op(Op::log1p)][f16] = on_half<function1<Log1p, float>, 1, false>;
  t.op[at_op(Op::sin)][f16] = on_half<function1<Sin, float>, 1, false>;
  t.op[at_op(Op::cos)][f16] = on_half<function1<Cos, float>, 1, false>;
  t.op[at_op(Op::tan)][f16] = on_half<function1<Tan, float>, 1, false>;
  t.op[at_op(Op::asin)][f16] = on_half<function1<Asin, float>, 1, false>;
  t.op[at_op(Op::acos)][f16] = on_half<function1<Acos, float>, 1, false>;
  t.op[at_op(Op::atan)][f16] = on_half<function1<Atan, float>, 1, false>;
  t.op[at_op(Op::sinh)][f16] = on_half<function1<Sinh, float>, 1, false>;
  t.op[at_op(Op::cosh)][f16] = on_half<function1<Cosh, float>, 1, false>;
  t.op[at_op(Op::tanh)][f16] = on_half<function1<Tanh, float>, 1, false>;
  t.op[at_op(Op::asinh)][f16] = on_half<function1<Asinh, float>, 1, false>;
  t.op[at_op(Op::acosh)][f16] = on_half<function1<Acosh, float>, 1, false>;
  t.op[at_op(Op::atanh)][f16] = on_half<function1<Atanh, float>, 1, false>;
  t.op[at_op(Op::isnan)][f16] = on_half<map1<IsNan, bool, float>, 1, true>;
  t.op[at_op(Op::isinf)][f16] = on_half<map1<IsInf, bool, float>, 1, true>;
  t.op[at_op(Op::isfinite)][f16] = on_half<map1<IsFinite, bool, float>, 1, true>;
  t.op[at_op(Op::add)][f16] = on_half<map2<Add, float, float>, 2, false>;
  t.op[at_op(Op::subtract)][f16] = on_half<map2<Subtract, float, float>, 2, false>;
  t.op[at_op(Op::multiply)][f16] = on_half<map2<Multiply, float, float>, 2, false>;
  t.op[at_op(Op::divide)][f16] = on_half<map2<Divide, float, float>, 2, false>;
  t.op[at_op(Op::maximum)][f16] = on_half<map2<Maximum, float, float>, 2, false>;
  t.op[at_op(Op::minimum)][f16] = on_half<map2<Minimum, float, float>, 2, false>;
  t.op[at_op(Op::copysign)][f16] = on_half<map2<CopySign, float, float>, 2, false>;
  t.op[at_op(Op::atan2)][f16] = on_half<function2<Atan2, float>, 2, false>;
  t.op[at_op(Op::hypot)][f16] = on_half<function2<Hypot, float>, 2, false>;
  t.op[at_op(Op::pow)][f16] = on_half<pow_of_floats<float>, 2, false>;
  t.op[at_op(Op::logaddexp)][f16] = on_half<log_add_exp<float>, 2, false>;
  t.op[at_op(Op::equal)][f16] = on_half<map2<Equal, bool, float>, 2, true>;
  t.op[at_op(Op::not_equal)][f16] = on_half<map2<NotEqual, bool, float>, 2, true>;
  t.op[at_op(Op::less)][f16] = on_half<map2<Less, bool, float>, 2, true>;
  t.op[at_op(Op::less_equal)][f16] = on_half<map2<LessEqual, bool, float>, 2, true>;
  t.op[at_op(Op::greater)][f16] = on_half<map2<Greater, bool, float>, 2, true>;
  t.op[at_op(Op::greater_equal)][f16] = on_half<map2<GreaterEqual, bool, float>, 2, true>;
  t.op[at_op(Op::clip)][f16] = on_half<map3<Clip, float, float>, 3, false>;
#if MORSEL_TILE_LEVEL == 0
  t.op[at_op(Op::floor_divide)][f16] = on_half<map2<FloorDivide, float, float>, 2, false>;
  t.op[at_op(Op::remainder)][f16] = on_half<map2<Remainder, float, float>, 2, false>;
  t.op[at_op(Op::nextafter)][f16] = map2<NextAfter, Half, Half>;
#endif
}

template <class R>
void fill_complex(TileTable& t, int k) {
  using Z = Complex<R>;
  t.op[at_op(Op::negative)][k] = map1<Negative, Z, Z>;
  t.op[at_op(Op::add)][k] = map2<Add, Z, Z>;
  t.op[at_op(Op::subtract)][k] = map2<Subtract, Z, Z>;
  fill_comparisons<Z>(t, k);
  fill_logical<Z>(t, k);
  fill_order<Z>(t, k);
  t.op[at_op(Op::positive)][k] = copy<sizeof(Z)>;
  t.op[at_op(Op::where)][k] =
      map3<Where, typename Raw<sizeof(Z)>::Type, __UINT8_TYPE__, typename Raw<sizeof(Z)>::Type>;
  t.cast[k][k] = copy<sizeof(Z)>;
  t.op[at_op(Op::conj)][k] = map1<Conj, Z, Z>;
  t.op[at_op(Op::real)][k] = map1<Real, R, Z>;
  t.op[at_op(Op::imag)][k] = map1<Imag, R, Z>;
#if MORSEL_TILE_LEVEL < 2
  // AVX-512 brings FMA instructions along, which `rounded` must keep out at the price of vectors.
  t.op[at_op(Op::multiply)][k] = map2<Multiply, Z, Z>;
  t.op[at_op(Op::square)][k] = map1<Square, Z, Z>;
  t.op[at_op(Op::reciprocal)][k] = map1<Reciprocal, Z, Z>;
  t.op[at_op(Op::divide)][k] = map2<Divide, Z, Z>;
#endif
  t.op[at_op(Op::round)][k] = map1<Round, Z, Z>;
  t.op[at_op(Op::isnan)][k] = map1<IsNan, bool, Z>;
  t.op[at_op(Op::isinf)][k] = map1<IsInf, bool, Z>;
  t.op[at_op(Op::isfinite)][k] = map1<IsFinite, bool, Z>;
  t.op[at_op(Op::sqrt)][k] = complex_function<ComplexSqrt, R>;
  t.op[at_op(Op::exp)][k] = complex_function<ComplexExp, R>;
  t.op[at_op(Op::log)][k] = complex_function<ComplexLog, R>;
  t.op[at_op(Op::abs)][k] = complex_abs<R>;
  t.op[at_op(Op::angle)][k] = complex_angle<R>;
  t.op[at_op(Op::sign)][k] = complex_sign<R>;
#if MORSEL_TILE_LEVEL == 0
  // Rare, large, and within a small factor of the wider levels.
  t.op[at_op(Op::exp2)][k] = complex_function<ComplexExp2, R>;
  t.op[at_op(Op::expm1)][k] = complex_function<ComplexExpm1, R>;
  t.op[at_op(Op::log2)][k] = complex_function<ComplexLog2, R>;
  t.op[at_op(Op::log10)][k] = complex_function<ComplexLog10, R>;
  t.op[at_op(Op::log1p)][k] = complex_function<ComplexLog1p, R>;
  t.op[at_op(Op::sin)][k] = complex_function<ComplexSin, R>;
  t.op[at_op(Op::cos)][k] = complex_function<ComplexCos, R>;
  t.op[at_op(Op::tan)][k] = complex_function<ComplexTan, R>;
  t.op[at_op(Op::asin)][k] = complex_function<ComplexAsin, R>;
  t.op[at_op(Op::acos)][k] = complex_function<ComplexAcos, R>;
  t.op[at_op(Op::atan)][k] = complex_function<ComplexAtan, R>;
  t.op[at_op(Op::sinh)][k] = complex_function<ComplexSinh, R>;
  t.op[at_op(Op::cosh)][k] = complex_function<ComplexCosh, R>;
  t.op[at_op(Op::tanh)][k] = complex_function<ComplexTanh, R>;
  t.op[at_op(Op::asinh)][k] = complex_function<ComplexAsinh, R>;
  t.op[at_op(Op::acosh)][k] = complex_function<ComplexAcosh, R>;
  t.op[at_op(Op::atanh)][k] = complex_function<ComplexAtanh, R>;
  t.op[at_op(Op::pow)][k] = complex_pow<R>;
#endif
}

template <class = void>
void fill_bool(TileTable& t) {
  fill_copies<1>(t, b1);
  fill_comparisons<bool>(t, b1);
  fill_logical<bool>(t, b1);
  fill_order<bool>(t, b1);
  fill_bitwise<bool>(t, b1);
  const Op copies[] = {Op::abs, Op::floor, Op::ceil, Op::trunc};
  for (const Op op : copies) t.op[at_op(op)][b1] = copy<1>;
  t.op[at_op(Op::add)][b1] = map2<Add, bool, bool>;
  t.op[at_op(Op::multiply)][b1] = map2<Multiply, bool, bool>;
  t.op[at_op(Op::isnan)][b1] = constant_bool<false>;
  t.op[at_op(Op::isinf)][b1] = constant_bool<false>;
  t.op[at_op(Op::isfinite)][b1] = constant_bool<true>;
  t.op[at_op(Op::signbit)][b1] = constant_bool<false>;
}

template <class A, class B>
void fill_mixed_comparisons(TileFn (&compare)[6]) {
  compare[0] = map2<Equal, bool, A, B>;
  compare[1] = map2<NotEqual, bool, A, B>;
  compare[2] = map2<Less, bool, A, B>;
  compare[3] = map2<LessEqual, bool, A, B>;
  compare[4] = map2<Greater, bool, A, B>;
  compare[5] = map2<GreaterEqual, bool, A, B>;
}

template <class = void>
void fill_table(TileTable& t) {
  fill_casts_to<bool>(t.cast, b1);
  fill_casts_to<__INT8_TYPE__>(t.cast, i8);
  fill_casts_to<__INT16_TYPE__>(t.cast, i16);
  fill_casts_to<__INT32_TYPE__>(t.cast, i32);
  fill_casts_to<__INT64_TYPE__>(t.cast, i64);
  fill_casts_to<__UINT8_TYPE__>(t.cast, u8);
  fill_casts_to<__UINT16_TYPE__>(t.cast, u16);
  fill_casts_to<__UINT32_TYPE__>(t.cast, u32);
  fill_casts_to<__UINT64_TYPE__>(t.cast, u64);
  fill_casts_to_half(t.cast);
  fill_casts_to<float>(t.cast, f32);
  fill_casts_to<double>(t.cast, f64);
  fill_casts_to<Complex<float>>(t.cast, c64);
  fill_casts_to<Complex<double>>(t.cast, c128);
  fill_cast_scale_offset<float>(t.cast_scale_offset, f32);
  fill_cast_scale_offset<double>(t.cast_scale_offset, f64);
  // After the conversions: those from a type to itself are copies.
  fill_bool(t);
  fill_integer<__INT8_TYPE__>(t, i8);
  fill_integer<__INT16_TYPE__>(t, i16);
  fill_integer<__INT32_TYPE__>(t, i32);
  fill_integer<__INT64_TYPE__>(t, i64);
  fill_integer<__UINT8_TYPE__>(t, u8);
  fill_integer<__UINT16_TYPE__>(t, u16);
  fill_integer<__UINT32_TYPE__>(t, u32);
  fill_integer<__UINT64_TYPE__>(t, u64);
  fill_half(t);
  fill_float<float>(t, f32);
  fill_float<double>(t, f64);
  fill_complex<float>(t, c64);
  fill_complex<double>(t, c128);
  fill_mixed_comparisons<__INT64_TYPE__, __UINT64_TYPE__>(t.compare_i64_u64);
  fill_mixed_comparisons<__UINT64_TYPE__, __INT64_TYPE__>(t.compare_u64_i64);
}
