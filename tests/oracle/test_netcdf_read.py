#!/usr/bin/env python3
"""NetCDF classic files that the NetCDF library wrote, read by the command: every variable and slice bit for bit, names of axes
and attributes.

usage: test_netcdf_read.py [PART OF A NAME...]     MORSEL_COMMAND names the command; MORSEL_KEEP a folder that keeps the files
"""

import json, random, sys, threading

from interop import Mismatch, check_reads, main, missing, morsel, np, plain, values

try:
    import netCDF4
except ImportError as absent:
    missing(f"a package is missing: {absent}")

CLASSIC = ["i1", "S1", "i2", "i4", "f4", "f8"]
VERSIONS = {"NETCDF3_CLASSIC": CLASSIC, "NETCDF3_64BIT_OFFSET": CLASSIC, "NETCDF3_64BIT_DATA": CLASSIC + ["u1", "u2", "u4", "i8", "u8"]}
cases = []


def filled(r, shape, dtype):
    if dtype == "S1":
        return np.array([chr(r.randrange(32, 127)) for _ in range(int(np.prod(shape)))], "S1").reshape(shape)
    return np.random.default_rng(r.randrange(1 << 30)).integers(0, 256, int(np.prod(shape)) * np.dtype(dtype).itemsize, "u1").view(dtype).reshape(shape)


def attribute(r):
    kind = r.choice(["i1", "i2", "i4", "f4", "f8", "text", "list"])
    if kind == "text":
        return r.choice(["", "degrees_north", "a \"quoted\" line\nand another", "Grüße", "days since 1900-01-01"])
    if kind == "list":
        return np.array([r.uniform(-1e6, 1e6) for _ in range(r.randint(2, 5))], r.choice(["i4", "f4", "f8"]))
    return np.dtype(kind).type(r.uniform(-100, 100))


def same_attribute(got, want, what):
    want = want.tolist() if isinstance(want, (np.generic, np.ndarray)) else want
    got = got if isinstance(got, str) else np.array(got).tolist()
    # Digits of a float32 are the shortest that give it back.
    close = got == want if isinstance(want, str) or isinstance(got, str) else np.allclose(got, want, rtol=1e-7, atol=0)
    if not close:
        raise Mismatch(f"{what}: {got!r}, expected {want!r}")


def add_file(label, version, records, variables):
    """`variables`: how many, each of random type and axes, behind the record axis or not."""

    def case(folder):
        r = random.Random(label)
        path, kept, extra = folder / "x.nc", {}, {}
        with netCDF4.Dataset(path, "w", format=version) as f:
            lengths = {"x": r.randint(1, 9), "y": r.randint(1, 9), "z": 1}
            f.createDimension("time", None)
            for name, n in lengths.items():
                f.createDimension(name, n)
            f.setncattr("history", "made by a test")
            for i in range(variables):
                dims = r.sample(sorted(lengths), r.randint(0, 3))
                if records is not None and r.random() < 0.6:
                    dims = ["time", *dims]
                dtype = r.choice(VERSIONS[version])
                v = f.createVariable(f"v{i}", dtype, dims)
                v.set_auto_maskandscale(False)
                v.set_auto_chartostring(False)
                shape = tuple(records if d == "time" else lengths[d] for d in dims)
                extra[f"v{i}"] = {f"a{k}": attribute(r) for k in range(r.randint(0, 3))}
                for name, value in extra[f"v{i}"].items():
                    v.setncattr(name, value)
                kept[f"v{i}"] = (dims, filled(r, shape, dtype))
            for name, (_, a) in kept.items():
                f[name][...] = a
        for name, (dims, a) in kept.items():
            check_reads(f"{path}/{name}", a, f"{label} {name}", folder)
            info = json.loads(morsel("info", f"{path}/{name}", "--json"))
            if (info["dims"] or []) != dims or info["format"] != "netcdf":
                raise Mismatch(f"info {name}: dims {info['dims']}, expected {dims}")
            for key, value in extra[name].items():
                same_attribute(info["attributes"][key], value, f"attribute {key} of {name}")
        listed = json.loads(morsel("info", path, "--json"))
        if [a["path"] for a in listed["arrays"]] != list(kept) or listed["attributes"]["history"] != "made by a test":
            raise Mismatch(f"info: {listed}")
        # Copied whole, and nothing differs.
        morsel("copy", path, folder / "copy.zarr")
        morsel("diff", path, folder / "copy.zarr")

    cases.append((label, case))


for version in VERSIONS:
    for i in range(6):
        add_file(f"{version} mixed {i}", version, i, 1 + i)
    add_file(f"{version} one record variable", version, 7, 1)
    add_file(f"{version} fixed", version, None, 8)


def lone(version, dtype):
    def case(folder):
        r = random.Random(f"{version}{dtype}")
        a = filled(r, (11, 3), dtype)
        with netCDF4.Dataset(folder / "x.nc", "w", format=version) as f:
            f.createDimension("t", None), f.createDimension("x", 3)
            v = f.createVariable("v", dtype, ("t", "x"))
            v.set_auto_maskandscale(False), v.set_auto_chartostring(False)
            v[:] = a
        check_reads(f"{folder}/x.nc/v", a, f"lone {dtype}", folder, slices=4)

    cases.append((f"{version} lone {dtype}", case))


for version, types in VERSIONS.items():
    for dtype in types:
        lone(version, dtype)

def alone(function):
    """The NetCDF library is not made for threads: one case at a time."""

    def case(folder):
        with lock:
            function(folder)

    return case


if __name__ == "__main__":
    lock = threading.Lock()
    sys.exit(main("netcdf_read", [(label, alone(function)) for label, function in cases]))
