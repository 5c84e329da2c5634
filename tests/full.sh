#!/usr/bin/env bash
# What is too slow for .ci/run; an hour or more. Run it before a release.
#
#   tests/full.sh [STAGE...]    property fuzz memory shared alone tidy bare_debian (all by default; bare_debian needs root)
#
# The last line is "full: N passed, N failed, N skipped".
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 1
build=${MORSEL_BUILD_DIR:-$root/build/full}
jobs=${MORSEL_JOBS:-$(nproc)}
exec </dev/null
. tests/packages.sh
launcher=""
if command -v ccache >/dev/null; then launcher=-DCMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
export MORSEL_LAUNCHER=$launcher

release_tree() {
  cmake -S . -B "$build/release" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMORSEL_DEVELOPER=ON $launcher &&
    cmake --build "$build/release" -j "$jobs"
}
# Random cases: a hundred times as many as usual, from three seeds that differ from day to day (printed).
stage_property() {
  release_tree || return 1
  local day seed
  day=$(date +%j)
  for seed in "$day" "${day}1" "${day}2"; do
    echo "MORSEL_TEST_SEED=$seed MORSEL_TEST_EFFORT=${MORSEL_TEST_EFFORT:-100}"
    MORSEL_TEST_SEED=$seed MORSEL_TEST_EFFORT=${MORSEL_TEST_EFFORT:-100} \
      ctest --test-dir "$build/release" -L 'property|stress' --output-on-failure --timeout 7200 || return 1
  done
}
stage_fuzz() {
  MORSEL_CI_BUILD_DIR=$build .ci/run asan && tests/fuzz.sh "$build/asan" "${MORSEL_FUZZ_SECONDS:-600}"
}
# Tests that need gigabytes of memory and disk: tagged [.slow], which the usual runs leave out.
stage_memory() {
  release_tree || return 1
  local program found=0
  for program in "$build"/release/tests/*; do
    if [ ! -f "$program" ] || [ ! -x "$program" ]; then continue; fi
    "$program" --list-test-names-only '[.slow]' 2>/dev/null | grep . >/dev/null || continue
    found=1
    "$program" '[.slow]' || return 1
  done
  [ "$found" = 1 ] || return 77
}
stage_shared() { release_tree && MORSEL_SHARED_BUILD=1 tests/package.sh "$build/release"; }
# With xtensor, nlohmann_json and threads alone.
stage_alone() {
  cmake -S . -B "$build/alone" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMORSEL_DEVELOPER=ON -DMORSEL_WITH_SLEEF=OFF \
    -DMORSEL_WITH_ZLIB=OFF $launcher && cmake --build "$build/alone" -j "$jobs" &&
    ctest --test-dir "$build/alone" -j "$jobs" -LE 'docs|oracle' --output-on-failure
}
stage_tidy() {
  command -v clang-tidy-14 >/dev/null || return 77
  cmake -S . -B "$build/tidy" -G Ninja -DCMAKE_CXX_COMPILER=clang++-14 -DCMAKE_EXPORT_COMPILE_COMMANDS=ON &&
    find src -maxdepth 2 -name '*.cpp' -not -name 'kernel_avx*' -print0 |
    xargs -0 -P "$jobs" -n 1 clang-tidy-14 --quiet -p "$build/tidy"
}
# The two commands of the README in an empty Debian 12 with nothing but git.
stage_bare_debian() {
  if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then return 77; fi
  local debian=$build/debian
  rm -rf "$debian"
  debootstrap --variant=minbase --include=ca-certificates,git bookworm "$debian" ${MORSEL_DEBIAN_MIRROR:-} || return 1
  git clone -q --no-hardlinks "$root" "$debian/root/morsel" || return 1
  for variable in http_proxy https_proxy PIP_INDEX_URL PIP_CERT; do
    if [ -n "${!variable:-}" ]; then printf 'export %s=%q\n' "$variable" "${!variable}"; fi
  done >"$debian/root/environment"
  cp /etc/resolv.conf "$debian/etc/resolv.conf"
  cp /etc/ssl/certs/ca-certificates.crt "$debian/etc/ssl/certs/ca-certificates.crt"
  if [ -d /etc/apt/apt.conf.d ]; then cp -n /etc/apt/apt.conf.d/*proxy* "$debian/etc/apt/apt.conf.d/" 2>/dev/null; fi
  mount --bind /proc "$debian/proc" || return 77
  chroot "$debian" bash -c '. /root/environment; cd /root/morsel && bash examples/quickstart.sh && bash tests/run.sh'
  local code=$?
  umount "$debian/proc"
  return "$code"
}

stages="property fuzz memory shared alone tidy bare_debian"
[ $# = 0 ] || stages=$*
mkdir -p "$build"
install_missing $build_packages $test_packages $ci_packages || exit 1
passed=0 failed=0 skipped=0
for stage in $stages; do
  start=$SECONDS
  ("stage_$stage") >"$build/$stage.log" 2>&1
  case $? in
    0) state=ok passed=$((passed + 1)) ;;
    77) state=skipped skipped=$((skipped + 1)) ;;
    *) state=FAILED failed=$((failed + 1)) ;;
  esac
  printf '%-12s %-8s %6d s\n' "$stage" "$state" $((SECONDS - start))
  if [ "$state" = FAILED ]; then tail -n 40 "$build/$stage.log"; fi
done
echo "full: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
