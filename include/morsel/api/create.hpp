// Lazy arrays from memory, from functions of the index and from sources; constants and ranges.
#pragma once

#include <morsel/api/operand.hpp>
#include <morsel/io/generated.hpp>
#include <utility>

namespace morsel::inline MORSEL_ABI {

struct ArrayOptions {
  ChunkSpec chunks = {};               ///< default: "auto"
  std::vector<std::string> dims = {};  ///< names of the axes
  Attributes attrs = {};
  std::string name = {};  ///< for explain and errors
};

/// The array that a source gives, whatever its dtype; its own names and attributes where options have none.
AnyLazyArray from_source(AnyChunkSource source, const ArrayOptions& options = {});

/// The array of T that a source gives. **Fails**: dtype_mismatch.
template <Element T>
LazyArray<element_t<type_of<T>>> from_source(AnyChunkSource source, const ArrayOptions& options = {}) {
  return LazyArray<element_t<type_of<T>>>(from_source(std::move(source), options));
}

namespace detail {
// Containers that hold their elements themselves.
template <class X>
inline constexpr bool owns_elements = false;
template <class T, xt::layout_type L>
inline constexpr bool owns_elements<xt::xarray<T, L>> = true;
template <class T, std::size_t N, xt::layout_type L>
inline constexpr bool owns_elements<xt::xtensor<T, N, L>> = true;
}  // namespace detail

/// Takes an xtensor array over: from_array(std::move(x)). Copies an lvalue; evaluates an expression at the
/// call.
template <EagerArray X>
auto from_array(X&& x, const ArrayOptions& options = {}) {
  using Plain = std::remove_cvref_t<X>;
  using T = element_t<type_of<typename Plain::value_type>>;
  using Kept = std::conditional_t<detail::owns_elements<Plain>, Plain, xt::xarray<T>>;
  auto kept = std::make_shared<Kept>(std::forward<X>(x));
  const BufferView view = detail::view_of_container(*kept);
  return from_source<T>(memory_source(type_of<T>, view, std::move(kept)), options);
}

/// Takes elements in C order over. **Fails**: shape_mismatch if they are not as many as the shape says.
template <Element T>
requires(!std::is_same_v<T, bool>) auto from_array(std::vector<T> values, const Shape& shape,
                                                   const ArrayOptions& options = {}) {
  using R = element_t<type_of<T>>;
  if (static_cast<Index>(values.size()) != size_of(shape))
    fail(Errc::shape_mismatch, "from_array: another number of elements; expected " +
                                   std::to_string(size_of(shape)) + " for shape " + to_string(shape) +
                                   ", got " + std::to_string(values.size()));
  auto kept = std::make_shared<std::vector<T>>(std::move(values));
  const BufferView view = BufferView::c_order(kept->data(), shape, sizeof(T));
  return from_source<R>(memory_source(type_of<R>, view, std::move(kept)), options);
}

/// Refers to the caller's container. **Requires**: it outlives everything made of it, neither moves nor
/// changes.
template <detail::XtContainer X>
auto borrow(const X& x, const ArrayOptions& options = {}) {
  using T = element_t<type_of<typename X::value_type>>;
  return from_source<T>(borrowed_source(type_of<T>, detail::view_of_container(x)), options);
}
template <detail::XtContainer X>
void borrow(const X&& x, const ArrayOptions& options = {}) = delete;

/// Refers to elements in C order; borrow_strided: with one stride per axis, counted in elements.
template <Element T>
auto borrow(const T* data, const Shape& shape, const ArrayOptions& options = {}) {
  using R = element_t<type_of<T>>;
  return from_source<R>(
      borrowed_source(type_of<R>, BufferView::c_order(const_cast<T*>(data), shape, sizeof(T))), options);
}
template <Element T>
auto borrow_strided(const T* data, const Shape& shape, const Dims& strides,
                    const ArrayOptions& options = {}) {
  using R = element_t<type_of<T>>;
  return from_source<R>(
      borrowed_source(type_of<R>, detail::strided_view(const_cast<T*>(data), shape, strides, sizeof(T))),
      options);
}

namespace detail {

template <class F, std::size_t... I>
constexpr bool takes_indices(std::index_sequence<I...>) {
  return std::is_invocable_v<const F&, decltype(static_cast<Index>(I))...>;
}
template <class F, std::size_t... I>
decltype(auto) call_indices(const F& f, const Dims& at, std::index_sequence<I...>) {
  return f(at[I]...);
}

/// Writes f of every position of the region; N arguments, or the position as a whole for N = max_rank + 1.
template <class T, class F, std::size_t N>
void fill_from_function(const void* state, const Region& region, const BufferView& out) {
  const F& f = *static_cast<const F*>(state);
  for_each_position(region, [&](const Dims& at) {
    std::byte* place = out.data;
    for (std::size_t i = 0; i < at.size(); ++i) place += (at[i] - region.lo[i]) * out.strides[i];
    T value;
    if constexpr (N > static_cast<std::size_t>(max_rank))
      value = static_cast<T>(f(at));
    else
      value = static_cast<T>(call_indices(f, at, std::make_index_sequence<N>{}));
    std::memcpy(static_cast<void*>(place), &value, sizeof value);
  });
}

[[noreturn]] void fail_index_count(std::size_t rank);

template <class F, std::size_t... N>
constexpr bool takes_some_indices(std::index_sequence<N...>) {
  return (takes_indices<F>(std::make_index_sequence<N>{}) || ...);
}

/// The filler for an array of `rank` axes: f(i, j, ...) with as many indices, or f(position).
template <class T, class F, std::size_t N = 0>
FillFunction filler_for(std::size_t rank) {
  if constexpr (!takes_some_indices<F>(std::make_index_sequence<9>{})) {
    static_assert(std::is_invocable_v<const F&, const Dims&>,
                  "morsel: from_function calls f(i, j, ...) as const with one Index per axis, or f(position) "
                  "with a Dims");
    return fill_from_function<T, F, static_cast<std::size_t>(max_rank) + 1>;
  } else if constexpr (N <= 8) {
    if constexpr (takes_indices<F>(std::make_index_sequence<N>{}))
      if (rank == N) return fill_from_function<T, F, N>;
    return filler_for<T, F, N + 1>(rank);
  } else {
    fail_index_count(rank);
  }
}

}  // namespace detail

/// The array whose element at (i, j, ...) is f(i, j, ...), or f(position) with the position as a Dims. `f` is
/// called as const, from many threads at once, and again whenever an element is needed.
/// **Fails**: invalid_argument if f takes another number of indices than the shape has axes.
/// **Example**: from_function<double>({100, 100}, [](Index i, Index j) { return i * 0.5 + j; })
template <Element T, class F>
LazyArray<element_t<type_of<T>>> from_function(const Shape& shape, F f, const ArrayOptions& options = {}) {
  using R = element_t<type_of<T>>;
  const FillFunction fill = detail::filler_for<R, F>(shape.size());
  return from_source<R>(function_source(type_of<R>, shape, std::make_shared<const F>(std::move(f)), fill),
                        options);
}

/// Copies of one value. **Fails**: overflow if T cannot hold it.
template <Element T, ScalarLike S>
LazyArray<element_t<type_of<T>>> full(const Shape& shape, const S& value, const ArrayOptions& options = {}) {
  using R = element_t<type_of<T>>;
  const auto element = element_of(detail::scalar_of(value), type_of<R>);
  return from_source<R>(full_source(type_of<R>, shape, element.data()), options);
}
template <Element T>
auto zeros(const Shape& shape, const ArrayOptions& options = {}) {
  return full<T>(shape, false, options);
}
template <Element T>
auto ones(const Shape& shape, const ArrayOptions& options = {}) {
  return full<T>(shape, true, options);
}

/// start, start + step, ... before stop, as NumPy has it.
template <Element T, ScalarLike S>
requires(std::is_arithmetic_v<S>) LazyArray<element_t<type_of<T>>> arange(S start, S stop,
                                                                          std::type_identity_t<S> step = S{1},
                                                                          const ArrayOptions& options = {}) {
  using R = element_t<type_of<T>>;
  using Wide = std::conditional_t<std::is_integral_v<S>, Index, double>;
  return from_source<R>(
      arange_source(type_of<R>, static_cast<Wide>(start), static_cast<Wide>(stop), static_cast<Wide>(step)),
      options);
}
template <Element T, ScalarLike S>
requires(std::is_arithmetic_v<S>) LazyArray<element_t<type_of<T>>> arange(S stop,
                                                                          const ArrayOptions& options = {}) {
  return arange<T>(S{0}, stop, S{1}, options);
}

/// `count` values from start to stop, both included unless Endpoint::excluded.
template <Element T = double>
LazyArray<element_t<type_of<T>>> linspace(double start, double stop, Index count,
                                          Endpoint endpoint = Endpoint::included,
                                          const ArrayOptions& options = {}) {
  using R = element_t<type_of<T>>;
  return from_source<R>(linspace_source(type_of<R>, start, stop, count, endpoint), options);
}

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/create.ipp>
#endif
