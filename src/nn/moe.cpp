#include "nn/moe.hpp"

#include <algorithm>

#include "nn/config_values.hpp"
#include "nn/names.hpp"

namespace rbee::nn {
namespace {

constexpr int kMaxExperts = 1 << 14;

constexpr Key kExperts{"num_local_experts|num_experts", "expert_count"};
constexpr Key kTopK{"num_experts_per_tok|experts_per_token", "expert_used_count"};
constexpr Key kFfn{"moe_intermediate_size", "expert_feed_forward_length"};
constexpr Key kNormalise{"norm_topk_prob", "expert_weights_norm"};

}  // namespace

MoeConfig MoeConfig::read(const Checkpoint& checkpoint, const DecoderConfig& config) {
  MoeConfig moe;
  moe.experts = count(checkpoint, kExperts, kMaxExperts);
  moe.routing.top_k = count(checkpoint, kTopK, moe.experts);
  moe.ffn = count(checkpoint, kFfn, kMaxExtent, config.ffn);
  return moe;
}

bool read_normalise(const Checkpoint& checkpoint, bool absent) {
  return flag(checkpoint, kNormalise, absent);
}

std::vector<Expert> make_experts(const ExpertWeights& weights) {
  const auto part = [](const std::vector<Weight>& matrices, const std::vector<Weight>& biases,
                       std::size_t x) {
    return Linear{matrices[x], biases.empty() ? Weight{} : biases[x]};
  };
  std::vector<Expert> experts;
  for (std::size_t x = 0; x < weights.gate.size(); ++x) {
    experts.push_back({part(weights.gate, weights.gate_bias, x),
                       part(weights.up, weights.up_bias, x),
                       part(weights.down, weights.down_bias, x)});
  }
  return experts;
}

MoeParams load_moe(Loader& load, const DecoderConfig& config, const MoeConfig& moe, int layer) {
  const int n = moe.experts, ffn = moe.ffn, hidden = config.hidden;
  MoeParams params{.router = {load.f32_matrix(names::kRouter.weight, n, hidden, layer)},
                   .routing = moe.routing,
                   .activation = config.activation};
  if (moe.routing.gating == Gating::sigmoid) {
    params.selection_bias = load.maybe_vector(names::kSelectionBias, n, layer);
  }
  ExpertWeights weights;
  if (load.has(names::kExpertGateUp, layer)) {
    const auto half = [&](int begin) {
      return load.experts(names::kExpertGateUp, n, ffn, hidden, layer,
                          Stored::range(2 * ffn, begin));
    };
    weights.gate = half(0);
    weights.up = half(ffn);
  } else {
    weights.gate = load.experts(names::kExpertGate, n, ffn, hidden, layer);
    weights.up = load.experts(names::kExpertUp, n, ffn, hidden, layer);
  }
  weights.down = load.experts(names::kExpertDown, n, hidden, ffn, layer);
  params.experts = make_experts(weights);
  return params;
}

std::vector<bool> sparse_layers(const Loader& load, int layers) {
  constexpr Key kStep{"decoder_sparse_step", ""};
  constexpr Key kDense{"mlp_only_layers", ""};
  const Checkpoint& checkpoint = load.checkpoint();
  std::vector<bool> sparse;
  if (checkpoint.format() == Format::gguf) {
    for (int i = 0; i < layers; ++i) sparse.push_back(load.has(names::kRouter.weight, i));
    return sparse;
  }
  const int step = count(checkpoint, kStep, kMaxExtent, 1);
  const auto dense = checkpoint.integers(kDense).value_or(std::vector<std::int64_t>{});
  for (int i = 0; i < layers; ++i) {
    sparse.push_back((i + 1) % step == 0 && std::ranges::find(dense, i) == dense.end());
  }
  return sparse;
}

}  // namespace rbee::nn
