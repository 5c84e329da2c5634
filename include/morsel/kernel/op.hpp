// The elementwise operations: names, arity, and which dtypes they take and give.
#pragma once

#include <array>
#include <cstdint>
#include <morsel/array/promote.hpp>
#include <morsel/kernel/op_list.hpp>
#include <optional>
#include <span>
#include <string_view>

namespace morsel::inline MORSEL_ABI {

/// "add", "where", ...
std::string_view name_of(Op op);
int arity_of(Op op);
/// The operation of a name or of a NumPy alias ("power", "arcsin", "absolute", "mod"); nothing if there is
/// none.
std::optional<Op> find_op(std::string_view name);

/// The dtypes a kernel is run with: operands are converted to `in` first, and it gives `result`.
struct OpTypes {
  std::array<Type, 3> in{};
  Type result{};
  friend bool operator==(const OpTypes&, const OpTypes&) = default;
};

/// How `op` treats operands of these dtypes (all numeric), as NumPy 2 does: add(int32, float32) runs on
/// float64; sqrt(int16) on float32; less(int8, float32) on float32 and gives bool; comparisons of int64 with
/// uint64 run on the pair as it is and are exact; where(c, x, y) takes (bool, t, t). **Fails**:
/// dtype_mismatch, naming op and dtypes, where NumPy has no loop (bitwise_and of floats, floor of complex,
/// negative of bool, ...).
OpTypes resolve_op(Op op, std::span<const Type> operands);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/kernel/impl/op.ipp>
#endif
