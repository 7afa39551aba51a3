"""Golden ids of the hard corpus, by Hugging Face tokenizers.

    pip install tokenizers==0.23.3 gguf==0.19.0
    python3 make_goldens.py DIRECTORY...

Each DIRECTORY holds a tokenizer.json, or a vocab.gguf whose vocabulary is put together with the steps that the hub's
tokenizer.json of that family has. Writes hard_golden.json beside it: per text the number of ids, the CRC-32 of them (as
little-endian 32-bit numbers) and the CRC-32 of the UTF-8 text they decode to. No special tokens are added.
"""
import hashlib
import json
import pathlib
import sys
import zlib

import tokenizers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

import corpus as hard

CORPUS = pathlib.Path(__file__).parents[2] / "tests/data/tokenizers/hard_corpus.json"


def byte_level(use_regex=True):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPLITS = {
    "gpt-2": lambda: byte_level(),
    "mpt": lambda: byte_level(),
    "qwen2": lambda: pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3.replace("{1,3}", "")), "isolated"), byte_level(False)]),
    "llama-bpe": lambda: pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), byte_level(False)]),
    "starcoder": lambda: pre_tokenizers.Sequence([pre_tokenizers.Digits(True), byte_level()]),
    "smollm": lambda: pre_tokenizers.Sequence([pre_tokenizers.Digits(True), byte_level()]),
    "falcon": lambda: pre_tokenizers.Sequence([
        pre_tokenizers.Punctuation("contiguous"), byte_level(), pre_tokenizers.Digits(False),
        pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated")]),
}


def from_gguf(path):
    from gguf import GGUFReader

    fields = GGUFReader(path).fields

    def strings(key):
        field = fields[key]
        return [bytes(field.parts[i]).decode() for i in field.data]

    def text(key):
        return bytes(fields[key].parts[-1]).decode()

    tokens = strings("tokenizer.ggml.tokens")
    types_field = fields["tokenizer.ggml.token_type"]
    types = [int(types_field.parts[i][0]) for i in types_field.data]
    pre = text("tokenizer.ggml.pre")
    vocab = {token: i for i, token in enumerate(tokens)}
    merges = [tuple(line.split(" ")) for line in strings("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=pre == "llama-bpe"))
    tokenizer.pre_tokenizer = SPLITS[pre]()
    tokenizer.decoder = decoders.ByteLevel()
    if pre in ("qwen2", "mpt"):
        tokenizer.normalizer = normalizers.NFC()
    for kind in (2, 3, 4):
        added = [tokenizers.AddedToken(token, special=kind != 4, normalized=False)
                 for token, kind_here in zip(tokens, types) if kind_here == kind]
        (tokenizer.add_tokens if kind == 4 else tokenizer.add_special_tokens)(added)
    return tokenizer


def main():
    raw = CORPUS.read_bytes()
    corpus = json.loads(raw)
    for directory in map(pathlib.Path, sys.argv[1:]):
        gguf = directory / "vocab.gguf"
        tokenizer = from_gguf(gguf) if gguf.exists() else Tokenizer.from_file(str(directory / "tokenizer.json"))
        rows = []
        for recipe in corpus["texts"]:
            ids = tokenizer.encode(hard.expand(corpus, recipe), add_special_tokens=False).ids
            decoded = tokenizer.decode(ids, skip_special_tokens=False)
            packed = b"".join(i.to_bytes(4, "little") for i in ids)
            rows.append([len(ids), zlib.crc32(packed), zlib.crc32(decoded.encode())])
        golden = {"library": f"tokenizers {tokenizers.__version__}", "corpus": hashlib.sha256(raw).hexdigest(), "texts": rows}
        (directory / "hard_golden.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
        print(directory, len(rows), "texts", sum(row[0] for row in rows), "ids")


if __name__ == "__main__":
    main()
