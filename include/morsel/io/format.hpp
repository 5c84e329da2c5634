// Which formats there are, and how a path such as data.h5/entry/data becomes an array: the registry behind
// open().
#pragma once

#include <functional>
#include <memory>
#include <morsel/io/chunk_sink.hpp>
#include <morsel/io/member.hpp>
#include <morsel/io/opened_array.hpp>
#include <morsel/io/write_batch.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// A file or directory that exists, before a format has looked at it.
struct Place {
  std::string path;
  bool is_directory = false;
  std::vector<std::byte> head;  ///< the first bytes of a file, up to `head_bytes`

  /// HDF5's signature may stand behind a user block of 512, 1024, 2048, ... bytes.
  static constexpr std::size_t head_bytes = 4096 + 512;
  /// True if the file starts with `magic` at `offset`.
  bool has_magic(std::string_view magic, std::size_t offset = 0) const;
  /// True if the directory holds a file of this name.
  bool holds(std::string_view name) const;
};

/// Options of one format by name, as text; a format refuses names that it does not know.
using FormatOptions = std::vector<std::pair<std::string, std::string>>;

/// Types of attributes by name, where a file has them: JSON text does not tell a float32 from a float64.
using AttributeTypes = std::vector<std::pair<std::string, DType>>;

/// An array that is to be written.
struct NewArray {
  DType dtype;
  Grid grid;                      ///< chunks of the file; its shape is the array's
  bool asked_for_chunks = false;  ///< the caller named them; otherwise they are a suggestion
  /// Lengths of chunks and shards as the caller named them, which may be longer than the array; empty: those
  /// of the grids.
  Shape chunk_shape, shard_shape;
  std::vector<std::string> dims;
  Attributes attributes;
  std::optional<Grid> shards;  ///< several chunks in one stored value, for formats that have shards
  std::string codec;           ///< "zstd:3"; empty: the format's default
  bool overwrite = false;      ///< replace what is there
  bool resume = false;         ///< go on with an unfinished save of the same `fingerprint`
  std::string fingerprint;
  bool with_others = false;           ///< one of several arrays of one save, which resume together
  std::optional<Region> region;       ///< write into an array that is there, with a shape of the region's
  int append_axis = -1;               ///< with `region`: the axis along which it extends the array
  std::shared_ptr<WriteBatch> batch;  ///< what it is written with; null: it is alone
  FormatOptions options;
};

/// What Morsel knows of a format. One without `open` is recognised, and refused with a message that says what
/// to do.
struct Format {
  std::string name;                  ///< "npy", "hdf5"
  std::string title;                 ///< for messages: "HDF5 file"
  std::vector<std::string> endings;  ///< lower case, with the dot: ".h5", ".zarr.zip"
  std::string component;             ///< the component that brings `open`; empty if no build of Morsel has it
  bool is_one_file = false;          ///< what is written appears in one file, whole: nothing to resume

  /// True if the content is this format's. **Requires**: looks at nothing but the place.
  std::function<bool(const Place&)> recognises;
  /// The array at `inside` ("" for the place itself). **Fails**: not_found if there is nothing at `inside`.
  std::function<OpenedArray(const Place&, const std::string& inside, const FormatOptions&)> open;
  /// What is directly in a container or group; nothing if `inside` is an array. Null: a place is always one
  /// array.
  /// **Fails**: not_found.
  std::function<std::optional<std::vector<Member>>(const Place&, const std::string& inside)> list;
  /// Attributes of a container or group; null: it has none.
  std::function<Attributes(const Place&, const std::string& inside)> attributes;
  /// Types of the attributes of an array; null: the format has attributes as JSON, or none. **Fails**:
  /// not_found.
  std::function<AttributeTypes(const Place&, const std::string& inside)> attribute_types;
  /// A sink that makes an array at a path; null: the format is not written.
  /// **Fails**: already_exists unless `overwrite`; invalid_argument for options and codecs that it does not
  /// have.
  std::function<AnyChunkSink(const std::string& path, const NewArray&)> create;
  /// Makes a group at a path, with those above it; one that is there gets these attributes. With a batch, it
  /// may appear with the rest of it. Null: the format has no groups, or is not written. **Fails**: as
  /// `create`; already_exists for an array.
  std::function<void(const std::string& path, const Attributes&, const FormatOptions&,
                     const std::shared_ptr<WriteBatch>&)>
      create_group;
};

/// Adds a format, or replaces the one of the same name. Explicit: components declare functions such as
/// morsel::hdf5::enable() that call this. **Threads**: any, at any time.
void register_format(Format format);

/// The formats known to this process, those that only have a name included.
std::vector<std::shared_ptr<const Format>> formats();

/// A path taken apart: the format, the file or directory, and what is left to look up inside.
struct FoundFormat {
  std::shared_ptr<const Format> format;
  Place place;
  std::string inside;  ///< segments joined by '/', no empty ones
};

/// Takes `path` apart: the longest prefix that exists and is a file, or a directory that a format recognises;
/// the rest goes inside. No character but '/' is special. The content decides the format, then the ending.
/// **Fails**: not_found naming the longest prefix that exists; unsupported for formats unknown or not
/// enabled.
FoundFormat find_format(std::string_view path);

/// The format of the file or directory at a path itself; nothing if no format recognises it. `open` of the
/// format may be null. **Fails**: not_found; io_error.
std::optional<FoundFormat> recognise_path(const std::string& path);

/// The array at a path that may go on inside a container. **Fails**: as find_format; not_found naming the
/// members that there are.
OpenedArray open_path(std::string_view path, const FormatOptions& options = {});

/// Types of the attributes of the array at a path, as far as its format knows them. **Fails**: as open_path.
AttributeTypes attribute_types_at(std::string_view path);

/// What is directly in the container or group at a path; nothing if it is an array. **Fails**: as open_path.
std::optional<std::vector<Member>> list_path(std::string_view path);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/format.ipp>
#endif
