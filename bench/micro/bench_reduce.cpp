// Reductions of values that lie in a chunk: elements per second of one leaf, per SIMD level. The runs are cut
// into pieces of 2048 as the engine does when several reductions share a pass.
#include <benchmark/benchmark.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <morsel/kernel/leaf.hpp>
#include <morsel/kernel/simd.hpp>
#include <random>
#include <string>
#include <vector>

using namespace morsel;

namespace {

constexpr std::size_t piece = 2048;

template <class T>
std::vector<T> values(std::size_t n) {
  std::mt19937_64 rng(1);
  std::vector<T> x(n);
  for (T& v : x) {
    const double unit = static_cast<double>(rng() >> 11) * 0x1p-53;
    if constexpr (std::is_integral_v<T>)
      v = static_cast<T>(unit * 100);
    else
      v = T(static_cast<float>(unit));
  }
  return x;
}

// Leaves over one input, side by side.
class Leaves {
 public:
  explicit Leaves(std::vector<ReducerPtr> reducers) : reducers_(std::move(reducers)) {
    std::size_t bytes = 64;
    for (const ReducerPtr& reducer : reducers_)
      bytes += round_up(LeafRuns::workspace_bytes(*reducer), 64) + round_up(reducer->state_bytes(), 64);
    memory_.resize(bytes);
    auto* at = memory_.data() + (64 - reinterpret_cast<std::uintptr_t>(memory_.data()) % 64) % 64;
    for (const ReducerPtr& reducer : reducers_) {
      leaves_.emplace_back(*reducer, at);
      at += round_up(LeafRuns::workspace_bytes(*reducer), 64);
      states_.push_back(at);
      at += round_up(reducer->state_bytes(), 64);
    }
  }
  void begin() {
    for (std::size_t i = 0; i < leaves_.size(); ++i) leaves_[i].begin(states_[i]);
  }
  void absorb(const std::byte* x, std::size_t n, std::size_t item_bytes) {
    const std::size_t step = leaves_.size() == 1 ? n : piece;
    for (std::size_t at = 0; at < n; at += step)
      for (LeafRuns& leaf : leaves_)
        leaf.absorb(x + at * item_bytes, std::min(step, n - at), static_cast<Index>(at));
  }
  void finish() {
    for (LeafRuns& leaf : leaves_) leaf.finish();
    benchmark::DoNotOptimize(memory_.data());
  }

 private:
  std::vector<ReducerPtr> reducers_;
  std::vector<std::byte> memory_;
  std::vector<LeafRuns> leaves_;
  std::vector<void*> states_;
};

ReductionOptions bins(Index count) {
  ReductionOptions options;
  options.bins = count, options.lo = 0, options.hi = 1;
  return options;
}
ReductionOptions skipping() {
  ReductionOptions options;
  options.skip_nan = true;
  return options;
}

std::vector<ReducerPtr> six(Type type) {
  return {make_reducer(Reduction::sum, type), make_reducer(Reduction::stddev, type),
          make_reducer(Reduction::min, type), make_reducer(Reduction::max, type),
          make_reducer(Reduction::histogram, type, bins(128))};
}

template <class T>
void runs(benchmark::State& bench, SimdLevel level, const std::vector<ReducerPtr>& reducers) {
  set_simd_level(level);
  const auto n = static_cast<std::size_t>(bench.range(0));
  const std::vector<T> x = values<T>(n);
  Leaves leaves(reducers);
  for (auto _ : bench) {
    leaves.begin();
    leaves.absorb(reinterpret_cast<const std::byte*>(x.data()), n, sizeof(T));
    leaves.finish();
  }
  bench.SetItemsProcessed(bench.iterations() * static_cast<std::int64_t>(n));
  bench.SetBytesProcessed(bench.iterations() * static_cast<std::int64_t>(n * sizeof(T)));
  set_simd_level(best_simd_level());
}

template <class T>
void rows(benchmark::State& bench, SimdLevel level, const ReducerPtr& reducer) {
  set_simd_level(level);
  constexpr std::size_t columns = LeafRows::max_columns;
  const auto n = static_cast<std::size_t>(bench.range(0)) / columns * columns;
  const std::vector<T> x = values<T>(n);
  std::vector<std::byte> memory(128 + LeafRows::workspace_bytes(*reducer, columns) +
                                columns * reducer->state_bytes());
  auto* at = memory.data() + (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64) % 64;
  LeafRows leaf(*reducer, columns, at);
  void* states = at + round_up(LeafRows::workspace_bytes(*reducer, columns), 64);
  for (auto _ : bench) {
    leaf.begin(states, columns);
    leaf.absorb(x.data(), static_cast<std::ptrdiff_t>(columns * sizeof(T)), n / columns, 0, 1);
    leaf.finish();
    benchmark::DoNotOptimize(memory.data());
  }
  bench.SetItemsProcessed(bench.iterations() * static_cast<std::int64_t>(n));
  bench.SetBytesProcessed(bench.iterations() * static_cast<std::int64_t>(n * sizeof(T)));
  set_simd_level(best_simd_level());
}

// The goal of the engine: six statistics of a file in the page cache for at most twice the time of its sum.
class CachedFile {
 public:
  static constexpr std::size_t bytes = std::size_t{256} << 20, chunk = std::size_t{1} << 20;
  CachedFile() {
    const char* dir = std::getenv("TMPDIR");
    std::string name = std::string(dir ? dir : "/tmp") + "/morsel-bench-XXXXXX";
    file_ = mkstemp(name.data());
    if (file_ < 0) return;
    unlink(name.c_str());
    const std::vector<double> x = values<double>(chunk / 8);
    for (std::size_t at = 0; at < bytes; at += chunk)
      if (pwrite(file_, x.data(), chunk, static_cast<off_t>(at)) != static_cast<ssize_t>(chunk)) return;
    good_ = true;
  }
  CachedFile(const CachedFile&) = delete;
  CachedFile& operator=(const CachedFile&) = delete;
  ~CachedFile() {
    if (file_ >= 0) close(file_);
  }
  bool good() const { return good_; }
  bool read(void* to, std::size_t at) const {
    return pread(file_, to, chunk, static_cast<off_t>(at)) == static_cast<ssize_t>(chunk);
  }

 private:
  int file_ = -1;
  bool good_ = false;
};

void from_file(benchmark::State& bench, const std::vector<ReducerPtr>& reducers) {
  static const CachedFile file;
  if (!file.good()) return bench.SkipWithError("cannot write a temporary file");
  std::vector<double> buffer(CachedFile::chunk / 8);
  std::unique_ptr<Leaves> leaves;
  if (!reducers.empty()) leaves = std::make_unique<Leaves>(reducers);
  const std::size_t share = CachedFile::bytes / static_cast<std::size_t>(bench.threads());
  const std::size_t first = share * static_cast<std::size_t>(bench.thread_index());
  for (auto _ : bench)
    for (std::size_t at = first; at + CachedFile::chunk <= first + share; at += CachedFile::chunk) {
      if (!file.read(buffer.data(), at)) return bench.SkipWithError("cannot read the temporary file");
      if (leaves) {
        leaves->begin();
        leaves->absorb(reinterpret_cast<const std::byte*>(buffer.data()), buffer.size(), 8);
        leaves->finish();
      }
      benchmark::DoNotOptimize(buffer.data());
    }
  bench.SetBytesProcessed(bench.iterations() * static_cast<std::int64_t>(share));
  bench.SetItemsProcessed(bench.iterations() * static_cast<std::int64_t>(share / 8));
}

template <class T>
void add_type(const std::string& type_name, SimdLevel level) {
  const std::string tail = "/" + type_name + "/" + std::string(name_of(level));
  const struct {
    const char* name;
    Reduction reduction;
    bool skip;
  } table[] = {{"sum", Reduction::sum, false},       {"mean", Reduction::mean, false},
               {"moments", Reduction::var, false},   {"nansum", Reduction::sum, true},
               {"nanmoments", Reduction::var, true}, {"min", Reduction::min, false},
               {"max", Reduction::max, false},       {"argmin", Reduction::argmin, false},
               {"any", Reduction::any, false},       {"count_nonzero", Reduction::count_nonzero, false}};
  for (const auto& row : table) {
    if (row.skip && is_integer(type_of<T>)) continue;
    const ReducerPtr reducer =
        make_reducer(row.reduction, type_of<T>, row.skip ? skipping() : ReductionOptions{});
    benchmark::RegisterBenchmark((std::string("runs/") + row.name + tail).c_str(), runs<T>, level,
                                 std::vector<ReducerPtr>{reducer})
        ->Arg(4096)
        ->Arg(1 << 17);
    benchmark::RegisterBenchmark((std::string("rows/") + row.name + tail).c_str(), rows<T>, level, reducer)
        ->Arg(1 << 16);
  }
  for (const Index count : {16, 128, 1024})
    benchmark::RegisterBenchmark(
        ("runs/histogram" + std::to_string(count) + tail).c_str(), runs<T>, level,
        std::vector<ReducerPtr>{make_reducer(Reduction::histogram, type_of<T>, bins(count))})
        ->Arg(4096)
        ->Arg(1 << 17);
  benchmark::RegisterBenchmark(("runs/sum+mean+stddev+min+max+histogram128" + tail).c_str(), runs<T>, level,
                               six(type_of<T>))
      ->Arg(1 << 17);
}

bool add_all() {
  for (int i = 0; i <= static_cast<int>(best_simd_level()); ++i) {
    const auto level = static_cast<SimdLevel>(i);
    add_type<double>("float64", level);
    add_type<float>("float32", level);
    add_type<std::int32_t>("int32", level);
    add_type<std::int16_t>("int16", level);
    add_type<std::uint8_t>("uint8", level);
  }
  const std::vector<ReducerPtr> sum = {make_reducer(Reduction::sum, Type::float64)};
  for (const int threads : {1, 2}) {
    benchmark::RegisterBenchmark("page_cache/read_only/float64", from_file, std::vector<ReducerPtr>{})
        ->Threads(threads)
        ->UseRealTime();
    benchmark::RegisterBenchmark("page_cache/sum/float64", from_file, sum)->Threads(threads)->UseRealTime();
    benchmark::RegisterBenchmark("page_cache/sum+mean+stddev+min+max+histogram128/float64", from_file,
                                 six(Type::float64))
        ->Threads(threads)
        ->UseRealTime();
  }
  return true;
}

// All files of this folder are one program, whose main is the library's.
const bool added = add_all();

}  // namespace
