#pragma once

#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <morsel/io/memory_source.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {
MORSEL_INLINE std::uint64_t next_source_serial() {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}
}  // namespace detail

MORSEL_INLINE MemorySource::MemorySource(DType dtype, BufferView values, std::shared_ptr<const void> keeper)
    : values_(std::move(values)), keeper_(std::move(keeper)), serial_(detail::next_source_serial()) {
  if (values_.item_bytes != dtype.item_bytes())
    fail(Errc::dtype_mismatch, "wrapping memory as " + dtype.name() + ": item size differs; expected " +
                                   std::to_string(dtype.item_bytes()) + " bytes, got " +
                                   std::to_string(values_.item_bytes));
  if (values_.strides.size() != values_.shape.size())
    fail(Errc::invalid_argument, "wrapping memory: strides do not fit the shape; expected one per axis of " +
                                     to_string(values_.shape) + ", got " + to_string(values_.strides));
  const Index size = size_of(values_.shape);
  checked_mul(size, static_cast<Index>(dtype.item_bytes()), "array bytes");
  if (size > 0 && values_.data == nullptr)
    fail(Errc::invalid_argument,
         "wrapping memory: null pointer; expected the address of " + std::to_string(size) + " elements");
  spec_.grid = Grid::whole(values_.shape);
  spec_.reads_regions = true;
  spec_.lends = values_.is_aligned(alignment_of(dtype.type()));  // kernels read lent elements where they lie
  spec_.does_io = false;
  spec_.has_native_chunks = false;
  spec_.format = "memory";
  spec_.order = values_.is_c_order() ? "C" : "strided";
  spec_.stored_bytes = size * static_cast<Index>(dtype.item_bytes());
  spec_.dtype = std::move(dtype);
}

MORSEL_INLINE FetchCost MemorySource::cost(const Dims&, const Region&) const {
  FetchCost cost;
  cost.partial = true;
  return cost;
}

MORSEL_INLINE Fetched MemorySource::fetch(const Dims&, const Region&, std::span<std::byte>, FetchMode,
                                          std::stop_token) const {
  Fetched fetched;
  fetched.requests = 0;
  return fetched;
}

MORSEL_INLINE void MemorySource::decode(const Dims&, const Region& region, std::span<const std::byte>,
                                        BufferView out, std::span<std::byte>) const {
  copy_elements(lend(region), out);
}

MORSEL_INLINE BufferView MemorySource::lend(const Region& region) const {
  return values_.part(Region::of(values_.shape), region);
}

MORSEL_INLINE std::string MemorySource::identity() const {
  char address[32];
  std::snprintf(address, sizeof address, "0x%" PRIxPTR, reinterpret_cast<std::uintptr_t>(values_.data));
  return std::string("memory:") + address + "#" + std::to_string(serial_);
}

MORSEL_INLINE AnyChunkSource memory_source(DType dtype, BufferView values,
                                           std::shared_ptr<const void> keeper) {
  return MemorySource(std::move(dtype), std::move(values), std::move(keeper));
}

MORSEL_INLINE AnyChunkSource borrowed_source(DType dtype, BufferView values) {
  return MemorySource(std::move(dtype), std::move(values), nullptr);
}

}  // namespace morsel::inline MORSEL_ABI
