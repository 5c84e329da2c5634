#pragma once

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <morsel/base/error.hpp>
#include <new>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE std::string_view name_of(Errc code) {
  switch (code) {
    case Errc::invalid_argument:
      return "invalid_argument";
    case Errc::shape_mismatch:
      return "shape_mismatch";
    case Errc::dtype_mismatch:
      return "dtype_mismatch";
    case Errc::out_of_range:
      return "out_of_range";
    case Errc::overflow:
      return "overflow";
    case Errc::not_found:
      return "not_found";
    case Errc::already_exists:
      return "already_exists";
    case Errc::unsupported:
      return "unsupported";
    case Errc::corrupt_data:
      return "corrupt_data";
    case Errc::io_error:
      return "io_error";
    case Errc::source_changed:
      return "source_changed";
    case Errc::budget_too_small:
      return "budget_too_small";
    case Errc::cancelled:
      return "cancelled";
    case Errc::syntax_error:
      return "syntax_error";
    case Errc::user_error:
      return "user_error";
    case Errc::internal_error:
      return "internal_error";
  }
  return "unknown";
}

MORSEL_INLINE void rethrow_user_error(const std::string& doing) {
  const auto refuse = [&](const std::string& what) {
    fail(Errc::user_error, doing + ": a user's function threw; expected it to return, got '" + what + "'");
  };
  try {
    throw;
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    refuse(error.what());
  } catch (...) {
    refuse("something that is no std::exception");
  }
  std::abort();  // not reached
}

MORSEL_INLINE Error Error::during(std::string_view what) const {
  return Error(code_, std::string(what) + ": " + this->what(), system_error_);
}

MORSEL_INLINE bool Error::is_transient() const noexcept {
  if (code_ != Errc::io_error) return false;
  switch (system_error_) {
    case EIO:
    case EAGAIN:
    case ESTALE:
    case ETIMEDOUT:
    case ECONNRESET:
    case EREMOTEIO:
      return true;
    default:
      return false;
  }
}

MORSEL_INLINE void fail(Errc code, std::string message) { throw Error(code, std::move(message)); }

MORSEL_INLINE void fail_errno(int error_number, std::string doing) {
  const Errc code = error_number == ENOENT || error_number == ENOTDIR ? Errc::not_found : Errc::io_error;
  throw Error(code, std::move(doing) + ": " + std::strerror(error_number), error_number);
}

}  // namespace morsel::inline MORSEL_ABI
