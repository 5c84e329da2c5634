# shellcheck shell=bash disable=SC2034
# Sourced by run.sh, full.sh and .ci/run: which Debian packages are needed, and how to install those that are missing.
build_packages="cmake ninja-build g++ pkg-config libxtensor-dev nlohmann-json3-dev libsleef-dev libcli11-dev zlib1g-dev
libdeflate-dev libzstd-dev libblosc-dev liblz4-dev libbz2-dev liblzma-dev libzfp-dev libaec-dev libhdf5-dev"
test_packages="catch2 libbenchmark-dev python3 python3-venv"
ci_packages="clang-14 clang-19 libclang-rt-19-dev clang-format-14 qemu-user"

# install_missing PACKAGE...: nothing when all are there, or where there is no apt.
install_missing() {
  command -v dpkg-query >/dev/null || return 0
  local missing="" package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep 'ok installed' >/dev/null || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  if [ "${MORSEL_OFFLINE:-0}" = 1 ]; then
    echo "missing packages (MORSEL_OFFLINE=1, not installed):$missing"
    return 0
  fi
  local as_root=""
  if [ "$(id -u)" != 0 ]; then as_root="sudo -n"; fi
  echo "installing:$missing"
  $as_root apt-get update -q >/dev/null || true
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >/dev/null
}

# oracle_python DIRECTORY REQUIREMENTS: makes a virtual environment with the packages of tests/oracle/requirements.txt,
# and prints its interpreter. Fails where that cannot be had; with MORSEL_OFFLINE=1 an environment that has NumPy will do.
oracle_python() {
  local python=$1/bin/python requirements=$2
  if ! cmp -s "$requirements" "$1/requirements.txt" || ! "$python" -c "" 2>/dev/null; then
    if [ "${MORSEL_OFFLINE:-0}" = 1 ]; then
      "$python" -c 'import numpy, sys; sys.exit(int(numpy.__version__.split(".")[0]) < 2)' 2>/dev/null || return 1
    else
      python3 -m venv "$1" >&2 || return 1
      "$python" -m pip install --quiet --disable-pip-version-check -r "$requirements" >&2 || return 1
      cp "$requirements" "$1/requirements.txt" || return 1
    fi
  fi
  echo "$python"
}
