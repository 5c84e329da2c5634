// A store that is a zip archive, read-only: keys are the names of its members.
#pragma once

#include <memory>
#include <morsel/io/store.hpp>
#include <morsel/io/zip.hpp>

namespace morsel::inline MORSEL_ABI {

struct ZipStoreOptions {
  std::string prefix;  ///< keys are relative to this folder of the archive; "" is all of it
};

/// The members of a zip archive. Ranges of a stored member are read from the file straight into the room; a
/// deflated one is inflated from its beginning up to the end of the range, in fixed memory (ranges of one
/// `get` share a pass). Whenever a member is read to its end from its beginning, its CRC-32 is compared.
///
/// Members whose names are no keys ("../a", "/a", "a//b", "a\b") are not members of the store. So that they
/// never pass for missing chunks, a key that such a name spells in a tolerant reader is refused
/// (corrupt_data), as is a symbolic link and every key below it (unsupported). `put` and `erase` are refused
/// (unsupported).
///
/// **Fails**: not_found; io_error; corrupt_data for damage, naming archive and member; unsupported for
/// encryption, for compression other than deflate; source_changed once the archive differs from what was
/// opened.
class ZipStore {
 public:
  explicit ZipStore(const std::string& path, const ZipStoreOptions& options = {});
  void get(std::span<GetRequest> requests, std::stop_token stop) const;
  std::optional<Index> size(std::string_view key) const;
  [[noreturn]] void put(std::string_view key, std::span<const std::byte> value) const;
  [[noreturn]] void erase(std::string_view key) const;
  void list(std::string_view prefix, const std::function<void(std::string_view)>& visit) const;
  /// "zip:" and the canonical path; "#" and the prefix if there is one.
  std::string identity() const;

  /// For an archive of a folder instead of its contents: the first folder from the root that holds a Zarr or
  /// N5 metadata document, going down as long as there is nothing else but one folder (junk of file managers
  /// aside). "" if the root itself holds one or there is no such folder.
  std::string nested_root() const;
  const File& file() const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};
static_assert(Store<ZipStore>);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/zip_store.ipp>
#endif
