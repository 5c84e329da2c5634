// HDF5 files, and the formats that are HDF5 underneath: NetCDF-4, NeXus, AnnData, MATLAB 7.3.
#pragma once

#include <morsel/io/format.hpp>

namespace morsel::inline MORSEL_ABI {

namespace hdf5 {

/// Makes `open`, `open_any` and the command know HDF5 files: `open<float>("data.h5/entry/data")`. Calling it
/// again changes nothing. **Threads**: any.
void enable();

}  // namespace hdf5

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/ext/impl/hdf5.ipp>
#endif
