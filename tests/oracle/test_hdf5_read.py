#!/usr/bin/env python3
"""HDF5 files that h5py and its filter plugins wrote, read by the command: every array and slice bit for bit.

usage: test_hdf5_read.py [PART OF A NAME...]     MORSEL_COMMAND names the command; MORSEL_KEEP a folder that keeps the files

Exit 77 (skipped) without the command, without its component hdf5, or without the packages of requirements.txt where
tests/run.sh did not install them.
"""

import json, os, random, subprocess, sys

os.environ["HDF5_USE_FILE_LOCKING"] = "FALSE"  # a child that is about to become the command holds locks, too
from interop import Mismatch, RECORD, check_reads, command, h5py, main, missing, morsel, np, plain, ramp, same, smooth, values

try:
    import hdf5plugin
except ImportError as absent:
    missing(f"a package is missing: {absent}")
if "hdf5" not in json.loads(subprocess.run([command, "doctor", "--json"], capture_output=True, text=True, env=plain).stdout)["formats"]:
    print("skipped: a build without the component hdf5")
    sys.exit(77)

NUMBERS = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]
SWAPPED = [">i2", ">i4", ">i8", ">u2", ">u4", ">u8", ">f2", ">f4", ">f8", ">c8", ">c16"]
CARRIED = ["S5", "V7", RECORD, np.dtype([("a", "<i2", (2, 3)), ("b", "?"), ("c", "<c8")]), np.dtype({"names": ["x", "y"], "formats": ["<f4", "<i8"], "offsets": [4, 16], "itemsize": 32})]
GRIDS = [((7,), (3,)), ((10, 6), (4, 6)), ((5, 4, 3), (2, 3, 2)), ((4,), (1,)), ((1, 1, 9, 1), (1, 1, 4, 1)), ((33, 17), (16, 16)), ((64,), (64,))]
VERSIONS = {"old": ("earliest", "v108"), "new": ("v110", "v110")}
cases = []


def add(name):
    return lambda function: cases.append((name, function)) or function


def picks(label, count, *lists):
    """`count` combinations of one of each list, the same in every run."""
    r = random.Random(label)
    return [tuple(r.choice(x) for x in lists) for _ in range(count)]


def text(value):
    return str(value).replace(" ", "")


def write(folder, a, version="old", partial=False, name="group/data", userblock=0, **more):
    """A file with one dataset; `partial`: the first half of the rows is never written. What h5py reads again."""
    path = folder / "x.h5"
    with h5py.File(path, "w", libver=VERSIONS[version], userblock_size=userblock) as f:
        d = f.create_dataset(name, shape=a.shape, dtype=a.dtype, **more)
        if a.size:
            if partial and a.ndim:
                d[a.shape[0] // 2 :] = a[a.shape[0] // 2 :]
            else:
                d[...] = a
    with h5py.File(path, "r") as f:
        return f"{path}/{name}", np.array(f[name][...])


def add_file(name, a, slices=2, exact=True, memory=None, **more):
    @add(name)
    def case(folder):
        path, want = write(folder, a, **more)
        if exact and not more.get("partial"):
            same(want, a, "oracle: what h5py reads again")
        check_reads(path, want, name, folder, slices, memory)


# ------------------------------------------------------------------------------------------- dtypes, layouts, indices

for dtype in [*NUMBERS, *SWAPPED, *CARRIED]:
    for shape in [(13,), (6, 5)]:
        add_file(f"contiguous {text(dtype)} {shape}", values(dtype, shape, 1))
    add_file(f"scalar {text(dtype)}", values(dtype, (), 2), slices=0)
    add_file(f"chunked {text(dtype)}", values(dtype, (7, 9), 3), chunks=(3, 4))
    add_file(f"gzip {text(dtype)}", values(dtype, (7, 9), 4), chunks=(3, 4), compression="gzip", shuffle=True)
    add_file(f"partial {text(dtype)}", values(dtype, (12, 9), 5), chunks=(3, 4), partial=True, version="new", compression="gzip")

for version in VERSIONS:
    for shape, chunks in GRIDS:
        a = values("<i4", shape, 6)
        add_file(f"{version} grid {shape} {chunks}", a, chunks=chunks, version=version)
        add_file(f"{version} grid gzip {shape} {chunks}", a, chunks=chunks, version=version, compression="gzip")
        add_file(f"{version} unlimited one {shape}", a, chunks=chunks, version=version, maxshape=(None, *shape[1:]), shuffle=True)
        add_file(f"{version} unlimited all {shape}", a, chunks=chunks, version=version, maxshape=(None,) * len(shape), compression="lzf")
        add_file(f"{version} room to grow {shape}", a, chunks=chunks, version=version, maxshape=tuple(3 * n for n in shape))
    for block in [512, 1024, 4096]:
        add_file(f"{version} user block {block}", values("<f8", (40,), 7), version=version, userblock=block)
        add_file(f"{version} user block {block} chunked", values("<f8", (40,), 7), version=version, userblock=block, chunks=(7,), compression="gzip")
    add_file(f"{version} many chunks", values("<u2", (3000,), 8), version=version, chunks=(1,), maxshape=(None,))
    add_file(f"{version} many chunks of two axes", values("<u2", (60, 50), 8), version=version, chunks=(1, 1), maxshape=(None, None), compression="gzip")
    add_file(f"{version} empty", np.zeros((0, 4), "f4"), version=version)
    add_file(f"{version} empty chunked", np.zeros((3, 0), "f4"), version=version, chunks=(2, 2), maxshape=(3, None))
    for fill in [0, -7, 1e30]:
        add_file(f"{version} fill {fill}", values("<f4", (20, 6), 9), version=version, partial=True, chunks=(4, 4), fillvalue=fill, exact=False)
    add_file(f"{version} one budget", values("<f8", (300, 200), 10), version=version, chunks=(50, 60), compression="gzip", memory="4MiB")


@add("chunks that were never written")
def never_written(folder):
    with h5py.File(folder / "x.h5", "w") as f:
        f.create_dataset("chunked", (5, 6), "f4", chunks=(2, 2), fillvalue=2.5)
        f.create_dataset("contiguous", (5, 6), "i2", fillvalue=-3)
        f.create_dataset("filtered", (5,), "f8", chunks=(2,), compression="gzip", fillvalue=np.nan)
    for name, want in {"chunked": np.full((5, 6), 2.5, "f4"), "contiguous": np.full((5, 6), -3, "i2"), "filtered": np.full(5, np.nan)}.items():
        check_reads(f"{folder}/x.h5/{name}", want, name, folder)


@add("compact")
def compact(folder):
    wants = {}
    with h5py.File(folder / "x.h5", "w") as f:
        for i, t in enumerate([*NUMBERS, *SWAPPED, *CARRIED]):
            a = values(t, (3, 5), 20)
            create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            create.set_layout(h5py.h5d.COMPACT)
            d = h5py.h5d.create(f.id, str(i).encode(), h5py.h5t.py_create(a.dtype, logical=True), h5py.h5s.create_simple(a.shape), create)
            h5py.Dataset(d)[...] = a
            wants[str(i)] = a
    for name, want in wants.items():
        check_reads(f"{folder}/x.h5/{name}", want, name, folder, 1)


@add("early allocation: chunks without an index")
def implicit(folder):
    a = values("<i8", (10, 7), 21)
    with h5py.File(folder / "x.h5", "w", libver=VERSIONS["new"]) as f:
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_chunk((3, 2))
        create.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        d = h5py.Dataset(h5py.h5d.create(f.id, b"a", h5py.h5t.py_create(a.dtype), h5py.h5s.create_simple(a.shape), create))
        d[...] = a
    check_reads(f"{folder}/x.h5/a", a, "implicit", folder)


@add("edge chunks without filters")
def raw_edges(folder):
    a = values("<i4", (10, 7), 22)
    with h5py.File(folder / "x.h5", "w", libver=VERSIONS["new"]) as f:
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_chunk((4, 4))
        create.set_deflate(4)
        if not hasattr(create, "set_chunk_opts"):
            return
        create.set_chunk_opts(2)
        h5py.Dataset(h5py.h5d.create(f.id, b"a", h5py.h5t.py_create(a.dtype), h5py.h5s.create_simple(a.shape), create))[...] = a
    check_reads(f"{folder}/x.h5/a", a, "edges", folder)


@add("virtual datasets")
def virtual(folder):
    parts = [values("<f4", (4, 6), s) for s in (30, 31, 32)]
    layout = h5py.VirtualLayout((3, 4, 6), "<f4")
    for i, part in enumerate(parts):
        with h5py.File(folder / f"part{i}.h5", "w") as f:
            f.create_dataset("a", data=part, chunks=(2, 3), compression="gzip")
        if i != 1:
            layout[i] = h5py.VirtualSource(f"part{i}.h5", "a", (4, 6))
    with h5py.File(folder / "x.h5", "w", libver=VERSIONS["new"]) as f:
        f.create_virtual_dataset("v", layout, fillvalue=-1)
    want = np.stack([parts[0], np.full((4, 6), -1, "f4"), parts[2]])
    check_reads(f"{folder}/x.h5/v", want, "virtual", folder, 4)
    if "libhdf5" not in morsel("explain", "get", f"{folder}/x.h5/v"):
        raise Mismatch("explain does not say that libhdf5 reads a virtual dataset")


@add("elements in other files")
def external(folder):
    a = values("<i2", (6, 5), 33)
    (folder / "one.raw").write_bytes(b"junk" + a.tobytes())
    (folder / "first.raw").write_bytes(a.tobytes()[:20])
    (folder / "second.raw").write_bytes(b"123" + a.tobytes()[20:])
    with h5py.File(folder / "x.h5", "w") as f:
        f.create_dataset("one", (6, 5), "<i2", external=[("one.raw", 4, 60)])
        f.create_dataset("two", (6, 5), "<i2", external=[("first.raw", 0, 20), ("second.raw", 3, 40)])
        f.create_dataset("none", (6, 5), "<i2", external=[("no such.raw", 0, 60)])
    check_reads(f"{folder}/x.h5/one", a, "one", folder)
    check_reads(f"{folder}/x.h5/two", a, "two", folder)
    if "no such.raw" not in morsel("get", f"{folder}/x.h5/none", code=1):
        raise Mismatch("the message does not name the file that is missing")


# --------------------------------------------------------------------------------------------------------- filters

LOSSLESS = {
    "gzip": dict(compression="gzip", compression_opts=9),
    "shuffle": dict(shuffle=True),
    "fletcher32": dict(fletcher32=True),
    "gzip shuffle fletcher32": dict(compression="gzip", shuffle=True, fletcher32=True),
    "lzf": dict(compression="lzf"),
    "lzf shuffle": dict(compression="lzf", shuffle=True),
    "lzf fletcher32": dict(compression="lzf", fletcher32=True),
    "bzip2": hdf5plugin.BZip2(),
    "lz4": hdf5plugin.LZ4(),
    "lz4 blocks": hdf5plugin.LZ4(nbytes=256),
    "zstd": hdf5plugin.Zstd(),
    "bitshuffle": hdf5plugin.Bitshuffle(cname="none"),
    "bitshuffle lz4": hdf5plugin.Bitshuffle(cname="lz4"),
    "bitshuffle zstd": hdf5plugin.Bitshuffle(cname="zstd"),
    "bitshuffle lz4 blocks": hdf5plugin.Bitshuffle(nelems=64, cname="lz4"),
    **{f"blosc {c} {s}": hdf5plugin.Blosc(cname=c, clevel=5, shuffle=s) for c in ("blosclz", "lz4", "lz4hc", "zlib", "zstd") for s in (0, 1, 2)},
}
for name, options in LOSSLESS.items():
    for t, (shape, chunks) in sorted(set(picks(name, 6, [*NUMBERS[1:], *SWAPPED], [((200,), (64,)), ((33, 17), (16, 16)), ((1000,), (1000,)), ((9, 10, 11), (4, 5, 11)), ((5,), (3,))]))):
        add_file(f"{name} {t} {shape} {chunks}", values(t, shape, 40), chunks=chunks, **options)
    add_file(f"{name} ramp", ramp("<i4", (4000,)), chunks=(1500,), **options)
    add_file(f"{name} record", values(RECORD, (40,), 41), chunks=(16,), **options)
if h5py.h5z.filter_avail(h5py.h5z.FILTER_SZIP) and h5py.h5z.get_filter_info(h5py.h5z.FILTER_SZIP) & h5py.h5z.FILTER_CONFIG_ENCODE_ENABLED:
    for t in ["<i1", "<i2", "<i4", "<i8", ">i4", "<f4", "<f8", "<u2"]:
        for mode, pixels in [("nn", 8), ("ec", 16)]:
            add_file(f"szip {t} {mode}", values(t, (64, 48), 42), chunks=(32, 48), compression="szip", compression_opts=(mode, pixels))
for t in ["i1", "<i2", "<i4", "<i8", "u1", "<u2", "<u4", "<u8", ">i4", ">u2"]:
    add_file(f"scaleoffset {t}", ramp(t, (300,)), chunks=(100,), scaleoffset=0)
    add_file(f"scaleoffset negative {t}", (ramp("i8", (300,)) - (60 if np.dtype(t).kind == "i" else 0)).astype(t), chunks=(90,), scaleoffset=0, compression="gzip")
    add_file(f"scaleoffset any {t}", values(t, (300,), 43), chunks=(100,), scaleoffset=0)
    add_file(f"scaleoffset fill {t}", ramp(t, (300,)), chunks=(100,), scaleoffset=0, fillvalue=3, partial=True)
for t in ["<f4", "<f8", ">f4", ">f8"]:
    for digits in [0, 2, 5]:
        add_file(f"scaleoffset {t} {digits}", smooth(t, (300,)), chunks=(100,), scaleoffset=digits, exact=False)
        add_file(f"scaleoffset fill {t} {digits}", smooth(t, (300,)), chunks=(100,), scaleoffset=digits, exact=False, fillvalue=-1.5, partial=True)
for name, options in {
    "reversible": hdf5plugin.Zfp(reversible=True),
    "rate": hdf5plugin.Zfp(rate=12),
    "precision": hdf5plugin.Zfp(precision=16),
    "accuracy": hdf5plugin.Zfp(accuracy=1e-2),
}.items():
    for t in ["<f4", "<f8", "<i4", "<i8"]:
        if name == "accuracy" and "i" in t:
            continue
        for shape, chunks in [((200,), (64,)), ((33, 17), (16, 16)), ((9, 10, 11), (4, 5, 11)), ((3, 5, 6, 7), (2, 5, 3, 7))]:
            add_file(f"zfp {name} {t} {shape}", smooth(t, shape), chunks=chunks, exact=False, **options)


@add("filters that were skipped for some chunks")
def masks(folder):
    import zlib

    a = values("<i4", (12, 8), 44)
    shuffled = lambda b: np.frombuffer(b, "u1").reshape(-1, 4).T.tobytes()
    with h5py.File(folder / "x.h5", "w") as f:
        d = f.create_dataset("a", a.shape, a.dtype, chunks=(4, 8), compression="gzip", shuffle=True)
        for k, mask in enumerate([0, 1, 2]):
            part = a[4 * k : 4 * k + 4].tobytes()
            part = part if mask & 1 else shuffled(part)
            d.id.write_direct_chunk((4 * k, 0), part if mask & 2 else zlib.compress(part), mask)
        e = f.create_dataset("b", a.shape, a.dtype, chunks=(12, 8), compression="gzip", shuffle=True)
        e.id.write_direct_chunk((0, 0), a.tobytes(), 3)
    check_reads(f"{folder}/x.h5/a", a, "masks", folder, 4)
    check_reads(f"{folder}/x.h5/b", a, "both masks", folder, 4)


@add("bits that types leave out")
def nbit(folder):
    g = np.random.default_rng(5)
    wants = {}
    with h5py.File(folder / "x.h5", "w") as f:

        def put(name, tid, a, chunks=None, shape=None):
            create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            if chunks:
                create.set_chunk(chunks)
                create.set_filter(h5py.h5z.FILTER_NBIT, h5py.h5z.FLAG_OPTIONAL)
            d = h5py.h5d.create(f.id, name.encode(), tid, h5py.h5s.create_simple(a.shape), create)
            d.write(h5py.h5s.ALL, h5py.h5s.ALL, a)
            wants[name] = np.array(h5py.Dataset(d)[...]).astype(a.dtype)

        for base, bits, shift in [("STD_I32LE", 17, 0), ("STD_I32BE", 17, 5), ("STD_U16LE", 9, 3), ("STD_I64LE", 40, 11), ("STD_U8LE", 3, 1), ("STD_I64BE", 33, 30)]:
            tid = getattr(h5py.h5t, base).copy()
            tid.set_precision(bits)
            tid.set_offset(shift)
            low = 0 if "U" in base else -(1 << (bits - 1))
            high = 1 << (bits if "U" in base else bits - 1)
            a = g.integers(low, high, (13, 6)).astype(("u" if "U" in base else "i") + str(tid.get_size()))
            put(f"{base} {bits} {shift}", tid, a)
            put(f"{base} {bits} {shift} nbit", tid, a, (4, 4))
        small = h5py.h5t.IEEE_F32BE.copy()
        small.set_fields(26, 20, 6, 7, 13)
        small.set_offset(7)
        small.set_precision(20)
        small.set_ebias(31)
        put("a float of 20 bits", small, smooth("f4", (13, 6)))
        put("a float of 20 bits nbit", small, smooth("f4", (13, 6)), (4, 4))
    for name, want in wants.items():
        check_reads(f"{folder}/x.h5/{name}", want, name, folder, 2)


# ----------------------------------------------------------------------------------------- types of HDF5, names, refusals


@add("enumerations, opaque bytes, dates, strings")
def types(folder):
    wants = {}
    with h5py.File(folder / "x.h5", "w") as f:
        e = h5py.enum_dtype({"RED": 0, "GREEN": 1, "BLUE": 42}, basetype="<i2")
        f.create_dataset("enum", data=np.array([0, 1, 42, 1], e))
        wants["enum"] = np.array([0, 1, 42, 1], "<i2")
        t = np.array(["2001-02-03", "NaT", "1969-12-31"], "M8[s]")
        f.create_dataset("dates", data=t.astype(h5py.opaque_dtype(t.dtype)))
        wants["dates"] = t
        f["scalar text"] = "héllo"
        wants["scalar text"] = np.array("héllo".encode())
        for name, pad in [("nullterm", h5py.h5t.STR_NULLTERM), ("nullpad", h5py.h5t.STR_NULLPAD), ("spacepad", h5py.h5t.STR_SPACEPAD)]:
            tid = h5py.h5t.C_S1.copy()
            tid.set_size(6)
            tid.set_strpad(pad)
            d = h5py.h5d.create(f.id, name.encode(), tid, h5py.h5s.create_simple((3,)))
            d.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([b"ab\0xyz", b"abc   ", b"  a b "], "S6"), mtype=tid)
            wants[name] = np.array(f[name][...])
        array = h5py.h5t.array_create(h5py.h5t.STD_I16BE, (2, 3))
        d = h5py.h5d.create(f.id, b"array", array, h5py.h5s.create_simple((4,)))
        d.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(24, dtype="<i2").reshape(4, 2, 3), mtype=h5py.h5t.array_create(h5py.h5t.NATIVE_INT16, (2, 3)))
        wants["array"] = np.arange(24, dtype="<i2").reshape(4, 2, 3)
    for name, want in wants.items():
        check_reads(f"{folder}/x.h5/{name}", want, name, folder, 0 if want.ndim == 0 else 2)


@add("strings of variable length are printed")
def strings(folder):
    words = np.array([f"wörd {i}" * (i % 5) for i in range(1500)], object)
    with h5py.File(folder / "x.h5", "w") as f:
        for name, options in {"plain": {}, "chunks": dict(chunks=(100,)), "gzip": dict(chunks=(64,), compression="gzip"), "lzf": dict(chunks=(64,), compression="lzf"), "zstd": dict(chunks=(64,), **hdf5plugin.Zstd())}.items():
            f.create_dataset(name, data=words, dtype=h5py.string_dtype(), **options)
        f.create_dataset("table", data=words[:6].reshape(2, 3), dtype=h5py.string_dtype())
    for name in ["plain", "chunks", "gzip", "lzf", "zstd"]:
        got = json.loads(morsel("get", f"{folder}/x.h5/{name}", "1490:3:-7", "--json"))
        if got["dtype"] != "string" or got["values"] != list(words[1490:3:-7]):
            raise Mismatch(f"{name}: {str(got)[:200]}")
        info = json.loads(morsel("info", f"{folder}/x.h5/{name}", "--json"))
        if info["shape"] != [1500] or info["nbytes"] is not None:
            raise Mismatch(f"info {name}: {info}")
    if json.loads(morsel("get", f"{folder}/x.h5/table", "--json"))["values"] != [list(r) for r in words[:6].reshape(2, 3)]:
        raise Mismatch("a table of strings")
    morsel("get", f"{folder}/x.h5/lzf", "-o", folder / "out.csv")
    import csv

    with open(folder / "out.csv", newline="") as file:
        if [row[0] if row else "" for row in csv.reader(file)] != list(words):
            raise Mismatch("strings written as .csv")


@add("filters that libhdf5 lacks, where it reads itself")
def lent_filters(folder):
    a = ramp("<f4", (60, 7))
    small = h5py.h5t.IEEE_F32LE.copy()
    small.set_fields(23, 15, 8, 0, 15)
    small.set_size(3)
    small.set_ebias(127)
    plugins = {"lzf": dict(compression="lzf"), "bzip2": hdf5plugin.BZip2(), "zstd": hdf5plugin.Zstd(), "lz4": hdf5plugin.LZ4()}
    with h5py.File(folder / "x.h5", "w") as f:
        for name, options in plugins.items():
            create = f.create_dataset(f"like {name}", a.shape, "u1", chunks=(16, 7), **options).id.get_create_plist()
            d = h5py.h5d.create(f.id, name.encode(), small, h5py.h5s.create_simple(a.shape), create)
            d.write(h5py.h5s.ALL, h5py.h5s.ALL, a)
    for name in plugins:
        check_reads(f"{folder}/x.h5/{name}", a, name, folder, 2)


@add("members of records by their names")
def members(folder):
    a = values(RECORD, (20,), 50)
    with h5py.File(folder / "x.h5", "w") as f:
        f.create_dataset("t", data=a, chunks=(6,), compression="gzip", shuffle=True)
    for name in RECORD.names:
        check_reads(f"{folder}/x.h5/t/{name}", a[name], name, folder)
    check_reads(f"{folder}/x.h5/t/nest/y", a["nest"]["y"], "nest", folder)


@add("members of a fixed size beside others that have none")
def mixed_members(folder):
    t = np.dtype([("a", ">i4"), ("text", h5py.string_dtype()), ("b", "<f8", (2,)), ("in", [("x", "u1"), ("y", "<i2")])])
    want = np.zeros(20, [("a", "<i4"), ("b", "<f8", (2,)), ("in", [("x", "u1"), ("y", "<i2")])])
    want["a"], want["b"], want["in"]["y"] = np.arange(20), np.arange(40).reshape(20, 2) / 4, -np.arange(20)
    rows = np.zeros(20, t)
    for name in want.dtype.names:
        rows[name] = want[name]
    rows["text"] = [f"row {i}" for i in range(20)]
    with h5py.File(folder / "x.h5", "w") as f:
        f.create_dataset("plain", data=rows)
        f.create_dataset("chunks", data=rows, chunks=(6,), compression="gzip")
    for name in ["plain", "chunks"]:
        for member in want.dtype.names:
            check_reads(f"{folder}/x.h5/{name}/{member}", want[member], name + member, folder)
        check_reads(f"{folder}/x.h5/{name}/in/y", want["in"]["y"], name, folder)
        if "member 'text'" not in morsel("get", f"{folder}/x.h5/{name}/text", code=1):
            raise Mismatch("a member of variable length is not refused by name")


@add("what cannot be an array is refused")
def refused(folder):
    with h5py.File(folder / "x.h5", "w") as f:
        f["null"] = h5py.Empty("f4")
        f.create_dataset("references", (2,), h5py.ref_dtype)[0] = f.ref
        f.create_dataset("lists", (2,), h5py.vlen_dtype(np.int32))
        f.create_dataset("in records", (2,), np.dtype([("a", "i4"), ("b", h5py.string_dtype())]))
        f["broken"] = h5py.SoftLink("/nowhere")
        f["gone"] = h5py.ExternalLink("no.h5", "/a")
        f.create_dataset("unknown filter", (4,), "i4", chunks=(4,), compression=hdf5plugin.Blosc2())
    for name, reason in {"null": "null dataspace", "references": "reference", "lists": "variable length", "in records": "member 'b'", "broken": "/nowhere", "gone": "no.h5", "unknown filter": "32026"}.items():
        message = morsel("get", f"{folder}/x.h5/{name}", "-o", folder / "out.npy", code=1)
        if reason not in message or "x.h5" not in message:
            raise Mismatch(f"{name}: the message is {message!r}, expected '{reason}' in it")


@add("links")
def links(folder):
    a = values("<f4", (5, 4), 51)
    with h5py.File(folder / "other.h5", "w") as f:
        f.create_dataset("in/a", data=a, chunks=(2, 2), compression="gzip")
        f.create_dataset("in/b", data=a)
    with h5py.File(folder / "x.h5", "w") as f:
        f["g/a"] = a
        f["g/again"] = f["g/a"]
        f["soft"] = h5py.SoftLink("/g/a")
        f["way"] = h5py.SoftLink("/g")
        f["g/up"] = f["/"]
        f["g/self"] = h5py.SoftLink("/g")
        f["out"] = h5py.ExternalLink("other.h5", "/in")
        f["broken"] = h5py.SoftLink("/no")
    for name in ["g/a", "g/again", "soft", "way/a", "g/up/g/a", "out/a", "out/b"]:
        check_reads(f"{folder}/x.h5/{name}", a, name, folder, 1)
    listed = [x["path"] for x in json.loads(morsel("info", f"{folder}/x.h5", "--json"))["arrays"]]
    if listed != ["g/a", "g/again", "out/a", "out/b", "soft", "way/a", "way/again"]:
        raise Mismatch(f"listed {listed}")


@add("attributes")
def attributes(folder):
    with h5py.File(folder / "x.h5", "w", track_order=True) as f:
        d = f.create_dataset("a", data=np.zeros(3), track_order=True)
        e = h5py.enum_dtype({"RED": 0, "GREEN": 1}, basetype="u1")
        wants = {}

        def put(name, value, want, dtype=None):
            d.attrs.create(name, value, dtype=dtype)
            wants[name] = want

        put("int", np.int64(-5), -5)
        put("big", np.uint64(2**64 - 1), 2**64 - 1)
        put("float", np.float32(0.1), 0.1)
        put("nan", np.array([np.nan, np.inf, -np.inf]), ["NaN", "Infinity", "-Infinity"])
        put("half", np.float16(1.5), 1.5)
        put("swapped", np.array([1, 2], ">i2"), [1, 2])
        put("text", "größe", "größe")
        put("bytes", np.bytes_(b"fixed"), "fixed")
        put("texts", ["a", "bc"], ["a", "bc"], h5py.string_dtype())
        put("bool", np.bool_(True), True)
        put("bools", np.array([True, False]), [True, False])
        put("enum", np.array([1, 0], e), [1, 0])
        put("complex", np.complex64(1 + 2j), [1.0, 2.0])
        put("record", np.array((1, 2.5), [("x", "i4"), ("y", "f8")]), {"x": 1, "y": 2.5})
        put("matrix", np.arange(6).reshape(2, 3), [[0, 1, 2], [3, 4, 5]])
        put("null", h5py.Empty("f4"), None)
        put("reference", f["a"].ref, "/a", h5py.ref_dtype)
        d.attrs.create("lists", np.array([np.array([1, 2], "i4"), np.array([3], "i4")], object), dtype=h5py.vlen_dtype("i4"))
        wants["lists"] = [[1, 2], [3]]
        put("none of them", np.zeros((0,), "i4"), [])
        f.attrs["title"] = "a file"
    got = json.loads(morsel("info", f"{folder}/x.h5/a", "--json"))["attributes"]
    if got != wants or list(got) != list(wants):
        raise Mismatch(f"attributes {[(k, got.get(k), v) for k, v in wants.items() if got.get(k, 'absent') != v]}, order {list(got)}")
    if json.loads(morsel("info", f"{folder}/x.h5", "--json"))["attributes"] != {"title": "a file"}:
        raise Mismatch("attributes of the file")


@add("dimension scales and labels name axes")
def scales(folder):
    with h5py.File(folder / "x.h5", "w") as f:
        f["lat"], f["lon"] = np.arange(3.0), np.arange(4.0)
        f["lat"].make_scale("latitude")
        f["lon"].make_scale()
        f["t"] = np.zeros((3, 4))
        f["t"].dims[0].attach_scale(f["lat"])
        f["t"].dims[1].attach_scale(f["lon"])
        f["u"] = np.zeros((3, 4))
        f["u"].dims[1].label = "x"
        f["v"] = np.zeros((3, 4))
        f["w"] = np.zeros((3, 3))
        f["w"].dims[0].attach_scale(f["lat"])
        f["w"].dims[1].attach_scale(f["lat"])
        f["g/time"] = np.zeros((2, 3))  # as NetCDF-4 writes a variable time(time, lat)
        f["g/time"].make_scale("time")
        f["g/time"].attrs["_Netcdf4Coordinates"], f["g/time"].attrs["_Netcdf4Dimid"] = np.array([5, 0], "i4"), np.int32(5)
        f["lat"].attrs["_Netcdf4Dimid"] = np.int32(0)
    morsel("eval", "w + 1", f"w={folder}/x.h5/w")
    for name, want in {"g/time": ["time", "lat"], "w": ["lat", None], "t": ["lat", "lon"], "u": [None, "x"], "v": None, "lat": ["lat"]}.items():
        got = json.loads(morsel("info", f"{folder}/x.h5/{name}", "--json"))["dims"]
        if got != want:
            raise Mismatch(f"dims of {name}: {got}, expected {want}")
    if json.loads(morsel("stats", f"{folder}/x.h5/t", "--axis", "lat", "--json"))["count"] != [3] * 4:
        raise Mismatch("stats over an axis by its name")


@add("copied to Zarr")
def copied(folder):
    import zarr

    a = values("<f4", (30, 20), 52)
    with h5py.File(folder / "x.h5", "w") as f:
        f.create_dataset("g/a", data=a, chunks=(8, 8), compression="gzip", shuffle=True)
        f["g/a"].attrs["units"] = "K"
        f["b"] = a.T
    morsel("copy", folder / "x.h5", folder / "y.zarr")
    got = zarr.open_group(folder / "y.zarr", mode="r")
    same(got["g/a"][...], a, "the copy")
    same(got["b"][...], a.T, "the copy")
    if dict(got["g/a"].attrs) != {"units": "K"} or got["g/a"].chunks != (8, 8):
        raise Mismatch(f"attributes {dict(got['g/a'].attrs)}, chunks {got['g/a'].chunks}")


# ---------------------------------------------------------------------------------------------------------- damage


@add("a damaged chunk is named")
def damaged(folder):
    a = ramp("<i4", (40, 10))
    for name, options, words in [
        ("deflate", dict(compression="gzip"), ["deflate"]),
        ("fletcher32", dict(fletcher32=True), ["fletcher32", "checksum"]),
        ("lzf", dict(compression="lzf"), ["lzf"]),
        ("zstd", hdf5plugin.Zstd(), ["zstd"]),
        ("lz4", hdf5plugin.LZ4(), ["lz4"]),
        ("bitshuffle", hdf5plugin.Bitshuffle(cname="lz4"), ["bitshuffle"]),
    ]:
        path = folder / f"{name}.h5"
        with h5py.File(path, "w") as f:
            f.create_dataset("g/a", data=a, chunks=(10, 10), **options)
        with h5py.File(path, "r") as f:
            info = f["g/a"].id.get_chunk_info(2)
        stored = bytearray(path.read_bytes())
        for k in range(info.size):
            stored[info.byte_offset + k] ^= 0x5A
        path.write_bytes(stored)
        message = morsel("get", f"{path}/g/a", "-o", folder / "out.npy", code=1)
        for word in [str(path), "g/a", "chunk (2, 0)", *words]:
            if word not in message:
                raise Mismatch(f"{name}: the message is {message!r}, expected '{word}' in it")
        morsel("get", f"{path}/g/a", "0:20", "-o", folder / "out.npy")
        same(np.load(folder / "out.npy"), a[:20], "chunks before the damaged one")


@add("a file that was cut")
def cut(folder):
    path = folder / "x.h5"
    with h5py.File(path, "w") as f:
        f.create_dataset("a", data=values("<f8", (1000,), 60), chunks=(100,), compression="gzip")
        f["b"] = np.arange(1000.0)
    whole = path.read_bytes()
    for size in [0, 1, 7, 8, 50, 96, 200, 512, 1000, 2048, 4000, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:size])
        for name in ["a", "b"]:
            morsel("get", f"{path}/{name}", "-o", folder / "out.npy", code=1)


sys.exit(main("hdf5_read", cases))
