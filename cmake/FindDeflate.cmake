# Deflate::deflate, libdeflate, gzip and zlib streams whole (Debian: libdeflate-dev).
include(${CMAKE_CURRENT_LIST_DIR}/MorselFindLibrary.cmake)
morsel_find_library(Deflate TARGET Deflate::deflate HEADER libdeflate.h LIBRARY deflate)
