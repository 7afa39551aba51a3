#include "app/session.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <numeric>

#include "app/commands.hpp"

namespace rbee {

Session::Session(Backend& backend, const Model& model, int n_seqs, int max_tokens)
    : backend_(backend),
      model_(model),
      n_seqs_(n_seqs),
      max_tokens_(max_tokens),
      pages_per_seq_((max_tokens + kPageTokens - 1) / kPageTokens) {
  backend_.allocate_state(model.info().state, pages_per_seq_ * n_seqs, n_seqs);
  for (int s = 0; s < n_seqs; ++s) slots_.push_back(s);
}

std::span<const float> Session::feed(std::span<const std::int32_t> tokens, LogitRows rows) {
  const int n = static_cast<int>(tokens.size()) / n_seqs_;
  rows_.clear();
  for (int s = 0; s < n_seqs_; ++s) {
    if (rows == LogitRows::last) rows_.push_back((s + 1) * n - 1);
    for (int i = 0; i < n && rows == LogitRows::all; ++i) rows_.push_back(s * n + i);
  }
  return step(tokens);
}

std::span<const float> Session::feed_from(std::span<const std::int32_t> tokens, int first) {
  rows_.resize(tokens.size() - static_cast<std::size_t>(first));
  std::iota(rows_.begin(), rows_.end(), first);
  return step(tokens);
}

std::span<const float> Session::step(std::span<const std::int32_t> tokens) {
  const int n = static_cast<int>(tokens.size()) / n_seqs_;
  if (length_ + n > max_tokens_) {
    throw UsageError(fmt::format("{} tokens do not fit into the {} this command made room for",
                                 length_ + n, max_tokens_));
  }
  const int used_pages = (length_ + n + kPageTokens - 1) / kPageTokens;
  positions_.clear(), seq_begin_.assign(1, 0), kv_len_.clear();
  pages_.clear(), page_begin_.assign(1, 0);
  for (int s = 0; s < n_seqs_; ++s) {
    for (int i = 0; i < n; ++i) positions_.push_back(length_ + i);
    seq_begin_.push_back((s + 1) * n);
    kv_len_.push_back(length_ + n);
    for (int p = 0; p < used_pages; ++p) pages_.push_back(s * pages_per_seq_ + p);
    page_begin_.push_back(static_cast<std::int32_t>(pages_.size()));
  }
  length_ += n;
  const Batch batch{tokens, positions_, seq_begin_, kv_len_, pages_, page_begin_, slots_, rows_};
  return backend_.run(batch, [this](Ops& ops, const Batch& b) { return model_.forward(ops, b); });
}

std::optional<TokenId> leading_bos(const Tokenizer& tokenizer) {
  const auto empty = tokenizer.encode("");
  const bool adds = tokenizer.bos() && !empty.empty() && empty.front() == *tokenizer.bos();
  return adds ? tokenizer.bos() : std::nullopt;
}

std::int32_t argmax(std::span<const float> values) {
  return static_cast<std::int32_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

}  // namespace rbee
