// BatchBuilder: turns the scheduler's slices into a Batch. Keeps its arrays from step to step.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/batch.hpp"
#include "engine/scheduler.hpp"

namespace rbee {

class BatchBuilder {
 public:
  // with_slots: the model has recurrent layers. Wants logits of the last token of each slice that
  // reaches its sequence's end. The spans are valid until the next build.
  Batch build(std::span<const Slice> slices, bool with_slots);

 private:
  void add(const Slice& slice);

  std::vector<std::int32_t> tokens_, positions_, seq_begin_, kv_len_, pages_, page_begin_, slots_,
      logit_rows_;
};

}  // namespace rbee
