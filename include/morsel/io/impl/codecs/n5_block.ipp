#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <morsel/array/buffer.hpp>
#include <morsel/io/codec.hpp>
#include <morsel/io/impl/codec_config.hpp>
#include <morsel/io/impl/zarr_codec_list.ipp>

namespace morsel::inline MORSEL_ABI::detail {

/// Blocks of N5: a header with the block's own extents, fastest axis first, then big-endian elements through
/// at most one codec that turns bytes into bytes. A block may be smaller than the chunk (at the array's
/// edge): it is the chunk's low corner, the rest becomes zero.
///
/// As "n5.block" the array's axes are those of N5 reversed, so that elements lie in C order. As "n5_default"
/// of Zarr v3 they are N5's own. **Source**: the N5 specification, 4.0.0, block format; the codec
/// `n5_default` of the Zarr v3 registry.
class N5BlockCodec {
 public:
  enum class Axes : std::uint8_t { reversed, own };
  /// `rank`: the axes that the array must have, 0 for any number.
  N5BlockCodec(Axes axes, AnyCodec inner, std::size_t rank = 0)
      : axes_(axes), inner_(std::move(inner)), wanted_rank_(rank) {}

  std::string_view name() const { return axes_ == Axes::reversed ? "n5.block" : "n5_default"; }

  N5BlockCodec prepare(const DecodedSpec& spec) const {
    N5BlockCodec codec = *this;
    if (!spec.is_array || spec.shape.empty() || spec.dtype.item_bytes() == 0)
      fail(Errc::corrupt_data,
           "codec '" + std::string(name()) + "': expected an array of at least one axis before it");
    if (wanted_rank_ != 0 && spec.shape.size() != wanted_rank_)
      fail(Errc::corrupt_data, "codec '" + std::string(name()) + "': bad transpose; expected " +
                                   std::to_string(spec.shape.size()) + " axes, got " +
                                   std::to_string(wanted_rank_));
    codec.spec_ = spec;
    for (const Index extent : spec.shape)
      if (extent > std::numeric_limits<std::uint32_t>::max())
        fail(Errc::unsupported, "codec '" + std::string(name()) +
                                    "': chunk too long; expected extents below 2^32, got " +
                                    to_string(spec.shape));
    if (inner_) codec.inner_ = inner_.prepare(DecodedSpec::byte_string(spec.bytes));
    return codec;
  }

  std::size_t max_encoded_bytes(std::size_t decoded_bytes) const {
    const std::size_t payload = inner_ ? inner_.max_encoded_bytes(decoded_bytes) : decoded_bytes;
    // The number of elements that blocks of another mode have, too.
    const std::size_t header = header_bytes() + 4;
    return payload > std::numeric_limits<std::size_t>::max() - header ? payload : payload + header;
  }
  std::size_t scratch_bytes() const { return spec_.bytes + (inner_ ? inner_.scratch_bytes() : 0); }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out,
                     std::span<std::byte> scratch) const {
    if (out.size() < spec_.bytes) wrong("too little room", spec_.bytes, out.size());
    const Header header = read_header(in);
    const std::span<const std::byte> payload = in.subspan(header.bytes);
    if (header.is_whole && is_c_order()) {
      decode_payload(payload, out.first(spec_.bytes), scratch);
      return spec_.bytes;
    }
    const std::span<std::byte> block = scratch.first(header.block_bytes);
    decode_payload(payload, block, scratch.subspan(block.size()));
    std::memset(out.data(), 0, spec_.bytes);
    copy_elements(block_view(block.data(), header.extents), chunk_corner(out.data(), header.extents));
    return spec_.bytes;
  }

  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out,
                     std::span<std::byte> scratch) const {
    if (in.size() != spec_.bytes) wrong("wrong number of decoded bytes", spec_.bytes, in.size());
    const std::size_t header = header_bytes();
    if (out.size() < header) wrong("too little room", header, out.size());
    put_be(out.data(), 0, 2);
    put_be(out.data() + 2, rank(), 2);
    for (std::size_t k = 0; k < rank(); ++k)
      put_be(out.data() + 4 + 4 * k, static_cast<std::uint64_t>(extent(k)), 4);

    const std::span<std::byte> block = scratch.first(spec_.bytes);
    auto* values = const_cast<std::byte*>(in.data());  // only read
    copy_elements(chunk_corner(values, spec_.shape), block_view(block.data(), spec_.shape));
    swap(block);
    const std::span<std::byte> room = out.subspan(header);
    if (inner_) return header + inner_.encode(block, room, scratch.subspan(block.size()));
    if (room.size() < block.size()) wrong("too little room", block.size(), room.size());
    std::memcpy(room.data(), block.data(), block.size());
    return header + block.size();
  }

 private:
  struct Header {
    Shape extents;  // of the block, along the chunk's axes
    std::size_t bytes = 0, block_bytes = 0;
    bool is_whole = true;
  };

  std::size_t rank() const { return spec_.shape.size(); }
  std::size_t header_bytes() const { return 4 + 4 * rank(); }
  bool is_c_order() const { return axes_ == Axes::reversed || rank() == 1; }
  /// The chunk's axis that is number k in N5.
  std::size_t axis(std::size_t k) const { return axes_ == Axes::reversed ? rank() - 1 - k : k; }
  Index extent(std::size_t k) const { return spec_.shape[axis(k)]; }

  Header read_header(std::span<const std::byte> in) const {
    if (in.size() < header_bytes()) wrong("the header is cut short", header_bytes(), in.size());
    const std::uint64_t mode = get_be(in.data(), 2);
    if (mode > 1)
      fail(Errc::unsupported, "decoding " + std::string(name()) +
                                  ": a block of objects; expected mode 0, got mode " + std::to_string(mode));
    if (get_be(in.data() + 2, 2) != rank()) wrong("wrong number of axes", rank(), get_be(in.data() + 2, 2));
    Header header;
    header.bytes = header_bytes();
    header.extents.resize(rank());
    std::uint64_t elements = 1;  // below the chunk's, since no extent is above the chunk's
    for (std::size_t k = 0; k < rank(); ++k) {
      const std::uint64_t length = get_be(in.data() + 4 + 4 * k, 4);
      const auto most = static_cast<std::uint64_t>(extent(k));
      if (length < 1 || length > most)
        fail(Errc::corrupt_data, "decoding " + std::string(name()) + ": bad block size; expected 1 to " +
                                     std::to_string(most) + " along axis " + std::to_string(axis(k)) +
                                     ", got " + std::to_string(length));
      header.extents[axis(k)] = static_cast<Index>(length);
      header.is_whole &= length == most;
      elements *= length;
    }
    if (mode == 1) {
      if (in.size() < header.bytes + 4) wrong("the header is cut short", header.bytes + 4, in.size());
      const std::uint64_t count = get_be(in.data() + header.bytes, 4);
      if (count != elements)
        fail(Errc::unsupported, "decoding " + std::string(name()) +
                                    ": a block of variable length; expected one element per position, " +
                                    std::to_string(elements) + ", got " + std::to_string(count));
      header.bytes += 4;
    }
    header.block_bytes = static_cast<std::size_t>(elements) * spec_.dtype.item_bytes();
    return header;
  }

  void decode_payload(std::span<const std::byte> payload, std::span<std::byte> block,
                      std::span<std::byte> scratch) const {
    if (inner_) {
      const std::size_t got = inner_.decode(payload, block, scratch);
      if (got != block.size()) wrong("wrong number of decoded bytes", block.size(), got);
    } else {
      if (payload.size() != block.size()) wrong("wrong number of bytes", block.size(), payload.size());
      std::memcpy(block.data(), payload.data(), block.size());
    }
    swap(block);
    if (is_bool(spec_.dtype.type()))
      for (std::byte& value : block) value = static_cast<std::byte>(value != std::byte{0} ? 1 : 0);
  }
  void swap(std::span<std::byte> block) const {
    if constexpr (std::endian::native == std::endian::little)
      swap_elements(spec_.dtype, block.data(), block.size() / spec_.dtype.item_bytes());
  }

  /// A block in memory, seen along the chunk's axes.
  BufferView block_view(std::byte* data, const Shape& extents) const {
    BufferView view{data, spec_.dtype.item_bytes(), extents, Dims(rank())};
    auto step = static_cast<Index>(view.item_bytes);
    for (std::size_t k = 0; k < rank(); ++k) {
      view.strides[axis(k)] = step;
      step *= extents[axis(k)];
    }
    return view;
  }
  BufferView chunk_corner(std::byte* data, const Shape& extents) const {
    const BufferView chunk = BufferView::c_order(data, spec_.shape, spec_.dtype.item_bytes());
    return chunk.part(Region::of(spec_.shape), Region::of(extents));
  }

  static std::uint64_t get_be(const std::byte* from, std::size_t bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | std::to_integer<std::uint64_t>(from[i]);
    return value;
  }
  static void put_be(std::byte* to, std::uint64_t value, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) to[i] = static_cast<std::byte>(value >> 8 * (bytes - 1 - i));
  }
  [[noreturn]] void wrong(const char* what, std::uint64_t expected, std::uint64_t got) const {
    fail(Errc::corrupt_data, "decoding " + std::string(name()) + ": " + what + "; expected " +
                                 std::to_string(expected) + ", got " + std::to_string(got));
  }

  Axes axes_;
  AnyCodec inner_;
  std::size_t wanted_rank_;
  DecodedSpec spec_;
};

/// The one codec of a list that turns bytes into bytes; none for an empty list.
MORSEL_INLINE AnyCodec n5_inner(std::span<const CodecInfo> codecs, const std::string& doing) {
  if (codecs.empty()) return {};
  const auto definition = find_codec(codecs[0].name, doing);
  if (codecs.size() > 1 || definition->kind != CodecKind::bytes_to_bytes)
    fail(Errc::corrupt_data,
         doing + ": bad 'codecs'; expected at most one compression, got '" + codecs.back().name + "'");
  return definition->make(codecs[0], doing);
}

inline std::vector<CodecDefinition> n5_block_codecs() {
  const auto inner_codecs = [](const CodecInfo& info, const std::string& doing) {
    CodecConfig config(info, doing);
    const nlohmann::json* list = config.find("codecs");
    config.finish();
    return parse_zarr_codecs(list ? list->dump() : "null", config.doing());
  };
  const auto make_block = [=](const CodecInfo& info, const std::string& doing) -> AnyCodec {
    return N5BlockCodec(N5BlockCodec::Axes::reversed,
                        n5_inner(inner_codecs(info, doing), doing + ": codec '" + info.name + "'"));
  };
  const auto make_default = [=](const CodecInfo& info, const std::string& doing) -> AnyCodec {
    const std::vector<CodecInfo> codecs = inner_codecs(info, doing);
    const std::string what = doing + ": codec '" + info.name + "'";
    const auto refuse = [&](const std::string& expected, std::size_t at) {
      fail(Errc::corrupt_data,
           what + ": bad 'codecs'; expected " + expected + ", got " +
               (at < codecs.size() ? "'" + codecs[at].name + "' " + codecs[at].configuration
                                   : std::string("nothing")));
    };
    const auto member = [&](std::size_t at, const char* name) {
      const nlohmann::json json = nlohmann::json::parse(codecs[at].configuration);
      return json.contains(name) ? json[name] : nlohmann::json();
    };
    if (codecs.empty() || codecs[0].name != "transpose") refuse("a transpose first", 0);
    const nlohmann::json order = member(0, "order");
    bool is_reversed = order.is_array() && !order.empty();
    for (std::size_t i = 0; is_reversed && i < order.size(); ++i)
      is_reversed = order[i] == order.size() - 1 - i;
    if (!is_reversed) refuse("a transpose that reverses the axes", 0);
    if (codecs.size() < 2 || codecs[1].name != "bytes") refuse("bytes second", 1);
    if (const nlohmann::json endian = member(1, "endian"); !endian.is_null() && endian != "big")
      refuse("big-endian bytes", 1);
    return N5BlockCodec(N5BlockCodec::Axes::own, n5_inner(std::span(codecs).subspan(2), what), order.size());
  };
  return {{{"n5.block"}, CodecKind::array_to_bytes, make_block},
          {{"n5_default"}, CodecKind::array_to_bytes, make_default}};
}

}  // namespace morsel::inline MORSEL_ABI::detail
