#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <morsel/io/attributes_json.hpp>
#include <morsel/io/format.hpp>
#include <morsel/io/memory_source.hpp>
#include <morsel/io/npy.hpp>
#include <morsel/io/read_region.hpp>
#include <support/paths.hpp>
#include <thread>

using namespace morsel;
using namespace std::string_literals;
namespace fs = std::filesystem;

namespace {

void write_file(const fs::path& path, std::string_view content) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

std::string npy_bytes(std::int32_t first) {
  std::string text = make_npy_header(Type::int32, {3});
  for (std::int32_t i = 0; i < 3; ++i) {
    const std::int32_t value = first + i;
    text.append(reinterpret_cast<const char*>(&value), 4);
  }
  return text;
}

std::int32_t first_value(const OpenedArray& opened) {
  std::int32_t value = 0;
  const Shape one(opened.source.spec().grid.rank(), 1);
  read_region(opened.source, Region::of(one), BufferView::c_order(&value, one, 4));
  return value;
}

std::string error_of(const std::function<void()>& f, Errc expected) {
  try {
    f();
  } catch (const Error& e) {
    INFO(e.what());
    CHECK(name_of(e.code()) == name_of(expected));
    return e.what();
  }
  FAIL("no error");
  return {};
}

/// A container format for the tests: text lines "path=value" after a magic; groups are what paths have before
/// '/'.
struct Lines {
  static std::vector<std::pair<std::string, std::int32_t>> parse(const Place& place) {
    std::vector<std::pair<std::string, std::int32_t>> lines;
    std::ifstream file(place.path);
    std::string line;
    std::getline(file, line);
    while (std::getline(file, line))
      lines.emplace_back(line.substr(0, line.rfind('=')), std::stoi(line.substr(line.rfind('=') + 1)));
    return lines;
  }
  static OpenedArray open(const Place& place, const std::string& inside, const FormatOptions&) {
    for (const auto& [path, value] : parse(place))
      if (path == inside) {
        auto kept = std::make_shared<std::int32_t>(value);
        OpenedArray opened;
        opened.source = memory_source(Type::int32, BufferView::c_order(kept.get(), {1}, 4), kept);
        opened.view = View::identity({1});
        return opened;
      }
    fail(Errc::not_found, "lines: nothing at '" + inside + "'");
  }
  static std::optional<std::vector<Member>> list(const Place& place, const std::string& inside) {
    std::vector<Member> members;
    const std::string start = inside.empty() ? "" : inside + "/";
    for (const auto& [path, value] : parse(place)) {
      if (path == inside) return std::nullopt;
      if (path.compare(0, start.size(), start) != 0) continue;
      const std::size_t slash = path.find('/', start.size());
      Member member{path.substr(start.size(), slash == std::string::npos ? slash : slash - start.size()),
                    slash == std::string::npos ? Member::Kind::array : Member::Kind::group};
      if (members.empty() || !(members.back() == member)) members.push_back(std::move(member));
    }
    if (members.empty() && !inside.empty()) fail(Errc::not_found, "lines: nothing at '" + inside + "'");
    return members;
  }
  static void enable() {
    Format format;
    format.name = "lines";
    format.title = "Lines container";
    format.endings = {".lines"};
    format.recognises = [](const Place& place) { return place.has_magic("LINES\n"); };
    format.open = &Lines::open;
    format.list = &Lines::list;
    register_format(std::move(format));
  }
};

}  // namespace

TEST_CASE("an npy file opens by its content, whatever its name", "[io][format]") {
  const test::TempDir dir;
  for (const char* name : {"x.npy", "x.dat", "no ending", "x.h5", "odd?#*[ :=.npy"}) {
    INFO(name);
    write_file(dir / name, npy_bytes(7));
    const OpenedArray opened = open_path((dir / name).string());
    CHECK(opened.source.spec().shape() == Shape{3});
    CHECK(first_value(opened) == 7);
    CHECK_FALSE(list_path((dir / name).string()));
  }
}

TEST_CASE("options reach the format, and unknown ones are refused", "[io][format]") {
  const test::TempDir dir;
  write_file(dir / "x.npy", npy_bytes(7));
  const std::string path = dir / "x.npy";
  CHECK_FALSE(open_path(path).source.spec().lends);
  CHECK(open_path(path, {{"access", "map"}}).source.spec().lends);
  CHECK_FALSE(open_path(path, {{"access", "pread"}, {"drop_cache", "1"}}).source.spec().lends);
  for (const std::pair<std::string, std::string>& bad :
       {std::pair<std::string, std::string>{"access", "magic"}, {"drop_cache", "yes"}, {"chunks", "3"}}) {
    const std::string message = error_of([&] { open_path(path, {bad}); }, Errc::invalid_argument);
    CHECK(message.find("got " + bad.first + "=" + bad.second) != std::string::npos);
  }
}

TEST_CASE("the path goes on inside a container", "[io][format]") {
  Lines::enable();
  const test::TempDir dir;
  write_file(dir / "d.lines", "LINES\na=1\ngroup/b=2\ngroup/deep/c d?#*[:=3\ngroup/e=4\n");
  const std::string path = dir / "d.lines";
  CHECK(first_value(open_path(path + "/a")) == 1);
  CHECK(first_value(open_path(path + "/group/b")) == 2);
  CHECK(first_value(open_path(path + "//group///b/")) == 2);
  CHECK(first_value(open_path(path + "/group/deep/c d?#*[:")) == 3);
  const auto members = list_path(path + "/group");
  REQUIRE(members);
  CHECK(*members == std::vector<Member>{{"b", Member::Kind::array},
                                        {"deep", Member::Kind::group},
                                        {"e", Member::Kind::array}});
  CHECK_FALSE(list_path(path + "/group/b"));
  const FoundFormat found = find_format(path + "/group//b");
  CHECK(found.format->name == "lines");
  CHECK(found.place.path == path);
  CHECK(found.inside == "group/b");
}

TEST_CASE("the longest prefix that is a file wins over directories around it", "[io][format]") {
  Lines::enable();
  const test::TempDir dir;
  write_file(dir / "outer.lines/inner.lines", "LINES\na=5\n");
  CHECK(first_value(open_path((dir / "outer.lines/inner.lines/a").string())) == 5);
  const fs::path before = fs::current_path();
  fs::current_path(dir / "outer.lines");
  CHECK(first_value(open_path("inner.lines/a")) == 5);
  CHECK(first_value(open_path("./inner.lines/a")) == 5);
  CHECK(first_value(open_path("../outer.lines/inner.lines/a")) == 5);
  fs::current_path(before);
  // A long name inside a container is no file name.
  const std::string name(1000, 'n');
  write_file(dir / "long.lines", "LINES\n" + name + "=6\n");
  CHECK(first_value(open_path((dir / "long.lines").string() + "/" + name)) == 6);
}

TEST_CASE("a wrong inside path names the members there are", "[io][format]") {
  Lines::enable();
  const test::TempDir dir;
  std::string many = "LINES\n";
  for (int i = 0; i < 13; ++i) many += "group/m" + std::to_string(i) + "=0\n";
  write_file(dir / "d.lines", many + "last=1\n");
  const std::string path = dir / "d.lines";
  CHECK(error_of([&] { open_path(path + "/grup"); }, Errc::not_found) ==
        "open '" + path + "/grup': no such member in '" + path +
            "'; expected one of 'group', 'last', got 'grup'");
  CHECK(error_of([&] { open_path(path + "/group/x/y"); }, Errc::not_found) ==
        "open '" + path + "/group/x/y': no such member in '" + path +
            "/group'; expected one of 'm0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6', 'm7', 'm8', 'm9' and 3 more, "
            "got 'x/y'");
  CHECK(error_of([&] { open_path(path); }, Errc::not_found) ==
        "open '" + path +
            "': a container of arrays; expected one of its members, such as 'group', 'last', got the "
            "container itself");
  write_file(dir / "x.npy", npy_bytes(0));
  const std::string npy = dir / "x.npy";
  for (const auto& call : {std::function<void()>([&] { open_path(npy + "/a/b"); }),
                           std::function<void()>([&] { list_path(npy + "/a/b"); })})
    CHECK(error_of(call, Errc::not_found) == "open '" + npy + "/a/b': '" + npy +
                                                 "' holds one array and nothing inside; expected '" + npy +
                                                 "', got 'a/b' behind it");
}

TEST_CASE("a path that is not there names the longest part that is", "[io][format]") {
  const test::TempDir dir;
  fs::create_directories(dir / "there");
  const std::string there = dir / "there";
  const std::string message = error_of([&] { open_path(there + "/a/b.npy"); }, Errc::not_found);
  CHECK(message ==
        "open '" + there +
            "/a/b.npy': no such file or directory; expected a file, or a directory holding zarr.json, "
            ".zarray, .zgroup or attributes.json, got '" +
            there + "' as the longest part of the path that exists");
  CHECK(error_of([] { open_path("no-such-thing.npy"); }, Errc::not_found)
            .find("got nothing at all on that path") != std::string::npos);
  CHECK(error_of([&] { open_path(there); }, Errc::unsupported) ==
        "open '" + there +
            "': a directory without array metadata; expected a file, or a directory holding zarr.json, "
            ".zarray, "
            ".zgroup or attributes.json, got none of them");
  error_of([] { open_path(""); }, Errc::invalid_argument);
  error_of([] { open_path("a\0b"s); }, Errc::invalid_argument);
  error_of([] { open_path("/"); }, Errc::unsupported);
  REQUIRE(::mkfifo((dir / "pipe").c_str(), 0600) == 0);
  error_of([&] { open_path((dir / "pipe").string()); }, Errc::invalid_argument);
}

TEST_CASE("formats that are not enabled are recognised and say what is missing", "[io][format]") {
  const test::TempDir dir;
  const std::string hdf5 = "\x89HDF\r\n\x1a\n"s;
  struct Row {
    const char* name;
    std::string content, want;
  };
  const std::string mrc = std::string(208, '\0') + "MAP " + std::string(812, '\0');
  const Row rows[] = {
      {"x.h5", hdf5,
       "HDF5 file, but the hdf5 component is not enabled; expected morsel::hdf5::enable() and target "
       "morsel::hdf5"},
      {"block512.bin", std::string(512, 'u') + hdf5, "HDF5 file, but"},
      {"block2048.bin", std::string(2048, 'u') + hdf5, "HDF5 file, but"},
      {"block4096.bin", std::string(4096, 'u') + hdf5, "HDF5 file, but"},
      {"empty.h5", "", "HDF5 file, but"},
      {"UPPER.HDF5", "", "HDF5 file, but"},
      {"x.nc", hdf5, "HDF5 file, but"},
      {"little.dat", "II*\0rest"s,
       "TIFF file, but the tiff component is not enabled; expected morsel::tiff::enable() and target "
       "morsel::tiff"},
      {"big.tif", "MM\0*rest"s, "TIFF file, but"},
      {"bigtiff.dat", "II+\0rest"s, "TIFF file, but"},
      {"bigtiff2.dat", "MM\0+rest"s, "TIFF file, but"},
      {"m.bin", mrc, "MRC file, which is not supported by this build"},
      {"raw.bin", "abc"s, "format not recognised; expected one of "},
      {"empty", "", "format not recognised"},
      {"almost.bin", "\x89HDF\r\n\x1a", "format not recognised"},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    write_file(dir / row.name, row.content);
    const std::string path = dir / row.name;
    for (const std::string& inside : {""s, "/entry/data"s}) {
      const std::string message = error_of([&] { open_path(path + inside); }, Errc::unsupported);
      CHECK(message.rfind("open '" + path + inside + "': " + row.want, 0) == 0);
    }
  }
  CHECK(error_of([&] { open_path((dir / "raw.bin").string()); }, Errc::unsupported)
            .find("got a file that starts with 61 62 63 (raw numbers: morsel::memmap)") != std::string::npos);
  CHECK(error_of([&] { open_path((dir / "empty").string()); }, Errc::unsupported).find("got an empty file") !=
        std::string::npos);
}

TEST_CASE("a format registered again replaces the one of its name", "[io][format]") {
  const test::TempDir dir;
  write_file(dir / "x.fake", "FAKE");
  Format fake;
  fake.name = "fake";
  fake.title = "Fake file";
  fake.component = "fakery";
  fake.endings = {".fake"};
  fake.recognises = [](const Place& place) { return place.has_magic("FAKE"); };
  register_format(fake);
  const std::string path = dir / "x.fake";
  CHECK(error_of([&] { open_path(path); }, Errc::unsupported) ==
        "open '" + path +
            "': Fake file, but the fakery component is not enabled; expected morsel::fakery::enable() and "
            "target morsel::fakery");
  const std::size_t count = formats().size();
  fake.open = [](const Place&, const std::string&, const FormatOptions&) -> OpenedArray {
    fail(Errc::corrupt_data, "reading a fake: it is one");
  };
  register_format(fake);
  CHECK(formats().size() == count);
  CHECK(error_of([&] { open_path(path); }, Errc::corrupt_data) == "reading a fake: it is one");
  error_of([] { register_format({}); }, Errc::invalid_argument);
  Format useless;
  useless.name = "useless";
  error_of([&] { register_format(useless); }, Errc::invalid_argument);
}

TEST_CASE("of several formats that recognise a content the ending decides", "[io][format]") {
  const test::TempDir dir;
  for (const char* name : {"first", "second"}) {
    Format format;
    format.name = name;
    format.endings = {"."s + name};
    format.recognises = [](const Place& place) { return place.has_magic("BOTH"); };
    format.open = [name](const Place&, const std::string&, const FormatOptions&) -> OpenedArray {
      fail(Errc::user_error, name);
    };
    register_format(std::move(format));
  }
  const std::pair<const char*, const char*> rows[] = {
      {"x.second", "second"}, {"x.first", "first"}, {"x.third", "first"}};
  for (const auto& [file, want] : rows) {
    write_file(dir / file, "BOTH");
    CHECK(error_of([&, name = std::string(file)] { open_path((dir / name).string()); }, Errc::user_error) ==
          want);
  }
}

TEST_CASE("directories are found by what a format sees in them", "[io][format]") {
  Format format;
  format.name = "stack";
  format.recognises = [](const Place& place) { return place.holds("stack.txt"); };
  format.list = [](const Place&, const std::string&) {
    return std::optional<std::vector<Member>>(std::vector<Member>{});
  };
  format.open = [](const Place& place, const std::string& inside, const FormatOptions&) -> OpenedArray {
    fail(Errc::user_error, place.path + "|" + inside);
  };
  register_format(std::move(format));
  const test::TempDir dir;
  write_file(dir / "s/stack.txt", "");
  fs::create_directories(dir / "s/sub/plain");
  const std::string path = dir / "s";
  CHECK(error_of([&] { open_path(path + "/"); }, Errc::user_error) == path + "|");
  CHECK(error_of([&] { open_path(path + "/sub/plain/x"); }, Errc::user_error) == path + "|sub/plain/x");
  write_file(dir / "s/sub/stack.txt", "");
  CHECK(error_of([&] { open_path(path + "/sub/plain/x"); }, Errc::user_error) == path + "/sub|plain/x");
}

TEST_CASE("formats may be registered while files are opened", "[io][format]") {
  const test::TempDir dir;
  write_file(dir / "x.npy", npy_bytes(3));
  const std::string path = dir / "x.npy";
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      for (int k = 0; k < 50; ++k) {
        Format format;
        format.name = "thread" + std::to_string(i);
        format.endings = {".never"};
        register_format(std::move(format));
        if (first_value(open_path(path)) == 3) ++right;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 200);
}

TEST_CASE("attributes keep their order and their JSON", "[io][attributes]") {
  const Attributes attributes = parse_attributes(
      R"({"z": 1, "a": [1, 2.50, "NaN in text"], "n": NaN, "i": [-Infinity, Infinity], "o": {"k": null}, "q": "a\"NaN"})",
      "reading attributes");
  const Attributes want = {{"z", "1"},
                           {"a", R"([1,2.5,"NaN in text"])"},
                           {"n", R"("NaN")"},
                           {"i", R"(["-Infinity","Infinity"])"},
                           {"o", R"({"k":null})"},
                           {"q", R"("a\"NaN")"}};
  CHECK(attributes == want);
  CHECK(parse_attributes(to_json(attributes), "again") == attributes);
  CHECK(parse_attributes(to_json(attributes, 2), "again") == attributes);
  CHECK(morsel::to_json(Attributes{{"a", "1"}, {"b\n", "\"x\""}}) == R"({"a": 1, "b\n": "x"})");
  CHECK(morsel::to_json(Attributes{}) == "{}");
  CHECK(find_attribute(attributes, "z") == std::optional<std::string>("1"));
  CHECK_FALSE(find_attribute(attributes, "none"));
  CHECK(json_string("\xff\"") == "\"\xef\xbf\xbd\\\"\"");
}

TEST_CASE("attributes that are no JSON object are refused", "[io][attributes]") {
  for (const std::string& text :
       {""s, "{"s, "[1]"s, "3"s, "{\"a\": }"s, "{\"a\": 1} x"s, "{a: 1}"s, "\"\\"s}) {
    INFO(text);
    const std::string message =
        error_of([&] { parse_attributes(text, "reading attributes of 'x'"); }, Errc::corrupt_data);
    CHECK(message.rfind("reading attributes of 'x': ", 0) == 0);
  }
  const std::string deep = "{\"a\": " + std::string(100000, '[') + std::string(100000, ']') + "}";
  CHECK(error_of([&] { parse_attributes(deep, "reading attributes"); }, Errc::corrupt_data) ==
        "reading attributes: JSON nested too deeply; expected at most 256 levels, got more");
}

TEST_CASE("a member of an npz archive is behind its path", "[io][format]") {
  // A zip of two stored members, "a.npy" and "deep/b.npy".
  const test::TempDir dir;
  const auto number = [](std::uint64_t value, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i) text += static_cast<char>(i < 8 ? value >> (8 * i) : 0);
    return text;
  };
  const auto crc_of = [](std::string_view text) {
    std::uint32_t crc = 0xffffffffu;
    for (const char c : text) {
      crc ^= static_cast<unsigned char>(c);
      for (int k = 0; k < 8; ++k) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
  };
  std::string zip, directory;
  for (const auto& [name, value] : {std::pair<std::string, std::int32_t>{"a.npy", 11}, {"deep/b.npy", 22}}) {
    const std::string content = npy_bytes(value);
    const std::string common = number(20, 2) + number(0, 8) + number(crc_of(content), 4) +
                               number(content.size(), 4) + number(content.size(), 4) +
                               number(name.size(), 2) + number(0, 2);
    directory += "PK\x01\x02" + number(20, 2) + common + number(0, 10) + number(zip.size(), 4) + name;
    zip += "PK\x03\x04" + common + name + content;
  }
  const std::string end = "PK\x05\x06" + number(0, 4) + number(2, 2) + number(2, 2) +
                          number(directory.size(), 4) + number(zip.size(), 4) + number(0, 2);
  write_file(dir / "x.npz", zip + directory + end);
  write_file(dir / "no ending", zip + directory + end);
  for (const char* file : {"x.npz", "no ending"}) {
    const std::string path = dir / file;
    INFO(path);
    CHECK(first_value(open_path(path + "/a")) == 11);
    CHECK(first_value(open_path(path + "/deep/b")) == 22);
    CHECK(first_value(open_path(path + "/deep/b.npy", {{"access", "pread"}})) == 22);
    CHECK(list_path(path) ==
          std::optional(std::vector<Member>{{"a", Member::Kind::array}, {"deep/b", Member::Kind::array}}));
    CHECK(list_path(path + "/deep") == std::optional(std::vector<Member>{{"b", Member::Kind::array}}));
    CHECK_FALSE(list_path(path + "/a"));
    CHECK(error_of([&] { open_path(path + "/c"); }, Errc::not_found) ==
          "open '" + path + "/c': no such member in '" + path + "'; expected one of 'a', 'deep/b', got 'c'");
    CHECK(error_of([&] { open_path(path); }, Errc::not_found)
              .find("such as 'a', 'deep/b', got the container itself") != std::string::npos);
  }
}
