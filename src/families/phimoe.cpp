// Phi-3.5-MoE: Mixtral's shape with layer norms, biases and LongRoPE, and sparsemixer for a router.
#include <string>
#include <vector>

#include "model/family.hpp"
#include "nn/attention.hpp"
#include "nn/config_values.hpp"
#include "nn/decoder_config.hpp"
#include "nn/lm_head.hpp"
#include "nn/moe.hpp"
#include "nn/own_keys.hpp"
#include "nn/parts.hpp"
#include "nn/rope.hpp"
#include "nn/windows.hpp"

namespace rbee {
namespace {

struct Layer {
  nn::Norm attention_norm;
  nn::Attention attention;
  nn::Norm mlp_norm;
  MoeParams moe;
};

class PhiMoe final : public Model {
 public:
  explicit PhiMoe(Loader& load)
      : PhiMoe(load, nn::DecoderConfig::read(load.checkpoint(), {.norm = nn::NormKind::layer,
                                                                 .eps = 1e-5,
                                                                 .kv_heads = 8,
                                                                 .max_context = 131072,
                                                                 .rope_theta = 1e6})) {}

  const ModelInfo& info() const override { return info_; }

  Tensor forward(Ops& ops, const Batch& batch) const override {
    const Tensor x = head_.embed(ops, batch);
    for (const Layer& layer : layers_) {
      const auto scratch = ops.scope();
      layer.attention(ops, batch, x, layer.attention_norm(ops, x));
      ops.moe_add(x, layer.mlp_norm(ops, x), layer.moe);
    }
    return head_.logits(ops, batch, x);
  }

 private:
  PhiMoe(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    constexpr Key kJitter{"router_jitter_noise", "router_jitter_noise"};
    const Checkpoint& checkpoint = load.checkpoint();
    const nn::AttentionOptions options{.rope = nn::make_rope(load, config, RopePairing::half),
                                       .window = nn::read_window(checkpoint)};
    nn::MoeConfig moe = nn::MoeConfig::read(checkpoint, config);
    if (moe.routing.top_k != 2) {
      constexpr Key kTopK{"num_experts_per_tok", "expert_used_count"};
      nn::bad_value(checkpoint, kTopK, "2, as its router takes", std::to_string(moe.routing.top_k));
    }
    moe.routing.gating = Gating::sparsemixer;
    moe.routing.jitter =
        static_cast<float>(nn::own_positive(checkpoint, kJitter, {.config = 0.01, .gguf = 0.01}));
    for (int i = 0; i < config.layers; ++i) {
      layers_.push_back(
          {.attention_norm = nn::load_norm(load, config, nn::names::kAttentionNorm, i),
           .attention = nn::Attention(load, config, i, options),
           .mlp_norm = nn::load_norm(load, config, nn::names::kMlpNorm, i),
           .moe = nn::load_moe(load, config, moe, i)});
      info_.state.emplace_back(layers_.back().attention.state());
    }
  }

  nn::LmHead head_;
  std::vector<Layer> layers_;
  ModelInfo info_;
};

}  // namespace

extern const Family family_phimoe;
const Family family_phimoe{
    .id = "phimoe",
    .hf = {"PhiMoEForCausalLM", "PhimoeForCausalLM", "phimoe"},
    .gguf = {"phimoe"},
    .build = build<PhiMoe>,
};

}  // namespace rbee
