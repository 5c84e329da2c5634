#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <limits>
#include <map>
#include <set>
#include <sstream>
#include <support/paths.hpp>

#include "reduce_reference.hpp"

using namespace morsel;
using namespace reference;

namespace {

__extension__ typedef __int128 Int128;
__extension__ typedef __float128 Float128;

const double not_a_number = std::numeric_limits<double>::quiet_NaN();
const double infinity = std::numeric_limits<double>::infinity();

std::vector<std::string> split(const std::string& line, char separator) {
  std::vector<std::string> parts;
  std::stringstream stream(line);
  for (std::string part; std::getline(stream, part, separator);)
    if (separator != ' ' || !part.empty()) parts.push_back(part);
  return parts;
}

Type type_named(const std::string& name) {
  for (int i = 0; i < numeric_type_count; ++i)
    if (name_of(static_cast<Type>(i)) == name) return static_cast<Type>(i);
  throw std::runtime_error("no dtype " + name);
}

Reduction reduction_named(const std::string& name) {
  for (int i = 0; i <= static_cast<int>(Reduction::histogram); ++i)
    if (name_of(static_cast<Reduction>(i)) == name) return static_cast<Reduction>(i);
  throw std::runtime_error("no reduction " + name);
}

template <class T>
T parse(const std::string& text) {
  if constexpr (is_complex_v<T>) {
    const std::size_t comma = text.find(',');
    using F = typename T::value_type;
    return T(parse<F>(text.substr(0, comma)), parse<F>(text.substr(comma + 1)));
  } else if constexpr (std::is_same_v<T, bool>) {
    return text == "1";
  } else if constexpr (std::is_integral_v<T>) {
    return text[0] == '-' ? static_cast<T>(std::stoll(text)) : static_cast<T>(std::stoull(text));
  } else {
    return T(static_cast<float>(0)) +
           T(std::is_same_v<T, double>
                 ? static_cast<T>(std::strtod(text.c_str(), nullptr))
                 : static_cast<T>(static_cast<float>(std::strtod(text.c_str(), nullptr))));
  }
}

template <class T>
Array<T> parse_all(const std::string& text) {
  const std::vector<std::string> parts = split(text, ' ');
  Array<T> x(parts.size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    x[i] = parse<T>(parts[i]);
    if constexpr (is_floating(type_of<T>))
      if (parts[i][0] == '-' && x[i] == T(0.0f)) x[i] = T(-0.0f);
  }
  return x;
}

/// One leaf in one run.
template <class T>
void reduce(const Reducer& reducer, const T* x, std::size_t n, void* out) {
  Memory workspace(LeafRuns::workspace_bytes(reducer)), state(reducer.state_bytes());
  LeafRuns leaf(reducer, workspace.data());
  leaf.begin(state.data());
  leaf.absorb(x, n, 0);
  leaf.finish();
  reducer.finish(state.data(), 1, static_cast<Index>(n), out);
}

template <class R, class T>
R reduce_to(const Reducer& reducer, const T* x, std::size_t n) {
  REQUIRE(reducer.result() == type_of<R>);
  R out[1];
  reduce(reducer, x, n, out);
  return out[0];
}

template <class T>
double epsilon() {
  return std::is_same_v<T, float16> ? 0x1p-10 : std::is_same_v<T, float> ? 0x1p-23 : 0x1p-52;
}

// Equal, both NaN, or closer than NumPy's own error.
bool near(double got, double expected, double eps, double scale) {
  if (expected != expected) return got != got;
  if (got == expected) return true;
  return std::fabs(got - expected) <= 8 * eps * scale;
}

template <class R>
void check_result(const Array<R>& got, const Array<R>& expected, double scale, bool extreme) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if constexpr (is_complex_v<R>) {
      const Value g = value_of(got[i]), e = value_of(expected[i]);
      const double eps = epsilon<typename R::value_type>();
      if (extreme && e.nan()) {
        CHECK(g.nan());
      } else {
        CHECK(near(g.re, e.re, eps, scale));
        CHECK(near(g.im, e.im, eps, scale));
      }
    } else if constexpr (is_floating(type_of<R>)) {
      CHECK(near(value_of(got[i]).re, value_of(expected[i]).re, epsilon<R>(), scale));
    } else {
      CHECK(got[i] == expected[i]);
    }
  }
}

template <class F>
std::string message_of(F&& f, Errc code) {
  try {
    f();
  } catch (const Error& error) {
    CHECK(error.code() == code);
    return error.what();
  }
  FAIL("no error");
  return {};
}

ReductionOptions skipping() {
  ReductionOptions options;
  options.skip_nan = true;
  return options;
}
ReductionOptions with_ddof(double ddof) {
  ReductionOptions options;
  options.ddof = ddof;
  return options;
}
ReductionOptions uniform(Index bins, double lo, double hi) {
  ReductionOptions options;
  options.bins = bins, options.lo = lo, options.hi = hi;
  return options;
}
ReductionOptions with_edges(std::vector<double> edges) {
  ReductionOptions options;
  options.edges = std::move(edges);
  return options;
}

}  // namespace

TEST_CASE("reductions give NumPy's dtypes and values", "[reducer]") {
  std::ifstream file(test::data_dir() / "numpy_reductions.txt");
  REQUIRE(file);
  int cases = 0;
  std::set<std::string> seen;
  EachLevel levels;
  for (const SimdLevel level : levels) {
    set_simd_level(level);
    file.clear();
    file.seekg(0);
    for (std::string line; std::getline(file, line);) {
      INFO(name_of(level) << ": " << line);
      const std::vector<std::string> field = split(line, '|');
      REQUIRE(field.size() == 7);
      const Reduction reduction = reduction_named(field[0]);
      ReductionOptions options;
      if (reduction == Reduction::histogram) {
        std::vector<double> numbers;
        for (const std::string& text : split(field[2], ' ')) numbers.push_back(parse<double>(text));
        if (field[1] == "edges")
          options.edges = numbers;
        else
          options.bins = std::stoll(field[1]), options.lo = numbers[0], options.hi = numbers[1];
      } else {
        options.skip_nan = field[1] == "1";
        options.ddof = std::stod(field[2]);
      }
      const Type input = type_named(field[3]);
      const ReducerPtr reducer = make_reducer(reduction, input, options);
      CHECK(name_of(reducer->result()) == field[4]);
      visit_type(input, [&]<class T>() {
        const Array<T> x = parse_all<T>(field[5]);
        double scale = 0, largest = 0;
        for (std::size_t i = 0; i < x.size(); ++i) {
          const Value v = value_of(x[i]);
          if (!v.nan()) largest = std::max({largest, std::fabs(v.re), std::fabs(v.im)});
        }
        // NumPy divides and multiplies by complex identities, which makes NaN of infinities.
        bool finite = std::isfinite(largest);
        for (std::size_t i = 0; i < x.size(); ++i) finite &= !value_of(x[i]).nan();
        if (is_complex(input) && !finite && (reduction == Reduction::mean || reduction == Reduction::prod))
          return;
        scale = std::isfinite(largest) ? largest * static_cast<double>(x.size()) : 1;
        if (reduction == Reduction::var) scale *= largest;
        if (reduction == Reduction::prod) scale = std::pow(largest, static_cast<double>(x.size()));
        visit_type(reducer->result(), [&]<class R>() {
          const Array<R> expected = parse_all<R>(field[6]);
          Array<R> got(static_cast<std::size_t>(size_of(reducer->result_shape())));
          REQUIRE(got.size() == expected.size());
          reduce(*reducer, x.data(), x.size(), got.data());
          check_result(got, expected, scale, reduction == Reduction::min || reduction == Reduction::max);
        });
      });
      ++cases;
      seen.insert(field[0] + field[1] + field[3]);
    }
  }
  CHECK(cases >= 3000);
  CHECK(seen.size() >= 250);
}

namespace {

// Every way of taking x apart that order `any` allows: pieces in any order into any of three states, then
// merged.
template <class T>
std::vector<std::byte> scattered(const Reducer& reducer, const Array<T>& x, std::mt19937_64& rng) {
  struct Piece {
    std::size_t first, length;
  };
  std::vector<Piece> pieces;
  for (std::size_t at = 0; at < x.size();) {
    const std::size_t length =
        std::min<std::size_t>(x.size() - at, rng() % 2 ? rng() % 50 + 1 : rng() % 5000 + 1);
    pieces.push_back({at, length});
    at += length;
  }
  std::shuffle(pieces.begin(), pieces.end(), rng);
  const std::size_t bytes = reducer.state_bytes();
  Memory memory(3 * bytes);
  auto* states = static_cast<std::byte*>(memory.data());
  reducer.init(states, 3);
  for (const Piece piece : pieces) {
    std::byte* state = states + rng() % 3 * bytes;
    if (piece.length % 7 == 0)
      // As rows of one column, backwards.
      reducer.absorb_rows(state, x.data() + piece.first + piece.length - 1,
                          -static_cast<std::ptrdiff_t>(sizeof(T)), piece.length, 1,
                          static_cast<Index>(piece.first + piece.length - 1), -1);
    else
      reducer.absorb_run(state, x.data() + piece.first, piece.length, static_cast<Index>(piece.first));
  }
  reducer.merge(states + bytes, states, 1);
  reducer.merge(states + 2 * bytes, states + bytes, 1);
  std::vector<std::byte> out(item_bytes_of(reducer.result()) *
                             static_cast<std::size_t>(size_of(reducer.result_shape())));
  reducer.finish(states + 2 * bytes, 1, static_cast<Index>(x.size()), out.data());
  return out;
}

template <class R>
std::vector<std::byte> bytes_of(const R& value) {
  std::vector<std::byte> bytes(sizeof(R));
  std::memcpy(bytes.data(), &value, sizeof(R));
  return bytes;
}
template <class R>
std::vector<std::byte> bytes_of(const std::vector<R>& values) {
  std::vector<std::byte> bytes(sizeof(R) * values.size());
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// min and max with the written order: -0 < +0, complex by real part, then imaginary, then signs of zeros.
bool number_less(Value a, Value b) {
  if (a.re != b.re) return a.re < b.re;
  if (a.im != b.im) return a.im < b.im;
  if (std::signbit(a.re) != std::signbit(b.re)) return std::signbit(a.re);
  return std::signbit(a.im) && !std::signbit(b.im);
}
template <class T>
bool element_less(const T& a, const T& b) {
  if constexpr (is_integer(type_of<T>) || is_bool(type_of<T>))
    return a < b;
  else
    return number_less(value_of(a), value_of(b));
}
template <class T>
bool element_equal(const T& a, const T& b) {
  if constexpr (is_integer(type_of<T>) || is_bool(type_of<T>))
    return a == b;
  else
    return value_of(a).re == value_of(b).re && value_of(a).im == value_of(b).im;
}

template <class T>
void check_exact() {
  std::mt19937_64 rng(static_cast<unsigned>(type_of<T>) + 17);
  for (int round = 0; round < 12; ++round) {
    const std::size_t n = round < 3 ? static_cast<std::size_t>(round) + 1 : rng() % 20000 + 1;
    Array<T> x = random_array<T>(n, rng, round % 3 == 1);
    if (round == 4)
      for (std::size_t i = 0; i < n; ++i) x[i] = T(0);
    if (round == 5 && !is_integer(type_of<T>))
      for (std::size_t i = 0; i < n; ++i) x[i] = i % 5 == 3 ? T(-0.0f) : T(0.0f);
    std::map<std::string, std::vector<std::byte>> expected;
    std::int64_t nonzero = 0;
    std::uint64_t sum = 0, prod = 1;
    for (std::size_t i = 0; i < n; ++i) {
      const Value v = value_of(x[i]);
      nonzero += v.re != 0 || v.im != 0;
      if constexpr (std::is_integral_v<T>) {
        sum += static_cast<std::uint64_t>(static_cast<std::int64_t>(x[i]));
        prod *= static_cast<std::uint64_t>(static_cast<std::int64_t>(x[i]));
      }
    }
    expected["any"] = bytes_of(nonzero != 0);
    expected["all"] = bytes_of(nonzero == static_cast<std::int64_t>(n));
    expected["count_nonzero"] = bytes_of(nonzero);
    if constexpr (std::is_integral_v<T>) {
      expected["sum"] = bytes_of(sum);
      expected["prod"] = bytes_of(prod);
    }
    for (const bool skip : {false, true})
      for (const bool max : {false, true}) {
        std::int64_t best = -1, first_nan = -1;
        T extreme{};
        for (std::size_t i = 0; i < n; ++i) {
          if (value_of(x[i]).nan()) {
            if (first_nan < 0) first_nan = static_cast<std::int64_t>(i);
            continue;
          }
          if (best < 0 || (max ? element_less(extreme, x[i]) : element_less(x[i], extreme))) {
            if (best < 0 || !element_equal(extreme, x[i])) best = static_cast<std::int64_t>(i);
            extreme = x[i];
          }
        }
        if (!skip && first_nan >= 0) best = first_nan;
        const std::string name = std::string(skip ? "nan" : "") + (max ? "max" : "min");
        const std::string arg = std::string(skip ? "nanarg" : "arg") + (max ? "max" : "min");
        if (best >= 0) expected[arg] = bytes_of(best);
        if (best >= 0 && (skip || first_nan < 0)) expected[name] = bytes_of(extreme);
      }
    EachLevel levels;
    for (const SimdLevel level : levels) {
      set_simd_level(level);
      for (const Reduction reduction :
           {Reduction::sum, Reduction::prod, Reduction::min, Reduction::max, Reduction::argmin,
            Reduction::argmax, Reduction::any, Reduction::all, Reduction::count_nonzero})
        for (const bool skip : {false, true}) {
          const ReducerPtr reducer =
              make_reducer(reduction, type_of<T>, skip ? skipping() : ReductionOptions{});
          if (reducer->order() != MergeOrder::any || !expected.count(reducer->name())) continue;
          INFO(reducer->name() << " of " << n << " " << name_of(type_of<T>) << ", round " << round
                               << ", level " << name_of(level));
          CHECK(scattered(*reducer, x, rng) == expected[reducer->name()]);
          std::vector<std::byte> whole(expected[reducer->name()].size());
          reduce(*reducer, x.data(), n, whole.data());
          CHECK(whole == expected[reducer->name()]);
        }
    }
  }
}

}  // namespace

#define EXACT_TESTS(NAME, CPP)                                                            \
  TEST_CASE("exact reductions of " #NAME " may be taken apart in any way", "[reducer]") { \
    check_exact<CPP>();                                                                   \
  }
MORSEL_FOR_EACH_NUMERIC(EXACT_TESTS)

TEST_CASE("rows of exact reductions are reduced per column", "[reducer]") {
  std::mt19937_64 rng(5);
  const std::size_t columns = 70, rows = 90, stride = 75;
  for (int t = 0; t < numeric_type_count; ++t)
    visit_type(static_cast<Type>(t), [&]<class T>() {
      const Array<T> x = random_array<T>(rows * stride, rng, true);
      for (const Reduction reduction : {Reduction::sum, Reduction::prod, Reduction::mean, Reduction::min,
                                        Reduction::max, Reduction::argmin, Reduction::argmax, Reduction::any,
                                        Reduction::all, Reduction::count_nonzero, Reduction::histogram})
        for (const bool skip : {false, true}) {
          if (reduction == Reduction::histogram && is_complex_v<T>) continue;
          ReductionOptions options = uniform(5, -2, 3);
          options.skip_nan = skip;
          const ReducerPtr reducer = make_reducer(reduction, type_of<T>, options);
          if (reducer->order() != MergeOrder::any) continue;
          INFO(reducer->name() << " of " << name_of(type_of<T>));
          Memory memory(columns * reducer->state_bytes()), one(reducer->state_bytes());
          EachLevel levels;
          for (const SimdLevel level : levels) {
            set_simd_level(level);
            reducer->init(memory.data(), columns);
            reducer->absorb_rows(memory.data(), x.data(), static_cast<std::ptrdiff_t>(stride * sizeof(T)),
                                 rows, columns, 1000, 10);
            for (std::size_t c = 0; c < columns; ++c) {
              reducer->init(one.data(), 1);
              for (std::size_t r = 0; r < rows; ++r)
                reducer->absorb_run(one.data(), x.data() + r * stride + c, 1,
                                    static_cast<Index>(1000 + 10 * r));
              const auto* state = static_cast<const std::byte*>(memory.data()) + c * reducer->state_bytes();
              CHECK(words_at(state, reducer->state_bytes()) == words_at(one.data(), reducer->state_bytes()));
            }
          }
        }
    });
}

TEST_CASE("a reduction of nothing is its identity or NaN", "[reducer]") {
  for (int t = 0; t < numeric_type_count; ++t)
    visit_type(static_cast<Type>(t), [&]<class T>() {
      const T* none = nullptr;
      INFO(name_of(type_of<T>));
      const auto number = [&](Reduction reduction, const ReductionOptions& options = {}) {
        const ReducerPtr reducer = make_reducer(reduction, type_of<T>, options);
        CHECK_FALSE(reducer->refuses_empty());
        Value value;
        visit_type(reducer->result(), [&]<class R>() { value = value_of(reduce_to<R>(*reducer, none, 0)); });
        return value;
      };
      CHECK(number(Reduction::sum).re == 0);
      CHECK(number(Reduction::prod).re == 1);
      CHECK(number(Reduction::prod).im == 0);
      CHECK(number(Reduction::sum, skipping()).re == 0);
      CHECK(number(Reduction::any).re == 0);
      CHECK(number(Reduction::all).re == 1);
      CHECK(number(Reduction::count_nonzero).re == 0);
      CHECK(number(Reduction::mean).nan());
      CHECK(number(Reduction::mean, skipping()).nan());
      CHECK(number(Reduction::var).nan());
      CHECK(number(Reduction::stddev, skipping()).nan());
      for (const Reduction reduction : {Reduction::min, Reduction::max, Reduction::argmin, Reduction::argmax})
        CHECK(make_reducer(reduction, type_of<T>)->refuses_empty());
    });
}

TEST_CASE("var of no more elements than ddof is NaN", "[reducer]") {
  const double x[] = {1, 2, 4};
  const struct {
    std::size_t n;
    double ddof;
    double expected;
  } table[] = {{3, 0, 14.0 / 9},     {3, 1, 7.0 / 3},      {3, 2, 14.0 / 3},
               {3, 3, not_a_number}, {3, 4, not_a_number}, {1, 0, 0},
               {1, 1, not_a_number}, {2, 1.5, 1},          {2, -2, 0.125}};
  for (const auto& row : table)
    for (const bool skip : {false, true}) {
      ReductionOptions options = with_ddof(row.ddof);
      options.skip_nan = skip;
      INFO(row.n << " elements, ddof " << row.ddof);
      const double got = reduce_to<double>(*make_reducer(Reduction::var, Type::float64, options), x, row.n);
      const double root =
          reduce_to<double>(*make_reducer(Reduction::stddev, Type::float64, options), x, row.n);
      if (row.expected != row.expected) {
        CHECK(got != got);
        CHECK(root != root);
      } else {
        CHECK(got == Approx(row.expected).epsilon(1e-15));
        CHECK(root == std::sqrt(got));
      }
    }
}

TEST_CASE("nan-forms skip NaN, and an all-NaN slice has no place", "[reducer]") {
  const float x[] = {NAN, 3, NAN, -1, 7, NAN};
  CHECK(reduce_to<float>(*make_reducer(Reduction::mean, Type::float32, skipping()), x, 6) == 3);
  CHECK(reduce_to<float>(*make_reducer(Reduction::mean, Type::float32), x, 6) !=
        reduce_to<float>(*make_reducer(Reduction::mean, Type::float32), x, 6));
  CHECK(reduce_to<std::int64_t>(*make_reducer(Reduction::argmin, Type::float32, skipping()), x, 6) == 3);
  CHECK(reduce_to<std::int64_t>(*make_reducer(Reduction::argmax, Type::float32, skipping()), x, 6) == 4);
  CHECK(reduce_to<std::int64_t>(*make_reducer(Reduction::argmax, Type::float32), x, 6) == 0);
  const float only[] = {NAN, NAN};
  for (const Reduction reduction : {Reduction::min, Reduction::max, Reduction::mean, Reduction::var}) {
    const float got = reduce_to<float>(*make_reducer(reduction, Type::float32, skipping()), only, 2);
    CHECK(got != got);
  }
  CHECK(reduce_to<float>(*make_reducer(Reduction::sum, Type::float32, skipping()), only, 2) == 0);
  const std::string message = message_of(
      [&] { reduce_to<std::int64_t>(*make_reducer(Reduction::argmin, Type::float32, skipping()), only, 2); },
      Errc::invalid_argument);
  CHECK(message == "nanargmin: all-NaN slice; expected at least one number, got 2 NaN");
}

TEST_CASE("means of 64-bit integers are the exact quotient rounded once", "[reducer]") {
  std::mt19937_64 rng(3);
  for (int round = 0; round < 3000; ++round) {
    const std::size_t n = round % 10 == 0 ? 1 : rng() % 40 + 1;
    const bool is_signed = round % 2 == 0;
    Array<std::int64_t> x(n);
    Int128 sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      std::uint64_t word = rng() >> (rng() % 64);
      if (round % 7 == 0) word |= std::uint64_t{1} << 63;
      std::memcpy(&x[i], &word, 8);
      sum += is_signed ? static_cast<Int128>(x[i]) : static_cast<Int128>(word);
    }
    // 113 bits hold the sum, and no quotient by so few elements lies so near a tie that rounding twice
    // matters, but ties.
    const double expected = static_cast<double>(static_cast<Float128>(sum) / static_cast<Float128>(n));
    const double got = is_signed ? reduce_to<double>(*make_reducer(Reduction::mean, Type::int64), x.data(), n)
                                 : reduce_to<double>(*make_reducer(Reduction::mean, Type::uint64),
                                                     reinterpret_cast<const std::uint64_t*>(x.data()), n);
    CHECK(got == expected);
  }
  const std::int64_t top = std::numeric_limits<std::int64_t>::max();
  const struct {
    std::vector<std::int64_t> x;
    double expected;
  } table[] = {{{top, top, top}, 0x1p63},
               {{-top - 1, -top - 1}, -0x1p63},
               {{(std::int64_t{1} << 53) + 1}, 0x1p53},
               {{(std::int64_t{1} << 53) + 3}, 0x1p53 + 4},
               {{(std::int64_t{1} << 54) + 2, 0}, 0x1p53},
               {{(std::int64_t{1} << 54) + 2, 1, 0, 0}, 0x1p52 + 1},
               {{1, 0, 0}, 1.0 / 3},
               {{-1, 0, 0}, -1.0 / 3},
               {{5, -5}, 0}};
  for (const auto& row : table)
    CHECK(reduce_to<double>(*make_reducer(Reduction::mean, Type::int64), row.x.data(), row.x.size()) ==
          row.expected);
  std::vector<std::int32_t> small(10000, std::numeric_limits<std::int32_t>::min());
  CHECK(reduce_to<double>(*make_reducer(Reduction::mean, Type::int32), small.data(), small.size()) ==
        -0x1p31);
  std::vector<std::int16_t> smaller = {-32768, -32768, 1};
  CHECK(reduce_to<double>(*make_reducer(Reduction::mean, Type::int16), smaller.data(), 3) == -65535.0 / 3);
}

TEST_CASE("float sums stay inside the pairwise bound", "[reducer]") {
  std::mt19937_64 rng(11);
  const std::size_t n = 1000000;
  Array<float> x(n);
  Array<double> y(n);
  long double sum_x = 0, sum_y = 0, size_y = 0;
  for (std::size_t i = 0; i < n; ++i) {
    y[i] = std::ldexp(static_cast<double>(rng() >> 11), -53 + static_cast<int>(rng() % 20)) - 1000;
    x[i] = static_cast<float>(y[i]);
    sum_x += static_cast<long double>(x[i]);
    sum_y += static_cast<long double>(y[i]);
    size_y += std::fabs(static_cast<long double>(y[i]));
  }
  // A float sum in double lanes is the exact sum rounded, but for one in millions of cases.
  CHECK(reduce_to<float>(*make_reducer(Reduction::sum, Type::float32), x.data(), n) ==
        static_cast<float>(sum_x));
  CHECK(reduce_to<float>(*make_reducer(Reduction::mean, Type::float32), x.data(), n) ==
        static_cast<float>(sum_x / static_cast<long double>(n)));
  const double got = reduce_to<double>(*make_reducer(Reduction::sum, Type::float64), y.data(), n);
  // 32 additions in a lane, 4 folds, 11 levels.
  CHECK(std::fabs(static_cast<long double>(got) - sum_y) <= (32 + 4 + 11) * 0x1p-53L * size_y);
}

TEST_CASE("results of 16 bits are rounded once", "[reducer]") {
  // 1 + 2^-11 is a tie that goes down; a little more, lost in float, must go up.
  const struct {
    double value;
    float expected;
  } table[] = {{1 + 0x1p-11, 1.0f},
               {1 + 0x1p-11 + 0x1p-40, 1 + 0x1p-10f},
               {65519.999999, 65504.0f},
               {65520, INFINITY},
               {-65519.999999, -65504.0f},
               {1 + 3 * 0x1p-11, 1 + 0x1p-9f},
               {0x1p-25, 0.0f},
               {0x1p-25 + 0x1p-60, 0x1p-24f},
               {-(0x1p-25 + 0x1p-60), -0x1p-24f},
               {1e300, INFINITY},
               {1e-300, 0.0f}};
  for (const auto& row : table) {
    const ReducerPtr sum = make_reducer(Reduction::sum, Type::float16);
    float16 out;
    sum->finish(&row.value, 1, 1, &out);
    INFO(row.value);
    CHECK(float(out) == row.expected);
  }
}

TEST_CASE("the variance of a small spread around a large mean is accurate", "[reducer]") {
  std::mt19937_64 rng(2);
  const std::size_t n = 300000;
  // The means of blocks are rounded to the offset's spacing; differences of them are what is lost.
  const struct { double offset, error; } table[] = {{0, 1e-13}, {1e3, 1e-13}, {1e9, 2e-9}, {-1e12, 1e-5}};
  for (const auto& [offset, error] : table) {
    Array<double> x(n);
    long double mean = 0, m2 = 0;
    for (std::size_t i = 0; i < n; ++i) {
      x[i] = offset + static_cast<double>(rng() % 1024) / 1024 - 0.5;
      mean += static_cast<long double>(x[i]);
    }
    mean /= static_cast<long double>(n);
    for (std::size_t i = 0; i < n; ++i)
      m2 += (static_cast<long double>(x[i]) - mean) * (static_cast<long double>(x[i]) - mean);
    const double expected = static_cast<double>(m2 / static_cast<long double>(n));
    INFO(offset);
    // The textbook formula would lose offset^2 / 2^53.
    CHECK(reduce_to<double>(*make_reducer(Reduction::var, Type::float64), x.data(), n) ==
          Approx(expected).epsilon(error));
    // As rows: one column.
    const ReducerPtr reducer = make_reducer(Reduction::var, Type::float64);
    Memory workspace(LeafRows::workspace_bytes(*reducer, 1)), state(reducer->state_bytes());
    LeafRows leaf(*reducer, 1, workspace.data());
    leaf.begin(state.data(), 1);
    leaf.absorb(x.data(), 8, n, 0, 1);
    leaf.finish();
    double got;
    reducer->finish(state.data(), 1, static_cast<Index>(n), &got);
    CHECK(got == Approx(expected).epsilon(error));
  }
  const std::uint8_t same[] = {200, 200, 200, 200, 200};
  CHECK(reduce_to<double>(*make_reducer(Reduction::var, Type::uint8), same, 5) == 0);
  const double huge[] = {infinity, 1};
  const double got = reduce_to<double>(*make_reducer(Reduction::var, Type::float64), huge, 2);
  CHECK(got != got);
}

TEST_CASE("reductions of one state name have equal states", "[reducer]") {
  for (int t = 0; t < numeric_type_count; ++t) {
    const Type type = static_cast<Type>(t);
    const auto state = [&](Reduction reduction, const ReductionOptions& options = {}) {
      return make_reducer(reduction, type, options)->state_name();
    };
    INFO(name_of(type));
    if (!is_integer(type)) {
      CHECK(state(Reduction::sum) == state(Reduction::mean));
      CHECK(state(Reduction::sum, skipping()) == state(Reduction::mean, skipping()));
    }
    CHECK(state(Reduction::var, with_ddof(1)) == state(Reduction::stddev));
    CHECK(make_reducer(Reduction::var, type, with_ddof(1))->name() == "var(ddof=1)");
    CHECK(state(Reduction::min) != state(Reduction::max));
    CHECK((state(Reduction::min) == state(Reduction::min, skipping())) ==
          (is_integer(type) || is_bool(type)));
    CHECK(state(Reduction::min).find(name_of(type)) != std::string::npos);
    // Whoever shares a state must agree about everything that happens to it.
    std::map<std::string, ReducerPtr> known;
    for (int r = 0; r <= static_cast<int>(Reduction::count_nonzero); ++r)
      for (const bool skip : {false, true}) {
        const ReducerPtr reducer =
            make_reducer(static_cast<Reduction>(r), type, skip ? skipping() : ReductionOptions{});
        const ReducerPtr other = known.emplace(reducer->state_name(), reducer).first->second;
        CHECK(reducer->state_bytes() == other->state_bytes());
        CHECK(reducer->state_bytes() % 8 == 0);
        CHECK(reducer->order() == other->order());
        CHECK(reducer->needs_index() == other->needs_index());
        Memory a(reducer->state_bytes()), b(reducer->state_bytes());
        reducer->init(a.data(), 1);
        other->init(b.data(), 1);
        CHECK(words_at(a.data(), reducer->state_bytes()) == words_at(b.data(), reducer->state_bytes()));
      }
  }
  const auto histogram = [](const ReductionOptions& options, Type type = Type::float64) {
    return make_reducer(Reduction::histogram, type, options)->state_name();
  };
  CHECK(histogram(uniform(4, 0, 1)) == histogram(uniform(4, 0, 1)));
  CHECK(histogram(uniform(4, 0, 1)) != histogram(uniform(4, 0, std::nextafter(1.0, 2.0))));
  CHECK(histogram(uniform(4, 0, 1)) != histogram(uniform(5, 0, 1)));
  CHECK(histogram(uniform(4, 0, 1)) != histogram(uniform(4, 0, 1), Type::float32));
  CHECK(histogram(with_edges({0, 1, 3})) != histogram(with_edges({0, 2, 3})));
}

TEST_CASE("the smallest states are as small as they can be", "[reducer]") {
  const struct {
    Reduction reduction;
    Type type;
    bool skip;
    std::size_t bytes;
  } table[] = {{Reduction::sum, Type::float64, false, 8},       {Reduction::mean, Type::float32, false, 8},
               {Reduction::sum, Type::complex64, false, 16},    {Reduction::mean, Type::float32, true, 16},
               {Reduction::var, Type::float32, false, 24},      {Reduction::var, Type::complex128, false, 32},
               {Reduction::min, Type::uint8, false, 8},         {Reduction::argmin, Type::float64, false, 16},
               {Reduction::argmin, Type::complex64, false, 24}, {Reduction::any, Type::float64, false, 8},
               {Reduction::mean, Type::int64, false, 16},       {Reduction::mean, Type::int8, false, 8}};
  for (const auto& row : table) {
    const ReducerPtr reducer =
        make_reducer(row.reduction, row.type, row.skip ? skipping() : ReductionOptions{});
    INFO(reducer->name() << " of " << name_of(row.type));
    CHECK(reducer->state_bytes() == row.bytes);
    CHECK(reducer->is_trivial());
  }
}

TEST_CASE("states travel as bytes, and damaged bytes are refused", "[reducer]") {
  std::mt19937_64 rng(77);
  for (int t = 0; t < numeric_type_count; ++t)
    visit_type(static_cast<Type>(t), [&]<class T>() {
      const Array<T> x = random_array<T>(40, rng);
      for (int r = 0; r <= static_cast<int>(Reduction::histogram); ++r)
        for (const bool skip : {false, true}) {
          const auto reduction = static_cast<Reduction>(r);
          if (reduction == Reduction::histogram && is_complex_v<T>) continue;
          ReductionOptions options = uniform(9, -20, 20);
          options.skip_nan = skip;
          const ReducerPtr reducer = make_reducer(reduction, type_of<T>, options);
          INFO(reducer->name() << " of " << name_of(type_of<T>));
          const std::size_t n = 5, bytes = n * reducer->state_bytes();
          Memory states(bytes), copies(bytes);
          reducer->init(states.data(), n);
          reducer->absorb_rows(states.data(), x.data(), 5 * sizeof(T), 8, n, 0, 1);
          std::vector<std::byte> sent = {std::byte{42}};
          reducer->to_bytes(states.data(), n, sent);
          CHECK(sent.front() == std::byte{42});
          const std::vector<std::byte> packet(sent.begin() + 1, sent.end());
          reducer->from_bytes(packet, copies.data(), n);
          CHECK(std::memcmp(states.data(), copies.data(), bytes) == 0);

          const auto refused = [&](std::vector<std::byte> damaged, std::size_t count) {
            return message_of([&] { reducer->from_bytes(damaged, copies.data(), count); },
                              Errc::corrupt_data);
          };
          std::vector<std::byte> damaged = packet;
          damaged[rng() % damaged.size()] ^= std::byte{1};
          CHECK(refused(damaged, n).find("digest") != std::string::npos);
          damaged = packet;
          damaged.pop_back();
          CHECK(refused(damaged, n).find("wrong size") != std::string::npos);
          refused(packet, n - 1);
          refused(packet, n + 1);
          refused({}, 0);
        }
    });
  const ReducerPtr min = make_reducer(Reduction::min, Type::float64),
                   max = make_reducer(Reduction::max, Type::float64);
  double state = 3;
  std::vector<std::byte> sent;
  min->to_bytes(&state, 1, sent);
  CHECK(message_of([&] { max->from_bytes(sent, &state, 1); }, Errc::corrupt_data).find("max/float64") !=
        std::string::npos);
}

TEST_CASE("a constant absorbed at once gives the bits of absorbing it element by element", "[reducer]") {
  int done = 0, refused = 0;
  EachLevel levels;
  for (const SimdLevel level : levels) {
    set_simd_level(level);
    for (int t = 0; t < numeric_type_count; ++t)
      visit_type(static_cast<Type>(t), [&]<class T>() {
        std::vector<double> constants = {0, 1, 3, 100};
        if (!is_unsigned_integer(type_of<T>) && !is_bool(type_of<T>))
          constants.insert(constants.end(), {-1, -99});
        if (!is_integer(type_of<T>) && !is_bool(type_of<T>))
          constants.insert(constants.end(),
                           {not_a_number, infinity, -infinity, -0.0, 0.5, 0.1, 1e-3, -999.9, 0x1p-20});
        for (const double constant : constants)
          for (const std::size_t n : {1, 2, 17, 512, 1000, 70000})
            for (int r = 0; r <= static_cast<int>(Reduction::histogram); ++r)
              for (const bool skip : {false, true}) {
                const auto reduction = static_cast<Reduction>(r);
                if (reduction == Reduction::histogram && is_complex_v<T>) continue;
                ReductionOptions options = uniform(10, -5, 5);
                options.skip_nan = skip;
                const ReducerPtr reducer = make_reducer(reduction, type_of<T>, options);
                Array<T> x(n);
                for (std::size_t i = 0; i < n; ++i) x[i] = T(static_cast<float>(constant));
                if constexpr (std::is_same_v<T, double>)
                  for (std::size_t i = 0; i < n; ++i) x[i] = constant;
                Memory quick(reducer->state_bytes()), slow(reducer->state_bytes());
                reducer->init(quick.data(), 1);
                if (!reducer->absorb_constant(quick.data(), x.data(), static_cast<Index>(n), 5)) {
                  ++refused;
                  continue;
                }
                ++done;
                Memory workspace(LeafRuns::workspace_bytes(*reducer));
                LeafRuns leaf(*reducer, workspace.data());
                leaf.begin(slow.data());
                leaf.absorb(x.data(), n, 5);
                leaf.finish();
                INFO(reducer->name() << " of " << n << " times " << constant << " as "
                                     << name_of(type_of<T>));
                CHECK(words_at(quick.data(), reducer->state_bytes()) ==
                      words_at(slow.data(), reducer->state_bytes()));
              }
      });
  }
  CHECK(done > 5000);
  CHECK(refused > 100);  // 0.1 is not exact
}

TEST_CASE("impossible reductions are refused by name", "[reducer]") {
  const auto message = [](Reduction reduction, Type type, const ReductionOptions& options, Errc code) {
    return message_of([&] { make_reducer(reduction, type, options); }, code);
  };
  CHECK(message(Reduction::histogram, Type::complex64, uniform(3, 0, 1), Errc::dtype_mismatch)
            .find("complex64") != std::string::npos);
  CHECK(message(Reduction::histogram, Type::float64, uniform(0, 0, 1), Errc::invalid_argument)
            .find("expected bins >= 1, got bins=0") != std::string::npos);
  message(Reduction::histogram, Type::float64, uniform(3, 1, 1), Errc::invalid_argument);
  message(Reduction::histogram, Type::float64, uniform(3, 2, 1), Errc::invalid_argument);
  message(Reduction::histogram, Type::float64, uniform(3, not_a_number, 1), Errc::invalid_argument);
  message(Reduction::histogram, Type::float64, uniform(3, 0, infinity), Errc::invalid_argument);
  message(Reduction::histogram, Type::float64, uniform(3, -1.7e308, 1.7e308), Errc::invalid_argument);
  message(Reduction::histogram, Type::float32, uniform(100, 1, 1 + 1e-6), Errc::invalid_argument);
  message(Reduction::histogram, Type::float64, with_edges({1}), Errc::invalid_argument);
  CHECK(message(Reduction::histogram, Type::float64, with_edges({1, 3, 2}), Errc::invalid_argument)
            .find("edge 2 is 2 after 3") != std::string::npos);
  message(Reduction::histogram, Type::float64, with_edges({1, not_a_number, 2}), Errc::invalid_argument);
  message(Reduction::sum, Type::carried, {}, Errc::dtype_mismatch);
}

namespace {

// By definition: the bin whose edges enclose x.
std::vector<std::int64_t> brute_histogram(const std::vector<double>& edges, const std::vector<double>& x) {
  std::vector<std::int64_t> counts(edges.size() - 1);
  for (const double v : x) {
    if (!(v >= edges.front() && v <= edges.back())) continue;
    const auto above = std::upper_bound(edges.begin(), edges.end(), v) - edges.begin();
    ++counts[static_cast<std::size_t>(
        std::min<std::ptrdiff_t>(above, static_cast<std::ptrdiff_t>(edges.size()) - 1) - 1)];
  }
  return counts;
}

}  // namespace

TEST_CASE("every element falls into the bin that encloses it", "[reducer]") {
  std::mt19937_64 rng(8);
  const struct {
    Index bins;
    double lo, hi;
  } table[] = {{1, 0, 1},
               {2, -1, 1},
               {10, 0, 1},
               {100, 0.1, 0.9},
               {128, 0, 1},
               {255, 0, 1},
               {256, -3, 5},
               {1000, -1e6, 1e6},
               {2048, 0, 1},
               {5000, 1e-5, 2e-5},
               {7, 1e15, 2e15},
               {64, -1e-300, 1e-300},
               {33, 1e300, 1.1e300},
               {1000, 1, 1 + 1e-12},
               {128, 100, 101}};
  const auto check = [&](const ReductionOptions& options, const std::vector<double>& edges) {
    // Edges and their neighbours, then values in, around and far outside the range.
    std::vector<double> x = {not_a_number, -not_a_number, infinity, -infinity, 0.0,
                             -0.0,         1e308,         -1e308,   5e-324};
    for (const double edge : edges)
      x.insert(x.end(), {edge, std::nextafter(edge, -infinity), std::nextafter(edge, infinity)});
    const double width = edges.back() - edges.front();
    const std::size_t special = x.size();
    for (const std::size_t more : {std::size_t{0}, std::size_t{3000}, std::size_t{140000}}) {
      while (x.size() < special + more) {
        const double unit = static_cast<double>(rng() >> 11) * 0x1p-53;
        const std::uint64_t kind = rng() % 16;
        x.push_back(kind == 0   ? edges.front() + (unit * 3 - 1) * width
                    : kind == 1 ? x[rng() % special]
                    : kind == 2 ? edges.front() + std::floor(unit * 64) / 64 * width
                                : edges.front() + unit * width);
      }
      const std::vector<std::int64_t> expected = brute_histogram(edges, x);
      const ReducerPtr reducer = make_reducer(Reduction::histogram, Type::float64, options);
      REQUIRE(reducer->result_shape() == Shape{static_cast<Index>(edges.size()) - 1});
      EachLevel levels;
      for (const SimdLevel level : levels) {
        set_simd_level(level);
        INFO(reducer->name() << " of " << x.size() << ", level " << name_of(level));
        std::vector<std::int64_t> got(expected.size());
        reduce(*reducer, x.data(), x.size(), got.data());
        CHECK(got == expected);
        if (more != 3000) continue;
        Array<double> y(x.size());
        std::copy(x.begin(), x.end(), y.data());
        CHECK(scattered(*reducer, y, rng) == bytes_of(expected));
      }
    }
  };
  for (const auto& row : table) {
    // numpy.linspace
    std::vector<double> edges(static_cast<std::size_t>(row.bins) + 1);
    const double step = (row.hi - row.lo) / static_cast<double>(row.bins);
    for (Index i = 0; i <= row.bins; ++i) {
      const double offset = static_cast<double>(i) * step;
      edges[static_cast<std::size_t>(i)] = i == row.bins ? row.hi : offset + row.lo;
    }
    check(uniform(row.bins, row.lo, row.hi), edges);
  }
  check(with_edges({0, 1, 2, 4, 8, 1000}), {0, 1, 2, 4, 8, 1000});
  check(with_edges({-1, 0, 0, 0, 3}), {-1, 0, 0, 0, 3});
  check(with_edges({0, 0.25, 0.5, 0.75, 1}), {0, 0.25, 0.5, 0.75, 1});
}

TEST_CASE("long runs of one value do not overflow a histogram's inner counters", "[reducer]") {
  const std::size_t n = 300000;
  for (const Index bins : {3, 128, 3000})
    for (const double value : {0.0, 0.5, 1.0, 2.0}) {
      std::vector<double> x(n, value);
      const ReducerPtr reducer = make_reducer(Reduction::histogram, Type::float64, uniform(bins, 0, 1));
      EachLevel levels;
      for (const SimdLevel level : levels) {
        set_simd_level(level);
        std::vector<std::int64_t> got(static_cast<std::size_t>(bins));
        reduce(*reducer, x.data(), n, got.data());
        std::int64_t total = 0;
        for (const std::int64_t count : got) total += count;
        CHECK(total == (value > 1 ? 0 : static_cast<std::int64_t>(n)));
        CHECK(*std::max_element(got.begin(), got.end()) == total);
      }
    }
}

TEST_CASE("histograms of every real dtype agree with the float64 one", "[reducer]") {
  std::mt19937_64 rng(21);
  for (int t = 0; t < numeric_type_count; ++t)
    visit_type(static_cast<Type>(t), [&]<class T>() {
      if constexpr (!is_complex_v<T>) {
        const Array<T> x = random_array<T>(50000, rng, true);
        std::vector<double> wide;
        for (std::size_t i = 0; i < x.size(); ++i) wide.push_back(value_of(x[i]).re);
        // Edges that every dtype holds.
        for (const ReductionOptions& options :
             {uniform(16, -8, 8), uniform(64, 0, 64), with_edges({-1, 0, 3, 20})}) {
          std::vector<double> edges = options.edges;
          for (Index i = 0; edges.size() < static_cast<std::size_t>(options.bins) + 1 && options.bins; ++i)
            edges.push_back(options.lo + static_cast<double>(i) * (options.hi - options.lo) /
                                             static_cast<double>(options.bins));
          EachLevel levels;
          for (const SimdLevel level : levels) {
            set_simd_level(level);
            INFO(name_of(type_of<T>) << ", level " << name_of(level));
            const ReducerPtr reducer = make_reducer(Reduction::histogram, type_of<T>, options);
            CHECK(scattered(*reducer, x, rng) == bytes_of(brute_histogram(edges, wide)));
          }
        }
      }
    });
}

TEST_CASE("the carry stack gives the binary tree over any number of leaves", "[reducer]") {
  std::mt19937_64 rng(6);
  const std::size_t n = 3;
  const ReducerPtr reducer = make_reducer(Reduction::var, Type::float64);
  const std::size_t bytes = n * reducer->state_bytes();
  for (std::size_t leaves = 0; leaves < 70; ++leaves) {
    std::vector<std::vector<reference::Node>> nodes(n);
    std::vector<Memory> arrays;
    for (int i = 0; i < 8; ++i) arrays.emplace_back(bytes);
    int highest = -1;
    const auto slot = [&](int i) {
      highest = std::max(highest, i);
      return arrays.at(static_cast<std::size_t>(i)).data();
    };
    CarryStack stack(*reducer, n);
    for (std::size_t leaf = 0; leaf < leaves; ++leaf) {
      const Array<double> x = random_array<double>(n * 4, rng);
      Memory states(bytes);
      reducer->init(states.data(), n);
      reducer->absorb_rows(states.data(), x.data(), n * 8, 4, n, 0, 1);
      for (std::size_t i = 0; i < n; ++i)
        append_blocks(Kind::moments, false, x.data() + i, 4, n, 64, reference::Block::serial, nodes[i]);
      stack.push(states.data(), slot);
    }
    CHECK(stack.count() == static_cast<Index>(leaves));
    Memory out(bytes);
    stack.fold(out.data(), slot);
    std::vector<std::uint64_t> expected;
    for (std::size_t i = 0; i < n; ++i) {
      const auto words = words_of(tree(Kind::moments, nodes[i], false), Kind::moments, false, false);
      expected.insert(expected.end(), words.begin(), words.end());
    }
    INFO(leaves << " leaves");
    CHECK(words_at(out.data(), bytes) == expected);
    CHECK((leaves == 0 || leaves >= (std::size_t{1} << highest)));
    CHECK(stack.count() == 0);
  }
}

TEST_CASE("positions are shifted, nothing else is", "[reducer]") {
  for (const Type type : {Type::int32, Type::float64, Type::complex64}) {
    const ReducerPtr reducer = make_reducer(Reduction::argmax, type);
    Memory states(3 * reducer->state_bytes());
    const auto state = [&](std::size_t i) {
      return static_cast<std::byte*>(states.data()) + i * reducer->state_bytes();
    };
    reducer->init(states.data(), 3);
    const std::vector<std::byte> zeros(4 * item_bytes_of(type));
    reducer->absorb_run(state(1), zeros.data(), 4, 7);
    reducer->absorb_run(state(2), zeros.data(), 4, 0);
    reducer->shift_index(states.data(), 3, 100);
    reducer->merge(states.data(), state(1), 1);  // the first has seen nothing
    std::int64_t index[3];
    reducer->finish(states.data(), 3, 4, index);
    CHECK(index[0] == 107);
    CHECK(index[1] == 107);
    CHECK(index[2] == 100);
  }
  const ReducerPtr total = make_reducer(Reduction::sum, Type::int32);
  Memory state(total->state_bytes());
  total->init(state.data(), 1);
  total->shift_index(state.data(), 1, 100);
  std::int64_t sum = -1;
  total->finish(state.data(), 1, 0, &sum);
  CHECK(sum == 0);
}
