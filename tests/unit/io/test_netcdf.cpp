#include <morsel/io/netcdf.hpp>

#include <catch2/catch.hpp>
#include <cstring>
#include <support/failure.hpp>

#include "files.hpp"
#include "netcdf_bytes.hpp"

using namespace morsel;
using Catch::Matchers::Contains;
using morsel_test::failure_of;
using test::netcdf_header;
using test::NetcdfBytes;

namespace {

template <class T>
std::vector<T> values_of(const OpenedArray& array) {
  const test::ByteVector bytes = test::array_bytes(array);
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

/// Everything that a damaged file might be asked for.
std::string failure_of_reading(const std::string& path) {
  return failure_of([&] {
    const auto members = list_path(path);
    for (const Member& member : *members) values_of<std::byte>(open_path(path + "/" + member.path));
  });
}

}  // namespace

TEST_CASE("fixed variables of every version and type are read", "[netcdf]") {
  test::TempDir dir;
  const int version = GENERATE(1, 2, 5);
  std::vector<test::NetcdfTestVariable> variables{{"b", {1}, 1, 1}, {"c", {1}, 2, 1}, {"s", {0, 1}, 3, 2},
                                                  {"i", {0}, 4, 4}, {"f", {}, 5, 4},  {"d", {1}, 6, 8}};
  if (version == 5)
    for (const auto& more : {test::NetcdfTestVariable{"ub", {1}, 7, 1},
                             {"us", {0}, 8, 2},
                             {"ui", {0}, 9, 4},
                             {"l", {1}, 10, 8},
                             {"ul", {1}, 11, 8}})
      variables.push_back(more);
  NetcdfBytes file = netcdf_header(version, 0, {{"y", 2}, {"x", 3}}, variables);
  file.value<std::int8_t>(-1).value<std::int8_t>(2).value<std::int8_t>(-128).pad();
  file.text("abc").pad();
  for (int i = 0; i < 6; ++i) file.value(static_cast<std::int16_t>(i * 1000 - 2500));
  file.pad().value<std::int32_t>(-70000).value<std::int32_t>(5);
  file.value(1.5F).value(-0.1).value(1e300).value(0.0);
  if (version == 5) {
    file.value<std::uint8_t>(255).value<std::uint8_t>(0).value<std::uint8_t>(7).pad();
    file.value<std::uint16_t>(65535).value<std::uint16_t>(1).pad();
    file.value<std::uint32_t>(4000000000).value<std::uint32_t>(1);
    for (const std::int64_t v : {std::int64_t{-1} << 62, std::int64_t{0}, std::int64_t{9}}) file.value(v);
    for (const std::uint64_t v : {~std::uint64_t{0}, std::uint64_t{0}, std::uint64_t{9}}) file.value(v);
  }
  const std::string path = test::write_file(dir / "a.bin", file.bytes);
  CAPTURE(version);
  CHECK(values_of<std::int8_t>(open_path(path + "/b")) == std::vector<std::int8_t>{-1, 2, -128});
  const OpenedArray text = open_path(path + "/c");
  CHECK(text.source.spec().dtype.name() == "S1");
  CHECK(values_of<char>(text) == std::vector<char>{'a', 'b', 'c'});
  const OpenedArray s = open_path(path + "/s");
  CHECK(s.source.spec().shape() == Shape{2, 3});
  CHECK(s.source.spec().dims == std::vector<std::string>{"y", "x"});
  CHECK(s.source.spec().format == "netcdf");
  CHECK(values_of<std::int16_t>(s) == std::vector<std::int16_t>{-2500, -1500, -500, 500, 1500, 2500});
  CHECK(values_of<std::int32_t>(open_path(path + "/i")) == std::vector<std::int32_t>{-70000, 5});
  const OpenedArray f = open_path(path + "/f");
  CHECK(f.source.spec().shape().empty());
  CHECK(values_of<float>(f) == std::vector<float>{1.5F});
  CHECK(values_of<double>(open_path(path + "/d")) == std::vector<double>{-0.1, 1e300, 0.0});
  const auto members = list_path(path);
  REQUIRE(members);
  CHECK(members->size() == variables.size());
  CHECK_FALSE(list_path(path + "/s"));
  if (version == 5) {
    CHECK(values_of<std::uint8_t>(open_path(path + "/ub")) == std::vector<std::uint8_t>{255, 0, 7});
    CHECK(values_of<std::uint16_t>(open_path(path + "/us")) == std::vector<std::uint16_t>{65535, 1});
    CHECK(values_of<std::uint32_t>(open_path(path + "/ui")) == std::vector<std::uint32_t>{4000000000, 1});
    CHECK(values_of<std::int64_t>(open_path(path + "/l"))[0] == std::int64_t{-1} << 62);
    CHECK(values_of<std::uint64_t>(open_path(path + "/ul"))[0] == ~std::uint64_t{0});
  }
}

TEST_CASE("records of several variables are padded, those of a lone one are not", "[netcdf]") {
  test::TempDir dir;
  const int version = GENERATE(1, 2, 5);
  const bool is_stream = GENERATE(false, true);
  const bool lone = GENERATE(false, true);
  CAPTURE(version, is_stream, lone);
  const std::uint64_t records = !is_stream ? 5 : version == 5 ? ~std::uint64_t{0} : 0xffffffff;
  std::vector<test::NetcdfTestVariable> variables{{"fixed", {1}, 4, 4}, {"s", {0, 1}, 3, 2}};
  if (!lone) variables.push_back({"b", {0}, 1, 1});
  NetcdfBytes file = netcdf_header(version, records, {{"time", 0}, {"x", 3}}, variables);
  for (int i = 0; i < 3; ++i) file.value<std::int32_t>(i);
  std::vector<std::int16_t> s;
  std::vector<std::int8_t> b;
  for (int record = 0; record < 5; ++record) {
    for (int i = 0; i < 3; ++i) file.value(s.emplace_back(static_cast<std::int16_t>(100 * record + i)));
    if (lone) continue;
    file.pad().value(b.emplace_back(static_cast<std::int8_t>(record - 2)));
    if (record < 4 || !is_stream) file.pad();  // the padding of the last one may be missing
  }
  const std::string path = test::write_file(dir / "a.nc", file.bytes);
  const OpenedArray array = open_path(path + "/s");
  CHECK(array.source.spec().shape() == Shape{5, 3});
  CHECK(values_of<std::int16_t>(array) == s);
  CHECK(values_of<std::int32_t>(open_path(path + "/fixed")) == std::vector<std::int32_t>{0, 1, 2});
  // All records in one read: behind each other, or with few bytes between them.
  CHECK(array.source.requests(Dims{0, 0}, Region::of(Shape{5, 3})) == 1);
  if (!lone) CHECK(values_of<std::int8_t>(open_path(path + "/b")) == b);
}

TEST_CASE("attributes of files and variables are decoded", "[netcdf]") {
  test::TempDir dir;
  const int version = GENERATE(1, 5);
  NetcdfBytes file(version);
  const auto attribute = [&](const std::string& name, std::uint64_t type,
                             std::uint64_t count) -> NetcdfBytes& {
    return file.name(name).u32(type).size(count);
  };
  file.size(0).list(test::netcdf_dimensions, 1).name("x").size(1).list(test::netcdf_attributes, 4);
  attribute("title", 2, 6).text("a \"b\"\n").pad();
  attribute("empty", 2, 0);
  attribute("none", 6, 0);
  attribute("nul", 2, 5).text(std::string("ab\0\0\0", 5)).pad();
  file.list(test::netcdf_variables, 1).name("v").size(1).size(0).list(test::netcdf_attributes, 5);
  attribute("_FillValue", 3, 1).value<std::int16_t>(-999).pad();
  attribute("scale_factor", 5, 1).value(0.01F);
  attribute("range", 6, 3).value(-1.0).value(std::numeric_limits<double>::quiet_NaN()).value(1e300);
  attribute("flags", 1, 3).value<std::int8_t>(-1).value<std::int8_t>(2).value<std::int8_t>(3).pad();
  attribute("number", 4, 1).value<std::int32_t>(-70000);
  file.u32(3).size(4);
  file.begin(file.bytes.size() + (version == 5 ? 8 : 4));
  file.value<std::int16_t>(7).pad();
  const std::string path = test::write_file(dir / "a.nc", file.bytes);
  const FoundFormat found = find_format(path);
  CHECK(found.format->attributes(found.place, "") ==
        Attributes{{"title", R"("a \"b\"\n")"}, {"empty", R"("")"}, {"none", "[]"}, {"nul", R"("ab")"}});
  const OpenedArray v = open_path(path + "/v");
  CHECK(v.source.spec().attributes == Attributes{{"_FillValue", "-999"},
                                                 {"scale_factor", "0.01"},
                                                 {"range", R"([-1.0, "NaN", 1e+300])"},
                                                 {"flags", "[-1, 2, 3]"},
                                                 {"number", "-70000"}});
  CHECK(found.format->attributes(found.place, "v") == v.source.spec().attributes);
  const std::int16_t fill = -999;
  CHECK(v.source.spec().fill.size() == 2);
  CHECK(std::memcmp(v.source.spec().fill.data(), &fill, 2) == 0);
  CHECK(values_of<std::int16_t>(v) == std::vector<std::int16_t>{7});
  const NetcdfHeader header = read_netcdf_header(File(path), "reading");
  CHECK(header.version == version);
  CHECK(header.bytes == header.variables[0].begin);
  CHECK(header.variables[0].attributes[1].dtype == DType(Type::float32));
}

TEST_CASE("variables beyond 4 GiB are found in all versions that have them", "[netcdf]") {
  // A sparse file: the sizes in the header are of no use where they overflow, and are not looked at.
  test::TempDir dir;
  const int version = GENERATE(2, 5);
  std::vector<std::uint64_t> places;
  NetcdfBytes file = netcdf_header(version, 0, {{"x", 3000000000}, {"y", 2}},
                                   {{"big", {0}, 3, 2}, {"small", {1}, 4, 4}}, &places);
  const std::string path = test::write_file(dir / "a.nc", file.bytes);
  REQUIRE(places[1] > 6000000000);
  {
    std::ofstream out(path, std::ios::binary | std::ios::in | std::ios::out);
    out.seekp(static_cast<std::streamoff>(places[1]) - 2);
    const char tail[] = {1, 2, 0, 0, 0, 3, 0, 0, 0, 4};
    out.write(tail, sizeof tail);
  }
  const OpenedArray big = open_path(path + "/big");
  CHECK(big.source.spec().shape() == Shape{3000000000});
  CHECK(test::region_bytes(big.source, {{2999999999}, {3000000000}}) ==
        test::bytes_of(std::vector<std::int16_t>{0x0102}));
  CHECK(values_of<std::int32_t>(open_path(path + "/small")) == std::vector<std::int32_t>{3, 4});
}

TEST_CASE("a file without records, variables or anything is read as what it is", "[netcdf]") {
  test::TempDir dir;
  const std::string bare =
      test::write_file(dir / "bare.nc", NetcdfBytes(1).size(0).absent().absent().absent().bytes);
  CHECK(list_path(bare)->empty());
  CHECK_THAT(failure_of([&] { open_path(bare + "/v"); }), Contains("expected one of none, got 'v'"));
  const std::string none = test::write_file(
      dir / "none.nc",
      netcdf_header(2, 0, {{"time", 0}, {"x", 1000}}, {{"a", {0, 1}}, {"b", {0}}, {"c", {0, 1}, 1, 1}})
          .bytes);
  const OpenedArray a = open_path(none + "/c");
  CHECK(a.source.spec().shape() == Shape{0, 1000});
  CHECK(values_of<std::int8_t>(a).empty());
  CHECK(open_path(none + "/b").source.spec().dims == std::vector<std::string>{"time"});
}

TEST_CASE("names of variables and options that there are not are refused", "[netcdf]") {
  test::TempDir dir;
  NetcdfBytes file = netcdf_header(1, 0, {{"x", 2}}, {{"u", {0, 0}}, {"v/w", {0}}});
  for (int i = 0; i < 6; ++i) file.value(static_cast<float>(i));
  const std::string path = test::write_file(dir / "a.nc", file.bytes);
  CHECK_THAT(failure_of([&] { open_path(path); }),
             Contains("not_found: open '" + path +
                      "': a container of arrays; expected one of its members, such as 'u'"));
  CHECK_THAT(failure_of([&] { open_path(path + "/t"); }), Contains("expected one of 'u', 'v/w', got 't'"));
  CHECK_THAT(failure_of([&] { open_path(path + "/u/z"); }), Contains("not_found"));
  CHECK_THAT(failure_of([&] { list_path(path + "/t"); }),
             Contains("no such variable; expected 'u', 'v/w', got 't'"));
  CHECK_THAT(failure_of([&] {
               open_path(path + "/u", {{"access", "mmap"}});
             }),
             Contains("unknown option; expected access=pread"));
  CHECK(open_path(path + "/u", {{"access", "map"}, {"drop_cache", "1"}}).source.spec().dims ==
        std::vector<std::string>{"x", ""});
  CHECK(values_of<float>(open_path(path + "/v/w")) == std::vector<float>{4, 5});
}

TEST_CASE("damaged NetCDF files are refused with the place and the reason", "[netcdf]") {
  test::TempDir dir;
  struct Row {
    test::ByteVector bytes;
    const char* want;
  };
  const auto header = [](int version) { return NetcdfBytes(version); };
  NetcdfBytes far = header(5).size(0).list(10, 1).name("x").size(4).absent();
  far.list(11, 2).name("a").size(1).size(0).absent().u32(3).size(8).begin(300);
  NetcdfBytes over = far;
  far.name("b").size(1).size(0).absent().u32(3).size(8).begin(302);
  over.name("b").size(1).size(0).absent().u32(3).size(8).begin(~std::uint64_t{0});
  NetcdfBytes inside = header(1).size(0).list(10, 1).name("x").size(4).absent();
  inside.list(11, 1).name("a").size(1).size(0).absent().u32(3).size(8).begin(20).text(std::string(40, 'x'));
  const Row rows[] = {
      {test::bytes_of(std::string("CDF\x03 and more")), "format not recognised"},
      {header(1).bytes, "the file ends in the header; expected 4 bytes at 4, got 0"},
      {header(1).size(0).u32(7).size(1).bytes,
       "bad list of dimensions before byte 16 of the header; expected tag 10, or none, got 7"},
      {header(1).size(0).u32(0).size(1).bytes, "bad list of dimensions"},
      {header(1).size(0).list(10, 0xffffffff).name("x").bytes, "bad number of dimensions"},
      {header(5).size(0).list(10, ~std::uint64_t{0}).name("x").bytes,
       "bad dimensions before byte 24 of the header; expected a number below 2^63"},
      {header(1).size(0).list(10, 1).size(0xfffffff0).text("abcdefgh").bytes,
       "bad number of characters of a name"},
      {header(1).size(0).list(10, 1).size(0).size(1).bytes, "a dimension without a name"},
      {header(1).size(0).list(10, 1).name(std::string(1, '\0')).size(1).bytes, "a dimension without a name"},
      {header(1).size(0).list(10, 2).name("x").size(0).name("y").size(0).bytes, "two dimensions of length 0"},
      {header(1).size(0).absent().list(12, 1).name("a").u32(7).size(1).u32(0).bytes,
       "bad type before byte 36 of the header; expected 1 to 6, got 7"},
      {header(5).size(0).absent().list(12, 1).name("a").u32(12).size(1).u32(0).bytes,
       "expected 1 to 11, got 12"},
      {header(1).size(0).absent().list(12, 1).name("a").u32(6).size(0x20000000).u32(0).bytes,
       "bad number of values"},
      {header(1)
           .size(0)
           .absent()
           .absent()
           .list(11, 1)
           .name("v")
           .size(1)
           .size(0)
           .absent()
           .u32(1)
           .size(0)
           .begin(60)
           .bytes,
       "bad dimension of variable 'v'"},
      {header(1)
           .size(0)
           .list(10, 2)
           .name("t")
           .size(0)
           .name("x")
           .size(2)
           .absent()
           .list(11, 1)
           .name("v")
           .size(2)
           .size(1)
           .size(0)
           .absent()
           .u32(1)
           .size(0)
           .begin(0)
           .bytes,
       "bad order of the axes of variable 'v'"},
      {netcdf_header(1, 0, {{"x", 1}}, {{"v", {0}}, {"v", {0}}}).text("12345678").bytes,
       "two variables of one name"},
      {netcdf_header(1, 0, {{"x", 2}}, {{"v", {0}}}).text("1234").bytes,
       "the file is shorter than float32 (2,)"},
      {netcdf_header(1, 7, {{"x", 0}}, {{"v", {0}}}).text("1234").bytes,
       "the file is shorter than float32 (7,)"},
      {netcdf_header(5, ~std::uint64_t{1}, {{"x", 0}}, {{"v", {0}}}).text("1234").bytes,
       "bad number of records"},
      {netcdf_header(5, 0, {{"x", std::uint64_t{1} << 62}}, {{"v", {0, 0}}}).bytes, "overflow: "},
      {far.text(std::string(200, 'x')).bytes,
       "variable 'b' lies over what is before it; expected it at byte 308 or behind, got 302"},
      {over.text(std::string(200, 'x')).bytes, "bad position of a variable"},
      {inside.bytes, "variable 'a' lies over what is before it"},
  };
  int number = 0;
  for (const Row& row : rows) {
    const std::string path = test::write_file(dir / (std::to_string(number++) + ".bin"), row.bytes);
    INFO(row.want);
    CHECK_THAT(failure_of_reading(path), Contains(row.want));
  }
  // By its name alone.
  CHECK_THAT(failure_of_reading(test::write_file(dir / "x.nc", test::bytes_of(std::string("nothing")))),
             Contains("corrupt_data") && Contains("no NetCDF classic file"));
  CHECK_THAT(failure_of_reading(test::write_file(dir / "y.nc", test::bytes_of(std::string("CDF\x03 and")))),
             Contains("unsupported") && Contains("expected 1, 2 or 5, got 3"));
  NetcdfBytes axes = header(1).size(0).list(10, 1).name("x").size(1).absent().list(11, 1).name("v").size(33);
  for (int i = 0; i < 33; ++i) axes.size(0);
  axes.absent().u32(1).size(0).begin(axes.bytes.size() + 20).text("1234");
  CHECK_THAT(failure_of_reading(test::write_file(dir / "z.nc", axes.bytes)),
             Contains("too many axes; expected at most 32, got 33"));
}

TEST_CASE("a header is read again when the file has changed", "[netcdf]") {
  test::TempDir dir;
  const auto file_of = [](const std::string& name, float value) {
    return netcdf_header(1, 0, {{"x", 1}}, {{name, {0}}}).value(value).bytes;
  };
  const std::string path = test::write_file(dir / "a.nc", file_of("first", 1));
  CHECK(values_of<float>(open_path(path + "/first")) == std::vector<float>{1});
  const std::string before = open_path(path + "/first").source.version();
  test::write_file(dir / "b.nc", file_of("another", 2));
  std::filesystem::rename(dir / "b.nc", path);
  CHECK(values_of<float>(open_path(path + "/another")) == std::vector<float>{2});
  CHECK_THAT(failure_of([&] { open_path(path + "/first"); }), Contains("not_found"));
  CHECK(before != open_path(path + "/another").source.version());
}
