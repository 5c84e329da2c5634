# morsel_component(<name> PACKAGE <find_package args>... LINK <target>... [NEEDS_C])
#
# A backend: src/ext/<name>.cpp, include/morsel/ext/<name>.hpp, include/morsel/ext/impl/<name>.ipp. MORSEL_WITH_<NAME>
# is AUTO (built at top level when the package is found), ON (required) or OFF; AUTO is OFF below a parent project.
# Adds
#   morsel::<name>              compiled, links morsel::morsel
#   morsel::<name>_header_only  INTERFACE, links morsel::header_only
# in an export file of their own, so that find_package(morsel) never looks for what the consumer did not ask for.
function(morsel_component name)
  cmake_parse_arguments(ARG "NEEDS_C" "" "PACKAGE;LINK" ${ARGN})
  string(TOUPPER ${name} upper)
  set(MORSEL_WITH_${upper} AUTO CACHE STRING "Build the ${name} component: AUTO, ON or OFF")
  set_property(CACHE MORSEL_WITH_${upper} PROPERTY STRINGS AUTO ON OFF)
  set(wanted ${MORSEL_WITH_${upper}})
  if(wanted STREQUAL "AUTO" AND NOT PROJECT_IS_TOP_LEVEL)
    set(wanted OFF)
  endif()
  if(NOT wanted)
    set_property(GLOBAL APPEND PROPERTY MORSEL_COMPONENT_LIST "${name}: off")
    return()
  endif()

  list(GET ARG_PACKAGE 0 package)
  if(ARG_NEEDS_C AND NOT CMAKE_C_COMPILER_LOADED)   # CMake's FindHDF5 and FindMPI compile a C file
    message(FATAL_ERROR "component ${name}: call enable_language(C) first; it cannot be called in a function")
  endif()
  if(wanted STREQUAL "AUTO")
    find_package(${ARG_PACKAGE} QUIET)
    if(NOT ${package}_FOUND)
      set_property(GLOBAL APPEND PROPERTY MORSEL_COMPONENT_LIST "${name}: not found")
      return()
    endif()
  else()
    find_package(${ARG_PACKAGE} REQUIRED)
  endif()

  add_library(morsel_${name} src/ext/${name}.cpp)
  add_library(morsel::${name} ALIAS morsel_${name})
  target_link_libraries(morsel_${name} PUBLIC morsel::morsel PRIVATE ${ARG_LINK} nlohmann_json::nlohmann_json)
  target_compile_options(morsel_${name} PRIVATE -ffp-contract=off)
  target_compile_definitions(morsel_${name} PUBLIC MORSEL_HAVE_${upper}=1)   # for <morsel/ext/all.hpp>
  set_target_properties(morsel_${name} PROPERTIES EXPORT_NAME ${name} CXX_EXTENSIONS OFF
    POSITION_INDEPENDENT_CODE ON VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})

  add_library(morsel_${name}_header_only INTERFACE)
  add_library(morsel::${name}_header_only ALIAS morsel_${name}_header_only)
  target_link_libraries(morsel_${name}_header_only INTERFACE morsel::header_only ${ARG_LINK})
  target_compile_definitions(morsel_${name}_header_only INTERFACE MORSEL_HAVE_${upper}=1)
  set_target_properties(morsel_${name}_header_only PROPERTIES EXPORT_NAME ${name}_header_only)

  export(TARGETS morsel_${name} morsel_${name}_header_only NAMESPACE morsel:: FILE morsel-${name}.cmake)
  if(MORSEL_INSTALL)
    install(TARGETS morsel_${name} morsel_${name}_header_only EXPORT morsel-${name})
    install(EXPORT morsel-${name} NAMESPACE morsel:: DESTINATION ${MORSEL_CMAKE_DIR})
    install(FILES include/morsel/ext/${name}.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/morsel/ext)
    install(DIRECTORY include/morsel/ext/impl DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/morsel/ext
            FILES_MATCHING PATTERN "${name}*")
    list(JOIN ARG_PACKAGE " " arguments)
    set(dependencies "find_dependency(${arguments})\n")
    if(ARG_NEEDS_C)
      string(PREPEND dependencies "morsel_needs_c(${name})\n")
    endif()
    file(WRITE ${PROJECT_BINARY_DIR}/morsel-${name}-dependencies.cmake "${dependencies}")
    install(FILES ${PROJECT_BINARY_DIR}/morsel-${name}-dependencies.cmake DESTINATION ${MORSEL_CMAKE_DIR})
    if(EXISTS ${PROJECT_SOURCE_DIR}/cmake/Find${package}.cmake)
      set_property(GLOBAL APPEND PROPERTY MORSEL_FIND_MODULES ${PROJECT_SOURCE_DIR}/cmake/Find${package}.cmake)
    endif()
  endif()
  set_property(GLOBAL APPEND PROPERTY MORSEL_COMPONENT_LIST "${name}: yes")
  set_property(GLOBAL APPEND PROPERTY MORSEL_COMPONENTS_BUILT ${name})
  set(MORSEL_COMPONENT_TARGETS ${MORSEL_COMPONENT_TARGETS} morsel::${name} PARENT_SCOPE)
endfunction()
