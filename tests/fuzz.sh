#!/usr/bin/env bash
# Runs every fuzzer for a while, from the inputs in tests/data/fuzz/<name>/ if there are any, and from what fuzz_seeds.py
# makes of files of other software where these are on the machine.
# usage: fuzz.sh BUILD_DIR SECONDS_EACH
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
seconds=$2
passed=0 failed=0 skipped=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for source in "$root"/tests/fuzz/*.cpp; do
  [ -e "$source" ] || { echo "no fuzzers"; exit 77; }
  name=$(basename "$source" .cpp)
  if [ ! -e "$build/bin/$name" ] && [ "${name#hdf5}" != "$name" ] && [ ! -e "$build/libmorsel_hdf5.a" ]; then
    skipped=$((skipped + 1))
    echo "skipped $name: a build without the component hdf5"
    continue
  fi
  seeds=$root/tests/data/fuzz/$name
  mkdir -p "$work/$name" "$work/seeds/$name" "$build/fuzz"
  [ -d "$seeds" ] || seeds=""
  python3 "$root/tests/fuzz_seeds.py" "$name" "$work/seeds/$name"
  if "$build/bin/$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$build/fuzz/$name-" "$work/$name" "$work/seeds/$name" $seeds >"$work/$name.log" 2>&1; then
    passed=$((passed + 1))
    echo "ok      $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$name.log") inputs"
  else
    failed=$((failed + 1))
    echo "FAILED  $name, input kept in $build/fuzz"
    tail -n 40 "$work/$name.log"
  fi
done
echo "tests: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
