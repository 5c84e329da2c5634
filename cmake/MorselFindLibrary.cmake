# morsel_find_library(<package> TARGET <target> HEADER <header> LIBRARY <name>...)
#
# The body of a Find module for a library that has a header and a file to link, and no CMake package of its own.
include(FindPackageHandleStandardArgs)
macro(morsel_find_library package)
  cmake_parse_arguments(_morsel_find "" "TARGET;HEADER" "LIBRARY" ${ARGN})
  find_path(${package}_INCLUDE_DIR ${_morsel_find_HEADER})
  find_library(${package}_LIBRARY NAMES ${_morsel_find_LIBRARY})
  mark_as_advanced(${package}_INCLUDE_DIR ${package}_LIBRARY)
  find_package_handle_standard_args(${package} REQUIRED_VARS ${package}_LIBRARY ${package}_INCLUDE_DIR)
  if(${package}_FOUND AND NOT TARGET ${_morsel_find_TARGET})
    add_library(${_morsel_find_TARGET} UNKNOWN IMPORTED)
    set_target_properties(${_morsel_find_TARGET} PROPERTIES
      IMPORTED_LOCATION ${${package}_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${${package}_INCLUDE_DIR})
  endif()
endmacro()
