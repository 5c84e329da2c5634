#pragma once

#include <bit>
#include <cstring>
#include <morsel/io/impl/codec_config.hpp>
#include <morsel/io/impl/zarr_codec_list.ipp>
#include <morsel/io/shard.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

MORSEL_INLINE std::vector<CodecInfo> codec_infos_of(CodecConfig& config, const char* name) {
  const nlohmann::json* value = config.find(name);
  if (!value || !value->is_array() || value->empty())
    config.wrong(name, "a list of codecs", value ? *value : nlohmann::json());
  return parse_zarr_codecs(value->dump(), config.doing());
}

MORSEL_INLINE bool holds_only(const BufferView& values, const std::vector<std::byte>& element) {
  const std::size_t item = values.item_bytes, bytes = values.size_bytes();
  if (bytes == 0) return true;
  if (std::memcmp(values.data, element.data(), item) != 0) return false;
  // Every element equals the one before it.
  return std::memcmp(values.data, values.data + item, bytes - item) == 0;
}

}  // namespace detail

MORSEL_INLINE ShardFormat::ShardFormat(const CodecInfo& info, const Shape& shard_shape,
                                       const std::string& doing)
    : shard_shape_(shard_shape) {
  detail::CodecConfig config(info, doing);
  const nlohmann::json* shape = config.find("chunk_shape");
  bool good = shape && shape->is_array() && shape->size() == shard_shape.size();
  for (std::size_t i = 0; good && i < shape->size(); ++i) {
    const nlohmann::json& length = (*shape)[i];
    good = length.is_number_unsigned() && length.get<std::uint64_t>() > 0 &&
           length.get<std::uint64_t>() <= static_cast<std::uint64_t>(shard_shape[i]) &&
           shard_shape[i] % length.get<Index>() == 0;
    if (good) inner_shape_.push_back(length.get<Index>());
  }
  if (!good)
    config.wrong("chunk_shape", "lengths that divide the shard's " + to_string(shard_shape),
                 shape ? *shape : nlohmann::json());
  inner_codecs_ = detail::codec_infos_of(config, "codecs");
  const std::vector<CodecInfo> index_codecs = detail::codec_infos_of(config, "index_codecs");
  const std::string location = config.text("index_location", "end");
  if (location != "end" && location != "start")
    config.wrong("index_location", "\"start\" or \"end\"", location);
  index_at_start_ = location == "start";
  config.finish();

  for (std::size_t i = 0; i < inner_shape_.size(); ++i) counts_.push_back(shard_shape[i] / inner_shape_[i]);
  Shape index_shape = counts_;
  index_shape.push_back(2);
  index_chain_ = CodecChain(index_codecs, Type::uint64, index_shape, config.doing() + ", index");
  index_bytes_ = index_chain_.chunk_bytes();
  for (const CodecInfo& codec : index_codecs) {
    if (codec.name == "bytes" || codec.name == "transpose") continue;
    if (find_codec(codec.name, doing)->kind != CodecKind::bytes_to_bytes ||
        codec.name.find("crc32") == std::string::npos)
      fail(Errc::unsupported, config.doing() +
                                  ": the index has no fixed size; expected 'bytes' and 'crc32c' as " +
                                  "index codecs, got '" + codec.name + "'");
    index_bytes_ += 4;
  }
}

MORSEL_INLINE std::vector<ShardFormat::Entry> ShardFormat::decode_index(
    std::span<const std::byte> stored) const {
  static_assert(sizeof(Entry) == 16);
  std::vector<Entry> entries(inner_count());
  std::vector<std::byte> scratch(index_chain_.decode_scratch_bytes());
  Shape shape = counts_;
  shape.push_back(2);
  index_chain_.decode(stored, Region::of(shape), BufferView::c_order(entries.data(), shape, 8), scratch);
  return entries;
}

MORSEL_INLINE void ShardFormat::encode_index(std::span<const Entry> entries, std::span<std::byte> out) const {
  std::vector<std::byte> scratch(index_chain_.encode_scratch_bytes()), room(index_chain_.max_encoded_bytes());
  Shape shape = counts_;
  shape.push_back(2);
  auto* values = const_cast<Entry*>(entries.data());  // only read
  const std::size_t n = index_chain_.encode(BufferView::c_order(values, shape, 8), room, scratch);
  if (n != index_bytes_ || out.size() != index_bytes_)
    fail(Errc::internal_error, "encoding a shard's index: wrong size; expected " +
                                   std::to_string(index_bytes_) + ", got " + std::to_string(n));
  std::copy(room.begin(), room.begin() + static_cast<std::ptrdiff_t>(n), out.begin());
}

MORSEL_INLINE Region ShardFormat::box(const Dims& position) const {
  Region box{position, position};
  for (std::size_t i = 0; i < position.size(); ++i) {
    box.lo[i] *= inner_shape_[i];
    box.hi[i] = box.lo[i] + inner_shape_[i];
  }
  return box;
}

MORSEL_INLINE std::size_t ShardFormat::encode(const CodecChain& inner, const BufferView& shard,
                                              const std::vector<std::byte>& omitted, std::span<std::byte> out,
                                              std::span<std::byte> scratch) const {
  std::vector<Entry> entries(inner_count());
  const std::size_t room_bytes = round_up(inner.chunk_bytes(), 64);
  const BufferView chunk = BufferView::c_order(scratch.data(), inner_shape_, shard.item_bytes);
  std::size_t end = index_at_start_ ? index_bytes_ : 0, number = 0;
  for_each_position(Region::of(counts_), [&](const Dims& position) {
    Entry& entry = entries[number++];
    copy_elements(shard.part(Region::of(shard_shape_), box(position)), chunk);
    if (!omitted.empty() && detail::holds_only(chunk, omitted)) return;
    const std::size_t bytes =
        inner.encode(chunk, out.subspan(end, inner.max_encoded_bytes()), scratch.subspan(room_bytes));
    entry = {end, bytes};
    end += bytes;
  });
  encode_index(entries, out.subspan(index_at_start_ ? 0 : end, index_bytes_));
  return index_at_start_ ? end : end + index_bytes_;
}

}  // namespace morsel::inline MORSEL_ABI

// Needs what is above.
#include <morsel/io/impl/codecs/sharding.ipp>
