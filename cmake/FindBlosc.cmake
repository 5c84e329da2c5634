# Blosc::blosc, c-blosc 1 (Debian: libblosc-dev).
include(${CMAKE_CURRENT_LIST_DIR}/MorselFindLibrary.cmake)
morsel_find_library(Blosc TARGET Blosc::blosc HEADER blosc.h LIBRARY blosc)
