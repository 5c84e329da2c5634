#!/usr/bin/env python3
"""Stores that zarr-python, zarrs and TensorStore wrote, read by the command: every array and slice bit for bit.

usage: test_zarr_read.py [PART OF A NAME...]     MORSEL_COMMAND names the command; MORSEL_KEEP a folder that keeps the stores

Exit 77 (skipped) without the command, or without the packages of requirements.txt where tests/run.sh did not install them.
"""

import itertools, json, random, shutil, sys, threading, zipfile

from interop import (
    Mismatch,
    RECORD,
    SHORT_RECORD,
    check_reads,
    h5py,
    main,
    ml_dtypes,
    morsel,
    np,
    numcodecs,
    ramp,
    same,
    smooth,
    tensorstore,
    values,
    zarr,
)
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, ShardingCodec, TransposeCodec, ZstdCodec
import zarr.codecs.numcodecs as z3

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
NUMBERS = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]
NUMPY = NUMBERS + [">i2", ">i4", ">i8", ">u2", ">u4", ">u8", ">f2", ">f4", ">f8", ">c8", ">c16"]
CARRIED = ["M8[ns]", ">M8[s]", "m8[ms]", "M8[10us]", "m8[D]", "S5", "U4", ">U3", "V7"]
cases = []
pipeline = threading.Lock()


def add(name):
    return lambda function: cases.append((name, function)) or function


def fill_of(dtype, k):
    """Of a dtype, one of several values, the specials among them."""
    t = np.dtype(dtype)
    if t.names is not None:
        return np.zeros((), t)[()]
    choices = {
        "b": [False, True],
        "i": [0, -7, np.iinfo(t).min if t.kind == "i" else 0],
        "u": [0, 5, np.iinfo(t).max if t.kind == "u" else 0],
        "f": [0, np.nan, np.inf, -np.inf, -1.5, -0.0],
        "c": [0, complex(1.5, -2), complex(np.nan, np.inf)],
        "S": [b"", b"ab"],
        "U": ["", "é𝄞"],
        "V": [bytes(t.itemsize), bytes(range(1, t.itemsize + 1))],
    }
    if t.kind in "Mm":
        unit = np.datetime_data(t)
        make = np.datetime64 if t.kind == "M" else np.timedelta64
        return [make("NaT", unit), make(77, unit)][k % 2]
    return choices[t.kind][k % len(choices[t.kind])]


def write_zarr(folder, a, chunks, fill=0, leave_out=True, zarrs=False, lossy=False, store=None, name=None, **more):
    """Writes all but the first row of chunks; the path of the array, and what its writer reads from it."""
    store = str(folder / "x.zarr") if store is None else store
    with pipeline:
        with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline" if zarrs else "zarr.core.codec_pipeline.BatchedCodecPipeline"}):
            made = zarr.create_array(store, name=name, shape=a.shape, dtype=a.dtype, chunks=chunks, fill_value=fill, **more)
    begin = chunks[0] if leave_out and a.ndim and a.shape[0] > chunks[0] else 0
    if a.size:
        if a.ndim:
            made[begin:] = a[begin:]
        else:
            made[()] = a
    with_fill = np.array(made[...], a.dtype).reshape(a.shape)
    want = np.array(a)
    if begin:
        want[:begin] = with_fill[:begin]
    if lossy:
        want = with_fill
    else:
        same(with_fill, want, "oracle: what zarr reads again")
    return str(folder / "x.zarr") + (f"/{name}" if name else ""), want


def add_zarr(name, a, chunks, slices=2, memory=None, **more):
    @add(name)
    def case(folder):
        path, want = write_zarr(folder, a() if callable(a) else a, chunks, **more)
        check_reads(path, want, name, folder, slices, memory)


def picks(label, count, *lists):
    """`count` combinations of one of each list, the same in every run."""
    r = random.Random(label)
    return [tuple(r.choice(x) for x in lists) for _ in range(count)]


def text(value):
    return str(value).replace(" ", "")


# ------------------------------------------------------------------------------------------------------- codecs

CNAMES = ["blosclz", "lz4", "lz4hc", "zlib", "zstd"]  # snappy is in no build of numcodecs of today
LZMA_RAW = dict(format=3, filters=[{"id": 3, "dist": 4}, {"id": 33, "preset": 1}])

BYTE_CODECS = {  # name -> configuration of numcodecs
    "zlib": [dict(level=1), dict(level=9)],
    "gzip": [dict(level=0), dict(level=5)],
    "zstd": [dict(level=3), dict(level=-5), dict(level=19), dict(level=1, checksum=True)],
    "lz4": [dict(acceleration=1), dict(acceleration=50)],
    "bz2": [dict(level=1), dict(level=9)],
    "lzma": [dict(format=1), dict(format=1, check=4), dict(format=2), LZMA_RAW],
    "crc32": [{}, dict(location="end")],
    "crc32c": [{}, dict(location="start")],
    "adler32": [{}, dict(location="end")],
    "fletcher32": [{}],
    "jenkins_lookup3": [{}, dict(initval=7)],
    "blosc": [dict(cname=c, clevel=5, shuffle=s) for c in CNAMES for s in (0, 1, 2)]
    + [dict(cname="lz4", clevel=9, shuffle=-1, blocksize=256), dict(cname="zstd", clevel=0, shuffle=1)],
}
Z3 = {
    "zlib": z3.Zlib,
    "gzip": z3.GZip,
    "zstd": z3.Zstd,
    "lz4": z3.LZ4,
    "bz2": z3.BZ2,
    "lzma": z3.LZMA,
    "crc32": z3.CRC32,
    "crc32c": z3.CRC32C,
    "adler32": z3.Adler32,
    "fletcher32": z3.Fletcher32,
    "jenkins_lookup3": z3.JenkinsLookup3,
    "blosc": z3.Blosc,
    "shuffle": z3.Shuffle,
}

ARRAY_FILTERS = [  # (id, configuration, values, lossy)
    ("delta", dict(dtype="<i4"), ramp("<i4", (10, 6)), False),
    ("delta", dict(dtype="<i4", astype="<i2"), ramp("<i4", (9, 5)), False),
    ("delta", dict(dtype="<u1"), ramp("u1", (33,)), False),
    ("delta", dict(dtype="<f8"), smooth("<f8", (10, 6)), True),
    ("delta", dict(dtype=">i8"), ramp(">i8", (5, 4, 3)), False),
    ("delta", dict(dtype="<f4"), smooth("<f4", (33, 17)), True),
    ("fixedscaleoffset", dict(offset=100, scale=10, dtype="<f8", astype="u1"), smooth("<f8", (10, 6)), True),
    ("fixedscaleoffset", dict(offset=1000, scale=0.1, dtype="<f4", astype="<i2"), smooth("<f4", (33,)), True),
    ("fixedscaleoffset", dict(offset=-3, scale=100, dtype="<f8", astype="<i4"), smooth("<f8", (7, 3)), True),
    ("quantize", dict(digits=2, dtype="<f8"), smooth("<f8", (10, 6)), True),
    ("quantize", dict(digits=1, dtype="<f8", astype="<f4"), smooth("<f8", (10,)), True),
    ("quantize", dict(digits=3, dtype="<f4"), smooth("<f4", (5, 4, 3)), True),
    ("bitround", dict(keepbits=5), smooth("<f4", (10, 6)), True),
    ("bitround", dict(keepbits=20), smooth("<f8", (10, 6)), True),
    ("bitround", dict(keepbits=3), smooth("<f2", (10, 6)), True),
    ("astype", dict(encode_dtype="<f4", decode_dtype="<f8"), smooth("<f8", (10, 6)), True),
    ("astype", dict(encode_dtype="<i2", decode_dtype="<i8"), ramp("<i8", (10, 6)), False),
    ("astype", dict(encode_dtype="<f8", decode_dtype="<f2"), smooth("<f2", (10, 6)), False),
    ("packbits", {}, values("?", (10, 6), 1), False),
    ("packbits", {}, values("?", (64,), 1), False),
    ("packbits", {}, values("?", (5, 4, 3), 1), False),
]


def half(shape):
    return tuple((n + 1) // 2 for n in shape)


# ---------------------------------------------------------------------------------------------- Zarr v2 of zarr-python


def add_v2():
    compressor = lambda id, **c: numcodecs.get_codec(dict(id=id, **c))
    all_codecs = [(i, c) for i, many in BYTE_CODECS.items() for c in many]
    for dtype in NUMPY + CARRIED + [RECORD, SHORT_RECORD]:
        t = np.dtype(dtype)
        label = t.str if t.names is None else f"record{t.itemsize}"
        for k, ((shape, chunks), codec, order, separator) in enumerate(picks("v2" + label, 3, GRIDS, all_codecs, "CF", "./")):
            add_zarr(
                f"v2/dtype/{label}/{k}",
                values(t, shape, k),
                chunks,
                zarr_format=2,
                fill=fill_of(t, k),
                order=order,
                filters=None,
                compressors=compressor(codec[0], **codec[1]),
                chunk_key_encoding={"name": "v2", "separator": separator},
            )
    for (id, config), j in zip(all_codecs, itertools.count()):
        for k, (dtype, (shape, chunks), order) in enumerate(picks(f"v2 codec {j}", 2, NUMPY, [GRIDS[1], GRIDS[2], GRIDS[11]], "CF")):
            add_zarr(
                f"v2/codec/{id}/{j}/{k}",
                values(dtype, shape, k),
                chunks,
                zarr_format=2,
                fill=fill_of(dtype, j),
                order=order,
                filters=None,
                compressors=compressor(id, **config),
            )
    for j, (shape, chunks) in enumerate(GRIDS):
        for k, (dtype, order, separator) in enumerate(picks(f"v2 grid {j}", 3, NUMPY + CARRIED, "CF", "./")):
            add_zarr(
                f"v2/grid/{text(shape)}/{k}",
                values(dtype, shape, k),
                chunks,
                zarr_format=2,
                fill=fill_of(dtype, j + k),
                order=order,
                filters=None,
                compressors=None,
                chunk_key_encoding={"name": "v2", "separator": separator},
            )
    for j, (id, config, a, lossy) in enumerate(ARRAY_FILTERS):
        for order, codec in (("C", ("zlib", {})), ("F", ("blosc", dict(cname="lz4", shuffle=1)))):
            add_zarr(
                f"v2/filter/{id}/{j}/{order}",
                a,
                half(a.shape),
                zarr_format=2,
                filters=[compressor(id, **config)],
                compressors=compressor(codec[0], **codec[1]),
                lossy=lossy,
                order=order,
            )
    chains = [
        ["shuffle:4", "crc32c"],
        ["delta:<i4", "shuffle:4"],
        ["fletcher32", "adler32"],
        ["delta:<i4", "jenkins_lookup3", "crc32"],
        ["shuffle:2"],
        ["shuffle:8", "zlib"],
    ]
    for j, chain in enumerate(chains):
        filters = []
        for step in chain:
            id, _, parameter = step.partition(":")
            filters.append(compressor(id, **({"elementsize": int(parameter)} if id == "shuffle" else {"dtype": parameter} if parameter else {})))
        for codec in (None, compressor("zstd", level=1), compressor("lzma")):
            add_zarr(
                f"v2/chain/{j}/{codec.codec_id if codec else None}",
                ramp("<i4", (12, 7)),
                (5, 4),
                zarr_format=2,
                filters=filters,
                compressors=codec,
                order="CF"[j % 2],
            )
    modes = [dict(mode=2, rate=16), dict(mode=3, precision=20), dict(mode=4, tolerance=0.01)]
    for j, (mode, dtype, (shape, chunks)) in enumerate(
        itertools.product(modes, ["<f4", "<f8"], [((10, 6), (4, 6)), ((9, 8, 7), (4, 4, 4)), ((33,), (16,))])
    ):
        add_zarr(
            f"v2/zfpy/{j}", smooth(dtype, shape), chunks, zarr_format=2, filters=None, compressors=compressor("zfpy", **mode), lossy=True, fill=-1.5
        )
    for j, dtype in enumerate(["<i4", "<i8"]):
        add_zarr(
            f"v2/zfpy/integers/{j}",
            ramp(dtype, (10, 6)),
            (4, 6),
            zarr_format=2,
            filters=None,
            compressors=compressor("zfpy", mode=2, rate=40),
            lossy=True,
        )
    for dtype in NUMPY + CARRIED:
        if np.dtype(dtype).kind not in "Mm":  # zarr-python takes NaT where no fill value is given, Morsel zero; the format leaves it open
            add_zarr(f"v2/no fill/{np.dtype(dtype).str}", values(dtype, (9, 3), 4), (4, 2), zarr_format=2, fill=None, filters=None, compressors=None)
        for k in range(6 if np.dtype(dtype).kind == "f" else 2):
            add_zarr(
                f"v2/fill/{np.dtype(dtype).str}/{k}",
                values(dtype, (9,), 4),
                (4,),
                zarr_format=2,
                fill=fill_of(dtype, k),
                filters=None,
                compressors=None,
                slices=1,
            )


# ---------------------------------------------------------------------------------------------- Zarr v3 of zarr-python


def v3_bytes(id, config, t):
    if id == "blosc":
        return BloscCodec(
            typesize=t.itemsize, **{**config, "shuffle": {0: "noshuffle", 1: "shuffle", 2: "bitshuffle", -1: "shuffle"}[config["shuffle"]]}
        )
    return {"gzip": GzipCodec, "zstd": ZstdCodec, "crc32c": Crc32cCodec}[id](**config)


V3_CODECS = [
    ("gzip", dict(level=0)),
    ("gzip", dict(level=6)),
    ("zstd", dict(level=3)),
    ("zstd", dict(level=1, checksum=True)),
    ("zstd", dict(level=-3)),
    ("crc32c", {}),
]
V3_CODECS += [("blosc", c) for c in BYTE_CODECS["blosc"]]
SHARDS = [
    ((12,), (3,), (6,)),
    ((10, 6), (2, 3), (4, 6)),
    ((33, 17), (4, 4), (16, 8)),
    ((5, 4, 3), (1, 2, 1), (4, 4, 2)),
    ((3, 2), (2, 2), (6, 4)),
    ((0, 5), (2, 2), (4, 4)),
    ((64,), (1,), (64,)),
    ((9, 9, 9), (3, 3, 3), (9, 9, 9)),
]


def v3_dtypes():
    return NUMBERS + ["M8[ns]", "m8[ms]", "M8[10us]", "S5", "U4", "V7", SHORT_RECORD]


def add_v3(pipeline, zarrs):
    part = lambda name, a, chunks, **more: add_zarr(f"{pipeline}/{name}", a, chunks, zarrs=zarrs, **more)
    dtypes = NUMBERS if zarrs else v3_dtypes()
    big = lambda dtype: BytesCodec(endian="big") if np.dtype(dtype).itemsize > 1 and np.dtype(dtype).kind not in "SV" else "auto"
    for dtype in dtypes:
        t = np.dtype(dtype)
        label = t.str if t.names is None else "record"
        for k, ((shape, chunks), codec, separator, key) in enumerate(picks("v3" + label, 3, GRIDS, V3_CODECS, "./", ["default", "v2"])):
            part(
                f"dtype/{label}/{k}",
                values(t, shape, k),
                chunks,
                fill=fill_of(t, k),
                compressors=[v3_bytes(*codec, t)],
                serializer=big(t) if k == 1 else "auto",
                chunk_key_encoding={"name": key, "separator": separator},
            )
    for j, (id, config) in enumerate(V3_CODECS):
        for k, (dtype, (shape, chunks)) in enumerate(picks(f"v3 codec {j}", 2, NUMBERS, [GRIDS[1], GRIDS[2], GRIDS[11]])):
            part(f"codec/{id}/{j}/{k}", values(dtype, shape, k), chunks, fill=fill_of(dtype, j), compressors=[v3_bytes(id, config, np.dtype(dtype))])
    for j, (id, config) in enumerate((i, c) for i, many in BYTE_CODECS.items() for c in (many[:4] if zarrs else many)):
        if zarrs and (id in ("lzma", "jenkins_lookup3", "lz4") or "location" in config):
            continue  # not in zarrs
        for k, (dtype, (shape, chunks)) in enumerate(picks(f"numcodecs {j}", 1, NUMBERS, [GRIDS[1], GRIDS[2], GRIDS[11]])):
            part(f"numcodecs/{id}/{j}/{k}", values(dtype, shape, k), chunks, compressors=[Z3[id](**config)])
    for j, (shape, chunks) in enumerate(GRIDS):
        for k, (dtype, separator, key) in enumerate(picks(f"v3 grid {j}", 3, dtypes, "./", ["default", "v2"])):
            part(
                f"grid/{text(shape)}/{k}",
                values(dtype, shape, k),
                chunks,
                fill=fill_of(dtype, j + k),
                compressors=None,
                chunk_key_encoding={"name": key, "separator": separator},
            )
    for dtype in dtypes:
        for k in range(6 if np.dtype(dtype).kind == "f" else 2):
            part(
                f"fill/{np.dtype(dtype).str if np.dtype(dtype).names is None else 'record'}/{k}",
                values(dtype, (9,), 4),
                (4,),
                fill=fill_of(dtype, k),
                compressors=None,
                slices=1,
            )
    for j, (shape, chunks, shards) in enumerate(SHARDS):
        for k, (dtype, codec) in enumerate(
            picks(f"v3 shards {j}", 3, [d for d in dtypes if np.dtype(d).kind != "V"], V3_CODECS)
        ):  # zarr-python cannot hash fill values of the others
            part(
                f"shards/{text(shape)}/{k}",
                values(dtype, shape, k),
                chunks,
                shards=shards,
                fill=fill_of(dtype, j + k),
                compressors=[v3_bytes(*codec, np.dtype(dtype))],
                slices=4,
            )
        for where, endian, checked in itertools.product(("start", "end"), ("little", "big"), (True, False)):
            index = [BytesCodec(endian=endian)] + [Crc32cCodec()] * checked
            sharding = ShardingCodec(chunk_shape=chunks, codecs=[BytesCodec(endian="big"), ZstdCodec()], index_codecs=index, index_location=where)
            part(
                f"shard index/{text(shape)}/{where}/{endian}/{checked}",
                values("f4", shape, 1),
                shards,
                serializer=sharding,
                filters=None,
                compressors=None,
                fill=np.nan,
            )
    for order in itertools.permutations(range(3)):
        t = TransposeCodec(order=order)
        part(f"transpose/{text(order)}", values("i4", (5, 4, 3), 1), (2, 3, 2), filters=[t], compressors=[ZstdCodec()], fill=-7)
        inner = ShardingCodec(chunk_shape=(1, 2, 1), codecs=[t, BytesCodec(), BloscCodec(typesize=4)], index_location="end")
        part(f"transpose in shard/{text(order)}", values("i4", (5, 4, 3), 1), (2, 4, 3), serializer=inner, filters=None, compressors=None, fill=-7)
    for order, back in itertools.product([(1, 0, 2), (2, 0, 1)], repeat=2):
        part(
            f"transpose twice/{text(order)}{text(back)}",
            values("c8", (5, 4, 3), 1),
            (2, 3, 2),
            filters=[TransposeCodec(order=order), TransposeCodec(order=back)],
            compressors=None,
        )
    outer = ShardingCodec(chunk_shape=(4, 4), codecs=[ShardingCodec(chunk_shape=(2, 1), codecs=[BytesCodec(), GzipCodec()], index_location="start")])
    if not zarrs:
        part("nested shards", values("i2", (17, 9), 1), (8, 8), serializer=outer, filters=None, compressors=None, fill=3, slices=6)
        part(
            "codecs after shards",
            values("i2", (17, 9), 1),
            (8, 8),
            serializer=ShardingCodec(chunk_shape=(2, 4)),
            filters=None,
            compressors=[GzipCodec(), Crc32cCodec()],
            slices=6,
        )
    part(
        "transpose before shards",
        values("i2", (17, 9), 1),
        (8, 8),
        serializer=ShardingCodec(chunk_shape=(2, 8), codecs=[BytesCodec(), ZstdCodec()]),
        filters=[TransposeCodec(order=(1, 0))],
        compressors=None,
        slices=6,
    )
    if zarrs:
        return
    kinds = {
        "delta": z3.Delta,
        "fixedscaleoffset": z3.FixedScaleOffset,
        "quantize": z3.Quantize,
        "bitround": z3.BitRound,
        "astype": z3.AsType,
        "packbits": z3.PackBits,
    }
    for j, (id, config, a, lossy) in enumerate(ARRAY_FILTERS):
        if a.dtype.byteorder == ">" or id == "quantize" and "astype" in config:
            continue  # zarr-python cannot read what it writes
        part(f"filter/{id}/{j}", a, half(a.shape), filters=[kinds[id](**config)], compressors=[ZstdCodec()], lossy=lossy)
        if id != "packbits":
            part(
                f"filter in shard/{id}/{j}",
                a,
                half(half(a.shape)),
                shards=tuple(2 * n for n in half(half(a.shape))),
                filters=[kinds[id](**config)],
                compressors=[ZstdCodec()],
                lossy=lossy,
                slices=3,
            )
        if id not in ("packbits", "delta"):  # nor this
            part(
                f"filter, transpose/{id}/{j}",
                a,
                half(a.shape),
                filters=[TransposeCodec(order=tuple(reversed(range(a.ndim)))), kinds[id](**config)],
                compressors=None,
                lossy=lossy,
            )
    for j, (mode, dtype) in enumerate(
        itertools.product([dict(mode=2, rate=16), dict(mode=3, precision=20), dict(mode=4, tolerance=0.01)], ["f4", "f8"])
    ):
        part(f"zfpy/{j}", smooth(dtype, (10, 7)), (4, 6), serializer=z3.ZFPY(**mode), filters=None, compressors=None, lossy=True)
    for j, size in enumerate((2, 4, 8)):
        part(
            f"shuffle/{size}",
            values(f"i{size}", (10, 7), 1),
            (4, 6),
            compressors=[Z3["shuffle"](elementsize=size), Z3["zlib"](level=1), Crc32cCodec()],
        )


def add_large():
    """Chunks of many blocks, of which slices need few; shards of many chunks; budgets that do not hold the array."""
    blosc = [("lz4", 1), ("lz4", 2), ("zstd", 1), ("zstd", 2), ("blosclz", 0), ("lz4hc", 2), ("zlib", 1), ("lz4", 0)]
    for j, ((cname, shuffle), dtype) in enumerate(zip(blosc, ["f4", "i2", "f8", "u1", "i4", "c16", "u8", "?"])):
        a = lambda dtype=dtype, j=j: values(dtype, (70, 90, 110), j)
        add_zarr(
            f"large/v2/blosc/{cname}/{shuffle}",
            a,
            (64, 64, 96),
            slices=8,
            memory="64MiB",
            zarr_format=2,
            order="CF"[j % 2],
            filters=None,
            fill=fill_of(dtype, j),
            compressors=numcodecs.Blosc(cname=cname, clevel=5, shuffle=shuffle, blocksize=[0, 4096, 50000][j % 3]),
        )
        add_zarr(
            f"large/v3/blosc/{cname}/{shuffle}",
            a,
            (70, 50, 110),
            slices=8,
            fill=fill_of(dtype, j),
            filters=[TransposeCodec(order=(2, 0, 1))] if j % 2 else None,
            compressors=[BloscCodec(typesize=np.dtype(dtype).itemsize, cname=cname, shuffle=["noshuffle", "shuffle", "bitshuffle"][shuffle])],
        )
    for j, codec in enumerate([[ZstdCodec(level=1)], [GzipCodec(level=1)], [BloscCodec(typesize=4)], [], [ZstdCodec(), Crc32cCodec()]]):
        add_zarr(
            f"large/shards/{j}",
            lambda j=j: values("i4", (130, 150, 60), j),
            (16, 8, 12),
            shards=(64, 64, 60),
            compressors=codec or None,
            slices=10,
            fill=-1,
            memory="64MiB",
        )
    add_zarr(
        "large/records",
        lambda: values(SHORT_RECORD, (200, 300), 1),
        (90, 200),
        slices=6,
        zarr_format=2,
        filters=None,
        compressors=numcodecs.Blosc(cname="lz4"),
    )


# ----------------------------------------------------------------------------------------- hierarchies, archives


def add_containers():
    def hierarchy(store, zarr_format):
        root = zarr.create_group(store, zarr_format=zarr_format, attributes={"title": "é", "n": [1, 2.5, None, True]}, overwrite=True)
        root.create_group("a/b", attributes={"deep": 1})
        arrays = {"x": values("f4", (7, 5), 1), "a/y": values("i2", (9,), 1), "a/b/z": values("u8", (3, 4, 2), 1)}
        for path, a in arrays.items():
            names = {} if zarr_format == 2 else {"dimension_names": [None if k == 1 else f"d{k}" for k in range(a.ndim)]}
            made = root.create_array(path, shape=a.shape, dtype=a.dtype, chunks=half(a.shape), attributes={"path": path}, **names)
            made[...] = a
        return arrays

    def check(root, arrays, zarr_format, folder):
        for path, a in arrays.items():
            check_reads(f"{root}/{path}", a, path, folder)
            info = json.loads(morsel("info", f"{root}/{path}", "--json"))
            dims = [None if k == 1 else f"d{k}" for k in range(a.ndim)]
            got = [name or None for name in info["dims"]] if info["dims"] else info["dims"]
            if info["attributes"] != {"path": path} or (zarr_format == 3 and got != dims):
                raise Mismatch(f"info {root}/{path}: {info}")
            if info["shape"] != list(a.shape) or info["chunks"] != list(half(a.shape)):
                raise Mismatch(f"info {root}/{path}: shape {info['shape']}, chunks {info['chunks']}")
        info = json.loads(morsel("info", root, "--json"))
        if info["attributes"] != {"title": "é", "n": [1, 2.5, None, True]}:
            raise Mismatch(f"info {root}: {info}")
        if sorted(each["path"].strip("/") for each in info["arrays"]) != sorted(arrays):
            raise Mismatch(f"info {root}: arrays {info['arrays']}")
        leaves = lambda node: [node["name"]] if node["kind"] == "array" else [x for child in node["children"] for x in leaves(child)]
        if sorted(leaves(json.loads(morsel("tree", root, "--json")))) != ["x", "y", "z"]:
            raise Mismatch(f"tree {root}: {morsel('tree', root, '--json')}")

    for zarr_format, consolidated in itertools.product((2, 3), (False, True)):

        @add(f"group/v{zarr_format}/{'consolidated' if consolidated else 'plain'}")
        def case(folder, zarr_format=zarr_format, consolidated=consolidated):
            root = str(folder / "x.zarr")
            arrays = hierarchy(root, zarr_format)
            if consolidated:
                zarr.consolidate_metadata(root, zarr_format=zarr_format)
            check(root, arrays, zarr_format, folder)

    for zarr_format, method in itertools.product((2, 3), (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)):

        @add(f"zip/v{zarr_format}/{'deflated' if method else 'stored'}")
        def case(folder, zarr_format=zarr_format, method=method):
            with zarr.storage.ZipStore(folder / "x.zip", mode="w", compression=method) as store:
                arrays = hierarchy(store, zarr_format)
            check(folder / "x.zip", arrays, zarr_format, folder)

        @add(f"zip/nested root/v{zarr_format}/{'deflated' if method else 'stored'}")
        def nested(folder, zarr_format=zarr_format, method=method):
            arrays = hierarchy(str(folder / "data.zarr"), zarr_format)
            with zipfile.ZipFile(folder / "y.zip", "w", method) as archive:
                for file in sorted((folder / "data.zarr").rglob("*")):
                    archive.write(file, file.relative_to(folder))
            shutil.rmtree(folder / "data.zarr")
            for path, a in arrays.items():
                check_reads(f"{folder}/y.zip/{path}", a, path, folder, 1)
                check_reads(f"{folder}/y.zip/data.zarr/{path}", a, path, folder, 1)

    @add("zip/sharded array")
    def case(folder):
        a = values("f8", (20, 11), 3)
        with zarr.storage.ZipStore(folder / "x.zip", mode="w") as store:
            _, want = write_zarr(folder, a, (2, 3), shards=(8, 6), store=store, fill=np.nan)
        check_reads(folder / "x.zip", want, "zip", folder, 6)

    @add("xarray dimensions of v2")
    def case(folder):
        made = zarr.create_array(
            str(folder / "x.zarr"), shape=(2, 3), dtype="i4", zarr_format=2, attributes={"_ARRAY_DIMENSIONS": ["lat", "lon"], "units": "K"}
        )
        made[...] = 1
        info = json.loads(morsel("info", folder / "x.zarr", "--json"))
        if info["dims"] != ["lat", "lon"] or info["attributes"].get("units") != "K":
            raise Mismatch(f"info: {info}")

    for zarr_format, dtype in itertools.product((2, 3), (str, bytes)):

        @add(f"refused/variable length/v{zarr_format}/{dtype.__name__}")
        def case(folder, zarr_format=zarr_format, dtype=dtype):
            kind = zarr.core.dtype.VariableLengthUTF8() if dtype is str else zarr.core.dtype.VariableLengthBytes()
            made = zarr.create_array(str(folder / "x.zarr"), shape=(3,), zarr_format=zarr_format, dtype=kind)
            made[...] = np.array(["a", "bcd", ""] if dtype is str else [b"a", b"bcd", b""], object)
            line = morsel("get", folder / "x.zarr", "-o", folder / "out.npy", code=1)
            if not any(word in line for word in ("variable length", "vlen", "string")):
                raise Mismatch(f"refused without the reason: {line}")


# --------------------------------------------------------------------------- references into HDF5 files, as kerchunk makes them


def add_references():
    filters = {
        "none": ({}, []),
        "gzip": (dict(compression="gzip", compression_opts=4), [{"id": "zlib", "level": 4}]),
        "shuffle, gzip": (dict(compression="gzip", shuffle=True), [{"id": "shuffle", "elementsize": 0}, {"id": "zlib", "level": 4}]),
        "fletcher32": (dict(fletcher32=True), [{"id": "fletcher32"}]),
        "shuffle, gzip, fletcher32": (
            dict(compression="gzip", shuffle=True, fletcher32=True),
            [{"id": "shuffle", "elementsize": 0}, {"id": "zlib", "level": 4}, {"id": "fletcher32"}],
        ),
    }
    for j, ((label, (options, steps)), dtype, style) in enumerate(
        itertools.product(filters.items(), ["<f4", ">i2", "<f8", "|u1"], ["list", "compressor"])
    ):
        if style == "compressor" and label != "shuffle, gzip":
            continue

        @add(f"kerchunk/{label}/{dtype}/{style}")
        def case(folder, options=options, steps=steps, dtype=dtype, style=style, j=j):
            shape, chunks = [((10, 6), (4, 6)), ((33, 17), (16, 5)), ((9,), (2,))][j % 3]
            a = values(dtype, shape, j)
            with h5py.File(folder / "data.h5", "w") as file:
                made = file.create_dataset("g/x", shape=shape, dtype=dtype, chunks=chunks, fillvalue=3, **options)
                made[chunks[0] :] = a[chunks[0] :]
                a[: chunks[0]] = 3
                steps = [{**step, "elementsize": np.dtype(dtype).itemsize} if step["id"] == "shuffle" else step for step in steps]
                document = {
                    "zarr_format": 2,
                    "shape": shape,
                    "chunks": chunks,
                    "dtype": dtype,
                    "order": "C",
                    "fill_value": 3,
                    "compressor": None,
                    "filters": steps or None,
                }
                if style == "compressor":
                    document |= {"filters": steps[:-1], "compressor": steps[-1]}
                references = {
                    ".zgroup": json.dumps({"zarr_format": 2}),
                    "g/.zgroup": {"zarr_format": 2},
                    "g/x/.zarray": json.dumps(document),
                    "g/x/.zattrs": json.dumps({"_ARRAY_DIMENSIONS": [f"d{i}" for i in range(len(shape))]}),
                }
                for i in range(made.id.get_num_chunks()):
                    chunk = made.id.get_chunk_info(i)
                    references["g/x/" + ".".join(str(o // c) for o, c in zip(chunk.chunk_offset, chunks))] = [
                        "{{u}}" if j % 2 else "data.h5",
                        chunk.byte_offset,
                        chunk.size,
                    ]
            (folder / "x.json").write_text(json.dumps({"version": 1, "templates": {"u": "data.h5"}, "refs": references}))
            check_reads(folder / "x.json" / "g/x", a, f"kerchunk{j}", folder)


# ------------------------------------------------------------------------------------------------- TensorStore


def write_tensorstore(folder, driver, a, chunks, metadata):
    path = str(folder / "x")
    store = tensorstore.open({"driver": driver, "kvstore": {"driver": "file", "path": path + "/"}, "metadata": metadata}, create=True).result()
    begin = chunks[0] if a.ndim and a.shape[0] > chunks[0] else 0
    if a.size:
        if a.ndim:
            store[begin:].write(a[begin:]).result()
        else:
            store.write(a).result()
    want = np.asarray(store.read().result())
    same(want[begin:] if a.ndim else want, a[begin:] if a.ndim else a, "oracle: what TensorStore reads again")
    return path, want


def step(name, **configuration):
    return {"name": name, "configuration": configuration} if configuration else {"name": name}


def zarr3(shape, chunks, data_type, codecs, **more):
    return {"shape": list(shape), "data_type": data_type, "chunk_grid": step("regular", chunk_shape=list(chunks)), "codecs": codecs, **more}


def sharding(chunks, codecs, where="end", checked=True):
    index = [step("bytes", endian="little")] + [step("crc32c")] * checked
    return step("sharding_indexed", chunk_shape=list(chunks), codecs=codecs, index_codecs=index, index_location=where)


def small_fill(t, r):
    """A fill value that TensorStore takes for a dtype, in the spelling of Zarr v3."""
    if t.isbuiltin == 2:
        return "NaN" if t.name == "bfloat16" and r.random() < 0.5 else 1
    special = ["NaN", "-Infinity", 0, -1.5] + ["0x7e01"] * (t.name == "float16")
    return r.choice({"f": special, "i": [0, -7], "u": [0, 9], "b": [False, True], "c": [[0, 0], [1.5, "NaN"]]}[t.kind])


def add_tensorstore():
    def part(name, driver, a, chunks, metadata):
        @add(f"tensorstore/{name}")
        def case(folder):
            path, want = write_tensorstore(folder, driver, a, chunks, metadata)
            check_reads(path, want, name, folder)

    small = [
        "bfloat16",
        "float8_e4m3fn",
        "float8_e4m3fnuz",
        "float8_e4m3b11fnuz",
        "float8_e5m2",
        "float8_e5m2fnuz",
        "float8_e3m4",
        "float8_e8m0fnu",
        "int4",
        "int2",
    ]
    small = [np.dtype(getattr(ml_dtypes, name)) for name in small]
    blosc = [dict(cname=c, clevel=4, shuffle=s) for c in CNAMES for s in ("noshuffle", "shuffle", "bitshuffle")]
    codecs = [
        [],
        [step("gzip", level=6)],
        [step("zstd", level=3)],
        [step("crc32c")],
        [step("blosc", **blosc[5]), step("crc32c")],
        [step("zstd", level=1), step("gzip", level=1), step("crc32c")],
    ] + [[step("blosc", **b)] for b in blosc]
    r = random.Random("tensorstore")
    for t in [np.dtype(dtype) for dtype in NUMBERS] + small:
        for k in range(4):
            shape, chunks = r.choice(GRIDS)
            if t.name == "float8_e8m0fnu":
                chunks = tuple(n or 1 for n in shape)  # no absent ones: TensorStore makes 2^-64 of a fill value of 1
            transpose = [step("transpose", order=r.sample(range(len(shape)), len(shape)))] if k % 2 else []
            to_bytes = step("bytes", endian=r.choice(["little", "big"])) if t.itemsize > 1 else step("bytes")
            keys = step(r.choice(["default", "v2"]), separator=r.choice("./"))
            data = zarr3(shape, chunks, t.name, [*transpose, to_bytes, *r.choice(codecs)], fill_value=small_fill(t, r), chunk_key_encoding=keys)
            part(f"zarr3/{t.name}/{k}", "zarr3", values(t, shape, k), chunks, data)
    for j, chain in enumerate(codecs):
        t = np.dtype(r.choice(["i2", "f4", "f8", "c8"]))
        data = zarr3((33, 17), (16, 16), t.name, [step("bytes", endian="little"), *chain])
        part(f"zarr3/codecs/{j}", "zarr3", values(t, (33, 17), j), (16, 16), data)
    for j, (shape, chunks, shards) in enumerate(SHARDS):
        for k, where in enumerate(("start", "end")):
            transpose = [step("transpose", order=list(reversed(range(len(shape)))))] if k else []
            inner = [*transpose, step("bytes", endian="little"), *codecs[(j + k) % len(codecs)]]
            data = zarr3(shape, shards, "int32", [sharding(chunks, inner, where, j % 2 == 1)], fill_value=-5)
            part(f"zarr3/shards/{text(shape)}/{where}", "zarr3", values("i4", shape, k), shards, data)
    for where, within in itertools.product(("start", "end"), repeat=2):
        inner = sharding((2, 2), [step("bytes", endian="big"), step("zstd", level=1)], within, where == "end")
        data = zarr3((19, 10), (8, 8), "float64", [sharding((4, 4), [inner], where)])
        part(f"zarr3/nested shards/{where}/{within}", "zarr3", values("f8", (19, 10), 1), (8, 8), data)

    compressors = [None, {"id": "zlib", "level": 5}, {"id": "bz2", "level": 3}, {"id": "zstd", "level": 2}]
    compressors += [{"id": "blosc", "cname": c, "clevel": 5, "shuffle": s} for c in CNAMES for s in (-1, 0, 1, 2)]
    for t in [np.dtype(dtype) for dtype in NUMPY] + small:
        for k in range(2):
            shape, chunks = r.choice([g for g in GRIDS if 0 not in g[0]])
            if t.name == "float8_e8m0fnu":
                chunks = shape
            fill = None if k else 1 if t.isbuiltin == 2 else {"b": True, "i": -3, "u": 3, "f": "NaN", "c": [1, "NaN"]}[t.kind]
            code = t.name if t.isbuiltin == 2 else t.str
            data = {
                "shape": list(shape),
                "chunks": list(chunks),
                "dtype": code,
                "order": r.choice("CF") if len(shape) > 1 else "C",
                "filters": None,
                "compressor": r.choice(compressors),
                "fill_value": fill,
                "dimension_separator": r.choice("./"),
            }
            part(f"zarr2/{code}/{k}", "zarr", values(t, shape, k), chunks, data)
    for j, compressor in enumerate(compressors):
        data = {"shape": [33, 17], "chunks": [16, 16], "dtype": "<i4", "compressor": compressor, "order": "CF"[j % 2]}
        part(f"zarr2/codec/{j}", "zarr", values("<i4", (33, 17), j), (16, 16), data)

    n5 = [
        {"type": "raw"},
        {"type": "gzip", "level": 6},
        {"type": "gzip", "useZlib": True},
        {"type": "bzip2"},
        {"type": "xz"},
        {"type": "zstd", "level": 3},
    ]
    n5 += [{"type": "blosc", "cname": c, "clevel": 5, "shuffle": s} for c in CNAMES for s in (0, 1, 2)]
    grids = [g for g in GRIDS if g[0] and 0 not in g[0]]
    for j, (dtype, (shape, chunks)) in enumerate(itertools.product(["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"], grids)):

        @add(f"tensorstore/n5/{dtype}/{text(shape)}")
        def case(folder, dtype=dtype, shape=shape, chunks=chunks, j=j):
            metadata = {"dimensions": list(shape), "blockSize": list(chunks), "dataType": np.dtype(dtype).name, "compression": n5[j % len(n5)]}
            path, want = write_tensorstore(folder, "n5", values(dtype, shape, j), chunks, metadata)
            # TensorStore shows the axes as they are stored, the fastest one first.
            check_reads(path, want.transpose(), f"n5{j}", folder, 1)


add_v2()
add_v3("v3", False)
add_v3("zarrs", True)
add_large()
add_containers()
add_references()
add_tensorstore()
if __name__ == "__main__":
    sys.exit(main("test_zarr_read", cases))
