# Zstd::zstd, the Zstandard library (Debian: libzstd-dev).
include(${CMAKE_CURRENT_LIST_DIR}/MorselFindLibrary.cmake)
morsel_find_library(Zstd TARGET Zstd::zstd HEADER zstd.h LIBRARY zstd)
