#!/usr/bin/env python3
"""One workload by a peer (two threads, its best chunk size of those measured): prints seconds and a label as JSON.
Exit status 3: what it needs is not installed. Reads the files that the workload programs made.

usage: peers.py NAME SCALE      names: the functions below
"""
import importlib
import importlib.metadata
import json
import os
import pathlib
import random
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor

scale = float(sys.argv[2])
folder = pathlib.Path(os.environ.get("MORSEL_BENCH_DIR", "/tmp/morsel-bench"))


def need(*names):
    """Modules, or the end of the program where one is missing."""
    try:
        found = [importlib.import_module(name) for name in names]
    except ImportError:
        sys.exit(3)
    return found[0] if len(found) == 1 else found


def seconds_of(run, warm=True):
    if warm:
        run()
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


# ---- dask

def dask_array():
    dask, da = need("dask", "dask.array")
    dask.config.set(scheduler="threads", num_workers=2)
    return da, f"dask {dask.__version__}"


def file_of(kind, count):
    return need("numpy").memmap(f"{folder}/{kind}-{count}", dtype={"f64": "f8", "f32": "f4"}[kind], mode="r")


def doubles():
    return int((4 << 30) * scale) // 8


def w1():
    da, label = dask_array()
    a = da.from_array(file_of("f64", doubles()), chunks=1 << 24)
    return seconds_of(lambda: a.sum().compute()), label


def w1six():
    da, label = dask_array()
    a = da.from_array(file_of("f64", doubles()), chunks=1 << 24)
    six = a.sum(), a.mean(), a.std(), a.min(), a.max(), da.histogram(a, 128, (0, 1))[0]
    return seconds_of(lambda: need("dask").compute(*six)), label


def w2():
    da, label = dask_array()
    rows = max(1, int(4_000_000_000 * scale) // 4 // 1_000_000)
    a = da.from_array(file_of("f32", rows * 1_000_000).reshape(rows, 1000, 1000), chunks=(-1, 25, 1000))
    return seconds_of(lambda: a.mean(axis=0).compute()), label


def w3():
    da, label = dask_array()
    half = doubles() // 2
    file = file_of("f64", half * 2)
    a, b = (da.from_array(file[k * half:(k + 1) * half], chunks=1 << 21) for k in (0, 1))
    return seconds_of(lambda: da.sqrt(a * a + b * b).mean().compute()), label


def w9():
    """A tenth of the chunks, for its pace does not depend on their number."""
    da, label = dask_array()
    chunks = max(1, int(1_024_000_000 * scale) // 1024 // 100)
    a = da.from_array(need("numpy").zeros(chunks * 128), chunks=128)
    return seconds_of(lambda: a.sum().compute()) * 10, label


# ---- zarr-python

def zarr_array(name):
    zarr = need("zarr")
    zarr.config.set({"threading.max_workers": 2, "async.concurrency": 2})
    paths = sorted(folder.glob(name + "-*.zarr"))
    if not paths:
        sys.exit(f"peers: no {name}-*.zarr in {folder}; run the workload first")
    return zarr.open_array(paths[-1], mode="r"), f"zarr-python {zarr.__version__}"


def points(name):
    a, label = zarr_array(name)
    rng = random.Random(1)
    at = [tuple(rng.randrange(n) for n in a.shape) for _ in range(64)]
    return seconds_of(lambda: [a[p] for p in at]), label


def plane(name):
    a, label = zarr_array(name)
    return seconds_of(lambda: a[a.shape[0] // 2 + 7]), label


def zarr_point4():
    return points("w4-4MB")


def zarr_plane4():
    return plane("w4-4MB")


def zarr_point40():
    return points("w4-40MB")


def zarr_plane40():
    return plane("w4-40MB")


# ---- shards: zarrs (as the pipeline of zarr-python) and TensorStore

inner = 32


def chunk_boxes(shape):
    boxes = [tuple(slice(i, i + inner) for i in at) for at in
             ((i, j, k) for i in range(0, shape[0], inner) for j in range(0, shape[1], inner) for k in range(0, shape[2], inner))]
    random.Random(7).shuffle(boxes)
    return boxes


def zarrs_array():
    zarr, zarrs = need("zarr", "zarrs")
    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline", "threading.max_workers": 2, "async.concurrency": 2,
                     "codec_pipeline.chunk_concurrent_maximum": 2})
    a, _ = zarr_array("shards")
    return a, f"zarrs {importlib.metadata.version('zarrs')}"


def zarrs_read():
    a, label = zarrs_array()
    return seconds_of(lambda: a[:]), label


def zarrs_random():
    a, label = zarrs_array()
    boxes = chunk_boxes(a.shape)
    def run():
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda box: a[box].shape, boxes))
    return seconds_of(run), label


def zarrs_again():
    zarr = need("zarr")
    a, label = zarrs_array()
    target = folder / "zarrs-again.zarr"
    def run():
        shutil.rmtree(target, ignore_errors=True)
        b = zarr.create_array(target, shape=a.shape, dtype=a.dtype, chunks=a.chunks, shards=a.shards,
                              compressors=[zarr.codecs.ZstdCodec(level=3)], filters=None)
        def copy(i):
            b[i:i + a.shards[0]] = a[i:i + a.shards[0]]
        for i in range(0, a.shape[0], a.shards[0]):
            copy(i)
    seconds = seconds_of(run, warm=False)
    shutil.rmtree(target, ignore_errors=True)
    return seconds, label


def tensorstore_array():
    ts = need("tensorstore")
    path = sorted(folder.glob("shards-*.zarr"))[-1]
    a = ts.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path)},
                 "context": {"data_copy_concurrency": {"limit": 2}, "file_io_concurrency": {"limit": 2}}}, open=True).result()
    return a, f"TensorStore {importlib.metadata.version('tensorstore')}"


def tensorstore_read():
    a, label = tensorstore_array()
    return seconds_of(lambda: a.read().result()), label


def tensorstore_random():
    a, label = tensorstore_array()
    boxes = chunk_boxes(a.shape)
    def run():
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda box: a[box].read().result().shape, boxes))
    return seconds_of(run), label


# ---- h5py, which takes one lock for everything

def h5py_mean():
    h5py, np = need("h5py", "numpy")
    paths = sorted(folder.glob("w6-library.h5"))
    if not paths:
        sys.exit(f"peers: no w6-library.h5 in {folder}; run the workload first")
    def run():
        with h5py.File(paths[0]) as f, ThreadPoolExecutor(2) as pool:
            d = f["v"]
            total = sum(pool.map(lambda i: d[i].sum(dtype="f8"), range(d.shape[0])))
        return total
    return seconds_of(run), f"h5py {h5py.__version__}"


def h5py_write():
    h5py, np = need("h5py", "numpy")
    raw = sorted(folder.glob("w6-raw-*"), key=lambda path: path.stat().st_mtime)[-1]
    a = np.memmap(raw, dtype="f4", mode="r").reshape(-1, 1000, 1000)
    target = folder / "h5py.h5"
    def run():
        with h5py.File(target, "w") as f:
            f.create_dataset("v", data=a, chunks=(1, 1000, 1000), compression="gzip", compression_opts=4, shuffle=True)
    seconds = seconds_of(run, warm=False)
    target.unlink()
    return seconds, f"h5py {h5py.__version__}"


seconds, label = globals()[sys.argv[1]]()
print(json.dumps({"seconds": seconds, "label": label}))
