// Version, the one switch, and the namespace every declaration lives in.
//
// MORSEL_HEADER_ONLY is carried in the inline namespace, so that a program that mixes both modes links
// correctly instead of breaking the one-definition rule. The
// other macros say which libraries there are: MORSEL_HAVE_<NAME>, 1 or 0, set by the build. For headers alone
// SLEEF is used where its header is, the others where their macro is set; all files get the same.
#pragma once

#define MORSEL_VERSION_MAJOR 0
#define MORSEL_VERSION_MINOR 1
#define MORSEL_VERSION_PATCH 0

#if defined(__FAST_MATH__)
#error \
    "morsel: -ffast-math (or -Ofast) is on; expected IEEE arithmetic, remove the flag for files that include morsel"
#endif

#if defined(MORSEL_HEADER_ONLY)
#define MORSEL_INLINE inline
#define MORSEL_ABI v0_header_only
#else
#define MORSEL_INLINE
#define MORSEL_ABI v0
#endif
