#!/usr/bin/env python3
"""One workload by dask (threads, two workers, its best chunk size of those measured): prints seconds and a label as JSON.
Exit status 3: dask or NumPy is not installed. Reads the files that the workload programs made.

usage: peers.py {w1|w1six|w2|w3|w9} SCALE
"""
import json
import os
import sys
import time

try:
    import dask
    import dask.array as da
    import numpy as np
except ImportError:
    sys.exit(3)

name, scale = sys.argv[1], float(sys.argv[2])
folder = os.environ.get("MORSEL_BENCH_DIR", "/tmp/morsel-bench")
dask.config.set(scheduler="threads", num_workers=2)


def file_of(kind, count):
    return np.memmap(f"{folder}/{kind}-{count}", dtype={"f64": "f8", "f32": "f4"}[kind], mode="r")


def ask(run):
    run()
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


count = int((4 << 30) * scale) // 8
label = f"dask {dask.__version__}"
if name == "w1":
    a = da.from_array(file_of("f64", count), chunks=1 << 24)
    seconds = ask(lambda: a.sum().compute())
elif name == "w1six":
    a = da.from_array(file_of("f64", count), chunks=1 << 24)
    seconds = ask(lambda: dask.compute(a.sum(), a.mean(), a.std(), a.min(), a.max(), da.histogram(a, 128, (0, 1))[0]))
elif name == "w2":
    rows = max(1, int(4_000_000_000 * scale) // 4 // 1_000_000)
    a = da.from_array(file_of("f32", rows * 1_000_000).reshape(rows, 1000, 1000), chunks=(-1, 25, 1000))
    seconds = ask(lambda: a.mean(axis=0).compute())
elif name == "w3":
    file = file_of("f64", count // 2 * 2)
    a, b = (da.from_array(file[k * (count // 2):(k + 1) * (count // 2)], chunks=1 << 21) for k in (0, 1))
    seconds = ask(lambda: da.sqrt(a * a + b * b).mean().compute())
else:  # w9: a tenth of the chunks, for its pace does not depend on their number
    chunks = max(1, int(1_024_000_000 * scale) // 1024 // 100)
    a = da.from_array(np.zeros(chunks * 128), chunks=128)
    seconds = ask(lambda: a.sum().compute()) * 10
print(json.dumps({"seconds": seconds, "label": label}))
