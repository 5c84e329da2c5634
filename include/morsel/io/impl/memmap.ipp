#pragma once

#include <bit>
#include <morsel/io/memmap.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// What is stored: elements of `dtype` with the inner extents `inner`, `step_bytes` apart, `lead_bytes` into
/// each step.
struct StoredElement {
  DType dtype;
  Shape inner;
  Index step_bytes = 0, lead_bytes = 0;
};

MORSEL_INLINE StoredElement stored_element(const std::string& doing, const std::optional<DType>& dtype,
                                           const MemmapOptions& options) {
  StoredElement element;
  if (options.field.empty()) {
    if (options.record.is_record())
      fail(Errc::invalid_argument,
           doing + ": a record without a field; expected the name of one of its fields, got none");
    const std::optional<DType>& wanted = dtype ? dtype : options.dtype;
    if (!wanted) fail(Errc::invalid_argument, doing + ": no element type; expected a dtype, got none");
    element.dtype = *wanted;
    const Index item_bytes = static_cast<Index>(element.dtype.item_bytes());
    element.step_bytes = options.record_bytes == 0 ? item_bytes : options.record_bytes;
    element.lead_bytes = options.field_offset;
    if (element.lead_bytes < 0 ||
        checked_add(element.lead_bytes, item_bytes, "field offset") > element.step_bytes)
      fail(Errc::invalid_argument,
           doing + ": the element does not lie inside its record; expected field_offset + " +
               std::to_string(item_bytes) + " <= " + std::to_string(element.step_bytes) +
               " bytes, got field_offset " + std::to_string(element.lead_bytes));
  } else {
    if (options.record_bytes != 0 || options.field_offset != 0)
      fail(Errc::invalid_argument, doing +
                                       ": the field is given twice; expected either its name or record_bytes "
                                       "and field_offset, got both");
    const Field* found = nullptr;
    std::string names;
    for (const Field& field : options.record.fields()) {
      if (field.name == options.field) found = &field;
      names += (names.empty() ? "" : ", ") + field.name;
    }
    if (!found)
      fail(Errc::invalid_argument,
           doing + ": no such field; expected " +
               (names.empty() ? "a record dtype in options.record" : "one of " + names) + ", got '" +
               options.field + "'");
    element.dtype = found->dtype;
    element.inner = found->shape;
    element.step_bytes = static_cast<Index>(options.record.item_bytes());
    element.lead_bytes = static_cast<Index>(found->offset_bytes);
  }
  for (const std::optional<DType>* other : {&dtype, &options.dtype})
    if (*other && !(**other == element.dtype))
      fail(Errc::dtype_mismatch,
           doing + ": element types differ; expected " + (**other).name() + ", got " + element.dtype.name());
  return element;
}

/// `shape` with an extent of -1 replaced by what the file holds.
MORSEL_INLINE Shape resolve_shape(const std::string& doing, Shape shape, Index offset, Index step_bytes,
                                  Index file_bytes) {
  if (offset < 0 || offset > file_bytes)
    fail(Errc::invalid_argument, doing + ": offset outside the file; expected 0 to " +
                                     std::to_string(file_bytes) + " bytes, got " + std::to_string(offset));
  std::optional<std::size_t> unknown;
  Index step = step_bytes;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] < -1 || (shape[i] == -1 && unknown))
      fail(Errc::invalid_argument,
           doing + ": impossible shape; expected extents >= 0 and at most one -1, got " + to_string(shape));
    if (shape[i] == -1)
      unknown = i;
    else
      step = checked_mul(step, shape[i], "array bytes");
  }
  if (!unknown) return shape;
  const Index bytes = file_bytes - offset;
  if (step == 0)
    fail(Errc::invalid_argument,
         doing + ": the extent -1 has no meaning where another is 0; expected all extents, got " +
             to_string(shape));
  if (bytes % step != 0)
    fail(Errc::corrupt_data, doing + ": the file does not hold a whole number of steps for shape " +
                                 to_string(shape) + "; expected a multiple of " + std::to_string(step) +
                                 " bytes after offset " + std::to_string(offset) + ", got " +
                                 std::to_string(bytes) + " (remainder " + std::to_string(bytes % step) + ")");
  shape[*unknown] = bytes / step;
  return shape;
}

MORSEL_INLINE std::string describe(const RawLayout& layout) {
  std::string text = "offset=" + std::to_string(layout.offset_bytes) + "&dtype=" + layout.dtype.numpy() +
                     "&shape=" + to_string(layout.shape) + "&strides=" + to_string(layout.strides);
  for (const Mend& mend : layout.mends)
    text += std::string(mend.kind == Mend::Kind::swap ? "&swap=" : "&bool=") +
            std::to_string(mend.offset_bytes) + "+" + std::to_string(mend.count) + "x" +
            std::to_string(mend.unit_bytes);
  return text;
}

MORSEL_INLINE OpenedArray open_memmap(const std::string& path, const std::optional<DType>& dtype,
                                      const MemmapOptions& options) {
  // 1. what an element is  2. the shape, from the file where asked  3. strides in the order of storage
  const std::string doing = "opening '" + path + "' as raw data";
  StoredElement element = stored_element(doing, dtype, options);
  File file(path);
  const Shape shape =
      resolve_shape(doing, options.shape, options.offset, element.step_bytes, file.size_bytes());
  const bool fortran = options.order == ElementOrder::F && shape.size() > 1;

  RawLayout layout;
  layout.shape = fortran ? reversed(shape) : shape;
  layout.strides = c_strides(layout.shape, element.step_bytes);
  const Dims inner_strides = c_strides(element.inner, static_cast<Index>(element.dtype.item_bytes()));
  for (std::size_t i = 0; i < element.inner.size(); ++i) {
    layout.shape.push_back(element.inner[i]);
    layout.strides.push_back(inner_strides[i]);
  }
  size_of(layout.shape);  // refuses too many axes before anything is computed from them
  layout.offset_bytes = checked_add(options.offset, element.lead_bytes, "offset");
  const bool swapped = options.byte_order != ByteOrder::native &&
                       (options.byte_order == ByteOrder::big) != (std::endian::native == std::endian::big);
  layout.mends = mends_of(element.dtype, swapped);
  layout.dtype = std::move(element.dtype);
  if (size_of(layout.shape) == 0) layout.offset_bytes = options.offset;

  RawSourceOptions source;
  source.format = "memmap";
  source.identity = "memmap:" + file.path() + "?" + describe(layout);
  source.order = fortran ? "F" : "C";
  source.access = options.access;
  source.drop_cache = options.drop_cache;
  View view = fortran ? reversing_view(layout.shape, shape.size()) : View::identity(layout.shape);
  return {RawSource(std::move(file), std::move(layout), std::move(source)), std::move(view)};
}

}  // namespace detail

MORSEL_INLINE OpenedArray open_memmap(const std::string& path, const DType& dtype,
                                      const MemmapOptions& options) {
  return detail::open_memmap(path, std::optional<DType>(dtype), options);
}

MORSEL_INLINE OpenedArray open_memmap(const std::string& path, const MemmapOptions& options) {
  return detail::open_memmap(path, std::nullopt, options);
}

}  // namespace morsel::inline MORSEL_ABI
