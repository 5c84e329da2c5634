// NetCDF classic files (CDF-1, CDF-2, CDF-5): the header, and the variables behind it.
#pragma once

#include <morsel/io/format.hpp>
#include <morsel/io/raw_source.hpp>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

struct NetcdfDimension {
  std::string name;
  Index length = 0;        ///< of the record dimension: the number of records
  bool is_record = false;  ///< the one that may grow
};

struct NetcdfAttribute {
  std::string name;
  DType dtype;       ///< of its values; "S1" for text
  std::string json;  ///< text, one number, or a list of them; null if it is too large to read
};

struct NetcdfVariable {
  std::string name;
  DType dtype;  ///< "S1" for characters, which are elements of their own
  std::vector<std::size_t> dimensions;
  std::vector<NetcdfAttribute> attributes;
  Index begin = 0;  ///< bytes from the start of the file to the first element
  bool is_record = false;
  std::vector<std::byte> fill;  ///< one native element of `_FillValue`, if that is of the same type
};

/// What the header of a file says.
struct NetcdfHeader {
  int version = 1;         ///< 1, 2 or 5
  Index bytes = 0;         ///< of the header itself
  Index records = 0;       ///< a file that was written as a stream does not say: as many as it holds
  Index record_bytes = 0;  ///< from one record to the next
  std::vector<NetcdfDimension> dimensions;
  std::vector<NetcdfAttribute> attributes;
  std::vector<NetcdfVariable> variables;

  /// Null if there is none.
  const NetcdfVariable* find(std::string_view name) const;
  /// Where the elements of a variable of this header stand. **Fails**: unsupported for more than 32 axes;
  /// overflow.
  RawLayout layout(const NetcdfVariable& variable) const;
  /// Names of a variable's axes; a name that stands twice is left out the second time.
  std::vector<std::string> dims(const NetcdfVariable& variable) const;
};

/// The header of a file. Sizes of variables in it (vsize) are redundant, wrong in files with large variables,
/// and not looked at. `doing` starts every message.
///
/// **Fails**: corrupt_data; unsupported for other versions and headers beyond 256 MiB; overflow.
/// **Source**: The NetCDF Classic Format Specification; CDF-5 by its extension in PnetCDF.
NetcdfHeader read_netcdf_header(const File& file, const std::string& doing);

/// The variable `name` of a file. Records of several variables alternate: a variable's own are read together
/// where the bytes between them are fewer than a page.
///
/// **Fails**: not_found naming the variables there are; corrupt_data, also for a file shorter than its header
/// says. **Cost**: the header, which is kept for the last few files if it is no longer than 4 MiB.
OpenedArray open_netcdf(const std::string& path, const std::string& name,
                        FileAccess access = FileAccess::pread, bool drop_cache = false);

namespace detail {
Format netcdf_format();
}

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/netcdf.ipp>
#endif
