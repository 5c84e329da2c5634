// Numbers packed by the CF conventions (NetCDF, and Zarr written by xarray): fill values, valid ranges, scale
// and offset, decoded lazily.
#pragma once

#include <morsel/api/lazy_array.hpp>
#include <morsel/io/format.hpp>

namespace morsel::inline MORSEL_ABI {

/// The values that a packed array stands for, by its attributes: `stored * scale_factor + add_offset`, and
/// NaN where the stored element is `_FillValue` or one of `missing_value`, or outside of `valid_min`,
/// `valid_max` or `valid_range`; `_Unsigned` has integers of the other signedness in mind. These attributes
/// go; the array stays as it is if it has none of them or is not of real numbers.
///
/// The result's type is xarray's. With a scale or an offset: theirs, if both are there and of one type
/// (float64 for integers of 4 bytes), float64 for an offset of another type or alone, the scale's where it is
/// alone; float64 where that is no floating type. Else, where elements may be missing: floats as they are,
/// float32 for integers of 1 and 2 bytes, float64 for longer ones.
///
/// `types`: those of the attributes where the file says more than JSON; others are int64 or float64.
/// **Source**: CF Conventions 1.11, 2.5.1 and 8.1; NetCDF User's Guide, appendix A (`valid_range` of a
/// wider type than the stored one is of decoded values).
AnyLazyArray mask_and_scale(const AnyLazyArray& packed, const AttributeTypes& types = {});

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/mask_and_scale.ipp>
#endif
