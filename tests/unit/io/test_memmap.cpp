#include <fcntl.h>
#include <unistd.h>

#include <bit>
#include <catch2/catch.hpp>
#include <morsel/io/memmap.hpp>
#include <random>
#include <support/seed.hpp>

#include "files.hpp"

using namespace morsel;
using Catch::Matchers::Contains;
using test::ByteVector;

namespace {

constexpr bool host_is_big = std::endian::native == std::endian::big;

/// Elements as a file with that byte order holds them: each unit of the number turned round where needed.
ByteVector stored(const ByteVector& native, std::size_t unit_bytes, ByteOrder order) {
  ByteVector out = native;
  if (order != ByteOrder::native && (order == ByteOrder::big) != host_is_big)
    for (std::size_t i = 0; i < out.size(); i += unit_bytes)
      std::reverse(out.begin() + static_cast<std::ptrdiff_t>(i),
                   out.begin() + static_cast<std::ptrdiff_t>(i + unit_bytes));
  return out;
}

/// The bytes of a box of a C-order array.
ByteVector box_of(const ByteVector& array, const Shape& shape, const Region& box, std::size_t item_bytes) {
  ByteVector out;
  const Dims strides = c_strides(shape, static_cast<Index>(item_bytes));
  for_each_position(box, [&](const Dims& at) {
    Index offset = 0;
    for (std::size_t i = 0; i < at.size(); ++i) offset += at[i] * strides[i];
    out.insert(out.end(), array.begin() + offset, array.begin() + offset + static_cast<Index>(item_bytes));
  });
  return out;
}

/// Fetches with an exact room between guards, decodes in place, and gives the bytes.
ByteVector fetch_in_place(const AnyChunkSource& source, const Region& region, Fetched* fetched = nullptr,
                          FetchMode mode = FetchMode::wait) {
  Dims chunk(region.rank());
  for (std::size_t i = 0; i < chunk.size(); ++i) chunk[i] = source.spec().grid.axis(i).chunk_of(region.lo[i]);
  const FetchCost cost = source.cost(chunk, region);
  REQUIRE(cost.in_place);
  REQUIRE(cost.scratch_bytes == 0);
  constexpr std::size_t guard = 64;
  ByteVector memory(cost.encoded_bytes + 2 * guard, std::byte{0xa5});
  const std::span<std::byte> room(memory.data() + guard, cost.encoded_bytes);
  const Fetched got = source.fetch(chunk, region, room, mode, {});
  if (fetched) *fetched = got;
  if (got.state != Fetched::State::filled) return {};
  CHECK(got.encoded_bytes == cost.encoded_bytes);
  const BufferView out = BufferView::c_order(room.data(), region.shape(), source.spec().dtype.item_bytes());
  source.decode(chunk, region, room, out, {});
  for (std::size_t i = 0; i < guard; ++i) {
    REQUIRE(memory[i] == std::byte{0xa5});
    REQUIRE(memory[memory.size() - 1 - i] == std::byte{0xa5});
  }
  return ByteVector(room.begin(), room.end());
}

struct Range {
  Index lo, hi;
};
Region box(std::initializer_list<Range> ranges) {
  Region r;
  for (const Range& range : ranges) r.lo.push_back(range.lo), r.hi.push_back(range.hi);
  return r;
}

}  // namespace

TEST_CASE("every numeric dtype reads in both byte orders, C and F, at any offset", "[memmap]") {
  test::TempDir dir;
  const Shape shape{3, 4, 5};
  for (int t = 0; t < numeric_type_count; ++t) {
    const DType dtype(static_cast<Type>(t));
    ByteVector native = test::counted_bytes(60 * dtype.item_bytes());
    if (is_bool(dtype.type()))
      for (std::byte& b : native) b &= std::byte{1};
    for (const ByteOrder byte_order : {ByteOrder::native, ByteOrder::little, ByteOrder::big})
      for (const ElementOrder order : {ElementOrder::C, ElementOrder::F})
        for (const Index offset : {0, 1, 1024})
          for (const FileAccess access : {FileAccess::pread, FileAccess::map}) {
            CAPTURE(dtype.name(), static_cast<int>(byte_order), static_cast<int>(order), offset,
                    static_cast<int>(access));
            ByteVector content(static_cast<std::size_t>(offset), std::byte{0xee});
            const ByteVector elements = stored(native, dtype.swap_bytes(), byte_order);
            content.insert(content.end(), elements.begin(), elements.end());
            const std::string path = test::write_file(dir / "raw", content);
            const OpenedArray array = open_memmap(path, dtype,
                                                  {.shape = shape,
                                                   .offset = offset,
                                                   .byte_order = byte_order,
                                                   .order = order,
                                                   .access = access});
            REQUIRE(array.view.shape == shape);
            ByteVector expected = native;
            if (order == ElementOrder::F) {
              expected.clear();
              for_each_position(Region::of(shape), [&](const Dims& at) {
                const auto item = static_cast<std::ptrdiff_t>(dtype.item_bytes());
                const std::ptrdiff_t begin = (at[0] + 3 * at[1] + 12 * at[2]) * item;
                expected.insert(expected.end(), native.begin() + begin, native.begin() + begin + item);
              });
            }
            REQUIRE(test::array_bytes(array) == expected);
          }
  }
}

TEST_CASE("any region of any stride pattern is what a slice of the whole gives", "[memmap]") {
  test::TempDir dir;
  std::mt19937_64 random(test::first_seed());
  const auto upto = [&](Index n) { return static_cast<Index>(random() % static_cast<std::uint64_t>(n + 1)); };
  const Shape shapes[] = {{},         {1},           {1000},       {7, 1300},
                          {60, 5000}, {5, 1, 9, 11}, {400, 3, 50}, {2, 2, 2, 2, 2, 2, 2, 2, 2}};
  for (const Shape& shape : shapes)
    for (const DType& dtype :
         {DType(Type::uint8), DType(Type::int16), DType::carried("V3", 3), DType(Type::float64)}) {
      const ByteVector content =
          test::counted_bytes(static_cast<std::size_t>(size_of(shape)) * dtype.item_bytes());
      const std::string path = test::write_file(dir / "raw", content);
      const OpenedArray array = open_memmap(path, dtype, {.shape = shape});
      for (int k = 0; k < test::effort(30); ++k) {
        Region region;
        for (const Index n : shape) {
          const Index lo = upto(n - 1);
          region.lo.push_back(lo);
          region.hi.push_back(lo + 1 + upto(n - lo - 1));
        }
        CAPTURE(to_string(shape), dtype.name(), to_string(region));
        REQUIRE(fetch_in_place(array.source, region) == box_of(content, shape, region, dtype.item_bytes()));
      }
    }
}

TEST_CASE("decode also writes into memory of any strides", "[memmap]") {
  test::TempDir dir;
  const ByteVector content = test::counted_bytes(6 * 7 * 4);
  const OpenedArray array = open_memmap(test::write_file(dir / "raw", content), Type::int32,
                                        {.shape = {6, 7}, .byte_order = ByteOrder::big});
  const Region region = box({{1, 5}, {2, 7}});
  ByteVector encoded(80), out(4 * 5 * 4 * 3, std::byte{0x77});
  REQUIRE(array.source.fetch({0, 0}, region, encoded, FetchMode::wait, {}).state == Fetched::State::filled);
  // Column-major, every third slot, from the end.
  const BufferView target{out.data() + out.size() - 12, 4, region.shape(), {-12, -48}};
  array.source.decode({0, 0}, region, encoded, target, {});
  const ByteVector expected = stored(box_of(content, {6, 7}, region, 4), 4, ByteOrder::big);
  for (Index r = 0; r < 4; ++r)
    for (Index c = 0; c < 5; ++c) {
      const std::byte* element = target.data - 12 * r - 48 * c;
      REQUIRE(std::equal(element, element + 4, expected.begin() + (r * 5 + c) * 4));
    }
  CHECK(std::count(out.begin(), out.end(), std::byte{0x77}) >= 160);
}

TEST_CASE("a region costs its own bytes and few reads", "[memmap]") {
  test::TempDir dir;
  const ByteVector content = test::counted_bytes(2000 * 6000 * 2);
  const OpenedArray array =
      open_memmap(test::write_file(dir / "raw", content), Type::int16, {.shape = {2000, 6000}});
  struct Case {
    const char* what;
    Region region;
    std::size_t bytes;
    Index requests;
  };
  const Case cases[] = {
      {"whole rows are one read", box({{10, 30}, {0, 6000}}), 20 * 12000, 1},
      {"a column is one small read per row", box({{0, 2000}, {5, 6}}), 4000, 2000},
      {"wide gaps are not read", box({{0, 100}, {0, 3000}}), 600'000, 100},
      {"long runs are read in place", box({{0, 10}, {0, 5990}}), 10 * 11980, 10},
      {"one element", box({{1999, 2000}, {5999, 6000}}), 2, 1},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    Fetched fetched;
    CHECK(fetch_in_place(array.source, c.region, &fetched) == box_of(content, {2000, 6000}, c.region, 2));
    CHECK(fetched.encoded_bytes == c.bytes);
    CHECK(fetched.requests == c.requests);
  }
  // Rows of 400 bytes: a column is read together with the gaps, at most 64 KiB at a time.
  const OpenedArray narrow = open_memmap((dir / "raw").string(), Type::int16, {.shape = {2000, 200}});
  Fetched fetched;
  const Region column = box({{0, 2000}, {7, 9}});
  CHECK(fetch_in_place(narrow.source, column, &fetched) == box_of(content, {2000, 200}, column, 2));
  CHECK(fetched.encoded_bytes == 8000);
  CHECK(fetched.requests == 13);  // 163 rows fit 64 KiB
}

TEST_CASE("bytes of bool become 0 and 1, in arrays and in records", "[memmap]") {
  test::TempDir dir;
  const std::string path = test::write_file(
      dir / "raw", {std::byte{0}, std::byte{1}, std::byte{2}, std::byte{0xff}, std::byte{0}, std::byte{7}});
  const auto expect = [](std::initializer_list<int> values) {
    ByteVector bytes;
    for (const int v : values) bytes.push_back(static_cast<std::byte>(v));
    return bytes;
  };
  const OpenedArray plain = open_memmap(path, Type::bool_, {.access = FileAccess::map});
  CHECK_FALSE(plain.source.spec().lends);
  CHECK(test::array_bytes(plain) == expect({0, 1, 1, 1, 0, 1}));
  const DType record = DType::record({{"n", Type::uint8, 0, {}}, {"b", Type::bool_, 1, {}}}, 2);
  CHECK(test::array_bytes(open_memmap(path, record)) == expect({0, 1, 2, 1, 0, 1}));
}

TEST_CASE("carried types keep their bytes, swapped unit by unit where the file is big-endian", "[memmap]") {
  test::TempDir dir;
  const ByteVector content = test::counted_bytes(48);
  const std::string path = test::write_file(dir / "raw", content);
  struct Case {
    DType dtype;
    std::size_t unit;
  };
  for (const Case& c : {Case{DType::carried("S6", 6), 1}, Case{DType::carried("V16", 16), 1},
                        Case{DType::carried("U3", 12), 4}, Case{DType::carried("M8[ns]", 8), 8},
                        Case{DType::carried("bfloat16", 2), 2}}) {
    CAPTURE(c.dtype.name());
    for (const ByteOrder order : {ByteOrder::little, ByteOrder::big}) {
      const OpenedArray array = open_memmap(path, c.dtype, {.byte_order = order});
      CHECK(array.view.shape == Shape{static_cast<Index>(48 / c.dtype.item_bytes())});
      CHECK(test::array_bytes(array) == stored(content, c.unit, order));
    }
  }
}

TEST_CASE("records swap member by member", "[memmap]") {
  test::TempDir dir;
  const DType inner = DType::record({{"x", Type::int16, 0, {}}, {"y", Type::int16, 2, {}}}, 4);
  const DType record = DType::record({{"a", Type::uint8, 0, {}},
                                      {"b", Type::float32, 2, {}},
                                      {"c", Type::complex64, 6, {2}},
                                      {"d", inner, 22, {3}}},
                                     36);
  const ByteVector content = test::counted_bytes(36 * 5);
  const OpenedArray array =
      open_memmap(test::write_file(dir / "raw", content), record, {.byte_order = ByteOrder::big});
  ByteVector expected = content;
  if (!host_is_big)
    for (std::size_t i = 0; i < 5; ++i) {
      const auto turn = [&](std::size_t offset, std::size_t bytes) {
        const auto begin = expected.begin() + static_cast<std::ptrdiff_t>(36 * i + offset);
        std::reverse(begin, begin + static_cast<std::ptrdiff_t>(bytes));
      };
      for (const std::size_t at : {2, 6, 10, 14, 18}) turn(at, 4);
      for (const std::size_t at : {22, 24, 26, 28, 30, 32}) turn(at, 2);
    }
  CHECK(test::array_bytes(array) == expected);
}

TEST_CASE("a member of records is an array of its own, by name or by offset", "[memmap]") {
  test::TempDir dir;
  const DType record = DType::record(
      {{"id", Type::uint16, 0, {}}, {"v", Type::float32, 4, {}}, {"image", Type::int16, 8, {2, 3}}}, 20);
  const ByteVector content = test::counted_bytes(16 + 20 * 600);
  const std::string path = test::write_file(dir / "raw", content);
  const auto member = [&](std::size_t offset, std::size_t bytes) {
    ByteVector out;
    for (std::size_t i = 0; i < 600; ++i) {
      const auto begin = content.begin() + static_cast<std::ptrdiff_t>(16 + 20 * i + offset);
      out.insert(out.end(), begin, begin + static_cast<std::ptrdiff_t>(bytes));
    }
    return out;
  };
  const OpenedArray v = open_memmap(path, {.offset = 16, .record = record, .field = "v"});
  CHECK(v.source.spec().dtype == DType(Type::float32));
  CHECK(v.view.shape == Shape{600});
  CHECK(test::array_bytes(v) == member(4, 4));
  const OpenedArray w = open_memmap(path, Type::float32,
                                    {.shape = {20, 30}, .offset = 16, .record_bytes = 20, .field_offset = 4});
  CHECK(w.view.shape == Shape{20, 30});
  CHECK(test::array_bytes(w) == member(4, 4));
  Fetched fetched;
  fetch_in_place(w.source, box({{0, 20}, {0, 30}}), &fetched);
  CHECK(fetched.encoded_bytes == 2400);
  CHECK(fetched.requests == 1);
  const OpenedArray image =
      open_memmap(path, Type::int16, {.offset = 16, .record = record, .field = "image"});
  CHECK(image.view.shape == Shape{600, 2, 3});
  CHECK(test::array_bytes(image) == member(8, 12));
  CHECK(test::region_bytes(image.source, box({{5, 9}, {1, 2}, {0, 2}})) ==
        box_of(member(8, 12), {600, 2, 3}, box({{5, 9}, {1, 2}, {0, 2}}), 2));
  // In Fortran order the members stay as they are inside.
  const OpenedArray turned = open_memmap(
      path, Type::int16,
      {.shape = {20, 30}, .offset = 16, .order = ElementOrder::F, .record = record, .field = "image"});
  CHECK(turned.view.shape == Shape{20, 30, 2, 3});
  const ByteVector all = test::array_bytes(turned), plain = member(8, 12);
  for (std::size_t i = 0; i < 20; ++i)
    for (std::size_t j = 0; j < 30; ++j)
      REQUIRE(std::equal(all.begin() + static_cast<std::ptrdiff_t>((i * 30 + j) * 12),
                         all.begin() + static_cast<std::ptrdiff_t>((i * 30 + j + 1) * 12),
                         plain.begin() + static_cast<std::ptrdiff_t>((j * 20 + i) * 12)));
}

TEST_CASE("an extent of -1 is as many as the file holds", "[memmap]") {
  test::TempDir dir;
  const std::string path = test::write_file(dir / "raw", ByteVector(8 + 240));
  struct Case {
    Shape shape;
    Shape expected;
  };
  for (const Case& c :
       {Case{{-1}, {60}}, Case{{-1, 5}, {12, 5}}, Case{{3, -1, 5}, {3, 4, 5}}, Case{{60, -1}, {60, 1}}}) {
    CAPTURE(to_string(c.shape));
    CHECK(open_memmap(path, Type::float32, {.shape = c.shape, .offset = 8}).view.shape == c.expected);
  }
  CHECK(open_memmap(path, Type::float32, {.offset = 248}).view.shape == Shape{0});
  CHECK(open_memmap(path, Type::float32, {.shape = {}, .offset = 8}).view.shape == Shape{});
  CHECK(open_memmap(path, Type::float32, {.shape = {0, 7}}).view.shape == Shape{0, 7});
}

TEST_CASE("what does not fit the file is refused with path, expected and got", "[memmap]") {
  test::TempDir dir;
  const std::string path = test::write_file(dir / "raw", ByteVector(101));
  const DType record = DType::record({{"a", Type::int32, 0, {}}, {"b", Type::int16, 4, {}}}, 8);
  struct Case {
    MemmapOptions options;
    Errc code;
    std::string reason;
  };
  const Case cases[] = {
      {{.shape = {26}, .dtype = Type::int32}, Errc::corrupt_data, "expected at least 104 bytes, got 101"},
      {{.shape = {25}, .offset = 2, .dtype = Type::int32},
       Errc::corrupt_data,
       "expected at least 102 bytes, got 101"},
      {{.dtype = Type::int32},
       Errc::corrupt_data,
       "expected a multiple of 4 bytes after offset 0, got 101 (remainder 1)"},
      {{.shape = {-1, 10}, .offset = 1, .dtype = Type::int32},
       Errc::corrupt_data,
       "expected a multiple of 40 bytes after offset 1, got 100 (remainder 20)"},
      {{.offset = 102, .dtype = Type::int8}, Errc::invalid_argument, "expected 0 to 101 bytes, got 102"},
      {{.offset = -1, .dtype = Type::int8}, Errc::invalid_argument, "expected 0 to 101 bytes, got -1"},
      {{.shape = {-1, -1}, .dtype = Type::int8}, Errc::invalid_argument, "at most one -1, got (-1, -1)"},
      {{.shape = {-2}, .dtype = Type::int8},
       Errc::invalid_argument,
       "expected extents >= 0 and at most one -1, got (-2,)"},
      {{.shape = {-1, 0}, .dtype = Type::int8}, Errc::invalid_argument, "expected all extents, got (-1, 0)"},
      {{.shape = {Index{1} << 40, Index{1} << 40}, .dtype = Type::int8},
       Errc::overflow,
       "got 1099511627776 x 1099511627776"},
      {{.shape = {INT64_MAX}, .dtype = Type::int16}, Errc::overflow, "expected a product below 2^63"},
      {{.shape = {10}, .offset = INT64_MAX, .dtype = Type::int16},
       Errc::invalid_argument,
       "expected 0 to 101 bytes"},
      {{}, Errc::invalid_argument, "no element type"},
      {{.record = record}, Errc::invalid_argument, "a record without a field"},
      {{.record = record, .field = "c"}, Errc::invalid_argument, "expected one of a, b, got 'c'"},
      {{.field = "c"}, Errc::invalid_argument, "expected a record dtype in options.record, got 'c'"},
      {{.dtype = Type::int32, .record = record, .field = "b"},
       Errc::dtype_mismatch,
       "expected int32, got int16"},
      {{.record = record, .field = "b", .record_bytes = 8},
       Errc::invalid_argument,
       "the field is given twice"},
      {{.dtype = Type::int32, .record_bytes = 8, .field_offset = 5},
       Errc::invalid_argument,
       "expected field_offset + 4 <= 8 bytes, got field_offset 5"},
      {{.dtype = Type::int32, .record_bytes = 3},
       Errc::invalid_argument,
       "expected field_offset + 4 <= 3 bytes"},
      {{.dtype = Type::int32, .record_bytes = 8, .field_offset = -1},
       Errc::invalid_argument,
       "got field_offset -1"},
      {{.shape = Shape(33, 1), .dtype = Type::int8}, Errc::invalid_argument, "expected at most 32, got 33"},
  };
  for (const Case& c : cases) {
    const auto [code, message] = test::error_of([&] { open_memmap(path, c.options); });
    CHECK_THAT(message, Contains(c.reason));
    CAPTURE(message);
    CHECK(code == c.code);
  }
  CHECK_THAT(test::error_of([&] { open_memmap(path, cases[2].options); }).second,
             Contains("opening '" + path + "'"));
  const auto [code, message] =
      test::error_of([&] { open_memmap(path, Type::int16, {.dtype = Type::int32}); });
  CHECK(code == Errc::dtype_mismatch);
  CHECK(test::error_of([&] { open_memmap((dir / "none").string(), Type::int8); }).first == Errc::not_found);
}

TEST_CASE("a mapped source lends what the file holds, where nothing must be mended", "[memmap]") {
  test::TempDir dir;
  const ByteVector content = test::counted_bytes(4 + 300 * 400 * 4);
  const std::string path = test::write_file(dir / "raw", content);
  const OpenedArray array =
      open_memmap(path, Type::int32, {.shape = {300, 400}, .offset = 4, .access = FileAccess::map});
  REQUIRE(array.source.spec().lends);
  const ByteVector elements(content.begin() + 4, content.end());
  for (const Region& region : {box({{0, 300}, {0, 400}}), box({{10, 20}, {0, 400}}),
                               box({{7, 9}, {100, 103}}), box({{299, 300}, {399, 400}})}) {
    CAPTURE(to_string(region));
    const BufferView view = array.source.lend(region);
    ByteVector copy(static_cast<std::size_t>(region.size()) * 4);
    copy_elements(view, BufferView::c_order(copy.data(), region.shape(), 4));
    CHECK(copy == box_of(elements, {300, 400}, region, 4));
    array.source.release(region);
    copy_elements(view, BufferView::c_order(copy.data(), region.shape(), 4));  // dropped pages come back
    CHECK(copy == box_of(elements, {300, 400}, region, 4));
    CHECK(fetch_in_place(array.source, region) == copy);
  }
  CHECK_FALSE(open_memmap(path, Type::int32,
                          {.shape = {5},
                           .byte_order = host_is_big ? ByteOrder::little : ByteOrder::big,
                           .access = FileAccess::map})
                  .source.spec()
                  .lends);
  const OpenedArray field = open_memmap(
      path, Type::int16, {.shape = {100}, .record_bytes = 10, .field_offset = 2, .access = FileAccess::map});
  REQUIRE(field.source.spec().lends);
  CHECK(field.source.lend(box({{2, 5}})).strides == Dims{10});
  CHECK_FALSE(
      open_memmap(path, Type::int32, {.shape = {5}, .access = FileAccess::pread}).source.spec().lends);
  // Kernels read lent elements where they lie: those at odd addresses are fetched.
  CHECK_FALSE(open_memmap(path, Type::int32, {.shape = {5}, .offset = 3, .access = FileAccess::map})
                  .source.spec()
                  .lends);
}

TEST_CASE("releasing a region drops it from the page cache where asked", "[memmap]") {
  test::TempDir dir;
  const ByteVector content = test::counted_bytes(4 << 20);
  const std::string path = test::write_file(dir / "raw", content);
  const int fd = open(path.c_str(), O_RDONLY);
  REQUIRE((fd >= 0 && fsync(fd) == 0));
  close(fd);
  const OpenedArray array = open_memmap(path, Type::uint8, {.drop_cache = true});
  const Region all = Region::of(array.view.shape);
  CHECK(fetch_in_place(array.source, all) == content);
  Fetched fetched;
  CHECK(fetch_in_place(array.source, all, &fetched, FetchMode::cached_only) == content);
  CHECK(fetched.state == Fetched::State::filled);
  array.source.release(all);
  const ByteVector again = fetch_in_place(array.source, all, &fetched, FetchMode::cached_only);
  if (fetched.state == Fetched::State::filled) {
    WARN("the file system keeps released pages or cannot tell");
    CHECK(again == content);
  }
  CHECK(fetch_in_place(array.source, all) == content);
}

TEST_CASE("identity tells arrays in one file apart, version tells states of the file", "[memmap]") {
  test::TempDir dir;
  const std::string path = test::write_file(dir / "raw", ByteVector(64));
  const auto identity = [&](const MemmapOptions& options) {
    return open_memmap(path, options).source.identity();
  };
  const std::string base = identity({.dtype = Type::int32});
  CHECK(base == identity({.shape = {16}, .dtype = Type::int32}));
  CHECK(base.substr(0, 7) == "memmap:");
  for (const MemmapOptions& other :
       {MemmapOptions{.dtype = Type::float32}, MemmapOptions{.shape = {8}, .dtype = Type::int32},
        MemmapOptions{.offset = 4, .dtype = Type::int32},
        MemmapOptions{.shape = {4, 4}, .dtype = Type::int32},
        MemmapOptions{.byte_order = host_is_big ? ByteOrder::little : ByteOrder::big, .dtype = Type::int32},
        MemmapOptions{.dtype = Type::int32, .record_bytes = 8}})
    CHECK(identity(other) != base);
  const OpenedArray array = open_memmap(path, Type::int32);
  const OpenedArray mapped = open_memmap(path, Type::int32, {.access = FileAccess::map});
  const std::string before = array.source.version();
  CHECK(array.source.version() == before);
  REQUIRE(truncate(path.c_str(), 32) == 0);
  CHECK(array.source.version() != before);
  CHECK(mapped.source.version() != before);
  CHECK(test::error_of([&] { mapped.source.lend(box({{0, 16}})); }).first == Errc::source_changed);
  CHECK(test::error_of([&] {
          test::region_bytes(array.source, box({{0, 16}}));
        }).first == Errc::source_changed);
}

TEST_CASE("too little room or a wrong number of encoded bytes is refused, not overrun", "[memmap]") {
  test::TempDir dir;
  const OpenedArray array = open_memmap(test::write_file(dir / "raw", ByteVector(64)), Type::int32);
  ByteVector room(63), out(64);
  const Region all = box({{0, 16}});
  CHECK(test::error_of([&] { array.source.fetch({0}, all, room, FetchMode::wait, {}); }).first ==
        Errc::internal_error);
  CHECK(test::error_of([&] {
          array.source.decode({0}, all, room, BufferView::c_order(out.data(), {16}, 4), {});
        }).first == Errc::corrupt_data);
}
