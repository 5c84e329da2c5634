#!/usr/bin/env bash
# Builds and runs all tests, from a bare Debian 12: installs what is missing, configures, builds, runs, counts.
#
#   tests/run.sh [CTEST ARGUMENTS]     e.g. tests/run.sh -L unit
#
# MORSEL_BUILD_DIR  where to build (build/test)      MORSEL_OFFLINE=1  install nothing, skip what needs Python packages
# CXX               the compiler                     MORSEL_JOBS       compile jobs (one per core)
# The last line is "tests: N passed, N failed, N skipped"; the exit code is 0 when none failed.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=${MORSEL_BUILD_DIR:-$root/build/test}
jobs=${MORSEL_JOBS:-$(nproc)}
exec </dev/null
. "$root/tests/packages.sh"

stop() {
  echo "tests/run.sh: $1"
  echo "tests: 0 passed, 1 failed, 0 skipped"
  exit 1
}

install_missing $build_packages $test_packages || stop "cannot install packages"
mkdir -p "$build"

extra_failed=0 extra_skipped=0
if ! python=$(oracle_python "$build/venv" "$root/tests/oracle/requirements.txt"); then
  python=""
  if [ "${MORSEL_OFFLINE:-0}" = 1 ]; then
    echo "oracle tests: skipped, no NumPy 2 and MORSEL_OFFLINE=1"
    extra_skipped=1
  else
    echo "oracle tests: FAILED, cannot install the packages of tests/oracle/requirements.txt (MORSEL_OFFLINE=1 skips them)"
    extra_failed=1
  fi
fi

launcher=""
if command -v ccache >/dev/null; then launcher=-DCMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE="${MORSEL_BUILD_TYPE:-Release}" -DMORSEL_DEVELOPER=ON \
  -DMORSEL_ORACLE_PYTHON="$python" $launcher ${MORSEL_CMAKE_ARGS:-} >"$build/configure.log" 2>&1 ||
  { tail -n 30 "$build/configure.log"; stop "configuring failed"; }
grep -A 9 -- '-- morsel ' "$build/configure.log" | grep -E '^--( morsel|   )' || true
cmake --build "$build" -j "$jobs" >"$build/build.log" 2>&1 ||
  { grep -E -A 12 'FAILED:|error:' "$build/build.log" | head -n 80; stop "building failed, see $build/build.log"; }

# Without an interpreter the oracle tests cannot run; they are counted above.
without=""
if [ -z "$python" ]; then without="-LE oracle"; fi
export MORSEL_TEST_COUNTS=$build/counts
rm -f "$MORSEL_TEST_COUNTS" "$build/junit.xml"
ctest --test-dir "$build" -j "$jobs" --output-on-failure --output-junit "$build/junit.xml" $without "$@" || true
[ -f "$build/junit.xml" ] || stop "ctest did not run"
grep -hE '^ *skipped: ' "$build/Testing/Temporary/LastTest.log" | sort | uniq -c || true
python3 "$root/tests/count.py" "$build/junit.xml" "$MORSEL_TEST_COUNTS" "$extra_failed" "$extra_skipped"
