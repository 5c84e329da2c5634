// The numbers that HDF5 stores for a filter. For the bodies of codecs alone.
#pragma once

#include <morsel/io/impl/codecs/byte_codec.hpp>

namespace morsel::inline MORSEL_ABI::detail {

/// The member `cd_values` of a configuration: numbers of 32 bits, as the filter was given them.
inline std::vector<std::uint32_t> filter_parameters(const CodecInfo& info, const std::string& doing,
                                                    std::size_t least = 0) {
  CodecConfig config(info, doing);
  std::vector<std::uint32_t> numbers;
  const nlohmann::json* values = config.find("cd_values");
  if (values && !values->is_array()) config.wrong("cd_values", "a list of numbers", *values);
  if (values)
    for (const nlohmann::json& value : *values) {
      if (!value.is_number_unsigned() || value.get<std::uint64_t>() > 0xffffffffu)
        config.wrong("cd_values", "numbers from 0 to 4294967295", *values);
      numbers.push_back(value.get<std::uint32_t>());
    }
  config.finish();
  if (numbers.size() < least)
    config.wrong("cd_values", "at least " + std::to_string(least) + " numbers",
                 values ? *values : nlohmann::json());
  return numbers;
}

/// A filter of HDF5. Morsel reads it, and does not write it unless it has an `encode` of its own.
class FilterCodec : public ByteCodec {
 public:
  using ByteCodec::ByteCodec;
  std::size_t encode(std::span<const std::byte>, std::span<std::byte>, std::span<std::byte>) const {
    fail(Errc::unsupported, "encoding " + std::string(name()) + ": a filter that is only read");
  }

 protected:
  void check_room(std::size_t bytes, std::size_t room_bytes) const {
    if (bytes > room_bytes)
      corrupt("too many decoded bytes; expected at most " + std::to_string(room_bytes) + ", got " +
              std::to_string(bytes));
  }
};

inline std::uint32_t load_be32(const std::byte* from) {
  return std::to_integer<std::uint32_t>(from[0]) << 24 | std::to_integer<std::uint32_t>(from[1]) << 16 |
         std::to_integer<std::uint32_t>(from[2]) << 8 | std::to_integer<std::uint32_t>(from[3]);
}
inline std::uint64_t load_be64(const std::byte* from) {
  return std::uint64_t{load_be32(from)} << 32 | load_be32(from + 4);
}

inline void store_be32(std::uint32_t value, std::byte* to) {
  for (int i = 0; i < 4; ++i) to[i] = static_cast<std::byte>(value >> (24 - 8 * i));
}
inline void store_be64(std::uint64_t value, std::byte* to) {
  store_be32(static_cast<std::uint32_t>(value >> 32), to);
  store_be32(static_cast<std::uint32_t>(value), to + 4);
}

}  // namespace morsel::inline MORSEL_ABI::detail
