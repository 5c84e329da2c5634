#!/usr/bin/env bash
# Object files built for one instruction set must define no weak symbol: the linker keeps one copy of those, and could
# give code for AVX-512 to the rest of the program. Built at -O0, where nothing is hidden by inlining.
# usage: check_weak_symbols.sh [COMPILER]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
compiler=${1:-g++}
case $(uname -m) in x86_64) ;; *) echo "weak symbols: no such files for $(uname -m)"; exit 0 ;; esac

object=$(mktemp)
trap 'rm -f "$object"' EXIT
failed=0 count=0
for file in "$root"/src/kernel_avx*.cpp; do
  case $file in
    *avx512*) flags="-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mf16c" ;;
    *) flags="-mavx2 -mf16c" ;;
  esac
  "$compiler" -std=c++20 -O0 -ffp-contract=off $flags -I"$root/include" -c "$file" -o "$object"
  count=$((count + 1))
  if weak=$(nm -C --defined-only "$object" | grep -E ' [WVuw] '); then
    echo "$(basename "$file") defines weak symbols:"
    printf '%s\n' "$weak" | head -n 20
    failed=1
  fi
done
[ "$count" -gt 0 ] || { echo "weak symbols: src/kernel_avx*.cpp not found"; exit 1; }
[ "$failed" = 0 ] && echo "weak symbols: none in $count files"
exit "$failed"
