// Added tokens as tokenizer.json and the configuration files beside a vocabulary describe them.
#pragma once
#include <filesystem>

#include "tokenizer/bpe_tokenizer.hpp"
#include "tokenizer/json_spec.hpp"

namespace rbee {

// Ids index arrays, so they are bounded; the largest vocabularies have about a million tokens.
inline constexpr std::int64_t kHighestTokenId = (1 << 22) - 1;

// One token: {"content": "<s>", "special": true, "lstrip": false, ...}; content may be empty.
// Throws LoadError.
AddedToken read_added_token(const JsonSpec& spec, std::int64_t id);

// Adds to a vocabulary the tokens that only the files beside it know: added_tokens_decoder of
// tokenizer_config.json, added_tokens.json, and as special tokens those that tokenizer_config.json
// and special_tokens_map.json give a role (bos_token, additional_special_tokens, ...). They are
// found in text before the vocabulary's own normalisation, as the tokenizer classes of transformers
// for such files do. Throws LoadError.
void add_config_tokens(const std::filesystem::path& directory, TokenizerParts& parts);

}  // namespace rbee
