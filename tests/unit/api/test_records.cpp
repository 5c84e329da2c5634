#include <morsel/api/records.hpp>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <functional>
#include <morsel/morsel.hpp>
#include <support/paths.hpp>

#include "arrays.hpp"

using namespace morsel;
using Catch::Matchers::Contains;
using morsel_test::counting;

namespace {

struct Failure {
  Errc code;
  std::string message;
};
template <class F>
Failure failure_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {Errc::internal_error, "no error"};
}

// Packed as NumPy packs: no gaps.
#pragma pack(push, 1)
struct Record {
  std::int64_t time;
  std::int64_t endtime;
  std::int16_t channel;
  std::int16_t data[3];
  float area;
  char tag[4];
};
#pragma pack(pop)

DType record_dtype() {
  return DType::record({{"time", Type::int64, 0, {}},
                        {"endtime", Type::int64, 8, {}},
                        {"channel", Type::int16, 16, {}},
                        {"data", Type::int16, 18, {3}},
                        {"area", Type::float32, 24, {}},
                        {"tag", DType::carried("S4", 4), 28, {}}},
                       sizeof(Record));
}

AnyLazyArray array_of(std::vector<Record> rows, Index chunk) {
  auto kept = std::make_shared<std::vector<Record>>(std::move(rows));
  const BufferView view =
      BufferView::c_order(kept->data(), {static_cast<Index>(kept->size())}, sizeof(Record));
  return from_source(memory_source(record_dtype(), view, kept), {.chunks = {chunk}});
}

/// 10 chunks of 10 rows: chunk i from time i to i + 1, channels 0 to 9.
std::vector<Record> generated(float area) {
  std::vector<Record> rows;
  for (int i = 0; i < 10; ++i)
    for (int c = 0; c < 10; ++c)
      rows.push_back(
          {i, i + 1, static_cast<std::int16_t>(c), {1, 2, static_cast<std::int16_t>(c)}, area, "ab"});
  return rows;
}

std::string zarr_of(const test::TempDir& folder, const std::string& name, std::vector<Record> rows,
                    Index chunk) {
  const std::string path = (folder.path() / name).string();
  save(array_of(std::move(rows), chunk), path, {.chunks = {chunk}, .options = {{"zarr_format", "2"}}});
  return path;
}

std::vector<std::int64_t> times_of(const Records& records) {
  const AnyArray rows = records.fields({"time"}).collect();
  std::vector<std::int64_t> times(static_cast<std::size_t>(rows.size()));
  if (!times.empty()) std::memcpy(times.data(), rows.data(), rows.nbytes());
  return times;
}

std::string text_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace

TEST_CASE("runs are one table with named segments") {
  const Records table = concat(std::vector<Records>{Records(array_of(generated(0), 10), "run_041"),
                                                    Records(array_of(generated(1), 10), "run_042")});
  CHECK(table.rows() == 200);
  CHECK(table.segment("run_041") == RowRange{0, 100});
  CHECK(table.segment("run_042") == RowRange{100, 200});
  CHECK(table.segments().size() == 2);
  CHECK(table.count() == 200);
  CHECK(table.run("run_042").count() == 100);
  const auto area = [](const Records& records) {
    return fold(
        records.fields({"area"}),
        [](const RecordBlock& block) {
          double sum = 0;
          for (Index i = 0; i < block.size(); ++i) sum += static_cast<double>(block.column<float>("area")[i]);
          return sum;
        },
        std::plus<>());
  };
  CHECK(*area(table).value == 100);
  CHECK_FALSE(area(table.rows({100, 100})).value);
  CHECK(*area(table.rows({95, 105})).value == 5);
  CHECK(area(table.rows({95, 105})).n_chunks == 2);
  CHECK(sum(table.column("channel")).compute().to<std::int64_t>()() == 900);
  std::vector<std::string> segments;
  Index last = -1;
  table.rows({95, 112}).for_each([&](const RecordBlock& block) {
    segments.push_back(block.segment() + " " + std::to_string(block.rows().begin) + "-" +
                       std::to_string(block.rows().end));
    CHECK(block.rows().begin > last);
    last = block.rows().begin;
  });
  CHECK(segments == std::vector<std::string>{"run_041 95-100", "run_042 100-110", "run_042 110-112"});
}

TEST_CASE("accumulating channels: sums, first values, rows and chunks") {
  const test::TempDir folder;
  const Records records(open_any(zarr_of(folder, "records.zarr", generated(0), 10)), "0");
  CHECK(records.column("data").shape() == Shape{100, 3});
  CHECK(sum(records.column("data"), 0).compute().to<std::int64_t>()(2) == 450);
  for (const int threads : {1, 4}) {
    const auto total = fold(records,
                            [](const RecordBlock& block) {
                              std::int64_t sum = 0;
                              const Column<std::int16_t> channel = block.column<std::int16_t>("channel");
                              for (Index i = 0; i < block.size(); ++i) sum += channel[i];
                              return sum;
                            },
                            std::plus<>(), {.threads = threads});
    CHECK(*total.value == 450);
    CHECK(total.n_chunks == 10);
    CHECK(total.n_rows == 100);
    CHECK(total.first_of<std::int64_t>("time") == 0);
    CHECK(total.first_of<std::int64_t>("endtime") == 1);
  }
  const auto last = fold(
      records.fields({"endtime"}),
      [](const RecordBlock& block) -> std::optional<std::int64_t> {
        if (block.rows().begin < 50) return std::nullopt;
        return block.column<std::int64_t>("endtime")[block.size() - 1];
      },
      [](std::int64_t a, std::int64_t b) { return std::max(a, b); });
  CHECK(*last.value == 10);
  CHECK(last.n_chunks == 10);
  CHECK(failure_of([&] { last.first_of<float>("endtime"); }).code == Errc::dtype_mismatch);
  const auto none = fold(
      records.rows({0, 0}), [](const RecordBlock&) { return 1; }, std::plus<>());
  CHECK_FALSE(none.value);
  CHECK(failure_of([&] { none.first_of<std::int64_t>("time"); }).code == Errc::out_of_range);
}

TEST_CASE("values of chunks are merged in the order of the table") {
  const Records records(array_of(generated(0), 3));
  const auto order = fold(
      records, [](const RecordBlock& block) { return std::vector<Index>{block.rows().begin}; },
      [](std::vector<Index> left, const std::vector<Index>& right) {
        left.insert(left.end(), right.begin(), right.end());
        return left;
      },
      {.threads = 8});
  CHECK(order.value->size() == 34);
  CHECK(std::is_sorted(order.value->begin(), order.value->end()));
}

TEST_CASE("any combiner folds a column of the selected rows") {
  struct Extremes {
    float low = INFINITY, high = -INFINITY;
    Index count = 0;
    void absorb(std::span<const float> x) {
      for (const float v : x) low = std::min(low, v), high = std::max(high, v), ++count;
    }
    void merge(const Extremes& right) {
      low = std::min(low, right.low), high = std::max(high, right.high), count += right.count;
    }
    double finish() const { return static_cast<double>(high - low); }
  };
  std::vector<Record> rows;
  for (int i = 0; i < 1000; ++i)
    rows.push_back({i, i + 1, static_cast<std::int16_t>(i % 7), {}, float(i), "x"});
  const Records records(array_of(std::move(rows), 300));
  const auto all = fold<float>(records, "area", Extremes{});
  CHECK(all.value->finish() == 999);
  CHECK(all.value->count == 1000);
  const auto some = fold<float>(records.where<std::int16_t>("channel", [](std::int16_t c) { return c == 3; }),
                                "area", Extremes{});
  CHECK(some.value->low == 3);
  CHECK(some.value->high == 997);
  CHECK(some.n_rows == 143);
}

TEST_CASE("a range of time reads the chunks that it needs and no other") {
  const test::TempDir folder;
  const std::string path = zarr_of(folder, "peaks.zarr", generated(0), 10);
  std::filesystem::remove(path + "/0");
  std::filesystem::remove(path + "/9");
  std::ofstream(path + "/0") << "damaged";
  std::ofstream(path + "/9") << "damaged";
  const Records peaks(open_any(path), "0");
  CHECK(failure_of([&] { peaks.collect(); }).code == Errc::corrupt_data);
  const Records some = peaks.in_range("time", 3, 5);
  CHECK(some.row_ranges() == std::vector<RowRange>{{30, 50}});
  const std::vector<std::int64_t> times = times_of(some);
  CHECK(times.size() == 20);
  CHECK(times.front() == 3);
  CHECK(times.back() == 4);
  const Records contained = peaks.in_range("time", 3, 5, {.end = "endtime"});
  CHECK(times_of(contained) == times);
  const Records touching =
      peaks.in_range("time", 3, 5, {.end = "endtime", .kind = RangeKind::touching, .longest = 1});
  CHECK(times_of(touching) == times);
  // The same from columns of their own.
  const Records columns({"time", "area"}, {peaks.column("time"), peaks.column("area")});
  CHECK(times_of(columns.in_range("time", 3, 5)) == times);
}

TEST_CASE("rows at the borders of a range") {
  std::vector<Record> rows;
  const std::pair<int, int> intervals[] = {{0, 2}, {1, 30}, {2, 3}, {3, 5}, {3, 4},
                                           {4, 5}, {5, 5},  {5, 6}, {9, 12}};
  for (const auto& [begin, end] : intervals) rows.push_back({begin, end, 0, {}, 0, ""});
  for (const Index chunk : {1, 2, 4, 100}) {
    CAPTURE(chunk);
    const Records records(array_of(rows, chunk));
    const auto eager = [&](auto test) {
      std::vector<std::int64_t> times;
      for (const auto& [begin, end] : intervals)
        if (test(begin, end)) times.push_back(begin);
      return times;
    };
    for (int lo = -1; lo < 13; ++lo)
      for (int hi = lo; hi < 14; ++hi) {
        CAPTURE(lo, hi);
        CHECK(times_of(records.in_range("time", lo, hi)) ==
              eager([&](int b, int) { return b >= lo && b < hi; }));
        CHECK(times_of(records.in_range("time", lo, hi, {.end = "endtime"})) ==
              eager([&](int b, int e) { return b >= lo && e <= hi; }));
        for (const std::optional<RangeBound> longest :
             {std::optional<RangeBound>(), std::optional<RangeBound>(29)})
          CHECK(times_of(records.in_range(
                    "time", lo, hi, {.end = "endtime", .kind = RangeKind::touching, .longest = longest})) ==
                eager([&](int b, int e) { return e > lo && b < hi; }));
      }
  }
  CHECK(times_of(Records(array_of(rows, 2)).in_range("time", 2.5, 4)) == std::vector<std::int64_t>{3, 3});
}

TEST_CASE("each run of a table is searched by itself") {
  const Records table = concat(std::vector<Records>{Records(array_of(generated(0), 10), "a"),
                                                    Records(array_of({}, 10), "empty"),
                                                    Records(array_of(generated(1), 7), "b")});
  const Records some = table.in_range("time", 3, 5);
  CHECK(some.row_ranges() == std::vector<RowRange>{{30, 50}, {130, 150}});
  CHECK(some.count() == 40);
  CHECK(table.segment("empty") == RowRange{100, 100});
  CHECK(table.run("empty").count() == 0);
  CHECK(table.run("empty").collect().size() == 0);
  CHECK(some.in_range("time", 4, 9).row_ranges() == std::vector<RowRange>{{40, 50}, {140, 150}});
  CHECK(some.in_range("time", 7, 9).count() == 0);
}

TEST_CASE("bounds are exact for every 64-bit integer") {
  const Index huge = Index{1} << 62;
  std::vector<Record> rows;
  for (Index i = 0; i < 8; ++i) rows.push_back({huge + i, huge + i + 1, 0, {}, 0, ""});
  const Records records(array_of(rows, 3));
  CHECK(times_of(records.in_range("time", huge + 3, huge + 5)) ==
        std::vector<std::int64_t>{huge + 3, huge + 4});
  const LazyArray<std::uint64_t> top = from_array(
      std::vector<std::uint64_t>{~std::uint64_t{0} - 2, ~std::uint64_t{0} - 1, ~std::uint64_t{0}}, {3});
  CHECK(Records({"t"}, {top}).in_range("t", ~std::uint64_t{0} - 1, ~std::uint64_t{0}).count() == 1);
}

TEST_CASE("conditions on rows select as a mask over all of them does") {
  std::vector<Record> rows;
  for (int i = 0; i < 500; ++i)
    rows.push_back({i, i + 1, static_cast<std::int16_t>(i * 7 % 13), {}, static_cast<float>(i % 10), ""});
  for (const Index chunk : {1, 64, 499, 1000}) {
    CAPTURE(chunk);
    const Records some = Records(array_of(rows, chunk))
                             .where<float>("area", [](float a) { return a > 2; })
                             .where<float, std::int16_t>({"area", "channel"}, [](float a, std::int16_t c) {
                               return a < 8 && c != 5;
                             });
    std::vector<std::int64_t> expected;
    for (const Record& row : rows)
      if (row.area > 2 && row.area < 8 && row.channel != 5) expected.push_back(row.time);
    CHECK(times_of(some) == expected);
    CHECK(some.count() == static_cast<Index>(expected.size()));
    const AnyArray all = some.collect({.threads = 3});
    REQUIRE(all.size() == static_cast<Index>(expected.size()));
    Record last;
    std::memcpy(&last, all.data() + (all.size() - 1) * static_cast<Index>(sizeof(Record)), sizeof last);
    CHECK(last.time == expected.back());
    CHECK(last.area == rows[static_cast<std::size_t>(last.time)].area);
    const auto none = some.where<float>("area", [](float) { return false; });
    CHECK(none.count() == 0);
    CHECK(none.collect().size() == 0);
  }
}

TEST_CASE("only the columns that are asked for are read") {
  std::atomic<int> reads{0};
  const LazyArray<double> dear = from_function<double>({100},
                                                       [&reads](Index i) {
                                                         ++reads;
                                                         return static_cast<double>(i);
                                                       },
                                                       {.chunks = {10}});
  const Records table({"time", "dear", "n"},
                      {counting<std::int64_t>({100}, {10}), dear, counting<int>({100}, {25})});
  CHECK(table.fields({"n"}).in_range("time", 20, 40).collect().size() == 20);
  CHECK(reads == 0);
  CHECK(table.in_range("time", 20, 40).collect().size() == 20);
  CHECK(reads == 20);
  CHECK(table.in_range("time", 20, 40)
            .fields({"n"})
            .where<double>("dear", [](double d) { return d < 25; })
            .count() == 5);
  CHECK(reads == 40);
}

TEST_CASE("a table streams inside its budget") {
  std::vector<Record> rows(200000);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = {static_cast<Index>(i), 0, 1, {}, 1, ""};
  const Records records(array_of(std::move(rows), 1000));
  RunReport report;
  const auto total = fold(records, [](const RecordBlock& block) { return block.size(); }, std::plus<>(),
                          {.memory = 256 * KiB, .report = &report});
  CHECK(*total.value == 200000);
  CHECK(report.peak_bytes <= 256 * KiB);
}

TEST_CASE("columns as text") {
  const test::TempDir folder;
  const std::string path = (folder.path() / "t.csv").string();
  std::vector<Record> rows{
      {1, 2, -3, {}, 0.1f, "a,b"}, {2, 3, 4, {}, INFINITY, "\"q\""}, {3, 4, 5, {}, 1e30f, ""}};
  const Records records(array_of(rows, 2));
  const Records scalars = records.fields({"time", "channel", "area", "tag"});
  CHECK(save_csv(scalars, path) == 3);
  CHECK(text_of(path) == "time,channel,area,tag\n1,-3,0.1,\"a,b\"\n2,4,inf,\"\"\"q\"\"\"\n3,5,1e+30,\n");
  CHECK(failure_of([&] { save_csv(scalars, path); }).code == Errc::already_exists);
  CHECK(save_csv(scalars.where<std::int16_t>("channel", [](std::int16_t c) { return c == 4; }), path,
                 {.overwrite = true, .separator = ";"}) == 1);
  CHECK(text_of(path) == "time;channel;area;tag\n2;4;inf;\"\"\"q\"\"\"\n");
  const auto arrays = failure_of([&] { save_csv(records, path, {.overwrite = true}); });
  CHECK(arrays.code == Errc::unsupported);
  CHECK_THAT(arrays.message, Contains("'data'"));
  CHECK(failure_of([&] { save_csv(scalars, path, {.overwrite = true, .separator = ""}); }).code ==
        Errc::invalid_argument);
  const auto thrown = failure_of([&] {
    save_csv(scalars.where<float>("area", [](float) -> bool { throw std::runtime_error("no"); }), path,
             {.overwrite = true});
  });
  CHECK(thrown.code == Errc::user_error);
  CHECK(text_of(path) == "time;channel;area;tag\n2;4;inf;\"\"\"q\"\"\"\n");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
  const Records mixed({"b", "h", "u"}, {LazyArray<bool>(counting<int>({2}) > 0),
                                        astype<float16>(counting<int>({2})), counting<std::uint8_t>({2})});
  save_csv(mixed, path, {.overwrite = true});
  CHECK(text_of(path) == "b,h,u\n0,0,0\n1,1,1\n");
}

TEST_CASE("the records of leaves are a table of runs") {
  const test::TempDir folder;
  for (const char* run : {"run_042", "run_041"}) {
    std::filesystem::create_directory(folder.path() / run);
    save(array_of(generated(0), 10), (folder.path() / run / "events.npy").string());
  }
  const Records table = records_of(open_tree(folder.path().string()).glob("*/events"));
  CHECK(table.segment("run_041") == RowRange{0, 100});
  CHECK(table.segment("run_042") == RowRange{100, 200});
  CHECK(table.in_range("time", 3, 5).count() == 40);
}

TEST_CASE("what a table refuses") {
  const Records records(array_of(generated(0), 10), "0");
  const auto code = [](auto&& f) { return failure_of(f).code; };
  CHECK(code([&] { Records(counting<float>({3}).any()); }) == Errc::dtype_mismatch);
  CHECK(code([&] { Records(expand_dims(array_of(generated(0), 10), 0)); }) == Errc::shape_mismatch);
  CHECK(code([&] { Records(std::vector<std::string>{}, {}); }) == Errc::invalid_argument);
  CHECK(code([&] {
          Records({"a"}, {counting<float>({3}), counting<float>({3})});
        }) == Errc::invalid_argument);
  CHECK(code([&] {
          Records({"a", "a"}, {counting<float>({3}), counting<float>({3})});
        }) == Errc::invalid_argument);
  CHECK(code([&] {
          Records({"a", "b"}, {counting<float>({3}), counting<float>({4})});
        }) == Errc::shape_mismatch);
  CHECK(code([&] { Records({"a"}, {counting<float>({3, 2})}); }) == Errc::shape_mismatch);
  CHECK(code([&] { Records({"a"}, {array_of(generated(0), 10)}); }) == Errc::dtype_mismatch);
  CHECK(code([&] { records.fields({"nothing"}); }) == Errc::not_found);
  CHECK(code([&] { records.fields({}); }) == Errc::invalid_argument);
  CHECK(code([&] { records.fields({"time", "time"}); }) == Errc::invalid_argument);
  CHECK(code([&] { records.column("nothing"); }) == Errc::not_found);
  CHECK(code([&] { records.rows({-1, 3}); }) == Errc::out_of_range);
  CHECK(code([&] { records.rows({5, 3}); }) == Errc::out_of_range);
  CHECK(code([&] { records.rows({0, 101}); }) == Errc::out_of_range);
  CHECK(code([&] { records.run("1"); }) == Errc::not_found);
  CHECK(code([&] { records.in_range("nothing", 0, 1); }) == Errc::not_found);
  CHECK(code([&] { records.in_range("time", 0, 1, {.end = "nothing"}); }) == Errc::not_found);
  CHECK(code([&] { records.in_range("data", 0, 1); }) == Errc::dtype_mismatch);
  CHECK(code([&] { records.in_range("tag", 0, 1); }) == Errc::dtype_mismatch);
  CHECK(code([&] { records.in_range("time", 2, 1); }) == Errc::invalid_argument);
  CHECK(code([&] { records.in_range("time", NAN, 1); }) == Errc::invalid_argument);
  CHECK(code([&] { Records(array_of(generated(0), 100)).in_range("channel", 3, 5); }) == Errc::corrupt_data);
  CHECK(code([&] { records.where<float>("time", [](float) { return true; }); }) == Errc::dtype_mismatch);
  CHECK(code([&] { records.where<std::int16_t>("data", [](std::int16_t) { return true; }); }) ==
        Errc::dtype_mismatch);
  CHECK(code([&] {
          records.where<float>(std::vector<std::string>{"time", "area"}, [](float) { return true; });
        }) == Errc::invalid_argument);
  CHECK(code([&] { records.for_each([](const RecordBlock& b) { b.column<float>("time"); }); }) ==
        Errc::dtype_mismatch);
  CHECK(code([&] { records.for_each([](const RecordBlock& b) { b.column<std::int16_t>("data"); }); }) ==
        Errc::unsupported);
  CHECK(code([&] {
          records.fields({"time"}).for_each([](const RecordBlock& b) { b.column<float>("area"); });
        }) == Errc::not_found);
  CHECK(code([&] { concat(std::vector<Records>{}); }) == Errc::invalid_argument);
  CHECK(code([&] { concat(std::vector<Records>{records, records}); }) == Errc::invalid_argument);
  CHECK(code([&] { concat(std::vector<Records>{records.rows({0, 3})}); }) == Errc::invalid_argument);
  CHECK(code([&] {
          concat(std::vector<Records>{records, Records({"a"}, {counting<float>({3})}, "b")});
        }) == Errc::dtype_mismatch);
}
