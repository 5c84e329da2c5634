// Where chunks come from: the concept, its handle, and what a source says of itself.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <morsel/array/attributes.hpp>
#include <morsel/array/buffer.hpp>
#include <morsel/array/dtype.hpp>
#include <morsel/array/grid.hpp>
#include <morsel/io/codec_info.hpp>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// What a source holds. Never changes during the source's life.
struct ArraySpec {
  DType dtype;
  Grid grid;                      ///< native chunks; its shape is the array's
  bool reads_regions = false;     ///< any box, within or across chunks, is one fetch of about its own bytes
  bool lends = false;             ///< `lend` gives memory in place of fetch and decode
  bool does_io = true;            ///< false: nothing to fetch, decode alone makes the values
  bool has_native_chunks = true;  ///< false: `grid` is a mere suggestion; "auto" chooses another
  std::vector<std::byte> fill;    ///< value of a missing chunk, one element; empty: zero
  std::vector<std::string> dims;  ///< names of the axes, or empty
  Attributes attributes;
  std::string format;  ///< "npy", "memmap", "memory", "function", "zarr_v3", ...
  std::vector<CodecInfo> codecs;
  std::string order = "C";  ///< element order in storage, for `info`; "" if neither C nor F
  Shape stored_chunks;      ///< of every native chunk as stored, not clipped to the array; empty: as `grid`
  Shape stored_shards;      ///< of every shard as stored; empty: none, or as `shards`
  /// Axes of a native chunk from the slowest in storage on, if boxes of it whose elements lie together there
  /// are read and decoded for about their own bytes; empty: a chunk is read whole.
  std::vector<std::size_t> part_axes;
  std::optional<Index> stored_bytes;  ///< bytes in storage if known without a scan
  /// One fetch may take any box of several chunks that lies in one box of this grid; unset: of one chunk
  /// only.
  std::optional<Grid> shards;
  std::size_t held_bytes = 0;  ///< memory of its own that the source may hold while it is read (caches)
  std::string note;            ///< what a reader of a plan should know of how it is read, or ""
  Shape shape() const { return grid.shape(); }
};

/// What one fetch and decode of a region will need. Exact or an upper bound; computed without I/O.
struct FetchCost {
  std::size_t encoded_bytes = 0;  ///< room that `fetch` may fill
  std::size_t scratch_bytes = 0;  ///< room that `decode` may use on top
  bool partial = false;           ///< reading less than the chunk reads (about) only that
  bool in_place = false;          ///< the encoded bytes are the region's elements in C order; decode gets
                          ///< out.data == encoded.data() and mends them where they stand (byte order, bool)
  std::size_t strided_scratch_bytes = 0;  ///< more room for `decode` where `out` is not in C order
};

/// May `fetch` wait for a disk or network?
enum class FetchMode : std::uint8_t {
  wait,
  cached_only  ///< give `would_block` rather than wait; a source that cannot tell may just wait
};

struct Fetched {
  enum class State : std::uint8_t { filled, missing, would_block };
  State state = State::filled;
  std::size_t encoded_bytes = 0;  ///< bytes of the room that hold data; also what the read cost, for counters
  Index requests = 1;             ///< reads issued, for counters
};

/// Anything that produces decoded chunks.
///
/// `chunk` is a grid position of `spec().grid`; `region` is a non-empty box in array coordinates inside that
/// chunk (any box of the array if `reads_regions`, any box of one shard if there are `shards`; `chunk` is
/// then the one that holds its low corner).
///
/// Laws: `spec`, `cost` do no I/O. `fetch` does I/O only, into memory it is given; `decode` computes only,
/// writes every element of `out` (shape: the region; any strides unless in place) in native byte order, bool
/// as 0 or 1, and neither reads beyond `encoded` nor writes beyond `out` and `scratch`, also on corrupt
/// input. Both are called from many threads at once. `decode` runs only after `fetch` said `filled`; a chunk
/// that does not exist is `missing`, not an error. `identity` says which data (kind, canonical path,
/// options), `version` which state of it (size, mtime, inode; a hash of metadata): equal strings mean equal
/// values.
///
/// Fails: Error with the place in the message; corrupt_data for damaged bytes, io_error for the system's
/// refusals. Not required: caching, ordering, knowledge of other chunks, thread creation.
template <class S>
concept ChunkSource = std::move_constructible<S> &&
    requires(const S& s, const Dims& chunk, const Region& region, std::span<std::byte> room,
             std::span<const std::byte> encoded, BufferView out, FetchMode mode, std::stop_token stop) {
  { s.spec() } -> std::convertible_to<const ArraySpec&>;
  { s.cost(chunk, region) } -> std::same_as<FetchCost>;
  { s.fetch(chunk, region, room, mode, stop) } -> std::same_as<Fetched>;
  { s.decode(chunk, region, encoded, out, room) } -> std::same_as<void>;
  { s.identity() } -> std::convertible_to<std::string>;
  { s.version() } -> std::convertible_to<std::string>;
};

/// Optional ability: lend memory instead of copying. The view must stay valid and constant while the source
/// lives; `region` is any box of the array; elements are aligned for their dtype (alignment_of). Only called
/// if spec().lends.
template <class S>
concept LendsRegions = ChunkSource<S> && requires(const S& s, const Region& region) {
  { s.lend(region) } -> std::same_as<BufferView>;
};

/// Optional ability: told that a run no longer needs a region, so that page cache or mappings can be dropped.
template <class S>
concept ReleasesRegions = ChunkSource<S> && requires(const S& s, const Region& region) {
  { s.release(region) } -> std::same_as<void>;
};

/// Optional ability: how many reads a fetch issues, as Fetched::requests will say, without any I/O. Asked for
/// by explain. Without it a fetch is one.
template <class S>
concept PredictsRequests = ChunkSource<S> && requires(const S& s, const Dims& chunk, const Region& region) {
  { s.requests(chunk, region) } -> std::same_as<Index>;
};

/// Optional ability: canonical paths of the files, or of the directories of files, that are read. Results are
/// not saved onto them.
template <class S>
concept NamesFiles = requires(const S& s) {
  { s.files() } -> std::convertible_to<std::vector<std::string>>;
};

/// A shared, immutable handle on any source; models ChunkSource itself.
class AnyChunkSource {
 public:
  AnyChunkSource() = default;
  template <class S>
  requires(!std::same_as<std::remove_cvref_t<S>, AnyChunkSource> && ChunkSource<std::remove_cvref_t<S>>)
      AnyChunkSource(S&& source)  // NOLINT(google-explicit-constructor)
      : self_(std::make_shared<const Model<std::remove_cvref_t<S>>>(std::forward<S>(source))) {}

  explicit operator bool() const { return self_ != nullptr; }
  const ArraySpec& spec() const { return self_->spec(); }
  FetchCost cost(const Dims& chunk, const Region& region) const { return self_->cost(chunk, region); }
  Fetched fetch(const Dims& chunk, const Region& region, std::span<std::byte> room, FetchMode mode,
                std::stop_token stop) const {
    return self_->fetch(chunk, region, room, mode, std::move(stop));
  }
  void decode(const Dims& chunk, const Region& region, std::span<const std::byte> encoded, BufferView out,
              std::span<std::byte> scratch) const {
    self_->decode(chunk, region, encoded, out, scratch);
  }
  BufferView lend(const Region& region) const { return self_->lend(region); }
  void release(const Region& region) const { self_->release(region); }
  Index requests(const Dims& chunk, const Region& region) const { return self_->requests(chunk, region); }
  std::string identity() const { return self_->identity(); }
  std::string version() const { return self_->version(); }
  std::vector<std::string> files() const { return self_->files(); }

 private:
  struct Interface {
    virtual ~Interface() = default;
    virtual const ArraySpec& spec() const = 0;
    virtual FetchCost cost(const Dims&, const Region&) const = 0;
    virtual Fetched fetch(const Dims&, const Region&, std::span<std::byte>, FetchMode,
                          std::stop_token) const = 0;
    virtual void decode(const Dims&, const Region&, std::span<const std::byte>, BufferView,
                        std::span<std::byte>) const = 0;
    virtual BufferView lend(const Region&) const = 0;
    virtual void release(const Region&) const = 0;
    virtual Index requests(const Dims&, const Region&) const = 0;
    virtual std::string identity() const = 0;
    virtual std::string version() const = 0;
    virtual std::vector<std::string> files() const = 0;
  };
  template <class S>
  struct Model final : Interface {
    explicit Model(S source) : source_(std::move(source)) {}
    const ArraySpec& spec() const override { return source_.spec(); }
    FetchCost cost(const Dims& c, const Region& r) const override { return source_.cost(c, r); }
    Fetched fetch(const Dims& c, const Region& r, std::span<std::byte> room, FetchMode m,
                  std::stop_token s) const override {
      return source_.fetch(c, r, room, m, std::move(s));
    }
    void decode(const Dims& c, const Region& r, std::span<const std::byte> e, BufferView out,
                std::span<std::byte> scratch) const override {
      source_.decode(c, r, e, out, scratch);
    }
    BufferView lend(const Region& r) const override {
      if constexpr (LendsRegions<S>) return source_.lend(r);
      fail(Errc::internal_error, "lending a region: the source has no memory to lend");
    }
    void release(const Region& r) const override {
      if constexpr (ReleasesRegions<S>) source_.release(r);
    }
    Index requests(const Dims& c, const Region& r) const override {
      if constexpr (PredictsRequests<S>) return source_.requests(c, r);
      return source_.spec().does_io ? 1 : 0;
    }
    std::string identity() const override { return source_.identity(); }
    std::string version() const override { return source_.version(); }
    std::vector<std::string> files() const override {
      if constexpr (NamesFiles<S>) return source_.files();
      return {};
    }
    S source_;
  };
  std::shared_ptr<const Interface> self_;
};
static_assert(ChunkSource<AnyChunkSource>);

}  // namespace morsel::inline MORSEL_ABI
