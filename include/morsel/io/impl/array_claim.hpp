// The right to write into an array, for as long as a save lasts. For bodies alone.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <functional>
#include <map>
#include <morsel/base/error.hpp>
#include <morsel/io/impl/file_store.ipp>
#include <mutex>
#include <string>

namespace morsel::inline MORSEL_ABI::detail {

/// One of a few mutexes, always the same for equal texts.
inline std::mutex& mutex_of(const std::string& text) {
  static std::array<std::mutex, 64> mutexes;
  return mutexes[std::hash<std::string>{}(text) % mutexes.size()];
}

/// Locks a directory until the descriptor is closed or the process ends. False: another process holds it.
/// Where the file system has no locks of directories, as NFS, nothing is locked.
inline bool lock_directory(const std::string& path, Descriptor& lock) {
  for (;;) {
    Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory) return true;
    int result;
    do result = ::flock(directory.fd(), LOCK_EX | LOCK_NB);
    while (result != 0 && errno == EINTR);
    if (result != 0) return errno != EWOULDBLOCK;
    struct stat held, there;
    if (::fstat(directory.fd(), &held) != 0 || ::stat(path.c_str(), &there) != 0 ||
        (held.st_dev == there.st_dev && held.st_ino == there.st_ino)) {
      lock = std::move(directory);
      return true;
    }
    // Another one has taken its place meanwhile.
  }
}

/// What a save does to an array.
enum class Writes : std::uint8_t {
  whole_chunks,  ///< of a region
  parts,         ///< of storage chunks too, which are read, changed and put
  everything     ///< makes the array, or changes its shape
};

/// Keeps two saves from spoiling each other's work. Within a process regions may be written side by side, and
/// nothing beside `everything`. Of several processes one may write `parts` or `everything` of an array; whole
/// chunks are free.
class ArrayClaim {
 public:
  /// `directory`: of the array; "" in stores without. **Fails**: already_exists if another save is at it.
  ArrayClaim(std::string identity, const std::string& directory, Writes what, const std::string& doing)
      : identity_(std::move(identity)), what_(what) {
    Writers& writers = Writers::of_process();
    const std::lock_guard lock(writers.mutex);
    Writer& writer = writers.by_identity[identity_];
    if (writer.makes_all || (what == Writes::everything && writer.regions > 0))
      fail(Errc::already_exists,
           doing +
               ": another save of this process is writing the array; expected it to come "
               "to its end first, got it under way");
    if (what != Writes::whole_chunks && writer.locks == 0 && !directory.empty() &&
        !lock_directory(directory, writer.lock)) {
      if (writer.regions == 0) writers.by_identity.erase(identity_);
      fail(Errc::already_exists,
           doing +
               ": another process is writing the array; expected it to come to its end first, or regions of "
               "whole storage chunks, got its lock");
    }
    writer.locks += what != Writes::whole_chunks;
    if (what == Writes::everything)
      writer.makes_all = true;
    else
      ++writer.regions;
  }
  ~ArrayClaim() {
    Writers& writers = Writers::of_process();
    const std::lock_guard lock(writers.mutex);
    const auto it = writers.by_identity.find(identity_);
    Writer& writer = it->second;
    writer.locks -= what_ != Writes::whole_chunks;
    if (writer.locks == 0) writer.lock = Descriptor();
    if (what_ != Writes::everything) --writer.regions;
    if (what_ == Writes::everything || writer.regions == 0) writers.by_identity.erase(it);
  }
  ArrayClaim(const ArrayClaim&) = delete;
  ArrayClaim& operator=(const ArrayClaim&) = delete;

 private:
  struct Writer {
    bool makes_all = false;
    int regions = 0, locks = 0;
    Descriptor lock;
  };
  struct Writers {
    std::mutex mutex;
    std::map<std::string, Writer> by_identity;
    static Writers& of_process() {
      // Never destroyed: a save may still run while the program exits.
      static Writers* const all = new Writers;
      return *all;
    }
  };
  std::string identity_;
  Writes what_;
};

}  // namespace morsel::inline MORSEL_ABI::detail
