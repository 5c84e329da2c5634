#!/usr/bin/env python3
"""Checks what the compiler cannot: the arrows between the layers, and what headers may contain.

A folder is a layer and includes only lower ones; io and kernel never see each other; exec sees plan, not graph; nobody
includes ext. Third-party headers stay in .ipp and .cpp files and in ext/ (xtensor also in api/, where results are).
Every .ipp is included by its layer's source, and by a header for header-only use.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent).resolve()
BELOW = {
    "base": set(),
    "array": {"base"},
    "io": {"base", "array"},
    "kernel": {"base", "array"},
    "graph": {"base", "array", "io", "kernel"},
    "plan": {"base", "array", "io", "kernel", "graph"},
    "exec": {"base", "array", "io", "kernel", "plan"},
    "api": {"base", "array", "io", "kernel", "graph", "plan", "exec"},
}
BELOW["ext"] = set(BELOW)
BELOW["conformance"] = set(BELOW) - {"ext"}   # suites that third parties run over their own sources, codecs, stores
BELOW["app"] = {"base", "array", "io", "api", "ext"}   # morsel.hpp is api and io
UMBRELLAS = {"morsel/morsel.hpp", "morsel/fwd.hpp"}
HEAVY = {"iostream", "ranges", "regex", "filesystem", "format", "thread", "fstream", "sstream", "iomanip", "future"}
TOO_NEW = {"source_location", "expected", "mdspan", "format", "generator", "print", "flat_map"}
THIRD_PARTY_FOLDERS = ("xtensor/", "xtl/", "nlohmann/", "CLI/", "catch2/", "benchmark/", "hdf5", "blosc")
THIRD_PARTY_FILES = {"sleef.h", "zlib.h", "libdeflate.h", "zstd.h", "lz4.h", "lz4frame.h", "blosc.h", "hdf5.h", "tiffio.h", "mpi.h",
                     "bzlib.h", "lzma.h", "jpeglib.h", "png.h"}

errors = []


def error(path, number, text):
    errors.append(f"{path.relative_to(ROOT)}:{number}: {text}")


def includes(text):
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
        if match:
            yield number, match[1]


def layer_of(name):
    match = re.match(r"morsel/(\w+)/", name)
    return match[1] if match else None


def check_arrows(path, layer, text):
    allowed = BELOW[layer] | {layer}
    for number, name in includes(text):
        if not name.startswith("morsel/"):
            continue
        if name in UMBRELLAS:
            if name == "morsel/morsel.hpp" and layer not in ("ext", "app") and path.name != "api.cpp":
                error(path, number, f"{layer} includes {name}, which includes every layer")
            continue
        other = layer_of(name)
        if other not in BELOW:
            error(path, number, f"<{name}> is in no layer")
        elif other not in allowed:
            error(path, number, f"{layer} includes {other} (<{name}>)")


def check_header(path, layer, text):
    """A header or .ipp under include/."""
    is_body = path.suffix in (".ipp", ".inl") or path.parent.name == "impl"
    for number, name in includes(text):
        third_party = name in THIRD_PARTY_FILES or name.startswith(THIRD_PARTY_FOLDERS)
        if third_party and not is_body and layer != "ext" and not (layer == "api" and name.startswith("xtensor/")):
            error(path, number, f"third-party header <{name}> in a public header")
        if name in HEAVY and not is_body and layer != "ext":
            error(path, number, f"<{name}> in a public header")
        if name in TOO_NEW:
            error(path, number, f"<{name}> is not available with every supported compiler")
    for number, line in enumerate(text.splitlines(), 1):
        code = line.split("//")[0]
        if re.match(r"\s*namespace\s*\{", code):
            error(path, number, "anonymous namespace in a header")
        # Namespace scope is column 0 here: clang-format does not indent namespaces.
        if re.match(r"(static|thread_local)\b(?!_assert)", code):
            error(path, number, "static or thread-local at namespace scope in a header")
        if re.match(r"inline\s+(?!constexpr|namespace|const\s+char|auto\b|void\b|bool\b)[\w:<>,\s&*]+\s\w+\s*(=|\{\}|;)", code) and "(" not in code:
            error(path, number, "variable with static storage in a header; expected inline constexpr")
        if re.search(r"std::(ranges::)?views\b|std::move_only_function|std::source_location", code):
            error(path, number, "not available with every supported compiler")
        if re.search(r"std::(stable_sort|stable_partition|inplace_merge)\b", code):
            error(path, number, "warns with clang and libstdc++ 12 (get_temporary_buffer); expected morsel::sort_stably")
    # The first such function of a class is its key function: with a body that turns inline later, every header-only
    # unit emits the vtable and all that it leads to.
    for match in re.finditer(r"([^;{}]*)\b(override|final)\s*;|([^;{}]*\bvirtual\b[^;{}=]*);", re.sub(r"//.*", "", text)):
        if "INLINE" not in match[0] and "inline" not in match[0]:
            number = text.count("\n", 0, text.find(match[0].strip().splitlines()[-1])) + 1
            error(path, number, "virtual function with its body elsewhere; expected MORSEL_INLINE in the class, too")


def main():
    count = 0
    bodies, included_in_headers, parts_of = {}, set(), {}
    for path in sorted((ROOT / "include/morsel").rglob("*")):
        if path.suffix not in (".hpp", ".ipp", ".inl"):
            continue
        count += 1
        text = path.read_text()
        inside = path.relative_to(ROOT / "include").as_posix()
        layer = layer_of(inside)
        if path.suffix == ".ipp":
            bodies[inside] = layer
            parts_of[inside] = [name for _, name in includes(text) if name.endswith(".ipp")]
        if layer is None:
            if inside not in UMBRELLAS:
                error(path, 1, "a public header outside the layers")
            continue
        if layer not in BELOW or layer == "app":
            error(path, 1, f"unknown layer '{layer}'")
            continue
        check_arrows(path, layer, text)
        check_header(path, layer, text)
        included_in_headers.update(name for _, name in includes(text) if name.endswith(".ipp"))

    def with_parts(name):
        yield name
        for part in parts_of.get(name, []):
            yield from with_parts(part)

    included_in_sources = {}
    for path in sorted((ROOT / "src").rglob("*")):
        if path.suffix not in (".cpp", ".hpp", ".ipp", ".inl"):
            continue
        count += 1
        text = path.read_text()
        parts = path.relative_to(ROOT / "src").parts
        layer = parts[0] if len(parts) > 1 else path.stem.split("_")[0]
        if layer in BELOW:
            check_arrows(path, layer, text)
        for _, name in includes(text):
            if name.endswith(".ipp"):
                for part in with_parts(name):
                    included_in_sources.setdefault(part, set()).add(path)

    for body, layer in bodies.items():
        path = ROOT / "include" / body
        if body not in included_in_headers:
            error(path, 1, "no header includes this for header-only use")
        if layer == "conformance":   # in headers only, whatever the mode
            continue
        users = sorted(included_in_sources.get(body, []))
        if len(users) != 1:
            names = ", ".join(str(user.relative_to(ROOT)) for user in users) or "none"
            error(path, 1, f"expected exactly one source in src/ that includes this, got {names}")

    for line in errors:
        print(line)
    print(f"layers: {count} files, {len(errors)} errors")
    return 1 if errors or count == 0 else 0


sys.exit(main())
