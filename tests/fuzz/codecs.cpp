// Any bytes as the stored bytes of a chunk: the codec that the first byte chooses decodes them, or refuses
// them as corrupt data. Bytes 1 and 2 say how many bytes the chunk has.
#include <cstdlib>
#include <morsel/io/codec_registry.hpp>
#include <vector>

using namespace morsel;

namespace {

AnyCodec make(const std::string& name, const std::string& configuration) {
  return find_codec(name, "fuzz")->make({name, configuration}, "fuzz");
}

/// All codecs that need no configuration, and the formats that one chooses.
const std::vector<AnyCodec>& codecs() {
  static const std::vector<AnyCodec> all = [] {
    std::vector<AnyCodec> found;
    for (const std::string& name : codec_names()) {
      try {
        found.push_back(make(name, "{}"));
      } catch (const Error&) {
      }
    }
    for (const char* configuration :
         {R"({"format": 2})", R"({"format": 3, "filters": [{"id": 3, "dist": 2}, {"id": 33, "preset": 1}]})",
          R"({"format": 3, "filters": [{"id": 4611686018427387905, "preset": 1}]})"})
      try {
        found.push_back(make("numcodecs.lzma", configuration));
      } catch (const Error&) {
      }
    return found;
  }();
  return all;
}

void try_to_decode(const AnyCodec& unprepared, std::size_t bytes, std::span<const std::byte> encoded) {
  DecodedSpec spec = DecodedSpec::array(Type::uint16, {static_cast<Index>(bytes / 2)});
  AnyCodec codec;
  try {
    codec = unprepared.prepare(spec);
  } catch (const Error&) {
    return;
  }
  std::vector<std::byte> out(spec.bytes), scratch(codec.scratch_bytes());
  try {
    if (codec.decode(encoded, out, scratch) > out.size()) std::abort();
  } catch (const Error& e) {
    if (e.code() != Errc::corrupt_data && e.code() != Errc::unsupported) std::abort();
  }
  if (!codec.decodes_parts() || bytes < 8) return;
  for (const std::size_t offset : {std::size_t{0}, bytes / 3, bytes / 2}) {
    std::vector<std::byte> part(bytes / 4);
    try {
      codec.decode_part(encoded, offset, part, scratch);
    } catch (const Error& e) {
      if (e.code() != Errc::corrupt_data && e.code() != Errc::unsupported) std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size < 3) return 0;
  const std::size_t bytes = data[1] * 256u + data[2];
  // Exactly as long as it is, so that a read behind it is seen.
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  const std::vector<std::byte> encoded(begin + 3, begin + size);
  try_to_decode(codecs()[data[0] % codecs().size()], bytes, encoded);
  return 0;
}
