// Names of the main types, for headers that only pass them on.
#pragma once

#include <morsel/base/config.hpp>

namespace morsel::inline MORSEL_ABI {

template <class T>
class LazyArray;
class AnyLazyArray;
class AnyArray;
class Leaf;
class AnyChunkSource;
class AnyChunkSink;
class DType;
class Grid;
class Error;
class Workspace;
struct ComputeOptions;
class Explanation;

}  // namespace morsel::inline MORSEL_ABI
