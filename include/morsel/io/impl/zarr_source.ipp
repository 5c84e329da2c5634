#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <list>
#include <map>
#include <morsel/io/impl/codec_chain.ipp>
#include <morsel/io/impl/fnv.hpp>
#include <morsel/io/impl/raw_source.ipp>
#include <morsel/io/impl/shard_levels.hpp>
#include <morsel/io/shard.hpp>
#include <morsel/io/store_key.hpp>
#include <morsel/io/zarr_source.hpp>
#include <mutex>
#include <numeric>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// Indices of shards, the least recently used ones dropped. Threads that want the same one wait for the
/// first. One that was read in an earlier run counts if the shard's stamp is what it was.
class ShardIndexCache {
 public:
  using Entries = std::shared_ptr<const std::vector<ShardFormat::Entry>>;
  using Stamp = std::optional<std::uint64_t>;
  explicit ShardIndexCache(std::size_t most_bytes) : most_bytes_(most_bytes) {}

  /// The index called `key`; `read` makes it, or gives null if the shard is absent. `stamp` says which shard
  /// stands there now.
  template <class Read, class GiveStamp>
  Entries get(const std::string& key, Read&& read, GiveStamp&& give_stamp) {
    Item before;  // of an earlier run
    {
      std::unique_lock lock(mutex_);
      for (;;) {
        const auto it = by_key_.find(key);
        if (it == by_key_.end()) {
          order_.push_front({key, nullptr, {}, run_, true});
          by_key_[key] = order_.begin();
          break;
        }
        if (it->second->reading) {
          ready_.wait(lock);
          continue;
        }
        order_.splice(order_.begin(), order_, it->second);
        if (it->second->run == run_) return it->second->entries;
        before = *it->second;
        bytes_ -= bytes_of(before);
        *it->second = {key, nullptr, {}, run_, true};
        break;
      }
    }
    Item now{key, nullptr, {}, 0, false};
    const auto leave = [&](bool is_good) {
      {
        const std::lock_guard lock(mutex_);
        const auto it = by_key_.find(key);
        if (!is_good) {
          order_.erase(it->second);
          by_key_.erase(it);
        } else {
          now.run = it->second->run;
          *it->second = now;
          bytes_ += bytes_of(now);
          for (auto last = order_.end(); bytes_ > most_bytes_ && last != order_.begin();) {
            --last;
            if (last->reading || last->key == key) continue;
            bytes_ -= bytes_of(*last);
            by_key_.erase(last->key);
            last = order_.erase(last);
          }
        }
      }
      ready_.notify_all();
    };
    try {
      now.stamp = give_stamp();  // first: what is read later may be newer, and is then read again
      now.entries = before.stamp && now.stamp == before.stamp ? before.entries : read();
    } catch (...) {
      leave(false);
      throw;
    }
    leave(true);
    return now.entries;
  }

  /// A new run: what was read before is looked at again.
  void begin_run() {
    const std::lock_guard lock(mutex_);
    ++run_;
  }

 private:
  struct Item {
    std::string key;
    Entries entries;  // null: the shard is absent
    Stamp stamp;
    std::uint64_t run = 0;
    bool reading = false;
  };
  static std::size_t bytes_of(const Item& item) {
    return 128 + (item.entries ? item.entries->size() * sizeof(ShardFormat::Entry) : 0);
  }
  std::size_t most_bytes_, bytes_ = 0;
  std::uint64_t run_ = 1;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::list<Item> order_;  // most recently used first
  std::map<std::string, std::list<Item>::iterator> by_key_;
};

/// The order of axes behind the transposes that a chain begins with.
MORSEL_INLINE std::vector<std::size_t> stored_order(std::vector<std::size_t> order,
                                                    const std::vector<CodecInfo>& codecs,
                                                    const std::string& doing) {
  for (const CodecInfo& codec : codecs) {
    if (codec.name != "transpose") break;
    order = permuted(order, transpose_order(codec, order.size(), doing));
  }
  return order;
}

/// "C", "F", or "" for another order of axes.
MORSEL_INLINE std::string order_name(const std::vector<std::size_t>& order) {
  if (std::is_sorted(order.begin(), order.end())) return "C";
  return std::is_sorted(order.rbegin(), order.rend()) ? "F" : "";
}

/// What the caches of one array's indices may hold.
inline constexpr std::size_t shard_index_bytes = std::size_t{4} << 20;

}  // namespace detail

struct ZarrSource::State {
  // A level of shards: axis i of its index is axis order[i] of the array.
  struct Level {
    ShardFormat format;
    std::vector<std::size_t> order;
    Shape outer, inner;  // of the shard and its inner chunks, along the array's axes
  };
  // Where the bytes of an inner chunk lie in room, written by fetch for decode.
  struct Slot {
    std::uint64_t offset_bytes = 0, bytes = ShardFormat::Entry::absent;
  };

  AnyStore store;
  std::string path, place;
  ZarrArray array;
  ArraySpec spec;
  std::vector<std::string> documents;
  std::vector<Level> levels;
  std::vector<std::size_t> order;  // axis i of what the chain decodes is axis order[i] of the array
  CodecChain chain;                // of the native chunks; rectilinear grids have one per shape
  mutable std::mutex mutex;
  mutable std::map<std::vector<Index>, std::unique_ptr<const CodecChain>> chains;
  mutable std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> known_documents;  // stamp, hash
  mutable detail::ShardIndexCache indices{detail::shard_index_bytes};

  std::string key_of(const Dims& chunk) const {
    return path.empty() ? array.keys.key(chunk) : path + "/" + array.keys.key(chunk);
  }
  [[noreturn]] void refuse(const Error& error, const std::string& key) const {
    throw error.during("reading '" + place + "', chunk " + key);
  }
  /// Are chunks stored in several shapes?
  bool varies() const { return !array.chunk_lengths.empty() || array.is_bounded; }
  const CodecChain& chain_of(const Dims& chunk) const {
    if (!varies()) return chain;
    const Shape shape = array.stored_shape(chunk);
    const std::vector<Index> wanted(shape.begin(), shape.end());
    const std::lock_guard lock(mutex);
    std::unique_ptr<const CodecChain>& found = chains[wanted];
    if (!found)
      found = std::make_unique<const CodecChain>(array.codecs, array.dtype, shape, "open '" + place + "'",
                                                 array.fill);
    return *found;
  }
  /// Box of the native chunk as it is stored: from its first element on, not clipped.
  Region stored_box(const Dims& chunk) const {
    const Region clipped = spec.grid.region(chunk);
    const Shape& shape = levels.empty() ? array.stored_shape(chunk) : levels.back().inner;
    Region box = clipped;
    for (std::size_t i = 0; i < shape.size(); ++i) box.hi[i] = box.lo[i] + shape[i];
    return box;
  }
  static Region relative(const Region& region, const Dims& origin) {
    Region r = region;
    for (std::size_t i = 0; i < origin.size(); ++i) r.lo[i] -= origin[i], r.hi[i] -= origin[i];
    return r;
  }
  bool is_stored_plainly() const { return levels.empty() && !varies() && chain.is_plain(); }
  /// The elements' bytes in a chunk that is stored as it is, if they are one piece.
  std::optional<ByteRange> plain_range(const Dims& chunk, const Region& region) const {
    if (!is_stored_plainly()) return std::nullopt;
    const Region part = relative(region, stored_box(chunk).lo);
    const detail::Runs runs =
        detail::runs_of(RawLayout::contiguous(array.dtype, array.chunk_shape, 0, {}), part);
    if (!runs.counts.empty()) return std::nullopt;
    return ByteRange{runs.first, static_cast<Index>(runs.run_bytes)};
  }
  std::size_t slots_bytes(const Region& region) const {
    return round_up(static_cast<std::size_t>(spec.grid.overlapping(region).size()) * sizeof(Slot), 64);
  }

  /// Bytes [offset, offset + length) of a value; false if there is no such value.
  bool read(const std::string& key, ByteRange range, std::span<std::byte> room,
            const std::stop_token& stop) const {
    GetRequest request{key, range, room};
    store.get({&request, 1}, stop);
    if (request.found && request.filled_bytes != room.size())
      fail(Errc::corrupt_data, "too few bytes; expected " + std::to_string(room.size()) + ", got " +
                                   std::to_string(request.filled_bytes));
    return request.found;
  }

  /// A hash of a metadata document; one that has not changed is not read again.
  std::uint64_t document(const std::string& key) const {
    const std::optional<std::uint64_t> stamp = store.stamp(key);
    if (stamp) {
      const std::lock_guard lock(mutex);
      const auto known = known_documents.find(key);
      if (known != known_documents.end() && known->second.first == *stamp) return known->second.second;
    }
    const std::optional<std::string> text = get_text(store, key);
    std::uint64_t hash = detail::fnv_start;
    for (const char c : key + '\0' + text.value_or("absent") + '\0')
      hash = detail::fnv_add(hash, static_cast<unsigned char>(c));
    if (stamp) {
      const std::lock_guard lock(mutex);
      known_documents[key] = {*stamp, hash};
    }
    return hash;
  }

  /// Ranges of a value, clipped to it, in one request to the store; false if there is no such value.
  bool read_ranges(const std::string& key, std::span<StoredRange> ranges, Fetched& fetched,
                   const std::stop_token& stop) const {
    std::vector<GetRequest> requests;
    for (const StoredRange& range : ranges)
      requests.push_back(
          {key,
           {static_cast<Index>(range.offset_bytes), static_cast<Index>(range.room.size()), true},
           range.room});
    store.get(requests, stop);
    bool found = true;
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      ranges[i].filled_bytes = requests[i].filled_bytes;
      found &= requests[i].found;
    }
    fetched.requests += static_cast<Index>(requests.size());
    return found;
  }

  /// The index of the shard at level `depth` that lies in `key` at [base, base + bytes).
  detail::ShardIndexCache::Entries index(std::size_t depth, const std::string& key, std::uint64_t base,
                                         std::uint64_t bytes, Index& requests,
                                         const std::stop_token& stop) const {
    const ShardFormat& format = levels[depth].format;
    const std::string name = key + "@" + std::to_string(depth) + "@" + std::to_string(base);
    return indices.get(
        name,
        [&]() -> detail::ShardIndexCache::Entries {
          std::vector<std::byte> stored(format.index_bytes());
          const Index length = static_cast<Index>(stored.size());
          ByteRange range{format.index_at_start() ? 0 : -length, length};
          if (depth > 0) {
            if (bytes < stored.size())
              fail(Errc::corrupt_data, "a shard in a shard is too short for its index; expected at least " +
                                           std::to_string(stored.size()) + " bytes, got " +
                                           std::to_string(bytes));
            range.offset = static_cast<Index>(format.index_at_start() ? base : base + bytes - stored.size());
          }
          ++requests;
          if (!read(key, range, stored, stop)) return nullptr;
          return std::make_shared<const std::vector<ShardFormat::Entry>>(format.decode_index(stored));
        },
        [&] { return store.stamp(key); });
  }

  /// The index that a fetch has at hand, so that it asks once for all chunks of a shard.
  struct Hand {
    bool holds = false;
    std::uint64_t base = 0;
    detail::ShardIndexCache::Entries entries;
  };

  /// Where an inner chunk's bytes lie in its file; absent if it, or a shard around it, is.
  ShardFormat::Entry locate(const std::string& key, const Dims& origin, std::vector<Hand>& hands,
                            Index& requests, const std::stop_token& stop) const {
    ShardFormat::Entry entry{0, 0};
    Dims from(origin.size(), 0);  // of the shard at hand
    for (std::size_t i = 0; i < origin.size(); ++i)
      from[i] = origin[i] / levels[0].outer[i] * levels[0].outer[i];
    for (std::size_t depth = 0; depth < levels.size(); ++depth) {
      const Level& level = levels[depth];
      Hand& hand = hands[depth];
      if (!hand.holds || hand.base != entry.offset_bytes)
        hand = {true, entry.offset_bytes, index(depth, key, entry.offset_bytes, entry.bytes, requests, stop)};
      const auto& entries = hand.entries;
      if (!entries) return {};
      std::size_t number = 0;
      for (std::size_t i = 0; i < level.order.size(); ++i) {
        const std::size_t axis = level.order[i];
        const Index at = (origin[axis] - from[axis]) / level.inner[axis];
        number = number * static_cast<std::size_t>(level.format.counts()[i]) + static_cast<std::size_t>(at);
        from[axis] += at * level.inner[axis];
      }
      const ShardFormat::Entry found = (*entries)[number];
      if (found.is_absent()) return {};
      const bool fits =
          depth == 0 ? found.offset_bytes + found.bytes >= found.offset_bytes &&
                           found.offset_bytes + found.bytes <= (std::uint64_t{1} << 62)
                     : found.offset_bytes <= entry.bytes && found.bytes <= entry.bytes - found.offset_bytes;
      if (!fits)
        fail(Errc::corrupt_data,
             "the shard's index points outside of it; expected an entry within " +
                 (depth == 0 ? std::string("the shard") : std::to_string(entry.bytes) + " bytes") +
                 ", got offset " + std::to_string(found.offset_bytes) + " and length " +
                 std::to_string(found.bytes));
      entry = {entry.offset_bytes + found.offset_bytes, found.bytes};
    }
    return entry;
  }
};

MORSEL_INLINE ZarrSource::ZarrSource(AnyStore store, std::string path, const ZarrArray& array,
                                     std::vector<std::string> documents, const std::string& doing) {
  auto state = std::make_shared<State>();
  state->store = std::move(store);
  state->path = std::move(path);
  state->array = array;
  state->documents = std::move(documents);
  state->place = doing.starts_with("open '") ? doing.substr(6, doing.size() - 7) : state->path;
  const std::size_t rank = array.grid.rank();
  ArraySpec& spec = state->spec;
  spec.dtype = array.dtype;
  spec.grid = array.grid;
  spec.fill = array.fill;
  spec.dims = array.dims;
  spec.attributes = array.attributes;
  spec.format = array.format;
  spec.codecs = array.codecs;

  // Shards that can be read in parts: nothing but transposes before them, nothing behind.
  std::vector<CodecInfo> codecs = array.codecs;
  state->order = detail::identity_order(rank);
  Shape seen = array.chunk_shape;  // of the chunk at hand, along its own axes
  Shape outer = array.chunk_shape;
  while (array.chunk_lengths.empty()) {
    const std::optional<ShardFormat> shards = detail::take_shards(codecs, seen, state->order, doing);
    if (!shards) break;
    const ShardFormat& format = *shards;
    State::Level level{format, state->order, outer, Shape(rank)};
    for (std::size_t i = 0; i < rank; ++i) level.inner[state->order[i]] = format.inner_shape()[i];
    outer = level.inner;
    state->levels.push_back(std::move(level));
  }
  if (array.chunk_lengths.empty()) spec.stored_chunks = outer;
  if (!state->levels.empty()) {
    spec.shards = array.grid;
    spec.stored_shards = array.chunk_shape;
    spec.grid = Grid::regular(array.grid.shape(), outer);
    // The cache, and two indices that are being read: stored, decoded, in between.
    std::size_t index = 0, all = 0, bytes_of_level = 0, shards = static_cast<std::size_t>(array.grid.count());
    for (const State::Level& level : state->levels) {
      const std::size_t bytes = level.format.inner_count() * sizeof(ShardFormat::Entry) + 256;
      index = std::max(index, bytes);
      if (!__builtin_mul_overflow(shards, bytes, &bytes_of_level) && all < detail::shard_index_bytes)
        all += bytes_of_level;
      else
        all = detail::shard_index_bytes;
      shards = std::min(detail::shard_index_bytes, shards * level.format.inner_count());
    }
    spec.held_bytes = std::min(all, detail::shard_index_bytes) + 6 * index;
  }
  if (!state->varies()) {
    state->chain = CodecChain(codecs, array.dtype, seen, doing, array.fill, array.mends);
    if (state->levels.empty())
      spec.part_axes = state->chain.is_plain() ? detail::identity_order(rank) : state->chain.part_axes();
  }
  spec.order = detail::order_name(detail::stored_order(state->order, codecs, doing));
  state_ = std::move(state);
}

MORSEL_INLINE const ArraySpec& ZarrSource::spec() const { return state_->spec; }

MORSEL_INLINE FetchCost ZarrSource::cost(const Dims& chunk, const Region& region) const {
  const State& s = *state_;
  const CodecChain& chain = s.chain_of(chunk);
  FetchCost cost;
  if (!s.levels.empty()) {
    const Index chunks = s.spec.grid.overlapping(region).size();
    cost.encoded_bytes = s.slots_bytes(region) + static_cast<std::size_t>(chunks) * chain.max_encoded_bytes();
    cost.scratch_bytes = chain.decode_scratch_bytes() + chain.strided_scratch_bytes();
    cost.partial = true;
    return cost;
  }
  if (const auto range = s.plain_range(chunk, region)) {
    cost.encoded_bytes = static_cast<std::size_t>(range->length);
    cost.partial = cost.in_place = true;
    return cost;
  }
  const CodecChain::Cost part = chain.cost(State::relative(region, s.stored_box(chunk).lo));
  cost.encoded_bytes = part.encoded_bytes;
  cost.scratch_bytes = part.scratch_bytes;
  cost.strided_scratch_bytes = part.strided_bytes;
  cost.partial = part.partial;
  return cost;
}

MORSEL_INLINE FetchCost ZarrSource::most_cost() const {
  const State& s = *state_;
  const Dims first(s.spec.grid.rank(), 0);
  if (!s.levels.empty()) return cost(first, s.array.grid.region(first));
  // Parts of chunks may take more than other ones that are larger: what a whole chunk into strided memory
  // takes is enough for all.
  const CodecChain& chain = s.chain_of(first);
  FetchCost most;
  most.encoded_bytes = std::max(chain.max_encoded_bytes(), chain.most_part_bytes());
  most.scratch_bytes = chain.decode_scratch_bytes() + chain.strided_scratch_bytes();
  return most;
}

MORSEL_INLINE Fetched ZarrSource::fetch(const Dims& chunk, const Region& region, std::span<std::byte> room,
                                        FetchMode, std::stop_token stop) const {
  const State& s = *state_;
  Fetched fetched;
  fetched.requests = 0;
  std::string key;
  try {
    if (s.levels.empty()) {
      key = s.key_of(chunk);
      const auto range = s.plain_range(chunk, region);
      const CodecChain& chain = s.chain_of(chunk);
      const Region part = State::relative(region, s.stored_box(chunk).lo);
      if (!range && chain.cost(part).partial) {
        const auto filled = chain.fetch(
            part, [&](std::span<StoredRange> ranges) { return s.read_ranges(key, ranges, fetched, stop); },
            room);
        fetched.encoded_bytes = filled.value_or(0);
        if (!filled) fetched.state = Fetched::State::missing;
        return fetched;
      }
      GetRequest request{key, range.value_or(ByteRange{}), room};
      if (range) request.room = room.first(static_cast<std::size_t>(range->length));
      s.store.get({&request, 1}, stop);
      fetched.requests = 1;
      fetched.encoded_bytes = request.filled_bytes;
      if (!request.found) fetched.state = Fetched::State::missing;
      return fetched;
    }
    // Entries first, then the inner chunks in file order, neighbours together.
    const Region chunks = s.spec.grid.overlapping(region);
    Dims shard(chunk.size());
    for (std::size_t i = 0; i < shard.size(); ++i) shard[i] = s.array.grid.axis(i).chunk_of(region.lo[i]);
    key = s.key_of(shard);
    std::vector<State::Hand> hands(s.levels.size());
    std::vector<State::Slot> slots(static_cast<std::size_t>(chunks.size()));
    const std::size_t most = s.chain.max_encoded_bytes();
    struct Piece {
      std::uint64_t offset_bytes, bytes;
      std::size_t slot;
    };
    std::vector<Piece> pieces;
    std::size_t slot = 0;
    for_each_position(chunks, [&](const Dims& at) {
      const ShardFormat::Entry entry =
          s.locate(key, s.spec.grid.region(at).lo, hands, fetched.requests, stop);
      if (!entry.is_absent()) {
        if (entry.bytes > most)
          fail(Errc::corrupt_data, "an inner chunk is larger than its codecs make it; expected at most " +
                                       std::to_string(most) + " bytes, got " + std::to_string(entry.bytes));
        pieces.push_back({entry.offset_bytes, entry.bytes, slot});
      }
      ++slot;
    });
    if (pieces.empty()) {
      fetched.state = Fetched::State::missing;
      return fetched;
    }
    std::sort(pieces.begin(), pieces.end(),
              [](const Piece& a, const Piece& b) { return a.offset_bytes < b.offset_bytes; });
    std::vector<GetRequest> requests;
    std::size_t to = s.slots_bytes(region);
    std::uint64_t end = 0;
    for (const Piece& piece : pieces) {
      slots[piece.slot] = {to, piece.bytes};
      const std::size_t bytes = static_cast<std::size_t>(piece.bytes);
      const std::span<std::byte> part = room.subspan(to, bytes);
      to += bytes;
      if (!requests.empty() && piece.offset_bytes == end) {
        GetRequest& last = requests.back();
        last.range.length += static_cast<Index>(bytes);
        last.room = {last.room.data(), last.room.size() + bytes};
      } else {
        requests.push_back({key, {static_cast<Index>(piece.offset_bytes), static_cast<Index>(bytes)}, part});
      }
      end = piece.offset_bytes + piece.bytes;
    }
    std::memcpy(room.data(), slots.data(), slots.size() * sizeof(State::Slot));
    s.store.get(requests, stop);
    for (const GetRequest& request : requests)
      if (!request.found || request.filled_bytes != request.room.size())
        fail(Errc::corrupt_data, "the shard is shorter than its index says; expected " +
                                     std::to_string(request.room.size()) + " bytes at " +
                                     std::to_string(request.range.offset) + ", got " +
                                     std::to_string(request.filled_bytes));
    fetched.requests += static_cast<Index>(requests.size());
    fetched.encoded_bytes = to;
    return fetched;
  } catch (const Error& error) {
    s.refuse(error, key);
  }
}

MORSEL_INLINE void ZarrSource::decode(const Dims& chunk, const Region& region,
                                      std::span<const std::byte> encoded, BufferView out,
                                      std::span<std::byte> scratch) const {
  const State& s = *state_;
  if (s.levels.empty()) {
    try {
      if (s.plain_range(chunk, region)) return s.chain.decode_plain(encoded, out);
      const CodecChain& chain = s.chain_of(chunk);
      return chain.decode(encoded, State::relative(region, s.stored_box(chunk).lo), out, scratch);
    } catch (const Error& error) {
      s.refuse(error, s.key_of(chunk));
    }
  }
  if (encoded.size() < s.slots_bytes(region))
    fail(Errc::corrupt_data,
         "reading '" + s.place + "': inner chunks without their places; expected at least " +
             std::to_string(s.slots_bytes(region)) + " bytes, got " + std::to_string(encoded.size()));
  std::size_t slot = 0;
  for_each_position(s.spec.grid.overlapping(region), [&](const Dims& at) {
    const Region stored = s.stored_box(at), part = intersect(region, stored);
    const BufferView to = out.part(region, part);
    State::Slot found;
    std::memcpy(&found, encoded.data() + sizeof found * slot++, sizeof found);
    if (found.bytes == ShardFormat::Entry::absent) {
      const std::vector<std::byte> zero(s.spec.fill.empty() ? s.spec.dtype.item_bytes() : 0);
      fill_elements(to, s.spec.fill.empty() ? zero.data() : s.spec.fill.data());
      return;
    }
    Region seen = State::relative(part, stored.lo);
    seen = {detail::permuted(seen.lo, s.order), detail::permuted(seen.hi, s.order)};
    const BufferView view{to.data, to.item_bytes, detail::permuted(to.shape, s.order),
                          detail::permuted(to.strides, s.order)};
    try {
      if (found.bytes > encoded.size() || found.offset_bytes > encoded.size() - found.bytes)
        fail(Errc::corrupt_data, "its bytes end too early; expected " + std::to_string(found.bytes) +
                                     " bytes at " + std::to_string(found.offset_bytes) + ", got " +
                                     std::to_string(encoded.size()));
      s.chain.decode(encoded.subspan(found.offset_bytes, found.bytes), seen, view, scratch);
    } catch (const Error& error) {
      Dims shard(at.size());
      for (std::size_t i = 0; i < shard.size(); ++i) shard[i] = s.array.grid.axis(i).chunk_of(part.lo[i]);
      s.refuse(error.during("inner chunk at " + to_string(part.lo)), s.key_of(shard));
    }
  });
}

MORSEL_INLINE Index ZarrSource::requests(const Dims& chunk, const Region& region) const {
  if (state_->levels.empty()) {
    if (state_->plain_range(chunk, region)) return 1;
    return state_->chain_of(chunk).cost(State::relative(region, state_->stored_box(chunk).lo)).requests;
  }
  return state_->spec.grid.overlapping(region).size() + static_cast<Index>(state_->levels.size());
}

MORSEL_INLINE std::string ZarrSource::identity() const {
  return state_->path.empty() ? state_->store.identity() : state_->store.identity() + "/" + state_->path;
}

MORSEL_INLINE std::string ZarrSource::version() const {
  state_->indices.begin_run();  // asked for at the beginning of every run: the shards may be others by now
  std::uint64_t hash = detail::fnv_start;
  for (const std::string& key : state_->documents) hash = detail::fnv_add(hash, state_->document(key));
  return std::to_string(hash);
}

}  // namespace morsel::inline MORSEL_ABI
