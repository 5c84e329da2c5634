// The suite of combiners: every built-in reduction passes, combiners of users pass, and each broken law is
// caught.
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>
#include <cstring>
#include <morsel/conformance/combiner.hpp>
#include <numeric>
#include <random>
#include <support/seed.hpp>

using namespace morsel;

namespace {

std::string verdict(const Reducer& reducer, std::span<const std::byte> values,
                    const conformance::CombinerCheckOptions& options = {}) {
  try {
    conformance::check_combiner(reducer, values, options);
  } catch (const Error& e) {
    INFO(e.what());
    CHECK(e.code() == Errc::internal_error);
    return e.what();
  }
  return {};
}

/// Values of a type that no sum makes large: small integers, bool, floats around zero with some NaN if asked.
std::vector<std::byte> sample(Type type, std::size_t n, std::uint64_t seed, int nan_percent) {
  std::mt19937_64 random(seed);
  std::vector<std::byte> bytes(n * item_bytes_of(type));
  visit_type(type, [&]<class T>() {
    const auto part = [&](auto zero) {
      using P = decltype(zero);
      if constexpr (std::is_same_v<P, bool>)
        return static_cast<P>(random() % 3 == 0);
      else if constexpr (std::is_integral_v<P>)
        return static_cast<P>(random() % 200);
      else {
        if (static_cast<int>(random() % 100) < nan_percent) return static_cast<P>(std::nanf(""));
        return static_cast<P>(static_cast<float>(static_cast<int>(random() % 2001) - 1000) / 64.0f);
      }
    };
    for (std::size_t i = 0; i < n; ++i) {
      T value{};
      if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>)
        value = T(part(typename T::value_type{}), part(typename T::value_type{}));
      else
        value = part(T{});
      std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
    }
  });
  return bytes;
}

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span<const T>(values));
}

std::vector<std::int32_t> counting(std::size_t n) {
  std::vector<std::int32_t> values(n);
  std::iota(values.begin(), values.end(), -static_cast<std::int32_t>(n) / 3);
  return values;
}

}  // namespace

TEST_CASE("every built-in reduction of every dtype obeys the laws of combiners", "[conformance][combiner]") {
  const Reduction all[] = {Reduction::sum,      Reduction::prod, Reduction::mean, Reduction::var,
                           Reduction::stddev,   Reduction::min,  Reduction::max,  Reduction::argmin,
                           Reduction::argmax,   Reduction::any,  Reduction::all,  Reduction::count_nonzero,
                           Reduction::histogram};
  int checked = 0;
  for (const Reduction reduction : all)
    for (int t = 0; t < numeric_type_count; ++t)
      for (const bool skip_nan : {false, true}) {
        const Type type = static_cast<Type>(t);
        ReductionOptions options;
        options.skip_nan = skip_nan;
        if (reduction == Reduction::histogram) {
          options.bins = 17;
          options.lo = -10;
          options.hi = 150;
        }
        ReducerPtr reducer;
        try {
          reducer = make_reducer(reduction, type, options);
        } catch (const Error& e) {
          CHECK((e.code() == Errc::dtype_mismatch || e.code() == Errc::invalid_argument));
          continue;
        }
        conformance::CombinerCheckOptions few;
        few.rounds = 2;
        few.threads = 2;
        few.seed = test::first_seed();
        // Products of many values overflow; a few do not.
        const std::size_t n = reduction == Reduction::prod ? 12 : 1300;
        INFO(reducer->name() << " of " << name_of(type));
        CHECK(verdict(*reducer,
                      sample(type, n, few.seed + static_cast<unsigned>(t),
                             is_floating(type) && skip_nan ? 20 : 0),
                      few) == "");
        if (is_floating(type) && reduction != Reduction::histogram)
          CHECK(verdict(*reducer, sample(type, n / 2, few.seed, 5), few) == "");
        ++checked;
      }
  CHECK(checked > 250);
}

namespace {

struct GeometricMean {
  double log_sum = 0;
  std::int64_t count = 0;
  void absorb(std::span<const float> x) {
    for (const float v : x) log_sum += std::log(static_cast<double>(v)), ++count;
  }
  void merge(const GeometricMean& right) { log_sum += right.log_sum, count += right.count; }
  double finish() const { return std::exp(log_sum / static_cast<double>(count)); }
};

/// Owns memory, and knows how many of its like live.
struct Collector {
  static std::atomic<int>& living() {
    static std::atomic<int> count{0};
    return count;
  }
  std::vector<std::int32_t> seen;
  Collector() { ++living(); }
  Collector(const Collector& other) : seen(other.seen) { ++living(); }
  Collector(Collector&& other) noexcept : seen(std::move(other.seen)) { ++living(); }
  Collector& operator=(const Collector&) = default;
  ~Collector() { --living(); }
  void absorb(std::span<const std::int32_t> x) { seen.insert(seen.end(), x.begin(), x.end()); }
  void merge(const Collector& right) { seen.insert(seen.end(), right.seen.begin(), right.seen.end()); }
  std::int64_t finish() const {
    std::int64_t hash = 7;
    for (const std::int32_t v : seen)
      hash =
          static_cast<std::int64_t>(static_cast<std::uint64_t>(hash) * 31u + static_cast<std::uint32_t>(v));
    return hash;
  }
};

}  // namespace

TEST_CASE("combiners of users obey the laws, and none is left alive", "[conformance][combiner]") {
  std::vector<float> floats(700);
  for (std::size_t i = 0; i < floats.size(); ++i) floats[i] = 0.5f + static_cast<float>(i % 17);
  CHECK(verdict(*make_reducer_from<float>(GeometricMean{}, "geometric mean"), bytes_of(floats)) == "");
  CHECK(verdict(*make_reducer_from<std::int32_t>(Collector{}, "collector"), bytes_of(counting(900))) == "");
  CHECK(Collector::living() == 0);
}

namespace {

enum class Fault {
  none,
  init_not_identity,
  merge_forgets,
  merge_first_only,
  not_associative,
  any_but_ordered,
  depends_on_pieces,
  rows_forget_last,
  rows_shift_columns,
  from_bytes_loses,
  takes_short_bytes,
  takes_long_bytes,
  to_bytes_replaces,
  finish_changes,
  constant_wrong,
  state_too_small,
  odd_state_bytes,
  no_name,
  merge_writes_beyond,
  finish_writes_beyond,
  from_bytes_writes_beyond,
  relocate_loses,
  shared_state
};

/// The sum of int32 as int64 with one fault. Two words: the sum and something a fault may use.
class TestReducer final : public Reducer {
 public:
  explicit TestReducer(Fault fault) : fault_(fault) {}
  std::string name() const override { return is(Fault::no_name) ? "" : "test"; }
  std::string state_name() const override { return "test"; }
  Type input() const override { return Type::int32; }
  MergeOrder order() const override {
    return is(Fault::any_but_ordered) || !is(Fault::not_associative) ? MergeOrder::any
                                                                     : MergeOrder::sequential;
  }
  std::size_t state_bytes() const override {
    return is(Fault::odd_state_bytes) ? 20 : is(Fault::state_too_small) ? 8 : 16;
  }
  Type result() const override { return Type::int64; }
  void init(void* states, std::size_t n) const override {
    for (std::size_t i = 0; i < n; ++i) {
      at(states, i)[0] = is(Fault::init_not_identity) ? 1 : 0;
      at(states, i)[1] = 0;
    }
  }
  void absorb_run(void* state, const void* x, std::size_t n, Index) const override {
    const auto* values = static_cast<const std::int32_t*>(x);
    std::int64_t sum = is(Fault::depends_on_pieces) && n < 5 ? 1 : 0;
    if (is(Fault::shared_state)) {
      shared_ = 0;
      for (std::size_t i = 0; i < n; ++i) shared_ = shared_ + values[i];
      std::this_thread::sleep_for(std::chrono::microseconds(50));
      sum = shared_;
    } else {
      for (std::size_t i = 0; i < n; ++i) sum += values[i];
    }
    at(state, 0)[0] += sum;
  }
  void absorb_rows(void* states, const void* x, std::ptrdiff_t row_stride_bytes, std::size_t rows,
                   std::size_t columns, Index, Index) const override {
    for (std::size_t r = 0; r + is(Fault::rows_forget_last) < rows; ++r)
      for (std::size_t c = 0; c < columns; ++c) {
        std::int32_t value;
        std::memcpy(
            &value,
            static_cast<const std::byte*>(x) + static_cast<std::ptrdiff_t>(r) * row_stride_bytes + 4 * c, 4);
        at(states, is(Fault::rows_shift_columns) ? (c + 1) % columns : c)[0] += value;
      }
  }
  void merge(void* left, void* right, std::size_t n) const override {
    for (std::size_t i = 0; i < (is(Fault::merge_first_only) ? 1 : n); ++i) {
      std::int64_t& to = at(left, i)[0];
      const std::int64_t from = at(right, i)[0];
      if (is(Fault::merge_forgets))
        to = std::max(to, from);
      else if (is(Fault::not_associative))
        to = from == 0 ? to : to == 0 ? from : to + from - (to > from);
      else if (is(Fault::any_but_ordered))
        to = from == 0 ? to : to == 0 ? from : to + from + (to > from);
      else
        to += from;
    }
    if (is(Fault::merge_writes_beyond)) at(left, n)[0] = 0;
  }
  void finish(const void* states, std::size_t n, Index, void* out) const override {
    for (std::size_t i = 0; i < n + is(Fault::finish_writes_beyond); ++i) {
      const std::int64_t value = i < n ? at(states, i)[0] : 0;
      std::memcpy(static_cast<std::byte*>(out) + 8 * i, &value, 8);
      if (is(Fault::finish_changes)) ++at(const_cast<void*>(states), i)[0];
    }
  }
  void relocate(void* to, void* from, std::size_t n) const override {
    std::memcpy(to, from, n * state_bytes());
    if (is(Fault::relocate_loses)) at(to, 0)[0] -= 1;
  }
  void to_bytes(const void* states, std::size_t n, std::vector<std::byte>& out) const override {
    if (is(Fault::to_bytes_replaces)) out.clear();
    const auto* bytes = static_cast<const std::byte*>(states);
    out.insert(out.end(), bytes, bytes + 16 * n);
  }
  void from_bytes(std::span<const std::byte> bytes, void* states, std::size_t n) const override {
    const bool is_wrong = (bytes.size() < 16 * n && !is(Fault::takes_short_bytes)) ||
                          (bytes.size() > 16 * n && !is(Fault::takes_long_bytes));
    if (is_wrong) fail(Errc::corrupt_data, "reading test states: wrong size");
    std::memset(states, 0, 16 * n);
    if (!bytes.empty()) std::memcpy(states, bytes.data(), std::min(bytes.size(), 16 * n));
    if (is(Fault::from_bytes_loses)) at(states, n - 1)[0] += 1;
    if (is(Fault::from_bytes_writes_beyond)) at(states, n)[0] = 0;
  }
  bool absorb_constant(void* state, const void* x, Index count, Index) const override {
    std::int32_t value;
    std::memcpy(&value, x, 4);
    at(state, 0)[0] +=
        static_cast<std::int64_t>(value) * (count - (is(Fault::constant_wrong) && count > 600));
    return true;
  }

 private:
  bool is(Fault fault) const { return fault_ == fault; }
  static std::int64_t* at(void* states, std::size_t i) { return static_cast<std::int64_t*>(states) + 2 * i; }
  static const std::int64_t* at(const void* states, std::size_t i) {
    return static_cast<const std::int64_t*>(states) + 2 * i;
  }
  Fault fault_;
  mutable std::atomic<std::int64_t> shared_{0};
};

}  // namespace

TEST_CASE("the suite of combiners catches every broken law", "[conformance][combiner]") {
  const std::vector<std::int32_t> values = counting(1000);
  CHECK(verdict(TestReducer(Fault::none), bytes_of(values)) == "");
  const std::pair<Fault, const char*> rows[] = {
      {Fault::init_not_identity, "a fresh state gives another result"},
      {Fault::merge_forgets, "merging"},
      {Fault::merge_first_only, "merging 3 states at once gives other bits"},
      {Fault::not_associative, "merging"},
      {Fault::any_but_ordered, "merging"},
      {Fault::depends_on_pieces, "gives other bits"},
      {Fault::rows_forget_last, "absorbing rows of"},
      {Fault::rows_shift_columns, "absorbing rows of"},
      {Fault::from_bytes_loses, "went through bytes"},
      {Fault::takes_short_bytes, "from_bytes takes 31 bytes"},
      {Fault::takes_long_bytes, "from_bytes takes 33 bytes"},
      {Fault::to_bytes_replaces, "to_bytes replaces what was in its output"},
      {Fault::finish_changes, "finish changes the state"},
      {Fault::constant_wrong, "absorb_constant of 1200 elements"},
      {Fault::state_too_small, "writes outside"},
      {Fault::odd_state_bytes, "state_bytes() is no positive multiple of 8"},
      {Fault::no_name, "name() or state_name() is empty"},
      {Fault::merge_writes_beyond, "writes outside of the states"},
      {Fault::finish_writes_beyond, "finish writes outside of its result"},
      {Fault::from_bytes_writes_beyond, "from_bytes writes outside of the states"},
      {Fault::relocate_loses, "a state that was moved"},
      {Fault::shared_state, ""},
  };
  for (const auto& row : rows) {
    const std::string says = verdict(TestReducer(row.first), bytes_of(values));
    INFO(row.second << " <> " << says);
    CHECK_FALSE(says.empty());
    CHECK(says.find(row.second) != std::string::npos);
  }
  const std::vector<std::int32_t> one{1};
  CHECK(verdict(TestReducer(Fault::none), bytes_of(one)).find("two or more elements") != std::string::npos);
}
