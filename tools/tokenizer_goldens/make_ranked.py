"""Small vocabularies of ranked bytes, cut from Mistral's tekken.json:

    python3 make_ranked.py tekken.json DIRECTORY

writes DIRECTORY/tekken_small/tekken.json and DIRECTORY/kimi_small/tiktoken.model, whose special tokens and pattern are
those of Kimi K2; then make_goldens.py.
"""
import json
import pathlib
import sys

RANKS = 20000
SPECIAL = {"[BOS]": 0, "[EOS]": 1, "<|im_end|>": 2, "<|im_user|>": 3, "<|im_assistant|>": 4, "<|im_middle|>": 17, "[EOT]": 9}


def main():
    full = json.loads(pathlib.Path(sys.argv[1]).read_text())
    target = pathlib.Path(sys.argv[2])
    full["vocab"] = full["vocab"][:RANKS]
    full["config"] |= {"num_vocab_tokens": RANKS, "default_vocab_size": RANKS + 1000 - 500}
    (target / "tekken_small").mkdir(exist_ok=True)
    (target / "tekken_small/tekken.json").write_text(json.dumps(full, indent=1))

    kimi = target / "kimi_small"
    kimi.mkdir(exist_ok=True)
    (kimi / "tiktoken.model").write_text("".join(f"{t['token_bytes']} {t['rank']}\n" for t in full["vocab"]))
    added = {str(RANKS + i): {"content": text, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
                              "special": True} for text, i in SPECIAL.items()}
    (kimi / "tokenizer_config.json").write_text(json.dumps(
        {"added_tokens_decoder": added, "bos_token": "[BOS]", "eos_token": "[EOS]", "tokenizer_class": "TikTokenTokenizer"},
        indent=1))


if __name__ == "__main__":
    main()
