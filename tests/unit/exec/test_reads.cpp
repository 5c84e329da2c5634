// Which chunks a run touches, and how often.
#include <catch2/catch.hpp>
#include <support/evaluate.hpp>
#include <support/failure.hpp>

namespace {

using namespace morsel;
using test::Counted;
using test::reduced;
using test::value_of;
using test::values_of;

/// Chunks of a 2-d array of 10 x 12 in chunks of 3 x 4, by what a slice shows of it.
struct SliceCase {
  const char* slice;
  std::set<Index> chunks;
};

std::set<Index> all_but(const std::set<Index>& some, Index count) {
  std::set<Index> rest;
  for (Index i = 0; i < count; ++i)
    if (!some.count(i)) rest.insert(i);
  return rest;
}

}  // namespace

TEST_CASE("a slice reads only the chunks it overlaps, each once", "[exec]") {
  const SliceCase cases[] = {
      {":", {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
      {"0, 0", {0}},
      {"-1, -1", {11}},
      {"2:4", {0, 1, 2, 3, 4, 5}},
      {"3:6, 4:8", {4}},
      {"::-1, 0", {0, 3, 6, 9}},
      {"::9", {0, 1, 2, 9, 10, 11}},
      {"::-9, ::11", {0, 2, 9, 11}},
      {"1::6, 5", {1, 7}},
      {"9:0:-9, 8:", {11}},
      {"..., 11", {2, 5, 8, 11}},
      {"5:5", {}},
      {"None, 4, None, 7:3:-4", {4}},
  };
  for (const bool forbid : {false, true})
    for (const int threads : {1, 4})
      for (const SliceCase& c : cases) {
        INFO(c.slice << (forbid ? ", other chunks are damaged" : "") << ", threads " << threads);
        test::TestSourceOptions options;
        if (forbid) options.forbidden = all_but(c.chunks, 12);
        const Counted a = Counted::make({10, 12}, {3, 4}, options);
        const Edge part = slice(a.edge, parse_slice(c.slice));
        const Edge twice = morsel::apply(Op::add, {part, part});
        test::Eager eager;
        eager.known[std::get<SourceNode>(a.edge.node->payload).source.identity()] = a.values;
        CHECK(test::difference(eager(twice), value_of(twice, {.threads = threads})) == "");
        CHECK(a.log->touched() == c.chunks);
        CHECK(a.log->most_reads_of_a_chunk() == (c.chunks.empty() ? 0 : 1));
        a.log->clear();
        value_of(reduced(Reduction::sum, part), {.threads = threads});
        CHECK(a.log->touched() == c.chunks);
        CHECK(a.log->most_reads_of_a_chunk() == (c.chunks.empty() ? 0 : 1));
      }
}

TEST_CASE("a slice of an operation, a reduction or a join reads only what it shows", "[exec]") {
  const std::vector<std::vector<std::string>> skips = {{}, {"push_views"}, {"fuse"}};
  // Without a pass values stay right; with all of them nothing is read in vain.
  Counted a = Counted::make({8, 8}, {2, 2}), b = Counted::make({8, 8}, {4, 8});
  const Edge sum = morsel::apply(Op::add, {a.edge, b.edge});
  const Edge columns = reduced(Reduction::mean, a.edge, {0});
  const Edge joined = concat({a.edge, b.edge}, 0);
  struct Case {
    const char* what;
    Edge edge;
    std::set<Index> a, b;
  };
  const Case cases[] = {
      {"a corner of a + b", slice(sum, parse_slice("0, 0")), {0}, {0}},
      {"the last row of a + b", slice(sum, parse_slice("-1")), {12, 13, 14, 15}, {1}},
      {"one column's mean", slice(columns, parse_slice("5")), {2, 6, 10, 14}, {}},
      {"every fourth column's mean, backwards",
       slice(columns, parse_slice("::-4")),
       {1, 3, 5, 7, 9, 11, 13, 15},
       {}},
      {"a's part of a join", slice(joined, parse_slice("2:4")), {4, 5, 6, 7}, {}},
      {"b's part of a join", slice(joined, parse_slice("12:")), {}, {1}},
      {"both sides of a join", slice(joined, parse_slice("7:9, 0")), {12}, {0}},
      {"a transpose of a slice", permute_dims(slice(sum, parse_slice("0:2, 6:")), {1, 0}), {3}, {0}},
      {"taken rows", take(a.edge, {7, 0, 7}, 0), {0, 1, 2, 3, 12, 13, 14, 15}, {}},
      {"taken rows of taken columns", take(take(sum, {6}, 1), {0, 6}, 0), {3, 15}, {0, 1}},
      {"a broadcast of one element", broadcast_to(slice(a.edge, parse_slice("4:5, 4:5")), {4, 4}), {10}, {}},
      {"a part of a rechunked array",
       slice(rechunk(a.edge, ChunkSpec({5, 8})), parse_slice("0:2, 2:4")),
       {1},
       {}},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    const test::Whole want = test::Eager()(c.edge);
    for (const auto& skip : skips)
      CHECK(test::difference(want, value_of(c.edge, {.skip_passes = skip})) == "");
    a.log->clear();
    b.log->clear();
    value_of(c.edge);
    CHECK(a.log->touched() == c.a);
    CHECK(b.log->touched() == c.b);
    CHECK(a.log->most_reads_of_a_chunk() <= 1);
    CHECK(b.log->most_reads_of_a_chunk() <= 1);
  }
}

TEST_CASE("chunks that several results, stages and steps need are read once", "[exec]") {
  const Counted a = Counted::make({60, 50}, {7, 9});
  const Edge x = a.edge;
  struct Case {
    const char* what;
    std::vector<Edge> edges;
    int times;
    std::size_t chunks = 54;
  };
  const Edge square = morsel::apply(Op::multiply, {x, x});
  const Edge centred = morsel::apply(Op::subtract, {x, reduced(Reduction::mean, x, {0, 1}, true)});
  const Case cases[] = {
      {"seven statistics",
       {reduced(Reduction::sum, x), reduced(Reduction::mean, x), reduced(Reduction::stddev, x),
        reduced(Reduction::min, x), reduced(Reduction::max, x), reduced(Reduction::argmax, x),
        reduced(Reduction::any, x)},
       1},
      {"reductions over different axes",
       {reduced(Reduction::sum, x, {0}), reduced(Reduction::sum, x, {1}), reduced(Reduction::sum, x)},
       1},
      {"a reduction and the values", {x, reduced(Reduction::sum, x, {1}), square}, 1},
      {"the array and its transpose",
       {morsel::apply(Op::add,
                      {slice(x, parse_slice("0:50")), permute_dims(slice(x, parse_slice("0:50")), {1, 0})})},
       1,
       48},
      {"forwards and backwards", {morsel::apply(Op::add, {x, flip(x, {0, 1})})}, 1},
      {"neighbours",
       {morsel::apply(Op::subtract, {slice(x, parse_slice("1:")), slice(x, parse_slice(":-1"))})},
       1},
      {"overlapping slices",
       {slice(x, parse_slice("0:40")), slice(x, parse_slice("20:")),
        reduced(Reduction::max, slice(x, parse_slice("10:30, 5:")))},
       1},
      {"chunks that cut through those of the source",
       {rechunk(x, ChunkSpec({10, 10})), reduced(Reduction::sum, rechunk(x, ChunkSpec({11, 50})), {0})},
       1},
      {"mean first, then the values", {centred}, 2},
      {"mean and deviation first",
       {morsel::apply(Op::divide, {centred, reduced(Reduction::stddev, x, {0, 1}, true)})},
       2},
      {"three passes",
       {reduced(Reduction::sum,
                morsel::apply(Op::subtract, {centred, reduced(Reduction::max, centred, {0, 1}, true)}))},
       3},
  };
  for (const int threads : {1, 3})
    for (const Case& c : cases) {
      INFO(c.what << ", threads " << threads);
      a.log->clear();
      values_of(c.edges, {.memory = 64 * MiB, .threads = threads});
      CHECK(a.log->touched().size() == c.chunks);
      CHECK(a.log->most_reads_of_a_chunk() == c.times);
      CHECK(a.log->fetches == static_cast<int>(c.chunks) * c.times);
      CHECK(a.log->decodes == static_cast<int>(c.chunks) * c.times);
    }
}

TEST_CASE("several results read the union of what they need", "[exec]") {
  const Counted a = Counted::make({12, 12}, {4, 4});
  a.log->clear();
  values_of({slice(a.edge, parse_slice("0:4, 0:4")),
             reduced(Reduction::sum, slice(a.edge, parse_slice("0:8, 0")), {0}),
             slice(a.edge, parse_slice("11, 11"))});
  CHECK(a.log->touched() == std::set<Index>{0, 3, 8});
  CHECK(a.log->most_reads_of_a_chunk() == 1);
}

TEST_CASE("a source that reads regions is asked for each element once", "[exec]") {
  for (const bool in_place : {false, true}) {
    test::TestSourceOptions options;
    options.regions = true;
    options.in_place = in_place;
    const Counted a = Counted::make<float>({300, 200}, {100, 50}, options);
    struct Case {
      const char* what;
      std::vector<Edge> edges;
      std::size_t elements;
    };
    const Case cases[] = {
        {"all", {a.edge}, 60000},
        {"a slice", {slice(a.edge, parse_slice("10:20, 30:40"))}, 100},
        {"sum over rows", {reduced(Reduction::sum, a.edge, {0})}, 60000},
        {"sum over columns and all",
         {reduced(Reduction::sum, a.edge, {1}), reduced(Reduction::sum, a.edge)},
         60000},
        {"a transpose", {permute_dims(a.edge, {1, 0})}, 60000},
    };
    for (const Case& c : cases) {
      INFO(c.what);
      a.log->clear();
      values_of(c.edges, {.memory = 64 * MiB, .threads = 2});
      CHECK(a.log->elements == c.elements);
    }
  }
}

TEST_CASE("a missing chunk has the fill value, a broken one is an error that names itself", "[exec]") {
  const double fill = -7.5;
  test::TestSourceOptions options;
  options.missing = {0, 2};
  options.fill.resize(sizeof fill);
  std::memcpy(options.fill.data(), &fill, sizeof fill);
  const Counted a = Counted::make({8}, {2}, options);
  const std::vector<double> want{-7.5, -7.5, 2, 3, -7.5, -7.5, 6, 7};
  for (const Edge& e : {a.edge, rechunk(a.edge, ChunkSpec(3)), flip(flip(a.edge, {0}), {0})}) {
    const test::Whole got = value_of(e);
    for (std::size_t i = 0; i < want.size(); ++i) CHECK(test::element<double>(got, i) == want[i]);
  }
  RunReport report;
  CHECK(test::element<double>(value_of(reduced(Reduction::sum, a.edge), {.report = &report})) == -12);
  CHECK(report.chunks_missing == 2);

  test::TestSourceOptions broken;
  broken.forbidden = {3};
  const Counted b = Counted::make({8}, {2}, broken);
  for (const int threads : {1, 4})
    CHECK(morsel_test::contains(
        morsel_test::failure_of([&] { value_of(reduced(Reduction::sum, b.edge), {.threads = threads}); }),
        "corrupt_data: test source: chunk 3 is damaged"));
  CHECK(test::element<double>(value_of(reduced(Reduction::sum, slice(b.edge, parse_slice(":6"))))) == 15);
}

TEST_CASE("arrays without elements are neither read nor wrong", "[exec]") {
  const Counted a = Counted::make({0, 5}, {1, 2});
  const Edge e = a.edge;
  CHECK(value_of(e).bytes.empty());
  CHECK(value_of(morsel::apply(Op::add, {e, e})).bytes.empty());
  CHECK(value_of(permute_dims(e, {1, 0})).shape == Shape{5, 0});
  CHECK(test::element<double>(value_of(reduced(Reduction::sum, e))) == 0);
  CHECK(test::element<double>(value_of(reduced(Reduction::prod, e))) == 1);
  CHECK(std::isnan(test::element<double>(value_of(reduced(Reduction::mean, e)))));
  const test::Whole columns = value_of(reduced(Reduction::sum, e, {0}));
  CHECK(columns.shape == Shape{5});
  for (std::size_t i = 0; i < 5; ++i) CHECK(test::element<double>(columns, i) == 0);
  CHECK(value_of(reduced(Reduction::sum, e, {1})).bytes.empty());
  CHECK(value_of(reduced(Reduction::max, e, {1})).bytes.empty());
  CHECK(value_of(concat({e, e}, 0)).bytes.empty());
  CHECK(value_of(concat({e, Counted::make({3, 5}, {2, 2}).edge}, 0)).shape == Shape{3, 5});
  CHECK(a.log->fetches == 0);
}

TEST_CASE("0-d arrays go all the way", "[exec]") {
  const Counted a = Counted::make({}, {});
  CHECK(test::element<double>(value_of(morsel::apply(Op::add, {a.edge, Scalar::of(2.5)}))) == 2.5);
  CHECK(test::element<double>(value_of(reduced(Reduction::sum, a.edge))) == 0);
  CHECK(value_of(expand_dims(a.edge, 0)).shape == Shape{1});
  CHECK(value_of(stack({a.edge, a.edge}, 0)).shape == Shape{2});
  CHECK(test::element<double>(value_of(make_constant(Type::float64, value_of(a.edge).data()))) == 0);
  CHECK(a.log->most_reads_of_a_chunk() > 0);
}

TEST_CASE("one file opened twice in different chunks is read rightly, with and without sharing", "[exec]") {
  // Two openings are one source; each cuts it in its own way.
  for (const bool regions : {true, false})
    for (const bool shares : {true, false}) {
      test::TestSourceOptions options;
      options.regions = regions;
      const Counted a = Counted::make({1000, 30}, {100, 30}, options);
      const AnyChunkSource source = std::get<SourceNode>(a.edge.node->payload).source;
      const Edge b = make_source(source, View::identity({1000, 30}), ChunkSpec({70, 30}), "b");
      ComputeOptions run{.threads = 1};
      if (!shares) run.skip_passes = {"share"};
      const std::vector<test::Whole> got =
          values_of({reduced(Reduction::sum, a.edge), reduced(Reduction::sum, b, {0})}, run);
      INFO("regions " << regions << ", shares " << shares);
      CHECK(test::element<double>(got[0]) == 29999.0 * 15000);
      test::Eager eager;
      eager.known[source.identity()] = a.values;
      CHECK(test::difference(eager(reduced(Reduction::sum, b, {0})), got[1]) == "");
    }
}

TEST_CASE("chunks are counted once per pass, whatever reads them", "[exec]") {
  const Counted a = Counted::make({1000}, {10});
  RunReport report;
  const Edge rest = slice(a.edge, parse_slice("1:"));
  values_of({reduced(Reduction::sum, a.edge), reduced(Reduction::max, rest)}, {.report = &report});
  CHECK(report.chunks_read == 100);
  CHECK(a.log->fetches == 100);
  values_of({reduced(Reduction::sum, slice(a.edge, parse_slice("0:500"))),
             reduced(Reduction::max, slice(a.edge, parse_slice("300:600")))},
            {.report = &report});
  CHECK(report.chunks_read == 60);
}

TEST_CASE("missing chunks beside values that no source gives are reduced as their fill value", "[exec]") {
  const double fill = 2.5;
  test::TestSourceOptions options;
  options.fill.resize(sizeof fill);
  std::memcpy(options.fill.data(), &fill, sizeof fill);
  const Counted whole = Counted::make({12}, {4}, options);
  for (std::size_t i = 0; i < 12; ++i)
    std::memcpy(whole.values->data() + i * sizeof fill, &fill, sizeof fill);
  options.missing = {0, 1, 2};
  const Counted absent = Counted::make({12}, {4}, options);
  options.missing = {1};
  Counted some = Counted::make({12}, {4}, options);
  some.values->bytes = whole.values->bytes;

  const auto chunk_function = [](const Edge& e) {
    MapChunksNode call;
    call.inputs = {e};
    call.function = [](const ChunkInfo&, const std::vector<BufferView>& in, const BufferView& out) {
      copy_elements(in[0], out);
    };
    return map_chunks("copied", std::move(call), e.dtype());
  };
  struct Case {
    const char* what;
    std::function<Edge(const Edge&)> of;
  };
  const std::vector<Case> cases{
      {"a result of an earlier pass",
       [](const Edge& z) {
         return morsel::apply(Op::add, {reduced(Reduction::sum, z), z});
       }},
      {"that result after the array",
       [](const Edge& z) {
         return morsel::apply(Op::remainder, {z, reduced(Reduction::max, z)});
       }},
      {"a nested expression",
       [](const Edge& z) {
         const Edge root = morsel::apply(Op::sqrt, {z});
         const std::vector<Index> twice{0, 0, 1, 1, 2, 2, 3, 3, 4,  4,  5,  5,
                                        6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11};
         return morsel::apply(Op::add, {take(root, twice, 0), take(z, twice, 0)});
       }},
      {"a join",
       [](const Edge& z) {
         return morsel::apply(Op::add, {concat({z, z}, 0), concat({z, flip(z, {0})}, 0)});
       }},
      {"a join and the array",
       [](const Edge& z) {
         const Edge half = slice(z, parse_slice(":6"));
         return morsel::apply(Op::add, {concat({half, half}, 0), z});
       }},
      {"a function of chunks",
       [&](const Edge& z) {
         return morsel::apply(Op::add, {chunk_function(z), z});
       }},
  };
  for (const Case& c : cases)
    for (const Reduction which : {Reduction::sum, Reduction::min, Reduction::any, Reduction::argmax})
      for (const int threads : {1, 3}) {
        INFO(c.what << ", " << name_of(which) << ", threads " << threads);
        const auto value = [&](const Counted& from) {
          return value_of(reduced(which, c.of(from.edge)), {.threads = threads}).bytes;
        };
        const std::vector<std::byte> want = value(whole);
        CHECK(value(absent) == want);
        CHECK(value(some) == want);
      }
}
