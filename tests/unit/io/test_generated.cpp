#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <morsel/conformance/chunk_source.hpp>
#include <morsel/io/generated.hpp>
#include <morsel/io/read_region.hpp>
#include <sstream>

#include "numpy_values.hpp"

using namespace morsel;

namespace {

std::vector<std::byte> read_all(const AnyChunkSource& source) {
  const Shape shape = source.spec().shape();
  std::vector<std::byte> bytes(static_cast<std::size_t>(size_of(shape)) * source.spec().dtype.item_bytes());
  read_region(source, Region::of(shape),
              BufferView::c_order(bytes.data(), shape, source.spec().dtype.item_bytes()));
  return bytes;
}

template <class T>
std::vector<T> values_of(const AnyChunkSource& source) {
  const std::vector<std::byte> bytes = read_all(source);
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(static_cast<void*>(values.data()), bytes.data(), bytes.size());
  return values;
}

std::string hex(const std::byte* bytes, std::size_t n) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < n; ++i) {
    text += digits[static_cast<unsigned>(bytes[i]) >> 4];
    text += digits[static_cast<unsigned>(bytes[i]) & 15];
  }
  return text;
}

std::string error_of(const std::function<void()>& f, Errc expected) {
  try {
    f();
  } catch (const Error& e) {
    CHECK(name_of(e.code()) == name_of(expected));
    return e.what();
  }
  FAIL("no error");
  return {};
}

}  // namespace

TEST_CASE("arange and linspace give NumPy's bits", "[io][generated]") {
  for (const test::NumpyValues& row : test::numpy_values) {
    const std::string function = row.function;
    INFO(function << " " << name_of(row.type) << " " << row.a << " " << row.b << " " << row.c);
    const AnyChunkSource source =
        function == "arange_float" ? arange_source(row.type, row.a, row.b, row.c)
        : function == "arange_int"
            ? arange_source(row.type, static_cast<Index>(row.a), static_cast<Index>(row.b),
                            static_cast<Index>(row.c))
            : linspace_source(row.type, row.a, row.b, static_cast<Index>(row.c),
                              function == "linspace_in" ? Endpoint::included : Endpoint::excluded);
    REQUIRE(source.spec().shape() == Shape{row.length});
    const std::vector<std::byte> bytes = read_all(source);
    const std::size_t item_bytes = item_bytes_of(row.type);
    std::istringstream rows(row.bytes);
    for (std::string cell; std::getline(rows, cell, ';');) {
      const std::size_t equals = cell.find('='), index = std::stoul(cell.substr(0, equals));
      INFO("element " << index);
      REQUIRE(hex(bytes.data() + index * item_bytes, item_bytes) == cell.substr(equals + 1));
    }
  }
}

TEST_CASE("far along an arange of float the position itself is rounded, as in NumPy", "[io][generated]") {
  const AnyChunkSource source = arange_source(Type::float32, 0.1, 2e6, 0.1);
  REQUIRE(source.spec().shape() == Shape{19999999});
  for (const auto& [index, want] :
       {std::pair<Index, const char*>{16777217, "cecccc49"}, {19999998, "0024f449"}}) {
    std::byte value[4];
    const Region region{{index}, {index + 1}};
    read_region(source, region, BufferView::c_order(value, {1}, 4));
    CHECK(hex(value, 4) == want);
  }
}

TEST_CASE("any part of an arange or linspace equals that part of the whole", "[io][generated]") {
  const std::function<AnyChunkSource()> sources[] = {
      [] { return arange_source(Type::float32, 0.1, 30.0, 0.1); },
      [] { return arange_source(Type::float16, 0.1, 30.0, 0.1); },
      [] { return arange_source(Type::complex64, 0.1, 30.0, 0.1); },
      [] { return arange_source(Type::uint8, Index{0}, Index{600}, Index{1}); },
      [] { return arange_source(Type::int64, Index{5}, Index{5}, Index{1}); },
      [] { return arange_source(Type::bool_, Index{0}, Index{2}, Index{1}); },
      [] { return linspace_source(Type::float64, -1, 1, 333); },
      [] { return linspace_source(Type::int16, -1000, 1000, 77, Endpoint::excluded); },
      [] { return linspace_source(Type::complex128, 0, 1, 10); },
  };
  for (const auto& make : sources) {
    const std::vector<std::byte> whole = read_all(make());
    conformance::check_source(make, whole);
    CHECK_FALSE(make().spec().does_io);
    CHECK(make().identity() == make().identity());
  }
}

TEST_CASE("equal arange identities mean equal values", "[io][generated]") {
  const std::string a = arange_source(Type::float64, 0.0, 10.0, 0.5).identity();
  CHECK(a == arange_source(Type::float64, 0.0, 9.9, 0.5).identity());
  CHECK(a != arange_source(Type::float64, 0.0, 10.5, 0.5).identity());
  CHECK(a != arange_source(Type::float32, 0.0, 10.0, 0.5).identity());
  CHECK(linspace_source(Type::float64, 0, 1, 5).identity() !=
        linspace_source(Type::float64, 0, 1, 5, Endpoint::excluded).identity());
}

TEST_CASE("an arange that cannot be is refused with the reason", "[io][generated]") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  CHECK(error_of([] { arange_source(Type::int32, Index{0}, Index{5}, Index{0}); }, Errc::invalid_argument) ==
        "arange: the step is zero; expected another number, got 0");
  CHECK(
      error_of([] { arange_source(Type::uint8, Index{0}, Index{-3}, Index{-1}); }, Errc::invalid_argument) ==
      "arange: an element does not fit uint8; expected 0 to 255, got -1");
  error_of([] { arange_source(Type::int8, Index{128}, Index{200}, Index{1}); }, Errc::invalid_argument);
  error_of([] { arange_source(Type::uint8, -1.5, 3.0, 1.0); }, Errc::invalid_argument);
  error_of([] { arange_source(Type::int64, 1e19, 3e19, 1e19); }, Errc::invalid_argument);
  error_of([&] { arange_source(Type::float64, 0.0, nan, 1.0); }, Errc::invalid_argument);
  error_of([&] { arange_source(Type::float64, 0.0, 1.0, 0.0); }, Errc::invalid_argument);
  error_of([&] { arange_source(Type::float64, 0.0, inf, 1.0); }, Errc::overflow);
  error_of([] { arange_source(Type::bool_, Index{0}, Index{3}, Index{1}); }, Errc::invalid_argument);
  error_of([] { arange_source(Type::carried, Index{0}, Index{3}, Index{1}); }, Errc::dtype_mismatch);
  error_of([] { linspace_source(Type::float64, 0, 1, -1); }, Errc::invalid_argument);
  const Index most = std::numeric_limits<Index>::max(), least = std::numeric_limits<Index>::min();
  error_of([=] { arange_source(Type::int64, least, most, Index{1}); }, Errc::overflow);
  CHECK(values_of<std::int64_t>(arange_source(Type::int64, least, most, most)) ==
        std::vector<std::int64_t>{least, -1, most - 1});
  CHECK(values_of<std::int64_t>(arange_source(Type::int64, most, least, least)) ==
        std::vector<std::int64_t>{most, -1});
}

TEST_CASE("lengths of arange at the edge of double are NumPy's", "[io][generated]") {
  CHECK(arange_source(Type::float64, 0.0, 1e-320, 1e300).spec().shape() == Shape{1});
  CHECK(arange_source(Type::float64, 0.0, -1e-320, 1e300).spec().shape() == Shape{0});
  CHECK(arange_source(Type::float64, 0.0, -1.0, 0.1).spec().shape() == Shape{0});
}

TEST_CASE("a linspace of integers floors, and saturates instead of wrapping", "[io][generated]") {
  CHECK(values_of<std::int32_t>(linspace_source(Type::int32, -3.5, 3.5, 8)) ==
        std::vector<std::int32_t>{-4, -3, -2, -1, 0, 1, 2, 3});
  CHECK(values_of<std::uint8_t>(linspace_source(Type::uint8, -100, 500, 3)) ==
        std::vector<std::uint8_t>{0, 200, 255});
}

TEST_CASE("a full array lends one element with strides 0, whatever its shape", "[io][generated]") {
  const double value = -2.5;
  const AnyChunkSource source = full_source(Type::float64, {1000000, 1000000, 1000}, &value);
  CHECK(source.spec().lends);
  const BufferView lent = source.lend({{5, 6, 7}, {500, 600, 700}});
  CHECK(lent.strides == Dims{0, 0, 0});
  CHECK(lent.shape == Shape{495, 594, 693});
  CHECK(*reinterpret_cast<const double*>(lent.data) == -2.5);
  const std::vector<double> few(24, value);
  for (const Shape& shape : {Shape{}, Shape{24}, Shape{2, 3, 4}, Shape{0, 5}})
    conformance::check_source([&] { return full_source(Type::float64, shape, &value); },
                              std::as_bytes(std::span(few).first(static_cast<std::size_t>(size_of(shape)))));
  const char text[] = "abcdefghijklmnopqrstuvwxyz";
  std::string twice = text;
  twice += text;
  conformance::check_source([&] { return full_source(DType::carried("S26", 26), {2}, text); },
                            std::as_bytes(std::span(twice)));
}

TEST_CASE("equal full arrays are the same data", "[io][generated]") {
  const float one = 1, two = 2;
  const std::string a = full_source(Type::float32, {3}, &one).identity();
  CHECK(a == full_source(Type::float32, {3}, &one).identity());
  CHECK(a != full_source(Type::float32, {3}, &two).identity());
  CHECK(a != full_source(Type::float32, {4}, &one).identity());
  CHECK(a != full_source(Type::int32, {3}, &one).identity());
}

namespace {

struct Affine {
  Index a, b;
};

void fill_affine(const void* state, const Region& region, const BufferView& out) {
  const auto& affine = *static_cast<const Affine*>(state);
  for_each_position(region, [&](const Dims& at) {
    std::byte* element = out.data;
    for (std::size_t i = 0; i < at.size(); ++i) element += (at[i] - region.lo[i]) * out.strides[i];
    const Index value = affine.a * at[0] + affine.b * at[1];
    std::memcpy(element, &value, sizeof value);
  });
}

}  // namespace

TEST_CASE("a function array computes any region on any thread", "[io][generated]") {
  auto state = std::make_shared<Affine>();
  state->a = 1000;
  state->b = 3;
  std::vector<Index> expected;
  for (Index i = 0; i < 20; ++i)
    for (Index j = 0; j < 30; ++j) expected.push_back(1000 * i + 3 * j);
  const AnyChunkSource source = function_source(Type::int64, {20, 30}, state, &fill_affine);
  conformance::check_source([&] { return source; }, std::as_bytes(std::span(expected)));
  CHECK(source.identity() != function_source(Type::int64, {20, 30}, state, &fill_affine).identity());
}

TEST_CASE("what a user's function throws is a user error that names the region", "[io][generated]") {
  const AnyChunkSource source = function_source(
      Type::int64, {20, 30}, nullptr,
      [](const void*, const Region&, const BufferView&) { throw std::runtime_error("no such thing"); });
  std::vector<Index> room(4);
  const Region region{{2, 4}, {4, 6}};
  CHECK(error_of(
            [&] {
              read_region(source, region, BufferView::c_order(room.data(), {2, 2}, 8));
            },
            Errc::user_error) ==
        "computing region [2:4, 4:6] of a function array: a user's function threw; expected it to return, "
        "got 'no such thing'");
  error_of([] { function_source(Type::int64, {3}, nullptr, nullptr); }, Errc::invalid_argument);
}
