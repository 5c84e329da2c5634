// User attributes of an array: names with JSON values, kept as text so that no JSON type shows in a header.
#pragma once

#include <morsel/base/config.hpp>
#include <string>
#include <utility>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// (name, JSON text of the value), in file order.
using Attributes = std::vector<std::pair<std::string, std::string>>;

}  // namespace morsel::inline MORSEL_ABI
