// One task: fetches, decodes, evaluates and reduces the steps of a unit. The one place that calls sources,
// kernels, combiners and sinks.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <morsel/exec/progress.hpp>
#include <morsel/kernel/leaf.hpp>
#include <morsel/plan/lower.hpp>
#include <mutex>

namespace morsel::inline MORSEL_ABI::detail {

/// Counters of a run.
struct Counters {
  std::atomic<std::size_t> bytes_read{0}, bytes_decoded{0};
  std::atomic<Index> requests{0}, chunks{0}, missing{0}, units{0};
  void count(const Fetched& got) {
    bytes_read.fetch_add(got.encoded_bytes, std::memory_order_relaxed);
    requests.fetch_add(got.requests, std::memory_order_relaxed);
    (got.state == Fetched::State::missing ? missing : chunks).fetch_add(1, std::memory_order_relaxed);
  }
};

/// States between tasks: the nodes of one tree over the leaves of one strip of kept elements.
struct Tree {
  struct Node {
    std::byte* states = nullptr;  ///< one set
    Index leaves = 0;
    Index elements = 0;  ///< per output element; only known while partials are reported
  };
  std::map<std::pair<int, Index>, Node> waiting;  ///< by level and index
  Index kept = 1;                                 ///< output elements of the strip
};

/// Chunks that several tasks need, while they are here.
class SharedWindow {
 public:
  enum class State : std::uint8_t { absent, reading, ready };
  struct Entry {
    std::byte* memory = nullptr;
    State state = State::absent;
    Index uses = 0;  ///< tasks that are not done with it
  };
  std::mutex mutex;
  std::vector<Entry> entries;  ///< one per Sweep::chunks
};

/// What the tasks of one stage share while it runs.
class StageRun {
 public:
  StageRun(const Plan& plan, const Stage& stage, const std::vector<Target>& targets,
           const std::vector<std::byte*>& results, Counters& counters);
  ~StageRun();
  StageRun(const StageRun&) = delete;
  StageRun& operator=(const StageRun&) = delete;

  const Plan& plan;
  const Stage& stage;
  const std::vector<Target>& targets;
  const std::vector<std::byte*>& results;
  Counters& counters;
  TaskLayout task;
  bool reads_sources_alone = true;
  std::vector<std::vector<ReducerPtr>> reducers;  ///< per group and fold, bound
  std::vector<std::vector<std::vector<ReducerPtr>>> finishers;

  /// Output memory of a result: the caller's or between stages.
  BufferView result_view(int result) const;
  /// Takes states of tree node (level, index) of a group's strip; merges and, at the root, finishes.
  /// `states`: one set, whose life ends. Gives the change of bytes that wait.
  std::ptrdiff_t put(std::size_t group, const Region& strip, Index strip_number, int level, Index index,
                     std::byte* states, Index kept);
  /// Finished values of a strip go to their results, or to `snapshot` (one view per result) with `count`
  /// elements each.
  void finish_states(std::size_t group, const Region& strip, const std::byte* states, Index kept,
                     const Dims* leaf_position, const std::vector<BufferView>* snapshot = nullptr,
                     Index count = -1);
  /// A strip that one task saw whole.
  void note_finished(std::size_t group, Index strip_number);
  /// Results of reductions over no elements at all.
  void finish_empty();
  Index leaf_count(std::size_t group) const;
  /// Elements per output element in some leaves.
  Index elements_of(std::size_t group, Index first_leaf, Index leaves) const;
  /// The kept axes of the units of one strip; reduced axes whole.
  Region strip_of(std::size_t group, Index number) const;
  /// Memory that report_partials takes for a while.
  std::size_t partial_bytes() const;
  /// Hands the value so far of every reduction that goes to the caller to `callback`. Elements for which
  /// nothing has been absorbed yet are zero. Combiners whose states own memory are left out.
  void report_partials(const PartialCallback& callback);
  void track_partials();
  void destroy_states(std::size_t group, std::byte* states, Index kept) const;
  /// Ends the lives of the right ones, also when merging fails.
  void merge_states(std::size_t group, std::byte* left, std::byte* right, Index kept) const;
  /// Into raw memory; if that fails none of them live.
  void move_states(std::size_t group, std::byte* from, std::byte* to, Index kept) const;

 private:
  /// Nodes of one tree that a partial report copies at most.
  static constexpr std::size_t most_partial_nodes = 64;
  class States;
  std::mutex mutex_;
  std::map<std::pair<std::size_t, Index>, Tree> trees_;
  std::vector<std::vector<bool>> finished_strips_;  // per group, by number, only while partials are reported
  bool tracks_partials_ = false;
};

/// Values of an expression's streams at a box, and its program.
class Evaluator;

/// A unit on its way. Owned by one thread at a time.
class Task {
 public:
  Task(StageRun& stage, std::byte* memory);
  ~Task();

  /// `place`: of the unit in the sweep's order. `chunks`: the shared chunks it needs, or empty.
  void begin(Index place, const Region& unit, const Sweep* sweep, SharedWindow* window);
  /// What fetch() came to: everything is here; reading would block (only with cached_only); another task is
  /// reading a shared chunk.
  enum class Fetch : std::uint8_t { done, would_block, wait_for_chunk };
  Fetch fetch(FetchMode mode, const std::stop_token& stop);
  /// True once the shared chunk that fetch() waits for is no longer being read.
  bool may_go_on();
  bool read_shared = false;  ///< a shared chunk became ready in fetch(); others may wait for it
  /// Decodes and evaluates the current step and moves on; false after the last one.
  bool compute(const std::stop_token& stop);
  /// Of the unit in the sweep's order.
  Index place() const { return unit_number_; }
  /// Gives the states of the unit to the trees; bytes that now wait there.
  std::ptrdiff_t finish();
  /// Set while values for an ordered visitor wait in the task's memory.
  bool holds_visit() const { return holds_visit_; }
  /// Hands the values of the current step to visitors and sinks; called by compute, or later when the order
  /// demands it.
  void deliver();
  StageRun& stage() const { return run_; }
  std::size_t stage_index = 0;  ///< in the sweep
  std::byte* memory = nullptr;  ///< what the scheduler gave

 private:
  bool is_written() const;
  void write_chunks(AnyChunkSink sink, const BufferView& values);
  bool next_step();
  struct Access;
  struct GroupState;
  struct Walk;
  void open_ports();
  void decode_fetched(const FetchItem& fetch);
  void decode(const std::stop_token& stop);
  Fetch fetch_shared(std::size_t number, FetchMode mode, const std::stop_token& stop);
  void evaluate_ports();
  Access access(const Stream& stream, const Region& box);
  void store_outputs();
  BufferView place_of(const FetchItem& fetch) const;
  BufferView place_of_store(std::size_t store) const;
  const std::byte* fill_of(const Port& port);
  void fill_absent(std::size_t fetch);
  void reduce_step();
  bool take_absent(std::size_t group, Walk& walk, const Region& leaf);
  void open_leaf_workspace(std::size_t group);
  Walk begin_walk(std::size_t group);
  void lay_nest(std::size_t group, Walk& walk, const Region& box);
  void bring(std::size_t group, Walk& walk, const InlineVector<Index, 8>& at, std::size_t begin,
             std::size_t n, std::size_t room_offset, bool copies);
  void place_walk(std::size_t group, Walk& walk, const Region& box, std::byte* states);
  void reduce_box(std::size_t group, Walk& walk, const Region& box, const Region& leaf, std::byte* states);
  void reduce_runs(std::size_t group, Walk& walk, bool begins, bool ends, bool run_ends);
  void reduce_rows(std::size_t group, Walk& walk, bool begins, bool ends);
  bool is_one_block(const Walk& walk) const;
  void reduce_leaves(std::size_t group, Walk& walk, Index count);
  int bundle_level(std::size_t group, Walk& walk, const Dims& at, const Region& chunks, const Region& leaf,
                   Index number);
  void run_expression(const Expression& expression, std::size_t workspace, const Region& box,
                      const std::vector<BufferView>& outputs);
  void end_leaves(std::size_t group, int level, Index index);
  void end_current(std::size_t group);
  /// **Fails**: cancelled.
  void go_on() const;

  StageRun& run_;
  std::byte* memory_;
  Index unit_number_ = 0;
  const Sweep* sweep_ = nullptr;
  SharedWindow* window_ = nullptr;
  std::vector<int> shared_of_;  // per fetch: number of the shared chunk, or -1
  int awaited_ = -1;
  Region unit_, steps_;
  Dims at_;
  Region box_;
  StepLayout layout_;
  std::stop_token stop_;
  std::size_t fetched_ = 0;
  std::vector<Fetched::State> fetch_states_;  // missing: not there, and its place not filled
  bool absent_ = false;                       // some are missing in this step
  std::vector<std::byte> long_zero_;
  std::vector<BufferView> views_;  // of the ports that the step needs, as layout_.needs
  std::size_t table_at_ = 0;
  std::vector<std::unique_ptr<GroupState>> groups_;
  bool begun_ = false, holds_visit_ = false;
  bool written_before_ = false;  // the current step, by the run that this one resumes
};

}  // namespace morsel::inline MORSEL_ABI::detail

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/exec/impl/perform.ipp>
#endif
