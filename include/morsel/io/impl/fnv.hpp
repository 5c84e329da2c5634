// A hash that is the same everywhere: FNV-1a, by bytes or words.
#pragma once

#include <cstdint>
#include <morsel/base/config.hpp>

namespace morsel::inline MORSEL_ABI::detail {

inline constexpr std::uint64_t fnv_start = 14695981039346656037u;
constexpr std::uint64_t fnv_add(std::uint64_t hash, std::uint64_t part) {
  return (hash ^ part) * 1099511628211u;
}

}  // namespace morsel::inline MORSEL_ABI::detail
