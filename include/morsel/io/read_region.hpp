// A plain read of part of a source: chunk after chunk on the calling thread. For small things (coordinates,
// metadata, tests); whole arrays go through the engine, which books memory and reads ahead.
#pragma once

#include <morsel/io/chunk_source.hpp>

namespace morsel::inline MORSEL_ABI {

/// Reads `region` of the source into `out` (shape of the region, any strides). Missing chunks become the fill
/// value.
/// **Fails**: shape_mismatch; what the source fails with. **Cost**: allocates what one chunk needs.
void read_region(const AnyChunkSource& source, const Region& region, const BufferView& out,
                 std::stop_token stop = {});

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/read_region.ipp>
#endif
