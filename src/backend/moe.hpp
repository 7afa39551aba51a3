// Mixture of experts: which experts a token goes to, and what they compute.
#pragma once
#include <cstdint>
#include <vector>

#include "backend/activation.hpp"
#include "core/tensor.hpp"

namespace rbee {

// How scores of experts and the weights of the chosen ones follow from the router's logits.
enum class Gating : std::uint8_t {
  softmax,           // over all experts
  softmax_selected,  // logits choose, the softmax over the chosen ones gives their weights
  sigmoid,
  sparsemixer,  // Routing::jitter
};

// What the experts of a group are worth to a router that first chooses groups.
enum class GroupScore : std::uint8_t { best, sum_of_best_two };

// From the logits of a token over all experts to its experts and their weights, in f32:
//   score = gating(logit); choice score = score (+ selection bias);
//   with groups, those outside the best top_groups are left out;
//   the top_k with the highest choice score, the lower number first where two are equal;
//   weight = score of the chosen ones, / (their sum + 1e-20) with normalise, * scale.
// sparsemixer (Liu et al., 2023, arXiv:2310.00811, its inference) chooses one after the other: the
// highest logit m of those not yet chosen, whose weight is its share in the softmax over those not
// yet chosen with (m - logit) / max(|logit|, m) <= 2 jitter.
struct Routing {
  Gating gating = Gating::softmax;
  int top_k = 0;
  int n_groups = 1;    // of equally many experts with consecutive numbers
  int top_groups = 1;  // top_groups * experts of a group >= top_k
  GroupScore group_score = GroupScore::best;
  bool normalise = false;
  float scale = 1;
  float jitter = 0;
};

struct Expert {
  Linear gate, up, down;
};

// moe(x) = sum over the chosen experts of weight * (down · a(gate · x, up · x)), biases included.
struct MoeParams {
  Linear router;            // [experts, hidden]
  Weight selection_bias{};  // f32 vector [experts] or absent
  Routing routing{};
  std::vector<Expert> experts{};
  Activation activation = Activation::silu;  // a(g, u) = activation(g) * u, unless:
  // Not 0: a(g, u) = c σ(1.702 c) (clamp(u, -limit, limit) + 1) with c = min(g, limit), as in
  // gpt-oss (OpenAI, 2025, arXiv:2508.10925).
  float swiglu_limit = 0;
};

}  // namespace rbee
