#!/usr/bin/env python3
"""`morsel eval` against NumPy 2: the expressions of tests/data/expressions.txt, and of the conformance collection if it is there.

usage: oracle.py [--table FILE] [PATTERN]     MORSEL_COMMAND names the command; PATTERN limits the run to lines that contain it
  --table FILE   write the expected values of small inputs as JSON, for the test that runs without NumPy

Exit 77 (skipped) without NumPy >= 2 or without the command. Each of the two files is a test case in MORSEL_TEST_COUNTS, see
tests/count.py.
"""
import json, os, re, subprocess, sys, tempfile, warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

try:
    import numpy as np
except ImportError:
    sys.exit(77)
if int(np.__version__.split(".")[0]) < 2:
    sys.exit(77)

warnings.simplefilter("ignore")
np.seterr(all="ignore")
root = Path(os.environ.get("MORSEL_SOURCE_DIR", Path(__file__).resolve().parents[2]))
collection = Path(os.environ.get("MORSEL_CONFORMANCE_DIR", root.parent / "shared" / "conformance")) / "expressions.txt"


def inputs(small):
    """The arrays that the expressions name; `small` ones for the table."""
    g = np.random.default_rng(20250101)
    s = (lambda *n: tuple(min(k, 3) for k in n)) if small else (lambda *n: n)
    normal = lambda *n: g.normal(size=n)
    whole = lambda t, lo, hi, *n: g.integers(lo, hi, n, dtype=t, endpoint=True)
    n = normal(31, 17)
    n[g.random(n.shape) < 0.2] = np.nan
    big = {t: (np.iinfo(t).min, np.iinfo(t).max) for t in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")}
    i = whole("i4", -50, 50, 12, 10)
    l = whole("i8", -50, 50, 12, 10)
    x, y = whole("u4", 0, 99, 12, 10), whole("u8", 0, 99, 12, 10)
    i[3, 4], l[3, 4], x[3, 4], y[3, 4] = big["i4"][0], big["i8"][0], big["u4"][1], big["u8"][1]
    l[5, 6] = 2**53 + 1
    nasty = np.array([[0.0, -0.0, np.inf, -np.inf, np.nan, 1.0], [-1.0, 0.5, -0.5, 1.5, 2.5, -2.5], [5e-324, -5e-324, 2.3e-308, 1e-40, 3.0, 0.1],
                      [1e30, -1e30, 65504.0, 1e-8, -np.nan, 255.0]])
    made = dict(
        a=normal(13, 7, 5) * 3, b=normal(7, 5) * 3, n=n, f=normal(40, 33).astype("f4"), h=normal(6, 5).astype("f2"),
        B=whole("i1", *big["i1"], 20), S=whole("i2", *big["i2"], 6, 5), i=i, l=l, u=whole("u1", *big["u1"], 64), w=whole("u2", *big["u2"], 6, 5),
        x=x, y=y, m=g.random((12, 10)) < 0.5, c=normal(9, 4) + 1j * normal(9, 4), z=(normal(9, 4) + 1j * normal(9, 4)).astype("c8"),
        s=np.array(0.75), t=np.array(-3, "i4"), e=np.zeros((0, 5)), p=g.random((7, 5)) * 4 + 0.1, q=(g.random((40, 33)) * 0.98 + 0.01).astype("f4"),
        F=np.asfortranarray(normal(6, 5)), r=normal(6, 5).astype(">f4"), N=nasty)
    R = np.zeros((6, 5), np.dtype([("id", "<i4"), ("v", "<f8"), ("k", "i1"), ("flag", "?")], align=True))
    R["id"], R["v"], R["k"], R["flag"] = whole("i4", -9, 9, 6, 5), normal(6, 5), whole("i1", -9, 9, 6, 5), g.random((6, 5)) < 0.5
    made["R"] = R
    if small:
        keep = {"N", "s", "t", "e"}
        for k in made:
            if k not in keep:
                v = made[k]
                made[k] = v[tuple(slice(0, {5: 5, 7: 7, 10: 10, 20: 20, 64: 20, 13: 3}.get(d, 4)) for d in v.shape)]
        made.update({k: made[k][:3] for k in ("i", "l", "x", "y", "m")})
    return made


def expand(line):
    """a{b;c}d -> abd, acd"""
    brace = re.search(r"\{([^{}]*)\}", line)
    if not brace:
        return [line]
    return [t for part in brace.group(1).split(";") for t in expand(line[: brace.start()] + part + line[brace.end() :])]


def read(path):
    """(section, expression) of a file with sections."""
    section, out = None, []
    for line in path.read_text().splitlines():
        if line.startswith("[") and re.fullmatch(r"\[(exact|value|complex|close|fails|ulp \d+|refuse \d)\]", line):
            section = line[1:-1]
        elif line and not line.startswith("#"):
            out += [(section, e) for e in ([line] if section == "refuse 2" else expand(line))]
    return out


def read_collection(path):
    """The collection's file: plain lines, then those to refuse."""
    out, section = [], "close"
    for line in path.read_text().splitlines():
        if line.startswith("# and these are refused"):
            section = "refused"
        line = line.split("   #")[0].rstrip()
        if line and not line.startswith("#"):
            out.append((section, line))
    return out


def namespace():
    ns = {k: getattr(np, k) for k in dir(np) if not k.startswith("_")}
    ns.update(np=np, stddev=np.std, nanstddev=np.nanstd, histogram=lambda *a, **k: np.histogram(*a, **k)[0], rechunk=lambda x, c: x)
    ns.update({k: __builtins__[k] if isinstance(__builtins__, dict) else getattr(__builtins__, k) for k in ("int", "float", "complex", "bool")})
    return ns


def expected(expression, arrays):
    value = np.asarray(eval(expression, namespace(), dict(arrays)))
    return value.astype(value.dtype.newbyteorder("=")) if value.dtype.byteorder not in "=|" else value


def same(section, got, want):
    """None, or what differs."""
    if got.dtype != want.dtype:
        return f"dtype {got.dtype}, expected {want.dtype}"
    if got.shape != want.shape:
        return f"shape {got.shape}, expected {want.shape}"
    if got.size == 0:
        return None
    kind = want.dtype.kind
    if kind in "biu":
        wrong = got != want
    elif section == "value":
        wrong = ~((got == want) | (np.isnan(got) & np.isnan(want)))
    elif section == "exact":
        parts = (lambda v: v) if kind == "f" else (lambda v: np.stack([v.real, v.imag], -1))
        g, w = parts(got), parts(want)
        bits = lambda v: v.astype(v.dtype, order="C").view(f"u{v.dtype.itemsize}").reshape(v.shape)
        g, w = np.atleast_1d(np.ascontiguousarray(g)), np.atleast_1d(np.ascontiguousarray(w))
        wrong = ~((bits(g) == bits(w)) | (np.isnan(g) & np.isnan(w)))
    else:
        eps = np.finfo(want.dtype).eps
        finite = np.isfinite(want) & np.isfinite(got)
        size = np.abs(np.where(finite, want, 0)).astype("f8")
        error = np.abs(np.where(finite, got, 0).astype("c16") - np.where(finite, want, 0).astype("c16"))
        if section.startswith("ulp") and kind == "f":
            limit = int(section.split()[1]) * np.spacing(np.abs(np.where(finite, want, 0)).astype(want.dtype)).astype("f8")
        elif section == "complex" or section.startswith("ulp"):
            limit = 4 * eps * size
        else:
            limit = {2: 4e-3, 4: 2e-6, 8: 1e-12}[np.finfo(want.dtype).dtype.itemsize] * max(size.max(), 1e-300)
        special = (np.isnan(got) & np.isnan(want)) | (got == want)
        wrong = ~np.where(finite, error <= limit, special)
    if not np.any(wrong):
        return None
    at = np.unravel_index(np.argmax(wrong), wrong.shape)
    here = at[: want.ndim] if want.ndim else ()
    return f"{int(np.sum(wrong))} of {want.size} differ, first at {tuple(map(int, here))}: {got[here]!r}, expected {want[here]!r}"


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["--table"]:
        return write_table(Path(arguments[1]))
    command = os.environ.get("MORSEL_COMMAND")
    if not command:
        return 77
    pattern = arguments[0] if arguments else ""
    own = [t for t in read(root / "tests" / "data" / "expressions.txt") if pattern in t[1]]
    others = [t for t in read_collection(collection) if pattern in t[1]] if collection.exists() else []
    cases, arrays, failures = own + others, inputs(False), []
    with tempfile.TemporaryDirectory() as folder:
        for name, value in arrays.items():
            np.save(f"{folder}/{name}.npy", value)
        named = [f"{name}={folder}/{name}.npy" for name in arrays]

        def one(number, section, expression):
            out = f"{folder}/out{number}.npy"
            run = subprocess.run([command, "eval", expression, *named, "-o", out], capture_output=True, text=True, timeout=120)
            error = run.stderr.strip()
            if section in ("refused", "fails") or section.startswith("refuse"):
                codes = [1, 2] if section == "refused" else [1] if section == "fails" else [int(section[-1])]
                if run.returncode not in codes:
                    return f"exit {run.returncode}, expected {codes}: {error}"
                if len(run.stderr.splitlines()) != 1 or run.stdout:
                    return f"expected one line on stderr, got {run.stdout + run.stderr!r}"
                if section != "fails" and not re.search(r"column \d+: ", error):
                    return f"no column in {error!r}"
                return None if not os.path.exists(out) else "left a file behind"
            try:
                want = expected(expression, arrays)
            except Exception as failure:
                return f"NumPy refuses: {failure}"
            if run.returncode != 0 or run.stderr or run.stdout:
                return f"exit {run.returncode}: {error or run.stdout}"
            got = np.load(out)
            os.unlink(out)
            return same(section, got, want)

        with ThreadPoolExecutor(2) as pool:
            results = pool.map(lambda t: one(t[0], *t[1]), enumerate(cases))
            for number, ((section, expression), wrong) in enumerate(zip(cases, results)):
                if wrong:
                    failures.append(number)
                    print(f"FAILED [{section}] {expression}\n  {wrong}")
    print(f"oracle: {len(cases) - len(failures)} expressions passed, {len(failures)} failed")
    if not collection.exists():
        print(f"skipped: no collection of expressions, {collection}")
    failed = any(n < len(own) for n in failures) + any(n >= len(own) for n in failures)
    count(1 + collection.exists() - failed, failed, 0 if collection.exists() else 1)
    return 1 if failures or not cases else 0


def count(passed, failed, skipped):
    """Tells tests/count.py, under the name that the test has for ctest."""
    if path := os.environ.get("MORSEL_TEST_COUNTS"):
        with open(path, "a") as file:
            file.write(f"oracle_oracle {passed} {failed} {skipped}\n")


def write_table(path):
    """Small inputs and what NumPy makes of them: elements as hexadecimal digits of little-endian bytes."""
    arrays = inputs(True)
    little = lambda v: np.ascontiguousarray(v).astype(v.dtype.newbyteorder("<")).tobytes().hex()
    entry = lambda v: {"dtype": v.dtype.name, "shape": list(v.shape), "hex": little(v)}
    out = {"numpy": np.__version__, "inputs": {k: entry(np.asarray(v)) for k, v in arrays.items() if not v.dtype.names}, "expressions": []}
    for section, expression in read(root / "tests" / "data" / "expressions.txt"):
        if section.startswith("refuse") or section == "fails":
            continue
        try:
            value = expected(expression, {k: v for k, v in arrays.items() if not v.dtype.names})
        except Exception:
            continue  # an index or shape that only the large inputs have
        if value.size <= 20:
            out["expressions"].append({"section": section, "expression": expression, **entry(value)})
    lines = ",\n".join(json.dumps(e) for e in out["expressions"])
    path.write_text(json.dumps({k: out[k] for k in ("numpy", "inputs")})[:-1] + ', "expressions": [\n' + lines + "\n]}\n")
    print(f"{len(out['expressions'])} expressions in {path}, {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
