#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <morsel/base/bytes.hpp>
#include <morsel/io/spill_file.hpp>

namespace morsel::inline MORSEL_ABI {
namespace detail {

/// Calls f(byte offset in the file, first byte in C order of the region, bytes) for each run of a region that
/// lies together in a C-order array.
template <class F>
void for_each_run(const Shape& shape, std::size_t item, const Region& region, F&& f) {
  const Dims strides = c_strides(shape, static_cast<Index>(item));
  std::size_t axis = shape.size();  // axes from here on make one run
  Index run = static_cast<Index>(item);
  while (axis > 0) {
    --axis;
    run *= region.hi[axis] - region.lo[axis];
    if (region.hi[axis] - region.lo[axis] != shape[axis]) break;
  }
  Region starts = region;
  for (std::size_t i = axis; i < shape.size(); ++i) starts.hi[i] = starts.lo[i] + 1;
  Index done = 0;
  for_each_position(starts, [&](const Dims& at) {
    Index offset = 0;
    for (std::size_t i = 0; i < at.size(); ++i) offset += at[i] * strides[i];
    f(offset, done, run);
    done += run;
  });
}

class SpillSource {
 public:
  explicit SpillSource(std::shared_ptr<const SpillFile> file) : file_(std::move(file)) {
    spec_.dtype = file_->dtype();
    spec_.grid = Grid::whole(file_->shape());
    spec_.reads_regions = true;
    spec_.format = "spill";
  }
  const ArraySpec& spec() const { return spec_; }
  FetchCost cost(const Dims&, const Region& region) const {
    return {static_cast<std::size_t>(region.size()) * spec_.dtype.item_bytes(), 0, true, true};
  }
  Fetched fetch(const Dims&, const Region& region, std::span<std::byte> room, FetchMode,
                std::stop_token) const {
    const Index requests = file_->read(region, room);
    return {Fetched::State::filled, static_cast<std::size_t>(region.size()) * spec_.dtype.item_bytes(),
            requests};
  }
  Index requests(const Dims&, const Region& region) const {
    Index requests = 0;
    for_each_run(spec_.shape(), spec_.dtype.item_bytes(), region, [&](Index, Index, Index) { ++requests; });
    return requests;
  }
  void decode(const Dims&, const Region&, std::span<const std::byte>, BufferView,
              std::span<std::byte>) const {}
  std::string identity() const {
    return "spill:" + std::to_string(reinterpret_cast<std::uintptr_t>(file_.get()));
  }
  std::string version() const { return ""; }

 private:
  std::shared_ptr<const SpillFile> file_;
  ArraySpec spec_;
};

}  // namespace detail

MORSEL_INLINE std::string spill_folder() {
  for (const char* name : {"MORSEL_SPILL_DIR", "TMPDIR"})
    if (const char* value = std::getenv(name); value && *value) return value;
  return "/tmp";
}

MORSEL_INLINE SpillFile::SpillFile(DType dtype, const Shape& shape)
    : dtype_(std::move(dtype)), shape_(shape) {}

MORSEL_INLINE SpillFile::~SpillFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

MORSEL_INLINE void SpillFile::create() {
  if (descriptor_ >= 0) return;
  const std::string folder = spill_folder();
  descriptor_ = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor_ < 0) {
    // Not every file system has nameless files.
    std::string name = folder + "/.morsel-spill-XXXXXX";
    descriptor_ = ::mkstemp(name.data());
    if (descriptor_ < 0) fail_errno(errno, "making a spill file in '" + folder + "'");
    ::unlink(name.c_str());
  }
}

MORSEL_INLINE void SpillFile::write(const Region& region, const BufferView& values) {
  if (!values.is_c_order())
    fail(Errc::internal_error, "writing to the spill file: values are not in C order");
  const std::byte* data = values.data;
  detail::for_each_run(shape_, dtype_.item_bytes(), region, [&](Index offset, Index begin, Index bytes) {
    while (bytes > 0) {
      const ssize_t n = ::pwrite(descriptor_, data + begin, static_cast<std::size_t>(bytes), offset);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0)
        fail_errno(n < 0 ? errno : EIO,
                   "writing " + format_bytes(static_cast<std::size_t>(bytes)) + " to the spill file");
      offset += n;
      begin += n;
      bytes -= n;
    }
  });
}

MORSEL_INLINE Index SpillFile::read(const Region& region, std::span<std::byte> room) const {
  Index requests = 0;
  detail::for_each_run(shape_, dtype_.item_bytes(), region, [&](Index offset, Index begin, Index bytes) {
    ++requests;
    while (bytes > 0) {
      const ssize_t n = ::pread(descriptor_, room.data() + begin, static_cast<std::size_t>(bytes), offset);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail_errno(errno, "reading the spill file");
      if (n == 0)
        fail(Errc::io_error,
             "reading the spill file: it ends early; expected " + std::to_string(bytes) + " more bytes");
      offset += n;
      begin += n;
      bytes -= n;
    }
  });
  return requests;
}

MORSEL_INLINE AnyChunkSource spill_source(std::shared_ptr<const SpillFile> file) {
  return detail::SpillSource(std::move(file));
}

}  // namespace morsel::inline MORSEL_ABI
