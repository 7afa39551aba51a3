// Vocabularies of byte strings in the order in which they are merged, as OpenAI's tiktoken defines
// them (https://github.com/openai/tiktoken): tiktoken.model of Kimi, tekken.json of Mistral.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/bpe_tokenizer.hpp"

namespace rbee {

struct RankedBytes {
  std::vector<std::string> tokens;  // by rank; texts that together are a token of low rank first
  TokenId first_id = 0;             // of rank 0
  std::vector<AddedToken> special;
};

// A tokenizer that cuts text at the matches of the patterns, each in turn, and merges the bytes of
// each piece. The patterns' place in messages is (file, field). Throws LoadError.
TokenizerParts ranked_bytes_parts(RankedBytes vocabulary,
                                  std::span<const std::string_view> patterns,
                                  const std::string& file, const std::string& field);

// tiktoken.model: lines `base64 rank`. Patterns and special tokens are in no file: text is cut as
// Kimi's models have it (kimi-k2), and the special tokens come from the files beside it; 256 ids
// after the ranks are theirs. Throws LoadError.
TokenizerParts read_tiktoken_model(const std::string& file);
TokenizerParts parse_tiktoken_model(std::string_view text, const std::string& file);

// tekken.json: {"config": {"pattern", "default_vocab_size", "default_num_special_tokens"},
// "vocab": [{"rank", "token_bytes" (base64)}], "special_tokens": [{"rank", "token_str"}]}. The
// special tokens have the first ids. Throws LoadError.
TokenizerParts read_tekken(const std::string& file);
TokenizerParts parse_tekken(std::string_view json, const std::string& file);

}  // namespace rbee
