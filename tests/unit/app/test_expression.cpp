#include <app/expression.hpp>
#include <catch2/catch.hpp>
#include <morsel/base/error.hpp>

using namespace morsel;
using app::parse_expression;

namespace {
std::string tree(std::string_view text) { return app::to_string(*parse_expression(text)); }

std::string refusal(std::string_view text) {
  try {
    parse_expression(text);
  } catch (const Error& error) {
    CHECK(error.code() == Errc::syntax_error);
    return error.what();
  }
  return "accepted";
}
}  // namespace

TEST_CASE("expressions have Python's precedence and associativity", "[app]") {
  const struct {
    const char *text, *tree;
  } table[] = {
      {"a", "a"},
      {"a + b * c", "(a + (b * c))"},
      {"a - b - c", "((a - b) - c)"},
      {"a / b * c // d % e", "((((a / b) * c) // d) % e)"},
      {"-a ** 2", "(-(a ** 2))"},
      {"a ** -b ** c", "(a ** (-(b ** c)))"},
      {"2 ** 3 ** 2", "(2 ** (3 ** 2))"},
      {"(-a) ** 2", "((-a) ** 2)"},
      {"-a * b", "((-a) * b)"},
      {"--+~a", "(-(-(+(~a))))"},
      {"~a & b | c ^ d", "(((~a) & b) | (c ^ d))"},
      {"a | b ^ c & d << e + f", "(a | (b ^ (c & (d << (e + f)))))"},
      {"a << b >> c", "((a << b) >> c)"},
      {"a & b == c", "((a & b) == c)"},
      {"a + b < c * d", "((a + b) < (c * d))"},
      {"(a < b) == (c >= d)", "((a < b) == (c >= d))"},
      {"a != b", "(a != b)"},
      {"a.T[0].mean(axis=0) ** 2", "(a.T[0].mean(axis=0) ** 2)"},
      {"-i // 3", "((-i) // 3)"},
      {"np.exp(-a*a/2)", "np.exp((((-a) * a) / 2))"},
      {" a\n+\tb # a comment", "(a + b)"},
  };
  for (const auto& row : table) {
    INFO(row.text);
    CHECK(tree(row.text) == row.tree);
  }
}

TEST_CASE("numbers are read as Python reads them", "[app]") {
  const struct {
    const char *text, *tree;
  } table[] = {
      {"0", "0"},
      {"00", "0"},
      {"1_000_000", "1000000"},
      {"0xfF", "255"},
      {"0b101", "5"},
      {"0o17", "15"},
      {"0x_ff", "255"},
      {"18446744073709551615", "18446744073709551615"},
      {"1.", "1f"},
      {".5", "0.5f"},
      {"1e3", "1000f"},
      {"1E-3", "0.001f"},
      {"1.5e+2", "150f"},
      {"1_0.2_5", "10.25f"},
      {"1j", "1j"},
      {"2.5J", "2.5j"},
      {"1e400", "inff"},
      {"1e-400", "0f"},
      {"0.1", "0.1f"},
      {"3.141592653589793", "3.141592653589793f"},
      {"09.5", "9.5f"},
      {"5e-324", "5e-324f"},
      {"1 .T", "1.T"},
  };
  for (const auto& row : table) {
    INFO(row.text);
    CHECK(tree(row.text) == row.tree);
  }
}

TEST_CASE("calls, subscripts, tuples, lists and strings keep their parts", "[app]") {
  const struct {
    const char *text, *tree;
  } table[] = {
      {"f()", "f()"},
      {"f(a, axis=(0, 2), keepdims=True,)", "f(a, axis=(0, 2), keepdims=True)"},
      {"()", "()"},
      {"(a,)", "(a,)"},
      {"(a)", "a"},
      {"(a, b)", "(a, b)"},
      {"[]", "[]"},
      {"[1, 2,]", "[1, 2]"},
      {"a[1]", "a[1]"},
      {"a[1,]", "a[1,]"},
      {"a[:]", "a[::]"},
      {"a[::2]", "a[::2]"},
      {"a[1:-1:2, ..., None]", "a[1:(-1):2, ..., None,]"},
      {"a[::, :5, 3:]", "a[::, :5:, 3::,]"},
      {"a[[3, 1], 0]", "a[[3, 1], 0,]"},
      {"a['x']", "a['x']"},
      {"f('it\\'s', \"f4\")", "f('it's', 'f4')"},
      {"f(a == b)", "f((a == b))"},
  };
  for (const auto& row : table) {
    INFO(row.text);
    CHECK(tree(row.text) == row.tree);
  }
}

TEST_CASE("a syntax error names its column and what was expected", "[app]") {
  const struct {
    const char *text, *message;
  } table[] = {
      {"", "column 1: an empty expression; expected one such as 'mean(a, axis=0)'"},
      {"a +", "column 4: it ends too early; expected a value, got the end"},
      {"a b", "column 3: unexpected 'b'; expected an operator or the end, got 'b'"},
      {"a + )", "column 5: unexpected ')'; expected a value, got ')'"},
      {"(a + b", "column 7: it ends inside brackets opened at column 1; expected ')', got the end"},
      {"f(a b)", "column 5: unexpected 'b'; expected ',' or ')', got 'b'"},
      {"0 < a < 1",
       "column 7: comparisons do not chain; expected & between two of them, as in (0 < a) & (a < 1)"},
      {"a and b", "column 3: 'and' does not work on arrays; expected &, as in (a > 0) & (a < 1)"},
      {"a or b", "column 3: 'or' does not work on arrays; expected |, as in (a < 0) | (a > 1)"},
      {"not a", "column 1: 'not' does not work on arrays; expected ~, as in ~(a > 0)"},
      {"a if m else b", "column 3: 'if' does not work on arrays; expected where(condition, x, y)"},
      {"a = b", "column 3: an assignment; expected == for a comparison, or name= inside a call"},
      {"f(a=1, 2)", "column 8: a positional argument follows a named one; expected name=value"},
      {"f(a=1, a=2)", "column 8: the argument a is given twice; expected it once"},
      {"f(*a)", "column 3: unpacking is not supported; expected an argument"},
      {"a[]", "column 3: empty brackets; expected an index or a slice"},
      {"a @ b", "column 3: '@' (matrix product) is not supported; expected an operator or the end, got '@'"},
      {"1:2", "column 2: a slice outside brackets; expected an operator or the end, got ':'"},
      {"'abc", "column 1: a string without end; expected a closing quote"},
      {"1x", "column 1: not a number; expected one such as 12, 0x1f, 1.5, 2e-3 or 1j, got '1x'"},
      {"007", "column 1: an integer with leading zeros; expected 7 (or 0o for octal), got 007"},
      {"18446744073709551616",
       "column 1: an integer too large; expected at most 18446744073709551615, got 18446744073709551616"},
      {"0x", "column 1: no digits; expected some after 0x"},
      {"{1}", "column 1: sets and dictionaries are not supported; expected a value"},
      {"'\xC3\xA9' b", "column 5: unexpected 'b'; expected an operator or the end, got 'b'"},
      {"a + \x01", "column 5: an unknown character; expected ASCII letters, digits and operators, got \\x01"},
      {"a.1", "column 2: unexpected '.1'; expected an operator or the end, got '.1'"},
      {"a.(b)", "column 3: unexpected '('; expected an attribute's name after '.', got '('"},
  };
  for (const auto& row : table) {
    INFO(row.text);
    CHECK(refusal(row.text) == row.message);
  }
}

TEST_CASE("no input is too deep for the stack", "[app]") {
  const auto repeated = [](const std::string& text, std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += text;
    return out;
  };
  CHECK(tree(repeated("(", 90) + "a" + repeated(")", 90)) == "a");
  CHECK_NOTHROW(parse_expression(repeated("a + ", 990) + "a"));
  for (const std::string& text : {repeated("(", 30000), repeated("-", 30000) + "a", repeated("a[", 30000),
                                  repeated("a**", 20000) + "a", repeated("f(", 30000), repeated("[", 30000)})
    CHECK(refusal(text).find("nested too deeply; expected at most 100 levels") != std::string::npos);
  CHECK(refusal(repeated("a+", 30000) + "a").find("too many operations") != std::string::npos);
  CHECK(refusal("a" + repeated(".T", 30000)).find("too many operations") != std::string::npos);
  CHECK(refusal(std::string(70000, 'a')).find("an expression too long") != std::string::npos);
}
