#pragma once

#include <morsel/kernel/impl/tile_table.hpp>
#include <morsel/kernel/impl/vector_library.hpp>

namespace morsel::inline MORSEL_ABI {
namespace detail {

namespace tiles_baseline {
#define MORSEL_TILE_LEVEL 0
#include <morsel/kernel/impl/tile_loops.inl>
#undef MORSEL_TILE_LEVEL
}  // namespace tiles_baseline

MORSEL_INLINE void fill_tile_table_baseline(TileTable& table) { tiles_baseline::fill_table(table); }

}  // namespace detail
}  // namespace morsel::inline MORSEL_ABI
