#include "sampling/sampler.hpp"

#include <algorithm>
#include <cmath>

#include "sampling/random.hpp"

namespace rbee {
namespace {

SamplingParams sane(SamplingParams params) {
  const SamplingParams off;
  if (!(params.temperature > 0)) params.temperature = 0;
  if (!std::isfinite(params.temperature)) params.temperature = off.temperature;
  if (!(params.top_p < 1)) params.top_p = off.top_p;
  if (!(params.min_p > 0)) params.min_p = off.min_p;
  params.min_p = std::min(params.min_p, 1.0f);
  if (!(params.repetition_penalty > 0) || !std::isfinite(params.repetition_penalty)) {
    params.repetition_penalty = off.repetition_penalty;
  }
  if (!std::isfinite(params.frequency_penalty)) params.frequency_penalty = off.frequency_penalty;
  if (!std::isfinite(params.presence_penalty)) params.presence_penalty = off.presence_penalty;
  std::erase_if(params.logit_bias,
                [](const auto& bias) { return bias.first < 0 || !std::isfinite(bias.second); });
  return params;
}

std::int32_t index_of(std::span<const float> row, float value) {
  return static_cast<std::int32_t>(std::find(row.begin(), row.end(), value) - row.begin());
}

// Which of all tokens: the first whose running sum of weights is above target. sums are those of
// blocks of kWeightBlock.
std::int32_t find_in_row(std::span<const float> row, std::span<const double> sums, double target) {
  std::size_t block = 0;
  double sum = 0;
  while (block + 1 < sums.size() && sum + sums[block] <= target) sum += sums[block++];
  std::int32_t last = -1;
  for (std::size_t i = block * kWeightBlock; i < row.size(); ++i) {
    if (row[i] <= 0) continue;
    last = static_cast<std::int32_t>(i);
    sum += static_cast<double>(row[i]);
    if (sum > target) return last;
  }
  if (last >= 0) return last;
  // Rounding put the target past the end and the last block holds no weight at all.
  const auto positive = std::find_if(row.rbegin(), row.rend(), [](float w) { return w > 0; });
  return static_cast<std::int32_t>(row.rend() - positive) - 1;
}

std::int32_t find_in(std::span<const Candidate> candidates, double u) {
  double total = 0;
  for (const Candidate& c : candidates) total += static_cast<double>(c.value);
  double sum = 0;
  std::int32_t last = candidates.front().id;
  for (const Candidate& c : candidates) {
    if (c.value <= 0) continue;
    last = c.id;
    sum += static_cast<double>(c.value);
    if (sum > u * total) break;
  }
  return last;
}

// The worst of the fewest best candidates whose weights reach target: selects by halves, in linear
// time. Reorders candidates, of which there is at least one.
Candidate last_kept(std::span<Candidate> candidates, double target) {
  auto begin = candidates.begin();
  auto end = candidates.end();
  while (end - begin > 1) {
    const auto middle = begin + (end - begin) / 2;
    std::nth_element(begin, middle, end, better);
    double sum = 0;
    for (auto c = begin; c != middle; ++c) sum += static_cast<double>(c->value);
    if (sum >= target) {
      end = middle;
    } else {
      target -= sum;
      begin = middle;
    }
  }
  return *begin;
}

void keep_top_p(std::vector<Candidate>& candidates, double target,
                std::vector<Candidate>& selection) {
  selection.assign(candidates.begin(), candidates.end());
  const Candidate last = last_kept(selection, target);
  std::erase_if(candidates, [&](const Candidate& c) { return better(last, c); });
}

}  // namespace

std::string_view describe(SampleError) noexcept {
  return "the model's logits are not finite numbers";
}

Sampler::Sampler(const SamplingParams& params, int n_prompt, std::uint64_t seed)
    : params_(sane(params)), seed_(seed), n_prompt_(n_prompt) {
  if (params_.repeat_last_n > 0) window_begin_ = std::max(n_prompt - params_.repeat_last_n, 0);
  n_observed_ = window_begin_;
}

bool Sampler::counts_tokens() const noexcept {
  return params_.repetition_penalty != 1 || params_.frequency_penalty != 0 ||
         params_.presence_penalty != 0;
}

void Sampler::observe(std::span<const std::int32_t> history) {
  const int last_n = std::max(params_.repeat_last_n, 0);  // 0: all tokens
  for (const int n = static_cast<int>(history.size()); n_observed_ < n; ++n_observed_) {
    if (history[n_observed_] >= 0) {
      TokenCounts::Entry& entry = counts_.at(history[n_observed_]);
      ++entry.window;
      if (n_observed_ >= n_prompt_) ++entry.answer;
    }
    const int leaving = n_observed_ - last_n;
    if (last_n > 0 && leaving >= window_begin_ && history[leaving] >= 0) {
      --counts_.at(history[leaving]).window;
    }
  }
}

void Sampler::adjust(std::span<float> row) const {
  const auto size = static_cast<std::int64_t>(row.size());
  for (const auto& [id, bias] : params_.logit_bias) {
    if (id < size) row[id] += bias;
  }
  for (const TokenCounts::Entry& entry : counts_.places()) {
    if (entry.id < 0 || entry.id >= size) continue;
    float& logit = row[entry.id];
    if (entry.window > 0) {
      logit = logit > 0 ? logit / params_.repetition_penalty : logit * params_.repetition_penalty;
    }
    if (entry.answer > 0) {
      logit -= params_.frequency_penalty * static_cast<float>(entry.answer);
      logit -= params_.presence_penalty;
    }
  }
}

Result<std::int32_t, SampleError> Sampler::pick(std::span<const float> logits,
                                                std::span<const std::int32_t> history,
                                                SamplerScratch& scratch) {
  if (counts_tokens()) observe(history);
  std::span<const float> row = logits;
  if (counts_tokens() || !params_.logit_bias.empty()) {
    scratch.row.assign(logits.begin(), logits.end());
    adjust(scratch.row);
    row = scratch.row;
  }
  const std::optional<float> max = max_logit(row);
  if (!max) return Err{SampleError::not_finite};
  if (params_.temperature == 0) return index_of(row, *max);
  const auto n_answer = static_cast<std::uint64_t>(static_cast<int>(history.size()) - n_prompt_);
  return draw(row, *max, uniform(seed_, n_answer), scratch);
}

std::int32_t Sampler::draw(std::span<const float> row, float max, double u,
                           SamplerScratch& scratch) const {
  std::vector<Candidate>& candidates = scratch.candidates;
  double total = 0;
  if (params_.top_k > 0 && static_cast<std::size_t>(params_.top_k) < row.size()) {
    select_best(row, params_.top_k, candidates);
    std::sort(candidates.begin(), candidates.end(),
              [](const Candidate& a, const Candidate& b) { return a.id < b.id; });
    for (Candidate& c : candidates) {
      c.value = weight(c.value, max, params_.temperature);
      total += static_cast<double>(c.value);
    }
  } else {
    scratch.row.resize(row.size());
    total = weights(row, max, params_.temperature, scratch.row, scratch.sums);
    if (params_.top_p == 1 && params_.min_p == 0) {
      return find_in_row(scratch.row, scratch.sums, u * total);
    }
    // All tokens with less than this share together hold less than 1 - top_p: top_p would not reach
    // them, and there are few others. Without top_p, min_p alone decides.
    const double share =
        (1 - static_cast<double>(params_.top_p)) * total / static_cast<double>(row.size());
    const float least =
        params_.top_p < 1 ? std::min(static_cast<float>(share) * 0.99f, 1.0f) : params_.min_p;
    candidates.clear();
    for (std::size_t i = 0; i < row.size(); ++i) {
      const float w = scratch.row[i];
      if (w > 0 && w >= least) candidates.push_back({w, static_cast<std::int32_t>(i)});
    }
  }
  if (params_.top_p < 1) {
    keep_top_p(candidates, static_cast<double>(params_.top_p) * total, scratch.selection);
  }
  // The best weight is 1.
  std::erase_if(candidates, [&](const Candidate& c) { return c.value < params_.min_p; });
  return find_in(candidates, u);
}

}  // namespace rbee
