// Evaluated chunks handed over one after another, or in parallel: results larger than memory.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <morsel/api/map.hpp>

namespace morsel::inline MORSEL_ABI {

/// A chunk of a result: its place in the array and its elements as an xtensor array in C order.
template <class T>
struct Block {
  Region region;
  ChunkView<const T> values;
};

struct StreamOptions {
  Bytes memory = {};  ///< default: half of the workspace's, so that the loop's body can compute too
  int threads = 0;
  bool ordered = true;  ///< chunks in C order of their position; otherwise as they get done
  ProgressCallback progress = {};
  std::string trace = {};
  std::stop_token stop = {};
  std::optional<Workspace> workspace = {};
  std::vector<std::string> skip_passes = {};
  RunReport* report = nullptr;  ///< filled when the run has ended
};

namespace detail {

/// A run in the background that hands over one chunk at a time and waits until the consumer is done with it.
class ChunkStream {
 public:
  ChunkStream(const Edge& value, const StreamOptions& options);
  /// Gives the last chunk back and waits for the next; false when there is none. Rethrows what ended the run.
  bool next();
  const Region& region() const;
  const BufferView& values() const;

 private:
  struct State;
  struct Handle;
  std::shared_ptr<Handle> handle_;
};

void visit_chunks(const Edge& value, std::function<void(const Region&, const BufferView&)> visit,
                  const ComputeOptions& options);

}  // namespace detail

/// A range of blocks, each valid until the next one is asked for. One loop runs over it, once. Destroying it
/// before the end cancels the run and waits for it. Its memory is held until the end, so what the loop's
/// thread computes meanwhile in the same workspace takes what is left or is refused, and never waits.
template <class T>
class BlockStream {
 public:
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Block<T>;
    using difference_type = std::ptrdiff_t;
    using pointer = const Block<T>*;
    using reference = const Block<T>&;

    explicit Iterator(BlockStream* stream) : stream_(stream) { step(); }
    reference operator*() const { return *stream_->block_; }
    pointer operator->() const { return stream_->block_.get(); }
    Iterator& operator++() {
      step();
      return *this;
    }
    void operator++(int) { step(); }
    friend bool operator==(const Iterator& a, std::default_sentinel_t) { return a.stream_ == nullptr; }

   private:
    void step() {
      if (!stream_->advance()) stream_ = nullptr;
    }
    BlockStream* stream_;
  };

  explicit BlockStream(detail::ChunkStream chunks) : chunks_(std::move(chunks)) {}
  Iterator begin() { return Iterator(this); }
  std::default_sentinel_t end() const { return {}; }

 private:
  bool advance() {
    block_.reset();
    if (!chunks_.next()) return false;
    block_.reset(new Block<T>{chunks_.region(), detail::chunk_view<const T>(chunks_.values())});
    return true;
  }
  detail::ChunkStream chunks_;
  std::unique_ptr<Block<T>> block_;
};

/// for (auto&& block : stream(a)) use(block.region, block.values): the chunks of the declared grid, evaluated
/// ahead within the budget while the loop's body runs. An xtensor array is copied. **Fails**: in the loop, as
/// compute does.
template <ArrayLike A>
auto stream(const A& array, const StreamOptions& options = {}) {
  static_assert(!AnyLazyLike<A>, "morsel: stream needs the element type; use x.visit or x.as<T>()");
  return BlockStream<detail::element_of_array<A>>(
      detail::ChunkStream(detail::lazy_of(array).edge(), options));
}

/// f(block) for every chunk of the declared grid, from several threads at once, in any order. The block is
/// valid during the call. **Fails**: as compute does; user_error if f throws something other than Error.
template <ArrayLike A, class F>
void for_each_chunk(const A& array, F&& f, const ComputeOptions& options = {}) {
  static_assert(!AnyLazyLike<A>, "morsel: for_each_chunk needs the element type; use x.visit or x.as<T>()");
  using T = detail::element_of_array<A>;
  detail::visit_chunks(
      detail::handle<A>(array).edge(),
      [&f](const Region& region, const BufferView& values) {
        const Block<T> block{region, detail::chunk_view<const T>(values)};
        f(block);
      },
      options);
}

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/stream.ipp>
#endif
