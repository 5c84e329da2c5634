// The one exception type of the library: a code to branch on and a message to read.
#pragma once

#include <morsel/base/config.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

namespace morsel::inline MORSEL_ABI {

/// What went wrong, in words a program can branch on.
enum class Errc {
  invalid_argument,  ///< a call that makes no sense: impossible shape, chunk spec, axis, option
  shape_mismatch,    ///< shapes that do not broadcast or do not fit
  dtype_mismatch,    ///< a dtype other than the one asked for, or one the operation does not support
  out_of_range,      ///< an index or slice outside the array
  overflow,          ///< a size that does not fit 63 bits
  not_found,         ///< file, key, member or dataset is absent
  already_exists,    ///< a target that would be overwritten
  unsupported,       ///< recognised, but not something this build can do
  corrupt_data,      ///< truncated or damaged input
  io_error,          ///< the operating system refused
  source_changed,    ///< a file changed between open and the end of a run
  budget_too_small,  ///< no plan fits; the message names the smallest budget that would do
  cancelled,         ///< stopped on request
  syntax_error,      ///< text that does not parse: slices, expressions, byte sizes
  user_error,        ///< an exception thrown by the user's own function
  internal_error,    ///< a bug in morsel
};

/// The stable name of a code: "budget_too_small".
std::string_view name_of(Errc code);

/// Carries a code and a message of the form
/// `<doing what>: <what is wrong>; expected <x>, got <y>`.
class Error : public std::runtime_error {
 public:
  Error(Errc code, std::string message, int system_error = 0)
      : std::runtime_error(std::move(message)), code_(code), system_error_(system_error) {}
  Errc code() const noexcept { return code_; }
  /// The errno behind an io_error, 0 if there is none.
  int system_error() const noexcept { return system_error_; }
  /// True if trying again may help: a device or network that failed for the moment.
  bool is_transient() const noexcept;
  /// The same error with "<what>: " put in front of the message.
  Error during(std::string_view what) const;

 private:
  Errc code_;
  int system_error_ = 0;
};

/// Throws `Error{code, message}`; keeps call sites one line and out of the hot path.
[[noreturn]] void fail(Errc code, std::string message);

/// Inside a catch block around a user's function: throws on what is an Error or exhausted memory, anything
/// else as user_error "<doing>: a user's function threw; expected it to return, got '<its message>'".
[[noreturn]] void rethrow_user_error(const std::string& doing);

/// An IO error with the reason of `error_number` (an errno value) appended: "<doing>: No such file or
/// directory".
[[noreturn]] void fail_errno(int error_number, std::string doing);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/base/impl/error.ipp>
#endif
