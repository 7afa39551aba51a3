// BatchBuilder: turns slices of sequences into a Batch. Keeps its arrays from step to step.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/batch.hpp"
#include "engine/scheduler.hpp"

namespace rbee {

class BatchBuilder {
 public:
  // with_slots: sequences have slots. Wants logits of the last token of each slice that reaches its
  // sequence's end, and of its guesses. The spans are valid until the next build or clear.
  Batch build(std::span<const Slice> slices, bool with_slots);

  // The same piece by piece: the tokens from begin to end of a sequence, whose guess follows its
  // tokens, with logits of the last n_logits.
  void clear();
  void add(const Sequence& sequence, int begin, int end, int n_logits);
  int n_tokens() const noexcept { return static_cast<int>(tokens_.size()); }
  Batch batch(bool with_slots) const;

 private:
  std::vector<std::int32_t> tokens_, positions_, seq_begin_, kv_len_, pages_, page_begin_, slots_,
      logit_rows_;
};

}  // namespace rbee
