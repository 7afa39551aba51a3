// Which of the pre-tokenizers that GGUF files can name cuts text as a vocabulary does.
#pragma once
#include <optional>
#include <string_view>

#include "tokenizer/bpe_tokenizer.hpp"

namespace rbee {

// The name for tokenizer.ggml.pre: found by comparing the pieces of a text that all known ones cut
// differently. Nullopt when none cuts it as these parts do.
std::optional<std::string_view> gguf_pre_tokenizer_name(const TokenizerParts& parts);

}  // namespace rbee
