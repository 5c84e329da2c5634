// The graph of one evaluation and the named passes that rewrite it.
#pragma once

#include <morsel/graph/node.hpp>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

struct GraphPassTime {
  std::string name;
  double seconds = 0;
  bool skipped = false;
};

/// The values one evaluation is asked for.
struct Graph {
  std::vector<Edge> outputs;
  std::vector<Grid> grids;  ///< declared, of the outputs as they were asked for: no pass changes them
  std::vector<GraphPassTime> times;
  bool fuse = true, share = true, super_instructions = true;
};

/// A rewrite that keeps every value's bits.
struct Pass {
  const char* name;
  const char* what;
  Graph (*run)(Graph);
};

/// In the order they run:
///   fold_rechunk  rechunk nodes become views (leaves of reductions are fixed already)
///   push_views    slices, steps, permutations, takes move through elementwise, concat, reductions to the
///   sources share         equal values become one node fuse          elementwise regions become one program
///   (off: one program per operation) super         pairs of operations become one kernel
const std::vector<Pass>& default_passes();

/// Takes the edges as they are.
Graph trace(const std::vector<Edge>& outputs);

/// Runs the passes whose names are not in `skip`, times each and checks what it gave: same shapes, same
/// dtypes.
/// **Fails**: invalid_argument for a name in `skip` that no pass has.
Graph optimise(Graph graph, const std::vector<std::string>& skip = {});

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/graph/impl/pass.ipp>
#endif
