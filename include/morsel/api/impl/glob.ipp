#pragma once

#include <fnmatch.h>

#include <morsel/api/glob.hpp>
#include <morsel/base/error.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// Calls f with each part of a path; those between two '/' that are empty are none.
template <class F>
void for_each_part(std::string_view path, F&& f) {
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    if (end > begin) f(path.substr(begin, end - begin));
    begin = end + 1;
  }
}

}  // namespace detail

MORSEL_INLINE Glob::Glob(std::string_view pattern) {
  const std::string given(pattern);
  detail::for_each_part(pattern, [&](std::string_view part) {
    if (part == "..")
      fail(Errc::invalid_argument,
           "reading pattern '" + given + "': it leads upwards; expected no '..', got one");
    if (part != ".") parts_.emplace_back(part);
  });
  if (parts_.empty() || given.front() == '/' || given.find('\0') != std::string::npos)
    fail(Errc::invalid_argument,
         "reading pattern '" + given.substr(0, given.find('\0')) +
             "': not a pattern of relative paths; expected one such as '**/*.h5', "
             "got " +
             (given.empty() ? "nothing" : "'" + given.substr(0, given.find('\0')) + "'"));
}

/// Which parts of the pattern may come next, as an automaton that reads the path: linear, whatever the number
/// of `**`.
MORSEL_INLINE std::vector<bool> Glob::positions_after(std::string_view path) const {
  const std::size_t count = parts_.size();
  std::vector<bool> here(count + 1);
  const auto skip_any = [&](std::vector<bool>& at) {
    for (std::size_t i = 0; i < count; ++i)
      if (at[i] && parts_[i] == "**") at[i + 1] = true;
  };
  here[0] = true;
  skip_any(here);
  detail::for_each_part(path, [&](std::string_view part) {
    const std::string text(part);
    std::vector<bool> next(count + 1);
    for (std::size_t i = 0; i < count; ++i) {
      if (!here[i]) continue;
      if (parts_[i] == "**")
        next[i] = true;
      else if (::fnmatch(parts_[i].c_str(), text.c_str(), 0) == 0)
        next[i + 1] = true;
    }
    skip_any(next);
    here = std::move(next);
  });
  return here;
}

MORSEL_INLINE bool Glob::matches(std::string_view path) const { return positions_after(path).back(); }

MORSEL_INLINE bool Glob::may_match_below(std::string_view path) const {
  const std::vector<bool> at = positions_after(path);
  for (std::size_t i = 0; i < parts_.size(); ++i)
    if (at[i]) return true;
  return false;
}

}  // namespace morsel::inline MORSEL_ABI
