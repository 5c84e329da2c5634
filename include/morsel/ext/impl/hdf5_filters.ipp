#pragma once

#include <algorithm>
#include <morsel/ext/impl/hdf5_library.ipp>
#include <morsel/io/codec_registry.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// The codec of a filter, less "hdf5." in its name; without a name for filters that Morsel does not know.
/// `item_bytes`: of an element, for shuffles that do not say. **Source**: HDF5's list of registered filters.
MORSEL_INLINE CodecInfo hdf5_codec(H5Z_filter_t id, const std::vector<unsigned>& values,
                                   std::size_t item_bytes) {
  const auto level = [&](unsigned lowest, unsigned highest) {
    return values.empty() || values[0] < lowest || values[0] > highest
               ? std::string("{}")
               : "{\"level\":" + std::to_string(values[0]) + "}";
  };
  std::string list;
  for (const unsigned value : values) list += (list.empty() ? "" : ",") + std::to_string(value);
  const std::string numbers = "{\"cd_values\":[" + list + "]}";
  switch (id) {
    case 1:
      return {"deflate", level(0, 9)};
    case 2:
      return {"shuffle", "{\"elementsize\":" +
                             std::to_string(values.empty() ? item_bytes : std::size_t{values[0]}) + "}"};
    case 3:
      return {"fletcher32", "{}"};
    case 4:
      return {"szip", numbers};
    case 5:
      return {"nbit", numbers};
    case 6:
      return {"scaleoffset", numbers};
    case 307:
      return {"bzip2", level(1, 9)};
    case 32000:
      return {"lzf", numbers};
    case 32001: {
      constexpr const char* compressors[] = {"blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd"};
      return {"blosc", values.size() > 6 && values[6] < 6
                           ? std::string("{\"cname\":\"") + compressors[values[6]] + "\"}"
                           : std::string("{}")};
    }
    case 32004:
      return {"lz4", numbers};
    case 32008:
      return {"bitshuffle", numbers};
    case 32013:
      return {"zfp", numbers};
    case 32015:
      return {"zstd", level(0, 22)};
    // They round numbers as they are written: there is nothing to undo.
    case 32022:
      return {"bitgroom", "{}"};
    case 32023:
      return {"granular_bitround", "{}"};
    case 32032:
      return {"bitround", "{}"};
    default:
      return {"", numbers};
  }
}

/// Whether a filter of `hdf5_codec` changes nothing where it is read.
MORSEL_INLINE bool is_rounding_filter(H5Z_filter_t id) { return id == 32022 || id == 32023 || id == 32032; }

/// Decodes a chunk for libhdf5, where it reads a dataset itself. How much that gives is not always said: the
/// room grows. Encodes one for programs that write through libhdf5 what Morsel has made.
template <H5Z_filter_t id>
std::size_t hdf5_filter(unsigned flags, std::size_t count, const unsigned values[], std::size_t bytes,
                        std::size_t* room_bytes, void** buffer) {
  if (is_rounding_filter(id)) return flags & H5Z_FLAG_REVERSE ? bytes : 0;
  try {
    CodecInfo info = hdf5_codec(id, {values, values + count}, 1);
    info.name.insert(0, "hdf5.");
    const AnyCodec definition = find_codec(info.name, "decoding")->make(info, "decoding");
    const std::span<const std::byte> in{static_cast<const std::byte*>(*buffer), bytes};
    if (!(flags & H5Z_FLAG_REVERSE)) {
      const AnyCodec codec = definition.prepare(DecodedSpec::byte_string(bytes));
      const std::size_t room = codec.max_encoded_bytes(bytes);
      std::vector<std::byte> scratch(codec.scratch_bytes());
      std::unique_ptr<void, herr_t (*)(void*)> out(H5allocate_memory(room, false), &H5free_memory);
      if (!out) return 0;
      const std::size_t got = codec.encode(in, {static_cast<std::byte*>(out.get()), room}, scratch);
      H5free_memory(*buffer);
      *buffer = out.release();
      *room_bytes = room;
      return got;
    }
    constexpr std::size_t most = std::size_t{1} << 31;
    for (std::size_t room = std::max<std::size_t>(std::size_t{1} << 16, 8 * bytes);; room *= 8) {
      room = std::min(room, most);
      const AnyCodec codec = definition.prepare(DecodedSpec::byte_string(room));
      std::vector<std::byte> scratch(codec.scratch_bytes());
      void* out = H5allocate_memory(room, false);
      if (!out) return 0;
      try {
        const std::size_t got = codec.decode(in, {static_cast<std::byte*>(out), room}, scratch);
        H5free_memory(*buffer);
        *buffer = out;
        *room_bytes = room;
        return got;
      } catch (const Error& error) {
        H5free_memory(out);
        if (error.code() != Errc::corrupt_data || room >= most) throw;
      }
    }
  } catch (...) {
    hdf5_shared().error = std::current_exception();
    return 0;
  }
}

template <H5Z_filter_t id>
void register_hdf5_filter(const char* name) {
  const std::vector<std::string> names = codec_names();
  const bool is_ours = is_rounding_filter(id) ||
                       std::find(names.begin(), names.end(), std::string("hdf5.") + name) != names.end();
  if (!is_ours || H5Zfilter_avail(id) > 0) return;
  H5Z_class2_t filter{};
  filter.version = H5Z_CLASS_T_VERS;
  filter.id = id;
  filter.encoder_present = is_rounding_filter(id) ? 0 : 1;
  filter.decoder_present = 1;
  filter.name = name;
  filter.filter = &hdf5_filter<id>;
  H5Zregister(&filter);
}

/// Gives libhdf5 our codecs for the filters that it lacks. **Requires**: the lock.
MORSEL_INLINE void register_hdf5_filters() {
  register_hdf5_filter<307>("bzip2");
  register_hdf5_filter<32000>("lzf");
  register_hdf5_filter<32001>("blosc");
  register_hdf5_filter<32004>("lz4");
  register_hdf5_filter<32008>("bitshuffle");
  register_hdf5_filter<32013>("zfp");
  register_hdf5_filter<32015>("zstd");
  register_hdf5_filter<32022>("bitgroom");
  register_hdf5_filter<32023>("granular_bitround");
  register_hdf5_filter<32032>("bitround");
}

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI
