// Builds a tokenizer from the metadata of a GGUF file alone (keys tokenizer.*).
#pragma once
#include "checkpoint/gguf.hpp"
#include "tokenizer/bpe_tokenizer.hpp"

namespace rbee {

// Knows the models "gpt2" (byte-level BPE), "llama" (SentencePiece-style BPE by scores), "t5"
// (SentencePiece's Unigram) and "rwkv" (longest match). Throws LoadError for others, and for keys
// that contradict each other.
TokenizerParts read_gguf_tokenizer(const GgufMetadata& metadata);

}  // namespace rbee
