// Zarr and N5: arrays of a store, read and written.
#pragma once

#include <morsel/io/format.hpp>
#include <morsel/io/store.hpp>
#include <morsel/io/zarr_hierarchy.hpp>

namespace morsel::inline MORSEL_ABI {

/// The array at a path in a store, "" for the store's root. `options`: as those of the format: zarr_format
/// (2, 3). **Fails**: not_found naming what there is; unsupported; corrupt_data.
OpenedArray open_zarr(const AnyStore& store, std::string_view path, const FormatOptions& options = {});

/// A sink that makes an array in a store, or writes a region of one that is there. `options`:
///   zarr_format      3 or 2; default: that of the groups above it, else 3
///   fill_value       JSON as in the document: 0, "NaN", [0, 1]
///   order            C or F: element order inside of chunks
///   separator        . or /: in the chunks' names
///   empty_chunks     write: chunks that hold nothing but the fill value are written, too; omit
///   consolidate      1: the root group gets consolidated metadata
///   fsync            1: every value is on the disk before the next step (directories alone)
/// `root`: the directory that the store is, or "". **Fails**: already_exists; invalid_argument; unsupported.
AnyChunkSink create_zarr(const AnyStore& store, const std::string& root, std::string_view path,
                         const NewArray& made);

/// The hierarchy of a place of the formats zarr, n5 and kerchunk.
ZarrHierarchy zarr_hierarchy(const Place& place);

/// Where a node goes that is to be written.
struct ZarrTarget {
  std::string
      root;  ///< directory of the hierarchy: the first part of the path that ends in .zarr, or all of it
  std::string path;  ///< inside of it
  int zarr_format = 3;
};
/// A path taken apart. `zarr_format` is the one asked for by `options`, else that of the groups above,
/// else 3.
/// **Fails**: invalid_argument below an array, an N5 container or groups of another version.
ZarrTarget zarr_target(const std::string& path, const FormatOptions& options = {});

/// Makes a group in a store, with those above it; one that is there gets these attributes. `options`:
/// zarr_format. **Fails**: already_exists for an array; invalid_argument below an array or groups of another
/// version.
void create_zarr_group(const AnyStore& store, std::string_view path, const Attributes& attributes,
                       const FormatOptions& options = {});

namespace detail {
std::vector<Format> zarr_formats();
}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/zarr.ipp>
#endif
