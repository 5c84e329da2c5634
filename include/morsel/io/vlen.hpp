// Strings and byte strings of any length, as the codecs vlen-utf8 and vlen-bytes store those of a chunk.
#pragma once

#include <cstddef>
#include <morsel/base/error.hpp>
#include <span>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// Where one item is within the stored bytes.
struct VlenItem {
  std::size_t offset = 0, length = 0;
  friend bool operator==(const VlenItem&, const VlenItem&) = default;
};

/// The items of a chunk of `count` elements, in C order. `doing` starts every message. Memory is taken for
/// items that are there, not for those that the bytes promise. **Fails**: corrupt_data unless there are
/// `count` items that fill `stored` exactly. **Source**: numcodecs and zarr-extensions, `vlen-utf8` and
/// `vlen-bytes`: a count, then each item behind its length, both 32 bits, little-endian.
std::vector<VlenItem> parse_vlen(std::span<const std::byte> stored, std::size_t count,
                                 const std::string& doing);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/vlen.ipp>
#endif
