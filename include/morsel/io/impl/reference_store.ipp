#pragma once

#include <algorithm>
#include <cctype>
#include <list>
#include <memory>
#include <morsel/io/file.hpp>
#include <morsel/io/impl/reference_document.hpp>
#include <morsel/io/impl/sorted_keys.hpp>
#include <morsel/io/reference_store.hpp>
#include <morsel/io/store_key.hpp>
#include <mutex>
#include <unordered_map>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// The JSON of a document, unpacked if it is gzipped.
MORSEL_INLINE std::string read_reference_document(const File& file, std::size_t max_bytes,
                                                  const std::string& doing) {
  const auto too_large = [&](std::size_t bytes) {
    fail(Errc::corrupt_data, doing + ": too large; expected at most " + std::to_string(max_bytes) +
                                 " bytes, got " + std::to_string(bytes));
  };
  const auto file_bytes = static_cast<std::size_t>(file.size_bytes());
  if (file_bytes > max_bytes) too_large(file_bytes);
  std::string text(file_bytes, '\0');
  const auto bytes = std::as_writable_bytes(std::span<char>(text));
  file.read(0, bytes);
  file.version();
  file.require_unchanged();
  return is_gzip(bytes) ? gunzip(bytes, max_bytes, false, doing) : text;
}

/// The path that a URL stands for; nothing for other schemes than file.
MORSEL_INLINE std::optional<std::string> local_path_of(std::string_view url) {
  for (const std::string_view scheme : {"file://", "local://", "file:"})
    if (url.substr(0, scheme.size()) == scheme) return std::string(url.substr(scheme.size()));
  // "a://b", and "a::b" of chained file systems.
  std::size_t at = 0;
  while (at < url.size() && (std::isalnum(static_cast<unsigned char>(url[at])) || url[at] == '+' ||
                             url[at] == '-' || url[at] == '.'))
    ++at;
  if (at > 0 && (url.substr(at, 3) == "://" || url.substr(at, 2) == "::")) return std::nullopt;
  return std::string(url);
}

}  // namespace detail

struct ReferenceStore::State {
  static constexpr std::size_t most_open_files = 16;

  State(const std::string& document_path, const ReferenceStoreOptions& store_options)
      : options(store_options) {
    const File file(document_path);
    path = file.path();
    folder = path.substr(0, path.rfind('/') + 1);
    const std::string doing = "opening references '" + path + "'";
    document = detail::parse_references(
        detail::read_reference_document(file, options.max_document_bytes.count(), doing),
        options.max_generated_refs, doing);
  }

  std::string name() const { return "references '" + path + "'"; }

  const detail::Reference* find(std::string_view key) const {
    const auto key_of = [this](std::size_t i) { return document.key(i); };
    const std::size_t at = detail::first_key_from(document.refs.size(), key_of, key);
    return at < document.refs.size() && key_of(at) == key ? &document.refs[at] : nullptr;
  }

  bool is_inside(const std::string& file_path) const {
    return options.allow_outside || file_path.compare(0, folder.size(), folder) == 0;
  }

  /// The file of a URL, from the open ones if it is there.
  File file_of(std::uint32_t url);
  File open(const std::string& url) const;
  /// Where a reference into a file begins, and how long it is. **Fails**: corrupt_data outside of the file.
  ByteRange placed(const detail::Reference& ref, const File& file) const;

  ReferenceStoreOptions options;
  std::string path, folder;  // the folder with '/' at its end
  detail::ReferenceDocument document;
  std::mutex mutex;
  std::list<std::pair<std::uint32_t, File>> files;          // the last used first
  std::unordered_map<std::uint32_t, FileState> first_seen;  // so that reopening notices a change
};

MORSEL_INLINE File ReferenceStore::State::open(const std::string& url) const {
  const std::optional<std::string> local = detail::local_path_of(url);
  if (!local)
    fail(Errc::unsupported,
         name() + ": not a local file; expected a path or a file:// URL, got " + detail::shown_text(url));
  if (local->empty())
    fail(Errc::corrupt_data,
         name() + ": a reference without a path; expected one, got " + detail::shown_text(url));
  if (local->find('\0') != local->npos)
    fail(Errc::corrupt_data,
         name() + ": not a path; expected text without NUL, got " + detail::shown_text(url));
  const std::string target = canonical_path(local->front() == '/' ? *local : folder + *local);
  const auto require_inside = [&](const std::string& where) {
    if (!is_inside(where))
      fail(Errc::invalid_argument, name() + ": " + detail::shown_text(url) +
                                       " leads out of the folder of the document; expected a file below '" +
                                       folder + "' or the option allow_outside, got '" + where + "'");
  };
  require_inside(target);
  const File file(target);
  require_inside(file.path());  // a link may have been put there meanwhile
  return file;
}

MORSEL_INLINE File ReferenceStore::State::file_of(std::uint32_t url) {
  {
    const std::lock_guard lock(mutex);
    const auto known =
        std::find_if(files.begin(), files.end(), [url](const auto& entry) { return entry.first == url; });
    if (known != files.end()) {
      files.splice(files.begin(), files, known);
      return known->second;
    }
  }
  File file = open(document.urls[url]);
  std::list<std::pair<std::uint32_t, File>> closed;  // destroyed without the lock
  const std::lock_guard lock(mutex);
  const auto [seen, is_new] = first_seen.try_emplace(url, file.state());
  if (!is_new && !(seen->second == file.state()))
    fail(Errc::source_changed, "reading '" + file.path() +
                                   "': the file changed since it was first read; expected size " +
                                   std::to_string(seen->second.size_bytes) + " and the same time, got size " +
                                   std::to_string(file.size_bytes()));
  files.emplace_front(url, file);
  while (files.size() > most_open_files) closed.splice(closed.begin(), files, std::prev(files.end()));
  return file;
}

MORSEL_INLINE ByteRange ReferenceStore::State::placed(const detail::Reference& ref, const File& file) const {
  const Index size = file.size_bytes();
  if (ref.length < 0) return {0, size};
  if (ref.offset > size || ref.length > size - ref.offset)
    fail(Errc::corrupt_data, name() + ": a reference outside of its file; expected " +
                                 std::to_string(ref.length) + " bytes at " + std::to_string(ref.offset) +
                                 " of '" + file.path() + "', got a file of " + std::to_string(size));
  return {ref.offset, ref.length};
}

MORSEL_INLINE ReferenceStore::ReferenceStore(const std::string& path, const ReferenceStoreOptions& options)
    : state_(std::make_shared<State>(path, options)) {}

MORSEL_INLINE void ReferenceStore::get(std::span<GetRequest> requests, std::stop_token stop) const {
  State& state = *state_;
  for (GetRequest& request : requests) {
    check_key(request.key, "reading");
    if (stop.stop_requested()) fail(Errc::cancelled, "reading '" + std::string(request.key) + "': cancelled");
    request.filled_bytes = 0;
    const detail::Reference* ref = state.find(request.key);
    request.found = ref != nullptr;
    if (!ref) continue;
    if (ref->url == detail::no_url) {
      const ByteRange range = resolve_range(request.range, ref->length, request.room.size(), request.key);
      request.filled_bytes = static_cast<std::size_t>(range.length);
      const auto from =
          std::as_bytes(std::span(state.document.text))
              .subspan(static_cast<std::size_t>(ref->offset + range.offset), request.filled_bytes);
      std::copy(from.begin(), from.end(), request.room.begin());
      continue;
    }
    try {
      const File file = state.file_of(ref->url);
      const ByteRange value = state.placed(*ref, file);
      const ByteRange range = resolve_range(request.range, value.length, request.room.size(), request.key);
      request.filled_bytes = static_cast<std::size_t>(range.length);
      file.read(value.offset + range.offset, request.room.first(request.filled_bytes), FetchMode::wait, stop);
      file.version();
      file.require_unchanged();
    } catch (const Error& error) {
      throw error.during("reading '" + std::string(request.key) + "'");
    }
  }
}

MORSEL_INLINE std::optional<Index> ReferenceStore::size(std::string_view key) const {
  check_key(key, "asking for the size of");
  const detail::Reference* ref = state_->find(key);
  if (!ref) return std::nullopt;
  if (ref->length >= 0) return ref->length;
  try {
    return state_->file_of(ref->url).size_bytes();
  } catch (const Error& error) {
    throw error.during("asking for the size of '" + std::string(key) + "'");
  }
}

MORSEL_INLINE void ReferenceStore::put(std::string_view key, std::span<const std::byte>) const {
  check_key(key, "writing");
  detail::fail_read_only("writing", key, state_->name(), "a reference document");
}

MORSEL_INLINE void ReferenceStore::erase(std::string_view key) const {
  check_key(key, "erasing");
  detail::fail_read_only("erasing", key, state_->name(), "a reference document");
}

MORSEL_INLINE void ReferenceStore::list(std::string_view prefix,
                                        const std::function<void(std::string_view)>& visit) const {
  const detail::ReferenceDocument& document = state_->document;
  detail::list_sorted_keys(
      document.refs.size(), [&document](std::size_t i) { return document.key(i); }, check_prefix(prefix),
      visit);
}

MORSEL_INLINE std::string ReferenceStore::identity() const { return "reference:" + state_->path; }
MORSEL_INLINE const std::string& ReferenceStore::path() const { return state_->path; }

MORSEL_INLINE bool is_reference_document(std::span<const std::byte> head) {
  std::string unpacked;
  std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
  if (detail::is_gzip(head)) text = unpacked = detail::gunzip(head, 4096, true, "");
  std::size_t at = 0;
  const auto skip_spaces = [&] {
    while (at < text.size() && (text[at] == ' ' || (text[at] >= '\t' && text[at] <= '\r'))) ++at;
  };
  const auto take = [&](char c) {
    skip_spaces();
    if (at >= text.size() || text[at] != c) return false;
    ++at;
    return true;
  };
  const auto take_string = [&]() -> std::optional<std::string> {
    if (!take('"')) return std::nullopt;
    std::string value;
    for (; at < text.size() && text[at] != '"'; ++at) {
      if (text[at] == '\\' && at + 1 < text.size()) ++at;  // "\/" is a slash; others are in no such key
      value += text[at];
    }
    if (at >= text.size()) return std::nullopt;
    ++at;
    return value;
  };
  if (!take('{')) return false;
  bool has_version = false;
  do {
    const std::optional<std::string> key = take_string();
    if (!key || !take(':')) return false;
    skip_spaces();
    const char first = at < text.size() ? text[at] : '\0';
    if (*key == "refs") return first == '{';
    if (has_version && ((*key == "templates" && first == '{') || (*key == "gen" && first == '[')))
      return true;
    if (*key == "version") {
      const std::size_t begin = at;
      while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
      has_version = text.substr(begin, at - begin) == "1";
      if (!has_version) return false;
      continue;
    }
    const std::string name = key->substr(key->rfind('/') + 1);
    return (name == ".zgroup" || name == ".zattrs" || name == ".zarray" || name == "zarr.json") &&
           (first == '"' || first == '{' || first == '[');
  } while (take(','));
  return false;
}

}  // namespace morsel::inline MORSEL_ABI
