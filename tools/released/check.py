"""Compares what make.py derives with checkpoints that were written by others: the fixtures' tensors and keys, in both formats.

    python3 check.py ../../tests/data/fixtures
"""
import json
import pathlib
import struct
import sys

import gguf
import gguf_view
import hf_tensors

FREE = ("general.", "tokenizer.", "GGUF.", "rope.scaling.attn_factor", "vocab_size", "tensor_data_layout")


def header(path):
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    entries = json.loads(data[8:8 + size])
    entries.pop("__metadata__", None)
    return {name: entry["shape"] for name, entry in entries.items()}


def report(what, found, expected):
    for name in sorted(expected.keys() | found.keys()):
        if found.get(name) != expected.get(name):
            print(f"{what}: {name}: derived {found.get(name)}, in the file {expected.get(name)}")


def same(a, b):
    return abs(a - b) < 1e-5 * max(abs(a), abs(b)) if isinstance(a, float) or isinstance(b, float) else a == b


def compare(folder):
    config = json.loads((folder / "config.json").read_text())
    plain = hf_tensors.plain_tensors(folder.name, config)
    files = list(folder.glob("*.safetensors"))
    if "fp8" not in folder.name and files:
        stored = {n: s for f in files for n, s in header(f).items()}
        if config["model_type"] == "gpt_oss":
            stored = {n: s for n, s in stored.items() if ".experts." not in n}
            plain_here = {n: s for n, s in plain.items() if ".experts." not in n}
        else:
            plain_here = plain
        report(f"{folder.name} safetensors", plain_here, stored)
    path = folder / "model.gguf"
    if not path.exists() or gguf_view.architecture(config) is None:
        return
    reader = gguf.GGUFReader(path)
    report(f"{folder.name} gguf", gguf_view.gguf_shapes(plain, config),
           {t.name: [int(side) for side in t.shape][::-1] for t in reader.tensors})
    arch = gguf_view.architecture(config)
    keys = {k.removeprefix(arch + "."): f.contents() for k, f in reader.fields.items()}
    derived = gguf_view.gguf_keys(config)
    for key in sorted(k for k in keys.keys() | derived.keys() if not k.startswith(FREE)):
        if key not in keys or key not in derived or not same(keys[key], derived[key]):
            print(f"{folder.name} keys: {key}: derived {derived.get(key)}, in the file {keys.get(key)}")


if __name__ == "__main__":
    for folder in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        if (folder / "config.json").exists():
            try:
                compare(folder)
            except Exception as error:  # show all of them
                print(f"{folder.name}: {type(error).__name__}: {error}")
