#pragma once

#include <algorithm>
#include <morsel/api/any_lazy_array.hpp>
#include <morsel/api/async.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

MORSEL_INLINE std::vector<std::string> without_empty(std::vector<std::string> dims) {
  const bool any =
      std::any_of(dims.begin(), dims.end(), [](const std::string& name) { return !name.empty(); });
  return any ? std::move(dims) : std::vector<std::string>();
}

MORSEL_INLINE std::vector<std::string> dims_of_slice(const std::vector<std::string>& dims, std::size_t rank,
                                                     const SliceItems& items) {
  if (dims.empty()) return {};
  std::size_t consumed = 0, axis = 0;
  for (const SliceItem& item : items) consumed += takes_axis(item);
  std::vector<std::string> names;
  for (const SliceItem& item : items) {
    if (item.kind == SliceItem::Kind::integer) ++axis;
    if (item.kind == SliceItem::Kind::slice) names.push_back(dims[axis++]);
    if (item.kind == SliceItem::Kind::newaxis) names.emplace_back();
    if (item.kind == SliceItem::Kind::ellipsis)
      for (std::size_t k = consumed; k < rank; ++k) names.push_back(dims[axis++]);
  }
  while (axis < rank) names.push_back(dims[axis++]);
  return without_empty(std::move(names));
}

MORSEL_INLINE std::vector<std::string> dims_of_operands(const std::vector<NamedShape>& operands,
                                                        std::string_view doing) {
  std::size_t rank = 0;
  for (const NamedShape& operand : operands) rank = std::max(rank, operand.rank);
  std::vector<std::string> names(rank);
  for (const NamedShape& operand : operands)
    for (std::size_t i = 0; i < operand.dims->size(); ++i) {
      const std::string& name = (*operand.dims)[i];
      std::string& joint = names[rank - operand.rank + i];
      if (joint.empty()) joint = name;
      if (!name.empty() && joint != name)
        fail(Errc::invalid_argument, std::string(doing) + ": operands name axis " +
                                         std::to_string(rank - operand.rank + i) +
                                         " differently; expected '" + joint + "', got '" + name +
                                         "' (transpose, or rename with with_dims)");
    }
  for (std::size_t i = 0; i < rank; ++i)
    if (!names[i].empty() &&
        std::find(names.begin() + static_cast<Index>(i) + 1, names.end(), names[i]) != names.end())
      fail(Errc::invalid_argument,
           std::string(doing) +
               ": two axes of the result would have one name; expected different names, got '" + names[i] +
               "' twice");
  return without_empty(std::move(names));
}

MORSEL_INLINE void evaluate_to(const std::vector<Edge>& values, const std::vector<BufferView>& out,
                               const ComputeOptions& options) {
  std::vector<Target> targets;
  for (const BufferView& view : out) targets.emplace_back(MemoryTarget{view});
  evaluate(values, targets, options);
}

MORSEL_INLINE void check_target(const BufferView& out, const Edge& value) {
  if (out.shape != value.shape())
    fail(Errc::shape_mismatch, "computing into memory: another shape; expected " + to_string(value.shape()) +
                                   ", got " + to_string(out.shape));
  if (out.strides.size() != out.shape.size())
    fail(Errc::invalid_argument,
         "computing into memory: strides do not fit the shape; expected one per axis of " +
             to_string(out.shape) + ", got " + to_string(out.strides));
  if (out.item_bytes != value.dtype().item_bytes())
    fail(Errc::dtype_mismatch, "computing into memory: another item size; expected " +
                                   std::to_string(value.dtype().item_bytes()) + " bytes (" +
                                   value.dtype().name() + "), got " + std::to_string(out.item_bytes));
  if (out.data == nullptr && size_of(out.shape) > 0)
    fail(Errc::invalid_argument, "computing into memory: null pointer; expected the address of " +
                                     std::to_string(size_of(out.shape)) + " elements");
}

MORSEL_INLINE void require_one_element(const AnyLazyArray& array) {
  if (array.size() != 1)
    fail(Errc::invalid_argument,
         "item: not one element; expected a shape such as (), got " + to_string(array.shape()));
}

MORSEL_INLINE void require_elements(const AnyLazyArray& array, std::size_t count) {
  if (static_cast<Index>(count) != array.size())
    fail(Errc::shape_mismatch, "computing into memory: another number of elements; expected " +
                                   std::to_string(array.size()) + " for shape " + to_string(array.shape()) +
                                   ", got " + std::to_string(count));
}

MORSEL_INLINE BufferView strided_view(void* data, const Shape& shape, const Dims& strides,
                                      std::size_t item_bytes) {
  BufferView view{static_cast<std::byte*>(data), item_bytes, shape, strides};
  for (Index& stride : view.strides) stride = checked_mul(stride, static_cast<Index>(item_bytes), "a stride");
  return view;
}

MORSEL_INLINE void fail_other_dtype(const AnyLazyArray& array, Type asked) {
  const std::string type(name_of(asked));
  fail(Errc::dtype_mismatch, "taking an array as " + type + ": it has another dtype; expected " +
                                 array.dtype().name() + ", got a request for " + type +
                                 " (as<T>() converts)");
}

}  // namespace detail

MORSEL_INLINE AnyLazyArray::AnyLazyArray(Edge edge, std::vector<std::string> dims, Attributes attrs)
    : edge_(std::move(edge)), dims_(detail::without_empty(std::move(dims))) {
  if (!attrs.empty()) attrs_ = std::make_shared<const Attributes>(std::move(attrs));
  if (dims_.empty()) return;
  if (dims_.size() != ndim())
    fail(Errc::invalid_argument, "naming dimensions: wrong number of names; expected " +
                                     std::to_string(ndim()) + " for shape " + to_string(shape()) + ", got " +
                                     std::to_string(dims_.size()));
  detail::dims_of_operands({{&dims_, dims_.size()}}, "naming dimensions");
}

MORSEL_INLINE std::size_t AnyLazyArray::nbytes() const {
  return static_cast<std::size_t>(
      checked_mul(size(), static_cast<Index>(dtype().item_bytes()), "array bytes"));
}

MORSEL_INLINE std::vector<std::vector<Index>> AnyLazyArray::chunks() const {
  const Grid all = grid();
  std::vector<std::vector<Index>> lengths(all.rank());
  for (std::size_t i = 0; i < all.rank(); ++i)
    for (Index k = 0; k < all.axis(i).count(); ++k) lengths[i].push_back(all.axis(i).length(k));
  return lengths;
}

MORSEL_INLINE const Attributes& AnyLazyArray::attrs() const {
  static const Attributes none;
  return attrs_ ? *attrs_ : none;
}

MORSEL_INLINE AnyLazyArray AnyLazyArray::with_dims(std::vector<std::string> dims) const {
  AnyLazyArray out(edge_, std::move(dims), attrs());
  out.coordinates_ = detail::renamed_axes(coordinates_, dims_, out.dims_);
  return out;
}

MORSEL_INLINE AnyLazyArray AnyLazyArray::with_attrs(Attributes attrs) const {
  AnyLazyArray out(edge_, dims_, std::move(attrs));
  out.coordinates_ = coordinates_;
  return out;
}

MORSEL_INLINE AnyLazyArray AnyLazyArray::with_edge(Edge edge) const {
  if (edge.shape() != shape())
    fail(Errc::shape_mismatch, "other values for an array: another shape; expected " + to_string(shape()) +
                                   ", got " + to_string(edge.shape()));
  AnyLazyArray out = *this;
  out.edge_ = std::move(edge);
  return out;
}

MORSEL_INLINE AnyLazyArray
AnyLazyArray::with_coordinate_axes(std::shared_ptr<const detail::CoordinateAxes> axes) const {
  AnyLazyArray out = *this;
  out.coordinates_ = std::move(axes);
  return out;
}

MORSEL_INLINE AnyLazyArray AnyLazyArray::slice(const SliceItems& items) const {
  AnyLazyArray out = *this;
  out.edge_ = morsel::slice(edge_, items);
  out.dims_ = detail::dims_of_slice(dims_, ndim(), items);
  out.coordinates_ = detail::sliced_axes(coordinates_, dims_, shape(), items);
  return out;
}

MORSEL_INLINE AnyLazyArray AnyLazyArray::rechunk(const ChunkSpec& chunks) const {
  AnyLazyArray out = *this;
  out.edge_ = morsel::rechunk(edge_, chunks);
  return out;
}

MORSEL_INLINE AnyLazyArray AnyLazyArray::astype(Type type) const {
  AnyLazyArray out = *this;
  out.edge_ = morsel::astype(edge_, type);
  return out;
}

MORSEL_INLINE AnyArray AnyLazyArray::compute(const ComputeOptions& options) const {
  AnyArray out(dtype(), shape());
  detail::evaluate_to({edge_}, {out.view()}, options);
  return out;
}

MORSEL_INLINE void AnyLazyArray::compute_into(const BufferView& out, const ComputeOptions& options) const {
  detail::check_target(out, edge_);
  detail::evaluate_to({edge_}, {out}, options);
}

MORSEL_INLINE AsyncResult<AnyArray> AnyLazyArray::compute_async(const ComputeOptions& options) const {
  auto out = std::make_shared<AnyArray>(dtype(), shape());
  return AsyncResult<AnyArray>(out, detail::AsyncRun(
                                        [edge = edge_, out](const ComputeOptions& run) {
                                          detail::evaluate_to({edge}, {out->view()}, run);
                                        },
                                        options));
}

MORSEL_INLINE std::string to_string(const AnyLazyArray& array) {
  std::string text = "LazyArray<" + array.dtype().name() + ">(shape=" + to_string(array.shape()) +
                     ", chunks=" + to_string(array.grid());
  if (!array.dims().empty()) {
    text += ", dims=(";
    for (std::size_t i = 0; i < array.ndim(); ++i) text += (i ? ", " : "") + array.dims()[i];
    text += ")";
  }
  return text + ", " + format_bytes(array.nbytes()) + ")";
}

MORSEL_INLINE std::string describe(const AnyLazyArray& array) {
  const Grid grid = array.grid();
  const Shape chunk = grid.chunk_shape();
  std::string text = "LazyArray<" + array.dtype().name() + "> " + array.edge().node->name + "\n";
  text += "  shape   " + to_string(array.shape()) + "\n";
  text += "  size    " + std::to_string(array.size()) + " elements, " + format_bytes(array.nbytes()) + "\n";
  text += "  chunks  " + to_string(grid) + "\n";
  text += "          " + std::to_string(grid.count()) + (grid.count() == 1 ? " chunk" : " chunks") +
          " of up to " + to_string(chunk) + ", " +
          format_bytes(static_cast<std::size_t>(size_of(chunk)) * array.dtype().item_bytes()) + "\n";
  if (!array.dims().empty()) {
    text += "  dims    ";
    for (std::size_t i = 0; i < array.ndim(); ++i)
      text += (i ? ", " : "") + (array.dims()[i].empty() ? "-" : array.dims()[i]);
    text += "\n";
  }
  for (const auto& [name, value] : array.attrs()) text += "  attrs   " + name + " = " + value + "\n";
  return text;
}

}  // namespace morsel::inline MORSEL_ABI
