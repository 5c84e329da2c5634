// Every component that this program links, enabled with one call.
#pragma once

#if MORSEL_HAVE_HDF5
#include <morsel/ext/hdf5.hpp>
#endif
#include <morsel/io/format.hpp>

namespace morsel::inline MORSEL_ABI {

/// Enables the components among the targets that the caller links: morsel::hdf5::enable(), ... Where headers
/// alone are used, those whose macro is set: MORSEL_HAVE_HDF5.
inline void enable_all() {
#if MORSEL_HAVE_HDF5
  hdf5::enable();
#endif
}

}  // namespace morsel::inline MORSEL_ABI
