// xtensor's containers, in either of its header layouts, with two defects of versions below 0.26 mended.
//
// Those versions keep a specialisation for C++17 alone. Compilers that match template template parameters
// through default arguments (GCC; Clang from 19) then take a dynamic shape for a static one: in C++20
// reducers with evaluation_strategy::immediate, variance, pad and tile crash under GCC, and nothing compiles
// under Clang 19. Include this before code that uses xtensor.
#pragma once

#if __has_include(<xtensor/containers/xarray.hpp>)
#include <xtensor/containers/xadapt.hpp>
#include <xtensor/containers/xarray.hpp>
#else
#include <cstddef>
#include <xtensor/xexpression_traits.hpp>
#include <xtensor/xstorage.hpp>

#if __cplusplus > 201703L && (defined(__clang__) ? __clang_major__ >= 19 : defined(__GNUC__))
namespace xt {
namespace detail {
template <template <class, std::size_t, class, bool> class S, class X, std::size_t N, class A, bool Init>
struct xtype_for_shape<S<X, N, A, Init> > {
  template <class T, layout_type L>
  using type = xarray<T, L>;
};
}  // namespace detail

#if defined(__clang__)
// The partial specialisations for svector<T, N, A, Init> and for C<T, N> are ambiguous there; full ones are
// not.
template <>
struct rebind_container<std::size_t, svector<std::size_t, 4> > {
  using type = svector<std::size_t, 4>;
};
template <>
struct rebind_container<std::ptrdiff_t, svector<std::size_t, 4> > {
  using type = svector<std::ptrdiff_t, 4>;
};
template <>
struct rebind_container<std::size_t, svector<std::ptrdiff_t, 4> > {
  using type = svector<std::size_t, 4>;
};
template <>
struct rebind_container<std::ptrdiff_t, svector<std::ptrdiff_t, 4> > {
  using type = svector<std::ptrdiff_t, 4>;
};
#endif
}  // namespace xt
#endif

#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>
#endif
