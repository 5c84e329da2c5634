#!/usr/bin/env python3
"""Kills the command at random moments of a save into Zarr, and checks what it leaves.

usage: killed_saves.py [MORSEL_BIN [KILLS]]      default: $MORSEL_COMMAND, 40

After each kill the store must open (or not be there yet), every chunk must be whole or absent, and a resumed save must give
the bytes of one that was never interrupted; resuming once more changes nothing. A kill while an array is replaced must
leave the old one or the new one, one while it is appended to what was there, with the old shape or the new one.
"""
import hashlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

if len(sys.argv) < 2 and not os.environ.get("MORSEL_COMMAND"):
    print("skipped: the command is not built")
    sys.exit(77)
binary = sys.argv[1] if len(sys.argv) > 1 else os.environ["MORSEL_COMMAND"]
kills = int(sys.argv[2]) if len(sys.argv) > 2 else 40
rng = random.Random(int(os.environ.get("MORSEL_TEST_SEED", "1")))


def run(*arguments, ok=True):
    done = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True)
    if ok and done.returncode != 0:
        sys.exit(f"killed_saves: {' '.join(map(str, arguments))} failed: {done.stderr}")
    return done


def tree(path):
    return {str(p.relative_to(path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(path.rglob("*")) if p.is_file()
            and not p.name.startswith(".morsel-tmp-")}


def npy(path, shape, seed):
    """A .npy file of float32, partly constant."""
    count = shape[0] * shape[1]
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    r = random.Random(seed)
    noise = bytes(r.getrandbits(8) for _ in range(1 << 16))
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
        done = 0
        while done < 4 * count:
            n = min(len(noise), 4 * count - done)
            f.write(noise[:n] if (done >> 20) % 3 else bytes(n))
            done += n


def killed(arguments, longest):
    """Runs the command and kills it after a random time; true if it was still running."""
    process = subprocess.Popen([binary, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(rng.random() ** 2 * longest)
    running = process.poll() is None
    if running:
        process.send_signal(signal.SIGKILL)
    process.wait()
    return running


with tempfile.TemporaryDirectory() as folder:
    here = pathlib.Path(folder)
    shape = (1536, 2048)
    npy(here / "a.npy", shape, 1)
    npy(here / "b.npy", shape, 2)
    common = ["--chunks", "64,64", "--threads", "2"]
    variants = [common + ["--codec", "zstd:3"], common + ["--shards", "256,256", "--codec", "zstd:1+crc32c"]]
    try:
        os.setxattr(here / "a.npy", "user.morsel.test", b"1")
        attributes = True
    except OSError:
        attributes = False  # then a complete save is not known to be one
    interrupted = 0
    for number, options in enumerate(variants):
        whole = here / f"whole{number}.zarr"
        begin = time.monotonic()
        run("copy", here / "a.npy", whole, *options)
        longest = 1.1 * (time.monotonic() - begin)
        expected = tree(whole)
        for k in range(kills // 2):
            target = here / "x.zarr"
            interrupted += killed(["copy", here / "a.npy", target, *options], longest)
            if (target / "zarr.json").exists():
                run("info", target, "--json")
                for name, digest in tree(target).items():
                    if name != ".morsel-save" and expected.get(name) != digest:
                        sys.exit(f"killed_saves: {name} is torn after kill {k}")
            for _ in range(rng.randrange(3)):
                killed(["copy", here / "a.npy", target, *options, "--resume"], longest)
            done = run("copy", here / "a.npy", target, *options, "--resume", ok=False)
            if done.returncode != 0 and (attributes or "exists" not in done.stderr):
                sys.exit(f"killed_saves: resuming failed: {done.stderr}")
            times = {p: p.stat().st_mtime_ns for p in target.rglob("*")}
            run("copy", here / "a.npy", target, *options, "--resume", ok=attributes)
            if times != {p: p.stat().st_mtime_ns for p in target.rglob("*")}:
                sys.exit(f"killed_saves: kill {k}: resuming what is complete changes it")
            if tree(target) != expected:
                sys.exit(f"killed_saves: kill {k}: what was resumed differs from what was never interrupted")
            subprocess.run(["rm", "-rf", target], check=True)
    # Replacing: the old array or the new one, never a mixture.
    target = here / "y.zarr"
    run("copy", here / "a.npy", target, *variants[0])
    old = tree(target)
    run("copy", here / "b.npy", here / "new.zarr", *variants[0])
    new = tree(here / "new.zarr")
    for k in range(max(4, kills // 8)):
        interrupted += killed(["copy", here / "b.npy", target, *variants[0], "--overwrite"], longest)
        if tree(target) not in (old, new):
            sys.exit(f"killed_saves: kill {k}: a replaced array is neither the old nor the new one")
        run("copy", here / "a.npy", target, *variants[0], "--overwrite")
        if tree(target) != old:
            sys.exit("killed_saves: replacing after a kill gives other bytes")
    # Appending: chunks that hold the old end are read, changed and written.
    for k in range(max(4, kills // 8)):
        target = here / "z.zarr"
        run("copy", here / "a.npy", target, "--chunks", "100,300", "--threads", "2")
        interrupted += killed(["copy", here / "b.npy", target, "--append", "0", "--threads", "2"], longest)
        rows = json.loads(run("info", target, "--json").stdout)["shape"][0]
        if rows not in (shape[0], 2 * shape[0]):
            sys.exit(f"killed_saves: kill {k}: {rows} rows after appending")
        if rows == shape[0]:
            run("copy", here / "b.npy", target, "--append", "0")
        for source, rows in (("a.npy", f"0:{shape[0]}"), ("b.npy", f"{shape[0]}:")):
            run("get", target, rows, "-o", here / "part.npy")
            elements = 4 * shape[0] * shape[1]
            if (here / "part.npy").read_bytes()[-elements:] != (here / source).read_bytes()[-elements:]:
                sys.exit(f"killed_saves: kill {k}: rows {rows} differ after appending")
        subprocess.run(["rm", "-rf", target], check=True)
    if interrupted == 0:
        sys.exit("killed_saves: no save was still running when it was killed")
    print(f"ok: {interrupted} saves killed")
