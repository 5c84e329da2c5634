#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <morsel/ext/impl/hdf5_library.ipp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

// How libhdf5 writes: through a driver of our own, too, to a file that nobody else sees yet. Metadata are
// written as the library asks for it. Of a chunk the driver only notes where the library would put it
// (Hdf5WriteNote): the bytes are written by position, without the library's lock. The chunk is known by its
// buffer: heaps of texts are raw data to the library, too, and may be written in the same call.

/// What the driver and its callers share; touched under the lock alone.
struct Hdf5WriteNote {
  hid_t driver = H5I_INVALID_HID, file_access = H5I_INVALID_HID;
  const void* chunk = nullptr;  // looked for
  int noted = 0;                // writes of it
  haddr_t address = HADDR_UNDEF;
  std::size_t bytes = 0;
};
MORSEL_INLINE Hdf5WriteNote& hdf5_write_note() {
  static auto* const note = new Hdf5WriteNote;
  return *note;
}

/// A file that is written, as libhdf5 sees it.
struct Hdf5WriteFile {
  H5FD_t base{};  // first: libhdf5 knows this alone
  int fd = -1;
  dev_t device = 0;
  ino_t inode = 0;
  haddr_t end_of_addresses = 0, end_of_file = 0;
  bool discards = false;  // writes nothing any more
  std::string doing;

  ~Hdf5WriteFile() {
    if (fd >= 0) ::close(fd);
  }
  /// **Fails**: io_error, with the number of bytes, when the disk is full. **Threads**: any.
  void put(haddr_t address, const void* data, std::size_t bytes) const {
    const auto* from = static_cast<const std::byte*>(data);
    for (std::size_t done = 0; done < bytes;) {
      const ssize_t n = ::pwrite(fd, from + done, std::min<std::size_t>(bytes - done, std::size_t{1} << 30),
                                 static_cast<off_t>(address + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0)
        fail(Errc::io_error, doing + " at offset " + std::to_string(address) + ": " +
                                 std::strerror(n < 0 ? errno : EIO) + "; expected to write " +
                                 std::to_string(bytes) + " bytes, got " + std::to_string(done) + " written");
      done += static_cast<std::size_t>(n);
    }
  }
};

namespace hdf5_write_driver {

MORSEL_INLINE Hdf5WriteFile& self(H5FD_t* file) { return *reinterpret_cast<Hdf5WriteFile*>(file); }
MORSEL_INLINE const Hdf5WriteFile& self(const H5FD_t* file) {
  return *reinterpret_cast<const Hdf5WriteFile*>(file);
}

MORSEL_INLINE H5FD_t* open(const char* name, unsigned flags, hid_t, haddr_t) {
  try {
    auto made = std::make_unique<Hdf5WriteFile>();
    struct stat status {};
    made->doing = "writing '" + std::string(name) + "'";
    made->fd = ::open(name, O_RDWR | O_CLOEXEC | (flags & H5F_ACC_TRUNC ? O_TRUNC : 0));
    if (made->fd < 0 || ::fstat(made->fd, &status) != 0) fail_errno(errno, made->doing);
    made->device = status.st_dev;
    made->inode = status.st_ino;
    made->end_of_file = static_cast<haddr_t>(status.st_size);
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
MORSEL_INLINE int compare(const H5FD_t* a, const H5FD_t* b) {
  const Hdf5WriteFile &x = self(a), &y = self(b);
  if (x.device != y.device) return x.device < y.device ? -1 : 1;
  return x.inode < y.inode ? -1 : x.inode > y.inode ? 1 : 0;
}
MORSEL_INLINE haddr_t end_of_addresses(const H5FD_t* file, H5FD_mem_t) { return self(file).end_of_addresses; }
MORSEL_INLINE herr_t set_end_of_addresses(H5FD_t* file, H5FD_mem_t, haddr_t end) {
  self(file).end_of_addresses = end;
  return 0;
}
MORSEL_INLINE haddr_t end_of_file(const H5FD_t* file, H5FD_mem_t) { return self(file).end_of_file; }
MORSEL_INLINE herr_t handle(H5FD_t* file, hid_t, void** handle) {
  *handle = &self(file);
  return 0;
}
MORSEL_INLINE herr_t read(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, std::size_t bytes, void* buffer) {
  const Hdf5WriteFile& from = self(file);
  auto* to = static_cast<std::byte*>(buffer);
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t n = ::pread(from.fd, to + done, bytes - done, static_cast<off_t>(address + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      try {
        fail_errno(errno, from.doing);
      } catch (...) {
        hdf5_shared().error = std::current_exception();
      }
      return -1;
    }
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  std::memset(to + done, 0, bytes - done);  // beyond the end, as the library's own driver has it
  return 0;
}
MORSEL_INLINE herr_t write(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, std::size_t bytes,
                           const void* buffer) {
  Hdf5WriteNote& note = hdf5_write_note();
  Hdf5WriteFile& to = self(file);
  if (note.chunk && buffer == note.chunk) {
    ++note.noted;
    note.address = address;
    note.bytes = bytes;
  } else if (!to.discards) {
    try {
      to.put(address, buffer, bytes);
    } catch (...) {
      hdf5_shared().error = std::current_exception();
      return -1;
    }
  }
  to.end_of_file = std::max(to.end_of_file, address + bytes);
  return 0;
}
MORSEL_INLINE herr_t truncate(H5FD_t* file, hid_t, hbool_t) {
  Hdf5WriteFile& to = self(file);
  if (to.end_of_file == to.end_of_addresses || to.discards) return 0;
  if (::ftruncate(to.fd, static_cast<off_t>(to.end_of_addresses)) != 0) {
    try {
      fail_errno(errno, to.doing);
    } catch (...) {
      hdf5_shared().error = std::current_exception();
    }
    return -1;
  }
  to.end_of_file = to.end_of_addresses;
  return 0;
}

/// Lives as long as the library.
MORSEL_INLINE const H5FD_class_t& description() {
  static const H5FD_class_t description = [] {
    H5FD_class_t c = hdf5_driver::description();
#if H5_VERSION_GE(1, 13, 0)
    c.value = static_cast<H5FD_class_value_t>(482);
#endif
    c.name = "morsel_write";
    c.open = open;
    c.close = close;
    c.cmp = compare;
    c.get_eoa = end_of_addresses;
    c.set_eoa = set_end_of_addresses;
    c.get_eof = end_of_file;
    c.get_handle = handle;
    c.read = read;
    c.write = write;
    c.truncate = truncate;
    return c;
  }();
  return description;
}

}  // namespace hdf5_write_driver

/// Properties of files that are written. Object headers are those of HDF5 1.8, which everything reads:
/// attributes keep their order and may be large. **Requires**: the lock.
MORSEL_INLINE hid_t hdf5_write_access() {
  Hdf5WriteNote& note = hdf5_write_note();
  if (note.driver >= 0 && H5Iis_valid(note.driver) > 0) return note.file_access;
  note.driver = H5FDregister(&hdf5_write_driver::description());
  note.file_access = H5Pcopy(hdf5_shared().file_access);  // with its cache of metadata
  if (note.driver < 0 || note.file_access < 0 || H5Pset_driver(note.file_access, note.driver, nullptr) < 0 ||
      H5Pset_libver_bounds(note.file_access, H5F_LIBVER_V18, H5F_LIBVER_LATEST) < 0)
    fail(Errc::internal_error, "setting up libhdf5: it refuses; expected a driver, got an error");
  return note.file_access;
}

/// Lets the library put a chunk into its index; where its bytes belong. **Requires**: the lock.
MORSEL_INLINE haddr_t place_chunk(hid_t dataset, const hsize_t* offset, std::span<const std::byte> stored,
                                  const std::string& doing) {
  Hdf5WriteNote& note = hdf5_write_note();
  note.noted = 0;
  note.chunk = stored.data();
  const herr_t result = H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, offset, stored.size(), stored.data());
  note.chunk = nullptr;
  if (result < 0) fail_hdf5(Errc::io_error, doing, "the chunk finds no place; expected one in the file");
  if (note.noted != 1 || note.bytes != stored.size())
    fail(Errc::internal_error, doing + ": libhdf5 does not write it in one piece; expected " +
                                   std::to_string(stored.size()) + " bytes, got " +
                                   std::to_string(note.noted) + " writes, the last of " +
                                   std::to_string(note.bytes));
  return note.address;
}

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI
