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
    size = 18 if name in ("Q1_0", "Q2_0") else gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]][1]
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


def decode(blocks, name):
    if name in ("Q1_0", "Q2_0"):  # not in the package: f16 scale, then codes of 1 or 2 bits, the lowest first
        bits = int(name[1])
        scales = blocks[:, :2].copy().view(np.float16).astype(np.float32)
        codes = (blocks[:, 2:, None] >> np.arange(0, 8, bits, dtype=np.uint8)) & (2**bits - 1)
        codes = codes.reshape(len(blocks), -1).astype(np.float32)
        return scales * (2 * codes - 1 if bits == 1 else codes - 1)
    return gguf.dequantize(blocks, gguf.GGMLQuantizationType[name]).astype(np.float32)


def main():
    folder = pathlib.Path(sys.argv[1])
    for name in sys.argv[2:]:
        blocks = make_blocks(name, np.random.default_rng(list(name.encode())))
        values = decode(blocks, name)
        assert not np.isnan(values).any(), name
        (folder / f"{name}.blocks").write_bytes(blocks.tobytes())
        (folder / f"{name}.f32").write_bytes(values.tobytes())


if __name__ == "__main__":
    main()
