// The axes of a call: numbers, names or both.
#pragma once

#include <concepts>
#include <initializer_list>
#include <morsel/graph/build.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// One axis: its number (negative from the end) or its name.
struct AxisName {
  Index number = 0;
  std::string name = {};
  bool is_named = false;

  template <std::integral I>
  AxisName(I i) : number(static_cast<Index>(i)) {}                 // NOLINT(google-explicit-constructor)
  AxisName(const char* text) : name(text), is_named(true) {}       // NOLINT(google-explicit-constructor)
  AxisName(std::string_view text) : name(text), is_named(true) {}  // NOLINT(google-explicit-constructor)
  AxisName(std::string text)
      : name(std::move(text)), is_named(true) {}  // NOLINT(google-explicit-constructor)
};

/// Axes as a call takes them: all_axes (the default), one number or name, or a list {0, "lat"}. An empty
/// vector is no axis at all.
class Axes {
 public:
  Axes() = default;
  Axes(AllAxes) {}  // NOLINT(google-explicit-constructor)
  template <std::integral I>
  Axes(I i) : all_(false), list_{AxisName(i)} {}                       // NOLINT(google-explicit-constructor)
  Axes(const char* name) : all_(false), list_{AxisName(name)} {}       // NOLINT(google-explicit-constructor)
  Axes(std::string_view name) : all_(false), list_{AxisName(name)} {}  // NOLINT(google-explicit-constructor)
  Axes(const std::string& name)
      : all_(false), list_{AxisName(name)} {}  // NOLINT(google-explicit-constructor)
  Axes(std::initializer_list<AxisName> list)
      : all_(false), list_(list) {}  // NOLINT(google-explicit-constructor)
  Axes(const std::vector<Index>& list) : all_(false), list_(list.begin(), list.end()) {}  // NOLINT
  Axes(std::vector<AxisName> list)
      : all_(false), list_(std::move(list)) {}  // NOLINT(google-explicit-constructor)

  bool all() const { return all_; }
  const std::vector<AxisName>& list() const { return list_; }

 private:
  bool all_ = true;
  std::vector<AxisName> list_;
};

/// The number of a named or numbered axis of an array with these dimension names.
/// **Fails**: out_of_range; invalid_argument for a name that the array does not have, listing those it has.
Index find_axis(const AxisName& axis, const std::vector<std::string>& dims, std::size_t rank,
                std::string_view doing);
std::vector<Index> find_axes(const Axes& axes, const std::vector<std::string>& dims, std::size_t rank,
                             std::string_view doing);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/axes.ipp>
#endif
