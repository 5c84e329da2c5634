#!/usr/bin/env bash
# From a bare Debian 12 to numbers: installs what is missing, builds the library, the command and one example, and
# runs the main job: a file larger than the budget, read once, every promise checked.
#
#   examples/quickstart.sh [DATA_SIZE [BUDGET]]      defaults: 2GiB 32MiB
#
# The figures go to quickstart.json at the top of the checkout. Exit code 0 only if everything is as promised.
# MORSEL_BUILD_DIR: where to build and to put the data (build/quickstart). MORSEL_OFFLINE=1: installs nothing.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=${MORSEL_BUILD_DIR:-$root/build/quickstart}
data_size=${1:-2GiB}
budget=${2:-32MiB}
jobs=${MORSEL_JOBS:-$(nproc)}
exec </dev/null
. "$root/tests/packages.sh"

bold="" dim="" plain="" terminal=0
if [ -t 1 ]; then
  terminal=1
  if [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; fi
fi

# step NAME LOG COMMAND...: runs it with its output in LOG; shows how far a build is, and the end of LOG if it fails.
step() {
  local name=$1 log=$2 begin=$SECONDS code=0 job
  shift 2
  "$@" >"$log" 2>&1 &
  job=$!
  while [ "$terminal" = 1 ] && kill -0 "$job" 2>/dev/null; do
    printf '\r  %s%-20s%s%s\e[K' "$dim" "$name" "$plain" "$(grep -oE '^\[[0-9]+/[0-9]+\]' "$log" | tail -n 1)"
    sleep 0.5
  done
  wait "$job" || code=$?
  if [ "$terminal" = 1 ]; then printf '\r\e[K'; fi
  if [ "$code" != 0 ]; then
    grep -E -A 8 'FAILED:|error:|Error' "$log" | head -n 40 || tail -n 30 "$log"
    echo "quickstart: '$name' failed, see $log"
    exit 1
  fi
  printf '  %s%-20s%s%s s\n' "$dim" "$name" "$plain" $((SECONDS - begin))
}
build_library() {
  cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$build/prefix" &&
    cmake --build "$build" -j "$jobs" && cmake --install "$build"
}
build_example() {
  cmake -S "$root/examples" -B "$build/example" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$build/prefix" &&
    cmake --build "$build/example" -j "$jobs" --target example_quickstart
}

printf '%sMorsel: %s of data through %s of memory%s\n\n' "$bold" "$data_size" "$budget" "$plain"
mkdir -p "$build/data"
# shellcheck disable=SC2086 # a list of packages
step "packages" "$build/packages.log" install_missing $build_packages
step "library, command" "$build/library.log" build_library
step "example" "$build/example.log" build_example

trap 'rm -rf "$build/data"' EXIT
cd "$build/data"
rm -f "$root/quickstart.json"
"$build/example/example_quickstart" "$data_size" "$budget" "$root/quickstart.json" keep

printf '\n%sThe same without C++%s\n' "$bold" "$plain"
export PATH="$build/prefix/bin:$PATH" MORSEL_MEMORY=$budget
for line in 'morsel stats temperature.npy -1' \
  "morsel eval 'mean(t, axis=(1, 2))[:4]' t=temperature.npy" \
  "morsel eval 'max(abs(t - mean(t)))' t=temperature.npy"; do
  printf '  %s$ %s%s\n' "$dim" "$line" "$plain"
  result=$(eval "$line")
  printf '%s\n' "$result" | sed 's/^/  /'
done
printf '\n%s%s s in all%s; next: docs/tutorial.md\n' "$dim" "$SECONDS" "$plain"
