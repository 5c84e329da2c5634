#include <algorithm>
#include <map>

#include "commands.hpp"
#include "interpret.hpp"
#include "open_source.hpp"
#include "write_result.hpp"

namespace morsel::app {
namespace {

bool is_identifier(const std::string& name) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && is_letter(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9');
  });
}

/// name=SRC, split at the first '='.
std::map<std::string, std::string> parse_inputs(const std::vector<std::string>& inputs) {
  std::map<std::string, std::string> sources;
  for (const std::string& input : inputs) {
    const std::size_t equals = input.find('=');
    if (equals == std::string::npos)
      throw UsageError("input '" + input + "': no name; expected name=SRC, got " + input);
    const std::string name = input.substr(0, equals);
    if (!is_identifier(name))
      throw UsageError("input '" + input + "': not a name; expected letters, digits and _ before '=', got '" +
                       name + "'");
    if (equals + 1 == input.size())
      throw UsageError("input '" + input + "': no source; expected a path after '='");
    if (!sources.emplace(name, input.substr(equals + 1)).second)
      throw UsageError("input '" + input + "': the name " + name + " is given twice; expected it once");
  }
  return sources;
}

}  // namespace

void eval(Session& session, const EvalArguments& arguments) {
  if (arguments.functions) {
    session.out << functions_table();
    return;
  }
  if (arguments.expression.empty())
    throw UsageError("eval: no expression; expected one such as 'mean(a, axis=0)' a=SRC");
  const std::map<std::string, std::string> sources = parse_inputs(arguments.inputs);
  ExprPtr expression;
  ChunkSpec chunks;
  try {
    expression = parse_expression(arguments.expression);
  } catch (const Error& error) {
    throw UsageError("eval '" + arguments.expression + "': " + error.what());
  }
  if (!arguments.chunks.empty()) {
    try {
      chunks = ChunkSpec::parse(arguments.chunks);
    } catch (const Error& error) {
      throw UsageError(std::string("--chunks: ") + error.what());
    }
  }
  // A name that is used twice is opened once.
  std::map<std::string, Edge> opened;
  const Lookup lookup = [&](const std::string& name) -> std::optional<Value> {
    const auto source = sources.find(name);
    if (source == sources.end()) return std::nullopt;
    auto edge = opened.find(name);
    if (edge == opened.end()) {
      const std::string path = source_path(source->second, session.dataset);
      const OpenedEdge input = arguments.part.any() ? open_part(path, arguments.part, chunks)
                                                    : open_edge(path, Values::computed_with, chunks);
      edge = opened.emplace(name, input.edge).first;
    }
    return Value(edge->second);
  };
  try {
    const Value value = interpret(*expression, lookup);
    if (value.is_none() || value.text())
      throw LocatedError(expression->column, Errc::invalid_argument,
                         "not an array; expected an array or numbers as the result, got " + described(value));
    write_result(session, AnyLazyArray(array_of(value)), arguments.out, Existing::replace);
  } catch (const Error& error) {
    throw error.during("eval '" + arguments.expression + "'");
  }
}

}  // namespace morsel::app
