"""The constant grids of the IQ1, IQ2 and IQ3 types, packed, as a C++ source.

    pip install gguf==0.19.0 && python3 make_grids.py > ../../src/checkpoint/quant_grids.cpp && ../../scripts/format.sh

The numbers are those of the gguf package (gguf/quants.py), which has them from llama.cpp's ggml-common.h.
"""
import numpy as np
from gguf import quants

GRIDS = [
    ("kIq2XxsGrid", quants.IQ2_XXS, 2),
    ("kIq2XsGrid", quants.IQ2_XS, 2),
    ("kIq2SGrid", quants.IQ2_S, 2),
    ("kIq3XxsGrid", quants.IQ3_XXS, 3),
    ("kIq3SGrid", quants.IQ3_S, 3),
    ("kIq1Grid", quants.IQ1_S, 2),
]
HEAD = """// Made by tools/quant_tables/make_grids.py: do not edit.
// The numbers are those of llama.cpp (ggml/src/ggml-common.h, by way of the Python package gguf
// 0.19.0): Copyright (c) 2023 Georgi Gerganov, MIT licence, see quant_grids.LICENSE.txt.
#include "checkpoint/quant_grids.hpp"

namespace rbee {
"""


def packed(kind, bits):
    kind.init_grid()
    grid = kind.grid.reshape(kind.grid_shape)
    codes = np.searchsorted(np.array(kind.grid_map, dtype=np.float32), grid)
    assert (np.array(kind.grid_map)[codes] == grid).all()
    return (codes << bits * np.arange(grid.shape[1])).sum(axis=1)


def main():
    print(HEAD)
    for name, kind, bits in GRIDS:
        words = packed(kind, bits)
        print(f"const std::uint16_t {name}[{len(words)}] = {{")
        for i in range(0, len(words), 12):
            print("    " + " ".join(f"0x{w:04x}," for w in words[i:i + 12]))
        print("};\n")
    print("}  // namespace rbee")


if __name__ == "__main__":
    main()
