#!/usr/bin/env python3
"""Runs the workloads beside their hand-written loops and, where Python has them, beside dask, zarr, zarrs, TensorStore and h5py; writes
bench/results/latest.json, which table.py turns into README's table.

usage: run.py --build DIR [--scale S] [--rounds N] [--repeats N] [--peer-python PYTHON] [--only NAME] [--output FILE]

Programs: DIR/bench/workload_* or DIR/workload_*. Data: $MORSEL_BENCH_DIR (default /tmp/morsel-bench); --clean removes it.
A workload and its peers take turns, `rounds` times, so that a busy or slow period of the machine hits both.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys

here = pathlib.Path(__file__).resolve().parent
# Program, its full input size, peers by the line they stand beside.
workloads = [
    ("w1_sum", 4 << 30, {"W1": ["w1"], "W1-six": ["w1six"]}),
    ("w1_peak", 4 << 30, {}),
    ("w2_mean_axis", 4_000_000_000, {"W2": ["w2"]}),
    ("w3_fused", 4 << 30, {"W3": ["w3"]}),
    ("w4_zarr", 4_000_000_000, {}),
    ("w4_shards", 1 << 30, {
        "W4-shards-read": ["zarrs_read", "tensorstore_read"],
        "W4-shards-random": ["zarrs_random", "tensorstore_random"],
        "W4-shards-again": ["zarrs_again"],
    }),
    ("w5_slices", 4_000_000_000, {
        "W5-point4": ["zarr_point4"], "W5-plane4": ["zarr_plane4"],
        "W5-point40": ["zarr_point40"], "W5-plane40": ["zarr_plane40"],
    }),
    ("w6_hdf5", 1_000_000_000, {"W6": ["h5py_mean"], "W6-write": ["h5py_write"]}),
    ("w7_rechunk", 4_000_000_000, {}),
    ("w9_small_chunks", 1_024_000_000, {"W9-1e5": ["w9"]}),
]


def find_program(build, name):
    for path in (build / "bench" / f"workload_{name}", build / f"workload_{name}"):
        if path.exists():
            return path
    sys.exit(f"bench: no program workload_{name} under {build}; build the target 'benchmarks' first")


def machine():
    cpu = platform.processor()
    try:
        for line in open("/proc/cpuinfo"):
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
        memory = int(re.search(r"MemTotal:\s+(\d+)", open("/proc/meminfo").read()).group(1)) * 1024
    except OSError:
        memory = None
    return {"cpu": cpu, "cores": len(os.sched_getaffinity(0)), "memory_bytes": memory, "kernel": platform.release()}


def run_peer(python, name, scale):
    """(seconds, label) of one peer run in a process of its own, or None if the machine does not have it."""
    done = subprocess.run([python, here / "peers.py", name, str(scale)], capture_output=True, text=True)
    if done.returncode == 3:
        return None
    if done.returncode != 0:
        sys.exit(f"bench: peer {name} failed:\n{done.stderr}")
    answer = json.loads(done.stdout)
    return answer["seconds"], answer["label"]


def compile_cost(rounds):
    done = subprocess.run([here / "compile" / "run.sh", str(rounds)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"bench: compile/run.sh failed:\n{done.stdout}{done.stderr}")
    row = re.search(r"^<morsel/morsel\.hpp>\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s*$", done.stdout, re.M)
    if not row:
        sys.exit(f"bench: compile/run.sh printed no line for <morsel/morsel.hpp>:\n{done.stdout}")
    ratio = float(row.group(3))
    return {"workload": "compile", "what": "including <morsel/morsel.hpp>", "unit": "x <xtensor/xarray.hpp>", "median": ratio,
            "min": ratio, "max": ratio, "goal": 2.0, "rounds": rounds}


def merged(old, new):
    """Measured again: in the places of the old lines, and further ones at the end."""
    by_name = {line["workload"]: line for line in new}
    kept = [by_name.pop(line["workload"], line) for line in old]
    return kept + list(by_name.values())


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--build", type=pathlib.Path, required=True)
    options.add_argument("--scale", type=float, default=1.0, help="of the input sizes")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--repeats", type=int, default=5, help="per round")
    options.add_argument("--peer-python", help="interpreter that has NumPy and any of the peers")
    options.add_argument("--only", help="programs whose names contain this; other lines of the output stay")
    options.add_argument("--output", type=pathlib.Path, default=here / "results" / "latest.json")
    options.add_argument("--clean", action="store_true", help="remove the data afterwards")
    chosen = options.parse_args()

    folder = pathlib.Path(os.environ.setdefault("MORSEL_BENCH_DIR", "/tmp/morsel-bench"))
    lines = []
    for name, size, peers in workloads:
        if chosen.only and chosen.only not in name:
            continue
        program = find_program(chosen.build, name)
        command = [program, "--size", str(int(size * chosen.scale)), "--repeats", str(chosen.repeats)]
        rounds, peer_seconds = [], {line: {} for line in peers}
        for _ in range(chosen.rounds):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(f"bench: {name} failed:\n{done.stderr}")
            rounds.append([json.loads(text) for text in done.stdout.splitlines()])
            for line, names in peers.items():
                for peer in names if chosen.peer_python else []:
                    if answer := run_peer(chosen.peer_python, peer, chosen.scale):
                        peer_seconds[line].setdefault(answer[1], []).append(answer[0])
        for results in zip(*rounds):
            line = dict(results[0])
            values = [v for r in results for v in r["values"]]
            del line["values"]
            line.update(median=round(statistics.median(values), 4), min=round(min(values), 4), max=round(max(values), 4),
                        rounds=len(values))
            for key in ("loop_seconds", "morsel_seconds", "loop_cpu_seconds", "morsel_cpu_seconds"):
                if key in line:
                    line[key] = round(statistics.median(r[key] for r in results), 6)
            if peer_seconds.get(line["workload"]):
                line["peers"] = {label: round(statistics.median(seconds), 6)
                                 for label, seconds in peer_seconds[line["workload"]].items()}
            lines.append(line)
            print(f"{line['workload']:14} {line['median']:8.3f} {line['unit']:12} goal {line['goal']:g}"
                  f"{'' if line['median'] <= line['goal'] or not line['goal'] else '   MISSED'}"
                  + "".join(f"   {label}: {seconds / line['morsel_seconds']:.2f} x Morsel"
                            for label, seconds in line.get("peers", {}).items()), flush=True)
    if not chosen.only:
        lines.append(compile_cost(9))
    elif chosen.output.exists():
        lines = merged(json.loads(chosen.output.read_text())["lines"], lines)
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    chosen.output.write_text(json.dumps({"machine": machine(), "lines": lines}, indent=1) + "\n")
    if chosen.clean:
        for kind in ("f64-*", "f32-*"):
            for path in folder.glob(kind):
                path.unlink()


if __name__ == "__main__":
    main()
