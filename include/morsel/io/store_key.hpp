// What every store shares: which keys are valid, and what a byte range means for a value of known size.
#pragma once

#include <morsel/io/store.hpp>

namespace morsel::inline MORSEL_ABI {

/// Checks a key: '/'-separated, relative, no empty, "." or ".." segment, no NUL. `doing` starts the message.
/// **Fails**: invalid_argument.
void check_key(std::string_view key, std::string_view doing);

/// A path without empty segments ("/a//b/" as "a/b"), "" for the root, checked like a key. **Fails**:
/// invalid_argument.
std::string tidy_path(std::string_view path, std::string_view doing);

/// A prefix to list: "" or a key, one '/' at its end allowed and removed. **Fails**: invalid_argument.
std::string_view check_prefix(std::string_view prefix);

/// The bytes [offset, offset + length) of a value of `value_bytes` that `range` means, offset and length
/// filled in.
/// **Fails**: corrupt_data if the range is not inside the value or longer than `room_bytes`, naming key and
/// sizes.
ByteRange resolve_range(ByteRange range, Index value_bytes, std::size_t room_bytes, std::string_view key);

namespace detail {
/// "base/name"; either may be empty.
inline std::string joined(std::string_view base, std::string_view name) {
  return base.empty()   ? std::string(name)
         : name.empty() ? std::string(base)
                        : std::string(base) + "/" + std::string(name);
}
}  // namespace detail

/// The path in the identity of a store of files, "file:/data/a.zarr"; others as they are.
inline std::string place_of_identity(const std::string& identity) {
  return identity.starts_with("file:") ? identity.substr(5) : identity;
}

/// A whole value in fresh memory, nothing if there is none. For metadata: chunks go through `get` into booked
/// memory.
/// **Fails**: corrupt_data if it is larger than `max_bytes`.
std::optional<std::string> get_text(const AnyStore& store, std::string_view key,
                                    std::size_t max_bytes = std::size_t{64} << 20);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/store_key.ipp>
#endif
