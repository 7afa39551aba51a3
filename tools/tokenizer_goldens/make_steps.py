"""Golden results of single steps and of small whole tokenizers, by Hugging Face tokenizers.

    pip install tokenizers==0.23.3
    python3 make_steps.py > ../../tests/data/tokenizers/steps.json
"""
import base64
import json
import struct

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers



def charsmap(rules):
    """A precompiled_charsmap: a double array (darts-clone), built by trying offsets, and the replacements."""
    strings, values = b"", {}
    for source, target in rules.items():
        values[source.encode()] = len(strings)
        strings += target.encode() + b"\0"
    units, used = {0: 0}, {0}

    def place(node, keys):
        """keys: the rest of each source below the node, and its value."""
        labels = sorted({key[0] if key else 0 for key, _ in keys})
        offset = 1
        # An offset up to 2^21 fits in the unit as it is.
        while any(node ^ offset ^ label in used for label in labels) or any(label and node ^ offset ^ label == 0 for label in labels):
            offset += 1
        units[node] |= offset << 10
        children = {label: node ^ offset ^ label for label in labels}
        used.update(children.values())
        for label, child in children.items():
            if label == 0:
                units[node] |= 1 << 8
                units[child] = next(value for key, value in keys if not key) | 1 << 31
            else:
                units[child] = label
        for label, child in children.items():
            if label:
                place(child, [(key[1:], value) for key, value in keys if key and key[0] == label])

    place(0, list(values.items()))
    array = [units.get(i, 0x80000000) for i in range(max(units) + 257)]
    blob = struct.pack("<I", 4 * len(array)) + struct.pack(f"<{len(array)}I", *array) + strings
    return base64.b64encode(blob).decode()


NMT_NFKC = charsmap({"\t": " ", "\n": " ", "\r": "", "\u00a0": " ", "\u3000": " ", "\ufb01": "fi", "\u00b2": "2", "e\u0301": "\u00e9",
                     "\u212b": "\u00c5", "A": "a", "AB": "x", "\u200b": "", "XX": "YY", "\U0001f600": ":)"})

TEXTS = ["Hello, world!  It's 2024-01-31.", "  two  leading", "trailing  ", " ", "a", "é", "e\u0301 \u212b ﬁ ²", "日本語テスト",
         "...--...", "a.b,c!", "12 345 6789 ٣٤ ½", "line one\nline two\r\n\tthree\n\n", "▁meta▁▁space", "don't WE'LL ſ 'ſ",
         "x\u00a0y\u2003z\u3000", "aXbXXc", "XX", "X", "aaaXaaa", "ÀÉİ ΑΣ straße ǅ", "foo_bar-baz qux's", "\u0301mark", "😀👍🏽 ok",
         "CamelCaseHTTPServer", "\x01\x7f\u200b\ufeff\u2581", "a\u0323\u0307 a\u0307\u0323", "가 \u1100\u1161", "<s>x</s>", "  "]


def step(kind, **fields):
    return {"type": kind, **fields}


def split(pattern, behavior="Isolated", invert=False, regex=True):
    return step("Split", pattern={"Regex" if regex else "String": pattern}, behavior=behavior, invert=invert)


BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
BYTES = step("ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=False)

PRE = [step("ByteLevel", add_prefix_space=prefix, trim_offsets=True, use_regex=regex) for prefix in (False, True)
       for regex in (False, True)]
PRE += [split("X", b, i, regex=False) for b in BEHAVIORS for i in (False, True)]
PRE += [split(r"\s+", b, i) for b in BEHAVIORS for i in (False, True)]
PRE += [split(p) for p in (
    r"\s+(?!\S)|\s+", r"\p{N}{1,3}", r"\p{N}{1,3}+", r"[^\S\n]+", r"[[:punct:]]+", r"[[:alpha:]]+", r"\w+", r"\W", r"\d", r"\D+", r"\h+",
    r"(?=[A-Z])", r"(?<=[a-z])(?=[A-Z])", r"\b", r"\B", r"^.", r".$", r"(?m:.+)", r"(?i:x+)", r"(?i)'LL|'s|É", r"[\p{L}&&[^a-z]]+",
    r"[a-c[x-z]]+", r"[^\p{L}\s]", r"\p{^L}+", r"\P{L}+", r"\p{Han}+|\p{Hiragana}+|\p{Katakana}+", r"a*", r"x{,2}", r"\u0041|\x61", r"[\w.]+",
    r"\S+?", r"[^a]", r"\s+$", r"\A.|.\z", r"(\S)\1", r"(?:\r\n|\n)", r"[\]\-a]", r"\p{Lu}\p{Ll}+", r"\R", r"[\s\S]{3}", r"(?>a+)a?|.",
    r"\p{Alphabetic}+", r"[\x{41}-\x{5a}]+", r"é|ſ", r"\p{M}+", r"\p{Sc}|\p{So}|\p{P}+")]
PRE += [split(p, b) for p in (r"(?=[A-Z])", r"a*", r"\b") for b in BEHAVIORS]
PRE += [step("Digits", individual_digits=b) for b in (False, True)]
PRE += [step("Punctuation", behavior=b) for b in BEHAVIORS] + [step("Punctuation")]
PRE += [step("Metaspace", replacement="▁", prepend_scheme=s, split=b) for s in ("always", "first", "never") for b in (False, True)]
PRE += [step("Metaspace", replacement="_", add_prefix_space=True)]
PRE += [step("Whitespace"), step("WhitespaceSplit"), step("CharDelimiterSplit", delimiter="X")]


def sequence(*steps):
    return step("Sequence", pretokenizers=list(steps))


PRE += [sequence(), sequence(step("Digits", individual_digits=True), PRE[1]),
        sequence(step("Punctuation", behavior="Contiguous"), PRE[1], step("Digits", individual_digits=False),
                 split("[0-9][0-9][0-9]")),
        sequence(split(r"\s", "Removed"), step("Metaspace", replacement="▁", prepend_scheme="first", split=True)),
        sequence(step("WhitespaceSplit"), PRE[3]), sequence(PRE[2], split("Ġ", regex=False)),
        sequence(split(r"\p{L}+"), sequence(split(r"[a-e]"), BYTES))]

NORMALIZERS = [step(k) for k in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel")]
NORMALIZERS += [step("Prepend", prepend="▁"), step("Strip", strip_left=True, strip_right=True),
                step("Strip", strip_left=True, strip_right=False), step("Strip", strip_left=False, strip_right=True),
                step("Replace", pattern={"String": " "}, content="▁"), step("Replace", pattern={"Regex": r"\s{2,}"}, content=" "),
                step("Replace", pattern={"Regex": r"(\d)"}, content="<\\1>"), step("Replace", pattern={"String": "X"}, content=""),
                step("Sequence", normalizers=[]),
                step("Sequence", normalizers=[step("NFKD"), step("StripAccents"), step("Lowercase"), step("Prepend", prepend="_")])]

TOKENS = [["▁Hello", "▁wor", "ld", "!"], ["▁", "▁▁a", "<0xE2>", "<0x82>", "<0xAC>", "b"], ["<0xF0>", "<0x9F>", "<0x98>", "<0x80>"],
          ["a"], [" a"], ["  a", "b "], ["ĠHello", "Ġworld", "Ċ"], ["Ã", "©", "ðŁ", "ĺ", "Ģ"], ["Ã", "x"], ["日本", "é"], ["<0x41>", "<0xzz>", "<0x4>"],
          ["▁▁▁"], ["<0xE2>", "x"], ["ÿ", "a b", "ï¿½"], ["<0x20>", "x"]]
FUSED = [step("Replace", pattern={"String": "▁"}, content=" "), step("ByteFallback"), step("Fuse")]
DECODERS = [step("ByteLevel", add_prefix_space=True, trim_offsets=True, use_regex=True), step("Fuse"), step("ByteFallback"),
            step("Replace", pattern={"Regex": "[a-c]+"}, content="_"), step("Strip", content=" ", start=1, stop=1),
            step("Strip", content="a", start=2, stop=0), step("Sequence", decoders=FUSED),
            step("Sequence", decoders=FUSED + [step("Strip", content=" ", start=1, stop=0)])]
DECODERS += [step("Metaspace", replacement="▁", prepend_scheme=s, split=True) for s in ("always", "first", "never")]


def added(i, content, **flags):
    return {"id": i, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True, **flags}


def tokenizer(tokens, merges, extra=(), **parts):
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
             "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": {t: i for i, t in enumerate(tokens)}, "merges": merges}
    model.update(parts.pop("model", {}))
    whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": list(extra), "normalizer": None, "pre_tokenizer": None,
             "post_processor": None, "decoder": None, "model": model}
    whole.update(parts)
    return whole


LETTERS = list("abcdefgh ▁") + ["ab", "abc", "cd", "▁a", "▁ab", "de", "abcd"]
MERGES = ["a b", "ab c", "c d", "▁ a", "▁a b", "d e", "ab cd"]
SPECIAL_TEXTS = ["", "a", "ab abc", "<s>a</s>", "a <x> b", "a<x>b", "a<x>", "a  <l>  b", "a <r> b", "<r>  <l>", "<l><l>  <l>", "a<<x>>", "<x<x>x>",
                 "<xx>", "<xxx>", "<n>A<N>", "a\n<r>\n\nb", "<s> <s>", "ab<w>cd", "ab <w> cd", "<w>", "é<w>_", "z", "zz az", "▁<s>▁", "\u00a0<l>\u2003<r>\u3000"]
EXTRA = [added(17, "<s>"), added(18, "</s>"), added(19, "<x>", special=False), added(20, "<l>", lstrip=True), added(21, "<r>", rstrip=True),
         added(22, "<w>", single_word=True, special=False), added(23, "<xx>", special=False), added(24, "<n>", normalized=True, special=False),
         added(25, "<xxx>", rstrip=True, lstrip=True)]
TEMPLATE = step("TemplateProcessing", single=[{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                                              {"SpecialToken": {"id": "</s>", "type_id": 0}}],
                pair=[{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                special_tokens={"<s>": {"id": "<s>", "ids": [17], "tokens": ["<s>"]}, "</s>": {"id": "</s>", "ids": [18], "tokens": ["</s>"]}})
SPM = step("Sequence", normalizers=[step("Prepend", prepend="▁"), step("Replace", pattern={"String": " "}, content="▁")])
PAIRS = [merge.split(" ") for merge in MERGES]
BYTE_TOKENS = [f"<0x{b:02X}>" for b in range(256)]
WHOLE = [
    tokenizer(LETTERS, MERGES, EXTRA),
    tokenizer(LETTERS, PAIRS, EXTRA, post_processor=TEMPLATE, normalizer=step("Lowercase")),
    tokenizer(LETTERS, MERGES, EXTRA, normalizer=SPM, post_processor=step("Sequence", processors=[step(
        "ByteLevel", add_prefix_space=True, trim_offsets=False, use_regex=True), TEMPLATE]), decoder=DECODERS[7]),
    tokenizer(LETTERS, MERGES, EXTRA, model={"unk_token": "h", "fuse_unk": True}),
    tokenizer(LETTERS, MERGES, EXTRA, model={"unk_token": "h", "fuse_unk": False}),
    tokenizer(LETTERS, MERGES, EXTRA, model={"ignore_merges": True}, pre_tokenizer=step("WhitespaceSplit"), decoder=step("Fuse")),
    tokenizer(LETTERS + BYTE_TOKENS, MERGES, [dict(e, id=e["id"] + 256) for e in EXTRA], normalizer=SPM, decoder=DECODERS[7],
              model={"byte_fallback": True, "unk_token": "h", "fuse_unk": True}),
    tokenizer(LETTERS + BYTE_TOKENS[:150], MERGES, [dict(e, id=e["id"] + 150) for e in EXTRA], normalizer=SPM, decoder=DECODERS[7],
              model={"byte_fallback": True, "unk_token": "h", "fuse_unk": False}),
    tokenizer(LETTERS, MERGES, EXTRA, pre_tokenizer=step("Metaspace", replacement="▁", prepend_scheme="first", split=True),
              decoder=step("Metaspace", replacement="▁", prepend_scheme="first", split=True)),
    tokenizer(LETTERS, MERGES, EXTRA, post_processor=step("RobertaProcessing", sep=["</s>", 18], cls=["<s>", 17], trim_offsets=True,
                                                          add_prefix_space=True)),
    tokenizer(LETTERS + ["Ġ", "Ã", "©", "Ċ"], MERGES, [dict(e, id=e["id"] + 4) for e in EXTRA], pre_tokenizer=PRE[1], decoder=DECODERS[0]),
]


def unigram(tokens, extra=(), unk=0, byte_fallback=False, **parts):
    model = {"type": "Unigram", "unk_id": unk, "vocab": tokens, "byte_fallback": byte_fallback}
    return {**tokenizer([], [], extra, **parts), "model": model}


def scored(texts):
    return [[text, -0.37 * (i + 1) % 7 - 1] for i, text in enumerate(texts)]


PIECES = scored(["<unk>", "▁", "a", "b", "c", "ab", "bc", "abc", "▁a", "▁ab", "d", "zz", "é", "!!!", "st", "▁the", "h"])
METASPACE = step("Metaspace", replacement="▁", prepend_scheme="always", split=True)
# Some rules of nmt_nfkc, in the form of SentencePiece.
RULES = step("Precompiled", precompiled_charsmap=NMT_NFKC)
NORMALIZERS += [RULES]


def after(tokens):
    return [dict(e, id=len(tokens) + i) for i, e in enumerate(EXTRA)]


GPT2_PIECES = ["Ġ", "Ġa", "Ċ", "Ã", "©", "Ã©"]
WORDS = ["<unk>", "a", "ab", "abc", ",", "b", "Hello", "!"]
GPT2_WORDS = ["<unk>", "a", "ab", "Ġab", "Ġ", "Ã©", "Hello", "!"]
WHOLE += [
    unigram(PIECES, after(PIECES), pre_tokenizer=METASPACE, decoder=METASPACE),
    unigram(PIECES, after(PIECES), normalizer=step("Sequence", normalizers=[RULES, step("Replace", pattern={"Regex": " {2,}"}, content=" ")]),
            pre_tokenizer=METASPACE, decoder=METASPACE),
    unigram(PIECES + scored(BYTE_TOKENS), after(PIECES + BYTE_TOKENS), byte_fallback=True, normalizer=SPM, decoder=DECODERS[7]),
    unigram(PIECES + scored(BYTE_TOKENS[:150]), after(PIECES + BYTE_TOKENS[:150]), byte_fallback=True, normalizer=SPM, decoder=DECODERS[7]),
    unigram(PIECES + scored(GPT2_PIECES), after(PIECES + GPT2_PIECES), pre_tokenizer=PRE[1], decoder=DECODERS[0]),
    {**tokenizer([], [], after(WORDS), pre_tokenizer=step("Whitespace")), "model": {
        "type": "WordLevel", "unk_token": "<unk>", "vocab": {t: i for i, t in enumerate(WORDS)}}},
    {**tokenizer([], [], after(WORDS), pre_tokenizer=PRE[1], decoder=DECODERS[0]), "model": {
        "type": "WordLevel", "unk_token": "<unk>", "vocab": {t: i for i, t in enumerate(GPT2_WORDS)}}},
]


def build(cls, spec):
    """A step from its JSON, by way of a whole tokenizer."""
    key = {"pre": "pre_tokenizer", "norm": "normalizer", "dec": "decoder"}[cls]
    whole = Tokenizer.from_str(json.dumps(tokenizer(["a"], [], **{key: spec})))
    return getattr(whole, key)


def main():
    out = {"pre_tokenizers": [], "normalizers": [], "decoders": [], "tokenizers": []}
    texts = [t for t in TEXTS]
    for spec in PRE:
        made = build("pre", spec)
        out["pre_tokenizers"].append({"spec": spec, "pieces": [[piece for piece, _ in made.pre_tokenize_str(t)] for t in texts]})
    for spec in NORMALIZERS:
        made = build("norm", spec)
        out["normalizers"].append({"spec": spec, "texts": [made.normalize_str(t) for t in texts]})
    for spec in DECODERS:
        made = build("dec", spec)
        # Vocabularies for Metaspace have no tokens with real spaces.
        tokens = [t for t in TOKENS if spec["type"] != "Metaspace" or " " not in "".join(t)]
        out["decoders"].append({"spec": spec, "tokens": tokens, "texts": [made.decode(t) for t in tokens]})
    for spec in WHOLE:
        made = Tokenizer.from_str(json.dumps(spec))
        rows = []
        for text in SPECIAL_TEXTS + texts:
            ids = made.encode(text).ids
            made.encode_special_tokens = True
            unparsed = made.encode(text, add_special_tokens=False).ids
            made.encode_special_tokens = False
            rows.append({"text": text, "ids": ids, "unparsed": unparsed, "decoded": made.decode(ids, skip_special_tokens=True),
                         "full": made.decode(ids, skip_special_tokens=False)})
        out["tokenizers"].append({"spec": spec, "rows": rows})
    out["texts"] = texts
    print(json.dumps(out, ensure_ascii=True, separators=(",", ":")))


if __name__ == "__main__":
    main()
