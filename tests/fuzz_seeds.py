#!/usr/bin/env python3
"""Inputs for the fuzzers from files that other software wrote. They are copied into a folder that goes away after the run.

usage: fuzz_seeds.py NAME FOLDER      $MORSEL_CONFORMANCE_DIR, by default ../shared/conformance; without it nothing is copied
"""
import hashlib
import json
import os
import pathlib
import sys

name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
root = pathlib.Path(__file__).resolve().parent.parent
files = pathlib.Path(os.environ.get("MORSEL_CONFORMANCE_DIR") or root.parent / "shared/conformance")
largest = 1 << 16  # of a seed


def put(content):
    (folder / hashlib.sha1(content).hexdigest()).write_bytes(content)


def shard_layout(codecs):
    """The fuzzer's first byte for a shard like that: see tests/fuzz/shards.cpp."""
    bits = 0
    for depth in range(8):
        names = [c if isinstance(c, str) else c.get("name") for c in codecs]
        bits |= 32 * ("transpose" in names)
        if "sharding_indexed" not in names:
            return bits | 64 * ("gzip" in names) | 128 * ("crc32c" in names)
        configuration = codecs[names.index("sharding_indexed")]["configuration"]
        first = 1 if depth == 0 else 8
        bits |= 4 * (depth > 0) | first * (configuration.get("index_location") == "start")
        bits |= 2 * first * ("crc32c" in str(configuration.get("index_codecs")))
        codecs = configuration["codecs"]
    return bits


def seeds(path):
    content = path.read_bytes()
    kind = {"zarr.json": b"\x00", ".zarray": b"\x01", "attributes.json": b"\x02", ".zmetadata": b"\x03"}.get(path.name)
    if name == "zarr_metadata":
        if kind is not None:
            put(kind + content)
            if path.name == "zarr.json":
                put(b"\x03" + content)
        return
    if name == "files":
        if path.suffix in (".npy", ".npz") or content[:3] == b"CDF":
            put(content)
        return
    if name == "stores":
        if content[:4] == b"PK\x03\x04" or (path.suffix == ".json" and b'"refs"' in content):
            put(content)
        return
    if kind is not None or path.name.startswith("."):
        return
    array = next((p for p in path.parents if (p / "zarr.json").exists()), None)
    if name == "shards" and array is not None:
        document = json.loads((array / "zarr.json").read_text())
        if "sharding_indexed" in str(document.get("codecs")):
            put(bytes([shard_layout(document["codecs"]), 0]) + content)
    elif name == "codecs" and len(content) <= 4096:
        # The first byte chooses the codec: any one, the fuzzer tries the others.
        if array is not None or any((p / ".zarray").exists() for p in path.parents):
            put(bytes([hashlib.sha1(content).digest()[0], 16, 0]) + content)


if files.is_dir():
    for path in sorted(files.rglob("*")):
        if path.is_file() and path.stat().st_size <= largest:
            try:
                seeds(path)
            except (ValueError, KeyError, TypeError, AttributeError):
                pass  # broken on purpose
