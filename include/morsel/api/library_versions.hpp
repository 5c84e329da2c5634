// Which versions of other libraries Morsel was compiled with.
#pragma once

#include <morsel/base/config.hpp>
#include <string>

namespace morsel::inline MORSEL_ABI {

/// Versions such as "0.24.3"; empty for a library that this build does without.
struct LibraryVersions {
  std::string xtensor, nlohmann_json;
  std::string sleef;  ///< empty: the C library computes sin, exp, ...
  std::string zlib;   ///< empty: nothing deflated is read
};

LibraryVersions library_versions();

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/library_versions.ipp>
#endif
