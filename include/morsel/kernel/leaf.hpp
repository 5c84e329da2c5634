// One leaf of a reduction: absorbs the values of a chunk piece by piece, in order, and gives one state per
// output element. However the pieces are cut, the blocks and therefore the bits are the same.
#pragma once

#include <morsel/kernel/reducer.hpp>

namespace morsel::inline MORSEL_ABI {

/// The trailing axes are reduced: for one output element after another, runs come in pieces of any length.
///
///   LeafRuns leaf(reducer, workspace);        workspace: workspace_bytes(reducer), 64-byte aligned
///   leaf.begin(state);                        raw memory of the output element's state; holds the leaf at
///   finish() leaf.absorb(x, n, index); ...             consecutive pieces of a run leaf.end_run(); ... the
///   run's last block may be short leaf.finish();
class LeafRuns {
 public:
  static std::size_t workspace_bytes(const Reducer& reducer);
  LeafRuns(const Reducer& reducer, void* workspace);
  void begin(void* state);
  void absorb(const void* x, std::size_t n, Index first_index);
  void end_run();
  void finish();

 private:
  void push_block(const void* x, std::size_t n);

  const Reducer* reducer_;
  std::size_t item_bytes_, state_bytes_;
  bool blocked_;        // order `blocks`; otherwise there are no blocks
  std::byte* pending_;  // up to 512 elements of a block cut by a piece boundary
  std::size_t pending_count_ = 0;
  std::byte* block_state_;
  std::byte* levels_;
  void* scratch_ = nullptr;  // what a reducer of order `any` keeps beside its state
  Index blocks_ = 0;
  void* state_ = nullptr;
};

/// The last axis is kept: rows of up to `columns` neighbouring output elements come in order.
///
///   LeafRows leaf(reducer, columns, workspace);
///   leaf.begin(states);  leaf.absorb(x, row_stride_bytes, rows, index, index_step); ...  leaf.finish();
class LeafRows {
 public:
  /// Columns that keep the block states in L1.
  static constexpr std::size_t max_columns = 256;
  static std::size_t workspace_bytes(const Reducer& reducer, std::size_t columns);
  LeafRows(const Reducer& reducer, std::size_t columns, void* workspace);
  /// `states`: raw memory for the states of `columns` output elements; they hold the leaf at finish().
  void begin(void* states, std::size_t columns);
  void absorb(const void* x, std::ptrdiff_t row_stride_bytes, std::size_t rows, Index first_index,
              Index index_step);
  void finish();

 private:
  void push_block(const void* x, std::ptrdiff_t row_stride_bytes, std::size_t rows);

  const Reducer* reducer_;
  std::size_t item_bytes_, state_bytes_;
  bool blocked_;
  std::size_t capacity_, columns_ = 0;
  std::byte* pending_;  // up to 64 rows of a block cut by a piece boundary
  std::size_t pending_rows_ = 0;
  std::byte* block_states_;
  std::byte* levels_;
  Index blocks_ = 0;
  void* states_ = nullptr;
};

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/kernel/impl/leaf.ipp>
#endif
