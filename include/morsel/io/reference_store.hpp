// A store whose values stand in other files: kerchunk's JSON references, read-only.
#pragma once

#include <memory>
#include <morsel/base/bytes.hpp>
#include <morsel/io/store.hpp>

namespace morsel::inline MORSEL_ABI {

struct ReferenceStoreOptions {
  bool allow_outside = false;            ///< references may lead out of the folder of the document
  Bytes max_document_bytes = 512 * MiB;  ///< unpacked
  Index max_generated_refs = 1'000'000;  ///< that "gen" may expand to
};

/// The values that a JSON document refers to: text, base64 or a JSON object in the document itself, a whole
/// local file, or a range of bytes of one. Version 0 (a bare object of references) and version 1 (with
/// "templates" and "gen"), plain or gzipped.
///
/// Paths are absolute, "file://" URLs (taken literally) or relative to the folder of the document, and may
/// not leave that folder, symbolic links followed, unless `allow_outside`. In templates, {{name}} is
/// replaced; in "gen" also integer expressions of the dimensions with + - * // % and parentheses; other
/// Jinja is refused (unsupported) when the document is opened. Other URLs (http, s3, ...) are refused
/// (unsupported) when they are read, and so are `put` and `erase`. Of equal keys the last counts, "gen" after
/// "refs".
///
/// A referred file that is absent is an error, never a missing key. Holds at most 16 files open between
/// calls; a file that changed since it was first read is source_changed.
///
/// **Fails**: not_found; io_error; corrupt_data for a damaged document, nesting deeper than 256 levels, keys
/// that are none, ranges outside of their file; invalid_argument for a path that leaves the folder;
/// unsupported.
/// **Source**: kerchunk, "References specification", versions 0 and 1.
class ReferenceStore {
 public:
  explicit ReferenceStore(const std::string& path, const ReferenceStoreOptions& options = {});
  void get(std::span<GetRequest> requests, std::stop_token stop) const;
  /// Of a range the length that the document gives: the file is not looked at.
  std::optional<Index> size(std::string_view key) const;
  [[noreturn]] void put(std::string_view key, std::span<const std::byte> value) const;
  [[noreturn]] void erase(std::string_view key) const;
  void list(std::string_view prefix, const std::function<void(std::string_view)>& visit) const;
  /// "reference:" and the canonical path of the document.
  std::string identity() const;
  const std::string& path() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};
static_assert(Store<ReferenceStore>);

/// Whether a file that begins with these bytes (some hundreds are enough) looks like a reference document,
/// plain or gzipped. Zarr's own documents do not.
bool is_reference_document(std::span<const std::byte> head);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/reference_store.ipp>
#endif
