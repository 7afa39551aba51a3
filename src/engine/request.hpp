// What a client of the engine asks for and gets.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sampling/sampling_params.hpp"

namespace rbee {

struct GenerationRequest {
  std::vector<std::int32_t> prompt;  // at least one token
  SamplingParams sampling;
  int max_tokens = -1;  // -1: up to the end of the context
  std::vector<std::int32_t>
      end_ids;            // any of these ends the generation and is not part of the answer
  int top_logprobs = -1;  // -1: no log-probabilities; n >= 0: that of the token and of the n best
};

enum class FinishReason : std::uint8_t { length, eos, stop, cancelled, error };

struct TokenEvent {
  std::int32_t id = 0;
  float logprob = 0;  // of the model's distribution before sampling parameters; only when asked for
  std::vector<std::pair<std::int32_t, float>> top;
};

// Set once, with the last event.
struct Finish {
  FinishReason reason = FinishReason::length;
  std::string error;  // for FinishReason::error
  int prompt_tokens = 0;
  int completion_tokens = 0;
  double prefill_seconds = 0;  // from admission to the first token
  double decode_seconds = 0;   // from the first token to the last
};

enum class SubmitError : std::uint8_t {
  queue_full,
  prompt_empty,
  prompt_too_long,
  token_out_of_range,
  shutting_down
};

}  // namespace rbee
