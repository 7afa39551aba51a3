"""Small SentencePiece models, one for each way that the library can be set up.

    pip install sentencepiece==0.2.3
    python3 make_sentence_piece.py DIRECTORY

Trains them on the founding documents of tests/data/text, each in a folder of DIRECTORY; then make_goldens.py --short.
"""
import pathlib
import sys

import sentencepiece

TEXT = pathlib.Path(__file__).parents[2] / "tests/data/text/us_founding_documents.txt"
COMMON = dict(input=str(TEXT), minloglevel=2, num_threads=1, character_coverage=1.0, hard_vocab_limit=False)
MODELS = {
    "spm_unigram": dict(model_type="unigram", vocab_size=600),
    "spm_unigram_bytes": dict(model_type="unigram", vocab_size=900, byte_fallback=True, normalization_rule_name="identity",
                              user_defined_symbols=["<sep>", "of the", "  ", "▁▁▁"], remove_extra_whitespaces=False),
    "spm_unigram_suffix": dict(model_type="unigram", vocab_size=400, treat_whitespace_as_suffix=True,
                               normalization_rule_name="nmt_nfkc_cf", add_dummy_prefix=True),
    "spm_bpe": dict(model_type="bpe", vocab_size=700, user_defined_symbols=["<sep>", "<i>", "->", "\n"]),
    "spm_bpe_bytes": dict(model_type="bpe", vocab_size=900, byte_fallback=True, normalization_rule_name="identity",
                          add_dummy_prefix=False, remove_extra_whitespaces=False, bos_id=-1),
    "spm_bpe_nfkc": dict(model_type="bpe", vocab_size=500, normalization_rule_name="nfkc", bos_id=3, eos_id=2, unk_id=1,
                               pad_id=0, split_digits=True),
}


def main():
    for name, options in MODELS.items():
        folder = pathlib.Path(sys.argv[1]) / name
        folder.mkdir(parents=True, exist_ok=True)
        sentencepiece.SentencePieceTrainer.train(model_prefix=str(folder / "tokenizer"), **COMMON, **options)
        (folder / "tokenizer.vocab").unlink()


if __name__ == "__main__":
    main()
