// The normalisation of a SentencePiece model: its precompiled rules, its treatment of spaces.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "tokenizer/chars_map.hpp"
#include "tokenizer/token_trie.hpp"

namespace rbee {

// The fields of NormalizerSpec and TrainerSpec of the same names, with their defaults.
struct SentencePieceNormalizer {
  std::shared_ptr<const CharsMap> rules;     // null: identity
  std::shared_ptr<const TokenTrie> symbols;  // user-defined: no rule applies inside of them
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
  bool treat_whitespace_as_suffix = false;

  // text must be valid UTF-8, and so is the result.
  std::string apply(std::string_view text) const;
};

}  // namespace rbee
