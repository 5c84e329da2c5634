#pragma once

#if MORSEL_HAVE_SZIP
extern "C" {  // the header says nothing of C++
#include <szlib.h>
}
#endif
#include <morsel/io/impl/codecs/filter_parameters.hpp>

namespace morsel::inline MORSEL_ABI::detail {

#if MORSEL_HAVE_SZIP

/// The decoded bytes (32 bits, little-endian) and a stream of szip. The library takes about the chunk once
/// more while it works. **Source**: HDF5 File Format Specification, filter 4: cd_values are options, pixels
/// per block, bits per pixel, pixels per scanline.
class SzipCodec : public FilterCodec {
 public:
  SzipCodec(const CodecInfo& info, const std::string& doing) : FilterCodec(info) {
    const std::vector<std::uint32_t> numbers = filter_parameters(info, doing, 4);
    constexpr std::uint32_t most = 1u << 30;
    for (const std::uint32_t number : numbers)
      if (number > most)
        fail(Errc::corrupt_data, doing + ": codec '" + info.name + "': expected numbers up to " +
                                     std::to_string(most) + ", got " + std::to_string(number));
    parameters_.options_mask = static_cast<int>(numbers[0]);
    parameters_.pixels_per_block = static_cast<int>(numbers[1]);
    parameters_.bits_per_pixel = static_cast<int>(numbers[2]);
    parameters_.pixels_per_scanline = static_cast<int>(numbers[3]);
    const bool good = numbers[1] >= 2 && numbers[1] <= 32 && numbers[1] % 2 == 0 && numbers[2] >= 1 &&
                      (numbers[2] <= 32 || numbers[2] == 64) && numbers[3] >= numbers[1] / 2 &&
                      numbers[3] >= 1 && numbers[3] <= 4096;
    if (!good)
      fail(Errc::corrupt_data,
           doing + ": codec '" + info.name +
               "': bad cd_values; expected blocks of 2 to 32 pixels of 1 to 64 bits, got " +
               std::to_string(numbers[1]) + " pixels of " + std::to_string(numbers[2]) + " bits, " +
               std::to_string(numbers[3]) + " to a line");
  }
  SzipCodec prepare(const DecodedSpec& spec) const {
    check_decoded_bytes(spec.bytes, std::numeric_limits<std::int32_t>::max());
    return *this;
  }
  std::size_t max_encoded_bytes(std::size_t n) const { return saturating_sum(n, n / 8 + 1024); }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    if (in.size() < 4) too_short(4, in.size());
    const std::size_t bytes = load_le32(in.data());
    check_room(bytes, out.size());
    std::size_t got = bytes;
    SZ_com_t parameters = parameters_;
    const int result =
        bytes == 0 ? SZ_OK
                   : SZ_BufftoBuffDecompress(out.data(), &got, in.data() + 4, in.size() - 4, &parameters);
    if (result == SZ_MEM_ERROR) throw std::bad_alloc();
    if (result != SZ_OK || got != bytes)
      corrupt("damaged or cut short; expected " + std::to_string(bytes) + " decoded bytes, got " +
              (result == SZ_OK ? std::to_string(got) : "error " + std::to_string(result)));
    return bytes;
  }

 private:
  SZ_com_t parameters_{};
};

inline std::vector<CodecDefinition> szip_codecs() { return {byte_codec<SzipCodec>({"hdf5.szip"})}; }

#else

inline std::vector<CodecDefinition> szip_codecs() { return {}; }

#endif

}  // namespace morsel::inline MORSEL_ABI::detail
