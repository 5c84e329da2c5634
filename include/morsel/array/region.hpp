// A half-open box in elements.
#pragma once

#include <morsel/array/dims.hpp>

namespace morsel::inline MORSEL_ABI {

/// The elements lo[i] <= index[i] < hi[i] of an array.
struct Region {
  Dims lo, hi;

  static Region of(const Shape& shape) { return {Dims(shape.size(), 0), shape}; }
  std::size_t rank() const { return lo.size(); }
  Shape shape() const {
    Shape s(lo.size());
    for (std::size_t i = 0; i < s.size(); ++i) s[i] = hi[i] - lo[i];
    return s;
  }
  Index size() const {
    Index n = 1;
    for (std::size_t i = 0; i < lo.size(); ++i) n *= hi[i] > lo[i] ? hi[i] - lo[i] : 0;
    return n;
  }
  bool contains(const Region& r) const {
    for (std::size_t i = 0; i < lo.size(); ++i)
      if (r.lo[i] < lo[i] || r.hi[i] > hi[i]) return false;
    return true;
  }
  friend bool operator==(const Region&, const Region&) = default;
};

/// The common part of two boxes; some hi <= lo if there is none.
inline Region intersect(const Region& a, const Region& b) {
  Region r = a;
  for (std::size_t i = 0; i < r.lo.size(); ++i) {
    r.lo[i] = std::max(a.lo[i], b.lo[i]);
    r.hi[i] = std::min(a.hi[i], b.hi[i]);
  }
  return r;
}

/// The smallest box around two boxes.
inline Region hull(const Region& a, const Region& b) {
  Region r = a;
  for (std::size_t i = 0; i < r.lo.size(); ++i) {
    r.lo[i] = std::min(a.lo[i], b.lo[i]);
    r.hi[i] = std::max(a.hi[i], b.hi[i]);
  }
  return r;
}

/// "[0:10, 5:6]"
std::string to_string(const Region& region);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/array/impl/region.ipp>
#endif
