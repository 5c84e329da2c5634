#include <catch2/catch.hpp>
#include <limits>
#include <morsel/base/bytes.hpp>

using namespace morsel;

TEST_CASE("byte sizes are read with binary and decimal units", "[base]") {
  const std::pair<const char*, std::size_t> table[] = {
      {"0", 0},
      {"1", 1},
      {"4096", 4096},
      {"10B", 10},
      {"1k", KiB},
      {"1K", KiB},
      {"1KiB", KiB},
      {"1kb", 1000},
      {"1KB", 1000},
      {"256MiB", 256 * MiB},
      {"256 MiB", 256 * MiB},
      {"256mib", 256 * MiB},
      {"256M", 256 * MiB},
      {"256MB", 256'000'000},
      {"1.5 GB", 1'500'000'000},
      {"1.5GiB", 3 * GiB / 2},
      {"0.5k", 512},
      {".5k", 512},
      {"2T", 2 * TiB},
      {"2TB", 2'000'000'000'000},
      {"1e3", 1000},
      {"1e3 K", 1000 * KiB},
      {"9007199254740993", 9007199254740993},
      {"9223372036854775807", std::numeric_limits<std::int64_t>::max()},
      {"9007199254740993 B", 9007199254740993},
      {"98304 bytes", 98304},
      {"98304bytes", 98304},
      {"1 Byte", 1},
  };
  for (const auto& [text, bytes] : table) {
    INFO(text);
    CHECK(parse_bytes(text) == bytes);
    CHECK(Bytes(text).count() == bytes);
  }
}

TEST_CASE("text that is no byte size is refused", "[base]") {
  for (const char* text :
       {"",    " ",     "MiB",   "-1",    "+1",    "1X",       "1KiBs",   "1 2", "0x10", "1..2", "nan", "inf",
        "1KK", "1,5GB", "1.5.2", "12abc", "bytes", "1 bytess", "1kbytes", ".",   "1e",   ".k",   "1B1"}) {
    INFO(text);
    try {
      parse_bytes(text);
      FAIL("not refused");
    } catch (const Error& error) {
      CHECK(error.code() == Errc::syntax_error);
      CHECK(std::string(error.what()).find(std::string("got '") + text + "'") != std::string::npos);
    }
  }
}

TEST_CASE("byte sizes beyond 63 bits are refused as overflow", "[base]") {
  for (const char* text : {"9223372036854775808", "1e19", "99999999999T", "8388608T", "1e400"}) {
    INFO(text);
    try {
      parse_bytes(text);
      FAIL("not refused");
    } catch (const Error& error) {
      CHECK(error.code() == Errc::overflow);
    }
  }
  CHECK(parse_bytes("8388607T") == 8388607 * TiB);
}

TEST_CASE("byte counts print with three digits and binary units", "[base]") {
  const std::pair<std::size_t, const char*> table[] = {
      {0, "0 B"},
      {1, "1 B"},
      {999, "999 B"},
      {1000, "1000 B"},
      {1023, "1023 B"},
      {KiB, "1.00 KiB"},
      {1536, "1.50 KiB"},
      {10 * KiB, "10.0 KiB"},
      {100 * KiB, "100 KiB"},
      {1000 * KiB, "1000 KiB"},
      {MiB - 1, "1.00 MiB"},
      {4 * MiB, "4.00 MiB"},
      {256 * MiB, "256 MiB"},
      {GiB, "1.00 GiB"},
      {3 * TiB / 2, "1.50 TiB"},
      {std::numeric_limits<std::size_t>::max(), "16.0 EiB"},
  };
  for (const auto& [bytes, text] : table) CHECK(format_bytes(bytes) == text);
}

TEST_CASE("a byte count converts from integers and text, and is default at 0", "[base]") {
  CHECK(Bytes().is_default());
  CHECK(Bytes(0).is_default());
  CHECK(Bytes(256 * MiB).count() == 256 * MiB);
  CHECK(Bytes(100).count() == 100);
  CHECK(Bytes(std::string("1 KiB")).count() == 1024);
  CHECK(Bytes(std::string_view("1 KiB")).count() == 1024);
  CHECK_FALSE(Bytes("1").is_default());
  CHECK_THROWS_AS(Bytes(-1), Error);
}
