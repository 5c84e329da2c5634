// Arrays that are computed where they are read: functions of the index, constants, arange and linspace.
#pragma once

#include <memory>
#include <morsel/io/chunk_source.hpp>

namespace morsel::inline MORSEL_ABI {

/// Writes the elements of `region` to `out` (shape of the region, any strides). Called from many threads at
/// once.
using FillFunction = void (*)(const void* state, const Region& region, const BufferView& out);

/// An array whose elements `fill` computes; equal calls must give equal bytes. `state` is passed to `fill`
/// and kept alive. An exception other than Error that leaves `fill` becomes Errc::user_error.
AnyChunkSource function_source(DType dtype, const Shape& shape, std::shared_ptr<const void> state,
                               FillFunction fill);

/// An array of copies of one element (`dtype.item_bytes()` at `element`). It lends that one element with
/// strides 0.
AnyChunkSource full_source(DType dtype, const Shape& shape, const void* element);

/// np.arange(start, stop, step, dtype): bit for bit NumPy 2's values. The first two elements are start and
/// start + step converted to the dtype; element i is first + i * (second - first), computed in the dtype
/// (float16 in float). So arange(0.5, 3, 1) of an integer type is 0, 1, 2, and narrow integers wrap.
/// **Fails**: invalid_argument for step 0, for a length that is not a number, for a start or start + step
/// that an integer dtype cannot hold, for bool arrays of more than two elements; dtype_mismatch for carried
/// dtypes.
AnyChunkSource arange_source(Type type, Index start, Index stop, Index step);
AnyChunkSource arange_source(Type type, double start, double stop, double step);

enum class Endpoint : std::uint8_t { included, excluded };

/// np.linspace(start, stop, count, endpoint, dtype): bit for bit NumPy 2's values. Computed in double and
/// converted; integers floor (out of range saturates), the last element of an included endpoint is exactly
/// `stop`.
/// **Fails**: invalid_argument for a negative count; dtype_mismatch for carried dtypes.
AnyChunkSource linspace_source(Type type, double start, double stop, Index count,
                               Endpoint endpoint = Endpoint::included);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/generated.ipp>
#endif
