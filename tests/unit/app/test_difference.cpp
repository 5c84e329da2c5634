#include <app/difference.hpp>
#include <catch2/catch.hpp>
#include <cstring>
#include <support/test_source.hpp>

using namespace morsel;
using app::Difference;
using app::Session;

namespace {

/// An array of doubles 0, 1, 2, ... in chunks, and the log of its reads.
struct Stored {
  std::shared_ptr<test::Whole> values = std::make_shared<test::Whole>();
  std::shared_ptr<test::ReadLog> log = std::make_shared<test::ReadLog>();

  explicit Stored(const Shape& shape, const DType& dtype = Type::float64) {
    values->dtype = dtype;
    values->shape = shape;
    values->bytes.resize(static_cast<std::size_t>(size_of(shape)) * 8);
    for (Index i = 0; i < size_of(shape); ++i) set(i, static_cast<double>(i));
  }
  void set(Index i, double value) {
    std::memcpy(values->bytes.data() + static_cast<std::size_t>(i) * 8, &value, 8);
  }
  Edge edge(const Shape& chunk) const {
    test::TestSourceOptions options;
    options.grid = Grid::regular(values->shape, chunk);
    options.name = std::to_string(reinterpret_cast<std::uintptr_t>(values.get()));
    const Dims& shape = values->shape;
    return make_source(test::TestSource(values, options, log), View::identity(shape), {}, "stored");
  }
};

Session session_of(const char* threads, const char* memory) {
  Session session;
  session.threads = threads;
  session.memory = memory;
  session.progress = false;
  return session;
}

double as_double(const std::vector<std::byte>& bytes) {
  double value = 0;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

}  // namespace

TEST_CASE("a comparison reads each chunk of both arrays once") {
  const DType dtype = GENERATE(DType(Type::float64), DType::carried("V8", 8));
  const Shape chunk_of_b = GENERATE(Shape{10, 10}, Shape{20, 20}, Shape{5, 40}, Shape{40, 5}, Shape{7, 9});
  const Stored a({40, 40}, dtype), b({40, 40}, dtype);
  Session session = session_of("2", "16MiB");
  const Difference difference = difference_of(session, a.edge({10, 10}), b.edge(chunk_of_b), {});
  CHECK(difference.different == 0);
  CHECK(difference.first.empty());
  CHECK_FALSE(difference.absolute);
  CHECK_FALSE(difference.relative);
  CHECK(a.log->most_reads_of_a_chunk() == 1);
  CHECK(b.log->most_reads_of_a_chunk() == 1);
  CHECK(a.log->touched().size() == 16);
}

TEST_CASE("the places of a comparison do not depend on chunks, threads and budget") {
  const DType dtype = GENERATE(DType(Type::float64), DType::carried("V8", 8));
  const Shape chunk = GENERATE(Shape{40, 40}, Shape{3, 40}, Shape{40, 3}, Shape{7, 9});
  const char* threads = GENERATE("1", "3");
  const char* memory = GENERATE("1MiB", "64MiB");
  const Stored a({40, 40}, dtype);
  Stored b({40, 40}, dtype);
  // 25 places, from the last to the first; the largest error is at two of them.
  for (Index k = 0; k < 25; ++k) b.set(1599 - 60 * k, static_cast<double>(1599 - 60 * k) - 1.0);
  b.set(1599 - 60 * 7, static_cast<double>(1599 - 60 * 7) - 2.0);
  b.set(1599 - 60 * 3, static_cast<double>(1599 - 60 * 3) - 2.0);
  Session session = session_of(threads, memory);
  const Difference difference = difference_of(session, a.edge({10, 10}), b.edge(chunk), {});
  CHECK(difference.different == 25);
  REQUIRE(difference.first.size() == app::most_places);
  for (Index k = 0; k < 10; ++k) {
    const Index place = 159 + 60 * k;  // 1599 - 60 * (24 - k)
    const app::ElementPair& pair = difference.first[static_cast<std::size_t>(k)];
    CHECK(pair.index == Dims{place / 40, place % 40});
    CHECK(as_double(pair.a) == static_cast<double>(place));
    CHECK(as_double(pair.b) == static_cast<double>(place) - 1);
  }
  if (!dtype.is_numeric()) {
    CHECK_FALSE(difference.absolute);
    return;
  }
  REQUIRE(difference.absolute);
  CHECK(std::get<double>(difference.absolute->value) == 2);
  CHECK(difference.absolute->at.index == Dims{1179 / 40, 1179 % 40});
  REQUIRE(difference.relative);
  CHECK(std::get<double>(difference.relative->value) == 1 / 158.0);
  CHECK(difference.relative->at.index == Dims{159 / 40, 159 % 40});
}
