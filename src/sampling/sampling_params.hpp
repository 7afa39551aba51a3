// How to pick the next token. The defaults change nothing: plain sampling from the model's
// distribution.
#pragma once
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

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
  std::vector<std::pair<std::int32_t, float>> logit_bias;
  std::optional<std::uint64_t> seed;  // none: a fresh one for each request
};

}  // namespace rbee
