// expect: a view takes no xt::keep or xt::drop; use take\(a, indices, axis\)
#include <morsel/morsel.hpp>

auto use(const morsel::LazyArray<float>& array) {
#if defined(MUST_COMPILE)
  return array.view(xt::all(), 1);
#else
  return array.view(xt::all(), xt::keep(1, 3));
#endif
}
