#pragma once

#include <cmath>
#include <morsel/array/dtype.hpp>
#include <morsel/io/impl/codecs/bit_reader.hpp>
#include <morsel/io/impl/codecs/filter_parameters.hpp>

namespace morsel::inline MORSEL_ABI::detail {

/// Numbers as the few bits by which they exceed the least of a chunk; floats as integers, scaled by a power
/// of ten. **Source**: HDF5 File Format Specification, filter 6, and H5Zscaleoffset.c: cd_values are the way
/// of scaling (0 decimal digits, 2 integer), its amount, the elements of a chunk, class (0 integer, 1 float),
/// bytes, sign, byte order, whether there is a fill value, and that.
class ScaleoffsetCodec : public FilterCodec {
 public:
  ScaleoffsetCodec(const CodecInfo& info, const std::string& doing) : FilterCodec(info) {
    std::vector<std::uint32_t> numbers = filter_parameters(info, doing, 8);
    numbers.resize(std::max<std::size_t>(numbers.size(), 20));
    const std::uint32_t way = numbers[0];
    amount_ = static_cast<std::int32_t>(numbers[1]);
    count_ = numbers[2];
    is_float_ = numbers[3] == 1;
    item_bytes_ = numbers[4];
    is_signed_ = numbers[5] == 1;
    is_swapped_ = (numbers[6] == 1) != (std::endian::native == std::endian::big);
    has_fill_ = numbers[7] == 1;
    if (is_float_ && way == 1)
      fail(Errc::unsupported,
           doing + ": codec '" + info.name +
               "': scaled by a power of two, which HDF5 never implemented; expected 0 or 2");
    const bool is_size = is_float_
                             ? item_bytes_ == 4 || item_bytes_ == 8
                             : item_bytes_ == 1 || item_bytes_ == 2 || item_bytes_ == 4 || item_bytes_ == 8;
    if (!is_size || numbers[3] > 1 || (is_float_ ? way != 0 : way != 2))
      fail(Errc::corrupt_data,
           doing + ": codec '" + info.name +
               "': bad cd_values; expected integers of 1 to 8 bytes or floats of 4 or 8, got "
               "class " +
               std::to_string(numbers[3]) + " of " + std::to_string(item_bytes_) +
               " bytes, scaled in the way " + std::to_string(way));
    for (std::size_t i = 0; i < item_bytes_; ++i)
      fill_ |= std::uint64_t{numbers[8 + i / 4] >> 8 * (i % 4) & 0xff} << 8 * i;
  }
  ScaleoffsetCodec prepare(const DecodedSpec&) const { return *this; }
  std::size_t max_encoded_bytes(std::size_t n) const { return saturating_sum(n, 64); }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    const unsigned width = 8 * item_bytes_;
    if (!is_float_ && amount_ == static_cast<std::int32_t>(width)) {  // all bits: left as they are
      check_room(in.size(), out.size());
      copy_bytes(out.data(), in.data(), in.size());
      return in.size();
    }
    const std::uint64_t bytes = std::uint64_t{count_} * item_bytes_;
    if (bytes > out.size()) check_room(static_cast<std::size_t>(bytes), out.size());
    if (in.size() < header_bytes) too_short(header_bytes, in.size());
    const std::uint32_t bits = load_le32(in.data());
    if (bits > width)
      corrupt("bad header; expected at most " + std::to_string(width) + " bits to a number, got " +
              std::to_string(bits));
    const std::size_t least_bytes = std::min<std::size_t>(8, std::to_integer<std::size_t>(in[4]));
    std::uint64_t least = 0;
    for (std::size_t i = 0; i < least_bytes; ++i) least |= std::to_integer<std::uint64_t>(in[5 + i]) << 8 * i;
    in = in.subspan(header_bytes);
    const std::uint64_t needed = (std::uint64_t{count_} * bits + 7) / 8;
    if (in.size() < needed)
      too_short(header_bytes + static_cast<std::size_t>(needed), header_bytes + in.size());
    if (bits == width) {
      copy_bytes(out.data(), in.data(), static_cast<std::size_t>(bytes));
    } else {
      switch (item_bytes_) {
        case 1:
          expand<std::uint8_t>(in, bits, least, out.data());
          break;
        case 2:
          expand<std::uint16_t>(in, bits, least, out.data());
          break;
        case 4:
          is_float_ ? scale<float, std::int32_t>(in, bits, least, out.data())
                    : expand<std::uint32_t>(in, bits, least, out.data());
          break;
        default:
          is_float_ ? scale<double, std::int64_t>(in, bits, least, out.data())
                    : expand<std::uint64_t>(in, bits, least, out.data());
      }
    }
    if (is_swapped_) swap_bytes(out.data(), count_, item_bytes_);
    return static_cast<std::size_t>(bytes);
  }

 private:
  static constexpr std::size_t header_bytes = 21;

  static std::uint64_t read(BitReader& reader, unsigned bits) {
    if (bits <= 32) return reader.read(bits);
    const std::uint64_t high = reader.read(bits - 32);
    return high << 32 | reader.read(32);
  }
  /// The number that stands for the fill value; none if there is none.
  std::uint64_t mark(unsigned bits) const { return (std::uint64_t{1} << bits) - 1; }
  template <class U>
  void expand(std::span<const std::byte> in, unsigned bits, std::uint64_t least, std::byte* out) const {
    BitReader reader(in);
    for (std::uint32_t i = 0; i < count_; ++i) {
      const std::uint64_t stored = read(reader, bits);
      const U value = static_cast<U>(has_fill_ && stored == mark(bits) ? fill_ : stored + least);
      std::memcpy(out + i * sizeof value, &value, sizeof value);
    }
  }
  template <class T, class I>
  void scale(std::span<const std::byte> in, unsigned bits, std::uint64_t least, std::byte* out) const {
    T fill, first;
    std::memcpy(&fill, &fill_, sizeof fill);
    std::memcpy(&first, &least, sizeof first);
    const T power = std::pow(T{10}, static_cast<T>(amount_));
    BitReader reader(in);
    for (std::uint32_t i = 0; i < count_; ++i) {
      const std::uint64_t stored = read(reader, bits);
      const T value =
          has_fill_ && stored == mark(bits) ? fill : static_cast<T>(static_cast<I>(stored)) / power + first;
      std::memcpy(out + i * sizeof value, &value, sizeof value);
    }
  }

  std::int32_t amount_ = 0;
  std::uint32_t count_ = 0, item_bytes_ = 0;
  bool is_float_ = false, is_signed_ = false, is_swapped_ = false, has_fill_ = false;
  std::uint64_t fill_ = 0;
};

inline std::vector<CodecDefinition> scaleoffset_codecs() {
  return {byte_codec<ScaleoffsetCodec>({"hdf5.scaleoffset"})};
}

}  // namespace morsel::inline MORSEL_ABI::detail
