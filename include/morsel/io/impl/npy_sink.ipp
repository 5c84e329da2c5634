#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <deque>
#include <morsel/array/chunk_spec.hpp>
#include <morsel/base/bytes.hpp>
#include <morsel/io/impl/new_file.hpp>
#include <morsel/io/impl/raw_source.ipp>
#include <morsel/io/npy_sink.hpp>
#include <mutex>
#include <tuple>
#include <utility>

namespace morsel::inline MORSEL_ABI {

struct NpySink::Target {
  std::string path, directory, temporary;  // no temporary: not begun, or committed
  SinkSpec spec;
  NpySinkOptions options;
  std::string header;
  RawLayout layout;
  Index file_bytes = 0;
  int fd = -1;
  mode_t mode = 0;  // of the file that is replaced
  bool committed = false;
  std::atomic<bool> begun{false};
  std::mutex begin_mutex;
  std::atomic<Index> written_bytes{0};

  /// Ranges whose write-back was started, oldest first, and what was written since.
  std::mutex behind_mutex;
  std::deque<std::pair<Index, Index>> behind;
  Index recent_begin = INT64_MAX, recent_end = 0, recent_bytes = 0;

  Target() = default;
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;
  ~Target() {
    if (fd >= 0) ::close(fd);
    if (!temporary.empty()) ::unlink(temporary.c_str());
  }

  std::string doing() const { return "writing '" + path + "'"; }
  void begin();
  void reserve();
  void put(const void* data, std::size_t bytes, Index offset, const std::stop_token& stop);
  void put_region(const Region& region, const std::byte* data, const std::stop_token& stop);
  void write_behind(Index begin, Index end, Index bytes);
};

/// Creates the temporary file, unless that is done.
MORSEL_INLINE void NpySink::Target::begin() {
  if (begun.load(std::memory_order_acquire)) return;
  const std::lock_guard lock(begin_mutex);
  if (begun.load(std::memory_order_relaxed)) return;
  std::tie(fd, temporary) = detail::make_temporary(directory, doing());
  try {
    reserve();
    put(header.data(), header.size(), 0, {});
  } catch (...) {
    ::close(std::exchange(fd, -1));
    ::unlink(temporary.c_str());
    temporary.clear();
    throw;
  }
  begun.store(true, std::memory_order_release);
}

/// Reserves the space, so that a full disk shows before hours of work; where the file system cannot, sets the
/// size.
MORSEL_INLINE void NpySink::Target::reserve() {
  int result;
  do result = ::fallocate(fd, 0, 0, static_cast<off_t>(file_bytes));
  while (result != 0 && errno == EINTR);
  if (result == 0) return;
  if (errno == ENOSPC) {
    struct statvfs free {};
    const bool known = ::fstatvfs(fd, &free) == 0;
    fail(Errc::io_error,
         doing() + ": " + std::strerror(ENOSPC) + "; expected room for " + std::to_string(file_bytes) +
             " bytes, got " +
             (known ? std::to_string(static_cast<std::uint64_t>(free.f_bavail) * free.f_frsize) : "fewer"));
  }
  if (::ftruncate(fd, static_cast<off_t>(file_bytes)) != 0)
    fail_errno(errno, doing() + " with " + std::to_string(file_bytes) + " bytes");
}

MORSEL_INLINE void NpySink::Target::put(const void* data, std::size_t bytes, Index offset,
                                        const std::stop_token& stop) {
  const auto* from = static_cast<const std::byte*>(data);
  std::size_t done = 0;
  while (done < bytes) {
    if (stop.stop_requested()) fail(Errc::cancelled, doing() + ": stopped on request");
    const std::size_t want = std::min(bytes - done, 4 * MiB);
    const ssize_t put =
        ::pwrite(fd, from + done, want, static_cast<off_t>(offset) + static_cast<off_t>(done));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0)
      fail(Errc::io_error, doing() + " at offset " + std::to_string(offset) + ": " +
                               std::strerror(put < 0 ? errno : EIO) + "; expected to write " +
                               std::to_string(bytes) + " bytes, got " + std::to_string(done) + " written");
    done += static_cast<std::size_t>(put);
  }
}

/// Writes C-order elements of a region, one call for each contiguous run.
MORSEL_INLINE void NpySink::Target::put_region(const Region& region, const std::byte* data,
                                               const std::stop_token& stop) {
  const detail::Runs runs = detail::runs_of(layout, region);
  Index end = 0;
  detail::for_each_strip(runs, [&](Index offset, Index count, Index stride) {
    for (; count > 0; --count, offset += stride) {
      put(data, runs.run_bytes, offset, stop);
      data += runs.run_bytes;
      end = offset + static_cast<Index>(runs.run_bytes);
    }
    return true;
  });
  write_behind(runs.first, end, region.size() * static_cast<Index>(layout.dtype.item_bytes()));
}

/// Starts write-back each 8 MiB, and waits for what was started 32 MiB (256 MiB where the cache is kept)
/// before.
MORSEL_INLINE void NpySink::Target::write_behind(Index begin, Index end, Index bytes) {
  constexpr Index step_bytes = Index{8} << 20;
  std::pair<Index, Index> start, finish;
  {
    const std::lock_guard lock(behind_mutex);
    recent_begin = std::min(recent_begin, begin);
    recent_end = std::max(recent_end, end);
    recent_bytes += bytes;
    if (recent_bytes < step_bytes) return;
    start = {recent_begin, recent_end};
    recent_begin = INT64_MAX, recent_end = 0, recent_bytes = 0;
    behind.push_back(start);
    if (behind.size() > (options.drop_cache ? 4u : 32u)) {
      finish = behind.front();
      behind.pop_front();
    }
  }
#if defined(SYNC_FILE_RANGE_WRITE)
  ::sync_file_range(fd, start.first, start.second - start.first, SYNC_FILE_RANGE_WRITE);
  if (finish.second > finish.first) {
    ::sync_file_range(fd, finish.first, finish.second - finish.first,
                      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
    if (options.drop_cache)
      ::posix_fadvise(fd, finish.first, finish.second - finish.first, POSIX_FADV_DONTNEED);
  }
#endif
}

MORSEL_INLINE NpySink::NpySink(const std::string& path, const DType& dtype, const Shape& shape,
                               const NpySinkOptions& options)
    : target_(std::make_unique<Target>()) {
  Target& target = *target_;
  target.options = options;
  const std::string doing = "writing '" + std::string(path.c_str()) + "'";
  detail::FileTarget found = detail::file_target(path, doing);
  target.path = std::move(found.path);
  target.directory = std::move(found.directory);
  if (found.exists) {
    if (!options.overwrite)
      fail(Errc::already_exists, doing +
                                     ": the file exists; expected a new name or overwrite, got a file of " +
                                     std::to_string(found.status.st_size) + " bytes");
    target.mode = found.status.st_mode & 07777;
  }

  target.header = make_npy_header(dtype, shape);
  const Index header_bytes = static_cast<Index>(target.header.size());
  target.layout = RawLayout::contiguous(dtype, shape, header_bytes, {});
  target.file_bytes = target.layout.end_bytes();
  target.spec = {dtype, resolve_chunks(ChunkSpec(), shape, dtype.item_bytes()), true};
}

MORSEL_INLINE NpySink::NpySink(NpySink&&) noexcept = default;
MORSEL_INLINE NpySink& NpySink::operator=(NpySink&&) noexcept = default;
MORSEL_INLINE NpySink::~NpySink() = default;

MORSEL_INLINE const SinkSpec& NpySink::spec() const { return target_->spec; }

MORSEL_INLINE std::size_t NpySink::scratch_bytes(const Region& region) const {
  const std::size_t item_bytes = target_->layout.dtype.item_bytes();
  return std::min(static_cast<std::size_t>(region.size()) * item_bytes, std::max(256 * KiB, item_bytes));
}

MORSEL_INLINE void NpySink::write(const Region& region, const BufferView& values,
                                  std::span<std::byte> scratch, std::stop_token stop) {
  Target& target = *target_;
  const std::size_t item_bytes = target.layout.dtype.item_bytes();
  if (!Region::of(target.layout.shape).contains(region) || !(values.shape == region.shape()) ||
      values.item_bytes != item_bytes)
    fail(Errc::internal_error, target.doing() + ": values do not fit the region; expected " +
                                   to_string(region) + " inside " + to_string(target.layout.shape) +
                                   ", got " + to_string(values.shape));
  if (region.size() == 0) return;
  target.begin();
  if (values.is_c_order()) {
    target.put_region(region, values.data, stop);
  } else {
    // Boxes that fit the scratch: whole trailing axes, a piece of one axis, single indices of those before.
    if (scratch.size() < scratch_bytes(region))
      fail(Errc::internal_error, target.doing() + ": too little scratch; expected " +
                                     std::to_string(scratch_bytes(region)) + " bytes, got " +
                                     std::to_string(scratch.size()));
    Dims steps = region.shape();
    std::size_t fits = scratch.size() / item_bytes;
    for (std::size_t i = steps.size(); i-- > 0;) {
      steps[i] = std::min<Index>(steps[i], std::max<Index>(1, static_cast<Index>(fits)));
      fits = steps[i] == values.shape[i] ? fits / static_cast<std::size_t>(steps[i]) : 1;
    }
    Region boxes{Dims(steps.size(), 0), Dims(steps.size())};
    for (std::size_t i = 0; i < steps.size(); ++i) boxes.hi[i] = ceil_div(values.shape[i], steps[i]);
    for_each_position(boxes, [&](const Dims& at) {
      Region box = region;
      for (std::size_t i = 0; i < at.size(); ++i) {
        box.lo[i] = region.lo[i] + at[i] * steps[i];
        box.hi[i] = std::min(region.hi[i], box.lo[i] + steps[i]);
      }
      copy_elements(values.part(region, box), BufferView::c_order(scratch.data(), box.shape(), item_bytes));
      target.put_region(box, scratch.data(), stop);
    });
  }
  target.written_bytes.fetch_add(region.size() * static_cast<Index>(item_bytes), std::memory_order_relaxed);
}

MORSEL_INLINE void NpySink::commit() {
  Target& target = *target_;
  const Index expected = target.file_bytes - static_cast<Index>(target.header.size());
  if (target.committed || target.written_bytes != expected)
    fail(Errc::internal_error, target.doing() + ": not complete, or committed twice; expected " +
                                   std::to_string(expected) + " bytes of elements, got " +
                                   std::to_string(target.written_bytes));
  target.begin();
  if (target.mode != 0) ::fchmod(target.fd, target.mode);
  if (target.options.sync && ::fsync(target.fd) != 0) fail_errno(errno, target.doing());
  if (::close(std::exchange(target.fd, -1)) != 0 && errno != EINTR) fail_errno(errno, target.doing());

  if (!target.options.overwrite)
    detail::give_new_name(target.temporary, target.path, target.doing());
  else if (::rename(target.temporary.c_str(), target.path.c_str()) != 0)
    fail_errno(errno, target.doing());
  target.temporary.clear();
  target.committed = true;
  if (target.options.sync) {
    const int directory = ::open(target.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0) {
      ::fsync(directory);
      ::close(directory);
    }
  }
}

MORSEL_INLINE std::string NpySink::identity() const { return "npy:" + target_->path; }

MORSEL_INLINE std::vector<std::string> NpySink::files() const { return {target_->path}; }

}  // namespace morsel::inline MORSEL_ABI
