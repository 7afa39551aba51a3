// Reads tokenizer.json, the format of Hugging Face tokenizers
// (https://huggingface.co/docs/tokenizers).
#pragma once
#include <string>

#include "tokenizer/bpe_tokenizer.hpp"

namespace rbee {

// Everything that tokenizer.json says: vocabulary, steps and framing. What the files beside it say
// (BOS, end ids, chat template) is left empty. Throws LoadError.
TokenizerParts read_tokenizer_json(const std::string& file);
// The same from memory; file is for messages.
TokenizerParts parse_tokenizer_json(std::string_view json, const std::string& file);

}  // namespace rbee
