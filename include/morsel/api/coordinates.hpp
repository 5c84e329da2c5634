// Coordinates: the 1-D arrays that say where the elements along an axis are, and parts of arrays chosen by
// them.
#pragma once

#include <functional>
#include <morsel/api/axes.hpp>
#include <morsel/api/lazy_array.hpp>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// The coordinate of an axis: for arrays that were opened, the 1-D array of the axis' name beside them, or in
/// a group above; the part of it that the array shows. An array knows the coordinates of its named axes
/// through views, elementwise operations and reductions; taking elements by a list, joining arrays and
/// user functions lose them. **Fails**: not_found; what opening fails with. **Cost**: opens the coordinate.
AnyLazyArray coord(const AnyLazyArray& array, const AxisName& axis);

/// The array with a coordinate that is not found by itself. **Fails**: invalid_argument if the axis has no
/// name; shape_mismatch unless `coordinate` is 1-D and as long as the axis.
AnyLazyArray with_coord(const AnyLazyArray& array, const AxisName& axis, const AnyLazyArray& coordinate);

/// Index or slice along a named axis.
struct NamedSlice {
  AxisName axis;
  SliceItem item;
};

/// Parts by index along named axes: isel(a, {{"lat", 3}, {"time", range(0, 10)}}). An index takes the axis
/// away. **Fails**: invalid_argument for a name that the array does not have, or twice; out_of_range.
AnyLazyArray isel(const AnyLazyArray& array, const std::vector<NamedSlice>& items);

/// A number, or a date as text: "2001", "2001-06", "2001-06-15", "2001-06-15T12:30", "2001-06-15T12:30:00".
class CoordinateValue {
 public:
  template <class N>
  requires std::is_arithmetic_v<N> CoordinateValue(N number)  // NOLINT(google-explicit-constructor)
      : number_(static_cast<long double>(number)) {}
  CoordinateValue(const char* text) : text_(text) {}             // NOLINT(google-explicit-constructor)
  CoordinateValue(std::string text) : text_(std::move(text)) {}  // NOLINT(google-explicit-constructor)

  bool is_text() const { return text_.has_value(); }
  long double number() const { return number_; }
  const std::string& text() const { return *text_; }

 private:
  long double number_ = 0;  // holds every double and every integer of 64 bits
  std::optional<std::string> text_;
};

/// Coordinates from `lo` to `hi`, both included; of a date "2001-06" all of the month.
struct Between {
  CoordinateValue lo, hi;
};
inline Between between(CoordinateValue lo, CoordinateValue hi) { return {std::move(lo), std::move(hi)}; }

/// The coordinate next to a value; of two at the same distance the larger one.
struct Nearest {
  CoordinateValue value;
  std::optional<double> tolerance;  ///< in the units of the coordinate
};
inline Nearest nearest(CoordinateValue value) { return {std::move(value), {}}; }
inline Nearest nearest(CoordinateValue value, double tolerance) { return {std::move(value), tolerance}; }

/// What to choose along an axis.
using Selection = std::variant<CoordinateValue, Between, Nearest>;
struct NamedSelection {
  template <class S>
  requires std::convertible_to<S, Selection> || std::convertible_to<S, CoordinateValue> NamedSelection(
      AxisName name, S&& chosen)
      : axis(std::move(name)), what(selection(std::forward<S>(chosen))) {}

  AxisName axis;
  Selection what;

 private:
  template <class S>
  static Selection selection(S&& chosen) {
    if constexpr (std::is_convertible_v<S, CoordinateValue>)
      return CoordinateValue(std::forward<S>(chosen));
    else
      return std::forward<S>(chosen);
  }
};

/// Parts by coordinate: sel(a, {{"lat", between(30, 60)}, {"time", "2001-06"}, {"lon", nearest(12.5)}}).
///
/// A number, and a date with seconds, is one element, which must be there, and takes the axis away, as
/// `nearest` does. `between` and a date that is a range keep the axis, in the order of the file; `between`
/// may choose nothing. Numbers are rounded to the type of a floating coordinate first. Dates are compared
/// with coordinates that have the units of the CF conventions ("hours since 1900-01-01"), in their calendar.
///
/// Coordinates ascend or descend: the chunks of the coordinate that a bisection meets are read, here and
/// now. Where one of these is not in order, a number is looked for in all of them, and the rest is refused.
///
/// **Fails**: as coord; not_found for a value or a date that the coordinate does not have; invalid_argument
/// for coordinates that are not in order, for values that stand several times, for text that is no date.
AnyLazyArray sel(const AnyLazyArray& array, const std::vector<NamedSelection>& selections);

template <class T>
LazyArray<T> isel(const LazyArray<T>& array, const std::vector<NamedSlice>& items) {
  return LazyArray<T>(isel(array.any(), items));
}
template <class T>
LazyArray<T> sel(const LazyArray<T>& array, const std::vector<NamedSelection>& selections) {
  return LazyArray<T>(sel(array.any(), selections));
}
template <class T>
LazyArray<T> with_coord(const LazyArray<T>& array, const AxisName& axis, const AnyLazyArray& coordinate) {
  return LazyArray<T>(with_coord(array.any(), axis, coordinate));
}

namespace detail {

/// Where the coordinate of an axis is, and which of its elements the axis shows.
struct CoordinateAxis {
  std::string dim;     ///< the name of the axis
  std::string origin;  ///< equal for the same coordinate
  std::function<AnyLazyArray()> open;
  Index extent = 0;  ///< of the whole coordinate
  ResolvedSlice part;
};
struct CoordinateAxes {
  std::vector<CoordinateAxis> axes;
};

/// The array at `place` with coordinates that `open_sibling` opens by the names of its axes.
AnyLazyArray with_siblings(const AnyLazyArray& array, const std::string& place,
                           const std::function<AnyLazyArray(const std::string&)>& open_sibling);
/// Those of the operands that do not contradict each other.
CoordinateAxesPtr joint_axes(const std::vector<const AnyLazyArray*>& operands);

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/coordinates.ipp>
#endif
