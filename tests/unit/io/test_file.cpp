#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <morsel/io/file.hpp>
#include <support/skip.hpp>
#include <thread>

#include "files.hpp"

using namespace morsel;
using Catch::Matchers::Contains;
using test::ByteVector;

TEST_CASE("a file gives exactly the bytes asked for", "[file]") {
  test::TempDir dir;
  const ByteVector content = test::counted_bytes(300'000);
  const File file(test::write_file(dir / "a.bin", content));
  CHECK(file.size_bytes() == 300'000);
  for (const auto& [offset, count] : {std::pair<Index, std::size_t>{0, 0},
                                      {0, 1},
                                      {299'999, 1},
                                      {1234, 56'789},
                                      {0, 300'000},
                                      {300'000, 0}}) {
    CAPTURE(offset, count);
    ByteVector room(count);
    CHECK(file.read(offset, room));
    CHECK(std::equal(room.begin(), room.end(), content.begin() + offset));
  }
}

TEST_CASE("what cannot be opened is refused with the path and the reason", "[file]") {
  test::TempDir dir;
  test::write_file(dir / "plain", ByteVector(3));
  REQUIRE(mkfifo((dir / "pipe").c_str(), 0600) == 0);
  struct Case {
    std::string path;
    Errc code;
    std::string reason;
  };
  for (const Case& c : {Case{(dir / "none").string(), Errc::not_found, "No such file"},
                        Case{(dir / "plain/below").string(), Errc::not_found, "Not a directory"},
                        Case{dir.path().string(), Errc::invalid_argument, "expected a file, got a directory"},
                        Case{(dir / "pipe").string(), Errc::invalid_argument, "got a device, pipe or socket"},
                        Case{"", Errc::invalid_argument, "empty string"},
                        Case{std::string("a\0b", 3), Errc::invalid_argument, "NUL"}}) {
    CAPTURE(c.path);
    const auto [code, message] = test::error_of([&] { File file(c.path); });
    CHECK(code == c.code);
    CHECK_THAT(message, Contains(c.reason));
    CHECK_THAT(message,
               Contains(c.path.empty() ? "opening" : "opening '" + std::string(c.path.c_str()) + "'"));
  }
}

TEST_CASE("a read beyond the end names offset, expected and got", "[file]") {
  test::TempDir dir;
  const std::string path = test::write_file(dir / "a.bin", ByteVector(100));
  const File file(path);
  ByteVector room(50);
  const auto [code, message] = test::error_of([&] { file.read(80, room); });
  CHECK(code == Errc::corrupt_data);
  CHECK(message ==
        "reading '" + file.path() + "' at offset 80: the file ends early; expected 50 bytes, got 20");
  CHECK(test::error_of([&] { file.read(-1, room); }).first == Errc::out_of_range);
  CHECK(test::error_of([&] { file.read(INT64_MAX - 10, room); }).first == Errc::out_of_range);
}

TEST_CASE("a file cut short since it was opened is an error that says so", "[file]") {
  test::TempDir dir;
  const std::string path = test::write_file(dir / "a.bin", ByteVector(100));
  const File file(path);
  REQUIRE(truncate(path.c_str(), 60) == 0);
  ByteVector room(50);
  const auto [code, message] = test::error_of([&] { file.read(40, room); });
  CHECK(code == Errc::source_changed);
  CHECK_THAT(message, Contains("size=100") && Contains("size=60") && Contains(file.path()));
}

TEST_CASE("the version tells every change of a file, and later reads refuse", "[file]") {
  test::TempDir dir;
  const std::string path = test::write_file(dir / "a.bin", ByteVector(100));
  const auto change = GENERATE(0, 1, 2, 3);
  CAPTURE(change);
  const File file(path);
  const std::string before = file.version();
  CHECK(file.version() == before);
  switch (change) {
    case 0:
      REQUIRE(truncate(path.c_str(), 101) == 0);
      break;
    case 1: {
      const timespec times[2] = {{1, 5}, {1, 5}};
      REQUIRE(utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
      break;
    }
    case 2:  // the same size and time under another inode
      test::write_file(dir / "b.bin", ByteVector(100));
      std::filesystem::last_write_time(dir / "b.bin", std::filesystem::last_write_time(dir / "a.bin"));
      std::filesystem::rename(dir / "b.bin", dir / "a.bin");
      break;
    default:
      std::filesystem::remove(dir / "a.bin");
  }
  CHECK(file.version() != before);
  if (change == 3) return;  // the contents are still those that were opened
  ByteVector room(10);
  CHECK(test::error_of([&] { file.read(0, room); }).first == Errc::source_changed);
  const File again(path);
  CHECK(again.read(0, room));
  CHECK(again.version() != before);
}

TEST_CASE("a replaced file keeps giving the old contents until the change is seen", "[file]") {
  test::TempDir dir;
  const std::string path = test::write_file(dir / "a.bin", ByteVector(10, std::byte{1}));
  const File old(path);
  test::write_file(dir / "b.bin", ByteVector(20, std::byte{2}));
  std::filesystem::rename(dir / "b.bin", dir / "a.bin");
  ByteVector room(10);
  CHECK(old.read(0, room));
  CHECK(room == ByteVector(10, std::byte{1}));
  const File fresh(path);
  CHECK(fresh.size_bytes() == 20);
  CHECK(fresh.read(0, room));
  CHECK(room == ByteVector(10, std::byte{2}));
}

TEST_CASE("2000 open files stay below the limit of descriptors and all can be read", "[file]") {
  test::TempDir dir;
  constexpr int count = 2000;
  const std::size_t before = test::open_descriptors();
  std::vector<File> files;
  for (int i = 0; i < count; ++i) {
    const std::vector<int> content{i, -i};
    files.emplace_back(test::write_file(dir / std::to_string(i), test::bytes_of(content)));
  }
  CHECK(open_file_limit() <= 256);
  CHECK(open_file_count() <= open_file_limit());
  CHECK(test::open_descriptors() <= before + open_file_limit());
  int wrong = 0;
  for (int pass = 0; pass < 2; ++pass)
    for (int k = 0; k < count; ++k) {
      const int i = (k * 7919) % count;  // an order without locality
      ByteVector room(8);
      files[static_cast<std::size_t>(i)].read(0, room);
      wrong += room != test::bytes_of(std::vector<int>{i, -i});
    }
  CHECK(wrong == 0);
  CHECK(test::open_descriptors() <= before + open_file_limit());
  files.clear();
  CHECK(open_file_count() == 0);
  CHECK(test::open_descriptors() == before);
}

TEST_CASE("a descriptor that was closed and reopened notices another file in its place", "[file]") {
  test::TempDir dir;
  const std::string path = test::write_file(dir / "first", ByteVector(8));
  const File first(path);
  test::write_file(dir / "other", ByteVector(9));
  std::filesystem::rename(dir / "other", dir / "first");
  std::vector<File> others;  // push the first one out
  for (std::size_t i = 0; i < 3 * open_file_limit(); ++i)
    others.emplace_back(test::write_file(dir / std::to_string(i), ByteVector(1)));
  ByteVector room(8);
  const auto [code, message] = test::error_of([&] { first.read(0, room); });
  CHECK(code == Errc::source_changed);
  CHECK_THAT(message, Contains("size=8") && Contains("size=9"));
}

TEST_CASE("handles on one file share one descriptor, by any of its names", "[file]") {
  test::TempDir dir;
  const std::string path = test::write_file(dir / "a.bin", ByteVector(8));
  std::filesystem::create_symlink(dir / "a.bin", dir / "link");
  const std::size_t before = open_file_count();
  const File a(path), b((dir / "link").string()), c((dir / "." / "a.bin").string());
  CHECK(open_file_count() == before + 1);
  CHECK(a.path() == b.path());
  CHECK(a.path() == c.path());
  CHECK(a.path() == canonical_path(path));
}

TEST_CASE("many threads read many files while descriptors come and go", "[file]") {
  test::TempDir dir;
  std::vector<File> files;
  for (int i = 0; i < 600; ++i)
    files.emplace_back(test::write_file(dir / std::to_string(i), test::bytes_of(std::vector<int>(64, i))));
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      unsigned state = t + 1;
      for (int k = 0; k < 3000; ++k) {
        state = state * 1664525u + 1013904223u;
        const std::size_t i = (state >> 8) % files.size();
        std::vector<int> values(64);
        files[i].read(0, std::as_writable_bytes(std::span(values)));
        for (const int v : values) wrong += v != static_cast<int>(i);
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("cached_only either gives the bytes or says that it would block", "[file]") {
  test::TempDir dir;
  const ByteVector content = test::counted_bytes(8 << 20);
  const std::string path = test::write_file(dir / "a.bin", content);
  const int fd = open(path.c_str(), O_RDONLY);
  REQUIRE(fd >= 0);
  REQUIRE(fsync(fd) == 0);
  const File file(path);
  ByteVector room(content.size());
  CHECK(file.read(0, room, FetchMode::wait));
  CHECK(file.read(0, room, FetchMode::cached_only));
  CHECK(room == content);
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  close(fd);
  std::fill(room.begin(), room.end(), std::byte{0});
  if (file.read(0, room, FetchMode::cached_only))
    CHECK(room == content);  // a file system that cannot tell, or did not drop the pages
  else
    CHECK((file.read(0, room, FetchMode::wait) && room == content));
}

TEST_CASE("a read stops on request", "[file]") {
  test::TempDir dir;
  const File file(test::write_file(dir / "a.bin", ByteVector(100)));
  std::stop_source stop;
  stop.request_stop();
  ByteVector room(10);
  CHECK(test::error_of([&] { file.read(0, room, FetchMode::wait, stop.get_token()); }).first ==
        Errc::cancelled);
}

TEST_CASE("a canonical path is absolute and keeps the parts that do not exist", "[file]") {
  test::TempDir dir;
  const std::string root = canonical_path(dir.path().string());
  std::filesystem::create_directory(dir / "sub");
  std::filesystem::create_symlink(dir / "sub", dir / "link");
  CHECK(canonical_path((dir / "link/x/y").string()) == root + "/sub/x/y");
  CHECK(canonical_path((dir / "sub/../sub/./z").string()) == root + "/sub/z");
  CHECK(canonical_path((dir / "none/").string()) == root + "/none");
  CHECK(canonical_path("/") == "/");
  CHECK(canonical_path("/no_such_thing_here") == "/no_such_thing_here");
  CHECK(canonical_path("no_such_thing_here") ==
        std::filesystem::current_path().string() + "/no_such_thing_here");
}

TEST_CASE("a mapping shows the file and outlives the handle", "[file]") {
  test::TempDir dir;
  const ByteVector content = test::counted_bytes(10'000);
  std::shared_ptr<std::byte> mapping = File(test::write_file(dir / "a.bin", content)).map();
  REQUIRE(mapping);
  CHECK(std::equal(content.begin(), content.end(), mapping.get()));
  CHECK(File(test::write_file(dir / "empty", {})).map() == nullptr);
}
