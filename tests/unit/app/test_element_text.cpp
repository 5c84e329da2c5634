#include <app/element_text.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>

using namespace morsel;
using app::TextStyle;

namespace {

template <class T>
std::string shown(const DType& dtype, const T& value, TextStyle style = TextStyle::shown) {
  std::vector<std::byte> bytes(dtype.item_bytes());
  std::memcpy(bytes.data(), &value, std::min(sizeof value, bytes.size()));
  std::string text;
  app::append_element(text, dtype, bytes.data(), style);
  return text;
}

template <class T>
std::string as_json(const DType& dtype, const T& value) {
  std::vector<std::byte> bytes(dtype.item_bytes());
  std::memcpy(bytes.data(), &value, std::min(sizeof value, bytes.size()));
  app::JsonWriter json;
  app::write_element(json, dtype, bytes.data());
  return json.text();
}

}  // namespace

TEST_CASE("numbers have the shortest digits that read back in their own dtype", "[app]") {
  CHECK(shown(Type::float64, 0.1) == "0.1");
  CHECK(shown(Type::float64, 1.0) == "1.0");
  CHECK(shown(Type::float64, -0.0) == "-0.0");
  CHECK(shown(Type::float64, 1e22) == "1e+22");
  CHECK(shown(Type::float64, 5e-324) == "5e-324");
  CHECK(shown(Type::float64, std::nan("")) == "nan");
  CHECK(shown(Type::float64, -HUGE_VAL) == "-inf");
  CHECK(shown(Type::float32, 0.1f) == "0.1");
  CHECK(shown(Type::float32, 16777216.0f) == "16777216.0");
  CHECK(shown(Type::float16, float16(0.1f)) == "0.1");
  CHECK(shown(Type::float16, float16(65504.0f)) == "65500.0");
  CHECK(shown(Type::float16, float16(5.9604645e-08f)) == "6e-08");
  CHECK(shown(Type::int8, std::int8_t{-128}) == "-128");
  CHECK(shown(Type::uint64, UINT64_MAX) == "18446744073709551615");
  CHECK(shown(Type::int64, INT64_MIN) == "-9223372036854775808");
  CHECK(shown(Type::bool_, true) == "True");
  CHECK(shown(Type::bool_, true, TextStyle::csv) == "1");
  CHECK(shown(Type::complex128, std::complex<double>(1, -0.0)) == "(1.0-0.0j)");
  CHECK(shown(Type::complex64, std::complex<float>(0.1f, 2), TextStyle::csv) == "0.1+2.0j");
}

TEST_CASE("every float16 reads back from its text", "[app]") {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    float16 value;
    value.bits = static_cast<std::uint16_t>(bits);
    if (std::isnan(static_cast<float>(value))) continue;
    const float back = std::strtof(shown(Type::float16, value).c_str(), nullptr);
    if (float16(back).bits != value.bits) FAIL("float16 " << bits << " does not read back");
  }
  SUCCEED();
}

TEST_CASE("carried types print as what they mean", "[app]") {
  const auto day = [](std::int64_t n) { return n; };
  CHECK(shown(DType::carried("S5", 5), "ab\0\0\0") == "b'ab'");
  CHECK(shown(DType::carried("S5", 5), "a'b\\\n") == "b'a\\'b\\\\\\x0a'");
  const std::uint32_t text[] = {0x48, 0xE9, 0x1F600, 0};
  CHECK(shown(DType::carried("U4", 16), text) == "'H\xC3\xA9\xF0\x9F\x98\x80'");
  CHECK(shown(DType::carried("V3", 3), "\x01\xAB\xFF") == "0x01abff");
  CHECK(shown(DType::carried("bfloat16", 2), std::uint16_t{0x3FC0}) == "1.5");
  CHECK(shown(DType::carried("int4", 1), std::int8_t{-3}) == "-3");
  CHECK(shown(DType::carried("M8[D]", 8), day(0)) == "1970-01-01");
  CHECK(shown(DType::carried("M8[D]", 8), day(-1)) == "1969-12-31");
  CHECK(shown(DType::carried("M8[D]", 8), day(19782)) == "2024-02-29");
  CHECK(shown(DType::carried("M8[D]", 8), day(-719528)) == "0000-01-01");
  CHECK(shown(DType::carried("M8[s]", 8), day(1709210096)) == "2024-02-29T12:34:56");
  CHECK(shown(DType::carried("M8[ns]", 8), day(-1)) == "1969-12-31T23:59:59.999999999");
  CHECK(shown(DType::carried("M8[ms]", 8), day(1)) == "1970-01-01T00:00:00.001");
  CHECK(shown(DType::carried("M8[h]", 8), day(25)) == "1970-01-02T01");
  CHECK(shown(DType::carried("M8[m]", 8), day(61)) == "1970-01-01T01:01");
  CHECK(shown(DType::carried("M8[M]", 8), day(-1)) == "1969-12");
  CHECK(shown(DType::carried("M8[Y]", 8), day(54)) == "2024");
  CHECK(shown(DType::carried("M8[W]", 8), day(1)) == "1970-01-08");
  CHECK(shown(DType::carried("M8[10s]", 8), day(6)) == "1970-01-01T00:01:00");
  CHECK(shown(DType::carried("M8[ns]", 8), INT64_MIN) == "NaT");
  CHECK(shown(DType::carried("m8[s]", 8), day(-5)) == "-5 s");
}

TEST_CASE("records print field by field", "[app]") {
  struct Row {
    std::int32_t a;
    float b[2];
    char name[4];
  } row{7, {0.5f, -1}, {'x', ',', 0, 0}};
  const DType dtype = DType::record(
      {{"a", Type::int32, 0, {}}, {"b", Type::float32, 4, {2}}, {"name", DType::carried("S4", 4), 12, {}}},
      16);
  CHECK(shown(dtype, row) == "(7, [0.5, -1.0], b'x,')");
  CHECK(as_json(dtype, row) == R"({"a": 7, "b": [0.5, -1.0], "name": "x,"})");
  app::JsonWriter json;
  app::write_dtype(json, dtype);
  CHECK(json.text() == R"([["a", "<i4"], ["b", "<f4", [2]], ["name", "|S4"]])");
}

TEST_CASE("JSON has integers in full, floats shortest, NaN and infinities as strings", "[app]") {
  CHECK(as_json(Type::uint64, UINT64_MAX) == "18446744073709551615");
  CHECK(as_json(Type::float64, 0.1) == "0.1");
  CHECK(as_json(Type::float64, 3.0) == "3.0");
  CHECK(as_json(Type::float64, std::nan("")) == "\"NaN\"");
  CHECK(as_json(Type::float64, HUGE_VAL) == "\"Infinity\"");
  CHECK(as_json(Type::float32, -HUGE_VALF) == "\"-Infinity\"");
  CHECK(as_json(Type::complex128, std::complex<double>(1, -2)) == "[1.0, -2.0]");
  CHECK(as_json(Type::bool_, true) == "true");
  CHECK(as_json(DType::carried("S3", 3), "a\"\xFF") == "\"a\\\"\xEF\xBF\xBD\"");
  CHECK(as_json(DType::carried("M8[s]", 8), std::int64_t{0}) == "\"1970-01-01T00:00:00\"");
}

TEST_CASE("CSV quotes text only where it must", "[app]") {
  CHECK(shown(DType::carried("S5", 5), "ab\0\0\0", TextStyle::csv) == "ab");
  CHECK(shown(DType::carried("S5", 5), "a,\"b\0", TextStyle::csv) == "\"a,\"\"b\"");
}
