#include <catch2/catch.hpp>
#include <morsel/base/inline_vector.hpp>
#include <random>
#include <vector>

using namespace morsel;

namespace {

using Small = InlineVector<int, 4>;

void check_equal(const Small& actual, const std::vector<int>& expected) {
  REQUIRE(actual.size() == expected.size());
  CHECK(actual.empty() == expected.empty());
  CHECK(std::vector<int>(actual.begin(), actual.end()) == expected);
}

}  // namespace

TEST_CASE("an inline vector does what a vector does, below and above its room", "[base]") {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    Small actual;
    std::vector<int> expected;
    for (int step = 0; step < 40; ++step) {
      const int value = static_cast<int>(random() % 100);
      switch (random() % 8) {
        case 0:
        case 1:
        case 2:
          actual.push_back(value);
          expected.push_back(value);
          break;
        case 3:
          if (expected.empty()) break;
          actual.pop_back();
          expected.pop_back();
          break;
        case 4: {
          const std::size_t at = random() % (expected.size() + 1);
          actual.insert(at, value);
          expected.insert(expected.begin() + static_cast<std::ptrdiff_t>(at), value);
          break;
        }
        case 5: {
          if (expected.empty()) break;
          const std::size_t at = random() % expected.size();
          actual.erase(at);
          expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(at));
          break;
        }
        case 6: {
          const std::size_t size = random() % 8;
          actual.resize(size, value);
          expected.resize(size, value);
          break;
        }
        case 7: {
          Small copy = actual;
          const Small moved = std::move(copy);
          actual = moved;
          break;
        }
      }
    }
    check_equal(actual, expected);
  }
}

TEST_CASE("moving an inline vector leaves the source empty and usable", "[base]") {
  for (const int size : {0, 1, 4, 5, 20}) {
    INFO(size);
    std::vector<int> expected;
    for (int i = 0; i < size; ++i) expected.push_back(i * i);
    Small source(expected.begin(), expected.end());
    Small target{9, 9, 9, 9, 9, 9};
    target = std::move(source);
    check_equal(target, expected);
    source.clear();
    source.push_back(7);
    check_equal(source, {7});
    Small& self = target;
    target = self;
    check_equal(target, expected);
  }
}

TEST_CASE("inline vectors compare like sequences", "[base]") {
  CHECK(Small{1, 2} == Small{1, 2});
  CHECK_FALSE(Small{1, 2} == Small{1, 2, 3});
  CHECK(Small{1, 2} < Small{1, 2, 0});
  CHECK(Small{1, 3} > Small{1, 2, 9, 9, 9, 9});
  CHECK(Small(3, 5) == Small{5, 5, 5});
  CHECK(Small{} == Small());
}
