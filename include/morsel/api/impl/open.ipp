#pragma once

#include <filesystem>
#include <morsel/api/coordinates.hpp>
#include <morsel/api/mask_and_scale.hpp>
#include <morsel/api/open.hpp>
#include <morsel/io/attributes_json.hpp>
#include <morsel/io/field_source.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

MORSEL_INLINE void require_opened(const AnyLazyArray& array, std::string_view path, Type asked) {
  if (array.dtype() == DType(asked)) return;
  const std::string place(path), type(name_of(asked));
  fail(Errc::dtype_mismatch, "open '" + place + "': its elements are of another type; expected open of " +
                                 array.dtype().name() + ", got open of " + type +
                                 (array.dtype().is_numeric() ? " (open_any(path).as<T>() converts)" : ""));
}

MORSEL_INLINE AnyLazyArray from_opened(OpenedArray opened, const ChunkSpec& chunks,
                                       std::vector<std::string> dims, std::string name) {
  const ArraySpec& spec = opened.source.spec();
  Attributes attrs = spec.attributes;
  if (dims.empty() && !spec.dims.empty()) {
    // A source names its own axes; the view may show them in another order.
    dims.resize(opened.view.rank());
    for (std::size_t i = 0; i < opened.view.maps.size(); ++i)
      if (opened.view.maps[i].kind != AxisMap::Kind::constant)
        dims[static_cast<std::size_t>(opened.view.maps[i].axis)] = spec.dims[i];
  }
  Edge edge = make_source(std::move(opened.source), opened.view, chunks, std::move(name));
  return AnyLazyArray(std::move(edge), std::move(dims), std::move(attrs));
}

MORSEL_INLINE std::string last_part(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const std::size_t slash = path.rfind('/');
  return std::string(slash == path.npos ? path : path.substr(slash + 1));
}

}  // namespace detail

namespace detail {

MORSEL_INLINE AnyLazyArray array_or_field(OpenedArray opened, const OpenOptions& options,
                                          const std::string& full) {
  // Chunks and names are of the member, where one is asked for.
  const bool whole = options.field.empty();
  AnyLazyArray array = from_opened(std::move(opened), whole ? options.chunks : ChunkSpec(),
                                   whole ? options.dims : std::vector<std::string>(), last_part(full));
  if (whole) return array;
  array = field(array, options.field).rechunk(options.chunks);
  return options.dims.empty() ? array : array.with_dims(options.dims);
}

MORSEL_INLINE std::string with_dataset(std::string_view path, const OpenOptions& options) {
  if (options.dataset.empty()) return std::string(path);
  return path.empty() ? options.dataset : std::string(path) + "/" + options.dataset;
}

}  // namespace detail

namespace detail {

/// xarray has the fill value of an array in Zarr version 2 as its attribute. That of zero says nothing: it
/// is also there where none was chosen.
MORSEL_INLINE AnyLazyArray with_zarr_fill(const AnyLazyArray& array, const std::vector<std::byte>& fill) {
  const bool is_zero = std::all_of(fill.begin(), fill.end(), [](std::byte b) { return b == std::byte{0}; });
  if (is_zero || !array.dtype().is_numeric() || fill.size() != array.dtype().item_bytes() ||
      find_attribute(array.attrs(), "_FillValue"))
    return array;
  Attributes attributes = array.attrs();
  visit_type(array.dtype().type(), [&]<class T>() {
    if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
      T value;
      std::memcpy(&value, fill.data(), sizeof(T));
      if constexpr (std::is_floating_point_v<T>)
        attributes.emplace_back("_FillValue", json_number(value));
      else
        attributes.emplace_back("_FillValue", std::to_string(value));
    }
  });
  return array.with_attrs(std::move(attributes));
}

/// The array as its options ask for it, with its coordinates among its siblings.
template <class OpenSibling>
AnyLazyArray opened_array(OpenedArray opened, const OpenOptions& options, const std::string& full,
                          const AttributeTypes& types, const std::string& place, OpenSibling open_sibling) {
  const bool is_zarr2 = opened.source.spec().format == "zarr_v2";
  const std::vector<std::byte> fill = is_zarr2 ? opened.source.spec().fill : std::vector<std::byte>();
  // Coordinates go by the names in the file.
  OpenOptions unnamed = options;
  unnamed.dims.clear();
  AnyLazyArray array = array_or_field(std::move(opened), unnamed, full);
  if (options.mask_and_scale) array = mask_and_scale(is_zarr2 ? with_zarr_fill(array, fill) : array, types);
  if (!array.dims().empty()) array = with_siblings(array, place, open_sibling);
  return options.dims.empty() ? array : array.with_dims(options.dims);
}

}  // namespace detail

MORSEL_INLINE AnyLazyArray open_any(std::string_view path, const OpenOptions& options) {
  const std::string full = detail::with_dataset(path, options);
  OpenedArray opened = open_path(full, options.options);
  const AttributeTypes types = options.mask_and_scale ? attribute_types_at(full) : AttributeTypes();
  // Whatever the working directory is when a coordinate is asked for.
  const std::string place = std::filesystem::absolute(full).string();
  const auto open_sibling = [place, unpack = options.mask_and_scale](const std::string& name) {
    return detail::open_sibling(place, name, {.mask_and_scale = unpack});
  };
  return detail::opened_array(std::move(opened), options, full, types, place, open_sibling);
}

MORSEL_INLINE AnyLazyArray open_any(const AnyStore& store, std::string_view path,
                                    const OpenOptions& options) {
  const std::string full = detail::with_dataset(path, options);
  OpenedArray opened = open_zarr(store, full, options.options);
  const auto open_sibling = [store, full, unpack = options.mask_and_scale](const std::string& name) {
    const std::size_t slash = full.rfind('/');
    return open_any(store, slash == full.npos ? name : full.substr(0, slash + 1) + name,
                    {.mask_and_scale = unpack});
  };
  return detail::opened_array(std::move(opened), options, full, {}, store.identity() + "/" + full,
                              open_sibling);
}

MORSEL_INLINE AnyLazyArray detail::open_sibling(const std::string& place, const std::string& name,
                                                const OpenOptions& options) {
  std::string group = place;
  std::string first;  // what went wrong nearest to the array
  for (;;) {
    const std::size_t slash = group.find_last_of('/');
    if (slash == 0 || slash == group.npos) break;
    group.resize(slash);
    // Dimensions of NetCDF-4 are known in all groups below their own.
    try {
      return open_any(group + "/" + name, options);
    } catch (const Error& error) {
      if (error.code() != Errc::not_found && error.code() != Errc::unsupported) throw;
      if (first.empty()) first = error.what();
    }
    try {
      if (!list_path(group)) break;
    } catch (const Error&) {
      break;  // no container: nothing above is of the file
    }
  }
  fail(Errc::not_found, first);
}

MORSEL_INLINE AnyLazyArray memmap_any(const std::string& path, const DType& dtype,
                                      const RawFileOptions& options) {
  MemmapOptions raw;
  raw.shape = options.shape;
  raw.offset = options.offset;
  raw.byte_order = options.byte_order;
  raw.order = options.order;
  raw.record = options.record;
  raw.field = options.field;
  raw.record_bytes = options.record_bytes;
  raw.field_offset = options.field_offset;
  raw.access = options.access;
  raw.drop_cache = options.drop_cache;
  return detail::from_opened(open_memmap(path, dtype, raw), options.chunks, options.dims,
                             detail::last_part(path));
}

MORSEL_INLINE AnyLazyArray field(const AnyLazyArray& records, std::string_view name) {
  const std::string doing = "field '" + std::string(name) + "'";
  if (!records.dtype().is_record())
    fail(Errc::dtype_mismatch,
         doing + ": not an array of records; expected a record, got " + records.dtype().name());
  const Field* found = nullptr;
  std::string names;
  for (const Field& member : records.dtype().fields()) {
    if (member.name == name) found = &member;
    names += (names.empty() ? "'" : ", '") + member.name + "'";
  }
  if (!found) {
    // A member of a member: "outer.inner".
    for (std::size_t dot = name.find('.'); dot != name.npos; dot = name.find('.', dot + 1))
      for (const Field& member : records.dtype().fields())
        if (member.name == name.substr(0, dot) && member.dtype.is_record())
          return field(field(records, member.name), name.substr(dot + 1));
    fail(Errc::not_found,
         doing + ": no such member; expected " + names + ", got '" + std::string(name) + "'");
  }
  const Edge& edge = records.edge();
  const auto* source = std::get_if<SourceNode>(&edge.node->payload);
  if (source && edge.view.is_identity(edge.node->shape()) && !source->source.spec().lends) {
    const FieldSource member(source->source, *found);
    Shape shape = member.spec().shape();
    std::vector<AxisGrid> axes;
    const Grid declared = edge.grid();
    for (std::size_t i = 0; i < shape.size(); ++i)
      axes.push_back(i < declared.rank() ? declared.axis(i) : member.spec().grid.axis(i));
    std::vector<std::string> dims = records.dims();
    if (!dims.empty()) dims.resize(shape.size());
    return AnyLazyArray(make_source(member, View::identity(shape), ChunkSpec::of(Grid(std::move(axes))),
                                    "field " + found->name),
                        std::move(dims), records.attrs());
  }
  if (!found->shape.empty())
    fail(Errc::unsupported,
         doing + ": the member is an array itself; expected the array as it was opened, got one " +
             "that has been viewed or computed (take the member first)");
  MapChunksNode call;
  call.inputs = {edge};
  call.function = [offset = found->offset_bytes, bytes = found->dtype.item_bytes()](
                      const ChunkInfo&, const std::vector<BufferView>& in, const BufferView& out) {
    BufferView member = in[0];
    member.data += offset;
    member.item_bytes = bytes;
    copy_elements(member, out);
  };
  return AnyLazyArray(map_chunks("field " + found->name, std::move(call), found->dtype), records.dims(),
                      records.attrs());
}

}  // namespace morsel::inline MORSEL_ABI
