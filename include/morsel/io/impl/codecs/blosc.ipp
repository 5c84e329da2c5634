#pragma once

#if MORSEL_HAVE_BLOSC
#include <blosc.h>
#endif

#include <algorithm>
#include <array>
#include <memory>
#include <morsel/io/impl/codecs/byte_codec.hpp>
#include <morsel/io/impl/codecs/zstd.ipp>
#include <vector>

namespace morsel::inline MORSEL_ABI {

namespace detail {

#if MORSEL_HAVE_BLOSC

/// The 16 bytes in front of a Blosc-1 frame, checked: what they say fits the frame. **Source**: c-blosc's
/// README_CHUNK_FORMAT.rst.
struct BloscHeader {
  static constexpr std::size_t bytes = 16;
  unsigned version = 0, flags = 0, type_bytes = 0;
  std::size_t decoded_bytes = 0, block_bytes = 0, frame_bytes = 0;

  bool is_copied() const { return flags & 0x2; }
  unsigned compressor() const { return flags >> 5; }
  std::size_t blocks() const {
    return block_bytes == 0 ? 0 : (decoded_bytes + block_bytes - 1) / block_bytes;
  }
  std::size_t bytes_of_block(std::size_t i) const {
    return std::min(block_bytes, decoded_bytes - i * block_bytes);
  }
  /// Parts of a whole block that are compressed on their own.
  std::size_t splits() const {
    return !(flags & 0x10) && type_bytes <= 16 && block_bytes / type_bytes >= 128 ? type_bytes : 1;
  }
};

/// Blosc-1 frames. All that decoding needs is in their header.
class BloscCodec : public ByteCodec {
 public:
  BloscCodec(const CodecInfo& info, const std::string& doing) : ByteCodec(info) {
    CodecConfig config(info, doing);
    const bool is_v3 = info.name == "blosc";
    compressor_ = config.text("cname", is_v3 ? "zstd" : "lz4");
    if (std::find(std::begin(names), std::end(names), compressor_) == std::end(names))
      config.wrong("cname", "blosclz, lz4, lz4hc, snappy, zlib or zstd", nlohmann::json(compressor_));
    level_ = static_cast<int>(config.integer("clevel", 5, 0, 9));
    const nlohmann::json* shuffle = config.find("shuffle");
    if (!shuffle)
      shuffle_ = is_v3 ? -1 : 1;
    else if (shuffle->is_string() && is_v3)
      shuffle_ = shuffle_of(shuffle->get<std::string>(), config);
    else if (is_v3)
      config.wrong("shuffle", "\"noshuffle\", \"shuffle\" or \"bitshuffle\"", *shuffle);
    else
      shuffle_ = static_cast<int>(config.integer("shuffle", 1, -1, 2));
    type_bytes_ = static_cast<std::size_t>(config.integer("typesize", 0, 0, std::numeric_limits<int>::max()));
    block_bytes_ =
        static_cast<std::size_t>(config.integer("blocksize", 0, 0, std::numeric_limits<int>::max()));
    config.finish();
  }

  BloscCodec prepare(const DecodedSpec& spec) const {
    check_decoded_bytes(spec.bytes, BLOSC_MAX_BUFFERSIZE);
    BloscCodec prepared = *this;
    prepared.chunk_bytes_ = spec.bytes;
    if (type_bytes_ == 0) prepared.type_bytes_ = std::max<std::size_t>(1, spec.dtype.item_bytes());
    if (prepared.type_bytes_ > BLOSC_MAX_TYPESIZE) prepared.type_bytes_ = 1;
    if (shuffle_ < 0) prepared.shuffle_ = prepared.type_bytes_ == 1 ? BLOSC_BITSHUFFLE : BLOSC_SHUFFLE;
    return prepared;
  }

  std::size_t max_encoded_bytes(std::size_t n) const { return saturating_sum(n, BLOSC_MAX_OVERHEAD); }

  /// Three blocks, of 1 MiB at most unless the writer asked for longer ones, and the compressor's own memory:
  /// c-blosc asks zstd for levels from 1 to 22.
  CodecMemory library_memory() const {
    const std::size_t block = std::min(chunk_bytes_, block_bytes_ > 0 ? block_bytes_ : std::size_t{1} << 20);
    CodecMemory memory{3 * block + 4096, 3 * block + 4096};
    if (compressor_ == "lz4hc" || compressor_ == "zlib") memory.encode_bytes += 300 * 1024;
#if MORSEL_HAVE_ZSTD
    if (compressor_ == "zstd") {
      memory.decode_bytes += zstd_decoder_bytes();
      memory.encode_bytes += zstd_encoder_bytes(level_ < 8 ? 2 * level_ - 1 : ZSTD_maxCLevel(), block);
    }
#endif
    return memory;
  }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    const BloscHeader header = check_header(in, in.size());
    if (header.decoded_bytes > out.size())
      corrupt("too many decoded bytes; expected at most " + std::to_string(out.size()) + ", got " +
              std::to_string(header.decoded_bytes));
    if (header.is_copied())
      copy_bytes(out.data(), in.data() + BloscHeader::bytes, header.decoded_bytes);
    else if (header.decoded_bytes > 0)
      decode_frame(in, out.first(header.decoded_bytes));
    return header.decoded_bytes;
  }

  void decode_part(std::span<const std::byte> in, std::size_t offset_bytes, std::span<std::byte> out,
                   std::span<std::byte>) const {
    const BloscHeader header = check_header(in, in.size());
    if (offset_bytes > header.decoded_bytes || out.size() > header.decoded_bytes - offset_bytes)
      corrupt("too few decoded bytes; expected at least " +
              std::to_string(saturating_sum(offset_bytes, out.size())) + ", got " +
              std::to_string(header.decoded_bytes));
    if (out.empty()) return;
    if (header.is_copied()) {
      copy_bytes(out.data(), in.data() + BloscHeader::bytes + offset_bytes, out.size());
    } else if (out.size() == header.decoded_bytes) {
      decode_frame(in, out);
    } else if (offset_bytes % header.type_bytes == 0 && out.size() % header.type_bytes == 0 &&
               header.blocks() < (header.frame_bytes - BloscHeader::bytes) / 4) {
      // All in c-blosc's own items, and within what it accepts: its numbers stay below 2^31.
      const int got = blosc_getitem(in.data(), static_cast<int>(offset_bytes / header.type_bytes),
                                    static_cast<int>(out.size() / header.type_bytes), out.data());
      if (got < 0 || static_cast<std::size_t>(got) != out.size()) damaged(out.size(), got);
    } else {
      decode_blocks(header, in, offset_bytes, out);
    }
  }

  /// Header, table of blocks, and the blocks themselves: c-blosc makes blocks of 1 MiB at most (4 MiB are
  /// assumed) unless it was asked for longer ones, and of no less than 4 KiB unless it was asked for shorter
  /// ones.
  std::size_t max_part_bytes(std::span<const ChunkPart> parts) const {
    const std::size_t shortest =
        block_bytes_ > 0 ? std::clamp<std::size_t>(block_bytes_, least_block_bytes, 4096) : 4096;
    const std::size_t table = std::max(head_bytes, BloscHeader::bytes + 4 * (chunk_bytes_ / shortest + 1));
    const auto with_slack = [](std::size_t bytes) { return saturating_sum(bytes, bytes / 64 + 1024); };
    std::size_t bytes = 0;
    for (const ChunkPart& part : parts)
      bytes = saturating_sum(bytes, with_slack(saturating_sum(part.end - part.begin, 2 * longest_block())));
    // The table comes twice: with the blocks it is read again.
    return saturating_sum(std::min(bytes, with_slack(max_encoded_bytes(chunk_bytes_))), 2 * table);
  }

  /// Makes a frame that has no blocks but those of the parts.
  ///
  /// 1. Read the header and, as a rule, all of the table of blocks.
  /// 2. List the blocks of the parts: where they stand in storage, and where they will stand in `room`.
  /// 3. Read them, neighbours at once, and the table again with them: the chunk may have been replaced.
  /// 4. Write the table anew.
  std::optional<std::size_t> fetch_parts(std::span<const ChunkPart> parts, const RangeReader& read,
                                         std::span<std::byte> room) const {
    for (int attempt = 0; attempt < 5; ++attempt) {
      bool changed = false;
      const std::optional<std::size_t> bytes = try_fetch_parts(parts, read, room, changed);
      if (!changed) return bytes;
    }
    fail(Errc::source_changed,
         "reading parts for " + std::string(name()) +
             ": the chunk was replaced again and again; expected one that stays while it is read");
  }

  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    if (blosc_compname_to_compcode(compressor_.c_str()) < 0)
      fail(Errc::unsupported, "encoding " + std::string(name()) +
                                  ": c-blosc is built without the compressor '" + compressor_ +
                                  "'; expected one of " + blosc_list_compressors());
    const std::byte nothing{};
    const int written = blosc_compress_ctx(level_, shuffle_, std::max<std::size_t>(1, type_bytes_), in.size(),
                                           not_null(in.data(), nothing), out.data(), out.size(),
                                           compressor_.c_str(), block_bytes_, 1);
    if (written <= 0)
      encode_failed("c-blosc failed; expected at most " + std::to_string(out.size()) + " bytes, got " +
                    std::to_string(written));
    return static_cast<std::size_t>(written);
  }

 private:
  static constexpr std::size_t head_bytes = 4096, copied_block_bytes = std::size_t{1} << 16,
                               least_block_bytes = 128;
  static constexpr std::string_view names[] = {"blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd"};

  static int shuffle_of(const std::string& text, const CodecConfig& config) {
    if (text == "noshuffle") return BLOSC_NOSHUFFLE;
    if (text == "shuffle") return BLOSC_SHUFFLE;
    if (text == "bitshuffle") return BLOSC_BITSHUFFLE;
    config.wrong("shuffle", "\"noshuffle\", \"shuffle\" or \"bitshuffle\"", nlohmann::json(text));
  }

  struct Block {
    std::size_t number = 0, at = 0;
  };

  std::optional<std::size_t> try_fetch_parts(std::span<const ChunkPart> parts, const RangeReader& read,
                                             std::span<std::byte> room, bool& changed) const {
    StoredRange head{0, room.first(std::min(room.size(), head_bytes))};
    if (!read({&head, 1})) return std::nullopt;
    const std::span<const std::byte> got = room.first(head.filled_bytes);
    if (got.size() < BloscHeader::bytes) too_short(BloscHeader::bytes, got.size());
    BloscHeader header = check_header(got, load_le32(got.data() + 12));
    if (got.size() >= header.frame_bytes || header.decoded_bytes == 0) return header.frame_bytes;

    std::vector<StoredRange> ranges;
    const auto add_range = [&](std::size_t from, std::size_t bytes, std::size_t at) {
      if (at > room.size() || bytes > room.size() - at)
        corrupt("its blocks are longer than they can be; expected at most " + std::to_string(room.size()) +
                " bytes of them, got " + std::to_string(saturating_sum(at, bytes)));
      if (!ranges.empty() && ranges.back().offset_bytes + ranges.back().room.size() == from &&
          ranges.back().room.data() + ranges.back().room.size() == room.data() + at)
        ranges.back().room = {ranges.back().room.data(), ranges.back().room.size() + bytes};
      else
        ranges.push_back({from, room.subspan(at, bytes)});
    };
    // What is not there any more was cut off or replaced.
    const auto read_ranges = [&] {
      const bool found = read(ranges);
      for (const StoredRange& range : ranges) changed |= !found || range.filled_bytes != range.room.size();
      ranges.clear();
    };
    const bool copied = header.is_copied();
    if (!copied && header.block_bytes > longest_block()) {
      // Another writer's: a whole frame may still fit.
      if (header.frame_bytes > room.size())
        fail(Errc::unsupported,
             "decoding " + std::string(name()) + ": blocks too long to be read alone; expected at most " +
                 std::to_string(longest_block()) + " bytes, got " + std::to_string(header.block_bytes));
      add_range(got.size(), header.frame_bytes - got.size(), got.size());
      read_ranges();
      if (changed) too_short(header.frame_bytes, got.size());
      return header.frame_bytes;
    }
    std::array<std::byte, BloscHeader::bytes> stored_header;
    std::memcpy(stored_header.data(), room.data(), stored_header.size());
    if (copied) {
      // Blocks that are stored as they are, each as one split, not shuffled.
      header.block_bytes = std::min(copied_block_bytes, header.decoded_bytes);
      room[2] = std::byte{0x10};
      store_le32(static_cast<std::uint32_t>(header.block_bytes), room.data() + 8);
    }
    const std::size_t table_end = BloscHeader::bytes + 4 * header.blocks();
    if (table_end > room.size()) add_range(got.size(), table_end, 0);  // says what is wrong
    if (!copied && table_end > got.size()) {
      add_range(got.size(), table_end - got.size(), got.size());
      read_ranges();
      if (changed) return std::nullopt;
    }
    std::size_t at = table_end;
    const std::vector<Block> wanted = list_blocks(header, copied, parts, room, at, add_range);
    const std::size_t again = copied ? BloscHeader::bytes : table_end;
    add_range(0, again, at);
    read_ranges();
    const std::byte* table = room.data() + BloscHeader::bytes;
    changed = changed || std::memcmp(room.data() + at, stored_header.data(), stored_header.size()) != 0 ||
              (!copied &&
               std::memcmp(room.data() + at + BloscHeader::bytes, table, again - BloscHeader::bytes) != 0);
    if (changed) {
      // A frame that its own header makes longer than it is, is cut short.
      StoredRange last{header.frame_bytes - 1, room.subspan(at, 1)};
      if (std::memcmp(room.data() + at, stored_header.data(), stored_header.size()) == 0 &&
          read({&last, 1}) && last.filled_bytes == 0)
        too_short(header.frame_bytes, got.size());
      return std::nullopt;
    }
    write_table(header, copied, wanted, room, at);
    return at;
  }

  /// The blocks that parts touch; add_range(from, bytes, at) for each, `at` from its value on.
  template <class AddRange>
  std::vector<Block> list_blocks(const BloscHeader& header, bool copied, std::span<const ChunkPart> parts,
                                 std::span<const std::byte> room, std::size_t& at,
                                 AddRange&& add_range) const {
    const std::byte* table = room.data() + BloscHeader::bytes;
    const auto begin_of = [&](std::size_t block) { return std::size_t{load_le32(table + 4 * block)}; };
    // Threads may have written the blocks in any order.
    std::vector<std::size_t> begins;
    for (std::size_t i = 0; !copied && i < header.blocks(); ++i) begins.push_back(begin_of(i));
    std::sort(begins.begin(), begins.end());
    const auto end_of = [&](std::size_t block) {
      const auto next = std::upper_bound(begins.begin(), begins.end(), begin_of(block));
      return next == begins.end() ? header.frame_bytes : std::min(*next, header.frame_bytes);
    };
    std::vector<Block> wanted;
    for (const ChunkPart& part : parts) {
      const std::size_t end = std::min(part.end, header.decoded_bytes);
      for (std::size_t i = part.begin / header.block_bytes; i * header.block_bytes < end; ++i) {
        if (!wanted.empty() && wanted.back().number >= i) continue;
        wanted.push_back({i, at});
        if (copied) {
          const std::size_t bytes = header.bytes_of_block(i);
          add_range(BloscHeader::bytes + i * header.block_bytes, bytes, at + 4);
          at += 4 + bytes;
        } else {
          const std::size_t from = begin_of(i);
          if (from < BloscHeader::bytes + 4 * header.blocks() || from >= header.frame_bytes)
            damaged(header.bytes_of_block(i), -1);
          add_range(from, end_of(i) - from, at);
          at += end_of(i) - from;
        }
      }
    }
    return wanted;
  }

  /// The table and the length of a frame of `frame_bytes` that has the wanted blocks alone.
  void write_table(const BloscHeader& header, bool copied, const std::vector<Block>& wanted,
                   std::span<std::byte> room, std::size_t frame_bytes) const {
    std::byte* table = room.data() + BloscHeader::bytes;
    std::memset(table, 0, 4 * header.blocks());
    for (const Block& block : wanted) {
      store_le32(static_cast<std::uint32_t>(block.at), table + 4 * block.number);
      if (copied)
        store_le32(static_cast<std::uint32_t>(header.bytes_of_block(block.number)), room.data() + block.at);
    }
    store_le32(static_cast<std::uint32_t>(frame_bytes), room.data() + 12);
  }

  std::size_t longest_block() const { return std::max(block_bytes_, std::size_t{4} << 20); }

  [[noreturn]] void damaged(std::size_t expected, int got) const {
    corrupt("block damaged or cut short; expected " + std::to_string(expected) + " decoded bytes, got " +
            (got < 0 ? "an error" : std::to_string(got)));
  }

  void decode_frame(std::span<const std::byte> frame, std::span<std::byte> out) const {
    const int got = blosc_decompress_ctx(frame.data(), out.data(), out.size(), 1);
    if (got < 0 || static_cast<std::size_t>(got) != out.size()) damaged(out.size(), got);
  }

  /// Of a frame of `frame_bytes` of which at least the header stands in `in`.
  BloscHeader check_header(std::span<const std::byte> in, std::size_t frame_bytes) const {
    if (in.size() < BloscHeader::bytes) too_short(BloscHeader::bytes, in.size());
    BloscHeader header;
    header.version = std::to_integer<unsigned>(in[0]);
    header.flags = std::to_integer<unsigned>(in[2]);
    header.type_bytes = std::to_integer<unsigned>(in[3]);
    header.decoded_bytes = load_le32(in.data() + 4);
    header.block_bytes = load_le32(in.data() + 8);
    header.frame_bytes = load_le32(in.data() + 12);
    std::size_t decoded_bytes = 0;
    if (header.version != BLOSC_VERSION_FORMAT || header.flags & 0x8)
      corrupt("unknown version; expected a frame of version 2, got " + std::to_string(header.version) +
              " with flags " + std::to_string(header.flags));
    if (blosc_cbuffer_validate(in.data(), frame_bytes, &decoded_bytes) != 0 ||
        decoded_bytes != header.decoded_bytes)
      corrupt("header damaged, or frame cut short; expected a frame of " + std::to_string(frame_bytes) +
              " bytes, got one of " + std::to_string(header.frame_bytes));
    if (header.decoded_bytes == 0) return header;
    if (header.is_copied()) {
      if (header.decoded_bytes != frame_bytes - BloscHeader::bytes)
        corrupt("header damaged; expected " + std::to_string(frame_bytes - BloscHeader::bytes) +
                " decoded bytes, got " + std::to_string(header.decoded_bytes));
      return header;
    }
    if (header.block_bytes == 0 || header.block_bytes > header.decoded_bytes ||
        header.block_bytes > BLOSC_MAX_BLOCKSIZE || header.type_bytes == 0)
      corrupt("header damaged; expected blocks of 1 to " + std::to_string(header.decoded_bytes) +
              " bytes and elements of 1 to 255, got " + std::to_string(header.block_bytes) + " and " +
              std::to_string(header.type_bytes));
    // Splits of equal length would leave bytes of the block unwritten.
    if (header.block_bytes % header.splits() != 0)
      corrupt("header damaged; expected blocks of whole elements of " + std::to_string(header.type_bytes) +
              " bytes, got " + std::to_string(header.block_bytes));
    if (header.blocks() > (frame_bytes - BloscHeader::bytes) / 4)
      corrupt("header damaged or frame cut short; expected at most " +
              std::to_string((frame_bytes - BloscHeader::bytes) / 4) + " blocks, got " +
              std::to_string(header.blocks()));
    check_compressor(header.compressor());
    return header;
  }

  /// c-blosc would print to the standard error output.
  void check_compressor(unsigned format) const {
    constexpr std::string_view formats[] = {"blosclz", "lz4", "snappy", "zlib", "zstd"};
    if (format >= std::size(formats))
      corrupt("header damaged; expected a compressor from 0 to 4, got " + std::to_string(format));
    const std::string compressor(formats[format]);
    if (blosc_compname_to_compcode(compressor.c_str()) >= 0) return;
    // Where the document names it, too, the frame is right and the library is to blame.
    fail(compressor == compressor_ ? Errc::unsupported : Errc::corrupt_data,
         "decoding " + std::string(name()) + ": c-blosc is built without the compressor '" + compressor +
             "'; expected one of " + blosc_list_compressors());
  }

  /// Block after block, each as a frame of its own: for bytes that are not whole elements, which
  /// blosc_getitem cannot name.
  void decode_blocks(const BloscHeader& header, std::span<const std::byte> in, std::size_t offset_bytes,
                     std::span<std::byte> out) const {
    const std::size_t end = offset_bytes + out.size();
    std::unique_ptr<std::byte[]> room(new std::byte[header.block_bytes]);
    for (std::size_t i = offset_bytes / header.block_bytes; i * header.block_bytes < end; ++i) {
      const std::span<std::byte> block{room.get(), header.bytes_of_block(i)};
      decode_block(header, in, i, block);
      const std::size_t begin = i * header.block_bytes, lo = std::max(begin, offset_bytes),
                        hi = std::min(begin + block.size(), end);
      copy_bytes(out.data() + (lo - offset_bytes), block.data() + (lo - begin), hi - lo);
    }
  }

  void decode_block(const BloscHeader& header, std::span<const std::byte> in, std::size_t i,
                    std::span<std::byte> block) const {
    const bool is_whole = block.size() == header.block_bytes;
    const std::size_t begin = load_le32(in.data() + BloscHeader::bytes + 4 * i);
    std::size_t end = begin;
    for (std::size_t split = is_whole ? header.splits() : 1; split-- > 0;) {
      if (end > in.size() || in.size() - end < 4) damaged(block.size(), -1);
      const std::size_t stored = load_le32(in.data() + end);
      if (stored > in.size() - end - 4) damaged(block.size(), -1);
      end += 4 + stored;
    }
    constexpr std::size_t front = BloscHeader::bytes + 4;
    // Splits may be many and longer than what they decode to, but they lie within the frame.
    std::unique_ptr<std::byte[]> frame(new std::byte[front + (end - begin)]);
    std::memcpy(frame.get(), in.data(), 4);
    // The last block is never split where it is shorter than the others.
    if (!is_whole) frame[2] |= std::byte{0x10};
    store_le32(static_cast<std::uint32_t>(block.size()), frame.get() + 4);
    store_le32(static_cast<std::uint32_t>(block.size()), frame.get() + 8);
    store_le32(static_cast<std::uint32_t>(front + (end - begin)), frame.get() + 12);
    store_le32(static_cast<std::uint32_t>(front), frame.get() + BloscHeader::bytes);
    std::memcpy(frame.get() + front, in.data() + begin, end - begin);
    decode_frame({frame.get(), front + (end - begin)}, block);
  }

  std::string compressor_;
  int level_ = 5, shuffle_ = 1;
  std::size_t type_bytes_ = 0, block_bytes_ = 0;
  std::size_t chunk_bytes_ = 0;  // of what it is prepared for
};
static_assert(FetchesParts<BloscCodec>);

inline std::vector<CodecDefinition> blosc_codecs() {
  return {byte_codec<BloscCodec>({"blosc", "numcodecs.blosc", "hdf5.blosc"})};
}

#else

inline std::vector<CodecDefinition> blosc_codecs() { return {}; }

#endif

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI
