// Reduction loops: min, max, argmin, argmax. Part of reduce_loops.inl.

// Orders for min and max: total on numbers, -0 < +0; complex by real, then imaginary part.
inline bool less(Int a, Int b) { return a < b; }
inline bool less(Word a, Word b) { return a < b; }
inline bool less(double a, double b) {
  return a < b || (a == b && __builtin_signbit(a) != 0 && __builtin_signbit(b) == 0);
}
// The order of argmin and argmax: zeros are equal.
inline bool before(Int a, Int b) { return a < b; }
inline bool before(Word a, Word b) { return a < b; }
inline bool before(double a, double b) { return a < b; }
inline bool before(ComplexValue a, ComplexValue b) { return a.re < b.re || (a.re == b.re && a.im < b.im); }
// Signs of zeros decide last, so that min and argmin agree.
inline bool less(ComplexValue a, ComplexValue b) {
  if (before(a, b) || before(b, a)) return before(a, b);
  return less(a.re, b.re) || (!less(b.re, a.re) && less(a.im, b.im));
}

inline double quiet(double) { return __builtin_nan(""); }
inline ComplexValue quiet(ComplexValue) { return ComplexValue{__builtin_nan(""), __builtin_nan("")}; }
inline Int quiet(Int v) { return v; }
inline Word quiet(Word v) { return v; }

// a or b. NaN wins; with `skip` it loses, and then stands for "nothing seen yet". Which NaN would depend on
// the order, so all parts become NaN.
template <bool max, bool skip, class V>
inline V better(V a, V b) {
  if (is_nan(a)) return skip ? b : quiet(a);
  if (is_nan(b)) return skip ? a : quiet(b);
  return (max ? less(a, b) : less(b, a)) ? b : a;
}
template <bool max, bool skip>
inline double better(double a, double b) {
  const bool nan = skip ? a != a : b != b;
  const bool beyond = max ? a < b : b < a;
  const bool zero = (a == b) & ((__builtin_bit_cast(Int, b) < 0) != max);
  return (nan | beyond | zero) ? b : a;
}

// The extreme of n >= 1 elements.
template <bool max, bool skip, class T>
inline Wide<T> extreme_of(const void* x, Size n, T*) {
  T acc = get<T>(x, 0);
  for (Size i = 1; i < n; ++i) {
    const T v = get<T>(x, i);
    acc = (max ? acc < v : v < acc) ? v : acc;
  }
  return widen(acc);
}
template <bool max, bool skip, class F>
inline ComplexValue extreme_of(const void* x, Size n, Pair<F>*) {
  ComplexValue acc = widen(get<Pair<F>>(x, 0));
  for (Size i = 1; i < n; ++i) acc = better<max, skip>(acc, widen(get<Pair<F>>(x, i)));
  return is_nan(acc) ? quiet(acc) : acc;
}
// As sign-and-magnitude numbers halves order like their values; NaN gets the key that wins, or loses.
template <bool max, bool skip>
inline double extreme_of(const void* x, Size n, Half*) {
  constexpr std::int16_t last = max ? 32767 : -32768, first = max ? -32768 : 32767;
  std::int16_t acc = first;
  for (Size i = 0; i < n; ++i) {
    const std::uint16_t bits = get<std::uint16_t>(x, i);
    const std::int16_t number = static_cast<std::int16_t>(bits ^ ((bits & 0x8000u) ? 0x7fffu : 0u));
    const std::int16_t key = (bits & 0x7fffu) > 0x7c00u ? (skip ? first : last) : number;
    acc = (max ? acc < key : key < acc) ? key : acc;
  }
  if (acc == first || acc == last) return __builtin_nan("");
  const std::uint16_t bits = static_cast<std::uint16_t>(acc);
  return widen(Half{static_cast<std::uint16_t>(bits ^ ((bits & 0x8000u) ? 0x7fffu : 0u))});
}

template <class F>
struct FloatVector;
template <>
struct FloatVector<float> {
  typedef float Values __attribute__((vector_size(MORSEL_VECTOR_BYTES)));
  typedef std::int32_t Bits __attribute__((vector_size(MORSEL_VECTOR_BYTES)));
  using Bit = std::int32_t;
};
template <>
struct FloatVector<double> {
  typedef double Values __attribute__((vector_size(MORSEL_VECTOR_BYTES)));
  typedef std::int64_t Bits __attribute__((vector_size(MORSEL_VECTOR_BYTES)));
  using Bit = std::int64_t;
};

// A comparison with NaN is false, so that NaN is passed over. What is left open is looked up only when it
// matters: was there a NaN (the sum of all elements is NaN then), was there a number at all (if the extreme
// is infinite), was there a zero of the sign that wins (if it is zero).
template <bool max, bool skip, class F>
inline double float_extreme(const void* x, Size n) {
  using Values = typename FloatVector<F>::Values;
  constexpr Size width = MORSEL_VECTOR_BYTES / sizeof(F);
  constexpr int unroll = 4;
  const F worst = max ? -__builtin_inff() : __builtin_inff();
  double acc = skip ? __builtin_nan("") : static_cast<double>(worst);
  Size i = 0;
  if (n >= unroll * width) {
    Values best[unroll], sum[unroll];
    for (int k = 0; k < unroll; ++k) {
      best[k] = Values{} + worst;
      sum[k] = Values{};
    }
    for (; i + unroll * width <= n; i += unroll * width)
      for (int k = 0; k < unroll; ++k) {
        Values v;
        __builtin_memcpy(&v, static_cast<const char*>(x) + (i + static_cast<Size>(k) * width) * sizeof(F),
                         sizeof v);
        if constexpr (max)
          best[k] = v > best[k] ? v : best[k];
        else
          best[k] = v < best[k] ? v : best[k];
        if constexpr (!skip) sum[k] += v;
      }
    for (int k = 1; k < unroll; ++k) {
      best[0] = (max ? best[k] > best[0] : best[k] < best[0]) ? best[k] : best[0];
      sum[0] += sum[k];
    }
    F value[width], sums[width];
    __builtin_memcpy(value, &best[0], sizeof value);
    __builtin_memcpy(sums, &sum[0], sizeof sums);
    F extreme = value[0], total = sums[0];
    for (Size k = 1; k < width; ++k) {
      extreme = (max ? value[k] > extreme : value[k] < extreme) ? value[k] : extreme;
      total += sums[k];
    }
    Size seen = 0;
    if (!skip && total != total)
      for (Size k = 0; k < i; ++k) seen += is_nan(get<F>(x, k)) ? 1 : 0;
    if (skip && extreme == worst)
      for (Size k = 0; k < i; ++k) seen += is_nan(get<F>(x, k)) ? 0 : 1;
    if (!skip && seen != 0) return __builtin_nan("");
    if (!skip || extreme != worst || seen != 0) {
      acc = static_cast<double>(extreme);
      if (extreme == 0) {
        Size winning = 0;
        for (Size k = 0; k < i; ++k) {
          const F v = get<F>(x, k);
          winning += ((v == 0) & ((__builtin_bit_cast(typename FloatVector<F>::Bit, v) < 0) != max)) ? 1 : 0;
        }
        acc = (winning != 0) != max ? -0.0 : 0.0;
      }
    }
  }
  for (; i < n; ++i) acc = better<max, skip>(acc, static_cast<double>(get<F>(x, i)));
  return acc;
}
template <bool max, bool skip>
inline double extreme_of(const void* x, Size n, float*) {
  return float_extreme<max, skip, float>(x, n);
}
template <bool max, bool skip>
inline double extreme_of(const void* x, Size n, double*) {
  return float_extreme<max, skip, double>(x, n);
}

// The same column by column for 4 vectors of columns. Where something is left open the group is done again,
// slowly.
template <class F>
inline constexpr Size float_columns = 4 * MORSEL_VECTOR_BYTES / sizeof(F);

template <bool max, bool skip, class F>
inline void float_rows(double* states, const void* x, std::ptrdiff_t stride, Size rows) {
  using Values = typename FloatVector<F>::Values;
  constexpr Size width = MORSEL_VECTOR_BYTES / sizeof(F), columns = float_columns<F>;
  const F worst = max ? -__builtin_inff() : __builtin_inff();
  Values best[4], sum[4];
  for (int k = 0; k < 4; ++k) {
    best[k] = Values{} + worst;
    sum[k] = Values{};
  }
  for (Size r = 0; r < rows; ++r) {
    const char* row = static_cast<const char*>(row_of(x, stride, r));
    for (int k = 0; k < 4; ++k) {
      Values v;
      __builtin_memcpy(&v, row + static_cast<Size>(k) * sizeof v, sizeof v);
      if constexpr (max)
        best[k] = v > best[k] ? v : best[k];
      else
        best[k] = v < best[k] ? v : best[k];
      if constexpr (!skip) sum[k] += v;
    }
  }
  F value[4 * width], total[4 * width];
  __builtin_memcpy(value, best, sizeof value);
  __builtin_memcpy(total, sum, sizeof total);
  Size open = 0;
  for (Size c = 0; c < columns; ++c)
    open += ((value[c] == 0) | (skip ? value[c] == worst : total[c] != total[c])) ? 1 : 0;
  if (open == 0) {
    for (Size c = 0; c < columns; ++c)
      states[c] = better<max, skip>(states[c], static_cast<double>(value[c]));
    return;
  }
  for (Size r = 0; r < rows; ++r) {
    const void* row = row_of(x, stride, r);
    for (Size c = 0; c < columns; ++c)
      states[c] = better<max, skip>(states[c], static_cast<double>(get<F>(row, c)));
  }
}

template <bool max, bool skip, class T>
struct ExtremeFold {
  using V = Wide<T>;
  static void run(void* state, const void* x, Size n, Int) {
    if (n == 0) return;
    V& s = *static_cast<V*>(state);
    s = better<max, skip>(s, extreme_of<max, skip>(x, n, static_cast<T*>(nullptr)));
  }
  static void rows(void* states, const void* x, std::ptrdiff_t stride, Size rows, Size columns, Int, Int) {
    V* s = static_cast<V*>(states);
    Size done = 0;
    if constexpr (Elements<T>::direct && Elements<T>::width == 1)
      for (constexpr Size some = float_columns<T>; done + some <= columns; done += some)
        float_rows<max, skip, T>(s + done, static_cast<const char*>(x) + done * sizeof(T), stride, rows);
    for (Size r = 0; r < rows; ++r) {
      const void* row = row_of(x, stride, r);
      for (Size c = done; c < columns; ++c) s[c] = better<max, skip>(s[c], widen(get<T>(row, c)));
    }
  }
  static void merge(void* left, const void* right, Size n) {
    V* a = static_cast<V*>(left);
    const V* b = static_cast<const V*>(right);
    for (Size i = 0; i < n; ++i) a[i] = better<max, skip>(a[i], b[i]);
  }
};

template <Size bytes>
struct RowOf;
template <>
struct RowOf<1> {
  using type = std::int8_t;
};
template <>
struct RowOf<2> {
  using type = std::int16_t;
};
template <>
struct RowOf<4> {
  using type = std::int32_t;
};
template <>
struct RowOf<8> {
  using type = std::int64_t;
};

template <bool max, bool skip, class T>
struct ArgFold {
  using V = Wide<T>;
  using State = Extreme<V>;

  static void take(State& a, const State& b) {
    if (b.index < 0) return;
    bool wins;
    if (a.index < 0) {
      wins = true;
    } else if (is_nan(a.value) || is_nan(b.value)) {
      wins = is_nan(b.value) && (!is_nan(a.value) || b.index < a.index);
    } else {
      const bool better = max ? before(a.value, b.value) : before(b.value, a.value);
      const bool worse = max ? before(b.value, a.value) : before(a.value, b.value);
      wins = better || (!worse && b.index < a.index);
    }
    if (wins) a = b;
  }
  // One form for all complex NaN, as better() has it.
  static State state_of(T element, Int index) {
    const V value = widen(element);
    return State{is_nan(value) ? quiet(value) : value, index};
  }
  static void step(State& s, T element, Int index) {
    if (skip && is_nan(element)) return;
    take(s, state_of(element, index));
  }
  static bool equal(V a, V b) { return !before(a, b) && !before(b, a) && !is_nan(a) && !is_nan(b); }

  // The extreme of a piece first, vectorised; then, if it is any better, the place where it is.
  static void run(void* state, const void* x, Size n, Int first_index) {
    State& s = *static_cast<State*>(state);
    constexpr Size piece = 1024;
    for (Size first = 0; first < n; first += piece) {
      const Size some = n - first < piece ? n - first : piece;
      const void* from = static_cast<const char*>(x) + first * sizeof(T);
      const V value = extreme_of<max, skip>(from, some, static_cast<T*>(nullptr));
      if (skip && is_nan(value)) continue;
      const Int index = first_index + static_cast<Int>(first);
      State after = s;
      take(after, State{value, index});
      if (after.index != index) continue;
      Size at = 0;
      if (is_nan(value))
        while (!is_nan(get<T>(from, at))) ++at;
      else
        while (!equal(widen(get<T>(from, at)), value)) ++at;
      take(s, state_of(get<T>(from, at), index + static_cast<Int>(at)));
    }
  }
  static void rows(void* states, const void* x, std::ptrdiff_t stride, Size rows, Size columns,
                   Int first_index, Int index_step) {
    State* s = static_cast<State*>(states);
    Size done = 0;
    if constexpr (Elements<T>::width == 1 && !__is_same(T, Half))
      if (index_step > 0)
        for (; done + group <= columns; done += group)
          for (Size r = 0; r < rows; r += row_block_rows)
            group_rows(s + done, static_cast<const char*>(row_of(x, stride, r)) + done * sizeof(T), stride,
                       rows - r < row_block_rows ? rows - r : row_block_rows,
                       first_index + static_cast<Int>(r) * index_step, index_step);
    for (Size r = 0; r < rows; ++r) {
      const void* row = row_of(x, stride, r);
      const Int index = first_index + static_cast<Int>(r) * index_step;
      for (Size c = done; c < columns; ++c) step(s[c], get<T>(row, c), index);
    }
  }
  // At most 64 rows, so that the number of a row fits the narrowest element: values and row numbers go side
  // by side.
  static void group_rows(State* states, const void* x, std::ptrdiff_t stride, Size rows, Int first_index,
                         Int index_step) {
    using Row = typename RowOf<sizeof(T)>::type;
    T best[group];
    Row at[group] = {};
    for (Size c = 0; c < group; ++c) best[c] = get<T>(x, c);
    for (Size r = 1; r < rows; ++r) {
      const void* row = row_of(x, stride, r);
      for (Size c = 0; c < group; ++c) {
        const T v = get<T>(row, c);
        // A number beats NaN if NaN is skipped; the first NaN beats all numbers if not.
        bool wins = max ? best[c] < v : v < best[c];
        wins |= skip ? (is_nan(best[c]) & !is_nan(v)) : (is_nan(v) & !is_nan(best[c]));
        best[c] = wins ? v : best[c];
        at[c] = wins ? static_cast<Row>(r) : at[c];
      }
    }
    for (Size c = 0; c < group; ++c)
      step(states[c], best[c], first_index + static_cast<Int>(at[c]) * index_step);
  }
  static void merge(void* left, const void* right, Size n) {
    for (Size i = 0; i < n; ++i) take(static_cast<State*>(left)[i], static_cast<const State*>(right)[i]);
  }
};
