// The files beside tokenizer.json in a model directory: which tokens begin and end text, and the
// chat template.
#pragma once
#include <filesystem>

#include "tokenizer/bpe_tokenizer.hpp"

namespace rbee {

// Reads tokenizer_config.json, special_tokens_map.json, config.json, generation_config.json,
// chat_template.jinja and chat_template.json, each where there is one, and fills in the parts that
// they decide. Throws LoadError for a file that is not what it should be.
void add_model_files(const std::filesystem::path& directory, TokenizerParts& parts);

}  // namespace rbee
