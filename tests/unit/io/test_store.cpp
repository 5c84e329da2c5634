#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstring>
#include <fstream>
#include <morsel/conformance/store.hpp>
#include <morsel/io/counting_store.hpp>
#include <morsel/io/file_store.hpp>
#include <morsel/io/memory_store.hpp>
#include <morsel/io/store_key.hpp>
#include <support/paths.hpp>
#include <support/skip.hpp>

using namespace morsel;
namespace fs = std::filesystem;

namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span<const char>(text)); }

std::string text_of(const AnyStore& store, std::string_view key) {
  return get_text(store, key).value_or("(missing)");
}

std::vector<std::string> keys_of(const AnyStore& store, std::string_view prefix) {
  std::vector<std::string> keys;
  store.list(prefix, [&](std::string_view key) { keys.emplace_back(key); });
  return keys;
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

void write_file(const fs::path& path, std::string_view content) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

std::vector<std::string> files_below(const fs::path& root) {
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(root))
    files.push_back(fs::relative(entry.path(), root));
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

TEST_CASE("a store in memory obeys the laws", "[io][store]") {
  conformance::check_store([] { return MemoryStore(); });
  CHECK(MemoryStore().identity() != MemoryStore().identity());
}

TEST_CASE("a directory obeys the laws of a store", "[io][store]") {
  const test::TempDir dir;
  int number = 0;
  conformance::check_store([&] { return FileStore(dir / ("plain" + std::to_string(number++))); });
  FileStoreOptions flushed;
  flushed.fsync = true;
  conformance::StoreCheckOptions few;
  few.replacements = 10;
  conformance::check_store([&] { return FileStore(dir / ("flushed" + std::to_string(number++)), flushed); },
                           few);
  for (const std::string& file : files_below(dir.path()))
    CHECK(file.find(".morsel-tmp-") == std::string::npos);
}

TEST_CASE("a counting store obeys the laws and counts", "[io][store]") {
  conformance::check_store([] { return counting_store(MemoryStore()); });
  const CountingStore store = counting_store(MemoryStore());
  store.put("a/b", bytes("0123456789"));
  std::vector<std::byte> room(10);
  std::vector<std::string> seen;
  store.observe([&](std::string_view key) { seen.emplace_back(key); });
  GetRequest requests[3];
  requests[0].key = requests[1].key = "a/b";
  requests[2].key = "a/c";
  for (GetRequest& request : requests) request.room = room;
  requests[1].range = {-4, 3};
  store.get(requests, {});
  store.size("a/b");
  store.list("a", [](std::string_view) {});
  store.erase("a/b");
  StoreCounts want;
  want.gets = 3;
  want.hits = 2;
  want.read_bytes = 13;
  want.sizes = want.puts = want.erases = want.lists = 1;
  want.written_bytes = 10;
  CHECK(store.counts() == want);
  CHECK(seen == std::vector<std::string>{"a/b", "a/b", "a/c"});
  const CountingStore copy = store;
  copy.reset();
  CHECK(store.counts() == StoreCounts{});
}

TEST_CASE("byte ranges of a value, and what does not fit in them", "[io][store]") {
  struct Row {
    Index offset, length, value_bytes;
    std::size_t room_bytes;
    Index want_offset, want_length;  // -1: refused
  };
  const Index most = std::numeric_limits<Index>::max(), least = std::numeric_limits<Index>::min();
  const Row rows[] = {{0, -1, 10, 10, 0, 10},      {0, -1, 10, 9, -1, -1},       {3, 4, 10, 4, 3, 4},
                      {3, 4, 10, 3, -1, -1},       {-4, 4, 10, 4, 6, 4},         {-4, -1, 10, 99, 6, 4},
                      {-10, -1, 10, 10, 0, 10},    {-11, -1, 10, 99, -1, -1},    {10, -1, 10, 0, 10, 0},
                      {10, 0, 10, 0, 10, 0},       {11, -1, 10, 99, -1, -1},     {5, 6, 10, 99, -1, -1},
                      {0, 0, 0, 0, 0, 0},          {most, most, 10, 99, -1, -1}, {5, most, 10, 99, -1, -1},
                      {least, -1, 10, 99, -1, -1}, {-5, 6, 10, 99, -1, -1}};
  for (const Row& row : rows) {
    INFO(row.offset << " " << row.length << " of " << row.value_bytes << " into " << row.room_bytes);
    if (row.want_offset < 0) {
      error_of(
          [&] {
            resolve_range({row.offset, row.length}, row.value_bytes, row.room_bytes, "k");
          },
          Errc::corrupt_data);
      continue;
    }
    const ByteRange got = resolve_range({row.offset, row.length}, row.value_bytes, row.room_bytes, "k");
    CHECK(got.offset == row.want_offset);
    CHECK(got.length == row.want_length);
  }
  CHECK(error_of(
            [] {
              resolve_range({0, -1}, 10, 9, "c/0");
            },
            Errc::corrupt_data) ==
        "reading 'c/0': the value is larger than it can be; expected at most 9 bytes, got 10");
  CHECK(error_of(
            [] {
              resolve_range({-16, 16}, 10, 16, "c/0");
            },
            Errc::corrupt_data) ==
        "reading 'c/0': the value is too short; expected bytes -16 to +16 inside it, got 10 bytes");
}

TEST_CASE("text of a key comes whole, missing or as an error", "[io][store]") {
  const AnyStore store = MemoryStore();
  store.put("zarr.json", bytes("{}"));
  store.put("empty", {});
  CHECK(get_text(store, "zarr.json") == std::optional<std::string>("{}"));
  CHECK(get_text(store, "empty") == std::optional<std::string>(""));
  CHECK_FALSE(get_text(store, "none"));
  error_of([&] { get_text(store, "zarr.json", 1); }, Errc::corrupt_data);
}

TEST_CASE("a directory store holds plain files at the keys' paths", "[io][store]") {
  const test::TempDir dir;
  const FileStore store(dir / "s.zarr");
  CHECK_FALSE(fs::exists(dir / "s.zarr"));
  CHECK(keys_of(store, "").empty());
  store.put("a/c/0/1", bytes("chunk"));
  CHECK(files_below(dir / "s.zarr") == std::vector<std::string>{"a", "a/c", "a/c/0", "a/c/0/1"});
  write_file(dir / "s.zarr/a/.zattrs", "{}");
  CHECK(text_of(store, "a/.zattrs") == "{}");
  CHECK(keys_of(store, "a") == std::vector<std::string>{"a/.zattrs", "a/c/"});
  CHECK(store.identity() == "file:" + fs::canonical(dir.path()).string() + "/s.zarr");
  CHECK(store.identity() == FileStore(dir / "x/../s.zarr/").identity());
}

TEST_CASE("a directory store opened by a relative path stays where it was", "[io][store]") {
  const test::TempDir dir;
  const fs::path before = fs::current_path();
  fs::current_path(dir.path());
  const FileStore store("rel");
  fs::current_path(before);
  store.put("k", bytes("v"));
  CHECK(fs::exists(dir / "rel/k"));
}

TEST_CASE("symbolic links are followed inside a directory store and not out of it", "[io][store]") {
  const test::TempDir dir;
  write_file(dir / "outside/secret", "secret");
  write_file(dir / "store/a/value", "value");
  fs::create_symlink("a", dir / "store/relative");
  fs::create_symlink(dir / "store/a", dir / "store/absolute");
  fs::create_symlink("a/value", dir / "store/file");
  fs::create_symlink("../outside", dir / "store/up");
  fs::create_symlink(dir / "outside", dir / "store/out");
  fs::create_symlink("../outside/secret", dir / "store/leak");
  fs::create_symlink("nowhere", dir / "store/dangling");
  fs::create_symlink("loop", dir / "store/loop");
  const FileStore store(dir / "store");
  CHECK(text_of(store, "relative/value") == "value");
  CHECK(text_of(store, "absolute/value") == "value");
  CHECK(text_of(store, "file") == "value");
  CHECK(text_of(store, "dangling") == "(missing)");
  for (const char* key : {"up/secret", "out/secret", "leak"}) {
    INFO(key);
    std::vector<std::byte> room(100);
    GetRequest request;
    request.key = key;
    request.room = room;
    const std::string message =
        error_of([&] { store.get(std::span<GetRequest>(&request, 1), {}); }, Errc::invalid_argument);
    CHECK(message.find("a symbolic link leads out of the store") != std::string::npos);
    error_of([&] { store.size(key); }, Errc::invalid_argument);
  }
  error_of([&] { store.put("up/new", bytes("x")); }, Errc::invalid_argument);
  error_of([&] { store.put("out/new", bytes("x")); }, Errc::invalid_argument);
  error_of([&] { store.put("out/deeper/new", bytes("x")); }, Errc::invalid_argument);
  error_of([&] { store.erase("out/secret"); }, Errc::invalid_argument);
  error_of([&] { store.list("up", [](std::string_view) {}); }, Errc::invalid_argument);
  error_of([&] { store.size("loop/x"); }, Errc::io_error);
  // Replacing or erasing a link does so to the link.
  store.put("leak", bytes("mine"));
  CHECK(text_of(store, "leak") == "mine");
  store.erase("file");
  CHECK(text_of(store, "a/value") == "value");
  CHECK(files_below(dir / "outside") == std::vector<std::string>{"secret"});
  std::ifstream secret(dir / "outside/secret");
  std::string content;
  secret >> content;
  CHECK(content == "secret");
}

TEST_CASE("a store whose root is a link is the directory it leads to", "[io][store]") {
  const test::TempDir dir;
  fs::create_directories(dir / "real");
  fs::create_symlink(dir / "real", dir / "link");
  const FileStore store(dir / "link");
  store.put("k", bytes("v"));
  CHECK(fs::exists(dir / "real/k"));
  CHECK(store.identity() == FileStore(dir / "real").identity());
}

TEST_CASE("temporary files of a writer that died are not seen", "[io][store]") {
  const test::TempDir dir;
  const FileStore store(dir / "s");
  store.put("a/0", bytes("whole"));
  write_file(dir / "s/a/.morsel-tmp-1-2-3", "ha");
  CHECK(keys_of(store, "a") == std::vector<std::string>{"a/0"});
  error_of([&] { store.size("a/.morsel-tmp-1-2-3"); }, Errc::invalid_argument);
  error_of([&] { store.put("a/.morsel-tmp-1-2-3/b", bytes("x")); }, Errc::invalid_argument);
}

TEST_CASE("directories, pipes and devices are no values of a directory store", "[io][store]") {
  const test::TempDir dir;
  const FileStore store(dir / "s");
  store.put("dir/value", bytes("v"));
  REQUIRE(::mkfifo((dir / "s/pipe").c_str(), 0600) == 0);
  for (const char* key : {"dir", "pipe", "dir/value/below"}) {
    INFO(key);
    CHECK_FALSE(store.size(key));
    CHECK(text_of(store, key) == "(missing)");
  }
  CHECK(error_of([&] { store.put("dir", bytes("x")); }, Errc::already_exists).find("a directory is there") !=
        std::string::npos);
  error_of([&] { store.put("dir/value/below", bytes("x")); }, Errc::not_found);
  CHECK(keys_of(store, "dir") == std::vector<std::string>{"dir/value"});
  CHECK(files_below(dir / "s") == std::vector<std::string>{"dir", "dir/value", "pipe"});
  error_of([&] { FileStore(dir / "s/dir/value"); }, Errc::invalid_argument);
}

TEST_CASE("a put that fails leaves the old value and nothing else", "[io][store]") {
  const test::TempDir dir;
  const FileStore store(dir / "s");
  store.put("a/k", bytes("old"));
  // A limit on file sizes fails writes as a full disk does, with EFBIG.
  struct rlimit before;
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  struct rlimit small = before;
  small.rlim_cur = 1000;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const std::string big(5000, 'x');
  std::string message;
  try {
    store.put("a/k", bytes(big));
  } catch (const Error& e) {
    message = e.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK(message == "writing '" + fs::canonical(dir / "s").string() + "/a/k': " + std::strerror(EFBIG));
  CHECK(text_of(store, "a/k") == "old");
  CHECK(files_below(dir / "s") == std::vector<std::string>{"a", "a/k"});
}

TEST_CASE("what the system refuses names the path and the reason", "[io][store]") {
  const test::TempDir dir;
  if (::geteuid() == 0) {
    const FileStore store("/proc/self/no-such-place");
    const std::string message = error_of([&] { store.put("a", bytes("x")); }, Errc::not_found);
    CHECK(message.find("/no-such-place'") != std::string::npos);
    return;
  }
  const FileStore store(dir / "s");
  store.put("a/k", bytes("v"));
  fs::permissions(dir / "s/a", fs::perms::none);
  const std::string message = error_of([&] { text_of(store, "a/k"); }, Errc::io_error);
  CHECK(message.find("/s/a/k': Permission denied") != std::string::npos);
  error_of([&] { store.put("a/l", bytes("v")); }, Errc::io_error);
  fs::permissions(dir / "s/a", fs::perms::owner_all);
}

TEST_CASE("a directory store holds no descriptor between calls", "[io][store]") {
  const test::TempDir dir;
  const auto open_descriptors = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  const auto before = open_descriptors();
  std::vector<FileStore> stores;
  for (int i = 0; i < 50; ++i) {
    stores.emplace_back(dir / std::to_string(i));
    stores.back().put("a/b", bytes("v"));
    CHECK(text_of(stores.back(), "a/b") == "v");
    CHECK(keys_of(stores.back(), "a").size() == 1);
    stores.back().erase("a/b");
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("stores on one directory write beside each other", "[io][store]") {
  const test::TempDir dir;
  const FileStore one(dir / "s"), two(dir / "s");
  conformance::in_threads(4, [&](int thread) {
    const FileStore& store = thread % 2 ? one : two;
    for (int i = 0; i < 50; ++i)
      store.put("deep/er/" + std::to_string(i), bytes(std::string(100, static_cast<char>('a' + thread))));
  });
  for (int i = 0; i < 50; ++i) {
    const std::string text = text_of(one, "deep/er/" + std::to_string(i));
    CHECK(text == std::string(100, text[0]));
  }
}
