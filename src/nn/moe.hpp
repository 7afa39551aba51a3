// Mixtures of experts as checkpoints describe and store them.
#pragma once
#include <vector>

#include "backend/moe.hpp"
#include "model/loader.hpp"
#include "nn/decoder_config.hpp"

namespace rbee::nn {

struct MoeConfig {
  int experts = 0;
  int ffn = 0;  // width inside an expert
  Routing routing{};

  // The sizes; the rest of routing is the family's. Throws LoadError when one is missing, out of
  // range or at odds with another.
  static MoeConfig read(const Checkpoint& checkpoint, const DecoderConfig& config);
};

// norm_topk_prob: whether the weights of the chosen experts are made to add up to 1.
bool read_normalise(const Checkpoint& checkpoint, bool absent);

// The router, its selection bias where the gating is a sigmoid, and gate, up and down of each
// expert, in any of the layouts that files have: a tensor for each expert or for all, gate and up
// in one tensor or in two.
MoeParams load_moe(Loader& load, const DecoderConfig& config, const MoeConfig& moe, int layer);

// The same from matrices and, where there are any, biases of all experts.
struct ExpertWeights {
  std::vector<Weight> gate, up, down;
  std::vector<Weight> gate_bias{}, up_bias{}, down_bias{};
};
std::vector<Expert> make_experts(const ExpertWeights& weights);

// Which layers have experts, the others a plain MLP: as decoder_sparse_step and mlp_only_layers of
// config.json say, in GGUF those with a router.
std::vector<bool> sparse_layers(const Loader& load, int layers);

}  // namespace rbee::nn
