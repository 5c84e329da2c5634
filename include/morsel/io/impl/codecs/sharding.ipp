#pragma once

#include <morsel/io/codec_registry.hpp>
#include <morsel/io/shard.hpp>

namespace morsel::inline MORSEL_ABI::detail {

/// Shards as a codec, where they cannot be read in parts: behind codecs that change elements, or in front of
/// ones that pack the whole shard. **Source**: Zarr v3, sharding codec 1.0.
class ShardingCodec {
 public:
  ShardingCodec(CodecInfo info, std::string doing) : info_(std::move(info)), doing_(std::move(doing)) {}

  std::string_view name() const { return "sharding_indexed"; }
  ShardingCodec prepare(const DecodedSpec& spec) const {
    if (!spec.is_array)
      fail(Errc::corrupt_data, doing_ + ": codec 'sharding_indexed': expected an array to divide, got bytes");
    ShardingCodec codec = *this;
    codec.format_ = std::make_shared<const ShardFormat>(info_, spec.shape, doing_);
    codec.inner_ = std::make_shared<const CodecChain>(codec.format_->inner_codecs(), spec.dtype,
                                                      codec.format_->inner_shape(), doing_, spec.fill);
    codec.spec_ = spec;
    return codec;
  }
  std::size_t max_encoded_bytes(std::size_t decoded_bytes) const {
    if (!format_) return decoded_bytes;
    return format_->max_encoded_bytes(*inner_);
  }
  std::size_t scratch_bytes() const {
    if (!inner_) return 0;
    return std::max(inner_->decode_scratch_bytes() + inner_->strided_scratch_bytes(),
                    format_->encode_scratch_bytes(*inner_));
  }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out,
                     std::span<std::byte> scratch) const {
    const std::size_t index = format_->index_bytes();
    if (in.size() < index || out.size() < spec_.bytes)
      fail(Errc::corrupt_data, "codec 'sharding_indexed': too few bytes; expected at least " +
                                   std::to_string(index) + " for the index, got " +
                                   std::to_string(in.size()));
    const std::vector<ShardFormat::Entry> entries =
        format_->decode_index(format_->index_at_start() ? in.first(index) : in.last(index));
    const BufferView whole = BufferView::c_order(out.data(), spec_.shape, spec_.dtype.item_bytes());
    const Region inner = Region::of(format_->inner_shape());
    std::size_t number = 0;
    for_each_position(Region::of(format_->counts()), [&](const Dims& at) {
      const ShardFormat::Entry entry = entries[number++];
      const BufferView part = whole.part(Region::of(spec_.shape), format_->box(at));
      if (entry.is_absent()) {
        if (spec_.fill.empty())
          fail(Errc::unsupported,
               "codec 'sharding_indexed': an inner chunk is absent, and codecs before the shard change the "
               "fill "
               "value; expected all inner chunks to be there");
        return fill_elements(part, spec_.fill.data());
      }
      if (entry.bytes > in.size() || entry.offset_bytes > in.size() - entry.bytes)
        fail(Errc::corrupt_data,
             "codec 'sharding_indexed': the index points outside of the shard; expected at most " +
                 std::to_string(in.size()) + ", got offset " + std::to_string(entry.offset_bytes) +
                 " and length " + std::to_string(entry.bytes));
      inner_->decode(in.subspan(entry.offset_bytes, entry.bytes), inner, part, scratch);
    });
    return spec_.bytes;
  }
  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out,
                     std::span<std::byte> scratch) const {
    auto* elements = const_cast<std::byte*>(in.data());  // only read
    const BufferView whole = BufferView::c_order(elements, spec_.shape, spec_.dtype.item_bytes());
    return format_->encode(*inner_, whole, spec_.fill, out, scratch);
  }

 private:
  CodecInfo info_;
  std::string doing_;
  DecodedSpec spec_;
  std::shared_ptr<const ShardFormat> format_;
  std::shared_ptr<const CodecChain> inner_;
};

MORSEL_INLINE std::vector<CodecDefinition> sharding_codecs() {
  return {
      {{"sharding_indexed"}, CodecKind::array_to_bytes, [](const CodecInfo& info, const std::string& doing) {
         return AnyCodec(ShardingCodec(info, doing));
       }}};
}

}  // namespace morsel::inline MORSEL_ABI::detail
