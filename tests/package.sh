#!/usr/bin/env bash
# Everything a user can do to get at morsel, each tried with a small program: find_package after moving the installed
# prefix (compiled and header-only), add_subdirectory, pkg-config, and plain copying of include/.
#
# usage: package.sh BUILD_DIR    a configured build tree; its library is built if need be
# CXX is the compiler. MORSEL_SHARED_BUILD=1 also builds and installs the shared library.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
cxx=${CXX:-g++}
jobs=${MORSEL_JOBS:-$(nproc)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# try NAME COMMAND...: runs it, shows its output only when it fails.
try() {
  local name=$1
  shift
  if "$@" >"$work/log" 2>&1; then
    passed=$((passed + 1))
    echo "ok      $name"
  else
    failed=$((failed + 1))
    echo "FAILED  $name"
    tail -n 40 "$work/log"
  fi
}

command_target() { if grep -q '^build morsel_command:' "$build/build.ninja"; then echo morsel_command; fi; }
has_hdf5() { grep -q '^build morsel_hdf5:' "$build/build.ninja"; }
install_and_move() {
  cmake --build "$build" -j "$jobs" --target morsel $(command_target) $(if has_hdf5; then echo morsel_hdf5; fi) && cmake --install "$build" --prefix "$work/first" &&
    mv "$work/first" "$work/moved"
}
names_no_place() {
  ! grep -rlE "$root|$build|$work/first" "$work/moved"/lib*/cmake "$work/moved"/lib*/*/cmake "$work/moved"/lib*/*/pkgconfig \
    "$work/moved"/lib*/pkgconfig 2>/dev/null
}
find_package_consumer() {
  cmake -S "$root/tests/consumer" -B "$work/consumer" -G Ninja -DCMAKE_PREFIX_PATH="$work/moved" \
    -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_CXX_FLAGS="-O0 -Wall -Wextra -Werror" &&
    cmake --build "$work/consumer" -j "$jobs"
}
component_consumer() {
  cmake -S "$root/tests/consumer/hdf5" -B "$work/component" -G Ninja -DCMAKE_PREFIX_PATH="$work/moved" \
    -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_CXX_FLAGS="-O0 -Wall -Wextra -Werror" &&
    cmake --build "$work/component" -j "$jobs" && "$work/component/consumer_hdf5" "$root/tests/data/example.h5" &&
    "$work/component/consumer_hdf5_header_only" "$root/tests/data/example.h5"
}
missing_component() {
  mkdir -p "$work/missing"
  cat >"$work/missing/CMakeLists.txt" <<'TXT'
cmake_minimum_required(VERSION 3.25)
project(missing LANGUAGES CXX)
find_package(morsel REQUIRED COMPONENTS hologram)
TXT
  ! cmake -S "$work/missing" -B "$work/missing/build" -DCMAKE_PREFIX_PATH="$work/moved" >"$work/missing/log" 2>&1 &&
    grep -q "built without component 'hologram'" "$work/missing/log"
}
wrong_version() {
  mkdir -p "$work/version"
  cat >"$work/version/CMakeLists.txt" <<'TXT'
cmake_minimum_required(VERSION 3.25)
project(version LANGUAGES CXX)
find_package(morsel 99.0 QUIET)
if(morsel_FOUND)
  message(FATAL_ERROR "version 99 found")
endif()
TXT
  cmake -S "$work/version" -B "$work/version/build" -DCMAKE_PREFIX_PATH="$work/moved"
}
plugin() {
  cmake -S "$root/examples/plugin" -B "$work/plugin" -G Ninja -DCMAKE_PREFIX_PATH="$work/moved" \
    -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_CXX_FLAGS=-O1 &&
    cmake --build "$work/plugin" -j "$jobs" && ctest --test-dir "$work/plugin" --output-on-failure
}
subproject() {
  cmake -S "$root/tests/subproject" -B "$work/subproject" -G Ninja -DMORSEL_SOURCE="$root" \
    -DCMAKE_CXX_COMPILER="$cxx" ${MORSEL_LAUNCHER:-} &&
    cmake --build "$work/subproject" -j "$jobs" --target subproject && "$work/subproject/subproject" &&
    cmake --install "$work/subproject" --prefix "$work/parent_prefix" && [ ! -e "$work/parent_prefix/include/morsel" ]
}
pkg_config_dir() { dirname "$(find "$work/moved" -name morsel.pc)"; }
pkg_config_program() {
  export PKG_CONFIG_PATH
  PKG_CONFIG_PATH=$(pkg_config_dir)
  "$cxx" -std=c++20 -O0 "$root/tests/consumer/main.cpp" "$root/tests/consumer/second.cpp" -o "$work/with_pkg_config_$1" \
    $(pkg-config --cflags --libs "$1") && "$work/with_pkg_config_$1"
}
vendored() {
  cp -r "$root/include" "$work/vendored_include" &&
    "$cxx" -std=c++20 -O0 -DMORSEL_HEADER_ONLY -I"$work/vendored_include" "$root/tests/consumer/main.cpp" \
      "$root/tests/consumer/second.cpp" -o "$work/vendored" -lsleef -pthread && "$work/vendored"
}
shared_library() {
  cmake -S "$root" -B "$work/shared" -G Ninja -DBUILD_SHARED_LIBS=ON -DMORSEL_COMMAND=OFF -DCMAKE_CXX_COMPILER="$cxx" \
    -DCMAKE_BUILD_TYPE=Release ${MORSEL_LAUNCHER:-} &&
    cmake --build "$work/shared" -j "$jobs" && cmake --install "$work/shared" --prefix "$work/shared_prefix" &&
    cmake -S "$root/tests/consumer" -B "$work/shared_consumer" -G Ninja -DCMAKE_PREFIX_PATH="$work/shared_prefix" \
      -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_CXX_FLAGS=-O0 &&
    cmake --build "$work/shared_consumer" -j "$jobs" --target consumer_morsel &&
    "$work/shared_consumer/consumer_morsel" && ldd "$work/shared_consumer/consumer_morsel" | grep libmorsel
}

try "install, and move the prefix" install_and_move
try "the installed package names no directory of the build" names_no_place
try "find_package and build" find_package_consumer
try "find_package: compiled" "$work/consumer/consumer_morsel"
try "find_package: header-only" "$work/consumer/consumer_header_only"
if has_hdf5; then try "find_package of the component hdf5: compiled and header-only" component_consumer; fi
try "find_package of a component that is not there says so" missing_component
try "find_package of a newer version fails" wrong_version
if [ -x "$work/moved/bin/morsel" ]; then try "the installed command runs" "$work/moved/bin/morsel" --version; fi
try "pkg-config: compiled" pkg_config_program morsel
try "pkg-config: header-only" pkg_config_program morsel-header-only
try "plain compiler with a copy of include/" vendored
try "a plugin outside of the tree passes the installed conformance suites" plugin
try "add_subdirectory" subproject
if [ "${MORSEL_SHARED_BUILD:-0}" = 1 ]; then try "shared library" shared_library; fi

echo "tests: $passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
