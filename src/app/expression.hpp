// The expressions of `morsel eval`: a subset of Python's syntax, parsed into a tree that knows its columns.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace morsel::app {

/// One node of an expression. Which members count depends on `kind`.
struct Expr {
  enum class Kind : std::uint8_t {
    integer,    ///< `integer`
    real,       ///< `number`
    imaginary,  ///< `number` times 1j
    string,     ///< `text`
    name,       ///< `text`; True, False and None are names too
    ellipsis,   ///< ...
    unary,      ///< `text` (+ - ~) of children[0]
    binary,     ///< `text` (an operator or a comparison) of children[0] and children[1]
    tuple,      ///< children
    list,       ///< children
    call,       ///< children[0] called with the others; keywords[i] is the name of argument i, or empty
    subscript,  ///< children[0] indexed with the others; `text` is "," if a tuple stood between the brackets
    slice,      ///< start, stop, step; null where left out. Only inside subscripts
    attribute,  ///< children[0] . `text`
  };
  Kind kind = Kind::integer;
  int column = 1;  ///< of its first character; of the operator for `binary`. Counted in characters, from 1
  int height = 1;  ///< of the tree below, itself included
  std::uint64_t integer = 0;
  double number = 0;
  std::string text;
  std::vector<std::unique_ptr<Expr>> children;
  std::vector<std::string> keywords;
};
using ExprPtr = std::unique_ptr<Expr>;

/// Limits that keep any input from exhausting the stack, here and in what is built from the tree.
inline constexpr std::size_t max_expression_bytes = std::size_t{1} << 16;
inline constexpr int max_nesting =
    100;  ///< parentheses, brackets, unary operators and powers inside one another
inline constexpr int max_height = 1000;  ///< operations one after another: a + a + a + ...

/// The tree of an expression. Precedence and associativity are Python's; comparisons do not chain; `and`,
/// `or`, `not`, `if`, `lambda`, `@`, `:=` are refused with a hint. **Fails**: syntax_error, "column N: ...".
ExprPtr parse_expression(std::string_view text);

/// The tree as text with every operation in parentheses, for tests: "(a + (b * 2))".
std::string to_string(const Expr& expr);

}  // namespace morsel::app
