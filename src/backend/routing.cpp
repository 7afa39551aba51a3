#include "backend/routing.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace rbee {
namespace {

constexpr float kOut = -std::numeric_limits<float>::infinity();

// The lowest index of the highest value; 0 where none is above -inf.
std::size_t highest(std::span<const float> values) {
  std::size_t best = 0;
  float value = kOut;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] > value) value = values[i], best = i;
  }
  return best;
}

// In place; -inf has no share.
void softmax(std::span<float> values) {
  const float most = values[highest(values)];
  float sum = 0;
  for (float& value : values) sum += value = std::exp(value - most);
  for (float& value : values) value /= sum;
}

float group_score(std::span<const float> scores, GroupScore kind) {
  float best = kOut, second = kOut;
  for (const float score : scores) {
    if (score > best) {
      second = best;
      best = score;
    } else if (score > second) {
      second = score;
    }
  }
  return kind == GroupScore::best || scores.size() < 2 ? best : best + second;
}

}  // namespace

// Leaves the experts of all groups but the best out of the choice.
void Router::limit_groups(const Routing& routing) {
  const std::size_t size = candidates_.size() / static_cast<std::size_t>(routing.n_groups);
  const auto group = [&](std::size_t g) { return std::span(candidates_).subspan(g * size, size); };
  groups_.clear();
  for (std::size_t g = 0; g < candidates_.size() / size; ++g) {
    groups_.push_back(group_score(group(g), routing.group_score));
  }
  constexpr float kKept = std::numeric_limits<float>::quiet_NaN();  // below every number
  for (int i = 0; i < routing.top_groups; ++i) groups_[highest(groups_)] = kKept;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if (!std::isnan(groups_[g])) std::ranges::fill(group(g), kOut);
  }
}

void Router::sparsemixer(const Routing& routing, std::span<ExpertChoice> choices) {
  for (ExpertChoice& choice : choices) {
    const std::size_t best = highest(candidates_);
    const float most = candidates_[best];
    float sum = 0;
    for (std::size_t e = 0; e < candidates_.size(); ++e) {
      const float distance = (most - scores_[e]) / std::max(std::fabs(scores_[e]), most);
      if (!(distance > 2 * routing.jitter)) sum += std::exp(candidates_[e] - most);
    }
    choice = {static_cast<int>(best), 1 / sum};
    candidates_[best] = kOut;
  }
}

void Router::route(const Routing& routing, std::span<const float> logits,
                   const float* selection_bias, std::span<ExpertChoice> choices) {
  scores_.assign(logits.begin(), logits.end());
  if (routing.gating == Gating::softmax) softmax(scores_);
  if (routing.gating == Gating::sigmoid) {
    for (float& score : scores_) score = 1 / (1 + std::exp(-score));
  }
  candidates_ = scores_;
  if (selection_bias != nullptr) {
    for (std::size_t e = 0; e < candidates_.size(); ++e) candidates_[e] += selection_bias[e];
  }
  if (routing.n_groups > 1) limit_groups(routing);
  if (routing.gating == Gating::sparsemixer) {
    sparsemixer(routing, choices);
  } else {
    for (ExpertChoice& choice : choices) {
      const std::size_t best = highest(candidates_);
      choice = {static_cast<int>(best), scores_[best]};
      candidates_[best] = kOut;
    }
  }
  if (routing.gating == Gating::softmax_selected) {
    const float most = choices.front().weight;
    float sum = 0;
    for (ExpertChoice& choice : choices) sum += choice.weight = std::exp(choice.weight - most);
    for (ExpertChoice& choice : choices) choice.weight /= sum;
  }
  if (routing.normalise) {
    float sum = 0;
    for (const ExpertChoice& choice : choices) sum += choice.weight;
    for (ExpertChoice& choice : choices) choice.weight /= sum + 1e-20F;
  }
  for (ExpertChoice& choice : choices) choice.weight *= routing.scale;
}

}  // namespace rbee
