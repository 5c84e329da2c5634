#!/usr/bin/env python3
"""Checks that links of the manual lead somewhere: files that exist, headings that are there, no page that none leads to.

usage: links.py CHECKOUT
"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1]).resolve()
docs = sorted((root / "docs").rglob("*.md"))
pages = [root / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")] + docs
broken, linked = [], set()


def anchors(page):
    """What GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


for page in pages:
    text = re.sub(r"^\s*```.*?^\s*```", "", page.read_text(), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text)):
        if re.match(r"\w+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if file.is_dir():
            linked |= set(file.glob("*.md"))
        linked.add(file)
        if not file.exists():
            broken.append(f"{page.relative_to(root)}: {target}: no such file")
        elif anchor and file.suffix == ".md" and anchor not in anchors(file):
            broken.append(f"{page.relative_to(root)}: {target}: no such heading")
for page in docs:
    if page not in linked:
        broken.append(f"{page.relative_to(root)}: no page leads here")
print("\n".join(broken) if broken else f"{len(pages)} pages, all links lead somewhere")
sys.exit(bool(broken))
