// Routing on host memory, for backends that compute there.
#pragma once
#include <span>
#include <vector>

#include "backend/moe.hpp"

namespace rbee {

struct ExpertChoice {
  int expert = 0;
  float weight = 0;
};

// Chooses experts (moe.hpp: Routing); keeps its scratch memory from one token to the next.
class Router {
 public:
  // The choices of one token in the order they are made. selection_bias is null or has a value for
  // each logit; choices.size() == routing.top_k <= logits.size(). A NaN is below every number;
  // where too few logits are numbers, an expert may be chosen twice.
  void route(const Routing& routing, std::span<const float> logits, const float* selection_bias,
             std::span<ExpertChoice> choices);

 private:
  void sparsemixer(const Routing& routing, std::span<ExpertChoice> choices);
  void limit_groups(const Routing& routing);

  std::vector<float> scores_;      // of all experts
  std::vector<float> candidates_;  // choice scores; -inf: out
  std::vector<float> groups_;
};

}  // namespace rbee
