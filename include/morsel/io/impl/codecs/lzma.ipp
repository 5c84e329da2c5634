#pragma once

#if MORSEL_HAVE_LZMA
#include <lzma.h>
#endif

#include <array>
#include <morsel/io/impl/codecs/byte_codec.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

#if MORSEL_HAVE_LZMA

/// .xz streams, .lzma streams, or what a chain of filters makes without a container. Decoding takes a
/// dictionary, of which no more is touched than the decoded bytes; encoding takes 11 times a dictionary,
/// which is never longer than the chunk.
class LzmaCodec : public ByteCodec {
 public:
  LzmaCodec(const CodecInfo& info, const std::string& doing) : ByteCodec(info) {
    CodecConfig config(info, doing);
    format_ = static_cast<Format>(config.integer("format", 1, 1, 3));
    const auto check = config.integer("check", -1, -1, LZMA_CHECK_ID_MAX);
    check_ = check < 0 ? LZMA_CHECK_CRC64 : static_cast<lzma_check>(check);
    if (format_ == Format::xz && !lzma_check_is_supported(check_))
      fail(Errc::unsupported,
           config.doing() + ": unknown check; expected 0, 1, 4 or 10, got " + std::to_string(check));
    const std::uint32_t preset = preset_of(config, "preset");
    if (const nlohmann::json* filters = config.find("filters"); filters && !filters->empty()) {
      read_filters(*filters, config.doing());
    } else {
      if (format_ == Format::raw)
        fail(Errc::corrupt_data, config.doing() + ": no filters; expected 'filters' with format 3, got none");
      FilterOptions only{format_ == Format::alone ? LZMA_FILTER_LZMA1 : LZMA_FILTER_LZMA2, {}, 0, 0};
      set_preset(only.lzma, preset, config.doing());
      filters_ = {only};
      count_ = 1;
    }
    config.finish();
    const lzma_vli last = filters_[count_ - 1].id;
    if (last != LZMA_FILTER_LZMA2 && (format_ == Format::xz || last != LZMA_FILTER_LZMA1))
      fail(Errc::corrupt_data, config.doing() + ": bad filters; expected LZMA2 as the last one, got filter " +
                                   std::to_string(last));
    if (format_ == Format::alone && (count_ != 1 || last != LZMA_FILTER_LZMA1))
      fail(Errc::corrupt_data, config.doing() + ": bad filters; expected LZMA1 alone with format 2, got " +
                                   std::to_string(count_) + " filters");
    // Asks the library whether it can do the chain.
    const Chain chain(*this, 1u << 16);
    if (lzma_raw_decoder_memusage(chain.filters.data()) == UINT64_MAX)
      fail(Errc::unsupported,
           config.doing() + ": filters that liblzma refuses; expected a chain that it knows");
  }
  LzmaCodec prepare(const DecodedSpec& spec) const {
    LzmaCodec prepared = *this;
    prepared.bytes_ = spec.bytes;
    return prepared;
  }
  CodecMemory library_memory() const {
    // A dictionary is allocated as the stream says, and touched as far as the chunk is long.
    const Chain chain(*this, bytes_), shortest(*this, 0);
    const std::uint64_t encode = lzma_raw_encoder_memusage(chain.filters.data()),
                        decode = lzma_raw_decoder_memusage(shortest.filters.data());
    constexpr std::size_t container = 64 * 1024;
    return {saturating_sum(bytes_, decode == UINT64_MAX ? 0 : static_cast<std::size_t>(decode) + container),
            encode == UINT64_MAX ? 0 : static_cast<std::size_t>(encode) + container};
  }

  /// LZMA2 stores what does not shrink, 3 bytes more for each 64 KiB; LZMA1 cannot, and its worst case is
  /// not known: twice the bytes is far above what is seen.
  std::size_t max_encoded_bytes(std::size_t n) const {
    const bool stores = filters_[count_ - 1].id == LZMA_FILTER_LZMA2;
    return saturating_sum(saturating_sum(n, stores ? n >> 12 : n), 4096);
  }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    // Room for the dictionary of the highest preset, which writers take for chunks of any size. Memory that
    // is not touched costs nothing.
    const std::uint64_t most_memory = (std::uint64_t{80} << 20) + 2 * std::uint64_t{out.size()};
    Stream s;
    lzma_ret result = LZMA_OK;
    if (format_ == Format::xz) {
      result = lzma_stream_decoder(&s.stream, most_memory, LZMA_CONCATENATED);
    } else if (format_ == Format::alone) {
      result = lzma_alone_decoder(&s.stream, most_memory);
    } else {
      // What is decoded in one piece never looks back further than its own length.
      const Chain chain(*this, out.size());
      result = lzma_raw_decoder(&s.stream, chain.filters.data());
    }
    if (result == LZMA_MEM_ERROR) throw std::bad_alloc();
    if (result != LZMA_OK) corrupt("cannot begin; expected filters that liblzma knows, got " + said(result));
    std::byte nowhere{};
    s.stream.next_in = reinterpret_cast<const std::uint8_t*>(in.data());
    s.stream.avail_in = in.size();
    s.stream.next_out = reinterpret_cast<std::uint8_t*>(not_null(out.data(), nowhere));
    s.stream.avail_out = out.size();
    // Room for one byte that must not come: with none the library may not look at the mark of the end.
    std::uint8_t beyond = 0;
    bool is_full = false;
    for (;;) {
      result = lzma_code(&s.stream, LZMA_FINISH);
      if (result == LZMA_OK && s.stream.avail_out > 0) continue;
      if ((result != LZMA_OK && result != LZMA_BUF_ERROR) || s.stream.avail_out > 0) break;
      if (is_full) too_long(out.size());
      is_full = true;
      s.stream.next_out = &beyond;
      s.stream.avail_out = 1;
    }
    if (is_full && s.stream.avail_out == 0) too_long(out.size());
    if (result == LZMA_MEM_ERROR) throw std::bad_alloc();
    if (result == LZMA_MEMLIMIT_ERROR)
      corrupt("asks for too much memory; expected at most " + std::to_string(most_memory) + " bytes, got " +
              std::to_string(lzma_memusage(&s.stream)));
    if (result == LZMA_BUF_ERROR) too_short(in.size() + 1, in.size());
    if (result != LZMA_STREAM_END)
      corrupt("damaged at byte " + std::to_string(s.stream.total_in) + "; expected LZMA data, got " +
              said(result));
    if (s.stream.avail_in > 0) trailing(s.stream.avail_in);
    return static_cast<std::size_t>(s.stream.total_out);
  }

  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    Stream s;
    const Chain chain(*this, in.size());
    lzma_ret result = LZMA_OK;
    if (format_ == Format::xz)
      result = lzma_stream_encoder(&s.stream, chain.filters.data(), check_);
    else if (format_ == Format::alone)
      result = lzma_alone_encoder(&s.stream, &chain.options[0].lzma);
    else
      result = lzma_raw_encoder(&s.stream, chain.filters.data());
    if (result == LZMA_MEM_ERROR) throw std::bad_alloc();
    if (result != LZMA_OK)
      fail(Errc::unsupported, "encoding " + std::string(name()) +
                                  ": expected filters and options that liblzma encodes, got " + said(result));
    s.stream.next_in = reinterpret_cast<const std::uint8_t*>(in.data());
    s.stream.avail_in = in.size();
    s.stream.next_out = reinterpret_cast<std::uint8_t*>(out.data());
    s.stream.avail_out = out.size();
    do result = lzma_code(&s.stream, LZMA_FINISH);
    while (result == LZMA_OK);
    if (result != LZMA_STREAM_END) encode_failed(said(result));
    return static_cast<std::size_t>(s.stream.total_out);
  }

 private:
  enum class Format { xz = 1, alone = 2, raw = 3 };
  struct FilterOptions {
    lzma_vli id = LZMA_VLI_UNKNOWN;
    lzma_options_lzma lzma;
    std::uint32_t distance = 0;  // of the delta filter
    std::uint32_t start = 0;     // of the filters for machine code
    bool is_lzma() const { return id == LZMA_FILTER_LZMA1 || id == LZMA_FILTER_LZMA2; }
  };
  struct Stream {
    Stream() = default;
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() { lzma_end(&stream); }
    lzma_stream stream = LZMA_STREAM_INIT;
  };
  /// The filters as the library wants them, with dictionaries no longer than all the bytes.
  struct Chain {
    Chain(const LzmaCodec& codec, std::size_t bytes) : options(codec.filters_) {
      const auto most =
          static_cast<std::uint32_t>(std::clamp<std::size_t>(bytes, LZMA_DICT_SIZE_MIN, 3u << 29));
      for (std::size_t i = 0; i < codec.count_; ++i) {
        FilterOptions& from = options[i];
        from.lzma.dict_size = std::min(from.lzma.dict_size, most);
        void* pointer = &from.lzma;
        if (from.id == LZMA_FILTER_DELTA) {
          delta[i].type = LZMA_DELTA_TYPE_BYTE;
          delta[i].dist = from.distance;
          pointer = &delta[i];
        } else if (!from.is_lzma()) {
          branch[i].start_offset = from.start;
          pointer = &branch[i];
        }
        filters[i] = {from.id, pointer};
      }
      filters[codec.count_] = {LZMA_VLI_UNKNOWN, nullptr};
    }
    Chain(const Chain&) = delete;
    Chain& operator=(const Chain&) = delete;
    std::array<FilterOptions, LZMA_FILTERS_MAX> options;
    std::array<lzma_options_delta, LZMA_FILTERS_MAX> delta{};
    std::array<lzma_options_bcj, LZMA_FILTERS_MAX> branch{};
    std::array<lzma_filter, LZMA_FILTERS_MAX + 1> filters{};
  };

  static std::string said(lzma_ret result) {
    switch (result) {
      case LZMA_FORMAT_ERROR:
        return "another format";
      case LZMA_OPTIONS_ERROR:
        return "options that it does not support";
      case LZMA_DATA_ERROR:
        return "damaged data";
      case LZMA_BUF_ERROR:
        return "too little room";
      default:
        return "error " + std::to_string(static_cast<int>(result));
    }
  }
  static std::uint32_t preset_of(CodecConfig& config, const char* member) {
    return static_cast<std::uint32_t>(
        config.integer(member, LZMA_PRESET_DEFAULT, 0, std::numeric_limits<std::uint32_t>::max()));
  }
  static void set_preset(lzma_options_lzma& options, std::uint32_t preset, const std::string& doing) {
    if (lzma_lzma_preset(&options, preset))
      fail(Errc::corrupt_data, doing + ": bad 'preset'; expected 0 to 9, got " + std::to_string(preset));
  }
  void read_filters(const nlohmann::json& filters, const std::string& doing) {
    if (!filters.is_array() || filters.size() > LZMA_FILTERS_MAX)
      fail(Errc::corrupt_data, doing + ": bad 'filters'; expected a list of at most " +
                                   std::to_string(LZMA_FILTERS_MAX) + ", got " + CodecConfig::shown(filters));
    for (const nlohmann::json& filter : filters) {
      CodecConfig config(CodecInfo{"lzma filter", filter.dump()}, doing);
      FilterOptions& to = filters_[count_++];
      to.id = static_cast<lzma_vli>(config.integer("id", -1, 0, std::numeric_limits<std::int64_t>::max()));
      if (to.is_lzma()) {
        set_preset(to.lzma, preset_of(config, "preset"), config.doing());
        const auto read = [&](const char* member, std::uint32_t& value, std::int64_t hi) {
          value = static_cast<std::uint32_t>(config.integer(member, value, 0, hi));
        };
        read("dict_size", to.lzma.dict_size, std::numeric_limits<std::uint32_t>::max());
        read("lc", to.lzma.lc, LZMA_LCLP_MAX);
        read("lp", to.lzma.lp, LZMA_LCLP_MAX);
        read("pb", to.lzma.pb, LZMA_PB_MAX);
        read("nice_len", to.lzma.nice_len, 273);
        read("depth", to.lzma.depth, std::numeric_limits<std::uint32_t>::max());
        to.lzma.mode = static_cast<lzma_mode>(config.integer("mode", to.lzma.mode, 1, 2));
        to.lzma.mf = static_cast<lzma_match_finder>(config.integer("mf", to.lzma.mf, 0, 0x14));
        if (to.lzma.dict_size < LZMA_DICT_SIZE_MIN) to.lzma.dict_size = LZMA_DICT_SIZE_MIN;
      } else if (to.id == LZMA_FILTER_DELTA) {
        to.distance =
            static_cast<std::uint32_t>(config.integer("dist", 1, LZMA_DELTA_DIST_MIN, LZMA_DELTA_DIST_MAX));
      } else {
        to.start = static_cast<std::uint32_t>(
            config.integer("start_offset", 0, 0, std::numeric_limits<std::uint32_t>::max()));
      }
      config.finish();
    }
  }

  Format format_ = Format::xz;
  lzma_check check_ = LZMA_CHECK_CRC64;
  std::array<FilterOptions, LZMA_FILTERS_MAX> filters_{};
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;  // of a chunk
};

inline std::vector<CodecDefinition> lzma_codecs() {
  return {byte_codec<LzmaCodec>({"lzma", "numcodecs.lzma"})};
}

#else

inline std::vector<CodecDefinition> lzma_codecs() { return {}; }

#endif

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI
