#pragma once

#include <morsel/io/codec.hpp>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE std::vector<std::string> codec_names() {
  std::vector<std::string> names;
#if MORSEL_HAVE_ZLIB
  names.emplace_back("deflate");
#endif
  return names;
}

}  // namespace morsel::inline MORSEL_ABI
