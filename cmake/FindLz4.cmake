# Lz4::lz4, the LZ4 library (Debian: liblz4-dev).
include(${CMAKE_CURRENT_LIST_DIR}/MorselFindLibrary.cmake)
morsel_find_library(Lz4 TARGET Lz4::lz4 HEADER lz4.h LIBRARY lz4)
