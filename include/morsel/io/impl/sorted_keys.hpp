// What stores with a fixed set of keys share: finding and listing in a sorted sequence. For their bodies
// alone.
#pragma once

#include <cstddef>
#include <functional>
#include <morsel/base/error.hpp>
#include <string>
#include <string_view>

namespace morsel::inline MORSEL_ABI::detail {

/// The first i in [0, count) whose key is not below `wanted`; `count` if there is none. key_of(i) ascends.
template <class KeyOf>
std::size_t first_key_from(std::size_t count, const KeyOf& key_of, std::string_view wanted) {
  std::size_t lo = 0, hi = count;
  while (lo < hi) {
    const std::size_t middle = lo + (hi - lo) / 2;
    if (key_of(middle) < wanted)
      lo = middle + 1;
    else
      hi = middle;
  }
  return lo;
}

/// Calls back with the keys directly below `directory` ("" or a checked prefix), directories with '/' at the
/// end, sorted. **Cost**: O(log count) per directory found, O(1) per key.
template <class KeyOf>
void list_sorted_keys(std::size_t count, const KeyOf& key_of, std::string_view directory,
                      const std::function<void(std::string_view)>& visit) {
  const std::string start = directory.empty() ? std::string() : std::string(directory) + "/";
  for (std::size_t i = first_key_from(count, key_of, start); i < count;) {
    const std::string_view key = key_of(i);
    if (key.substr(0, start.size()) != start) return;
    const std::size_t slash = key.find('/', start.size());
    if (slash == std::string_view::npos) {
      visit(key);
      ++i;
    } else {
      visit(key.substr(0, slash + 1));
      // '0' follows '/': the first key that is not below this directory.
      i = first_key_from(count, key_of, std::string(key.substr(0, slash)) + "0");
    }
  }
}

[[noreturn]] inline void fail_read_only(std::string_view doing, std::string_view key,
                                        const std::string& store, std::string_view kind) {
  fail(Errc::unsupported, std::string(doing) + " '" + std::string(key) + "' in " + store + ": " +
                              std::string(kind) +
                              " is read-only; expected a store that can be written, got " + store);
}

}  // namespace morsel::inline MORSEL_ABI::detail
