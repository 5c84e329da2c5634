// What stands in a container.
#pragma once

#include <cstdint>
#include <morsel/base/config.hpp>
#include <string>

namespace morsel::inline MORSEL_ABI {

/// An array or group in a container.
struct Member {
  enum class Kind : std::uint8_t { array, group };
  std::string path;  ///< below the place that was listed
  Kind kind = Kind::array;
  friend bool operator==(const Member&, const Member&) = default;
};

}  // namespace morsel::inline MORSEL_ABI
