// The laws of a Codec as a suite that any implementation can be run through.
#pragma once

#include <cstdint>
#include <functional>
#include <morsel/io/codec.hpp>
#include <vector>

namespace morsel::inline MORSEL_ABI {

namespace conformance {

/// Decoded bytes of chunks, each a whole number of elements.
using CodecSamples = std::vector<std::vector<std::byte>>;

struct CodecCheckOptions {
  std::uint64_t seed = 1;
  int threads = 4;
  int damages = 300;  ///< damaged versions of each encoded sample that are decoded
  /// True if `got` is what decoding may give for `sample`; null: equal bytes. For codecs with a documented
  /// rounding.
  std::function<bool(const std::vector<std::byte>& sample, const std::vector<std::byte>& got)> accepts;
};

/// Encodes and decodes the samples, then decodes them cut short and damaged, with guards around all memory
/// and exactly the room that was asked for. **Fails**: internal_error naming the law that is violated.
void check_codec(const AnyCodec& codec, const DType& dtype, const CodecSamples& samples,
                 const CodecCheckOptions& options = {});

/// The decoding half: `encoded[i]` was made by other software from `samples[i]`.
void check_codec_decodes(const AnyCodec& codec, const DType& dtype, const CodecSamples& encoded,
                         const CodecSamples& samples, const CodecCheckOptions& options = {});

/// Bytes that codecs find easy and hard: empty, one element, constant, counting, random, repeated;
/// `item_bytes` each element.
CodecSamples codec_samples(std::size_t item_bytes, std::uint64_t seed = 1);

}  // namespace conformance

}  // namespace morsel::inline MORSEL_ABI

#include <morsel/conformance/impl/codec.ipp>
