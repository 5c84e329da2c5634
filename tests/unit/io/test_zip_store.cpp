#include <morsel/io/zip_store.hpp>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <morsel/conformance/store.hpp>
#include <morsel/io/counting_store.hpp>
#include <morsel/io/store_key.hpp>
#include <nlohmann/json.hpp>
#include <random>
#include <support/seed.hpp>
#include <support/sha256.hpp>
#include <support/skip.hpp>

#include "files.hpp"
#include "zip_bytes.hpp"

using namespace morsel;
using Catch::Matchers::Contains;
using test::ByteVector;
using test::zip_of;
using Entry = test::ZipEntry;
namespace fs = std::filesystem;

namespace {

using Values = std::map<std::string, ByteVector>;

ByteVector text(const std::string& value) { return test::bytes_of(value); }

ByteVector random_bytes(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  ByteVector bytes(count);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random() % 7);
  return bytes;
}

std::vector<std::string> keys_of(const AnyStore& store, std::string_view prefix) {
  std::vector<std::string> keys;
  store.list(prefix, [&](std::string_view key) { keys.emplace_back(key); });
  return keys;
}

ByteVector read(const AnyStore& store, const std::string& key, ByteRange range, std::size_t room_bytes) {
  ByteVector room(room_bytes);
  GetRequest request;
  request.key = key;
  request.range = range;
  request.room = room;
  store.get(std::span<GetRequest>(&request, 1), {});
  REQUIRE(request.found);
  room.resize(request.filled_bytes);
  return room;
}

bool has_deflate() {
  test::TempDir dir;
  const ZipStore store(test::write_file(dir / "a.zip", zip_of({{"x", text("x"), 8}})));
  const auto [code, message] = test::error_of([&] { read(store, "x", {}, 1); });
  if (code != Errc::unsupported) return true;
  CHECK_THAT(message, Contains("this build is without zlib"));
  return false;
}

ByteVector from_base64(std::string_view encoded) {
  const std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  ByteVector bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : encoded) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<std::uint32_t>(digits.find(c));
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<std::byte>(bits >> count & 0xff));
  }
  return bytes;
}

/// Written by Python's zipfile to a stream that cannot seek: sizes after the data, the data.zarr/ entry, an
/// entry of 1000 and one of 500 deflated bytes, the latter with Zip64 forced; a/zarr.json twice.
constexpr std::string_view python_zip =
    "UEsDBBQACAAAAIMYIlgAAAAAAAAAAAAAAAAKAAAAZGF0YS56YXJyL1BLBwgAAAAAAAAAAAAAAABQSwMEFAAIAAgAgxgiWAAA"
    "AAAAAAAAAAAAABMAAABkYXRhLnphcnIvemFyci5qc29uq1aqSiwqik/LL8pNLFGyUjDWUVDKy09JjS+pLEgF8pXSi/JLC5Rq"
    "AVBLBwgqm5nBKAAAACgAAABQSwMEFAAIAAAAgxgiWAAAAAAAAAAAAAAAABUAAABkYXRhLnphcnIvYS96YXJyLmpzb25vbGRQ"
    "SwcI5dRdPwMAAAADAAAAUEsDBBQACAAAAIMYIlgAAAAAAAAAAAAAAAAPAAAAZGF0YS56YXJyL2EvYy8wAAECAwQFBgcICQoL"
    "DA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJ1BLBwg8LqYNKAAAACgAAABQSwMEFAAIAAgAgxgiWAAAAAAAAAAAAAAAAA8A"
    "AABkYXRhLnphcnIvYS9jLzFjYGRiZmFlYxilRqlRavhSAFBLBwiLbE9WEQAAAOgDAABQSwMEFAAIAAAAgxgiWAAAAAAAAAAA"
    "AAAAABUAAABkYXRhLnphcnIvYS96YXJyLmpzb25uZXdQSwcIRUTjawMAAAADAAAAUEsDBC0ACAAIAIMYIlgAAAAA////////"
    "//8NABQAZGF0YS56YXJyL2JpZwEAEAAAAAAAAAAAAAAAAAAAAAAAq8osMDOpGiVGEgEAUEsHCMUaoeYMAAAAAAAAAPQBAAAA"
    "AAAAUEsBAhQDFAAIAAAAgxgiWAAAAAAAAAAAAAAAAAoAAAAAAAAAAAAAAIABAAAAAGRhdGEuemFyci9QSwECFAMUAAgACACD"
    "GCJYKpuZwSgAAAAoAAAAEwAAAAAAAAAAAAAAgAE4AAAAZGF0YS56YXJyL3phcnIuanNvblBLAQIUAxQACAAAAIMYIljl1F0/"
    "AwAAAAMAAAAVAAAAAAAAAAAAAACAAaEAAABkYXRhLnphcnIvYS96YXJyLmpzb25QSwECFAMUAAgAAACDGCJYPC6mDSgAAAAo"
    "AAAADwAAAAAAAAAAAAAAgAHnAAAAZGF0YS56YXJyL2EvYy8wUEsBAhQDFAAIAAgAgxgiWItsT1YRAAAA6AMAAA8AAAAAAAAA"
    "AAAAAIABTAEAAGRhdGEuemFyci9hL2MvMVBLAQIUAxQACAAAAIMYIlhFRONrAwAAAAMAAAAVAAAAAAAAAAAAAACAAZoBAABk"
    "YXRhLnphcnIvYS96YXJyLmpzb25QSwECLQMtAAgACACDGCJYxRqh5gwAAAD0AQAADQAAAAAAAAAAAAAAgAHgAQAAZGF0YS56"
    "YXJyL2JpZ1BLBQYAAAAABwAHALQBAABDAgAAAAA=";

}  // namespace

TEST_CASE("a zip archive is a lawful store for readers", "[zip_store]") {
  const bool deflates = has_deflate();
  test::TempDir dir;
  for (const bool zip64 : {false, true})
    for (const std::uint32_t flags : {0u, 8u})
      for (const std::string before : {"", "#!/bin/sh\n"}) {
        CAPTURE(zip64, flags, before);
        std::vector<Entry> entries;
        Values values;
        int number = 0;
        for (const char* key : {"zarr.json", "a/.zarray", "a/0.0", "a-b", "a.b/c", "a/c/0/0", "a/c/0/1",
                                "a/c/10/3", "b", "with space/and?#*[:=]", "uni/\xc3\xa4\xe2\x82\xac", "c/...",
                                "c/..hidden", "deep/er/and/deep"}) {
          const ByteVector value =
              random_bytes(number % 5 == 0 ? 0 : static_cast<std::size_t>(number * number * 997 % 9000),
                           test::first_seed() + static_cast<unsigned>(number));
          entries.push_back({key, value, deflates && number % 2 != 0 ? 8 : 0, 1000, flags});
          values[key] = value;
          ++number;
        }
        entries.push_back({"empty-folder/", {}});
        const ZipStore store(test::write_file(dir / "a.zip", zip_of(entries, zip64, before, "a comment")));
        conformance::StoreCheckOptions options;
        options.seed = test::first_seed();
        conformance::check_store_reads(store, values, options);
        CHECK(store.identity() == "zip:" + canonical_path((dir / "a.zip").string()));
      }
}

TEST_CASE("an archive of Python's zipfile is read, from its folder too", "[zip_store]") {
  if (!has_deflate()) MORSEL_SKIP("this build is without zlib");
  test::TempDir dir;
  const std::string path = test::write_file(dir / "p.zip", from_base64(python_zip));
  Values values;
  values["zarr.json"] = text(R"({"zarr_format": 3, "node_type": "group"})");
  values["a/zarr.json"] = text("new");
  for (int i = 0; i < 40; ++i) values["a/c/0"].push_back(static_cast<std::byte>(i));
  for (int i = 0; i < 1000; ++i) values["a/c/1"].push_back(static_cast<std::byte>(i % 7));
  for (int i = 0; i < 100; ++i) test::put(values["big"], text("zip64"));
  const ZipStore all(path);
  CHECK(all.nested_root() == "data.zarr");
  ZipStoreOptions options;
  options.prefix = all.nested_root();
  const ZipStore store(path, options);
  CHECK(store.nested_root() == "");
  CHECK(store.identity() == "zip:" + canonical_path(path) + "#data.zarr");
  conformance::check_store_reads(store, values);
  Values nested;
  for (const auto& [key, value] : values) nested["data.zarr/" + key] = value;
  conformance::check_store_reads(all, nested);
}

TEST_CASE("a nested root is the folder that holds a metadata document", "[zip_store]") {
  test::TempDir dir;
  const auto root_of = [&](const std::vector<std::string>& names) {
    std::vector<Entry> entries;
    for (const std::string& name : names) entries.push_back({name, text("x")});
    return ZipStore(test::write_file(dir / "a.zip", zip_of(entries))).nested_root();
  };
  CHECK(root_of({}) == "");
  CHECK(root_of({"zarr.json", "a/zarr.json"}) == "");
  CHECK(root_of({".zgroup"}) == "");
  CHECK(root_of({"x.zarr/.zgroup", "x.zarr/a/.zarray", "x.zarr/b/.zarray"}) == "x.zarr");
  CHECK(root_of({"x.n5/attributes.json", "x.n5/0/0"}) == "x.n5");
  CHECK(root_of({"home/me/x.zarr/zarr.json", "home/me/x.zarr/c/0"}) == "home/me/x.zarr");
  CHECK(root_of({"x.zarr/.zarray", "x.zarr/0", "__MACOSX/x.zarr/._0", ".DS_Store"}) == "x.zarr");
  CHECK(root_of({"x/.zarray", "y/.zarray"}) == "");
  CHECK(root_of({"x/.zarray", "readme.txt"}) == "");
  CHECK(root_of({"x/data.bin"}) == "");
}

TEST_CASE("a folder of an archive is a store of its own", "[zip_store]") {
  test::TempDir dir;
  const std::string path = test::write_file(
      dir / "a.zip", zip_of({{"g/a/x", text("1")}, {"g/a", text("2")}, {"g/ab/x", text("3")}, {"x", {}}}));
  const auto keys = [&](const std::string& prefix) {
    ZipStoreOptions options;
    options.prefix = prefix;
    return keys_of(ZipStore(path, options), "");
  };
  CHECK(keys("") == std::vector<std::string>{"g/", "x"});
  CHECK(keys("g") == std::vector<std::string>{"a", "a/", "ab/"});
  CHECK(keys("g/a") == std::vector<std::string>{"x"});
  CHECK(keys("g/a/") == std::vector<std::string>{"x"});
  CHECK(keys("h").empty());
  for (const char* bad : {"..", "/g", "g//a", "../g"}) {
    CAPTURE(bad);
    CHECK(test::error_of([&] { keys(bad); }).first == Errc::invalid_argument);
  }
}

TEST_CASE("names that are no keys are not members, and never pass for missing chunks", "[zip_store]") {
  test::TempDir dir;
  const ZipStore store(test::write_file(dir / "a.zip", zip_of({{"good", text("1")},
                                                               {"../up", {}},
                                                               {"a/../../up", {}},
                                                               {"/abs", {}},
                                                               {"a//b", {}},
                                                               {"./dot", {}},
                                                               {"c\\0\\1", {}},
                                                               {"C:\\x", {}},
                                                               {std::string("nul\0x", 5), {}},
                                                               {"/good", {}}})));
  CHECK(keys_of(store, "") == std::vector<std::string>{"good"});
  CHECK(read(store, "good", {}, 1) == text("1"));
  for (const char* key : {"abs", "a/b", "dot", "c/0/1"}) {
    const auto [code, message] = test::error_of([&] { store.size(key); });
    CHECK(code == Errc::corrupt_data);
    CHECK_THAT(message, Contains(std::string("expected '") + key + "', got '"));
    CHECK(test::error_of([&] { read(store, key, {}, 1); }).first == Errc::corrupt_data);
  }
  for (const char* key : {"up", "a", "a/up", "c/0", "c", "x", "nul"}) CHECK(!store.size(key));
  for (const char* key : {"../up", "/abs", "a//b", "./dot"})
    CHECK(test::error_of([&] { store.size(key); }).first == Errc::invalid_argument);
}

TEST_CASE("symbolic links in an archive are refused, and what they would lead to", "[zip_store]") {
  test::TempDir dir;
  const std::string path =
      test::write_file(dir / "a.zip", zip_of({{"a/zarr.json", text("{}"), 0, 1000, 0, 0100644},
                                              {"a/c/0", text("/etc/passwd"), 0, 1000, 0, 0120777},
                                              {"b", text("a"), 0, 1000, 0, 0120777}}));
  const ZipStore store(path);
  CHECK(read(store, "a/zarr.json", {}, 2) == text("{}"));
  for (const char* key : {"a/c/0", "a/c/0/1", "b", "b/zarr.json", "b/c/0"}) {
    const auto [code, message] = test::error_of([&] { read(store, key, {}, 100); });
    CHECK(code == Errc::unsupported);
    CHECK_THAT(message, Contains("is a symbolic link; expected a file"));
    CHECK(test::error_of([&] { store.size(key); }).first == Errc::unsupported);
  }
  CHECK(!store.size("a/c/1"));
  ZipStoreOptions options;
  options.prefix = "b/deeper";
  CHECK(test::error_of([&] { ZipStore(path, options); }).first == Errc::unsupported);
}

TEST_CASE("a zip archive cannot be written", "[zip_store]") {
  test::TempDir dir;
  const ZipStore store(test::write_file(dir / "a.zip", zip_of({{"x", text("1")}})));
  for (const auto& [code, message] :
       {test::error_of([&] { store.put("x", {}); }), test::error_of([&] { store.erase("x"); })}) {
    CHECK(code == Errc::unsupported);
    CHECK_THAT(message, Contains("'x' in zip archive '") && Contains("is read-only"));
  }
  CHECK(test::error_of([&] { store.put("../x", {}); }).first == Errc::invalid_argument);
}

TEST_CASE("ranges of a deflated member that come together share one pass", "[zip_store]") {
  if (!has_deflate()) MORSEL_SKIP("this build is without zlib");
  test::TempDir dir;
  const ByteVector value = random_bytes(300'000, 3);
  const ZipStore store(
      test::write_file(dir / "a.zip", zip_of({{"v", value, 8}, {"w", text("abc"), 8}, {"e", {}, 8}})));
  const std::pair<Index, Index> ranges[] = {{299'990, 10}, {-300'000, 5}, {100'000, 100'000}, {150'000, 10},
                                            {0, 300'000},  {70'000, 0},   {200'000, 1},       {0, 1}};
  std::vector<ByteVector> rooms;
  std::vector<GetRequest> requests;
  for (const auto& [offset, length] : ranges) rooms.emplace_back(static_cast<std::size_t>(length));
  for (std::size_t i = 0; i < rooms.size(); ++i)
    requests.push_back({"v", {ranges[i].first, ranges[i].second}, rooms[i]});
  ByteVector other(3);
  requests.push_back({"w", {}, other});
  requests.push_back({"e", {}, {}});
  store.get(requests, {});
  for (std::size_t i = 0; i < rooms.size(); ++i) {
    CAPTURE(i);
    const Index begin = ranges[i].first < 0 ? 300'000 + ranges[i].first : ranges[i].first;
    CHECK(requests[i].filled_bytes == rooms[i].size());
    CHECK(std::equal(rooms[i].begin(), rooms[i].end(), value.begin() + begin));
  }
  CHECK(other == text("abc"));
  CHECK(requests.back().found);
}

TEST_CASE("wrong checksums and sizes of members are errors", "[zip_store]") {
  const bool deflates = has_deflate();
  test::TempDir dir;
  for (const int method : deflates ? std::vector<int>{0, 8} : std::vector<int>{0}) {
    CAPTURE(method);
    const ByteVector value = random_bytes(5000, 5);
    const ByteVector good = zip_of({{"v", value, method}});
    const std::size_t central = good.size() - 22 - 47;
    const auto changed = [&](std::size_t at, int by) {
      ByteVector bytes = good;
      bytes[at] ^= static_cast<std::byte>(by);
      return ZipStore(test::write_file(dir / "a.zip", bytes));
    };
    const auto whole = [&](const ZipStore& store) {
      return test::error_of([&] { read(store, "v", {}, 100'000'000); });
    };
    CHECK(whole(changed(central, 0)).second == "no error");
    CHECK_THAT(whole(changed(central + 16, 1)).second, Contains("wrong checksum; expected CRC-32 "));
    // A part is read without a checksum.
    CHECK(read(changed(central + 16, 1), "v", {10, 20}, 20) ==
          ByteVector(value.begin() + 10, value.begin() + 30));
    for (const int byte : {24, 25, 26, 27}) {  // the size of the value
      CAPTURE(byte);
      CHECK(whole(changed(central + static_cast<std::size_t>(byte), 1)).first == Errc::corrupt_data);
    }
    for (const int byte : {20, 23, 42, 44}) {  // its stored size, its position
      CAPTURE(byte);
      CHECK(whole(changed(central + static_cast<std::size_t>(byte), 1)).first == Errc::corrupt_data);
    }
    if (method == 8) {  // a claim that deflate cannot hold costs nothing
      CHECK_THAT(test::error_of([&] { changed(central + 27, 0x7f).size("v"); }).second,
                 Contains("impossible size; expected at most 1032 times "));
    }
    CHECK(whole(ZipStore(test::write_file(dir / "e.zip", zip_of({{"v", value, method, 1000, 1}})))).first ==
          Errc::unsupported);
    CHECK_THAT(whole(ZipStore(test::write_file(dir / "m.zip", zip_of({{"v", value, 93}})))).second,
               Contains("expected a member that is stored or deflated, got zip method 93"));
  }
}

TEST_CASE("an archive that changes after it was opened is noticed", "[zip_store]") {
  test::TempDir dir;
  const std::string path = test::write_file(dir / "a.zip", zip_of({{"v", text("old")}}));
  const ZipStore store(path);
  CHECK(read(store, "v", {}, 3) == text("old"));
  test::write_file(dir / "a.zip", zip_of({{"v", text("newer")}}));
  CHECK(test::error_of([&] { read(store, "v", {}, 3); }).first == Errc::source_changed);
  CHECK(read(ZipStore(path), "v", {}, 5) == text("newer"));
}

TEST_CASE("a zip store with any byte changed or cut anywhere is read or refused, never worse",
          "[zip_store]") {
  const bool deflates = has_deflate();
  test::TempDir dir;
  std::mt19937_64 random(test::first_seed());
  const ByteVector good =
      zip_of({{"a/x", random_bytes(300, 1), deflates ? 8 : 0}, {"a/y", random_bytes(50, 2)}, {"z", {}}});
  int read_all = 0, refused = 0;
  for (int k = 0; k < test::effort(400); ++k) {
    ByteVector bytes = good;
    if (k % 4 == 0) bytes.resize(random() % good.size());
    for (std::uint64_t changes = k % 4 == 0 ? 0 : 1 + random() % 3; changes > 0; --changes)
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    try {
      const ZipStore store(test::write_file(dir / "a.zip", bytes));
      store.nested_root();
      for (const std::string directory : {"", "a"})
        for (const std::string& key : keys_of(store, directory))
          if (key.back() != '/') read(store, key, {}, 100'000);
      ++read_all;
    } catch (const Error&) {
      ++refused;
    }
  }
  CHECK(read_all > 10);
  CHECK(refused > 100);
}

TEST_CASE("zip archives of other software hold the recorded members", "[zip_store]") {
  const fs::path collection = test::conformance_dir();
  if (collection.empty()) MORSEL_SKIP("no conformance files");
  if (!has_deflate()) MORSEL_SKIP("this build is without zlib");
  std::ifstream in(collection / "expected.json");
  const nlohmann::json expected = nlohmann::json::parse(in);
  int entries = 0, arrays = 0;
  for (const auto& item : expected.at("items")) {
    const std::string format = item.value("format", "");
    if (format != "zip" && format != "zarr_zip") continue;
    const std::string path = (collection / item.at("item").get<std::string>()).string();
    CAPTURE(path);
    const ZipStore store(path);
    Values values;
    const ZipDirectory directory{File(path)};
    for (const ZipMember& member : directory.members())
      values[member.name] = read(store, member.name, {}, static_cast<std::size_t>(member.bytes));
    conformance::StoreCheckOptions options;
    options.threads = 2;
    conformance::check_store_reads(store, values, options);
    for (const auto& entry : item.value("entries", nlohmann::json::array())) {
      const std::string name = entry.at("name");
      if (name.back() == '/') continue;
      CAPTURE(name);
      REQUIRE(values.count(name) == 1);
      CHECK(values[name].size() == entry.at("size").get<std::size_t>());
      CHECK(test::sha256(values[name]) == entry.at("sha256").get<std::string>());
      ++entries;
    }
    for (const auto& array : item.value("arrays", nlohmann::json::array())) {
      const std::string array_path = array.at("path");
      const std::string folder = array_path.empty() ? "" : array_path + "/";
      CAPTURE(folder);
      CHECK((values.count(folder + "zarr.json") != 0 || values.count(folder + ".zarray") != 0));
      ++arrays;
    }
  }
  CHECK(entries >= 8);
  CHECK(arrays >= 10);
}
