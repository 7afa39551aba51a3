"""Blocks of the quantised types of GGUF and their values as the gguf package decodes them.

    pip install gguf==0.19.0 && python3 make_goldens.py ../../tests/data/checkpoint/quants TYPE...

Writes TYPE.blocks and TYPE.f32: three blocks of random codes (their scale subnormal, negative, ordinary), one whose bytes
are all 0xFF and one of zeros, the scales of both the greatest.
"""
import pathlib
import sys

import gguf
import numpy as np

SCALE_BYTES = {"IQ1_M": None, "MXFP4": 0, "NVFP4": 0, "TQ1_0": 52, "TQ2_0": 64}  # others: the first two
GREATEST = 0x7BFF  # 65504


def set_scale(block, name, half):
    """Writes the f16 scale of a block."""
    if name == "IQ1_M":  # a nibble at the top of each of the last four words
        for i in range(4):
            block[49 + 2 * i] = (block[49 + 2 * i] & 0x0F) | ((half >> 4 * i) & 15) << 4
    else:
        at = SCALE_BYTES.get(name, 0)
        block[at], block[at + 1] = half & 255, half >> 8


def make_blocks(name, generator):
    size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]][1]
    if name == "MXFP4":  # every kind of exponent, the two subnormal powers and the last one among them
        blocks = generator.integers(0, 256, (9, size), dtype=np.uint8)
        blocks[:, 0] = [0, 1, 2, 3, 120, 127, 128, 254, 255]
        return blocks
    if name == "NVFP4":  # all 256 scales
        blocks = generator.integers(0, 256, (64, size), dtype=np.uint8)
        blocks[:, :4] = np.arange(256).reshape(64, 4)
        return blocks
    blocks = generator.integers(0, 256, (5, size), dtype=np.uint8)
    blocks[3], blocks[4] = 0xFF, 0
    for block, half in zip(blocks, [0x0123, 0xA6CD, 0x2B11, GREATEST, GREATEST]):
        set_scale(block, name, half)
    return blocks


def main():
    folder = pathlib.Path(sys.argv[1])
    for name in sys.argv[2:]:
        blocks = make_blocks(name, np.random.default_rng(list(name.encode())))
        values = gguf.dequantize(blocks, gguf.GGMLQuantizationType[name]).astype(np.float32)
        assert not np.isnan(values).any(), name
        (folder / f"{name}.blocks").write_bytes(blocks.tobytes())
        (folder / f"{name}.f32").write_bytes(values.tobytes())


if __name__ == "__main__":
    main()
