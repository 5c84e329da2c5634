#pragma once

#include <algorithm>
#include <morsel/array/chunk_spec.hpp>
#include <morsel/ext/impl/hdf5_filters.ipp>
#include <morsel/ext/impl/hdf5_source.ipp>
#include <morsel/io/codec_registry.hpp>
#include <morsel/io/field_source.hpp>
#include <morsel/io/format.hpp>
#include <morsel/io/store_key.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

struct Hdf5Options {
  FileAccess access = FileAccess::pread;
  bool drop_cache = false;
};

MORSEL_INLINE Hdf5Options hdf5_options(const FormatOptions& options, const std::string& doing) {
  Hdf5Options chosen;
  for (const auto& [name, value] : options) {
    if (name == "access" && (value == "pread" || value == "map"))
      chosen.access = value == "map" ? FileAccess::map : FileAccess::pread;
    else if (name == "drop_cache" && (value == "0" || value == "1"))
      chosen.drop_cache = value == "1";
    else
      fail(Errc::invalid_argument, doing +
                                       ": unknown option; expected access=pread, access=map, drop_cache=0 or "
                                       "drop_cache=1, got " +
                                       name + "=" + value);
  }
  return chosen;
}

/// What a path in a file leads to.
struct Hdf5Target {
  Hdf5Object object;
  std::string path;  ///< of the object
  std::string rest;  ///< behind a dataset: members of its records
};

/// What a link says of its own.
MORSEL_INLINE std::string hdf5_link_text(hid_t file, const std::string& path) {
  H5L_info_t info;
  if (H5Lget_info(file, path.c_str(), &info, H5P_DEFAULT) < 0) return "a link";
  if (info.type != H5L_TYPE_SOFT && info.type != H5L_TYPE_EXTERNAL)
    return info.type == H5L_TYPE_HARD ? "an object that is damaged or of an unknown kind"
                                      : "a link of the user's own";
  std::vector<char> value(info.u.val_size + 1, '\0');
  if (H5Lget_val(file, path.c_str(), value.data(), info.u.val_size, H5P_DEFAULT) < 0) return "a link";
  if (info.type == H5L_TYPE_SOFT) return "a soft link to '" + std::string(value.data()) + "'";
  const char *name = nullptr, *object = nullptr;
  unsigned flags = 0;
  if (H5Lunpack_elink_val(value.data(), info.u.val_size, &flags, &name, &object) < 0)
    return "an external link";
  return std::string("a link to '") + object + "' in the file '" + name + "'";
}

/// Follows a path; nothing if there is no such link. **Fails**: io_error for links that lead nowhere.
MORSEL_INLINE std::optional<Hdf5Target> hdf5_find(hid_t file, const std::string& inside,
                                                  const std::string& doing) {
  Hdf5Target target;
  const std::optional<Hdf5Object> root = hdf5_object(file, "/");
  if (!root) fail_hdf5(Errc::corrupt_data, doing, "no root group; expected one");
  target.object = *root;
  for (std::size_t begin = 0; begin < inside.size();) {
    const std::size_t end = std::min(inside.find('/', begin), inside.size());
    if (target.object.kind == Hdf5Object::Kind::dataset) {
      target.rest = inside.substr(begin);
      return target;
    }
    const std::string path = "/" + inside.substr(0, end);
    const htri_t exists = H5Lexists(file, path.c_str(), H5P_DEFAULT);
    if (exists < 0)
      fail_hdf5(Errc::corrupt_data, doing, "the group above cannot be read; expected its links");
    if (exists == 0) return std::nullopt;
    const std::optional<Hdf5Object> object = hdf5_object(file, path);
    if (!object) {
      const std::exception_ptr error = std::exchange(hdf5_shared().error, nullptr);
      std::string reason = hdf5_reason();
      try {
        if (error) std::rethrow_exception(error);
      } catch (const Error& e) {
        reason = e.what();
      }
      fail(Errc::io_error, doing + ": '" + path + "' is " + hdf5_link_text(file, path) +
                               ", which cannot be followed; expected something there, got " + reason);
    }
    target.object = *object;
    target.path = inside.substr(0, end);
    begin = end + 1;
  }
  return target;
}

/// A codec for each filter of a pipeline, or why one is left to the library.
struct Hdf5Pipeline {
  std::vector<CodecInfo> codecs;  ///< behind "bytes"
  std::vector<CodecInfo> shown;
  std::string left_to_library;  ///< "" if all are ours
};

MORSEL_INLINE Hdf5Pipeline hdf5_pipeline(hid_t properties, std::size_t item_bytes, const std::string& doing) {
  Hdf5Pipeline pipeline;
  const int count = H5Pget_nfilters(properties);
  if (count < 0) fail_hdf5(Errc::corrupt_data, doing, "its filters cannot be read; expected a list");
  for (int i = 0; i < count; ++i) {
    std::vector<unsigned> values(64);
    std::size_t length = values.size();
    unsigned flags = 0, config = 0;
    char text[256] = {};
    H5Z_filter_t id = H5Pget_filter2(properties, static_cast<unsigned>(i), &flags, &length, values.data(),
                                     sizeof text - 1, text, &config);
    if (id >= 0 && length > values.size()) {
      values.resize(length);
      id = H5Pget_filter2(properties, static_cast<unsigned>(i), &flags, &length, values.data(),
                          sizeof text - 1, text, &config);
    }
    if (id < 0) fail_hdf5(Errc::corrupt_data, doing, "a filter cannot be read; expected its number");
    values.resize(std::min(length, values.size()));
    CodecInfo info = hdf5_codec(id, values, item_bytes);
    std::string refused;
    if (info.name.empty()) {
      std::string known(text);
      for (char& c : known)
        if (static_cast<unsigned char>(c) < 32 || static_cast<unsigned char>(c) > 126) c = ' ';
      info.name = known.empty() ? "filter " + std::to_string(id) : known;
      refused = doing + ": filter " + std::to_string(id) + (known.empty() ? "" : " ('" + known + "')") +
                ": neither Morsel nor libhdf5 has it; expected a plugin of libhdf5 for it, got none";
    } else {
      try {
        CodecInfo ours{"hdf5." + info.name, info.configuration};
        // A step that changes nothing: masks count the filters.
        if (is_rounding_filter(id)) ours = {"hdf5.shuffle", "{\"elementsize\":1}"};
        find_codec(ours.name, doing)->make(ours, doing);
        pipeline.codecs.push_back(ours);
      } catch (const Error& error) {
        if (error.code() != Errc::unsupported) throw;
        refused = error.what();
      }
    }
    if (!refused.empty()) {
      if (H5Zfilter_avail(id) <= 0) fail(Errc::unsupported, refused);
      pipeline.left_to_library = "filter " + std::to_string(id) + " ('" + info.name + "')";
    }
    pipeline.shown.push_back(std::move(info));
  }
  return pipeline;
}

/// Finds out how a dataset is stored. **Requires**: the lock.
class Hdf5DatasetOpener {
 public:
  /// `member`: of the records, to be read alone by the library; "": all that is there.
  Hdf5DatasetOpener(std::shared_ptr<Hdf5File> file, const std::string& path, std::string place,
                    const Hdf5Options& options, std::string member = {})
      : options_(options), doing_("open '" + place + "'") {
    d_.file = std::move(file);
    d_.path = path;
    d_.place = std::move(place);
    d_.member = std::move(member);
  }

  AnyChunkSource open() {
    const hid_t handle = d_.file->handle(doing_);
    const Hid access = hdf5_dataset_access(*d_.file, false);
    dataset_ = Hid(H5Dopen2(handle, ("/" + d_.path).c_str(), access), &H5Dclose);
    if (!dataset_)
      fail_hdf5(Errc::corrupt_data, doing_,
                "the dataset cannot be opened; expected a header that makes sense");
    type_ = Hid(H5Dget_type(dataset_), &H5Tclose);
    space_ = Hid(H5Dget_space(dataset_), &H5Sclose);
    properties_ = Hid(H5Dget_create_plist(dataset_), &H5Pclose);
    if (!type_ || !space_ || !properties_)
      fail_hdf5(Errc::corrupt_data, doing_, "a damaged header; expected type, extents and layout");
    const bool is_text = H5Tis_variable_str(type_) > 0 && H5Sget_simple_extent_type(space_) == H5S_SCALAR;
    if (is_text)
      read_text();
    else if (!d_.member.empty())
      read_member_type();
    else
      d_.type = Hdf5TypeReader(doing_).read(type_);
    read_shape();
    if (!is_text && d_.member.empty()) read_fill();
    d_.spec.attributes = hdf5_attributes(dataset_);
    d_.spec.dims = hdf5_dims(dataset_, d_.rank);
    if (!d_.spec.dims.empty()) d_.spec.dims.resize(shape_.size());
    // Axes of an array have different names: of a matrix over (x, x) the second has none.
    for (std::size_t i = 1; i < d_.spec.dims.size(); ++i)
      if (std::find(d_.spec.dims.begin(), d_.spec.dims.begin() + static_cast<std::ptrdiff_t>(i),
                    d_.spec.dims[i]) != d_.spec.dims.begin() + static_cast<std::ptrdiff_t>(i))
        d_.spec.dims[i].clear();
    d_.spec.format = "hdf5";
    d_.files = {d_.file->file().path()};
    const File data = data_file();
    if (data.path() != d_.file->file().path()) add_file(data);
    if (is_text) return in_memory();
    if (!d_.member.empty()) return by_library("records of which other members cannot be read", {});
    switch (H5Pget_layout(properties_)) {
      case H5D_COMPACT:
        return compact();
      case H5D_CONTIGUOUS:
        return contiguous(data);
      case H5D_CHUNKED:
        return chunked();
      case H5D_VIRTUAL:
        return by_library("elements of other datasets", {});
      default:
        fail(Errc::unsupported, doing_ + ": an unknown layout; expected one of HDF5 1.10");
    }
  }

 private:
  /// The file that holds the dataset, which may lie behind an external link.
  File data_file() const {
    const Hid file(H5Iget_file_id(dataset_), &H5Fclose);
    void* handle = nullptr;
    if (!file || H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) < 0 || !handle)
      fail_hdf5(Errc::internal_error, doing_, "its file is not known; expected the driver's");
    return *static_cast<const File*>(handle);
  }
  void add_file(const File& file) {
    d_.others.push_back(file);
    d_.files.push_back(file.path());
  }

  void read_member_type() {
    const int index =
        H5Tget_class(type_) == H5T_COMPOUND ? H5Tget_member_index(type_, d_.member.c_str()) : -1;
    if (index < 0)
      fail(Errc::not_found,
           doing_ + ": no such member; expected one of its records, got '" + d_.member + "'");
    const Hid member(H5Tget_member_type(type_, static_cast<unsigned>(index)), &H5Tclose);
    if (!member) fail_hdf5(Errc::corrupt_data, doing_, "a bad compound type; expected its members");
    d_.type = Hdf5TypeReader(doing_ + ", member '" + d_.member + "'").read(member, true);
  }

  void read_shape() {
    const H5S_class_t kind = H5Sget_simple_extent_type(space_);
    if (kind == H5S_NULL)
      fail(Errc::unsupported,
           doing_ + ": it has no elements at all (a null dataspace); expected a scalar or an array");
    const int rank = H5Sget_simple_extent_ndims(space_);
    hsize_t dims[H5S_MAX_RANK] = {};
    if (rank < 0 || rank > H5S_MAX_RANK || (rank > 0 && H5Sget_simple_extent_dims(space_, dims, nullptr) < 0))
      fail_hdf5(Errc::corrupt_data, doing_, "bad extents; expected up to 32");
    d_.rank = static_cast<std::size_t>(rank);
    for (std::size_t i = 0; i < d_.rank; ++i) {
      if (dims[i] > static_cast<hsize_t>(std::numeric_limits<Index>::max()))
        fail(Errc::overflow,
             doing_ + ": an extent is too large; expected less than 2^63, got " + std::to_string(dims[i]));
      shape_.push_back(static_cast<Index>(dims[i]));
    }
    for (const Index extent : d_.type.inner) shape_.push_back(extent);
    if (shape_.size() > 32)
      fail(Errc::unsupported,
           doing_ + ": too many axes; expected at most 32, got " + std::to_string(shape_.size()));
    item_bytes_ = d_.type.dtype.item_bytes();
    bytes_ = checked_mul(size_of(shape_), static_cast<Index>(item_bytes_), "array bytes");
    d_.spec.dtype = d_.type.dtype;
  }

  void read_fill() {
    H5D_fill_value_t state = H5D_FILL_VALUE_UNDEFINED;
    if (H5Pfill_value_defined(properties_, &state) < 0 || state == H5D_FILL_VALUE_UNDEFINED) return;
    const auto count = static_cast<std::size_t>(size_of(d_.type.inner));
    if (count == 0 || item_bytes_ == 0) return;
    const Hid memory = hdf5_memory_type(d_, type_, doing_);
    std::vector<std::byte> fill(std::max(count * item_bytes_, H5Tget_size(type_)));
    if (H5Pget_fill_value(properties_, memory, fill.data()) < 0) {
      // The library does not convert from every type.
      if (state == H5D_FILL_VALUE_USER_DEFINED)
        fail_hdf5(Errc::corrupt_data, doing_, "its fill value cannot be read; expected an element");
      return;
    }
    fill.resize(count * item_bytes_);
    mend_elements(d_.type.mends, fill.data(), count, item_bytes_);
    for (std::size_t i = 1; i < count; ++i)
      has_uniform_fill_ &= std::memcmp(fill.data(), fill.data() + i * item_bytes_, item_bytes_) == 0;
    fill.resize(item_bytes_);
    d_.spec.fill = std::move(fill);
  }

  void suggest_grid() {
    d_.spec.grid = resolve_chunks(ChunkSpec(), shape_, item_bytes_);
    d_.spec.has_native_chunks = false;
    d_.spec.reads_regions = true;
    d_.chunk = shape_;
  }

  AnyChunkSource absent() {
    if (!has_uniform_fill_) return by_library("a fill value of several elements", {});
    suggest_grid();
    d_.kind = Hdf5Dataset::Kind::absent;
    d_.spec.stored_bytes = 0;
    return Hdf5Source(std::move(d_));
  }

  /// The library does not compare what is stored in one piece with what the extents say.
  void check_stored_bytes() const {
    const hssize_t count = H5Sget_simple_extent_npoints(space_);
    const hsize_t stored = H5Dget_storage_size(dataset_), item_bytes = H5Tget_size(type_);
    if (count >= 0 && item_bytes > 0 && static_cast<hsize_t>(count) <= stored / item_bytes) return;
    fail(Errc::corrupt_data, doing_ + ": fewer bytes are stored than its extents say; expected " +
                                 std::to_string(count) + " elements of " + std::to_string(item_bytes) +
                                 " bytes, got " + std::to_string(stored) + " bytes");
  }

  /// One string of variable length is one of its own length.
  void read_text() {
    if (H5Pget_layout(properties_) != H5D_CHUNKED && H5Dget_storage_size(dataset_) > 0) check_stored_bytes();
    char* text = nullptr;
    const Hid memory(H5Tcopy(type_), &H5Tclose);
    if (H5Dread(dataset_, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, &text) < 0)
      fail_hdf5(Errc::corrupt_data, doing_, "its text cannot be read; expected a string");
    const std::size_t length = text ? std::strlen(text) : 0;
    d_.elements.resize(std::max<std::size_t>(1, length));
    if (length > 0) std::memcpy(d_.elements.data(), text, length);
    H5free_memory(text);
    d_.type.dtype = DType::carried("S" + std::to_string(d_.elements.size()), d_.elements.size());
  }

  /// Elements that have been read.
  AnyChunkSource in_memory() {
    suggest_grid();
    d_.kind = Hdf5Dataset::Kind::memory;
    d_.spec.does_io = false;
    d_.spec.stored_bytes = bytes_;
    d_.spec.lends = BufferView::c_order(d_.elements.data(), shape_, item_bytes_)
                        .is_aligned(alignment_of(d_.spec.dtype.type()));
    return Hdf5Source(std::move(d_));
  }

  AnyChunkSource compact() {
    if (bytes_ > 0 && H5Dget_storage_size(dataset_) == 0) return absent();
    check_stored_bytes();
    if (bytes_ > 0) {
      d_.elements.resize(static_cast<std::size_t>(bytes_));
      const Hid memory = hdf5_memory_type(d_, type_, doing_);
      if (H5Dread(dataset_, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, d_.elements.data()) < 0)
        fail_hdf5(Errc::corrupt_data, doing_, "the elements in its header cannot be read; expected some");
      mend_elements(d_.type.mends, d_.elements.data(), static_cast<std::size_t>(size_of(shape_)),
                    item_bytes_);
    }
    return in_memory();
  }

  AnyChunkSource raw(const File& file, Index offset) {
    RawSourceOptions options;
    options.format = "hdf5";
    options.identity = "hdf5:" + d_.file->file().path() + "/" + d_.path;
    options.access = options_.access;
    options.drop_cache = options_.drop_cache;
    options.dims = d_.spec.dims;
    options.attributes = d_.spec.attributes;
    options.fill = d_.spec.fill;
    try {
      return RawSource(file, RawLayout::contiguous(d_.spec.dtype, shape_, offset, d_.type.mends),
                       std::move(options));
    } catch (const Error& error) {
      throw error.during(doing_);
    }
  }

  AnyChunkSource contiguous(const File& data) {
    const int externals = H5Pget_external_count(properties_);
    if (externals > 0) return external(externals);
    const hsize_t stored = H5Dget_storage_size(dataset_);
    if (bytes_ == 0 || stored == 0) return absent();
    check_stored_bytes();
    if (d_.type.by_library) return by_library("its type", {});
    const haddr_t offset = H5Dget_offset(dataset_);
    if (offset == HADDR_UNDEF) return absent();
    if (offset > static_cast<haddr_t>(std::numeric_limits<Index>::max()))
      fail(Errc::corrupt_data, doing_ + ": fewer bytes are stored than its extents say; expected " +
                                   std::to_string(bytes_) + ", got " + std::to_string(stored));
    return raw(data, static_cast<Index>(offset));
  }

  /// Elements in files of their own.
  AnyChunkSource external(int count) {
    for (int i = 0; i < count; ++i) {
      std::vector<char> name(4096, '\0');
      off_t offset = 0;
      hsize_t size = 0;
      if (H5Pget_external(properties_, static_cast<unsigned>(i), name.size() - 1, name.data(), &offset,
                          &size) < 0)
        fail_hdf5(Errc::corrupt_data, doing_, "its external files cannot be read; expected a list");
      const std::string text(name.data()), &path = d_.file->file().path();
      const std::string there = text.starts_with("/")
                                    ? text
                                    : path.substr(0, std::max<std::size_t>(path.rfind('/'), 1)) + "/" + text;
      std::optional<File> file;
      try {
        file = File(there);
      } catch (const Error& error) {
        fail(Errc::io_error, doing_ + ": its elements are in the file '" + text +
                                 "', which cannot be opened; expected it beside '" + path + "', got " +
                                 error.what());
      }
      add_file(*file);
      if (count == 1 && !d_.type.by_library && offset >= 0 && size >= static_cast<hsize_t>(bytes_) &&
          file->size_bytes() - offset >= bytes_)
        return raw(*file, static_cast<Index>(offset));
    }
    return by_library("elements in external files", {});
  }

  AnyChunkSource chunked() {
    hsize_t dims[H5S_MAX_RANK] = {};
    if (H5Pget_chunk(properties_, H5S_MAX_RANK, dims) != static_cast<int>(d_.rank))
      fail_hdf5(Errc::corrupt_data, doing_, "bad extents of chunks; expected one for each axis");
    for (std::size_t i = 0; i < d_.rank; ++i) {
      if (dims[i] == 0 || dims[i] > static_cast<hsize_t>(std::numeric_limits<Index>::max()))
        fail(Errc::corrupt_data,
             doing_ + ": bad extents of chunks; expected at least 1, got " + std::to_string(dims[i]));
      d_.chunk.push_back(static_cast<Index>(dims[i]));
    }
    for (const Index extent : d_.type.inner) d_.chunk.push_back(std::max<Index>(1, extent));
    checked_mul(size_of(d_.chunk), static_cast<Index>(item_bytes_), "chunk bytes");
    Hdf5Pipeline pipeline = hdf5_pipeline(properties_, H5Tget_size(type_), doing_);
    d_.spec.codecs = pipeline.shown;
    if (bytes_ == 0) {
      use_chunk_grid();
      d_.spec.stored_bytes = 0;
      return Hdf5Source(std::move(d_));  // of nothing
    }
    if (d_.type.by_library) return by_library("its type", d_.chunk);
    if (!has_uniform_fill_) return by_library("a fill value of several elements", d_.chunk);
    if (!pipeline.left_to_library.empty()) return by_library(pipeline.left_to_library, d_.chunk);
    use_chunk_grid();
    d_.spec.held_bytes = metadata_bytes();
    unsigned chunk_options = 0;
    H5Pget_chunk_opts(properties_, &chunk_options);
    d_.keeps_partial_chunks = chunk_options & H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS;
    d_.kind = pipeline.codecs.empty() ? Hdf5Dataset::Kind::chunks : Hdf5Dataset::Kind::filtered;
    d_.codecs.push_back({"bytes", std::endian::native == std::endian::big ? "{\"endian\":\"big\"}"
                                                                          : "{\"endian\":\"little\"}"});
    for (CodecInfo& codec : pipeline.codecs) d_.codecs.push_back(std::move(codec));
    return Hdf5Source(std::move(d_));
  }

  void use_chunk_grid() {
    d_.spec.grid = Grid::regular(shape_, d_.chunk);
    d_.spec.stored_chunks = d_.chunk;
  }

  AnyChunkSource by_library(const std::string& why, const Shape& chunk) {
    d_.kind = Hdf5Dataset::Kind::library;
    d_.spec.note = "read by libhdf5, one thread at a time, for " + why;
    if (chunk.empty()) {
      suggest_grid();
      d_.spec.reads_regions = d_.type.inner.empty();
    } else {
      d_.chunk = chunk;
      use_chunk_grid();
      // A chunk before and behind its last filter.
      d_.spec.held_bytes +=
          2 * static_cast<std::size_t>(size_of(chunk)) * std::max(item_bytes_, H5Tget_size(type_));
    }
    // Its cache of chunks, and what it converts types in.
    d_.spec.held_bytes += metadata_bytes() + (std::size_t{2} << 20);
    return Hdf5Source(std::move(d_));
  }

  /// What libhdf5 keeps in memory of a file while its chunks are looked up: a handle, and pages of the index.
  std::size_t metadata_bytes() const {
    constexpr std::size_t of_handle = std::size_t{32} << 10, of_chunk = 96;
    const auto chunks = static_cast<std::size_t>(d_.spec.grid.count());
    return of_handle + of_chunk * std::min(chunks, hdf5_metadata_bytes / of_chunk);
  }

  Hdf5Options options_;
  std::string doing_;
  Hdf5Dataset d_;
  Hid dataset_, type_, space_, properties_;
  Shape shape_;
  std::size_t item_bytes_ = 0;
  Index bytes_ = 0;
  bool has_uniform_fill_ = true;
};

/// A member of an array of records, "outer/inner" for a member of a member.
MORSEL_INLINE AnyChunkSource hdf5_member(AnyChunkSource source, const std::string& rest,
                                         const std::string& doing) {
  for (std::size_t begin = 0; begin < rest.size();) {
    const std::size_t end = std::min(rest.find('/', begin), rest.size());
    const std::string name = rest.substr(begin, end - begin);
    const std::vector<Field> fields =
        source.spec().dtype.is_record() ? source.spec().dtype.fields() : std::vector<Field>();
    const auto field =
        std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.name == name; });
    if (field == fields.end()) {
      std::string names;
      for (const Field& f : fields) names += (names.empty() ? "'" : ", '") + f.name + "'";
      fail(Errc::not_found, doing + ": a dataset stands on the way; expected " +
                                (names.empty() ? "nothing behind it" : "one of its members " + names) +
                                ", got '" + name + "'");
    }
    source = FieldSource(source, *field);
    begin = end + 1;
  }
  return source;
}

MORSEL_INLINE OpenedArray open_hdf5(const Place& place, const std::string& inside,
                                    const FormatOptions& options) {
  const std::string full = joined(place.path, inside), doing = "open '" + full + "'";
  const Hdf5Options chosen = hdf5_options(options, doing);
  const Hdf5Lock lock;
  const std::shared_ptr<Hdf5File> file = Hdf5File::at(place.path);
  const std::optional<Hdf5Target> target = hdf5_find(file->handle(doing), inside, doing);
  if (!target || target->object.kind == Hdf5Object::Kind::group)
    fail(Errc::not_found, doing + ": " + (target ? "a group" : "no such object") + "; expected a dataset");
  if (target->object.kind != Hdf5Object::Kind::dataset)
    fail(Errc::unsupported, doing + ": a named type and no array; expected a dataset");
  const std::string dataset = joined(place.path, target->path);
  AnyChunkSource source;
  std::string rest = target->rest;
  try {
    source = Hdf5DatasetOpener(file, target->path, dataset, chosen).open();
  } catch (const Error& error) {
    // Members of a fixed size can be read where others are not.
    if (error.code() != Errc::unsupported || rest.empty()) throw;
    const std::size_t end = std::min(rest.find('/'), rest.size());
    source = Hdf5DatasetOpener(file, target->path, dataset, chosen, rest.substr(0, end)).open();
    rest.erase(0, end + 1);
  }
  if (!rest.empty()) source = hdf5_member(std::move(source), rest, doing);
  const Shape shape = source.spec().shape();
  return {std::move(source), View::identity(shape)};
}

MORSEL_INLINE std::optional<std::vector<Member>> list_hdf5(const Place& place, const std::string& inside) {
  const std::string doing = "listing '" + joined(place.path, inside) + "'";
  const Hdf5Lock lock;
  const std::shared_ptr<Hdf5File> file = Hdf5File::at(place.path);
  const hid_t handle = file->handle(doing);
  const std::optional<Hdf5Target> target = hdf5_find(handle, inside, doing);
  if (!target) fail(Errc::not_found, doing + ": no such object; expected a group or dataset");
  if (target->object.kind != Hdf5Object::Kind::group) return std::nullopt;
  const std::string path = "/" + target->path;
  const Hid group(H5Gopen2(handle, path.c_str(), H5P_DEFAULT), &H5Gclose);
  if (!group) fail_hdf5(Errc::corrupt_data, doing, "the group cannot be opened; expected its links");
  // Groups that are above lead around in circles.
  std::vector<Hdf5Object> above;
  for (std::size_t end = 0; end != std::string::npos; end = inside.find('/', end + 1))
    if (const auto object = hdf5_object(handle, "/" + inside.substr(0, end))) above.push_back(*object);
  above.push_back(target->object);
  std::vector<std::string> names;
  hsize_t at = 0;
  const auto add = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  if (H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, &at, add, &names) < 0)
    fail_hdf5(Errc::corrupt_data, doing, "the group cannot be listed; expected its links");
  std::vector<Member> members;
  for (const std::string& name : names) {
    const std::optional<Hdf5Object> object = hdf5_object(group, "./" + name);
    if (!object || object->kind == Hdf5Object::Kind::other) continue;
    const bool is_group = object->kind == Hdf5Object::Kind::group;
    if (is_group &&
        std::any_of(above.begin(), above.end(), [&](const Hdf5Object& o) { return o.is(*object); }))
      continue;
    members.push_back({name, is_group ? Member::Kind::group : Member::Kind::array});
  }
  return members;
}

/// f(hid_t) with the object at a path. **Fails**: not_found.
template <class F>
auto with_hdf5_object(const Place& place, const std::string& inside, F&& f) {
  const std::string doing = "reading attributes of '" + joined(place.path, inside) + "'";
  const Hdf5Lock lock;
  const std::shared_ptr<Hdf5File> file = Hdf5File::at(place.path);
  const hid_t handle = file->handle(doing);
  const std::optional<Hdf5Target> target = hdf5_find(handle, inside, doing);
  if (!target) fail(Errc::not_found, doing + ": no such object; expected a group or dataset");
  const std::string path = "/" + target->path;
  const Hid access = hdf5_dataset_access(*file, false);
  const Hid object(target->object.kind == Hdf5Object::Kind::dataset
                       ? H5Dopen2(handle, path.c_str(), access)
                       : H5Oopen(handle, path.c_str(), H5P_DEFAULT),
                   &H5Oclose);
  if (!object) fail_hdf5(Errc::corrupt_data, doing, "it cannot be opened; expected a group");
  return f(static_cast<hid_t>(object));
}

MORSEL_INLINE Attributes attributes_of_hdf5(const Place& place, const std::string& inside) {
  return with_hdf5_object(place, inside, [](hid_t object) { return hdf5_attributes(object); });
}

MORSEL_INLINE AttributeTypes attribute_types_of_hdf5(const Place& place, const std::string& inside) {
  return with_hdf5_object(place, inside, [](hid_t object) { return hdf5_attribute_types(object); });
}

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI
