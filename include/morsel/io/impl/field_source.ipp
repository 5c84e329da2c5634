#pragma once

#include <algorithm>
#include <cstring>
#include <morsel/io/field_source.hpp>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE FieldSource::FieldSource(AnyChunkSource records, const Field& field)
    : records_(std::move(records)), field_(field), spec_(records_.spec()) {
  const auto extended = [&](const Grid& grid) {
    std::vector<AxisGrid> axes;
    for (std::size_t i = 0; i < grid.rank(); ++i) axes.push_back(grid.axis(i));
    for (const Index extent : field_.shape)
      axes.push_back(AxisGrid::regular(extent, std::max<Index>(1, extent)));
    return Grid(std::move(axes));
  };
  const std::size_t item = field_.dtype.item_bytes();
  spec_.dtype = field_.dtype;
  spec_.grid = extended(spec_.grid);
  if (spec_.shards) spec_.shards = extended(*spec_.shards);
  if (!spec_.dims.empty()) spec_.dims.resize(spec_.grid.rank());
  spec_.lends = false;
  spec_.stored_bytes.reset();
  if (const std::vector<std::byte> fill = spec_.fill; !fill.empty()) {
    const std::byte* first = fill.data() + field_.offset_bytes;
    spec_.fill.assign(first, first + item);
    for (Index i = 1; i < size_of(field_.shape); ++i)
      uniform_fill_ &= std::memcmp(first, first + static_cast<std::size_t>(i) * item, item) == 0;
  }
}

MORSEL_INLINE Dims FieldSource::of_records(const Dims& chunk) const {
  return Dims(chunk.begin(), chunk.end() - static_cast<std::ptrdiff_t>(field_.shape.size()));
}
MORSEL_INLINE Region FieldSource::of_records(const Region& region) const {
  return {of_records(region.lo), of_records(region.hi)};
}

/// The member's elements in `region` of C-order records.
MORSEL_INLINE BufferView FieldSource::member_of(const BufferView& records, const Region& region) const {
  BufferView member = records;
  member.data += field_.offset_bytes;
  member.item_bytes = field_.dtype.item_bytes();
  const Dims strides = c_strides(field_.shape, static_cast<Index>(member.item_bytes));
  const std::size_t rank = records.shape.size();
  for (std::size_t i = 0; i < field_.shape.size(); ++i) {
    member.data += region.lo[rank + i] * strides[i];
    member.shape.push_back(region.hi[rank + i] - region.lo[rank + i]);
    member.strides.push_back(strides[i]);
  }
  return member;
}

MORSEL_INLINE FetchCost FieldSource::cost(const Dims& chunk, const Region& region) const {
  const Region records = of_records(region);
  FetchCost cost = records_.cost(of_records(chunk), records);
  const std::size_t bytes = static_cast<std::size_t>(records.size()) * records_.spec().dtype.item_bytes();
  cost.scratch_bytes = round_up(cost.scratch_bytes, 64) + bytes;
  cost.strided_scratch_bytes = 0;
  cost.in_place = false;
  cost.encoded_bytes += mark_bytes;
  return cost;
}

MORSEL_INLINE Fetched FieldSource::fetch(const Dims& chunk, const Region& region, std::span<std::byte> room,
                                         FetchMode mode, std::stop_token stop) const {
  if (!records_.spec().does_io) return {};
  Fetched fetched =
      records_.fetch(of_records(chunk), of_records(region), room.subspan(mark_bytes), mode, std::move(stop));
  room[0] = std::byte{fetched.state == Fetched::State::missing};
  if (fetched.state == Fetched::State::missing && !uniform_fill_) {
    fetched.state = Fetched::State::filled;
    fetched.encoded_bytes = 0;
  }
  if (fetched.state == Fetched::State::filled) fetched.encoded_bytes += mark_bytes;
  return fetched;
}

MORSEL_INLINE void FieldSource::decode(const Dims& chunk, const Region& region,
                                       std::span<const std::byte> encoded, BufferView out,
                                       std::span<std::byte> scratch) const {
  const bool is_missing = records_.spec().does_io && !encoded.empty() && encoded[0] != std::byte{0};
  encoded = encoded.subspan(std::min(encoded.size(), records_.spec().does_io ? mark_bytes : 0));
  const Region whole = of_records(region);
  const DType& dtype = records_.spec().dtype;
  const std::size_t bytes = static_cast<std::size_t>(whole.size()) * dtype.item_bytes();
  const FetchCost cost = records_.cost(of_records(chunk), whole);
  const std::span<std::byte> room = scratch.last(bytes);
  const BufferView records = BufferView::c_order(room.data(), whole.shape(), dtype.item_bytes());
  if (is_missing) {
    fill_elements(records, records_.spec().fill.data());
  } else if (cost.in_place) {
    if (encoded.size() != bytes)
      fail(Errc::corrupt_data, "reading '" + identity() + "': wrong number of bytes; expected " +
                                   std::to_string(bytes) + ", got " + std::to_string(encoded.size()));
    std::memcpy(room.data(), encoded.data(), bytes);
    records_.decode(of_records(chunk), whole, room, records, scratch.first(cost.scratch_bytes));
  } else {
    records_.decode(of_records(chunk), whole, encoded, records, scratch.first(cost.scratch_bytes));
  }
  copy_elements(member_of(records, region), out);
}

MORSEL_INLINE Index FieldSource::requests(const Dims& chunk, const Region& region) const {
  return records_.requests(of_records(chunk), of_records(region));
}

}  // namespace morsel::inline MORSEL_ABI
