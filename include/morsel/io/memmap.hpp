// Raw binary files as arrays: elements of one type, or one member of records, at a fixed place in a file.
#pragma once

#include <cstdint>
#include <morsel/io/opened_array.hpp>
#include <morsel/io/raw_source.hpp>
#include <optional>
#include <string>

namespace morsel::inline MORSEL_ABI {

enum class ByteOrder : std::uint8_t { native, little, big };

struct MemmapOptions {
  Shape shape = {-1};                        ///< one extent may be -1: as many as the file holds
  Index offset = 0;                          ///< bytes before the first element or record
  ByteOrder byte_order = ByteOrder::native;  ///< of every number in the file
  ElementOrder order = ElementOrder::C;
  std::optional<DType> dtype = {};  ///< where no element type is given otherwise
  DType record = DType();           ///< with `field`: the record that is stored
  std::string field = {};           ///< the member of `record` to read; its extents are appended to the shape
  Index record_bytes = 0;           ///< in place of `record`: bytes from one element to the next; 0: packed
  Index field_offset = 0;           ///< with `record_bytes`: bytes before the element in its record
  FileAccess access = FileAccess::pread;
  bool drop_cache = false;  ///< drop the page cache behind a run
};

/// The elements of a raw file. With a shape that is given in full the file may be longer; with one extent -1
/// it must hold a whole number of them. In F order the source has the reversed shape, and the view transposes
/// it.
///
/// **Fails**: not_found, io_error; invalid_argument; corrupt_data for a file that is too short or leaves a
/// remainder; dtype_mismatch if `field` or `options.dtype` is of another type than `dtype`; overflow.
/// **Cost**: two system calls; no element is read.
OpenedArray open_memmap(const std::string& path, const DType& dtype, const MemmapOptions& options = {});
/// The same with the type in `options.dtype`, or that of the field.
OpenedArray open_memmap(const std::string& path, const MemmapOptions& options);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/memmap.ipp>
#endif
