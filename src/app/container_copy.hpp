// `copy` of a container: its groups and arrays, one after the other.
#pragma once

#include <morsel/io/format.hpp>
#include <string>

#include "commands.hpp"

namespace morsel::app {

/// Copies all that is at a place into a Zarr hierarchy. Everything is opened and planned before anything is
/// written; a journal at the target's top lets --resume go on. --overwrite writes beside the old tree and
/// then takes its place. **Fails**: unsupported naming the first array that cannot be read, unless they are
/// to be skipped; already_exists.
void copy_container(Session& session, const FoundFormat& source, const CopyArguments& arguments);

/// Copies all that is at a place into one file (HDF5), or into a group of one, which appears when all is
/// there.
/// **Fails**: likewise.
void copy_tree_to_file(Session& session, const FoundFormat& source, const CopyArguments& arguments);

/// **Fails**: invalid_argument if one of the two holds the other.
void refuse_overlap(const FoundFormat& source, const std::string& target);

/// **Fails**: already_exists for a file, or a directory with something in it.
void refuse_foreign_directory(const std::string& target);

}  // namespace morsel::app
