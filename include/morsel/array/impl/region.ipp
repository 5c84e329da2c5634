#pragma once

#include <morsel/array/region.hpp>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE std::string to_string(const Region& region) {
  std::string text = "[";
  for (std::size_t i = 0; i < region.rank(); ++i)
    text += (i ? ", " : "") + std::to_string(region.lo[i]) + ":" + std::to_string(region.hi[i]);
  return text + "]";
}

}  // namespace morsel::inline MORSEL_ABI
