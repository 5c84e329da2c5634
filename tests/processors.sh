#!/usr/bin/env bash
# Runs programs on emulated processors without AVX and without AVX-512: no code of a missing instruction set may run.
#
#   tests/processors.sh COMMAND TESTS     the `morsel` command, and the test program of the kernels
set -euo pipefail
command=$1 tests=$2
if [ "$(uname -m)" != x86_64 ]; then echo "skipped: not an x86-64 processor"; exit 77; fi
command -v qemu-x86_64 >/dev/null || { echo "skipped: no qemu-x86_64"; exit 77; }
unset MORSEL_TEST_COUNTS   # the same tests are counted where they run on this processor

on() { # on PROCESSOR PROGRAM [ARGUMENTS...]
  qemu-x86_64 -cpu "$@" 2> >(grep -v "^qemu-x86_64: warning: TCG doesn't support" >&2)
}
expect() { # expect WHAT GOT EXPECTED
  if [ "$2" != "$3" ]; then echo "$1: expected '$3', got '$2'"; exit 1; fi
}
for processor in Westmere Haswell; do
  case $processor in Westmere) level=baseline ;; *) level=avx2 ;; esac
  expect "the level on $processor" "$(on $processor "$command" doctor --json | grep -o '"best": "[a-z0-9]*"')" "\"best\": \"$level\""
  for asked in "" baseline avx512; do
    expect "a reduction on $processor, MORSEL_SIMD='$asked'" \
      "$(MORSEL_SIMD=$asked on $processor "$command" eval 'sum(arange(10.0))')" 45.0
    expect "an expression on $processor, MORSEL_SIMD='$asked'" \
      "$(MORSEL_SIMD=$asked on $processor "$command" eval 'sqrt(arange(3.0) ** 4) + 1')" "[1.0 2.0 5.0]"
  done
  on $processor "$tests" "~[slow]" >/dev/null || { echo "the kernels' tests fail on $processor"; exit 1; }
done
echo "no code but that of the processor's own instruction sets"
