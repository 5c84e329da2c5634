#include <morsel/io/reference_store.hpp>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <morsel/conformance/store.hpp>
#include <morsel/io/file.hpp>
#include <morsel/io/store_key.hpp>
#include <nlohmann/json.hpp>
#include <support/seed.hpp>
#include <support/skip.hpp>

#include "files.hpp"

using namespace morsel;
using Catch::Matchers::Contains;
using test::ByteVector;
namespace fs = std::filesystem;

namespace {

ByteVector text(const std::string& value) { return test::bytes_of(value); }

std::string text_of(const AnyStore& store, std::string_view key) {
  return get_text(store, key).value_or("(missing)");
}

/// A document in a folder with a file data.bin of 251 counted bytes.
class Folder {
 public:
  Folder() { test::write_file(dir_ / "data.bin", test::counted_bytes(251)); }
  ReferenceStore store(const std::string& json, const ReferenceStoreOptions& options = {}) const {
    return ReferenceStore(test::write_file(dir_ / "refs.json", text(json)), options);
  }
  std::pair<Errc, std::string> refusal(const std::string& json) const {
    return test::error_of([&] { store(json); });
  }
  fs::path operator/(const std::string& name) const { return dir_ / name; }

 private:
  test::TempDir dir_;
};

ByteVector counted(std::size_t begin, std::size_t count) {
  const ByteVector all = test::counted_bytes(begin + count);
  return ByteVector(all.begin() + static_cast<std::ptrdiff_t>(begin), all.end());
}

bool has_gzip() {
  const ByteVector empty = test::bytes_of(
      std::vector<unsigned char>{0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab,
                                 0xae, 0x05, 0x00, 0x43, 0xbf, 0xa6, 0xa3, 0x02, 0x00, 0x00, 0x00});
  test::TempDir dir;  // {}, by Python's gzip
  const std::string path = test::write_file(dir / "a.json.gz", empty);
  const auto [code, message] = test::error_of([&] { ReferenceStore{path}; });
  if (code != Errc::unsupported) {
    CHECK(message == "no error");
    return true;
  }
  CHECK_THAT(message, Contains("this build is without zlib"));
  return false;
}

}  // namespace

TEST_CASE("a reference document is a lawful store for readers", "[reference_store]") {
  const Folder folder;
  fs::create_directory(folder / "sub");
  test::write_file(folder / "sub/whole file.bin", test::counted_bytes(1000));
  test::write_file(folder / "empty.bin", {});
  const std::string absolute = (folder / "data.bin").string();
  const std::string refs = R"({
    ".zgroup": "{\"zarr_format\": 2}",
    "a/.zarray": {"shape": [4, 2.50, -0.0], "fill": 1e300, "deep": [[], {}, [{"x": null}], true, "\"é\n"]},
    "a/0.0": ["data.bin", 10, 20],
    "a/0.1": ["data.bin", 0, 251],
    "a/1.0": ["./sub/../data.bin", 251, 0],
    "a/1.1": ["sub/whole file.bin"],
    "a/2.0": ["empty.bin"],
    "b": ["file://)" + absolute +
                           R"(", 1, 1],
    "b.c/d": [")" + absolute +
                           R"("],
    "deep/er/and/deep": "base64:AAECA/+/",
    "uni/äö": "text",
    "c/one": "base64:/w==",
    "c/two": "base64:AP8=",
    "c/none": "base64:",
    "empty": ""
  })";
  std::map<std::string, ByteVector> values{
      {".zgroup", text("{\"zarr_format\": 2}")},
      {"a/.zarray",
       text("{\"shape\":[4,2.50,-0.0],\"fill\":1e300,\"deep\":[[],{},[{\"x\":null}],true,\"\\\"é\\n\"]}")},
      {"a/0.0", counted(10, 20)},
      {"a/0.1", counted(0, 251)},
      {"a/1.0", {}},
      {"a/1.1", counted(0, 1000)},
      {"a/2.0", {}},
      {"b", counted(1, 1)},
      {"b.c/d", counted(0, 251)},
      {"deep/er/and/deep", text(std::string("\0\1\2\3\xff\xbf", 6))},
      {"uni/äö", text("text")},
      {"c/one", text("\xff")},
      {"c/two", text(std::string("\0\xff", 2))},
      {"c/none", {}},
      {"empty", {}}};
  conformance::StoreCheckOptions options;
  options.seed = test::first_seed();
  conformance::check_store_reads(folder.store(refs), values, options);
  conformance::check_store_reads(folder.store("{\"refs\": " + refs + ", \"version\": 1}"), values, options);
  const ReferenceStore store =
      folder.store("{\"version\": 1, \"comment\": [1, {\"x\": 2}], \"n\": 3, \"refs\": " + refs + "}");
  conformance::check_store_reads(store, values, options);
  CHECK(store.identity() == "reference:" + canonical_path((folder / "refs.json").string()));
}

TEST_CASE("templates and gen are expanded", "[reference_store]") {
  const Folder folder;
  fs::create_directory(folder / "path");
  for (std::size_t i = 0; i < 5; ++i)
    test::write_file(folder / ("path/text_" + std::to_string(i)), counted(i, 6000));
  test::write_file(folder / "path/text", test::counted_bytes(10100));
  const ReferenceStore store = folder.store(R"({
    "refs": {"key0": "data {{u}}", "key1": ["{{u}}", 1, 1], "key2": ["path/{{ t }}", 10000, 100]},
    "version": 1,
    "gen": [{"key": "gen_key{{i}}", "url": "{{u}}_{{ i }}", "offset": "{{(i + 1) * 1000}}", "length": "1000",
             "dimensions": {"i": {"stop": 5}}},
            {"key": "p/{{i}}.{{j}}", "url": "{{u}}", "offset": "{{i // -2 + j % 4 + 20 - -1}}", "length": 3,
             "dimensions": {"i": [3, 5], "j": {"start": 7, "stop": 2, "step": -3}}},
            {"key": "whole{{k}}", "url": "{{u}}", "dimensions": {"k": [0]}},
            {"key": "never{{k}}", "url": "{{u}}", "dimensions": {"k": {"start": 3, "stop": 3}}},
            {"key": "key1", "url": "{{u}}", "offset": 5, "length": 1, "dimensions": {}}],
    "templates": {"u": "path/text", "t": "text", "f": "{{c}}"}
  })");
  std::map<std::string, ByteVector> values{
      {"key0", text("data {{u}}")},  {"key1", counted(5, 1)},  // gen comes after refs
      {"key2", counted(10000, 100)}, {"p/3.7", counted(22, 3)}, {"p/3.4", counted(19, 3)},
      {"p/5.7", counted(21, 3)},     {"p/5.4", counted(18, 3)}, {"whole0", counted(0, 10100)}};
  for (std::size_t i = 0; i < 5; ++i)
    values["gen_key" + std::to_string(i)] = counted(i + (i + 1) * 1000, 1000);
  conformance::check_store_reads(store, values);
  // Version 0 has no templates.
  CHECK(text_of(folder.store(R"({"a": "{{u}}"})"), "a") == "{{u}}");
}

TEST_CASE("templates that need Jinja are refused by name", "[reference_store]") {
  const Folder folder;
  const auto with_url = [&](const std::string& url) {
    return folder.refusal(R"({"version": 1, "templates": {"u": "x", "f": "{{c}}"}, "refs": {"k": [")" + url +
                          "\"]}}");
  };
  CHECK(with_url("{{u}}").second == "no error");
  for (const char* url :
       {"{{f(c='text')}}", "{{f}}", "{{u|upper}}", "{{u", "{% if u %}{{u}}{% endif %}", "{{}}", "{{1 + }}",
        "{{1 / 2}}", "{{2 ** 3}}", "{{1 // 0}}", "{{9223372036854775807 + 1}}", "{{99999999999999999999}}",
        "{{(1}}", "{{1.5}}", "{{u.x}}"}) {
    CAPTURE(url);
    const auto [code, message] = with_url(url);
    CHECK(code == Errc::unsupported);
    CHECK_THAT(message, Contains("needs Jinja; expected {{name}} or an integer expression, got \"{"));
  }
  const auto [code, message] = with_url("{{v}}");
  CHECK(code == Errc::corrupt_data);
  CHECK_THAT(message, Contains("unknown template") && Contains("got \"v\""));
  CHECK(with_url("{{" + std::string(100'000, '(') + "}}").first == Errc::unsupported);
  CHECK(with_url("{{" + std::string(100'000, '-') + "1}}").second == "no error");
}

TEST_CASE("a reference that is wrong is refused with the reason", "[reference_store]") {
  const Folder folder;
  const std::pair<std::string, std::string> cases[] = {
      {"", "not JSON"},
      {"{", "not JSON"},
      {"{} {}", "not JSON"},
      {"[{\"version\": 1, \"refs\": {}}]", "expected an object, got an array"},
      {"3", "expected an object, got 3"},
      {"null", "expected an object, got null"},
      {R"({"a": 3})", "expected a reference, got 3"},
      {R"({"a": null})", "expected a reference, got null"},
      {R"({"a": []})", "expected [url] or [url, offset, length], got 0 items"},
      {R"({"a": ["x", 1]})", "expected [url] or [url, offset, length], got 2 items"},
      {R"({"a": ["x", 1, 2, 3]})", "expected a position, got 3"},
      {R"({"a": ["x", -1, 2]})", "expected a position, got -1"},
      {R"({"a": ["x", 1.5, 2]})", "expected [url] or [url, offset, length], got 1.5"},
      {R"({"a": ["x", 9223372036854775808, 2]})", "got 9223372036854775808"},
      {R"({"a": ["x", "1", 2]})", "expected a number, got \"1\""},
      {R"({"a": [1, 1, 2]})", "expected a url, got 1"},
      {R"({"a": [["x"]]})", "expected a reference, got an array"},
      {R"({"a": [{"x": 1}]})", "expected a reference, got an object"},
      {R"({"a": [null]})", "got null"},
      {R"({"a": "base64:AAA"})", "bad base64 of \"a\""},
      {R"({"a": "base64:AA=A"})", "bad base64"},
      {R"({"a": "base64:A==="})", "bad base64"},
      {R"({"a": "base64:AA==AAAA"})", "bad base64"},
      {R"({"a": "base64:AA\n="})", "bad base64"},
      {R"({"../a": "x"})", "not a key; expected relative segments separated by '/', got \"../a\""},
      {R"({"/a": "x"})", "not a key"},
      {R"({"a//b": "x"})", "not a key"},
      {R"({"": "x"})", "not a key"},
      {R"({"a\u0000b": "x"})", "not a key"},
      {R"({"version": "1", "refs": {}})", "below \"version\""},
      {R"({"version": 1, "refs": []})", "below \"refs\""},
      {R"({"version": 1, "templates": []})", "below \"templates\""},
      {R"({"version": 1, "templates": {"u": 1}})", "bad template \"u\""},
      {R"({"version": 1, "gen": {}})", "below \"gen\""},
      {R"({"templates": {"u": "x"}, "a": "b"})", "expected \"version\": 1, got none"},
      {R"({"version": 1, "gen": [1]})", "bad \"gen\"; expected an object, got \"1\""},
      {R"({"version": 1, "gen": [{}]})", "expected a member 'dimensions'"},
      {R"({"version": 1, "gen": [{"dimensions": {"i": 3}}]})", "expected a list or {start, stop, step}"},
      {R"({"version": 1, "gen": [{"dimensions": {"i": {"stop": 1.5}}}]})", "expected an integer"},
      {R"({"version": 1, "gen": [{"dimensions": {"i": {"stop": 3, "step": 0}}}]})", "a step other than 0"},
      {R"({"version": 1, "gen": [{"dimensions": {"i": ["x"]}}]})", "expected an integer"},
      {R"({"version": 1, "gen": [{"dimensions": {"i": [1]}, "key": "k"}]})", "expected a member 'url'"},
      {R"({"version": 1, "gen": [{"dimensions": {"i": [1]}, "key": "k", "url": "x", "offset": 1}]})",
       "expected a member 'length'"},
      {R"({"version": 1, "gen": [{"dimensions": {"i": [1]}, "key": "k", "url": "x", "offset": "x",
          "length": 1}]})",
       "expected a position"},
      {R"({"version": 1, "gen": [{"dimensions": {"i": [1]}, "key": "../{{i}}", "url": "x"}]})", "not a key"}};
  for (const auto& [json, reason] : cases) {
    CAPTURE(json);
    const auto [code, message] = folder.refusal(json);
    CHECK(code == Errc::corrupt_data);
    CHECK_THAT(message, Contains(reason) && Contains("refs.json"));
  }
  CHECK(folder.refusal(R"({"version": 2, "refs": {}})").first == Errc::unsupported);
  CHECK(folder.refusal("{}").second == "no error");
}

TEST_CASE("bare NaN of Python's json is read", "[reference_store]") {
  const Folder folder;
  const ReferenceStore store = folder.store(R"({"a/.zarray": {"fill_value": NaN, "x": "NaN"}, "b": "NaN"})");
  CHECK(text_of(store, "a/.zarray") == R"({"fill_value":"NaN","x":"NaN"})");
  CHECK(text_of(store, "b") == "NaN");
}

TEST_CASE("of equal keys the last counts", "[reference_store]") {
  const Folder folder;
  CHECK(text_of(folder.store(R"({"a": "1", "b": "2", "a": "3", "a": ["data.bin", 65, 1]})"), "a") == "A");
  CHECK(text_of(folder.store(R"({"a": ["data.bin"], "a": "3"})"), "a") == "3");
  // Members of the document as well.
  const ReferenceStore store = folder.store(R"({"version": 1, "refs": {"a": "1", "b": "2"},
    "templates": {"u": "no.bin"}, "gen": [{"key": "c{{i}}", "url": "{{u}}", "dimensions": {"i": [1]}}],
    "refs": {"b": "3"}, "gen": [{"key": "d{{i}}", "url": "{{u}}", "dimensions": {"i": [65]}, "offset": "{{i}}",
    "length": 1}], "templates": {"u": "data.bin"}})");
  conformance::check_store_reads(store, {{"b", text("3")}, {"d65", text("A")}});
}

TEST_CASE("references may not leave the folder of their document", "[reference_store]") {
  const Folder folder;
  test::TempDir outside;
  const std::string secret = test::write_file(outside / "secret", text("secret"));
  fs::create_symlink(secret, folder / "link");
  fs::create_symlink(outside.path(), folder / "linked");
  fs::create_symlink(folder / "data.bin", folder / "inner");
  const std::string up = "../" + outside.path().filename().string() + "/secret";
  const std::string json = R"({"a": [")" + secret + R"("], "b": ["file://)" + secret + R"("], "c": [")" + up +
                           R"("], "d": ["link"], "e": ["linked/secret"], "f": ["../no such file"],
                           "g": ["x/../../no such file"], "in": ["inner", 1, 2], "size": ["link", 0, 6],
                           "folder": ["file:///"]})";
  const ReferenceStore store = folder.store(json);
  for (const char* key : {"a", "b", "c", "d", "e", "f", "g", "size"}) {
    CAPTURE(key);
    ByteVector room(10);
    GetRequest request{key, {}, room};
    const auto [code, message] = test::error_of([&] { store.get(std::span<GetRequest>(&request, 1), {}); });
    CHECK(code == Errc::invalid_argument);
    CHECK_THAT(message, Contains("leads out of the folder of the document") && Contains("allow_outside"));
    CHECK(room == ByteVector(10));
  }
  CHECK(text_of(store, "in") == "\1\2");
  ReferenceStoreOptions options;
  options.allow_outside = true;
  const ReferenceStore free = folder.store(json, options);
  for (const char* key : {"a", "b", "c", "d", "e", "size"}) CHECK(text_of(free, key) == "secret");
  CHECK(test::error_of([&] { text_of(free, "f"); }).first == Errc::not_found);
  CHECK(test::error_of([&] { text_of(free, "folder"); }).first == Errc::invalid_argument);
}

TEST_CASE("an absent file, a range outside of its file and a remote URL are errors, not missing keys",
          "[reference_store]") {
  const Folder folder;
  const ReferenceStore store = folder.store(R"({"absent": ["no.bin"], "part": ["no.bin", 1, 2],
    "long": ["data.bin", 250, 2], "far": ["data.bin", 9223372036854775807, 9223372036854775807],
    "http": ["http://host/x"], "s3": ["s3://bucket/x", 1, 2], "chain": ["zip://a::data.bin"],
    "chain2": ["simplecache::data.bin"], "none": [""], "nul": ["a\u0000b"], ".zgroup": "here"})");
  const auto refusal = [&](const char* key) {
    return test::error_of([&] {
      ByteVector room(10);
      GetRequest request{key, {}, room};
      store.get(std::span<GetRequest>(&request, 1), {});
    });
  };
  CHECK(refusal("absent").first == Errc::not_found);
  CHECK(refusal("part").first == Errc::not_found);
  CHECK_THAT(refusal("long").second, Contains("reading 'long': ") &&
                                         Contains("expected 2 bytes at 250 of '") &&
                                         Contains("data.bin', got a file of 251"));
  CHECK(refusal("long").first == Errc::corrupt_data);
  CHECK(refusal("far").first == Errc::corrupt_data);
  for (const char* key : {"http", "s3", "chain", "chain2"}) CHECK(refusal(key).first == Errc::unsupported);
  CHECK_THAT(refusal("http").second, Contains("got \"http://host/x\""));
  CHECK(refusal("none").first == Errc::corrupt_data);
  CHECK(refusal("nul").first == Errc::corrupt_data);
  CHECK(text_of(store, ".zgroup") == "here");
  CHECK(store.size("s3") == 2);
  CHECK(test::error_of([&] { store.size("absent"); }).first == Errc::not_found);
}

TEST_CASE("a reference document cannot be written", "[reference_store]") {
  const Folder folder;
  const ReferenceStore store = folder.store(R"({"x": "1"})");
  for (const auto& [code, message] :
       {test::error_of([&] { store.put("x", {}); }), test::error_of([&] { store.erase("x"); })}) {
    CHECK(code == Errc::unsupported);
    CHECK_THAT(message, Contains("'x' in references '") && Contains("is read-only"));
  }
  CHECK(test::error_of([&] { store.put("../x", {}); }).first == Errc::invalid_argument);
}

TEST_CASE("many files are read with few of them open, and a change of one is noticed", "[reference_store]") {
  const Folder folder;
  std::string json = "{";
  for (int i = 0; i < 60; ++i) {
    const std::string name = "f" + std::to_string(i);
    test::write_file(folder / name, counted(static_cast<std::size_t>(i), 100));
    json += (i ? ", \"" : "\"") + name + "\": [\"" + name + "\", 1, 10]";
  }
  const ReferenceStore store = folder.store(json + "}");
  const std::size_t before = open_file_count();
  conformance::in_threads(4, [&](int thread) {
    for (int round = 0; round < 200; ++round) {
      const int i = (round * 7 + thread) % 60;
      if (text_of(store, "f" + std::to_string(i))[0] != static_cast<char>(i + 1))
        throw std::runtime_error("wrong bytes");
    }
  });
  CHECK(open_file_count() <= before + 16);
  // f59 is open or not; either way it is not the file that was read.
  test::write_file(folder / "f59", counted(3, 101));
  CHECK(test::error_of([&] { text_of(store, "f59"); }).first == Errc::source_changed);
  for (int i = 0; i < 40; ++i) text_of(store, "f" + std::to_string(i));
  CHECK(test::error_of([&] { text_of(store, "f59"); }).first == Errc::source_changed);
}

TEST_CASE("gzipped documents are read, damaged and too large ones refused", "[reference_store]") {
  if (!has_gzip()) MORSEL_SKIP("this build is without zlib");
  // Python: gzip.compress(b'{"a/.zgroup": "x", "b": "' + b'y' * 1000 + b'"}', mtime=0)
  const std::vector<unsigned char> packed = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab,
                                             0x56, 0x4a, 0xd4, 0xd7, 0xab, 0x4a, 0x2f, 0xca, 0x2f, 0x2d, 0x50,
                                             0xb2, 0x52, 0x50, 0xaa, 0x50, 0xd2, 0x51, 0x50, 0x4a, 0x02, 0xb1,
                                             0x2a, 0x47, 0xc1, 0x28, 0x18, 0x05, 0xc3, 0x1e, 0x28, 0xd5, 0x02,
                                             0x00, 0x3e, 0xeb, 0x2a, 0x1f, 0x03, 0x04, 0x00, 0x00};
  test::TempDir dir;
  const auto open = [&](std::vector<unsigned char> bytes, std::size_t most = 1 << 20) {
    ReferenceStoreOptions options;
    options.max_document_bytes = most;
    return ReferenceStore(test::write_file(dir / "a.json.gz", test::bytes_of(bytes)), options);
  };
  CHECK(text_of(open(packed), "b") == std::string(1000, 'y'));
  CHECK(is_reference_document(test::bytes_of(packed)));
  CHECK(is_reference_document(test::bytes_of(std::vector(packed.begin(), packed.begin() + 40))));
  CHECK_THAT(test::error_of([&] { open(packed, 1000); }).second,
             Contains("unpacks to too much; expected at most 1000 bytes"));
  CHECK_THAT(test::error_of([&] { open(packed, 20); }).second, Contains("too large; expected at most 20"));
  for (std::size_t cut = 2; cut < packed.size(); ++cut) {
    std::vector<unsigned char> bytes = packed;
    bytes.resize(cut);
    CHECK(test::error_of([&] { open(bytes); }).first == Errc::corrupt_data);
  }
  std::vector<unsigned char> wrong = packed;
  wrong[wrong.size() - 6] ^= 1;  // the checksum
  CHECK(test::error_of([&] { open(wrong); }).first == Errc::corrupt_data);
}

TEST_CASE("hostile documents cost nothing", "[reference_store]") {
  const Folder folder;
  const auto start = std::chrono::steady_clock::now();
  const std::string nested =
      R"({"version": 1, "refs": {}, "gen": [{"key": "{{i}}", "url": "x", "dimensions": )";
  for (const std::string& json :
       {"{\"a\": " + std::string(1'000'000, '['), "{\"a\": {\"b\": " + std::string(1'000'000, '['),
        std::string(1'000'000, '['), [] {
          std::string deep;
          for (int i = 0; i < 100'000; ++i) deep += "{\"a\": ";
          return deep;
        }()}) {
    const auto [code, message] = folder.refusal(json);
    CHECK(code == Errc::corrupt_data);
  }
  CHECK_THAT(folder.refusal("{\"a\": {\"b\": " + std::string(1'000'000, '[')).second,
             Contains("nested too deeply; expected at most 256 levels"));
  const auto [code, message] = folder.refusal(nested + R"({"i": {"stop": 1000000000000000000}}}]})");
  CHECK(code == Errc::unsupported);
  CHECK_THAT(message,
             Contains("makes too many references; expected at most 1000000, got 1000000000000000000"));
  CHECK(folder
            .refusal(nested + R"({"i": {"stop": 4000000000}, "j": {"stop": 4000000000},
                                    "k": {"stop": 4000000000}, "l": {"stop": 4000000000}}}]})")
            .first == Errc::unsupported);
  CHECK(folder.refusal(nested + R"({"i": {"stop": 9223372036854775807, "start": -9223372036854775808}}}]})")
            .first == Errc::corrupt_data);
  CHECK(folder.refusal(nested + R"({"i": {"stop": 4000000000}, "j": []}}]})").second == "no error");
  const std::string wide(10'000, 'x');
  CHECK_THAT(folder
                 .refusal(R"({"version": 1, "gen": [{"key": "{{i}})" + wide +
                          R"(", "url": "x", "dimensions": {"i": {"stop": 1000000}}}]})")
                 .second,
             Contains("makes too much text"));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(30));
}

TEST_CASE("documents of half a million references are read, sorted and found", "[reference_store]") {
  const Folder folder;
  std::string json = R"({"version": 1, "refs": {)";
  constexpr int count = 500'000;
  for (int i = 0; i < count; ++i)
    json += (i ? ",\"v/" : "\"v/") + std::to_string((i * 7919ll) % count) + ".0\":[\"data.bin\"," +
            std::to_string(i % 200) + ",2]";
  const ReferenceStore store = folder.store(json + "}}");
  int listed = 0;
  std::string before;
  bool is_sorted = true;
  store.list("v", [&](std::string_view key) {
    ++listed;
    is_sorted &= before < key;
    before = key;
  });
  CHECK(listed == count);
  CHECK(is_sorted);
  for (const long long i : {0ll, 1ll, 123'456ll, 499'999ll})
    CHECK(text_of(store, "v/" + std::to_string(i * 7919 % count) + ".0")[0] == static_cast<char>(i % 200));
}

TEST_CASE("reference documents are recognised by their beginning", "[reference_store]") {
  const auto looks = [](const std::string& head) { return is_reference_document(text(head)); };
  CHECK(looks(R"({"version": 1, "refs": {)"));
  CHECK(looks("{\n  \"refs\" : {\".zgroup\""));
  CHECK(looks(R"({"version":1,"templates":{"u":)"));
  CHECK(looks(R"({"version":1,"gen":[)"));
  CHECK(looks(R"({".zgroup": "{\"zarr_format\":2}")"));
  CHECK(looks(R"({".zattrs":{})"));
  CHECK(looks(R"({"u\/.zarray": ["x", 1, 2])"));
  CHECK(looks(R"({"a/zarr.json": "{}")"));
  CHECK(!looks(""));
  CHECK(!looks("{"));
  CHECK(!looks("{}"));
  CHECK(!looks("[{\"refs\": {"));
  CHECK(!looks(R"({"version": 2, "refs": {)"));
  CHECK(!looks(R"({"version": 1, "name": "x"})"));
  CHECK(!looks(R"({"refs": 3})"));
  CHECK(!looks(R"({"zarr_format": 3, "node_type": "group"})"));
  CHECK(!looks(R"({"metadata": {".zgroup": {"zarr_format": 2}}, "zarr_consolidated_format": 1})"));
  CHECK(!looks(R"({"n5": "4.0.0"})"));
  CHECK(!looks("\x1f\x8b garbage"));
}

TEST_CASE("reference documents of other software open, and remote chunks are refused by name",
          "[reference_store]") {
  const fs::path collection = test::conformance_dir();
  if (collection.empty()) MORSEL_SKIP("no conformance files");
  if (!has_gzip()) MORSEL_SKIP("this build is without zlib");
  std::ifstream in(collection / "expected.json");
  const nlohmann::json expected = nlohmann::json::parse(in);
  int opened = 0, refused = 0;
  for (const auto& item : expected.at("items")) {
    if (item.value("format", "") != "kerchunk_reference_json") continue;
    const std::string path = (collection / item.at("item").get<std::string>()).string();
    CAPTURE(path);
    const ByteVector head = test::read_file(path);
    if (!is_reference_document(head)) {  // a list of documents
      CHECK_THAT(test::error_of([&] { ReferenceStore{path}; }).second,
                 Contains("expected an object, got an array"));
      ++refused;
      continue;
    }
    const ReferenceStore store(path);
    CHECK(nlohmann::json::parse(text_of(store, ".zgroup")).at("zarr_format") == 2);
    int keys = 0;
    std::vector<std::string> folders{""};
    while (!folders.empty()) {
      const std::string folder = folders.back();
      folders.pop_back();
      store.list(folder, [&](std::string_view key) {
        if (key.back() == '/') {
          folders.emplace_back(key);
          return;
        }
        ++keys;
        const std::string value = text_of(store, key);
        CHECK(static_cast<Index>(value.size()) == store.size(key));
        if (key.substr(key.size() - 7) == ".zarray")
          CHECK(nlohmann::json::parse(value).at("zarr_format") == 2);
      });
    }
    CHECK(keys == 205);
    ++opened;
  }
  CHECK(opened >= 1);
  CHECK(refused >= 1);
}
