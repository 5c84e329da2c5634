#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <morsel/io/codec_chain.hpp>
#include <morsel/io/codec_registry.hpp>
#include <morsel/io/impl/codec_config.hpp>
#include <morsel/io/impl/codecs/bytes.ipp>
#include <morsel/io/impl/raw_source.ipp>
#include <numeric>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// Other software's encoders may need more room than ours: headers, several members, flushes between blocks.
MORSEL_INLINE std::size_t with_slack(std::size_t bytes) { return bytes + bytes / 64 + 1024; }

/// Decoding less than this part of a chunk piecewise beats decoding all of it.
inline constexpr std::size_t most_part = 2;
/// Pieces closer than this are decoded as one: codecs decode whole blocks.
inline constexpr std::size_t part_gap_bytes = 16 * 1024;
/// Regions of more runs are decoded with all of the chunk.
inline constexpr Index most_runs = 4096;
/// Stored chunks that may be longer are read in parts.
inline constexpr std::size_t least_parted_bytes = 128 * 1024;

inline std::vector<std::size_t> identity_order(std::size_t rank) {
  std::vector<std::size_t> order(rank);
  std::iota(order.begin(), order.end(), std::size_t{0});
  return order;
}
/// What stands at order[0], order[1], ...
template <class Sequence>
Sequence permuted(const Sequence& sequence, const std::vector<std::size_t>& order) {
  Sequence out(sequence.size());
  for (std::size_t i = 0; i < sequence.size(); ++i) out[i] = sequence[order[i]];
  return out;
}

/// True if stored bytes, swapped where their order is another one, are elements; integers of fewer than 8
/// bits are mended by the codec.
MORSEL_INLINE bool bytes_are_elements(const DType& dtype) {
  if (!dtype.is_record()) return bits_within_bytes(dtype) == 8;
  for (const Field& field : dtype.fields())
    if (!bytes_are_elements(field.dtype)) return false;
  return true;
}

/// The permutation of a transpose codec: axis i of its result is axis order[i] of its input.
MORSEL_INLINE std::vector<std::size_t> transpose_order(const CodecInfo& info, std::size_t rank,
                                                       const std::string& doing) {
  CodecConfig config(info, doing);
  std::vector<std::size_t> order = identity_order(rank);
  const nlohmann::json* value = config.find("order");
  config.finish();
  if (value && *value == "C") return order;
  if (value && *value == "F") {
    std::reverse(order.begin(), order.end());
    return order;
  }
  std::vector<bool> seen(rank, false);
  bool good = value && value->is_array() && value->size() == rank;
  for (std::size_t i = 0; good && i < rank; ++i) {
    const nlohmann::json& axis = (*value)[i];
    good = axis.is_number_unsigned() && axis.get<std::uint64_t>() < rank && !seen[axis.get<std::size_t>()];
    if (good) seen[order[i] = axis.get<std::size_t>()] = true;
  }
  if (!good)
    config.wrong("order", "a permutation of " + std::to_string(rank) + " axes",
                 value ? *value : nlohmann::json());
  return order;
}

}  // namespace detail

MORSEL_INLINE CodecChain::CodecChain(const std::vector<CodecInfo>& codecs, const DType& dtype,
                                     const Shape& chunk_shape, const std::string& doing,
                                     const std::vector<std::byte>& fill, const std::vector<Mend>& mends)
    : dtype_(dtype),
      chunk_shape_(chunk_shape),
      order_(detail::identity_order(chunk_shape.size())),
      seen_shape_(chunk_shape) {
  DecodedSpec spec = DecodedSpec::array(dtype, chunk_shape);
  spec.fill = fill;
  chunk_bytes_ = spec.bytes;
  mends_ = mends_of(dtype, false);
  bool made_bytes = false;
  CodecMemory library;
  for (const CodecInfo& info : codecs) {
    const bool at_front = codecs_.empty() && !made_bytes;
    if (at_front && info.name == "transpose") {
      const std::vector<std::size_t> order = detail::transpose_order(info, order_.size(), doing);
      order_ = detail::permuted(order_, order);
      seen_shape_ = detail::permuted(chunk_shape, order_);
      spec = DecodedSpec::array(dtype, seen_shape_);
      spec.fill = fill;
      continue;
    }
    const auto definition = find_codec(info.name, doing);
    const bool takes_bytes =
        made_bytes && (definition->kind == CodecKind::bytes_to_bytes || info.name.starts_with("numcodecs."));
    if (definition->kind == CodecKind::array_to_bytes ? made_bytes : made_bytes != takes_bytes)
      fail(Errc::corrupt_data,
           doing + ": codec '" + info.name + "' stands in the wrong place; expected " +
               (made_bytes ? "codecs from bytes to bytes behind the one that makes bytes"
                           : "a codec from arrays to bytes before those from bytes to bytes") +
               ", got it at place " + std::to_string(&info - codecs.data() + 1) + " of " +
               std::to_string(codecs.size()));
    AnyCodec codec = definition->make(info, doing).prepare(spec);
    made_bytes |= definition->kind == CodecKind::array_to_bytes;
    if (at_front && info.name == "bytes" && detail::bytes_are_elements(dtype)) {
      // Elements as they are, but for their byte order.
      const bool big = detail::CodecConfig(info, doing).text("endian", "little") == "big";
      swapped_ = big != (std::endian::native == std::endian::big);
      mends_ = mends_of(dtype, swapped_);
      if (!mends.empty()) {
        mends_ = mends;
        swapped_ = true;
      }
      spec = DecodedSpec::byte_string(spec.bytes);
      continue;
    }
    specs_.push_back(spec);
    codec_scratch_ = std::max(codec_scratch_, codec.scratch_bytes());
    library.decode_bytes += codec.library_memory().decode_bytes;
    library.encode_bytes += codec.library_memory().encode_bytes;
    const std::optional<DecodedSpec> array = codec.encoded_array();
    spec = array ? *array : DecodedSpec::byte_string(codec.max_encoded_bytes(spec.bytes));
    codecs_.push_back(std::move(codec));
  }
  if (!made_bytes)
    fail(Errc::corrupt_data,
         doing + ": no codec makes bytes of the elements; expected one such as 'bytes', got " +
             std::to_string(codecs.size()) + " others");
  for (std::size_t i = 0; i < order_.size(); ++i) transposed_ |= order_[i] != i;
  max_encoded_bytes_ = codecs_.empty() ? chunk_bytes_ : detail::with_slack(spec.bytes);
  for (std::size_t i = 1; i < specs_.size(); ++i)
    between_bytes_ = std::max(between_bytes_, round_up(detail::with_slack(specs_[i].bytes), 64));
  codec_scratch_ = round_up(codec_scratch_, 64);
  const std::size_t between =
      between_bytes_ * std::min<std::size_t>(2, specs_.empty() ? 0 : specs_.size() - 1);
  const std::size_t chunk = round_up(chunk_bytes_, 64);
  decode_scratch_bytes_ =
      codec_scratch_ + library.decode_bytes + between + (transposed_ && !codecs_.empty() ? chunk : 0);
  strided_scratch_bytes_ = transposed_ || codecs_.empty() ? 0 : chunk;
  encode_scratch_bytes_ = codec_scratch_ + library.encode_bytes + between + chunk;
  c_order_encode_scratch_bytes_ =
      codec_scratch_ + library.encode_bytes + between + (transposed_ || swapped_ ? chunk : 0);
}

/// The elements in the order in which the codecs see them.
MORSEL_INLINE BufferView CodecChain::seen(const BufferView& view) const {
  if (!transposed_) return view;
  return {view.data, view.item_bytes, detail::permuted(view.shape, order_),
          detail::permuted(view.strides, order_)};
}

/// The pieces of the decoded chunk that a region lies in, in the order in which the codecs see it: runs with
/// little between them. None: all of the chunk is as cheap.
MORSEL_INLINE std::vector<ChunkPart> CodecChain::parts_of(const Region& seen_region) const {
  if (codecs_.empty() || !codecs_[0].decodes_parts()) return {};
  const detail::Runs runs = detail::runs_of(RawLayout::contiguous(dtype_, seen_shape_, 0, {}), seen_region);
  Index count = 1;
  for (const Index n : runs.counts) count *= n;
  if (count > detail::most_runs) return {};
  std::vector<ChunkPart> parts;
  std::size_t bytes = 0;
  detail::for_each_strip(runs, [&](Index offset, Index n, Index stride) {
    for (Index i = 0; i < n; ++i, offset += stride) {
      const std::size_t begin = static_cast<std::size_t>(offset), end = begin + runs.run_bytes;
      if (parts.empty() || begin > parts.back().end + detail::part_gap_bytes) {
        parts.push_back({begin, end});
        bytes += runs.run_bytes;
      } else {
        bytes += end - parts.back().end;
        parts.back().end = end;
      }
    }
    return bytes <= chunk_bytes_ / detail::most_part;
  });
  if (bytes > chunk_bytes_ / detail::most_part) parts.clear();
  return parts;
}

/// True if parts of the stored bytes can be read; small chunks are read whole in one go.
MORSEL_INLINE bool CodecChain::fetches_parts() const {
  return codecs_.size() == 1 && codecs_[0].fetches_parts() &&
         max_encoded_bytes_ >= detail::least_parted_bytes;
}

MORSEL_INLINE std::vector<std::size_t> CodecChain::part_axes() const {
  return fetches_parts() ? order_ : std::vector<std::size_t>{};
}

MORSEL_INLINE std::size_t CodecChain::most_part_bytes() const {
  const ChunkPart all{0, chunk_bytes_};
  return fetches_parts() ? codecs_[0].max_part_bytes({&all, 1}) : 0;
}

MORSEL_INLINE CodecChain::Cost CodecChain::cost(const Region& region) const {
  Cost cost{false, max_encoded_bytes_, decode_scratch_bytes_, strided_scratch_bytes_};
  if (region == Region::of(chunk_shape_)) return cost;
  const std::vector<ChunkPart> parts =
      parts_of({detail::permuted(region.lo, order_), detail::permuted(region.hi, order_)});
  if (parts.empty()) {
    cost.scratch_bytes += strided_scratch_bytes_;
    cost.strided_bytes = 0;
    return cost;
  }
  // One piece is decoded where it belongs, if that is in the codecs' order.
  const std::size_t room = round_up(parts.back().end - parts.front().begin, 64);
  const bool single = !transposed_ && static_cast<std::size_t>(region.size()) * dtype_.item_bytes() ==
                                          parts.back().end - parts.front().begin;
  cost.scratch_bytes =
      decode_scratch_bytes_ - (transposed_ ? round_up(chunk_bytes_, 64) : 0) + (single ? 0 : room);
  cost.strided_bytes = single ? room : 0;
  if (!fetches_parts()) return cost;
  cost.partial = true;
  cost.encoded_bytes = codecs_[0].max_part_bytes(parts);
  cost.requests = 2 + static_cast<Index>(parts.size());  // the head, the parts, the head again
  return cost;
}

MORSEL_INLINE std::optional<std::size_t> CodecChain::fetch(const Region& region, const RangeReader& read,
                                                           std::span<std::byte> room) const {
  const std::vector<ChunkPart> parts =
      parts_of({detail::permuted(region.lo, order_), detail::permuted(region.hi, order_)});
  return codecs_[0].fetch_parts(parts, read, room);
}

MORSEL_INLINE void CodecChain::decode(std::span<const std::byte> encoded, const Region& region,
                                      const BufferView& out, std::span<std::byte> scratch) const {
  const std::size_t item = dtype_.item_bytes();
  const Region part{detail::permuted(region.lo, order_), detail::permuted(region.hi, order_)};
  const BufferView to = seen(out);
  if (codecs_.empty()) {
    if (encoded.size() != chunk_bytes_)
      fail(Errc::corrupt_data, "codec 'bytes': wrong number of bytes; expected " +
                                   std::to_string(chunk_bytes_) + ", got " + std::to_string(encoded.size()));
    std::byte* stored = const_cast<std::byte*>(encoded.data());  // only read
    copy_elements(BufferView::c_order(stored, seen_shape_, item).part(Region::of(seen_shape_), part), to);
    return mend_elements(mends_, out);
  }
  std::size_t at = codec_scratch_;
  const std::span<std::byte> codec_room = scratch.first(codec_scratch_);
  const auto take = [&](std::size_t bytes) {
    const std::span<std::byte> room = scratch.subspan(at, bytes);
    at += round_up(bytes, 64);
    return room;
  };
  std::span<std::byte> between[2];
  for (std::size_t i = 0; i < 2 && i + 1 < codecs_.size(); ++i) between[i] = take(between_bytes_);
  // All but the codec next to the elements.
  for (std::size_t i = codecs_.size(); i-- > 1;) {
    const DecodedSpec& spec = specs_[i];
    std::span<std::byte> room =
        between[codecs_.size() > 2 ? i % 2 : 0].first(spec.is_array ? spec.bytes : between_bytes_);
    const std::size_t n = codecs_[i].decode(encoded, room, codec_room);
    if (spec.is_array && n != spec.bytes)
      fail(Errc::corrupt_data, "codec '" + std::string(codecs_[i].name()) +
                                   "': decodes to too few bytes; expected " + std::to_string(spec.bytes) +
                                   ", got " + std::to_string(n));
    encoded = room.first(n);
  }
  const AnyCodec& first = codecs_[0];
  const auto decode_all = [&](std::span<std::byte> room) {
    const std::size_t n = first.decode(encoded, room, codec_room);
    if (n != chunk_bytes_)
      fail(Errc::corrupt_data, "codec '" + std::string(first.name()) +
                                   "': decodes to too few bytes; expected " + std::to_string(chunk_bytes_) +
                                   ", got " + std::to_string(n));
  };
  if (to.is_c_order() && part == Region::of(seen_shape_)) {
    decode_all({to.data, chunk_bytes_});
    return mend_elements(mends_, out);
  }
  const std::vector<ChunkPart> parts = parts_of(part);
  if (parts.empty()) {
    const std::span<std::byte> room = take(chunk_bytes_);
    decode_all(room);
    copy_elements(BufferView::c_order(room.data(), seen_shape_, item).part(Region::of(seen_shape_), part),
                  to);
    return mend_elements(mends_, out);
  }
  const std::size_t begin = parts.front().begin, bytes = parts.back().end - begin;
  if (to.is_c_order() && bytes == to.size_bytes()) {
    first.decode_part(encoded, begin, {to.data, bytes}, codec_room);
    return mend_elements(mends_, out);
  }
  // Into their places in a room that holds what lies between them, too.
  const std::span<std::byte> room = take(bytes);
  for (const ChunkPart& piece : parts)
    first.decode_part(encoded, piece.begin, room.subspan(piece.begin - begin, piece.end - piece.begin),
                      codec_room);
  BufferView from = BufferView::c_order(room.data(), seen_shape_, item);
  from.shape = part.shape();  // the first element of the region is the first of the room
  copy_elements(from, to);
  mend_elements(mends_, out);
}

MORSEL_INLINE void CodecChain::decode_plain(std::span<const std::byte> encoded, const BufferView& out) const {
  if (encoded.size() != out.size_bytes())
    fail(Errc::corrupt_data, "codec 'bytes': wrong number of bytes; expected " +
                                 std::to_string(out.size_bytes()) + ", got " +
                                 std::to_string(encoded.size()));
  if (encoded.data() != out.data) {
    std::byte* stored = const_cast<std::byte*>(encoded.data());  // only read
    copy_elements(BufferView::c_order(stored, out.shape, out.item_bytes), out);
  }
  mend_elements(mends_, out);
}

MORSEL_INLINE std::size_t CodecChain::encode(const BufferView& values, std::span<std::byte> out,
                                             std::span<std::byte> scratch) const {
  const BufferView elements = seen(values);
  const std::size_t item = dtype_.item_bytes();
  if (codecs_.empty()) {
    const BufferView to = BufferView::c_order(out.data(), elements.shape, item);
    copy_elements(elements, to);
    if (swapped_) mend_elements(mends_, to);
    return chunk_bytes_;
  }
  std::size_t at = codec_scratch_;
  const auto take = [&](std::size_t bytes) {
    const std::span<std::byte> room = scratch.subspan(at, bytes);
    at += round_up(bytes, 64);
    return room;
  };
  std::span<std::byte> between[2];
  for (std::size_t i = 0; i < 2 && i + 1 < codecs_.size(); ++i) between[i] = take(between_bytes_);
  std::span<const std::byte> now{elements.data, chunk_bytes_};
  if (swapped_ || !elements.is_c_order()) {
    const std::span<std::byte> room = take(chunk_bytes_);
    const BufferView to = BufferView::c_order(room.data(), elements.shape, item);
    copy_elements(elements, to);
    if (swapped_) mend_elements(mends_, to);
    now = room;
  }
  for (std::size_t i = 0; i < codecs_.size(); ++i) {
    const std::span<std::byte> room = i + 1 == codecs_.size() ? out : between[i % 2];
    now = {room.data(), codecs_[i].encode(now, room, scratch.first(codec_scratch_))};
  }
  return now.size();
}

}  // namespace morsel::inline MORSEL_ABI
