#pragma once

#include <morsel/io/impl/codecs/bytes.ipp>

namespace morsel::inline MORSEL_ABI::detail {

/// Some bits of each number, one after another without gaps, the lowest first. **Source**: zarr-extensions,
/// codec `packbits`.
class PackbitsCodec {
 public:
  enum class Padding : std::uint8_t { none, first_byte, last_byte };
  PackbitsCodec(Padding padding, int first_bit, int last_bit)
      : padding_(padding), first_bit_(first_bit), last_bit_(last_bit) {}
  std::string_view name() const { return "packbits"; }
  PackbitsCodec prepare(const DecodedSpec& spec) const {
    need_array(name(), spec);
    PackbitsCodec codec = *this;
    codec.spec_ = spec;
    codec.look_at(spec.dtype);
    if (codec.last_bit_ < 0) codec.last_bit_ = codec.bits_ - 1;
    if (codec.last_bit_ < first_bit_ || codec.last_bit_ >= codec.bits_)
      fail(Errc::corrupt_data, "codec 'packbits': bits that " + spec.dtype.name() +
                                   " does not have; expected 0 <= 'first_bit' <= 'last_bit' < " +
                                   std::to_string(codec.bits_) + ", got " + std::to_string(first_bit_) +
                                   " and " + std::to_string(codec.last_bit_));
    codec.kept_ = codec.last_bit_ - first_bit_ + 1;
    const auto total = static_cast<std::size_t>(
        checked_mul(static_cast<Index>(spec.bytes / codec.part_bytes_), codec.kept_, "bits of a chunk"));
    codec.packed_bytes_ = total / 8 + (total % 8 != 0);
    codec.spare_bits_ = static_cast<unsigned>(codec.packed_bytes_ * 8 - total);
    return codec;
  }
  std::size_t max_encoded_bytes(std::size_t) const { return packed_bytes_ + (padding_ != Padding::none); }
  std::size_t scratch_bytes() const { return 0; }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    check_decode_sizes(name(), in.size(), max_encoded_bytes(0), out.size(), spec_.bytes);
    const std::byte* packed = in.data() + (padding_ == Padding::first_byte);
    if (padding_ != Padding::none) {
      const auto said = std::to_integer<unsigned>(padding_ == Padding::first_byte ? in.front() : in.back());
      if (said != spare_bits_)
        fail(Errc::corrupt_data, "codec 'packbits': bad number of padding bits; expected " +
                                     std::to_string(spare_bits_) + ", got " + std::to_string(said));
    }
    if (is_bit_for_bit())
      decode_flags(packed, out.data());
    else
      decode_parts(packed, out.data());
    return spec_.bytes;
  }
  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    const std::size_t bytes = max_encoded_bytes(0);
    check_encode_sizes(name(), in.size(), spec_.bytes, out.size(), bytes);
    if (padding_ == Padding::first_byte) out[0] = static_cast<std::byte>(spare_bits_);
    if (padding_ == Padding::last_byte) out[bytes - 1] = static_cast<std::byte>(spare_bits_);
    std::byte* packed = out.data() + (padding_ == Padding::first_byte);
    // At most 7 bits wait, and a part adds at most 64.
    std::uint64_t waiting = 0;
    int bits = 0;
    for (std::size_t at = 0; at < spec_.bytes; at += part_bytes_) {
      std::uint64_t value = load_part(in.data() + at) >> first_bit_ & mask();
      int left = kept_;
      while (left > 0) {
        const int taken = std::min(left, 56);
        waiting |= (value & ((std::uint64_t{1} << taken) - 1)) << bits;
        value = value >> taken;
        left -= taken;
        for (bits += taken; bits >= 8; bits -= 8, waiting >>= 8) *packed++ = static_cast<std::byte>(waiting);
      }
    }
    if (bits > 0) *packed = static_cast<std::byte>(waiting);
    return bytes;
  }

 private:
  /// The numbers that elements are made of: how many bytes and bits, and which of them have a sign.
  void look_at(const DType& dtype) {
    part_bytes_ = dtype.item_bytes();
    if (dtype.is_numeric()) {
      if (is_complex(dtype.type())) part_bytes_ /= 2;
      bits_ = is_bool(dtype.type()) ? 1 : static_cast<int>(8 * part_bytes_);
      is_signed_ = is_signed_integer(dtype.type());
      return;
    }
    const std::string name = dtype.name();
    bool is_number = !dtype.is_record() && numeric_type(dtype).has_value();
    for (const char* kind : {"int", "uint", "float", "bfloat", "complex_"})
      is_number |= !dtype.is_record() && name.starts_with(kind);
    if (!is_number || part_bytes_ > 8)
      fail(Errc::unsupported,
           "codec 'packbits': elements that are not numbers; expected a numeric dtype, got " + name);
    if (name.starts_with("complex_")) part_bytes_ /= 2;
    const int bits = bits_within_bytes(dtype);
    bits_ = part_bytes_ == 1 ? std::abs(bits) : static_cast<int>(8 * part_bytes_);
    is_signed_ = bits < 0 || numeric_type(dtype).has_value();
  }
  std::uint64_t mask() const { return kept_ == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << kept_) - 1; }
  bool is_bit_for_bit() const { return bits_ == 1; }
  std::uint64_t load_part(const std::byte* from) const {
    switch (part_bytes_) {
      case 1:
        return std::to_integer<std::uint64_t>(*from) != 0 && bits_ == 1
                   ? 1
                   : std::to_integer<std::uint64_t>(*from);
      case 2:
        return load<std::uint16_t>(from);
      case 4:
        return load<std::uint32_t>(from);
      default:
        return load<std::uint64_t>(from);
    }
  }
  template <class U>
  static U load(const std::byte* from) {
    U value;
    std::memcpy(&value, from, sizeof value);
    return value;
  }
  void store_part(std::uint64_t value, std::byte* to) const {
    switch (part_bytes_) {
      case 1:
        return store(static_cast<std::uint8_t>(value), to);
      case 2:
        return store(static_cast<std::uint16_t>(value), to);
      case 4:
        return store(static_cast<std::uint32_t>(value), to);
      default:
        return store(value, to);
    }
  }
  template <class U>
  static void store(U value, std::byte* to) {
    std::memcpy(to, &value, sizeof value);
  }
  void decode_flags(const std::byte* packed, std::byte* out) const {
    for (std::size_t i = 0; i < spec_.bytes; ++i) out[i] = packed[i / 8] >> (i % 8) & std::byte{1};
  }
  void decode_parts(const std::byte* packed, std::byte* out) const {
    const std::uint64_t sign = std::uint64_t{1} << last_bit_;
    const bool extends = is_signed_ && last_bit_ < 63;
    std::uint64_t waiting = 0;
    int bits = 0;
    for (std::size_t at = 0; at < spec_.bytes; at += part_bytes_) {
      std::uint64_t value = 0;
      for (int done = 0; done < kept_;) {
        if (bits == 0) {
          waiting = std::to_integer<std::uint64_t>(*packed++);
          bits = 8;
        }
        const int taken = std::min(bits, kept_ - done);
        value |= (waiting & ((std::uint64_t{1} << taken) - 1)) << done;
        waiting >>= taken;
        bits -= taken;
        done += taken;
      }
      value <<= first_bit_;
      if (extends) value = (value ^ sign) - sign;
      store_part(value, out + at);
    }
  }
  Padding padding_;
  int first_bit_, last_bit_;  // last_bit_ -1: the highest there is
  DecodedSpec spec_;
  std::size_t part_bytes_ = 1;
  int bits_ = 8, kept_ = 8;
  bool is_signed_ = false;
  std::size_t packed_bytes_ = 0;
  unsigned spare_bits_ = 0;
};

/// Bools as bits, the highest first, behind a byte with the number of padding bits. **Source**: numcodecs,
/// `packbits`.
class NumcodecsPackbitsCodec {
 public:
  std::string_view name() const { return "numcodecs.packbits"; }
  NumcodecsPackbitsCodec prepare(const DecodedSpec& spec) const {
    if (spec.is_array && !is_bool(spec.dtype.type()))
      fail(Errc::unsupported,
           "codec 'numcodecs.packbits': elements of the wrong type; expected bool, got " + spec.dtype.name());
    NumcodecsPackbitsCodec codec;
    codec.spec_ = spec;
    return codec;
  }
  std::size_t max_encoded_bytes(std::size_t n) const { return 1 + n / 8 + (n % 8 != 0); }
  std::size_t scratch_bytes() const { return 0; }
  DecodedSpec encoded_array() const {
    const std::size_t bytes = max_encoded_bytes(spec_.bytes);
    if (!spec_.is_array) return DecodedSpec::byte_string(bytes);
    return DecodedSpec::array(Type::uint8, Shape{static_cast<Index>(bytes)});
  }
  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    const auto padding = in.empty() ? 8u : std::to_integer<unsigned>(in[0]);
    if (padding > 7 || (in.size() == 1 && padding > 0))
      fail(Errc::corrupt_data,
           "codec 'numcodecs.packbits': bad number of padding bits; expected 0 to 7 in the first of at least "
           "one byte, got " +
               std::to_string(padding) + " in " + std::to_string(in.size()) + " bytes");
    if (in.size() > max_encoded_bytes(spec_.bytes))
      wrong_size(name(), "encoded data", max_encoded_bytes(spec_.bytes), in.size());
    const std::size_t count = (in.size() - 1) * 8 - padding;
    if (spec_.is_array ? count != spec_.bytes : count > spec_.bytes)
      wrong_size(name(), "decoded data", spec_.bytes, count);
    if (out.size() < count) wrong_size(name(), "room for the decoded data", count, out.size());
    for (std::size_t i = 0; i < count; ++i) out[i] = in[1 + i / 8] >> (7 - i % 8) & std::byte{1};
    return count;
  }
  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    const std::size_t bytes = max_encoded_bytes(in.size());
    check_encode_sizes(name(), in.size(), spec_.is_array ? spec_.bytes : in.size(), out.size(), bytes);
    std::memset(out.data(), 0, bytes);
    out[0] = static_cast<std::byte>((bytes - 1) * 8 - in.size());
    for (std::size_t i = 0; i < in.size(); ++i)
      if (in[i] != std::byte{0}) out[1 + i / 8] |= std::byte{0x80} >> (i % 8);
    return bytes;
  }

 private:
  DecodedSpec spec_;
};

inline std::vector<CodecDefinition> packbits_codecs() {
  const auto packbits = [](const CodecInfo& info, const std::string& doing) -> AnyCodec {
    CodecConfig config(info, doing);
    const std::string padding = config.text("padding_encoding", "none");
    const auto first = static_cast<int>(config.integer("first_bit", 0, 0, 63));
    const auto last = static_cast<int>(config.integer("last_bit", -1, 0, 63));
    config.finish();
    if (padding != "none" && padding != "first_byte" && padding != "last_byte")
      config.wrong("padding_encoding", "\"none\", \"first_byte\" or \"last_byte\"", padding);
    return PackbitsCodec(padding == "none"         ? PackbitsCodec::Padding::none
                         : padding == "first_byte" ? PackbitsCodec::Padding::first_byte
                                                   : PackbitsCodec::Padding::last_byte,
                         first, last);
  };
  const auto numcodecs = [](const CodecInfo& info, const std::string& doing) -> AnyCodec {
    CodecConfig(info, doing).finish();
    return NumcodecsPackbitsCodec();
  };
  return {{{"packbits"}, CodecKind::array_to_bytes, packbits},
          {{"numcodecs.packbits"}, CodecKind::array_to_array, numcodecs}};
}

}  // namespace morsel::inline MORSEL_ABI::detail
