#!/usr/bin/env python3
"""The command `morsel` from end to end: output, exit codes, one-line errors, files whole or absent, Ctrl-C.

usage: check_command.py [NAME...]     MORSEL_COMMAND names the command; NAMEs limit the run to those checks
Exit 77 (skipped) without NumPy >= 2 or without the command.
"""
import json, math, os, pty, re, resource, shutil, signal, subprocess, sys, tempfile, time, traceback
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
    p = subprocess.run([command, *map(str, arguments)], capture_output=True, text=True, timeout=120, env={**plain, **(env or {})}, cwd=cwd, **more)
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
    for name in ("info", "tree", "stats", "get", "eval", "copy", "doctor"):
        assert "--memory" in run(name, "--help"), name
    for name in ("stats", "get", "eval", "copy"):
        assert "--memory" in run("explain", name, "--help"), name
    options = re.compile(r"--[a-z]+(?:-[a-z]+)*")
    page = Path(os.environ.get("MORSEL_SOURCE_DIR", Path(__file__).resolve().parents[2])) / "docs" / "command.md"
    helps = [run(*name, "--help") for name in ([], ["info"], ["tree"], ["stats"], ["get"], ["eval"], ["copy"], ["doctor"])]
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
    for name in ("dir.npy", "dir.csv", "no/such/dir.npy", "x.png", "x.zarr", "x.h5", "x", "x.npz"):
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
        (["info", d / "nosuch.npy"], 1), (["info", d], 1), (["info", ""], None), (["get", path / "inside"], 1), (["info", d / "text.npy"], 1), (["get", d / "short.npy"], 1),
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
                      ["eval", slow[4:-1], f"a={d}/big.npy", "-o", str(d / "out.csv")], ["stats", str(d / "big.npy")]):
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
