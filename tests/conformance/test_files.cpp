// Sources and sinks on files, run through the suites.
#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <morsel/conformance/chunk_sink.hpp>
#include <morsel/conformance/chunk_source.hpp>
#include <morsel/io/memmap.hpp>
#include <morsel/io/npy.hpp>
#include <morsel/io/npy_sink.hpp>
#include <morsel/io/read_region.hpp>
#include <random>
#include <support/paths.hpp>
#include <support/seed.hpp>

using namespace morsel;
namespace fs = std::filesystem;

namespace {

std::vector<std::byte> random_bytes(std::size_t n, std::uint64_t seed, bool is_bool) {
  std::mt19937_64 random(seed);
  std::vector<std::byte> bytes(n);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(is_bool ? random() & 1 : random());
  return bytes;
}

void write_file(const fs::path& path, std::span<const std::byte> content, const std::string& before = "") {
  std::ofstream file(path, std::ios::binary);
  file << before;
  file.write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
}

std::vector<std::byte> swapped(std::vector<std::byte> bytes, const DType& dtype) {
  if (!bytes.empty()) swap_bytes(bytes.data(), bytes.size() / dtype.swap_bytes(), dtype.swap_bytes());
  return bytes;
}

std::vector<DType> dtypes() {
  std::vector<DType> types;
  for (int t = 0; t < numeric_type_count; ++t) types.push_back(static_cast<Type>(t));
  types.push_back(DType::carried("S5", 5));
  types.push_back(DType::carried("M8[ns]", 8));
  types.push_back(DType::carried("U3", 12));
  return types;
}

conformance::SourceCheckOptions few() {
  conformance::SourceCheckOptions options;
  options.regions = test::effort(12);
  options.threads = 3;
  options.seed = test::first_seed();
  return options;
}

}  // namespace

TEST_CASE("raw files of every dtype and both byte orders are lawful sources", "[conformance][memmap]") {
  const test::TempDir dir;
  const Shape shape{7, 3, 11};
  for (const DType& dtype : dtypes())
    for (const ByteOrder order : {ByteOrder::little, ByteOrder::big})
      for (const FileAccess access : {FileAccess::pread, FileAccess::map}) {
        INFO(dtype.name() << (order == ByteOrder::big ? " big" : " little")
                          << (access == FileAccess::map ? " mapped" : ""));
        const std::vector<std::byte> values = random_bytes(
            static_cast<std::size_t>(size_of(shape)) * dtype.item_bytes(), 5, is_bool(dtype.type()));
        const fs::path path = dir / "raw.bin";
        write_file(path, order == ByteOrder::big ? swapped(values, dtype) : values, "seven b");
        MemmapOptions options;
        options.shape = shape;
        options.offset = 7;
        options.byte_order = order;
        options.access = access;
        conformance::check_source([&] { return open_memmap(path, dtype, options).source; }, values, few());
        SUCCEED();
      }
}

TEST_CASE("a field of records is a lawful source", "[conformance][memmap]") {
  const test::TempDir dir;
  const std::size_t count = 40 * 9, record_bytes = 13;
  const std::vector<std::byte> records = random_bytes(count * record_bytes, 6, false);
  const fs::path path = dir / "records.bin";
  write_file(path, records);
  std::vector<std::byte> field;
  for (std::size_t i = 0; i < count; ++i)
    field.insert(field.end(), records.begin() + static_cast<std::ptrdiff_t>(i * record_bytes + 5),
                 records.begin() + static_cast<std::ptrdiff_t>(i * record_bytes + 9));
  MemmapOptions options;
  options.shape = {40, 9};
  options.record_bytes = record_bytes;
  options.field_offset = 5;
  conformance::check_source([&] { return open_memmap(path, Type::int32, options).source; }, field, few());
  options.byte_order = ByteOrder::big;
  conformance::check_source([&] { return open_memmap(path, Type::int32, options).source; },
                            swapped(field, Type::int32), few());
  SUCCEED();
}

TEST_CASE("npy files are lawful sources", "[conformance][npy]") {
  const test::TempDir dir;
  for (const Shape& shape :
       {Shape{}, Shape{0}, Shape{50}, Shape{5, 0, 3}, Shape{6, 7, 8}, Shape{1, 1, 200}}) {
    for (const FileAccess access : {FileAccess::pread, FileAccess::map}) {
      const std::vector<std::byte> values =
          random_bytes(static_cast<std::size_t>(size_of(shape)) * 4, 9, false);
      const fs::path path = dir / "x.npy";
      write_file(path, values, make_npy_header(Type::float32, shape));
      NpyOptions options;
      options.access = access;
      conformance::check_source([&] { return open_npy(path, options).source; }, values, few());
      SUCCEED();
    }
  }
}

TEST_CASE("the npy sink is lawful, whatever the shape", "[conformance][npy_sink]") {
  const test::TempDir dir;
  const fs::path path = dir / "out.npy";
  for (const DType& dtype : {DType(Type::bool_), DType(Type::uint8), DType(Type::float16), DType(Type::int32),
                             DType(Type::complex128)})
    for (const Shape& shape :
         {Shape{}, Shape{0}, Shape{1000}, Shape{13, 0}, Shape{9, 10, 11}, Shape{1, 300}}) {
      INFO(dtype.name() << " " << to_string(shape));
      const auto read_back = [&]() -> std::optional<std::vector<std::byte>> {
        if (!fs::exists(path)) return std::nullopt;
        const OpenedArray opened = open_npy(path);
        REQUIRE(opened.source.spec().shape() == shape);
        REQUIRE(opened.source.spec().dtype == dtype);
        std::vector<std::byte> bytes(static_cast<std::size_t>(size_of(shape)) * dtype.item_bytes());
        read_region(opened.source, Region::of(shape),
                    BufferView::c_order(bytes.data(), shape, dtype.item_bytes()));
        return bytes;
      };
      conformance::SinkCheckOptions options;
      options.rounds = 2;
      options.seed = test::first_seed();
      conformance::check_sink(
          [&] {
            fs::remove(path);
            return AnyChunkSink(NpySink(path, dtype, shape));
          },
          read_back, options);
      // Hidden temporary files are gone as well.
      CHECK(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()) == 0);
    }
}
