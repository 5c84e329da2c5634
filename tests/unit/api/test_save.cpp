#include "arrays.hpp"
//
#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include <support/failure.hpp>
#include <support/paths.hpp>

using namespace morsel;
using morsel_test::contains;
using morsel_test::counting;
using morsel_test::failure_of;
using morsel_test::text_of;

namespace {

/// A directory that goes with the test.
struct Folder {
  std::filesystem::path path;
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "morsel-api-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file(const char* name) const { return (path / name).string(); }
  std::size_t count() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(path), std::filesystem::directory_iterator()));
  }
};

}  // namespace

TEST_CASE("a saved array opens again", "[api][save]") {
  const Folder folder;
  const auto a = counting<float>({5, 4}, {2, 3}) * 2;
  CHECK_FALSE(explain_save(a, folder.file("a.npy"), {.memory = "16MiB"}).text().empty());
  CHECK(folder.count() == 0);
  save(a, folder.file("a.npy"));
  const auto b = open<float>(folder.file("a.npy"), {.chunks = {3, 2}, .dims = {"y", "x"}});
  CHECK(text_of(b) == text_of(a));
  CHECK(b.chunks() == std::vector<std::vector<Index>>{{3, 2}, {2, 2}});
  CHECK(b.dims() == std::vector<std::string>{"y", "x"});
  CHECK(open_any(folder.file("a.npy")).dtype() == DType(Type::float32));
  CHECK(failure_of([&] { open<double>(folder.file("a.npy")); }) ==
        "dtype_mismatch: open '" + folder.file("a.npy") +
            "': its elements are of another type; expected open of float32, got open of float64 "
            "(open_any(path).as<T>() "
            "converts)");
  CHECK(failure_of([&] { open<float>(folder.file("none.npy")); }).rfind("not_found: ", 0) == 0);
  CHECK(text_of(sum(b, "x")) == text_of(sum(a, 1)));
  CHECK(text_of(transpose(b)["::2"]) == text_of(transpose(a)["::2"]));
}

TEST_CASE("several arrays are saved in one run", "[api][save]") {
  const Folder folder;
  const auto a = counting<int>({5, 4}, {2, 3});
  save({.memory = "16MiB"}, {{a + 1, folder.file("a.npy")}, {mean(a, 0), folder.file("mean.npy")}});
  CHECK(text_of(open<int>(folder.file("a.npy"))) == text_of(a + 1));
  CHECK(text_of(open<double>(folder.file("mean.npy"))) == "(4,): 8 9 10 11");
  CHECK(contains(failure_of([&] {
                   save({}, {{a, folder.file("b.npy")}, {a, folder.file("b.npy")}});
                 }),
                 "two arrays go to one place"));
  CHECK(folder.count() == 2);
}

TEST_CASE("xtensor arrays are saved as lazy ones are", "[api][save]") {
  const Folder folder;
  const xt::xtensor<float, 2, xt::layout_type::column_major> x{{1, 2}, {3, 4}};
  save(x, folder.file("x.npy"));
  save(x + 1, folder.file("more.npy"), {.memory = "16MiB"});
  save({}, {{x * 2, folder.file("twice.npy")}, {morsel::sum(x), folder.file("sum.npy")}});
  CHECK(text_of(open<float>(folder.file("x.npy"))) == "(2, 2): 1 2 3 4");
  CHECK(text_of(open<float>(folder.file("more.npy"))) == "(2, 2): 2 3 4 5");
  CHECK(text_of(open<float>(folder.file("twice.npy"))) == "(2, 2): 2 4 6 8");
  CHECK(text_of(open<float>(folder.file("sum.npy"))) == "(): 10");
}

TEST_CASE("save refuses what exists, what it reads from, and endings it does not know", "[api][save]") {
  const Folder folder;
  const auto a = counting<int>({5});
  save(a, folder.file("a.npy"));
  CHECK(failure_of([&] { save(a, folder.file("a.npy")); }).rfind("already_exists: ", 0) == 0);
  save(a * 2, folder.file("a.npy"), {.overwrite = true});
  const auto opened = open<int>(folder.file("a.npy"));
  CHECK(text_of(opened) == "(5,): 0 2 4 6 8");
  CHECK(contains(failure_of([&] { save(mean(opened + 1), folder.file("a.npy"), {.overwrite = true}); }),
                 "invalid_argument: save '" + folder.file("a.npy") + "': the array is read from this file"));
  CHECK(text_of(open<int>(folder.file("a.npy"))) == "(5,): 0 2 4 6 8");
  CHECK(contains(failure_of([&] { save(a, folder.file("a.xyz")); }), "unsupported: save"));
  CHECK(contains(failure_of([&] { save(a, folder.file("b.npy"), {.codec = "zstd:3"}); }), "not compressed"));
  CHECK(contains(failure_of([&] { save(a, folder.file("b.npy"), {.chunks = 2}); }), "no chunks"));
  const auto failing = map([](int v) { return v < 3 ? v : throw std::runtime_error("three"); }, a.rechunk(1));
  CHECK(failure_of([&] { save(failing, folder.file("c.npy")); }).rfind("user_error: ", 0) == 0);
  CHECK(folder.count() == 1);
}

TEST_CASE("a target is one of the sources by its file, however that is opened", "[api][save]") {
  const Folder folder;
  const std::string path = folder.file("a.npy");
  save(counting<int>({5}), path);
  std::filesystem::create_symlink("a.npy", folder.path / "link.npy");
  const auto mapped = memmap<int>(path, {.shape = {5}, .offset = 128});
  CHECK(text_of(mapped) == "(5,): 0 1 2 3 4");
  OpenOptions kept;
  kept.options = {{"keep_bool_bytes", "1"}};
  for (const std::string& target : {path, folder.file("link.npy"), folder.file("./a.npy")}) {
    const auto refused = [&](const AnyLazyArray& a) {
      return contains(failure_of([&] { save(a, target, {.overwrite = true}); }),
                      "the array is read from this file; expected another target");
    };
    CHECK(refused(mapped + 1));
    CHECK(refused(open_any(path, kept)));
  }
  save(mapped + 1, folder.file("b.npy"));
  CHECK(text_of(open<int>(folder.file("b.npy"))) == "(5,): 1 2 3 4 5");
  CHECK(text_of(open<int>(path)) == "(5,): 0 1 2 3 4");
}

TEST_CASE("two openings of a file that differ in what they read are two values", "[api][open]") {
  const Folder folder;
  const std::string path = folder.file("b.npy");
  save(zeros<bool>({4}), path);
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-4, std::ios::end);
    file.write("\x00\x01\x02\xff", 4);
  }
  OpenOptions options;
  options.options = {{"keep_bool_bytes", "1"}};
  const auto whole = open<bool>(path);
  const AnyLazyArray kept = open_any(path, options);
  CHECK(whole.edge().node->hash != kept.edge().node->hash);
  const auto bytes_of = [&](const char* name) {
    std::ifstream file(folder.file(name), std::ios::binary);
    file.seekg(-4, std::ios::end);
    std::string bytes(4, '\0');
    file.read(bytes.data(), 4);
    return bytes;
  };
  save({}, {{whole, folder.file("whole1.npy")}, {kept, folder.file("kept1.npy")}});
  save({}, {{kept, folder.file("kept2.npy")}, {whole, folder.file("whole2.npy")}});
  for (const char* name : {"whole1.npy", "whole2.npy"})
    CHECK(bytes_of(name) == std::string("\x00\x01\x01\x01", 4));
  for (const char* name : {"kept1.npy", "kept2.npy"})
    CHECK(bytes_of(name) == std::string("\x00\x01\x02\xff", 4));
}

TEST_CASE("a raw file opens as an array", "[api][open]") {
  const Folder folder;
  {
    std::ofstream out(folder.file("raw.bin"), std::ios::binary);
    const std::uint16_t values[] = {99, 0, 1, 2, 3, 4, 5};
    out.write(reinterpret_cast<const char*>(values), sizeof values);
  }
  const std::string path = folder.file("raw.bin");
  CHECK(text_of(memmap<std::uint16_t>(path, {.shape = {2, 3}, .offset = 2})) == "(2, 3): 0 1 2 3 4 5");
  CHECK(text_of(memmap<std::uint16_t>(path, {.shape = {-1, 3}, .offset = 2, .chunks = {1, 2}})) ==
        "(2, 3): 0 1 2 3 4 5");
  const auto columns = memmap<std::uint16_t>(
      path, {.shape = {2, 3}, .offset = 2, .order = ElementOrder::F, .chunks = {2, 1}, .dims = {"y", "x"}});
  CHECK(text_of(columns) == "(2, 3): 0 2 4 1 3 5");
  CHECK(columns.chunks() == std::vector<std::vector<Index>>{{2}, {1, 1, 1}});
  CHECK(columns.dims() == std::vector<std::string>{"y", "x"});
  CHECK(text_of(memmap<std::uint16_t>(path, {.shape = {1}, .byte_order = ByteOrder::big})) == "(1,): 25344");
  CHECK(failure_of([&] { memmap<float>(path, {.shape = {100}}); }).rfind("corrupt_data: ", 0) == 0);
}

TEST_CASE("a member of records is an array", "[api][open]") {
  struct Record {
    std::int32_t a;
    float b;
  };
  const std::vector<Record> records{{1, 0.5f}, {2, 1.5f}, {3, 2.5f}};
  const DType dtype =
      DType::record({{"a", DType(Type::int32), 0, {}}, {"b", DType(Type::float32), 4, {}}}, sizeof(Record));
  const AnyLazyArray x = from_source(
      borrowed_source(dtype, BufferView::c_order(const_cast<Record*>(records.data()), {3}, sizeof(Record))),
      {.chunks = 2});
  CHECK(text_of(field(x, "b").as<float>()) == "(3,): 0.5 1.5 2.5");
  CHECK(field(x, "a").dtype() == DType(Type::int32));
  CHECK(text_of(LazyArray<int>(field(x["::-1"], "a"))) == "(3,): 3 2 1");
  CHECK(failure_of([&] { field(x, "c"); }) ==
        "not_found: field 'c': no such member; expected 'a', 'b', got 'c'");
  CHECK(contains(failure_of([&] { field(counting<int>({3}), "a"); }), "not an array of records"));
  CHECK(contains(failure_of([&] { x + 1; }), "dtype_mismatch: add"));
  CHECK(contains(failure_of([&] { mean(x); }), "dtype_mismatch: mean"));
  CHECK(contains(failure_of([&] { x.visit([](auto a) { return a.size(); }); }),
                 "dtype_mismatch: visiting an array"));
}

TEST_CASE(
    "a trace is not written onto what a run reads or writes, and a file that cannot be is refused before the "
    "run",
    "[api][save]") {
  const test::TempDir dir;
  const std::string in = (dir / "in.npy").string(), out = (dir / "out.npy").string();
  save(arange<double>(10), in);
  const auto a = open<double>(in);
  std::filesystem::create_hard_link(in, dir / "link.npy");
  std::filesystem::create_symlink(in, dir / "other.npy");
  for (const std::string& trace : {in, (dir / "link.npy").string(), (dir / "other.npy").string(),
                                   (dir / "." / "in.npy").string(), out}) {
    INFO(trace);
    CHECK(failure_of([&] {
            save(a * 2, out, {.trace = trace});
          }).rfind("invalid_argument: writing the trace ", 0) == 0);
    CHECK_FALSE(std::filesystem::exists(out));
  }
  CHECK(failure_of([&] {
          save(a * 2, out, {.trace = (dir / "none" / "run.json").string()});
        }).rfind("not_found: writing the trace ", 0) == 0);
  CHECK(failure_of([&] {
          save(a * 2, out, {.trace = dir.path().string()});
        }).rfind("io_error: writing the trace ", 0) == 0);
  save(a, (dir / "z.zarr").string(), {.chunks = 5});
  CHECK(failure_of([&] {
          sum(open<double>((dir / "z.zarr").string())).compute({.trace = (dir / "z.zarr" / "t").string()});
        }).rfind("invalid_argument: writing the trace ", 0) == 0);
  CHECK(sum(open<double>(in)).item() == 45);
  save(a * 2, out, {.trace = (dir / "run.json").string()});
  CHECK(std::filesystem::file_size(dir / "run.json") > 100);
  CHECK(sum(open<double>(out)).item() == 90);
}

TEST_CASE("names of files that are no UTF-8 are traced, explained and drawn", "[api][save]") {
  const test::TempDir dir;
  const std::string in = (dir / "b\xff.npy").string();
  save(zeros<double>({4}), in);
  const auto a = open<double>(in);
  CHECK(contains(explain(a).json(), "\xEF\xBF\xBD"));
  CHECK(contains(graph(a).json(), "\xEF\xBF\xBD"));
  save(a, (dir / "out.npy").string(), {.trace = (dir / "t\xfe.json").string()});
  CHECK(std::filesystem::exists(dir / "t\xfe.json"));
}
