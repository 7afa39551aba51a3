// SentencePieces: a vocabulary of pieces with scores, as SentencePiece model files and GGUF files
// hold it, and the models it is used with.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "tokenizer/bpe.hpp"
#include "tokenizer/tokenizer.hpp"
#include "tokenizer/unigram.hpp"

namespace rbee {

inline constexpr std::string_view kSpaceMark = "\u2581";

// The numbers are those of SentencePiece and of GGUF's tokenizer.ggml.token_type.
enum class PieceType : std::uint8_t {
  undefined = 0,
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6,
};

// Arrays by id, of equal length; the texts are views.
struct SentencePieces {
  std::vector<std::string_view> texts;
  std::vector<float> scores;  // no NaN
  std::vector<PieceType> types;
  std::optional<TokenId> unknown;
  bool byte_fallback = true;
};

// A table of the pieces whose type keep(type) holds for.
template <class F>
TextTable table_of(const std::vector<std::string_view>& texts, const std::vector<PieceType>& types,
                   F keep) {
  std::vector<TextTable::Entry> entries;
  entries.reserve(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (keep(types[i])) entries.push_back({static_cast<TokenId>(i), texts[i]});
  }
  return TextTable(entries);
}

// SentencePiece's BPE joins any two neighbours whose text together is a piece, the highest score
// first.
Bpe bpe_by_scores(const SentencePieces& pieces);

// Its Unigram model.
Unigram unigram_by_scores(const SentencePieces& pieces);

// Every way to cut one of the texts in two others, as merges; ranks[i] is that of making texts[i].
// With characters, only between code points of valid UTF-8. Texts of more than 1024 bytes are left
// out: the cost grows with the square of their size.
enum class Cuts : std::uint8_t { characters, bytes };
std::vector<Merges::Merge> merges_of_cuts(const TextTable& texts,
                                          const std::vector<std::uint32_t>& ranks, Cuts cuts);

}  // namespace rbee
