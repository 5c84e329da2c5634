// Elements at fixed distances in a file, as a source: what raw files, .npy files and stored .npz members have
// in common.
#pragma once

#include <cstdint>
#include <memory>
#include <morsel/io/chunk_source.hpp>
#include <morsel/io/file.hpp>
#include <morsel/io/opened_array.hpp>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// How the bytes of a file reach an evaluation.
enum class FileAccess : std::uint8_t {
  pread,  ///< read into memory of the budget; the default
  map  ///< lent straight from a mapping where elements need no mending; a file that is cut short during a run
       ///< ends the program with SIGBUS
};

/// Which index runs fastest in storage: the last (C) or the first (F).
enum class ElementOrder : std::uint8_t { C, F };

/// One repair that makes a stored element a native one.
struct Mend {
  enum class Kind : std::uint8_t {
    swap,           ///< reverse the bytes of `count` units of `unit_bytes`
    boolean,        ///< make `count` bytes 0 or 1
    unsigned_bits,  ///< `count` native integers of `unit_bytes`: the value is the `bits` from bit `shift` on
    signed_bits,    ///< ... the highest of them its sign
    text_to_nul,    ///< `count` strings of `unit_bytes`: zeros from the first one on
    text_to_spaces  ///< ... zeros for the spaces at the end
  };
  Kind kind = Kind::swap;
  std::size_t offset_bytes = 0;  ///< within the element
  std::size_t unit_bytes = 1;
  std::size_t count = 0;
  std::uint8_t shift = 0, bits = 0;  ///< of *_bits
  friend bool operator==(const Mend&, const Mend&) = default;
};

/// The repairs of elements of `dtype` that are stored with the other byte order (`swapped`) or the native
/// one; bytes of bool are always made 0 or 1, members of records included.
std::vector<Mend> mends_of(const DType& dtype, bool swapped);

/// Where elements stand in a file.
struct RawLayout {
  DType dtype;
  Shape shape;
  Dims strides;            ///< bytes; in C order, positive, elements apart
  Index offset_bytes = 0;  ///< of the first element
  std::vector<Mend> mends;

  /// Elements one after another.
  static RawLayout contiguous(DType dtype, const Shape& shape, Index offset_bytes, std::vector<Mend> mends);
  /// One past the last byte of the last element; `offset_bytes` if there is none. **Fails**: overflow.
  Index end_bytes() const;
};

struct RawSourceOptions {
  std::string format = "memmap";
  std::string identity;     ///< which data; the file's path is the caller's to include
  std::string order = "C";  ///< for `info`
  FileAccess access = FileAccess::pread;
  bool drop_cache = false;  ///< `release` drops the page cache of the region
  std::vector<std::string> dims;
  Attributes attributes;
  std::vector<std::byte> fill;  ///< for `info`
};

/// Reads any region, run after run, straight into the room; short runs with small gaps between them are read
/// together and picked apart.
class RawSource {
 public:
  /// **Fails**: corrupt_data if the file ends before the last element; overflow.
  RawSource(File file, RawLayout layout, RawSourceOptions options);

  const ArraySpec& spec() const { return spec_; }
  const RawLayout& layout() const { return layout_; }
  FetchCost cost(const Dims& chunk, const Region& region) const;
  Fetched fetch(const Dims& chunk, const Region& region, std::span<std::byte> room, FetchMode mode,
                std::stop_token stop) const;
  void decode(const Dims& chunk, const Region& region, std::span<const std::byte> encoded, BufferView out,
              std::span<std::byte> scratch) const;
  BufferView lend(const Region& region) const;
  void release(const Region& region) const;
  Index requests(const Dims& chunk, const Region& region) const;
  std::string identity() const { return options_.identity; }
  std::string version() const { return file_.version(); }
  std::vector<std::string> files() const { return {file_.path()}; }

 private:
  File file_;
  RawLayout layout_;
  RawSourceOptions options_;
  ArraySpec spec_;
  std::shared_ptr<std::byte> mapping_;
};
static_assert(LendsRegions<RawSource> && ReleasesRegions<RawSource>);

namespace detail {
// The three steps of RawSource, for sources of which parts lie in a file as elements do.
/// Elements of a region in C order, as they are stored, into `room`.
Fetched fetch_raw(const File& file, const RawLayout& layout, const Region& region, std::span<std::byte> room,
                  FetchMode mode, const std::stop_token& stop);
/// How many reads that takes.
Index requests_raw(const RawLayout& layout, const Region& region);
/// Elements of a region in C order, as they are stored, to native ones in `out`.
void decode_raw(const RawLayout& layout, const std::string& path, const Region& region,
                std::span<const std::byte> encoded, const BufferView& out);
}  // namespace detail

/// A shape from back to front.
Shape reversed(const Shape& shape);

/// The view of an array whose first `outer` axes stand in reversed order in a source of shape `stored`.
View reversing_view(const Shape& stored, std::size_t outer);

/// Applies `mends` to `count` contiguous elements.
void mend_elements(const std::vector<Mend>& mends, void* elements, std::size_t count, std::size_t item_bytes);
/// ... or to the elements of a view.
void mend_elements(const std::vector<Mend>& mends, const BufferView& elements);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/raw_source.ipp>
#endif
