// Graph to plan: forms stages, cuts them into units and steps that fit the budget, proves the peak.
#pragma once

#include <algorithm>
#include <morsel/graph/pass.hpp>
#include <morsel/plan/plan.hpp>

namespace morsel::inline MORSEL_ABI {

/// 1. form_stages: elementwise regions become expressions over ports; reductions become stages by pass and
/// driver
/// 2. sweeps: stages of one pass that read a common source run side by side; chunks that several tasks need
/// are shared
/// 3. cut: units and steps, the largest that leave room for all threads, smaller until they fit
/// 4. place results between stages in memory or, if they do not fit, in a spill file
/// 5. prove: peak of the sequential order <= budget; predict reads
///
/// **Fails**: budget_too_small with the stage, the chunk and the smallest budget that would do;
/// already_exists for a sink that is one of the graph's own sources.
Plan lower(const Graph& graph, const std::vector<Target>& targets, const Limits& limits);

/// What a step needs of a port, and where it lies in the task's memory.
struct PortNeed {
  struct Axis {
    Index lo = 0, hi = 0;
    /// Positions [lo, hi), of which `before` come earlier in the compacted axis.
    struct Segment {
      Index lo = 0, hi = 0, before = 0;
    };
    std::vector<Segment> segments;  ///< empty: all of [lo, hi)
    Index length() const {
      return segments.empty() ? hi - lo : segments.back().before + segments.back().hi - segments.back().lo;
    }
    /// Place of position `i` in the compacted axis.
    Index locate(Index i) const;
  };
  int port = 0;
  std::vector<Axis> axes;  ///< none for results, which are there whole
  /// Of the assembled elements; npos: lent, or a part of a shared chunk; in_store: where a store wants them.
  std::size_t offset = npos;
  static constexpr std::size_t npos = ~std::size_t{0}, in_store = npos - 1;
  Shape shape() const;  ///< compacted
  Region hull() const;
};

/// One read of a source: a region of one chunk (or any region of a source that reads regions).
struct FetchItem {
  int port = 0;
  std::size_t need = 0;  ///< number of the port's need in the layout
  Dims chunk;
  Region region;
  std::size_t encoded_offset = 0, encoded_bytes = 0;  ///< in the task's memory
  std::size_t scratch_bytes = 0;
  bool in_place = false;  ///< encoded bytes are the elements
  bool placed = false;    ///< ... and lie where the port's array wants them
  bool shared = false;    ///< comes from a shared chunk; the room is for whoever reads that
  bool at_once = false;   ///< decoded as soon as it is read: all such fetches have one room
};

/// Where everything of a step lies.
struct StepLayout {
  std::vector<PortNeed> needs;  ///< by port number, of the ports that the step needs: of many, often few
  std::vector<FetchItem> fetches;
  std::size_t shared_offset = 0, shared_room = 0;  ///< encoded bytes of what is decoded as soon as it is read
  std::size_t scratch_offset = 0, scratch_bytes = 0;
  std::size_t table_offset = 0, table_bytes = 0;  ///< offsets of gathered positions
  std::size_t total_bytes = 0;
  std::size_t decoded_bytes = 0;

  /// Number of a port's need; needs.size() if the step does not need it.
  std::size_t find(std::size_t port) const;
};

/// The layout of a step that evaluates `box` of the stage's driver. Pure; used by the planner to size tasks
/// and by the runner to fill them.
StepLayout lay_out(const Stage& stage, const Region& box);
namespace detail {
/// ... as far as its needs.
StepLayout find_needs(const Stage& stage, const Region& box);

/// f(k, place, part) for each operand of a concat that a box touches: where it lies in the concat's array,
/// and in its own.
template <class F>
void for_each_joined(const Port& port, const Region& box, F&& f) {
  const std::size_t axis = static_cast<std::size_t>(port.axis);
  const auto& begins = port.begins;
  const auto first = std::upper_bound(begins.begin(), begins.end(), box.lo[axis]);
  for (std::size_t k = static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, first - begins.begin() - 1));
       k < port.parts.size() && begins[k] < box.hi[axis]; ++k) {
    Region place = box;
    place.lo[axis] = std::max(box.lo[axis], begins[k]);
    place.hi[axis] = std::min(box.hi[axis], begins[k + 1]);
    if (place.hi[axis] <= place.lo[axis]) continue;
    Region part = place;
    part.lo[axis] -= begins[k];
    part.hi[axis] -= begins[k];
    f(k, static_cast<const Region&>(place), static_cast<const Region&>(part));
  }
}
}  // namespace detail

/// Memory of a task beside its step: program workspace, leaf workspaces, leaf and carry states.
struct TaskLayout {
  std::size_t workspace_offset = 0;
  std::size_t nested_workspace_offset = 0;  ///< for the expressions of ports, which run one after another
  std::vector<std::size_t> group_offset;    ///< per group: leaf states, then carry slots
  std::size_t leaf_workspace_offset = 0;
  std::size_t output_offset = 0;  ///< C-order room for outputs that sinks and visitors take
  std::vector<std::size_t> store_offset;
  std::size_t step_offset = 0;  ///< the step's layout begins here
  std::size_t total_bytes = 0;  ///< without the step
};
namespace detail {

bool is_reduced(const ReduceGroup& group, std::size_t axis);
/// Axes of the unit grid in booking order, outermost first: kept axes of a single group, then reduced ones,
/// so that a strip is finished before the next begins.
std::vector<std::size_t> unit_axes(const Stage& stage);
Region unit_region(const Stage& stage, const std::vector<std::size_t>& axes, Index number);
/// Output elements of a group in a box of the driver: the product of its kept extents.
Index kept_elements(const Stage& stage, const ReduceGroup& group, const Shape& box);
/// Bytes of one set of states for n output elements: the arrays of all folds, one after another.
std::size_t state_set_bytes(const ReduceGroup& group, Index n);
/// Sets of states a task of `leaves` leaves holds at most.
std::size_t carry_slots(Index leaves);
Index leaves_per_unit(const Stage& stage, const ReduceGroup& group);
Index units_along(const Stage& stage, const ReduceGroup& group, bool reduced);
/// States that a task hands to the tree at most.
std::size_t node_bytes_per_task(const Stage& stage, const ReduceGroup& group);
std::size_t expression_workspace_bytes(const Expression& expression);
/// Grid position of the chunk that holds the low corner of a region.
Dims chunk_at(const Grid& grid, const Region& region);
/// Where steps may cut the native chunks of a port so that the parts lie together in storage and are read
/// alone: across the axis that is slowest there.
struct ChunkCut {
  std::size_t port_axis = 0, driver_axis = 0;
};
std::optional<ChunkCut> chunk_cut(const Stage& stage, const Port& port);
/// Largest box that is given to a sink at once, of a step: a declared chunk where steps join them.
Shape written_part(const Stage& stage, const Shape& step);
/// Positions of a port's axis that a box needs through a map.
PortNeed::Axis axis_need(const Port& port, std::size_t axis, const AxisMap& map, const Region& box);
/// True if positions through this map have no constant distance in the port's memory.
bool needs_table(const Port& port, const AxisMap& map);
inline std::size_t aligned(std::size_t bytes) { return round_up(bytes, 64); }

}  // namespace detail

TaskLayout lay_out_task(const Stage& stage, const std::vector<Target>* targets,
                        const std::vector<Result>& results);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/plan/impl/form.ipp>
#include <morsel/plan/impl/layout.ipp>
#include <morsel/plan/impl/lower.ipp>
#endif
