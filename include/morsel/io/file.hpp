// A file open for reading: positional reads that say exactly what went wrong, on descriptors that are shared
// per file and capped in number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <morsel/base/checked.hpp>
#include <morsel/io/chunk_source.hpp>
#include <span>
#include <string>

namespace morsel::inline MORSEL_ABI {

/// What tells one state of a file from another.
struct FileState {
  Index size_bytes = 0;
  Index mtime_ns = 0;
  std::uint64_t device = 0, inode = 0;
  friend bool operator==(const FileState&, const FileState&) = default;
};

namespace detail {
struct OpenFile;
}

/// A shared handle on a regular file in the state that it had when it was opened. Usable while any copy
/// lives: a descriptor that was closed to stay below the limit is reopened when it is needed, and the state
/// compared.
///
/// **Threads**: every member may be called from many threads at once.
class File {
 public:
  File() = default;
  /// **Fails**: not_found; io_error; invalid_argument for anything but a regular file.
  explicit File(const std::string& path);

  explicit operator bool() const { return file_ != nullptr; }
  /// Absolute, without symbolic links; later changes of the working directory do not matter.
  const std::string& path() const;
  /// The state at opening.
  const FileState& state() const;
  Index size_bytes() const { return state().size_bytes; }

  /// Fills `room` with the bytes at `offset`. Returns false, with `room` in an unspecified state, only for
  /// `cached_only` when not all of them are in the page cache. Where the kernel cannot tell, it waits.
  /// **Fails**: cancelled when `stop` is requested; io_error; corrupt_data beyond the end of the file;
  /// source_changed if the file is seen to differ from what was opened.
  bool read(Index offset, std::span<std::byte> room, FetchMode mode = FetchMode::wait,
            const std::stop_token& stop = {}) const;

  /// The state of the file at its path now, as text: equal strings mean equal contents. Once it differed from
  /// the state at opening, reads fail with source_changed.
  std::string version() const;

  /// **Fails**: source_changed once `version` has seen another state than at opening. **Cost**: no system
  /// call.
  void require_unchanged() const;

  /// The whole file in memory, read-only; unmapped when the last copy of the pointer goes. Null for an empty
  /// file. Touching it after another process has cut the file short ends the program with SIGBUS.
  std::shared_ptr<std::byte> map() const;

  /// Tells the kernel that the page cache of these bytes is no longer needed. Never fails.
  void drop_cache(Index offset, Index length) const;

 private:
  std::shared_ptr<detail::OpenFile> file_;
};

/// The absolute path without symbolic links, "." and ".."; parts at the end that do not exist are kept as
/// they are.
std::string canonical_path(const std::string& path);

/// Descriptors that `File`s hold at the moment, and how many they may hold: 256, or half of what the process
/// may open if that is less. Reads in flight may exceed the limit for as long as they last.
std::size_t open_file_count();
std::size_t open_file_limit();

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/file.ipp>
#endif
