"""The hard corpus: recipes for texts that trip tokenizers, and their expansion.

    python3 corpus.py > ../../tests/data/tokenizers/hard_corpus.json

The tests expand the same recipes (src/tokenizer/testing/hard_corpus.hpp).
"""
import json

MEGABYTE = 1 << 20

WORDS = ["the", "The", "THE", "don't", "it's", "WE'LL", "I'd", "y'all've", "o'clock", "naïve", "Straße", "İstanbul",
         "ﬁne", "ſtop", "'ſ", "'S", "'LL", "ΑΒΓ", "αβγς", "привет", "Привет", "שלום", "مرحبا", "नमस्ते", "ไทย",
         "日本語", "テスト", "한국어", "中文，标点。", "𠮷野家", "Tiếng", "café", "cafe\u0301", "A\u030a", "ǅ", "ᾈ", "Ꙁ",
         "ⅷ", "①②", "½", "x²", "10⁻³", "٣٤٥", "१२३", "𝟘𝟙", "Ａｂｃ１２３", "🄰", "™", "№"]
SPACES = [" ", "  ", "   ", "\t", "\n", "\r", "\r\n", "\n\n", " \n", "\n ", "\t\t", "\u00a0", "\u1680", "\u180e",
          "\u2003", "\u2028", "\u2029", "\u200b", "\u202f", "\u205f", "\u3000", "\ufeff", "\x0b", "\x0c", "\x85",
          "\x1c", "\x1f", "▁", "▁▁"]
MARKS = ["!", "?", "...", "…", "—", "--", "''", "\"", "“", "”", "«", "»", "(", ")", "[", "]", "{", "}", "<", ">", "/",
         "\\", "|", "~", "`", "@", "#", "$", "€", "%", "^", "&", "*", "_", "__", "+", "=", ":", ";", ",", ".", "'",
         "、", "。", "・", "؟", "।", "§", "¶", "°", "±", "×", "→", "⇒", "∑", "≤", "■", "\u0301", "\u0316", "\u0323",
         "\u20e3", "\u200d", "\u200c", "\ufe0f", "\ufffd", "\x00", "\x01", "\x7f", "\u00ad", "\u061c", "\u202e"]
DIGITS = ["0", "1", "23", "456", "7890", "12345", "3.14", "1,000,000", "0x1F", "1e-9", "2024-01-31", "12:30", "007",
          "٠١", "३", "９８", "Ⅳ", "⅓", "₂", "㊿", "𑁦", "\U0001d7d8"]
EMOJI = ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇫🇷", "🇺🇸🇬🇧", "❤️", "☎", "☎️", "1️⃣", "🧑🏿‍🚀", "🫠", "🪿", "🫩", "♂",
         "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"]
CODE = ["def f(x):\n    return x", "int main() {\n\treturn 0;\n}\n", "for (int i=0;i<n;++i)", "a[i]->b", "std::vector<int>",
        "#include <x>", "// note", "/* c */", "\"\\n\"", "f'{x!r:>10}'", "SELECT * FROM t;", "<div class=\"a\">", "</div>",
        "&amp;", "$(ls -la)", "x := y", "fn<'a>()", "λx.x", "camelCaseName", "snake_case_name", "HTTPServer2",
        "https://example.com/a?b=c&d=%20#e", "user@example.com", "C:\\Users\\x", "    ", "\t\t", "=>", "!==", "??=", "0b1010"]
SPECIALS = ["<s>", "</s>", "<unk>", "<pad>", "<bos>", "<eos>", "<mask>", "<|endoftext|>", "<|im_start|>", "<|im_end|>",
            "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>",
            "<|reserved_special_token_0|>", "<start_of_turn>", "<end_of_turn>", "<｜begin▁of▁sentence｜>",
            "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<｜fim▁hole｜>", "[INST]", "[/INST]", "<<SYS>>",
            "<0x0A>", "<0xFF>", ">>ABSTRACT<<", ">>QUESTION<<", "<unused0>", "<tool_call>", "<think>", "</think>",
            "<h1>", "<i>", "<", "|", ">", "<|", "|>", "<|im_", "start|>", "</", "<｜", "｜>", "▁of▁", "<|endoftext|",
            "|endoftext|>", "<<|im_end|>>", " ", "\n", "a", "<s", "s>", "</s", "<0x", "0A>"]
RARE = [chr(c) for c in (0x0149, 0x0130, 0x0345, 0x0378, 0x0870, 0x0897, 0x0CF3, 0x0ECE, 0x10C7, 0x1171E, 0x1AC1, 0x1C89,
                         0x1C8A, 0x1E9E, 0x2072, 0x2427, 0x2FFC, 0x31E4, 0xA7CB, 0xA7DC, 0xAC00, 0xD7A3, 0xE000, 0xF8FF,
                         0xFDD0, 0xFFFE, 0xFFFF, 0x105C0, 0x10D40, 0x10EFD, 0x11F02, 0x1E4D0, 0x1CCD6, 0x1F6DC, 0x1FAE9,
                         0x2A6DF, 0x2B739, 0x2EBF0, 0x30000, 0x31350, 0x323AF, 0x3FFFE, 0xE0001, 0xE01EF, 0xF0000,
                         0x10FFFD, 0x10FFFF)]
HANGUL = ["ᄀ", "ᅡ", "ᆨ", "가", "각", "\u1100\u1161", "\u1100\u1161\u11a8"]
COMPOSING = ["a", "e", "A", "\u0300", "\u0301", "\u0308", "\u030a", "\u0323", "\u0327", "\u0345", "\u05b0", "\u05bc",
             "\u0f71", "\u0f72", "\u3099", "か", "は", "\u212b", "\u2126", "\u0958", "\ufb1d", "\U0001d15e", "\u0344"]

ALPHABETS = {
    "words": WORDS + [" ", " ", " "],
    "spaces": SPACES + ["a", "1"],
    "marks": MARKS + ["a", " ", "1"],
    "digits": DIGITS + [" ", "a", "-"],
    "emoji": EMOJI + [" ", "a"],
    "code": CODE + [" ", "\n", "\n    "],
    "specials": SPECIALS,
    "rare": RARE + ["a", " ", "1", "'s"],
    "composing": COMPOSING + HANGUL + [" "],
    "letters": list("abcdefghijklmnopqrstuvwxyz"),
    "all": WORDS + SPACES + MARKS + DIGITS + EMOJI + CODE + SPECIALS + RARE + COMPOSING,
}

REPEATS = ["a", " ", "ab", "\n", "7", "😀", "<|im_start|", "<|im_end|>", "A", "é", "e\u0301", "\u0301\u0316", " \n", "\t",
           "中", "'s", "<", "▁", "word ", "\u2003", "%", "\x00", "\U000e01ef", "</s>", "<｜User｜>"]


def recipes():
    texts = []
    everything = ALPHABETS["all"]
    texts += [{"text": text} for text in everything]
    texts += [{"text": f"a{text}b {text} {text}{text}"} for text in everything]
    texts += [{"text": f" {text}"} for text in everything] + [{"text": f"{text}\n"} for text in everything]
    for count in list(range(1, 40)) + [63, 64, 65, 100, 127, 128, 129, 255, 256, 257, 300, 1000]:
        for unit in (" ", "\n", "\t", "=", "a", "9", "-"):
            texts.append({"text": unit * count + "x"})
    for plane in (0, 1, 2, 3, 14):
        for block in range(plane << 16, (plane + 1) << 16, 256):
            if 0xD800 <= block < 0xE000:
                continue
            texts.append({"range": [block, block + 255], "pattern": "%"})
            if plane < 2 or block % 0x1000 == 0:
                texts.append({"range": [block, block + 255], "pattern": "a%b 1%2 %A'% \n"})
    for block in (0x40000, 0x5FF00, 0x8AB00, 0xDFF00, 0xF0000, 0xFFF00, 0x100000, 0x10FF00):
        texts.append({"range": [block, block + 255], "pattern": "x% "})
    for name in ALPHABETS:
        texts += [{"random": name, "seed": seed, "pieces": 30 + 40 * (seed % 5)} for seed in range(1, 41)]
    texts += [{"random": "all", "seed": 100 + seed, "pieces": 3000} for seed in range(4)]
    texts.append({"random": "letters", "seed": 7, "pieces": 100000})
    texts.append({"random": "words", "seed": 8, "pieces": 50000})
    texts += [{"repeat": unit, "bytes": 40000} for unit in REPEATS]
    texts += [{"repeat": unit, "bytes": MEGABYTE} for unit in ("a", " ", "\n", "😀")]
    return {"alphabets": ALPHABETS, "texts": texts}


def expand(corpus, recipe):
    if "text" in recipe:
        return recipe["text"]
    if "repeat" in recipe:
        unit = recipe["repeat"]
        return unit * (-(-recipe["bytes"] // len(unit.encode())))
    if "range" in recipe:
        first, last = recipe["range"]
        return "".join(recipe["pattern"].replace("%", chr(c)) for c in range(first, last + 1))
    alphabet = corpus["alphabets"][recipe["random"]]
    state = recipe["seed"]
    pieces = []
    for _ in range(recipe["pieces"]):
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        pieces.append(alphabet[(state >> 33) % len(alphabet)])
    return "".join(pieces)


if __name__ == "__main__":
    print(json.dumps(recipes(), ensure_ascii=True, separators=(",", ":")))
