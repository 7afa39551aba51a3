#include "engine/text_stream.hpp"

namespace rbee {

TextStream::TextStream(std::shared_ptr<TokenStream> tokens,
                       std::shared_ptr<const Tokenizer> tokenizer, std::vector<std::string> stop)
    : tokens_(std::move(tokens)),
      detokenizer_(std::move(tokenizer)),
      stop_(std::move(stop)),
      matcher_(stop_) {}

TextStream::~TextStream() {
  if (!finish_) tokens_->cancel();
}

std::optional<TextPiece> TextStream::try_next() {
  while (!finish_) {
    std::optional<TokenStream::Item> item = tokens_->try_pop();
    if (!item) return std::nullopt;
    if (auto piece = take(std::move(*item))) return piece;
  }
  return std::nullopt;
}

std::optional<TextPiece> TextStream::next() {
  while (!finish_) {
    if (auto piece = take(tokens_->pop())) return piece;
  }
  return std::nullopt;
}

std::optional<TextPiece> TextStream::take(TokenStream::Item item) {
  if (auto* finish = std::get_if<Finish>(&item)) return take_finish(std::move(*finish));
  if (stopped_) return std::nullopt;  // made before the engine saw that it was to stop
  return take_token(std::move(std::get<TokenEvent>(item)));
}

std::optional<TextPiece> TextStream::take_token(TokenEvent event) {
  ++n_tokens_;
  const std::string text = detokenizer_.push(event.id);
  const std::size_t begin = n_released_ + held_.size();
  held_tokens_.push_back({.event = std::move(event),
                          .begin = begin,
                          .end = begin + text.size(),
                          .has_text = !text.empty()});
  append(text);
  if (stopped_) tokens_->cancel();
  TextPiece piece = release(held_.size() - (stopped_ ? 0 : matcher_.n_held()));
  if (piece.text.empty() && piece.tokens.empty()) return std::nullopt;
  return piece;
}

std::optional<TextPiece> TextStream::take_finish(Finish finish) {
  finish_ = std::move(finish);
  if (!stopped_) append(detokenizer_.finish());
  if (stopped_) {
    finish_->reason = FinishReason::stop;
    finish_->error.clear();
    finish_->completion_tokens = n_tokens_;
  }
  TextPiece last = release(held_.size());
  if (!stopped_) {
    for (HeldToken& token : held_tokens_) last.tokens.push_back(std::move(token.event));
  }
  held_tokens_.clear();
  if (last.text.empty() && last.tokens.empty()) return std::nullopt;
  return last;
}

// Adds text to what is held. When a stop string ends in it, cuts that and all after it off.
void TextStream::append(std::string_view text) {
  for (const char byte : text) {
    held_.push_back(byte);
    const auto match = matcher_.feed(byte);
    if (!match) continue;
    held_.resize(held_.size() - match->length);
    matched_stop_ = stop_[match->index];
    stopped_ = true;
    return;
  }
}

// Gives out the first bytes of what is held, and the tokens whose text is out with them: all of
// it, or, once a stop string has cut the text, any of it.
TextPiece TextStream::release(std::size_t n_bytes) {
  TextPiece piece{.text = held_.substr(0, n_bytes), .tokens = {}};
  held_.erase(0, n_bytes);
  n_released_ += n_bytes;
  // A token without text goes with the next one that has some.
  std::size_t n_final = 0;
  for (std::size_t i = 0; i < held_tokens_.size(); ++i) {
    const HeldToken& token = held_tokens_[i];
    if (stopped_ ? token.begin >= n_released_ : token.end > n_released_) break;
    if (token.has_text) n_final = i + 1;
  }
  for (; n_final > 0; --n_final) {
    piece.tokens.push_back(std::move(held_tokens_.front().event));
    held_tokens_.pop_front();
  }
  return piece;
}

}  // namespace rbee
