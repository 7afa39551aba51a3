"""How the pre-tokenizers that GGUF files name cut text, by Hugging Face tokenizers.

    pip install tokenizers==0.23.3 tiktoken==0.14.0
    python3 make_pre_tokenizers.py deepseek_v3/tokenizer.json tekken.json > ../../tests/data/tokenizers/pre_tokenizers.json

For each name the steps that the hub's tokenizer.json of a family with it has (those of o200k as tiktoken has them), and for
every eighth short text of the hard corpus the CRC-32 of the sizes of the pieces in bytes (little-endian 32-bit numbers).
Not for falcon, whose steps after ByteLevel cut within characters, where its vocabulary merges nothing.
"""
import inspect
import json
import pathlib
import re
import sys
import zlib

import tiktoken_ext.openai_public
from tokenizers import Regex, Tokenizer, pre_tokenizers

import corpus as hard
from make_goldens import CORPUS, LLAMA3, SPLITS


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def o200k():
    source = inspect.getsource(tiktoken_ext.openai_public.o200k_base)
    patterns = re.findall(r'r"""(.*?)"""', source, re.S)
    return "|".join(patterns)


def main():
    deepseek, tekken = sys.argv[1:]
    cut = {
        "gpt-2": SPLITS["gpt-2"](), "starcoder": SPLITS["starcoder"](), "llama-bpe": split(LLAMA3),
        "qwen2": split(LLAMA3.replace("{1,3}", "")), "deepseek-v3": Tokenizer.from_file(deepseek).pre_tokenizer,
        "gpt-4o": split(o200k()), "tekken": split(json.loads(pathlib.Path(tekken).read_text())["config"]["pattern"]),
    }
    same = {"gpt-2": ["phi-2", "olmo", "mpt"], "starcoder": ["smollm", "refact", "command-r"],
            "llama-bpe": ["falcon3", "dbrx", "smaug-bpe"], "qwen2": ["deepseek-r1-qwen", "stablelm2"], "gpt-4o": ["minimax-m2"]}
    corpus = json.loads(CORPUS.read_text())
    texts = [(i, hard.expand(corpus, recipe)) for i, recipe in enumerate(corpus["texts"]) if i % 8 == 0]
    texts = [(i, text) for i, text in texts if len(text.encode()) <= 2000]
    out = {"indices": [i for i, _ in texts], "cuts": []}
    for name, pre in cut.items():
        checksums = []
        for _, text in texts:
            pieces = [piece for piece, _ in pre.pre_tokenize_str(text)]
            # After a ByteLevel step each character stands for a byte.
            in_bytes = "ByteLevel" in str(pre)
            sizes = [len(piece) if in_bytes else len(piece.encode()) for piece in pieces]
            checksums.append(zlib.crc32(b"".join(size.to_bytes(4, "little") for size in sizes)))
        out["cuts"].append({"names": [name, *same.get(name, [])], "checksums": checksums})
    print(json.dumps(out, separators=(",", ":")))


if __name__ == "__main__":
    main()
