// What opening a path gives: a source, and the view of it that is the array.
#pragma once

#include <morsel/array/view.hpp>
#include <morsel/io/chunk_source.hpp>

namespace morsel::inline MORSEL_ABI {

/// An array as a format opened it. `view` maps indices of the array to those of the source: the identity, or
/// a transpose where elements are stored in another axis order (a Fortran-order file).
struct OpenedArray {
  AnyChunkSource source;
  View view;
};

}  // namespace morsel::inline MORSEL_ABI
