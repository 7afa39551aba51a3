// LongestMatch: the model of RWKV World vocabularies: at each place the longest token that the text
// goes on with, over raw bytes.
#pragma once
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/token_trie.hpp"

namespace rbee {

class LongestMatch {
 public:
  explicit LongestMatch(TokenTrie tokens) : tokens_(std::move(tokens)) {}

  // Appends the ids of the piece; a byte that begins no token vanishes. Time: the piece times the
  // longest token at worst.
  void encode(std::string_view piece, std::vector<std::int32_t>& out) const {
    while (!piece.empty()) {
      const TokenTrie::Match match = tokens_.longest_prefix(piece);
      if (match.id >= 0) out.push_back(match.id);
      piece.remove_prefix(match.id >= 0 ? match.size : 1);
    }
  }

 private:
  TokenTrie tokens_;
};

}  // namespace rbee
