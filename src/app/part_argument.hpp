// --sel and --mask-and-scale: values and parts of an array by its coordinates.
#pragma once

#include <string>
#include <vector>

#include "open_source.hpp"

namespace morsel::app {

struct PartArguments {
  bool mask_and_scale = false;
  std::vector<std::string> selections;  ///< NAME=VALUE, NAME=LO..HI, NAME=~NEAREST
  bool any() const { return mask_and_scale || !selections.empty(); }
};

/// The array at a path as these arguments ask for it. **Fails**: UsageError for selections that do not parse.
OpenedEdge open_part(const std::string& path, const PartArguments& part, const ChunkSpec& chunks = {});

}  // namespace morsel::app
