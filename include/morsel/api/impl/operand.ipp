#pragma once

#include <morsel/api/operand.hpp>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE AnyLazyArray elementwise(Op op, const std::vector<AnyOperand>& operands) {
  std::vector<Operand> edges;
  std::vector<detail::NamedShape> names;
  for (const AnyOperand& operand : operands) {
    if (const auto* array = std::get_if<AnyLazyArray>(&operand)) {
      edges.emplace_back(array->edge());
      names.push_back({&array->dims(), array->ndim()});
    } else {
      edges.emplace_back(std::get<Scalar>(operand));
    }
  }
  std::vector<std::string> dims = detail::dims_of_operands(names, name_of(op));
  return AnyLazyArray(morsel::apply(op, edges), std::move(dims));
}

}  // namespace morsel::inline MORSEL_ABI
