// The directory of a zip archive: which members there are and where their bytes stand.
#pragma once

#include <cstdint>
#include <morsel/io/file.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace morsel::inline MORSEL_ABI {

struct ZipMember {
  std::string name;  ///< as stored
  int method = 0;    ///< 0 stored, 8 deflate
  bool is_encrypted = false;
  bool is_symlink = false;  ///< a Unix symbolic link: the bytes are the path it leads to
  std::uint32_t crc32 = 0;  ///< of the bytes
  Index stored_bytes = 0;   ///< in the archive
  Index bytes = 0;          ///< unpacked
  Index header_offset = 0;  ///< of the local header
};

/// Members by name. Where a name occurs more than once the last one counts; directories ("a/") are left out.
///
/// **Source**: PKWARE APPNOTE 6.3.10, with Zip64 and with data before the archive.
class ZipDirectory {
 public:
  /// Reads the central directory. **Fails**: corrupt_data; unsupported for archives in several parts.
  explicit ZipDirectory(File file);

  const File& file() const { return file_; }
  /// Sorted by name.
  const std::vector<ZipMember>& members() const { return members_; }
  /// The member of that name, or null.
  const ZipMember* find(std::string_view name) const;
  /// Where the member's `stored_bytes` begin in the file; one small read. **Fails**: corrupt_data;
  /// unsupported for encrypted members.
  Index data_offset(const ZipMember& member) const;

 private:
  File file_;
  std::vector<ZipMember> members_;
  Index shift_ = 0;      // bytes before the archive
  Index end_bytes_ = 0;  // where the central directory begins
};

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/zip.ipp>
#endif
