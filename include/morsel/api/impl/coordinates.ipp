#pragma once

#include <algorithm>
#include <limits>
#include <morsel/api/coordinates.hpp>
#include <morsel/api/impl/coordinate_reader.hpp>

namespace morsel::inline MORSEL_ABI {

static_assert(std::numeric_limits<long double>::digits >= 64,
              "coordinates are compared in a type that holds every integer of 64 bits and every double");

namespace detail {

MORSEL_INLINE AnyLazyArray
with_siblings(const AnyLazyArray& array, const std::string& place,
              const std::function<AnyLazyArray(const std::string&)>& open_sibling) {
  const std::size_t slash = place.rfind('/');
  const std::string group = slash == place.npos ? std::string() : place.substr(0, slash + 1);
  CoordinateAxes found;
  for (std::size_t i = 0; i < array.dims().size(); ++i) {
    const std::string& dim = array.dims()[i];
    if (dim.empty()) continue;
    const Index extent = array.shape()[i];
    found.axes.push_back(
        {dim, group + dim, [open_sibling, dim] { return open_sibling(dim); }, extent, {0, extent, 1}});
  }
  return array.with_coordinate_axes(std::make_shared<const CoordinateAxes>(std::move(found)));
}

MORSEL_INLINE CoordinateAxesPtr sliced_axes(const CoordinateAxesPtr& axes,
                                            const std::vector<std::string>& dims, const Shape& shape,
                                            const SliceItems& items) {
  if (!axes || dims.empty()) return nullptr;
  CoordinateAxes left = *axes;
  const auto slice_axis = [&](std::size_t axis, const SliceItem& item) {
    const auto found = std::find_if(left.axes.begin(), left.axes.end(),
                                    [&](const CoordinateAxis& c) { return c.dim == dims[axis]; });
    if (found == left.axes.end()) return;
    if (item.kind == SliceItem::Kind::integer || found->part.count != shape[axis]) {
      left.axes.erase(found);
      return;
    }
    const ResolvedSlice part = resolve(item, shape[axis]);
    found->part = {found->part.start + found->part.step * part.start, part.count,
                   found->part.step * part.step};
  };
  std::size_t consumed = 0, axis = 0;
  for (const SliceItem& item : items) consumed += takes_axis(item);
  for (const SliceItem& item : items) {
    if (item.kind == SliceItem::Kind::ellipsis) axis += shape.size() - consumed;
    if (takes_axis(item)) slice_axis(axis++, item);
  }
  return left.axes.empty() ? nullptr : std::make_shared<const CoordinateAxes>(std::move(left));
}

MORSEL_INLINE CoordinateAxesPtr renamed_axes(const CoordinateAxesPtr& axes,
                                             const std::vector<std::string>& from,
                                             const std::vector<std::string>& to) {
  if (!axes || from.size() != to.size()) return nullptr;
  CoordinateAxes left;
  for (const CoordinateAxis& axis : axes->axes) {
    const auto at = std::find(from.begin(), from.end(), axis.dim);
    if (at == from.end() || to[static_cast<std::size_t>(at - from.begin())].empty()) continue;
    left.axes.push_back(axis);
    left.axes.back().dim = to[static_cast<std::size_t>(at - from.begin())];
  }
  return left.axes.empty() ? nullptr : std::make_shared<const CoordinateAxes>(std::move(left));
}

MORSEL_INLINE CoordinateAxesPtr joint_axes(const std::vector<const AnyLazyArray*>& operands) {
  const auto same = [](const CoordinateAxis& a, const CoordinateAxis& b) {
    return a.origin == b.origin && a.extent == b.extent && a.part.start == b.part.start &&
           a.part.count == b.part.count && a.part.step == b.part.step;
  };
  CoordinateAxesPtr joint;
  for (const AnyLazyArray* operand : operands) {
    const CoordinateAxesPtr& axes = operand->coordinate_axes();
    if (!axes || axes == joint) continue;
    if (!joint) {
      joint = axes;
      continue;
    }
    // Of two that name one axis differently none is right for the result.
    CoordinateAxes left;
    for (const CoordinateAxis& axis : joint->axes) {
      const auto other = std::find_if(axes->axes.begin(), axes->axes.end(),
                                      [&](const CoordinateAxis& c) { return c.dim == axis.dim; });
      if (other == axes->axes.end() || same(axis, *other)) left.axes.push_back(axis);
    }
    for (const CoordinateAxis& axis : axes->axes)
      if (std::none_of(joint->axes.begin(), joint->axes.end(),
                       [&](const CoordinateAxis& c) { return c.dim == axis.dim; }))
        left.axes.push_back(axis);
    joint = std::make_shared<const CoordinateAxes>(std::move(left));
  }
  return joint;
}

/// The coordinate of an axis of `array`. `doing` starts every message.
MORSEL_INLINE AnyLazyArray coordinate_of(const AnyLazyArray& array, const AxisName& axis,
                                         const std::string& doing) {
  const auto number = static_cast<std::size_t>(find_axis(axis, array.dims(), array.ndim(), doing));
  const std::string dim = array.dims().empty() ? std::string() : array.dims()[number];
  const CoordinateAxis* found = nullptr;
  if (array.coordinate_axes() && !dim.empty())
    for (const CoordinateAxis& known : array.coordinate_axes()->axes)
      if (known.dim == dim && known.part.count == array.shape()[number]) found = &known;
  if (!found)
    fail(Errc::not_found, doing + ": axis " + (dim.empty() ? std::to_string(number) : "'" + dim + "'") +
                              " has no coordinate; expected a named axis of an array that was opened, or " +
                              "with_coord, got " + to_string(array));
  std::optional<AnyLazyArray> whole;
  try {
    whole = found->open();
  } catch (const Error& error) {
    if (error.code() != Errc::not_found) throw error.during(doing);
    fail(Errc::not_found, doing + ": axis '" + dim + "' has no coordinate; expected a 1-D array '" + dim +
                              "' beside the array, got: " + error.what());
  }
  if (whole->ndim() != 1 || whole->size() != found->extent)
    fail(Errc::shape_mismatch, doing + ": '" + dim + "' is no coordinate of the axis; expected shape (" +
                                   std::to_string(found->extent) + ",), got " + to_string(whole->shape()));
  const ResolvedSlice& part = found->part;
  if (part.start == 0 && part.step == 1 && part.count == found->extent) return *whole;
  return whole->slice({item_of_range(part.start, part.step, part.count)});
}

/// One selection on one coordinate: an index, or the slice [begin, end).
struct Chosen {
  Index begin = 0, end = 0;
  bool is_index = false;
};

class CoordinateSearch {
 public:
  explicit CoordinateSearch(CoordinateReader& reader) : in_(reader) {}

  Chosen operator()(const CoordinateValue& value) {
    const Bounds bounds = bounds_of(value);
    if (bounds.is_open()) return require_some(within(bounds), value);
    return {exact(bounds.lo, value), 0, true};
  }
  Chosen operator()(const Between& range) {
    const Bounds lo = bounds_of(range.lo), hi = bounds_of(range.hi);
    return within({lo.lo, hi.hi, hi.includes_hi});
  }
  Chosen operator()(const Nearest& nearest) {
    const long double value = bounds_of(nearest.value).lo;
    require_elements(nearest.value);
    const Index n = in_.size();
    const bool descending = in_.descends();
    Index right = partition([&](long double v) { return descending ? v > value : v < value; });
    require_order();
    // Of `right` and the one before it.
    Index best = std::min(right, n - 1);
    if (right > 0 && right < n) {
      const long double before = std::abs(in_.at(right - 1) - value),
                        behind = std::abs(in_.at(right) - value);
      const bool prefer_before = before < behind || (before == behind && descending);
      if (prefer_before) best = right - 1;
    }
    const long double distance = std::abs(in_.at(best) - value);
    if (nearest.tolerance && !(distance <= in_.as_distance(*nearest.tolerance)))
      fail(Errc::not_found, in_.doing() + ": nothing near enough; expected a coordinate within " +
                                json_number(*nearest.tolerance) + " of " + shown(nearest.value) + ", got " +
                                shown(distance) + " as the smallest distance");
    return {best, 0, true};
  }

 private:
  /// From lo to hi.
  struct Bounds {
    long double lo = 0, hi = 0;
    bool includes_hi = true;
    bool is_open() const { return !includes_hi; }
  };

  Bounds bounds_of(const CoordinateValue& value) const {
    if (!value.is_text()) {
      if (std::isnan(value.number()))
        fail(Errc::invalid_argument, in_.doing() + ": NaN is no coordinate; expected a number, got NaN");
      const long double number = in_.as_element(value.number());
      return {number, number, true};
    }
    if (!in_.time())
      fail(Errc::invalid_argument,
           in_.doing() +
               ": a date for a coordinate that is no time; expected units such as 'days since "
               "1900-01-01', got '" +
               value.text() + "' for " +
               (in_.no_time().empty() ? "numbers of " + in_.dtype() : in_.no_time()));
    try {
      const CfTimeUnits::Span span = in_.time()->span(parse_cf_date(value.text()));
      return {span.start, span.end, span.start == span.end};
    } catch (const Error& error) {
      throw error.during(in_.doing());
    }
  }

  /// The first element for which `before` is no longer true.
  template <class F>
  Index partition(F&& before) {
    Index lo = 0, hi = in_.size();
    while (lo < hi) {
      const Index middle = lo + (hi - lo) / 2;
      if (before(in_.at(middle)))
        lo = middle + 1;
      else
        hi = middle;
    }
    return lo;
  }

  Chosen within(const Bounds& bounds) {
    if (in_.size() == 0) return {};
    const auto below = [&](long double v) { return v < bounds.lo; };
    const auto above = [&](long double v) { return bounds.includes_hi ? v > bounds.hi : v >= bounds.hi; };
    const bool descending = in_.descends();
    const Index begin = descending ? partition(above) : partition(below);
    const Index end = descending ? partition([&](long double v) { return !below(v); })
                                 : partition([&](long double v) { return !above(v); });
    require_order();
    return {begin, std::max(begin, end), false};
  }

  Index exact(long double wanted, const CoordinateValue& value) {
    require_elements(value);
    const bool descending = in_.descends();
    const Index at = partition([&](long double v) { return descending ? v > wanted : v < wanted; });
    if (!in_.is_in_order()) return exact_anywhere(wanted, value);
    const Index n = in_.size();
    if (at < n && in_.at(at) == wanted) {
      if (at + 1 < n && in_.at(at + 1) == wanted) refuse_several(value);
      return at;
    }
    const Index before = std::max<Index>(at - 1, 0), behind = std::min(at, n - 1);
    fail(Errc::not_found, in_.doing() + ": no such coordinate; expected one there is, or nearest(...), got " +
                              shown(value) + " beside " + shown(in_.at(before)) + " and " +
                              shown(in_.at(behind)) +
                              (in_.time() ? " (microseconds from the date of the units)" : ""));
  }

  Index exact_anywhere(long double wanted, const CoordinateValue& value) {
    Index found = -1;
    in_.for_each([&](Index i, long double v) {
      if (v != wanted) return;
      if (found >= 0) refuse_several(value);
      found = i;
    });
    if (found < 0)
      fail(Errc::not_found, in_.doing() + ": no such coordinate; expected one there is, got " + shown(value));
    return found;
  }

  void require_order() {
    if (!in_.is_in_order())
      fail(Errc::invalid_argument, in_.doing() +
                                       ": the coordinate is not in order; expected an ascending or "
                                       "descending one for ranges and nearest, got " +
                                       in_.dtype() + " that goes up and down, or has NaN");
  }
  void require_elements(const CoordinateValue& value) const {
    if (in_.size() == 0)
      fail(Errc::not_found,
           in_.doing() + ": the axis is empty; expected some coordinate, got none for " + shown(value));
  }
  Chosen require_some(Chosen chosen, const CoordinateValue& value) const {
    if (chosen.begin == chosen.end)
      fail(Errc::not_found,
           in_.doing() + ": no coordinate in this time; expected at least one, got none in " + shown(value));
    return chosen;
  }
  [[noreturn]] void refuse_several(const CoordinateValue& value) const {
    fail(Errc::invalid_argument, in_.doing() +
                                     ": several elements have this coordinate; expected one, or "
                                     "between(v, v) for all of them, got " +
                                     shown(value) + " more than once");
  }
  static std::string shown(long double number) { return json_number(static_cast<double>(number)); }
  static std::string shown(const CoordinateValue& value) {
    return value.is_text() ? "'" + value.text() + "'" : shown(value.number());
  }

  CoordinateReader& in_;
};

}  // namespace detail

MORSEL_INLINE AnyLazyArray coord(const AnyLazyArray& array, const AxisName& axis) {
  return detail::coordinate_of(array, axis, "coord");
}

MORSEL_INLINE AnyLazyArray with_coord(const AnyLazyArray& array, const AxisName& axis,
                                      const AnyLazyArray& coordinate) {
  const auto number = static_cast<std::size_t>(find_axis(axis, array.dims(), array.ndim(), "with_coord"));
  if (array.dims().empty() || array.dims()[number].empty())
    fail(Errc::invalid_argument,
         "with_coord: the axis has no name; expected one (with_dims), got axis " + std::to_string(number));
  const Index extent = array.shape()[number];
  if (coordinate.ndim() != 1 || coordinate.size() != extent)
    fail(Errc::shape_mismatch, "with_coord: not as long as the axis; expected shape (" +
                                   std::to_string(extent) + ",), got " + to_string(coordinate.shape()));
  detail::CoordinateAxes axes;
  if (array.coordinate_axes()) axes = *array.coordinate_axes();
  const std::string& dim = array.dims()[number];
  axes.axes.erase(std::remove_if(axes.axes.begin(), axes.axes.end(),
                                 [&](const detail::CoordinateAxis& known) { return known.dim == dim; }),
                  axes.axes.end());
  // An address stands for the array for as long as anything refers to it.
  const auto kept = std::make_shared<const AnyLazyArray>(coordinate);
  axes.axes.push_back({dim,
                       "memory:" + std::to_string(reinterpret_cast<std::uintptr_t>(kept.get())),
                       [kept] { return *kept; },
                       extent,
                       {0, extent, 1}});
  return array.with_coordinate_axes(std::make_shared<const detail::CoordinateAxes>(std::move(axes)));
}

MORSEL_INLINE AnyLazyArray isel(const AnyLazyArray& array, const std::vector<NamedSlice>& items) {
  SliceItems all(array.ndim());
  std::vector<bool> taken(array.ndim());
  for (const NamedSlice& named : items) {
    const auto axis = static_cast<std::size_t>(find_axis(named.axis, array.dims(), array.ndim(), "isel"));
    if (named.item.kind != SliceItem::Kind::integer && named.item.kind != SliceItem::Kind::slice)
      fail(Errc::invalid_argument,
           "isel: an ellipsis or a new axis is no part of an axis; expected an index or a range");
    if (taken[axis])
      fail(Errc::invalid_argument,
           "isel: one axis twice; expected each once, got axis " + std::to_string(axis) + " again");
    taken[axis] = true;
    all[axis] = named.item;
  }
  return array.slice(all);
}

MORSEL_INLINE AnyLazyArray sel(const AnyLazyArray& array, const std::vector<NamedSelection>& selections) {
  std::vector<NamedSlice> items;
  for (const NamedSelection& named : selections) {
    const std::string name = named.axis.is_named ? named.axis.name : std::to_string(named.axis.number);
    const std::string doing = "sel '" + name + "'";
    detail::CoordinateReader reader(detail::coordinate_of(array, named.axis, doing), doing);
    detail::CoordinateSearch search(reader);
    const detail::Chosen chosen = std::visit(search, named.what);
    items.push_back(
        {named.axis, chosen.is_index ? SliceItem(chosen.begin) : range(chosen.begin, chosen.end)});
  }
  return isel(array, items);
}

}  // namespace morsel::inline MORSEL_ABI
