#pragma once

#include <algorithm>
#include <atomic>
#include <limits>
#include <morsel/array/chunk_spec.hpp>
#include <morsel/base/bytes.hpp>
#include <morsel/ext/impl/hdf5_make_filters.ipp>
#include <morsel/ext/impl/hdf5_new_file.ipp>
#include <morsel/ext/impl/hdf5_open.ipp>
#include <morsel/io/chunk_sink.hpp>
#include <morsel/io/codec_chain.hpp>
#include <morsel/io/format.hpp>
#include <morsel/io/impl/option_reader.hpp>
#include <morsel/io/shard.hpp>
#include <morsel/io/zarr_metadata.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// An array that is to be made in a file.
struct NewDataset {
  std::shared_ptr<Hdf5NewFile> file;
  std::string path;  ///< in the file
  std::string doing;
  DType dtype;
  Grid grid;
  Shape chunk;  ///< as stored; empty: in one piece, for scalars and arrays of nothing
  std::vector<NewFilter> filters;
  std::vector<std::byte> fill;  ///< an element
  bool has_fill = false;        ///< somebody asked for it
  bool omits_fill = true;       ///< chunks of nothing else are not written
  bool replaces = false;
  std::vector<std::string> dims;
  Attributes attributes;
};

/// Writes whole chunks, each encoded without libhdf5's lock by our own codecs. The library is asked where it
/// belongs, and the bytes are written by position.
class Hdf5Sink {
 public:
  explicit Hdf5Sink(NewDataset dataset) : state_(std::make_shared<State>(std::move(dataset))) {}

  const SinkSpec& spec() const { return state_->spec; }
  std::size_t scratch_bytes(const Region& region) const;
  void write(const Region& region, const BufferView& values, std::span<std::byte> scratch,
             std::stop_token stop);
  void commit();
  std::string identity() const {
    const NewDataset& d = state_->d;
    return "hdf5:" + d.file->path() + "/" + d.path;
  }
  /// What is in the file already stays: the array alone is new.
  std::vector<std::string> files() const {
    const NewDataset& d = state_->d;
    return {(d.file->keeps_old() ? "hdf5:" : "") + d.file->path() + "/" + d.path};
  }

 private:
  struct State {
    explicit State(NewDataset dataset);
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State();

    NewDataset d;
    SinkSpec spec;
    CodecChain chain;
    bool pads = false;  // some chunks reach over the edge
    std::mutex mutex;
    std::atomic<bool> has_begun{false};
    bool is_finished = false, has_replaced = false;
    std::exception_ptr failure;  // of make: everyone gets the first one
    hid_t id = H5I_INVALID_HID;  // under the library's lock

    void begin();
    void make();
    std::size_t chunk_bytes() const { return chain.chunk_bytes(); }
  };
  std::shared_ptr<State> state_;
};
static_assert(ChunkSink<Hdf5Sink> && NamesFiles<Hdf5Sink>);

MORSEL_INLINE Hdf5Sink::State::State(NewDataset dataset) : d(std::move(dataset)) {
  spec.dtype = d.dtype;
  spec.grid = d.grid;
  if (!d.chunk.empty()) {
    std::vector<CodecInfo> codecs{{"bytes", std::endian::native == std::endian::big
                                                ? "{\"endian\":\"big\"}"
                                                : "{\"endian\":\"little\"}"}};
    for (const NewFilter& filter : d.filters) codecs.push_back(filter.codec);
    chain = CodecChain(codecs, d.dtype, d.chunk, d.doing, d.fill);
    for (std::size_t i = 0; i < d.chunk.size(); ++i) pads |= d.grid.shape()[i] % d.chunk[i] != 0;
  }
  // What libhdf5 holds (measured with 1.10.8): of a file the table of its cache of metadata, of an array its
  // handle and nodes of its index, which are longer in memory than in the file.
  constexpr std::size_t of_file = 640 * KiB, of_array = 16 * KiB, of_chunk = 600, of_index = 1536 * KiB;
  const auto chunks = static_cast<std::size_t>(d.chunk.empty() ? 0 : d.grid.count());
  spec.held_bytes = of_array + (chunks < of_index / of_chunk ? chunks * of_chunk : of_index);
  if (d.file->add_array(d.path)) spec.held_bytes += of_file;
}

MORSEL_INLINE Hdf5Sink::State::~State() {
  if (is_finished) return;
  d.file->forget_array(d.path);
  const Hdf5Lock lock;
  // Nothing of it stays in a file that others go on writing.
  if (id >= 0) H5Dclose(id);
  if (has_replaced || (id >= 0 && !d.file->remove(d.path))) d.file->spoil(d.path);
}

MORSEL_INLINE void Hdf5Sink::State::begin() {
  if (has_begun.load(std::memory_order_acquire)) return;
  const std::lock_guard lock(mutex);
  if (has_begun.load(std::memory_order_relaxed)) return;
  if (failure) std::rethrow_exception(failure);
  try {
    make();
  } catch (...) {
    failure = std::current_exception();
    throw;
  }
  has_begun.store(true, std::memory_order_release);
}

MORSEL_INLINE void Hdf5Sink::State::make() {
  d.file->prepare();
  const Hdf5Lock lock;
  const std::size_t slash = d.path.rfind('/');
  const std::string name = slash == std::string::npos ? d.path : d.path.substr(slash + 1);
  const Hid group = d.file->group(slash == std::string::npos ? "" : d.path.substr(0, slash));
  if (H5Lexists(group, name.c_str(), H5P_DEFAULT) > 0) {
    if (!d.replaces)
      fail(Errc::already_exists,
           d.doing + ": the target exists; expected overwrite or another path, got neither");
    if (H5Ldelete(group, name.c_str(), H5P_DEFAULT) < 0)
      fail_hdf5(Errc::io_error, d.doing, "what is there cannot be removed; expected an array");
    has_replaced = true;
  }
  const Hid type = Hdf5TypeMaker(d.doing).make(d.dtype);
  std::vector<hsize_t> extents;
  for (const Index extent : d.grid.shape()) extents.push_back(static_cast<hsize_t>(extent));
  const Hid space(extents.empty()
                      ? H5Screate(H5S_SCALAR)
                      : H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr),
                  &H5Sclose);
  const Hid creation(H5Pcreate(H5P_DATASET_CREATE), &H5Pclose), links(H5Pcreate(H5P_LINK_CREATE), &H5Pclose),
      access(H5Pcreate(H5P_DATASET_ACCESS), &H5Pclose);
  H5Pset_char_encoding(links, H5T_CSET_UTF8);
  H5Pset_obj_track_times(creation, false);
  H5Pset_attr_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
  H5Pset_chunk_cache(access, 0, 0, H5D_CHUNK_CACHE_W0_DEFAULT);  // no chunk goes through the library
  if (!d.chunk.empty()) {
    std::vector<hsize_t> chunk;
    for (const Index extent : d.chunk) chunk.push_back(static_cast<hsize_t>(extent));
    if (H5Pset_chunk(creation, static_cast<int>(chunk.size()), chunk.data()) < 0)
      fail_hdf5(Errc::unsupported, d.doing,
                "libhdf5 does not take its chunks; expected " + to_string(d.chunk));
    set_filters(creation, d.filters, d.doing);
  }
  if (d.has_fill && H5Pset_fill_value(creation, type, d.fill.data()) < 0)
    fail_hdf5(Errc::unsupported, d.doing, "libhdf5 does not take its fill value; expected an element");
  id = H5Dcreate2(group, name.c_str(), type, space, links, creation, access);
  if (id < 0) {
    id = H5I_INVALID_HID;
    fail_hdf5(Errc::io_error, d.doing, "libhdf5 does not make it; expected a new array");
  }
  write_hdf5_attributes(id, d.attributes, d.dtype, d.doing);
}

MORSEL_INLINE std::size_t Hdf5Sink::scratch_bytes(const Region&) const {
  const State& s = *state_;
  if (s.d.chunk.empty()) return 0;
  return (s.pads ? round_up(s.chunk_bytes(), 64) : 0) + round_up(s.chain.max_encoded_bytes(), 64) +
         s.chain.c_order_encode_scratch_bytes();
}

MORSEL_INLINE void Hdf5Sink::write(const Region& region, const BufferView& values,
                                   std::span<std::byte> scratch, std::stop_token stop) {
  State& s = *state_;
  if (region.size() == 0) return;
  if (stop.stop_requested()) fail(Errc::cancelled, s.d.doing + ": stopped on request");
  s.begin();
  const std::size_t item = s.d.dtype.item_bytes();
  if (s.d.chunk.empty()) {  // one element
    const Hdf5Lock lock;
    const Hid type(H5Dget_type(s.id), &H5Tclose);
    if (H5Dwrite(s.id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data) < 0)
      fail_hdf5(Errc::io_error, s.d.doing, "the element cannot be written; expected room for it");
    return;
  }
  Region stored = region;
  hsize_t offset[H5S_MAX_RANK] = {};
  for (std::size_t i = 0; i < region.rank(); ++i) {
    offset[i] = static_cast<hsize_t>(region.lo[i]);
    stored.hi[i] = stored.lo[i] + s.d.chunk[i];
    if (region.lo[i] % s.d.chunk[i] != 0 || region.hi[i] != std::min(stored.hi[i], s.d.grid.shape()[i]))
      fail(Errc::internal_error, s.d.doing + ": a write of no whole chunk; expected one of " +
                                     to_string(s.d.chunk) + ", got " + to_string(region));
  }
  if (scratch.size() < scratch_bytes(region))
    fail(Errc::internal_error, s.d.doing + ": too little scratch; expected " +
                                   std::to_string(scratch_bytes(region)) + " bytes, got " +
                                   std::to_string(scratch.size()));
  std::size_t at = 0;
  const auto take = [&](std::size_t bytes) {
    const std::span<std::byte> room = scratch.subspan(at, bytes);
    at += round_up(bytes, 64);
    return room;
  };
  const std::span<std::byte> chunk_room = take(s.pads ? s.chunk_bytes() : 0),
                             encoded = take(s.chain.max_encoded_bytes());
  if (s.d.omits_fill && holds_only(values, s.d.fill)) return;
  BufferView whole = values;
  if (values.shape != s.d.chunk) {
    // HDF5 keeps whole chunks at the edge, too.
    whole = BufferView::c_order(chunk_room.data(), s.d.chunk, item);
    fill_elements(whole, s.d.fill.data());
    copy_elements(values, whole.part(stored, region));
  }
  std::span<const std::byte> bytes{whole.data, s.chunk_bytes()};
  if (!s.d.filters.empty() || !whole.is_c_order())
    bytes = encoded.first(s.chain.encode(whole, encoded, scratch.subspan(at)));
  haddr_t address = HADDR_UNDEF;
  {
    const Hdf5Lock lock;
    address = place_chunk(s.id, offset, bytes, s.d.doing);
  }
  s.d.file->put(address, bytes);
}

MORSEL_INLINE void Hdf5Sink::commit() {
  State& s = *state_;
  s.begin();
  {
    const Hdf5Lock lock;
    if (H5Dclose(std::exchange(s.id, H5I_INVALID_HID)) < 0) {
      s.d.file->spoil(s.d.path);
      fail_hdf5(Errc::io_error, s.d.doing, "the array cannot be closed; expected its index to be written");
    }
  }
  std::string scale_name;
  for (const auto& [name, json] : s.d.attributes)
    if (name == "NAME" && is_hdf5_bookkeeping(s.d.attributes, name))
      scale_name = nlohmann::json::parse(json, nullptr, false).is_string()
                       ? nlohmann::json::parse(json).get<std::string>()
                       : "";
  s.is_finished = true;
  s.d.file->finish_array(s.d.path, s.d.grid.shape(), s.d.dims, scale_name);
}

/// A path of a target taken apart: the file, by the first name with an ending of HDF5's that is no directory,
/// and what goes inside.
struct TargetInHdf5 {
  std::string file, inside;
};

MORSEL_INLINE TargetInHdf5 split_hdf5_target(const std::string& path, const std::string& doing) {
  std::vector<std::string> endings;
  for (const auto& format : formats())
    if (format->name == "hdf5") endings = format->endings;
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string prefix = path.substr(0, end);
    const bool is_named = std::any_of(endings.begin(), endings.end(), [&](const std::string& ending) {
      return prefix.size() >= ending.size() &&
             std::equal(ending.begin(), ending.end(),
                        prefix.end() - static_cast<std::ptrdiff_t>(ending.size()),
                        [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b); });
    });
    struct stat status {};
    const bool is_directory = ::stat(prefix.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
    const bool is_last = end == std::string::npos || path.find_first_not_of('/', end) == std::string::npos;
    if ((is_named && !is_directory) || is_last)
      return {prefix, end == std::string::npos ? "" : tidy_path(path.substr(end), doing)};
  }
}

/// What a file has at a path, for those that write there.
struct Hdf5There {
  bool is_array = false, is_other = false, is_scale_of_others = false;
};

MORSEL_INLINE Hdf5There look_into_hdf5(const std::string& path, const std::string& inside,
                                       const std::string& doing) {
  Hdf5There there;
  const Hdf5Lock lock;
  const std::shared_ptr<Hdf5File> file = Hdf5File::at(path);
  const hid_t handle = file->handle(doing);
  std::string at;
  for (std::size_t begin = 0; begin < inside.size();) {
    const std::size_t end = std::min(inside.find('/', begin), inside.size());
    at = "/" + inside.substr(0, end);
    begin = end + 1;
    if (H5Lexists(handle, at.c_str(), H5P_DEFAULT) <= 0) return there;
    const std::optional<Hdf5Object> object = hdf5_object(handle, at);
    if (begin >= inside.size()) {
      there.is_array = object && object->kind == Hdf5Object::Kind::dataset;
      there.is_other = !there.is_array;
    } else if (!object || object->kind != Hdf5Object::Kind::group) {
      fail(Errc::already_exists,
           doing + ": '" + at + "' is in the way; expected a group or nothing, got " +
               (object && object->kind == Hdf5Object::Kind::dataset ? "an array" : "something else"));
    }
  }
  if (there.is_array) {
    const Hid access = hdf5_dataset_access(*file, false);
    const Hid dataset(H5Dopen2(handle, at.c_str(), access), &H5Dclose);
    there.is_scale_of_others = dataset && H5Aexists(dataset, "REFERENCE_LIST") > 0;
  }
  return there;
}

/// The file of a batch, or one of its own.
MORSEL_INLINE std::shared_ptr<Hdf5NewFile> new_hdf5_file(const std::string& path,
                                                         const std::shared_ptr<WriteBatch>& batch) {
  const auto ends = batch ? batch->ends() : WriteBatch::Ends::with_its_arrays;
  const auto make = [&] { return std::make_shared<Hdf5NewFile>(path, ends); };
  if (!batch) return make();
  const auto file = std::static_pointer_cast<Hdf5NewFile>(batch->file("hdf5:" + canonical_path(path), make));
  if (batch->old() == WriteBatch::Old::goes) file->start_empty();
  return file;
}

/// The array's name where a path names the file alone.
inline constexpr const char* hdf5_default_name = "data";

/// Largest chunk of HDF5 1.x, in bytes and elements per axis.
inline constexpr std::size_t most_hdf5_chunk = std::numeric_limits<std::uint32_t>::max();

MORSEL_INLINE AnyChunkSink create_hdf5(const std::string& path, const NewArray& made) {
  const std::string doing = "save '" + path + "'";
  if (made.region || made.resume || made.shards)
    fail(Errc::unsupported,
         doing +
             ": HDF5 files are written whole, and have no shards; expected neither resume, a region, append "
             "nor shards, got " +
             (made.shards             ? "shards"
              : made.resume           ? "resume"
              : made.append_axis >= 0 ? "append"
                                      : "a region"));
  OptionReader options(made.options, doing);
  const std::optional<std::string> fill = options.take("fill_value");
  const bool omits = options.take("empty_chunks", {"omit", "write"}).value_or("omit") == "omit";
  const bool syncs = options.take("fsync", {"0", "1"}).value_or("0") == "1";
  options.finish();
  const TargetInHdf5 target = split_hdf5_target(path, doing);

  NewDataset d;
  d.doing = doing;
  d.dtype = made.dtype;
  d.dims = made.dims;
  d.attributes = made.attributes;
  d.path = target.inside.empty() ? hdf5_default_name : target.inside;
  d.fill = fill_of_text(fill.value_or(""), made.dtype, doing);
  d.has_fill = fill.has_value();
  d.omits_fill = omits;
  d.file = new_hdf5_file(target.file, made.batch);
  if (d.file->exists()) {
    if (target.inside.empty()) {
      if (!made.overwrite)
        fail(Errc::already_exists,
             doing +
                 ": the file exists; expected overwrite, a new name, or a path inside of "
                 "the file, got neither");
      d.file->start_empty();
    } else if (d.file->keeps_old()) {
      const Hdf5There there = look_into_hdf5(target.file, target.inside, doing);
      if (there.is_other)
        fail(
            Errc::already_exists,
            doing + ": a group or link is there; expected an array or nothing, got '/" + target.inside + "'");
      if (there.is_array && !made.overwrite)
        fail(Errc::already_exists,
             doing + ": the target exists; expected overwrite or another path, got neither");
      if (there.is_scale_of_others)
        fail(Errc::unsupported,
             doing +
                 ": other arrays have the target as a dimension; expected one that can go, "
                 "or all of the file to be written, got a dimension scale");
      d.replaces = there.is_array;
    }
  }
  if (syncs) d.file->sync();

  const Shape shape = made.grid.shape();
  const std::size_t item = made.dtype.item_bytes(), rank = shape.size();
  {
    const Hdf5Lock lock;
    Hdf5TypeMaker(doing).make(made.dtype);  // refused before anything is computed
  }
  for (std::size_t i = 0; made.asked_for_chunks && i < rank; ++i)
    if (!made.grid.axis(i).is_uniform())
      fail(Errc::unsupported, doing + ": chunks of unequal lengths along axis " + std::to_string(i) +
                                  "; expected equal ones, got " + to_string(made.grid));
  const FilterReader of_one(made.dtype, item, doing);
  if (rank == 0 || size_of(shape) == 0) {
    of_one.read(made.codec);  // may be wrong all the same
    d.grid = resolve_chunks(ChunkSpec(std::vector<AxisChunks>(rank, AxisChunks(-1))), shape, item);
    return Hdf5Sink(std::move(d));
  }
  // Chunks of arrays that cannot grow are no longer than the array.
  const auto chunk_of = [&](const Grid& grid) {
    Shape chunk = made.asked_for_chunks && !made.chunk_shape.empty() ? made.chunk_shape : grid.chunk_shape();
    for (std::size_t i = 0; i < rank; ++i) chunk[i] = std::clamp<Index>(chunk[i], 1, shape[i]);
    return chunk;
  };
  const auto chunk_bytes = [&](const Shape& chunk) {
    return static_cast<std::size_t>(checked_mul(size_of(chunk), static_cast<Index>(item), "chunk bytes"));
  };
  d.chunk = chunk_of(made.grid);
  if (!made.asked_for_chunks && chunk_bytes(d.chunk) > most_hdf5_chunk / 2)
    d.chunk = chunk_of(resolve_chunks("auto", shape, item, nullptr));
  d.filters = FilterReader(made.dtype, chunk_bytes(d.chunk), doing).read(made.codec);
  for (const Index length : d.chunk)
    if (static_cast<std::size_t>(length) > most_hdf5_chunk ||
        chunk_bytes(d.chunk) > most_hdf5_chunk - (1 << 20))
      fail(Errc::unsupported, doing + ": chunks too large for HDF5; expected less than 4 GiB, got " +
                                  std::to_string(chunk_bytes(d.chunk)) + " bytes");
  d.grid = Grid::regular(shape, d.chunk);
  return Hdf5Sink(std::move(d));
}

MORSEL_INLINE void create_hdf5_group(const std::string& path, const Attributes& attributes,
                                     const FormatOptions& options, const std::shared_ptr<WriteBatch>& batch) {
  const std::string doing = "make group '" + path + "'";
  OptionReader(options, doing).finish();
  const TargetInHdf5 target = split_hdf5_target(path, doing);
  const std::shared_ptr<Hdf5NewFile> file = new_hdf5_file(target.file, batch);
  file->add_group(target.inside, attributes);
  if (!batch) file->commit();
}

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI
