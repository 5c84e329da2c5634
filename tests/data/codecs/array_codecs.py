"""Writes array_codecs.json: what other software makes of small arrays, for tests/unit/io/test_array_codecs.cpp.

Needs numpy 2, numcodecs, cast-value, and zfpy. Run in this folder.
"""

import importlib.metadata
import json

# numcodecs cannot read the version of zfpy's post-release.
version = importlib.metadata.version
importlib.metadata.version = lambda name: version(name).removesuffix(".post0")

import cast_value.impl._numpy as cast_value  # noqa: E402
import numcodecs  # noqa: E402
import numpy as np  # noqa: E402
import zfpy  # noqa: E402

np.seterr(all="ignore")
random = np.random.default_rng(7)
items = []


def little(array):
    array = np.ascontiguousarray(array)
    return array.astype(array.dtype.newbyteorder("<")).tobytes().hex()


def add(name, config, values, encoded, back):
    items.append({
        "name": name, "config": config, "dtype": values.dtype.name, "shape": list(values.shape),
        "values": little(values), "encoded": encoded if isinstance(encoded, str) else little(encoded),
        "encoded_dtype": "" if isinstance(encoded, str) else encoded.dtype.name, "back": little(back)})


def numcodecs_item(codec_id, values, **config):
    codec = numcodecs.get_codec({"id": codec_id, **config})
    encoded = codec.encode(values)
    back = np.asarray(codec.decode(encoded)).view(values.dtype).reshape(values.shape)
    config = {key: value for key, value in config.items()}
    if codec_id == "bitround":
        encoded = encoded.view(values.dtype)
    add("numcodecs." + codec_id, config, values, encoded, back)


def some(dtype, n=40, scale=50):
    dtype = np.dtype(dtype)
    if dtype == bool:
        return random.integers(0, 2, n).astype(bool)
    if dtype.kind == "u":
        return random.integers(0, min(120, 2 * scale), n).astype(dtype)
    if dtype.kind == "i":
        return random.integers(-scale, scale, n).astype(dtype)
    if dtype.kind == "c":
        return (random.normal(0, scale, n) + 1j * random.normal(0, scale, n)).astype(dtype)
    return random.normal(0, scale, n).astype(dtype)


def extremes(dtype):
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        info = np.finfo(dtype)
        return np.array([0, -0.0, 1, -1, info.max, info.min, info.tiny, info.smallest_subnormal, np.inf, -np.inf,
                         info.eps, 0.5, 1.5, 2.5, -0.5, -1.5, 1 / 3], dtype)
    info = np.iinfo(dtype)
    return np.array([0, 1, info.max, info.min, info.max - 1, info.min + 1, info.max // 2, 3], dtype)


reals = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"]

for d, a in [("i2", "i1"), ("i4", "i2"), ("u1", "u1"), ("i8", "i8"), ("u8", "u8"), ("f2", "f2"), ("f4", "f4"),
             ("f8", "f4"), ("f8", "f8"), ("c8", "c8"), ("i4", "i8"), ("f4", "f8"), ("u4", "i4"), ("f8", "f2"), ("f4", "i8"),
             ("c8", "c16"), ("f2", "f4"), ("i4", "f4")]:
    numcodecs_item("delta", some(d), dtype="<" + d, astype="<" + a)
for d in ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]:
    numcodecs_item("delta", extremes(d), dtype=d, astype=d)

for d in reals:
    for a in reals:
        for offset, scale in [(3, 2), (0.5, 10), (1, 0.3)]:
            values = some(d, 9, 10)
            if np.dtype(a).kind == "u" or np.dtype(d).kind == "u":
                values = values if np.dtype(d).kind == "u" else np.abs(values)
                values = values + np.dtype(d).type(4)
            encoded = np.around((values - offset) * scale)
            # Floats beyond an integer's range are left to the machine.
            if np.dtype(a).kind in "iu" and encoded.dtype.kind == "f":
                info = np.iinfo(a)
                if encoded.min() < info.min or encoded.max() > info.max:
                    continue
            back = encoded.astype(a) / scale + offset
            if np.dtype(d).kind in "iu":
                info = np.iinfo(d)
                if back.min() <= info.min - 1 or back.max() >= info.max + 1:
                    continue
            numcodecs_item("fixedscaleoffset", values, dtype="<" + d, astype="<" + a, offset=offset, scale=scale)

for d, a in [("f2", "f2"), ("f4", "f4"), ("f8", "f8"), ("f8", "f4"), ("f8", "f2"), ("f4", "f2")]:
    for digits in [-1, 0, 1, 2, 3]:
        numcodecs_item("quantize", some(d, 12), dtype="<" + d, astype="<" + a, digits=digits)

for d in ["f2", "f4", "f8"]:
    for keep in [0, 1, 3, 7, 10]:
        numcodecs_item("bitround", np.concatenate([some(d, 20), extremes(d)]), keepbits=keep)

for d in reals + ["c8", "c16", "?"]:
    for e in reals + ["c8", "c16", "?"]:
        if np.dtype(d).kind == "c" and np.dtype(e).kind != "c":
            continue  # warns: the imaginary part is lost
        values = some(d, 8, 20)
        if np.dtype(d).kind == "i" and np.dtype(e).kind == "u" or np.dtype(e).kind == "u":
            values = np.abs(values).astype(d) if values.dtype != bool else values
        if np.dtype(d).kind == "i" and np.dtype(e).kind == "i":
            values = np.concatenate([values, extremes(d)])
        if np.dtype(e).kind == "f" and np.dtype(d).kind in "iu":
            values = np.concatenate([values, np.array([np.iinfo(d).max // 3, np.iinfo(d).max // 7 + 1], d)])
            if not np.isfinite(values.astype(e)).all() or np.iinfo(d).bits > 16:
                # Back from a rounded float may be beyond the range.
                values = np.minimum(values, 2000).astype(d)
        if np.dtype(d).kind == "f" and np.dtype(e).kind == "f":
            values = np.concatenate([values, extremes(d)])
        numcodecs_item("astype", values, encode_dtype=np.dtype(e).str, decode_dtype=np.dtype(d).str)
for d in ["i4", "i8", "u8"]:
    for e in ["f2", "f4", "f8"]:
        values = random.integers(0, 2**31 - 1, 20).astype(d) * np.dtype(d).type(1 if d == "i4" else 2**31 + 12345)
        encoded = values.astype(e)
        add("numcodecs.astype", {"encode_dtype": "<" + e, "decode_dtype": "<" + d}, values, encoded, values[:0])

for n in [0, 1, 7, 8, 9, 100]:
    values = some("?", n)
    codec = numcodecs.PackBits()
    add("numcodecs.packbits", {}, values, codec.encode(values), values)
for size, n in [(2, 10), (4, 33), (8, 21), (3, 12), (16, 64), (1, 9), (0, 9)]:
    values = random.integers(0, 256, max(size, 1) * n).astype("u1")
    add("numcodecs.shuffle", {"elementsize": size}, values, bytes(numcodecs.Shuffle(size).encode(values)).hex(), values)

for d in reals:
    for e in reals:
        for rounding in ["nearest-even", "towards-zero", "towards-positive", "towards-negative", "nearest-away"]:
            values = np.concatenate([some(d, 4, 40), np.array([0, 1, 100, 127], d)])
            if np.dtype(d).kind == "f":
                values = np.concatenate([values, np.array([0.5, 1.5, 2.5, 2.25, 3.75, 0.1], d)])
            if np.dtype(d).kind != "u":
                values = np.abs(values) if np.dtype(e).kind == "u" else values
            if np.dtype(d).itemsize == 8 and np.dtype(d).kind in "iu" and e in ("f4", "f8"):
                # The oracle compares in float64.
                values = np.concatenate([values, np.array([2**51 + 1, 2**30 + 1, 2**25 + 3], d)])
            if d == "i4" and e == "f4":
                values = np.concatenate([values, np.array([2**24 + 1, 2**24 + 3, -(2**25) - 2, 2**31 - 1], d)])
            try:
                def cast(array, to):
                    return cast_value.cast_array(array, target_dtype=np.dtype(to), rounding_mode=rounding,
                                                 out_of_range_mode=None)
                encoded = cast(values, e)
                back = cast(encoded, d)
            except (ValueError, FloatingPointError):
                continue
            add("cast_value", {"data_type": np.dtype(e).name, "rounding": rounding}, values, encoded, back)
for d in reals:
    for e in reals[:8]:
        for mode in ["clamp", "wrap"]:
            values = extremes(d)
            if np.dtype(d).kind == "f":
                values = np.array([-300.5, -1, 0, 255.5, 256, 1000, 65503, -65503], d)
            info = np.iinfo(e)
            exact = [int(np.rint(x)) if isinstance(x, np.floating) else int(x) for x in values]  # of any size
            encoded = np.array([min(max(x, info.min), info.max) if mode == "clamp" else
                                (x - info.min) % 2**info.bits + info.min for x in exact], e)
            add("cast_value", {"data_type": np.dtype(e).name, "out_of_range": mode}, values, encoded, values[:0])

for d in ["f4", "f8", "i4", "i8"]:
    for shape in [(7,), (5, 6), (3, 4, 5), (2, 2, 3, 5)]:
        values = some(d, int(np.prod(shape))).reshape(shape)
        options = [{}] if d[0] == "i" else [{}, {"tolerance": 0.01}, {"rate": 16}, {"precision": 20}]
        for option in options:
            config = {"mode": {"tolerance": 4, "rate": 2, "precision": 3}[next(iter(option), "tolerance")],
                      "tolerance": -1, "rate": -1, "precision": -1, **option}
            encoded = zfpy.compress_numpy(values, **option)
            add("numcodecs.zfpy", config, values, encoded.hex(), zfpy.decompress_numpy(encoded))
            bare = zfpy.compress_numpy(values, write_header=False, **option)
            mode = {"tolerance": "fixed_accuracy", "rate": "fixed_rate", "precision": "fixed_precision"}
            config = {"mode": mode[next(iter(option))], **option} if option else {"mode": "reversible"}
            add("zfp", config, values, bare.hex(), zfpy.decompress_numpy(encoded))

with open("array_codecs.json", "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(item) for item in items) + "\n]\n")
print(len(items))
