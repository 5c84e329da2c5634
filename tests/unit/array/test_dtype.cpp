#include <catch2/catch.hpp>
#include <cstring>
#include <morsel/array/dtype.hpp>

using namespace morsel;

namespace {

template <class F>
std::pair<Errc, std::string> refusal(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {Errc::internal_error, "not refused"};
}

}  // namespace

TEST_CASE("NumPy's type strings and names are read, and written back in little-endian form", "[array]") {
  struct Case {
    const char* text;
    Type type;
    std::size_t item_bytes;
    const char* name;
    const char* numpy;
    std::size_t swap_bytes;
  };
  const Case table[] = {
      {"bool", Type::bool_, 1, "bool", "|b1", 1},
      {"?", Type::bool_, 1, "bool", "|b1", 1},
      {"|b1", Type::bool_, 1, "bool", "|b1", 1},
      {"b1", Type::bool_, 1, "bool", "|b1", 1},
      {"int8", Type::int8, 1, "int8", "|i1", 1},
      {"i1", Type::int8, 1, "int8", "|i1", 1},
      {"<i1", Type::int8, 1, "int8", "|i1", 1},
      {"int16", Type::int16, 2, "int16", "<i2", 2},
      {"<i2", Type::int16, 2, "int16", "<i2", 2},
      {"i4", Type::int32, 4, "int32", "<i4", 4},
      {"=i4", Type::int32, 4, "int32", "<i4", 4},
      {"int64", Type::int64, 8, "int64", "<i8", 8},
      {"u1", Type::uint8, 1, "uint8", "|u1", 1},
      {"|u1", Type::uint8, 1, "uint8", "|u1", 1},
      {"uint16", Type::uint16, 2, "uint16", "<u2", 2},
      {"<u4", Type::uint32, 4, "uint32", "<u4", 4},
      {"u8", Type::uint64, 8, "uint64", "<u8", 8},
      {"float16", Type::float16, 2, "float16", "<f2", 2},
      {"e", Type::float16, 2, "float16", "<f2", 2},
      {"<f4", Type::float32, 4, "float32", "<f4", 4},
      {"f", Type::float32, 4, "float32", "<f4", 4},
      {"float64", Type::float64, 8, "float64", "<f8", 8},
      {"d", Type::float64, 8, "float64", "<f8", 8},
      {"c8", Type::complex64, 8, "complex64", "<c8", 4},
      {"complex128", Type::complex128, 16, "complex128", "<c16", 8},
      {"S5", Type::carried, 5, "S5", "|S5", 1},
      {"|S1", Type::carried, 1, "S1", "|S1", 1},
      {"U3", Type::carried, 12, "U3", "<U3", 4},
      {"<U03", Type::carried, 12, "U3", "<U3", 4},
      {"|V16", Type::carried, 16, "V16", "|V16", 1},
      {"M8[ns]", Type::carried, 8, "M8[ns]", "<M8[ns]", 8},
      {"<M8[D]", Type::carried, 8, "M8[D]", "<M8[D]", 8},
      {"M8[1ns]", Type::carried, 8, "M8[ns]", "<M8[ns]", 8},
      {"m8[10ms]", Type::carried, 8, "m8[10ms]", "<m8[10ms]", 8},
      {"M8", Type::carried, 8, "M8", "<M8", 8},
      {"M8[generic]", Type::carried, 8, "M8", "<M8", 8},
      {"datetime64[25s]", Type::carried, 8, "M8[25s]", "<M8[25s]", 8},
      {"timedelta64", Type::carried, 8, "m8", "<m8", 8},
      {"m8[\xce\xbcs]", Type::carried, 8, "m8[us]", "<m8[us]", 8},
      {"<f16", Type::carried, 16, "f16", "<f16", 16},
      {"c32", Type::carried, 32, "c32", "<c32", 16},
      {"float128", Type::carried, 16, "f16", "<f16", 16},
      {"bfloat16", Type::carried, 2, "bfloat16", "bfloat16", 2},
      {"float8_e4m3", Type::carried, 1, "float8_e4m3", "float8_e4m3", 1},
      {"int4", Type::carried, 1, "int4", "int4", 1},
      {" float32 ", Type::float32, 4, "float32", "<f4", 4},
  };
  for (const Case& c : table) {
    INFO(c.text);
    bool big = true;
    const DType dtype = parse_dtype(c.text, &big);
    CHECK_FALSE(big);
    CHECK(dtype.type() == c.type);
    CHECK(dtype.is_numeric() == (c.type != Type::carried));
    CHECK(dtype.item_bytes() == c.item_bytes);
    CHECK(dtype.name() == c.name);
    CHECK(dtype.numpy() == c.numpy);
    CHECK(dtype.swap_bytes() == c.swap_bytes);
    CHECK_FALSE(dtype.is_record());
    CHECK(dtype.fields().empty());
    CHECK(parse_dtype(dtype.numpy()) == dtype);
    CHECK(parse_dtype(dtype.name()) == dtype);
  }
}

TEST_CASE("big-endian is reported where it changes the bytes", "[array]") {
  const std::pair<const char*, bool> table[] = {
      {">i2", true},
      {">f8", true},
      {">c8", true},
      {">U3", true},
      {">M8[s]", true},
      {">i1", false},
      {">b1", false},
      {">S5", false},
      {">V8", false},
      {"<i2", false},
      {"=i2", false},
      {"i2", false},
      {"|u1", false},
      {"float32", false},
      {"|i4", false},
      {">f16", true},
      {"bfloat16", false},
      {"[('a', '>i4'), ('b', '|u1')]", true},
      {"[('a', '<i4'), ('b', '|u1')]", false},
      {"[('b', '>u1')]", false},
  };
  for (const auto& [text, expected] : table) {
    INFO(text);
    bool big = !expected;
    parse_dtype(text, &big);
    CHECK(big == expected);
    CHECK_NOTHROW(parse_dtype(text));
  }
}

TEST_CASE("text that is no dtype is refused", "[array]") {
  for (const char* text : {"",
                           " ",
                           "f3",
                           "f5",
                           "i16",
                           "u3",
                           "b2",
                           "float",
                           "Float32",
                           "<float32",
                           "<",
                           "<<f4",
                           "f4x",
                           "f4 f4",
                           "x4",
                           "c4",
                           "S-1",
                           "S1.5",
                           "M8[xs]",
                           "M8[",
                           "M8]",
                           "M8[]",
                           "M8[0s]",
                           "M9[s]",
                           "M8[s]x",
                           "m4",
                           "M",
                           "S99999999999999999999",
                           "U4611686018427387904",
                           "f128",
                           "()",
                           "[",
                           "[]",
                           "[('a')]",
                           "[('a', '<i4')",
                           "[('a', '<i4'))",
                           "['a', '<i4']",
                           "[('a', '<i4') ('b', '<i4')]",
                           "[('a', '<i4', (2)]",
                           "[('a', '<i4', (-1,))]",
                           "[('a', '<i4', 'x')]",
                           "[('a', <i4)]",
                           "[('a, '<i4')]",
                           "[('a', '<i4')]x",
                           "[('\\q', '<i4')]",
                           "[('\\x4', '<i4')]"}) {
    const auto [code, message] = refusal([&] { parse_dtype(text); });
    INFO(message);
    CHECK(code == Errc::syntax_error);
    CHECK(message.find("got '" + std::string(text) + "'") != std::string::npos);
  }
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "[('a', ";
  CHECK(refusal([&] { parse_dtype(deep); }).first == Errc::syntax_error);
}

TEST_CASE("types without a fixed number of bytes are refused as unsupported", "[array]") {
  for (const char* text :
       {"O", "|O", "|O8", "object", "[('a', '|O')]", "T", "|T16", "S", "S0", "|S0", "<U0", "V0"}) {
    INFO(text);
    CHECK(refusal([&] { parse_dtype(text); }).first == Errc::unsupported);
  }
  const auto mixed = refusal([] { parse_dtype("[('a', '<i4'), ('b', '>i4')]"); });
  CHECK(mixed.first == Errc::unsupported);
  CHECK(mixed.second.find("byte order") != std::string::npos);
}

TEST_CASE("records are written as NumPy writes them in .npy headers, and read back", "[array]") {
  const DType i2 = Type::int16, i4 = Type::int32, f4 = Type::float32, f8 = Type::float64;
  struct Case {
    DType dtype;
    const char* numpy;  ///< repr(numpy.lib.format.dtype_to_descr(...))
    const char* name;
  };
  const DType inner = DType::record({{"q", i2, 0, {}}, {"r", Type::complex64, 2, {}}}, 10);
  const Case table[] = {
      {DType::record({{"a", i4, 0, {}}, {"b", f4, 4, {2, 3}}}, 28), "[('a', '<i4'), ('b', '<f4', (2, 3))]",
       "record[a: int32, b: float32 (2, 3)]"},
      {DType::record({{"a", Type::uint8, 0, {}}, {"b", f8, 8, {}}}, 16),
       "[('a', '|u1'), ('', '|V7'), ('b', '<f8')]", "record[a: uint8, b: float64]"},
      {DType::record({{"x", i2, 2, {}}, {"y", f4, 8, {}}}, 16),
       "[('', '|V2'), ('x', '<i2'), ('', '|V4'), ('y', '<f4'), ('', '|V4')]", "record[x: int16, y: float32]"},
      {DType::record({{"it's", i4, 0, {}},
                      {"say \"x\"", Type::bool_, 4, {}},
                      {"both'\"", parse_dtype("S3"), 5, {}},
                      {"n\n\\", parse_dtype("U2"), 8, {}}},
                     16),
       "[(\"it's\", '<i4'), ('say \"x\"', '|b1'), ('both\\'\"', '|S3'), ('n\\n\\\\', '<U2')]",
       "record[it's: int32, say \"x\": bool, both'\": S3, n\n\\: U2]"},
      {DType::record(
           {{"p", inner, 0, {}}, {"s", parse_dtype("M8[10ms]"), 10, {2}}, {"t", parse_dtype("V4"), 26, {}}},
           30),
       "[('p', [('q', '<i2'), ('r', '<c8')]), ('s', '<M8[10ms]', (2,)), ('t', '|V4')]",
       "record[p: record[q: int16, r: complex64], s: M8[10ms] (2,), t: V4]"},
      {DType::record({{"\xc3\xa9", Type::float16, 0, {3}}}, 6), "[('\xc3\xa9', '<f2', (3,))]",
       "record[\xc3\xa9: float16 (3,)]"},
      {DType::record({}, 4), "[('', '|V4')]", "record[]"},
  };
  for (const Case& c : table) {
    INFO(c.numpy);
    CHECK(c.dtype.is_record());
    CHECK(c.dtype.type() == Type::carried);
    CHECK(c.dtype.numpy() == c.numpy);
    CHECK(c.dtype.name() == c.name);
    CHECK(c.dtype.swap_bytes() == 1);
    const DType read = parse_dtype(c.dtype.numpy());
    CHECK(read == c.dtype);
    CHECK(read.item_bytes() == c.dtype.item_bytes());
  }
  // Fields that are not in the order of their offsets are written in it.
  const DType turned = DType::record({{"b", i4, 4, {}}, {"a", i4, 0, {}}}, 8);
  CHECK(turned.numpy() == "[('a', '<i4'), ('b', '<i4')]");
  CHECK(turned.fields()[0].name == "b");
  CHECK_FALSE(parse_dtype(turned.numpy()) == turned);
}

TEST_CASE("records are read in all spellings in use", "[array]") {
  const DType expected = DType::record({{"a", Type::int32, 0, {}}, {"b", Type::float32, 4, {2}}}, 12);
  for (const char* text :
       {"[('a', '<i4'), ('b', '<f4', (2,))]", "[('a','<i4'),('b','<f4',(2,)),]",
        "[[\"a\", \"<i4\"], [\"b\", \"<f4\", [2]]]", " [ ( 'a' , 'i4' , ) , ( 'b' , 'f4' , 2 ) ] ",
        "[('\\x61', '<i4'), ('\\u0062', '<f4', [2])]", "[(('title', 'a'), '<i4'), ('b', '<f4', (2,))]"}) {
    INFO(text);
    CHECK(parse_dtype(text) == expected);
  }
  CHECK(parse_dtype("[('\\ud83d\\ude00', 'i1')]").fields()[0].name == "\xf0\x9f\x98\x80");
  CHECK(parse_dtype("[('\\U0001f600', 'i1')]").fields()[0].name == "\xf0\x9f\x98\x80");
  CHECK(parse_dtype("[('', 'i1'), ('', 'i2')]").fields()[1].name == "f1");
  CHECK(
      parse_dtype("[('a', [('b', [('c', '<f8')])])]").fields()[0].dtype.fields()[0].dtype.fields()[0].name ==
      "c");
}

TEST_CASE("impossible dtypes are refused", "[array]") {
  const DType i4 = Type::int32;
  CHECK(refusal([&] {
          DType::record({{"a", i4, 0, {}}, {"a", i4, 4, {}}}, 8);
        }).first == Errc::invalid_argument);
  CHECK(refusal([&] { DType::record({{"a", i4, 0, {}}, {"b", i4, 2, {}}}, 8); }).first == Errc::unsupported);
  CHECK(refusal([&] { DType::record({{"a", i4, 6, {}}}, 8); }).first == Errc::invalid_argument);
  CHECK(refusal([&] { DType::record({{"a", i4, 0, {3}}}, 8); }).first == Errc::invalid_argument);
  CHECK(refusal([&] { DType::record({{"a", i4, ~std::size_t{0}, {}}}, 8); }).first == Errc::invalid_argument);
  CHECK(refusal([&] { DType::record({}, 0); }).first == Errc::invalid_argument);
  CHECK(refusal([&] { DType::carried("S5", 4); }).first == Errc::invalid_argument);
  CHECK(refusal([&] { DType::carried("U2", 2); }).first == Errc::invalid_argument);
  CHECK(refusal([&] { DType::carried("M8[s]", 4); }).first == Errc::invalid_argument);
  CHECK(refusal([&] { DType::carried("x", 0); }).first == Errc::invalid_argument);
  CHECK(refusal([&] { DType::carried("", 4); }).first == Errc::invalid_argument);
  CHECK(DType::carried("thing", 7).numpy() == "thing");
  CHECK(DType::carried("thing", 7).swap_bytes() == 1);
}

TEST_CASE("dtypes are equal if type, size, name and fields are", "[array]") {
  CHECK(DType(Type::float32) == parse_dtype("f4"));
  CHECK_FALSE(DType(Type::float32) == DType(Type::int32));
  CHECK(parse_dtype("S5") == DType::carried("S5", 5));
  CHECK_FALSE(parse_dtype("S5") == parse_dtype("V5"));
  CHECK_FALSE(parse_dtype("S5") == parse_dtype("S6"));
  const DType record = parse_dtype("[('a', '<i4'), ('b', '<f4')]");
  CHECK(record == parse_dtype("[('a', '<i4'), ('b', '<f4')]"));
  CHECK_FALSE(record == parse_dtype("[('a', '<i4'), ('c', '<f4')]"));
  CHECK_FALSE(record == parse_dtype("[('a', '<i4'), ('b', '<i4')]"));
  CHECK_FALSE(record == parse_dtype("[('a', '<i4'), ('', '|V4')]"));
  CHECK_FALSE(record == parse_dtype("[('a', '<i4'), ('b', '<f4', (1,))]"));
  CHECK_FALSE(parse_dtype("[('', 'V4')]") == parse_dtype("V4"));
  CHECK(DType() == DType(Type::float64));
}

TEST_CASE("elements are swapped unit by unit and field by field", "[array]") {
  const auto swapped = [](const char* dtype, std::vector<int> bytes) {
    std::vector<unsigned char> data(bytes.begin(), bytes.end());
    const DType parsed = parse_dtype(dtype);
    swap_elements(parsed, data.data(), data.size() / parsed.item_bytes());
    return std::vector<int>(data.begin(), data.end());
  };
  using V = std::vector<int>;
  CHECK(swapped("u1", {1, 2}) == V{1, 2});
  CHECK(swapped("i2", {1, 2, 3, 4}) == V{2, 1, 4, 3});
  CHECK(swapped("c8", {1, 2, 3, 4, 5, 6, 7, 8}) == V{4, 3, 2, 1, 8, 7, 6, 5});
  CHECK(swapped("S4", {1, 2, 3, 4}) == V{1, 2, 3, 4});
  CHECK(swapped("U2", {1, 2, 3, 4, 5, 6, 7, 8}) == V{4, 3, 2, 1, 8, 7, 6, 5});
  CHECK(swapped("M8[s]", {1, 2, 3, 4, 5, 6, 7, 8}) == V{8, 7, 6, 5, 4, 3, 2, 1});
  CHECK(swapped("[('a', 'u1'), ('b', '<i2', (2,)), ('', 'V1'), ('c', [('d', '<i2')])]",
                {1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 18}) ==
        V{1, 3, 2, 5, 4, 6, 8, 7, 11, 13, 12, 15, 14, 16, 18, 17});
}
