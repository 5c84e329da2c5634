#pragma once

#include <morsel/array/dims.hpp>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE Index size_of(const Shape& shape) {
  if (shape.size() > static_cast<std::size_t>(max_rank))
    fail(Errc::invalid_argument,
         "shape: too many axes; expected at most 32, got " + std::to_string(shape.size()));
  Index size = 1;
  bool empty = false;
  for (const Index n : shape) {
    if (n < 0)
      fail(Errc::invalid_argument,
           "shape: negative extent; expected every extent >= 0, got " + to_string(shape));
    empty |= n == 0;
  }
  if (empty) return 0;
  for (const Index n : shape) size = checked_mul(size, n, "shape");
  return size;
}

MORSEL_INLINE Dims c_strides(const Shape& shape, Index item_bytes) {
  Dims strides(shape.size());
  Index step = item_bytes;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    step = checked_mul(step, shape[i] > 0 ? shape[i] : 1, "array bytes");
  }
  return strides;
}

MORSEL_INLINE std::string to_string(const Dims& dims) {
  std::string text = "(";
  for (std::size_t i = 0; i < dims.size(); ++i) text += (i ? ", " : "") + std::to_string(dims[i]);
  return text + (dims.size() == 1 ? ",)" : ")");
}

MORSEL_INLINE Shape broadcast_shapes(const Shape& a, const Shape& b) {
  Shape out(std::max(a.size(), b.size()), 1);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const Index x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const Index y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1)
      fail(Errc::shape_mismatch, "broadcasting: shapes do not fit; expected equal extents or 1, got " +
                                     to_string(a) + " and " + to_string(b));
    out[out.size() - 1 - i] = x == 1 ? y : x;
  }
  return out;
}

MORSEL_INLINE int normalize_axis(Index axis, int rank, const char* doing) {
  const Index normal = axis < 0 ? axis + rank : axis;
  if (rank == 0)
    fail(Errc::out_of_range, std::string(doing) +
                                 ": axis of a 0-d array; expected an array with axes, got axis " +
                                 std::to_string(axis));
  if (normal < 0 || normal >= rank)
    fail(Errc::out_of_range, std::string(doing) + ": axis out of range; expected -" + std::to_string(rank) +
                                 " to " + std::to_string(rank - 1) + ", got " + std::to_string(axis));
  return static_cast<int>(normal);
}

}  // namespace morsel::inline MORSEL_ABI
