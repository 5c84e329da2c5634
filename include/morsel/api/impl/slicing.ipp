#pragma once

#include <morsel/api/slicing.hpp>

namespace morsel::inline MORSEL_ABI {
namespace detail {

MORSEL_INLINE SliceItem item_of_range(Index start, Index step, Index count) {
  SliceItem item;
  item.start = start;
  item.step = step;
  const Index last = start + (count - 1) * step;
  // A bound of -1 would count from the end.
  if (count == 0)
    item.stop = start, item.step = 1;
  else if (step > 0 || last > 0)
    item.stop = last + (step > 0 ? 1 : -1);
  return item;
}

}  // namespace detail
}  // namespace morsel::inline MORSEL_ABI
