// expect: stream needs the element type; use x\.visit
#include <morsel/morsel.hpp>

#if defined(MUST_COMPILE)
void use(const morsel::LazyArray<float>& array) {
#else
void use(const morsel::AnyLazyArray& array) {
#endif
  for (auto&& block : morsel::stream(array)) (void)block;
}
