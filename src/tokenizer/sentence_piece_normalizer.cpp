#include "tokenizer/sentence_piece_normalizer.hpp"

#include "tokenizer/sentence_pieces.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

// What the start of text becomes, and how much of it that is.
CharsMap::Rule next_rule(const SentencePieceNormalizer& normalizer, std::string_view text) {
  if (normalizer.symbols) {
    const TokenTrie::Match symbol = normalizer.symbols->longest_prefix(text);
    if (symbol.id >= 0) return {symbol.size, text.substr(0, symbol.size)};
  }
  if (normalizer.rules) {
    if (const auto rule = normalizer.rules->longest(text)) return *rule;
  }
  const std::size_t size = code_point_at(text, 0).size;
  return {size, text.substr(0, size)};
}

}  // namespace

std::string SentencePieceNormalizer::apply(std::string_view text) const {
  while (remove_extra_whitespaces && !text.empty()) {
    const CharsMap::Rule rule = next_rule(*this, text);
    if (rule.replacement != " ") break;
    text.remove_prefix(rule.size);
  }
  std::string out;
  if (text.empty()) return out;
  const std::string space(escape_whitespaces ? kSpaceMark : " ");
  out.reserve(text.size() * 3 / 2);
  if (add_dummy_prefix && !treat_whitespace_as_suffix) out += space;
  bool after_space = remove_extra_whitespaces;
  while (!text.empty()) {
    const CharsMap::Rule rule = next_rule(*this, text);
    text.remove_prefix(rule.size);
    std::string_view by = rule.replacement;
    while (after_space && by.starts_with(' ')) by.remove_prefix(1);
    for (const char c : by) {
      if (c == ' ') {
        out += space;
      } else {
        out += c;
      }
    }
    if (!by.empty()) after_space = by.ends_with(' ');
    if (!remove_extra_whitespaces) after_space = false;
  }
  while (remove_extra_whitespaces && out.ends_with(space)) out.resize(out.size() - space.size());
  if (add_dummy_prefix && treat_whitespace_as_suffix) out += space;
  return out;
}

}  // namespace rbee
