#include "engine/batch_builder.hpp"

#include <algorithm>

namespace rbee {

Batch BatchBuilder::build(std::span<const Slice> slices, bool with_slots) {
  clear();
  for (const Slice& slice : slices) {
    const int begin = slice.sequence->n_computed;
    add(*slice.sequence, begin, begin + slice.n_tokens + slice.n_guesses,
        slice.reaches_end() ? 1 + slice.n_guesses : 0);
  }
  return batch(with_slots);
}

void BatchBuilder::clear() {
  for (auto* array : {&tokens_, &positions_, &seq_begin_, &kv_len_, &pages_, &page_begin_, &slots_,
                      &logit_rows_}) {
    array->clear();
  }
  seq_begin_.push_back(0);
  page_begin_.push_back(0);
}

void BatchBuilder::add(const Sequence& s, int begin, int end, int n_logits) {
  for (int position = begin; position < end; ++position) {
    const int guessed = position - s.n_tokens();
    tokens_.push_back(guessed < 0 ? s.tokens[position] : s.guess[guessed]);
    positions_.push_back(position);
  }
  seq_begin_.push_back(static_cast<std::int32_t>(tokens_.size()));
  kv_len_.push_back(end);
  // A model without keys and values has no pages.
  const auto held = s.state->pages();
  const auto pages = held.first(std::min(held.size(), static_cast<std::size_t>(pages_for(end))));
  pages_.insert(pages_.end(), pages.begin(), pages.end());
  page_begin_.push_back(static_cast<std::int32_t>(pages_.size()));
  slots_.push_back(s.state->slot());
  const auto rows = static_cast<std::int32_t>(tokens_.size());
  for (std::int32_t row = rows - n_logits; row < rows; ++row) logit_rows_.push_back(row);
}

Batch BatchBuilder::batch(bool with_slots) const {
  return {
      .tokens = tokens_,
      .positions = positions_,
      .seq_begin = seq_begin_,
      .kv_len = kv_len_,
      .pages = pages_,
      .page_begin = page_begin_,
      .slots = with_slots ? std::span<const std::int32_t>(slots_) : std::span<const std::int32_t>(),
      .logit_rows = logit_rows_};
}

}  // namespace rbee
