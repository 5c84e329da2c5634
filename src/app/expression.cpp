#include "expression.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <morsel/base/error.hpp>

namespace morsel::app {
namespace {

struct Token {
  enum class Kind : std::uint8_t { end, integer, real, imaginary, string, name, op };
  Kind kind = Kind::end;
  int column = 1;
  std::uint64_t integer = 0;
  double number = 0;
  std::string text;

  bool is(std::string_view op) const { return kind == Kind::op && text == op; }
  bool is_name(std::string_view name) const { return kind == Kind::name && text == name; }
};

[[noreturn]] void refuse(int column, const std::string& what) {
  fail(Errc::syntax_error, "column " + std::to_string(column) + ": " + what);
}

std::string shown(const Token& token) {
  switch (token.kind) {
    case Token::Kind::end:
      return "the end";
    case Token::Kind::string:
      return "a string";
    default:
      return "'" + token.text + "'";
  }
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

/// Text to tokens, one at a time.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Token next() {
    skip_blank();
    Token token;
    token.column = column_of(at_);
    if (at_ == text_.size()) return token;
    const char c = text_[at_];
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) {
      read_number(token);
    } else if (is_letter(c)) {
      const std::size_t begin = at_;
      while (is_letter(peek(0)) || is_digit(peek(0))) ++at_;
      token.kind = Token::Kind::name;
      token.text = text_.substr(begin, at_ - begin);
    } else if (c == '\'' || c == '"') {
      read_string(token);
    } else {
      read_operator(token);
    }
    return token;
  }

 private:
  char peek(std::size_t ahead) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  /// Characters, not bytes: continuation bytes of UTF-8 do not count. Positions only grow, so counting goes
  /// on from the last one.
  int column_of(std::size_t position) {
    for (; counted_ < position; ++counted_)
      if ((static_cast<unsigned char>(text_[counted_]) & 0xC0) != 0x80) ++column_;
    return column_;
  }

  void skip_blank() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#')
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      else if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
        ++at_;
      else
        break;
    }
  }

  std::string digits(int base) {
    std::string out;
    const auto is_one = [base](char c) {
      if (base <= 10) return c >= '0' && c < '0' + base;
      return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    };
    for (;;) {
      if (is_one(peek(0)))
        out += text_[at_++];
      else if (peek(0) == '_' && !out.empty() && is_one(peek(1)))
        ++at_;
      else
        return out;
    }
  }

  void read_number(Token& token) {
    const std::size_t begin = at_;
    int base = 10;
    if (peek(0) == '0') {
      const char mark = static_cast<char>(peek(1) | 0x20);
      base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 10;
    }
    std::string value;
    bool is_real = false;
    if (base != 10) {
      at_ += 2;
      if (peek(0) == '_') ++at_;
      value = digits(base);
    } else {
      value = digits(10);
      if (peek(0) == '.') {
        is_real = true;
        ++at_;
        value += '.' + digits(10);
      }
      if (const std::size_t sign = peek(1) == '+' || peek(1) == '-' ? 2 : 1;
          (peek(0) == 'e' || peek(0) == 'E') && is_digit(peek(sign))) {
        is_real = true;
        value += text_.substr(at_, sign);
        at_ += sign;
        value += digits(10);
      }
    }
    bool is_imaginary = false;
    if (base == 10 && (peek(0) == 'j' || peek(0) == 'J')) {
      is_imaginary = true;
      ++at_;
    }
    if (is_letter(peek(0)) || is_digit(peek(0))) {
      while (is_letter(peek(0)) || is_digit(peek(0))) ++at_;
      refuse(token.column, "not a number; expected one such as 12, 0x1f, 1.5, 2e-3 or 1j, got '" +
                               std::string(text_.substr(begin, at_ - begin)) + "'");
    }
    token.text = text_.substr(begin, at_ - begin);
    if (is_real || is_imaginary) {
      token.kind = is_imaginary ? Token::Kind::imaginary : Token::Kind::real;
      token.number = real_value(value);
      return;
    }
    if (base == 10 && value.size() > 1 && value[0] == '0' &&
        value.find_first_not_of('0') != std::string::npos)
      refuse(token.column, "an integer with leading zeros; expected " +
                               value.substr(value.find_first_not_of('0')) + " (or 0o for octal), got " +
                               token.text);
    token.kind = Token::Kind::integer;
    const auto result = std::from_chars(value.data(), value.data() + value.size(), token.integer, base);
    if (value.empty()) refuse(token.column, "no digits; expected some after " + token.text);
    if (result.ec == std::errc::result_out_of_range)
      refuse(token.column, "an integer too large; expected at most 18446744073709551615, got " + token.text);
  }

  /// As Python: too large is infinite, too small is zero.
  static double real_value(std::string text) {
    if (text[0] == '.') text.insert(0, "0");
    double value = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    if (result.ec != std::errc::result_out_of_range) return value;
    // from_chars leaves the value alone out of range; strtod gives the infinity, zero or subnormal.
    return std::strtod(text.c_str(), nullptr);
  }

  void read_string(Token& token) {
    const char quote = text_[at_++];
    token.kind = Token::Kind::string;
    for (;;) {
      if (at_ == text_.size() || text_[at_] == '\n')
        refuse(token.column, "a string without end; expected a closing quote");
      char c = text_[at_++];
      if (c == quote) return;
      if (c == '\\') {
        const char escaped = peek(0);
        if (escaped != '\\' && escaped != '\'' && escaped != '"')
          refuse(column_of(at_ - 1), "an unknown escape in a string; expected \\\\, \\' or \\\"");
        c = escaped;
        ++at_;
      }
      token.text += c;
    }
  }

  void read_operator(Token& token) {
    static constexpr std::string_view operators[] = {
        "...", "**", "//", "<<", ">>", "<=", ">=", "==", "!=", ":=", "->", "+", "-",
        "*",   "/",  "%",  "&",  "|",  "^",  "~",  "<",  ">",  "=",  "(",  ")", "[",
        "]",   "{",  "}",  ",",  ":",  ".",  "@",  "!",  ";",  "$",  "?",  "`", "\\"};
    for (const std::string_view op : operators)
      if (text_.substr(at_, op.size()) == op) {
        token.kind = Token::Kind::op;
        token.text = op;
        at_ += op.size();
        return;
      }
    char code[8];
    std::snprintf(code, sizeof code, "\\x%02x", static_cast<unsigned char>(text_[at_]));
    refuse(token.column,
           std::string("an unknown character; expected ASCII letters, digits and operators, got ") + code);
  }

  std::string_view text_;
  std::size_t at_ = 0, counted_ = 0;
  int column_ = 1;
};

/// How tightly an operator binds; 0: not a binary operator. Python's table, comparisons lowest.
int binding(const Token& token) {
  static constexpr struct {
    std::string_view op;
    int level;
  } table[] = {{"<", 1},  {"<=", 1}, {">", 1}, {">=", 1}, {"==", 1}, {"!=", 1}, {"|", 2},  {"^", 3}, {"&", 4},
               {"<<", 5}, {">>", 5}, {"+", 6}, {"-", 6},  {"*", 7},  {"/", 7},  {"//", 7}, {"%", 7}};
  if (token.kind != Token::Kind::op) return 0;
  for (const auto& row : table)
    if (row.op == token.text) return row.level;
  return 0;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text) { advance(); }

  ExprPtr whole() {
    if (token_.kind == Token::Kind::end)
      refuse(token_.column, "an empty expression; expected one such as 'mean(a, axis=0)'");
    ExprPtr expr = expression();
    if (token_.kind != Token::Kind::end) refuse_here("an operator or the end");
    return expr;
  }

 private:
  /// Counts how deep the parser itself is.
  struct Nested {
    explicit Nested(Parser& parser) : depth(parser.depth_) {
      if (++depth > max_nesting)
        refuse(parser.token_.column,
               "nested too deeply; expected at most " + std::to_string(max_nesting) + " levels");
    }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;
    ~Nested() { --depth; }
    int& depth;
  };

  void advance() { token_ = lexer_.next(); }

  [[noreturn]] void refuse_here(const std::string& expected) {
    const std::string got = "; expected " + expected + ", got " + shown(token_);
    if (token_.is_name("and"))
      refuse(token_.column, "'and' does not work on arrays; expected &, as in (a > 0) & (a < 1)");
    if (token_.is_name("or"))
      refuse(token_.column, "'or' does not work on arrays; expected |, as in (a < 0) | (a > 1)");
    if (token_.is_name("not"))
      refuse(token_.column, "'not' does not work on arrays; expected ~, as in ~(a > 0)");
    if (token_.is_name("if"))
      refuse(token_.column, "'if' does not work on arrays; expected where(condition, x, y)");
    if (token_.is_name("is") || token_.is_name("in"))
      refuse(token_.column,
             "'" + token_.text + "' does not work on arrays; expected == or another comparison");
    if (token_.is_name("lambda")) refuse(token_.column, "'lambda' is not part of expressions" + got);
    if (token_.is("="))
      refuse(token_.column, "an assignment; expected == for a comparison, or name= inside a call");
    if (token_.is(":=")) refuse(token_.column, "an assignment; expected == for a comparison");
    if (token_.is("@")) refuse(token_.column, "'@' (matrix product) is not supported" + got);
    if (token_.is("!")) refuse(token_.column, "'!' is not an operator; expected ~ or !=");
    if (token_.is(":")) refuse(token_.column, "a slice outside brackets" + got);
    if (token_.kind == Token::Kind::end) refuse(token_.column, "it ends too early" + got);
    refuse(token_.column, "unexpected " + shown(token_) + got);
  }

  void expect(std::string_view op, int opened_at) {
    if (token_.is(op)) return advance();
    if (token_.kind == Token::Kind::end)
      refuse(token_.column, "it ends inside brackets opened at column " + std::to_string(opened_at) +
                                "; expected '" + std::string(op) + "', got the end");
    refuse_here("',' or '" + std::string(op) + "'");
  }

  ExprPtr make(Expr::Kind kind, int column, std::string text, std::vector<ExprPtr> children = {}) {
    auto expr = std::make_unique<Expr>();
    expr->kind = kind;
    expr->column = column;
    expr->text = std::move(text);
    expr->children = std::move(children);
    for (const ExprPtr& child : expr->children)
      if (child) expr->height = std::max(expr->height, child->height + 1);
    if (expr->height > max_height)
      refuse(column,
             "too many operations on top of one another; expected at most " + std::to_string(max_height));
    return expr;
  }

  template <class... Children>
  ExprPtr make_of(Expr::Kind kind, int column, std::string text, Children... children) {
    std::vector<ExprPtr> list;
    (list.push_back(std::move(children)), ...);
    return make(kind, column, std::move(text), std::move(list));
  }

  /// Precedence climbing: operators that bind at least as tightly as `least`, left to right.
  ExprPtr expression(int least = 1) {
    ExprPtr left = unary();
    bool compared = false;
    for (;;) {
      const int level = binding(token_);
      if (level == 0 || level < least) return left;
      const Token op = token_;
      if (level == 1) {
        if (compared)
          refuse(op.column,
                 "comparisons do not chain; expected & between two of them, as in (0 < a) & (a < 1)");
        compared = true;
      }
      advance();
      ExprPtr right = expression(level + 1);
      left = make_of(Expr::Kind::binary, op.column, op.text, std::move(left), std::move(right));
    }
  }

  ExprPtr unary() {
    if (!token_.is("-") && !token_.is("+") && !token_.is("~")) return power();
    const Nested nested(*this);
    const Token op = token_;
    advance();
    return make_of(Expr::Kind::unary, op.column, op.text, unary());
  }

  ExprPtr power() {
    ExprPtr base = primary();
    if (!token_.is("**")) return base;
    const Nested nested(*this);
    const int column = token_.column;
    advance();
    // The exponent may carry a sign, and is itself a power: right associative.
    return make_of(Expr::Kind::binary, column, "**", std::move(base), unary());
  }

  ExprPtr primary() {
    const Nested nested(*this);
    ExprPtr expr = atom();
    for (;;) {
      if (token_.is(".")) {
        advance();
        if (token_.kind != Token::Kind::name) refuse_here("an attribute's name after '.'");
        expr = make_of(Expr::Kind::attribute, token_.column, token_.text, std::move(expr));
        advance();
      } else if (token_.is("(")) {
        expr = call(std::move(expr));
      } else if (token_.is("[")) {
        expr = subscript(std::move(expr));
      } else {
        return expr;
      }
    }
  }

  ExprPtr call(ExprPtr callee) {
    const int opened_at = token_.column, column = callee->column;
    advance();
    std::vector<ExprPtr> children;
    children.push_back(std::move(callee));
    std::vector<std::string> keywords;
    bool named = false;
    while (!token_.is(")")) {
      if (token_.is("*") || token_.is("**"))
        refuse(token_.column, "unpacking is not supported; expected an argument");
      const Token first = token_;
      ExprPtr value = expression();
      std::string keyword;
      if (token_.is("=") && first.kind == Token::Kind::name && value->kind == Expr::Kind::name) {
        advance();
        keyword = first.text;
        if (std::find(keywords.begin(), keywords.end(), keyword) != keywords.end())
          refuse(first.column, "the argument " + keyword + " is given twice; expected it once");
        value = expression();
        named = true;
      } else if (named) {
        refuse(first.column, "a positional argument follows a named one; expected name=value");
      }
      children.push_back(std::move(value));
      keywords.push_back(std::move(keyword));
      if (!token_.is(",")) break;
      advance();
    }
    expect(")", opened_at);
    ExprPtr expr = make(Expr::Kind::call, column, "", std::move(children));
    expr->keywords = std::move(keywords);
    return expr;
  }

  ExprPtr subscript(ExprPtr array) {
    const int opened_at = token_.column;
    advance();
    std::vector<ExprPtr> children;
    children.push_back(std::move(array));
    bool is_tuple = false;
    while (!token_.is("]")) {
      children.push_back(index());
      if (!token_.is(",")) break;
      is_tuple = true;
      advance();
    }
    if (children.size() == 1 && token_.is("]"))
      refuse(token_.column, "empty brackets; expected an index or a slice");
    expect("]", opened_at);
    return make(Expr::Kind::subscript, opened_at, is_tuple ? "," : "", std::move(children));
  }

  ExprPtr index() {
    const int column = token_.column;
    std::vector<ExprPtr> bounds(3);
    if (!token_.is(":")) {
      bounds[0] = expression();
      if (!token_.is(":")) return std::move(bounds[0]);
    }
    for (int i = 1; i < 3 && token_.is(":"); ++i) {
      advance();
      if (!token_.is(":") && !token_.is(",") && !token_.is("]"))
        bounds[static_cast<std::size_t>(i)] = expression();
    }
    return make(Expr::Kind::slice, column, "", std::move(bounds));
  }

  ExprPtr atom() {
    const Token token = token_;
    ExprPtr expr;
    switch (token.kind) {
      case Token::Kind::integer:
        expr = make(Expr::Kind::integer, token.column, token.text);
        break;
      case Token::Kind::real:
        expr = make(Expr::Kind::real, token.column, token.text);
        break;
      case Token::Kind::imaginary:
        expr = make(Expr::Kind::imaginary, token.column, token.text);
        break;
      case Token::Kind::string:
        expr = make(Expr::Kind::string, token.column, token.text);
        break;
      case Token::Kind::name:
        for (const char* word :
             {"and", "or", "not", "if", "else", "is", "in", "lambda", "for", "await", "yield"})
          if (token.text == word) refuse_here("a value");
        expr = make(Expr::Kind::name, token.column, token.text);
        break;
      default:
        return bracketed();
    }
    expr->integer = token.integer;
    expr->number = token.number;
    advance();
    return expr;
  }

  ExprPtr bracketed() {
    const Token open = token_;
    if (open.is("...")) {
      advance();
      return make(Expr::Kind::ellipsis, open.column, "...");
    }
    if (open.is("{")) refuse(open.column, "sets and dictionaries are not supported; expected a value");
    if (!open.is("(") && !open.is("[")) refuse_here("a value");
    advance();
    const std::string_view close = open.is("(") ? ")" : "]";
    std::vector<ExprPtr> items;
    bool comma = false;
    while (!token_.is(close)) {
      items.push_back(expression());
      comma = token_.is(",");
      if (!comma) break;
      advance();
    }
    expect(close, open.column);
    if (open.is("[")) return make(Expr::Kind::list, open.column, "", std::move(items));
    if (items.size() == 1 && !comma) return std::move(items[0]);
    return make(Expr::Kind::tuple, open.column, "", std::move(items));
  }

  Lexer lexer_;
  Token token_;
  int depth_ = 0;
};

std::string joined(const Expr& expr, std::size_t first) {
  std::string out;
  for (std::size_t i = first; i < expr.children.size(); ++i) {
    if (i > first) out += ", ";
    if (expr.kind == Expr::Kind::call && !expr.keywords[i - 1].empty()) out += expr.keywords[i - 1] + "=";
    out += to_string(*expr.children[i]);
  }
  return out;
}

}  // namespace

ExprPtr parse_expression(std::string_view text) {
  if (text.size() > max_expression_bytes)
    fail(Errc::syntax_error, "column 1: an expression too long; expected at most " +
                                 std::to_string(max_expression_bytes) + " bytes, got " +
                                 std::to_string(text.size()));
  return Parser(text).whole();
}

std::string to_string(const Expr& expr) {
  const auto child = [&](std::size_t i) { return to_string(*expr.children[i]); };
  switch (expr.kind) {
    case Expr::Kind::integer:
      return std::to_string(expr.integer);
    case Expr::Kind::real:
    case Expr::Kind::imaginary: {
      char digits[40];
      const auto end = std::to_chars(digits, digits + sizeof digits, expr.number);
      return std::string(digits, end.ptr) + (expr.kind == Expr::Kind::real ? "f" : "j");
    }
    case Expr::Kind::string:
      return "'" + expr.text + "'";
    case Expr::Kind::name:
      return expr.text;
    case Expr::Kind::ellipsis:
      return "...";
    case Expr::Kind::unary:
      return "(" + expr.text + child(0) + ")";
    case Expr::Kind::binary:
      return "(" + child(0) + " " + expr.text + " " + child(1) + ")";
    case Expr::Kind::tuple:
      return "(" + joined(expr, 0) + (expr.children.size() == 1 ? ",)" : ")");
    case Expr::Kind::list:
      return "[" + joined(expr, 0) + "]";
    case Expr::Kind::call:
      return child(0) + "(" + joined(expr, 1) + ")";
    case Expr::Kind::subscript:
      return child(0) + "[" + joined(expr, 1) + expr.text + "]";
    case Expr::Kind::attribute:
      return child(0) + "." + expr.text;
    case Expr::Kind::slice: {
      std::string out;
      for (std::size_t i = 0; i < 3; ++i) {
        if (i > 0) out += ":";
        if (expr.children[i]) out += child(i);
      }
      return out;
    }
  }
  return {};
}

}  // namespace morsel::app
