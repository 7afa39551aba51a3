// PieceModel: what turns a piece of text into ids, one of the kinds that vocabularies come with.
#pragma once
#include <string_view>
#include <variant>
#include <vector>

#include "tokenizer/bpe.hpp"
#include "tokenizer/longest_match.hpp"
#include "tokenizer/unigram.hpp"
#include "tokenizer/word_level.hpp"

namespace rbee {

using PieceModel = std::variant<Bpe, Unigram, LongestMatch, WordLevel>;

// Working memory of one caller, reused from piece to piece.
struct PieceScratch {
  Bpe::Scratch bpe;
  Unigram::Scratch unigram;
};

inline void encode_piece(const PieceModel& model, std::string_view piece, PieceScratch& scratch,
                         std::vector<std::int32_t>& out) {
  if (const auto* bpe = std::get_if<Bpe>(&model)) {
    bpe->encode(piece, scratch.bpe, out);
  } else if (const auto* unigram = std::get_if<Unigram>(&model)) {
    unigram->encode(piece, scratch.unigram, out);
  } else if (const auto* longest = std::get_if<LongestMatch>(&model)) {
    longest->encode(piece, out);
  } else {
    std::get<WordLevel>(model).encode(piece, out);
  }
}

}  // namespace rbee
