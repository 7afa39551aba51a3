#include "tokenizer/ranked_bytes.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/load_error.hpp"
#include "tokenizer/byte_alphabet.hpp"
#include "tokenizer/sentence_pieces.hpp"

namespace rbee {
TokenizerParts ranked_bytes_parts(RankedBytes vocabulary,
                                  std::span<const std::string_view> patterns,
                                  const std::string& file, const std::string& field) {
  const auto first = static_cast<std::size_t>(vocabulary.first_id);
  std::vector<TextTable::Entry> raw;
  std::vector<std::string> spelled;
  std::vector<std::uint32_t> ranks(first + vocabulary.tokens.size());
  spelled.reserve(vocabulary.tokens.size());
  for (std::size_t rank = 0; rank < vocabulary.tokens.size(); ++rank) {
    raw.push_back({static_cast<TokenId>(first + rank), vocabulary.tokens[rank]});
    spelled.push_back(to_byte_alphabet(vocabulary.tokens[rank]));
    ranks[first + rank] = static_cast<std::uint32_t>(rank);
  }
  TextTable model(raw);
  const auto merges = merges_of_cuts(model, ranks, Cuts::bytes);
  Bpe::Options options;
  options.bytes = true;
  options.ignore_merges = true;
  TokenizerParts parts(Bpe(std::move(model), merges, options), Decoder::byte_level());
  std::vector<TextTable::Entry> all;
  for (std::size_t rank = 0; rank < spelled.size(); ++rank) {
    all.push_back({static_cast<TokenId>(first + rank), spelled[rank]});
  }
  // Special ones last: text that spells a token of both kinds names the special one.
  for (const AddedToken& token : vocabulary.special) all.push_back({token.id, token.content});
  parts.spellings = TextTable(all);
  parts.added = AddedTokens(std::move(vocabulary.special),
                            [](std::string_view text) { return std::string(text); });
  for (const std::string_view pattern : patterns) {
    parts.pre_tokenizer.add_split(pattern, file, field);
  }
  parts.pre_tokenizer.set_ends_in_bytes();
  parts.description = fmt::format("ranked bytes, {} tokens", parts.spellings.size());
  return parts;
}

}  // namespace rbee
