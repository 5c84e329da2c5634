#!/usr/bin/env python3
"""Compiles and runs the code of a Markdown file, so that what the manual says is what the library does.

usage: document.py generate FILE.md OUT.cpp     writes the program
       document.py run FILE.md PROGRAM          runs it and the file's shell blocks, in an empty directory

Sections (from one heading to the next) are tested one after another, in the same directory:
  ```cpp       part of the section's function; a section's blocks share their names. #include lines, and blocks with
               "struct", "template" or a function at column 0, go to namespace scope (in a namespace of the section).
               A block with "int main(" is a program of its own, compiled as a function.
  ```sh        run by bash -e, with the command on the PATH: before the section's C++ if it stands before it.
  <!-- cpp     lines up to --> are C++ (<!-- sh: shell) that the reader does not see: preparations and checks. Before the
               first heading they hold for every section.
  <!-- not run: reason -->   before a block leaves it out; the reasons are printed.
  <!-- output: FILE -->   before a ```text block: it is what the page's code wrote to FILE. MORSEL_UPDATE_DOCS=1 puts it there.
`check(condition);` is there for all C++.
"""
import difflib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

PROLOGUE = """// Made from {name} by tests/docs/document.py.
#include <morsel/morsel.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
{includes}

#define check(...) \\
  do {{ if (!(__VA_ARGS__)) {{ std::fprintf(stderr, "%s:%d: not true: %s\\n", __FILE__, __LINE__, #__VA_ARGS__); std::exit(1); }} }} while (false)
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wunused-value"
"""


class Block:
    def __init__(self, kind, line, lines, hidden):
        self.kind, self.line, self.lines, self.hidden = kind, line, lines, hidden


class Section:
    def __init__(self, title, line):
        self.title, self.line, self.blocks = title, line, []


def parse(path):
    """Sections of the file, the first one before any heading; and the reasons of blocks left out."""
    sections, left_out = [Section("", 1)], []
    lines = path.read_text().splitlines()
    skip = output = None
    i = 0
    while i < len(lines):
        line = lines[i]
        if match := re.match(r"#+ (.*)", line):
            sections.append(Section(match[1], i + 1))
        elif match := re.match(r"<!-- not run: (.+) -->", line):
            skip = match[1]
        elif match := re.match(r"<!-- output: (\S+) -->", line):
            output = match[1]
        elif match := re.match(r"<!-- (cpp|sh)$", line):
            start = i = i + 1
            while lines[i].strip() != "-->":
                i += 1
            sections[-1].blocks.append(Block(match[1], start + 1, lines[start:i], True))
        elif match := re.match(r"(\s*)```(\w*)", line):
            indent, kind, start = len(match[1]), match[2], i + 1
            i += 1
            while lines[i].strip() != "```":
                i += 1
            if kind in ("cpp", "c++", "sh", "bash"):
                kind = "cpp" if kind[0] == "c" else "sh"
                if skip:
                    left_out.append(f"{path.name}:{start}: {skip}")
                else:
                    body = [text[indent:] for text in lines[start:i]]
                    sections[-1].blocks.append(Block(kind, start + 1, body, False))
            if output:
                sections[-1].blocks.append(Block("output " + output, start + 1, lines[start:i], False))
            skip = output = None
        i += 1
    return sections, left_out


def is_top_level(block):
    text = "\n".join(block.lines)
    return bool(re.search(r"^(struct|class|template|enum|concept|namespace)\b", text, re.M)
                or re.search(r"^[\w:<>,&* ]+\b\w+\([^;{}]*\)( const)? \{\s*(//.*)?$", text, re.M)
                and not re.search(r"^(for|while|if|else|try|do|switch)\b", text, re.M)) and "[&]" not in text


def generate(path, out):
    sections, _ = parse(path)
    includes, body = [], []

    def put(block):
        yield f'#line {block.line} "{path.name}"'
        for line in block.lines:
            if line.startswith("#include"):
                includes.append(line)
                yield ""
            else:
                yield line.replace("int main(", "int program(")

    preparations = [b for b in sections[0].blocks if b.kind == "cpp" and b.hidden]
    numbers = []
    for number, section in enumerate(sections):
        blocks = [b for b in section.blocks if b.kind == "cpp" and not (b in preparations)]
        if not blocks:
            continue
        numbers.append(number)
        local, programs = [], 0
        body.append(f"namespace section_{number} {{")
        for block in blocks:
            if any("int main(" in line for line in block.lines):
                body.append(f"namespace program_{programs} {{")
                program = list(put(block))
                end = max(i for i, line in enumerate(program) if line == "}")
                program[end] = "return 0; }"   # main() may end without it
                body += program + ["}"]
                local.append(f"if (program_{programs}::program()) std::exit(1);")
                programs += 1
            elif is_top_level(block):
                body += put(block)
            else:
                local += put(block)
        body.append("void run() {")
        for block in preparations:
            body += put(block)
        body += local
        body.append("}")
        body.append(f"}}  // namespace section_{number}")
    body.append("int main(int, char** arguments) {\n  const int section = std::atoi(arguments[1]);\n  try {")
    body += [f"    if (section == {n}) section_{n}::run();" for n in numbers]
    body.append('  } catch (const std::exception& error) {\n    std::fprintf(stderr, "%s\\n", error.what());\n    return 1;\n  }\n}')
    includes = "\n".join(dict.fromkeys(includes))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(PROLOGUE.format(name=path.name, includes=includes) + "\n".join(body) + "\n")


def compare(path, blocks, directory):
    """Are the page's outputs what its code wrote? With MORSEL_UPDATE_DOCS=1 they become it."""
    lines, same = path.read_text().splitlines(), True
    for block in reversed(blocks):   # from below, so that lines above keep their numbers
        written = (directory / block.kind.split()[1]).read_text().splitlines()
        if written == block.lines:
            continue
        if os.environ.get("MORSEL_UPDATE_DOCS") == "1":
            lines[block.line - 1:block.line - 1 + len(block.lines)] = written
        else:
            same = False
            print(f"{path}:{block.line}: another output; MORSEL_UPDATE_DOCS=1 updates the page")
            print("\n".join(difflib.unified_diff(block.lines, written, "page", "written", lineterm="")))
    if lines != path.read_text().splitlines():
        path.write_text("\n".join(lines) + "\n")
    return same


def run(path, program):
    sections, left_out = parse(path)
    environment = dict(os.environ)
    if environment.get("MORSEL_COMMAND"):
        folder = str(pathlib.Path(environment["MORSEL_COMMAND"]).parent)
        environment["PATH"] = folder + os.pathsep + environment["PATH"]
    tried = 0
    with tempfile.TemporaryDirectory() as directory:
        for number, section in enumerate(sections):
            done = False
            for block in section.blocks:
                if block.kind.startswith("output "):
                    continue
                if block.kind == "cpp":
                    if done or number == 0 and block.hidden:
                        continue
                    done = True
                    command = [str(program), str(number)]
                else:
                    command = ["bash", "-euo", "pipefail", "-c", "\n".join(block.lines)]
                tried += 1
                result = subprocess.run(command, cwd=directory, env=environment, stdin=subprocess.DEVNULL,
                                        capture_output=True, text=True)
                if result.returncode:
                    print(f"{path}:{block.line}: section '{section.title}': exit {result.returncode}")
                    print(result.stdout[-2000:] + result.stderr[-2000:])
                    return 1
        outputs = [b for section in sections for b in section.blocks if b.kind.startswith("output ")]
        if not compare(path, outputs, pathlib.Path(directory)):
            return 1
    for reason in left_out:
        print("not run:", reason)
    print(f"{path.name}: {tried} parts ran, {len(left_out)} blocks left out")
    return 0


def main():
    action, path, other = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]).resolve()
    if action == "generate":
        return generate(path, other)
    return run(path, other)


sys.exit(main())
