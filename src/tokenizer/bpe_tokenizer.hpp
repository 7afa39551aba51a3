// BpeTokenizer: the parts that a vocabulary file describes, put together. Text goes through added
// tokens, normaliser, pre-tokeniser and model, in the order of Hugging Face tokenizers.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/added_tokens.hpp"
#include "tokenizer/decoder.hpp"
#include "tokenizer/normalizer.hpp"
#include "tokenizer/piece_model.hpp"
#include "tokenizer/pre_tokenizer.hpp"
#include "tokenizer/text_table.hpp"
#include "tokenizer/tokenizer.hpp"

namespace rbee {

// Ids put around a text.
struct Framing {
  std::vector<TokenId> before;
  std::vector<TokenId> after;
};

struct TokenizerParts {
  TokenizerParts(PieceModel how, Decoder back) : model(std::move(how)), decoder(std::move(back)) {}

  TextTable spellings;  // every token, added ones too
  AddedTokens added;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  PieceModel model;
  Decoder decoder;
  bool finds_special_in_text = true;
  Framing framing;         // with add_special
  Framing config_framing;  // with add_special and follow_config
  std::optional<TokenId> bos;
  std::optional<TokenId> unknown, padding;  // where a configuration names them
  std::vector<TokenId> end_ids;             // ascending
  std::string bos_text;
  std::string eos_text;
  std::string chat_template;
  std::string description;
};

class BpeTokenizer final : public Tokenizer {
 public:
  explicit BpeTokenizer(TokenizerParts parts);

  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options) const override;
  std::string decode(std::span<const TokenId> ids, bool skip_special) const override;
  std::string token_bytes(TokenId id, bool skip_special) const override;
  LeadingSpace leading_space() const override { return parts_.decoder.leading_space(); }
  bool marks_each_byte() const override { return parts_.decoder.marks_each_byte(); }
  bool finds_special_in_text() const override { return parts_.finds_special_in_text; }
  int vocab_size() const override { return parts_.spellings.size(); }
  bool is_special(TokenId id) const override;
  std::optional<TokenId> token_to_id(std::string_view token) const override;
  std::string_view id_to_token(TokenId id) const override { return parts_.spellings.text(id); }
  std::optional<TokenId> bos() const override { return parts_.bos; }
  std::span<const TokenId> end_ids() const override { return parts_.end_ids; }
  std::string_view chat_template() const override { return parts_.chat_template; }
  std::string_view bos_text() const override { return parts_.bos_text; }
  std::string_view eos_text() const override { return parts_.eos_text; }
  std::string description() const override { return parts_.description; }

 private:
  void encode_text(std::string_view text, bool at_start, bool parse_special, PieceScratch& scratch,
                   std::vector<TokenId>& out) const;
  void encode_pieces(std::string_view text, bool at_start, PieceScratch& scratch,
                     std::vector<TokenId>& out) const;

  TokenizerParts parts_;
};

}  // namespace rbee
