#include <morsel/io/npy.hpp>

#include <bit>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <random>
#include <support/seed.hpp>
#include <support/sha256.hpp>
#include <support/skip.hpp>

#include "files.hpp"

using namespace morsel;
using Catch::Matchers::Contains;
using test::ByteVector;

namespace {

/// A .npy file's beginning around a dictionary, without padding.
ByteVector framed(const std::string& dictionary, int major = 1) {
  std::string text = "\x93NUMPY";
  text += static_cast<char>(major);
  text += '\0';
  for (int i = 0; i < (major == 1 ? 2 : 4); ++i) text += static_cast<char>(dictionary.size() >> 8 * i & 0xff);
  return test::bytes_of(text + dictionary);
}

std::string dictionary(const std::string& descr, const std::string& shape = "(2,)",
                       const std::string& order = "False") {
  return "{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape + ", }";
}

/// `text` padded to a length, with a newline at its end.
std::string padded(std::string text, std::size_t bytes) {
  return text + std::string(bytes - text.size() - 1, ' ') + "\n";
}

struct Known {
  DType dtype;
  Shape shape;
  ElementOrder order;
  std::string header;  // what NumPy 2.4 writes
};

std::vector<Known> known_headers() {
  const DType mixed = DType::record(
      {{"a", Type::int32, 0, {}}, {"b", Type::float32, 4, {2, 3}}, {"c", DType::carried("S5", 5), 28, {}}},
      33);
  const DType aligned = DType::record({{"a", Type::int8, 0, {}}, {"b", Type::float64, 8, {}}}, 16);
  const DType pair = DType::record({{"x", Type::int16, 0, {}}, {"y", Type::bool_, 2, {}}}, 3);
  const DType nested = DType::record({{"n", pair, 0, {2}}}, 6);
  const auto v1 = [](const std::string& dict, std::size_t bytes = 118) {
    return std::string("\x93NUMPY\x01\0", 8) + static_cast<char>(bytes) + std::string(1, '\0') +
           padded(dict, bytes);
  };
  const std::string chinese = "\xe6\x97\xa5";
  return {
      {Type::float64, {3}, ElementOrder::C, v1("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }")},
      {Type::int32,
       {2, 3},
       ElementOrder::C,
       v1("{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }")},
      {Type::complex128, {}, ElementOrder::C, v1("{'descr': '<c16', 'fortran_order': False, 'shape': (), }")},
      {Type::float32,
       {3, 4, 5},
       ElementOrder::F,
       v1("{'descr': '<f4', 'fortran_order': True, 'shape': (3, 4, 5), }")},
      {Type::float32, {3}, ElementOrder::F, v1("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }")},
      {mixed,
       {2},
       ElementOrder::C,
       v1("{'descr': [('a', '<i4'), ('b', '<f4', (2, 3)), ('c', '|S5')], 'fortran_order': False, 'shape': "
          "(2,), }",
          182)},
      {aligned,
       {0},
       ElementOrder::C,
       v1("{'descr': [('a', '|i1'), ('', '|V7'), ('b', '<f8')], 'fortran_order': False, 'shape': (0,), }")},
      {nested,
       {1},
       ElementOrder::C,
       v1("{'descr': [('n', [('x', '<i2'), ('y', '|b1')], (2,))], 'fortran_order': False, 'shape': (1,), }")},
      {DType::record({{"\xc3\xa9", Type::int16, 0, {}}}, 2),
       {1},
       ElementOrder::C,
       v1("{'descr': [('\xe9', '<i2')], 'fortran_order': False, 'shape': (1,), }")},
      {DType::record({{chinese, Type::int16, 0, {}}}, 2),
       {1},
       ElementOrder::C,
       std::string("\x93NUMPY\x03\0\x74\0\0\0", 12) +
           padded("{'descr': [('" + chinese + "', '<i2')], 'fortran_order': False, 'shape': (1,), }", 116)},
      {DType::record({{"it's", DType::carried("M8[ns]", 8), 0, {}}}, 8),
       {1},
       ElementOrder::C,
       v1("{'descr': [(\"it's\", '<M8[ns]')], 'fortran_order': False, 'shape': (1,), }")},
      {DType::carried("U3", 12),
       {7},
       ElementOrder::C,
       v1("{'descr': '<U3', 'fortran_order': False, 'shape': (7,), }")},
      {DType::carried("V7", 7),
       {5},
       ElementOrder::C,
       v1("{'descr': '|V7', 'fortran_order': False, 'shape': (5,), }")},
      {Type::bool_, Shape(32, 1), ElementOrder::C,
       v1("{'descr': '|b1', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, "
          "1, 1, 1, 1, 1, "
          "1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), }",
          182)},
  };
}

nlohmann::json expected_items(const std::filesystem::path& dir) {
  std::ifstream in(dir / "expected.json");
  return nlohmann::json::parse(in).at("items");
}

Shape shape_of(const nlohmann::json& list) {
  Shape shape;
  for (const auto& n : list) shape.push_back(n.get<Index>());
  return shape;
}

/// NumPy's text of a dtype in little-endian order, as DType::numpy() writes it.
std::string dtype_text(const nlohmann::json& dtype) {
  if (dtype.is_string()) {
    std::string text = dtype.get<std::string>();
    if (text[0] == '>') text[0] = '<';
    return text;
  }
  std::string text = "[";
  for (const auto& field : dtype) {
    text += (text.size() > 1 ? ", ('" : "('") + field[0].get<std::string>() + "', ";
    text += field[1].is_string() ? "'" + dtype_text(field[1]) + "'" : dtype_text(field[1]);
    text += field.size() > 2 ? ", " + to_string(shape_of(field[2])) + ")" : ")";
  }
  return text + "]";
}

}  // namespace

TEST_CASE("headers are written byte for byte as NumPy writes them, and read back", "[npy]") {
  if (std::endian::native == std::endian::big)
    MORSEL_SKIP("the expected bytes are those of a little-endian machine");
  for (const Known& known : known_headers()) {
    const std::string header = make_npy_header(known.dtype, known.shape, known.order);
    CAPTURE(header);
    CHECK(header == known.header);
    CHECK(header.size() % 64 == 0);
    const NpyHeader read = parse_npy_header(test::bytes_of(header));
    CHECK(read.dtype == known.dtype);
    CHECK(read.shape == known.shape);
    CHECK(read.fortran_order == (known.order == ElementOrder::F && known.shape.size() > 1));
    CHECK(read.data_offset == static_cast<Index>(header.size()));
    CHECK(read.data_bytes == size_of(known.shape) * static_cast<Index>(known.dtype.item_bytes()));
    CHECK(read.mends == mends_of(known.dtype, false));
  }
}

TEST_CASE("a header too long for version 1.0 becomes 2.0", "[npy]") {
  std::vector<Field> fields;
  for (std::size_t i = 0; i < 4000; ++i) fields.push_back({"f" + std::to_string(i), Type::int32, 4 * i, {}});
  const DType dtype = DType::record(fields, 16000);
  const std::string header = make_npy_header(dtype, {2});
  CHECK(header.size() == 70976);  // NumPy 2.4
  CHECK(header.substr(0, 12) == std::string("\x93NUMPY\x02\0\x34\x15\x01\0", 12));
  CHECK(parse_npy_header(test::bytes_of(header)).dtype == dtype);
}

TEST_CASE("types that NumPy does not have are written as what they are stored as", "[npy]") {
  struct Case {
    DType dtype;
    std::string descr;
  };
  for (const Case& c :
       {Case{DType::carried("bfloat16", 2), "'<u2'"}, Case{DType::carried("float8_e4m3fn", 1), "'|u1'"},
        Case{DType::carried("int4", 1), "'|i1'"}, Case{DType::carried("uint2", 1), "'|u1'"},
        Case{DType::carried("complex_bfloat16", 4), "[('re', '<u2'), ('im', '<u2')]"},
        Case{DType::carried("complex_float16", 4), "[('re', '<u2'), ('im', '<u2')]"},
        Case{DType::record({{"a", DType::carried("bfloat16", 2), 0, {3}}}, 6), "[('a', '<u2', (3,))]"}}) {
    CAPTURE(c.dtype.name());
    CHECK_THAT(make_npy_header(c.dtype, {4}), Contains("{'descr': " + c.descr + ", 'fortran_order'"));
  }
  CHECK(test::error_of([] { make_npy_header(DType::carried("r40", 5), {4}); }).first == Errc::unsupported);
}

TEST_CASE("headers of any spelling that Python reads are understood", "[npy]") {
  struct Case {
    std::string text;
    DType dtype;
    Shape shape;
    bool fortran = false;
  };
  const DType ab = DType::record({{"a", Type::int32, 0, {}}, {"b", Type::float32, 4, {}}}, 8);
  for (const Case& c : {
           Case{"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }", Type::float64, {2, 3}},
           Case{"{\"shape\":(2,3),\"fortran_order\":True,\"descr\":\"<f8\"}", Type::float64, {2, 3}, true},
           Case{"  { 'fortran_order' : False , 'shape' : ( 5L , ) , 'descr' : u'|i1' , }  \n",
                Type::int8,
                {5}},
           Case{"{'descr': b'<u2', 'fortran_order': False, 'shape': (5L, 6L)}\n", Type::uint16, {5, 6}},
           Case{"{'descr': '<f4', 'fortran_order': False, 'shape': ()}", Type::float32, {}},
           Case{"{'descr': '<f4', 'fortran_order': False,\n\t'shape': (0,\n7)}", Type::float32, {0, 7}},
           Case{"{'descr': [('a', '<i4'), ('b', '<f4')], 'fortran_order': False, 'shape': (1,)}", ab, {1}},
           Case{"{'descr': [('a', '<i4', ()), (('a title', 'b'), '<f4'),], 'fortran_order': False, 'shape': "
                "(1,)}",
                ab,
                {1}},
           Case{"{'descr': [('\\x61', '<i4'), ('\\u0062', '<f4')], 'fortran_order': False, 'shape': (1,)}",
                ab,
                {1}},
           Case{
               "{'descr': [('\\141', '<i4'), ('\\U00000062', '<f4')], 'fortran_order': False, 'shape': (1,)}",
               ab,
               {1}},
           Case{dictionary("[('a', '|u1'), ('', '|V3'), ('b', ('<f4', (2,))), ('', '|V4')]"),
                DType::record({{"a", Type::uint8, 0, {}}, {"b", Type::float32, 4, {2}}}, 16),
                {2}},
           Case{dictionary("[('p', [('x', '<i2'), ('y', '<i2')], (3, 2)), ('q', '<f8', 4)]"),
                DType::record({{"p",
                                DType::record({{"x", Type::int16, 0, {}}, {"y", Type::int16, 2, {}}}, 4),
                                0,
                                {3, 2}},
                               {"q", Type::float64, 24, {4}}},
                              56),
                {2}},
           Case{dictionary("[('it\\'s', '|S3'), (\"a \\\\ \\\"b\\\"\", '<U2')]"),
                DType::record({{"it's", DType::carried("S3", 3), 0, {}},
                               {"a \\ \"b\"", DType::carried("U2", 8), 3, {}}},
                              11),
                {2}},
       }) {
    CAPTURE(c.text);
    for (const int major : {1, 2, 3}) {
      const NpyHeader header = parse_npy_header(framed(c.text, major));
      CHECK(header.dtype == c.dtype);
      CHECK(header.shape == c.shape);
      CHECK(header.fortran_order == c.fortran);
      CHECK(header.data_offset == static_cast<Index>(c.text.size()) + (major == 1 ? 10 : 12));
    }
  }
  // Latin-1 in versions 1 and 2, UTF-8 in 3.
  CHECK(parse_npy_header(framed(dictionary("[('\xe9', '<i4')]"), 2)).dtype.fields()[0].name == "\xc3\xa9");
  CHECK(parse_npy_header(framed(dictionary("[('\xc3\xa9', '<i4')]"), 3)).dtype.fields()[0].name ==
        "\xc3\xa9");
}

TEST_CASE("damaged headers are refused with the reason", "[npy]") {
  struct Case {
    ByteVector bytes;
    Errc code;
    std::string reason;
  };
  const auto text = [](const std::string& header) { return framed(header); };
  std::string deep(5000, '['), wide = "[";
  for (int i = 0; i < 5000; ++i) wide += "('f" + std::to_string(i) + "', '|u1'),";
  ByteVector other_version = framed(dictionary("'<f8'"));
  other_version[6] = std::byte{4};
  ByteVector longer = framed(dictionary("'<f8'"));
  longer[8] = std::byte{0xff};
  ByteVector absurd = framed(dictionary("'<f8'"), 2);
  absurd[11] = std::byte{0x7f};
  const Case cases[] = {
      {{}, Errc::corrupt_data, "got 0 bytes"},
      {test::bytes_of(std::string("\x93NUMPY\x01\0", 8)), Errc::corrupt_data, "got 8 bytes"},
      {test::bytes_of("\x93NUMPX\x01...................."), Errc::corrupt_data, "got another beginning"},
      {other_version, Errc::unsupported, "expected 1.0, 2.0 or 3.0, got 4.0"},
      {longer, Errc::corrupt_data, "the file ends in the header; expected at least 265 bytes, got 67"},
      {absurd, Errc::unsupported, "absurd header"},
      {text(""), Errc::corrupt_data, "a value is not understood"},
      {text("[]"), Errc::corrupt_data, "not a dictionary"},
      {text("{}"), Errc::corrupt_data, "the key 'descr' is missing"},
      {text("{'descr': '<f8', 'shape': (1,)}"), Errc::corrupt_data, "the key 'fortran_order' is missing"},
      {text("{'descr': '<f8', 'fortran_order': False}"), Errc::corrupt_data, "the key 'shape' is missing"},
      {text("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'more': 1}"), Errc::corrupt_data,
       "unknown key 'more'"},
      {text("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 1: 1}"), Errc::corrupt_data,
       "unknown key"},
      {text("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'shape': (2,)}"), Errc::corrupt_data,
       "stands there twice"},
      {text(dictionary("'<f8'", "(1,)", "0")), Errc::corrupt_data, "neither True nor False"},
      {text(dictionary("'<f8'", "(1,)", "Falsee")), Errc::corrupt_data, "not understood"},
      {text(dictionary("'<f8'", "5")), Errc::corrupt_data, "not a tuple"},
      {text(dictionary("'<f8'", "(5)")), Errc::corrupt_data, "not a tuple"},
      {text(dictionary("'<f8'", "(-1,)")), Errc::corrupt_data, "non-negative"},
      {text(dictionary("'<f8'", "(1.5,)")), Errc::corrupt_data, "an integer is not understood"},
      {text(dictionary("'<f8'", "(True,)")), Errc::corrupt_data, "non-negative integer"},
      {text(dictionary("'<f8'", "(99999999999999999999,)")), Errc::corrupt_data, "beyond 63 bits"},
      {text(dictionary("'<f8'", "(4611686018427387904, 4)")), Errc::corrupt_data, "overflows"},
      {text(dictionary("'<f8'", "(2305843009213693952,)")), Errc::corrupt_data, "overflows"},
      {text(dictionary("'<f8'", "(0, 9223372036854775807, 9223372036854775807)")), Errc::corrupt_data,
       "overflows"},
      {text(dictionary("'<f8'", "(" + std::string(66, '1') + ")")), Errc::corrupt_data, "beyond 63 bits"},
      {text(dictionary("'<f8'", "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)")),
       Errc::unsupported, "expected at most 32, got 33"},
      {text(dictionary("'<f8'") + " x"), Errc::corrupt_data, "text after the dictionary"},
      {text("{'descr': '<f8'"), Errc::corrupt_data, "bracket is not closed"},
      {text("{'descr': '<f8"), Errc::corrupt_data, "string is not closed"},
      {text("{'descr' '<f8'}"), Errc::corrupt_data, "colon is missing"},
      {text("{'descr': '<f8' 'shape': (1,)}"), Errc::corrupt_data, "comma is missing"},
      {text(deep), Errc::corrupt_data, "nesting deeper than 64"},
      {text(dictionary("'|O'")), Errc::unsupported, "object arrays hold Python objects"},
      {text(dictionary("[('a', '<i4'), ('b', '|O8')]")), Errc::unsupported,
       "object arrays hold Python objects"},
      {text(dictionary("'<q9'")), Errc::corrupt_data, "<q9"},
      {text(dictionary("''")), Errc::corrupt_data, "reading a dtype"},
      {text(dictionary("'[(\\'a\\', \\'<i4\\')]'")), Errc::corrupt_data, "a string names a record"},
      {text(dictionary("5")), Errc::corrupt_data, "neither a string nor a list"},
      {text(dictionary("('<f4', (3,))")), Errc::unsupported, "elements that are arrays themselves"},
      {text(dictionary("[]")), Errc::corrupt_data, "no bytes"},
      {text(dictionary("['<f4']")), Errc::corrupt_data, "not a tuple of two or three"},
      {text(dictionary("[(5, '<f4')]")), Errc::corrupt_data, "name of a field"},
      {text(dictionary("[('a', '<f4'), ('a', '<f4')]")), Errc::corrupt_data, "two fields are named 'a'"},
      {text(dictionary("[('a', '<f4', (4611686018427387904, 8))]")), Errc::corrupt_data, "overflows"},
      {text(dictionary("[('\\q', '<f4')]")), Errc::corrupt_data, "unknown escape"},
      {text(dictionary("[('\\xzz', '<f4')]")), Errc::corrupt_data, "character escape"},
      {text(dictionary("[('\\ud800', '<f4')]")), Errc::corrupt_data, "character escape"},
      {text(dictionary(wide + "]")), Errc::corrupt_data, ""},  // the length wraps at 65535: cut off somewhere
      {framed(dictionary(wide + "]"), 2), Errc::unsupported, "expected at most 4096"},
      {framed(dictionary("[('a', [('x', '|u1'), ('b', '?')], (4611686018427387903,))]"), 2),
       Errc::unsupported, "too many members"},
  };
  for (const Case& c : cases) {
    const auto [code, message] = test::error_of([&] { parse_npy_header(c.bytes, "opening 'x.npy'"); });
    CHECK_THAT(message, Contains(c.reason));
    CHECK_THAT(message, Catch::Matchers::StartsWith("opening 'x.npy': "));
    CAPTURE(message);
    CHECK(code == c.code);
  }
}

TEST_CASE("a header with any byte changed or cut anywhere is read or refused, never worse", "[npy]") {
  std::mt19937_64 random(test::first_seed());
  int read = 0, refused = 0;
  for (const Known& known : known_headers()) {
    const ByteVector whole = test::bytes_of(known.header);
    const auto attempt = [&](const ByteVector& bytes) {
      try {
        const NpyHeader header = parse_npy_header(bytes);
        REQUIRE(header.data_offset <= static_cast<Index>(bytes.size()));
        ++read;
      } catch (const Error&) {
        ++refused;
      }
    };
    for (std::size_t n = 0; n <= whole.size(); ++n)
      attempt(ByteVector(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n)));
    for (int k = 0; k < test::effort(2000); ++k) {
      ByteVector bytes = whole;
      for (std::uint64_t changes = 1 + random() % 3; changes > 0; --changes)
        bytes[random() % bytes.size()] =
            static_cast<std::byte>(random() % 2 ? random() : "()[]{}',:\\0L"[random() % 12]);
      attempt(bytes);
    }
  }
  CHECK(read > 100);
  CHECK(refused > 1000);
}

TEST_CASE("arrays of every dtype, byte order and element order open from .npy", "[npy]") {
  test::TempDir dir;
  const Shape shape{2, 3, 4};
  for (int t = 0; t < numeric_type_count; ++t)
    for (const char endian : {'<', '>'})
      for (const bool fortran : {false, true}) {
        const DType dtype(static_cast<Type>(t));
        std::string descr = dtype.numpy();
        if (descr[0] != '|') descr[0] = endian;
        CAPTURE(descr, fortran);
        ByteVector native = test::counted_bytes(24 * dtype.item_bytes());
        if (is_bool(dtype.type()))
          for (std::byte& b : native) b &= std::byte{1};
        ByteVector file = framed(dictionary("'" + descr + "'", "(2, 3, 4)", fortran ? "True" : "False"));
        const auto item = static_cast<std::ptrdiff_t>(dtype.item_bytes());
        const auto unit = static_cast<std::ptrdiff_t>(dtype.swap_bytes());
        const auto put = [&](std::ptrdiff_t element) {
          const bool turn = (endian == '>') != (std::endian::native == std::endian::big);
          for (std::ptrdiff_t i = 0; i < item; ++i)
            file.push_back(native[static_cast<std::size_t>(
                element * item + (turn ? i / unit * unit + (unit - 1 - i % unit) : i))]);
        };
        if (fortran) {
          for (int k = 0; k < 4; ++k)
            for (int j = 0; j < 3; ++j)
              for (int i = 0; i < 2; ++i) put(i * 12 + j * 4 + k);
        } else {
          for (int i = 0; i < 24; ++i) put(i);
        }
        const std::string path = test::write_file(dir / "a.npy", file);
        const OpenedArray array = open_npy(path);
        CHECK(array.view.shape == shape);
        CHECK(array.source.spec().dtype == dtype);
        CHECK(array.source.spec().format == "npy");
        CHECK(array.source.spec().order == (fortran ? "F" : "C"));
        CHECK(test::array_bytes(array) == native);
        CHECK(array.source.identity() == "npy:" + canonical_path(path));
      }
}

TEST_CASE("members of one record may differ in byte order", "[npy]") {
  test::TempDir dir;
  ByteVector file =
      framed(dictionary("[('a', '<i2'), ('b', '>i2'), ('c', [('x', '>i4'), ('t', '?')], (2,))]", "(3,)"));
  const std::size_t header = file.size();
  const ByteVector data = test::counted_bytes(3 * 14);
  file.insert(file.end(), data.begin(), data.end());
  const ByteVector got = test::array_bytes(open_npy(test::write_file(dir / "a.npy", file)));
  REQUIRE(header > 0);
  const bool big = std::endian::native == std::endian::big;
  ByteVector expected = data;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto turn = [&](std::size_t offset, std::size_t bytes) {
      const auto begin = expected.begin() + static_cast<std::ptrdiff_t>(14 * i + offset);
      std::reverse(begin, begin + static_cast<std::ptrdiff_t>(bytes));
    };
    if (big) {
      turn(0, 2);
    } else {
      turn(2, 2), turn(4, 4), turn(9, 4);
    }
    for (const std::size_t at : {8, 13})
      expected[14 * i + at] = std::byte{expected[14 * i + at] != std::byte{0}};
  }
  CHECK(got == expected);
}

TEST_CASE("a scalar, an empty array and bytes after the array are fine", "[npy]") {
  test::TempDir dir;
  const auto file = [&](const std::string& shape, std::size_t data) {
    ByteVector bytes = framed(dictionary("'<f4'", shape));
    const ByteVector tail = test::counted_bytes(data);
    bytes.insert(bytes.end(), tail.begin(), tail.end());
    return test::write_file(dir / "a.npy", bytes);
  };
  CHECK(test::array_bytes(open_npy(file("()", 4))) == test::counted_bytes(4));
  CHECK(test::array_bytes(open_npy(file("()", 99))) == test::counted_bytes(4));
  CHECK(test::array_bytes(open_npy(file("(2,)", 99))) == test::counted_bytes(8));
  const OpenedArray empty = open_npy(file("(3, 0, 2)", 0));
  CHECK(empty.view.shape == Shape{3, 0, 2});
  CHECK(empty.source.spec().grid.count() == 0);
  CHECK(test::array_bytes(empty).empty());
}

TEST_CASE("a file shorter than its header says is corrupt, with expected and got", "[npy]") {
  test::TempDir dir;
  ByteVector bytes = framed(dictionary("'<f8'", "(10, 3)"));
  bytes.resize(bytes.size() + 239);
  const std::string path = test::write_file(dir / "a.npy", bytes);
  const auto [code, message] = test::error_of([&] { open_npy(path); });
  CHECK(code == Errc::corrupt_data);
  CHECK(message ==
        "opening '" + path +
            "': the file is shorter than its header says; expected 240 bytes of float64 (10, 3) after "
            "the header, got 239");
  ByteVector cut = framed(dictionary("'<f8'") + std::string(5000, ' '));
  cut.resize(4500);
  const auto [cut_code, cut_message] =
      test::error_of([&] { open_npy(test::write_file(dir / "b.npy", cut)); });
  CHECK(cut_code == Errc::corrupt_data);
  CHECK_THAT(cut_message, Contains("the file ends in the header; expected at least 5067 bytes, got 4500"));
  CHECK(test::error_of([&] { open_npy(test::write_file(dir / "c.npy", {})); }).first == Errc::corrupt_data);
}

TEST_CASE("a long header is read whole", "[npy]") {
  test::TempDir dir;
  ByteVector bytes = framed(dictionary("'<f4'") + std::string(60'000, ' '));
  const ByteVector data = test::counted_bytes(8);
  bytes.insert(bytes.end(), data.begin(), data.end());
  CHECK(test::array_bytes(open_npy(test::write_file(dir / "a.npy", bytes))) == data);
}

TEST_CASE(".npy files written by other software open with the recorded shape, dtype and values", "[npy]") {
  const std::filesystem::path dir = test::conformance_dir();
  if (dir.empty()) MORSEL_SKIP("no conformance files");
  int opened = 0, refused = 0;
  for (const auto& item : expected_items(dir)) {
    if (item.value("format", "") == "npy") {
      const std::string path = (dir / item.at("item").get<std::string>()).string();
      CAPTURE(path);
      if (item.value("must_reject", false)) {
        CHECK(test::error_of([&] { open_npy(path); }).first == Errc::unsupported);
        ++refused;
        continue;
      }
      const auto& expect = item.at("expect");
      const OpenedArray array = open_npy(path);
      CHECK(array.view.shape == shape_of(expect.at("shape")));
      CHECK(array.source.spec().dtype.numpy() == dtype_text(expect.at("dtype")));
      ByteVector bytes = test::array_bytes(array);
      if (is_bool(array.source.spec().dtype.type())) {
        // The recorded hash is of the stored bytes; ours are normalised.
        const ByteVector raw = test::read_file(path);
        const ByteVector stored(raw.end() - static_cast<std::ptrdiff_t>(bytes.size()), raw.end());
        for (std::size_t i = 0; i < bytes.size(); ++i)
          REQUIRE(bytes[i] == std::byte{stored[i] != std::byte{0}});
        bytes = stored;
      }
      CHECK(test::sha256(bytes) == expect.at("sha256").get<std::string>());
      ++opened;
    } else if (item.value("format", "") == "codec") {
      for (const auto& entry : item.at("entries")) {
        if (!entry.contains("array") || !entry.contains("shape") || !entry.contains("dtype")) continue;
        const std::string path = (dir / entry.at("array").get<std::string>()).string();
        CAPTURE(path);
        const std::string dtype = dtype_text(entry.at("dtype"));
        if (dtype.find('O') != std::string::npos) {
          CHECK(test::error_of([&] { open_npy(path); }).first == Errc::unsupported);
          ++refused;
          continue;
        }
        const OpenedArray array = open_npy(path);
        CHECK(array.view.shape == shape_of(entry.at("shape")));
        CHECK(array.source.spec().dtype.numpy() == dtype);
        CHECK(array.source.spec().order == entry.value("memory_order", "C"));
        ++opened;
      }
    }
  }
  CHECK(opened >= 29);
  CHECK(refused >= 2);
}
