// Memory that holds elements: a view of it with shape and strides, and copies between views.
#pragma once

#include <cstddef>
#include <cstdint>
#include <morsel/array/region.hpp>
#include <span>

namespace morsel::inline MORSEL_ABI {

/// Elements somewhere in memory: not owned, any strides (in bytes, may be 0 or negative).
struct BufferView {
  std::byte* data = nullptr;
  std::size_t item_bytes = 0;
  Shape shape;
  Dims strides;

  /// C-order elements at `data`.
  static BufferView c_order(void* data, const Shape& shape, std::size_t item_bytes) {
    return {static_cast<std::byte*>(data), item_bytes, shape,
            c_strides(shape, static_cast<Index>(item_bytes))};
  }
  /// The part of a view of the box `whole` that shows `region` (in the coordinates of `whole`).
  BufferView part(const Region& whole, const Region& region) const {
    BufferView out{data, item_bytes, region.shape(), strides};
    for (std::size_t i = 0; i < strides.size(); ++i) out.data += (region.lo[i] - whole.lo[i]) * strides[i];
    return out;
  }
  std::size_t size_bytes() const { return static_cast<std::size_t>(size_of(shape)) * item_bytes; }
  bool is_c_order() const;
  /// True if every element's address is a multiple of `alignment`.
  bool is_aligned(std::size_t alignment) const {
    bool aligned = reinterpret_cast<std::uintptr_t>(data) % alignment == 0;
    for (std::size_t i = 0; i < strides.size(); ++i)
      aligned &= shape[i] <= 1 || strides[i] % static_cast<Index>(alignment) == 0;
    return aligned;
  }
};

/// Copies elements between views of equal shape and item size. **Requires**: no overlap.
void copy_elements(const BufferView& from, const BufferView& to);

/// Fills a view with copies of one element.
void fill_elements(const BufferView& to, const void* element);

/// Reverses the bytes of each `unit_bytes` unit in place; unit 1 does nothing.
void swap_bytes(void* data, std::size_t count, std::size_t unit_bytes);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/array/impl/buffer.ipp>
#endif
