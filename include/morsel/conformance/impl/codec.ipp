#pragma once

#include <algorithm>
#include <morsel/conformance/codec.hpp>
#include <morsel/conformance/impl/guarded.hpp>

namespace morsel::inline MORSEL_ABI {

namespace conformance {

class CodecChecker {
 public:
  CodecChecker(const AnyCodec& codec, const DType& dtype, const std::vector<std::byte>& sample,
               const CodecCheckOptions& options, std::uint64_t seed)
      : sample_(sample),
        options_(options),
        random_(seed),
        name_(codec.name()),
        codec_(prepare(codec, dtype, sample.size())) {
    if (name_.empty()) violated("codec", "name() is empty; expected the name that the format gives it");
    if (codec_.name() != name_)
      refuse("prepare() changes the name; expected '" + name_ + "', got '" + std::string(codec_.name()) +
             "'");
  }

  [[noreturn]] void refuse(const std::string& law) const {
    violated("codec " + name_ + ", sample of " + std::to_string(sample_.size()) + " bytes", law);
  }

  std::vector<std::byte> encode() {
    const std::size_t most = codec_.max_encoded_bytes(sample_.size());
    if (codec_.max_encoded_bytes(sample_.size()) != most) refuse("max_encoded_bytes() is not constant");
    GuardedBytes room(most, random_()), scratch(codec_.scratch_bytes(), random_());
    // In memory of its own, so that an address sanitizer sees reads beyond it.
    const std::vector<std::byte> in = sample_;
    const std::size_t n = codec_.encode(in, room.span(), scratch.span());
    check_guards(room, scratch, "encode");
    if (n > most)
      refuse("encode writes more than max_encoded_bytes(); expected at most " + std::to_string(most) +
             ", got " + std::to_string(n));
    if (in != sample_) refuse("encode changes its input; expected it constant");
    return {room.data(), room.data() + n};
  }

  /// Decodes into `room_bytes` of room.
  std::vector<std::byte> decode(const std::vector<std::byte>& encoded, std::size_t room_bytes) {
    GuardedBytes room(room_bytes, random_()), scratch(codec_.scratch_bytes(), random_());
    const std::vector<std::byte> in(encoded.begin(), encoded.end());
    std::size_t n = 0;
    try {
      n = codec_.decode(in, room.span(), scratch.span());
    } catch (...) {
      check_guards(room, scratch, "a decode that fails");
      throw;
    }
    check_guards(room, scratch, "decode");
    if (n > room_bytes)
      refuse("decode says that it wrote more than the room; expected at most " + std::to_string(room_bytes) +
             ", got " + std::to_string(n));
    if (in != encoded) refuse("decode changes its input; expected it constant");
    return {room.data(), room.data() + n};
  }

  void check_decode(const std::vector<std::byte>& encoded) {
    for (int i = 0; i < 2; ++i) {
      const std::vector<std::byte> got = decode(encoded, sample_.size());
      if (!is_right(got)) refuse_value("decode gives another value", got);
    }
    const std::vector<std::byte> roomy = decode_or_nothing(encoded, sample_.size() + 64);
    if (!roomy.empty() && !is_right(roomy))
      refuse_value("decode into too much room gives another value", roomy);
  }

  void check_encode() {
    const std::vector<std::byte> first = encode(), second = encode();
    if (first != second) refuse("encode is not deterministic; expected equal bytes from equal bytes");
    check_decode(first);
  }

  /// What is cut short or damaged gives corrupt_data, or a value; it writes nothing outside, and what is cut
  /// short is never taken for a whole chunk with other bytes.
  void check_damage(const std::vector<std::byte>& encoded) {
    // Too little room is an error or fewer bytes, never a write beyond it.
    for (const std::size_t room_bytes :
         {sample_.size() / 2, sample_.size() - std::min<std::size_t>(sample_.size(), 1), std::size_t{0}})
      decode_or_nothing(encoded, room_bytes);
    for (int i = 0; i < options_.damages && !encoded.empty(); ++i) {
      const auto n = static_cast<Index>(encoded.size());
      const Index cut = i < 40 && i < n ? n - 1 - i : random_in(random_, 0, n - 1);
      const std::vector<std::byte> shorter(encoded.begin(), encoded.begin() + cut);
      const std::vector<std::byte> got = decode_or_nothing(shorter, sample_.size());
      if (!got.empty() && got.size() == sample_.size() && !is_right(got))
        refuse("cut to " + std::to_string(cut) + " of " + std::to_string(n) +
               " bytes it decodes to a whole chunk of other bytes; expected corrupt_data or fewer bytes");
      decode_or_nothing(damaged(encoded, i), sample_.size());
    }
    std::vector<std::byte> noise(200);
    for (int i = 0; i < options_.damages / 3; ++i) {
      for (std::byte& byte : noise) byte = static_cast<std::byte>(random_());
      decode_or_nothing(noise, sample_.size());
    }
  }

 private:
  static AnyCodec prepare(const AnyCodec& codec, const DType& dtype, std::size_t bytes) {
    if (bytes % dtype.item_bytes() != 0)
      violated("codec " + std::string(codec.name()), "a sample is not a whole number of elements");
    DecodedSpec spec;
    spec.dtype = dtype;
    spec.shape = Shape{static_cast<Index>(bytes / dtype.item_bytes())};
    spec.bytes = bytes;
    return codec.prepare(spec);
  }

  bool is_right(const std::vector<std::byte>& got) const {
    return options_.accepts ? got.size() == sample_.size() && options_.accepts(sample_, got) : got == sample_;
  }

  [[noreturn]] void refuse_value(const std::string& what, const std::vector<std::byte>& got) const {
    const auto at = std::mismatch(
        got.begin(), got.begin() + static_cast<std::ptrdiff_t>(std::min(got.size(), sample_.size())),
        sample_.begin());
    refuse(what + "; expected " + std::to_string(sample_.size()) + " bytes, got " +
           std::to_string(got.size()) + ", first difference at byte " +
           std::to_string(at.first - got.begin()));
  }

  std::vector<std::byte> decode_or_nothing(const std::vector<std::byte>& encoded, std::size_t room_bytes) {
    try {
      return decode(encoded, room_bytes);
    } catch (const Error& e) {
      if (e.code() == Errc::internal_error) throw;
      if (e.code() != Errc::corrupt_data)
        refuse(std::string("damaged bytes give another error; expected corrupt_data, got ") +
               std::string(name_of(e.code())) + ": " + e.what());
      return {};
    }
  }

  /// Some bytes changed: single bits, random bytes, runs of 0xff and 0x00 such as lengths gone wild, parts
  /// repeated.
  std::vector<std::byte> damaged(const std::vector<std::byte>& encoded, int kind) {
    std::vector<std::byte> bytes = encoded;
    const auto n = static_cast<Index>(bytes.size());
    // Headers, where lengths stand, are hit more often than their share.
    const auto at = [&] {
      return static_cast<std::size_t>(
          random_in(random_, 0, random_in(random_, 0, 1) ? std::min<Index>(n, 32) - 1 : n - 1));
    };
    switch (kind % 4) {
      case 0: {
        std::byte& hit = bytes[at()];
        hit ^= static_cast<std::byte>(1u << random_in(random_, 0, 7));
        break;
      }
      case 1:
        for (int hits = 0; hits < 4; ++hits) bytes[at()] = static_cast<std::byte>(random_());
        break;
      case 2: {
        const std::size_t from = at(),
                          to = std::min(bytes.size(),
                                        from + static_cast<std::size_t>(random_in(random_, 1, 8)));
        std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(from),
                  bytes.begin() + static_cast<std::ptrdiff_t>(to),
                  random_in(random_, 0, 1) ? std::byte{0xff} : std::byte{0});
        break;
      }
      default: {
        const std::size_t from = at(), count = std::min(bytes.size() - from,
                                                        static_cast<std::size_t>(random_in(random_, 1, 100)));
        const std::vector<std::byte> part(bytes.begin() + static_cast<std::ptrdiff_t>(from),
                                          bytes.begin() + static_cast<std::ptrdiff_t>(from + count));
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at()), part.begin(), part.end());
      }
    }
    return bytes;
  }

  void check_guards(const GuardedBytes& room, const GuardedBytes& scratch, const char* who) const {
    if (!room.is_intact()) refuse(std::string(who) + " writes outside of its room");
    if (!scratch.is_intact()) refuse(std::string(who) + " writes outside of scratch");
  }

  const std::vector<std::byte>& sample_;
  const CodecCheckOptions& options_;
  Random random_;
  std::string name_;
  AnyCodec codec_;
};

inline void check_codec(const AnyCodec& codec, const DType& dtype, const CodecSamples& samples,
                        const CodecCheckOptions& options) {
  for (std::size_t i = 0; i < samples.size(); ++i) {
    CodecChecker checker(codec, dtype, samples[i], options, options.seed + i);
    checker.check_encode();
    checker.check_damage(checker.encode());
  }
  in_threads(options.threads, [&](int thread) {
    for (std::size_t i = 0; i < samples.size(); ++i)
      CodecChecker(codec, dtype, samples[i], options,
                   options.seed + i + 1000u * static_cast<unsigned>(thread))
          .check_encode();
  });
}

inline void check_codec_decodes(const AnyCodec& codec, const DType& dtype, const CodecSamples& encoded,
                                const CodecSamples& samples, const CodecCheckOptions& options) {
  if (encoded.size() != samples.size())
    violated("codec " + std::string(codec.name()), "as many samples as encoded ones are needed");
  for (std::size_t i = 0; i < samples.size(); ++i) {
    CodecChecker checker(codec, dtype, samples[i], options, options.seed + i);
    checker.check_decode(encoded[i]);
    checker.check_damage(encoded[i]);
  }
  in_threads(options.threads, [&](int thread) {
    for (std::size_t i = 0; i < samples.size(); ++i)
      CodecChecker(codec, dtype, samples[i], options,
                   options.seed + i + 1000u * static_cast<unsigned>(thread))
          .check_decode(encoded[i]);
  });
}

inline CodecSamples codec_samples(std::size_t item_bytes, std::uint64_t seed) {
  Random random(seed);
  CodecSamples samples;
  for (const std::size_t count :
       {std::size_t{0}, std::size_t{1}, std::size_t{3}, std::size_t{257}, std::size_t{4096}}) {
    const std::size_t bytes = count * item_bytes;
    std::vector<std::byte> zero(bytes), constant(bytes, std::byte{0x5a}), counting(bytes), noise(bytes),
        repeated(bytes);
    for (std::size_t i = 0; i < bytes; ++i) {
      counting[i] = i % item_bytes == 0   ? static_cast<std::byte>(i / item_bytes)
                    : i % item_bytes == 1 ? static_cast<std::byte>(i / item_bytes >> 8)
                                          : std::byte{0};
      noise[i] = static_cast<std::byte>(random());
      repeated[i] = i < 37 ? noise[i] : repeated[i - 37];
    }
    samples.push_back(std::move(zero));
    if (count == 0) continue;
    samples.push_back(std::move(constant));
    samples.push_back(std::move(counting));
    samples.push_back(std::move(noise));
    samples.push_back(std::move(repeated));
  }
  return samples;
}

}  // namespace conformance

}  // namespace morsel::inline MORSEL_ABI
