#!/usr/bin/env python3
"""The command `morsel` from end to end: output, exit codes, one-line errors, files whole or absent, Ctrl-C.

usage: check_command.py [NAME...]     MORSEL_COMMAND names the command; NAMEs limit the run to those checks
Exit 77 (skipped) without NumPy >= 2 or without the command.
"""
import csv, gzip, json, math, os, pty, re, resource, shutil, signal, struct, subprocess, sys, tempfile, time, traceback, zipfile, zlib
from fractions import Fraction
from pathlib import Path

try:
    import numpy as np
except ImportError:
    sys.exit(77)
if int(np.__version__.split(".")[0]) < 2 or not os.environ.get("MORSEL_COMMAND"):
    sys.exit(77)

command = os.environ["MORSEL_COMMAND"]
plain = {k: v for k, v in os.environ.items() if not k.startswith("MORSEL_")}


def run(*arguments, code=0, env=None, cwd=None, **more):
    """Standard output, or the one line on stderr of a run that must fail; code None: the finished process, unchecked."""
    p = subprocess.run([command, *map(str, arguments)], capture_output=True, text=True, timeout=120, env={**plain, **(env or {})}, cwd=cwd, **more)
    if code is None:
        return p
    assert p.returncode == code, f"{arguments}: exit {p.returncode}, expected {code}: {p.stderr or p.stdout}"
    if code == 0:
        assert p.stderr == "", f"{arguments}: stderr {p.stderr!r}"
    else:
        assert len(p.stderr.splitlines()) == 1 and p.stderr.startswith("morsel: "), f"{arguments}: stderr {p.stderr!r}"
        assert p.stdout == "", f"{arguments}: stdout {p.stdout!r}"
    return p.stdout if code == 0 else p.stderr


def fails(*arguments, code=1, says=(), **more):
    message = run(*arguments, code=code, **more)
    for text in [says] if isinstance(says, str) else says:
        assert text in message, f"{arguments}: {message!r} lacks {text!r}"


def array(folder, name, value):
    np.save(folder / name, value)
    return folder / name


def left_in(folder):
    return sorted(p.name for p in folder.iterdir())


def numeric_arrays():
    g = np.random.default_rng(3)
    for t in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"):
        info = (0, 1) if t == "?" else (np.iinfo(t).min, np.iinfo(t).max)
        yield t, g.integers(*info, (11, 6, 4), dtype="i8" if t in "? i1 i2 i4 i8" else "u8", endpoint=True).astype(t)
    for t in ("f2", "f4", "f8", ">f8", "c8", "c16"):
        v = g.normal(size=(11, 6, 4)).astype(t)
        v[g.random(v.shape) < 0.15] = np.nan
        yield t, v


def close(got, want, message, tolerance=1e-12):
    got = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}.get(got, got) if isinstance(got, str) else got
    if isinstance(want, complex):
        got = complex(*got)
    same = got == want or (got != got and want != want) or abs(got - want) <= tolerance * max(abs(want), 1e-300)
    assert same, f"{message}: {got!r}, expected {want!r}"


def check_version_and_doctor(d):
    text = run("--version")
    assert text.startswith("morsel ") and "formats: npy" in text and "codecs:" in text, text
    assert "version" in run("doctor")
    report = json.loads(run("doctor", "--json", env={"MORSEL_MEMORY": "100MiB", "MORSEL_THREADS": "1"}))
    assert list(report) == ["version", "compiler", "components", "formats", "known_formats", "codecs", "libraries", "simd", "memory", "threads", "limits", "environment"]
    assert report["memory"]["budget_bytes"] == 100 << 20 and report["threads"]["used"] == 1
    assert report["environment"]["MORSEL_MEMORY"] == "100MiB" and report["environment"]["MORSEL_SIMD"] is None
    assert json.loads(run("doctor", "--json", "--memory", "5MiB"))["memory"]["budget_bytes"] == 5 << 20
    assert list(report["libraries"]) == ["xtensor", "nlohmann_json", "sleef", "zlib"]
    for name, version in report["libraries"].items():
        assert version is None and name in ("sleef", "zlib") or re.match(r"\d+\.\d+", version), (name, version)
    assert "C library" in run("doctor") if report["libraries"]["sleef"] is None else f"SLEEF {report['libraries']['sleef']}" in run("doctor")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    limits = json.loads(run("doctor", "--json", env={"MORSEL_SPILL_DIR": str(d)}, preexec_fn=few))["limits"]
    assert list(limits) == ["descriptors", "spill_directory", "spill_free_bytes"] and limits["descriptors"] == 100, limits
    assert limits["spill_directory"] == str(d) and 0 < limits["spill_free_bytes"] <= shutil.disk_usage(d).total, limits
    assert json.loads(run("doctor", "--json", env={"TMPDIR": f"{d}/nosuch"}))["limits"].items() >= {"spill_directory": f"{d}/nosuch", "spill_free_bytes": None}.items()
    assert run("doctor", env={"MORSEL_TRACE": "a\nb\x1b[2J"}).endswith("MORSEL_TRACE      a b [2J\n")
    assert f"{d}/nosuch, which is not there" in run("doctor", env={"TMPDIR": f"{d}/nosuch"})


def check_help(d):
    assert "stats" in run("--help")
    for name in ("info", "tree", "stats", "get", "eval", "copy", "diff", "doctor"):
        assert "--memory" in run(name, "--help"), name
    for name in ("stats", "get", "eval", "copy"):
        assert "--memory" in run("explain", name, "--help"), name
    options = re.compile(r"--[a-z]+(?:-[a-z]+)*")
    page = Path(os.environ.get("MORSEL_SOURCE_DIR", Path(__file__).resolve().parents[2])) / "docs" / "command.md"
    helps = [run(*name, "--help") for name in ([], ["info"], ["tree"], ["stats"], ["get"], ["eval"], ["copy"], ["diff"], ["doctor"])]
    assert set(options.findall(page.read_text())) == {option for text in helps for option in options.findall(text)}, "the manual has every option"


def check_info_and_tree(d):
    path = array(d, "a.npy", np.zeros((13, 7), "<f4"))
    info = json.loads(run("info", path, "--json"))
    assert info == {"path": str(path), "format": "npy", "dtype": "<f4", "shape": [13, 7], "chunks": None, "shards": None, "dims": None, "order": "C",
                    "fill_value": None, "codecs": [], "attributes": {}, "nbytes": 364, "stored_bytes": 364}, info
    assert "shape" in run("info", path) and "[13,7]" in run("info", path)
    tree = json.loads(run("tree", path, "--json"))
    assert tree == {"name": "a.npy", "kind": "array", "dtype": "<f4", "shape": [13, 7], "chunks": None, "nbytes": 364}, tree
    assert "a.npy" in run("tree", path)
    fortran = json.loads(run("info", array(d, "F.npy", np.asfortranarray(np.zeros((3, 5), ">i2"))), "--json"))
    assert fortran["shape"] == [3, 5] and fortran["order"] == "F" and fortran["dtype"] == "<i2", fortran
    record = np.zeros(3, [("a", "<i4"), ("b", ">f8", (2, 3)), ("s", "S5")])
    assert json.loads(run("info", array(d, "r.npy", record), "--json"))["dtype"] == [["a", "<i4"], ["b", "<f8", [2, 3]], ["s", "|S5"]]
    for t, shown in (("S3", "|S3"), ("U2", "<U2"), ("M8[ns]", "<M8[ns]"), ("?", "|b1"), ("c8", "<c8"), ("f2", "<f2"), ("u1", "|u1")):
        assert json.loads(run("info", array(d, "t.npy", np.zeros(2, t)), "--json"))["dtype"] == shown, t


def check_directories(d):
    runs = d / "runs"
    (runs / "sub").mkdir(parents=True)
    array(runs, "a.npy", np.arange(6, dtype="<f4").reshape(2, 3))
    array(runs / "sub", "b.npy", np.arange(4, dtype="<i2"))
    np.savez(runs / "z.npz", x=np.arange(3.0))
    (runs / "notes.txt").write_text("no array")
    (runs / "bad.npy").write_bytes(b"\x93NUMPY\x01")
    (runs / ".hidden.npy").write_bytes(b"")
    info = json.loads(run("info", runs, "--json"))
    assert info["format"] == "directory" and info["attributes"] == {}, info
    assert [a["path"] for a in info["arrays"]] == ["a.npy", "bad.npy", "sub/b.npy", "z.npz/x"], info
    assert "error" in info["arrays"][1] and info["arrays"][2]["shape"] == [4]
    tree = json.loads(run("tree", str(runs) + "/", "--json"))
    assert tree["name"] == "runs" and [(c["name"], c["kind"]) for c in tree["children"]] == \
        [("a.npy", "array"), ("bad.npy", "array"), ("sub", "group"), ("z.npz", "group")], tree
    assert "b.npy" in run("tree", runs)
    for entry in info["arrays"]:
        if "error" not in entry:
            run("stats", runs / entry["path"])
    (d / "empty").mkdir()
    assert json.loads(run("tree", d / "empty", "--json")) == {"name": "empty", "kind": "group", "attributes": {}, "children": []}
    fails("get", runs, says=("a directory without array metadata",))
    fails("copy", runs, d / "runs.zarr")  # one of its files cannot be read
    (runs / "bad.npy").unlink()
    run("copy", runs, d / "runs.zarr")
    assert [a["path"] for a in json.loads(run("info", d / "runs.zarr", "--json"))["arrays"]] == ["a.npy", "sub/b.npy", "z.npz/x"]
    assert run("get", d / "runs.zarr" / "sub" / "b.npy").strip() == "[0 1 2 3]"
    run("diff", runs, d / "runs.zarr")


def check_containers(d):
    np.savez(d / "z.npz", x=np.arange(6.0).reshape(2, 3), y=np.arange(3, dtype="i2"))
    if "npz" not in run("--version"):
        return fails("info", d / "z.npz", says="npz")
    info = json.loads(run("info", d / "z.npz", "--json"))
    assert list(info) == ["path", "format", "attributes", "arrays"] and [a["path"] for a in info["arrays"]] == ["x", "y"], info
    assert info["arrays"][0] == {"path": "x", "dtype": "<f8", "shape": [2, 3], "chunks": info["arrays"][0]["chunks"], "nbytes": 48}, info
    tree = json.loads(run("tree", d / "z.npz", "--json"))
    assert tree["kind"] == "group" and tree["name"] == "z.npz" and [c["name"] for c in tree["children"]] == ["x", "y"], tree
    assert tree["children"][1]["kind"] == "array" and tree["children"][1]["dtype"] == "<i2"
    assert run("eval", "sum(a)", f"a={d}/z.npz/x").strip() == "15.0"
    assert run("eval", "sum(a)", f"a={d}/z.npz", "--dataset", "x").strip() == "15.0"
    assert run("get", d / "z.npz", "--dataset", "/y").strip() == "[0 1 2]"
    fails("get", d / "z.npz", says=("container", "'x'"))
    fails("get", d / "z.npz/nothere", says=("nothere", "'x'"))
    np.savez_compressed(d / "c.npz", x=np.arange(100000.0))
    assert run("get", d / "c.npz/x", "99999").strip() == "99999.0"


def check_stats(d):
    for t, v in numeric_arrays():
        path = array(d, "a.npy", v)
        for slice_, axis in (("", None), ("[2:9, ::-1, 1:]", None), ("", (0, 2)), ("", (1,)), ("3", (0,)), ("", (-1,))):
            part = eval(f"v[{slice_.strip('[]')}]") if slice_ else v
            arguments = [path] + ([slice_] if slice_ else []) + (["--axis", ",".join(map(str, axis))] if axis else [])
            got = json.loads(run("stats", *arguments, "--json"))
            assert list(got) == ["path", "dtype", "shape", "count", "nan_count", "min", "max", "mean", "stddev", "sum"], got
            assert got["shape"] == list(part.shape) and got["path"] == str(path)
            wide = part.astype({"f": "f8", "c": "c16"}.get(part.dtype.kind, part.dtype.str)) if part.dtype.kind != "b" else part.astype("u1")
            reduced = part.size // max(int(np.prod([part.shape[i] for i in range(part.ndim) if axis and i not in {a % part.ndim for a in axis}])), 1)
            is_complex = part.dtype.kind == "c"
            want = dict(count=np.full(np.sum(part, axis=axis).shape, reduced), nan_count=np.isnan(part).sum(axis=axis), sum=np.nansum(wide, axis=axis),
                        mean=np.nanmean(wide, axis=axis), stddev=np.nanstd(wide, axis=axis))
            if is_complex:
                assert got["min"] is None and got["max"] is None
            else:
                want.update(min=np.nanmin(wide, axis=axis), max=np.nanmax(wide, axis=axis))
            for name, values in want.items():
                flat = [got[name]] if axis is None else got[name]
                for _ in range(np.ndim(values) - 1):
                    flat = [x for row in flat for x in row]
                exact = name in ("count", "nan_count", "min", "max") or (name == "sum" and part.dtype.kind in "biu")
                for g, w in zip(flat, np.ravel(values).tolist(), strict=True):
                    close(g, w, f"{t} {arguments[1:]} {name}", 0 if exact else 1e-11)
    nothing = {"min": None, "max": None, "mean": None, "stddev": None, "sum": None}
    assert json.loads(run("stats", array(d, "e.npy", np.zeros((0, 3))), "--json")).items() >= {"count": 0, "nan_count": 0, **nothing}.items()
    assert json.loads(run("stats", array(d, "n.npy", np.full(4, np.nan, "f4")), "--json")).items() >= {"count": 4, "nan_count": 4, **nothing}.items()
    got = json.loads(run("stats", array(d, "n.npy", np.array([[1.0, np.nan], [2, np.nan]])), "--axis", "0", "--json"))
    assert got["max"] == [2.0, None] and got["sum"] == [3.0, None] and got["nan_count"] == [0, 2] and got["count"] == [2, 2], got
    got = json.loads(run("stats", array(d, "i.npy", np.array([1, np.inf])), "--json"))
    assert got["max"] == got["mean"] == got["sum"] == "Infinity" and got["stddev"] == "NaN", got
    got = json.loads(run("stats", array(d, "b.npy", np.array([True, False, True])), "--json"))
    assert got["min"] == 0 and got["max"] == 1 and got["sum"] == 2 and type(got["max"]) is int, got
    got = json.loads(run("stats", array(d, "u.npy", np.array([2**64 - 1], "u8")), "--json"))
    assert got["max"] == got["sum"] == 2**64 - 1
    assert "stddev" in run("stats", d / "u.npy") and "[" in run("stats", d / "n.npy", "--axis", "0")
    fails("stats", array(d, "s.npy", np.array(["a", "b"])), says="numeric")
    fails("stats", d / "u.npy", "--axis", "1", says="axis")
    fails("stats", d / "n.npy", "--axis", "time", says="time")
    fails("stats", d / "n.npy", "--axis", "0,,1", code=2, says="--axis")


def diff(a, b, *options, equal, **more):
    p = run("diff", a, b, "--json", *options, code=None, **more)
    assert p.returncode == (0 if equal else 1) and p.stderr == "", (a, b, options, p)
    got = json.loads(p.stdout)
    assert got["equal"] is equal, got
    return got


def as_number(value):
    """An element of JSON as Python has it; floats are those of float64, integers exact."""
    if isinstance(value, list):
        return complex(*map(as_number, value))
    return {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}[value] if isinstance(value, str) else value


def difference_of(a, b, rtol, atol):
    """What a comparison must find, element by element in Python's exact numbers: the indices that differ and the largest errors."""
    different, absolute, relative = [], [], []
    with np.errstate(all="ignore"):
        for index in np.ndindex(a.shape):
            x, y = a[index].item(), b[index].item()
            is_integer = isinstance(x, (int, bool)) and isinstance(y, (int, bool))
            if x == y or (x != x and y != y):
                error, same = 0, True
            elif not is_integer and not all(np.isfinite(np.complex128(v)) for v in (x, y)):
                parts = [abs(p - q) if p != q else 0 for p, q in ((complex(x).real, complex(y).real), (complex(x).imag, complex(y).imag))]
                error, same = math.nan if any(map(math.isnan, parts)) else math.hypot(*parts), False
            else:
                exact = all(isinstance(v, (int, float)) for v in (x, y))
                error = float(abs(Fraction(x) - Fraction(y))) if exact and not is_integer else abs(x - y)
                same = error <= atol + rtol * abs(float(y) if exact else y)
            if not same:
                different.append(index)
            if error == error and error > 0:
                absolute.append((error, index))
                size = abs(float(y)) if isinstance(y, (int, float)) else abs(y)
                if size > 0 and math.isfinite(size):
                    relative.append((float(error) / size, index))
    largest = lambda errors: max(errors, key=lambda e: (e[0], [-i for i in e[1]]), default=None)
    return different, largest(absolute), largest(relative)


def check_diff(d):
    a = np.arange(12.0).reshape(3, 4)
    b = a.copy()
    b[0, 0], b[1, 2], b[2, 3] = -0.0, 8, np.nan
    pa, pb = array(d, "a.npy", a), array(d, "b.npy", b)
    assert run("diff", pa, pa) == "equal            float64 (3, 4)\n"
    p = run("diff", pa, pb, code=None)
    assert p.returncode == 1 and p.stderr == "" and p.stdout.splitlines() == [
        f"different        {pa} and {pb}", "elements         2 of 12 differ", "absolute error   2.0 at (1, 2): 6.0 and 8.0",
        "relative error   0.25 at (1, 2): 6.0 and 8.0", "  (1, 2)         6.0 and 8.0", "  (2, 3)         11.0 and nan"], p.stdout
    got = diff(pa, pb, equal=False)
    side = {"kind": "array", "dtype": "<f8", "shape": [3, 4], "dims": None}
    worst = {"index": [1, 2], "a": 6.0, "b": 8.0}
    assert got == {"equal": False, "a": {"path": str(pa), **side}, "b": {"path": str(pb), **side}, "dtype": "<f8", "shape": [3, 4], "count": 12, "different": 2,
                   "first_different": [worst, {"index": [2, 3], "a": 11.0, "b": "NaN"}], "max_absolute_error": {"value": 2.0, **worst},
                   "max_relative_error": {"value": 0.25, **worst}, "attributes": []}, got
    assert diff(pa, pb, "--rtol", "0.25", equal=False)["different"] == 1 and diff(pa, pb, "--atol=2", equal=False)["different"] == 1
    b[2, 3] = 11
    diff(pa, array(d, "c.npy", b), "--rtol", ".25", equal=True), diff(pa, d / "c.npy", "--rtol", ".2499", equal=False), diff(pa, d / "c.npy", "--atol", "2", equal=True)
    assert "absolute error   2.0" in run("diff", pa, d / "c.npy", "--atol", "2")
    assert run("diff", pb, pb).startswith("equal"), "NaN equals NaN"
    # Shape and dtype.
    got = diff(pa, array(d, "t.npy", a.T), equal=False)
    assert got["shape"] is got["count"] is got["different"] is got["max_absolute_error"] is None and got["b"]["shape"] == [4, 3] and got["first_different"] == []
    got = diff(pa, array(d, "f.npy", a.astype("f4")), equal=False)
    assert got["dtype"] is None and got["different"] == 0 and got["b"]["dtype"] == "<f4", got
    got = diff(pa, array(d, "s.npy", a.astype("S3")), equal=False)
    assert got["different"] is None and got["dtype"] is None and got["shape"] == [3, 4]
    diff(pa, array(d, "big.npy", a.astype(">f8")), equal=True), diff(pa, array(d, "order.npy", np.asfortranarray(a)), equal=True)
    for shape in ((), (0,), (3, 0), (1, 1, 1)):
        assert diff(array(d, "x.npy", np.ones(shape)), array(d, "y.npy", np.ones(shape)), equal=True)["count"] == math.prod(shape)
    assert diff(array(d, "x.npy", np.array(1)), array(d, "y.npy", np.array(2)), equal=False)["first_different"] == [{"index": [], "a": 1, "b": 2}]
    # What is exact.
    top = array(d, "top.npy", np.array([2**64 - 1, 2**63, 5], "u8"))
    got = diff(top, array(d, "y.npy", np.array([0, 2**63 - 1, 5], "u8")), "--rtol", "1e-19", equal=False)
    assert got["different"] == 2 and got["max_absolute_error"]["value"] == 2**64 - 1 and got["max_relative_error"]["index"] == [1], got
    got = diff(array(d, "x.npy", np.array([-2**63, 2**53 + 1])), array(d, "y.npy", np.array([2**63 - 1, 2**53])), equal=False)
    assert got["different"] == 2 and got["max_absolute_error"]["value"] == 2**64 - 1, got
    assert diff(d / "x.npy", array(d, "y.npy", np.array([-2.0**63, 2.0**53])), equal=False)["first_different"] == [{"index": [1], "a": 2**53 + 1, "b": 2.0**53}]
    assert diff(top, array(d, "y.npy", np.array([-1, 2**63 - 1, 5])), equal=False)["different"] == 2
    assert diff(top, array(d, "y.npy", np.array([2.0**64, 2.0**63, 5])), equal=False)["first_different"] == [{"index": [0], "a": 2**64 - 1, "b": 2.0**64}]
    # Types without arithmetic; padding is no value.
    record = np.dtype({"names": ["i", "v", "s"], "formats": ["i4", ("f8", (2,)), "S3"], "offsets": [0, 8, 24], "itemsize": 32})
    r = np.frombuffer(np.random.default_rng(1).bytes(32 * 50), record)
    q = r.copy()
    q.view("u1").reshape(50, 32)[:, [4, 5, 6, 7, 27, 28, 29, 30, 31]] ^= 255
    diff(array(d, "x.npy", r), array(d, "y.npy", q), equal=True)
    q["v"][17, 1], q["s"][40] = 1, b"xyz"
    got = diff(d / "x.npy", array(d, "y.npy", q), "--rtol", "9", equal=False)
    assert [p["index"] for p in got["first_different"]] == [[17], [40]] and got["different"] == 2 and got["first_different"][0]["b"]["v"][1] == 1, got
    for x, y in ((np.array(["a", "b", "c"]), np.array(["a", "x", "c"])), (np.array(["2024-02-29", "NaT"], "M8[D]"), np.array(["2024-02-29", "2000-01-01"], "M8[D]"))):
        assert [p["index"] for p in diff(array(d, "x.npy", x), array(d, "y.npy", y), equal=False)["first_different"]] == [[1]]
    # Trouble.
    fails("diff", pa, d / "none.npy", code=2, says="none.npy")
    (d / "short.npy").write_bytes(pa.read_bytes()[:-8])
    fails("diff", pa, d / "short.npy", code=2), fails("diff", pa, code=2, says="B"), fails("diff", pa, pb, "--memory", "1B", code=2)
    for bad in ("x", "-1", "nan", "inf", "1e"):
        fails("diff", pa, pb, "--atol=" + bad, code=2, says="--atol"), fails("diff", pa, pb, "--rtol", bad, code=2, says="--rtol")
    fails("diff", pa, pb, code=2, env={"MORSEL_MEMORY": "lots"})
    with open("/dev/full", "w") as full:
        assert subprocess.run([command, "diff", str(pa), str(pa)], stdout=full, stderr=subprocess.PIPE).returncode == 2


def check_diff_of_containers(d):
    a = np.arange(12.0).reshape(3, 4)
    np.savez(d / "a.npz", **{"same": a, "g/other": a, "only/a": a, "text": np.array(["x"])})
    np.savez(d / "b.npz", **{"same": a, "g/other": a + [0, 0, 0, 1], "b": a, "text": np.array(["x"])})
    np.savez_compressed(d / "c.npz", **dict(np.load(d / "a.npz")))
    got = diff(d / "a.npz", d / "b.npz", equal=False)
    assert got["a"] == {"path": str(d / "a.npz"), "kind": "group"} and [m["path"] for m in got["only_in_b"]] == ["b"], got
    assert [m["path"] for m in got["only_in_a"]] in (["only"], ["only/a"]) and got["other_kind"] == got["groups"] == [], got
    assert {m["path"]: (m["equal"], m["different"]) for m in got["arrays"]} == {"same": (True, 0), "g/other": (False, 3), "text": (True, 0)}, got
    text = run("diff", d / "a.npz", d / "b.npz", code=None)
    assert text.returncode == 1 and "2 of 3 common arrays equal" in text.stdout and "only in A" in text.stdout and "3 of 12 differ" in text.stdout, text
    diff(d / "a.npz", d / "c.npz", equal=True), diff(d / "a.npz", d / "b.npz", "--dataset", "same", equal=True)
    got = diff(d / "a.npz", array(d, "a.npy", a), equal=False)
    assert (got["a"]["kind"], got["b"]["kind"]) == ("group", "array") and diff(d / "a.npz/same", d / "a.npy", equal=True)["count"] == 12
    # An array that cannot be read does not hide the others, but it is trouble.
    np.savez(d / "o.npz", same=a + 1, text=np.array([None]))
    p = run("diff", d / "a.npz", d / "o.npz", "--json", code=None)
    got = {m["path"]: m for m in json.loads(p.stdout)["arrays"]}
    assert p.returncode == 2 and len(p.stderr.splitlines()) == 1 and "text" in p.stderr, p
    assert got["same"]["different"] == 12 and got["text"]["equal"] is None and got["text"]["error"], got


def check_diff_against_numpy(d):
    g = np.random.default_rng(8)
    special = {"f": [0.0, -0.0, np.nan, np.inf, -np.inf, 1.0, 1.5], "c": [0, 1j, complex(np.nan, 1), complex(np.inf, 0), complex(0, -np.inf), 1 + 1j]}
    types = ["?", "i1", "i4", "i8", "u1", "u2", "u8", "f2", "f4", "f8", ">f8", "c8", "c16"]

    def some(t, shape):
        kind = np.dtype(t).kind
        if kind in "fc":
            v = np.where(g.random(shape) < 0.5, g.choice(special[kind], shape), g.integers(-3, 3, shape) + (1j * g.integers(-3, 3, shape) if kind == "c" else g.normal(size=shape)))
            return v.astype(t)
        if kind == "b":
            return g.random(shape) < 0.5
        info = np.iinfo(t)
        v = g.choice(np.array([info.min, info.max, 0, 1, 2, 100, info.max - 1], "O"), shape)
        return v.astype(t)

    for k in range(90):
        t, u = g.choice(types, 2) if k % 3 == 0 else [g.choice(types)] * 2
        shape = tuple(g.integers(1, 9, g.integers(0, 4)))
        a = np.asarray(some(t, shape))
        b = np.asarray(some(u, shape))
        if t == u:
            b = np.where(g.random(shape) < 0.8, a, b).astype(u)
        rtol, atol = g.choice([0, 0, 1e-9, 0.125]), g.choice([0, 0, 0.5, 1, 1e-12])
        if g.random() < 0.4:
            b = b.copy(order="F")
        want, absolute, relative = difference_of(a, b, rtol, atol)
        pa, pb = array(d, "a.npy", a), array(d, "b.npy", b)
        same_dtype = a.dtype.newbyteorder("=") == b.dtype.newbyteorder("=")
        got = diff(pa, pb, "--rtol", rtol, "--atol", atol, "--threads", g.integers(1, 4), equal=same_dtype and not want)
        assert got["different"] == len(want) and [tuple(p["index"]) for p in got["first_different"]] == want[:10], (t, u, rtol, atol, got, want)
        for pair in got["first_different"]:
            for name, v in (("a", a), ("b", b)):
                x, y = as_number(pair[name]), v[tuple(pair["index"])]
                assert np.array_equal(np.array(x).astype(v.dtype), y, equal_nan=v.dtype.kind in "fc"), (pair, y)
        for key, worst in (("max_absolute_error", absolute), ("max_relative_error", relative)):
            if worst is None:
                assert got[key] is None, (t, u, key, got[key])
                continue
            value = as_number(got[key]["value"])
            if isinstance(worst[0], int):
                assert value == worst[0] and tuple(got[key]["index"]) == worst[1], (t, u, key, got[key], worst)
            else:
                close(value, worst[0], (t, u, key, got[key], worst))
        # NumPy's own opinion, where it computes in float64 or exactly.
        if t == u and a.dtype.kind in "fc":
            wide = np.complex128 if a.dtype.kind == "c" else np.float64
            with np.errstate(all="ignore"):
                same = np.isclose(a.astype(wide), b.astype(wide), rtol=rtol, atol=atol, equal_nan=True)
            assert got["different"] == np.count_nonzero(~same), (t, rtol, atol)
        elif t == u and rtol == atol == 0:
            assert got["different"] == np.count_nonzero(a != b), t
    # Many chunks, threads and budgets: one answer.
    a = g.normal(size=(900, 1000))
    b = a + g.choice([0, 1e-3], a.shape, p=[0.999, 0.001])
    b[899, 999] = a[899, 999] + 1
    where = np.argwhere(a != b)
    pb = array(d, "b.npy", np.asfortranarray(b))
    pa = array(d, "a.npy", a)
    want = diff(pa, pb, equal=False)
    assert want["different"] == len(where) and [p["index"] for p in want["first_different"]] == where[:10].tolist()
    assert want["max_absolute_error"]["index"] == [899, 999] and want["max_absolute_error"]["value"] == abs(a - b).max()
    assert want["max_relative_error"]["value"] == (abs(a - b) / abs(b)).max()
    for more in (["--threads", "1"], ["--threads", "3", "--memory", "4MiB"], ["--memory", "64MiB"]):
        assert diff(pa, pb, *more, equal=False) == want, more
    va, vb = array(d, "va.npy", a.view("V8")), array(d, "vb.npy", b.view("V8"))
    got = diff(va, vb, "--memory", "8MiB", equal=False)
    assert got["different"] == len(where) and [p["index"] for p in got["first_different"]] == where[:10].tolist()


def check_get(d):
    g = np.random.default_rng(5)
    record = np.zeros(7, np.dtype([("id", "<i4"), ("v", ">f8", (2,)), ("name", "S3"), ("t", "U2")], align=True))
    record["id"], record["v"], record["name"], record["t"] = np.arange(7), g.normal(size=(7, 2)), b"ab", "\u00e9"
    arrays = [v for _, v in numeric_arrays()]
    arrays += [record, np.array([["a", "bcd"], ["", "\u1f600"]]), np.array([b"x", b"yz"]), np.array(["2024-02-29", "NaT"], "M8[ns]"), np.arange(5).astype("m8[s]"),
               np.frombuffer(b"abcdef", "V3"), np.asfortranarray(g.normal(size=(4, 5, 6))), np.array(3.5), np.zeros((0, 4)), np.zeros((3, 0), "i2"),
               np.float32(1) * np.ones((1, 1, 1))]
    for v in arrays:
        path = array(d, "a.npy", v)
        run("get", path, "-o", d / "out.npy")
        got = np.load(d / "out.npy")
        native = v.dtype if v.dtype.names else v.dtype.newbyteorder("<")
        assert got.shape == v.shape and got.dtype == v.dtype.newbyteorder("<") and got.flags.c_contiguous, (got.dtype, v.dtype)
        assert got.tobytes() == np.ascontiguousarray(v.astype(got.dtype)).tobytes() or np.array_equal(got, v), v.dtype
    v = g.normal(size=(13, 7, 5))
    path = array(d, "a.npy", v)
    for text in ("0", "-1", "...", "2:9", "[2:9, ::-1, ..., None]", ":, 3", "-3:, -1", "::-2", "5:2", "[..., 0]", "None, 0", "[-1:-5:-1]"):
        run("get", path, text, "-o", d / "out.npy")
        want = eval(f"v[{text[1:-1] if text[0] == '[' else text}]")
        got = np.load(d / "out.npy")
        assert got.shape == want.shape and np.array_equal(got, want), text
    assert left_in(d) == ["a.npy", "out.npy"]
    (d / "b=c").mkdir()
    odd = array(d / "b=c", "we?ird #[0] *.npy", v)
    run("get", odd, "0", "-o", d / "out.npy")
    assert np.array_equal(np.load(d / "out.npy"), v[0])
    assert json.loads(run("eval", "a[0]", f"a={odd}", "-o", d / "[x].npy", "--json"))["shape"] == [7, 5]
    assert np.array_equal(np.load(d / "[x].npy"), v[0])


def check_csv(d):
    g = np.random.default_rng(6)
    for v in (g.normal(size=(40, 7)), g.normal(size=9).astype("f4"), np.arange(12).reshape(3, 4), np.array(2.5), np.array([[True, False]]),
              np.array([[np.nan, np.inf, -0.0]]), g.normal(size=(300, 700)), np.asfortranarray(g.normal(size=(50, 60)))):
        run("get", array(d, "a.npy", v), "-o", d / "a.csv")
        got = np.loadtxt(d / "a.csv", delimiter=",", dtype=v.dtype if v.dtype != bool else "u1", ndmin=v.ndim)
        assert np.array_equal(got.reshape(v.shape).view(v.dtype if v.dtype != bool else "u1"), v, equal_nan=True), v
    run("get", array(d, "a.npy", np.zeros((0, 3))), "-o", d / "a.csv")
    assert (d / "a.csv").read_text() == ""
    run("get", array(d, "a.npy", np.arange(8).reshape(2, 2, 2)), "-o", d / "a.csv")
    assert (d / "a.csv").read_text() == "0,0,0,0\n0,0,1,1\n0,1,0,2\n0,1,1,3\n1,0,0,4\n1,0,1,5\n1,1,0,6\n1,1,1,7\n"
    run("get", array(d, "a.npy", np.array([(1, 2.5, "x,y")], [("a", "i4"), ("b", "f4"), ("c", "U5")])), "-o", d / "a.csv")
    assert (d / "a.csv").read_text() == 'a,b,c\n1,2.5,"x,y"\n'
    run("get", array(d, "a.npy", np.array([1 + 2j])), "-o", d / "a.csv")
    assert np.loadtxt(d / "a.csv", dtype=complex) == 1 + 2j
    big = g.integers(0, 9, (200, 3000))
    run("get", array(d, "a.npy", big), "-o", d / "a.csv", "--memory", "12MiB")
    assert np.array_equal(np.loadtxt(d / "a.csv", delimiter=",", dtype=int), big)
    assert left_in(d) == ["a.csv", "a.npy"]


def check_print(d):
    path = array(d, "a.npy", np.arange(6).reshape(2, 3))
    for arguments in (["get", path], ["get", path, "-o", "-"], ["eval", "a", f"a={path}"], ["eval", "a", f"a={path}", "-o", "-"]):
        assert run(*arguments) == "[[0 1 2]\n [3 4 5]]\n", run(*arguments)
    assert run("get", path, "1,2") == "5\n"
    assert json.loads(run("get", path, "--json")) == {"dtype": "<i8", "shape": [2, 3], "values": [[0, 1, 2], [3, 4, 5]]}
    assert json.loads(run("eval", "a[0] / a[0]", f"a={path}", "--json"))["values"] == ["NaN", 1.0, 1.0]
    large = array(d, "l.npy", np.arange(10**6).reshape(1000, 1000))
    text = run("get", large)
    assert "1000000 elements" in text and "999999" in text and len(text) < 2000, text
    fails("get", large, "--json", says="100000")
    assert run("get", array(d, "s.npy", np.array(["it's", "x"]))) == "['it\\'s'     'x']\n"
    deep = array(d, "deep.npy", np.zeros((2,) * 14))
    assert "16384 elements" in run("get", deep)
    assert run("eval", "1 + 2 * 3").strip() == "7" and run("eval", "a.shape", f"a={path}").strip() == "[2 3]"


def check_eval(d):
    v = np.arange(12.0).reshape(3, 4)
    path = array(d, "a.npy", v)
    run("eval", "-a + 1", f"a={path}", "-o", d / "out.npy")
    assert np.array_equal(np.load(d / "out.npy"), -v + 1)
    run("eval", "-o", d / "out.npy", "--", "-a", f"a={path}")
    assert np.array_equal(np.load(d / "out.npy"), -v)
    assert run("eval", "-h", f"h={path}", "--json") != "" and json.loads(run("eval", "-h", f"h={path}", "--json"))["shape"] == [3, 4]
    assert run("eval", "sum(pi)", f"pi={path}").strip() == "66.0", "a name hides a constant"
    assert run("eval", "1", "unused=/nowhere.npy").strip() == "1"
    run("eval", "a + b", f"a={path}", f"b={path}", "-o", d / "out.npy", "--memory", "16MiB", "--threads", "1", "--chunks", "2,-1", "--no-progress")
    assert np.array_equal(np.load(d / "out.npy"), v + v)
    run("--memory", "16MiB", "eval", "a", f"a={path}", "-o", d / "out.npy")
    table = run("eval", "--functions")
    assert "| `mean(x, axis=None, dtype=None, *, keepdims=False)` | `average` |" in table
    fails("eval", "a +", f"a={path}", code=2, says="column 4")
    fails("eval", "a[99]", f"a={path}", says="column 2")
    fails("eval", "a + b", f"a={path}", "b=/nowhere.npy", says=("column 5", "/nowhere.npy"))
    fails("eval", "a", "a", code=2, says="name=SRC")
    fails("eval", "a", "1a=x", code=2, says="1a")
    fails("eval", "a", "a=", code=2)
    fails("eval", "a", f"a={path}", f"a={path}", code=2, says="twice")
    fails("eval", "a", f"a={path}", "--chunks", "1,,2", code=2, says="--chunks")
    fails("eval", code=2)
    powers = "a.astype('i4') ** -a.astype('i4')"
    fails("eval", powers, f"a={path}", says=f"morsel: eval '{powers}': pow: negative integer exponent; expected")
    fails("eval", "a", f"a={path}", "-o", d / "x.png", says="morsel: eval 'a': writing ")


def check_targets(d):
    path = array(d, "a.npy", np.arange(6.0))
    before = path.read_bytes()
    for arguments in (["get", path, "-o", path], ["eval", "a + 1", f"a={path}", "-o", path], ["get", path, "-o", d / "." / "a.npy"],
                      ["copy", path, path, "--overwrite"], ["explain", "get", path, "-o", path]):
        fails(*arguments)
        assert path.read_bytes() == before
    os.symlink("a.npy", d / "link.npy")
    fails("get", path, "-o", d / "link.npy")
    assert path.read_bytes() == before
    (d / "dir.npy").mkdir()
    (d / "dir.csv").mkdir()
    for name in ("dir.npy", "dir.csv", "no/such/dir.npy", "x.png", "x.zarr.zip", "x", "x.npz"):
        fails("get", path, "-o", d / name)
        fails("eval", "a", f"a={path}", "-o", d / name)
    fails("get", path, "-o", d / "x.png", says="picture")
    run("copy", path, d / "copy.npy")
    assert np.array_equal(np.load(d / "copy.npy"), np.arange(6.0))
    (d / "other.npy").write_text("other")
    for existing in ("other.npy", "copy.npy"):
        content = (d / existing).read_bytes()
        fails("copy", path, d / existing, says="exist")
        assert (d / existing).read_bytes() == content
    run("copy", path, d / "other.npy", "--overwrite", "--json")
    assert np.array_equal(np.load(d / "other.npy"), np.arange(6.0))
    run("get", path, "0:3", "-o", d / "other.npy")
    assert np.array_equal(np.load(d / "other.npy"), np.arange(3.0))
    fails("copy", path, d / "c.npy", "--codec", "zstd:3", says="--codec")
    fails("copy", path, d / "c.npy", "--shards", "3", says="--shards")
    fails("copy", path, d / "c.npy", "--chunks", "3", says="--chunks")
    fails("copy", path, d / "c.csv", "--chunks", "3", says="--chunks")
    run("copy", path, d / "t.csv")
    fails("copy", path, d / "t.csv", says="exist")
    names = left_in(d)
    fails("eval", "i ** j", f"i={array(d, 'i.npy', np.array([2]))}", f"j={array(d, 'j.npy', np.array([-1]))}", "-o", d / "power.npy")
    fails("eval", "i ** j", f"i={d}/i.npy", f"j={d}/j.npy", "-o", d / "power.csv")
    assert left_in(d) == sorted(names + ["i.npy", "j.npy"]), "a failed run leaves nothing behind"


def check_refusals(d):
    path = array(d, "a.npy", np.arange(6.0))
    (d / "short.npy").write_bytes(path.read_bytes()[:-8])
    (d / "text.npy").write_text("not an array")
    (d / "new\nline.npy").write_text("x")
    np.save(d / "o.npy", np.array([None]), allow_pickle=True)
    table = [
        ([], 2), (["nonsense"], 2), (["get"], 2), (["--nonsense"], 2), (["get", path, "--nonsense"], 2), (["get", path, "0", "extra"], 2), (["explain"], 2),
        (["explain", "info", path], 2), (["get", path, "-o"], 2), (["get", path, "-x"], 2), (["get", path, "0:x"], 2), (["get", path, "1.5"], 2),
        (["get", path, "[0"], 2), (["get", path, "::0"], 2), (["get", path, "99"], 1), (["get", path, "0,0"], 1), (["get", path, "..., ..."], None),
        (["get", path, "--memory", "lots"], 2), (["get", path, "--memory", "0"], 2), (["get", path, "--threads", "0"], 2), (["get", path, "--threads", "x"], 2),
        (["get", path, "--threads"], 2), (["get", path, "--progress", "--no-progress"], 2), (["get", path, "--json=yes"], 2), (["stats", path, "--axis"], 2),
        (["info", d / "nosuch.npy"], 1), (["info", d], 0), (["info", ""], None), (["get", path / "inside"], 1), (["info", d / "text.npy"], 1), (["get", d / "short.npy"], 1),
        (["info", d / "new\nline.npy"], 1), (["get", d / "o.npy"], 1), (["info", "/dev/null"], 1), (["tree", d / "nosuch"], 1), (["copy", path], 2),
        (["copy", path, "-"], 2), (["stats", path, "-o", "x.npy"], 2), (["get", path, "--memory", "1B"], 1), (["eval", "sum(a)", f"a={path}", "--memory", "10KiB"], 1),
        (["get", path, "--trace", d / "no" / "trace.json"], 1),
    ]
    for arguments, code in table:
        if code is not None:
            run(*arguments, code=code)
        else:
            p = subprocess.run([command, *map(str, arguments)], capture_output=True, text=True, timeout=60)
            assert p.returncode in (1, 2) and len(p.stderr.splitlines()) == 1, (arguments, p)
    fails("get", path, "--memory", "1B", says="expected")
    fails("get", path, "0:x", code=2, says="column")
    fails("explain", "info", path, code=2, says="explain: unknown command 'info'; expected stats, get, eval or copy\n")
    for name, value in (("MEMORY", "lots"), ("MEMORY", "0"), ("THREADS", "x"), ("THREADS", "0"), ("SIMD", "foo")):
        for arguments in (["eval", "sum(a)", f"a={path}"], ["get", path], ["info", path]):
            message = run(*arguments, code=1, env={f"MORSEL_{name}": value})
            assert re.match(rf"morsel: (reading )?MORSEL_{name}: .*'{value}'$", message), message


def check_explain(d):
    path = array(d, "a.npy", np.zeros((100, 50)))
    for arguments in (["get", path], ["get", path, "0:5", "-o", d / "x.npy"], ["stats", path, "--axis", "0"], ["eval", "mean(a * 2)", f"a={path}", "-o", d / "x.csv"],
                      ["copy", path, d / "x.npy"]):
        text = run("explain", *arguments)
        assert "100" in text and "pass" in text, text
        json.loads(run("explain", *arguments, "--json"))
    assert left_in(d) == ["a.npy"], "explain writes nothing"


def check_options(d):
    path = array(d, "a.npy", np.random.default_rng(1).normal(size=(400, 500)))
    want = run("stats", path, "--json")
    for more in (["--threads", "1"], ["--threads", "3"], ["--memory", "2MiB"], ["--memory=64MiB", "--threads=2"]):
        assert run("stats", path, "--json", *more) == want, more
    for env in ({"MORSEL_THREADS": "1"}, {"MORSEL_SIMD": "baseline"}, {"MORSEL_MEMORY": "4MiB"}):
        assert run("stats", path, "--json", env=env) == want, env
    run("stats", path, "--trace", d / "trace.json")
    assert json.loads((d / "trace.json").read_text())
    before = path.read_bytes()
    for more in ({"arguments": ["--trace", path]}, {"env": {"MORSEL_TRACE": str(path)}}):
        fails("eval", "sum(a)", f"a={path}", *more.get("arguments", []), says="writing the trace", env=more.get("env"))
    fails("eval", "a * 2", f"a={path}", "-o", d / "out.npy", "--trace", d / "out.npy", says="writing the trace")
    assert path.read_bytes() == before and left_in(d) == ["a.npy", "trace.json"], left_in(d)
    tiny = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
    p = run("stats", path, "--json", "--trace", d / "late.json", code=None, preexec_fn=tiny)
    assert p.returncode == 1 and p.stdout == want and re.fullmatch(r"morsel: writing the trace .*: File too large; all else is done\n", p.stderr), p
    assert left_in(d) == ["a.npy", "trace.json"], left_in(d)
    p = subprocess.run([command, "stats", str(path), "--progress"], capture_output=True, text=True, env=plain)
    assert p.returncode == 0 and p.stderr, "--progress shows something"
    p = subprocess.run([command, "stats", str(path)], capture_output=True, text=True, env={**plain, "MORSEL_PROGRESS": "1"})
    assert p.returncode == 0 and p.stderr
    run("stats", path, "--no-progress", env={"MORSEL_PROGRESS": "1"})


def check_streams(d):
    path = array(d, "a.npy", np.arange(1000.0))
    with open("/dev/full", "w") as full:
        p = subprocess.run([command, "get", str(path)], stdout=full, stderr=subprocess.PIPE, text=True)
    assert p.returncode == 1 and len(p.stderr.splitlines()) == 1 and "standard output" in p.stderr, p
    p = subprocess.Popen([command, "get", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    p.stdout.close()
    assert p.wait(60) in (0, 141, -signal.SIGPIPE) and p.stderr.read() == "", "a closed pipe is no failure"


def on_terminal(*arguments, interrupt_after=None):
    """Exit code and what a terminal on stderr shows."""
    master, slave = pty.openpty()
    p = subprocess.Popen([command, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=slave, env=plain)
    os.close(slave)
    if interrupt_after:
        time.sleep(interrupt_after)
        p.send_signal(signal.SIGINT)
    shown = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    return p.wait(60), shown.decode()


def check_terminal(d):
    path = array(d, "a.npy", np.arange(1000.0))
    assert on_terminal("stats", path) == (0, ""), "no bar for what is over at once"
    assert on_terminal("stats", path, "--no-progress") == (0, "")
    code, shown = on_terminal("stats", path, "--progress")
    assert code == 0 and shown.endswith("\n") and "100%" in shown, shown
    sparse(d / "big.npy")
    code, shown = on_terminal("eval", "sum(exp(sin(cos(a))) ** 1.7)", f"a={d}/big.npy", "--threads", "2", interrupt_after=2)
    assert code == 130 and "%" in shown, (code, shown)
    assert shown.split("\r\033[K")[-1].startswith("morsel: interrupted"), shown[-200:]


def sparse(path):
    with open(path, "wb") as f:  # 4 GiB that cost nothing to store
        np.lib.format.write_array_header_1_0(f, {"descr": "<f8", "fortran_order": False, "shape": (2**29,)})
        f.truncate(f.tell() + 2**32)


def check_interrupt(d):
    sparse(d / "big.npy")
    slow = "sum(exp(sin(cos(a))) ** 1.7)"
    for arguments in (["eval", slow, f"a={d}/big.npy"], ["eval", slow[4:-1], f"a={d}/big.npy", "-o", str(d / "out.npy")],
                      ["eval", slow[4:-1], f"a={d}/big.npy", "-o", str(d / "out.csv")], ["stats", str(d / "big.npy")],
                      ["diff", str(d / "big.npy"), str(d / "big.npy")]):
        p = subprocess.Popen([command, *arguments, "--threads", "2", "--memory", "64MiB"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=plain)
        time.sleep(0.4)
        assert p.poll() is None, f"{arguments}: over too soon"
        begin = time.monotonic()
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=60)
        assert p.returncode == 130, (p.returncode, err)
        assert time.monotonic() - begin < 5, "stops soon"
        assert out == "" and len(err.splitlines()) == 1 and "interrupted" in err, (out, err)
        assert left_in(d) == ["big.npy"], left_in(d)


def check_hangup_and_file_size(d):
    sparse(d / "big.npy")
    def interrupted(ignored):
        ignore = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN) if ignored else None
        p = subprocess.Popen([command, "eval", "exp(sin(cos(a)))", f"a={d}/big.npy", "-o", str(d / "out.npy"), "--memory", "64MiB"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, env=plain, preexec_fn=ignore)
        time.sleep(0.4)
        p.send_signal(signal.SIGHUP)
        if ignored:
            time.sleep(0.2)
            assert p.poll() is None, "as under nohup"
            p.send_signal(signal.SIGTERM)
        _, err = p.communicate(timeout=60)
        assert len(err.splitlines()) == 1 and "interrupted" in err and left_in(d) == ["big.npy"], (err, left_in(d))
        return p.returncode
    assert interrupted(ignored=False) == 128 + signal.SIGHUP and interrupted(ignored=True) == 128 + signal.SIGTERM
    os.unlink(d / "big.npy")
    path = array(d, "a.npy", np.zeros((100, 1000)))
    small = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100 << 10, resource.RLIM_INFINITY))
    for arguments in (["get", path, "-o", d / "out.npy"], ["get", path, "-o", d / "out.csv"], ["eval", "a + 1", f"a={path}", "-o", d / "out.npy"], ["copy", path, d / "out.npy"]):
        fails(*arguments, says="File too large", preexec_fn=small)
        assert left_in(d) == ["a.npy"], left_in(d)


def zarr_v2_array(folder, values, chunks, compressor=None, attributes=None, order="C", fill=0, shape=None):
    """A version 2 array written by hand: documents and chunks."""
    folder.mkdir(parents=True)
    (folder / ".zarray").write_text(json.dumps({"zarr_format": 2, "shape": list(values.shape), "chunks": list(chunks), "dtype": values.dtype.str, "compressor": compressor,
                                                "fill_value": fill, "order": order, "filters": None}))
    if attributes is not None:
        (folder / ".zattrs").write_text(json.dumps(attributes))
    for position in np.ndindex(*[-(-n // c) for n, c in zip(values.shape, chunks)]):
        chunk = np.full(chunks, fill, values.dtype)
        part = values[tuple(slice(i * c, (i + 1) * c) for i, c in zip(position, chunks))]
        chunk[tuple(slice(0, n) for n in part.shape)] = part
        data = chunk.tobytes(order)
        (folder / ".".join(map(str, position))).write_bytes(zlib.compress(data) if compressor else data)
    return folder


def hand_made_hierarchy(d):
    """in.zarr: groups with attributes, arrays of several dtypes; the arrays by path."""
    root = d / "in.zarr"
    (root / "g").mkdir(parents=True)
    (root / ".zgroup").write_text('{"zarr_format": 2}')
    (root / ".zattrs").write_text('{"title": "t\\u00e9st", "n": [1, 2.5, null]}')
    (root / "g" / ".zgroup").write_text('{"zarr_format": 2}')
    arrays = {
        "a": np.arange(13 * 7, dtype="<f4").reshape(13, 7),
        "g/b": np.arange(10, dtype=">i2"),
        "g/flags": np.array([True, False, True]),
        "g/when": np.array(["2001-02-03", "NaT", "1969-12-31"], "<M8[D]"),
        "g/words": np.array([b"ab", b"", b"xyz"], "S3"),
    }
    zarr_v2_array(root / "a", arrays["a"], (20, 4), {"id": "zlib", "level": 1}, {"units": "K", "_ARRAY_DIMENSIONS": ["y", "x"]}, order="F", fill=-1.5)
    for name in ("g/b", "g/flags"):
        zarr_v2_array(root / name, arrays[name], (4,))
    zarr_v2_array(root / "g" / "when", arrays["g/when"], (2,))
    zarr_v2_array(root / "g" / "words", arrays["g/words"], (2,), fill="")
    return root, arrays


def zarr_tree(folder):
    """Every file below a folder with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def values_of(d, path, *slices):
    """What `get` writes of an array, as NumPy reads it."""
    run("get", path, *slices, "-o", d / "values_of.npy")
    return np.load(d / "values_of.npy")


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def check_zarr_info_and_tree(d):
    root, arrays = hand_made_hierarchy(d)
    info = json.loads(run("info", root / "a", "--json"))
    assert list(info) == ["path", "format", "dtype", "shape", "chunks", "shards", "dims", "order", "fill_value", "codecs", "attributes", "nbytes", "stored_bytes"], info
    assert (info["format"], info["dtype"], info["shape"], info["chunks"], info["shards"]) == ("zarr_v2", "<f4", [13, 7], [20, 4], None), info
    assert (info["dims"], info["order"], info["fill_value"], info["nbytes"], info["stored_bytes"]) == (["y", "x"], "F", -1.5, 364, None), info
    assert info["codecs"][-1]["name"] == "numcodecs.zlib" and info["attributes"]["units"] == "K", info
    group = json.loads(run("info", root, "--json"))
    assert group["attributes"] == {"title": "tést", "n": [1, 2.5, None]} and [a["path"] for a in group["arrays"]] == sorted(arrays), group
    tree = json.loads(run("tree", root, "--json"))
    assert tree["name"] == "in.zarr" and [(c["name"], c["kind"]) for c in tree["children"]] == [("a", "array"), ("g", "group")], tree
    assert [c["name"] for c in tree["children"][1]["children"]] == ["b", "flags", "when", "words"]
    # Shards as they are stored: both reach beyond the array.
    sharded = d / "s.zarr"
    sharded.mkdir()
    bytes_codec = {"name": "bytes", "configuration": {"endian": "little"}}
    (sharded / "zarr.json").write_text(json.dumps({
        "zarr_format": 3, "node_type": "array", "shape": [13, 7], "data_type": "int16", "fill_value": 7, "attributes": {"k": {"deep": [1]}},
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [20, 8]}}, "chunk_key_encoding": {"name": "default"}, "dimension_names": ["y", None],
        "codecs": [{"name": "sharding_indexed", "configuration": {"chunk_shape": [5, 4], "codecs": [{"name": "transpose", "configuration": {"order": [1, 0]}}, bytes_codec],
                                                                   "index_codecs": [bytes_codec], "index_location": "start"}}]}))
    info = json.loads(run("info", sharded, "--json"))
    assert (info["chunks"], info["shards"], info["order"], info["dims"], info["fill_value"]) == ([5, 4], [20, 8], "F", ["y", None], 7), info
    assert [c["name"] for c in info["codecs"]] == ["sharding_indexed"] and info["attributes"] == {"k": {"deep": [1]}}, info
    assert np.array_equal(values_of(d, sharded), np.full((13, 7), 7, "i2"))
    stats = json.loads(run("stats", sharded, "--json"))
    assert (stats["count"], stats["sum"], stats["min"]) == (91, 637, 7), stats
    for arguments in (["get", sharded], ["stats", sharded], ["eval", "sum(a)", f"a={sharded}"], ["copy", sharded, d / "x.zarr"], ["copy", root, d / "x.zarr"]):
        assert run("explain", *arguments)
        json.loads(run("explain", *arguments, "--json"))
    assert left_in(d) == ["in.zarr", "s.zarr", "values_of.npy"], "explain writes nothing"
    # Archives, with the hierarchy at their root and in a folder.
    for name, base in (("flat.zarr.zip", root), ("nested.zip", d)):
        with zipfile.ZipFile(d / name, "w") as archive:
            for p in sorted(root.rglob("*")):
                if p.is_file():
                    archive.write(p, p.relative_to(base))
        assert same(values_of(d, d / name / "a"), arrays["a"]), name
        assert same(values_of(d, d / name / "g" / "b"), arrays["g/b"].astype("<i2")), name
        tree_of_zip = json.loads(run("tree", d / name, "--json"))
        assert tree_of_zip["children"] == tree["children"], name
        fails("get", d / name / "g" / "nothing", says="nothing")


def check_zarr_targets(d):
    values = np.arange(60, dtype="f8").reshape(12, 5)
    path = array(d, "a.npy", values)
    run("get", path, "2:9", "-o", d / "out.zarr")
    document = json.loads((d / "out.zarr" / "zarr.json").read_text())
    assert document["shape"] == [7, 5] and document["data_type"] == "float64" and document["zarr_format"] == 3
    assert same(values_of(d, d / "out.zarr"), values[2:9])
    before = zarr_tree(d / "out.zarr")
    for target in ("out.zarr", "out.zarr/", "out.zarr/below"):
        fails("get", path, "-o", f"{d}/{target}")
        fails("eval", "a", f"a={path}", "-o", f"{d}/{target}")
        fails("copy", path, f"{d}/{target}")
    assert zarr_tree(d / "out.zarr") == before
    assert json.loads(run("eval", "a * 2", f"a={path}", "-o", d / "all.zarr" / "g" / "twice", "--json")) == {
        "path": f"{d}/all.zarr/g/twice", "dtype": "<f8", "shape": [12, 5], "nbytes": 480}
    assert same(values_of(d, d / "all.zarr" / "g" / "twice"), values * 2)
    run("copy", path, d / "all.zarr" / "again", "--chunks", "5,-1", "--codec", "gzip:1", "--fill-value", "NaN")
    info = json.loads(run("info", d / "all.zarr" / "again", "--json"))
    assert info["chunks"] == [5, 5] and info["fill_value"] == "NaN" and [c["name"] for c in info["codecs"]] == ["bytes", "gzip"], info
    assert same(values_of(d, d / "all.zarr" / "again"), values)
    assert sorted(a["path"] for a in json.loads(run("info", d / "all.zarr", "--json"))["arrays"]) == ["again", "g/twice"]
    # Version 2, shards, chunks longer than the array.
    run("copy", path, d / "two.zarr", "--format", "zarr2", "--chunks", "100,2", "--codec", "zlib:1")
    document = json.loads((d / "two.zarr" / ".zarray").read_text())
    assert document["chunks"] == [100, 2] and document["compressor"]["id"] == "zlib" and document["dtype"] == "<f8", document
    chunk = np.frombuffer(zlib.decompress((d / "two.zarr" / "0.1").read_bytes()), "<f8").reshape(100, 2)
    assert np.array_equal(chunk[:12], values[:, 2:4]) and not chunk[12:].any()
    run("copy", path, d / "sharded.zarr", "--chunks", "2,5", "--shards", "6,5", "--codec", "none")
    info = json.loads(run("info", d / "sharded.zarr", "--json"))
    assert info["chunks"] == [2, 5] and info["shards"] == [6, 5], info
    shard = (d / "sharded.zarr" / "c" / "1" / "0").read_bytes()
    assert shard[:480 // 2] == values[6:].tobytes(), "inner chunks one after the other, then the index"
    assert same(values_of(d, d / "sharded.zarr", "3:11:2"), values[3:11:2])
    fails("copy", path, d / "bad.zarr", "--format", "zarr2", "--shards", "6,5", says="shards")
    fails("copy", path, d / "bad.zarr", "--chunks", "2,5", "--shards", "5,5", says="shards")
    fails("copy", path, d / "bad.zarr", "--codec", "nonsense", says="nonsense")
    fails("copy", path, d / "bad.zarr", "--format", "hdf5", code=2, says="zarr3 or zarr2")
    fails("copy", path, d / "bad.zarr", "--chunks", "x", code=2, says="--chunks")
    fails("copy", path, d / "bad.zarr", "--region", "0", "--append", "0", code=2, says="--append")
    fails("copy", path, d / "two.zarr" / "below", says="array")
    fails("copy", path, d / "c.npy", "--fill-value", "0", says="--fill-value")
    assert not (d / "bad.zarr").exists() and not (d / "c.npy").exists()
    fails("copy", path, d / "bad.zarr" / "__x", says="'__'")
    # A hierarchy has one version.
    run("copy", path, d / "groups.zarr" / "a", "--format", "zarr2")
    run("copy", path, d / "groups.zarr" / "b")
    assert (d / "groups.zarr" / "b" / ".zarray").exists() and not (d / "groups.zarr" / "zarr.json").exists()
    fails("copy", path, d / "groups.zarr" / "c", "--format", "zarr3", says="version")
    # Existing targets: replaced whole, grown, or refused.
    run("copy", path, d / "two.zarr", "--overwrite", "--chunks", "4,5")
    assert not (d / "two.zarr" / ".zarray").exists() and same(values_of(d, d / "two.zarr"), values)
    run("copy", array(d, "row.npy", values[:1] * 0 - 1), d / "two.zarr", "--append", "0")
    run("copy", array(d, "piece.npy", values[:2, :3] + 100), d / "two.zarr", "--region", "1:3, 2:5")
    expected = np.concatenate([values, values[:1] * 0 - 1])
    expected[1:3, 2:5] = values[:2, :3] + 100
    assert same(values_of(d, d / "two.zarr"), expected)
    fails("copy", d / "piece.npy", d / "two.zarr", "--append", "0")
    fails("copy", d / "piece.npy", d / "two.zarr", "--region", "0:1, 0:1")
    fails("copy", d / "piece.npy", d / "two.zarr", "--region", "0:2, 0:3", "--codec", "zstd", says="--codec")
    fails("copy", d / "piece.npy", d / "two.zarr", "--region", "0:x", code=2)
    fails("copy", d / "two.zarr", d / "two.zarr", "--overwrite", says="same")
    assert same(values_of(d, d / "two.zarr"), expected)
    (d / "full.zarr").mkdir()
    (d / "full.zarr" / "notes.txt").write_text("mine")
    fails("copy", path, d / "full.zarr", says="exists")
    assert zarr_tree(d / "full.zarr") == {"notes.txt": b"mine"}


def check_zarr_copies(d):
    root, arrays = hand_made_hierarchy(d)
    for options, version in (([], 3), (["--format", "zarr2"], 2)):
        out = d / f"out{version}.zarr"
        report = json.loads(run("copy", root, out, "--json", *options))
        assert report["groups"] == 2 and [a["path"] for a in report["arrays"]] == sorted(arrays) and report["skipped"] == [], report
        assert (out / ("zarr.json" if version == 3 else ".zgroup")).exists()
        tree, source = (json.loads(run("tree", p, "--json")) for p in (out, root))
        assert tree["attributes"] == source["attributes"] and tree["children"] == source["children"], (tree, source)
        for name, values in arrays.items():
            assert same(values_of(d, out / name), values.astype(values.dtype.newbyteorder("="))), name
            a, b = (json.loads(run("info", p / name, "--json")) for p in (root, out))
            for member in ("dtype", "shape", "chunks", "dims", "order", "fill_value"):
                assert a[member] == b[member], (name, member, a, b)
        info = json.loads(run("info", out / "a", "--json"))
        assert info["attributes"]["units"] == "K" and info["codecs"][-1]["name"] == "numcodecs.zlib" and info["codecs"][-1]["configuration"] == {"level": 1}, info
        before = zarr_tree(out)
        assert not [name for name in before if "morsel" in name], before.keys()
        fails("copy", root, out, *options, says="exists")
        fails("copy", root, out, "--resume", *options, says="exists")
        fails("copy", out, out / "inside", says="lies in")
        fails("copy", out / "g", out, "--overwrite", says="lies in")
        assert zarr_tree(out) == before
        (out / "old").write_text("old")
        run("copy", root, out, "--overwrite", *options)
        assert zarr_tree(out) == before and not [p for p in d.iterdir() if p.name.startswith(".")], "replaced whole"
    assert run("diff", root, d / "out3.zarr", "--json") and json.loads(run("diff", d / "out2.zarr", d / "out3.zarr", "--json"))["equal"]
    # A group, into a hierarchy that is there; chunks for the arrays with as many axes.
    run("copy", root / "g", d / "out3.zarr" / "new" / "place")
    assert same(values_of(d, d / "out3.zarr" / "new" / "place" / "b"), arrays["g/b"].astype("i2"))
    run("copy", root, d / "chunks.zarr", "--chunks", "4,4", "--shards", "8,8", "--codec", "zstd:1")
    a, b = (json.loads(run("info", d / "chunks.zarr" / name, "--json")) for name in ("a", "g/b"))
    assert (a["chunks"], a["shards"], b["chunks"], b["shards"]) == ([4, 4], [8, 8], [4], None), (a, b)
    assert same(values_of(d, d / "chunks.zarr" / "a"), arrays["a"])
    # Shards and codecs are kept; then without shards, with other chunks.
    run("copy", d / "chunks.zarr", d / "kept.zarr")
    assert zarr_tree(d / "kept.zarr") == zarr_tree(d / "chunks.zarr")
    run("copy", d / "kept.zarr" / "a", d / "plain.zarr", "--shards", "none")
    info = json.loads(run("info", d / "plain.zarr", "--json"))
    assert (info["chunks"], info["shards"], info["dims"], info["attributes"]["units"], info["codecs"][-1]["name"]) == ([4, 4], None, ["y", "x"], "K", "zstd"), info
    # Other containers.
    np.savez(d / "z.npz", x=arrays["a"], flags=arrays["g/flags"], text=np.array(["é", "bc"]))
    run("copy", d / "z.npz", d / "npz.zarr")
    with np.load(d / "z.npz") as archive:
        for name in archive.files:
            assert same(values_of(d, d / "npz.zarr" / name), archive[name]), name
    # Arrays of strings of any length: refused by name before anything is written, or left out.
    (root / "g" / "text").mkdir()
    (root / "g" / "text" / ".zarray").write_text(json.dumps({"zarr_format": 2, "shape": [2], "chunks": [2], "dtype": "|O", "compressor": None, "fill_value": None, "order": "C",
                                                             "filters": [{"id": "vlen-utf8"}]}))
    fails("copy", root, d / "text.zarr", says=("g/text", "--skip-unsupported"))
    assert not (d / "text.zarr").exists()
    report = json.loads(run("copy", root, d / "text.zarr", "--skip-unsupported", "--json"))
    assert [s["path"] for s in report["skipped"]] == ["g/text"] and len(report["arrays"]) == len(arrays), report
    assert "skipped g/text" in run("copy", root, d / "text.zarr", "--skip-unsupported", "--overwrite")
    assert "text" in run("tree", root) and "g/text" in run("info", root)
    fails("get", root / "g" / "text", "-o", d / "text.npy")
    fails("copy", root, d / "region.zarr", "--region", "0:1", says="--region")


def check_zarr_resume(d):
    """Killed in the middle, then finished: the same bytes as without."""
    root = d / "in.zarr"
    root.mkdir()
    (root / ".zgroup").write_text('{"zarr_format": 2}')
    g = np.random.default_rng(5)
    values = {name: g.integers(0, 1000, (400, 500)) for name in "abc"}
    for name, v in values.items():
        zarr_v2_array(root / name, v, (20, 25))
    run("copy", root, d / "whole.zarr", "--codec", "gzip:1")
    whole, killed = zarr_tree(d / "whole.zarr"), 0
    for attempt in range(12):
        out = d / f"out{attempt}.zarr"
        process = subprocess.Popen([command, "copy", root, out, "--codec", "gzip:1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=plain)
        deadline = time.time() + 60
        while not (out / ".morsel-copy").exists() and process.poll() is None and time.time() < deadline:
            pass
        time.sleep(0.004 * attempt)
        process.kill()
        process.wait()
        unfinished = (out / ".morsel-copy").exists()
        killed += unfinished
        if unfinished:
            fails("copy", root, out, "--codec", "gzip:1", says="--resume")
            fails("copy", root, out, "--codec", "gzip:2", "--resume", says="unfinished copy")
            run("copy", root, out, "--codec", "gzip:1", "--resume")
        elif out.exists():
            run("copy", root, out, "--codec", "gzip:1", "--overwrite")
        else:
            continue
        tree = zarr_tree(out)
        assert tree == whole, f"attempt {attempt}: {[n for n in {*tree, *whole} if tree.get(n) != whole.get(n)]}"
    assert killed > 0, "no copy was interrupted"
    # One array.
    run("copy", root / "a", d / "one.zarr", "--codec", "gzip:1")
    (d / "part.zarr").mkdir()
    process = subprocess.Popen([command, "copy", root / "a", d / "part.zarr", "--codec", "gzip:1"], stderr=subprocess.PIPE, text=True, env=plain)
    while not (d / "part.zarr" / "c").exists() and process.poll() is None:
        pass
    process.send_signal(signal.SIGINT)
    message = process.communicate()[1]
    if process.returncode != 0:
        assert process.returncode == 130 and "--resume" in message and len(message.splitlines()) == 1, message
        run("copy", root / "a", d / "part.zarr", "--codec", "gzip:1", "--resume")
    assert zarr_tree(d / "part.zarr") == zarr_tree(d / "one.zarr")


def check_zarr_strings(d):
    """Strings of variable length, two chunks of 2 x 2 (the second one beyond the array) and one that is absent: printed, not computed with."""
    words = [["a", "it's"], ["", "zw\u00f6lf, \"x\""], ["long " * 5000, "end"]]
    frame = lambda items: struct.pack("<I", len(items)) + b"".join(struct.pack("<I", len(i)) + i for i in items)
    chunks = {"0.0": [w.encode() for w in words[0] + words[1]], "1.0": [w.encode() for w in words[2]] + [b"", b""]}
    root = d / "in.zarr"
    (root / "text").mkdir(parents=True)
    (root / ".zgroup").write_text('{"zarr_format": 2}')
    (root / "text" / ".zarray").write_text(json.dumps({"zarr_format": 2, "shape": [5, 2], "chunks": [2, 2], "dtype": "|O", "compressor": {"id": "zlib", "level": 1}, "fill_value": "",
                                                       "order": "C", "filters": [{"id": "vlen-utf8"}]}))
    (root / "text" / ".zattrs").write_text('{"_ARRAY_DIMENSIONS": ["y", "x"], "k": 1}')
    for name, items in chunks.items():
        (root / "text" / name).write_bytes(zlib.compress(frame(items)))
    text = root / "text"
    whole = words + [["", ""], ["", ""]]
    assert json.loads(run("get", text, "--json")) == {"dtype": "string", "shape": [5, 2], "values": whole}
    assert json.loads(run("get", text, "-2::-1, 1", "--json"))["values"] == [whole[i][1] for i in (3, 2, 1, 0)]
    assert json.loads(run("get", text, "2, None, :0", "--json")) == {"dtype": "string", "shape": [1, 0], "values": [[]]}
    assert run("get", text, "0") == "[    'a' 'it\\'s']\n", run("get", text, "0")
    assert run("get", text, "0, 0", "-o", "-") == "'a'\n"
    run("get", text, "-o", d / "text.csv")
    with open(d / "text.csv", newline="") as file:
        assert list(csv.reader(file)) == whole
    fails("get", text, "-o", d / "text.npy", says="variable length")
    fails("get", text, "-o", d / "text.zarr", says="variable length")
    fails("get", text, "5", says="range")
    fails("get", text, "0,0,0", says="too many")
    fails("stats", text, says="variable length")
    fails("copy", text, d / "x.npy", says="variable length")
    info = json.loads(run("info", text, "--json"))
    assert info == {"path": str(text), "format": "zarr_v2", "dtype": "string", "shape": [5, 2], "chunks": [2, 2], "shards": None, "dims": ["y", "x"], "order": "C", "fill_value": "",
                    "codecs": [{"name": "vlen-utf8"}, {"name": "numcodecs.zlib", "configuration": {"level": 1}}], "attributes": {"_ARRAY_DIMENSIONS": ["y", "x"], "k": 1}, "nbytes": None,
                    "stored_bytes": None}, info
    assert json.loads(run("tree", root, "--json"))["children"] == [{"name": "text", "kind": "array", "dtype": "string", "shape": [5, 2], "chunks": [2, 2], "nbytes": None}]
    assert "string" in run("info", root) and "string" in run("tree", root)
    # Version 3: a vector of bytes, more than are shown.
    many = d / "many.zarr"
    (many / "c").mkdir(parents=True)
    (many / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "array", "shape": [2000], "data_type": "variable_length_bytes", "fill_value": "", "attributes": {},
                                                "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1999]}}, "chunk_key_encoding": {"name": "default"},
                                                "codecs": [{"name": "vlen-bytes"}, {"name": "gzip", "configuration": {"level": 1}}]}))
    (many / "c" / "0").write_bytes(gzip.compress(frame([b"%d" % i for i in range(1999)])))
    shown, note = run("get", many).splitlines()
    assert shown[1:-1].split() == ["b'0'", "b'1'", "b'2'", "...", "b'1997'", "b'1998'", "b''"] and "2000 elements: variable_length_bytes" in note, (shown, note)
    # Damage is an error, not a crash.
    whole_chunk = frame(chunks["0.0"])
    for bad in (whole_chunk[:-1], whole_chunk + b"x", b"\xff" * 8, b""):
        (text / "0.0").write_bytes(zlib.compress(bad))
        fails("get", text, says="0.0")
    (text / "0.0").write_bytes(zlib.compress(whole_chunk)[:-3])
    fails("get", text, says="0.0")


def check_zarr_python(d):
    """Both directions with zarr-python, where it is installed."""
    try:
        import zarr
    except ImportError:
        return
    values = np.arange(7 * 9, dtype="i4").reshape(7, 9)
    source = zarr.open_group(d / "z.zarr", mode="w", attributes={"title": "z"})
    kinds = {"plain": {}, "sharded": {"shards": (4, 6)}, "zstd": {"compressors": zarr.codecs.ZstdCodec(level=2)}, "blosc": {"compressors": zarr.codecs.BloscCodec(cname="zstd", shuffle="bitshuffle")}}
    for name, options in kinds.items():
        made = source.create_array(name, shape=values.shape, chunks=(2, 3), dtype="i4", fill_value=3, dimension_names=("y", "x"), attributes={"k": name}, **options)
        made[:] = values
    old = zarr.open_group(d / "old.zarr", mode="w", zarr_format=2)
    from numcodecs import Blosc, Zstd
    for name, compressor in (("blosc", Blosc("lz4", 3, Blosc.SHUFFLE)), ("zstd", Zstd(4)), ("none", None)):
        old.create_array(name, shape=values.shape, chunks=(3, 4), dtype="i4", compressors=compressor)[:] = values
    for path in ("z.zarr", "old.zarr"):
        for options in ([], ["--format", "zarr2"]):
            out = d / f"copy{len(options)}_{path}"
            run("copy", d / path, out, *options)
            a, b = zarr.open_group(d / path, mode="r"), zarr.open_group(out, mode="r")
            assert dict(a.attrs) == dict(b.attrs) and sorted(a.array_keys()) == sorted(b.array_keys())
            for name, x in a.arrays():
                y = b[name]
                assert np.array_equal(x[:], y[:]) and x.chunks == y.chunks and x.fill_value == y.fill_value and x.dtype == y.dtype, (path, name)
                assert y.metadata.zarr_format == (2 if options else 3)
                if not options and path == "z.zarr":
                    assert x.shards == y.shards and x.metadata.to_dict() == y.metadata.to_dict(), (x.metadata.to_dict(), y.metadata.to_dict())
    codecs = [c.to_dict()["name"] for c in zarr.open_array(d / "copy0_old.zarr" / "blosc", mode="r").metadata.codecs]
    assert codecs == ["bytes", "blosc"], codecs


def main():
    checks = {k[6:]: v for k, v in globals().items() if k.startswith("check_")}
    names = sys.argv[1:] or list(checks)
    failed = 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            try:
                checks[name](Path(folder))
            except Exception as failure:
                failed += 1
                frame = [f for f in traceback.extract_tb(failure.__traceback__) if f.name.startswith("check_")][-1]
                print(f"FAILED {name}, line {frame.lineno}: {type(failure).__name__}: {failure}")
    print(f"command: {len(names) - failed} checks passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
