#!/usr/bin/env python3
"""Adds up a test run: "tests: N passed, N failed, N skipped" as the last line.

usage: count.py JUNIT_XML COUNTS_FILE [EXTRA_FAILED [EXTRA_SKIPPED]]

COUNTS_FILE holds "<program> <passed> <failed> <skipped>" test cases, written by the test programs themselves. A program
that ctest calls failed without a failed case (a crash, a time-out) is one failure. Other ctest tests count as one.
"""
import sys
import xml.etree.ElementTree as xml

junit, counts_file = sys.argv[1:3]
failed = int(sys.argv[3]) if len(sys.argv) > 3 else 0
skipped = int(sys.argv[4]) if len(sys.argv) > 4 else 0
passed = 0
counts = {}
try:
    for line in open(counts_file):
        name, *numbers = line.split()
        counts[name] = [int(n) for n in numbers]
except FileNotFoundError:
    pass
for case in xml.parse(junit).getroot().iter("testcase"):
    name = case.get("name")
    was_skipped = case.get("status") in ("notrun", "disabled") or case.find("skipped") is not None
    was_failed = case.get("status") == "fail" or case.find("failure") is not None
    if name in counts:
        p, f, s = counts[name]
        passed, failed, skipped = passed + p, failed + f, skipped + s
        if was_failed and f == 0:
            failed += 1
    elif was_failed:
        failed += 1
    elif was_skipped:
        skipped += 1
    else:
        passed += 1
print(f"tests: {passed} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed or not passed else 0)
