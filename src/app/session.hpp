// Session: a few sequences stepped by hand in lockstep, straight on a backend, without the engine.
// What eval, perplexity and bench need: every logit of every position, and nothing else in the way.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "backend/backend.hpp"
#include "model/model.hpp"
#include "tokenizer/tokenizer.hpp"

namespace rbee {

enum class LogitRows { none, last, all };

class Session {
 public:
  // Allocates the backend's state (once for each backend): n_seqs sequences of up to max_tokens
  // tokens.
  Session(Backend& backend, const Model& model, int n_seqs, int max_tokens);

  // Feeds tokens.size() / n_seqs tokens to each sequence, the first sequence's tokens first, and
  // returns the logits of the rows asked for, [rows, vocab], valid until the next call. Throws
  // UsageError beyond max_tokens.
  std::span<const float> feed(std::span<const std::int32_t> tokens, LogitRows rows);
  // As feed, with the logits of the positions from `first` of this call's tokens on (one sequence
  // only).
  std::span<const float> feed_from(std::span<const std::int32_t> tokens, int first);

  // Forgets all tokens after the first `length` of each sequence.
  void rewind(int length) { length_ = length; }
  void reset() { rewind(0); }
  int length() const { return length_; }
  int vocab_size() const { return model_.info().vocab_size; }

 private:
  std::span<const float> step(std::span<const std::int32_t> tokens);

  Backend& backend_;
  const Model& model_;
  int n_seqs_;
  int max_tokens_;
  int pages_per_seq_;
  int length_ = 0;
  std::vector<std::int32_t> positions_, seq_begin_, kv_len_, pages_, page_begin_, slots_, rows_;
};

// The token that encode puts before a text, and llama.cpp's tools before each window of one.
std::optional<TokenId> leading_bos(const Tokenizer& tokenizer);

// Index of the largest value; the lowest one on ties.
std::int32_t argmax(std::span<const float> values);

}  // namespace rbee
