#include <catch2/catch.hpp>

#include "reduce_reference.hpp"

using namespace morsel;
using namespace reference;

namespace {

struct Case {
  Reduction reduction;
  Kind kind;
  bool skip;
};
const Case cases[] = {{Reduction::sum, Kind::sum, false},        {Reduction::sum, Kind::sum, true},
                      {Reduction::prod, Kind::prod, false},      {Reduction::prod, Kind::prod, true},
                      {Reduction::var, Kind::moments, false},    {Reduction::var, Kind::moments, true},
                      {Reduction::stddev, Kind::moments, false}, {Reduction::mean, Kind::sum, true}};

ReducerPtr reducer_of(const Case& c, Type type) {
  ReductionOptions options;
  options.skip_nan = c.skip;
  return make_reducer(c.reduction, type, options);
}

// Feeds runs of the given lengths, each cut at random, and returns the state.
template <class T>
std::vector<std::uint64_t> leaf_of_runs(const Reducer& reducer, const Array<T>& x,
                                        const std::vector<std::size_t>& runs, std::mt19937_64* cuts) {
  Memory workspace(LeafRuns::workspace_bytes(reducer)), state(reducer.state_bytes());
  LeafRuns leaf(reducer, workspace.data());
  leaf.begin(state.data());
  std::size_t at = 0;
  for (const std::size_t length : runs) {
    for (std::size_t done = 0; done < length;) {
      std::size_t piece = length - done;
      if (cuts) piece = std::min<std::size_t>(piece, (*cuts)() % 3 == 0 ? (*cuts)() % 40 : (*cuts)() % 3000);
      leaf.absorb(x.data() + at, piece, static_cast<Index>(at));
      at += piece, done += piece;
    }
    leaf.end_run();
  }
  leaf.finish();
  return words_at(state.data(), reducer.state_bytes());
}

template <class T>
std::vector<std::uint64_t> leaf_of_rows(const Reducer& reducer, const T* x, std::ptrdiff_t stride,
                                        std::size_t rows, std::size_t columns, std::mt19937_64* cuts) {
  Memory workspace(LeafRows::workspace_bytes(reducer, columns)), states(columns * reducer.state_bytes());
  LeafRows leaf(reducer, columns, workspace.data());
  leaf.begin(states.data(), columns);
  const auto stride_bytes = stride * static_cast<std::ptrdiff_t>(sizeof(T));
  for (std::size_t done = 0; done < rows;) {
    std::size_t piece = rows - done;
    if (cuts) piece = std::min<std::size_t>(piece, (*cuts)() % 90);
    leaf.absorb(x + static_cast<std::ptrdiff_t>(done) * stride, stride_bytes, piece,
                static_cast<Index>(7 + 3 * done), 3);
    done += piece;
  }
  leaf.finish();
  return words_at(states.data(), columns * reducer.state_bytes());
}

const std::vector<std::vector<std::size_t>> run_tables = {{},
                                                          {1},
                                                          {15},
                                                          {16},
                                                          {17},
                                                          {511},
                                                          {512},
                                                          {513},
                                                          {1024},
                                                          {777},
                                                          {5000},
                                                          {2560},
                                                          {1, 1, 1},
                                                          {600, 600, 37},
                                                          {512, 512, 512},
                                                          {16384 + 512},
                                                          {70000},
                                                          {0, 3},
                                                          {40, 33000, 1000}};

template <class T>
void check_runs() {
  std::mt19937_64 rng(static_cast<unsigned>(type_of<T>) + 1);
  for (const Case& c : cases) {
    if (c.skip && is_integer(type_of<T>)) continue;
    const ReducerPtr reducer = reducer_of(c, type_of<T>);
    if (reducer->order() != MergeOrder::blocks) continue;
    const bool skip = c.skip && !std::is_same_v<T, bool>;
    for (const auto& runs : run_tables)
      for (const bool special : {false, true}) {
        std::size_t n = 0;
        for (const std::size_t length : runs) n += length;
        const Array<T> x = random_array<T>(n, rng, special);
        std::vector<reference::Node> nodes;
        std::size_t at = 0;
        for (const std::size_t length : runs) {
          append_blocks(c.kind, skip, x.data() + at, length, 1, 512, reference::Block::lanes, nodes);
          at += length;
        }
        const auto expected = words_of(tree(c.kind, nodes, is_complex_v<T>), c.kind, skip, is_complex_v<T>);
        INFO(reducer->name() << " of " << name_of(type_of<T>) << ", " << n << " elements in " << runs.size()
                             << " runs, special " << special);
        EachLevel levels;
        for (const SimdLevel level : levels) {
          set_simd_level(level);
          INFO("level " << name_of(level));
          CHECK(leaf_of_runs(*reducer, x, runs, nullptr) == expected);
          CHECK(leaf_of_runs(*reducer, x, runs, &rng) == expected);
        }
      }
  }
}

template <class T>
void check_rows() {
  std::mt19937_64 rng(static_cast<unsigned>(type_of<T>) + 100);
  for (const Case& c : cases) {
    if (c.skip && is_integer(type_of<T>)) continue;
    const ReducerPtr reducer = reducer_of(c, type_of<T>);
    if (reducer->order() != MergeOrder::blocks) continue;
    const bool skip = c.skip && !std::is_same_v<T, bool>;
    for (const std::size_t columns : {1, 3, 31, 32, 33, 100, 256})
      for (const std::size_t rows : {0, 1, 2, 63, 64, 65, 300}) {
        const std::ptrdiff_t stride = static_cast<std::ptrdiff_t>(columns) + (rows % 2 ? 5 : 0);
        const Array<T> x = random_array<T>(rows * static_cast<std::size_t>(stride), rng, rows % 3 == 0);
        std::vector<std::uint64_t> expected;
        for (std::size_t column = 0; column < columns; ++column) {
          std::vector<reference::Node> nodes;
          append_blocks(c.kind, skip, x.data() + column, rows, stride, 64, reference::Block::serial, nodes);
          const auto words = words_of(tree(c.kind, nodes, is_complex_v<T>), c.kind, skip, is_complex_v<T>);
          expected.insert(expected.end(), words.begin(), words.end());
        }
        INFO(reducer->name() << " of " << name_of(type_of<T>) << ", " << rows << " rows of " << columns);
        EachLevel levels;
        for (const SimdLevel level : levels) {
          set_simd_level(level);
          INFO("level " << name_of(level));
          CHECK(leaf_of_rows(*reducer, x.data(), stride, rows, columns, nullptr) == expected);
          CHECK(leaf_of_rows(*reducer, x.data(), stride, rows, columns, &rng) == expected);
        }
      }
  }
}

}  // namespace

#define LEAF_TESTS(NAME, CPP)                                                                         \
  TEST_CASE("runs of " #NAME " have the bits of the written rule at every level and cut", "[leaf]") { \
    check_runs<CPP>();                                                                                \
  }                                                                                                   \
  TEST_CASE("rows of " #NAME " have the bits of the written rule at every level and cut", "[leaf]") { \
    check_rows<CPP>();                                                                                \
  }
MORSEL_FOR_EACH_NUMERIC(LEAF_TESTS)

TEST_CASE("a histogram's leaf counts every element, however it is cut", "[leaf]") {
  std::mt19937_64 rng(31);
  for (const Index bins : {1, 10, 128, 129, 500})
    for (const std::size_t n : {0, 100, 16000, 40000, 400000})
      for (const bool same : {false, true}) {
        ReductionOptions options;
        options.bins = bins, options.lo = -1, options.hi = 3;
        Array<double> x(n);
        Array<float> y(n);
        for (std::size_t i = 0; i < n; ++i) {
          x[i] = same ? 0.3 : static_cast<double>(rng() >> 11) * 0x1p-53 * 5 - 1.5;
          y[i] = static_cast<float>(x[i]);
          x[i] = static_cast<double>(y[i]);
        }
        for (const bool narrow : {false, true}) {
          const ReducerPtr reducer =
              make_reducer(Reduction::histogram, narrow ? Type::float32 : Type::float64, options);
          std::vector<std::int64_t> expected(static_cast<std::size_t>(bins));
          for (std::size_t i = 0; i < n; ++i)
            narrow ? reducer->absorb_run(expected.data(), &y[i], 1, 0)
                   : reducer->absorb_run(expected.data(), &x[i], 1, 0);
          EachLevel levels;
          for (const SimdLevel level : levels) {
            set_simd_level(level);
            INFO(reducer->name() << " of " << n << " at " << name_of(level));
            Memory workspace(LeafRuns::workspace_bytes(*reducer)), state(reducer->state_bytes());
            LeafRuns leaf(*reducer, workspace.data());
            // The same leaf twice: the first must leave nothing behind.
            for (const std::size_t limit : {1 << 30, 2048}) {
              leaf.begin(state.data());
              for (std::size_t at = 0; at < n;) {
                const std::size_t piece = std::min<std::size_t>(n - at, rng() % 4 ? limit : rng() % 3000);
                narrow ? leaf.absorb(y.data() + at, piece, 0) : leaf.absorb(x.data() + at, piece, 0);
                at += piece;
              }
              leaf.finish();
              CHECK(std::memcmp(state.data(), expected.data(), reducer->state_bytes()) == 0);
            }
          }
        }
      }
}

TEST_CASE("memory that is not aligned gives the same bits", "[leaf]") {
  // A file that is mapped at an odd offset.
  std::mt19937_64 rng(41);
  for (int t = 0; t < numeric_type_count; ++t)
    visit_type(static_cast<Type>(t), [&]<class T>() {
      if (sizeof(T) == 1) return;
      const std::size_t n = 2000, columns = 40, rows = n / columns;
      const Array<T> x = random_array<T>(n, rng, true);
      Memory shifted(n * sizeof(T) + 1);
      auto* odd = static_cast<std::byte*>(shifted.data()) + 1;
      std::memcpy(odd, x.data(), n * sizeof(T));
      for (int r = 0; r <= static_cast<int>(Reduction::histogram); ++r)
        for (const bool skip : {false, true}) {
          const auto reduction = static_cast<Reduction>(r);
          if (reduction == Reduction::histogram && is_complex_v<T>) continue;
          ReductionOptions options;
          options.skip_nan = skip;
          options.bins = 12, options.lo = -3, options.hi = 9;
          const ReducerPtr reducer = make_reducer(reduction, type_of<T>, options);
          INFO(reducer->name() << " of " << name_of(type_of<T>));
          EachLevel levels;
          for (const SimdLevel level : levels) {
            set_simd_level(level);
            std::vector<std::vector<std::uint64_t>> results;
            for (const void* from : {static_cast<const void*>(x.data()), static_cast<const void*>(odd)}) {
              Memory workspace(LeafRuns::workspace_bytes(*reducer)), state(reducer->state_bytes());
              LeafRuns run(*reducer, workspace.data());
              run.begin(state.data());
              run.absorb(from, n, 0);
              run.finish();
              results.push_back(words_at(state.data(), reducer->state_bytes()));
              Memory room(LeafRows::workspace_bytes(*reducer, columns)),
                  states(columns * reducer->state_bytes());
              LeafRows row(*reducer, columns, room.data());
              row.begin(states.data(), columns);
              row.absorb(from, columns * sizeof(T), rows, 0, 1);
              row.finish();
              results.push_back(words_at(states.data(), columns * reducer->state_bytes()));
            }
            CHECK(results[0] == results[2]);
            CHECK(results[1] == results[3]);
          }
        }
    });
}
