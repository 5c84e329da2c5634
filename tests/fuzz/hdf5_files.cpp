// HDF5 files as far as Morsel itself reads them. Damaged metadata are libhdf5's, which can crash on them; so
// files here have metadata that libhdf5 wrote, and are wrong where Morsel decodes: bytes of chunks, and
// types, filters, attributes and fill values that no other program would make. They open and compute, or are
// refused with an error, and numbers are those that libhdf5 reads.
#include <fcntl.h>
#include <hdf5.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <morsel/ext/hdf5.hpp>
#include <morsel/io/attributes_json.hpp>
#include <morsel/morsel.hpp>
#include <numeric>
#include <string>

using namespace morsel;

namespace {

/// Bytes of the input one after the other; zeros behind its end.
class Input {
 public:
  Input(const unsigned char* data, std::size_t size) : data_(data), size_(size) {}
  unsigned next() { return at_ < size_ ? data_[at_++] : 0u; }
  unsigned below(unsigned n) { return next() % n; }
  bool flag() { return next() & 1; }
  void fill(void* to, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i)
      static_cast<unsigned char*>(to)[i] = static_cast<unsigned char>(next());
  }
  std::size_t left() const { return size_ - at_; }
  const unsigned char* rest() const { return data_ + at_; }

 private:
  const unsigned char* data_;
  std::size_t size_, at_ = 0;
};

/// An identifier that is closed at the end; functions of libhdf5 refuse those that are none.
class Id {
 public:
  Id(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Id(Id&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Id(const Id&) = delete;
  Id& operator=(const Id&) = delete;
  ~Id() {
    if (id_ >= 0) close_(id_);
  }
  operator hid_t() const { return id_; }  // NOLINT(google-explicit-constructor)

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

const std::string& folder() {
  static const std::string path = [] {
    hdf5::enable();
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    return "/dev/shm/morsel-fuzz-hdf5-" + std::to_string(::getpid()) + "-";
  }();
  return path;
}

/// Opens, computes and compares; true if the array could be read.
bool try_to_read(const std::string& path, std::vector<std::byte>* elements = nullptr,
                 DType* dtype = nullptr) {
  try {
    const AnyLazyArray a = open_any(path);
    for (const auto& [name, json] : a.attrs())
      if (json.empty()) std::abort();
    to_json(a.attrs());
    if (a.size() > 1'000'000) return false;
    std::vector<std::byte> values(std::max<std::size_t>(1, static_cast<std::size_t>(a.nbytes())));
    evaluate({a.edge()},
             {MemoryTarget{BufferView::c_order(values.data(), a.shape(), a.dtype().item_bytes())}},
             {.memory = "64MiB", .threads = 1});
    if (a.dtype().is_numeric() && a.size() > 0)
      compute({.memory = "64MiB", .threads = 1}, sum(a), max(flip(a, {})));
    if (elements) *elements = std::move(values);
    if (dtype) *dtype = a.dtype();
    return true;
  } catch (const Error&) {
    return false;
  }
}

// ---------------------------------------------------------------------------------------------- damaged
// chunks

struct StoredChunk {
  std::string path;
  off_t offset = 0;
  std::size_t bytes = 0;
  std::vector<char> original;
};

/// One file with a chunk for each kind of filter, written once.
const std::vector<StoredChunk>& stored_chunks() {
  static const std::vector<StoredChunk> all = [] {
    const std::string path = folder() + "chunks.h5";
    const Id file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose);
    const hsize_t extents[2] = {30, 20}, chunk[2] = {16, 20};
    std::vector<std::int32_t> values(600);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int32_t>(i * i / 7 % 100);
    std::vector<std::string> names;
    const auto add = [&](const std::string& name, hid_t type, const auto& set) {
      const Id space(H5Screate_simple(2, extents, nullptr), H5Sclose),
          create(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
      H5Pset_chunk(create, 2, chunk);
      set(create);
      const Id data(H5Dcreate2(file, name.c_str(), type, space, H5P_DEFAULT, create, H5P_DEFAULT), H5Dclose);
      if (data >= 0 && H5Dwrite(data, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0)
        names.push_back(name);
    };
    const Id bits(H5Tcopy(H5T_STD_I32LE), H5Tclose);
    H5Tset_precision(bits, 11);
    add("plain", H5T_STD_I32BE, [](hid_t) {});
    add("deflate", H5T_STD_I32LE, [](hid_t p) { H5Pset_shuffle(p), H5Pset_deflate(p, 6); });
    add("fletcher32", H5T_STD_I16LE, [](hid_t p) { H5Pset_shuffle(p), H5Pset_fletcher32(p); });
    add("szip", H5T_STD_I32LE, [](hid_t p) { H5Pset_szip(p, H5_SZIP_NN_OPTION_MASK, 8); });
    add("nbit", bits, [](hid_t p) { H5Pset_nbit(p); });
    add("scaleoffset", H5T_STD_I32LE, [](hid_t p) { H5Pset_scaleoffset(p, H5Z_SO_INT, 0); });
    add("floats", H5T_IEEE_F32LE, [](hid_t p) { H5Pset_scaleoffset(p, H5Z_SO_FLOAT_DSCALE, 2); });
    // Those that libhdf5 itself does not have are Morsel's.
    for (const H5Z_filter_t id : {307, 32000, 32001, 32004, 32008, 32015})
      add("filter" + std::to_string(id), H5T_STD_I32LE, [&](hid_t p) {
        const unsigned values_of[] = {id == 307     ? 9u
                                      : id == 32015 ? 3u
                                      : id == 32004 ? 0u
                                                    : 2u,
                                      id == 32001 ? 2u : 5u,
                                      4,
                                      id == 32001 ? 1280u : 0u,
                                      id == 32001 ? 5u : 2u,
                                      1,
                                      1};
        H5Pset_filter(p, id, H5Z_FLAG_MANDATORY,
                      id == 307 || id == 32015 || id == 32004 ? 1
                      : id == 32008                           ? 5
                      : id == 32000                           ? 0
                                                              : 7,
                      values_of);
      });
    std::vector<StoredChunk> found;
    H5Fflush(file, H5F_SCOPE_GLOBAL);
    for (const std::string& name : names) {
      const Id data(H5Dopen2(file, name.c_str(), H5P_DEFAULT), H5Dclose), space(H5Dget_space(data), H5Sclose);
      StoredChunk one;
      const hsize_t at[2] = {0, 0};
      unsigned mask = 0;
      haddr_t address = HADDR_UNDEF;
      hsize_t bytes = 0;
      if (H5Dget_chunk_info_by_coord(data, at, &mask, &address, &bytes) < 0 || address == HADDR_UNDEF)
        std::abort();
      one.path = name;
      one.offset = static_cast<off_t>(address);
      one.bytes = static_cast<std::size_t>(bytes);
      found.push_back(one);
    }
    if (found.size() < 7) std::abort();
    return found;
  }();
  return all;
}

void damage_a_chunk(Input& in) {
  static std::vector<StoredChunk> chunks = [] {
    std::vector<StoredChunk> all = stored_chunks();
    const int fd = ::open((folder() + "chunks.h5").c_str(), O_RDONLY);
    for (StoredChunk& one : all) {
      one.original.resize(one.bytes);
      if (::pread(fd, one.original.data(), one.bytes, one.offset) != static_cast<ssize_t>(one.bytes))
        std::abort();
    }
    ::close(fd);
    for (const StoredChunk& one : all)
      if (!try_to_read(folder() + "chunks.h5/" + one.path)) std::abort();  // as it was written
    return all;
  }();
  StoredChunk& one = chunks[in.below(static_cast<unsigned>(chunks.size()))];
  std::vector<char> bytes = one.original;
  // All new from the start on, or from some byte on.
  const std::size_t from = in.flag() ? 0 : in.next() % bytes.size();
  std::memcpy(bytes.data() + from, in.rest(), std::min(in.left(), bytes.size() - from));
  const std::string path = folder() + "chunks.h5";
  const int fd = ::open(path.c_str(), O_RDWR);
  if (::pwrite(fd, bytes.data(), bytes.size(), one.offset) < 0) std::abort();
  try_to_read(path + "/" + one.path);
  if (::pwrite(fd, one.original.data(), one.bytes, one.offset) < 0) std::abort();
  ::close(fd);
}

// ------------------------------------------------------------------------------------- types, layouts,
// attributes

Id random_type(Input& in, int depth) {
  const auto copy = [](hid_t type) { return Id(H5Tcopy(type), H5Tclose); };
  switch (in.below(depth > 2 ? 6 : 9)) {
    case 0: {
      const hid_t all[] = {H5T_STD_I8LE,  H5T_STD_U8BE,  H5T_STD_I16BE, H5T_STD_U16LE, H5T_STD_I32LE,
                           H5T_STD_U32BE, H5T_STD_I64BE, H5T_STD_U64LE, H5T_STD_B16LE, H5T_STD_B32BE};
      Id type = copy(all[in.below(10)]);
      if (in.flag()) {
        H5Tset_precision(type, 1 + in.next() % (8 * H5Tget_size(type)));
        H5Tset_offset(type, in.next() % (8 * H5Tget_size(type)));
      }
      if (in.below(8) == 0) H5Tset_size(type, 1 + in.below(9));
      return type;
    }
    case 1: {
      const hid_t all[] = {H5T_IEEE_F32LE, H5T_IEEE_F32BE, H5T_IEEE_F64LE, H5T_IEEE_F64BE,
                           H5T_NATIVE_LDOUBLE};
      Id type = copy(all[in.below(5)]);
      if (in.below(3) == 0) {  // bfloat16, float16, floats of 24 bits
        const unsigned mantissa = 2 + in.below(20), exponent = 3 + in.below(8);
        const std::size_t bytes = (mantissa + exponent + 1 + 7) / 8;
        if (H5Tset_fields(type, mantissa + exponent, mantissa, exponent, 0, mantissa) >= 0) {
          H5Tset_ebias(type, (std::size_t{1} << (exponent - 1)) - 1);
          H5Tset_precision(type, mantissa + exponent + 1);
          H5Tset_size(type, std::max<std::size_t>(bytes, 2));
        }
      }
      return type;
    }
    case 2: {
      Id type = copy(H5T_C_S1);
      H5Tset_size(type, in.below(6) == 0 ? H5T_VARIABLE : 1 + in.below(9));
      H5Tset_strpad(type, static_cast<H5T_str_t>(in.below(3)));
      H5Tset_cset(type, in.flag() ? H5T_CSET_UTF8 : H5T_CSET_ASCII);
      return type;
    }
    case 3: {
      Id type(H5Tcreate(H5T_OPAQUE, 1 + in.below(17)), H5Tclose);
      const char* const tags[] = {
          "",          "NUMPY:<M8[ns]", "NUMPY:|V5", "NUMPY:>f8", "NUMPY:[('a', '<i4')]",
          "NUMPY:<U4", "NUMPY:",        "other"};
      H5Tset_tag(type, tags[in.below(8)]);
      return type;
    }
    case 4: {
      Id type(H5Tenum_create(in.flag() ? H5T_NATIVE_INT8 : H5T_STD_I16BE), H5Tclose);
      const char* const names[] = {"FALSE", "TRUE", "red", "blue"};
      for (unsigned i = 0, n = in.below(4); i <= n; ++i) {
        const std::int16_t value = static_cast<std::int16_t>(in.flag() ? i : in.next() * 257);
        H5Tenum_insert(type, names[in.below(4)], &value);
      }
      return type;
    }
    case 5:
      return copy(in.flag() ? H5T_STD_REF_OBJ : H5T_UNIX_D32LE);
    case 6: {
      const Id base = random_type(in, depth + 1);
      const hsize_t dims[3] = {1 + in.below(3), 1 + in.below(3), 1 + in.below(2)};
      return Id(H5Tarray_create2(base, 1 + in.below(3), dims), H5Tclose);
    }
    case 7: {
      const Id base = random_type(in, depth + 1);
      return Id(in.below(4) == 0 ? H5Tvlen_create(base) : H5Tcopy(base), H5Tclose);
    }
    default: {
      Id type(H5Tcreate(H5T_COMPOUND, 1 + in.below(64)), H5Tclose);
      const char* const names[] = {"r", "i", "a", "b", "", "long name with / and .", "r"};
      for (unsigned i = 0, n = in.below(4); i <= n; ++i) {
        const Id member = random_type(in, depth + 1);
        H5Tinsert(type, names[in.below(7)], in.below(48), member);
      }
      // libhdf5 1.10 crashes where it packs records without members.
      if (H5Tget_nmembers(type) <= 0) H5Tinsert(type, "only", 0, H5T_STD_U8LE);
      if (in.flag()) H5Tpack(type);
      return type;
    }
  }
}

bool has_pointers(hid_t type) {
  return H5Tdetect_class(type, H5T_VLEN) > 0 || H5Tis_variable_str(type) > 0 ||
         H5Tdetect_class(type, H5T_REFERENCE) > 0 || H5Tdetect_class(type, H5T_STRING) > 0;
}

/// Plain numbers are what libhdf5 reads.
void compare(hid_t file, const std::vector<std::byte>& got, const DType& dtype) {
  const Id data(H5Dopen2(file, "v", H5P_DEFAULT), H5Dclose), type(H5Dget_type(data), H5Tclose);
  const H5T_class_t kind = H5Tget_class(type);
  if (kind != H5T_INTEGER && kind != H5T_FLOAT) return;
  if (!dtype.is_numeric() || is_complex(dtype.type()) || is_bool(dtype.type())) return;
  visit_type(dtype.type(), [&]<class T>() {
    const std::size_t count = got.size() / sizeof(T);
    for (const bool as_double : {true, false}) {
      if (as_double != (kind == H5T_FLOAT)) continue;
      std::vector<std::int64_t> integers(count);
      std::vector<double> doubles(count);
      const hid_t memory = as_double               ? H5T_NATIVE_DOUBLE
                           : std::is_unsigned_v<T> ? H5T_NATIVE_UINT64
                                                   : H5T_NATIVE_INT64;
      void* const room = as_double ? static_cast<void*>(doubles.data()) : integers.data();
      if (H5Dread(data, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, room) < 0) return;
      for (std::size_t i = 0; i < count; ++i) {
        T value;
        std::memcpy(&value, got.data() + i * sizeof(T), sizeof(T));
        if constexpr (is_integer(type_of<T>)) {
          if (static_cast<std::int64_t>(value) != integers[i]) std::abort();
        } else if constexpr (is_floating(type_of<T>)) {
          const double mine = static_cast<double>(value);
          if (mine != doubles[i] && !(std::isnan(mine) && std::isnan(doubles[i]))) std::abort();
        }
      }
    }
  });
}

void write_a_file(Input& in) {
  const std::string path = folder() + "types.h5";
  ::unlink(path.c_str());
  {
    const Id access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    if (in.flag()) H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    const Id file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access), H5Fclose);
    const Id type = random_type(in, 0);
    const std::size_t item = type >= 0 ? H5Tget_size(type) : 0;
    if (item == 0 || item > 4096) return;
    const int rank = static_cast<int>(in.below(3));
    const hsize_t extents[2] = {in.below(6), 1 + in.below(4)}, chunk[2] = {1 + in.below(4), 1 + in.below(4)};
    const Id space(rank == 0 ? H5Screate(in.below(8) == 0 ? H5S_NULL : H5S_SCALAR)
                             : H5Screate_simple(rank, extents, nullptr),
                   H5Sclose);
    const Id create(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    const unsigned layout = in.below(4);
    if (layout == 1) H5Pset_layout(create, H5D_COMPACT);
    if (layout >= 2 && rank > 0) {
      const hsize_t fits[2] = {std::min(chunk[0], std::max<hsize_t>(extents[0], 1)),
                               std::min(chunk[1], extents[1])};
      H5Pset_chunk(create, rank, fits);
      const unsigned filters = in.next();
      if (filters & 1) H5Pset_shuffle(create);
      if (filters & 2) H5Pset_deflate(create, 1);
      if (filters & 4) H5Pset_nbit(create);
      if (filters & 8) H5Pset_fletcher32(create);
      if (filters & 16) H5Pset_scaleoffset(create, H5Z_SO_INT, static_cast<int>(in.below(20)));
      if (filters & 32) H5Pset_chunk_opts(create, H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS);
    }
    std::vector<std::byte> bytes(std::max<std::size_t>(item * 32, 1024));
    // Bytes of pointers and addresses are not invented.
    const bool is_plain = !has_pointers(type);
    if (is_plain) {
      in.fill(bytes.data(), item);
      if (in.flag()) H5Pset_fill_value(create, type, bytes.data());
    }
    const Id data(H5Dcreate2(file, "v", type, space, H5P_DEFAULT, create, H5P_DEFAULT), H5Dclose);
    const bool is_text = H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) <= 0;
    if (is_plain || is_text) {
      in.fill(bytes.data(), bytes.size());
      if (in.flag()) H5Dwrite(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data());
      const Id attribute(H5Acreate2(data, "a", type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
      H5Awrite(attribute, type, bytes.data());
    } else {
      const Id attribute(H5Acreate2(data, "a", type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    }
    // Text where libraries of dimension scales look for theirs.
    const char* const names[] = {
        "CLASS",         "NAME",          "DIMENSION_LIST", "DIMENSION_LABELS", "_Netcdf4Coordinates",
        "_Netcdf4Dimid", "REFERENCE_LIST"};
    const Id odd(H5Acreate2(data, names[in.below(7)], in.flag() ? H5T_STD_I32LE : H5T_C_S1, space,
                            H5P_DEFAULT, H5P_DEFAULT),
                 H5Aclose);
    H5Awrite(odd, H5T_NATIVE_INT32, bytes.data());
  }
  std::vector<std::byte> elements;
  DType dtype;
  const bool could = try_to_read(path + "/v", &elements, &dtype);
  try_to_read(path + "/v/r");
  try {
    hdf5::Strings::open(path + "/v");
    list_path(path);
  } catch (const Error&) {
  }
  if (!could) return;
  const Id file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  compare(file, elements, dtype);
}

}  // namespace

/// libhdf5 keeps its free lists to the end.
extern "C" const char* __lsan_default_suppressions() { return "leak:libhdf5\n"; }

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  folder();
  Input in(data, size);
  if (in.flag())
    damage_a_chunk(in);
  else
    write_a_file(in);
  return 0;
}
