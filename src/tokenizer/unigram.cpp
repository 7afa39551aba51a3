#include "tokenizer/unigram.hpp"

#include <algorithm>
#include <cmath>

#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

constexpr double kUnknownPenalty = 10.0;
constexpr std::size_t kLongest = 256;

TokenTrie trie_of(const std::vector<Unigram::Token>& tokens) {
  std::vector<TextTable::Entry> entries;
  entries.reserve(tokens.size());
  for (const Unigram::Token& token : tokens) {
    if (token.text.size() <= kLongest && is_valid_utf8(token.text)) {
      entries.push_back({token.id, token.text});
    }
  }
  return TokenTrie(std::move(entries));
}

}  // namespace

Unigram::Unigram(const std::vector<Token>& tokens, const Options& options)
    : trie_(trie_of(tokens)), options_(options) {
  std::size_t count = 0;
  for (const Token& token : tokens) {
    count = std::max(count, static_cast<std::size_t>(token.id) + 1);
  }
  scores_.resize(count);
  preferred_.resize(count);
  for (const Token& token : tokens) {
    scores_[static_cast<std::size_t>(token.id)] = token.score;
    preferred_[static_cast<std::size_t>(token.id)] = token.preferred;
  }
}

double Unigram::score(std::int32_t id, std::size_t size) const {
  const auto index = static_cast<std::size_t>(id);
  return preferred_[index] ? rounded(0.1 * static_cast<double>(size - 1)) : scores_[index];
}

void Unigram::find_best_path(std::string_view piece, Scratch& scratch) const {
  auto& nodes = scratch.nodes_;
  nodes.assign(piece.size() + 1, Scratch::Node{});
  const double unknown_score = rounded(options_.lowest_score - kUnknownPenalty);
  std::size_t furthest = 0;
  for (std::size_t begin = 0; begin < piece.size();) {
    keep_precision(scratch, begin, furthest);
    const double so_far = nodes[begin].score;
    const std::size_t character = code_point_at(piece, begin).size;
    const auto offer = [&](std::int32_t id, std::size_t size, double score_here) {
      auto& node = nodes[begin + size];
      const double sum = rounded(score_here + so_far);
      if (node.size == 0 || sum > node.score) node = {sum, id, static_cast<std::uint32_t>(size)};
      furthest = std::max(furthest, begin + size);
    };
    bool covered = false;  // the character is a token
    trie_.for_each_prefix(piece.substr(begin), [&](std::int32_t id, std::size_t size) {
      offer(id, size, score(id, size));
      covered = covered || size == character;
    });
    if (!covered) offer(kUnknown, character, unknown_score);
    begin += character;
  }
}

// Sums in single precision get coarse in long texts: SentencePiece starts again from 0 now and
// then.
void Unigram::keep_precision(Scratch& scratch, std::size_t begin, std::size_t furthest) const {
  constexpr double kHighest = 100'000;
  const double score = scratch.nodes_[begin].score;
  if (options_.reference != Reference::sentence_piece || std::abs(score) <= kHighest) return;
  for (std::size_t at = begin; at <= furthest; ++at) {
    auto& node = scratch.nodes_[at];
    if (at == begin || node.size > 0) node.score = rounded(node.score - score);
  }
}

void Unigram::encode(std::string_view piece, Scratch& scratch,
                     std::vector<std::int32_t>& out) const {
  find_best_path(piece, scratch);
  auto& ends = scratch.ends_;
  ends.clear();
  for (auto end = static_cast<std::uint32_t>(piece.size()); end > 0;
       end -= scratch.nodes_[end].size) {
    ends.push_back(end);
  }
  std::size_t unknown_from = piece.size();
  for (std::size_t i = ends.size(); i-- > 0;) {
    const auto& node = scratch.nodes_[ends[i]];
    if (node.id == kUnknown) {
      unknown_from = std::min<std::size_t>(unknown_from, ends[i] - node.size);
      const bool last = i == 0 || scratch.nodes_[ends[i - 1]].id != kUnknown;
      if (!last) continue;
      append_unknown(piece.substr(unknown_from, ends[i] - unknown_from), out);
      unknown_from = piece.size();
    } else {
      out.push_back(node.id);
    }
  }
}

void Unigram::append_unknown(std::string_view run, std::vector<std::int32_t>& out) const {
  if (options_.reference == Reference::hugging_face) {
    const TokenTrie::Match match = trie_.longest_prefix(run);
    if (match.id >= 0 && match.size == run.size()) return out.push_back(match.id);
  }
  const auto token = [this](char byte) { return options_.bytes[static_cast<unsigned char>(byte)]; };
  if (options_.byte_fallback &&
      std::ranges::none_of(run, [&](char byte) { return token(byte) < 0; })) {
    for (const char byte : run) out.push_back(token(byte));
  } else if (options_.unknown) {
    out.push_back(*options_.unknown);
  }
}

}  // namespace rbee
