#pragma once

#include <cmath>
#include <morsel/api/map.hpp>

namespace morsel::inline MORSEL_ABI {
namespace detail {

MORSEL_INLINE std::vector<std::string> joint_dims(const std::vector<AnyLazyArray>& arrays,
                                                  std::string_view doing) {
  std::vector<NamedShape> names;
  for (const AnyLazyArray& array : arrays) names.push_back({&array.dims(), array.ndim()});
  return dims_of_operands(names, doing);
}

MORSEL_INLINE std::vector<Edge> edges_of(const std::vector<AnyLazyArray>& arrays) {
  std::vector<Edge> edges;
  for (const AnyLazyArray& array : arrays) edges.push_back(array.edge());
  return edges;
}

MORSEL_INLINE AnyLazyArray map_arrays(UserKernel kernel, const std::vector<AnyLazyArray>& arrays) {
  const std::string name = kernel.name;
  return AnyLazyArray(map_elements(std::make_shared<const UserKernel>(std::move(kernel)), edges_of(arrays)),
                      joint_dims(arrays, name));
}

MORSEL_INLINE AnyLazyArray map_chunks_of(std::string name, MapChunksNode call, const DType& result,
                                         const std::vector<AnyLazyArray>& arrays) {
  call.inputs = edges_of(arrays);
  std::vector<std::string> dims = joint_dims(arrays, name);
  return AnyLazyArray(map_chunks(std::move(name), std::move(call), result), std::move(dims));
}

MORSEL_INLINE std::size_t scratch_of(const std::vector<AnyLazyArray>& arrays, std::size_t result_bytes,
                                     double factor) {
  if (!(factor >= 0 && factor <= 1e6))
    fail(Errc::invalid_argument,
         "map_chunks: impossible memory factor; expected 0 to 1e6, got " + std::to_string(factor));
  Shape shape;
  std::size_t item_bytes = result_bytes;
  for (const AnyLazyArray& array : arrays) {
    shape = broadcast_shapes(shape, array.shape());
    item_bytes += array.dtype().item_bytes();
  }
  // The longest chunk along each axis, over all arrays: no less than the largest chunk of the result.
  double elements = 1;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    Index longest = 1;
    for (const AnyLazyArray& array : arrays) {
      const std::size_t missing = shape.size() - array.ndim();
      if (i >= missing) longest = std::max(longest, array.grid().axis(i - missing).longest());
    }
    elements *= static_cast<double>(longest);
  }
  return static_cast<std::size_t>(std::ceil(factor * elements * static_cast<double>(item_bytes)));
}

MORSEL_INLINE void fail_chunk_shape(const std::string& name, const Shape& expected, const Shape& got) {
  fail(Errc::shape_mismatch, name + ": the function gave a chunk of another shape; expected " +
                                 to_string(expected) + ", got " + to_string(got));
}

}  // namespace detail
}  // namespace morsel::inline MORSEL_ABI
