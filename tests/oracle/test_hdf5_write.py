#!/usr/bin/env python3
"""HDF5 files that the command wrote, read by h5py with its plugins, netCDF4 and xarray, and by the command again: bit for bit.

usage: test_hdf5_write.py [PART OF A NAME...]     MORSEL_COMMAND names the command; MORSEL_KEEP a folder that keeps the files

Exit 77 (skipped) without the command, without its component hdf5, or without the packages of requirements.txt where
tests/run.sh did not install them.
"""

import json, os, subprocess, sys

os.environ["HDF5_USE_FILE_LOCKING"] = "FALSE"  # a child that is about to become the command holds locks, too
from interop import Mismatch, SHORT_RECORD, check_reads, command, h5py, main, missing, morsel, np, plain, same, smooth, values, zarr

try:
    import hdf5plugin
    import netCDF4
    import xarray
except ImportError as absent:
    missing(f"a package is missing: {absent}")
if "hdf5" not in json.loads(subprocess.run([command, "doctor", "--json"], capture_output=True, text=True, env=plain).stdout)["formats"]:
    print("skipped: a build without the component hdf5")
    sys.exit(77)

NUMBERS = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]
CARRIED = ["S5", "V7", SHORT_RECORD, np.dtype([("a", "<i2", (2, 3)), ("b", "?"), ("c", "<c8"), ("d", "S3")])]
DATES = ["M8[ns]", "m8[ms]", "M8[D]"]
GRIDS = [
    ((7,), (3,)),
    ((10, 6), (4, 6)),
    ((5, 4, 3), (2, 3, 2)),
    ((3, 2), (5, 7)),
    ((4,), (1,)),
    ((), ()),
    ((0,), (3,)),
    ((4, 0, 2), (2, 3, 1)),
    ((1, 1, 9, 1), (1, 1, 4, 1)),
    ((64,), (64,)),
    ((33, 17), (16, 16)),
]
# text of the codec, the numbers of its filters in HDF5
CODECS = [
    ("none", []),
    ("", [2, 1]),
    ("deflate:9", [1]),
    ("gzip:0", [1]),
    ("shuffle+deflate:1+fletcher32", [2, 1, 3]),
    ("fletcher32", [3]),
    ("shuffle", [2]),
    ("zstd:3", [32015]),
    ("shuffle+zstd:19", [2, 32015]),
    ("bzip2:9", [307]),
    ("lz4", [32004]),
    ("shuffle+lz4", [2, 32004]),
    ("lzf", [32000]),
    ("shuffle+lzf", [2, 32000]),
    ("bitshuffle", [32008]),
    ("bitshuffle-lz4", [32008]),
    ("bitshuffle-zstd:5", [32008]),
    ("blosc-lz4:5:shuffle", [32001]),
    ("blosc-zstd:3:bitshuffle", [32001]),
    ("blosc-zlib:3:noshuffle", [32001]),
]
FILLS = [("f4", "NaN", np.nan), ("f8", "1.5", 1.5), ("i2", "-7", -7), ("?", "true", True), ("u8", str(2**64 - 1), 2**64 - 1), ("f2", "Infinity", np.inf)]
cases = []


def add(name):
    return lambda function: cases.append((name, function)) or function


def text(value):
    return str(value).replace(" ", "")


def commas(numbers):
    return ",".join(map(str, numbers))


def filters(dataset):
    plist = dataset.id.get_create_plist()
    return [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]


def check_written(path, name, want, chunks=None, codec=None, reads=2, folder=None):
    """h5py and the command see `want`, in these chunks through these filters."""
    with h5py.File(path, "r") as f:
        d = f[name]
        got = d[...]
        if want.dtype.kind in "Mm":
            got = np.asarray(got).view(want.dtype) if got.dtype.kind == "V" else got
        same(got, want, f"h5py {path}/{name}")
        stored = want.size > 0 and want.ndim > 0
        if chunks is not None and d.chunks != (tuple(min(c, n) for c, n in zip(chunks, want.shape)) if stored else None):
            raise Mismatch(f"{path}/{name}: chunks {d.chunks}, expected {chunks}")
        if codec is not None and filters(d) != (codec if stored else []):
            raise Mismatch(f"{path}/{name}: filters {filters(d)}, expected {codec}")
    check_reads(f"{path}/{name}", want, name, folder, reads)


def add_arrays():
    for dtype in [*NUMBERS, *CARRIED, *DATES]:
        for shape, chunks in [((7, 9), (3, 4)), ((), ()), ((13,), (13,))]:

            @add(f"dtype/{text(dtype)}/{text(shape)}")
            def one(folder, dtype=dtype, shape=shape, chunks=chunks):
                a = values(dtype, shape, 1)
                np.save(folder / "in.npy", a)
                morsel("copy", folder / "in.npy", folder / "x.h5/g/v", *(["--chunks", commas(chunks)] if chunks else []))
                check_written(folder / "x.h5", "g/v", a, chunks or None, folder=folder, reads=1)

    for shape, chunks in GRIDS:
        for codec, ids in CODECS[:3]:

            @add(f"grid/{text(shape)}/{text(chunks)}/{codec}")
            def grid(folder, shape=shape, chunks=chunks, codec=codec, ids=ids):
                a = values("f4", shape, 2)
                np.save(folder / "in.npy", a)
                morsel("copy", folder / "in.npy", folder / "x.h5", *(["--chunks", commas(chunks)] if chunks else []), "--codec", codec, "--threads", "2")
                check_written(folder / "x.h5", "data", a, chunks, ids, folder=folder)

    for codec, ids in CODECS:
        for dtype in ["u1", "i2", "f4", "f8", SHORT_RECORD]:

            @add(f"codec/{codec or 'default'}/{text(dtype)}")
            def code(folder, dtype=dtype, codec=codec, ids=ids):
                a = smooth(dtype, (90, 70)) if isinstance(dtype, str) else values(dtype, (90, 70), 1)
                np.save(folder / "in.npy", a)
                morsel("copy", folder / "in.npy", folder / "x.h5", "--chunks", "40,33", *(["--codec", codec] if codec else []))
                expected = [1] if dtype == "u1" and not codec else ids
                check_written(folder / "x.h5", "data", a, (40, 33), expected, folder=folder)

    for dtype, fill, value in FILLS:

        @add(f"fill/{dtype}/{fill}")
        def filled(folder, dtype=dtype, fill=fill, value=value):
            a = np.full((20, 12), value, dtype)
            a[3:9, 2:5] = values(dtype, (6, 3), 1)
            np.save(folder / "in.npy", a)
            morsel("copy", folder / "in.npy", folder / "x.h5", "--chunks", "5,5", "--fill-value", fill)
            check_written(folder / "x.h5", "data", a, (5, 5), folder=folder)
            with h5py.File(folder / "x.h5") as f:
                same(f["data"].fillvalue, np.array(value, dtype), "fill value")
                if f["data"].id.get_num_chunks() != 2:
                    raise Mismatch(f"chunks of nothing but fill values are stored: {f['data'].id.get_num_chunks()} of 12")

    @add("large, in little memory")
    def large(folder):
        a = smooth("f4", (150, 190, 210))
        np.save(folder / "in.npy", a)
        morsel("copy", folder / "in.npy", folder / "x.h5/v", "--chunks", "64,64,64", "--memory", "24MiB", "--threads", "2")
        check_written(folder / "x.h5", "v", a, (64, 64, 64), [2, 1], folder=folder)
        morsel("diff", folder / "in.npy", folder / "x.h5/v")

    @add("many chunks")
    def many(folder):
        a = ((np.arange(200 * 300) * 7) % 65521).astype("u2").reshape(200, 300)
        np.save(folder / "in.npy", a)
        morsel("copy", folder / "in.npy", folder / "x.h5/v", "--chunks", "2,3", "--memory", "16MiB")
        check_written(folder / "x.h5", "v", a, (2, 3), [2, 1], folder=folder, reads=1)

    for dtype in ["U4"]:

        @add(f"refused/{dtype}")
        def refused(folder, dtype=dtype):
            np.save(folder / "in.npy", values(dtype, (7,), 1))
            line = morsel("copy", folder / "in.npy", folder / "x.h5", code=1)
            if "HDF5 has no type for" not in line or os.path.exists(folder / "x.h5"):
                raise Mismatch(line)


ATTRIBUTES = {
    "title": "Größe €",
    "empty": "",
    "n": 3,
    "big": 2**63 + 1,
    "x": -1.5e-300,
    "flag": True,
    "list": [1, 2, 3],
    "matrix": [[1.0, 2.5], [3.0, -4.0]],
    "words": ["a", "bc", ""],
    "flags": [True, False],
    "nothing": None,
    "mixed": [1, "a", None],
    "object": {"a": [1, 2], "b": "c"},
    "none": [],
    "long": "x" * 100_000,
}


def check_attributes(attrs):
    got = {k: v.tolist() if isinstance(v, (np.ndarray, np.generic)) else v for k, v in attrs.items()}
    if list(got) != list(ATTRIBUTES):
        raise Mismatch(f"attributes {list(got)}, expected {list(ATTRIBUTES)}")
    for name, want in ATTRIBUTES.items():
        if name in ("mixed", "object"):
            if json.loads(got[name]) != want:
                raise Mismatch(f"attribute {name}: {got[name]!r}")
        elif name == "nothing":
            if not isinstance(got[name], h5py.Empty):
                raise Mismatch(f"attribute {name}: {got[name]!r}")
        elif got[name] != want:
            raise Mismatch(f"attribute {name}: {got[name]!r}, expected {want!r}")


def add_trees():
    @add("attributes")
    def attributes(folder):
        a = values("f4", (6, 5), 1)
        root = zarr.create_group(str(folder / "in.zarr"), attributes=ATTRIBUTES)
        z = root.create_array("g/v", shape=a.shape, chunks=(3, 5), dtype="f4", attributes=ATTRIBUTES)
        z[...] = a
        root.create_group("empty", attributes={"deep": 1})
        morsel("copy", folder / "in.zarr", folder / "x.h5")
        check_written(folder / "x.h5", "g/v", a, (3, 5), [2, 1], folder=folder)
        with h5py.File(folder / "x.h5") as f:
            check_attributes(f.attrs), check_attributes(f["g/v"].attrs)
            if f["empty"].attrs["deep"] != 1 or len(f["g"].attrs) != 0:
                raise Mismatch("attributes of groups")
        # What HDF5 has no type for is text there.
        p = subprocess.run([command, "diff", folder / "in.zarr/g/v", folder / "x.h5/g/v"], capture_output=True, text=True, env=plain)
        if p.returncode != 1 or p.stdout.count("attribute ") != 2 or "0 of 30 differ" not in p.stdout:
            raise Mismatch(f"diff: {p.stdout}")

    @add("a tree as it was: HDF5 to HDF5")
    def tree(folder):
        a = smooth("f4", (40, 30))
        with h5py.File(folder / "in.h5", "w") as f:
            f.attrs["title"] = "tree"
            f.create_dataset("plain", data=a)
            f.create_dataset("g/raw", data=a, chunks=(16, 16))
            f.create_dataset("g/gzip", data=a, chunks=(16, 16), compression="gzip", compression_opts=7, shuffle=True, fletcher32=True)
            f.create_dataset("g/lzf", data=a, chunks=(8, 16), compression="lzf")
            f.create_dataset("g/zstd", data=a, chunks=(16, 8), **hdf5plugin.Zstd(5))
            f.create_dataset("g/shuffled", data=a, chunks=(16, 8), **hdf5plugin.Bitshuffle())
            f.create_dataset("g/blosc", data=a, chunks=(16, 8), **hdf5plugin.Blosc("zstd", 3))
            f.create_dataset("g/szip", data=a, chunks=(16, 8), compression="szip") if h5py.h5z.filter_avail(4) else None
            f.create_dataset("fill", shape=(9,), dtype="i4", chunks=(4,), fillvalue=-3)
            f["scalar"] = np.float16(2.5)
            f["flags"] = np.array([True, False])
            f["z"] = np.array([1 + 2j, 3], "c8")
            f["s"] = np.array([b"ab", b"c"], "S4")
        morsel("copy", folder / "in.h5", folder / "x.h5")
        with h5py.File(folder / "in.h5") as f, h5py.File(folder / "x.h5") as g:
            names = []
            f.visititems(lambda n, o: names.append(n) if isinstance(o, h5py.Dataset) else None)
            for n in names:
                same(g[n][...], f[n][...], n)
                if f[n].chunks and (g[n].chunks != f[n].chunks or (4 not in filters(f[n]) and filters(g[n]) != filters(f[n]))):
                    raise Mismatch(f"{n}: {g[n].chunks} {filters(g[n])}, expected {f[n].chunks} {filters(f[n])}")
                if g[n].dtype != f[n].dtype or g[n].fillvalue != f[n].fillvalue:
                    raise Mismatch(f"{n}: {g[n].dtype} {g[n].fillvalue}, expected {f[n].dtype} {f[n].fillvalue}")
            if g.attrs["title"] != "tree":
                raise Mismatch("attributes of the root")

    @add("added, replaced, refused")
    def added(folder):
        a, b = values("i4", (10, 6), 1), values("f8", (5,), 2)
        np.save(folder / "a.npy", a), np.save(folder / "b.npy", b)
        out = folder / "x.h5"
        with h5py.File(out, "w", userblock_size=1024) as f:
            f.create_dataset("old", data=a, chunks=(4, 4), compression="gzip").attrs["k"] = "v"
            f["link"] = h5py.SoftLink("/old")
        morsel("copy", folder / "b.npy", out / "g/b")
        check_written(out, "g/b", b, folder=folder)
        morsel("copy", folder / "a.npy", out / "g/b", code=1)
        morsel("copy", folder / "a.npy", out / "g/b", "--overwrite")
        morsel("copy", folder / "a.npy", out / "g", "--overwrite", code=1)
        morsel("copy", folder / "a.npy", out / "old/x", code=1)
        morsel("copy", folder / "a.npy", out, code=1)
        check_written(out, "g/b", a, folder=folder)
        check_written(out, "old", a, folder=folder)
        with h5py.File(out) as f:
            if f["old"].attrs["k"] != "v" or f.userblock_size != 1024 or f.get("link", getlink=True).path != "/old":
                raise Mismatch("what was there is not as it was")
        morsel("eval", "old * 2", f"old={out}/old", "-o", out / "twice")
        check_written(out, "twice", a * 2, folder=folder)
        morsel("copy", folder / "b.npy", out, "--overwrite")
        with h5py.File(out) as f:
            if list(f) != ["data"]:
                raise Mismatch(f"{list(f)}")
        check_written(out, "data", b, folder=folder)
        left = sorted(p.name for p in folder.iterdir())
        if left != ["a.npy", "b.npy", "out.npy", "x.h5"]:
            raise Mismatch(f"left behind: {left}")


def netcdf(folder):
    """A dataset with coordinates, a dimension without any, and one of two axes of the same length."""
    a, t = smooth("f4", (5, 4, 6)), np.arange(5) * 6.0
    a[2, 1, 3] = np.nan
    with netCDF4.Dataset(folder / "in.nc", "w") as f:
        f.title = "round trip"
        for name, n in [("time", 5), ("lat", 4), ("lon", 6), ("bounds", 2)]:
            f.createDimension(name, n)
        v = f.createVariable("t2m", "f4", ("time", "lat", "lon"), fill_value=np.float32(-999), zlib=True, chunksizes=(2, 4, 6))
        v.units, v.levels = "K", 2
        v[...] = np.where(np.isnan(a), -999, a)
        for name, data in [("time", t), ("lat", np.linspace(-60, 60, 4)), ("lon", np.arange(6.0))]:
            f.createVariable(name, "f8", (name,))[...] = data
        f["time"].units = "hours since 2001-01-01"
        f.createVariable("time_bounds", "f8", ("time", "bounds"))[...] = np.stack([t, t + 6], 1)
        g = f.createGroup("sub")
        g.createVariable("mean", "f4", ("lat", "lon"))[...] = np.nan_to_num(a).mean(0)
    return a


def same_dataset(got, want, what):
    for name in {*got.variables, *want.variables}:
        if name not in got or name not in want or got[name].dims != want[name].dims:
            raise Mismatch(f"{what}: {name}: {got.get(name)} expected {want.get(name)}")
        np.testing.assert_array_equal(got[name].values, want[name].values, f"{what}: {name}")
        if {k: str(v) for k, v in got[name].attrs.items()} != {k: str(v) for k, v in want[name].attrs.items()}:
            raise Mismatch(f"{what}: attributes of {name}: {got[name].attrs}, expected {want[name].attrs}")


def add_netcdf():
    for way in ["hdf5", "zarr"]:

        @add(f"netcdf through {way}")
        def through(folder, way=way):
            netcdf(folder)
            source = folder / "in.nc"
            if way == "zarr":
                morsel("copy", source, folder / "in.zarr")
                source = folder / "in.zarr"
            morsel("copy", source, folder / "x.h5")
            for group in [None, "sub"]:
                with xarray.open_dataset(folder / "x.h5", engine="netcdf4", group=group) as got, xarray.open_dataset(folder / "in.nc", engine="netcdf4", group=group) as want:
                    if way == "hdf5":
                        same_dataset(got, want, f"group {group}")
                    else:  # dimensions without values have become arrays in Zarr
                        same_dataset(got[list(want.variables)], want, f"group {group}")
            with netCDF4.Dataset(folder / "x.h5") as f:
                if f["t2m"].dimensions != ("time", "lat", "lon") or f["sub/mean"].dimensions != ("lat", "lon"):
                    raise Mismatch(f"netCDF4: {f['t2m'].dimensions} {f['sub/mean'].dimensions}")
                if f["t2m"].chunking() != [2, 4, 6] or f.title != "round trip":
                    raise Mismatch(f"netCDF4: {f['t2m'].chunking()}")
                if way == "hdf5" and set(f.variables) != {"t2m", "time", "lat", "lon", "time_bounds"}:
                    raise Mismatch(f"netCDF4: variables {set(f.variables)}")
            info = json.loads(morsel("info", folder / "x.h5/t2m", "--json"))
            if info["dims"] != ["time", "lat", "lon"] or info["attributes"]["units"] != "K":
                raise Mismatch(f"info: {info}")

    @add("dimensions without values")
    def without(folder):
        a = smooth("f4", (5, 4))
        z = zarr.create_array(str(folder / "in.zarr"), shape=a.shape, chunks=(2, 4), dtype="f4", dimension_names=("y", "x"))
        z[...] = a
        morsel("copy", folder / "in.zarr", folder / "x.h5/field")
        with netCDF4.Dataset(folder / "x.h5") as f:
            if f["field"].dimensions != ("y", "x") or list(f.variables) != ["field"]:
                raise Mismatch(f"netCDF4: {f['field'].dimensions} {list(f.variables)}")
            np.testing.assert_array_equal(f["field"][...], a)
        with h5py.File(folder / "x.h5") as f:
            if [d.label for d in f["field"].dims] != ["", ""] or [list(d.keys())[0][:20] for d in f["field"].dims] != ["This is a netCDF dim"] * 2:
                raise Mismatch(f"h5py: {[dict(d) for d in f['field'].dims]}")
        # A second array with the same names shares the dimensions; one with another length has labels.
        b = smooth("f4", (7, 4))
        z = zarr.create_array(str(folder / "b.zarr"), shape=b.shape, chunks=(2, 4), dtype="f4", dimension_names=("y", "x"))
        z[...] = b
        morsel("copy", folder / "in.zarr", folder / "x.h5/again")
        morsel("copy", folder / "b.zarr", folder / "x.h5/other")
        with netCDF4.Dataset(folder / "x.h5") as f:
            if f["field"].dimensions != ("y", "x") or f["again"].dimensions != ("y", "x") or "y" in f["other"].dimensions:
                raise Mismatch(f"netCDF4: {f['field'].dimensions} {f['again'].dimensions} {f['other'].dimensions}")
        for name in ("field", "again", "other"):
            if json.loads(morsel("info", f"{folder}/x.h5/{name}", "--json"))["dims"] != ["y", "x"]:
                raise Mismatch(f"info: {name}")


add_arrays()
add_trees()
add_netcdf()
if __name__ == "__main__":
    sys.exit(main("test_hdf5_write", cases))
