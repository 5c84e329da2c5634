#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <morsel/array/buffer.hpp>
#include <morsel/array/grid.hpp>
#include <numeric>
#include <random>
#include <vector>

using namespace morsel;

namespace {

using Random = std::mt19937;

Index below(Random& random, Index n) { return static_cast<Index>(random() % static_cast<std::uint64_t>(n)); }

/// Memory with a view of it whose axes lie in any order, run either way and have gaps.
struct Block {
  std::vector<std::byte> bytes;
  BufferView view;

  Block(Random& random, const Shape& shape, std::size_t item_bytes, bool may_repeat) {
    std::vector<std::size_t> order(shape.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    if (random() % 3) std::shuffle(order.begin(), order.end(), random);
    view.shape = shape;
    view.item_bytes = item_bytes;
    view.strides = Dims(shape.size(), 0);
    Index step = static_cast<Index>(item_bytes) + (random() % 4 == 0 ? below(random, 5) : 0);
    Index start = 0;
    for (std::size_t k = order.size(); k-- > 0;) {
      const std::size_t axis = order[k];
      if (may_repeat && random() % 6 == 0) continue;
      const bool backwards = random() % 4 == 0;
      view.strides[axis] = backwards ? -step : step;
      if (backwards) start += step * std::max<Index>(shape[axis] - 1, 0);
      step = step * std::max<Index>(shape[axis], 1) + (random() % 3 == 0 ? below(random, 20) : 0);
    }
    bytes.resize(static_cast<std::size_t>(step) + item_bytes);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random());
    view.data = bytes.data() + start;
  }

  std::byte* at(const Dims& position) const {
    std::byte* p = view.data;
    for (std::size_t i = 0; i < position.size(); ++i) p += position[i] * view.strides[i];
    return p;
  }
};

Shape random_shape(Random& random) {
  Shape shape(static_cast<std::size_t>(below(random, 5)));
  for (Index& n : shape) n = random() % 5 == 0 ? below(random, 2) : 1 + below(random, 7);
  // Long axes, so that copies go through whole and cut blocks.
  if (!shape.empty() && random() % 2) shape[random() % shape.size()] = 30 + below(random, 40);
  if (shape.size() > 1 && random() % 3 == 0) shape[random() % shape.size()] = 30 + below(random, 40);
  return shape;
}

constexpr std::size_t item_sizes[] = {1, 2, 3, 4, 5, 8, 12, 16, 24, 40};

}  // namespace

TEST_CASE("copies between any strides write every element and nothing else", "[array]") {
  Random random(11);
  for (int round = 0; round < 4000; ++round) {
    const Shape shape = random_shape(random);
    if (size_of(shape) > 20000) continue;
    const std::size_t item = item_sizes[random() % std::size(item_sizes)];
    const Block from(random, shape, item, true);
    Block to(random, shape, item, false);
    const std::vector<std::byte> before = to.bytes;
    copy_elements(from.view, to.view);
    const std::vector<std::byte> after = to.bytes;
    std::vector<std::byte> expected = before;
    for_each_position(Region::of(shape), [&](const Dims& position) {
      std::memcpy(expected.data() + (to.at(position) - to.bytes.data()), from.at(position), item);
    });
    INFO(to_string(shape) << " of " << item << " bytes, strides " << to_string(from.view.strides) << " to "
                          << to_string(to.view.strides));
    REQUIRE(after == expected);
  }
}

TEST_CASE("planes are transposed right whatever part of a block is left over", "[array]") {
  Random random(14);
  for (const std::size_t item : item_sizes)
    for (const Index rows : {8, 31, 32, 33, 64, 97})
      for (const Index columns : {8, 32, 40, 63, 96}) {
        std::vector<std::byte> source(static_cast<std::size_t>(rows * columns) * item);
        for (std::byte& b : source) b = static_cast<std::byte>(random());
        std::vector<std::byte> target(source.size());
        BufferView from = BufferView::c_order(source.data(), {columns, rows}, item);
        from.strides = {static_cast<Index>(item), columns * static_cast<Index>(item)};
        copy_elements(from, BufferView::c_order(target.data(), {columns, rows}, item));
        std::size_t wrong = 0;
        for (Index i = 0; i < rows; ++i)
          for (Index j = 0; j < columns; ++j)
            wrong += std::memcmp(&source[static_cast<std::size_t>(i * columns + j) * item],
                                 &target[static_cast<std::size_t>(j * rows + i) * item], item) != 0;
        INFO(rows << " x " << columns << " of " << item);
        REQUIRE(wrong == 0);
      }
}

TEST_CASE("fills write every element and nothing else", "[array]") {
  Random random(12);
  for (int round = 0; round < 2000; ++round) {
    const Shape shape = random_shape(random);
    if (size_of(shape) > 20000) continue;
    const std::size_t item = item_sizes[random() % std::size(item_sizes)];
    Block to(random, shape, item, false);
    std::vector<std::byte> element(item);
    for (std::byte& b : element) b = static_cast<std::byte>(random());
    if (random() % 2) std::fill(element.begin(), element.end(), element[0]);
    std::vector<std::byte> expected = to.bytes;
    for_each_position(Region::of(shape), [&](const Dims& position) {
      std::memcpy(expected.data() + (to.at(position) - to.bytes.data()), element.data(), item);
    });
    fill_elements(to.view, element.data());
    INFO(to_string(shape) << " of " << item << " bytes, strides " << to_string(to.view.strides));
    REQUIRE(to.bytes == expected);
  }
}

TEST_CASE("views of different shapes are not copied", "[array]") {
  std::vector<float> a(6), b(6);
  CHECK_THROWS_AS(
      copy_elements(BufferView::c_order(a.data(), {2, 3}, 4), BufferView::c_order(b.data(), {3, 2}, 4)),
      Error);
  CHECK_THROWS_AS(copy_elements(BufferView::c_order(a.data(), {3}, 8), BufferView::c_order(b.data(), {3}, 4)),
                  Error);
}

TEST_CASE("a part of a view shows a region in the coordinates of the whole", "[array]") {
  std::vector<int> values(4 * 5);
  std::iota(values.begin(), values.end(), 0);
  const Region whole{{10, 20}, {14, 25}};
  const BufferView view = BufferView::c_order(values.data(), {4, 5}, sizeof(int));
  const BufferView part = view.part(whole, {{11, 22}, {13, 24}});
  CHECK(part.shape == Shape{2, 2});
  std::vector<int> copy(4);
  copy_elements(part, BufferView::c_order(copy.data(), {2, 2}, sizeof(int)));
  CHECK(copy == std::vector<int>{7, 8, 12, 13});
  CHECK(part.size_bytes() == 16);
  CHECK(view.is_c_order());
  CHECK_FALSE(part.is_c_order());
}

TEST_CASE("C order is recognised whatever the strides of axes of one element", "[array]") {
  int value[24] = {};
  BufferView view = BufferView::c_order(value, {2, 1, 3}, 4);
  CHECK(view.is_c_order());
  view.strides[1] = -100;
  CHECK(view.is_c_order());
  view.strides[0] = 16;
  CHECK_FALSE(view.is_c_order());
  view.shape[0] = 1;
  CHECK(view.is_c_order());
  view.strides[2] = -4;
  CHECK_FALSE(view.is_c_order());
  view.shape[1] = 0;
  CHECK(view.is_c_order());
  CHECK(BufferView::c_order(value, {}, 4).is_c_order());
}

TEST_CASE("byte swapping reverses each unit and leaves the rest alone", "[array]") {
  Random random(13);
  for (const std::size_t unit : {1, 2, 3, 4, 8, 12, 16}) {
    for (const std::size_t count : {0, 1, 2, 7, 16, 33, 1000}) {
      std::vector<std::byte> bytes(unit * count + 6);
      for (std::byte& b : bytes) b = static_cast<std::byte>(random());
      std::vector<std::byte> expected = bytes;
      for (std::size_t i = 0; i < count; ++i)
        for (std::size_t k = 0; k < unit; ++k)
          expected[3 + i * unit + k] = bytes[3 + i * unit + unit - 1 - k];
      swap_bytes(bytes.data() + 3, count, unit);  // from an odd address
      CHECK(bytes == expected);
    }
  }
}
