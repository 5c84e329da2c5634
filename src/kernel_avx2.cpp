// Kernels for AVX2. Built with flags of its own: nothing here may have external linkage but the functions
// that hand out the tables.
#include <immintrin.h>
#include <morsel/kernel/impl/reduce_table.hpp>
#include <morsel/kernel/impl/tile_table.hpp>
#include <morsel/kernel/impl/vector_library.hpp>

namespace morsel::inline MORSEL_ABI {
namespace detail {

namespace reduce_avx2 {
namespace {
#define MORSEL_VECTOR_BYTES 32
#include <morsel/kernel/impl/reduce_loops.inl>
}  // namespace
}  // namespace reduce_avx2
void fill_reduce_table_avx2(ReduceTable& table) { reduce_avx2::fill_table(table); }

namespace tiles_avx2 {
namespace {
#define MORSEL_TILE_LEVEL 1
#include <morsel/kernel/impl/tile_loops.inl>
}  // namespace
}  // namespace tiles_avx2
void fill_tile_table_avx2(TileTable& table) { tiles_avx2::fill_table(table); }

}  // namespace detail
}  // namespace morsel::inline MORSEL_ABI
