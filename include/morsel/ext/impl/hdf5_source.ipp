#pragma once

#include <atomic>
#include <map>
#include <morsel/ext/impl/hdf5_attributes.ipp>
#include <morsel/io/chunk_source.hpp>
#include <morsel/io/codec_chain.hpp>
#include <morsel/io/raw_source.hpp>
#include <set>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// What opening a dataset found out.
struct Hdf5Dataset {
  enum class Kind : std::uint8_t {
    absent,    ///< nothing is stored: all elements are the fill value
    memory,    ///< the elements stood among the metadata
    chunks,    ///< stored as they are
    filtered,  ///< decoded by our codecs
    library    ///< read by libhdf5, under the lock
  };
  Kind kind = Kind::absent;
  std::shared_ptr<Hdf5File> file;
  std::string path;    ///< in the file
  std::string member;  ///< the one of its records that is read, by the library; "": all
  std::string place;   ///< for messages
  Hdf5Type type;
  std::size_t rank = 0;               ///< of the dataset; axes of its elements are behind
  Shape chunk;                        ///< as stored, those axes included
  std::vector<CodecInfo> codecs;      ///< of filtered chunks
  bool keeps_partial_chunks = false;  ///< chunks that reach over an edge are stored without filters
  std::vector<std::byte> elements;    ///< in memory, native
  ArraySpec spec;
  std::vector<std::string> files;  ///< whose state matters
  std::vector<File> others;        ///< files beside `file` that hold elements
};

/// The chunks of a dataset.
///
/// Chunks are looked up under the library's lock, which is held for the time of the look-up, read by position
/// and decoded without it. What only the library can decode is read by the library.
class Hdf5Source {
 public:
  explicit Hdf5Source(Hdf5Dataset dataset) : state_(std::make_shared<State>(std::move(dataset))) {}

  const ArraySpec& spec() const { return state_->d.spec; }
  FetchCost cost(const Dims& chunk, const Region& region) const;
  Fetched fetch(const Dims& chunk, const Region& region, std::span<std::byte> room, FetchMode mode,
                std::stop_token stop) const;
  void decode(const Dims& chunk, const Region& region, std::span<const std::byte> encoded, BufferView out,
              std::span<std::byte> scratch) const;
  BufferView lend(const Region& region) const {
    return state_->whole().part(Region::of(state_->d.spec.shape()), region);
  }
  Index requests(const Dims& chunk, const Region& region) const;
  std::string identity() const {
    const Hdf5Dataset& d = state_->d;
    return "hdf5:" + d.file->file().path() + "/" + d.path + (d.member.empty() ? "" : "?member=" + d.member);
  }
  std::string version() const {
    std::string text = state_->d.file->file().version();
    for (const File& other : state_->d.others) text += "; " + other.version();
    return text;
  }
  std::vector<std::string> files() const { return state_->d.files; }

 private:
  /// In front of the bytes of a chunk with filters.
  struct Header {
    std::uint64_t bytes = 0;
    std::uint32_t mask = 0;
  };
  static constexpr std::size_t header_bytes = 64;

  struct State {
    explicit State(Hdf5Dataset dataset);
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State();

    Hdf5Dataset d;
    RawLayout layout;  // of a chunk that is stored as it is, at 0
    CodecChain chain;
    std::size_t item_bytes = 0;
    mutable std::mutex mutex;
    mutable std::map<std::uint32_t, std::unique_ptr<const CodecChain>> chains;  // of other masks
    mutable hid_t id = H5I_INVALID_HID;                                         // under the library's lock
    mutable std::uint64_t generation = 0;

    hid_t dataset(const std::string& doing) const;
    std::string doing(const Dims& chunk) const {
      return "reading '" + d.place + "', chunk " + to_string(chunk);
    }
    BufferView whole() const {
      return BufferView::c_order(const_cast<std::byte*>(d.elements.data()), d.spec.shape(), item_bytes);
    }
    Dims origin(const Dims& chunk) const {
      Dims at(chunk.size());
      for (std::size_t i = 0; i < at.size(); ++i) at[i] = chunk[i] * d.chunk[i];
      return at;
    }
    static Region relative(const Region& region, const Dims& from) {
      Region r = region;
      for (std::size_t i = 0; i < from.size(); ++i) r.lo[i] -= from[i], r.hi[i] -= from[i];
      return r;
    }
    /// With all axes of the elements.
    Region widened(const Region& region) const {
      Region r = region;
      for (std::size_t i = d.rank; i < r.rank(); ++i) {
        r.lo[i] = 0;
        r.hi[i] = d.type.inner[i - d.rank];
      }
      return r;
    }
    bool is_partial(const Dims& chunk) const {
      for (std::size_t i = 0; i < d.rank; ++i)
        if ((chunk[i] + 1) * d.chunk[i] > d.spec.grid.axis(i).extent()) return true;
      return false;
    }
    std::optional<Hdf5Chunk> locate(const Dims& chunk) const;
    const CodecChain& chain_of(std::uint32_t mask) const;
    void read_by_library(const Region& region, std::span<std::byte> room, const std::string& doing) const;
  };
  std::shared_ptr<const State> state_;
};
static_assert(LendsRegions<Hdf5Source> && PredictsRequests<Hdf5Source> && NamesFiles<Hdf5Source>);

/// The type of elements in memory, as the library is asked for it. `type`: of the dataset.
MORSEL_INLINE Hid hdf5_memory_type(const Hdf5Dataset& d, hid_t type, const std::string& doing) {
  Hdf5TypeReader reader(doing);
  if (d.member.empty()) return d.type.by_library ? reader.memory_type(type) : Hid(H5Tcopy(type), &H5Tclose);
  const int index = H5Tget_member_index(type, d.member.c_str());
  const Hid member(index < 0 ? H5I_INVALID_HID : H5Tget_member_type(type, static_cast<unsigned>(index)),
                   &H5Tclose);
  if (!member) fail_hdf5(Errc::corrupt_data, doing, "a bad compound type; expected its members");
  const Hid inside = reader.memory_type(member);
  Hid made(H5Tcreate(H5T_COMPOUND, H5Tget_size(inside)), &H5Tclose);
  H5Tinsert(made, d.member.c_str(), 0, inside);
  return made;
}

/// Properties for opening a dataset: no chunks are kept, as they are not read through the library; names of
/// other files are relative to the file.
MORSEL_INLINE Hid hdf5_dataset_access(const Hdf5File& file, bool keeps_chunks) {
  Hid properties(H5Pcreate(H5P_DATASET_ACCESS), &H5Pclose);
  if (!keeps_chunks) H5Pset_chunk_cache(properties, 0, 0, H5D_CHUNK_CACHE_W0_DEFAULT);
  const std::string& path = file.file().path();
  const std::string folder = path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
  H5Pset_efile_prefix(properties, folder.c_str());
  return properties;
}

MORSEL_INLINE Hdf5Source::State::State(Hdf5Dataset dataset) : d(std::move(dataset)) {
  item_bytes = d.spec.dtype.item_bytes();
  layout = RawLayout::contiguous(d.spec.dtype, d.chunk, 0, d.type.mends);
  if (d.kind == Hdf5Dataset::Kind::filtered)
    chain = CodecChain(d.codecs, d.spec.dtype, d.chunk, "open '" + d.place + "'", d.spec.fill, d.type.mends);
}

MORSEL_INLINE Hdf5Source::State::~State() {
  const Hdf5Lock lock;
  if (id >= 0 && d.file->is_open() && generation == d.file->generation()) H5Dclose(id);
}

MORSEL_INLINE hid_t Hdf5Source::State::dataset(const std::string& doing) const {
  const hid_t file = d.file->handle(doing);
  if (id >= 0 && generation == d.file->generation()) return id;
  const Hid access = hdf5_dataset_access(*d.file, d.kind == Hdf5Dataset::Kind::library);
  id = H5Dopen2(file, ("/" + d.path).c_str(), access);
  if (id < 0) {
    id = H5I_INVALID_HID;
    fail_hdf5(Errc::corrupt_data, doing, "the dataset cannot be opened; expected it where it was");
  }
  generation = d.file->generation();
  return id;
}

MORSEL_INLINE std::optional<Hdf5Chunk> Hdf5Source::State::locate(const Dims& chunk) const {
  hsize_t offset[H5S_MAX_RANK] = {};
  for (std::size_t i = 0; i < d.rank; ++i) offset[i] = static_cast<hsize_t>(chunk[i] * d.chunk[i]);
  const std::string what = doing(chunk);
  d.file->file().require_unchanged();
  const Hdf5Lock lock;
  return locate_chunk(dataset(what), offset, what);
}

MORSEL_INLINE const CodecChain& Hdf5Source::State::chain_of(std::uint32_t mask) const {
  if (mask == 0) return chain;
  std::vector<CodecInfo> kept{d.codecs[0]};
  for (std::size_t i = 1; i < d.codecs.size(); ++i)
    if (i > 32 || !(mask >> (i - 1) & 1)) kept.push_back(d.codecs[i]);
  const std::uint32_t known = d.codecs.size() > 32 ? mask : mask & ((1u << (d.codecs.size() - 1)) - 1);
  if (known == 0) return chain;
  const std::lock_guard lock(mutex);
  std::unique_ptr<const CodecChain>& found = chains[known];
  if (!found)
    found = std::make_unique<const CodecChain>(kept, d.spec.dtype, d.chunk, "open '" + d.place + "'",
                                               d.spec.fill, d.type.mends);
  return *found;
}

MORSEL_INLINE void Hdf5Source::State::read_by_library(const Region& region, std::span<std::byte> room,
                                                      const std::string& doing) const {
  const Hdf5Lock lock;
  const hid_t from = dataset(doing);
  const Hid type(H5Dget_type(from), &H5Tclose), space(H5Dget_space(from), &H5Sclose);
  const Hid memory_type = hdf5_memory_type(d, type, doing);
  hsize_t start[H5S_MAX_RANK] = {}, count[H5S_MAX_RANK] = {};
  std::size_t bytes = item_bytes;
  for (std::size_t i = 0; i < region.rank(); ++i)
    bytes *= static_cast<std::size_t>(region.hi[i] - region.lo[i]);
  for (std::size_t i = 0; i < d.rank; ++i) {
    start[i] = static_cast<hsize_t>(region.lo[i]);
    count[i] = static_cast<hsize_t>(region.hi[i] - region.lo[i]);
  }
  if (bytes > room.size())
    fail(Errc::internal_error, doing + ": too little room; expected " + std::to_string(bytes) +
                                   " bytes, got " + std::to_string(room.size()));
  const Hid memory_space(
      d.rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(d.rank), count, nullptr),
      &H5Sclose);
  bool good = type && space && memory_type && memory_space;
  if (good && d.rank > 0)
    good = H5Sselect_hyperslab(space, H5S_SELECT_SET, start, nullptr, count, nullptr) >= 0;
  if (good) good = H5Dread(from, memory_type, memory_space, space, H5P_DEFAULT, room.data()) >= 0;
  if (!good) fail_hdf5(Errc::corrupt_data, doing, "libhdf5 cannot read it; expected its elements");
}

MORSEL_INLINE FetchCost Hdf5Source::cost(const Dims& chunk, const Region& region) const {
  const State& s = *state_;
  FetchCost cost;
  const std::size_t region_bytes = static_cast<std::size_t>(region.size()) * s.item_bytes;
  switch (s.d.kind) {
    case Hdf5Dataset::Kind::absent:
    case Hdf5Dataset::Kind::memory:
      cost.partial = true;
      break;
    case Hdf5Dataset::Kind::chunks:
      cost.encoded_bytes = region_bytes;
      cost.partial = cost.in_place = true;
      break;
    case Hdf5Dataset::Kind::filtered: {
      const bool whole = State::relative(region, s.origin(chunk)) == Region::of(s.d.chunk);
      cost.encoded_bytes = header_bytes + s.chain.max_encoded_bytes();
      cost.scratch_bytes = s.chain.decode_scratch_bytes() + (whole ? 0 : s.chain.strided_scratch_bytes());
      cost.strided_scratch_bytes = whole ? s.chain.strided_scratch_bytes() : 0;
      break;
    }
    case Hdf5Dataset::Kind::library: {
      const Region wide = s.widened(region);
      cost.encoded_bytes = static_cast<std::size_t>(wide.size()) * s.item_bytes;
      cost.in_place = wide == region;
      cost.partial = true;
      break;
    }
  }
  return cost;
}

MORSEL_INLINE Fetched Hdf5Source::fetch(const Dims& chunk, const Region& region, std::span<std::byte> room,
                                        FetchMode mode, std::stop_token stop) const {
  const State& s = *state_;
  Fetched fetched;
  switch (s.d.kind) {
    case Hdf5Dataset::Kind::absent:
      fetched.requests = 0;
      fetched.state = Fetched::State::missing;
      return fetched;
    case Hdf5Dataset::Kind::memory:
      fetched.requests = 0;
      return fetched;
    case Hdf5Dataset::Kind::library: {
      if (stop.stop_requested()) fail(Errc::cancelled, s.doing(chunk) + ": stopped on request");
      s.d.file->file().require_unchanged();
      const Region wide = s.widened(region);
      s.read_by_library(wide, room, s.doing(chunk));
      fetched.encoded_bytes = static_cast<std::size_t>(wide.size()) * s.item_bytes;
      return fetched;
    }
    default:
      break;
  }
  const std::optional<Hdf5Chunk> found = s.locate(chunk);
  if (!found) {
    fetched.requests = 0;
    fetched.state = Fetched::State::missing;
    return fetched;
  }
  const std::size_t whole_bytes = static_cast<std::size_t>(size_of(s.d.chunk)) * s.item_bytes;
  try {
    if (s.d.kind == Hdf5Dataset::Kind::chunks) {
      if (found->bytes != whole_bytes)
        fail(Errc::corrupt_data, "its stored bytes are not those of its elements; expected " +
                                     std::to_string(whole_bytes) + ", got " + std::to_string(found->bytes));
      const RawLayout layout = RawLayout::contiguous(s.d.spec.dtype, s.d.chunk, found->offset_bytes, {});
      return fetch_raw(found->file, layout, State::relative(region, s.origin(chunk)), room, mode, stop);
    }
    const std::size_t most = s.chain.max_encoded_bytes();
    if (found->bytes > most || header_bytes + found->bytes > room.size())
      fail(Errc::corrupt_data, "its stored bytes are more than its filters make; expected at most " +
                                   std::to_string(most) + ", got " + std::to_string(found->bytes));
    Header header{found->bytes, found->mask};
    if (s.d.keeps_partial_chunks && s.is_partial(chunk)) header.mask = ~std::uint32_t{0};
    std::memcpy(room.data(), &header, sizeof header);
    if (!found->file.read(found->offset_bytes, room.subspan(header_bytes, found->bytes), mode, stop)) {
      fetched.state = Fetched::State::would_block;
      return fetched;
    }
    fetched.encoded_bytes = header_bytes + found->bytes;
    return fetched;
  } catch (const Error& error) {
    if (error.code() == Errc::cancelled || error.code() == Errc::source_changed) throw;
    throw error.during(s.doing(chunk));
  }
}

MORSEL_INLINE void Hdf5Source::decode(const Dims& chunk, const Region& region,
                                      std::span<const std::byte> encoded, BufferView out,
                                      std::span<std::byte> scratch) const {
  const State& s = *state_;
  try {
    switch (s.d.kind) {
      case Hdf5Dataset::Kind::absent:
        return;
      case Hdf5Dataset::Kind::memory:
        return copy_elements(lend(region), out);
      case Hdf5Dataset::Kind::chunks:
        return decode_raw(s.layout, s.d.place, region, encoded, out);
      case Hdf5Dataset::Kind::library: {
        const Region wide = s.widened(region);
        if (encoded.size() != static_cast<std::size_t>(wide.size()) * s.item_bytes)
          fail(Errc::corrupt_data, "wrong number of bytes; expected those of " + to_string(wide) + ", got " +
                                       std::to_string(encoded.size()));
        if (out.data != encoded.data()) {
          std::byte* from = const_cast<std::byte*>(encoded.data());  // only read
          copy_elements(BufferView::c_order(from, wide.shape(), s.item_bytes).part(wide, region), out);
        }
        return mend_elements(s.d.type.mends, out);
      }
      case Hdf5Dataset::Kind::filtered: {
        Header header;
        if (encoded.size() < header_bytes)
          fail(Errc::corrupt_data, "no bytes; expected at least " + std::to_string(header_bytes) + ", got " +
                                       std::to_string(encoded.size()));
        std::memcpy(&header, encoded.data(), sizeof header);
        const std::span<const std::byte> stored = encoded.subspan(header_bytes);
        if (header.bytes > stored.size())
          fail(Errc::corrupt_data, "its bytes end too early; expected " + std::to_string(header.bytes) +
                                       ", got " + std::to_string(stored.size()));
        return s.chain_of(header.mask)
            .decode(stored.first(static_cast<std::size_t>(header.bytes)),
                    State::relative(region, s.origin(chunk)), out, scratch);
      }
    }
  } catch (const Error& error) {
    throw error.during(s.doing(chunk));
  }
}

MORSEL_INLINE Index Hdf5Source::requests(const Dims& chunk, const Region& region) const {
  const State& s = *state_;
  if (s.d.kind == Hdf5Dataset::Kind::absent || s.d.kind == Hdf5Dataset::Kind::memory) return 0;
  if (s.d.kind == Hdf5Dataset::Kind::chunks)
    return requests_raw(s.layout, State::relative(region, s.origin(chunk)));
  return 1;
}

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI
