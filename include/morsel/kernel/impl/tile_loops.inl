// The tile kernels. Included once per instruction set, inside a namespace of its own, after tile_table.hpp
// and vector_library.hpp; MORSEL_TILE_LEVEL is 0 (baseline), 1 (AVX2) or 2 (AVX-512). In the instruction-set
// files that namespace is unnamed on its inside, so nothing here leaks out of them: only built-in types, raw
// pointers, templates and static members.
//
// Every floating-point operation is rounded once and none is contracted, so that all levels give the same
// bits. Contraction is off by pragma as well as by flag, for programs that use the headers alone.

#if defined(__clang__)
#pragma float_control(push)
#pragma STDC FP_CONTRACT OFF
#pragma clang diagnostic push
// Truth values are combined without branches so that loops become vectors.
#pragma clang diagnostic ignored "-Wbitwise-instead-of-logical"
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off")
#pragma GCC diagnostic push
// Of a buffer the first n elements are written and read; the compiler suspects n = 0 in one loop only.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

using Size = __SIZE_TYPE__;

// Each builds on those before it.
// clang-format off
#include <morsel/kernel/impl/tile_elements.inl>
#include <morsel/kernel/impl/tile_operations.inl>
#include <morsel/kernel/impl/tile_functions.inl>
#include <morsel/kernel/impl/tile_complex.inl>
#include <morsel/kernel/impl/tile_fill.inl>
// clang-format on

#if defined(__clang__)
#pragma float_control(pop)
#pragma clang diagnostic pop
#elif defined(__GNUC__)
#pragma GCC diagnostic pop
#pragma GCC pop_options
#endif
