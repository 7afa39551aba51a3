// ListTokenizer: token i stands for the bytes pieces[i]. For tests of what follows decoding.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/tokenizer.hpp"

namespace rbee::testing {

class ListTokenizer final : public Tokenizer {
 public:
  explicit ListTokenizer(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {}

  std::vector<TokenId> encode(std::string_view, const EncodeOptions&) const override { return {}; }
  std::string decode(std::span<const TokenId> ids, bool) const override {
    std::string text;
    for (const TokenId id : ids) text += token_bytes(id, true);
    return text;
  }
  std::string token_bytes(TokenId id, bool) const override {
    return id >= 0 && id < vocab_size() ? pieces_[id] : std::string();
  }
  LeadingSpace leading_space() const override { return LeadingSpace::keep; }
  bool marks_each_byte() const override { return false; }
  int vocab_size() const override { return static_cast<int>(pieces_.size()); }
  bool is_special(TokenId) const override { return false; }
  std::optional<TokenId> token_to_id(std::string_view) const override { return std::nullopt; }
  std::string_view id_to_token(TokenId id) const override { return pieces_[id]; }
  std::optional<TokenId> bos() const override { return std::nullopt; }
  std::span<const TokenId> end_ids() const override { return {}; }
  std::string_view chat_template() const override { return {}; }
  std::string_view bos_text() const override { return {}; }
  std::string_view eos_text() const override { return {}; }
  std::string description() const override { return "a list"; }

 private:
  std::vector<std::string> pieces_;
};

}  // namespace rbee::testing
