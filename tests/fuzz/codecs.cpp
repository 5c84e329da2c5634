// Any bytes as the stored bytes of a chunk: the codec that the first byte chooses decodes them, or refuses
// them as corrupt data. Bytes 1 and 2 say how many bytes the chunk has.
#include <cstdlib>
#include <morsel/io/codec_registry.hpp>
#include <vector>

using namespace morsel;

namespace {

struct Decoder {
  AnyCodec codec;
  Type type = Type::uint16;
  Index columns = 1;  // more than one: the chunk has a second axis
};

/// All codecs that need no configuration, and those that need one with some.
const std::vector<Decoder>& decoders() {
  static const std::vector<Decoder> all = [] {
    std::vector<Decoder> found;
    const auto add = [&](const std::string& name, const std::string& configuration, Type type = Type::uint16,
                         Index columns = 1) {
      try {
        found.push_back({find_codec(name, "fuzz")->make({name, configuration}, "fuzz"), type, columns});
      } catch (const Error&) {
        // It needs a configuration, or a library that this build lacks.
      }
    };
    for (const std::string& name : codec_names()) add(name, "{}");
    add("numcodecs.lzma", R"({"format": 2})");
    add("numcodecs.lzma", R"({"format": 3, "filters": [{"id": 3, "dist": 2}, {"id": 33, "preset": 1}]})");
    add("numcodecs.lzma", R"({"format": 3, "filters": [{"id": 4611686018427387905, "preset": 1}]})");
    for (const char* mode :
         {R"({"mode": "reversible"})", R"({"mode": "fixed_rate", "rate": 8})",
          R"({"mode": "fixed_precision", "precision": 11})",
          R"({"mode": "fixed_accuracy", "tolerance": 0.01})",
          R"({"mode": "expert", "minbits": 1, "maxbits": 500, "maxprec": 32, "minexp": -90})"})
      for (const Index columns : {1, 8})
        add("zfp", mode, columns == 1 ? Type::float32 : Type::float64, columns);
    add("zfp", R"({"mode": "reversible"})", Type::int32, 8);
    add("numcodecs.zfpy", "{}", Type::float64, 8);
    add("numcodecs.zfpy", "{}", Type::int64);
    add("numcodecs.packbits", "{}", Type::bool_);
    add("packbits", R"({"first_bit": 1, "last_bit": 5})");
    add("packbits", "{}", Type::bool_);
    add("bitround", R"({"keepbits": 5})", Type::float32);
    add("numcodecs.bitround", R"({"keepbits": 5})", Type::float64);
    add("cast_value", R"({"data_type": "int8"})", Type::float64);
    add("cast_value", R"({"data_type": "float32"})", Type::int16);
    add("scale_offset", R"({"offset": 3, "scale": 2})");
    add("numcodecs.astype", R"({"encode_dtype": "<f4", "decode_dtype": "<f8"})", Type::float64);
    add("numcodecs.fixedscaleoffset", R"({"offset": 1, "scale": 10, "dtype": "<f8", "astype": "<i2"})",
        Type::float64);
    add("numcodecs.quantize", R"({"digits": 2, "dtype": "<f4"})", Type::float32);
    add("numcodecs.delta", R"({"dtype": "<i4", "astype": "<i2"})", Type::int32);
    add("bytes", R"({"endian": "big"})", Type::complex128);
    add("transpose", R"({"order": [1, 0]})", Type::uint16, 8);
    add("reshape", R"({"shape": [-1, 2]})");
    add("n5.block", R"({"codecs": []})", Type::int32, 8);
    constexpr const char* filters[][2] = {
        {"hdf5.bitshuffle", "[0,4,2,0,0]"},
        {"hdf5.bitshuffle", "[0,4,4,64,2]"},
        {"hdf5.bitshuffle", "[0,4,2,0,3]"},
        {"hdf5.nbit", "[8,0,32,1,4,0,16,5]"},
        {"hdf5.nbit", "[18,0,16,3,8,2,0,1,2,0,11,3,4,2,4,1,2,1,9,2]"},
        {"hdf5.scaleoffset", "[2,0,32,0,4,1,0,1,7]"},
        {"hdf5.scaleoffset", "[0,2,32,1,8,1,0,0]"},
        {"hdf5.szip", "[169,8,16,32]"},
        {"hdf5.szip", "[141,16,32,50]"},
        {"hdf5.zfp", "[269504785,91252346,805306486,4293918720,3767042048,493487]"}};
    for (const auto& [name, numbers] : filters) add(name, std::string("{\"cd_values\":") + numbers + "}");
    return found;
  }();
  return all;
}

void try_to_decode(const Decoder& decoder, std::size_t bytes, std::span<const std::byte> encoded) {
  Shape shape{static_cast<Index>(bytes / item_bytes_of(decoder.type)) / decoder.columns};
  if (decoder.columns > 1) shape.push_back(decoder.columns);
  const DecodedSpec spec = DecodedSpec::array(decoder.type, shape);
  AnyCodec codec;
  try {
    codec = decoder.codec.prepare(spec);
  } catch (const Error&) {
    return;
  }
  std::vector<std::byte> out(spec.bytes), scratch(codec.scratch_bytes());
  try {
    if (codec.decode(encoded, out, scratch) > out.size()) std::abort();
  } catch (const Error& e) {
    if (e.code() != Errc::corrupt_data && e.code() != Errc::unsupported) std::abort();
  }
  if (!codec.decodes_parts() || spec.bytes < 8) return;
  bytes = spec.bytes;
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
  try_to_decode(decoders()[data[0] % decoders().size()], bytes, encoded);
  return 0;
}
