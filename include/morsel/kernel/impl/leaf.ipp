#pragma once

#include <cstring>
#include <morsel/base/checked.hpp>
#include <morsel/kernel/impl/reduce_table.hpp>
#include <morsel/kernel/leaf.hpp>

namespace morsel::inline MORSEL_ABI {
namespace detail {

/// A binary counter over 2^40 blocks: more than any leaf has.
inline constexpr std::size_t leaf_levels = 40;

/// Puts `node`, the states of the next 2^level blocks, into the counter of `blocks` blocks.
MORSEL_INLINE void carry(const Reducer& reducer, std::byte* levels, std::size_t level_bytes, std::size_t n,
                         void* node, int level, Index blocks) {
  void* up = node;
  for (; (blocks >> level) & 1; ++level) {
    std::byte* left = levels + static_cast<std::size_t>(level) * level_bytes;
    reducer.merge(left, up, n);
    up = left;
  }
  if (static_cast<std::size_t>(level) >= leaf_levels)
    fail(Errc::overflow, "reducing a chunk: too many elements; expected fewer than 2^40 blocks in one chunk");
  std::memcpy(levels + static_cast<std::size_t>(level) * level_bytes, up, n * reducer.state_bytes());
}

/// Merges what the counter holds into `out`, the odd ones promoted.
MORSEL_INLINE void fold(const Reducer& reducer, std::byte* levels, std::size_t level_bytes, std::size_t n,
                        void* out, Index blocks) {
  if (blocks == 0) return reducer.init(out, n);
  std::byte* folded = nullptr;
  for (int level = 0; (blocks >> level) != 0; ++level) {
    if (!((blocks >> level) & 1)) continue;
    std::byte* left = levels + static_cast<std::size_t>(level) * level_bytes;
    if (folded) reducer.merge(left, folded, n);
    folded = left;
  }
  std::memcpy(out, folded, n * reducer.state_bytes());
}

MORSEL_INLINE std::size_t padded(std::size_t bytes) { return round_up(bytes, 64); }

}  // namespace detail

// ---- LeafRuns: [pending | block state | levels] or [scratch] ----------------------------------

MORSEL_INLINE std::size_t LeafRuns::workspace_bytes(const Reducer& reducer) {
  if (reducer.order() != MergeOrder::blocks) return detail::padded(reducer.scratch_bytes());
  return detail::padded(run_block * item_bytes_of(reducer.input())) + detail::padded(reducer.state_bytes()) +
         detail::leaf_levels * detail::padded(reducer.state_bytes());
}

MORSEL_INLINE LeafRuns::LeafRuns(const Reducer& reducer, void* workspace)
    : reducer_(&reducer),
      item_bytes_(item_bytes_of(reducer.input())),
      state_bytes_(reducer.state_bytes()),
      blocked_(reducer.order() == MergeOrder::blocks),
      pending_(static_cast<std::byte*>(workspace)),
      block_state_(nullptr),
      levels_(nullptr) {
  if (!blocked_) {
    if (const std::size_t bytes = reducer.scratch_bytes()) {
      scratch_ = workspace;
      std::memset(scratch_, 0, bytes);
    }
    return;
  }
  block_state_ = pending_ + detail::padded(run_block * item_bytes_);
  levels_ = block_state_ + detail::padded(state_bytes_);
}

MORSEL_INLINE void LeafRuns::begin(void* state) {
  state_ = state;
  blocks_ = 0;
  pending_count_ = 0;
  if (!blocked_) reducer_->init(state, 1);
}

MORSEL_INLINE void LeafRuns::push_block(const void* x, std::size_t n) {
  reducer_->init(block_state_, 1);
  reducer_->absorb_run(block_state_, x, n, 0);
  detail::carry(*reducer_, levels_, detail::padded(state_bytes_), 1, block_state_, 0, blocks_);
  ++blocks_;
}

MORSEL_INLINE void LeafRuns::absorb(const void* x, std::size_t n, Index first_index) {
  if (scratch_) return reducer_->absorb_run_beside(state_, scratch_, x, n, first_index);
  if (!blocked_) return reducer_->absorb_run(state_, x, n, first_index);
  const auto* from = static_cast<const std::byte*>(x);
  if (pending_count_ != 0) {
    const std::size_t take = n < run_block - pending_count_ ? n : run_block - pending_count_;
    std::memcpy(pending_ + pending_count_ * item_bytes_, from, take * item_bytes_);
    pending_count_ += take;
    from += take * item_bytes_;
    n -= take;
    if (pending_count_ < run_block) return;
    push_block(pending_, run_block);
    pending_count_ = 0;
  }
  while (n >= run_block) {
    // The largest aligned subtree that is here whole.
    std::size_t count = 1;
    int level = 0;
    while (count < detail::max_tree_blocks && ((blocks_ >> level) & 1) == 0 && 2 * count * run_block <= n)
      count *= 2, ++level;
    reducer_->init(block_state_, 1);
    reducer_->absorb_blocks(block_state_, from, count);
    detail::carry(*reducer_, levels_, detail::padded(state_bytes_), 1, block_state_, level, blocks_);
    blocks_ += static_cast<Index>(count);
    from += count * run_block * item_bytes_;
    n -= count * run_block;
  }
  if (n != 0) std::memcpy(pending_, from, n * item_bytes_);
  pending_count_ = n;
}

MORSEL_INLINE void LeafRuns::end_run() {
  if (pending_count_ == 0) return;
  push_block(pending_, pending_count_);
  pending_count_ = 0;
}

MORSEL_INLINE void LeafRuns::finish() {
  if (scratch_) reducer_->settle(state_, scratch_);
  if (!blocked_) return;
  end_run();
  detail::fold(*reducer_, levels_, detail::padded(state_bytes_), 1, state_, blocks_);
}

// ---- LeafRows: [pending | block states | levels] ----------------------------------------------

MORSEL_INLINE std::size_t LeafRows::workspace_bytes(const Reducer& reducer, std::size_t columns) {
  if (reducer.order() != MergeOrder::blocks) return 0;
  return detail::padded(row_block * columns * item_bytes_of(reducer.input())) +
         (1 + detail::leaf_levels) * detail::padded(columns * reducer.state_bytes());
}

MORSEL_INLINE LeafRows::LeafRows(const Reducer& reducer, std::size_t columns, void* workspace)
    : reducer_(&reducer),
      item_bytes_(item_bytes_of(reducer.input())),
      state_bytes_(reducer.state_bytes()),
      blocked_(reducer.order() == MergeOrder::blocks),
      capacity_(columns),
      pending_(static_cast<std::byte*>(workspace)),
      block_states_(nullptr),
      levels_(nullptr) {
  if (!blocked_) return;
  block_states_ = pending_ + detail::padded(row_block * capacity_ * item_bytes_);
  levels_ = block_states_ + detail::padded(capacity_ * state_bytes_);
}

MORSEL_INLINE void LeafRows::begin(void* states, std::size_t columns) {
  states_ = states;
  columns_ = columns;
  blocks_ = 0;
  pending_rows_ = 0;
  if (!blocked_) reducer_->init(states, columns);
}

MORSEL_INLINE void LeafRows::push_block(const void* x, std::ptrdiff_t row_stride_bytes, std::size_t rows) {
  reducer_->init(block_states_, columns_);
  reducer_->absorb_rows(block_states_, x, row_stride_bytes, rows, columns_, 0, 1);
  detail::carry(*reducer_, levels_, detail::padded(capacity_ * state_bytes_), columns_, block_states_, 0,
                blocks_);
  ++blocks_;
}

MORSEL_INLINE void LeafRows::absorb(const void* x, std::ptrdiff_t row_stride_bytes, std::size_t rows,
                                    Index first_index, Index index_step) {
  if (!blocked_)
    return reducer_->absorb_rows(states_, x, row_stride_bytes, rows, columns_, first_index, index_step);
  const auto* from = static_cast<const std::byte*>(x);
  const std::size_t row_bytes = columns_ * item_bytes_;
  const auto keep = [&](std::size_t some) {
    for (std::size_t r = 0; r < some; ++r, from += row_stride_bytes)
      std::memcpy(pending_ + pending_rows_++ * row_bytes, from, row_bytes);
    rows -= some;
  };
  if (pending_rows_ != 0) {
    keep(rows < row_block - pending_rows_ ? rows : row_block - pending_rows_);
    if (pending_rows_ < row_block) return;
    push_block(pending_, static_cast<std::ptrdiff_t>(row_bytes), row_block);
    pending_rows_ = 0;
  }
  for (; rows >= row_block; rows -= row_block) {
    push_block(from, row_stride_bytes, row_block);
    from += static_cast<std::ptrdiff_t>(row_block) * row_stride_bytes;
  }
  keep(rows);
}

MORSEL_INLINE void LeafRows::finish() {
  if (!blocked_) return;
  if (pending_rows_ != 0)
    push_block(pending_, static_cast<std::ptrdiff_t>(columns_ * item_bytes_), pending_rows_);
  pending_rows_ = 0;
  detail::fold(*reducer_, levels_, detail::padded(capacity_ * state_bytes_), columns_, states_, blocks_);
}

}  // namespace morsel::inline MORSEL_ABI
