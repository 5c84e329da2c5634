// Shapes, positions and strides: one small vector of signed 64-bit numbers, rank chosen at run time.
#pragma once

#include <morsel/base/checked.hpp>
#include <morsel/base/inline_vector.hpp>
#include <string>

namespace morsel::inline MORSEL_ABI {

/// Extents, positions or strides, one number per axis; in place up to rank 8.
using Dims = InlineVector<Index, 8>;
using Shape = Dims;

inline constexpr int max_rank = 32;

/// Number of elements; 1 for a 0-d shape. **Fails**: overflow; invalid_argument for a negative extent or a
/// rank above 32.
Index size_of(const Shape& shape);

/// Bytes between neighbours along each axis of a C-order array with `item_bytes` per element.
Dims c_strides(const Shape& shape, Index item_bytes);

/// "(100, 512, 512)", "(3,)", "()" as NumPy writes it.
std::string to_string(const Dims& dims);

/// The shape that all of `a` and `b` broadcast to. **Fails**: shape_mismatch, naming both.
Shape broadcast_shapes(const Shape& a, const Shape& b);

/// Axis `axis` of a rank-`rank` array with negative values counted from the end. **Fails**: out_of_range.
int normalize_axis(Index axis, int rank, const char* doing);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/array/impl/dims.ipp>
#endif
