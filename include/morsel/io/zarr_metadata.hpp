// What the documents of Zarr and N5 say of an array.
#pragma once

#include <morsel/array/attributes.hpp>
#include <morsel/array/grid.hpp>
#include <morsel/io/codec_registry.hpp>
#include <morsel/io/raw_source.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// How chunks are called. **Source**: Zarr v3, chunk key encodings; Zarr v2; N5 (fastest axis first).
struct ChunkKeys {
  enum class Style : std::uint8_t { v3, v2, n5 };
  Style style = Style::v3;
  char separator = '/';
  /// "c/1/2", "1.2", "2/1"; below the array's own path.
  std::string key(const Dims& chunk) const;
  friend bool operator==(const ChunkKeys&, const ChunkKeys&) = default;
};

/// An array as its document describes it, whatever the format.
struct ZarrArray {
  std::string format = "zarr_v3";  ///< "zarr_v3", "zarr_v2", "n5"
  DType dtype;
  Grid grid;  ///< of the stored chunks, clipped to the array; its shape is the array's
  /// Of every stored chunk; where the grid is rectilinear, of the longest along each axis.
  Shape chunk_shape;
  /// Rectilinear axes: stored length of each chunk that overlaps the array; empty for regular ones.
  std::vector<std::vector<Index>> chunk_lengths;
  /// True if chunks at the array's edge are stored clipped to it, along axes that are regular.
  bool is_bounded = false;
  ChunkKeys keys;
  std::vector<std::byte> fill;  ///< one element, native byte order
  std::vector<Mend> mends;      ///< of records whose members are stored in different byte orders; else empty
  std::vector<CodecInfo> codecs;  ///< from the array to the stored bytes, in the registry's names
  std::vector<std::string> dims;  ///< names of all axes ("" for one without), or empty
  Attributes attributes;

  /// The shape in which the chunk at a grid position is stored: edge chunks are not clipped.
  Shape stored_shape(const Dims& chunk) const;
};

/// What can be said of an array that cannot be opened.
struct RefusedArray {
  std::optional<Shape> shape;
  std::string dtype;  ///< as the document spells it
};

/// `zarray` and `zattrs` ("" if there is none): the texts of .zarray and .zattrs. `doing` starts every
/// message; `refused`, if given, learns what a failing call has read.
///
/// A fill value of null is zero; a negative one of an unsigned type wraps around as NumPy's casts do.
/// **Fails**: corrupt_data for what is no such document; unsupported naming the dtype, the codec or the
/// member that must be understood; overflow for sizes beyond 2^63.
ZarrArray parse_zarr_v2(std::string_view zarray, std::string_view zattrs, const std::string& doing,
                        RefusedArray* refused = nullptr);
/// The text of an array's zarr.json.
ZarrArray parse_zarr_v3(std::string_view zarr_json, const std::string& doing,
                        RefusedArray* refused = nullptr);
/// The text of an N5 data set's attributes.json. The shape is in C order: dimensions reversed.
ZarrArray parse_n5(std::string_view attributes_json, const std::string& doing,
                   RefusedArray* refused = nullptr);

/// The document zarr.json of an array. **Fails**: unsupported for a dtype or chunk keys that the format has
/// no name for.
std::string zarr_v3_json(const ZarrArray& array);
/// The documents .zarray and .zattrs of an array. **Fails**: unsupported for a dtype, codec, grid or chunk
/// keys that the format cannot say.
struct ZarrV2Documents {
  std::string zarray, zattrs;
};
ZarrV2Documents zarr_v2_json(const ZarrArray& array);

/// The dtype that Zarr v3 calls `data_type` (JSON text: "\"int16\"" or {"name", "configuration"}).
/// **Fails**: unsupported; corrupt_data.
DType parse_zarr_v3_dtype(std::string_view data_type, const std::string& doing);
/// The JSON text of a dtype's Zarr v3 name. **Fails**: unsupported.
std::string zarr_v3_dtype_json(const DType& dtype);
/// The JSON text of an element as Zarr v3 writes a fill value: "NaN" or the bits of other NaNs, [re, im].
std::string zarr_v3_fill_json(const DType& dtype, std::span<const std::byte> element);

namespace detail {
/// One element from such a text, in which words need no quotes; zero from "". **Fails**: corrupt_data.
std::vector<std::byte> fill_of_text(const std::string& text, const DType& dtype, const std::string& doing);
}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/zarr_metadata.ipp>
#endif
