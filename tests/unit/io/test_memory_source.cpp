#include <catch2/catch.hpp>
#include <morsel/conformance/chunk_source.hpp>
#include <morsel/io/memory_source.hpp>
#include <morsel/io/read_region.hpp>
#include <numeric>

using namespace morsel;

namespace {

std::vector<std::int32_t> counting(std::size_t n) {
  std::vector<std::int32_t> values(n);
  std::iota(values.begin(), values.end(), 1);
  return values;
}

Errc code_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.code();
  }
  return Errc::internal_error;
}

}  // namespace

TEST_CASE("memory of any strides is a lawful source", "[io][memory_source]") {
  auto values = counting(120);
  const Shape shapes[] = {{}, {120}, {10, 12}, {2, 3, 4, 5}, {120, 1}, {0}, {3, 0}};
  for (const Shape& shape : shapes) {
    const BufferView view = BufferView::c_order(values.data(), shape, 4);
    const auto n = static_cast<std::size_t>(size_of(shape));
    conformance::check_source([&] { return borrowed_source(Type::int32, view); },
                              std::as_bytes(std::span(values).first(n)));
    CHECK(borrowed_source(Type::int32, view).spec().shape() == shape);
  }
  // Backwards along the rows, transposed, every other column.
  const BufferView odd{reinterpret_cast<std::byte*>(values.data() + 9 * 12), 4, {6, 10}, {8, -48}};
  std::vector<std::int32_t> expected;
  for (int i = 0; i < 6; ++i)
    for (int j = 0; j < 10; ++j) expected.push_back(values[static_cast<std::size_t>((9 - j) * 12 + 2 * i)]);
  conformance::check_source([&] { return borrowed_source(Type::int32, odd); },
                            std::as_bytes(std::span(expected)));
}

TEST_CASE("a memory source lends the memory itself", "[io][memory_source]") {
  auto values = counting(12);
  const AnyChunkSource source = borrowed_source(Type::int32, BufferView::c_order(values.data(), {3, 4}, 4));
  CHECK(source.spec().lends);
  CHECK_FALSE(source.spec().does_io);
  CHECK_FALSE(source.spec().has_native_chunks);
  const BufferView lent = source.lend({{1, 1}, {3, 3}});
  CHECK(lent.data == reinterpret_cast<std::byte*>(values.data() + 5));
  CHECK(lent.shape == Shape{2, 2});
  CHECK(lent.strides == Dims{16, 4});
}

TEST_CASE("an owning source keeps its memory until the last copy goes", "[io][memory_source]") {
  auto values = std::make_shared<std::vector<std::int32_t>>(counting(6));
  const std::weak_ptr<std::vector<std::int32_t>> alive = values;
  AnyChunkSource first = memory_source(Type::int32, BufferView::c_order(values->data(), {6}, 4), values);
  values.reset();
  AnyChunkSource second = first;
  first = AnyChunkSource();
  REQUIRE_FALSE(alive.expired());
  std::vector<std::int32_t> got(6);
  read_region(second, Region::of({6}), BufferView::c_order(got.data(), {6}, 4));
  CHECK(got == counting(6));
  second = AnyChunkSource();
  CHECK(alive.expired());
}

TEST_CASE("two memory sources are never the same data to the engine", "[io][memory_source]") {
  auto values = counting(6);
  const BufferView view = BufferView::c_order(values.data(), {6}, 4);
  const AnyChunkSource a = borrowed_source(Type::int32, view), b = borrowed_source(Type::int32, view);
  CHECK(a.identity() != b.identity());
  CHECK(a.identity() == AnyChunkSource(a).identity());
  CHECK(a.version() == b.version());
}

TEST_CASE("memory that does not fit its description is refused", "[io][memory_source]") {
  auto values = counting(6);
  const BufferView good = BufferView::c_order(values.data(), {6}, 4);
  CHECK(code_of([&] { borrowed_source(Type::int64, good); }) == Errc::dtype_mismatch);
  BufferView bad = good;
  bad.strides = {4, 4};
  CHECK(code_of([&] { borrowed_source(Type::int32, bad); }) == Errc::invalid_argument);
  bad = good;
  bad.data = nullptr;
  CHECK(code_of([&] { borrowed_source(Type::int32, bad); }) == Errc::invalid_argument);
  bad = good;
  bad.shape = {-1};
  CHECK(code_of([&] { borrowed_source(Type::int32, bad); }) == Errc::invalid_argument);
  bad.shape = {Index{1} << 62};
  CHECK(code_of([&] { borrowed_source(Type::int32, bad); }) == Errc::overflow);
}

TEST_CASE("read_region refuses room that does not fit", "[io][read_region]") {
  auto values = counting(12);
  const AnyChunkSource source = borrowed_source(Type::int32, BufferView::c_order(values.data(), {3, 4}, 4));
  std::vector<std::int64_t> room(12);
  const auto read = [&](const Region& region, const Shape& shape, std::size_t item_bytes) {
    read_region(source, region, BufferView::c_order(room.data(), shape, item_bytes));
  };
  CHECK(code_of([&] { read({{0}, {3}}, {3}, 4); }) == Errc::shape_mismatch);
  CHECK(code_of([&] { read({{0, 0}, {3, 5}}, {3, 5}, 4); }) == Errc::shape_mismatch);
  CHECK(code_of([&] { read({{0, -1}, {3, 1}}, {3, 2}, 4); }) == Errc::shape_mismatch);
  CHECK(code_of([&] { read({{0, 0}, {3, 4}}, {4, 3}, 4); }) == Errc::shape_mismatch);
  CHECK(code_of([&] { read({{0, 0}, {3, 4}}, {3, 4}, 8); }) == Errc::shape_mismatch);
  read({{1, 1}, {1, 3}}, {0, 2}, 4);
  CHECK(room[0] == 0);
}
