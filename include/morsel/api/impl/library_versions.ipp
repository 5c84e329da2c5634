#pragma once

#include <morsel/api/library_versions.hpp>
#include <morsel/api/xtensor.hpp>
#include <morsel/kernel/impl/vector_library.hpp>
#include <nlohmann/json.hpp>
#if MORSEL_HAVE_ZLIB
#include <zlib.h>
#endif

namespace morsel::inline MORSEL_ABI {
namespace detail {

MORSEL_INLINE std::string version_of(int major, int minor, int patch) {
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

}  // namespace detail

MORSEL_INLINE LibraryVersions library_versions() {
  LibraryVersions versions;
  versions.xtensor = detail::version_of(XTENSOR_VERSION_MAJOR, XTENSOR_VERSION_MINOR, XTENSOR_VERSION_PATCH);
  versions.nlohmann_json = detail::version_of(NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR,
                                              NLOHMANN_JSON_VERSION_PATCH);
#if MORSEL_HAVE_SLEEF
  versions.sleef = detail::version_of(SLEEF_VERSION_MAJOR, SLEEF_VERSION_MINOR, SLEEF_VERSION_PATCHLEVEL);
#endif
#if MORSEL_HAVE_ZLIB
  versions.zlib = ZLIB_VERSION;
#endif
  return versions;
}

}  // namespace morsel::inline MORSEL_ABI
