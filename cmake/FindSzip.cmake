# Szip::szip, the interface of szip, as libaec brings it (Debian: libaec-dev).
include(${CMAKE_CURRENT_LIST_DIR}/MorselFindLibrary.cmake)
morsel_find_library(Szip TARGET Szip::szip HEADER szlib.h LIBRARY sz)
