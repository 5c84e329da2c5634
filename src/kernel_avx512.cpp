// Kernels for AVX-512. Built with flags of its own: nothing here may have external linkage but the functions
// that hand out the tables.
#include <immintrin.h>
#include <morsel/kernel/impl/reduce_table.hpp>
#include <morsel/kernel/impl/tile_table.hpp>
#include <morsel/kernel/impl/vector_library.hpp>

namespace morsel::inline MORSEL_ABI {
namespace detail {

namespace reduce_avx512 {
namespace {
#define MORSEL_VECTOR_BYTES 64
#include <morsel/kernel/impl/reduce_loops.inl>
}  // namespace
}  // namespace reduce_avx512
void fill_reduce_table_avx512(ReduceTable& table) { reduce_avx512::fill_table(table); }

namespace tiles_avx512 {
namespace {
#define MORSEL_TILE_LEVEL 2
#include <morsel/kernel/impl/tile_loops.inl>
}  // namespace
}  // namespace tiles_avx512
void fill_tile_table_avx512(TileTable& table) { tiles_avx512::fill_table(table); }

}  // namespace detail
}  // namespace morsel::inline MORSEL_ABI
