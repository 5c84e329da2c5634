// A handle on an array that is computed when it is asked for; its element type is known at run time.
#pragma once

#include <concepts>
#include <memory>
#include <morsel/api/any_array.hpp>
#include <morsel/api/axes.hpp>
#include <morsel/api/evaluate.hpp>
#include <morsel/api/slicing.hpp>
#include <morsel/fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace morsel::inline MORSEL_ABI {

template <class R>
class AsyncResult;
namespace detail {
struct CoordinateAxes;  // coordinates.hpp
}

/// Immutable and cheap to copy: elements are never copied with it. Const members may be called from any
/// thread. Nothing but compute, item, compute_into and compute_async reads data.
///
/// Dimension names go with the axes through views, reductions and operations; operands must agree on them, or
/// have none. Attributes stay with views, rechunk and casts; operations drop them. Coordinates (see sel) go
/// with the names.
class AnyLazyArray {
 public:
  /// **Fails**: invalid_argument if names and axes differ in number or a name comes twice.
  explicit AnyLazyArray(Edge edge, std::vector<std::string> dims = {}, Attributes attrs = {});

  const Shape& shape() const { return edge_.shape(); }
  std::size_t ndim() const { return edge_.shape().size(); }
  Index size() const { return size_of(edge_.shape()); }
  /// **Fails**: overflow.
  std::size_t nbytes() const;
  const DType& dtype() const { return edge_.dtype(); }
  /// The declared grid.
  Grid grid() const { return edge_.grid(); }
  /// Chunk lengths along each axis, as dask has them. **Cost**: one number per chunk of each axis.
  std::vector<std::vector<Index>> chunks() const;
  /// Names of the axes, "" for one without; empty if no axis has one.
  const std::vector<std::string>& dims() const { return dims_; }
  const Attributes& attrs() const;
  const Edge& edge() const { return edge_; }

  AnyLazyArray with_dims(std::vector<std::string> dims) const;
  AnyLazyArray with_attrs(Attributes attrs) const;
  /// Other values for the same axes: names, attributes and coordinates stay. **Fails**: shape_mismatch.
  AnyLazyArray with_edge(Edge edge) const;

  /// Where the coordinates of the named axes are; null: nowhere.
  const std::shared_ptr<const detail::CoordinateAxes>& coordinate_axes() const { return coordinates_; }
  AnyLazyArray with_coordinate_axes(std::shared_ptr<const detail::CoordinateAxes> axes) const;

  /// NumPy's basic indexing: a["0:10, ..., ::2"], a[3], a[range(0, 10)].
  AnyLazyArray operator[](std::string_view items) const { return slice(parse_slice(items)); }
  template <std::integral I>
  AnyLazyArray operator[](I index) const {
    return slice({SliceItem(index)});
  }
  AnyLazyArray operator[](const SliceItem& item) const { return slice({item}); }
  /// a.view(range(0, 10), ellipsis, 3); xt::range, xt::all, xt::ellipsis and xt::newaxis do as well.
  template <class... I>
  AnyLazyArray view(const I&... items) const {
    return slice(detail::slice_items(shape(), items...));
  }
  AnyLazyArray slice(const SliceItems& items) const;

  /// The same values with other declared chunks.
  AnyLazyArray rechunk(const ChunkSpec& chunks) const;
  /// Converted when it is computed; the array itself if it has that dtype. **Fails**: dtype_mismatch.
  AnyLazyArray astype(Type type) const;
  template <Element T>
  LazyArray<element_t<type_of<T>>> as() const;
  /// f(LazyArray<T>) with the T that the elements have. **Fails**: dtype_mismatch for carried dtypes.
  template <class F>
  decltype(auto) visit(F&& f) const;

  AnyArray compute(const ComputeOptions& options = {}) const;
  /// Writes to memory of the result's shape and item size, any strides in bytes.
  void compute_into(const BufferView& out, const ComputeOptions& options = {}) const;
  AsyncResult<AnyArray> compute_async(const ComputeOptions& options = {}) const;

 private:
  Edge edge_;
  std::vector<std::string> dims_;
  std::shared_ptr<const Attributes> attrs_;
  std::shared_ptr<const detail::CoordinateAxes> coordinates_;
};

/// "LazyArray<float32>(shape=(1000, 512), chunks=((100, ...), (512,)), 1.95 MiB)" and the same over several
/// lines, with dimension names and attributes.
std::string to_string(const AnyLazyArray& array);
std::string describe(const AnyLazyArray& array);

namespace detail {

/// Names after a view; `rank` axes before.
std::vector<std::string> dims_of_slice(const std::vector<std::string>& dims, std::size_t rank,
                                       const SliceItems& items);
/// Names of broadcast operands. **Fails**: invalid_argument where two operands name an axis differently.
struct NamedShape {
  const std::vector<std::string>* dims;
  std::size_t rank;
};
std::vector<std::string> dims_of_operands(const std::vector<NamedShape>& operands, std::string_view doing);
/// Evaluates to memory in one run.
void evaluate_to(const std::vector<Edge>& values, const std::vector<BufferView>& out,
                 const ComputeOptions& options);
/// Checks that memory fits a result: shape and item size.
void check_target(const BufferView& out, const Edge& value);
void require_one_element(const AnyLazyArray& array);
void require_elements(const AnyLazyArray& array, std::size_t count);
/// Strides counted in elements, checked to be one per axis.
BufferView strided_view(void* data, const Shape& shape, const Dims& strides, std::size_t item_bytes);
[[noreturn]] void fail_other_dtype(const AnyLazyArray& array, Type asked);

using CoordinateAxesPtr = std::shared_ptr<const CoordinateAxes>;
/// What is left of coordinates after a view, and after other names.
CoordinateAxesPtr sliced_axes(const CoordinateAxesPtr& axes, const std::vector<std::string>& dims,
                              const Shape& shape, const SliceItems& items);
CoordinateAxesPtr renamed_axes(const CoordinateAxesPtr& axes, const std::vector<std::string>& from,
                               const std::vector<std::string>& to);

}  // namespace detail
}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/any_lazy_array.ipp>
// Has what is declared above of coordinates.
#include <morsel/api/coordinates.hpp>
#endif
