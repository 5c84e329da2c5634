#pragma once

#include <cstdint>
#include <morsel/io/vlen.hpp>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE std::vector<VlenItem> parse_vlen(std::span<const std::byte> stored, std::size_t count,
                                               const std::string& doing) {
  constexpr std::size_t word = 4;
  const auto read = [&](std::size_t at) {
    std::size_t value = 0;
    for (std::size_t b = 0; b < word; ++b) value |= std::to_integer<std::size_t>(stored[at + b]) << (8 * b);
    return value;
  };
  if (stored.size() < word)
    fail(Errc::corrupt_data,
         doing + ": strings cut short; expected at least 4 bytes, got " + std::to_string(stored.size()));
  const std::size_t said = read(0);
  if (said != count)
    fail(Errc::corrupt_data, doing + ": another number of strings; expected " + std::to_string(count) +
                                 ", got " + std::to_string(said));
  if (count > (stored.size() - word) / word)
    fail(Errc::corrupt_data, doing + ": strings cut short; expected " + std::to_string(count) +
                                 " of at least 4 bytes each, got " + std::to_string(stored.size()) +
                                 " bytes in all");
  std::vector<VlenItem> items;
  items.reserve(count);
  std::size_t at = word;
  for (std::size_t i = 0; i < count; ++i) {
    if (stored.size() - at < word)
      fail(Errc::corrupt_data, doing + ": strings cut short; expected a length of 4 bytes at byte " +
                                   std::to_string(at) + ", got " + std::to_string(stored.size() - at) +
                                   " bytes");
    const std::size_t length = read(at);
    at += word;
    if (length > stored.size() - at)
      fail(Errc::corrupt_data, doing + ": a string longer than what is stored; expected at most " +
                                   std::to_string(stored.size() - at) + " bytes, got " +
                                   std::to_string(length) + " at element " + std::to_string(i));
    items.push_back({at, length});
    at += length;
  }
  if (at != stored.size())
    fail(Errc::corrupt_data, doing + ": bytes behind the last string; expected " + std::to_string(at) +
                                 ", got " + std::to_string(stored.size()));
  return items;
}

}  // namespace morsel::inline MORSEL_ABI
