// Options of a format, taken one by one. For the bodies of formats alone.
#pragma once

#include <algorithm>
#include <morsel/base/error.hpp>
#include <morsel/io/format.hpp>
#include <optional>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI::detail {

/// Takes options one by one; `finish` refuses those that nobody took.
class OptionReader {
 public:
  OptionReader(const FormatOptions& options, std::string doing)
      : options_(options), doing_(std::move(doing)) {}
  /// The value if it is one of `allowed` (any, if there are none).
  std::optional<std::string> take(const std::string& name, const std::vector<std::string>& allowed = {}) {
    known_ += (known_.empty() ? "" : ", ") + name;
    std::optional<std::string> value;
    for (std::size_t i = 0; i < options_.size(); ++i) {
      if (options_[i].first != name) continue;
      value = options_[i].second;
      options_.erase(options_.begin() + static_cast<std::ptrdiff_t>(i--));
    }
    if (!value || allowed.empty() || std::find(allowed.begin(), allowed.end(), *value) != allowed.end())
      return value;
    std::string list;
    for (const std::string& text : allowed) list += (list.empty() ? "" : " or ") + text;
    fail(Errc::invalid_argument,
         doing_ + ": bad option " + name + "; expected " + list + ", got '" + *value + "'");
  }
  void finish() const {
    if (options_.empty()) return;
    fail(Errc::invalid_argument, doing_ + ": unknown option; expected one of " + known_ + ", got " +
                                     options_[0].first + "=" + options_[0].second);
  }

 private:
  FormatOptions options_;
  std::string doing_, known_;
};

}  // namespace morsel::inline MORSEL_ABI::detail
