#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <morsel/morsel.hpp>
#include <support/failure.hpp>
#include <support/paths.hpp>
#include <support/test_source.hpp>

using namespace morsel;
using Catch::Matchers::Contains;
using morsel_test::failure_of;

namespace {

const std::string example = std::string(MORSEL_SOURCE_DIR) + "/tests/data/example.nc/temperature";

/// 0, 1, 2, ... along one axis `x` with this coordinate.
template <class T>
LazyArray<double> along(const std::vector<T>& coordinate, Attributes attributes = {}, Index chunk = 100) {
  xt::xarray<T> values = xt::xarray<T>::from_shape({coordinate.size()});
  std::copy(coordinate.begin(), coordinate.end(), values.begin());
  const auto x = from_array(std::move(values)).rechunk(chunk).with_attrs(std::move(attributes));
  const auto a = arange<double>(static_cast<double>(coordinate.size())).with_dims({"x"});
  return with_coord(a, "x", x);
}

template <class T>
std::vector<double> chosen(const LazyArray<T>& array) {
  const auto all = array.compute();
  return std::vector<double>(all.begin(), all.end());
}
using Values = std::vector<double>;

}  // namespace

TEST_CASE("parts of a NetCDF variable are chosen by its coordinates", "[coordinates]") {
  const auto t = open<double>(example, {.mask_and_scale = true});
  const auto part = sel(t, {{"lat", between(30, 60)}, {"time", "2001-06"}, {"lon", nearest(100)}});
  CHECK(part.dims() == std::vector<std::string>{"time", "lat"});
  CHECK(part.shape() == Shape{10, 2});  // 1 June + 0, 3, ..., 27 days: 3, 6, ..., 30 June
  const xt::xarray<double> all = t.compute(), got = part.compute();
  const auto times = coord(part, "time").as<double>().compute();
  const auto lats = coord(part, "lat").as<double>().compute();
  CHECK(lats(0) == 60);
  CHECK(lats(1) == 30);
  CHECK(times(0) >= 151);
  CHECK(times(times.size() - 1) < 181);
  for (std::size_t i = 0; i < 10; ++i)
    for (std::size_t j = 0; j < 2; ++j)
      CHECK(got(i, j) == all(static_cast<std::size_t>((times(i) - 90) / 3), 1 + j, 2));
  CHECK(isel(t, {{"lat", 3}, {"time", range(0, 4)}}).shape() == Shape{4, 8});
  CHECK(isel(t, {{"lon", -1}}).dims() == std::vector<std::string>{"time", "lat"});
  CHECK(sel(t, {{"lat", -30}}).shape() == Shape{40, 8});
  CHECK(sel(t, {{"lat", -30}, {"time", "2001-06-03T00:00:00"}, {"lon", 45}}).item() ==
        all(static_cast<std::size_t>((153 - 90) / 3), 4, 1));
}

TEST_CASE("numbers are found in coordinates that ascend or descend", "[coordinates]") {
  const bool descends = GENERATE(false, true);
  const Index chunk = GENERATE(1, 3, 100);
  CAPTURE(descends, chunk);
  std::vector<float> x{-2.5F, 0, 0.1F, 10, 20, 20.5F, 1000};
  if (descends) std::reverse(x.begin(), x.end());
  const auto a = along(x, {}, chunk);
  const auto index = [&](double i) { return descends ? 6 - i : i; };
  const auto indices = [&](std::vector<double> list) {
    if (descends) std::reverse(list.begin(), list.end());
    for (double& i : list) i = index(i);
    return list;
  };
  CHECK(sel(a, {{"x", -2.5}}).item() == index(0));
  CHECK(sel(a, {{"x", 0.1}}).item() == index(2));  // the nearest float32 is meant
  CHECK(sel(a, {{"x", 1000}}).item() == index(6));
  CHECK(chosen(sel(a, {{"x", between(0.1, 20)}})) == indices({2, 3, 4}));
  CHECK(chosen(sel(a, {{"x", between(-100, 0)}})) == indices({0, 1}));
  CHECK(chosen(sel(a, {{"x", between(20.2, 1e9)}})) == indices({5, 6}));
  CHECK(chosen(sel(a, {{"x", between(-1e9, 1e9)}})).size() == 7);
  CHECK(chosen(sel(a, {{"x", between(11, 12)}})).empty());
  CHECK(chosen(sel(a, {{"x", between(12, 11)}})).empty());
  CHECK(chosen(sel(a, {{"x", between(2000, 3000)}})).empty());
  CHECK(sel(a, {{"x", nearest(-100)}}).item() == index(0));
  CHECK(sel(a, {{"x", nearest(5.05)}}).item() == index(3));  // the float32 5.05 is nearer to 10
  CHECK(sel(a, {{"x", nearest(15)}}).item() == index(4));    // of two the larger one
  CHECK(sel(a, {{"x", nearest(1e9)}}).item() == index(6));
  CHECK(sel(a, {{"x", nearest(19, 1)}}).item() == index(4));
  CHECK_THAT(failure_of([&] {
               sel(a, {{"x", nearest(18, 1)}});
             }),
             Contains("not_found: sel 'x': nothing near enough; expected a coordinate within 1"));
  CHECK_THAT(failure_of([&] {
               sel(a, {{"x", 11}});
             }),
             Contains("not_found: sel 'x': no such coordinate; expected one there is, or nearest(...), got "
                      "11.0 beside ") &&
                 Contains("10.0") && Contains("20.0"));
}

TEST_CASE("integers of 64 bits are compared exactly", "[coordinates]") {
  const auto a = along<std::int64_t>({9007199254740992, 9007199254740993, 9223372036854775807});
  CHECK(sel(a, {{"x", std::int64_t{9007199254740993}}}).item() == 1);
  CHECK(sel(a, {{"x", std::int64_t{9223372036854775807}}}).item() == 2);
  CHECK_THAT(failure_of([&] { sel(a, {{"x", std::int64_t{9223372036854775806}}}); }), Contains("not_found"));
  const auto u = along<std::uint64_t>({5, ~std::uint64_t{0} - 1, ~std::uint64_t{0}});
  CHECK(sel(u, {{"x", ~std::uint64_t{0}}}).item() == 2);
}

TEST_CASE("a coordinate that is not in order gives single values, and nothing else", "[coordinates]") {
  const Index chunk = GENERATE(1, 2, 100);
  CAPTURE(chunk);
  const auto a = along<double>({3, 1, 2, 7, 5}, {}, chunk);
  for (int i = 0; i < 5; ++i) {
    const std::vector<double> values{3, 1, 2, 7, 5};
    CHECK(sel(a, {{"x", values[static_cast<std::size_t>(i)]}}).item() == i);
  }
  CHECK_THAT(failure_of([&] { sel(a, {{"x", 4}}); }), Contains("not_found: sel 'x': no such coordinate"));
  if (chunk == 100) {
    CHECK_THAT(failure_of([&] {
                 sel(a, {{"x", between(1, 2)}});
               }),
               Contains("invalid_argument: sel 'x': the coordinate is not in order"));
    CHECK_THAT(failure_of([&] { sel(a, {{"x", nearest(2)}}); }), Contains("not in order"));
  }
  CHECK_THAT(failure_of([&] {
               sel(along<double>({1, 2, 2, 3}), {{"x", 2}});
             }),
             Contains("several elements have this coordinate"));
  CHECK_THAT(failure_of([&] { sel(along<double>({2, 1, 2}), {{"x", 2}}); }), Contains("several elements"));
  CHECK(chosen(sel(along<double>({1, 2, 2, 3}), {{"x", between(2, 2)}})) == Values{1, 2});
  CHECK_THAT(failure_of([&] {
               sel(along<double>({1, std::nan(""), 3}), {{"x", between(1, 3)}});
             }),
             Contains("not in order"));
  CHECK_THAT(failure_of([&] { sel(a, {{"x", std::nan("")}}); }), Contains("NaN is no coordinate"));
}

TEST_CASE("dates choose times in the calendar of the coordinate", "[coordinates]") {
  std::vector<double> hours;
  for (int i = 0; i < 360; ++i) hours.push_back(6.0 * i);
  const auto times = [&](const char* calendar) {
    return along(hours, {{"units", "\"hours since 2000-02-01 00:00\""}, {"calendar", calendar}}, 50);
  };
  const auto a = times("\"standard\"");
  CHECK(chosen(sel(a, {{"x", "2000-02"}})).size() == 29 * 4);
  CHECK(chosen(sel(times("\"noleap\""), {{"x", "2000-02"}})).size() == 28 * 4);
  CHECK(chosen(sel(times("\"360_day\""), {{"x", "2000-02"}})).size() == 30 * 4);
  CHECK(chosen(sel(a, {{"x", "2000-02-29"}})) == Values{112, 113, 114, 115});
  CHECK(chosen(sel(a, {{"x", "2000-02-29T06"}})) == Values{113});
  CHECK(sel(a, {{"x", "2000-02-29T06:00:00"}}).item() == 113);
  CHECK(chosen(sel(a, {{"x", between("2000-02-28", "2000-02-29T06")}})).size() == 6);
  CHECK(chosen(sel(a, {{"x", between("1900", "2100")}})).size() == 360);
  CHECK(sel(a, {{"x", nearest("2000-02-02T02")}}).item() == 4);
  CHECK(sel(a, {{"x", nearest("2000-02-02T04", 2.0)}}).item() == 5);  // the tolerance is in hours
  CHECK(sel(a, {{"x", 24}}).item() == 4);                             // as it is stored
  CHECK_THAT(
      failure_of([&] {
        sel(a, {{"x", "1999"}});
      }),
      Contains("not_found: sel 'x': no coordinate in this time; expected at least one, got none in '1999'"));
  CHECK_THAT(failure_of([&] { sel(a, {{"x", "2000-02-29T06:00:01"}}); }), Contains("not_found"));
  CHECK_THAT(failure_of([&] {
               sel(a, {{"x", "2000-02-30"}});
             }),
             Contains("invalid_argument: sel 'x': a date: no such day"));
  CHECK_THAT(failure_of([&] { sel(a, {{"x", "soon"}}); }), Contains("syntax_error: sel 'x': a date"));
  // Thirds of a day are no doubles.
  std::vector<double> days;
  for (int i = 0; i < 30; ++i) days.push_back(i / 3.0);
  const auto thirds = along(days, {{"units", "\"days since 2000-02-01\""}});
  for (int i = 0; i < 30; ++i) {
    const std::string hour = std::to_string(i % 3 * 8), day = std::to_string(1 + i / 3);
    const std::string date = "2000-02-" + std::string(day.size() < 2 ? "0" : "") + day + "T" +
                             (hour.size() < 2 ? "0" : "") + hour + ":00:00";
    CHECK(sel(thirds, {{"x", date}}).item() == i);
  }
  CHECK_THAT(failure_of([&] {
               sel(along<double>({1, 2}), {{"x", "2000"}});
             }),
             Contains("a date for a coordinate that is no time"));
  CHECK_THAT(failure_of([&] {
               sel(along<double>({1, 2}, {{"units", "\"years since 2000-01-01\""}}), {{"x", "2000"}});
             }),
             Contains("a length that varies"));
  CHECK(sel(along<double>({1, 2}, {{"units", "\"years since 2000-01-01\""}}), {{"x", 2}}).item() == 1);
}

TEST_CASE("a search reads the chunks of the coordinate that it meets", "[coordinates]") {
  test::TempDir dir;
  const std::string store = dir / "a.zarr";
  save(arange<double>(100000.0).with_dims({"x"}), store + "/x", {.chunks = {100}});
  save(arange<double>(100000.0).with_dims({"x"}), store + "/a", {.chunks = {100}});
  // A thousand chunks, of which a bisection needs ten: the others hold nonsense.
  int kept = 0;
  for (Index chunk = 0; chunk < 1000; ++chunk) {
    Index lo = 0, hi = 100000;
    bool met = chunk == 0 || chunk == 999;
    while (lo < hi) {
      const Index middle = lo + (hi - lo) / 2;
      met |= middle / 100 == chunk;
      if (middle < 41999)
        lo = middle + 1;
      else
        hi = middle;
    }
    met |= chunk == 419 || chunk == 420;
    kept += met;
    if (!met) std::ofstream(store + "/x/c/" + std::to_string(chunk), std::ios::trunc) << "nonsense";
  }
  CHECK(kept < 20);
  const auto a = open<double>(store + "/a");
  CHECK(sel(a, {{"x", 41999}}).item() == 41999);
  CHECK(chosen(sel(a, {{"x", between(41999, 41999)}})) == Values{41999});
}

TEST_CASE("coordinates go with views, operations and reductions", "[coordinates]") {
  const auto t = open<std::int16_t>(example);
  const auto lon_of = [](const AnyLazyArray& a) {
    const auto x = coord(a, "lon").as<double>().compute();
    return Values(x.begin(), x.end());
  };
  CHECK(lon_of(t["..., 2:8:2"]) == Values{90, 180, 270});
  CHECK(lon_of(t["..., 2:8:2"]["..., ::-1"]) == Values{270, 180, 90});
  CHECK(lon_of(flip(t["0, :, :3"], "lon")) == Values{90, 45, 0});
  CHECK(lon_of(permute_dims(t["..., :2"], {2, 0, 1})) == Values{0, 45});
  CHECK(lon_of(t["..., :2"].any().with_dims({"t", "y", "lon"})) == Values{0, 45});
  CHECK(lon_of((t * 0.5 + 1)["..., :2"]) == Values{0, 45});
  CHECK(lon_of(mean(t, {"time", "lat"})["1:3"]) == Values{45, 90});
  CHECK(lon_of((t - mean(t, "time"))["..., :1"]) == Values{0});
  CHECK(sel(mean(t, "lat"), {{"lon", between(40, 100)}}).shape() == Shape{40, 2});
  // The axis by another name is the same axis.
  CHECK(coord(t.with_dims({"t", "y", "x"}), "y").shape() == Shape{7});
  CHECK(coord(t, 1).attrs() == coord(t, "lat").attrs());
  CHECK(coord(open_any(example, {.dims = {"t", "y", "x"}}), "y").shape() == Shape{7});
  const auto missing = [](const AnyLazyArray& a) { return failure_of([&] { coord(a, "lon"); }); };
  const char* none = "not_found: coord: axis 'lon' has no coordinate";
  CHECK_THAT(missing(take(t, {0, 1}, "lon")), Contains(none));
  CHECK_THAT(missing(t["..., :4"] + t["..., 4:"]), Contains(none));
  CHECK_THAT(missing(mean(t, "lon", {.keepdims = true})), Contains(none));
  CHECK_THAT(missing(concat({t.any(), t.any()}, "lon")), Contains(none));
}

TEST_CASE("coordinates that are not there or do not fit are refused", "[coordinates]") {
  test::TempDir dir;
  const std::string store = dir / "a.zarr";
  save(zeros<float>({3, 4}).with_dims({"y", "x"}), store + "/g/a");
  save(arange<double>(4.0), store + "/x");
  save(zeros<double>({3, 3}), store + "/g/y");
  const auto a = open<float>(store + "/g/a");
  CHECK(coord(a, "x").shape() == Shape{4});  // of the group above
  CHECK(sel(a, {{"x", 3}}).shape() == Shape{3});
  CHECK_THAT(
      failure_of([&] { coord(a, "y"); }),
      Contains("shape_mismatch: coord: 'y' is no coordinate of the axis; expected shape (3,), got (3, 3)"));
  std::filesystem::remove_all(store + "/x");
  CHECK_THAT(
      failure_of([&] {
        sel(a, {{"x", 3}});
      }),
      Contains("not_found: sel 'x': axis 'x' has no coordinate; expected a 1-D array 'x' beside the array"));
  CHECK_THAT(failure_of([&] { sel(a, {{"z", 3}}); }), Contains("sel 'z'"));
  CHECK_THAT(failure_of([&] { coord(zeros<float>({3}), 0); }), Contains("axis 0 has no coordinate"));
  CHECK_THAT(failure_of([&] { with_coord(zeros<float>({3}), 0, arange<double>(3.0)); }),
             Contains("the axis has no name"));
  CHECK_THAT(failure_of([&] { with_coord(a, "x", arange<double>(3.0)); }),
             Contains("shape_mismatch: with_coord: not as long as the axis; expected shape (4,), got (3,)"));
  CHECK_THAT(failure_of([&] { isel(a, {{"x", 1}, {"x", 2}}); }), Contains("isel: one axis twice"));
  CHECK_THAT(failure_of([&] { isel(a, {{"x", SliceItem(ellipsis)}}); }), Contains("is no part of an axis"));
  CHECK_THAT(failure_of([&] { isel(a, {{"x", 4}}); }), Contains("out_of_range"));
  CHECK_THAT(failure_of([&] {
               sel(with_coord(a, "x", zeros<std::complex<float>>({4})), {{"x", 1}});
             }),
             Contains("the coordinate is not of real numbers"));
}
