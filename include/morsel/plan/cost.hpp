// Fixed numbers the planner decides by. They never depend on the machine: plans, hashes and explain do not
// vary from run to run.
#pragma once

#include <cstddef>
#include <morsel/base/config.hpp>

namespace morsel::inline MORSEL_ABI::cost {

/// Bytes a step brings in: large enough that a task costs nothing beside its work, small enough to stay in L2
/// between reading and reducing (reads of 256 KiB to 1 MiB measured best).
inline constexpr std::size_t step_bytes = 512 * 1024;
/// Chunks that must be read whole and are no shorter make a step each.
inline constexpr std::size_t lone_chunk_bytes = 64 * 1024;
/// The planner halves the step down to this before it refuses a budget.
inline constexpr std::size_t smallest_step_bytes = 4096;
/// Bytes a task works through, step after step.
inline constexpr std::size_t unit_bytes = 4 * 1024 * 1024;
/// Where the last axis is kept, a step is this many rows of neighbouring columns: reads of 64 KiB that lie
/// apart take a quarter more time than reads of 256 KiB, and so many rows merge at once.
inline constexpr std::size_t strip_bytes = 256 * 1024;
inline constexpr std::size_t strip_rows = 8;
/// Units grow no further when there would be fewer: threads need something to choose from.
inline constexpr long long fewest_units = 32;
/// Part of the budget that the sequential order may take, in percent, so that reading and computing overlap.
inline constexpr std::size_t sequential_percent = 80;
/// A worker thread: its stack, and what the runner keeps for it.
inline constexpr std::size_t thread_bytes = 1024 * 1024;
/// The calling thread's share and the plan itself.
inline constexpr std::size_t run_bytes = 64 * 1024;
/// Results between passes up to this stay in memory whatever the budget.
inline constexpr std::size_t smallest_spill_bytes = 64 * 1024;
/// Steps looked at one by one when a stage's memory is not the same for all.
inline constexpr long long exact_steps = 4096;

/// Bytes of a step's chunks, beyond twice their elements, that may wait to be decoded.
inline constexpr std::size_t encoded_bytes = 4 * 1024 * 1024;
/// What reading a part of a chunk reads and decodes beside the part itself.
inline constexpr std::size_t part_bytes = 512 * 1024;
/// Values between that are no larger are computed whole.
inline constexpr std::size_t small_port_bytes = 4096;
/// Further ways along which a stage reads inputs and nested expressions: they can grow without bound.
inline constexpr std::size_t most_read_again = 8192;
/// Steps whose reads are predicted one by one.
inline constexpr long long predicted_steps = 1 << 20;
/// Reads shorter than this on average are worth a note.
inline constexpr std::size_t short_read_bytes = 4096;

}  // namespace morsel::inline MORSEL_ABI::cost
