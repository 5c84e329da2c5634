// Where results go chunk by chunk: the concept and its handle.
#pragma once

#include <concepts>
#include <memory>
#include <morsel/array/buffer.hpp>
#include <morsel/array/dtype.hpp>
#include <morsel/array/grid.hpp>
#include <morsel/io/chunk_source.hpp>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// What a sink takes.
struct SinkSpec {
  DType dtype;
  Grid grid;                    ///< storage chunks; its shape is the array's
  bool writes_regions = false;  ///< any box may be written; otherwise only whole storage chunks
  std::size_t held_bytes = 0;   ///< memory of its own that the sink may hold while it is written
};

/// Takes the elements of an array region by region, in any order, from many threads, each element once.
///
/// Laws: nothing is visible at the target before `commit` (or, for a chunked store, no chunk before it is
/// whole); `commit` is called once, after the last `write`, from one thread; a sink destroyed without
/// `commit` leaves nothing behind but what a later run resumes. `write` gets values in C order, and memory
/// for encoding as `scratch`, `scratch_bytes(region)` long for the largest region; it allocates nothing else.
///
/// Fails: io_error (disk full), already_exists. `identity` is that of the source that reading the target
/// gives. Optional: `files()`, the canonical paths of what `commit` replaces (see NamesFiles). Saving onto an
/// input is refused by comparing both.
template <class S>
concept ChunkSink = std::move_constructible<S> &&
    requires(S& s, const S& c, const Region& region, const BufferView& values, std::span<std::byte> scratch,
             std::stop_token stop) {
  { c.spec() } -> std::convertible_to<const SinkSpec&>;
  { c.scratch_bytes(region) } -> std::same_as<std::size_t>;
  { s.write(region, values, scratch, stop) } -> std::same_as<void>;
  { s.commit() } -> std::same_as<void>;
  { c.identity() } -> std::convertible_to<std::string>;
};

/// Optional ability of sinks that resume: true for a region that an earlier run wrote. It is not computed
/// again.
template <class S>
concept FindsRegions = ChunkSink<S> && requires(const S& c, const Region& region) {
  { c.has(region) } -> std::same_as<bool>;
};

/// Optional ability of sinks that resume: called after `commit`, when all sinks of the run have been
/// committed. What is killed before can be resumed as a whole.
template <class S>
concept Settles = ChunkSink<S> && requires(S& s) {
  { s.settle() } -> std::same_as<void>;
};

/// A shared handle on any sink; models ChunkSink itself.
class AnyChunkSink {
 public:
  AnyChunkSink() = default;
  template <class S>
  requires(!std::same_as<std::remove_cvref_t<S>, AnyChunkSink> && ChunkSink<std::remove_cvref_t<S>>)
      AnyChunkSink(S&& sink)  // NOLINT(google-explicit-constructor)
      : self_(std::make_shared<Model<std::remove_cvref_t<S>>>(std::forward<S>(sink))) {}

  explicit operator bool() const { return self_ != nullptr; }
  const SinkSpec& spec() const { return self_->spec(); }
  std::size_t scratch_bytes(const Region& region) const { return self_->scratch_bytes(region); }
  void write(const Region& region, const BufferView& values, std::span<std::byte> scratch,
             std::stop_token stop) {
    self_->write(region, values, scratch, std::move(stop));
  }
  void commit() { self_->commit(); }
  void settle() { self_->settle(); }
  bool has(const Region& region) const { return self_->has(region); }
  std::string identity() const { return self_->identity(); }
  std::vector<std::string> files() const { return self_->files(); }

 private:
  struct Interface {
    virtual ~Interface() = default;
    virtual const SinkSpec& spec() const = 0;
    virtual std::size_t scratch_bytes(const Region&) const = 0;
    virtual void write(const Region&, const BufferView&, std::span<std::byte>, std::stop_token) = 0;
    virtual void commit() = 0;
    virtual void settle() = 0;
    virtual bool has(const Region&) const = 0;
    virtual std::string identity() const = 0;
    virtual std::vector<std::string> files() const = 0;
  };
  template <class S>
  struct Model final : Interface {
    explicit Model(S sink) : sink_(std::move(sink)) {}
    const SinkSpec& spec() const override { return sink_.spec(); }
    std::size_t scratch_bytes(const Region& r) const override { return sink_.scratch_bytes(r); }
    void write(const Region& r, const BufferView& v, std::span<std::byte> scratch,
               std::stop_token s) override {
      sink_.write(r, v, scratch, std::move(s));
    }
    void commit() override { sink_.commit(); }
    void settle() override {
      if constexpr (Settles<S>) sink_.settle();
    }
    bool has(const Region& r) const override {
      if constexpr (FindsRegions<S>) return sink_.has(r);
      return false;
    }
    std::string identity() const override { return sink_.identity(); }
    std::vector<std::string> files() const override {
      if constexpr (NamesFiles<S>) return sink_.files();
      return {};
    }
    S sink_;
  };
  std::shared_ptr<Interface> self_;
};
static_assert(ChunkSink<AnyChunkSink>);

namespace detail {
/// Is the canonical path `inner` the same as `outer`, or inside it?
bool lies_in(const std::string& inner, const std::string& outer);
}  // namespace detail

/// Do two sinks write the same files, or one inside the directory of the other?
bool overlap(const AnyChunkSink& one, const AnyChunkSink& other);

/// True if what the sink replaces is what the source reads: by identity, or because a file of one is a file
/// of the other or lies inside it.
bool writes_onto(const AnyChunkSink& sink, const AnyChunkSource& source);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/chunk_sink.ipp>
#endif
