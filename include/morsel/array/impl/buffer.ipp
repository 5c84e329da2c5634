#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <morsel/array/buffer.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// One axis of a copy: how far both sides move per step, in bytes.
struct CopyAxis {
  Index extent, from, to;
};
using CopyAxes = InlineVector<CopyAxis, 8>;

/// Copies `count` elements of N bytes (N 0: `item` bytes) along one axis.
template <std::size_t N>
void copy_run(const std::byte* from, Index from_stride, std::byte* to, Index to_stride, Index count,
              std::size_t item) {
  constexpr auto step = static_cast<Index>(N);
  if constexpr (N == 0) {
    for (Index i = 0; i < count; ++i) std::memcpy(to + i * to_stride, from + i * from_stride, item);
  } else if (to_stride == step && from_stride == step) {
    std::memcpy(to, from, static_cast<std::size_t>(count) * N);
  } else if (to_stride == step && from_stride == -step) {
    for (Index i = 0; i < count; ++i) std::memcpy(to + i * step, from - i * step, N);
  } else if (to_stride == step && from_stride == 0) {
    std::byte element[N];
    std::memcpy(element, from, N);
    for (Index i = 0; i < count; ++i) std::memcpy(to + i * step, element, N);
  } else if (to_stride == step) {
    for (Index i = 0; i < count; ++i) std::memcpy(to + i * step, from + i * from_stride, N);
  } else {
    for (Index i = 0; i < count; ++i) std::memcpy(to + i * to_stride, from + i * from_stride, N);
  }
}

inline constexpr Index copy_block = 32;

/// One stage of a transpose of 8 x 8 bytes: the bytes K columns to the right in row i trade places with those
/// in row i + K.
template <int K>
void trade_bytes(std::uint64_t (&row)[8]) {
  constexpr std::uint64_t mask = K == 4   ? 0x00000000ffffffffu
                                 : K == 2 ? 0x0000ffff0000ffffu
                                          : 0x00ff00ff00ff00ffu;
  const auto trade = [](std::uint64_t& upper, std::uint64_t& lower) {
    const std::uint64_t changed = ((upper >> (8 * K)) ^ lower) & mask;
    lower ^= changed;
    upper ^= changed << (8 * K);
  };
  trade(row[0], row[K]);
  trade(row[K == 1 ? 2 : 1], row[K == 1 ? 3 : K + 1]);
  trade(row[K == 4 ? 2 : 4], row[K == 4 ? 6 : 4 + K]);
  trade(row[K == 4 ? 3 : K == 2 ? 5 : 6], row[7]);
}

/// Writes the columns of a whole tile of bytes as rows, 8 x 8 bytes at a time in registers.
MORSEL_INLINE void copy_byte_columns(const std::byte* tile, std::byte* to, Index to_row) {
  for (Index a = 0; a < copy_block; a += 8)
    for (Index b = 0; b < copy_block; b += 8) {
      std::uint64_t row[8];
      for (int i = 0; i < 8; ++i) std::memcpy(&row[i], tile + (b + i) * copy_block + a, 8);
      trade_bytes<4>(row);
      trade_bytes<2>(row);
      trade_bytes<1>(row);
      for (int i = 0; i < 8; ++i) std::memcpy(to + (a + i) * to_row + b, &row[i], 8);
    }
}

/// Copies a whole block through a tile. The counts are constants: loops unroll and rows move without calls.
template <std::size_t N>
void copy_block_of(const std::byte* from, Index from_row, std::byte* to, Index to_row) {
  constexpr auto step = static_cast<Index>(N);
  alignas(64) std::byte tile[copy_block * copy_block * N];
  for (Index i = 0; i < copy_block; ++i)
    std::memcpy(tile + i * copy_block * step, from + i * from_row, copy_block * N);
  if constexpr (N == 1 && std::endian::native == std::endian::little) {
    copy_byte_columns(tile, to, to_row);
  } else {
    for (Index j = 0; j < copy_block; ++j)
      for (Index i = 0; i < copy_block; ++i)
        std::memcpy(to + j * to_row + i * step, tile + (i * copy_block + j) * step, N);
  }
}

/// Copies a plane whose fastest axis is `across` in the source and `along` in the destination, block by
/// block. Whole blocks pass through a small tile, so that both sides are touched in whole rows: with rows a
/// power of two apart, a block's lines would otherwise evict one another from the L1 cache.
template <std::size_t N>
void copy_plane(const std::byte* from, std::byte* to, const CopyAxis& across, const CopyAxis& along,
                std::size_t item) {
  constexpr auto step = static_cast<Index>(N);
  const bool in_rows = N > 0 && across.from == step && along.to == step;
  for (Index i = 0; i < along.extent; i += copy_block) {
    const Index ni = std::min(copy_block, along.extent - i);
    for (Index j = 0; j < across.extent; j += copy_block) {
      const Index nj = std::min(copy_block, across.extent - j);
      const std::byte* source = from + i * along.from + j * across.from;
      std::byte* target = to + i * along.to + j * across.to;
      if constexpr (N > 0)
        if (in_rows && ni == copy_block && nj == copy_block) {
          copy_block_of<N>(source, along.from, target, across.to);
          continue;
        }
      for (Index a = 0; a < nj; ++a)
        copy_run<N>(source + a * across.from, along.from, target + a * across.to, along.to, ni, item);
    }
  }
}

/// Calls f(from, to) at each position of the axes, in C order.
template <class F>
void for_each_start(const CopyAxes& axes, const std::byte* from, std::byte* to, F&& f) {
  Dims at(axes.size(), 0);
  for (;;) {
    f(from, to);
    std::size_t i = axes.size();
    for (;;) {
      if (i == 0) return;
      --i;
      from += axes[i].from;
      to += axes[i].to;
      if (++at[i] < axes[i].extent) break;
      from -= axes[i].extent * axes[i].from;
      to -= axes[i].extent * axes[i].to;
      at[i] = 0;
    }
  }
}

template <std::size_t N>
void copy_axes(const std::byte* from, std::byte* to, CopyAxes axes, std::size_t item) {
  CopyAxis along = axes.back();
  axes.pop_back();
  std::size_t fastest = axes.size();
  Index smallest = along.from < 0 ? -along.from : along.from;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const Index stride = axes[i].from < 0 ? -axes[i].from : axes[i].from;
    if (stride != 0 && stride < smallest) fastest = i, smallest = stride;
  }
  if (fastest == axes.size() || along.extent < 8 || axes[fastest].extent < 8) {
    // A loop over a few elements costs more than the cache lines that are touched again when a longer one is
    // inside.
    if (along.extent < 8 && !axes.empty() && axes.back().extent > along.extent) std::swap(along, axes.back());
    for_each_start(axes, from, to, [&](const std::byte* f, std::byte* t) {
      copy_run<N>(f, along.from, t, along.to, along.extent, item);
    });
  } else {
    const CopyAxis across = axes[fastest];
    axes.erase(fastest);
    for_each_start(axes, from, to,
                   [&](const std::byte* f, std::byte* t) { copy_plane<N>(f, t, across, along, item); });
  }
}

/// The axes of a copy in the order that writes forwards, neighbours merged: extents of 1 dropped, destination
/// strides not negative and falling. Moves `from` and `to` to the new first element.
MORSEL_INLINE CopyAxes simplify(const Shape& shape, const Dims& from_strides, const Dims& to_strides,
                                const std::byte*& from, std::byte*& to) {
  CopyAxes axes;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 1) continue;
    CopyAxis axis{shape[i], from_strides[i], to_strides[i]};
    if (axis.to < 0) {
      from += (axis.extent - 1) * axis.from;
      to += (axis.extent - 1) * axis.to;
      axis.from = -axis.from;
      axis.to = -axis.to;
    }
    std::size_t k = axes.size();
    while (k > 0 && axes[k - 1].to < axis.to) --k;
    axes.insert(k, axis);
  }
  std::size_t kept = 0;
  for (std::size_t i = 1; i < axes.size(); ++i) {
    CopyAxis& outer = axes[kept];
    const CopyAxis inner = axes[i];
    if (outer.from == inner.from * inner.extent && outer.to == inner.to * inner.extent)
      outer = {outer.extent * inner.extent, inner.from, inner.to};
    else
      axes[++kept] = inner;
  }
  if (!axes.empty()) axes.resize(kept + 1, CopyAxis{});
  return axes;
}

/// Reverses the bytes of units of one size.
template <class Unit, Unit (*reverse)(Unit)>
void swap_units(std::byte* data, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    Unit unit;
    std::memcpy(&unit, data + i * sizeof unit, sizeof unit);
    unit = reverse(unit);
    std::memcpy(data + i * sizeof unit, &unit, sizeof unit);
  }
}
MORSEL_INLINE std::uint16_t reverse_bytes(std::uint16_t unit) { return __builtin_bswap16(unit); }
MORSEL_INLINE std::uint32_t reverse_bytes(std::uint32_t unit) { return __builtin_bswap32(unit); }
MORSEL_INLINE std::uint64_t reverse_bytes(std::uint64_t unit) { return __builtin_bswap64(unit); }

}  // namespace detail

MORSEL_INLINE bool BufferView::is_c_order() const {
  Index step = static_cast<Index>(item_bytes);
  bool packed = true;
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1) packed &= strides[i] == step;
    step *= shape[i];
  }
  return packed;
}

MORSEL_INLINE void copy_elements(const BufferView& from, const BufferView& to) {
  if (!(from.shape == to.shape) || from.item_bytes != to.item_bytes)
    fail(Errc::internal_error, "copying elements: the sides differ; expected shape " + to_string(to.shape) +
                                   " of " + std::to_string(to.item_bytes) + " bytes, got " +
                                   to_string(from.shape) + " of " + std::to_string(from.item_bytes) +
                                   " bytes");
  for (const Index n : from.shape)
    if (n <= 0) return;
  const std::byte* source = from.data;
  std::byte* target = to.data;
  detail::CopyAxes axes = detail::simplify(from.shape, from.strides, to.strides, source, target);
  // Elements that lie side by side on both sides are one larger element.
  std::size_t item = from.item_bytes;
  while (!axes.empty() && axes.back().from == static_cast<Index>(item) &&
         axes.back().to == axes.back().from) {
    item *= static_cast<std::size_t>(axes.back().extent);
    axes.pop_back();
  }
  if (axes.empty()) {
    std::memcpy(target, source, item);
    return;
  }
  switch (item) {
    case 1:
      return detail::copy_axes<1>(source, target, axes, item);
    case 2:
      return detail::copy_axes<2>(source, target, axes, item);
    case 4:
      return detail::copy_axes<4>(source, target, axes, item);
    case 8:
      return detail::copy_axes<8>(source, target, axes, item);
    case 16:
      return detail::copy_axes<16>(source, target, axes, item);
    default:
      return detail::copy_axes<0>(source, target, axes, item);
  }
}

MORSEL_INLINE void fill_elements(const BufferView& to, const void* element) {
  const auto* value = static_cast<const std::byte*>(element);
  bool all_equal = true;
  for (std::size_t i = 1; i < to.item_bytes; ++i) all_equal &= value[i] == value[0];
  BufferView bytes = to;
  if (all_equal && to.item_bytes > 1) {
    // One repeated byte: fill bytes, so that whole rows become memset.
    bytes.item_bytes = 1;
    bytes.shape.push_back(static_cast<Index>(to.item_bytes));
    bytes.strides.push_back(1);
  }
  for (const Index n : bytes.shape)
    if (n <= 0) return;
  const std::byte* source = value;
  std::byte* target = bytes.data;
  detail::CopyAxes axes =
      detail::simplify(bytes.shape, Dims(bytes.shape.size(), 0), bytes.strides, source, target);
  if (all_equal && to.item_bytes > 0) {
    const detail::CopyAxis run = axes.empty() ? detail::CopyAxis{1, 0, 1} : axes.back();
    if (!axes.empty()) axes.pop_back();
    detail::for_each_start(axes, source, target, [&](const std::byte*, std::byte* t) {
      if (run.to == 1)
        std::memset(t, std::to_integer<int>(value[0]), static_cast<std::size_t>(run.extent));
      else
        for (Index i = 0; i < run.extent; ++i) t[i * run.to] = value[0];
    });
    return;
  }
  BufferView repeated{const_cast<std::byte*>(value), to.item_bytes, to.shape, Dims(to.shape.size(), 0)};
  copy_elements(repeated, to);
}

MORSEL_INLINE void swap_bytes(void* data, std::size_t count, std::size_t unit_bytes) {
  auto* bytes = static_cast<std::byte*>(data);
  switch (unit_bytes) {
    case 0:
    case 1:
      return;
    case 2:
      return detail::swap_units<std::uint16_t, detail::reverse_bytes>(bytes, count);
    case 4:
      return detail::swap_units<std::uint32_t, detail::reverse_bytes>(bytes, count);
    case 8:
      return detail::swap_units<std::uint64_t, detail::reverse_bytes>(bytes, count);
    default:
      for (std::size_t i = 0; i < count; ++i)
        std::reverse(bytes + i * unit_bytes, bytes + (i + 1) * unit_bytes);
  }
}

}  // namespace morsel::inline MORSEL_ABI
