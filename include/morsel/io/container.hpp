// All that is in a container or a directory of files, listed without opening an array.
#pragma once

#include <morsel/io/format.hpp>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// An array or group at or below the place that was listed.
struct ContainerEntry {
  std::string path;  ///< below that place; "" for the place itself
  Member::Kind kind = Member::Kind::array;
  Attributes attributes;  ///< of a group
};

/// Groups before what is in them, members in the format's order; the place itself first. An array has one
/// entry.
/// **Fails**: unsupported for groups more than 64 levels deep; what the format fails with.
std::vector<ContainerEntry> contents_of(const FoundFormat& found);

/// A path as find_format takes it apart; a directory that is no container is a group of the files in it that
/// some format recognises, with their whole names, and of its sub-directories. Hidden files are left out. A
/// file that cannot be listed is an array: opening it says why. **Fails**: as find_format.
FoundFormat find_container(const std::string& path);

namespace detail {
inline constexpr int most_levels = 64;
/// True for a link to a directory above, which would lead around in circles.
bool leads_up(const std::string& path);
}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/container.ipp>
#endif
