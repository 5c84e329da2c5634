# Installs headers, libraries, the command, the CMake package and the pkg-config files. Nothing installed names the
# source tree, the build tree or the prefix, so that the prefix can be moved.
include(CMakePackageConfigHelpers)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/morsel DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING REGEX "[.](hpp|ipp|inl)$" REGEX "/morsel/ext" EXCLUDE)
install(FILES ${PROJECT_SOURCE_DIR}/include/morsel/ext/all.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/morsel/ext)
install(TARGETS morsel EXPORT morsel-core)
install(TARGETS morsel_header_only EXPORT morsel-core)
install(EXPORT morsel-core NAMESPACE morsel:: DESTINATION ${MORSEL_CMAKE_DIR})
if(TARGET morsel_command)
  file(RELATIVE_PATH to_libraries /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
  set_target_properties(morsel_command PROPERTIES INSTALL_RPATH "$ORIGIN/${to_libraries}")
  install(TARGETS morsel_command)
endif()

# A static archive passes its private libraries on to the consumer's link; a shared one has them already.
if(MORSEL_SHARED)
  set(private_dependency "find_package(\${package} QUIET)   # only morsel::header_only links it")
else()
  set(private_dependency "find_dependency(\${package})")
endif()
get_property(dependencies GLOBAL PROPERTY MORSEL_DEPENDENCIES)
get_property(components GLOBAL PROPERTY MORSEL_COMPONENTS_BUILT)
get_property(find_modules GLOBAL PROPERTY MORSEL_FIND_MODULES)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/morselConfig.cmake.in ${PROJECT_BINARY_DIR}/morselConfig.cmake
                              INSTALL_DESTINATION ${MORSEL_CMAKE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/morselConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/morselConfig.cmake ${PROJECT_BINARY_DIR}/morselConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/cmake/MorselFindLibrary.cmake ${find_modules}
        DESTINATION ${MORSEL_CMAKE_DIR})

get_property(modules GLOBAL PROPERTY MORSEL_PKGCONFIG)
get_property(definitions GLOBAL PROPERTY MORSEL_LIBRARY_DEFINITIONS)
list(JOIN definitions " " definitions)
# Libraries without a pkg-config module of their own stand as linker options.
set(libs_header_only ${modules})
list(FILTER libs_header_only INCLUDE REGEX "^-l")
list(FILTER modules EXCLUDE REGEX "^-l")
set(requires xtensor)
set(requires_private ${modules})
set(requires_header_only xtensor nlohmann_json ${modules})
set(libs)
set(libs_private ${libs_header_only})
if(NOT MORSEL_SHARED)
  list(APPEND requires ${requires_private})
  set(libs ${libs_private})
  set(requires_private)
  set(libs_private)
endif()
foreach(list IN ITEMS libs libs_private libs_header_only)
  list(JOIN ${list} " " ${list})
endforeach()
foreach(list IN ITEMS requires requires_private requires_header_only)
  list(JOIN ${list} ", " ${list})
endforeach()
file(RELATIVE_PATH to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" to_prefix "${to_prefix}")
configure_file(${PROJECT_SOURCE_DIR}/cmake/morsel.pc.in ${PROJECT_BINARY_DIR}/morsel.pc @ONLY)
configure_file(${PROJECT_SOURCE_DIR}/cmake/morsel-header-only.pc.in ${PROJECT_BINARY_DIR}/morsel-header-only.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/morsel.pc ${PROJECT_BINARY_DIR}/morsel-header-only.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
