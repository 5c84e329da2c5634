// How a call fails, as text: "overflow: adding ...", or "" if it does not.
#pragma once

#include <morsel/base/error.hpp>
#include <string>

namespace morsel_test {

template <class F>
std::string failure_of(F&& f) {
  try {
    f();
  } catch (const morsel::Error& error) {
    return std::string(morsel::name_of(error.code())) + ": " + error.what();
  }
  return {};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace morsel_test
