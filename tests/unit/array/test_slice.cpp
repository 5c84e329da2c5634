#include <catch2/catch.hpp>
#include <limits>
#include <morsel/array/slice.hpp>

using namespace morsel;

namespace {

constexpr Index most = std::numeric_limits<Index>::max();
constexpr Index least = std::numeric_limits<Index>::min();
constexpr std::nullopt_t none = std::nullopt;

SliceItem slice(std::optional<Index> start, std::optional<Index> stop, std::optional<Index> step = none) {
  SliceItem item;
  item.start = start;
  item.stop = stop;
  item.step = step;
  return item;
}

bool same(const SliceItem& a, const SliceItem& b) {
  return a.kind == b.kind && a.start == b.start && a.stop == b.stop && a.step == b.step;
}

}  // namespace

TEST_CASE("index text is read item by item", "[array]") {
  const std::pair<const char*, SliceItems> table[] = {
      {"3", {3}},
      {"-3", {-3}},
      {"+3", {3}},
      {":", {slice(none, none)}},
      {"::", {slice(none, none)}},
      {"10:", {slice(10, none)}},
      {":10", {slice(none, 10)}},
      {"::2", {slice(none, none, 2)}},
      {"::-1", {slice(none, none, -1)}},
      {"1:2:3", {slice(1, 2, 3)}},
      {"1:2:", {slice(1, 2)}},
      {"None:5", {slice(none, 5)}},
      {"None:None:None", {slice(none, none)}},
      {"1:None:-1", {slice(1, none, -1)}},
      {"...", {ellipsis}},
      {"Ellipsis", {ellipsis}},
      {"None", {newaxis}},
      {"newaxis", {newaxis}},
      {"np.newaxis", {newaxis}},
      {"10:, ..., ::2", {slice(10, none), ellipsis, slice(none, none, 2)}},
      {"[1, None, -1:0:-2]", {1, newaxis, slice(-1, 0, -2)}},
      {"  [ 1 ,\tNone , - 0 : 0 : -2 ]  ", {}},
      {" 1 ,2 , 3 ", {1, 2, 3}},
      {"1,", {1}},
      {"[1,]", {1}},
      {"None,None,...", {newaxis, newaxis, ellipsis}},
      {"9223372036854775807", {most}},
      {"-9223372036854775808", {least}},
      {":99999999999999999999", {slice(none, most)}},
      {"-99999999999999999999:", {slice(least, none)}},
      {"::123456789012345678901234567890", {slice(none, none, most)}},
      {"007:", {slice(7, none)}},
  };
  for (const auto& [text, items] : table) {
    INFO(text);
    if (items.empty()) {
      CHECK_THROWS_AS(parse_slice(text), Error);
      continue;
    }
    const SliceItems read = parse_slice(text);
    REQUIRE(read.size() == items.size());
    for (std::size_t i = 0; i < read.size(); ++i) CHECK(same(read[i], items[i]));
    const SliceItems again = parse_slice(to_string(read));
    REQUIRE(again.size() == read.size());
    for (std::size_t i = 0; i < read.size(); ++i) CHECK(same(again[i], read[i]));
  }
}

TEST_CASE("index text that does not parse is refused with its column", "[array]") {
  const std::pair<const char*, const char*> table[] = {
      {"", "unexpected end at column 1"},
      {"   ", "unexpected end at column 4"},
      {"[", "unexpected end at column 2"},
      {"[]", "unexpected ']' at column 2"},
      {"[1", "unexpected end at column 3"},
      {"1]", "unexpected ']' at column 2"},
      {"[1]]", "unexpected ']' at column 4"},
      {"[[1]]", "unexpected '[' at column 2"},
      {",", "unexpected ',' at column 1"},
      {"1,,2", "unexpected ',' at column 3"},
      {"10:x", "unexpected 'x' at column 4"},
      {"1:2:3:4", "unexpected ':' at column 6"},
      {"1 2", "unexpected '2' at column 3"},
      {"1.5", "unexpected '.' at column 2"},
      {"..", "unexpected '.' at column 1"},
      {"....", "unexpected '.' at column 4"},
      {"...:", "unexpected ':' at column 4"},
      {"--1", "unexpected '-' at column 2"},
      {"-", "unexpected end at column 2"},
      {"::0", "a step of zero at column 1"},
      {"1, 0:5:0", "a step of zero at column 4"},
      {"none", "unexpected 'n' at column 1"},
      {"None1", "unexpected '1' at column 5"},
      {"newaxis:", "unexpected ':' at column 8"},
      {"True", "unexpected 'T' at column 1"},
      {"1, 9223372036854775808", "an index beyond 63 bits at column 4"},
      {"-9223372036854775809", "an index beyond 63 bits at column 1"},
  };
  for (const auto& [text, message] : table) {
    INFO(text);
    try {
      parse_slice(text);
      FAIL("not refused");
    } catch (const Error& error) {
      CHECK(error.code() == Errc::syntax_error);
      INFO(error.what());
      CHECK(std::string(error.what()).find(message) != std::string::npos);
      CHECK(std::string(error.what()).find("got '" + std::string(text) + "'") != std::string::npos);
    }
  }
}

TEST_CASE("items from C++ mean what the text means", "[array]") {
  CHECK(same(range(0, 10), parse_slice("0:10")[0]));
  CHECK(same(range(morsel::_, 5), parse_slice(":5")[0]));
  CHECK(same(range(5, morsel::_), parse_slice("5:")[0]));
  CHECK(same(range(morsel::_, morsel::_, 2), parse_slice("::2")[0]));
  CHECK(same(range(9, morsel::_, -3), parse_slice("9::-3")[0]));
  CHECK(same(all_of_axis(), parse_slice(":")[0]));
  CHECK(same(SliceItem(7), parse_slice("7")[0]));
  CHECK(same(ellipsis, parse_slice("...")[0]));
  CHECK(same(newaxis, parse_slice("None")[0]));
  CHECK(to_string(SliceItems{}) == "...");
  CHECK(to_string({1, range(morsel::_, morsel::_, 2), ellipsis, newaxis, range(-3, morsel::_)}) ==
        "1, ::2, ..., None, -3:");
}

// Python: st, sp, ss = slice(start, stop, step).indices(extent); (st, len(range(st, sp, ss)), ss).
TEST_CASE("bounds of any size resolve as Python's slice.indices", "[array]") {
  struct Case {
    Index extent;
    std::optional<Index> start, stop, step;
    Index first, count, stride;
  };
  const Case table[] = {
      {0, -1, none, 1000000000, 0, 0, 1000000000},
      {0, 0, -1, 1, 0, 0, 1},
      {0, 0, -most, -7, -1, 0, -7},
      {0, 0, 1, -3, -1, 0, -3},
      {0, -1, -1, -4611686018427387904, -1, 0, -4611686018427387904},
      {0, 0, -4611686018427387904, -1, -1, 0, -1},
      {0, none, 1, -4611686018427387904, -1, 0, -4611686018427387904},
      {0, -1, 1, 3, 0, 0, 3},
      {0, 1, 1, -3, -1, 0, -3},
      {0, none, 4611686018427387904, -1, -1, 0, -1},
      {0, -1, most, -2, -1, 0, -2},
      {0, none, most, 1, 0, 0, 1},
      {0, least, 0, 4611686018427387904, 0, 0, 4611686018427387904},
      {0, -1, 1, 4611686018427387904, 0, 0, 4611686018427387904},
      {0, 0, none, 4611686018427387904, 0, 0, 4611686018427387904},
      {0, -most, 4611686018427387904, 3, 0, 0, 3},
      {1, none, 0, 4611686018427387904, 0, 0, 4611686018427387904},
      {1, 2, -1, 1000000000, 1, 0, 1000000000},
      {1, least, least, -7, -1, 0, -7},
      {1, -4611686018427387904, least, 1000000000, 0, 0, 1000000000},
      {1, 0, 1, 2, 0, 1, 2},
      {1, least, most, -2, -1, 0, -2},
      {1, 1, most, -2, 0, 0, -2},
      {1, 1, 1, 4611686018427387904, 1, 0, 4611686018427387904},
      {1, 0, 0, 4611686018427387904, 0, 0, 4611686018427387904},
      {1, 1, -most, none, 1, 0, 1},
      {1, least, -2, 7, 0, 0, 7},
      {1, 4611686018427387904, 0, least, 0, 0, -most},
      {1, -3, 2, -1, -1, 0, -1},
      {1, 1, 4611686018427387904, 1, 1, 0, 1},
      {1, 4611686018427387904, 1, none, 1, 0, 1},
      {1, 4611686018427387904, 1, 7, 1, 0, 7},
      {2, -4611686018427387904, most, 7, 0, 1, 7},
      {2, -1, -most, -1, 1, 2, -1},
      {2, -most, 1, least, -1, 0, -most},
      {2, most, 1, 7, 2, 0, 7},
      {2, least, least, 4611686018427387904, 0, 0, 4611686018427387904},
      {2, -1, -3, 1000000000, 1, 0, 1000000000},
      {2, -3, most, least, -1, 0, -most},
      {2, none, -3, 3, 0, 0, 3},
      {2, -4611686018427387904, least, 3, 0, 0, 3},
      {2, least, least, 1000000000, 0, 0, 1000000000},
      {2, -4611686018427387904, most, -7, -1, 0, -7},
      {2, 1, least, 1000000000, 1, 0, 1000000000},
      {2, -1, 4611686018427387904, -1, 1, 0, -1},
      {2, 4611686018427387904, -3, 4611686018427387904, 2, 0, 4611686018427387904},
      {2, 3, -4611686018427387904, most, 2, 0, most},
      {2, -2, 0, 7, 0, 0, 7},
      {10, 9, 10, 1, 9, 1, 1},
      {10, 9, 11, -7, 9, 0, -7},
      {10, 4611686018427387904, least, -3, 9, 4, -3},
      {10, 1, 11, 2, 1, 5, 2},
      {10, least, least, -3, -1, 0, -3},
      {10, 4611686018427387904, least, none, 10, 0, 1},
      {10, -9, -9, -7, 1, 0, -7},
      {10, most, -9, 3, 10, 0, 3},
      {10, 4611686018427387904, least, 7, 10, 0, 7},
      {10, 9, -most, most, 9, 0, most},
      {10, 11, 1, 3, 10, 0, 3},
      {10, none, -1, 3, 0, 3, 3},
      {10, 10, -most, -3, 9, 4, -3},
      {10, -10, -9, 7, 0, 1, 7},
      {10, -most, 9, most, 0, 1, most},
      {10, -11, -9, 7, 0, 1, 7},
      {1000000000, 4611686018427387904, most, -2, 999999999, 0, -2},
      {1000000000, -999999999, -692284023, none, 1, 307715976, 1},
      {1000000000, -4611686018427387904, -999999999, none, 0, 1, 1},
      {1000000000, 1000000000, -most, none, 1000000000, 0, 1},
      {1000000000, -1000000001, -477148435, -4611686018427387904, -1, 0, -4611686018427387904},
      {1000000000, -1000000000, -1000000001, 1000000000, 0, 0, 1000000000},
      {1000000000, -999999999, -370383011, most, 1, 1, most},
      {1000000000, -1, 1000000000, -2, 999999999, 0, -2},
      {1000000000, most, -999999999, 4611686018427387904, 1000000000, 0, 4611686018427387904},
      {1000000000, none, least, 3, 0, 0, 3},
      {1000000000, 1000000000, none, -2, 999999999, 500000000, -2},
      {1000000000, -4611686018427387904, -1, least, -1, 0, -most},
      {1000000000, 1000000001, 4611686018427387904, -4611686018427387904, 999999999, 0, -4611686018427387904},
      {1000000000, 4611686018427387904, 277521019, 1000000000, 1000000000, 0, 1000000000},
      {1000000000, -most, -most, least, -1, 0, -most},
      {1000000000, 1000000001, -999999999, 7, 1000000000, 0, 7},
      {4611686018427387904, none, -4611686018427387903, -1, 4611686018427387903, 4611686018427387902, -1},
      {4611686018427387904, 4213469012368745565, 4611686018427387904, -3, 4213469012368745565, 0, -3},
      {4611686018427387904, 1, -4611686018427387905, 1000000000, 1, 0, 1000000000},
      {4611686018427387904, most, 1, -3, 4611686018427387903, 1537228672809129301, -3},
      {4611686018427387904, 0, -1, 4611686018427387904, 0, 1, 4611686018427387904},
      {4611686018427387904, -4611686018427387903, 4611686018427387903, most, 1, 1, most},
      {4611686018427387904, 4611686018427387903, -1, least, 4611686018427387903, 0, -most},
      {4611686018427387904, 0, none, -3, 0, 1, -3},
      {4611686018427387904, 1191099288905086794, least, none, 1191099288905086794, 0, 1},
      {4611686018427387904, -4611686018427387903, -4611686018427387905, 1, 1, 0, 1},
      {4611686018427387904, -4611686018427387905, -4611686018427387904, 1000000000, 0, 0, 1000000000},
      {4611686018427387904, -most, none, least, -1, 0, -most},
      {4611686018427387904, 0, -4611686018427387904, -3, 0, 0, -3},
      {4611686018427387904, 3922433415743161295, -1, -4611686018427387904, 3922433415743161295, 0,
       -4611686018427387904},
      {4611686018427387904, -most, -4611686018427387904, 4611686018427387904, 0, 0, 4611686018427387904},
      {4611686018427387904, -3066270855417346587, 4611686018427387904, 4611686018427387904,
       1545415163010041317, 1, 4611686018427387904},
      {most, -most, -most, -3, 0, 0, -3},
      {most, 4611686018427387904, 0, most, 4611686018427387904, 0, most},
      {most, 9223372036854775806, 0, none, 9223372036854775806, 0, 1},
      {most, 0, -9215262286699531510, -2, 0, 0, -2},
      {most, -4611686018427387904, most, least, 4611686018427387903, 0, -most},
      {most, -most, most, -7, 0, 0, -7},
      {most, 9223372036854775806, 0, 3, 9223372036854775806, 0, 3},
      {most, most, 3206297651831171693, 1000000000, most, 0, 1000000000},
      {most, most, none, most, most, 0, most},
      {most, -most, 9223372036854775806, 7, 0, 1317624576693539401, 7},
      {most, -4611686018427387904, 9223372036854775806, least, 4611686018427387903, 0, -most},
      {most, 4611686018427387904, none, 7, 4611686018427387904, 658812288346769701, 7},
      {most, 0, -most, -4611686018427387904, 0, 0, -4611686018427387904},
      {most, 2660863529477972394, 0, -2, 2660863529477972394, 1330431764738986197, -2},
      {most, -9223372036854775806, most, -7, 1, 0, -7},
      {most, 1, most, most, 1, 1, most},
  };
  for (const Case& c : table) {
    INFO(to_string({slice(c.start, c.stop, c.step)}) << " of " << c.extent);
    const ResolvedSlice resolved = resolve(slice(c.start, c.stop, c.step), c.extent);
    CHECK(resolved.start == c.first);
    CHECK(resolved.count == c.count);
    CHECK(resolved.step == c.stride);
  }
}

TEST_CASE("all small slices of small extents resolve as Python's", "[array]") {
  std::vector<std::optional<Index>> bounds{none};
  for (Index i = -8; i <= 8; ++i) bounds.push_back(i);
  const std::optional<Index> steps[] = {none, 1, 2, 3, 7, -1, -2, -3, -7};
  std::uint64_t digest = 0xcbf29ce484222325u;
  const auto add = [&](Index value) {
    for (int i = 0; i < 8; ++i)
      digest = (digest ^ ((static_cast<std::uint64_t>(value) >> (8 * i)) & 255u)) * 0x100000001b3u;
  };
  for (Index extent = 0; extent < 7; ++extent)
    for (const auto& start : bounds)
      for (const auto& stop : bounds)
        for (const auto& step : steps) {
          const ResolvedSlice resolved = resolve(slice(start, stop, step), extent);
          add(resolved.count);
          if (resolved.count > 0) add(resolved.start);
        }
  CHECK(digest == 0xf82673db8743dde5u);  // of the same loop in Python
}

TEST_CASE("a step of zero is refused", "[array]") {
  CHECK_THROWS_WITH(resolve(range(0, 5, 0), 10), Catch::Contains("step"));
}
