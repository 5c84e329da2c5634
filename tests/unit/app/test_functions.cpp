#include <app/functions.hpp>
#include <app/interpret.hpp>
#include <bit>
#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>
#include <support/evaluate.hpp>
#include <support/paths.hpp>

using namespace morsel;

namespace {

/// The value of an expression of `x`.
test::Whole value_of(const std::string& expression, const Edge& x) {
  const auto lookup = [&](const std::string& name) -> std::optional<app::Value> {
    if (name != "x") return std::nullopt;
    return app::Value(x);
  };
  return test::value_of(app::array_of(app::interpret(*app::parse_expression(expression), lookup)));
}

}  // namespace

TEST_CASE("every operation of the kernel is a function of expressions, under every name it has there",
          "[app]") {
  for (int i = 0; i < op_count; ++i) {
    const std::string name(name_of(static_cast<Op>(i)));
    INFO(name);
    CHECK(app::find_function(name) != nullptr);
  }
  for (const char* alias : {"power", "absolute", "mod", "arcsin", "arctan2", "conjugate", "invert",
                            "left_shift", "true_divide"}) {
    INFO(alias);
    REQUIRE(app::find_function(alias) != nullptr);
    CHECK(find_op(alias) == find_op(app::find_function(alias)->name));
  }
}

TEST_CASE("every reduction is a function of expressions", "[app]") {
  for (const Reduction reduction :
       {Reduction::sum, Reduction::prod, Reduction::mean, Reduction::var, Reduction::stddev, Reduction::min,
        Reduction::max, Reduction::argmin, Reduction::argmax, Reduction::any, Reduction::all,
        Reduction::count_nonzero, Reduction::histogram}) {
    INFO(name_of(reduction));
    CHECK(app::find_function(name_of(reduction)) != nullptr);
  }
}

TEST_CASE("no name stands for two functions", "[app]") {
  std::set<std::string> names;
  for (const app::Function& function : app::functions()) {
    INFO(function.name);
    CHECK(names.insert(function.name).second);
    for (const std::string& alias : function.aliases) CHECK(names.insert(alias).second);
    CHECK_FALSE(function.summary.empty());
    bool optional = false;
    for (const app::Parameter& parameter : function.parameters) {
      CHECK((parameter.named_only || !optional || !parameter.otherwise.empty()));
      optional |= !parameter.otherwise.empty();
    }
  }
}

TEST_CASE("the manual shows the table of functions as it is", "[app]") {
  std::ifstream file(test::source_dir() / "docs" / "eval.md");
  std::stringstream text;
  text << file.rdbuf();
  const std::string begin = "<!-- functions: morsel eval --functions -->\n",
                    end = "<!-- end of functions -->";
  const std::string page = text.str();
  const std::size_t from = page.find(begin), to = page.find(end);
  REQUIRE(from != std::string::npos);
  REQUIRE(to != std::string::npos);
  CHECK(page.substr(from + begin.size(), to - from - begin.size()) == app::functions_table());
}

TEST_CASE("a misspelt function gets suggestions", "[app]") {
  CHECK(app::similar_functions("meen") == "'mean' or 'min'");
  CHECK(app::similar_functions("sqr") == "'sqrt'");
  CHECK(app::similar_functions("zzzzzzz").empty());
}

TEST_CASE("dtypes have the names that Python and NumPy give them", "[app]") {
  const struct {
    const char* name;
    Type type;
  } table[] = {{"float32", Type::float32}, {"f4", Type::float32},    {"<f8", Type::float64},
               {">i2", Type::int16},       {"bool", Type::bool_},    {"?", Type::bool_},
               {"int", Type::int64},       {"float", Type::float64}, {"complex", Type::complex128},
               {"u1", Type::uint8},        {"half", Type::float16},  {"c8", Type::complex64}};
  for (const auto& row : table) {
    INFO(row.name);
    CHECK(app::numeric_dtype(row.name) == row.type);
  }
  CHECK_THROWS_AS(app::numeric_dtype("S5"), Error);
  CHECK_THROWS_AS(app::numeric_dtype("nonsense"), Error);
}

TEST_CASE("the parts of a complex number are rounded one by one", "[app]") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  // As NumPy 2 rounds them.
  const std::complex<double> given[] = {{1.005, 2.675}, {inf, 1.234}, {-0.001, -0.001}, {1234.5678, -0.125}},
                             hundredths[] = {{1.0, 2.68}, {inf, 1.23}, {-0.0, -0.0}, {1234.57, -0.12}},
                             tens[] = {{0.0, 0.0}, {inf, 0.0}, {-0.0, -0.0}, {1230.0, -0.0}};
  const auto bytes = std::make_shared<std::vector<std::complex<double>>>(std::begin(given), std::end(given));
  const Edge x = make_source(
      memory_source(Type::complex128,
                    BufferView::c_order(reinterpret_cast<std::byte*>(bytes->data()), {4}, 16), bytes),
      View::identity({4}), {}, "x");
  const test::Whole two = value_of("round(x, 2)", x), minus_one = value_of("round(x, -1)", x);
  for (std::size_t i = 0; i < 8; ++i) {
    CAPTURE(i);
    const auto part = [i](const std::complex<double>* z) {
      return std::bit_cast<std::uint64_t>(i % 2 ? z[i / 2].imag() : z[i / 2].real());
    };
    CHECK(test::element<std::uint64_t>(two, i) == part(hundredths));
    CHECK(test::element<std::uint64_t>(minus_one, i) == part(tens));
  }
}

TEST_CASE("repeating a 0-d array gives a list of it", "[app]") {
  const Edge x = test::reduced(Reduction::max, test::Counted::make({5}, {5}).edge);
  for (const char* expression : {"repeat(x, 3)", "repeat(x, 3, axis=0)"}) {
    const test::Whole three = value_of(expression, x);
    CHECK(three.shape == Shape{3});
    CHECK(test::element<double>(three, 2) == 4);
  }
}

TEST_CASE("edges and ranges of histograms may lie above 2^63", "[app]") {
  const auto values = test::counting<std::uint64_t>({10});
  for (std::size_t i = 0; i < 10; ++i) {
    const std::uint64_t value = (std::uint64_t{1} << 63) + 5 + i;
    std::memcpy(values->data() + 8 * i, &value, 8);
  }
  const Edge x =
      make_source(memory_source(values->dtype, values->view(), values), View::identity({10}), {}, "x");
  const test::Whole edges = value_of("histogram(x, [9223372036854775808, 18446744073709551615])", x);
  CHECK(test::element<std::int64_t>(edges) == 10);
  const test::Whole range = value_of("histogram(x, 2, range=(9223372036854775808, 18446744073709551615))", x);
  CHECK(test::element<std::int64_t>(range, 0) == 10);
  CHECK(test::element<std::int64_t>(range, 1) == 0);
}

TEST_CASE("decimals, shifts and bins beyond all bounds are refused or wrap as NumPy's", "[app]") {
  const test::Counted ten = test::Counted::make<std::int64_t>({10}, {4});
  for (const char* expression :
       {"round(x * 1.5, -9223372036854775808)", "round(x * 1.5, 400)", "round(x, -309)"}) {
    INFO(expression);
    CHECK_THROWS_WITH(value_of(expression, ten.edge), Catch::Contains("between -308 and 308 decimals"));
  }
  const test::Whole rolled = value_of("roll(x, -9223372036854775808)", ten.edge);
  for (std::size_t i = 0; i < 10; ++i)
    CHECK(test::element<std::int64_t>(rolled, i) == static_cast<std::int64_t>((i + 8) % 10));
  for (const char* expression : {"histogram(x, 99999999999)", "histogram(x, 99999999999, range=(0, 1))"}) {
    INFO(expression);
    CHECK_THROWS_WITH(value_of(expression, ten.edge),
                      Catch::Contains("column 1: histogram: too many bins; expected at most 268435456"));
  }
}

TEST_CASE("bool ** 2 is a square, as NumPy's: int8", "[app]") {
  const test::Counted x = test::Counted::make<bool>({2}, {2});
  CHECK(value_of("x ** 2", x.edge).dtype == DType(Type::int8));
  CHECK(test::element<std::int8_t>(value_of("x ** 2", x.edge), 1) == 1);
  CHECK(value_of("x ** 3", x.edge).dtype == DType(Type::int64));
  CHECK(value_of("power(x, 2)", x.edge).dtype == DType(Type::int64));
  CHECK(value_of("x ** 2.0", x.edge).dtype == DType(Type::float64));
}
