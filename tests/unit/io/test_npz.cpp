#include <morsel/io/npz.hpp>

#include <atomic>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <random>
#include <support/seed.hpp>
#include <support/sha256.hpp>
#include <support/skip.hpp>
#include <thread>

#include "files.hpp"
#include "zip_bytes.hpp"

using namespace morsel;
using Catch::Matchers::Contains;
using test::ByteVector;
using test::put;
using test::zip_of;
using Member = test::ZipEntry;

namespace {

ByteVector npy_of(const DType& dtype, const Shape& shape, const ByteVector& data,
                  ElementOrder order = ElementOrder::C) {
  ByteVector bytes = test::bytes_of(make_npy_header(dtype, shape, order));
  put(bytes, data);
  return bytes;
}

/// Repeats itself at the distance of the whole window, with random changes.
ByteVector windowed_bytes(std::size_t count) {
  std::mt19937_64 random(test::first_seed());
  ByteVector bytes(count);
  for (std::size_t i = 0; i < count; ++i)
    bytes[i] = i >= 32768 && random() % 64 != 0 ? bytes[i - 32768] : static_cast<std::byte>(random());
  return bytes;
}

/// Whether this build can read deflated members.
bool has_deflate() {
  test::TempDir dir;
  const std::string path =
      test::write_file(dir / "a.npz", zip_of({{"x.npy", npy_of(Type::uint8, {1}, ByteVector(1)), 8}}));
  const auto [code, message] = test::error_of([&] { open_npz(path, "x"); });
  if (code != Errc::unsupported) return true;
  CHECK_THAT(message, Contains("this build is without zlib"));
  return false;
}

}  // namespace

TEST_CASE("an archive lists its arrays and opens them with or without .npy", "[npz]") {
  test::TempDir dir;
  const ByteVector x = test::counted_bytes(24), y = test::counted_bytes(5);
  const auto zip64 = GENERATE(false, true);
  const std::string before = GENERATE("", "#!/bin/sh\n"),
                    comment = GENERATE("", "a comment PK\5\6 with a signature");
  CAPTURE(zip64, before, comment);
  const std::string path =
      test::write_file(dir / "a.npz", zip_of({{"y.npy", npy_of(Type::uint8, {5}, y)},
                                              {"sub/", {}},
                                              {"readme.txt", test::bytes_of(std::string("text"))},
                                              {"sub/x.npy", npy_of(Type::float32, {2, 3}, x)}},
                                             zip64, before, comment));
  CHECK(list_npz(path) == std::vector<std::string>{"sub/x", "y"});
  for (const char* name : {"sub/x", "sub/x.npy"}) {
    const OpenedArray array = open_npz(path, name);
    CHECK(array.view.shape == Shape{2, 3});
    CHECK(array.source.spec().dtype == DType(Type::float32));
    CHECK(array.source.spec().format == "npz");
    CHECK(array.source.spec().reads_regions);
    CHECK(test::array_bytes(array) == x);
    CHECK(array.source.identity() == "npz:" + canonical_path(path) + "#sub/x.npy");
  }
  CHECK(test::array_bytes(open_npz(path, "y", {.access = FileAccess::map})) == y);
  const auto [code, message] = test::error_of([&] { open_npz(path, "z"); });
  CHECK(code == Errc::not_found);
  CHECK_THAT(message, Contains("expected one of sub/x, y, got 'z'"));
}

TEST_CASE("the last of members with one name counts", "[npz]") {
  test::TempDir dir;
  const std::string path = test::write_file(
      dir / "a.npz", zip_of({{"x.npy", npy_of(Type::uint8, {1}, ByteVector(1, std::byte{1}))},
                             {"x.npy", npy_of(Type::uint8, {1}, ByteVector(1, std::byte{2}))}}));
  CHECK(test::array_bytes(open_npz(path, "x")) == ByteVector(1, std::byte{2}));
  CHECK(list_npz(path).size() == 1);
}

TEST_CASE("deflated members give the same elements as stored ones, in any order of reading", "[npz]") {
  if (!has_deflate()) MORSEL_SKIP("this build is without zlib");
  test::TempDir dir;
  struct Case {
    DType dtype;
    Shape shape;
    ElementOrder order;
  };
  for (const Case& c :
       {Case{Type::uint8, {}, ElementOrder::C}, Case{Type::int16, {0, 3}, ElementOrder::C},
        Case{Type::float64, {200, 3000}, ElementOrder::C}, Case{Type::int32, {70, 50, 400}, ElementOrder::F},
        Case{Type::uint8, {11'000'000}, ElementOrder::C},
        Case{Type::float32, {2, 1'100'000}, ElementOrder::C}}) {
    CAPTURE(c.dtype.name(), to_string(c.shape));
    const ByteVector data = windowed_bytes(static_cast<std::size_t>(size_of(c.shape)) * c.dtype.item_bytes());
    const std::string path =
        test::write_file(dir / "a.npz", zip_of({{"d.npy", npy_of(c.dtype, c.shape, data, c.order), 8},
                                                {"s.npy", npy_of(c.dtype, c.shape, data, c.order)}}));
    const OpenedArray deflated = open_npz(path, "d"), stored = open_npz(path, "s");
    CHECK(deflated.view.shape == c.shape);
    const Grid& grid = deflated.source.spec().grid;
    CHECK(grid.shape() == stored.source.spec().shape());
    CHECK(deflated.source.spec().codecs.size() == 1);
    const std::string version = deflated.source.version();
    std::vector<Index> order(static_cast<std::size_t>(grid.count()));
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<Index>(i);
    std::mt19937_64 random(test::first_seed());
    for (int pass = 0; pass < 3; ++pass) {
      CAPTURE(pass);
      for (const Index number : order) {
        const Region region = grid.region(number);
        REQUIRE(region.size() * static_cast<Index>(c.dtype.item_bytes()) <= 4 << 20);
        REQUIRE(test::region_bytes(deflated.source, region) == test::region_bytes(stored.source, region));
        Region part = region;  // and a part of it
        for (std::size_t i = 0; i < part.rank(); ++i) {
          part.lo[i] += static_cast<Index>(random() % static_cast<std::uint64_t>(part.hi[i] - part.lo[i]));
          part.hi[i] -= static_cast<Index>(random() % static_cast<std::uint64_t>(part.hi[i] - part.lo[i]));
        }
        REQUIRE(test::region_bytes(deflated.source, part) == test::region_bytes(stored.source, part));
      }
      std::shuffle(order.begin(), order.end(), random);
    }
    CHECK(deflated.source.version() == version);
  }
}

TEST_CASE("threads read a deflated member at once, the first time and later", "[npz]") {
  if (!has_deflate()) MORSEL_SKIP("this build is without zlib");
  test::TempDir dir;
  const ByteVector data = windowed_bytes(14'000'000);
  const std::string path =
      test::write_file(dir / "a.npz", zip_of({{"d.npy", npy_of(Type::uint8, {14'000'000}, data), 8}}));
  const OpenedArray array = open_npz(path, "d");
  const Grid& grid = array.source.spec().grid;
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 3; ++t)
    threads.emplace_back([&, t] {
      for (Index k = 0; k < 2 * grid.count(); ++k) {
        const Region region = grid.region((k * (t + 1)) % grid.count());
        ByteVector bytes(static_cast<std::size_t>(region.size()));
        array.source.fetch({grid.axis(0).chunk_of(region.lo[0])}, region, bytes, FetchMode::wait, {});
        wrong += !std::equal(bytes.begin(), bytes.end(), data.begin() + region.lo[0]);
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("damaged deflate data and wrong checksums are errors, and stay errors", "[npz]") {
  if (!has_deflate()) MORSEL_SKIP("this build is without zlib");
  test::TempDir dir;
  const ByteVector data = windowed_bytes(5'000'000);
  const Member member{"d.npy", npy_of(Type::uint8, {5'000'000}, data), 8};
  const ByteVector good = zip_of({member});
  const auto read_all = [](const std::string& path) {
    const OpenedArray array = open_npz(path, "d");
    const auto first = test::error_of([&] { test::array_bytes(array); });
    if (first.second != "no error")
      CHECK(test::error_of([&] {
              test::region_bytes(array.source, Region{{0}, {10}});
            }).first == first.first);
    return first;
  };
  CHECK(read_all(test::write_file(dir / "good.npz", good)).second == "no error");

  ByteVector wrong_crc = good;  // in the central directory: 46 + 5 + 22 bytes before the end
  wrong_crc[good.size() - 22 - 51 + 16] ^= std::byte{1};
  const auto [code, message] = read_all(test::write_file(dir / "crc.npz", wrong_crc));
  CHECK(code == Errc::corrupt_data);
  CHECK_THAT(message, Contains("wrong checksum; expected CRC-32 "));

  std::mt19937_64 random(test::first_seed());
  for (int k = 0; k < 20; ++k) {
    ByteVector bytes = good;
    const std::size_t at = 35 + random() % (good.size() - 35 - 51 - 22);
    bytes[at] ^= static_cast<std::byte>(1 + random() % 255);
    CAPTURE(at);
    const std::string path = test::write_file(dir / "bad.npz", bytes);
    const auto [bad_code, bad_message] = test::error_of([&] { test::array_bytes(open_npz(path, "d")); });
    CAPTURE(bad_message);
    if (bad_code == Errc::internal_error) {  // no error: only bits of padding may change nothing
      CHECK(bad_message == "no error");
      CHECK(test::array_bytes(open_npz(path, "d")) == data);
    } else {
      CHECK((bad_code == Errc::corrupt_data || bad_code == Errc::unsupported));
    }
  }
}

TEST_CASE("a member that is shorter than its header says is corrupt", "[npz]") {
  test::TempDir dir;
  for (const int method : has_deflate() ? std::vector<int>{0, 8} : std::vector<int>{0}) {
    ByteVector bytes = npy_of(Type::float64, {10}, test::counted_bytes(80));
    bytes.pop_back();
    const std::string path = test::write_file(dir / "a.npz", zip_of({{"x.npy", bytes, method}}));
    const auto [code, message] = test::error_of([&] { open_npz(path, "x"); });
    CHECK(code == Errc::corrupt_data);
    CHECK_THAT(message, Contains("expected 80 bytes of float64 (10,) after the header, got 79") &&
                            Contains(path + "/x.npy"));
  }
}

TEST_CASE("archives that cannot be read are refused with the reason", "[npz]") {
  test::TempDir dir;
  const ByteVector npy = npy_of(Type::uint8, {3}, test::counted_bytes(3));
  const ByteVector good = zip_of({{"x.npy", npy}});
  const std::size_t central = good.size() - 22 - 51;
  const auto changed = [&](std::size_t at, int value) {
    ByteVector bytes = good;
    bytes[at] = static_cast<std::byte>(value);
    return bytes;
  };
  ByteVector beyond = changed(central + 21, 0x70);
  beyond[central + 25] = std::byte{0x70};
  struct Case {
    ByteVector bytes;
    Errc code;
    std::string reason;
  };
  const Case cases[] = {
      {{}, Errc::corrupt_data, "not a zip archive"},
      {test::counted_bytes(1000), Errc::corrupt_data, "not a zip archive"},
      {ByteVector(good.begin(), good.end() - 1), Errc::corrupt_data, "not a zip archive, or cut short"},
      {changed(central, 0), Errc::corrupt_data, "damaged entry 0"},
      {changed(central + 28, 200), Errc::corrupt_data,
       "damaged entry 0 of the directory; expected 246 bytes, got 51"},
      {changed(0, 0), Errc::corrupt_data, "not where the directory says"},
      {changed(30, 'y'), Errc::corrupt_data, "not where the directory says"},
      {changed(central + 44, 0x70), Errc::corrupt_data, "begins outside the archive"},
      {changed(central + 21, 0x70), Errc::corrupt_data,
       "sizes of a stored member differ; expected 131 bytes, got 28803"},
      {beyond, Errc::corrupt_data, "ends outside the archive; expected at most 131 bytes, got 28803"},
      {changed(good.size() - 22 + 10, 2), Errc::corrupt_data, "expected 2 entries in the directory, got 1"},
      {changed(good.size() - 22 + 15, 9), Errc::corrupt_data, "expected a directory of"},
      {changed(good.size() - 22 + 4, 1), Errc::unsupported, "in several parts"},
      {zip_of({{"x.npy", npy, 0, 50'000, 1}}), Errc::unsupported, "encrypted"},
      {zip_of({{"x.npy", npy, 14}}), Errc::unsupported, "zip method 14"},
      {zip_of({{"x.txt", npy}}), Errc::not_found, "expected an archive with .npy members"},
      {zip_of({{"x.npy", test::bytes_of(std::string("hello, world"))}}), Errc::corrupt_data,
       "not a .npy file"},
  };
  for (const Case& c : cases) {
    const std::string path = test::write_file(dir / "a.npz", c.bytes);
    const auto [code, message] = test::error_of([&] {
      const OpenedArray array = open_npz(path, "x");
      test::array_bytes(array);
    });
    CHECK_THAT(message, Contains(c.reason) && Contains("a.npz"));
    CAPTURE(message);
    CHECK(code == c.code);
  }
}

TEST_CASE("an archive with any byte changed or cut anywhere is read or refused, never worse", "[npz]") {
  test::TempDir dir;
  std::mt19937_64 random(test::first_seed());
  const int method = has_deflate() ? 8 : 0;
  for (const bool zip64 : {false, true}) {
    const ByteVector good = zip_of({{"x.npy", npy_of(Type::int16, {30}, test::counted_bytes(60)), method, 20},
                                    {"y.npy", npy_of(Type::int16, {3}, test::counted_bytes(6))}},
                                   zip64);
    int read = 0, refused = 0;
    for (int k = 0; k < test::effort(300); ++k) {
      ByteVector bytes = good;
      if (k % 4 == 0) bytes.resize(random() % good.size());
      for (std::uint64_t changes = k % 4 == 0 ? 0 : 1 + random() % 3; changes > 0; --changes)
        bytes[random() % bytes.size()] = static_cast<std::byte>(random());
      const std::string path = test::write_file(dir / "a.npz", bytes);
      try {
        for (const std::string& name : list_npz(path)) {
          const OpenedArray array = open_npz(path, name);
          if (array.source.spec().grid.count() < 100 && size_of(array.view.shape) < 100'000)
            test::array_bytes(array);
        }
        ++read;
      } catch (const Error&) {
        ++refused;
      }
    }
    CHECK(read > 10);
    CHECK(refused > 100);
  }
}

TEST_CASE(".npz archives written by other software open with the recorded shape, dtype and values", "[npz]") {
  const std::filesystem::path dir = test::conformance_dir();
  if (dir.empty()) MORSEL_SKIP("no conformance files");
  if (!has_deflate()) MORSEL_SKIP("this build is without zlib");
  std::ifstream in(dir / "expected.json");
  const nlohmann::json expected = nlohmann::json::parse(in);
  int opened = 0, refused = 0;
  for (const auto& item : expected.at("items")) {
    if (item.value("format", "") != "npz") continue;
    const std::string path = (dir / item.at("item").get<std::string>()).string();
    CAPTURE(path);
    if (item.contains("error")) {
      for (const std::string& name : list_npz(path))
        CHECK(test::error_of([&] { open_npz(path, name); }).first == Errc::unsupported);
      ++refused;
      continue;
    }
    CHECK(list_npz(path).size() == item.at("arrays").size());
    for (const auto& [name, expect] : item.at("arrays").items()) {
      CAPTURE(name);
      const OpenedArray array = open_npz(path, name);
      Shape shape;
      for (const auto& n : expect.at("shape")) shape.push_back(n.get<Index>());
      CHECK(array.view.shape == shape);
      CHECK(array.source.spec().dtype.numpy() == expect.at("dtype").get<std::string>());
      CHECK(test::sha256(test::array_bytes(array)) == expect.at("sha256").get<std::string>());
      ++opened;
    }
  }
  CHECK(opened >= 4);
  CHECK(refused >= 2);
}
