#include <app/functions.hpp>
#include <catch2/catch.hpp>
#include <fstream>
#include <set>
#include <sstream>
#include <support/paths.hpp>

using namespace morsel;

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
