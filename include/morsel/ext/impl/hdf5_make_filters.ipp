#pragma once

#include <algorithm>
#include <charconv>
#include <morsel/array/dtype.hpp>
#include <morsel/ext/impl/hdf5_filters.ipp>
#include <morsel/io/codec_registry.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// A filter that chunks are written through: its number in HDF5 and the codec that does it.
struct NewFilter {
  H5Z_filter_t id = 0;
  std::vector<unsigned> values;
  CodecInfo codec;
};

/// Reads what chunks are to be written through. `chunk_bytes`: decoded.
class FilterReader {
 public:
  FilterReader(const DType& dtype, std::size_t chunk_bytes, std::string doing)
      : item_bytes_(dtype.item_bytes()), chunk_bytes_(chunk_bytes), doing_(std::move(doing)) {}

  /// "none", "deflate:4", "shuffle+zstd:3+fletcher32", or a JSON list as `info` shows it; "": shuffle and
  /// deflate. **Fails**: syntax_error; unsupported for filters that are not written.
  std::vector<NewFilter> read(const std::string& text) const {
    if (text == "none") return {};
    if (text.empty()) {
      const std::vector<std::string> known = codec_names();
      if (!std::binary_search(known.begin(), known.end(), std::string("hdf5.deflate"))) return {};
      std::vector<NewFilter> filters;
      if (item_bytes_ > 1) filters.push_back(shuffle());
      filters.push_back(leveled(1, "deflate", 4));
      return filters;
    }
    std::vector<NewFilter> filters;
    if (text[0] == '[') {
      for (const CodecInfo& info : parse_zarr_codecs(text, doing_)) filters.push_back(of_info(info));
    } else {
      for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find('+', begin), text.size());
        filters.push_back(of_text(text.substr(begin, end - begin), text));
        begin = end + 1;
      }
    }
    if (filters.size() > 32)
      fail(Errc::unsupported,
           doing_ + ": too many filters; expected at most 32, got " + std::to_string(filters.size()));
    for (const NewFilter& filter : filters) find_codec(filter.codec.name, doing_)->make(filter.codec, doing_);
    return filters;
  }

 private:
  using Json = nlohmann::ordered_json;
  static constexpr const char* known_ =
      "none, or some of shuffle, deflate, zstd, bzip2, lz4, lzf, bitshuffle, bitshuffle-lz4, "
      "bitshuffle-zstd, "
      "blosc-lz4, blosc-zstd and fletcher32 joined by '+', with :LEVEL where there are some";

  [[noreturn]] void wrong(const std::string& got) const {
    fail(Errc::syntax_error,
         doing_ + ": codec '" + got + "': not understood; expected " + known_ + ", got '" + got + "'");
  }

  NewFilter shuffle() const {
    return {2, {}, {"hdf5.shuffle", "{\"elementsize\":" + std::to_string(item_bytes_) + "}"}};
  }
  NewFilter leveled(H5Z_filter_t id, const std::string& name, int level) const {
    return {
        id, {static_cast<unsigned>(level)}, {"hdf5." + name, "{\"level\":" + std::to_string(level) + "}"}};
  }
  NewFilter numbered(H5Z_filter_t id, const std::string& name, std::vector<unsigned> values) const {
    Json list = Json::array();
    for (const unsigned value : values) list.push_back(value);
    return {id, std::move(values), {"hdf5." + name, Json{{"cd_values", list}}.dump()}};
  }
  /// **Source**: bitshuffle's filter 32008: two numbers of its version, element bytes, block elements,
  /// compressor, level.
  NewFilter bitshuffle(unsigned compressor, int level) const {
    std::vector<unsigned> values{0, 5, static_cast<unsigned>(item_bytes_), 0, compressor};
    if (compressor == 3) values.push_back(static_cast<unsigned>(level));
    return numbered(32008, "bitshuffle", std::move(values));
  }
  /// **Source**: hdf5-blosc's filter 32001: its version, that of Blosc's format, element bytes, chunk bytes,
  /// level, shuffle, compressor.
  NewFilter blosc(const std::string& compressor, int level, const std::string& shuffle) const {
    constexpr const char* compressors[] = {"blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd"};
    constexpr const char* shuffles[] = {"noshuffle", "shuffle", "bitshuffle"};
    const auto find = [&](const auto& list, const std::string& name) {
      const auto* at = std::find(std::begin(list), std::end(list), name);
      if (at == std::end(list)) wrong("blosc-" + compressor + ":" + shuffle);
      return static_cast<unsigned>(at - std::begin(list));
    };
    const std::size_t type_bytes = item_bytes_ > 255 ? 1 : item_bytes_;
    const unsigned mode = find(shuffles, shuffle);
    Json config;
    config["cname"] = compressor;
    config["clevel"] = level;
    config["shuffle"] = mode;
    config["typesize"] = type_bytes;
    config["blocksize"] = 0;
    return {32001,
            {2, 2, static_cast<unsigned>(type_bytes), static_cast<unsigned>(chunk_bytes_),
             static_cast<unsigned>(level), mode, find(compressors, compressor)},
            {"hdf5.blosc", config.dump()}};
  }

  NewFilter of_text(const std::string& text, const std::string& all) const {
    std::vector<std::string> parts;
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find(':', begin), text.size());
      parts.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    const std::string& name = parts[0];
    std::optional<int> given;
    std::string mode;
    for (std::size_t i = 1; i < parts.size(); ++i) {
      int number = 0;
      const char* end = parts[i].data() + parts[i].size();
      const auto [stop, error] = std::from_chars(parts[i].data(), end, number);
      if (error == std::errc() && stop == end && !given)
        given = number;
      else if (name.starts_with("blosc") && mode.empty())
        mode = parts[i];
      else
        wrong(all);
    }
    const auto level = [&](int otherwise, int least, int most) {
      const int chosen = given.value_or(otherwise);
      if (chosen < least || chosen > most)
        fail(Errc::syntax_error, doing_ + ": codec '" + all + "': bad level; expected " +
                                     std::to_string(least) + " to " + std::to_string(most) + ", got " +
                                     std::to_string(chosen));
      return chosen;
    };
    if (name == "deflate" || name == "gzip" || name == "zlib") return leveled(1, "deflate", level(4, 0, 9));
    if (name == "zstd") return leveled(32015, "zstd", level(3, 1, 22));
    if (name == "bzip2" || name == "bz2") return leveled(307, "bzip2", level(9, 1, 9));
    if (name.starts_with("blosc"))
      return blosc(name == "blosc" ? "lz4" : name.substr(std::min<std::size_t>(6, name.size())),
                   level(5, 0, 9),
                   !mode.empty()      ? mode
                   : item_bytes_ == 1 ? "noshuffle"
                                      : "shuffle");
    if (name == "bitshuffle-zstd") return bitshuffle(3, level(3, 1, 22));
    if (given) wrong(all);
    if (name == "shuffle") return shuffle();
    if (name == "fletcher32") return {3, {}, {"hdf5.fletcher32", "{}"}};
    if (name == "lz4") return numbered(32004, "lz4", {0});
    if (name == "lzf") return numbered(32000, "lzf", {4, 0, static_cast<unsigned>(chunk_bytes_)});
    if (name == "bitshuffle") return bitshuffle(0, 0);
    if (name == "bitshuffle-lz4") return bitshuffle(2, 0);
    for (const char* read_only :
         {"szip", "nbit", "scaleoffset", "zfp", "bitgroom", "granular_bitround", "bitround"})
      if (name == read_only) refuse(name);
    wrong(all);
  }

  [[noreturn]] void refuse(const std::string& name) const {
    fail(Errc::unsupported,
         doing_ + ": the filter '" + name + "' is only read; expected " + known_ + ", got '" + name + "'");
  }

  /// A filter as a file that was read has it.
  NewFilter of_info(const CodecInfo& info) const {
    const Json config = Json::parse(info.configuration, nullptr, false);
    const auto number = [&](const char* name, int otherwise) {
      const auto at = config.is_object() ? config.find(name) : config.end();
      return config.is_object() && at != config.end() && at->is_number_integer() ? at->get<int>() : otherwise;
    };
    const std::string level = ":" + std::to_string(number("level", 4));
    if (info.name == "deflate") return of_text("deflate" + level, info.name + level);
    if (info.name == "zstd")
      return of_text("zstd:" + std::to_string(std::max(1, number("level", 3))), info.name + level);
    if (info.name == "bzip2")
      return of_text("bzip2:" + std::to_string(number("level", 9)), info.name + level);
    if (info.name == "blosc") {
      const bool is_named = config.is_object() && config.contains("cname") && config["cname"].is_string();
      return of_text("blosc-" + (is_named ? config["cname"].get<std::string>() : "lz4"), info.name);
    }
    if (info.name == "bitshuffle") {
      const auto values = config.is_object() && config.contains("cd_values") ? config["cd_values"] : Json();
      const int compressor =
          values.is_array() && values.size() > 4 && values[4].is_number_integer() ? values[4].get<int>() : 0;
      return bitshuffle(static_cast<unsigned>(compressor), 3);
    }
    return of_text(info.name, info.name);
  }

  std::size_t item_bytes_, chunk_bytes_;
  std::string doing_;
};

/// Lists the filters in a dataset's properties. **Requires**: the lock.
MORSEL_INLINE void set_filters(hid_t properties, const std::vector<NewFilter>& filters,
                               const std::string& doing) {
  for (const NewFilter& filter : filters) {
    // Those of libhdf5 itself as its own functions set them.
    const herr_t result = filter.id == 1   ? H5Pset_deflate(properties, filter.values[0])
                          : filter.id == 2 ? H5Pset_shuffle(properties)
                          : filter.id == 3 ? H5Pset_fletcher32(properties)
                                           : H5Pset_filter(properties, filter.id, H5Z_FLAG_MANDATORY,
                                                           filter.values.size(), filter.values.data());
    if (result < 0)
      fail_hdf5(
          Errc::unsupported, doing,
          "libhdf5 does not take the filter " + std::to_string(filter.id) + "; expected one that it has");
  }
}

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI
