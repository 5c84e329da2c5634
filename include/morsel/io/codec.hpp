// Bytes to bytes and back: the concept every storage codec models, and its handle.
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <morsel/array/dtype.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// What stands on the decoded side of a codec: an array, or bytes that another codec made.
struct DecodedSpec {
  DType dtype;            ///< elements in native byte order, C order; uint8 for bytes
  Shape shape;            ///< one axis for bytes
  std::size_t bytes = 0;  ///< of an array; for bytes the most there can be
  bool is_array = true;
  std::vector<std::byte> fill = {};  ///< the element of parts that are not stored; empty: not known

  static DecodedSpec array(const DType& dtype, const Shape& shape);
  static DecodedSpec byte_string(std::size_t most_bytes);
};

/// A codec prepared for the chunks of one array: `codec.prepare(spec)` made it, checking once what holds for
/// all chunks. Const and callable from many threads at once.
///
/// Laws: decode(encode(x)) == x (or its documented rounding). Both write into memory they are given and say
/// how much they wrote; `decode` never reads past `in` nor writes past `out`, also on corrupt input, and
/// never trusts a length found in the data. **Fails**: corrupt_data naming codec, expected and got.
template <class C>
concept Codec = std::move_constructible<C> &&
    requires(const C& c, const DecodedSpec& spec, std::span<const std::byte> in, std::span<std::byte> out,
             std::span<std::byte> scratch, std::size_t n) {
  { c.name() } -> std::convertible_to<std::string_view>;
  // A name that is a temporary would dangle in AnyCodec::name().
  requires !std::same_as<decltype(c.name()), std::string>;
  { c.prepare(spec) } -> std::same_as<C>;
  { c.max_encoded_bytes(n) } -> std::same_as<std::size_t>;
  { c.scratch_bytes() } -> std::same_as<std::size_t>;
  { c.decode(in, out, scratch) } -> std::same_as<std::size_t>;
  { c.encode(in, out, scratch) } -> std::same_as<std::size_t>;
};

/// Optional ability of a prepared codec: the array that `encode` makes, which the next codec of a chain is
/// prepared for. Without it a codec makes bytes.
template <class C>
concept EncodesArrays = Codec<C> && requires(const C& c) {
  { c.encoded_array() } -> std::same_as<DecodedSpec>;
};

/// What the library behind a codec takes for itself while it works on a chunk, and keeps for the next one.
struct CodecMemory {
  std::size_t decode_bytes = 0, encode_bytes = 0;
};

/// Optional ability of a prepared codec: that memory. It is booked like scratch, but not handed over.
template <class C>
concept TakesMemory = Codec<C> && requires(const C& c) {
  { c.library_memory() } -> std::same_as<CodecMemory>;
};

/// Optional ability: the decoded bytes [offset_bytes, offset_bytes + out.size()) alone, for less than
/// decoding all.
template <class C>
concept DecodesParts = Codec<C> &&
    requires(const C& c, std::span<const std::byte> in, std::size_t offset_bytes, std::span<std::byte> out,
             std::span<std::byte> scratch) {
  { c.decode_part(in, offset_bytes, out, scratch) } -> std::same_as<void>;
};

/// Bytes [begin, end) of a decoded chunk.
struct ChunkPart {
  std::size_t begin = 0, end = 0;
};

/// Bytes of a stored chunk from `offset_bytes` on: as many as there is room for, or as there are.
struct StoredRange {
  std::size_t offset_bytes = 0;
  std::span<std::byte> room;
  std::size_t filled_bytes = 0;
};
/// Reads ranges of one stored chunk, all at once; false if there is no such chunk.
using RangeReader = std::function<bool(std::span<StoredRange>)>;

/// Optional ability, on top of DecodesParts: reads from storage no more than some parts take. `fetch_parts`
/// leaves in `room` what decode_part will need as its `in` for these parts, and says how much that is;
/// nothing: the chunk does not exist. `parts`: sorted, apart, not empty.
template <class C>
concept FetchesParts = DecodesParts<C> && requires(const C& c, std::span<const ChunkPart> parts,
                                                   const RangeReader& read, std::span<std::byte> room) {
  { c.max_part_bytes(parts) } -> std::same_as<std::size_t>;
  { c.fetch_parts(parts, read, room) } -> std::same_as<std::optional<std::size_t>>;
};

/// A shared, immutable handle on any codec; models Codec itself.
class AnyCodec {
 public:
  AnyCodec() = default;
  template <class C>
  requires(!std::same_as<std::remove_cvref_t<C>, AnyCodec> && Codec<std::remove_cvref_t<C>>)
      AnyCodec(C&& codec)  // NOLINT(google-explicit-constructor)
      : self_(std::make_shared<const Model<std::remove_cvref_t<C>>>(std::forward<C>(codec))) {}

  explicit operator bool() const { return self_ != nullptr; }
  std::string_view name() const { return self_->name(); }
  AnyCodec prepare(const DecodedSpec& spec) const { return self_->prepare(spec); }
  std::size_t max_encoded_bytes(std::size_t decoded_bytes) const {
    return self_->max_encoded_bytes(decoded_bytes);
  }
  std::size_t scratch_bytes() const { return self_->scratch_bytes(); }
  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out,
                     std::span<std::byte> scratch) const {
    return self_->decode(in, out, scratch);
  }
  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out,
                     std::span<std::byte> scratch) const {
    return self_->encode(in, out, scratch);
  }
  /// Nothing unless the codec says so.
  CodecMemory library_memory() const { return self_->library_memory(); }
  /// Nothing: `encode` makes bytes.
  std::optional<DecodedSpec> encoded_array() const { return self_->encoded_array(); }
  bool decodes_parts() const { return self_->decodes_parts(); }
  /// **Requires**: decodes_parts().
  void decode_part(std::span<const std::byte> in, std::size_t offset_bytes, std::span<std::byte> out,
                   std::span<std::byte> scratch) const {
    self_->decode_part(in, offset_bytes, out, scratch);
  }
  bool fetches_parts() const { return self_->fetches_parts(); }
  /// Room that fetch_parts may fill. **Requires**: fetches_parts().
  std::size_t max_part_bytes(std::span<const ChunkPart> parts) const { return self_->max_part_bytes(parts); }
  std::optional<std::size_t> fetch_parts(std::span<const ChunkPart> parts, const RangeReader& read,
                                         std::span<std::byte> room) const {
    return self_->fetch_parts(parts, read, room);
  }

 private:
  struct Interface {
    virtual ~Interface() = default;
    virtual std::string_view name() const = 0;
    virtual AnyCodec prepare(const DecodedSpec&) const = 0;
    virtual std::size_t max_encoded_bytes(std::size_t) const = 0;
    virtual std::size_t scratch_bytes() const = 0;
    virtual CodecMemory library_memory() const = 0;
    virtual std::size_t decode(std::span<const std::byte>, std::span<std::byte>,
                               std::span<std::byte>) const = 0;
    virtual std::size_t encode(std::span<const std::byte>, std::span<std::byte>,
                               std::span<std::byte>) const = 0;
    virtual std::optional<DecodedSpec> encoded_array() const = 0;
    virtual bool decodes_parts() const = 0;
    virtual void decode_part(std::span<const std::byte>, std::size_t, std::span<std::byte>,
                             std::span<std::byte>) const = 0;
    virtual bool fetches_parts() const = 0;
    virtual std::size_t max_part_bytes(std::span<const ChunkPart>) const = 0;
    virtual std::optional<std::size_t> fetch_parts(std::span<const ChunkPart>, const RangeReader&,
                                                   std::span<std::byte>) const = 0;
  };
  template <class C>
  struct Model final : Interface {
    explicit Model(C codec) : codec_(std::move(codec)) {}
    std::string_view name() const override { return codec_.name(); }
    AnyCodec prepare(const DecodedSpec& s) const override { return AnyCodec(codec_.prepare(s)); }
    std::size_t max_encoded_bytes(std::size_t n) const override { return codec_.max_encoded_bytes(n); }
    std::size_t scratch_bytes() const override { return codec_.scratch_bytes(); }
    CodecMemory library_memory() const override {
      if constexpr (TakesMemory<C>) return codec_.library_memory();
      return {};
    }
    std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out,
                       std::span<std::byte> scratch) const override {
      return codec_.decode(in, out, scratch);
    }
    std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out,
                       std::span<std::byte> scratch) const override {
      return codec_.encode(in, out, scratch);
    }
    std::optional<DecodedSpec> encoded_array() const override {
      if constexpr (EncodesArrays<C>) return codec_.encoded_array();
      return std::nullopt;
    }
    bool decodes_parts() const override { return DecodesParts<C>; }
    void decode_part(std::span<const std::byte> in, std::size_t offset_bytes, std::span<std::byte> out,
                     std::span<std::byte> scratch) const override {
      if constexpr (DecodesParts<C>) return codec_.decode_part(in, offset_bytes, out, scratch);
      fail(Errc::internal_error,
           "decoding a part: the codec '" + std::string(codec_.name()) + "' decodes whole chunks only");
    }
    bool fetches_parts() const override { return FetchesParts<C>; }
    std::size_t max_part_bytes(std::span<const ChunkPart> parts) const override {
      if constexpr (FetchesParts<C>) return codec_.max_part_bytes(parts);
      return 0;
    }
    std::optional<std::size_t> fetch_parts(std::span<const ChunkPart> parts, const RangeReader& read,
                                           std::span<std::byte> room) const override {
      if constexpr (FetchesParts<C>) return codec_.fetch_parts(parts, read, room);
      fail(Errc::internal_error,
           "reading a part: the codec '" + std::string(codec_.name()) + "' reads whole chunks only");
    }
    C codec_;
  };
  std::shared_ptr<const Interface> self_;
};
static_assert(Codec<AnyCodec>);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/codec.ipp>
#endif
