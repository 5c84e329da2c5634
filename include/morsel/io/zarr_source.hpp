// The chunks of a Zarr or N5 array as a source.
#pragma once

#include <memory>
#include <morsel/io/chunk_source.hpp>
#include <morsel/io/store.hpp>
#include <morsel/io/store_key.hpp>
#include <morsel/io/zarr_metadata.hpp>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// Reads the chunks of an array from a store. Where the chunks lie in shards, one fetch takes any box of one
/// shard: the shard's index (once, it is kept) and the inner chunks that the box touches, neighbours in the
/// file in one read.
///
/// The native chunks are those that are decoded as a whole: the innermost ones of shards. Regions of chunks
/// that are stored as they are, or by a codec that decodes parts, cost less than the chunk.
class ZarrSource {
 public:
  /// `path`: of the array in the store, "" for its root. `documents`: keys of the array's metadata, whose
  /// content is the version. **Fails**: unsupported, corrupt_data (codecs, shards that do not fit).
  ZarrSource(AnyStore store, std::string path, const ZarrArray& array, std::vector<std::string> documents,
             const std::string& doing);

  const ArraySpec& spec() const;
  FetchCost cost(const Dims& chunk, const Region& region) const;
  /// A bound for any region of one storage chunk.
  FetchCost most_cost() const;
  Fetched fetch(const Dims& chunk, const Region& region, std::span<std::byte> room, FetchMode mode,
                std::stop_token stop) const;
  void decode(const Dims& chunk, const Region& region, std::span<const std::byte> encoded, BufferView out,
              std::span<std::byte> scratch) const;
  /// In shards: at most, what lies together is known only when the index has been read.
  Index requests(const Dims& chunk, const Region& region) const;
  std::string identity() const;
  std::string version() const;
  /// The array's directory; in other stores its identity.
  std::vector<std::string> files() const { return {place_of_identity(identity())}; }

 private:
  struct State;
  std::shared_ptr<const State> state_;
};
static_assert(PredictsRequests<ZarrSource>);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/zarr_source.ipp>
#endif
