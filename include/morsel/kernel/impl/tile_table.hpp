// The table of tile kernels that each instruction set fills: built-in types only, shared with the
// instruction-set files.
#pragma once

#include <morsel/kernel/op_list.hpp>

namespace morsel::inline MORSEL_ABI {

/// out[0..n) = f(in[0][0..n), in[1][0..n), ...). Contiguous, each aligned to its element, n <= tile_size,
/// `out` overlaps no input.
using TileFn = void (*)(__SIZE_TYPE__ n, void* out, const void* const* in, const void* state);

namespace detail {

// The numeric dtypes in the order of morsel::Type.
enum TileType : int { b1, i8, i16, i32, i64, u8, u16, u32, u64, f16, f32, f64, c64, c128, tile_type_count };

// Pairs of operations that share their loads; each operation still rounds once.
enum class Super : unsigned char {
  multiply_add,         // a * b + c
  multiply_subtract,    // a * b - c
  subtract_multiplied,  // a - b * c
  multiply_both_add,    // a * b + c * d
  add_multiply,         // (a + b) * c
  subtract_multiply,    // (a - b) * c
  subtract_divide,      // (a - b) / c
  subtract_square,      // (a - b) * (a - b)
  select_equal,         // a == b ? c : d
  select_not_equal,     // a != b ? c : d
  select_less,          // a < b ? c : d
  select_less_equal,    // a <= b ? c : d
  count
};
inline constexpr int super_count = static_cast<int>(Super::count);

struct TileTable {
  TileFn op[op_count][tile_type_count];           // by the dtype of the first operand; where: of the second
  TileFn compare_i64_u64[6], compare_u64_i64[6];  // equal .. greater_equal
  TileFn cast[tile_type_count][tile_type_count];  // [from][to]
  TileFn super[super_count][tile_type_count];     // null where the pair has no kernel
  TileFn cast_scale_offset[tile_type_count][tile_type_count];  // to(a) * b + c
};

// Each writes the kernels its instruction set has and leaves the others alone.
void fill_tile_table_baseline(TileTable& table);
void fill_tile_table_avx2(TileTable& table);
void fill_tile_table_avx512(TileTable& table);

}  // namespace detail
}  // namespace morsel::inline MORSEL_ABI
