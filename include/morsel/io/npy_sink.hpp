// Writes a .npy file region by region; it appears under its name whole or not at all.
#pragma once

#include <memory>
#include <morsel/io/chunk_sink.hpp>
#include <morsel/io/npy.hpp>
#include <string>

namespace morsel::inline MORSEL_ABI {

struct NpySinkOptions {
  bool overwrite = false;   ///< replace a file of that name; otherwise it is refused
  bool sync = false;        ///< `commit` returns only when the file is on the disk
  bool drop_cache = false;  ///< keep what was written out of the page cache, for runs inside a memory cgroup
};

/// A C-order .npy file. It grows under a hidden temporary name in the target's directory, created by the
/// first `write` with all its space reserved, and takes its name in `commit`. Dirty pages are written back as
/// it goes, so that they do not pile up.
class NpySink {
 public:
  /// **Fails**: already_exists; not_found or io_error for a directory that is absent or not writable;
  /// invalid_argument for a target that is no regular file; unsupported for a dtype that .npy cannot hold.
  NpySink(const std::string& path, const DType& dtype, const Shape& shape,
          const NpySinkOptions& options = {});
  NpySink(NpySink&&) noexcept;
  NpySink& operator=(NpySink&&) noexcept;
  ~NpySink();

  const SinkSpec& spec() const;
  /// Room to bring elements that are not contiguous into order: at most 256 KiB, or one element.
  std::size_t scratch_bytes(const Region& region) const;
  /// **Fails**: io_error, with path and bytes, when the disk is full; cancelled.
  void write(const Region& region, const BufferView& values, std::span<std::byte> scratch,
             std::stop_token stop);
  /// **Fails**: io_error; already_exists if the target has come into being meanwhile.
  void commit();
  std::string identity() const;
  std::vector<std::string> files() const;

 private:
  struct Target;
  std::unique_ptr<Target> target_;
};
static_assert(ChunkSink<NpySink>);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/npy_sink.ipp>
#endif
