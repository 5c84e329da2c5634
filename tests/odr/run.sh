#!/usr/bin/env bash
# Links programs of two units that each include every header: both header-only (a body that lacks MORSEL_INLINE is a
# duplicate symbol), both compiled, and one of each (the modes must not be mixed up by the linker).
# usage: run.sh BUILD_DIR    its library is built; CXX is the compiler
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$1
cxx=${CXX:-g++}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

(cd "$root/include" && find morsel -name '*.hpp' -not -path '*/impl/*' -not -path '*/ext/*' | sort) |
  sed 's/.*/#include <&>/' >"$work/all_headers.hpp"
cmake --install "$build" --prefix "$work/prefix" >/dev/null
PKG_CONFIG_PATH=$(dirname "$(find "$work/prefix" -name morsel.pc)")
export PKG_CONFIG_PATH
flags="-std=c++20 -O0 -I$root/include -I$work"
"$cxx" $flags -DMORSEL_HEADER_ONLY -c "$here/first.cpp" -o "$work/first_header_only.o" &
first=$!
"$cxx" $flags -DMORSEL_HEADER_ONLY -c "$here/second.cpp" -o "$work/second_header_only.o"
wait "$first"
"$cxx" $flags -c "$here/first.cpp" -o "$work/first_compiled.o" &
first=$!
"$cxx" $flags -c "$here/second.cpp" -o "$work/second_compiled.o"
wait "$first"

"$cxx" "$work/first_header_only.o" "$work/second_header_only.o" -o "$work/header_only" -lsleef -pthread
"$work/header_only"
"$cxx" "$work/first_compiled.o" "$work/second_compiled.o" -o "$work/compiled" $(pkg-config --libs morsel)
"$work/compiled"
"$cxx" "$work/first_compiled.o" "$work/second_header_only.o" -o "$work/mixed" $(pkg-config --libs morsel)
"$work/mixed"
nm -C "$work/mixed" >"$work/symbols"
for abi in v0 v0_header_only; do
  grep -q "morsel::$abi::" "$work/symbols" || { echo "odr: the mixed program has no code of morsel::$abi"; exit 1; }
done

# The header-only objects define nothing that is not inline: no strong function or object of ours, no static storage.
nm -C --defined-only "$work/second_header_only.o" >"$work/symbols"
if grep -E ' [TDBRbd] .*morsel::' "$work/symbols" | grep -vE ' [bd] guard variable'; then
  echo "odr: the symbols above are defined strongly, or have internal linkage, in a header-only unit"
  exit 1
fi
echo "odr: two header-only units, two compiled ones, and one of each link and run"
