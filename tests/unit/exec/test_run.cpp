// Budgets, errors, cancellation and targets of runs.
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <morsel/kernel/map.hpp>
#include <optional>
#include <stdexcept>
#include <support/evaluate.hpp>
#include <support/failure.hpp>
#include <support/paths.hpp>
#include <support/test_sink.hpp>
#include <thread>

namespace {

using namespace morsel;
using morsel_test::contains;
using morsel_test::failure_of;
using test::Counted;
using test::plan_of;
using test::reduced;
using test::value_of;
using test::values_of;

std::optional<Errc> code_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.code();
  }
  return std::nullopt;
}

/// f applied to every element by a user's kernel.
template <class F>
Edge mapped(const Edge& e, F f) {
  return map_elements(std::make_shared<const UserKernel>(make_user_kernel<double>("user", std::move(f))),
                      {e});
}

template <class F>
Edge chunk_mapped(const Edge& e, F f) {
  MapChunksNode call;
  call.inputs = {e};
  call.function = [f](const ChunkInfo& info, const std::vector<BufferView>& in, const BufferView& out) {
    f(info);
    copy_elements(in[0], out);
  };
  return map_chunks("user chunks", std::move(call), e.dtype());
}

struct Named {
  std::string what;
  std::vector<Edge> edges;
};

std::vector<Named> shapes_of_plans(const Edge& x) {
  const Edge centred = morsel::apply(Op::subtract, {x, reduced(Reduction::mean, x, {0}, true)});
  return {
      {"copy", {x}},
      {"transpose", {permute_dims(x, {1, 0})}},
      {"elementwise", {morsel::apply(Op::sqrt, {morsel::apply(Op::multiply, {x, x})})}},
      {"sum of all", {reduced(Reduction::sum, x)}},
      {"sum over rows", {reduced(Reduction::sum, x, {0})}},
      {"sum over columns", {reduced(Reduction::sum, x, {1})}},
      {"both", {reduced(Reduction::stddev, x, {0}), reduced(Reduction::argmax, x, {1})}},
      {"two passes", {centred}},
      {"two passes, reduced again", {reduced(Reduction::max, centred), x}},
      {"neighbours",
       {morsel::apply(Op::subtract, {slice(x, parse_slice("1:")), slice(x, parse_slice(":-1"))})}},
      {"flipped and itself", {morsel::apply(Op::add, {x, flip(x, {0})})}},
      {"rechunked", {reduced(Reduction::sum, rechunk(x, ChunkSpec({7, -1})), {1})}},
      {"joined", {concat({x, flip(x, {1})}, 0)}},
      {"taken", {take(x, {5, 1, 60, 3}, 0)}},
      {"by chunk", {chunk_mapped(x, [](const ChunkInfo&) {})}},
      {"many",
       {x, reduced(Reduction::sum, x, {0}), slice(x, parse_slice("::2")),
        reduced(Reduction::min, flip(x, {0, 1}))}},
  };
}

std::vector<std::pair<std::string, Counted>> kinds_of_sources() {
  std::vector<std::pair<std::string, Counted>> sources;
  test::TestSourceOptions regions;
  regions.regions = true;
  test::TestSourceOptions slow;
  slow.blocks = true;
  slow.scratch_bytes = 1000;
  sources.emplace_back("chunks", Counted::make({64, 48}, {10, 11}));
  sources.emplace_back("regions", Counted::make({64, 48}, {16, 48}, regions));
  sources.emplace_back("chunks that block", Counted::make({64, 48}, {64, 5}, slow));
  return sources;
}

}  // namespace

TEST_CASE("the smallest budget works and one byte less is refused before any read", "[exec][budget]") {
  for (const auto& [kind, source] : kinds_of_sources())
    for (const Named& c : shapes_of_plans(source.edge)) {
      std::vector<test::Whole> want;
      for (const Edge& e : c.edges) want.push_back(test::Eager()(e));
      for (const int threads : {1, 2, 5}) {
        INFO(kind << ", " << c.what << ", threads " << threads);
        const std::size_t smallest = test::smallest_budget(c.edges, threads);
        source.log->clear();
        const std::string refusal =
            failure_of([&] { values_of(c.edges, {.memory = smallest - 1, .threads = threads}); });
        CHECK(contains(refusal, "budget_too_small"));
        CHECK(contains(refusal, std::to_string(smallest)));
        CHECK(source.log->fetches + source.log->decodes == 0);
        for (const std::size_t budget :
             {smallest, smallest + 1, smallest * 11 / 10, smallest * 2, 64 * MiB}) {
          RunReport report;
          const std::vector<test::Whole> got =
              values_of(c.edges, {.memory = budget, .threads = threads, .report = &report});
          CHECK(report.peak_bytes <= budget);
          for (std::size_t i = 0; i < want.size(); ++i) CHECK(test::difference(want[i], got[i]) == "");
        }
      }
    }
}

TEST_CASE("one thread holds exactly the planned peak", "[exec][budget]") {
  for (const auto& [kind, source] : kinds_of_sources())
    for (const Named& c : shapes_of_plans(source.edge)) {
      INFO(kind << ", " << c.what);
      RunReport report;
      values_of(c.edges, {.memory = 64 * MiB, .threads = 1, .report = &report});
      CHECK(report.peak_bytes <= plan_of(c.edges, 64 * MiB).peak_bytes);
    }
  // Where nothing waits between tasks the plan is exact.
  const Counted a = Counted::make({64, 48}, {10, 11});
  for (const Edge& e : {a.edge, reduced(Reduction::sum, a.edge, {0, 1})}) {
    RunReport report;
    value_of(e, {.memory = 64 * MiB, .threads = 1, .report = &report});
    const Plan plan = plan_of({e}, 64 * MiB);
    CHECK(report.peak_bytes <= plan.peak_bytes);
    CHECK(report.peak_bytes >= plan.fixed_bytes + plan.stages[0].step_bytes);
  }
}

TEST_CASE("requests and decoded bytes are as the plan predicts, whatever the budget", "[exec][budget]") {
  for (const auto& [kind, source] : kinds_of_sources())
    for (const Named& c : shapes_of_plans(source.edge)) {
      const std::size_t smallest = test::smallest_budget(c.edges);
      std::size_t before = ~std::size_t{0};
      for (const std::size_t budget : {smallest, smallest * 3 / 2, smallest * 4, 64 * MiB}) {
        INFO(kind << ", " << c.what << ", budget " << budget << " of " << smallest);
        const Prediction predicted = plan_of(c.edges, budget).prediction;
        RunReport report;
        source.log->clear();
        values_of(c.edges, {.memory = budget, .threads = 1, .report = &report});
        CHECK(report.requests == predicted.requests);
        CHECK(report.bytes_decoded == predicted.decoded_bytes);
        CHECK(report.bytes_read <= predicted.encoded_bytes);
        CHECK(source.log->fetches == report.requests);
        before = std::min(before, report.bytes_decoded);
      }
      // The largest budget never reads more than a smaller one.
      CHECK(plan_of(c.edges, 64 * MiB).prediction.decoded_bytes == before);
    }
}

TEST_CASE("the first error in the plan's order is thrown, whatever the threads", "[exec][errors]") {
  test::TestSourceOptions damaged;
  damaged.forbidden = {13, 5, 21, 22, 39};
  test::TestSourceOptions slow = damaged;
  slow.blocks = true;
  slow.on_read = [](Index chunk) {
    std::this_thread::sleep_for(std::chrono::microseconds(100 * (40 - chunk)));
  };
  for (const auto& options : {damaged, slow}) {
    const Counted a = Counted::make({400}, {10}, options);
    const Edge throwing = mapped(Counted::make({400}, {10}).edge, [](double v) {
      if (v == 57 || v == 130 || v == 390)
        throw std::runtime_error("element " + std::to_string(static_cast<int>(v)));
      return v;
    });
    const Edge chunks = chunk_mapped(Counted::make({400}, {10}).edge, [](const ChunkInfo& info) {
      if (info.number % 7 == 5) fail(Errc::corrupt_data, "number " + std::to_string(info.number));
    });
    for (const int threads : {1, 2, 3, 8, 17})
      for (const std::uint64_t shuffle : {0, 1, 2, 3}) {
        INFO("threads " << threads << ", shuffle " << shuffle);
        const ComputeOptions o{.memory = 64 * MiB, .threads = threads, .shuffle_seed = shuffle};
        for (const Edge& e :
             {a.edge, reduced(Reduction::sum, a.edge), reduced(Reduction::sum, flip(flip(a.edge, {0}), {0}))})
          CHECK(contains(failure_of([&] { value_of(e, o); }), "chunk 5 is damaged"));
        for (const Edge& e : {throwing, reduced(Reduction::max, throwing)})
          CHECK(contains(failure_of([&] { value_of(e, o); }),
                         "a user's function threw; expected it to return, got 'element 57'"));
        CHECK(contains(failure_of([&] { value_of(chunks, o); }), "number 5"));
      }
  }
}

TEST_CASE("after an error everything works as before", "[exec][errors]") {
  test::TestSourceOptions options;
  auto bad = std::make_shared<std::atomic<bool>>(true);
  options.on_read = [bad](Index chunk) {
    if (*bad && chunk == 3) throw 17;
  };
  const Counted a = Counted::make({64, 30}, {17, 8}, options);
  Workspace workspace({.memory = 32 * MiB, .threads = 3});
  for (const Named& c : shapes_of_plans(a.edge)) {
    INFO(c.what);
    std::vector<test::Whole> want;
    *bad = false;
    for (const Edge& e : c.edges) want.push_back(test::Eager()(e));
    *bad = true;
    for (const int threads : {1, 3})
      CHECK(contains(failure_of([&] { values_of(c.edges, {.threads = threads, .workspace = workspace}); }),
                     "user_error"));
    CHECK(workspace.granted_bytes() == 0);
    *bad = false;
    const std::vector<test::Whole> got = values_of(c.edges, {.workspace = workspace});
    for (std::size_t i = 0; i < want.size(); ++i) CHECK(test::difference(want[i], got[i]) == "");
  }
}

TEST_CASE("sinks are committed once and only after success", "[exec][sinks]") {
  const Counted a = Counted::make({20, 30}, {6, 7});
  for (const bool regions : {true, false})
    for (const int threads : {1, 3})
      for (const bool fails : {false, true}) {
        INFO("regions " << regions << ", threads " << threads << ", fails " << fails);
        const auto log = std::make_shared<test::SinkLog>();
        test::TestSinkOptions options;
        options.grid = Grid::regular({20, 30}, {5, 9});
        options.regions = regions;
        options.scratch_bytes = 100;
        if (fails)
          options.on_write = [](const Region& region) {
            if (region.hi[0] == 20 && region.hi[1] == 30) fail(Errc::io_error, "test sink: disk full");
          };
        const std::vector<Edge> edges{morsel::apply(Op::negative, {a.edge}), reduced(Reduction::sum, a.edge)};
        double sum = 0;
        const std::vector<Target> targets{SinkTarget{test::TestSink(Type::float64, options, log)},
                                          MemoryTarget{BufferView::c_order(&sum, {}, sizeof sum)}};
        const std::string failure = failure_of([&] {
          evaluate(edges, targets,
                   {.memory = test::smallest_budget(edges, threads, targets), .threads = threads});
        });
        CHECK(failure == (fails ? "io_error: test sink: disk full" : ""));
        CHECK(log->commits == (fails ? 0 : 1));
        CHECK(log->wrong == 0);
        if (fails) continue;
        CHECK(sum == 600 * 599 / 2);
        CHECK(test::difference(test::Eager()(edges[0]), log->values) == "");
        CHECK(std::all_of(log->writes.begin(), log->writes.end(), [](int n) { return n == 1; }));
      }
}

TEST_CASE("no sink is committed when another value fails", "[exec][sinks]") {
  test::TestSourceOptions damaged;
  damaged.forbidden = {4};
  const Counted good = Counted::make({50}, {10}), bad = Counted::make({50}, {10}, damaged);
  const auto log = std::make_shared<test::SinkLog>();
  test::TestSinkOptions options;
  options.grid = Grid::regular({50}, {10});
  double sum = 0;
  CHECK(contains(failure_of([&] {
                   evaluate({good.edge, reduced(Reduction::sum, bad.edge)},
                            {SinkTarget{test::TestSink(Type::float64, options, log)},
                             MemoryTarget{BufferView::c_order(&sum, {}, 8)}},
                            {});
                 }),
                 "chunk 4 is damaged"));
  CHECK(log->commits == 0);
}

TEST_CASE("saving onto one of the expression's own sources is refused before any read", "[exec][sinks]") {
  const Counted a = Counted::make({50}, {10});
  const auto log = std::make_shared<test::SinkLog>();
  test::TestSinkOptions options;
  options.grid = Grid::regular({50}, {10});
  options.identity = std::get<SourceNode>(a.edge.node->payload).source.identity();
  CHECK(code_of([&] {
          evaluate({flip(a.edge, {0})}, {SinkTarget{test::TestSink(Type::float64, options, log)}}, {});
        }) == Errc::already_exists);
  CHECK(a.log->fetches == 0);
}

TEST_CASE("a source that changed since it was opened, or while it is read, is an error", "[exec][errors]") {
  for (const bool meanwhile : {false, true}) {
    test::TestSourceOptions options;
    auto version = options.version;
    if (meanwhile)
      options.on_read = [version](Index chunk) {
        if (chunk == 2) *version = "2";
      };
    const Counted a = Counted::make({50}, {10}, options);
    const auto log = std::make_shared<test::SinkLog>();
    test::TestSinkOptions sink;
    sink.grid = Grid::regular({50}, {10});
    if (!meanwhile) *version = "2";
    const std::string failure = failure_of(
        [&] { evaluate({a.edge}, {SinkTarget{test::TestSink(Type::float64, sink, log)}}, {.threads = 1}); });
    CHECK(contains(failure, "source_changed"));
    CHECK(contains(failure, "expected version 1, got 2"));
    CHECK(log->commits == 0);
    CHECK(a.log->fetches == (meanwhile ? 5 : 0));
  }
}

TEST_CASE("visitors get every chunk once, ordered ones in order and one at a time", "[exec][visits]") {
  const Counted a = Counted::make({31, 17}, {5, 6});
  const Edge twice = morsel::apply(Op::add, {a.edge, a.edge});
  const Edge other = rechunk(twice, ChunkSpec({10, 17}));
  for (const Edge& e : {a.edge, twice, other, flip(a.edge, {1}), permute_dims(a.edge, {1, 0})})
    for (const bool ordered : {true, false})
      for (const int threads : {1, 4})
        for (const std::uint64_t shuffle : {0, 5}) {
          INFO("ordered " << ordered << ", threads " << threads << ", shuffle " << shuffle);
          std::mutex mutex;
          std::vector<Index> order;
          std::atomic<int> inside{0}, most{0};
          test::Whole got = test::detail::empty_of(e.dtype(), e.shape());
          const Grid grid = e.grid();
          const std::vector<Target> targets{
              VisitTarget{[&](const Region& region, const BufferView& values) {
                            most = std::max(most.load(), ++inside);
                            {
                              const std::lock_guard lock(mutex);
                              order.push_back(grid.number(grid.overlapping(region).lo));
                              copy_elements(values, got.view().part(Region::of(e.shape()), region));
                            }
                            --inside;
                          },
                          ordered}};
          evaluate({e}, targets,
                   {.memory = test::smallest_budget({e}, threads, targets) * 3,
                    .threads = threads,
                    .shuffle_seed = shuffle});
          CHECK(order.size() == static_cast<std::size_t>(grid.count()));
          if (ordered) {
            CHECK(std::is_sorted(order.begin(), order.end()));
            CHECK(most == 1);
          }
          CHECK(test::difference(test::Eager()(e), got) == "");
        }
}

TEST_CASE("a visitor that throws ends the run with its error", "[exec][visits]") {
  const Counted a = Counted::make({100}, {10});
  for (const bool ordered : {true, false})
    for (const int threads : {1, 4}) {
      std::atomic<int> calls{0};
      const std::string failure = failure_of([&] {
        evaluate({a.edge},
                 {VisitTarget{[&](const Region& region, const BufferView&) {
                                ++calls;
                                if (region.lo[0] >= 30)
                                  throw std::logic_error("enough at " + std::to_string(region.lo[0]));
                              },
                              ordered}},
                 {.threads = threads});
      });
      CHECK(contains(failure, "enough at 30"));
      CHECK(calls >= 4);
      if (ordered) CHECK(calls == 4);
    }
}

TEST_CASE("a stop request ends a run, with hardly any work after it", "[exec][cancel]") {
  std::stop_source stop;
  std::atomic<int> calls{0}, after{0};
  // Requests the stop at the given call; counts what is done although it was requested before.
  const auto work = [&](int stops_at) {
    if (stop.stop_requested()) ++after;
    if (++calls == stops_at) stop.request_stop();
  };
  test::TestSourceOptions reading;
  reading.blocks = true;
  reading.on_read = [&](Index) { work(50); };
  const auto kernel = [&](double v) {
    work(5000);
    return v;
  };
  struct Case {
    const char* what;
    Edge edge;
    int most_after;  // per thread
  };
  const Case cases[] = {
      {"many reads", reduced(Reduction::sum, Counted::make({10000}, {10}, reading).edge), 32},
      {"a kernel", reduced(Reduction::sum, mapped(Counted::make({200000}, {100}).edge, kernel)), 256},
      {"a kernel in one chunk",
       reduced(Reduction::sum, mapped(Counted::make({200000}, {200000}).edge, kernel)), 256}};
  for (const Case& c : cases)
    for (const int threads : {1, 4}) {
      INFO(c.what << ", threads " << threads);
      stop = std::stop_source();
      calls = after = 0;
      CHECK(code_of([&] { value_of(c.edge, {.threads = threads, .stop = stop.get_token()}); }) ==
            Errc::cancelled);
      CHECK(after <= threads * c.most_after);
    }
}

TEST_CASE("a run that waits for a slow source is stopped from another thread", "[exec][cancel]") {
  test::TestSourceOptions slow;
  slow.delay = std::chrono::milliseconds(3);
  slow.blocks = true;
  const Counted a = Counted::make({100000}, {20}, slow);  // 15 s of reading
  for (const int threads : {1, 4}) {
    std::stop_source stop;
    std::thread other([&] {
      while (a.log->fetches == 0) std::this_thread::yield();
      stop.request_stop();
    });
    CHECK(code_of([&] {
            value_of(reduced(Reduction::sum, a.edge), {.threads = threads, .stop = stop.get_token()});
          }) == Errc::cancelled);
    other.join();
    CHECK(a.log->fetches < 5000);
    a.log->clear();
  }
}

TEST_CASE("a run that is stopped before it begins reads nothing", "[exec][cancel]") {
  const Counted a = Counted::make({100}, {10});
  std::stop_source stop;
  stop.request_stop();
  CHECK(code_of([&] { value_of(a.edge, {.stop = stop.get_token()}); }) == Errc::cancelled);
  CHECK(a.log->fetches == 0);
}

TEST_CASE("a read that fails for the moment is tried three times", "[exec][errors]") {
  struct Case {
    int fails;
    int error_number;
    int fetches;  // of one chunk
    const char* failure;
  };
  for (const Case& c :
       {Case{2, EAGAIN, 3, ""}, Case{3, EAGAIN, 3, "io_error"}, Case{1, EACCES, 1, "io_error"}})
    for (const int threads : {1, 2}) {
      std::atomic<int> left{c.fails}, calls{0};
      test::TestSourceOptions options;
      options.on_read = [&](Index chunk) {
        if (chunk != 3) return;
        ++calls;
        if (left-- > 0) fail_errno(c.error_number, "test source: reading");
      };
      const Counted a = Counted::make({100}, {10}, options);
      double sum = 4950;
      const std::string failure = failure_of([&] {
        sum = test::element<double>(value_of(reduced(Reduction::sum, a.edge), {.threads = threads}));
      });
      INFO(c.fails << " failures, errno " << c.error_number << ", threads " << threads);
      CHECK(failure.substr(0, failure.find(':')) == c.failure);
      CHECK(sum == 4950);
      CHECK(calls == c.fetches);
    }
}

TEST_CASE("a spill file lies where it is told to, and a folder that cannot hold it is named",
          "[exec][errors]") {
  const Counted a = Counted::make({60000, 20}, {500, 20});
  const Edge e = morsel::apply(Op::subtract, {a.edge, reduced(Reduction::mean, a.edge, {1}, true)});
  const std::size_t smallest = test::smallest_budget({e});
  const test::Whole want = value_of(e);
  struct Variable {
    std::string old = test::environment("MORSEL_SPILL_DIR");
    explicit Variable(const std::string& folder) { ::setenv("MORSEL_SPILL_DIR", folder.c_str(), 1); }
    ~Variable() {
      old.empty() ? ::unsetenv("MORSEL_SPILL_DIR") : ::setenv("MORSEL_SPILL_DIR", old.c_str(), 1);
    }
  };
  {
    const test::TempDir folder;
    const Variable variable(folder.path().string());
    CHECK(test::difference(want, value_of(e, {.memory = smallest})) == "");
    CHECK(std::filesystem::is_empty(folder.path()));
  }
  const Variable variable("/nowhere/at/all");
  const std::string failure = failure_of([&] { value_of(e, {.memory = smallest}); });
  INFO(failure);
  CHECK(contains(failure, "making a spill file in '/nowhere/at/all'"));
}

TEST_CASE("of two openings of what changed in between, both are checked", "[exec][errors]") {
  test::TestSourceOptions old_options, new_options;
  old_options.identity = new_options.identity = "the same file";
  *new_options.version = "2";
  const Counted old_one = Counted::make({50}, {10}, old_options),
                new_one = Counted::make({50}, {10}, new_options);
  *old_one.version = "2";  // now; the edge remembers what it was
  const Edge first = reduced(Reduction::sum, old_one.edge), second = reduced(Reduction::sum, new_one.edge);
  for (const std::vector<Edge>& edges :
       {std::vector{first, second}, std::vector{second, first},
        std::vector{morsel::apply(Op::subtract, {new_one.edge, old_one.edge})}}) {
    CHECK(contains(failure_of([&] { values_of(edges); }), "source_changed"));
    CHECK(old_one.log->fetches + new_one.log->fetches == 0);
  }
}

TEST_CASE("chunks of one source at two versions are not shared", "[exec][errors]") {
  test::TestSourceOptions one, two;
  one.identity = two.identity = "the same name";
  *two.version = "2";
  const Counted a = Counted::make({50}, {10}, one), b = Counted::make({50}, {10}, two);
  std::fill(b.values->bytes.begin(), b.values->bytes.end(), std::byte{0});
  for (const bool swapped : {false, true}) {
    const Edge first = reduced(Reduction::sum, a.edge), second = reduced(Reduction::sum, b.edge);
    const auto got = values_of(swapped ? std::vector{second, first} : std::vector{first, second});
    CHECK(test::element<double>(got[swapped ? 1 : 0]) == 49 * 50 / 2);
    CHECK(test::element<double>(got[swapped ? 0 : 1]) == 0);
  }
}

#if defined(__linux__)
TEST_CASE("a workspace that waits for the next run stands beside no other one", "[exec][memory]") {
  const auto resident_bytes = [] {
    long pages = 0, resident = 0;
    std::ifstream("/proc/self/statm") >> pages >> resident;
    return resident * ::sysconf(_SC_PAGESIZE);
  };
  const Counted large = Counted::make({600'000}, {600'000}), small = Counted::make({100}, {10});
  const Edge large_sum = reduced(Reduction::sum, large.edge), small_sum = reduced(Reduction::sum, small.edge);
  value_of(small_sum);
  value_of(large_sum);
  const long waiting = resident_bytes();
  value_of(small_sum);
  CHECK(waiting - resident_bytes() >= 4'000'000);
}
#endif
