#pragma once

#if MORSEL_HAVE_AEC
#include <libaec.h>
#endif
#include <morsel/io/impl/codecs/filter_parameters.hpp>

namespace morsel::inline MORSEL_ABI::detail {

#if MORSEL_HAVE_AEC

/// The decoded bytes (32 bits, little-endian) and a stream of szip, which is one of the adaptive entropy
/// coding of CCSDS 121.0: lines are padded to whole blocks, and pixels of 32 and 64 bits are coded as planes
/// of bytes.
/// **Source**: HDF5 File Format Specification, filter 4: cd_values are options, pixels per block, bits per
/// pixel, pixels per line; libaec's interface for szip.
class SzipCodec : public FilterCodec {
 public:
  SzipCodec(const CodecInfo& info, const std::string& doing) : FilterCodec(info) {
    const std::vector<std::uint32_t> numbers = filter_parameters(info, doing, 4);
    block_ = numbers[1];
    bits_ = numbers[2];
    line_ = numbers[3];
    flags_ = (numbers[0] & 16 ? AEC_DATA_MSB : 0u) | (numbers[0] & 32 ? AEC_DATA_PREPROCESS : 0u);
    const bool good = block_ >= 2 && block_ <= 32 && block_ % 2 == 0 && bits_ >= 1 &&
                      (bits_ <= 32 || bits_ == 64) && line_ >= 1 && line_ <= 128 * 32;
    if (!good)
      fail(Errc::corrupt_data,
           doing + ": codec '" + info.name +
               "': bad cd_values; expected blocks of 2 to 32 pixels of 1 to 64 bits, got " +
               std::to_string(block_) + " pixels of " + std::to_string(bits_) + " bits, " +
               std::to_string(line_) + " to a line");
    is_planes_ = bits_ == 32 || bits_ == 64;
    sample_bytes_ = is_planes_ || bits_ <= 8 ? 1 : bits_ <= 16 ? 2 : 4;
    blocks_ = (line_ + block_ - 1) / block_;
  }
  SzipCodec prepare(const DecodedSpec& spec) const {
    check_decoded_bytes(spec.bytes, std::numeric_limits<std::int32_t>::max());
    SzipCodec codec = *this;
    codec.scratch_bytes_ = is_direct() ? 0 : coded_bytes(spec.bytes);
    return codec;
  }
  std::size_t max_encoded_bytes(std::size_t n) const { return saturating_sum(n, n / 8 + 1024); }
  std::size_t scratch_bytes() const { return scratch_bytes_; }
  /// libaec keeps the samples between two references, 4 bytes each, and tables.
  CodecMemory library_memory() const { return {4 * std::size_t{blocks_} * block_ + 16 * 1024, 0}; }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out,
                     std::span<std::byte> scratch) const {
    if (in.size() < 4) too_short(4, in.size());
    const std::size_t bytes = load_le32(in.data());
    check_room(bytes, out.size());
    if (bytes == 0) return 0;
    const std::size_t coded = coded_bytes(bytes);
    if (!is_direct()) check_room(coded, scratch.size());
    // libaec reports a last piece of a sample as a lack of memory.
    if (coded % sample_bytes_ != 0)
      corrupt("damaged; expected a multiple of " + std::to_string(sample_bytes_) + " decoded bytes, got " +
              std::to_string(coded));
    const std::span<std::byte> room = is_direct() ? out.first(bytes) : scratch.first(coded);
    aec_stream stream{};
    stream.next_in = reinterpret_cast<const unsigned char*>(in.data()) + 4;
    stream.avail_in = in.size() - 4;
    stream.next_out = reinterpret_cast<unsigned char*>(room.data());
    stream.avail_out = room.size();
    stream.bits_per_sample = is_planes_ ? 8 : bits_;
    stream.block_size = block_;
    stream.rsi = blocks_;
    stream.flags = flags_;
    const int result = aec_buffer_decode(&stream);
    if (result == AEC_MEM_ERROR) throw std::bad_alloc();
    if (result != AEC_OK || stream.total_out != room.size())
      corrupt("damaged or cut short; expected " + std::to_string(room.size()) + " decoded bytes, got " +
              (result == AEC_OK ? std::to_string(stream.total_out) : "error " + std::to_string(result)));
    if (is_direct()) return bytes;
    const std::size_t line_bytes = line_ * sample_bytes_, padded_bytes = blocks_ * block_ * sample_bytes_;
    if (line_bytes != padded_bytes)
      for (std::size_t i = 1; i * line_bytes < bytes; ++i)
        std::memmove(room.data() + i * line_bytes, room.data() + i * padded_bytes, line_bytes);
    if (!is_planes_) {
      std::memcpy(out.data(), room.data(), bytes);
      return bytes;
    }
    const std::size_t item_bytes = bits_ / 8, count = bytes / item_bytes;
    for (std::size_t b = 0; b < item_bytes; ++b)
      for (std::size_t i = 0; i < count; ++i) out[i * item_bytes + b] = room[b * count + i];
    std::memcpy(out.data() + count * item_bytes, room.data() + count * item_bytes,
                bytes - count * item_bytes);
    return bytes;
  }

 private:
  bool is_direct() const { return line_ % block_ == 0 && !is_planes_; }
  /// What the stream decodes to: with padded lines.
  std::size_t coded_bytes(std::size_t bytes) const {
    if (line_ % block_ == 0) return bytes;
    const std::size_t lines = (bytes / sample_bytes_ + line_ - 1) / line_;
    return lines * blocks_ * block_ * sample_bytes_;
  }

  unsigned block_ = 0, bits_ = 0, line_ = 0, blocks_ = 0, flags_ = 0;
  bool is_planes_ = false;
  std::size_t sample_bytes_ = 1, scratch_bytes_ = 0;
};

inline std::vector<CodecDefinition> szip_codecs() { return {byte_codec<SzipCodec>({"hdf5.szip"})}; }

#else

inline std::vector<CodecDefinition> szip_codecs() { return {}; }

#endif

}  // namespace morsel::inline MORSEL_ABI::detail
