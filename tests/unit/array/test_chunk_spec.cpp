#include <catch2/catch.hpp>
#include <limits>
#include <morsel/array/chunk_spec.hpp>
#include <morsel/base/bytes.hpp>
#include <random>

using namespace morsel;

namespace {

std::string grid_of(const ChunkSpec& spec, const Shape& shape, std::size_t item_bytes = 8,
                    const Grid* native = nullptr) {
  return to_string(resolve_chunks(spec, shape, item_bytes, native));
}

std::string chunk_of(const ChunkSpec& spec, const Shape& shape, std::size_t item_bytes,
                     const Grid* native = nullptr) {
  return to_string(resolve_chunks(spec, shape, item_bytes, native).chunk_shape());
}

std::size_t chunk_bytes(const Grid& grid, std::size_t item_bytes) {
  return static_cast<std::size_t>(size_of(grid.chunk_shape())) * item_bytes;
}

}  // namespace

TEST_CASE("chunks asked for by number, list and -1 follow dask's rules", "[array]") {
  CHECK(grid_of(4, {10, 6}) == "((4, 4, 2), (4, 2))");
  CHECK(grid_of(-1, {10, 6}) == "((10,), (6,))");
  CHECK(grid_of({4, 3}, {10, 6}) == "((4, 4, 2), (3, 3))");
  CHECK(grid_of({4, -1}, {10, 6}) == "((4, 4, 2), (6,))");
  CHECK(grid_of({100, 100}, {10, 6}) == "((10,), (6,))");
  CHECK(grid_of({{2, 3, 5}, 3}, {10, 6}) == "((2, 3, 5), (3, 3))");
  CHECK(grid_of({2, 3, 5}, {10}) == "((2, 3, 5),)");
  CHECK(grid_of({5, 5}, {10}) == "((5, 5),)");
  CHECK(grid_of({{10}}, {10}) == "((10,),)");
  CHECK(grid_of({10}, {10}) == "((10,),)");
  CHECK(grid_of({4}, {10}) == "((4, 4, 2),)");
  CHECK(grid_of(std::vector<AxisChunks>{4, "auto"}, {10, 6}) == "((4, 4, 2), (6,))");
  CHECK(grid_of({}, {10, 6}) == "((10,), (6,))");
  CHECK(grid_of(3, {}) == "()");
  CHECK(grid_of({}, {}) == "()");
  CHECK(grid_of(3, {0, 4}) == "((), (3, 1))");
  CHECK(grid_of(-1, {0}) == "((),)");
  CHECK(grid_of(0, {0}) == "((),)");
  CHECK(grid_of({{0}}, {0}) == "((),)");
  CHECK(grid_of("auto", {0, 4}) == "((), (4,))");
  CHECK(grid_of(std::size_t{4}, {10}) == "((4, 4, 2),)");
}

TEST_CASE("chunks are read from text", "[array]") {
  const std::pair<const char*, const char*> table[] = {
      {"4", "((4, 4, 2), (4, 2))"},
      {"(4)", "((4, 4, 2), (4, 2))"},
      {"4,3", "((4, 4, 2), (3, 3))"},
      {" ( 4 , 3 ) ", "((4, 4, 2), (3, 3))"},
      {"(4, 3,)", "((4, 4, 2), (3, 3))"},
      {"[4,3]", "((4, 4, 2), (3, 3))"},
      {"-1", "((10,), (6,))"},
      {"-1,2", "((10,), (2, 2, 2))"},
      {"auto", "((10,), (6,))"},
      {"auto,2", "((10,), (2, 2, 2))"},
      {"(2,3,5),3", "((2, 3, 5), (3, 3))"},
      {"((2,3,5),(1,5))", "((2, 3, 5), (1, 5))"},
      {"((2, 3, 5), (6,))", "((2, 3, 5), (6,))"},
      {"[[2,3,5],6]", "((2, 3, 5), (6,))"},
      {"480B", "((10,), (6,))"},
      {"479B", "((9, 1), (6,))"},
      {"96 B", "((2, 2, 2, 2, 2), (6,))"},
      {"95B", "((1, 1, 1, ... 6 more, 1), (6,))"},
      {"16B", "((1, 1, 1, ... 6 more, 1), (2, 2, 2))"},
      {"1B", "((1, 1, 1, ... 6 more, 1), (1, 1, 1, 1, 1, 1))"},
      {"1KiB", "((10,), (6,))"},
      {"4,16B", "((4, 4, 2), (1, 1, 1, 1, 1, 1))"},
      {"4,96B", "((4, 4, 2), (3, 3))"},
  };
  for (const auto& [text, grid] : table) {
    INFO(text);
    CHECK(grid_of(ChunkSpec::parse(text), {10, 6}) == grid);
    CHECK(grid_of(text, {10, 6}) == grid);
    CHECK(grid_of(std::string(text), {10, 6}) == grid);
  }
  CHECK(grid_of("2,3,5", {10}) == "((2, 3, 5),)");
  CHECK(grid_of("(2,3,5)", {10}) == "((2, 3, 5),)");
  CHECK(grid_of("((2,3,5),)", {10}) == "((2, 3, 5),)");
  CHECK(grid_of("(5,)", {10}) == "((5, 5),)");
}

TEST_CASE("text that means no chunks is refused", "[array]") {
  for (const char* text : {"",          " ",      "()",
                           "x",         "4;3",    "4,,3",
                           ",4",        "(4",     "4)",
                           "(4,3",      "((4),3", "4 3",
                           "1.5",       "(1,x)",  "((1,2),(x))",
                           "(((1,2)))", "-5MiB",  "0B",
                           "auto auto", "MiB",    "99999999999999999999"}) {
    INFO(text);
    try {
      ChunkSpec::parse(text);
      FAIL("not refused");
    } catch (const Error& error) {
      INFO(error.what());
      CHECK(error.code() == Errc::syntax_error);
    }
  }
}

TEST_CASE("impossible chunks are refused with axis, expected and got", "[array]") {
  const Index most = std::numeric_limits<Index>::max();
  const std::pair<ChunkSpec, const char*> table[] = {
      {0, "axis 0 has an impossible length; expected a length of at least 1, or -1 for all of it, got 0"},
      {-2, "got -2"},
      {{4, 0}, "axis 1 has an impossible length"},
      {{4, 3, 2}, "wrong number of axes; expected 2, got 3"},
      {{4}, "wrong number of axes; expected 2, got 1"},
      {{{2, 3}, 3}, "axis 0 has chunks that do not add up; expected a sum of 10, got 5"},
      {{{5, 6}, 3}, "expected a sum of 10, got 11"},
      {{{10, 0}, 3},
       "axis 0 has an impossible length; expected every length of a list to be at least 1, got 0"},
      {{{11, -1}, 3}, "got -1"},
      {{AxisChunks(std::vector<Index>{}), 3}, "expected a sum of 10, got 0"},
      {{{most, most}, 3}, "overflows"},
      {{"1KiB", "2KiB"}, "axis 1 asks for another chunk size"},
  };
  for (const auto& [spec, message] : table) try {
      resolve_chunks(spec, {10, 6}, 8);
      FAIL("not refused: " << message);
    } catch (const Error& error) {
      INFO(error.what());
      CHECK(std::string(error.what()).find(message) != std::string::npos);
      CHECK((error.code() == Errc::invalid_argument || error.code() == Errc::overflow));
    }
}

TEST_CASE("auto without native chunks is runs of C-order rows of about 4 MiB", "[array]") {
  struct Case {
    Shape shape;
    std::size_t item_bytes;
    const char* chunk;
  };
  const Case table[] = {
      {{100}, 4, "(100,)"},
      {{1'000'000'000}, 4, "(1048576,)"},
      {{1'000'000'000}, 1, "(4194304,)"},
      {{1000, 1000}, 4, "(1000, 1000)"},
      {{3000, 1000}, 4, "(1048, 1000)"},
      {{1, 3000, 1000}, 4, "(1, 1048, 1000)"},
      {{1000, 1000, 1000}, 4, "(1, 1000, 1000)"},
      {{1000, 512, 512}, 4, "(4, 512, 512)"},
      {{100, 1200, 1000}, 4, "(1, 1200, 1000)"},  // a plane of 4.6 MiB stays whole
      {{100, 2048, 2048}, 4, "(1, 2048, 2048)"},  // of 16 MiB too
      {{100, 2049, 2048}, 4, "(1, 512, 2048)"},   // but not more
      {{2, 2049, 2048}, 4, "(1, 512, 2048)"},
      {{10, 10, 1'000'000'000}, 8, "(1, 1, 524288)"},
      {{1'000'000'000, 10}, 8, "(52428, 10)"},
      {{5, 7}, 1 << 30, "(1, 1)"},
      {{Index{1} << 31, Index{1} << 31}, 1, "(1, 4194304)"},
      {{}, 8, "()"},
  };
  for (const Case& c : table) {
    INFO(to_string(c.shape));
    CHECK(chunk_of("auto", c.shape, c.item_bytes) == c.chunk);
    CHECK(chunk_of({}, c.shape, c.item_bytes) == c.chunk);
  }
}

TEST_CASE("auto chunks have 1 to 16 MiB where the array has, and are runs of rows", "[array]") {
  std::mt19937_64 random(5);
  for (int round = 0; round < 3000; ++round) {
    Shape shape(1 + random() % 4);
    for (Index& n : shape) {
      const std::uint64_t most = random() % 3 == 0 ? 5000 : 40;
      n = 1 + static_cast<Index>(random() % most);
    }
    const std::size_t item = std::size_t{1} << (random() % 5);
    const Grid grid = resolve_chunks("auto", shape, item);
    REQUIRE(grid.shape() == shape);
    const std::size_t bytes = chunk_bytes(grid, item);
    INFO(to_string(shape) << " of " << item << ": " << to_string(grid));
    REQUIRE(bytes <= 16 * MiB);
    REQUIRE(bytes >= std::min(MiB, static_cast<std::size_t>(size_of(shape)) * item));
    const Shape chunk = grid.chunk_shape();
    std::size_t cut = 0;
    while (cut < shape.size() && chunk[cut] == 1) ++cut;
    for (std::size_t i = cut + 1; i < shape.size(); ++i) REQUIRE(chunk[i] == shape[i]);
  }
}

TEST_CASE("auto fills up axes beside fixed ones", "[array]") {
  const Shape shape{1000, 1000, 1000};
  CHECK(chunk_of({10, "auto", "auto"}, shape, 4) == "(10, 104, 1000)");
  CHECK(chunk_of({"auto", 10, "auto"}, shape, 4) == "(104, 10, 1000)");
  CHECK(chunk_of({"auto", "auto", 10}, shape, 4) == "(104, 1000, 10)");
  CHECK(chunk_of({"auto", -1, -1}, shape, 4) == "(1, 1000, 1000)");
  CHECK(chunk_of({-1, "auto", -1}, shape, 4) == "(1000, 1, 1000)");
  CHECK(chunk_of({-1, -1, "auto"}, shape, 4) == "(1000, 1000, 1)");
  CHECK(chunk_of({100, 100, "auto"}, shape, 4) == "(100, 100, 104)");
  CHECK(chunk_of({100, 100, "40KB"}, shape, 4) == "(100, 100, 1)");
  CHECK(chunk_of({100, 100, "400KB"}, shape, 4) == "(100, 100, 10)");
  CHECK(chunk_of({"auto", 100, "8MB"}, shape, 4) == "(20, 100, 1000)");
  CHECK(chunk_of("64MiB", shape, 4) == "(16, 1000, 1000)");
  CHECK(chunk_of("1MiB", shape, 4) == "(1, 262, 1000)");
  CHECK(grid_of({{400, 600}, "auto", -1}, shape, 4) == "((400, 600), (1, 1, 1, ... 996 more, 1), (1000,))");
}

TEST_CASE("auto over native chunks takes whole ones", "[array]") {
  struct Case {
    Shape shape, native;
    std::size_t item_bytes;
    ChunkSpec spec;
    const char* chunk;
  };
  const Case table[] = {
      {{1000, 1000}, {100, 100}, 8, {}, "(100, 100)"},
      {{1000, 1000}, {100, 100}, 8, "auto", "(500, 1000)"},
      {{1000, 1000}, {1000, 1}, 8, "auto", "(1000, 524)"},
      {{1000, 1000, 1000}, {64, 64, 64}, 4, "auto", "(64, 64, 64)"},
      {{1000, 1000, 1000}, {128, 128, 128}, 4, "auto", "(128, 128, 128)"},  // 8 MiB: as it is
      {{1000, 1000, 1000}, {64, 64, 65}, 4, "auto", "(64, 64, 65)"},        // just above 1 MiB
      {{1000, 1000, 1000}, {1000, 1000, 100}, 4, "auto", "(1000, 1000, 100)"},
      {{1000, 1000, 1000}, {1, 1000, 1000}, 1, "auto", "(4, 1000, 1000)"},
      {{1000, 1000, 1000}, {64, 64, 64}, 4, "64MiB", "(64, 256, 1000)"},
      {{1000, 1000, 1000}, {64, 64, 64}, 4, "1KiB", "(64, 64, 64)"},
      {{1000, 1000, 1000}, {64, 64, 64}, 4, {100, "auto", "auto"}, "(100, 64, 64)"},
      {{1000, 1000, 1000}, {64, 64, 64}, 4, {-1, "auto", "auto"}, "(1000, 64, 64)"},
      {{1000, 1000, 1000}, {64, 64, 64}, 4, {10, 20, 30}, "(10, 20, 30)"},
      {{1000, 1000, 1000}, {60, 60, 60}, 4, "auto", "(60, 60, 240)"},  // just below
      {{1000, 1000, 1000}, {64, 64, 64}, 4, {10, "auto", "auto"}, "(10, 64, 1000)"},
      {{1000, 0}, {100, 100}, 8, "auto", "(1000, 0)"},
  };
  for (const Case& c : table) {
    const Grid native = Grid::regular(c.shape, c.native);
    INFO(to_string(c.shape) << " of " << to_string(c.native));
    CHECK(chunk_of(c.spec, c.shape, c.item_bytes, &native) == c.chunk);
  }
  const Grid irregular({AxisGrid::from_lengths({3, 5, 2, 7, 1})});
  CHECK(grid_of("16B", {18}, 1, &irregular) == "((8, 9, 1),)");
  CHECK(grid_of("7B", {18}, 1, &irregular) == "((3, 5, 2, 7, 1),)");
  const Grid offset({AxisGrid::regular(100, 10, 4)});
  CHECK(grid_of("30B", {100}, 1, &offset) == "((24, 30, 30, 16),)");
  const Grid other = Grid::regular({10}, {3});
  CHECK_THROWS_AS(resolve_chunks({}, {11}, 8, &other), Error);
}

TEST_CASE("chunks of whole native ones never cut a native chunk", "[array]") {
  std::mt19937_64 random(6);
  for (int round = 0; round < 2000; ++round) {
    Shape shape(1 + random() % 3);
    std::vector<AxisGrid> axes;
    for (Index& n : shape) {
      n = 1 + static_cast<Index>(random() % 900);
      const Index step = 1 + static_cast<Index>(random() % static_cast<std::uint64_t>(n));
      if (random() % 3) {
        axes.push_back(
            AxisGrid::regular(n, step, 1 + static_cast<Index>(random() % static_cast<std::uint64_t>(step))));
      } else {
        std::vector<Index> boundaries{0};
        for (Index b = 1; b < n; ++b)
          if (random() % 20 == 0) boundaries.push_back(b);
        boundaries.push_back(n);
        axes.push_back(AxisGrid::from_boundaries(boundaries));
      }
    }
    const Grid native(axes);
    const std::size_t item = std::size_t{1} << (random() % 5);
    const Grid grid = resolve_chunks(random() % 2 ? "auto" : "200KB", shape, item, &native);
    REQUIRE(grid.shape() == shape);
    for (std::size_t i = 0; i < shape.size(); ++i)
      for (Index k = 0; k < grid.axis(i).count(); ++k) {
        const Index begin = grid.axis(i).begin(k);
        REQUIRE(native.axis(i).begin(native.axis(i).chunk_of(begin)) == begin);
      }
    if (!(grid == native)) REQUIRE(chunk_bytes(grid, item) <= 4 * MiB);
  }
}

TEST_CASE("the spec of a grid gives that grid again, in constant space where it is regular", "[array]") {
  const Grid table[] = {
      Grid::regular({10, 6}, {4, 3}),
      Grid({AxisGrid::regular(100, 10, 4), AxisGrid::from_lengths({3, 5, 2})}),
      Grid({AxisGrid::from_lengths({2, 4}), AxisGrid::from_lengths({4, 2})}),
      Grid::whole({7}),
      Grid::whole({}),
      Grid::whole({0, 3}),
      Grid({AxisGrid::regular(Index{1} << 60, 10, 4)}),
  };
  for (const Grid& grid : table) {
    const ChunkSpec spec = ChunkSpec::of(grid);
    CHECK(resolve_chunks(spec, grid.shape(), 8) == grid);
    CHECK_FALSE(spec.is_default());
  }
  CHECK(ChunkSpec().is_default());
  CHECK_FALSE(ChunkSpec("auto").is_default());
  const ChunkSpec none = {};
  CHECK(none.is_default());
}
