// The codecs of an array as one: from the stored bytes of a chunk to its elements and back.
#pragma once

#include <morsel/array/buffer.hpp>
#include <morsel/io/codec.hpp>
#include <morsel/io/codec_info.hpp>
#include <morsel/io/raw_source.hpp>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// A chain of codecs, prepared for chunks of one dtype and shape. Const, callable from many threads at once;
/// all memory that it needs is the caller's.
///
///   elements = [transposes: a view] = array_to_array ... = array_to_bytes = bytes_to_bytes ... = stored
///   bytes
///
/// Leading transposes and a plain `bytes` behind them cost nothing: the next codec decodes straight into the
/// caller's memory where that is contiguous.
class CodecChain {
 public:
  CodecChain() = default;
  /// `codecs` from the array side to the stored side. **Fails**: unsupported for codecs that nobody has
  /// registered; corrupt_data for chains that make no sense, naming the codec; overflow. `fill`: the element
  /// of parts that codecs leave out. `mends`: of elements whose parts differ in byte order, in place of what
  /// `bytes` says.
  CodecChain(const std::vector<CodecInfo>& codecs, const DType& dtype, const Shape& chunk_shape,
             const std::string& doing, const std::vector<std::byte>& fill = {},
             const std::vector<Mend>& mends = {});

  const DType& dtype() const { return dtype_; }
  const Shape& chunk_shape() const { return chunk_shape_; }
  /// Of the elements of a chunk.
  std::size_t chunk_bytes() const { return chunk_bytes_; }
  /// Room for the stored bytes of any chunk that the codecs' own encoders make, and some more for those of
  /// other software.
  std::size_t max_encoded_bytes() const { return max_encoded_bytes_; }
  /// Memory that decoding a whole chunk into C-order memory may use, that of the codecs' libraries included.
  std::size_t decode_scratch_bytes() const { return decode_scratch_bytes_; }
  /// What any other region or memory takes on top, at most.
  std::size_t strided_scratch_bytes() const { return strided_scratch_bytes_; }
  /// Memory that encoding a chunk may use, likewise.
  std::size_t encode_scratch_bytes() const { return encode_scratch_bytes_; }
  /// ... one that lies in C order.
  std::size_t c_order_encode_scratch_bytes() const { return c_order_encode_scratch_bytes_; }

  /// True if chunks are stored as their elements in C order.
  bool is_plain() const { return codecs_.empty() && !transposed_; }

  /// What reading and decoding a region (positions within the chunk) takes.
  struct Cost {
    bool partial = false;           ///< less than the chunk is read: fetch does it
    std::size_t encoded_bytes = 0;  ///< room for what is read
    std::size_t scratch_bytes = 0;  ///< that decode may use, into C-order memory
    std::size_t strided_bytes = 0;  ///< more, into other memory
    Index requests = 1;             ///< reads, where the stored parts lie in order
  };
  Cost cost(const Region& region) const;
  /// Room for parts of any region; 0: chunks are read whole.
  std::size_t most_part_bytes() const;
  /// Axes of the chunk from the slowest in storage on, if `fetch` reads parts of it; otherwise none.
  std::vector<std::size_t> part_axes() const;
  /// Reads what decode will need for a region. Nothing: there is no such chunk. **Requires**:
  /// cost(region).partial.
  std::optional<std::size_t> fetch(const Region& region, const RangeReader& read,
                                   std::span<std::byte> room) const;

  /// Elements of `region` (positions within the chunk) into `out`, any strides, native byte order. A codec
  /// that can leaves out what lies far from the region; `encoded` is the chunk, or what fetch read for this
  /// region. **Fails**: corrupt_data.
  void decode(std::span<const std::byte> encoded, const Region& region, const BufferView& out,
              std::span<std::byte> scratch) const;
  /// Elements of chunks that are stored plainly, in C order, into `out`; they may already stand there.
  /// **Fails**: corrupt_data for another number of bytes.
  void decode_plain(std::span<const std::byte> encoded, const BufferView& out) const;
  /// The stored bytes of a whole chunk; how many there are.
  std::size_t encode(const BufferView& values, std::span<std::byte> out, std::span<std::byte> scratch) const;

 private:
  BufferView seen(const BufferView& view) const;
  std::vector<ChunkPart> parts_of(const Region& seen_region) const;
  bool fetches_parts() const;

  DType dtype_;
  Shape chunk_shape_;
  std::vector<std::size_t> order_;  // axis i that the codecs see is axis order_[i] of the chunk
  Shape seen_shape_;                // the chunk's extents in that order
  bool transposed_ = false;
  std::vector<Mend> mends_;  // of elements as the first codec of codecs_ leaves them
  bool swapped_ = false;     // stored in the other byte order
  std::vector<AnyCodec> codecs_;
  std::vector<DecodedSpec> specs_;  // on the decoded side of each codec
  std::size_t codec_scratch_ = 0, between_bytes_ = 0;
  std::size_t chunk_bytes_ = 0, max_encoded_bytes_ = 0;
  std::size_t decode_scratch_bytes_ = 0, strided_scratch_bytes_ = 0;
  std::size_t encode_scratch_bytes_ = 0, c_order_encode_scratch_bytes_ = 0;
};

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/codec_chain.ipp>
#endif
