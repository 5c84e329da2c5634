#!/usr/bin/env python3
"""README's table of measurements, from bench/results/latest.json.

usage: table.py            prints it
       table.py --write    puts it between the marks of README.md
       table.py --check    fails if README.md has another
"""
import json
import pathlib
import sys

here = pathlib.Path(__file__).resolve().parent
begin, end = "<!-- bench:begin -->", "<!-- bench:end -->"


def table(results):
    machine = results["machine"]
    memory = f", {machine['memory_bytes'] / 2**30:.0f} GiB" if machine.get("memory_bytes") else ""
    rows = ["| workload | Morsel | at most | others |", "|---|---|---|---|"]
    for line in results["lines"]:
        measured = f"{line['median']:.2f} {line['unit'].replace('x ', '× ', 1).replace('us/', 'µs/')}"
        peer = ", ".join(f"{label.split()[0]} {seconds / line['loop_seconds']:.1f} × {'reading' if 'reading' in line['unit'] else 'loop'}"
                         for label, seconds in line.get("peers", {}).items())
        goal = f"{line['goal']:g}" if line["goal"] else ""
        rows.append(f"| {line['what'].replace('<', '`<').replace('>', '>`')} | {measured.replace('<', '`<').replace('>', '>`')} | "
                    f"{goal} | {peer} |")
    peers = sorted({label for line in results["lines"] for label in line.get("peers", {})})
    return "\n".join([
        *rows, "",
        f"Medians on {machine['cores']} cores of {machine['cpu']}{memory}, files in the page cache, 2 threads; *loop* is the same work "
        f"written by hand with `pread` and two threads in the same process, in turn with Morsel"
        + (f"; others: {', '.join(peers)}, with two threads" if peers else "") + ". `bench/run.py` measures it again.",
    ])


def main():
    text = table(json.loads((here / "results" / "latest.json").read_text()))
    how = sys.argv[1] if len(sys.argv) > 1 else ""
    if how not in ("--write", "--check"):
        print(text)
        return
    path = here.parent / "README.md"
    readme = path.read_text()
    if readme.count(begin) != 1 or readme.count(end) != 1:
        sys.exit(f"table: README.md lacks the marks {begin} and {end}")
    head, rest = readme.split(begin)
    tail = rest.split(end)[1]
    new = f"{head}{begin}\n{text}\n{end}{tail}"
    if how == "--write":
        path.write_text(new)
    elif new != readme:
        sys.exit("table: README.md differs from bench/results/latest.json; run bench/table.py --write")


if __name__ == "__main__":
    main()
