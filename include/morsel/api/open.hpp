// Lazy arrays from files: open, open_any, memmap.
#pragma once

#include <morsel/api/create.hpp>
#include <morsel/io/format.hpp>
#include <morsel/io/memmap.hpp>
#include <morsel/io/zarr.hpp>

namespace morsel::inline MORSEL_ABI {

struct OpenOptions {
  ChunkSpec chunks = {};     ///< declared chunks; default: those of the file, or "auto"
  std::string dataset = {};  ///< appended to the path: what follows inside a container
  std::string field = {};    ///< one member of records, "outer.inner"
  std::vector<std::string> dims = {};
  FormatOptions options = {};  ///< of the format, by name: {{"access", "map"}}
  /// Packed numbers as the values they stand for: see mask_and_scale.
  bool mask_and_scale = false;
};

/// The array at a path, which goes on inside a container: "data.h5/entry/data". Its dtype is known at run
/// time.
/// **Fails**: not_found, unsupported, corrupt_data, io_error. **Cost**: metadata; no element is read.
AnyLazyArray open_any(std::string_view path, const OpenOptions& options = {});

/// The array at a path in a store ("" for its root), as Zarr or N5.
AnyLazyArray open_any(const AnyStore& store, std::string_view path, const OpenOptions& options = {});

namespace detail {
void require_opened(const AnyLazyArray& array, std::string_view path, Type asked);
/// The array `name` beside the one at `place`, or in a group above it.
AnyLazyArray open_sibling(const std::string& place, const std::string& name, const OpenOptions& options);
AnyLazyArray from_opened(OpenedArray opened, const ChunkSpec& chunks, std::vector<std::string> dims,
                         std::string name);
std::string last_part(std::string_view path);
}  // namespace detail

/// The array of T at a path. **Fails**: as open_any; dtype_mismatch if its elements are of another type.
template <Element T>
LazyArray<element_t<type_of<T>>> open(std::string_view path, const OpenOptions& options = {}) {
  AnyLazyArray array = open_any(path, options);
  detail::require_opened(array, path, type_of<T>);
  return LazyArray<element_t<type_of<T>>>(std::move(array));
}

template <Element T>
LazyArray<element_t<type_of<T>>> open(const AnyStore& store, std::string_view path,
                                      const OpenOptions& options = {}) {
  AnyLazyArray array = open_any(store, path, options);
  detail::require_opened(array, path, type_of<T>);
  return LazyArray<element_t<type_of<T>>>(std::move(array));
}

/// A raw file: see MemmapOptions for all but chunks and names.
struct RawFileOptions {
  Shape shape = {-1};  ///< one extent may be -1: as many as the file holds
  Index offset = 0;    ///< bytes before the first element
  ByteOrder byte_order = ByteOrder::native;
  ElementOrder order = ElementOrder::C;
  DType record = DType();  ///< with `field`: the record that is stored
  std::string field = {};  ///< the member of `record` to read
  Index record_bytes = 0;  ///< in place of `record`: bytes from one element to the next
  Index field_offset = 0;  ///< with `record_bytes`: bytes before the element in its record
  FileAccess access = FileAccess::pread;
  bool drop_cache = false;  ///< drop the page cache behind a run
  ChunkSpec chunks = {};
  std::vector<std::string> dims = {};
};

/// The elements of a raw file. **Fails**: as open_memmap.
AnyLazyArray memmap_any(const std::string& path, const DType& dtype, const RawFileOptions& options = {});
template <Element T>
LazyArray<element_t<type_of<T>>> memmap(const std::string& path, const RawFileOptions& options = {}) {
  return LazyArray<element_t<type_of<T>>>(memmap_any(path, DType(type_of<T>), options));
}

/// One member of an array of records; "outer.inner" is a member of a member. One that is an array itself adds
/// its axes at the end. **Fails**: not_found naming the members; dtype_mismatch for other arrays; unsupported
/// for members that are arrays of records that are no longer as they were opened.
AnyLazyArray field(const AnyLazyArray& records, std::string_view name);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/open.ipp>
#endif
