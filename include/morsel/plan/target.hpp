// Where the elements of a result go.
#pragma once

#include <functional>
#include <morsel/array/buffer.hpp>
#include <morsel/io/chunk_sink.hpp>
#include <variant>

namespace morsel::inline MORSEL_ABI {

/// Memory of the caller: any strides, the result's shape and item size. Outside the budget.
struct MemoryTarget {
  BufferView values;
};

/// A sink: regions stream into it, inside the budget; it is committed at the end of a run that succeeds.
struct SinkTarget {
  AnyChunkSink sink;
};

/// A function that is handed one declared chunk after another: C-order values that are valid during the call.
struct VisitTarget {
  std::function<void(const Region&, const BufferView&)> visit;
  bool ordered =
      false;  ///< one call at a time, in chunk order; otherwise from several threads at once, any order
};

using Target = std::variant<MemoryTarget, SinkTarget, VisitTarget>;

}  // namespace morsel::inline MORSEL_ABI
