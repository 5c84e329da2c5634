// Users' combiners in the engine: states on the heap live exactly as long as they are needed, whatever fails.
#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <morsel/kernel/combiner.hpp>
#include <stdexcept>
#include <string>
#include <support/evaluate.hpp>
#include <support/failure.hpp>

namespace {

using namespace morsel;
using morsel_test::contains;
using morsel_test::failure_of;
using test::Counted;
using test::value_of;

/// What fails at its nth call; a negative number never does.
struct Faults {
  std::atomic<int> copies{-1}, absorbs{-1}, merges{-1}, finishes{-1};
  std::atomic<int> alive{0};
  static void count(std::atomic<int>& left, const char* what) {
    if (left >= 0 && left-- == 0) throw std::runtime_error(std::string(what) + " failed");
  }
  void none() { copies = absorbs = merges = finishes = -1; }
};

/// How often each value occurs. The map's header lies in the object itself, so a state copied bytewise
/// breaks.
class Occurrences {
 public:
  explicit Occurrences(Faults* faults) : faults_(faults) { ++faults_->alive; }
  Occurrences(const Occurrences& other) : faults_(other.faults_), counts_(other.counts_), name_(other.name_) {
    Faults::count(faults_->copies, "copy");
    ++faults_->alive;
  }
  Occurrences(Occurrences&& other) noexcept
      : faults_(other.faults_), counts_(std::move(other.counts_)), name_(std::move(other.name_)) {
    ++faults_->alive;
  }
  Occurrences& operator=(const Occurrences&) = delete;
  ~Occurrences() { --faults_->alive; }

  void absorb(std::span<const double> x) {
    Faults::count(faults_->absorbs, "absorb");
    for (const double v : x) ++counts_[static_cast<int>(v) % 7];
  }
  void merge(const Occurrences& right) {
    Faults::count(faults_->merges, "merge");
    if (name_ != "short" || right.name_ != "short")
      throw std::logic_error("a state moved to other memory without being told");
    for (const auto& [value, count] : right.counts_) counts_[value] += count;
  }
  std::array<std::int64_t, 7> finish() const {
    Faults::count(faults_->finishes, "finish");
    std::array<std::int64_t, 7> counts{};
    for (const auto& [value, count] : counts_) counts[static_cast<std::size_t>(value)] = count;
    return counts;
  }

 private:
  Faults* faults_;
  std::map<int, std::int64_t> counts_;
  std::string name_ = "short";  // kept inside the string itself
};

struct Layout {
  const char* what;
  Shape shape, chunk;
  std::vector<Index> axes;
  bool per_chunk;
};

const Layout layouts[] = {
    {"all of one chunk", {600}, {600}, {0}, false},
    {"all of many chunks", {3000}, {100}, {0}, false},
    {"all of many uneven chunks", {41, 53}, {4, 9}, {0, 1}, false},
    {"rows", {300, 40}, {7, 40}, {0}, false},
    {"rows of wide arrays", {40, 700}, {11, 300}, {0}, false},
    {"runs", {30, 400}, {30, 37}, {1}, false},
    {"the middle axis", {5, 60, 6}, {2, 7, 6}, {1}, false},
    {"chunk by chunk", {60, 50}, {9, 8}, {0, 1}, true},
    {"nothing", {0, 5}, {1, 2}, {0}, false},
    {"no axes", {20, 30}, {6, 30}, {}, false},
};

}  // namespace

TEST_CASE("combiners with states on the heap give what they should and are all gone afterwards", "[exec]") {
  for (const Layout& l : layouts)
    for (const bool regions : {false, true}) {
      Faults faults;
      {
        test::TestSourceOptions options;
        options.regions = regions;
        const Counted a = Counted::make(l.shape, l.chunk, options);
        Edge e = morsel::reduce(make_reducer_from<double>(Occurrences(&faults), "occurrences"), a.edge,
                                l.axes, false);
        if (l.per_chunk) e = per_chunk(e);
        const test::Whole want = test::Eager()(e);
        const int prototypes = faults.alive;
        const std::size_t smallest = test::smallest_budget({e});
        for (const int threads : {1, 4})
          for (const std::uint64_t shuffle : {0, 3})
            for (const std::size_t budget : {smallest, smallest * 2, 64 * MiB}) {
              INFO(l.what << ", regions " << regions << ", threads " << threads << ", shuffle " << shuffle);
              CHECK(test::difference(
                        want, value_of(e, {.memory = budget, .threads = threads, .shuffle_seed = shuffle})) ==
                    "");
              CHECK(faults.alive == prototypes);
            }
      }
      CHECK(faults.alive == 0);
    }
}

TEST_CASE("whatever a combiner fails at, its error comes out and no state is left", "[exec][errors]") {
  for (const Layout& l : layouts) {
    Faults faults;
    const Counted a = Counted::make(l.shape, l.chunk);
    Edge e =
        morsel::reduce(make_reducer_from<double>(Occurrences(&faults), "occurrences"), a.edge, l.axes, false);
    // A second fold beside it: its states must not suffer.
    const Edge other =
        morsel::reduce(make_reducer_from<double>(Occurrences(&faults), "others"), a.edge, l.axes, false);
    if (l.per_chunk) e = per_chunk(e);
    const test::Whole want = test::Eager()(e);
    const int prototypes = faults.alive;
    const std::size_t smallest = test::smallest_budget({e, other});
    struct Fault {
      const char* what;
      std::atomic<int>* left;
    };
    const Fault kinds[] = {{"copy", &faults.copies},
                           {"absorb", &faults.absorbs},
                           {"merge", &faults.merges},
                           {"finish", &faults.finishes}};
    for (const Fault& fault : kinds)
      for (const int at : {0, 1, 2, 5, 17, 60, 200})
        for (const int threads : {1, 4}) {
          INFO(l.what << ", " << fault.what << " " << at << ", threads " << threads);
          faults.none();
          *fault.left = at;
          const std::string failure = failure_of([&] {
            test::values_of({e, other}, {.memory = smallest * 2, .threads = threads});
          });
          const bool reached = *fault.left < 0;
          if (reached)
            CHECK(contains(failure, std::string(": a user's function threw; expected it to return, got '") +
                                        fault.what + " failed'"));
          else
            CHECK(failure == "");
          CHECK(faults.alive == prototypes);
        }
    faults.none();
    CHECK(test::difference(want, value_of(e)) == "");
  }
}

TEST_CASE("a stop request ends states on the heap too", "[exec][cancel]") {
  Faults faults;
  const Counted a = Counted::make({40000}, {100});
  std::stop_source stop;
  test::TestSourceOptions options;
  options.on_read = [&](Index chunk) {
    if (chunk == 200) stop.request_stop();
  };
  const Counted stopping = Counted::make({40000}, {100}, options);
  const Edge e = morsel::reduce(make_reducer_from<double>(Occurrences(&faults), "occurrences"), stopping.edge,
                                {0}, false);
  const int prototypes = faults.alive;
  for (const int threads : {1, 3}) {
    stop = std::stop_source();
    CHECK(contains(
        failure_of([&] { value_of(e, {.memory = 2 * MiB, .threads = threads, .stop = stop.get_token()}); }),
        "cancelled"));
    CHECK(faults.alive == prototypes);
  }
}
