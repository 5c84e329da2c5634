#include <catch2/catch.hpp>
#include <cmath>
#include <morsel/morsel.hpp>
#include <support/failure.hpp>
#include <support/paths.hpp>

using namespace morsel;

namespace {

constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();

/// The decoded values as doubles, and their type.
struct Decoded {
  Type type;
  std::vector<double> values;
};
template <class T>
Decoded decode(const std::vector<T>& stored, Attributes attributes, const AttributeTypes& types = {}) {
  xt::xarray<T> x = xt::xarray<T>::from_shape({stored.size()});
  std::copy(stored.begin(), stored.end(), x.begin());
  const AnyLazyArray packed =
      from_array(std::move(x)).any().with_dims({"x"}).with_attrs(std::move(attributes));
  const AnyLazyArray values = mask_and_scale(packed, types);
  CHECK(values.dims() == std::vector<std::string>{"x"});
  const xt::xarray<double> all = values.as<double>().compute();
  return {values.dtype().type(), std::vector<double>(all.begin(), all.end())};
}

void check(const Decoded& got, Type type, const std::vector<double>& want) {
  CHECK(got.type == type);
  REQUIRE(got.values.size() == want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    CAPTURE(i, got.values[i], want[i]);
    CHECK((got.values[i] == want[i] || (std::isnan(got.values[i]) && std::isnan(want[i]))));
  }
}

}  // namespace

TEST_CASE("scale and offset give values of their own type", "[mask_and_scale]") {
  const AttributeTypes floats{{"scale_factor", Type::float32}, {"add_offset", Type::float32}};
  const Attributes both{{"scale_factor", "0.01"}, {"add_offset", "273.15"}};
  check(decode<std::int16_t>({0, 100, -200}, both, floats), Type::float32,
        {273.15F, 100 * 0.01F + 273.15F, -200 * 0.01F + 273.15F});
  check(decode<std::int16_t>({0, 100}, both), Type::float64, {273.15, 100 * 0.01 + 273.15});
  check(decode<std::int32_t>({100}, both, floats), Type::float64,
        {100 * static_cast<double>(0.01F) + static_cast<double>(273.15F)});
  check(decode<std::int16_t>({7}, {{"scale_factor", "0.5"}}, floats), Type::float32, {3.5});
  check(decode<std::int16_t>({7}, {{"add_offset", "0.5"}}, floats), Type::float64, {7.5});
  check(decode<std::int16_t>({7}, {{"scale_factor", "2"}}), Type::float64, {14});
  check(decode<std::int16_t>({7}, both, {{"scale_factor", Type::float32}}), Type::float64,
        {7 * static_cast<double>(0.01F) + 273.15});
  check(decode<std::uint8_t>({255}, {{"scale_factor", "[0.5]"}}), Type::float64, {127.5});
}

TEST_CASE("missing elements are NaN in the smallest type that holds the others", "[mask_and_scale]") {
  check(decode<std::int8_t>({1, -1, 3}, {{"_FillValue", "-1"}}), Type::float32, {1, nan_value, 3});
  check(decode<std::int16_t>({1, -999, -998, 4}, {{"_FillValue", "-999"}, {"missing_value", "[-998, 4]"}}),
        Type::float32, {1, nan_value, nan_value, nan_value});
  check(decode<std::int32_t>({16777217, -1}, {{"missing_value", "-1"}}), Type::float64,
        {16777217, nan_value});
  // Compared as integers: a float64 does not tell these apart.
  check(decode<std::int64_t>({9007199254740993, 9007199254740992}, {{"_FillValue", "9007199254740993"}}),
        Type::float64, {nan_value, 9007199254740992.0});
  check(decode<std::uint64_t>({~std::uint64_t{0}, 5}, {{"_FillValue", "18446744073709551615"}}),
        Type::float64, {nan_value, 5});
  // A double of which the elements have the nearest float32.
  check(decode<float>({1e20F, 1}, {{"missing_value", "1e+20"}}), Type::float32, {nan_value, 1});
  check(decode<float>({-999, std::nanf(""), 2}, {{"_FillValue", "\"NaN\""}, {"missing_value", "-999"}}),
        Type::float32, {nan_value, nan_value, 2});
  check(decode<double>({std::numeric_limits<double>::infinity(), 2}, {{"_FillValue", "\"Infinity\""}}),
        Type::float64, {nan_value, 2});
  check(decode<std::int16_t>({5, 6}, {{"_FillValue", "5"}, {"scale_factor", "0.5"}},
                             {{"scale_factor", Type::float32}}),
        Type::float32, {nan_value, 3});
  // Base64 of a double, as xarray writes it to Zarr version 3: -9999.0 and NaN.
  check(decode<double>({-9999, 1}, {{"_FillValue", "\"AAAAAICHw8A=\""}}), Type::float64, {nan_value, 1});
  check(decode<double>({-9999, 1}, {{"_FillValue", "\"AAAAAAAA+H8=\""}}), Type::float64, {-9999, 1});
  // No numbers, nothing to do.
  check(decode<std::int16_t>({5}, {{"_FillValue", "\"five\""}, {"missing_value", "null"}}), Type::int16, {5});
}

TEST_CASE("elements outside of the valid range are missing", "[mask_and_scale]") {
  check(decode<std::int16_t>({-1, 0, 50, 100, 101}, {{"valid_range", "[0, 100]"}}), Type::float32,
        {nan_value, 0, 50, 100, nan_value});
  check(decode<std::int16_t>({-1, 0, 101}, {{"valid_min", "0"}}), Type::float32, {nan_value, 0, 101});
  check(decode<float>({-1, 0, 101}, {{"valid_max", "0"}, {"valid_min", "\"NaN\""}}), Type::float32,
        {-1, 0, nan_value});
  // Of stored numbers where it is of their kind, of decoded ones where it is of the scale's.
  const AttributeTypes types{{"valid_range", Type::int16}, {"scale_factor", Type::float64}};
  check(decode<std::int16_t>({-1, 10, 101}, {{"valid_range", "[0, 100]"}, {"scale_factor", "0.1"}}, types),
        Type::float64, {nan_value, 1, nan_value});
  check(decode<std::int16_t>({-1, 10, 101}, {{"valid_range", "[0.0, 10.0]"}, {"scale_factor", "0.1"}}),
        Type::float64, {nan_value, 1, nan_value});
}

TEST_CASE("integers are read with the signedness that _Unsigned gives", "[mask_and_scale]") {
  check(decode<std::int8_t>({-1, 5, -128}, {{"_Unsigned", "\"true\""}}), Type::uint8, {255, 5, 128});
  check(decode<std::int8_t>({-1, 5}, {{"_Unsigned", "\"true\""}, {"_FillValue", "-1"}}), Type::float32,
        {nan_value, 5});
  check(decode<std::int16_t>({-1, -2}, {{"_Unsigned", "\"true\""}, {"valid_range", "[0, -2]"}}),
        Type::float32, {nan_value, 65534});
  check(decode<std::uint8_t>({255, 5}, {{"_Unsigned", "\"false\""}, {"_FillValue", "255"}}), Type::float32,
        {nan_value, 5});
  check(decode<std::uint8_t>({255}, {{"_Unsigned", "\"true\""}}), Type::uint8, {255});
  check(decode<float>({1}, {{"_Unsigned", "\"true\""}}), Type::float32, {1});
}

TEST_CASE("what has been decoded goes from the attributes, the rest stays", "[mask_and_scale]") {
  const auto x = from_array(xt::xarray<std::int16_t>{1, 2});
  const AnyLazyArray packed =
      x.any().with_attrs({{"units", "\"K\""}, {"scale_factor", "0.1"}, {"_FillValue", "1"}});
  const AnyLazyArray values = mask_and_scale(packed);
  CHECK(values.attrs() == Attributes{{"units", "\"K\""}});
  CHECK(mask_and_scale(values).edge().node == values.edge().node);
  const AnyLazyArray plain = x.any().with_attrs({{"units", "\"K\""}});
  CHECK(mask_and_scale(plain).edge().node == plain.edge().node);
  // Numbers alone are packed.
  const AnyLazyArray flags =
      from_array(xt::xarray<bool>{true, false}).any().with_attrs({{"_FillValue", "1"}});
  CHECK(mask_and_scale(flags).attrs() == flags.attrs());
}

TEST_CASE("open decodes a NetCDF variable with the types of its attributes", "[mask_and_scale]") {
  const std::string path = std::string(MORSEL_SOURCE_DIR) + "/tests/data/example.nc/temperature";
  const auto values = open<double>(path, {.mask_and_scale = true});
  const auto stored = open<std::int16_t>(path);
  CHECK(values.attrs() == Attributes{{"units", "\"K\""}, {"long_name", "\"air temperature\""}});
  const xt::xarray<double> decoded = values.compute();
  const xt::xarray<std::int16_t> packed = stored.compute();
  CHECK(std::isnan(decoded(0, 0, 0)));
  CHECK(decoded(1, 2, 3) == packed(1, 2, 3) * 0.01 + 273.15);
  CHECK(sum(where(isnan(values), 1.0, 0.0)).item() == 1);
}
