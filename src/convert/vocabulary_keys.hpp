// The keys of a GGUF file that hold its vocabulary and chat template.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/gguf_writer.hpp"
#include "tokenizer/bpe_tokenizer.hpp"

namespace rbee {

// Of the vocabulary in a model's folder. rows: tokens that the embedding has; ids without a token
// become padding. Appends to warnings what the file cannot say. Throws LoadError for a kind of
// vocabulary that GGUF does not have.
void add_vocabulary_keys(const TokenizerParts& parts, const std::string& file, std::size_t rows,
                         GgufKeys& keys, std::vector<std::string>& warnings);

}  // namespace rbee
