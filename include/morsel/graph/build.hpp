// Every operation exists once, here, untyped: functions from edges to edges. They check, infer dtype, shape
// and declared grid, and do no I/O.
#pragma once

#include <complex>
#include <morsel/graph/node.hpp>

namespace morsel::inline MORSEL_ABI {

/// A C++ arithmetic value or a literal: weak in promotion (its kind may raise a result's kind, never its
/// width).
struct Scalar {
  WeakKind kind = WeakKind::integer;
  bool is_unsigned = false;     ///< integer value above 2^63 - 1 is kept in `bits` as unsigned
  std::int64_t integer = 0;     ///< boolean, integer (or the bits of an unsigned one)
  std::complex<double> number;  ///< floating (real part), complex

  Scalar() = default;
  static Scalar of(bool v);
  static Scalar of(std::int64_t v);
  static Scalar of(std::uint64_t v);
  static Scalar of(double v);
  static Scalar of(std::complex<double> v);
};

/// One element of `type` with the value of `scalar`. **Fails**: overflow if the dtype cannot hold it (300 in
/// uint8).
std::array<std::byte, 16> element_of(const Scalar& scalar, Type type);

/// An operand: an edge or a weak scalar.
using Operand = std::variant<Edge, Scalar>;

Edge make_source(AnyChunkSource source, const View& view, const ChunkSpec& chunks, std::string name);
Edge make_constant(Type type, const void* element);

/// `op` on broadcast operands, NumPy 2 promotion, weak scalars by kind, comparisons with a scalar exact even
/// if the dtype cannot hold it; pow with a literal in {-1, 0, 0.5, 1, 2} becomes 1/x, 1, sqrt, x, x*x. At
/// least one operand is an edge. **Fails**: shape_mismatch, dtype_mismatch, overflow, invalid_argument.
Edge apply(Op op, const std::vector<Operand>& operands);

/// The values converted to a numeric dtype; the edge itself if it has that dtype.
Edge astype(const Edge& input, Type to);
Edge map_elements(std::shared_ptr<const UserKernel> kernel, const std::vector<Edge>& inputs);

/// Reduces `axes` (any order, negative from the end; empty list: none; use all_axes(rank) for all).
/// **Fails**: out_of_range, invalid_argument (an axis twice; an empty set for min, max, argmin, argmax).
Edge reduce(ReducerPtr reducer, const Edge& input, std::vector<Index> axes, bool keepdims);
/// Every axis; as a function object, so that it can also stand in a call: sum(a, all_axes, {.keepdims =
/// true}).
struct AllAxes {
  std::vector<Index> operator()(std::size_t rank) const {
    std::vector<Index> axes(rank);
    for (std::size_t i = 0; i < rank; ++i) axes[i] = static_cast<Index>(i);
    return axes;
  }
};
inline constexpr AllAxes all_axes{};
/// The histogram over [min, max] of the values themselves: two passes.
Edge histogram_over_data_range(const Edge& input, Index bins);
/// The reduction's value for each chunk: `reduction` must be an edge that reduce() gave.
Edge per_chunk(const Edge& reduction);
/// The reduction's states in place of its values: bytes of dtype V<state_bytes>.
Edge raw_states(const Edge& reduction);

Edge rechunk(const Edge& input, const ChunkSpec& chunks);
Edge concat(const std::vector<Edge>& inputs, Index axis);
Edge stack(const std::vector<Edge>& inputs, Index axis);
Edge map_chunks(std::string name, MapChunksNode call, const DType& result);

Edge with_view(const Edge& input, const View& view);
Edge slice(const Edge& input, const SliceItems& items);
Edge permute_dims(const Edge& input, const std::vector<Index>& order);
Edge expand_dims(const Edge& input, Index axis);
Edge squeeze(const Edge& input, const std::vector<Index>& axes);
Edge flip(const Edge& input, const std::vector<Index>& axes);
Edge moveaxis(const Edge& input, const std::vector<Index>& from, const std::vector<Index>& to);
Edge broadcast_to(const Edge& input, const Shape& shape);
Edge take(const Edge& input, const std::vector<Index>& indices, Index axis);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/graph/impl/build.ipp>
#endif
