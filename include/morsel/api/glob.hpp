// Patterns of paths: "runs/**/day???.h5".
#pragma once

#include <morsel/base/config.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// A pattern of paths whose parts are separated by '/'. In a part `*` stands for any characters, `?` for one,
/// `[a-c]` for one of several, and `\` makes the next character ordinary; a part `**` stands for any number
/// of parts, also none. Small and capital letters differ.
class Glob {
 public:
  /// **Fails**: invalid_argument for an empty pattern, and for ".." in it.
  explicit Glob(std::string_view pattern);

  bool matches(std::string_view path) const;
  /// False if nothing that begins with `path` and '/' can match.
  bool may_match_below(std::string_view path) const;

 private:
  std::vector<bool> positions_after(std::string_view path) const;
  std::vector<std::string> parts_;
};

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/glob.ipp>
#endif
