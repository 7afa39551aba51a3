// Unigram: the piece of text is cut into the tokens whose scores (log probabilities) have the
// highest sum, found by dynamic programming (Kudo 2018, arXiv:1804.10959).
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "tokenizer/token_trie.hpp"

namespace rbee {

class Unigram {
  static constexpr std::int32_t kUnknown = -1;

 public:
  struct Token {
    std::int32_t id;
    std::string_view text;
    double score;
    bool preferred = false;  // chosen wherever it occurs: a user-defined symbol of SentencePiece
  };
  // Whose ids to equal. SentencePiece adds up in single precision; Hugging Face tokenizers in
  // double precision, and makes a run of unknown characters a token where the vocabulary has it.
  enum class Reference : std::uint8_t { sentence_piece, hugging_face };

  struct Options {
    Reference reference = Reference::sentence_piece;
    std::optional<std::int32_t> unknown;  // else unknown characters vanish
    // An unknown character becomes the tokens of its bytes, where there are all of them.
    bool byte_fallback = false;
    std::array<std::int32_t, 256> bytes{};  // their ids; -1: none
    double lowest_score = 0;                // an unknown character costs 10 more than this
    double highest_score = 0;               // what preferred tokens are rated by
  };

  // Tokens that are matched in text; of equal texts the later counts. Ids are at least 0.
  Unigram(const std::vector<Token>& tokens, const Options& options);

  // Working memory of one caller.
  class Scratch {
    friend class Unigram;
    struct Node {
      double score = 0;
      std::int32_t id = kUnknown;  // of the token that ends here on the best path
      std::uint32_t size = 0;      // its bytes; 0: nothing ends here
    };
    std::vector<Node> nodes_;
    std::vector<std::uint32_t> ends_;
  };

  // Appends the ids of the piece, which is valid UTF-8. Time: the piece times the longest token at
  // worst; tokens of more than 256 bytes are not matched.
  void encode(std::string_view piece, Scratch& scratch, std::vector<std::int32_t>& out) const;

 private:
  double score(std::int32_t id, std::size_t size) const;
  void find_best_path(std::string_view piece, Scratch& scratch) const;
  void keep_precision(Scratch& scratch, std::size_t begin, std::size_t furthest) const;
  void append_unknown(std::string_view run, std::vector<std::int32_t>& out) const;
  double rounded(double score) const {
    return options_.reference == Reference::sentence_piece
               ? static_cast<double>(static_cast<float>(score))
               : score;
  }

  TokenTrie trie_;
  std::vector<double> scores_;  // by id
  std::vector<bool> preferred_;
  Options options_;
};

}  // namespace rbee
