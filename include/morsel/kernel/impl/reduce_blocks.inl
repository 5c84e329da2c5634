// Reduction loops: sum, prod, moments and their nan-forms over fixed blocks. Part of reduce_loops.inl.

template <int width>
struct SumState;
template <>
struct SumState<1> {
  using type = double;
};
template <>
struct SumState<2> {
  using type = ComplexValue;
};
template <int width>
struct CountedState;
template <>
struct CountedState<1> {
  using type = CountedValue;
};
template <>
struct CountedState<2> {
  using type = CountedComplex;
};
template <int width>
struct MomentsState;
template <>
struct MomentsState<1> {
  using type = Moments;
};
template <>
struct MomentsState<2> {
  using type = ComplexMoments;
};

inline void make(double& s, const double* v, Int) { s = v[0]; }
inline void make(ComplexValue& s, const double* v, Int) { s = ComplexValue{v[0], v[1]}; }
inline void make(CountedValue& s, const double* v, Int count) { s = CountedValue{v[0], count}; }
inline void make(CountedComplex& s, const double* v, Int count) { s = CountedComplex{v[0], v[1], count}; }
inline void make(Moments& s, Int count, const double* mean, const double* m2) {
  s = Moments{count, mean[0], m2[0]};
}
inline void make(ComplexMoments& s, Int count, const double* mean, const double* m2) {
  s = ComplexMoments{count, mean[0], mean[1], m2[0] + m2[1]};
}

template <class Op>
inline void combine(double& a, const double& b) {
  a = Op::apply(a, b);
}
template <class Op>
inline void combine(ComplexValue& a, const ComplexValue& b) {
  if constexpr (Op::identity == 0.0)
    a = ComplexValue{a.re + b.re, a.im + b.im};
  else
    a = multiply(a, b);
}
template <class Op>
inline void combine(CountedValue& a, const CountedValue& b) {
  a = CountedValue{Op::apply(a.value, b.value), a.count + b.count};
}
template <class Op>
inline void combine(CountedComplex& a, const CountedComplex& b) {
  ComplexValue v{a.re, a.im};
  combine<Op>(v, ComplexValue{b.re, b.im});
  a = CountedComplex{v.re, v.im, a.count + b.count};
}

// Chan, Golub, LeVeque (1979), with the operands in this order and every operation rounded.
inline void merge_moments(Moments& a, const Moments& b) {
  if (b.count == 0) return;
  if (a.count == 0) {
    a = b;
    return;
  }
  const double na = static_cast<double>(a.count), nb = static_cast<double>(b.count);
  const double share = nb / (na + nb);
  const double delta = b.mean - a.mean;
  const double square = delta * delta;
  a = Moments{a.count + b.count, a.mean + delta * share, (a.m2 + b.m2) + square * (na * share)};
}
inline void merge_moments(ComplexMoments& a, const ComplexMoments& b) {
  if (b.count == 0) return;
  if (a.count == 0) {
    a = b;
    return;
  }
  const double na = static_cast<double>(a.count), nb = static_cast<double>(b.count);
  const double share = nb / (na + nb);
  const double re = b.re - a.re, im = b.im - a.im;
  const double square = re * re + im * im;
  a = ComplexMoments{a.count + b.count, a.re + re * share, a.im + im * share,
                     (a.m2 + b.m2) + square * (na * share)};
}

inline constexpr double no_shift[2] = {0.0, 0.0};

// Converts n <= 512 elements and takes `shift` (width doubles) from them; with `skip`, NaN becomes `instead`
// in all parts. Returns how many are not NaN.
template <class T, bool skip>
inline Int stage(const void* x, Size n, const double* shift, double instead, double* out) {
  constexpr int width = Elements<T>::width;
  Int count = 0;
  Size whole = 0;
  if constexpr (skip && Elements<T>::direct && width == 1) {
    Longs seen = {};
    const Doubles other = Doubles{} + instead, shifts = Doubles{} + *shift;
    whole = n / vector_doubles * vector_doubles;
    for (Size i = 0; i < whole; i += vector_doubles) {
      const Doubles v = load(static_cast<const typename Elements<T>::Scalar*>(x) + i);
      const Longs number = v == v;
      seen -= number;
      const Doubles kept = number ? v - shifts : other;
      __builtin_memcpy(out + i, &kept, sizeof kept);
    }
    for (int k = 0; k < vector_doubles; ++k) count += seen[k];
  }
  for (Size i = whole; i < n; ++i) {
    const T v = get<T>(x, i);
    spread(out + i * width, v);
    for (int w = 0; w < width; ++w) out[i * width + w] -= shift[w];
    if constexpr (skip) {
      const bool nan = is_nan(v);
      for (int w = 0; w < width; ++w) out[i * width + w] = nan ? instead : out[i * width + w];
      count += !nan;
    }
  }
  return skip ? count : static_cast<Int>(n);
}

// Sum or product of one block of n <= 512 elements.
template <class Op, class T, bool skip>
inline Int fold_block(const void* x, Size n, double* out) {
  constexpr int width = Elements<T>::width;
  constexpr bool pairs_product = width == 2 && Op::identity != 0.0;
  if constexpr (Elements<T>::direct && !skip && !pairs_product) {
    fold_blocks<Op, width, 1, false>(static_cast<const typename Elements<T>::Scalar*>(x), n, nullptr, out);
    return static_cast<Int>(n);
  } else {
    double staged[block * width];
    const Int count = stage<T, skip>(x, n, no_shift, Op::identity, staged);
    if constexpr (pairs_product) {
      if constexpr (skip)
        for (Size i = 0; i < n; ++i)
          if (is_nan(get<T>(x, i))) staged[2 * i + 1] = 0.0;
      multiply_pairs(staged, n, out);
    } else {
      fold_blocks<Op, width, 1, false>(static_cast<const double*>(staged), n, nullptr, out);
    }
    return count;
  }
}

// Merges states[0..count) by the binary tree into states[0]; count is a power of two.
template <class State, class Merge>
inline void merge_tree(State* states, Size count, Merge&& merge) {
  for (; count > 1; count /= 2)
    for (Size i = 0; i < count / 2; ++i) {
      State left = states[2 * i];
      merge(left, states[2 * i + 1]);
      states[i] = left;
    }
}

// Columns are taken in groups whose accumulators stay in L1.
inline constexpr Size group = 32;

// One row of a group as doubles.
template <class T, bool whole>
inline void spread_row(const void* row, Size some, double* value) {
  constexpr int width = Elements<T>::width;
  const Size columns = whole ? group : some;
  if constexpr (Elements<T>::direct)
    for (Size i = 0; i < columns * width; ++i)
      value[i] = static_cast<double>(get<typename Elements<T>::Scalar>(row, i));
  else
    for (Size c = 0; c < columns; ++c) spread(value + c, get<T>(row, c));
}

// Puts `real` (and an imaginary part of 0) in the place of NaN, and counts the others.
template <int width, bool whole>
inline void skip_row(double* value, Size some, double real, double* count) {
  const Size columns = whole ? group : some;
  if constexpr (whole && width == 1) {
    const Doubles one = Doubles{} + 1.0, none = {}, other = Doubles{} + real;
    for (Size c = 0; c < group; c += vector_doubles) {
      const Doubles v = load(value + c), seen = load(count + c) + (v == v ? one : none);
      const Doubles kept = v == v ? v : other;
      __builtin_memcpy(count + c, &seen, sizeof seen);
      __builtin_memcpy(value + c, &kept, sizeof kept);
    }
    return;
  }
  for (Size c = 0; c < columns; ++c) {
    bool number = value[c * width] == value[c * width];
    if constexpr (width == 2) number &= value[2 * c + 1] == value[2 * c + 1];
    count[c] += number ? 1.0 : 0.0;
    value[c * width] = number ? value[c * width] : real;
    if constexpr (width == 2) value[2 * c + 1] = number ? value[2 * c + 1] : 0.0;
  }
}

template <class Op, class T, bool skip>
struct BlockFold {
  static constexpr int width = Elements<T>::width;
  using State = typename SumState<width>::type;
  using Counted = typename CountedState<width>::type;

  template <class S>
  static void run_into(S& state, const void* x, Size n) {
    double value[width];
    const Int count = fold_block<Op, T, skip>(x, n, value);
    make(state, value, count);
  }
  template <class S>
  static void blocks_into(S& state, const void* x, Size count) {
    S states[max_tree_blocks];
    states[0] = state;
    constexpr int together = side_by_side<width>;
    if constexpr (Elements<T>::direct && !skip && (width == 1 || Op::identity == 0.0) && together > 1) {
      if (count >= static_cast<Size>(together)) {
        double value[together * width];
        for (Size b = 0; b < count; b += together) {
          fold_blocks<Op, width, together, false>(
              static_cast<const typename Elements<T>::Scalar*>(x) + b * block * width, block, nullptr, value);
          for (int k = 0; k < together; ++k) make(states[b + static_cast<Size>(k)], value + k * width, 0);
        }
        merge_tree(states, count, combine_states<S>);
        state = states[0];
        return;
      }
    }
    for (Size b = 0; b < count; ++b)
      run_into(states[b], static_cast<const char*>(x) + b * block * sizeof(T), block);
    merge_tree(states, count, combine_states<S>);
    state = states[0];
  }
  template <class S>
  static void combine_states(S& a, const S& b) {
    combine<Op>(a, b);
  }

  template <class S>
  static void rows_into(S* states, const void* x, std::ptrdiff_t stride, Size rows, Size columns) {
    for (Size first = 0; first < columns; first += group) {
      const Size some = columns - first < group ? columns - first : group;
      double acc[group * width], count[group] = {};
      for (Size i = 0; i < group * width; ++i)
        acc[i] = width == 2 && i % 2 == 1 && Op::identity != 0.0 ? 0.0 : Op::identity;
      const void* corner = static_cast<const char*>(x) + first * sizeof(T);
      if (some == group)
        add_rows<true>(acc, count, corner, stride, rows, group);
      else
        add_rows<false>(acc, count, corner, stride, rows, some);
      for (Size c = 0; c < some; ++c) make(states[first + c], acc + c * width, static_cast<Int>(count[c]));
    }
  }
  template <bool whole>
  static void add_rows(double* acc, double* count, const void* x, std::ptrdiff_t stride, Size rows,
                       Size some) {
    const Size columns = whole ? group : some;
    for (Size r = 0; r < rows; ++r) {
      double value[group * width];
      spread_row<T, whole>(row_of(x, stride, r), columns, value);
      if constexpr (skip) skip_row<width, whole>(value, columns, Op::identity, count);
      if constexpr (width == 2 && Op::identity != 0.0) {
        for (Size c = 0; c < columns; ++c) {
          const ComplexValue v{value[2 * c], value[2 * c + 1]};
          const ComplexValue p = r == 0 ? v : multiply(ComplexValue{acc[2 * c], acc[2 * c + 1]}, v);
          acc[2 * c] = p.re, acc[2 * c + 1] = p.im;
        }
      } else {
        for (Size i = 0; i < columns * width; ++i) acc[i] = Op::apply(acc[i], value[i]);
      }
    }
  }

  // The states of nan-forms are counted.
  static void run(void* state, const void* x, Size n, Int) {
    if constexpr (skip)
      run_into(*static_cast<Counted*>(state), x, n);
    else
      run_into(*static_cast<State*>(state), x, n);
  }
  static void blocks(void* state, const void* x, Size count) {
    if constexpr (skip)
      blocks_into(*static_cast<Counted*>(state), x, count);
    else
      blocks_into(*static_cast<State*>(state), x, count);
  }
  static void rows(void* states, const void* x, std::ptrdiff_t stride, Size rows, Size columns, Int, Int) {
    if constexpr (skip)
      rows_into(static_cast<Counted*>(states), x, stride, rows, columns);
    else
      rows_into(static_cast<State*>(states), x, stride, rows, columns);
  }
  static void merge(void* left, const void* right, Size n) {
    if constexpr (skip)
      for (Size i = 0; i < n; ++i)
        combine<Op>(static_cast<Counted*>(left)[i], static_cast<const Counted*>(right)[i]);
    else
      for (Size i = 0; i < n; ++i)
        combine<Op>(static_cast<State*>(left)[i], static_cast<const State*>(right)[i]);
  }
};

// Leaves of a few rows each, merged by the tree in registers: 2^level leaves, `vectors` neighbouring vectors
// of columns.
template <class Op, class S, int vectors, int level>
inline void tree_of_leaves(const char* x, std::ptrdiff_t leaf_stride, std::ptrdiff_t row_stride, Size rows,
                           Doubles* out) {
  if constexpr (level == 0) {
    for (int v = 0; v < vectors; ++v) out[v] = Doubles{} + Op::identity;
    for (Size r = 0; r < rows; ++r, x += row_stride)
      for (int v = 0; v < vectors; ++v)
        out[v] = Op::apply(out[v], load(reinterpret_cast<const S*>(x) + v * vector_doubles));
  } else {
    tree_of_leaves<Op, S, vectors, level - 1>(x, leaf_stride, row_stride, rows, out);
    Doubles right[vectors];
    tree_of_leaves<Op, S, vectors, level - 1>(x + (leaf_stride << (level - 1)), leaf_stride, row_stride, rows,
                                              right);
    for (int v = 0; v < vectors; ++v) out[v] = Op::apply(out[v], right[v]);
  }
}
template <class Op, class S, int level>
inline void leaves_of_level(double* states, const char* x, std::ptrdiff_t leaf_stride,
                            std::ptrdiff_t row_stride, Size rows, Size columns) {
  constexpr int vectors = MORSEL_VECTOR_BYTES == 64 ? 4 : 2;
  constexpr Size wide = Size{vectors} * static_cast<Size>(vector_doubles);
  Size c = 0;
  for (; c + wide <= columns; c += wide) {
    Doubles sum[vectors];
    tree_of_leaves<Op, S, vectors, level>(x + c * sizeof(S), leaf_stride, row_stride, rows, sum);
    __builtin_memcpy(states + c, sum, sizeof sum);
  }
  for (; c < columns; ++c) {
    double node[std::size_t{1} << level];
    for (Size k = 0; k < Size(1) << level; ++k) {
      node[k] = Op::identity;
      for (Size r = 0; r < rows; ++r)
        node[k] =
            Op::apply(node[k], static_cast<double>(get<S>(x + static_cast<std::ptrdiff_t>(k) * leaf_stride +
                                                              static_cast<std::ptrdiff_t>(r) * row_stride,
                                                          c)));
    }
    merge_tree(node, Size(1) << level, [](double& a, double b) { a = Op::apply(a, b); });
    states[c] = node[0];
  }
}
template <class Op, class S>
inline void sum_leaves(void* states, const void* x, std::ptrdiff_t leaf_stride, std::ptrdiff_t row_stride,
                       Size rows, Size count, Size columns) {
  const auto* from = static_cast<const char*>(x);
  auto* to = static_cast<double*>(states);
  if (count == 2)
    leaves_of_level<Op, S, 1>(to, from, leaf_stride, row_stride, rows, columns);
  else if (count == 4)
    leaves_of_level<Op, S, 2>(to, from, leaf_stride, row_stride, rows, columns);
  else
    leaves_of_level<Op, S, 3>(to, from, leaf_stride, row_stride, rows, columns);
}

template <class T, bool skip>
struct MomentsFold {
  static constexpr int width = Elements<T>::width;
  using State = typename MomentsState<width>::type;

  static void one_block(State& state, const void* x, Size n) {
    double mean[width], m2[width];
    if constexpr (Elements<T>::direct && !skip) {
      const auto* scalars = static_cast<const typename Elements<T>::Scalar*>(x);
      fold_blocks<Add, width, 1, false>(scalars, n, nullptr, mean);
      for (int w = 0; w < width; ++w) mean[w] = mean[w] / static_cast<double>(n);
      fold_blocks<Add, width, 1, true>(scalars, n, mean, m2);
      make(state, static_cast<Int>(n), mean, m2);
    } else {
      double staged[block * width];
      const double* values = staged;
      const Int count = stage<T, skip>(x, n, no_shift, 0.0, staged);
      if (count == 0) {
        state = State{};
        return;
      }
      fold_blocks<Add, width, 1, false>(values, n, nullptr, mean);
      for (int w = 0; w < width; ++w) mean[w] = mean[w] / static_cast<double>(count);
      if constexpr (skip) {
        stage<T, skip>(x, n, mean, 0.0, staged);
        fold_blocks<Add, width, 1, true>(values, n, no_shift, m2);
      } else {
        fold_blocks<Add, width, 1, true>(values, n, mean, m2);
      }
      make(state, count, mean, m2);
    }
  }

  static void run(void* state, const void* x, Size n, Int) {
    if (n == 0)
      *static_cast<State*>(state) = State{};
    else
      one_block(*static_cast<State*>(state), x, n);
  }

  static void blocks(void* state, const void* x, Size count) {
    State states[max_tree_blocks];
    states[0] = *static_cast<State*>(state);
    constexpr int together = side_by_side<width>;
    if constexpr (Elements<T>::direct && !skip && together > 1) {
      if (count >= static_cast<Size>(together)) {
        double mean[together * width], m2[together * width];
        for (Size b = 0; b < count; b += together) {
          const auto* scalars = static_cast<const typename Elements<T>::Scalar*>(x) + b * block * width;
          fold_blocks<Add, width, together, false>(scalars, block, nullptr, mean);
          for (int i = 0; i < together * width; ++i) mean[i] = mean[i] / static_cast<double>(block);
          fold_blocks<Add, width, together, true>(scalars, block, mean, m2);
          for (int k = 0; k < together; ++k)
            make(states[b + static_cast<Size>(k)], static_cast<Int>(block), mean + k * width, m2 + k * width);
        }
        merge_tree(states, count, merge_one);
        *static_cast<State*>(state) = states[0];
        return;
      }
    }
    for (Size b = 0; b < count; ++b)
      one_block(states[b], static_cast<const char*>(x) + b * block * sizeof(T), block);
    merge_tree(states, count, merge_one);
    *static_cast<State*>(state) = states[0];
  }
  static void merge_one(State& a, const State& b) { merge_moments(a, b); }

  static void rows(void* states, const void* x, std::ptrdiff_t stride, Size rows, Size columns, Int, Int) {
    for (Size first = 0; first < columns; first += group) {
      const Size some = columns - first < group ? columns - first : group;
      const void* corner = static_cast<const char*>(x) + first * sizeof(T);
      State* out = static_cast<State*>(states) + first;
      if (rows == 0)
        for (Size c = 0; c < some; ++c) out[c] = State{};
      else if (some == group)
        group_rows<true>(out, corner, stride, rows, group);
      else
        group_rows<false>(out, corner, stride, rows, some);
    }
  }
  template <bool whole>
  static void group_rows(State* states, const void* x, std::ptrdiff_t stride, Size rows, Size some) {
    const Size columns = whole ? group : some;
    double mean[group * width] = {}, m2[group * width] = {}, count[group] = {};
    for (Size r = 0; r < rows; ++r) {
      double value[group * width];
      spread_row<T, whole>(row_of(x, stride, r), columns, value);
      if constexpr (skip) skip_row<width, whole>(value, columns, 0.0, count);
      for (Size i = 0; i < columns * width; ++i) mean[i] += value[i];
    }
    for (Size c = 0; c < columns; ++c) {
      if constexpr (!skip) count[c] = static_cast<double>(rows);
      for (int w = 0; w < width; ++w) mean[c * width + w] = mean[c * width + w] / count[c];
    }
    for (Size r = 0; r < rows; ++r) {
      double value[group * width];
      spread_row<T, whole>(row_of(x, stride, r), columns, value);
      if constexpr (skip && whole && width == 1) {
        const Doubles none = {};
        for (Size c = 0; c < group; c += vector_doubles) {
          const Doubles v = load(value + c), d = v == v ? v - load(mean + c) : none;
          const Doubles sum = load(m2 + c) + d * d;
          __builtin_memcpy(m2 + c, &sum, sizeof sum);
        }
        continue;
      }
      for (Size c = 0; c < columns; ++c) {
        bool number = true;
        if constexpr (skip)
          for (int w = 0; w < width; ++w) number &= value[c * width + w] == value[c * width + w];
        for (int w = 0; w < width; ++w) {
          const double d = number ? value[c * width + w] - mean[c * width + w] : 0.0;
          m2[c * width + w] += d * d;
        }
      }
    }
    for (Size c = 0; c < columns; ++c)
      if (count[c] == 0)
        states[c] = State{};
      else
        make(states[c], static_cast<Int>(count[c]), mean + c * width, m2 + c * width);
  }

  static void merge(void* left, const void* right, Size n) {
    for (Size i = 0; i < n; ++i)
      merge_moments(static_cast<State*>(left)[i], static_cast<const State*>(right)[i]);
  }
};
