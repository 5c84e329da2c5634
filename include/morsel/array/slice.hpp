// What stands between the brackets of a[...]: integers, slices, ellipsis, newaxis. NumPy's basic indexing.
#pragma once

#include <concepts>
#include <initializer_list>
#include <morsel/array/dims.hpp>
#include <optional>
#include <string_view>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// One item of an index expression.
struct SliceItem {
  enum class Kind : std::uint8_t { integer, slice, ellipsis, newaxis };
  Kind kind = Kind::slice;
  std::optional<Index> start, stop, step;  ///< an integer item keeps its value in `start`

  SliceItem() = default;
  SliceItem(Kind k) : kind(k) {}  // NOLINT(google-explicit-constructor)
  template <std::integral I>
  SliceItem(I i)
      : kind(Kind::integer), start(static_cast<Index>(i)) {}  // NOLINT(google-explicit-constructor)
};

using SliceItems = std::vector<SliceItem>;

/// Stands for an omitted bound in range(_, 5).
struct Omitted {};
inline constexpr Omitted _{};
inline constexpr SliceItem::Kind ellipsis = SliceItem::Kind::ellipsis;
inline constexpr SliceItem::Kind newaxis = SliceItem::Kind::newaxis;

namespace detail {
inline std::optional<Index> bound(Omitted) { return std::nullopt; }
inline std::optional<Index> bound(Index i) { return i; }
}  // namespace detail

/// start:stop:step as NumPy has it; any bound may be `_`.
template <class A, class B, class C = Omitted>
SliceItem range(A start, B stop, C step = {}) {
  SliceItem item;
  item.start = detail::bound(start);
  item.stop = detail::bound(stop);
  item.step = detail::bound(step);
  return item;
}
/// Every element of an axis, ":".
inline SliceItem all_of_axis() { return {}; }

/// Items of text such as "10:, ..., ::2", with or without brackets; "None" and "newaxis" make an axis.
/// **Fails**: syntax_error naming the column.
SliceItems parse_slice(std::string_view text);

/// The slice start:stop:step on an axis of `extent`, resolved as Python's slice.indices: `count` elements at
/// start, start + step, ... **Fails**: invalid_argument for step 0.
struct ResolvedSlice {
  Index start = 0, count = 0, step = 1;
};
ResolvedSlice resolve(const SliceItem& item, Index extent);

/// "10:, ..., ::2": text that parse_slice reads back.
std::string to_string(const SliceItems& items);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/array/impl/slice.ipp>
#endif
