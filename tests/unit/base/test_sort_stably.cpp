#include <catch2/catch.hpp>
#include <memory>
#include <morsel/base/sort_stably.hpp>
#include <string>

TEST_CASE("a stable sort keeps equal values in their order", "[base]") {
  std::vector<std::pair<int, int>> values;
  for (int i = 0; i < 500; ++i) values.emplace_back(i * 7919 % 10, i);
  morsel::sort_stably(values, [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t i = 1; i < values.size(); ++i) REQUIRE(values[i - 1] < values[i]);
}

TEST_CASE("a stable sort moves values that cannot be copied", "[base]") {
  std::vector<std::unique_ptr<int>> values;
  for (const int v : {3, 1, 2}) values.push_back(std::make_unique<int>(v));
  morsel::sort_stably(values, [](const auto& a, const auto& b) { return *a < *b; });
  CHECK(*values[0] == 1);
  CHECK(*values[1] == 2);
  CHECK(*values[2] == 3);
  std::vector<int> none;
  morsel::sort_stably(none, [](int a, int b) { return a < b; });
  CHECK(none.empty());
}
