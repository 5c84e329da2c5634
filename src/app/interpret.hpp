// From the tree of an expression to a value: arrays become nodes of a graph, numbers are folded. Nothing is
// read.
#pragma once

#include <functional>
#include <optional>

#include "expression.hpp"
#include "functions.hpp"

namespace morsel::app {

/// The value of a user's name; nothing if there is none. Asked only for names that the expression uses.
using Lookup = std::function<std::optional<Value>(const std::string& name)>;

/// The value of an expression. **Fails**: as the operations do, with "column N: " in front.
Value interpret(const Expr& expr, const Lookup& lookup);

}  // namespace morsel::app
