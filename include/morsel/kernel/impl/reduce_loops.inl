// The loops of the reductions, included once per instruction set into a namespace of its own: raw pointers
// and built-in types only, and the same bits from each.
//
// Before inclusion: <morsel/kernel/impl/reduce_table.hpp>, <immintrin.h> for AVX, and MORSEL_VECTOR_BYTES
// (16, 32 or 64); undefined at the end. Instruction-set files put it into an unnamed namespace, so that no
// symbol can leak.

// Contraction is off by pragma as well as by flag, for programs that use the headers alone.
#if defined(__clang__)
#pragma float_control(push)
#pragma STDC FP_CONTRACT OFF
#pragma clang diagnostic push
// Truth values are combined without branches so that loops become vectors.
#pragma clang diagnostic ignored "-Wbitwise-instead-of-logical"
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off")
#endif

using Size = std::size_t;
using Int = std::int64_t;
using Word = std::uint64_t;
__extension__ typedef unsigned __int128 Word128;
__extension__ typedef __int128 Int128;

// Each uses what is above it.
// clang-format off
#include <morsel/kernel/impl/reduce_elements.inl>
#include <morsel/kernel/impl/reduce_lanes.inl>
#include <morsel/kernel/impl/reduce_blocks.inl>
#include <morsel/kernel/impl/reduce_exact.inl>
#include <morsel/kernel/impl/reduce_extremes.inl>
#include <morsel/kernel/impl/reduce_histogram.inl>
// clang-format on

// The parameters `type` below are positions in morsel::Type.

template <class Fold>
inline FoldLoops exact() {
  return FoldLoops{&Fold::run, nullptr, &Fold::rows, &Fold::merge};
}
template <class Fold>
inline FoldLoops fixed() {
  return FoldLoops{&Fold::run, &Fold::blocks, &Fold::rows, &Fold::merge};
}
inline FoldLoops& entry(ReduceTable& table, Fold fold, int type) {
  return table.fold[static_cast<int>(fold)][type];
}

template <class T>
inline void fill_common(ReduceTable& table, int type) {
  entry(table, Fold::moments, type) = fixed<MomentsFold<T, false>>();
  entry(table, Fold::min, type) = exact<ExtremeFold<false, false, T>>();
  entry(table, Fold::max, type) = exact<ExtremeFold<true, false, T>>();
  entry(table, Fold::argmin, type) = exact<ArgFold<false, false, T>>();
  entry(table, Fold::argmax, type) = exact<ArgFold<true, false, T>>();
  entry(table, Fold::any, type) = exact<WordFold<AnyStep, T>>();
  entry(table, Fold::all, type) = exact<WordFold<AllStep, T>>();
  entry(table, Fold::count_nonzero, type) = exact<WordFold<CountStep, T>>();
}
template <class T>
inline void fill_integer(ReduceTable& table, int type) {
  fill_common<T>(table, type);
  entry(table, Fold::sum, type) = exact<WordFold<SumStep, T>>();
  entry(table, Fold::prod, type) = exact<WordFold<ProdStep, T>>();
  if constexpr (sizeof(T) >= 4) entry(table, Fold::wide_sum, type) = exact<WideFold<T>>();
  table.histogram[type] = histogram_loops<T>();
}
template <class T>
inline void fill_floating(ReduceTable& table, int type) {
  fill_common<T>(table, type);
  entry(table, Fold::sum, type) = fixed<BlockFold<Add, T, false>>();
  if constexpr (Elements<T>::direct && Elements<T>::width == 1)
    entry(table, Fold::sum, type).leaves = &sum_leaves<Add, T>;
  entry(table, Fold::nan_sum, type) = fixed<BlockFold<Add, T, true>>();
  entry(table, Fold::prod, type) = fixed<BlockFold<Multiply, T, false>>();
  entry(table, Fold::nan_prod, type) = fixed<BlockFold<Multiply, T, true>>();
  entry(table, Fold::nan_moments, type) = fixed<MomentsFold<T, true>>();
  entry(table, Fold::nan_min, type) = exact<ExtremeFold<false, true, T>>();
  entry(table, Fold::nan_max, type) = exact<ExtremeFold<true, true, T>>();
  entry(table, Fold::nan_argmin, type) = exact<ArgFold<false, true, T>>();
  entry(table, Fold::nan_argmax, type) = exact<ArgFold<true, true, T>>();
  if constexpr (Elements<T>::width == 1) table.histogram[type] = histogram_loops<T>();
}

inline void fill_table(ReduceTable& table) {
  fill_integer<std::uint8_t>(table, 0);  // bool: 0 or 1
  fill_integer<std::int8_t>(table, 1);
  fill_integer<std::int16_t>(table, 2);
  fill_integer<std::int32_t>(table, 3);
  fill_integer<std::int64_t>(table, 4);
  fill_integer<std::uint8_t>(table, 5);
  fill_integer<std::uint16_t>(table, 6);
  fill_integer<std::uint32_t>(table, 7);
  fill_integer<std::uint64_t>(table, 8);
  fill_floating<Half>(table, 9);
  fill_floating<float>(table, 10);
  fill_floating<double>(table, 11);
  fill_floating<Pair<float>>(table, 12);
  fill_floating<Pair<double>>(table, 13);
}

#undef MORSEL_VECTOR_BYTES

#if defined(__clang__)
#pragma float_control(pop)
#pragma clang diagnostic pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif
