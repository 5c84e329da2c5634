// Reduction loops: integer sums and products, any, all, counts. Part of reduce_loops.inl.

// Folds whose state is one 64-bit word and whose parts may be put together in any order.
template <class Step, class T>
struct WordFold {
  static void run(void* state, const void* x, Size n, Int) {
    Word acc = Step::identity;
    for (Size i = 0; i < n; ++i) acc = Step::combine(acc, Step::of(get<T>(x, i)));
    Word* s = static_cast<Word*>(state);
    *s = Step::combine(*s, acc);
  }
  static void rows(void* states, const void* x, std::ptrdiff_t stride, Size rows, Size columns, Int, Int) {
    Word* s = static_cast<Word*>(states);
    for (Size r = 0; r < rows; ++r) {
      const void* row = row_of(x, stride, r);
      for (Size c = 0; c < columns; ++c) s[c] = Step::combine(s[c], Step::of(get<T>(row, c)));
    }
  }
  static void merge(void* left, const void* right, Size n) {
    Word* a = static_cast<Word*>(left);
    const Word* b = static_cast<const Word*>(right);
    for (Size i = 0; i < n; ++i) a[i] = Step::combine(a[i], b[i]);
  }
};

struct SumStep {
  static constexpr Word identity = 0;
  static Word combine(Word a, Word b) { return a + b; }
  template <class T>
  static Word of(T v) {
    return static_cast<Word>(static_cast<Wide<T>>(v));
  }
};
struct ProdStep : SumStep {
  static constexpr Word identity = 1;
  static Word combine(Word a, Word b) { return a * b; }
};
struct CountStep {
  static constexpr Word identity = 0;
  static Word combine(Word a, Word b) { return a + b; }
  template <class T>
  static Word of(T v) {
    return is_true(v) ? 1 : 0;
  }
};
struct AnyStep : CountStep {
  static Word combine(Word a, Word b) { return a | b; }
};
struct AllStep : CountStep {
  static constexpr Word identity = 1;
  static Word combine(Word a, Word b) { return a & b; }
};

inline void add(WideSum& s, Word128 v) {
  const Word128 sum = ((static_cast<Word128>(s.high) << 64) | s.low) + v;
  s = WideSum{static_cast<Word>(sum), static_cast<Word>(sum >> 64)};
}

// 128-bit sums of 32- and 64-bit integers.
template <class T>
struct WideFold {
  static void run(void* state, const void* x, Size n, Int) {
    WideSum& s = *static_cast<WideSum*>(state);
    const char* p = static_cast<const char*>(x);
    // Partial sums of 2^24 elements stay inside 64 bits.
    for (Size first = 0; first < n; first += Size(1) << 24) {
      const Size some = n - first < (Size(1) << 24) ? n - first : Size(1) << 24;
      const char* from = p + first * sizeof(T);
      if constexpr (sizeof(T) < 8) {
        Wide<T> sum = 0;
        for (Size i = 0; i < some; ++i) sum += get<T>(from, i);
        add(s, static_cast<Word128>(static_cast<Int128>(sum)));
      } else {
        // Flipping the sign bit makes an unsigned number that is 2^63 too large.
        constexpr bool is_signed = T(-1) < T(0);
        constexpr Word flip = is_signed ? Word(1) << 63 : 0;
        Word low = 0, high = 0;
        for (Size i = 0; i < some; ++i) {
          const Word v = get<Word>(from, i) ^ flip;
          low += v & 0xffffffffu;
          high += v >> 32;
        }
        Word128 sum = (static_cast<Word128>(high) << 32) + low;
        sum -= static_cast<Word128>(flip) * some;
        add(s, sum);
      }
    }
  }
  static void rows(void* states, const void* x, std::ptrdiff_t stride, Size rows, Size columns, Int, Int) {
    WideSum* s = static_cast<WideSum*>(states);
    if constexpr (sizeof(T) < 8) {
      for (Size first_row = 0; first_row < rows; first_row += Size(1) << 24) {
        const Size some_rows = rows - first_row < (Size(1) << 24) ? rows - first_row : Size(1) << 24;
        for (Size first = 0; first < columns; first += group) {
          const Size some = columns - first < group ? columns - first : group;
          const void* corner = static_cast<const char*>(row_of(x, stride, first_row)) + first * sizeof(T);
          Wide<T> sum[group] = {};
          if (some == group)
            for (Size r = 0; r < some_rows; ++r)
              for (Size c = 0; c < group; ++c) sum[c] += get<T>(row_of(corner, stride, r), c);
          else
            for (Size r = 0; r < some_rows; ++r)
              for (Size c = 0; c < some; ++c) sum[c] += get<T>(row_of(corner, stride, r), c);
          for (Size c = 0; c < some; ++c)
            add(s[first + c], static_cast<Word128>(static_cast<Int128>(sum[c])));
        }
      }
    } else {
      for (Size r = 0; r < rows; ++r) {
        const void* row = row_of(x, stride, r);
        for (Size c = 0; c < columns; ++c)
          add(s[c], static_cast<Word128>(static_cast<Int128>(get<T>(row, c))));
      }
    }
  }
  static void merge(void* left, const void* right, Size n) {
    WideSum* a = static_cast<WideSum*>(left);
    const WideSum* b = static_cast<const WideSum*>(right);
    for (Size i = 0; i < n; ++i) add(a[i], (static_cast<Word128>(b[i].high) << 64) | b[i].low);
  }
};
