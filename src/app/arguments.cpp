// Arguments of calls: matched with a signature, converted with messages that name function and parameter.
#include <algorithm>
#include <limits>
#include <numeric>

#include "functions.hpp"
#include "scalar.hpp"

namespace morsel::app {
namespace {

std::string names_of(const Function& function) {
  std::string out;
  for (const Parameter& parameter : function.parameters) out += (out.empty() ? "" : ", ") + parameter.name;
  return out;
}

bool answers_to(const Parameter& parameter, const std::string& name) {
  return parameter.name == name ||
         std::find(parameter.aliases.begin(), parameter.aliases.end(), name) != parameter.aliases.end();
}

std::optional<Index> integer_of(const Value& value) {
  const Scalar* scalar = value.scalar();
  if (!scalar || scalar->kind > WeakKind::integer || scalar->is_unsigned) return std::nullopt;
  return scalar->integer;
}

}  // namespace

Arguments::Arguments(const Function& function, std::vector<Argument> positional,
                     std::vector<std::pair<std::string, Argument>> named)
    : function_(&function), arguments_(function.parameters.size()), given_(function.parameters.size()) {
  const std::size_t count = function.parameters.size();
  if (function.spreads && positional.size() > 2) {
    Sequence rest;
    for (std::size_t i = 1; i < positional.size(); ++i) rest.items.push_back(std::move(positional[i].value));
    positional[1].value = Value(std::move(rest));
    positional.resize(2);
  }
  std::size_t most = 0;
  while (most < count && !function.parameters[most].named_only) ++most;
  if (positional.size() > most)
    throw LocatedError(positional[most].column, Errc::invalid_argument,
                       function.name + ": too many arguments; expected " + signature(function) + ", got " +
                           std::to_string(positional.size()) + " without a name");
  for (std::size_t i = 0; i < positional.size(); ++i) {
    arguments_[i] = std::move(positional[i]);
    given_[i] = true;
  }
  for (auto& [name, argument] : named) {
    std::size_t i = 0;
    while (i < count && !answers_to(function.parameters[i], name)) ++i;
    if (i == count)
      throw LocatedError(
          argument.column, Errc::invalid_argument,
          function.name + ": no argument '" + name + "'; expected " + names_of(function) + ", got " + name);
    if (given_[i])
      throw LocatedError(argument.column, Errc::invalid_argument,
                         function.name + ": the argument " + function.parameters[i].name +
                             " is given twice; expected it once");
    arguments_[i] = std::move(argument);
    given_[i] = true;
  }
  for (std::size_t i = 0; i < count; ++i)
    if (!given_[i] && function.parameters[i].otherwise.empty())
      fail(Errc::invalid_argument, function.name + ": the argument " + function.parameters[i].name +
                                       " is missing; expected " + signature(function));
}

void Arguments::refuse(std::size_t i, const std::string& expected) const {
  throw LocatedError(arguments_[i].column, Errc::invalid_argument,
                     function_->name + ": " + function_->parameters[i].name + " is not usable; expected " +
                         expected + ", got " + described(value(i)));
}

Edge Arguments::array(std::size_t i) const {
  if (value(i).is_none() || value(i).text()) refuse(i, "an array");
  return array_of(value(i));
}

Edge Arguments::array(std::size_t i, Type type) const {
  if (value(i).edge()) return astype(*value(i).edge(), type);
  if (value(i).is_none() || value(i).text()) refuse(i, "an array");
  try {
    return array_of(value(i), type);
  } catch (const Error& error) {
    throw LocatedError(arguments_[i].column, error.code(), function_->name + ": " + error.what());
  }
}

Operand Arguments::operand(std::size_t i) const {
  if (const Scalar* scalar = value(i).scalar()) return *scalar;
  return array(i);
}

std::vector<Edge> Arguments::arrays(std::size_t i) const {
  const Sequence* sequence = value(i).sequence();
  if (!sequence || sequence->items.empty()) refuse(i, "a list of arrays");
  std::vector<Edge> out;
  for (const Value& item : sequence->items) {
    if (item.is_none() || item.text()) refuse(i, "a list of arrays");
    out.push_back(array_of(item));
  }
  return out;
}

Index Arguments::integer(std::size_t i) const {
  const auto integer = integer_of(value(i));
  if (!integer) refuse(i, "an integer");
  return *integer;
}

double Arguments::number(std::size_t i) const {
  const Scalar* scalar = value(i).scalar();
  if (!scalar || scalar->kind == WeakKind::complex) refuse(i, "a real number");
  return real_of(*scalar);
}

bool Arguments::flag(std::size_t i) const {
  const Scalar* scalar = value(i).scalar();
  if (!scalar || scalar->kind > WeakKind::integer) refuse(i, "True or False");
  return scalar->integer != 0;
}

std::vector<Index> Arguments::integers(std::size_t i) const {
  if (const auto integer = integer_of(value(i))) return {*integer};
  const Sequence* sequence = value(i).sequence();
  if (!sequence) refuse(i, "an integer or a list of integers");
  std::vector<Index> out;
  for (const Value& item : sequence->items) {
    const auto integer = integer_of(item);
    if (!integer) refuse(i, "an integer or a list of integers");
    out.push_back(*integer);
  }
  return out;
}

Type Arguments::dtype(std::size_t i) const {
  const std::string* text = value(i).text();
  if (!text) refuse(i, "a dtype such as 'float32', 'i4' or bool");
  try {
    return numeric_dtype(*text);
  } catch (const Error& error) {
    throw LocatedError(arguments_[i].column, error.code(), function_->name + ": " + error.what());
  }
}

ChunkSpec Arguments::chunks(std::size_t i) const {
  const auto axis_of = [&](const Value& item) -> AxisChunks {
    if (const auto integer = integer_of(item)) return *integer;
    if (const std::string* text = item.text()) return AxisChunks(text->c_str());
    if (const Sequence* lengths = item.sequence()) {
      std::vector<Index> list;
      for (const Value& length : lengths->items) {
        const auto integer = integer_of(length);
        if (!integer) refuse(i, "chunk lengths such as 100, (100, -1) or ((3, 4), 10)");
        list.push_back(*integer);
      }
      return list;
    }
    refuse(i, "chunk lengths such as 100, (100, -1), 'auto' or '64MiB'");
  };
  if (const auto integer = integer_of(value(i))) return *integer;
  if (const std::string* text = value(i).text()) return ChunkSpec::parse(*text);
  const Sequence* sequence = value(i).sequence();
  if (!sequence) refuse(i, "chunk lengths such as 100, (100, -1), 'auto' or '64MiB'");
  std::vector<AxisChunks> axes;
  for (const Value& item : sequence->items) axes.push_back(axis_of(item));
  return axes;
}

std::vector<Index> Arguments::axes(std::size_t i, std::size_t rank) const {
  if (!given(i) || value(i).is_none()) return all_axes(rank);
  return integers(i);
}

}  // namespace morsel::app
