"""Writes numpy_reductions.txt: what NumPy 2 gives for reductions of special and ordinary values.

One case a line, fields separated by '|':
  reduction|skip_nan|ddof|dtype|result dtype|values|result
  histogram|bins or 'edges'|lo,hi or the edges|dtype|int64|values|counts
Floats are hexadecimal; complex numbers are 're,im'.
"""
import sys
import warnings

import numpy as np

warnings.simplefilter("ignore")
np.seterr(all="ignore")


def text(v):
    if isinstance(v, np.complexfloating):
        return text(v.real) + "," + text(v.imag)
    if isinstance(v, np.floating):
        return "nan" if np.isnan(v) else float(v).hex()
    return str(int(v))


def texts(values):
    return " ".join(text(v) for v in np.atleast_1d(values))


ints = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
floats = ["float16", "float32", "float64"]
complexes = ["complex64", "complex128"]
nan, inf = np.nan, np.inf


def sets(dtype):
    d = np.dtype(dtype)
    if d.kind == "b":
        return [[True], [False], [True, False, True], [False, False], [True, True, True]]
    if d.kind in "iu":
        lo, hi = np.iinfo(d).min, np.iinfo(d).max
        return [[0], [1, 2, 3, 4, 4, 1], [hi, hi, hi], [lo, hi], [lo, lo, 1], [hi, 0, lo, 7], [3, 1, 1, 3]]
    base = [
        [0.0], [-0.0], [1.5, 2.5, -3.0, 0.25, -3.0, 2.5], [nan], [1.0, nan, 2.0], [nan, 1.0, nan, -1.0], [inf, 1.0],
        [-inf, 1.0], [inf, -inf, 1.0], [inf, nan], [0.0, -0.0, 0.0], [2.0, 2.0, 2.0], [nan, nan, nan], [-5.0, inf, 3.0, -inf],
    ]
    if d.kind == "f":
        return base
    return [[complex(x, 0.5 * i) for i, x in enumerate(s)] for s in base] + [
        [1 + 2j, 1 + 1j, 1 + 3j], [2 - 1j, 1 + 5j, 1 - 5j, 2 + 9j], [complex(1, nan), 0 + 0j], [complex(nan, 1), 3 + 0j, complex(1, nan)],
    ]


def cases(out):
    for dtype in ["bool"] + ints + floats + complexes:
        for values in sets(dtype):
            a = np.array(values, dtype=dtype)
            for name, f in [("sum", np.sum), ("prod", np.prod), ("mean", np.mean), ("min", np.min), ("max", np.max),
                            ("argmin", np.argmin), ("argmax", np.argmax), ("any", np.any), ("all", np.all),
                            ("count_nonzero", lambda a: np.int64(np.count_nonzero(a)))]:
                r = f(a)
                out.append(f"{name}|0|0|{dtype}|{r.dtype}|{texts(a)}|{texts(r)}")
            for ddof in (0, 1, 1.5):
                if a.size <= ddof:
                    continue
                for name, f in [("var", np.var), ("stddev", np.std)]:
                    r = f(a, ddof=ddof)
                    out.append(f"{name}|0|{ddof}|{dtype}|{r.dtype}|{texts(a)}|{texts(r)}")
            for name, f in [("sum", np.nansum), ("prod", np.nanprod), ("mean", np.nanmean), ("min", np.nanmin),
                            ("max", np.nanmax), ("argmin", np.nanargmin), ("argmax", np.nanargmax), ("var", np.nanvar),
                            ("stddev", np.nanstd)]:
                if name.startswith("arg") and np.isnan(a).all():
                    continue
                r = f(a)
                out.append(f"{name}|1|0|{dtype}|{r.dtype}|{texts(a)}|{texts(r)}")


def neighbours(edges, dtype):
    e = edges.astype(dtype)
    return np.concatenate([e, np.nextafter(e, np.dtype(dtype).type(-inf)), np.nextafter(e, np.dtype(dtype).type(inf))])


def histograms(out):
    rng = np.random.default_rng(7)
    for dtype in floats:
        for bins, lo, hi in [(1, 0.0, 1.0), (10, 0.0, 1.0), (7, -0.3, 0.7), (128, 0.0, 1.0), (100, 1e-3, 1e3),
                             (64, 0.1, 0.7), (3, -1e-4, 1e-4), (33, 100.0, 200.0)]:
            try:
                a = np.array([nan, inf, -inf, 0.0, -0.0, lo, hi], dtype=dtype)
                edges = np.histogram(a[3:5], bins, (lo, hi))[1]
                a = np.concatenate([a, neighbours(edges, dtype), rng.uniform(lo - 0.1, hi + 0.1, 60).astype(dtype)])
                counts = np.histogram(a, bins, (lo, hi))[0]
            except ValueError:
                continue
            out.append(f"histogram|{bins}|{lo.hex()} {hi.hex()}|{dtype}|int64|{texts(a)}|{texts(counts)}")
    for dtype in ints:
        top = min(np.iinfo(dtype).max, 10**6)
        a = np.concatenate([np.arange(0, 100), rng.integers(0, top, 100), [np.iinfo(dtype).min, np.iinfo(dtype).max]]).astype(dtype)
        for bins, lo, hi in [(10, 0.0, 100.0), (7, 0.5, 99.5), (100, 0.0, 100.0), (64, -10.0, float(top)), (256, -0.5, 255.5)]:
            out.append(f"histogram|{bins}|{lo.hex()} {hi.hex()}|{dtype}|int64|{texts(a)}|{texts(np.histogram(a, bins, (lo, hi))[0])}")
    edge_sets = [[0.0, 1.0], [0.0, 0.1, 0.2, 0.7, 1.0], [-1.0, 0.0, 0.0, 2.0], [0.0, 1.0, 1.0], [-inf, 0.0, inf], [1.0, 2.0, 4.0, 8.0, 16.0, 1e6]]
    for dtype in ints + floats:
        for e in edge_sets:
            edges = np.array(e)
            if np.dtype(dtype).kind == "f":
                a = np.concatenate([neighbours(edges, dtype), np.array([nan, inf, -inf, 0.5, 3.0, 100.0], dtype=dtype)])
            else:
                a = np.array([0, 1, 1, 2, 3, 4, 8, 15, 16, 17, 100, np.iinfo(dtype).max, np.iinfo(dtype).min], dtype=dtype)
            counts = np.histogram(a[~np.isnan(a)], edges)[0]
            out.append(f"histogram|edges|{texts(edges)}|{dtype}|int64|{texts(a)}|{texts(counts)}")


lines = []
cases(lines)
histograms(lines)
open(sys.argv[1], "w").write("\n".join(lines) + "\n")
print(len(lines), "cases, NumPy", np.__version__)
