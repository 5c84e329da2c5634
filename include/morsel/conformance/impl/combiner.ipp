#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdio>
#include <morsel/conformance/combiner.hpp>
#include <morsel/conformance/impl/guarded.hpp>
#include <morsel/kernel/leaf.hpp>
#include <optional>

namespace morsel::inline MORSEL_ABI {

namespace conformance {

/// Raw memory for n states, whose life it ends if it has begun.
class States {
 public:
  States(const Reducer& reducer, std::size_t n, std::uint64_t seed)
      : reducer_(&reducer), n_(n), memory_(n * reducer.state_bytes(), seed) {}
  States(const States&) = delete;
  States& operator=(const States&) = delete;
  ~States() {
    if (live_) reducer_->destroy(memory_.data(), n_);
  }
  /// For a call that begins the life of all states.
  void* raw() {
    live_ = true;
    return memory_.data();
  }
  /// They were never born, or have been moved away.
  void forget() { live_ = false; }
  void init() {
    reducer_->init(memory_.data(), n_);
    live_ = true;
  }
  void* at(std::size_t i) { return memory_.data() + i * reducer_->state_bytes(); }
  bool is_intact() const { return memory_.is_intact(); }

 private:
  const Reducer* reducer_;
  std::size_t n_;
  GuardedBytes memory_;
  bool live_ = false;
};

class CombinerChecker {
 public:
  CombinerChecker(const Reducer& reducer, std::span<const std::byte> values,
                  const CombinerCheckOptions& options, std::uint64_t seed)
      : reducer_(reducer), random_(seed), item_bytes_(item_bytes_of(reducer.input())) {
    if (reducer.state_bytes() == 0 || reducer.state_bytes() % 8 != 0)
      refuse("state_bytes() is no positive multiple of 8; got " + std::to_string(reducer.state_bytes()));
    if (reducer.name().empty() || reducer.state_name().empty()) refuse("name() or state_name() is empty");
    if (item_bytes_ == 0 || item_bytes_of(reducer.result()) == 0)
      refuse("input() or result() is not numeric");
    if (values.size() % item_bytes_ != 0 || values.size() < 2 * item_bytes_)
      refuse("the values to check with are not two or more elements of " +
             std::string(name_of(reducer.input())));
    count_ = values.size() / item_bytes_;
    values_.assign(values.begin(), values.end());
    result_bytes_ =
        static_cast<std::size_t>(size_of(reducer.result_shape())) * item_bytes_of(reducer.result());
    is_exact_ = reducer.order() == MergeOrder::any;
    tolerance_ = options.tolerance >= 0                       ? options.tolerance
                 : is_exact_                                  ? 0
                 : reducer.result() == Type::float16          ? 0.02
                 : real_of(reducer.result()) == Type::float32 ? 1e-4
                                                              : 1e-9;
    scale_ = magnitude_of_values();
  }

  /// One round: other cuts, other columns.
  void check() {
    check_identity();
    check_pieces();
    check_groupings();
    check_arrays();
    check_columns();
    check_bytes();
    check_relocation();
    check_constant();
  }

  /// The result of all values as one run, in the engine's way.
  std::vector<std::byte> whole() { return reduce(0, count_); }

 private:
  [[noreturn]] void refuse(const std::string& law) const { violated("combiner " + reducer_.name(), law); }

  const std::byte* value(std::size_t i) const { return values_.data() + i * item_bytes_; }

  /// A state of values [lo, hi): a leaf, absorbed in random pieces or at once.
  void make_leaf(States& states, std::size_t lo, std::size_t hi, bool in_pieces = false) {
    GuardedBytes workspace(LeafRuns::workspace_bytes(reducer_), random_());
    LeafRuns leaf(reducer_, workspace.data());
    leaf.begin(states.raw());
    for (std::size_t at = lo; at < hi;) {
      const std::size_t n =
          in_pieces ? static_cast<std::size_t>(random_in(random_, 1, static_cast<Index>(hi - at))) : hi - at;
      leaf.absorb(value(at), n, static_cast<Index>(at));
      at += n;
    }
    leaf.end_run();
    leaf.finish();
    if (!states.is_intact() || !workspace.is_intact()) refuse("absorbing writes outside of the state");
  }

  std::vector<std::byte> finish(void* state, std::size_t count) {
    GuardedBytes first(result_bytes_, random_()), second(result_bytes_, random_());
    reducer_.finish(state, 1, static_cast<Index>(count), first.data());
    reducer_.finish(state, 1, static_cast<Index>(count), second.data());
    if (!first.is_intact() || !second.is_intact()) refuse("finish writes outside of its result");
    const std::vector<std::byte> result(first.data(), first.data() + result_bytes_);
    require_same(result, {second.data(), second.data() + result_bytes_},
                 "finish changes the state: called twice it");
    return result;
  }

  std::vector<std::byte> reduce(std::size_t lo, std::size_t hi) {
    States states(reducer_, 1, random_());
    make_leaf(states, lo, hi);
    return finish(states.at(0), hi - lo);
  }

  void check_identity() {
    const std::vector<std::byte> want = whole();
    for (const bool on_the_left : {false, true}) {
      States states(reducer_, 1, random_()), fresh(reducer_, 1, random_());
      make_leaf(states, 0, count_);
      fresh.init();
      if (on_the_left)
        reducer_.merge(fresh.at(0), states.at(0), 1);
      else
        reducer_.merge(states.at(0), fresh.at(0), 1);
      // -0 + 0 is 0: an identity up to the sign of zero will do.
      require_close(want, finish(on_the_left ? fresh.at(0) : states.at(0), count_), 0,
                    on_the_left ? "merging into a fresh state" : "merging a fresh state");
    }
    if (!reducer_.refuses_empty()) {
      States fresh(reducer_, 1, random_());
      fresh.init();
      finish(fresh.at(0), 0);
    }
  }

  /// However a leaf is cut into pieces, the bits are the same.
  void check_pieces() {
    States states(reducer_, 1, random_());
    make_leaf(states, 0, count_, true);
    require_same(whole(), finish(states.at(0), count_), "absorbing in pieces");
    if (reducer_.order() == MergeOrder::blocks || count_ < 2) return;
    // Without blocks a state absorbs on, whatever it has absorbed before.
    States direct(reducer_, 1, random_());
    direct.init();
    const auto cut = static_cast<std::size_t>(random_in(random_, 1, static_cast<Index>(count_) - 1));
    reducer_.absorb_run(direct.at(0), value(0), cut, 0);
    reducer_.absorb_run(direct.at(0), value(cut), count_ - cut, static_cast<Index>(cut));
    require_same(whole(), finish(direct.at(0), count_), "absorbing x and then y");
  }

  /// (a b) c == a (b c) == all at once, and b a == a b where any order is promised.
  void check_groupings() {
    const auto p = static_cast<std::size_t>(random_in(random_, 0, static_cast<Index>(count_)));
    const auto q =
        static_cast<std::size_t>(random_in(random_, static_cast<Index>(p), static_cast<Index>(count_)));
    const std::vector<std::byte> want = whole();
    for (int order = 0; order < (is_exact_ ? 4 : 2); ++order) {
      States a(reducer_, 1, random_()), b(reducer_, 1, random_()), c(reducer_, 1, random_());
      make_leaf(a, 0, p);
      make_leaf(b, p, q);
      make_leaf(c, q, count_);
      void* result = a.at(0);
      switch (order) {
        case 0:
          reducer_.merge(a.at(0), b.at(0), 1);
          reducer_.merge(a.at(0), c.at(0), 1);
          break;
        case 1:
          reducer_.merge(b.at(0), c.at(0), 1);
          reducer_.merge(a.at(0), b.at(0), 1);
          break;
        case 2:
          reducer_.merge(c.at(0), a.at(0), 1);
          reducer_.merge(c.at(0), b.at(0), 1);
          result = c.at(0);
          break;
        default:
          reducer_.merge(b.at(0), a.at(0), 1);
          reducer_.merge(c.at(0), b.at(0), 1);
          result = c.at(0);
      }
      static const char* const names[] = {"merging (a b) c", "merging a (b c)", "merging (c a) b",
                                          "merging c (b a)"};
      require_close(want, finish(result, count_), tolerance_, names[order]);
      if (!a.is_intact() || !b.is_intact() || !c.is_intact()) refuse("merge writes outside of the states");
    }
  }

  /// Neighbouring states do not know each other.
  void check_arrays() {
    constexpr std::size_t n = 3;
    const std::size_t half = count_ / 2;
    States states(reducer_, n, random_()), others(reducer_, n, random_());
    states.init();
    others.init();
    std::vector<std::vector<std::byte>> alone;
    for (std::size_t i = 0; i < n; ++i) {
      // State i: values i.. of the first half, merged with the second half without its last i.
      const std::size_t lo = std::min(i, half - 1), hi = std::max(half, count_ - i);
      absorb(states.at(i), lo, half);
      absorb(others.at(i), half, hi);
      States x(reducer_, 1, random_()), y(reducer_, 1, random_());
      x.init();
      y.init();
      absorb(x.at(0), lo, half);
      absorb(y.at(0), half, hi);
      reducer_.merge(x.at(0), y.at(0), 1);
      alone.push_back(finish(x.at(0), hi - lo));
    }
    reducer_.merge(states.at(0), others.at(0), n);
    if (!states.is_intact() || !others.is_intact()) refuse("merging arrays of states writes outside of them");
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t lo = std::min(i, half - 1), hi = std::max(half, count_ - i);
      require_same(alone[i], finish(states.at(i), hi - lo),
                   "merging " + std::to_string(n) + " states at once");
    }
    // And all results at once.
    GuardedBytes results(n * result_bytes_, random_());
    reducer_.finish(states.at(0), n, 1, results.data());
    if (!results.is_intact())
      refuse("finishing " + std::to_string(n) + " states writes outside of the results");
    for (std::size_t i = 0; i < n; ++i) {
      const std::byte* one = results.data() + i * result_bytes_;
      require_same(finish(states.at(i), 1), {one, one + result_bytes_},
                   "finishing " + std::to_string(n) + " states at once");
    }
  }

  /// Into a state that `init` made, block by block where there are blocks.
  void absorb(void* state, std::size_t lo, std::size_t hi) {
    if (reducer_.order() != MergeOrder::blocks) {
      if (hi > lo) reducer_.absorb_run(state, value(lo), hi - lo, static_cast<Index>(lo));
      return;
    }
    for (std::size_t at = lo; at < hi; at += run_block) {
      States block(reducer_, 1, random_());
      block.init();
      reducer_.absorb_run(block.at(0), value(at), std::min(run_block, hi - at), static_cast<Index>(at));
      reducer_.merge(state, block.at(0), 1);
    }
  }

  /// Rows give each column what a run of its values gives.
  void check_columns() {
    const auto columns =
        static_cast<std::size_t>(random_in(random_, 1, std::min<Index>(7, static_cast<Index>(count_))));
    std::size_t rows = count_ / columns;
    const auto gap = static_cast<std::size_t>(random_in(random_, 0, 2));
    std::vector<std::byte> table(rows * (columns + gap) * item_bytes_);
    for (std::size_t r = 0; r < rows; ++r)
      std::memcpy(table.data() + r * (columns + gap) * item_bytes_, value(r * columns),
                  columns * item_bytes_);
    GuardedBytes workspace(LeafRows::workspace_bytes(reducer_, columns), random_());
    States states(reducer_, columns, random_());
    LeafRows leaf(reducer_, columns, workspace.data());
    leaf.begin(states.raw(), columns);
    for (std::size_t r = 0; r < rows;) {
      const auto some = static_cast<std::size_t>(random_in(random_, 1, static_cast<Index>(rows - r)));
      leaf.absorb(table.data() + r * (columns + gap) * item_bytes_,
                  static_cast<std::ptrdiff_t>((columns + gap) * item_bytes_), some, static_cast<Index>(r), 1);
      r += some;
    }
    leaf.finish();
    if (!states.is_intact() || !workspace.is_intact()) refuse("absorbing rows writes outside of the states");
    for (std::size_t c = 0; c < columns; ++c) {
      std::vector<std::byte> column(rows * item_bytes_);
      for (std::size_t r = 0; r < rows; ++r)
        std::memcpy(column.data() + r * item_bytes_, value(r * columns + c), item_bytes_);
      GuardedBytes run_workspace(LeafRuns::workspace_bytes(reducer_), random_());
      States run(reducer_, 1, random_());
      LeafRuns run_leaf(reducer_, run_workspace.data());
      run_leaf.begin(run.raw());
      run_leaf.absorb(column.data(), rows, 0);
      run_leaf.end_run();
      run_leaf.finish();
      const double allowed = reducer_.order() == MergeOrder::blocks ? tolerance_ : 0;
      require_close(finish(run.at(0), rows), finish(states.at(c), rows), allowed,
                    "absorbing rows of " + std::to_string(columns) + " columns");
    }
  }

  void check_bytes() {
    constexpr std::size_t n = 2;
    States states(reducer_, n, random_());
    states.init();
    absorb(states.at(0), 0, count_ / 2);
    absorb(states.at(1), count_ / 2, count_);
    std::vector<std::byte> bytes{std::byte{42}};
    try {
      reducer_.to_bytes(states.at(0), n, bytes);
    } catch (const Error& e) {
      if (e.code() == Errc::unsupported) return;  // refuses to travel, by name
      throw;
    }
    if (bytes.front() != std::byte{42})
      refuse("to_bytes replaces what was in its output; expected bytes appended");
    bytes.erase(bytes.begin());
    States back(reducer_, n, random_());
    reducer_.from_bytes(bytes, back.raw(), n);
    if (!back.is_intact()) refuse("from_bytes writes outside of the states");
    require_same(finish(states.at(0), count_ / 2), finish(back.at(0), count_ / 2),
                 "a state that went through bytes");
    reducer_.merge(states.at(0), states.at(1), 1);
    reducer_.merge(back.at(0), back.at(1), 1);
    require_same(finish(states.at(0), count_), finish(back.at(0), count_),
                 "merging states that went through bytes");
    std::vector<std::byte> shorter = bytes, longer = bytes;
    if (!shorter.empty()) shorter.pop_back();
    longer.push_back(std::byte{0});
    const std::vector<std::byte> nothing;
    for (const std::vector<std::byte>& wrong : {shorter, longer, nothing}) {
      States room(reducer_, n, random_());
      bool refused = false;
      try {
        reducer_.from_bytes(wrong, room.raw(), n);
      } catch (const Error& e) {
        refused = e.code() == Errc::corrupt_data;
        room.forget();
      }
      if (!room.is_intact()) refuse("from_bytes of wrong bytes writes outside of the states");
      if (!refused)
        refuse("from_bytes takes " + std::to_string(wrong.size()) + " bytes for states that are " +
               std::to_string(bytes.size()) + "; expected corrupt_data");
    }
  }

  void check_relocation() {
    States from(reducer_, 2, random_()), to(reducer_, 2, random_());
    from.init();
    absorb(from.at(0), 0, count_);
    const std::vector<std::byte> want = finish(from.at(0), count_);
    reducer_.relocate(to.raw(), from.at(0), 2);
    from.forget();
    if (!to.is_intact()) refuse("relocate writes outside of the states");
    require_same(want, finish(to.at(0), count_), "a state that was moved");
  }

  /// absorb_constant is a promise of the same bits.
  void check_constant() {
    static constexpr Index counts[] = {1, 2, 5, 63, 64, 65, 511, 512, 513, 1200};
    for (const Index count : counts) {
      const auto n = static_cast<std::size_t>(count);
      const std::byte* element =
          value(static_cast<std::size_t>(random_in(random_, 0, static_cast<Index>(count_) - 1)));
      States constant(reducer_, 1, random_());
      constant.init();
      if (!reducer_.absorb_constant(constant.at(0), element, count, 0)) continue;
      if (!constant.is_intact()) refuse("absorb_constant writes outside of the state");
      std::vector<std::byte> copies(n * item_bytes_);
      for (std::size_t i = 0; i < n; ++i) std::memcpy(copies.data() + i * item_bytes_, element, item_bytes_);
      GuardedBytes workspace(LeafRuns::workspace_bytes(reducer_), random_());
      States run(reducer_, 1, random_());
      LeafRuns leaf(reducer_, workspace.data());
      leaf.begin(run.raw());
      leaf.absorb(copies.data(), n, 0);
      leaf.end_run();
      leaf.finish();
      GuardedBytes rows_workspace(LeafRows::workspace_bytes(reducer_, 1), random_());
      States rows(reducer_, 1, random_());
      LeafRows row_leaf(reducer_, 1, rows_workspace.data());
      row_leaf.begin(rows.raw(), 1);
      row_leaf.absorb(copies.data(), static_cast<std::ptrdiff_t>(item_bytes_), n, 0, 1);
      row_leaf.finish();
      const std::optional<std::vector<std::byte>> got = finish_or_nothing(constant.at(0), n);
      require_same(finish_or_nothing(run.at(0), n), got,
                   "absorb_constant of " + std::to_string(count) + " elements, against a run,");
      require_same(finish_or_nothing(rows.at(0), n), got,
                   "absorb_constant of " + std::to_string(count) + " elements, against rows,");
    }
  }

  /// The result, or nothing where these values have none: nanargmin of NaN alone.
  std::optional<std::vector<std::byte>> finish_or_nothing(void* state, std::size_t count) {
    try {
      return finish(state, count);
    } catch (const Error& e) {
      if (e.code() == Errc::internal_error) throw;
      return std::nullopt;
    }
  }

  /// The parts of a number, as doubles: what NaN and tolerance are about.
  static std::vector<double> parts_of(Type type, const std::vector<std::byte>& bytes) {
    std::vector<double> parts;
    visit_type(type, [&]<class T>() {
      for (std::size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
        T value{};
        std::memcpy(&value, bytes.data() + at, sizeof(T));
        if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>) {
          parts.push_back(static_cast<double>(value.real()));
          parts.push_back(static_cast<double>(value.imag()));
        } else {
          parts.push_back(static_cast<double>(value));
        }
      }
    });
    return parts;
  }

  double magnitude_of_values() const {
    double sum = 0, squares = 0;
    for (const double v : parts_of(reducer_.input(), values_)) {
      if (!std::isfinite(v)) continue;
      sum += std::fabs(v);
      squares += v * v;
    }
    return std::isfinite(squares) ? sum + squares : sum;
  }

  /// Equal bits; NaN of any kind equal.
  void require_same(const std::vector<std::byte>& want, const std::vector<std::byte>& got,
                    const std::string& how) const {
    if (want == got) return;
    const std::vector<double> x = parts_of(reducer_.result(), want), y = parts_of(reducer_.result(), got);
    const std::size_t part_bytes = want.size() / std::max<std::size_t>(x.size(), 1);
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (std::isnan(x[i]) && std::isnan(y[i])) continue;
      if (std::memcmp(want.data() + i * part_bytes, got.data() + i * part_bytes, part_bytes) != 0)
        refuse(how + " gives other bits; expected " + number(x[i]) + ", got " + number(y[i]));
    }
  }

  void require_same(const std::optional<std::vector<std::byte>>& want,
                    const std::optional<std::vector<std::byte>>& got, const std::string& how) const {
    if (want.has_value() != got.has_value())
      refuse(how + " has a result where there should be none, or none where there should be one");
    if (want) require_same(*want, *got, how);
  }

  void require_close(const std::vector<std::byte>& want, const std::vector<std::byte>& got, double tolerance,
                     const std::string& how) const {
    if (want == got) return;
    const std::vector<double> x = parts_of(reducer_.result(), want), y = parts_of(reducer_.result(), got);
    for (std::size_t i = 0; i < x.size(); ++i) {
      if ((std::isnan(x[i]) && std::isnan(y[i])) || x[i] == y[i]) continue;
      const double allowed = tolerance * (std::fabs(x[i]) + std::fabs(y[i]) + scale_);
      if (!(std::fabs(x[i] - y[i]) <= allowed))
        refuse(how + " gives another result; expected " + number(x[i]) + ", got " + number(y[i]));
    }
  }

  static std::string number(double value) {
    char text[40];
    std::snprintf(text, sizeof text, "%.17g", value);
    return text;
  }

  const Reducer& reducer_;
  Random random_;
  std::size_t item_bytes_, count_ = 0, result_bytes_ = 0;
  std::vector<std::byte> values_;
  bool is_exact_ = false;
  double tolerance_ = 0, scale_ = 0;
};

inline void check_combiner(const Reducer& reducer, std::span<const std::byte> values,
                           const CombinerCheckOptions& options) {
  CombinerChecker checker(reducer, values, options, options.seed);
  for (int round = 0; round < options.rounds; ++round) checker.check();
  const std::vector<std::byte> want = checker.whole();
  in_threads(options.threads, [&](int thread) {
    CombinerChecker own(reducer, values, options, options.seed + 1u + static_cast<unsigned>(thread));
    own.check();
    if (own.whole() != want)
      violated("combiner " + reducer.name(), "another result on another thread; expected equal bits");
  });
}

}  // namespace conformance

}  // namespace morsel::inline MORSEL_ABI
