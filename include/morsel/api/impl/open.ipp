#pragma once

#include <morsel/api/open.hpp>
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

MORSEL_INLINE AnyLazyArray open_any(std::string_view path, const OpenOptions& options) {
  const std::string full = detail::with_dataset(path, options);
  return detail::array_or_field(open_path(full, options.options), options, full);
}

MORSEL_INLINE AnyLazyArray open_any(const AnyStore& store, std::string_view path,
                                    const OpenOptions& options) {
  const std::string full = detail::with_dataset(path, options);
  return detail::array_or_field(open_zarr(store, full, options.options), options, full);
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
