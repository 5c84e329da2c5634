// A user's function as a tile kernel: the loop is compiled around it, once per list of element types.
#pragma once

#include <cstddef>
#include <memory>
#include <morsel/kernel/simd.hpp>
#include <morsel/kernel/tape.hpp>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace morsel::inline MORSEL_ABI {

namespace detail {

template <class F, class Result, class... In, std::size_t... I>
void run_user_loop(std::size_t n, void* out, const void* const* in, const F& f, std::index_sequence<I...>) {
  Result* __restrict result = static_cast<Result*>(out);
  const std::tuple<const In*...> args(static_cast<const In*>(in[I])...);
  for (std::size_t i = 0; i < n; ++i) result[i] = f(std::get<I>(args)[i]...);
}

// Flattened: a function that two loops call would otherwise seldom be inlined.
#if defined(__GNUC__)
#define MORSEL_FLATTEN [[gnu::flatten]]
#else
#define MORSEL_FLATTEN
#endif

template <class F, class Result, class... In>
MORSEL_FLATTEN void run_user_baseline(std::size_t n, void* out, const void* const* in, const void* state) {
  run_user_loop<F, Result, In...>(n, out, in, *static_cast<const F*>(state),
                                  std::index_sequence_for<In...>{});
}

#if defined(__x86_64__) && defined(__GNUC__)
/// For processors with AVX2, but without FMA: a compiler would contract into it, and give other bits.
template <class F, class Result, class... In>
MORSEL_FLATTEN [[gnu::target("avx2")]] void run_user_avx2(std::size_t n, void* out, const void* const* in,
                                                          const void* state) {
  run_user_loop<F, Result, In...>(n, out, in, *static_cast<const F*>(state),
                                  std::index_sequence_for<In...>{});
}
#endif

template <class F, class Result, class... In>
void run_user_kernel(std::size_t n, void* out, const void* const* in, const void* state) {
#if defined(__x86_64__) && defined(__GNUC__)
  if (simd_level() >= SimdLevel::avx2) return run_user_avx2<F, Result, In...>(n, out, in, state);
#endif
  run_user_baseline<F, Result, In...>(n, out, in, state);
}

#undef MORSEL_FLATTEN

}  // namespace detail

/// The element type that `f` gives for elements `In...`.
template <class F, class... In>
using map_result_t = std::remove_cvref_t<std::invoke_result_t<const F&, const In&...>>;

/// The kernel out[i] = f(in0[i], in1[i], ...) with f inlined. One f serves all threads at once, so it is
/// called as const. Its exceptions come out of TileProgram::run. Compile with -ffp-contract=off where the
/// same bits on every machine matter.
template <class... In, class F>
UserKernel make_user_kernel(std::string name, F f) {
  static_assert(sizeof...(In) >= 1, "map: give the function at least one array");
  static_assert(sizeof...(In) <= max_kernel_arity, "map: too many arrays; at most 16");
  static_assert((Element<In> && ...),
                "map: an array's element type is not one of morsel's fourteen numeric types");
  static_assert(
      std::is_invocable_v<const F&, const In&...>,
      "map: the function cannot be called (as const, with one element of each array); check the number and "
      "types of its parameters, and that it is not mutable");
  if constexpr ((Element<In> && ...) && std::is_invocable_v<const F&, const In&...>) {
    static_assert(!std::is_void_v<map_result_t<F, In...>>,
                  "map: the function returns nothing; return the new element");
    static_assert(std::is_void_v<map_result_t<F, In...>> || Element<map_result_t<F, In...>>,
                  "map: the function's result is not one of morsel's fourteen numeric types");
    if constexpr (Element<map_result_t<F, In...>>) {
      using Out = map_result_t<F, In...>;
      UserKernel kernel;
      kernel.name = std::move(name);
      kernel.state = std::make_shared<const F>(std::move(f));
      kernel.run = detail::run_user_kernel<F, Out, In...>;
      kernel.in = {type_of<In>...};
      kernel.result = type_of<Out>;
      return kernel;
    }
  }
  return {};
}

}  // namespace morsel::inline MORSEL_ABI
