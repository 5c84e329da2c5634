// What a user may ask for as chunks, with dask's rules, and the grid it means for a shape.
#pragma once

#include <concepts>
#include <initializer_list>
#include <morsel/array/dtype.hpp>
#include <morsel/array/grid.hpp>
#include <optional>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// Chunks along one axis: a length, -1 for the whole axis, "auto", a byte size such as "64MiB", or a list of
/// lengths.
struct AxisChunks {
  enum class Kind : std::uint8_t { length, automatic, bytes, lengths };
  Kind kind = Kind::automatic;
  Index length = 0;
  Index first = 0;  ///< length: that of the first chunk, where it is another
  std::size_t target_bytes = 0;
  std::vector<Index> lengths;

  AxisChunks() = default;
  template <std::integral I>
  AxisChunks(I n)
      : kind(Kind::length), length(static_cast<Index>(n)) {}  // NOLINT(google-explicit-constructor)
  AxisChunks(const char* text);                               // NOLINT(google-explicit-constructor)
  AxisChunks(std::vector<Index> list) : kind(Kind::lengths), lengths(std::move(list)) {}  // NOLINT
  AxisChunks(std::initializer_list<Index> list) : kind(Kind::lengths), lengths(list) {}   // NOLINT
};

/// Chunks of an array: nothing (native, or "auto" where there are none), one value for all axes, or one per
/// axis.
class ChunkSpec {
 public:
  ChunkSpec() = default;
  template <std::integral I>
  ChunkSpec(I n) : all_(AxisChunks(n)) {}                         // NOLINT(google-explicit-constructor)
  ChunkSpec(const char* text) : ChunkSpec(parse(text)) {}         // NOLINT(google-explicit-constructor)
  ChunkSpec(const std::string& text) : ChunkSpec(parse(text)) {}  // NOLINT(google-explicit-constructor)
  ChunkSpec(std::initializer_list<AxisChunks> axes) : axes_(std::vector<AxisChunks>(axes)) {}  // NOLINT
  ChunkSpec(std::vector<AxisChunks> axes) : axes_(std::move(axes)) {}                          // NOLINT
  static ChunkSpec of(const Grid& grid);
  /// Text as on a command line: "100,100,-1", "auto", "64MiB", "(10,20,30),5", with or without parentheses
  /// around all of it. **Fails**: syntax_error.
  static ChunkSpec parse(std::string_view text);

  bool is_default() const { return !all_ && !axes_; }
  const std::optional<AxisChunks>& all() const { return all_; }
  const std::optional<std::vector<AxisChunks>>& axes() const { return axes_; }

 private:
  std::optional<AxisChunks> all_;
  std::optional<std::vector<AxisChunks>> axes_;
};

/// The grid that `spec` means for an array. "auto" depends on shape, dtype and native chunks alone: whole
/// native chunks, or runs of C-order rows, 1 to 16 MiB where possible; a byte size sets the target in place
/// of that. The default is the native grid if there is one, else "auto". Lengths longer than the axis are cut
/// to it. Several plain lengths for an array of one axis are the list of its chunks.
/// **Fails**: invalid_argument naming axis, expected and got.
Grid resolve_chunks(const ChunkSpec& spec, const Shape& shape, std::size_t item_bytes,
                    const Grid* native = nullptr);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/array/impl/chunk_spec.ipp>
#endif
