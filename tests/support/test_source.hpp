// A source of known elements that counts what is asked of it, and can refuse, fail, wait or be missing
// chunks.
#pragma once

#include <atomic>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <morsel/io/chunk_source.hpp>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace test {

/// An array's elements in C order, in the test's own memory.
struct Whole {
  morsel::DType dtype;
  morsel::Shape shape;
  std::vector<std::byte> bytes;

  std::size_t item() const { return dtype.item_bytes(); }
  std::byte* data() { return bytes.data(); }
  morsel::BufferView view() const {
    return morsel::BufferView::c_order(const_cast<std::byte*>(bytes.data()), shape, item());
  }
};

/// What one source was asked for.
struct ReadLog {
  std::mutex mutex;
  std::map<morsel::Index, int> reads;  ///< per native chunk: fetches, or decodes of a source without I/O
  std::atomic<int> fetches{0}, decodes{0}, lends{0}, costs{0};
  std::atomic<std::size_t> elements{0};  ///< asked for by fetches

  void clear() {
    const std::lock_guard lock(mutex);
    reads.clear();
    fetches = decodes = lends = costs = 0;
    elements = 0;
  }
  std::set<morsel::Index> touched() {
    const std::lock_guard lock(mutex);
    std::set<morsel::Index> chunks;
    for (const auto& [chunk, count] : reads) chunks.insert(chunk);
    return chunks;
  }
  int most_reads_of_a_chunk() {
    const std::lock_guard lock(mutex);
    int most = 0;
    for (const auto& [chunk, count] : reads) most = std::max(most, count);
    return most;
  }
};

struct TestSourceOptions {
  morsel::Grid grid;      ///< native chunks
  bool regions = false;   ///< any box is one fetch
  bool io = true;         ///< false: decode alone makes the values
  bool in_place = false;  ///< encoded bytes are elements to mend where they stand
  bool blocks = false;    ///< every second read that must not wait says would_block
  std::size_t scratch_bytes = 0;
  bool parts = false;                  ///< parts of chunks in C order are read alone
  bool parts_need_whole = false;       ///< decoding less than a chunk takes room for all of it
  std::set<morsel::Index> missing;     ///< chunks that do not exist
  std::set<morsel::Index> forbidden;   ///< chunks whose reading is an error
  std::vector<std::byte> fill;         ///< value of missing chunks
  std::chrono::microseconds delay{0};  ///< of every fetch
  std::shared_ptr<std::string> version = std::make_shared<std::string>("1");
  std::string name = "test";
  std::string identity = {};  ///< default: one that no other source has
  /// Called by every fetch and decode with the chunk's number; may throw.
  std::function<void(morsel::Index)> on_read;
};

/// Elements are stored with all bits flipped and, unless in place, behind eight bytes of salt: values that
/// were not decoded are wrong.
class TestSource {
 public:
  TestSource(std::shared_ptr<const Whole> values, TestSourceOptions options, std::shared_ptr<ReadLog> log)
      : values_(std::move(values)),
        options_(std::move(options)),
        log_(std::move(log)),
        serial_(next_serial()) {
    spec_.dtype = values_->dtype;
    spec_.grid = options_.grid;
    spec_.reads_regions = options_.regions;
    spec_.does_io = options_.io;
    spec_.fill = options_.fill;
    spec_.format = "test";
    if (options_.parts)
      for (std::size_t axis = 0; axis < spec_.grid.rank(); ++axis) spec_.part_axes.push_back(axis);
  }

  const morsel::ArraySpec& spec() const { return spec_; }
  morsel::FetchCost cost(const morsel::Dims&, const morsel::Region& region) const {
    ++log_->costs;
    morsel::FetchCost cost;
    if (options_.io)
      cost.encoded_bytes =
          static_cast<std::size_t>(region.size()) * values_->item() + (options_.in_place ? 0 : salt);
    cost.scratch_bytes = scratch_bytes(region);
    cost.in_place = options_.in_place && options_.io;
    cost.partial = options_.parts;
    return cost;
  }
  morsel::Fetched fetch(const morsel::Dims& chunk, const morsel::Region& region, std::span<std::byte> room,
                        morsel::FetchMode mode, std::stop_token stop) const {
    check(chunk, region);
    if (options_.blocks && mode == morsel::FetchMode::cached_only && turn_->fetch_add(1) % 2 == 0)
      return {morsel::Fetched::State::would_block, 0, 0};
    ++log_->fetches;
    log_->elements += static_cast<std::size_t>(region.size());
    note(chunk, region);
    for (auto left = options_.delay; left.count() > 0 && !stop.stop_requested();
         left -= std::chrono::milliseconds(1))
      std::this_thread::sleep_for(std::min<std::chrono::microseconds>(left, std::chrono::milliseconds(1)));
    if (!options_.regions && options_.missing.count(spec_.grid.number(chunk)))
      return {morsel::Fetched::State::missing, 0, 1};
    std::byte* at = room.data();
    if (!options_.in_place) {
      std::memset(at, 0x77, salt);
      at += salt;
    }
    const morsel::BufferView out = morsel::BufferView::c_order(at, region.shape(), values_->item());
    morsel::copy_elements(values_->view().part(morsel::Region::of(values_->shape), region), out);
    flip(at, out.size_bytes());
    return {morsel::Fetched::State::filled, out.size_bytes() + (options_.in_place ? 0 : salt), 1};
  }
  void decode(const morsel::Dims& chunk, const morsel::Region& region, std::span<const std::byte> encoded,
              morsel::BufferView out, std::span<std::byte> scratch) const {
    ++log_->decodes;
    if (scratch.size() < scratch_bytes(region))
      morsel::fail(morsel::Errc::internal_error, "test source: scratch is too small");
    if (!scratch.empty()) std::memset(scratch.data(), 0xEE, scratch.size());
    if (!options_.io) {
      check(chunk, region);
      note(chunk, region);
      morsel::copy_elements(values_->view().part(morsel::Region::of(values_->shape), region), out);
      return;
    }
    const std::size_t bytes = static_cast<std::size_t>(region.size()) * values_->item();
    if (encoded.size() != bytes + (options_.in_place ? 0 : salt))
      morsel::fail(morsel::Errc::internal_error,
                   "test source: decode got " + std::to_string(encoded.size()) + " encoded bytes");
    if (options_.in_place) {
      if (out.data != encoded.data())
        morsel::fail(morsel::Errc::internal_error, "test source: decode in place elsewhere");
      flip(out.data, bytes);
      return;
    }
    std::vector<std::byte> plain(encoded.begin() + salt, encoded.end());
    flip(plain.data(), bytes);
    morsel::copy_elements(morsel::BufferView::c_order(plain.data(), region.shape(), values_->item()), out);
  }
  std::string identity() const {
    return options_.identity.empty() ? options_.name + "#" + std::to_string(serial_) : options_.identity;
  }
  std::string version() const { return *options_.version; }

 private:
  static constexpr std::size_t salt = 8;
  /// A part of a chunk is decoded by way of the whole.
  std::size_t scratch_bytes(const morsel::Region& region) const {
    std::size_t bytes = options_.scratch_bytes;
    if (options_.parts_need_whole && !options_.regions) {
      const morsel::Region chunk = spec_.grid.region(spec_.grid.overlapping(region).lo);
      if (chunk != region) bytes += static_cast<std::size_t>(chunk.size()) * values_->item();
    }
    return bytes;
  }
  static int next_serial() {
    static std::atomic<int> serial{0};
    return ++serial;
  }
  static void flip(std::byte* at, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) at[i] = ~at[i];
  }
  /// The law of ChunkSource: a non-empty box inside the chunk.
  void check(const morsel::Dims& chunk, const morsel::Region& region) const {
    bool fine = region.size() > 0 && morsel::Region::of(values_->shape).contains(region);
    if (fine && options_.regions) {
      morsel::Region corner{region.lo, region.lo};
      for (morsel::Index& hi : corner.hi) ++hi;
      fine = spec_.grid.region(chunk).contains(corner);
    }
    if (fine && !options_.regions) fine = spec_.grid.region(chunk).contains(region);
    if (!fine)
      morsel::fail(morsel::Errc::internal_error, "test source: read of " + morsel::to_string(region) +
                                                     " for chunk " + morsel::to_string(chunk));
  }
  void note(const morsel::Dims& chunk, const morsel::Region& region) const {
    const auto one = [&](morsel::Index number) {
      {
        const std::lock_guard lock(log_->mutex);
        ++log_->reads[number];
      }
      if (options_.forbidden.count(number))
        morsel::fail(morsel::Errc::corrupt_data,
                     "test source: chunk " + std::to_string(number) + " is damaged");
      if (options_.on_read) options_.on_read(number);
    };
    if (!options_.regions) return one(spec_.grid.number(chunk));
    morsel::for_each_position(spec_.grid.overlapping(region),
                              [&](const morsel::Dims& c) { one(spec_.grid.number(c)); });
  }

  std::shared_ptr<const Whole> values_;
  TestSourceOptions options_;
  std::shared_ptr<ReadLog> log_;
  int serial_;
  std::shared_ptr<std::atomic<unsigned>> turn_ = std::make_shared<std::atomic<unsigned>>(0);
  morsel::ArraySpec spec_;
};
static_assert(morsel::ChunkSource<TestSource>);

}  // namespace test
