// What operations take: lazy arrays, xtensor containers and expressions, scalars; and the one way they are
// called.
//
// With a lazy operand the result is lazy. With xtensor operands alone the same machinery runs at once and
// gives an xt::xarray, so that one template runs on both. What speaks of values that are not computed yet
// (explain, graph, describe, per_chunk, partial) takes lazy arrays alone.
#pragma once

#include <complex>
#include <morsel/api/lazy_array.hpp>
#include <morsel/api/result_type.hpp>
#include <morsel/fwd.hpp>
#include <morsel/io/memory_source.hpp>
#include <morsel/kernel/op.hpp>
#include <variant>

namespace morsel::inline MORSEL_ABI {

namespace detail {
template <class A>
inline constexpr bool is_typed_lazy = false;
template <class T>
inline constexpr bool is_typed_lazy<LazyArray<T>> = true;
template <class S>
inline constexpr bool is_std_complex = false;
template <class S>
inline constexpr bool is_std_complex<std::complex<S>> = std::is_floating_point_v<S>;
}  // namespace detail

/// AnyLazyArray, or the leaf of a tree, which stands for one.
template <class A>
concept AnyLazyLike =
    std::same_as<std::remove_cvref_t<A>, AnyLazyArray> || std::same_as<std::remove_cvref_t<A>, Leaf>;

/// LazyArray<T>, or what is AnyLazyLike.
template <class A>
concept LazyLike = detail::is_typed_lazy<std::remove_cvref_t<A>> || AnyLazyLike<A>;

/// An xtensor container or expression of numeric elements.
template <class A>
concept EagerArray = xt::is_xexpression<std::remove_cvref_t<A>>::value && requires {
  detail::TypeOf<typename std::remove_cvref_t<A>::value_type>::value;
};

template <class A>
concept ArrayLike = LazyLike<A> || EagerArray<A>;

/// C++ numbers: weak in promotion.
template <class S>
concept ScalarLike = std::is_arithmetic_v<std::remove_cvref_t<S>> ||
    std::same_as<std::remove_cvref_t<S>, float16> || detail::is_std_complex<std::remove_cvref_t<S>>;

/// A call with a lazy array among its operands, and one with xtensor arrays alone.
template <class... A>
concept LazyCall = (LazyLike<A> || ...) && ((ArrayLike<A> || ScalarLike<A>)&&...);
template <class... A>
concept EagerCall = (EagerArray<A> || ...) && ((EagerArray<A> || ScalarLike<A>)&&...);

/// An operand whose type is known at run time.
using AnyOperand = std::variant<AnyLazyArray, Scalar>;

/// `op` on operands whose dtypes are known at run time. **Fails**: as apply() does; invalid_argument where
/// operands name an axis differently.
AnyLazyArray elementwise(Op op, const std::vector<AnyOperand>& operands);

namespace detail {

template <class S>
constexpr WeakKind weak_kind_of() {
  if constexpr (std::is_same_v<S, bool>)
    return WeakKind::boolean;
  else if constexpr (std::is_integral_v<S>)
    return WeakKind::integer;
  else if constexpr (is_std_complex<S>)
    return WeakKind::complex;
  else
    return WeakKind::floating;
}

template <ScalarLike S>
Scalar scalar_of(const S& s) {
  if constexpr (std::is_same_v<S, bool>)
    return Scalar::of(s);
  else if constexpr (std::is_integral_v<S> && std::is_signed_v<S>)
    return Scalar::of(static_cast<std::int64_t>(s));
  else if constexpr (std::is_integral_v<S>)
    return Scalar::of(static_cast<std::uint64_t>(s));
  else if constexpr (is_std_complex<S>)
    return Scalar::of(std::complex<double>(s));
  else
    return Scalar::of(static_cast<double>(s));
}

template <class A>
constexpr OperandType operand_type_of() {
  using Plain = std::remove_cvref_t<A>;
  if constexpr (ScalarLike<Plain>)
    return {true, Type::bool_, weak_kind_of<Plain>()};
  else if constexpr (AnyLazyLike<Plain>)
    return {};
  else
    return {false, type_of<typename Plain::value_type>, WeakKind::boolean};
}

/// The elements of an xtensor expression in memory of their own. **Cost**: one copy; evaluates an expression.
template <EagerArray X>
AnyLazyArray lazy_copy(const X& x) {
  using T = element_t<type_of<typename X::value_type>>;
  auto kept = std::make_shared<xt::xarray<T>>(x);
  const BufferView view = view_of(*kept);
  return AnyLazyArray(
      make_source(memory_source(type_of<T>, view, std::move(kept)), View::identity(view.shape), {}, "array"));
}

/// The elements of a container where they stand, or of an expression evaluated.
template <EagerArray X>
AnyLazyArray lazy_reference(const X& x) {
  if constexpr (XtContainer<X>) {
    const BufferView view = view_of_container(x);
    return AnyLazyArray(make_source(borrowed_source(type_of<typename X::value_type>, view),
                                    View::identity(view.shape), {}, "array"));
  } else {
    return lazy_copy(x);
  }
}

template <class A>
AnyOperand kept_operand(const A& a) {
  if constexpr (ScalarLike<A>)
    return scalar_of(a);
  else if constexpr (EagerArray<A>)
    return lazy_copy(a);
  else
    return AnyLazyArray(a);
}

template <class A>
AnyOperand borrowed_operand(const A& a) {
  if constexpr (ScalarLike<A>)
    return scalar_of(a);
  else
    return lazy_reference(a);
}

/// The handle for an array operand of a call that gives a lazy result.
template <ArrayLike A>
AnyLazyArray lazy_of(const A& a) {
  if constexpr (EagerArray<A>)
    return lazy_copy(a);
  else
    return a;
}

/// The handle for an operand of a call on `Call`...: xtensor elements stand where they are if nothing lazy
/// outlives the call.
template <class... Call, ArrayLike A>
AnyLazyArray handle(const A& a) {
  if constexpr ((EagerArray<Call> && ...))
    return lazy_reference(a);
  else
    return lazy_of(a);
}

/// The result of a call on A...: dtype known at run time if an operand's is, else a LazyArray of `type`; of
/// xtensor arrays alone an xt::xarray, computed here.
template <Type type, class... A>
auto in_kind(AnyLazyArray result) {
  if constexpr ((AnyLazyLike<A> || ...))
    return result;
  else if constexpr ((LazyLike<A> || ...))
    return LazyArray<element_t<type>>(std::move(result));
  else
    return LazyArray<element_t<type>>(std::move(result)).compute();
}

/// The promoted dtype of arrays; `carried` if one is known at run time only.
template <class... A>
constexpr Type joint_type() {
  if constexpr ((AnyLazyLike<A> || ...)) {
    return Type::carried;
  } else {
    Type joint = Type::bool_;
    ((joint = promote(joint, type_of<typename A::value_type>)), ...);
    return joint;
  }
}

template <Op op, class... A>
auto call(const A&... a) {
  static_assert(sizeof...(A) >= 1 && sizeof...(A) <= 3);
  if constexpr ((AnyLazyLike<A> || ...)) {
    return elementwise(op, {kept_operand(a)...});
  } else {
    constexpr OperandType types[] = {operand_type_of<A>()...};
    constexpr Type result = operation_result(op, types);
    static_assert(result != Type::carried, "morsel: this operation is not defined for these element types");
    if constexpr (result != Type::carried) {
      using R = element_t<result>;
      if constexpr ((LazyLike<A> || ...))
        return LazyArray<R>(elementwise(op, {kept_operand(a)...}));
      else
        return LazyArray<R>(elementwise(op, {borrowed_operand(a)...})).compute();
    }
  }
}

}  // namespace detail
}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/operand.ipp>
#endif
