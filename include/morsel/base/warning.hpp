// Things a user may want to know that are not errors. The library prints nothing: they go to one handler.
#pragma once

#include <functional>
#include <morsel/base/config.hpp>
#include <string>
#include <string_view>

namespace morsel::inline MORSEL_ABI {

/// Called with a warning's name ("fewer_threads", "rereads", "spill", "chunks_cut", "no_trace") and a
/// sentence.
using WarningHandler = std::function<void(std::string_view name, std::string_view message)>;

/// Sets the process-wide handler; an empty one (the default) ignores warnings. Gives the former one.
WarningHandler set_warning_handler(WarningHandler handler);

/// Hands a warning to the handler. **Threads**: any; the handler is never called from two at once.
void warn(std::string_view name, std::string_view message);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/base/impl/warning.ipp>
#endif
