// Codecs of arrays: against bytes that other software made, against hand-made ones, and through the suite.
#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <morsel/conformance/codec.hpp>
#include <morsel/io/codec_registry.hpp>
#include <morsel/io/vlen.hpp>
#include <nlohmann/json.hpp>
#include <support/failure.hpp>
#include <support/paths.hpp>
#include <support/seed.hpp>
#include <support/sha256.hpp>
#include <support/skip.hpp>

using namespace morsel;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

using Bytes = std::vector<std::byte>;

Bytes from_hex(const std::string& hex) {
  Bytes bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

std::string to_hex(const Bytes& bytes) {
  std::string hex;
  for (const std::byte byte : bytes) {
    hex += "0123456789abcdef"[std::to_integer<unsigned>(byte) >> 4];
    hex += "0123456789abcdef"[std::to_integer<unsigned>(byte) & 15];
  }
  return hex;
}

template <class T>
Bytes bytes_of(std::initializer_list<T> values) {
  Bytes bytes(values.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.begin(), bytes.size());
  return bytes;
}

AnyCodec make(const std::string& name, const json& config = json::object()) {
  return find_codec(name, "test")->make({name, config.is_null() ? "" : config.dump()}, "test");
}
AnyCodec make(const std::string& name, const json& config, const DType& dtype, const Shape& shape) {
  return make(name, config).prepare(DecodedSpec::array(dtype, shape));
}

Bytes encode(const AnyCodec& codec, const Bytes& values) {
  Bytes room(codec.max_encoded_bytes(values.size())), scratch(codec.scratch_bytes());
  room.resize(codec.encode(values, room, scratch));
  return room;
}
Bytes decode(const AnyCodec& codec, const Bytes& encoded, std::size_t room_bytes) {
  Bytes room(room_bytes), scratch(codec.scratch_bytes());
  room.resize(codec.decode(encoded, room, scratch));
  return room;
}

Bytes read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  Bytes bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

Shape shape_of(const json& extents) {
  Shape shape;
  for (const json& n : extents) shape.push_back(n.get<Index>());
  return shape;
}

template <class F>
Errc code_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.code();
  }
  return Errc::internal_error;  // none of those expected here
}

bool is_here(const std::string& name) {
  const std::vector<std::string> names = codec_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

TEST_CASE("codecs of arrays make the bytes that numcodecs, cast-value and zfpy make, and read them",
          "[codec]") {
  const json items = json::parse(std::ifstream(test::data_dir() / "codecs" / "array_codecs.json"));
  REQUIRE(items.size() > 500);
  std::size_t done = 0;
  for (const json& item : items) {
    const std::string name = item["name"];
    if (!is_here(name)) continue;
    INFO(name << " " << item["config"].dump() << " " << item["dtype"] << " " << item["shape"].dump());
    const DType dtype = parse_dtype(item["dtype"].get<std::string>());
    AnyCodec codec = make(name, item["config"]);
    codec = name == "numcodecs.shuffle"
                ? codec.prepare(DecodedSpec::byte_string(item["values"].get<std::string>().size() / 2))
                : codec.prepare(DecodedSpec::array(dtype, shape_of(item["shape"])));
    const Bytes values = from_hex(item["values"]), stored = from_hex(item["encoded"]),
                back = from_hex(item["back"]);
    if (to_hex(encode(codec, values)) != item["encoded"].get<std::string>())
      CHECK(to_hex(encode(codec, values)) == item["encoded"].get<std::string>());
    if (!back.empty() && to_hex(decode(codec, stored, values.size())) != item["back"].get<std::string>())
      CHECK(to_hex(decode(codec, stored, values.size())) == item["back"].get<std::string>());
    if (const std::string encoded_dtype = item["encoded_dtype"]; !encoded_dtype.empty()) {
      REQUIRE(codec.encoded_array());
      CHECK(codec.encoded_array()->dtype == parse_dtype(encoded_dtype));
      CHECK(codec.encoded_array()->bytes == stored.size());
    }
    ++done;
  }
  CHECK(done > 500);
}

TEST_CASE("codecs of arrays without loss obey the laws of codecs", "[codec][conformance]") {
  struct Row {
    const char* name;
    json config;
    DType dtype;
  };
  std::vector<Row> rows = {
      {"bytes", {{"endian", "little"}}, Type::float32},
      {"bytes", {{"endian", "big"}}, Type::complex128},
      {"bytes", {{"endian", "big"}}, DType::carried("U3", 12)},
      {"bytes", json::object(), DType::carried("S5", 5)},
      {"bytes",
       {{"endian", "big"}},
       DType::record({{"a", Type::int16, 0, {}}, {"b", Type::float64, 2, {}}}, 10)},
      {"transpose", {{"order", {0}}}, Type::int32},
      {"reshape", {{"shape", {-1, 1}}}, Type::int16},
      {"zarrs.squeeze", json::object(), DType::carried("V3", 3)},
      {"numcodecs.delta", {{"dtype", "<u8"}}, Type::uint64},
      {"numcodecs.delta", {{"dtype", "<i2"}, {"astype", "<i2"}}, Type::int16},
      {"delta", {{"dtype", "<i8"}}, DType::carried("M8[ns]", 8)},
      {"bitround", {{"keepbits", 64}}, Type::float32},
      {"numcodecs.astype", {{"encode_dtype", "<i8"}, {"decode_dtype", "<i4"}}, Type::int32},
      {"cast_value", {{"data_type", "int64"}}, Type::uint32},
      {"scale_offset", {{"offset", 0}, {"scale", 1}}, Type::int64},
      {"shuffle", {{"elementsize", 4}}, Type::int32},
      {"numcodecs.shuffle", {{"elementsize", 3}}, Type::int64},
      {"numcodecs.shuffle", {{"elementsize", 16}}, Type::uint8},
      {"packbits", json::object(), Type::float16},
      {"packbits", {{"padding_encoding", "last_byte"}}, Type::complex64},
      {"packbits", {{"padding_encoding", "first_byte"}}, Type::int64},
  };
#if MORSEL_HAVE_ZFP
  for (const Type type : {Type::int8, Type::int16, Type::uint8, Type::uint16, Type::int32})
    rows.push_back({"zfp", {{"mode", "reversible"}}, type});
  rows.push_back({"numcodecs.zfpy", json::object(), Type::int64});
#endif
  for (const Row& row : rows) {
    INFO(row.name << " " << row.config.dump() << " " << row.dtype.name());
    conformance::CodecCheckOptions options;
    options.seed = test::first_seed();
    options.damages = test::effort(60);
    options.threads = 2;
    conformance::CodecSamples samples = conformance::codec_samples(row.dtype.item_bytes());
    if (std::string_view(row.name) == "zfp")  // of the highest bits of an integer zfp keeps all but one
      for (Bytes& sample : samples)
        if (row.dtype.item_bytes() == 4)
          for (std::size_t i = 3; i < sample.size(); i += 4) sample[i] &= std::byte{0x1f};
    if (std::string_view(row.name) == "numcodecs.zfpy")
      for (Bytes& sample : samples)
        for (std::size_t i = 7; i < sample.size(); i += 8) sample[i] &= std::byte{0x1f};
    conformance::check_codec(make(row.name, row.config), row.dtype, samples, options);
    SUCCEED();
  }
  conformance::CodecSamples flags = conformance::codec_samples(1);
  for (Bytes& sample : flags)
    for (std::byte& flag : sample) flag &= std::byte{1};
  conformance::CodecCheckOptions few;
  few.damages = 60;
  for (const char* name : {"bytes", "packbits", "numcodecs.packbits", "numcodecs.delta"})
    conformance::check_codec(make(name), Type::bool_, flags, few);
}

TEST_CASE("filters of Zarr v2 see bytes as their own configuration says", "[codec]") {
  // 1000, 1002, 1001 big-endian; differences as little-endian int32.
  const json config{{"dtype", ">i2"}, {"astype", "<i4"}};
  const AnyCodec codec = make("numcodecs.delta", config).prepare(DecodedSpec::byte_string(12));
  const Bytes values = from_hex("03e803ea03e9"), stored = from_hex("e803000002000000ffffffff");
  CHECK(to_hex(encode(codec, values)) == to_hex(stored));
  CHECK(to_hex(decode(codec, stored, 12)) == to_hex(values));
  REQUIRE(codec.encoded_array());
  CHECK_FALSE(codec.encoded_array()->is_array);
  CHECK(codec.encoded_array()->bytes == 24);
  CHECK(code_of([&] { decode(codec, from_hex("e80300"), 12); }) == Errc::corrupt_data);
  CHECK(code_of([&] { decode(codec, Bytes(28), 100); }) == Errc::corrupt_data);
  CHECK(code_of([&] { decode(codec, stored, 5); }) == Errc::corrupt_data);
  const AnyCodec bits = make("numcodecs.packbits").prepare(DecodedSpec::byte_string(20));
  CHECK(to_hex(decode(bits, from_hex("0490"), 20)) == "01000001");
  CHECK(to_hex(encode(bits, from_hex("01000001"))) == "0490");
  for (const char* bad : {"", "0890", "01", "03ffffff"})
    CHECK(code_of([&] { decode(bits, from_hex(bad), 20); }) == Errc::corrupt_data);
  // An array's byte order is the business of the codec 'bytes'.
  CHECK(code_of([&] { make("numcodecs.delta", config, Type::int16, {3}); }) == Errc::unsupported);
  CHECK(code_of([&] { make("numcodecs.delta", {{"dtype", "<i4"}}, Type::int16, {3}); }) == Errc::unsupported);
  CHECK(code_of([&] { make("numcodecs.delta").prepare(DecodedSpec::byte_string(8)); }) == Errc::corrupt_data);
}

TEST_CASE("the codec bytes swaps what has a byte order and makes spare bits what they stand for", "[codec]") {
  CHECK(to_hex(encode(make("bytes", {{"endian", "big"}}, Type::int16, {2}), from_hex("01020304"))) ==
        "02010403");
  CHECK(to_hex(decode(make("bytes", {{"endian", "big"}}, Type::complex64, {1}), from_hex("0001020304050607"),
                      8)) == "0302010007060504");
  CHECK(to_hex(decode(make("bytes", {}, Type::bool_, {4}), from_hex("0001ff02"), 4)) == "00010101");
  const auto small = [](const char* name) { return DType::carried(name, 1); };
  CHECK(to_hex(decode(make("bytes", {}, small("int4"), {4}), from_hex("f8080775"), 4)) == "f8f80705");
  CHECK(to_hex(decode(make("bytes", {}, small("uint4"), {2}), from_hex("f80f"), 2)) == "080f");
  CHECK(to_hex(decode(make("bytes", {}, small("int2"), {4}), from_hex("00010203"), 4)) == "0001feff");
  CHECK(to_hex(decode(make("bytes", {}, small("uint2"), {2}), from_hex("fe03"), 2)) == "0203");
  CHECK(to_hex(decode(make("bytes", {}, small("float8_e4m3"), {2}), from_hex("fe83"), 2)) == "fe83");
  CHECK(code_of([] { make("bytes", {}, Type::int16, {2}); }) == Errc::corrupt_data);
  CHECK(code_of([] { make("bytes", {{"endian", "middle"}}); }) == Errc::corrupt_data);
  CHECK(code_of([] { make("bytes").prepare(DecodedSpec::byte_string(8)); }) == Errc::corrupt_data);
  const DType record =
      DType::record({{"a", Type::bool_, 0, {}}, {"b", Type::int16, 1, {}}, {"c", small("int4"), 3, {}}}, 4);
  CHECK(to_hex(decode(make("bytes", {{"endian", "big"}}, record, {2}), from_hex("0901020800030408"), 8)) ==
        "010201f8000403f8");
}

TEST_CASE("parts of what the codec bytes made are those of the whole", "[codec]") {
  const DType record = DType::record({{"a", Type::int32, 0, {}}, {"b", DType::carried("S1", 1), 4, {}}}, 5);
  for (const auto& [dtype, config] : {std::pair<DType, json>{record, {{"endian", "big"}}},
                                      {Type::int32, {{"endian", "big"}}},
                                      {Type::int32, {{"endian", "little"}}}}) {
    const std::size_t bytes = 4 * dtype.item_bytes();
    const AnyCodec codec = make("bytes", config, dtype, {4});
    REQUIRE(codec.decodes_parts());
    Bytes stored(bytes), scratch(codec.scratch_bytes());
    for (std::size_t i = 0; i < bytes; ++i) stored[i] = static_cast<std::byte>(i);
    const Bytes whole = decode(codec, stored, bytes);
    for (std::size_t lo = 0; lo <= bytes; ++lo)
      for (std::size_t hi = lo; hi <= bytes; ++hi) {
        Bytes part(hi - lo);
        codec.decode_part(stored, lo, part, scratch);
        if (!std::equal(part.begin(), part.end(), whole.begin() + static_cast<std::ptrdiff_t>(lo)))
          FAIL_CHECK("part " << lo << " to " << hi << " of " << dtype.name());
      }
    Bytes beyond(bytes);
    CHECK(code_of([&] { codec.decode_part(stored, 1, beyond, scratch); }) == Errc::corrupt_data);
  }
}

TEST_CASE("transpose and reshape change shapes as NumPy does", "[codec]") {
  // numpy.arange(24).reshape(2, 3, 4).transpose(2, 0, 1)
  Bytes values(24), moved;
  for (std::size_t i = 0; i < 24; ++i) values[i] = static_cast<std::byte>(i);
  for (unsigned k = 0; k < 4; ++k)
    for (unsigned i = 0; i < 2; ++i)
      for (unsigned j = 0; j < 3; ++j) moved.push_back(static_cast<std::byte>(i * 12 + j * 4 + k));
  const Shape shape{2, 3, 4};
  const AnyCodec codec = make("transpose", {{"order", {2, 0, 1}}}, Type::uint8, shape);
  CHECK(codec.encoded_array()->shape == Shape{4, 2, 3});
  CHECK(to_hex(encode(codec, values)) == to_hex(moved));
  CHECK(to_hex(decode(codec, moved, 24)) == to_hex(values));
  CHECK(make("transpose", {{"order", "F"}}, Type::uint8, shape).encoded_array()->shape == Shape{4, 3, 2});
  CHECK(make("transpose", {{"order", "C"}}, Type::uint8, shape).encoded_array()->shape == shape);
  for (const json& order : {json({0, 0, 1}), json({0, 1, 3}), json({0, 1, -1}), json("K"), json(3), json()})
    CHECK(code_of([&] { make("transpose", {{"order", order}}); }) == Errc::corrupt_data);
  CHECK(code_of([&] { make("transpose", {{"order", {1, 0}}}, Type::uint8, shape); }) == Errc::corrupt_data);

  const auto reshaped = [&](const json& to) {
    return make("reshape", {{"shape", to}}, Type::uint8, shape).encoded_array()->shape;
  };
  CHECK(reshaped({24}) == Shape{24});
  CHECK(reshaped({6, -1}) == Shape{6, 4});
  CHECK(reshaped(json::parse("[[0, 1], [2]]")) == Shape{6, 4});
  CHECK(reshaped(json::parse("[[0], 3, 2, -1]")) == Shape{2, 3, 2, 2});
  for (const char* bad : {"[23]", "[5, -1]", "[[1], [0], 4]", "[[0, 2], 3]", "[3, [1], -1]", "[[3], 24]",
                          "[4611686018427387904, 4611686018427387904]"}) {
    INFO(bad);
    const Errc code = code_of([&] { reshaped(json::parse(bad)); });
    CHECK((code == Errc::corrupt_data || code == Errc::overflow));
  }
  for (const char* bad : {"[0]", "[-1, -1]", "[-2]", "[1.5]", "[\"a\"]", "3", "null"})
    CHECK(code_of([&] { reshaped(json::parse(bad)); }) == Errc::corrupt_data);
  const auto squeezed = [](const Shape& from) {
    return make("zarrs.squeeze", {}, Type::uint8, from).encoded_array()->shape;
  };
  CHECK(squeezed({1, 3, 1, 2}) == Shape{3, 2});
  CHECK(squeezed({1, 1}) == Shape{1});
}

TEST_CASE("packbits keeps the bits it is told to, the lowest first", "[codec]") {
  const DType int4 = DType::carried("int4", 1);
  // Bytes that zarrs stores for -8 ... 5.
  const Bytes nibbles = from_hex("f8f9fafbfcfd000102030405");
  CHECK(to_hex(encode(make("packbits", {}, int4, {12}), nibbles)) == "98badc103254");
  CHECK(to_hex(decode(make("packbits", {}, int4, {12}), from_hex("98badc103254"), 12)) == to_hex(nibbles));
  const Bytes flags = from_hex("010001010000000001");
  CHECK(to_hex(encode(make("packbits", {}, Type::bool_, {9}), flags)) == "0d01");
  const json first{{"padding_encoding", "first_byte"}}, last{{"padding_encoding", "last_byte"}};
  CHECK(to_hex(encode(make("packbits", first, Type::bool_, {9}), flags)) == "070d01");
  CHECK(to_hex(encode(make("packbits", last, Type::bool_, {9}), flags)) == "0d0107");
  CHECK(to_hex(decode(make("packbits", last, Type::bool_, {9}), from_hex("0d0107"), 9)) == to_hex(flags));
  CHECK(code_of([&] { decode(make("packbits", last, Type::bool_, {9}), from_hex("0d0106"), 9); }) ==
        Errc::corrupt_data);
  // Bits 2 to 6 of 0b01101100 and, negative, 0b11011000.
  const json middle{{"first_bit", 2}, {"last_bit", 6}};
  CHECK(to_hex(encode(make("packbits", middle, Type::int8, {2}), from_hex("6cd8"))) == "db02");
  CHECK(to_hex(decode(make("packbits", middle, Type::int8, {2}), from_hex("db02"), 2)) == "ecd8");
  CHECK(to_hex(decode(make("packbits", middle, Type::uint8, {2}), from_hex("db02"), 2)) == "6c58");
  const json high{{"first_bit", 8}, {"last_bit", nullptr}};
  CHECK(to_hex(decode(make("packbits", high, Type::int16, {2}), from_hex("80ff"), 4)) == "008000ff");
  CHECK(code_of([] { make("packbits", {{"last_bit", 8}}, Type::int8, {2}); }) == Errc::corrupt_data);
  CHECK(code_of([] { make("packbits", {{"padding_encoding", "both"}}); }) == Errc::corrupt_data);
  CHECK(code_of([] { make("packbits", {}, DType::carried("S5", 5), {2}); }) == Errc::unsupported);
}

TEST_CASE("bitround rounds integers from their highest bit and leaves NaN alone", "[codec]") {
  const auto rounded = [](const Bytes& values, const DType& dtype, int keep) {
    const Index n = static_cast<Index>(values.size() / dtype.item_bytes());
    return encode(make("bitround", {{"keepbits", keep}}, dtype, {n}), values);
  };
  // The table of the codec's sample data.
  CHECK(rounded(bytes_of<std::uint8_t>({0, 1, 10, 11, 100, 123, 200, 208, 209, 255}), Type::uint8, 3) ==
        bytes_of<std::uint8_t>({0, 1, 10, 12, 96, 128, 192, 192, 224, 224}));
  CHECK(rounded(bytes_of<std::int16_t>({-100, -123, 100, -32768, 32767}), Type::int16, 3) ==
        bytes_of<std::int16_t>({-96, -128, 96, -32768, 28672}));
  CHECK(to_hex(rounded(from_hex("ffffff7f0100807f"), Type::float32, 2)) == "ffffff7f0100807f");
  CHECK(to_hex(rounded(from_hex("813f"), DType::carried("bfloat16", 2), 3)) == "803f");
  CHECK(code_of([&] { rounded(from_hex("00"), Type::bool_, 3); }) == Errc::unsupported);
  CHECK(code_of([] { make("bitround"); }) == Errc::corrupt_data);
}

TEST_CASE("scale_offset computes in the array's type and refuses what does not fit it", "[codec]") {
  const json config{{"offset", 5}, {"scale", 3}};
  const AnyCodec ints = make("scale_offset", config, Type::int8, {3});
  CHECK(encode(ints, bytes_of<std::int8_t>({5, 6, -30})) == bytes_of<std::int8_t>({0, 3, -105}));
  CHECK(decode(ints, bytes_of<std::int8_t>({0, 3, -105}), 3) == bytes_of<std::int8_t>({5, 6, -30}));
  CHECK(code_of([&] { encode(ints, bytes_of<std::int8_t>({5, 100, 0})); }) == Errc::invalid_argument);
  CHECK(code_of([&] { decode(ints, bytes_of<std::int8_t>({1, 0, 0}), 3); }) == Errc::corrupt_data);
  const AnyCodec negative = make("scale_offset", {{"scale", -1}}, Type::int32, {1});
  CHECK(code_of([&] { decode(negative, from_hex("00000080"), 4); }) == Errc::corrupt_data);
  // 0.1f and 3e-1 rounded to float: (1.5f - 0.1f) * 0.3f.
  const AnyCodec floats = make("scale_offset", {{"offset", 0.1}, {"scale", 0.3}}, Type::float32, {1});
  CHECK(encode(floats, bytes_of<float>({1.5f})) == bytes_of<float>({(1.5f - 0.1f) * 0.3f}));
  CHECK(code_of([] { make("scale_offset", {{"offset", 300}}, Type::uint8, {1}); }) == Errc::corrupt_data);
  CHECK(code_of([] { make("scale_offset", {{"scale", 0}}, Type::uint8, {1}); }) == Errc::corrupt_data);
  CHECK(code_of([] { make("scale_offset", {{"factor", 2}}); }) == Errc::unsupported);
}

TEST_CASE("cast_value maps exceptions and refuses values that do not fit", "[codec]") {
  const json config{{"data_type", "uint8"},
                    {"rounding", "towards-zero"},
                    {"scalar_map", json::parse(R"({"encode": [["NaN", 255]], "decode": [[255, "NaN"]]})")}};
  const AnyCodec codec = make("cast_value", config, Type::float32, {3});
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(encode(codec, bytes_of<float>({1.9f, nan, 250.f})) == bytes_of<std::uint8_t>({1, 255, 250}));
  const Bytes back = decode(codec, bytes_of<std::uint8_t>({1, 255, 250}), 12);
  CHECK(to_hex(back) == to_hex(bytes_of<float>({1.f, nan, 250.f})));
  CHECK(code_of([&] { encode(codec, bytes_of<float>({256.f, 0, 0})); }) == Errc::invalid_argument);
  const AnyCodec narrow = make("cast_value", {{"data_type", "int32"}}, Type::uint8, {1});
  CHECK(code_of([&] { decode(narrow, bytes_of<std::int32_t>({256}), 1); }) == Errc::corrupt_data);
  const AnyCodec clamped =
      make("cast_value", {{"data_type", "float32"}, {"out_of_range", "clamp"}}, Type::float64, {2});
  CHECK(encode(clamped, bytes_of<double>({1e300, -1e300})) ==
        bytes_of<float>({std::numeric_limits<float>::max(), std::numeric_limits<float>::lowest()}));
  const AnyCodec infinite =
      make("cast_value", {{"data_type", "int8"}, {"out_of_range", "clamp"}}, Type::float64, {1});
  CHECK(encode(infinite, bytes_of<double>({-std::numeric_limits<double>::infinity()})) ==
        bytes_of<std::int8_t>({-128}));
  CHECK(code_of([&] { encode(infinite, bytes_of<double>({std::nan("")})); }) == Errc::invalid_argument);
  CHECK(code_of([] {
          make("cast_value", {{"data_type", "float32"}, {"out_of_range", "wrap"}});
        }) == Errc::corrupt_data);
  CHECK(code_of([] { make("cast_value", {{"data_type", "bool"}}); }) == Errc::unsupported);
  CHECK(code_of([] {
          make("cast_value", {{"data_type", "int8"}, {"rounding", "up"}});
        }) == Errc::corrupt_data);
  CHECK(code_of([] { make("cast_value"); }) == Errc::corrupt_data);
}

#if MORSEL_HAVE_ZFP
TEST_CASE("zfp trusts neither headers nor lengths", "[codec]") {
  const json config{{"mode", 2}, {"rate", 16}};
  const AnyCodec codec = make("numcodecs.zfpy", config, Type::float32, {5, 6});
  Bytes values(120);
  for (std::size_t i = 0; i < 30; ++i) {
    const float x = static_cast<float>(i) * 0.5f;
    std::memcpy(values.data() + 4 * i, &x, 4);
  }
  const Bytes stored = encode(codec, values);
  CHECK(decode(codec, stored, 120).size() == 120);
  for (const Shape& other : {Shape{6, 5}, Shape{30}, Shape{5, 6, 1}, Shape{5, 7}})
    CHECK(code_of([&] { decode(make("numcodecs.zfpy", config, Type::float32, other), stored, 4 * 64); }) ==
          Errc::corrupt_data);
  CHECK(code_of([&] {
          decode(make("numcodecs.zfpy", config, Type::int32, {5, 6}), stored, 120);
        }) == Errc::corrupt_data);
  Bytes longer = stored;
  longer.resize(longer.size() + 8);
  CHECK(code_of([&] { decode(codec, longer, 120); }) == Errc::corrupt_data);
  CHECK(code_of([&] { decode(codec, stored, 119); }) == Errc::corrupt_data);
  CHECK(code_of([] { make("zfp", {{"mode", "best"}}); }) == Errc::corrupt_data);
  CHECK(code_of([] { make("zfp", {{"mode", "fixed_rate"}}); }) == Errc::corrupt_data);
  CHECK(code_of([] { make("zfp", {{"mode", "reversible"}}, Type::complex64, {4}); }) == Errc::unsupported);
  CHECK(code_of([] {
          make("zfp", {{"mode", "reversible"}}, Type::int32, {1, 1, 1, 1, 4});
        }) == Errc::unsupported);
  const json expert{
      {"mode", "expert"}, {"minbits", 1}, {"maxbits", 16658}, {"maxprec", 64}, {"minexp", -1074}};
  const AnyCodec own = make("zfp", expert, Type::int32, {5, 6});
  CHECK(decode(own, encode(own, values), 120).size() == 120);
}
#endif

TEST_CASE("codecs that do not exist are refused by name", "[codec]") {
  for (const char* name : {"vlen-utf8", "numcodecs.vlen-bytes", "numcodecs.vlen-array", "zarrs.vlen",
                           "zarrs.optional", "numcodecs.base64", "numcodecs.categorize", "numcodecs.pcodec",
                           "numcodecs.pickle", "conditional", "nonsense"}) {
    INFO(name);
    CHECK_FALSE(is_here(name));
    CHECK(code_of([&] { find_codec(name, "test"); }) == Errc::unsupported);
    CHECK(morsel_test::failure_of([&] { find_codec(name, "test"); }).find(name) != std::string::npos);
  }
}

TEST_CASE("strings of a chunk are found where their lengths say, or refused", "[codec][vlen]") {
  // numcodecs.VLenUTF8().encode(["a", "", "ß€"])
  const Bytes stored = from_hex(
      "030000000100000061000000000500"
      "0000c39fe282ac");
  CHECK(parse_vlen(stored, 3, "test") == std::vector<VlenItem>{{8, 1}, {13, 0}, {17, 5}});
  CHECK(parse_vlen(from_hex("00000000"), 0, "test").empty());
  CHECK(code_of([&] { parse_vlen(stored, 2, "test"); }) == Errc::corrupt_data);
  for (std::size_t cut = 0; cut < stored.size(); ++cut)
    CHECK(code_of([&] { parse_vlen(std::span(stored).first(cut), 3, "test"); }) == Errc::corrupt_data);
  Bytes longer = stored;
  longer.push_back(std::byte{0});
  CHECK(code_of([&] { parse_vlen(longer, 3, "test"); }) == Errc::corrupt_data);
  CHECK(code_of([&] { parse_vlen(from_hex("ffffffff"), 0xffffffffu, "test"); }) == Errc::corrupt_data);
}

namespace {

/// How far the values of a lossy codec may be from what it was given, around 1000; 0: not at all.
double largest_error(const std::string& id, const json& config) {
  if (id == "fixedscaleoffset") return 0.5 / config["scale"].get<double>() + 1e-11;
  if (id == "quantize")
    return 0.5 * std::pow(10., -config["digits"].get<int>()) + (config["astype"] == "<f2" ? 0.5 : 1e-4);
  if (id == "astype" && config["encode_dtype"] == "<f4") return 1e-4;
  return 0;
}

}  // namespace

TEST_CASE("fixtures of numcodecs decode to the recorded arrays", "[codec][conformance]") {
  const fs::path dir = test::conformance_dir();
  if (dir.empty()) MORSEL_SKIP("no conformance set");
  const json all = json::parse(std::ifstream(dir / "expected.json"));
  std::size_t done = 0;
  for (const json& item : all["items"]) {
    if (item["format"] != "codec") continue;
    json config = item["config"];
    const std::string id = config["id"], name = "numcodecs." + id;
    bool wanted = false;
    for (const char* known :
         {"delta", "fixedscaleoffset", "quantize", "packbits", "astype", "shuffle", "zfpy"})
      wanted |= id == known;
    if (!wanted || !is_here(name)) continue;
    config.erase("id");
    for (const json& entry : item["entries"]) {
      INFO(item["item"] << " " << entry["index"]);
      const auto bytes = entry["decoded_nbytes"].get<std::size_t>();
      AnyCodec codec = make(name, config);
      codec = id == "zfpy" ? codec.prepare(DecodedSpec::array(parse_dtype(entry["dtype"].get<std::string>()),
                                                              shape_of(entry["shape"])))
                           : codec.prepare(DecodedSpec::byte_string(bytes));
      Bytes values = decode(codec, read_file(dir / entry["encoded"].get<std::string>()), bytes);
      const Bytes file = read_file(dir / entry["array"].get<std::string>());
      REQUIRE(file.size() > bytes);
      // Where a codec loses something, the recorded array is the one that it was given.
      if (const double error = largest_error(id, config); error > 0) {
        const std::byte* original = file.data() + file.size() - bytes;
        double largest = 0;
        for (std::size_t at = 0; at < bytes; at += 8) {
          double x, y;
          std::memcpy(&x, values.data() + at, 8);
          std::memcpy(&y, original + at, 8);
          largest = std::max(largest, std::abs(x - y));
        }
        CHECK(largest <= error);
      } else {
        if (entry.value("memory_order", "C") == "F") {  // recorded in C order
          const Shape shape = shape_of(entry["shape"]);
          Shape reversed(shape.size());
          std::reverse_copy(shape.begin(), shape.end(), reversed.begin());
          const DType dtype = parse_dtype(entry["dtype"].get<std::string>());
          values = encode(make("transpose", {{"order", "F"}}, dtype, reversed), values);
        }
        CHECK(test::sha256(values) == entry["decoded_sha256"].get<std::string>());
      }
      ++done;
    }
  }
  CHECK(done >= 55);
}

TEST_CASE("chunks that zarrs packed and zfp compressed decode to the recorded arrays",
          "[codec][conformance]") {
  const fs::path dir = test::conformance_dir();
  if (dir.empty()) MORSEL_SKIP("no conformance set");
  const json all = json::parse(std::ifstream(dir / "expected.json"));
  std::size_t done = 0;
  for (const json& item : all["items"]) {
    if (item["format"] != "zarr_v3" || !item.contains("root") || !item.contains("expect")) continue;
    std::ifstream file(dir / item["root"].get<std::string>() / "zarr.json");
    if (!file || item["root"].get<std::string>().find("/regular/") == std::string::npos) continue;
    const json array = json::parse(file);
    if (array["codecs"].size() != 1) continue;
    const json& chosen = array["codecs"][0];
    const std::string name = chosen["name"];
    if ((name != "packbits" && name != "zfp" && name != "bytes") || !is_here(name)) continue;
    INFO(item["item"]);
    const json& type = array["data_type"];
    std::string type_name = type.is_string() ? type.get<std::string>() : "M8[s]";
    if (type_name == "complex_float32") type_name = "complex64";
    if (type_name == "complex_float64") type_name = "complex128";
    if (type_name.starts_with("r")) type_name = "V" + std::to_string(std::stoi(type_name.substr(1)) / 8);
    if (!type.is_string() && type["name"].get<std::string>().find("numpy.") != 0) continue;
    const DType dtype = type_name.starts_with("complex_float8") ? DType::carried(type_name, 2)
                        : type_name == "float8_e4m3"            ? DType::carried(type_name, 1)
                                                                : parse_dtype(type_name);
    const Shape shape = shape_of(array["shape"]),
                chunk = shape_of(array["chunk_grid"]["configuration"]["chunk_shape"]);
    Bytes values(static_cast<std::size_t>(size_of(shape)) * dtype.item_bytes());
    const BufferView view = BufferView::c_order(values.data(), shape, dtype.item_bytes());
    const AnyCodec codec = make(name, chosen.value("configuration", json::object()), dtype, chunk);
    bool is_whole = shape.size() == 2;
    for (Index i = 0; is_whole && i < shape[0] / chunk[0]; ++i)
      for (Index j = 0; j < shape[1] / chunk[1]; ++j) {
        const fs::path path =
            dir / item["root"].get<std::string>() / "c" / std::to_string(i) / std::to_string(j);
        is_whole &= fs::exists(path);
        if (!is_whole) break;
        Bytes elements = decode(codec, read_file(path), DecodedSpec::array(dtype, chunk).bytes);
        const Region at{Dims{i * chunk[0], j * chunk[1]}, Dims{(i + 1) * chunk[0], (j + 1) * chunk[1]}};
        copy_elements(BufferView::c_order(elements.data(), chunk, dtype.item_bytes()),
                      view.part(Region::of(shape), at));
      }
    if (!is_whole) continue;  // chunks of fill values are not stored
    CHECK(test::sha256(values) == item["expect"]["sha256"].get<std::string>());
    ++done;
  }
  CHECK(done >= 20);
}
