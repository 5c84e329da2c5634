// The functions of expressions: one table that the evaluator calls, `morsel eval --functions` prints and the
// manual shows.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "value.hpp"

namespace morsel::app {

/// An error that already says at which column it happened.
class LocatedError : public Error {
 public:
  LocatedError(int column, Errc code, const std::string& message)
      : Error(code, "column " + std::to_string(column) + ": " + message) {}
};

/// A value given to a function, and where it stands.
struct Argument {
  Value value;
  int column = 1;
};

struct Function;

/// Arguments sorted into the parameters of a function's signature.
class Arguments {
 public:
  /// **Fails**: invalid_argument for a parameter that is missing, unknown or given twice.
  Arguments(const Function& function, std::vector<Argument> positional,
            std::vector<std::pair<std::string, Argument>> named);

  bool given(std::size_t i) const { return given_[i]; }
  const Value& value(std::size_t i) const { return arguments_[i].value; }

  // Conversions; all **fail** naming function, parameter and column.
  Edge array(std::size_t i) const;             ///< an array, a number or a list of numbers
  Edge array(std::size_t i, Type type) const;  ///< the same in a dtype
  Operand operand(std::size_t i) const;        ///< the same, a number stays weak
  std::vector<Edge> arrays(std::size_t i) const;
  Index integer(std::size_t i) const;
  double number(std::size_t i) const;
  bool flag(std::size_t i) const;
  std::vector<Index> integers(std::size_t i) const;  ///< an integer or a list of integers
  Type dtype(std::size_t i) const;
  ChunkSpec chunks(std::size_t i) const;
  /// Axes of an array of `rank` axes: None is all of them.
  std::vector<Index> axes(std::size_t i, std::size_t rank) const;

  [[noreturn]] void refuse(std::size_t i, const std::string& expected) const;

 private:
  const Function* function_;
  std::vector<Argument> arguments_;
  std::vector<bool> given_;
};

/// A parameter: its name, other names it answers to, whether it may be left out and whether it must be named.
struct Parameter {
  std::string name;
  std::vector<std::string> aliases;
  std::string otherwise;  ///< the default as text; empty: required
  bool named_only = false;
};

struct Function {
  std::string group;  ///< heading in the table
  std::string name;
  std::vector<std::string> aliases;
  std::vector<Parameter> parameters;
  std::string summary;
  std::function<Value(const Arguments&)> call;
  bool spreads = false;  ///< f(x, 2, 0, 1) means f(x, (2, 0, 1))
};

/// All functions, in the order of the manual.
const std::vector<Function>& functions();

/// The function of a name or alias; null if there is none.
const Function* find_function(std::string_view name);

/// Up to three names of functions that look like `name`, for messages: "'mean' or 'median'"; empty if none
/// does.
std::string similar_functions(std::string_view name);

/// "mean(x, axis=None, *, dtype=None, keepdims=False)"
std::string signature(const Function& function);

/// The table as Markdown.
std::string functions_table();

/// The numeric dtype of a name such as "float32", "f4", "<i2", "int". **Fails**: dtype_mismatch for carried
/// types; syntax_error, unsupported as parse_dtype.
Type numeric_dtype(std::string_view name);

}  // namespace morsel::app
