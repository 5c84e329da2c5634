#pragma once

#include <morsel/io/impl/codecs/filter_parameters.hpp>
#include <utility>

namespace morsel::inline MORSEL_ABI::detail {

/// The stream of LibLZF: runs of literals, and copies of what stands up to 8 KiB back. **Source**: h5py's
/// filter 32000; LibLZF 3.
class LzfCodec : public FilterCodec {
 public:
  LzfCodec(const CodecInfo& info, const std::string& doing) : FilterCodec(info) {
    filter_parameters(info, doing);
  }
  LzfCodec prepare(const DecodedSpec&) const { return *this; }
  std::size_t max_encoded_bytes(std::size_t n) const { return saturating_sum(n, n / 32 + 64); }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    std::size_t at = 0, done = 0;
    while (at < in.size()) {
      const auto control = std::to_integer<std::size_t>(in[at++]);
      if (control < 32) {
        const std::size_t run = control + 1;
        if (run > in.size() - at) too_short(at + run, in.size());
        if (run > out.size() - done) too_long(out.size());
        std::memcpy(out.data() + done, in.data() + at, run);
        at += run;
        done += run;
        continue;
      }
      std::size_t length = control >> 5, back = (control & 31) << 8;
      if (length == 7) {
        if (at == in.size()) too_short(at + 1, in.size());
        length += std::to_integer<std::size_t>(in[at++]);
      }
      if (at == in.size()) too_short(at + 1, in.size());
      back += std::to_integer<std::size_t>(in[at++]) + 1;
      length += 2;
      if (back > done)
        corrupt("a copy from before the beginning; expected at most " + std::to_string(done) +
                " bytes back, got " + std::to_string(back));
      if (length > out.size() - done) too_long(out.size());
      std::byte* to = out.data() + done;
      if (back >= length)
        std::memcpy(to, to - back, length);
      else
        for (std::size_t i = 0; i < length; ++i)
          to[i] = to[static_cast<std::ptrdiff_t>(i) - static_cast<std::ptrdiff_t>(back)];
      done += length;
    }
    return done;
  }

  /// Looks back for the last three bytes of the same hash. What does not shrink is stored as literals.
  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out,
                     std::span<std::byte> scratch) const {
    if (out.size() < max_encoded_bytes(in.size())) encode_failed("no room");
    constexpr std::size_t most_back = std::size_t{1} << 13, most_length = 264, most_run = 32;
    auto* const last = reinterpret_cast<std::uint32_t*>(scratch.data());
    std::memset(scratch.data(), 0xff, scratch_bytes());
    std::size_t at = 0, put = 0, run_begin = 0;
    const auto put_run = [&](std::size_t end) {
      while (run_begin < end) {
        const std::size_t run = std::min(most_run, end - run_begin);
        out[put++] = static_cast<std::byte>(run - 1);
        std::memcpy(out.data() + put, in.data() + run_begin, run);
        put += run;
        run_begin += run;
      }
    };
    while (in.size() - at > 3) {
      const std::uint32_t next = std::to_integer<std::uint32_t>(in[at]) |
                                 std::to_integer<std::uint32_t>(in[at + 1]) << 8 |
                                 std::to_integer<std::uint32_t>(in[at + 2]) << 16;
      std::uint32_t& seen = last[(next * 2654435761u) >> (32 - hash_bits)];
      const std::size_t from = std::exchange(seen, static_cast<std::uint32_t>(at));
      if (from >= at || at - from > most_back || std::memcmp(&in[from], &in[at], 3) != 0) {
        ++at;
        continue;
      }
      std::size_t length = 3;
      const std::size_t most = std::min(most_length, in.size() - at);
      while (length < most && in[from + length] == in[at + length]) ++length;
      put_run(at);
      const std::size_t back = at - from - 1, coded = length - 2;
      out[put++] = static_cast<std::byte>(std::min<std::size_t>(coded, 7) << 5 | back >> 8);
      if (coded >= 7) out[put++] = static_cast<std::byte>(coded - 7);
      out[put++] = static_cast<std::byte>(back & 0xff);
      at += length;
      run_begin = at;
    }
    put_run(in.size());
    return put;
  }
  std::size_t scratch_bytes() const { return sizeof(std::uint32_t) << hash_bits; }

 private:
  static constexpr unsigned hash_bits = 14;
};

inline std::vector<CodecDefinition> lzf_codecs() { return {byte_codec<LzfCodec>({"hdf5.lzf"})}; }

}  // namespace morsel::inline MORSEL_ABI::detail
