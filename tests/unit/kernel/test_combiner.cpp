#include <catch2/catch.hpp>
#include <cmath>
#include <morsel/kernel/combiner.hpp>
#include <numeric>
#include <string>

#include "reduce_reference.hpp"

using namespace morsel;
using namespace reference;

namespace {

/// Owns memory, remembers the order of everything, and counts objects alive.
struct Diary {
  static inline int alive = 0;
  std::vector<int> seen;
  std::string text = "a text that is too long to be kept inside the object itself";

  Diary() { ++alive; }
  Diary(const Diary& other) : seen(other.seen), text(other.text) { ++alive; }
  Diary(Diary&& other) : seen(std::move(other.seen)), text(std::move(other.text)) { ++alive; }
  Diary& operator=(const Diary&) = default;
  ~Diary() { --alive; }

  void absorb(std::span<const std::int32_t> x) {
    for (const std::int32_t v : x) {
      if (v == 100000) throw std::runtime_error("a number too large");
      seen.push_back(v);
    }
  }
  void merge(const Diary& right) { seen.insert(seen.end(), right.seen.begin(), right.seen.end()); }
  std::int64_t finish() const {
    // Depends on the order of all elements.
    std::int64_t hash = static_cast<std::int64_t>(text.size());
    for (const int v : seen) hash = static_cast<std::int64_t>(static_cast<std::uint64_t>(hash) * 31u) + v;
    return hash;
  }
};

struct Range {
  static constexpr bool is_commutative = true;
  float lo = INFINITY, hi = -INFINITY;
  void absorb(std::span<const float> x) {
    for (const float v : x) lo = std::fmin(lo, v), hi = std::fmax(hi, v);
  }
  void merge(const Range& right) { lo = std::fmin(lo, right.lo), hi = std::fmax(hi, right.hi); }
  std::array<float, 2> finish() const { return {lo, hi}; }
};

struct Words {
  std::string text;
  void absorb(std::span<const std::uint8_t> x) {
    for (const std::uint8_t c : x) text += static_cast<char>(c);
  }
  void merge(const Words& right) { text += right.text; }
  std::int64_t finish() const { return static_cast<std::int64_t>(text.size()); }
  std::vector<std::byte> to_bytes() const {
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    return {bytes, bytes + text.size()};
  }
  void from_bytes(std::span<const std::byte> bytes) {
    if (!bytes.empty() && bytes[0] == std::byte{'!'})
      fail(Errc::corrupt_data, "reading words: expected no '!'");
    text.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
};

struct NoMerge {
  void absorb(std::span<const float>) {}
  float finish() const { return 0; }
};
struct NoElement {
  void absorb(std::span<const float>) {}
  void merge(const NoElement&) {}
  std::string finish() const { return {}; }
};

static_assert(Combiner<Diary, std::int32_t>);
static_assert(Combiner<Range, float>);
static_assert(Combiner<AnyCombiner<float, float>, float>);
static_assert(!Combiner<Range, double>);
static_assert(!Combiner<NoMerge, float>);
static_assert(!Combiner<NoElement, float>);
static_assert(order_matters<Diary> && !order_matters<Range>);

std::string message_of(void (*f)(const Reducer&, void*), const Reducer& reducer, void* state, Errc code) {
  try {
    f(reducer, state);
  } catch (const Error& error) {
    CHECK(error.code() == code);
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("a user's combiner sees its elements in order and its states end their lives", "[combiner]") {
  {
    const ReducerPtr reducer = make_reducer_from<std::int32_t>(Diary{}, "diary");
    CHECK(reducer->name() == "diary");
    CHECK(reducer->order() == MergeOrder::sequential);
    CHECK(reducer->input() == Type::int32);
    CHECK(reducer->result() == Type::int64);
    CHECK_FALSE(reducer->is_trivial());
    CHECK(Diary::alive == 1);

    std::vector<std::int32_t> x(1000);
    std::iota(x.begin(), x.end(), -300);
    Diary whole;
    whole.absorb(x);

    // One run in pieces.
    Memory memory(reducer->state_bytes()), none(64);
    LeafRuns leaf(*reducer, none.data());
    leaf.begin(memory.data());
    leaf.absorb(x.data(), 300, 0);
    leaf.end_run();
    leaf.absorb(x.data() + 300, 700, 300);
    leaf.finish();
    std::int64_t got;
    reducer->finish(memory.data(), 1, 1000, &got);
    CHECK(got == whole.finish());
    reducer->destroy(memory.data(), 1);

    // Rows of 4 columns: each column in order.
    Memory states(4 * reducer->state_bytes());
    LeafRows rows(*reducer, 4, none.data());
    rows.begin(states.data(), 4);
    rows.absorb(x.data(), 16, 150, 0, 1);
    rows.absorb(x.data() + 600, 16, 100, 150, 1);
    rows.finish();
    std::int64_t columns[4];
    reducer->finish(states.data(), 4, 250, columns);
    for (std::size_t c = 0; c < 4; ++c) {
      Diary column;
      for (std::size_t r = 0; r < 250; ++r) column.absorb(std::span<const std::int32_t>(&x[4 * r + c], 1));
      CHECK(columns[c] == column.finish());
    }
    reducer->destroy(states.data(), 4);

    // Leaves of ten elements up the tree.
    for (const std::size_t leaves : {1, 2, 3, 7, 100}) {
      std::vector<Memory> arrays;
      for (int i = 0; i < 8; ++i) arrays.emplace_back(reducer->state_bytes());
      const auto slot = [&](int i) { return arrays.at(static_cast<std::size_t>(i)).data(); };
      CarryStack stack(*reducer, 1);
      for (std::size_t i = 0; i < leaves; ++i) {
        Memory state(reducer->state_bytes());
        reducer->init(state.data(), 1);
        reducer->absorb_run(state.data(), x.data() + 10 * i, 10, static_cast<Index>(10 * i));
        stack.push(state.data(), slot);
      }
      if (leaves == 7) {
        stack.clear(slot);
        CHECK(stack.count() == 0);
        continue;
      }
      Memory out(reducer->state_bytes());
      stack.fold(out.data(), slot);
      Diary part;
      part.absorb(std::span<const std::int32_t>(x.data(), 10 * leaves));
      reducer->finish(out.data(), 1, static_cast<Index>(10 * leaves), &got);
      CHECK(got == part.finish());
      reducer->destroy(out.data(), 1);
    }

    // What the user throws comes through, and the state is still alive.
    x[5] = 100000;
    reducer->init(memory.data(), 1);
    CHECK_THROWS_WITH(reducer->absorb_run(memory.data(), x.data(), 10, 0), "a number too large");
    reducer->destroy(memory.data(), 1);

    std::vector<std::byte> bytes;
    Memory one(reducer->state_bytes());
    reducer->init(one.data(), 1);
    const std::string message = message_of(
        [](const Reducer& r, void* state) {
          std::vector<std::byte> out;
          r.to_bytes(state, 1, out);
        },
        *reducer, one.data(), Errc::unsupported);
    CHECK(message ==
          "states of combiner 'diary' as bytes: not trivially copyable; expected members to_bytes() and "
          "from_bytes(span)");
    reducer->destroy(one.data(), 1);
    CHECK(Diary::alive == 2);  // the prototype and `whole`
  }
  CHECK(Diary::alive == 0);
}

TEST_CASE("a commutative combiner may be taken apart, and its result may be an array", "[combiner]") {
  const ReducerPtr reducer = make_reducer_from<float>(Range{}, "range");
  CHECK(reducer->order() == MergeOrder::any);
  CHECK(reducer->result_shape() == Shape{2});
  CHECK(reducer->state_bytes() == 8);
  CHECK(reducer->is_trivial());
  const float x[] = {3, -2, 8, 1};
  Memory states(3 * 8);
  reducer->init(states.data(), 3);
  auto* state = static_cast<std::byte*>(states.data());
  reducer->absorb_run(state, x + 2, 2, 0);
  reducer->absorb_run(state + 8, x, 2, 0);
  reducer->merge(state, state + 8, 1);
  reducer->merge(state, state + 16, 1);
  float out[6];
  reducer->finish(state, 1, 4, out);
  CHECK(out[0] == -2);
  CHECK(out[1] == 8);

  std::vector<std::byte> bytes;
  reducer->to_bytes(state, 3, bytes);
  Memory copies(3 * 8);
  reducer->from_bytes(bytes, copies.data(), 3);
  reducer->finish(copies.data(), 3, 4, out);
  CHECK(out[0] == -2);
  CHECK(out[2] == -2);
  CHECK(out[4] == INFINITY);
  for (std::size_t damaged = 0; damaged < bytes.size(); damaged += 5) {
    std::vector<std::byte> other = bytes;
    other[damaged] ^= std::byte{16};
    CHECK_THROWS_AS(reducer->from_bytes(other, copies.data(), 3), Error);
  }
  CHECK_THROWS_AS(reducer->from_bytes(bytes, copies.data(), 2), Error);
  CHECK_THROWS_AS(make_reducer_from<float>(Range{}, "other")->from_bytes(bytes, copies.data(), 3), Error);
}

TEST_CASE("combiners that write themselves travel", "[combiner]") {
  const ReducerPtr reducer = make_reducer_from<std::uint8_t>(Words{}, "words");
  const std::size_t step = reducer->state_bytes();
  const auto letters = [&](const char* text, void* state) {
    reducer->absorb_run(state, text, std::strlen(text), 0);
  };
  Memory states(2 * step), copies(2 * step);
  auto* state = static_cast<std::byte*>(states.data());
  reducer->init(states.data(), 2);
  letters("hello, this is a long text on the heap", state);
  letters("", state + step);
  std::vector<std::byte> bytes;
  reducer->to_bytes(states.data(), 2, bytes);
  reducer->from_bytes(bytes, copies.data(), 2);
  std::int64_t sizes[2];
  reducer->finish(copies.data(), 2, 0, sizes);
  CHECK(sizes[0] == 38);
  CHECK(sizes[1] == 0);
  reducer->destroy(copies.data(), 2);

  for (const std::size_t n : {1, 3}) CHECK_THROWS_AS(reducer->from_bytes(bytes, copies.data(), n), Error);
  letters("!", state + step);
  bytes.clear();
  reducer->to_bytes(states.data(), 2, bytes);
  CHECK_THROWS_WITH(reducer->from_bytes(bytes, copies.data(), 2), "reading words: expected no '!'");
  reducer->destroy(states.data(), 2);
}

TEST_CASE("three functions and an identity make a combiner", "[combiner]") {
  const double power = 3;
  const auto norm = combiner_from(
      0.0, [power](double& sum, float v) { sum += std::pow(std::fabs(static_cast<double>(v)), power); },
      [](double& sum, double right) { sum += right; },
      [power](double sum) { return std::pow(sum, 1 / power); });
  static_assert(Combiner<std::remove_const_t<decltype(norm)>, float>);
  const ReducerPtr reducer = make_reducer_from<float>(norm, "norm3");
  CHECK(reducer->result() == Type::float64);
  const float x[] = {3, -4, 5};
  Memory memory(2 * reducer->state_bytes());
  auto* state = static_cast<std::byte*>(memory.data());
  reducer->init(state, 2);
  reducer->absorb_run(state, x, 2, 0);
  reducer->absorb_run(state + reducer->state_bytes(), x + 2, 1, 2);
  reducer->merge(state, state + reducer->state_bytes(), 1);
  double out;
  reducer->finish(state, 1, 3, &out);
  CHECK(out == Approx(6).epsilon(1e-14));

  // What the functions captured does not travel.
  std::vector<std::byte> bytes;
  reducer->to_bytes(state, 1, bytes);
  CHECK(bytes.size() == 8 + 8 + sizeof(double));
  Memory copy(reducer->state_bytes());
  reducer->from_bytes(bytes, copy.data(), 1);
  reducer->finish(copy.data(), 1, 3, &out);
  CHECK(out == Approx(6).epsilon(1e-14));

  const auto spans = combiner_from(
      std::size_t{0}, [](std::size_t& n, std::span<const bool> x) { n += x.size(); },
      [](std::size_t& n, std::size_t right) { n += right; },
      [](std::size_t n) { return static_cast<std::int32_t>(n); });
  const ReducerPtr counter = make_reducer_from<bool>(spans, "count");
  const bool flags[] = {true, false, true};
  Memory count(counter->state_bytes());
  counter->init(count.data(), 1);
  counter->absorb_run(count.data(), flags, 3, 0);
  std::int32_t n;
  counter->finish(count.data(), 1, 3, &n);
  CHECK(n == 3);
  CHECK(counter->state_bytes() == 8);
}

TEST_CASE("AnyCombiner holds any combiner and copies deeply", "[combiner]") {
  struct Sum {
    float total = 0;
    void absorb(std::span<const float> x) {
      for (const float v : x) total += v;
    }
    void merge(const Sum& right) { total += right.total; }
    float finish() const { return total; }
  };
  using Any = AnyCombiner<float, float>;
  Any a = Sum{};
  const float x[] = {1, 2, 4};
  a.absorb(x);
  Any b = a;
  b.absorb(x);
  CHECK(a.finish() == 7);
  CHECK(b.finish() == 14);
  a.merge(b);
  CHECK(a.finish() == 21);
  a = b;
  CHECK(a.finish() == 14);
  Any other = combiner_from(
      0.0f, [](float&, float) {}, [](float&, float) {}, [](float v) { return v; });
  CHECK_THROWS_AS(a.merge(other), Error);

  const ReducerPtr reducer = make_reducer_from<float>(Any(Sum{}), "any sum");
  Memory state(reducer->state_bytes());
  reducer->init(state.data(), 1);
  reducer->absorb_run(state.data(), x, 3, 0);
  float out;
  reducer->finish(state.data(), 1, 3, &out);
  CHECK(out == 7);
  reducer->destroy(state.data(), 1);
}

TEST_CASE("states of two combiners are never shared, whatever their names", "[combiner]") {
  const ReducerPtr a = make_reducer_from<float>(Range{}, "same"),
                   b = make_reducer_from<float>(Range{}, "same");
  CHECK(a->state_name() != b->state_name());
}
