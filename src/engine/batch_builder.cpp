#include "engine/batch_builder.hpp"

#include <algorithm>

namespace rbee {

Batch BatchBuilder::build(std::span<const Slice> slices, bool with_slots) {
  for (auto* array : {&tokens_, &positions_, &seq_begin_, &kv_len_, &pages_, &page_begin_, &slots_,
                      &logit_rows_}) {
    array->clear();
  }
  seq_begin_.push_back(0);
  page_begin_.push_back(0);
  for (const Slice& slice : slices) {
    add(slice);
    if (with_slots) slots_.push_back(slice.sequence->state->slot());
  }
  return {.tokens = tokens_,
          .positions = positions_,
          .seq_begin = seq_begin_,
          .kv_len = kv_len_,
          .pages = pages_,
          .page_begin = page_begin_,
          .slots = slots_,
          .logit_rows = logit_rows_};
}

void BatchBuilder::add(const Slice& slice) {
  const Sequence& s = *slice.sequence;
  const int kv_len = s.n_computed + slice.n_tokens + slice.n_guesses;
  const auto first = s.tokens.begin() + s.n_computed;
  tokens_.insert(tokens_.end(), first, first + slice.n_tokens);
  tokens_.insert(tokens_.end(), s.guess.begin(), s.guess.begin() + slice.n_guesses);
  for (int position = s.n_computed; position < kv_len; ++position) positions_.push_back(position);
  seq_begin_.push_back(static_cast<std::int32_t>(tokens_.size()));
  kv_len_.push_back(kv_len);
  // A model without keys and values has no pages.
  const auto held = s.state->pages();
  const auto pages = held.first(std::min(held.size(), static_cast<std::size_t>(pages_for(kv_len))));
  pages_.insert(pages_.end(), pages.begin(), pages.end());
  page_begin_.push_back(static_cast<std::int32_t>(pages_.size()));
  if (!slice.reaches_end()) return;
  const auto end = static_cast<std::int32_t>(tokens_.size());
  for (std::int32_t row = end - 1 - slice.n_guesses; row < end; ++row) logit_rows_.push_back(row);
}

}  // namespace rbee
