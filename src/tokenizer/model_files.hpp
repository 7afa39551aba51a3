// The files beside tokenizer.json in a model directory: which tokens begin and end text, and the
// chat template.
#pragma once
#include <filesystem>

#include "tokenizer/bpe_tokenizer.hpp"

namespace rbee {

// Who says what goes around a text when no template does: the vocabulary file, to which
// tokenizer_config.json adds for callers that follow it; or that file alone, the vocabulary giving
// the default.
enum class Framed : unsigned char { by_vocabulary, by_config };

// Reads tokenizer_config.json, special_tokens_map.json, config.json, generation_config.json,
// each where there is one, and fills in the parts that they decide. The chat template is the first
// of chat_template.jinja, chat_template.json, that of tokenizer_config.json (of named ones the
// default) and additional_chat_templates/*.jinja. Throws LoadError for a file that is not what it
// should be.
void add_model_files(const std::filesystem::path& directory, Framed framed, TokenizerParts& parts);

}  // namespace rbee
