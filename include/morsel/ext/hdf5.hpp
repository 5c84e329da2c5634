// HDF5 files, and the formats that are HDF5 underneath: NetCDF-4, NeXus, AnnData, MATLAB 7.3.
#pragma once

#include <memory>
#include <morsel/array/attributes.hpp>
#include <morsel/array/dims.hpp>
#include <morsel/io/codec_info.hpp>
#include <morsel/io/format.hpp>
#include <optional>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

namespace hdf5 {

/// Makes `open`, `open_any` and the command know HDF5 files: `open<float>("data.h5/entry/data")`. Calling it
/// again changes nothing. **Threads**: any.
void enable();

/// What the calling thread has libhdf5 do at the moment, as "open 'a.h5/x'", or null. For handlers of
/// signals, and safe in them: libhdf5 1.10 does not check all that a damaged file says, and can crash.
const char* doing_in_libhdf5() noexcept;

/// A dataset of strings of variable length, which are no elements of a lazy array: described, and read one by
/// one. **Threads**: any, one after the other.
class Strings {
 public:
  /// The dataset at a path; nothing if it is none, or its elements are something else. **Fails**: as
  /// open_path.
  static std::optional<Strings> open(const std::string& path);

  const Shape& shape() const;
  const Shape& chunks() const;  ///< as stored; empty: the dataset has none
  const std::vector<std::string>& dims() const;
  const Attributes& attributes() const;
  const std::vector<CodecInfo>& codecs() const;
  /// The string at an index. Reads some hundred of its neighbours along the last axis at once, and keeps
  /// them.
  /// **Fails**: corrupt_data; source_changed; out_of_range.
  const std::string& at(const Dims& index) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace hdf5

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/ext/impl/hdf5.ipp>
#endif
