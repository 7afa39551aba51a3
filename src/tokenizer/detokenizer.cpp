#include <algorithm>
#include <utility>

#include "tokenizer/tokenizer.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee {

Detokenizer::Detokenizer(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special)
    : tokenizer_(std::move(tokenizer)), skip_special_(skip_special) {}

std::string Detokenizer::push(TokenId id) {
  std::string bytes = tokenizer_->token_bytes(id, skip_special_);
  if (bytes.empty()) return {};
  if (std::exchange(at_start_, false)) drop_leading_space(tokenizer_->leading_space(), bytes);
  pending_ += bytes;
  const std::size_t whole = pending_.size() - unfinished_utf8(pending_);
  std::string text = repair(std::string_view(pending_).substr(0, whole));
  pending_.erase(0, whole);
  return text;
}

std::string Detokenizer::finish() {
  std::string text = repair(pending_);
  pending_.clear();
  return text;
}

std::string Detokenizer::repair(std::string_view bytes) const {
  return repair_utf8(bytes,
                     tokenizer_->marks_each_byte() ? Repair::per_byte : Repair::per_sequence);
}

void drop_leading_space(LeadingSpace rule, std::string& first_bytes) {
  switch (rule) {
    case LeadingSpace::keep:
      break;
    case LeadingSpace::drop_one:
      if (first_bytes.starts_with(' ')) first_bytes.erase(0, 1);
      break;
    case LeadingSpace::drop_in_first_token:
      std::erase(first_bytes, ' ');
      break;
  }
}

}  // namespace rbee
