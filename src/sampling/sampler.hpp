// Sampler: a row of logits and the tokens so far to the next token. One for each sequence.
//
// In this order, as Hugging Face transformers and vLLM have it:
//   1. logit_bias is added (entries of one id add up).
//   2. repetition_penalty, for each distinct token among the last repeat_last_n of prompt and
//      answer: a positive logit is divided by it, a negative one multiplied.
//   3. frequency_penalty times the occurrences in the answer, and presence_penalty if there is any,
//      are subtracted.
//   4. temperature divides the logits. 0 ends here: the greatest logit wins, the lowest id on ties.
//   5. top_k keeps exactly the k best (lower ids first among equals).
//   6. top_p keeps, of what top_k left and renormalised over it, the fewest best tokens whose
//      probabilities reach top_p; the one that crosses it stays, so at least one does (Holtzman et
//      al., 2020, arXiv:1904.09751).
//   7. min_p keeps tokens at least min_p times as probable as the best (Nguyen et al., 2024,
//      arXiv:2407.01082).
//   8. One uniform number picks among the rest, in the order of ids.
// The token depends on the logits, the parameters, the history, the seed and how many tokens the
// answer has, and on nothing else.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sampling/logits.hpp"
#include "sampling/sampling_params.hpp"
#include "sampling/token_counts.hpp"

namespace rbee {

// Work memory that the samplers of one thread share, so that picks allocate nothing once it is
// warm.
struct SamplerScratch {
  std::vector<float> row;
  std::vector<double> sums;
  std::vector<Candidate> candidates;
  std::vector<Candidate> selection;
};

enum class SampleError : std::uint8_t { not_finite };  // NaN, +infinity, or nothing to choose from

std::string_view describe(SampleError error) noexcept;

class Sampler {
 public:
  Sampler() = default;  // greedy
  // Values that validate refuses count as off. n_prompt: tokens of the history that are the prompt.
  Sampler(const SamplingParams& params, int n_prompt, std::uint64_t seed);

  // The next token: an index into logits, which may be shorter than the model's row (ids beyond it
  // are never picked). history is the prompt and the answer so far, and never shrinks from call to
  // call.
  Result<std::int32_t, SampleError> pick(std::span<const float> logits,
                                         std::span<const std::int32_t> history,
                                         SamplerScratch& scratch);

 private:
  bool counts_tokens() const noexcept;
  void observe(std::span<const std::int32_t> history);
  void adjust(std::span<float> row) const;
  std::int32_t draw(std::span<const float> row, float max, double u, SamplerScratch& scratch) const;

  SamplingParams params_{.temperature = 0, .logit_bias = {}, .seed = {}};
  std::uint64_t seed_ = 0;
  int n_prompt_ = 0;
  int n_observed_ = 0;    // tokens of the history that counts_ holds
  int window_begin_ = 0;  // the first of them
  TokenCounts counts_;
};

}  // namespace rbee
