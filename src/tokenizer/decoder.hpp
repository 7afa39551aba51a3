// Decoder: from the spelling of tokens to the bytes of text they stand for.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/json_spec.hpp"
#include "tokenizer/tokenizer.hpp"

namespace rbee {

class Decoder {
 public:
  using Step = std::function<void(std::string& token)>;

  // The "decoder" object of tokenizer.json; null joins tokens with spaces. Throws LoadError for
  // kinds it does not know and for orders of steps that have no per-token form.
  explicit Decoder(const JsonSpec& spec);

  static Decoder byte_level();
  // "▁" is a space, <0xXX> a byte.
  static Decoder sentence_piece(bool strips_leading_space);
  // Tokens are spelled as Python bytes literals without their quotes.
  static Decoder python_bytes();

  // The bytes of a token in the middle of a text.
  std::string bytes(std::string_view token) const;
  LeadingSpace leading_space() const { return leading_space_; }
  // How bytes that are no character are shown.
  bool marks_each_byte() const { return byte_fallback_; }

 private:
  Decoder() = default;
  void parse(const JsonSpec& spec, int depth);
  void parse_strip(const JsonSpec& spec);
  void parse_metaspace(const JsonSpec& spec);

  std::vector<Step> steps_;
  bool byte_fallback_ = false;
  bool fused_ = false;  // steps from here on see the whole text
  LeadingSpace leading_space_ = LeadingSpace::keep;
};

}  // namespace rbee
