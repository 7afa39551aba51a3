// How to pick the next token. The defaults change nothing: plain sampling from the model's
// distribution. Sampler documents what each parameter means and the order they act in.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace rbee {

struct SamplingParams {
  float temperature = 1;  // 0: greedy
  int top_k = 0;          // 0: off
  float top_p = 1;        // 1: off
  float min_p = 0;        // 0: off; keeps tokens with p >= min_p * max p
  float repetition_penalty =
      1;  // 1: off (Keskar et al., 2019, arXiv:1909.05858); prompt tokens count
  float frequency_penalty = 0;  // subtracted once for each occurrence in the answer
  float presence_penalty = 0;   // subtracted once if the token occurs in the answer
  int repeat_last_n = 128;      // tokens the repetition penalty looks back at; 0: all
  std::vector<std::pair<std::int32_t, float>> logit_bias;  // added to the logit of the id
  std::optional<std::uint64_t> seed;                       // none: a fresh one for each request
};

struct InvalidParam {
  std::string field;   // as it is spelt in SamplingParams
  std::string reason;  // "must be between 0 and 1 (got 1.5)"
};

// The parameters, or the first one that makes no sense: not a number, or outside
//   temperature 0..100, top_k >= 0, top_p 0..1, min_p 0..1, repetition_penalty above 0 to 100,
//   frequency_penalty and presence_penalty -100..100, repeat_last_n >= 0,
//   logit_bias ids 0..n_vocab-1 and values -1000..1000.
// An interface may be narrower. A Sampler made from other values is safe, but ignores them.
Result<SamplingParams, InvalidParam> validate(const SamplingParams& params, int n_vocab);

}  // namespace rbee
