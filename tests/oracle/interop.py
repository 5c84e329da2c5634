"""What the tests of stores written and read by other software share: the command, comparisons, values, the count."""

import json, os, random, re, subprocess, sys, tempfile, traceback, warnings, zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

warnings.simplefilter("ignore")
command = os.environ.get("MORSEL_COMMAND")
plain = {k: v for k, v in os.environ.items() if not k.startswith("MORSEL_")} | {"MORSEL_THREADS": "2"}
offline = os.environ.get("MORSEL_OFFLINE") == "1"


def missing(what):
    """Without an oracle the test fails where tests/run.sh has made the environment, and is skipped elsewhere."""
    may_skip = offline or not os.environ.get("MORSEL_ORACLE_PYTHON")
    print(f"{'skipped' if may_skip else 'FAILED'}: {what} (see tests/oracle/requirements.txt)")
    sys.exit(77 if may_skip else 1)


if not command:
    print("skipped: no command")
    sys.exit(77)
try:
    import h5py
    import ml_dtypes
    import numcodecs
    import numpy as np
    import tensorstore
    import zarr
    import zarr.codecs.numcodecs
    import zarrs
    import zfpy
except ImportError as absent:
    missing(f"a package is missing: {absent}")


class Mismatch(Exception):
    pass


def morsel(*arguments, code=0):
    """Standard output of a run that must succeed, or with code=1 the one line of a run that must be refused."""
    p = subprocess.run([command, *map(str, arguments)], capture_output=True, text=True, timeout=120, env=plain)
    if p.returncode != code:
        raise Mismatch(f"morsel {' '.join(map(str, arguments))}: exit {p.returncode}: {p.stderr.strip()[-400:] or p.stdout[-200:]}")
    if len(p.stderr.splitlines()) != (code != 0):
        raise Mismatch(f"morsel {' '.join(map(str, arguments))}: stderr {p.stderr!r}")
    return p.stderr if code else p.stdout


def stored(a):
    """As `get` writes it to .npy: small floats as the integers that hold their bits, small integers as bytes."""
    if a.dtype.isbuiltin != 2:  # 2: of ml_dtypes
        return a
    name = a.dtype.name
    return a.astype("i1") if name.startswith("int") else a.astype("u1") if name.startswith("uint") else a.view(f"u{a.dtype.itemsize}")


def shown(t):
    """A dtype without byte order, padding and alignment."""
    if t.subdtype:
        return shown(t.subdtype[0]), t.shape
    if t.names is not None:
        return tuple((name, shown(t[name])) for name in t.names)
    return t.newbyteorder("=").str if t.kind in "Mm" else f"{t.kind}{t.itemsize}"


def packed(a):
    """The bytes of every element: little-endian, C order, fields without padding."""
    if a.size == 0:
        return np.zeros((0, 0), "u1")
    if a.dtype.names is not None:
        return np.concatenate([packed(np.ascontiguousarray(a[name])).reshape(a.size, -1) for name in a.dtype.names], axis=1)
    a = np.ascontiguousarray(a)
    return np.frombuffer(a.astype(a.dtype.newbyteorder("<")).tobytes(), "u1").reshape(a.size, -1)


def same(got, want, what):
    got, want = stored(np.asarray(got)), stored(np.asarray(want))
    if got.shape != want.shape:
        raise Mismatch(f"{what}: shape {got.shape}, expected {want.shape}")
    if shown(got.dtype) != shown(want.dtype):
        raise Mismatch(f"{what}: dtype {got.dtype}, expected {want.dtype}")
    differs = (packed(got) != packed(want)).any(axis=1)
    if differs.any():
        at = np.unravel_index(int(np.argmax(differs)), want.shape)
        raise Mismatch(
            f"{what}: {int(differs.sum())} of {want.size} elements differ, first at {[int(i) for i in at]}: {got[at]!r}, expected {want[at]!r}"
        )


def random_index(r, shape):
    """A basic index, as NumPy takes it and as text: integers, slices with steps of both signs, bounds beyond the ends."""
    index, text = [], []
    for n in shape[: r.randint(max(0, len(shape) - 1), len(shape))]:
        kind = r.random()
        if kind < 0.2 and n > 0:
            i = r.randrange(-n, n)
            index.append(i), text.append(str(i))
        elif kind < 0.35:
            index.append(slice(None)), text.append(":")
        else:
            bound = lambda: r.choice([None, r.randint(-n - 2, n + 2), r.randint(0, max(n, 1))])
            s = slice(bound(), bound(), r.choice([None, 1, 2, 3, -1, -2, -5]))
            index.append(s), text.append(
                ":".join("" if v is None else str(v) for v in ((s.start, s.stop) if s.step is None else (s.start, s.stop, s.step)))
            )
    if r.random() < 0.2 or not text:
        index.append(...), text.append("...")
    return tuple(index), "[" + ", ".join(text) + "]"


def number(text):
    return {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}.get(text, text) if isinstance(text, str) else text


def check_reads(path, want, name, folder, slices=2, memory=None):
    """The whole array, some slices and, of real numbers, the statistics: which take absent chunks by a way of their own."""
    want = np.asarray(want)
    out = folder / "out.npy"
    budget = ["--memory", memory] if memory else []
    morsel("get", path, "-o", out, *budget)
    same(np.load(out), want, f"get {path}")
    r = random.Random(name)
    for _ in range(slices):
        index, text = random_index(r, want.shape)
        morsel("get", path, text, "-o", out, *budget)
        same(np.load(out), want[index if ... in index else (*index, ...)], f"get {path} '{text}'")
    if want.dtype.kind in "biuf" and want.dtype.isbuiltin != 2:
        got = json.loads(morsel("stats", path, "--json"))
        numbers = want.reshape(-1)[~np.isnan(want.reshape(-1))] if want.dtype.kind == "f" else want.reshape(-1)
        if (got["count"], got["nan_count"]) != (want.size, want.size - numbers.size):
            raise Mismatch(f"stats {path}: count {got['count']}, {got['nan_count']} NaN, expected {want.size}, {want.size - numbers.size}")
        for key in ("min", "max"):
            expected = getattr(numbers, key)() if numbers.size else None
            if (got[key] if expected is None else want.dtype.type(number(got[key]))) != expected:
                raise Mismatch(f"stats {path}: {key} {got[key]}, expected {expected}")
        total = int(numbers.sum()) if want.dtype.kind in "biu" and numbers.size else None
        if (want.dtype.kind in "biu" or not numbers.size) and got["sum"] != total:
            raise Mismatch(f"stats {path}: sum {got['sum']}, expected {total}")


# ------------------------------------------------------------------------------------------------------- values

RECORD = np.dtype([("id", "<i4"), ("v", ">f8"), ("name", "S3"), ("nest", [("x", "u1"), ("y", ">i2")])])
SHORT_RECORD = np.dtype([("a", "<i2"), ("b", "<f4"), ("c", "u1")])


def values(dtype, shape, seed):
    """One half plain small values, one half any bits that the dtype has (NaN payloads, -0, the extremes)."""
    t = np.dtype(dtype)
    g = np.random.default_rng(zlib.crc32(f"{t.str}{shape}{seed}".encode()))
    n = int(np.prod(shape))
    if t.names is not None:
        a = np.zeros(n, t)
        for name in t.names:
            a[name] = values(t[name].base, (n, *t[name].shape), seed)
        return a.reshape(shape)
    if t.kind == "b":
        return (g.random(shape) < 0.5).astype(t)
    if t.kind == "S":
        return np.array(["".join(g.choice(list("abcxyz"), g.integers(0, t.itemsize + 1))).encode() for _ in range(n)], t).reshape(shape)
    if t.kind == "U":
        return np.array(["".join(g.choice(list("aé€𝄞z"), g.integers(0, t.itemsize // 4 + 1))) for _ in range(n)], t).reshape(shape)
    if t.kind in "Mm":
        a = g.integers(-(10**9), 10**9, n).astype("i8")
        a[g.random(n) < 0.1] = np.iinfo("i8").min
        return a.astype(t.newbyteorder("=")).astype(t).reshape(shape)
    if t.name in ("int4", "int2"):
        low, high = (-8, 8) if t.name == "int4" else (-2, 2)
        return g.integers(low, high, shape).astype("i1").astype(t)
    if t.name in ("uint4", "uint2"):
        return g.integers(0, 16 if t.name == "uint4" else 4, shape).astype("u1").astype(t)
    bits = g.integers(0, 256, n * t.itemsize).astype("u1")
    if t.kind == "V" and t.type is np.void:
        return bits.view(t).reshape(shape)
    a = np.frombuffer(bits.tobytes(), t).copy()
    small = np.round(np.cumsum(g.normal(size=n)) * 4)
    a[: n // 2] = (np.abs(small) % 100)[: n // 2].astype("i8").astype(t) if t.kind in "iu" else small[: n // 2].astype(t)
    return a.reshape(shape)


def smooth(dtype, shape, seed=0):
    """Finite numbers of modest size, for lossy codecs."""
    g = np.random.default_rng(zlib.crc32(f"{shape}{seed}".encode()))
    return (100 + np.cumsum(g.normal(size=int(np.prod(shape))))).reshape(shape).astype(dtype)


def ramp(dtype, shape):
    return (np.arange(int(np.prod(shape))) % 120).reshape(shape).astype(dtype)


# -------------------------------------------------------------------------------------------------------- running


def main(name, cases):
    """Runs (name, function of a folder) cases that contain one of the arguments; two at a time; prints and counts."""
    patterns = sys.argv[1:]
    cases = [c for c in cases if not patterns or any(p in c[0] for p in patterns)]
    assert len({c[0] for c in cases}) == len(cases), "case names differ: " + str([c[0] for c in cases if [d[0] for d in cases].count(c[0]) > 1][:4])
    keep = os.environ.get("MORSEL_KEEP")

    def run(case):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(keep) / re.sub(r"[^\w.+-]", "_", case[0]) if keep else Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            try:
                case[1](folder)
                return None
            except Mismatch as mismatch:
                return str(mismatch)
            except Exception:
                return "oracle: " + traceback.format_exc(limit=-4)

    failed, skipped = [], []
    with ThreadPoolExecutor(2) as pool:
        for case, problem in zip(cases, pool.map(run, cases)):
            if problem and offline and "build" in problem and "without" in problem:
                skipped.append(case[0])
            elif problem:
                failed.append(case[0])
                print(f"FAILED {case[0]}: {problem}")
    if skipped:
        print(f"skipped: {len(skipped)} cases, this build lacks codecs: {', '.join(skipped[:5])}")
    print(f"{name}: {len(cases) - len(failed) - len(skipped)} cases passed, {len(failed)} failed, {len(skipped)} skipped")
    if path := os.environ.get("MORSEL_TEST_COUNTS"):
        with open(path, "a") as file:
            file.write(f"oracle_{name} {len(cases) - len(failed) - len(skipped)} {len(failed)} {len(skipped)}\n")
    return 1 if failed or not cases else 0
