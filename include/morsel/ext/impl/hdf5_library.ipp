#pragma once

#include <hdf5.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <list>
#include <map>
#include <memory>
#include <morsel/base/error.hpp>
#include <morsel/io/file.hpp>
#include <mutex>
#include <string>

namespace morsel::inline MORSEL_ABI {

namespace detail {

// How libhdf5 is used: for metadata, and for what Morsel does not decode itself. Every call is made under one
// lock (Hdf5Lock). Files are opened through a driver of our own, which reads with File: descriptors are
// shared and capped, a changed file is noticed, nothing is locked, and the place of a chunk can be asked for
// without reading it (Hdf5Capture): the library looks it up in the index, whichever kind that is, and the
// driver notes what it would read.

/// Metadata that libhdf5 may keep of one file.
inline constexpr std::size_t hdf5_metadata_bytes = std::size_t{512} << 10;

/// What the driver and its callers share; touched under the lock alone.
struct Hdf5Shared {
  std::recursive_mutex mutex;
  hid_t driver = H5I_INVALID_HID, file_access = H5I_INVALID_HID;
  bool is_known = false;  // whether the library was called at all
  int depth = 0;          // of locks
  std::atomic<pthread_t> owner{};
  std::atomic<bool> is_busy{false};
  char doing[1024] = {};     // of the thread that owns the lock
  std::exception_ptr error;  // of the last read that failed; libhdf5 knows no exceptions
  bool captures = false;
  int captured = 0;  // reads that were noted
  const File* file = nullptr;
  haddr_t address = HADDR_UNDEF;
  std::size_t bytes = 0;
};
/// Never destroyed, so that arrays with static storage may outlive everything else.
MORSEL_INLINE Hdf5Shared& hdf5_shared() {
  static auto* const shared = new Hdf5Shared;
  return *shared;
}

/// One open file as libhdf5 sees it.
struct Hdf5DriverFile {
  H5FD_t base{};  // first: libhdf5 knows this alone
  File file;
  haddr_t end_of_addresses = 0;
};

namespace hdf5_driver {

MORSEL_INLINE Hdf5DriverFile& self(H5FD_t* file) { return *reinterpret_cast<Hdf5DriverFile*>(file); }
MORSEL_INLINE const Hdf5DriverFile& self(const H5FD_t* file) {
  return *reinterpret_cast<const Hdf5DriverFile*>(file);
}

MORSEL_INLINE H5FD_t* open(const char* name, unsigned flags, hid_t, haddr_t) {
  if (flags & (H5F_ACC_RDWR | H5F_ACC_TRUNC | H5F_ACC_CREAT)) return nullptr;
  try {
    auto made = std::make_unique<Hdf5DriverFile>();
    made->file = File(name);
    return &made.release()->base;
  } catch (...) {
    hdf5_shared().error = std::current_exception();
    return nullptr;
  }
}
MORSEL_INLINE herr_t close(H5FD_t* file) {
  delete &self(file);
  return 0;
}
/// Equal for one file in one state.
MORSEL_INLINE int compare(const H5FD_t* a, const H5FD_t* b) {
  const FileState &x = self(a).file.state(), &y = self(b).file.state();
  const auto order = [](auto p, auto q) { return p < q ? -1 : p > q ? 1 : 0; };
  if (const int c = order(x.device, y.device)) return c;
  if (const int c = order(x.inode, y.inode)) return c;
  if (const int c = order(x.mtime_ns, y.mtime_ns)) return c;
  return order(x.size_bytes, y.size_bytes);
}
MORSEL_INLINE herr_t query(const H5FD_t*, unsigned long* flags) {
  *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
           H5FD_FEAT_AGGREGATE_SMALLDATA;
  return 0;
}
MORSEL_INLINE haddr_t end_of_addresses(const H5FD_t* file, H5FD_mem_t) { return self(file).end_of_addresses; }
MORSEL_INLINE herr_t set_end_of_addresses(H5FD_t* file, H5FD_mem_t, haddr_t end) {
  self(file).end_of_addresses = end;
  return 0;
}
MORSEL_INLINE haddr_t end_of_file(const H5FD_t* file, H5FD_mem_t) {
  return static_cast<haddr_t>(self(file).file.size_bytes());
}
MORSEL_INLINE herr_t handle(H5FD_t* file, hid_t, void** handle) {
  *handle = &self(file).file;
  return 0;
}
MORSEL_INLINE herr_t read(H5FD_t* file, H5FD_mem_t type, hid_t, haddr_t address, std::size_t bytes,
                          void* buffer) {
  Hdf5Shared& shared = hdf5_shared();
  const File& from = self(file).file;
  if (shared.captures && type == H5FD_MEM_DRAW) {
    ++shared.captured;
    shared.file = &from;
    shared.address = address;
    shared.bytes = bytes;
    return 0;
  }
  // Beyond the end of the file are zeros, as the library's own driver has it.
  const auto end = static_cast<haddr_t>(from.size_bytes());
  const std::size_t there =
      address >= end ? 0 : static_cast<std::size_t>(std::min<haddr_t>(bytes, end - address));
  auto* to = static_cast<std::byte*>(buffer);
  std::memset(to + there, 0, bytes - there);
  try {
    from.read(static_cast<Index>(address), {to, there});
    return 0;
  } catch (...) {
    shared.error = std::current_exception();
    return -1;
  }
}
MORSEL_INLINE herr_t write(H5FD_t*, H5FD_mem_t, hid_t, haddr_t, std::size_t, const void*) { return -1; }

/// Lives as long as the library.
MORSEL_INLINE const H5FD_class_t& description() {
  static const H5FD_class_t description = [] {
    H5FD_class_t c{};
#if H5_VERSION_GE(1, 13, 2)
    c.version = H5FD_CLASS_VERSION;
#endif
#if H5_VERSION_GE(1, 13, 0)
    c.value = static_cast<H5FD_class_value_t>(481);
#endif
    c.name = "morsel";
    c.maxaddr = (haddr_t{1} << 63) - 1;
    c.fc_degree = H5F_CLOSE_STRONG;
    c.open = open;
    c.close = close;
    c.cmp = compare;
    c.query = query;
    c.get_eoa = end_of_addresses;
    c.set_eoa = set_end_of_addresses;
    c.get_eof = end_of_file;
    c.get_handle = handle;
    c.read = read;
    c.write = write;
    for (H5FD_mem_t& type : c.fl_map) type = H5FD_MEM_DEFAULT;
    return c;
  }();
  return description;
}

}  // namespace hdf5_driver

void register_hdf5_filters();

void close_at_exit();

/// While one lives no other thread calls libhdf5 through Morsel, and it prints nothing.
class Hdf5Lock {
 public:
  Hdf5Lock() : lock_(hdf5_shared().mutex) {
    Hdf5Shared& shared = hdf5_shared();
    if (shared.depth++ == 0) {
      shared.owner = pthread_self();
      shared.is_busy = true;
    }
    // What the library cannot close at exit, after damaged files, it prints. It closes itself only where the
    // program, which may be the first to call it, has left files open.
    if (!std::exchange(shared.is_known, true) && H5dont_atexit() >= 0) std::atexit(&close_at_exit);
    H5Eget_auto2(H5E_DEFAULT, &print_, &client_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    shared.error = nullptr;
    if (shared.driver < 0 || H5Iis_valid(shared.driver) <= 0) set_up(shared);
  }
  Hdf5Lock(const Hdf5Lock&) = delete;
  Hdf5Lock& operator=(const Hdf5Lock&) = delete;
  ~Hdf5Lock() {
    // Errors that a thread keeps refer to what the library wants to close at exit: it would try for ever, and
    // say so.
    H5Eclear2(H5E_DEFAULT);
    H5Eset_auto2(H5E_DEFAULT, print_, client_);
    if (--hdf5_shared().depth == 0) hdf5_shared().is_busy = false;
  }

 private:
  static void set_up(Hdf5Shared& shared) {
    shared.driver = H5FDregister(&hdf5_driver::description());
    shared.file_access = H5Pcreate(H5P_FILE_ACCESS);
    bool good = shared.driver >= 0 && shared.file_access >= 0 &&
                H5Pset_driver(shared.file_access, shared.driver, nullptr) >= 0 &&
                H5Pset_fclose_degree(shared.file_access, H5F_CLOSE_STRONG) >= 0;
    // Metadata of one file at a time: a few pages of it are enough for looking up chunks in order.
    H5AC_cache_config_t cache{};
    cache.version = H5AC__CURR_CACHE_CONFIG_VERSION;
    good = good && H5Pget_mdc_config(shared.file_access, &cache) >= 0;
    cache.set_initial_size = true;
    cache.initial_size = hdf5_metadata_bytes / 4;
    cache.min_size = hdf5_metadata_bytes / 8;
    cache.max_size = hdf5_metadata_bytes;
    good = good && H5Pset_mdc_config(shared.file_access, &cache) >= 0;
    register_hdf5_filters();
    if (!good) fail(Errc::internal_error, "setting up libhdf5: it refuses; expected a driver, got an error");
  }
  std::unique_lock<std::recursive_mutex> lock_;
  H5E_auto2_t print_ = nullptr;
  void* client_ = nullptr;
};

/// An identifier of libhdf5 that is closed at the end of the scope. **Requires**: the lock, in the end too.
class Hid {
 public:
  using Close = herr_t (*)(hid_t);
  Hid() = default;
  Hid(hid_t id, Close close) : id_(id), close_(close) {}
  Hid(Hid&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Hid& operator=(Hid&& other) noexcept {
    if (this != &other) {
      reset();
      id_ = std::exchange(other.id_, H5I_INVALID_HID);
      close_ = other.close_;
    }
    return *this;
  }
  ~Hid() { reset(); }
  explicit operator bool() const { return id_ >= 0; }
  operator hid_t() const { return id_; }  // NOLINT(google-explicit-constructor)
  hid_t release() { return std::exchange(id_, H5I_INVALID_HID); }

 private:
  void reset() {
    if (id_ >= 0) close_(id_);
    id_ = H5I_INVALID_HID;
  }
  hid_t id_ = H5I_INVALID_HID;
  Close close_ = nullptr;
};

/// What libhdf5 says of the last call that failed, on one line.
MORSEL_INLINE std::string hdf5_reason() {
  std::string text;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned, const H5E_error2_t* error, void* out) -> herr_t {
        auto& said = *static_cast<std::string*>(out);
        if (said.empty() && error->desc) said = error->desc;
        return 0;
      },
      &text);
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 32 || static_cast<unsigned char>(c) > 126) c = ' ';
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text.empty() ? "an error without a reason" : "'" + text + "'";
}

/// Throws what stopped the driver, else "<doing>: <what>, got <what libhdf5 says>".
[[noreturn]] MORSEL_INLINE void fail_hdf5(Errc code, const std::string& doing, const std::string& what) {
  if (const std::exception_ptr error = std::exchange(hdf5_shared().error, nullptr)) {
    try {
      std::rethrow_exception(error);
    } catch (const Error& e) {
      throw e.during(doing);
    }
  }
  fail(code, doing + ": " + what + ", got " + hdf5_reason());
}

/// Objects of a file as libhdf5 tells them apart.
struct Hdf5Object {
  enum class Kind : std::uint8_t { group, dataset, other };
  Kind kind = Kind::other;
  unsigned long file = 0;
#if H5_VERSION_GE(1, 12, 0)
  H5O_token_t place{};
#else
  haddr_t place = HADDR_UNDEF;
#endif
  bool is(const Hdf5Object& other) const {
    return file == other.file && std::memcmp(&place, &other.place, sizeof place) == 0;
  }
};

/// The object that a path leads to; nothing if it leads nowhere, or to what cannot be read.
MORSEL_INLINE std::optional<Hdf5Object> hdf5_object(hid_t from, const std::string& path) {
  Hdf5Object object;
#if H5_VERSION_GE(1, 12, 0)
  H5O_info2_t info;
  const herr_t result = H5Oget_info_by_name3(from, path.c_str(), &info, H5O_INFO_BASIC, H5P_DEFAULT);
#elif H5_VERSION_GE(1, 10, 3)
  H5O_info_t info;
  const herr_t result = H5Oget_info_by_name2(from, path.c_str(), &info, H5O_INFO_BASIC, H5P_DEFAULT);
#else
  H5O_info_t info;
  const herr_t result = H5Oget_info_by_name(from, path.c_str(), &info, H5P_DEFAULT);
#endif
  if (result < 0) return std::nullopt;
  object.kind = info.type == H5O_TYPE_GROUP     ? Hdf5Object::Kind::group
                : info.type == H5O_TYPE_DATASET ? Hdf5Object::Kind::dataset
                                                : Hdf5Object::Kind::other;
  object.file = info.fileno;
#if H5_VERSION_GE(1, 12, 0)
  object.place = info.token;
#else
  object.place = info.addr;
#endif
  return object;
}

/// A file that arrays and listings share. Its handle in libhdf5 is opened when it is needed, and closed when
/// too many others have been used since; all that was opened through it is closed with it.
class Hdf5File : public std::enable_shared_from_this<Hdf5File> {
 public:
  explicit Hdf5File(File file) : file_(std::move(file)) {}
  Hdf5File(const Hdf5File&) = delete;
  Hdf5File& operator=(const Hdf5File&) = delete;
  ~Hdf5File() {
    const Hdf5Lock lock;
    close();
  }
  const File& file() const { return file_; }
  /// Changes whenever the handle does. **Requires**: the lock.
  std::uint64_t generation() const { return generation_; }
  bool is_open() const { return id_ >= 0; }
  /// The handle. **Requires**: the lock. **Fails**: corrupt_data; source_changed; unsupported.
  hid_t handle(const std::string& doing);

  /// The file at a path. **Requires**: the lock.
  static std::shared_ptr<Hdf5File> at(const std::string& path);
  /// Closes the handles of all files. **Requires**: the lock.
  static void close_all() {
    while (!open_files().empty()) open_files().back()->close();
  }
  static constexpr std::size_t most_open = 64;

 private:
  static std::list<Hdf5File*>& open_files() {
    static auto* const files = new std::list<Hdf5File*>;  // most recently used first
    return *files;
  }
  /// Files that a writer holds open, or held when it was killed, may lack what it had not written.
  /// **Source**: HDF5 File Format Specification, superblock version 3: consistency flags.
  void check_closed(const std::string& doing) {
    const Hid properties(H5Fget_create_plist(id_), &H5Pclose);
    hsize_t begin = 0;
    std::byte head[12] = {};
    if (!properties || H5Pget_userblock(properties, &begin) < 0) return;
    if (static_cast<hsize_t>(file_.size_bytes()) < begin + sizeof head) return;
    file_.read(static_cast<Index>(begin), head);
    if (std::to_integer<int>(head[8]) < 3 || (std::to_integer<int>(head[11]) & 5) == 0) return;
    close();
    fail(Errc::unsupported, doing +
                                ": the file is open for writing, or its writer was stopped, and may be "
                                "incomplete; expected one that "
                                "was closed (h5clear -s takes the mark away), got one marked as open");
  }
  void close() {
    if (id_ < 0) return;
    H5Fclose(id_);
    id_ = H5I_INVALID_HID;
    ++generation_;
    open_files().erase(place_);
  }
  File file_;
  hid_t id_ = H5I_INVALID_HID;
  std::uint64_t generation_ = 0;
  std::list<Hdf5File*>::iterator place_;
};

MORSEL_INLINE hid_t Hdf5File::handle(const std::string& doing) {
  Hdf5Shared& shared = hdf5_shared();
  doing.copy(shared.doing, sizeof shared.doing - 1);
  shared.doing[std::min(doing.size(), sizeof shared.doing - 1)] = '\0';
  std::list<Hdf5File*>& files = open_files();
  if (id_ >= 0 && H5Iis_valid(id_) <= 0) {  // the library was shut down by the program
    id_ = H5I_INVALID_HID;
    ++generation_;
    files.erase(place_);
  }
  if (id_ >= 0) {
    files.splice(files.begin(), files, place_);
    return id_;
  }
  file_.require_unchanged();
  while (files.size() >= most_open) files.back()->close();
  id_ = H5Fopen(file_.path().c_str(), H5F_ACC_RDONLY, hdf5_shared().file_access);
  if (id_ < 0) {
    id_ = H5I_INVALID_HID;
    fail_hdf5(Errc::corrupt_data, doing,
              "not an HDF5 file that can be read; expected one that libhdf5 opens");
  }
  files.push_front(this);
  place_ = files.begin();
  ++generation_;
  void* opened = nullptr;
  if (H5Fget_vfd_handle(id_, H5P_DEFAULT, &opened) < 0 || !opened ||
      !(static_cast<const File*>(opened)->state() == file_.state())) {
    close();
    fail(Errc::source_changed,
         doing + ": the file changed since it was opened; expected the same size and time, got others");
  }
  check_closed(doing);
  return id_;
}

MORSEL_INLINE std::shared_ptr<Hdf5File> Hdf5File::at(const std::string& path) {
  static auto* const by_path = new std::map<std::string, std::weak_ptr<Hdf5File>>;
  File file(path);
  // The last few stay open between calls: listing a container asks for one member after another.
  static auto* const recent = new std::list<std::shared_ptr<Hdf5File>>;
  std::weak_ptr<Hdf5File>& known = (*by_path)[file.path()];
  std::shared_ptr<Hdf5File> found = known.lock();
  if (!found || !(found->file().state() == file.state()) || found->file().version() != file.version()) {
    found = std::make_shared<Hdf5File>(std::move(file));
    known = found;
  }
  recent->remove(found);
  recent->push_front(found);
  while (recent->size() > 4) recent->pop_back();
  if (by_path->size() > 4096)
    for (auto it = by_path->begin(); it != by_path->end();)
      it = it->second.expired() ? by_path->erase(it) : ++it;
  return found;
}

MORSEL_INLINE void close_at_exit() {
  bool is_in_use = false;
  {
    const Hdf5Lock lock;
    Hdf5File::close_all();
    is_in_use = H5Fget_obj_count(static_cast<hid_t>(H5F_OBJ_ALL), H5F_OBJ_FILE) > 0;
  }
  if (is_in_use) H5close();
}

/// Where a chunk lies.
struct Hdf5Chunk {
  File file;
  Index offset_bytes = 0;
  std::size_t bytes = 0;
  std::uint32_t mask = 0;
};

/// The place of the chunk at an offset in elements, as an ordinary look-up in the index, without reading it;
/// nothing if there is none. **Requires**: the lock.
MORSEL_INLINE std::optional<Hdf5Chunk> locate_chunk(hid_t dataset, const hsize_t* offset,
                                                    const std::string& doing) {
  hsize_t stored = 0;
  if (H5Dget_chunk_storage_size(dataset, offset, &stored) < 0) {
    const std::string reason = hdf5_reason();
    // Some versions give no bytes, others this, for a chunk that was never written. There is no other call
    // that tells without visiting all chunks.
    if (!hdf5_shared().error && reason == "'chunk storage is not allocated'") return std::nullopt;
    if (hdf5_shared().error)
      fail_hdf5(Errc::corrupt_data, doing, "its entry in the index cannot be read; expected its size");
    fail(Errc::corrupt_data,
         doing + ": its entry in the index cannot be read; expected its size, got " + reason);
  }
  if (stored == 0) return std::nullopt;
  Hdf5Shared& shared = hdf5_shared();
  Hdf5Chunk chunk;
  char nowhere = 0;  // the driver notes the read and does not make it
  shared.captured = 0;
  shared.captures = true;
  const herr_t result = H5Dread_chunk(dataset, H5P_DEFAULT, offset, &chunk.mask, &nowhere);
  shared.captures = false;
  if (result < 0)
    fail_hdf5(Errc::corrupt_data, doing, "its entry in the index cannot be read; expected its place");
  if (shared.captured != 1 || shared.bytes != stored)
    fail(Errc::corrupt_data, doing + ": its entry in the index makes no sense; expected one piece of " +
                                 std::to_string(stored) + " bytes, got " + std::to_string(shared.captured) +
                                 " of " + std::to_string(shared.bytes));
  chunk.file = *shared.file;
  chunk.offset_bytes = static_cast<Index>(shared.address);
  chunk.bytes = shared.bytes;
  return chunk;
}

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI
