#pragma once

#include <algorithm>
#include <morsel/io/chunk_sink.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

MORSEL_INLINE bool lies_in(const std::string& inner, const std::string& outer) {
  if (inner.compare(0, outer.size(), outer) != 0) return false;
  return inner.size() == outer.size() || inner[outer.size()] == '/' ||
         (!outer.empty() && outer.back() == '/');
}

}  // namespace detail

MORSEL_INLINE bool overlap(const AnyChunkSink& one, const AnyChunkSink& other) {
  if (one.identity() == other.identity()) return true;
  const std::vector<std::string> first = one.files(), second = other.files();
  return std::any_of(first.begin(), first.end(), [&](const std::string& a) {
    return std::any_of(second.begin(), second.end(),
                       [&](const std::string& b) { return detail::lies_in(a, b) || detail::lies_in(b, a); });
  });
}

MORSEL_INLINE bool writes_onto(const AnyChunkSink& sink, const AnyChunkSource& source) {
  if (sink.identity() == source.identity()) return true;
  const std::vector<std::string> written = sink.files(), read = source.files();
  return std::any_of(written.begin(), written.end(), [&](const std::string& w) {
    return std::any_of(read.begin(), read.end(),
                       [&](const std::string& r) { return detail::lies_in(w, r) || detail::lies_in(r, w); });
  });
}

}  // namespace morsel::inline MORSEL_ABI
