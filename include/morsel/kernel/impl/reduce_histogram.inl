// Reduction loops: histograms. Part of reduce_loops.inl.

// Slots count what lies below (0), in bin i (i + 1), and above or NaN (bins + 1).

// The slot of x by searching the edges.
inline std::uint32_t searched_slot(double x, const HistogramBins& bins) {
  const double* edges = bins.edges;
  if (x < edges[0]) return 0;
  if (!(x <= edges[bins.bins])) return static_cast<std::uint32_t>(bins.bins + 1);
  Int low = 0, high = bins.bins;  // the bin is in [low, high)
  while (high - low > 1) {
    const Int middle = low + (high - low) / 2;
    if (x < edges[middle])
      high = middle;
    else
      low = middle;
  }
  return static_cast<std::uint32_t>(low + 1);
}

inline constexpr Word bin_unit = Word(1) << bin_shift;

// The slot of x by the estimate.
inline std::uint32_t estimated_slot(double x, const HistogramBins& bins) {
  double u = x * bins.scale + bins.offset;
  u = u < bins.high ? u : bins.high;
  u = u > bins.low ? u : bins.low;
  const Word bits = __builtin_bit_cast(Word, u);
  if (((bits + bins.guard) & (bin_unit - 1)) >= 2 * bins.guard)
    return static_cast<std::uint32_t>(bits >> bin_shift);
  // Near an edge: compare with it.
  if (x < bins.edges[0]) return 0;
  if (!(x <= bins.edges[bins.bins])) return static_cast<std::uint32_t>(bins.bins + 1);
  const Int edge = static_cast<Int>(static_cast<std::uint32_t>((bits + bin_unit / 2) >> bin_shift)) - 1;
  const Int slot = x < bins.edges[edge] ? edge : edge + 1;
  return static_cast<std::uint32_t>(slot < bins.bins ? slot : bins.bins);
}

inline constexpr Size slot_batch = 64;

#if MORSEL_VECTOR_BYTES == 64
struct SlotConstants {
  explicit SlotConstants(const HistogramBins& bins)
      : scale(_mm512_set1_pd(bins.scale)),
        offset(_mm512_set1_pd(bins.offset)),
        low(_mm512_set1_pd(bins.low)),
        high(_mm512_set1_pd(bins.high)),
        guard(_mm512_set1_epi64(bins.guard)),
        far(_mm512_set1_epi64(static_cast<Int>(bin_unit - 2 * bins.guard))) {}
  __m512d scale, offset, low, high;
  __m512i guard, far;
};

// The slots of 8 elements in the low halves of 8 words; near[k] set where an edge is near.
inline __m512i eight_slots(__m512d x, const SlotConstants& c, __mmask8& near) {
  __m512d u = _mm512_fmadd_pd(x, c.scale, c.offset);
  u = _mm512_max_pd(_mm512_min_pd(u, c.high), c.low);  // NaN: high
  const __m512i bits = _mm512_castpd_si512(u);
  near = static_cast<__mmask8>(near | _mm512_testn_epi64_mask(_mm512_add_epi64(bits, c.guard), c.far));
  return _mm512_srli_epi64(bits, bin_shift);
}
// The same with a look at the edge next to each element.
inline __m512i eight_exact_slots(__m512d x, const SlotConstants& c, const HistogramBins& bins) {
  __m512d u = _mm512_fmadd_pd(x, c.scale, c.offset);
  u = _mm512_max_pd(_mm512_min_pd(u, c.high), c.low);
  const __m512i last = _mm512_set1_epi64(bins.bins);
  const __m512i up = _mm512_srli_epi64(
      _mm512_add_epi64(_mm512_castpd_si512(u), _mm512_set1_epi64(static_cast<Int>(bin_unit / 2))), bin_shift);
  __m512i edge = _mm512_sub_epi64(_mm512_and_epi64(up, _mm512_set1_epi64(0xffffffff)), _mm512_set1_epi64(1));
  edge = _mm512_min_epi64(edge, last);
  const __mmask8 below_edge = _mm512_cmp_pd_mask(x, _mm512_i64gather_pd(edge, bins.edges, 8), _CMP_LT_OQ);
  const __m512i one = _mm512_set1_epi64(1);
  __m512i slot = _mm512_add_epi64(edge, one);
  slot = _mm512_mask_sub_epi64(slot, below_edge, slot, one);
  slot = _mm512_min_epi64(slot, last);
  const __mmask8 below = _mm512_cmp_pd_mask(x, _mm512_set1_pd(bins.edges[0]), _CMP_LT_OQ);
  const __mmask8 above = _mm512_cmp_pd_mask(x, _mm512_set1_pd(bins.edges[bins.bins]), _CMP_NLE_UQ);
  slot = _mm512_mask_mov_epi64(slot, below, _mm512_setzero_si512());
  return _mm512_mask_mov_epi64(slot, above, _mm512_add_epi64(last, one));
}

template <class S>
inline void slots_of_batch(const S* x, const SlotConstants& c, const HistogramBins& bins,
                           std::uint32_t* out) {
  __mmask8 near = 0;
  for (Size i = 0; i < slot_batch; i += 8)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i),
                        _mm512_cvtepi64_epi32(eight_slots(load(x + i), c, near)));
  if (__builtin_expect(near != 0, 0))
    for (Size i = 0; i < slot_batch; i += 8)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i),
                          _mm512_cvtepi64_epi32(eight_exact_slots(load(x + i), c, bins)));
}
#elif MORSEL_VECTOR_BYTES == 32
struct SlotConstants {
  explicit SlotConstants(const HistogramBins& bins)
      : scale(_mm256_set1_pd(bins.scale)),
        offset(_mm256_set1_pd(bins.offset)),
        low(_mm256_set1_pd(bins.low)),
        high(_mm256_set1_pd(bins.high)),
        guard(_mm256_set1_epi32(static_cast<int>(bins.guard))),
        far(_mm256_set1_epi32(static_cast<int>(bin_unit - 2 * bins.guard))) {}
  __m256d scale, offset, low, high;
  __m256i guard, far;
};

inline __m256d slot_bits(__m256d x, const SlotConstants& c) {
  const __m256d u = _mm256_add_pd(_mm256_mul_pd(x, c.scale), c.offset);
  return _mm256_max_pd(_mm256_min_pd(u, c.high), c.low);  // NaN: high
}

template <class S>
inline void slots_of_batch(const S* x, const SlotConstants& c, const HistogramBins& bins,
                           std::uint32_t* out) {
  __m256i near = _mm256_setzero_si256();
  for (Size i = 0; i < slot_batch; i += 8) {
    const __m256d a = slot_bits(load(x + i), c), b = slot_bits(load(x + i + 4), c);
    // Words 0 2 4 6 of the pair: lanes 0 1 4 5 2 3 6 7, which the order of counting does not mind.
    const __m256i low =
        _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castpd_ps(a), _mm256_castpd_ps(b), 0x88));
    near = _mm256_or_si256(near, _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_add_epi32(low, c.guard), c.far),
                                                    _mm256_setzero_si256()));
    const __m256i up = _mm256_srli_epi64(_mm256_castpd_si256(a), bin_shift);
    const __m256i vp = _mm256_srli_epi64(_mm256_castpd_si256(b), bin_shift);
    _mm256_storeu_si256(
        reinterpret_cast<__m256i*>(out + i),
        _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(up), _mm256_castsi256_ps(vp), 0x88)));
  }
  if (__builtin_expect(_mm256_movemask_epi8(near) != 0, 0))
    for (Size i = 0; i < slot_batch; ++i) out[i] = estimated_slot(static_cast<double>(get<S>(x, i)), bins);
}
#else
struct SlotConstants {
  explicit SlotConstants(const HistogramBins&) {}
};
template <class S>
inline void slots_of_batch(const S* x, const SlotConstants&, const HistogramBins& bins, std::uint32_t* out) {
  for (Size i = 0; i < slot_batch; ++i) out[i] = estimated_slot(static_cast<double>(get<S>(x, i)), bins);
}
#endif

// Neighbouring elements go to different tables, so that equal ones do not wait for each other's increment.
inline constexpr Size slot_tables = 4;
inline constexpr Size max_tabled_slots = 2050;

// Tallies n elements into tables[max_tabled_slots * k + slot]. The slots of one batch are computed while the
// increments of the last one are under way.
template <class S>
inline void tally(const S* x, Size n, const HistogramBins& bins, std::uint32_t* tables) {
  const SlotConstants constants(bins);
  std::uint32_t slots[2][slot_batch];
  const Size batches = n / slot_batch;
  if (batches != 0) slots_of_batch(x, constants, bins, slots[0]);
  for (Size b = 0; b < batches; ++b) {
    if (b + 1 < batches) slots_of_batch(x + (b + 1) * slot_batch, constants, bins, slots[(b + 1) % 2]);
    const std::uint32_t* now = slots[b % 2];
    for (Size i = 0; i < slot_batch; i += slot_tables)
      for (Size k = 0; k < slot_tables; ++k) ++tables[max_tabled_slots * k + now[i + k]];
  }
  for (Size i = batches * slot_batch; i < n; ++i)
    ++tables[max_tabled_slots * (i % slot_tables) + estimated_slot(static_cast<double>(get<S>(x, i)), bins)];
}

#if MORSEL_VECTOR_BYTES == 64
template <class S>
inline void slots_of_pairs(const S* x, const SlotConstants& c, const HistogramBins& bins, __m512i side,
                           std::uint16_t* out) {
  __mmask8 near = 0;
  __m512i slot[4];
  for (int v = 0; v < 4; ++v) slot[v] = eight_slots(load(x + 8 * v), c, near);
  if (__builtin_expect(near != 0, 0))
    for (int v = 0; v < 4; ++v) slot[v] = eight_exact_slots(load(x + 8 * v), c, bins);
  // Only the low 32 bits of each word are the slot; 16 of the sum are kept.
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                   _mm512_cvtepi64_epi16(_mm512_add_epi64(_mm512_mul_epu32(slot[0], side), slot[1])));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 8),
                   _mm512_cvtepi64_epi16(_mm512_add_epi64(_mm512_mul_epu32(slot[2], side), slot[3])));
}

// Tallies n elements, a multiple of 32 and not 0, in pairs.
template <class S>
inline void tally_pairs(const S* x, Size n, const HistogramBins& bins, std::uint16_t* table) {
  const SlotConstants constants(bins);
  const __m512i sides = _mm512_set1_epi64(bins.bins + 2);
  std::uint16_t pairs[2][16];
  slots_of_pairs(x, constants, bins, sides, pairs[0]);
  for (Size i = 0; i < n; i += 32) {
    if (i + 32 < n) slots_of_pairs(x + i + 32, constants, bins, sides, pairs[(i / 32 + 1) % 2]);
    const std::uint16_t* now = pairs[i / 32 % 2];
    for (int k = 0; k < 16; ++k) ++table[now[k]];
  }
}

// Each count belongs to the bin of its row and to the bin of its column.
inline void empty_pairs(Int* counts, PairTable& table, const HistogramBins& bins) {
  if (table.pairs == 0) return;
  const Size side = static_cast<Size>(bins.bins) + 2;
  std::uint32_t columns[max_paired_slots] = {};
  for (Size first = 0; first < side; ++first) {
    const std::uint16_t* row = table.count + first * side;
    std::uint32_t sum = 0;
    for (Size second = 0; second < side; ++second) {
      sum += row[second];
      columns[second] += row[second];
    }
    if (first != 0 && first + 1 < side) counts[first - 1] += sum;
  }
  for (Size bin = 0; bin + 2 < side; ++bin) counts[bin] += columns[bin + 1];
  __builtin_memset(table.count, 0, side * side * sizeof(std::uint16_t));
  table.pairs = 0;
}
#endif

template <class T>
struct HistogramFold {
  using S = typename Elements<T>::Scalar;

  // Each value of 8 bits is counted, and looked up once.
  static void run_bytes(Int* counts, const void* x, Size n, const HistogramBins& bins) {
    std::uint32_t seen[4][256];
    for (Size first = 0; first < n; first += Size(1) << 30) {
      const Size some = n - first < (Size(1) << 30) ? n - first : Size(1) << 30;
      __builtin_memset(seen, 0, sizeof seen);
      for (Size i = 0; i < some; ++i) ++seen[i % 4][get<std::uint8_t>(x, first + i)];
      for (int v = 0; v < 256; ++v) {
        const std::uint8_t bits = static_cast<std::uint8_t>(v);
        const Int count = Int(seen[0][v]) + Int(seen[1][v]) + Int(seen[2][v]) + Int(seen[3][v]);
        double value;
        spread(&value, get<T>(&bits, 0));
        const std::uint32_t slot = searched_slot(value, bins);
        if (count != 0 && slot != 0 && static_cast<Int>(slot) <= bins.bins) counts[slot - 1] += count;
      }
    }
  }

  // Straight into the counts.
  static void run_single(Int* counts, const void* x, Size n, const HistogramBins& bins) {
    Size done = 0;
    if constexpr (Elements<T>::direct) {
      if (bins.guard != 0 && n >= slot_batch) {
        const SlotConstants constants(bins);
        std::uint32_t slots[slot_batch];
        for (; done + slot_batch <= n; done += slot_batch) {
          slots_of_batch(static_cast<const S*>(x) + done, constants, bins, slots);
          for (const std::uint32_t slot : slots)
            if (slot != 0 && static_cast<Int>(slot) <= bins.bins) ++counts[slot - 1];
        }
      }
    }
    for (Size i = done; i < n; ++i) {
      double value;
      spread(&value, get<T>(x, i));
      const std::uint32_t slot = bins.guard != 0 ? estimated_slot(value, bins) : searched_slot(value, bins);
      if (slot != 0 && static_cast<Int>(slot) <= bins.bins) ++counts[slot - 1];
    }
  }

  static void run_tables(Int* counts, const void* x, Size n, const HistogramBins& bins) {
    std::uint32_t tables[slot_tables * max_tabled_slots];
    const Size slots = static_cast<Size>(bins.bins) + 2;
    for (Size k = 0; k < slot_tables; ++k)
      __builtin_memset(tables + max_tabled_slots * k, 0, slots * sizeof(std::uint32_t));
    if constexpr (Elements<T>::direct) {
      tally(static_cast<const S*>(x), n, bins, tables);
    } else {
      double staged[block];
      for (Size first = 0; first < n; first += block) {
        const Size some = n - first < block ? n - first : block;
        stage<T, false>(static_cast<const char*>(x) + first * sizeof(T), some, no_shift, 0.0, staged);
        tally(static_cast<const double*>(staged), some, bins, tables);
      }
    }
    for (Size bin = 0; bin + 2 < slots; ++bin) {
      std::uint32_t sum = 0;
      for (Size k = 0; k < slot_tables; ++k) sum += tables[max_tabled_slots * k + bin + 1];
      counts[bin] += sum;
    }
  }

  static void run(Int* counts, const void* x, Size n, const HistogramBins& bins) {
    const Size slots = static_cast<Size>(bins.bins) + 2;
    if constexpr (sizeof(T) == 1) {
      if (n >= 512) return run_bytes(counts, x, n, bins);
    }
    if (bins.guard == 0 || slots > max_tabled_slots || n < 4 * slots) return run_single(counts, x, n, bins);
    const char* from = static_cast<const char*>(x);
    for (; n != 0;) {
      const Size some = n < (Size(1) << 30) ? n : Size(1) << 30;
      run_tables(counts, from, some, bins);
      from += some * sizeof(T), n -= some;
    }
  }

#if MORSEL_VECTOR_BYTES == 64
  static void run_paired(Int* counts, PairTable& table, const void* x, Size n, const HistogramBins& bins) {
    table.elements += n;
    // A leaf that ends soon does not pay for emptying the table.
    if (table.elements <= (Size(1) << 14) || n < 256) return run(counts, x, n, bins);
    const char* from = static_cast<const char*>(x);
    while (n >= 32) {
      if (table.pairs + 16 > 65535) empty_pairs(counts, table, bins);
      const Size room = 2 * static_cast<Size>(65535 - table.pairs);
      const Size some = (n < room ? n : room) / 32 * 32;
      tally_pairs(reinterpret_cast<const S*>(from), some, bins, table.count);
      table.pairs += some / 2;
      from += some * sizeof(T), n -= some;
    }
    run_single(counts, from, n, bins);
  }
  static void settle(Int* counts, PairTable& table, const HistogramBins& bins) {
    empty_pairs(counts, table, bins);
    table.elements = 0;
  }
#endif
};

template <class T>
inline HistogramLoops histogram_loops() {
#if MORSEL_VECTOR_BYTES == 64
  if constexpr (Elements<T>::direct)
    return HistogramLoops{&HistogramFold<T>::run, &HistogramFold<T>::run_paired, &HistogramFold<T>::settle};
#endif
  return HistogramLoops{&HistogramFold<T>::run, nullptr, nullptr};
}
