#pragma once

#include <morsel/base/warning.hpp>
#include <mutex>

namespace morsel::inline MORSEL_ABI {
namespace detail {

struct WarningState {
  std::recursive_mutex mutex;
  WarningHandler handler;
};

MORSEL_INLINE WarningState& warning_state() {
  static WarningState state;
  return state;
}

}  // namespace detail

MORSEL_INLINE WarningHandler set_warning_handler(WarningHandler handler) {
  const std::lock_guard lock(detail::warning_state().mutex);
  std::swap(detail::warning_state().handler, handler);
  return handler;
}

MORSEL_INLINE void warn(std::string_view name, std::string_view message) {
  const std::lock_guard lock(detail::warning_state().mutex);
  if (detail::warning_state().handler) detail::warning_state().handler(name, message);
}

}  // namespace morsel::inline MORSEL_ABI
