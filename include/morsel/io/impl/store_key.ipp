#pragma once

#include <morsel/io/store_key.hpp>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE void check_key(std::string_view key, std::string_view doing) {
  const auto refuse = [&](const char* what) {
    std::string shown;
    for (const char c : key) shown += c == '\0' ? std::string("\\0") : std::string(1, c);
    fail(Errc::invalid_argument, std::string(doing) + " '" + shown + "': " + what +
                                     "; expected a relative key of segments separated by '/', got '" + shown +
                                     "'");
  };
  if (key.empty()) refuse("empty key");
  if (key.front() == '/') refuse("absolute key");
  if (key.find('\0') != std::string_view::npos) refuse("NUL in a key");
  for (std::size_t begin = 0; begin <= key.size();) {
    const std::size_t end = std::min(key.find('/', begin), key.size());
    const std::string_view segment = key.substr(begin, end - begin);
    if (segment.empty()) refuse("empty segment in a key");
    if (segment == "." || segment == "..") refuse("'.' or '..' in a key");
    begin = end + 1;
  }
}

MORSEL_INLINE std::string tidy_path(std::string_view path, std::string_view doing) {
  std::string tidy;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    if (end > begin) {
      if (!tidy.empty()) tidy += '/';
      tidy += path.substr(begin, end - begin);
    }
    begin = end + 1;
  }
  if (!tidy.empty()) check_key(tidy, doing);
  return tidy;
}

MORSEL_INLINE std::string_view check_prefix(std::string_view prefix) {
  if (prefix.empty()) return prefix;
  if (prefix.back() == '/') prefix.remove_suffix(1);
  check_key(prefix, "listing");
  return prefix;
}

MORSEL_INLINE ByteRange resolve_range(ByteRange range, Index value_bytes, std::size_t room_bytes,
                                      std::string_view key) {
  if (range.clipped && range.offset >= 0) {
    range.offset = std::min(range.offset, value_bytes);
    range.length = std::min(range.length, value_bytes - range.offset);
  }
  const Index begin = range.offset < 0 ? value_bytes + range.offset : range.offset;
  const bool inside = begin >= 0 && begin <= value_bytes && range.length <= value_bytes - begin;
  if (!inside)
    fail(Errc::corrupt_data,
         "reading '" + std::string(key) + "': the value is too short; expected bytes " +
             std::to_string(range.offset) + " to " +
             (range.length < 0 ? std::string("the end") : "+" + std::to_string(range.length)) +
             " inside it, got " + std::to_string(value_bytes) + " bytes");
  const Index length = range.length < 0 ? value_bytes - begin : range.length;
  if (static_cast<std::size_t>(length) > room_bytes)
    fail(Errc::corrupt_data, "reading '" + std::string(key) +
                                 "': the value is larger than it can be; expected at most " +
                                 std::to_string(room_bytes) + " bytes, got " + std::to_string(length));
  return {begin, length};
}

MORSEL_INLINE std::optional<std::string> get_text(const AnyStore& store, std::string_view key,
                                                  std::size_t max_bytes) {
  // Most documents are short: one request instead of two.
  std::string text(std::min<std::size_t>(max_bytes, 4096), '\0');
  GetRequest first{
      key, {0, static_cast<Index>(text.size()), true}, std::as_writable_bytes(std::span<char>(text))};
  store.get({&first, 1}, {});
  if (!first.found) return std::nullopt;
  if (first.filled_bytes < text.size()) {
    text.resize(first.filled_bytes);
    return text;
  }
  // The value may be replaced by a longer one between asking for its size and reading it.
  for (int attempt = 0;; ++attempt) {
    const std::optional<Index> size = store.size(key);
    if (!size) return std::nullopt;
    if (static_cast<std::size_t>(*size) > max_bytes)
      fail(Errc::corrupt_data, "reading '" + std::string(key) + "': too large; expected at most " +
                                   std::to_string(max_bytes) + " bytes, got " + std::to_string(*size));
    text.assign(static_cast<std::size_t>(*size), '\0');
    GetRequest request;
    request.key = key;
    request.room = std::as_writable_bytes(std::span<char>(text));
    try {
      store.get(std::span<GetRequest>(&request, 1), {});
    } catch (const Error& e) {
      if (e.code() != Errc::corrupt_data || attempt == 4) throw;
      continue;
    }
    if (!request.found) return std::nullopt;
    text.resize(request.filled_bytes);
    return text;
  }
}

}  // namespace morsel::inline MORSEL_ABI
