// Bytes to bytes and back: the concept every storage codec models, and its handle.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <morsel/array/dtype.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// What a codec is prepared for: the decoded chunk.
struct DecodedSpec {
  DType dtype;
  Shape shape;
  std::size_t bytes = 0;
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

 private:
  struct Interface {
    virtual ~Interface() = default;
    virtual std::string_view name() const = 0;
    virtual AnyCodec prepare(const DecodedSpec&) const = 0;
    virtual std::size_t max_encoded_bytes(std::size_t) const = 0;
    virtual std::size_t scratch_bytes() const = 0;
    virtual std::size_t decode(std::span<const std::byte>, std::span<std::byte>,
                               std::span<std::byte>) const = 0;
    virtual std::size_t encode(std::span<const std::byte>, std::span<std::byte>,
                               std::span<std::byte>) const = 0;
  };
  template <class C>
  struct Model final : Interface {
    explicit Model(C codec) : codec_(std::move(codec)) {}
    std::string_view name() const override { return codec_.name(); }
    AnyCodec prepare(const DecodedSpec& s) const override { return AnyCodec(codec_.prepare(s)); }
    std::size_t max_encoded_bytes(std::size_t n) const override { return codec_.max_encoded_bytes(n); }
    std::size_t scratch_bytes() const override { return codec_.scratch_bytes(); }
    std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out,
                       std::span<std::byte> scratch) const override {
      return codec_.decode(in, out, scratch);
    }
    std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out,
                       std::span<std::byte> scratch) const override {
      return codec_.encode(in, out, scratch);
    }
    C codec_;
  };
  std::shared_ptr<const Interface> self_;
};
static_assert(Codec<AnyCodec>);

/// Names of the codecs that this build was made with: "deflate".
std::vector<std::string> codec_names();

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/codec.ipp>
#endif
