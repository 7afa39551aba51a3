#include "tokenizer/bpe_tokenizer.hpp"

#include <utility>

#include "tokenizer/utf8.hpp"

namespace rbee {

BpeTokenizer::BpeTokenizer(TokenizerParts parts) : parts_(std::move(parts)) {}

std::vector<TokenId> BpeTokenizer::encode(std::string_view text,
                                          const EncodeOptions& options) const {
  std::string repaired;
  if (!is_valid_utf8(text)) {
    repaired = repair_utf8(text);
    text = repaired;
  }
  const Framing& framing = options.follow_config ? parts_.config_framing : parts_.framing;
  std::vector<TokenId> out;
  out.reserve(text.size() / 3 + 8);
  if (options.add_special) out = framing.before;
  PieceScratch scratch;
  for (const auto& part : parts_.added.split(text, false, options.parse_special)) {
    if (part.token != nullptr) {
      out.push_back(part.token->id);
    } else {
      encode_text(part.text, part.text.data() == text.data(), options.parse_special, scratch, out);
    }
  }
  if (options.add_special) out.insert(out.end(), framing.after.begin(), framing.after.end());
  return out;
}

void BpeTokenizer::encode_text(std::string_view text, bool at_start, bool parse_special,
                               PieceScratch& scratch, std::vector<TokenId>& out) const {
  std::string normalized;
  if (!parts_.normalizer.empty()) {
    normalized = parts_.normalizer.apply(text);
    text = normalized;
  }
  for (const auto& part : parts_.added.split(text, true, parse_special)) {
    if (part.token != nullptr) {
      out.push_back(part.token->id);
    } else {
      encode_pieces(part.text, at_start && part.text.data() == text.data(), scratch, out);
    }
  }
}

void BpeTokenizer::encode_pieces(std::string_view text, bool at_start, PieceScratch& scratch,
                                 std::vector<TokenId>& out) const {
  Pieces pieces{std::string(text), {{0, text.size()}}, at_start};
  parts_.pre_tokenizer.apply(pieces);
  for (const Pieces::Range range : pieces.ranges) {
    encode_piece(parts_.model, pieces.view(range), scratch, out);
  }
}

std::string BpeTokenizer::token_bytes(TokenId id, bool skip_special) const {
  if (const AddedToken* token = parts_.added.find(id)) {
    if (skip_special && token->special) return {};
    return parts_.decoder.bytes(parts_.added.decoded_content(*token));
  }
  return parts_.spellings.contains(id) ? parts_.decoder.bytes(parts_.spellings.text(id))
                                       : std::string();
}

std::string BpeTokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::string bytes;
  bool at_start = true;
  for (const TokenId id : ids) {
    std::string one = token_bytes(id, skip_special);
    if (one.empty()) continue;
    if (std::exchange(at_start, false)) drop_leading_space(leading_space(), one);
    bytes += one;
  }
  return repair_utf8(bytes, marks_each_byte() ? Repair::per_byte : Repair::per_sequence);
}

bool BpeTokenizer::is_special(TokenId id) const {
  const AddedToken* token = parts_.added.find(id);
  return token != nullptr && token->special;
}

std::optional<TokenId> BpeTokenizer::token_to_id(std::string_view token) const {
  return parts_.spellings.find(token);
}

}  // namespace rbee
