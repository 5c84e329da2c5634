// SLICE on the command line.
#pragma once

#include <morsel/api/evaluate.hpp>
#include <string>

namespace morsel::app {

/// Items of a slice's text, none for "". **Fails**: UsageError naming the column.
SliceItems slice_items(const std::string& text);

/// The part of an array that a slice names; all of it for "".
Edge sliced(const Edge& edge, const std::string& text);

}  // namespace morsel::app
