#pragma once

#include <morsel/io/format.hpp>
#include <morsel/io/npy.hpp>
#include <morsel/io/npy_sink.hpp>
#include <morsel/io/npz.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// The options `access` (pread, map), `drop_cache` (0, 1) and `keep_bool_bytes` (0, 1) of the formats that
/// read elements straight from a file.
MORSEL_INLINE NpyOptions npy_options(const FormatOptions& options, const std::string& doing) {
  NpyOptions npy;
  for (std::size_t i = 0; i < options.size(); ++i) {
    const std::string &name = options[i].first, &value = options[i].second;
    const bool is_access = name == "access" && (value == "pread" || value == "map");
    const bool is_drop_cache = name == "drop_cache" && (value == "0" || value == "1");
    const bool is_keep = name == "keep_bool_bytes" && (value == "0" || value == "1");
    if (!is_access && !is_drop_cache && !is_keep)
      fail(Errc::invalid_argument, doing +
                                       ": unknown option; expected access=pread, access=map, drop_cache=0, "
                                       "drop_cache=1, keep_bool_bytes=0 or keep_bool_bytes=1, got " +
                                       name + "=" + value);
    if (is_keep) npy.keep_bool_bytes = value == "1";
    if (is_access) npy.access = value == "map" ? FileAccess::map : FileAccess::pread;
    if (is_drop_cache) npy.drop_cache = value == "1";
  }
  return npy;
}

/// True for a zip file whose first member is an array.
MORSEL_INLINE bool is_npz(const Place& place) {
  if (place.has_magic("PK\x05\x06")) return true;  // no member at all
  if (!place.has_magic("PK\x03\x04") || place.head.size() < 30) return false;
  const std::size_t name_bytes =
      static_cast<std::size_t>(place.head[26]) + 256 * static_cast<std::size_t>(place.head[27]);
  return name_bytes > 4 && place.has_magic(".npy", 30 + name_bytes - 4);
}

/// The arrays of an archive at or below `inside`; nothing if it is one of them.
MORSEL_INLINE std::optional<std::vector<Member>> npz_members(const Place& place, const std::string& inside) {
  const std::string start = inside.empty() ? std::string() : inside + "/";
  std::vector<Member> members;
  for (const std::string& name : list_npz(place.path)) {
    if (name == inside || name + ".npy" == inside) return std::nullopt;
    if (name.compare(0, start.size(), start) == 0)
      members.push_back({name.substr(start.size()), Member::Kind::array});
  }
  if (members.empty() && !inside.empty())
    fail(Errc::not_found, "listing '" + place.path + "': no array at or below '" + inside +
                              "'; expected the name of one, got '" + inside + "'");
  return members;
}

std::vector<Format> zarr_formats();  // zarr.ipp
Format netcdf_format();              // netcdf.ipp

/// The formats that every build opens.
MORSEL_INLINE std::vector<Format> core_formats() {
  std::vector<Format> formats;
  Format npy;
  npy.name = "npy";
  npy.title = "NumPy array";
  npy.endings = {".npy"};
  npy.recognises = [](const Place& place) { return place.has_magic("\x93NUMPY"); };
  npy.open = [](const Place& place, const std::string&, const FormatOptions& options) {
    return open_npy(place.path, npy_options(options, "open '" + place.path + "'"));
  };
  npy.create = [](const std::string& path, const NewArray& made) -> AnyChunkSink {
    const std::string doing = "save '" + path + "'";
    if (made.shards || made.resume || made.region)
      fail(Errc::invalid_argument,
           doing +
               ": .npy files are written whole; expected neither shards, resume, a region nor append, got " +
               (made.shards   ? "shards"
                : made.resume ? "resume"
                              : "a region"));
    if (!made.codec.empty() && made.codec != "none")
      fail(Errc::invalid_argument,
           doing + ": .npy files are not compressed; expected no codec, got " + made.codec);
    if (made.asked_for_chunks)
      fail(Errc::invalid_argument,
           doing +
               ": .npy files have no chunks; expected none to be asked for (rechunk the array itself), got " +
               to_string(made.grid));
    NpySinkOptions sink;
    sink.overwrite = made.overwrite;
    sink.drop_cache = npy_options(made.options, doing).drop_cache;
    return NpySink(path, made.dtype, made.grid.shape(), sink);
  };
  formats.push_back(std::move(npy));
  Format npz;
  npz.name = "npz";
  npz.title = "NumPy archive";
  npz.endings = {".npz"};
  npz.recognises = [](const Place& place) { return is_npz(place); };
  npz.open = [](const Place& place, const std::string& inside, const FormatOptions& options) {
    const NpyOptions chosen = npy_options(options, "open '" + place.path + "'");
    if (inside.empty())
      fail(Errc::not_found,
           "open '" + place.path + "': an archive of arrays; expected the name of one behind it, got none");
    return open_npz(place.path, inside, chosen);
  };
  npz.list = &npz_members;
  formats.push_back(std::move(npz));
  for (Format& format : zarr_formats()) formats.push_back(std::move(format));
  formats.push_back(netcdf_format());
  return formats;
}

/// The formats that Morsel has heard of: recognised, so that the message can say what is missing.
MORSEL_INLINE std::vector<Format> known_formats() {
  std::vector<Format> formats;
  const auto add = [&](const char* name, const char* title, const char* component,
                       std::vector<std::string> endings, std::function<bool(const Place&)> recognises) {
    Format format;
    format.name = name;
    format.title = title;
    format.component = component;
    format.endings = std::move(endings);
    format.recognises = std::move(recognises);
    formats.push_back(std::move(format));
  };
  add("hdf5", "HDF5 file", "hdf5", {".h5", ".hdf5", ".hdf", ".he5", ".nc4", ".h5ad", ".nxs", ".hspy", ".emd"},
      [](const Place& place) {
        for (std::size_t offset = 0; offset <= 4096; offset = offset == 0 ? 512 : 2 * offset)
          if (place.has_magic("\x89HDF\r\n\x1a\n", offset)) return true;
        return false;
      });
  add("tiff", "TIFF file", "tiff", {".tif", ".tiff", ".btf", ".tf8"}, [](const Place& place) {
    using namespace std::string_view_literals;
    return place.has_magic("II*\0"sv) || place.has_magic("MM\0*"sv) || place.has_magic("II+\0"sv) ||
           place.has_magic("MM\0+"sv);
  });
  add("mrc", "MRC file", "", {".mrc", ".mrcs"},
      [](const Place& place) { return place.has_magic("MAP ", 208); });
  return formats;
}

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI
