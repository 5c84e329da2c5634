// Small arrays for the tests of this folder, and their elements as text.
#pragma once

#include <cstdio>
#include <morsel/morsel.hpp>
#include <string>
#include <type_traits>
#if __has_include(<xtensor/xpad.hpp>)
#include <xtensor/xmanipulation.hpp>
#include <xtensor/xpad.hpp>
#else
#include <xtensor/misc/xmanipulation.hpp>
#include <xtensor/misc/xpad.hpp>
#endif
#if __has_include(<xtensor/xview.hpp>)
#include <xtensor/xview.hpp>
#else
#include <xtensor/views/xview.hpp>
#endif

namespace morsel_test {

/// 0, 1, 2, ... in C order.
template <class T>
morsel::LazyArray<T> counting(const morsel::Shape& shape, const morsel::ChunkSpec& chunks = {}) {
  std::vector<T> values(static_cast<std::size_t>(morsel::size_of(shape)));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>(i);
  morsel::ArrayOptions options;
  options.chunks = chunks;
  return morsel::from_array(std::move(values), shape, options);
}

/// "(2, 3): 0 1 2 3 4 5": shape and elements in C order.
template <class X>
std::string text_of_elements(const X& x) {
  std::string text = morsel::to_string(morsel::Shape(x.shape().begin(), x.shape().end())) + ":";
  for (const auto value : x) {
    char one[64];
    if constexpr (std::is_integral_v<std::remove_cvref_t<decltype(value)>>)
      std::snprintf(one, sizeof one, " %lld", static_cast<long long>(value));
    else
      std::snprintf(one, sizeof one, " %.9g", static_cast<double>(value));
    text += one;
  }
  return text;
}
template <class T>
std::string text_of(const morsel::LazyArray<T>& a) {
  return text_of_elements(a.compute());
}

}  // namespace morsel_test
