// Which instruction set the kernels use. Chosen once, the same bits on each.
#pragma once

#include <cstdint>
#include <morsel/base/config.hpp>
#include <optional>
#include <string_view>

namespace morsel::inline MORSEL_ABI {

enum class SimdLevel : std::uint8_t { baseline, avx2, avx512 };
inline constexpr int simd_level_count = 3;

std::string_view name_of(SimdLevel level);
/// The level of a name; nothing if there is none.
std::optional<SimdLevel> find_simd_level(std::string_view name);

/// The best level that this processor and this build have.
SimdLevel best_simd_level();

/// The level in force: the best one, or what MORSEL_SIMD (baseline | avx2 | avx512) asks for, if available.
/// Read once.
SimdLevel simd_level();

/// Overrides the level for the whole process, for tests. **Requires**: level <= best_simd_level(), no run in
/// progress.
void set_simd_level(SimdLevel level);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/kernel/impl/simd.ipp>
#endif
