#include "slice_argument.hpp"

#include "session.hpp"

namespace morsel::app {

SliceItems slice_items(const std::string& text) {
  if (text.find_first_not_of(" \t[]") == std::string::npos) return {};
  try {
    return parse_slice(text);
  } catch (const Error& error) {
    if (error.code() == Errc::syntax_error) throw UsageError(error.what());
    throw;
  }
}

Edge sliced(const Edge& edge, const std::string& text) {
  const SliceItems items = slice_items(text);
  return items.empty() ? edge : slice(edge, items);
}

}  // namespace morsel::app
