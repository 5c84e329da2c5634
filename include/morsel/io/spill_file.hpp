// An array between two passes that does not fit the budget: a nameless temporary file, written by regions and
// read by regions.
#pragma once

#include <memory>
#include <morsel/io/chunk_source.hpp>
#include <string>

namespace morsel::inline MORSEL_ABI {

/// The folder of spill files: MORSEL_SPILL_DIR, else TMPDIR, else /tmp.
std::string spill_folder();

/// C-order elements in a file that has no name: it is gone when the last handle goes, whatever happens.
class SpillFile {
 public:
  SpillFile(DType dtype, const Shape& shape);
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;
  ~SpillFile();

  /// Makes the file in spill_folder(). **Fails**: io_error naming the folder.
  void create();
  /// Writes the elements of a region, which lie in C order. **Threads**: any. **Fails**: io_error (disk
  /// full).
  void write(const Region& region, const BufferView& values);
  /// Fills room with a region's elements in C order.
  Index read(const Region& region, std::span<std::byte> room) const;
  const DType& dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }

 private:
  DType dtype_;
  Shape shape_;
  int descriptor_ = -1;
};

/// A source of the file's elements. Regions may be read once they have been written.
AnyChunkSource spill_source(std::shared_ptr<const SpillFile> file);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/spill_file.ipp>
#endif
