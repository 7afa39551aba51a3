#!/usr/bin/env python3
"""Fails when two types of one namespace have the same name.

Two sources that see different ones link without a word, and share inline functions made for either: memory goes wrong
far from the cause. Types in anonymous namespaces, in functions and in types are left out.
"""
import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OPENING = re.compile(r"namespace ?([\w:]*) ?\{")
TYPE = re.compile(r"(?:template <.*> )?(?:struct|class|enum class) ([\w:]+)(?: final)?(?: ?:[^:;].*)?(?: \{.*)?$")


def types(path):
    spaces = []
    for line in path.read_text().splitlines():
        if opened := OPENING.match(line):
            spaces.append(opened[1] or "(anonymous)")
        elif line.startswith("}  // namespace") and spaces:
            spaces.pop()
        elif (defined := TYPE.match(line)) and "{" in line and "(anonymous)" not in spaces:
            yield "::".join([*spaces, defined[1]])


def main():
    places = collections.defaultdict(set)
    for path in sorted((ROOT / "src").rglob("*.[ch]pp")):
        if not path.name.endswith("_test.cpp"):  # each a program of its own
            for name in types(path):
                places[name].add(str(path.relative_to(ROOT)))
    twice = {name: files for name, files in places.items() if len(files) > 1 and "RBEE_ISA" not in name}
    for name, files in sorted(twice.items()):
        print(f"{name} is defined in {' and in '.join(sorted(files))}", file=sys.stderr)
    if twice:
        sys.exit(1)
    print(f"{len(places)} types, none defined twice")


if __name__ == "__main__":
    main()
