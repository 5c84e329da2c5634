// What metadata say of a codec.
#pragma once

#include <morsel/base/config.hpp>
#include <string>

namespace morsel::inline MORSEL_ABI {

/// One step of a storage codec chain, as metadata and `info` show it: a name and its configuration as JSON
/// text
/// ("{}" if none).
struct CodecInfo {
  std::string name, configuration;
  friend bool operator==(const CodecInfo&, const CodecInfo&) = default;
};

}  // namespace morsel::inline MORSEL_ABI
