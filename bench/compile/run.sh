#!/usr/bin/env bash
# What including <morsel/morsel.hpp> costs, next to <xtensor/xarray.hpp>, which it includes: CPU seconds of the compiler,
# interleaved rounds, medians, and ratios to xtensor.
# usage: run.sh [ROUNDS] [COMPILER] [LIMIT LIMIT_HEADER_ONLY]    (9 rounds, g++; fails above these ratios, if given)
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
rounds=${1:-9}
cxx=${2:-g++}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
limits="${3:-inf} ${4:-inf}"
export root rounds cxx work limits
python3 - <<'PY'
import os, resource, statistics, subprocess, sys

root, rounds, cxx, work = (os.environ[k] for k in ("root", "rounds", "cxx", "work"))
cases = [
    ("empty file", "", []),
    ("<vector>", "#include <vector>", []),
    ("<xtensor/xarray.hpp>", "#include <xtensor/xarray.hpp>", []),
    ("<morsel/morsel.hpp>", "#include <morsel/morsel.hpp>", []),
    ("<morsel/morsel.hpp> header-only", "#include <morsel/morsel.hpp>", ["-DMORSEL_HEADER_ONLY"]),
]
times = {name: [] for name, _, _ in cases}
for _ in range(int(rounds)):
    for name, text, flags in cases:
        source = os.path.join(work, "unit.cpp")
        with open(source, "w") as f:
            f.write(text + "\nint unit;\n")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([cxx, "-std=c++20", "-O0", "-I" + root + "/include", *flags, "-c", source, "-o", work + "/unit.o"],
                       check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times[name].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
base = statistics.median(times["<xtensor/xarray.hpp>"])
print(f"{'include':34} {'median s':>9} {'min s':>7} {'ratio':>7}   ({cxx}, {rounds} rounds)")
for name, _, _ in cases:
    median = statistics.median(times[name])
    print(f"{name:34} {median:9.2f} {min(times[name]):7.2f} {median / base:7.2f}")
for (name, _, _), limit in zip(cases[-2:], os.environ["limits"].split()):
    ratio = statistics.median(times[name]) / base
    if ratio > float(limit):
        sys.exit(f"{name} costs {ratio:.2f} times <xtensor/xarray.hpp>; expected at most {limit}")
PY
