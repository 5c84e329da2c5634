#include <catch2/catch.hpp>
#include <morsel/array/chunk_spec.hpp>
#include <morsel/array/slice.hpp>
#include <morsel/base/bytes.hpp>
#include <random>

using namespace morsel;

namespace {

/// A text of random pieces; the reader under test must give a value or an Error, never anything else.
std::string random_text(std::mt19937& random, const std::vector<std::string>& pieces) {
  std::string text;
  for (unsigned n = random() % 8; n > 0; --n) text += pieces[random() % pieces.size()];
  return text;
}

template <class F>
void check_reader(const std::vector<std::string>& pieces, F&& reads_back) {
  std::mt19937 random(21);
  int read = 0, refused = 0;
  for (int round = 0; round < 100000; ++round) {
    const std::string text = random_text(random, pieces);
    try {
      if (!reads_back(text)) FAIL("read differently when written and read again: " << text);
      ++read;
    } catch (const Error& error) {
      if (error.code() == Errc::internal_error) FAIL(text << ": " << error.what());
      ++refused;
    }
  }
  CHECK(read > 100);
  CHECK(refused > 100);
}

}  // namespace

TEST_CASE("any text is read as a slice or refused", "[array]") {
  check_reader(
      {":", ",", "...", "None", "[", "]", "1", "-", "0", "99999999999", " ", "newaxis", "x", "::", "-1"},
      [](const std::string& text) {
        const std::string written = to_string(parse_slice(text));
        return to_string(parse_slice(written)) == written;
      });
}

TEST_CASE("any text is read as a dtype or refused", "[array]") {
  check_reader({"<",           ">",   "|",    "f4", "i",     "8",       "S",
                "U",           "M8",  "[ns]", "[",  "]",     "(",       ")",
                "'",           "'a'", ",",    " ",  "'<i4'", "[('a', ", "('b', '<f8')",
                "(2,)",        ")]",  "\\\\", "\"", "0",     "bool",    "[('x', '<u2'),",
                "('', '|V3')]"},
               [](const std::string& text) {
                 const DType dtype = parse_dtype(text);
                 return parse_dtype(dtype.numpy()) == dtype;
               });
}

TEST_CASE("any text is read as chunks or refused", "[array]") {
  check_reader({"(", ")", ",", "1", "0", "-1", "auto", "MiB", "k", " ", "[", "]", "12", ".", "e", "x"},
               [](const std::string& text) {
                 const ChunkSpec spec = ChunkSpec::parse(text);
                 return !spec.is_default() && spec.all().has_value() != spec.axes().has_value();
               });
}

TEST_CASE("any text is read as a byte size or refused", "[array]") {
  check_reader({"1", "0", "9", ".", "e", "-", "+", "K", "M", "iB", "B", " ", "T", "99999999"},
               [](const std::string& text) {
                 const std::size_t bytes = parse_bytes(text);
                 return bytes < std::size_t{1} << 63 && parse_bytes(std::to_string(bytes)) == bytes;
               });
}
