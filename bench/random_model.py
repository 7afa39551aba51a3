#!/usr/bin/env python3
"""Writes a GGUF file of bfloat16 random weights in the shape of a published model, for measuring speed.

Speed depends on shapes and types only, and no model hub is needed. `llm-worker-rbee convert` gives the file other
types. There is no vocabulary in it.
"""
import argparse
import struct

import numpy

STRING, UINT32, FLOAT32 = 8, 4, 6  # types of metadata values
F32, BF16 = 0, 30  # types of tensors
ALIGNMENT = 32


def llama(hidden, layers, ffn, heads, kv_heads, head_dim, vocab, rope_base):
    keys = {"block_count": layers, "context_length": 131072, "embedding_length": hidden, "feed_forward_length": ffn,
            "attention.head_count": heads, "attention.head_count_kv": kv_heads, "attention.key_length": head_dim,
            "attention.value_length": head_dim, "rope.dimension_count": head_dim, "vocab_size": vocab,
            "attention.layer_norm_rms_epsilon": 1e-5, "rope.freq_base": rope_base}
    tensors = {"token_embd.weight": (vocab, hidden), "output_norm.weight": (hidden,)}
    for layer in (f"blk.{i}." for i in range(layers)):
        tensors |= {
            layer + "attn_norm.weight": (hidden,), layer + "attn_q.weight": (heads * head_dim, hidden),
            layer + "attn_k.weight": (kv_heads * head_dim, hidden),
            layer + "attn_v.weight": (kv_heads * head_dim, hidden),
            layer + "attn_output.weight": (hidden, heads * head_dim), layer + "ffn_norm.weight": (hidden,),
            layer + "ffn_gate.weight": (ffn, hidden), layer + "ffn_up.weight": (ffn, hidden),
            layer + "ffn_down.weight": (hidden, ffn)}
    return "llama", keys, tensors


def qwen3moe(hidden, layers, experts, used, ffn, heads, kv_heads, head_dim, vocab):
    _, keys, tensors = llama(hidden, layers, ffn, heads, kv_heads, head_dim, vocab, 1e6)
    keys |= {"expert_count": experts, "expert_used_count": used, "expert_feed_forward_length": ffn}
    tensors["output.weight"] = (vocab, hidden)
    for layer in (f"blk.{i}." for i in range(layers)):
        for part in ("gate", "up", "down"):
            del tensors[f"{layer}ffn_{part}.weight"]
        tensors |= {
            layer + "attn_q_norm.weight": (head_dim,), layer + "attn_k_norm.weight": (head_dim,),
            layer + "ffn_gate_inp.weight": (experts, hidden), layer + "ffn_gate_exps.weight": (experts, ffn, hidden),
            layer + "ffn_up_exps.weight": (experts, ffn, hidden),
            layer + "ffn_down_exps.weight": (experts, hidden, ffn)}
    return "qwen3moe", keys, tensors


SHAPES = {
    "llama-3.2-1b": llama(2048, 16, 8192, 32, 8, 64, 128256, 5e5),
    "llama-3.1-8b": llama(4096, 32, 14336, 32, 8, 128, 128256, 5e5),
    "moe-8-of-64": qwen3moe(1024, 16, 64, 8, 512, 16, 4, 64, 32000),
}


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def metadata(architecture, keys):
    yield text("general.architecture") + struct.pack("<I", STRING) + text(architecture)
    yield text("tokenizer.ggml.model") + struct.pack("<I", STRING) + text("none")
    for key, value in keys.items():
        kind, code = (FLOAT32, "<If") if isinstance(value, float) else (UINT32, "<II")
        yield text(f"{architecture}.{key}") + struct.pack(code, kind, value)


def is_float(name, shape):  # as converters do, vectors and routers stay float32
    return len(shape) == 1 or "ffn_gate_inp" in name


def tensor_bytes(name, shape):
    count = numpy.prod(shape, dtype=numpy.int64).item()
    return count * (4 if is_float(name, shape) else 2)


def padding(size):
    return -size % ALIGNMENT


class Values:
    """An endless supply of normal values: a pool, read from changing places."""

    def __init__(self, deviation):
        self.random = numpy.random.default_rng(1)
        pool = (self.random.standard_normal(1 << 23) * deviation).astype(numpy.float32)
        self.pool = (pool.view(numpy.uint32) >> 16).astype(numpy.uint16)  # cut to bfloat16

    def write(self, out, count):
        while count > 0:
            begin = self.random.integers(len(self.pool) // 2)
            piece = self.pool[begin:begin + count]
            piece.tofile(out)
            count -= len(piece)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("output", help="the GGUF file to write")
    options = parser.parse_args()
    architecture, keys, tensors = SHAPES[options.shape]
    entries = list(metadata(architecture, keys))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries)) + b"".join(entries)
    offset = 0
    for name, shape in tensors.items():
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape),
                                         F32 if is_float(name, shape) else BF16, offset)
        size = tensor_bytes(name, shape)
        offset += size + padding(size)
    values = Values(deviation=0.02)
    with open(options.output, "wb") as out:
        out.write(head + bytes(padding(len(head))))
        for name, shape in tensors.items():
            if "norm" in name:
                numpy.ones(shape, numpy.float32).tofile(out)
            elif is_float(name, shape):
                values.random.standard_normal(shape, numpy.float32).tofile(out)
            else:
                values.write(out, numpy.prod(shape, dtype=numpy.int64).item())
            out.write(bytes(padding(tensor_bytes(name, shape))))


if __name__ == "__main__":
    main()
