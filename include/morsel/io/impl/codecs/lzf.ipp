#pragma once

#include <morsel/io/impl/codecs/filter_parameters.hpp>

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
};

inline std::vector<CodecDefinition> lzf_codecs() { return {byte_codec<LzfCodec>({"hdf5.lzf"})}; }

}  // namespace morsel::inline MORSEL_ABI::detail
