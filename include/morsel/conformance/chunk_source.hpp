// The laws of a ChunkSource as a suite that any implementation can be run through, with any test framework or
// none.
#pragma once

#include <cstdint>
#include <functional>
#include <morsel/io/chunk_source.hpp>
#include <span>

namespace morsel::inline MORSEL_ABI {

namespace conformance {

struct SourceCheckOptions {
  std::uint64_t seed = 1;
  int regions = 60;  ///< random boxes read on one thread, and again on several
  int threads = 4;
  Index max_chunks = 200;  ///< with more chunks, a random choice of so many is read
};

/// Writes the values that `region` must have to `out`.
using ExpectedValues = std::function<void(const Region& region, const BufferView& out)>;

/// Reads chunks and random boxes of a source in every legal way and compares bytes: exact room, guards around
/// all memory, wild strides, in place, threads, cached_only, lending, damaged encoded bytes. `make_source` is
/// called more than once and gives the same array each time.
/// **Fails**: internal_error naming the law that is violated; what the source fails with.
///
///   check_source([&] { return open_my_format(path); }, expected_bytes_in_c_order);
void check_source(const std::function<AnyChunkSource()>& make_source, const ExpectedValues& expected,
                  const SourceCheckOptions& options = {});
void check_source(const std::function<AnyChunkSource()>& make_source,
                  std::span<const std::byte> expected_c_order, const SourceCheckOptions& options = {});

}  // namespace conformance

}  // namespace morsel::inline MORSEL_ABI

#include <morsel/conformance/impl/chunk_source.ipp>
