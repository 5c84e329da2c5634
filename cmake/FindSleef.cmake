# Sleef::sleef, the vector mathematics library (Debian: libsleef-dev). It ships no CMake package in 3.5.
include(${CMAKE_CURRENT_LIST_DIR}/MorselFindLibrary.cmake)
morsel_find_library(Sleef TARGET Sleef::sleef HEADER sleef.h LIBRARY sleef)
