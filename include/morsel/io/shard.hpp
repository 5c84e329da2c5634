// Shards of Zarr v3: many inner chunks in one stored value, and an index that says where each lies.
#pragma once

#include <cstdint>
#include <morsel/io/codec_chain.hpp>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// The configuration of a sharding_indexed codec for shards of one shape. **Source**: Zarr v3, sharding codec
/// 1.0.
class ShardFormat {
 public:
  struct Entry {
    std::uint64_t offset_bytes = absent, bytes = absent;  ///< from the beginning of the shard
    static constexpr std::uint64_t absent = ~std::uint64_t{0};
    bool is_absent() const { return offset_bytes == absent && bytes == absent; }
  };

  /// **Fails**: corrupt_data for configurations that make no sense, or inner chunks that do not divide
  /// `shard_shape`; unsupported for an index whose size varies.
  ShardFormat(const CodecInfo& info, const Shape& shard_shape, const std::string& doing);

  const Shape& shard_shape() const { return shard_shape_; }
  const Shape& inner_shape() const { return inner_shape_; }
  /// Inner chunks along each axis.
  const Shape& counts() const { return counts_; }
  std::size_t inner_count() const { return static_cast<std::size_t>(size_of(counts_)); }
  const std::vector<CodecInfo>& inner_codecs() const { return inner_codecs_; }
  std::size_t index_bytes() const { return index_bytes_; }
  bool index_at_start() const { return index_at_start_; }

  /// The elements of the inner chunk at a position of the index, within the shard.
  Region box(const Dims& position) const;

  /// Entries in C order. **Fails**: corrupt_data (checksum, size).
  std::vector<Entry> decode_index(std::span<const std::byte> stored) const;
  /// Writes index_bytes().
  void encode_index(std::span<const Entry> entries, std::span<std::byte> out) const;

  /// Room for a shard whose inner chunks go through `inner`, and memory that `encode` works in.
  std::size_t max_encoded_bytes(const CodecChain& inner) const {
    return inner_count() * inner.max_encoded_bytes() + index_bytes();
  }
  std::size_t encode_scratch_bytes(const CodecChain& inner) const {
    return round_up(inner.chunk_bytes(), 64) + inner.c_order_encode_scratch_bytes();
  }
  /// The stored bytes of a whole shard, one inner chunk behind another in C order; how many there are. Inner
  /// chunks that hold nothing but the element `omitted` are left out; empty: none are.
  std::size_t encode(const CodecChain& inner, const BufferView& shard, const std::vector<std::byte>& omitted,
                     std::span<std::byte> out, std::span<std::byte> scratch) const;

 private:
  Shape shard_shape_, inner_shape_, counts_;
  std::vector<CodecInfo> inner_codecs_;
  CodecChain index_chain_;
  std::size_t index_bytes_ = 0;
  bool index_at_start_ = false;
};

namespace detail {

/// True if every element of a C-order array equals `element` bit for bit.
bool holds_only(const BufferView& values, const std::vector<std::byte>& element);

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/shard.ipp>
#endif
