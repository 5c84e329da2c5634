#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <morsel/base/bytes.hpp>
#include <morsel/io/npy_sink.hpp>
#include <random>
#include <support/seed.hpp>
#include <support/skip.hpp>
#include <thread>

#include "files.hpp"

using namespace morsel;
using Catch::Matchers::Contains;
using test::ByteVector;

namespace {

/// Writes a region of `array` (C order) from contiguous memory.
void write_box(NpySink& sink, const ByteVector& array, const Region& region) {
  const Shape shape = sink.spec().grid.shape();
  const std::size_t item_bytes = sink.spec().dtype.item_bytes();
  ByteVector copy = array;
  const BufferView all = BufferView::c_order(copy.data(), shape, item_bytes);
  ByteVector box(static_cast<std::size_t>(region.size()) * item_bytes), scratch(sink.scratch_bytes(region));
  const BufferView values = BufferView::c_order(box.data(), region.shape(), item_bytes);
  copy_elements(all.part(Region::of(shape), region), values);
  sink.write(region, values, scratch, {});
}

std::vector<std::string> names_in(const std::filesystem::path& dir) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(dir))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

/// A small tmpfs, unmounted at the end.
class SmallDisk {
 public:
  explicit SmallDisk(const std::filesystem::path& at) : at_(at) {
    std::filesystem::create_directory(at);
    mounted_ = mount("tmpfs", at.c_str(), "tmpfs", 0, "size=1m") == 0;
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) umount2(at_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }

 private:
  std::filesystem::path at_;
  bool mounted_;
};

}  // namespace

TEST_CASE("what is written in pieces of any order and stride reads back", "[npy_sink]") {
  test::TempDir dir;
  std::mt19937_64 random(test::first_seed());
  const Shape shapes[] = {{}, {1}, {1000}, {13, 700}, {6, 1, 50, 7}, {3, 90000}};
  for (const Shape& shape : shapes)
    for (const DType& dtype :
         {DType(Type::uint8), DType(Type::float64), DType::carried("S5", 5),
          DType::record({{"a", Type::int16, 0, {}}, {"b", Type::float32, 4, {2}}}, 12)}) {
      CAPTURE(to_string(shape), dtype.name());
      const std::size_t item_bytes = dtype.item_bytes();
      const ByteVector content = test::counted_bytes(static_cast<std::size_t>(size_of(shape)) * item_bytes);
      const std::string path = (dir / "a.npy").string();
      NpySink sink(path, dtype, shape, {.overwrite = true});
      CHECK(sink.spec().writes_regions);
      // A random grid, its chunks in random order.
      std::vector<AxisGrid> axes;
      for (const Index n : shape)
        axes.push_back(AxisGrid::regular(n, 1 + static_cast<Index>(random() % static_cast<unsigned>(n))));
      const Grid grid(std::move(axes));
      std::vector<Index> order(static_cast<std::size_t>(grid.count()));
      for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<Index>(i);
      std::shuffle(order.begin(), order.end(), random);
      ByteVector copy = content;
      const BufferView all = BufferView::c_order(copy.data(), shape, item_bytes);
      for (const Index number : order) {
        const Region region = grid.region(number);
        const std::size_t scratch_bytes = sink.scratch_bytes(region);
        CHECK(scratch_bytes <= std::max<std::size_t>(256 * KiB, item_bytes));
        ByteVector scratch(scratch_bytes + 1, std::byte{0x5a});
        const BufferView part = all.part(Region::of(shape), region);
        const auto kind = random() % 3;
        if (kind == 0) {  // a piece of the whole array
          sink.write(region, part, {scratch.data(), scratch_bytes}, {});
        } else if (kind == 1) {  // contiguous
          ByteVector box(static_cast<std::size_t>(region.size()) * item_bytes);
          const BufferView values = BufferView::c_order(box.data(), region.shape(), item_bytes);
          copy_elements(part, values);
          sink.write(region, values, {scratch.data(), scratch_bytes}, {});
        } else {  // back to front, with gaps
          ByteVector box(static_cast<std::size_t>(region.size()) * item_bytes * 2);
          BufferView values{box.data() + box.size() - item_bytes, item_bytes, region.shape(),
                            Dims(shape.size())};
          Index step = -2 * static_cast<Index>(item_bytes);
          for (std::size_t i = 0; i < shape.size(); ++i) {
            values.strides[i] = step;
            step *= values.shape[i];
          }
          copy_elements(part, values);
          sink.write(region, values, {scratch.data(), scratch_bytes}, {});
        }
        CHECK(scratch.back() == std::byte{0x5a});
      }
      sink.commit();
      const OpenedArray array = open_npy(path);
      CHECK(array.view.shape == shape);
      CHECK(array.source.spec().dtype == dtype);
      CHECK(array.source.identity() == sink.identity());
      CHECK(test::array_bytes(array) == content);
      const ByteVector file = test::read_file(path);
      CHECK(file.size() == make_npy_header(dtype, shape).size() + content.size());
      CHECK(names_in(dir.path()) == std::vector<std::string>{"a.npy"});
    }
}

TEST_CASE("empty and 0-d arrays are written", "[npy_sink]") {
  test::TempDir dir;
  const std::string path = (dir / "a.npy").string();
  NpySink empty(path, Type::float32, {3, 0});
  empty.commit();
  CHECK(open_npy(path).view.shape == Shape{3, 0});
  CHECK(test::read_file(path).size() == 128);
  NpySink scalar(path, Type::int16, {}, {.overwrite = true});
  write_box(scalar, test::counted_bytes(2), Region{});
  scalar.commit();
  CHECK(test::array_bytes(open_npy(path)) == test::counted_bytes(2));
}

TEST_CASE("nothing is visible before commit, and a sink given up leaves nothing", "[npy_sink]") {
  test::TempDir dir;
  const std::string path = (dir / "a.npy").string();
  const ByteVector content = test::counted_bytes(100);
  {
    NpySink sink(path, Type::uint8, {10, 10});
    CHECK(names_in(dir.path()).empty());
    write_box(sink, content, Region{{0, 0}, {5, 10}});
    const std::vector<std::string> during = names_in(dir.path());
    REQUIRE(during.size() == 1);
    CHECK(during[0][0] == '.');
    CHECK_THAT(during[0], Catch::Matchers::EndsWith(".tmp"));
    const auto [code, message] = test::error_of([&] { sink.commit(); });
    CHECK(code == Errc::internal_error);
    CHECK_THAT(message, Contains("expected 100 bytes of elements, got 50"));
  }
  CHECK(names_in(dir.path()).empty());
  {
    NpySink sink(path, Type::uint8, {10, 10});
    write_box(sink, content, Region{{0, 0}, {10, 10}});
    NpySink moved = std::move(sink);
    moved.commit();
    CHECK(test::error_of([&] { moved.commit(); }).first == Errc::internal_error);
  }
  CHECK(names_in(dir.path()) == std::vector<std::string>{"a.npy"});
  CHECK(test::array_bytes(open_npy(path)) == content);
}

TEST_CASE("an existing file is kept unless overwriting is asked for, and then until commit", "[npy_sink]") {
  test::TempDir dir;
  const std::string path = test::write_file(dir / "a.npy", test::bytes_of(std::string("old")));
  REQUIRE(chmod(path.c_str(), 0640) == 0);
  const auto [code, message] = test::error_of([&] { NpySink(path, Type::uint8, {4}); });
  CHECK(code == Errc::already_exists);
  CHECK_THAT(message, Contains("writing '" + path + "'") && Contains("overwrite"));
  NpySink sink(path, Type::uint8, {4}, {.overwrite = true, .sync = true});
  write_box(sink, test::counted_bytes(4), Region{{0}, {4}});
  CHECK(test::read_file(path) == test::bytes_of(std::string("old")));
  sink.commit();
  CHECK(test::array_bytes(open_npy(path)) == test::counted_bytes(4));
  struct stat s {};
  REQUIRE(stat(path.c_str(), &s) == 0);
  CHECK((s.st_mode & 0777) == 0640);
}

TEST_CASE("a file that came into being meanwhile is not replaced", "[npy_sink]") {
  test::TempDir dir;
  const std::string path = (dir / "a.npy").string();
  {
    NpySink sink(path, Type::uint8, {4});
    write_box(sink, test::counted_bytes(4), Region{{0}, {4}});
    test::write_file(path, test::bytes_of(std::string("theirs")));
    CHECK(test::error_of([&] { sink.commit(); }).first == Errc::already_exists);
  }
  CHECK(test::read_file(path) == test::bytes_of(std::string("theirs")));
  CHECK(names_in(dir.path()) == std::vector<std::string>{"a.npy"});
}

TEST_CASE("a symbolic link is followed, not replaced", "[npy_sink]") {
  test::TempDir dir;
  std::filesystem::create_directory(dir / "real");
  test::write_file(dir / "real/a.npy", ByteVector(1));
  std::filesystem::create_symlink(dir / "real/a.npy", dir / "link.npy");
  NpySink sink((dir / "link.npy").string(), Type::uint8, {4}, {.overwrite = true});
  write_box(sink, test::counted_bytes(4), Region{{0}, {4}});
  sink.commit();
  CHECK(std::filesystem::is_symlink(dir / "link.npy"));
  CHECK(test::array_bytes(open_npy((dir / "real/a.npy").string())) == test::counted_bytes(4));
  CHECK(sink.identity() == open_npy((dir / "link.npy").string()).source.identity());
}

TEST_CASE("impossible targets are refused when the sink is made", "[npy_sink]") {
  test::TempDir dir;
  std::filesystem::create_directory(dir / "sub");
  test::write_file(dir / "file", ByteVector(1));
  REQUIRE(mkfifo((dir / "pipe").c_str(), 0600) == 0);
  struct Case {
    std::string path;
    Errc code;
    std::string reason;
  };
  for (const Case& c : {Case{(dir / "sub").string(), Errc::invalid_argument, "got a directory"},
                        Case{(dir / "none/a.npy").string(), Errc::not_found, "no such directory"},
                        Case{(dir / "file/a.npy").string(), Errc::not_found, "no such directory"},
                        Case{(dir / "pipe").string(), Errc::invalid_argument, "got a device, pipe or socket"},
                        Case{"", Errc::invalid_argument, "not the path of a file"},
                        Case{(dir / "sub/").string(), Errc::invalid_argument, "not the path of a file"}}) {
    CAPTURE(c.path);
    const auto [code, message] =
        test::error_of([&] { NpySink(c.path, Type::uint8, {4}, {.overwrite = true}); });
    CHECK(code == c.code);
    CHECK_THAT(message, Contains(c.reason));
  }
  CHECK(test::error_of([&] { NpySink((dir / "a.npy").string(), DType::carried("r40", 5), {4}); }).first ==
        Errc::unsupported);
  CHECK(test::error_of([&] { NpySink((dir / "a.npy").string(), Type::int64, {INT64_MAX / 4}); }).first ==
        Errc::overflow);
  CHECK(names_in(dir.path()) == std::vector<std::string>{"file", "pipe", "sub"});
}

TEST_CASE("values that do not fit the region are refused before anything is written", "[npy_sink]") {
  test::TempDir dir;
  NpySink sink((dir / "a.npy").string(), Type::int32, {4, 4});
  ByteVector memory(64), scratch(64);
  const auto attempt = [&](const Region& region, const Shape& shape, std::size_t item_bytes) {
    return test::error_of([&] {
             sink.write(region, BufferView::c_order(memory.data(), shape, item_bytes), scratch, {});
           })
        .first;
  };
  CHECK(attempt({{0, 0}, {2, 2}}, {2, 3}, 4) == Errc::internal_error);
  CHECK(attempt({{0, 0}, {2, 2}}, {2, 2}, 2) == Errc::internal_error);
  CHECK(attempt({{3, 0}, {5, 2}}, {2, 2}, 4) == Errc::internal_error);
  const BufferView column{memory.data(), 4, {2, 2}, {4, 8}};
  CHECK(test::error_of([&] {
          sink.write({{0, 0}, {2, 2}}, column, std::span(scratch).first(15), {});
        }).first == Errc::internal_error);
  std::stop_source stop;
  stop.request_stop();
  CHECK(test::error_of([&] {
          sink.write({{0, 0}, {2, 2}}, BufferView::c_order(memory.data(), {2, 2}, 4), scratch,
                     stop.get_token());
        }).first == Errc::cancelled);
}

TEST_CASE("many threads write one file", "[npy_sink]") {
  test::TempDir dir;
  const std::string path = (dir / "a.npy").string();
  const Shape shape{64, 300'000};
  const ByteVector content = test::counted_bytes(64 * 300'000);
  NpySink sink(path, Type::uint8, shape, {.drop_cache = true});
  std::vector<std::thread> threads;
  for (Index t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (Index row = t; row < 64; row += 4) {
        const auto begin = content.begin() + row * 300'000;
        ByteVector values(begin, begin + 300'000), scratch(256 * KiB);
        sink.write({{row, 0}, {row + 1, 300'000}}, BufferView::c_order(values.data(), {1, 300'000}, 1),
                   scratch, {});
      }
    });
  for (std::thread& thread : threads) thread.join();
  sink.commit();
  CHECK(test::array_bytes(open_npy(path)) == content);
}

TEST_CASE("a full disk is an error with path and bytes, and leaves nothing", "[npy_sink]") {
  test::TempDir dir;
  const SmallDisk disk(dir / "disk");
  if (!disk.mounted()) MORSEL_SKIP("mounting a small tmpfs is not allowed here");
  const std::string path = (dir / "disk/a.npy").string();
  const auto [code, message] = test::error_of([&] {
    NpySink sink(path, Type::uint8, {2 << 20});
    write_box(sink, test::counted_bytes(2 << 20), Region{{0}, {100}});
  });
  CHECK(code == Errc::io_error);
  CHECK_THAT(message, Contains(path) && Contains("No space left on device") &&
                          Contains("expected room for 2097280 bytes"));
  CHECK(names_in(dir / "disk").empty());
  NpySink fits(path, Type::uint8, {500'000});
  write_box(fits, test::counted_bytes(500'000), Region{{0}, {500'000}});
  fits.commit();
  CHECK(names_in(dir / "disk") == std::vector<std::string>{"a.npy"});
}
