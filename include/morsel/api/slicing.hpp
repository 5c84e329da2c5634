// What a.view(...) takes: numbers, range(...), ellipsis, newaxis, `_`, and xtensor's slices.
#pragma once

#include <concepts>
#include <morsel/api/xtensor.hpp>
#include <morsel/array/slice.hpp>
#include <utility>

namespace morsel::inline MORSEL_ABI {
namespace detail {

template <class X>
concept XtRange = requires(const X& x, std::size_t extent) {
  { x.get(extent).size() } -> std::integral;
  { x.get(extent)(0) } -> std::integral;
};

/// start, start + step, ... on an axis as an item of an index expression.
SliceItem item_of_range(Index start, Index step, Index count);

/// Items for an array of `shape`, from arguments that know the axis they meet only in their turn.
class SliceBuilder {
 public:
  SliceBuilder(const Shape& shape, std::size_t consumed) : shape_(shape), consumed_(consumed) {}
  void add(const SliceItem& item) {
    items_.push_back(item);
    if (item.kind == SliceItem::Kind::integer || item.kind == SliceItem::Kind::slice) ++axis_;
    if (item.kind == SliceItem::Kind::ellipsis && shape_.size() > consumed_)
      axis_ += shape_.size() - consumed_;
  }
  template <std::integral I>
  void add(I i) {
    add(SliceItem(i));
  }
  void add(SliceItem::Kind kind) { add(SliceItem(kind)); }
  void add(Omitted) { add(SliceItem()); }
  void add(xt::xall_tag) { add(SliceItem()); }
  void add(xt::xellipsis_tag) { add(SliceItem(SliceItem::Kind::ellipsis)); }
  void add(xt::xnewaxis_tag) { add(SliceItem(SliceItem::Kind::newaxis)); }
  template <XtRange R>
  void add(const R& range) {
    // Too many items: slice_view says so, with any extent.
    const auto part = range.get(axis_ < shape_.size() ? static_cast<std::size_t>(shape_[axis_]) : 0);
    const Index count = static_cast<Index>(part.size());
    const Index start = count > 0 ? static_cast<Index>(part(0)) : 0;
    add(item_of_range(start, count > 1 ? static_cast<Index>(part(1)) - start : 1, count));
  }
  template <class S>
  void add(const xt::xslice<S>&) {
    static_assert(sizeof(S) == 0,
                  "morsel: a view takes no xt::keep or xt::drop; use take(a, indices, axis) for the elements "
                  "to keep");
  }
  SliceItems take() { return std::move(items_); }

 private:
  const Shape& shape_;
  std::size_t consumed_, axis_ = 0;
  SliceItems items_;
};

template <class X>
constexpr bool takes_axis(const X&) {
  return !std::is_same_v<X, xt::xellipsis_tag> && !std::is_same_v<X, xt::xnewaxis_tag>;
}
inline bool takes_axis(const SliceItem& item) {
  return item.kind == SliceItem::Kind::integer || item.kind == SliceItem::Kind::slice;
}
constexpr bool takes_axis(SliceItem::Kind kind) {
  return kind == SliceItem::Kind::integer || kind == SliceItem::Kind::slice;
}

template <class... I>
SliceItems slice_items(const Shape& shape, const I&... items) {
  SliceBuilder builder(shape, (std::size_t{0} + ... + static_cast<std::size_t>(takes_axis(items))));
  (builder.add(items), ...);
  return builder.take();
}

}  // namespace detail
}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/slicing.ipp>
#endif
