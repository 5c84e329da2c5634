#pragma once

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <morsel/base/error.hpp>
#include <morsel/kernel/simd.hpp>
#include <string>

namespace morsel::inline MORSEL_ABI {

namespace detail {

// The level asked for by the environment, at most the best one.
MORSEL_INLINE SimdLevel initial_simd_level() {
  const char* asked = std::getenv("MORSEL_SIMD");
  const SimdLevel best = best_simd_level();
  if (!asked || !*asked) return best;
  if (const std::optional<SimdLevel> level = find_simd_level(asked)) return std::min(*level, best);
  fail(Errc::invalid_argument,
       "MORSEL_SIMD: unknown level; expected baseline, avx2 or avx512, got '" + std::string(asked) + "'");
}

MORSEL_INLINE std::atomic<SimdLevel>& current_simd_level() {
  static std::atomic<SimdLevel> level{initial_simd_level()};
  return level;
}

}  // namespace detail

MORSEL_INLINE std::string_view name_of(SimdLevel level) {
  switch (level) {
    case SimdLevel::baseline:
      return "baseline";
    case SimdLevel::avx2:
      return "avx2";
    case SimdLevel::avx512:
      return "avx512";
  }
  return "?";
}

MORSEL_INLINE std::optional<SimdLevel> find_simd_level(std::string_view name) {
  for (int i = 0; i < simd_level_count; ++i)
    if (name_of(static_cast<SimdLevel>(i)) == name) return static_cast<SimdLevel>(i);
  return std::nullopt;
}

MORSEL_INLINE SimdLevel best_simd_level() {
  // The compiled library alone has the files of other levels; it is told which by its build.
#if !defined(MORSEL_HEADER_ONLY) && defined(MORSEL_HAVE_AVX2)
  __builtin_cpu_init();
#if defined(MORSEL_HAVE_AVX512)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx2"))
    return SimdLevel::avx512;
#endif
  // Every processor with AVX2 has F16C.
  if (__builtin_cpu_supports("avx2")) return SimdLevel::avx2;
#endif
  return SimdLevel::baseline;
}

MORSEL_INLINE SimdLevel simd_level() { return detail::current_simd_level().load(std::memory_order_relaxed); }

MORSEL_INLINE void set_simd_level(SimdLevel level) {
  if (level > best_simd_level())
    fail(Errc::unsupported, "setting the SIMD level: not available here; expected at most " +
                                std::string(name_of(best_simd_level())) + ", got " +
                                std::string(name_of(level)));
  detail::current_simd_level().store(level, std::memory_order_relaxed);
}

}  // namespace morsel::inline MORSEL_ABI
