"""Writes golden files for the chat template tests, with Python's jinja2 3.1 as the reference.

    pip install jinja2
    make_goldens.py conversations tests/data/chat/conversations.json
    make_goldens.py language tests/data/chat/language.json
    make_goldens.py templates DIR      for each DIR/NAME.jinja writes DIR/NAME.golden.json

The last one also serves templates that may not be shipped: point RBEE_EXTRA_TEMPLATES at such a directory and
the tests check them too.
"""

import json
import pathlib
import sys

from conversations import CONVERSATIONS, variables_of
from environment import render
from language_cases import CASES, VARIABLES


def write(path, data):
    pathlib.Path(path).write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def templates(directory):
    for path in sorted(pathlib.Path(directory).glob("*.jinja")):
        source = path.read_bytes().decode("utf-8")
        golden = {name: render(source, variables_of(c)) for name, c in CONVERSATIONS.items()}
        write(path.with_suffix(".golden.json"), golden)
        failures = sum("text" not in result for result in golden.values())
        print(f"{path.name}: {len(golden)} cases, {failures} of them errors")


def language(path):
    cases = []
    for case in CASES:
        source, extra = case if isinstance(case, tuple) else (case, {})
        cases.append({"template": source, "variables": extra, **render(source, {**VARIABLES, **extra})})
    write(path, {"variables": VARIABLES, "cases": cases})
    print(f"{len(cases)} cases, {sum('text' not in c for c in cases)} of them errors")


def main():
    what, path = sys.argv[1:]
    if what == "conversations":
        write(path, {name: variables_of(c) for name, c in CONVERSATIONS.items()})
    elif what == "language":
        language(path)
    elif what == "templates":
        templates(path)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
