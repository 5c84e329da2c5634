#!/usr/bin/env bash
# Each program here must be refused, with a message that matches its "// expect:" line (an extended regular expression);
# "// flags:" adds compiler flags. With -DMUST_COMPILE the same program has to compile, so that it fails for its own
# reason and not for a typing error.
# usage: run.sh [COMPILER]
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cxx=${1:-g++}
passed=0 failed=0
for file in "$here"/*.cpp; do
  name=$(basename "$file" .cpp)
  expect=$(sed -n 's,^// expect: ,,p' "$file")
  flags=$(sed -n 's,^// flags: ,,p' "$file")
  compile="$cxx -std=c++20 -I$root/include -fsyntax-only"
  if [ -z "$expect" ]; then
    problem="has no '// expect:' line"
  elif output=$($compile $flags "$file" 2>&1); then
    problem="compiles"
  elif ! printf '%s\n' "$output" | tr '\n' ' ' | grep -E -- "$expect" >/dev/null; then
    problem="is refused, but not with '$expect':
$(printf '%s\n' "$output" | head -n 15)"
  elif ! good=$($compile -DMUST_COMPILE "$file" 2>&1); then
    problem="does not compile with -DMUST_COMPILE:
$(printf '%s\n' "$good" | head -n 15)"
  else
    passed=$((passed + 1))
    continue
  fi
  failed=$((failed + 1))
  echo "FAILED  compile_fail/$name $problem"
done
echo "tests: $passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
