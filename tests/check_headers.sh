#!/usr/bin/env bash
# Compiles every public header alone, without warnings, as it is used with the compiled library or header-only.
# usage: check_headers.sh [COMPILER [compiled|header-only|both]]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
export compiler=${1:-g++}
export root

check() {
  header=$1 mode=$2
  if ! printf '#include <%s>\n#include <%s>\n' "$header" "$header" |
    "$compiler" -std=c++20 -Wall -Wextra -Werror $mode -I"$root/include" -fsyntax-only -x c++ - 2>&1 | head -n 8; then
    echo "not self-contained with $compiler $mode: <$header>"
    exit 1
  fi
}
export -f check
export SHELLOPTS

case ${2:-both} in
  compiled) modes=-UMORSEL_HEADER_ONLY ;;
  header-only) modes=-DMORSEL_HEADER_ONLY ;;
  *) modes="-UMORSEL_HEADER_ONLY -DMORSEL_HEADER_ONLY" ;;
esac
cd "$root/include"
headers=$(find morsel -name '*.hpp' -not -path '*/impl/*' -not -path '*/ext/*' | sort)
[ -n "$headers" ]
for mode in $modes; do
  printf '%s\n' $headers | xargs -P "$(nproc)" -I{} bash -c "check {} $mode"
done
echo "headers: $(printf '%s\n' $headers | wc -l) compile alone with $compiler ($modes)"
