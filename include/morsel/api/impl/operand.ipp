#pragma once

#include <morsel/api/coordinates.hpp>
#include <morsel/api/operand.hpp>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE AnyLazyArray elementwise(Op op, const std::vector<AnyOperand>& operands) {
  std::vector<Operand> edges;
  std::vector<detail::NamedShape> names;
  std::vector<const AnyLazyArray*> arrays;
  for (const AnyOperand& operand : operands) {
    if (const auto* array = std::get_if<AnyLazyArray>(&operand)) {
      edges.emplace_back(array->edge());
      names.push_back({&array->dims(), array->ndim()});
      arrays.push_back(array);
    } else {
      edges.emplace_back(std::get<Scalar>(operand));
    }
  }
  std::vector<std::string> dims = detail::dims_of_operands(names, name_of(op));
  return AnyLazyArray(morsel::apply(op, edges), std::move(dims))
      .with_coordinate_axes(detail::joint_axes(arrays));
}

}  // namespace morsel::inline MORSEL_ABI
