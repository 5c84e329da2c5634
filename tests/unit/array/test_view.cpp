#include <catch2/catch.hpp>
#include <morsel/array/view.hpp>
#include <numeric>
#include <random>

using namespace morsel;

namespace {

using Random = std::mt19937;

Index below(Random& random, Index n) { return static_cast<Index>(random() % static_cast<std::uint64_t>(n)); }

/// What the view shows of an array that holds 0, 1, 2, ... in C order.
std::vector<Index> elements(const View& view, const Shape& beneath) {
  const Dims strides = c_strides(beneath, 1);
  std::vector<Index> values;
  for_each_position(Region::of(view.shape), [&](const Dims& position) {
    Index value = 0;
    for (std::size_t i = 0; i < view.maps.size(); ++i) {
      const Index at = view.maps[i].at(position);
      REQUIRE(at >= 0);
      REQUIRE(at < beneath[i]);
      value += at * strides[i];
    }
    values.push_back(value);
  });
  return values;
}

View take(const Shape& shape, std::vector<Index> indices, Index axis) {
  return take_view(shape, indices, axis);
}

struct NumpyCase {
  Shape shape;
  const char* text;
  Shape result;
  std::vector<Index> values;
};

/// a = numpy.arange(size).reshape(shape); a[text].shape, a[text].ravel().
const std::vector<NumpyCase>& numpy_cases() {
  // clang-format off
  static const std::vector<NumpyCase> table = {
    {{10}, "0", {}, {0}},
    {{10}, "-1", {}, {9}},
    {{10}, "9", {}, {9}},
    {{10}, "-10", {}, {0}},
    {{10}, "3:", {7}, {3, 4, 5, 6, 7, 8, 9}},
    {{10}, "::2", {5}, {0, 2, 4, 6, 8}},
    {{10}, ":", {10}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
    {{10}, "...", {10}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
    {{10}, ":3", {3}, {0, 1, 2}},
    {{10}, "-3:", {3}, {7, 8, 9}},
    {{10}, "2:8:3", {2}, {2, 5}},
    {{10}, "::-1", {10}, {9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
    {{10}, "8:2:-1", {6}, {8, 7, 6, 5, 4, 3}},
    {{10}, "8:2:-3", {2}, {8, 5}},
    {{10}, "-1:0:-2", {5}, {9, 7, 5, 3, 1}},
    {{10}, "100:", {0}, {}},
    {{10}, "-100:100", {10}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
    {{10}, "5:5", {0}, {}},
    {{10}, "7:3", {0}, {}},
    {{10}, "3:7:-1", {0}, {}},
    {{10}, "::100", {1}, {0}},
    {{10}, "::-100", {1}, {9}},
    {{10}, "9:-11:-1", {10}, {9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
    {{10}, "None", {1, 10}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
    {{10}, "None, :", {1, 10}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
    {{10}, "..., None", {10, 1}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
    {{10}, "3, None", {1}, {3}},
    {{10}, "None, 3, None", {1, 1}, {3}},
    {{10}, "None, ..., None", {1, 10, 1}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
    {{10}, "2:-2", {6}, {2, 3, 4, 5, 6, 7}},
    {{10}, "-2:2:-1", {6}, {8, 7, 6, 5, 4, 3}},
    {{10}, "0:10:9", {2}, {0, 9}},
    {{10}, "1:10:9", {1}, {1}},
    {{10}, "::3, None", {4, 1}, {0, 3, 6, 9}},
    {{10}, ":-100", {0}, {}},
    {{10}, ":-100:-1", {10}, {9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
    {{10}, "100::-1", {10}, {9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
    {{10}, "100::-4", {3}, {9, 5, 1}},
    {{10}, "-100::-1", {0}, {}},
    {{10}, "0:0:-1", {0}, {}},
    {{10}, "5::-5", {2}, {5, 0}},
    {{10}, "+2:+4", {2}, {2, 3}},
    {{3, 4}, "1", {4}, {4, 5, 6, 7}},
    {{3, 4}, "-1", {4}, {8, 9, 10, 11}},
    {{3, 4}, "1, 2", {}, {6}},
    {{3, 4}, "1, -4", {}, {4}},
    {{3, 4}, ":, 1", {3}, {1, 5, 9}},
    {{3, 4}, "..., 1", {3}, {1, 5, 9}},
    {{3, 4}, "1, ...", {4}, {4, 5, 6, 7}},
    {{3, 4}, "..., 1, 2", {}, {6}},
    {{3, 4}, "1, ..., 2", {}, {6}},
    {{3, 4}, "::-1, ::-1", {3, 4}, {11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
    {{3, 4}, "::2, 1::2", {2, 2}, {1, 3, 9, 11}},
    {{3, 4}, "None, 1", {1, 4}, {4, 5, 6, 7}},
    {{3, 4}, "1, None", {1, 4}, {4, 5, 6, 7}},
    {{3, 4}, "1, None, 2", {1}, {6}},
    {{3, 4}, ":, None, :", {3, 1, 4}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
    {{3, 4}, "None, :, None, :, None", {1, 3, 1, 4, 1}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
    {{3, 4}, "-1:0:-2, ...", {1, 4}, {8, 9, 10, 11}},
    {{3, 4}, "2:0:-1, 3:0:-2", {2, 2}, {11, 9, 7, 5}},
    {{3, 4}, "1:1", {0, 4}, {}},
    {{3, 4}, "1:1, 2", {0}, {}},
    {{3, 4}, "..., 5:2", {3, 0}, {}},
    {{3, 4}, "..., ::-3", {3, 2}, {3, 0, 7, 4, 11, 8}},
    {{3, 4}, "0:2, ...", {2, 4}, {0, 1, 2, 3, 4, 5, 6, 7}},
    {{3, 4}, "..., None, 0", {3, 1}, {0, 4, 8}},
    {{3, 4}, "None, ..., 0, None", {1, 3, 1}, {0, 4, 8}},
    {{3, 4}, "0, 0, ...", {}, {0}},
    {{3, 4}, "..., 0, 0, None", {1}, {0}},
    {{3, 4}, ":, :", {3, 4}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
    {{3, 4}, ":, ..., :", {3, 4}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
    {{3, 4}, "..., :, :", {3, 4}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
    {{2, 3, 4}, "1, None, -1:0:-2", {1, 1, 4}, {20, 21, 22, 23}},
    {{2, 3, 4}, "..., ::2", {2, 3, 2}, {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22}},
    {{2, 3, 4}, "0, ..., 3", {3}, {3, 7, 11}},
    {{2, 3, 4}, "1, 2, 3", {}, {23}},
    {{2, 3, 4}, "1, 2, 3, ...", {}, {23}},
    {{2, 3, 4}, "..., 1, 2, 3", {}, {23}},
    {{2, 3, 4}, ":, 1", {2, 4}, {4, 5, 6, 7, 16, 17, 18, 19}},
    {{2, 3, 4}, ":, ..., 1", {2, 3}, {1, 5, 9, 13, 17, 21}},
    {{2, 3, 4}, ":, :, 1", {2, 3}, {1, 5, 9, 13, 17, 21}},
    {{2, 3, 4}, "::-1, 1, ::2", {2, 2}, {16, 18, 4, 6}},
    {{2, 3, 4}, "1:, ..., None, ::-2", {1, 3, 1, 2}, {15, 13, 19, 17, 23, 21}},
    {{2, 3, 4}, "None, 0, None, 1, None, 2, None", {1, 1, 1, 1}, {6}},
    {{2, 3, 4}, "-2, -3, -4", {}, {0}},
    {{2, 3, 4}, ":, 2:0:-1, 1:3", {2, 2, 2}, {9, 10, 5, 6, 21, 22, 17, 18}},
    {{2, 3, 4}, "..., 0:0", {2, 3, 0}, {}},
    {{2, 3, 4}, ":, 5:, :", {2, 0, 4}, {}},
    {{2, 3, 4}, "1:2, 1:2, 1:2", {1, 1, 1}, {17}},
    {{2, 3, 4}, "::2, ::2, ::2", {1, 2, 2}, {0, 2, 8, 10}},
    {{2, 3, 4}, "::-2, ::-2, ::-2", {1, 2, 2}, {23, 21, 15, 13}},
    {{2, 3, 4}, "None, None, ...", {1, 1, 2, 3, 4}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}},
    {{2, 3, 4}, "..., -1, None", {2, 3, 1}, {3, 7, 11, 15, 19, 23}},
    {{2, 3, 4}, "0:1, ..., 3:", {1, 3, 1}, {3, 7, 11}},
    {{2, 3, 4}, "[1, 2, 3]", {}, {23}},
    {{}, "...", {}, {0}},
    {{}, "None", {1}, {0}},
    {{}, "None, None", {1, 1}, {0}},
    {{}, "..., None", {1}, {0}},
    {{}, "None, ...", {1}, {0}},
    {{0}, ":", {0}, {}},
    {{0}, "::-1", {0}, {}},
    {{0}, "0:5", {0}, {}},
    {{0}, "...", {0}, {}},
    {{0}, "None", {1, 0}, {}},
    {{0}, "5:0:-1", {0}, {}},
    {{0, 3}, ":, 1", {0}, {}},
    {{0, 3}, ":, ::-1", {0, 3}, {}},
    {{0, 3}, "..., 2, None", {0, 1}, {}},
    {{0, 3}, ":, 1:2", {0, 1}, {}},
    {{3, 0}, "1", {0}, {}},
    {{3, 0}, "::-1", {3, 0}, {}},
    {{3, 0}, "1:2, None", {1, 1, 0}, {}},
    {{3, 0}, ":, 0:4", {3, 0}, {}},
    {{3, 0}, "-1, None, ::-1", {1, 0}, {}},
    {{1, 1, 5}, "0, 0", {5}, {0, 1, 2, 3, 4}},
    {{1, 1, 5}, "..., 0, ::-2", {1, 3}, {4, 2, 0}},
    {{1, 1, 5}, "0, None, 0, None, -2::-2", {1, 1, 2}, {3, 1}},
    {{1, 1, 5}, ":, 0", {1, 5}, {0, 1, 2, 3, 4}},
  };
  // clang-format on
  return table;
}

/// A random view of an array of `shape`; `kinds`: 2 slices and permutes only, 7 all.
View random_view(Random& random, const Shape& shape, int kinds) {
  const auto rank = static_cast<Index>(shape.size());
  switch (random() % static_cast<unsigned>(kinds)) {
    default: {
      SliceItems items;
      const bool with_integers = kinds > 2;
      for (const Index extent : shape) {
        const auto pick = [&]() -> std::optional<Index> {
          if (random() % 3 == 0) return std::nullopt;
          return below(random, 2 * extent + 3) - extent - 1;
        };
        if (with_integers && extent > 0 && random() % 4 == 0) {
          items.push_back(below(random, extent));
          continue;
        }
        SliceItem item;
        item.start = pick();
        item.stop = pick();
        const Index step = below(random, 9) - 4;
        if (step != 0) item.step = step;
        items.push_back(item);
        if (with_integers && random() % 6 == 0) items.push_back(newaxis);
      }
      return slice_view(shape, items);
    }
    case 1: {
      std::vector<Index> order(shape.size());
      std::iota(order.begin(), order.end(), 0);
      std::shuffle(order.begin(), order.end(), random);
      return permute_view(shape, order);
    }
    case 2:
      return expand_view(shape, below(random, rank + 1));
    case 3: {
      std::vector<Index> axes;
      for (Index i = 0; i < rank; ++i)
        if (shape[static_cast<std::size_t>(i)] == 1 && random() % 2) axes.push_back(i);
      return squeeze_view(shape, axes);
    }
    case 4: {
      std::vector<Index> axes;
      for (Index i = 0; i < rank; ++i)
        if (random() % 2) axes.push_back(i - (random() % 2 ? rank : 0));
      return flip_view(shape, axes);
    }
    case 5: {
      Shape to = shape;
      for (Index& n : to)
        if (n == 1) n = below(random, 4);
      if (random() % 3 == 0) to.insert(0, below(random, 3) + 1);
      return broadcast_view(shape, to);
    }
    case 6: {
      if (rank == 0) return View::identity(shape);
      const Index axis = below(random, rank);
      const Index extent = shape[static_cast<std::size_t>(axis)];
      std::vector<Index> indices;
      if (extent > 0)
        for (Index n = below(random, 7); n > 0; --n) indices.push_back(below(random, 2 * extent) - extent);
      return take_view(shape, indices, axis);
    }
  }
}

Shape random_shape(Random& random, Index most) {
  Shape shape(static_cast<std::size_t>(below(random, 4)));
  for (Index& n : shape) n = random() % 4 == 0 ? 1 : below(random, most + 1);
  return shape;
}

AxisGrid random_axis_grid(Random& random, Index extent) {
  if (extent == 0) return AxisGrid::regular(0, 1);
  const Index step = below(random, extent) + 1;
  switch (random() % 3) {
    case 0:
      return AxisGrid::regular(extent, step);
    case 1:
      return AxisGrid::regular(extent, step, below(random, step) + 1);
    default: {
      std::vector<Index> boundaries{0};
      for (Index b = 1; b < extent; ++b)
        if (random() % 3 == 0) boundaries.push_back(b);
      boundaries.push_back(extent);
      return AxisGrid::from_boundaries(boundaries);
    }
  }
}

Grid random_grid(Random& random, const Shape& shape) {
  std::vector<AxisGrid> axes;
  for (const Index n : shape) axes.push_back(random_axis_grid(random, n));
  return Grid(std::move(axes));
}

void check_partition(const AxisGrid& axis, Index extent) {
  REQUIRE(axis.extent() == extent);
  Index at = 0;
  for (Index k = 0; k < axis.count(); ++k) {
    REQUIRE(axis.begin(k) == at);
    REQUIRE(axis.end(k) > at);
    at = axis.end(k);
  }
  REQUIRE(at == extent);
}

}  // namespace

TEST_CASE("basic indexing shows the elements that NumPy shows", "[array]") {
  for (const NumpyCase& c : numpy_cases()) {
    INFO("a[" << c.text << "] of shape " << to_string(c.shape));
    const View view = slice_view(c.shape, parse_slice(c.text));
    CHECK(to_string(view.shape) == to_string(c.result));
    CHECK(elements(view, c.shape) == c.values);
  }
  CHECK(numpy_cases().size() > 110);
}

TEST_CASE("impossible indices are refused and the message names place, axis and extent", "[array]") {
  struct Case {
    Shape shape;
    const char* text;
    Errc code;
    const char* message;
  };
  const Case table[] = {
      {{10}, "10", Errc::out_of_range, "index outside axis 0; expected -10 to 9, got 10"},
      {{10}, "-11", Errc::out_of_range, "index outside axis 0; expected -10 to 9, got -11"},
      {{2, 3}, "..., 3", Errc::out_of_range, "index outside axis 1; expected -3 to 2, got 3"},
      {{2, 3}, "None, 0, None, 5", Errc::out_of_range, "index outside axis 1; expected -3 to 2, got 5"},
      {{0, 3},
       "0",
       Errc::out_of_range,
       "index outside axis 0; expected no index, for the extent is 0, got 0"},
      {{10}, "-9223372036854775808", Errc::out_of_range, "got -9223372036854775808"},
      {{10}, "9223372036854775807", Errc::out_of_range, "got 9223372036854775807"},
      {{10}, "1, 2", Errc::invalid_argument, "too many indices; expected at most 1, got 2"},
      {{}, "0", Errc::invalid_argument, "too many indices; expected at most 0, got 1"},
      {{}, ":", Errc::invalid_argument, "too many indices; expected at most 0, got 1"},
      {{2, 3}, ":, ..., :, :", Errc::invalid_argument, "too many indices"},
      {{2, 3}, "..., ...", Errc::invalid_argument, "several ellipses"},
  };
  for (const Case& c : table) {
    INFO(c.text);
    try {
      slice_view(c.shape, parse_slice(c.text));
      FAIL("not refused");
    } catch (const Error& error) {
      INFO(error.what());
      CHECK(error.code() == c.code);
      CHECK(std::string(error.what()).find(c.message) != std::string::npos);
      CHECK(std::string(error.what()).find(to_string(c.shape)) != std::string::npos);
    }
  }
  CHECK_THROWS_AS(slice_view({5}, {range(0, 5, 0)}), Error);
  CHECK_THROWS_AS(slice_view({}, SliceItems(33, newaxis)), Error);
  CHECK(slice_view({}, SliceItems(32, newaxis)).rank() == 32);
}

TEST_CASE("permuting, expanding, squeezing, flipping, broadcasting and taking show the right elements",
          "[array]") {
  const Shape shape{2, 3};
  struct Case {
    View view;
    Shape result;
    std::vector<Index> values;
  };
  const Case table[] = {
      {View::identity(shape), {2, 3}, {0, 1, 2, 3, 4, 5}},
      {permute_view(shape, {1, 0}), {3, 2}, {0, 3, 1, 4, 2, 5}},
      {permute_view(shape, {-1, -2}), {3, 2}, {0, 3, 1, 4, 2, 5}},
      {expand_view(shape, 0), {1, 2, 3}, {0, 1, 2, 3, 4, 5}},
      {expand_view(shape, 1), {2, 1, 3}, {0, 1, 2, 3, 4, 5}},
      {expand_view(shape, -1), {2, 3, 1}, {0, 1, 2, 3, 4, 5}},
      {expand_view(shape, -3), {1, 2, 3}, {0, 1, 2, 3, 4, 5}},
      {squeeze_view(shape, {}), {2, 3}, {0, 1, 2, 3, 4, 5}},
      {flip_view(shape, {0}), {2, 3}, {3, 4, 5, 0, 1, 2}},
      {flip_view(shape, {-1}), {2, 3}, {2, 1, 0, 5, 4, 3}},
      {flip_view(shape, {0, 1}), {2, 3}, {5, 4, 3, 2, 1, 0}},
      {flip_view(shape, {}), {2, 3}, {0, 1, 2, 3, 4, 5}},
      {broadcast_view(shape, {2, 2, 3}), {2, 2, 3}, {0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5}},
      {take(shape, {2, 0, -1, 2}, 1), {2, 4}, {2, 0, 2, 2, 5, 3, 5, 5}},
      {take(shape, {-2}, -2), {1, 3}, {0, 1, 2}},
      {take(shape, {}, 0), {0, 3}, {}},
  };
  for (const Case& c : table) {
    CHECK(to_string(c.view.shape) == to_string(c.result));
    CHECK(elements(c.view, shape) == c.values);
  }
  CHECK(elements(squeeze_view({1, 3, 1}, {0, -1}), {1, 3, 1}) == std::vector<Index>{0, 1, 2});
  CHECK(squeeze_view({1, 3, 1}, {0}).shape == Shape{3, 1});
  CHECK(elements(broadcast_view({2, 1}, {2, 3}), {2, 1}) == std::vector<Index>{0, 0, 0, 1, 1, 1});
  CHECK(elements(broadcast_view({}, {2, 2}), {}) == std::vector<Index>{0, 0, 0, 0});
  CHECK(broadcast_view({1}, {0}).shape == Shape{0});
}

TEST_CASE("impossible views are refused", "[array]") {
  const auto code = [](auto&& make) {
    try {
      make();
    } catch (const Error& error) {
      INFO(error.what());
      CHECK(std::string(error.what()).find("(2, 3)") != std::string::npos);
      return error.code();
    }
    return Errc::internal_error;
  };
  const Shape shape{2, 3};
  CHECK(code([&] { permute_view(shape, {0}); }) == Errc::invalid_argument);
  CHECK(code([&] { permute_view(shape, {0, 0}); }) == Errc::invalid_argument);
  CHECK(code([&] { permute_view(shape, {0, -2}); }) == Errc::invalid_argument);
  CHECK(code([&] { permute_view(shape, {0, 2}); }) == Errc::out_of_range);
  CHECK(code([&] { expand_view(shape, 3); }) == Errc::out_of_range);
  CHECK(code([&] { expand_view(shape, -4); }) == Errc::out_of_range);
  CHECK(code([&] { squeeze_view(shape, {0}); }) == Errc::invalid_argument);
  CHECK(code([&] { squeeze_view(shape, {2}); }) == Errc::out_of_range);
  CHECK(code([&] { flip_view(shape, {1, 1}); }) == Errc::invalid_argument);
  CHECK(code([&] { flip_view(shape, {2}); }) == Errc::out_of_range);
  CHECK(code([&] { broadcast_view(shape, {3}); }) == Errc::shape_mismatch);
  CHECK(code([&] { broadcast_view(shape, {2, 4}); }) == Errc::shape_mismatch);
  CHECK(code([&] { broadcast_view(shape, {1, 3}); }) == Errc::shape_mismatch);
  CHECK(code([&] { take_view(shape, {3}, 1); }) == Errc::out_of_range);
  CHECK(code([&] { take_view(shape, {-4}, 1); }) == Errc::out_of_range);
  CHECK(code([&] { take_view(shape, {0}, 2); }) == Errc::out_of_range);
  CHECK_THROWS_AS(take_view({0}, {0}, 0), Error);
  CHECK_THROWS_AS(take_view({}, {0}, 0), Error);
  CHECK_THROWS_AS(expand_view(Shape(32, 1), 0), Error);
  CHECK_THROWS_AS(broadcast_view({1}, Shape(33, 1)), Error);
  CHECK_THROWS_AS(broadcast_view({1}, {-1}), Error);
}

TEST_CASE("a composed view shows what one view after the other shows", "[array]") {
  Random random(7);
  for (int round = 0; round < 4000; ++round) {
    const Shape shape = random_shape(random, 6);
    View composed = View::identity(shape);
    std::vector<Index> expected(static_cast<std::size_t>(size_of(shape)));
    std::iota(expected.begin(), expected.end(), 0);
    for (int depth = 0; depth < 4; ++depth) {
      const View outer = random_view(random, composed.shape, 7);
      if (outer.rank() > 6 || size_of(outer.shape) > 2000) break;
      std::vector<Index> next;
      for (const Index i : elements(outer, composed.shape))
        next.push_back(expected[static_cast<std::size_t>(i)]);
      expected = std::move(next);
      composed = compose(outer, composed);
      REQUIRE(composed.maps.size() == shape.size());
      REQUIRE(elements(composed, shape) == expected);
    }
  }
}

TEST_CASE("identity is recognised whatever the stride of an axis with one element", "[array]") {
  const Shape shape{4, 1, 0};
  CHECK(View::identity(shape).is_identity(shape));
  CHECK(slice_view(shape, parse_slice("..., ::-1, ::3")).is_identity(shape));
  CHECK(compose(flip_view(shape, {0}), flip_view(shape, {0})).is_identity(shape));
  CHECK_FALSE(flip_view(shape, {0}).is_identity(shape));
  CHECK_FALSE(slice_view(shape, parse_slice("1:")).is_identity(shape));
  CHECK_FALSE(permute_view({4, 4}, {1, 0}).is_identity({4, 4}));
  CHECK_FALSE(take(shape, {0, 1, 2, 3}, 0).is_identity(shape));
  CHECK_FALSE(expand_view(shape, 0).is_identity(shape));
  CHECK_FALSE(slice_view({3, 3}, parse_slice("1:3")).is_identity({3, 3}));
  CHECK(View::identity({}).is_identity({}));
}

TEST_CASE("huge steps compose without overflow", "[array]") {
  const Index extent = std::numeric_limits<Index>::max();
  const Shape shape{extent};
  const View once = slice_view(shape, parse_slice("5::9223372036854775807"));
  CHECK(once.shape == Shape{1});
  const View twice = compose(slice_view(once.shape, parse_slice("::4611686018427387904")), once);
  const View thrice = compose(slice_view(twice.shape, parse_slice("::-9223372036854775808")), twice);
  CHECK(thrice.maps[0].at({0}) == 5);
  const View last = slice_view(shape, parse_slice("::-1"));
  CHECK(last.maps[0].at({0}) == extent - 1);
  CHECK(last.maps[0].at({extent - 1}) == 0);
  const View empty = compose(slice_view(last.shape, parse_slice("3:0")), last);
  CHECK(empty.shape == Shape{0});
  const View far =
      compose(slice_view({3}, parse_slice("2")), slice_view(shape, parse_slice("::4611686018427387903")));
  CHECK(far.maps[0].at({}) == extent - 1);
}

TEST_CASE("the box beneath is the smallest that holds what a region shows", "[array]") {
  Random random(8);
  int checked = 0;
  for (int round = 0; round < 3000; ++round) {
    const Shape shape = random_shape(random, 6);
    View view = random_view(random, shape, 7);
    const View outer = random_view(random, view.shape, 7);
    view = compose(outer, view);
    if (size_of(view.shape) == 0 || size_of(view.shape) > 3000) continue;
    Region region = Region::of(view.shape);
    for (std::size_t i = 0; i < view.rank(); ++i) {
      region.lo[i] = below(random, view.shape[i]);
      region.hi[i] = region.lo[i] + 1 + below(random, view.shape[i] - region.lo[i]);
    }
    Region box{Dims(shape.size(), 1 << 30), Dims(shape.size(), -1)};
    for_each_position(region, [&](const Dims& position) {
      for (std::size_t i = 0; i < shape.size(); ++i) {
        box.lo[i] = std::min(box.lo[i], view.maps[i].at(position));
        box.hi[i] = std::max(box.hi[i], view.maps[i].at(position) + 1);
      }
    });
    REQUIRE(beneath(view, region) == box);
    ++checked;
  }
  CHECK(checked > 1000);
}

TEST_CASE(
    "each chunk of a sliced and permuted array lies in one chunk beneath, and chunks are as long as can be",
    "[array]") {
  Random random(9);
  int checked = 0;
  for (int round = 0; round < 3000; ++round) {
    const Shape shape = random_shape(random, 24);
    const Grid grid = random_grid(random, shape);
    View view = View::identity(shape);
    for (int depth = 0; depth < 2; ++depth) view = compose(random_view(random, view.shape, 2), view);
    const Grid mapped = map_grid(view, grid);
    REQUIRE(mapped.shape() == view.shape);
    for (std::size_t i = 0; i < view.maps.size(); ++i) {
      const auto axis = static_cast<std::size_t>(view.maps[i].axis);
      const AxisGrid& pieces = mapped.axis(axis);
      check_partition(pieces, view.shape[axis]);
      Dims position(view.rank(), 0);
      const auto chunk_at = [&](Index p) {
        position[axis] = p;
        return grid.axis(i).chunk_of(view.maps[i].at(position));
      };
      for (Index k = 0; k < pieces.count(); ++k) {
        for (Index p = pieces.begin(k); p < pieces.end(k); ++p)
          REQUIRE(chunk_at(p) == chunk_at(pieces.begin(k)));
        if (k > 0) REQUIRE(chunk_at(pieces.begin(k)) != chunk_at(pieces.begin(k) - 1));
        ++checked;
      }
    }
  }
  CHECK(checked > 5000);
}

TEST_CASE("grids of composed views equal grids mapped one after the other", "[array]") {
  Random random(10);
  for (int round = 0; round < 1000; ++round) {
    const Shape shape = random_shape(random, 24);
    const Grid grid = random_grid(random, shape);
    const View inner = random_view(random, shape, 2);
    const View outer = random_view(random, inner.shape, 2);
    REQUIRE(map_grid(compose(outer, inner), grid) == map_grid(outer, map_grid(inner, grid)));
  }
}

TEST_CASE("mapped grids by example", "[array]") {
  struct Case {
    Shape shape, chunk;
    const char* text;
    const char* grid;
  };
  const Case table[] = {
      {{10}, {4}, ":", "((4, 4, 2),)"},
      {{10}, {4}, "1:", "((3, 4, 2),)"},
      {{10}, {4}, "::-1", "((2, 4, 4),)"},
      {{10}, {4}, "::2", "((2, 2, 1),)"},
      {{10}, {4}, "1::2", "((2, 2, 1),)"},
      {{10}, {4}, "3::2", "((1, 2, 1),)"},
      {{10}, {4}, "::3", "((2, 1, 1),)"},
      {{10}, {4}, "::9", "((1, 1),)"},
      {{10}, {4}, "4:8", "((4,),)"},
      {{10}, {4}, "5:5", "((),)"},
      {{10}, {4}, "5", "()"},
      {{10, 6}, {4, 3}, "5", "((3, 3),)"},
      {{10, 6}, {4, 3}, "None, ..., 1", "((1,), (4, 4, 2))"},
      {{20}, {4}, "::-3", "((2, 1, 1, 2, 1),)"},
      {{0, 6}, {1, 3}, ":, 1:", "((), (2, 3))"},
      {{}, {}, "...", "()"},
      {{}, {}, "None", "((1,),)"},
  };
  for (const Case& c : table) {
    INFO(c.text);
    const Grid mapped = map_grid(slice_view(c.shape, parse_slice(c.text)), Grid::regular(c.shape, c.chunk));
    CHECK(to_string(mapped) == c.grid);
  }
  const Grid grid = Grid::regular({10, 6}, {4, 3});
  CHECK(to_string(map_grid(permute_view({10, 6}, {1, 0}), grid)) == "((3, 3), (4, 4, 2))");
  CHECK(to_string(map_grid(broadcast_view({10, 6}, {5, 10, 6}), grid)) == "((5,), (4, 4, 2), (3, 3))");
  CHECK(to_string(map_grid(broadcast_view({10, 1}, {10, 7}), Grid::regular({10, 1}, {4, 1}))) ==
        "((4, 4, 2), (7,))");
  CHECK(to_string(map_grid(take({10, 6}, {9, 0, 3, 3, 1}, 0), grid)) == "((4, 1), (3, 3))");
  CHECK(to_string(map_grid(take({10, 6}, {}, 0), grid)) == "((), (3, 3))");
}

TEST_CASE("views of an axis of 10^9 chunks keep a regular grid", "[array]") {
  const Index chunks = 1'000'000'000;
  const Shape shape{chunks * 12};
  const Grid grid = Grid::regular(shape, {12});
  struct Case {
    const char* text;
    Index count, first, second;
  };
  const Case table[] = {
      {":", chunks, 12, 12},
      {"5:", chunks, 7, 12},
      {"12:", chunks - 1, 12, 12},
      {"5:-5", chunks, 7, 12},
      {"::-1", chunks, 12, 12},
      {"-6::-1", chunks, 7, 12},
      {"::3", chunks, 4, 4},
      {"10::3", chunks, 1, 4},
      {"11::-3", 1, 4, 0},
      {"::-4", chunks, 3, 3},
      {"::12", chunks, 1, 1},
      {"::100", chunks * 12 / 100, 1, 1},
      // 12 / 5: pieces would be 3, 2, 2, 3, 2, ...; the grid takes like ones.
      {"::5", (chunks * 12 / 5) / 2, 2, 2},
      {"7:60:5", 5, 1, 3},
  };
  for (const Case& c : table) {
    INFO(c.text);
    const AxisGrid axis = map_grid(slice_view(shape, parse_slice(c.text)), grid).axis(0);
    CHECK(axis.is_regular() == (std::string(c.text) != "7:60:5"));
    CHECK(axis.count() == c.count);
    CHECK(axis.length(0) == c.first);
    if (c.count > 1) CHECK(axis.length(1) == c.second);
    CHECK(axis.end(axis.count() - 1) == axis.extent());
  }
}
