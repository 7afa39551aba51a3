// Passes over one row of logits, written so that the compiler vectorises them: a vocabulary of
// 256k tokens takes tens of microseconds a pass. Deterministic: the same row gives the same bits.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace rbee {

struct Candidate {
  float value = 0;  // a logit or a weight
  std::int32_t id = 0;
};

// The order of candidates: greater values first, lower ids first among equals.
constexpr bool better(const Candidate& a, const Candidate& b) noexcept {
  return a.value > b.value || (a.value == b.value && a.id < b.id);
}

// The greatest value, or nullopt when the row holds NaN or +infinity, or nothing above -infinity.
std::optional<float> max_logit(std::span<const float> row) noexcept;

// Elements that weights sums up in one go.
inline constexpr std::size_t kWeightBlock = 512;

// exp((logit - max) / temperature), within 2e-7 relative; 0 below exp(-87).
float weight(float logit, float max, float temperature) noexcept;

// out[i] = weight(row[i], max, temperature). out may be row. sums gets the sum of each kWeightBlock
// weights. Returns the sum of all.
double weights(std::span<const float> row, float max, float temperature, std::span<float> out,
               std::vector<double>& sums);

// The best k of row in no particular order, without those that are -infinity. Linear time.
void select_best(std::span<const float> row, int k, std::vector<Candidate>& best);

// The natural logarithm of the sum of the exponentials of a row, in double precision.
double log_sum_exp(std::span<const float> row);

// KL(p || q) of the distributions that two rows of logits stand for.
double divergence(std::span<const float> p, std::span<const float> q);

struct Logprobs {
  float chosen = 0;
  std::vector<std::pair<std::int32_t, float>> top;  // best first
};

// log softmax of the row for one id and for the n_top best ones. Precondition: max_logit(row).
Logprobs logprobs(std::span<const float> row, std::int32_t id, int n_top);

}  // namespace rbee
