// How a chunked target stores an array: what was asked for, and what is kept of the source's own storage.
#pragma once

#include <morsel/api/save.hpp>
#include <string>
#include <vector>

namespace morsel::app {

/// Options of `copy` as they were typed; empty: not asked for.
struct StorageArguments {
  std::string chunks, shards, codec, format, fill_value;
};

/// Text as chunks. `option` names it. **Fails**: UsageError.
ChunkSpec chunks_argument(const std::string& text, const char* option);

/// The options that a target's format is given for --format and --fill-value. **Fails**: UsageError.
FormatOptions format_options(const StorageArguments& arguments);

/// --format alone.
FormatOptions zarr_format_option(const StorageArguments& arguments);

/// Ways to store a copy of `source`, the best one first: what was asked for always holds; chunks, shards,
/// codecs and fill value of the source are kept as far as a target can have them. Never empty.
/// `zarr_format`: of the target.
std::vector<SaveOptions> storage_of(const OpenedArray& source, const StorageArguments& arguments,
                                    int zarr_format);

/// The same for a target in a file of its own format (HDF5).
std::vector<SaveOptions> storage_in_one_file(const OpenedArray& source, const StorageArguments& arguments);

/// Plans the first way that the target can store. **Fails**: as plan_save, with the last way.
SavePlan plan_first(const std::vector<SaveOptions>& ways, const Saving& saving);

}  // namespace morsel::app
