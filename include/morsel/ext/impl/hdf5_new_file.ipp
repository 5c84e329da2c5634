#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>
#include <map>
#include <morsel/ext/impl/hdf5_make_attributes.ipp>
#include <morsel/ext/impl/hdf5_make_scales.ipp>
#include <morsel/ext/impl/hdf5_write_driver.ipp>
#include <morsel/io/impl/new_file.hpp>
#include <morsel/io/store_key.hpp>
#include <morsel/io/write_batch.hpp>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// A file that is written: new, or a copy of one that is there with more in it. It grows under a hidden name
/// beside its target, made at the first write, and takes the target's name at the end. Destroyed before, it
/// leaves nothing.
///
/// **Threads**: any; what changes the file in libhdf5 takes its lock.
class Hdf5NewFile final : public WriteBatch::File {
 public:
  Hdf5NewFile(const std::string& path, WriteBatch::Ends ends)
      : doing_("writing '" + path + "'"), ends_(ends), target_(file_target(path, doing_)) {}
  Hdf5NewFile(const Hdf5NewFile&) = delete;
  Hdf5NewFile& operator=(const Hdf5NewFile&) = delete;
  ~Hdf5NewFile() override { discard(); }

  const std::string& path() const { return target_.path; }
  bool exists() const { return target_.exists; }
  /// What was there before goes: the file starts empty.
  void start_empty() { is_replaced_ = true; }
  bool keeps_old() const { return target_.exists && !is_replaced_; }
  /// An fsync before the file takes its name.
  void sync() { syncs_ = true; }

  /// Announces an array; true if the memory that the file takes is to be booked with it. **Fails**:
  /// invalid_argument if another one is at its path, above or below.
  bool add_array(const std::string& inside) {
    const std::lock_guard lock(mutex_);
    for (const std::string& other : arrays_)
      if (lies_in(inside, other) || lies_in(other, inside))
        fail(Errc::invalid_argument, doing_ +
                                         ": two arrays go to one place, or one into the other; expected "
                                         "different paths, got '" +
                                         inside + "' and '" + other + "'");
    arrays_.insert(inside);
    return ends_ == WriteBatch::Ends::on_commit || arrays_.size() == 1;  // once in each run
  }
  /// One that was announced and is not written after all.
  void forget_array(const std::string& inside) {
    const std::lock_guard lock(mutex_);
    arrays_.erase(inside);
  }
  /// ... and left something behind: the file can no longer be completed.
  void spoil(const std::string& inside) {
    const std::lock_guard lock(mutex_);
    spoiled_by_ = inside;
  }

  /// Makes the hidden file, which may be a long copy. **Requires**: not the library's lock.
  void prepare();
  /// The file in libhdf5, opened at the first call. **Requires**: prepared; the library's lock.
  hid_t begin();
  /// **Requires**: begun. **Threads**: any, without the lock.
  void put(haddr_t address, std::span<const std::byte> stored) const {
    driver_->put(address, stored.data(), stored.size());
  }
  /// Takes away what is at a path; false: it cannot. **Requires**: begun; the lock.
  bool remove(const std::string& inside) noexcept {
    const bool removed = H5Ldelete(file_, inside.c_str(), H5P_DEFAULT) >= 0;
    hdf5_shared().error = nullptr;
    return removed;
  }
  /// A group and those above it. **Requires**: the lock. **Fails**: already_exists if an array is on the way.
  Hid group(const std::string& inside);
  void add_group(const std::string& inside, const Attributes& attributes) {
    prepare();
    const Hdf5Lock lock;
    const Hid made = group(inside);
    write_hdf5_attributes(made, attributes, DType(), doing_ + ", group '/" + inside + "'");
  }

  /// The array at a path is all written; the names of its axes are known.
  void finish_array(const std::string& inside, const Shape& shape, const std::vector<std::string>& dims,
                    const std::string& scale_name) {
    bool is_last = false;
    {
      const std::lock_guard lock(mutex_);
      finished_.push_back({inside, shape, dims, scale_name});
      is_last = finished_.size() == arrays_.size();
    }
    if (is_last && ends_ == WriteBatch::Ends::with_its_arrays) commit();
  }
  MORSEL_INLINE void commit() override;

 private:
  void copy_old();
  void take_name();
  void discard() noexcept;
  static bool is_same(const struct stat& a, const struct stat& b) {
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
           a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
  }
  [[noreturn]] void changed() const {
    fail(Errc::source_changed, doing_ +
                                   ": the file has changed since the save was planned; expected it as it "
                                   "was, got another state");
  }

  std::string doing_;
  WriteBatch::Ends ends_;
  FileTarget target_;
  bool is_replaced_ = false, syncs_ = false, is_committed_ = false;
  std::mutex prepare_mutex_, mutex_;
  bool is_prepared_ = false;
  std::set<std::string> arrays_;
  std::vector<NewScaledArray> finished_;
  std::optional<std::string> spoiled_by_;
  std::exception_ptr failure_;  // of prepare: everyone gets the first one
  std::string temporary_;
  hid_t file_ = H5I_INVALID_HID;
  Hdf5WriteFile* driver_ = nullptr;  // libhdf5's
};

MORSEL_INLINE void Hdf5NewFile::prepare() {
  const std::lock_guard lock(prepare_mutex_);
  if (is_prepared_) return;
  if (failure_) std::rethrow_exception(failure_);
  if (is_committed_) fail(Errc::internal_error, doing_ + ": the file is complete; expected it not to be");
  try {
    int fd = -1;
    std::tie(fd, temporary_) = make_temporary(target_.directory, doing_);
    ::close(fd);
    if (keeps_old()) copy_old();
  } catch (...) {
    failure_ = std::current_exception();
    throw;
  }
  is_prepared_ = true;
}

MORSEL_INLINE hid_t Hdf5NewFile::begin() {
  if (file_ >= 0) return file_;
  const hid_t access = hdf5_write_access();
  if (keeps_old()) {
    file_ = H5Fopen(temporary_.c_str(), H5F_ACC_RDWR, access);
    if (file_ < 0)
      fail_hdf5(Errc::corrupt_data, doing_, "libhdf5 does not write into it; expected an HDF5 file");
  } else {
    const Hid creation(H5Pcreate(H5P_FILE_CREATE), &H5Pclose);
    // As NetCDF-4 wants it: the order in which things are made is kept.
    H5Pset_link_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
    H5Pset_attr_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
    H5Pset_obj_track_times(creation, false);
    file_ = H5Fcreate(temporary_.c_str(), H5F_ACC_TRUNC, creation, access);
    if (file_ < 0) fail_hdf5(Errc::io_error, doing_, "libhdf5 does not make it; expected a new file");
  }
  void* handle = nullptr;
  if (H5Fget_vfd_handle(file_, H5P_DEFAULT, &handle) < 0 || !handle)
    fail_hdf5(Errc::internal_error, doing_, "its driver is not known; expected Morsel's");
  driver_ = static_cast<Hdf5WriteFile*>(handle);
  driver_->doing = doing_;
  return file_;
}

/// The bytes of the file that is there, by the kernel, which shares them where the file system can.
MORSEL_INLINE void Hdf5NewFile::copy_old() {
  struct Descriptor {
    int fd;
    ~Descriptor() { ::close(fd); }
  };
  const Descriptor from{::open(target_.path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat now {};
  if (from.fd < 0 || ::fstat(from.fd, &now) != 0) fail_errno(errno, doing_);
  if (!is_same(now, target_.status)) changed();
  const Descriptor to{::open(temporary_.c_str(), O_WRONLY | O_CLOEXEC)};
  if (to.fd < 0) fail_errno(errno, doing_);
  std::array<char, 16384> buffer;
  bool by_kernel = true;
  for (off_t done = 0; done < now.st_size;) {
    ssize_t n = -1;
    if (by_kernel) {
      off_t in = done, out = done;
      n = ::copy_file_range(from.fd, &in, to.fd, &out, static_cast<std::size_t>(now.st_size - done), 0);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        by_kernel = false;
        continue;
      }
    } else {
      n = ::pread(from.fd, buffer.data(), buffer.size(), done);
      if (n < 0 && errno == EINTR) continue;
      if (n == 0) changed();
      if (n > 0) n = ::pwrite(to.fd, buffer.data(), static_cast<std::size_t>(n), done);
      if (n < 0) fail_errno(errno, doing_ + ": copying what is there");
    }
    done += n;
  }
  if (::fstat(from.fd, &now) != 0 || !is_same(now, target_.status)) changed();
}

MORSEL_INLINE Hid Hdf5NewFile::group(const std::string& inside) {
  const hid_t file = begin();
  Hid at(H5Gopen2(file, "/", H5P_DEFAULT), &H5Gclose);
  for (std::size_t begin = 0; at && begin < inside.size();) {
    const std::size_t end = std::min(inside.find('/', begin), inside.size());
    const std::string name = inside.substr(begin, end - begin), path = "/" + inside.substr(0, end);
    begin = end + 1;
    if (H5Lexists(at, name.c_str(), H5P_DEFAULT) > 0) {
      const std::optional<Hdf5Object> object = hdf5_object(at, "./" + name);
      if (!object || object->kind != Hdf5Object::Kind::group || object->file != hdf5_object(file, "/")->file)
        fail(Errc::already_exists,
             doing_ + ": '" + path + "' is in the way; expected a group of this file or nothing, got " +
                 (object && object->kind == Hdf5Object::Kind::dataset ? "an array" : "something else"));
      at = Hid(H5Gopen2(at, name.c_str(), H5P_DEFAULT), &H5Gclose);
    } else {
      const Hid links(H5Pcreate(H5P_LINK_CREATE), &H5Pclose),
          creation(H5Pcreate(H5P_GROUP_CREATE), &H5Pclose);
      H5Pset_char_encoding(links, H5T_CSET_UTF8);
      H5Pset_link_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
      H5Pset_attr_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
      H5Pset_obj_track_times(creation, false);
      at = Hid(H5Gcreate2(at, name.c_str(), links, creation, H5P_DEFAULT), &H5Gclose);
    }
  }
  if (!at) fail_hdf5(Errc::io_error, doing_, "the group '/" + inside + "' cannot be made; expected one");
  return at;
}

MORSEL_INLINE void Hdf5NewFile::commit() {
  if (is_committed_) return;
  {
    const std::lock_guard lock(mutex_);
    if (spoiled_by_)
      fail(Errc::io_error, doing_ + ": the save of '/" + *spoiled_by_ +
                               "' into it failed; expected all of its arrays to be whole, got a part of one");
  }
  prepare();
  // Outlives the handle in libhdf5, whose last writes come when it is closed.
  struct Descriptor {
    int fd = -1;
    ~Descriptor() {
      if (fd >= 0) ::close(fd);
    }
  } written;
  {
    const Hdf5Lock lock;
    const hid_t file = begin();
    std::sort(finished_.begin(), finished_.end(),
              [](const NewScaledArray& a, const NewScaledArray& b) { return a.path < b.path; });
    attach_scales(file, finished_, doing_);
    if (H5Fflush(file, H5F_SCOPE_GLOBAL) < 0)
      fail_hdf5(Errc::io_error, doing_, "its metadata cannot be written; expected room for them");
    written.fd = ::fcntl(driver_->fd, F_DUPFD_CLOEXEC, 0);
    if (written.fd < 0) fail_errno(errno, doing_);
    if (H5Fclose(file_) < 0)
      fail_hdf5(Errc::io_error, doing_, "it cannot be closed; expected its metadata to be written");
    file_ = H5I_INVALID_HID;
    driver_ = nullptr;
  }
  if (target_.exists) ::fchmod(written.fd, target_.status.st_mode & 07777);
  if ((syncs_ && ::fsync(written.fd) != 0) || ::close(std::exchange(written.fd, -1)) != 0)
    fail_errno(errno, doing_);
  take_name();
  temporary_.clear();
  is_committed_ = true;
  if (!syncs_) return;
  const int directory = ::open(target_.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return;
  ::fsync(directory);
  ::close(directory);
}

/// Nobody's file is lost: what was there must be what was copied.
MORSEL_INLINE void Hdf5NewFile::take_name() {
  const char *from = temporary_.c_str(), *to = target_.path.c_str();
  if (!target_.exists) return give_new_name(temporary_, target_.path, doing_);
  if (is_replaced_) {
    if (::rename(from, to) != 0) fail_errno(errno, doing_);
    return;
  }
  struct stat now {};
#if defined(RENAME_EXCHANGE)
  if (::renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) == 0) {
    const bool is_known = ::stat(from, &now) == 0 && is_same(now, target_.status);
    if (!is_known) {
      // Theirs gets its name back, or keeps the hidden one if somebody took that, too.
      if (::renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) != 0 &&
          ::renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) != 0)
        fail(Errc::source_changed, doing_ +
                                       ": the file changed again and again; expected it as it was, got one "
                                       "that is now '" +
                                       std::exchange(temporary_, std::string()) + "'");
      changed();
    }
    ::unlink(from);
    return;
  }
#endif
  if (::stat(to, &now) != 0 || !is_same(now, target_.status)) changed();
  if (::rename(from, to) != 0) fail_errno(errno, doing_);
}

MORSEL_INLINE void Hdf5NewFile::discard() noexcept {
  if (file_ >= 0) {
    const Hdf5Lock lock;
    if (driver_) driver_->discards = true;
    H5Fclose(file_);
  }
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI
