// Which stages run side by side, which chunks they share, and in which order their tasks are booked.
#pragma once

#include <morsel/plan/plan.hpp>
#include <stop_token>

namespace morsel::inline MORSEL_ABI {

/// Groups the stages into sweeps and marks the ports whose chunks more than one step or stage needs. Stages
/// must be cut.
void form_sweeps(Plan& plan);

/// Fills order, shared chunks and their bytes for stages as they are cut now. Shared chunks stay within
/// `room_bytes`: what does not fit is dropped, the chunk needed last first, and read again (Belady's rule;
/// the order is known). Gives false if a single task's own chunks do not fit.
/// **Fails**: cancelled.
bool share_chunks(Plan& plan, Sweep& sweep, std::size_t room_bytes, Index& reads, Index& rereads,
                  const std::stop_token& stop = {});

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/plan/impl/sweep.ipp>
#endif
