#include "tokenizer/sentence_pieces.hpp"

#include <algorithm>
#include <functional>
#include <limits>

#include "tokenizer/byte_alphabet.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

constexpr std::size_t kLongestMerged = 1024;

// Rank of each piece as the result of a merge: higher scores first, equal ones alike.
std::vector<std::uint32_t> score_ranks(const std::vector<float>& scores) {
  std::vector<float> order = scores;
  std::ranges::sort(order, std::greater<>());
  order.erase(std::unique(order.begin(), order.end()), order.end());
  std::vector<std::uint32_t> ranks(scores.size());
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const auto at = std::ranges::lower_bound(order, scores[i], std::greater<>());
    ranks[i] = static_cast<std::uint32_t>(at - order.begin());
  }
  return ranks;
}

bool is_text(PieceType type) {
  return type == PieceType::normal || type == PieceType::user_defined ||
         type == PieceType::undefined;
}

}  // namespace

std::vector<Merges::Merge> merges_of_cuts(const TextTable& texts,
                                          const std::vector<std::uint32_t>& ranks, Cuts cuts) {
  std::vector<Merges::Merge> merges;
  for (TokenId id = 0; id < texts.size(); ++id) {
    const std::string_view text = texts.text(id);
    if (text.empty() || text.size() > kLongestMerged) continue;
    if (cuts == Cuts::characters && !is_valid_utf8(text)) continue;
    const auto step = [&](std::size_t at) {
      return cuts == Cuts::bytes ? std::size_t{1} : code_point_at(text, at).size;
    };
    for (std::size_t cut = step(0); cut < text.size(); cut += step(cut)) {
      const auto left = texts.find(text.substr(0, cut));
      if (!left) continue;
      const auto right = texts.find(text.substr(cut));
      if (right) merges.push_back({*left, *right, id, ranks[static_cast<std::size_t>(id)]});
    }
  }
  return merges;
}

Bpe bpe_by_scores(const SentencePieces& pieces) {
  const auto merges = merges_of_cuts(table_of(pieces.texts, pieces.types, is_text),
                                     score_ranks(pieces.scores), Cuts::characters);
  Bpe::Options options;
  options.byte_fallback = pieces.byte_fallback;
  options.fuse_unknown = true;
  options.unknown = pieces.unknown;
  // Byte tokens take part as what unknown characters become, not in merges.
  return {table_of(pieces.texts, pieces.types,
                   [](PieceType type) {
                     return type != PieceType::control && type != PieceType::unknown;
                   }),
          merges, options};
}

Unigram unigram_by_scores(const SentencePieces& pieces) {
  Unigram::Options options;
  options.unknown = pieces.unknown;
  options.byte_fallback = pieces.byte_fallback;
  options.bytes.fill(-1);
  options.lowest_score = std::numeric_limits<float>::max();
  std::vector<Unigram::Token> tokens;
  for (std::size_t i = 0; i < pieces.texts.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const PieceType type = pieces.types[i];
    const double score = pieces.scores[i];
    if (is_text(type)) {
      tokens.push_back({id, pieces.texts[i], score, type == PieceType::user_defined});
    }
    if (type == PieceType::normal || type == PieceType::undefined) {
      options.lowest_score = std::min(options.lowest_score, score);
    }
    if (type == PieceType::byte) {
      if (const auto byte = byte_of_token(pieces.texts[i])) {
        options.bytes[static_cast<unsigned char>(*byte)] = id;
      }
    }
  }
  return {tokens, options};
}

}  // namespace rbee
