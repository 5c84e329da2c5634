# Zfp::zfp, the zfp library (Debian: libzfp-dev).
include(${CMAKE_CURRENT_LIST_DIR}/MorselFindLibrary.cmake)
morsel_find_library(Zfp TARGET Zfp::zfp HEADER zfp.h LIBRARY zfp)
