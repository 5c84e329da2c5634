#!/usr/bin/env python3
"""Stores that the command wrote, read by zarr-python, zarrs and TensorStore, and by the command again: bit for bit.

usage: test_zarr_write.py [PART OF A NAME...]     MORSEL_COMMAND names the command; MORSEL_KEEP a folder that keeps the stores

Exit 77 (skipped) without the command, or without the packages of requirements.txt where tests/run.sh did not install them.
"""

import itertools, random, sys, threading
from pathlib import Path

from interop import Mismatch, SHORT_RECORD, check_reads, main, ml_dtypes, morsel, np, same, tensorstore, values, zarr

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
    ((2, 3, 2, 2, 2), (1, 2, 2, 1, 2)),
    ((64,), (64,)),
    ((33, 17), (16, 16)),
]
SHARDS = [
    ((12,), (3,), (6,)),
    ((10, 6), (2, 3), (4, 6)),
    ((33, 17), (4, 4), (16, 8)),
    ((5, 4, 3), (1, 2, 1), (4, 4, 2)),
    ((64,), (1,), (64,)),
    ((0, 5), (2, 2), (4, 4)),
]
NUMBERS = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]
CARRIED = ["M8[ns]", "m8[ms]", "M8[10us]", "m8[D]", "S5", "U4", SHORT_RECORD]
CODECS = ["none", None, "zstd:3", "zstd:-5", "zstd+crc32c", "gzip:6", "zlib:1", "lz4", "bz2:9", "lzma:1", "crc32c", "blosc"]
CODECS += [f"blosc-{c}:5:{s}" for c in ("blosclz", "lz4", "lz4hc", "zlib", "zstd") for s in ("noshuffle", "shuffle", "bitshuffle")]
NOT_OF_ZARRS = ("lz4", "lzma")  # codecs by their short names
NOT_OF_TENSORSTORE = {2: ("lz4", "lzma", "crc32c", "gzip"), 3: ("lz4", "lzma", "zlib", "bz2")}
FILLS = [
    ("f4", "NaN", np.nan),
    ("f8", "-Infinity", -np.inf),
    ("f4", "1.5", 1.5),
    ("f2", "Infinity", np.inf),
    ("i2", "-7", -7),
    ("?", "true", True),
    ("u8", str(2**64 - 1), 2**64 - 1),
    ("i8", str(-(2**63)), -(2**63)),
    ("c8", '[1.5,"NaN"]', complex(1.5, np.nan)),
    ("M8[s]", "NaT", np.datetime64("NaT")),
    ("m8[ms]", "77", np.timedelta64(77, "ms")),
]  # dtype, text, value
cases = []
pipeline = threading.Lock()


def add(name):
    return lambda function: cases.append((name, function)) or function


def text(value):
    return str(value).replace(" ", "")


def commas(numbers):
    return ",".join(map(str, numbers))


def opened(path, zarrs=False):
    with pipeline, zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline" if zarrs else "zarr.core.codec_pipeline.BatchedCodecPipeline"}):
        return zarr.open_array(path, mode="r")


def check_written(path, want, zarr_format, codec="", chunks=None, shards=None, reads=2):
    """All readers that have the dtype and the codec see `want`."""
    by_zarr = opened(path)
    if by_zarr.metadata.zarr_format != zarr_format:
        raise Mismatch(f"{path}: Zarr format {by_zarr.metadata.zarr_format}")
    same(np.array(by_zarr[...], want.dtype if want.dtype.kind in "SU" else None).reshape(by_zarr.shape), want, f"zarr-python reads {path}")
    if chunks and all(c <= n for c, n in zip(chunks, want.shape)) and by_zarr.chunks != tuple(chunks):
        raise Mismatch(f"{path}: chunks {by_zarr.chunks}, expected {chunks}")
    if shards and all(c <= n for c, n in zip(shards, want.shape)) and by_zarr.shards != tuple(shards):
        raise Mismatch(f"{path}: shards {by_zarr.shards}, expected {shards}")
    numbers = want.dtype.kind in "biufc" and want.dtype.names is None
    short = (codec or "").split("+")[0].split(":")[0]
    if numbers and zarr_format == 3 and short not in NOT_OF_ZARRS:
        same(np.asarray(opened(path, zarrs=True)[...]), want, f"zarrs reads {path}")
    if numbers and short not in NOT_OF_TENSORSTORE[zarr_format] and not (zarr_format == 2 and "+" in (codec or "")):
        store = tensorstore.open({"driver": "zarr3" if zarr_format == 3 else "zarr", "kvstore": {"driver": "file", "path": str(path) + "/"}}).result()
        same(np.asarray(store.read().result()), want, f"TensorStore reads {path}")
    check_reads(path, want, str(want.dtype) + text(want.shape), Path(path).parent, reads)


def copied(folder, a, zarr_format, chunks=None, codec=None, shards=None, fill=None, source=None, name="out.zarr"):
    if source is None:
        source = folder / "in.npy"
        np.save(source, a)
    arguments = ["copy", source, folder / name, "--format", f"zarr{zarr_format}"]
    for option, value in (("--chunks", chunks and commas(chunks)), ("--shards", shards and commas(shards)), ("--codec", codec)):
        arguments += [option, value] if value else []
    morsel(*arguments, *([f"--fill-value={fill}"] if fill is not None else []))
    return folder / name


def add_copy(name, a, zarr_format, chunks, **more):
    @add(name)
    def case(folder):
        path = copied(folder, a, zarr_format, chunks, **more)
        check_written(path, a, zarr_format, more.get("codec"), chunks, more.get("shards"))


def picks(label, count, *lists):
    r = random.Random(label)
    return [tuple(r.choice(x) for x in lists) for _ in range(count)]


def add_arrays():
    for zarr_format in (2, 3):
        for dtype in NUMBERS + CARRIED + (["V7"] if zarr_format == 2 else []):  # zarr-python 3 does not know r56, the name that v3 has for them
            t = np.dtype(dtype)
            label = t.str if t.names is None else "record"
            for k, ((shape, chunks), codec) in enumerate(picks(f"write{zarr_format}{label}", 3, GRIDS, CODECS)):
                add_copy(f"v{zarr_format}/dtype/{label}/{k}", values(t, shape, k), zarr_format, chunks, codec=codec)
        for j, (shape, chunks) in enumerate(GRIDS):
            for k, (dtype, codec) in enumerate(picks(f"write grid {zarr_format}{j}", 3, NUMBERS, CODECS)):
                add_copy(f"v{zarr_format}/grid/{text(shape)}/{k}", values(dtype, shape, k), zarr_format, chunks, codec=codec)
        for j, codec in enumerate(CODECS):
            for k, (dtype, (shape, chunks)) in enumerate(picks(f"write codec {zarr_format}{j}", 2, NUMBERS, [GRIDS[1], GRIDS[2], GRIDS[11]])):
                add_copy(f"v{zarr_format}/codec/{codec}/{k}", values(dtype, shape, k), zarr_format, chunks, codec=codec)
        for dtype, fill, value in FILLS:

            @add(f"v{zarr_format}/fill/{dtype}/{fill}")
            def case(folder, zarr_format=zarr_format, dtype=dtype, fill=fill, value=value):
                a = values(dtype, (9, 5), 2)
                a[:4] = value
                path = copied(folder, a, zarr_format, (4, 5), fill=fill, codec="none")
                made = opened(path)
                same(np.full((), made.fill_value, made.dtype), np.full((), value, made.dtype), f"{path}: fill value")
                if zarr_format == 3 and (path / "c/0/0").exists() or zarr_format == 2 and (path / "0.0").exists():
                    raise Mismatch(f"{path}: a chunk of nothing but the fill value is stored")
                check_written(path, a, zarr_format, "none")

    for j, (shape, chunks, shards) in enumerate(SHARDS):
        for k, (dtype, codec) in enumerate(
            picks(f"write shards {j}", 6, NUMBERS + CARRIED[:-1], CODECS)
        ):  # zarr-python cannot hash the fill value of a record
            add_copy(f"v3/shards/{text(shape)}/{k}", values(dtype, shape, k), 3, chunks, shards=shards, codec=codec)

    @add("v3/shards/absent inner chunks")
    def case(folder):
        a = values("f4", (16, 16), 1)
        a[:8] = a[8:10, 2:4] = -2.5
        path = copied(folder, a, 3, (2, 2), shards=(8, 8), fill="-2.5", codec="zstd")
        check_written(path, a, 3, "zstd", (2, 2), (8, 8), 6)
        if (path / "c/0/0").exists() or (path / "c/0/1").exists():
            raise Mismatch(f"{path}: a shard of nothing but the fill value is stored")


def add_small_numbers():
    """Of TensorStore: written by it, copied by the command, read by it."""
    names = ["bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e3m4", "int4", "int2"]
    for name, sharded in itertools.product(names, (False, True)):

        @add(f"small/{name}{'/shards' if sharded else ''}")
        def case(folder, name=name, sharded=sharded):
            a = values(getattr(ml_dtypes, name), (9, 7), 3)
            metadata = {"shape": [9, 7], "data_type": name, "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 7]}}}
            made = tensorstore.open(
                {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{folder}/in.zarr/"}, "metadata": metadata}, create=True
            ).result()
            made.write(a).result()
            path = copied(folder, None, 3, (3, 2), "zstd", (6, 4) if sharded else None, source=folder / "in.zarr")
            again = tensorstore.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path}/"}}).result()
            same(np.asarray(again.read().result()), a, f"TensorStore reads {path}")
            check_reads(path, a, name, folder)


ATTRIBUTES = {
    "title": 'é\n"\\\u0001𝄞',
    "whole": -(2**53),
    "large": 2**63,
    "float": 0.1,
    "none": None,
    "list": [1, [2.5, {"a": []}], True],
    "nested": {"b": {"c": "d"}, "": 0},
}


def add_hierarchies():
    for source_format, zarr_format in itertools.product((2, 3), (2, 3)):

        @add(f"copy/v{source_format} to v{zarr_format}/attributes and dimensions")
        def case(folder, source_format=source_format, zarr_format=zarr_format):
            a = values("f4", (7, 5), 1)
            dims = {"dimension_names": ["lat", "lon"]} if source_format == 3 else {}
            attributes = ATTRIBUTES | ({"_ARRAY_DIMENSIONS": ["lat", "lon"]} if source_format == 2 else {})
            made = zarr.create_array(
                str(folder / "in.zarr"),
                shape=a.shape,
                dtype=a.dtype,
                chunks=(3, 5),
                zarr_format=source_format,
                attributes=attributes,
                fill_value=2.5,
                **dims,
            )
            made[:4] = a[:4]
            a[4:] = 2.5
            path = copied(folder, None, zarr_format, source=folder / "in.zarr")
            check_written(path, a, zarr_format, chunks=(3, 5))
            again = opened(path)
            got = dict(again.attrs)
            names = list(again.metadata.dimension_names) if zarr_format == 3 else got.pop("_ARRAY_DIMENSIONS", None)
            got.pop("_ARRAY_DIMENSIONS", None)
            if got != ATTRIBUTES or names != ["lat", "lon"]:
                raise Mismatch(f"{path}: attributes {got}, dimensions {names}")
            if again.fill_value != 2.5:
                raise Mismatch(f"{path}: fill value {again.fill_value}")

        @add(f"copy/v{source_format} to v{zarr_format}/hierarchy")
        def hierarchy(folder, source_format=source_format, zarr_format=zarr_format):
            root = zarr.create_group(str(folder / "in.zarr"), zarr_format=source_format, attributes=ATTRIBUTES)
            root.create_group("a/b", attributes={"deep": 1})
            root.create_group("empty")
            arrays = {"x": values("f4", (7, 5), 1), "a/y": values("i2", (9,), 1), "a/b/z": values("u8", (3, 4, 2), 1)}
            for path, a in arrays.items():
                root.create_array(path, shape=a.shape, dtype=a.dtype, chunks=tuple((n + 1) // 2 for n in a.shape), attributes={"path": path})[...] = a
            out = copied(folder, None, zarr_format, source=folder / "in.zarr")
            again = zarr.open_group(str(out), mode="r")
            if dict(again.attrs) != ATTRIBUTES or dict(again["a/b"].attrs) != {"deep": 1} or not isinstance(again["empty"], zarr.Group):
                raise Mismatch(f"{out}: groups {dict(again.attrs)}, {dict(again['a/b'].attrs)}")
            for path, a in arrays.items():
                if dict(again[path].attrs) != {"path": path} or again[path].chunks != tuple((n + 1) // 2 for n in a.shape):
                    raise Mismatch(f"{out}/{path}: {again[path].chunks}, {dict(again[path].attrs)}")
                check_written(out / path, a, zarr_format, reads=1)

    @add("copy/n5 to zarr")
    def n5(folder):
        metadata = {"dimensions": [7, 9], "blockSize": [3, 4], "dataType": "uint16", "compression": {"type": "gzip"}}
        a = values("u2", (7, 9), 1)
        tensorstore.open({"driver": "n5", "kvstore": {"driver": "file", "path": f"{folder}/in/"}, "metadata": metadata}, create=True).result().write(
            a
        ).result()
        check_written(copied(folder, None, 3, source=folder / "in"), a.T.copy(), 3, chunks=(4, 3))

    rechunks = [((24, 20), (5, 7), (7, 5)), ((24, 20), (24, 1), (1, 20)), ((6, 7, 8), (1, 7, 8), (6, 2, 3)), ((100,), (7,), (33,))]
    for j, ((shape, before, after), order, zarr_format) in enumerate(itertools.product(rechunks, "CF", (2, 3))):

        @add(f"rechunk/{j}")
        def rechunk(folder, shape=shape, before=before, after=after, order=order, zarr_format=zarr_format):
            a = values("f4", shape, 5)
            zarr.create_array(str(folder / "in.zarr"), shape=shape, dtype="f4", chunks=before, zarr_format=2, order=order)[...] = a
            check_written(copied(folder, None, zarr_format, after, "blosc", source=folder / "in.zarr"), a, zarr_format, "blosc", after)

    for j, (order, before, after, shards) in enumerate(
        [("C", (70, 10, 110), (7, 90, 50), None), ("F", (16, 90, 16), (16, 16, 16), (64, 64, 64)), ("C", (64, 64, 64), (1, 90, 110), None)]
    ):

        @add(f"rechunk/large/{j}")
        def large(folder, j=j, order=order, before=before, after=after, shards=shards):
            a = values("f4", (70, 90, 110), j)
            zarr.create_array(str(folder / "in.zarr"), shape=a.shape, dtype="f4", chunks=before, zarr_format=2, order=order)[...] = a
            morsel(
                "copy",
                folder / "in.zarr",
                folder / "out.zarr",
                "--chunks",
                commas(after),
                *(["--shards", commas(shards)] if shards else []),
                "--memory",
                "64MiB",
            )
            check_written(folder / "out.zarr", a, 3, chunks=after, shards=shards)

    @add("eval")
    def evaluate(folder):
        a, b = values("i4", (10, 6), 1), values("i4", (10, 6), 2)
        zarr.create_array(str(folder / "a.zarr"), shape=a.shape, dtype="i4", chunks=(4, 3))[...] = a
        np.save(folder / "b.npy", b)
        morsel("eval", "a * 2 + b", f"a={folder / 'a.zarr'}", f"b={folder / 'b.npy'}", "-o", folder / "out.zarr")
        with np.errstate(all="ignore"):
            check_written(folder / "out.zarr", a * 2 + b, 3)

    for zarr_format in (2, 3):

        @add(f"region and append/v{zarr_format}")
        def region(folder, zarr_format=zarr_format):
            a = values("f8", (10, 6), 1)
            np.save(folder / "first.npy", a[:7]), np.save(folder / "rest.npy", a[7:]), np.save(folder / "new.npy", a[2:5, 1:4] * 0 + 4)
            out = folder / "out.zarr"
            morsel("copy", folder / "first.npy", out, "--chunks", "3,4", "--format", f"zarr{zarr_format}")
            morsel("copy", folder / "rest.npy", out, "--append", "0")
            check_written(out, a, zarr_format, chunks=(3, 4))
            a[2:5, 1:4] = a[2:5, 1:4] * 0 + 4
            morsel("copy", folder / "new.npy", out, "--region", "2:5, 1:4")
            check_written(out, a, zarr_format, chunks=(3, 4))

    @add("slice into a group")
    def slice_into(folder):
        a = values("i8", (10, 6), 1)
        np.save(folder / "in.npy", a)
        morsel("get", folder / "in.npy", "::-2, 1:", "-o", folder / "out.zarr/g/h")
        check_written(folder / "out.zarr/g/h", a[::-2, 1:].copy(), 3)
        if not isinstance(zarr.open(str(folder / "out.zarr"), mode="r")["g"], zarr.Group):
            raise Mismatch("no group above the array")


add_arrays()
add_small_numbers()
add_hierarchies()
if __name__ == "__main__":
    sys.exit(main("test_zarr_write", cases))
