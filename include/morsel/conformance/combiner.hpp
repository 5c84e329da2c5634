// The laws of a combiner, as the engine sees it (a Reducer), as a suite that any implementation can be run
// through.
#pragma once

#include <cstdint>
#include <functional>
#include <morsel/kernel/combiner.hpp>
#include <span>

namespace morsel::inline MORSEL_ABI {

namespace conformance {

struct CombinerCheckOptions {
  std::uint64_t seed = 1;
  int threads = 4;
  int rounds = 20;
  /// Relative difference that another grouping of the same values may make in a result. Negative: none for
  /// reducers that may combine in any order; else 1e-9 for double, 1e-4 for float and 0.02 for float16
  /// results.
  double tolerance = -1;
};

/// Reduces the values (elements of `reducer.input()`, at least 2) as one, in pieces, in trees, by columns, by
/// bytes that travel and on several threads, and compares results.
/// **Fails**: internal_error naming the law that is violated; what the reducer fails with.
///
///   check_combiner(*make_reducer_from<float>(GeometricMean{}, "geometric mean"),
///   std::as_bytes(std::span(values)));
void check_combiner(const Reducer& reducer, std::span<const std::byte> values,
                    const CombinerCheckOptions& options = {});

}  // namespace conformance

}  // namespace morsel::inline MORSEL_ABI

#include <morsel/conformance/impl/combiner.ipp>
