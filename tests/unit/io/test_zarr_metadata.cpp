// Documents of Zarr v2, v3 and N5: every rule with what is accepted and what is refused, and the hierarchies
// they make.
#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <morsel/array/buffer.hpp>
#include <morsel/io/codec.hpp>
#include <morsel/io/counting_store.hpp>
#include <morsel/io/file_store.hpp>
#include <morsel/io/memory_store.hpp>
#include <morsel/io/store_key.hpp>
#include <morsel/io/zarr_hierarchy.hpp>
#include <morsel/io/zarr_metadata.hpp>
#include <nlohmann/json.hpp>
#include <support/paths.hpp>
#include <support/sha256.hpp>
#include <support/skip.hpp>

using namespace morsel;
using Json = nlohmann::json;

namespace {

/// What a call says when it fails, "" if it does not; the code goes to `*code`.
std::string message_of(const std::function<void()>& call, Errc* code = nullptr) {
  try {
    call();
  } catch (const Error& e) {
    if (code) *code = e.code();
    return e.what();
  }
  return {};
}

/// A document of an int32 array of shape (10, 7) in chunks of (4, 3), with members put in or taken out ("").
using Changes = std::vector<std::pair<std::string, std::string>>;
std::string changed(std::vector<std::pair<std::string, std::string>> members, const Changes& changes) {
  for (const auto& [name, value] : changes) {
    const auto it =
        std::find_if(members.begin(), members.end(), [&](const auto& m) { return m.first == name; });
    if (it == members.end())
      members.emplace_back(name, value);
    else
      it->second = value;
  }
  std::string text = "{";
  for (const auto& [name, value] : members)
    if (!value.empty()) text += (text.size() > 1 ? ",\n \"" : "\"") + name + "\": " + value;
  return text + "}";
}
std::string v3(const Changes& changes = {}) {
  return changed({{"zarr_format", "3"},
                  {"node_type", "\"array\""},
                  {"shape", "[10, 7]"},
                  {"data_type", "\"int32\""},
                  {"chunk_grid", R"({"name":"regular","configuration":{"chunk_shape":[4,3]}})"},
                  {"chunk_key_encoding", R"({"name":"default","configuration":{"separator":"/"}})"},
                  {"fill_value", "0"},
                  {"codecs", R"([{"name":"bytes","configuration":{"endian":"little"}}])"}},
                 changes);
}
std::string v2(const Changes& changes = {}) {
  return changed({{"zarr_format", "2"},
                  {"shape", "[10, 7]"},
                  {"chunks", "[4, 3]"},
                  {"dtype", "\"<i4\""},
                  {"compressor", "null"},
                  {"fill_value", "0"},
                  {"order", "\"C\""},
                  {"filters", "null"}},
                 changes);
}
std::string n5(const Changes& changes = {}) {
  return changed({{"dimensions", "[7, 10]"},
                  {"blockSize", "[3, 4]"},
                  {"dataType", "\"int32\""},
                  {"compression", R"({"type":"raw"})"}},
                 changes);
}
ZarrArray read_v3(const Changes& changes = {}) { return parse_zarr_v3(v3(changes), "open 'a'"); }
ZarrArray read_v2(const Changes& changes = {}, const std::string& zattrs = "") {
  return parse_zarr_v2(v2(changes), zattrs, "open 'a'");
}
ZarrArray read_n5(const Changes& changes = {}) { return parse_n5(n5(changes), "open 'a'"); }

/// {"name": name, "configuration": {...}}
std::string named(const std::string& name, const std::string& configuration) {
  return "{\"name\":\"" + name + "\",\"configuration\":{" + configuration + "}}";
}
std::string record(const std::string& fields) { return named("struct", "\"fields\":[" + fields + "]"); }

/// The bytes of a fill value, most significant first, as hexadecimal digits; for one item of numbers.
std::string fill_hex(const ZarrArray& array) {
  std::string hex;
  for (std::size_t i = array.fill.size(); i-- > 0;)
    for (const unsigned shift : {4u, 0u})
      hex += "0123456789abcdef"[std::to_integer<unsigned>(array.fill[i]) >> shift & 15];
  return hex;
}
std::string fill_v3(const std::string& type, const std::string& fill) {
  return fill_hex(read_v3({{"data_type", type}, {"fill_value", fill}}));
}
std::string fill_v2(const std::string& dtype, const std::string& fill) {
  return fill_hex(read_v2({{"dtype", dtype}, {"fill_value", fill}}));
}

std::vector<std::byte> as_bytes(const std::string& text) {
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  return {data, data + text.size()};
}
MemoryStore store_of(const std::vector<std::pair<std::string, std::string>>& values) {
  MemoryStore store;
  for (const auto& [key, value] : values) store.put(key, as_bytes(value));
  return store;
}
std::string listed(const std::vector<Member>& members) {
  std::string text;
  for (const Member& member : members)
    text += (text.empty() ? "" : " ") + member.path + (member.kind == Member::Kind::group ? "/" : "");
  return text;
}

}  // namespace

// ----------------------------------------------------------------------------------------------------- v3

TEST_CASE("a document of Zarr v3 says all of an array", "[zarr]") {
  const ZarrArray a =
      read_v3({{"dimension_names", R"(["y", null])"},
               {"attributes", R"({"b": 1.50, "a": {"z": [1,  "x y"], "y": NaN}})"},
               {"fill_value", "-7"},
               {"codecs", R"(["bytes", {"name":"zstd","configuration":{"level": 3}}, "crc32c"])"}});
  CHECK(a.format == "zarr_v3");
  CHECK(a.dtype == DType(Type::int32));
  CHECK(a.grid == Grid::regular({10, 7}, {4, 3}));
  CHECK(a.chunk_shape == Shape{4, 3});
  CHECK(a.chunk_lengths.empty());
  CHECK(a.stored_shape({2, 2}) == Shape{4, 3});
  CHECK(a.keys.key({1, 2}) == "c/1/2");
  CHECK(fill_hex(a) == "fffffff9");
  CHECK(a.codecs == std::vector<CodecInfo>{{"bytes", "{}"}, {"zstd", R"({"level":3})"}, {"crc32c", "{}"}});
  CHECK(a.dims == std::vector<std::string>{"y", ""});
  CHECK(a.attributes == Attributes{{"b", "1.50"}, {"a", R"({"z":[1,"x y"],"y":"NaN"})"}});
}

TEST_CASE("members of Zarr v3 that must be understood are refused", "[zarr]") {
  CHECK(message_of([] {
          read_v3({{"extra", "1"}});
        }) ==
        "open 'a': unknown member 'extra'; expected only members that Zarr v3 has, or "
        "\"must_understand\": false, got 1");
  CHECK(message_of([] { read_v3({{"extra", R"({"must_understand": true})"}}); }) != "");
  CHECK(message_of([] { read_v3({{"extra", R"({"name": "x"})"}}); }) != "");
  CHECK(message_of([] { read_v3({{"extra", R"({"must_understand": false, "x": 1})"}}); }) == "");
  CHECK(message_of([] { read_v3({{"storage_transformers", "[]"}}); }) == "");
  Errc code{};
  CHECK(message_of(
            [] {
              read_v3({{"storage_transformers", R"([{"name":"chunk-manifest-json"}])"}});
            },
            &code) == "open 'a': storage transformer 'chunk-manifest-json' is not supported");
  CHECK(code == Errc::unsupported);
  CHECK(message_of([] {
          read_v3({{"storage_transformers", R"([{"name":"x","must_understand":false}])"}});
        }) == "");
  CHECK(message_of([] {
          read_v3({{"data_type", R"({"name":"int32","must_understand":false})"}});
        }) ==
        "open 'a': bad 'data_type'; expected one that must be understood, got \"must_understand\": false");
  CHECK(message_of([] { read_v3({{"data_type", R"({"name":"int32","extra":1})"}}); }) != "");
  // A codec that may be left out is, unless it is known.
  const std::string list =
      R"(["bytes", {"name":"nobody.knows","must_understand":false},
          {"name":"n5.block","must_understand":false}])";
  CHECK(read_v3({{"codecs", list}}).codecs.size() == 2);
  CHECK(read_v3({{"codecs", R"(["bytes", "nobody.knows"])"}}).codecs.size() == 2);
}

TEST_CASE("documents that are none are refused with one line", "[zarr]") {
  const std::vector<std::pair<Changes, std::string>> rows = {
      {{{"zarr_format", "2"}}, "open 'a': bad 'zarr_format'; expected 3, got 2"},
      {{{"zarr_format", "\"https://purl.org/zarr/spec/protocol/core/3.0\""}},
       "open 'a': bad 'zarr_format'; expected 3, got \"https://purl.org/zarr/spec/protocol/core/3.0\""},
      {{{"zarr_format", ""}}, "open 'a': 'zarr_format' is missing"},
      {{{"node_type", "\"group\""}}, "open 'a': bad 'node_type'; expected \"array\", got \"group\""},
      {{{"shape", ""}}, "open 'a': 'shape' is missing"},
      {{{"shape", "5"}}, "open 'a': bad 'shape'; expected a list of integers from 0 to 2^63 - 1, got 5"},
      {{{"shape", "[-1, 2]"}},
       "open 'a': bad 'shape'; expected a list of integers from 0 to 2^63 - 1, got [-1,2]"},
      {{{"shape", "[9223372036854775808, 1]"}},
       "open 'a': bad 'shape'; expected a list of integers from 0 to 2^63 - 1, got [9223372036854775808,1]"},
      {{{"shape", "[1.5, 2]"}},
       "open 'a': bad 'shape'; expected a list of integers from 0 to 2^63 - 1, got [1.5,2]"},
      {{{"fill_value", ""}}, "open 'a': 'fill_value' is missing"},
      {{{"fill_value", "null"}},
       "open 'a': bad 'fill_value' for int32; expected an integer from -2147483648 to 2147483647, got null"},
      {{{"codecs", "[]"}}, "open 'a': bad 'codecs'; expected at least one codec, got []"},
      {{{"codecs", "{}"}}, "open 'a': bad 'codecs'; expected a list, got {}"},
      {{{"codecs", "[7]"}}, "open 'a': bad 'codecs'; expected a name or an object with a name, got 7"},
      {{{"codecs", R"([{"name":"bytes","configuration":4}])"}},
       "open 'a': bad 'codecs'; expected a name or an object with a name, got {\"name\":\"bytes\","
       "\"configuration\":4}"},
      {{{"attributes", "[]"}}, "open 'a': bad 'attributes'; expected an object, got []"},
      {{{"dimension_names", "[\"x\"]"}},
       "open 'a': bad 'dimension_names'; expected 2 strings or nulls, got [\"x\"]"},
      {{{"dimension_names", "[\"x\", \"y\", \"z\"]"}},
       "open 'a': bad 'dimension_names'; expected 2 strings or nulls, got [\"x\",\"y\",\"z\"]"},
      {{{"dimension_names", "[\"x\", 1]"}},
       "open 'a': bad 'dimension_names'; expected 2 strings or nulls, got [\"x\",1]"},
  };
  for (const auto& [changes, message] : rows) {
    Errc code{};
    CHECK(message_of([&] { read_v3(changes); }, &code) == message);
    CHECK(code == Errc::corrupt_data);
  }
  for (const std::string text :
       {"", "{", "[]", "3", "null", "\"zarr\"", "{} {}", "{\"a\":1,}", "\xff{}", "{\"a\":}"}) {
    INFO(text);
    Errc code{};
    const std::string message = message_of([&] { parse_zarr_v3(text, "open 'a'"); }, &code);
    CHECK(code == Errc::corrupt_data);
    CHECK(message.find('\n') == message.npos);
    CHECK(message.rfind("open 'a'", 0) == 0);
  }
}

TEST_CASE("absent and null members that need not be there", "[zarr]") {
  CHECK(read_v3({{"attributes", "null"}}).attributes.empty());
  CHECK(read_v3({{"dimension_names", "null"}}).dims.empty());
  CHECK(read_v3({{"dimension_names", "[null, null]"}}).dims.empty());
  CHECK(read_v3({{"storage_transformers", "null"}}).dtype == DType(Type::int32));
  CHECK(parse_zarr_v3("\xef\xbb\xbf" + v3(), "open 'a'").grid.rank() == 2);
}

TEST_CASE("of members with one name the last counts", "[zarr]") {
  std::string text = v3();
  text.insert(1, R"("shape": [99], "zarr_format": 7,)");
  CHECK(parse_zarr_v3(text, "open 'a'").grid.shape() == Shape{10, 7});
  const ZarrArray a = read_v3({{"attributes", R"({"k": 1, "l": 2, "k": 3})"}});
  CHECK(a.attributes == Attributes{{"k", "3"}, {"l", "2"}});
}

TEST_CASE("chunk keys", "[zarr]") {
  const auto key = [](const std::string& encoding, const Dims& chunk) {
    return read_v3({{"chunk_key_encoding", encoding}}).keys.key(chunk);
  };
  CHECK(key("\"default\"", {1, 2}) == "c/1/2");
  CHECK(key(R"({"name":"default"})", {1, 2}) == "c/1/2");
  CHECK(key(R"({"name":"default","configuration":{"separator":"."}})", {1, 2}) == "c.1.2");
  CHECK(key("\"v2\"", {1, 2}) == "1.2");
  CHECK(key(R"({"name":"v2","configuration":{"separator":"/"}})", {1, 2}) == "1/2");
  CHECK(ChunkKeys{}.key({}) == "c");
  CHECK(ChunkKeys{ChunkKeys::Style::v2, '.'}.key({}) == "0");
  CHECK(ChunkKeys{ChunkKeys::Style::n5, '/'}.key({2, 10}) == "10/2");
  CHECK(message_of([&] { key(R"({"name":"default","configuration":{"separator":"-"}})", {}); }) ==
        "open 'a': chunk key encoding 'default': bad 'separator'; expected \"/\" or \".\", got \"-\"");
  CHECK(message_of([&] { key("\"fanout\"", {}); }) ==
        "open 'a': unknown chunk key encoding 'fanout'; expected default or v2");
  CHECK(message_of([&] { key(R"({"name":"v2","configuration":{"prefix":"x"}})", {}); }) ==
        "open 'a': chunk key encoding 'v2': unknown member 'prefix'");
}

TEST_CASE("regular grids, also of shapes that no memory holds", "[zarr]") {
  const auto grid = [](const std::string& shape, const std::string& chunk) {
    return read_v3({{"shape", shape},
                    {"data_type", "\"uint8\""},
                    {"chunk_grid", R"({"name":"regular","configuration":{"chunk_shape":)" + chunk + "}}"}});
  };
  CHECK(grid("[]", "[]").grid.count() == 1);
  CHECK(grid("[0, 5]", "[3, 2]").grid.counts() == Dims{0, 3});
  CHECK(grid("[0, 5]", "[0, 2]").grid.counts() == Dims{0, 3});
  CHECK(grid("[3]", "[100]").chunk_shape == Shape{100});
  CHECK(grid("[3]", "[100]").grid.chunk_shape() == Shape{3});
  CHECK(grid("[4611686018427387904]", "[1]").grid.count() == Index{1} << 62);
  Errc code{};
  CHECK(message_of([&] { grid("[4611686018427387904, 2]", "[1, 1]"); }, &code) ==
        "open 'a': shape overflows; expected a product below 2^63, got 4611686018427387904 x 2");
  CHECK(code == Errc::overflow);
  CHECK(message_of([&] { grid("[1, 1]", "[4611686018427387904, 2]"); }, &code) ==
        "open 'a': shape overflows; expected a product below 2^63, got 4611686018427387904 x 2");
  CHECK(message_of([&] { grid("[10, 7]", "[4]"); }) ==
        "open 'a': chunk grid 'regular': bad 'chunk_shape'; expected 2 lengths, one per axis, got [4]");
  CHECK(message_of([&] { grid("[10]", "[0]"); }) ==
        "open 'a': chunk grid 'regular': bad 'chunk_shape'; expected lengths of at least 1, got [0]");
  std::string many = "[1";
  for (int i = 1; i < 32; ++i) many += ",1";
  CHECK(grid(many + "]", many + "]").grid.rank() == 32);
  CHECK(message_of([&] { grid(many + ",1]", many + ",1]"); }).find("expected at most 32 axes") !=
        std::string::npos);
  CHECK(message_of([&] {
          read_v3({{"chunk_grid", "\"hexagonal\""}});
        }) ==
        "open 'a': unknown chunk grid 'hexagonal'; expected regular, rectilinear or zarrs.regular_bounded");
}

TEST_CASE("bounded grids store edge chunks clipped", "[zarr]") {
  const ZarrArray a =
      read_v3({{"chunk_grid", R"({"name":"zarrs.regular_bounded","configuration":{"chunk_shape":[4,3]}})"}});
  CHECK(a.grid == Grid::regular({10, 7}, {4, 3}));
  CHECK(a.stored_shape({1, 1}) == Shape{4, 3});
  CHECK(a.stored_shape({2, 2}) == Shape{2, 1});
  const ZarrArray again = parse_zarr_v3(zarr_v3_json(a), "again");
  CHECK(again.is_bounded);
}

TEST_CASE("rectilinear grids", "[zarr]") {
  const auto grid = [](const std::string& shape, const std::string& shapes) {
    return read_v3(
        {{"shape", shape},
         {"data_type", "\"uint8\""},
         {"chunk_grid",
          R"({"name":"rectilinear","configuration":{"kind":"inline","chunk_shapes":)" + shapes + "}}"}});
  };
  const ZarrArray a = grid("[100, 50]", "[[10, 20, 30, 40], [50]]");
  CHECK(a.grid.axis(0) == AxisGrid::from_boundaries({0, 10, 30, 60, 100}));
  CHECK(a.chunk_shape == Shape{40, 50});
  CHECK(a.chunk_lengths == std::vector<std::vector<Index>>{{10, 20, 30, 40}, {}});
  CHECK(a.stored_shape({2, 0}) == Shape{30, 50});
  // [length, count], a last chunk beyond the array's end, chunks that do not overlap it at all.
  const ZarrArray b = grid("[57, 30]", "[[[10, 5], 5, 5], 20]");
  CHECK(b.chunk_lengths[0] == std::vector<Index>{10, 10, 10, 10, 10, 5, 5});
  CHECK(b.grid.axis(0) == AxisGrid::from_boundaries({0, 10, 20, 30, 40, 50, 55, 57}));
  CHECK(b.stored_shape({6, 1}) == Shape{5, 20});
  const ZarrArray c = grid("[12]", "[[3, 7, 100, 2, 9]]");
  CHECK(c.chunk_lengths[0] == std::vector<Index>{3, 7, 100});
  CHECK(c.stored_shape({2}) == Shape{100});
  CHECK(c.chunk_shape == Shape{100});
  // Runs of equal length are a regular axis, however many.
  const ZarrArray d = grid("[4611686018427387904]", "[[[1, 4611686018427387904]]]");
  CHECK(d.chunk_lengths.empty());
  CHECK(d.grid.count() == Index{1} << 62);
  CHECK(grid("[9]", "[[[4, 2], [4, 9223372036854775807]]]").grid == Grid::regular({9}, {4}));
  CHECK(grid("[0]", "[[5, 6]]").grid.count() == 0);
  for (const ZarrArray& array : {a, b, c, d}) {
    const ZarrArray again = parse_zarr_v3(zarr_v3_json(array), "again");
    CHECK(again.grid == array.grid);
    CHECK(again.chunk_lengths == array.chunk_lengths);
    CHECK(again.chunk_shape == array.chunk_shape);
  }

  const std::string what = "open 'a': chunk grid 'rectilinear': bad 'chunk_shapes'; expected ";
  const std::string form = what + "a length, or a list of lengths and [length, count], all at least 1, got ";
  CHECK(message_of([&] { grid("[10]", "[0]"); }) == form + "0");
  CHECK(message_of([&] { grid("[10]", "[[5, 0, 5]]"); }) == form + "[5,0,5]");
  CHECK(message_of([&] { grid("[10]", "[[[5, 0]]]"); }) == form + "[[5,0]]");
  CHECK(message_of([&] { grid("[10]", "[[[5, 1, 1]]]"); }) == form + "[[5,1,1]]");
  CHECK(message_of([&] { grid("[10]", "[[[5]]]"); }) == form + "[[5]]");
  CHECK(message_of([&] { grid("[10]", "[\"5\"]"); }) == form + "\"5\"");
  CHECK(message_of([&] { grid("[10]", "[[5, 4]]"); }) == what + "chunks that cover 10 elements, got [5,4]");
  CHECK(message_of([&] { grid("[10]", "[[]]"); }) == what + "chunks that cover 10 elements, got []");
  CHECK(message_of([&] { grid("[10]", "[10, 10]"); }) == what + "1 entries, one per axis, got [10,10]");
  CHECK(message_of([&] { grid("[10, 10]", "[10]"); }) == what + "2 entries, one per axis, got [10]");
  Errc code{};
  CHECK(message_of([&] { grid("[4611686018427387904]", "[[2, [1, 4611686018427387904]]]"); }, &code) ==
        "open 'a': chunk grid 'rectilinear': too many chunks of differing length; expected at most 1048576 "
        "along "
        "an axis, got more");
  CHECK(code == Errc::unsupported);
}

TEST_CASE("data types of Zarr v3", "[zarr]") {
  const std::vector<std::pair<std::string, DType>> rows = {
      {"\"bool\"", Type::bool_},
      {"\"uint64\"", Type::uint64},
      {"\"float16\"", Type::float16},
      {R"({"name":"float32","configuration":{}})", Type::float32},
      {"\"complex64\"", Type::complex64},
      {"\"complex_float32\"", Type::complex64},
      {"\"complex_float64\"", Type::complex128},
      {"\"complex_float16\"", DType::carried("complex_float16", 4)},
      {"\"complex_float8_e4m3\"", DType::carried("complex_float8_e4m3", 2)},
      {"\"bfloat16\"", DType::carried("bfloat16", 2)},
      {"\"float8_e5m2\"", DType::carried("float8_e5m2", 1)},
      {"\"float4_e2m1fn\"", DType::carried("float4_e2m1fn", 1)},
      {"\"int4\"", DType::carried("int4", 1)},
      {"\"r24\"", DType::carried("V3", 3)},
      {R"({"name":"raw_bytes","configuration":{"length_bytes":3}})", DType::carried("V3", 3)},
      {R"({"name":"null_terminated_bytes","configuration":{"length_bytes":5}})", DType::carried("S5", 5)},
      {R"({"name":"fixed_length_utf32","configuration":{"length_bytes":16}})", DType::carried("U4", 16)},
      {R"({"name":"numpy.datetime64","configuration":{"unit":"s","scale_factor":1}})",
       DType::carried("M8[s]", 8)},
      {R"({"name":"numpy.timedelta64","configuration":{"unit":"ms","scale_factor":10}})",
       DType::carried("m8[10ms]", 8)},
      {R"({"name":"numpy.datetime64","configuration":{"unit":"μs","scale_factor":1}})",
       DType::carried("M8[us]", 8)},
      {R"({"name":"numpy.datetime64","configuration":{"unit":"generic","scale_factor":1}})",
       DType::carried("M8", 8)},
      {record(R"({"name":"a","data_type":"int8"},{"name":"b","data_type":"float64"})"),
       parse_dtype("[('a', '|i1'), ('b', '<f8')]")},
      {named("structured",
             "\"fields\":[[\"a\",\"int8\"],[\"p\"," + record(R"({"name":"x","data_type":"r8"})") + "]]"),
       parse_dtype("[('a', '|i1'), ('p', [('x', '|V1')])]")},
  };
  for (const auto& [text, dtype] : rows) {
    INFO(text);
    CHECK(parse_zarr_v3_dtype(text, "reading") == dtype);
    CHECK(parse_zarr_v3_dtype(zarr_v3_dtype_json(dtype), "reading") == dtype);
  }

  const std::vector<std::tuple<std::string, Errc, std::string>> refused = {
      {"\"string\"", Errc::unsupported,
       "open 'a': elements of data type 'string' have a variable length; expected a type of fixed size"},
      {"\"bytes\"", Errc::unsupported,
       "open 'a': elements of data type 'bytes' have a variable length; expected a type of fixed size"},
      {R"({"name":"zarrs.optional","configuration":{"name":"uint8","configuration":{}}})", Errc::unsupported,
       "open 'a': elements of data type 'zarrs.optional' may be missing; expected a type whose elements all "
       "have "
       "a value"},
      {"\"float128\"", Errc::unsupported, "open 'a': unknown data type 'float128'"},
      {"\"r12\"", Errc::unsupported,
       "open 'a': data type 'r12'; expected a multiple of 8 bits, at most 134217728"},
      {"\"r99999999999999999999999999\"", Errc::unsupported,
       "open 'a': data type 'r99999999999999999999999999'; expected a multiple of 8 bits, at most 134217728"},
      {"7", Errc::corrupt_data, "open 'a': bad 'data_type'; expected a name or an object with a name, got 7"},
      {R"({"name":"raw_bytes","configuration":{"length_bytes":1099511627776}})", Errc::corrupt_data,
       "open 'a': data type 'raw_bytes': bad 'length_bytes'; expected a number from 1 to 16777216, got "
       "1099511627776"},
      {R"({"name":"raw_bytes"})", Errc::corrupt_data,
       "open 'a': data type 'raw_bytes': 'length_bytes' is missing"},
      {R"({"name":"fixed_length_utf32","configuration":{"length_bytes":6}})", Errc::corrupt_data,
       "open 'a': data type 'fixed_length_utf32': bad 'length_bytes'; expected a multiple of 4, got 6"},
      {R"({"name":"numpy.datetime64","configuration":{"unit":"x","scale_factor":1}})", Errc::corrupt_data,
       "open 'a': data type 'numpy.datetime64': bad 'unit'; expected a unit of time that NumPy has, got "
       "\"x\""},
      {R"({"name":"numpy.datetime64","configuration":{"unit":"s","scale_factor":0}})", Errc::corrupt_data,
       "open 'a': data type 'numpy.datetime64': bad 'scale_factor'; expected a number from 1 to 2147483647, "
       "got "
       "0"},
      {R"({"name":"struct","configuration":{"fields":[]}})", Errc::corrupt_data,
       "open 'a': data type 'struct': bad 'fields'; expected a list of at least one field, got []"},
      {R"({"name":"struct","configuration":{"fields":[["a","int8"],["a","int8"]]}})", Errc::corrupt_data,
       "open 'a': data type 'struct': bad 'fields'; expected different names, got [[\"a\",\"int8\"],[\"a\","
       "\"int8\"]]"},
      {R"({"name":"struct","configuration":{"fields":[["a","string"]]}})", Errc::unsupported,
       "open 'a': elements of data type 'string' have a variable length; expected a type of fixed size"},
  };
  for (const auto& [type, expected, message] : refused) {
    Errc code{};
    RefusedArray seen;
    CHECK(message_of([&] { parse_zarr_v3(v3({{"data_type", type}}), "open 'a'", &seen); }, &code) == message);
    CHECK(code == expected);
    CHECK(seen.shape == Shape{10, 7});
  }
  std::string nested = "\"int8\"";
  for (int i = 0; i < 40; ++i)
    nested = R"({"name":"struct","configuration":{"fields":[["a",)" + nested + "]]}}";
  CHECK(message_of([&] {
          read_v3({{"data_type", nested}});
        }) == "open 'a': data types nested too deeply; expected at most 32 levels");
}

TEST_CASE("fill values of Zarr v3 in every spelling", "[zarr]") {
  const std::vector<std::tuple<std::string, const char*, const char*>> rows = {
      {"\"bool\"", "true", "01"},
      {"\"bool\"", "false", "00"},
      {"\"int8\"", "-128", "80"},
      {"\"int8\"", "127", "7f"},
      {"\"int16\"", "0.0", "0000"},
      {"\"int16\"", "-1.0", "ffff"},
      {"\"int64\"", "-9223372036854775808", "8000000000000000"},
      {"\"uint64\"", "18446744073709551615", "ffffffffffffffff"},
      {"\"uint64\"", "9223372036854775809", "8000000000000001"},
      {"\"float32\"", "0.1", "3dcccccd"},
      {"\"float32\"", "-0.0", "80000000"},
      {"\"float32\"", "1", "3f800000"},
      {"\"float32\"", "1e300", "7f800000"},
      {"\"float32\"", "\"NaN\"", "7fc00000"},
      {"\"float32\"", "\"Infinity\"", "7f800000"},
      {"\"float32\"", "\"-Infinity\"", "ff800000"},
      {"\"float32\"", "\"0x7fa00000\"", "7fa00000"},
      {"\"float32\"", "\"0xFFFFFFFF\"", "ffffffff"},
      {"\"float32\"", "NaN", "7fc00000"},
      {"\"float64\"", "\"NaN\"", "7ff8000000000000"},
      {"\"float64\"", "\"0x7ff4000000000001\"", "7ff4000000000001"},
      {"\"float64\"", "18446744073709551615", "43f0000000000000"},
      {"\"float16\"", "\"NaN\"", "7e00"},
      {"\"float16\"", "\"0x7e01\"", "7e01"},
      {"\"complex64\"", "[1.5, \"NaN\"]", "7fc000003fc00000"},
      {"\"complex_float32\"", "[\"-Infinity\", \"0x00000001\"]", "00000001ff800000"},
      {"\"complex128\"", "[0.0, 1.0]", "3ff00000000000000000000000000000"},
      {"\"complex_float8_e5m2\"", "[1.0, \"NaN\"]", "7e3c"},
      {"\"bfloat16\"", "\"NaN\"", "7fc0"},
      {"\"bfloat16\"", "\"0xffc1\"", "ffc1"},
      {"\"float8_e4m3\"", "\"NaN\"", "7c"},
      {"\"float8_e4m3\"", "\"Infinity\"", "78"},
      {"\"float8_e5m2\"", "\"-Infinity\"", "fc"},
      {"\"float8_e4m3fn\"", "\"NaN\"", "7f"},
      {"\"float8_e4m3fnuz\"", "\"NaN\"", "80"},
      {"\"float8_e4m3fnuz\"", "-0.0", "00"},
      {"\"float8_e8m0fnu\"", "\"NaN\"", "ff"},
      {"\"float8_e8m0fnu\"", "0.5", "7e"},
      {"\"float6_e2m3fn\"", "\"0x3f\"", "3f"},
      {"\"int4\"", "-8", "f8"},
      {"\"uint4\"", "15", "0f"},
      {"\"int2\"", "-1", "ff"},
      {"\"r24\"", "[1, 2, 255]", "ff0201"},
      {"\"r24\"", "\"AQL/\"", "ff0201"},
      {R"({"name":"numpy.datetime64","configuration":{"unit":"s","scale_factor":1}})", "\"NaT\"",
       "8000000000000000"},
      {R"({"name":"numpy.timedelta64","configuration":{"unit":"s","scale_factor":1}})", "-2",
       "fffffffffffffffe"},
      {R"({"name":"fixed_length_utf32","configuration":{"length_bytes":12}})", "\"a\u20ac\"",
       "00000000000020ac00000061"},
      {R"({"name":"fixed_length_utf32","configuration":{"length_bytes":4}})", "\"\\ud83d\\ude00\"",
       "0001f600"},
      {R"({"name":"null_terminated_bytes","configuration":{"length_bytes":3}})", "\"YWI=\"", "006261"},
      {R"({"name":"null_terminated_bytes","configuration":{"length_bytes":3}})", "\"\"", "000000"},
      {record(R"(["x","int16"],["y","float32"])"), R"({"y": 1.0, "x": 2})", "3f8000000002"},
      {R"({"name":"structured","configuration":{"fields":[["x","int16"],["y","uint8"]]}})", "\"AgAD\"",
       "030002"},
  };
  for (const auto& [type, fill, hex] : rows) {
    INFO(type << " " << fill);
    CHECK(fill_v3(type, fill) == hex);
    // Written and read again it has the same bits.
    const ZarrArray array = read_v3({{"data_type", type}, {"fill_value", fill}});
    const ZarrArray again = parse_zarr_v3(zarr_v3_json(array), "again");
    CHECK(again.fill == array.fill);
    CHECK(again.dtype == array.dtype);
  }

  const std::vector<std::tuple<std::string, const char*, const char*>> refused = {
      {"\"bool\"", "1", "for bool; expected true or false, got 1"},
      {"\"int8\"", "128", "for int8; expected an integer from -128 to 127, got 128"},
      {"\"int8\"", "0.5", "for int8; expected an integer from -128 to 127, got 0.5"},
      {"\"int8\"", "\"1\"", "for int8; expected an integer from -128 to 127, got \"1\""},
      {"\"uint8\"", "-1", "for uint8; expected an integer from 0 to 255, got -1"},
      {"\"uint64\"", "18446744073709551616",
       "for uint64; expected an integer from 0 to 18446744073709551615, got 18446744073709551616"},
      {"\"int64\"", "9007199254740993.0",
       "for int64; expected an integer from -9223372036854775808 to 9223372036854775807, got "
       "9007199254740993.0"},
      {"\"int4\"", "8", "for int4; expected an integer from -8 to 7, got 8"},
      {"\"float32\"", "\"nan\"",
       "for float32; expected a number, \"NaN\", \"Infinity\", \"-Infinity\" or \"0x...\", got \"nan\""},
      {"\"float32\"", "\"0x7fc0\"", "for float32; expected \"0x\" and 8 hexadecimal digits, got \"0x7fc0\""},
      {"\"float32\"", "\"0x7fc0000g\"",
       "for float32; expected \"0x\" and 8 hexadecimal digits, got \"0x7fc0000g\""},
      {"\"float8_e4m3fn\"", "\"Infinity\"",
       "for float8_e4m3fn; expected a value that the type can hold, got \"Infinity\""},
      {"\"float8_e4m3fn\"", "1000", "for float8_e4m3fn; expected a value that the type can hold, got 1000"},
      {"\"float4_e2m1fn\"", "\"NaN\"",
       "for float4_e2m1fn; expected a value that the type can hold, got \"NaN\""},
      {"\"float4_e2m1fn\"", "\"0x10\"",
       "for float4_e2m1fn; expected \"0x\" and 2 hexadecimal digits, got \"0x10\""},
      {"\"float8_e8m0fnu\"", "0", "for float8_e8m0fnu; expected a value that the type can hold, got 0"},
      {"\"complex64\"", "1.0", "for complex64; expected [real, imaginary], got 1.0"},
      {"\"complex64\"", "[1, 2, 3]", "for complex64; expected [real, imaginary], got [1,2,3]"},
      {"\"complex64\"", "[1]", "for complex64; expected [real, imaginary], got [1]"},
      {"\"r16\"", "[1]", "for V2; expected base64 or a list of numbers of 2 bytes, got [1]"},
      {"\"r16\"", "[1, 256]", "for V2; expected base64 or a list of numbers of 2 bytes, got [1,256]"},
      {"\"r16\"", "[1, 2, 3]", "for V2; expected base64 or a list of numbers of 2 bytes, got [1,2,3]"},
      {"\"r16\"", "\"AQ==\"", "for V2; expected base64 or a list of numbers of 2 bytes, got \"AQ==\""},
      {"\"r16\"", "\"A Q=\"", "for V2; expected base64 or a list of numbers of 2 bytes, got \"A Q=\""},
      {R"({"name":"fixed_length_utf32","configuration":{"length_bytes":4}})", "\"ab\"",
       "for U1; expected a string of at most 1 characters, got \"ab\""},
      {R"({"name":"numpy.datetime64","configuration":{"unit":"s","scale_factor":1}})", "\"today\"",
       "for M8[s]; expected an integer or \"NaT\", got \"today\""},
      {record(R"(["x","int8"],["y","int8"])"), R"({"x":1,"y":2,"z":3})",
       "for record[x: int8, y: int8]; expected a value for each of 2 fields, got {\"x\":1,\"y\":2,\"z\":3}"},
      {record(R"(["x","int8"],["y","int8"])"), R"({"x":1})", "for record[x: int8, y: int8]: 'y' is missing"},
  };
  for (const auto& [type, fill, message] : refused) {
    Errc code{};
    CHECK(message_of([&, t = type, f = fill] { fill_v3(t, f); }, &code) ==
          std::string("open 'a': bad 'fill_value' ") + message);
    CHECK(code == Errc::corrupt_data);
  }
}

TEST_CASE("small floats are rounded as ml_dtypes rounds", "[zarr]") {
  // Codes from ml_dtypes 0.6.0 (float16: NumPy 2.4), of numbers that a float32 holds, ties among them.
  struct Table {
    const char* type;
    std::vector<std::pair<double, unsigned>> rows;
  };
  // clang-format off
  const std::vector<Table> tables = {
      {"bfloat16", {{0.0, 0x0}, {1.0, 0x3f80}, {-1.0, 0xbf80}, {3.3895313892515355e+38, 0x7f7f},
         {-3.3895313892515355e+38, 0xff7f}, {9.183549615799121e-41, 0x1}, {4.591774807899561e-41,
         0x0}, {1.3775324423698682e-40, 0x2}, {4.591914937745993e-41, 0x1}, {2.2958874039497803e-40,
         0x2}, {0.10000000149011612, 0x3dcd}, {0.3333333432674408, 0x3eab}, {-0.6666666865348816,
         0xbf2b}, {3.245508186299433e+17, 0x5c90}, {5.07802942217861e+33, 0x777a},
         {1.070491724010558e+32, 0x74a9}, {-0.00021418790856841952, 0xb961}, {56770146304.0,
         0x5153}, {3.0731057546774513e-32, 0xb20}, {-7.67898977703117e-23, 0x9aba},
         {6842.68603515625, 0x45d6}, {-5.3761284842787196e-24, 0x98d0}, {-3.32473459636809e+31,
         0xf3d2}, {9.236873763518524e-29, 0x10ea}, {2.3548221297819286e-30, 0xe3f}, {1.00390625,
         0x3f80}, {1.01171875, 0x3f82}, {1.01953125, 0x3f82}}},
      {"float8_e3m4", {{0.0, 0x0}, {1.0, 0x30}, {-1.0, 0xb0}, {15.5, 0x6f}, {-15.5, 0xef},
         {0.015625, 0x1}, {0.0078125, 0x0}, {0.0234375, 0x2}, {0.007812656462192535, 0x1},
         {0.0390625, 0x2}, {0.10000000149011612, 0x6}, {0.3333333432674408, 0x15},
         {-0.6666666865348816, 0xa5}, {0.004719003569334745, 0x0}, {-5.155553817749023, 0xd5},
         {-0.022626440972089767, 0x81}, {5.029480457305908, 0x54}, {-4.266786575317383, 0xd1},
         {0.09588061273097992, 0x6}, {-5.131232261657715, 0xd5}, {4.009881973266602, 0x50},
         {0.057057321071624756, 0x4}, {-0.007473025005310774, 0x80}, {-0.008996383287012577, 0x81},
         {-0.2782006859779358, 0x92}, {1.03125, 0x30}, {1.09375, 0x32}, {1.15625, 0x32}}},
      {"float8_e4m3", {{0.0, 0x0}, {1.0, 0x38}, {-1.0, 0xb8}, {240.0, 0x77}, {-240.0, 0xf7},
         {0.001953125, 0x1}, {0.0009765625, 0x0}, {0.0029296875, 0x2}, {0.000976582057774067, 0x1},
         {0.0048828125, 0x2}, {0.10000000149011612, 0x1d}, {0.3333333432674408, 0x2b},
         {-0.6666666865348816, 0xb3}, {-3.984262704849243, 0xc8}, {-0.01421319879591465, 0x87},
         {0.22718659043312073, 0x27}, {-0.13215292990207672, 0xa0}, {0.000804664334282279, 0x0},
         {0.0012285563861951232, 0x1}, {15.552020072937012, 0x58}, {-14.879961013793945, 0xd7},
         {-0.3168972432613373, 0xaa}, {-0.0017014218028634787, 0x81}, {-76.9184799194336, 0xea},
         {-6.326498985290527, 0xcd}, {1.0625, 0x38}, {1.1875, 0x3a}, {1.3125, 0x3a}}},
      {"float8_e5m2", {{0.0, 0x0}, {1.0, 0x3c}, {-1.0, 0xbc}, {57344.0, 0x7b}, {-57344.0, 0xfb},
         {1.52587890625e-05, 0x1}, {7.62939453125e-06, 0x0}, {2.288818359375e-05, 0x2},
         {7.629547326359898e-06, 0x1}, {3.814697265625e-05, 0x2}, {0.10000000149011612, 0x2e},
         {0.3333333432674408, 0x35}, {-0.6666666865348816, 0xb9}, {11575.6787109375, 0x72},
         {-0.007213676813989878, 0x9f}, {15.467026710510254, 0x4c}, {-132.6988525390625, 0xd8},
         {1245.0545654296875, 0x65}, {-13590.1513671875, 0xf3}, {-0.013794010505080223, 0xa3},
         {1737.4827880859375, 0x67}, {-2880.58984375, 0xea}, {0.0008036524523049593, 0x13},
         {-0.0001543584803584963, 0x89}, {-0.00018616081797517836, 0x8a}, {1.125, 0x3c}, {1.375,
         0x3e}, {1.625, 0x3e}}},
      {"float8_e4m3fn", {{0.0, 0x0}, {1.0, 0x38}, {-1.0, 0xb8}, {448.0, 0x7e}, {-448.0, 0xfe},
         {0.001953125, 0x1}, {0.0009765625, 0x0}, {0.0029296875, 0x2}, {0.000976582057774067, 0x1},
         {0.0048828125, 0x2}, {0.10000000149011612, 0x1d}, {0.3333333432674408, 0x2b},
         {-0.6666666865348816, 0xb3}, {141.45896911621094, 0x71}, {-0.0012365442235022783, 0x81},
         {0.9257521629333496, 0x37}, {-0.003924510907381773, 0x82}, {7.79942512512207, 0x50},
         {-0.019947808235883713, 0x8a}, {-117.39360809326172, 0xef}, {-0.5308144688606262, 0xb0},
         {0.0035610604099929333, 0x2}, {94.57240295410156, 0x6c}, {6.606019973754883, 0x4d},
         {-0.2087545096874237, 0xa5}, {1.0625, 0x38}, {1.1875, 0x3a}, {1.3125, 0x3a}}},
      {"float8_e4m3b11fnuz", {{0.0, 0x0}, {1.0, 0x58}, {-1.0, 0xd8}, {30.0, 0x7f}, {-30.0, 0xff},
         {0.0001220703125, 0x1}, {6.103515625e-05, 0x0}, {0.00018310546875, 0x2},
         {6.103637861087918e-05, 0x1}, {0.00030517578125, 0x2}, {0.10000000149011612, 0x3d},
         {0.3333333432674408, 0x4b}, {-0.6666666865348816, 0xd3}, {-2.446770429611206, 0xe2},
         {-0.008925391361117363, 0xa1}, {3.839653491973877, 0x67}, {0.02080940268933773, 0x2b},
         {-0.018538977950811386, 0xa9}, {-0.00011137724504806101, 0x81}, {-7.849813846405596e-05,
         0x81}, {-5.526561260223389, 0xeb}, {0.19047760963439941, 0x44}, {-6.662517080258112e-06,
         0x0}, {-0.0017130746273323894, 0x8e}, {2.6389687061309814, 0x63}, {1.0625, 0x58}, {1.1875,
         0x5a}, {1.3125, 0x5a}}},
      {"float8_e4m3fnuz", {{0.0, 0x0}, {1.0, 0x40}, {-1.0, 0xc0}, {240.0, 0x7f}, {-240.0, 0xff},
         {0.0009765625, 0x1}, {0.00048828125, 0x0}, {0.00146484375, 0x2}, {0.0004882910288870335,
         0x1}, {0.00244140625, 0x2}, {0.10000000149011612, 0x25}, {0.3333333432674408, 0x33},
         {-0.6666666865348816, 0xbb}, {-3.614522933959961, 0xce}, {2.189671039581299, 0x49},
         {3.036498546600342, 0x4c}, {-1.2363859415054321, 0xc2}, {-0.11627697944641113, 0xa7},
         {2.0476274490356445, 0x48}, {-42.51814270019531, 0xeb}, {0.2721415162086487, 0x31},
         {-0.5738282799720764, 0xb9}, {-1.4746270179748535, 0xc4}, {-1.43752121925354, 0xc4},
         {4.466891765594482, 0x51}, {1.0625, 0x40}, {1.1875, 0x42}, {1.3125, 0x42}}},
      {"float8_e5m2fnuz", {{0.0, 0x0}, {1.0, 0x40}, {-1.0, 0xc0}, {57344.0, 0x7f}, {-57344.0, 0xff},
         {7.62939453125e-06, 0x1}, {3.814697265625e-06, 0x0}, {1.1444091796875e-05, 0x2},
         {3.814773663179949e-06, 0x1}, {1.9073486328125e-05, 0x2}, {0.10000000149011612, 0x32},
         {0.3333333432674408, 0x39}, {-0.6666666865348816, 0xbd}, {-3.80657958984375, 0xc8},
         {433.89947509765625, 0x63}, {-385.22393798828125, 0xe2}, {25.963905334472656, 0x52},
         {17262.962890625, 0x78}, {0.03135833889245987, 0x2c}, {-741.2256469726562, 0xe6},
         {0.22464251518249512, 0x37}, {27.888809204101562, 0x53}, {9.621115168556571e-05, 0xa},
         {1.6089131832122803, 0x42}, {0.022830406203866005, 0x2a}, {1.125, 0x40}, {1.375, 0x42},
         {1.625, 0x42}}},
      {"float6_e2m3fn", {{0.0, 0x0}, {1.0, 0x8}, {-1.0, 0x28}, {7.5, 0x1f}, {-7.5, 0x3f}, {0.125,
         0x1}, {0.0625, 0x0}, {0.1875, 0x2}, {0.06250125169754028, 0x1}, {0.3125, 0x2},
         {0.10000000149011612, 0x1}, {0.3333333432674408, 0x3}, {-0.6666666865348816, 0x25},
         {0.5669171810150146, 0x5}, {0.4871993362903595, 0x4}, {-0.12424595654010773, 0x21},
         {-0.15129633247852325, 0x21}, {-0.8520950078964233, 0x27}, {0.01987246796488762, 0x0},
         {-0.010167826898396015, 0x20}, {-0.10367953777313232, 0x21}, {-0.05309663712978363, 0x20},
         {-0.04524081200361252, 0x20}, {-0.025390764698386192, 0x20}, {0.21719790995121002, 0x2},
         {1.0625, 0x8}, {1.1875, 0xa}, {1.3125, 0xa}}},
      {"float6_e3m2fn", {{0.0, 0x0}, {1.0, 0xc}, {-1.0, 0x2c}, {28.0, 0x1f}, {-28.0, 0x3f}, {0.0625,
         0x1}, {0.03125, 0x0}, {0.09375, 0x2}, {0.03125062584877014, 0x1}, {0.15625, 0x2},
         {0.10000000149011612, 0x2}, {0.3333333432674408, 0x5}, {-0.6666666865348816, 0x29},
         {-6.707045078277588, 0x37}, {-0.4641558825969696, 0x27}, {-0.21236498653888702, 0x23},
         {-6.104692459106445, 0x36}, {-0.010022140108048916, 0x20}, {0.013346117921173573, 0x0},
         {0.02708451822400093, 0x0}, {2.9875223636627197, 0x12}, {0.3244180381298065, 0x5},
         {1.4092803001403809, 0xe}, {-0.021022526547312737, 0x20}, {0.25621655583381653, 0x4},
         {1.125, 0xc}, {1.375, 0xe}, {1.625, 0xe}}},
      {"float4_e2m1fn", {{0.0, 0x0}, {1.0, 0x2}, {-1.0, 0xa}, {6.0, 0x7}, {-6.0, 0xf}, {0.5, 0x1},
         {0.25, 0x0}, {0.75, 0x2}, {0.25000500679016113, 0x1}, {1.25, 0x2}, {0.10000000149011612,
         0x0}, {0.3333333432674408, 0x1}, {-0.6666666865348816, 0x9}, {4.333603858947754, 0x6},
         {0.1578754037618637, 0x0}, {0.19730086624622345, 0x0}, {-1.0945141315460205, 0xa},
         {0.08831354975700378, 0x0}, {0.9718288779258728, 0x2}, {-0.2305406630039215, 0x8},
         {-0.3318656086921692, 0x9}, {0.7492769956588745, 0x1}, {3.706407308578491, 0x6},
         {0.10552385449409485, 0x0}, {1.086984634399414, 0x2}, {1.25, 0x2}, {1.75, 0x4}, {2.5,
         0x4}}},
      {"float16", {{0.0, 0x0}, {1.0, 0x3c00}, {65504.0, 0x7bff}, {65519.99, 0x7bff}, {65520.0,
         0x7c00}, {5.96e-08, 0x1}, {2.98e-08, 0x0}, {2.9803e-08, 0x1}, {0.1, 0x2e66},
         {0.3333333333333333, 0x3555}, {1.00048828125, 0x3c00}, {1.0004882812509095, 0x3c01},
         {1.0004882812490905, 0x3c00}}},
  };
  // clang-format on
  for (const Table& table : tables)
    for (const auto& [value, code] : table.rows) {
      char text[64];
      std::snprintf(text, sizeof text, "%.17g", value);
      INFO(table.type << " of " << text);
      const ZarrArray array =
          read_v3({{"data_type", "\"" + std::string(table.type) + "\""}, {"fill_value", text}});
      unsigned got = 0;
      for (std::size_t i = array.fill.size(); i-- > 0;)
        got = got << 8 | std::to_integer<unsigned>(array.fill[i]);
      // Beyond the largest number ml_dtypes gives NaN where there is no infinity; the table stays below.
      CHECK(got == code);
      CHECK(parse_zarr_v3(zarr_v3_json(array), "again").fill == array.fill);
    }
  // Rounded once from double, not twice over float: just above and below the middle of two neighbours.
  CHECK(fill_v3("\"bfloat16\"", "1.00390625") == "3f80");
  CHECK(fill_v3("\"bfloat16\"", "1.0039062500000002") == "3f81");
  CHECK(fill_v3("\"bfloat16\"", "1.0117187499999998") == "3f81");
}

TEST_CASE("records of which no byte order is said are little-endian", "[zarr]") {
  const std::string type = record(R"(["x","int16"])");
  const auto codecs = [&](const std::string& list) {
    return read_v3({{"data_type", type}, {"fill_value", "\"AQA=\""}, {"codecs", list}}).codecs.front();
  };
  CHECK(codecs("[\"bytes\"]").configuration == R"({"endian":"little"})");
  CHECK(codecs("[" + named("bytes", "\"endian\":\"big\"") + "]").configuration == R"({"endian":"big"})");
  CHECK(read_v3({{"codecs", "[\"bytes\"]"}}).codecs.front().configuration == "{}");
}

TEST_CASE("hostile metadata costs nothing", "[zarr]") {
  const auto deep = [](const std::string& open, const std::string& close, int levels) {
    std::string text;
    for (int i = 0; i < levels; ++i) text += open;
    for (int i = 0; i < levels; ++i) text += close;
    return text;
  };
  CHECK(message_of([&] { read_v3({{"attributes", "{\"a\":" + deep("[", "]", 253) + "}"}}); }) == "");
  CHECK(message_of([&] {
          read_v3({{"attributes", "{\"a\":" + deep("[", "]", 1000000) + "}"}});
        }) == "open 'a': JSON nested too deeply; expected at most 256 levels, got more");
  std::string ranks = "[1";
  for (int i = 0; i < 1000000; ++i) ranks += ",1";
  ranks += "]";
  CHECK(message_of([&] { read_v3({{"shape", ranks}}); }).size() < 300);
  CHECK(message_of([&] { read_v2({{"shape", ranks}, {"chunks", ranks}}); }).size() < 300);
  CHECK(message_of([&] { read_n5({{"dimensions", ranks}}); }).size() < 300);
  // Very many members take time in proportion.
  std::string members = "{\"m0\":0";
  for (int i = 1; i < 200000; ++i) members += ",\"m" + std::to_string(i) + "\":0";
  CHECK(read_v3({{"attributes", members + "}"}}).attributes.size() == 200000);
  CHECK(message_of([&] { parse_zarr_v3(std::string((64u << 20) + 1, ' '), "open 'a'"); }) ==
        "open 'a': the document is too large; expected at most 67108864 bytes, got 67108865");
  CHECK(message_of([&] {
          read_v2({{"dtype", "\"|V1099511627776\""}});
        }) == "open 'a': elements are too large; expected at most 16777216 bytes, got 1099511627776");
}

TEST_CASE("names of codecs that were in use before they were settled", "[zarr]") {
  const auto name = [](const std::string& n) {
    return parse_zarr_codecs("[\"" + n + "\"]", "x").front().name;
  };
  CHECK(name("endian") == "bytes");
  CHECK(name("https://codec.zarrs.dev/bytes_to_bytes/bz2") == "numcodecs.bz2");
  CHECK(name("https://codec.zarrs.dev/array_to_array/bitround") == "bitround");
  CHECK(name("https://purl.org/zarr/spec/codec/gzip/1.0") == "gzip");
  CHECK(name("numcodecs.zlib") == "numcodecs.zlib");
  const auto codecs = parse_zarr_codecs(
      "[" + named("sharding_indexed", R"("chunk_shape":[2, 2],"codecs":["bytes"],"index_codecs":[])") + "]",
      "x");
  CHECK(codecs.front().configuration == R"({"chunk_shape":[2,2],"codecs":["bytes"],"index_codecs":[]})");
}

// ----------------------------------------------------------------------------------------------------- v2

TEST_CASE("a document of Zarr v2 becomes a chain of codecs", "[zarr]") {
  const ZarrArray a =
      read_v2({{"dtype", "\">f4\""},
               {"order", "\"F\""},
               {"filters", R"([{"id":"delta","dtype":"<f4"},{"id":"shuffle","elementsize":4}])"},
               {"compressor", R"({"id":"blosc","cname":"lz4","clevel":5,"shuffle":1})"},
               {"dimension_separator", "\"/\""},
               {"unknown", "1"}},
              R"({"_ARRAY_DIMENSIONS": ["y", "x"], "scale": NaN})");
  CHECK(a.format == "zarr_v2");
  CHECK(a.dtype == DType(Type::float32));
  CHECK(a.codecs == std::vector<CodecInfo>{{"transpose", R"({"order":[1,0]})"},
                                           {"bytes", R"({"endian":"big"})"},
                                           {"numcodecs.delta", R"({"dtype":"<f4"})"},
                                           {"numcodecs.shuffle", R"({"elementsize":4})"},
                                           {"numcodecs.blosc", R"({"cname":"lz4","clevel":5,"shuffle":1})"}});
  CHECK(a.keys.key({1, 2}) == "1/2");
  CHECK(a.dims == std::vector<std::string>{"y", "x"});
  CHECK(a.attributes == Attributes{{"_ARRAY_DIMENSIONS", "[\"y\",\"x\"]"}, {"scale", "\"NaN\""}});
  CHECK(read_v2().keys.key({1, 2}) == "1.2");
  CHECK(read_v2().codecs == std::vector<CodecInfo>{{"bytes", R"({"endian":"little"})"}});
  CHECK(read_v2({{"filters", "[]"}}).codecs.size() == 1);
  // Members that must be there and are not, in files that other software reads.
  CHECK(read_v2({{"filters", ""}, {"compressor", ""}, {"order", ""}, {"fill_value", ""}}).codecs.size() == 1);
  CHECK(read_v2({}, R"({"_ARRAY_DIMENSIONS": ["y"]})").dims.empty());
  CHECK(read_v2({{"shape", "[]"}, {"chunks", "[]"}, {"order", "\"F\""}}).codecs.size() == 1);
}

TEST_CASE("codecs of v2 that make bytes of arrays take the place of bytes", "[zarr]") {
  const ZarrArray a = read_v2({{"dtype", "\"<f4\""},
                               {"order", "\"F\""},
                               {"filters", R"([{"id":"bitround","keepbits":7}])"},
                               {"compressor", R"({"id":"zfpy","mode":4,"tolerance":0.001})"}});
  CHECK(a.codecs == std::vector<CodecInfo>{{"transpose", R"({"order":[1,0]})"},
                                           {"numcodecs.bitround", R"({"keepbits":7})"},
                                           {"numcodecs.zfpy", R"({"mode":4,"tolerance":0.001})"}});
  CHECK(
      message_of([] {
        read_v2({{"dtype", "\">f4\""}, {"compressor", R"({"id":"zfpy"})"}});
      }) ==
      "open 'a': codec 'numcodecs.zfpy' with big-endian elements; expected elements in little-endian order");
}

TEST_CASE("data types of Zarr v2", "[zarr]") {
  const auto dtype = [](const std::string& text) {
    return read_v2({{"dtype", text}, {"fill_value", "null"}}).dtype.name();
  };
  CHECK(dtype("\"|b1\"") == "bool");
  CHECK(dtype("\"<u1\"") == "uint8");
  CHECK(dtype("\">i8\"") == "int64");
  CHECK(dtype("\"|S7\"") == "S7");
  CHECK(dtype("\">U3\"") == "U3");
  CHECK(dtype("\"<M8[10ms]\"") == "M8[10ms]");
  CHECK(dtype("\"|V9\"") == "V9");
  CHECK(dtype("\"bfloat16\"") == "bfloat16");
  CHECK(dtype(R"([["a", "<i4"], ["", "|V4"], ["b", [["x", "<f8", [2, 3]]]]])") ==
        "record[a: int32, b: record[x: float64 (2, 3)]]");
  const auto refusal = [](const Changes& changes, Errc* code) {
    RefusedArray seen;
    const std::string text = message_of([&] { parse_zarr_v2(v2(changes), "", "open 'a'", &seen); }, code);
    CHECK(seen.shape == Shape{10, 7});
    return text;
  };
  Errc code{};
  CHECK(refusal({{"dtype", "\"|O\""}, {"filters", R"([{"id":"vlen-utf8"}])"}}, &code) ==
        "open 'a': elements of dtype '|O' have a variable length (object codec 'numcodecs.vlen-utf8'); "
        "expected a "
        "type of fixed size");
  CHECK(code == Errc::unsupported);
  CHECK(refusal({{"dtype", "\"<f3\""}}, &code).rfind("open 'a': reading a dtype: not understood", 0) == 0);
  CHECK(code == Errc::corrupt_data);
  CHECK(refusal({{"dtype", "4"}}, &code) == "open 'a': bad 'dtype'; expected a NumPy dtype, got 4");
}

TEST_CASE("fill values of Zarr v2 in every spelling", "[zarr]") {
  const std::vector<std::tuple<const char*, const char*, const char*>> rows = {
      {"\"<i4\"", "null", "00000000"},
      {"\">i4\"", "-2", "fffffffe"},
      {"\"|b1\"", "true", "01"},
      {"\"|b1\"", "1", "01"},
      {"\"|b1\"", "0", "00"},
      {"\"|u1\"", "255", "ff"},
      {"\"|u1\"", "-128", "80"},
      {"\"|u1\"", "-1.0", "ff"},
      {"\"<u8\"", "18446744073709551615", "ffffffffffffffff"},
      {"\"<i2\"", "\"5\"", "0005"},
      {"\"<f4\"", "\"NaN\"", "7fc00000"},
      {"\"<f4\"", "NaN", "7fc00000"},
      {"\">f8\"", "-Infinity", "fff0000000000000"},
      {"\"<f4\"", "\"1e20\"", "60ad78ec"},
      {"\"<c8\"", "[1, \"Infinity\"]", "7f8000003f800000"},
      {"\"<c8\"", "0", "0000000000000000"},
      {"\"<M8[s]\"", "\"NaT\"", "8000000000000000"},
      {"\"<M8[s]\"", "0", "0000000000000000"},
      {"\"|S3\"", "\"YWI=\"", "006261"},
      {"\"|S3\"", "0", "000000"},
      {"\"|S3\"", "\"\"", "000000"},
      {"\">U2\"", "\"\u00e9\"", "00000000000000e9"},
      {"\"<U2\"", "0", "0000000000000000"},
      {"\"|V2\"", "\"AQI=\"", "0201"},
      {"\"|V2\"", "0", "0000"},
      {R"([["a", "<i2"], ["b", "|u1"]])", "\"AgED\"", "030102"},
      {R"([["a", ">i2"], ["b", "|u1"]])", "\"AQID\"", "030102"},
      {R"([["a", "<i2"], ["b", "|u1"]])", "0", "000000"},
  };
  for (const auto& [dtype, fill, hex] : rows) {
    INFO(dtype << " " << fill);
    CHECK(fill_v2(dtype, fill) == hex);
    const ZarrArray array = read_v2({{"dtype", dtype}, {"fill_value", fill}});
    const ZarrV2Documents again = zarr_v2_json(array);
    CHECK(parse_zarr_v2(again.zarray, again.zattrs, "again").fill == array.fill);
  }
  const std::vector<std::tuple<const char*, const char*, const char*>> refused = {
      {"\"|b1\"", "2", "for bool; expected true or false, got 2"},
      {"\"|u1\"", "-129", "for uint8; expected an integer from 0 to 255, got -129"},
      {"\"|u1\"", "256", "for uint8; expected an integer from 0 to 255, got 256"},
      {"\"<i2\"", "\"x\"", "for int16; expected an integer from -32768 to 32767, got \"x\""},
      {"\"|S1\"", "\"YWI=\"", "for S1; expected base64 of at most 1 bytes, got \"YWI=\""},
      {"\"|S3\"", "\"Y!I=\"", "for S3; expected base64 of at most 3 bytes, got \"Y!I=\""},
      {"\"|V3\"", "\"YWI=\"", "for V3; expected base64 of 3 bytes, got \"YWI=\""},
      {"\"|V1\"", "[1]", "for V1; expected base64 of 1 bytes, got [1]"},
  };
  for (const auto& [dtype, fill, message] : refused)
    CHECK(message_of([&, d = dtype, f = fill] { fill_v2(d, f); }) ==
          std::string("open 'a': bad 'fill_value' ") + message);
}

TEST_CASE("bad members of Zarr v2 are named", "[zarr]") {
  const std::vector<std::pair<Changes, std::string>> rows = {
      {{{"zarr_format", "3"}}, "open 'a': bad 'zarr_format'; expected 2, got 3"},
      {{{"order", "\"K\""}}, "open 'a': bad 'order'; expected \"C\" or \"F\", got \"K\""},
      {{{"dimension_separator", "\"-\""}},
       "open 'a': bad 'dimension_separator'; expected \".\" or \"/\", got \"-\""},
      {{{"compressor", "\"zlib\""}},
       "open 'a': bad 'compressor'; expected codecs with an \"id\", got \"zlib\""},
      {{{"filters", "[{}]"}}, "open 'a': bad 'filters'; expected codecs with an \"id\", got {}"},
      {{{"filters", "{}"}}, "open 'a': bad 'filters'; expected a list of codecs or null, got {}"},
      {{{"chunks", "[4]"}}, "open 'a': bad 'chunks'; expected 2 lengths, one per axis, got [4]"},
      {{{"chunks", "[4, 0]"}}, "open 'a': bad 'chunks'; expected lengths of at least 1, got [4,0]"},
      {{{"dtype", ""}}, "open 'a': 'dtype' is missing"},
  };
  for (const auto& [changes, message] : rows) CHECK(message_of([&] { read_v2(changes); }) == message);
  CHECK(message_of([] { read_v2({}, "["); }).rfind("open 'a' (.zattrs): not JSON", 0) == 0);
}

TEST_CASE("what Zarr v2 cannot say is refused when writing", "[zarr]") {
  ZarrArray a = read_v2({{"compressor", R"({"id":"zlib","level":1})"}, {"order", "\"F\""}},
                        R"({"_ARRAY_DIMENSIONS":["y","x"],"k":"v"})");
  const ZarrV2Documents documents = zarr_v2_json(a);
  const Json zarray = Json::parse(documents.zarray);
  CHECK(zarray == Json::parse(R"({"zarr_format":2,"shape":[10,7],"chunks":[4,3],
      "dtype":"<i4","compressor":{"id":"zlib","level":1},"fill_value":0,"order":"F","filters":null,
      "dimension_separator":"."})"));
  CHECK(Json::parse(documents.zattrs) == Json::parse(R"({"k":"v","_ARRAY_DIMENSIONS":["y","x"]})"));

  const auto writes = [&](const std::vector<CodecInfo>& codecs) {
    ZarrArray b = a;
    b.codecs = codecs;
    const Json json = Json::parse(zarr_v2_json(b).zarray);
    return json["dtype"].get<std::string>() + json["order"].get<std::string>() + json["filters"].dump() +
           json["compressor"].dump();
  };
  CHECK(writes({{"bytes", R"({"endian":"big"})"}}) == ">i4Cnullnull");
  CHECK(writes({{"bytes", R"({"endian":"little"})"},
                {"numcodecs.shuffle", R"({"elementsize":4})"},
                {"gzip", R"({"level":5})"}}) ==
        R"(<i4C[{"elementsize":4,"id":"shuffle"}]{"id":"gzip","level":5})");
  CHECK(writes({{"bytes", "{}"},
                {"blosc",
                 R"({"cname":"zstd","clevel":5,"shuffle":"bitshuffle","typesize":4,"blocksize":0})"}}) ==
        R"(<i4Cnull{"blocksize":0,"clevel":5,"cname":"zstd","id":"blosc","shuffle":2})");
  CHECK(writes({{"bytes", "{}"}, {"zstd", R"({"level":3,"checksum":false})"}}) ==
        R"(<i4Cnull{"id":"zstd","level":3})");
  CHECK(message_of([&] { writes({{"transpose", R"({"order":[0,1]})"}, {"bytes", "{}"}}); }) == "");
  a.grid = Grid::regular({4, 5, 6}, {1, 2, 3});
  a.chunk_shape = {1, 2, 3};
  CHECK(message_of([&] {
          writes({{"transpose", R"({"order":[1,0,2]})"}, {"bytes", "{}"}});
        }) ==
        "writing Zarr v2: the format has no such order of axes; expected C or F order, got "
        "{\"order\":[1,0,2]}");
  CHECK(message_of([&] {
          writes({{"bytes", "{}"}, {"packbits", "{}"}});
        }) == "writing Zarr v2: codec 'packbits': the format has no such codec; expected one of numcodecs");
  CHECK(message_of([&] {
          writes({{"sharding_indexed", "{}"}});
        }) ==
        "writing Zarr v2: codec 'sharding_indexed': the format has no such codec; expected one of numcodecs");
  ZarrArray b = read_v3();
  CHECK(message_of([&] { zarr_v2_json(b); }) ==
        "writing Zarr v2: chunk keys of another format; expected those of Zarr v2");
  b.keys = {ChunkKeys::Style::v2, '.'};
  CHECK(message_of([&] { zarr_v2_json(b); }) == "");
  b.is_bounded = true;
  CHECK(message_of([&] { zarr_v2_json(b); }) ==
        "writing Zarr v2: chunks of differing shape; expected a regular grid");
  ZarrArray c = read_v3({{"data_type", "\"bfloat16\""}, {"chunk_key_encoding", "\"v2\""}});
  CHECK(message_of([&] { zarr_v2_json(c); }) == "writing Zarr v2: NumPy has no name for dtype bfloat16");
}

TEST_CASE("a written zarr.json says the same again", "[zarr]") {
  const ZarrArray a = read_v3({{"dimension_names", R"(["y", null])"},
                               {"attributes", R"({"z": 1, "_ARRAY_DIMENSIONS": ["y", ""], "a": "b"})"},
                               {"fill_value", "5"}});
  CHECK(Json::parse(zarr_v3_json(a)) == Json::parse(R"({"zarr_format":3,"node_type":"array","shape":[10,7],
    "data_type":"int32","chunk_grid":{"name":"regular","configuration":{"chunk_shape":[4,3]}},
    "chunk_key_encoding":{"name":"default","configuration":{"separator":"/"}},"fill_value":5,
    "codecs":[{"name":"bytes","configuration":{"endian":"little"}}],
    "attributes":{"z":1,"a":"b"},"dimension_names":["y",null]})"));
  CHECK(zarr_v3_json(a).find("\"z\"") < zarr_v3_json(a).find("\"a\""));
  ZarrArray b = read_v3({{"data_type", "\"float32\""}, {"fill_value", "0.1"}});
  CHECK(zarr_v3_json(b).find("\"fill_value\": 0.10000000149011612,") != std::string::npos);
  const float infinite = -std::numeric_limits<float>::infinity();
  std::memcpy(b.fill.data(), &infinite, 4);
  CHECK(zarr_v3_json(b).find("\"fill_value\": \"-Infinity\",") != std::string::npos);
  CHECK(message_of([] { zarr_v3_json(read_n5()); }) ==
        "writing Zarr v3: no name for the chunk keys of N5; expected those of Zarr");
  ZarrArray c = read_v2({{"dtype", R"([["a", "<i4"], ["", "|V4"]])"}, {"fill_value", "null"}});
  CHECK(message_of([&] { zarr_v3_json(c); }) ==
        "writing Zarr v3: no name for dtype record[a: int32]; expected fields without gaps");
}

// ----------------------------------------------------------------------------------------------------- N5

TEST_CASE("a data set of N5 has its axes reversed", "[zarr][n5]") {
  const ZarrArray a = read_n5({{"compression", R"({"type":"gzip","level":-1})"}, {"resolution", "[1, 2]"}});
  CHECK(a.format == "n5");
  CHECK(a.dtype == DType(Type::int32));
  CHECK(a.grid == Grid::regular({10, 7}, {4, 3}));
  CHECK(a.keys.key({2, 1}) == "1/2");
  CHECK(a.codecs ==
        std::vector<CodecInfo>{{"n5.block", R"({"codecs":[{"name":"gzip","configuration":{"level":6}}]})"}});
  CHECK(a.attributes == Attributes{{"resolution", "[1,2]"}});
  CHECK(fill_hex(a) == "00000000");

  const auto codec = [](const std::string& compression) {
    return read_n5({{"compression", compression}}).codecs.front().configuration;
  };
  CHECK(codec(R"({"type":"raw"})") == R"({"codecs":[]})");
  CHECK(codec(R"({"type":"gzip","useZlib":true,"level":3})") ==
        R"({"codecs":[{"name":"numcodecs.zlib","configuration":{"level":3}}]})");
  CHECK(codec(R"({"type":"bzip2","blockSize":1})") ==
        R"({"codecs":[{"name":"numcodecs.bz2","configuration":{"level":1}}]})");
  CHECK(codec(R"({"type":"xz","preset":4})") ==
        R"({"codecs":[{"name":"numcodecs.lzma","configuration":{"format":1,"preset":4}}]})");
  CHECK(codec(R"({"type":"lz4","blockSize":65536})") ==
        R"({"codecs":[{"name":"n5.lz4","configuration":{"blockSize":65536}}]})");
  CHECK(codec(R"({"type":"blosc","cname":"lz4","clevel":5,"shuffle":1,"blocksize":0})") ==
        "{\"codecs\":[" + named("numcodecs.blosc", R"("cname":"lz4","clevel":5,"shuffle":1,"blocksize":0)") +
            "]}");
  CHECK(codec(R"({"type":"zstd","level":0})") ==
        R"({"codecs":[{"name":"zstd","configuration":{"level":0,"checksum":false}}]})");
  CHECK(codec(R"({"type":"jpeg"})") == R"({"codecs":[{"name":"n5.jpeg","configuration":{}}]})");
  CHECK(read_n5({{"compression", ""}, {"compressionType", "\"gzip\""}}).codecs.front().configuration ==
        R"({"codecs":[{"name":"gzip","configuration":{"level":6}}]})");

  const std::vector<std::pair<Changes, std::string>> rows = {
      {{{"dataType", "\"complex64\""}},
       "open 'a': bad 'dataType'; expected an integer type, float32 or float64, got \"complex64\""},
      {{{"dataType", "\"object\""}},
       "open 'a': elements of data type 'object' have a variable length; expected a type of fixed size"},
      {{{"compression", ""}}, "open 'a': 'compression' is missing"},
      {{{"compression", "\"raw\""}},
       "open 'a': bad 'compression'; expected an object with a \"type\", got \"raw\""},
      {{{"dimensions", "[]"}, {"blockSize", "[]"}},
       "open 'a': bad 'dimensions'; expected at least one axis, got []"},
      {{{"blockSize", "[3]"}}, "open 'a': bad 'blockSize'; expected 2 lengths, one per axis, got [3]"},
  };
  for (const auto& [changes, message] : rows) CHECK(message_of([&] { read_n5(changes); }) == message);
}

namespace {

AnyCodec make_codec(const CodecInfo& info, const DType& dtype, const Shape& chunk) {
  return find_codec(info.name, "open 'a'")->make(info, "open 'a'").prepare(DecodedSpec::array(dtype, chunk));
}
std::vector<int> decoded(const AnyCodec& codec, const std::string& in, std::size_t count) {
  std::vector<std::int16_t> out(count, 99);
  std::vector<std::byte> scratch(codec.scratch_bytes());
  const std::vector<std::byte> bytes = as_bytes(in);
  const std::size_t got = codec.decode(bytes, std::as_writable_bytes(std::span(out)), scratch);
  CHECK(got == 2 * count);
  return {out.begin(), out.end()};
}

}  // namespace

TEST_CASE("blocks of N5", "[zarr][n5]") {
  const AnyCodec codec = make_codec({"n5.block", R"({"codecs":[]})"}, Type::int16, {2, 3});
  // Mode 0, two axes, 3 along the fastest and 2 along the other, big-endian elements.
  const std::string head("\0\0\0\2\0\0\0\3\0\0\0\2", 12);
  const std::string whole = head + std::string("\0\1\0\2\0\3\0\4\0\5\xff\xff", 12);
  CHECK(decoded(codec, whole, 6) == std::vector<int>{1, 2, 3, 4, 5, -1});
  // A block at the edge is the chunk's low corner.
  CHECK(decoded(codec, std::string("\0\0\0\2\0\0\0\2\0\0\0\1\0\7\0\x8", 16), 6) ==
        std::vector<int>{7, 8, 0, 0, 0, 0});
  CHECK(decoded(codec, std::string("\0\0\0\2\0\0\0\1\0\0\0\2\0\7\0\x8", 16), 6) ==
        std::vector<int>{7, 0, 0, 8, 0, 0});
  // Mode 1 with one element per position.
  CHECK(decoded(codec, std::string("\0\1\0\2\0\0\0\1\0\0\0\1\0\0\0\1\1\0", 18), 6) ==
        std::vector<int>{256, 0, 0, 0, 0, 0});

  const auto refusal = [&](const std::string& in) { return message_of([&] { decoded(codec, in, 6); }); };
  CHECK(refusal("") == "decoding n5.block: the header is cut short; expected 12, got 0");
  CHECK(refusal(head.substr(0, 11)) == "decoding n5.block: the header is cut short; expected 12, got 11");
  CHECK(refusal(head) == "decoding n5.block: wrong number of bytes; expected 12, got 0");
  CHECK(refusal(whole + "x") == "decoding n5.block: wrong number of bytes; expected 12, got 13");
  CHECK(refusal(std::string("\0\0\0\3\0\0\0\3\0\0\0\2", 12)) ==
        "decoding n5.block: wrong number of axes; expected 2, got 3");
  CHECK(refusal(std::string("\0\0\0\2\0\0\0\4\0\0\0\2", 12)) ==
        "decoding n5.block: bad block size; expected 1 to 3 along axis 1, got 4");
  CHECK(refusal(std::string("\0\0\0\2\xff\xff\xff\xff\xff\xff\xff\xff", 12)) ==
        "decoding n5.block: bad block size; expected 1 to 3 along axis 1, got 4294967295");
  CHECK(refusal(std::string("\0\0\0\2\0\0\0\3\0\0\0\0", 12)) ==
        "decoding n5.block: bad block size; expected 1 to 2 along axis 0, got 0");
  CHECK(refusal(std::string("\0\2\0\2\0\0\0\3\0\0\0\2", 12)) ==
        "decoding n5.block: a block of objects; expected mode 0, got mode 2");
  CHECK(refusal(std::string("\0\1\0\2\0\0\0\1\0\0\0\1\0\0\0\2\1\0", 18)) ==
        "decoding n5.block: a block of variable length; expected one element per position, 1, got 2");

  std::vector<std::int16_t> values{1, 2, 3, 4, 5, -1};
  std::vector<std::byte> out(codec.max_encoded_bytes(12)), scratch(codec.scratch_bytes());
  const std::size_t n = codec.encode(std::as_bytes(std::span(values)), out, scratch);
  CHECK(std::string(reinterpret_cast<const char*>(out.data()), n) == whole);
}

TEST_CASE("n5_default of Zarr v3 keeps the order of N5's axes", "[zarr][n5]") {
  const std::string transpose = named("transpose", "\"order\":[1,0]");
  const std::string config = "{\"codecs\":[" + transpose + "," + named("bytes", "\"endian\":\"big\"") + "]}";
  const AnyCodec codec = make_codec({"n5_default", config}, Type::int16, {3, 2});
  const std::string whole("\0\0\0\2\0\0\0\3\0\0\0\2\0\1\0\2\0\3\0\4\0\5\0\6", 24);
  CHECK(decoded(codec, whole, 6) == std::vector<int>{1, 4, 2, 5, 3, 6});
  CHECK(decoded(codec, std::string("\0\0\0\2\0\0\0\2\0\0\0\1\0\7\0\x8", 16), 6) ==
        std::vector<int>{7, 0, 8, 0, 0, 0});
  std::vector<std::int16_t> values{1, 4, 2, 5, 3, 6};
  std::vector<std::byte> out(codec.max_encoded_bytes(12)), scratch(codec.scratch_bytes());
  const std::size_t n = codec.encode(std::as_bytes(std::span(values)), out, scratch);
  CHECK(std::string(reinterpret_cast<const char*>(out.data()), n) == whole);

  const auto refusal = [](const std::string& codecs, const Shape& chunk = {3, 2}) {
    return message_of([&] { make_codec({"n5_default", "{\"codecs\":" + codecs + "}"}, Type::int16, chunk); });
  };
  const std::string what = "open 'a': codec 'n5_default': bad 'codecs'; expected ";
  CHECK(refusal("[]") == what + "a transpose first, got nothing");
  CHECK(refusal(R"([{"name":"transpose","configuration":{"order":[0,1]}},"bytes"])") ==
        what + "a transpose that reverses the axes, got 'transpose' {\"order\":[0,1]}");
  CHECK(refusal(R"([{"name":"transpose","configuration":{"order":[1,0]}}])") ==
        what + "bytes second, got nothing");
  CHECK(refusal("[" + transpose + "," + named("bytes", "\"endian\":\"little\"") + "]") ==
        what + "big-endian bytes, got 'bytes' {\"endian\":\"little\"}");
  CHECK(refusal(R"([{"name":"transpose","configuration":{"order":[1,0]}},"bytes"])", {3, 2, 1}) ==
        "codec 'n5_default': bad transpose; expected 3 axes, got 2");
}

// ---------------------------------------------------------------------------------------------- hierarchies

TEST_CASE("a hierarchy of Zarr v3, groups without a document included", "[zarr]") {
  const std::string group = R"({"zarr_format":3,"node_type":"group","attributes":{"t":"x"}})";
  const MemoryStore store = store_of({{"zarr.json", group},
                                      {"b/zarr.json", v3()},
                                      {"b/c/0/0", "data"},
                                      {"a b?#%/zarr.json", group},
                                      {"deep/er/x/zarr.json", v3()},
                                      {"empty/readme.txt", "no node"},
                                      {"__internal/zarr.json", group},
                                      {".git/objects/zarr.json", "junk"},
                                      {".DS_Store", "junk"},
                                      {"s/zarr.json", v3({{"data_type", "\"string\""}})}});
  const ZarrHierarchy h{AnyStore(store)};
  CHECK(listed(h.children("")) == "a b?#%/ b deep/ s");
  CHECK(listed(h.children("deep")) == "er/");
  CHECK(listed(h.children("/deep//er/")) == "x");
  CHECK(h.children("b").empty());
  CHECK(h.children("nowhere").empty());
  const auto root = h.find("");
  REQUIRE(root);
  CHECK(root->kind == Member::Kind::group);
  CHECK(root->attributes == Attributes{{"t", "\"x\""}});
  CHECK(root->documents_text == "zarr.json\n" + group + "\n");
  CHECK(h.find("b")->array->grid.shape() == Shape{10, 7});
  CHECK(h.find("deep")->kind == Member::Kind::group);
  CHECK(h.find("deep")->format == "zarr_v3");
  CHECK_FALSE(h.find("empty"));
  CHECK_FALSE(h.find("nowhere"));
  CHECK_FALSE(h.find("b/c"));
  // What cannot be opened is there, with its shape and the reason.
  const auto refused = h.find("s");
  REQUIRE(refused);
  CHECK(refused->kind == Member::Kind::array);
  CHECK_FALSE(refused->array);
  CHECK(refused->refused ==
        "reading metadata of 's': elements of data type 'string' have a variable length; expected a type of "
        "fixed "
        "size");
  CHECK(refused->refused_code == Errc::unsupported);
  CHECK(refused->shape == Shape{10, 7});
  CHECK(refused->dtype == "string");
  for (const char* path : {"..", "a/../b", "./a"}) CHECK(message_of([&] { h.find(path); }) != "");
}

TEST_CASE("documents of groups are held to the rules", "[zarr]") {
  const auto refusal = [](const std::string& document) {
    const ZarrHierarchy h{AnyStore(store_of({{"zarr.json", document}}))};
    return message_of([&] { h.find(""); });
  };
  CHECK(refusal(R"({"zarr_format":3,"node_type":"group","consolidated_metadata":null})") == "");
  CHECK(refusal(R"({"zarr_format":3,"node_type":"group","x":{"must_understand":false}})") == "");
  CHECK(refusal(R"({"zarr_format":3,"node_type":"group","x":{}})") ==
        "reading metadata of '/': unknown member 'x'; expected only members that Zarr v3 has, or "
        "\"must_understand\": false, got {}");
  CHECK(refusal(R"({"zarr_format":3,"node_type":"table"})") ==
        "reading metadata of '/': bad 'node_type'; expected \"group\", got \"table\"");
  CHECK(refusal(R"({"zarr_format":4,"node_type":"group"})") ==
        "reading metadata of '/': bad 'zarr_format'; expected 3, got 4");
  CHECK(refusal("{").rfind("reading metadata of '/': not JSON", 0) == 0);
}

TEST_CASE("a hierarchy of Zarr v2 below a prefix", "[zarr]") {
  const MemoryStore store = store_of({{"x.zarr/.zgroup", R"({"zarr_format":2})"},
                                      {"x.zarr/.zattrs", R"({"k":[1]})"},
                                      {"x.zarr/a/.zarray", v2()},
                                      {"x.zarr/a/.zattrs", R"({"units":"m"})"},
                                      {"x.zarr/a/0.0", "data"},
                                      {"x.zarr/g/.zgroup", R"({"zarr_format":2})"},
                                      {"x.zarr/g/__o/.zarray", v2({{"dtype", "\"|O\""}})}});
  const ZarrHierarchy h(AnyStore(store), "x.zarr/");
  CHECK(listed(h.children("")) == "a g/");
  CHECK(listed(h.children("g")) == "__o");
  CHECK(h.find("")->attributes == Attributes{{"k", "[1]"}});
  CHECK(h.find("a")->format == "zarr_v2");
  CHECK(h.find("a")->attributes == Attributes{{"units", "\"m\""}});
  CHECK(h.find("g/__o")->refused != "");
  CHECK(h.key("a", "0.0") == "x.zarr/a/0.0");
  const std::string before = h.find("a")->documents_text;
  store.put("x.zarr/a/.zattrs", as_bytes(R"({"units":"s"})"));
  CHECK(h.find("a")->documents_text != before);
}

TEST_CASE("version 3 comes before version 2 unless one is asked for", "[zarr]") {
  const MemoryStore store =
      store_of({{"a/zarr.json", v3()}, {"a/.zarray", v2({{"dtype", "\"<f8\""}})}, {"b/.zarray", v2()}});
  CHECK(ZarrHierarchy{AnyStore(store)}.find("a")->format == "zarr_v3");
  CHECK(listed(ZarrHierarchy{AnyStore(store)}.children("")) == "a b");
  const ZarrHierarchy two(AnyStore(store), "", {.zarr_format = 2});
  CHECK(two.find("a")->array->dtype == DType(Type::float64));
  const ZarrHierarchy three(AnyStore(store), "", {.zarr_format = 3});
  CHECK(three.find("a")->format == "zarr_v3");
  CHECK_FALSE(three.find("b"));
  CHECK(message_of([&] { ZarrHierarchy(AnyStore(store), "", {.zarr_format = 4}); }) ==
        "opening Zarr: bad zarr_format; expected 2 or 3, got 4");
}

TEST_CASE("a container of N5", "[zarr][n5]") {
  const MemoryStore store = store_of({{"attributes.json", R"({"n5":"4.0.0","pixel":[1,2]})"},
                                      {"d/attributes.json", n5({{"axes", "[\"x\"]"}})},
                                      {"d/0/0", "block"},
                                      {"g/h/attributes.json", R"({"name":"h"})"},
                                      {"g/h/i/data.bin", "x"},
                                      {"s/attributes.json", n5({{"dataType", "\"string\""}})}});
  const ZarrHierarchy h{AnyStore(store)};
  CHECK(listed(h.children("")) == "d g/ s");
  CHECK(h.find("")->attributes == Attributes{{"pixel", "[1,2]"}});
  CHECK(h.find("d")->array->grid.shape() == Shape{10, 7});
  CHECK(h.find("d")->attributes == Attributes{{"axes", "[\"x\"]"}});
  CHECK_FALSE(h.find("d/0"));
  CHECK(h.find("g")->format == "n5");
  CHECK(listed(h.children("g")) == "h/");
  CHECK(listed(h.children("g/h")) == "i/");
  CHECK(h.find("g/h/i")->kind == Member::Kind::group);
  CHECK(h.find("s")->shape == Shape{10, 7});
  CHECK(h.find("s")->dtype == "string");
  CHECK_FALSE(h.find("nowhere"));
}

TEST_CASE("consolidated metadata lists a tree in one read and stands for no newer document", "[zarr]") {
  const std::string array = v3(), stale = v3({{"shape", "[3, 3]"}});
  const std::string group = R"({"zarr_format":3,"node_type":"group")";
  const std::string inner = R"({"kind":"inline","must_understand":false,"metadata":{"y":)" + array + "}}";
  const std::string root = group +
                           R"(,"consolidated_metadata":{"kind":"inline","must_understand":false,"metadata":{)"
                           R"("a":)" +
                           stale + R"(,"g/h/x":)" + array + R"(,"n":)" + group +
                           R"(,"consolidated_metadata":)" + inner + R"(},"../out":)" + array +
                           R"(,"bad":3}}})";
  const MemoryStore store =
      store_of({{"zarr.json", root}, {"a/zarr.json", array}, {"later/zarr.json", array}});
  const CountingStore counted = counting_store(AnyStore(store));
  const ZarrHierarchy h{AnyStore(counted)};
  CHECK(listed(h.children("")) == "a g/ n/");
  CHECK(listed(h.children("g")) == "h/");
  CHECK(listed(h.children("g/h")) == "x");
  CHECK(listed(h.children("n")) == "y");
  CHECK(h.find("g/h/x", ZarrDocuments::consolidated)->array->grid.shape() == Shape{10, 7});
  CHECK(h.find("a", ZarrDocuments::consolidated)->array->grid.shape() == Shape{3, 3});
  CHECK(h.find("g", ZarrDocuments::consolidated)->kind == Member::Kind::group);
  CHECK(counted.counts().gets == 1);
  CHECK(counted.counts().lists == 0);
  CHECK(h.find("a")->array->grid.shape() == Shape{10, 7});
  CHECK(h.find("later", ZarrDocuments::consolidated)->array);
  CHECK(listed(ZarrHierarchy(AnyStore(store), "", {.use_consolidated = false}).children("")) == "a later");

  const ZarrHierarchy blind(AnyStore(store), "", {.can_list = false, .use_consolidated = false});
  CHECK(listed(blind.children("")) == "a g/ n/");
  CHECK(message_of([&] { blind.children("later"); }) ==
        "reading metadata of 'later': the store cannot list; expected consolidated metadata that covers the "
        "group");
  // Null, as zarr-python writes it, is none.
  const MemoryStore plain =
      store_of({{"zarr.json", group + ",\"consolidated_metadata\":null}"}, {"a/zarr.json", array}});
  CHECK(listed(ZarrHierarchy{AnyStore(plain)}.children("")) == "a");
}

TEST_CASE("consolidated metadata of Zarr v2", "[zarr]") {
  const std::string group = R"({"zarr_format":2})";
  const MemoryStore store =
      store_of({{".zgroup", group},
                {".zmetadata", R"({"zarr_consolidated_format":1,"metadata":{".zgroup":)" + group +
                                   R"(,".zattrs":{},"g/.zgroup":)" + group + R"(,"g/a/.zarray":)" +
                                   v2({{"fill_value", "NaN"}, {"dtype", "\"<f4\""}}) +
                                   R"(,"g/a/.zattrs":{"k":1},"g/a/.junk":{}}})"}});
  const ZarrHierarchy h(AnyStore(store), "", {.can_list = false});
  CHECK(listed(h.children("")) == "g/");
  CHECK(listed(h.children("g")) == "a");
  const auto node = h.find("g/a", ZarrDocuments::consolidated);
  REQUIRE(node);
  CHECK(node->array->dtype == DType(Type::float32));
  CHECK(node->attributes == Attributes{{"k", "1"}});
  CHECK_FALSE(h.find("g/a"));
}

// -------------------------------------------------------------------------------------------- other software

TEST_CASE("the cases of zarr-python's metadata tests", "[zarr]") {
  const std::filesystem::path dir = test::conformance_dir();
  const std::filesystem::path root = dir / "zarr-developers__zarr-python/zarr-metadata/tests";
  if (dir.empty() || !std::filesystem::exists(root)) MORSEL_SKIP("no conformance set");
  const auto text_of = [](const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  int documents = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (entry.path().extension() != ".json") continue;
    const std::string path = std::filesystem::relative(entry.path(), root).string();
    const std::string name = entry.path().filename().string();
    const std::string text = text_of(entry.path());
    INFO(path);
    ++documents;
    if (path.rfind("v2/array", 0) == 0) {
      CHECK(message_of([&] { parse_zarr_v2(text, "", "open"); }) == "");
    } else if (path.rfind("v3/array", 0) == 0) {
      CHECK(message_of([&] { parse_zarr_v3(text, "open"); }) == "");
    } else if (path.rfind("v3/group", 0) == 0) {
      CHECK(ZarrHierarchy{AnyStore(store_of({{"zarr.json", text}}))}.find("")->kind == Member::Kind::group);
    } else if (path.rfind("v3/codec", 0) == 0) {
      for (const auto& item : Json::parse(text))
        CHECK(parse_zarr_codecs("[" + item.dump() + "]", "open").size() == 1);
    } else if (path.rfind("v3/chunk_key_encoding", 0) == 0) {
      for (const auto& item : Json::parse(text))
        CHECK(message_of([&] { read_v3({{"chunk_key_encoding", item.dump()}}); }) == "");
    } else if (path.rfind("v3/chunk_grid/regular", 0) == 0) {
      for (const auto& item : Json::parse(text)) {
        const std::string shape = item["configuration"]["chunk_shape"].dump();
        CHECK(message_of([&] { read_v3({{"shape", shape}, {"chunk_grid", item.dump()}}); }) == "");
      }
    } else if (path.rfind("v3/chunk_grid/rectilinear", 0) == 0) {
      const std::map<std::string, std::string> shapes = {{"explicit_per_dim", "[100, 50]"},
                                                         {"uniform_dim_shorthand", "[100, 70]"},
                                                         {"with_rle_pair", "[60, 30]"}};
      const Json cases = Json::parse(text);
      for (const auto& [key, item] : cases.items())
        CHECK(message_of([&, k = key, i = item] {
                read_v3({{"shape", shapes.at(k)}, {"chunk_grid", i.dump()}});
              }) == "");
    } else if (path.rfind("v3/data_type", 0) == 0 && name == "fill_values.json") {
      std::string type = entry.path().parent_path().filename().string();
      if (type == "string") continue;
      type = type == "numpy_timedelta64"
                 ? R"({"name":"numpy.timedelta64","configuration":{"unit":"s","scale_factor":1}})"
             : type == "struct" ? record(R"(["x","float32"],["y","float32"],["when","int64"])")
                                : "\"" + type + "\"";
      for (const auto& item : Json::parse(text))
        CHECK(message_of([&] { read_v3({{"data_type", type}, {"fill_value", item.dump()}}); }) == "");
    } else if (name == "data_type.json") {
      CHECK(message_of([&] { parse_zarr_v3_dtype(text, "open"); }) == "");
    }
  }
  CHECK(documents > 20);
}

TEST_CASE("blocks of N5 that other software wrote", "[zarr][n5]") {
  const std::filesystem::path dir = test::conformance_dir();
  if (dir.empty()) MORSEL_SKIP("no conformance set");
  std::ifstream file(dir / "expected.json");
  int arrays = 0;
  const Json expected = Json::parse(file);
  for (const Json& item : expected["items"]) {
    if (item["format"] != "n5" || !item.contains("expect")) continue;
    const FileStore store((dir / item["root"].get<std::string>()).string());
    INFO(item["root"]);
    const auto node = ZarrHierarchy{AnyStore(store)}.find("");
    REQUIRE(node);
    REQUIRE(node->array);
    const ZarrArray& array = *node->array;
    AnyCodec codec;
    try {
      codec = make_codec(array.codecs.front(), array.dtype, array.chunk_shape);
    } catch (const Error& e) {
      if (e.code() != Errc::unsupported) throw;
      continue;  // a build without the library
    }
    const Shape shape = array.grid.shape();
    const std::size_t bytes = array.dtype.item_bytes();
    std::vector<std::byte> all(static_cast<std::size_t>(size_of(shape)) * bytes);
    const BufferView whole = BufferView::c_order(all.data(), shape, bytes);
    std::vector<std::byte> chunk(static_cast<std::size_t>(size_of(array.chunk_shape)) * bytes);
    std::vector<std::byte> scratch(codec.scratch_bytes());
    for (Index i = 0; i < array.grid.count(); ++i) {
      const Region region = array.grid.region(i);
      const auto text = get_text(AnyStore(store), array.keys.key(array.grid.position(i)));
      if (!text) continue;
      codec.decode(as_bytes(*text), chunk, scratch);
      const BufferView from = BufferView::c_order(chunk.data(), array.chunk_shape, bytes);
      copy_elements(from.part(Region::of(array.chunk_shape), Region::of(region.shape())),
                    whole.part(Region::of(shape), region));
    }
    CHECK(test::sha256(all) == item["expect"]["sha256"].get<std::string>());
    ++arrays;
  }
  CHECK(arrays > 0);
}

TEST_CASE("every document of the conformance set is read, or refused for a reason that is known", "[zarr]") {
  const std::filesystem::path dir = test::conformance_dir();
  if (dir.empty()) MORSEL_SKIP("no conformance set");
  int read = 0, refused = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir)) {
    const std::string name = entry.path().filename().string();
    if (name != "zarr.json" && name != ".zarray") continue;
    const ZarrHierarchy h(AnyStore(FileStore(entry.path().parent_path().string())), "",
                          {.zarr_format = name == ".zarray" ? 2 : 3});
    INFO(entry.path().string());
    std::string why;
    try {
      const auto node = h.find("");
      REQUIRE(node);
      why = node->refused;
      if (why.empty()) ++read;
    } catch (const Error& e) {
      why = e.what();
    }
    if (why.empty()) continue;
    ++refused;
    bool is_known = false;
    for (const char* reason : {"have a variable length", "may be missing", "not JSON", "storage transformer",
                               "bad 'zarr_format'; expected 3"})
      is_known |= why.find(reason) != std::string::npos;
    CHECK(why == (is_known ? why : "a known reason"));
  }
  CHECK(read > 0);
  WARN(read << " documents read, " << refused << " refused");
}
