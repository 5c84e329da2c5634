// A user's own functions: on elements, and on whole chunks.
#pragma once

#include <morsel/api/operand.hpp>
#include <morsel/kernel/map.hpp>
#include <tuple>

namespace morsel::inline MORSEL_ABI {

namespace detail {
std::vector<std::string> joint_dims(const std::vector<AnyLazyArray>& arrays, std::string_view doing);
AnyLazyArray map_arrays(UserKernel kernel, const std::vector<AnyLazyArray>& arrays);
AnyLazyArray map_chunks_of(std::string name, MapChunksNode call, const DType& result,
                           const std::vector<AnyLazyArray>& arrays);
template <class A>
using element_of_array = element_t<type_of<typename std::remove_cvref_t<A>::value_type>>;
}  // namespace detail

/// out = f(a, b, ...) element by element, f inlined into a kernel of its own: map([](float v) { return v * v;
/// }, a). `f` is called as const, from many threads at once; its result type is the array's. xtensor arrays
/// are mapped at once.
template <class F, class... A>
requires(sizeof...(A) >= 1 && (ArrayLike<A> && ...)) auto map(F f, const A&... arrays) {
  static_assert((!AnyLazyLike<A> && ...), "morsel: map needs element types; use x.visit or x.as<T>()");
  using R = element_t<type_of<map_result_t<F, detail::element_of_array<A>...>>>;
  UserKernel kernel = make_user_kernel<detail::element_of_array<A>...>("map", std::move(f));
  if constexpr ((LazyLike<A> || ...))
    return LazyArray<R>(detail::map_arrays(std::move(kernel), {detail::lazy_of(arrays)...}));
  else
    return LazyArray<R>(detail::map_arrays(std::move(kernel), {detail::lazy_reference(arrays)...})).compute();
}

/// A chunk's elements as an xtensor adaptor, C order.
template <class T>
using ChunkView =
    xt::xarray_adaptor<xt::xbuffer_adaptor<T*, xt::no_ownership, std::allocator<std::remove_const_t<T>>>,
                       xt::layout_type::row_major, xt::svector<std::size_t, 4>>;

struct MapChunksOptions {
  std::string name = "map_chunks";
  /// Bytes that the function allocates per byte of its chunk's inputs and output, at most: booked in the
  /// budget.
  double memory_factor = 0;
};

namespace detail {

template <class T>
ChunkView<T> chunk_view(const BufferView& view) {
  using Memory = xt::xbuffer_adaptor<T*, xt::no_ownership, std::allocator<std::remove_const_t<T>>>;
  return ChunkView<T>(Memory(reinterpret_cast<T*>(view.data), static_cast<std::size_t>(size_of(view.shape))),
                      typename ChunkView<T>::shape_type(view.shape.begin(), view.shape.end()));
}

std::size_t scratch_of(const std::vector<AnyLazyArray>& arrays, std::size_t result_bytes, double factor);
[[noreturn]] void fail_chunk_shape(const std::string& name, const Shape& expected, const Shape& got);

template <class R, class F, class... T, std::size_t... I>
void call_on_chunk(const F& f, const std::string& name, const ChunkInfo& info,
                   const std::vector<BufferView>& in, const BufferView& out, std::index_sequence<I...>) {
  const std::tuple<ChunkView<const T>...> chunks(chunk_view<const T>(in[I])...);
  if constexpr (std::is_invocable_v<const F&, const ChunkInfo&, ChunkView<R>&,
                                    const ChunkView<const T>&...>) {
    ChunkView<R> result = chunk_view<R>(out);
    f(info, result, std::get<I>(chunks)...);
  } else {
    static_assert(std::is_invocable_v<const F&, const ChunkInfo&, const ChunkView<const T>&...>,
                  "morsel: map_chunks calls f(info, out, a, b, ...) or f(info, a, b, ...) with chunks as "
                  "xtensor arrays");
    const xt::xarray<R> result = f(info, std::get<I>(chunks)...);
    const Shape got(result.shape().begin(), result.shape().end());
    if (got != out.shape) fail_chunk_shape(name, out.shape, got);
    if (result.size() > 0)
      std::memcpy(static_cast<void*>(out.data), result.data(), result.size() * sizeof(R));
  }
}

template <class R, class F, class... A>
AnyLazyArray map_chunks_call(F f, const MapChunksOptions& options, const std::vector<AnyLazyArray>& arrays) {
  MapChunksNode call;
  call.scratch_bytes_per_chunk = scratch_of(arrays, sizeof(R), options.memory_factor);
  call.function = [f = std::move(f), name = options.name](
                      const ChunkInfo& info, const std::vector<BufferView>& in, const BufferView& out) {
    call_on_chunk<R, F, element_of_array<A>...>(f, name, info, in, out, std::index_sequence_for<A...>{});
  };
  return map_chunks_of(options.name, std::move(call), type_of<R>, arrays);
}

}  // namespace detail

/// An array of R whose chunks a function computes: f(info, out, a, b, ...) writes `out`, or f(info, a, b,
/// ...) returns an xt::xarray<R> of the chunk's shape. Chunks are xtensor arrays of the arrays' elements,
/// broadcast against each other; `info` says which chunk it is. `f` is called as const, once for each chunk
/// of the declared grid, from many threads.
template <Element R, class F, class... A>
requires(sizeof...(A) >= 1 && (ArrayLike<A> && ...)) auto map_chunks(const MapChunksOptions& options, F f,
                                                                     const A&... arrays) {
  static_assert((!AnyLazyLike<A> && ...), "morsel: map_chunks needs element types; use x.visit or x.as<T>()");
  using Result = element_t<type_of<R>>;
  if constexpr ((LazyLike<A> || ...))
    return LazyArray<Result>(
        detail::map_chunks_call<Result, F, A...>(std::move(f), options, {detail::lazy_of(arrays)...}));
  else
    return LazyArray<Result>(detail::map_chunks_call<Result, F, A...>(std::move(f), options,
                                                                      {detail::lazy_reference(arrays)...}))
        .compute();
}
template <Element R, class F, class... A>
requires(sizeof...(A) >= 1 && (ArrayLike<A> && ...)) auto map_chunks(F f, const A&... arrays) {
  return map_chunks<R>(MapChunksOptions{}, std::move(f), arrays...);
}

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/map.ipp>
#endif
