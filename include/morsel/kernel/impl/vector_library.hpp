// SLEEF, the vector mathematics library. MORSEL_HAVE_SLEEF says whether it is used: the build sets it, or
// else the presence of its header. Without it the C library computes, one element at a time.
#pragma once

#if !defined(MORSEL_HAVE_SLEEF) && __has_include(<sleef.h>)
#define MORSEL_HAVE_SLEEF 1
#endif
#if MORSEL_HAVE_SLEEF
#include <sleef.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif
