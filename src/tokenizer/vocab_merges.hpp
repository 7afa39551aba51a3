// vocab.json and merges.txt: byte-level BPE vocabularies from before tokenizer.json (GPT-2,
// StarCoder2).
#pragma once
#include <string>
#include <string_view>

#include "tokenizer/bpe_tokenizer.hpp"

namespace rbee {

// file is that of vocab.json; merges.txt lies beside it, and config.json, whose model_type says how
// text is cut: starcoder2 and qwen2 in their ways, others as GPT-2. Throws LoadError.
TokenizerParts read_vocab_merges(const std::string& file);
// The same from memory; file is for messages.
TokenizerParts parse_vocab_merges(std::string_view vocabulary, std::string_view merges,
                                  std::string_view model_type, const std::string& file);

}  // namespace rbee
