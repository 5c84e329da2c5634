#pragma once

#include <morsel/io/read_region.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// One fetch and decode into `out`, with memory of its own.
MORSEL_INLINE void read_piece(const AnyChunkSource& source, const Dims& chunk, const Region& region,
                              const BufferView& out, std::stop_token stop) {
  const ArraySpec& spec = source.spec();
  const FetchCost cost = source.cost(chunk, region);
  const std::size_t scratch_bytes = cost.scratch_bytes + cost.strided_scratch_bytes;
  const auto allocate = [](std::size_t bytes) { return std::make_unique<std::byte[]>(bytes); };
  const auto encoded = allocate(cost.encoded_bytes), scratch = allocate(scratch_bytes);
  const std::span<std::byte> room(encoded.get(), cost.encoded_bytes),
      scratch_room(scratch.get(), scratch_bytes);
  if (!spec.does_io) return source.decode(chunk, region, {}, out, scratch_room);
  const Fetched fetched = source.fetch(chunk, region, room, FetchMode::wait, std::move(stop));
  if (fetched.state == Fetched::State::missing) {
    const std::vector<std::byte> zero(out.item_bytes);
    return fill_elements(out, spec.fill.empty() ? zero.data() : spec.fill.data());
  }
  const std::span<const std::byte> filled = room.first(fetched.encoded_bytes);
  if (!cost.in_place) return source.decode(chunk, region, filled, out, scratch_room);
  const BufferView there = BufferView::c_order(encoded.get(), out.shape, out.item_bytes);
  source.decode(chunk, region, filled, there, scratch_room);
  copy_elements(there, out);
}

}  // namespace detail

MORSEL_INLINE void read_region(const AnyChunkSource& source, const Region& region, const BufferView& out,
                               std::stop_token stop) {
  const ArraySpec& spec = source.spec();
  if (region.rank() != spec.grid.rank() || !Region::of(spec.shape()).contains(region) ||
      out.shape != region.shape() || out.item_bytes != spec.dtype.item_bytes())
    fail(Errc::shape_mismatch, "reading " + to_string(region) + ": it does not fit; expected a region of " +
                                   to_string(spec.shape()) + " of " +
                                   std::to_string(spec.dtype.item_bytes()) + "-byte elements, got room for " +
                                   to_string(out.shape) + " of " + std::to_string(out.item_bytes) + " bytes");
  if (region.size() == 0) return;
  if (spec.lends) return copy_elements(source.lend(region), out);
  for_each_position(spec.grid.overlapping(region), [&](const Dims& chunk) {
    if (stop.stop_requested()) fail(Errc::cancelled, "reading " + to_string(region) + ": cancelled");
    const Region part = intersect(spec.grid.region(chunk), region);
    detail::read_piece(source, chunk, part, out.part(region, part), stop);
  });
}

}  // namespace morsel::inline MORSEL_ABI
