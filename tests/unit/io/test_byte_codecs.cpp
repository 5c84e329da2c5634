// The codecs that turn bytes into bytes: the laws of codecs, streams made by other software, and damage.
#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <morsel/conformance/codec.hpp>
#include <morsel/io/codec_chain.hpp>
#include <morsel/io/codec_registry.hpp>
#include <nlohmann/json.hpp>
#include <numeric>
#include <support/failure.hpp>
#include <support/paths.hpp>
#include <support/seed.hpp>
#include <support/skip.hpp>

#include "codec_streams.hpp"

using namespace morsel;
using Catch::Matchers::Contains;
using Bytes = std::vector<std::byte>;

namespace {

bool has_codec(const std::string& name) {
  const std::vector<std::string> names = codec_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

AnyCodec make_codec(const std::string& name, const std::string& configuration = "{}") {
  return find_codec(name, "test")->make({name, configuration}, "test");
}

AnyCodec prepared(const std::string& name, const std::string& configuration, std::size_t bytes,
                  const DType& dtype = Type::uint8) {
  DecodedSpec spec = DecodedSpec::byte_string(bytes);
  spec.dtype = dtype;
  return make_codec(name, configuration).prepare(spec);
}

Bytes decode(const AnyCodec& codec, const Bytes& encoded, std::size_t room_bytes) {
  Bytes room(room_bytes), scratch(codec.scratch_bytes());
  room.resize(codec.decode(encoded, room, scratch));
  return room;
}

Bytes encode(const AnyCodec& codec, const Bytes& values) {
  Bytes room(codec.max_encoded_bytes(values.size())), scratch(codec.scratch_bytes());
  room.resize(codec.encode(values, room, scratch));
  return room;
}

/// The message, and that it is of corrupt data.
std::string damage(const AnyCodec& codec, const Bytes& encoded, std::size_t room_bytes) {
  const std::string text = morsel_test::failure_of([&] { decode(codec, encoded, room_bytes); });
  CHECK_THAT(text, Catch::Matchers::StartsWith("corrupt_data: decoding "));
  return text;
}

Bytes text_bytes(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  return {bytes.begin(), bytes.end()};
}

conformance::CodecSamples samples_of(std::size_t item_bytes) {
  conformance::CodecSamples samples = conformance::codec_samples(item_bytes, test::first_seed());
  Bytes large(200'000);
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<std::byte>(i * i / 1000);
  large.resize(large.size() / item_bytes * item_bytes);
  samples.push_back(std::move(large));
  return samples;
}

struct Setting {
  const char* codec;
  const char* configuration;
  Type type = Type::int32;
};

}  // namespace

TEST_CASE("every codec of bytes keeps the laws of codecs", "[io][codec]") {
  const Setting settings[] = {
      {"gzip", R"({"level": 1})"},
      {"gzip", R"({"level": 9})"},
      {"numcodecs.gzip", R"({"level": 0, "later": 1})"},
      {"numcodecs.zlib", R"({"level": -1})"},
      {"zlib", R"({"level": 6})", Type::float64},
      {"zstd", R"({"level": 0, "checksum": true})"},
      {"zstd", R"({"level": 5, "checksum": false})"},
      {"numcodecs.zstd", R"({"level": -7})"},
      {"numcodecs.zstd", R"({"level": 22})", Type::int16},
      {"numcodecs.lz4", R"({"acceleration": 1})"},
      {"lz4", R"({"acceleration": 100})"},
      {"n5.lz4", R"({"blockSize": 65536})"},
      {"n5.lz4", R"({"blockSize": 1000})"},
      {"numcodecs.bz2", R"({"level": 1})"},
      {"bz2", R"({"level": 9})"},
      {"lzma", "{}"},
      {"numcodecs.lzma", R"({"format": 1, "check": 10, "preset": 1, "filters": null})"},
      {"numcodecs.lzma", R"({"format": 2, "preset": 9})"},
      {"numcodecs.lzma", R"({"format": 3, "filters": [{"id": 3, "dist": 4}, {"id": 33, "preset": 1}]})"},
      {"numcodecs.lzma", R"({"format": 3, "filters": [{"id": 4611686018427387905, "preset": 1}]})"},
      {"blosc", R"({"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": 4, "blocksize": 0})"},
      {"blosc",
       R"({"cname": "zstd", "clevel": 1, "shuffle": "bitshuffle", "typesize": 4, "blocksize": 256})"},
      {"blosc", R"({"cname": "blosclz", "clevel": 9, "shuffle": "noshuffle", "blocksize": 1024})"},
      {"blosc", R"({"cname": "zlib", "clevel": 3, "shuffle": "shuffle", "typesize": 7, "blocksize": 0})"},
      {"blosc", R"({"cname": "lz4", "clevel": 0, "shuffle": "shuffle", "typesize": 4})"},
      {"numcodecs.blosc", R"({"cname": "lz4hc", "clevel": 5, "shuffle": -1, "blocksize": 0})", Type::int16},
      {"numcodecs.blosc", R"({"cname": "lz4", "clevel": 5, "shuffle": -1, "blocksize": 0})", Type::uint8},
      {"numcodecs.blosc", R"({"cname": "lz4", "clevel": 5, "shuffle": 1, "typesize": 300})"},
      {"crc32c", "{}"},
      {"numcodecs.crc32c", R"({"location": "start"})"},
      {"numcodecs.crc32", "{}"},
      {"numcodecs.adler32", R"({"location": "end"})"},
      {"numcodecs.fletcher32", "{}"},
      {"numcodecs.jenkins_lookup3", R"({"initval": 7, "prefix": [1, 2, 3]})"},
  };
  for (const Setting& setting : settings) {
    if (!has_codec(setting.codec)) continue;
    INFO(setting.codec << " " << setting.configuration);
    conformance::CodecCheckOptions options;
    options.seed = test::first_seed();
    options.damages = test::effort(30);
    options.threads = 2;
    conformance::check_codec(make_codec(setting.codec, setting.configuration), setting.type,
                             samples_of(item_bytes_of(setting.type)), options);
    SUCCEED();
  }
}

TEST_CASE("streams that other software made decode to the bytes that it encoded", "[io][codec]") {
  const Bytes payload = test::codec_payload();
  for (const test::EncodedPayload& row : test::encoded_payloads) {
    INFO(row.what << ": " << row.codec << " " << row.configuration);
    if (!has_codec(row.codec)) continue;
    conformance::CodecCheckOptions options;
    options.seed = test::first_seed();
    options.threads = 2;
    CHECK_NOTHROW(conformance::check_codec_decodes(make_codec(row.codec, row.configuration), Type::uint8,
                                                   {test::encoded_bytes(row.hex)}, {payload}, options));
  }
}

TEST_CASE("codecs without a choice encode the bytes that other software encodes", "[io][codec]") {
  const Bytes payload = test::codec_payload();
  int compared = 0;
  for (const test::EncodedPayload& row : test::encoded_payloads) {
    if (!has_codec(row.codec)) continue;
    // Checksums around the payload itself.
    if (row.hex.find('P') == std::string_view::npos || std::string_view(row.codec).find("blosc") < 20)
      continue;
    INFO(row.what);
    CHECK(encode(make_codec(row.codec, row.configuration).prepare(DecodedSpec::byte_string(payload.size())),
                 payload) == test::encoded_bytes(row.hex));
    ++compared;
  }
  CHECK(compared >= 5);
}

TEST_CASE("the streams of numcodecs decode to their arrays", "[io][codec]") {
  const std::filesystem::path dir = test::conformance_dir();
  if (dir.empty()) MORSEL_SKIP("no conformance files");
  const auto read = [&](const std::string& name) {
    std::ifstream file(dir / name, std::ios::binary);
    REQUIRE(file.good());
    return text_bytes({std::istreambuf_iterator<char>(file), {}});
  };
  std::ifstream in(dir / "expected.json");
  const nlohmann::json expected = nlohmann::json::parse(in);
  std::map<std::string, int> decoded;
  for (const auto& item : expected.at("items")) {
    if (item.value("format", "") != "codec") continue;
    nlohmann::json config = item.at("config");
    const auto id = config.at("id").get<std::string>();
    const std::string name = "numcodecs." + id;
    const char* ids[] = {"gzip",  "zlib",  "zstd",   "lz4",     "bz2",        "lzma",
                         "blosc", "crc32", "crc32c", "adler32", "fletcher32", "jenkins_lookup3"};
    if (std::find(std::begin(ids), std::end(ids), id) == std::end(ids) || !has_codec(name)) continue;
    config.erase("id");
    for (const auto& entry : item.at("entries")) {
      const Bytes encoded = read(entry.at("encoded").get<std::string>());
      const auto bytes = entry.at("decoded_nbytes").get<std::size_t>();
      CAPTURE(entry.at("encoded").get<std::string>(), config.dump());
      const AnyCodec codec = prepared(name, config.dump(), bytes);
      Bytes got;
      try {
        got = decode(codec, encoded, bytes);
      } catch (const Error& e) {
        // c-blosc may be built without Snappy, and says so.
        INFO(e.what());
        CHECK((config.value("cname", "") == "snappy" && e.code() == Errc::unsupported));
        ++decoded["refused"];
        continue;
      }
      // The array's file ends with its elements. Recorded hashes are of C order and little endian, which the
      // encoded bytes need not be.
      const Bytes array = read(entry.at("array").get<std::string>());
      REQUIRE(array.size() >= bytes);
      CHECK((got.size() == bytes &&
             std::equal(got.begin(), got.end(), array.end() - static_cast<Index>(bytes))));
      ++decoded[id];
      if (id == "blosc") {
        const std::size_t from = bytes / 3, count = bytes / 5;
        Bytes part(count);
        codec.decode_part(encoded, from, part, {});
        CHECK(std::equal(part.begin(), part.end(), got.begin() + static_cast<Index>(from)));
      }
    }
  }
  for (const char* id :
       {"gzip", "zlib", "zstd", "lz4", "bz2", "lzma", "blosc", "crc32", "crc32c", "adler32"}) {
    CAPTURE(id);
    CHECK((decoded[id] >= 7 || !has_codec(std::string("numcodecs.") + id)));
  }
}

TEST_CASE("filters of HDF5 that are written decode to what they encoded, within their bounds",
          "[io][codec]") {
  std::mt19937_64 random(test::first_seed());
  std::vector<std::pair<std::string, std::string>> rows = {{"hdf5.lzf", "[4,0,0]"}};
  if (has_codec("hdf5.lz4"))
    rows.insert(rows.end(), {{"hdf5.lz4", "[0]"}, {"hdf5.lz4", "[1000]"}, {"hdf5.lz4", "[7]"}});
  for (const char* item : {"1", "2", "3", "4", "8", "17", "5000"}) {
    rows.emplace_back("hdf5.bitshuffle", std::string("[0,5,") + item + ",0,0]");
    if (has_codec("hdf5.lz4")) rows.emplace_back("hdf5.bitshuffle", std::string("[0,5,") + item + ",0,2]");
    if (has_codec("hdf5.zstd"))
      rows.emplace_back("hdf5.bitshuffle", std::string("[0,5,") + item + ",32,3,1]");
  }
  for (const auto& [name, numbers] : rows)
    for (const std::size_t bytes :
         {0, 1, 2, 3, 4, 7, 31, 32, 33, 63, 64, 255, 264, 265, 4096, 8191, 8200, 70'003})
      for (const int kind : {0, 1, 2, 3}) {
        CAPTURE(name, numbers, bytes, kind);
        Bytes values(bytes);
        for (std::size_t i = 0; i < bytes; ++i)
          values[i] = static_cast<std::byte>(kind == 0   ? 0
                                             : kind == 1 ? i / 100
                                             : kind == 2 ? random()
                                                         : i % (3 + i / 1000) * (random() % 50 != 0));
        const AnyCodec codec = prepared(name, "{\"cd_values\":" + numbers + "}", bytes);
        const Bytes encoded = encode(codec, values);
        CHECK(encoded.size() <= codec.max_encoded_bytes(bytes));
        REQUIRE(decode(codec, encoded, bytes) == values);
        if (name == "hdf5.lzf" && bytes == 70'003 && kind < 2) CHECK(encoded.size() < bytes / 15);
      }
}

TEST_CASE("a part that a Blosc frame decodes is a slice of the whole", "[io][codec]") {
  if (!has_codec("blosc")) MORSEL_SKIP("no c-blosc");
  Bytes values(50'003);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::byte>(i * i / 3000 ^ i / 7);
  std::mt19937_64 random(test::first_seed());
  for (const char* cname : {"lz4", "zstd", "blosclz", "zlib"})
    for (const char* shuffle : {"noshuffle", "shuffle", "bitshuffle"})
      for (const int type_bytes : {1, 2, 4, 7, 8, 12, 16, 100, 255})
        for (const int block_bytes : {0, 512, 4096})
          for (const int level : {0, 5}) {
            const std::string config = std::string(R"({"cname": ")") + cname + R"(", "clevel": )" +
                                       std::to_string(level) + R"(, "shuffle": ")" + shuffle +
                                       R"(", "typesize": )" + std::to_string(type_bytes) +
                                       R"(, "blocksize": )" + std::to_string(block_bytes) + "}";
            INFO(config);
            const AnyCodec codec = prepared("blosc", config, values.size());
            REQUIRE(codec.decodes_parts());
            const Bytes encoded = encode(codec, values);
            REQUIRE(decode(codec, encoded, values.size()) == values);
            const std::size_t item = static_cast<std::size_t>(type_bytes);
            std::vector<std::pair<std::size_t, std::size_t>> parts = {
                {0, 0},          {0, 1}, {0, values.size()}, {values.size() - 1, 1}, {values.size(), 0},
                {item * 5, item}};
            for (int i = 0; i < 6; ++i) {
              const std::size_t from = random() % values.size(), count = random() % (values.size() - from);
              parts.emplace_back(from, count);
              parts.emplace_back(from / item * item, count / item * item);
            }
            bool right = true;
            for (const auto& [from, count] : parts) {
              Bytes part(count);
              codec.decode_part(encoded, from, part, {});
              right =
                  right && std::equal(part.begin(), part.end(), values.begin() + static_cast<Index>(from));
            }
            CHECK(right);
            Bytes beyond(2);
            CHECK_THAT(
                morsel_test::failure_of([&] { codec.decode_part(encoded, values.size() - 1, beyond, {}); }),
                Contains("expected at least 50004, got 50003"));
          }
}

namespace {

/// Reads ranges of a frame, and counts.
struct FrameReader {
  const Bytes& frame;
  std::size_t requests = 0, bytes = 0;
  bool operator()(std::span<StoredRange> ranges) {
    for (StoredRange& range : ranges) {
      ++requests;
      const std::size_t from = std::min(range.offset_bytes, frame.size());
      range.filled_bytes = std::min(range.room.size(), frame.size() - from);
      std::copy_n(frame.begin() + static_cast<Index>(from), range.filled_bytes, range.room.begin());
      bytes += range.filled_bytes;
    }
    return true;
  }
};

/// The frame with its blocks in another order, as several threads may have written them.
Bytes with_blocks_reversed(const Bytes& frame) {
  const auto number = [](const Bytes& b, std::size_t at) {
    std::size_t n = 0;
    for (std::size_t i = 4; i-- > 0;) n = n << 8 | std::to_integer<std::size_t>(b[at + i]);
    return n;
  };
  const std::size_t decoded = number(frame, 4), block = number(frame, 8);
  const std::size_t blocks = (decoded + block - 1) / block;
  Bytes out(frame.begin(), frame.begin() + static_cast<Index>(16 + 4 * blocks));
  for (std::size_t i = blocks; i-- > 0;) {
    const std::size_t begin = number(frame, 16 + 4 * i),
                      end = i + 1 < blocks ? number(frame, 16 + 4 * (i + 1)) : frame.size();
    for (std::size_t k = 0; k < 4; ++k) out[16 + 4 * i + k] = static_cast<std::byte>(out.size() >> 8 * k);
    out.insert(out.end(), frame.begin() + static_cast<Index>(begin), frame.begin() + static_cast<Index>(end));
  }
  return out;
}

}  // namespace

TEST_CASE("of a Blosc frame no more is read than its parts need", "[io][codec]") {
  if (!has_codec("blosc")) MORSEL_SKIP("no c-blosc");
  Bytes values(700'003);
  std::mt19937_64 random(test::first_seed());
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<std::byte>((i * i / 3000 ^ i / 7) + (random() & 3));
  for (const char* cname : {"lz4", "zstd", "blosclz"})
    for (const char* shuffle : {"noshuffle", "shuffle", "bitshuffle"})
      for (const int type_bytes : {1, 4, 7, 16})
        for (const int block_bytes : {0, 300, 4096, 65536})
          for (const int level : {0, 1, 5}) {
            const std::string config = std::string(R"({"cname": ")") + cname + R"(", "clevel": )" +
                                       std::to_string(level) + R"(, "shuffle": ")" + shuffle +
                                       R"(", "typesize": )" + std::to_string(type_bytes) +
                                       R"(, "blocksize": )" + std::to_string(block_bytes) + "}";
            INFO(config);
            const AnyCodec codec = prepared("blosc", config, values.size());
            REQUIRE(codec.fetches_parts());
            const Bytes written = encode(codec, values);
            const bool copied = (std::to_integer<unsigned>(written[2]) & 2) != 0;
            for (const Bytes& frame : {written, copied ? written : with_blocks_reversed(written)}) {
              std::vector<ChunkPart> parts;
              for (std::size_t at = random() % 200'000; at + 30'000 < values.size();) {
                parts.push_back({at, at + 1 + random() % 20'000});
                at = parts.back().end + 20'000 + random() % 300'000;
              }
              Bytes room(std::min(codec.max_part_bytes(parts), frame.size() + frame.size() / 64 + 1024));
              FrameReader reader{frame};
              const auto filled = codec.fetch_parts(parts, std::ref(reader), room);
              REQUIRE(filled.has_value());
              CHECK(*filled <= room.size());
              // The head, and per part the blocks that it touches; stored they are about as long.
              std::size_t most = 4096 + 4 * values.size() / 128, block = 0;
              for (std::size_t k = 4; k-- > 0;)
                block = block << 8 | std::to_integer<std::size_t>(frame[8 + k]);
              if (copied) block = 65536;
              for (const ChunkPart& part : parts) most += (part.end - part.begin) + 2 * block + block / 8;
              CHECK(reader.bytes <= std::max(most, frame.size()));
              bool right = true;
              for (const ChunkPart& part : parts) {
                Bytes out(part.end - part.begin);
                codec.decode_part(std::span(room).first(*filled), part.begin, out, {});
                right = right &&
                        std::equal(out.begin(), out.end(), values.begin() + static_cast<Index>(part.begin));
              }
              CHECK(right);
            }
          }
}

TEST_CASE("parts read from damaged Blosc frames are refused or wrong, and nothing else", "[io][codec]") {
  if (!has_codec("blosc")) MORSEL_SKIP("no c-blosc");
  Bytes values(300'000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::byte>(i * i / 3000);
  std::mt19937_64 random(test::first_seed());
  const AnyCodec codec = prepared(
      "blosc", R"({"cname": "lz4", "shuffle": "shuffle", "typesize": 4, "blocksize": 4096})", values.size());
  const Bytes frame = encode(codec, values);
  REQUIRE(frame.size() > 8192);
  int refused = 0;
  for (int i = 0; i < test::effort(3000); ++i) {
    Bytes damaged = frame;
    for (int hits = 0; hits < 1 + i % 3; ++hits)
      damaged[random() % (i % 2 ? 400 : damaged.size())] = static_cast<std::byte>(random());
    if (i % 7 == 0) damaged.resize(random() % damaged.size());
    const std::size_t from = random() % 280'000;
    const std::vector<ChunkPart> parts{{from, from + 1 + random() % 20'000}};
    Bytes room(codec.max_part_bytes(parts));
    FrameReader reader{damaged};
    try {
      const auto filled = codec.fetch_parts(parts, std::ref(reader), room);
      Bytes out(parts[0].end - parts[0].begin);
      codec.decode_part(std::span(room).first(filled.value()), parts[0].begin, out, {});
    } catch (const Error& e) {
      ++refused;
      if (e.code() != Errc::corrupt_data) FAIL(e.what());
    }
  }
  CHECK(refused > 100);
}

TEST_CASE("parts of damaged Blosc frames are refused or wrong, and nothing else", "[io][codec]") {
  if (!has_codec("blosc")) MORSEL_SKIP("no c-blosc");
  Bytes values(20'000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::byte>(i * i / 3000);
  std::mt19937_64 random(test::first_seed());
  int refused = 0;
  for (const char* config :
       {R"({"cname": "lz4", "shuffle": "shuffle", "typesize": 4, "blocksize": 1024})",
        R"({"cname": "zstd", "shuffle": "bitshuffle", "typesize": 8, "blocksize": 2048})",
        R"({"cname": "blosclz", "shuffle": "noshuffle", "typesize": 3, "blocksize": 512})"}) {
    const AnyCodec codec = prepared("blosc", config, values.size());
    const Bytes encoded = encode(codec, values);
    for (int i = 0; i < test::effort(3000); ++i) {
      Bytes damaged = encoded;
      const std::size_t front = i % 2 ? 100 : damaged.size();
      for (int hits = 0; hits < 1 + i % 3; ++hits)
        damaged[random() % front] = static_cast<std::byte>(random());
      if (i % 7 == 0) {
        // A frame cut short whose header knows it.
        damaged.resize(16 + random() % (damaged.size() - 16));
        for (std::size_t k = 0; k < 4; ++k) damaged[12 + k] = static_cast<std::byte>(damaged.size() >> 8 * k);
      }
      Bytes part(1 + random() % 5000);
      const std::size_t from = i % 3 == 0 ? random() % 15'000 : random() % 3'000 * 4;
      if (i % 2) part.resize((part.size() + 3) / 4 * 4);
      try {
        codec.decode_part(damaged, from, part, {});
      } catch (const Error& e) {
        ++refused;
        if (e.code() != Errc::corrupt_data) FAIL(e.what());
      }
    }
  }
  CHECK(refused > 100);
}

TEST_CASE("a wrong checksum is named with what was expected", "[io][codec]") {
  // The check value of CRC-32C of "123456789" is 0xe3069283, of CRC-32 0xcbf43926, of Adler-32 0x091e01de.
  const Bytes digits = text_bytes("123456789");
  struct Row {
    const char* codec;
    const char* configuration;
    std::size_t at;  // of the checksum
    std::vector<unsigned> checksum;
  };
  const Row rows[] = {
      {"crc32c", "{}", 9, {0x83, 0x92, 0x06, 0xe3}},
      {"numcodecs.crc32c", "{}", 9, {0x83, 0x92, 0x06, 0xe3}},
      {"numcodecs.crc32c", R"({"location":"start"})", 0, {0x83, 0x92, 0x06, 0xe3}},
      {"numcodecs.crc32", "{}", 0, {0x26, 0x39, 0xf4, 0xcb}},
      {"crc32", R"({"location":"end"})", 9, {0x26, 0x39, 0xf4, 0xcb}},
      {"numcodecs.adler32", "{}", 0, {0xde, 0x01, 0x1e, 0x09}},
      {"numcodecs.fletcher32", "{}", 9, {0xd5, 0x09, 0xdf, 0x09}},
      {"numcodecs.jenkins_lookup3", "{}", 9, {0x96, 0x9a, 0x5d, 0x84}},
  };
  for (const Row& row : rows) {
    if (!has_codec(row.codec)) continue;
    INFO(row.codec << " " << row.configuration);
    const AnyCodec codec = prepared(row.codec, row.configuration, 9);
    Bytes encoded = encode(codec, digits);
    REQUIRE(encoded.size() == 13);
    for (std::size_t i = 0; i < 4; ++i) CHECK(encoded[row.at + i] == static_cast<std::byte>(row.checksum[i]));
    CHECK(decode(codec, encoded, 9) == digits);
    encoded[row.at == 0 ? 4 : 0] ^= std::byte{1};
    const std::string text = damage(codec, encoded, 9);
    CHECK_THAT(text,
               Contains(std::string("decoding ") + row.codec + ": wrong checksum of 9 bytes; expected 0x"));
    char stored[16];
    std::snprintf(stored, sizeof stored, "0x%02x%02x%02x%02x,", row.checksum[3], row.checksum[2],
                  row.checksum[1], row.checksum[0]);
    CHECK_THAT(text, Contains(std::string("expected ") + stored + " got 0x"));
    CHECK_THAT(damage(codec, Bytes(3), 9), Contains("expected at least 4 bytes, got 3"));
    CHECK_THAT(damage(codec, encoded, 8), Contains("expected at most 8, got 9"));
  }
  // lz4-java's checksum stands in the header of the block.
  if (has_codec("n5.lz4")) {
    Bytes encoded = encode(prepared("n5.lz4", "{}", 9), digits);
    encoded[17] ^= std::byte{1};
    CHECK_THAT(damage(prepared("n5.lz4", "{}", 9), encoded, 9),
               Contains("block at byte 0: wrong checksum; expected "));
  }
}

TEST_CASE("CRC-32C of any length and alignment is that of one bit after the other", "[io][codec]") {
  std::mt19937_64 random(test::first_seed());
  Bytes values(5000);
  for (std::byte& byte : values) byte = static_cast<std::byte>(random());
  for (std::size_t i = 0; i < 200; ++i) {
    const std::size_t from = random() % 64, count = i < 70 ? i : random() % 4000;
    std::uint32_t crc = 0xffffffff;
    for (std::size_t k = from; k < from + count; ++k) {
      crc ^= std::to_integer<std::uint32_t>(values[k]);
      for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    crc = ~crc;
    const AnyCodec codec = prepared("crc32c", "{}", count);
    Bytes encoded(count + 4);
    codec.encode(std::span(values).subspan(from, count), encoded, {});
    std::uint32_t got = 0;
    for (std::size_t k = 4; k-- > 0;) got = got << 8 | std::to_integer<std::uint32_t>(encoded[count + k]);
    REQUIRE(got == crc);
  }
}

TEST_CASE("damaged streams say what is wrong", "[io][codec]") {
  const Bytes payload = test::codec_payload();
  struct Row {
    const char* codec;
    std::function<void(Bytes&)> damage;
    const char* says;
  };
  const auto cut = [](Bytes& b) { b.resize(b.size() - 3); };
  const auto longer = [](Bytes& b) { b.insert(b.end(), 3, std::byte{7}); };
  const Row rows[] = {
      {"gzip", cut, "expected a whole gzip member with the right checksum"},
      {"gzip", longer, "expected a whole gzip member"},
      {"zlib", cut, "expected a whole zlib stream with the right checksum"},
      {"zlib", longer, "bytes after the end; expected none, got 3"},
      {"zstd", cut, "cut short"},
      {"zstd", longer, "cut short; expected at least"},
      {"zstd", [](Bytes& b) { b[0] = std::byte{0}; }, "expected the magic number 0xfd2fb528"},
      {"lz4", cut, "expected 600 decoded bytes, got"},
      {"lz4", [](Bytes& b) { b[3] = std::byte{0xff}; }, "expected at most 600, got 4278190680"},
      {"n5.lz4", cut, "cut short; expected at least"},
      {"n5.lz4", [](Bytes& b) { b[0] = std::byte{0}; }, "expected the magic 'LZ4Block'"},
      {"n5.lz4", [](Bytes& b) { b[8] = std::byte{0x36}; }, "expected 0x10 or 0x20, got 48"},
      {"bz2", cut, "cut short"},
      {"bz2", longer, "expected bzip2 data"},
      {"bz2", [](Bytes& b) { b[20] ^= std::byte{0x10}; }, "is damaged"},
      {"lzma", cut, "cut short"},
      {"lzma", longer, "cut short"},
      {"blosc", cut, "header damaged, or frame cut short"},
      {"blosc", [](Bytes& b) { b[0] = std::byte{1}; }, "expected a frame of version 2, got 1"},
      {"blosc", [](Bytes& b) { b[4] = std::byte{0xff}; }, "expected at most 600, got 767"},
      {"blosc", [](Bytes& b) { b[3] = std::byte{0}; },
       "expected blocks of 1 to 600 bytes and elements of 1 to 255"},
  };
  for (const Row& row : rows) {
    if (!has_codec(row.codec)) continue;
    const AnyCodec codec = prepared(row.codec, "{}", payload.size());
    Bytes encoded = encode(codec, payload);
    INFO(row.codec);
    CHECK(decode(codec, encoded, payload.size()) == payload);
    CHECK_THAT(damage(codec, encoded, payload.size() - 1), Contains("599"));
    row.damage(encoded);
    CHECK_THAT(damage(codec, encoded, payload.size()), Contains(row.says));
    damage(codec, {}, payload.size());
  }
}

TEST_CASE("a szip stream that ends within a sample is refused", "[io][codec]") {
  if (!has_codec("hdf5.szip")) MORSEL_SKIP("this build is without libaec");
  const AnyCodec codec = prepared("hdf5.szip", R"({"cd_values":[169,8,16,32]})", 768, Type::uint16);
  // 37 bytes for elements of two.
  const Bytes encoded{std::byte{0x25}, std::byte{0}, std::byte{0},    std::byte{0},   std::byte{0},
                      std::byte{0x25}, std::byte{0}, std::byte{0xc5}, std::byte{0xf9}};
  CHECK_THAT(damage(codec, encoded, 768), Contains("expected a multiple of 2 decoded bytes, got"));
}

TEST_CASE("an .xz stream that asks for more memory than its bytes can need is refused", "[io][codec]") {
  if (!has_codec("lzma")) MORSEL_SKIP("no liblzma");
  // An .lzma header: lc 3, lp 0, pb 2, a dictionary of 3 GiB, decoded size unknown.
  Bytes header(13 + 5);
  header[0] = std::byte{0x5d};
  header[4] = std::byte{0xc0};
  for (std::size_t i = 5; i < 13; ++i) header[i] = std::byte{0xff};
  CHECK_THAT(damage(prepared("numcodecs.lzma", R"({"format": 2})", 100), header, 100),
             Contains("asks for too much memory; expected at most 83886280 bytes, got 32"));
}

TEST_CASE("configurations of byte codecs are checked", "[io][codec]") {
  const auto failure = [](const char* name, const char* config) {
    return morsel_test::failure_of([&] { make_codec(name, config); });
  };
  struct Row {
    const char* codec;
    const char* configuration;
    const char* says;
  };
  const Row rows[] = {
      {"gzip", R"({"level": 10})",
       "corrupt_data: test: codec 'gzip': bad 'level'; expected an integer from -1 to 9, got 10"},
      {"gzip", R"({"level": 1, "extra": 2})", "unsupported: test: codec 'gzip': unknown member"},
      {"zstd", R"({"level": "high"})", "bad 'level'"},
      {"zstd", R"({"level": 1, "checksum": 1})", "bad 'checksum'; expected true or false, got 1"},
      {"blosc", R"({"cname": "lzo"})", "bad 'cname'"},
      {"blosc", R"({"cname": "lz4", "shuffle": "both"})", "bad 'shuffle'"},
      {"blosc", R"({"cname": "lz4", "shuffle": 1})", "bad 'shuffle'"},
      {"numcodecs.blosc", R"({"cname": "lz4", "shuffle": 3})",
       "bad 'shuffle'; expected an integer from -1 to 2"},
      {"numcodecs.crc32", R"({"location": "middle"})", "bad 'location'"},
      {"crc32c", R"({"location": "end"})", "unknown member"},
      {"numcodecs.lzma", R"({"format": 4})", "bad 'format'"},
      {"numcodecs.lzma", R"({"format": 3})", "expected 'filters' with format 3"},
      {"numcodecs.lzma", R"({"format": 3, "filters": [{"id": 3}]})", "expected LZMA2 as the last one"},
      {"numcodecs.lzma", R"({"format": 3, "filters": [{"id": 99}, {"id": 33}]})",
       "filters that liblzma refuses"},
      {"numcodecs.lzma", R"({"format": 1, "check": 7})", "unknown check"},
      {"numcodecs.lzma", R"({"preset": 12})", "bad 'preset'"},
      {"n5.lz4", R"({"blockSize": 0})", "bad 'blockSize'"},
  };
  for (const Row& row : rows) {
    INFO(row.codec << " " << row.configuration);
    if (has_codec(row.codec)) CHECK_THAT(failure(row.codec, row.configuration), Contains(row.says));
  }
  CHECK(failure("numcodecs.zlib", R"({"level": 1, "of_a_later_version": true})") == "");
  if (has_codec("blosc"))
    CHECK_THAT(
        morsel_test::failure_of([] { prepared("blosc", "{}", std::size_t{1} << 31); }),
        Contains("unsupported: preparing codec 'blosc': chunks too large; expected at most 2147483631 bytes, "
                 "got 2147483648"));
}

TEST_CASE("bounds of encoded bytes never wrap around", "[io][codec]") {
  for (const std::string& name : codec_names()) {
    if (find_codec(name, "test")->kind != CodecKind::bytes_to_bytes) continue;
    AnyCodec codec;
    try {
      codec = make_codec(name);
    } catch (const Error&) {
      continue;  // needs a configuration
    }
    INFO(name);
    std::size_t last = 0;
    for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{1000}, std::size_t{1} << 31,
                                std::size_t{1} << 62, ~std::size_t{0} / 2 + 5, ~std::size_t{0}}) {
      const std::size_t bound = codec.max_encoded_bytes(n);
      CHECK(bound >= n);
      CHECK(bound >= last);
      last = bound;
    }
  }
}

TEST_CASE("what the libraries take for themselves is part of the scratch", "[io][codec]") {
  struct Case {
    const char* name;
    const char* configuration;
    std::size_t bytes, encode_bytes, decode_bytes;  // as a counting malloc has seen it
  };
  const Case cases[] = {
      {"zstd", R"({"level": 1})", 65536, 304256, 96032},
      {"zstd", R"({"level": 3})", 1048576, 1303496, 96032},
      {"zstd", R"({"level": 9})", 1048576, 13100160, 96032},
      {"zstd", R"({"level": 19})", 8388608, 85197952, 96032},
      {"gzip", R"({"level": 0})", 65536, 6160, 11600},
      {"gzip", R"({"level": 1})", 65536, 202800, 11600},
      {"numcodecs.zlib", R"({"level": 9})", 65536, 668336, 11600},
      {"numcodecs.bz2", R"({"level": 1})", 65536, 1118064, 3664160},  // decode: of level 9
      {"numcodecs.bz2", R"({"level": 9})", 65536, 7518064, 3664160},
      {"numcodecs.lzma", R"({"preset": 9})", 1048576, 13188240, 1083640},
      {"numcodecs.lzma", R"({"format": 2})", 1048576, 13111928, 1081576},
      {"numcodecs.lzma", R"({"format": 3, "filters": [{"id": 33}]})", 65536, 2003624, 98488},
      {"numcodecs.blosc", R"({"cname": "lz4"})", 8388608, 1048632, 1048600},
      {"numcodecs.blosc", R"({"cname": "lz4hc", "clevel": 9})", 8388608, 2359408, 2097176},
      {"numcodecs.blosc", R"({"cname": "zlib"})", 8388608, 2365344, 2104336},
      {"numcodecs.blosc", R"({"cname": "zstd", "clevel": 3})", 65536, 1183600, 227088},
      {"numcodecs.blosc", R"({"cname": "zstd", "clevel": 9})", 8388608, 20179888, 2193168},
  };
  for (const Case& c : cases) {
    INFO(c.name << " " << c.configuration << ", " << c.bytes << " bytes");
    const Shape shape{static_cast<Index>(c.bytes / 4)};
    const CodecInfo bytes{"bytes", R"({"endian": "little"})"};
    const CodecChain plain({bytes}, Type::float32, shape, "test");
    CHECK(plain.decode_scratch_bytes() == 0);
    if (!has_codec(c.name)) continue;
    const CodecChain chain({bytes, {c.name, c.configuration}}, Type::float32, shape, "test");
    CHECK(chain.encode_scratch_bytes() >= plain.encode_scratch_bytes() + c.encode_bytes);
    CHECK(chain.decode_scratch_bytes() >= plain.decode_scratch_bytes() + c.decode_bytes);
    // And not much more: it decides what budgets do.
    CHECK(chain.encode_scratch_bytes() <= plain.encode_scratch_bytes() + 3 * c.encode_bytes + (4 << 20));
    CHECK(chain.decode_scratch_bytes() <= plain.decode_scratch_bytes() + 3 * c.decode_bytes + 65536);
  }
}
