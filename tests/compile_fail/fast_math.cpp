// flags: -ffast-math
// expect: fast-math.*expected IEEE arithmetic
#include <morsel/base/config.hpp>
