#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <morsel/kernel/op.hpp>
#include <sstream>
#include <support/paths.hpp>

#include "elements.hpp"

using namespace morsel;

namespace {

constexpr std::string_view type_characters = "?bhilBHILefdFD";

Type type_of_character(char c) { return static_cast<Type>(type_characters.find(c)); }

std::vector<std::vector<std::string>> numpy_lines(const std::string& kind) {
  std::ifstream file(test::data_dir() / "numpy_elementwise.txt");
  std::vector<std::vector<std::string>> lines;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::vector<std::string> fields;
    for (std::string word; words >> word;) fields.push_back(word);
    if (fields[0] == kind) lines.push_back(fields);
  }
  REQUIRE(!lines.empty());
  return lines;
}

// The dtype that resolve_op gives, or '-'.
char resolved(Op op, const std::vector<Type>& operands) {
  try {
    return type_characters[static_cast<std::size_t>(resolve_op(op, operands).result)];
  } catch (const Error& e) {
    CHECK(e.code() == Errc::dtype_mismatch);
    CHECK(std::string(e.what()).find(std::string(name_of(op))) == 0);
    return '-';
  }
}

test::Elements from_hex(Type type, const std::vector<std::string>& words, std::size_t first) {
  test::Elements e(type, words.size() - first);
  const std::size_t bytes = item_bytes_of(type);
  for (std::size_t i = first; i < words.size(); ++i) {
    std::byte* to = e.bytes.data() + (i - first) * bytes;
    const std::string& word = words[i];
    if (word == "-") continue;
    const std::size_t colon = word.find(':');
    const std::uint64_t low = std::stoull(word, nullptr, 16);
    if (colon == std::string::npos) {
      std::memcpy(to, &low, bytes);
    } else {
      const std::uint64_t high = std::stoull(word.substr(colon + 1), nullptr, 16);
      std::memcpy(to, &low, bytes / 2);
      std::memcpy(to + bytes / 2, &high, bytes / 2);
    }
  }
  return e;
}

const std::map<char, test::Elements>& numpy_values() {
  static const std::map<char, test::Elements> values = [] {
    std::map<char, test::Elements> v;
    for (const auto& line : numpy_lines("V"))
      v[line[1][0]] = from_hex(type_of_character(line[1][0]), line, 2);
    return v;
  }();
  return values;
}

// Functions whose results differ between libraries in the last places.
bool is_transcendental(Op op) {
  return (op >= Op::exp && op <= Op::atanh) || op == Op::cbrt || op == Op::pow || op == Op::atan2 ||
         op == Op::hypot || op == Op::logaddexp || op == Op::angle;
}

// |got - want| <= ulp * eps * |want|; infinities and NaN where NumPy has them. A complex function of NaN only
// has to have a NaN part: C leaves open which.
bool is_near(const test::Elements& got, const test::Elements& want, std::size_t i, double ulp) {
  if (test::same_bits(got, i, want, i)) return true;
  const bool is_single = want.type == Type::float32 || want.type == Type::complex64;
  const long double eps = want.type == Type::float16 ? 0x1p-10L : is_single ? 0x1p-23L : 0x1p-52L;
  const long double least = want.type == Type::float16 ? 0x1p-24L : is_single ? 0x1p-149L : 0x1p-1074L;
  const auto close = [&](long double x, long double y, long double scale) {
    return (std::isnan(x) && std::isnan(y)) || x == y ||
           std::fabs(x - y) <= ulp * std::max(eps * scale, least);
  };
  const long double x = want.real(i), y = want.imag(i);
  if (ulp > 0 && is_complex(want.type) && (std::isnan(x) || std::isnan(y)))
    return std::isnan(got.real(i)) || std::isnan(got.imag(i));
  const long double scale = std::isfinite(x) && std::isfinite(y) ? std::hypot(x, y)
                            : std::isfinite(x)                   ? x
                                                                 : y;
  return ulp > 0 && close(got.real(i), x, std::fabs(scale)) && close(got.imag(i), y, std::fabs(scale));
}

}  // namespace

TEST_CASE("every operation resolves dtypes and pairs of dtypes as NumPy 2 does", "[kernel]") {
  int pairs = 0;
  for (const auto& line : numpy_lines("T")) {
    const Op op = find_op(line[1]).value();
    for (std::size_t i = 0; i < type_characters.size(); ++i) {
      const Type second = type_of_character(type_characters[i]);
      std::vector<Type> operands{second};
      if (line[2] != ".") {
        const Type first = type_of_character(line[2][0]);
        operands = op == Op::where  ? std::vector<Type>{Type::bool_, first, second}
                   : op == Op::clip ? std::vector<Type>{first, second, second}
                                    : std::vector<Type>{first, second};
      }
      INFO(line[1] << " " << line[2] << " " << type_characters[i]);
      CHECK(resolved(op, operands) == line[3][i]);
      ++pairs;
    }
  }
  CHECK(pairs == 41 * 14 + 30 * 14 * 14);
}

TEST_CASE("kernels run on the dtypes where NumPy computes", "[kernel]") {
  struct Row {
    Op op;
    std::vector<Type> operands;
    OpTypes types;
  };
  const Type b = Type::bool_, i8 = Type::int8, i64 = Type::int64, u64 = Type::uint64, f32 = Type::float32;
  const Row rows[] = {
      {Op::add, {Type::int32, f32}, {{Type::float64, Type::float64, Type::float64}, Type::float64}},
      {Op::sqrt, {Type::int16}, {{f32, f32, f32}, f32}},
      {Op::less, {i8, f32}, {{f32, f32, f32}, b}},
      {Op::less, {i64, u64}, {{i64, u64, i64}, b}},
      {Op::less, {u64, i8}, {{u64, i64, i64}, b}},
      {Op::equal, {Type::uint32, i64}, {{i64, i64, i64}, b}},
      {Op::where, {i8, i8, f32}, {{b, f32, f32}, f32}},
      {Op::divide, {b, b}, {{Type::float64, Type::float64, Type::float64}, Type::float64}},
  };
  for (const Row& row : rows) {
    INFO(name_of(row.op));
    CHECK(resolve_op(row.op, row.operands) == row.types);
    CHECK(op_kernel(row.op, row.types) != nullptr);
  }
}

TEST_CASE("an operation is found by its name and by NumPy's", "[kernel]") {
  for (int i = 0; i < op_count; ++i) {
    const Op op = static_cast<Op>(i);
    CHECK(find_op(name_of(op)) == op);
    CHECK((arity_of(op) >= 1 && arity_of(op) <= 3));
  }
  const std::pair<const char*, Op> aliases[] = {{"power", Op::pow},          {"arcsin", Op::asin},
                                                {"absolute", Op::abs},       {"mod", Op::remainder},
                                                {"true_divide", Op::divide}, {"invert", Op::bitwise_invert},
                                                {"conjugate", Op::conj},     {"arctan2", Op::atan2}};
  for (const auto& [name, op] : aliases) CHECK(find_op(name) == op);
  CHECK(!find_op("no_such_thing"));
  CHECK(!find_op(""));
}

TEST_CASE("a dtype that an operation does not take is refused by name", "[kernel]") {
  const std::vector<Type> floats{Type::float32, Type::float64};
  try {
    resolve_op(Op::bitwise_and, floats);
    FAIL("not refused");
  } catch (const Error& e) {
    CHECK(e.code() == Errc::dtype_mismatch);
    CHECK(std::string(e.what()) ==
          "bitwise_and: not defined for this dtype; expected bool or integers, got float32, float64");
  }
  const std::vector<Type> one{Type::float32};
  CHECK_THROWS_AS(resolve_op(Op::add, one), Error);
  const std::vector<Type> carried{Type::carried};
  CHECK_THROWS_WITH(resolve_op(Op::abs, carried), Catch::Contains("fourteen numeric dtypes"));
}

TEST_CASE("every dtype that resolves has a kernel", "[kernel]") {
  for (int i = 0; i < op_count; ++i) {
    const Op op = static_cast<Op>(i);
    for (const Type t : test::numeric_types()) {
      const std::vector<Type> operands(static_cast<std::size_t>(arity_of(op)), t);
      if (resolved(op, operands) == '-') continue;
      INFO(name_of(op) << " " << name_of(t));
      CHECK(op_kernel(op, resolve_op(op, operands)) != nullptr);
    }
  }
}

TEST_CASE("special values of every operation and dtype give NumPy's results", "[kernel]") {
  const test::LevelGuard guard;
  for (const SimdLevel level : test::simd_levels()) {
    set_simd_level(level);
    std::size_t compared = 0;
    for (const bool is_binary : {false, true}) {
      for (const auto& line : numpy_lines(is_binary ? "B" : "U")) {
        const Op op = find_op(line[1]).value();
        const test::Elements& v = numpy_values().at(line[2][0]);
        const test::Elements want = from_hex(type_of_character(line[3][0]), line, 4);
        const std::size_t n = v.size(), bytes = item_bytes_of(v.type);
        std::vector<test::Elements> in(is_binary ? 2 : 1, test::Elements(v.type, 0));
        std::vector<std::size_t> defined;
        for (std::size_t i = 0; i < want.size(); ++i) {
          if (line[4 + i] == "-") continue;
          defined.push_back(i);
          const std::size_t positions[] = {is_binary ? i / n : i, i % n};
          for (std::size_t k = 0; k < in.size(); ++k) {
            const std::byte* from = v.bytes.data() + positions[k] * bytes;
            in[k].bytes.insert(in[k].bytes.end(), from, from + bytes);
          }
        }
        test::Elements expected(want.type, defined.size());
        for (std::size_t i = 0; i < defined.size(); ++i)
          std::memcpy(expected.bytes.data() + i * item_bytes_of(want.type),
                      want.bytes.data() + defined[i] * item_bytes_of(want.type), item_bytes_of(want.type));
        const test::Elements got = test::apply(op, in);
        REQUIRE(got.type == expected.type);
        // NumPy loses half the places of log1p of complex numbers.
        if (op == Op::log1p && is_complex(v.type)) continue;
        // Both have errors: four places each; a general complex power has those of its large exponent too.
        const double tolerance = op == Op::pow && is_complex(v.type)           ? 40
                                 : is_complex(v.type) || is_transcendental(op) ? 8
                                                                               : 0;
        for (std::size_t i = 0; i < got.size(); ++i) {
          ++compared;
          // Which of two zeros they give, NumPy leaves open; -0 < +0 here.
          if ((op == Op::maximum || op == Op::minimum || op == Op::nextafter) && got.real(i) == 0 &&
              expected.real(i) == 0)
            continue;
          if (is_near(got, expected, i, tolerance)) continue;
          INFO(name_of(level) << " " << line[1] << " " << name_of(v.type) << " of " << test::text(in[0], i)
                              << (is_binary ? ", " + test::text(in.back(), i) : ""));
          CHECK(test::text(got, i) == test::text(expected, i));
        }
      }
    }
    CHECK(compared > 40000);
  }
}
