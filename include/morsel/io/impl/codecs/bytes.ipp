#pragma once

#include <morsel/io/impl/codecs/elements.hpp>

namespace morsel::inline MORSEL_ABI::detail {

/// True if stored bytes of the type can be in one order or another.
MORSEL_INLINE bool has_byte_order(const DType& dtype) {
  if (!dtype.is_record()) return dtype.swap_bytes() > 1;
  const std::vector<Field>& fields = dtype.fields();
  return std::any_of(fields.begin(), fields.end(), [](const Field& f) { return has_byte_order(f.dtype); });
}

/// How many low bits of each byte mean something; negative if the highest of them is a sign. 8 for all types
/// but those of fewer bits, which are stored one to a byte.
MORSEL_INLINE int bits_within_bytes(const DType& dtype) {
  if (dtype.is_numeric() || dtype.is_record()) return 8;
  const std::string name = dtype.name();
  const std::string_view of = name.starts_with("complex_") ? std::string_view(name).substr(8) : name;
  if (of == "int2") return -2;
  if (of == "int4") return -4;
  if (of == "uint2") return 2;
  if (of == "uint4" || of.starts_with("float4_")) return 4;
  if (of.starts_with("float6_")) return 6;
  return 8;
}

/// Keeps the low bits of each byte, and copies their highest upwards if it is a sign.
MORSEL_INLINE void extend_bits(int bits, std::byte* data, std::size_t count) {
  const auto spare = static_cast<unsigned>(8 - std::abs(bits));
  if (bits < 0)
    for (std::size_t i = 0; i < count; ++i) {
      const auto high = static_cast<signed char>(static_cast<unsigned char>(data[i] << spare));
      data[i] = static_cast<std::byte>(high >> spare);
    }
  else
    for (std::size_t i = 0; i < count; ++i) data[i] = data[i] << spare >> spare;
}

/// True if some bytes of the type stand for values that other bytes stand for, too.
MORSEL_INLINE bool has_spare_bits(const DType& dtype) {
  if (is_bool(dtype.type())) return true;
  if (!dtype.is_record()) return bits_within_bytes(dtype) != 8;
  const std::vector<Field>& fields = dtype.fields();
  return std::any_of(fields.begin(), fields.end(), [](const Field& f) { return has_spare_bits(f.dtype); });
}

/// Makes bytes of elements the ones that kernels expect: bool 0 or 1, integers of 2 or 4 bits those of int8
/// and uint8.
MORSEL_INLINE void normalize_elements(const DType& dtype, std::byte* data, std::size_t count) {
  if (dtype.is_record()) {
    for (const Field& field : dtype.fields()) {
      if (!has_spare_bits(field.dtype)) continue;
      const auto repeats = static_cast<std::size_t>(size_of(field.shape));
      for (std::size_t i = 0; i < count; ++i)
        normalize_elements(field.dtype, data + i * dtype.item_bytes() + field.offset_bytes, repeats);
    }
  } else if (is_bool(dtype.type())) {
    for (std::size_t i = 0; i < count; ++i) data[i] = static_cast<std::byte>(data[i] != std::byte{0});
  } else if (const int bits = bits_within_bytes(dtype); bits != 8) {
    extend_bits(bits, data, count * dtype.item_bytes());
  }
}

/// Elements one after another in a byte order. **Source**: Zarr v3, codec `bytes`.
class BytesCodec {
 public:
  enum class Endian : std::uint8_t { unsaid, little, big };
  explicit BytesCodec(Endian endian) : endian_(endian) {}

  std::string_view name() const { return "bytes"; }
  BytesCodec prepare(const DecodedSpec& spec) const {
    need_array(name(), spec);
    BytesCodec codec = *this;
    codec.dtype_ = spec.dtype;
    codec.bytes_ = spec.bytes;
    codec.normalizes_ = has_spare_bits(spec.dtype);
    if (has_byte_order(spec.dtype)) {
      // zarr-python leaves it out for records.
      if (endian_ == Endian::unsaid && !spec.dtype.is_record())
        fail(Errc::corrupt_data,
             "codec 'bytes': 'endian' is missing; expected \"little\" or \"big\" for " + spec.dtype.name());
      codec.swaps_ = (endian_ == Endian::big) != (std::endian::native == std::endian::big);
    }
    return codec;
  }
  std::size_t max_encoded_bytes(std::size_t decoded_bytes) const { return decoded_bytes; }
  std::size_t scratch_bytes() const { return is_plain() ? 0 : dtype_.item_bytes(); }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    check_decode_sizes(name(), in.size(), bytes_, out.size(), bytes_);
    if (bytes_ > 0) decode_items(in.data(), out.data(), bytes_ / dtype_.item_bytes());
    return bytes_;
  }
  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    check_encode_sizes(name(), in.size(), bytes_, out.size(), bytes_);
    if (bytes_ == 0) return 0;
    std::memcpy(out.data(), in.data(), bytes_);
    if (swaps_) swap_elements(dtype_, out.data(), bytes_ / dtype_.item_bytes());
    return bytes_;
  }
  void decode_part(std::span<const std::byte> in, std::size_t offset, std::span<std::byte> out,
                   std::span<std::byte> scratch) const {
    if (in.size() != bytes_) wrong_size(name(), "encoded data", bytes_, in.size());
    if (out.empty()) return;
    if (offset > bytes_ || out.size() > bytes_ - offset)
      wrong_size(name(), "a part behind the end", bytes_, offset + out.size());
    if (is_plain()) {
      std::memcpy(out.data(), in.data() + offset, out.size());
      return;
    }
    // Elements that are cut by the ends of the part are decoded aside.
    const std::size_t item = dtype_.item_bytes(), end = offset + out.size();
    const std::size_t first = (offset + item - 1) / item, last = end / item;
    const auto cut_item = [&](std::size_t i, std::size_t from, std::size_t to) {
      decode_items(in.data() + i * item, scratch.data(), 1);
      std::memcpy(out.data() + from - offset, scratch.data() + from - i * item, to - from);
    };
    if (first > last) return cut_item(last, offset, end);
    if (offset < first * item) cut_item(first - 1, offset, first * item);
    if (last > first)
      decode_items(in.data() + first * item, out.data() + first * item - offset, last - first);
    if (last * item < end) cut_item(last, last * item, end);
  }

 private:
  bool is_plain() const { return !swaps_ && !normalizes_; }
  void decode_items(const std::byte* from, std::byte* to, std::size_t count) const {
    std::memcpy(to, from, count * dtype_.item_bytes());
    if (swaps_) swap_elements(dtype_, to, count);
    if (normalizes_) normalize_elements(dtype_, to, count);
  }
  Endian endian_;
  DType dtype_ = Type::uint8;
  std::size_t bytes_ = 0;
  bool swaps_ = false, normalizes_ = false;
};

inline std::vector<CodecDefinition> bytes_codecs() {
  const auto make = [](const CodecInfo& info, const std::string& doing) -> AnyCodec {
    CodecConfig config(info, doing);
    const std::string endian = config.text("endian", "");
    if (!endian.empty() && endian != "little" && endian != "big")
      config.wrong("endian", "\"little\" or \"big\"", endian);
    config.finish();
    return BytesCodec(endian.empty()       ? BytesCodec::Endian::unsaid
                      : endian == "little" ? BytesCodec::Endian::little
                                           : BytesCodec::Endian::big);
  };
  // The second name is what writers called it before Zarr v3 was final.
  return {{{"bytes", "endian"}, CodecKind::array_to_bytes, make}};
}

}  // namespace morsel::inline MORSEL_ABI::detail
