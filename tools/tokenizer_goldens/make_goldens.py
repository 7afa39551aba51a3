"""Golden ids of the hard corpus, by the library that defines each kind of vocabulary.

    pip install tokenizers==0.23.3 gguf==0.19.0 sentencepiece==0.2.3 mistral-common==1.13.1 tiktoken==0.14.0 rwkv==0.8.32
    python3 make_goldens.py [--short] DIRECTORY...

With --short, texts of more than 2000 bytes are left out. Each DIRECTORY holds a tokenizer.json (tokenizers), a tokenizer.model (sentencepiece), a tekken.json (mistral-common), a
tiktoken.model (tiktoken, with Kimi's pattern), a rwkv_vocab_v20230424.txt (rwkv), or a vocab.gguf whose vocabulary is put together with the steps that the hub's
tokenizer.json of that family has (tokenizers). Writes hard_golden.json beside it: per text the number of ids, the CRC-32 of them (as
little-endian 32-bit numbers) and the CRC-32 of the UTF-8 text they decode to; null where the
library fails and for texts that are left out. No special tokens are added.
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


class HuggingFace:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.library = f"tokenizers {tokenizers.__version__}"

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids):
        return self.tokenizer.decode(ids, skip_special_tokens=False)


class SentencePiece:
    def __init__(self, path):
        import sentencepiece

        self.library = f"sentencepiece {sentencepiece.__version__}"
        self.processor = sentencepiece.SentencePieceProcessor(model_file=str(path))

    def encode(self, text):
        return self.processor.encode(text)

    def decode(self, ids):
        # We follow transformers where it differs: unknown tokens decode to their spelling, not to a sign of the library's
        # own, and one space is dropped from the start, not all of them.
        if self.processor.unk_id() in ids or (ids and self.processor.id_to_piece(ids[0]) == "▁"):
            return None
        return self.processor.decode(ids)


class Tekken:
    def __init__(self, path):
        import mistral_common
        from mistral_common.tokens.tokenizers.base import SpecialTokenPolicy
        from mistral_common.tokens.tokenizers.tekken import Tekkenizer

        self.library = f"mistral-common {mistral_common.__version__}"
        self.tokenizer = Tekkenizer.from_file(path)
        self.keep = SpecialTokenPolicy.KEEP

    def encode(self, text):
        return self.tokenizer.encode(text, bos=False, eos=False)

    def decode(self, ids):
        return self.tokenizer.decode(ids, self.keep)


class Kimi:
    CASED = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
    LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
    PATTERN = "|".join([r"[\p{Han}]+", rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{CASED}", rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{CASED}",
                        r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])

    def __init__(self, path):
        import base64
        import tiktoken

        self.library = f"tiktoken {tiktoken.__version__}"
        ranks = {base64.b64decode(token): int(rank) for token, rank in map(str.split, path.read_text().splitlines())}
        self.encoding = tiktoken.Encoding("kimi", pat_str=self.PATTERN, mergeable_ranks=ranks, special_tokens={})

    def encode(self, text):
        return self.encoding.encode(text, disallowed_special=())

    def decode(self, ids):
        return self.encoding.decode(ids, errors="replace")


class RwkvWorld:
    library = "rwkv 0.8.32"

    def __init__(self, path):
        from rwkv.rwkv_tokenizer import TRIE_TOKENIZER

        self.tokenizer = TRIE_TOKENIZER(str(path))

    def encode(self, text):
        return self.tokenizer.encode(text)

    def decode(self, ids):
        return self.tokenizer.decodeBytes(ids).decode("utf-8", errors="replace")


def open_reference(directory):
    if (directory / "vocab.gguf").exists():
        return HuggingFace(from_gguf(directory / "vocab.gguf"))
    if (directory / "tokenizer.json").exists():
        return HuggingFace(Tokenizer.from_file(str(directory / "tokenizer.json")))
    if (directory / "tokenizer.model").exists():
        return SentencePiece(directory / "tokenizer.model")
    if (directory / "tekken.json").exists():
        return Tekken(directory / "tekken.json")
    if (directory / "tiktoken.model").exists():
        return Kimi(directory / "tiktoken.model")
    return RwkvWorld(directory / "rwkv_vocab_v20230424.txt")


def main():
    raw = CORPUS.read_bytes()
    corpus = json.loads(raw)
    short = sys.argv[1] == "--short"
    for directory in map(pathlib.Path, sys.argv[1 + short:]):
        reference = open_reference(directory)
        rows = []
        for recipe in corpus["texts"]:
            text = hard.expand(corpus, recipe)
            if short and len(text.encode()) > 2000:
                rows.append(None)
                continue
            try:
                ids = reference.encode(text)
            except ValueError:  # tiktoken gives up on megabytes of some texts
                rows.append(None)
                continue
            decoded = reference.decode(ids)
            packed = b"".join(i.to_bytes(4, "little") for i in ids)
            rows.append([len(ids), zlib.crc32(packed), None if decoded is None else zlib.crc32(decoded.encode())])
        golden = {"library": reference.library, "corpus": hashlib.sha256(raw).hexdigest(), "texts": rows}
        (directory / "hard_golden.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
        print(directory, len(rows), "texts", sum(row[0] for row in rows if row), "ids")


if __name__ == "__main__":
    main()
