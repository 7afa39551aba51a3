// Mixtral (Jiang et al., 2024, arXiv:2401.04088): Mistral with the best two of some experts in
// place of the MLP.
#include <vector>

#include "model/family.hpp"
#include "nn/attention.hpp"
#include "nn/decoder_config.hpp"
#include "nn/lm_head.hpp"
#include "nn/moe.hpp"
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

class Mixtral final : public Model {
 public:
  explicit Mixtral(Loader& load)
      : Mixtral(load, nn::DecoderConfig::read(
                          load.checkpoint(),
                          {.eps = 1e-5, .kv_heads = 8, .max_context = 131072, .rope_theta = 1e6})) {
  }

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
  Mixtral(Loader& load, const nn::DecoderConfig& config)
      : head_(load, config), info_(config.model_info()) {
    // GGUF holds the rows of q and k in another order than config.json's format.
    const bool gguf = load.checkpoint().format() == Format::gguf;
    const nn::AttentionOptions options{
        .rope = nn::make_rope(load, config, gguf ? RopePairing::adjacent : RopePairing::half),
        .window = nn::read_window(load.checkpoint())};
    nn::MoeConfig moe = nn::MoeConfig::read(load.checkpoint(), config);
    moe.routing.normalise = true;
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

bool has_experts(const Checkpoint& checkpoint) {
  constexpr Key kExperts{"num_local_experts", "expert_count"};
  return checkpoint.format() == Format::safetensors || checkpoint.integer(kExperts).value_or(0) > 0;
}

}  // namespace

extern const Family family_mixtral;
const Family family_mixtral{
    .id = "mixtral",
    .hf = {"MixtralForCausalLM", "mixtral"},
    .gguf = {"llama"},
    .claims = has_experts,
    .excludes = "a model without experts",
    .pairs_rows_in_gguf = true,
    .build = build<Mixtral>,
};

}  // namespace rbee
