# Aec::aec, libaec, for szip (Debian: libaec-dev).
include(${CMAKE_CURRENT_LIST_DIR}/MorselFindLibrary.cmake)
morsel_find_library(Aec TARGET Aec::aec HEADER libaec.h LIBRARY aec)
