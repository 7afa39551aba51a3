#!/usr/bin/env python3
"""Checks the include direction: a folder of src/ may include only itself and folders above it in LAYERS."""
import pathlib
import re
import sys

LAYERS = [
    "base", "core", "checkpoint", "quantize", "tokenizer", "chat", "backend", "backend/ref", "backend/cpu", "backend/cuda",
    "model", "nn", "families", "convert", "state", "sampling", "engine", "server", "app",
]
# Kernel objects must share no inline function with other code (see docs/architecture.md).
KERNEL_FOLDER = "backend/cpu/kernels"
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def layer_of(folder: str):
    """The innermost layer that holds this folder, or None."""
    while folder:
        if folder in LAYERS:
            return folder
        folder = folder.rpartition("/")[0]
    return None


def violations(root: pathlib.Path):
    for source in sorted((root / "src").rglob("*.[ch]pp")):
        relative = source.relative_to(root / "src").as_posix()
        here = layer_of(relative.rpartition("/")[0])
        is_test = source.stem.endswith("_test") or source.stem.endswith("_testing")
        is_kernel = relative.startswith(KERNEL_FOLDER) and source.stem.endswith("_kernels")
        if here is None:
            yield f"src/{relative}: folder is in no layer"
            continue
        for number, line in enumerate(source.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            target = match.group(1)
            there = layer_of(target.rpartition("/")[0])
            where = f"src/{relative}:{number}"
            if there is None:
                yield f"{where}: \"{target}\" is not rooted at src/"
            elif is_kernel and not target.startswith(KERNEL_FOLDER):
                yield f"{where}: a kernel source may include only headers of {KERNEL_FOLDER}"
            elif LAYERS.index(there) > LAYERS.index(here) and not is_test:
                yield f"{where}: {here} may not include {there}"
            elif here == "families" and target.startswith("families/") and not is_test:
                yield f"{where}: nothing includes a family"


def main():
    found = list(violations(pathlib.Path(__file__).resolve().parent.parent))
    print("\n".join(found) if found else "include direction holds")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
