#!/usr/bin/env python3
"""Packed variables and coordinates, decoded by the command as xarray decodes them (and valid ranges as netCDF4 masks them):
NetCDF classic, NetCDF-4, and Zarr that xarray wrote.

usage: test_netcdf_decode.py [PART OF A NAME...]     MORSEL_COMMAND names the command; MORSEL_KEEP a folder that keeps the files
"""

import json, random, subprocess, sys, threading, warnings

from interop import Mismatch, command, main, missing, morsel, np, plain

try:
    import cftime
    import netCDF4
    import xarray as xr
except ImportError as absent:
    missing(f"a package is missing: {absent}")

warnings.simplefilter("ignore")
formats = json.loads(subprocess.run([command, "doctor", "--json"], capture_output=True, text=True, env=plain).stdout)["formats"]
FILES = ["NETCDF3_CLASSIC", "NETCDF3_64BIT_DATA", *(["NETCDF4"] if "hdf5" in formats else [])]
cases = []


def got(folder, path, *arguments):
    out = folder / "out.npy"
    morsel("get", path, "-o", out, *arguments)
    return np.load(out)


def same_values(a, b, what):
    """The same type, and to the bit the same values: but for the NaN."""
    b = np.asarray(b)
    if a.dtype != b.dtype or a.shape != b.shape:
        raise Mismatch(f"{what}: {a.dtype} {a.shape}, expected {b.dtype} {b.shape}")
    if not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
        bad = ~((a == b) | ((a != a) & (b != b)))
        raise Mismatch(f"{what}: {bad.sum()} of {a.size} differ: {a[bad][:3]}, expected {b[bad][:3]}")


def packed(r, version):
    """Stored elements, and attributes that pack them."""
    classic = ["i1", "i2", "i4", "f4", "f8"]
    dtype = np.dtype(r.choice(classic if version == "NETCDF3_CLASSIC" else classic + ["u1", "u2", "u4", "i8", "u8"]))
    if dtype.kind == "f":
        a = np.array([r.choice([-999, 0, 1.5, -2, 1e20, np.nan, 7]) for _ in range(24)], dtype)
    else:
        info = np.iinfo(dtype)
        # xarray compares in float64, where the largest int64 is -2**63 unsigned.
        most = 2**50 if dtype == "i8" else info.max
        a = np.array([r.choice([info.min, most, 0, 1, 5, 100, r.randrange(0, 127)]) for _ in range(24)], dtype)
    attributes = {}
    if r.random() < 0.6:
        attributes["_FillValue"] = r.choice(list(a))
    if r.random() < 0.3:
        attributes["missing_value"] = r.choice([r.choice(list(a)), np.array([a[0], a[5]], dtype)])
    scale_type = r.choice([np.float32, np.float64])
    if r.random() < 0.5:
        attributes["scale_factor"] = scale_type(r.choice([0.01, 0.5, 3.7e-3, 2]))
    if r.random() < 0.5:
        attributes["add_offset"] = (scale_type if r.random() < 0.8 else np.float64)(r.choice([273.15, -5, 0.1]))
    if dtype.kind in "iu" and r.random() < 0.25:
        attributes["_Unsigned"] = "true" if dtype.kind == "i" else "false"
        attributes.pop("missing_value", None)
    # Where a fill value is NaN xarray decodes floats in their own type, without regard to the scale's.
    fills = np.concatenate([np.ravel(attributes[k]) for k in ("_FillValue", "missing_value") if k in attributes] or [np.zeros(1)])
    if dtype.kind == "f" and np.isnan(fills).all() and ("scale_factor" in attributes or "add_offset" in attributes):
        attributes.pop("_FillValue", None), attributes.pop("missing_value", None)
    return a.reshape(4, 6), attributes


def add_packed(version, i):
    label = f"packed {version} {i}"

    def case(folder):
        r = random.Random(label)
        a, attributes = packed(r, version)
        path = folder / "x.nc"
        with netCDF4.Dataset(path, "w", format=version) as f:
            f.createDimension("y", 4), f.createDimension("x", 6)
            v = f.createVariable("v", a.dtype, ("y", "x"), fill_value=attributes.get("_FillValue"))
            v.set_auto_maskandscale(False)
            for name, value in attributes.items():
                if name != "_FillValue":
                    v.setncattr(name, value)
            v.units = "K"
            v[:] = a
        with xr.open_dataset(path, engine="netcdf4", decode_times=False, mask_and_scale=True) as ds:
            want = ds["v"].values
        what = f"{a.dtype} {attributes}"
        same_values(got(folder, f"{path}/v", "--mask-and-scale"), want, what)
        same_values(got(folder, f"{path}/v"), a, "stored " + what)

    cases.append((label, case))


for version in FILES:
    for i in range(40):
        add_packed(version, i)


def add_zarr(zarr_format, i):
    label = f"packed zarr {zarr_format} {i}"

    def case(folder):
        r = random.Random(label)
        dtype = r.choice(["i2", "i4", "u1", "f4", "f8"])
        encoding = {"dtype": dtype, "_FillValue": -9 if dtype[0] in "if" else 255}
        if dtype[0] != "f" or r.random() < 0.5:
            encoding |= {"scale_factor": 0.5, "add_offset": r.choice([0.25, 10.0])}
        values = np.array([[1.0, np.nan, 20.5], [30, 12, 11.5]])
        ds = xr.Dataset({"v": (("y", "x"), values)}, {"x": [10.0, 20, 30], "y": [5, 3]})
        ds.to_zarr(folder / "a.zarr", encoding={"v": encoding}, zarr_format=zarr_format)
        want = xr.open_zarr(folder / "a.zarr", chunks=None)["v"]
        same_values(got(folder, folder / "a.zarr/v", "--mask-and-scale"), want.values, f"{encoding}")
        same_values(
            got(folder, folder / "a.zarr/v", "--mask-and-scale", "--sel", "x=15..30", "--sel", "y=3"),
            want.sel(x=slice(15, 30), y=3).values,
            f"sel {encoding}",
        )

    cases.append((label, case))


for zarr_format in (2, 3):
    for i in range(6):
        add_zarr(zarr_format, i)


def add_valid(version, i):
    label = f"valid range {version} {i}"

    def case(folder):
        r = random.Random(label)
        dtype = np.dtype(r.choice(["i1", "i2", "i4", "f4", "f8"]))
        a = np.array([r.randrange(-100, 100) for _ in range(30)], dtype)
        limits = sorted(r.sample(range(-90, 90), 2))
        attributes = r.choice(
            [{"valid_range": np.array(limits, dtype)}, {"valid_min": dtype.type(limits[0])}, {"valid_max": dtype.type(limits[1])}, {"valid_min": dtype.type(limits[0]), "valid_max": dtype.type(limits[1])}]
        )
        if r.random() < 0.5:
            attributes |= {"scale_factor": 0.5, "add_offset": 1.0}
        with netCDF4.Dataset(folder / "x.nc", "w", format=version) as f:
            f.createDimension("x", 30)
            v = f.createVariable("v", dtype, ("x",))
            v.set_auto_maskandscale(False)
            v.setncatts(attributes)
            v[:] = a
        with netCDF4.Dataset(folder / "x.nc") as f:
            want = np.ma.filled(f["v"][:].astype("f8"), np.nan)
        same_values(got(folder, folder / "x.nc/v", "--mask-and-scale").astype("f8"), want, f"{dtype} {attributes}")

    cases.append((label, case))


for version in FILES:
    for i in range(8):
        add_valid(version, i)


def add_numbers(i):
    label = f"sel numbers {i}"

    def case(folder):
        r = random.Random(label)
        n = r.randint(1, 40)
        dtype = r.choice(["f4", "f8", "i2", "i4"])
        # Halves and wholes are the same in all types; distances to the nearest are never equal by rounding.
        x = np.sort(np.array(r.sample(range(-200, 200), n)) / (2 if dtype[0] == "f" else 1)).astype(dtype)
        if r.random() < 0.5:
            x = x[::-1].copy()
        a = np.arange(3 * n, dtype="f4").reshape(3, n)
        xr.Dataset({"a": (("y", "x"), a)}, {"x": x}).to_netcdf(folder / "x.nc", format="NETCDF3_CLASSIC", engine="netcdf4")
        with xr.open_dataset(folder / "x.nc", engine="netcdf4") as ds:
            v, path = ds["a"].load(), folder / "x.nc/a"
        for _ in range(6):
            lo, hi = sorted(r.choice([r.uniform(-110, 110), float(r.choice(list(x)))]) for _ in range(2))
            bounds = slice(lo, hi) if n == 1 or x[0] < x[-1] else slice(hi, lo)
            same_values(got(folder, path, "--sel", f"x={lo!r}..{hi!r}"), v.sel(x=bounds).values, f"{lo}..{hi} of {x}")
            at = r.choice([r.randint(-120, 120), float(r.choice(list(x)))])
            same_values(got(folder, path, "--sel", f"x=~{at!r}"), v.sel(x=at, method="nearest").values, f"nearest {at} of {x}")
            at = float(r.choice(list(x)))
            same_values(got(folder, path, "--sel", f"x={at!r}"), v.sel(x=at).values, f"{at} of {x}")
        try:
            v.sel(x=1000.25)
        except KeyError:
            morsel("get", path, "--sel", "x=1000.25", code=1)

    cases.append((label, case))


for i in range(20):
    add_numbers(i)

CALENDARS = ["standard", "proleptic_gregorian", "julian", "noleap", "all_leap", "360_day"]
UNITS = ["days since 1999-12-30", "hours since 1900-01-01 06:00", "seconds since 2000-01-01T00:00:00Z", "minutes since 1-1-1"]


def add_times(calendar, i):
    label = f"sel times {calendar} {i}"

    def case(folder):
        r = random.Random(label)
        units = r.choice(UNITS)
        year = r.choice([1581, 1999, 2003])
        step = r.choice([1, 6, 24, 73]) * 3600
        begin = cftime.datetime(year, r.randint(1, 12), r.randint(1, 28), calendar=calendar)
        first = cftime.date2num(begin, "seconds since 1500-01-01", calendar=calendar)
        dates = cftime.num2date([first + step * k for k in range(400)], "seconds since 1500-01-01", calendar=calendar)
        numbers = np.asarray(cftime.date2num(dates, units, calendar=calendar))
        dtype = "f8" if units.startswith("days") or r.random() < 0.5 else "i8"
        with netCDF4.Dataset(folder / "x.nc", "w", format="NETCDF3_64BIT_DATA") as f:
            f.createDimension("time", None)
            t = f.createVariable("time", dtype, ("time",))
            t.units, t.calendar = units, calendar
            t[:] = numbers
            f.createVariable("a", "i4", ("time",))[:] = np.arange(400)
        with xr.open_dataset(folder / "x.nc", engine="netcdf4", decode_times=xr.coders.CFDatetimeCoder(use_cftime=True)) as ds:
            v, path = ds["a"].load(), folder / "x.nc/a"
        for _ in range(8):
            date = r.choice(list(dates))
            text = r.choice([f"{date.year:04d}", f"{date.year:04d}-{date.month:02d}", f"{date.year:04d}-{date.month:02d}-{date.day:02d}"])
            # xarray's partial dates as ranges, whatever the distance of the times.
            same_values(got(folder, path, "--sel", f"time={text}"), v.sel(time=slice(text, text)).values, f"{text} of {units}")
            other = r.choice(list(dates))
            lo, hi = sorted([date, other])
            lo, hi = f"{lo.year:04d}-{lo.month:02d}", f"{hi.year:04d}-{hi.month:02d}-{hi.day:02d}"
            same_values(got(folder, path, "--sel", f"time={lo}..{hi}"), v.sel(time=slice(lo, hi)).values, f"{lo}..{hi} of {units}")
            exact = date.strftime("%Y-%m-%dT%H:%M:%S") if date.year > 999 else None
            same_values(got(folder, path, "--sel", f"time={exact}"), v.sel(time=date).values, f"{exact} of {units}")

    cases.append((label, case))


for calendar in CALENDARS:
    for i in range(4):
        add_times(calendar, i)


@lambda f: cases.append(("coordinates in groups above", f)) or f
def groups(folder):
    if "NETCDF4" not in FILES:
        return
    with netCDF4.Dataset(folder / "x.nc", "w") as f:
        f.createDimension("lat", 5)
        f.createVariable("lat", "f8", ("lat",))[:] = [10, 20, 30, 40, 50]
        f.createGroup("g/h").createVariable("a", "i4", ("lat",))[:] = np.arange(5)
    same_values(got(folder, folder / "x.nc/g/h/a", "--sel", "lat=20..40"), np.array([1, 2, 3], "i4"), "g/h/a")


@lambda f: cases.append(("options of the command", f)) or f
def options(folder):
    ds = xr.Dataset({"t": (("lat", "lon"), np.arange(6, dtype="f4").reshape(2, 3))}, {"lat": [10.0, 20], "lon": [1.0, 2, 3]})
    path = folder / "x.nc"
    ds.to_netcdf(path, format="NETCDF3_CLASSIC", engine="netcdf4", encoding={"t": {"dtype": "i2", "scale_factor": 0.5, "_FillValue": -1}})
    stats = json.loads(morsel("stats", f"{path}/t", "--mask-and-scale", "--sel", "lat=20", "--json"))
    if (stats["count"], stats["mean"], stats["dtype"]) != (3, 4.0, "<f8"):
        raise Mismatch(f"stats: {stats}")
    if float(morsel("eval", "max(t) + 1", f"t={path}/t", "--mask-and-scale", "--sel", "lon=1..2").strip()) != 5.0:
        raise Mismatch("eval")
    part = got(folder, f"{path}/t", "::-1", "--mask-and-scale", "--sel", "lon=~1.4")
    same_values(part, np.array([3.0, 0.0]), "slice of a part")
    plan = morsel("explain", "get", f"{path}/t", "--mask-and-scale", "--sel", "lat=10")
    if "where" not in plan:
        raise Mismatch(plan)
    for bad in ("lat", "=3", "lat=", "lat=abc"):
        p = subprocess.run([command, "get", f"{path}/t", "--sel", bad], capture_output=True, text=True, env=plain)
        if p.returncode != 2 or len(p.stderr.splitlines()) != 1:
            raise Mismatch(f"--sel {bad}: {p.returncode} {p.stderr}")
    if "'depth'" not in morsel("get", f"{path}/t", "--sel", "depth=3", code=1):
        raise Mismatch("--sel depth")


def alone(function):
    """The NetCDF library is not made for threads: one case at a time."""

    def case(folder):
        with lock:
            function(folder)

    return case


if __name__ == "__main__":
    lock = threading.Lock()
    sys.exit(main("netcdf_decode", [(label, alone(function)) for label, function in cases]))
