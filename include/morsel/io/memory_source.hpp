// An array in memory as a source: lends, never copies, never does I/O.
#pragma once

#include <cstdint>
#include <memory>
#include <morsel/io/chunk_source.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {
/// 1, 2, 3, ...: never the same twice in a process.
std::uint64_t next_source_serial();
}  // namespace detail

/// Elements at an address. Any strides. `keeper` holds the memory alive; null means that the caller does.
///
/// **Requires**: the memory neither moves nor changes while the source or anything made of it lives; bool is
/// 0 or 1.
class MemorySource {
 public:
  /// **Fails**: dtype_mismatch if the view's item size is not that of `dtype`; overflow; invalid_argument.
  MemorySource(DType dtype, BufferView values, std::shared_ptr<const void> keeper);

  const ArraySpec& spec() const { return spec_; }
  FetchCost cost(const Dims& chunk, const Region& region) const;
  Fetched fetch(const Dims& chunk, const Region& region, std::span<std::byte> room, FetchMode mode,
                std::stop_token stop) const;
  void decode(const Dims& chunk, const Region& region, std::span<const std::byte> encoded, BufferView out,
              std::span<std::byte> scratch) const;
  BufferView lend(const Region& region) const;
  /// Two sources never have the same identity, even at the same address.
  std::string identity() const;
  std::string version() const { return {}; }

 private:
  ArraySpec spec_;
  BufferView values_;
  std::shared_ptr<const void> keeper_;
  std::uint64_t serial_;
};
static_assert(LendsRegions<MemorySource>);

/// The elements of `values`, kept alive by `keeper`.
AnyChunkSource memory_source(DType dtype, BufferView values, std::shared_ptr<const void> keeper);

/// The elements of the caller's memory. **Requires**: it outlives the source.
AnyChunkSource borrowed_source(DType dtype, BufferView values);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/memory_source.ipp>
#endif
