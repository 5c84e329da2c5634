// NumPy's .npz archives: zip files of .npy members, stored or deflated.
#pragma once

#include <morsel/io/npy.hpp>
#include <morsel/io/zip.hpp>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// Names of the arrays in an archive, without ".npy", sorted. **Fails**: not_found; io_error; corrupt_data.
std::vector<std::string> list_npz(const std::string& path);

/// The array `name` of an archive, given with or without ".npy".
///
/// A stored member is read like a .npy file; its checksum is not looked at. A deflated one has chunks of
/// whole rows, about 4 MiB: the first reading goes through it in order, keeps a point to start from every 4
/// MiB (more for large members: at most 8 MiB of memory in all) and compares the checksum at the end; later
/// readings start at the nearest point, several at once.
///
/// **Fails**: not_found, naming the members there are; unsupported for other compression, encryption, object
/// arrays; corrupt_data.
OpenedArray open_npz(const std::string& path, const std::string& name, const NpyOptions& options = {});

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/npz.ipp>
#endif
