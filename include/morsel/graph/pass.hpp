// The graph of one evaluation and the named passes that rewrite it.
#pragma once

#include <morsel/graph/node.hpp>
#include <stop_token>
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
  std::stop_token stop;  ///< passes and lower() give up with `cancelled` once it is asked
};

/// Views through which one elementwise node is computed again and again; beyond, it is computed once, whole,
/// and read through them.
inline constexpr int most_views = 64;

/// A rewrite that keeps every value's bits.
struct Pass {
  const char* name;
  const char* what;
  Graph (*run)(Graph);
};

namespace detail {

/// **Fails**: cancelled.
inline void check_stop(const std::stop_token& stop) {
  if (stop.stop_requested()) fail(Errc::cancelled, "planning: cancelled");
}

}  // namespace detail

/// In the order they run:
///   fold_rechunk  rechunk nodes become views (leaves of reductions are fixed already)
///   push_views    slices, steps, permutations, takes move through elementwise, concat, reductions to the
///   sources share         equal values become one node fuse          elementwise regions become one program
///   (off: one program per operation) super         pairs of operations become one kernel
const std::vector<Pass>& default_passes();

/// Takes the edges as they are.
Graph trace(const std::vector<Edge>& outputs, std::stop_token stop = {});

/// Runs the passes whose names are not in `skip`, times each and checks what it gave: same shapes, same
/// dtypes.
/// **Fails**: invalid_argument for a name in `skip` that no pass has; cancelled.
Graph optimise(Graph graph, const std::vector<std::string>& skip = {});

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/graph/impl/pass.ipp>
#endif
