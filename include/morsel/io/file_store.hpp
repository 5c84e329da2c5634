// A store that is a directory: keys are paths below it.
#pragma once

#include <memory>
#include <morsel/io/store.hpp>

namespace morsel::inline MORSEL_ABI {

struct FileStoreOptions {
  bool fsync = false;  ///< put and erase return when value and directory entries are on the disk
};

/// The files below a directory. `put` writes a temporary file beside the target and renames it, creating
/// directories as needed; temporary files are never listed or read. Symbolic links are followed inside the
/// root; one that leads out of it is refused (invalid_argument). A root that does not exist is an empty store
/// until the first `put`.
///
/// Holds no descriptor between calls. **Fails**: io_error naming path and reason; invalid_argument for bad
/// keys.
class FileStore {
 public:
  explicit FileStore(const std::string& root, const FileStoreOptions& options = {});
  void get(std::span<GetRequest> requests, std::stop_token stop) const;
  std::optional<Index> size(std::string_view key) const;
  /// Of size, times and inode. Nothing while the file is so young that it may change and keep its time.
  std::optional<std::uint64_t> stamp(std::string_view key) const;
  void put(std::string_view key, std::span<const std::byte> value) const;
  /// Removing what does not exist is no error. Directories stay.
  void erase(std::string_view key) const;
  void list(std::string_view prefix, const std::function<void(std::string_view)>& visit) const;
  /// "file:" and the canonical path.
  std::string identity() const { return "file:" + root_; }
  const std::string& root() const { return root_; }

 private:
  std::string root_;
  FileStoreOptions options_;
};
static_assert(Store<FileStore>);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/file_store.ipp>
#endif
