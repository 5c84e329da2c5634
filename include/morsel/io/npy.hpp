// NumPy's .npy files: the header, read and written, and the array behind it.
#pragma once

#include <cstddef>
#include <morsel/io/opened_array.hpp>
#include <morsel/io/raw_source.hpp>
#include <span>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// What the header of a .npy file says.
struct NpyHeader {
  DType dtype;
  Shape shape;
  bool fortran_order = false;
  std::vector<Mend> mends;  ///< turn stored elements into native ones, members of either byte order included
  Index data_offset = 0;    ///< bytes from the start of the file to the first element
  Index data_bytes = 0;     ///< bytes of all elements

  /// The elements as they stand at `offset` bytes into a file; reversed shape in Fortran order.
  RawLayout layout(Index offset) const;
  /// The array as a view of a source of `layout`.
  View view() const;
};

/// Bytes that surely hold the magic, the version and the header's length.
inline constexpr std::size_t npy_prefix_bytes = 12;

/// Bytes of the whole header, from its first `npy_prefix_bytes` (fewer if the file is shorter). `doing`
/// starts every message. **Fails**: corrupt_data; unsupported for an unknown version or a header beyond 1
/// MiB.
std::size_t npy_header_bytes(std::span<const std::byte> prefix, const std::string& doing);

/// The header at the start of `bytes`. Reads nothing outside of them, whatever they are.
/// **Fails**: corrupt_data; unsupported for object arrays, named as such.
/// **Source**: numpy.lib.format, versions 1.0, 2.0 and 3.0.
NpyHeader parse_npy_header(std::span<const std::byte> bytes,
                           const std::string& doing = "reading a .npy header");

/// The bytes that NumPy writes before the elements of an array, padded to a multiple of 64. Types that NumPy
/// does not have become the integer they are stored as, complex ones of those a record (re, im). **Fails**:
/// unsupported.
std::string make_npy_header(const DType& dtype, const Shape& shape, ElementOrder order = ElementOrder::C);

struct NpyOptions {
  FileAccess access = FileAccess::pread;
  bool drop_cache = false;
  /// Elements of bool stay the bytes they are, for copies that must equal the file; they are not values to
  /// compute with if one is neither 0 nor 1.
  bool keep_bool_bytes = false;
};

/// The array in a .npy file; bytes after it are ignored. In Fortran order the source has the reversed shape,
/// and the view transposes it. **Fails**: not_found; io_error; corrupt_data, also for a file shorter than its
/// header says; unsupported. **Cost**: two small reads.
OpenedArray open_npy(const std::string& path, const NpyOptions& options = {});

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/npy.ipp>
#endif
