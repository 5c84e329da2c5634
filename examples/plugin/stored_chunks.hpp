// A source over any store and any codec: chunk (i, j) of a matrix of float32 is the value at key "i/j",
// encoded.
#pragma once

#include <charconv>
#include <morsel/io/chunk_source.hpp>
#include <morsel/io/codec.hpp>
#include <morsel/io/store.hpp>
#include <morsel/io/store_key.hpp>

namespace plugin {

class StoredChunks {
 public:
  /// Key "shape" holds "rows columns height width": extents of the matrix and of its chunks.
  StoredChunks(morsel::AnyStore store, const morsel::AnyCodec& codec)
      : store_(std::move(store)), metadata_(read()) {
    morsel::Index numbers[4] = {};
    const char* at = metadata_.data();
    for (morsel::Index& number : numbers) {
      while (at < metadata_.data() + metadata_.size() && *at == ' ') ++at;
      const auto [end, error] = std::from_chars(at, metadata_.data() + metadata_.size(), number);
      if (error != std::errc() || number < 1 || number > (morsel::Index{1} << 30))
        morsel::fail(morsel::Errc::corrupt_data, "opening " + identity() +
                                                     ": bad shape; expected 4 numbers from 1 to 2^30, got '" +
                                                     metadata_ + "'");
      at = end;
    }
    spec_.dtype = morsel::Type::float32;
    spec_.grid = morsel::Grid::regular({numbers[0], numbers[1]}, {numbers[2], numbers[3]});
    spec_.format = "stored_chunks";
    spec_.codecs = {{std::string(codec.name()), "{}"}};
    codec_ = codec.prepare(
        {spec_.dtype, spec_.grid.chunk_shape(), bytes(morsel::Region::of(spec_.grid.chunk_shape()))});
  }

  const morsel::ArraySpec& spec() const { return spec_; }

  /// A part of a chunk is decoded beside it, so the scratch holds the chunk.
  morsel::FetchCost cost(const morsel::Dims& chunk, const morsel::Region&) const {
    const morsel::Region whole = spec_.grid.region(chunk);
    morsel::FetchCost cost;
    cost.encoded_bytes = codec_.max_encoded_bytes(bytes(whole));
    cost.scratch_bytes = codec_.scratch_bytes() + bytes(whole);
    return cost;
  }

  /// A store that may wait for a network cannot tell what is cached: it waits, which is allowed.
  morsel::Fetched fetch(const morsel::Dims& chunk, const morsel::Region&, std::span<std::byte> room,
                        morsel::FetchMode, std::stop_token stop) const {
    const std::string key = key_of(chunk);
    morsel::GetRequest request;
    request.key = key;
    request.room = room;
    store_.get({&request, 1}, stop);
    morsel::Fetched fetched;
    fetched.state = request.found ? morsel::Fetched::State::filled : morsel::Fetched::State::missing;
    fetched.encoded_bytes = request.filled_bytes;
    return fetched;
  }

  void decode(const morsel::Dims& chunk, const morsel::Region& region, std::span<const std::byte> encoded,
              morsel::BufferView out, std::span<std::byte> scratch) const {
    const morsel::Region whole = spec_.grid.region(chunk);
    const std::span<std::byte> room = scratch.first(bytes(whole));
    std::size_t got = 0;
    try {
      got = codec_.decode(encoded, room, scratch.subspan(bytes(whole)));
    } catch (const morsel::Error& error) {
      throw error.during("reading chunk " + key_of(chunk) + " of " + identity());
    }
    if (got != room.size())
      morsel::fail(morsel::Errc::corrupt_data, "reading chunk " + key_of(chunk) + " of " + identity() +
                                                   ": wrong size; expected " + std::to_string(room.size()) +
                                                   " bytes, got " + std::to_string(got));
    const auto all = morsel::BufferView::c_order(room.data(), whole.shape(), sizeof(float));
    morsel::copy_elements(all.part(whole, region), out);
  }

  std::string identity() const { return "stored_chunks:" + store_.identity(); }
  /// Chunks are never changed in place; another array has other metadata.
  std::string version() const { return read(); }

 private:
  static std::size_t bytes(const morsel::Region& region) {
    return static_cast<std::size_t>(region.size()) * 4;
  }
  static std::string key_of(const morsel::Dims& chunk) {
    return std::to_string(chunk[0]) + "/" + std::to_string(chunk[1]);
  }
  std::string read() const {
    const auto text = morsel::get_text(store_, "shape", 1000);
    if (!text)
      morsel::fail(morsel::Errc::not_found,
                   "opening " + identity() + ": no metadata; expected the key 'shape'");
    return *text;
  }

  morsel::AnyStore store_;
  std::string metadata_;
  morsel::AnyCodec codec_;
  morsel::ArraySpec spec_;
};
static_assert(morsel::ChunkSource<StoredChunks>);

}  // namespace plugin
