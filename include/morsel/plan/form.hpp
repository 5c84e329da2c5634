// Stages from a graph: what is computed in one pass, and what has to wait for another.
#pragma once

#include <morsel/graph/pass.hpp>
#include <morsel/plan/plan.hpp>

namespace morsel::inline MORSEL_ABI {

/// Fills plan.results, plan.stages (uncut), plan.sources and plan.passes.
void form_stages(const Graph& graph, const std::vector<Target>& targets, const Limits& limits, Plan& plan);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/plan/impl/form.ipp>
#endif
