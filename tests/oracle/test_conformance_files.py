"""The command against files written by other software: no wrong value, no crash, nothing accepted that must be refused, and
of the Zarr family, NetCDF and HDF5 nothing refused but what the manual lists as unsupported."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

directory = pathlib.Path(os.environ["MORSEL_CONFORMANCE_DIR"])
command = os.environ.get("MORSEL_COMMAND")
if not command or not (directory / "check.py").exists():
    print("skipped: no command" if not command else f"skipped: no collection in {directory}")
    sys.exit(77)

known = json.loads(subprocess.run([command, "doctor", "--json"], capture_output=True, text=True).stdout)["formats"]
complete = ("zarr_v2", "zarr_v3", "zarr_zip", "n5", "netcdf3", *(["hdf5"] if "hdf5" in known else []))
may_refuse = r"pcodec|gdeflate|zarrs\.optional|storage transformer|variable length|vlen|json2|msgpack2|pickle"


def reason(message):
    """Without the paths, whose names may hold anything."""
    return re.sub(f"'{re.escape(str(directory))}[^']*'", "", message)


items = json.load(open(directory / "expected.json"))["items"]
bad = 0
with tempfile.TemporaryDirectory() as folder:
    table = pathlib.Path(folder) / "rows.json"
    arguments = [command, directory, directory / "expected.json", "--json", table]
    bad += subprocess.run([sys.executable, directory / "check.py", *arguments]).returncode != 0
    rows = json.load(open(table)) if table.exists() else []
for kind in complete:
    if any(item["format"] == kind for item in items) and not any(row[0] == kind and row[2] == "pass" for row in rows):
        bad += 1
        print(f"{kind}: no item was read")
for kind, item, state, why in rows:
    if state in ("wrong", "crash", "accepted") or (state == "error" and kind in complete and not re.search(may_refuse, reason(why))):
        bad += 1
        print(f"{state}: {kind} {item}: {why}")
sys.exit(bad != 0)
