// Batch: everything one step of the model needs to know, ragged over sequences. Host memory; plain
// spans owned by the engine and valid during the step.
#pragma once
#include <cstdint>
#include <span>

namespace rbee {

struct Batch {
  std::span<const std::int32_t> tokens;     // [T] token ids, the sequences one after the other
  std::span<const std::int32_t> positions;  // [T] position of each token in its sequence, from 0
  std::span<const std::int32_t>
      seq_begin;  // [S+1] sequence s holds tokens seq_begin[s] .. seq_begin[s+1]-1
  std::span<const std::int32_t>
      kv_len;                           // [S] keys of sequence s once this step's tokens are stored
  std::span<const std::int32_t> pages;  // page ids of all sequences, one table after the other
  std::span<const std::int32_t>
      page_begin;  // [S+1] sequence s owns pages[page_begin[s]] .. ; page j of them holds
                   // positions j*kPageTokens .. (j+1)*kPageTokens-1
  std::span<const std::int32_t> slots;  // [S] slot of recurrent state; empty for models without any
  std::span<const std::int32_t>
      logit_rows;  // [R] rows of [0, T) whose logits are wanted, ascending

  int n_tokens() const noexcept { return static_cast<int>(tokens.size()); }
  int n_seqs() const noexcept { return static_cast<int>(kv_len.size()); }
};

}  // namespace rbee
