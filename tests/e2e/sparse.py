"""Checkpoints of published models with true names, shapes and types and no data (tests/data/released)."""
import json
import math
import os
import struct

from conftest import ROOT

BYTES = {"F8_E4M3": 1, "U8": 1, "BF16": 2, "F16": 2, "F32": 4, "I32": 4}


def unfold(rows):
    for pattern, dtype, shape, *places in rows:
        layers = places[0] if places else [[0, 1]]
        experts = places[1] if len(places) > 1 else 1
        for begin, end in layers:
            for layer in range(begin, end):
                for expert in range(experts):
                    yield pattern.replace("{}", str(layer)).replace("{x}", str(expert)), dtype, shape


def write(name, folder):
    """A safetensors repository in one file that takes no room on the disk but for its header."""
    model = json.loads((ROOT / f"tests/data/released/{name}.json").read_text())
    header, end = {}, 0
    for tensor, dtype, shape in unfold(model["safetensors"]):
        begin, end = end, end + math.prod(shape) * BYTES[dtype]
        header[tensor] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    (folder / "config.json").write_text(json.dumps(model["config"]))
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    os.truncate(path, 8 + len(text) + end)
    return folder
